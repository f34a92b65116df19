/* SPDX-License-Identifier: MIT */
/*
 * AArch64 stage 2: what a guest takes for physical addresses (IPA). Arm Architecture Reference Manual (DDI 0487), D8.3
 * "Translation table descriptor formats", D8.4.2 "Stage 2 data accesses, instruction execution permissions", D8.6.5
 * "Stage 2 memory region attributes" and FEAT_S2FWB, D8.2.5 "Concatenated translation tables".
 *
 * The two exception levels of the guest have the same rights, so PT_USER is implied; but with FEAT_XNX a page is
 * executable either by EL0 (PT_USER) or by EL1. Reading is a right of its own: there are execute-only pages.
 */
#include "family.h"

#if PT_HAS_FAMILY(AARCH64_STAGE2)

#define PT_FAMILY_MMU pt_mmu_aarch64_stage2
#include "../engine/engine.h"

#if defined(__aarch64__)
#include <pagetable/hw.h>
#define STAGE2_INVALIDATE pt_hw_flush
#define STAGE2_IS_LIVE pt_hw_is_live
#else
#define STAGE2_INVALIDATE NULL
#define STAGE2_IS_LIVE NULL
#endif

#include "vmsa.h"

PT_INLINE bool stage2_has_xnx(const struct pt_format *format)
{
    return format->features & PT_FEATURE_XNX;
}

/* D8.2.5: up to 16 concatenated tables take the place of a level. */
static bool stage2_format_is_sound(const struct pt_format *format)
{
    const uint32_t known = PT_FEATURE_SECOND_STAGE | PT_FEATURE_WIDE_PA | PT_FEATURE_FWB | PT_FEATURE_XNX;
    unsigned below_root = format->page_shift + (format->levels - 1u) * format->index_bits;

    return (format->features & ~known) == 0 && (format->features & PT_FEATURE_SECOND_STAGE) &&
           vmsa_granule_is_sound(format) &&
           vmsa_memory_index_is_sound(format, format->features & PT_FEATURE_FWB ? 8 : 16) && format->va_bits >= 25 &&
           format->va_bits - below_root <= format->index_bits + 4u && format->address_space == PT_ZERO_EXTENDED;
}

PT_INLINE pt_entry stage2_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    pt_entry entry = (format->tracks_access ? 0 : VMSA_AF) | vmsa_shape_bits(shape);

    entry |= (pt_entry)vmsa_memory_index(format, flags) << STAGE2_ATTR_SHIFT;
    entry |= (flags & PT_DEVICE) || !vmsa_has_shareability(format) ? 0 : VMSA_SH_INNER;
    entry |= flags & (PT_READ | PT_WRITE) ? STAGE2_READ : 0;
    entry |= !(flags & PT_WRITE) ? 0 : format->tracks_access ? VMSA_DBM : STAGE2_WRITE;
    if (!(flags & PT_EXECUTE))
        entry |= STAGE2_XN;
    else if (stage2_has_xnx(format))
        entry |= flags & PT_USER ? STAGE2_XNX : STAGE2_XN | STAGE2_XNX;
    entry |= flags & (PT_READ | PT_WRITE | PT_EXECUTE) ? VMSA_VALID : VMSA_NO_ACCESS;
    return entry;
}

PT_INLINE bool stage2_is_writable(const struct pt_format *format, pt_entry leaf)
{
    return (leaf & STAGE2_WRITE) || (format->tracks_access && (leaf & VMSA_DBM));
}

PT_INLINE bool stage2_is_dirty(pt_entry leaf)
{
    return (leaf & VMSA_SAVED_DIRTY) || (leaf & (VMSA_DBM | STAGE2_WRITE)) == (VMSA_DBM | STAGE2_WRITE);
}

PT_INLINE pt_flags stage2_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    bool el1_only = stage2_has_xnx(format) && (entry & STAGE2_XN) && (entry & STAGE2_XNX);
    pt_flags flags = el1_only ? 0 : PT_USER;

    (void)last_level;
    if (entry & VMSA_VALID)
        flags |= (entry & STAGE2_READ ? PT_READ : 0) | (stage2_is_writable(format, entry) ? PT_WRITE : 0) |
                 (!(entry & STAGE2_XN) || el1_only ? PT_EXECUTE : 0);
    if (format->tracks_access)
        flags |= (entry & VMSA_AF ? PT_ACCESSED : 0) | (stage2_is_dirty(entry) ? PT_DIRTY : 0);
    return flags | vmsa_memory_flags(format, (unsigned)((entry & STAGE2_ATTR) >> STAGE2_ATTR_SHIFT));
}

