/* SPDX-License-Identifier: MIT */
/*
 * Readers without a lock beside one writer, in threads. A translation that the writer leaves alone is always found,
 * whatever happens to the tables that it stands in; one that it changes is the old or the new one.
 *
 * What a handler has to do for that is shown, too: a frame that comes back waits in a grave until every reader has
 * passed a point where it holds nothing; only then is it used again.
 *
 * PT_CONCURRENCY_MS sets how long each test runs.
 */
#include "random.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif

#define READERS 2
#define FRAMES 512
#define FRAMES_AT UINT64_C(0x40000000)
#define ENTRIES 512u

#define RW (PT_READ | PT_WRITE)
#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- What is where ---------------------------------------------------------------------------------- */

/* Four parts of the address space. Each maps vaddr to vaddr + an offset of its own, a multiple of PT_1G. */
#define STABLE UINT64_C(0)           /* one 1G page, to be split and joined: nothing changes but sizes */
#define MIXED (STABLE + PT_1G)       /* one 2M block, pages in turn left alone and changed */
#define COMING (MIXED + PT_1G)       /* tables that come and go, at two levels */
#define COMING_HUGE (COMING + PT_1G) /* the same, with a 1G page in their place now and then */
#define END (COMING_HUGE + PT_1G)

#define OFFSET (16 * PT_1G)
#define OTHER_OFFSET (32 * PT_1G) /* where the writer points pages instead */

/* Odd pages of the mixed block change, even ones do not. */
static bool is_left_alone(pt_vaddr vaddr)
{
    return vaddr < MIXED || (vaddr < MIXED + PT_2M && vaddr / PT_4K % 2 == 0);
}

/* ---- The handler ------------------------------------------------------------------------------------ */

struct shared {
    const struct pt_format *format;
    struct page_table table;
    unsigned char *bytes;

    /* The writer's. */
    size_t free_list[FRAMES], free_count;
    struct {
        size_t frame;
        unsigned long passed[READERS]; /* how often each reader had passed when it came back */
    } grave[FRAMES];
    size_t grave_count, reused, retired, calls;
    struct random random;

    /* How often each reader has held nothing. */
    atomic_ulong passed[READERS];
    atomic_bool stop;
    uint64_t looks[READERS], gone[READERS], walks[READERS];
};

#ifdef WITH_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char fence;

void tsan_saw_fence(void);

void tsan_saw_fence(void)
{
    __tsan_release(&fence);
}
#endif

static void *phys_to_virt(void *ctx, pt_paddr paddr)
{
    const struct shared *shared = ctx;

    REQUIRE(paddr >= FRAMES_AT && paddr < FRAMES_AT + FRAMES * PT_FRAME_SIZE, "0x%" PRIx64 " is no table", paddr);
#ifdef WITH_TSAN
    __tsan_acquire(&fence);
#endif
    return shared->bytes + (size_t)(paddr - FRAMES_AT);
}

/* Frames that no reader can be looking at any more are free again, full of what looks like entries. */
static void open_graves(struct shared *shared)
{
    size_t kept = 0;

    for (size_t i = 0; i < shared->grave_count; i++) {
        bool all_passed = true;

        for (unsigned r = 0; r < READERS; r++)
            all_passed = all_passed &&
                         atomic_load_explicit(&shared->passed[r], memory_order_acquire) > shared->grave[i].passed[r];
        if (!all_passed) {
            shared->grave[kept++] = shared->grave[i];
            continue;
        }
        memset(shared->bytes + shared->grave[i].frame * (size_t)PT_FRAME_SIZE, 0xa7, (size_t)PT_FRAME_SIZE);
        shared->free_list[shared->free_count++] = shared->grave[i].frame;
        shared->reused++;
    }
    shared->grave_count = kept;
}

static pt_paddr alloc_frames(void *ctx, size_t count, size_t align)
{
    struct shared *shared = ctx;

    REQUIRE(count == 1 && align == PT_FRAME_SIZE, "alloc_frames: %zu frames", count);
    open_graves(shared);
    for (unsigned naps = 0; shared->free_count == 0; naps++) {
        struct timespec nap = {.tv_nsec = 1000000};

        REQUIRE(naps < 60000, "alloc_frames: no frame has come back, %zu are in the grave", shared->grave_count);
        nanosleep(&nap, NULL);
        open_graves(shared);
    }
    return FRAMES_AT + shared->free_list[--shared->free_count] * PT_FRAME_SIZE;
}

