/* SPDX-License-Identifier: MIT */
/* Each operation by itself. */
#include "judge.h"

/* Every test goes through these: where the window lies, and whether the table has an ASID. */
struct setting {
    enum judge_place place;
    uint32_t asid;
};

static const struct setting settings[] = {
    {JUDGE_LOWER, PT_NO_ASID},
    {JUDGE_LOWER, 5},
    {JUDGE_UPPER, PT_NO_ASID},
    {JUDGE_UPPER, 5},
};

static void start(struct judge *judge, const struct setting *setting)
{
    const struct pt_format format = judge->format;

#ifdef PT_ONLY_FORMAT
    (void)format;
    judge_start(judge, judge->descriptor, setting->place, setting->asid);
#else
    judge_start(judge, &format, setting->place, setting->asid);
#endif
}

#define FOR_EACH_SETTING(judge)                                                                                        \
    for (size_t s_ = 0; s_ < TESTS_COUNT(settings) && (start((judge), &settings[s_]), true); s_++)

/* Local and global pages owe different invalidations. */
static const pt_flags scopes[] = {0, PT_GLOBAL};
#define FOR_EACH_SCOPE(scope) for (size_t i_ = 0; i_ < TESTS_COUNT(scopes) && ((scope) = scopes[i_], true); i_++)

/* Root entries that are shared lead to tables: there is no page among them. */
static unsigned shared_options(const struct judge *j)
{
    return format_level_of(&j->format, j->block) > 0 ? PT_ALLOW_HUGE : 0;
}

static void map_window(struct judge *j, uint64_t page_size, pt_flags flags)
{
    assert_ok(judge_map_large(j, j->base, frames_of(j, j->base), page_size, flags));
    judge_flush(j);
}

/* What map_window mapped. */
static void unmap_large(struct judge *j, uint64_t page_size)
{
    if (j->format.page_sizes & page_size)
        assert_ok(judge_unmap(j, j->base));
    else
        assert_ok(judge_unmap_region(j, j->base, page_size, 0));
}

static void clear_window(struct judge *j)
{
    assert_ok(judge_unmap_region(j, j->base, j->window, PT_SKIP_HOLES));
    judge_flush(j);
}

/* ---- The test itself --------------------------------------------------------------------------- */

/* Without its moments the MMU would find nothing wrong with anything. */
static void the_mmu_sees_every_store(void **state)
{
    struct judge *j = *state;

    assert_ok(judge_map(j, j->base, frames_of(j, j->base), j->page, RW));
    assert_int_equal(j->moments_after, 1);
    judge_flush(j);
    assert_ok(judge_map_region(j, j->base + j->page, 0, 7 * j->page, RW, 0));
    assert_int_equal(j->moments_after, 8);
#if defined(__LP64__)
    assert_int_equal(j->moments_before, 8);
#endif
    /* And it has found the pages, and the ways to them. */
    assert_in_range(j->mmu->tlb_count, 4, 100);
    assert_in_range(j->mmu->pointer_count, j->format.levels - 1u, 100);
}

/* ---- Mapping and unmapping --------------------------------------------------------------------- */

static void an_unmapped_page_is_forgotten(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (size_t i = 0; i < j->size_count; i++) {
        map_window(j, j->size[i], RW | scope);
        assert_ok(judge_unmap(j, j->base + j->size[i] - j->page));
        judge_flush(j);
        clear_window(j);
    }
}

static void an_unmapped_region_is_forgotten_and_its_tables_with_it(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (unsigned options = 0; options <= PT_ALLOW_HUGE; options++) {
        uint64_t size = 6 * j->block, margin = 3 * j->page;

        assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), size, RW | scope, options));
        judge_flush(j);
        /* Pages at both ends stay. */
        assert_ok(judge_unmap_region(j, j->base + margin, size - 2 * margin, 0));
        judge_flush(j);
        assert_ok(judge_unmap_region(j, j->base, size, PT_SKIP_HOLES));
        judge_flush(j);
    }
}

