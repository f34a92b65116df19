/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, entries of 8 bytes: Sv39, Sv48, Sv57, and Sv39x4, Sv48x4, Sv57x4 for a guest's addresses. Sections: The
 * RISC-V Instruction Set Manual vol. II (privileged architecture), "Supervisor" chapter: "Sv39" and the following;
 * "Svnapot" (64K pages of 16 equal entries), "Svpbmt" (memory types); "Hypervisor" chapter: "Guest Physical
 * Address Translation". XuanTie C9xx: thead-extension-spec, "XTheadMae".
 *
 * Without Svpbmt (or XTheadMae) there are no memory-type bits: the physical memory attributes decide, and PT_DEVICE
 * and PT_UNCACHED are accepted and not reported.
 */
#include "family.h"

#if PT_HAS_FAMILY(RISCV)

#define PT_FAMILY_MMU pt_mmu_riscv
#include "../engine/engine.h"

#if defined(__riscv) && __riscv_xlen == 64
#include <pagetable/hw.h>
#define RISCV_INVALIDATE pt_hw_flush
#else
#define RISCV_INVALIDATE NULL
#endif

#include "riscv_bits.h"
#define RISCV_PPN RISCV_PPN_64
#include "riscv.h"

#define RISCV_N_SIZE PT_64K
#define RISCV_MAE_SO 8u
#define RISCV_MAE_C 4u

static bool riscv_types_are_sound(const struct pt_format *format)
{
    unsigned normal = format->memory_index.normal, device = format->memory_index.device,
             uncached = format->memory_index.uncached;

    if (format->features & PT_FEATURE_SVPBMT)
        return normal < 3 && device < 3 && uncached < 3 && device != normal && uncached != normal && uncached != device;
    if (format->features & PT_FEATURE_C9XX)
        return normal < 16 && device < 16 && uncached < 16 && (normal & (RISCV_MAE_SO | RISCV_MAE_C)) == RISCV_MAE_C &&
               (device & (RISCV_MAE_SO | RISCV_MAE_C)) == RISCV_MAE_SO &&
               (uncached & (RISCV_MAE_SO | RISCV_MAE_C)) == 0;
    return true;
}

static bool riscv_format_is_sound(const struct pt_format *format)
{
    const uint32_t known = PT_FEATURE_SECOND_STAGE | PT_FEATURE_SVPBMT | PT_FEATURE_C9XX;
    bool mae = format->features & PT_FEATURE_C9XX;
    unsigned groups = format->group_bits[0];

    /* XTheadMae takes the bits of Svnapot and Svpbmt. */
    return !(format->features & ~known) && !(mae && ((format->features & PT_FEATURE_SVPBMT) || groups != 0)) &&
           (groups == 0 || groups == 4) && format->group_bits[1] == 0 && format->group_bits[2] == 0 &&
           format->levels >= 3 && format->levels <= 5 && format->va_bits == riscv_va_bits(format) &&
           format->pa_bits <= 56 &&
           format->address_space == (riscv_is_second_stage(format) ? PT_ZERO_EXTENDED : PT_SIGN_EXTENDED) &&
           riscv_types_are_sound(format);
}

/* The bits of the memory type in a leaf; 0: the format has none. */
PT_INLINE pt_entry riscv_type_mask(const struct pt_format *format)
{
    if (format->features & PT_FEATURE_C9XX)
        return RISCV_MAE_MASK << RISCV_MAE_SHIFT;
    return format->features & PT_FEATURE_SVPBMT ? RISCV_PBMT_MASK << RISCV_PBMT_SHIFT : 0;
}

PT_INLINE unsigned riscv_type_shift(const struct pt_format *format)
{
    return format->features & PT_FEATURE_C9XX ? RISCV_MAE_SHIFT : RISCV_PBMT_SHIFT;
}

PT_INLINE pt_entry riscv_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    unsigned index = flags & PT_DEVICE     ? format->memory_index.device
                     : flags & PT_UNCACHED ? format->memory_index.uncached
                                           : format->memory_index.normal;

    return riscv_rights(format, flags) | ((pt_entry)index << riscv_type_shift(format) & riscv_type_mask(format)) |
           (shape.grouped ? RISCV_N : 0);
}

PT_INLINE pt_entry riscv_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    if (shape.grouped)
        paddr = (paddr & ~(RISCV_N_SIZE - 1)) | RISCV_N_SIZE / 2;
    return paddr >> 2;
}

PT_INLINE bool riscv_leaf_is_grouped(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    return last_level && (leaf & RISCV_N) && (format->page_sizes & RISCV_N_SIZE);
}

PT_INLINE pt_paddr riscv_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    pt_paddr paddr = riscv_table_paddr(format, entry);

    return riscv_leaf_is_grouped(format, entry, last_level) ? paddr & ~(RISCV_N_SIZE - 1) : paddr;
}

