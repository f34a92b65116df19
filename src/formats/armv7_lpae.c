/* SPDX-License-Identifier: MIT */
/*
 * ARMv7-A with the Large Physical Address Extension, and AArch32 of ARMv8: long descriptors, stage 1 of PL1&0. Sections:
 * Arm Architecture Reference Manual ARMv7-A and ARMv7-R (DDI 0406C) B3.6 "Long-descriptor translation table format",
 * B3.7 "Memory access control", B3.8.3 "Long-descriptor format memory region attributes", B3.10.1 "General TLB
 * maintenance requirements" (break-before-make).
 *
 * The hardware records nothing: a clear access flag always faults.
 */
#include "family.h"

#if PT_HAS_FAMILY(ARMV7_LPAE)

#define PT_FAMILY_MMU pt_mmu_armv7_lpae
#include "../engine/engine.h"

#if defined(__arm__) && !defined(__aarch64__) && __ARM_ARCH >= 7
#include <pagetable/hw.h>
#define ARMV7_INVALIDATE pt_hw_flush
#define ARMV7_IS_LIVE pt_hw_is_live
#else
#define ARMV7_INVALIDATE NULL
#define ARMV7_IS_LIVE NULL
#endif

#define STAGE1_UXN_IS_XN true

#include "vmsa_stage1.h"

/*
 * TnSZ of 2 and more, up to 7, leave out the first level (B3.6.6). The upper half of a table for TTBR1 begins at
 * 2^32 - 2^va_bits; where va_bits is 32, there are no halves.
 */
static bool armv7_format_is_sound(const struct pt_format *format)
{
    return vmsa_granule_is_sound(format) && vmsa_memory_index_is_sound(format, 8) && format->features == 0 &&
           !format->tracks_access && format->bbm_level == 0 && format->pa_bits <= 40 &&
           (format->leaf_bits | format->table_bits) >> 40 == 0 && format->va_bits >= 25 && format->va_bits <= 32 &&
           format->levels == (format->va_bits > 30 ? 3 : 2) &&
           (format->address_space == PT_ZERO_EXTENDED ||
            (format->address_space == PT_EITHER_HALF && format->va_bits < 32));
}

static const struct encoding encoding = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .paddr_mask = vmsa_paddr_mask,
    .format_is_sound = armv7_format_is_sound,
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
    .invalidate = ARMV7_INVALIDATE,
    .is_live = ARMV7_IS_LIVE,
};

const struct pt_format pt_armv7_lpae = {
    .name = "ARMv7 long descriptors",
    .operations = &operations,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 3,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 32,
    .pa_bits = 40,
    .address_space = PT_ZERO_EXTENDED,
    .new_mapping_owes = PT_OWES_BARRIER,
    /* MAIR0 as in <pagetable/hw/armv7.h>: 0 = device, 1 = write-back, 2 = non-cacheable. */
    .memory_index = {.normal = 1, .device = 0, .uncached = 2},
};

#endif
