/* SPDX-License-Identifier: MIT */
/* A table from pt_create to pt_destroy: who owns which frame, frame 0, the walk, the dump, and sharing. */
#include "formats.h"
#include "memory.h"
#include "slot.h"
#include "snapshot.h"
#include "test.h"

#define PADDR fixture_paddr /* a multiple of every page size in use, and not in the simulated memory */
#define RW (PT_READ | PT_WRITE)

static uint64_t small(const struct fixture *fixture)
{
    return format_smallest(fixture->format);
}

/* What can be copied by itself: a root entry, or some. */
static uint64_t unit(const struct fixture *fixture)
{
    return format_copy_unit(fixture->format);
}

/* So many of them, or as many as there are in the lower half. */
static unsigned units(const struct fixture *fixture, unsigned wanted)
{
    return format_copy_units(fixture->format) < wanted ? (unsigned)format_copy_units(fixture->format) : wanted;
}

static pt_vaddr place(const struct fixture *fixture, unsigned n)
{
    return format_place(fixture->format, n);
}

/* What a table of the last level translates, with those that share its frame. */
static uint64_t leaf_table(const struct fixture *fixture)
{
    return format_leaf_frame(fixture->format);
}

/* The size of page above the smallest without groups. */
static uint64_t second(const struct fixture *fixture)
{
    return format_leaf_table(fixture->format);
}

/* ---- Creation and destruction ------------------------------------------------------------------------- */

static void an_empty_table_is_one_zeroed_root(void **state)
{
    struct fixture *fixture = *state;
    size_t bytes = format_root_entries(fixture->format) * format_entry_bytes(fixture->format);
    const unsigned char *root = memory_phys_to_virt(fixture->memory, pt_root(&fixture->table));

    assert_int_equal(fixture->memory->taken, 1);
    assert_int_equal(pt_root(&fixture->table) % (bytes < PT_FRAME_SIZE ? PT_FRAME_SIZE : bytes), 0);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(root[i], 0);
    assert_not_mapped(&fixture->table, 0);
}

static void destroying_twice_or_a_zeroed_struct_is_harmless(void **state)
{
    const struct pt_format *format = *state;
    struct page_table zero = {.root = 0};
    struct page_table table = zero;
    struct memory memory;

    pt_destroy(&table);
    memory_init(&memory, format_memory_base(format), 16);
    assert_ok(pt_create(&table, format, &memory.handler, &memory));
    pt_destroy(&table);
    assert_memory_equal(&table, &zero, sizeof(table));
    assert_int_equal(memory.taken, 0);
    assert_int_equal(memory.frees, memory.allocations);
    pt_destroy(&table);
    assert_int_equal(memory.frees, memory.allocations);
    memory_end(&memory);
}

static void a_table_in_linear_memory_works_as_well(void **state)
{
    const struct pt_format *format = *state;
    struct page_table table;
    struct pt_flush flush;
    struct memory memory;
    const uint64_t page = format_smallest(format);
    const pt_vaddr vaddr = format_last_page(format, page) - 3 * page;
    const pt_paddr paddr = format_some_paddr(format);

    memory_init(&memory, format_memory_base(format), 64);
    memory_make_linear(&memory);
    assert_ok(pt_create(&table, format, &memory.handler, &memory));
    pt_flush_init(&flush, &table);
    assert_ok(pt_map_region(&table, vaddr, paddr, 4 * page, RW, 0, &flush));
    assert_mapped(&table, vaddr + 3 * page, paddr + 3 * page, page, RW);
    assert_ok(pt_unmap_region(&table, vaddr, 4 * page, 0, &flush));
    pt_flush(&flush);
    pt_destroy(&table);
    memory_end(&memory);
}

/* The table about to be freed leads to no table that is still out. */
static void children_are_gone(void *arg, struct memory *memory, pt_paddr first)
{
    size_t count;
    struct slot slot = slots_of_frame(arg, (size_t)((first - memory->base) / PT_FRAME_SIZE), &count);

    for (size_t i = 0; i < count; i++, slot = slot_after(slot, 1))
        if (slot_get(slot) != 0 && frame_below(arg, slot_get(slot)) < memory->frames)
            fail_msg("a table is freed before the one that its entry %zu leads to", i);
}

static void build_a_forest(struct fixture *fixture)
{
    const struct pt_format *format = fixture->format;

    for (unsigned slot = 1; slot < 4; slot++)
        for (unsigned level = 1; level < format->levels; level++)
            assert_ok(pt_map(&fixture->table, place(fixture, slot) + format_entry_size(format, level), PADDR,
                             small(fixture), RW, &fixture->flush));
    assert_ok(
        pt_map(&fixture->table, format_last_page(format, small(fixture)), PADDR, small(fixture), 0, &fixture->flush));
}

static void children_are_destroyed_before_their_parents(void **state)
{
    struct fixture *fixture = *state;

    build_a_forest(fixture);
    pt_flush(&fixture->flush);
    fixture->memory->on_dealloc = children_are_gone;
    fixture->memory->on_dealloc_arg = fixture;
    pt_destroy(&fixture->table);
    fixture->memory->on_dealloc = NULL;
    assert_int_equal(fixture->memory->taken, 0);
}

/* No table that stays leads to the one about to be freed. */
static void nothing_leads_here(void *arg, struct memory *memory, pt_paddr first)
{
    size_t freed = (size_t)((first - memory->base) / PT_FRAME_SIZE);

    for (size_t j = 0; j < memory->frames; j++) {
        size_t count;
        struct slot slot = slots_of_frame(arg, j, &count);

        for (size_t i = 0; i < count && j != freed; i++, slot = slot_after(slot, 1))
            if (slot_get(slot) != 0 && frame_below(arg, slot_get(slot)) == freed)
                fail_msg("a table is freed while entry %zu of another leads to it", i);
    }
}

/* Tables that are left on the way to the last page, which build_a_forest maps. */
static size_t way_to_the_last_page(const struct fixture *fixture)
{
    return fixture->format->levels - 1u;
}

static void retired_tables_are_unhooked_before_they_are_freed(void **state)
{
    struct fixture *fixture = *state;

    build_a_forest(fixture);
    pt_flush(&fixture->flush);
    memory_hold(fixture->memory);
    assert_ok(
        pt_unmap_region(&fixture->table, 0, format_lower_last(fixture->format) + 1, PT_SKIP_HOLES, &fixture->flush));
    assert_int_equal(fixture->memory->frees, 0);
    /* what a CPU would find through the retired tables, if it still knew them, is not checked here */
    for (unsigned slot = 1; slot < 4; slot++)
        assert_not_mapped(&fixture->table, place(fixture, slot) + small(fixture));
    memory_forget_flushes(fixture->memory);
    fixture->memory->on_dealloc = nothing_leads_here;
    fixture->memory->on_dealloc_arg = fixture;
    pt_flush(&fixture->flush);
    fixture->memory->on_dealloc = NULL;
    assert_int_equal(fixture->memory->flush_count, 1);
    assert_true(memory_last_flush(fixture->memory)->tables_changed);
    /* the root, and the way to the last page */
    assert_int_equal(fixture->memory->taken,
                     1 + (fixture->format->address_space == PT_SIGN_EXTENDED ? way_to_the_last_page(fixture) : 0));
}

static void retired_tables_stay_until_the_flush(void **state)
{
    struct fixture *fixture = *state;
    size_t taken;

    memory_hold(fixture->memory);
    assert_ok(pt_map_region(&fixture->table, 0, PADDR, 2 * leaf_table(fixture), RW, 0, &fixture->flush));
    taken = fixture->memory->taken;
    assert_ok(pt_unmap_region(&fixture->table, 0, 2 * leaf_table(fixture), 0, &fixture->flush));
    assert_int_equal(fixture->memory->taken, taken);
    assert_true(fixture->flush.retired != PT_NO_FRAME);
    assert_true(fixture->flush.tables_changed);
    memory_hold(fixture->memory);
    pt_flush(&fixture->flush);
    /* the two that held pages, and those above them, which became empty */
    assert_int_equal(fixture->memory->taken, taken - 2 - (fixture->format->levels - 2u));
    assert_int_equal(fixture->memory->taken, 1);
    assert_true(fixture->flush.retired == PT_NO_FRAME);
    assert_false(fixture->flush.tables_changed);
}

/*
 * Where break-before-make is the rule, a page that is mapped anew must wait for the invalidation of the
 * one that was there, even if the flush no longer remembers which pages it owes.
 */
