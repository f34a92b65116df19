/* SPDX-License-Identifier: MIT */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "formats.h"
#include "registers.h"
#include "tool.h"

/* So many looks between two at the clock. */
#define LOOKS 4096

/* On a terminal, how far it is, once a second. */
static void show_progress(struct view *view)
{
    time_t now = time(NULL);

    if (view->shown == now || !isatty(STDERR_FILENO))
        return;
    if (view->shown != 0)
        fprintf(stderr, "\r%" PRIu64 " looks at tables", view->looks);
    view->shown = now;
}

/* Tables may lead to one another without end: when the limit is reached, nothing is there any more. */
static void *phys_to_virt(void *ctx, pt_paddr paddr)
{
    struct view *view = ctx;

    if (view->looks_left == 0)
        return NULL;
    view->looks_left--;
    if (++view->looks % LOOKS == 0)
        show_progress(view);
    return source_frame(view->source, paddr);
}

static const struct pt_handler handler = {.phys_to_virt = phys_to_virt};

bool view_open(struct view *view, const char *name, const struct settings *settings)
{
    struct found found = {.cpu = PT_CPU_WP};
    pt_paddr root = settings->root;
    enum pt_status status;

    memset(view, 0, sizeof(*view));
    view->looks_left = settings->limit;
    view->source = source_open(name, settings->stays_stopped);
    if (!view->source)
        return false;
    if (!settings->format || !settings->has_root) {
        if (!find_tables(view->source, name, settings->upper, &found)) {
            view_close(view);
            return false;
        }
        if (!settings->has_root)
            root = found.root;
    }
    view->base = settings->format ? settings->format : found.base;
    view->format = settings->format ? *settings->format : found.format;
    view->cpu = found.cpu;
    for (unsigned i = 0; i < settings->option_count; i++) {
        if (!format_apply(&view->format, settings->options[i])) {
            view_close(view);
            return false;
        }
    }
    status = pt_adopt(&view->pt, &view->format, root, &handler, view);
    if (status != PT_OK) {
        complain("%s: root 0x%" PRIx64 ", %s: %s", name, root, view->format.name,
                 status == PT_BAD_FORMAT    ? "the options contradict each other, or the format"
                 : status == PT_BAD_ADDRESS ? "the root's address is too wide"
                                            : "the root is not aligned to its size");
        view_close(view);
        return false;
    }
    if (!source_frame(view->source, root & ~(PT_FRAME_SIZE - 1))) {
        if (!source_is_lost(view->source))
            complain("%s: holds nothing at 0x%" PRIx64 ", where the root should be", name, root);
        view_close(view);
        return false;
    }
    if (settings->upper)
        pt_adopt_upper_half(&view->pt);
    return true;
}

void view_close(struct view *view)
{
    source_close(view->source);
    view->source = NULL;
}

bool view_is_complete(const struct view *view)
{
    if (isatty(STDERR_FILENO) && view->shown != 0)
        fputs("\r\33[K", stderr);
    if (source_is_lost(view->source))
        return complain("the connection was given up: what came was not all");
    return view->looks_left > 0 ||
           complain("more than %" PRIu64 " looks at tables: what came was not all (--limit)", view->looks);
}
