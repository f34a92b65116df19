/* SPDX-License-Identifier: MIT */
/* What the MMU remembers, and what makes it forget. */
#include "mmu.h"

const struct mmu_page *mmu_page_at(const struct mmu_tlb_entry *entry, pt_vaddr vaddr, pt_paddr *paddr)
{
    uint64_t size = entry->size / entry->pages;
    const struct mmu_page *page = &entry->page[(vaddr - entry->first) / size];

    *paddr = page->paddr + ((vaddr - entry->first) & (size - 1));
    return page;
}

bool mmu_serves(const struct mmu_pointer *pointer, pt_vaddr vaddr)
{
    return vaddr - pointer->first < pointer->size;
}

bool mmu_tlb_covers(const struct mmu_tlb_entry *entry, pt_vaddr vaddr, uint32_t asid)
{
    return vaddr - entry->first < entry->size && (entry->global || entry->asid == asid);
}

/* ---- Forgetting -------------------------------------------------------------------------------- */

/* Some address that an invalidation of the range names, one for each page_size, lies in [first, first + size). */
static bool names_one_in(const struct pt_flush_range *range, pt_vaddr first, uint64_t size)
{
    uint64_t ahead = first > range->vaddr ? first - range->vaddr : 0;
    uint64_t offset = (ahead + range->page_size - 1) / range->page_size * range->page_size;

    return offset < range->size && range->vaddr + offset - first < size;
}

static bool flush_names_one_in(const struct pt_flush *flush, pt_vaddr first, uint64_t size)
{
    for (unsigned i = 0; i < flush->range_count; i++)
        if (names_one_in(&flush->ranges[i], first, size))
            return true;
    return false;
}

/*
 * What is in the TLB without being a page of the address: an entry that was not valid, of a level where a table
 * stands by now. An invalidation by address need not reach it.
 */
static bool is_about_a_table(const struct mmu *mmu, const struct mmu_tlb_entry *entry)
{
    size_t offset;
    pt_paddr paddr;

    if (entry->page[0].valid || mmu->arch->pairs)
        return false;
    offset = (size_t)((const unsigned char *)entry->slot - mmu->memory->bytes);
    paddr = mmu->memory->base + offset;
    return memory_is_taken(mmu->memory, paddr) &&
           mmu->arch->decode(mmu, mmu_load(mmu, entry->slot), entry->level).kind == MMU_TABLE;
}

bool mmu_invalidate(struct mmu *mmu, const struct pt_flush *flush)
{
    const struct mmu_arch *arch = mmu->arch;
    bool any_address = flush->asid == PT_NO_ASID; /* every address space, global or not */
    bool all = flush->everything || (flush->tables_changed && arch->tables_forget_all && flush->range_count > 0);
    bool loaded = false;
    size_t kept = 0, before = mmu->tlb_count + mmu->pointer_count;

    for (size_t i = 0; i < mmu->tlb_count; i++) {
        struct mmu_tlb_entry *entry = &mmu->tlb[i];
        bool meant = any_address || (entry->global ? flush->global : entry->asid == flush->asid);
        bool named = all || (flush_names_one_in(flush, entry->first, entry->size) && !is_about_a_table(mmu, entry));

        if (!meant || !named)
            mmu->tlb[kept++] = *entry;
    }
    mmu->tlb_count = kept;

    kept = 0;
    for (size_t i = 0; i < mmu->pointer_count; i++) {
        struct mmu_pointer *pointer = &mmu->pointer[i];
        bool meant = any_address || pointer->asid == flush->asid;
        bool named = all || (arch->any_forgets_pointers && flush->range_count > 0) ||
                     (arch->tables_forget_pointers && flush->tables_changed &&
                      flush_names_one_in(flush, pointer->first, pointer->size));

        if (!meant || !named)
            mmu->pointer[kept++] = *pointer;
    }
    mmu->pointer_count = kept;

    /* Only who is told that everything changed, with tables, loads the root again. */
    for (size_t r = 0; mmu_latches_root(mmu) && r < MMU_ROOTS; r++)
        if (mmu->root[r].table && flush->everything && flush->tables_changed &&
            (any_address || mmu->root[r].asid == flush->asid)) {
            mmu_set_root(mmu, r, mmu->root[r].table, mmu->root[r].asid);
            loaded = true;
        }
    return loaded || mmu->tlb_count + mmu->pointer_count != before;
}