static void a_flush_of_everything_is_paid_before_pages_come_back(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    const unsigned pages = 2 * PT_FLUSH_RANGES + 4;

    assert_ok(pt_map_region(&fixture->table, 0, PADDR, pages * page, RW, 0, &fixture->flush));
    pt_flush(&fixture->flush);
    for (unsigned i = 0; i < pages; i += 2)
        assert_ok(pt_unmap(&fixture->table, i * page, NULL, &fixture->flush));
    assert_true(fixture->flush.everything);
    memory_forget_flushes(fixture->memory);
    assert_ok(pt_map(&fixture->table, (pages - 2) * page, 2 * PADDR, page, RW, &fixture->flush));
    if (fixture->format->new_mapping_owes == PT_OWES_BARRIER) {
        assert_int_equal(fixture->memory->flush_count, 1);
        assert_true(memory_last_flush(fixture->memory)->everything);
    } else {
        assert_int_equal(fixture->memory->flush_count, 0);
        assert_true(fixture->flush.everything);
    }
}

/* The table goes, a flush that is still owed remains good. */
static void a_flush_outlives_its_table(void **state)
{
    struct fixture *fixture = *state;

    assert_ok(pt_map_region(&fixture->table, 0, PADDR, leaf_table(fixture), RW, 0, &fixture->flush));
    assert_ok(pt_unmap_region(&fixture->table, 0, leaf_table(fixture), 0, &fixture->flush));
    pt_destroy(&fixture->table);
    /* a table of each level below the root */
    assert_int_equal(fixture->memory->taken, fixture->format->levels - 1u);
    pt_flush(&fixture->flush);
    assert_int_equal(fixture->memory->taken, 0);
}

/* The largest page that the simulated memory has room for, and some, in whole pages. */
static uint64_t huge_in_memory(const struct fixture *fixture)
{
    uint64_t size = small(fixture);

    while (format_larger(fixture->format, size) != 0 && format_larger(fixture->format, size) <= PT_4M)
        size = format_larger(fixture->format, size);
    return size;
}

static uint64_t run_in_memory(const struct fixture *fixture)
{
    return huge_in_memory(fixture) > PT_2M ? huge_in_memory(fixture) : PT_2M;
}

static void mapped_frames_are_never_freed(void **state)
{
    struct fixture *fixture = *state;
    struct memory *memory = fixture->memory;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    const uint64_t huge = huge_in_memory(fixture), run = run_in_memory(fixture);
    const size_t count = (size_t)(run / PT_FRAME_SIZE);
    pt_paddr frames = memory_alloc(memory, count, (size_t)run);
    size_t taken;

    assert_true(frames != PT_NO_FRAME);
    /* the same frames as small pages, as a huge one, and once more under a table that is destroyed */
    for (unsigned options = 0; options <= PT_ALLOW_HUGE; options++) {
        assert_ok(pt_map_region(table, 0, frames, run, RW, options, flush));
        assert_ok(pt_protect_region(table, 0, run, PT_READ, 0, flush));
        assert_ok(pt_unmap_region(table, 0, run, 0, flush));
        pt_flush(flush);
        assert_ok(pt_map_region(table, 0, frames, run, RW, options, flush));
        assert_ok(pt_unmap(table, page, NULL, flush));
        assert_ok(pt_unmap_region(table, 0, run, PT_SKIP_HOLES, flush));
        pt_flush(flush);
        assert_ok(pt_map_region(table, 0, frames, run, RW, options, flush));
        assert_ok(pt_remap(table, 0, 0, 0, NULL, flush));
        assert_ok(pt_unmap_region(table, 0, run, 0, flush));
        pt_flush(flush);
    }
    assert_ok(pt_map_region(table, 0, frames, run, RW, 0, flush));
    assert_ok(pt_map(table, place(fixture, 4), frames, huge, RW, flush));
    assert_ok(pt_map(table, place(fixture, 5), frames, page, 0, flush));
    pt_destroy(table);
    taken = memory->taken;
    assert_int_equal(taken, 1); /* they were taken at once */
    for (size_t i = 0; i < count; i++)
        assert_true(memory_is_taken(memory, frames + i * PT_FRAME_SIZE));
    memory_dealloc(memory, frames, count);
}

/* The library does not write to what it maps. */
static void mapped_frames_are_never_written(void **state)
{
    struct fixture *fixture = *state;
    struct memory *memory = fixture->memory;
    const uint64_t huge = huge_in_memory(fixture), run = run_in_memory(fixture);
    const size_t count = (size_t)(run / PT_FRAME_SIZE);
    pt_paddr frames = memory_alloc(memory, count, (size_t)run);
    unsigned char *bytes = memory_phys_to_virt(memory, frames);

    memset(bytes, 0x11, (size_t)run);
    assert_ok(pt_map_region(&fixture->table, 0, frames, run, RW, 0, &fixture->flush));
    assert_ok(pt_map(&fixture->table, place(fixture, 1), frames, huge, RW, &fixture->flush));
    assert_ok(pt_protect_region(&fixture->table, 0, run, 0, 0, &fixture->flush));
    assert_ok(pt_unmap_region(&fixture->table, 0, run, 0, &fixture->flush));
    assert_ok(pt_unmap(&fixture->table, place(fixture, 1), NULL, &fixture->flush));
    pt_flush(&fixture->flush);
    for (size_t i = 0; i < run; i++)
        if (bytes[i] != 0x11)
            fail_msg("byte %zu of a mapped frame was written", i);
    memory_dealloc(memory, frames, count);
}

static void a_huge_page_replaces_empty_tables(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const unsigned last = fixture->format->levels - 1u;

    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        bool replaces = format_level_of(fixture->format, size) < last; /* or it is several entries of one */
        size_t taken;

        if (size == small(fixture))
            continue;
        assert_ok(pt_map(table, 0, PADDR, small(fixture), RW, flush));
        assert_ok(pt_map(table, size - small(fixture), PADDR, small(fixture), RW, flush));
        taken = fixture->memory->taken;
        assert_ok(pt_unmap(table, 0, NULL, flush));
        assert_refused(fixture, pt_map(table, 0, PADDR, size, RW, flush), PT_ALREADY_MAPPED);
        assert_ok(pt_unmap(table, size - small(fixture), NULL, flush));
        pt_flush(flush);
        memory_hold(fixture->memory);
        memory_forget_flushes(fixture->memory);
        assert_ok(pt_map(table, 0, PADDR, size, RW, flush));
        assert_int_equal(fixture->memory->taken, taken);
        assert_mapped(table, size - 1, PADDR + size - 1, size, RW);
        assert_int_equal(flush->retired != PT_NO_FRAME, replaces);
        if (fixture->memory->flush_count > 0) /* break before make */
            memory_release(fixture->memory);
        pt_flush(flush);
        assert_int_equal(fixture->memory->flush_count,
                         replaces || fixture->format->new_mapping_owes == PT_OWES_FLUSH ? 1 : 0);
        assert_true(!replaces || memory_last_flush(fixture->memory)->tables_changed);
        assert_int_equal(fixture->memory->taken, 1 + format_level_of(fixture->format, size));
        assert_ok(pt_unmap_region(table, 0, unit(fixture), PT_SKIP_HOLES, flush));
        pt_flush(flush);
        assert_int_equal(fixture->memory->taken, 1);
    }
    assert_true(last > 0);
}

static void tables_are_made_only_where_they_are_needed(void **state)
{
    struct fixture *fixture = *state;
    size_t way = fixture->format->levels - 1u;
    pt_vaddr other = unit(fixture) > leaf_table(fixture) ? unit(fixture) : 2 * unit(fixture);

    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    assert_int_equal(fixture->memory->taken, 1 + way);
    assert_ok(pt_map(&fixture->table, small(fixture), PADDR, small(fixture), RW, &fixture->flush));
    assert_int_equal(fixture->memory->taken, 1 + way);
    assert_ok(pt_map(&fixture->table, leaf_table(fixture), PADDR, small(fixture), RW, &fixture->flush));
    assert_int_equal(fixture->memory->taken, 1 + way + 1);
    assert_ok(pt_map(&fixture->table, other, PADDR, small(fixture), RW, &fixture->flush));
    assert_int_equal(fixture->memory->taken, 1 + 2 * way + 1);
    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        size_t taken = fixture->memory->taken;

        assert_ok(pt_map(&fixture->table, format_place(fixture->format, 6) + size, PADDR, size, RW, &fixture->flush));
        assert_true(fixture->memory->taken - taken <= way);
    }
}

