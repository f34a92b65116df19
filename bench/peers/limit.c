/* SPDX-License-Identifier: MIT */
/*
 * The limit, as a page table that knows where its only region is: 1 GiB at 256 GiB, whose leaf tables lie one after the
 * other and are linked from the start. Mapping is a plain loop that zeroes and fills them (../limits.c).
 */
#include "../limits.h"

#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE UINT64_C(7)
#define LEAF (UINT64_C(1) << 63 | 3) /* no-execute, writable, present */
#define BASE (UINT64_C(256) << 30)
#define SIZE PT_1G
#define LEAF_TABLES ((size_t)512)

static uint64_t *leaf_tables(void *root)
{
    return (uint64_t *)root + 3 * LIMIT_ENTRIES;
}

static void require_only_region(pt_vaddr vaddr, uint64_t size)
{
    if (vaddr != BASE || size != SIZE) {
        (void)fputs("bench-peers: not the limit's region\n", stderr);
        exit(EXIT_FAILURE);
    }
}

static void *limit_create(struct arena *arena)
{
    uint64_t *root = NULL;

    for (size_t i = 0; i < 3 + LEAF_TABLES; i++) {
        pt_paddr frame = arena_handler.alloc_frames(arena, 1, PT_FRAME_SIZE);

        if (i == 0)
            root = (uint64_t *)(uintptr_t)frame;
        if (frame != (uintptr_t)root + i * PT_FRAME_SIZE) {
            (void)fputs("bench-peers: no memory for the limit\n", stderr);
            exit(EXIT_FAILURE);
        }
    }
    memset(root, 0, (3 + LEAF_TABLES) * PT_FRAME_SIZE);
    root[0] = (uintptr_t)(root + LIMIT_ENTRIES) | TABLE;
    root[LIMIT_ENTRIES + 256] = (uintptr_t)(root + 2 * LIMIT_ENTRIES) | TABLE;
    for (size_t i = 0; i < LEAF_TABLES; i++)
        root[2 * LIMIT_ENTRIES + i] = (uintptr_t)(leaf_tables(root) + i * LIMIT_ENTRIES) | TABLE;
    return root;
}

static void limit_destroy(void *table)
{
    (void)table;
}

static pt_paddr limit_root(const void *table)
{
    return (uintptr_t)table;
}

static void limit_map_region(void *table, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, bool huge)
{
    (void)huge;
    require_only_region(vaddr, size);
    limit_zero_and_fill(leaf_tables(table), LEAF_TABLES, paddr | LEAF);
}

static void limit_unmap_region(void *table, pt_vaddr vaddr, uint64_t size)
{
    require_only_region(vaddr, size);
    limit_clear(leaf_tables(table), LEAF_TABLES);
}

static void limit_protect_region(void *table, pt_vaddr vaddr, uint64_t size)
{
    require_only_region(vaddr, size);
    limit_clear_bits(leaf_tables(table), LEAF_TABLES, 2);
}

extern const struct peer peer_limit;
const struct peer peer_limit = {
    .name = "limit loop",
    .compiler = PEER_COMPILER,
    .create = limit_create,
    .destroy = limit_destroy,
    .root = limit_root,
    .map_region = limit_map_region,
    .unmap_region = limit_unmap_region,
    .protect_region = limit_protect_region,
};
