/* SPDX-License-Identifier: MIT */
/*
 * Intel EPT. Sections: Intel SDM vol. 3C 28.3.3 "EPT-Induced VM Exits", 27.2.1 (table 27-7: the exit qualification),
 * appendix C (exit reasons). An access is one at a linear address of the guest's, not at a table of its own.
 */
#include "mmu.h"

#if PT_HAS_FAMILY(EPT)

#include "../formats/ept_bits.h"

/* Exit reasons. */
enum {
    EXIT_EXCEPTION = 0,
    EXIT_EPT_VIOLATION = 48,
    EXIT_EPT_MISCONFIGURATION = 49
};

/* The exit qualification: the access in bits 2:0, what all levels allow in 6:3. */
#define ALLOWED_SHIFT 3
#define QUALIFICATION_READ (UINT64_C(1) << 0)
#define QUALIFICATION_WRITE (UINT64_C(1) << 1)
#define QUALIFICATION_FETCH (UINT64_C(1) << 2)
#define QUALIFICATION_XU (UINT64_C(1) << 6)
#define QUALIFICATION_LINEAR (UINT64_C(3) << 7) /* there is a linear address, and this is its page */

static bool is_by_mode(const struct page_table *pt)
{
    return pt->format->features & PT_FEATURE_MODE_EXECUTE;
}

static void judge(const struct page_table *pt, struct pt_explanation *e)
{
    uint64_t wanted = e->access & PT_WRITE ? EPT_W : EPT_R;

    if (e->access & PT_EXECUTE)
        wanted = is_by_mode(pt) && (e->access & PT_USER) ? EPT_XU : EPT_X;
    for (unsigned level = 0; level < e->steps; level++) {
        if (!(e->step[level].bits & wanted)) {
            pt_deny(e, PT_REASON_RIGHT, level, wanted);
            return;
        }
    }
}

/* The AND of all entries on the way. */
static uint64_t qualification(const struct page_table *pt, const struct pt_explanation *e)
{
    uint64_t all = e->steps == 0 ? 0 : ~UINT64_C(0);
    uint64_t value = QUALIFICATION_LINEAR;

    for (unsigned level = 0; level < e->steps; level++)
        all &= e->step[level].bits;
    value |= e->access & PT_EXECUTE ? QUALIFICATION_FETCH
             : e->access & PT_WRITE ? QUALIFICATION_WRITE
                                    : QUALIFICATION_READ;
    value |= (all & (EPT_R | EPT_W | EPT_X)) << ALLOWED_SHIFT;
    return value | (is_by_mode(pt) && (all & EPT_XU) ? QUALIFICATION_XU : 0);
}

static void report(const struct page_table *pt, struct pt_explanation *e)
{
    if (e->reason == PT_REASON_NOT_PRESENT)
        e->bits = EPT_R | EPT_W | EPT_X | (is_by_mode(pt) ? EPT_XU : 0);
    if (e->reason == PT_REASON_UNREADABLE) {
        e->exception = EXIT_EXCEPTION;
    } else if (e->reason == PT_REASON_MALFORMED) {
        e->exception = EXIT_EPT_MISCONFIGURATION;
    } else {
        e->exception = EXIT_EPT_VIOLATION;
        e->code = qualification(pt, e);
    }
}

static pt_flags leaves(const struct page_table *pt, uint64_t bits)
{
    bool executable = bits & (EPT_X | (is_by_mode(pt) ? EPT_XU : 0));

    return (bits & EPT_R ? PT_READ : 0) | (bits & EPT_W ? PT_WRITE : 0) | (executable ? PT_EXECUTE : 0) |
           (is_by_mode(pt) && executable && !(bits & EPT_XU) ? 0 : PT_USER);
}

static const char *exception_name(const struct pt_explanation *e)
{
    switch (e->exception) {
    case EXIT_EPT_VIOLATION:
        return "EPT violation";
    case EXIT_EPT_MISCONFIGURATION:
        return "EPT misconfiguration";
    default:
        return "exception: #MC, machine check";
    }
}

static const struct pt_field fields[] = {
    {"R", 0, 1, PT_FIELD_OF_ALL, 0},
    {"W", 1, 1, PT_FIELD_OF_ALL, 0},
    {"X", 2, 1, PT_FIELD_OF_ALL, 0},
    {"MT", 3, 3, PT_FIELD_OF_LEAF, 0},
    {"IPAT", 6, 1, PT_FIELD_OF_LEAF, 0},
    {"PS", 7, 1, PT_FIELD_OF_HUGE | PT_FIELD_OF_TABLE, 0},
    {"A", 8, 1, PT_FIELD_OF_ALL, 0},
    {"D", 9, 1, PT_FIELD_OF_LEAF, 0},
    {"XU", 10, 1, PT_FIELD_OF_ALL, PT_FEATURE_MODE_EXECUTE},
    {"AVL", 11, 1, PT_FIELD_OF_ALL, 0},
    {"Address", 12, 40, PT_FIELD_OF_ALL, 0},
    {"AVL", 52, 11, PT_FIELD_OF_TABLE, 0},
    {"AVL", 52, 5, PT_FIELD_OF_LEAF, 0},
    {"VGP", 57, 1, PT_FIELD_OF_LEAF, 0},
    {"PW", 58, 1, PT_FIELD_OF_LEAF, 0},
    {"SSS", 60, 1, PT_FIELD_OF_LEAF, 0},
    {"SPP", 61, 1, PT_FIELD_OF_PAGE, 0},
    {"SVE", 63, 1, PT_FIELD_OF_LEAF, 0},
    {0},
};

const struct pt_mmu pt_mmu_ept = {
    .fields = fields,
    .exception = "exit reason",
    .code = "qualification",
    .leaves = leaves,
    .judge = judge,
    .report = report,
    .exception_name = exception_name,
};

#endif