/* ---- Frame 0 ------------------------------------------------------------------------------------------- */

/* The largest root, and a place for it out of the way. */
#define ROOT_FRAMES 16
#define AT_ZERO_FRAMES 256
#define ROOT_AT ((AT_ZERO_FRAMES - ROOT_FRAMES) * PT_FRAME_SIZE)

static int at_zero_set_up(void **state)
{
    *state = fixture_begin(*state, 0, AT_ZERO_FRAMES);
    return 0;
}

static void create(struct fixture *fixture)
{
    assert_ok(pt_create(&fixture->table, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&fixture->flush, &fixture->table);
}

static void a_root_at_zero_is_a_root(void **state)
{
    struct fixture *fixture = *state;

    memory_serve_next(fixture->memory, 0);
    create(fixture);
    assert_int_equal(pt_root(&fixture->table), 0);
    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    assert_mapped(&fixture->table, 0, PADDR, small(fixture), RW);
    assert_ok(pt_unmap_region(&fixture->table, 0, unit(fixture), PT_SKIP_HOLES, &fixture->flush));
    pt_flush(&fixture->flush);
    assert_int_equal(fixture->memory->taken, 1);
    pt_destroy(&fixture->table);
    assert_int_equal(fixture->memory->taken, 0);
}

struct countdown {
    unsigned calls;
};

static void serve_zero_at(void *arg, struct memory *memory)
{
    struct countdown *countdown = arg;

    if (countdown->calls > 0 && --countdown->calls == 0)
        memory_serve_next(memory, 0);
}

/* Each of the tables of a page in turn: it works there, or, where it cannot, another frame is taken. */
static void a_table_at_zero_is_a_table(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    bool must_avoid = format_facts(fixture->format)->no_table_at_zero;

    memory_serve_next(fixture->memory, ROOT_AT);
    create(fixture);
    for (unsigned which = 1; which < fixture->format->levels; which++) {
        struct countdown countdown = {.calls = which};

        memory_serve_next(fixture->memory, 2 * PT_FRAME_SIZE);
        fixture->memory->on_alloc = serve_zero_at;
        fixture->memory->on_alloc_arg = &countdown;
        assert_ok(pt_map(table, 0, PADDR, page, RW, flush));
        fixture->memory->on_alloc = NULL;
        assert_int_equal(countdown.calls, 0);
        assert_int_equal(memory_is_taken(fixture->memory, 0), !must_avoid);
        assert_int_equal(fixture->memory->taken, fixture->format->levels);
        assert_mapped(table, 0, PADDR, page, RW);
        assert_ok(pt_map(table, page, PADDR, page, RW, flush));
        assert_ok(pt_map(table, second(fixture), PADDR, page, RW, flush));
        assert_refused(fixture, pt_map(table, 0, PADDR, second(fixture), RW, flush), PT_ALREADY_MAPPED);
        assert_refused(fixture, pt_map_region(table, 0, PADDR, 2 * leaf_table(fixture), RW, 0, flush),
                       PT_ALREADY_MAPPED);
        assert_ok(pt_unmap_region(table, 0, unit(fixture), PT_SKIP_HOLES, flush));
        pt_flush(flush);
        assert_int_equal(fixture->memory->taken, 1);
    }
    pt_destroy(table);
}

/* As many frames are left as it takes, 0 among them. */
static void no_frame_but_zero(void **state)
{
    struct fixture *fixture = *state;
    struct memory *memory = fixture->memory;
    bool must_avoid = format_facts(fixture->format)->no_table_at_zero;
    const size_t frames = format_table_frames(fixture->format);
    const uint64_t bytes = frames * PT_FRAME_SIZE;

    memory_serve_next(memory, ROOT_AT);
    create(fixture);
    while (memory_alloc(memory, frames, (size_t)bytes) != PT_NO_FRAME)
        ;
    for (unsigned i = 0; i < fixture->format->levels - 1u; i++)
        memory_dealloc(memory, i * bytes, frames);
    memory_serve_next(memory, bytes); /* 0 is the last one */
    assert_status(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush),
                  must_avoid ? PT_NO_MEMORY : PT_OK);
    assert_int_equal(memory_is_taken(memory, 0), !must_avoid);
    pt_destroy(&fixture->table);
    for (size_t i = 0; i < memory->frames; i++)
        if (memory->frame[i].run > 0)
            memory_dealloc(memory, i * PT_FRAME_SIZE, memory->frame[i].run);
}

/* The list of retired tables is not cut short by the one at 0. */
static void a_retired_table_at_zero_is_given_back(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t table_size = leaf_table(fixture);

    memory_serve_next(fixture->memory, ROOT_AT);
    create(fixture);
    for (unsigned which = 1; which <= 3; which++) {
        struct countdown countdown = {.calls = which};

        memory_serve_next(fixture->memory, 2 * PT_FRAME_SIZE);
        assert_ok(pt_map(&fixture->table, 10 * table_size, PADDR, small(fixture), RW, &fixture->flush));
        memory_serve_next(fixture->memory, 2 * PT_FRAME_SIZE);
        fixture->memory->on_alloc = serve_zero_at;
        fixture->memory->on_alloc_arg = &countdown;
        for (unsigned i = 0; i < 3; i++)
            assert_ok(pt_map(&fixture->table, i * table_size, PADDR, small(fixture), RW, &fixture->flush));
        fixture->memory->on_alloc = NULL;
        assert_ok(pt_unmap_region(&fixture->table, 0, 3 * table_size, PT_SKIP_HOLES, &fixture->flush));
        pt_flush(&fixture->flush);
        assert_false(memory_is_taken(fixture->memory, 0));
        assert_int_equal(fixture->memory->taken, fixture->format->levels);
        assert_ok(pt_unmap_region(&fixture->table, 0, 11 * table_size, PT_SKIP_HOLES, &fixture->flush));
        pt_flush(&fixture->flush);
        assert_int_equal(fixture->memory->taken, 1);
    }
    pt_destroy(&fixture->table);
}

static void a_page_at_zero_is_a_page(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;

    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            pt_vaddr vaddr = 2 * size;
            pt_flags read_back = format_reads_back(fixture->format, flags);
            struct pt_mapping old = {1, 2, 3};

            assert_ok(pt_map(table, vaddr, 0, size, flags, flush));
            assert_mapped(table, vaddr, 0, size, read_back);
            assert_mapped(table, vaddr + size - 1, size - 1, size, read_back);
            assert_status(pt_map(table, vaddr, 0, size, flags, flush), PT_ALREADY_MAPPED);
            assert_status(pt_map_region(table, vaddr - small(fixture), 0, 2 * small(fixture), flags, 0, flush),
                          size == small(fixture) ? PT_ALREADY_MAPPED : PT_MAPPED_TO_HUGE_PAGE);
            assert_ok(pt_unmap(table, vaddr, &old, flush));
            assert_hex_equal(old.paddr, 0);
            assert_hex_equal(old.page_size, size);
            assert_int_equal(old.flags, read_back);
            assert_not_mapped(table, vaddr);
        }
    }
    assert_ok(pt_map_region(table, 0, 0, 3 * small(fixture), RW, 0, flush));
    assert_ok(pt_remap(table, small(fixture), 0, 0, NULL, flush));
    assert_mapped(table, small(fixture), 0, small(fixture), 0);
    assert_ok(pt_unmap_region(table, 0, 3 * small(fixture), 0, flush));
}

/* ---- The walk ------------------------------------------------------------------------------------------ */

struct step {
    struct pt_visit visit;
    bool is_post;
};

struct trace {
    struct step steps[512];
    size_t count;
    size_t stop_after; /* so many steps; 0: never */
};

static bool trace_one(struct trace *trace, const struct pt_visit *visit, bool is_post)
{
    assert_true(trace->count < TESTS_COUNT(trace->steps));
    trace->steps[trace->count].visit = *visit;
    trace->steps[trace->count++].is_post = is_post;
    return trace->count != trace->stop_after;
}

static bool trace_pre(void *arg, const struct pt_visit *visit)
{
    return trace_one(arg, visit, false);
}

static bool trace_post(void *arg, const struct pt_visit *visit)
{
    return trace_one(arg, visit, true);
}

