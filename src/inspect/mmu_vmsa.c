/* SPDX-License-Identifier: MIT */
/*
 * Arm's 64-bit descriptors: AArch64, both stages, and the long descriptors of ARMv7. Sections: Arm ARM (DDI 0487) D8.4
 * (rights), D17.2 ESR_EL1, "ISS encoding for an exception from a Data Abort"; Arm ARM ARMv7-A (DDI 0406C) B3.13.3 "Fault
 * reporting with the Long-descriptor translation table format".
 */
#include "mmu.h"

#if PT_HAS_FAMILY(AARCH64) || PT_HAS_FAMILY(AARCH64_STAGE2) || PT_HAS_FAMILY(ARMV7_LPAE)

#include "../formats/vmsa_bits.h"

/* ESR_ELx.EC */
enum {
    FETCH_ABORT_LOWER = 0x20,
    FETCH_ABORT_SAME = 0x21,
    DATA_ABORT_LOWER = 0x24,
    DATA_ABORT_SAME = 0x25
};

/* The fault status codes, with the level (0 to 3) in the lowest bits; level -1 has codes of its own. */
enum {
    ADDRESS_SIZE = 0x00,
    TRANSLATION = 0x04,
    ACCESS_FLAG = 0x08,
    PERMISSION = 0x0c,
    EXTERNAL_ON_WALK = 0x14,
    ADDRESS_SIZE_ABOVE = 0x29,
    TRANSLATION_ABOVE = 0x2b,
    EXTERNAL_ON_WALK_ABOVE = 0x13
};

#define ESR_WNR (UINT64_C(1) << 6)
#define DFSR_LPAE (UINT64_C(1) << 9)
#define DFSR_WNR (UINT64_C(1) << 11)

/* What the entries that lead to the leaf leave to it, their limits and its own bits together. */
struct rights {
    bool el0, read_only, uxn, pxn;
};

/* The first level whose entry has the bit of a table that limits, or else the leaf's. */
static void deny_by(struct pt_explanation *e, enum pt_reason reason, uint64_t table_bit, uint64_t leaf_bit)
{
    unsigned level = 0;

    while (level < e->steps - 1 && !(e->step[level].bits & table_bit))
        level++;
    pt_deny(e, reason, level, level < e->steps - 1 ? table_bit : leaf_bit);
}

static struct rights rights_of(const struct page_table *pt, const struct pt_explanation *e)
{
    uint64_t leaf = e->step[e->steps - 1].bits, limits = 0;
    bool writable = !(leaf & STAGE1_AP_RO) || (pt->format->tracks_access && (leaf & VMSA_DBM));

    for (unsigned level = 0; level + 1 < e->steps; level++)
        limits |= e->step[level].bits;
    return (struct rights){
        .el0 = (leaf & STAGE1_AP_EL0) && !(limits & VMSA_AP_TABLE_NO_EL0),
        .read_only = !writable || (limits & VMSA_AP_TABLE_RO),
        .uxn = (leaf & STAGE1_UXN) || (limits & VMSA_UXN_TABLE),
        .pxn = (leaf & STAGE1_PXN) || (limits & VMSA_PXN_TABLE),
    };
}

/* One privilege level: AP[1] means nothing, and UXN is XN. */
static void judge_el2(struct pt_explanation *e, const struct rights *rights)
{
    if ((e->access & PT_WRITE) && rights->read_only)
        deny_by(e, PT_REASON_RIGHT, VMSA_AP_TABLE_RO, STAGE1_AP_RO);
    else if ((e->access & PT_EXECUTE) && rights->uxn)
        deny_by(e, PT_REASON_RIGHT, VMSA_UXN_TABLE, STAGE1_UXN);
    else if ((e->access & PT_EXECUTE) && (e->cpu & PT_CPU_WXN) && !rights->read_only)
        deny_by(e, PT_REASON_RIGHT, 0, STAGE1_AP_RO);
}

