/* SPDX-License-Identifier: MIT */
/* Other page sizes for the same translations: split and collapse. */
#ifndef PT_ENGINE_RESHAPE_H
#define PT_ENGINE_RESHAPE_H

#include "live.h"
#include "prune.h"

/* ---- Split ------------------------------------------------------------------------------------- */

/* The page at vaddr can be split down to this size; counts the tables that it takes. */
static inline enum pt_status plan_split(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr,
                                        struct page_sort sort, const struct pt_flush *flush, size_t *needed)
{
    struct place at = descend(tree, pt->root, vaddr);

    *needed = 0;
    if (is_borrowed(tree, pt, vaddr))
        return PT_SHARED;
    if (at.kind != ENTRY_LEAF)
        return PT_NOT_MAPPED;
    if (sort_size(tree, sort_at(&at)) <= sort_size(tree, sort))
        return PT_OK;
    if (!can_split(tree, &at))
        return PT_MAPPED_TO_HUGE_PAGE;
    if (split_breaks_itself(tree, pt, flush, &at, vaddr))
        return PT_IN_USE;
    if (frame_beside(tree, at.table, at.index, at.level) == PT_NO_FRAME)
        *needed = sort.level - at.level;
    return PT_OK;
}

static inline enum pt_status engine_split(struct page_table *pt, pt_vaddr vaddr, uint64_t page_size,
                                          struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct reserve reserve = RESERVE_EMPTY;
    enum pt_status status;
    struct page_sort sort;
    size_t needed;

    if (!size_exists(&tree, page_size))
        return PT_BAD_SIZE;
    if (!vaddr_is_canonical(&tree, vaddr))
        return PT_BAD_ADDRESS;

    sort = sort_of_size(&tree, page_size);
    do
        status = plan_split(&tree, pt, vaddr, sort, flush, &needed);
    while (must_plan_again(&tree, pt, &reserve, needed, &status));
    if (status == PT_OK) {
        struct place at;

        while (at = descend(&tree, pt->root, vaddr), sort_size(&tree, sort_at(&at)) > page_size)
            split_page(&tree, &at, vaddr, &reserve, flush);
    }
    reserve_release(&tree, pt, &reserve);
    return status;
}

/* ---- Collapse ---------------------------------------------------------------------------------- */

/* Where nobody keeps track, accessed and dirty are set for good: a CPU would fault on a clear one. */
static inline pt_entry without_records(const struct tree *tree, pt_entry leaf)
{
    if (!format_of(tree)->tracks_access)
        return leaf;
    return encoding.clear_recorded(format_of(tree), leaf, PT_ACCESSED | PT_DIRTY);
}

/*
 * The larger page that all these entries of a table, together, are; false if they are none. It has no records;
 * accessed and dirty of all parts come later.
 */
static inline bool larger_page(const struct tree *tree, const void *table, size_t index, size_t count, unsigned level,
                               struct page_sort sort, struct leaves *page)
{
    uint64_t size = level_size(tree, level);

    page->shape = shape_of(tree, sort);
    for (size_t i = 0; i < count; i++) {
        pt_entry entry = load_entry(table, index + i), attributes;
        pt_paddr paddr;

        if (entry_kind(tree, entry, level) != ENTRY_LEAF)
            return false;
        paddr = leaf_paddr(tree, entry, level, index + i);
        attributes = reshaped_attributes(tree, without_records(tree, entry), leaf_sort(tree, entry, level), sort);
        if (i == 0) {
            page->attributes = attributes;
            page->paddr = paddr;
            if (!is_aligned(paddr, sort_size(tree, sort)))
                return false;
        }
        if (attributes != page->attributes || paddr != page->paddr + i * size)
            return false;
    }
    return true;
}

/* Add what is recorded in the pages of a table to the one that takes its place. */
static inline pt_entry with_records(const struct tree *tree, const void *table, unsigned level, pt_entry leaf)
{
    for (size_t i = 0; i < level_entries(tree, level); i++)
        leaf = encoding.keep_recorded(format_of(tree), load_entry(table, i), leaf);
    return leaf;
}

