/* SPDX-License-Identifier: MIT */
/*
 * What entries of 8 bytes (Sv39 ...) and of 4 (Sv32) have in common: their lower 10 bits, and the page number above
 * them. The file that includes this has defined RISCV_PPN, the bits of the page number. Sections: The RISC-V
 * Instruction Set Manual vol. II (privileged architecture), "Addressing and Memory Protection", "Virtual Address
 * Translation Process"; of the second stage, "Hypervisor" chapter, "Guest Physical Address Translation".
 *
 * EXECUTE without READ exists; WRITE without READ is reserved, so WRITE implies READ.
 */
#ifndef PT_FORMATS_RISCV_H
#define PT_FORMATS_RISCV_H

#include "riscv_bits.h"

PT_INLINE bool riscv_is_second_stage(const struct pt_format *format)
{
    return format->features & PT_FEATURE_SECOND_STAGE;
}

/* The root of a second stage is four times as large: two more bits of the guest's addresses. */
PT_INLINE unsigned riscv_va_bits(const struct pt_format *format)
{
    return format->page_shift + (unsigned)format->levels * format->index_bits + (riscv_is_second_stage(format) ? 2 : 0);
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

PT_INLINE pt_entry riscv_rights(const struct pt_format *format, pt_flags flags)
{
    pt_entry entry = format->tracks_access ? 0 : RISCV_A | RISCV_D;

    if (riscv_is_second_stage(format))
        entry |= RISCV_U;
    else
        entry |= (flags & PT_USER ? RISCV_U : 0) | (flags & PT_GLOBAL ? RISCV_G : 0);
    if (!(flags & (PT_READ | PT_WRITE | PT_EXECUTE)))
        return entry | RISCV_NO_ACCESS;
    entry |= RISCV_V;
    entry |= flags & (PT_READ | PT_WRITE) ? RISCV_R : 0;
    entry |= flags & PT_WRITE ? RISCV_W : 0;
    entry |= flags & PT_EXECUTE ? RISCV_X : 0;
    return entry;
}

PT_INLINE pt_flags riscv_rights_flags(const struct pt_format *format, pt_entry entry)
{
    pt_flags flags = 0;

    flags |= entry & RISCV_R ? PT_READ : 0;
    flags |= entry & RISCV_W ? PT_WRITE : 0;
    flags |= entry & RISCV_X ? PT_EXECUTE : 0;
    flags |= entry & RISCV_U ? PT_USER : 0;
    flags |= (entry & RISCV_G) && !riscv_is_second_stage(format) ? PT_GLOBAL : 0;
    if (format->tracks_access)
        flags |= (entry & RISCV_A ? PT_ACCESSED : 0) | (entry & RISCV_D ? PT_DIRTY : 0);
    return flags;
}

/* A, D and U of an entry that leads to a table are reserved; G would make all below it global. */
PT_INLINE pt_entry riscv_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)format;
    (void)root_entry;
    return paddr >> 2 | RISCV_V;
}

PT_INLINE pt_paddr riscv_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return (entry & RISCV_PPN) << 2;
}

PT_INLINE pt_paddr riscv_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return RISCV_PPN << 2;
}

PT_INLINE bool riscv_leaf_has_rights(const struct pt_format *format, pt_entry leaf)
{
    (void)format;
    return leaf & RISCV_V;
}

PT_INLINE bool riscv_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)last_level;
    return (leaf & RISCV_G) && !riscv_is_second_stage(format);
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

/*
 * What others may have built. Without Svadu a page without A cannot be used, nor written without D. G of an entry that
 * leads to a table is all its pages'. In a second stage every access is the user's.
 */
static pt_entry riscv_as_seen(const struct pt_format *format, pt_entry entry, pt_entry above, unsigned level)
{
    (void)level;
    entry |= above & RISCV_G;
    if (!(entry & (RISCV_R | RISCV_W | RISCV_X)))
        return entry;
    if ((!format->tracks_access && !(entry & RISCV_A)) || (riscv_is_second_stage(format) && !(entry & RISCV_U)))
        return entry & ~(RISCV_R | RISCV_W | RISCV_X);
    return !format->tracks_access && !(entry & RISCV_D) ? entry & ~RISCV_W : entry;
}

/* "Virtual Address Translation Process": W without R, a misaligned superpage; A, D, U where there is no leaf. */
static pt_entry riscv_malformed_rights(const struct pt_format *format, pt_entry entry, unsigned level)
{
    unsigned above_last = format->levels - 1u - level;

    if (!(entry & (RISCV_R | RISCV_W | RISCV_X)))
        return entry & (RISCV_A | RISCV_D | RISCV_U);
    return (entry & (RISCV_R | RISCV_W)) == RISCV_W
               ? RISCV_W
               : entry & RISCV_PPN & ((UINT64_C(1) << (10 + above_last * format->index_bits)) - 1);
}

#endif
