/* SPDX-License-Identifier: MIT */
/*
 * What the 64-bit descriptors of Arm have in common: VMSAv8-64, both stages (Arm ARM, DDI 0487, D8.3 "Translation
 * table descriptor formats"), and the long descriptors of VMSAv7 and VMSAv8-32 (DDI 0406, B3.6; DDI 0487, G5.5).
 * For the families' files, behind the engine.
 */
#ifndef PT_FORMATS_VMSA_H
#define PT_FORMATS_VMSA_H

#include "../engine/encoding.h"
#include "vmsa_bits.h"

/* ---- Addresses --------------------------------------------------------------------------------- */

/*
 * 48 bits stand where they are. Of 52 bits (D8.3.1), with the 64K granule bits 51:48 stand in 15:12; with the
 * others bits 49:48 stand where they are, and 51:50 in 9:8, in the place of SH, which TCR.SHn decides then.
 */
PT_INLINE bool vmsa_is_wide(const struct pt_format *format)
{
    return format->features & PT_FEATURE_WIDE_PA;
}

PT_INLINE bool vmsa_has_shareability(const struct pt_format *format)
{
    return !vmsa_is_wide(format) || format->page_shift == 16;
}

/* The bits of the entry that hold the address. */
PT_INLINE pt_entry vmsa_address_field(const struct pt_format *format)
{
    if (!vmsa_is_wide(format))
        return VMSA_BITS(47, 12);
    return format->page_shift == 16 ? VMSA_BITS(47, 12) : VMSA_BITS(49, 12) | VMSA_BITS(9, 8);
}

PT_INLINE pt_entry vmsa_pack_address(const struct pt_format *format, pt_paddr paddr)
{
    if (!vmsa_is_wide(format))
        return paddr;
    if (format->page_shift == 16)
        return (paddr & VMSA_BITS(47, 16)) | (paddr >> 36 & VMSA_BITS(15, 12));
    return (paddr & VMSA_BITS(49, 12)) | (paddr >> 42 & VMSA_BITS(9, 8));
}

PT_INLINE pt_paddr vmsa_unpack_address(const struct pt_format *format, pt_entry entry)
{
    if (!vmsa_is_wide(format))
        return entry & VMSA_BITS(47, 12);
    if (format->page_shift == 16)
        return (entry & VMSA_BITS(47, 16)) | (entry & VMSA_BITS(15, 12)) << 36;
    return (entry & VMSA_BITS(49, 12)) | (entry & VMSA_BITS(9, 8)) << 42;
}

PT_INLINE pt_entry vmsa_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)shape;
    return vmsa_pack_address(format, paddr);
}

PT_INLINE pt_paddr vmsa_table_paddr(const struct pt_format *format, pt_entry entry)
{
    return vmsa_unpack_address(format, entry);
}

PT_INLINE pt_paddr vmsa_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)last_level;
    return vmsa_unpack_address(format, entry);
}

PT_INLINE pt_paddr vmsa_paddr_mask(const struct pt_format *format)
{
    return VMSA_BITS(vmsa_is_wide(format) ? 51 : 47, 12) & ~VMSA_BITS(format->page_shift - 1u, 0);
}

/* ---- Sorts of entries -------------------------------------------------------------------------- */

PT_INLINE enum entry_kind vmsa_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!(entry & VMSA_VALID))
        return entry & VMSA_NO_ACCESS ? ENTRY_LEAF : ENTRY_EMPTY;
    if (last_level)
        return entry & VMSA_PAGE ? ENTRY_LEAF : ENTRY_EMPTY; /* 0b01 is reserved there, and faults */
    return entry & VMSA_TABLE ? ENTRY_TABLE : ENTRY_LEAF;
}

PT_INLINE bool vmsa_leaf_has_rights(const struct pt_format *format, pt_entry leaf)
{
    (void)format;
    return leaf & VMSA_VALID;
}

/* Stage 1 could limit rights here (APTable, PXNTable, UXNTable); they stay off: rights are the leaf's. */
PT_INLINE pt_entry vmsa_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)root_entry;
    return vmsa_pack_address(format, paddr) | VMSA_TABLE | VMSA_VALID;
}

PT_INLINE bool vmsa_leaf_is_grouped(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    (void)last_level;
    return leaf & VMSA_CONTIGUOUS;
}

/* What the shape makes of a leaf. */
PT_INLINE pt_entry vmsa_shape_bits(struct shape shape)
{
    return (shape.last ? VMSA_PAGE : 0) | (shape.grouped ? VMSA_CONTIGUOUS : 0);
}

