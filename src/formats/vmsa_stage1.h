/* SPDX-License-Identifier: MIT */
/*
 * The leaves of stage 1: VMSAv8-64, and the long descriptors of VMSAv7 and VMSAv8-32. The file that includes this has
 * defined
 *   STAGE1_UXN_IS_XN   nobody may execute a page with UXN, and not only EL0 (AArch32: XN)
 * EL1 and EL0 are PL1 and PL0 there.
 *
 * EL1 reads every valid page, and EL0 reads what it may execute: WRITE and EXECUTE imply READ. A user page is
 * executable by EL0 only, another page by EL1 only. EL2 alone has one privilege level, of which every page is.
 */
#ifndef PT_FORMATS_VMSA_STAGE1_H
#define PT_FORMATS_VMSA_STAGE1_H

#include "vmsa.h"

/* D8.4.1: a regime with one privilege level has one XN, and neither ASIDs nor AP[1] and nG. */
PT_INLINE bool stage1_has_el0(const struct pt_format *format)
{
    return !(format->features & PT_FEATURE_EL2);
}

PT_INLINE pt_entry stage1_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    bool executable = flags & PT_EXECUTE;
    bool user = flags & PT_USER;
    pt_entry entry = (format->tracks_access ? 0 : VMSA_AF) | vmsa_shape_bits(shape);

    entry |= (pt_entry)vmsa_memory_index(format, flags) << STAGE1_ATTR_SHIFT;
    entry |= (flags & PT_DEVICE) || !vmsa_has_shareability(format) ? 0 : VMSA_SH_INNER;
    entry |= !(flags & PT_WRITE) ? STAGE1_AP_RO : format->tracks_access ? VMSA_DBM | STAGE1_AP_RO : 0;
    if (stage1_has_el0(format)) {
        entry |= user ? STAGE1_AP_EL0 : 0;
        entry |= flags & PT_GLOBAL ? 0 : STAGE1_NG;
        entry |= executable && (user || STAGE1_UXN_IS_XN) ? 0 : STAGE1_UXN;
        entry |= executable && !user ? 0 : STAGE1_PXN;
    } else {
        entry |= STAGE1_AP_EL0 | (executable ? 0 : STAGE1_UXN);
    }
    entry |= flags & (PT_READ | PT_WRITE | PT_EXECUTE) ? VMSA_VALID : VMSA_NO_ACCESS;
    return entry;
}

PT_INLINE bool stage1_is_writable(const struct pt_format *format, pt_entry leaf)
{
    return !(leaf & STAGE1_AP_RO) || (format->tracks_access && (leaf & VMSA_DBM));
}

PT_INLINE bool stage1_is_dirty(pt_entry leaf)
{
    return (leaf & VMSA_SAVED_DIRTY) || (leaf & (VMSA_DBM | STAGE1_AP_RO)) == VMSA_DBM;
}

PT_INLINE bool stage1_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)last_level;
    return stage1_has_el0(format) && !(leaf & STAGE1_NG);
}

PT_INLINE pt_flags stage1_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    bool user = (entry & STAGE1_AP_EL0) || !stage1_has_el0(format);
    pt_entry execute_never = user ? STAGE1_UXN : STAGE1_PXN | (STAGE1_UXN_IS_XN ? STAGE1_UXN : 0);
    pt_flags flags = user ? PT_USER : 0;

    if (entry & VMSA_VALID)
        flags |=
            PT_READ | (stage1_is_writable(format, entry) ? PT_WRITE : 0) | (entry & execute_never ? 0 : PT_EXECUTE);
    if (format->tracks_access)
        flags |= (entry & VMSA_AF ? PT_ACCESSED : 0) | (stage1_is_dirty(entry) ? PT_DIRTY : 0);
    flags |= stage1_leaf_is_global(format, entry, last_level) ? PT_GLOBAL : 0;
    return flags | vmsa_memory_flags(format, (unsigned)((entry & STAGE1_ATTR) >> STAGE1_ATTR_SHIFT));
}

PT_INLINE pt_entry stage1_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    to |= from & VMSA_SOFTWARE;
    if (!format->tracks_access)
        return to;
    to |= from & VMSA_AF;
    if (stage1_is_dirty(from))
        to = to & VMSA_DBM ? to & ~STAGE1_AP_RO : to | VMSA_SAVED_DIRTY;
    return to;
}

PT_INLINE pt_entry stage1_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    if (recorded & PT_ACCESSED)
        leaf &= ~VMSA_AF;
    if (recorded & PT_DIRTY)
        leaf = (leaf & ~VMSA_SAVED_DIRTY) | (leaf & VMSA_DBM ? STAGE1_AP_RO : 0);
    return leaf;
}

PT_INLINE bool stage1_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    return format->tracks_access && (leaf & VMSA_VALID) &&
           (!(leaf & VMSA_AF) || (leaf & (VMSA_DBM | STAGE1_AP_RO)) == (VMSA_DBM | STAGE1_AP_RO));
}

/* Rights alone may change in place. */
PT_INLINE bool stage1_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level)
{
    pt_entry dirty = from & to & VMSA_DBM ? STAGE1_AP_RO : 0;

    return vmsa_must_break(format, from, to, last_level, STAGE1_ATTR | VMSA_SH | STAGE1_NG,
                           VMSA_AF | dirty | VMSA_SOFTWARE | VMSA_SAVED_DIRTY);
}

/*
 * What others may have built. APTable, UXNTable and PXNTable of the entries above limit what lies below (D8.4.3). A
 * clear access flag faults where the hardware does not set it.
 */
static pt_entry stage1_as_seen(const struct pt_format *format, pt_entry entry, pt_entry above, unsigned level)
{
    bool last_level = level + 1u == format->levels;

    if (vmsa_kind(format, entry, last_level) == ENTRY_TABLE)
        return entry | (above & VMSA_TABLE_LIMITS);
    entry &= ~(VMSA_NO_ACCESS | VMSA_SAVED_DIRTY);
    if (above & VMSA_AP_TABLE_RO)
        entry = (entry | STAGE1_AP_RO) & ~VMSA_DBM;
    if ((above & VMSA_AP_TABLE_NO_EL0) && stage1_has_el0(format))
        entry &= ~STAGE1_AP_EL0;
    entry |= (above & VMSA_UXN_TABLE ? STAGE1_UXN : 0) | (above & VMSA_PXN_TABLE ? STAGE1_PXN : 0);
    return format->tracks_access || (entry & VMSA_AF) ? entry : entry & ~VMSA_VALID;
}

#endif