PT_INLINE pt_flags riscv_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    pt_flags flags = riscv_rights_flags(format, entry);
    pt_entry mask = riscv_type_mask(format);
    unsigned index = (unsigned)((entry & mask) >> riscv_type_shift(format));

    (void)last_level;
    if (mask != 0) {
        flags |= index == format->memory_index.device ? PT_DEVICE : 0;
        flags |= index == format->memory_index.uncached ? PT_UNCACHED : 0;
    }
    return flags;
}

/* Leaves look alike at all levels. */
PT_INLINE pt_entry riscv_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                             struct shape to)
{
    (void)format;
    return (leaf & ~(RISCV_PPN | (from.grouped ? RISCV_N : 0))) | (to.grouped ? RISCV_N : 0);
}

/* Bits 60:54 are reserved, and without Svnapot and Svpbmt those above them; an entry to a table has none of these. */
static pt_entry riscv_malformed(const struct pt_format *format, pt_entry entry, unsigned level)
{
    const pt_entry type = RISCV_PBMT_MASK << RISCV_PBMT_SHIFT, napot = UINT64_C(8) << 10;
    bool leaf = entry & (RISCV_R | RISCV_W | RISCV_X);
    pt_entry reserved = ~(RISCV_PPN | UINT64_C(0x3ff));
    pt_entry malformed = riscv_malformed_rights(format, entry, level);

    if (leaf && (format->features & PT_FEATURE_C9XX))
        reserved &= ~(RISCV_MAE_MASK << RISCV_MAE_SHIFT | UINT64_C(1) << 59); /* and 59: trustable */
    if (leaf && (format->features & PT_FEATURE_SVPBMT) && (entry & type) != type)
        reserved &= ~type;
    if (leaf && riscv_leaf_is_grouped(format, entry, level + 1u == format->levels)) {
        reserved &= ~RISCV_N;
        if ((entry & UINT64_C(15) << 10) != napot)
            malformed |= UINT64_C(15) << 10;
    }
    return malformed | (entry & reserved);
}

static const struct encoding encoding = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .paddr_mask = riscv_paddr_mask,
    .format_is_sound = riscv_format_is_sound,
    .kind = riscv_kind,
    .leaf_attributes = riscv_leaf_attributes,
    .address = riscv_address,
    .table = riscv_table,
    .leaf_paddr = riscv_leaf_paddr,
    .leaf_is_grouped = riscv_leaf_is_grouped,
    .leaf_flags = riscv_leaf_flags,
    .table_paddr = riscv_table_paddr,
    .leaf_has_rights = riscv_leaf_has_rights,
    .leaf_is_global = riscv_leaf_is_global,
    .reshaped_attributes = riscv_reshaped_attributes,
    .keep_recorded = riscv_keep_recorded,
    .clear_recorded = riscv_clear_recorded,
    .hardware_writes = riscv_hardware_writes,
    .as_seen = riscv_as_seen,
    .malformed = riscv_malformed,
    .invalidate = RISCV_INVALIDATE,
};

/*
 * Invalid entries may be remembered too ("Supervisor Memory-Management Fence Instruction"): new ones owe a flush.
 * The memory types are those of Svpbmt, for copies with that feature: 0 = PMA, 1 = NC, 2 = IO.
 */
#define RISCV_MEASURES                                                                                                 \
    .operations = &operations, .page_shift = 12, .index_bits = 9, .pa_bits = 56, .new_mapping_owes = PT_OWES_FLUSH,    \
    .memory_index = {.normal = 0, .device = 2, .uncached = 1}

const struct pt_format pt_sv39 = {
    .name = "Sv39",
    RISCV_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 3,
    .va_bits = 39,
    .address_space = PT_SIGN_EXTENDED,
};

const struct pt_format pt_sv48 = {
    .name = "Sv48",
    RISCV_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G | PT_512G,
    .levels = 4,
    .va_bits = 48,
    .address_space = PT_SIGN_EXTENDED,
};

const struct pt_format pt_sv57 = {
    .name = "Sv57",
    RISCV_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G | PT_512G | PT_256T,
    .levels = 5,
    .va_bits = 57,
    .address_space = PT_SIGN_EXTENDED,
};

const struct pt_format pt_sv39x4 = {
    .name = "Sv39x4",
    RISCV_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 3,
    .va_bits = 41,
    .address_space = PT_ZERO_EXTENDED,
    .features = PT_FEATURE_SECOND_STAGE,
};

const struct pt_format pt_sv48x4 = {
    .name = "Sv48x4",
    RISCV_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G | PT_512G,
    .levels = 4,
    .va_bits = 50,
    .address_space = PT_ZERO_EXTENDED,
    .features = PT_FEATURE_SECOND_STAGE,
};

const struct pt_format pt_sv57x4 = {
    .name = "Sv57x4",
    RISCV_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G | PT_512G | PT_256T,
    .levels = 5,
    .va_bits = 59,
    .address_space = PT_ZERO_EXTENDED,
    .features = PT_FEATURE_SECOND_STAGE,
};

#endif
