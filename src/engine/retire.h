/* SPDX-License-Identifier: MIT */
/*
 * Tables that leave the tree. A retired table waits in the flush until the invalidation has happened; the
 * list is threaded through the tables' first entries, as links that a table walker with a cached pointer
 * faults on, and that a reader without a lock takes as a sign to look again.
 */
#ifndef PT_ENGINE_RETIRE_H
#define PT_ENGINE_RETIRE_H

#include "../flush.h"
#include "pack.h"

/* Stored inverted: a frame number that is not valid must not be the table's own either (L1 Terminal Fault). */
static inline pt_entry retired_link(const struct tree *tree, pt_paddr next)
{
    pt_paddr inverted = ~next & encoding.paddr_mask(format_of(tree));

    return encoding.retired_mark | encoding.address(format_of(tree), inverted, (struct shape){true, false})
                                       << encoding.retired_shift;
}

static inline pt_paddr retired_next(const struct tree *tree, pt_entry link)
{
    return ~encoding.table_paddr(format_of(tree), link >> encoding.retired_shift) &
           encoding.paddr_mask(format_of(tree));
}

/* The table is unhooked already. The first one in the list links to itself. */
static inline void retire_table(const struct tree *tree, struct pt_flush *flush, pt_paddr table)
{
    pt_paddr next = flush->retired == PT_NO_FRAME ? table : flush->retired;

    /* Whoever sees the link sees what replaced the table, too. */
    publish_entry(table_at(tree, table), 0, retired_link(tree, next));
    flush->retired = table;
    flush->tables_changed = true;
}

/* The same for one that an entry led to, which no longer stands at its place. */
static inline void retire_unhooked(const struct tree *tree, struct pt_flush *flush, const void *parent, size_t index,
                                   pt_entry entry, unsigned level)
{
    pt_paddr table = table_paddr(tree, entry);

    flush->tables_changed = true;
    if (frame_is_free(tree, parent, index, level, table))
        retire_table(tree, flush, frame_of(table));
}

static inline void engine_free_retired(struct pt_flush *flush)
{
    struct tree tree = tree_make(flush->format, NULL, flush->handler, flush->ctx);

    while (flush->retired != PT_NO_FRAME) {
        pt_paddr table = flush->retired;
        pt_paddr next = retired_next(&tree, load_entry(table_at(&tree, table), 0));

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
static inline struct subtree subtree_below(const struct tree *tree, pt_entry entry, unsigned level)
{
    struct subtree below = {.top = level + 1, .level = level + 1};

    below.tables[level + 1] = table_paddr(tree, entry);
    return below;
}

/* The next table to let go, or PT_NO_FRAME when there is none. */
static inline pt_paddr subtree_next(const struct tree *tree, struct subtree *below)
{
    while (below->level >= below->top) {
        unsigned level = below->level;
        const void *table = table_at(tree, below->tables[level]);
        bool descended = false;

        /* A table of the last level has no tables below it: it need not be read. */
        while (level < last_level(tree) && below->next[level] < level_entries(tree, level)) {
            pt_entry entry = load_entry(table, below->next[level]++);

            if (entry_kind(tree, entry, level) == ENTRY_TABLE) {
                if (level + 1 == last_level(tree))
                    return table_paddr(tree, entry);
                below->level = level + 1;
                below->tables[level + 1] = table_paddr(tree, entry);
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

/* Retire all tables below an entry that no longer stands at its place in the tree. */
static inline void retire_below(const struct tree *tree, struct pt_flush *flush, const void *parent, size_t index,
                                pt_entry entry, unsigned level)
{
    struct subtree below = subtree_below(tree, entry, level);

    if (encoding.packed_bits != 0) {
        retire_unhooked(tree, flush, parent, index, entry, level);
        return;
    }
    for (pt_paddr table; (table = subtree_next(tree, &below)) != PT_NO_FRAME;)
        retire_table(tree, flush, table);
}

static inline bool table_is_empty(const struct tree *tree, const void *table, unsigned level)
{
    for (size_t i = 0; i < level_entries(tree, level); i++)
        if (entry_kind(tree, load_entry(table, i), level) == ENTRY_LEAF)
            return false;
    return true;
}

/* No page is mapped below this entry, which leads to a table. */
static inline bool nothing_below(const struct tree *tree, pt_entry entry, unsigned level)
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

#endif
