/* SPDX-License-Identifier: MIT */
/*
 * Calls that split, failing at every allocation: nothing changes, nothing leaks, and the same call succeeds when
 * there is memory again. And allocators that change the very page while they serve: what the call does then is what
 * it does to the table as the allocator left it, with no frame taken in vain.
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

/* The largest page, at an address that is not 0, and what it begins with. */
static uint64_t large(const struct fixture *fixture)
{
    return format_largest(fixture->format);
}

static pt_vaddr page(const struct fixture *fixture)
{
    return large(fixture);
}

/* Tables that it takes to have a smallest page where the largest one was. */
static size_t path(const struct fixture *fixture)
{
    return format_level_of(fixture->format, small(fixture)) - format_level_of(fixture->format, large(fixture));
}

/* ---- Calls that split ------------------------------------------------------------------------------- */

static enum pt_status split_to_smallest(struct fixture *fixture)
{
    return pt_split(&fixture->table, page(fixture) + large(fixture) - 1, small(fixture), &fixture->flush);
}

static enum pt_status split_once(struct fixture *fixture)
{
    return pt_split(&fixture->table, page(fixture), format_smaller(fixture->format, large(fixture)), &fixture->flush);
}

static enum pt_status unmap_first(struct fixture *fixture)
{
    return pt_unmap_region(&fixture->table, page(fixture), small(fixture), 0, &fixture->flush);
}

static enum pt_status unmap_middle(struct fixture *fixture)
{
    return pt_unmap_region(&fixture->table, page(fixture) + small(fixture), large(fixture) - 2 * small(fixture), 0,
                           &fixture->flush);
}

/* Split the page behind at one end and this one at the other. */
static enum pt_status unmap_across(struct fixture *fixture)
{
    return pt_unmap_region(&fixture->table, page(fixture) + large(fixture) - small(fixture), 2 * small(fixture), 0,
                           &fixture->flush);
}

/* The same between two entries of one page, if it has several: their tables may share a frame. */
static enum pt_status unmap_across_entries(struct fixture *fixture)
{
    return pt_unmap_region(&fixture->table,
                           page(fixture) + format_step(fixture->format, large(fixture)) - small(fixture),
                           2 * small(fixture), 0, &fixture->flush);
}

static enum pt_status unmap_what_there_is(struct fixture *fixture)
{
    return pt_unmap_region(&fixture->table, page(fixture) + small(fixture), small(fixture), PT_SKIP_HOLES,
                           &fixture->flush);
}

static enum pt_status protect_last(struct fixture *fixture)
{
    return pt_protect_region(&fixture->table, page(fixture) + large(fixture) - small(fixture), small(fixture), PT_READ,
                             0, &fixture->flush);
}

static enum pt_status protect_middle(struct fixture *fixture)
{
    return pt_protect_region(&fixture->table, page(fixture) + small(fixture), large(fixture) - 2 * small(fixture),
                             PT_READ, 0, &fixture->flush);
}

static enum pt_status protect_across_with_holes(struct fixture *fixture)
{
    return pt_protect_region(&fixture->table, page(fixture) - small(fixture), 2 * small(fixture), PT_READ,
                             PT_SKIP_HOLES, &fixture->flush);
}

static enum pt_status take_access_of_one(struct fixture *fixture)
{
    return pt_protect_region(&fixture->table, page(fixture) + small(fixture), small(fixture), 0, 0, &fixture->flush);
}

/* How many tables a call takes, in paths from the largest page to the smallest. */
static const struct call {
    const char *name;
    enum pt_status (*run)(struct fixture *fixture);
    unsigned paths;  /* 0: no more than one table */
    bool neighbours; /* of neighbouring entries, where a page has several */
} calls[] = {
    {"split_to_smallest", split_to_smallest, 1, false},
    {"split_once", split_once, 0, false},
    {"unmap_first", unmap_first, 1, false},
    {"unmap_middle", unmap_middle, 3, false},
    {"unmap_across", unmap_across, 2, false},
    {"unmap_across_entries", unmap_across_entries, 2, true},
    {"unmap_what_there_is", unmap_what_there_is, 1, false},
    {"protect_last", protect_last, 1, false},
    {"protect_middle", protect_middle, 3, false},
    {"protect_across_with_holes", protect_across_with_holes, 1, false},
    {"take_access_of_one", take_access_of_one, 1, false},
};

