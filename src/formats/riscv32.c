/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, entries of 4 bytes: Sv32, and Sv32x4 for a guest's addresses. Sections: The RISC-V Instruction Set Manual
 * vol. II (privileged architecture), "Supervisor" chapter: "Sv32: Page-Based 32-bit Virtual-Memory Systems";
 * "Hypervisor" chapter: "Guest Physical Address Translation". Physical addresses have 34 bits.
 */
#include "family.h"

#if PT_HAS_FAMILY(RISCV32)

#define PT_FAMILY_MMU pt_mmu_riscv
#include "../engine/engine.h"

#if defined(__riscv) && __riscv_xlen == 32
#include <pagetable/hw.h>
#define RISCV_INVALIDATE pt_hw_flush
#else
#define RISCV_INVALIDATE NULL
#endif

#include "riscv_bits.h"
#define RISCV_PPN RISCV_PPN_32
#include "riscv.h"

/* There is no room for Svnapot and Svpbmt. */
static bool riscv_format_is_sound(const struct pt_format *format)
{
    return !(format->features & ~PT_FEATURE_SECOND_STAGE) && format->levels == 2 &&
           format->va_bits == riscv_va_bits(format) && format->pa_bits <= 34 &&
           format->address_space == PT_ZERO_EXTENDED;
}

PT_INLINE pt_entry riscv_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    (void)shape;
    return riscv_rights(format, flags);
}

PT_INLINE pt_entry riscv_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    (void)shape;
    return paddr >> 2;
}

PT_INLINE pt_paddr riscv_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)last_level;
    return riscv_table_paddr(format, entry);
}

PT_INLINE pt_flags riscv_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)last_level;
    return riscv_rights_flags(format, entry);
}

/* Leaves look alike at both levels. */
PT_INLINE pt_entry riscv_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                             struct shape to)
{
    (void)format;
    (void)from;
    (void)to;
    return leaf & ~RISCV_PPN;
}

static const struct encoding encoding = {
    .entry_size = 4,
    .page_shift = 12,
    .index_bits = 10,
    .paddr_mask = riscv_paddr_mask,
    .format_is_sound = riscv_format_is_sound,
    .kind = riscv_kind,
    .leaf_attributes = riscv_leaf_attributes,
    .address = riscv_address,
    .table = riscv_table,
    .leaf_paddr = riscv_leaf_paddr,
    .leaf_flags = riscv_leaf_flags,
    .table_paddr = riscv_table_paddr,
    .leaf_has_rights = riscv_leaf_has_rights,
    .leaf_is_global = riscv_leaf_is_global,
    .reshaped_attributes = riscv_reshaped_attributes,
    .keep_recorded = riscv_keep_recorded,
    .clear_recorded = riscv_clear_recorded,
    .hardware_writes = riscv_hardware_writes,
    .as_seen = riscv_as_seen,
    .malformed = riscv_malformed_rights,
    .invalidate = RISCV_INVALIDATE,
};

/* Invalid entries may be remembered too ("Supervisor Memory-Management Fence Instruction"): new ones owe a flush. */
#define RISCV_MEASURES                                                                                                 \
    .operations = &operations, .page_sizes = PT_4K | PT_4M, .levels = 2, .page_shift = 12, .index_bits = 10,           \
    .pa_bits = 34, .address_space = PT_ZERO_EXTENDED, .new_mapping_owes = PT_OWES_FLUSH

const struct pt_format pt_sv32 = {
    .name = "Sv32",
    RISCV_MEASURES,
    .va_bits = 32,
};

const struct pt_format pt_sv32x4 = {
    .name = "Sv32x4",
    RISCV_MEASURES,
    .va_bits = 34,
    .features = PT_FEATURE_SECOND_STAGE,
};

#endif
