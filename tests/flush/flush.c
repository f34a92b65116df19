/* SPDX-License-Identifier: MIT */
/* What each call leaves owed to the TLB, that it is paid before a table is freed, and break-before-make. */
#include "formats.h"
#include "memory.h"
#include "snapshot.h"
#include "test.h"
#include "watch.h"

#define RW (PT_READ | PT_WRITE)
#define RX (PT_READ | PT_EXECUTE)

/** What the architectures' manuals ask for. */
struct flush_facts {
    const char *name;
    uint8_t new_mapping_owes;
    bool breaks_before_make;
    bool latches_root; /* a change of a root entry owes everything */
};

/* clang-format off */
static const struct flush_facts flush_facts[] = {
    {"pt_x86", PT_OWES_NOTHING, false, false},
    {"pt_x86_pae", PT_OWES_NOTHING, false, true},
    {"pt_npt", PT_OWES_NOTHING, false, false},
    {"pt_ept", PT_OWES_NOTHING, false, false},
    {"pt_aarch64", PT_OWES_BARRIER, true, false},
    {"pt_armv7", PT_OWES_BARRIER, true, false},
    {"pt_sv", PT_OWES_FLUSH, false, false},
    {"test_sv39_svvptc", PT_OWES_NOTHING, false, false},
    {"pt_loongarch64", PT_OWES_FLUSH, false, false},
};
/* clang-format on */

static const struct flush_facts *facts_of(const struct pt_format *format)
{
    const struct flush_facts *found = NULL;
    size_t length = 0;

    for (size_t i = 0; i < TESTS_COUNT(flush_facts); i++)
        if (format_is_of(format, flush_facts[i].name, &length))
            found = &flush_facts[i];
    if (!found)
        fail_msg("flush.c has no facts about %s", format->name);
    return found;
}

/* The entries of one page have to agree: nothing of them changes in place. */
static bool breaks_for_rights(const struct pt_format *format, uint64_t page_size)
{
    return facts_of(format)->breaks_before_make && format_page_entries(format, page_size) > 1;
}

/* ---- Reading a flush --------------------------------------------------------------------------- */

static void check_owes_nothing(const struct pt_flush *flush)
{
    assert_false(flush->everything);
    assert_false(flush->tables_changed);
    assert_false(flush->barrier);
    assert_false(flush->global);
    assert_int_equal(flush->range_count, 0);
    assert_hex_equal(flush->retired, PT_NO_FRAME);
}

/** The ranges are sound by themselves: whole pages, none that wraps. */
static void check_ranges_are_sound(const struct pt_format *format, const struct pt_flush *flush)
{
    for (unsigned i = 0; i < flush->range_count; i++) {
        const struct pt_flush_range *range = &flush->ranges[i];

        assert_true(range->size > 0);
        assert_true(range->page_size >= format_smallest(format));
        assert_hex_equal(range->vaddr % range->page_size, 0);
        assert_hex_equal(range->size % range->page_size, 0);
        if (range->vaddr + (range->size - 1) < range->vaddr)
            fail_msg("the range of 0x%" PRIx64 " at 0x%" PRIx64 " wraps", range->size, range->vaddr);
    }
}

/** Carry out, and forget that it was done: the next call starts afresh. */
static void settle(struct fixture *f)
{
    pt_flush(&f->flush);
    memory_forget_flushes(f->memory);
}

static pt_vaddr some_page(uint64_t page_size)
{
    return 3 * page_size;
}

/* ---- New mappings ------------------------------------------------------------------------------ */

static void the_formats_owe_for_new_mappings_what_the_manuals_say(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(f->format->new_mapping_owes, facts_of(f->format)->new_mapping_owes);
}

/* The CPU has to load the root again. */
static void check_owes_root_entry(const struct pt_flush *flush)
{
    assert_true(flush->everything);
    assert_true(flush->tables_changed);
}

/* The tables, if any, are linked from a root entry that was not used. */
static void check_owes_new_mapping(const struct fixture *f, pt_vaddr vaddr, uint64_t size, uint64_t page_size,
                                   bool tables_linked)
{
    const struct pt_flush *flush = &f->flush;

    assert_hex_equal(flush->retired, PT_NO_FRAME);
    switch (facts_of(f->format)->new_mapping_owes) {
    case PT_OWES_NOTHING:
        if (tables_linked && facts_of(f->format)->latches_root)
            check_owes_root_entry(flush);
        else
            check_owes_nothing(flush);
        break;
    case PT_OWES_BARRIER:
        assert_true(flush->barrier);
        assert_false(flush->everything);
        assert_int_equal(flush->range_count, 0);
        break;
    default:
        check_owes_range(flush, vaddr, size, page_size);
        assert_int_equal(flush->tables_changed, tables_linked);
        break;
    }
}

static void a_page_mapped_over_nothing_owes_what_the_format_says(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);
        bool links = format_level_of(f->format, size) > 0;

        assert_ok(pt_map(&f->table, vaddr, 0, size, RW, &f->flush));
        check_owes_new_mapping(f, vaddr, size, size, links);
        settle(f);

        /* Its neighbour is in the same table. */
        assert_ok(pt_map(&f->table, vaddr + size, 0, size, RW, &f->flush));
        check_owes_new_mapping(f, vaddr + size, size, size, false);
        settle(f);

        /* And so is the page that was there before. */
        assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
        settle(f);
        assert_ok(pt_map(&f->table, vaddr, 0, size, RW, &f->flush));
        check_owes_new_mapping(f, vaddr, size, size, false);
        settle(f);

        assert_ok(pt_unmap_region(&f->table, 0, format_lower_last(f->format) + 1, PT_SKIP_HOLES, &f->flush));
        settle(f);
    }
}

static void a_region_mapped_over_nothing_owes_what_the_format_says(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    pt_vaddr vaddr = huge - 3 * small;
    uint64_t size = 2 * huge + 5 * small;

    assert_ok(pt_map_region(&f->table, vaddr, vaddr, size, RW, 0, &f->flush));
    check_owes_new_mapping(f, vaddr, size, small, true);
    settle(f);
    assert_ok(pt_unmap_region(&f->table, vaddr, size, 0, &f->flush));
    settle(f);

    /* With huge pages in the middle, small ones at the ends: no coarser steps than these. */
    assert_ok(pt_map_region(&f->table, vaddr, vaddr, size, RW, PT_ALLOW_HUGE, &f->flush));
    if (facts_of(f->format)->new_mapping_owes == PT_OWES_FLUSH) {
        check_ranges_are_sound(f->format, &f->flush);
        check_covers(&f->flush, vaddr, huge - vaddr, small);
        check_covers(&f->flush, huge, 2 * huge, huge);
        check_covers(&f->flush, 3 * huge, 2 * small, small);
    } else {
        check_owes_new_mapping(f, vaddr, size, small, true);
    }
    settle(f);
}

static void new_mappings_do_not_call_flush_tlb_where_nothing_is_owed(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);
    bool owed = facts_of(f->format)->new_mapping_owes == PT_OWES_FLUSH || facts_of(f->format)->latches_root;

    if (facts_of(f->format)->new_mapping_owes == PT_OWES_BARRIER)
        skip(); /* flush_tlb may be told of a barrier or not */

    for (unsigned i = 0; i < 40; i++)
        assert_ok(pt_map(&f->table, 2 * i * small, 0, small, RW, &f->flush));
    assert_ok(pt_map_region(&f->table, PT_1G, 0, 8 * small, RW, PT_ALLOW_HUGE, &f->flush));
    pt_flush(&f->flush);
    assert_int_equal(f->memory->flush_count, owed ? 1 : 0);
}

/* ---- Pages that change ------------------------------------------------------------------------- */

