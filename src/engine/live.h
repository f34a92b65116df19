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

static inline bool root_is_latched(const struct tree *tree)
{
    return encoding.root_is_latched && encoding.root_is_latched(format_of(tree));
}

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

/* Where the hardware holds the root's entries itself, all of it has to look again. */
static inline void owe_root_entry(const struct tree *tree, struct pt_flush *flush, unsigned level)
{
    if (level == 0 && root_is_latched(tree)) {
        flush->everything = true;
        flush->tables_changed = true;
    }
}

/*
 * The tables on the way to a new mapping may be other writers', whose flush is still to come: whatever these owe is
 * owed here, too.
 */
static inline void owe_tables_of_others(const struct tree *tree, struct pt_flush *flush)
{
    flush->tables_changed |= format_of(tree)->new_mapping_owes == PT_OWES_FLUSH;
    owe_root_entry(tree, flush, 0);
}

static inline bool leaf_is_global(const struct tree *tree, pt_entry leaf, unsigned level)
{
    return encoding.leaf_is_global(format_of(tree), leaf, level == last_level(tree));
}

static inline bool leaf_has_rights(const struct tree *tree, pt_entry leaf, unsigned level)
{
    if (encoding.leaf_has_rights)
        return encoding.leaf_has_rights(format_of(tree), leaf);
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

/* The hardware may change this leaf by itself. */
static inline bool hardware_writes(const struct tree *tree, pt_entry leaf)
{
    return encoding.hardware_writes && encoding.hardware_writes(format_of(tree), leaf);
}

/* Store, and return what was there in the last moment, with all that the hardware wrote to it. */
static inline pt_entry take_entry(const struct tree *tree, void *table, size_t index, pt_entry to)
{
    pt_entry from = load_entry(table, index);

    if (hardware_writes(tree, from))
        return exchange_entry(table, index, to);
    store_entry(table, index, to);
    return from;
}

/* Add what the hardware recorded in `from` to a leaf in use. */
static inline void add_recorded(const struct tree *tree, void *table, size_t index, pt_entry from)
{
    pt_entry old = load_entry(table, index);

    while (!swap_entry(table, index, &old, encoding.keep_recorded(format_of(tree), from, old)))
        ;
}

/*
 * An entry in use becomes another one. Where the architecture wants it, the old one is invalidated
 * everywhere before the new one is there. Returns the old entry as it was in the last moment.
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
    from = take_entry(tree, table, index, breaks ? 0 : to);
    if (was_table || had_rights)
        pt_flush_add(flush, vaddr, size, step, global);
    else
        owe_new_mapping(tree, flush, vaddr, size, size, global || (!is_table && leaf_is_global(tree, to, level)),
                        false);
    flush->tables_changed |= was_table || is_table;
    if (was_table || is_table)
        owe_root_entry(tree, flush, level);
    if (breaks) {
        pt_flush_invalidate(flush);
        publish_entry(table, index, to);
        flush->barrier = true;
    }
    return from;
}

/* Leaves for a run of entries. */
struct leaves {
    pt_entry attributes;
    struct shape shape;
    pt_paddr paddr; /* of the first one */
};

PT_INLINE pt_entry nth_leaf(const struct tree *tree, const struct leaves *leaves, size_t i, unsigned level)
{
    pt_paddr paddr = leaves->paddr + i * level_size(tree, level);

    return leaves->attributes ^ encoding.address(format_of(tree), paddr, leaves->shape);
}

/* Fill entries of a table that nothing leads to yet. */
static inline void fill_leaves(const struct tree *tree, void *table, size_t index, size_t count, unsigned level,
                               const struct leaves *leaves)
{
    uint64_t size = level_size(tree, level);
    pt_entry address = encoding.address(format_of(tree), leaves->paddr, leaves->shape);
    pt_entry step = encoding.address(format_of(tree), size, leaves->shape);
    pt_entry attributes = leaves->attributes;

    /* The address in the entry grows as the address does, but where its highest bits stand elsewhere (AArch64). */
    if (leaves->shape.grouped || ((leaves->paddr ^ (leaves->paddr + (count - 1) * size)) >> 48) != 0) {
        for (size_t i = 0; i < count; i++)
            fill_entry(table, index + i, nth_leaf(tree, leaves, i, level));
        return;
    }
    PT_UNROLL(8)
    for (size_t i = 0; i < count; i++, address += step)
        fill_entry(table, index + i, attributes ^ address);
}

/*
 * The same for neighbours that are, or become, one page: none of the new ones is there before all of the old
 * ones are gone, where that matters. With `keep`, what was recorded in any of them is recorded in all.
 */
static inline void replace_leaves(const struct tree *tree, struct pt_flush *flush, void *table, size_t index,
                                  size_t count, unsigned level, pt_vaddr vaddr, const struct leaves *to, bool keep)
{
    uint64_t size = level_size(tree, level);
    pt_entry from = load_entry(table, index), sum = nth_leaf(tree, to, 0, level);
    bool had_rights = leaf_has_rights(tree, from, level);
    bool global = leaf_is_global(tree, from, level) || (!had_rights && leaf_is_global(tree, sum, level));
    bool breaks = must_break(tree, from, sum, level);

    if (!breaks && !had_rights)
        settle(flush, vaddr, vaddr + (count * size - 1));
    for (size_t i = 0; i < count; i++) {
        from = take_entry(tree, table, index + i, breaks ? 0 : nth_leaf(tree, to, i, level));
        sum = encoding.keep_recorded(format_of(tree), from, sum);
    }
    if (had_rights)
        pt_flush_add(flush, vaddr, count * size, size, global);
    else
        owe_new_mapping(tree, flush, vaddr, count * size, size, global, false);
    if (breaks)
        pt_flush_invalidate(flush);
    for (size_t i = 0; i < count && (breaks || keep); i++) {
        pt_entry leaf = nth_leaf(tree, to, i, level);

        if (breaks)
            publish_entry(table, index + i, keep ? encoding.keep_recorded(format_of(tree), sum, leaf) : leaf);
        else if (encoding.keep_recorded(format_of(tree), sum, leaf) != leaf)
            add_recorded(tree, table, index + i, sum);
    }
    flush->barrier |= breaks;
}

/* ---- Under the running code -------------------------------------------------------------------- */

/*
 * To break [first, last] of the table that this CPU runs on would pull away what the change itself needs:
 * its code, its stack, what it was given and reads, the table that it writes to. Looked at before anything is touched.
 * A 32-bit CPU does not know the bits above 32 of its addresses.
 */
static inline bool breaks_itself(const struct page_table *pt, const struct pt_flush *flush, const void *table,
                                 pt_vaddr first, pt_vaddr last)
{
    const uintptr_t needed[] = {
        (uintptr_t)replace_entry,
        (uintptr_t)replace_leaves,
        (uintptr_t)pt_flush_invalidate,
        (uintptr_t)pt_invalidate,
        (uintptr_t)operations.invalidate,
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
        if (needed[i] != 0 && needed[i] >= (uintptr_t)first && needed[i] <= (uintptr_t)last)
            return true;
    return false;
}

/* The same for the replacement of a page's entries, of which this is the first. */
static inline bool replacement_breaks_itself(const struct tree *tree, const struct page_table *pt,
                                             const struct pt_flush *flush, const struct place *at, pt_vaddr vaddr,
                                             pt_entry to)
{
    return must_break(tree, at->entry, to, at->level) && encoding.is_live && encoding.is_live(pt) &&
           breaks_itself(pt, flush, at->table, page_first(tree, at, vaddr), page_last(tree, at, vaddr));
}

/* ---- Splitting --------------------------------------------------------------------------------- */

/* The attributes of the page at `at` as those of another sort of page. */
static inline struct leaves leaves_like(const struct tree *tree, const struct place *at, struct page_sort sort)
{
    return (struct leaves){reshaped_attributes(tree, at->entry, sort_at(at), sort), shape_of(tree, sort),
                           leaf_paddr(tree, at->entry, at->level, page_index(at))};
}

/* The page at `at`, which begins at vaddr and takes several entries, becomes a page for each. */
static inline void ungroup(const struct tree *tree, const struct place *at, pt_vaddr vaddr, struct pt_flush *flush)
{
    struct leaves singles = leaves_like(tree, at, (struct page_sort){at->level, 0});

    replace_leaves(tree, flush, at->table, page_index(at), page_entries(at), at->level, vaddr, &singles, true);
}

/* The huge page at `at`, which begins at vaddr, becomes a table of the next smaller ones. */
static inline void split_leaf(const struct tree *tree, const struct place *at, pt_vaddr vaddr, pt_paddr made,
                              struct pt_flush *flush)
{
    unsigned level = at->level + 1;
    struct leaves parts = leaves_like(tree, at, (struct page_sort){level, group_bits(tree, level)});
    size_t entries = level_entries(tree, level);
    void *table = table_at(tree, made);
    pt_entry old;

    fill_leaves(tree, table, 0, entries, level, &parts);
    old = replace_entry(tree, flush, at->table, at->index, at->level, vaddr, table_entry(tree, made, at->level));
    if (old != at->entry)
        for (size_t i = 0; i < entries; i++)
            add_recorded(tree, table, i, old);
}

static inline void split_page(const struct tree *tree, const struct place *at, pt_vaddr vaddr, struct reserve *reserve,
                              struct pt_flush *flush)
{
    if (at->group != 0)
        ungroup(tree, at, page_first(tree, at, vaddr), flush);
    else
        split_leaf(tree, at, page_first(tree, at, vaddr), take_table(tree, at->table, at->index, at->level, reserve),
                   flush);
}

/* Smaller pages can take the place of the one at `at`. */
static inline bool can_split(const struct tree *tree, const struct place *at)
{
    struct page_sort smallest = {last_level(tree), 0};

    return !encoding.narrow_pa_bits || paddr_fits(tree, leaf_paddr(tree, at->entry, at->level, page_index(at)),
                                                  sort_size(tree, sort_at(at)), smallest);
}

/* To split the page would break what the change itself uses. */
static inline bool split_breaks_itself(const struct tree *tree, const struct page_table *pt,
                                       const struct pt_flush *flush, const struct place *at, pt_vaddr vaddr)
{
    struct leaves singles;

    if (at->group == 0)
        return replacement_breaks_itself(tree, pt, flush, at, vaddr, table_entry(tree, 0, at->level));
    singles = leaves_like(tree, at, (struct page_sort){at->level, 0});
    return replacement_breaks_itself(tree, pt, flush, at, vaddr, nth_leaf(tree, &singles, 0, at->level));
}

/*
 * Whether no page stands across the boundary. If one does, it is at *at. Of the addresses on both sides of it, `beside`
 * is the one that is in the caller's region: the tables of the other may be another writer's, who retires them.
 */
static inline bool is_page_boundary(const struct tree *tree, const struct page_table *pt, pt_vaddr boundary,
                                    pt_vaddr beside, struct place *at)
{
    if (boundary == 0 || is_aligned(boundary, level_size(tree, 0) << group_bits(tree, 0)))
        return true;
    *at = descend(tree, pt->root, beside);
    return at->kind != ENTRY_LEAF || page_first(tree, at, boundary) == boundary;
}

/* Split what is in the way of a page boundary, until it is one. */
static inline void split_at(const struct tree *tree, const struct page_table *pt, pt_vaddr boundary, pt_vaddr beside,
                            struct reserve *reserve, struct pt_flush *flush)
{
    struct place at;

    while (!is_page_boundary(tree, pt, boundary, beside, &at))
        split_page(tree, &at, boundary, reserve, flush);
}

/* What stands across the two ends of a region. */
struct edges {
    bool cut_first, cut_end; /* a page does */
    struct place first, end;
};

static inline struct edges edges_of(const struct tree *tree, const struct page_table *pt, pt_vaddr first, pt_vaddr end)
{
    struct edges edges = {0};

    edges.cut_first = !is_page_boundary(tree, pt, first, first, &edges.first);
    edges.cut_end = !is_page_boundary(tree, pt, end, end - 1, &edges.end);
    return edges;
}

/* How many frames for tables it takes to have page boundaries at both ends. */
static inline size_t count_splits(const struct tree *tree, const struct edges *edges, pt_vaddr first, pt_vaddr end)
{
    unsigned first_level = edges->cut_first ? edges->first.level : last_level(tree);
    unsigned end_level = edges->cut_end ? edges->end.level : last_level(tree);
    size_t count = 0;

    for (unsigned level = 0; level < last_level(tree); level++) {
        bool at_first = level >= first_level && !is_aligned(first, level_size(tree, level));
        bool at_end = level >= end_level && !is_aligned(end, level_size(tree, level));
        bool same = ((first ^ end) >> (level_shift(tree, level) + encoding.packed_bits)) == 0;

        /* Where tables share frames, there are two levels: the page stands in the root. */
        if (encoding.packed_bits != 0) {
            at_first = at_first && frame_beside(tree, edges->first.table, edges->first.index, 0) == PT_NO_FRAME;
            at_end = at_end && frame_beside(tree, edges->end.table, edges->end.index, 0) == PT_NO_FRAME;
        }
        count += at_first && at_end && same ? 1u : (size_t)at_first + at_end;
    }
    return count;
}

#endif
