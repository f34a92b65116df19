/* SPDX-License-Identifier: MIT */
/*
 * Parallel writers, one moment after the other: while one writer's call is under way, before each single table that it
 * looks at or writes to, another writer makes a whole call of its own in the same tables. tests/concurrency has threads.
 */
#include "formats.h"
#include "memory.h"
#include "test.h"

#define RW (PT_READ | PT_WRITE)

struct region {
    pt_vaddr vaddr;
    uint64_t size;
};

struct writers {
    struct pt_format format;
    struct fixture *fixture;
    uint64_t page, table; /* what the smallest page translates, and a table of the last level */
    pt_vaddr vaddr;
    struct region own;   /* what the one writer changes */
    struct region other; /* a page of the other writer's */
    struct pt_flush other_flush;
    bool other_unmaps;
    unsigned moment; /* how many moments are left until the other writer's; 0: it was */
};

static pt_paddr frames_of(const struct writers *writers, pt_vaddr vaddr)
{
    return fixture_paddr + (vaddr - writers->vaddr);
}

static enum pt_status map(struct writers *writers, struct region region, unsigned options, struct pt_flush *flush)
{
    return pt_map_region(&writers->fixture->table, region.vaddr, frames_of(writers, region.vaddr), region.size, RW,
                         options, flush);
}

static void on_translate(void *arg, struct memory *memory)
{
    struct writers *writers = arg;
    struct page_table *table = &writers->fixture->table;

    (void)memory;
    if (writers->moment == 0 || --writers->moment > 0)
        return;
    if (writers->other_unmaps)
        assert_ok(pt_unmap_region(table, writers->other.vaddr, writers->other.size, 0, &writers->other_flush));
    else
        assert_ok(map(writers, writers->other, 0, &writers->other_flush));
    pt_flush(&writers->other_flush);
}

/* ---- What the one writer does ------------------------------------------------------------------ */

struct work {
    bool mapped; /* its region is, before */
    bool large;  /* with large pages */
    bool inner;  /* only its first half changes, within a large page */
    enum pt_status (*run)(struct writers *writers, struct region region);
    pt_flags flags; /* what the region has afterwards; PT_ALL_FLAGS: it is unmapped */
};

static enum pt_status map_it(struct writers *writers, struct region region)
{
    return map(writers, region, 0, &writers->fixture->flush);
}

static enum pt_status map_it_large(struct writers *writers, struct region region)
{
    return map(writers, region, PT_ALLOW_HUGE, &writers->fixture->flush);
}

static enum pt_status map_its_pages(struct writers *writers, struct region region)
{
    enum pt_status status = PT_OK;

    for (pt_vaddr vaddr = region.vaddr; status == PT_OK && vaddr - region.vaddr < region.size; vaddr += writers->page)
        status = pt_map(&writers->fixture->table, vaddr, frames_of(writers, vaddr), writers->page, RW,
                        &writers->fixture->flush);
    return status;
}

static enum pt_status unmap_it(struct writers *writers, struct region region)
{
    return pt_unmap_region(&writers->fixture->table, region.vaddr, region.size, 0, &writers->fixture->flush);
}

static enum pt_status protect_it(struct writers *writers, struct region region)
{
    return pt_protect_region(&writers->fixture->table, region.vaddr, region.size, PT_READ, 0, &writers->fixture->flush);
}

static enum pt_status collapse_it(struct writers *writers, struct region region)
{
    return pt_collapse(&writers->fixture->table, region.vaddr, region.size, &writers->fixture->flush);
}

static enum pt_status prune_it(struct writers *writers, struct region region)
{
    return pt_prune(&writers->fixture->table, region.vaddr, region.size, &writers->fixture->flush);
}

static const struct work works[] = {
    {false, false, false, map_it, RW},           {false, false, false, map_it_large, RW},
    {false, false, false, map_its_pages, RW},    {true, false, false, unmap_it, PT_ALL_FLAGS},
    {true, true, false, unmap_it, PT_ALL_FLAGS}, {true, true, true, unmap_it, PT_ALL_FLAGS},
    {true, false, false, protect_it, PT_READ},   {true, true, true, protect_it, PT_READ},
    {true, false, false, collapse_it, RW},       {false, false, false, prune_it, PT_ALL_FLAGS},
};

