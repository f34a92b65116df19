/* SPDX-License-Identifier: MIT */
/* Watching, in flush_tlb, whether the entries of a page are broken, and reading what is invalidated. */
#ifndef TESTS_SUPPORT_WATCH_H
#define TESTS_SUPPORT_WATCH_H

#include "slot.h"

/** How often flush_tlb was called, and how often all of these neighbouring entries were zero then. */
struct breaking {
    struct slot slot;
    size_t entries;
    unsigned calls, zero;
};

static inline void breaking_look(void *arg, const struct pt_flush *flush)
{
    struct breaking *breaking = arg;
    size_t zero = 0;

    (void)flush;
    while (zero < breaking->entries && slot_get(slot_after(breaking->slot, zero)) == 0)
        zero++;
    breaking->calls++;
    breaking->zero += zero == breaking->entries;
}

/** From now on, until memory.on_flush is NULL again. */
static inline void watch_slots(struct fixture *f, struct breaking *breaking, struct slot slot, size_t entries)
{
    *breaking = (struct breaking){.slot = slot, .entries = entries};
    f->memory->on_flush = breaking_look;
    f->memory->on_flush_arg = breaking;
}

/** The slot of the page of this size at vaddr, its first one if it has several. */
static inline struct slot slot_at(const struct fixture *f, pt_vaddr vaddr, uint64_t page_size)
{
    struct pt_visit visit = visit_of(&f->table, vaddr, format_level_of(f->format, page_size));

    return slot_of(f, &visit);
}

static inline void watch_page(struct fixture *f, struct breaking *breaking, pt_vaddr vaddr, uint64_t page_size)
{
    watch_slots(f, breaking, slot_at(f, vaddr, page_size), format_page_entries(f->format, page_size));
}

/** Exactly one range, and that one. */
static inline void check_owes_range(const struct pt_flush *flush, pt_vaddr vaddr, uint64_t size, uint64_t page_size)
{
    assert_false(flush->everything);
    assert_int_equal(flush->range_count, 1);
    assert_hex_equal(flush->ranges[0].vaddr, vaddr);
    assert_hex_equal(flush->ranges[0].size, size);
    assert_hex_equal(flush->ranges[0].page_size, format_step(flush->format, page_size));
}

/**
 * Whoever invalidates one address per page_size of each range hits every page of [vaddr, vaddr + size),
 * which are page_size large: no range that holds one goes in larger steps.
 */
static inline void check_covers(const struct pt_flush *flush, pt_vaddr vaddr, uint64_t size, uint64_t page_size)
{
    const uint64_t step = format_step(flush->format, page_size);

    for (uint64_t offset = 0; offset < size && !flush->everything; offset += step) {
        bool hit = false;

        for (unsigned i = 0; i < flush->range_count && !hit; i++)
            hit = vaddr + offset - flush->ranges[i].vaddr < flush->ranges[i].size && flush->ranges[i].page_size <= step;
        if (!hit)
            fail_msg("the page of 0x%" PRIx64 " at 0x%" PRIx64 " is not invalidated", page_size, vaddr + offset);
    }
}

#endif
