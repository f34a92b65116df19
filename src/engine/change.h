/* SPDX-License-Identifier: MIT */
/*
 * Unmapping, protecting and remapping what is mapped. Regions go by plan (look, count the splits), reserve
 * (frames for them; may fail) and commit (split at both ends, then run by run; cannot fail).
 */
#ifndef PT_ENGINE_CHANGE_H
#define PT_ENGINE_CHANGE_H

#include "live.h"
#include "prune.h"

/* ---- Regions ----------------------------------------------------------------------------------- */

struct change {
    pt_vaddr first, last;
    unsigned options;
    bool protect; /* else unmap */
    pt_flags flags;
};

/* What the plan found. */
struct change_plan {
    bool cuts;     /* pages stand across the ends of the region */
    size_t splits; /* tables that it takes to split them */
    bool global;   /* global pages are among what changes */
};

/* The region, from vaddr on, covers the whole of vaddr's entry. */
static inline bool covers_entry(const struct tree *tree, unsigned level, pt_vaddr vaddr, pt_vaddr last)
{
    return is_aligned(vaddr, level_size(tree, level)) && last >= entry_last(tree, level, vaddr);
}

/* How many entries of this table, from the one of vaddr on, begin before or at last. */
static inline size_t run_length(const struct tree *tree, unsigned level, size_t index, pt_vaddr vaddr, pt_vaddr last)
{
    unsigned shift = level_shift(tree, level);
    uint64_t wanted = (last >> shift) - (vaddr >> shift) + 1;
    size_t left = level_entries(tree, level) - index;

    return wanted < left ? (size_t)wanted : left;
}

/* The last address of `count` entries from the one of vaddr on. */
static inline pt_vaddr run_last(const struct tree *tree, unsigned level, pt_vaddr vaddr, size_t count)
{
    return entry_last(tree, level, vaddr) + (((uint64_t)count - 1) << level_shift(tree, level));
}

/* What the leaf of an entry becomes with other attributes. */
static inline pt_entry with_attributes(const struct tree *tree, pt_entry old, struct page_sort sort, size_t index,
                                       pt_entry attributes)
{
    pt_paddr paddr = leaf_paddr(tree, old, sort.level, index);

    return encoding.keep_recorded(format_of(tree), old,
                                  attributes ^ encoding.address(format_of(tree), paddr, shape_of(tree, sort)));
}

/* Giving the page these flags would break what the change itself uses. */
static inline bool protect_breaks_itself(const struct tree *tree, const struct page_table *pt,
                                         const struct pt_flush *flush, const struct place *at, pt_vaddr vaddr,
                                         pt_flags flags)
{
    pt_entry attributes;

    if (!encoding.must_break)
        return false;
    attributes = attributes_of(tree, flags, sort_at(at));
    return replacement_breaks_itself(tree, pt, flush, at, vaddr,
                                     with_attributes(tree, at->entry, sort_at(at), at->index, attributes));
}

/* The bits of a leaf of the last level, alone in its group, that do not depend on the address. */
static inline pt_entry attribute_bits(const struct tree *tree)
{
    return ~encoding.address(format_of(tree), encoding.paddr_mask(format_of(tree)), (struct shape){true, false});
}

/* Look at a run of the last level; false if it has a hole and must not. */
static inline bool plan_last_level(const struct tree *tree, const void *table, size_t index, size_t end,
                                   const struct change *change, struct change_plan *plan)
{
    pt_entry first = load_entry(table, index), differences = 0;
    bool hole = false, global = false;

    /* Most runs are alike. */
    PT_UNROLL(4)
    for (size_t i = index; i < end; i++)
        differences |= load_entry(table, i) ^ first;
    if ((differences & attribute_bits(tree)) == 0)
        end = index + 1;

    for (; index < end; index++) {
        pt_entry entry = load_entry(table, index);
        bool empty = entry_kind(tree, entry, last_level(tree)) == ENTRY_EMPTY;

        hole |= empty;
        global |= !empty & leaf_is_global(tree, entry, last_level(tree));
    }
    plan->global |= global;
    return !hole || (change->options & PT_SKIP_HOLES);
}

