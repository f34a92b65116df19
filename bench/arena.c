/* SPDX-License-Identifier: MIT */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, madvise */

#include "arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE (UINT64_C(1) << 21)

static pt_paddr arena_alloc(void *ctx, size_t count, size_t align)
{
    struct arena *arena = ctx;
    pt_paddr frame = arena->returned;

    if (count != 1 || align != PT_FRAME_SIZE || arena->used == arena->frames)
        return PT_NO_FRAME;
    arena->used++;
    if (frame == PT_NO_FRAME)
        return (uintptr_t)arena->memory + arena->fresh++ * PT_FRAME_SIZE;
    arena->returned = *(const pt_paddr *)(uintptr_t)frame;
    return frame;
}

static void arena_dealloc(void *ctx, pt_paddr first, size_t count)
{
    struct arena *arena = ctx;

    (void)count;
    *(pt_paddr *)(uintptr_t)first = arena->returned;
    arena->returned = first;
    arena->used--;
}

const struct pt_handler arena_handler = {.alloc_frames = arena_alloc, .dealloc_frames = arena_dealloc};

void arena_reset(struct arena *arena)
{
    arena->fresh = 0;
    arena->used = 0;
    arena->returned = PT_NO_FRAME;
}

void arena_init(struct arena *arena, size_t frames)
{
    size_t size = frames * PT_FRAME_SIZE;
    char *memory = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    arena->frames = frames;
    if (memory == MAP_FAILED) {
        (void)fputs("bench: no memory\n", stderr);
        exit(EXIT_FAILURE);
    }
    memory += -(uintptr_t)memory & (HUGE_PAGE - 1);
#ifdef MADV_HUGEPAGE
    (void)madvise(memory, size, MADV_HUGEPAGE); /* may be refused */
#endif
    memset(memory, 0xFF, size);
    arena->memory = memory;
    arena_reset(arena);
}

size_t arena_huge_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "r");
    char line[128];
    size_t kib = 0;

    while (file && fgets(line, sizeof(line), file))
        if (strncmp(line, "AnonHugePages:", 14) == 0)
            kib = strtoul(line + 14, NULL, 10);
    if (file)
        (void)fclose(file);
    return kib << 10;
}
