/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, 64 bits: satp and hgatp, and which formats the CPU has; the instructions are in <pagetable/hw/riscv.h>.
 * Sections are those of The RISC-V Instruction Set Manual, volume II: Privileged Architecture, chapters
 * "Supervisor-Level ISA" and "Hypervisor Extension".
 */
#ifndef PAGETABLE_HW_RISCV64_H
#define PAGETABLE_HW_RISCV64_H

#include <pagetable/hw/riscv.h>

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

/* hgatp; "Hypervisor Guest Address Translation and Protection (hgatp) Register". The modes have satp's numbers. */
#define PT_RISCV_HGATP_VMID_SHIFT 44
#define PT_RISCV_HGATP_VMID_MASK UINT64_C(0x3fff)

/* menvcfg, by machine mode. */
#define PT_RISCV_MENVCFG_ADUE (UINT64_C(1) << 61)  /**< Svadu: hardware sets accessed and dirty */
#define PT_RISCV_MENVCFG_PBMTE (UINT64_C(1) << 62) /**< Svpbmt: memory types in bits 62:61 of a leaf */

/* The memory_index of XuanTie C9xx (PT_FEATURE_C9XX): strong order, cacheable, bufferable, shareable. XTheadMae */
#define PT_RISCV_C9XX_NORMAL 7   /**< cacheable, bufferable, shareable */
#define PT_RISCV_C9XX_DEVICE 10  /**< strong order, bufferable: a write may be acknowledged early */
#define PT_RISCV_C9XX_UNCACHED 3 /**< bufferable, shareable */

/** The value of satp for *pt: MODE 8, 9, 10 for 3, 4, 5 levels. */
static inline uint64_t pt_riscv_satp(const struct page_table *pt, uint64_t asid)
{
    uint64_t mode = PT_RISCV_SATP_SV39 + pt->format->levels - 3u;

    return mode << PT_RISCV_SATP_MODE_SHIFT | (asid & PT_RISCV_SATP_ASID_MASK) << PT_RISCV_SATP_ASID_SHIFT |
           pt_root(pt) >> 12;
}

/** The value of hgatp for *pt, a second stage. */
static inline uint64_t pt_riscv_hgatp(const struct page_table *pt, uint64_t vmid)
{
    uint64_t mode = PT_RISCV_SATP_SV39 + pt->format->levels - 3u;

    return mode << PT_RISCV_SATP_MODE_SHIFT | (vmid & PT_RISCV_HGATP_VMID_MASK) << PT_RISCV_HGATP_VMID_SHIFT |
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

/**
 * The highest MODE that satp takes, or 0. With translation on, the one in use. With satp = Bare it has to be tried:
 * `frame` is 4 KiB of memory, aligned, for a table that maps the first 256 GiB to themselves, where the code, the
 * stack and the frame must lie; no interrupt may take the hart elsewhere meanwhile.
 */
static inline uint64_t pt_riscv_best_mode(void *frame)
{
    const uint64_t leaf = 0xcf; /* V, R, W, X, A, D */
    uint64_t *table = (uint64_t *)frame;
    uint64_t satp;

    __asm__ volatile("csrr %0, satp" : "=r"(satp));
    if (satp >> PT_RISCV_SATP_MODE_SHIFT != PT_RISCV_SATP_BARE)
        return satp >> PT_RISCV_SATP_MODE_SHIFT;

    /* Entries of 1 GiB in Sv39; the first one alone serves as 512 GiB in Sv48 and as 256 TiB in Sv57. */
    for (unsigned i = 0; i < 512; i++)
        table[i] = i < 256 ? (uint64_t)i << 28 | leaf : 0;
    for (uint64_t mode = PT_RISCV_SATP_SV57; mode >= PT_RISCV_SATP_SV39; mode--) {
        uint64_t value = mode << PT_RISCV_SATP_MODE_SHIFT | (uint64_t)(uintptr_t)frame >> 12;

        __asm__ volatile("sfence.vma x0, x0\n\t"
                         "csrw satp, %1\n\t"
                         "sfence.vma x0, x0\n\t"
                         "csrr %0, satp\n\t"
                         "csrw satp, x0\n\t"
                         "sfence.vma x0, x0"
                         : "=&r"(satp)
                         : "r"(value)
                         : "memory");
        if (satp == value)
            return mode;
    }
    return PT_RISCV_SATP_BARE;
}

/** The highest MODE that hgatp takes, or 0; in HS-mode, between guests. Invalidates what is remembered of any guest. */
static inline uint64_t pt_riscv_best_guest_mode(void)
{
    uint64_t saved, hgatp;
    uint64_t mode = PT_RISCV_SATP_SV57;

    __asm__ volatile("csrr %0, 0x680" : "=r"(saved));
    for (; mode >= PT_RISCV_SATP_SV39; mode--) {
        __asm__ volatile("csrw 0x680, %1\n\tcsrr %0, 0x680"
                         : "=&r"(hgatp)
                         : "r"(mode << PT_RISCV_SATP_MODE_SHIFT)
                         : "memory");
        if (hgatp >> PT_RISCV_SATP_MODE_SHIFT == mode)
            break;
    }
    __asm__ volatile("csrw 0x680, %0" : : "r"(saved) : "memory");
    pt_hw_invalidate_guest(PT_NO_ASID);
    return mode >= PT_RISCV_SATP_SV39 ? mode : PT_RISCV_SATP_BARE;
}

#ifndef PT_ONLY_FORMAT

/** The descriptor with the most levels that the CPU has, or NULL; see pt_riscv_best_mode. */
static inline const struct pt_format *pt_riscv_detect(void *frame)
{
    switch (pt_riscv_best_mode(frame)) {
    case PT_RISCV_SATP_SV39:
        return &pt_sv39;
    case PT_RISCV_SATP_SV48:
        return &pt_sv48;
    case PT_RISCV_SATP_SV57:
        return &pt_sv57;
    default:
        return NULL;
    }
}

/** The same of the second stage; see pt_riscv_best_guest_mode. */
static inline const struct pt_format *pt_riscv_detect_guest(void)
{
    switch (pt_riscv_best_guest_mode()) {
    case PT_RISCV_SATP_SV39:
        return &pt_sv39x4;
    case PT_RISCV_SATP_SV48:
        return &pt_sv48x4;
    case PT_RISCV_SATP_SV57:
        return &pt_sv57x4;
    default:
        return NULL;
    }
}

#endif

#endif /* __riscv */

#ifdef __cplusplus
}
#endif

#endif