/* Both ends of the middle share the first table, unless the page is several entries, which need none to be told apart. */
static size_t tables_of(const struct fixture *fixture, const struct call *call)
{
    size_t one = path(fixture);
    size_t first = format_step(fixture->format, large(fixture)) == large(fixture) ? 1 : 0;

    if (call->neighbours && first == 0 && format_tables_in_frame(fixture->format) > 1)
        return one;
    return call->paths == 0 ? first : call->paths == 3 ? 2 * one - first : call->paths * one;
}

/* Two of the largest pages side by side. */
static void map_two(struct fixture *fixture)
{
    assert_ok(pt_map_region(&fixture->table, page(fixture), PADDR, 2 * large(fixture), RW | PT_GLOBAL, PT_ALLOW_HUGE,
                            &fixture->flush));
    pt_flush(&fixture->flush);
}

/* A fixture of its own for each try. */
static struct fixture *begin(const struct pt_format *format)
{
    void *state = (void *)(uintptr_t)format;

    assert_int_equal(fixture_set_up(&state), 0);
    map_two(state);
    return state;
}

static void end(struct fixture *fixture)
{
    void *state = fixture;

    assert_int_equal(fixture_tear_down(&state), 0);
}

/* ---- Without memory --------------------------------------------------------------------------------- */

static void fail_each_allocation(const struct pt_format *format, const struct call *call,
                                 void (*arrange)(struct memory *memory, size_t n), bool owing)
{
    struct fixture *fixture = begin(format);
    size_t tables = tables_of(fixture, call), taken, allocations;

    /* Something is owed already, a retired table among it. */
    if (owing) {
        assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
        assert_ok(pt_unmap_region(&fixture->table, 0, small(fixture), 0, &fixture->flush));
        memory_hold(fixture->memory);
    }
    for (size_t n = 0; n < 2 * tables; n++) { /* no frame; and then one that no entry can lead to */
        size_t flushes = fixture->memory->flush_count;

        fixture->memory->far = n < tables ? 0 : format_table_limit(format, false);
        arrange(fixture->memory, n % tables + 1);
        assert_refused(fixture, call->run(fixture), PT_NO_MEMORY);
        memory_fail_never(fixture->memory);
        assert_int_equal(fixture->memory->flush_count, flushes);
    }
    taken = fixture->memory->taken;
    allocations = fixture->memory->allocations;
    arrange(fixture->memory, tables + 1);
    assert_ok(call->run(fixture));
    assert_int_equal(fixture->memory->taken, taken + tables);
    assert_int_equal(fixture->memory->allocations, allocations + tables);
    end(fixture);
}

static void failed_split_changes_nothing(void **state)
{
    const struct fixture *outer = *state;

    for (size_t i = 0; i < TESTS_COUNT(calls); i++) {
        fail_each_allocation(outer->format, &calls[i], memory_fail_after, false);
        fail_each_allocation(outer->format, &calls[i], memory_fail_once, false);
        fail_each_allocation(outer->format, &calls[i], memory_fail_after, true);
    }
}

static void refused_split_asks_for_no_memory(void **state)
{
    struct fixture *fixture = *state;
    size_t attempts;

    map_two(fixture);
    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    attempts = fixture->memory->attempts;
    /* What begins well and ends in a hole; what would split and may not. */
    assert_refused(
        fixture,
        pt_unmap_region(&fixture->table, page(fixture) + small(fixture), 3 * large(fixture), 0, &fixture->flush),
        PT_NOT_MAPPED);
    assert_refused(fixture,
                   pt_protect_region(&fixture->table, page(fixture) + small(fixture), 3 * large(fixture), PT_READ, 0,
                                     &fixture->flush),
                   PT_NOT_MAPPED);
    assert_refused(
        fixture,
        pt_unmap_region(&fixture->table, page(fixture) + small(fixture), large(fixture), PT_NO_SPLIT, &fixture->flush),
        PT_MAPPED_TO_HUGE_PAGE);
    assert_refused(fixture, pt_split(&fixture->table, page(fixture) - 1, small(fixture), &fixture->flush),
                   PT_NOT_MAPPED);
    assert_ok(pt_split(&fixture->table, page(fixture), large(fixture), &fixture->flush));
    assert_int_equal(fixture->memory->attempts, attempts);
}

