/* SPDX-License-Identifier: MIT */
#include "workloads.h"

#include "limits.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGES ((size_t)262144)
#define QUERIES ((size_t)1000000)

#define BASE (UINT64_C(256) << 30) /* where regions begin; a multiple of every page size but 512G */
#define FRAMES PT_64G              /* where their frames begin */
#define RIGHTS ((pt_flags)(PT_READ | PT_WRITE))

#define REGION_SIZE (PAGES * PT_4K)
#define REGION_TABLES ((size_t)(1 + 1 + 1 + 512))

#define WINDOW PT_64G /* the single pages lie in it */

/* 64 GiB: 256 x 4K, 383 x 2M, 63 x 1G, 128 x 2M, 256 x 4K; two tables for each end below the common two. */
#define RAGGED (257 * PT_1M)
#define RAGGED_LEAVES ((size_t)(256 + 383 + 63 + 128 + 256))
#define RAGGED_TABLES ((size_t)(2 + 2 + 2))

/* Short regions, each followed by a hole of the same length; 16 share a table. */
#define SHORTS ((size_t)512)
#define SHORT_PAGES ((size_t)16)
#define SHORT_SIZE (SHORT_PAGES * PT_4K)
#define SHORT_TABLES ((size_t)(3 + 32))

/* Of an entry; Intel SDM vol. 3A, table 4-20. */
#define ACCESSED UINT64_C(0x20)
#define DIRTY UINT64_C(0x40)
#define ADDRESS UINT64_C(0x000ffffffffff000)

static void require(enum pt_status status)
{
    if (status != PT_OK) {
        (void)fprintf(stderr, "bench: %s\n", pt_status_name(status));
        exit(EXIT_FAILURE);
    }
}

/* ---- What is mapped ---------------------------------------------------------------------------- */

struct summary {
    size_t leaves;
    uint64_t bytes, paddrs; /* sums */
    pt_flags any_flags, all_flags;
};

static bool add_to_summary(void *arg, const struct pt_visit *visit)
{
    struct summary *summary = arg;

    if (visit->is_leaf) {
        summary->leaves++;
        summary->bytes += visit->mapping.page_size;
        summary->paddrs += visit->mapping.paddr;
        summary->any_flags |= visit->mapping.flags;
        summary->all_flags &= visit->mapping.flags;
    }
    return true;
}

/* `leaves` pages, `bytes` long in all, that all have these flags; their frames' addresses add up to `paddrs`. */
static bool maps(const struct page_table *pt, size_t leaves, uint64_t bytes, uint64_t paddrs, pt_flags flags)
{
    struct summary summary = {.all_flags = ~UINT32_C(0)};

    pt_walk(pt, SIZE_MAX, add_to_summary, NULL, &summary);
    return summary.leaves == leaves && summary.bytes == bytes && summary.paddrs == paddrs &&
           summary.any_flags == flags && summary.all_flags == flags;
}

static bool maps_nothing(const struct page_table *pt)
{
    struct summary summary = {0};

    pt_walk(pt, SIZE_MAX, add_to_summary, NULL, &summary);
    return summary.leaves == 0;
}

static bool translates(const struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr)
{
    struct pt_mapping mapping;

    return pt_query(pt, vaddr, &mapping) == PT_OK && mapping.paddr == paddr;
}

/* The sum of the addresses of `count` frames from FRAMES on. */
static uint64_t frames_sum(size_t count)
{
    return count * FRAMES + (uint64_t)count * (count - 1) / 2 * PT_4K;
}

static pt_paddr frame(size_t index)
{
    return FRAMES + index * PT_4K;
}

/* ---- A contiguous region: W1, W4, W5, W7, W8 --------------------------------------------------- */

static void map_region(struct bench *bench)
{
    require(pt_map_region(bench->tables, BASE, FRAMES, REGION_SIZE, RIGHTS, 0, bench->flushes));
}

static void map_region_singly(struct bench *bench)
{
    for (size_t i = 0; i < PAGES; i++)
        require(pt_map(bench->tables, BASE + i * PT_4K, frame(i), PT_4K, RIGHTS, bench->flushes));
}

static void unmap_region(struct bench *bench)
{
    require(pt_unmap_region(bench->tables, BASE, REGION_SIZE, 0, bench->flushes));
    pt_flush_ignore(bench->flushes);
}

