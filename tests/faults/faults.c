/* SPDX-License-Identifier: MIT */
/*
 * Every call that allocates, failing at every allocation, because there is no frame or one that no table can be in:
 * nothing changes, nothing leaks, and the same call succeeds when there is memory again. And allocators that change the table while they serve it.
 */
#include "formats.h"
#include "memory.h"
#include "snapshot.h"
#include "test.h"

#define PADDR fixture_paddr /* a multiple of every page size in use, and not in the simulated memory */
#define RW (PT_READ | PT_WRITE)

/* ---- Calls that need tables ---------------------------------------------------------------------- */

static uint64_t small(const struct fixture *fixture)
{
    return format_smallest(fixture->format);
}

/* What a table of the last level translates, with those that share its frame. */
static uint64_t leaf_table(const struct fixture *fixture)
{
    return format_leaf_frame(fixture->format);
}

/* What can be copied by itself: a root entry, or some. */
static uint64_t copy_unit(const struct fixture *fixture)
{
    return format_copy_unit(fixture->format);
}

static enum pt_status map_smallest(struct fixture *fixture)
{
    return pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush);
}

static enum pt_status map_second_smallest(struct fixture *fixture)
{
    uint64_t size = format_leaf_table(fixture->format);

    return pt_map(&fixture->table, 3 * size, PADDR, size, RW, &fixture->flush);
}

static enum pt_status map_largest(struct fixture *fixture)
{
    uint64_t size = format_largest(fixture->format);

    return pt_map(&fixture->table, 3 * size, PADDR, size, RW, &fixture->flush);
}

static enum pt_status map_last_page(struct fixture *fixture)
{
    return pt_map(&fixture->table, format_last_page(fixture->format, small(fixture)), PADDR, small(fixture), RW,
                  &fixture->flush);
}

static enum pt_status map_no_access(struct fixture *fixture)
{
    return pt_map(&fixture->table, 0, PADDR, small(fixture), 0, &fixture->flush);
}

static enum pt_status map_region_of_three_tables(struct fixture *fixture)
{
    return pt_map_region(&fixture->table, leaf_table(fixture) - small(fixture), PADDR,
                         leaf_table(fixture) + 2 * small(fixture), RW, 0, &fixture->flush);
}

/* Crosses a root entry, and what may share a frame with its table, so that tables of every level are needed twice. */
static enum pt_status map_region_across_a_root_entry(struct fixture *fixture)
{
    uint64_t unit = copy_unit(fixture);

    return pt_map_region(&fixture->table, unit - 2 * small(fixture), PADDR, 4 * small(fixture), RW, 0, &fixture->flush);
}

/* Small pages, then larger ones, and small ones at the end. */
static enum pt_status map_region_of_all_sizes(struct fixture *fixture)
{
    uint64_t largest = format_largest(fixture->format);
    uint64_t before = leaf_table(fixture) + small(fixture), first = 2 * largest - before;

    return pt_map_region(&fixture->table, first, PADDR + first, 2 * before + largest, RW, PT_ALLOW_HUGE,
                         &fixture->flush);
}

static enum pt_status map_region_to_the_end(struct fixture *fixture)
{
    uint64_t size = leaf_table(fixture) + small(fixture);

    return pt_map_region(&fixture->table, format_last_page(fixture->format, size), PADDR, size, RW, 0, &fixture->flush);
}

static pt_paddr every_other_frame(void *arg, pt_vaddr vaddr)
{
    (void)arg;
    return PADDR + (vaddr << 1) % UINT64_C(0x10000000);
}

static pt_paddr frame_of_the_same_number(void *arg, pt_vaddr vaddr)
{
    (void)arg;
    return vaddr;
}

static enum pt_status map_region_with_scattered(struct fixture *fixture)
{
    return pt_map_region_with(&fixture->table, leaf_table(fixture) - small(fixture), every_other_frame, NULL,
                              leaf_table(fixture) + 2 * small(fixture), RW, PT_ALLOW_HUGE, &fixture->flush);
}

static enum pt_status map_region_with_contiguous(struct fixture *fixture)
{
    return pt_map_region_with(&fixture->table, leaf_table(fixture) - small(fixture), frame_of_the_same_number, NULL,
                              3 * leaf_table(fixture) + 2 * small(fixture), RW, PT_ALLOW_HUGE, &fixture->flush);
}