static void unmap_owes_the_whole_page(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        const uint64_t offsets[] = {0, 1, size / 2, size - 1};

        for (size_t i = 0; i < TESTS_COUNT(offsets); i++) {
            pt_vaddr vaddr = some_page(size);

            assert_ok(pt_map(&f->table, vaddr, 0, size, RW, &f->flush));
            settle(f);
            assert_ok(pt_unmap(&f->table, vaddr + offsets[i], NULL, &f->flush));
            check_owes_range(&f->flush, vaddr, size, size);
            assert_hex_equal(f->flush.retired, PT_NO_FRAME);

            pt_flush(&f->flush);
            assert_int_equal(f->memory->flush_count, 1);
            check_owes_range(memory_last_flush(f->memory), vaddr, size, size);
            check_owes_nothing(&f->flush);
            memory_forget_flushes(f->memory);
        }
    }
}

/* After a change of rights. */
static void check_paid_or_owed(const struct fixture *f, pt_vaddr vaddr, uint64_t size, uint64_t page_size)
{
    if (breaks_for_rights(f->format, page_size)) {
        assert_int_equal(f->memory->flush_count, size / page_size);
        for (size_t i = 0; i < f->memory->flush_count; i++)
            check_owes_range(&f->memory->flushes[i], vaddr + i * page_size, page_size, page_size);
        assert_int_equal(f->flush.range_count, 0);
        assert_true(f->flush.barrier);
    } else {
        assert_int_equal(f->memory->flush_count, 0);
        check_owes_range(&f->flush, vaddr, size, page_size);
    }
}

static void protect_owes_the_whole_page(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);

        assert_ok(pt_map(&f->table, vaddr, 0, size, RW, &f->flush));
        settle(f);

        assert_ok(pt_protect(&f->table, vaddr + size / 2 + 1, PT_READ, NULL, &f->flush));
        check_paid_or_owed(f, vaddr, size, size);
        settle(f);

        /* Taking all access away, which makes the entry invalid, owes it as well. */
        assert_ok(pt_protect(&f->table, vaddr + size - 1, 0, NULL, &f->flush));
        check_owes_range(&f->flush, vaddr, size, size);
        settle(f);
    }
}

static void remap_owes_the_whole_page(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);

        assert_ok(pt_map(&f->table, vaddr, 0, size, RW, &f->flush));
        settle(f);

        assert_ok(pt_remap(&f->table, vaddr + size / 2, size, RW, NULL, &f->flush));
        if (facts_of(f->format)->breaks_before_make) {
            assert_int_equal(f->memory->flush_count, 1);
            check_covers(memory_last_flush(f->memory), vaddr, size, size);
            assert_true(f->flush.barrier);
        } else {
            assert_int_equal(f->memory->flush_count, 0);
            check_owes_range(&f->flush, vaddr, size, size);
        }
        settle(f);
    }
}

/* ---- Regions ----------------------------------------------------------------------------------- */

static void unmap_region_owes_the_region(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);

        for (unsigned i = 0; i < 6; i++)
            assert_ok(pt_map(&f->table, vaddr + i * size, 0, size, RW, &f->flush));
        settle(f);
        assert_ok(pt_unmap_region(&f->table, vaddr + size, 4 * size, 0, &f->flush));
        check_owes_range(&f->flush, vaddr + size, 4 * size, size);
        settle(f);
        assert_ok(pt_unmap_region(&f->table, 0, format_lower_last(f->format) + 1, PT_SKIP_HOLES, &f->flush));
        settle(f);
    }
}

static void protect_region_owes_the_region(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);

        for (unsigned i = 0; i < 6; i++)
            assert_ok(pt_map(&f->table, vaddr + i * size, 0, size, RW, &f->flush));
        settle(f);
        assert_ok(pt_protect_region(&f->table, vaddr + size, 4 * size, PT_READ, 0, &f->flush));
        check_paid_or_owed(f, vaddr + size, 4 * size, size);
        assert_false(f->flush.tables_changed);
        settle(f);
        assert_ok(pt_unmap_region(&f->table, 0, format_lower_last(f->format) + 1, PT_SKIP_HOLES, &f->flush));
        settle(f);
    }
}

/** Small pages, huge pages, small pages: none may be passed over by the steps of its neighbour. */
static void a_region_of_mixed_pages_is_owed_in_steps_of_its_pages(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    pt_vaddr vaddr = 4 * huge - 3 * small;
    uint64_t size = 2 * huge + 5 * small;

    assert_ok(pt_map_region(&f->table, vaddr, vaddr, size, RW, PT_ALLOW_HUGE, &f->flush));
    assert_mapped(&f->table, 4 * huge, 4 * huge, huge, RW);
    settle(f);

    assert_ok(pt_protect_region(&f->table, vaddr, size, PT_READ, 0, &f->flush));
    check_ranges_are_sound(f->format, &f->flush);
    check_covers(&f->flush, vaddr, 3 * small, small);
    check_covers(&f->flush, 4 * huge, 2 * huge, huge);
    check_covers(&f->flush, 6 * huge, 2 * small, small);
    settle(f);

    assert_ok(pt_unmap_region(&f->table, vaddr, size, 0, &f->flush));
    check_ranges_are_sound(f->format, &f->flush);
    check_covers(&f->flush, vaddr, 3 * small, small);
    check_covers(&f->flush, 4 * huge, 2 * huge, huge);
    check_covers(&f->flush, 6 * huge, 2 * small, small);
    settle(f);
}

static void a_region_with_holes_owes_all_its_pages(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);
    uint64_t span = format_leaf_table(f->format);
    static const unsigned pages[] = {1, 2, 7, 8, 300, 511, 512, 1030};
    size_t count = pages[TESTS_COUNT(pages) - 1] * small < 3 * span ? TESTS_COUNT(pages) : TESTS_COUNT(pages) - 1;

    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++)
            assert_ok(pt_map(&f->table, pages[i] * small, 0, small, RW, &f->flush));
        settle(f);
        if (round == 0) {
            assert_ok(pt_protect_region(&f->table, small, 3 * span, PT_READ, PT_SKIP_HOLES, &f->flush));
        } else {
            assert_ok(pt_unmap_region(&f->table, small, 3 * span, PT_SKIP_HOLES, &f->flush));
        }
        check_ranges_are_sound(f->format, &f->flush);
        for (size_t i = 0; i < count; i++)
            check_covers(&f->flush, pages[i] * small, small, small);
        settle(f);
        assert_ok(pt_unmap_region(&f->table, 0, 4 * span, PT_SKIP_HOLES, &f->flush));
        settle(f);
    }
}

static void an_empty_region_owes_nothing(void **state)
{
    struct fixture *f = *state;

    assert_ok(pt_map_region(&f->table, 0, 0, 0, RW, 0, &f->flush));
    assert_ok(pt_unmap_region(&f->table, 0, 0, 0, &f->flush));
    assert_ok(pt_protect_region(&f->table, 0, 0, RW, 0, &f->flush));
    check_owes_nothing(&f->flush);
    pt_flush(&f->flush);
    assert_int_equal(f->memory->flush_count, 0);
}

/* ---- What a flush remembers -------------------------------------------------------------------- */

/** `count` pages, every second one, so that no two ranges are adjacent. */
static void map_apart(struct fixture *f, unsigned count)
{
    uint64_t small = format_smallest(f->format);

    for (unsigned i = 0; i < count; i++)
        assert_ok(pt_map(&f->table, 2 * i * small, 0, small, RW, &f->flush));
    settle(f);
}

static void thirty_two_ranges_are_remembered_and_the_next_is_everything(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);

    map_apart(f, 40);
    for (unsigned i = 0; i < PT_FLUSH_RANGES; i++) {
        assert_ok(pt_unmap(&f->table, 2 * i * small, NULL, &f->flush));
        assert_false(f->flush.everything);
        assert_int_equal(f->flush.range_count, i + 1);
    }
    for (unsigned i = 0; i < PT_FLUSH_RANGES; i++)
        check_covers(&f->flush, 2 * i * small, small, small);

    assert_ok(pt_unmap(&f->table, 2 * PT_FLUSH_RANGES * small, NULL, &f->flush));
    assert_true(f->flush.everything);
    assert_ok(pt_unmap(&f->table, 2 * (PT_FLUSH_RANGES + 1) * small, NULL, &f->flush));
    assert_true(f->flush.everything);
    assert_true(f->flush.range_count <= PT_FLUSH_RANGES);

    pt_flush(&f->flush);
    assert_int_equal(f->memory->flush_count, 1);
    assert_true(memory_last_flush(f->memory)->everything);

    /* Everything is over with it. */
    check_owes_nothing(&f->flush);
    memory_forget_flushes(f->memory);
    assert_ok(pt_unmap(&f->table, 2 * 35 * small, NULL, &f->flush));
    check_owes_range(&f->flush, 2 * 35 * small, small, small);
}