static void a_new_mapping_is_not_hidden_by_a_remembered_hole(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    {
        /* With new tables, then in tables that are there. */
        for (size_t i = 0; i < j->size_count; i++) {
            map_window(j, j->size[i], RW | scope);
            clear_window(j);
        }
        map_window(j, j->page, RW | scope);
        assert_ok(judge_map(j, j->base + j->page, frames_of(j, j->base), j->page, RW | scope));
        judge_flush(j);
        assert_ok(judge_map(j, j->base + j->block, frames_of(j, j->base), j->block, RW | scope));
        judge_flush(j);
        assert_ok(judge_map_large(j, j->base + j->large, frames_of(j, j->base), j->large, RW | scope));
        judge_flush(j);
        clear_window(j);
    }
}

static void a_region_is_mapped_whole_tables_at_a_time(void **state)
{
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    {
        /* From the middle of a table, over whole ones, to the middle of the last. */
        pt_vaddr first = j->base + 2 * j->page;
        uint64_t size = 3 * j->block - 4 * j->page;

        assert_ok(judge_map_region(j, first, frames_of(j, first), size, RX, 0));
        judge_flush(j);
        assert_ok(judge_unmap_region(j, first, size, 0));
        judge_flush(j);
        assert_ok(judge_map_region(j, first, frames_of(j, first), j->window - 4 * j->page, RW, PT_ALLOW_HUGE));
        judge_flush(j);
        clear_window(j);
        assert_ok(judge_map_scattered(j, first, size, RW, PT_ALLOW_HUGE));
        judge_flush(j);
        clear_window(j);
    }
}

static void a_huge_page_takes_the_place_of_empty_tables(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (size_t i = 1; i < j->size_count; i++) {
        /* pt_unmap leaves the tables, and the MMU remembers the way through them. */
        for (unsigned block = 0; block < 3; block++)
            assert_ok(judge_map(j, j->base + block * j->block, frames_of(j, j->base), j->page, RW | scope));
        judge_flush(j);
        for (unsigned block = 0; block < 3; block++)
            assert_ok(judge_unmap(j, j->base + block * j->block));
        judge_flush(j);
        assert_ok(judge_map_large(j, j->base, frames_of(j, j->base), j->size[i], RW | scope));
        judge_flush(j);
        clear_window(j);
    }
}

static void the_same_address_is_unmapped_and_mapped_under_one_flush(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (size_t i = 0; i < j->size_count; i++) {
        map_window(j, j->size[i], RW | scope);
        unmap_large(j, j->size[i]);
        assert_ok(judge_map_large(j, j->base, j->other_frames, j->size[i], RX | scope));
        judge_flush(j);
        /* Another size: smaller ones where the large one was, or the large one over empty tables. */
        assert_ok(judge_unmap_region(j, j->base, j->size[i], 0));
        assert_ok(judge_map_large(j, j->base, j->other_frames, j->size[(i + 1) % j->size_count], RW | scope));
        judge_flush(j);
        unmap_large(j, j->size[(i + 1) % j->size_count]);
        assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), 3 * j->page, RW | scope, 0));
        assert_ok(judge_unmap_region(j, j->base, 3 * j->page, 0));
        assert_ok(judge_map_large(j, j->base, frames_of(j, j->base), j->large, RW | scope));
        judge_flush(j);
        clear_window(j);
    }
}

/* ---- Parts of huge pages ----------------------------------------------------------------------- */

struct part {
    uint64_t offset, size;
};

#define MAX_PARTS 8

/* Parts of a page of that size, larger than the smallest. */
static size_t parts_of(const struct judge *j, uint64_t page_size, struct part *parts)
{
    const uint64_t page = j->page, block = j->block;
    size_t count = 0;

    parts[count++] = (struct part){0, page};
    parts[count++] = (struct part){page_size - page, page};
    parts[count++] = (struct part){page, page};
    parts[count++] = (struct part){page, page_size - 2 * page};
    if (page_size > 2 * block) {
        parts[count++] = (struct part){0, block};
        parts[count++] = (struct part){block, block};
        parts[count++] = (struct part){0, 2 * block + page};
        parts[count++] = (struct part){block + 2 * page, page_size - block - 2 * page};
    }
    return count;
}

