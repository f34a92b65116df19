/* SPDX-License-Identifier: MIT */
/* Looking at the tree: the translation of an address, and what a single entry means. */
#ifndef PT_ENGINE_LOOK_H
#define PT_ENGINE_LOOK_H

#include "check.h"

PT_INLINE enum pt_status report(const struct tree *tree, const struct place *at, pt_vaddr vaddr, struct pt_mapping *out)
{
    if (at->kind != ENTRY_LEAF)
        return PT_NOT_MAPPED;
    if (out) {
        *out = mapping_of(tree, at);
        out->paddr |= vaddr & (out->page_size - 1);
    }
    return PT_OK;
}

/*
 * Readers have no lock. The link in a retired table is an entry that is empty and not zero: whoever meets
 * one looks again from the root, where the table is no longer to be found. Twice the same table: no link.
 */
PT_OUTLINE enum pt_status query_patiently(const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out)
{
    struct tree tree = tree_of(pt);
    struct place at;
    const void *table = NULL;

    if (!vaddr_is_canonical(&tree, vaddr))
        return PT_BAD_ADDRESS;
    while (at = descend_inline(&tree, pt->root, vaddr, last_level(&tree)),
           at.kind == ENTRY_EMPTY && at.entry != 0 && at.table != table)
        table = at.table;
    return report(&tree, &at, vaddr, out);
}

/* An entry that leads to no table, above the last level. */
PT_OUTLINE enum pt_status query_large(const struct page_table *pt, pt_vaddr vaddr, pt_entry entry, unsigned level,
                                      struct pt_mapping *out)
{
    struct tree tree = tree_of(pt);
    struct place at = {.entry = entry, .level = level, .kind = entry_kind(&tree, entry, level)};

    /* A group is looked at as a whole, in its table. */
    if (at.kind != ENTRY_LEAF ? entry != 0 : leaf_sort(&tree, entry, level).group != 0)
        return query_patiently(pt, vaddr, out);
    return report(&tree, &at, vaddr, out);
}

/* Short for most pages, so that the processor can be at several queries at once. */
static inline enum pt_status engine_query(const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out)
{
    struct tree tree = linear_tree_of(pt);
    struct place at;

    if (!is_linear(pt) || !vaddr_is_canonical(&tree, vaddr))
        return query_patiently(pt, vaddr, out);
    if (PT_UNLIKELY(!follow_tables(&tree, pt->root, vaddr, last_level(&tree), &at)))
        return query_large(pt, vaddr, at.entry, at.level, out);
    at.level = last_level(&tree);
    at.kind = entry_kind(&tree, at.entry, at.level);
    if (PT_UNLIKELY(at.kind != ENTRY_LEAF))
        return at.entry == 0 ? PT_NOT_MAPPED : query_patiently(pt, vaddr, out);
    at.group = leaf_sort(&tree, at.entry, at.level).group;
    return report(&tree, &at, vaddr, out);
}

/* The entry holds the address that it translates to itself; others of a group hold where the page begins. */
static inline bool has_own_address(const struct tree *tree, struct page_sort sort)
{
    struct shape shape = shape_of(tree, sort);

    return encoding.address(format_of(tree), level_size(tree, sort.level), shape) !=
           encoding.address(format_of(tree), 0, shape);
}

/* Own tables hold what `encoding` made, and that is sound. */
static inline void engine_decode(const struct page_table *pt, unsigned level, size_t index, uint64_t bits,
                                 uint64_t above, bool as_mmu, struct pt_decoded *out)
{
    struct tree tree = tree_of(pt);
    const struct pt_format *format = pt->format;
    enum entry_kind kind = entry_kind(&tree, bits, level);
    bool leaf = kind == ENTRY_LEAF;

    *out = (struct pt_decoded){.kind = PT_ENTRY_EMPTY};
    if (kind == ENTRY_EMPTY || (as_mmu && leaf && !leaf_has_rights(&tree, bits, level)))
        return;
    if (as_mmu) {
        out->malformed = encoding.malformed ? encoding.malformed(format, bits, level) : 0;
        if (leaf && !out->malformed && !level_has_pages(&tree, level))
            out->malformed = bits;
    }
    out->kind = leaf ? PT_ENTRY_LEAF : PT_ENTRY_TABLE;
    out->seen = as_mmu && encoding.as_seen ? encoding.as_seen(format, bits, above, level) : bits;
    if (leaf) {
        out->group = leaf_sort(&tree, bits, level).group;
        out->paddr = has_own_address(&tree, leaf_sort(&tree, bits, level)) ? address_in_leaf(&tree, bits, level)
                                                                           : leaf_paddr(&tree, bits, level, index);
        out->paddr &= ~(level_size(&tree, level) - 1);
        out->flags = encoding.leaf_flags(format, out->seen, level == last_level(&tree));
    } else {
        out->paddr = table_paddr(&tree, bits);
    }
    if (as_mmu && !out->malformed)
        out->paddr &= ~measures_of(&tree).not_in_paddr; /* what does not exist is ignored */
}

#endif
