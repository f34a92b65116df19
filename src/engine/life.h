/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a table. */
#ifndef PT_ENGINE_LIFE_H
#define PT_ENGINE_LIFE_H

#include "check.h"
#include "retire.h"

PT_INLINE enum pt_status engine_make_root(const struct encoding *enc, struct page_table *pt,
                                          const struct pt_format *format, const struct pt_handler *handler, void *ctx)
{
    struct tree tree = tree_make(enc, format, handler, ctx);
    pt_paddr root;

    if (format != tree.format || !format_is_sound(&tree))
        return PT_BAD_FORMAT;

    pt->handler = handler;
    pt->ctx = ctx;
    root = alloc_table(&tree, pt, 0);
    if (root == PT_NO_FRAME) {
        __builtin_memset(pt, 0, sizeof(*pt));
        return PT_NO_MEMORY;
    }
    clear_entries(&tree, table_at(&tree, root), 0, level_entries(&tree, 0));
    pt->format = format;
    pt->root = root;
    return PT_OK;
}

PT_INLINE void engine_free_tables(const struct encoding *enc, struct page_table *pt)
{
    struct tree tree = tree_of(enc, pt);
    const void *root = table_at(&tree, pt->root);

    for (size_t i = 0; i < level_entries(&tree, 0); i++) {
        pt_entry entry = load_entry(&tree, root, i);

        if (entry_kind(&tree, entry, 0) == ENTRY_TABLE && !slot_is(&tree, &pt->borrowed, i)) {
            struct subtree below = subtree_below(&tree, entry, 0);

            for (pt_paddr table; (table = subtree_next(&tree, &below)) != PT_NO_FRAME;)
                free_table(&tree, pt, table, 1);
        }
    }
    free_table(&tree, pt, pt->root, 0);
}

#endif
