/* SPDX-License-Identifier: MIT */
/*
 * Other page sizes for what is mapped: pages split, their parts changed, and put together again. First the very
 * page that holds this code, its stack and data, and the page tables; then others.
 */
#include <stdalign.h>

#include <pagetable/hw.h>

#include "check.h"
#include "random.h"

#define SAMPLES 256u

/* Three pages near the kernel's code and stack, tagged with their own physical address: to be taken from the middle. */
#define WORDS (PT_4K / sizeof(uint64_t))
static alignas(4096) uint64_t pages[3 * WORDS];

static struct random random;

static pt_flags flags_at(const struct page_table *table, pt_vaddr vaddr)
{
    struct pt_mapping mapping;

    return pt_query(table, vaddr, &mapping) == PT_OK ? mapping.flags & PT_ALL_FLAGS : 0;
}

/* Whether library and hardware both say so. */
static bool translates(const struct page_table *table, pt_vaddr vaddr, pt_paddr paddr)
{
    struct pt_mapping mapping;
    pt_paddr found = 0;

    return pt_query(table, vaddr, &mapping) == PT_OK && mapping.paddr == paddr && machine_translate(vaddr, &found) &&
           found == paddr;
}

/* The address of 8 random bytes among so many. */
static pt_paddr random_paddr(pt_paddr paddr, uint64_t size)
{
    return paddr + (random_below(&random, size) & ~UINT64_C(7));
}

/* ---- The page that the kernel runs in ------------------------------------------------------------ */

/* A table that maps all RAM as one page, or by small ones, which hold code and data alike; and the frames it takes. */
struct live {
    struct page_table table;
    pt_paddr page;
    size_t before, tables;
};

/* To map more than RAM is for an emulator only: a real CPU may look ahead into what is there. */
static void live_make(struct kernel *kernel, struct live *live, const struct pt_format *format, uint64_t page_size)
{
    const struct machine_region *ram = &machine_regions[0];
    pt_flags flags = PT_READ | PT_WRITE | PT_EXECUTE | PT_GLOBAL;
    struct pt_flush flush;

    live->page = ram->paddr & ~(PT_1G - 1);
    live->before = kernel->tables;
    must(pt_create(&live->table, format, &kernel_handler, kernel), "pt_create");
    pt_flush_init(&flush, &live->table);
    if (page_size == PT_1G)
        must(pt_map(&live->table, live->page, live->page, PT_1G, flags, &flush), "pt_map");
    else
        must(pt_map_region(&live->table, ram->paddr, ram->paddr, ram->size, flags, 0, &flush), "pt_map_region");
    for (const struct machine_region *region = ram + 1; region->size != 0; region++)
        if (region->paddr - live->page >= PT_1G)
            must(pt_map_region(&live->table, region->paddr, region->paddr, region->size, region->flags, 0, &flush),
                 "pt_map_region");
    pt_flush_ignore(&flush);
    live->tables = kernel->tables;
    kernel_run_on(kernel, &live->table);
}

static void live_end(struct kernel *kernel, struct live *live)
{
    kernel_run_on(kernel, &kernel->table);
    pt_destroy(&live->table);
    check(kernel->tables == live->before, "on the kernel's own table again, all %lu frames are back",
          live->tables - live->before);
}

static bool live_is_whole(const struct kernel *kernel, const struct live *live)
{
    return page_size_at(&live->table, live->page) == PT_1G && kernel->tables == live->tables;
}

/* Every second probe is in the pages near the code. */
static bool live_translates(const struct kernel *kernel, const struct live *live)
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        pt_paddr paddr = i % 2 == 0 ? random_paddr(kernel_physical(pages), sizeof(pages))
                                    : random_paddr(kernel->tagged, kernel->tagged_size);

        if (!translates(&live->table, paddr, paddr))
            return false;
    }
    return true;
}

static void live_collapse(struct kernel *kernel, struct live *live)
{
    size_t split = kernel->tables;
    struct pt_flush flush;
    bool waited;

    pt_flush_init(&flush, &live->table);
    must(pt_collapse(&live->table, live->page, PT_1G, &flush), "pt_collapse");
    waited = kernel->tables == split;
    pt_flush(&flush);
    check(waited && live_is_whole(kernel, live) && live_translates(kernel, live),
          "collapse: one page again, %lu frames are back after the flush", split - live->tables);
}