static void an_empty_table_has_nothing_to_visit(void **state)
{
    struct fixture *fixture = *state;
    struct trace *trace = calloc(1, sizeof(*trace));

    pt_walk(&fixture->table, SIZE_MAX, trace_pre, trace_post, trace);
    assert_int_equal(trace->count, 0);
    pt_walk(&fixture->table, SIZE_MAX, NULL, NULL, NULL);
    free(trace);
}

static void the_walk_goes_down_and_up_again(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;
    const unsigned last = format->levels - 1u;
    const pt_vaddr vaddr = place(fixture, 3) + 5 * second(fixture) + 7 * small(fixture);
    struct trace *trace = calloc(1, sizeof(*trace));

    assert_ok(pt_map(&fixture->table, vaddr, PADDR, small(fixture), PT_READ | PT_USER, &fixture->flush));
    pt_walk(&fixture->table, SIZE_MAX, trace_pre, trace_post, trace);
    assert_int_equal(trace->count, 2 * format->levels);
    for (unsigned i = 0; i < trace->count; i++) {
        const struct step *step = &trace->steps[i];
        unsigned level = i <= last ? i : 2 * last + 1 - i;
        uint64_t size = format_entry_size(format, level);

        assert_int_equal(step->is_post, i > last);
        assert_int_equal(step->visit.level, level);
        assert_hex_equal(step->visit.vaddr, vaddr - vaddr % size);
        assert_int_equal(step->visit.index,
                         vaddr / size % (level ? format_entries(format) : format_root_entries(format)));
        assert_true(step->visit.bits != 0);
        assert_int_equal(step->visit.is_leaf, level == last);
        if (level == last) {
            assert_hex_equal(step->visit.mapping.paddr, PADDR);
            assert_hex_equal(step->visit.mapping.page_size, size);
            assert_int_equal(step->visit.mapping.flags, format_reads_back(format, PT_READ | PT_USER));
        }
    }

    /* one visitor only */
    trace->count = 0;
    pt_walk(&fixture->table, SIZE_MAX, trace_pre, NULL, trace);
    assert_int_equal(trace->count, format->levels);
    trace->count = 0;
    pt_walk(&fixture->table, SIZE_MAX, NULL, trace_post, trace);
    assert_int_equal(trace->count, format->levels);
    assert_int_equal(trace->steps[0].visit.level, last);
    free(trace);
}

static void the_walk_stops_when_told(void **state)
{
    struct fixture *fixture = *state;
    struct trace *all = calloc(1, sizeof(*all));
    struct trace *part = calloc(1, sizeof(*part));

    build_a_forest(fixture);
    assert_ok(pt_map(&fixture->table, place(fixture, 6), PADDR, second(fixture), RW, &fixture->flush));
    pt_walk(&fixture->table, SIZE_MAX, trace_pre, trace_post, all);
    assert_true(all->count >= 3 * fixture->format->levels);
    for (size_t n = 1; n <= all->count; n++) {
        part->count = 0;
        part->stop_after = n;
        pt_walk(&fixture->table, SIZE_MAX, trace_pre, trace_post, part);
        assert_int_equal(part->count, n);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(part->steps[i].visit.vaddr, all->steps[i].visit.vaddr);
    }
    free(all);
    free(part);
}

static void the_walk_visits_no_more_than_the_limit_per_table(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;
    const uint64_t page = small(fixture);
    /* the first level with room for the three, and whether there is one between it and the last */
    const unsigned top = format_root_entries(format) < 6 ? 1 : 0;
    const bool between = top + 2u < format->levels;
    struct trace *trace = calloc(1, sizeof(*trace));

    /* three entries, each with three tables of the last level or one, each with three pages and holes between */
    for (unsigned i = 0; i < 3; i++)
        for (unsigned j = 0; j < (between ? 3 : 1); j++)
            for (unsigned k = 0; k < 3; k++)
                assert_ok(pt_map(&fixture->table,
                                 (2 * i + 1) * format_entry_size(format, top) + 3 * j * second(fixture) + 5 * k * page,
                                 PADDR, page, RW, &fixture->flush));
    for (unsigned limit = 0; limit <= 4; limit++) {
        size_t n = limit > 3 ? 3 : limit;
        size_t leaves = 0;
        size_t in_top = 0;

        trace->count = 0;
        pt_walk(&fixture->table, limit, trace_pre, NULL, trace);
        for (size_t i = 0; i < trace->count; i++) {
            leaves += trace->steps[i].visit.is_leaf;
            in_top += trace->steps[i].visit.level == top;
        }
        assert_int_equal(leaves, between ? n * n * n : n * n);
        assert_int_equal(in_top, n);
        if (n) /* the first ones */
            assert_hex_equal(trace->steps[format->levels - 1u].visit.vaddr, format_entry_size(format, top));
    }
    free(trace);
}

