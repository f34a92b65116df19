/* SPDX-License-Identifier: MIT */
/*
 * What the checks share. Each of them maps something, and then looks with the CPU's own loads, stores and
 * fetches whether the MMU does what the library says. Where a translation is taken away, the page is read
 * first, so that it is in the TLB: only then does the check see whether the flush reaches it.
 *
 * That it still is there before the flush is a check, too. Between the first look and the second nothing is
 * printed: an emulator's TLB may have as few as 64 entries, and the console needs some of them.
 */
#ifndef CHECK_H
#define CHECK_H

#include "console.h"
#include "kernel.h"

#define MARK_A UINT64_C(0xaaaa0123456789ab)
#define MARK_B UINT64_C(0xbbbb0123456789ab)
#define OFFSET 0x128u /* in a page: the fault has to be at the access, not at the page */

/* What an entry n levels above the last one covers: span(0) and span(1) are page sizes of every format. */
static inline uint64_t span(unsigned n)
{
    return UINT64_C(1) << (machine_format->page_shift + n * machine_format->index_bits);
}

/*
 * Where the checks map their pages: one place in each half, far from the linear map. And an address of the same half
 * in which a root entry starts that no other check uses.
 */
#define WINDOWS 2
pt_vaddr window(unsigned half);
pt_vaddr fresh(unsigned half);
const char *half_name(pt_vaddr vaddr);

/* A call that has to succeed. */
void must(enum pt_status status, const char *call);

/* The calls on one page, each with its flush carried out. */
void map_page(struct kernel *kernel, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags);
void unmap_page(struct kernel *kernel, pt_vaddr vaddr);
void protect_page(struct kernel *kernel, pt_vaddr vaddr, pt_flags flags);

/* The size of the page that holds vaddr, 0 if none does. */
uint64_t page_size_at(const struct page_table *table, pt_vaddr vaddr);

bool reads(pt_vaddr vaddr, uint64_t wanted);
bool writes(pt_vaddr vaddr, uint64_t value);
/* Whether the access faults, and the CPU names the right address. */
bool faults(enum access access, pt_vaddr vaddr);

/*
 * Forget everything. Emulators, and CPUs, may drop more of the TLB than they are asked to where there are
 * huge pages. A flush that does not reach its page shows best after this, before the next huge page.
 */
void drop_tlb(void);

/* Frames of a small page for a check, `mark` at its start and at OFFSET; frame_free gives them back. */
pt_paddr frame_new(struct kernel *kernel, uint64_t mark);
void frame_free(struct kernel *kernel, pt_paddr frame);

#endif
