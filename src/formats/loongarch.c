/* SPDX-License-Identifier: MIT */
/*
 * LoongArch64, with base pages of 4K, 16K and 64K. Sections: LoongArch Reference Manual, vol. 1, 5.4.2 "TLB entries" (their
 * fields are those of a page table entry), 5.4.5 "Multi-level page table structure supported by page
 * walking", 7.5 "CSRs for TLB".
 *
 * EXECUTE without READ exists (NR). WRITE implies READ. D is set with WRITE, because the CPU faults on
 * it instead of setting it; P and W are software's, and V is the only bit that the CPU asks for.
 */
#include "family.h"

#if PT_HAS_FAMILY(LOONGARCH)

#define PT_FAMILY_MMU pt_mmu_loongarch
#include "../engine/engine.h"

#include "loongarch_bits.h"

#if defined(__loongarch64)
#include <pagetable/hw.h>
#define LOONGARCH_INVALIDATE pt_hw_flush
#else
#define LOONGARCH_INVALIDATE NULL
#endif

/*
 * A table is one base page. The page walk of the CPU knows the root as Dir3, and two levels between it and the last
 * one as Dir1 and Dir2, whose first bit has to fit in 5 bits (PWCL, 7.5.8). LDDIR tells huge pages of Dir1 to Dir3.
 */
static bool loongarch_format_is_sound(const struct pt_format *format)
{
    unsigned dir2 = format->page_shift + 2u * format->index_bits;

    return format->index_bits == format->page_shift - 3 && format->levels <= 4 && (format->levels < 4 || dir2 < 32) &&
           format->features == 0 && !format->tracks_access && format->pa_bits <= 48 &&
           format->address_space == PT_SIGN_EXTENDED && format->memory_index.normal < 4 &&
           format->memory_index.device < 4 && format->memory_index.uncached < 4 &&
           format->memory_index.device != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.normal &&
           format->memory_index.uncached != format->memory_index.device;
}

/* A directory entry that leads to a table is its address, and no bit says so: unused is zero. */
PT_INLINE enum entry_kind loongarch_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!last_level && !(entry & LOONGARCH_H))
        return entry ? ENTRY_TABLE : ENTRY_EMPTY;
    return entry & (LOONGARCH_V | LOONGARCH_P) ? ENTRY_LEAF : ENTRY_EMPTY;
}

PT_INLINE pt_entry loongarch_global_bit(bool last_level)
{
    return last_level ? LOONGARCH_G : LOONGARCH_HUGE_G;
}

PT_INLINE pt_entry loongarch_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    unsigned index = flags & PT_DEVICE     ? format->memory_index.device
                     : flags & PT_UNCACHED ? format->memory_index.uncached
                                           : format->memory_index.normal;
    pt_entry entry = LOONGARCH_P | (shape.last ? 0 : LOONGARCH_H);

    entry |= (pt_entry)index << LOONGARCH_MAT_SHIFT;
    entry |= flags & PT_USER ? LOONGARCH_PLV : 0;
    entry |= flags & PT_GLOBAL ? loongarch_global_bit(shape.last) : 0;
    entry |= flags & (PT_READ | PT_WRITE) ? 0 : LOONGARCH_NR;
    entry |= flags & PT_EXECUTE ? 0 : LOONGARCH_NX;
    entry |= flags & PT_WRITE ? LOONGARCH_W | LOONGARCH_D : 0;
    entry |= flags & (PT_READ | PT_WRITE | PT_EXECUTE) ? LOONGARCH_V : 0; /* no access: P without V */
    return entry;
}

PT_INLINE pt_entry loongarch_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    (void)shape;
    return paddr;
}

PT_INLINE pt_paddr loongarch_table_paddr(const struct pt_format *format, pt_entry entry)
{
    (void)format;
    return entry & LOONGARCH_ADDRESS;
}

PT_INLINE pt_paddr loongarch_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    return entry & (last_level ? LOONGARCH_ADDRESS : LOONGARCH_ADDRESS & ~LOONGARCH_HUGE_G);
}

PT_INLINE pt_flags loongarch_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    unsigned index = (unsigned)((entry & LOONGARCH_MAT) >> LOONGARCH_MAT_SHIFT);
    pt_flags flags = 0;

    if (entry & LOONGARCH_V)
        flags |= (entry & LOONGARCH_NR ? 0 : PT_READ) | (entry & LOONGARCH_D ? PT_WRITE : 0) |
                 (entry & LOONGARCH_NX ? 0 : PT_EXECUTE);
    flags |= (entry & LOONGARCH_PLV) == LOONGARCH_PLV ? PT_USER : 0;
    flags |= entry & loongarch_global_bit(last_level) ? PT_GLOBAL : 0;
    flags |= index == format->memory_index.device ? PT_DEVICE : 0;
    flags |= index == format->memory_index.uncached ? PT_UNCACHED : 0;
    return flags;
}

