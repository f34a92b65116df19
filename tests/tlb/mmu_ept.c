/* SPDX-License-Identifier: MIT */
/*
 * Intel EPT. Intel SDM vol. 3C, 28.3.2 (tables 28-1 to 28-7: the entries), 28.3.3.1 (EPT misconfigurations), 28.3.3.2
 * (EPT violations; the mapping that was used for one is invalidated), 28.3.5 (accessed and dirty), 28.3.7 (memory
 * types), 28.4.2 (what is cached).
 *
 * There is INVEPT alone, which names no address. That invalidations are as weak as INVLPG here makes the test stricter.
 */
#include "mmu.h"

static bool has(const struct mmu *mmu, uint32_t feature)
{
    return mmu->format->features & feature;
}

/* 28.3.2: the entry is present if any of bits 2:0 is set, or with mode-based execute control bit 10. */
static uint64_t rights(const struct mmu *mmu)
{
    return BITS(2, 0) | (has(mmu, PT_FEATURE_MODE_EXECUTE) ? BIT(10) : 0);
}

/* 28.3.3.1 */
static const char *misconfigured(const struct mmu *mmu, uint64_t entry)
{
    if ((entry & BIT(1)) && !(entry & BIT(0)))
        return "misconfigured: writable and not readable";
    if (!(entry & BIT(0)) && !has(mmu, PT_FEATURE_EXECUTE_ONLY))
        return "misconfigured: execute-only, which the CPU has not";
    if (mmu->format->pa_bits < 52 && (entry & BITS(51, mmu->format->pa_bits)))
        return "misconfigured: an address beyond MAXPHYADDR";
    return NULL;
}

static struct mmu_entry table(const struct mmu *mmu, uint64_t entry)
{
    struct mmu_entry found = {.kind = MMU_TABLE, .paddr = entry & BITS(51, 12), .wrong = misconfigured(mmu, entry)};

    if ((entry & rights(mmu)) != rights(mmu))
        found.wrong = "a table that takes rights from the pages below it";
    else if (entry & BITS(7, 3))
        found.wrong = "misconfigured: a table with reserved bits set (7 to 3)";
    else if (!mmu_records(mmu) && (entry & BIT(8)))
        found.wrong = "a table with a bit that nobody asked for (8)";
    return found;
}

static struct mmu_entry page(const struct mmu *mmu, uint64_t entry, uint64_t size)
{
    unsigned type = (unsigned)(entry >> 3 & 7);
    bool ignores_pat = entry & BIT(6), by_mode = has(mmu, PT_FEATURE_MODE_EXECUTE);
    bool executable = entry & (BIT(2) | (by_mode ? BIT(10) : 0));
    struct mmu_entry found = {.kind = MMU_PAGE, .paddr = entry & BITS(51, 12), .wrong = misconfigured(mmu, entry)};

    found.flags |= entry & BIT(0) ? PT_READ : 0;
    found.flags |= entry & BIT(1) ? PT_WRITE : 0;
    found.flags |= executable ? PT_EXECUTE : 0;
    /* Who may execute is all that there is to tell of modes. */
    found.flags |= by_mode && executable && !(entry & BIT(10)) ? 0 : PT_USER;
    found.flags |= type == 0 ? PT_DEVICE : type == 1 ? PT_UNCACHED : 0;
    if (mmu_records(mmu))
        found.flags |= (entry & BIT(8) ? PT_ACCESSED : 0) | (entry & BIT(9) ? PT_DIRTY : 0);

    if (found.wrong)
        return found;
    if (type == 2 || type == 3 || type == 7)
        found.wrong = "misconfigured: a memory type that is reserved";
    else if (type != 0 && type != 1 && type != 6)
        found.wrong = "a memory type that nobody asked for";
    else if (type == 6 && ignores_pat != (mmu->format->memory_index.normal == 6 + 8))
        found.wrong = "the guest's PAT counts, where it was not to, or the other way round";
    else if (size > PT_1G)
        found.wrong = "misconfigured: a page in a level that has none";
    else if (found.paddr & (size - 1))
        found.wrong = "misconfigured: a large page with reserved bits set";
    else if (by_mode && (entry & BIT(10)) && !(entry & BIT(2)))
        found.wrong = "executable in user mode alone, which nobody asked for";
    else if (has(mmu, PT_FEATURE_SUPPRESS_VE) != ((entry & BIT(63)) != 0))
        found.wrong = "a virtualization exception that nobody asked for, or the other way round";
    return found;
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    struct mmu_entry found = {.kind = MMU_NOTHING};
    bool last = level == mmu->format->levels - 1u;

    if (!(entry & rights(mmu))) {
        /* Not present, and yet the L1 cache may be read at its address (L1TF): none that could be memory. */
        if (entry != 0 && !(entry & BIT(mmu->format->pa_bits - 1u)))
            found.wrong = "not present, with the address of memory";
        return found;
    }
    if (last || (entry & BIT(7)))
        return page(mmu, entry, mmu_entry_size(mmu, level));
    return table(mmu, entry);
}

static uint64_t record(const struct mmu *mmu, uint64_t entry, unsigned level, enum mmu_kind kind, bool write)
{
    (void)mmu;
    (void)level;
    return entry | BIT(8) | (kind == MMU_PAGE && write ? BIT(9) : 0);
}

const struct mmu_arch mmu_ept = {
    .formats = {"pt_ept_4level", "pt_ept_5level", "test_ept_all"},
    .decode = decode,
    .record = record,
    .any_forgets_pointers = true,
    .may_use_faulting_rights = true,
};
