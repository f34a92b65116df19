/* SPDX-License-Identifier: MIT */
/* What `dump --output=json` writes, for those who need it elsewhere. */
#ifndef TOOL_DUMP_H
#define TOOL_DUMP_H

#include <stdio.h>

#include "view.h"

/** The ranges, and with the tree every entry in use; of those that lead to tables, "flags" are the rights they leave. */
void dump_json(FILE *to, const struct view *view, const struct settings *settings, bool with_tree);

#endif