PT_INLINE pt_entry loongarch_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)root_entry;
    (void)format;
    return paddr;
}

PT_INLINE bool loongarch_leaf_has_rights(const struct pt_format *format, pt_entry leaf)
{
    (void)format;
    return leaf & LOONGARCH_V;
}

PT_INLINE bool loongarch_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    (void)format;
    return leaf & loongarch_global_bit(last_level);
}

PT_INLINE pt_entry loongarch_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                                 struct shape to)
{
    pt_entry address = from.last ? LOONGARCH_ADDRESS : LOONGARCH_ADDRESS & ~LOONGARCH_HUGE_G;
    pt_entry entry = leaf & ~(address | LOONGARCH_HUGE_G | LOONGARCH_H);

    (void)format;
    entry |= to.last ? 0 : LOONGARCH_H;
    entry |= leaf & loongarch_global_bit(from.last) ? loongarch_global_bit(to.last) : 0;
    return entry;
}

/* The hardware records nothing: D is the right to write, and a fault without it. */
PT_INLINE pt_entry loongarch_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    (void)format;
    (void)from;
    return to;
}

PT_INLINE pt_entry loongarch_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    (void)format;
    (void)recorded;
    return leaf;
}

PT_INLINE pt_paddr loongarch_paddr_mask(const struct pt_format *format)
{
    (void)format;
    return LOONGARCH_ADDRESS;
}

/*
 * Pages and tables are as large as they are aligned: LDDIR and LDPTE put an index, and the address of a huge page's
 * other half, where the lower bits would be. The CPU looks away from what else means nothing to it.
 */
static pt_entry loongarch_malformed(const struct pt_format *format, pt_entry entry, unsigned level)
{
    unsigned above_last = format->levels - 1u - level;
    uint64_t size = UINT64_C(1) << (format->page_shift + above_last * format->index_bits);

    if (above_last == 0)
        return entry & LOONGARCH_ADDRESS & (size - 1);
    if (entry & LOONGARCH_H)
        return format->page_sizes & size ? entry & LOONGARCH_ADDRESS & ~LOONGARCH_HUGE_G & (size - 1) : LOONGARCH_H;
    return entry & ((UINT64_C(1) << format->page_shift) - 1);
}

static const struct encoding encoding = {
    .entry_size = 8,
    .paddr_mask = loongarch_paddr_mask,
    .format_is_sound = loongarch_format_is_sound,
    .kind = loongarch_kind,
    .leaf_attributes = loongarch_leaf_attributes,
    .address = loongarch_address,
    .table = loongarch_table,
    .leaf_paddr = loongarch_leaf_paddr,
    .leaf_flags = loongarch_leaf_flags,
    .table_paddr = loongarch_table_paddr,
    .leaf_has_rights = loongarch_leaf_has_rights,
    .leaf_is_global = loongarch_leaf_is_global,
    .reshaped_attributes = loongarch_reshaped_attributes,
    .keep_recorded = loongarch_keep_recorded,
    .clear_recorded = loongarch_clear_recorded,
    .malformed = loongarch_malformed,
    .retired_mark = LOONGARCH_H, /* with V = 0 a huge page that is not valid, */
    .retired_shift = 1,          /* and not global */
    .invalidate = LOONGARCH_INVALIDATE,
};

/*
 * The TLB holds pairs of pages, and remembers invalid ones: new mappings owe a flush. Memory types: 0 = strongly-ordered
 * uncached, 1 = coherent cached, 2 = weakly-ordered uncached (5.2).
 */
#define LOONGARCH_COMMON                                                                                               \
    .operations = &operations, .pa_bits = 48, .address_space = PT_SIGN_EXTENDED, .new_mapping_owes = PT_OWES_FLUSH,    \
    .memory_index = {.normal = 1, .device = 0, .uncached = 2}

const struct pt_format pt_loongarch64 = {
    LOONGARCH_COMMON,
    .name = "LoongArch64 4-level",
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 4,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 48,
};

const struct pt_format pt_loongarch64_3level = {
    LOONGARCH_COMMON,
    .name = "LoongArch64 3-level",
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 3,
    .page_shift = 12,
    .index_bits = 9,
    .va_bits = 39,
};

/* A root of one page: 47 bits, of the 48 that CPUs have. */
const struct pt_format pt_loongarch64_16k = {
    LOONGARCH_COMMON, .name = "LoongArch64 16K", .page_sizes = PT_16K | PT_32M | PT_64G,
    .levels = 3,      .page_shift = 14,          .index_bits = 11,
    .va_bits = 47,
};

const struct pt_format pt_loongarch64_64k = {
    LOONGARCH_COMMON, .name = "LoongArch64 64K", .page_sizes = PT_64K | PT_512M | PT_4T,
    .levels = 3,      .page_shift = 16,          .index_bits = 13,
    .va_bits = 48,
};

#endif