static void unmapping_a_part_of_a_huge_page_leaves_the_rest(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (size_t i = 1; i < j->size_count; i++) {
        struct part parts[MAX_PARTS];
        size_t count = parts_of(j, j->size[i], parts);

        for (size_t k = 0; k < count; k++) {
            map_window(j, j->size[i], RW | PT_UNCACHED | scope);
            assert_ok(judge_unmap_region(j, j->base + parts[k].offset, parts[k].size, 0));
            judge_flush(j);
            clear_window(j);
        }
    }
}

static void protecting_a_part_of_a_huge_page_leaves_the_rest(void **state)
{
    static const pt_flags to[] = {PT_READ, RX, RW | PT_USER, RW | PT_DEVICE, RW | PT_GLOBAL, 0};
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (size_t i = 1; i < j->size_count; i++) {
        struct part parts[MAX_PARTS];
        size_t count = parts_of(j, j->size[i], parts);

        for (size_t k = 0; k < count * TESTS_COUNT(to); k++) {
            map_window(j, j->size[i], RW | scope);
            assert_ok(
                judge_protect_region(j, j->base + parts[k % count].offset, parts[k % count].size, to[k / count], 0));
            judge_flush(j);
            clear_window(j);
        }
    }
}

/* Both ends of a region lie in huge pages, of two sizes. */
static void a_region_splits_at_both_ends(void **state)
{
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    {
        pt_vaddr block = j->base + j->large - j->block, first = j->base + j->large - 2 * j->page;

        for (unsigned unmap = 0; unmap < 2; unmap++) {
            assert_ok(judge_map(j, block, frames_of(j, block), j->block, RW));
            assert_ok(judge_map_large(j, j->base + j->large, frames_of(j, j->base + j->large), j->large, RW));
            judge_flush(j);
            if (unmap)
                assert_ok(judge_unmap_region(j, first, 3 * j->page, 0));
            else
                assert_ok(judge_protect_region(j, first, 3 * j->page, PT_READ, 0));
            judge_flush(j);
            clear_window(j);
        }
    }
}

/* ---- Rights, memory type, frames --------------------------------------------------------------- */

static void rights_that_were_taken_away_are_gone(void **state)
{
    static const pt_flags flags[] = {
        RW | PT_EXECUTE | PT_USER, RW | PT_USER, RX, RW, PT_READ, 0, RW | PT_GLOBAL, PT_GLOBAL, RW | PT_DEVICE,
        RW | PT_UNCACHED};
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    for (size_t i = 0; i < j->size_count; i++)
        for (size_t from = 0; from < TESTS_COUNT(flags); from++)
            for (size_t to = 0; to < TESTS_COUNT(flags); to++) {
                map_window(j, j->size[i], flags[from]);
                assert_ok(judge_protect(j, j->base, flags[to]));
                judge_flush(j);
                assert_ok(judge_protect_region(j, j->base, j->size[i], flags[from], 0));
                judge_flush(j);
                unmap_large(j, j->size[i]);
                judge_flush(j);
            }
}

static void many_pages_change_their_rights_at_once(void **state)
{
    static const pt_flags flags[] = {PT_READ, RW | PT_DEVICE, 0, RW | PT_GLOBAL, RX, PT_GLOBAL, RW};
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    {
        assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), 2 * j->block, RW, 0));
        assert_ok(judge_map_region(j, j->base + 2 * j->block, frames_of(j, j->base), j->large, RW, PT_ALLOW_HUGE));
        judge_flush(j);
        for (size_t i = 0; i < TESTS_COUNT(flags); i++) {
            assert_ok(judge_protect_region(j, j->base + j->page, 2 * j->block + j->large - j->page, flags[i], 0));
            judge_flush(j);
        }
        for (size_t i = 0; i < TESTS_COUNT(flags); i++)
            assert_ok(judge_protect_region(j, j->base + j->page, 3 * j->block, flags[i], 0));
        judge_flush(j);
        clear_window(j);
    }
}

