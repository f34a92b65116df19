/* SPDX-License-Identifier: MIT */
/*
 * ARMv7-A, short descriptors. Arm Architecture Reference Manual ARMv7-A (DDI 0406C), B3.5.1 (descriptors; the 16 of a
 * large page or a supersection are the same), B3.7.1 (rights; SCTLR.AFE = 0), B3.7.2 (XN), B3.8.2 (memory types;
 * SCTLR.TRE = 0), B3.9, B3.10 (what is cached and invalidated, break-before-make).
 */
#include "mmu.h"

/* Where a field that all leaves have stands in this one. */
struct layout {
    unsigned xn, ap, tex, ap2, s, ng;
};

static const struct layout small = {.xn = 0, .ap = 4, .tex = 6, .ap2 = 9, .s = 10, .ng = 11};
static const struct layout large = {.xn = 15, .ap = 4, .tex = 12, .ap2 = 9, .s = 10, .ng = 11};
static const struct layout section = {.xn = 4, .ap = 10, .tex = 12, .ap2 = 15, .s = 16, .ng = 17};

static struct mmu_entry page(uint64_t entry, const struct layout *at)
{
    struct mmu_entry found = {.kind = MMU_PAGE, .flags = PT_READ};
    unsigned ap = (unsigned)(entry >> at->ap & 3), tex = (unsigned)(entry >> at->tex & 7);
    unsigned type = tex << 2 | (unsigned)(entry >> 2 & 3); /* TEX, C, B */
    bool read_only = entry & BIT(at->ap2), shareable = entry & BIT(at->s);

    found.flags |= read_only ? 0 : PT_WRITE;
    found.flags |= ap == 3 ? PT_USER : 0;
    found.flags |= entry & BIT(at->xn) ? 0 : PT_EXECUTE;
    found.flags |= entry & BIT(at->ng) ? 0 : PT_GLOBAL;
    found.flags |= type == 1 ? PT_DEVICE : type == 4 ? PT_UNCACHED : 0;

    /* AP[2:0]: 001 privileged read/write, 011 all, 101 privileged read-only, 111 all read-only. */
    if (ap == 0)
        found.wrong = "valid without any right, or with reserved ones";
    else if (ap == 2)
        found.wrong = "read-only for users and not for others, or deprecated";
    else if (type != 1 && type != 4 && type != 7)
        found.wrong = "a memory type that nobody asked for";
    else if (type == 7 && !shareable)
        found.wrong = "write-back memory that is not shared";
    return found;
}

static struct mmu_entry first_level(uint64_t entry)
{
    struct mmu_entry found = {.kind = MMU_NOTHING};
    bool super = entry & BIT(18);

    switch (entry & 3) {
    case 0:
        break;
    case 1:
        found.kind = MMU_TABLE;
        found.paddr = entry & BITS(31, 10);
        if (entry & (BIT(4) | BIT(9)))
            found.wrong = "a table with bits that should be zero";
        else if (entry & (BIT(2) | BIT(3) | BITS(8, 5)))
            found.wrong = "a table with PXN, NS or a domain that nobody asked for";
        break;
    case 2:
        found = page(entry, &section);
        found.paddr = entry & (super ? BITS(31, 24) : BITS(31, 20));
        found.group_bits = super ? 4 : 0;
        found.paddr_of_group = super;
        if (super && (entry & (BITS(23, 20) | BITS(8, 5))))
            found.wrong = "a supersection beyond 32 bits";
        else if (!super && (entry & BITS(8, 5)))
            found.wrong = "a section of another domain";
        else if (entry & (BIT(9) | BIT(19)))
            found.wrong = "a section with IMPLEMENTATION DEFINED bits, or NS, that nobody asked for";
        break;
    default:
        found.wrong = "PXN, or a reserved descriptor";
        break;
    }
    return found;
}

static struct mmu_entry second_level(uint64_t entry)
{
    struct mmu_entry found = {.kind = MMU_NOTHING};

    if ((entry & 3) == 1) {
        found = page(entry, &large);
        found.paddr = entry & BITS(31, 16);
        found.group_bits = 4;
        found.paddr_of_group = true;
        if (entry & BITS(8, 6))
            found.wrong = "a large page with bits that should be zero";
    } else if ((entry & 3) != 0) {
        found = page(entry, &small);
        found.paddr = entry & BITS(31, 12);
    }
    return found;
}

static struct mmu_entry decode(const struct mmu *mmu, uint64_t entry, unsigned level)
{
    (void)mmu;
    return level == 0 ? first_level(entry) : second_level(entry);
}

const struct mmu_arch mmu_armv7 = {
    .formats = {"pt_armv7_short"},
    .decode = decode,
    .breaks_before_make = true,
    .tables_forget_pointers = true,
};
