/* SPDX-License-Identifier: MIT */
/* Where an entry stands in the simulated memory, found without knowing what its bits mean. */
#ifndef TESTS_SUPPORT_SLOT_H
#define TESTS_SUPPORT_SLOT_H

#include "memory.h"
#include "test.h"

struct slot_search {
    pt_vaddr vaddr;
    unsigned level;
    bool found;
    struct pt_visit visit;
};

static inline bool slot_visit(void *arg, const struct pt_visit *visit)
{
    struct slot_search *search = arg;

    if (visit->vaddr != search->vaddr || visit->level != search->level)
        return true;
    search->visit = *visit;
    search->found = true;
    return false;
}

/** The entry in use that starts at `vaddr` and stands at `level` (0: the root), as the walk reports it. */
static inline struct pt_visit visit_of(const struct page_table *table, pt_vaddr vaddr, unsigned level)
{
    struct slot_search search = {.vaddr = vaddr, .level = level};

    pt_walk(table, SIZE_MAX, slot_visit, NULL, &search);
    if (!search.found)
        fail_msg("no entry in use at level %u for 0x%" PRIx64, level, vaddr);
    return search.visit;
}

/** The slot of that entry: one table in `memory` holds its bits at its index, and only one may. */
static inline uint64_t *slot_of(const struct memory *memory, const struct pt_visit *visit)
{
    uint64_t *found = NULL;

    for (size_t i = 0; i < memory->frames; i++) {
        uint64_t *slot = (uint64_t *)(void *)(memory->bytes + i * (size_t)PT_FRAME_SIZE) + visit->index;

        if (!memory->frame[i].taken || visit->index >= memory->frame[i].run * PT_FRAME_SIZE / sizeof(*slot) ||
            *slot != visit->bits)
            continue;
        if (found)
            fail_msg("two tables hold 0x%" PRIx64 " at index %u", visit->bits, visit->index);
        found = slot;
    }
    if (!found)
        fail_msg("no table holds 0x%" PRIx64 " at index %u", visit->bits, visit->index);
    return found;
}

#endif
