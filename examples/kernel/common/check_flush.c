/* SPDX-License-Identifier: MIT */
/*
 * What no TLB entry may outlive. Some MMUs remember not only what is mapped but also what is not: on
 * LoongArch the refill handler puts that into the TLB itself.
 */
#include "check.h"

/* ---- Where nothing was mapped ------------------------------------------------------------------ */

/* A huge page where the TLB may remember that nothing is: first in an empty table's place, then in an unused entry. */
static void check_hole(struct kernel *kernel, pt_vaddr vaddr, uint64_t page_size)
{
    /* Not at the start of any page: an invalidation of the huge page names its first address. */
    pt_paddr frame = kernel->tagged + kernel->tagged_size / 2 + PT_1M / 2 + 4 * span(0);
    pt_paddr first = frame & ~(page_size - 1);
    pt_vaddr hole = vaddr + (frame - first) + OFFSET;
    pt_vaddr page = vaddr + (frame - first) + 8 * span(0); /* in the same table */

    drop_tlb();
    map_page(kernel, page, frame, span(0), PT_READ);
    unmap_page(kernel, page);
    check(faults(ACCESS_READ, hole), "%s: read faults at %jx, in a table that has become empty", half_name(vaddr),
          hole);
    map_page(kernel, vaddr, first, page_size, PT_READ);
    check(reads(hole, frame + OFFSET), "... and is good with a page of %ju KiB in the table's place", page_size / 1024);
    unmap_page(kernel, vaddr);
    check(faults(ACCESS_READ, hole), "... faults when it is unmapped, in an unused entry");
    map_page(kernel, vaddr, first, page_size, PT_READ);
    check(reads(hole, frame + OFFSET), "... and is good with the page there again");
    unmap_page(kernel, vaddr);
}

/* A root entry with nothing in it, then a page below it, then nothing again. */
static void check_root_entry(struct kernel *kernel, pt_vaddr vaddr)
{
    unsigned tables = machine_format->levels - 1u; /* from below the root to the page */
    uint64_t size = span(tables);
    pt_vaddr page = vaddr + size / 2;
    struct page_table *table = kernel_table(kernel, vaddr);
    size_t free = kernel->pool.free;
    struct pt_flush flush;

    drop_tlb();
    check(faults(ACCESS_READ, page + OFFSET) && faults(ACCESS_WRITE, page + OFFSET),
          "%s: read and write fault at %jx, where the root has nothing", half_name(vaddr), page + OFFSET);
    map_page(kernel, page, kernel->tagged, span(0), PT_READ);
    check(reads(page + OFFSET, kernel->tagged + OFFSET) && free - kernel->pool.free == tables * kernel_table_frames(),
          "... and read is good with a page there, for which %u tables were made", tables);

    pt_flush_init(&flush, table);
    must(pt_unmap_region(table, vaddr, size, PT_SKIP_HOLES, &flush), "pt_unmap_region");
    pt_flush(&flush);
    check(faults(ACCESS_READ, page + OFFSET) && kernel->pool.free == free,
          "... and faults again when the root entry is unmapped whole, and the tables are given back");
}

void check_holes(struct kernel *kernel)
{
    group("holes: what the MMU may remember of them ends with a mapping");
    for (unsigned half = 0; half < WINDOWS; half++) {
        uint64_t sizes = machine_format->page_sizes;

        for (sizes &= sizes - 1; sizes != 0; sizes &= sizes - 1) { /* all but the smallest */
            uint64_t page_size = sizes & (0 - sizes);

            check_hole(kernel, window(half) + page_size, page_size);
        }
        check_root_entry(kernel, fresh(half));
    }
}

/* ---- What a flush reaches ---------------------------------------------------------------------- */

#define SCATTERED (2u * PT_FLUSH_RANGES)

/* The i-th of pages with a hole behind each: none of them can share a range with its neighbour. */
static pt_vaddr scattered(pt_vaddr vaddr, unsigned i)
{
    return vaddr + 2 * i * span(0);
}

/* How many of them can be read, from the i-th on; and have come into the TLB, then. */
static unsigned count_scattered(const struct kernel *kernel, pt_vaddr vaddr, unsigned i)
{
    unsigned readable = 0;

    for (; i < SCATTERED; i++)
        readable += reads(scattered(vaddr, i), kernel->tagged + i * span(0));
    return readable;
}

/* More ranges than a flush remembers: it becomes "everything", which has to reach global pages, too. */
static void check_everything(struct kernel *kernel, pt_vaddr vaddr)
{
    struct page_table *table = kernel_table(kernel, vaddr);
    unsigned readable, stale, faulting = 0;
    struct pt_flush flush;

    drop_tlb();
    for (unsigned i = 0; i < SCATTERED; i++)
        map_page(kernel, scattered(vaddr, i), kernel->tagged + i * span(0), span(0), PT_READ | PT_GLOBAL);
    readable = count_scattered(kernel, vaddr, 0);
    pt_flush_init(&flush, table);
    for (unsigned i = 0; i < SCATTERED; i++)
        must(pt_unmap(table, scattered(vaddr, i), NULL, &flush), "pt_unmap");
    stale = count_scattered(kernel, vaddr, PT_FLUSH_RANGES);
    check(readable == SCATTERED, "%s: %u of %u global pages are read, with a hole behind each", half_name(vaddr),
          readable, SCATTERED);
    check(stale > 0 && flush.everything, "unmap without flush: \"everything\" is owed, the TLB still has some pages");
    pt_flush(&flush);
    for (unsigned i = 0; i < SCATTERED; i++)
        faulting += faults(ACCESS_READ, scattered(vaddr, i));
    check(faulting == SCATTERED, "one flush for all: read faults at %u of %u", faulting, SCATTERED);
}

/* The invalidation of one page, where an entry is global. */
static void check_global(struct kernel *kernel, pt_vaddr vaddr)
{
    struct page_table *table = kernel_table(kernel, vaddr);
    pt_vaddr probe = vaddr + OFFSET;
    uint64_t tag = kernel->tagged + OFFSET;
    struct pt_flush flush;
    bool seen, stale;

    drop_tlb();
    map_page(kernel, vaddr, kernel->tagged, span(0), PT_READ | PT_GLOBAL);
    seen = reads(probe, tag);
    pt_flush_init(&flush, table);
    must(pt_unmap(table, vaddr, NULL, &flush), "pt_unmap");
    stale = reads(probe, tag);
    check(seen, "%s: a global page is read at %jx", half_name(vaddr), probe);
    check(stale && !flush.everything && flush.range_count == 1,
          "unmap without flush: one range is owed, the TLB still has the page");
    pt_flush(&flush);
    check(faults(ACCESS_READ, probe), "flush of that page alone: read faults at %jx", probe);
}

void check_flush(struct kernel *kernel)
{
    group("flush: global pages, one by one and all at once");
    for (unsigned half = 0; half < WINDOWS; half++) {
        check_global(kernel, window(half));
        check_everything(kernel, window(half));
    }
    if (machine_options.check_flush != NULL)
        machine_options.check_flush(kernel);
}
