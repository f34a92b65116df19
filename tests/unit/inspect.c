/* SPDX-License-Identifier: MIT */
/*
 * Looking into tables: an adopted one is what its owner says it is, and cannot be changed; ranges, differences and
 * audits against what was mapped; and nothing that tables contain does harm.
 */
#include "formats.h"
#include "memory.h"
#include "random.h"
#include "test.h"

#define RW (PT_READ | PT_WRITE)
#define PADDR fixture_paddr

static void map_region(struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,
                       unsigned options)
{
    assert_ok(pt_map_region(&f->table, vaddr, paddr, size, flags, options, &f->flush));
    pt_flush_ignore(&f->flush);
}

static void map_one(struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags)
{
    assert_ok(pt_map(&f->table, vaddr, paddr, size, flags, &f->flush));
    pt_flush_ignore(&f->flush);
}

static struct page_table adopt(const struct fixture *f)
{
    struct page_table view;

    assert_status(pt_adopt(&view, f->format, pt_root(&f->table), &f->memory->handler, f->memory), PT_OK);
    return view;
}

/* ---- Adopted ----------------------------------------------------------------------------------- */

struct seen {
    size_t count;
    struct pt_visit visit[512];
};

static bool see(void *arg, const struct pt_visit *visit)
{
    struct seen *seen = arg;

    if (visit->is_leaf)
        seen->visit[seen->count++] = *visit;
    return seen->count < TESTS_COUNT(seen->visit);
}

/* Pages of all sizes with several rights. */
static void map_something(struct fixture *f)
{
    static const pt_flags flags[] = {RW, PT_READ, PT_READ | PT_EXECUTE, RW | PT_USER, PT_EXECUTE};
    unsigned place = 0;

    /* What does not fit beside the others is left out. */
    FOR_EACH_PAGE_SIZE(size, f->format)
        for (size_t i = 0; i < TESTS_COUNT(flags); i++, place++)
            (void)!pt_map(&f->table, (format_place(f->format, 1 + place % 3) & ~(size - 1)) + i * size, PADDR, size,
                          flags[i], &f->flush);
    pt_flush_ignore(&f->flush);
}

static void an_adopted_table_is_what_its_owner_says(void **state)
{
    struct fixture *f = *state;
    struct seen *own = calloc(2, sizeof(*own)), *others = own + 1;
    struct page_table view;

    map_something(f);
    view = adopt(f);
    assert_int_equal(pt_root(&view), pt_root(&f->table));
    pt_walk(&f->table, SIZE_MAX, see, NULL, own);
    pt_walk(&view, SIZE_MAX, see, NULL, others);
    assert_true(own->count > 3);
    assert_int_equal(own->count, others->count);
    for (size_t i = 0; i < own->count; i++) {
        const struct pt_visit *a = &own->visit[i], *b = &others->visit[i];
        struct pt_mapping mapping;

        assert_int_equal(a->vaddr, b->vaddr);
        assert_int_equal(a->mapping.paddr, b->mapping.paddr);
        assert_int_equal(a->mapping.page_size, b->mapping.page_size);
        assert_int_equal(a->mapping.flags, b->mapping.flags);
        assert_status(pt_query(&view, a->vaddr + a->mapping.page_size / 2, &mapping), PT_OK);
        assert_int_equal(mapping.paddr, a->mapping.paddr + a->mapping.page_size / 2);
        assert_int_equal(mapping.flags, a->mapping.flags);
    }
    pt_destroy(&view);
    pt_destroy(&view);
    free(own);
}

