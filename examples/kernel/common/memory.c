/* SPDX-License-Identifier: MIT */
/* Physical memory: a pool of frames, of which the library's handler counts those that become tables. */
#include "console.h"
#include "kernel.h"

static pt_paddr alloc_tables(void *ctx, size_t count, size_t align)
{
    struct kernel *kernel = ctx;
    pt_paddr first = pt_frame_pool_alloc(&kernel->pool, count, align);

    if (first != PT_NO_FRAME)
        kernel->tables += count;
    if (kernel->tables > kernel->most_tables)
        kernel->most_tables = kernel->tables;
    return first;
}

static void dealloc_tables(void *ctx, pt_paddr first, size_t count)
{
    struct kernel *kernel = ctx;

    kernel->tables -= count;
    pt_frame_pool_dealloc(&kernel->pool, first, count);
}

static void *table_memory(void *ctx, pt_paddr paddr)
{
    (void)ctx;
    return kernel_memory(paddr);
}

/* One CPU, and the library knows how to flush its TLB, but for nested tables: main.c says how then. */
struct pt_handler kernel_handler = {
    .alloc_frames = alloc_tables,
    .dealloc_frames = dealloc_tables,
    .phys_to_virt = table_memory,
};

/* Fill memory so that a read through any mapping of it tells the physical address it came from. */
static void tag_memory(pt_paddr paddr, uint64_t size)
{
    uint64_t *word = kernel_memory(paddr);

    for (uint64_t offset = 0; offset < size; offset += sizeof(*word))
        word[offset / sizeof(*word)] = paddr + offset;
}

void kernel_set_up_memory(struct kernel *kernel)
{
    const struct machine_region *ram = &machine_regions[0];
    pt_paddr first = kernel_physical(kernel_end);

    pt_frame_pool_init(&kernel->pool, first, kernel_end, (size_t)(ram->paddr + ram->size - first));
    kernel->tagged_size = PT_16M;
    kernel->tagged = pt_frame_pool_alloc(&kernel->pool, kernel_frames(kernel->tagged_size), (size_t)PT_32M);
    if (kernel->tagged == PT_NO_FRAME)
        kernel_panic("end of memory", 0, 0, first);
    tag_memory(kernel->tagged, kernel->tagged_size);
    kernel->free_at_start = kernel->pool.free;
    print("frame pool: %zu frames are free, behind the kernel at %jx\n", kernel->pool.free, first);
}