static void dealloc_frames(void *ctx, pt_paddr first, size_t count)
{
    struct shared *shared = ctx;

    REQUIRE(count == 1 && shared->grave_count < FRAMES, "dealloc_frames: %zu frames", count);
    shared->grave[shared->grave_count].frame = (size_t)((first - FRAMES_AT) / PT_FRAME_SIZE);
    for (unsigned r = 0; r < READERS; r++)
        shared->grave[shared->grave_count].passed[r] = atomic_load_explicit(&shared->passed[r], memory_order_acquire);
    shared->grave_count++;
    shared->retired++;
}

static void flush_tlb(void *ctx, const struct pt_flush *flush)
{
    (void)ctx;
    (void)flush;
}

static const struct pt_handler handler = {
    .alloc_frames = alloc_frames,
    .dealloc_frames = dealloc_frames,
    .phys_to_virt = phys_to_virt,
    .flush_tlb = flush_tlb,
};

/* ---- Readers ---------------------------------------------------------------------------------------- */

/* The page at vaddr, one way or the other, is what the writer may have put there. */
static void check(const char *call, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    bool alone = is_left_alone(vaddr);

    flags &= PT_ALL_FLAGS;
    REQUIRE(paddr == vaddr + OFFSET || (!alone && paddr == vaddr + OTHER_OFFSET), "%s: 0x%" PRIx64 " to 0x%" PRIx64,
            call, vaddr, paddr);
    REQUIRE(flags == RW || (!alone && flags == PT_READ), "%s: 0x%" PRIx64 " with flags 0x%x", call, vaddr,
            (unsigned)flags);
    REQUIRE(page_size == PT_4K || page_size == PT_2M || page_size == PT_1G, "%s: a page of 0x%" PRIx64, call,
            page_size);
}

static void query(struct shared *shared, unsigned reader, pt_vaddr vaddr)
{
    struct pt_mapping found = {.paddr = 0};
    enum pt_status status = pt_query(&shared->table, vaddr, &found);

    shared->looks[reader]++;
    if (status == PT_OK) {
        check("pt_query", vaddr, found.paddr, found.page_size, found.flags);
        return;
    }
    REQUIRE(status == PT_NOT_MAPPED, "pt_query: %s", pt_status_name(status));
    REQUIRE(!is_left_alone(vaddr), "pt_query: 0x%" PRIx64 " was left alone, and is not found", vaddr);
    shared->gone[reader]++;
}

struct walker {
    pt_vaddr next; /* of what is left alone, all below has been met */
};

static bool visit(void *arg, const struct pt_visit *visit)
{
    struct walker *walker = arg;
    pt_vaddr end;

    if (!visit->is_leaf)
        return true;
    check("pt_walk", visit->vaddr, visit->mapping.paddr, visit->mapping.page_size, visit->mapping.flags);
    if (visit->vaddr >= MIXED + PT_2M)
        return true;
    end = visit->vaddr + visit->mapping.page_size;
    /* A table may be met again as one page after some of its pages, or the other way round: never with a gap. */
    for (; walker->next < visit->vaddr; walker->next += PT_4K)
        REQUIRE(!is_left_alone(walker->next),
                "pt_walk: 0x%" PRIx64 " was left alone, and is not met (next: 0x%" PRIx64 ")", walker->next,
                visit->vaddr);
    walker->next = end > walker->next ? end : walker->next;
    return true;
}

static pt_vaddr some_vaddr(struct random *random)
{
    uint64_t page = random_below(random, 16), block = random_below(random, 3);
    pt_vaddr low = random_one_in(random, 4) ? random_below(random, ENTRIES) * PT_4K : page * PT_4K;

    switch (random_below(random, 8)) {
    case 0:
    case 1:
    case 2:
        return STABLE + block * PT_2M + low;
    case 3:
    case 4:
    case 5:
        return MIXED + low;
    case 6:
        return COMING + block * PT_2M + low;
    default:
        return COMING_HUGE + block * PT_2M + low;
    }
}

struct reader {
    struct shared *shared;
    unsigned number;
};