static void an_adopted_table_cannot_be_changed(void **state)
{
    struct fixture *f = *state;
    uint64_t page = format_smallest(f->format), unit = format_copy_unit(f->format);
    pt_vaddr vaddr = format_place(f->format, 1), empty = format_place(f->format, 2);
    struct page_table view;
    struct pt_flush flush;
    size_t taken, count;

    map_one(f, vaddr, PADDR, page, RW);
    view = adopt(f);
    pt_flush_init(&flush, &view);
    taken = f->memory->taken;
#define REFUSED(call) assert_status(call, PT_READ_ONLY)
    REFUSED(pt_map(&view, empty, PADDR, page, RW, &flush));
    REFUSED(pt_unmap(&view, vaddr, NULL, &flush));
    REFUSED(pt_protect(&view, vaddr, PT_READ, NULL, &flush));
    REFUSED(pt_remap(&view, vaddr, PADDR, PT_READ, NULL, &flush));
    REFUSED(pt_map_region(&view, empty, PADDR, page, RW, 0, &flush));
    REFUSED(pt_unmap_region(&view, vaddr, page, 0, &flush));
    REFUSED(pt_protect_region(&view, vaddr, page, PT_READ, 0, &flush));
    REFUSED(pt_count_tables(&view, empty, PADDR, page, RW, 0, &count));
    REFUSED(pt_split(&view, vaddr, page, &flush));
    REFUSED(pt_collapse(&view, vaddr, page, &flush));
    REFUSED(pt_prune(&view, vaddr, page, &flush));
    REFUSED(pt_clear_dirty(&view, vaddr, page, NULL, NULL, &flush));
    REFUSED(pt_copy_from(&view, &f->table, vaddr & ~(unit - 1), unit, &flush));
    REFUSED(pt_copy_from(&f->table, &view, empty & ~(unit - 1), unit, &f->flush));
    assert_int_equal(f->memory->taken, taken);
    assert_status(pt_query(&f->table, vaddr, NULL), PT_OK);
}

static void what_cannot_be_a_root_is_not_adopted(void **state)
{
    struct fixture *f = *state;
    struct pt_format bad = *f->format;
    struct page_table view;

    assert_status(pt_adopt(&view, f->format, pt_root(&f->table) + 8, &f->memory->handler, f->memory), PT_NOT_ALIGNED);
    assert_null(view.format);
    if (f->format->pa_bits < 64)
        assert_status(pt_adopt(&view, f->format, UINT64_C(1) << f->format->pa_bits, &f->memory->handler, f->memory),
                      PT_BAD_ADDRESS);
    bad.levels = 1;
    assert_status(pt_adopt(&view, &bad, pt_root(&f->table), &f->memory->handler, f->memory), PT_BAD_FORMAT);
}

/* ---- Ranges ------------------------------------------------------------------------------------ */

static void ranges_are_as_long_as_they_can_be(void **state)
{
    struct fixture *f = *state;
    uint64_t page = format_smallest(f->format);
    pt_vaddr vaddr = format_place(f->format, 1) + page;
    struct pt_ranges ranges;
    struct pt_range range;

    map_region(f, vaddr, PADDR, 4 * page, RW, 0);
    map_region(f, vaddr + 4 * page, PADDR + 8 * page, 2 * page, RW, 0);
    map_region(f, vaddr + 6 * page, PADDR + 10 * page, page, PT_READ, 0);

    pt_ranges_init(&ranges, &f->table, 0, 0);
    assert_true(pt_ranges_next(&ranges, &range));
    assert_int_equal(range.vaddr, vaddr);
    assert_int_equal(range.size, 6 * page);
    assert_true(pt_ranges_next(&ranges, &range));
    assert_int_equal(range.vaddr, vaddr + 6 * page);
    assert_int_equal(range.size, page);
    assert_false(pt_ranges_next(&ranges, &range));
    assert_true(ranges.done);

    /* Contiguous, and from the middle of it. */
    pt_ranges_init(&ranges, &f->table, vaddr + page + page / 2, PT_RANGES_CONTIGUOUS);
    assert_true(pt_ranges_next(&ranges, &range));
    assert_int_equal(range.vaddr, vaddr + page + page / 2);
    assert_int_equal(range.size, 3 * page - page / 2);
    assert_int_equal(range.mapping.paddr, PADDR + page + page / 2);
    assert_true(pt_ranges_next(&ranges, &range));
    assert_int_equal(range.size, 2 * page);
}

