/* SPDX-License-Identifier: MIT */
/*
 * What a reader without a lock, or the MMU itself, may find in the middle of a change: the old translation
 * or the new one, nothing else. The library is watched each time it asks where a table is, and each time
 * it invalidates; what lies between two such moments is not seen.
 */
#include "formats.h"
#include "memory.h"
#include "slot.h"
#include "test.h"

#define PADDR fixture_paddr /* a multiple of every page size in use, and not in the simulated memory */
#define RW (PT_READ | PT_WRITE)
#define WATCHED 12

struct answer {
    enum pt_status status;
    struct pt_mapping mapping;
};

struct watch {
    struct fixture *fixture;
    size_t looks;

    pt_vaddr vaddr[WATCHED];
    struct answer before[WATCHED];
    size_t count;
    bool may_be_gone; /* between break and make */
    bool keeps_first; /* nothing is mapped through the first entry of any table */

    /* What was found that is not what it was before, to be compared with what it is in the end. */
    struct {
        size_t which;
        struct answer answer;
    } others[256];
    size_t other_count;

    /* The tables that were there, and their first entries. */
    bool was_there[MEMORY_FRAMES];
    uint64_t first[MEMORY_FRAMES];
};

static struct answer ask(const struct watch *watch, size_t which)
{
    struct answer answer = {.status = PT_OK};

    answer.status = pt_query(&watch->fixture->table, watch->vaddr[which], &answer.mapping);
    return answer;
}

static bool is_same(const struct answer *a, const struct answer *b)
{
    return a->status == b->status && (a->status != PT_OK || (a->mapping.paddr == b->mapping.paddr &&
                                                             a->mapping.page_size == b->mapping.page_size &&
                                                             a->mapping.flags == b->mapping.flags));
}

/* A table that the MMU can reach is one that nobody has threaded onto a list. */
static void look_at_tables(const struct watch *watch, size_t frame, unsigned level)
{
    const struct memory *memory = watch->fixture->memory;
    size_t count;
    struct slot slot = slots_of_frame(watch->fixture, frame, &count);
    uint64_t first = slot_get(slot);

    if (watch->was_there[frame] && first != 0 && first != watch->first[frame])
        fail_msg("a table of level %u is in use, and its first entry is 0x%" PRIx64, level, first);
    if (level + 1u >= watch->fixture->format->levels)
        return;
    for (size_t i = 0; i < count; i++, slot = slot_after(slot, 1)) {
        uint64_t entry = slot_get(slot);
        size_t below = entry ? frame_below(watch->fixture, entry) : memory->frames;

        if (below < memory->frames)
            look_at_tables(watch, below, level + 1);
    }
}

static void look(struct watch *watch)
{
    watch->looks++;
    for (size_t i = 0; i < watch->count; i++) {
        struct answer answer = ask(watch, i);

        if (is_same(&answer, &watch->before[i]) || (watch->may_be_gone && answer.status == PT_NOT_MAPPED))
            continue;
        if (watch->other_count > 0 && watch->others[watch->other_count - 1].which == i &&
            is_same(&answer, &watch->others[watch->other_count - 1].answer))
            continue;
        if (watch->other_count == TESTS_COUNT(watch->others))
            watch->other_count--; /* enough */
        watch->others[watch->other_count].which = i;
        watch->others[watch->other_count++].answer = answer;
    }
}

static void on_translate(void *arg, struct memory *memory)
{
    struct watch *watch = arg;

    look(watch);
    if (watch->keeps_first)
        look_at_tables(watch, (size_t)((pt_root(&watch->fixture->table) - memory->base) / PT_FRAME_SIZE), 0);
}

static void on_flush(void *arg, const struct pt_flush *flush)
{
    (void)flush;
    look(arg);
}

static void watch_add(struct watch *watch, pt_vaddr vaddr)
{
    assert_true(watch->count < WATCHED);
    watch->vaddr[watch->count++] = vaddr;
}