static void access_taken_and_given_back_under_one_flush_is_the_new_one(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (size_t i = 0; i < j->size_count; i++) {
        map_window(j, j->size[i], RW | scope);
        assert_ok(judge_protect(j, j->base, scope));
        assert_ok(judge_protect(j, j->base, RW | PT_UNCACHED | scope));
        judge_flush(j);
        assert_ok(judge_protect(j, j->base, scope));
        assert_ok(judge_remap(j, j->base, j->other_frames, RW | scope));
        judge_flush(j);
        clear_window(j);
    }
}

static void remapped_pages_lead_to_the_new_frames_only(void **state)
{
    static const pt_flags flags[] = {RW, PT_READ, RW | PT_DEVICE, RW | PT_GLOBAL, 0, RX};
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    for (size_t i = 0; i < j->size_count; i++) {
        map_window(j, j->size[i], RW);
        for (size_t k = 0; k < TESTS_COUNT(flags); k++) {
            assert_ok(judge_remap(j, j->base + j->size[i] - j->page, k % 2 ? j->other_frames : j->frames, flags[k]));
            judge_flush(j);
        }
        clear_window(j);
    }
}

/* ---- Shapes ------------------------------------------------------------------------------------ */

static void split_and_collapse_change_no_translation(void **state)
{
    static const pt_flags flags[] = {RW, RX | PT_USER, RW | PT_DEVICE, RW | PT_UNCACHED, PT_READ | PT_GLOBAL, 0};
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    for (size_t i = 0; i < TESTS_COUNT(flags); i++) {
        map_window(j, j->large, flags[i]);
        assert_ok(judge_split(j, j->base + j->block, j->block));
        judge_flush(j);
        assert_ok(judge_split(j, j->base + j->block, j->page));
        judge_flush(j);
        assert_ok(judge_split(j, j->base + 2 * j->block + j->page, j->page));
        assert_ok(judge_collapse(j, j->base, 4 * j->block));
        judge_flush(j);
        assert_hex_equal(judge_page_size(j, j->base + j->block), j->block);
        assert_ok(judge_split(j, j->base, j->page));
        judge_flush(j);
        assert_ok(judge_collapse(j, j->base, j->large));
        judge_flush(j);
        assert_hex_equal(judge_page_size(j, j->base), j->largest);
        assert_ok(judge_split(j, j->base, j->page));
        assert_hex_equal(judge_page_size(j, j->base), j->page);
        assert_ok(judge_collapse(j, j->base, j->large));
        judge_flush(j);
        clear_window(j);
    }
}

static void pages_whose_frames_are_not_aligned_stay_as_they_are(void **state)
{
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    {
        assert_ok(judge_map_region(j, j->base, frames_of(j, j->base) + j->page, j->block, RW, 0));
        assert_ok(judge_collapse(j, j->base, j->block));
        judge_flush(j);
        assert_hex_equal(judge_page_size(j, j->base), j->page);
    }
}

static void what_was_collapsed_can_be_unmapped(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (unsigned together = 0; together < 2; together++) {
        assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), j->block, RW | scope, 0));
        judge_flush(j);
        assert_ok(judge_collapse(j, j->base, j->block));
        assert_hex_equal(judge_page_size(j, j->base), j->block);
        if (!together)
            judge_flush(j);
        assert_ok(judge_unmap(j, j->base));
        judge_flush(j);
    }
}

static void pruned_tables_are_not_walked_any_more(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (unsigned together = 0; together < 2; together++) {
        for (unsigned block = 0; block < 3; block++)
            assert_ok(judge_map(j, j->base + block * j->block, frames_of(j, j->base), j->page, RW | scope));
        assert_ok(judge_map(j, j->base + j->large, frames_of(j, j->base), j->page, RW | scope));
        judge_flush(j);
        for (unsigned block = 0; block < 3; block++)
            assert_ok(judge_unmap(j, j->base + block * j->block));
        if (!together)
            judge_flush(j);
        assert_ok(judge_prune(j, j->base, j->block));
        if (!together)
            judge_flush(j);
        assert_ok(judge_prune(j, j->base, j->window));
        if (together) /* new tables where those were */
            assert_ok(judge_map(j, j->base, frames_of(j, j->base), j->page, RW | scope));
        judge_flush(j);
        clear_window(j);
    }
}