/* One small page in the middle loses a right, and gets it back. */
static void check_protect_part(struct kernel *kernel, struct live *live)
{
    pt_vaddr left = kernel_physical(pages), middle = left + PT_4K, right = middle + PT_4K;
    pt_flags flags = flags_at(&live->table, middle);
    struct pt_flush flush;
    bool refused, seen, stale;

    pt_flush_init(&flush, &live->table);
    refused = pt_protect_region(&live->table, middle, PT_4K, PT_READ, PT_NO_SPLIT, &flush) == PT_MAPPED_TO_HUGE_PAGE;
    check(refused && flush.range_count == 0 && live_is_whole(kernel, live),
          "with PT_NO_SPLIT a part of it cannot be protected, nothing changes");

    seen = writes(middle, middle);
    must(pt_protect_region(&live->table, middle, PT_4K, PT_READ | PT_GLOBAL, 0, &flush), "pt_protect_region");
    stale = writes(middle, middle);
    check(seen && stale, "4 KiB of it read-only, without flush: the TLB still has them writable");
    pt_flush(&flush);
    check(faults(ACCESS_WRITE, middle) && reads(middle, middle), "flush: write faults at %lx, read does not", middle);
    check(writes(left + PT_4K - 8, left + PT_4K - 8) && writes(right, right) && kernel->tables == live->tables + 2,
          "... and the neighbours on both sides can be written, %u tables were made", 2);
    check(live_translates(kernel, live), "... and translations are as before at %u random places", SAMPLES);
    must(pt_protect_region(&live->table, middle, PT_4K, flags, PT_NO_SPLIT, &flush), "pt_protect_region");
    pt_flush(&flush);
    check(writes(middle, middle), "writable again");
    live_collapse(kernel, live);
}

static void check_split(struct kernel *kernel, struct live *live)
{
    const struct machine_region *ram = &machine_regions[0];
    pt_vaddr code = kernel_physical(kernel_text_start);
    pt_flags flags = flags_at(&live->table, code);
    struct pt_flush flush;

    pt_flush_init(&flush, &live->table);
    must(pt_split(&live->table, code, PT_4K, &flush), "pt_split");
    check(page_size_at(&live->table, code) == PT_4K && page_size_at(&live->table, live->page + PT_1G - 1) == PT_2M,
          "split, without flush: the kernel runs on, with pages of 4 KiB where its code is");
    check(flush.tables_changed && flush.global == !kernel_is_hypervisor() && flush.range_count > 0 &&
              flush.ranges[0].vaddr == live->page && flush.ranges[0].size == PT_1G,
          "... the invalidation of the whole page is owed");
    pt_flush(&flush);
    check(kernel->tables == live->tables + 2 && flags_at(&live->table, code) == flags && live_translates(kernel, live),
          "flush: still, and all translates as before, with the same flags");

    for (uint64_t offset = 0; offset < ram->size; offset += PT_2M)
        must(pt_split(&live->table, ram->paddr + offset, PT_4K, &flush), "pt_split");
    pt_flush(&flush);
    check(kernel->tables == live->tables + 1 + ram->size / PT_2M && live_translates(kernel, live),
          "all RAM split, tables and stack, too: runs on with %lu tables", kernel->tables - live->before);
    live_collapse(kernel, live);
}

static void check_live(struct kernel *kernel, const struct pt_format *format)
{
    pt_paddr code = kernel_physical(kernel_text_start);
    struct live live;

    live_make(kernel, &live, format, PT_1G);
    check(live_is_whole(kernel, &live) && (code ^ kernel_physical(&live)) < PT_1G && (code ^ live.table.root) < PT_1G,
          "one page of 1 GiB holds code, stack, data and the page tables");
    if (machine_linear_offset != 0)
        note("this kernel runs in a direct-mapped window: only its loads and stores go through that page");
    check_protect_part(kernel, &live);
    check_split(kernel, &live);
    live_end(kernel, &live);
}

/* ---- Break-before-make --------------------------------------------------------------------------- */

