/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, 64 bits: satp, the status bits that matter to translation, and SFENCE.VMA.
 * Sections are those of The RISC-V Instruction Set Manual, volume II: Privileged Architecture, chapter
 * "Supervisor-Level ISA".
 */
#ifndef PAGETABLE_HW_RISCV64_H
#define PAGETABLE_HW_RISCV64_H

#include <pagetable/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

/* satp; "Supervisor Address Translation and Protection (satp) Register". */
#define PT_RISCV_SATP_MODE_SHIFT 60
#define PT_RISCV_SATP_BARE UINT64_C(0)
#define PT_RISCV_SATP_SV39 UINT64_C(8)
#define PT_RISCV_SATP_SV48 UINT64_C(9)
#define PT_RISCV_SATP_SV57 UINT64_C(10)
#define PT_RISCV_SATP_ASID_SHIFT 44
#define PT_RISCV_SATP_ASID_MASK UINT64_C(0xffff) /**< before the shift; the CPU may have fewer bits */

/* sstatus; "Memory Privilege in sstatus Register". */
#define PT_RISCV_SSTATUS_SUM (UINT64_C(1) << 18) /**< the supervisor may read and write user pages */
#define PT_RISCV_SSTATUS_MXR (UINT64_C(1) << 19) /**< executable pages are readable */

/* menvcfg, by machine mode. */
#define PT_RISCV_MENVCFG_ADUE (UINT64_C(1) << 61)  /**< Svadu: hardware sets accessed and dirty */
#define PT_RISCV_MENVCFG_PBMTE (UINT64_C(1) << 62) /**< Svpbmt: memory types in bits 62:61 of a leaf */

/** The value of satp for *pt: MODE 8, 9, 10 for 3, 4, 5 levels. */
static inline uint64_t pt_riscv_satp(const struct page_table *pt, uint64_t asid)
{
    uint64_t mode = PT_RISCV_SATP_SV39 + pt->format->levels - 3u;

    return mode << PT_RISCV_SATP_MODE_SHIFT | (asid & PT_RISCV_SATP_ASID_MASK) << PT_RISCV_SATP_ASID_SHIFT |
           pt_root(pt) >> 12;
}

#if defined(__riscv) && __riscv_xlen == 64

/**
 * Use *pt, with its ASID or 0, from the next instruction on, which it must map where it runs; and forget what
 * was remembered of any table before. A MODE that the CPU does not have leaves satp as it was: read it
 * back where that may be.
 */
static inline void pt_hw_load_root(const struct page_table *pt)
{
    uint64_t satp = pt_riscv_satp(pt, pt->asid == PT_NO_ASID ? 0 : pt->asid);

    __asm__ volatile("csrw satp, %0\n\tsfence.vma x0, x0" : : "r"(satp) : "memory");
}

/*
 * "Supervisor Memory-Management Fence Instruction": SFENCE.VMA orders the hart's earlier stores to the
 * tables before its later walks, and does so itself, without a FENCE before or after. rs2 = x0 means
 * every address space, global entries too. Other harts need one of their own.
 */

/**
 * Earlier stores before later ones. Only SFENCE.VMA reaches the walker: the formats owe it for every
 * new mapping (PT_OWES_FLUSH), unless a kernel knows of Svvptc and says otherwise in a copy.
 */
static inline void pt_hw_publish(void)
{
    __asm__ volatile("fence w, rw" : : : "memory");
}

static inline void pt_hw_invalidate_begin(void)
{
    __asm__ volatile("" : : : "memory");
}

/** With an address, SFENCE.VMA orders leaf entries only: when a table went, rs1 must be x0. */
static inline bool pt_hw_needs_all(const struct pt_flush *flush)
{
    return flush->tables_changed;
}

/** The page that holds vaddr, of any size. With an ASID in rs2, global mappings stay. */
static inline void pt_hw_invalidate(pt_vaddr vaddr, uint32_t asid, bool global, bool tables)
{
    (void)tables;
    if (global || asid == PT_NO_ASID)
        __asm__ volatile("sfence.vma %0, x0" : : "r"(vaddr) : "memory");
    else
        __asm__ volatile("sfence.vma %0, %1" : : "r"(vaddr), "r"((uint64_t)asid) : "memory");
}

/** All of one ASID that is not global. */
static inline void pt_hw_invalidate_asid(uint32_t asid)
{
    __asm__ volatile("sfence.vma x0, %0" : : "r"((uint64_t)asid) : "memory");
}

static inline void pt_hw_invalidate_all(void)
{
    __asm__ volatile("sfence.vma x0, x0" : : : "memory");
}

static inline void pt_hw_invalidate_end(void)
{
    __asm__ volatile("" : : : "memory");
}

#endif /* __riscv */

#ifdef __cplusplus
}
#endif

#endif
