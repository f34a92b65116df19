/* SPDX-License-Identifier: MIT */
/*
 * What one writes in an afternoon: from the root to the entry for each page, no checks but for what is there already,
 * no flush, no empty table ever freed. x86_64, 4 levels.
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PRESENT UINT64_C(1)
#define WRITABLE UINT64_C(2)
#define USER UINT64_C(4)
#define HUGE UINT64_C(128)
#define NO_EXECUTE (UINT64_C(1) << 63)
#define ADDRESS UINT64_C(0x000ffffffffff000)

struct naive {
    struct arena *arena;
    uint64_t *root;
};

static void require(bool condition)
{
    if (!condition) {
        (void)fputs("bench-peers: naive failed\n", stderr);
        exit(EXIT_FAILURE);
    }
}

static uint64_t *new_table(struct arena *arena)
{
    pt_paddr frame = arena_handler.alloc_frames(arena, 1, PT_FRAME_SIZE);

    require(frame != PT_NO_FRAME);
    return memset((void *)(uintptr_t)frame, 0, PT_FRAME_SIZE);
}

static uint64_t *table_of(uint64_t entry)
{
    return (uint64_t *)(uintptr_t)(entry & ADDRESS);
}

static unsigned shift_of(unsigned level)
{
    return 39 - 9 * level;
}

/* The entry of this level; NULL if there is none, and *create is not set. */
static uint64_t *find(const struct naive *naive, pt_vaddr vaddr, unsigned level, bool create)
{
    uint64_t *table = naive->root;

    for (unsigned at = 0;; at++) {
        uint64_t *entry = &table[vaddr >> shift_of(at) & 511];

        if (at == level || (*entry & HUGE))
            return entry;
        if (!(*entry & PRESENT)) {
            if (!create)
                return NULL;
            *entry = (uintptr_t)new_table(naive->arena) | PRESENT | WRITABLE | USER;
        }
        table = table_of(*entry);
    }
}

static void map(const struct naive *naive, pt_vaddr vaddr, pt_paddr paddr, unsigned level)
{
    uint64_t *entry = find(naive, vaddr, level, true);

    require(*entry == 0);
    *entry = paddr | PRESENT | WRITABLE | NO_EXECUTE | (level < 3 ? HUGE : 0);
}

static void *naive_create(struct arena *arena)
{
    struct naive *naive = malloc(sizeof(*naive));

    require(naive != NULL);
    naive->arena = arena;
    naive->root = new_table(arena);
    return naive;
}

static void destroy_table(struct arena *arena, uint64_t *table, unsigned level)
{
    for (size_t i = 0; i < 512 && level < 3; i++)
        if ((table[i] & (PRESENT | HUGE)) == PRESENT)
            destroy_table(arena, table_of(table[i]), level + 1);
    arena_handler.dealloc_frames(arena, (uintptr_t)table, 1);
}

static void naive_destroy(void *table)
{
    struct naive *naive = table;

    destroy_table(naive->arena, naive->root, 0);
    free(naive);
}

static pt_paddr naive_root(const void *table)
{
    return (uintptr_t)((const struct naive *)table)->root;
}

static void naive_map_region(void *table, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, bool huge)
{
    for (uint64_t done = 0, step; done < size; done += step) {
        unsigned level = huge ? 1 : 3;

        while ((((vaddr + done) | (paddr + done)) & ((UINT64_C(1) << shift_of(level)) - 1)) != 0 ||
               size - done < UINT64_C(1) << shift_of(level))
            level++;
        step = UINT64_C(1) << shift_of(level);
        map(table, vaddr + done, paddr + done, level);
    }
}

static void naive_unmap_region(void *table, pt_vaddr vaddr, uint64_t size)
{
    for (uint64_t done = 0; done < size; done += PT_4K) {
        uint64_t *entry = find(table, vaddr + done, 3, false);

        require(entry && (*entry & PRESENT));
        *entry = 0;
    }
}

static void naive_protect_region(void *table, pt_vaddr vaddr, uint64_t size)
{
    for (uint64_t done = 0; done < size; done += PT_4K) {
        uint64_t *entry = find(table, vaddr + done, 3, false);

        require(entry && (*entry & PRESENT));
        *entry &= ~WRITABLE;
    }
}

static void naive_map_pages(void *table, const pt_vaddr *pages, size_t count, pt_paddr first_frame)
{
    for (size_t i = 0; i < count; i++)
        map(table, pages[i], first_frame + i * PT_4K, 3);
}

static void naive_unmap_pages(void *table, const pt_vaddr *pages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        naive_unmap_region(table, pages[i], PT_4K);
}

static uint64_t naive_query(const void *table, const pt_vaddr *addresses, size_t count)
{
    const struct naive *naive = table;
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        const uint64_t *entries = naive->root;
        unsigned level = 0;
        uint64_t entry;

        for (;; level++) {
            entry = entries[addresses[i] >> shift_of(level) & 511];
            require(entry & PRESENT);
            if (level == 3 || (entry & HUGE))
                break;
            entries = table_of(entry);
        }
        __asm__ volatile("" ::"r"(entry & (PRESENT | WRITABLE | USER | NO_EXECUTE)), "r"(level)); /* asked for, too */
        sum += (entry & ADDRESS) | (addresses[i] & ((UINT64_C(1) << shift_of(level)) - 1));
    }
    return sum;
}

extern const struct peer peer_naive;
const struct peer peer_naive = {
    .name = "naive C",
    .compiler = PEER_COMPILER,
    .create = naive_create,
    .destroy = naive_destroy,
    .root = naive_root,
    .map_region = naive_map_region,
    .unmap_region = naive_unmap_region,
    .protect_region = naive_protect_region,
    .map_pages = naive_map_pages,
    .unmap_pages = naive_unmap_pages,
    .query = naive_query,
};
