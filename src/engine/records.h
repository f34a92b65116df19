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
    pt_entry old = at->entry;
    struct pt_visit visit;

    if (!(mapping_of(tree, old, at->level).flags & recorded))
        return true;
    while (!swap_entry(at->table, at->index, &old, encoding.clear_recorded(format_of(tree), old, recorded)))
        ;
    if (leaf_has_rights(tree, old, at->level))
        pt_flush_add(flush, vaddr, size, size, leaf_is_global(tree, old, at->level));
    visit = (struct pt_visit){at->level, (unsigned)at->index, vaddr, old, true, mapping_of(tree, old, at->level)};
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
    status = check_region(&tree, vaddr, size, vaddr | size, 0, 0);
    if (status == PT_OK && region_is_borrowed(&tree, pt, vaddr, last))
        status = PT_SHARED;
    if (status != PT_OK)
        return status;

    for (;;) {
        struct place at = descend(&tree, pt->root, vaddr);

        if (at.kind == ENTRY_LEAF &&
            !clear_page(&tree, &at, entry_first(&tree, at.level, vaddr), recorded, visitor, arg, flush))
            return PT_OK;
        if (entry_last(&tree, at.level, vaddr) >= last)
            return PT_OK;
        vaddr = entry_last(&tree, at.level, vaddr) + 1;
    }
}

#endif
