/* SPDX-License-Identifier: MIT */
/*
 * Sharing root entries with another table. Both sides keep a mark: the copy must not change or free what
 * it borrowed, the source must not retire what it lent.
 */
#ifndef PT_ENGINE_SHARE_H
#define PT_ENGINE_SHARE_H

#include "check.h"
#include "live.h"

/* An unused entry whose table would need a frame, unless the one of an unused neighbour before it has. */
static inline bool is_first_beside(const struct tree *tree, const void *root, size_t index)
{
    size_t in_frame = index & (((size_t)1 << encoding.packed_bits) - 1);

    if (frame_beside(tree, root, index, 0) != PT_NO_FRAME)
        return false;
    for (size_t i = index - in_frame; i < index; i++)
        if (entry_kind(tree, load_entry(root, i), 0) == ENTRY_EMPTY)
            return false;
    return true;
}

/* The root entry of *pt can give way to the source's; counts those that the source has not used yet. */
static inline enum pt_status plan_copy(const struct tree *tree, const struct page_table *pt,
                                       const struct page_table *source, size_t first, size_t last, size_t *needed)
{
    const void *own = table_at(tree, pt->root), *other = table_at(tree, source->root);

    *needed = 0;
    for (size_t i = first; i <= last; i++) {
        pt_entry entry = load_entry(own, i);
        enum entry_kind kind = entry_kind(tree, entry, 0);

        if (!slot_is(tree, &pt->borrowed, i)) {
            if (kind == ENTRY_LEAF || (kind == ENTRY_TABLE && !nothing_below(tree, entry, 0)))
                return PT_ALREADY_MAPPED;
            if (slot_is(tree, &pt->lent, i))
                return PT_SHARED;
        }
        if (entry_kind(tree, load_entry(other, i), 0) == ENTRY_EMPTY && is_first_beside(tree, other, i))
            ++*needed;
    }
    return PT_OK;
}

/* Give the source's unused root entry an empty table. */
static inline pt_entry populate(const struct tree *from, const struct page_table *source, size_t index,
                                struct reserve *reserve)
{
    void *root = table_at(from, source->root);
    pt_paddr table = take_table(from, root, index, 0, reserve);
    pt_entry entry = table_entry(from, table, 0);

    clear_entries(table_at(from, table), 0, level_entries(from, 1));
    publish_entry(root, index, entry);
    return entry;
}

/*
 * Root entries that are one page together change together: none of the new ones is there before all of the old ones
 * are gone, where that matters. The borrowed huge pages of such groups go first.
 */
static inline void break_groups(const struct tree *tree, void *own, const void *other, size_t first, size_t last,
                                pt_vaddr vaddr, struct pt_flush *flush)
{
    size_t count = (size_t)1 << group_bits(tree, 0);
    uint64_t size = level_size(tree, 0);
    bool any = false;

    if (!encoding.must_break || count == 1)
        return;
    for (size_t i = first; i <= last; i += count) {
        bool grouped = false, differ = false;

        for (size_t j = i; j < i + count; j++) {
            pt_entry old = load_entry(own, j), entry = load_entry(other, j);

            grouped |= entry_kind(tree, old, 0) == ENTRY_LEAF && leaf_sort(tree, old, 0).group != 0;
            grouped |= entry_kind(tree, entry, 0) == ENTRY_LEAF && leaf_sort(tree, entry, 0).group != 0;
            differ |= old != entry;
        }
        for (size_t j = i; j < i + count && grouped && differ; j++) {
            if (entry_kind(tree, load_entry(own, j), 0) != ENTRY_LEAF)
                continue;
            pt_flush_add(flush, vaddr + (j - first) * size, size, size,
                         leaf_is_global(tree, take_entry(tree, own, j, 0), 0));
            any = true;
        }
    }
    if (any)
        pt_flush_invalidate(flush);
}

static inline void commit_copy(const struct tree *tree, struct page_table *pt, const struct tree *from,
                               struct page_table *source, size_t first, size_t last, pt_vaddr vaddr,
                               struct reserve *reserve, struct pt_flush *flush)
{
    void *own = table_at(tree, pt->root);
    const void *other = table_at(from, source->root);
    uint64_t size = level_size(tree, 0);

    source->has_lent = true;
    pt->is_special = true;
    forget_latest(pt);
    note_half(tree, pt, vaddr, vaddr + ((uint64_t)(last - first) * size));
    settle(flush, vaddr, vaddr + ((uint64_t)(last - first) * size + (size - 1)));
    break_groups(tree, own, other, first, last, vaddr, flush);
    for (size_t i = first; i <= last; i++, vaddr += size) {
        pt_entry old = load_entry(own, i);
        pt_entry entry = load_entry(other, i);

        if (entry_kind(from, entry, 0) == ENTRY_EMPTY) {
            entry = populate(from, source, i, reserve);
            /* An MMU that remembers unused entries, or the root's, may do so for the source's, in its address space. */
            owe_root_entry(from, flush, 0);
            if (format_of(tree)->new_mapping_owes == PT_OWES_FLUSH || root_is_latched(from)) {
                flush->everything = true;
                flush->asid = PT_NO_ASID;
            }
        }
        if (old == 0) {
            publish_entry(own, i, entry);
            owe_root_entry(tree, flush, 0);
            owe_new_mapping(tree, flush, vaddr, size, smallest_page(tree), true, true);
        } else if (old != entry) {
            replace_entry(tree, flush, own, i, 0, vaddr, entry);
            if (!slot_is(tree, &pt->borrowed, i) && entry_kind(tree, old, 0) == ENTRY_TABLE)
                retire_below(tree, flush, own, i, old, 0);
        }
        if (entry_kind(from, entry, 0) == ENTRY_TABLE)
            slot_set(tree, &source->lent, i, true);
    }
    /* All of them in the end: a slot may stand for several entries. */
    for (size_t i = first; i <= last; i++)
        slot_set(tree, &pt->borrowed, i, true);
}

static inline enum pt_status engine_copy_from(struct page_table *pt, const struct page_table *source, pt_vaddr vaddr,
                                              uint64_t size, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt), from = tree_of(source);
    struct reserve reserve = RESERVE_EMPTY;
    uint64_t unit = level_size(&tree, 0) << slot_shift(&tree);
    size_t first, last, needed;
    enum pt_status status;

    if (pt->format != source->format)
        return PT_BAD_FORMAT;
    if (pt->operations != source->operations)
        return PT_READ_ONLY; /* it would have to remember what it lent */
    if (size == 0)
        return PT_OK;
    if (!is_aligned(vaddr | size, unit))
        return PT_NOT_ALIGNED;
    if (!region_is_canonical(&tree, vaddr, vaddr + (size - 1)))
        return PT_BAD_ADDRESS;
    if (pt == source)
        return PT_ALREADY_MAPPED;

    first = index_of(&tree, vaddr, 0);
    last = index_of(&tree, vaddr + (size - 1), 0);
    do
        status = plan_copy(&tree, pt, source, first, last, &needed);
    while (must_plan_again(&from, source, &reserve, needed, &status));
    /*
     * const in the call says that no mapping of the source changes, and none does. That it has lent
     * something is kept with it all the same; no table made by pt_create is a const object.
     */
    if (status == PT_OK)
        commit_copy(&tree, pt, &from, (struct page_table *)(uintptr_t)source, first, last, vaddr, &reserve, flush);
    reserve_release(&from, source, &reserve);
    return status;
}

#endif