/* Any other change that takes a table is refused for the same reason. */
static void check_in_use(struct kernel *kernel, struct live *live)
{
    pt_vaddr code = kernel_physical(kernel_text_start), far = live->page + PT_1G - PT_4K;
    struct pt_flush flush;
    bool split, protect, unmap;

    pt_flush_init(&flush, &live->table);
    split = pt_split(&live->table, code, PT_2M, &flush) == PT_IN_USE;
    protect = pt_protect_region(&live->table, far, PT_4K, PT_READ, 0, &flush) == PT_IN_USE;
    unmap = pt_unmap_region(&live->table, far, PT_4K, 0, &flush) == PT_IN_USE;
    check(split, "split of the page that the kernel runs in: PT_IN_USE");
    check(protect && unmap, "... and so are changes of a part of it, far from code and data");
    check(live_is_whole(kernel, live) && flush.range_count == 0 && !flush.everything && !flush.barrier,
          "... nothing has changed, nothing is owed");
}

/* Without the flush at the end: only what was invalidated in between keeps the TLB from showing the old page. */
static void check_break(struct kernel *kernel, struct live *live, uint64_t page_size)
{
    pt_paddr frame = kernel->tagged + 8 * PT_4K, first = frame & ~(page_size - 1);
    pt_vaddr vaddr = window(kernel, 0) + page_size, probe = vaddr + (frame - first);
    struct pt_flush flush;
    bool seen, unflushed;

    drop_tlb();
    pt_flush_init(&flush, &live->table);
    must(pt_map(&live->table, vaddr, first, page_size, PT_READ | PT_WRITE, &flush), "pt_map");
    pt_flush(&flush);
    seen = writes(probe, frame);
    must(pt_split(&live->table, probe, PT_4K, &flush), "pt_split");
    must(pt_protect(&live->table, probe, PT_READ, NULL, &flush), "pt_protect");
    pt_hw_publish();
    unflushed = faults(ACCESS_WRITE, probe) && reads(probe, frame) && writes(probe + PT_4K, frame + PT_4K);
    check(seen && unflushed, "a page of %lu KiB elsewhere is split: the TLB has lost it without a flush",
          page_size / 1024);
    pt_flush(&flush);

    /* All small pages that may be in the TLB have to go before the large one comes. */
    must(pt_protect(&live->table, probe, PT_READ | PT_WRITE, NULL, &flush), "pt_protect");
    pt_flush(&flush);
    seen = writes(probe, frame);
    must(pt_collapse(&live->table, vaddr, page_size, &flush), "pt_collapse");
    must(pt_protect(&live->table, vaddr, PT_READ, NULL, &flush), "pt_protect");
    pt_hw_publish();
    unflushed = faults(ACCESS_WRITE, probe) && reads(probe, frame);
    check(seen && page_size_at(&live->table, probe) == page_size && unflushed,
          "... and put together again: the TLB has lost the small pages without a flush");
    must(pt_unmap_region(&live->table, vaddr, page_size, 0, &flush), "pt_unmap_region");
    pt_flush(&flush);
}

/* Small pages near the code, which cannot be put together while it runs in them; others can. */
static void check_collapse_in_use(struct kernel *kernel, const struct pt_format *format)
{
    const struct machine_region *ram = &machine_regions[0];
    pt_vaddr code = kernel_physical(kernel_text_start);
    struct pt_flush flush;
    struct live live;

    live_make(kernel, &live, format, PT_4K);
    pt_flush_init(&flush, &live.table);
    must(pt_collapse(&live.table, ram->paddr, ram->size, &flush), "pt_collapse");
    pt_flush(&flush);
    check(page_size_at(&live.table, code) == PT_4K && page_size_at(&live.table, kernel->tagged) == PT_2M &&
              live_translates(kernel, &live),
          "collapse of all RAM, mapped by small pages: but for those that are in use");
    live_end(kernel, &live);
}

static void check_break_before_make(struct kernel *kernel)
{
    struct pt_format format = *machine_format;
    struct live live;

    group("reshape: by break-before-make, as if the CPU had no FEAT_BBM");
    format.bbm_level = 0;
    live_make(kernel, &live, &format, PT_1G);
    check_in_use(kernel, &live);
    check_break(kernel, &live, PT_2M);
    check_break(kernel, &live, PT_1G);
    live_end(kernel, &live);
    check_collapse_in_use(kernel, &format);
}