struct call {
    const char *name;
    enum pt_status (*run)(struct fixture *fixture);
    uint64_t (*page)(const struct pt_format *format); /* of what size, if it is one page that may stand in the root */
};

static const struct call calls[] = {
    {"map_smallest", map_smallest, NULL},
    {"map_second_smallest", map_second_smallest, format_leaf_table},
    {"map_largest", map_largest, format_largest},
    {"map_last_page", map_last_page, NULL},
    {"map_no_access", map_no_access, NULL},
    {"map_region_of_three_tables", map_region_of_three_tables, NULL},
    {"map_region_across_a_root_entry", map_region_across_a_root_entry, NULL},
    {"map_region_of_all_sizes", map_region_of_all_sizes, NULL},
    {"map_region_to_the_end", map_region_to_the_end, NULL},
    {"map_region_with_scattered", map_region_with_scattered, NULL},
    {"map_region_with_contiguous", map_region_with_contiguous, NULL},
};

/* ---- Failing at each allocation -------------------------------------------------------------------- */

/* Something mapped and something owed, far from where the calls map, so that "nothing" can change. */
static void have_something(struct fixture *fixture)
{
    pt_vaddr vaddr = format_place(fixture->format, 50);

    assert_ok(pt_map_region(&fixture->table, vaddr, PADDR, 3 * small(fixture), RW, 0, &fixture->flush));
    assert_ok(pt_unmap(&fixture->table, vaddr + small(fixture), NULL, &fixture->flush));
    assert_true(fixture->flush.range_count > 0 || fixture->flush.everything);
}

/* Run the call until it has all the memory it wants; *failures is how often it had not. */
static void fail_until_it_works(struct fixture *fixture, const struct call *call,
                                void (*fail_at)(struct memory *memory, size_t n), size_t *failures)
{
    struct snapshot before;
    enum pt_status status;
    size_t allocations;

    snapshot_take(&before, &fixture->table, &fixture->flush, fixture->memory);
    for (*failures = 0;; ++*failures) {
        memory_hold(fixture->memory);
        fail_at(fixture->memory, *failures + 1);
        allocations = fixture->memory->allocations;
        status = call->run(fixture);
        if (status == PT_OK)
            break;
        assert_status(status, PT_NO_MEMORY);
        assert_unchanged(&before);
        assert_true(fixture->memory->allocations - allocations <= *failures);
        assert_true(*failures < 1000);
    }
    memory_fail_never(fixture->memory);
    /* A call that works takes no more than it keeps. */
    assert_int_equal(fixture->memory->taken - before.taken, fixture->memory->allocations - allocations);
    assert_int_equal(fixture->memory->taken - before.taken, *failures);
    snapshot_end(&before);
}

static void failed_mapping_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;

    /* No frame; the first one that no entry can lead to, and the last. */
    const pt_paddr answers[] = {0, format_table_limit(format, false),
                                ~(PT_FRAME_SIZE * format_table_frames(format) - 1)};

    for (size_t i = 0; i < TESTS_COUNT(calls); i++) {
        for (size_t j = 0; j < 2 * TESTS_COUNT(answers); j++) {
            bool once = j % 2 != 0;
            void *inner = (void *)(uintptr_t)format;
            struct fixture *fresh;
            size_t failures;

            assert_int_equal(fixture_set_up(&inner), 0);
            fresh = inner;
            have_something(fresh);
            fresh->memory->far = answers[j / 2];
            fail_until_it_works(fresh, &calls[i], once ? memory_fail_once : memory_fail_after, &failures);
            if (failures == 0 && (!calls[i].page || format_level_of(format, calls[i].page(format)) > 0))
                fail_msg("%s allocated nothing", calls[i].name);
            assert_status(calls[i].run(fresh), PT_ALREADY_MAPPED);
            assert_int_equal(fixture_tear_down(&inner), 0);
        }
    }
}