static void protect_region(struct bench *bench)
{
    require(pt_protect_region(bench->tables, BASE, REGION_SIZE, PT_READ, 0, bench->flushes));
}

static void query_all(struct bench *bench, const pt_vaddr *queries)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < QUERIES; i++) {
        struct pt_mapping mapping;

        require(pt_query(bench->tables, queries[i], &mapping));
        sum += mapping.paddr;
    }
    bench->sum = sum;
}

static void query_region(struct bench *bench)
{
    query_all(bench, bench->queries);
}

static size_t prepare_nothing(struct bench *bench)
{
    (void)bench;
    return PAGES;
}

static size_t prepare_region(struct bench *bench)
{
    map_region(bench);
    return PAGES;
}

/* As if every page had been written to: the CPU sets Accessed and Dirty. */
static size_t prepare_used_region(struct bench *bench)
{
    map_region(bench);
    for (size_t i = 0; i < PAGES; i++) {
        pt_paddr table = pt_root(bench->tables);

        for (unsigned shift = 39; shift > 12; shift -= 9)
            table = ((const uint64_t *)(uintptr_t)table)[(BASE + i * PT_4K) >> shift & 511] & ADDRESS;
        ((uint64_t *)(uintptr_t)table)[i & 511] |= ACCESSED | DIRTY;
    }
    return PAGES;
}

static size_t prepare_region_queries(struct bench *bench)
{
    map_region(bench);
    return QUERIES;
}

static bool region_has_flags(const struct bench *bench, pt_flags flags)
{
    const struct page_table *pt = bench->tables;

    return bench->arena.used == REGION_TABLES - 1 + BENCH_TABLES &&
           maps(pt, PAGES, REGION_SIZE, frames_sum(PAGES), flags) && translates(pt, BASE, FRAMES) &&
           translates(pt, BASE + REGION_SIZE - 1, FRAMES + REGION_SIZE - 1) &&
           pt_query(pt, BASE - 1, NULL) == PT_NOT_MAPPED && pt_query(pt, BASE + REGION_SIZE, NULL) == PT_NOT_MAPPED;
}

static bool check_region(const struct bench *bench)
{
    return region_has_flags(bench, RIGHTS);
}

static bool check_used_protected(const struct bench *bench)
{
    return region_has_flags(bench, PT_READ | PT_ACCESSED | PT_DIRTY);
}

static bool check_protected(const struct bench *bench)
{
    return region_has_flags(bench, PT_READ);
}

/* One table that the region covered only in part may be left below the root. */
static bool check_unmapped(const struct bench *bench)
{
    return bench->arena.used <= BENCH_TABLES + 1 && maps_nothing(bench->tables);
}

static bool check_queries(const struct bench *bench)
{
    return bench->sum == bench->queries_sum && region_has_flags(bench, RIGHTS);
}

/* ---- The largest pages: W2 --------------------------------------------------------------------- */

static size_t prepare_ragged(struct bench *bench)
{
    (void)bench;
    return BENCH_TABLES * RAGGED_LEAVES;
}

static void map_ragged(struct bench *bench)
{
    for (size_t i = 0; i < BENCH_TABLES; i++)
        require(pt_map_region(&bench->tables[i], BASE + RAGGED, FRAMES + RAGGED, PT_64G, RIGHTS, PT_ALLOW_HUGE,
                              &bench->flushes[i]));
}

static bool check_ragged(const struct bench *bench)
{
    pt_vaddr vaddr = BASE + RAGGED;
    uint64_t paddrs = 0;

    for (uint64_t at = 0, size; at < PT_64G; at += size) {
        size = PT_1G;
        while (((vaddr + at) & (size - 1)) != 0 || PT_64G - at < size)
            size >>= 9;
        paddrs += FRAMES + RAGGED + at;
    }
    for (size_t i = 0; i < BENCH_TABLES; i++) {
        const struct page_table *pt = &bench->tables[i];

        if (!maps(pt, RAGGED_LEAVES, PT_64G, paddrs, RIGHTS) || !translates(pt, vaddr, FRAMES + RAGGED) ||
            !translates(pt, vaddr + PT_64G - 1, FRAMES + RAGGED + PT_64G - 1))
            return false;
    }
    return bench->arena.used == BENCH_TABLES * RAGGED_TABLES;
}