/* Every page of the region is there, unless holes are allowed, and may be changed. */
static inline enum pt_status plan_pages(const struct tree *tree, const struct page_table *pt,
                                        const struct change *change, const struct pt_flush *flush,
                                        struct change_plan *plan)
{
    for (pt_vaddr vaddr = change->first;;) {
        struct place at = descend(tree, pt->root, vaddr);
        size_t end = at.index + run_length(tree, at.level, at.index, vaddr, change->last);

        if (is_borrowed(tree, pt, vaddr))
            return PT_SHARED;
        if (at.level == last_level(tree) && !(change->protect && encoding.must_break)) {
            if (!plan_last_level(tree, at.table, at.index, end, change, plan))
                return PT_NOT_MAPPED;
            if (entry_last(tree, at.level - 1, vaddr) >= change->last)
                return PT_OK;
            vaddr = entry_last(tree, at.level - 1, vaddr) + 1;
            continue;
        }
        for (; at.index < end; at.index++) {
            at.entry = load_entry(at.table, at.index);
            at.kind = entry_kind(tree, at.entry, at.level);

            if (at.kind == ENTRY_TABLE)
                break; /* goes on below it */
            if (at.level == 0 && is_borrowed(tree, pt, vaddr))
                return PT_SHARED;
            if (at.kind == ENTRY_EMPTY) {
                if (!(change->options & PT_SKIP_HOLES))
                    return PT_NOT_MAPPED;
            } else {
                at.group = leaf_sort(tree, at.entry, at.level).group;
                if (change->protect && protect_breaks_itself(tree, pt, flush, &at, vaddr, change->flags))
                    return PT_IN_USE;
                plan->global |= leaf_is_global(tree, at.entry, at.level);
            }
            if (entry_last(tree, at.level, vaddr) >= change->last)
                return PT_OK;
            vaddr = entry_last(tree, at.level, vaddr) + 1;
        }
    }
}

static inline enum pt_status plan_change(const struct tree *tree, const struct page_table *pt,
                                         const struct change *change, const struct pt_flush *flush,
                                         struct change_plan *plan)
{
    pt_vaddr end = change->last + 1;
    struct edges edges = edges_of(tree, pt, change->first, end);
    bool no_split = change->options & PT_NO_SPLIT;
    bool keep_first = edges.cut_first && (no_split || !can_split(tree, &edges.first));
    bool keep_end = edges.cut_end && (no_split || !can_split(tree, &edges.end));
    enum pt_status status;

    *plan = (struct change_plan){.cuts = edges.cut_first || edges.cut_end};
    if (keep_first && !is_borrowed(tree, pt, change->first))
        return PT_MAPPED_TO_HUGE_PAGE;
    status = plan_pages(tree, pt, change, flush, plan);
    if (status != PT_OK)
        return status;
    if (keep_end)
        return PT_MAPPED_TO_HUGE_PAGE;
    if ((edges.cut_first && split_breaks_itself(tree, pt, flush, &edges.first, change->first)) ||
        (edges.cut_end && split_breaks_itself(tree, pt, flush, &edges.end, end)))
        return PT_IN_USE;
    if (plan->cuts)
        plan->splits = count_splits(tree, &edges, change->first, end);
    return PT_OK;
}

/* Unmap a run of pages of one table. */
static inline void clear_run(const struct tree *tree, void *table, unsigned level, size_t index, size_t count,
                             pt_vaddr vaddr, bool global, struct pt_flush *flush)
{
    size_t from = count, to = 0; /* the pages among them that a TLB may hold */

    for (size_t i = 0; i < count; i++) {
        pt_entry entry = load_entry(table, index + i);

        if (entry == 0)
            continue;
        store_entry(table, index + i, 0);
        if (leaf_is_owed(tree, entry, level)) {
            from = i < from ? i : from;
            to = i + 1;
        }
    }
    if (from < to)
        pt_flush_add(flush, vaddr + from * level_size(tree, level), (to - from) * level_size(tree, level),
                     level_size(tree, level), global);
}

/* vaddr's entry leads to tables that go as they stand: the region covers them wholly. */
static inline bool goes_as_a_whole(const struct tree *tree, const struct page_table *pt, unsigned level, size_t index,
                                   pt_vaddr vaddr, pt_vaddr last)
{
    return covers_entry(tree, level, vaddr, last) && may_retire(tree, pt, level, index);
}