/* The tables are there, the call needs fewer frames; what is there must survive. */
static void failed_mapping_beside_others_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t table = leaf_table(fixture);
    struct call call = {"map_region_of_three_tables", map_region_of_three_tables, NULL};
    size_t failures;

    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_map(&fixture->table, 2 * table + small(fixture), PADDR, small(fixture), RW, &fixture->flush));
    pt_flush(&fixture->flush);
    fail_until_it_works(fixture, &call, memory_fail_after, &failures);
    assert_int_equal(failures, 1); /* the table in the middle */
    assert_mapped(&fixture->table, 0, PADDR, small(fixture), RW);
    assert_mapped(&fixture->table, 2 * table + small(fixture), PADDR, small(fixture), RW);
    assert_mapped(&fixture->table, table - small(fixture), PADDR, small(fixture), RW);
    assert_mapped(&fixture->table, 2 * table, PADDR + table + small(fixture), small(fixture), RW);
}

static void conflict_costs_no_memory(void **state)
{
    struct fixture *fixture = *state;
    uint64_t table = leaf_table(fixture);

    assert_ok(pt_map(&fixture->table, 2 * table, PADDR, small(fixture), RW, &fixture->flush));
    memory_fail_after(fixture->memory, 1);
    assert_refused(fixture, map_region_of_three_tables(fixture), PT_ALREADY_MAPPED);
    assert_int_equal(fixture->memory->taken, fixture->format->levels);
}

static void huge_page_over_empty_tables_needs_no_memory(void **state)
{
    struct fixture *fixture = *state;
    uint64_t largest = format_largest(fixture->format);
    /* above the huge page, and the second table if it is not below it */
    size_t kept = format_level_of(fixture->format, largest) + (largest < 2 * leaf_table(fixture) ? 1 : 0);

    assert_ok(pt_map_region(&fixture->table, 0, PADDR, 2 * leaf_table(fixture), RW, 0, &fixture->flush));
    for (pt_vaddr vaddr = 0; vaddr < 2 * leaf_table(fixture); vaddr += small(fixture))
        assert_ok(pt_unmap(&fixture->table, vaddr, NULL, &fixture->flush));
    pt_flush(&fixture->flush);
    memory_hold(fixture->memory);
    memory_fail_after(fixture->memory, 1);
    assert_ok(pt_map(&fixture->table, 0, PADDR, largest, RW, &fixture->flush));
    assert_mapped(&fixture->table, largest - 1, PADDR + largest - 1, largest, RW);
    pt_flush(&fixture->flush);
    assert_int_equal(fixture->memory->taken, 1 + kept);
}

static void failed_create_leaves_nothing(void **state)
{
    const struct pt_format *format = *state;
    struct page_table zero = {.root = 0};
    struct page_table table;
    struct memory memory;
    /* No frame; the first one that the register of the root cannot hold. */
    const pt_paddr answers[] = {0, format_table_limit(format, true)};

    memory_init(&memory, format_memory_base(format), 16);
    for (size_t i = 0; i < TESTS_COUNT(answers); i++) {
        memory.far = answers[i];
        memset(&table, 0xA5, sizeof(table));
        memory_fail_after(&memory, 1);
        assert_status(pt_create(&table, format, &memory.handler, &memory), PT_NO_MEMORY);
        assert_memory_equal(&table, &zero, sizeof(table));
        assert_int_equal(memory.taken + memory.far_out, 0);
        pt_destroy(&table);
        memory_fail_after(&memory, 2); /* the root is all that it takes */
        assert_ok(pt_create(&table, format, &memory.handler, &memory));
        pt_destroy(&table);
    }
    memory_end(&memory);
}

