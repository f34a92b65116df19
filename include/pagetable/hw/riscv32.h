/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, 32 bits: satp and hgatp; the instructions are in <pagetable/hw/riscv.h>. Sections are those of The RISC-V
 * Instruction Set Manual, volume II: Privileged Architecture, chapters "Supervisor-Level ISA" and "Hypervisor
 * Extension".
 */
#ifndef PAGETABLE_HW_RISCV32_H
#define PAGETABLE_HW_RISCV32_H

#include <pagetable/hw/riscv.h>

#ifdef __cplusplus
extern "C" {
#endif

/* satp; "Supervisor Address Translation and Protection (satp) Register". */
#define PT_RISCV_SATP_SV32 (UINT32_C(1) << 31) /**< MODE; clear: Bare */
#define PT_RISCV_SATP_ASID_SHIFT 22
#define PT_RISCV_SATP_ASID_MASK UINT32_C(0x1ff) /**< before the shift; the CPU may have fewer bits */

/* hgatp; "Hypervisor Guest Address Translation and Protection (hgatp) Register". MODE as in satp. */
#define PT_RISCV_HGATP_VMID_SHIFT 22
#define PT_RISCV_HGATP_VMID_MASK UINT32_C(0x7f)

/* menvcfgh, by machine mode. */
#define PT_RISCV_MENVCFGH_ADUE (UINT32_C(1) << 29) /**< Svadu: hardware sets accessed and dirty */

/** The value of satp for *pt. */
static inline uint32_t pt_riscv_satp(const struct page_table *pt, uint32_t asid)
{
    return PT_RISCV_SATP_SV32 | (asid & PT_RISCV_SATP_ASID_MASK) << PT_RISCV_SATP_ASID_SHIFT |
           (uint32_t)(pt_root(pt) >> 12);
}

/** The value of hgatp for *pt, a second stage. */
static inline uint32_t pt_riscv_hgatp(const struct page_table *pt, uint32_t vmid)
{
    return PT_RISCV_SATP_SV32 | (vmid & PT_RISCV_HGATP_VMID_MASK) << PT_RISCV_HGATP_VMID_SHIFT |
           (uint32_t)(pt_root(pt) >> 12);
}

#if defined(__riscv) && __riscv_xlen == 32

/**
 * Use *pt, with its ASID or 0, from the next instruction on, which it must map where it runs; and forget what
 * was remembered of any table before.
 */
static inline void pt_hw_load_root(const struct page_table *pt)
{
    uint32_t satp = pt_riscv_satp(pt, pt->asid == PT_NO_ASID ? 0 : pt->asid);

    __asm__ volatile("csrw satp, %0\n\tsfence.vma x0, x0" : : "r"(satp) : "memory");
}

/**
 * Use the second stage *pt, with its ASID as the VMID or 0, for guests from now on; and forget what was remembered
 * of that guest. In HS-mode.
 */
static inline void pt_hw_load_guest_root(const struct page_table *pt)
{
    uint32_t vmid = pt->asid == PT_NO_ASID ? 0 : pt->asid;

    __asm__ volatile("csrw 0x680, %0" : : "r"(pt_riscv_hgatp(pt, vmid)) : "memory"); /* hgatp */
    pt_hw_invalidate_guest(vmid);
}

#endif /* __riscv */

#ifdef __cplusplus
}
#endif

#endif
