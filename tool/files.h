/* SPDX-License-Identifier: MIT */
/* Files of this directory as text; embed.cmake makes them a part of the program. */
#ifndef TOOL_FILES_H
#define TOOL_FILES_H

extern const char file_draw_html[], file_draw_js[], file_picture_css[];

#endif
