/* SPDX-License-Identifier: MIT */
/*
 * Other page sizes for what is mapped: pages split, their parts changed, and put together again. First the very
 * pages that hold this code, its stack and data, and the page tables; then others.
 */
#include <pagetable/hw.h>

#include "check.h"
#include "random.h"

#define SAMPLES 256u

/* Some small pages of RAM, tagged with their own physical address: one is to be taken from the middle. */
#define THREE 3u
static pt_paddr three;

static struct random random;

/* The largest pages that split and collapse are tried with: more than a GiB needs more tables than it shows. */
#define LARGEST PT_1G

static uint64_t larger_sizes(void)
{
    return machine_format->page_sizes & ~span(0) & (2 * LARGEST - 1);
}

/* A page whose size changes has to be unmapped for a moment: AArch64 without FEAT_BBM level 2, ARMv7. */
static bool splitting_invalidates(void)
{
    return machine_remap_invalidates && machine_format->bbm_level < 2;
}

/* The page that the kernel runs in is as large as it can be, up to this. */
static uint64_t live_size(void)
{
    uint64_t sizes = larger_sizes();

    while ((sizes & (sizes - 1)) != 0)
        sizes &= sizes - 1;
    return sizes;
}

/* Tables that it takes to map so many bytes by small pages, where a page of this size could. */
static size_t tables_below(uint64_t page_size, pt_paddr paddr, uint64_t size)
{
    size_t tables = 0;

    for (unsigned n = 1; n < machine_format->levels && span(n) <= page_size; n++) {
        unsigned shift = machine_format->page_shift + n * machine_format->index_bits;

        tables += (size_t)(((paddr + size - 1) >> shift) - (paddr >> shift) + 1);
    }
    return tables * kernel_table_frames();
}

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

/* A table that maps all RAM by large pages, or by small ones, which hold code and data alike; and the frames it takes. */
struct live {
    struct page_table table;
    pt_paddr page, end; /* the first page, in which the kernel is, and where the last one ends */
    uint64_t size;      /* of a page */
    size_t before, tables;
};

/* To map more than RAM is for an emulator only: a real CPU may look ahead into what is there. */
static void live_make(struct kernel *kernel, struct live *live, const struct pt_format *format, uint64_t page_size)
{
    const struct machine_region *ram = &machine_regions[0];
    pt_flags flags = PT_READ | PT_WRITE | PT_EXECUTE | PT_GLOBAL;
    struct pt_flush flush;

    live->page = ram->paddr & ~(page_size - 1);
    live->size = page_size;
    live->before = kernel->tables;
    must(pt_create(&live->table, format, &kernel_handler, kernel), "pt_create");
    pt_flush_init(&flush, &live->table);
    for (live->end = live->page; live->end < ram->paddr + ram->size; live->end += page_size)
        must(pt_map(&live->table, live->end, live->end, page_size, flags, &flush), "pt_map");
    for (const struct machine_region *region = ram + 1; region->size != 0; region++)
        if (region->paddr - live->page >= live->end - live->page)
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
    check(kernel->tables == live->before, "on the kernel's own table again, all %zu frames are back",
          live->tables - live->before);
}

static bool live_is_whole(const struct kernel *kernel, const struct live *live)
{
    return page_size_at(&live->table, live->page) == live->size && kernel->tables == live->tables;
}

