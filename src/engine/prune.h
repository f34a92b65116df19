/* SPDX-License-Identifier: MIT */
/*
 * Letting go of tables with nothing in them. Region calls do it for the tables that they empty; single
 * pages do not look, because no format has room for a count everywhere and a look costs up to a table.
 */
#ifndef PT_ENGINE_PRUNE_H
#define PT_ENGINE_PRUNE_H

#include "check.h"
#include "live.h"

/* A table may leave the tree unless another table has copied the root entry that leads to it. */
static inline bool may_retire(const struct tree *tree, const struct page_table *pt, unsigned level, size_t index)
{
    return level > 0 || !(slot_is(tree, &pt->lent, index) || slot_is(tree, &pt->borrowed, index));
}

/* No entry is in use. The look begins behind `index`, where what is in use is most likely near. */
static inline bool table_is_unused(const struct tree *tree, const void *table, unsigned level, size_t index)
{
    size_t entries = level_entries(tree, level);

    for (size_t i = 1; i <= entries; i++)
        if (load_entry(table, (index + i) & (entries - 1)) != 0)
            return false;
    return true;
}

/* Unhook the table that an entry leads to, which is unused. */
static inline void retire_unused(const struct tree *tree, void *table, size_t index, unsigned level, pt_vaddr vaddr,
                                 struct pt_flush *flush)
{
    pt_entry entry = load_entry(table, index);

    store_entry(table, index, 0);
    retire_unhooked(tree, flush, table, index, entry, level);
    owe_root_entry(tree, flush, level);
    pt_flush_add(flush, entry_first(tree, level, vaddr), level_size(tree, level), level_size(tree, level), false);
}

/* Retire the tables on the way to vaddr that are unused, from the lowest up. */
static inline void prune_path(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr,
                              struct pt_flush *flush)
{
    void *tables[PT_MAX_LEVELS];
    unsigned level = 0;

    tables[0] = table_at(tree, pt->root);
    while (level < last_level(tree)) {
        pt_entry entry = load_entry(tables[level], index_of(tree, vaddr, level));

        if (entry_kind(tree, entry, level) != ENTRY_TABLE)
            break;
        tables[++level] = table_of(tree, entry);
    }
    for (; level > 0; level--) {
        size_t index = index_of(tree, vaddr, level - 1);

        if (!table_is_unused(tree, tables[level], level, index_of(tree, vaddr, level)) ||
            !may_retire(tree, pt, level - 1, index))
            return;
        retire_unused(tree, tables[level - 1], index, level - 1, vaddr, flush);
    }
}

/* The next entry of `level`, at or behind *vaddr, that leads to a table; *vaddr becomes its first address. */
static inline bool next_table(const struct tree *tree, const struct page_table *pt, unsigned level, pt_vaddr *vaddr,
                              pt_vaddr last, struct place *at)
{
    for (;;) {
        *at = descend_to(tree, pt->root, *vaddr, level);
        *vaddr = entry_first(tree, level, *vaddr);
        if (at->level == level && at->kind == ENTRY_TABLE)
            return true;
        if (entry_last(tree, at->level, *vaddr) >= last)
            return false;
        *vaddr = entry_last(tree, at->level, *vaddr) + 1;
    }
}

static inline enum pt_status engine_prune(struct page_table *pt, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    pt_vaddr last = vaddr + (size - 1);
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_own_region(&tree, pt, vaddr, size);
    if (status != PT_OK)
        return status;

    if (!has_parallel_writers(&tree))
        forget_latest(pt);
    for (unsigned level = last_level(&tree); level-- > 0;) {
        struct place at;

        for (pt_vaddr next = vaddr; next_table(&tree, pt, level, &next, last, &at);) {
            bool covered = next >= vaddr && entry_last(&tree, level, next) <= last;

            /* Other writers may be in a table that the region does not cover. */
            if ((covered || !has_parallel_writers(&tree)) && may_retire(&tree, pt, level, at.index) &&
                table_is_unused(&tree, table_of(&tree, at.entry), level + 1, 0))
                retire_unused(&tree, at.table, at.index, level, next, flush);
            if (entry_last(&tree, level, next) >= last)
                break;
            next = entry_last(&tree, level, next) + 1;
        }
    }
    return PT_OK;
}

#endif
