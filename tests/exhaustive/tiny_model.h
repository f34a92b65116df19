/* SPDX-License-Identifier: MIT */
/*
 * What the calls mean, on an array with a field for each smallest page. It knows of tables only what the calls
 * promise of them: which root entries are borrowed and lent.
 */
#ifndef TESTS_EXHAUSTIVE_TINY_MODEL_H
#define TESTS_EXHAUSTIVE_TINY_MODEL_H

#include "machine.h"

enum operation_kind {
    MAP,
    UNMAP,
    PROTECT,
    REMAP,
    MAP_REGION,
    MAP_REGION_WITH,
    UNMAP_REGION,
    PROTECT_REGION,
    SPLIT,
    COLLAPSE,
    PRUNE,
    COPY_FROM,
    CLEAR_ACCESSED,
    CLEAR_DIRTY,
    HARDWARE_READS,
    HARDWARE_WRITES,
};

struct operation {
    enum operation_kind kind;
    unsigned t;            /* on which table */
    unsigned first, count; /* pages */
    unsigned sort;         /* of the page that is mapped or split to */
    unsigned delta;        /* how many frames further than the page's number the first frame is */
    pt_flags flags;
    unsigned options;
    bool upper; /* by the addresses of the upper half */
};

struct world {
    struct page pages[MAX_TABLES][MAX_PAGES];
    uint16_t borrowed[MAX_TABLES], lent[MAX_TABLES], upper[MAX_TABLES];
    /* Root entries: where a huge page was borrowed, not a table; of lent slots, those that lead to a table. */
    uint16_t borrowed_leaf[MAX_TABLES], lent_table[MAX_TABLES];
};

void world_of(const struct shape *shapes, struct world *world);

/** Changes the world as the call does; *old is what pt_unmap tells, by its first page. */
enum pt_status world_apply(struct world *world, const struct operation *operation, struct page *old);

/** The frame that MAP_REGION_WITH names. */
unsigned scattered_frame(unsigned delta, unsigned page);

#endif
