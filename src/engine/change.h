/* SPDX-License-Identifier: MIT */
/* Unmapping, protecting and remapping what is mapped: single pages, and regions by plan and commit. */
#ifndef PT_ENGINE_CHANGE_H
#define PT_ENGINE_CHANGE_H

#include "check.h"
#include "retire.h"

/* ---- Regions, run by run ----------------------------------------------------------------------- */

/* How many entries of this table, from the one of vaddr on, begin before or at last. */
PT_INLINE size_t run_length(const struct tree *tree, unsigned level, size_t index, pt_vaddr vaddr, pt_vaddr last)
{
    unsigned shift = level_shift(tree, level);
    uint64_t wanted = (last >> shift) - (vaddr >> shift) + 1;
    size_t left = level_entries(tree, level) - index;

    return wanted < left ? (size_t)wanted : left;
}

/* The last address that the entry of vaddr translates. */
PT_INLINE pt_vaddr entry_last(const struct tree *tree, unsigned level, pt_vaddr vaddr)
{
    return vaddr | (level_size(tree, level) - 1);
}

/* The region, from vaddr on, covers the whole of vaddr's entry. */
PT_INLINE bool covers_entry(const struct tree *tree, unsigned level, pt_vaddr vaddr, pt_vaddr last)
{
    return is_aligned(vaddr, level_size(tree, level)) && last >= entry_last(tree, level, vaddr);
}

/* Every page of [first, last] is there, unless holes are allowed, may be changed, and is covered wholly. */
PT_INLINE enum pt_status plan_change(const struct tree *tree, const struct page_table *pt, pt_vaddr first,
                                     pt_vaddr last, bool skip_holes)
{
    for (pt_vaddr vaddr = first;;) {
        struct place at = descend(tree, pt->root, vaddr);
        size_t count = run_length(tree, at.level, at.index, vaddr, last);

        for (size_t i = 0; i < count; i++) {
            pt_entry entry = load_entry(tree, at.table, at.index + i);
            enum entry_kind kind = entry_kind(tree, entry, at.level);

            if (kind == ENTRY_TABLE)
                break; /* goes on below it */
            if (is_borrowed(tree, pt, vaddr))
                return PT_SHARED;
            if (kind == ENTRY_EMPTY && !skip_holes)
                return PT_NOT_MAPPED;
            if (kind == ENTRY_LEAF && !covers_entry(tree, at.level, vaddr, last))
                return PT_MAPPED_TO_HUGE_PAGE;
            if (entry_last(tree, at.level, vaddr) >= last)
                return PT_OK;
            vaddr = entry_last(tree, at.level, vaddr) + 1;
        }
    }
}

/* Unmap a run of pages of one table. */
PT_INLINE void clear_run(const struct tree *tree, void *table, unsigned level, size_t index, size_t count,
                         pt_vaddr vaddr, struct pt_flush *flush)
{
    for (size_t i = 0; i < count; i++)
        store_entry(tree, table, index + i, 0);
    pt_flush_add(flush, vaddr, count * level_size(tree, level), level_size(tree, level));
}

/* A table may leave the tree unless another table has copied the root entry that leads to it. */
PT_INLINE bool may_retire(const struct tree *tree, const struct page_table *pt, unsigned level, size_t index)
{
    return level > 0 || !slot_is(tree, &pt->lent, index);
}

/* The last address of `count` entries from the one of vaddr on. */
PT_INLINE pt_vaddr run_last(const struct tree *tree, unsigned level, pt_vaddr vaddr, size_t count)
{
    return entry_last(tree, level, vaddr) + (((uint64_t)count - 1) << level_shift(tree, level));
}

/* vaddr's entry leads to tables that go as they stand: the region covers them wholly. */
PT_INLINE bool goes_as_a_whole(const struct tree *tree, const struct page_table *pt, unsigned level, size_t index,
                               pt_vaddr vaddr, pt_vaddr last)
{
    return covers_entry(tree, level, vaddr, last) && may_retire(tree, pt, level, index);
}

