/* SPDX-License-Identifier: MIT */
/* What the fake formats tell the engine. */
#ifndef TESTS_EXHAUSTIVE_FAKE_ENCODING_H
#define TESTS_EXHAUSTIVE_FAKE_ENCODING_H

#include "fake_bits.h"

#include "engine/engine.h"

static bool fake_format_is_good(const struct pt_format *format)
{
    return format->pa_bits <= 36;
}

static enum entry_kind fake_kind(const struct pt_format *format, pt_entry entry, bool last_level)
{
    switch (fake_read(format, entry, last_level).kind) {
    case FAKE_TABLE:
        return ENTRY_TABLE;
    case FAKE_LEAF:
        return ENTRY_LEAF;
    default:
        return ENTRY_EMPTY;
    }
}

static pt_entry fake_leaf_attributes(const struct pt_format *format, pt_flags flags, struct shape shape)
{
    uint64_t signature = leaf_signature(shape.last, shape.grouped);

    return marked(format, signature) | bits_of_flags(flags & PT_ALL_FLAGS, signature) |
           address_inversion(format, signature);
}

static pt_entry fake_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    if (paddr & ~address_mask(format))
        fail_msg("0x%" PRIx64 " does not fit into an entry", paddr);
    return paddr & ~address_within(format, leaf_signature(shape.last, shape.grouped));
}

static pt_entry fake_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)root_entry;
    return marked(format, TABLE) | fake_address(format, paddr, (struct shape){false, false});
}

static pt_paddr fake_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    must_be_leaf(format, entry, last_level);
    return fake_read(format, entry, last_level).paddr;
}

static bool fake_leaf_is_grouped(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    return is_grouped(must_be_leaf(format, leaf, last_level));
}

static pt_flags fake_leaf_flags(const struct pt_format *format, pt_entry entry, bool last_level)
{
    must_be_leaf(format, entry, last_level);
    return fake_read(format, entry, last_level).flags;
}

static pt_paddr fake_table_paddr(const struct pt_format *format, pt_entry entry)
{
    if (!is_marked(format, entry, TABLE) && !is_marked(format, entry, LINK))
        stop("table", entry, false);
    return entry & address_mask(format);
}

/* Asked of unused entries as well. */
static bool fake_leaf_is_global(const struct pt_format *format, pt_entry leaf, bool last_level)
{
    return leaf != 0 && (fake_leaf_flags(format, leaf, last_level) & PT_GLOBAL);
}

static pt_entry fake_reshaped_attributes(const struct pt_format *format, pt_entry leaf, struct shape from,
                                         struct shape to)
{
    pt_flags flags = fake_leaf_flags(format, leaf, from.last);

    if (fake_leaf_is_grouped(format, leaf, from.last) != from.grouped)
        stop("leaf of this shape", leaf, from.last);
    return fake_leaf_attributes(format, flags, to) |
           bits_of_flags(flags & (PT_ACCESSED | PT_DIRTY), leaf_signature(to.last, to.grouped));
}

static pt_entry fake_keep_recorded(const struct pt_format *format, pt_entry from, pt_entry to)
{
    (void)signature_of_leaf(format, from);
    return to | bits_of_flags(flags_of_bits(from) & (PT_ACCESSED | PT_DIRTY), signature_of_leaf(format, to));
}

static pt_entry fake_clear_recorded(const struct pt_format *format, pt_entry leaf, pt_flags recorded)
{
    if (leaf == 0)
        return 0;
    if (is_marked(format, leaf, TABLE) || is_marked(format, leaf, LINK))
        return leaf; /* asked of whatever stands in a table that may be one larger page */
    return leaf & ~bits_of_flags(recorded & (PT_ACCESSED | PT_DIRTY), signature_of_leaf(format, leaf));
}

static bool fake_hardware_writes(const struct pt_format *format, pt_entry leaf)
{
    pt_flags flags;

    if (!format->tracks_access || is_marked(format, leaf, TABLE) || is_marked(format, leaf, LINK) || leaf == 0)
        return false;
    (void)signature_of_leaf(format, leaf);
    flags = flags_of_bits(leaf);
    return (flags & RIGHTS) && (!(flags & PT_ACCESSED) || (flags & (PT_WRITE | PT_DIRTY)) == PT_WRITE);
}

static pt_paddr fake_paddr_mask(const struct pt_format *format)
{
    return address_mask(format);
}

#define FAKE_ENCODING                                                                                                  \
    .paddr_mask = fake_paddr_mask, .format_is_sound = fake_format_is_good, .kind = fake_kind,                          \
    .leaf_attributes = fake_leaf_attributes, .address = fake_address, .table = fake_table,                             \
    .leaf_paddr = fake_leaf_paddr, .leaf_is_grouped = fake_leaf_is_grouped, .leaf_flags = fake_leaf_flags,             \
    .table_paddr = fake_table_paddr, .leaf_is_global = fake_leaf_is_global,                                            \
    .reshaped_attributes = fake_reshaped_attributes, .keep_recorded = fake_keep_recorded,                              \
    .clear_recorded = fake_clear_recorded, .hardware_writes = fake_hardware_writes

/* Three levels of two entries; the tests change a copy. */
#define FAKE_MEASURES                                                                                                  \
    .operations = &operations, .page_sizes = PT_4K | PT_4K << 1 | PT_4K << 2, .levels = 3, .page_shift = 12,           \
    .index_bits = 1, .va_bits = 15, .address_space = PT_ZERO_EXTENDED

#endif