/* PAN keeps EL1 from what EL0 can use; FEAT_PAN3's EPAN from what EL0 can but execute, too. */
static void judge_data(struct pt_explanation *e, const struct rights *rights)
{
    bool user = e->access & PT_USER;
    bool epan = (e->cpu & PT_CPU_EPAN) && !rights->uxn;

    if (user && !rights->el0)
        deny_by(e, PT_REASON_PRIVILEGE, VMSA_AP_TABLE_NO_EL0, STAGE1_AP_EL0);
    else if (!user && (e->cpu & PT_CPU_PAN) && (rights->el0 || epan))
        deny_by(e, PT_REASON_PRIVILEGE, 0, rights->el0 ? STAGE1_AP_EL0 : STAGE1_UXN);
    else if ((e->access & PT_WRITE) && rights->read_only)
        deny_by(e, PT_REASON_RIGHT, VMSA_AP_TABLE_RO, STAGE1_AP_RO);
}

/* EL1 executes nothing that EL0 can write (D8.4.2). */
static void judge_fetch(struct pt_explanation *e, const struct rights *rights)
{
    bool user = e->access & PT_USER;
    bool user_writable = rights->el0 && !rights->read_only;
    bool writable = user ? user_writable : !rights->read_only;

    if (user && rights->uxn)
        deny_by(e, PT_REASON_RIGHT, VMSA_UXN_TABLE, STAGE1_UXN);
    else if (!user && rights->pxn)
        deny_by(e, PT_REASON_RIGHT, VMSA_PXN_TABLE, STAGE1_PXN);
    else if (!user && user_writable)
        deny_by(e, PT_REASON_PRIVILEGE, 0, STAGE1_AP_EL0 | STAGE1_AP_RO);
    else if ((e->cpu & PT_CPU_WXN) && writable)
        deny_by(e, PT_REASON_RIGHT, 0, STAGE1_AP_RO);
}

/* In AArch32 XN is everybody's, what is executed has to be readable, and PL1 may execute what PL0 can write. */
static void judge_fetch_32(struct pt_explanation *e, const struct rights *rights)
{
    bool user = e->access & PT_USER;

    if (user && !rights->el0)
        deny_by(e, PT_REASON_PRIVILEGE, VMSA_AP_TABLE_NO_EL0, STAGE1_AP_EL0);
    else if (rights->uxn)
        deny_by(e, PT_REASON_RIGHT, VMSA_UXN_TABLE, STAGE1_UXN);
    else if (!user && rights->pxn)
        deny_by(e, PT_REASON_RIGHT, VMSA_PXN_TABLE, STAGE1_PXN);
    else if ((e->cpu & PT_CPU_WXN) && !rights->read_only)
        deny_by(e, PT_REASON_RIGHT, 0, STAGE1_AP_RO);
}

/* The access flag comes before all rights (D8.14.1). */
static bool is_accessed(const struct page_table *pt, struct pt_explanation *e)
{
    unsigned level = e->steps - 1;

    if (pt->format->tracks_access || (e->step[level].bits & VMSA_AF))
        return true;
    pt_deny(e, PT_REASON_NOT_ACCESSED, level, VMSA_AF);
    return false;
}

static void judge_stage1(const struct page_table *pt, struct pt_explanation *e)
{
    struct rights rights = rights_of(pt, e);

    if (!is_accessed(pt, e))
        return;
    if (pt->format->features & PT_FEATURE_EL2)
        judge_el2(e, &rights);
    else if (e->access & PT_EXECUTE)
        judge_fetch(e, &rights);
    else
        judge_data(e, &rights);
}

static void judge_lpae(const struct page_table *pt, struct pt_explanation *e)
{
    struct rights rights = rights_of(pt, e);

    if (!is_accessed(pt, e))
        return;
    if (e->access & PT_EXECUTE)
        judge_fetch_32(e, &rights);
    else
        judge_data(e, &rights);
}

/* XN[1:0] with FEAT_XNX: 0 both, 1 EL0, 2 nobody, 3 EL1; without, XN[1] says nobody (D8.4.2). */
static void judge_stage2(const struct page_table *pt, struct pt_explanation *e)
{
    unsigned level = e->steps - 1;
    uint64_t leaf = e->step[level].bits;
    bool xnx = (pt->format->features & PT_FEATURE_XNX) && (leaf & STAGE2_XNX), user = e->access & PT_USER;
    bool writable = (leaf & STAGE2_WRITE) || (pt->format->tracks_access && (leaf & VMSA_DBM));
    bool denied;

    if (!is_accessed(pt, e))
        return;
    if (e->access & PT_EXECUTE) {
        denied = xnx ? user == ((leaf & STAGE2_XN) != 0) : (leaf & STAGE2_XN) != 0;
        if (denied)
            pt_deny(e, PT_REASON_RIGHT, level, STAGE2_XN | (xnx ? STAGE2_XNX : 0));
    } else if (e->access & PT_WRITE ? !writable : !(leaf & STAGE2_READ)) {
        pt_deny(e, PT_REASON_RIGHT, level, e->access & PT_WRITE ? STAGE2_WRITE : STAGE2_READ);
    }
}