static void ranges_stop_after_a_number_of_tables_and_go_on(void **state)
{
    struct fixture *f = *state;
    struct pt_ranges ranges;
    struct pt_range range;
    unsigned found = 0, resumed = 0;

    for (unsigned i = 1; i <= 3; i++)
        map_one(f, format_place(f->format, i), PADDR, format_smallest(f->format), RW);
    pt_ranges_init(&ranges, &f->table, 0, PT_RANGES_CONTIGUOUS);
    ranges.tables_left = f->format->levels;
    while (!ranges.done && resumed < 100) {
        found += pt_ranges_next(&ranges, &range);
        if (ranges.stopped) {
            ranges.stopped = false;
            ranges.tables_left = f->format->levels;
            resumed++;
        }
    }
    assert_int_equal(found, 3);
    assert_true(resumed < 100);
}

/* ---- Differences ------------------------------------------------------------------------------- */

struct differences {
    size_t count;
    struct pt_difference one[16];
};

static bool differ(void *arg, const struct pt_difference *difference)
{
    struct differences *differences = arg;

    differences->one[differences->count++] = *difference;
    return differences->count < TESTS_COUNT(differences->one);
}

static void each_difference_is_told_once(void **state)
{
    struct fixture *f = *state;
    uint64_t page = format_smallest(f->format);
    pt_vaddr vaddr = format_place(f->format, 1);
    struct differences found = {.count = 0};
    struct page_table other;
    struct pt_flush flush;

    assert_status(pt_create(&other, f->format, &f->memory->handler, f->memory), PT_OK);
    pt_flush_init(&flush, &other);
    map_region(f, vaddr, PADDR, 8 * page, RW, 0);
    assert_status(pt_map_region(&other, vaddr + 2 * page, PADDR + 2 * page, 8 * page, RW, 0, &flush), PT_OK);
    assert_status(pt_protect(&other, vaddr + 3 * page, PT_READ, NULL, &flush), PT_OK);
    assert_status(pt_remap(&other, vaddr + 5 * page, PADDR + 20 * page, RW, NULL, &flush), PT_OK);
    pt_flush_ignore(&flush);

    assert_int_equal(pt_diff(&f->table, &f->table, PT_ALL_FLAGS, differ, &found), 0);
    assert_int_equal(pt_diff(&f->table, &other, PT_ALL_FLAGS, differ, &found), 4);
    assert_int_equal(found.one[0].differs, PT_DIFFERS_ONLY_IN_A);
    assert_int_equal(found.one[0].vaddr, vaddr);
    assert_int_equal(found.one[0].size, 2 * page);
    assert_int_equal(found.one[1].differs, PT_DIFFERS_IN_FLAGS);
    assert_int_equal(found.one[1].vaddr, vaddr + 3 * page);
    assert_int_equal(found.one[1].size, page);
    assert_int_equal(found.one[2].differs, PT_DIFFERS_IN_FRAME);
    assert_int_equal(found.one[2].vaddr, vaddr + 5 * page);
    assert_int_equal(found.one[3].differs, PT_DIFFERS_ONLY_IN_B);
    assert_int_equal(found.one[3].vaddr, vaddr + 8 * page);
    assert_int_equal(found.one[3].size, 2 * page);
    pt_destroy(&other);
}

/* ---- Audits ------------------------------------------------------------------------------------ */

struct findings {
    size_t count[PT_RULES];
    struct pt_finding last[PT_RULES];
};

static bool find(void *arg, const struct pt_finding *finding)
{
    struct findings *findings = arg;

    findings->count[finding->rule]++;
    findings->last[finding->rule] = *finding;
    return true;
}

