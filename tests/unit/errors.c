/* SPDX-License-Identifier: MIT */
/*
 * Every row of the table of errors, for each format; that nothing has changed is checked each time
 * (assert_refused). Then what the errors must not refuse: the outermost addresses.
 */
#include "formats.h"
#include "memory.h"
#include "snapshot.h"
#include "test.h"

#define PADDR fixture_paddr /* a multiple of every page size in use, and not in the simulated memory */
#define RW (PT_READ | PT_WRITE)

static uint64_t small(const struct fixture *fixture)
{
    return format_smallest(fixture->format);
}

/* A root entry of its own for each thing that a test maps, in the lower half. */
static pt_vaddr place(const struct fixture *fixture, unsigned number)
{
    return format_place(fixture->format, number);
}

/* A page of each size and a pending flush, so that there is something to change. In places 100 to 103. */
static void have_something(struct fixture *fixture)
{
    unsigned number = 100;

    FOR_EACH_PAGE_SIZE(size, fixture->format)
        assert_ok(pt_map(&fixture->table, place(fixture, number++), PADDR, size, RW, &fixture->flush));
    assert_ok(
        pt_map(&fixture->table, place(fixture, 100) + small(fixture), PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_unmap(&fixture->table, place(fixture, 100) + small(fixture), NULL, &fixture->flush));
}

static pt_paddr the_frame_after(void *arg, pt_vaddr vaddr)
{
    (void)vaddr;
    return *(const pt_paddr *)arg;
}

static pt_paddr frame_of_the_same_number(void *arg, pt_vaddr vaddr)
{
    (void)arg;
    return vaddr % UINT64_C(0x40000000);
}

/* All four region calls with these arguments answer the same. */
static void assert_region_refused(struct fixture *fixture, pt_vaddr vaddr, uint64_t size, unsigned options,
                                  enum pt_status expected)
{
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;

    assert_refused(fixture, pt_map_region(table, vaddr, PADDR, size, RW, options, flush), expected);
    assert_refused(fixture, pt_map_region(table, vaddr, PADDR, size, RW, options | PT_ALLOW_HUGE, flush), expected);
    assert_refused(fixture, pt_map_region_with(table, vaddr, frame_of_the_same_number, NULL, size, RW, options, flush),
                   expected);
    assert_refused(fixture, pt_unmap_region(table, vaddr, size, options, flush), expected);
    assert_refused(fixture, pt_unmap_region(table, vaddr, size, options | PT_SKIP_HOLES, flush), expected);
    assert_refused(fixture, pt_protect_region(table, vaddr, size, PT_READ, options, flush), expected);
    assert_refused(fixture, pt_protect_region(table, vaddr, size, PT_READ, options | PT_SKIP_HOLES, flush), expected);
}

/* ---- PT_BAD_SIZE ----------------------------------------------------------------------------------- */

static void page_sizes_that_the_format_has_not_are_bad_sizes(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t sizes[] = {
        0,     1,       3,      PT_4K + 1, PT_4K - 1,         2 * PT_4K,         PT_16K,    PT_64K, PT_1M,
        PT_4M, PT_512M, PT_64G, PT_512G,   UINT64_C(1) << 48, UINT64_C(1) << 63, UINT64_MAX};

    have_something(fixture);
    for (size_t i = 0; i < TESTS_COUNT(sizes); i++) {
        if ((sizes[i] & (sizes[i] - 1)) == 0 && (sizes[i] & fixture->format->page_sizes))
            continue;
        assert_refused(fixture, pt_map(&fixture->table, 0, 0, sizes[i], RW, &fixture->flush), PT_BAD_SIZE);
    }
    /* two sizes at once are none */
    assert_refused(fixture, pt_map(&fixture->table, 0, 0, fixture->format->page_sizes, RW, &fixture->flush),
                   PT_BAD_SIZE);
}

/* ---- PT_NOT_ALIGNED -------------------------------------------------------------------------------- */

static void map_wants_both_addresses_aligned_to_the_page(void **state)
{
    struct fixture *fixture = *state;

    have_something(fixture);
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        const uint64_t offsets[] = {1, small(fixture) - 1, size / 2, size - 1};

        for (size_t i = 0; i < TESTS_COUNT(offsets); i++) {
            assert_refused(fixture, pt_map(&fixture->table, offsets[i], PADDR, size, RW, &fixture->flush),
                           PT_NOT_ALIGNED);
            assert_refused(fixture, pt_map(&fixture->table, 0, PADDR + offsets[i], size, RW, &fixture->flush),
                           PT_NOT_ALIGNED);
        }
    }
}

static void regions_are_whole_pages(void **state)
{
    struct fixture *fixture = *state;
    pt_paddr misaligned = PADDR + 1;

    have_something(fixture);
    assert_region_refused(fixture, place(fixture, 100) + 1, small(fixture), 0, PT_NOT_ALIGNED);
    assert_region_refused(fixture, place(fixture, 100), small(fixture) - 1, 0, PT_NOT_ALIGNED);
    assert_region_refused(fixture, place(fixture, 100), 1, 0, PT_NOT_ALIGNED);
    assert_region_refused(fixture, place(fixture, 100) + small(fixture) / 2, small(fixture) / 2, 0, PT_NOT_ALIGNED);
    assert_refused(
        fixture, pt_map_region(&fixture->table, 0, PADDR + small(fixture) / 2, small(fixture), RW, 0, &fixture->flush),
        PT_NOT_ALIGNED);
    assert_refused(
        fixture,
        pt_map_region_with(&fixture->table, 0, the_frame_after, &misaligned, small(fixture), RW, 0, &fixture->flush),
        PT_NOT_ALIGNED);
}

static void remap_wants_the_frames_aligned_to_the_page_found(void **state)
{
    struct fixture *fixture = *state;
    unsigned number = 100;

    have_something(fixture);
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        pt_vaddr vaddr = place(fixture, number++);
        uint64_t page_size = 7;

        assert_refused(fixture, pt_remap(&fixture->table, vaddr, size + size / 2, RW, NULL, &fixture->flush),
                       PT_NOT_ALIGNED);
        assert_refused(fixture, pt_remap(&fixture->table, vaddr, size + 1, RW, &page_size, &fixture->flush),
                       PT_NOT_ALIGNED);
        assert_ok(pt_remap(&fixture->table, vaddr + size - 1, 3 * size, PT_READ, &page_size, &fixture->flush));
        assert_hex_equal(page_size, size);
        assert_mapped(&fixture->table, vaddr, 3 * size, size, PT_READ);
    }
}

static void copies_are_whole_root_entries(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    uint64_t unit = format_copy_unit(fixture->format);
    struct page_table source;

    assert_ok(pt_create(&source, fixture->format, &fixture->memory->handler, fixture->memory));
    have_something(fixture);
    assert_refused(fixture, pt_copy_from(table, &source, small(fixture), unit, flush), PT_NOT_ALIGNED);
    assert_refused(fixture, pt_copy_from(table, &source, 0, small(fixture), flush), PT_NOT_ALIGNED);
    assert_refused(fixture, pt_copy_from(table, &source, 0, unit + unit / 2, flush), PT_NOT_ALIGNED);
    assert_refused(fixture, pt_copy_from(table, &source, unit / 2, unit / 2, flush), PT_NOT_ALIGNED);
    pt_destroy(&source);
}

/* ---- PT_NOT_MAPPED --------------------------------------------------------------------------------- */