static void adjacent_pages_lose_nothing_by_being_merged(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);

    /* Upwards, downwards, and with a huge page between small ones. */
    assert_ok(pt_map_region(&f->table, huge, huge, 3 * huge, RW, PT_ALLOW_HUGE, &f->flush));
    assert_ok(pt_map_region(&f->table, 0, 0, huge, RW, 0, &f->flush));
    assert_ok(pt_map_region(&f->table, 4 * huge, 0, huge / 2, RW, 0, &f->flush));
    settle(f);

    for (pt_vaddr vaddr = 0; vaddr < huge; vaddr += small)
        assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, huge, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 2 * huge, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 3 * huge, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 4 * huge, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 4 * huge + small, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 4 * huge + 3 * small, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 4 * huge + 2 * small, NULL, &f->flush));

    check_ranges_are_sound(f->format, &f->flush);
    check_covers(&f->flush, 0, huge, small);
    check_covers(&f->flush, huge, 3 * huge, huge);
    check_covers(&f->flush, 4 * huge, 4 * small, small);
    settle(f);

    /* A huge page first: the small one after it must not drown in its steps. */
    assert_ok(pt_map_region(&f->table, huge, huge, 2 * huge, RW, PT_ALLOW_HUGE, &f->flush));
    assert_ok(pt_map_region(&f->table, 3 * huge, 0, 2 * small, RW, 0, &f->flush));
    settle(f);
    assert_ok(pt_unmap(&f->table, huge, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 2 * huge, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 3 * huge, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, 3 * huge + small, NULL, &f->flush));
    check_ranges_are_sound(f->format, &f->flush);
    check_covers(&f->flush, huge, 2 * huge, huge);
    check_covers(&f->flush, 3 * huge, 2 * small, small);
}

static void a_page_that_changes_again_and_again_owes_no_other_page(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);
    pt_vaddr vaddr = 5 * small;

    assert_ok(pt_map_region(&f->table, vaddr - small, 0, 3 * small, RW, 0, &f->flush));
    settle(f);
    for (unsigned i = 0; i < 5; i++)
        assert_ok(pt_protect(&f->table, vaddr, i % 2 ? RW : PT_READ, NULL, &f->flush));
    assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
    assert_false(f->flush.everything);
    assert_true(f->flush.range_count > 0);
    for (unsigned i = 0; i < f->flush.range_count; i++) {
        assert_hex_equal(f->flush.ranges[i].vaddr, vaddr);
        assert_hex_equal(f->flush.ranges[i].size, small);
    }
}

static void a_range_may_end_at_the_end_of_the_address_space_but_not_wrap(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);
    pt_vaddr last = 0 - small;

    if (format_upper_first(f->format) == 0)
        skip();
    assert_ok(pt_map(&f->table, last, 0, small, RW, &f->flush));
    assert_ok(pt_map(&f->table, 0, 0, small, RW, &f->flush));
    settle(f);

    assert_ok(pt_unmap(&f->table, last, NULL, &f->flush));
    check_owes_range(&f->flush, last, small, small);
    assert_ok(pt_unmap(&f->table, 0, NULL, &f->flush));
    check_ranges_are_sound(f->format, &f->flush);
    check_covers(&f->flush, last, small, small);
    check_covers(&f->flush, 0, small, small);
}

static void a_flush_says_whose_it_is(void **state)
{
    struct fixture *f = *state;

    assert_ptr_equal(f->flush.format, f->format);
    assert_ptr_equal(f->flush.handler, &f->memory->handler);
    assert_ptr_equal(f->flush.ctx, f->memory);
    check_owes_nothing(&f->flush);
}

static void a_flush_gathers_many_calls_into_one_invalidation(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);

    map_apart(f, 10);
    assert_ok(pt_map_region(&f->table, 4 * huge, 0, huge, RW, 0, &f->flush));
    settle(f);

    assert_ok(pt_unmap(&f->table, 0, NULL, &f->flush));
    assert_ok(pt_protect(&f->table, 4 * small, PT_READ, NULL, &f->flush));
    assert_ok(pt_unmap_region(&f->table, 4 * huge, huge, 0, &f->flush));
    assert_ok(pt_map(&f->table, 9 * small, 0, small, RW, &f->flush));
    pt_flush(&f->flush);

    assert_int_equal(f->memory->flush_count, 1);
    check_covers(memory_last_flush(f->memory), 0, small, small);
    check_covers(memory_last_flush(f->memory), 4 * small, small, small);
    check_covers(memory_last_flush(f->memory), 4 * huge, huge, small);
    assert_true(memory_last_flush(f->memory)->tables_changed);
}

/* ---- Failed calls ------------------------------------------------------------------------------ */

static pt_paddr same_frame(void *arg, pt_vaddr vaddr)
{
    (void)vaddr;
    return *(pt_paddr *)arg;
}

