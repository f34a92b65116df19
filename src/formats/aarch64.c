/* SPDX-License-Identifier: MIT */
/*
 * AArch64 stage 1, EL1&0, 4K granule, 48-bit addresses. Sections: Arm Architecture Reference Manual
 * (DDI 0487), D8.3 "Translation table descriptor formats", D8.4 "Memory access control", D8.6 "Memory
 * region attributes", D8.16.1 "Using break-before-make when updating translation table entries".
 *
 * EL1 reads every valid page, and EL0 reads what it may execute: WRITE and EXECUTE imply READ. A user
 * page is executable by EL0 only, another page by EL1 only.
 */
#include "family.h"

#if PT_HAS_FAMILY(AARCH64)

#include "../engine/engine.h"

#if defined(__aarch64__)
#include <pagetable/hw.h>
#define AARCH64_INVALIDATE pt_hw_flush
#define AARCH64_IS_LIVE pt_hw_is_live
#else
#define AARCH64_INVALIDATE NULL
#define AARCH64_IS_LIVE NULL
#endif

#define AARCH64_VALID (UINT64_C(1) << 0)
#define AARCH64_TABLE (UINT64_C(1) << 1) /* above the last level: a table, not a block */
#define AARCH64_PAGE (UINT64_C(1) << 1)  /* in the last level: must be set */
#define AARCH64_ATTR_SHIFT 2             /* AttrIndx, bits 4:2: which byte of MAIR_EL1 */
#define AARCH64_ATTR (UINT64_C(7) << 2)
#define AARCH64_AP_EL0 (UINT64_C(1) << 6)            /* AP[1]: EL0 may access */
#define AARCH64_AP_RO (UINT64_C(1) << 7)             /* AP[2]: read-only */
#define AARCH64_SH_INNER (UINT64_C(3) << 8)          /* SH, bits 9:8: inner shareable; Device ignores it */
#define AARCH64_AF (UINT64_C(1) << 10)               /* accessed; without FEAT_HAFDBS a clear one faults */
#define AARCH64_NG (UINT64_C(1) << 11)               /* not global */
#define AARCH64_PXN (UINT64_C(1) << 53)              /* EL1 may not execute */
#define AARCH64_UXN (UINT64_C(1) << 54)              /* EL0 may not execute */
#define AARCH64_ADDRESS UINT64_C(0x0000fffffffff000) /* bits 47:12 */

#define AARCH64_DBM (UINT64_C(1) << 51) /* with AP[2] set: writable and clean, a write clears AP[2] (FEAT_HAFDBS) */

/* Bits 58:55 are free for software: two for the user, two ours. VALID = 0 makes all other bits ours, too. */
#define AARCH64_SOFTWARE (UINT64_C(3) << 57)
#define AARCH64_SAVED_DIRTY (UINT64_C(1) << 56) /* dirty, while not writable */
#define AARCH64_NO_ACCESS (UINT64_C(1) << 55)

static bool aarch64_format_is_sound(const struct pt_format *format)
{
    return format->pa_bits <= 48 && format->va_bits == 48 && format->address_space != PT_SIGN_EXTENDED &&
           format->memory_index.normal < 8 && format->memory_index.device < 8 && format->memory_index.uncached < 8 &&
           format->memory_index.device != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.device;
}

PT_INLINE enum entry_kind aarch64_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!(entry & AARCH64_VALID))
        return entry & AARCH64_NO_ACCESS ? ENTRY_LEAF : ENTRY_EMPTY;
    if (last_level)
        return entry & AARCH64_PAGE ? ENTRY_LEAF : ENTRY_EMPTY; /* 0b01 is reserved there, and faults */
    return entry & AARCH64_TABLE ? ENTRY_TABLE : ENTRY_LEAF;
}

PT_INLINE pt_entry aarch64_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    unsigned index = flags & PT_DEVICE     ? format->memory_index.device
                     : flags & PT_UNCACHED ? format->memory_index.uncached
                                           : format->memory_index.normal;
    bool executable = flags & PT_EXECUTE;
    bool user = flags & PT_USER;
    pt_entry entry = (format->tracks_access ? 0 : AARCH64_AF) | (shape.last ? AARCH64_PAGE : 0);

    entry |= (pt_entry)index << AARCH64_ATTR_SHIFT;
    entry |= flags & PT_DEVICE ? 0 : AARCH64_SH_INNER;
    entry |= user ? AARCH64_AP_EL0 : 0;
    entry |= !(flags & PT_WRITE) ? AARCH64_AP_RO : format->tracks_access ? AARCH64_DBM | AARCH64_AP_RO : 0;
    entry |= flags & PT_GLOBAL ? 0 : AARCH64_NG;
    entry |= executable && user ? 0 : AARCH64_UXN;
    entry |= executable && !user ? 0 : AARCH64_PXN;
    entry |= flags & (PT_READ | PT_WRITE | PT_EXECUTE) ? AARCH64_VALID : AARCH64_NO_ACCESS;
    return entry;
}

PT_INLINE pt_entry aarch64_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    (void)shape;
    return paddr;
}

PT_INLINE pt_paddr aarch64_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return entry & AARCH64_ADDRESS;
}

PT_INLINE pt_paddr aarch64_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)last_level;
    return aarch64_table_paddr(format, entry);
}

