/* SPDX-License-Identifier: MIT */
/* The tables that a source holds. */
#ifndef TOOL_VIEW_H
#define TOOL_VIEW_H

#include <time.h>

#include "settings.h"
#include "source.h"

struct view {
    struct page_table pt;
    struct pt_format format; /**< a copy, as the options have it */
    const struct pt_format *base;
    struct source *source;
    uint32_t cpu;               /**< PT_CPU_..., as far as the registers tell */
    uint64_t looks, looks_left; /**< at tables: --limit */
    time_t shown;               /**< when progress was shown last */
};

/** Open the source, and adopt what it holds. Complains, and answers false, if that cannot be. */
bool view_open(struct view *view, const char *source, const struct settings *settings);
void view_close(struct view *view);

/** Was everything looked at? Complains, and answers false, if --limit was reached. */
bool view_is_complete(const struct view *view);

#endif
