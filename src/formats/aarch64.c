/* SPDX-License-Identifier: MIT */
/*
 * AArch64 stage 1: EL1&0, EL2&0 (the same bits), EL2. Sections: Arm Architecture Reference Manual (DDI 0487), D8.3
 * "Translation table descriptor formats", D8.4 "Memory access control", D8.6 "Memory region attributes", D8.16.1
 * "Using break-before-make when updating translation table entries".
 *
 * EL1 reads every valid page, and EL0 reads what it may execute: WRITE and EXECUTE imply READ. A user
 * page is executable by EL0 only, another page by EL1 only. EL2 alone has one privilege level, of which every page is.
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

#include "vmsa.h"

#define AARCH64_ATTR_SHIFT 2 /* AttrIndx, bits 4:2: which byte of MAIR_EL1 */
#define AARCH64_ATTR (UINT64_C(7) << 2)
#define AARCH64_AP_EL0 (UINT64_C(1) << 6) /* AP[1]: EL0 may access; RES1 where there is none */
#define AARCH64_AP_RO (UINT64_C(1) << 7)  /* AP[2]: read-only */
#define AARCH64_NG (UINT64_C(1) << 11)    /* not global */
#define AARCH64_PXN (UINT64_C(1) << 53)   /* EL1 may not execute */
#define AARCH64_UXN (UINT64_C(1) << 54)   /* EL0 may not execute; XN where there is one privilege level */

/* D8.4.1: a regime with one privilege level has one XN, and neither ASIDs nor AP[1] and nG. */
PT_INLINE bool aarch64_has_el0(const struct pt_format *format)
{
    return !(format->features & PT_FEATURE_EL2);
}

/* No concatenated tables, and no level that va_bits does not need (D8.2.5). */
static bool aarch64_format_is_sound(const struct pt_format *format)
{
    unsigned below_root = format->page_shift + (format->levels - 1u) * format->index_bits;

    return (format->features & ~(PT_FEATURE_EL2 | PT_FEATURE_WIDE_PA)) == 0 && vmsa_granule_is_sound(format) &&
           vmsa_memory_index_is_sound(format, 8) && format->va_bits >= 25 &&
           format->va_bits - below_root <= format->index_bits &&
           (aarch64_has_el0(format) ? format->address_space != PT_SIGN_EXTENDED
                                    : format->address_space == PT_ZERO_EXTENDED);
}

PT_INLINE pt_entry aarch64_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    bool executable = flags & PT_EXECUTE;
    bool user = flags & PT_USER;
    pt_entry entry = (format->tracks_access ? 0 : VMSA_AF) | vmsa_shape_bits(shape);

    entry |= (pt_entry)vmsa_memory_index(format, flags) << AARCH64_ATTR_SHIFT;
    entry |= (flags & PT_DEVICE) || !vmsa_has_shareability(format) ? 0 : VMSA_SH_INNER;
    entry |= !(flags & PT_WRITE) ? AARCH64_AP_RO : format->tracks_access ? VMSA_DBM | AARCH64_AP_RO : 0;
    if (aarch64_has_el0(format)) {
        entry |= user ? AARCH64_AP_EL0 : 0;
        entry |= flags & PT_GLOBAL ? 0 : AARCH64_NG;
        entry |= executable && user ? 0 : AARCH64_UXN;
        entry |= executable && !user ? 0 : AARCH64_PXN;
    } else {
        entry |= AARCH64_AP_EL0 | (executable ? 0 : AARCH64_UXN);
    }
    entry |= flags & (PT_READ | PT_WRITE | PT_EXECUTE) ? VMSA_VALID : VMSA_NO_ACCESS;
    return entry;
}

PT_INLINE bool aarch64_is_writable(const struct pt_format *format, pt_entry leaf)
{
    return !(leaf & AARCH64_AP_RO) || (format->tracks_access && (leaf & VMSA_DBM));
}

PT_INLINE bool aarch64_is_dirty(pt_entry leaf)
{
    return (leaf & VMSA_SAVED_DIRTY) || (leaf & (VMSA_DBM | AARCH64_AP_RO)) == VMSA_DBM;
}

PT_INLINE bool aarch64_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)last_level;
    return aarch64_has_el0(format) && !(leaf & AARCH64_NG);
}

PT_INLINE pt_flags aarch64_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    bool user = entry & AARCH64_AP_EL0;
    pt_flags flags = user || !aarch64_has_el0(format) ? PT_USER : 0;

    if (entry & VMSA_VALID)
        flags |= PT_READ | (aarch64_is_writable(format, entry) ? PT_WRITE : 0) |
                 (entry & (user || !aarch64_has_el0(format) ? AARCH64_UXN : AARCH64_PXN) ? 0 : PT_EXECUTE);
    if (format->tracks_access)
        flags |= (entry & VMSA_AF ? PT_ACCESSED : 0) | (aarch64_is_dirty(entry) ? PT_DIRTY : 0);
    flags |= aarch64_leaf_is_global(format, entry, last_level) ? PT_GLOBAL : 0;
    return flags | vmsa_memory_flags(format, (unsigned)((entry & AARCH64_ATTR) >> AARCH64_ATTR_SHIFT));
}