/* ---- A hole in a page ---------------------------------------------------------------------------- */

/* Whether the tagged memory in the page at vaddr translates, but for the hole. */
static bool translates_around(struct kernel *kernel, pt_vaddr vaddr, uint64_t page_size, pt_vaddr hole)
{
    uint64_t size = page_size < kernel->tagged_size ? page_size : kernel->tagged_size;
    pt_paddr first = kernel->tagged & ~(page_size - 1);

    for (unsigned i = 0; i < SAMPLES; i++) {
        pt_paddr paddr = random_paddr(kernel->tagged, size);
        pt_vaddr probe = vaddr + (paddr - first);

        if (probe - hole >= PT_4K && !translates(kernel_table(kernel, vaddr), probe, paddr))
            return false;
    }
    return true;
}

#define BESIDE 32u

/* How many of the small pages from vaddr on can be read; and have come into the TLB, then. */
static unsigned count_readable(pt_vaddr vaddr, pt_paddr paddr)
{
    unsigned readable = 0;

    for (unsigned i = 0; i < BESIDE; i++)
        readable += reads(vaddr + i * PT_4K, paddr + i * PT_4K);
    return readable;
}

static void check_part(struct kernel *kernel, pt_vaddr vaddr, uint64_t page_size)
{
    struct page_table *table = kernel_table(kernel, vaddr);
    pt_paddr frame = kernel->tagged + 5 * PT_4K, first = frame & ~(page_size - 1);
    pt_vaddr hole = vaddr + (frame - first);
    struct pt_flush flush;
    size_t tables;
    unsigned left;
    bool seen, stale, whole;

    drop_tlb();
    map_page(kernel, vaddr, first, page_size, PT_READ | PT_WRITE);
    tables = kernel->tables;
    pt_flush_init(&flush, table);
    check(pt_unmap_region(table, hole, PT_4K, PT_NO_SPLIT, &flush) == PT_MAPPED_TO_HUGE_PAGE &&
              flush.range_count == 0 && page_size_at(table, hole) == page_size,
          "%s, a page of %lu KiB: with PT_NO_SPLIT no part of it is unmapped", half_name(vaddr), page_size / 1024);

    seen = reads(hole + OFFSET, frame + OFFSET);
    must(pt_unmap_region(table, hole, PT_4K, 0, &flush), "pt_unmap_region");
    stale = reads(hole + OFFSET, frame + OFFSET);
    check(seen && stale, "4 KiB of it unmapped, without flush: the TLB still has them");
    pt_flush(&flush);
    check(faults(ACCESS_READ, hole + OFFSET) && faults(ACCESS_WRITE, hole) && pt_query(table, hole, NULL) != PT_OK,
          "flush: read and write fault at %lx", hole);
    check(reads(hole - 8, frame - 8) && reads(hole + PT_4K, frame + PT_4K), "... and beside it memory is seen");
    check(translates_around(kernel, vaddr, page_size, hole),
          "... and translations are as before around it, at %u random places", SAMPLES);

    seen = reads(hole + PT_4K, frame + PT_4K);
    must(pt_unmap_region(table, hole + PT_4K, PT_4K, 0, &flush), "pt_unmap_region");
    pt_flush(&flush);
    check(seen && faults(ACCESS_READ, hole + PT_4K) && reads(hole + 2 * PT_4K, frame + 2 * PT_4K),
          "the next 4 KiB unmapped: read faults there, too");

    map_page(kernel, hole, frame, PT_4K, PT_READ | PT_WRITE);
    map_page(kernel, hole + PT_4K, frame + PT_4K, PT_4K, PT_READ | PT_WRITE);
    seen = count_readable(hole, frame) == BESIDE;
    must(pt_collapse(table, vaddr, page_size, &flush), "pt_collapse");
    pt_flush(&flush);
    whole = page_size_at(table, hole) == page_size && kernel->tables == tables;
    unmap_page(kernel, vaddr);
    left = count_readable(hole, frame);
    check(seen && whole, "filled again and collapsed: one page, the tables are back");
    /* Not looked at in between: what shows is what collapsing has left in the TLB. */
    check(left == 0 && faults(ACCESS_READ, hole), "that page unmapped: of %u small ones %u are still in the TLB",
          BESIDE, left);
}

