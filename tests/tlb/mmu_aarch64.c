/* SPDX-License-Identifier: MIT */
/*
 * AArch64. Arm Architecture Reference Manual (DDI 0487), D8.3 (descriptors, contiguous hint), D8.4 (rights), D8.5
 * (accessed and dirty), D8.6 (memory types), D8.7.1 (contiguous entries agree), D8.16 (what is cached and invalidated,
 * break-before-make).
 *
 * Stage 1 with MAIR = 0xff in byte 1, 0x44 in byte 2, 0x04 in byte 0; stage 2 by D8.4.2, D8.6.5 and FEAT_S2FWB. And the
 * long descriptors of ARMv7 (DDI 0406C, B3.6.1, B3.7), where bit 54 is XN for both privilege levels, and 53 PXN.
 */
#include "mmu.h"

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

/* FEAT_LPA2: bits 9:8 are part of the address, bits 49:48 as well. */
static bool has_lpa2(const struct mmu *mmu)
{
    return is_wide(mmu) && mmu->format->page_shift != 16;
}

/* log2 of the entries that the contiguous hint joins, by granule and level (D8.7.1); 0: RES0. */
static unsigned contiguous_bits(const struct mmu *mmu, unsigned level)
{
    unsigned above_last = mmu->format->levels - 1u - level;

    switch (mmu->format->page_shift) {
    case 12:
        return above_last < 3 ? 4 : 0;
    case 14:
        return above_last == 0 ? 7 : above_last == 1 ? 5 : 0;
    default:
        return above_last < 2 ? 5 : 0;
    }
}

/* D8.3.1: the levels that have blocks, by granule; with 52-bit addresses one level more. */
static uint64_t largest_block(const struct mmu *mmu)
{
    switch (mmu->format->page_shift) {
    case 12:
        return is_wide(mmu) ? PT_512G : PT_1G;
    case 14:
        return is_wide(mmu) ? PT_64G : PT_32M;
    default:
        return is_wide(mmu) ? PT_4T : PT_512M;
    }
}

static struct mmu_entry page(const struct mmu *mmu, uint64_t entry)
{
    bool one_level = mmu->format->features & PT_FEATURE_EL2;
    bool user = entry & BIT(6), read_only = entry & BIT(7), dbm = entry & BIT(51);
    bool records = mmu_records(mmu), v7 = mmu->arch == &mmu_armv7_lpae;
    uint64_t never = v7 ? BIT(54) | BIT(53) : BIT(53); /* for EL1 */
    unsigned attributes = (unsigned)(entry >> 2 & 7), shareable = has_lpa2(mmu) ? 3 : (unsigned)(entry >> 8 & 3);
    struct mmu_entry found = {.kind = MMU_PAGE, .paddr = address(mmu, entry), .flags = PT_READ};

    found.flags |= user ? PT_USER : 0;
    found.flags |= !read_only || (records && dbm) ? PT_WRITE : 0;
    found.flags |= entry & (user ? BIT(54) : never) ? 0 : PT_EXECUTE;
    found.flags |= one_level || (entry & BIT(11)) ? 0 : PT_GLOBAL;
    found.flags |= attributes == 0 ? PT_DEVICE : attributes == 2 ? PT_UNCACHED : 0;
    if (records)
        found.flags |= (entry & BIT(10) ? PT_ACCESSED : 0) | (!read_only && dbm ? PT_DIRTY : 0);

    if (one_level && (!user || (entry & (BIT(11) | BIT(53)))))
        found.wrong = "AP[1] clear, nG or bit 53 set, where there is no EL0";
    else if (!one_level && !(entry & (user ? BIT(53) : BIT(54))) && (user || !v7))
        found.wrong = "the other exception level may execute it";
    else if (attributes > 2)
        found.wrong = "a memory type that is none";
    else if (attributes != 0 && shareable != 3)
        found.wrong = "not inner shareable";
    return found;
}

/* Write-back, Device-nGnRE and non-cacheable: MemAttr as it combines with the guest's, or with FEAT_S2FWB overrides it. */
static const char *stage2_memory(const struct mmu *mmu, unsigned attributes, pt_flags *flags)
{
    bool fwb = mmu->format->features & PT_FEATURE_FWB;

    if (attributes == (fwb ? 6 : 15))
        return NULL;
    if (attributes == 1)
        *flags |= PT_DEVICE;
    else if (attributes == 5)
        *flags |= PT_UNCACHED;
    else
        return "a memory type that is none, or that nobody asked for";
    return NULL;
}

/*
 * XN[1:0], bits 54:53 (D8.4.2): without FEAT_XNX bit 53 is RES0, and either level executes. With it: 0 both, 1 EL0
 * alone, 2 neither, 3 EL1 alone.
 */
static const char *stage2_execution(const struct mmu *mmu, uint64_t entry, pt_flags *flags)
{
    unsigned xn = (unsigned)(entry >> 53 & 3);
    bool xnx = mmu->format->features & PT_FEATURE_XNX;

    *flags |= xn != 2 && (xnx || xn == 0) ? PT_EXECUTE : 0;
    *flags |= xn != 3 ? PT_USER : 0;
    if (!xnx)
        return entry & BIT(53) ? "FEAT_XNX, which nobody asked for" : NULL;
    return xn == 0 ? "both levels may execute it, which nobody asked for" : NULL;
}

