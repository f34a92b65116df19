/* SPDX-License-Identifier: MIT */
/* Other page sizes for the same translations: split and collapse. */
#ifndef PT_ENGINE_RESHAPE_H
#define PT_ENGINE_RESHAPE_H

#include "live.h"
#include "prune.h"

/* ---- Split ------------------------------------------------------------------------------------- */

/* The page at vaddr can be split down to `level`; counts the tables that it takes. */
static inline enum pt_status plan_split(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr,
                                        unsigned level, const struct pt_flush *flush, size_t *needed)
{
    struct place at = descend(tree, pt->root, vaddr);

    *needed = 0;
    if (is_borrowed(tree, pt, vaddr))
        return PT_SHARED;
    if (at.kind != ENTRY_LEAF)
        return PT_NOT_MAPPED;
    if (at.level >= level)
        return PT_OK;
    if (replacement_breaks_itself(tree, pt, flush, &at, vaddr, encoding.table(format_of(tree), 0)))
        return PT_IN_USE;
    *needed = level - at.level;
    return PT_OK;
}

static inline enum pt_status engine_split(struct page_table *pt, pt_vaddr vaddr, uint64_t page_size,
                                          struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct reserve reserve = RESERVE_EMPTY;
    enum pt_status status;
    unsigned level;
    size_t needed;

    if (!level_of_size(&tree, page_size, &level))
        return PT_BAD_SIZE;
    if (!vaddr_is_canonical(&tree, vaddr))
        return PT_BAD_ADDRESS;

    while ((status = plan_split(&tree, pt, vaddr, level, flush, &needed)) == PT_OK && needed > reserve.count) {
        if (!reserve_fill(&tree, pt, &reserve, needed)) {
            status = PT_NO_MEMORY;
            break;
        }
    }
    for (; status == PT_OK && needed > 0; needed--) {
        struct place at = descend(&tree, pt->root, vaddr);

        split_leaf(&tree, &at, entry_first(&tree, at.level, vaddr), reserve_take(&tree, &reserve), flush);
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

/* The larger page that all pages of a table of this level, together, are; 0 if they are none. */
static inline pt_entry larger_page(const struct tree *tree, const void *table, unsigned level)
{
    bool last = level == last_level(tree);
    uint64_t size = level_size(tree, level);
    pt_entry first = load_entry(table, 0);
    pt_entry attributes, leaf;
    pt_paddr paddr;

    if (entry_kind(tree, first, level) != ENTRY_LEAF)
        return 0;
    paddr = encoding.leaf_paddr(format_of(tree), first, last);
    if (!is_aligned(paddr, level_size(tree, level - 1)))
        return 0;

    attributes = without_records(tree, first) ^ encoding.address(format_of(tree), paddr);
    for (size_t i = 1; i < level_entries(tree, level); i++)
        if (without_records(tree, load_entry(table, i)) !=
            (attributes ^ encoding.address(format_of(tree), paddr + i * size)))
            return 0;
    leaf = encoding.resized_attributes(format_of(tree), without_records(tree, first), last, false) ^
           encoding.address(format_of(tree), paddr);
    return leaf;
}

/* Add what is recorded in the pages of a table to the one that takes its place. */
static inline pt_entry with_records(const struct tree *tree, const void *table, unsigned level, pt_entry leaf)
{
    for (size_t i = 0; i < level_entries(tree, level); i++)
        leaf = encoding.keep_recorded(format_of(tree), load_entry(table, i), leaf);
    return leaf;
}

static inline void collapse_table(const struct tree *tree, const struct page_table *pt, const struct place *at,
                                  pt_vaddr vaddr, struct pt_flush *flush)
{
    unsigned level = at->level + 1;
    void *table = table_of(tree, at->entry);
    pt_entry leaf = larger_page(tree, table, level), records;

    if (leaf == 0 || !may_retire(tree, pt, at->level, at->index) ||
        replacement_breaks_itself(tree, pt, flush, at, vaddr, leaf))
        return;

    records = with_records(tree, table, level, leaf);
    /* A TLB may hold each of the old pages. They translate alike, but would outlive the new one's invalidation. */
    pt_flush_add(flush, vaddr, level_size(tree, at->level), level_size(tree, level),
                 leaf_is_global(tree, leaf, at->level));
    replace_entry(tree, flush, at->table, at->index, at->level, vaddr, records);

    /* Until the old pages are invalidated, the hardware may still record what it does in their entries. */
    if (encoding.hardware_writes && format_of(tree)->tracks_access) {
        pt_flush_invalidate(flush);
        add_recorded(tree, at->table, at->index, with_records(tree, table, level, leaf));
    }
    retire_table(tree, flush, encoding.table_paddr(format_of(tree), at->entry));
}

static inline enum pt_status engine_collapse(struct page_table *pt, pt_vaddr vaddr, uint64_t size,
                                             struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    pt_vaddr last = vaddr + (size - 1);
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_region(&tree, vaddr, size, vaddr | size, 0, 0);
    if (status == PT_OK && region_is_borrowed(&tree, pt, vaddr, last))
        status = PT_SHARED;
    if (status != PT_OK)
        return status;

    for (unsigned level = last_level(&tree); level > 0 && level_has_pages(&tree, level - 1); level--) {
        struct place at;

        for (pt_vaddr next = vaddr; next_table(&tree, pt, level - 1, &next, last, &at);) {
            pt_vaddr next_last = entry_last(&tree, level - 1, next);

            if (next >= vaddr && next_last <= last)
                collapse_table(&tree, pt, &at, next, flush);
            if (next_last >= last)
                break;
            next = next_last + 1;
        }
    }
    return PT_OK;
}

#endif
