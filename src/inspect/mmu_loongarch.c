/* SPDX-License-Identifier: MIT */
/*
 * LoongArch64. Sections: LoongArch Reference Manual, vol. 1, 5.4.3 "TLB-based virtual to physical translation" (in its
 * order: V, NX, PLV, NR, D), 6.2.1 (exception codes). The CPU asks for an entry by a TLB refill exception, whose
 * handler walks the tables (LDDIR, LDPTE): where there is none it fills in an invalid entry, V = 0. An access is made at
 * PLV0 or, by the user, at PLV3, without CSR.MISC.DWPL.
 */
#include "mmu.h"

#if PT_HAS_FAMILY(LOONGARCH)

#include "../formats/loongarch_bits.h"

/* Ecode; EsubCode of an address error. */
enum {
    PIL = 1,
    PIS = 2,
    PIF = 3,
    PME = 4,
    PNR = 5,
    PNX = 6,
    PPI = 7,
    ADE = 8,
    ADE_OF_FETCH = 0,
    ADE_OF_MEMORY = 1
};

#define USER_PLV 3

static void judge(const struct page_table *pt, struct pt_explanation *e)
{
    unsigned level = e->steps - 1;
    uint64_t leaf = e->step[level].bits, plv = (leaf & LOONGARCH_PLV) >> LOONGARCH_PLV_SHIFT;
    uint64_t current = e->access & PT_USER ? USER_PLV : 0;

    (void)pt;
    if ((e->access & PT_EXECUTE) && (leaf & LOONGARCH_NX))
        pt_deny(e, PT_REASON_RIGHT, level, LOONGARCH_NX);
    else if (current > plv)
        pt_deny(e, PT_REASON_PRIVILEGE, level, LOONGARCH_PLV);
    else if ((leaf & LOONGARCH_RPLV) && current != plv)
        pt_deny(e, PT_REASON_PRIVILEGE, level, LOONGARCH_RPLV | LOONGARCH_PLV);
    else if ((e->access & PT_READ) && (leaf & LOONGARCH_NR))
        pt_deny(e, PT_REASON_RIGHT, level, LOONGARCH_NR);
    else if ((e->access & PT_WRITE) && !(leaf & LOONGARCH_D))
        pt_deny(e, PT_REASON_NOT_DIRTY, level, LOONGARCH_D);
}

static void report(const struct page_table *pt, struct pt_explanation *e)
{
    (void)pt;
    switch (e->reason) {
    case PT_REASON_NOT_CANONICAL:
        e->exception = ADE;
        e->code = e->access & PT_EXECUTE ? ADE_OF_FETCH : ADE_OF_MEMORY;
        break;
    case PT_REASON_PRIVILEGE:
        e->exception = PPI;
        break;
    case PT_REASON_RIGHT:
        e->exception = e->access & PT_EXECUTE ? PNX : PNR;
        break;
    case PT_REASON_NOT_DIRTY:
        e->exception = PME;
        break;
    default:
        e->exception = e->access & PT_EXECUTE ? PIF : e->access & PT_WRITE ? PIS : PIL;
        if (e->reason == PT_REASON_NOT_PRESENT)
            e->bits = LOONGARCH_V;
        break;
    }
}

static const char *exception_name(const struct pt_explanation *e)
{
    switch (e->exception) {
    case PIL:
        return "PIL, page invalid for load";
    case PIS:
        return "PIS, page invalid for store";
    case PIF:
        return "PIF, page invalid for fetch";
    case PME:
        return "PME, page modification";
    case PNR:
        return "PNR, page not readable";
    case PNX:
        return "PNX, page not executable";
    case PPI:
        return "PPI, page privilege illegal";
    default:
        return e->code == ADE_OF_FETCH ? "ADEF, address error of a fetch" : "ADEM, address error of a memory access";
    }
}

/* Above the address, where LDDIR takes no bits from, kernels leave those of a direct-mapped window. */
static const struct pt_field fields[] = {
    {"V", 0, 1, PT_FIELD_OF_LEAF, 0},       {"D", 1, 1, PT_FIELD_OF_LEAF, 0},
    {"PLV", 2, 2, PT_FIELD_OF_LEAF, 0},     {"MAT", 4, 2, PT_FIELD_OF_LEAF, 0},
    {"G", 6, 1, PT_FIELD_OF_PAGE, 0},       {"H", 6, 1, PT_FIELD_OF_HUGE | PT_FIELD_OF_TABLE, 0},
    {"P", 7, 1, PT_FIELD_OF_LEAF, 0},       {"W", 8, 1, PT_FIELD_OF_LEAF, 0},
    {"AVL", 9, 3, PT_FIELD_OF_LEAF, 0},     {"G", 12, 1, PT_FIELD_OF_HUGE, 0},
    {"PA", 13, 35, PT_FIELD_OF_HUGE, 0},    {"PA", 12, 36, PT_FIELD_OF_PAGE, 0},
    {"Base", 12, 52, PT_FIELD_OF_TABLE, 0}, {"AVL", 48, 13, PT_FIELD_OF_LEAF, 0},
    {"NR", 61, 1, PT_FIELD_OF_LEAF, 0},     {"NX", 62, 1, PT_FIELD_OF_LEAF, 0},
    {"RPLV", 63, 1, PT_FIELD_OF_LEAF, 0},   {0},
};

const struct pt_mmu pt_mmu_loongarch = {
    .fields = fields,
    .exception = "Ecode",
    .code = "EsubCode",
    .judge = judge,
    .report = report,
    .exception_name = exception_name,
};

#endif
