/* SPDX-License-Identifier: MIT */
/*
 * Intel EPT, 4 and 5 levels: a guest's physical addresses. Sections: Intel SDM vol. 3C 28.3 "The Extended Page Table
 * Mechanism" (28.3.2 and tables 28-1 to 28-7: the entries; 28.3.3.1 misconfigurations; 28.3.5 accessed and dirty; 28.3.7
 * memory types).
 *
 * WRITE implies READ (an entry with W and without R is misconfigured); so does EXECUTE where the CPU has no execute-only
 * pages. Without mode-based execute control there is no privilege. With it PT_USER is asked for by, and reported of,
 * pages that can be executed: EXECUTE is for supervisor mode, EXECUTE and USER for both.
 */
#include "family.h"

#if PT_HAS_FAMILY(EPT)

#define PT_FAMILY_MMU pt_mmu_ept
#include "../engine/engine.h"

#include "ept_bits.h"

PT_INLINE bool ept_has(const struct pt_format *format, uint32_t feature)
{
    return format->features & feature;
}

/* The memory types that exist: UC, WC, WT, WP, WB (28.3.7.2). */
static bool ept_type_exists(unsigned index)
{
    return index < 16 && (UINT32_C(1) << (index & 7) & 0x73) != 0;
}

static bool ept_format_is_sound(const struct pt_format *format)
{
    const uint32_t features =
        PT_FEATURE_SECOND_STAGE | PT_FEATURE_EXECUTE_ONLY | PT_FEATURE_MODE_EXECUTE | PT_FEATURE_SUPPRESS_VE;

    return !(format->features & ~features) && ept_has(format, PT_FEATURE_SECOND_STAGE) && format->pa_bits <= 52 &&
           (format->levels == 4 || format->levels == 5) && format->va_bits == 12 + 9 * format->levels &&
           format->address_space == PT_ZERO_EXTENDED && !(format->page_sizes & ~(PT_4K | PT_2M | PT_1G)) &&
           ept_type_exists(format->memory_index.normal) && ept_type_exists(format->memory_index.device) &&
           ept_type_exists(format->memory_index.uncached) &&
           format->memory_index.device != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.device;
}

/* The rights that make an entry present: any of them (28.3.2). */
PT_INLINE pt_entry ept_rights(const struct pt_format *format)
{
    return EPT_R | EPT_W | EPT_X | (ept_has(format, PT_FEATURE_MODE_EXECUTE) ? EPT_XU : 0);
}

PT_INLINE enum entry_kind ept_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    if (entry & ept_rights(format))
        return last_level || (entry & EPT_LEAF) ? ENTRY_LEAF : ENTRY_TABLE;
    return entry & EPT_NO_ACCESS ? ENTRY_LEAF : ENTRY_EMPTY;
}

PT_INLINE pt_entry ept_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    pt_entry type = flags & PT_DEVICE     ? format->memory_index.device
                    : flags & PT_UNCACHED ? format->memory_index.uncached
                                          : format->memory_index.normal;
    pt_entry entry = type << EPT_TYPE_SHIFT | (shape.last ? 0 : EPT_LEAF);

    entry |= ept_has(format, PT_FEATURE_SUPPRESS_VE) ? EPT_SUPPRESS_VE : 0;
    if (!format->tracks_access)
        entry |= EPT_A | (flags & PT_WRITE ? EPT_D : 0);
    /* Inverted, where no memory is: an entry that is not present is still used speculatively (L1 Terminal Fault). */
    if (!(flags & (PT_READ | PT_WRITE | PT_EXECUTE)))
        return entry | EPT_NO_ACCESS | EPT_ADDRESS;

    if ((flags & (PT_READ | PT_WRITE)) || !ept_has(format, PT_FEATURE_EXECUTE_ONLY))
        entry |= EPT_R;
    entry |= flags & PT_WRITE ? EPT_W : 0;
    entry |= flags & PT_EXECUTE ? EPT_X : 0;
    if ((flags & PT_EXECUTE) && (flags & PT_USER) && ept_has(format, PT_FEATURE_MODE_EXECUTE))
        entry |= EPT_XU;
    return entry;
}

PT_INLINE pt_entry ept_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    (void)shape;
    return paddr;
}

PT_INLINE pt_paddr ept_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)last_level;
    return (entry & ept_rights(format) ? entry : ~entry) & EPT_ADDRESS;
}

PT_INLINE pt_flags ept_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    pt_entry type = (entry & EPT_TYPE) >> EPT_TYPE_SHIFT;
    bool by_mode = ept_has(format, PT_FEATURE_MODE_EXECUTE);
    bool executable = entry & (EPT_X | (by_mode ? EPT_XU : 0));
    pt_flags flags = 0;

    (void)last_level;
    flags |= entry & EPT_R ? PT_READ : 0;
    flags |= entry & EPT_W ? PT_WRITE : 0;
    flags |= executable ? PT_EXECUTE : 0;
    flags |= by_mode && executable && !(entry & EPT_XU) ? 0 : PT_USER;
    flags |= type == format->memory_index.device ? PT_DEVICE : 0;
    flags |= type == format->memory_index.uncached ? PT_UNCACHED : 0;
    if (format->tracks_access)
        flags |= (entry & EPT_A ? PT_ACCESSED : 0) | (entry & EPT_D ? PT_DIRTY : 0);
    return flags;
}

