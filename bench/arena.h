/* SPDX-License-Identifier: MIT */
/* Memory for tables: faulted in, in huge pages where the system has them, with the least allocator there can be. */
#ifndef BENCH_ARENA_H
#define BENCH_ARENA_H

#include <pagetable/pagetable.h>

/* Frames that came back, a list through their first words, are given out again first; then what was never taken. */
struct arena {
    char *memory; /* its address is also the physical one */
    size_t frames;
    size_t fresh; /* where those that were never taken begin */
    size_t used;
    pt_paddr returned;
};

/* Ends the program if the memory cannot be had. */
void arena_init(struct arena *arena, size_t frames);

/* Forget what was taken: frames are given out in ascending order again. */
void arena_reset(struct arena *arena);

/* Bytes of this process that lie in huge pages. */
size_t arena_huge_bytes(void);

/* Its ctx is the arena. Physical addresses are pointers; there are no TLB instructions. */
extern const struct pt_handler arena_handler;

#endif
