/* SPDX-License-Identifier: MIT */
/* What the operating system provides: frames, physical-to-virtual, and (optionally) TLB shootdown. */
#ifndef PAGETABLE_HANDLER_H
#define PAGETABLE_HANDLER_H

#include <pagetable/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pt_flush;

/**
 * Four callbacks. The structure must outlive every table created with it; zero is the default of what
 * is optional. Each callback gets the `ctx` that was given to pt_create. Where a table has parallel writers, all of
 * them may be called on several CPUs at once.
 */
struct pt_handler {
    /**
     * Return the first of `count` contiguous frames, aligned to `align` bytes (a power of two, at
     * least PT_FRAME_SIZE), or PT_NO_FRAME. The contents do not matter. It may itself change the same
     * table (map a page, say): the library asks before it touches anything, and looks again after.
     *
     * They have to be where the format's tables can be: below 2^pa_bits; below 4 GiB with pt_x86_32 and pt_armv7_short,
     * whatever their pages reach, and the root of pt_x86_pae. Others are given back at once, untouched, and the call
     * answers PT_NO_MEMORY.
     */
    pt_paddr (*alloc_frames)(void *ctx, size_t count, size_t align);

    /** Take back what alloc_frames gave, whole. Called only when no TLB can hold it any more. */
    void (*dealloc_frames)(void *ctx, pt_paddr first, size_t count);

    /**
     * Where the CPU that runs this code can read and write `paddr`, a table's frame. NULL means that
     * physical memory is mapped linearly: at paddr + linear_offset.
     */
    void *(*phys_to_virt)(void *ctx, pt_paddr paddr);
    uintptr_t linear_offset;

    /**
     * Invalidate what `flush` owes on every CPU that may use the table, and return when all have done
     * so. NULL: this CPU's own instructions (<pagetable/hw.h>), which are privileged and exist only
     * where the format is the CPU's own. May also be called in the middle of an operation, where the
     * architecture asks for break-before-make: it must not call the library for the same table then.
     */
    void (*flush_tlb)(void *ctx, const struct pt_flush *flush);
};

#ifdef __cplusplus
}
#endif

#endif