/* ---- Counting, pruning --------------------------------------------------------------------------- */

/* Below a root entry that no other check uses. */
static pt_vaddr fresh(struct kernel *kernel, unsigned half)
{
    return window(kernel, half) + (UINT64_C(1) << (machine_format->va_bits - 3)) + PT_1G;
}

static void check_prune(struct kernel *kernel, pt_vaddr vaddr)
{
    const pt_vaddr spread[] = {vaddr, vaddr + PT_4K, vaddr + PT_2M, vaddr + PT_1G};
    struct page_table *table = kernel_table(kernel, vaddr);
    size_t before = kernel->tables, left;
    struct pt_flush flush;
    bool waited;

    pt_flush_init(&flush, table);
    for (unsigned i = 0; i < 4; i++)
        map_page(kernel, spread[i], kernel->tagged, PT_4K, PT_READ);
    for (unsigned i = 0; i < 4; i++)
        unmap_page(kernel, spread[i]);
    left = kernel->tables - before;
    must(pt_prune(table, vaddr, 2 * PT_1G, &flush), "pt_prune");
    waited = kernel->tables == before + left;
    pt_flush(&flush);
    check(left > 0 && waited && kernel->tables == before,
          "%s: of 4 pages that were unmapped %lu tables stayed, prune and flush give them back", half_name(vaddr),
          left);
    map_page(kernel, vaddr, kernel->tagged, PT_4K, PT_READ);
    check(reads(vaddr, kernel->tagged) && faults(ACCESS_READ, vaddr + PT_4K), "... and new ones can be made");
    unmap_page(kernel, vaddr);
    must(pt_prune(table, vaddr, PT_4K, &flush), "pt_prune");
    pt_flush(&flush);
}

static void check_counted(struct kernel *kernel, pt_vaddr vaddr, unsigned options, const char *what)
{
    struct page_table *table = kernel_table(kernel, vaddr);
    uint64_t size = 3 * PT_2M + 7 * PT_4K;
    pt_vaddr start = vaddr - PT_4K; /* the page before it is below another table */
    size_t before = kernel->tables, counted, taken;
    struct pt_flush flush;

    pt_flush_init(&flush, table);
    must(pt_count_tables(table, start, kernel->tagged + PT_2M - PT_4K, size, PT_READ, options, &counted),
         "pt_count_tables");
    must(pt_map_region(table, start, kernel->tagged + PT_2M - PT_4K, size, PT_READ, options, &flush), "pt_map_region");
    pt_flush(&flush);
    taken = kernel->tables - before;
    check(counted == taken && reads(vaddr, kernel->tagged + PT_2M), "%s, %s: %lu tables are counted, mapping takes %lu",
          half_name(vaddr), what, counted, taken);
    must(pt_unmap_region(table, start, size, 0, &flush), "pt_unmap_region");
    pt_flush(&flush);
    check(kernel->tables == before, "... unmapping gives them back");
}

void check_reshape(struct kernel *kernel)
{
    struct pt_format format = *machine_format;

    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++)
        pages[i] = kernel_physical(&pages[i]);

    if (machine_remap_invalidates && machine_format->bbm_level < 2) {
        note("this CPU has no FEAT_BBM level 2: the page that the kernel runs in cannot be split");
    } else {
        group("reshape: the page that the kernel runs in");
        check_live(kernel, &format);
        if (machine_tracks_access && !format.tracks_access) {
            group("reshape: the same, while the hardware sets accessed and dirty");
            format.tracks_access = true;
            check_live(kernel, &format);
        }
    }
    if (machine_remap_invalidates)
        check_break_before_make(kernel);

    group("reshape: a hole in a huge page");
    for (unsigned half = 0; half < WINDOWS; half++) {
        check_part(kernel, window(kernel, half) + PT_2M, PT_2M);
        check_part(kernel, window(kernel, half) + PT_1G, PT_1G);
    }

    group("tables: counted before, pruned after");
    for (unsigned half = 0; half < WINDOWS; half++) {
        check_prune(kernel, fresh(kernel, half));
        check_counted(kernel, fresh(kernel, half), 0, "small pages");
        check_counted(kernel, fresh(kernel, half), PT_ALLOW_HUGE, "huge pages");
    }
}
