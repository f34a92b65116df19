/* SPDX-License-Identifier: MIT */
/*
 * x86, both sizes of entries, and AMD's nested paging. Sections: Intel SDM vol. 3A 4.6 (rights), 4.7 (the error code),
 * 6.15 (exceptions); AMD APM vol. 2, 15.25.5, 15.25.6 (nested page faults).
 */
#include "mmu.h"

#if PT_HAS_FAMILY(X86_64) || PT_HAS_FAMILY(X86_32)

#include "../formats/x86_bits.h"

/* Vectors; exit codes of a guest. */
enum {
    GENERAL_PROTECTION = 13,
    PAGE_FAULT = 14,
    MACHINE_CHECK = 18,
    EXIT_MACHINE_CHECK = 0x40 + MACHINE_CHECK,
    EXIT_NPF = 0x400
};

/* The error code of a page fault, and EXITINFO1 of a nested one. */
#define CODE_P (UINT64_C(1) << 0)
#define CODE_W (UINT64_C(1) << 1)
#define CODE_U (UINT64_C(1) << 2)
#define CODE_RSVD (UINT64_C(1) << 3)
#define CODE_I (UINT64_C(1) << 4)
#define CODE_FINAL (UINT64_C(1) << 32) /* at the guest's physical address, not at one of its tables' */

static bool is_second_stage(const struct page_table *pt)
{
    return pt->format->features & PT_FEATURE_SECOND_STAGE;
}

/* The root's entries of PAE have no rights. */
static unsigned first_level(const struct page_table *pt)
{
    return pt->format->levels == 3 ? 1 : 0;
}

/* The first level where this bit is what forbids it, or how many there are. */
static unsigned find_level(const struct page_table *pt, const struct pt_explanation *e, uint64_t bit, bool forbids)
{
    unsigned level = first_level(pt);

    while (level < e->steps && ((e->step[level].bits & bit) != 0) != forbids)
        level++;
    return level;
}

static void judge(const struct page_table *pt, struct pt_explanation *e)
{
    bool user = is_second_stage(pt) || (e->access & PT_USER);
    unsigned supervisor = find_level(pt, e, X86_US, false), read_only = find_level(pt, e, X86_RW, false);
    unsigned no_execute = find_level(pt, e, X86_XD_64, true);
    bool users_page = supervisor == e->steps;
    uint32_t guard = e->access & PT_EXECUTE ? PT_CPU_SMEP : PT_CPU_SMAP;

    if (user && !users_page)
        pt_deny(e, PT_REASON_PRIVILEGE, supervisor, X86_US);
    else if (!user && users_page && (e->cpu & guard))
        pt_deny(e, PT_REASON_PRIVILEGE, e->steps - 1, X86_US);
    else if ((e->access & PT_WRITE) && read_only < e->steps && (user || (e->cpu & PT_CPU_WP)))
        pt_deny(e, PT_REASON_RIGHT, read_only, X86_RW);
    else if ((e->access & PT_EXECUTE) && no_execute < e->steps)
        pt_deny(e, PT_REASON_RIGHT, no_execute, X86_XD_64);
}

/*
 * A CPU that loads the root's entries of PAE into registers meets their reserved bits there: it reports a general
 * protection fault of that, others (AMD's guests, emulators) this one.
 */
static uint64_t page_fault_code(const struct page_table *pt, const struct pt_explanation *e)
{
    bool tells_fetches = (pt->format->features & PT_FEATURE_NX) || (e->cpu & PT_CPU_SMEP);

    return (e->reason == PT_REASON_NOT_PRESENT || e->reason == PT_REASON_NOT_CANONICAL ? 0 : CODE_P) |
           (e->access & PT_WRITE ? CODE_W : 0) | (is_second_stage(pt) || (e->access & PT_USER) ? CODE_U : 0) |
           (e->reason == PT_REASON_MALFORMED ? CODE_RSVD : 0) |
           ((e->access & PT_EXECUTE) && tells_fetches ? CODE_I : 0) | (is_second_stage(pt) ? CODE_FINAL : 0);
}

static void report(const struct page_table *pt, struct pt_explanation *e)
{
    if (e->reason == PT_REASON_NOT_PRESENT)
        e->bits = X86_P;
    if (e->reason == PT_REASON_UNREADABLE) {
        e->exception = is_second_stage(pt) ? EXIT_MACHINE_CHECK : MACHINE_CHECK;
    } else if (is_second_stage(pt)) {
        e->exception = EXIT_NPF;
        e->code = page_fault_code(pt, e);
    } else if (e->reason == PT_REASON_NOT_CANONICAL) {
        e->exception = GENERAL_PROTECTION;
    } else {
        e->exception = PAGE_FAULT;
        e->code = page_fault_code(pt, e);
    }
}

static pt_flags leaves(const struct page_table *pt, uint64_t bits)
{
    (void)pt;
    return PT_READ | (bits & X86_RW ? PT_WRITE : 0) | (bits & X86_US ? PT_USER : 0) |
           (bits & X86_XD_64 ? 0 : PT_EXECUTE);
}

static const char *exception_name(const struct pt_explanation *e)
{
    switch (e->exception) {
    case GENERAL_PROTECTION:
        return "#GP, general protection";
    case PAGE_FAULT:
        return "#PF, page fault";
    case EXIT_NPF:
        return "VMEXIT_NPF, nested page fault";
    default:
        return "#MC, machine check";
    }
}

/* D of an entry that leads to a table is ignored, and set by some; G there is not what it seems. */
static const struct pt_field fields[] = {
    {"P", 0, 1, PT_FIELD_OF_ALL, 0},
    {"R/W", 1, 1, PT_FIELD_OF_ALL, 0},
    {"U/S", 2, 1, PT_FIELD_OF_ALL, 0},
    {"PWT", 3, 1, PT_FIELD_OF_ALL, 0},
    {"PCD", 4, 1, PT_FIELD_OF_ALL, 0},
    {"A", 5, 1, PT_FIELD_OF_ALL, 0},
    {"D", 6, 1, PT_FIELD_OF_LEAF, 0},
    {"AVL", 6, 1, PT_FIELD_OF_TABLE, 0},
    {"PAT", 7, 1, PT_FIELD_OF_PAGE, 0},
    {"PS", 7, 1, PT_FIELD_OF_HUGE | PT_FIELD_OF_TABLE, 0},
    {"G", 8, 1, PT_FIELD_OF_LEAF, 0},
    {"AVL", 9, 3, PT_FIELD_OF_ALL, 0},
    {"PAT", 12, 1, PT_FIELD_OF_HUGE, 0},
    {"Address", 13, 39, PT_FIELD_OF_HUGE, 0},
    {"Address", 12, 40, PT_FIELD_OF_PAGE | PT_FIELD_OF_TABLE, 0},
    {"AVL", 52, 11, PT_FIELD_OF_TABLE, 0},
    {"AVL", 52, 7, PT_FIELD_OF_LEAF, 0},
    {"PK", 59, 4, PT_FIELD_OF_LEAF, 0},
    {"XD", 63, 1, PT_FIELD_OF_ALL, 0},
    {0},
};

const struct pt_mmu pt_mmu_x86 = {
    .fields = fields,
    .exception = "exception",
    .code = "code",
    .leaves = leaves,
    .judge = judge,
    .report = report,
    .exception_name = exception_name,
};

#endif