static void assert_hole(struct fixture *fixture, pt_vaddr vaddr)
{
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    struct pt_mapping mapping = {1, 2, 3};

    assert_refused(fixture, pt_query(table, vaddr, &mapping), PT_NOT_MAPPED);
    assert_int_equal(mapping.paddr, 1);
    assert_int_equal(mapping.page_size, 2);
    assert_int_equal(mapping.flags, 3);
    assert_refused(fixture, pt_query(table, vaddr, NULL), PT_NOT_MAPPED);
    assert_refused(fixture, pt_unmap(table, vaddr, NULL, flush), PT_NOT_MAPPED);
    assert_refused(fixture, pt_protect(table, vaddr, PT_READ, NULL, flush), PT_NOT_MAPPED);
    assert_refused(fixture, pt_protect(table, vaddr, 0, NULL, flush), PT_NOT_MAPPED);
    assert_refused(fixture, pt_remap(table, vaddr, 0, PT_READ, NULL, flush), PT_NOT_MAPPED);
}

static void a_hole_is_not_mapped_at_any_level(void **state)
{
    struct fixture *fixture = *state;
    pt_vaddr vaddr = place(fixture, 100);

    assert_hole(fixture, 0); /* in an empty table */
    have_something(fixture);
    assert_hole(fixture, 0);
    assert_hole(fixture, format_last_page(fixture->format, small(fixture)));
    assert_hole(fixture, vaddr + small(fixture));     /* was unmapped */
    assert_hole(fixture, vaddr + 2 * small(fixture)); /* never mapped, in a table of the last level */
    for (unsigned level = fixture->format->levels - 1u; level > 0; level--)
        assert_hole(fixture, vaddr + 3 * format_entry_size(fixture->format, level));
}

static void regions_with_a_hole_are_not_mapped(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t leaf_table = format_entry_size(fixture->format, fixture->format->levels - 2u);
    const uint64_t page = small(fixture);
    const pt_vaddr vaddr = place(fixture, 1) + leaf_table - 8 * page;
    const uint64_t size = 16 * page;
    const uint64_t holes[] = {0, 1, 7, 8, 15};

    for (size_t i = 0; i < TESTS_COUNT(holes); i++) {
        assert_ok(pt_map_region(table, vaddr, PADDR, size, RW, 0, flush));
        assert_ok(pt_unmap(table, vaddr + holes[i] * page, NULL, flush));
        pt_flush(flush);
        assert_refused(fixture, pt_unmap_region(table, vaddr, size, 0, flush), PT_NOT_MAPPED);
        assert_refused(fixture, pt_protect_region(table, vaddr, size, PT_READ, 0, flush), PT_NOT_MAPPED);

        /* without it all is there */
        assert_ok(pt_protect_region(table, vaddr, holes[i] * page, PT_READ, 0, flush));
        assert_ok(pt_protect_region(table, vaddr + (holes[i] + 1) * page, (15 - holes[i]) * page, PT_READ, 0, flush));
        assert_ok(pt_protect_region(table, vaddr, size, RW, PT_SKIP_HOLES, flush));
        for (unsigned j = 0; j < 16; j++)
            if (j != holes[i])
                assert_mapped(table, vaddr + j * page, PADDR + j * page, page, RW);
        assert_not_mapped(table, vaddr + holes[i] * page);
        assert_ok(pt_unmap_region(table, vaddr, size, PT_SKIP_HOLES, flush));
    }
    assert_refused(fixture, pt_unmap_region(table, vaddr, size, 0, flush), PT_NOT_MAPPED);
    assert_refused(fixture, pt_unmap_region(table, 0, format_lower_last(fixture->format) + 1, 0, flush), PT_NOT_MAPPED);
    assert_ok(pt_unmap_region(table, 0, format_lower_last(fixture->format) + 1, PT_SKIP_HOLES, flush));
}

/* A page of every size is passed over as a hole, not taken to be one. */
static void regions_one_page_too_long_are_not_mapped(void **state)
{
    struct fixture *fixture = *state;
    unsigned number = 100;

    have_something(fixture);
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        pt_vaddr vaddr = place(fixture, number++);

        assert_refused(fixture, pt_unmap_region(&fixture->table, vaddr, size + small(fixture), 0, &fixture->flush),
                       PT_NOT_MAPPED);
        assert_refused(
            fixture,
            pt_unmap_region(&fixture->table, vaddr - small(fixture), size + small(fixture), 0, &fixture->flush),
            PT_NOT_MAPPED);
        assert_refused(fixture, pt_protect_region(&fixture->table, vaddr, size + small(fixture), 0, 0, &fixture->flush),
                       PT_NOT_MAPPED);
        assert_ok(pt_protect_region(&fixture->table, vaddr, size, PT_READ, 0, &fixture->flush));
        assert_mapped(&fixture->table, vaddr, PADDR, size, PT_READ);
        assert_ok(pt_unmap_region(&fixture->table, vaddr, size, 0, &fixture->flush));
        assert_not_mapped(&fixture->table, vaddr);
    }
}

/* ---- PT_ALREADY_MAPPED, PT_MAPPED_TO_HUGE_PAGE ------------------------------------------------------- */

static void nothing_is_mapped_over_a_page(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    unsigned number = 100;

    have_something(fixture);
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        pt_vaddr vaddr = place(fixture, number++);

        FOR_EACH_PAGE_SIZE(other, fixture->format) {
            uint64_t step = size > 4 * other ? size / 4 : other;

            if (other >= size) {
                assert_refused(fixture, pt_map(table, vaddr, PADDR, other, RW, flush), PT_ALREADY_MAPPED);
                assert_refused(fixture, pt_map_region(table, vaddr, PADDR, other, RW, PT_ALLOW_HUGE, flush),
                               PT_ALREADY_MAPPED);
                continue;
            }
            for (uint64_t offset = 0; offset < size; offset += step)
                assert_refused(fixture, pt_map(table, vaddr + offset, PADDR, other, RW, flush), PT_MAPPED_TO_HUGE_PAGE);
            assert_refused(fixture, pt_map(table, vaddr + size - other, PADDR, other, RW, flush),
                           PT_MAPPED_TO_HUGE_PAGE);
            assert_refused(fixture, pt_map_region(table, vaddr, PADDR, 2 * other, RW, PT_ALLOW_HUGE, flush),
                           PT_MAPPED_TO_HUGE_PAGE);
        }
        if (size > small(fixture))
            assert_refused(fixture, pt_map_region(table, vaddr, PADDR, size, RW, 0, flush), PT_MAPPED_TO_HUGE_PAGE);
        assert_mapped(table, vaddr, PADDR, size, RW);
    }
}

static void regions_that_meet_a_page_anywhere_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t leaf_table = format_entry_size(fixture->format, fixture->format->levels - 2u);
    const uint64_t page = small(fixture);
    const pt_vaddr vaddr = place(fixture, 1) + leaf_table - 8 * page;
    const uint64_t met[] = {0, 1, 7, 8, 15};

    for (size_t i = 0; i < TESTS_COUNT(met); i++) {
        assert_ok(pt_map(table, vaddr + met[i] * page, 0, page, PT_READ, flush));
        assert_refused(fixture, pt_map_region(table, vaddr, PADDR, 16 * page, RW, 0, flush), PT_ALREADY_MAPPED);
        assert_refused(fixture,
                       pt_map_region_with(table, vaddr, frame_of_the_same_number, NULL, 16 * page, RW, 0, flush),
                       PT_ALREADY_MAPPED);
        /* up to it and from behind it there is room */
        assert_ok(pt_map_region(table, vaddr, PADDR, met[i] * page, RW, 0, flush));
        assert_ok(pt_map_region(table, vaddr + (met[i] + 1) * page, PADDR, (15 - met[i]) * page, RW, 0, flush));
        assert_ok(pt_unmap_region(table, vaddr, 16 * page, 0, flush));
    }

    /* A huge page in the second table: the small pages before it are not mapped either. */
    assert_ok(pt_map(table, place(fixture, 1) + leaf_table, 0, leaf_table, PT_READ, flush));
    assert_refused(fixture, pt_map_region(table, vaddr, PADDR, 16 * page, RW, 0, flush), PT_MAPPED_TO_HUGE_PAGE);
    assert_refused(fixture, pt_map_region(table, vaddr, PADDR, 16 * page, RW, PT_ALLOW_HUGE, flush),
                   PT_MAPPED_TO_HUGE_PAGE);
    assert_refused(fixture, pt_map_region(table, place(fixture, 1), PADDR, 3 * leaf_table, RW, PT_ALLOW_HUGE, flush),
                   PT_ALREADY_MAPPED);
}