PT_INLINE pt_entry vmsa_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                            struct shape to)
{
    (void)from;
    return (leaf & ~(vmsa_address_field(format) | VMSA_PAGE | VMSA_CONTIGUOUS)) | vmsa_shape_bits(to);
}

/* ---- Changes ----------------------------------------------------------------------------------- */

/*
 * D8.16.1: what it takes for a change of a valid entry. `fixed` are the bits that must not change in place; those in
 * `recorded` the hardware may write at any time. The entries of a group have to agree in all others (D8.7.1), so
 * nothing of them changes in place. FEAT_BBM level 2 lets the size change, if nothing else does (D8.16.1.1).
 */
PT_INLINE bool vmsa_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level,
                               pt_entry fixed, pt_entry recorded)
{
    pt_entry changed = from ^ to;

    if (!(from & to & VMSA_VALID))
        return false;
    if (!last_level && (changed & VMSA_TABLE))
        return format->bbm_level < 2;
    if (!((from | to) & VMSA_CONTIGUOUS))
        return changed & (fixed | vmsa_address_field(format));
    if (changed & ~(recorded | VMSA_CONTIGUOUS))
        return true;
    return (changed & VMSA_CONTIGUOUS) && format->bbm_level < 2;
}

/* ---- Descriptors ------------------------------------------------------------------------------- */

/*
 * The measures agree with the granule: the largest block (D8.3.1: one level more with 52-bit addresses), the groups
 * (D8.7.1), the width of addresses. The start level is left to each stage.
 */
PT_INLINE bool vmsa_granule_is_sound(const struct pt_format *format)
{
    bool wide = vmsa_is_wide(format);
    unsigned shift = format->page_shift, bits = shift - 3u;
    unsigned group[PT_GROUP_LEVELS] = {0, 0, 0};
    uint64_t sizes = UINT64_C(1) << shift | UINT64_C(1) << (shift + bits);

    if (format->index_bits != bits || format->pa_bits > (wide ? 52 : 48) || format->va_bits > 52 ||
        format->va_bits > (wide || shift == 16 ? 52 : 48))
        return false;
    if (vmsa_pack_address(format, format->leaf_bits) != format->leaf_bits ||
        vmsa_pack_address(format, format->table_bits) != format->table_bits)
        return false;

    switch (shift) {
    case 12:
        sizes |= PT_1G | (wide ? PT_512G : 0);
        group[0] = group[1] = group[2] = 4;
        break;
    case 14:
        sizes |= wide ? PT_64G : 0;
        group[0] = 7;
        group[1] = 5;
        break;
    case 16:
        sizes |= wide ? PT_4T : 0;
        group[0] = group[1] = 5;
        break;
    default:
        return false;
    }
    for (unsigned i = 0; i < PT_GROUP_LEVELS; i++) {
        if (format->group_bits[i] != 0 && format->group_bits[i] != group[i])
            return false;
        if (format->group_bits[i] != 0)
            sizes |= UINT64_C(1) << (shift + i * bits + group[i]);
    }
    return (format->page_sizes & ~sizes) == 0;
}

PT_INLINE bool vmsa_memory_index_is_sound(const struct pt_format *format, unsigned count)
{
    return format->memory_index.normal < count && format->memory_index.device < count &&
           format->memory_index.uncached < count && format->memory_index.device != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.device;
}

PT_INLINE unsigned vmsa_memory_index(const struct pt_format *format, pt_flags flags)
{
    return flags & PT_DEVICE     ? format->memory_index.device
           : flags & PT_UNCACHED ? format->memory_index.uncached
                                 : format->memory_index.normal;
}

PT_INLINE pt_flags vmsa_memory_flags(const struct pt_format *format, unsigned index)
{
    return (index == format->memory_index.device ? PT_DEVICE : 0) |
           (index == format->memory_index.uncached ? PT_UNCACHED : 0);
}

/* ---- Tables of others -------------------------------------------------------------------------- */

/* D8.2.4: an output address that is too wide. */
PT_INLINE pt_entry vmsa_malformed(const struct pt_format *format, pt_entry entry, unsigned level)
{
    pt_paddr too_wide = ~(UINT64_MAX >> (64 - format->pa_bits)) & ~(format->leaf_bits | format->table_bits);

    (void)level;
    return entry & vmsa_pack_address(format, too_wide) & vmsa_address_field(format);
}

#endif