static void an_audit_finds_what_is_wrong_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    const struct format_facts *facts = format_facts(f->format);
    uint64_t page = format_smallest(f->format), scratch[512];
    pt_vaddr vaddr = format_place(f->format, 1);
    struct pt_audit audit = {.scratch = scratch, .scratch_size = sizeof(scratch)};
    struct findings found;
    pt_flags executable = PT_READ | PT_EXECUTE;

    memset(&found, 0, sizeof(found));
    map_region(f, vaddr, PADDR, 2 * page, facts->read_implies_execute ? PT_READ : RW, 0);
    map_one(f, vaddr + 4 * page, PADDR + 4 * page, page, executable);
    assert_int_equal(pt_audit(&f->table, &audit, find, &found), 0);

    map_region(f, vaddr + 6 * page, PADDR + 6 * page, 2 * page, executable | PT_WRITE, 0);
    assert_int_equal(pt_audit(&f->table, &audit, find, &found), 1);
    assert_int_equal(found.last[PT_RULE_WRITE_EXECUTE].vaddr, vaddr + 6 * page);
    assert_int_equal(found.last[PT_RULE_WRITE_EXECUTE].size, 2 * page);

    if (facts->has_memory_types) {
        memset(&found, 0, sizeof(found));
        map_one(f, vaddr + 8 * page, PADDR + page, page, (facts->read_implies_execute ? PT_READ : RW) | PT_DEVICE);
        assert_int_equal(pt_audit(&f->table, &audit, find, &found), 2);
        assert_int_equal(found.last[PT_RULE_MEMORY_TYPES].vaddr, vaddr + 8 * page);
        assert_int_equal(found.last[PT_RULE_MEMORY_TYPES].other, vaddr);
    }

    memset(&found, 0, sizeof(found));
    assert_status(pt_unmap(&f->table, vaddr, NULL, &f->flush), PT_OK);
    for (uint64_t i = 1; i < 9; i++)
        (void)!pt_unmap(&f->table, vaddr + i * page, NULL, &f->flush);
    pt_flush_ignore(&f->flush);
    (void)pt_audit(&f->table, &audit, find, &found);
    assert_true(found.count[PT_RULE_EMPTY_TABLE] <= 1);
    assert_int_equal(found.count[PT_RULE_WRITE_EXECUTE], 0);
}

/* ---- Garbage ----------------------------------------------------------------------------------- */

/* A few frames that tables of garbage lead to again and again; the rest of the memory is not there. */
#define GARBAGE_FRAMES 32u

struct garbage {
    _Alignas(4096) unsigned char bytes[GARBAGE_FRAMES * PT_FRAME_SIZE];
    size_t looks, refused;
};

static void *look(void *ctx, pt_paddr paddr)
{
    struct garbage *garbage = ctx;

    garbage->looks++;
    assert_int_equal(paddr % PT_FRAME_SIZE, 0);
    if (paddr >= sizeof(garbage->bytes)) {
        garbage->refused++;
        return NULL;
    }
    return garbage->bytes + paddr;
}

static bool stop_in_time(void *arg, const struct pt_visit *visit)
{
    size_t *left = arg;

    (void)visit;
    return --*left > 0;
}

static bool stop_audit_in_time(void *arg, const struct pt_finding *finding)
{
    size_t *left = arg;

    assert_true(finding->rule < PT_RULES);
    return --*left > 0;
}

