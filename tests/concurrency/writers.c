/* SPDX-License-Identifier: MIT */
/*
 * Parallel writers in threads, with readers beside them. Each writer owns every n-th region of a window, whose ends are
 * in the middle of tables, does all calls at random there, and knows what has to be mapped. When all are done, the whole
 * table is looked at, and emptied, and no frame is missing.
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

#define WRITERS 3
#define READERS 1
#define REGIONS 6
#define FRAMES 2048
#define FRAMES_AT UINT64_C(0x40000000)
#define MAX_PAGES 2048 /* of a region */

#define RW (PT_READ | PT_WRITE)
#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

struct shared;

struct writer {
    struct shared *shared;
    struct random random;
    unsigned number;
    size_t calls, refused;
};

/* What has to be mapped: flags of each page, of 0xff where there is none. */
struct region {
    pt_vaddr vaddr;
    size_t pages;
    unsigned char flags[MAX_PAGES];
    bool other[MAX_PAGES]; /* to the other frames */
};

struct shared {
    struct pt_format format;
    struct pt_handler handler;
    struct page_table table;
    unsigned char *bytes;
    uint64_t page, block; /* the smallest page; what a table of the last level translates */
    struct region region[REGIONS];

    /* The handler's. Frames that come back wait until every reader has held nothing since. */
    pthread_mutex_t lock;
    struct random random;
    size_t fresh, out, waiting;
    struct {
        size_t frame;
        unsigned long passed[READERS];
    } waits[FRAMES];
    size_t refuse_one_in; /* 0: never */
    atomic_ulong passed[READERS];
    bool has_readers;
    size_t looks;

    atomic_bool stop;
};

#define NOTHING 0xff
#define OFFSET (UINT64_C(1) << 31)
#define OTHER_OFFSET (OFFSET + (UINT64_C(1) << 27))

/* ---- The handler ------------------------------------------------------------------------------- */

static _Thread_local bool is_reader;

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
    /* Writers are to need no fences of each other. */
    if (is_reader)
        __tsan_acquire(&fence);
#endif
    return shared->bytes + (size_t)(paddr - FRAMES_AT);
}

static size_t waited_enough(struct shared *shared)
{
    for (size_t i = 0; i < shared->waiting; i++) {
        bool enough = true;

        for (unsigned r = 0; r < READERS; r++)
            enough = enough && (!shared->has_readers || atomic_load_explicit(&shared->passed[r], memory_order_acquire) >
                                                            shared->waits[i].passed[r]);
        if (enough)
            return i;
    }
    return shared->waiting;
}

static pt_paddr alloc_frames(void *ctx, size_t count, size_t align)
{
    struct shared *shared = ctx;
    size_t frame = FRAMES, i;

    pthread_mutex_lock(&shared->lock);
    if (shared->refuse_one_in != 0 && random_one_in(&shared->random, shared->refuse_one_in)) {
        pthread_mutex_unlock(&shared->lock);
        return PT_NO_FRAME;
    }
    if (count == 1 && (i = waited_enough(shared)) < shared->waiting) {
        frame = shared->waits[i].frame;
        shared->waits[i] = shared->waits[--shared->waiting];
        memset(shared->bytes + frame * (size_t)PT_FRAME_SIZE, 0xa7, (size_t)PT_FRAME_SIZE);
    } else {
        size_t unit = align / (size_t)PT_FRAME_SIZE;

        frame = (shared->fresh + unit - 1) / unit * unit;
        if (count > FRAMES - frame) {
            pthread_mutex_unlock(&shared->lock);
            return PT_NO_FRAME;
        }
        shared->fresh = frame + count;
    }
    shared->out += count;
    pthread_mutex_unlock(&shared->lock);
    return FRAMES_AT + frame * PT_FRAME_SIZE;
}

static void dealloc_frames(void *ctx, pt_paddr first, size_t count)
{
    struct shared *shared = ctx;

    pthread_mutex_lock(&shared->lock);
    REQUIRE(shared->out >= count, "more frames come back than were given");
    shared->out -= count;
    for (size_t i = 0; i < count; i++) {
        REQUIRE(shared->waiting < FRAMES, "too many frames come back");
        shared->waits[shared->waiting].frame = (size_t)((first - FRAMES_AT) / PT_FRAME_SIZE) + i;
        for (unsigned r = 0; r < READERS; r++)
            shared->waits[shared->waiting].passed[r] = atomic_load_explicit(&shared->passed[r], memory_order_acquire);
        shared->waiting++;
    }
    pthread_mutex_unlock(&shared->lock);
}

