/* SPDX-License-Identifier: MIT */
/*
 * AArch64 stage 1, 4K granule. Arm Architecture Reference Manual (DDI 0487), D8.3 (descriptors), D8.4
 * (rights), D8.5 (accessed and dirty), D8.6 (memory types; MAIR_EL1 = 0xff in byte 1, 0x44 in byte 2, 0x04 in
 * byte 0), D8.16 (what is cached and invalidated, break-before-make).
 */
#include "mmu.h"

#define BIT(n) (UINT64_C(1) << (n))
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

static bool is_wide(const struct mmu *mmu)
{
    return mmu->format->features & PT_FEATURE_WIDE_PA;
}

/* TCR_EL1.DS = 1, 4K or 16K granule: address bits 51:50 in 9:8, and no shareability; the 64K granule: 51:48 in 15:12. */
static pt_paddr address(const struct mmu *mmu, uint64_t entry)
{
    if (!is_wide(mmu))
        return entry & BITS(47, 12);
    if (mmu->format->page_shift == 16)
        return (entry & BITS(47, 16)) | (entry >> 12 & 0xf) << 48;
    return (entry & BITS(49, 12)) | (entry >> 8 & 3) << 50;
}

static struct mmu_entry page(const struct mmu *mmu, uint64_t entry, uint64_t size)
{
    bool one_level = mmu->format->features & PT_FEATURE_EL2;
    bool user = entry & BIT(6), read_only = entry & BIT(7), dbm = entry & BIT(51);
    bool records = mmu_records(mmu), lpa2 = is_wide(mmu) && mmu->format->page_shift != 16;
    unsigned attributes = (unsigned)(entry >> 2 & 7), shareable = lpa2 ? 3 : (unsigned)(entry >> 8 & 3);
    struct mmu_entry found = {.kind = MMU_PAGE, .paddr = address(mmu, entry), .flags = PT_READ};

    found.flags |= user ? PT_USER : 0;
    found.flags |= !read_only || (records && dbm) ? PT_WRITE : 0;
    found.flags |= entry & (user ? BIT(54) : BIT(53)) ? 0 : PT_EXECUTE;
    found.flags |= one_level || (entry & BIT(11)) ? 0 : PT_GLOBAL;
    found.flags |= attributes == 0 ? PT_DEVICE : attributes == 2 ? PT_UNCACHED : 0;
    if (records)
        found.flags |= (entry & BIT(10) ? PT_ACCESSED : 0) | (!read_only && dbm ? PT_DIRTY : 0);

    if (found.paddr & (size - 1))
        found.wrong = "a block with reserved bits set";
    else if (entry & (lpa2 ? BIT(50) : BITS(50, 48)))
        found.wrong = "reserved bits set";
    else if (one_level && (!user || (entry & (BIT(11) | BIT(53)))))
        found.wrong = "AP[1] clear, nG or bit 53 set, where there is no EL0";
    else if (!one_level && !(entry & (user ? BIT(53) : BIT(54))))
        found.wrong = "the other exception level may execute it";
    else if (attributes > 2)
        found.wrong = "a memory type that is none";
    else if (attributes != 0 && shareable != 3)
        found.wrong = "not inner shareable";
    else if (!records && !(entry & BIT(10)))
        found.wrong = "an access flag fault";
    else if (!records && dbm)
        found.wrong = "dirty bit management that nobody asked for";
    else if ((entry & BIT(52)) && mmu->format->group_bits[0] == 0)
        found.wrong = "a contiguous hint that nobody asked for";
    return found;
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    uint64_t size = mmu_entry_size(mmu, level);
    bool last = level == mmu->format->levels - 1u;
    struct mmu_entry found = {.kind = MMU_NOTHING};

    if (!(entry & BIT(0)))
        return found;
    if (last || !(entry & BIT(1))) {
        found = page(mmu, entry, size);
        if (last ? !(entry & BIT(1)) : size > (is_wide(mmu) ? PT_512G : PT_1G))
            found.wrong = "a reserved descriptor";
        return found;
    }
    found.kind = MMU_TABLE;
    found.paddr = address(mmu, entry);
    if (entry & (BITS(63, 59) | (is_wide(mmu) ? BIT(50) : BITS(50, 48))))
        found.wrong = "a table that takes rights from the pages below it, or has reserved bits set";
    return found;
}

/* FEAT_HAFDBS: AF, and with DBM a write makes the page writable. Tables record nothing. */
static uint64_t record(uint64_t entry, enum mmu_kind kind, bool write)
{
    if (kind != MMU_PAGE)
        return entry;
    entry |= BIT(10);
    return write && (entry & BIT(51)) ? entry & ~BIT(7) : entry;
}

const struct mmu_arch mmu_aarch64 = {
    .formats = {"pt_aarch64", "test_aarch64_4k_lpa2"},
    .decode = decode,
    .record = record,
    .breaks_before_make = true,
    .tables_forget_pointers = true,
};