/* The table that the entry at `at` leads to becomes one page, if its pages are one. */
static inline void collapse_table(const struct tree *tree, const struct page_table *pt, const struct place *at,
                                  pt_vaddr vaddr, struct pt_flush *flush)
{
    unsigned level = at->level + 1;
    void *table = table_of(tree, at->entry);
    struct leaves page = {0};
    pt_entry leaf;

    if (!may_retire(tree, pt, at->level, at->index) ||
        !larger_page(tree, table, 0, level_entries(tree, level), level, (struct page_sort){at->level, 0}, &page))
        return;
    leaf = nth_leaf(tree, &page, 0, at->level);
    if (replacement_breaks_itself(tree, pt, flush, at, vaddr, leaf))
        return;

    /* A TLB may hold each of the old pages. They translate alike, but would outlive the new one's invalidation. */
    pt_flush_add(flush, vaddr, level_size(tree, at->level), level_size(tree, level),
                 leaf_is_global(tree, leaf, at->level));
    replace_entry(tree, flush, at->table, at->index, at->level, vaddr, with_records(tree, table, level, leaf));

    /* Until the old pages are invalidated, the hardware may still record what it does in their entries. */
    if (encoding.hardware_writes && format_of(tree)->tracks_access) {
        pt_flush_invalidate(flush);
        add_recorded(tree, at->table, at->index, with_records(tree, table, level, leaf));
    }
    retire_unhooked(tree, flush, at->table, at->index, at->entry, at->level);
}

/* The pages at `at` and behind it, at vaddr, become one page of several entries, if they are one. */
static inline void group_pages(const struct tree *tree, const struct page_table *pt, const struct place *at,
                               pt_vaddr vaddr, struct pt_flush *flush)
{
    struct place group = *at;
    struct leaves page;

    group.group = group_bits(tree, at->level);
    if (!larger_page(tree, at->table, at->index, page_entries(&group), at->level, sort_at(&group), &page) ||
        replacement_breaks_itself(tree, pt, flush, &group, vaddr, nth_leaf(tree, &page, 0, at->level)))
        return;
    replace_leaves(tree, flush, at->table, at->index, page_entries(&group), at->level, vaddr, &page, true);
}

/* Collapse the tables that entries of this level lead to. */
static inline void collapse_tables(const struct tree *tree, const struct page_table *pt, unsigned level, pt_vaddr first,
                                   pt_vaddr last, struct pt_flush *flush)
{
    struct place at;

    for (pt_vaddr vaddr = first; next_table(tree, pt, level, &vaddr, last, &at);) {
        pt_vaddr entry_end = entry_last(tree, level, vaddr);

        if (vaddr >= first && entry_end <= last)
            collapse_table(tree, pt, &at, vaddr, flush);
        if (entry_end >= last)
            return;
        vaddr = entry_end + 1;
    }
}

/* Make pages of several entries in the tables of this level. */
static inline void collapse_groups(const struct tree *tree, const struct page_table *pt, unsigned level, pt_vaddr first,
                                   pt_vaddr last, struct pt_flush *flush)
{
    uint64_t size = level_size(tree, level) << group_bits(tree, level);

    for (pt_vaddr vaddr = first;;) {
        struct place at = descend_to(tree, pt->root, vaddr, level);
        pt_vaddr passed = at.level < level ? entry_last(tree, at.level, vaddr) : vaddr | (size - 1);

        if (at.level == level && at.kind == ENTRY_LEAF && at.group == 0 && is_aligned(vaddr, size) && passed <= last)
            group_pages(tree, pt, &at, vaddr, flush);
        if (passed >= last)
            return;
        vaddr = passed + 1;
    }
}

static inline enum pt_status engine_collapse(struct page_table *pt, pt_vaddr vaddr, uint64_t size,
                                             struct pt_flush *flush)
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
    /* Whole tables first: what they become need not be grouped. */
    for (unsigned level = last_level(&tree);; level--) {
        if (level > 0 && level_has_pages(&tree, level - 1))
            collapse_tables(&tree, pt, level - 1, vaddr, last, flush);
        if (group_bits(&tree, level) != 0)
            collapse_groups(&tree, pt, level, vaddr, last, flush);
        if (level == 0 || !level_has_pages(&tree, level - 1))
            return PT_OK;
    }
}

#endif