/* Bits 7:6 are S2AP: write, read. There is no nG. */
static struct mmu_entry stage2_page(const struct mmu *mmu, uint64_t entry)
{
    bool records = mmu_records(mmu), read = entry & BIT(6), write = entry & BIT(7), dbm = entry & BIT(51);
    bool device, lpa2 = has_lpa2(mmu);
    unsigned shareable = lpa2 ? 3 : (unsigned)(entry >> 8 & 3);
    struct mmu_entry found = {.kind = MMU_PAGE, .paddr = address(mmu, entry)};
    const char *wrong = stage2_execution(mmu, entry, &found.flags);

    found.flags |= read ? PT_READ : 0;
    found.flags |= write || (records && dbm) ? PT_WRITE : 0;
    found.wrong = stage2_memory(mmu, (unsigned)(entry >> 2 & 15), &found.flags);
    device = found.flags & PT_DEVICE;
    if (records)
        found.flags |= (entry & BIT(10) ? PT_ACCESSED : 0) | (write && dbm ? PT_DIRTY : 0);

    if (!device && shareable != 3)
        found.wrong = "not inner shareable";
    else if ((found.flags & PT_WRITE) && !read)
        found.wrong = "writable and not readable";
    else if (!(found.flags & (PT_READ | PT_WRITE | PT_EXECUTE)))
        found.wrong = "valid without any right";
    else if (wrong)
        found.wrong = wrong;
    else if (entry & BIT(11))
        found.wrong = "FEAT_FNX or nG, which nobody asked for";
    return found;
}

static uint64_t reserved(const struct mmu *mmu)
{
    return has_lpa2(mmu) ? BIT(50) : BITS(50, 48);
}

/* What both stages have in common. */
static const char *wrong_leaf(const struct mmu *mmu, uint64_t entry, unsigned level, const struct mmu_entry *found)
{
    uint64_t size = mmu_entry_size(mmu, level);

    if (found->paddr & (size - 1))
        return "a block with reserved bits set";
    if (entry & reserved(mmu))
        return "reserved bits set";
    if (!mmu_records(mmu) && !(entry & BIT(10)))
        return "an access flag fault";
    if (!mmu_records(mmu) && (entry & BIT(51)))
        return "dirty bit management that nobody asked for";
    if ((entry & BIT(52)) && (found->group_bits == 0 || !(mmu->format->page_sizes & size << found->group_bits)))
        return "a contiguous hint that nobody asked for";
    return NULL;
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    uint64_t size = mmu_entry_size(mmu, level);
    bool last = level == mmu->format->levels - 1u;
    struct mmu_entry found = {.kind = MMU_NOTHING};

    if (!(entry & BIT(0)))
        return found;
    if (last || !(entry & BIT(1))) {
        found = mmu->arch == &mmu_aarch64_stage2 ? stage2_page(mmu, entry) : page(mmu, entry);
        found.group_bits = entry & BIT(52) ? contiguous_bits(mmu, level) : 0;
        if (last ? !(entry & BIT(1)) : size > largest_block(mmu))
            found.wrong = "a reserved descriptor";
        else if (!found.wrong)
            found.wrong = wrong_leaf(mmu, entry, level, &found);
        return found;
    }
    found.kind = MMU_TABLE;
    found.paddr = address(mmu, entry);
    if (entry & (BITS(63, 59) | reserved(mmu)))
        found.wrong = "a table that takes rights from the pages below it, or has reserved bits set";
    return found;
}

/* FEAT_HAFDBS: AF, and with DBM a write makes the page writable: AP[2] is cleared, S2AP[1] set. Tables record nothing. */
static uint64_t record(const struct mmu *mmu, uint64_t entry, unsigned level, enum mmu_kind kind, bool write)
{
    (void)level;
    if (kind != MMU_PAGE)
        return entry;
    entry |= BIT(10);
    if (!write || !(entry & BIT(51)))
        return entry;
    return mmu->arch == &mmu_aarch64_stage2 ? entry | BIT(7) : entry & ~BIT(7);
}

const struct mmu_arch mmu_aarch64 = {
    .formats = {"pt_aarch64", "test_aarch64_4k_lpa2", "pt_aarch64_el2", "test_aarch64_4k_contiguous", "pt_aarch64_16k",
                "pt_aarch64_64k", "pt_aarch64_4k_52", "pt_aarch64_16k_52", "pt_aarch64_64k_52",
                "test_aarch64_16k_contiguous", "test_aarch64_64k_contiguous"},
    .decode = decode,
    .record = record,
    .breaks_before_make = true,
    .tables_forget_pointers = true,
};

const struct mmu_arch mmu_armv7_lpae = {
    .formats = {"test_armv7_lpae_no_1g", "test_armv7_lpae_ttbr1"},
    .decode = decode,
    .breaks_before_make = true,
    .tables_forget_pointers = true,
};

const struct mmu_arch mmu_aarch64_stage2 = {
    .formats = {"pt_aarch64_stage2", "pt_aarch64_stage2_16k", "pt_aarch64_stage2_64k", "test_aarch64_stage2_52",
                "test_aarch64_stage2_xnx"},
    .decode = decode,
    .record = record,
    .breaks_before_make = true,
    .tables_forget_pointers = true,
};
