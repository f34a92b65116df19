/* SPDX-License-Identifier: MIT */
/*
 * ARMv7-A, short-descriptor format. Sections: Arm Architecture Reference Manual ARMv7-A and ARMv7-R (DDI 0406C)
 * B3.5 "Short-descriptor translation table format", B3.7.1 "Access permissions" (SCTLR.AFE = 0), B3.8.2 "Short-
 * descriptor format memory region attributes, without TEX remap" (SCTLR.TRE = 0), B3.10.1 "General TLB maintenance
 * requirements" (break-before-make).
 *
 * Reading cannot be withheld from a page that is valid: WRITE and EXECUTE imply READ. Everything is in domain 0, which
 * has to be a client (DACR). A page of 16 entries (64K, 16M) is the same descriptor 16 times.
 * Where the CPU has 40-bit addresses, supersections reach them, and smaller pages do not.
 */
#include "family.h"

#if PT_HAS_FAMILY(ARMV7_SHORT)

#define PT_FAMILY_MMU pt_mmu_armv7_short
#include "../engine/engine.h"

#if defined(__arm__) && !defined(__aarch64__) && __ARM_ARCH >= 7
#include <pagetable/hw.h>
#define ARMV7_INVALIDATE pt_hw_flush
#define ARMV7_IS_LIVE pt_hw_is_live
#else
#define ARMV7_INVALIDATE NULL
#define ARMV7_IS_LIVE NULL
#endif

#include "armv7_bits.h"

/*
 * A descriptor whose bits 1:0 are zero is invalid, and the rest of it ours. A mapping without access keeps AP[0]; that
 * it is one of a large page's, which bits 1:0 would say, AP[2] says.
 */

PT_INLINE const struct armv7_layout *armv7_layout_of(struct shape shape)
{
    if (shape.last)
        return shape.grouped ? &armv7_large : &armv7_small;
    return shape.grouped ? &armv7_supersection : &armv7_section;
}

/* What bits 1:0 of a valid leaf are, and what else says its shape. */
PT_INLINE pt_entry armv7_type(struct shape shape, bool no_access)
{
    const struct armv7_layout *layout = armv7_layout_of(shape);

    if (!shape.last)
        return (no_access ? 0 : ARMV7_SECTION) | (shape.grouped ? ARMV7_SUPERSECTION : 0);
    if (no_access)
        return shape.grouped ? ARMV7_READ_ONLY << layout->others : 0;
    return shape.grouped ? ARMV7_LARGE : ARMV7_SMALL;
}

PT_INLINE bool armv7_is_valid(pt_entry leaf)
{
    return leaf & 3;
}

static bool armv7_leaf_is_grouped(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    if (!last_level)
        return leaf & ARMV7_SUPERSECTION;
    return armv7_is_valid(leaf) ? (leaf & 3) == ARMV7_LARGE : (leaf & ARMV7_READ_ONLY << armv7_small.others) != 0;
}

PT_INLINE struct shape armv7_shape(pt_entry leaf, bool last_level)
{
    return (struct shape){last_level, armv7_leaf_is_grouped(NULL, leaf, last_level)};
}

static bool armv7_format_is_sound(const struct pt_format *format)
{
    return format->levels == 2 && format->index_bits == 8 && format->va_bits <= 32 &&
           format->pa_bits <= (format->page_sizes & PT_16M ? 40 : 32) && format->address_space == PT_ZERO_EXTENDED &&
           !format->tracks_access && format->features == 0 && format->bbm_level == 0 &&
           (format->group_bits[0] == 0 || format->group_bits[0] == 4) &&
           (format->group_bits[1] == 0 || format->group_bits[1] == 4) && format->memory_index.normal < 32 &&
           format->memory_index.device < 32 && format->memory_index.uncached < 32 &&
           format->memory_index.device != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.device;
}

