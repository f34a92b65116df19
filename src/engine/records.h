/* SPDX-License-Identifier: MIT */
/* What the hardware recorded of pages: looking at it, and clearing it. */
#ifndef PT_ENGINE_RECORDS_H
#define PT_ENGINE_RECORDS_H

#include "live.h"

/* Clear the marks of one page; false if the visitor has seen enough. */
static inline bool clear_page(const struct tree *tree, const struct place *at, pt_vaddr vaddr, pt_flags recorded,
                              pt_visitor visitor, void *arg, struct pt_flush *flush)
{
    uint64_t size = level_size(tree, at->level);
    struct pt_mapping mapping = mapping_of(tree, at);
    pt_entry bits = 0;
    struct pt_visit visit;

    if (!(mapping.flags & recorded))
        return true;
    for (size_t i = 0; i < page_entries(at); i++) {
        pt_entry old = load_entry(at->table, page_index(at) + i);

        while (
            !swap_entry(at->table, page_index(at) + i, &old, encoding.clear_recorded(format_of(tree), old, recorded)))
            ;
        mapping.flags |= recorded_in(tree, old, at->level);
        if (i == 0)
            bits = old;
    }
    if (leaf_has_rights(tree, at->entry, at->level))
        pt_flush_add(flush, vaddr, size << at->group, size, leaf_is_global(tree, at->entry, at->level));
    visit = (struct pt_visit){at->level, (unsigned)page_index(at), vaddr, bits, true, mapping};
    return !visitor || visitor(arg, &visit);
}

static inline enum pt_status engine_clear_recorded(struct page_table *pt, pt_vaddr vaddr, uint64_t size,
                                                   pt_flags recorded, pt_visitor visitor, void *arg,
                                                   struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    pt_vaddr last = vaddr + (size - 1);
    enum pt_status status;

    if (!format_of(&tree)->tracks_access)
        return PT_BAD_FORMAT;
    if (size == 0)
        return PT_OK;
    status = check_own_region(&tree, pt, vaddr, size);
    if (status != PT_OK)
        return status;

    for (;;) {
        struct place at = descend(&tree, pt->root, vaddr);

        if (at.kind == ENTRY_LEAF &&
            !clear_page(&tree, &at, page_first(&tree, &at, vaddr), recorded, visitor, arg, flush))
            return PT_OK;
        if (page_last(&tree, &at, vaddr) >= last)
            return PT_OK;
        vaddr = page_last(&tree, &at, vaddr) + 1;
    }
}

#endif