/** Every way to fail leaves each bit of the flush, unused ranges too. */
static void a_failed_call_does_not_touch_the_flush(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    pt_paddr unaligned = small / 2;
    pt_flags bad = PT_ALL_FLAGS + 1;
    struct page_table *pt = &f->table;
    struct pt_flush *flush = &f->flush;
    struct pt_flush before;
    unsigned refusals = 0;

    memset(flush, 0x5a, sizeof(*flush));
    pt_flush_init(flush, pt);
    assert_ok(pt_map_region(pt, 0, 0, 8 * small, RW, 0, flush));
    assert_ok(pt_map(pt, 4 * huge, 0, huge, RW, flush));
    for (unsigned round = 0; round < 3; round++) {
#define REFUSED(status, call)                                                                                          \
    do {                                                                                                               \
        memcpy(&before, flush, sizeof(before));                                                                        \
        assert_status(call, status);                                                                                   \
        assert_memory_equal(&before, flush, sizeof(before));                                                           \
        refusals++;                                                                                                    \
    } while (0)
        REFUSED(PT_ALREADY_MAPPED, pt_map(pt, small, 0, small, RW, flush));
        REFUSED(PT_ALREADY_MAPPED, pt_map(pt, 0, 0, huge, RW, flush));
        REFUSED(PT_MAPPED_TO_HUGE_PAGE, pt_map(pt, 4 * huge + small, 0, small, RW, flush));
        REFUSED(PT_NOT_ALIGNED, pt_map(pt, 10 * small, unaligned, small, RW, flush));
        REFUSED(PT_BAD_SIZE, pt_map(pt, 10 * small, 0, 3 * small, RW, flush));
        REFUSED(PT_BAD_FLAGS, pt_map(pt, 10 * small, 0, small, bad, flush));
        REFUSED(PT_BAD_ADDRESS, pt_map(pt, UINT64_C(1) << 62, 0, small, RW, flush));
        REFUSED(PT_NOT_MAPPED, pt_unmap(pt, 10 * small, NULL, flush));
        REFUSED(PT_BAD_ADDRESS, pt_unmap(pt, UINT64_C(1) << 62, NULL, flush));
        REFUSED(PT_NOT_MAPPED, pt_protect(pt, 10 * small, RW, NULL, flush));
        REFUSED(PT_BAD_FLAGS, pt_protect(pt, 0, bad, NULL, flush));
        REFUSED(PT_NOT_MAPPED, pt_remap(pt, 10 * small, 0, RW, NULL, flush));
        REFUSED(PT_NOT_ALIGNED, pt_remap(pt, 0, unaligned, RW, NULL, flush));
        REFUSED(PT_NOT_ALIGNED, pt_remap(pt, 4 * huge, small, RW, NULL, flush));
        REFUSED(PT_BAD_FLAGS, pt_remap(pt, 0, 0, bad, NULL, flush));
        /* What comes first is fine, the last page is not. */
        REFUSED(PT_NOT_MAPPED, pt_unmap_region(pt, 0, 9 * small, 0, flush));
        REFUSED(PT_NOT_MAPPED, pt_protect_region(pt, 0, 9 * small, PT_READ, 0, flush));
        REFUSED(PT_BAD_FLAGS, pt_protect_region(pt, 0, small, bad, 0, flush));
        REFUSED(PT_ALREADY_MAPPED, pt_map_region(pt, 2 * huge, 0, 3 * huge, RW, PT_ALLOW_HUGE, flush));
        REFUSED(PT_NOT_ALIGNED, pt_map_region(pt, 2 * huge, unaligned, small, RW, 0, flush));
        REFUSED(PT_NOT_ALIGNED, pt_map_region_with(pt, 2 * huge, same_frame, &unaligned, small, RW, 0, flush));
        REFUSED(PT_MAPPED_TO_HUGE_PAGE, pt_unmap_region(pt, 4 * huge, small, PT_NO_SPLIT, flush));
        REFUSED(PT_MAPPED_TO_HUGE_PAGE, pt_protect_region(pt, 4 * huge + small, huge - small, 0, PT_NO_SPLIT, flush));
        REFUSED(PT_BAD_SIZE, pt_split(pt, 4 * huge, 3 * small, flush));
        REFUSED(PT_NOT_MAPPED, pt_split(pt, 10 * small, small, flush));
        REFUSED(PT_NOT_ALIGNED, pt_collapse(pt, 1, small, flush));
        REFUSED(PT_BAD_ADDRESS, pt_collapse(pt, UINT64_C(1) << 62, small, flush));
        REFUSED(PT_NOT_ALIGNED, pt_prune(pt, small, 1, flush));
        REFUSED(PT_BAD_ADDRESS, pt_prune(pt, UINT64_C(1) << 62, small, flush));
        REFUSED(f->format->tracks_access ? PT_NOT_ALIGNED : PT_BAD_FORMAT,
                pt_clear_accessed(pt, 1, small, NULL, NULL, flush));
        REFUSED(f->format->tracks_access ? PT_BAD_ADDRESS : PT_BAD_FORMAT,
                pt_clear_dirty(pt, UINT64_C(1) << 62, small, NULL, NULL, flush));
        memory_fail_after(f->memory, 2);
        REFUSED(PT_NO_MEMORY,
                pt_map_region(pt, 8 * huge, 0, 4 * format_tables_in_frame(f->format) * huge, RW, 0, flush));
        memory_fail_after(f->memory, 1);
        REFUSED(PT_NO_MEMORY, pt_split(pt, 4 * huge, small, flush));
        REFUSED(PT_NO_MEMORY, pt_unmap_region(pt, 4 * huge + small, small, 0, flush));
        REFUSED(PT_NO_MEMORY, pt_protect_region(pt, 4 * huge + small, small, PT_READ, 0, flush));
        memory_fail_never(f->memory);
#undef REFUSED
        /* The next round has something pending, the last one too much. */
        if (round == 0)
            assert_ok(pt_protect(pt, 7 * small, PT_READ, NULL, flush));
        if (round == 1)
            for (unsigned i = 0; i < 40; i++)
                assert_ok(pt_protect(pt, (i & 1 ? 3 : 5) * small, i & 2 ? RW : PT_READ, NULL, flush));
    }
    assert_int_equal(refusals, 3 * 35);
    assert_true(flush->everything);
    assert_int_equal(f->memory->flush_count, 0);
}

/* ---- Retired tables ---------------------------------------------------------------------------- */

struct retirement {
    struct memory *memory;
    size_t taken, calls;
};

/** In flush_tlb: no table has been freed yet. */
static void still_all_there(void *arg, const struct pt_flush *flush)
{
    struct retirement *retirement = arg;

    (void)flush;
    retirement->calls++;
    assert_int_equal(retirement->memory->taken, retirement->taken);
}

static void watch(struct fixture *f, struct retirement *retirement)
{
    *retirement = (struct retirement){.memory = f->memory, .taken = f->memory->taken};
    f->memory->on_flush = still_all_there;
    f->memory->on_flush_arg = retirement;
    memory_hold(f->memory);
}

/** Of frames: two tables may share one. */
static size_t retired_by_some(const struct fixture *f)
{
    return format_tables_in_frame(f->format) > 1 ? 1 : 2;
}

/** Tables that hold two huge pages' worth of small pages, then the region is unmapped: nothing is settled. */
static size_t retire_some(struct fixture *f)
{
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    size_t before;

    /* Another page near, so that no more than the two tables go. */
    assert_ok(pt_map(&f->table, 0, 0, small, RW, &f->flush));
    settle(f);
    before = f->memory->taken;
    assert_ok(pt_map_region(&f->table, 4 * huge, 0, 2 * huge, RW, 0, &f->flush));
    assert_int_equal(f->memory->taken, before + retired_by_some(f));
    settle(f);
    assert_ok(pt_unmap_region(&f->table, 4 * huge, 2 * huge, 0, &f->flush));
    return before;
}

static void retired_tables_are_freed_after_the_invalidation_and_once(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    struct retirement retirement;
    size_t before = retire_some(f);
    size_t frees = f->memory->frees;

    assert_true(f->flush.tables_changed);
    assert_true(f->flush.retired != PT_NO_FRAME);
    check_covers(&f->flush, 4 * huge, 2 * huge, small);
    assert_int_equal(f->memory->taken, before + retired_by_some(f));
    assert_int_equal(f->memory->flush_count, 0);
    assert_not_mapped(&f->table, 4 * huge);

    watch(f, &retirement);
    pt_flush(&f->flush);
    assert_int_equal(retirement.calls, 1);
    assert_true(memory_last_flush(f->memory)->tables_changed);
    assert_int_equal(f->memory->taken, before);
    assert_int_equal(f->memory->frees, frees + retired_by_some(f));
    check_owes_nothing(&f->flush);

    /* Nothing is left for a second time. */
    pt_flush(&f->flush);
    pt_flush_ignore(&f->flush);
    assert_int_equal(retirement.calls, 1);
    assert_int_equal(f->memory->frees, frees + retired_by_some(f));
}

static void retired_tables_of_all_levels_are_freed_after_the_invalidation(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    /* A root entry, or where that is a table of the last level, several. */
    uint64_t region = f->format->levels > 2 ? format_entry_size(f->format, 0) : 8 * huge;
    size_t tables = 6, in_frame = format_tables_in_frame(f->format), before = f->memory->taken;
    struct retirement retirement;

    for (unsigned i = 0; i < 5; i++)
        assert_ok(pt_map(&f->table, i * (huge + small), 0, small, RW, &f->flush));
    assert_ok(pt_map(&f->table, region - small, 0, small, RW, &f->flush));
    settle(f);
    assert_true(f->memory->taken >= before + tables / in_frame + (f->format->levels > 2));

    watch(f, &retirement);
    assert_ok(pt_unmap_region(&f->table, 0, region, PT_SKIP_HOLES, &f->flush));
    assert_true(f->flush.tables_changed);
    for (unsigned i = 0; i < 5; i++)
        check_covers(&f->flush, i * (huge + small), small, small);
    check_covers(&f->flush, region - small, small, small);
    assert_int_equal(f->memory->taken, retirement.taken);
    pt_flush(&f->flush);
    assert_int_equal(retirement.calls, 1);
    assert_int_equal(f->memory->taken, before);
}

