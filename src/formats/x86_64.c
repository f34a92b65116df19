/* SPDX-License-Identifier: MIT */
/*
 * x86_64, 4-level paging. Sections: Intel SDM vol. 3A 4.5 "4-Level Paging and 5-Level Paging" (tables
 * 4-15 to 4-20), 4.9.2 "Paging and Memory Typing When the PAT is Supported", 11.12 "Page Attribute
 * Table"; AMD APM vol. 2, 5.3 and 5.4.
 *
 * Reading cannot be withheld from a page that is present: WRITE and EXECUTE imply READ.
 */
#include "family.h"

#if PT_HAS_FAMILY(X86_64)

#include "../engine/engine.h"

#if defined(__x86_64__)
#include <pagetable/hw.h>

/* A program without privilege runs on no table of its own: no TLB holds anything of it. */
static void x86_invalidate(const struct pt_flush *flush)
{
    if (pt_hw_is_privileged())
        pt_hw_flush(flush);
}
#define X86_INVALIDATE x86_invalidate
#else
#define X86_INVALIDATE NULL
#endif

#define X86_P (UINT64_C(1) << 0)                 /* present */
#define X86_RW (UINT64_C(1) << 1)                /* writable */
#define X86_US (UINT64_C(1) << 2)                /* user */
#define X86_PWT (UINT64_C(1) << 3)               /* bit 0 of the PAT index */
#define X86_PCD (UINT64_C(1) << 4)               /* bit 1 of the PAT index */
#define X86_A (UINT64_C(1) << 5)                 /* accessed; set by the CPU */
#define X86_D (UINT64_C(1) << 6)                 /* dirty; set by the CPU in leaves */
#define X86_PS (UINT64_C(1) << 7)                /* page size: a leaf above the last level */
#define X86_PAT_4K (UINT64_C(1) << 7)            /* bit 2 of the PAT index, in the last level */
#define X86_G (UINT64_C(1) << 8)                 /* global (CR4.PGE) */
#define X86_PAT_HUGE (UINT64_C(1) << 12)         /* bit 2 of the PAT index, above the last level */
#define X86_XD (UINT64_C(1) << 63)               /* execute-disable (EFER.NXE) */
#define X86_ADDRESS UINT64_C(0x000ffffffffff000) /* bits 51:12; 4.5.4: MAXPHYADDR is at most 52 */

/* Free for software: bits 11:9 and 58:52 of a present leaf; 62:59 too without protection keys. All if P = 0. */
#define X86_SOFTWARE UINT64_C(0x7bf0000000000c00) /* the user's: 11:10, 57:52, 62:59 */
/* Ours. */
#define X86_NO_ACCESS (UINT64_C(1) << 9)    /* P = 0, and yet a mapping */
#define X86_SAVED_DIRTY (UINT64_C(1) << 58) /* dirty, while not writable */

static bool x86_format_is_sound(const struct pt_format *format)
{
    return format->pa_bits <= 52 && format->address_space == PT_SIGN_EXTENDED && format->memory_index.normal < 8 &&
           format->memory_index.device < 8 && format->memory_index.uncached < 8 &&
           format->memory_index.device != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.device;
}

PT_INLINE enum entry_kind x86_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (entry & X86_P)
        return last_level || (entry & X86_PS) ? ENTRY_LEAF : ENTRY_TABLE;
    return entry & X86_NO_ACCESS ? ENTRY_LEAF : ENTRY_EMPTY;
}

PT_INLINE pt_entry x86_pat_bit(bool last_level)
{
    return last_level ? X86_PAT_4K : X86_PAT_HUGE;
}

PT_INLINE pt_entry x86_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    unsigned index = flags & PT_DEVICE     ? format->memory_index.device
                     : flags & PT_UNCACHED ? format->memory_index.uncached
                                           : format->memory_index.normal;
    pt_entry entry = shape.last ? 0 : X86_PS;

    entry |= (index & 1 ? X86_PWT : 0) | (index & 2 ? X86_PCD : 0) | (index & 4 ? x86_pat_bit(shape.last) : 0);
    entry |= flags & PT_USER ? X86_US : 0;
    entry |= flags & PT_GLOBAL ? X86_G : 0;

    /*
     * A page that is not present can still be read from the L1 cache speculatively (L1 Terminal Fault):
     * its address is stored inverted, where no memory is.
     */
    if (!(flags & (PT_READ | PT_WRITE | PT_EXECUTE)))
        return entry | X86_NO_ACCESS | X86_XD | (shape.last ? X86_ADDRESS : X86_ADDRESS & ~X86_PAT_HUGE);

    entry |= X86_P;
    entry |= flags & PT_WRITE ? X86_RW : 0;
    if (!format->tracks_access) /* spare the CPU the writing */
        entry |= X86_A | (flags & PT_WRITE ? X86_D : 0);
    entry |= flags & PT_EXECUTE ? 0 : X86_XD;
    return entry;
}

