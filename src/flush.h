/* SPDX-License-Identifier: MIT */
/* Gathering what is owed; the public part is <pagetable/flush.h>. Knows neither trees nor bits. */
#ifndef PT_FLUSH_H
#define PT_FLUSH_H

#include <pagetable/pagetable.h>

/*
 * Translations of [vaddr, vaddr + size), made of pages of page_size or larger, are no longer good; global
 * ones may be among them.
 */
void pt_flush_add(struct pt_flush *flush, pt_vaddr vaddr, uint64_t size, uint64_t page_size, bool global);

/* Translations of [first, last] may still be owed an invalidation. */
bool pt_flush_overlaps(const struct pt_flush *flush, pt_vaddr first, pt_vaddr last);

/* Invalidate what is owed now, and keep the retired tables: the middle of a break-before-make. */
void pt_flush_invalidate(struct pt_flush *flush);

#endif