PT_INLINE bool aarch64_is_writable(const struct pt_format *format, pt_entry leaf)
{
    return !(leaf & AARCH64_AP_RO) || (format->tracks_access && (leaf & AARCH64_DBM));
}

PT_INLINE bool aarch64_is_dirty(pt_entry leaf)
{
    return (leaf & AARCH64_SAVED_DIRTY) || (leaf & (AARCH64_DBM | AARCH64_AP_RO)) == AARCH64_DBM;
}

PT_INLINE pt_flags aarch64_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    unsigned index = (unsigned)((entry & AARCH64_ATTR) >> AARCH64_ATTR_SHIFT);
    bool user = entry & AARCH64_AP_EL0;
    pt_flags flags = user ? PT_USER : 0;

    (void)last_level;
    if (entry & AARCH64_VALID)
        flags |= PT_READ | (aarch64_is_writable(format, entry) ? PT_WRITE : 0) |
                 (entry & (user ? AARCH64_UXN : AARCH64_PXN) ? 0 : PT_EXECUTE);
    if (format->tracks_access)
        flags |= (entry & AARCH64_AF ? PT_ACCESSED : 0) | (aarch64_is_dirty(entry) ? PT_DIRTY : 0);
    flags |= entry & AARCH64_NG ? 0 : PT_GLOBAL;
    flags |= index == format->memory_index.device ? PT_DEVICE : 0;
    flags |= index == format->memory_index.uncached ? PT_UNCACHED : 0;
    return flags;
}

/* The hierarchical limits (APTable, PXNTable, UXNTable) stay off: rights are the leaf's. */
PT_INLINE pt_entry aarch64_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)root_entry;
    (void)format;
    return paddr | AARCH64_TABLE | AARCH64_VALID;
}

PT_INLINE bool aarch64_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    (void)last_level;
    return !(leaf & AARCH64_NG);
}

PT_INLINE pt_entry aarch64_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                               struct shape to)
{
    (void)format;
    (void)from;
    return (leaf & ~(AARCH64_ADDRESS | AARCH64_PAGE)) | (to.last ? AARCH64_PAGE : 0);
}

PT_INLINE pt_entry aarch64_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    to |= from & AARCH64_SOFTWARE;
    if (!format->tracks_access)
        return to;
    to |= from & AARCH64_AF;
    if (aarch64_is_dirty(from))
        to = to & AARCH64_DBM ? to & ~AARCH64_AP_RO : to | AARCH64_SAVED_DIRTY;
    return to;
}

PT_INLINE pt_entry aarch64_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    if (recorded & PT_ACCESSED)
        leaf &= ~AARCH64_AF;
    if (recorded & PT_DIRTY)
        leaf = (leaf & ~AARCH64_SAVED_DIRTY) | (leaf & AARCH64_DBM ? AARCH64_AP_RO : 0);
    return leaf;
}

PT_INLINE bool aarch64_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    return format->tracks_access && (leaf & AARCH64_VALID) &&
           (!(leaf & AARCH64_AF) || (leaf & (AARCH64_DBM | AARCH64_AP_RO)) == (AARCH64_DBM | AARCH64_AP_RO));
}

/*
 * D8.16.1: what it takes for a change of a valid entry; rights alone may change in place. FEAT_BBM level
 * 2 lets the size change in place as well (D8.16.1.1), if nothing else does.
 */
PT_INLINE bool aarch64_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level)
{
    if (!(from & to & AARCH64_VALID))
        return false;
    if (!last_level && ((from ^ to) & AARCH64_TABLE))
        return format->bbm_level < 2;
    return (from ^ to) & (AARCH64_ADDRESS | AARCH64_ATTR | AARCH64_SH_INNER | AARCH64_NG);
}

PT_INLINE pt_paddr aarch64_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return AARCH64_ADDRESS;
}

static const struct encoding encoding = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .paddr_mask = aarch64_paddr_mask,
    .format_is_sound = aarch64_format_is_sound,
    .kind = aarch64_kind,
    .leaf_attributes = aarch64_leaf_attributes,
    .address = aarch64_address,
    .table = aarch64_table,
    .leaf_paddr = aarch64_leaf_paddr,
    .leaf_flags = aarch64_leaf_flags,
    .table_paddr = aarch64_table_paddr,
    .leaf_is_global = aarch64_leaf_is_global,
    .reshaped_attributes = aarch64_reshaped_attributes,
    .keep_recorded = aarch64_keep_recorded,
    .clear_recorded = aarch64_clear_recorded,
    .hardware_writes = aarch64_hardware_writes,
    .must_break = aarch64_must_break,
    .invalidate = AARCH64_INVALIDATE,
    .is_live = AARCH64_IS_LIVE,
};

const struct pt_format pt_aarch64 = {
    .name = "AArch64 4K 48-bit EL1&0",
    .operations = &operations,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 4,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 48,
    .pa_bits = 48,
    .address_space = PT_EITHER_HALF,
    .new_mapping_owes = PT_OWES_BARRIER,
    /* MAIR_EL1 as in <pagetable/hw/aarch64.h>: 0 = Device-nGnRE, 1 = write-back, 2 = non-cacheable. */
    .memory_index = {.normal = 1, .device = 0, .uncached = 2},
};

#endif
