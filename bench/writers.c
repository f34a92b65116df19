/* SPDX-License-Identifier: MIT */
/*
 * bench-writers [-r ROUNDS]: two threads that map and unmap disjoint ranges of one table, which share its upper tables,
 * against one: millions of pages mapped and unmapped in a second of wall time, and of the threads' own CPU time, where
 * what else runs on the machine does not count so much.
 */
#define _GNU_SOURCE /* pthread_setaffinity_np */

#include <pagetable/pagetable.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define FRAMES ((size_t)1024) /* of each thread */
#define MAX_ROUNDS 99
#define BASE (UINT64_C(256) << 30)
#define PADDR PT_64G
#define RIGHTS ((pt_flags)(PT_READ | PT_WRITE))

#define REGION (16 * PT_2M)
#define SHORT (16 * PT_4K)
#define PAGES ((size_t)4096)

static void require(bool condition, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "bench-writers: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

/* ---- Frames: each thread has its own ----------------------------------------------------------- */

static _Thread_local char *own_frames;
static _Thread_local size_t own_free[FRAMES], own_count;

static void take_frames(char *memory)
{
    own_frames = memory;
    for (own_count = 0; own_count < FRAMES; own_count++)
        own_free[own_count] = own_count;
}

static pt_paddr alloc_frames(void *ctx, size_t count, size_t align)
{
    (void)ctx;
    if (count != 1 || align != PT_FRAME_SIZE || own_count == 0)
        return PT_NO_FRAME;
    return (uintptr_t)own_frames + own_free[--own_count] * PT_FRAME_SIZE;
}

/* Whoever's it was. */
static void dealloc_frames(void *ctx, pt_paddr first, size_t count)
{
    (void)ctx;
    (void)count;
    if (first - (uintptr_t)own_frames < FRAMES * PT_FRAME_SIZE)
        own_free[own_count++] = (size_t)(first - (uintptr_t)own_frames) / PT_FRAME_SIZE;
}

static const struct pt_handler handler = {.alloc_frames = alloc_frames, .dealloc_frames = dealloc_frames};

/* ---- Work -------------------------------------------------------------------------------------- */

struct run {
    struct page_table table;
    pthread_mutex_t lock;
    bool locked;
    pthread_barrier_t begin;
    void (*work)(struct run *run, pt_vaddr vaddr, struct pt_flush *flush);
};

static void lock(struct run *run)
{
    if (run->locked)
        (void)pthread_mutex_lock(&run->lock);
}

static void unlock(struct run *run)
{
    if (run->locked)
        (void)pthread_mutex_unlock(&run->lock);
}

static void map_unmap(struct run *run, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush)
{
    lock(run);
    require(pt_map_region(&run->table, vaddr, PADDR + (vaddr - BASE), size, RIGHTS, 0, flush) == PT_OK, "map");
    unlock(run);
    lock(run);
    require(pt_unmap_region(&run->table, vaddr, size, 0, flush) == PT_OK, "unmap");
    unlock(run);
    pt_flush_ignore(flush);
}

/* Regions of whole tables. */
static void regions(struct run *run, pt_vaddr vaddr, struct pt_flush *flush)
{
    for (unsigned i = 0; i < 480; i++)
        map_unmap(run, vaddr, REGION, flush);
}

/* Regions of 16 pages, in tables that come and go or, of parallel writers, stay. */
static void shorts(struct run *run, pt_vaddr vaddr, struct pt_flush *flush)
{
    for (unsigned i = 0; i < 40000; i++)
        map_unmap(run, vaddr + (uint64_t)(i % 256) * 2 * SHORT, SHORT, flush);
}

/* Single pages, in an order that is none. */
static void pages(struct run *run, pt_vaddr vaddr, struct pt_flush *flush)
{
    for (unsigned round = 0; round < 60; round++) {
        for (size_t i = 0; i < PAGES; i++) {
            pt_vaddr page = vaddr + i * 1259 % PAGES * PT_4K;

            lock(run);
            require(pt_map(&run->table, page, PADDR + (page - BASE), PT_4K, RIGHTS, flush) == PT_OK, "map");
            unlock(run);
        }
        for (size_t i = 0; i < PAGES; i++) {
            lock(run);
            require(pt_unmap(&run->table, vaddr + i * 2477 % PAGES * PT_4K, NULL, flush) == PT_OK, "unmap");
            unlock(run);
        }
        pt_flush_ignore(flush);
    }
}

static const struct {
    const char *name;
    double pages; /* that a thread maps and unmaps */
    void (*work)(struct run *run, pt_vaddr vaddr, struct pt_flush *flush);
} works[] = {
    {"regions of 32 MiB", 480.0 * (double)REGION / (double)PT_4K, regions},
    {"regions of 16 pages", 40000.0 * 16, shorts},
    {"single pages", 60.0 * (double)PAGES, pages},
};
#define WORKS (sizeof(works) / sizeof(works[0]))

struct thread {
    struct run *run;
    unsigned number;
    char *memory;
    uint64_t first, last, used; /* when it worked, and how long the CPU was its own; in nanoseconds */
};

static uint64_t now(clockid_t clock)
{
    struct timespec time;

    (void)clock_gettime(clock, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static void *work_on(void *arg)
{
    struct thread *thread = arg;
    struct pt_flush flush;
    cpu_set_t cpu;

    CPU_ZERO(&cpu);
    CPU_SET(thread->number, &cpu);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(cpu), &cpu);
    take_frames(thread->memory);
    pt_flush_init(&flush, &thread->run->table);
    (void)pthread_barrier_wait(&thread->run->begin);
    thread->first = now(CLOCK_MONOTONIC);
    thread->used = now(CLOCK_THREAD_CPUTIME_ID);
    thread->run->work(thread->run, BASE + thread->number * REGION, &flush);
    thread->used = now(CLOCK_THREAD_CPUTIME_ID) - thread->used;
    thread->last = now(CLOCK_MONOTONIC);
    return NULL;
}

/* Nanoseconds from the first thread's beginning to the last one's end; *used: the most that one used its CPU. */
static double measure(size_t work, unsigned threads, bool parallel, bool locked, char *memory, double *used)
{
    struct pt_format format = pt_x86_64;
    struct run run = {.locked = locked, .work = works[work].work};
    struct thread thread[THREADS];
    pthread_t ids[THREADS];
    uint64_t first = UINT64_MAX, last = 0;

    format.parallel_writers = parallel;
    take_frames(memory);
    require(pt_create(&run.table, &format, &handler, NULL) == PT_OK, "create");
    (void)pthread_mutex_init(&run.lock, NULL);
    (void)pthread_barrier_init(&run.begin, NULL, threads);
    for (unsigned i = 0; i < threads; i++) {
        thread[i] = (struct thread){&run, i, memory + (i + 1) * FRAMES * PT_FRAME_SIZE, 0, 0, 0};
        require(pthread_create(&ids[i], NULL, work_on, &thread[i]) == 0, "thread");
    }
    *used = 0;
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
        first = thread[i].first < first ? thread[i].first : first;
        last = thread[i].last > last ? thread[i].last : last;
        *used = (double)thread[i].used > *used ? (double)thread[i].used : *used;
    }
    require(pt_query(&run.table, BASE, NULL) == PT_NOT_MAPPED, "left something");
    pt_destroy(&run.table);
    return (double)(last - first);
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

enum {
    ALONE,
    ALONE_PARALLEL,
    BOTH_PARALLEL,
    BOTH_LOCKED,
    WAYS
};

int main(int argc, char **argv)
{
    static double times[WORKS][WAYS][MAX_ROUNDS], used[WORKS][WAYS][MAX_ROUNDS];
    static const struct {
        unsigned threads;
        bool parallel, locked;
    } ways[WAYS] = {{1, false, false}, {1, true, false}, {2, true, false}, {2, false, true}};
    unsigned long rounds = 31;
    char *memory = aligned_alloc(PT_2M, (THREADS + 1) * FRAMES * PT_FRAME_SIZE);

    if (argc == 3 && strcmp(argv[1], "-r") == 0)
        rounds = strtoul(argv[2], NULL, 10);
    require(memory && rounds > 0 && rounds <= MAX_ROUNDS, "arguments");
    memset(memory, 0xFF, (THREADS + 1) * FRAMES * PT_FRAME_SIZE);

    for (unsigned long r = 0; r < rounds; r++)
        for (size_t w = 0; w < WORKS; w++)
            for (unsigned way = 0; way < WAYS; way++)
                times[w][way][r] =
                    measure(w, ways[way].threads, ways[way].parallel, ways[way].locked, memory, &used[w][way][r]);

    (void)printf(
        "| | one alone | one of parallel writers | two parallel writers | two with a lock | two to one: median "
        "(best) | by CPU time |\n|---|---|---|---|---|---|---|\n");
    for (size_t w = 0; w < WORKS; w++) {
        double median[WAYS], best[WAYS], cpu[WAYS];

        for (unsigned way = 0; way < WAYS; way++) {
            double amount = works[w].pages * ways[way].threads * 1000;

            qsort(times[w][way], rounds, sizeof(times[w][way][0]), compare);
            qsort(used[w][way], rounds, sizeof(used[w][way][0]), compare);
            median[way] = amount / times[w][way][rounds / 2];
            best[way] = amount / times[w][way][0];
            cpu[way] = amount / used[w][way][rounds / 2];
        }
        (void)printf("| %s |", works[w].name);
        for (unsigned way = 0; way < WAYS; way++)
            (void)printf(" %.1f (%.1f) |", median[way], best[way]);
        (void)printf(" %.2f (%.2f) | %.2f |\n", median[BOTH_PARALLEL] / median[ALONE_PARALLEL],
                     best[BOTH_PARALLEL] / best[ALONE_PARALLEL], cpu[BOTH_PARALLEL] / cpu[ALONE_PARALLEL]);
    }
    return EXIT_SUCCESS;
}