static void joining_and_unmapping_whole_pages_need_no_memory(void **state)
{
    struct fixture *fixture = *state;

    map_two(fixture);
    assert_ok(split_to_smallest(fixture));
    pt_flush(&fixture->flush);
    memory_fail_after(fixture->memory, 1);
    assert_ok(pt_collapse(&fixture->table, page(fixture), large(fixture), &fixture->flush));
    assert_mapped(&fixture->table, page(fixture), PADDR, large(fixture), RW | PT_GLOBAL);
    assert_ok(pt_protect_region(&fixture->table, page(fixture), 2 * large(fixture), PT_READ, 0, &fixture->flush));
    assert_ok(pt_unmap_region(&fixture->table, page(fixture), 2 * large(fixture), 0, &fixture->flush));
    assert_ok(pt_prune(&fixture->table, 0, 4 * large(fixture), &fixture->flush));
    pt_flush(&fixture->flush);
    assert_int_equal(fixture->memory->taken, 1);
}

/* ---- Allocators that change the page that is being split --------------------------------------------- */

enum interference {
    MAPS_ELSEWHERE,
    SPLITS_IT,
    UNMAPS_IT,
    UNMAPS_A_PART,
    PROTECTS_IT,
    MAPS_SMALL_PAGES_INSTEAD,
    WAYS
};

struct meddler {
    struct fixture *fixture;
    enum interference way;
    size_t in; /* at the how-manieth allocation */
    size_t times;
};

static void interfere(struct fixture *fixture, enum interference way, struct pt_flush *flush)
{
    struct page_table *table = &fixture->table;
    pt_vaddr vaddr = page(fixture);

    switch (way) {
    case MAPS_ELSEWHERE:
        assert_ok(pt_map(table, 0, PADDR, small(fixture), RW, flush));
        return;
    case SPLITS_IT:
        assert_ok(pt_split(table, vaddr, small(fixture), flush));
        return;
    case UNMAPS_IT:
        assert_ok(pt_unmap(table, vaddr, NULL, flush));
        return;
    case UNMAPS_A_PART:
        assert_ok(pt_unmap_region(table, vaddr + small(fixture), small(fixture), 0, flush));
        return;
    case PROTECTS_IT:
        assert_ok(pt_protect(table, vaddr, PT_READ | PT_EXECUTE, NULL, flush));
        return;
    default:
        assert_ok(pt_unmap(table, vaddr, NULL, flush));
        assert_ok(pt_map_region(table, vaddr, PADDR + 4 * large(fixture), 3 * small(fixture), PT_READ, 0, flush));
        return;
    }
}

static void meddle(void *arg, struct memory *memory)
{
    struct meddler *meddler = arg;
    struct pt_flush flush;

    (void)memory;
    if (meddler->in == 0 || --meddler->in > 0)
        return;
    meddler->times++;
    pt_flush_init(&flush, &meddler->fixture->table);
    interfere(meddler->fixture, meddler->way, &flush);
    pt_flush(&flush);
}

/* The same tree: what is translated, by which pages, and the tables on the way. */
static void assert_same_tree(const struct page_table *a, const struct page_table *b)
{
    struct snapshot of_a, of_b;

    snapshot_take(&of_a, a, NULL, NULL);
    snapshot_take(&of_b, b, NULL, NULL);
    assert_int_equal(of_a.count, of_b.count);
    for (size_t i = 0; i < of_a.count; i++) {
        const struct pt_visit *x = &of_a.visits[i], *y = &of_b.visits[i];

        assert_hex_equal(x->vaddr, y->vaddr);
        assert_int_equal(x->level, y->level);
        assert_int_equal(x->is_leaf, y->is_leaf);
        if (!x->is_leaf)
            continue;
        assert_hex_equal(x->bits, y->bits);
        assert_hex_equal(x->mapping.paddr, y->mapping.paddr);
        assert_int_equal(x->mapping.flags, y->mapping.flags);
    }
    snapshot_end(&of_a);
    snapshot_end(&of_b);
}

/* The call, with an allocator that interferes at the n-th allocation, is the interference and then the call. */
static bool compare(const struct pt_format *format, const struct call *call, enum interference way, size_t n)
{
    struct fixture *fixture = begin(format), *reference = begin(format);
    struct meddler meddler = {.fixture = fixture, .way = way, .in = n};
    enum pt_status status;
    bool met;

    fixture->memory->on_alloc = meddle;
    fixture->memory->on_alloc_arg = &meddler;
    status = call->run(fixture);
    fixture->memory->on_alloc = NULL;
    met = meddler.times > 0;

    if (met)
        interfere(reference, way, &reference->flush);
    assert_status(call->run(reference), status);
    assert_same_tree(&fixture->table, &reference->table);
    pt_flush(&fixture->flush);
    pt_flush(&reference->flush);
    assert_int_equal(fixture->memory->taken, reference->memory->taken);
    end(fixture);
    end(reference);
    return met;
}