static void flush_tlb(void *ctx, const struct pt_flush *flush)
{
    (void)ctx;
    (void)flush;
}

/* ---- Writers ----------------------------------------------------------------------------------- */

static pt_paddr frame_of(pt_vaddr vaddr, bool other)
{
    return vaddr + (other ? OTHER_OFFSET : OFFSET);
}

static void check_page(struct writer *writer, const struct region *region, size_t i)
{
    pt_vaddr vaddr = region->vaddr + i * writer->shared->page;
    struct pt_mapping mapping = {.paddr = 0};
    enum pt_status status = pt_query(&writer->shared->table, vaddr, &mapping);

    if (region->flags[i] == NOTHING)
        REQUIRE(status == PT_NOT_MAPPED, "0x%" PRIx64 " is mapped", vaddr);
    else
        REQUIRE(status == PT_OK && mapping.paddr == frame_of(vaddr, region->other[i]) &&
                    (mapping.flags & RW) == region->flags[i],
                "0x%" PRIx64 " leads to 0x%" PRIx64 ", %s", vaddr, mapping.paddr, pt_status_name(status));
}

/* Part of a region: the page size at both ends does not matter. */
static void choose(struct writer *writer, const struct region *region, size_t *first, size_t *count)
{
    size_t block = (size_t)(writer->shared->block / writer->shared->page);

    *first = (size_t)random_below(&writer->random, region->pages);
    *count = 1 + (size_t)random_below(&writer->random, random_one_in(&writer->random, 2) ? 4 : region->pages);
    if (random_one_in(&writer->random, 4)) { /* a whole table, if there is one */
        size_t behind = (size_t)(region->vaddr / writer->shared->page) % block;

        *first = behind == 0 ? 0 : block - behind;
        *count = block;
    }
    if (random_one_in(&writer->random, 6)) {
        *first = 0;
        *count = region->pages;
    }
    if (*first >= region->pages)
        *first = 0;
    if (*count > region->pages - *first)
        *count = region->pages - *first;
}

static bool any_mapped(const struct region *region, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        if (region->flags[i] != NOTHING)
            return true;
    return false;
}

/* The answer is PT_OK, or there was no frame, where that may be. */
static bool done(struct writer *writer, enum pt_status status)
{
    writer->calls++;
    if (status == PT_OK)
        return true;
    REQUIRE(status == PT_NO_MEMORY && writer->shared->refuse_one_in != 0, "writer %u: %s", writer->number,
            pt_status_name(status));
    writer->refused++;
    return false;
}

static void set(struct region *region, size_t first, size_t count, unsigned char flags, int other)
{
    for (size_t i = first; i < first + count; i++) {
        if (other >= 0 || region->flags[i] != NOTHING)
            region->flags[i] = flags;
        if (other >= 0)
            region->other[i] = other;
    }
}

static void change_something(struct writer *writer, struct pt_flush *flush)
{
    struct shared *shared = writer->shared;
    struct page_table *table = &shared->table;
    struct random *random = &writer->random;
    struct region *region = &shared->region[writer->number + WRITERS * (size_t)random_below(random, REGIONS / WRITERS)];
    bool other = random_one_in(random, 4);
    size_t first, count;
    struct pt_mapping old;
    pt_vaddr vaddr;
    uint64_t size;

    choose(writer, region, &first, &count);
    vaddr = region->vaddr + first * shared->page;
    size = count * shared->page;
    switch (random_below(random, 10)) {
    case 0:
        if (region->flags[first] == NOTHING &&
            done(writer, pt_map(table, vaddr, frame_of(vaddr, other), shared->page, RW, flush)))
            set(region, first, 1, RW, other);
        break;
    case 1:
    case 2:
        if (any_mapped(region, first, count)) {
            REQUIRE(pt_map_region(table, vaddr, frame_of(vaddr, other), size, RW, 0, flush) != PT_OK,
                    "mapped over what is mapped");
            break;
        }
        if (done(writer, pt_map_region(table, vaddr, frame_of(vaddr, other), size, RW,
                                       random_one_in(random, 2) ? PT_ALLOW_HUGE : 0, flush)))
            set(region, first, count, RW, other);
        break;
    case 3:
    case 4:
        if (done(writer, pt_unmap_region(table, vaddr, size, PT_SKIP_HOLES, flush)))
            set(region, first, count, NOTHING, other);
        break;
    case 5:
        if (done(writer, pt_protect_region(table, vaddr, size, PT_READ, PT_SKIP_HOLES, flush)))
            set(region, first, count, PT_READ, -1);
        break;
    case 6:
        if (done(writer, pt_protect_region(table, vaddr, size, RW, PT_SKIP_HOLES, flush)))
            set(region, first, count, RW, -1);
        break;
    case 7:
        if (region->flags[first] != NOTHING && pt_query(table, vaddr, &old) == PT_OK && old.page_size == shared->page &&
            done(writer, pt_unmap(table, vaddr, NULL, flush)))
            set(region, first, 1, NOTHING, other);
        break;
    case 8:
        (void)done(writer, pt_prune(table, vaddr, size, flush));
        break;
    default:
        (void)done(writer, pt_collapse(table, vaddr, size, flush));
        break;
    }
    check_page(writer, region, first);
    check_page(writer, region, (size_t)random_below(random, region->pages));
    if (first > 0)
        check_page(writer, region, first - 1);
    if (first + count < region->pages)
        check_page(writer, region, first + count);
}