static void a_huge_page_is_not_mapped_over_small_ones(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;

    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        if (size == small(fixture))
            continue;
        assert_ok(pt_map(table, 3 * size - small(fixture), 0, small(fixture), 0, flush));
        assert_refused(fixture, pt_map(table, 2 * size, PADDR, size, RW, flush), PT_ALREADY_MAPPED);
        assert_refused(fixture, pt_map_region(table, size, PADDR, 2 * size, RW, PT_ALLOW_HUGE, flush),
                       PT_ALREADY_MAPPED);
        assert_ok(pt_unmap(table, 3 * size - small(fixture), NULL, flush));
        assert_ok(pt_map(table, 2 * size, PADDR, size, RW, flush));
        assert_ok(pt_unmap(table, 2 * size, NULL, flush));
    }
}

/* Parts of a huge page of `size` bytes: at each end, in the middle, and from within it beyond its end. */
#define PARTS 7

struct part {
    uint64_t offset, size;
};

static void parts_of(struct part parts[PARTS], uint64_t size, uint64_t page)
{
    const struct part all[PARTS] = {{0, page},        {0, size - page},     {page, size - page},    {size - page, page},
                                    {size / 2, page}, {size / 4, size / 2}, {size - page, 2 * page}};

    memcpy(parts, all, sizeof(all));
}

static void a_huge_page_covered_in_part_is_not_split_where_that_is_forbidden(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    unsigned number = 100;
    size_t attempts;

    have_something(fixture);
    attempts = fixture->memory->attempts;
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        pt_vaddr vaddr = place(fixture, number++);
        struct part parts[PARTS];

        if (size == page)
            continue;
        parts_of(parts, size, page);
        for (size_t i = 0; i < PARTS; i++)
            for (unsigned options = PT_NO_SPLIT; options <= (PT_NO_SPLIT | PT_SKIP_HOLES); options += PT_SKIP_HOLES) {
                assert_refused(fixture, pt_unmap_region(table, vaddr + parts[i].offset, parts[i].size, options, flush),
                               PT_MAPPED_TO_HUGE_PAGE);
                assert_refused(fixture,
                               pt_protect_region(table, vaddr + parts[i].offset, parts[i].size, 0, options, flush),
                               PT_MAPPED_TO_HUGE_PAGE);
            }
        /* from before it into it; the hole before it is met first */
        assert_refused(fixture, pt_unmap_region(table, vaddr - page, 2 * page, PT_SKIP_HOLES | PT_NO_SPLIT, flush),
                       PT_MAPPED_TO_HUGE_PAGE);
        assert_refused(fixture, pt_unmap_region(table, vaddr - page, 2 * page, PT_NO_SPLIT, flush), PT_NOT_MAPPED);
        /* covered wholly it may change */
        assert_ok(pt_protect_region(table, vaddr, size, PT_READ, PT_NO_SPLIT, flush));
        assert_mapped(table, vaddr, PADDR, size, PT_READ);
    }
    assert_int_equal(fixture->memory->attempts, attempts);
}

static void a_huge_page_covered_in_part_is_split(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    const pt_vaddr vaddr = place(fixture, 50);

    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        for (unsigned i = 0; i < 2 * PARTS && size > page; i++) {
            struct part parts[PARTS];
            pt_vaddr first;
            uint64_t length;

            parts_of(parts, size, page);
            first = vaddr + parts[i / 2].offset;
            length = parts[i / 2].size;
            assert_ok(pt_map(table, vaddr, PADDR, size, RW, flush));
            assert_ok(pt_map(table, vaddr + size, 0, page, RW, flush));
            if (i % 2)
                assert_ok(pt_protect_region(table, first, length, PT_READ, 0, flush));
            else
                assert_ok(pt_unmap_region(table, first, length, 0, flush));

            for (uint64_t offset = 0; offset < size; offset += size / 512) {
                bool in = offset >= parts[i / 2].offset && offset < parts[i / 2].offset + length;
                struct pt_mapping found = {0, 0, 0};

                if (in && i % 2 == 0) {
                    assert_not_mapped(table, vaddr + offset);
                    continue;
                }
                assert_ok(pt_query(table, vaddr + offset, &found));
                assert_hex_equal(found.paddr, PADDR + offset);
                assert_int_equal(found.flags, format_reads_back(fixture->format, in ? PT_READ : RW));
                assert_true(found.page_size < size);
            }
            assert_ok(pt_unmap_region(table, vaddr, size + page, PT_SKIP_HOLES, flush));
            pt_flush(flush);
            assert_int_equal(fixture->memory->taken, 1);
        }
    }
}

/* ---- PT_BAD_SIZE and others of the calls that change no translation ---------------------------------- */

static bool never_visited(void *arg, const struct pt_visit *visit)
{
    (void)arg;
    (void)visit;
    fail();
    return false;
}

/* The calls that take a region and leave all translations as they are answer the same. */
static void assert_quiet_region_refused(struct fixture *fixture, pt_vaddr vaddr, uint64_t size, enum pt_status expected)
{
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    enum pt_status recorded = fixture->format->tracks_access ? expected : PT_BAD_FORMAT;

    assert_refused(fixture, pt_collapse(table, vaddr, size, flush), expected);
    assert_refused(fixture, pt_prune(table, vaddr, size, flush), expected);
    assert_refused(fixture, pt_clear_accessed(table, vaddr, size, never_visited, NULL, flush), recorded);
    assert_refused(fixture, pt_clear_accessed(table, vaddr, size, NULL, NULL, flush), recorded);
    assert_refused(fixture, pt_clear_dirty(table, vaddr, size, never_visited, NULL, flush), recorded);
    assert_refused(fixture, pt_clear_dirty(table, vaddr, size, NULL, NULL, flush), recorded);
}

/* pt_count_tables refuses what pt_map_region does, and keeps its hands off *count. */
static void assert_count_refused(struct fixture *fixture, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,
                                 unsigned options, enum pt_status expected)
{
    size_t count = 77;

    assert_refused(fixture, pt_count_tables(&fixture->table, vaddr, paddr, size, flags, options, &count), expected);
    assert_int_equal(count, 77);
    assert_refused(fixture, pt_map_region(&fixture->table, vaddr, paddr, size, flags, options, &fixture->flush),
                   expected);
}

