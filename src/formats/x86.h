/* SPDX-License-Identifier: MIT */
/*
 * What x86 entries of 8 bytes (4- and 5-level paging, PAE, AMD nested paging) and of 4 have in common: bits 12:0. The
 * file that includes this has defined
 *   X86_SMALL_ADDRESS, X86_HUGE_ADDRESS   the address bits of a page of the last level, and above
 *   X86_XD                                execute-disable, or 0 where there is none
 *   X86_SOFTWARE                          what the user may keep in an entry
 * Sections: Intel SDM vol. 3A 4.3 to 4.5 (tables 4-4 to 4-20: the entries), 4.6 (rights), 4.9.2 (PAT); AMD APM vol. 2,
 * 5.2 to 5.4, 15.25 (nested paging).
 *
 * Reading cannot be withheld from a page that is present: WRITE and EXECUTE imply READ. Without NX, READ implies
 * EXECUTE.
 */
#ifndef PT_FORMATS_X86_H
#define PT_FORMATS_X86_H

#include "x86_bits.h"

/* A program without privilege runs on no table of its own: no TLB holds anything of it. */
#if defined(__x86_64__) || defined(__i386__)
#include <pagetable/hw.h>

PT_INLINE void x86_flush(const struct pt_flush *flush)
{
    if (pt_hw_is_privileged())
        pt_hw_flush(flush);
}
#endif

PT_INLINE bool x86_is_second_stage(const struct pt_format *format)
{
    return format->features & PT_FEATURE_SECOND_STAGE;
}

static bool x86_memory_index_is_sound(const struct pt_format *format)
{
    return format->memory_index.normal < 8 && format->memory_index.device < 8 && format->memory_index.uncached < 8 &&
           format->memory_index.device != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.device;
}

PT_INLINE enum entry_kind x86_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!last_level && (entry & X86_P) && !(entry & X86_PS))
        return ENTRY_TABLE;
    return entry & (X86_P | X86_NO_ACCESS) ? ENTRY_LEAF : ENTRY_EMPTY;
}

PT_INLINE pt_entry x86_pat_bit(bool last_level)
{
    return last_level ? X86_PAT_SMALL : X86_PAT_HUGE;
}

PT_INLINE pt_entry x86_address_bits(bool last_level)
{
    return last_level ? X86_SMALL_ADDRESS : X86_HUGE_ADDRESS;
}

/* The bits of an index into the PAT. */
PT_INLINE pt_entry x86_type_bits(unsigned index, bool last_level)
{
    return (pt_entry)(index & 3) << 3 | (index & 4 ? x86_pat_bit(last_level) : 0);
}

/* The index of the memory type. */
PT_INLINE unsigned x86_memory_index(const struct pt_format *format, pt_flags flags)
{
    if (PT_LIKELY(!(flags & (PT_DEVICE | PT_UNCACHED))))
        return format->memory_index.normal;
    return flags & PT_DEVICE ? format->memory_index.device : format->memory_index.uncached;
}

PT_INLINE pt_entry x86_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    pt_entry entry = (shape.last ? 0 : X86_PS) | x86_type_bits(x86_memory_index(format, flags), shape.last);

    if (x86_is_second_stage(format))
        entry |= X86_US;
    else
        entry |= (flags & PT_USER ? X86_US : 0) | (flags & PT_GLOBAL ? X86_G : 0);

    /*
     * A page that is not present can still be read from the L1 cache speculatively (L1 Terminal Fault):
     * its address is stored inverted, where no memory is.
     */
    if (PT_UNLIKELY(!(flags & (PT_READ | PT_WRITE | PT_EXECUTE))))
        return entry | X86_NO_ACCESS | X86_XD | x86_address_bits(shape.last);

    entry |= X86_P | (flags & PT_WRITE); /* which is X86_RW */
    if (!format->tracks_access)          /* spare the CPU the writing */
        entry |= X86_A | (flags & PT_WRITE ? X86_D : 0);
    if (!(flags & PT_EXECUTE) && (format->features & PT_FEATURE_NX))
        entry |= X86_XD;
    return entry;
}