/* The run of entries, from vaddr's on, that can be unmapped without going below; returns how many it unmapped. */
PT_INLINE size_t unmap_run(const struct tree *tree, const struct page_table *pt, const struct place *at, pt_vaddr vaddr,
                           pt_vaddr last, struct pt_flush *flush)
{
    size_t count = run_length(tree, at->level, at->index, vaddr, last);
    uint64_t size = level_size(tree, at->level);

    if (at->level == last_level(tree)) {
        clear_run(tree, at->table, at->level, at->index, count, vaddr, flush);
        return count;
    }
    for (size_t i = 0; i < count; i++, vaddr = entry_last(tree, at->level, vaddr) + 1) {
        size_t index = at->index + i;
        pt_entry entry = load_entry(tree, at->table, index);
        enum entry_kind kind = entry_kind(tree, entry, at->level);

        if (kind == ENTRY_LEAF) {
            clear_run(tree, at->table, at->level, index, 1, vaddr, flush);
        } else if (kind == ENTRY_TABLE) {
            if (!goes_as_a_whole(tree, pt, at->level, index, vaddr, last))
                return i;
            store_entry(tree, at->table, index, 0);
            retire_below(tree, flush, entry, at->level);
            pt_flush_add(flush, vaddr, size, smallest_page(tree));
        }
    }
    return count;
}

PT_INLINE void commit_unmap(const struct tree *tree, const struct page_table *pt, pt_vaddr first, pt_vaddr last,
                            struct pt_flush *flush)
{
    for (pt_vaddr vaddr = first;;) {
        struct place at = {.table = table_at(tree, pt->root)};

        for (;; at.level++) {
            at.index = index_of(tree, vaddr, at.level);
            at.entry = load_entry(tree, at.table, at.index);
            at.kind = entry_kind(tree, at.entry, at.level);
            if (at.kind != ENTRY_TABLE || goes_as_a_whole(tree, pt, at.level, at.index, vaddr, last))
                break;
            at.table = table_of(tree, at.entry);
        }
        vaddr = run_last(tree, at.level, vaddr, unmap_run(tree, pt, &at, vaddr, last, flush));
        if (vaddr >= last)
            return;
        vaddr++;
    }
}

/* What a leaf becomes with new attributes, which are those of an unmapped address. */
PT_INLINE pt_entry with_attributes(const struct tree *tree, pt_entry old, pt_entry attributes, bool last)
{
    pt_entry leaf = attributes ^ tree->enc->address(tree->format, tree->enc->leaf_paddr(tree->format, old, last));

    return tree->enc->recorded ? leaf | tree->enc->recorded(old, leaf) : leaf;
}

/* Give one leaf new attributes; returns whether its old translation has still to be invalidated. */
PT_INLINE bool protect_entry(const struct tree *tree, struct pt_flush *flush, void *table, size_t index, unsigned level,
                             pt_vaddr vaddr, pt_entry attributes)
{
    bool last = level == last_level(tree);
    pt_entry old = load_entry(tree, table, index);
    pt_entry leaf = with_attributes(tree, old, attributes, last);

    if (tree->enc->must_break && tree->enc->must_break(tree->format, old, leaf)) {
        replace_entry(tree, flush, table, index, level, vaddr, old, leaf);
        return false;
    }
    settle_entry(tree, flush, level, vaddr, old);
    if (tree->enc->hardware_writes && tree->enc->hardware_writes(old)) {
        while (!swap_entry(tree, table, index, &old, leaf))
            leaf = with_attributes(tree, old, attributes, last);
    } else {
        store_entry(tree, table, index, leaf);
    }
    return true;
}

/* Protect the run of entries from vaddr's on, as far as it need not go below; returns how many it passed. */
PT_INLINE size_t protect_run(const struct tree *tree, const struct place *at, pt_vaddr vaddr, pt_vaddr last,
                             pt_flags flags, struct pt_flush *flush)
{
    size_t count = run_length(tree, at->level, at->index, vaddr, last);
    uint64_t size = level_size(tree, at->level);
    pt_entry attributes = tree->enc->leaf_attributes(tree->format, flags, at->level == last_level(tree));
    size_t from = count, to = 0; /* the entries whose old translation is owed */

    for (size_t i = 0; i < count; i++) {
        enum entry_kind kind = entry_kind(tree, load_entry(tree, at->table, at->index + i), at->level);

        if (kind == ENTRY_TABLE) {
            count = i;
        } else if (kind == ENTRY_LEAF &&
                   protect_entry(tree, flush, at->table, at->index + i, at->level, vaddr + i * size, attributes)) {
            from = i < from ? i : from;
            to = i + 1;
        }
    }
    if (from < to)
        pt_flush_add(flush, vaddr + from * size, (to - from) * size, size);
    return count;
}

PT_INLINE void commit_protect(const struct tree *tree, const struct page_table *pt, pt_vaddr first, pt_vaddr last,
                              pt_flags flags, struct pt_flush *flush)
{
    for (pt_vaddr vaddr = first;;) {
        struct place at = descend(tree, pt->root, vaddr);

        vaddr &= ~(level_size(tree, at.level) - 1); /* it may lie inside a hole */
        vaddr = run_last(tree, at.level, vaddr, protect_run(tree, &at, vaddr, last, flags, flush));
        if (vaddr >= last)
            return;
        vaddr++;
    }
}