/* Pages at the beginning, at the end, and about the border of the first two tables of [vaddr, vaddr + size). */
static void watch_region(struct watch *watch, pt_vaddr vaddr, uint64_t size)
{
    const uint64_t table = format_leaf_table(watch->fixture->format);
    const uint64_t page = format_smallest(watch->fixture->format);

    watch_add(watch, vaddr);
    watch_add(watch, vaddr + page);
    if (size > table) {
        watch_add(watch, vaddr + table - page);
        watch_add(watch, vaddr + table + page - 1);
    }
    watch_add(watch, vaddr + size - 1);
}

static struct watch *watch_begin(struct fixture *fixture)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    assert_non_null(watch);
    watch->fixture = fixture;
    return watch;
}

static void watch_now(struct watch *watch)
{
    struct memory *memory = watch->fixture->memory;

    for (size_t i = 0; i < watch->count; i++)
        watch->before[i] = ask(watch, i);
    for (size_t i = 0; i < memory->frames; i++) {
        size_t count;

        watch->was_there[i] = memory->frame[i].taken;
        watch->first[i] = memory->frame[i].taken ? slot_get(slots_of_frame(watch->fixture, i, &count)) : 0;
    }
    memory->on_translate = on_translate;
    memory->on_translate_arg = watch;
    memory->on_flush = on_flush;
    memory->on_flush_arg = watch;
}

static void watch_end(struct watch *watch)
{
    struct memory *memory = watch->fixture->memory;

    memory->on_translate = NULL;
    memory->on_flush = NULL;
    assert_true(watch->looks > 0);
    for (size_t i = 0; i < watch->other_count; i++) {
        struct answer now = ask(watch, watch->others[i].which);
        const struct answer *then = &watch->others[i].answer;

        if (!is_same(&now, then))
            fail_msg("0x%" PRIx64 " was neither as before nor as after: %s to 0x%" PRIx64 ", page size 0x%" PRIx64
                     ", flags 0x%x",
                     watch->vaddr[watch->others[i].which], pt_status_name(then->status), then->mapping.paddr,
                     then->mapping.page_size, (unsigned)then->mapping.flags);
    }
    free(watch);
}

/* What can be copied by itself, and how many of them there are, up to a few. */
static uint64_t unit(const struct fixture *fixture)
{
    return format_copy_unit(fixture->format);
}

static unsigned few_units(const struct fixture *fixture, unsigned few)
{
    return format_copy_units(fixture->format) > few ? few : (unsigned)format_copy_units(fixture->format) - 1;
}

static uint64_t leaf_table(const struct fixture *fixture)
{
    return format_leaf_table(fixture->format);
}

static uint64_t small(const struct fixture *fixture)
{
    return format_smallest(fixture->format);
}

static void a_new_mapping_appears_finished(void **state)
{
    struct fixture *fixture = *state;
    const pt_vaddr vaddr = unit(fixture) + leaf_table(fixture) - 3 * small(fixture);
    const uint64_t size = 2 * leaf_table(fixture) + 5 * small(fixture);
    struct watch *watch = watch_begin(fixture);

    watch_region(watch, vaddr, size);
    watch_add(watch, unit(fixture) + 20 * small(fixture)); /* in the same tables, and never mapped */
    watch_add(watch, unit(fixture) + 3 * leaf_table(fixture) + 20 * small(fixture));
    watch_now(watch);
    assert_ok(pt_map_region(&fixture->table, vaddr, PADDR, size, RW, 0, &fixture->flush));
    watch_end(watch);
}