/* Rights are the leaf's to restrict. Memory type and A are 0: the former is reserved, the latter the CPU's. */
PT_INLINE pt_entry ept_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)root_entry;
    return paddr | ept_rights(format);
}

PT_INLINE pt_paddr ept_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return entry & EPT_ADDRESS;
}

PT_INLINE bool ept_leaf_has_rights(const struct pt_format *format, pt_entry leaf)
{
    return leaf & ept_rights(format);
}

PT_INLINE bool ept_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    (void)leaf;
    (void)last_level;
    return false;
}

PT_INLINE pt_entry ept_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                           struct shape to)
{
    pt_entry entry = leaf & ~(EPT_ADDRESS | EPT_LEAF);

    (void)from;
    return entry | (to.last ? 0 : EPT_LEAF) | (leaf & ept_rights(format) ? 0 : EPT_ADDRESS);
}

PT_INLINE pt_entry ept_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    return to | (from & (EPT_SOFTWARE | (format->tracks_access ? EPT_A | EPT_D : 0)));
}

PT_INLINE pt_entry ept_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    return leaf & ~((recorded & PT_ACCESSED ? EPT_A : 0) | (recorded & PT_DIRTY ? EPT_D : 0));
}

PT_INLINE bool ept_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    return format->tracks_access && (leaf & ept_rights(format)) &&
           (!(leaf & EPT_A) || (leaf & (EPT_W | EPT_D)) == EPT_W);
}

PT_INLINE pt_paddr ept_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return EPT_ADDRESS;
}

/*
 * What others may have built: all levels must allow what is done (28.3.2), and a leaf to which nothing is left holds
 * its address inverted.
 */
static pt_entry ept_as_seen(const struct pt_format *format, pt_entry entry, pt_entry above, unsigned level)
{
    bool leaf = level + 1u == format->levels || (entry & EPT_LEAF);

    if (level == 0)
        return entry;
    entry &= above | ~ept_rights(format);
    return leaf && !(entry & ept_rights(format)) ? entry ^ EPT_ADDRESS : entry;
}

/* EPT misconfigurations (28.3.3.1), and the reserved bits of the tables in 28.3.2. */
static pt_entry ept_malformed(const struct pt_format *format, pt_entry entry, unsigned level)
{
    const pt_entry execute = entry & ept_rights(format) & (EPT_X | EPT_XU);
    unsigned shift = 12 + 9 * (format->levels - 1u - level);
    bool last_level = level + 1u == format->levels, huge = !last_level && (entry & EPT_LEAF);
    uint64_t above_pa = ~((UINT64_C(1) << format->pa_bits) - 1);
    pt_entry reserved = EPT_ADDRESS & above_pa & ~(last_level || huge ? format->leaf_bits : format->table_bits);
    pt_entry malformed = 0;

    if (!(entry & EPT_R))
        malformed |= (entry & EPT_W) | (ept_has(format, PT_FEATURE_EXECUTE_ONLY) ? 0 : execute);
    if (huge && !(format->page_sizes & UINT64_C(1) << shift))
        reserved |= EPT_LEAF;
    else if (huge)
        reserved |= EPT_ADDRESS & ((UINT64_C(1) << shift) - 1);
    if (!last_level && !huge)
        reserved |= EPT_TYPE;
    else if (!ept_type_exists((unsigned)((entry & EPT_TYPE) >> EPT_TYPE_SHIFT)))
        malformed |= EPT_TYPE & ~EPT_IGNORE_PAT;
    return malformed | (entry & reserved);
}

/* To invalidate is the hypervisor's: INVEPT of every EPTP that the table is used with. See <pagetable/hw/x86_64.h>. */
static const struct encoding encoding = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .paddr_mask = ept_paddr_mask,
    .format_is_sound = ept_format_is_sound,
    .kind = ept_kind,
    .leaf_attributes = ept_leaf_attributes,
    .address = ept_address,
    .table = ept_table,
    .leaf_paddr = ept_leaf_paddr,
    .leaf_flags = ept_leaf_flags,
    .table_paddr = ept_table_paddr,
    .leaf_has_rights = ept_leaf_has_rights,
    .leaf_is_global = ept_leaf_is_global,
    .reshaped_attributes = ept_reshaped_attributes,
    .keep_recorded = ept_keep_recorded,
    .clear_recorded = ept_clear_recorded,
    .hardware_writes = ept_hardware_writes,
    .as_seen = ept_as_seen,
    .malformed = ept_malformed,
};

/* WB, UC, WC. */
#define EPT_MEASURES                                                                                                   \
    .operations = &operations, .page_sizes = PT_4K | PT_2M | PT_1G, .page_shift = 12, .index_bits = 9, .pa_bits = 52,  \
    .address_space = PT_ZERO_EXTENDED, .new_mapping_owes = PT_OWES_NOTHING, .features = PT_FEATURE_SECOND_STAGE,       \
    .memory_index = {.normal = 6, .device = 0, .uncached = 1}

const struct pt_format pt_ept_4level = {
    .name = "EPT 4-level",
    EPT_MEASURES,
    .levels = 4,
    .va_bits = 48,
};

const struct pt_format pt_ept_5level = {
    .name = "EPT 5-level",
    EPT_MEASURES,
    .levels = 5,
    .va_bits = 57,
};

#endif