/* ---- Checks ------------------------------------------------------------------------------------ */

static void check_region(const struct writers *writers, struct region region, pt_flags flags)
{
    for (pt_vaddr vaddr = region.vaddr; vaddr - region.vaddr < region.size; vaddr += writers->page) {
        struct pt_mapping mapping;

        if (flags == PT_ALL_FLAGS) {
            assert_status(pt_query(&writers->fixture->table, vaddr, NULL), PT_NOT_MAPPED);
            continue;
        }
        assert_ok(pt_query(&writers->fixture->table, vaddr, &mapping));
        assert_hex_equal(mapping.paddr, frames_of(writers, vaddr));
        assert_int_equal(mapping.flags & PT_ALL_FLAGS, format_reads_back(&writers->format, flags));
    }
}

/* One writer alone: nothing is left but the root. */
static void leave_the_root(struct writers *writers)
{
    struct fixture *fixture = writers->fixture;

    assert_ok(pt_unmap_region(&fixture->table, writers->own.vaddr, writers->own.size, PT_SKIP_HOLES, &fixture->flush));
    assert_ok(
        pt_unmap_region(&fixture->table, writers->other.vaddr, writers->other.size, PT_SKIP_HOLES, &fixture->flush));
    assert_ok(pt_prune(&fixture->table, 0, format_lower_last(&writers->format) + 1, &fixture->flush));
    pt_flush(&fixture->flush);
    assert_int_equal(fixture->memory->taken, 1);
}

/* The work, with the other writer's call in this moment; false: it was done before that. */
static bool meet(struct writers *writers, const struct work *work, unsigned moment)
{
    struct fixture *fixture = writers->fixture;
    struct region own = writers->own, kept = own;
    bool met;

    if (work->mapped)
        assert_ok(map(writers, own, work->large ? PT_ALLOW_HUGE : 0, &fixture->flush));
    if (writers->other_unmaps)
        assert_ok(map(writers, writers->other, 0, &fixture->flush));
    pt_flush(&fixture->flush);
    if (work->inner) {
        own.size = own.size / writers->page / 2 * writers->page;
        kept.vaddr += own.size;
        kept.size -= own.size;
    }

    writers->moment = moment;
    assert_ok(work->run(writers, own));
    met = writers->moment == 0;
    writers->moment = 0;
    pt_flush(&fixture->flush);

    check_region(writers, own, work->flags);
    if (work->inner)
        check_region(writers, kept, RW);
    if (met)
        check_region(writers, writers->other, writers->other_unmaps ? PT_ALL_FLAGS : RW);
    leave_the_root(writers);
    return met;
}

static void writers_meet_in_any_moment(void **state)
{
    struct writers *writers = *state;
    uint64_t apart = format_leaf_frame(&writers->format); /* regions must not share it where tables share frames */
    bool packed = format_tables_in_frame(&writers->format) > 1;
    pt_vaddr vaddr = writers->vaddr, end = vaddr + writers->table + 4 * writers->page;
    /* Before it in its first table; behind it in its last one; in a table of its own, beside. */
    const pt_vaddr others[] = {vaddr + writers->page, end + 2 * writers->page, vaddr + 3 * writers->table};
    size_t moments = 0;

    writers->own = (struct region){vaddr + 4 * writers->page, writers->table};
    for (size_t o = 0; o < TESTS_COUNT(others); o++)
        for (size_t w = 0; w < TESTS_COUNT(works); w++)
            for (unsigned unmaps = 0; unmaps < 2; unmaps++) {
                writers->other = (struct region){packed ? vaddr + (o + 1) * apart : others[o], writers->page};
                writers->other_unmaps = unmaps;
                /* Each of the first moments, and then fewer: there are thousands. */
                for (unsigned moment = 1; meet(writers, &works[w], moment); moment += 1 + moment / 8)
                    moments++;
            }
    assert_in_range(moments, 200, 1000000);
}

