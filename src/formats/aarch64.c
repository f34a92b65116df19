/* SPDX-License-Identifier: MIT */
/*
 * AArch64 stage 1: EL1&0, EL2&0 (the same bits), EL2. Sections: Arm Architecture Reference Manual (DDI 0487), D8.3
 * "Translation table descriptor formats", D8.4 "Memory access control", D8.6 "Memory region attributes", D8.16.1
 * "Using break-before-make when updating translation table entries".
 */
#include "family.h"

#if PT_HAS_FAMILY(AARCH64)

#define PT_FAMILY_MMU pt_mmu_aarch64
#include "../engine/engine.h"

#if defined(__aarch64__)
#include <pagetable/hw.h>
#define AARCH64_INVALIDATE pt_hw_flush
#define AARCH64_IS_LIVE pt_hw_is_live
#else
#define AARCH64_INVALIDATE NULL
#define AARCH64_IS_LIVE NULL
#endif

#define STAGE1_UXN_IS_XN false

#include "vmsa_stage1.h"

/* No concatenated tables, and no level that va_bits does not need (D8.2.5). */
static bool aarch64_format_is_sound(const struct pt_format *format)
{
    unsigned below_root = format->page_shift + (format->levels - 1u) * format->index_bits;

    return (format->features & ~(PT_FEATURE_EL2 | PT_FEATURE_WIDE_PA)) == 0 && vmsa_granule_is_sound(format) &&
           vmsa_memory_index_is_sound(format, 8) && format->va_bits >= 25 &&
           format->va_bits - below_root <= format->index_bits &&
           (stage1_has_el0(format) ? format->address_space != PT_SIGN_EXTENDED
                                   : format->address_space == PT_ZERO_EXTENDED);
}

static const struct encoding encoding = {
    .entry_size = 8,
    .paddr_mask = vmsa_paddr_mask,
    .format_is_sound = aarch64_format_is_sound,
    .kind = vmsa_kind,
    .leaf_attributes = stage1_leaf_attributes,
    .address = vmsa_address,
    .table = vmsa_table,
    .leaf_paddr = vmsa_leaf_paddr,
    .leaf_is_grouped = vmsa_leaf_is_grouped,
    .leaf_flags = stage1_leaf_flags,
    .table_paddr = vmsa_table_paddr,
    .leaf_has_rights = vmsa_leaf_has_rights,
    .leaf_is_global = stage1_leaf_is_global,
    .reshaped_attributes = vmsa_reshaped_attributes,
    .keep_recorded = stage1_keep_recorded,
    .clear_recorded = stage1_clear_recorded,
    .hardware_writes = stage1_hardware_writes,
    .must_break = stage1_must_break,
    .as_seen = stage1_as_seen,
    .malformed = vmsa_malformed,
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
