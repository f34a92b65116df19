/* SPDX-License-Identifier: MIT */
/*
 * Tables smaller than a frame. Those that neighbouring entries lead to share a frame; which part of it is whose
 * follows from the index, so that nothing has to be kept: the frame is taken with the first table in it, and let go
 * with the last.
 */
#ifndef PT_ENGINE_PACK_H
#define PT_ENGINE_PACK_H

#include "reserve.h"

/* The frame of a table. */
PT_INLINE pt_paddr frame_of(pt_paddr table)
{
    return encoding.packed_bits ? table & ~(PT_FRAME_SIZE - 1) : table;
}

/* The table in this frame for the entry with this index. */
PT_INLINE pt_paddr table_in_frame(pt_paddr frame, size_t index)
{
    size_t part = index & (((size_t)1 << encoding.packed_bits) - 1);

    return frame + part * (PT_FRAME_SIZE >> encoding.packed_bits);
}

/* The frame of a table that a neighbour of this entry leads to, but for those from `skipped` up to the entry. */
static inline pt_paddr frame_beside_but(const struct tree *tree, const void *table, size_t index, unsigned level,
                                        size_t skipped)
{
    size_t neighbours = (size_t)1 << encoding.packed_bits;
    size_t first = index & ~(neighbours - 1);

    for (size_t i = first; encoding.packed_bits != 0 && i < first + neighbours; i++) {
        pt_entry entry = load_entry(table, i);

        if (entry_kind(tree, entry, level) == ENTRY_TABLE && (i < skipped || i >= index))
            return frame_of(table_paddr(tree, entry));
    }
    return PT_NO_FRAME;
}

/* The frame of a table that a neighbour of this entry, or the entry itself, leads to; PT_NO_FRAME if there is none. */
static inline pt_paddr frame_beside(const struct tree *tree, const void *table, size_t index, unsigned level)
{
    return frame_beside_but(tree, table, index, level, index);
}

/* The frame of this table is not needed any more, now that no entry leads to the table. */
static inline bool frame_is_free(const struct tree *tree, const void *parent, size_t index, unsigned level,
                                 pt_paddr table)
{
    return encoding.packed_bits == 0 || frame_beside(tree, parent, index, level) != frame_of(table);
}

/* A table for an entry of `parent`, of this level: in a neighbour's frame, or in a reserved one. */
static inline pt_paddr take_table(const struct tree *tree, const void *parent, size_t index, unsigned level,
                                  struct reserve *reserve)
{
    pt_paddr frame = frame_beside(tree, parent, index, level);

    return table_in_frame(frame != PT_NO_FRAME ? frame : reserve_take(tree, reserve), index);
}

#endif