/* A block at a level that has none? */
static bool is_no_block(const struct page_table *pt, const struct pt_explanation *e)
{
    unsigned below = pt->format->levels - 1u - e->level;

    return e->step[e->level].is_leaf &&
           !(pt->format->page_sizes >> (pt->format->page_shift + below * pt->format->index_bits) & 1);
}

/* The fault status. The manual counts levels so that the last one is 3. */
static uint64_t status_of(const struct page_table *pt, const struct pt_explanation *e)
{
    unsigned level = e->level + 4u - pt->format->levels;
    bool above = e->level + 4u < pt->format->levels; /* level -1 */

    switch (e->reason) {
    case PT_REASON_NOT_CANONICAL:
        return TRANSLATION; /* of level 0, wherever the walk would begin */
    case PT_REASON_UNREADABLE:
        return above ? EXTERNAL_ON_WALK_ABOVE : EXTERNAL_ON_WALK | level;
    case PT_REASON_NOT_PRESENT:
        return above ? TRANSLATION_ABOVE : TRANSLATION | level;
    case PT_REASON_MALFORMED:
        /* A block where there are none is no translation; else it is the address that is too wide. */
        if (is_no_block(pt, e))
            return above ? TRANSLATION_ABOVE : TRANSLATION | level;
        return above ? ADDRESS_SIZE_ABOVE : ADDRESS_SIZE | level;
    case PT_REASON_NOT_ACCESSED:
        return ACCESS_FLAG | level;
    default:
        return PERMISSION | (e->steps + 3u - pt->format->levels); /* of the leaf, whoever took the right away */
    }
}

/* By bit 1 it is not what there may be at its level. */
static void name_bits(const struct page_table *pt, struct pt_explanation *e)
{
    if (e->reason == PT_REASON_NOT_PRESENT)
        e->bits = e->step[e->level].bits & VMSA_VALID ? VMSA_PAGE : VMSA_VALID;
    else if (e->reason == PT_REASON_MALFORMED && is_no_block(pt, e))
        e->bits = VMSA_TABLE;
}

static void report(const struct page_table *pt, struct pt_explanation *e)
{
    /* What EL0 does, and what a guest does, comes from a lower exception level. */
    bool lower = (pt->format->features & PT_FEATURE_SECOND_STAGE) ||
                 ((e->access & PT_USER) && !(pt->format->features & PT_FEATURE_EL2));

    name_bits(pt, e);
    e->code = status_of(pt, e);
    if (e->access & PT_EXECUTE) {
        e->exception = lower ? FETCH_ABORT_LOWER : FETCH_ABORT_SAME;
    } else {
        e->exception = lower ? DATA_ABORT_LOWER : DATA_ABORT_SAME;
        e->code |= e->access & PT_WRITE ? ESR_WNR : 0;
    }
}

static void report_32(const struct page_table *pt, struct pt_explanation *e)
{
    name_bits(pt, e);
    e->exception = e->access & PT_EXECUTE ? 1 : 0;
    e->code = status_of(pt, e) | DFSR_LPAE | (e->access & PT_WRITE ? DFSR_WNR : 0);
    if (e->reason == PT_REASON_NOT_CANONICAL)
        e->code |= 1; /* there is no level 0 */
}

static const char *exception_name(const struct pt_explanation *e)
{
    switch (e->exception) {
    case FETCH_ABORT_LOWER:
        return "instruction abort from a lower exception level";
    case FETCH_ABORT_SAME:
        return "instruction abort";
    case DATA_ABORT_LOWER:
        return "data abort from a lower exception level";
    default:
        return "data abort";
    }
}

static const char *exception_name_32(const struct pt_explanation *e)
{
    return e->exception ? "prefetch abort, IFSR" : "data abort, DFSR";
}

