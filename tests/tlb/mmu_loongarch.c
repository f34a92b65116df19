/* SPDX-License-Identifier: MIT */
/*
 * LoongArch64, base pages of 4K, 16K and 64K. LoongArch Reference Manual vol. 1, 5.4 (TLB entries are pairs, and are kept with V = 0, too; page
 * walking), 4.2.4 (INVTLB). The walker is the refill routine of a kernel: it may be on its way, with a pointer in
 * its hand, while the tables change, but is through when an invalidation reaches its CPU.
 */
#include "mmu.h"

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    bool last = level == mmu->format->levels - 1u, huge = !last && (entry & BIT(6));
    uint64_t size = mmu_entry_size(mmu, level);
    struct mmu_entry found = {.kind = MMU_NOTHING};
    unsigned type = (unsigned)(entry >> 4 & 3);

    /* A directory has no valid bit: what is not zero is followed. */
    if (!last && !huge) {
        found.kind = entry ? MMU_TABLE : MMU_NOTHING;
        found.paddr = entry;
        if (entry & ~BITS(47, mmu->format->page_shift))
            found.wrong = "a directory entry that is no address";
        return found;
    }
    /* The refill routine takes G of what is not valid as well. */
    found.flags = entry & BIT(huge ? 12 : 6) ? PT_GLOBAL : 0;
    if (!(entry & BIT(0)))
        return found;

    found.kind = MMU_PAGE;
    found.paddr = entry & BITS(47, 12) & ~(size - 1);
    found.flags |= entry & BIT(61) ? 0 : PT_READ;
    found.flags |= entry & BIT(1) ? PT_WRITE : 0;
    found.flags |= entry & BIT(62) ? 0 : PT_EXECUTE;
    found.flags |= (entry >> 2 & 3) == 3 ? PT_USER : 0;
    found.flags |= type == 0 ? PT_DEVICE : type == 2 ? PT_UNCACHED : 0;
    if (entry & (BITS(60, 48) | BIT(63)))
        found.wrong = "reserved bits set";
    else if (huge && (level == 0 && mmu->format->levels == 4))
        found.wrong = "a huge page of a level that LDDIR does not tell";
    else if (entry & (size - 1) & BITS(47, huge ? 13 : 12))
        found.wrong = "a misaligned huge page";
    else if (type == 3)
        found.wrong = "a memory type that is none";
    else if ((entry >> 2 & 3) % 3 != 0)
        found.wrong = "a privilege level between kernel and user";
    return found;
}

const struct mmu_arch mmu_loongarch = {
    .formats = {"pt_loongarch64", "pt_loongarch64_3level", "pt_loongarch64_16k", "pt_loongarch64_64k"},
    .decode = decode,
    .pairs = true,
    .remembers_nothing = true,
    .any_forgets_pointers = true,
    .tables_forget_all = true,
};