/* The run of entries, from vaddr's on, that can be unmapped without going below; returns how many it unmapped. */
static inline size_t unmap_run(const struct tree *tree, const struct page_table *pt, const struct place *at,
                               pt_vaddr vaddr, pt_vaddr last, bool global, struct pt_flush *flush)
{
    size_t count = run_length(tree, at->level, at->index, vaddr, last);
    uint64_t size = level_size(tree, at->level);

    if (at->level == last_level(tree)) {
        clear_run(tree, at->table, at->level, at->index, count, vaddr, global, flush);
        return count;
    }
    for (size_t i = 0; i < count; i++, vaddr += size) {
        size_t index = at->index + i;
        pt_entry entry = load_entry(at->table, index);
        enum entry_kind kind = entry_kind(tree, entry, at->level);

        if (kind == ENTRY_LEAF) {
            clear_run(tree, at->table, at->level, index, 1, vaddr, global, flush);
        } else if (kind == ENTRY_TABLE) {
            if (!goes_as_a_whole(tree, pt, at->level, index, vaddr, last))
                return i;
            store_entry(at->table, index, 0);
            retire_below(tree, flush, at->table, index, entry, at->level);
            pt_flush_add(flush, vaddr, size, smallest_page(tree), global);
            owe_root_entry(tree, flush, at->level);
        }
    }
    return count;
}

static inline void unmap_runs(const struct tree *tree, const struct page_table *pt, pt_vaddr first, pt_vaddr last,
                              bool global, struct pt_flush *flush)
{
    for (pt_vaddr vaddr = first;;) {
        struct place at = {.table = table_at(tree, pt->root)};

        for (;; at.level++) {
            at.index = index_of(tree, vaddr, at.level);
            at.entry = load_entry(at.table, at.index);
            at.kind = entry_kind(tree, at.entry, at.level);
            if (at.kind != ENTRY_TABLE || goes_as_a_whole(tree, pt, at.level, at.index, vaddr, last))
                break;
            at.table = table_of(tree, at.entry);
        }
        vaddr = entry_first(tree, at.level, vaddr); /* it may lie inside a hole */
        vaddr = run_last(tree, at.level, vaddr, unmap_run(tree, pt, &at, vaddr, last, global, flush));
        if (vaddr >= last)
            return;
        vaddr++;
    }
}

/*
 * Give one leaf new attributes, in place. Returns whether the invalidation of its old translation is left to the
 * caller, who knows of runs.
 */
static inline bool protect_entry(const struct tree *tree, struct pt_flush *flush, void *table, size_t index,
                                 struct page_sort sort, pt_vaddr vaddr, pt_entry attributes)
{
    pt_entry old = load_entry(table, index);
    pt_entry leaf = with_attributes(tree, old, sort, index, attributes);

    if (old == leaf)
        return false;
    if (must_break(tree, old, leaf, sort.level) || !leaf_has_rights(tree, old, sort.level)) {
        old = replace_entry(tree, flush, table, index, sort.level, vaddr, leaf);
        if (with_attributes(tree, old, sort, index, attributes) != leaf)
            add_recorded(tree, table, index, old);
        return false;
    }
    if (hardware_writes(tree, old)) {
        while (!swap_entry(table, index, &old, leaf))
            leaf = with_attributes(tree, old, sort, index, attributes);
    } else {
        store_entry(table, index, leaf);
    }
    return true;
}

/* The same for the page at `at`, which begins there and at vaddr. Where entries must agree, they change together. */
static inline bool protect_page(const struct tree *tree, struct pt_flush *flush, const struct place *at, pt_vaddr vaddr,
                                pt_entry attributes)
{
    bool owes = false;

    if (at->group != 0 && encoding.must_break) {
        struct leaves leaves = {attributes, shape_of(tree, sort_at(at)),
                                leaf_paddr(tree, at->entry, at->level, at->index)};

        if (at->entry != with_attributes(tree, at->entry, sort_at(at), at->index, attributes))
            replace_leaves(tree, flush, at->table, at->index, page_entries(at), at->level, vaddr, &leaves, true);
        return false;
    }
    for (size_t i = 0; i < page_entries(at); i++)
        owes |= protect_entry(tree, flush, at->table, at->index + i, sort_at(at),
                              vaddr + i * level_size(tree, at->level), attributes);
    return owes;
}

/*
 * What protecting did to `old`, protect does to all leaves behind it that differ from it in the address alone, because
 * leaf == attributes ^ address. Returns how many of the `count` leaves from the index on these are.
 */
static inline size_t protect_alike(const struct tree *tree, void *table, size_t index, size_t count, pt_entry old,
                                   pt_entry difference)
{
    pt_entry fixed = attribute_bits(tree), entry;
    size_t i = 0;

    if (hardware_writes(tree, old)) {
        while (i < count && (entry = load_entry(table, index + i), ((entry ^ old) & fixed) == 0) &&
               swap_entry(table, index + i, &entry, entry ^ difference))
            i++;
    } else {
        for (; i + 8 <= count; i += 8) {
            pt_entry differences = 0;

            PT_UNROLL(8)
            for (size_t j = 0; j < 8; j++)
                differences |= load_entry(table, index + i + j) ^ old;
            if (differences & fixed)
                break;
            PT_UNROLL(8)
            for (size_t j = 0; j < 8; j++)
                store_entry(table, index + i + j, load_entry(table, index + i + j) ^ difference);
        }
        for (; i < count && (entry = load_entry(table, index + i), ((entry ^ old) & fixed) == 0); i++)
            store_entry(table, index + i, entry ^ difference);
    }
    return i;
}