static void allocator_that_changes_the_page_is_as_if_it_had_come_first(void **state)
{
    const struct fixture *outer = *state;

    for (size_t i = 0; i < TESTS_COUNT(calls); i++)
        for (enum interference way = 0; way < WAYS; way++) {
            size_t n = 1;

            while (compare(outer->format, &calls[i], way, n))
                n++;
            assert_true(n > 1 || tables_of(outer, &calls[i]) == 0);
        }
}

/* Memory runs out after the allocator has changed the page: what it did stays, what the call took goes. */
static void failure_after_interference_gives_back_only_its_own(void **state)
{
    const struct fixture *outer = *state;

    for (size_t i = 0; i < TESTS_COUNT(calls); i++) {
        struct fixture *fixture, *reference;
        struct meddler meddler = {.way = PROTECTS_IT, .in = 1};

        if (tables_of(outer, &calls[i]) == 0)
            continue; /* it does not ask for memory */
        meddler.fixture = fixture = begin(outer->format);
        reference = begin(outer->format);

        fixture->memory->on_alloc = meddle;
        fixture->memory->on_alloc_arg = &meddler;
        memory_fail_after(fixture->memory, tables_of(fixture, &calls[i]));
        assert_status(calls[i].run(fixture), PT_NO_MEMORY);
        assert_int_equal(meddler.times, 1);
        memory_fail_never(fixture->memory);
        fixture->memory->on_alloc = NULL;

        interfere(reference, PROTECTS_IT, &reference->flush);
        assert_same_tree(&fixture->table, &reference->table);
        assert_int_equal(fixture->memory->taken, reference->memory->taken);
        assert_ok(calls[i].run(fixture));
        end(fixture);
        end(reference);
    }
}

/* ---- Tables that were lent --------------------------------------------------------------------------- */

static void failed_split_of_what_was_lent_is_seen_by_no_copy(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t unit = format_copy_unit(fixture->format);
    uint64_t size = format_leaf_table(fixture->format);
    struct page_table copy;
    struct pt_flush flush;
    struct snapshot before;

    if (fixture->format->levels == 2)
        skip(); /* what takes a table to be split stands in the root: it is copied, not lent */
    assert_ok(pt_map(&fixture->table, 0, PADDR, size, RW, &fixture->flush));
    assert_ok(pt_create(&copy, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&flush, &copy);
    assert_ok(pt_copy_from(&copy, &fixture->table, 0, unit, &flush));
    pt_flush(&flush);
    pt_flush(&fixture->flush);
    snapshot_take(&before, &copy, &flush, fixture->memory);

    memory_fail_after(fixture->memory, 1);
    assert_refused(fixture, pt_split(&fixture->table, 0, small(fixture), &fixture->flush), PT_NO_MEMORY);
    assert_refused(fixture, pt_unmap_region(&fixture->table, 0, small(fixture), 0, &fixture->flush), PT_NO_MEMORY);
    assert_status(pt_split(&copy, 0, small(fixture), &flush), PT_SHARED);
    assert_status(pt_unmap_region(&copy, 0, small(fixture), 0, &flush), PT_SHARED);
    assert_status(pt_collapse(&copy, 0, size, &flush), PT_SHARED);
    assert_unchanged(&before);
    snapshot_end(&before);
    memory_fail_never(fixture->memory);

    assert_ok(pt_unmap_region(&fixture->table, 0, small(fixture), 0, &fixture->flush));
    assert_not_mapped(&copy, 0);
    assert_mapped(&copy, small(fixture), PADDR + small(fixture), small(fixture), RW);
    pt_flush(&flush);
    pt_destroy(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(failed_split_changes_nothing),
        TESTS_OF_EACH_FORMAT(refused_split_asks_for_no_memory),
        TESTS_OF_EACH_FORMAT(joining_and_unmapping_whole_pages_need_no_memory),
        TESTS_OF_EACH_FORMAT(allocator_that_changes_the_page_is_as_if_it_had_come_first),
        TESTS_OF_EACH_FORMAT(failure_after_interference_gives_back_only_its_own),
        TESTS_OF_EACH_FORMAT(failed_split_of_what_was_lent_is_seen_by_no_copy),
    };

    return cmocka_run_group_tests_name("faults_reshape", tests, NULL, NULL);
}