/* The highest frames that tables can be in are good ones. */
static void tables_lie_as_high_as_they_reach(void **state)
{
    const struct pt_format *format = *state;
    struct fixture *fixture =
        fixture_begin(format, format_table_limit(format, true) - 16 * PT_64K, 16 * PT_64K / PT_FRAME_SIZE);

    assert_ok(pt_create(&fixture->table, format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&fixture->flush, &fixture->table);
    fixture->memory->next = fixture->memory->frames - format_table_frames(format);
    for (unsigned n = 0; n < 2; n++) {
        pt_vaddr vaddr = n * copy_unit(fixture);

        assert_ok(pt_map(&fixture->table, vaddr, PADDR, small(fixture), RW, &fixture->flush));
        assert_mapped(&fixture->table, vaddr, PADDR, small(fixture), RW);
    }
    assert_true(memory_is_taken(fixture->memory, format_table_limit(format, true) - PT_FRAME_SIZE));
    *state = fixture;
    fixture_tear_down(state);
}

/* ---- Sharing --------------------------------------------------------------------------------------- */

static void failed_copy_changes_neither_table(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t unit = copy_unit(fixture);
    const uint64_t units = format_copy_units(fixture->format) < 4 ? format_copy_units(fixture->format) : 4;
    const size_t missing = (size_t)units * format_shared_tables(fixture->format) - 1;
    struct page_table copy;
    struct pt_flush flush;
    struct snapshot source_before;
    struct snapshot copy_before;

    /* One table of the second unit is there, all others are missing. The copy has an empty one in the last but one. */
    assert_ok(pt_map(&fixture->table, unit, PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_create(&copy, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&flush, &copy);
    assert_ok(pt_map(&copy, (units - 2) * unit, PADDR, small(fixture), RW, &flush));
    assert_ok(pt_unmap(&copy, (units - 2) * unit, NULL, &flush));

    snapshot_take(&source_before, &fixture->table, &fixture->flush, fixture->memory);
    snapshot_take(&copy_before, &copy, &flush, fixture->memory);
    memory_hold(fixture->memory);
    for (size_t n = 0; n < 3 * missing; n++) {
        (n % 3 == 0 ? memory_fail_after : memory_fail_once)(fixture->memory, n / 3 + 1);
        fixture->memory->far = n % 3 == 2 ? format_table_limit(fixture->format, false) : 0;
        assert_status(pt_copy_from(&copy, &fixture->table, 0, units * unit, &flush), PT_NO_MEMORY);
        assert_unchanged(&source_before);
        assert_unchanged(&copy_before);
    }
    memory_fail_after(fixture->memory, missing + 1);
    assert_ok(pt_copy_from(&copy, &fixture->table, 0, units * unit, &flush));
    assert_int_equal(fixture->memory->taken, source_before.taken + missing);
    memory_fail_never(fixture->memory);
    assert_mapped(&copy, unit, PADDR, small(fixture), RW);
    snapshot_end(&source_before);
    snapshot_end(&copy_before);

    pt_flush(&flush);
    pt_destroy(&copy);
}

/* ---- Allocators that change the table while they serve it -------------------------------------------- */

struct meddler {
    struct page_table *table;
    pt_vaddr vaddr;
    uint64_t page_size;
    uint64_t unmap; /* so much from vaddr on, instead of mapping */
    size_t in;      /* at the how-manieth allocation */
    size_t times;
};

static void meddle(void *arg, struct memory *memory)
{
    struct meddler *meddler = arg;
    struct pt_flush flush;

    (void)memory;
    if (meddler->in == 0 || --meddler->in > 0)
        return;
    meddler->times++;
    pt_flush_init(&flush, meddler->table);
    if (meddler->unmap)
        assert_ok(pt_unmap_region(meddler->table, meddler->vaddr, meddler->unmap, PT_SKIP_HOLES, &flush));
    else
        assert_ok(pt_map(meddler->table, meddler->vaddr, 0, meddler->page_size, PT_READ, &flush));
    pt_flush(&flush);
}

static void let_meddle(struct fixture *fixture, struct meddler *meddler)
{
    fixture->memory->on_alloc = meddle;
    fixture->memory->on_alloc_arg = meddler;
}

/*
 * `call` with an allocator that maps the page at `vaddr` at the n-th allocation, for each n: both mappings
 * stand, or the call answers `expected` and only the allocator's stands. No frame is taken in vain.
 */
static void meddle_with_each_call(const struct pt_format *format, pt_vaddr vaddr, uint64_t page_size,
                                  enum pt_status (*call)(struct fixture *fixture), enum pt_status expected)
{
    for (size_t n = 1;; n++) {
        void *inner = (void *)(uintptr_t)format;
        struct fixture *fixture;
        struct meddler meddler = {.vaddr = vaddr, .page_size = page_size, .in = n};
        enum pt_status status;

        assert_int_equal(fixture_set_up(&inner), 0);
        fixture = inner;
        meddler.table = &fixture->table;
        let_meddle(fixture, &meddler);
        status = call(fixture);
        fixture->memory->on_alloc = NULL;

        if (meddler.times == 0) {
            assert_ok(status);
            assert_true(n > 1);
            assert_int_equal(fixture_tear_down(&inner), 0);
            return;
        }
        assert_status(status, expected);
        assert_mapped(&fixture->table, vaddr, 0, page_size, PT_READ);
        if (status == PT_OK) {
            assert_status(call(fixture), PT_ALREADY_MAPPED);
        } else {
            /* What is left is what mapping the page alone would have left. */
            size_t taken = fixture->memory->taken;

            assert_int_equal(taken, 1 + format_level_of(format, page_size));
        }
        assert_ok(pt_unmap_region(&fixture->table, 0, format_lower_last(format) + 1, PT_SKIP_HOLES, &fixture->flush));
        if (format_upper_first(format))
            assert_ok(pt_unmap_region(&fixture->table, format_upper_first(format), format_lower_last(format) + 1,
                                      PT_SKIP_HOLES, &fixture->flush));
        pt_flush(&fixture->flush);
        assert_int_equal(fixture->memory->taken, 1);
        assert_int_equal(fixture_tear_down(&inner), 0);
    }
}

static void allocator_that_maps_elsewhere_is_served(void **state)
{
    struct fixture *fixture = *state;
    pt_vaddr vaddr = format_place(fixture->format, 5);

    meddle_with_each_call(fixture->format, vaddr, small(fixture), map_smallest, PT_OK);
    meddle_with_each_call(fixture->format, vaddr, small(fixture), map_region_across_a_root_entry, PT_OK);
    meddle_with_each_call(fixture->format, vaddr, small(fixture), map_region_of_all_sizes, PT_OK);
    meddle_with_each_call(fixture->format, vaddr, small(fixture), map_region_with_scattered, PT_OK);
}

static void allocator_that_maps_into_the_table_about_to_be_made_loses_nothing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t unit = copy_unit(fixture);

    meddle_with_each_call(fixture->format, 5 * small(fixture), small(fixture), map_smallest, PT_OK);
    meddle_with_each_call(fixture->format, unit - 3 * small(fixture), small(fixture), map_region_across_a_root_entry,
                          PT_OK);
    meddle_with_each_call(fixture->format, unit + 2 * small(fixture), small(fixture), map_region_across_a_root_entry,
                          PT_OK);
    meddle_with_each_call(fixture->format, leaf_table(fixture) - 2 * small(fixture), small(fixture),
                          map_region_with_scattered, PT_OK);
}

static void allocator_that_maps_the_page_itself_makes_the_call_refuse(void **state)
{
    struct fixture *fixture = *state;
    uint64_t unit = copy_unit(fixture);

    meddle_with_each_call(fixture->format, 0, small(fixture), map_smallest, PT_ALREADY_MAPPED);
    meddle_with_each_call(fixture->format, unit - small(fixture), small(fixture), map_region_across_a_root_entry,
                          PT_ALREADY_MAPPED);
    meddle_with_each_call(fixture->format, unit + small(fixture), small(fixture), map_region_across_a_root_entry,
                          PT_ALREADY_MAPPED);
    meddle_with_each_call(fixture->format, 2 * leaf_table(fixture), small(fixture), map_region_with_scattered,
                          PT_ALREADY_MAPPED);
}

static void allocator_that_maps_a_huge_page_there_makes_the_call_refuse(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t size = format_leaf_table(fixture->format);

    meddle_with_each_call(fixture->format, 0, size, map_smallest, PT_MAPPED_TO_HUGE_PAGE);
    meddle_with_each_call(fixture->format, 2 * leaf_table(fixture), size, map_region_with_scattered,
                          PT_MAPPED_TO_HUGE_PAGE);
}

/* The call counted on tables that are gone when it has its frames. */
static void allocator_that_retires_tables_is_served(void **state)
{
    struct fixture *fixture = *state;
    uint64_t unit = copy_unit(fixture);
    struct meddler meddler = {.table = &fixture->table, .vaddr = 0, .unmap = unit, .in = 1};

    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    pt_flush(&fixture->flush);
    let_meddle(fixture, &meddler);
    assert_ok(map_region_across_a_root_entry(fixture));
    fixture->memory->on_alloc = NULL;
    assert_int_equal(meddler.times, 1);
    assert_not_mapped(&fixture->table, 0);
    assert_mapped(&fixture->table, unit - small(fixture), PADDR + small(fixture), small(fixture), RW);
    assert_mapped(&fixture->table, unit, PADDR + 2 * small(fixture), small(fixture), RW);
    assert_int_equal(fixture->memory->taken, 1 + 2 * (fixture->format->levels - 1u));
}

/* Out of memory after the allocator has changed the table: what it did stays, what the call took goes. */
static void failure_after_meddling_gives_back_only_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct meddler meddler = {
        .table = &fixture->table,
        .vaddr = format_place(fixture->format, 5),
        .page_size = small(fixture),
        .in = 1,
    };

    let_meddle(fixture, &meddler);
    memory_fail_after(fixture->memory, 2 * (fixture->format->levels - 1u)); /* the last that the call takes */
    assert_status(map_smallest(fixture), PT_NO_MEMORY);
    fixture->memory->on_alloc = NULL;
    memory_fail_never(fixture->memory);
    assert_mapped(&fixture->table, meddler.vaddr, 0, small(fixture), PT_READ);
    assert_int_equal(fixture->memory->taken, fixture->format->levels);
    assert_ok(map_smallest(fixture));
}

static void allocator_that_maps_in_the_source_is_seen_by_the_copy(void **state)
{
    struct fixture *fixture = *state;
    uint64_t unit = copy_unit(fixture);
    struct page_table copy;
    struct pt_flush flush;
    struct meddler meddler = {.table = &fixture->table, .vaddr = unit, .page_size = small(fixture), .in = 1};

    assert_ok(pt_create(&copy, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&flush, &copy);
    let_meddle(fixture, &meddler);
    assert_ok(pt_copy_from(&copy, &fixture->table, 0, 2 * unit, &flush));
    fixture->memory->on_alloc = NULL;
    assert_int_equal(meddler.times, 1);
    assert_mapped(&fixture->table, unit, 0, small(fixture), PT_READ);
    assert_mapped(&copy, unit, 0, small(fixture), PT_READ);
    /* the two roots, a table for each root entry, those on the way to the page */
    assert_int_equal(fixture->memory->taken,
                     2 + 2 * format_shared_tables(fixture->format) + (fixture->format->levels - 2u));
    pt_flush(&flush);
    pt_destroy(&copy);
}

static void allocator_that_maps_in_the_copy_makes_the_copy_refuse(void **state)
{
    struct fixture *fixture = *state;
    uint64_t unit = copy_unit(fixture);
    struct page_table copy;
    struct pt_flush flush;
    struct meddler meddler = {.table = &copy, .vaddr = unit, .page_size = small(fixture), .in = 1};

    assert_ok(pt_create(&copy, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&flush, &copy);
    let_meddle(fixture, &meddler);
    assert_status(pt_copy_from(&copy, &fixture->table, 0, 2 * unit, &flush), PT_ALREADY_MAPPED);
    fixture->memory->on_alloc = NULL;
    assert_int_equal(meddler.times, 1);
    assert_mapped(&copy, unit, 0, small(fixture), PT_READ);
    assert_int_equal(fixture->memory->taken, 2 + fixture->format->levels - 1);
    pt_flush(&flush);
    pt_destroy(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(failed_mapping_changes_nothing),
        TESTS_OF_EACH_FORMAT(failed_mapping_beside_others_changes_nothing),
        TESTS_OF_EACH_FORMAT(conflict_costs_no_memory),
        TESTS_OF_EACH_FORMAT(huge_page_over_empty_tables_needs_no_memory),
        TESTS_OF_EACH_FORMAT_WITH(failed_create_leaves_nothing, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(tables_lie_as_high_as_they_reach, NULL, NULL),
        TESTS_OF_EACH_FORMAT(failed_copy_changes_neither_table),
        TESTS_OF_EACH_FORMAT(allocator_that_maps_elsewhere_is_served),
        TESTS_OF_EACH_FORMAT(allocator_that_maps_into_the_table_about_to_be_made_loses_nothing),
        TESTS_OF_EACH_FORMAT(allocator_that_maps_the_page_itself_makes_the_call_refuse),
        TESTS_OF_EACH_FORMAT(allocator_that_maps_a_huge_page_there_makes_the_call_refuse),
        TESTS_OF_EACH_FORMAT(allocator_that_retires_tables_is_served),
        TESTS_OF_EACH_FORMAT(failure_after_meddling_gives_back_only_its_own),
        TESTS_OF_EACH_FORMAT(allocator_that_maps_in_the_source_is_seen_by_the_copy),
        TESTS_OF_EACH_FORMAT(allocator_that_maps_in_the_copy_makes_the_copy_refuse),
    };

    return cmocka_run_group_tests_name("faults", tests, NULL, NULL);
}
