/* SPDX-License-Identifier: MIT */
/*
 * x86. Intel SDM vol. 3A, 4.3, 4.4, 4.5 (tables 4-4 to 4-20: the entries and their reserved bits), 4.4.1 (the PDPTEs of
 * PAE are held in registers), 4.6 (rights), 4.8 (accessed and dirty), 4.9 (memory types; the PAT as it is after reset),
 * 4.10 (what is cached and invalidated); AMD APM vol. 2, 15.25 (nested paging: the CPU walks these tables as a user);
 * SEV: 15.34; the shared bit of TDX: Intel TDX Module specification, "Guest Physical Address Space".
 */
#include "mmu.h"

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

static bool is_32(const struct mmu *mmu)
{
    return mmu->format->levels == 2;
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

/*
 * What stands in addresses and is none of them: in a guest of SEV the C-bit, of pages and tables; in one of TDX the
 * shared bit, of pages, for tables have to be private.
 */
static uint64_t page_bit(const struct mmu *mmu)
{
    return mmu->format->leaf_bits;
}

static uint64_t table_bit(const struct mmu *mmu)
{
    return mmu->format->table_bits;
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
        return "a huge page with reserved bits set"; /* of 32-bit paging also bits 39:32 of the address, of PSE-36 */
    if (is_32(mmu) && entry >> 32 != 0)
        return "more than 32 bits";
    if ((entry & BIT(63)) && !has_nx(mmu))
        return "XD without EFER.NXE";
    if (is_pae(mmu) && (entry & BITS(62, 52)))
        return "a PAE page with reserved bits set";
    if (is_nested(mmu) && !(entry & BIT(2)))
        return "a nested page that the guest, which is always a user, cannot use";
    if ((entry & page_bit(mmu)) != page_bit(mmu))
        return "a page that is not encrypted, or not shared";
    return NULL;
}

static struct mmu_entry page(const struct mmu *mmu, uint64_t entry, uint64_t size, unsigned pat_bit)
{
    unsigned index = (unsigned)(entry >> 3 & 3) | (unsigned)(entry >> pat_bit & 1) << 2;
    struct mmu_entry found = {
        .kind = MMU_PAGE, .paddr = entry & BITS(51, 12) & ~(size - 1) & ~page_bit(mmu), .flags = PT_READ};

    found.flags |= entry & BIT(1) ? PT_WRITE : 0;
    found.flags |= entry & BIT(2) ? PT_USER : 0;
    found.flags |= !is_32(mmu) && (entry & BIT(63)) ? 0 : PT_EXECUTE;
    found.flags |= (entry & BIT(8)) && !is_nested(mmu) ? PT_GLOBAL : 0;
    found.flags |= memory_type(index);
    found.flags |= entry & BIT(5) ? PT_ACCESSED : 0;
    found.flags |= entry & BIT(6) ? PT_DIRTY : 0;
    found.wrong = wrong_page(mmu, entry, size, index);
    return found;
}

/* Not present, and yet the L1 cache may be read at its address (L1TF): none that could be memory. */
static bool is_safe_address(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    if (entry == 0)
        return true;
    /* A large page of 32-bit paging has bits 39:32 of an address. All others end where memory may end. */
    if (is_32(mmu) && level == 0)
        return entry & BIT(20);
    return entry & BIT(mmu->format->pa_bits > 51 ? 51 : mmu->format->pa_bits - 1u);
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    uint64_t size = mmu_entry_size(mmu, level);
    struct mmu_entry found = {.kind = MMU_NOTHING};

    if (!(entry & BIT(0))) {
        if (!is_safe_address(mmu, entry, level))
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
    found.paddr = entry & BITS(51, 12) & ~table_bit(mmu);
    if (!(entry & BIT(1)) || !(entry & BIT(2)) || (entry & BIT(63)))
        found.wrong = "a table that takes rights from the pages below it";
    else if (is_pae(mmu) && (entry & BITS(62, 52)))
        found.wrong = "a PAE table with reserved bits set";
    else if (entry & (BIT(3) | BIT(4)))
        found.wrong = "a table that is not cached";
    else if ((entry & table_bit(mmu)) != table_bit(mmu))
        found.wrong = "a table that is not encrypted";
    return found;
}

/* A PDPTE has no accessed bit. */
static uint64_t record(const struct mmu *mmu, uint64_t entry, unsigned level, enum mmu_kind kind, bool write)
{
    if (is_pae(mmu) && level == 0)
        return entry;
    return entry | BIT(5) | (kind == MMU_PAGE && write ? BIT(6) : 0);
}

const struct mmu_arch mmu_x86 = {
    .formats = {"pt_x86_64", "pt_x86_64_la57", "test_x86_64_no_nx", "test_x86_64_sev", "test_x86_64_tdx",
                "pt_npt_4level", "pt_npt_5level", "pt_x86_pae", "pt_x86_32"},
    .decode = decode,
    .record = record,
    .latches_root = is_pae,
    .always_records = true,
    .any_forgets_pointers = true,
    .may_use_faulting_rights = true,
};