PT_INLINE pt_entry aarch64_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    to |= from & VMSA_SOFTWARE;
    if (!format->tracks_access)
        return to;
    to |= from & VMSA_AF;
    if (aarch64_is_dirty(from))
        to = to & VMSA_DBM ? to & ~AARCH64_AP_RO : to | VMSA_SAVED_DIRTY;
    return to;
}

PT_INLINE pt_entry aarch64_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    if (recorded & PT_ACCESSED)
        leaf &= ~VMSA_AF;
    if (recorded & PT_DIRTY)
        leaf = (leaf & ~VMSA_SAVED_DIRTY) | (leaf & VMSA_DBM ? AARCH64_AP_RO : 0);
    return leaf;
}

PT_INLINE bool aarch64_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    return format->tracks_access && (leaf & VMSA_VALID) &&
           (!(leaf & VMSA_AF) || (leaf & (VMSA_DBM | AARCH64_AP_RO)) == (VMSA_DBM | AARCH64_AP_RO));
}

/* Rights alone may change in place. */
PT_INLINE bool aarch64_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level)
{
    pt_entry dirty = from & to & VMSA_DBM ? AARCH64_AP_RO : 0;

    return vmsa_must_break(format, from, to, last_level, AARCH64_ATTR | VMSA_SH | AARCH64_NG,
                           VMSA_AF | dirty | VMSA_SOFTWARE | VMSA_SAVED_DIRTY);
}

static const struct encoding encoding = {
    .entry_size = 8,
    .paddr_mask = vmsa_paddr_mask,
    .format_is_sound = aarch64_format_is_sound,
    .kind = vmsa_kind,
    .leaf_attributes = aarch64_leaf_attributes,
    .address = vmsa_address,
    .table = vmsa_table,
    .leaf_paddr = vmsa_leaf_paddr,
    .leaf_is_grouped = vmsa_leaf_is_grouped,
    .leaf_flags = aarch64_leaf_flags,
    .table_paddr = vmsa_table_paddr,
    .leaf_has_rights = vmsa_leaf_has_rights,
    .leaf_is_global = aarch64_leaf_is_global,
    .reshaped_attributes = vmsa_reshaped_attributes,
    .keep_recorded = aarch64_keep_recorded,
    .clear_recorded = aarch64_clear_recorded,
    .hardware_writes = aarch64_hardware_writes,
    .must_break = aarch64_must_break,
    .invalidate = AARCH64_INVALIDATE,
    .is_live = AARCH64_IS_LIVE,
};

/* What all of them share. MAIR_ELx as in <pagetable/hw/aarch64.h>: 0 = Device-nGnRE, 1 = write-back, 2 = non-cacheable. */
#define AARCH64_FORMAT(granule_bits, level_count, address_bits)                                                        \
    .operations = &operations, .levels = (level_count), .page_shift = (granule_bits),                                  \
    .index_bits = (granule_bits) - 3, .va_bits = (address_bits), .pa_bits = (address_bits),                            \
    .new_mapping_owes = PT_OWES_BARRIER, .memory_index = {.normal = 1, .device = 0, .uncached = 2}

const struct pt_format pt_aarch64 = {
    .name = "AArch64 4K 48-bit EL1&0",
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .address_space = PT_EITHER_HALF,
    AARCH64_FORMAT(12, 4, 48),
};

const struct pt_format pt_aarch64_16k = {
    .name = "AArch64 16K 48-bit EL1&0",
    .page_sizes = PT_16K | PT_32M,
    .address_space = PT_EITHER_HALF,
    AARCH64_FORMAT(14, 4, 48),
};

const struct pt_format pt_aarch64_64k = {
    .name = "AArch64 64K 48-bit EL1&0",
    .page_sizes = PT_64K | PT_512M,
    .address_space = PT_EITHER_HALF,
    AARCH64_FORMAT(16, 3, 48),
};

const struct pt_format pt_aarch64_4k_52 = {
    .name = "AArch64 4K 52-bit EL1&0",
    .page_sizes = PT_4K | PT_2M | PT_1G | PT_512G,
    .address_space = PT_EITHER_HALF,
    .features = PT_FEATURE_WIDE_PA,
    AARCH64_FORMAT(12, 5, 52),
};

const struct pt_format pt_aarch64_16k_52 = {
    .name = "AArch64 16K 52-bit EL1&0",
    .page_sizes = PT_16K | PT_32M | PT_64G,
    .address_space = PT_EITHER_HALF,
    .features = PT_FEATURE_WIDE_PA,
    AARCH64_FORMAT(14, 4, 52),
};

const struct pt_format pt_aarch64_64k_52 = {
    .name = "AArch64 64K 52-bit EL1&0",
    .page_sizes = PT_64K | PT_512M | PT_4T,
    .address_space = PT_EITHER_HALF,
    .features = PT_FEATURE_WIDE_PA,
    AARCH64_FORMAT(16, 3, 52),
};

const struct pt_format pt_aarch64_el2 = {
    .name = "AArch64 4K 48-bit EL2",
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .address_space = PT_ZERO_EXTENDED,
    .features = PT_FEATURE_EL2,
    AARCH64_FORMAT(12, 4, 48),
};

#endif
