/* SPDX-License-Identifier: MIT */
/*
 * Long random sequences in a small window, so that everything meets everything.
 *
 * PT_TLB_STEPS=n  calls in each sequence (default below)
 * PT_TLB_SEED=n   another run; a failing test prints the one to repeat it with
 * PT_TLB_RUNS=n   sequences for each format
 */
#include "judge.h"

#define STEPS 150
#define RUNS 8

/* Few, so that pages become equal and can be collapsed. */
static const pt_flags flags_of[] = {
    RW,
    RW,
    RW,
    PT_READ,
    PT_WRITE,
    RX,
    RW | PT_EXECUTE,
    RW | PT_USER,
    RW | PT_GLOBAL,
    RX | PT_GLOBAL,
    RW | PT_DEVICE,
    RW | PT_UNCACHED,
    PT_EXECUTE,
    0,
    PT_GLOBAL,
};

static pt_flags some_flags(struct random *random)
{
    return flags_of[random_below(random, TESTS_COUNT(flags_of))];
}

static pt_vaddr some_page(struct judge *judge)
{
    return judge->watched[random_below(&judge->random, judge->watched_count)].vaddr;
}

/* The smallest one in half of all cases, the largest seldom. */
static uint64_t some_size(struct judge *judge)
{
    struct random *random = &judge->random;

    switch (random_below(random, 8)) {
    case 0:
        return judge->large;
    case 1:
    case 2:
    case 3:
        return judge->size[1 + random_below(random, judge->size_count - 2)];
    default:
        return judge->page;
    }
}

/* Not so many entries that the test takes its time for them alone. */
static bool is_small(const struct judge *judge, uint64_t size, uint64_t pages)
{
    return size / judge->page <= pages;
}

/* From a watched page to the end of another one, or a whole block. */
static pt_vaddr some_region(struct judge *judge, uint64_t *size)
{
    pt_vaddr a = some_page(judge), b = some_page(judge);

    switch (random_below(&judge->random, 4)) {
    case 0:
        *size = some_size(judge);
        return a & ~(*size - 1);
    case 1: /* short */
        *size = judge->page * (1 + random_below(&judge->random, 4));
        if (*size > judge->base + (judge->window - 1) - a)
            *size = judge->page;
        return a;
    default:
        *size = (a < b ? b - a : a - b) + judge->page;
        return a < b ? a : b;
    }
}

/* What belongs there, or as aligned somewhere else. */
static pt_paddr some_frames(struct judge *judge, pt_vaddr vaddr)
{
    return frames_of(judge, vaddr) + (random_one_in(&judge->random, 3) ? judge->other_frames - judge->frames : 0);
}

static void change_something(struct judge *j)
{
    struct random *random = &j->random;
    pt_vaddr vaddr, page = some_page(j);
    uint64_t size;
    enum pt_status status = PT_OK;

    vaddr = some_region(j, &size);
    switch (random_below(random, 20)) {
    case 0:
    case 1:
        size = some_size(j);
        vaddr = page & ~(size - 1);
        status = judge_map_large(j, vaddr, some_frames(j, vaddr), size, some_flags(random));
        break;
    case 2:
    case 3:
        /* Small pages only where they are not too many. */
        status = judge_map_region(j, vaddr, some_frames(j, vaddr), size, some_flags(random),
                                  !is_small(j, size, 2048) || random_one_in(random, 2) ? PT_ALLOW_HUGE : 0);
        break;
    case 4:
        if (is_small(j, size, 512))
            status = judge_map_scattered(j, vaddr, size, some_flags(random), PT_ALLOW_HUGE);
        break;
    case 5:
        status = judge_unmap(j, page);
        break;
    case 6:
    case 7:
        status = judge_unmap_region(j, vaddr, size, PT_SKIP_HOLES);
        break;
    case 8:
        status = judge_protect(j, page, some_flags(random));
        break;
    case 9:
    case 10:
        status = judge_protect_region(j, vaddr, size, some_flags(random), PT_SKIP_HOLES);
        break;
    case 11: /* one for all, so that there is something to collapse */
        size = random_one_in(random, 2) ? j->block : j->large;
        status = judge_protect_region(j, page & ~(size - 1), size, RW, PT_SKIP_HOLES);
        break;
    case 12:
        size = judge_page_size(j, page);
        if (size > 0)
            status = judge_remap(j, page, some_frames(j, page & ~(size - 1)), some_flags(random));
        break;
    case 13:
    case 14:
        status = judge_split(j, page, j->size[random_below(random, j->size_count - 1)]);
        break;
    case 15:
    case 16:
        status = judge_collapse(j, j->base, j->window);
        break;
    case 17:
        status = judge_prune(j, vaddr, size);
        break;
    case 18:
        if (j->format.tracks_access)
            status = judge_clear(j, vaddr, size, random_one_in(random, 2) ? PT_DIRTY : PT_ACCESSED);
        break;
    case 19: /* what is there is unmapped and mapped anew, under one flush */
        size = judge_page_size(j, page);
        if (size > 0 && judge_unmap(j, page) == PT_OK)
            status = judge_map(j, page & ~(size - 1), some_frames(j, page & ~(size - 1)), size, some_flags(random));
        break;
    }
    /* Whatever is wrong with the arguments is the test's fault. */
    assert_true(status == PT_OK || status == PT_ALREADY_MAPPED || status == PT_MAPPED_TO_HUGE_PAGE ||
                status == PT_NOT_MAPPED || status == PT_SHARED || status == PT_NO_MEMORY);
}

