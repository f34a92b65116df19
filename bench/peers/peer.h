/* SPDX-License-Identifier: MIT */
/* A page table to be measured, and what it does in bulk; `CPeer` in c.rs is the same structure. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "../arena.h"

/* Pages are of 4 KiB unless `huge`, readable and writable. Whatever fails ends the program. */
struct peer {
    const char *name, *compiler;
    void *(*create)(struct arena *arena);
    void (*destroy)(void *table);
    pt_paddr (*root)(const void *table);
    void (*map_region)(void *table, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, bool huge);
    void (*unmap_region)(void *table, pt_vaddr vaddr, uint64_t size);
    void (*protect_region)(void *table, pt_vaddr vaddr, uint64_t size); /* to readable only */
    void (*map_pages)(void *table, const pt_vaddr *pages, size_t count, pt_paddr first_frame);
    void (*unmap_pages)(void *table, const pt_vaddr *pages, size_t count);
    uint64_t (*query)(const void *table, const pt_vaddr *addresses, size_t count); /* the sum of the translations */
};

#ifdef __clang__
#define PEER_COMPILER "clang " __clang_version__
#else
#define PEER_COMPILER "gcc " __VERSION__
#endif

#endif
