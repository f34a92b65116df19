/* SPDX-License-Identifier: MIT */
/*
 * ARMv7, short descriptors. Sections: Arm ARM ARMv7-A and ARMv7-R (DDI 0406C) B3.7.1 "Access permissions" (SCTLR.AFE = 0),
 * B3.13.3 "Fault reporting with the Short-descriptor translation table format". All domains are clients (DACR).
 */
#include "mmu.h"

#if PT_HAS_FAMILY(ARMV7_SHORT)

#include "../formats/armv7_bits.h"

/* The status FS[3:0] of a fault in the first level; in the second it is 2 more. */
enum {
    EXTERNAL_ON_WALK = 12,
    TRANSLATION = 5,
    PERMISSION = 13
};

#define DFSR_WNR (UINT64_C(1) << 11)

static const struct armv7_layout *layout_of(const struct page_table *pt, const struct pt_explanation *e)
{
    uint64_t leaf = e->step[e->steps - 1].bits;

    if (pt_is_last_level(pt, e->steps - 1))
        return (leaf & 3) == ARMV7_LARGE ? &armv7_large : &armv7_small;
    return leaf & ARMV7_SUPERSECTION ? &armv7_supersection : &armv7_section;
}

/* AP[2:0]: what PL1 and PL0 may do. What is executed has to be readable. */
static void judge(const struct page_table *pt, struct pt_explanation *e)
{
    unsigned level = e->steps - 1;
    uint64_t leaf = e->step[level].bits;
    const struct armv7_layout *layout = layout_of(pt, e);
    uint64_t ap = leaf >> layout->permissions & 3, read_only = leaf >> layout->others & ARMV7_READ_ONLY;
    uint64_t permissions = UINT64_C(3) << layout->permissions | ARMV7_READ_ONLY << layout->others;
    uint64_t pxn = e->steps == 1 ? ARMV7_SECTION_PXN : ARMV7_TABLE_PXN;
    bool user = e->access & PT_USER;
    bool readable = user ? ap >= 2 : ap != 0, writable = user ? ap == 3 && !read_only : ap != 0 && !read_only;

    if (user && !readable)
        pt_deny(e, PT_REASON_PRIVILEGE, level, permissions);
    else if (!readable || ((e->access & PT_WRITE) && !writable))
        pt_deny(e, PT_REASON_RIGHT, level, permissions); /* NOLINT(bugprone-branch-clone): in the order of the rules */
    else if ((e->access & PT_EXECUTE) && (leaf & layout->xn))
        pt_deny(e, PT_REASON_RIGHT, level, layout->xn);
    else if ((e->access & PT_EXECUTE) && !user && (e->step[0].bits & pxn))
        pt_deny(e, PT_REASON_RIGHT, 0, pxn);
    else if ((e->access & PT_EXECUTE) && (e->cpu & PT_CPU_WXN) && writable)
        pt_deny(e, PT_REASON_RIGHT, level, permissions);
}

static void report(const struct page_table *pt, struct pt_explanation *e)
{
    bool denied = e->reason == PT_REASON_RIGHT || e->reason == PT_REASON_PRIVILEGE;
    uint64_t second =
        pt_is_last_level(pt, denied ? e->steps - 1 : e->level) ? 2 : 0; /* the leaf tells what is denied */

    if (e->reason == PT_REASON_NOT_PRESENT)
        e->bits = 3;
    e->exception = e->access & PT_EXECUTE ? 1 : 0;
    e->code = (e->reason == PT_REASON_UNREADABLE ? EXTERNAL_ON_WALK : denied ? PERMISSION : TRANSLATION) + second;
    e->code |= e->access & PT_WRITE ? DFSR_WNR : 0;
}

static const char *exception_name(const struct pt_explanation *e)
{
    return e->exception ? "prefetch abort, IFSR" : "data abort, DFSR";
}

/* Those of a small page, and of a section. */
static const struct pt_field fields[] = {
    {"Type", 0, 2, PT_FIELD_OF_ALL, 0},
    {"B", 2, 1, PT_FIELD_OF_LEAF, 0},
    {"C", 3, 1, PT_FIELD_OF_LEAF, 0},
    {"PXN", 2, 1, PT_FIELD_OF_TABLE, 0},
    {"NS", 3, 1, PT_FIELD_OF_TABLE, 0},
    {"Domain", 5, 4, PT_FIELD_OF_TABLE | PT_FIELD_OF_HUGE, 0},
    {"Ignored", 9, 1, PT_FIELD_OF_TABLE, 0},
    {"Address", 10, 22, PT_FIELD_OF_TABLE, 0},
    {"AP[1:0]", 4, 2, PT_FIELD_OF_PAGE, 0},
    {"TEX", 6, 3, PT_FIELD_OF_PAGE, 0},
    {"AP[2]", 9, 1, PT_FIELD_OF_PAGE, 0},
    {"S", 10, 1, PT_FIELD_OF_PAGE, 0},
    {"nG", 11, 1, PT_FIELD_OF_PAGE, 0},
    {"Address", 12, 20, PT_FIELD_OF_PAGE, 0},
    {"XN", 4, 1, PT_FIELD_OF_HUGE, 0},
    {"AP[1:0]", 10, 2, PT_FIELD_OF_HUGE, 0},
    {"TEX", 12, 3, PT_FIELD_OF_HUGE, 0},
    {"AP[2]", 15, 1, PT_FIELD_OF_HUGE, 0},
    {"S", 16, 1, PT_FIELD_OF_HUGE, 0},
    {"nG", 17, 1, PT_FIELD_OF_HUGE, 0},
    {"Supersection", 18, 1, PT_FIELD_OF_HUGE, 0},
    {"NS", 19, 1, PT_FIELD_OF_HUGE, 0},
    {"Address", 20, 12, PT_FIELD_OF_HUGE, 0},
    {0},
};

const struct pt_mmu pt_mmu_armv7_short = {
    .fields = fields,
    .exception = "abort",
    .code = "status",
    .judge = judge,
    .report = report,
    .exception_name = exception_name,
};

#endif