PT_INLINE enum entry_kind armv7_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!armv7_is_valid(entry)) {
        unsigned permissions = last_level ? armv7_small.permissions : armv7_section.permissions;

        return entry >> permissions & ARMV7_AP_VALID ? ENTRY_LEAF : ENTRY_EMPTY;
    }
    return !last_level && (entry & 3) == ARMV7_TABLE ? ENTRY_TABLE : ENTRY_LEAF;
}

PT_INLINE pt_entry armv7_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    const struct armv7_layout *layout = armv7_layout_of(shape);
    bool no_access = !(flags & (PT_READ | PT_WRITE | PT_EXECUTE));
    pt_entry memory = flags & PT_DEVICE     ? format->memory_index.device
                      : flags & PT_UNCACHED ? format->memory_index.uncached
                                            : format->memory_index.normal;
    pt_entry permissions = ARMV7_AP_VALID | (flags & PT_USER ? ARMV7_AP_USER : 0);
    pt_entry others = 0;
    pt_entry leaf = armv7_type(shape, no_access);

    others |= flags & PT_GLOBAL ? 0 : ARMV7_NOT_GLOBAL;
    others |= flags & (PT_DEVICE | PT_UNCACHED) ? 0 : ARMV7_SHAREABLE;
    others |= no_access || (flags & PT_WRITE) ? 0 : ARMV7_READ_ONLY;
    leaf |= (memory & 3) << 2 | memory >> 2 << layout->memory;
    leaf |= permissions << layout->permissions | others << layout->others;
    return leaf | (no_access || (flags & PT_EXECUTE) ? 0 : layout->xn);
}

/* Of a supersection, bits 39:36 of the address stand in bits 8:5, bits 35:32 in 23:20. */
PT_INLINE pt_entry armv7_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    pt_entry address = paddr & armv7_layout_of(shape)->address;

    (void)format;
    if (!shape.last && shape.grouped)
        address |= (paddr >> 36 & 15) << 5 | (paddr >> 32 & 15) << 20;
    return address;
}

PT_INLINE pt_paddr armv7_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    struct shape shape = armv7_shape(entry, last_level);
    pt_paddr paddr = entry & armv7_layout_of(shape)->address;

    (void)format;
    if (!shape.last && shape.grouped)
        paddr |= (entry >> 5 & 15) << 36 | (entry >> 20 & 15) << 32;
    return paddr;
}

PT_INLINE pt_flags armv7_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    const struct armv7_layout *layout = armv7_layout_of(armv7_shape(entry, last_level));
    pt_entry others = entry >> layout->others;
    unsigned memory = (unsigned)((entry >> 2 & 3) | (entry >> layout->memory & 7) << 2);
    pt_flags flags = 0;

    if (armv7_is_valid(entry))
        flags |= PT_READ | (others & ARMV7_READ_ONLY ? 0 : PT_WRITE) | (entry & layout->xn ? 0 : PT_EXECUTE);
    flags |= entry >> layout->permissions & ARMV7_AP_USER ? PT_USER : 0;
    flags |= others & ARMV7_NOT_GLOBAL ? 0 : PT_GLOBAL;
    flags |= memory == format->memory_index.device ? PT_DEVICE : 0;
    flags |= memory == format->memory_index.uncached ? PT_UNCACHED : 0;
    return flags;
}

PT_INLINE pt_entry armv7_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)format;
    (void)root_entry;
    return paddr | ARMV7_TABLE;
}

PT_INLINE pt_paddr armv7_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return entry & ARMV7_FROM(10);
}

PT_INLINE bool armv7_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    return !(leaf >> armv7_layout_of(armv7_shape(leaf, last_level))->others & ARMV7_NOT_GLOBAL);
}

PT_INLINE pt_entry armv7_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                             struct shape to)
{
    return armv7_leaf_attributes(format, armv7_leaf_flags(format, leaf, from.last), to);
}

/* The hardware records nothing (AFE = 0). */
PT_INLINE pt_entry armv7_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    (void)format;
    (void)from;
    return to;
}

