/* SPDX-License-Identifier: MIT */
/*
 * Single pages go into the table that the latest one went into, without a way down. Whatever takes that table out of
 * the tree must be noticed; only handlers with a linear view of physical memory are remembered for.
 */
#include "formats.h"
#include "memory.h"
#include "test.h"

#define RW (PT_READ | PT_WRITE)

struct latest {
    struct fixture *fixture;
    uint64_t page, table; /* sizes: of the smallest page, of what a table of the last level translates */
    pt_vaddr vaddr;
};

static struct latest begin(void **state)
{
    struct latest latest = {.fixture = *state};

    latest.page = format_smallest(latest.fixture->format);
    latest.table = format_leaf_table(latest.fixture->format);
    latest.vaddr = format_place(latest.fixture->format, 1);
    memory_make_linear(latest.fixture->memory);
    /* The first page brings the table, the second finds it. */
    for (unsigned i = 2; i-- > 0;)
        assert_ok(pt_map(&latest.fixture->table, latest.vaddr + i * latest.page, fixture_paddr, latest.page, RW,
                         &latest.fixture->flush));
    assert_ok(pt_unmap(&latest.fixture->table, latest.vaddr + latest.page, NULL, &latest.fixture->flush));
    return latest;
}

/* A page beside the first one is where the tree says, and alone in that. */
static void map_beside(const struct latest *latest)
{
    struct fixture *fixture = latest->fixture;
    pt_vaddr vaddr = latest->vaddr + 3 * latest->page;
    struct pt_mapping found;

    assert_ok(pt_map(&fixture->table, vaddr, fixture_paddr + latest->page, latest->page, RW, &fixture->flush));
    assert_ok(pt_query(&fixture->table, vaddr, &found));
    assert_int_equal(found.paddr, fixture_paddr + latest->page);
    assert_int_equal(found.page_size, latest->page);
}

static void a_page_beside_is_mapped(void **state)
{
    struct latest latest = begin(state);

    map_beside(&latest);
    assert_status(pt_map(&latest.fixture->table, latest.vaddr, fixture_paddr, latest.page, RW, &latest.fixture->flush),
                  PT_ALREADY_MAPPED);
}

static void after_unmap_region(void **state)
{
    struct latest latest = begin(state);

    assert_ok(pt_unmap_region(&latest.fixture->table, latest.vaddr, latest.page, 0, &latest.fixture->flush));
    map_beside(&latest);
}

static void after_prune(void **state)
{
    struct latest latest = begin(state);
    struct fixture *fixture = latest.fixture;

    assert_ok(pt_unmap(&fixture->table, latest.vaddr, NULL, &fixture->flush));
    assert_ok(pt_prune(&fixture->table, latest.vaddr & ~(latest.table - 1), latest.table, &fixture->flush));
    map_beside(&latest);
}

/* A huge page where the table was: nothing more may go in. */
static void after_a_huge_page(void **state)
{
    struct latest latest = begin(state);
    struct fixture *fixture = latest.fixture;
    pt_vaddr vaddr = latest.vaddr & ~(latest.table - 1);

    if (!(fixture->format->page_sizes & latest.table))
        return;
    assert_ok(pt_unmap(&fixture->table, latest.vaddr, NULL, &fixture->flush));
    assert_ok(pt_map(&fixture->table, vaddr, fixture_paddr, latest.table, RW, &fixture->flush));
    assert_status(pt_map(&fixture->table, vaddr + 3 * latest.page, fixture_paddr, latest.page, RW, &fixture->flush),
                  PT_MAPPED_TO_HUGE_PAGE);
}

static void after_collapse(void **state)
{
    struct latest latest = begin(state);
    struct fixture *fixture = latest.fixture;
    pt_vaddr vaddr = latest.vaddr & ~(latest.table - 1);

    if (!(fixture->format->page_sizes & latest.table))
        return;
    assert_ok(pt_unmap_region(&fixture->table, latest.vaddr, latest.page, 0, &fixture->flush));
    for (uint64_t done = 0; done < latest.table; done += latest.page)
        assert_ok(pt_map(&fixture->table, vaddr + done, fixture_paddr + done, latest.page, RW, &fixture->flush));
    assert_ok(pt_collapse(&fixture->table, vaddr, latest.table, &fixture->flush));
    /* Its frame may be another table's by now. */
    assert_hex_equal(fixture->table.latest_table, PT_NO_FRAME);
    assert_status(pt_map(&fixture->table, vaddr + 3 * latest.page, fixture_paddr, latest.page, RW, &fixture->flush),
                  PT_MAPPED_TO_HUGE_PAGE);
}

/* What was borrowed is not to be changed, nor is the table that gave way to it. */
static void after_copy_from(void **state)
{
    struct latest latest = begin(state);
    struct fixture *fixture = latest.fixture;
    uint64_t unit = format_copy_unit(fixture->format);
    struct page_table source;

    assert_ok(pt_create(&source, fixture->format, &fixture->memory->handler, fixture->memory));
    assert_ok(pt_unmap(&fixture->table, latest.vaddr, NULL, &fixture->flush));
    assert_ok(pt_copy_from(&fixture->table, &source, latest.vaddr & ~(unit - 1), unit, &fixture->flush));
    assert_status(
        pt_map(&fixture->table, latest.vaddr + 3 * latest.page, fixture_paddr, latest.page, RW, &fixture->flush),
        PT_SHARED);
    pt_flush_ignore(&fixture->flush);
    pt_destroy(&fixture->table);
    pt_destroy(&source);
}

/* Addresses that differ from a good one above the bits of the tables are still looked at. */
static void other_addresses_are_still_checked(void **state)
{
    struct latest latest = begin(state);
    struct fixture *fixture = latest.fixture;

    for (unsigned bit = 0; bit < 64; bit++) {
        pt_vaddr vaddr = latest.vaddr ^ UINT64_C(1) << bit;
        bool fits = format_is_canonical(fixture->format, vaddr);

        if (UINT64_C(1) << bit < latest.page || fits)
            continue;
        assert_status(pt_map(&fixture->table, vaddr, fixture_paddr, latest.page, RW, &fixture->flush), PT_BAD_ADDRESS);
    }
    assert_status(pt_map(&fixture->table, UINT64_C(1) << 63, fixture_paddr, latest.page, RW, &fixture->flush),
                  PT_BAD_ADDRESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(a_page_beside_is_mapped),
        TESTS_OF_EACH_FORMAT(after_unmap_region),
        TESTS_OF_EACH_FORMAT(after_prune),
        TESTS_OF_EACH_FORMAT(after_a_huge_page),
        TESTS_OF_EACH_FORMAT(after_collapse),
        TESTS_OF_EACH_FORMAT(after_copy_from),
        TESTS_OF_EACH_FORMAT(other_addresses_are_still_checked),
    };

    return cmocka_run_group_tests_name("latest", tests, NULL, NULL);
}
