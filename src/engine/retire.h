/* SPDX-License-Identifier: MIT */
/*
 * Changing what is live: replacing entries, and tables that leave the tree. A retired table waits in the
 * flush until the invalidation has happened; the list is threaded through the tables' first entries, as
 * links that a table walker with a cached pointer faults on.
 */
#ifndef PT_ENGINE_RETIRE_H
#define PT_ENGINE_RETIRE_H

#include "../flush.h"
#include "reserve.h"

/* Stored inverted: a frame number that is not valid must not be the table's own either (L1 Terminal Fault). */
PT_INLINE pt_entry retired_link(const struct tree *tree, pt_paddr next)
{
    return tree->enc->retired_mark | tree->enc->address(tree->format, ~next & tree->enc->paddr_mask);
}

PT_INLINE pt_paddr retired_next(const struct tree *tree, pt_entry link)
{
    return ~tree->enc->table_paddr(tree->format, link) & tree->enc->paddr_mask;
}

/* The table is unhooked already. The first one in the list links to itself. */
PT_INLINE void retire_table(const struct tree *tree, struct pt_flush *flush, pt_paddr table)
{
    pt_paddr next = flush->retired == PT_NO_FRAME ? table : flush->retired;

    store_entry(tree, table_at(tree, table), 0, retired_link(tree, next));
    flush->retired = table;
    flush->tables_changed = true;
}

PT_INLINE void engine_free_retired(const struct encoding *enc, struct pt_flush *flush)
{
    struct tree tree = tree_make(enc, flush->format, flush->handler, flush->ctx);

    while (flush->retired != PT_NO_FRAME) {
        pt_paddr table = flush->retired;
        pt_paddr next = retired_next(&tree, load_entry(&tree, table_at(&tree, table), 0));

        flush->retired = next == table ? PT_NO_FRAME : next;
        flush->handler->dealloc_frames(flush->ctx, table, table_frames(&tree, 1));
    }
}

/* The tables below an entry, one after the other, children before parents, each entry read before its table is let go. */
struct subtree {
    unsigned top, level;
    pt_paddr tables[PT_MAX_LEVELS];
    size_t next[PT_MAX_LEVELS];
};

/* `entry`, of level `level`, leads to a table. */
PT_INLINE struct subtree subtree_below(const struct tree *tree, pt_entry entry, unsigned level)
{
    struct subtree below = {.top = level + 1, .level = level + 1};

    below.tables[level + 1] = tree->enc->table_paddr(tree->format, entry);
    return below;
}

/* The next table to let go, or PT_NO_FRAME when there is none. */
PT_INLINE pt_paddr subtree_next(const struct tree *tree, struct subtree *below)
{
    while (below->level >= below->top) {
        unsigned level = below->level;
        const void *table = table_at(tree, below->tables[level]);
        bool descended = false;

        /* A table of the last level has no tables below it: it need not be read. */
        while (level < last_level(tree) && below->next[level] < level_entries(tree, level)) {
            pt_entry entry = load_entry(tree, table, below->next[level]++);

            if (entry_kind(tree, entry, level) == ENTRY_TABLE) {
                below->level = level + 1;
                below->tables[level + 1] = tree->enc->table_paddr(tree->format, entry);
                below->next[level + 1] = 0;
                descended = true;
                break;
            }
        }
        if (!descended) {
            below->level = level - 1;
            return below->tables[level];
        }
    }
    return PT_NO_FRAME;
}

/* Retire all tables below an entry that no longer stands in the tree. */
PT_INLINE void retire_below(const struct tree *tree, struct pt_flush *flush, pt_entry entry, unsigned level)
{
    struct subtree below = subtree_below(tree, entry, level);

    for (pt_paddr table; (table = subtree_next(tree, &below)) != PT_NO_FRAME;)
        retire_table(tree, flush, table);
}

PT_INLINE bool table_is_empty(const struct tree *tree, const void *table, unsigned level)
{
    for (size_t i = 0; i < level_entries(tree, level); i++)
        if (entry_kind(tree, load_entry(tree, table, i), level) == ENTRY_LEAF)
            return false;
    return true;
}

/* No page is mapped below this entry, which leads to a table. */
PT_INLINE bool nothing_below(const struct tree *tree, pt_entry entry, unsigned level)
{
    struct subtree below = subtree_below(tree, entry, level);

    for (;;) {
        /* Tables come children first, so their level is the one below where the search goes on. */
        pt_paddr table = subtree_next(tree, &below);

        if (table == PT_NO_FRAME)
            return true;
        if (!table_is_empty(tree, table_at(tree, table), below.level + 1))
            return false;
    }
}

/*
 * Where break-before-make is the rule, it holds for what was unmapped and is not yet invalidated, too:
 * to be called before [first, last] is mapped anew.
 */
PT_INLINE void settle(const struct tree *tree, struct pt_flush *flush, pt_vaddr first, pt_vaddr last)
{
    if (tree->enc->must_break && pt_flush_overlaps(flush, first, last))
        pt_flush_invalidate(flush);
}

/* The same for one entry in use: only one without access may have been changed and not yet invalidated. */
PT_INLINE void settle_entry(const struct tree *tree, struct pt_flush *flush, unsigned level, pt_vaddr vaddr,
                            pt_entry from)
{
    bool last = level == last_level(tree);

    if (tree->enc->must_break && !(tree->enc->leaf_flags(tree->format, from, last) & (PT_READ | PT_WRITE | PT_EXECUTE)))
        settle(tree, flush, vaddr, vaddr + (level_size(tree, level) - 1));
}

/*
 * The one place where an entry in use becomes another one, and with it break-before-make: where the
 * architecture wants it, the old entry is invalidated everywhere before the new one is there.
 */
PT_INLINE void replace_entry(const struct tree *tree, struct pt_flush *flush, void *table, size_t index, unsigned level,
                             pt_vaddr vaddr, pt_entry from, pt_entry to)
{
    bool was_table = entry_kind(tree, from, level) == ENTRY_TABLE;
    uint64_t size = level_size(tree, level);
    /* An invalidation reaches what was cached on the way to its address: each table of the last level needs one. */
    uint64_t step = was_table ? level_size(tree, last_level(tree) - 1) : size;
    bool must_break = tree->enc->must_break && tree->enc->must_break(tree->format, from, to);

    if (must_break) {
        store_entry(tree, table, index, 0);
    } else {
        settle_entry(tree, flush, level, vaddr, from);
        publish_entry(tree, table, index, to);
    }

    flush->tables_changed |= was_table;
    pt_flush_add(flush, vaddr, size, step);
    if (must_break) {
        pt_flush_invalidate(flush);
        publish_entry(tree, table, index, to);
        flush->barrier = true;
    }
}

/* What entries that were unused and now are used owe. */
PT_INLINE void owe_new_mapping(const struct tree *tree, struct pt_flush *flush, pt_vaddr vaddr, uint64_t size,
                               uint64_t page_size, bool tables_linked)
{
    if (tree->format->new_mapping_owes == PT_OWES_BARRIER)
        flush->barrier = true;
    if (tree->format->new_mapping_owes == PT_OWES_FLUSH) {
        pt_flush_add(flush, vaddr, size, page_size);
        flush->tables_changed |= tables_linked;
    }
}

#endif