/* Protect the run of entries from vaddr's on, as far as it need not go below; returns how many it passed. */
static inline size_t protect_run(const struct tree *tree, const struct place *first, pt_vaddr vaddr, pt_vaddr last,
                                 pt_flags flags, bool global, struct pt_flush *flush)
{
    struct place at = *first;
    size_t count = run_length(tree, at.level, at.index, vaddr, last);
    uint64_t size = level_size(tree, at.level);
    pt_entry attributes = attributes_of(tree, flags, (struct page_sort){at.level, 0});
    size_t from = count, to = 0; /* the entries whose old translation is owed */

    for (size_t i = 0; i < count; i += page_entries(&at)) {
        at.index = first->index + i;
        at.entry = load_entry(at.table, at.index);
        at.kind = entry_kind(tree, at.entry, at.level);
        at.group = at.kind == ENTRY_LEAF ? leaf_sort(tree, at.entry, at.level).group : 0;
        if (at.kind == ENTRY_TABLE)
            count = i;
        if (at.kind != ENTRY_LEAF ||
            !protect_page(tree, flush, &at, vaddr + i * size,
                          at.group != 0 ? attributes_of(tree, flags, sort_at(&at)) : attributes))
            continue;
        from = i < from ? i : from;
        if (at.level == last_level(tree) && at.group == 0)
            i += protect_alike(tree, at.table, at.index + 1, count - i - 1, at.entry,
                               at.entry ^ with_attributes(tree, at.entry, sort_at(&at), at.index, attributes));
        to = i + page_entries(&at);
    }
    if (from < to)
        pt_flush_add(flush, vaddr + from * size, (to - from) * size, size, global);
    return count;
}

static inline void protect_runs(const struct tree *tree, const struct page_table *pt, pt_vaddr first, pt_vaddr last,
                                pt_flags flags, bool global, struct pt_flush *flush)
{
    for (pt_vaddr vaddr = first;;) {
        struct place at = descend(tree, pt->root, vaddr);

        vaddr = entry_first(tree, at.level, vaddr); /* it may lie inside a hole */
        vaddr = run_last(tree, at.level, vaddr, protect_run(tree, &at, vaddr, last, flags, global, flush));
        if (vaddr >= last)
            return;
        vaddr++;
    }
}

static inline void commit_change(const struct tree *tree, struct page_table *pt, const struct change *change,
                                 const struct change_plan *plan, struct reserve *reserve, struct pt_flush *flush)
{
    if (plan->cuts) {
        split_at(tree, pt, change->first, change->first, reserve, flush);
        split_at(tree, pt, change->last + 1, change->last, reserve, flush);
    }
    if (change->protect) {
        protect_runs(tree, pt, change->first, change->last, change->flags, plan->global, flush);
    } else {
        unmap_runs(tree, pt, change->first, change->last, plan->global, flush);
        /* Other writers may be in the tables at the two ends, which the region does not cover. */
        if (has_parallel_writers(tree))
            return;
        forget_latest(pt);
        prune_path(tree, pt, change->first, flush);
        prune_path(tree, pt, change->last, flush);
    }
}

static inline enum pt_status change_region(struct page_table *pt, const struct change *change, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct reserve reserve = RESERVE_EMPTY;
    struct change_plan plan;
    enum pt_status status;

    do
        status = plan_change(&tree, pt, change, flush, &plan);
    while (must_plan_again(&tree, pt, &reserve, plan.splits, &status));
    if (status == PT_OK)
        commit_change(&tree, pt, change, &plan, &reserve, flush);
    reserve_release(&tree, pt, &reserve);
    return status;
}

static inline enum pt_status engine_unmap_region(struct page_table *pt, pt_vaddr vaddr, uint64_t size, unsigned options,
                                                 struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct change change = {.first = vaddr, .last = vaddr + (size - 1), .options = options};
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_region(&tree, vaddr, size, vaddr | size, 0, options);
    if (status != PT_OK)
        return status;
    return change_region(pt, &change, flush);
}