/** Whatever the numbers of their frames: no frame ends the list of those that wait. */
static void retired_tables_may_lie_in_the_first_and_the_last_frame(void **state)
{
    struct fixture *outer = *state;
    const struct pt_format *format = outer->format;
    uint64_t small = format_smallest(format), huge = format_leaf_table(format);
    const size_t root = format_root_entries(format),
                 most = root > format_entries(format) ? root : format_entries(format);
    const size_t bytes = most * format_entry_bytes(format);
    const uint64_t room = bytes < PT_FRAME_SIZE ? PT_FRAME_SIZE : bytes; /* for the largest table */
    const pt_paddr last_frame = format_table_limit(format, true) - room;
    const uint64_t step = format_tables_in_frame(format) * huge; /* to the next frame for tables */

    for (unsigned round = 0; round < 4; round++) {
        pt_paddr base = round < 2 ? 0 : last_frame - 15 * room;
        struct memory memory;
        struct fixture f = {.format = format, .memory = &memory};
        size_t before;

        memory_init(&memory, base, 16 * (size_t)(room / PT_FRAME_SIZE));
        memory_serve_next(&memory, base + 4 * room);
        assert_ok(pt_create(&f.table, format, &memory.handler, &memory));
        pt_flush_init(&f.flush, &f.table);
        assert_ok(pt_map(&f.table, 0, 0, small, RW, &f.flush));
        before = memory.taken;
        if (round % 2 == 0)
            memory_serve_next(&memory, round < 2 ? 0 : last_frame);
        assert_ok(pt_map(&f.table, step, 0, small, RW, &f.flush));
        if (round % 2 == 1)
            memory_serve_next(&memory, round < 2 ? 0 : last_frame);
        assert_ok(pt_map(&f.table, 2 * step, 0, small, RW, &f.flush));
        pt_flush(&f.flush);
        if (!(base == 0 && format_facts(format)->no_table_at_zero))
            assert_true(memory_is_taken(&memory, round < 2 ? 0 : last_frame));
        assert_int_equal(memory.taken, before + 2);

        assert_ok(pt_unmap_region(&f.table, step, 2 * step, PT_SKIP_HOLES, &f.flush));
        assert_int_equal(memory.taken, before + 2);
        pt_flush(&f.flush);
        assert_int_equal(memory.taken, before);
        pt_destroy(&f.table);
        memory_end(&memory);
    }
}

static void ignoring_a_flush_frees_the_tables_without_invalidating(void **state)
{
    struct fixture *f = *state;
    size_t before = retire_some(f);

    pt_flush_ignore(&f->flush);
    assert_int_equal(f->memory->flush_count, 0);
    assert_int_equal(f->memory->taken, before);
    check_owes_nothing(&f->flush);

    pt_flush(&f->flush);
    assert_int_equal(f->memory->flush_count, 0);
}

static void flushing_twice_is_harmless(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);

    map_apart(f, 2);
    assert_ok(pt_unmap(&f->table, 0, NULL, &f->flush));
    pt_flush(&f->flush);
    pt_flush(&f->flush);
    assert_int_equal(f->memory->flush_count, 1);

    /* And it may be used again. */
    assert_ok(pt_unmap(&f->table, 2 * small, NULL, &f->flush));
    pt_flush(&f->flush);
    assert_int_equal(f->memory->flush_count, 2);
    check_owes_range(memory_last_flush(f->memory), 2 * small, small, small);
}

static void a_flush_outlives_its_table(void **state)
{
    struct fixture *f = *state;

    retire_some(f);
    pt_destroy(&f->table);
    assert_int_equal(f->memory->taken, retired_by_some(f));
    pt_flush(&f->flush);
    assert_int_equal(f->memory->flush_count, 1);
    assert_int_equal(f->memory->taken, 0);
}

/** Frames that wait for a flush are not given to a mapping that comes before it. */
static void a_retired_table_is_not_used_again_before_the_flush(void **state)
{
    struct fixture *f = *state;
    uint64_t huge = format_leaf_table(f->format);
    size_t taken;

    retire_some(f);
    taken = f->memory->taken;
    f->memory->reuse_soon = true;
    memory_hold(f->memory);
    assert_ok(pt_map_region(&f->table, 4 * huge, 0, 2 * huge, RW, 0, &f->flush));
    assert_int_equal(f->memory->taken, taken + retired_by_some(f));
    assert_mapped(&f->table, 5 * huge, huge, format_smallest(f->format), RW);
    pt_flush(&f->flush);
    assert_int_equal(f->memory->taken, taken);
    assert_mapped(&f->table, 5 * huge, huge, format_smallest(f->format), RW);
}

static void a_flush_without_a_flush_tlb_frees_the_tables(void **state)
{
    struct fixture *f = *state;
    size_t before;

#if defined(__x86_64__)
    if (strncmp(format_facts(f->format)->name, "pt_x86", strlen("pt_x86")) == 0)
        skip(); /* this CPU's own format: the instructions are privileged */
#endif
    before = retire_some(f);
    f->memory->handler.flush_tlb = NULL;
    pt_flush(&f->flush);
    assert_int_equal(f->memory->taken, before);
    check_owes_nothing(&f->flush);
}

/* ---- PT_FLUSH ---------------------------------------------------------------------------------- */

static void unmap_and_fall_out(struct fixture *f, pt_vaddr vaddr)
{
    PT_FLUSH(flush, &f->table);

    assert_ok(pt_unmap(&f->table, vaddr, NULL, &flush));
    assert_int_equal(f->memory->flush_count, 0);
}

static enum pt_status unmap_and_return(struct fixture *f, pt_vaddr vaddr)
{
    PT_FLUSH(flush, &f->table);
    enum pt_status status = pt_unmap(&f->table, vaddr, NULL, &flush);

    if (status == PT_OK)
        return status;
    fail();
    return status;
}

static void unmap_and_goto(struct fixture *f, pt_vaddr vaddr)
{
    {
        PT_FLUSH(flush, &f->table);

        assert_ok(pt_unmap(&f->table, vaddr, NULL, &flush));
        if (flush.range_count == 1)
            goto out;
        fail();
    }
out:
    assert_int_equal(f->memory->flush_count, 1);
}

static void a_flush_carries_itself_out_when_its_scope_is_left(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);

    map_apart(f, 6);

    unmap_and_fall_out(f, 0);
    assert_int_equal(f->memory->flush_count, 1);
    check_owes_range(memory_last_flush(f->memory), 0, small, small);
    memory_forget_flushes(f->memory);

    assert_ok(unmap_and_return(f, 2 * small));
    assert_int_equal(f->memory->flush_count, 1);
    check_owes_range(memory_last_flush(f->memory), 2 * small, small, small);
    memory_forget_flushes(f->memory);

    unmap_and_goto(f, 4 * small);
    assert_int_equal(f->memory->flush_count, 1);
    memory_forget_flushes(f->memory);

    for (unsigned i = 3; i < 6; i++) {
        PT_FLUSH(flush, &f->table);

        assert_ok(pt_unmap(&f->table, 2 * i * small, NULL, &flush));
        if (i == 3)
            continue;
        assert_int_equal(f->memory->flush_count, 1);
        break;
    }
    assert_int_equal(f->memory->flush_count, 2);
    check_owes_range(memory_last_flush(f->memory), 8 * small, small, small);
    memory_forget_flushes(f->memory);

    /* With nothing owed nothing happens. */
    {
        PT_FLUSH(flush, &f->table);
        check_owes_nothing(&flush);
    }
    assert_int_equal(f->memory->flush_count, 0);
}

/* ---- Huge pages over empty tables -------------------------------------------------------------- */

static void a_huge_page_over_an_empty_table_retires_it(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    bool breaks = facts_of(f->format)->breaks_before_make;
    pt_vaddr vaddr = 4 * huge;
    struct retirement retirement;
    size_t frees;

    assert_ok(pt_map_region(&f->table, vaddr, 0, huge, RW, 0, &f->flush));
    for (uint64_t offset = 0; offset < huge; offset += small)
        assert_ok(pt_unmap(&f->table, vaddr + offset, NULL, &f->flush));
    assert_hex_equal(f->flush.retired, PT_NO_FRAME);
    settle(f);

    frees = f->memory->frees;
    watch(f, &retirement);
    assert_ok(pt_map(&f->table, vaddr, huge, huge, RW, &f->flush));
    assert_mapped(&f->table, vaddr + small, huge + small, huge, RW);
    assert_true(f->flush.retired != PT_NO_FRAME);
    assert_int_equal(f->memory->frees, frees);
    assert_int_equal(retirement.calls, breaks ? 1 : 0);

    pt_flush(&f->flush);
    assert_true(retirement.calls >= 1);
    assert_true(f->memory->flushes[0].tables_changed);
    check_covers(&f->memory->flushes[0], vaddr, huge, huge);
    assert_int_equal(f->memory->frees, frees + 1);
    assert_int_equal(f->memory->taken, retirement.taken - 1);
}

