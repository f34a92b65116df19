/* SPDX-License-Identifier: MIT */
/* Arguments are checked before anything is touched: flags, size, alignment, addresses, in this order. */
#ifndef PT_ENGINE_CHECK_H
#define PT_ENGINE_CHECK_H

#include "tree.h"

PT_INLINE bool flags_exist(pt_flags flags)
{
    return (flags & ~PT_ALL_FLAGS) == 0;
}

PT_INLINE bool options_exist(unsigned options)
{
    return (options & ~(PT_ALLOW_HUGE | PT_SKIP_HOLES | PT_NO_SPLIT)) == 0;
}

PT_INLINE bool vaddr_is_canonical(const struct tree *tree, pt_vaddr vaddr)
{
    return (vaddr + measures_of(tree).canonical_bias) >> measures_of(tree).canonical_bits == 0;
}

/* [vaddr, last] is canonical and lies in one half. */
PT_INLINE bool region_is_canonical(const struct tree *tree, pt_vaddr vaddr, pt_vaddr last)
{
    return last >= vaddr && vaddr_is_canonical(tree, vaddr) && vaddr_is_canonical(tree, last) &&
           ((vaddr ^ last) >> 63) == 0;
}

/* The bits that no physical address has in pages of this sort. */
PT_INLINE uint64_t not_in_paddr(const struct tree *tree, struct page_sort sort)
{
    bool largest = sort.level == 0 && sort.group == group_bits(tree, 0);
    uint64_t narrow = encoding.narrow_pa_bits && !largest ? UINT64_MAX << encoding.narrow_pa_bits : 0;

    return measures_of(tree).not_in_paddr | narrow;
}

/* Pages of this sort reach all of [paddr, paddr + size). */
PT_INLINE bool paddr_fits(const struct tree *tree, pt_paddr paddr, uint64_t size, struct page_sort sort)
{
    pt_paddr last = paddr + (size - 1);

    return last >= paddr && (last & not_in_paddr(tree, sort)) == 0;
}

PT_INLINE bool is_aligned(uint64_t value, uint64_t size)
{
    return (value & (size - 1)) == 0;
}

PT_INLINE uint64_t smallest_page(const struct tree *tree)
{
    return UINT64_C(1) << page_shift(tree);
}

/* The smallest pages, with `huge` those that the engine chooses, reach all of [paddr, paddr + size) from vaddr on. */
PT_INLINE bool region_paddr_fits(const struct tree *tree, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, bool huge)
{
    struct page_sort smallest = {last_level(tree), 0}, largest = {0, group_bits(tree, 0)};
    pt_paddr outside = paddr + size;

    if (paddr_fits(tree, paddr, size, smallest))
        return true;
    if (!encoding.narrow_pa_bits || !huge)
        return false;
    /* What is out of their reach has to be largest pages, wholly. */
    if ((paddr & not_in_paddr(tree, smallest)) != 0)
        outside |= paddr;
    return paddr_fits(tree, paddr, size, largest) && is_aligned((vaddr ^ paddr) | outside, sort_size(tree, largest));
}

/* What is asked of every region, whose size is not 0; `aligned` is all that has to be, OR-ed. */
PT_INLINE enum pt_status check_region(const struct tree *tree, pt_vaddr vaddr, uint64_t size, uint64_t aligned,
                                      pt_flags flags, unsigned options)
{
    if (!flags_exist(flags) || !options_exist(options))
        return PT_BAD_FLAGS;
    if (!is_aligned(aligned, smallest_page(tree)))
        return PT_NOT_ALIGNED;
    if (!region_is_canonical(tree, vaddr, vaddr + (size - 1)))
        return PT_BAD_ADDRESS;
    return PT_OK;
}

/* The same for a change of what is there, which must not be in a part that another table owns. */
static inline enum pt_status check_own_region(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr,
                                              uint64_t size)
{
    enum pt_status status = check_region(tree, vaddr, size, vaddr | size, 0, 0);
    size_t last = index_of(tree, vaddr + (size - 1), 0);

    for (size_t i = index_of(tree, vaddr, 0); status == PT_OK && pt->is_special && i <= last; i++)
        if (slot_is(tree, &pt->borrowed, i))
            return PT_SHARED;
    return status;
}

/* Groups are smaller than a table (the root may be one), and are split into single pages, which must exist. */
PT_INLINE bool group_is_sound(const struct tree *tree, unsigned above_last)
{
    const struct pt_format *format = format_of(tree);
    unsigned bits = format->group_bits[above_last], level = last_level(tree) - above_last;

    if (bits == 0)
        return true;
    if (above_last >= format->levels || !encoding.leaf_is_grouped)
        return false;
    if (level == 0 ? bits > root_bits(tree) : bits >= format->index_bits)
        return false;
    return group_bits(tree, level) == 0 || level_has_pages(tree, level);
}

/* A descriptor that does not contradict itself. */
PT_INLINE bool format_is_sound(const struct tree *tree)
{
    const struct pt_format *format = format_of(tree);
    unsigned below_root;
    uint64_t sizes = 0;

    if (format->operations != &operations || format->levels < 2 || format->levels > PT_MAX_LEVELS)
        return false;
    if ((encoding.page_shift && format->page_shift != encoding.page_shift) ||
        (encoding.index_bits && format->index_bits != encoding.index_bits))
        return false;
    if (format->page_shift < 12 || format->page_shift > 16 || format->index_bits < 1 || format->index_bits > 13)
        return false;

    below_root = format->page_shift + (format->levels - 1u) * format->index_bits;
    if (format->va_bits <= below_root || format->va_bits > below_root + 17 || format->va_bits >= 64)
        return false;
    if (format->pa_bits <= format->page_shift || format->pa_bits > 64)
        return false;
    /* What stands in every entry must have room above the addresses. */
    if (((format->leaf_bits | format->table_bits) &
         ~(encoding.paddr_mask(format) & ~(UINT64_MAX >> (64 - format->pa_bits)))) != 0)
        return false;
    if (has_parallel_writers(tree) && encoding.entry_size == 8 && !PT_WHOLE_8)
        return false;
    if (format->address_space > PT_ZERO_EXTENDED || format->new_mapping_owes > PT_OWES_FLUSH)
        return false;

    for (unsigned above_last = 0; above_last < PT_GROUP_LEVELS; above_last++)
        if (!group_is_sound(tree, above_last))
            return false;
    for (unsigned level = 0; level < format->levels; level++)
        sizes |= level_size(tree, level) | level_size(tree, level) << group_bits(tree, level);
    if ((format->page_sizes & ~sizes) != 0 || (format->page_sizes & smallest_page(tree)) == 0)
        return false;
    /* A huge page is split into those of the next size: no gaps. */
    for (unsigned level = 0; level + 1 < format->levels; level++)
        if (level_has_pages(tree, level) && !level_has_pages(tree, level + 1))
            return false;
    return encoding.format_is_sound(format);
}

#endif