/* ---- Single pages: W3, W6, W9, W10 ------------------------------------------------------------- */

static void map_pages(struct bench *bench)
{
    for (size_t i = 0; i < PAGES; i++)
        require(pt_map(bench->tables, bench->pages[i], frame(i), PT_4K, RIGHTS, bench->flushes));
}

static void unmap_pages(struct bench *bench)
{
    for (size_t i = 0; i < PAGES; i++)
        require(pt_unmap(bench->tables, bench->shuffled[i], NULL, bench->flushes));
    pt_flush_ignore(bench->flushes);
}

static void query_pages(struct bench *bench)
{
    query_all(bench, bench->page_queries);
}

static void destroy_pages(struct bench *bench)
{
    pt_destroy(bench->tables);
}

static size_t prepare_pages(struct bench *bench)
{
    map_pages(bench);
    return PAGES;
}

static size_t prepare_page_queries(struct bench *bench)
{
    map_pages(bench);
    return QUERIES;
}

static size_t prepare_destroy(struct bench *bench)
{
    map_pages(bench);
    return bench->pages_tables;
}

static bool check_pages(const struct bench *bench)
{
    for (size_t i = 0; i < PAGES; i += 61)
        if (!translates(bench->tables, bench->pages[i], frame(i)))
            return false;
    return bench->arena.used == bench->pages_tables - 1 + BENCH_TABLES &&
           maps(bench->tables, PAGES, REGION_SIZE, frames_sum(PAGES), RIGHTS);
}

static bool check_page_queries(const struct bench *bench)
{
    return bench->sum == bench->page_queries_sum && check_pages(bench);
}

static bool check_unmapped_pages(const struct bench *bench)
{
    return maps_nothing(bench->tables);
}

static bool check_destroyed(const struct bench *bench)
{
    return bench->arena.used == BENCH_TABLES - 1;
}

/* ---- Short regions: W11 ------------------------------------------------------------------------ */

static size_t prepare_shorts(struct bench *bench)
{
    (void)bench;
    return BENCH_TABLES * SHORTS * SHORT_PAGES;
}

static void map_shorts(struct bench *bench)
{
    for (size_t i = 0; i < BENCH_TABLES; i++)
        for (size_t region = 0; region < SHORTS; region++)
            require(pt_map_region(&bench->tables[i], BASE + region * 2 * SHORT_SIZE, frame(region * SHORT_PAGES),
                                  SHORT_SIZE, RIGHTS, 0, &bench->flushes[i]));
}

static bool check_shorts(const struct bench *bench)
{
    for (size_t i = 0; i < BENCH_TABLES; i++) {
        const struct page_table *pt = &bench->tables[i];

        if (!maps(pt, SHORTS * SHORT_PAGES, SHORTS * SHORT_SIZE, frames_sum(SHORTS * SHORT_PAGES), RIGHTS) ||
            !translates(pt, BASE + 2 * SHORT_SIZE, frame(SHORT_PAGES)) ||
            pt_query(pt, BASE + SHORT_SIZE, NULL) != PT_NOT_MAPPED)
            return false;
    }
    return bench->arena.used == BENCH_TABLES * SHORT_TABLES;
}

/* ---- The limits: L1, L7, L8 --------------------------------------------------------------------- */

#define LEAF_TABLES (PAGES / LIMIT_ENTRIES)
#define WRITABLE (UINT64_C(1) << 1)
#define FILLED (UINT64_C(1) << 63 | WRITABLE | 1) /* no-execute, writable, present */

/* As many tables as the region has, in the part of the arena that is free. */
static uint64_t *leaf_tables(const struct bench *bench)
{
    return (uint64_t *)((uintptr_t)bench->arena.memory + PT_2M);
}

static void zero_and_fill(struct bench *bench)
{
    limit_zero_and_fill(leaf_tables(bench), LEAF_TABLES, FRAMES | FILLED);
}

static void clear(struct bench *bench)
{
    limit_clear(leaf_tables(bench), LEAF_TABLES);
}

static void read_modify_write(struct bench *bench)
{
    limit_clear_bits(leaf_tables(bench), LEAF_TABLES, WRITABLE);
}

