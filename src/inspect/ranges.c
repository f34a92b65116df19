/* SPDX-License-Identifier: MIT */
/* Runs of pages that are alike. */
#include "view.h"

struct gathering {
    struct pt_ranges *ranges;
    struct pt_range *range; /* size == 0: nothing yet */
};

/* Of the bits that are translated. */
static bool is_within(const struct pt_ranges *ranges, pt_vaddr vaddr, pt_vaddr first, uint64_t size)
{
    return ((vaddr - first) & ranges->pt->measures.translated) < size;
}

/* The page goes on where the range ends, and is like it in all that was asked for. */
static bool goes_on(const struct pt_ranges *ranges, const struct pt_range *range, const struct pt_visit *visit)
{
    const struct pt_mapping *page = &visit->mapping;

    return range->vaddr + range->size == visit->vaddr &&
           ((range->mapping.flags ^ page->flags) & ~ranges->ignored_flags) == 0 &&
           (!(ranges->alike & PT_RANGES_CONTIGUOUS) || range->mapping.paddr + range->size == page->paddr) &&
           (!(ranges->alike & PT_RANGES_PAGE_SIZE) || range->mapping.page_size == page->page_size);
}

static bool gather(void *arg, const struct pt_visit *visit)
{
    struct gathering *gathering = arg;
    struct pt_ranges *ranges = gathering->ranges;
    struct pt_range *range = gathering->range;
    uint64_t before = 0;

    if (!visit->is_leaf) {
        if (ranges->tables_left > 0) {
            ranges->tables_left--;
            return true;
        }
        ranges->stopped = true;
        /* Nothing is below what was looked at. */
        if (range->size == 0 &&
            !is_within(ranges, ranges->next, visit->vaddr, UINT64_C(1) << view_shift(ranges->pt, visit->level)))
            ranges->next = visit->vaddr;
        return false;
    }
    if (range->size > 0 && !goes_on(ranges, range, visit))
        return false;
    if (range->size == 0) {
        /* The first one may begin before the address that was asked for. */
        if (is_within(ranges, ranges->next, visit->vaddr, visit->mapping.page_size))
            before = (ranges->next - visit->vaddr) & ranges->pt->measures.translated;
        *range = (struct pt_range){.vaddr = visit->vaddr + before, .mapping = visit->mapping};
        range->mapping.paddr += before;
    }
    range->size += visit->mapping.page_size - before;
    return true;
}

void pt_ranges_init(struct pt_ranges *ranges, const struct page_table *pt, pt_vaddr from, unsigned alike)
{
    *ranges = (struct pt_ranges){
        .pt = pt,
        .next = from,
        .alike = alike,
        .ignored_flags = alike & PT_RANGES_RECORDED ? 0 : PT_ACCESSED | PT_DIRTY,
        .tables_left = UINT64_MAX,
    };
}

bool pt_ranges_next(struct pt_ranges *ranges, struct pt_range *range)
{
    struct gathering gathering = {ranges, range};
    const struct page_table *pt = ranges->pt;
    pt_vaddr last;

    *range = (struct pt_range){.size = 0};
    if (ranges->done || ranges->stopped)
        return false;
    pt_walk_from(pt, ranges->next, SIZE_MAX, gather, NULL, &gathering);
    if (range->size == 0) {
        ranges->done = !ranges->stopped;
        return false;
    }
    /* All translated bits are set in the very last address. */
    last = range->vaddr + (range->size - 1);
    ranges->done = (last & pt->measures.translated) == pt->measures.translated;
    ranges->next = last + 1;
    return true;
}
