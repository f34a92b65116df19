/* SPDX-License-Identifier: MIT */
/*
 * x86. Intel SDM vol. 3A, 4.3, 4.4, 4.5 (tables 4-4 to 4-20: the entries and their reserved bits), 4.6 (rights), 4.8
 * (accessed and dirty), 4.9 (memory types; the PAT as it is after reset), 4.10 (what is cached and invalidated); AMD APM
 * vol. 2, 15.25 (nested paging); SEV: 15.34.
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

static bool is_pae(const struct mmu *mmu)
{
    return mmu->format->levels == 3;
}

static bool is_nested(const struct mmu *mmu)
{
    return mmu->format->features & PT_FEATURE_SECOND_STAGE;
}

static bool has_nx(const struct mmu *mmu)
{
    return mmu->format->features & PT_FEATURE_NX;
}

/* What a guest of SEV sees: the C-bit stands in the address and is none of it. */
static uint64_t c_bit(const struct mmu *mmu)
{
    return mmu->format->leaf_bits;
}

static const char *wrong_page(const struct mmu *mmu, uint64_t entry, uint64_t size, unsigned index)
{
    const struct pt_format *format = mmu->format;

    if (index != format->memory_index.normal && index != format->memory_index.device &&
        index != format->memory_index.uncached)
        return "a memory type that nobody asked for";
    if ((entry & BIT(6)) && !(entry & BIT(1)))
        return "a shadow-stack page: dirty and not writable";
    if (size > PT_1G || (is_pae(mmu) && size > PT_2M))
        return "a page in a level that has none";
    if (entry & (size - 1) & BITS(29, 13))
        return "a huge page with reserved bits set";
    if ((entry & BIT(63)) && !has_nx(mmu))
        return "XD without EFER.NXE";
    if (is_pae(mmu) && (entry & BITS(62, 52)))
        return "a PAE page with reserved bits set";
    if (is_nested(mmu) && !(entry & BIT(2)))
        return "a nested page that the guest, which is always a user, cannot use";
    if ((entry & c_bit(mmu)) != c_bit(mmu))
        return "a page that is not encrypted";
    return NULL;
}

static struct mmu_entry page(const struct mmu *mmu, uint64_t entry, uint64_t size, unsigned pat_bit)
{
    unsigned index = (unsigned)(entry >> 3 & 3) | (unsigned)(entry >> pat_bit & 1) << 2;
    struct mmu_entry found = {
        .kind = MMU_PAGE, .paddr = entry & BITS(51, 12) & ~(size - 1) & ~c_bit(mmu), .flags = PT_READ};

    found.flags |= entry & BIT(1) ? PT_WRITE : 0;
    found.flags |= entry & BIT(2) ? PT_USER : 0;
    found.flags |= entry & BIT(63) ? 0 : PT_EXECUTE;
    found.flags |= (entry & BIT(8)) && !is_nested(mmu) ? PT_GLOBAL : 0;
    found.flags |= memory_type(index);
    found.flags |= entry & BIT(5) ? PT_ACCESSED : 0;
    found.flags |= entry & BIT(6) ? PT_DIRTY : 0;
    found.wrong = wrong_page(mmu, entry, size, index);
    return found;
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    uint64_t size = mmu_entry_size(mmu, level);
    struct mmu_entry found = {.kind = MMU_NOTHING};

    if (!(entry & BIT(0))) {
        /* Not present, and yet the L1 cache may be read at its address (L1TF): none that could be memory. */
        if (entry != 0 && !(entry & BIT(mmu->format->pa_bits > 51 ? 51 : mmu->format->pa_bits - 1u)))
            found.wrong = "not present, with the address of memory";
        return found;
    }
    if (level == mmu->format->levels - 1u)
        return page(mmu, entry, size, 7);
    if (is_pae(mmu) && level == 0) {
        found.kind = MMU_TABLE;
        found.paddr = entry & BITS(51, 12);
        if (entry & (BITS(63, 52) | BITS(8, 5) | BITS(2, 1)))
            found.wrong = "a PDPTE with reserved bits set";
        return found;
    }
    if (entry & BIT(7))
        return page(mmu, entry, size, 12);
    found.kind = MMU_TABLE;
    found.paddr = entry & BITS(51, 12) & ~c_bit(mmu);
    if (!(entry & BIT(1)) || !(entry & BIT(2)) || (entry & BIT(63)))
        found.wrong = "a table that takes rights from the pages below it";
    else if (entry & (BIT(3) | BIT(4)))
        found.wrong = "a table that is not cached";
    else if ((entry & c_bit(mmu)) != c_bit(mmu))
        found.wrong = "a table that is not encrypted";
    return found;
}

static uint64_t record(uint64_t entry, enum mmu_kind kind, bool write)
{
    return entry | BIT(5) | (kind == MMU_PAGE && write ? BIT(6) : 0);
}

const struct mmu_arch mmu_x86 = {
    .formats = {"pt_x86_64", "pt_x86_64_la57", "test_x86_64_no_nx", "test_x86_64_sev"},
    .decode = decode,
    .record = record,
    .always_records = true,
    .any_forgets_pointers = true,
    .may_use_faulting_rights = true,
};
