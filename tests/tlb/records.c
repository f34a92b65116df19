/* SPDX-License-Identifier: MIT */
/*
 * Accessed and dirty: what the hardware records at any moment is neither lost nor invented. The judge compares
 * after every call; here it is made interesting.
 */
#include "judge.h"

#define BOTH (PT_ACCESSED | PT_DIRTY)

/* Start with hardware that records; false if there is none. */
static bool start(struct judge *judge, enum judge_place place, uint32_t asid)
{
    struct pt_format format = judge->format;

    if (!judge->mmu->arch->record)
        return false;
#ifdef PT_ONLY_FORMAT /* no copies then */
    if (!format.tracks_access)
        return false;
    judge_start(judge, judge->descriptor, place, asid);
#else
    format.tracks_access = true;
    judge_start(judge, &format, place, asid);
#endif
    for (size_t i = 0; i < judge->watched_count; i++)
        judge->watched[i].hungry = false;
    return true;
}

#define START_OR_SKIP(judge, place, asid)                                                                              \
    do {                                                                                                               \
        if (!start((judge), (place), (asid)))                                                                          \
            skip();                                                                                                    \
    } while (0)

static void map_whole(struct judge *j, uint64_t page_size, pt_flags flags)
{
    assert_ok(judge_map_large(j, j->base, frames_of(j, j->base), page_size, flags));
    judge_flush(j);
}

static void clear_window(struct judge *j)
{
    assert_ok(judge_unmap_region(j, j->base, j->window, PT_SKIP_HOLES));
    judge_flush(j);
}

/* ---- One after the other ----------------------------------------------------------------------- */

static void a_new_mapping_has_no_records(void **state)
{
    struct judge *j = *state;

    START_OR_SKIP(j, JUDGE_LOWER, PT_NO_ASID);
    map_whole(j, j->block, RW);
    judge_access(j, j->base, true);
    assert_int_equal(judge_recorded(j, j->base + j->page), BOTH);
    assert_ok(judge_remap(j, j->base, j->other_frames, RW));
    assert_int_equal(judge_recorded(j, j->base), 0);
    judge_flush(j);
    judge_access(j, j->base, true);
    assert_ok(judge_unmap(j, j->base));
    assert_ok(judge_map(j, j->base, frames_of(j, j->base), j->block, RW));
    assert_int_equal(judge_recorded(j, j->base), 0);
    judge_flush(j);
}

static void records_survive_every_change_of_flags(void **state)
{
    static const pt_flags flags[] = {PT_READ, RW, 0, RX, RW | PT_DEVICE, PT_READ, RW | PT_GLOBAL, PT_GLOBAL, RW};
    struct judge *j = *state;

    START_OR_SKIP(j, JUDGE_UPPER, 5);
    for (size_t i = 0; i < j->size_count; i++)
        for (unsigned write = 0; write < 2; write++) {
            map_whole(j, j->size[i], RW);
            judge_access(j, j->base, write);
            for (size_t k = 0; k < TESTS_COUNT(flags); k++) {
                if (k % 2)
                    assert_ok(judge_protect(j, j->base, flags[k]));
                else
                    assert_ok(judge_protect_region(j, j->base, j->size[i], flags[k], 0));
                judge_flush(j);
                assert_int_equal(judge_recorded(j, j->base), write ? BOTH : PT_ACCESSED);
            }
            clear_window(j);
        }
}

/* Dirty while it is not writable must not be a dirty entry on every CPU, but is still reported, and cleared. */
static void dirty_is_known_of_what_is_no_longer_writable(void **state)
{
    struct judge *j = *state;

    START_OR_SKIP(j, JUDGE_LOWER, PT_NO_ASID);
    map_whole(j, j->page, RW);
    judge_access(j, j->base, true);
    assert_ok(judge_protect(j, j->base, PT_READ));
    judge_flush(j);
    judge_access(j, j->base, true);
    assert_int_equal(judge_recorded(j, j->base), BOTH);
    assert_ok(judge_clear(j, j->base, j->page, PT_DIRTY));
    judge_flush(j);
    assert_int_equal(judge_recorded(j, j->base), PT_ACCESSED);
    assert_ok(judge_protect(j, j->base, RW));
    judge_flush(j);
    assert_int_equal(judge_recorded(j, j->base), PT_ACCESSED);
    judge_access(j, j->base, true);
    assert_int_equal(judge_recorded(j, j->base), BOTH);
    clear_window(j);
}

