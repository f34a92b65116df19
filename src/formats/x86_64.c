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

#if defined(__x86_64__)
#include <pagetable/hw.h>
#define X86_INVALIDATE pt_hw_flush
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

/* Ours, in bits that the CPU ignores: bits 11:9 and 62:52 of a present leaf (CR4.PKE uses 62:59), all if P = 0. */
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

PT_INLINE pt_entry x86_leaf_attributes(const struct pt_format *format, pt_flags flags, bool last_level)
{
    unsigned index = flags & PT_DEVICE     ? format->memory_index.device
                     : flags & PT_UNCACHED ? format->memory_index.uncached
                                           : format->memory_index.normal;
    pt_entry entry = last_level ? 0 : X86_PS;

    entry |= (index & 1 ? X86_PWT : 0) | (index & 2 ? X86_PCD : 0) | (index & 4 ? x86_pat_bit(last_level) : 0);
    entry |= flags & PT_USER ? X86_US : 0;
    entry |= flags & PT_GLOBAL ? X86_G : 0;

    /*
     * A page that is not present can still be read from the L1 cache speculatively (L1 Terminal Fault):
     * its address is stored inverted, where no memory is.
     */
    if (!(flags & (PT_READ | PT_WRITE | PT_EXECUTE)))
        return entry | X86_NO_ACCESS | X86_XD | (last_level ? X86_ADDRESS : X86_ADDRESS & ~X86_PAT_HUGE);

    entry |= X86_P;
    entry |= flags & PT_WRITE ? X86_RW : 0;
    entry |= flags & PT_EXECUTE ? 0 : X86_XD;
    return entry;
}

PT_INLINE pt_entry x86_address(const struct pt_format *format, pt_paddr paddr)
{
    (void)format;
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
    flags |= index == format->memory_index.device ? PT_DEVICE : 0;
    flags |= index == format->memory_index.uncached ? PT_UNCACHED : 0;
    return flags;
}

/* Rights are the leaf's to restrict: tables allow everything (4.6.1: all levels must agree). */
PT_INLINE pt_entry x86_table(const struct pt_format *format, pt_paddr paddr)
{
    (void)format;
    return paddr | X86_P | X86_RW | X86_US;
}

PT_INLINE pt_paddr x86_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return entry & X86_ADDRESS;
}

/* A dirty leaf that is not writable would be a shadow-stack page (vol. 1, 17.2): D waits in a bit of ours. */
PT_INLINE pt_entry x86_recorded(pt_entry old, pt_entry leaf)
{
    bool dirty = old & (X86_D | X86_SAVED_DIRTY);

    return (old & X86_A) | (dirty ? (leaf & X86_RW ? X86_D : X86_SAVED_DIRTY) : 0);
}

PT_INLINE bool x86_hardware_writes(pt_entry leaf)
{
    return (leaf & X86_P) && (!(leaf & X86_A) || (leaf & (X86_RW | X86_D)) == X86_RW);
}

static const struct pt_operations x86_64_operations;

static const struct encoding x86_64 = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .paddr_mask = X86_ADDRESS,
    .format_is_sound = x86_format_is_sound,
    .kind = x86_kind,
    .leaf_attributes = x86_leaf_attributes,
    .address = x86_address,
    .table = x86_table,
    .leaf_paddr = x86_leaf_paddr,
    .leaf_flags = x86_leaf_flags,
    .table_paddr = x86_table_paddr,
    .recorded = x86_recorded,
    .hardware_writes = x86_hardware_writes,
    .invalidate = X86_INVALIDATE,
    .operations = &x86_64_operations,
};

PT_DEFINE_OPERATIONS(x86_64)

const struct pt_format pt_x86_64 = {
    .name = "x86_64 4-level",
    .operations = &x86_64_operations,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 4,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 48,
    .pa_bits = 52,
    .address_space = PT_SIGN_EXTENDED,
    .new_mapping_owes = PT_OWES_NOTHING,
    /* The PAT as it is after reset: 0 = WB, 2 = UC-, 3 = UC. See <pagetable/hw/x86_64.h>. */
    .memory_index = {.normal = 0, .device = 3, .uncached = 2},
};

#endif