/* ---- Flushes ----------------------------------------------------------------------------------- */

static void more_ranges_than_a_flush_remembers_are_all_invalidated(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SETTING(j)
    FOR_EACH_SCOPE(scope)
    for (unsigned protect = 0; protect < 2; protect++) {
        assert_ok(judge_map_region(j, j->base, frames_of(j, j->base), 2 * j->block, RW | scope, 0));
        judge_flush(j);
        /* Every other page, the watched ones among the first and the last. */
        for (unsigned i = 0; i < 2 * PT_FLUSH_RANGES; i++) {
            pt_vaddr vaddr = i < PT_FLUSH_RANGES
                                 ? j->base + 2 * i * j->page
                                 : j->base + 2 * j->block - j->page * (1 + 2 * (2 * PT_FLUSH_RANGES - 1 - i));

            if (protect)
                assert_ok(judge_protect(j, vaddr, PT_READ | scope));
            else
                assert_ok(judge_unmap(j, vaddr));
        }
        assert_true(j->flush.everything);
        /* What no range tells of is still owed, and comes before another mapping there. */
        if (!protect)
            assert_ok(judge_map(j, j->base + 2 * j->block - j->page, j->other_frames, j->page, RX | scope));
        judge_flush(j);
        clear_window(j);
    }
}

static void a_refused_call_leaves_everything_in_place(void **state)
{
    struct judge *j = *state;

    FOR_EACH_SETTING(j)
    {
        map_window(j, j->large, RW);
        memory_fail_after(j->memory, j->format.levels - 1u - format_level_of(&j->format, j->largest));
        assert_status(judge_unmap_region(j, j->base + j->page, j->page, 0), PT_NO_MEMORY);
        assert_status(judge_split(j, j->base, j->page), PT_NO_MEMORY);
        memory_fail_never(j->memory);
        assert_status(judge_map_region(j, j->base + j->large - j->page, 0, j->block, RX, 0), PT_MAPPED_TO_HUGE_PAGE);
        assert_status(judge_unmap_region(j, j->base + j->block, j->large, 0), PT_NOT_MAPPED);
        judge_flush(j);
        clear_window(j);
    }
}

static void a_table_that_was_never_live_is_settled_without_invalidation(void **state)
{
    struct judge *j = *state;

    j->mmu->root[0].table = &j->table;
    j->watching = false;
    assert_ok(pt_map_region(&j->table, j->base, 0, j->block, RW, 0, &j->flush));
    assert_ok(pt_unmap_region(&j->table, j->base, j->block, 0, &j->flush));
    memory_forget_flushes(j->memory);
    pt_flush_ignore(&j->flush);
    assert_int_equal(j->memory->flush_count, 0);
    assert_int_equal(j->memory->taken, 1);
}

/* ---- Sharing ----------------------------------------------------------------------------------- */

/* The copy runs with an ASID of its own, the source with none: its changes concern every address space. */
static void what_the_source_unmaps_is_gone_from_the_copy(void **state)
{
    static const uint32_t asids[] = {PT_NO_ASID, 6};
    struct judge *j = *state;
    pt_flags scope;

    for (size_t a = 0; a < TESTS_COUNT(asids); a++)
        FOR_EACH_SCOPE(scope)
        {
            start(j, &(struct setting){a ? JUDGE_UPPER : JUDGE_LOWER, PT_NO_ASID});
            assert_ok(judge_map(j, j->base, frames_of(j, j->base), j->page, RW | scope));
            assert_ok(judge_map(j, j->base + j->large, frames_of(j, j->base), j->page, RW | scope));
            judge_flush(j);
            judge_share(j, asids[a]);
            assert_ok(judge_map_region(j, j->base + j->block, frames_of(j, j->base), 3 * j->block, RW | scope,
                                       shared_options(j)));
            judge_flush(j);
            assert_ok(judge_unmap(j, j->base));
            judge_flush(j);
            assert_ok(judge_protect_region(j, j->base + j->block, 2 * j->block, PT_READ | scope, 0));
            judge_flush(j);
            assert_ok(judge_unmap_region(j, j->base + j->block, j->block + j->page, 0));
            judge_flush(j);
            assert_ok(judge_prune(j, j->base, j->window));
            judge_flush(j);
            clear_window(j);
        }
}

