/* SPDX-License-Identifier: MIT */
#ifndef BENCH_WORKLOADS_H
#define BENCH_WORKLOADS_H

#include "arena.h"

#define BENCH_TABLES 32 /* short workloads are done to as many tables, one after the other */

/* What the workloads work on. Everything random is made once, from a fixed seed. */
struct bench {
    struct arena arena;
    struct page_table tables[BENCH_TABLES];
    struct pt_flush flushes[BENCH_TABLES];

    pt_vaddr *pages;        /* single pages, distinct, in random order */
    pt_vaddr *shuffled;     /* the same pages in another random order */
    size_t pages_tables;    /* frames of a table that maps them */
    pt_vaddr *queries;      /* addresses of a contiguous region */
    pt_vaddr *page_queries; /* addresses in the single pages */
    uint64_t queries_sum;   /* of what they translate to */
    uint64_t page_queries_sum;

    uint64_t sum; /* of what a run saw */
};

struct workload {
    const char *name; /* W1 ... W12; L1, L7, L8: what no table can beat */

    /* Brings freshly created tables to where the run begins; returns how many units the run works on. */
    size_t (*prepare)(struct bench *bench);
    void (*run)(struct bench *bench);
    /* Did it do all of it? */
    bool (*check)(const struct bench *bench);
};

extern const struct workload workloads[];
extern const size_t workload_count;

void bench_init(struct bench *bench);

#endif