/* A VMID is all there is: nothing is global. */
PT_INLINE bool stage2_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    (void)leaf;
    (void)last_level;
    return false;
}

PT_INLINE pt_entry stage2_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    to |= from & VMSA_SOFTWARE;
    if (!format->tracks_access)
        return to;
    to |= from & VMSA_AF;
    if (stage2_is_dirty(from))
        to |= to & VMSA_DBM ? STAGE2_WRITE : VMSA_SAVED_DIRTY;
    return to;
}

PT_INLINE pt_entry stage2_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    if (recorded & PT_ACCESSED)
        leaf &= ~VMSA_AF;
    if (recorded & PT_DIRTY)
        leaf &= ~(VMSA_SAVED_DIRTY | (leaf & VMSA_DBM ? STAGE2_WRITE : 0));
    return leaf;
}

PT_INLINE bool stage2_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    return format->tracks_access && (leaf & VMSA_VALID) &&
           (!(leaf & VMSA_AF) || (leaf & (VMSA_DBM | STAGE2_WRITE)) == VMSA_DBM);
}

/* Rights alone may change in place. */
PT_INLINE bool stage2_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level)
{
    pt_entry dirty = from & to & VMSA_DBM ? STAGE2_WRITE : 0;

    return vmsa_must_break(format, from, to, last_level, STAGE2_ATTR | VMSA_SH,
                           VMSA_AF | dirty | VMSA_SOFTWARE | VMSA_SAVED_DIRTY);
}

/* What others may have built: no entry limits what lies below. */
static pt_entry stage2_as_seen(const struct pt_format *format, pt_entry entry, pt_entry above, unsigned level)
{
    (void)above;
    if (vmsa_kind(format, entry, level + 1u == format->levels) == ENTRY_TABLE)
        return entry;
    entry &= ~(VMSA_NO_ACCESS | VMSA_SAVED_DIRTY);
    return format->tracks_access || (entry & VMSA_AF) ? entry : entry & ~VMSA_VALID;
}

static const struct encoding encoding = {
    .entry_size = 8,
    .paddr_mask = vmsa_paddr_mask,
    .format_is_sound = stage2_format_is_sound,
    .kind = vmsa_kind,
    .leaf_attributes = stage2_leaf_attributes,
    .address = vmsa_address,
    .table = vmsa_table,
    .leaf_paddr = vmsa_leaf_paddr,
    .leaf_is_grouped = vmsa_leaf_is_grouped,
    .leaf_flags = stage2_leaf_flags,
    .table_paddr = vmsa_table_paddr,
    .leaf_is_global = stage2_leaf_is_global,
    .reshaped_attributes = vmsa_reshaped_attributes,
    .keep_recorded = stage2_keep_recorded,
    .clear_recorded = stage2_clear_recorded,
    .hardware_writes = stage2_hardware_writes,
    .must_break = stage2_must_break,
    .as_seen = stage2_as_seen,
    .malformed = vmsa_malformed,
    .invalidate = STAGE2_INVALIDATE,
    .is_live = STAGE2_IS_LIVE,
};

/* MemAttr without FEAT_S2FWB: 15 = write-back, 1 = Device-nGnRE, 5 = non-cacheable; the guest may make it weaker. */
#define STAGE2_FORMAT(granule_bits, level_count, address_bits)                                                         \
    .operations = &operations, .levels = (level_count), .page_shift = (granule_bits),                                  \
    .index_bits = (granule_bits) - 3, .va_bits = (address_bits), .pa_bits = 48, .address_space = PT_ZERO_EXTENDED,     \
    .new_mapping_owes = PT_OWES_BARRIER, .features = PT_FEATURE_SECOND_STAGE,                                          \
    .memory_index = {.normal = 15, .device = 1, .uncached = 5}

/* Three levels, the first of two tables. */
const struct pt_format pt_aarch64_stage2 = {
    .name = "AArch64 4K 40-bit stage 2",
    .page_sizes = PT_4K | PT_2M | PT_1G,
    STAGE2_FORMAT(12, 3, 40),
};

const struct pt_format pt_aarch64_stage2_16k = {
    .name = "AArch64 16K 40-bit stage 2",
    .page_sizes = PT_16K | PT_32M,
    STAGE2_FORMAT(14, 3, 40),
};

const struct pt_format pt_aarch64_stage2_64k = {
    .name = "AArch64 64K 40-bit stage 2",
    .page_sizes = PT_64K | PT_512M,
    STAGE2_FORMAT(16, 2, 40),
};

#endif
