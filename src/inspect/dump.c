/* SPDX-License-Identifier: MIT */
/* The mappings as text: one line for each range of pages that differ in nothing but their place. */
#include "text.h"
#include "view.h"

static void put_range(struct text *text, const struct pt_range *range)
{
    pt_text_hex(text, range->vaddr, 16);
    pt_text_put(text, "-");
    pt_text_hex(text, range->vaddr + (range->size - 1), 16);
    pt_text_put(text, " -> ");
    pt_text_hex(text, range->mapping.paddr, 16);
    pt_text_put(text, " ");
    pt_text_size(text, range->size);
    pt_text_put(text, " of ");
    pt_text_size(text, range->mapping.page_size);
    pt_text_put(text, " ");
    pt_text_flags(text, range->mapping.flags);
    pt_text_put(text, "\n");
}

void pt_dump_marked(const struct page_table *pt, const struct pt_marker *markers, size_t count,
                    void (*write)(void *arg, const char *text, size_t length), void *arg)
{
    struct text text = {.write = write, .arg = arg};
    struct pt_ranges ranges;
    struct pt_range range;
    size_t next = 0;

    pt_ranges_init(&ranges, pt, 0, PT_RANGES_CONTIGUOUS | PT_RANGES_PAGE_SIZE);
    ranges.tables_left = view_tables_at_most(pt);
    while (pt_ranges_next(&ranges, &range)) {
        /* Up to each marker in it, and the rest. */
        while (next < count && markers[next].vaddr <= range.vaddr + (range.size - 1)) {
            uint64_t before = markers[next].vaddr > range.vaddr ? markers[next].vaddr - range.vaddr : 0;
            struct pt_range first = {range.vaddr, before, range.mapping};

            if (before > 0)
                put_range(&text, &first);
            range.vaddr += before;
            range.size -= before;
            range.mapping.paddr += before;
            pt_text_put(&text, "---- ");
            pt_text_put(&text, markers[next++].name);
            pt_text_put(&text, "\n");
        }
        put_range(&text, &range);
    }
    if (ranges.stopped) {
        pt_text_put(&text, "---- ");
        pt_text_hex(&text, ranges.next, 16);
        pt_text_put(&text, " and all above: not looked at, the tables have no end\n");
    }
}

void pt_dump(const struct page_table *pt, void (*write)(void *arg, const char *text, size_t length), void *arg)
{
    pt_dump_marked(pt, NULL, 0, write, arg);
}
