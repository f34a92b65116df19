/* SPDX-License-Identifier: MIT */
#include "view.h"

/* uint64_t is aligned to 4 on 32-bit x86. */
typedef uint64_t entry_8 __attribute__((aligned(8)));

bool pt_view_read(const struct page_table *pt, struct view_table *table, size_t index, uint64_t *bits)
{
    unsigned size = pt->measures.entry_size;
    pt_paddr paddr = table->paddr + (uint64_t)index * size;
    pt_paddr frame = paddr & ~(PT_FRAME_SIZE - 1);
    const char *entry;

    if (paddr < table->paddr)
        return false;
    if (frame != table->frame) {
        const struct pt_handler *handler = pt->handler;

        table->contents = handler->phys_to_virt ? handler->phys_to_virt(pt->ctx, frame)
                                                : (const void *)((uintptr_t)frame + handler->linear_offset);
        if (!table->contents)
            return false;
        table->frame = frame;
    }

    entry = (const char *)table->contents + (paddr & (PT_FRAME_SIZE - 1));
    if (((uintptr_t)entry & (size - 1)) != 0)
        return false; /* no frame is */
    if (size == 4)
        *bits = __atomic_load_n((const uint32_t *)(uintptr_t)entry, __ATOMIC_ACQUIRE);
#if defined(__LP64__) || __GCC_ATOMIC_LLONG_LOCK_FREE == 2
    else
        *bits = __atomic_load_n((const entry_8 *)(uintptr_t)entry, __ATOMIC_ACQUIRE);
#else
    else
        *bits = *(const volatile entry_8 *)(uintptr_t)entry;
#endif
    return true;
}

struct pt_mapping pt_view_page(const struct page_table *pt, struct view_table *table, unsigned level, size_t index,
                               uint64_t above, const struct pt_decoded *leaf)
{
    const pt_flags recorded = PT_ACCESSED | PT_DIRTY;
    uint64_t size = UINT64_C(1) << view_shift(pt, level);
    struct pt_mapping alone = {leaf->paddr, size, leaf->flags}, page = alone;
    size_t count = (size_t)1 << leaf->group, first = index & ~(count - 1);

    if (count == 1)
        return alone;
    page.page_size = size * count;
    page.paddr -= (index - first) * size;
    for (size_t i = first; i < first + count; i++) {
        struct pt_decoded other;
        uint64_t bits;

        if (!pt_view_read(pt, table, i, &bits))
            return alone;
        pt_decode(pt, level, i, bits, above, pt->is_adopted, &other);
        if (other.kind != PT_ENTRY_LEAF || other.malformed || other.group != leaf->group ||
            other.paddr != page.paddr + (i - first) * size || ((other.flags ^ page.flags) & ~recorded) != 0)
            return alone;
        page.flags |= other.flags & recorded;
    }
    return page.paddr & (page.page_size - 1) ? alone : page;
}