static void the_walk_reports_canonical_addresses(void **state)
{
    struct fixture *fixture = *state;
    const struct pt_format *format = fixture->format;
    const pt_vaddr upper = format_upper_first(format);
    /* of a root entry, since the walk takes each for one half's */
    const pt_vaddr first = upper + (units(fixture, 3) - 1) * unit(fixture);
    struct trace *trace = calloc(1, sizeof(*trace));
    size_t leaves = 0;

    if (!upper) {
        free(trace);
        return;
    }
    assert_ok(pt_map(&fixture->table, small(fixture), PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_map(&fixture->table, first, PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_map(&fixture->table, format_last_page(fixture->format, small(fixture)), PADDR, small(fixture), RW,
                     &fixture->flush));
    pt_walk(&fixture->table, SIZE_MAX, trace_pre, NULL, trace);
    for (size_t i = 0; i < trace->count; i++) {
        const struct pt_visit *visit = &trace->steps[i].visit;
        const pt_vaddr expected[] = {small(fixture), first, format_last_page(fixture->format, small(fixture))};

        assert_true(format_is_canonical(format, visit->vaddr));
        if (visit->is_leaf)
            assert_hex_equal(visit->vaddr, expected[leaves++]);
        if (i > 0)
            assert_true(visit->vaddr >= trace->steps[i - 1].visit.vaddr);
    }
    assert_int_equal(leaves, 3);
    free(trace);
}

/* One root, the other half's address: the same entry. */
static void either_half_names_the_same_entry(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    const pt_vaddr upper = format_upper_first(fixture->format) + 5 * page;
    struct trace *trace;

    if (fixture->format->address_space != PT_EITHER_HALF)
        return;
    trace = calloc(1, sizeof(*trace));
    assert_ok(pt_map(&fixture->table, upper, PADDR, page, RW, &fixture->flush));
    assert_mapped(&fixture->table, 5 * page, PADDR, page, RW);
    assert_refused(fixture, pt_map(&fixture->table, 5 * page, PADDR, page, RW, &fixture->flush), PT_ALREADY_MAPPED);
    pt_walk(&fixture->table, SIZE_MAX, trace_pre, NULL, trace);
    assert_hex_equal(trace->steps[trace->count - 1].visit.vaddr, upper);
    assert_ok(pt_unmap(&fixture->table, 5 * page, NULL, &fixture->flush));
    assert_not_mapped(&fixture->table, upper);
    free(trace);
}

/* Empty tables are entries in use; what is below an unused one is not. */
static void the_walk_visits_empty_tables(void **state)
{
    struct fixture *fixture = *state;
    struct trace *trace = calloc(1, sizeof(*trace));

    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_unmap(&fixture->table, 0, NULL, &fixture->flush));
    pt_walk(&fixture->table, SIZE_MAX, trace_pre, trace_post, trace);
    assert_int_equal(trace->count, 2 * (fixture->format->levels - 1u));
    for (size_t i = 0; i < trace->count; i++)
        assert_false(trace->steps[i].visit.is_leaf);
    free(trace);
}

/* ---- The dump ------------------------------------------------------------------------------------------ */

struct text {
    char bytes[4096];
    size_t length;
};

static void gather_text(void *arg, const char *bytes, size_t length)
{
    struct text *text = arg;

    assert_true(length > 0 && text->length + length < sizeof(text->bytes));
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

static size_t dump(const struct page_table *table, struct text *text)
{
    size_t lines = 0;

    *text = (struct text){.length = 0};
    pt_dump(table, gather_text, text);
    for (size_t i = 0; i < text->length; i++) {
        assert_true(text->bytes[i] == '\n' || (text->bytes[i] >= ' ' && text->bytes[i] < 0x7F));
        lines += text->bytes[i] == '\n';
    }
    assert_true(text->length == 0 || text->bytes[text->length - 1] == '\n');
    return lines;
}

static void the_dump_has_a_line_for_each_contiguous_run(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    struct pt_flush *flush = &fixture->flush;
    const uint64_t page = small(fixture);
    const pt_vaddr vaddr = place(fixture, 1) + second(fixture) - 4 * page;
    struct text *text = malloc(sizeof(*text));
    char hex[32];

    assert_int_equal(dump(table, text), 0);
    /* across two tables, and still one run */
    assert_ok(pt_map_region(table, vaddr, PADDR, 8 * page, RW, 0, flush));
    assert_int_equal(dump(table, text), 1);
    snprintf(hex, sizeof(hex), "%" PRIx64, vaddr);
    assert_non_null(strstr(text->bytes, hex));
    snprintf(hex, sizeof(hex), "%" PRIx64, vaddr + 8 * page - 1);
    assert_non_null(strstr(text->bytes, hex));
    snprintf(hex, sizeof(hex), "%" PRIx64, PADDR);
    assert_non_null(strstr(text->bytes, hex));

    assert_ok(pt_protect(table, vaddr + 2 * page, PT_READ, NULL, flush)); /* other flags */
    assert_int_equal(dump(table, text), 3);
    assert_ok(pt_remap(table, vaddr + 6 * page, 0, RW, NULL, flush)); /* other frames */
    assert_int_equal(dump(table, text), 5);
    assert_ok(pt_unmap(table, vaddr + 4 * page, NULL, flush)); /* a hole */
    assert_int_equal(dump(table, text), 6);
    /* contiguous in both, of another page size */
    assert_ok(pt_map(table, place(fixture, 4) - page, PADDR - page, page, RW, flush));
    assert_ok(pt_map(table, place(fixture, 4), PADDR, second(fixture), RW, flush));
    assert_int_equal(dump(table, text), 8);
    /* as far up as it goes */
    assert_ok(pt_map(table, format_last_page(fixture->format, page), 0, page, 0, flush));
    assert_int_equal(dump(table, text), 9);
    free(text);
}

static void the_dump_joins_in_both_addresses_only(void **state)
{
    struct fixture *fixture = *state;
    struct page_table *table = &fixture->table;
    const uint64_t page = small(fixture);
    struct text *text = malloc(sizeof(*text));

    /* contiguous frames, a hole between the pages; and the other way round */
    assert_ok(pt_map(table, 0, PADDR, page, RW, &fixture->flush));
    assert_ok(pt_map(table, 2 * page, PADDR + page, page, RW, &fixture->flush));
    assert_int_equal(dump(table, text), 2);
    assert_ok(pt_map(table, 3 * page, PADDR, page, RW, &fixture->flush));
    assert_int_equal(dump(table, text), 3);
    free(text);
}

/* ---- Sharing ------------------------------------------------------------------------------------------- */

struct copy {
    struct page_table table;
    struct pt_flush flush;
};

static void copy_begin(struct fixture *fixture, struct copy *copy)
{
    assert_ok(pt_create(&copy->table, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&copy->flush, &copy->table);
}

static void copy_end(struct fixture *fixture, struct copy *copy)
{
    memory_release(fixture->memory);
    pt_flush_ignore(&copy->flush);
    pt_destroy(&copy->table);
}

static void what_the_source_maps_the_copy_sees(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    const pt_vaddr upper = format_upper_first(fixture->format) ? 0 - 2 * unit(fixture) : 2 * unit(fixture);
    struct copy copy;

    copy_begin(fixture, &copy);
    assert_ok(pt_map(&fixture->table, upper, PADDR, page, RW, &fixture->flush));
    assert_ok(pt_copy_from(&copy.table, &fixture->table, upper, 2 * unit(fixture), &copy.flush));
    assert_mapped(&copy.table, upper, PADDR, page, RW);

    /* later: beside it, in another table, and in the slot that was unused */
    assert_ok(pt_map(&fixture->table, upper + page, PADDR + page, page, PT_READ, &fixture->flush));
    assert_ok(pt_map(&fixture->table, upper + 3 * second(fixture), PADDR, page, 0, &fixture->flush));
    assert_ok(
        pt_map(&fixture->table, upper + 2 * unit(fixture) - page, PADDR, page, PT_EXECUTE | PT_READ, &fixture->flush));
    assert_mapped(&copy.table, upper + page, PADDR + page, page, PT_READ);
    assert_mapped(&copy.table, upper + 3 * second(fixture), PADDR, page, 0);
    assert_mapped(&copy.table, upper + 2 * unit(fixture) - page, PADDR, page, PT_EXECUTE | PT_READ);

    assert_ok(pt_protect(&fixture->table, upper, PT_READ, NULL, &fixture->flush));
    assert_ok(pt_unmap(&fixture->table, upper + page, NULL, &fixture->flush));
    assert_mapped(&copy.table, upper, PADDR, page, PT_READ);
    assert_not_mapped(&copy.table, upper + page);
    copy_end(fixture, &copy);
    assert_mapped(&fixture->table, upper, PADDR, page, PT_READ);
}

static void the_copy_cannot_be_changed_where_it_borrows(void **state)
{
    struct fixture *source = *state;
    struct fixture mine = *source;
    struct copy copy;
    const uint64_t page = small(source);
    const unsigned all = units(source, 4);
    const pt_vaddr vaddr = all / 2 * unit(source);
    pt_vaddr places[] = {vaddr, vaddr + page, vaddr + second(source), vaddr + unit(source) - page};

    copy_begin(source, &copy);
    assert_ok(pt_map(&source->table, vaddr, PADDR, page, RW, &source->flush));
    assert_ok(pt_copy_from(&copy.table, &source->table, vaddr, unit(source), &copy.flush));
    mine.table = copy.table;
    mine.flush = copy.flush;

    for (size_t i = 0; i < TESTS_COUNT(places); i++) {
        assert_refused(&mine, pt_map(&mine.table, places[i], PADDR, page, RW, &mine.flush), PT_SHARED);
        assert_refused(&mine, pt_unmap(&mine.table, places[i], NULL, &mine.flush), PT_SHARED);
        assert_refused(&mine, pt_protect(&mine.table, places[i], PT_READ, NULL, &mine.flush), PT_SHARED);
        assert_refused(&mine, pt_remap(&mine.table, places[i], 0, PT_READ, NULL, &mine.flush), PT_SHARED);
        for (unsigned options = 0; options <= (PT_ALLOW_HUGE | PT_SKIP_HOLES); options++) {
            assert_refused(&mine, pt_map_region(&mine.table, places[i], PADDR, page, RW, options, &mine.flush),
                           PT_SHARED);
            assert_refused(&mine, pt_unmap_region(&mine.table, places[i], page, options, &mine.flush), PT_SHARED);
            assert_refused(&mine, pt_protect_region(&mine.table, places[i], page, 0, options, &mine.flush), PT_SHARED);
        }
    }
    FOR_EACH_PAGE_SIZE(size, source->format)
        if (size <= unit(source))
            assert_refused(&mine, pt_map(&mine.table, vaddr, PADDR, size, RW, &mine.flush), PT_SHARED);
    /* regions that touch it at their ends */
    assert_refused(&mine, pt_map_region(&mine.table, vaddr - page, PADDR, 2 * page, RW, 0, &mine.flush), PT_SHARED);
    if (all > 2) /* there is something behind it */
        assert_refused(&mine,
                       pt_map_region(&mine.table, vaddr + unit(source) - page, PADDR, 2 * page, RW, 0, &mine.flush),
                       PT_SHARED);
    assert_refused(&mine, pt_unmap_region(&mine.table, 0, all * unit(source), PT_SKIP_HOLES, &mine.flush), PT_SHARED);
    assert_refused(&mine, pt_protect_region(&mine.table, 0, all * unit(source), 0, PT_SKIP_HOLES, &mine.flush),
                   PT_SHARED);
    /* what comes first is told first */
    assert_refused(&mine, pt_unmap_region(&mine.table, vaddr - page, 2 * page, 0, &mine.flush), PT_NOT_MAPPED);
    assert_mapped(&mine.table, vaddr, PADDR, page, RW);
    copy_end(source, &copy);
}

/* Pages as large as a root entry, over three of them: the one in the middle is borrowed. */
static void a_run_of_huge_pages_does_not_overwrite_what_is_borrowed(void **state)
{
    struct fixture *source = *state;
    struct fixture mine = *source;
    const uint64_t page = small(source);
    const uint64_t entry = format_entry_size(source->format, 0);
    struct copy copy;

    if (units(source, 4) < 4)
        skip(); /* a root of two entries has no room for three behind the first */
    copy_begin(source, &copy);
    assert_ok(pt_copy_from(&copy.table, &source->table, 2 * unit(source), unit(source), &copy.flush));
    mine.table = copy.table;
    mine.flush = copy.flush;
    assert_refused(&mine,
                   pt_map_region(&mine.table, unit(source), PADDR, 3 * unit(source), RW, PT_ALLOW_HUGE, &mine.flush),
                   PT_SHARED);
    /* own mappings before it are met first */
    assert_ok(pt_map(&mine.table, unit(source) - page, PADDR, page, RW, &mine.flush));
    assert_refused(&mine,
                   pt_map_region(&mine.table, unit(source) - page, PADDR - page, page + 2 * unit(source), RW,
                                 PT_ALLOW_HUGE, &mine.flush),
                   PT_ALREADY_MAPPED);
    /* in a row of pages as large as root entries, too */
    if (source->format->page_sizes & entry) {
        assert_ok(pt_map(&mine.table, 0, PADDR, format_smaller(source->format, entry), RW, &mine.flush));
        assert_refused(&mine, pt_map_region(&mine.table, 0, PADDR, 3 * unit(source), RW, PT_ALLOW_HUGE, &mine.flush),
                       PT_ALREADY_MAPPED);
    }
    copy.table = mine.table;
    copy.flush = mine.flush;
    copy_end(source, &copy);
}

static void each_destroys_only_what_it_owns(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    const unsigned lent = units(fixture, 3) - 1;
    const size_t root = 1, tables = lent * format_shared_tables(fixture->format);
    struct copy copies[3];
    size_t taken;

    assert_ok(pt_map(&fixture->table, 0, PADDR, page, RW, &fixture->flush));
    for (size_t i = 0; i < TESTS_COUNT(copies); i++) {
        taken = fixture->memory->taken;
        copy_begin(fixture, &copies[i]);
        assert_ok(pt_copy_from(&copies[i].table, &fixture->table, 0, lent * unit(fixture), &copies[i].flush));
        /* its root, and once the empty tables that the source has not had */
        assert_int_equal(fixture->memory->taken, taken + root + (i == 0 ? tables - 1 : 0));
        assert_ok(pt_map(&copies[i].table, lent * unit(fixture), PADDR, page, RW, &copies[i].flush));
        pt_flush(&copies[i].flush);
    }
    for (size_t i = 0; i < TESTS_COUNT(copies); i++) {
        taken = fixture->memory->taken;
        pt_destroy(&copies[i].table);
        assert_int_equal(fixture->memory->taken, taken - root - (fixture->format->levels - 1u));
        assert_mapped(&fixture->table, 0, PADDR, page, RW);
        assert_ok(
            pt_map(&fixture->table, (lent - 1) * unit(fixture) + (i + 1) * page, PADDR, page, RW, &fixture->flush));
    }
    pt_flush(&fixture->flush);
    pt_destroy(&fixture->table);
    assert_int_equal(fixture->memory->taken, 0);
}

/* Everything the source unmaps, the table that it lent stays for the copies to look at. */
static void the_source_keeps_the_tables_it_lent(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    struct copy copy;

    copy_begin(fixture, &copy);
    assert_ok(pt_map_region(&fixture->table, 0, PADDR, 2 * leaf_table(fixture), RW, 0, &fixture->flush));
    assert_ok(pt_copy_from(&copy.table, &fixture->table, 0, unit(fixture), &copy.flush));
    assert_ok(pt_unmap_region(&fixture->table, 0, unit(fixture), PT_SKIP_HOLES, &fixture->flush));
    pt_flush(&fixture->flush);
    /* two roots and the lent tables */
    assert_int_equal(fixture->memory->taken, 2 + format_shared_tables(fixture->format));
    assert_not_mapped(&copy.table, 0);
    assert_ok(pt_map(&fixture->table, page, PADDR, page, RW, &fixture->flush));
    assert_mapped(&copy.table, page, PADDR, page, RW);
    copy_end(fixture, &copy);
}

/*
 * An MMU that remembers unused entries may remember those that the source has just been given tables
 * for: in another address space than the ranges of this flush are in.
 */
static void filling_in_the_source_is_owed_in_every_address_space(void **state)
{
    struct fixture *fixture = *state;
    bool remembers = fixture->format->new_mapping_owes == PT_OWES_FLUSH;
    struct copy copy;

    copy_begin(fixture, &copy);
    for (size_t i = 0; i < format_shared_entries(fixture->format); i++)
        assert_ok(pt_map(&fixture->table, i * format_entry_size(fixture->format, 0), PADDR, small(fixture), RW,
                         &fixture->flush));
    assert_ok(pt_copy_from(&copy.table, &fixture->table, 0, unit(fixture), &copy.flush));
    if (!format_facts(fixture->format)->latches_root) /* where each change of the root owes everything */
        assert_false(copy.flush.everything);
    assert_ok(pt_copy_from(&copy.table, &fixture->table, unit(fixture), unit(fixture), &copy.flush));
    assert_int_equal(copy.flush.everything, remembers || format_facts(fixture->format)->latches_root);
    copy_end(fixture, &copy);
}

/* The source may have another allocator: what it is given comes from there, and goes back there. */
static void missing_tables_come_from_the_source_s_handler(void **state)
{
    struct fixture *fixture = *state;
    const size_t tables = format_shared_tables(fixture->format);
    const uint64_t size = unit(fixture);
    struct page_table table;
    struct pt_flush flush;
    struct memory memory;

    memory_init(&memory, fixture->memory->base, MEMORY_FRAMES); /* the same addresses, too */
    assert_ok(pt_create(&table, fixture->format, &memory.handler, &memory));
    pt_flush_init(&flush, &table);
    memory_fail_after(&memory, 1);
    assert_status(pt_copy_from(&table, &fixture->table, 0, size, &flush), PT_OK);
    assert_int_equal(memory.taken, 1);
    assert_int_equal(fixture->memory->taken, 1 + tables);
    memory_fail_after(fixture->memory, 1);
    assert_status(pt_copy_from(&table, &fixture->table, size, size, &flush), PT_NO_MEMORY);
    memory_fail_never(fixture->memory);
    pt_flush_ignore(&flush);
    pt_destroy(&table);
    memory_end(&memory);
    assert_int_equal(fixture->memory->taken, 1 + tables);
}

/* A page as large as a root entry would take the place of the lent table; a region takes smaller pages there. */
static void a_huge_page_does_not_replace_a_lent_table(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture), entry = format_entry_size(fixture->format, 0), size = 2 * unit(fixture);
    size_t count = 99, taken;
    struct copy copy;

    if (!(fixture->format->page_sizes & entry))
        return;
    copy_begin(fixture, &copy);
    assert_ok(pt_copy_from(&copy.table, &fixture->table, 0, unit(fixture), &copy.flush));
    FOR_EACH_PAGE_SIZE(root_page, fixture->format)
        if (root_page >= entry)
            assert_refused(fixture, pt_map(&fixture->table, 0, PADDR, root_page, RW, &fixture->flush), PT_SHARED);
    pt_flush(&fixture->flush);
    assert_not_mapped(&copy.table, 0);

    /* The second half of this is not lent: there are pages as large as they come. */
    taken = fixture->memory->taken;
    assert_ok(pt_count_tables(&fixture->table, 0, PADDR, size, RW, PT_ALLOW_HUGE, &count));
    assert_ok(pt_map_region(&fixture->table, 0, PADDR, size, RW, PT_ALLOW_HUGE, &fixture->flush));
    assert_int_equal(fixture->memory->taken, taken + count / format_table_frames(fixture->format));
    for (pt_vaddr vaddr = 0; vaddr < size;) {
        const struct page_table *seen_by = vaddr < unit(fixture) ? &copy.table : &fixture->table;
        struct pt_mapping mapping;

        assert_ok(pt_query(seen_by, vaddr, &mapping));
        assert_hex_equal(mapping.paddr, PADDR + vaddr);
        assert_true((mapping.page_size < entry) == (vaddr < unit(fixture)));
        vaddr += mapping.page_size;
    }
    assert_ok(pt_unmap_region(&fixture->table, 0, size, 0, &fixture->flush));
    assert_ok(pt_map(&fixture->table, page, PADDR, page, RW, &fixture->flush));
    assert_mapped(&copy.table, page, PADDR, page, RW);
    copy_end(fixture, &copy);
}

static void copy_huge_page(struct fixture *source, pt_vaddr vaddr, uint64_t size)
{
    struct fixture mine = *source;
    struct copy copy;

    copy_begin(source, &copy);
    assert_ok(pt_map(&source->table, vaddr, PADDR, size, RW, &source->flush));
    assert_ok(pt_copy_from(&copy.table, &source->table, vaddr, unit(source), &copy.flush));
    assert_mapped(&copy.table, vaddr + 1, PADDR + 1, size, RW);
    mine.table = copy.table;
    mine.flush = copy.flush;
    assert_refused(&mine, pt_unmap(&mine.table, vaddr, NULL, &mine.flush), PT_SHARED);
    assert_refused(&mine, pt_map(&mine.table, vaddr, PADDR, size, RW, &mine.flush), PT_SHARED);
    assert_refused(&mine, pt_map(&mine.table, vaddr, PADDR, small(source), RW, &mine.flush), PT_SHARED);
    assert_refused(&mine, pt_unmap_region(&mine.table, vaddr, size, 0, &mine.flush), PT_SHARED);

    assert_ok(pt_protect(&source->table, vaddr, PT_READ, NULL, &source->flush));
    assert_mapped(&copy.table, vaddr, PADDR, size, RW);
    memory_forget_flushes(source->memory);
    assert_ok(pt_copy_from(&copy.table, &source->table, vaddr, unit(source), &copy.flush));
    assert_mapped(&copy.table, vaddr, PADDR, size, PT_READ);
    /* the copy's own TLB entries are gone after its flush */
    pt_flush(&copy.flush);
    assert_true(source->memory->flush_count > 0);
    assert_true(memory_last_flush(source->memory)->everything || memory_last_flush(source->memory)->range_count > 0);

    assert_ok(pt_unmap(&source->table, vaddr, NULL, &source->flush));
    assert_mapped(&copy.table, vaddr, PADDR, size, PT_READ);
    assert_ok(pt_map(&source->table, vaddr, 0, small(source), RW, &source->flush));
    assert_ok(pt_copy_from(&copy.table, &source->table, vaddr, unit(source), &copy.flush));
    assert_mapped(&copy.table, vaddr, 0, small(source), RW);
    copy_end(source, &copy);
}

static void a_huge_page_in_the_root_is_copied_as_it_stands(void **state)
{
    struct fixture *source = *state;
    unsigned n = 1;

    FOR_EACH_PAGE_SIZE(size, source->format)
        if (format_level_of(source->format, size) == 0)
            copy_huge_page(source, n++ * unit(source), size);
}

static void own_mappings_are_not_copied_over(void **state)
{
    struct fixture *source = *state;
    const uint64_t page = small(source);
    struct fixture mine = *source;
    struct copy copy;

    copy_begin(source, &copy);
    assert_ok(pt_map(&source->table, unit(source), PADDR, page, RW, &source->flush));
    assert_ok(pt_map(&copy.table, 2 * unit(source) - page, PADDR, page, 0, &copy.flush));
    mine.table = copy.table;
    mine.flush = copy.flush;
    assert_refused(&mine, pt_copy_from(&mine.table, &source->table, unit(source), unit(source), &mine.flush),
                   PT_ALREADY_MAPPED);
    assert_refused(&mine, pt_copy_from(&mine.table, &source->table, 0, units(source, 4) * unit(source), &mine.flush),
                   PT_ALREADY_MAPPED);
    assert_refused(source, pt_copy_from(&mine.table, &source->table, 0, 2 * unit(source), &mine.flush),
                   PT_ALREADY_MAPPED);

    /* unmapped, the empty tables give way, after the flush */
    assert_ok(pt_unmap(&mine.table, 2 * unit(source) - page, NULL, &mine.flush));
    pt_flush(&mine.flush);
    memory_hold(source->memory);
    memory_forget_flushes(source->memory);
    assert_ok(pt_copy_from(&mine.table, &source->table, unit(source), unit(source), &mine.flush));
    assert_mapped(&mine.table, unit(source), PADDR, page, RW);
    assert_true(mine.flush.retired != PT_NO_FRAME);
    if (source->memory->flush_count > 0) /* break before make */
        memory_release(source->memory);
    pt_flush(&mine.flush);
    assert_int_equal(source->memory->flush_count, 1);
    assert_true(memory_last_flush(source->memory)->tables_changed);
    assert_int_equal(source->memory->taken, 1u + source->format->levels + (format_shared_tables(source->format) - 1));
    copy.table = mine.table;
    copy.flush = mine.flush;
    copy_end(source, &copy);
}

static void copying_again_is_allowed(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    struct copy copy;
    size_t taken;

    copy_begin(fixture, &copy);
    assert_ok(pt_map(&fixture->table, unit(fixture), PADDR, page, RW, &fixture->flush));
    assert_ok(pt_copy_from(&copy.table, &fixture->table, 0, units(fixture, 3) * unit(fixture), &copy.flush));
    taken = fixture->memory->taken;
    memory_fail_after(fixture->memory, 1);
    assert_ok(pt_copy_from(&copy.table, &fixture->table, 0, units(fixture, 3) * unit(fixture), &copy.flush));
    assert_ok(pt_copy_from(&copy.table, &fixture->table, unit(fixture), unit(fixture), &copy.flush));
    memory_fail_never(fixture->memory);
    assert_int_equal(fixture->memory->taken, taken);
    assert_mapped(&copy.table, unit(fixture), PADDR, page, RW);
    copy_end(fixture, &copy);
}

/* From another source over what was borrowed from the first. */
static void copying_from_another_source_lets_go_of_the_first(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    struct copy other;
    struct copy copy;

    copy_begin(fixture, &other);
    copy_begin(fixture, &copy);
    assert_ok(pt_map(&fixture->table, 0, PADDR, page, RW, &fixture->flush));
    assert_ok(pt_map(&other.table, 0, PADDR + page, page, PT_READ, &other.flush));
    assert_ok(pt_copy_from(&copy.table, &fixture->table, 0, unit(fixture), &copy.flush));
    memory_hold(fixture->memory);
    assert_ok(pt_copy_from(&copy.table, &other.table, 0, unit(fixture), &copy.flush));
    assert_mapped(&copy.table, 0, PADDR + page, page, PT_READ);
    assert_mapped(&fixture->table, 0, PADDR, page, RW);
    pt_flush(&copy.flush);
    assert_mapped(&fixture->table, 0, PADDR, page, RW);
    copy_end(fixture, &copy);
    copy_end(fixture, &other);
}

static void a_copy_of_a_copy_sees_the_first(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    struct copy middle;
    struct copy copy;

    copy_begin(fixture, &middle);
    copy_begin(fixture, &copy);
    assert_ok(pt_copy_from(&middle.table, &fixture->table, 0, unit(fixture), &middle.flush));
    assert_ok(pt_copy_from(&copy.table, &middle.table, 0, unit(fixture), &copy.flush));
    assert_ok(pt_map(&fixture->table, 0, PADDR, page, RW, &fixture->flush));
    assert_mapped(&copy.table, 0, PADDR, page, RW);
    assert_status(pt_unmap(&copy.table, 0, NULL, &copy.flush), PT_SHARED);
    copy_end(fixture, &copy);
    copy_end(fixture, &middle);
    assert_mapped(&fixture->table, 0, PADDR, page, RW);
}

static void a_table_does_not_copy_from_itself(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t size = unit(fixture);

    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    for (unsigned i = 0; i < 2; i++) /* what is mapped, and what is not */
        assert_refused(fixture, pt_copy_from(&fixture->table, &fixture->table, i * size, size, &fixture->flush),
                       PT_ALREADY_MAPPED);
}

/* What one table has lent to a second it cannot give up for what it copies from a third. */
static void a_lent_table_does_not_give_way_to_a_copy(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t page = small(fixture);
    struct copy borrower;
    struct copy other;
    enum pt_status status;

    copy_begin(fixture, &borrower);
    copy_begin(fixture, &other);
    assert_ok(pt_map(&other.table, 0, PADDR, page, RW, &other.flush));
    assert_ok(pt_copy_from(&borrower.table, &fixture->table, 0, unit(fixture), &borrower.flush));
    status = pt_copy_from(&fixture->table, &other.table, 0, unit(fixture), &fixture->flush);
    assert_true(status == PT_SHARED || status == PT_ALREADY_MAPPED);
    pt_flush(&fixture->flush);
    assert_not_mapped(&borrower.table, 0);
    assert_ok(pt_map(&fixture->table, page, PADDR, page, RW, &fixture->flush));
    assert_mapped(&borrower.table, page, PADDR, page, RW);
    copy_end(fixture, &borrower);
    copy_end(fixture, &other);
}

/* A table copies back what it has lent itself: it stays the owner, whatever it is told. */
static void what_is_copied_back_is_not_lost(void **state)
{
    struct fixture *fixture = *state;
    struct copy copy;
    enum pt_status status;

    copy_begin(fixture, &copy);
    assert_ok(pt_copy_from(&copy.table, &fixture->table, 0, unit(fixture), &copy.flush));
    status = pt_copy_from(&fixture->table, &copy.table, 0, unit(fixture), &fixture->flush);
    assert_true(status == PT_OK || status == PT_SHARED || status == PT_ALREADY_MAPPED);
    assert_ok(pt_map(&fixture->table, 0, PADDR, small(fixture), RW, &fixture->flush));
    assert_mapped(&copy.table, 0, PADDR, small(fixture), RW);
    copy_end(fixture, &copy);
    assert_mapped(&fixture->table, 0, PADDR, small(fixture), RW);
}

/* With room for all tables of the root. */
static int whole_half_set_up(void **state)
{
    const struct pt_format *format = *state;
    size_t frames = format_root_entries(format) * format_table_frames(format) + MEMORY_FRAMES;
    struct fixture *fixture = fixture_begin(format, format_memory_base(format), frames);

    create(fixture);
    *state = fixture;
    return 0;
}

/* All of the upper half, as a kernel does for each process. */
static void a_whole_half_can_be_copied(void **state)
{
    struct fixture *fixture = *state;
    const pt_vaddr first = format_upper_first(fixture->format);
    const size_t tables = (size_t)format_copy_units(fixture->format) * format_shared_tables(fixture->format);
    const uint64_t page = small(fixture);
    struct copy copy;

    copy_begin(fixture, &copy);
    assert_ok(
        pt_map(&fixture->table, format_last_page(fixture->format, page), PADDR, page, RW | PT_GLOBAL, &fixture->flush));
    assert_ok(pt_copy_from(&copy.table, &fixture->table, first, format_lower_last(fixture->format) + 1, &copy.flush));
    assert_mapped(&copy.table, format_last_page(fixture->format, page), PADDR, page, RW | PT_GLOBAL);
    assert_ok(pt_map(&fixture->table, first, PADDR, page, RW, &fixture->flush));
    assert_mapped(&copy.table, first, PADDR, page, RW);
    assert_int_equal(fixture->memory->taken, 2 + tables + 2 * (fixture->format->levels - 2u));
    if (fixture->format->address_space == PT_SIGN_EXTENDED)
        assert_ok(pt_map(&copy.table, 0, PADDR, page, RW, &copy.flush));
    copy_end(fixture, &copy);
}

#ifndef PT_ONLY_FORMAT
static void tables_of_different_formats_share_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct pt_format narrow = *fixture->format;

    narrow.pa_bits--;
    for (size_t i = 0; i <= formats_count; i++) {
        const struct pt_format *format = i == formats_count ? &narrow : formats[i];
        struct page_table other;
        struct memory memory;

        if (format == fixture->format)
            continue;
        memory_init(&memory, format_memory_base(format), ROOT_FRAMES);
        assert_ok(pt_create(&other, format, &memory.handler, &memory));
        assert_refused(fixture, pt_copy_from(&fixture->table, &other, 0, unit(fixture), &fixture->flush),
                       PT_BAD_FORMAT);
        assert_refused(fixture, pt_copy_from(&fixture->table, &other, small(fixture), 1, &fixture->flush),
                       PT_BAD_FORMAT);
        pt_destroy(&other);
        memory_end(&memory);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(an_empty_table_is_one_zeroed_root),
        TESTS_OF_EACH_FORMAT_WITH(destroying_twice_or_a_zeroed_struct_is_harmless, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(a_table_in_linear_memory_works_as_well, NULL, NULL),
        TESTS_OF_EACH_FORMAT(children_are_destroyed_before_their_parents),
        TESTS_OF_EACH_FORMAT(retired_tables_are_unhooked_before_they_are_freed),
        TESTS_OF_EACH_FORMAT(retired_tables_stay_until_the_flush),
        TESTS_OF_EACH_FORMAT(a_flush_of_everything_is_paid_before_pages_come_back),
        TESTS_OF_EACH_FORMAT(a_flush_outlives_its_table),
        TESTS_OF_EACH_FORMAT(mapped_frames_are_never_freed),
        TESTS_OF_EACH_FORMAT(mapped_frames_are_never_written),
        TESTS_OF_EACH_FORMAT(a_huge_page_replaces_empty_tables),
        TESTS_OF_EACH_FORMAT(tables_are_made_only_where_they_are_needed),
        TESTS_OF_EACH_FORMAT_WITH(a_root_at_zero_is_a_root, at_zero_set_up, fixture_tear_down),
        TESTS_OF_EACH_FORMAT_WITH(a_table_at_zero_is_a_table, at_zero_set_up, fixture_tear_down),
        TESTS_OF_EACH_FORMAT_WITH(no_frame_but_zero, at_zero_set_up, fixture_tear_down),
        TESTS_OF_EACH_FORMAT_WITH(a_retired_table_at_zero_is_given_back, at_zero_set_up, fixture_tear_down),
        TESTS_OF_EACH_FORMAT(a_page_at_zero_is_a_page),
        TESTS_OF_EACH_FORMAT(an_empty_table_has_nothing_to_visit),
        TESTS_OF_EACH_FORMAT(the_walk_goes_down_and_up_again),
        TESTS_OF_EACH_FORMAT(the_walk_stops_when_told),
        TESTS_OF_EACH_FORMAT(the_walk_visits_no_more_than_the_limit_per_table),
        TESTS_OF_EACH_FORMAT(the_walk_reports_canonical_addresses),
        TESTS_OF_EACH_FORMAT(either_half_names_the_same_entry),
        TESTS_OF_EACH_FORMAT(the_walk_visits_empty_tables),
        TESTS_OF_EACH_FORMAT(the_dump_has_a_line_for_each_contiguous_run),
        TESTS_OF_EACH_FORMAT(the_dump_joins_in_both_addresses_only),
        TESTS_OF_EACH_FORMAT(what_the_source_maps_the_copy_sees),
        TESTS_OF_EACH_FORMAT(the_copy_cannot_be_changed_where_it_borrows),
        TESTS_OF_EACH_FORMAT(a_run_of_huge_pages_does_not_overwrite_what_is_borrowed),
        TESTS_OF_EACH_FORMAT(each_destroys_only_what_it_owns),
        TESTS_OF_EACH_FORMAT(the_source_keeps_the_tables_it_lent),
        TESTS_OF_EACH_FORMAT(filling_in_the_source_is_owed_in_every_address_space),
        TESTS_OF_EACH_FORMAT(missing_tables_come_from_the_source_s_handler),
        TESTS_OF_EACH_FORMAT(a_huge_page_does_not_replace_a_lent_table),
        TESTS_OF_EACH_FORMAT(a_huge_page_in_the_root_is_copied_as_it_stands),
        TESTS_OF_EACH_FORMAT(own_mappings_are_not_copied_over),
        TESTS_OF_EACH_FORMAT(copying_again_is_allowed),
        TESTS_OF_EACH_FORMAT(copying_from_another_source_lets_go_of_the_first),
        TESTS_OF_EACH_FORMAT(a_copy_of_a_copy_sees_the_first),
        TESTS_OF_EACH_FORMAT(a_table_does_not_copy_from_itself),
        TESTS_OF_EACH_FORMAT(a_lent_table_does_not_give_way_to_a_copy),
        TESTS_OF_EACH_FORMAT(what_is_copied_back_is_not_lost),
        TESTS_OF_EACH_FORMAT_WITH(a_whole_half_can_be_copied, whole_half_set_up, fixture_tear_down),
#ifndef PT_ONLY_FORMAT
        TESTS_OF_EACH_FORMAT(tables_of_different_formats_share_nothing),
#endif
    };

    return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