static void a_mapping_beside_others_does_not_disturb_them(void **state)
{
    struct fixture *fixture = *state;
    const pt_vaddr vaddr = format_place(fixture->format, 1), far = format_place(fixture->format, 4);
    struct watch *watch = watch_begin(fixture);

    assert_ok(pt_map(&fixture->table, vaddr, PADDR, small(fixture), RW, &fixture->flush));
    watch_add(watch, vaddr);
    watch_add(watch, vaddr + leaf_table(fixture));
    watch_add(watch, far);
    watch_now(watch);
    assert_ok(pt_map(&fixture->table, vaddr + leaf_table(fixture), PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_map(&fixture->table, far, PADDR, small(fixture), RW, &fixture->flush));
    assert_status(pt_map_region(&fixture->table, vaddr + small(fixture), PADDR, 2 * leaf_table(fixture), PT_READ,
                                PT_ALLOW_HUGE, &fixture->flush),
                  PT_ALREADY_MAPPED);
    watch_end(watch);
}

static void a_huge_page_takes_the_place_of_empty_tables_at_once(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        const pt_vaddr first = 3 * size; /* not in the first entry of its table */
        struct watch *watch;

        if (size == small(fixture))
            continue;
        assert_ok(pt_map_region(&fixture->table, first, PADDR, leaf_table(fixture), RW, 0, &fixture->flush));
        for (pt_vaddr vaddr = first; vaddr < first + leaf_table(fixture); vaddr += small(fixture))
            assert_ok(pt_unmap(&fixture->table, vaddr, NULL, &fixture->flush));
        pt_flush(&fixture->flush);
        watch = watch_begin(fixture);
        watch_region(watch, first, size);
        watch->keeps_first = true;
        watch_now(watch);
        assert_ok(pt_map(&fixture->table, first, PADDR, size, RW, &fixture->flush));
        watch_end(watch);
        pt_flush(&fixture->flush);
        assert_ok(pt_unmap_region(&fixture->table, 0, format_lower_last(fixture->format) + 1, PT_SKIP_HOLES,
                                  &fixture->flush));
        pt_flush(&fixture->flush);
    }
}

static void what_is_unmapped_disappears_and_its_tables_with_it(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t size = unit(fixture);
    struct watch *watch = watch_begin(fixture);

    for (unsigned level = 1; level < fixture->format->levels; level++)
        assert_ok(pt_map_region(&fixture->table, size + 2 * format_entry_size(fixture->format, level), PADDR,
                                2 * small(fixture), RW, 0, &fixture->flush));
    assert_ok(pt_map_region(&fixture->table, size, PADDR, 2 * small(fixture), RW, 0, &fixture->flush));
    pt_flush(&fixture->flush);
    watch_region(watch, size, size);
    for (unsigned level = 1; level < fixture->format->levels; level++)
        watch_add(watch, size + 2 * format_entry_size(fixture->format, level));
    watch->keeps_first = true;
    watch_now(watch);
    assert_ok(pt_unmap_region(&fixture->table, size, size, PT_SKIP_HOLES, &fixture->flush));
    pt_flush(&fixture->flush);
    watch_end(watch);
    assert_int_equal(fixture->memory->taken, 1);
}

static void a_table_that_stays_is_not_retired_in_passing(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t size = 3 * leaf_table(fixture);
    struct watch *watch = watch_begin(fixture);

    assert_ok(pt_map_region(&fixture->table, 0, PADDR, size, RW, 0, &fixture->flush));
    watch_region(watch, 0, size);
    watch->keeps_first = true;
    watch_now(watch);
    assert_ok(pt_unmap_region(&fixture->table, small(fixture), size - 2 * small(fixture), 0, &fixture->flush));
    watch_end(watch);
    assert_mapped(&fixture->table, 0, PADDR, small(fixture), RW);
    assert_mapped(&fixture->table, size - small(fixture), PADDR + size - small(fixture), small(fixture), RW);
}

static void protecting_passes_through_nothing_else(void **state)
{
    struct fixture *fixture = *state;
    const uint64_t size = leaf_table(fixture) + 3 * small(fixture);
    const pt_flags sets[] = {RW, PT_READ, 0, PT_READ | PT_EXECUTE | PT_USER, RW | PT_GLOBAL, RW | PT_DEVICE, RW};

    assert_ok(pt_map_region(&fixture->table, 0, PADDR, size, RW, 0, &fixture->flush));
    for (size_t i = 0; i < TESTS_COUNT(sets); i++) {
        struct watch *watch = watch_begin(fixture);

        watch->may_be_gone = fixture->format->new_mapping_owes == PT_OWES_BARRIER; /* break before make */
        watch_region(watch, 0, size);
        watch_now(watch);
        assert_ok(pt_protect_region(&fixture->table, 0, size, sets[i], 0, &fixture->flush));
        assert_ok(pt_protect(&fixture->table, small(fixture), sets[i], NULL, &fixture->flush));
        watch_end(watch);
    }
}

