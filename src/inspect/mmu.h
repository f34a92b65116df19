/* SPDX-License-Identifier: MIT */
/* What explaining an access takes of a family of formats: what bits are called, how its MMU judges, what the CPU reports. */
#ifndef PT_INSPECT_MMU_H
#define PT_INSPECT_MMU_H

#include <pagetable/pagetable.h>

#include "../formats/family.h"

struct pt_mmu {
    const struct pt_field *fields;
    const char *exception, *code; /* what an explanation's members are called; no code: NULL */

    /* The rights that an entry, as it is seen, leaves to what lies below the table it leads to; NULL: all. */
    pt_flags (*leaves)(const struct page_table *pt, uint64_t bits);

    /*
     * A well-formed leaf was found, the last of e->step: set reason, level and bits if the access is denied. What is
     * left of its rights on the way down is in e->mapping.flags; all entries are there, to tell which one took others.
     */
    void (*judge)(const struct page_table *pt, struct pt_explanation *e);

    /* There is a reason: set the exception and the code. */
    void (*report)(const struct page_table *pt, struct pt_explanation *e);

    /* The manual's name of e->exception. */
    const char *(*exception_name)(const struct pt_explanation *e);
};

extern const struct pt_mmu pt_mmu_x86, pt_mmu_ept, pt_mmu_riscv, pt_mmu_loongarch, pt_mmu_aarch64,
    pt_mmu_aarch64_stage2, pt_mmu_armv7_lpae, pt_mmu_armv7_short;

/* With PT_ONLY_FORMAT, by the number of its family. */
#define PT_MMU_OF_1 pt_mmu_x86
#define PT_MMU_OF_2 pt_mmu_aarch64
#define PT_MMU_OF_3 pt_mmu_riscv
#define PT_MMU_OF_4 pt_mmu_loongarch
#define PT_MMU_OF_5 pt_mmu_armv7_short
#define PT_MMU_OF_6 pt_mmu_riscv
#define PT_MMU_OF_7 pt_mmu_x86
#define PT_MMU_OF_8 pt_mmu_ept
#define PT_MMU_OF_9 pt_mmu_aarch64_stage2
#define PT_MMU_OF_10 pt_mmu_armv7_lpae

#ifndef PT_ONLY_FORMAT
#include "../operations.h"
#endif

/* NULL: of a format that is not the library's own. */
static inline const struct pt_mmu *pt_mmu_of(const struct pt_format *format)
{
#ifdef PT_ONLY_FORMAT
    (void)format;
    return &PT_CONCATENATE(PT_MMU_OF_, PT_ONLY_FAMILY);
#else
    return format->operations->mmu;
#endif
}

static inline bool pt_is_last_level(const struct page_table *pt, unsigned level)
{
    return level + 1u == pt->format->levels;
}

/* The entry of this level says no. */
static inline void pt_deny(struct pt_explanation *e, enum pt_reason reason, unsigned level, uint64_t bits)
{
    e->reason = reason;
    e->level = level;
    e->bits = bits;
}

#endif