static inline enum pt_status engine_protect_region(struct page_table *pt, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                                   unsigned options, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct change change = {
        .first = vaddr, .last = vaddr + (size - 1), .options = options, .protect = true, .flags = flags};
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_region(&tree, vaddr, size, vaddr | size, flags, options);
    if (status != PT_OK)
        return status;
    return change_region(pt, &change, flush);
}

/* ---- The page that holds an address ------------------------------------------------------------ */

/* Find it, or say why it cannot be changed. */
PT_INLINE enum pt_status find_page(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr,
                                   struct place *at)
{
    if (!vaddr_is_canonical(tree, vaddr))
        return PT_BAD_ADDRESS;
    *at = descend_inline(tree, pt->root, vaddr, last_level(tree));
    if (is_borrowed(tree, pt, vaddr))
        return PT_SHARED;
    return at->kind == ENTRY_LEAF ? PT_OK : PT_NOT_MAPPED;
}

PT_INLINE enum pt_status unmap_page(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr,
                                    struct pt_mapping *old, struct pt_flush *flush)
{
    struct place at;
    enum pt_status status = find_page(tree, pt, vaddr, &at);
    uint64_t size;

    if (status != PT_OK)
        return status;
    size = level_size(tree, at.level);
    if (old)
        *old = mapping_of(tree, &at);
    for (size_t i = 0; i < page_entries(&at); i++) {
        /* What the hardware records in the last moment is only of interest to who asks. */
        if (!old) {
            store_entry(at.table, page_index(&at) + i, 0);
            continue;
        }
        at.entry = take_entry(tree, at.table, page_index(&at) + i, 0);
        old->flags |= recorded_in(tree, at.entry, at.level);
    }
    if (leaf_is_owed(tree, at.entry, at.level))
        pt_flush_add(flush, page_first(tree, &at, vaddr), size << at.group, size,
                     leaf_is_global(tree, at.entry, at.level));
    return PT_OK;
}

PT_OUTLINE enum pt_status unmap_by_handler(const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *old,
                                           struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);

    return unmap_page(&tree, pt, vaddr, old, flush);
}

static inline enum pt_status engine_unmap(struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *old,
                                          struct pt_flush *flush)
{
    struct tree tree = linear_tree_of(pt);

    return is_linear(pt) ? unmap_page(&tree, pt, vaddr, old, flush) : unmap_by_handler(pt, vaddr, old, flush);
}

static inline enum pt_status engine_protect(struct page_table *pt, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size,
                                            struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct place at;
    enum pt_status status;
    uint64_t size;

    if (!flags_exist(flags))
        return PT_BAD_FLAGS;
    status = find_page(&tree, pt, vaddr, &at);
    if (status != PT_OK)
        return status;
    if (protect_breaks_itself(&tree, pt, flush, &at, vaddr, flags))
        return PT_IN_USE;

    vaddr = page_first(&tree, &at, vaddr);
    at.index = page_index(&at);
    at.entry = load_entry(at.table, at.index);
    size = level_size(&tree, at.level);
    if (page_size)
        *page_size = size << at.group;
    if (protect_page(&tree, flush, &at, vaddr, attributes_of(&tree, flags, sort_at(&at))))
        pt_flush_add(flush, vaddr, size << at.group, size, leaf_is_global(&tree, at.entry, at.level));
    return PT_OK;
}

static inline enum pt_status engine_remap(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags,
                                          uint64_t *page_size, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct leaves leaves = {.paddr = paddr};
    struct place at;
    enum pt_status status;
    uint64_t size;

    if (!flags_exist(flags))
        return PT_BAD_FLAGS;
    status = find_page(&tree, pt, vaddr, &at);
    if (status != PT_OK)
        return status;
    size = sort_size(&tree, sort_at(&at));
    if (!is_aligned(paddr, size))
        return PT_NOT_ALIGNED;
    if (!paddr_fits(&tree, paddr, size, sort_at(&at)))
        return PT_BAD_ADDRESS;

    at.index = page_index(&at);
    at.entry = load_entry(at.table, at.index);
    vaddr = page_first(&tree, &at, vaddr);
    leaves.shape = shape_of(&tree, sort_at(&at));
    leaves.attributes = attributes_of(&tree, flags, sort_at(&at));
    if (encoding.must_break &&
        replacement_breaks_itself(&tree, pt, flush, &at, vaddr, nth_leaf(&tree, &leaves, 0, at.level)))
        return PT_IN_USE;
    if (page_size)
        *page_size = size;
    replace_leaves(&tree, flush, at.table, at.index, page_entries(&at), at.level, vaddr, &leaves, false);
    return PT_OK;
}

#endif
