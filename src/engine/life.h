/* SPDX-License-Identifier: MIT */
/* The beginning and the end of a table. */
#ifndef PT_ENGINE_LIFE_H
#define PT_ENGINE_LIFE_H

#include "check.h"
#include "retire.h"

static inline enum pt_status engine_prepare(struct page_table *pt, const struct pt_format *format,
                                            const struct pt_handler *handler, void *ctx)
{
    struct tree tree = tree_make(format, &pt->measures, handler, ctx);

    if (format != format_of(&tree) || !format_is_sound(&tree))
        return PT_BAD_FORMAT;
    pt->format = format;
#ifndef PT_ONLY_FORMAT
    pt->operations = &operations;
#endif
    pt->measures = measures_make(format);
    pt->measures.slot_shift = (uint8_t)slot_shift(&tree);
    pt->handler = handler;
    pt->ctx = ctx;
    pt->asid = PT_NO_ASID;
    forget_latest(pt);
    pt->is_special = has_parallel_writers(&tree);
    return PT_OK;
}

static inline enum pt_status engine_make_root(struct page_table *pt)
{
    struct tree tree = tree_of(pt);
    pt_paddr root = alloc_table(&tree, pt, 0);

    if (root == PT_NO_FRAME)
        return PT_NO_MEMORY;
    clear_entries(table_at(&tree, root), 0, level_entries(&tree, 0));
    pt->root = root;
    return PT_OK;
}

/* No later entry of the root leads to a table in the same frame. */
static inline bool is_last_in_frame(const struct tree *tree, const void *root, size_t index)
{
    size_t last = index | (((size_t)1 << encoding.packed_bits) - 1);

    for (size_t i = index + 1; i <= last; i++)
        if (entry_kind(tree, load_entry(root, i), 0) == ENTRY_TABLE)
            return false;
    return true;
}

static inline void engine_free_tables(struct page_table *pt)
{
    struct tree tree = tree_of(pt);
    const void *root = table_at(&tree, pt->root);

    for (size_t i = 0; i < level_entries(&tree, 0); i++) {
        pt_entry entry = load_entry(root, i);

        if (entry_kind(&tree, entry, 0) == ENTRY_TABLE && !slot_is(&tree, &pt->borrowed, i)) {
            struct subtree below = subtree_below(&tree, entry, 0);

            for (pt_paddr table; (table = subtree_next(&tree, &below)) != PT_NO_FRAME;)
                if (is_last_in_frame(&tree, root, i))
                    free_table(&tree, pt, frame_of(table), 1);
        }
    }
    free_table(&tree, pt, pt->root, 0);
}

#endif