PT_INLINE pt_entry x86_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    (void)shape;
    return paddr;
}

PT_INLINE pt_paddr x86_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!(entry & X86_P))
        entry = ~entry;
    return entry & (last_level ? X86_ADDRESS : X86_ADDRESS & ~X86_PAT_HUGE);
}

PT_INLINE pt_flags x86_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    unsigned index =
        (entry & X86_PWT ? 1u : 0) | (entry & X86_PCD ? 2u : 0) | (entry & x86_pat_bit(last_level) ? 4u : 0);
    pt_flags flags = 0;

    if (entry & X86_P)
        flags |= PT_READ | (entry & X86_RW ? PT_WRITE : 0) | (entry & X86_XD ? 0 : PT_EXECUTE);
    flags |= entry & X86_US ? PT_USER : 0;
    flags |= entry & X86_G ? PT_GLOBAL : 0;
    if (PT_UNLIKELY(index != format->memory_index.normal))
        flags |= (index == format->memory_index.device ? PT_DEVICE : 0) |
                 (index == format->memory_index.uncached ? PT_UNCACHED : 0);
    if (format->tracks_access)
        flags |= (entry & X86_A ? PT_ACCESSED : 0) | (entry & (X86_D | X86_SAVED_DIRTY) ? PT_DIRTY : 0);
    return flags;
}

/* Rights are the leaf's to restrict: tables allow everything (4.6.1: all levels must agree). */
PT_INLINE pt_entry x86_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)root_entry;
    (void)format;
    return paddr | X86_P | X86_RW | X86_US;
}

PT_INLINE pt_paddr x86_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return entry & X86_ADDRESS;
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
    pt_entry address = from.last ? X86_ADDRESS : X86_ADDRESS & ~X86_PAT_HUGE;
    pt_entry entry = leaf & ~(address | X86_PS | x86_pat_bit(from.last));

    (void)format;
    entry |= to.last ? 0 : X86_PS;
    entry |= leaf & x86_pat_bit(from.last) ? x86_pat_bit(to.last) : 0;
    if (!(leaf & X86_P))
        entry |= to.last ? X86_ADDRESS : X86_ADDRESS & ~X86_PAT_HUGE;
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

PT_INLINE pt_paddr x86_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return X86_ADDRESS;
}

static const struct encoding encoding = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .paddr_mask = x86_paddr_mask,
    .format_is_sound = x86_format_is_sound,
    .kind = x86_kind,
    .leaf_attributes = x86_leaf_attributes,
    .address = x86_address,
    .table = x86_table,
    .leaf_paddr = x86_leaf_paddr,
    .leaf_flags = x86_leaf_flags,
    .table_paddr = x86_table_paddr,
    .leaf_has_rights = x86_leaf_has_rights,
    .leaf_is_global = x86_leaf_is_global,
    .reshaped_attributes = x86_reshaped_attributes,
    .keep_recorded = x86_keep_recorded,
    .clear_recorded = x86_clear_recorded,
    .hardware_writes = x86_hardware_writes,
    .invalidate = X86_INVALIDATE,
};

const struct pt_format pt_x86_64 = {
    .name = "x86_64 4-level",
    .operations = &operations,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 4,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 48,
    .pa_bits = 52,
    .address_space = PT_SIGN_EXTENDED,
    .new_mapping_owes = PT_OWES_NOTHING,
    .tracks_access = true,
    /* The PAT as it is after reset: 0 = WB, 2 = UC-, 3 = UC. See <pagetable/hw/x86_64.h>. */
    .memory_index = {.normal = 0, .device = 3, .uncached = 2},
};

#endif
