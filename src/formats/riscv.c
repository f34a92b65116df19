/* SPDX-License-Identifier: MIT */
/*
 * RISC-V: Sv39 and Sv48. Sections: The RISC-V Instruction Set Manual vol. II (privileged architecture),
 * "Supervisor" chapter: "Addressing and Memory Protection" (the entry), "Virtual Address Translation
 * Process", "Sv39", "Sv48".
 *
 * EXECUTE without READ exists; WRITE without READ is reserved, so WRITE implies READ. There are no
 * memory-type bits without Svpbmt: the physical memory attributes decide, and PT_DEVICE and PT_UNCACHED
 * are accepted and not reported.
 */
#include "family.h"

#if PT_HAS_FAMILY(RISCV)

#include "../engine/engine.h"

#if defined(__riscv) && __riscv_xlen == 64
#include <pagetable/hw.h>
#define RISCV_INVALIDATE pt_hw_flush
#else
#define RISCV_INVALIDATE NULL
#endif

#define RISCV_V (UINT64_C(1) << 0) /* valid */
#define RISCV_R (UINT64_C(1) << 1)
#define RISCV_W (UINT64_C(1) << 2)
#define RISCV_X (UINT64_C(1) << 3)
#define RISCV_U (UINT64_C(1) << 4)
#define RISCV_G (UINT64_C(1) << 5)
#define RISCV_A (UINT64_C(1) << 6)             /* accessed; without Svadu a clear one faults, so it is always set */
#define RISCV_D (UINT64_C(1) << 7)             /* dirty; likewise */
#define RISCV_PPN UINT64_C(0x003ffffffffffc00) /* bits 53:10: physical address bits 55:12; 63:54 stay zero */

/* RSW, bits 9:8, is free for software: one for the user, one ours. V = 0 makes all other bits ours, too. */
#define RISCV_SOFTWARE (UINT64_C(1) << 9)
#define RISCV_NO_ACCESS (UINT64_C(1) << 8)

static bool riscv_format_is_sound(const struct pt_format *format)
{
    return format->pa_bits <= 56 && format->address_space == PT_SIGN_EXTENDED;
}

PT_INLINE enum entry_kind riscv_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!(entry & RISCV_V))
        return entry & RISCV_NO_ACCESS ? ENTRY_LEAF : ENTRY_EMPTY;
    if (entry & (RISCV_R | RISCV_W | RISCV_X))
        return ENTRY_LEAF;
    return last_level ? ENTRY_EMPTY : ENTRY_TABLE;
}

PT_INLINE pt_entry riscv_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    pt_entry entry = format->tracks_access ? 0 : RISCV_A | RISCV_D;

    (void)shape;
    entry |= flags & PT_USER ? RISCV_U : 0;
    entry |= flags & PT_GLOBAL ? RISCV_G : 0;
    if (!(flags & (PT_READ | PT_WRITE | PT_EXECUTE)))
        return entry | RISCV_NO_ACCESS;
    entry |= RISCV_V;
    entry |= flags & (PT_READ | PT_WRITE) ? RISCV_R : 0;
    entry |= flags & PT_WRITE ? RISCV_W : 0;
    entry |= flags & PT_EXECUTE ? RISCV_X : 0;
    return entry;
}

PT_INLINE pt_entry riscv_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    (void)shape;
    return paddr >> 2;
}

PT_INLINE pt_paddr riscv_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return (entry & RISCV_PPN) << 2;
}

PT_INLINE pt_paddr riscv_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)last_level;
    return riscv_table_paddr(format, entry);
}

PT_INLINE pt_flags riscv_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    pt_flags flags = 0;

    (void)last_level;
    flags |= entry & RISCV_R ? PT_READ : 0;
    flags |= entry & RISCV_W ? PT_WRITE : 0;
    flags |= entry & RISCV_X ? PT_EXECUTE : 0;
    flags |= entry & RISCV_U ? PT_USER : 0;
    flags |= entry & RISCV_G ? PT_GLOBAL : 0;
    if (format->tracks_access)
        flags |= (entry & RISCV_A ? PT_ACCESSED : 0) | (entry & RISCV_D ? PT_DIRTY : 0);
    return flags;
}

/* A, D and U of an entry that leads to a table are reserved; G would make all below it global. */
PT_INLINE pt_entry riscv_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)root_entry;
    return riscv_address(format, paddr, (struct shape){false, false}) | RISCV_V;
}

PT_INLINE bool riscv_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    (void)last_level;
    return leaf & RISCV_G;
}

/* Leaves look alike at all levels. */
PT_INLINE pt_entry riscv_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                             struct shape to)
{
    (void)format;
    (void)from;
    (void)to;
    return leaf & ~RISCV_PPN;
}

PT_INLINE pt_entry riscv_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    (void)format;
    return to | (from & (RISCV_A | RISCV_D | RISCV_SOFTWARE));
}

PT_INLINE pt_entry riscv_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    return leaf & ~((recorded & PT_ACCESSED ? RISCV_A : 0) | (recorded & PT_DIRTY ? RISCV_D : 0));
}

PT_INLINE bool riscv_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    return format->tracks_access && (leaf & RISCV_V) && (!(leaf & RISCV_A) || (leaf & (RISCV_W | RISCV_D)) == RISCV_W);
}

PT_INLINE pt_paddr riscv_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return UINT64_C(0x00fffffffffff000);
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
    .leaf_flags = riscv_leaf_flags,
    .table_paddr = riscv_table_paddr,
    .leaf_is_global = riscv_leaf_is_global,
    .reshaped_attributes = riscv_reshaped_attributes,
    .keep_recorded = riscv_keep_recorded,
    .clear_recorded = riscv_clear_recorded,
    .hardware_writes = riscv_hardware_writes,
    .invalidate = RISCV_INVALIDATE,
};

/* Invalid entries may be remembered too ("Supervisor Memory-Management Fence Instruction"): new ones owe a flush. */
const struct pt_format pt_sv39 = {
    .name = "Sv39",
    .operations = &operations,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 3,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 39,
    .pa_bits = 56,
    .address_space = PT_SIGN_EXTENDED,
    .new_mapping_owes = PT_OWES_FLUSH,
};

const struct pt_format pt_sv48 = {
    .name = "Sv48",
    .operations = &operations,
    .page_sizes = PT_4K | PT_2M | PT_1G | PT_512G,
    .levels = 4,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 48,
    .pa_bits = 56,
    .address_space = PT_SIGN_EXTENDED,
    .new_mapping_owes = PT_OWES_FLUSH,
};

#endif
