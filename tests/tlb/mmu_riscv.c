/* SPDX-License-Identifier: MIT */
/*
 * RISC-V: Sv39, Sv48, Sv57. The RISC-V Instruction Set Manual vol. II, "Supervisor-Level ISA": "Addressing and Memory
 * Protection", "Virtual Address Translation Process", "Supervisor Memory-Management Fence Instruction" (with an
 * address it reaches leaf entries only; entries that are not valid may be remembered, too).
 */
#include "mmu.h"

#define BIT(n) (UINT64_C(1) << (n))
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    struct mmu_entry found = {.kind = MMU_NOTHING, .paddr = (entry & BITS(53, 10)) << 2};

    if (!(entry & BIT(0)))
        return found;
    if (entry & BITS(63, 54))
        found.wrong = "reserved bits set (Svnapot, Svpbmt)";
    if (!(entry & (BIT(1) | BIT(2) | BIT(3)))) {
        found.kind = MMU_TABLE;
        if (level == mmu->format->levels - 1u)
            found.wrong = "a table below the last level";
        else if (entry & (BIT(4) | BIT(6) | BIT(7)))
            found.wrong = "a table with reserved bits set (U, A, D)";
        else if (entry & BIT(5))
            found.wrong = "a table that makes all below it global";
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

    if ((entry & BIT(2)) && !(entry & BIT(1)))
        found.wrong = "writable and not readable";
    else if (found.paddr & (mmu_entry_size(mmu, level) - 1))
        found.wrong = "a misaligned superpage";
    else if (!mmu_records(mmu) && (!(entry & BIT(6)) || !(entry & BIT(7))))
        found.wrong = "a fault for A or D without Svadu";
    return found;
}

static uint64_t record(uint64_t entry, enum mmu_kind kind, bool write)
{
    return kind == MMU_PAGE ? entry | BIT(6) | (write ? BIT(7) : 0) : entry;
}

const struct mmu_arch mmu_riscv = {
    .formats = {"pt_sv39", "pt_sv48", "pt_sv57"},
    .decode = decode,
    .record = record,
    .remembers_nothing = true,
    .tables_forget_all = true,
};