static void split_wants_a_page_size_of_the_format_and_a_page(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    const uint64_t sizes[] = {0, 1, 3, page + 1, page - 1, 3 * page, page / 2, PT_64K, PT_64G, UINT64_MAX};
    unsigned number = 100;
    size_t attempts;

    have_something(fixture);
    attempts = fixture->memory->attempts;
    for (size_t i = 0; i < TESTS_COUNT(sizes); i++)
        if ((sizes[i] & (sizes[i] - 1)) != 0 || !(sizes[i] & fixture->format->page_sizes))
            assert_refused(fixture, pt_split(table, place(fixture, 101), sizes[i], flush), PT_BAD_SIZE);
    assert_refused(fixture, pt_split(table, place(fixture, 101), fixture->format->page_sizes, flush), PT_BAD_SIZE);
    assert_refused(fixture, pt_split(table, UINT64_C(1) << 62, 3, flush), PT_BAD_SIZE);
    assert_refused(fixture, pt_split(table, UINT64_C(1) << 62, page, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_split(table, format_lower_last(fixture->format) + 1, page, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_split(table, place(fixture, 0), page, flush), PT_NOT_MAPPED);
    assert_refused(fixture, pt_split(table, place(fixture, 100) + page, page, flush), PT_NOT_MAPPED);

    /* no larger than asked for already: nothing to do, at whatever address in it */
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        for (uint64_t larger = size; larger != 0; larger = format_larger(fixture->format, larger)) {
            assert_refused(fixture, pt_split(table, place(fixture, number), larger, flush), PT_OK);
            assert_refused(fixture, pt_split(table, place(fixture, number) + size - 1, larger, flush), PT_OK);
        }
        number++;
    }
    assert_int_equal(fixture->memory->attempts, attempts);
}

static void calls_that_keep_translations_want_sound_regions(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;
    const uint64_t page = small(fixture);
    const pt_vaddr vaddr = place(fixture, 100);
    const pt_vaddr lower_end = format_lower_last(format) + 1;
    const pt_vaddr upper = format_upper_first(format);

    have_something(fixture);
    assert_quiet_region_refused(fixture, vaddr + 1, page, PT_NOT_ALIGNED);
    assert_quiet_region_refused(fixture, vaddr, page - 1, PT_NOT_ALIGNED);
    assert_quiet_region_refused(fixture, vaddr + page / 2, page / 2, PT_NOT_ALIGNED);
    assert_quiet_region_refused(fixture, (UINT64_C(1) << 62) + 1, page, PT_NOT_ALIGNED);
    assert_quiet_region_refused(fixture, UINT64_C(1) << 62, page, PT_BAD_ADDRESS);
    assert_quiet_region_refused(fixture, lower_end, page, PT_BAD_ADDRESS);
    assert_quiet_region_refused(fixture, lower_end - page, 2 * page, PT_BAD_ADDRESS);
    assert_quiet_region_refused(fixture, 0, 0 - page, PT_BAD_ADDRESS);
    if (upper) {
        assert_quiet_region_refused(fixture, upper - page, 2 * page, PT_BAD_ADDRESS);
        assert_quiet_region_refused(fixture, 0 - page, 2 * page, PT_BAD_ADDRESS);
    }
    for (unsigned bit = format->va_bits; bit < 64; bit++)
        assert_quiet_region_refused(fixture, vaddr ^ UINT64_C(1) << bit, page, PT_BAD_ADDRESS);
}

static void counting_refuses_what_mapping_refuses(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    const pt_vaddr taken = place(fixture, 100);

    have_something(fixture);
    for (unsigned options = 0; options <= PT_ALLOW_HUGE; options++) {
        assert_count_refused(fixture, 1, PADDR, page, RW, options, PT_NOT_ALIGNED);
        assert_count_refused(fixture, 0, PADDR + 1, page, RW, options, PT_NOT_ALIGNED);
        assert_count_refused(fixture, 0, PADDR, page + 1, RW, options, PT_NOT_ALIGNED);
        assert_count_refused(fixture, UINT64_C(1) << 62, PADDR, page, RW, options, PT_BAD_ADDRESS);
        assert_count_refused(fixture, 0, 0 - page, page, RW, options, PT_BAD_ADDRESS);
        assert_count_refused(fixture, 0, 0 - page, 2 * page, RW, options, PT_BAD_ADDRESS);
        assert_count_refused(fixture, 0, PADDR, page, PT_ALL_FLAGS + 1, options, PT_BAD_FLAGS);
        assert_count_refused(fixture, 0, PADDR, page, PT_ACCESSED, options, PT_BAD_FLAGS);
        assert_count_refused(fixture, 0, PADDR, page, RW, options | 8, PT_BAD_FLAGS);
        assert_count_refused(fixture, taken, PADDR, page, RW, options, PT_ALREADY_MAPPED);
        assert_count_refused(fixture, taken - page, PADDR, 2 * page, RW, options, PT_ALREADY_MAPPED);
        assert_count_refused(fixture, place(fixture, 101) + page, PADDR, page, RW, options, PT_MAPPED_TO_HUGE_PAGE);
    }
}

/* What another table lent is neither split, joined, pruned nor cleared through the copy. */
static void what_is_borrowed_keeps_its_shape(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t unit = format_copy_unit(fixture->format);
    const uint64_t huge = format_larger(fixture->format, small(fixture));
    const pt_vaddr vaddr = 3 * unit;
    struct page_table source;
    struct pt_flush source_flush;

    if (format_copy_units(fixture->format) < 8 || unit < 8 * huge)
        skip(); /* what is copied has room for all of it, and is not where something else is */
    have_something(fixture);
    assert_ok(pt_create(&source, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&source_flush, &source);
    assert_ok(pt_map(&source, vaddr, PADDR, huge, RW, &source_flush));
    assert_ok(pt_map_region(&source, vaddr + huge, PADDR, huge, RW, 0, &source_flush));
    assert_ok(pt_map(&source, vaddr + 2 * huge, PADDR, small(fixture), RW, &source_flush));
    assert_ok(pt_unmap(&source, vaddr + 2 * huge, NULL, &source_flush));
    assert_ok(pt_copy_from(table, &source, vaddr, unit, flush));
    pt_flush(flush);

    assert_refused(fixture, pt_split(table, vaddr, small(fixture), flush), PT_SHARED);
    assert_refused(fixture, pt_split(table, vaddr + 3 * huge, small(fixture), flush), PT_SHARED);
    assert_quiet_region_refused(fixture, vaddr, unit, PT_SHARED);
    assert_quiet_region_refused(fixture, vaddr + 5 * huge, huge, PT_SHARED);
    assert_quiet_region_refused(fixture, vaddr - unit, 3 * unit, PT_SHARED);
    assert_count_refused(fixture, vaddr + 5 * huge, PADDR, huge, RW, 0, PT_SHARED);
    assert_mapped(table, vaddr, PADDR, huge, RW);
    assert_mapped(table, vaddr + huge, PADDR, small(fixture), RW);

    pt_flush(&source_flush);
    assert_ok(pt_unmap_region(&source, vaddr, unit, PT_SKIP_HOLES, &source_flush));
    pt_flush(&source_flush);
    memory_release(fixture->memory);
    pt_destroy(table);
    pt_destroy(&source);
}

/* ---- PT_BAD_ADDRESS ---------------------------------------------------------------------------------- */

static void assert_bad_address(struct fixture *fixture, pt_vaddr vaddr)
{
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    pt_vaddr page = vaddr - vaddr % small(fixture);

    assert_refused(fixture, pt_query(table, vaddr, NULL), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_unmap(table, vaddr, NULL, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_protect(table, vaddr, RW, NULL, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_remap(table, vaddr, PADDR, RW, NULL, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_map(table, page, PADDR, small(fixture), RW, flush), PT_BAD_ADDRESS);
    assert_region_refused(fixture, page, small(fixture), 0, PT_BAD_ADDRESS);
}

static void addresses_that_are_not_canonical_are_bad(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;

    have_something(fixture);
    assert_bad_address(fixture, format_lower_last(format) + 1);
    assert_bad_address(fixture, UINT64_C(1) << 63);
    assert_bad_address(fixture, (UINT64_C(1) << 63) - 1);
    if (format_upper_first(format)) {
        assert_bad_address(fixture, format_upper_first(format) - 1);
    } else {
        assert_bad_address(fixture, UINT64_MAX);
    }
    /* one wrong bit above the translated ones, whichever: not the page that is mapped at these bits */
    for (unsigned bit = format->va_bits; bit < 64; bit++) {
        assert_bad_address(fixture, place(fixture, 100) ^ UINT64_C(1) << bit);
        if (format_upper_first(format) && bit < 63)
            assert_bad_address(fixture, (0 - small(fixture)) ^ UINT64_C(1) << bit);
    }
}

static void regions_neither_wrap_nor_cross_the_hole(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;
    const uint64_t page = small(fixture);
    const pt_vaddr upper = format_upper_first(format);
    const pt_vaddr lower_end = format_lower_last(format) + 1;

    have_something(fixture);
    /* out of the lower half, and all the way to the upper one */
    assert_region_refused(fixture, lower_end - page, 2 * page, 0, PT_BAD_ADDRESS);
    assert_region_refused(fixture, 0, lower_end + page, 0, PT_BAD_ADDRESS);
    assert_region_refused(fixture, 0, 0 - page, 0, PT_BAD_ADDRESS);
    assert_region_refused(fixture, page, 0 - page, 0, PT_BAD_ADDRESS);
    assert_region_refused(fixture, place(fixture, 1), UINT64_C(1) << 63, 0, PT_BAD_ADDRESS);
    if (upper) {
        assert_region_refused(fixture, lower_end - page, upper - lower_end + 2 * page, 0, PT_BAD_ADDRESS);
        assert_region_refused(fixture, upper - page, 2 * page, 0, PT_BAD_ADDRESS);
        assert_region_refused(fixture, 0 - page, 2 * page, 0, PT_BAD_ADDRESS);
        assert_region_refused(fixture, upper, 0 - upper + page, 0, PT_BAD_ADDRESS);
        assert_region_refused(fixture, upper, 0 - page, 0, PT_BAD_ADDRESS);
        assert_region_refused(fixture, 0 - page, 0 - page, 0, PT_BAD_ADDRESS);
    }
}

static void copies_neither_wrap_nor_cross_the_hole(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;
    const uint64_t unit = format_copy_unit(format);
    const pt_vaddr lower_end = format_lower_last(format) + 1;
    struct page_table source;

    assert_ok(pt_create(&source, format, &fixture->memory->handler, fixture->memory));
    have_something(fixture);
    assert_refused(fixture, pt_copy_from(&fixture->table, &source, lower_end, unit, &fixture->flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_copy_from(&fixture->table, &source, lower_end - unit, 2 * unit, &fixture->flush),
                   PT_BAD_ADDRESS);
    assert_refused(fixture, pt_copy_from(&fixture->table, &source, 0 - unit, 2 * unit, &fixture->flush),
                   PT_BAD_ADDRESS);
    assert_refused(fixture, pt_copy_from(&fixture->table, &source, unit, 0 - unit, &fixture->flush), PT_BAD_ADDRESS);
    assert_int_equal(source.root != PT_NO_FRAME, true);
    pt_destroy(&source);
}

static void frames_that_are_too_wide_are_bad(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const pt_paddr end = format_paddr_last(fixture->format) + 1; /* may be 2^64 */
    const uint64_t page = small(fixture);
    unsigned number = 100;
    pt_paddr wide = end;

    have_something(fixture);
    if (end != 0) {
        FOR_EACH_PAGE_SIZE(size, fixture->format) {
            assert_refused(fixture, pt_map(table, 0, end, size, RW, flush), PT_BAD_ADDRESS);
            assert_refused(fixture, pt_map(table, 0, 0 - size, size, RW, flush), PT_BAD_ADDRESS);
            assert_refused(fixture, pt_map(table, 0, UINT64_C(1) << 63, size, RW, flush), PT_BAD_ADDRESS);
            assert_refused(fixture, pt_remap(table, place(fixture, number), end, RW, NULL, flush), PT_BAD_ADDRESS);
            number++;
        }
        assert_refused(fixture, pt_map_region(table, 0, end, page, RW, 0, flush), PT_BAD_ADDRESS);
        assert_refused(fixture, pt_map_region(table, 0, end - page, 2 * page, RW, 0, flush), PT_BAD_ADDRESS);
        assert_refused(fixture, pt_map_region(table, 0, end - page, 2 * page, RW, PT_ALLOW_HUGE, flush),
                       PT_BAD_ADDRESS);
        assert_refused(fixture, pt_map_region_with(table, 0, the_frame_after, &wide, page, RW, 0, flush),
                       PT_BAD_ADDRESS);
    }
    assert_refused(fixture, pt_map_region(table, 0, 0 - page, 2 * page, RW, 0, flush), PT_BAD_ADDRESS);
    wide = PT_NO_FRAME - page + 1;
    assert_refused(fixture, pt_map_region_with(table, 0, the_frame_after, &wide, page, RW, 0, flush), PT_BAD_ADDRESS);

    /* the highest frames are good */
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        assert_ok(pt_map(table, 0, end - size, size, RW, flush));
        assert_mapped(table, size - 1, end - 1, size, RW);
        assert_ok(pt_unmap(table, 0, NULL, flush));
    }
    assert_ok(pt_map_region(table, 0, end - 2 * page, 2 * page, RW, 0, flush));
    assert_ok(pt_remap(table, 0, end - page, 0, NULL, flush));
    assert_mapped(table, 1, end - page + 1, page, 0);
}

/* A page whose frame get_paddr names wrongly, late in the region: none is mapped. */
struct late {
    pt_vaddr vaddr;
    pt_paddr paddr;
};

static pt_paddr wrong_at_last(void *arg, pt_vaddr vaddr)
{
    const struct late *late = arg;

    return vaddr == late->vaddr ? late->paddr : PADDR + vaddr % UINT64_C(0x1000000);
}

static void one_wrong_frame_of_scattered_ones_refuses_all(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    const uint64_t leaf_table = format_entry_size(fixture->format, fixture->format->levels - 2u);
    const uint64_t size = 2 * leaf_table + 2 * page;
    const pt_vaddr pages[] = {0, page, leaf_table - page, leaf_table, size - page};

    have_something(fixture);
    for (size_t i = 0; i < TESTS_COUNT(pages); i++) {
        struct late late = {.vaddr = pages[i], .paddr = PADDR + page / 2};

        assert_refused(fixture, pt_map_region_with(table, 0, wrong_at_last, &late, size, RW, 0, flush), PT_NOT_ALIGNED);
        assert_refused(fixture, pt_map_region_with(table, 0, wrong_at_last, &late, size, RW, PT_ALLOW_HUGE, flush),
                       PT_NOT_ALIGNED);
        late.paddr = 0 - page; /* fits in no entry */
        assert_refused(fixture, pt_map_region_with(table, 0, wrong_at_last, &late, size, RW, 0, flush), PT_BAD_ADDRESS);
        assert_refused(fixture, pt_map_region_with(table, 0, wrong_at_last, &late, size, RW, PT_ALLOW_HUGE, flush),
                       PT_BAD_ADDRESS);
    }
}

/* ---- The outermost addresses --------------------------------------------------------------------------- */

static void the_outermost_pages_of_each_size_are_ordinary(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;

    FOR_EACH_PAGE_SIZE(size, format) {
        const pt_vaddr pages[] = {0, format_lower_last(format) - size + 1, format_upper_first(format), 0 - size};

        for (size_t i = 0; i < (format_upper_first(format) ? 4u : 2u); i++) {
            struct pt_mapping old;

            assert_ok(pt_map(&fixture->table, pages[i], PADDR, size, RW, &fixture->flush));
            assert_mapped(&fixture->table, pages[i], PADDR, size, RW);
            assert_mapped(&fixture->table, pages[i] + size - 1, PADDR + size - 1, size, RW);
            assert_ok(pt_protect(&fixture->table, pages[i] + size - 1, PT_READ, NULL, &fixture->flush));
            assert_ok(pt_unmap(&fixture->table, pages[i] + size - 1, &old, &fixture->flush));
            assert_hex_equal(old.paddr, PADDR);
            assert_hex_equal(old.page_size, size);
            assert_int_equal(old.flags, format_reads_back(format, PT_READ));
            assert_not_mapped(&fixture->table, pages[i]);
        }
    }
}

static void a_region_may_end_at_the_end_of_each_half(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const struct pt_format *format = fixture->format;
    const uint64_t page = small(fixture);
    const uint64_t leaf_table = format_entry_size(format, format->levels - 2u);
    const uint64_t size = 2 * leaf_table + 2 * page;
    const pt_vaddr ends[] = {format_lower_last(format) + 1, 0};

    for (size_t i = 0; i < (format_upper_first(format) ? 2u : 1u); i++) {
        for (unsigned options = 0; options <= PT_ALLOW_HUGE; options++) {
            pt_vaddr vaddr = ends[i] - size;

            assert_ok(pt_map_region(table, vaddr, PADDR + 2 * (leaf_table - page), size, RW, options, flush));
            assert_mapped(table, vaddr, PADDR + 2 * (leaf_table - page), page, RW);
            assert_mapped(table, ends[i] - 1, PADDR + 4 * leaf_table - 1, options ? leaf_table : page, RW);
            assert_refused(fixture, pt_map(table, ends[i] - page, PADDR, page, RW, flush),
                           options ? PT_MAPPED_TO_HUGE_PAGE : PT_ALREADY_MAPPED);
            assert_ok(pt_protect_region(table, vaddr, size, PT_READ, 0, flush));
            assert_mapped(table, ends[i] - 1, PADDR + 4 * leaf_table - 1, options ? leaf_table : page, PT_READ);
            assert_ok(pt_unmap_region(table, vaddr, size, 0, flush));
            assert_not_mapped(table, ends[i] - 1);
            assert_ok(pt_map_region_with(table, vaddr, frame_of_the_same_number, NULL, size, RW, options, flush));
            assert_ok(pt_unmap_region(table, vaddr, size, PT_SKIP_HOLES, flush));
        }
        /* the whole half */
        assert_ok(pt_protect_region(table, ends[i] - (format_lower_last(format) + 1), format_lower_last(format) + 1,
                                    PT_READ, PT_SKIP_HOLES, flush));
        assert_ok(pt_unmap_region(table, ends[i] - (format_lower_last(format) + 1), format_lower_last(format) + 1,
                                  PT_SKIP_HOLES, flush));
    }
    pt_flush(flush);
    assert_int_equal(fixture->memory->taken, 1);
}

static void the_whole_half_may_be_mapped(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    const struct pt_format *format = fixture->format;
    const pt_vaddr last = format_lower_last(format);
    const uint64_t largest = format_largest(format);

    /* in few entries, where the format has pages as large as these */
    if ((last + 1) / largest > 0x10000 || last > format_paddr_last(format))
        return;
    assert_ok(pt_map_region(table, 0, 0, last + 1, RW, PT_ALLOW_HUGE, &fixture->flush));
    assert_mapped(table, 0, 0, largest, RW);
    assert_mapped(table, last, last, largest, RW);
    assert_ok(pt_unmap_region(table, 0, last + 1, 0, &fixture->flush));
    assert_not_mapped(table, last);
}

/* ---- PT_BAD_FLAGS ------------------------------------------------------------------------------------ */

static void flags_that_do_not_exist_are_refused(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    const pt_vaddr vaddr = place(fixture, 100);

    have_something(fixture);
    for (unsigned bit = 0; bit < 32; bit++) {
        pt_flags flags = RW | (pt_flags)1 << bit;

        if (((pt_flags)1 << bit) & PT_ALL_FLAGS)
            continue;
        assert_refused(fixture, pt_map(table, 0, PADDR, page, flags, flush), PT_BAD_FLAGS);
        assert_refused(fixture, pt_protect(table, vaddr, flags, NULL, flush), PT_BAD_FLAGS);
        assert_refused(fixture, pt_remap(table, vaddr, PADDR, flags, NULL, flush), PT_BAD_FLAGS);
        assert_refused(fixture, pt_map_region(table, 0, PADDR, page, flags, 0, flush), PT_BAD_FLAGS);
        assert_refused(fixture, pt_map_region_with(table, 0, frame_of_the_same_number, NULL, page, flags, 0, flush),
                       PT_BAD_FLAGS);
        assert_refused(fixture, pt_protect_region(table, vaddr, page, flags, 0, flush), PT_BAD_FLAGS);
    }
}

static void options_that_do_not_exist_are_refused(void **state)
{
    struct fixture *fixture = *state;

    have_something(fixture);
    for (unsigned bit = 0; bit < 32; bit++)
        if (((1u << bit) & (PT_ALLOW_HUGE | PT_SKIP_HOLES | PT_NO_SPLIT)) == 0)
            assert_region_refused(fixture, place(fixture, 100), small(fixture), 1u << bit, PT_BAD_FLAGS);
}

static void every_flag_reads_back_as_documented(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;

    FOR_EACH_PAGE_SIZE(size, format) {
        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            pt_vaddr vaddr = 2 * size;

            assert_ok(pt_map(&fixture->table, vaddr, PADDR, size, flags, &fixture->flush));
            assert_mapped(&fixture->table, vaddr, PADDR, size, format_reads_back(format, flags));
            assert_ok(pt_protect(&fixture->table, vaddr, PT_ALL_FLAGS & ~flags, NULL, &fixture->flush));
            assert_mapped(&fixture->table, vaddr, PADDR, size, format_reads_back(format, PT_ALL_FLAGS & ~flags));
            assert_ok(pt_protect_region(&fixture->table, vaddr, size, flags, 0, &fixture->flush));
            assert_mapped(&fixture->table, vaddr, PADDR, size, format_reads_back(format, flags));
            assert_ok(pt_remap(&fixture->table, vaddr, size, PT_ALL_FLAGS & ~flags, NULL, &fixture->flush));
            assert_mapped(&fixture->table, vaddr, size, size, format_reads_back(format, PT_ALL_FLAGS & ~flags));
            assert_ok(pt_unmap(&fixture->table, vaddr, NULL, &fixture->flush));
        }
    }
}

/* ---- Several reasons, no reason ------------------------------------------------------------------------ */

static void the_first_reason_is_given(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const pt_flags bad = PT_ALL_FLAGS + 1;
    const pt_vaddr nowhere = (UINT64_C(1) << 62) + 1;
    const uint64_t page = small(fixture);
    const pt_vaddr taken = place(fixture, 100);

    have_something(fixture);
    assert_refused(fixture, pt_map(table, nowhere, UINT64_MAX, 3, bad, flush), PT_BAD_FLAGS);
    assert_refused(fixture, pt_map(table, nowhere, UINT64_MAX, 3, RW, flush), PT_BAD_SIZE);
    assert_refused(fixture, pt_map(table, nowhere, UINT64_MAX, page, RW, flush), PT_NOT_ALIGNED);
    assert_refused(fixture, pt_map(table, taken, 0 - page, page, RW, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_map(table, nowhere - 1, 0, page, RW, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_protect(table, nowhere, bad, NULL, flush), PT_BAD_FLAGS);
    assert_refused(fixture, pt_remap(table, nowhere, 1, bad, NULL, flush), PT_BAD_FLAGS);
    assert_refused(fixture, pt_remap(table, nowhere, 1, RW, NULL, flush), PT_BAD_ADDRESS);
    assert_refused(fixture, pt_map_region(table, nowhere, 1, 1, bad, 0, flush), PT_BAD_FLAGS);
    assert_refused(fixture, pt_map_region(table, nowhere, 1, 1, RW, 0, flush), PT_NOT_ALIGNED);
    assert_refused(fixture, pt_protect_region(table, nowhere, page, bad, 0, flush), PT_BAD_FLAGS);
    assert_region_refused(fixture, nowhere, page, 8, PT_BAD_FLAGS);
    assert_region_refused(fixture, nowhere, page, 0, PT_NOT_ALIGNED);
    memory_fail_after(fixture->memory, 1);
    assert_refused(fixture, pt_map_region(table, taken - page, PADDR, 2 * page, RW, 0, flush), PT_ALREADY_MAPPED);
    memory_fail_never(fixture->memory);
}

static void a_region_of_no_bytes_is_fine_whatever_else_is_said(void **state)
{
    struct fixture *fixture = *state;
    const pt_vaddr places[] = {0, place(fixture, 100), 1, UINT64_C(1) << 63, UINT64_MAX};
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    size_t count;

    have_something(fixture);
    memory_fail_after(fixture->memory, 1);
    for (size_t i = 0; i < TESTS_COUNT(places); i++) {
        assert_refused(fixture, pt_map_region(table, places[i], 1, 0, ~(pt_flags)0, ~0u, flush), PT_OK);
        assert_refused(fixture, pt_map_region_with(table, places[i], frame_of_the_same_number, NULL, 0, RW, 0, flush),
                       PT_OK);
        assert_refused(fixture, pt_unmap_region(table, places[i], 0, 0, flush), PT_OK);
        assert_refused(fixture, pt_protect_region(table, places[i], 0, RW, 0, flush), PT_OK);
        assert_refused(fixture, pt_copy_from(table, table, places[i], 0, flush), PT_OK);
        assert_quiet_region_refused(fixture, places[i], 0, PT_OK);
        count = 77;
        assert_refused(fixture, pt_count_tables(table, places[i], 1, 0, ~(pt_flags)0, ~0u, &count), PT_OK);
        assert_int_equal(count, 0);
    }
    memory_fail_never(fixture->memory);
}

/* ---- PT_BAD_FORMAT ------------------------------------------------------------------------------------- */

#ifndef PT_ONLY_FORMAT
static void refuse_format(const struct pt_format *format, const char *what, int line)
{
    struct page_table table;
    const struct page_table zero = {.root = 0};
    struct memory memory;
    enum pt_status status;

    memory_init(&memory, MEMORY_BASE, 8);
    memset(&table, 0xA5, sizeof(table));
    status = pt_create(&table, format, &memory.handler, &memory);
    if (status != PT_BAD_FORMAT) {
        print_error("%s: pt_create answers %s to %s\n", format->name, pt_status_name(status), what);
        _fail(__FILE__, line);
    }
    assert_memory_equal(&table, &zero, sizeof(table));
    assert_int_equal(memory.attempts, 0);
    pt_destroy(&table);
    memory_end(&memory);
}

/* A copy of the format with one member changed. */
#define REFUSE_WITH(change)                                                                                            \
    do {                                                                                                               \
        struct pt_format copy = *format;                                                                               \
        copy.change;                                                                                                   \
        refuse_format(&copy, #change, __LINE__);                                                                       \
    } while (0)

#define TO(member, type, value) member = (type)(value)

static void descriptors_that_contradict_themselves_are_refused(void **state)
{
    const struct pt_format *format = *state;
    const uint64_t smallest = format_smallest(format);

    REFUSE_WITH(levels = 0);
    REFUSE_WITH(levels = 1);
    REFUSE_WITH(levels = 9);
    REFUSE_WITH(levels = 255);
    if (format->va_bits <= format->page_shift + format->index_bits * format->levels) /* nothing left for the root */
        REFUSE_WITH(TO(levels, uint8_t, format->levels + 1));
    REFUSE_WITH(page_sizes = 0);
    REFUSE_WITH(page_sizes &= ~smallest);
    REFUSE_WITH(page_sizes |= smallest << 1);
    REFUSE_WITH(page_sizes |= 1);
    REFUSE_WITH(page_sizes |= UINT64_C(1) << 63);
    REFUSE_WITH(index_bits = 0);
    REFUSE_WITH(index_bits = 20);
    REFUSE_WITH(index_bits = 255);
    REFUSE_WITH(page_shift = 0);
    REFUSE_WITH(page_shift = 11);
    REFUSE_WITH(page_shift = 63);
    REFUSE_WITH(page_shift = 255);
    REFUSE_WITH(va_bits = 0);
    REFUSE_WITH(va_bits = 64);
    REFUSE_WITH(va_bits = 255);
    /* nothing left for the root */
    REFUSE_WITH(TO(va_bits, uint8_t, format->page_shift + format->index_bits * (format->levels - 1)));
    REFUSE_WITH(pa_bits = 0);
    REFUSE_WITH(pa_bits = 65);
    REFUSE_WITH(pa_bits = 255);
    REFUSE_WITH(pa_bits = 12);
    REFUSE_WITH(TO(pa_bits, uint8_t, format_facts(format)->entry_pa_bits + 1));
    REFUSE_WITH(address_space = 3);
    REFUSE_WITH(new_mapping_owes = 3);
}

static void a_descriptor_without_operations_is_refused(void **state)
{
    const struct pt_format *format = *state;

    REFUSE_WITH(operations = NULL);
}

/* Even where the rest agrees with it: the smallest page in the root, and more levels than addresses have bits. */
static void a_single_level_and_very_many_are_refused(void **state)
{
    struct pt_format copy = *(const struct pt_format *)*state;

    copy.page_sizes = format_smallest(&copy);
    copy.levels = 1;
    copy.va_bits = (uint8_t)(copy.page_shift + copy.index_bits);
    refuse_format(&copy, "a single level", __LINE__);
    copy.levels = 7;
    copy.va_bits = 63;
    refuse_format(&copy, "seven levels", __LINE__);
}

/* Which of them was set could not be read back. */
static void memory_types_that_cannot_be_told_apart_are_refused(void **state)
{
    const struct pt_format *format = *state;

    if (!format_facts(format)->has_memory_types)
        return;
    REFUSE_WITH(memory_index.normal = format_facts(format)->memory_indices);
    REFUSE_WITH(memory_index.device = format_facts(format)->memory_indices);
    REFUSE_WITH(memory_index.uncached = 255);
    REFUSE_WITH(memory_index.normal = format->memory_index.device);
    REFUSE_WITH(memory_index.normal = format->memory_index.uncached);
    REFUSE_WITH(memory_index.device = format->memory_index.uncached);
}

/* Nobody would set the bits that the descriptor promises to report. */
static void hardware_that_records_nothing_is_not_said_to(void **state)
{
    const struct pt_format *format = *state;

    if (format_facts(format)->can_track_access)
        return;
    REFUSE_WITH(tracks_access = true);
}

/* A huge page is split into those of the next size, which must be there. */
static void page_sizes_with_a_gap_are_refused(void **state)
{
    const struct pt_format *format = *state;
    const uint64_t middle = format_entry_size(format, format->levels - 2u); /* not a page of several entries */

    if (format_larger(format, middle) == 0)
        return;
    REFUSE_WITH(page_sizes &= ~middle);
}

static void too_many_root_bits_are_refused(void **state)
{
    const struct pt_format *format = *state;

    for (unsigned more = 14; format->va_bits + more < 256; more++)
        REFUSE_WITH(TO(va_bits, uint8_t, format->va_bits + more));
}

/* The pages of a size that is left out are neither accepted nor made. */
static void narrowed_page_sizes_are_honoured(void **state)
{
    const struct pt_format *format = *state;
    struct pt_format narrow = *format;
    uint64_t largest = format_largest(format);
    uint64_t smaller = format_smaller(format, largest);
    struct page_table table;
    struct pt_flush flush;
    struct memory memory;

    narrow.page_sizes &= ~largest;
    memory_init(&memory, format_memory_base(format), 64);
    assert_ok(pt_create(&table, &narrow, &memory.handler, &memory));
    pt_flush_init(&flush, &table);
    assert_status(pt_map(&table, 0, 0, largest, RW, &flush), PT_BAD_SIZE);
    assert_ok(pt_map_region(&table, 0, 0, 2 * largest, RW, PT_ALLOW_HUGE, &flush));
    assert_mapped(&table, 0, 0, smaller, RW);
    assert_mapped(&table, 2 * largest - 1, 2 * largest - 1, smaller, RW);
    assert_ok(pt_unmap_region(&table, 0, 2 * largest, 0, &flush));
    assert_ok(pt_unmap_region(&table, 0, format_lower_last(format) + 1, PT_SKIP_HOLES, &flush));
    pt_flush(&flush);
    assert_int_equal(memory.taken, 1);

    /* only the smallest left */
    pt_destroy(&table);
    smaller = format_larger(format, format_smallest(format));
    narrow.page_sizes = format_smallest(format);
    assert_ok(pt_create(&table, &narrow, &memory.handler, &memory));
    pt_flush_init(&flush, &table);
    assert_status(pt_map(&table, 0, 0, smaller, RW, &flush), PT_BAD_SIZE);
    assert_ok(pt_map_region(&table, 0, 0, 2 * smaller, RW, PT_ALLOW_HUGE, &flush));
    assert_mapped(&table, smaller, smaller, format_smallest(format), RW);
    pt_flush(&flush);
    pt_destroy(&table);
    memory_end(&memory);
}

static void narrowed_physical_addresses_are_honoured(void **state)
{
    const struct pt_format *format = *state;
    struct pt_format narrow = *format;
    const uint8_t bits = narrow.pa_bits > 36 ? 36 : narrow.pa_bits > 33 ? 33 : 31;
    const pt_paddr end = UINT64_C(1) << bits;
    struct page_table table;
    struct pt_flush flush;
    struct memory memory;

    narrow.pa_bits = bits;
    memory_init(&memory, format_memory_base(&narrow), 64);
    assert_ok(pt_create(&table, &narrow, &memory.handler, &memory));
    pt_flush_init(&flush, &table);
    FOR_EACH_PAGE_SIZE(size, &narrow) {
        if (size > end)
            continue;
        assert_status(pt_map(&table, 0, end, size, RW, &flush), PT_BAD_ADDRESS);
        assert_ok(pt_map(&table, 0, end - size, size, RW, &flush));
        assert_status(pt_remap(&table, 0, 16 * end, RW, NULL, &flush), PT_BAD_ADDRESS);
        assert_mapped(&table, 0, end - size, size, RW);
        assert_ok(pt_protect(&table, 0, 0, NULL, &flush));
        assert_mapped(&table, 0, end - size, size, 0);
        assert_ok(pt_unmap(&table, 0, NULL, &flush));
    }
    assert_status(pt_map_region(&table, 0, end - format_smallest(&narrow), 2 * format_smallest(&narrow), RW, 0, &flush),
                  PT_BAD_ADDRESS);
    pt_flush(&flush);
    pt_destroy(&table);
    memory_end(&memory);
}

static void the_widest_physical_addresses_fit_in_entries(void **state)
{
    const struct pt_format *format = *state;
    struct pt_format wide = *format;
    struct page_table table;
    struct pt_flush flush;
    struct memory memory;

    wide.pa_bits = format_facts(format)->entry_pa_bits;
    memory_init(&memory, format_memory_base(format), 64);
    assert_ok(pt_create(&table, &wide, &memory.handler, &memory));
    pt_flush_init(&flush, &table);
    FOR_EACH_PAGE_SIZE(size, &wide)
        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            pt_paddr paddr = format_paddr_last_of(&wide, size) - size + 1;

            assert_ok(pt_map(&table, 0, paddr, size, flags, &flush));
            assert_mapped(&table, 0, paddr, size, format_reads_back(format, flags));
            assert_ok(pt_unmap(&table, 0, NULL, &flush));
        }
    pt_flush(&flush);
    pt_destroy(&table);
    memory_end(&memory);
}
#endif

/* ---- Names --------------------------------------------------------------------------------------------- */

static void every_status_has_its_name(void **state)
{
    (void)state;
#define NAMED(status) assert_string_equal(pt_status_name(status), #status)
    NAMED(PT_OK);
    NAMED(PT_NO_MEMORY);
    NAMED(PT_NOT_ALIGNED);
    NAMED(PT_NOT_MAPPED);
    NAMED(PT_ALREADY_MAPPED);
    NAMED(PT_MAPPED_TO_HUGE_PAGE);
    NAMED(PT_BAD_ADDRESS);
    NAMED(PT_BAD_SIZE);
    NAMED(PT_BAD_FLAGS);
    NAMED(PT_BAD_FORMAT);
    NAMED(PT_SHARED);
    NAMED(PT_IN_USE);
    NAMED(PT_READ_ONLY);
    assert_int_equal(PT_OK, 0);
    /* UBSan has nothing to say: these are values that the enum's type can hold */
    assert_string_equal(pt_status_name((enum pt_status)(PT_READ_ONLY + 1)), "?");
    assert_string_equal(pt_status_name((enum pt_status)1000), "?");
    assert_string_equal(pt_status_name((enum pt_status)UINT32_MAX), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(page_sizes_that_the_format_has_not_are_bad_sizes),
        TESTS_OF_EACH_FORMAT(map_wants_both_addresses_aligned_to_the_page),
        TESTS_OF_EACH_FORMAT(regions_are_whole_pages),
        TESTS_OF_EACH_FORMAT(remap_wants_the_frames_aligned_to_the_page_found),
        TESTS_OF_EACH_FORMAT(copies_are_whole_root_entries),
        TESTS_OF_EACH_FORMAT(a_hole_is_not_mapped_at_any_level),
        TESTS_OF_EACH_FORMAT(regions_with_a_hole_are_not_mapped),
        TESTS_OF_EACH_FORMAT(regions_one_page_too_long_are_not_mapped),
        TESTS_OF_EACH_FORMAT(nothing_is_mapped_over_a_page),
        TESTS_OF_EACH_FORMAT(regions_that_meet_a_page_anywhere_are_refused),
        TESTS_OF_EACH_FORMAT(a_huge_page_is_not_mapped_over_small_ones),
        TESTS_OF_EACH_FORMAT(a_huge_page_covered_in_part_is_not_split_where_that_is_forbidden),
        TESTS_OF_EACH_FORMAT(a_huge_page_covered_in_part_is_split),
        TESTS_OF_EACH_FORMAT(split_wants_a_page_size_of_the_format_and_a_page),
        TESTS_OF_EACH_FORMAT(calls_that_keep_translations_want_sound_regions),
        TESTS_OF_EACH_FORMAT(counting_refuses_what_mapping_refuses),
        TESTS_OF_EACH_FORMAT(what_is_borrowed_keeps_its_shape),
        TESTS_OF_EACH_FORMAT(addresses_that_are_not_canonical_are_bad),
        TESTS_OF_EACH_FORMAT(regions_neither_wrap_nor_cross_the_hole),
        TESTS_OF_EACH_FORMAT(copies_neither_wrap_nor_cross_the_hole),
        TESTS_OF_EACH_FORMAT(frames_that_are_too_wide_are_bad),
        TESTS_OF_EACH_FORMAT(one_wrong_frame_of_scattered_ones_refuses_all),
        TESTS_OF_EACH_FORMAT(the_outermost_pages_of_each_size_are_ordinary),
        TESTS_OF_EACH_FORMAT(a_region_may_end_at_the_end_of_each_half),
        TESTS_OF_EACH_FORMAT(the_whole_half_may_be_mapped),
        TESTS_OF_EACH_FORMAT(flags_that_do_not_exist_are_refused),
        TESTS_OF_EACH_FORMAT(options_that_do_not_exist_are_refused),
        TESTS_OF_EACH_FORMAT(every_flag_reads_back_as_documented),
        TESTS_OF_EACH_FORMAT(the_first_reason_is_given),
        TESTS_OF_EACH_FORMAT(a_region_of_no_bytes_is_fine_whatever_else_is_said),
#ifndef PT_ONLY_FORMAT /* else the measures are constants, and the descriptor given to pt_create must be that one */
        TESTS_OF_EACH_FORMAT_WITH(descriptors_that_contradict_themselves_are_refused, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(a_descriptor_without_operations_is_refused, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(a_single_level_and_very_many_are_refused, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(memory_types_that_cannot_be_told_apart_are_refused, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(hardware_that_records_nothing_is_not_said_to, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(page_sizes_with_a_gap_are_refused, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(too_many_root_bits_are_refused, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(narrowed_page_sizes_are_honoured, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(narrowed_physical_addresses_are_honoured, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(the_widest_physical_addresses_fit_in_entries, NULL, NULL),
#endif
        cmocka_unit_test(every_status_has_its_name),
    };

    return cmocka_run_group_tests_name("errors", tests, NULL, NULL);
}