/* A large page that several writers' tables surround takes the place of empty ones, and goes again. */
static void whole_tables_come_and_go_beside_others(void **state)
{
    struct writers *writers = *state;
    bool packed = format_tables_in_frame(&writers->format) > 1;

    writers->own = (struct region){writers->vaddr, 2 * writers->table};
    writers->other = (struct region){
        writers->vaddr + (packed ? format_leaf_frame(&writers->format) : 2 * writers->table), writers->page};
    for (size_t w = 0; w < TESTS_COUNT(works); w++)
        for (unsigned unmaps = 0; unmaps < 2; unmaps++) {
            writers->other_unmaps = unmaps;
            for (unsigned moment = 1; meet(writers, &works[w], moment); moment += 1 + moment / 8)
                ;
        }
}

/* Only tables that the region covers go; those at its ends stay for whoever else may be in them, until all is pruned. */
static void tables_that_are_not_covered_stay(void **state)
{
    struct writers *writers = *state;
    struct fixture *fixture = writers->fixture;
    struct region *own = &writers->own;
    size_t before;

    *own = (struct region){writers->vaddr + writers->page, 2 * writers->table};
    writers->other = (struct region){writers->vaddr, writers->page};
    assert_ok(map(writers, *own, 0, &fixture->flush));
    before = fixture->memory->taken;
    assert_ok(pt_unmap_region(&fixture->table, own->vaddr, own->size, 0, &fixture->flush));
    assert_ok(pt_prune(&fixture->table, own->vaddr, own->size, &fixture->flush));
    pt_flush(&fixture->flush);
    assert_int_equal(before - fixture->memory->taken, format_tables_in_frame(&writers->format) > 1 ? 0 : 1);
    leave_the_root(writers);
}

/* It would be one for all. */
static void the_latest_table_is_not_remembered(void **state)
{
    struct writers *writers = *state;
    struct page_table *table = &writers->fixture->table;

    memory_make_linear(writers->fixture->memory);
    for (unsigned i = 0; i < 4; i++)
        assert_ok(pt_map(table, writers->vaddr + i * writers->page, fixture_paddr, writers->page, RW,
                         &writers->fixture->flush));
    assert_hex_equal(table->latest_table, PT_NO_FRAME);
    for (unsigned i = 0; i < 4; i++)
        assert_status(pt_map(table, writers->vaddr + i * writers->page, fixture_paddr, writers->page, RW,
                             &writers->fixture->flush),
                      PT_ALREADY_MAPPED);
}

static int set_up(void **state)
{
    struct writers *writers = calloc(1, sizeof(*writers));

    assert_non_null(writers);
    writers->format = *(const struct pt_format *)*state;
    writers->format.parallel_writers = true;
    *state = &writers->format;
    if (fixture_set_up(state) != 0)
        return -1;
    writers->fixture = *state;
    *state = writers;
    writers->page = format_smallest(&writers->format);
    writers->table = format_leaf_table(&writers->format);
    writers->vaddr = format_place(&writers->format, 1);
    pt_flush_init(&writers->other_flush, &writers->fixture->table);
    writers->fixture->memory->on_translate = on_translate;
    writers->fixture->memory->on_translate_arg = writers;
    return 0;
}

static int tear_down(void **state)
{
    struct writers *writers = *state;
    int result;

    *state = writers->fixture;
    result = fixture_tear_down(state);
    free(writers);
    return result;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT_WITH(writers_meet_in_any_moment, set_up, tear_down),
        TESTS_OF_EACH_FORMAT_WITH(whole_tables_come_and_go_beside_others, set_up, tear_down),
        TESTS_OF_EACH_FORMAT_WITH(tables_that_are_not_covered_stay, set_up, tear_down),
        TESTS_OF_EACH_FORMAT_WITH(the_latest_table_is_not_remembered, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("writers", tests, NULL, NULL);
}
