/* SPDX-License-Identifier: MIT */
/*
 * bench-runtime, bench-fixed [-r REPETITIONS] [NAME...]: the workloads of these names, or all, one line for
 * each repetition: name, units, nanoseconds. A first repetition is not told; -r 0 tells it without a time, for
 * callgrind, which is to count what happens in run_measured. -i: how this program was compiled, and its memory.
 */
#define _POSIX_C_SOURCE 200809L /* clock_gettime, getopt */

#include "workloads.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef BENCH_FLAGS
#define BENCH_FLAGS ""
#endif
#ifdef __clang__
#define COMPILER ""
#else
#define COMPILER "gcc "
#endif

/* Not inlined, and still there when the run returns. */
void run_measured(const struct workload *workload, struct bench *bench);

__attribute__((noinline)) void run_measured(const struct workload *workload, struct bench *bench)
{
    workload->run(bench);
    __asm__ volatile("" ::: "memory");
}

static uint64_t now(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * UINT64_C(1000000000) + (uint64_t)time.tv_nsec;
}

static void require(bool condition, const struct workload *workload, const char *what)
{
    if (!condition) {
        (void)fprintf(stderr, "bench: %s: %s\n", workload->name, what);
        exit(EXIT_FAILURE);
    }
}

/* Returns the nanoseconds that the run took. */
static uint64_t repetition(const struct workload *workload, struct bench *bench, size_t *units)
{
    uint64_t begin, end;

    for (size_t i = 0; i < BENCH_TABLES; i++) {
        require(pt_create(&bench->tables[i], &pt_x86_64, &arena_handler, &bench->arena) == PT_OK, workload, "create");
        pt_flush_init(&bench->flushes[i], &bench->tables[i]);
    }
    *units = workload->prepare(bench);

    begin = now();
    run_measured(workload, bench);
    end = now();

    require(workload->check(bench), workload, "did not do what it should");
    for (size_t i = 0; i < BENCH_TABLES; i++) {
        pt_flush_ignore(&bench->flushes[i]);
        pt_destroy(&bench->tables[i]);
    }
    require(bench->arena.used == 0, workload, "lost frames");
    arena_reset(&bench->arena);
    return end - begin;
}

static void measure(const struct workload *workload, struct bench *bench, unsigned long repetitions)
{
    size_t units;

    (void)repetition(workload, bench, &units);
    if (repetitions == 0)
        (void)printf("%s %zu\n", workload->name, units);
    while (repetitions-- > 0) {
        uint64_t time = repetition(workload, bench, &units);

        (void)printf("%s %zu %" PRIu64 "\n", workload->name, units, time);
    }
}

static bool is_wanted(const struct workload *workload, char *const *names)
{
    bool wanted = !*names;

    for (; *names; names++)
        wanted |= strcmp(*names, workload->name) == 0;
    return wanted;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    unsigned long repetitions = 5;
    bool information = false, measured = false;
    int option;

    while ((option = getopt(argc, argv, "ir:")) != -1) {
        switch (option) {
        case 'i':
            information = true;
            break;
        case 'r':
            repetitions = strtoul(optarg, NULL, 10);
            break;
        default:
            return EXIT_FAILURE;
        }
    }

    bench_init(&bench);
    if (information) {
        (void)printf("compiler " COMPILER __VERSION__ " " BENCH_FLAGS "\n");
        (void)printf("memory %zu MiB for tables, %zu MiB in huge pages\n", bench.arena.frames * PT_FRAME_SIZE >> 20,
                     arena_huge_bytes() >> 20);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < workload_count; i++) {
        if (is_wanted(&workloads[i], argv + optind)) {
            measure(&workloads[i], &bench, repetitions);
            measured = true;
        }
    }
    if (!measured)
        (void)fputs("bench: no such workload\n", stderr);
    return measured ? EXIT_SUCCESS : EXIT_FAILURE;
}