static pt_flags leaves(const struct page_table *pt, uint64_t bits)
{
    (void)pt;
    return PT_READ | (bits & VMSA_AP_TABLE_RO ? 0 : PT_WRITE) | (bits & VMSA_AP_TABLE_NO_EL0 ? 0 : PT_USER) |
           ((bits & VMSA_UXN_TABLE) && (bits & VMSA_PXN_TABLE) ? 0 : PT_EXECUTE);
}

#define COMMON_FIELDS                                                                                                  \
    {"Valid", 0, 1, PT_FIELD_OF_ALL, 0}, {"Table", 1, 1, PT_FIELD_OF_TABLE | PT_FIELD_OF_HUGE, 0},                     \
        {"Page", 1, 1, PT_FIELD_OF_PAGE, 0}, {"AF", 10, 1, PT_FIELD_OF_LEAF, 0},                                       \
        {"Address", 12, 38, PT_FIELD_OF_ALL, 0}, {"DBM", 51, 1, PT_FIELD_OF_LEAF, 0},                                  \
        {"Contiguous", 52, 1, PT_FIELD_OF_LEAF, 0}, {"Software", 55, 4, PT_FIELD_OF_LEAF, 0},                          \
        {"PBHA", 59, 4, PT_FIELD_OF_LEAF, 0}, {"Ignored", 2, 10, PT_FIELD_OF_TABLE, 0},                                \
        {"Ignored", 51, 8, PT_FIELD_OF_TABLE, 0}

static const struct pt_field stage1_fields[] = {
    COMMON_FIELDS,
    {"AttrIndx", 2, 3, PT_FIELD_OF_LEAF, 0},
    {"NS", 5, 1, PT_FIELD_OF_LEAF, 0},
    {"AP[1]", 6, 1, PT_FIELD_OF_LEAF, 0},
    {"AP[2]", 7, 1, PT_FIELD_OF_LEAF, 0},
    {"SH", 8, 2, PT_FIELD_OF_LEAF, 0},
    {"nG", 11, 1, PT_FIELD_OF_LEAF, 0},
    {"GP", 50, 1, PT_FIELD_OF_LEAF, 0},
    {"PXN", 53, 1, PT_FIELD_OF_LEAF, 0},
    {"UXN", 54, 1, PT_FIELD_OF_LEAF, 0},
    {"PXNTable", 59, 1, PT_FIELD_OF_TABLE, 0},
    {"UXNTable", 60, 1, PT_FIELD_OF_TABLE, 0},
    {"APTable", 61, 2, PT_FIELD_OF_TABLE, 0},
    {"NSTable", 63, 1, PT_FIELD_OF_TABLE, 0},
    {0},
};

static const struct pt_field stage2_fields[] = {
    COMMON_FIELDS,
    {"MemAttr", 2, 4, PT_FIELD_OF_LEAF, 0},
    {"S2AP[0]", 6, 1, PT_FIELD_OF_LEAF, 0},
    {"S2AP[1]", 7, 1, PT_FIELD_OF_LEAF, 0},
    {"SH", 8, 2, PT_FIELD_OF_LEAF, 0},
    {"FnXS", 11, 1, PT_FIELD_OF_LEAF, 0},
    {"XN[0]", 53, 1, PT_FIELD_OF_LEAF, 0},
    {"XN[1]", 54, 1, PT_FIELD_OF_LEAF, 0},
    {0},
};

const struct pt_mmu pt_mmu_aarch64 = {
    .fields = stage1_fields,
    .exception = "ESR_ELx.EC",
    .code = "ISS",
    .leaves = leaves,
    .judge = judge_stage1,
    .report = report,
    .exception_name = exception_name,
};

const struct pt_mmu pt_mmu_aarch64_stage2 = {
    .fields = stage2_fields,
    .exception = "ESR_EL2.EC",
    .code = "ISS",
    .judge = judge_stage2,
    .report = report,
    .exception_name = exception_name,
};

const struct pt_mmu pt_mmu_armv7_lpae = {
    .fields = stage1_fields,
    .exception = "abort",
    .code = "status",
    .leaves = leaves,
    .judge = judge_lpae,
    .report = report_32,
    .exception_name = exception_name_32,
};

#endif
