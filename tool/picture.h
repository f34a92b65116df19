/* SPDX-License-Identifier: MIT */
/* An address space as a picture: SVG, without a script; its colours are in picture.css. */
#ifndef TOOL_PICTURE_H
#define TOOL_PICTURE_H

#include <stdio.h>

#include "view.h"

#define MAX_MARKERS 256

/** What the user calls what is drawn. */
struct names {
    const char *source;
    struct pt_marker markers[MAX_MARKERS]; /**< in ascending order */
    unsigned count;
};

/** At most so many blocks are drawn, and one more for each marker: ranges near each other become one. */
#define PICTURE_BLOCKS 300

/** Complains, and answers false, if memory does not suffice. */
bool picture_put(FILE *to, const struct view *view, const struct names *names);

#endif