static void remapping_passes_through_nothing_else(void **state)
{
    struct fixture *fixture = *state;

    FOR_EACH_PAGE_SIZE(size, fixture->format) {
        struct watch *watch = watch_begin(fixture);

        assert_ok(pt_map(&fixture->table, 0, PADDR, size, RW, &fixture->flush));
        watch->may_be_gone = fixture->format->new_mapping_owes == PT_OWES_BARRIER; /* break before make */
        watch_add(watch, 0);
        watch_add(watch, size - 1);
        watch_now(watch);
        assert_ok(pt_remap(&fixture->table, 0, 2 * PADDR, PT_READ, NULL, &fixture->flush));
        watch_end(watch);
        assert_ok(pt_unmap_region(&fixture->table, 0, unit(fixture), PT_SKIP_HOLES, &fixture->flush));
        pt_flush(&fixture->flush);
    }
}

static void what_is_copied_appears_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct watch *watch = watch_begin(fixture);
    const unsigned units = few_units(fixture, 3); /* but the first */
    struct page_table source;
    struct pt_flush flush;

    assert_ok(pt_create(&source, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&flush, &source);
    assert_ok(pt_map(&source, unit(fixture), PADDR, small(fixture), RW, &flush));
    assert_ok(pt_map(&fixture->table, unit(fixture), PADDR, small(fixture), RW, &fixture->flush));
    assert_ok(pt_unmap(&fixture->table, unit(fixture), NULL, &fixture->flush));
    pt_flush(&fixture->flush);
    for (unsigned i = 1; i <= units; i++)
        watch_region(watch, i * unit(fixture), small(fixture));
    watch->keeps_first = true;
    watch_now(watch);
    assert_ok(pt_copy_from(&fixture->table, &source, unit(fixture), units * unit(fixture), &fixture->flush));
    watch_end(watch);
    assert_mapped(&fixture->table, unit(fixture), PADDR, small(fixture), RW);
    pt_flush(&flush);
    pt_flush(&fixture->flush);
    pt_destroy(&fixture->table);
    pt_destroy(&source);
}

static void what_a_source_is_given_is_empty(void **state)
{
    struct fixture *fixture = *state;
    struct watch *watch = watch_begin(fixture);
    const unsigned units = few_units(fixture, 2); /* but the first */
    struct page_table copy;
    struct pt_flush flush;

    assert_ok(pt_create(&copy, fixture->format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&flush, &copy);
    for (unsigned i = 1; i <= units; i++)
        watch_region(watch, i * unit(fixture), unit(fixture));
    watch->keeps_first = true;
    watch_now(watch);
    assert_ok(pt_copy_from(&copy, &fixture->table, unit(fixture), units * unit(fixture), &flush));
    watch_end(watch);
    pt_flush(&flush);
    pt_destroy(&copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(a_new_mapping_appears_finished),
        TESTS_OF_EACH_FORMAT(a_mapping_beside_others_does_not_disturb_them),
        TESTS_OF_EACH_FORMAT(a_huge_page_takes_the_place_of_empty_tables_at_once),
        TESTS_OF_EACH_FORMAT(what_is_unmapped_disappears_and_its_tables_with_it),
        TESTS_OF_EACH_FORMAT(a_table_that_stays_is_not_retired_in_passing),
        TESTS_OF_EACH_FORMAT(protecting_passes_through_nothing_else),
        TESTS_OF_EACH_FORMAT(remapping_passes_through_nothing_else),
        TESTS_OF_EACH_FORMAT(what_is_copied_appears_at_once),
        TESTS_OF_EACH_FORMAT(what_a_source_is_given_is_empty),
    };

    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
