/* SPDX-License-Identifier: MIT */
/* Looking at the tree: the translation of an address, and the walk over all entries in use. */
#ifndef PT_ENGINE_LOOK_H
#define PT_ENGINE_LOOK_H

#include "check.h"

PT_INLINE enum pt_status engine_query(const struct encoding *enc, const struct page_table *pt, pt_vaddr vaddr,
                                      struct pt_mapping *out)
{
    struct tree tree = tree_of(enc, pt);
    struct place at;

    if (!vaddr_is_canonical(&tree, vaddr))
        return PT_BAD_ADDRESS;
    at = descend(&tree, pt->root, vaddr);
    if (at.kind != ENTRY_LEAF)
        return PT_NOT_MAPPED;
    if (out) {
        *out = mapping_of(&tree, at.entry, at.level);
        out->paddr |= vaddr & (out->page_size - 1);
    }
    return PT_OK;
}

/* Where the walk is in each table on its way. */
struct walk {
    unsigned level;
    struct {
        const void *table;
        size_t index;   /* of the entry that is being visited, or is next */
        size_t visited; /* entries of this table */
        pt_vaddr first; /* translated bits of the table's first address */
        pt_entry entry;
    } at[PT_MAX_LEVELS];
};

PT_INLINE struct pt_visit visit_of(const struct tree *tree, const struct page_table *pt, const struct walk *walk)
{
    unsigned level = walk->level;
    size_t index = walk->at[level].index;
    pt_vaddr bits = walk->at[level].first + ((uint64_t)index << level_shift(tree, level));
    struct pt_visit visit = {
        .level = level,
        .index = (unsigned)index,
        .vaddr = canonical(tree, bits, slot_is(tree, &pt->upper, walk->at[0].index)),
        .bits = walk->at[level].entry,
        .is_leaf = entry_kind(tree, walk->at[level].entry, level) == ENTRY_LEAF,
    };

    if (visit.is_leaf)
        visit.mapping = mapping_of(tree, visit.bits, level);
    return visit;
}

PT_INLINE void engine_walk(const struct encoding *enc, const struct page_table *pt, size_t limit, pt_visitor pre,
                           pt_visitor post, void *arg)
{
    struct tree tree = tree_of(enc, pt);
    struct walk walk = {.at = {{.table = table_at(&tree, pt->root)}}};

    for (;;) {
        unsigned level = walk.level;
        struct pt_visit visit;

        if (walk.at[level].index == level_entries(&tree, level) || walk.at[level].visited == limit) {
            /* This table is done, and with it the entry that led here. */
            if (level == 0)
                return;
            walk.level = --level;
            visit = visit_of(&tree, pt, &walk);
            if (post && !post(arg, &visit))
                return;
            walk.at[level].index++;
            continue;
        }

        walk.at[level].entry = load_entry(&tree, walk.at[level].table, walk.at[level].index);
        switch (entry_kind(&tree, walk.at[level].entry, level)) {
        case ENTRY_EMPTY:
            walk.at[level].index++;
            continue;
        case ENTRY_LEAF:
            visit = visit_of(&tree, pt, &walk);
            if ((pre && !pre(arg, &visit)) || (post && !post(arg, &visit)))
                return;
            walk.at[level].visited++;
            walk.at[level].index++;
            continue;
        case ENTRY_TABLE:
            visit = visit_of(&tree, pt, &walk);
            if (pre && !pre(arg, &visit))
                return;
            walk.at[level].visited++;
            walk.level = level + 1;
            walk.at[level + 1].table = table_of(&tree, walk.at[level].entry);
            walk.at[level + 1].index = 0;
            walk.at[level + 1].visited = 0;
            walk.at[level + 1].first =
                walk.at[level].first + ((uint64_t)walk.at[level].index << level_shift(&tree, level));
            continue;
        }
    }
}

#endif