/** 1G over 2M tables over 4K tables: the MMU may remember each of them, under the addresses that each translates. */
static void a_huge_page_over_empty_tables_of_two_levels_invalidates_each(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    uint64_t giant = f->format->levels > 2 ? format_entry_size(f->format, f->format->levels - 3u) : 0;
    struct retirement retirement;
    size_t frees;

    if (!(f->format->page_sizes & giant))
        skip(); /* no page takes the place of two levels */
    for (unsigned i = 0; i < 5; i++)
        assert_ok(pt_map(&f->table, giant + i * huge + i * small, 0, small, RW, &f->flush));
    for (unsigned i = 0; i < 5; i++)
        assert_ok(pt_unmap(&f->table, giant + i * huge + i * small, NULL, &f->flush));
    settle(f);

    frees = f->memory->frees;
    watch(f, &retirement);
    assert_ok(pt_map(&f->table, giant, giant, giant, RW, &f->flush));
    assert_int_equal(f->memory->frees, frees);
    pt_flush(&f->flush);
    assert_true(retirement.calls >= 1);
    assert_true(f->memory->flushes[0].tables_changed);
    check_covers(&f->memory->flushes[0], giant, 5 * huge, huge);
    assert_int_equal(f->memory->frees, frees + 6);
    assert_mapped(&f->table, giant + huge, giant + huge, giant, RW);
}

/* ---- Sharing ----------------------------------------------------------------------------------- */

static void copying_from_another_table_owes_what_new_mappings_owe(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), unit = format_copy_unit(f->format);
    struct page_table copy;
    struct pt_flush flush;

    assert_ok(pt_map(&f->table, unit + small, 0, small, RW, &f->flush));
    settle(f);
    assert_ok(pt_create(&copy, f->format, &f->memory->handler, f->memory));
    pt_flush_init(&flush, &copy);

    assert_ok(pt_copy_from(&copy, &f->table, unit, unit, &flush));
    assert_mapped(&copy, unit + small, 0, small, RW);
    assert_hex_equal(flush.retired, PT_NO_FRAME);
    switch (facts_of(f->format)->new_mapping_owes) {
    case PT_OWES_NOTHING:
        if (facts_of(f->format)->latches_root)
            check_owes_root_entry(&flush);
        else
            check_owes_nothing(&flush);
        break;
    case PT_OWES_BARRIER:
        assert_true(flush.barrier);
        assert_int_equal(flush.range_count, 0);
        break;
    default:
        check_ranges_are_sound(f->format, &flush);
        check_covers(&flush, unit + small, small, small);
        assert_true(flush.tables_changed);
        break;
    }
    pt_flush(&flush);

    /* The same again changes nothing, and owes nothing. */
    memory_forget_flushes(f->memory);
    assert_ok(pt_copy_from(&copy, &f->table, unit, unit, &flush));
    check_owes_nothing(&flush);
    pt_destroy(&copy);
}

/** Tables of the copy's own, several levels of them and empty, give way: after the invalidation, under each address. */
static void own_tables_that_a_copy_replaces_are_retired(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    uint64_t unit = format_copy_unit(f->format), entry = format_entry_size(f->format, 0), region = unit;
    uint64_t step = format_tables_in_frame(f->format) * huge; /* to the next frame for tables */
    bool one_by_one = f->format->levels == 2 && facts_of(f->format)->breaks_before_make;
    struct page_table copy;
    struct pt_flush flush;
    struct retirement retirement;
    size_t before;

    while (region < 3 * step)
        region += unit;
    for (uint64_t offset = 0; offset < region; offset += entry)
        assert_ok(pt_map(&f->table, region + offset + small, 0, small, RW, &f->flush));
    settle(f);
    assert_ok(pt_create(&copy, f->format, &f->memory->handler, f->memory));
    pt_flush_init(&flush, &copy);
    before = f->memory->taken;
    for (unsigned i = 0; i < 3; i++)
        assert_ok(pt_map(&copy, region + i * step, 0, small, RW, &flush));
    for (unsigned i = 0; i < 3; i++)
        assert_ok(pt_unmap(&copy, region + i * step, NULL, &flush));
    pt_flush(&flush);
    memory_forget_flushes(f->memory);
    assert_true(f->memory->taken >= before + 3);

    watch(f, &retirement);
    assert_ok(pt_copy_from(&copy, &f->table, region, region, &flush));
    assert_int_equal(f->memory->taken, retirement.taken);
    pt_flush(&flush);
    assert_true(retirement.calls >= (one_by_one ? 3 : 1));
    for (unsigned i = 0; i < 3; i++) {
        assert_true(f->memory->flushes[one_by_one ? i : 0].tables_changed);
        check_covers(&f->memory->flushes[one_by_one ? i : 0], region + i * step, huge, huge);
    }
    assert_int_equal(f->memory->taken, before);
    assert_mapped(&copy, region + small, 0, small, RW);
    f->memory->on_flush = NULL;
    pt_destroy(&copy);
}

/* ---- Break before make ------------------------------------------------------------------------- */

/** Nobody was called where breaking is not needed; once, with the entry at zero, where it is. */
static void check_broken(const struct fixture *f, struct breaking *breaking, pt_vaddr vaddr, uint64_t size, bool needed)
{
    assert_int_equal(breaking->calls, needed ? 1 : 0);
    assert_int_equal(breaking->zero, breaking->calls);
    assert_true(slot_get(breaking->slot) != 0);
    if (needed)
        check_covers(memory_last_flush(f->memory), vaddr, size, size);
}

static void remap_breaks_before_it_makes(void **state)
{
    struct fixture *f = *state;
    bool breaks = facts_of(f->format)->breaks_before_make;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);
        struct breaking breaking;

        assert_ok(pt_map(&f->table, vaddr, size, size, RW, &f->flush));
        settle(f);
        watch_page(f, &breaking, vaddr, size);
        assert_ok(pt_remap(&f->table, vaddr, 2 * size, RW, NULL, &f->flush));
        check_broken(f, &breaking, vaddr, size, breaks);
        assert_int_equal(f->flush.barrier, breaks);
        assert_mapped(&f->table, vaddr, 2 * size, size, RW);
        settle(f);

        /* The same frame with other rights: nothing to break, unless the page has several entries. */
        watch_page(f, &breaking, vaddr, size);
        assert_ok(pt_remap(&f->table, vaddr, 2 * size, PT_READ, NULL, &f->flush));
        check_broken(f, &breaking, vaddr, size, breaks_for_rights(f->format, size));
        f->memory->on_flush = NULL;
        settle(f);
    }
}

static void protect_breaks_only_for_memory_type_and_global(void **state)
{
    struct fixture *f = *state;
    bool breaks = facts_of(f->format)->breaks_before_make;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);

        for (pt_flags from = 0; from <= PT_ALL_FLAGS; from++)
            for (pt_flags to = 0; to <= PT_ALL_FLAGS; to++) {
                static const pt_flags attributes = PT_DEVICE | PT_UNCACHED | PT_GLOBAL;
                static const pt_flags rights = PT_READ | PT_WRITE | PT_EXECUTE;
                pt_flags breaking_change = breaks_for_rights(f->format, size) ? PT_ALL_FLAGS : attributes;
                pt_flags change = format_reads_back(f->format, from) ^ format_reads_back(f->format, to);
                struct breaking breaking;

                assert_ok(pt_map(&f->table, vaddr, 0, size, from, &f->flush));
                pt_flush_ignore(&f->flush);
                memory_forget_flushes(f->memory);
                watch_page(f, &breaking, vaddr, size);
                assert_ok(pt_protect(&f->table, vaddr, to, NULL, &f->flush));
                /* An entry without access is invalid: what follows it is made after a break. */
                check_broken(f, &breaking, vaddr, size,
                             breaks && (change & breaking_change) && (from & rights) && (to & rights));
                assert_mapped(&f->table, vaddr, 0, size, format_reads_back(f->format, to));
                pt_flush_ignore(&f->flush);
                assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
                pt_flush_ignore(&f->flush);
            }
    }
}

