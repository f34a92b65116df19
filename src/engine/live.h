/* SPDX-License-Identifier: MIT */
/*
 * Changing entries that are in use: the one place that knows break-before-make, and what hardware may
 * write at the same time.
 */
#ifndef PT_ENGINE_LIVE_H
#define PT_ENGINE_LIVE_H

#include "check.h"
#include "retire.h"

#define PT_RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)

/* ---- What is owed ------------------------------------------------------------------------------ */

/* What entries that were unused and now are used owe. */
static inline void owe_new_mapping(const struct tree *tree, struct pt_flush *flush, pt_vaddr vaddr, uint64_t size,
                                   uint64_t page_size, bool global, bool tables_linked)
{
    if (format_of(tree)->new_mapping_owes == PT_OWES_BARRIER)
        flush->barrier = true;
    if (format_of(tree)->new_mapping_owes == PT_OWES_FLUSH) {
        pt_flush_add(flush, vaddr, size, page_size, global);
        flush->tables_changed |= tables_linked;
    }
}

static inline bool leaf_is_global(const struct tree *tree, pt_entry leaf, unsigned level)
{
    return encoding.leaf_is_global(format_of(tree), leaf, level == last_level(tree));
}

static inline bool leaf_has_rights(const struct tree *tree, pt_entry leaf, unsigned level)
{
    return encoding.leaf_flags(format_of(tree), leaf, level == last_level(tree)) & PT_RIGHTS;
}

/*
 * A TLB may hold something of this page that its unmapping has to invalidate. Where TLBs remember invalid
 * entries (and what is mapped there later pays for that), a page without access counts if it is global:
 * the later one need not be.
 */
static inline bool leaf_is_owed(const struct tree *tree, pt_entry leaf, unsigned level)
{
    return leaf_has_rights(tree, leaf, level) ||
           (format_of(tree)->new_mapping_owes == PT_OWES_FLUSH && leaf_is_global(tree, leaf, level));
}

/* ---- Break-before-make ------------------------------------------------------------------------- */

static inline bool must_break(const struct tree *tree, pt_entry from, pt_entry to, unsigned level)
{
    return encoding.must_break && encoding.must_break(format_of(tree), from, to, level == last_level(tree));
}

/*
 * Where break-before-make is the rule, it holds for what was unmapped and is not yet invalidated, too:
 * to be called before [first, last] is mapped anew.
 */
static inline void settle(struct pt_flush *flush, pt_vaddr first, pt_vaddr last)
{
    if (encoding.must_break && pt_flush_overlaps(flush, first, last))
        pt_flush_invalidate(flush);
}

/* ---- Replacing --------------------------------------------------------------------------------- */

/*
 * An entry in use becomes another one. Where the architecture wants it, the old one is invalidated
 * everywhere before the new one is there. Returns the old entry as it was in the last moment, with all
 * that the hardware wrote to it.
 */
static inline pt_entry replace_entry(const struct tree *tree, struct pt_flush *flush, void *table, size_t index,
                                     unsigned level, pt_vaddr vaddr, pt_entry to)
{
    pt_entry from = load_entry(table, index);
    bool was_table = entry_kind(tree, from, level) == ENTRY_TABLE;
    bool is_table = entry_kind(tree, to, level) == ENTRY_TABLE;
    bool had_rights = !was_table && leaf_has_rights(tree, from, level);
    uint64_t size = level_size(tree, level);
    /* An invalidation reaches what was cached on the way to its address: each table of the last level needs one. */
    uint64_t step = was_table ? level_size(tree, last_level(tree) - 1) : size;
    bool global = !was_table && leaf_is_global(tree, from, level);
    bool breaks = must_break(tree, from, to, level);

    /* A page without access may have had some, and lost it under this very flush. */
    if (!breaks && !was_table && !had_rights)
        settle(flush, vaddr, vaddr + (size - 1));

    __atomic_thread_fence(__ATOMIC_RELEASE);
    if (encoding.hardware_writes && encoding.hardware_writes(format_of(tree), from))
        from = exchange_entry(table, index, breaks ? 0 : to);
    else
        store_entry(table, index, breaks ? 0 : to);

    if (was_table || had_rights)
        pt_flush_add(flush, vaddr, size, step, global);
    else
        owe_new_mapping(tree, flush, vaddr, size, size, global || (!is_table && leaf_is_global(tree, to, level)),
                        false);
    flush->tables_changed |= was_table || is_table;
    if (breaks) {
        pt_flush_invalidate(flush);
        publish_entry(table, index, to);
        flush->barrier = true;
    }
    return from;
}

/*
 * To break [first, last] of the table that this CPU runs on would pull away what the change itself needs:
 * its code, its stack, what it was given and reads, the table that it writes to. Looked at before anything is touched.
 */