static void *read_on(void *arg)
{
    const struct reader *reader = arg;
    struct shared *shared = reader->shared;
    struct random random = {reader->number + 1};

    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        struct walker walker = {.next = STABLE};

        for (unsigned i = 0; i < 64; i++) {
            query(shared, reader->number, some_vaddr(&random));
            atomic_fetch_add_explicit(&shared->passed[reader->number], 1, memory_order_release);
        }
        if (random_one_in(&random, 4)) {
            pt_walk(&shared->table, SIZE_MAX, visit, NULL, &walker);
            for (; walker.next < MIXED + PT_2M; walker.next += PT_4K)
                REQUIRE(!is_left_alone(walker.next), "pt_walk: 0x%" PRIx64 " was left alone, and is not met",
                        walker.next);
            shared->walks[reader->number]++;
            atomic_fetch_add_explicit(&shared->passed[reader->number], 1, memory_order_release);
        }
    }
    return NULL;
}

/* ---- The writer ------------------------------------------------------------------------------------- */

/* The writer knows what it has mapped: a call answers PT_OK or what the test says. */
static void done(struct shared *shared, enum pt_status status)
{
    REQUIRE(status == PT_OK, "the writer: %s", pt_status_name(status));
    shared->calls++;
}

/* Sizes come and go, translations stay. */
static void reshape(struct shared *shared, struct pt_flush *flush)
{
    pt_vaddr vaddr = STABLE + random_below(&shared->random, 3) * PT_2M + random_below(&shared->random, ENTRIES) * PT_4K;

    if (random_one_in(&shared->random, 3))
        done(shared, pt_collapse(&shared->table, STABLE, random_one_in(&shared->random, 2) ? PT_1G : 2 * PT_2M, flush));
    else
        done(shared, pt_split(&shared->table, vaddr, random_one_in(&shared->random, 3) ? PT_2M : PT_4K, flush));
}

static bool is_mapped(struct shared *shared, pt_vaddr vaddr, struct pt_mapping *mapping)
{
    return pt_query(&shared->table, vaddr, mapping) == PT_OK;
}

/* One of the odd pages changes, or all of them become as they were and the block one page. */
static void change_one(struct shared *shared, struct pt_flush *flush)
{
    pt_vaddr vaddr = MIXED + (2 * random_below(&shared->random, 8) + 1) * PT_4K;
    struct pt_mapping mapping;
    bool mapped = is_mapped(shared, vaddr, &mapping);

    switch (random_below(&shared->random, 6)) {
    case 0:
        if (mapped)
            done(shared, pt_unmap_region(&shared->table, vaddr, PT_4K, 0, flush));
        else
            done(shared, pt_map(&shared->table, vaddr, vaddr + OTHER_OFFSET, PT_4K, RW, flush));
        return;
    case 1:
        done(shared, pt_protect_region(&shared->table, vaddr, PT_4K, PT_READ, PT_SKIP_HOLES, flush));
        return;
    case 2:
        done(shared, pt_protect_region(&shared->table, vaddr, PT_4K, RW, PT_SKIP_HOLES, flush));
        return;
    case 3:
        if (mapped && mapping.page_size == PT_4K)
            done(shared, pt_remap(&shared->table, vaddr, vaddr + OTHER_OFFSET, RW, NULL, flush));
        return;
    case 4:
        if (mapped && mapping.page_size == PT_4K)
            done(shared, pt_unmap(&shared->table, vaddr, NULL, flush));
        return;
    default:
        break;
    }
    for (pt_vaddr page = MIXED + PT_4K; page < MIXED + 16 * PT_4K; page += 2 * PT_4K) {
        if (!is_mapped(shared, page, &mapping)) {
            done(shared, pt_map(&shared->table, page, page + OFFSET, PT_4K, RW, flush));
            continue;
        }
        if (mapping.page_size != PT_4K)
            continue;
        done(shared, pt_remap(&shared->table, page, page + OFFSET, RW, NULL, flush));
    }
    done(shared, pt_collapse(&shared->table, MIXED, PT_2M, flush));
}

