/* SPDX-License-Identifier: MIT */
#include "flush.h"

#include "operations.h"

static void owe_nothing(struct pt_flush *flush)
{
    flush->global = false;
    flush->everything = false;
    flush->tables_changed = false;
    flush->barrier = false;
    flush->range_count = 0;
}

void pt_flush_init(struct pt_flush *flush, const struct page_table *pt)
{
    flush->format = pt->format;
    flush->handler = pt->handler;
    flush->ctx = pt->ctx;
    flush->asid = pt->has_lent ? PT_NO_ASID : pt->asid;
    flush->retired = PT_NO_FRAME;
    owe_nothing(flush);
}

void pt_flush_add(struct pt_flush *flush, pt_vaddr vaddr, uint64_t size, uint64_t page_size, bool global)
{
    flush->global |= global;
    if (flush->everything)
        return;

    if (flush->range_count > 0) {
        struct pt_flush_range *newest = &flush->ranges[flush->range_count - 1];

        if (vaddr != 0 && newest->vaddr + newest->size == vaddr && newest->page_size == page_size) {
            newest->size += size;
            return;
        }
    }
    if (flush->range_count == PT_FLUSH_RANGES) {
        flush->everything = true;
        return;
    }
    flush->ranges[flush->range_count++] = (struct pt_flush_range){vaddr, size, page_size};
}

bool pt_flush_overlaps(const struct pt_flush *flush, pt_vaddr first, pt_vaddr last)
{
    for (unsigned i = 0; i < flush->range_count; i++) {
        const struct pt_flush_range *range = &flush->ranges[i];

        if (range->vaddr <= last && range->vaddr + (range->size - 1) >= first)
            return true;
    }
    return flush->everything;
}

void pt_flush_invalidate(struct pt_flush *flush)
{
    bool stale = flush->everything || flush->range_count > 0;

    /* New entries only: no CPU holds anything of them, and the barrier is this CPU's. */
    if (stale && flush->handler->flush_tlb)
        flush->handler->flush_tlb(flush->ctx, flush);
    else if (stale || flush->barrier)
        pt_invalidate(flush);
    owe_nothing(flush);
}

void pt_flush(struct pt_flush *flush)
{
    pt_flush_invalidate(flush);
    pt_free_retired(flush);
}

void pt_flush_ignore(struct pt_flush *flush)
{
    owe_nothing(flush);
    pt_free_retired(flush);
}