static void a_split_gives_its_records_to_every_part(void **state)
{
    struct judge *j = *state;

    START_OR_SKIP(j, JUDGE_LOWER, PT_NO_ASID);
    for (unsigned write = 0; write < 2; write++) {
        pt_vaddr other = j->base + (j->largest > j->block ? j->block : 0);

        map_whole(j, j->largest, RW);
        judge_access(j, j->base, write);
        assert_ok(judge_split(j, j->base, j->page));
        judge_flush(j);
        assert_ok(judge_protect_region(j, other + j->page, j->page, PT_READ, 0));
        judge_flush(j);
        assert_int_equal(judge_recorded(j, other), write ? BOTH : PT_ACCESSED);
        assert_int_equal(judge_recorded(j, other + j->page), write ? BOTH : PT_ACCESSED);
        clear_window(j);
    }
}

static void what_any_part_has_recorded_the_collapsed_page_has(void **state)
{
    struct judge *j = *state;

    START_OR_SKIP(j, JUDGE_LOWER, PT_NO_ASID);
    for (unsigned parts = 0; parts < 4; parts++) {
        assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), j->block, RW, 0));
        judge_flush(j);
        if (parts & 1)
            judge_access(j, j->base + j->page, true);
        if (parts & 2)
            judge_access(j, j->base + j->block - j->page, false);
        assert_ok(judge_collapse(j, j->base, j->block));
        judge_flush(j);
        assert_hex_equal(judge_page_size(j, j->base), j->block);
        assert_int_equal(judge_recorded(j, j->base), parts & 1 ? BOTH : parts & 2 ? PT_ACCESSED : 0);
        clear_window(j);
    }
}

static void a_cleared_page_is_recorded_again(void **state)
{
    struct judge *j = *state;

    START_OR_SKIP(j, JUDGE_LOWER, 5);
    for (size_t i = 0; i < j->size_count; i++)
        for (unsigned scope = 0; scope < 2; scope++) {
            map_whole(j, j->size[i], RW | (scope ? PT_GLOBAL : 0));
            for (unsigned round = 0; round < 3; round++) {
                judge_access(j, j->base, true);
                assert_int_equal(judge_recorded(j, j->base), BOTH);
                assert_ok(judge_clear(j, j->base, j->window, PT_DIRTY));
                if (round)
                    judge_flush(j);
                assert_int_equal(judge_recorded(j, j->base), PT_ACCESSED);
                assert_ok(judge_clear(j, j->base, j->window, PT_ACCESSED));
                judge_flush(j);
                assert_int_equal(judge_recorded(j, j->base), 0);
            }
            clear_window(j);
        }
}

static bool stop_at_the_second(void *arg, const struct pt_visit *visit)
{
    unsigned *seen = arg;

    assert_true(visit->mapping.flags & PT_DIRTY);
    return ++*seen < 2;
}

static void a_visitor_that_stops_leaves_the_rest_recorded(void **state)
{
    struct judge *j = *state;
    unsigned seen = 0;
    struct pt_mapping found;

    START_OR_SKIP(j, JUDGE_LOWER, PT_NO_ASID);
    assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), j->block, RW, 0));
    for (unsigned page = 0; page < 3; page++)
        judge_access(j, j->base + page * j->page, true);
    assert_ok(pt_clear_dirty(&j->table, j->base, j->block, stop_at_the_second, &seen, &j->flush));
    assert_int_equal(seen, 2);
    for (unsigned page = 0; page < 3; page++) {
        assert_ok(pt_query(&j->table, j->base + page * j->page, &found));
        assert_int_equal(found.flags & BOTH, page < 2 ? PT_ACCESSED : BOTH);
        j->watched[page].recorded = found.flags & BOTH;
    }
    judge_flush(j);
}

/* ---- At any moment ----------------------------------------------------------------------------- */

#define ROUNDS 40

/* Fewer where a table has more entries. */
static unsigned rounds(const struct judge *j)
{
    size_t entries = format_entries(&j->format);

    return entries <= 1024 ? ROUNDS : 4;
}

/* Hardware that uses pages between any two steps of the library, through old tables, too. */
static void start_restless(struct judge *j, enum judge_place place, uint32_t asid)
{
    START_OR_SKIP(j, place, asid);
    judge_make_restless(j);
}

static void no_record_is_lost_while_flags_change(void **state)
{
    static const pt_flags flags[] = {PT_READ, RW, RW | PT_DEVICE, RW | PT_USER, 0, RW | PT_GLOBAL};
    struct judge *j = *state;

    start_restless(j, JUDGE_LOWER, PT_NO_ASID);
    assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), 2 * j->block, RW, 0));
    assert_ok(judge_map_region(j, j->base + 2 * j->block, frames_of(j, j->base), j->block, RW, PT_ALLOW_HUGE));
    for (unsigned round = 0; round < rounds(j); round++) {
        for (size_t k = 0; k < TESTS_COUNT(flags); k++) {
            assert_ok(judge_protect_region(j, j->base, 3 * j->block, flags[k], 0));
            if (round % 2)
                judge_flush(j);
            assert_ok(judge_protect(j, j->base + j->page, flags[(k + 1) % TESTS_COUNT(flags)]));
            assert_ok(judge_protect(j, j->base + 2 * j->block, flags[(k + 2) % TESTS_COUNT(flags)]));
        }
        assert_ok(judge_protect_region(j, j->base, 3 * j->block, RW, 0));
        assert_ok(judge_clear(j, j->base, 3 * j->block, PT_DIRTY));
        assert_ok(judge_clear(j, j->base, 3 * j->block, PT_ACCESSED));
        judge_flush(j);
    }
    clear_window(j);
}

