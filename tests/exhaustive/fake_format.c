/* SPDX-License-Identifier: MIT */
/* What an MMU sees. */
#include "fake_bits.h"

struct fake_entry fake_read(const struct pt_format *format, uint64_t raw, bool last_level)
{
    uint64_t signature;

    if (raw == 0)
        return (struct fake_entry){.kind = FAKE_EMPTY};
    if (is_marked(format, raw, LINK))
        return (struct fake_entry){.kind = FAKE_LINK};
    if (is_marked(format, raw, TABLE) && !last_level) {
        if (raw & ~(address_mask(format) | marked(format, TABLE)))
            stop("table", raw, last_level);
        return (struct fake_entry){.kind = FAKE_TABLE, .paddr = raw & address_mask(format)};
    }
    signature = must_be_leaf(format, raw, last_level);
    return (struct fake_entry){
        .kind = FAKE_LEAF,
        .paddr = (raw ^ address_inversion(format, signature)) & address_mask(format),
        .flags = flags_of_bits(raw),
        .grouped = is_grouped(signature),
    };
}

uint64_t fake_leaf(const struct pt_format *format, pt_paddr paddr, pt_flags flags, bool last_level, bool grouped)
{
    uint64_t signature = leaf_signature(last_level, grouped);

    return marked(format, signature) | bits_of_flags(flags, signature) |
           ((paddr & ~address_within(format, signature)) ^ address_inversion(format, signature));
}

uint64_t fake_table_entry(const struct pt_format *format, pt_paddr paddr)
{
    return marked(format, TABLE) | paddr;
}

uint64_t fake_touch(const struct pt_format *format, uint64_t raw, bool write)
{
    return raw | bits_of_flags(write ? PT_ACCESSED | PT_DIRTY : PT_ACCESSED, signature_of_leaf(format, raw));
}

unsigned fake_entry_size(const struct pt_format *format)
{
    return is_wide(format) ? 8 : 4;
}

bool fake_breaks(const struct pt_format *format, const struct fake_entry *from, const struct fake_entry *to,
                 bool other_size)
{
    const pt_flags fixed = PT_DEVICE | PT_UNCACHED | PT_GLOBAL;

    if (format->operations != fake_8_strict.operations)
        return false;
    if (from->kind == FAKE_EMPTY || to->kind == FAKE_EMPTY)
        return false;
    if ((from->kind == FAKE_LEAF && !(from->flags & RIGHTS)) || (to->kind == FAKE_LEAF && !(to->flags & RIGHTS)))
        return false;
    if (from->kind != to->kind)
        return format->bbm_level < 2;
    if ((from->grouped != to->grouped || other_size) && format->bbm_level < 2)
        return true;
    if (from->grouped && to->grouped && ((from->flags ^ to->flags) & PT_ALL_FLAGS) != 0)
        return true;
    return from->paddr != to->paddr || ((from->flags ^ to->flags) & fixed) != 0;
}