/* What is rare: a memory type that is not the PAT's first, dirty while not writable. */
PT_INLINE pt_flags x86_rare_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    pt_entry type = entry & (X86_PWT | X86_PCD | x86_pat_bit(last_level));
    pt_flags flags = entry & X86_SAVED_DIRTY ? PT_DIRTY : 0;

    if (type != x86_type_bits(format->memory_index.normal, last_level))
        flags |= (type == x86_type_bits(format->memory_index.device, last_level) ? PT_DEVICE : 0) |
                 (type == x86_type_bits(format->memory_index.uncached, last_level) ? PT_UNCACHED : 0);
    return flags;
}

PT_INLINE pt_flags x86_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    const pt_entry rare = X86_PWT | X86_PCD | x86_pat_bit(last_level) | X86_SAVED_DIRTY;
    /* P and R/W are where PT_READ and PT_WRITE are; A and D side by side, as PT_ACCESSED and PT_DIRTY. */
    pt_flags flags = (pt_flags)(entry & (X86_P | X86_RW)) | (entry & X86_US ? PT_USER : 0) |
                     (entry & X86_G ? PT_GLOBAL : 0) | (pt_flags)(entry & (X86_A | X86_D)) << 11;

    if (PT_LIKELY(entry & X86_P))
        flags |= entry & X86_XD ? 0 : PT_EXECUTE;
    if (PT_UNLIKELY((entry & rare) != 0 || format->memory_index.normal != 0))
        flags |= x86_rare_flags(format, entry, last_level);
    return format->tracks_access ? flags : flags & ~(PT_ACCESSED | PT_DIRTY);
}

PT_INLINE pt_paddr x86_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return entry & X86_SMALL_ADDRESS;
}

PT_INLINE pt_paddr x86_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return X86_SMALL_ADDRESS;
}

PT_INLINE bool x86_leaf_has_rights(const struct pt_format *format, pt_entry leaf)
{
    (void)format;
    return leaf & X86_P;
}

PT_INLINE bool x86_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    (void)last_level;
    return leaf & X86_G;
}

PT_INLINE pt_entry x86_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                           struct shape to)
{
    pt_entry entry = leaf & ~(x86_address_bits(from.last) | X86_PS | x86_pat_bit(from.last));

    (void)format;
    entry |= to.last ? 0 : X86_PS;
    entry |= leaf & x86_pat_bit(from.last) ? x86_pat_bit(to.last) : 0;
    if (!(leaf & X86_P))
        entry |= x86_address_bits(to.last);
    return entry;
}

/* A dirty leaf that is not writable would be a shadow-stack page (vol. 1, 17.2): D waits in a bit of ours. */
PT_INLINE pt_entry x86_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    bool dirty = from & (X86_D | X86_SAVED_DIRTY);

    to |= from & X86_SOFTWARE;
    if (!format->tracks_access)
        return to;
    return to | (from & X86_A) | (dirty ? (to & X86_RW ? X86_D : X86_SAVED_DIRTY) : 0);
}

PT_INLINE pt_entry x86_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    return leaf & ~((recorded & PT_ACCESSED ? X86_A : 0) | (recorded & PT_DIRTY ? X86_D | X86_SAVED_DIRTY : 0));
}

PT_INLINE bool x86_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    (void)format;
    return (leaf & X86_P) && (!(leaf & X86_A) || (leaf & (X86_RW | X86_D)) == X86_RW);
}

/*
 * What others may have built: all levels must allow what is done (4.6.1), but for the root's entries of PAE, which have
 * no rights. Bit 11 is nothing to the MMU. Nested, every access is the user's: a leaf that is not is none, and then
 * holds its address inverted.
 */
static pt_entry x86_as_seen(const struct pt_format *format, pt_entry entry, pt_entry above, unsigned level)
{
    bool last_level = level + 1u == format->levels;

    if (level > 0)
        entry = (entry & (above | ~(X86_RW | X86_US))) | (above & X86_XD);
    else if (format->levels == 3)
        entry |= X86_RW | X86_US;
    if (!last_level && !(entry & X86_PS))
        return entry;
    entry &= ~X86_SAVED_DIRTY;
    if (x86_is_second_stage(format) && !(entry & X86_US))
        entry = (entry & ~(X86_P | X86_RW)) ^ x86_address_bits(last_level);
    return entry;
}

#endif
