/* SPDX-License-Identifier: MIT */
/*
 * RISC-V. The RISC-V Instruction Set Manual vol. II, "Supervisor-Level ISA": "Addressing and Memory Protection", "Virtual
 * Address Translation Process", "Supervisor Memory-Management Fence Instruction" (with an address it reaches leaf
 * entries only; entries that are not valid may be remembered, too), "Svnapot" (any entry of a group may stand for all of
 * them), "Svpbmt"; "Hypervisor Extension": "Guest Physical Address Translation" (U must be set, G is ignored and to be
 * clear); XTheadMae (thead-extension-spec) for the memory types of C9xx.
 */
#include "mmu.h"

static bool is_for_guest(const struct mmu *mmu)
{
    return mmu->format->features & PT_FEATURE_SECOND_STAGE;
}

/* Svpbmt, bits 62:61: 0 as the physical address says, 1 not cached, 2 I/O. */
static void add_pbmt(struct mmu_entry *found, uint64_t entry)
{
    uint64_t type = entry >> 61 & 3;

    found->flags |= type == 1 ? PT_UNCACHED : type == 2 ? PT_DEVICE : 0;
    if (type == 3)
        found->wrong = "a memory type that is reserved";
}

/* Svnapot, bit 63: the lowest of the four bits that the address of 64 KiB does not need is the one that counts. */
static void add_napot(const struct mmu *mmu, struct mmu_entry *found, uint64_t entry, unsigned level)
{
    if (!(entry & BIT(63)))
        return;
    if (!(mmu->format->page_sizes & PT_64K) || level != mmu->format->levels - 1u || (entry & BITS(13, 10)) != BIT(13))
        found->wrong = "N without Svnapot, above the last level, or not of 64 KiB";
    found->paddr &= ~(PT_64K - 1);
    found->group_bits = 4;
    found->paddr_of_group = true;
}

/* XTheadMae, bits 63 to 60: strong order, cacheable, bufferable, shareable. */
static void add_mae(struct mmu_entry *found, uint64_t entry)
{
    bool strong = entry & BIT(63), cacheable = entry & BIT(62);

    found->flags |= strong ? PT_DEVICE : cacheable ? 0 : PT_UNCACHED;
    if (strong && cacheable)
        found->wrong = "strong order of what is cached";
    else if (!strong && !(entry & BIT(61)))
        found->wrong = "memory that is not bufferable";
    else if (entry & BITS(59, 54))
        found->wrong = "reserved bits set (59 to 54)";
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    struct mmu_entry found = {.kind = MMU_NOTHING, .paddr = (entry & BITS(53, 10)) << 2};
    bool guest = is_for_guest(mmu), mae = mmu->format->features & PT_FEATURE_C9XX;

    if (!(entry & BIT(0)))
        return found;
    if (!(entry & (BIT(1) | BIT(2) | BIT(3)))) {
        found.kind = MMU_TABLE;
        if (level == mmu->format->levels - 1u)
            found.wrong = "a table below the last level";
        else if (entry & (BIT(4) | BIT(6) | BIT(7)))
            found.wrong = "a table with reserved bits set (U, A, D)";
        else if (entry & BIT(5))
            found.wrong = "a table that makes all below it global";
        else if (entry & BITS(63, 54))
            found.wrong = "a table with reserved bits set (63 to 54)";
        return found;
    }

    found.kind = MMU_PAGE;
    found.flags |= entry & BIT(1) ? PT_READ : 0;
    found.flags |= entry & BIT(2) ? PT_WRITE : 0;
    found.flags |= entry & BIT(3) ? PT_EXECUTE : 0;
    found.flags |= entry & BIT(4) ? PT_USER : 0;
    found.flags |= entry & BIT(5) ? PT_GLOBAL : 0;
    if (mmu_records(mmu))
        found.flags |= (entry & BIT(6) ? PT_ACCESSED : 0) | (entry & BIT(7) ? PT_DIRTY : 0);

    if (mmu->format->features & PT_FEATURE_SVPBMT)
        add_pbmt(&found, entry);
    else if (mae)
        add_mae(&found, entry);
    else if (entry & BITS(62, 61))
        found.wrong = "reserved bits set (Svpbmt)";
    if (!mae)
        add_napot(mmu, &found, entry, level);

    if ((entry & BITS(60, 54)) && !mae)
        found.wrong = "reserved bits set (60 to 54)";
    else if (guest && !(entry & BIT(4)))
        found.wrong = "a page of the guest that is not the user's";
    else if (guest && (entry & BIT(5)))
        found.wrong = "a page of the guest that is global";
    else if ((entry & BIT(2)) && !(entry & BIT(1)))
        found.wrong = "writable and not readable";
    else if (found.paddr & (mmu_entry_size(mmu, level) - 1))
        found.wrong = "a misaligned superpage";
    else if (!mmu_records(mmu) && (!(entry & BIT(6)) || !(entry & BIT(7))))
        found.wrong = "a fault for A or D without Svadu";
    return found;
}

static uint64_t record(const struct mmu *mmu, uint64_t entry, unsigned level, enum mmu_kind kind, bool write)
{
    (void)mmu;
    (void)level;
    return kind == MMU_PAGE ? entry | BIT(6) | (write ? BIT(7) : 0) : entry;
}

const struct mmu_arch mmu_riscv = {
    .formats = {"pt_sv39", "pt_sv48", "pt_sv57", "test_sv39_svpbmt", "test_sv39_c9xx", "pt_sv39x4", "pt_sv48x4",
                "pt_sv57x4", "test_sv39_svnapot", "pt_sv32", "pt_sv32x4"},
    .decode = decode,
    .record = record,
    .remembers_nothing = true,
    .tables_forget_all = true,
};

/* Svvptc: an entry that becomes valid is seen, after some time in which the page-fault handler just tries again. */
const struct mmu_arch mmu_riscv_svvptc = {
    .formats = {"test_sv39_svvptc"},
    .decode = decode,
    .record = record,
    .tables_forget_all = true,
};
