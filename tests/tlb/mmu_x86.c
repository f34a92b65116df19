/* SPDX-License-Identifier: MIT */
/*
 * x86_64. Intel SDM vol. 3A, 4.5 (tables 4-14 to 4-20: the entries and their reserved bits), 4.6 (rights), 4.8
 * (accessed and dirty), 4.9 (memory types; the PAT as it is after reset), 4.10 (what is cached and invalidated).
 */
#include "mmu.h"

#define BIT(n) (UINT64_C(1) << (n))
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

/* PAT after reset: WB, WT, UC-, UC, and the same again. */
static pt_flags memory_type(unsigned index)
{
    switch (index & 3) {
    case 2:
        return PT_UNCACHED;
    case 3:
        return PT_DEVICE;
    default:
        return 0;
    }
}

static struct mmu_entry page(const struct mmu *mmu, uint64_t entry, uint64_t size, unsigned pat_bit)
{
    unsigned index = (unsigned)(entry >> 3 & 3) | (unsigned)(entry >> pat_bit & 1) << 2;
    struct mmu_entry found = {.kind = MMU_PAGE, .paddr = entry & BITS(51, 12) & ~(size - 1), .flags = PT_READ};

    found.flags |= entry & BIT(1) ? PT_WRITE : 0;
    found.flags |= entry & BIT(2) ? PT_USER : 0;
    found.flags |= entry & BIT(63) ? 0 : PT_EXECUTE;
    found.flags |= entry & BIT(8) ? PT_GLOBAL : 0;
    found.flags |= memory_type(index);
    found.flags |= entry & BIT(5) ? PT_ACCESSED : 0;
    found.flags |= entry & BIT(6) ? PT_DIRTY : 0;
    if (index != mmu->format->memory_index.normal && index != mmu->format->memory_index.device &&
        index != mmu->format->memory_index.uncached)
        found.wrong = "a memory type that nobody asked for";
    if ((entry & BIT(6)) && !(entry & BIT(1)))
        found.wrong = "a shadow-stack page: dirty and not writable";
    return found;
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    uint64_t size = mmu_entry_size(mmu, level);
    struct mmu_entry found = {.kind = MMU_NOTHING};

    if (!(entry & BIT(0))) {
        /* Not present, and yet the L1 cache may be read at its address (L1TF): none that could be memory. */
        if (entry != 0 && !(entry & BIT(51)))
            found.wrong = "not present, with the address of memory";
        return found;
    }
    if (level == mmu->format->levels - 1u)
        return page(mmu, entry, size, 7);
    if (entry & BIT(7)) {
        found = page(mmu, entry, size, 12);
        if (size > PT_1G)
            found.wrong = "a page in a level that has none";
        else if (entry & (size - 1) & BITS(29, 13))
            found.wrong = "a huge page with reserved bits set";
        return found;
    }
    found.kind = MMU_TABLE;
    found.paddr = entry & BITS(51, 12);
    if (!(entry & BIT(1)) || !(entry & BIT(2)) || (entry & BIT(63)))
        found.wrong = "a table that takes rights from the pages below it";
    if (entry & (BIT(3) | BIT(4)))
        found.wrong = "a table that is not cached";
    return found;
}

static uint64_t record(uint64_t entry, enum mmu_kind kind, bool write)
{
    return entry | BIT(5) | (kind == MMU_PAGE && write ? BIT(6) : 0);
}

const struct mmu_arch mmu_x86 = {
    .formats = {"pt_x86_64", "pt_x86_64_la57"},
    .decode = decode,
    .record = record,
    .always_records = true,
    .any_forgets_pointers = true,
    .may_use_faulting_rights = true,
};
