/* SPDX-License-Identifier: MIT */
/* First fit over a bit map, from where the last search ended: small, and no frame is spent on lists. */
#include <pagetable/frame_pool.h>

#define FRAME ((size_t)PT_FRAME_SIZE)

static bool is_taken(const struct pt_frame_pool *pool, size_t frame)
{
    return ((unsigned char)pool->memory[frame / 8] >> (frame % 8)) & 1;
}

static void set_taken(struct pt_frame_pool *pool, size_t frame, bool taken)
{
    unsigned char *byte = (unsigned char *)pool->memory + frame / 8;
    unsigned char bit = (unsigned char)(1u << (frame % 8));

    *byte = (unsigned char)(taken ? *byte | bit : *byte & ~bit);
}

size_t pt_frame_pool_init(struct pt_frame_pool *pool, pt_paddr paddr, void *memory, size_t size)
{
    size_t skip = (size_t)(-paddr & (FRAME - 1));

    *pool = (struct pt_frame_pool){.first = paddr + skip, .memory = (char *)memory + skip};
    if (size < skip)
        return 0;
    pool->frames = (size - skip) / FRAME;
    pool->map = (pool->frames / 8 + FRAME) / FRAME;
    if (pool->frames <= pool->map) {
        pool->frames = 0;
        return 0;
    }
    __builtin_memset(pool->memory, 0, pool->map * FRAME);
    pool->free = pool->frames - pool->map;
    pool->next = pool->map;
    return pool->free;
}

void pt_frame_pool_move(struct pt_frame_pool *pool, void *memory)
{
    pool->memory = memory;
}

/* `count` free frames from `start` on; if not, *start is where to look next. */
static bool is_free_run(const struct pt_frame_pool *pool, size_t *start, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_taken(pool, *start + i)) {
            *start += i + 1;
            return false;
        }
    }
    return true;
}

/* The first free run that begins in [from, to), or pool->frames. */
static size_t find_run(const struct pt_frame_pool *pool, size_t from, size_t to, size_t count, size_t align)
{
    for (size_t start = from;;) {
        start += (size_t)(-(pool->first / FRAME + start) & (align / FRAME - 1));
        if (start >= to || count > pool->frames - start)
            return pool->frames;
        if (is_free_run(pool, &start, count))
            return start;
    }
}

pt_paddr pt_frame_pool_alloc(void *ctx, size_t count, size_t align)
{
    struct pt_frame_pool *pool = ctx;
    size_t start;

    if (count == 0 || count > pool->free)
        return PT_NO_FRAME;
    if (align < FRAME)
        align = FRAME;
    start = find_run(pool, pool->next, pool->frames, count, align);
    if (start == pool->frames)
        start = find_run(pool, pool->map, pool->next, count, align);
    if (start == pool->frames)
        return PT_NO_FRAME;

    for (size_t i = 0; i < count; i++)
        set_taken(pool, start + i, true);
    pool->free -= count;
    pool->next = start + count;
    return pool->first + start * FRAME;
}

void pt_frame_pool_dealloc(void *ctx, pt_paddr first, size_t count)
{
    struct pt_frame_pool *pool = ctx;
    uint64_t start = (first - pool->first) / FRAME;

    /* What is not the pool's, or is free already, is left alone. */
    for (uint64_t i = start; i - start < count && i < pool->frames; i++) {
        if (i >= pool->map && is_taken(pool, (size_t)i)) {
            set_taken(pool, (size_t)i, false);
            pool->free++;
        }
    }
}

void *pt_frame_pool_phys_to_virt(void *ctx, pt_paddr paddr)
{
    struct pt_frame_pool *pool = ctx;

    return pool->memory + (size_t)(paddr - pool->first);
}

const struct pt_handler pt_frame_pool_handler = {
    .alloc_frames = pt_frame_pool_alloc,
    .dealloc_frames = pt_frame_pool_dealloc,
    .phys_to_virt = pt_frame_pool_phys_to_virt,
};