PT_INLINE pt_entry armv7_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    (void)recorded;
    return leaf;
}

/* Rights alone may change in place, but not those of one entry of a large page or supersection before the others. */
PT_INLINE bool armv7_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level)
{
    bool from_table = !last_level && (from & 3) == ARMV7_TABLE, to_table = !last_level && (to & 3) == ARMV7_TABLE;
    const struct armv7_layout *layout;
    pt_entry rights;

    (void)format;
    if (!armv7_is_valid(from) || !armv7_is_valid(to))
        return false;
    if (from_table || to_table)
        return true;
    if (armv7_leaf_is_grouped(NULL, from, last_level) || armv7_leaf_is_grouped(NULL, to, last_level))
        return from != to;
    layout = armv7_layout_of((struct shape){last_level, false});
    rights = (ARMV7_AP_VALID | ARMV7_AP_USER) << layout->permissions | ARMV7_READ_ONLY << layout->others | layout->xn;
    return (from ^ to) & ~rights;
}

PT_INLINE pt_paddr armv7_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return ARMV7_FROM(12);
}

/*
 * What others may have built: of AP[1:0] the library's own are 1 and 3. 0 allows nothing; of 2, by which PL0 reads what PL1
 * may write, the user's rights are told.
 */
static pt_entry armv7_as_seen(const struct pt_format *format, pt_entry entry, pt_entry above, unsigned level)
{
    bool last_level = level + 1u == format->levels;
    const struct armv7_layout *layout = armv7_layout_of(armv7_shape(entry, last_level));

    if (armv7_kind(format, entry, last_level) == ENTRY_TABLE)
        return entry;
    if ((last_level ? above & ARMV7_TABLE_PXN : entry & ARMV7_SECTION_PXN) &&
        !(entry >> layout->permissions & ARMV7_AP_USER))
        entry |= layout->xn;
    switch (entry >> layout->permissions & 3) {
    case 0:
        return entry & ~UINT64_C(3); /* nothing is valid */
    case ARMV7_AP_USER:
        return entry | ARMV7_READ_ONLY << layout->others;
    default:
        return entry;
    }
}

static const struct encoding encoding = {
    .entry_size = 4,
    .page_shift = 12,
    .index_bits = 8,
    .packed_bits = 2,
    .narrow_pa_bits = 32,
    .paddr_mask = armv7_paddr_mask,
    .format_is_sound = armv7_format_is_sound,
    .kind = armv7_kind,
    .leaf_attributes = armv7_leaf_attributes,
    .address = armv7_address,
    .table = armv7_table,
    .leaf_paddr = armv7_leaf_paddr,
    .leaf_is_grouped = armv7_leaf_is_grouped,
    .leaf_flags = armv7_leaf_flags,
    .table_paddr = armv7_table_paddr,
    .leaf_is_global = armv7_leaf_is_global,
    .reshaped_attributes = armv7_reshaped_attributes,
    .keep_recorded = armv7_keep_recorded,
    .clear_recorded = armv7_clear_recorded,
    .must_break = armv7_must_break,
    .as_seen = armv7_as_seen,
    .invalidate = ARMV7_INVALIDATE,
    .is_live = ARMV7_IS_LIVE,
};

const struct pt_format pt_armv7_short = {
    .name = "ARMv7 short descriptors",
    .operations = &operations,
    .page_sizes = PT_4K | PT_64K | PT_1M | PT_16M,
    .levels = 2,
    .page_shift = 12,
    .index_bits = 8,
    .va_bits = 32,
    .pa_bits = 32,
    .address_space = PT_ZERO_EXTENDED,
    .new_mapping_owes = PT_OWES_BARRIER,
    .group_bits = {4, 4},
    /* TEX[2:0], C, B. 7 = write-back, write-allocate; 1 = shareable device; 4 = not cacheable. */
    .memory_index = {.normal = 7, .device = 1, .uncached = 4},
};

#endif