#define BROKEN_PAGES 4

/** In flush_tlb: which of the pages are zero, and is each of them in what is owed? */
struct breaking_region {
    const struct pt_format *format;
    pt_vaddr vaddr;
    uint64_t page_size;
    struct slot slot; /* of the first one; the others follow */
    size_t entries;   /* of each */
    bool broken[BROKEN_PAGES];
    unsigned calls;
};

static void look_at_region(void *arg, const struct pt_flush *flush)
{
    struct breaking_region *breaking = arg;
    unsigned zero = 0;

    breaking->calls++;
    for (unsigned i = 0; i < BROKEN_PAGES; i++) {
        if (slot_get(slot_after(breaking->slot, i * breaking->entries)) != 0)
            continue;
        check_covers(flush, breaking->vaddr + i * breaking->page_size, breaking->page_size, breaking->page_size);
        breaking->broken[i] = true;
        zero++;
    }
    assert_true(zero > 0);
}

static void protect_region_breaks_before_it_makes(void **state)
{
    struct fixture *f = *state;
    bool breaks = facts_of(f->format)->breaks_before_make;
    static const pt_flags changes[] = {PT_DEVICE, PT_UNCACHED, PT_GLOBAL};

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);

        for (size_t c = 0; c < TESTS_COUNT(changes); c++) {
            bool seen = (format_reads_back(f->format, PT_READ | changes[c]) & changes[c]) != 0;
            bool broken = breaks && (seen || breaks_for_rights(f->format, size));
            struct breaking_region breaking = {.format = f->format,
                                               .vaddr = vaddr,
                                               .page_size = size,
                                               .entries = format_page_entries(f->format, size)};

            for (unsigned i = 0; i < BROKEN_PAGES; i++)
                assert_ok(pt_map(&f->table, vaddr + i * size, (i + 1) * size, size, RW, &f->flush));
            settle(f);
            breaking.slot = slot_at(f, vaddr, size);
            f->memory->on_flush = look_at_region;
            f->memory->on_flush_arg = &breaking;
            assert_ok(pt_protect_region(&f->table, vaddr, BROKEN_PAGES * size, PT_READ | changes[c], 0, &f->flush));
            f->memory->on_flush = NULL;

            if (broken)
                assert_true(breaking.calls >= 1);
            else
                assert_int_equal(breaking.calls, 0);
            for (unsigned i = 0; i < BROKEN_PAGES; i++) {
                assert_int_equal(breaking.broken[i], broken);
                assert_mapped(&f->table, vaddr + i * size, (i + 1) * size, size,
                              format_reads_back(f->format, PT_READ | changes[c]));
            }
            if (!broken)
                check_owes_range(&f->flush, vaddr, BROKEN_PAGES * size, size);
            settle(f);

            /* Only rights: nothing is broken anywhere, but pages of several entries. */
            assert_ok(pt_protect_region(&f->table, vaddr, BROKEN_PAGES * size, RW | changes[c], 0, &f->flush));
            check_paid_or_owed(f, vaddr, BROKEN_PAGES * size, size);
            assert_ok(pt_unmap_region(&f->table, vaddr, BROKEN_PAGES * size, 0, &f->flush));
            settle(f);
        }
    }
}

static void a_huge_page_over_a_table_is_made_after_the_break(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    bool breaks = facts_of(f->format)->breaks_before_make;
    pt_vaddr vaddr = 4 * huge;
    struct breaking breaking;
    struct pt_visit visit;

    assert_ok(pt_map(&f->table, vaddr, 0, small, RW, &f->flush));
    assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
    settle(f);
    visit = visit_of(&f->table, vaddr, format_level_of(f->format, huge));
    assert_false(visit.is_leaf);
    watch_slots(f, &breaking, slot_of(f, &visit), 1);
    assert_ok(pt_map(&f->table, vaddr, huge, huge, RW, &f->flush));
    check_broken(f, &breaking, vaddr, huge, breaks);
    assert_mapped(&f->table, vaddr, huge, huge, RW);
    f->memory->on_flush = NULL;
}

/** Even where the table's frame is the page's own, and no other bit but the one that says so differs. */
static void a_huge_page_of_its_table_s_own_frame_is_made_after_the_break(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    pt_paddr frame = f->memory->base;
    pt_vaddr vaddr = 4 * huge;

    /* A root that is elsewhere leaves the one frame that is aligned for sure. */
    assert_int_equal(frame % huge, 0);
    pt_destroy(&f->table);
    memory_serve_next(f->memory, frame + MEMORY_FRAMES / 2 * PT_FRAME_SIZE);
    assert_ok(pt_create(&f->table, f->format, &f->memory->handler, f->memory));
    pt_flush_init(&f->flush, &f->table);
    /* Another page near, so that the next table is of the last level. */
    assert_ok(pt_map(&f->table, 0, 0, small, RW, &f->flush));
    for (pt_flags flags = 1; flags <= PT_ALL_FLAGS; flags++) {
        struct breaking breaking;
        struct pt_visit visit;

        if (!(flags & (RW | PT_EXECUTE)))
            continue;
        memory_serve_next(f->memory, frame);
        assert_ok(pt_map(&f->table, vaddr, 0, small, RW, &f->flush));
        assert_true(memory_is_taken(f->memory, frame));
        assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
        settle(f);
        visit = visit_of(&f->table, vaddr, format_level_of(f->format, huge));
        watch_slots(f, &breaking, slot_of(f, &visit), 1);
        assert_ok(pt_map(&f->table, vaddr, frame, huge, flags, &f->flush));
        check_broken(f, &breaking, vaddr, huge, facts_of(f->format)->breaks_before_make);
        f->memory->on_flush = NULL;
        assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
        settle(f);
    }
}

/** What was owed before is paid with the break, and the tables that wait are not freed by it. */
static void a_break_pays_what_was_owed_before(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), huge = format_leaf_table(f->format);
    bool breaks = facts_of(f->format)->breaks_before_make;
    struct retirement retirement;
    size_t before;

    assert_ok(pt_map(&f->table, small, 0, small, RW, &f->flush));
    before = retire_some(f);
    watch(f, &retirement);
    assert_ok(pt_remap(&f->table, small, 2 * small, RW, NULL, &f->flush));
    assert_int_equal(f->memory->taken, before + retired_by_some(f));
    assert_int_equal(retirement.calls, breaks ? 1 : 0);
    assert_true(f->flush.retired != PT_NO_FRAME);

    pt_flush(&f->flush);
    assert_int_equal(f->memory->taken, before);
    check_covers(&f->memory->flushes[0], 4 * huge, 2 * huge, small);
    check_covers(&f->memory->flushes[0], small, small, small);
    assert_true(f->memory->flushes[0].tables_changed);
}

/** Ways for another page to come to a place whose old translation is still owed. */
enum comeback {
    MAPPED,
    MAPPED_AS_REGION,
    PROTECTED,
    PROTECTED_AS_REGION,
    REMAPPED,
    COMEBACKS
};

/*
 * A page that is unmapped, or loses all access, and comes back as another page under the same pending
 * flush was broken, but not yet invalidated: that has to happen before it is made.
 */