/* Every second probe is in the three pages. */
static bool live_translates(const struct kernel *kernel, const struct live *live)
{
    for (unsigned i = 0; i < SAMPLES; i++) {
        pt_paddr paddr =
            i % 2 == 0 ? random_paddr(three, THREE * span(0)) : random_paddr(kernel->tagged, kernel->tagged_size);

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
    must(pt_collapse(&live->table, live->page, live->end - live->page, &flush), "pt_collapse");
    waited = kernel->tables == split;
    pt_flush(&flush);
    check(waited && live_is_whole(kernel, live) && live_translates(kernel, live),
          "collapse: large pages again, %zu frames are back after the flush", split - live->tables);
}

/* One small page in the middle loses a right, and gets it back. */
static void check_protect_part(struct kernel *kernel, struct live *live)
{
    pt_vaddr left = three, middle = left + span(0), right = middle + span(0);
    pt_flags flags = flags_at(&live->table, middle);
    struct pt_flush flush;
    bool refused, seen, stale;

    pt_flush_init(&flush, &live->table);
    refused = pt_protect_region(&live->table, middle, span(0), PT_READ, PT_NO_SPLIT, &flush) == PT_MAPPED_TO_HUGE_PAGE;
    check(refused && flush.range_count == 0 && live_is_whole(kernel, live),
          "with PT_NO_SPLIT a part of it cannot be protected, nothing changes");

    seen = writes(middle, middle);
    must(pt_protect_region(&live->table, middle, span(0), PT_READ | PT_GLOBAL, 0, &flush), "pt_protect_region");
    stale = writes(middle, middle);
    check(seen && stale, "a small part of it read-only, without flush: the TLB still has them writable");
    pt_flush(&flush);
    check(faults(ACCESS_WRITE, middle) && reads(middle, middle), "flush: write faults at %jx, read does not", middle);
    check(writes(left + span(0) - 8, left + span(0) - 8) && writes(right, right) &&
              kernel->tables == live->tables + tables_below(live->size, middle, 1),
          "... and the neighbours on both sides can be written, %zu tables were made", kernel->tables - live->tables);
    check(live_translates(kernel, live), "... and translations are as before at %u random places", SAMPLES);
    must(pt_protect_region(&live->table, middle, span(0), flags, PT_NO_SPLIT, &flush), "pt_protect_region");
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
    uint64_t last;

    pt_flush_init(&flush, &live->table);
    must(pt_split(&live->table, code, span(0), &flush), "pt_split");
    last = page_size_at(&live->table, live->page + live->size - 1);
    check(page_size_at(&live->table, code) == span(0) && last < live->size && (last > span(0) || live->size <= span(1)),
          "split, without flush: the kernel runs on, with small pages where its code is, and larger ones elsewhere");
    check(flush.tables_changed && flush.global == kernel_has_privileges() && flush.range_count > 0 &&
              flush.ranges[0].vaddr == live->page && flush.ranges[0].size == live->size,
          "... the invalidation of the whole page is owed");
    pt_flush(&flush);
    check(kernel->tables == live->tables + tables_below(live->size, code, 1) && flags_at(&live->table, code) == flags &&
              live_translates(kernel, live),
          "flush: still, and all translates as before, with the same flags");

    for (uint64_t offset = 0; offset < ram->size; offset += span(1))
        must(pt_split(&live->table, ram->paddr + offset, span(0), &flush), "pt_split");
    pt_flush(&flush);
    check(kernel->tables == live->tables + tables_below(live->size, ram->paddr, ram->size) &&
              live_translates(kernel, live),
          "all RAM split, tables and stack, too: runs on with %zu tables", kernel->tables - live->before);
    live_collapse(kernel, live);
}

static void check_live(struct kernel *kernel, const struct pt_format *format)
{
    pt_paddr code = kernel_physical(kernel_text_start);
    struct live live;

    live_make(kernel, &live, format, live_size());
    check(live_is_whole(kernel, &live) && page_size_at(&live.table, code) == live.size &&
              page_size_at(&live.table, kernel_physical(&live)) == live.size &&
              page_size_at(&live.table, live.table.root) == live.size,
          "code, stack, data and the page tables are in pages of %ju KiB", live.size / 1024);
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
    pt_vaddr code = kernel_physical(kernel_text_start), far = (code | (live->size - 1)) + 1 - span(0);
    struct pt_flush flush;
    bool split, protect, unmap;

    pt_flush_init(&flush, &live->table);
    split = pt_split(&live->table, code, span(0), &flush) == PT_IN_USE;
    protect = pt_protect_region(&live->table, far, span(0), PT_READ, 0, &flush) == PT_IN_USE;
    unmap = pt_unmap_region(&live->table, far, span(0), 0, &flush) == PT_IN_USE;
    check(split, "split of the page that the kernel runs in: PT_IN_USE");
    check(protect && unmap, "... and so are changes of a part of it, far from code and data");
    check(live_is_whole(kernel, live) && flush.range_count == 0 && !flush.everything && !flush.barrier,
          "... nothing has changed, nothing is owed");
}

/* Without the flush at the end: only what was invalidated in between keeps the TLB from showing the old page. */
static void check_break(struct kernel *kernel, struct live *live, uint64_t page_size)
{
    pt_paddr frame = kernel->tagged + 8 * span(0), first = frame & ~(page_size - 1);
    pt_vaddr vaddr = window(0) + page_size, probe = vaddr + (frame - first);
    struct pt_flush flush;
    bool seen, unflushed;

    drop_tlb();
    pt_flush_init(&flush, &live->table);
    must(pt_map(&live->table, vaddr, first, page_size, PT_READ | PT_WRITE, &flush), "pt_map");
    pt_flush(&flush);
    seen = writes(probe, frame);
    must(pt_split(&live->table, probe, span(0), &flush), "pt_split");
    must(pt_protect(&live->table, probe, PT_READ, NULL, &flush), "pt_protect");
    pt_hw_publish();
    unflushed = faults(ACCESS_WRITE, probe) && reads(probe, frame) && writes(probe + span(0), frame + span(0));
    check(seen && unflushed, "a page of %ju KiB elsewhere is split: the TLB has lost it without a flush",
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

    live_make(kernel, &live, format, span(0));
    pt_flush_init(&flush, &live.table);
    must(pt_collapse(&live.table, ram->paddr, ram->size, &flush), "pt_collapse");
    pt_flush(&flush);
    /* No table is at the end of RAM. */
    check(page_size_at(&live.table, code) == span(0) &&
              (page_size_at(&live.table, ram->paddr + ram->size - span(0)) > span(0) || ram->size < span(1)) &&
              live_translates(kernel, &live),
          "collapse of all RAM, mapped by small pages: but for those that are in use");
    live_end(kernel, &live);
}

static void check_break_before_make(struct kernel *kernel)
{
    struct pt_format format = *machine_format;
    struct live live;

    group("reshape: by break-before-make");
    format.bbm_level = 0;
    live_make(kernel, &live, &format, live_size());
    if (!kernel_runs_in_table())
        note("the kernel does not run in its guest's table: no page of it is in use");
    else
        check_in_use(kernel, &live);
    for (uint64_t sizes = larger_sizes(); sizes != 0; sizes &= sizes - 1)
        check_break(kernel, &live, sizes & (0 - sizes));
    live_end(kernel, &live);
    if (kernel_runs_in_table())
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

        if (probe - hole >= span(0) && !translates(kernel_table(kernel, vaddr), probe, paddr))
            return false;
    }
    return true;
}

#define BESIDE 8u

/* How many of the small pages from vaddr on can be read; and have come into the TLB, then. */
static unsigned count_readable(pt_vaddr vaddr, pt_paddr paddr)
{
    unsigned readable = 0;

    for (unsigned i = 0; i < BESIDE; i++)
        readable += reads(vaddr + i * span(0), paddr + i * span(0));
    return readable;
}

static void check_part(struct kernel *kernel, pt_vaddr vaddr, uint64_t page_size)
{
    struct page_table *table = kernel_table(kernel, vaddr);
    pt_paddr frame = kernel->tagged + 5 * span(0), first = frame & ~(page_size - 1);
    pt_vaddr hole = vaddr + (frame - first);
    struct pt_flush flush;
    size_t tables;
    unsigned left;
    bool seen, stale, whole;

    drop_tlb();
    map_page(kernel, vaddr, first, page_size, PT_READ | PT_WRITE);
    tables = kernel->tables;
    pt_flush_init(&flush, table);
    check(pt_unmap_region(table, hole, span(0), PT_NO_SPLIT, &flush) == PT_MAPPED_TO_HUGE_PAGE &&
              flush.range_count == 0 && page_size_at(table, hole) == page_size,
          "%s, a page of %ju KiB: with PT_NO_SPLIT no part of it is unmapped", half_name(vaddr), page_size / 1024);

    seen = reads(hole + OFFSET, frame + OFFSET);
    must(pt_unmap_region(table, hole, span(0), 0, &flush), "pt_unmap_region");
    stale = reads(hole + OFFSET, frame + OFFSET);
    check(seen && stale == !splitting_invalidates(),
          stale ? "a small part of it unmapped, without flush: the TLB still has it"
                : "a small part of it unmapped, without flush: by break-before-make the TLB has lost it");
    pt_flush(&flush);
    check(faults(ACCESS_READ, hole + OFFSET) && faults(ACCESS_WRITE, hole) && pt_query(table, hole, NULL) != PT_OK,
          "flush: read and write fault at %jx", hole);
    check(reads(hole - 8, frame - 8) && reads(hole + span(0), frame + span(0)), "... and beside it memory is seen");
    check(translates_around(kernel, vaddr, page_size, hole),
          "... and translations are as before around it, at %u random places", SAMPLES);

    seen = reads(hole + span(0), frame + span(0));
    must(pt_unmap_region(table, hole + span(0), span(0), 0, &flush), "pt_unmap_region");
    pt_flush(&flush);
    check(seen && faults(ACCESS_READ, hole + span(0)) && reads(hole + 2 * span(0), frame + 2 * span(0)),
          "the next one unmapped: read faults there, too");

    map_page(kernel, hole, frame, span(0), PT_READ | PT_WRITE);
    map_page(kernel, hole + span(0), frame + span(0), span(0), PT_READ | PT_WRITE);
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

static void check_prune(struct kernel *kernel, pt_vaddr vaddr)
{
    /* As far apart as stays below root entries that nothing else uses. */
    uint64_t far = span(2) < UINT64_C(1) << (machine_format->va_bits - 5) ? span(2) : 2 * span(1);
    const pt_vaddr spread[] = {vaddr, vaddr + span(0), vaddr + span(1), vaddr + far};
    struct page_table *table = kernel_table(kernel, vaddr);
    size_t before = kernel->tables, left;
    struct pt_flush flush;
    bool waited;

    pt_flush_init(&flush, table);
    for (unsigned i = 0; i < 4; i++)
        map_page(kernel, spread[i], kernel->tagged, span(0), PT_READ);
    for (unsigned i = 0; i < 4; i++)
        unmap_page(kernel, spread[i]);
    left = kernel->tables - before;
    must(pt_prune(table, vaddr, 2 * far, &flush), "pt_prune");
    waited = kernel->tables == before + left;
    pt_flush(&flush);
    check(left > 0 && waited && kernel->tables == before,
          "%s: of 4 pages that were unmapped %zu tables stayed, prune and flush give them back", half_name(vaddr),
          left);
    map_page(kernel, vaddr, kernel->tagged, span(0), PT_READ);
    check(reads(vaddr, kernel->tagged) && faults(ACCESS_READ, vaddr + span(0)), "... and new ones can be made");
    unmap_page(kernel, vaddr);
    must(pt_prune(table, vaddr, span(0), &flush), "pt_prune");
    pt_flush(&flush);
}

static void check_counted(struct kernel *kernel, pt_vaddr vaddr, unsigned options, const char *what)
{
    struct page_table *table = kernel_table(kernel, vaddr);
    uint64_t size = 3 * span(1) + 7 * span(0);
    pt_paddr large = kernel->tagged & ~(span(1) - 1);
    uint64_t before_it = large != 0 ? span(0) : 0; /* a page below another table, where there is memory for it */
    pt_vaddr start = vaddr - before_it;
    size_t before = kernel->tables, counted, taken;
    struct pt_flush flush;

    pt_flush_init(&flush, table);
    must(pt_count_tables(table, start, large - before_it, size, PT_READ, options, &counted), "pt_count_tables");
    must(pt_map_region(table, start, large - before_it, size, PT_READ, options, &flush), "pt_map_region");
    pt_flush(&flush);
    taken = kernel->tables - before;
    check(counted == taken && reads(vaddr + (kernel->tagged - large), kernel->tagged),
          "%s, %s: %zu tables are counted, mapping takes %zu", half_name(vaddr), what, counted, taken);
    must(pt_unmap_region(table, start, size, 0, &flush), "pt_unmap_region");
    pt_flush(&flush);
    check(kernel->tables == before, "... unmapping gives them back");
}

void check_reshape(struct kernel *kernel)
{
    struct pt_format format = *machine_format;

    three = pt_frame_pool_alloc(&kernel->pool, kernel_frames(THREE * span(0)), (size_t)span(0));
    for (pt_paddr word = three; word < three + THREE * span(0); word += sizeof(word))
        *kernel_memory(word) = word;

    if (splitting_invalidates()) {
        note("this CPU asks for break-before-make: the page that the kernel runs in cannot be split");
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
    for (unsigned half = 0; half < WINDOWS; half++)
        for (uint64_t sizes = larger_sizes(); sizes != 0; sizes &= sizes - 1) {
            uint64_t page_size = sizes & (0 - sizes);

            check_part(kernel, window(half) + page_size, page_size);
        }

    group("tables: counted before, pruned after");
    for (unsigned half = 0; half < WINDOWS; half++) {
        check_prune(kernel, fresh(half));
        check_counted(kernel, fresh(half) + span(1), 0, "small pages");
        check_counted(kernel, fresh(half) + span(1), PT_ALLOW_HUGE, "huge pages");
    }
    pt_frame_pool_dealloc(&kernel->pool, three, kernel_frames(THREE * span(0)));
}
