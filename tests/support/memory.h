/* SPDX-License-Identifier: MIT */
/*
 * Simulated physical memory with an allocator that distrusts its caller: the handler of all tests.
 *
 * Fresh frames are full of garbage that looks like valid entries, freed ones of other garbage. These end
 * the test with a message: freeing what is not out (twice, foreign, in the middle, with another count),
 * looking at physical memory that is not an allocated frame, an alignment that is none, frames that are
 * still out at the end, a frame freed before the invalidation that it has to wait for, and one that nothing can lead to
 * kept until the next is asked for.
 */
#ifndef TESTS_SUPPORT_MEMORY_H
#define TESTS_SUPPORT_MEMORY_H

#include "test.h"

/** Above 4 GiB, so that a 32-bit build must keep all the bits; below 2^36, so that formats may be narrowed. */
#define MEMORY_BASE UINT64_C(0x140000000)
#define MEMORY_FRAMES 4096

struct memory_frame {
    size_t run;      /* of the first frame of an allocation: how many frames; else 0 */
    uint64_t serial; /* which allocation took it last */
    bool taken;
};

struct memory {
    struct pt_handler handler; /* to give to pt_create, with the memory itself as ctx */

    pt_paddr base;
    size_t frames;
    unsigned char *bytes;
    struct memory_frame *frame;
    size_t next;     /* where the next search starts; searches go round, so that frames are reused late */
    bool reuse_soon; /* search from the lowest frame each time instead */

    size_t taken;       /* what is out now: tables, each of one frame or of several */
    size_t attempts;    /* calls of alloc_frames, failed ones too */
    size_t allocations; /* calls of alloc_frames that were answered with frames */
    size_t frees;       /* calls of dealloc_frames */
    uint64_t serial;

    size_t fail_in; /* the how-manieth allocation from now fails; 0: none */
    bool fail_once; /* only that one; else all after it, too */
    pt_paddr far;   /* what a failing one serves, not in this memory, and wants back at once; 0: PT_NO_FRAME */
    size_t far_out; /* frames that are out there */

    /* Called at the start of alloc_frames; not called for allocations that it causes itself. */
    void (*on_alloc)(void *arg, struct memory *memory);
    void *on_alloc_arg;
    bool in_on_alloc;

    /* Called whenever phys_to_virt is, which is before each table that the library looks at or writes to. */
    void (*on_translate)(void *arg, struct memory *memory);
    void *on_translate_arg;
    bool in_on_translate;

    /* Called before frames go back, with their contents still there. */
    void (*on_dealloc)(void *arg, struct memory *memory, pt_paddr first);
    void *on_dealloc_arg;

    uint64_t held; /* allocations up to this serial number may not be freed before the next flush_tlb */

    /* What flush_tlb was given, oldest first. */
    struct pt_flush *flushes;
    size_t flush_count;
    size_t flush_room;
    /* Called in flush_tlb. */
    void (*on_flush)(void *arg, const struct pt_flush *flush);
    void *on_flush_arg;
};

/** `frames` frames of physical memory at `base` (which may be 0), none of them taken. The handler has a flush_tlb. */
void memory_init(struct memory *memory, pt_paddr base, size_t frames);

/** The end: fails the test if a frame is still out. */
void memory_end(struct memory *memory);

/** From now on the handler tells a linear offset instead of a phys_to_virt. */
void memory_make_linear(struct memory *memory);

/** The n-th allocation from now (1: the next) and all after it fail, until memory_fail_never. */
void memory_fail_after(struct memory *memory, size_t n);
/** Only the n-th allocation from now fails. */
void memory_fail_once(struct memory *memory, size_t n);
void memory_fail_never(struct memory *memory);

/** The next search for a frame starts with this one. Works for allocations that `paddr` is aligned for. */
void memory_serve_next(struct memory *memory, pt_paddr paddr);

/** From now until the next flush_tlb (or memory_release) freeing a frame that is out now is an error. */
void memory_hold(struct memory *memory);
void memory_release(struct memory *memory);

/** Is the frame that holds `paddr` out? false for what is not in this memory. */
bool memory_is_taken(const struct memory *memory, pt_paddr paddr);

/** The callbacks, for calling by hand: a frame to map, say, that the library must never free. */
pt_paddr memory_alloc(void *memory, size_t count, size_t align);
void memory_dealloc(void *memory, pt_paddr first, size_t count);
void *memory_phys_to_virt(void *memory, pt_paddr paddr);

/** The last flush that flush_tlb was given; fails the test if there was none. */
const struct pt_flush *memory_last_flush(const struct memory *memory);
void memory_forget_flushes(struct memory *memory);

#endif