static void discard(void *arg, const char *text, size_t length)
{
    size_t *written = arg;

    for (size_t i = 0; i < length; i++)
        assert_true(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
    *written += length;
}

/* Noise whose addresses are often those of the frames that are there. */
static void fill(struct garbage *garbage, struct random *random, const struct pt_format *format)
{
    unsigned bytes = format_entry_bytes(format);

    for (size_t at = 0; at < sizeof(garbage->bytes); at += bytes) {
        uint64_t entry = random_next(random);

        if (random_one_in(random, 2))
            entry = 0;
        else if (!random_one_in(random, 4))
            entry = (entry & UINT64_C(0xfff0000000000fff)) | random_below(random, GARBAGE_FRAMES)
                                                                 << (format_facts(format)->number_at_bit_10 ? 10 : 12);
        memcpy(garbage->bytes + at, &entry, bytes);
    }
}

static void garbage_does_no_harm(void **state)
{
    struct fixture *f = *state;
    struct garbage *garbage = aligned_alloc(4096, sizeof(*garbage));
    const struct pt_handler handler = {.phys_to_virt = look};
    struct random random = {20261124};

    for (unsigned round = 0; round < 20; round++) {
        uint64_t scratch[64];
        struct pt_audit audit = {.scratch = scratch, .scratch_size = sizeof(scratch), .tables = 300};
        struct page_table view;
        struct pt_ranges ranges;
        struct pt_range range;
        size_t left = 3000, written = 0;

        memset(garbage, 0, sizeof(*garbage));
        fill(garbage, &random, f->format);
        assert_status(pt_adopt(&view, f->format, 0, &handler, garbage), PT_OK);
        pt_walk(&view, SIZE_MAX, stop_in_time, NULL, &left);
        left = 100;
        (void)pt_audit(&view, &audit, stop_audit_in_time, &left);
        pt_ranges_init(&ranges, &view, random_next(&random), PT_RANGES_CONTIGUOUS);
        ranges.tables_left = 300;
        while (pt_ranges_next(&ranges, &range))
            assert_true(range.size > 0);
        for (unsigned i = 0; i < 200; i++) {
            pt_vaddr vaddr = view.measures.translated & random_next(&random);
            pt_flags access = (random_one_in(&random, 2) ? PT_USER : 0) | 1u << random_below(&random, 3);
            struct pt_explanation e;
            struct pt_mapping mapping;

            pt_explain_access(&view, vaddr, access, (uint32_t)random_next(&random), &e);
            assert_true(e.steps <= f->format->levels);
            assert_string_not_equal(pt_reason_name(e.reason), "?");
            /* Both see the same page. */
            if (e.reason != PT_REASON_NOT_CANONICAL)
                assert_int_equal(pt_query(&view, vaddr, &mapping) == PT_OK, e.is_translated);
            if (e.is_translated)
                assert_int_equal(mapping.paddr, e.mapping.paddr);
            pt_explain(&view, vaddr, access, 0, discard, &written);
        }
        assert_true(written > 0);
        pt_destroy(&view);
    }
    assert_true(garbage->looks > garbage->refused);
    free(garbage);
}

#ifndef PT_ONLY_FORMAT
static void keep_the_last_line(void *arg, const char *text, size_t length)
{
    (void)snprintf(arg, 128, "%.*s", (int)length, text);
}

static bool expect_unknown(void *arg, const struct pt_difference *difference)
{
    assert_int_equal(difference->differs, PT_DIFFERS_UNKNOWN);
    ++*(size_t *)arg;
    return true;
}

/* Every entry leads to the same table, which is the same of all below: 2^27 of them, and nothing is mapped. */
static void what_has_no_end_is_given_up(void **state)
{
    struct garbage *garbage = aligned_alloc(4096, sizeof(*garbage));
    const struct pt_handler handler = {.phys_to_virt = look};
    struct page_table view;
    char line[128] = "";
    size_t count = 0;

    (void)state;
    memset(garbage, 0, sizeof(*garbage));
    for (uint64_t level = 0; level < 3; level++)
        for (size_t i = 0; i < 512; i++)
            memcpy(garbage->bytes + level * 4096 + i * 8, &(uint64_t){(level + 1) << 12 | 7}, 8);
    assert_status(pt_adopt(&view, &pt_x86_64, 0, &handler, garbage), PT_OK);
    pt_dump(&view, keep_the_last_line, line);
    assert_non_null(strstr(line, "not looked at"));
    assert_int_equal(pt_diff(&view, &view, PT_ALL_FLAGS, expect_unknown, &count), 1);
    assert_int_equal(count, 1);
    free(garbage);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(an_adopted_table_is_what_its_owner_says),
        TESTS_OF_EACH_FORMAT(an_adopted_table_cannot_be_changed),
        TESTS_OF_EACH_FORMAT(what_cannot_be_a_root_is_not_adopted),
        TESTS_OF_EACH_FORMAT(ranges_are_as_long_as_they_can_be),
        TESTS_OF_EACH_FORMAT(ranges_stop_after_a_number_of_tables_and_go_on),
        TESTS_OF_EACH_FORMAT(each_difference_is_told_once),
        TESTS_OF_EACH_FORMAT(an_audit_finds_what_is_wrong_and_nothing_else),
        TESTS_OF_EACH_FORMAT(garbage_does_no_harm),
#ifndef PT_ONLY_FORMAT
        cmocka_unit_test(what_has_no_end_is_given_up),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
