/* SPDX-License-Identifier: MIT */
/* Where an entry stands in the simulated memory, found without knowing what its bits mean. */
#ifndef TESTS_SUPPORT_SLOT_H
#define TESTS_SUPPORT_SLOT_H

#include "formats.h"
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

/** An entry in the simulated memory. */
struct slot {
    void *at;
    unsigned bytes;
};

static inline uint64_t slot_get(struct slot slot)
{
    return slot.bytes == 4 ? *(const volatile uint32_t *)slot.at : *(const volatile uint64_t *)slot.at;
}

static inline void slot_set(struct slot slot, uint64_t entry)
{
    if (slot.bytes == 4)
        *(volatile uint32_t *)slot.at = (uint32_t)entry;
    else
        *(volatile uint64_t *)slot.at = entry;
}

/** The n-th slot after this one. */
static inline struct slot slot_after(struct slot slot, size_t n)
{
    return (struct slot){(char *)slot.at + n * slot.bytes, slot.bytes};
}

/** The first slot of the allocation that begins with this frame of the memory, and how many it has. */
static inline struct slot slots_of_frame(const struct fixture *f, size_t frame, size_t *count)
{
    unsigned bytes = format_entry_bytes(f->format);

    *count = f->memory->frame[frame].run * (size_t)PT_FRAME_SIZE / bytes;
    return (struct slot){f->memory->bytes + frame * (size_t)PT_FRAME_SIZE, bytes};
}

/** The frame in which the table is that the entry would lead to, if it is one that is out; else memory->frames. */
static inline size_t frame_below(const struct fixture *f, uint64_t entry)
{
    pt_paddr paddr = format_table_paddr(f->format, entry);

    return memory_is_taken(f->memory, paddr) ? (size_t)((paddr - f->memory->base) / PT_FRAME_SIZE) : f->memory->frames;
}

/** The slot of that entry: one table of the fixture's memory holds its bits at its index, and only one may. */
static inline struct slot slot_of(const struct fixture *f, const struct pt_visit *visit)
{
    struct slot found = {NULL, format_entry_bytes(f->format)};

    for (size_t i = 0; i < f->memory->frames; i++) {
        size_t count, step;
        struct slot first;

        if (f->memory->frame[i].run == 0)
            continue;
        first = slots_of_frame(f, i, &count);
        step = visit->level > 0 && format_tables_in_frame(f->format) > 1 ? format_entries(f->format) : count;
        for (size_t index = visit->index; index < count; index += step) {
            if (slot_get(slot_after(first, index)) != visit->bits)
                continue;
            if (found.at)
                fail_msg("two tables hold 0x%" PRIx64 " at index %u", visit->bits, visit->index);
            found = slot_after(first, index);
        }
    }
    if (!found.at)
        fail_msg("no table holds 0x%" PRIx64 " at index %u", visit->bits, visit->index);
    return found;
}

#endif
