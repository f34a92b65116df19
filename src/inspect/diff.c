/* SPDX-License-Identifier: MIT */
/* What differs between two tables: their ranges, side by side. */
#include "view.h"

struct side {
    struct pt_ranges ranges;
    struct pt_range range; /* what is left of it; size == 0: nothing comes any more */
};

static void begin(struct side *side, const struct page_table *pt)
{
    pt_ranges_init(&side->ranges, pt, 0, PT_RANGES_CONTIGUOUS | PT_RANGES_PAGE_SIZE);
    side->ranges.tables_left = view_tables_at_most(pt);
    (void)pt_ranges_next(&side->ranges, &side->range);
}

static void take(struct side *side, uint64_t size)
{
    side->range.vaddr += size;
    side->range.mapping.paddr += size;
    side->range.size -= size;
    if (side->range.size == 0)
        (void)pt_ranges_next(&side->ranges, &side->range);
}

/* How much of *side comes before *other begins. */
static uint64_t alone(const struct side *side, const struct side *other)
{
    uint64_t until;

    if (side->range.size == 0 || (other->range.size > 0 && other->range.vaddr <= side->range.vaddr))
        return 0;
    until = other->range.vaddr - side->range.vaddr;
    return other->range.size > 0 && until < side->range.size ? until : side->range.size;
}

/* The next addresses that are alike in what they differ in; false: none. */
static bool next(struct side *a, struct side *b, pt_flags flags, struct pt_difference *difference)
{
    const struct pt_range *in_a = &a->range, *in_b = &b->range;
    uint64_t only_a = alone(a, b), only_b = alone(b, a);

    *difference = (struct pt_difference){.size = 0};
    if (in_a->size == 0 && in_b->size == 0)
        return false;
    if (only_a > 0 || only_b > 0) {
        difference->differs = only_a ? PT_DIFFERS_ONLY_IN_A : PT_DIFFERS_ONLY_IN_B;
        difference->vaddr = only_a ? in_a->vaddr : in_b->vaddr;
        difference->size = only_a ? only_a : only_b;
        if (only_a)
            difference->a = in_a->mapping;
        else
            difference->b = in_b->mapping;
    } else {
        difference->vaddr = in_a->vaddr;
        difference->size = in_a->size < in_b->size ? in_a->size : in_b->size;
        difference->a = in_a->mapping;
        difference->b = in_b->mapping;
        difference->differs = (in_a->mapping.paddr != in_b->mapping.paddr ? PT_DIFFERS_IN_FRAME : 0) |
                              (in_a->mapping.page_size != in_b->mapping.page_size ? PT_DIFFERS_IN_SIZE : 0) |
                              (((in_a->mapping.flags ^ in_b->mapping.flags) & flags) != 0 ? PT_DIFFERS_IN_FLAGS : 0);
    }
    if (!only_b)
        take(a, difference->size);
    if (!only_a)
        take(b, difference->size);
    return true;
}

/* `more` goes on where *difference ends, in the same way. */
static bool joins(const struct pt_difference *difference, const struct pt_difference *more)
{
    return difference->size > 0 && difference->differs == more->differs &&
           difference->vaddr + difference->size == more->vaddr && difference->a.flags == more->a.flags &&
           difference->b.flags == more->b.flags && difference->a.page_size == more->a.page_size &&
           difference->b.page_size == more->b.page_size &&
           (more->a.page_size == 0 || difference->a.paddr + difference->size == more->a.paddr) &&
           (more->b.page_size == 0 || difference->b.paddr + difference->size == more->b.paddr);
}

size_t pt_diff(const struct page_table *a, const struct page_table *b, pt_flags flags, pt_difference_visitor visitor,
               void *arg)
{
    struct pt_difference held = {.size = 0}, difference;
    struct side side_a, side_b;
    size_t count = 0;
    bool stopped;

    begin(&side_a, a);
    begin(&side_b, b);
    /* What comes behind the place where one of them stopped cannot be compared. */
    while (stopped =
               (side_a.range.size == 0 && side_a.ranges.stopped) || (side_b.range.size == 0 && side_b.ranges.stopped),
           !stopped && next(&side_a, &side_b, flags, &difference)) {
        if (joins(&held, &difference)) {
            held.size += difference.size;
            continue;
        }
        if (held.size > 0 && held.differs != 0 && (count++, !visitor(arg, &held)))
            return count;
        held = difference;
    }
    if (held.size > 0 && held.differs != 0) {
        count++;
        if (!visitor(arg, &held))
            return count;
    }
    if (stopped) {
        held = (struct pt_difference){.differs = PT_DIFFERS_UNKNOWN, .vaddr = held.vaddr + held.size};
        count++;
        (void)visitor(arg, &held);
    }
    return count;
}