static void what_comes_back_under_a_pending_flush_is_made_after_the_invalidation(void **state)
{
    struct fixture *f = *state;
    bool breaks = facts_of(f->format)->breaks_before_make;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        for (enum comeback comeback = 0; comeback < COMEBACKS; comeback++) {
            pt_vaddr vaddr = some_page(size), other = vaddr + 2 * size;
            struct page_table *pt = &f->table;
            struct pt_flush *flush = &f->flush;
            struct breaking breaking;

            assert_ok(pt_map(pt, vaddr, size, size, RW, flush));
            assert_ok(pt_map(pt, other, size, size, RW, flush));
            settle(f);
            watch_page(f, &breaking, vaddr, size);

            if (comeback == MAPPED || comeback == MAPPED_AS_REGION)
                assert_ok(pt_unmap(pt, vaddr, NULL, flush));
            else
                assert_ok(pt_protect(pt, vaddr, 0, NULL, flush));
            assert_int_equal(breaking.calls, 0);

            /* What happens elsewhere does not hurry it. */
            if (breaks_for_rights(f->format, size))
                assert_ok(pt_unmap(pt, other, NULL, flush));
            else
                assert_ok(pt_protect(pt, other, PT_READ, NULL, flush));
            assert_ok(pt_map(pt, other + size, size, size, RW, flush));
            assert_int_equal(breaking.calls, 0);

            if (comeback == MAPPED)
                assert_ok(pt_map(pt, vaddr, 2 * size, size, RW, flush));
            if (comeback == MAPPED_AS_REGION)
                assert_ok(pt_map_region(pt, vaddr, 2 * size, size, RW, PT_ALLOW_HUGE, flush));
            if (comeback == PROTECTED)
                assert_ok(pt_protect(pt, vaddr, RW | PT_DEVICE, NULL, flush));
            if (comeback == PROTECTED_AS_REGION)
                assert_ok(pt_protect_region(pt, vaddr, size, RW | PT_GLOBAL, 0, flush));
            if (comeback == REMAPPED)
                assert_ok(pt_remap(pt, vaddr, 2 * size, RW, NULL, flush));

            assert_int_equal(breaking.calls, breaks ? 1 : 0);
            if (breaks) {
                check_covers(memory_last_flush(f->memory), vaddr, size, size);
                check_covers(memory_last_flush(f->memory), other, size, size);
                assert_true(flush->barrier || flush->range_count > 0);
            }
            f->memory->on_flush = NULL;
            assert_ok(pt_unmap_region(pt, vaddr, 4 * size, PT_SKIP_HOLES, flush));
            settle(f);
        }
    }
}

/** Also when the flush no longer knows what it owes. */
static void what_comes_back_under_everything_pending_is_made_after_the_invalidation(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format);
    struct breaking breaking;

    map_apart(f, 40);
    watch_page(f, &breaking, 2 * 39 * small, small);
    for (unsigned i = 0; i < 40; i++)
        assert_ok(pt_unmap(&f->table, 2 * i * small, NULL, &f->flush));
    assert_true(f->flush.everything);
    assert_int_equal(breaking.calls, 0);

    assert_ok(pt_map(&f->table, 2 * 39 * small, small, small, RW, &f->flush));
    assert_int_equal(breaking.calls, facts_of(f->format)->breaks_before_make ? 1 : 0);
    assert_int_equal(breaking.zero, breaking.calls);
    f->memory->on_flush = NULL;
}

/** And when it is shared tables that come where pages were. */
static void what_is_copied_under_a_pending_flush_is_made_after_the_invalidation(void **state)
{
    struct fixture *f = *state;
    uint64_t small = format_smallest(f->format), unit = format_copy_unit(f->format);
    struct page_table copy;
    struct pt_flush flush;

    assert_ok(pt_map(&f->table, unit + small, 0, small, RW, &f->flush));
    settle(f);
    assert_ok(pt_create(&copy, f->format, &f->memory->handler, f->memory));
    pt_flush_init(&flush, &copy);
    assert_ok(pt_map(&copy, unit + small, 3 * small, small, RW, &flush));
    pt_flush(&flush);
    memory_forget_flushes(f->memory);

    assert_ok(pt_unmap_region(&copy, unit, unit, PT_SKIP_HOLES, &flush));
    assert_int_equal(f->memory->flush_count, 0);
    assert_ok(pt_copy_from(&copy, &f->table, unit, unit, &flush));
    assert_int_equal(f->memory->flush_count, facts_of(f->format)->breaks_before_make ? 1 : 0);
    if (f->memory->flush_count > 0) {
        check_covers(memory_last_flush(f->memory), unit + small, small, small);
        assert_true(memory_last_flush(f->memory)->tables_changed);
    }
    assert_mapped(&copy, unit + small, 0, small, RW);
    pt_flush(&flush);
    pt_destroy(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(the_formats_owe_for_new_mappings_what_the_manuals_say),
        TESTS_OF_EACH_FORMAT(a_page_mapped_over_nothing_owes_what_the_format_says),
        TESTS_OF_EACH_FORMAT(a_region_mapped_over_nothing_owes_what_the_format_says),
        TESTS_OF_EACH_FORMAT(new_mappings_do_not_call_flush_tlb_where_nothing_is_owed),
        TESTS_OF_EACH_FORMAT(unmap_owes_the_whole_page),
        TESTS_OF_EACH_FORMAT(protect_owes_the_whole_page),
        TESTS_OF_EACH_FORMAT(remap_owes_the_whole_page),
        TESTS_OF_EACH_FORMAT(unmap_region_owes_the_region),
        TESTS_OF_EACH_FORMAT(protect_region_owes_the_region),
        TESTS_OF_EACH_FORMAT(a_region_of_mixed_pages_is_owed_in_steps_of_its_pages),
        TESTS_OF_EACH_FORMAT(a_region_with_holes_owes_all_its_pages),
        TESTS_OF_EACH_FORMAT(an_empty_region_owes_nothing),
        TESTS_OF_EACH_FORMAT(thirty_two_ranges_are_remembered_and_the_next_is_everything),
        TESTS_OF_EACH_FORMAT(adjacent_pages_lose_nothing_by_being_merged),
        TESTS_OF_EACH_FORMAT(a_page_that_changes_again_and_again_owes_no_other_page),
        TESTS_OF_EACH_FORMAT(a_range_may_end_at_the_end_of_the_address_space_but_not_wrap),
        TESTS_OF_EACH_FORMAT(a_flush_says_whose_it_is),
        TESTS_OF_EACH_FORMAT(a_flush_gathers_many_calls_into_one_invalidation),
        TESTS_OF_EACH_FORMAT(a_failed_call_does_not_touch_the_flush),
        TESTS_OF_EACH_FORMAT(retired_tables_are_freed_after_the_invalidation_and_once),
        TESTS_OF_EACH_FORMAT(retired_tables_of_all_levels_are_freed_after_the_invalidation),
        TESTS_OF_EACH_FORMAT(retired_tables_may_lie_in_the_first_and_the_last_frame),
        TESTS_OF_EACH_FORMAT(ignoring_a_flush_frees_the_tables_without_invalidating),
        TESTS_OF_EACH_FORMAT(flushing_twice_is_harmless),
        TESTS_OF_EACH_FORMAT(a_flush_outlives_its_table),
        TESTS_OF_EACH_FORMAT(a_retired_table_is_not_used_again_before_the_flush),
        TESTS_OF_EACH_FORMAT(a_flush_without_a_flush_tlb_frees_the_tables),
        TESTS_OF_EACH_FORMAT(a_flush_carries_itself_out_when_its_scope_is_left),
        TESTS_OF_EACH_FORMAT(a_huge_page_over_an_empty_table_retires_it),
        TESTS_OF_EACH_FORMAT(a_huge_page_over_empty_tables_of_two_levels_invalidates_each),
        TESTS_OF_EACH_FORMAT(copying_from_another_table_owes_what_new_mappings_owe),
        TESTS_OF_EACH_FORMAT(own_tables_that_a_copy_replaces_are_retired),
        TESTS_OF_EACH_FORMAT(remap_breaks_before_it_makes),
        TESTS_OF_EACH_FORMAT(protect_breaks_only_for_memory_type_and_global),
        TESTS_OF_EACH_FORMAT(protect_region_breaks_before_it_makes),
        TESTS_OF_EACH_FORMAT(a_huge_page_over_a_table_is_made_after_the_break),
        TESTS_OF_EACH_FORMAT(a_huge_page_of_its_table_s_own_frame_is_made_after_the_break),
        TESTS_OF_EACH_FORMAT(a_break_pays_what_was_owed_before),
        TESTS_OF_EACH_FORMAT(what_comes_back_under_a_pending_flush_is_made_after_the_invalidation),
        TESTS_OF_EACH_FORMAT(what_comes_back_under_everything_pending_is_made_after_the_invalidation),
        TESTS_OF_EACH_FORMAT(what_is_copied_under_a_pending_flush_is_made_after_the_invalidation),
    };

    return cmocka_run_group_tests_name("flush", tests, NULL, NULL);
}
