/* SPDX-License-Identifier: MIT */
/* Looking at the tree: the translation of an address, and the walk over all entries in use. */
#ifndef PT_ENGINE_LOOK_H
#define PT_ENGINE_LOOK_H

#include "check.h"

PT_INLINE enum pt_status report(const struct tree *tree, const struct place *at, pt_vaddr vaddr, struct pt_mapping *out)
{
    if (at->kind != ENTRY_LEAF)
        return PT_NOT_MAPPED;
    if (out) {
        *out = mapping_of(tree, at);
        out->paddr |= vaddr & (out->page_size - 1);
    }
    return PT_OK;
}

/*
 * Readers have no lock. The link in a retired table is an entry that is empty and not zero: whoever meets
 * one looks again from the root, where the table is no longer to be found. Twice the same table: no link.
 */
PT_OUTLINE enum pt_status query_patiently(const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out)
{
    struct tree tree = tree_of(pt);
    struct place at;
    const void *table = NULL;

    if (!vaddr_is_canonical(&tree, vaddr))
        return PT_BAD_ADDRESS;
    while (at = descend_inline(&tree, pt->root, vaddr, last_level(&tree)),
           at.kind == ENTRY_EMPTY && at.entry != 0 && at.table != table)
        table = at.table;
    return report(&tree, &at, vaddr, out);
}

static inline enum pt_status engine_query(const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out)
{
    struct tree tree = linear_tree_of(pt);
    struct place at;

    if (!is_linear(pt) || !vaddr_is_canonical(&tree, vaddr))
        return query_patiently(pt, vaddr, out);
    at = descend_inline(&tree, pt->root, vaddr, last_level(&tree));
    if (PT_UNLIKELY(at.kind == ENTRY_EMPTY && at.entry != 0))
        return query_patiently(pt, vaddr, out);
    /* Twice, so that each is compiled for its sort of level. */
    if (PT_LIKELY(at.level == last_level(&tree))) {
        at.level = last_level(&tree);
        return report(&tree, &at, vaddr, out);
    }
    return report(&tree, &at, vaddr, out);
}

/* Where the walk is in each table on its way. */
struct walk {
    unsigned level;
    struct {
        struct place place; /* the entry that is being visited, or its index is next */
        size_t visited;     /* entries of this table */
        pt_vaddr first;     /* translated bits of the table's first address */
    } at[PT_MAX_LEVELS];
};

static inline struct pt_visit visit_of(const struct tree *tree, const struct page_table *pt, const struct walk *walk)
{
    unsigned level = walk->level;
    const struct place *at = &walk->at[level].place;
    pt_vaddr bits = walk->at[level].first + ((uint64_t)at->index << level_shift(tree, level));
    struct pt_visit visit = {
        .level = level,
        .index = (unsigned)at->index,
        .vaddr = canonical(tree, bits, slot_is(tree, &pt->upper, walk->at[0].place.index)),
        .bits = at->entry,
        .is_leaf = at->kind == ENTRY_LEAF,
    };

    if (visit.is_leaf)
        visit.mapping = mapping_of(tree, at);
    return visit;
}

/* The table was retired under the walk: the entry that led to it is another one by now. */
static inline bool was_retired(const struct walk *walk)
{
    const struct place *above = &walk->at[walk->level - 1].place;

    return walk->level > 0 && load_entry(above->table, above->index) != above->entry;
}

static inline void engine_walk(const struct page_table *pt, size_t limit, pt_visitor pre, pt_visitor post, void *arg)
{
    struct tree tree = tree_of(pt);
    struct walk walk = {.at = {{.place = {.table = table_at(&tree, pt->root)}}}};

    for (;;) {
        unsigned level = walk.level;
        struct place *at = &walk.at[level].place;
        struct pt_visit visit;

        if (at->index == level_entries(&tree, level) || walk.at[level].visited == limit) {
            /* This table is done, and with it the entry that led here. */
            if (level == 0)
                return;
            walk.level = --level;
            visit = visit_of(&tree, pt, &walk);
            if (post && !post(arg, &visit))
                return;
            walk.at[level].place.index++;
            continue;
        }

        at->entry = load_entry(at->table, at->index);
        at->kind = entry_kind(&tree, at->entry, level);
        at->group = at->kind == ENTRY_LEAF ? leaf_sort(&tree, at->entry, level).group : 0;
        switch (at->kind) {
        case ENTRY_EMPTY:
            if (PT_UNLIKELY(at->entry != 0 && was_retired(&walk))) {
                walk.level = level - 1;
                walk.at[level - 1].visited--;
                continue;
            }
            at->index++;
            continue;
        case ENTRY_LEAF:
            visit = visit_of(&tree, pt, &walk);
            if ((pre && !pre(arg, &visit)) || (post && !post(arg, &visit)))
                return;
            walk.at[level].visited++;
            at->index = page_index(at) + page_entries(at);
            continue;
        case ENTRY_TABLE:
            visit = visit_of(&tree, pt, &walk);
            if (pre && !pre(arg, &visit))
                return;
            walk.at[level].visited++;
            walk.level = level + 1;
            walk.at[level + 1].place = (struct place){.table = table_of(&tree, at->entry), .level = level + 1};
            walk.at[level + 1].visited = 0;
            walk.at[level + 1].first = walk.at[level].first + ((uint64_t)at->index << level_shift(&tree, level));
            continue;
        }
    }
}

#endif