/* Both have an ASID: what the source owes must be enough for the other one, too. */
static void what_a_source_with_an_asid_unmaps_is_gone_from_the_copy(void **state)
{
    struct judge *j = *state;
    pt_flags scope;

    FOR_EACH_SCOPE(scope)
    {
        start(j, &(struct setting){JUDGE_LOWER, 5});
        assert_ok(judge_map(j, j->base, frames_of(j, j->base), j->page, RW | scope));
        assert_ok(judge_map(j, j->base + j->large, frames_of(j, j->base), j->page, RW | scope));
        judge_flush(j);
        judge_share(j, 6);
        assert_ok(judge_map_region(j, j->base + j->block, frames_of(j, j->base), 3 * j->block, RW | scope,
                                   shared_options(j)));
        judge_flush(j);
        assert_ok(judge_protect_region(j, j->base + j->block, 2 * j->block, PT_READ | scope, 0));
        judge_flush(j);
        clear_window(j);
    }
}

/* A root entry that the source had not used is remembered as empty, by both. */
static void what_the_source_maps_later_is_there_in_the_copy(void **state)
{
    static const uint32_t asids[] = {PT_NO_ASID, 6};
    struct judge *j = *state;

    for (size_t a = 0; a < TESTS_COUNT(asids); a++)
        for (size_t i = 0; i < 2; i++) {
            start(j, &(struct setting){a ? JUDGE_UPPER : JUDGE_LOWER, PT_NO_ASID});
            judge_share(j, asids[a]);
            assert_ok(
                judge_map_region(j, j->base, frames_of(j, j->base), i ? j->block : j->page, RW, shared_options(j)));
            judge_flush(j);
            assert_ok(judge_map_region(j, j->base + j->large, frames_of(j, j->base), j->block, RW | PT_GLOBAL,
                                       shared_options(j)));
            judge_flush(j);
            clear_window(j);
        }
}

int run_directed_tests(void)
{
    const struct CMUnitTest tests[] = {
#define EACH(test) TESTS_OF_EACH_FORMAT_WITH(test, judge_set_up, judge_tear_down)
        EACH(the_mmu_sees_every_store),
        EACH(an_unmapped_page_is_forgotten),
        EACH(an_unmapped_region_is_forgotten_and_its_tables_with_it),
        EACH(a_new_mapping_is_not_hidden_by_a_remembered_hole),
        EACH(a_region_is_mapped_whole_tables_at_a_time),
        EACH(a_huge_page_takes_the_place_of_empty_tables),
        EACH(the_same_address_is_unmapped_and_mapped_under_one_flush),
        EACH(unmapping_a_part_of_a_huge_page_leaves_the_rest),
        EACH(protecting_a_part_of_a_huge_page_leaves_the_rest),
        EACH(a_region_splits_at_both_ends),
        EACH(rights_that_were_taken_away_are_gone),
        EACH(many_pages_change_their_rights_at_once),
        EACH(access_taken_and_given_back_under_one_flush_is_the_new_one),
        EACH(remapped_pages_lead_to_the_new_frames_only),
        EACH(split_and_collapse_change_no_translation),
        EACH(pages_whose_frames_are_not_aligned_stay_as_they_are),
        EACH(what_was_collapsed_can_be_unmapped),
        EACH(pruned_tables_are_not_walked_any_more),
        EACH(more_ranges_than_a_flush_remembers_are_all_invalidated),
        EACH(a_refused_call_leaves_everything_in_place),
        EACH(a_table_that_was_never_live_is_settled_without_invalidation),
        EACH(what_the_source_unmaps_is_gone_from_the_copy),
        EACH(what_a_source_with_an_asid_unmaps_is_gone_from_the_copy),
        EACH(what_the_source_maps_later_is_there_in_the_copy),
    };

    return cmocka_run_group_tests_name("directed", tests, NULL, NULL);
}
