/* SPDX-License-Identifier: MIT */
/* Whole tables: the linear map that the kernel runs in, regions, and what is left when a table goes. */
#include "check.h"

/* ---- The linear map ---------------------------------------------------------------------------- */

struct leaves {
    size_t pages, huge;
};

static bool count_leaf(void *arg, const struct pt_visit *visit)
{
    struct leaves *leaves = arg;

    if (visit->is_leaf) {
        leaves->pages++;
        if (visit->mapping.page_size > span(0))
            leaves->huge++;
    }
    return true;
}

void check_linear_map(struct kernel *kernel)
{
    struct leaves leaves = {0, 0};
    pt_paddr paddr = kernel->tagged + kernel->tagged_size / 2;
    uint64_t larger = machine_format->page_sizes & (machine_format->page_sizes - 1); /* without the smallest */

    larger &= 0 - larger;
    group("linear map: the kernel runs in it");
    pt_walk(&kernel->table, SIZE_MAX, count_leaf, NULL, &leaves);
    check(leaves.huge > 0 || larger > machine_regions[0].size,
          "the MMU is on and the kernel still runs, with %zu pages, %zu of them huge", leaves.pages, leaves.huge);
    check(reads(paddr, paddr), "memory at %jx is read there", paddr);
}

/* ---- Regions ----------------------------------------------------------------------------------- */

#define REGION_PAGES 48u /* few enough to be invalidated one by one: PT_HW_MAX_SINGLE */

struct region {
    pt_vaddr vaddr;
    pt_paddr paddr; /* tagged memory */
    uint64_t page_size;
};

/* How many of the region's pages can be read and written, as tagged memory; and have come into the TLB, then. */
static void count_accesses(const struct region *region, size_t *readable, size_t *writable)
{
    *readable = *writable = 0;
    for (unsigned i = 0; i < REGION_PAGES; i++) {
        uint64_t offset = i * region->page_size + OFFSET;

        *readable += reads(region->vaddr + offset, region->paddr + offset);
        *writable += writes(region->vaddr + offset, region->paddr + offset);
    }
}

static void check_accesses(const struct region *region, size_t wanted_readable, size_t wanted_writable,
                           const char *after)
{
    size_t readable, writable;

    count_accesses(region, &readable, &writable);
    check(readable == wanted_readable && writable == wanted_writable,
          "of %u pages %zu can be read, %zu written after %s", REGION_PAGES, readable, writable, after);
}

void check_region(struct kernel *kernel)
{
    uint64_t page_size = span(0), size = REGION_PAGES * page_size;
    struct region region = {window(1) + page_size, kernel->tagged, page_size};
    struct page_table *table = kernel_table(kernel, region.vaddr);
    struct pt_flush flush;

    group("region: many pages with one call or one flush");
    drop_tlb();
    pt_flush_init(&flush, table);
    must(pt_map_region(table, region.vaddr, region.paddr, size, PT_READ | PT_WRITE, 0, &flush), "pt_map_region");
    pt_flush(&flush);
    check_accesses(&region, REGION_PAGES, REGION_PAGES, "mapping");

    must(pt_protect_region(table, region.vaddr, size / 2, PT_READ, 0, &flush), "pt_protect_region");
    pt_flush(&flush);
    check_accesses(&region, REGION_PAGES, REGION_PAGES / 2, "protecting half of them");

    /* One flush for many calls: neighbours, then every second page. */
    for (unsigned i = 0; i < 8; i++)
        must(pt_unmap(table, region.vaddr + i * page_size, NULL, &flush), "pt_unmap");
    pt_flush(&flush);
    check_accesses(&region, REGION_PAGES - 8, REGION_PAGES / 2, "unmapping 8 neighbours");
    for (unsigned i = REGION_PAGES / 2; i < REGION_PAGES; i += 2)
        must(pt_unmap(table, region.vaddr + i * page_size, NULL, &flush), "pt_unmap");
    pt_flush(&flush);
    check_accesses(&region, REGION_PAGES / 4 * 3 - 8, REGION_PAGES / 4, "unmapping every second page of one half");

    must(pt_unmap_region(table, region.vaddr, size, PT_SKIP_HOLES, &flush), "pt_unmap_region");
    pt_flush(&flush);
    check_accesses(&region, 0, 0, "unmapping all");
}

/* ---- The end ----------------------------------------------------------------------------------- */

/* A table that is never loaded, of the pool's own handler, with the linear map and pages of every size. */
static void make_and_destroy(struct kernel *kernel)
{
    size_t before = kernel->pool.free, taken;
    struct page_table table;
    struct pt_flush flush;

    must(pt_create(&table, machine_format, &pt_frame_pool_handler, &kernel->pool), "pt_create");
    kernel_map_linear(&table);
    pt_flush_init(&flush, &table);
    for (uint64_t sizes = machine_format->page_sizes; sizes != 0; sizes &= sizes - 1) {
        uint64_t page_size = sizes & (0 - sizes);

        must(pt_map_region(&table, window(0) + page_size, 0, 3 * page_size, PT_READ, PT_ALLOW_HUGE, &flush),
             "pt_map_region");
        if (!kernel_has_two_roots(kernel)) /* else a table is one half's */
            must(pt_map(&table, window(1) + page_size, 0, page_size, PT_READ, &flush), "pt_map");
    }
    pt_flush_ignore(&flush);
    taken = before - kernel->pool.free;
    pt_destroy(&table);
    pt_destroy(&table); /* twice is allowed */
    check(taken > 0 && kernel->pool.free == before, "a table that was never in use gives its %zu frames back", taken);
}

void check_destroy(struct kernel *kernel)
{
    group("destroy: every frame comes back");
    make_and_destroy(kernel);
    machine_disable_mmu(); /* a table must not be in use when it goes */
    pt_destroy(&kernel->table);
    pt_destroy(&kernel->high); /* all zero, and nothing happens, where it was never made */
    check(kernel->tables == 0 && kernel->pool.free == kernel->free_at_start,
          "with the MMU off the kernel's own tables are back, %zu frames are free", kernel->pool.free);
}
