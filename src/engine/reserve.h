/* SPDX-License-Identifier: MIT */
/*
 * Frames for new tables, taken before anything is changed. An allocator may itself change the tree
 * while it serves: whoever reserves looks at the tree again before using what was reserved.
 */
#ifndef PT_ENGINE_RESERVE_H
#define PT_ENGINE_RESERVE_H

#include "check.h"

/* A list threaded through the frames' first words. */
struct reserve {
    pt_paddr first;
    size_t count;
};

#define RESERVE_EMPTY ((struct reserve){PT_NO_FRAME, 0})

static inline void free_table(const struct tree *tree, const struct page_table *pt, pt_paddr table, unsigned level)
{
    pt->handler->dealloc_frames(pt->ctx, table, table_frames(tree, level));
}

/* What leads to the table, an entry or the register of the root, can hold its address. */
static inline bool table_is_in_reach(const struct tree *tree, pt_paddr table, unsigned level)
{
    const struct page_sort smallest = {last_level(tree), 0}; /* entries of tables reach as far as those of such pages */

    if (level == 0 && encoding.root_pa_bits && table >> encoding.root_pa_bits(format_of(tree)) != 0)
        return false;
    return paddr_fits(tree, table, table_size(tree, level), smallest);
}

/* Frames for a table, or PT_NO_FRAME, also instead of those that nothing could lead to. */
static inline pt_paddr alloc_table(const struct tree *tree, const struct page_table *pt, unsigned level)
{
    pt_paddr table = pt->handler->alloc_frames(pt->ctx, table_frames(tree, level), table_size(tree, level));

    if (PT_LIKELY(table == PT_NO_FRAME || table_is_in_reach(tree, table, level)))
        return table;
    free_table(tree, pt, table, level);
    return PT_NO_FRAME;
}

/*
 * A frame for a table that an entry leads to. Where a table entry is nothing but its address
 * (LoongArch), the one for frame 0 would read as unused: another frame is taken then.
 */
static inline pt_paddr alloc_linked_table(const struct tree *tree, const struct page_table *pt)
{
    pt_paddr frame = alloc_table(tree, pt, 1);

    if (frame == 0 && table_entry(tree, 0, 1) == 0) {
        frame = alloc_table(tree, pt, 1);
        free_table(tree, pt, 0, 1);
    }
    return frame;
}

static inline void reserve_put(const struct tree *tree, struct reserve *reserve, pt_paddr frame)
{
    __builtin_memcpy(table_at(tree, frame), &reserve->first, sizeof(reserve->first));
    reserve->first = frame;
    reserve->count++;
}

static inline pt_paddr reserve_take(const struct tree *tree, struct reserve *reserve)
{
    pt_paddr frame = reserve->first;

    __builtin_memcpy(&reserve->first, table_at(tree, frame), sizeof(reserve->first));
    reserve->count--;
    return frame;
}

static inline void reserve_release(const struct tree *tree, const struct page_table *pt, struct reserve *reserve)
{
    while (reserve->count > 0)
        free_table(tree, pt, reserve_take(tree, reserve), 1);
}

/*
 * After a plan that needs this many frames: there were fewer, and now there are enough, but the plan has to be made
 * again, because the allocator may have changed the tree. PT_NO_MEMORY if it has no more.
 */
static inline bool must_plan_again(const struct tree *tree, const struct page_table *pt, struct reserve *reserve,
                                   size_t needed, enum pt_status *status)
{
    if (*status != PT_OK || needed <= reserve->count)
        return false;
    while (reserve->count < needed) {
        pt_paddr frame = alloc_linked_table(tree, pt);

        if (frame == PT_NO_FRAME) {
            *status = PT_NO_MEMORY;
            return false;
        }
        reserve_put(tree, reserve, frame);
    }
    return true;
}

#endif
