/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, both sizes of entries. Sections: The RISC-V Instruction Set Manual vol. II (privileged architecture),
 * "Supervisor" chapter: "Virtual Address Translation Process", "Supervisor Cause Register"; "Hypervisor" chapter:
 * "Two-Stage Address Translation". The access is made in S- or U-mode with sstatus as given.
 */
#include "mmu.h"

#if PT_HAS_FAMILY(RISCV) || PT_HAS_FAMILY(RISCV32)

#include "../formats/riscv_bits.h"

enum {
    FETCH_ACCESS_FAULT = 1,
    LOAD_ACCESS_FAULT = 5,
    STORE_ACCESS_FAULT = 7,
    FETCH_PAGE_FAULT = 12,
    LOAD_PAGE_FAULT = 13,
    STORE_PAGE_FAULT = 15,
    FETCH_GUEST_PAGE_FAULT = 20,
    LOAD_GUEST_PAGE_FAULT = 21,
    STORE_GUEST_PAGE_FAULT = 23
};

/* In the order of the manual's steps: U, rights, A and D. */
static void judge(const struct page_table *pt, struct pt_explanation *e)
{
    unsigned level = e->steps - 1;
    uint64_t leaf = e->step[level].bits;
    bool second_stage = pt->format->features & PT_FEATURE_SECOND_STAGE;
    bool user = second_stage || (e->access & PT_USER);
    uint64_t wanted = e->access & PT_EXECUTE ? RISCV_X
                      : e->access & PT_WRITE ? RISCV_W
                                             : RISCV_R | (e->cpu & PT_CPU_MXR ? RISCV_X : 0);

    if (user ? !(leaf & RISCV_U) : (leaf & RISCV_U) && ((e->access & PT_EXECUTE) || !(e->cpu & PT_CPU_SUM)))
        pt_deny(e, PT_REASON_PRIVILEGE, level, RISCV_U);
    else if (!(leaf & wanted))
        pt_deny(e, PT_REASON_RIGHT, level, wanted);
    else if (!(leaf & RISCV_A) && !pt->format->tracks_access)
        pt_deny(e, PT_REASON_NOT_ACCESSED, level, RISCV_A);
    else if (!(leaf & RISCV_D) && (e->access & PT_WRITE) && !pt->format->tracks_access)
        pt_deny(e, PT_REASON_NOT_DIRTY, level, RISCV_D);
}

static uint32_t by_access(const struct pt_explanation *e, uint32_t fetch, uint32_t load, uint32_t store)
{
    return e->access & PT_EXECUTE ? fetch : e->access & PT_WRITE ? store : load;
}

static void report(const struct page_table *pt, struct pt_explanation *e)
{
    if (e->reason == PT_REASON_UNREADABLE)
        e->exception = by_access(e, FETCH_ACCESS_FAULT, LOAD_ACCESS_FAULT, STORE_ACCESS_FAULT);
    else if (pt->format->features & PT_FEATURE_SECOND_STAGE)
        e->exception = by_access(e, FETCH_GUEST_PAGE_FAULT, LOAD_GUEST_PAGE_FAULT, STORE_GUEST_PAGE_FAULT);
    else
        e->exception = by_access(e, FETCH_PAGE_FAULT, LOAD_PAGE_FAULT, STORE_PAGE_FAULT);
    if (e->reason == PT_REASON_NOT_PRESENT)
        e->bits = RISCV_V;
}

static const char *exception_name(const struct pt_explanation *e)
{
    switch (e->exception) {
    case FETCH_ACCESS_FAULT:
        return "instruction access fault";
    case LOAD_ACCESS_FAULT:
        return "load access fault";
    case STORE_ACCESS_FAULT:
        return "store/AMO access fault";
    case FETCH_PAGE_FAULT:
        return "instruction page fault";
    case LOAD_PAGE_FAULT:
        return "load page fault";
    case STORE_PAGE_FAULT:
        return "store/AMO page fault";
    case FETCH_GUEST_PAGE_FAULT:
        return "instruction guest-page fault";
    case LOAD_GUEST_PAGE_FAULT:
        return "load guest-page fault";
    default:
        return "store/AMO guest-page fault";
    }
}

static const struct pt_field fields[] = {
    {"V", 0, 1, PT_FIELD_OF_ALL, 0},
    {"R", 1, 1, PT_FIELD_OF_ALL, 0},
    {"W", 2, 1, PT_FIELD_OF_ALL, 0},
    {"X", 3, 1, PT_FIELD_OF_ALL, 0},
    {"U", 4, 1, PT_FIELD_OF_ALL, 0},
    {"G", 5, 1, PT_FIELD_OF_ALL, 0},
    {"A", 6, 1, PT_FIELD_OF_ALL, 0},
    {"D", 7, 1, PT_FIELD_OF_ALL, 0},
    {"RSW", 8, 2, PT_FIELD_OF_ALL, 0},
    {"PPN", 10, 44, PT_FIELD_OF_ALL, 0},
    {"PBMT", 61, 2, PT_FIELD_OF_LEAF, PT_FEATURE_SVPBMT},
    {"N", 63, 1, PT_FIELD_OF_LEAF, 0},
    {"T", 59, 1, PT_FIELD_OF_LEAF, PT_FEATURE_C9XX},
    {"S", 60, 1, PT_FIELD_OF_LEAF, PT_FEATURE_C9XX},
    {"B", 61, 1, PT_FIELD_OF_LEAF, PT_FEATURE_C9XX},
    {"C", 62, 1, PT_FIELD_OF_LEAF, PT_FEATURE_C9XX},
    {"SO", 63, 1, PT_FIELD_OF_LEAF, PT_FEATURE_C9XX},
    {0},
};

const struct pt_mmu pt_mmu_riscv = {
    .fields = fields,
    .exception = "cause",
    .judge = judge,
    .report = report,
    .exception_name = exception_name,
};

#endif