static size_t prepare_filled(struct bench *bench)
{
    zero_and_fill(bench);
    return PAGES;
}

/* All entries lead to their frame, with these attributes. */
static bool leaf_tables_hold(const struct bench *bench, uint64_t attributes)
{
    for (size_t i = 0; i < PAGES; i++)
        if (leaf_tables(bench)[i] != (frame(i) | attributes))
            return false;
    return true;
}

static bool check_filled(const struct bench *bench)
{
    return leaf_tables_hold(bench, FILLED);
}

static bool check_modified(const struct bench *bench)
{
    return leaf_tables_hold(bench, FILLED & ~WRITABLE);
}

static bool check_clear(const struct bench *bench)
{
    for (size_t i = 0; i < PAGES; i++)
        if (leaf_tables(bench)[i] != 0)
            return false;
    return true;
}

/* ---- All --------------------------------------------------------------------------------------- */

const struct workload workloads[] = {
    {"W1", prepare_nothing, map_region, check_region},
    {"W2", prepare_ragged, map_ragged, check_ragged},
    {"W3", prepare_nothing, map_pages, check_pages},
    {"W4", prepare_nothing, map_region_singly, check_region},
    {"W5", prepare_region_queries, query_region, check_queries},
    {"W6", prepare_page_queries, query_pages, check_page_queries},
    {"W7", prepare_region, unmap_region, check_unmapped},
    {"W8", prepare_region, protect_region, check_protected},
    {"W9", prepare_pages, unmap_pages, check_unmapped_pages},
    {"W10", prepare_destroy, destroy_pages, check_destroyed},
    {"W11", prepare_shorts, map_shorts, check_shorts},
    {"W12", prepare_used_region, protect_region, check_used_protected},
    {"L1", prepare_nothing, zero_and_fill, check_filled},
    {"L7", prepare_filled, clear, check_clear},
    {"L8", prepare_filled, read_modify_write, check_modified},
};
const size_t workload_count = sizeof(workloads) / sizeof(*workloads);

/* splitmix64 */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);

    require(memory ? PT_OK : PT_NO_MEMORY);
    return memory;
}

/* Sets the flag; was it clear? */
static bool is_new(bool *flag)
{
    bool new = !*flag;

    *flag = true;
    return new;
}

static void make_pages(struct bench *bench, uint64_t *state)
{
    bool *taken = allocate(WINDOW / PT_4K, sizeof(*taken));
    bool *tables = allocate(WINDOW / PT_2M, sizeof(*tables));
    size_t count = 0;

    bench->pages = allocate(PAGES, sizeof(*bench->pages));
    bench->pages_tables = 1 + 1 + WINDOW / PT_1G;
    while (count < PAGES) {
        uint64_t page = random_next(state) % (WINDOW / PT_4K);

        if (!is_new(&taken[page]))
            continue;
        bench->pages_tables += is_new(&tables[page * PT_4K / PT_2M]);
        bench->pages[count++] = BASE + page * PT_4K;
    }
    free(taken);
    free(tables);

    bench->shuffled = allocate(PAGES, sizeof(*bench->shuffled));
    for (size_t i = 0; i < PAGES; i++) {
        size_t other = random_next(state) % (i + 1);

        bench->shuffled[i] = bench->shuffled[other];
        bench->shuffled[other] = bench->pages[i];
    }
}

static void make_queries(struct bench *bench, uint64_t *state)
{
    bench->queries = allocate(QUERIES, sizeof(*bench->queries));
    bench->page_queries = allocate(QUERIES, sizeof(*bench->page_queries));
    for (size_t i = 0; i < QUERIES; i++) {
        uint64_t offset = random_next(state) % REGION_SIZE;
        size_t page = offset / PT_4K;

        bench->queries[i] = BASE + offset;
        bench->queries_sum += FRAMES + offset;
        bench->page_queries[i] = bench->pages[page] + offset % PT_4K;
        bench->page_queries_sum += FRAMES + offset;
    }
}

void bench_init(struct bench *bench)
{
    uint64_t state = 1;

    make_pages(bench, &state);
    make_queries(bench, &state);
    arena_init(&bench->arena, bench->pages_tables + BENCH_TABLES);
}
