/* SPDX-License-Identifier: MIT */
/* This library; compiled once for each compiler and mode. PEER is the name of the symbol, PEER_NAME of the column. */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>

#define RIGHTS ((pt_flags)(PT_READ | PT_WRITE))

struct library {
    struct page_table table;
    struct pt_flush flush;
};

static void require(enum pt_status status)
{
    if (status != PT_OK) {
        (void)fprintf(stderr, "bench-peers: %s\n", pt_status_name(status));
        exit(EXIT_FAILURE);
    }
}

static void *library_create(struct arena *arena)
{
    struct library *library = malloc(sizeof(*library));

    require(library ? pt_create(&library->table, &pt_x86_64, &arena_handler, arena) : PT_NO_MEMORY);
    pt_flush_init(&library->flush, &library->table);
    return library;
}

static void library_destroy(void *table)
{
    struct library *library = table;

    pt_destroy(&library->table);
    free(library);
}

static pt_paddr library_root(const void *table)
{
    return pt_root(&((const struct library *)table)->table);
}

static void library_map_region(void *table, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, bool huge)
{
    struct library *library = table;

    require(pt_map_region(&library->table, vaddr, paddr, size, RIGHTS, huge ? PT_ALLOW_HUGE : 0, &library->flush));
}

static void library_unmap_region(void *table, pt_vaddr vaddr, uint64_t size)
{
    struct library *library = table;

    require(pt_unmap_region(&library->table, vaddr, size, 0, &library->flush));
    pt_flush_ignore(&library->flush);
}

static void library_protect_region(void *table, pt_vaddr vaddr, uint64_t size)
{
    struct library *library = table;

    require(pt_protect_region(&library->table, vaddr, size, PT_READ, 0, &library->flush));
}

static void library_map_pages(void *table, const pt_vaddr *pages, size_t count, pt_paddr first_frame)
{
    struct library *library = table;

    for (size_t i = 0; i < count; i++)
        require(pt_map(&library->table, pages[i], first_frame + i * PT_4K, PT_4K, RIGHTS, &library->flush));
}

static void library_unmap_pages(void *table, const pt_vaddr *pages, size_t count)
{
    struct library *library = table;

    for (size_t i = 0; i < count; i++)
        require(pt_unmap(&library->table, pages[i], NULL, &library->flush));
    pt_flush_ignore(&library->flush);
}

static uint64_t library_query(const void *table, const pt_vaddr *addresses, size_t count)
{
    const struct library *library = table;
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        struct pt_mapping mapping;

        require(pt_query(&library->table, addresses[i], &mapping));
        sum += mapping.paddr;
    }
    return sum;
}

extern const struct peer PEER;
const struct peer PEER = {
    .name = PEER_NAME,
    .compiler = PEER_COMPILER,
    .create = library_create,
    .destroy = library_destroy,
    .root = library_root,
    .map_region = library_map_region,
    .unmap_region = library_unmap_region,
    .protect_region = library_protect_region,
    .map_pages = library_map_pages,
    .unmap_pages = library_unmap_pages,
    .query = library_query,
};