/* Whole tables come and go. */
static void come_and_go(struct shared *shared, pt_vaddr part, struct pt_flush *flush)
{
    uint64_t size = random_one_in(&shared->random, 2) ? 3 * PT_2M : 3 * PT_4K;
    pt_vaddr vaddr = part + random_below(&shared->random, 2) * PT_2M;

    switch (random_below(&shared->random, 5)) {
    case 0:
        done(shared, pt_unmap_region(&shared->table, part, PT_1G, PT_SKIP_HOLES, flush));
        return;
    case 1:
        for (pt_vaddr page = vaddr; page < vaddr + 16 * PT_4K; page += PT_4K)
            if (is_mapped(shared, page, NULL))
                done(shared, pt_unmap(&shared->table, page, NULL, flush));
        done(shared, pt_prune(&shared->table, part, PT_1G, flush));
        return;
    case 2:
        done(shared, pt_unmap_region(&shared->table, part, PT_1G, PT_SKIP_HOLES, flush));
        if (part == COMING_HUGE)
            done(shared, pt_map(&shared->table, part, part + OFFSET, PT_1G, RW, flush));
        return;
    default:
        done(shared, pt_unmap_region(&shared->table, vaddr, size, PT_SKIP_HOLES, flush));
        done(shared, pt_map_region(&shared->table, vaddr, vaddr + OFFSET, size, RW,
                                   random_one_in(&shared->random, 2) ? PT_ALLOW_HUGE : 0, flush));
        return;
    }
}

static uint64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void write_on(struct shared *shared)
{
    uint64_t end = milliseconds() + number_from_environment("PT_CONCURRENCY_MS", 800);

    while (milliseconds() < end) {
        for (unsigned i = 0; i < 16; i++) {
            PT_FLUSH(flush, &shared->table);

            switch (random_below(&shared->random, 4)) {
            case 0:
                reshape(shared, &flush);
                break;
            case 1:
                change_one(shared, &flush);
                break;
            case 2:
                come_and_go(shared, COMING, &flush);
                break;
            default:
                come_and_go(shared, COMING_HUGE, &flush);
                break;
            }
        }
    }
}

/* ---- The tests -------------------------------------------------------------------------------------- */

static void run(const struct pt_format *format)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    struct reader readers[READERS];
    pthread_t threads[READERS];
    struct pt_flush flush;
    uint64_t looks = 0, walks = 0, gone = 0;

    assert_non_null(shared);
    shared->format = format;
    shared->random.state = 1;
    shared->bytes = aligned_alloc((size_t)PT_FRAME_SIZE, FRAMES * (size_t)PT_FRAME_SIZE);
    assert_non_null(shared->bytes);
    memset(shared->bytes, 0xa7, FRAMES * (size_t)PT_FRAME_SIZE);
    for (size_t i = 0; i < FRAMES; i++)
        shared->free_list[shared->free_count++] = i;

    assert_ok(pt_create(&shared->table, format, &handler, shared));
    pt_flush_init(&flush, &shared->table);
    assert_ok(pt_map(&shared->table, STABLE, STABLE + OFFSET, PT_1G, RW, &flush));
    assert_ok(pt_map(&shared->table, MIXED, MIXED + OFFSET, PT_2M, RW, &flush));
    pt_flush(&flush);

    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){shared, i};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    write_on(shared);
    atomic_store(&shared->stop, true);
    for (unsigned i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        looks += shared->looks[i];
        walks += shared->walks[i];
        gone += shared->gone[i];
    }
    printf("# %zu calls, %zu tables retired, %zu frames reused; %" PRIu64 " queries (%" PRIu64 " of nothing), %" PRIu64
           " walks\n",
           shared->calls, shared->retired, shared->reused, looks, gone, walks);
    assert_true(shared->retired > 0 && shared->reused > 0 && looks > 0 && walks > 0 && gone > 0);
    pt_destroy(&shared->table);
    assert_int_equal(shared->free_count + shared->grave_count, FRAMES);
    free(shared->bytes);
    free(shared);
}

static void readers_find_what_is_left_alone_on_x86_64(void **state)
{
    (void)state;
    run(&pt_x86_64);
}

static void readers_find_what_is_left_alone_on_sv48(void **state)
{
    (void)state;
    run(&pt_sv48);
}

static void readers_find_what_is_left_alone_on_loongarch64(void **state)
{
    (void)state;
    run(&pt_loongarch64);
}

/* Without break-before-make for sizes. Other changes of pages still go through nothing, as unmapping does. */
static void readers_find_what_is_left_alone_on_aarch64_with_bbm_level_2(void **state)
{
    struct pt_format format = pt_aarch64;

    (void)state;
    format.bbm_level = 2;
    run(&format);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_find_what_is_left_alone_on_x86_64),
        cmocka_unit_test(readers_find_what_is_left_alone_on_sv48),
        cmocka_unit_test(readers_find_what_is_left_alone_on_loongarch64),
        cmocka_unit_test(readers_find_what_is_left_alone_on_aarch64_with_bbm_level_2),
    };

    return cmocka_run_group_tests_name("concurrency", tests, NULL, NULL);
}