static void no_record_is_lost_while_pages_change_their_size(void **state)
{
    struct judge *j = *state;

    start_restless(j, JUDGE_LOWER, 5);
    for (unsigned round = 0; round < rounds(j); round++) {
        assert_ok(judge_map(j, j->base, frames_of(j, j->base), j->block, RW));
        assert_ok(judge_map_region(j, j->base + j->block, frames_of(j, j->base + j->block), j->block, RW, 0));
        judge_flush(j);
        for (unsigned i = 0; i < 4; i++) {
            assert_ok(judge_split(j, j->base, j->page));
            if (i > 0)
                assert_ok(judge_split(j, j->base + j->block, j->page));
            if (round % 2)
                judge_flush(j);
            assert_ok(judge_protect(j, j->base + j->page, round % 3 ? RW : PT_READ));
            assert_ok(judge_protect_region(j, j->base, j->block, RW, 0));
            /* Most of the time nothing is left, so that what is recorded during the collapse is all there is. */
            assert_ok(judge_clear(j, j->base + (round % 4 ? 0 : j->page), 2 * j->block, PT_DIRTY));
            assert_ok(judge_clear(j, j->base, 2 * j->block, PT_ACCESSED));
            assert_ok(judge_collapse(j, j->base, 2 * j->block));
            if (round % 2)
                judge_flush(j);
        }
        assert_ok(judge_unmap(j, j->base));
        clear_window(j);
    }
}

/* Two levels at once, and back. */
static void no_record_is_lost_over_two_levels(void **state)
{
    struct judge *j = *state;

    start_restless(j, JUDGE_UPPER, PT_NO_ASID);
    assert_ok(judge_map(j, j->base, frames_of(j, j->base), j->largest, RW));
    for (unsigned round = 0; round < rounds(j); round++) {
        assert_ok(judge_split(j, j->base, j->page));
        if (j->largest > j->block)
            assert_ok(judge_split(j, j->base + 2 * j->block, j->page));
        judge_flush(j);
        assert_ok(judge_clear(j, j->base, j->largest, PT_ACCESSED));
        assert_ok(judge_clear(j, j->base, j->largest, PT_DIRTY));
        judge_flush(j);
        assert_ok(judge_collapse(j, j->base, j->largest));
        judge_flush(j);
        assert_hex_equal(judge_page_size(j, j->base), j->largest);
    }
    clear_window(j);
}

static void an_unmapped_page_reports_the_last_record(void **state)
{
    struct judge *j = *state;

    start_restless(j, JUDGE_LOWER, PT_NO_ASID);
    for (unsigned round = 0; round < 8 * ROUNDS; round++) {
        uint64_t size = round % 4 ? j->page : j->block;

        assert_ok(judge_map(j, j->base, frames_of(j, j->base), size, RW));
        judge_flush(j);
        if (round % 2)
            judge_access(j, j->base, round % 3);
        if (round % 5)
            assert_ok(judge_protect(j, j->base, round % 7 ? PT_READ : RW));
        assert_ok(judge_unmap(j, j->base));
        judge_flush(j);
    }
}

int run_record_tests(void)
{
    const struct CMUnitTest tests[] = {
#define EACH(test) TESTS_OF_EACH_FORMAT_WITH(test, judge_set_up, judge_tear_down)
        EACH(a_new_mapping_has_no_records),
        EACH(records_survive_every_change_of_flags),
        EACH(dirty_is_known_of_what_is_no_longer_writable),
        EACH(a_split_gives_its_records_to_every_part),
        EACH(what_any_part_has_recorded_the_collapsed_page_has),
        EACH(a_cleared_page_is_recorded_again),
        EACH(a_visitor_that_stops_leaves_the_rest_recorded),
        EACH(no_record_is_lost_while_flags_change),
        EACH(no_record_is_lost_while_pages_change_their_size),
        EACH(no_record_is_lost_over_two_levels),
        EACH(an_unmapped_page_reports_the_last_record),
    };

    return cmocka_run_group_tests_name("records", tests, NULL, NULL);
}