static void *write_on(void *arg)
{
    struct writer *writer = arg;

    while (!atomic_load_explicit(&writer->shared->stop, memory_order_relaxed)) {
        PT_FLUSH(flush, &writer->shared->table);

        for (unsigned i = 0; i < 4; i++)
            change_something(writer, &flush);
    }
    return NULL;
}

/* ---- Readers ----------------------------------------------------------------------------------- */

static void *read_on(void *arg)
{
    struct shared *shared = arg;
    struct random random = {99};
    pt_vaddr end = shared->region[REGIONS - 1].vaddr + shared->region[REGIONS - 1].pages * shared->page;

    is_reader = true;
    while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
        pt_vaddr vaddr = shared->region[0].vaddr;
        struct pt_mapping mapping;

        vaddr += random_below(&random, (end - vaddr) / shared->page) * shared->page;
        if (pt_query(&shared->table, vaddr, &mapping) == PT_OK)
            REQUIRE(mapping.paddr == frame_of(vaddr, false) || mapping.paddr == frame_of(vaddr, true),
                    "a reader finds 0x%" PRIx64 " at 0x%" PRIx64, mapping.paddr, vaddr);
        shared->looks++;
        atomic_fetch_add_explicit(&shared->passed[0], 1, memory_order_release);
    }
    return NULL;
}

/* ---- The tests --------------------------------------------------------------------------------- */

struct variant {
    bool linear, readers;
    size_t refuse_one_in;
    uint64_t unit; /* regions are multiples of it; 0: of the smallest page */
};

/* Around an address where tables of several levels end, regions of a table and a half, and some pages. */
static void place_regions(struct shared *shared, uint64_t unit)
{
    uint64_t size = shared->block + shared->block / 2 + 3 * shared->page;
    pt_vaddr vaddr = (UINT64_C(1) << 30) - 4 * shared->block + 5 * shared->page;

    if (unit != 0) {
        vaddr = (UINT64_C(1) << 30) - 3 * unit;
        size = unit;
    }
    for (size_t i = 0; i < REGIONS; i++, vaddr += size) {
        shared->region[i].vaddr = vaddr;
        shared->region[i].pages = (size_t)(size / shared->page);
        REQUIRE(shared->region[i].pages <= MAX_PAGES, "a region has %zu pages", shared->region[i].pages);
        memset(shared->region[i].flags, NOTHING, sizeof(shared->region[i].flags));
    }
}

