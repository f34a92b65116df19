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

/* Ours, in RSW (bits 9:8), which the CPU ignores; V = 0 makes all other bits ours, too. */
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

PT_INLINE pt_entry riscv_leaf_attributes(const struct pt_format *format, pt_flags flags, bool last_level)
{
    pt_entry entry = RISCV_A | RISCV_D;

    (void)format;
    (void)last_level;
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

PT_INLINE pt_entry riscv_address(const struct pt_format *format, pt_paddr paddr)
{
    (void)format;
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

    (void)format;
    (void)last_level;
    flags |= entry & RISCV_R ? PT_READ : 0;
    flags |= entry & RISCV_W ? PT_WRITE : 0;
    flags |= entry & RISCV_X ? PT_EXECUTE : 0;
    flags |= entry & RISCV_U ? PT_USER : 0;
    flags |= entry & RISCV_G ? PT_GLOBAL : 0;
    return flags;
}

/* A, D and U of an entry that leads to a table are reserved; G would make all below it global. */
PT_INLINE pt_entry riscv_table(const struct pt_format *format, pt_paddr paddr)
{
    return riscv_address(format, paddr) | RISCV_V;
}

static const struct pt_operations riscv_operations;

static const struct encoding riscv = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .paddr_mask = UINT64_C(0x00fffffffffff000),
    .format_is_sound = riscv_format_is_sound,
    .kind = riscv_kind,
    .leaf_attributes = riscv_leaf_attributes,
    .address = riscv_address,
    .table = riscv_table,
    .leaf_paddr = riscv_leaf_paddr,
    .leaf_flags = riscv_leaf_flags,
    .table_paddr = riscv_table_paddr,
    .invalidate = RISCV_INVALIDATE,
    .operations = &riscv_operations,
};

PT_DEFINE_OPERATIONS(riscv)

/* Invalid entries may be remembered too ("Supervisor Memory-Management Fence Instruction"): new ones owe a flush. */
const struct pt_format pt_sv39 = {
    .name = "Sv39",
    .operations = &riscv_operations,
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
    .operations = &riscv_operations,
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