static void run(struct judge *judge, const struct pt_format *format, uint64_t seed, uint64_t steps)
{
    struct random random = {seed};
    enum judge_place place = random_one_in(&random, 3) ? JUDGE_UPPER : JUDGE_LOWER;
    bool share = random_one_in(&random, 3);
    uint32_t asid = random_one_in(&random, 2) ? PT_NO_ASID : 5;
    uint64_t flush_one_in = 1 + random_below(&random, 4);

    judge_start(judge, format, place, asid);
    judge->seed = seed;
    judge->random = random;
    for (size_t i = 0; i < judge->watched_count; i++)
        judge->watched[i].hungry = !random_one_in(&random, 4);
    if (judge->format.tracks_access && random_one_in(&random, 2))
        judge_make_restless(judge);
    if (share)
        judge_share(judge, random_one_in(&random, 2) ? 6 : PT_NO_ASID);
    for (uint64_t step = 0; step < steps; step++) {
        if (random_one_in(&judge->random, 50))
            memory_fail_once(judge->memory, 1 + (size_t)random_below(&judge->random, 2));
        change_something(judge);
        memory_fail_never(judge->memory);
        if (random_one_in(&judge->random, flush_one_in))
            judge_flush(judge);
    }
    judge_flush(judge);
}

static void run_all(struct judge *judge, const struct pt_format *format)
{
    const char *given = getenv("PT_TLB_SEED");
    uint64_t runs = number_from_environment("PT_TLB_RUNS", RUNS),
             steps = number_from_environment("PT_TLB_STEPS", STEPS);

    if (given && *given)
        run(judge, format, number_from_environment("PT_TLB_SEED", 0), steps);
    else
        for (uint64_t i = 0; i < runs; i++)
            run(judge, format, i, steps);
}

static void a_random_life_leaves_nothing_stale(void **state)
{
    struct judge *judge = *state;
    struct pt_format format = judge->format;

#ifdef PT_ONLY_FORMAT
    (void)format;
    run_all(judge, judge->descriptor);
#else
    run_all(judge, &format);
#endif
}

/* Other entries of the PAT; FEAT_BBM level 2; hardware that sets accessed and dirty: the same with narrowed or widened descriptors. */
static void a_random_life_leaves_nothing_stale_on_other_cpus(void **state)
{
    struct judge *judge = *state;
    struct pt_format format = judge->format;

#ifdef PT_ONLY_FORMAT
    (void)format;
    skip(); /* knows no copies of a descriptor */
#else
    if (judge->mmu->arch == &mmu_x86) { /* the same memory types, by the entries of the PAT that take its third bit */
        format.memory_index.normal |= 4;
        format.memory_index.device |= 4;
        format.memory_index.uncached |= 4;
        run_all(judge, &format);
    }
    if (judge->mmu->arch == &mmu_aarch64 || judge->mmu->arch == &mmu_aarch64_stage2) {
        format.bbm_level = 2;
        run_all(judge, &format);
    }
    if (judge->mmu->arch->record && !judge->mmu->arch->always_records) {
        format.tracks_access = true;
        run_all(judge, &format);
        format.bbm_level = 0;
        run_all(judge, &format);
    }
#endif
}

int run_random_tests(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT_WITH(a_random_life_leaves_nothing_stale, judge_set_up, judge_tear_down),
        TESTS_OF_EACH_FORMAT_WITH(a_random_life_leaves_nothing_stale_on_other_cpus, judge_set_up, judge_tear_down),
    };

    return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