static inline bool breaks_itself(const struct page_table *pt, const struct pt_flush *flush, const void *table,
                                 pt_vaddr first, pt_vaddr last)
{
    const uintptr_t needed[] = {
        (uintptr_t)replace_entry,
        (uintptr_t)pt_flush_invalidate,
        (uintptr_t)pt->handler,
        (uintptr_t)pt->ctx,
        (uintptr_t)pt->format,
        (uintptr_t)pt->format->operations,
        (uintptr_t)pt->handler->flush_tlb,
        (uintptr_t)pt->handler->phys_to_virt,
        (uintptr_t)__builtin_frame_address(0),
        (uintptr_t)pt,
        (uintptr_t)flush,
        (uintptr_t)table,
    };

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (needed[i] != 0 && needed[i] >= first && needed[i] <= last)
            return true;
    return false;
}

/* The same for the replacement of one entry. */
static inline bool replacement_breaks_itself(const struct tree *tree, const struct page_table *pt,
                                             const struct pt_flush *flush, const struct place *at, pt_vaddr vaddr,
                                             pt_entry to)
{
    return must_break(tree, at->entry, to, at->level) && encoding.is_live && encoding.is_live(pt) &&
           breaks_itself(pt, flush, at->table, entry_first(tree, at->level, vaddr), entry_last(tree, at->level, vaddr));
}

/* ---- Splitting --------------------------------------------------------------------------------- */

/* Add what the hardware recorded in `from` to an entry in use. */
static inline void add_recorded(const struct tree *tree, void *table, size_t index, pt_entry from)
{
    pt_entry old = load_entry(table, index);

    while (!swap_entry(table, index, &old, encoding.keep_recorded(format_of(tree), from, old)))
        ;
}

/* The huge page at `at`, which begins at vaddr, becomes a table of pages of the next size, made in `frame`. */
static inline void split_leaf(const struct tree *tree, const struct place *at, pt_vaddr vaddr, pt_paddr frame,
                              struct pt_flush *flush)
{
    bool to_last = at->level + 1 == last_level(tree);
    pt_entry attributes = encoding.resized_attributes(format_of(tree), at->entry, false, to_last);
    pt_paddr paddr = encoding.leaf_paddr(format_of(tree), at->entry, false);
    uint64_t size = level_size(tree, at->level + 1);
    size_t entries = level_entries(tree, at->level + 1);
    void *table = table_at(tree, frame);
    pt_entry old;

    for (size_t i = 0; i < entries; i++)
        fill_entry(table, i, attributes ^ encoding.address(format_of(tree), paddr + i * size));
    old = replace_entry(tree, flush, at->table, at->index, at->level, vaddr, encoding.table(format_of(tree), frame));
    if (old != at->entry)
        for (size_t i = 0; i < entries; i++)
            add_recorded(tree, table, i, old);
}

/* Whether a page begins at the boundary, or there is none across it. If not, *at is the one across. */
static inline bool is_page_boundary(const struct tree *tree, const struct page_table *pt, pt_vaddr boundary,
                                    struct place *at)
{
    if (boundary == 0 || is_aligned(boundary, level_size(tree, 0)))
        return true;
    *at = descend(tree, pt->root, boundary);
    return at->kind != ENTRY_LEAF || is_aligned(boundary, level_size(tree, at->level));
}

/* Split what is in the way of a page boundary, down to the level at which it is one. */
static inline void split_at(const struct tree *tree, const struct page_table *pt, pt_vaddr boundary,
                            struct reserve *reserve, struct pt_flush *flush)
{
    struct place at;

    while (!is_page_boundary(tree, pt, boundary, &at))
        split_leaf(tree, &at, entry_first(tree, at.level, boundary), reserve_take(tree, reserve), flush);
}

/* The level at which the page across the boundary is; the last one if there is none. */
static inline unsigned level_across(const struct tree *tree, const struct page_table *pt, pt_vaddr boundary)
{
    struct place at;

    return is_page_boundary(tree, pt, boundary, &at) ? last_level(tree) : at.level;
}

/* How many tables it takes to have page boundaries at both addresses. */
static inline size_t count_splits(const struct tree *tree, const struct page_table *pt, pt_vaddr first, pt_vaddr end)
{
    unsigned first_level = level_across(tree, pt, first), end_level = level_across(tree, pt, end);
    size_t count = 0;

    for (unsigned level = 0; level < last_level(tree); level++) {
        bool at_first = level >= first_level && !is_aligned(first, level_size(tree, level));
        bool at_end = level >= end_level && !is_aligned(end, level_size(tree, level));
        bool same = entry_first(tree, level, first) == entry_first(tree, level, end);

        count += at_first && at_end && same ? 1u : (size_t)at_first + at_end;
    }
    return count;
}

/* The split that a boundary needs would break what the change itself uses. */
static inline bool split_breaks_itself(const struct tree *tree, const struct page_table *pt,
                                       const struct pt_flush *flush, pt_vaddr boundary)
{
    struct place at;

    return !is_page_boundary(tree, pt, boundary, &at) &&
           replacement_breaks_itself(tree, pt, flush, &at, boundary, encoding.table(format_of(tree), 0));
}

#endif
