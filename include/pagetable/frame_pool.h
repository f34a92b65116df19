/* SPDX-License-Identifier: MIT */
/* A ready-made handler: frames from one block of memory, for those who have no allocator yet. */
#ifndef PAGETABLE_FRAME_POOL_H
#define PAGETABLE_FRAME_POOL_H

#include <pagetable/handler.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A block of contiguous physical memory, handed out by the frame. The map of what is taken (a bit per
 * frame) lies in the block's first frames. Read the fields if you like, change none. Needs the caller's
 * lock, like the tables that live in it.
 */
struct pt_frame_pool {
    pt_paddr first; /**< the first frame */
    char *memory;   /**< where the CPU sees it */
    size_t frames;  /**< in the block, the map's own included */
    size_t map;     /**< frames at its start that the map takes */
    size_t free;    /**< frames that can still be had */
    size_t next;    /**< where the next search starts */
};

/**
 * Make a pool of the whole frames of [paddr, paddr + size), which the CPU sees at `memory`: a static
 * array, an entry of the boot memory map. Returns how many frames can be had, 0 if the block is too small.
 */
size_t pt_frame_pool_init(struct pt_frame_pool *pool, pt_paddr paddr, void *memory, size_t size) PT_NONNULL(1, 3);

/** The block is seen at another address from now on (after the MMU has been turned on, say). */
void pt_frame_pool_move(struct pt_frame_pool *pool, void *memory) PT_NONNULL(1, 2);

/* The callbacks, `ctx` being the pool; for use in a handler of one's own. */
pt_paddr pt_frame_pool_alloc(void *pool, size_t count, size_t align) PT_NONNULL(1);
void pt_frame_pool_dealloc(void *pool, pt_paddr first, size_t count) PT_NONNULL(1);
void *pt_frame_pool_phys_to_virt(void *pool, pt_paddr paddr) PT_NONNULL(1);

/** The callbacks above and this CPU's own TLB instructions: pt_create(&pt, format, &pt_frame_pool_handler, &pool). */
extern const struct pt_handler pt_frame_pool_handler;

#ifdef __cplusplus
}
#endif

#endif