PT_INLINE enum pt_status engine_unmap_region(const struct encoding *enc, struct page_table *pt, pt_vaddr vaddr,
                                             uint64_t size, unsigned options, struct pt_flush *flush)
{
    struct tree tree = tree_of(enc, pt);
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_region(&tree, vaddr, size, vaddr | size, 0, options);
    if (status == PT_OK)
        status = plan_change(&tree, pt, vaddr, vaddr + (size - 1), options & PT_SKIP_HOLES);
    if (status == PT_OK)
        commit_unmap(&tree, pt, vaddr, vaddr + (size - 1), flush);
    return status;
}

PT_INLINE enum pt_status engine_protect_region(const struct encoding *enc, struct page_table *pt, pt_vaddr vaddr,
                                               uint64_t size, pt_flags flags, unsigned options, struct pt_flush *flush)
{
    struct tree tree = tree_of(enc, pt);
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_region(&tree, vaddr, size, vaddr | size, flags, options);
    if (status == PT_OK)
        status = plan_change(&tree, pt, vaddr, vaddr + (size - 1), options & PT_SKIP_HOLES);
    if (status == PT_OK)
        commit_protect(&tree, pt, vaddr, vaddr + (size - 1), flags, flush);
    return status;
}

/* ---- The page that holds an address ------------------------------------------------------------ */

/* Find it, or say why it cannot be changed. */
PT_INLINE enum pt_status find_page(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr,
                                   struct place *at)
{
    if (!vaddr_is_canonical(tree, vaddr))
        return PT_BAD_ADDRESS;
    *at = descend(tree, pt->root, vaddr);
    if (is_borrowed(tree, pt, vaddr))
        return PT_SHARED;
    return at->kind == ENTRY_LEAF ? PT_OK : PT_NOT_MAPPED;
}

PT_INLINE pt_vaddr page_first(const struct tree *tree, const struct place *at, pt_vaddr vaddr)
{
    return vaddr & ~(level_size(tree, at->level) - 1);
}

PT_INLINE enum pt_status engine_unmap(const struct encoding *enc, struct page_table *pt, pt_vaddr vaddr,
                                      struct pt_mapping *old, struct pt_flush *flush)
{
    struct tree tree = tree_of(enc, pt);
    struct place at;
    enum pt_status status = find_page(&tree, pt, vaddr, &at);

    if (status != PT_OK)
        return status;
    if (old)
        *old = mapping_of(&tree, at.entry, at.level);
    clear_run(&tree, at.table, at.level, at.index, 1, page_first(&tree, &at, vaddr), flush);
    return PT_OK;
}

PT_INLINE enum pt_status engine_protect(const struct encoding *enc, struct page_table *pt, pt_vaddr vaddr,
                                        pt_flags flags, uint64_t *page_size, struct pt_flush *flush)
{
    struct tree tree = tree_of(enc, pt);
    struct place at;
    enum pt_status status;

    if (!flags_exist(flags))
        return PT_BAD_FLAGS;
    status = find_page(&tree, pt, vaddr, &at);
    if (status != PT_OK)
        return status;
    if (page_size)
        *page_size = level_size(&tree, at.level);
    vaddr = page_first(&tree, &at, vaddr);
    if (protect_entry(&tree, flush, at.table, at.index, at.level, vaddr,
                      enc->leaf_attributes(tree.format, flags, at.level == last_level(&tree))))
        pt_flush_add(flush, vaddr, level_size(&tree, at.level), level_size(&tree, at.level));
    return PT_OK;
}

PT_INLINE enum pt_status engine_remap(const struct encoding *enc, struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr,
                                      pt_flags flags, uint64_t *page_size, struct pt_flush *flush)
{
    struct tree tree = tree_of(enc, pt);
    struct place at;
    enum pt_status status;

    if (!flags_exist(flags))
        return PT_BAD_FLAGS;
    status = find_page(&tree, pt, vaddr, &at);
    if (status != PT_OK)
        return status;
    if (!is_aligned(paddr, level_size(&tree, at.level)))
        return PT_NOT_ALIGNED;
    if (!paddr_fits(&tree, paddr, level_size(&tree, at.level)))
        return PT_BAD_ADDRESS;
    if (page_size)
        *page_size = level_size(&tree, at.level);
    replace_entry(&tree, flush, at.table, at.index, at.level, page_first(&tree, &at, vaddr), at.entry,
                  enc->leaf_attributes(tree.format, flags, at.level == last_level(&tree)) ^
                      enc->address(tree.format, paddr));
    return PT_OK;
}

#endif
