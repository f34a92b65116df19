/* SPDX-License-Identifier: MIT */
/*
 * Reading any table, level by level, by what its format's descriptor says: for those who look, and have time. What
 * they read may be garbage, or not be there.
 */
#ifndef PT_INSPECT_VIEW_H
#define PT_INSPECT_VIEW_H

#include <pagetable/pagetable.h>

#include "../operations.h"

static inline unsigned view_last_level(const struct page_table *pt)
{
    return pt->format->levels - 1u;
}

/* log2 of the bytes that one entry of this level translates. */
static inline unsigned view_shift(const struct page_table *pt, unsigned level)
{
    return pt->format->page_shift + (view_last_level(pt) - level) * pt->format->index_bits;
}

static inline size_t view_entries(const struct page_table *pt, unsigned level)
{
    return (size_t)1 << (level == 0 ? pt->format->va_bits - view_shift(pt, 0) : pt->format->index_bits);
}

static inline size_t view_index(const struct page_table *pt, pt_vaddr vaddr, unsigned level)
{
    return (size_t)((vaddr & pt->measures.translated) >> view_shift(pt, level)) & (view_entries(pt, level) - 1);
}

/* The address whose translated bits these are, as the CPU knows it. */
static inline pt_vaddr view_canonical(const struct page_table *pt, pt_vaddr bits, bool upper_half)
{
    if (pt->format->address_space == PT_SIGN_EXTENDED)
        upper_half = bits >> (pt->format->va_bits - 1) != 0;
    return upper_half ? bits | ~pt->measures.translated : bits;
}

static inline bool view_is_canonical(const struct page_table *pt, pt_vaddr vaddr)
{
    return (vaddr + pt->measures.canonical_bias) >> pt->measures.canonical_bits == 0;
}

/*
 * Tables to look at when the caller names no number: those of others may lead to each other in ways that have no end in
 * sight.
 */
#define VIEW_TABLES 1000000

static inline uint64_t view_tables_at_most(const struct page_table *pt)
{
    return pt->is_adopted ? VIEW_TABLES : UINT64_MAX;
}

/* A table, of which the handler showed one frame. */
struct view_table {
    pt_paddr paddr;
    pt_paddr frame; /* whose contents are at `contents`; PT_NO_FRAME: none */
    const void *contents;
};

static inline struct view_table view_table(pt_paddr paddr)
{
    return (struct view_table){.paddr = paddr, .frame = PT_NO_FRAME};
}

/* false: it cannot be read. A walker or another CPU may be writing it: entries are read whole. */
bool pt_view_read(const struct page_table *pt, struct view_table *table, size_t index, uint64_t *bits);

/* The entries from this one on that are in the same frame as it is. */
static inline size_t view_entries_in_frame(const struct page_table *pt, const struct view_table *table, size_t index)
{
    size_t at = (size_t)(table->paddr & (PT_FRAME_SIZE - 1)) + index * pt->measures.entry_size;

    return (size_t)(PT_FRAME_SIZE - (at & (PT_FRAME_SIZE - 1))) >> (pt->measures.entry_size == 4 ? 2 : 3);
}

/*
 * The page that this leaf is, or is part of. Several entries are one page if all of them say so; where they disagree,
 * each is what it translates alone. paddr is the page's first.
 */
struct pt_mapping pt_view_page(const struct page_table *pt, struct view_table *table, unsigned level, size_t index,
                               uint64_t above, const struct pt_decoded *leaf);

#endif