static void run_variant(const struct pt_format *format, const struct variant *variant)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    struct writer writers[WRITERS] = {0};
    pthread_t threads[WRITERS + READERS];
    struct timespec time = {.tv_nsec = 1000000};
    uint64_t naps = number_from_environment("PT_CONCURRENCY_MS", 300);
    size_t root_frames, calls = 0, refused = 0;
    struct pt_flush flush;

    assert_non_null(shared);
    shared->format = *format;
    shared->format.parallel_writers = true;
    shared->page = UINT64_C(1) << format->page_shift;
    shared->block = shared->page << format->index_bits;
    shared->random.state = 7;
    shared->handler =
        (struct pt_handler){.alloc_frames = alloc_frames, .dealloc_frames = dealloc_frames, .flush_tlb = flush_tlb};
    shared->bytes = aligned_alloc(65536, FRAMES * (size_t)PT_FRAME_SIZE);
    assert_non_null(shared->bytes);
    memset(shared->bytes, 0xa7, FRAMES * (size_t)PT_FRAME_SIZE);
    if (variant->linear)
        shared->handler.linear_offset = (uintptr_t)shared->bytes - (uintptr_t)FRAMES_AT;
    else
        shared->handler.phys_to_virt = phys_to_virt;
    shared->has_readers = variant->readers;
    assert_int_equal(pthread_mutex_init(&shared->lock, NULL), 0);
    place_regions(shared, variant->unit);
    assert_ok(pt_create(&shared->table, &shared->format, &shared->handler, shared));
    root_frames = shared->out;
    shared->refuse_one_in = variant->refuse_one_in;

    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){.shared = shared, .random = {i + 1}, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
    }
    if (shared->has_readers)
        assert_int_equal(pthread_create(&threads[WRITERS], NULL, read_on, shared), 0);
    for (uint64_t i = 0; i < naps; i++)
        nanosleep(&time, NULL);
    atomic_store(&shared->stop, true);
    for (size_t i = 0; i < (shared->has_readers ? WRITERS + READERS : WRITERS); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    shared->refuse_one_in = 0;
    shared->has_readers = false;
    for (unsigned i = 0; i < WRITERS; i++) {
        calls += writers[i].calls;
        refused += writers[i].refused;
    }
    pt_flush_init(&flush, &shared->table);
    for (size_t i = 0; i < REGIONS; i++) {
        for (size_t page = 0; page < shared->region[i].pages; page++)
            check_page(&writers[i % WRITERS], &shared->region[i], page);
        assert_ok(pt_unmap_region(&shared->table, shared->region[i].vaddr, shared->region[i].pages * shared->page,
                                  PT_SKIP_HOLES, &flush));
    }
    /* Whoever is alone takes all that is left. */
    assert_ok(pt_prune(&shared->table, 0, UINT64_C(1) << 31, &flush));
    pt_flush(&flush);
    printf("# %s%s: %zu calls, %zu of them without a frame; %zu looks; %zu frames\n", format->name,
           variant->linear ? ", linear" : "", calls, refused, shared->looks, shared->fresh);
    assert_true(calls > 0);
    REQUIRE(format->va_bits > 32 || shared->out == root_frames, "%zu frames are left", shared->out - root_frames);
    pt_destroy(&shared->table);
    assert_int_equal(shared->out, 0);
    pthread_mutex_destroy(&shared->lock);
    free(shared->bytes);
    free(shared);
}

static void run(const struct pt_format *format, uint64_t unit)
{
    bool readers = true;

#ifdef WITH_TSAN
    /*
     * Where tables share a frame, one may come again where one went while a reader looks: it is filled by plain stores.
     * They are whole, and of the same addresses, but to ThreadSanitizer they are a race.
     */
    readers = unit == 0;
#endif
    const struct variant variants[] = {
        {false, readers, 0, unit},
        {true, false, 0, unit},
        {false, readers, 8, unit},
        {true, false, 8, unit},
    };

    for (size_t i = 0; i < TESTS_COUNT(variants); i++)
        run_variant(format, &variants[i]);
}

static void writers_share_tables_on_x86_64(void **state)
{
    (void)state;
    run(&pt_x86_64, 0);
}

static void writers_share_tables_on_x86_32(void **state)
{
    (void)state;
    run(&pt_x86_32, 0);
}

static void writers_share_tables_on_aarch64(void **state)
{
    (void)state;
    run(&pt_aarch64, 0);
}

static void writers_share_tables_on_sv48(void **state)
{
    (void)state;
    run(&pt_sv48, 0);
}

static void writers_share_tables_on_loongarch64(void **state)
{
    (void)state;
    run(&pt_loongarch64, 0);
}

/* Tables that share a frame are one writer's. */
static void writers_share_the_root_on_armv7(void **state)
{
    (void)state;
    run(&pt_armv7_short, PT_4M);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writers_share_tables_on_x86_64),      cmocka_unit_test(writers_share_tables_on_x86_32),
        cmocka_unit_test(writers_share_tables_on_aarch64),     cmocka_unit_test(writers_share_tables_on_sv48),
        cmocka_unit_test(writers_share_tables_on_loongarch64), cmocka_unit_test(writers_share_the_root_on_armv7),
    };

    return cmocka_run_group_tests_name("writers", tests, NULL, NULL);
}
