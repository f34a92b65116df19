/* SPDX-License-Identifier: MIT */
/*
 * x86, 32 bits: loading the root of pt_x86_32 and pt_x86_pae, the TLB instructions, what the CPU has. The bits of the control
 * registers are those of hw/x86.h.
 */
#ifndef PAGETABLE_HW_X86_32_H
#define PAGETABLE_HW_X86_32_H

#include <pagetable/hw/x86.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What must be set before a table is right: CR0.PG and WP; for pt_x86_32 CR4.PSE and not PAE; for pt_x86_pae CR4.PAE,
 * and EFER.NXE (or a copy without PT_FEATURE_NX). CR4.PGE makes PT_GLOBAL mean something. The PAT is CPUID.1:EDX
 * bit 16: without it no memory_index above 3 exists.
 *
 * CR3 has 32 bits: the root has to lie below 4 GiB; that of pt_x86_pae is 32 bytes, of which there is one to a frame.
 */

#if defined(__i386__)

/**
 * Use *pt from the next instruction on, which it must map where it runs. Drops the TLB entries that are not global,
 * and loads the PDPTEs of pt_x86_pae. SDM 4.3, 4.4.1.
 */
static inline void pt_hw_load_root(const struct page_table *pt)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"((uint32_t)pt_root(pt)) : "memory");
}

/** INVLPG reaches all sizes of pages and all paging-structure caches: there are no PCIDs in 32-bit modes. SDM 4.10.4.1. */
static inline bool pt_hw_needs_all(const struct pt_flush *flush)
{
    (void)flush;
    return false;
}

/** Drops the page that holds vaddr, global or not. It leaves the PDPTEs alone: a change of one owes everything. */
static inline void pt_hw_invalidate(pt_vaddr vaddr, uint32_t asid, bool global, bool tables)
{
    (void)asid;
    (void)global;
    (void)tables;
    __asm__ volatile("invlpg (%0)" : : "r"((uint32_t)vaddr) : "memory");
}

/** All that is not global, and the PDPTEs. SDM 4.10.4.1, 4.4.1. */
static inline void pt_hw_invalidate_asid(uint32_t asid)
{
    uint32_t cr3;

    (void)asid;
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3) : : "memory");
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

/**
 * Everything. Only a change of CR4.PGE drops global entries, of which there are none while it is clear; only a load of
 * CR3 is sure to load the PDPTEs. A CPU old enough to have no CR4 has no use for this header.
 */
static inline void pt_hw_invalidate_all(void)
{
    uint32_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4) : : "memory");
    if (cr4 & PT_X86_64_CR4_PGE)
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 & ~(uint32_t)PT_X86_64_CR4_PGE) : "memory");
    pt_hw_invalidate_asid(PT_NO_ASID);
    if (cr4 & PT_X86_64_CR4_PGE)
        __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

#ifndef PT_ONLY_FORMAT
/**
 * pt_x86_32 as this CPU has it: with PSE-36 and its address bits, without 4M pages where there is no PSE. CR4.PSE is the
 * caller's to set. SDM 4.1.4.
 */
static inline struct pt_format pt_x86_32_detect(void)
{
    struct pt_format format = pt_x86_32;
    uint32_t registers[4];

    pt_hw_cpuid(1, registers);
    if (!(registers[3] >> 3 & 1)) { /* PSE */
        format.page_sizes &= ~PT_4M;
    } else if (registers[3] >> 17 & 1) { /* PSE-36 */
        format.features |= PT_FEATURE_PSE36;
        format.pa_bits = pt_hw_physical_bits();
        if (format.pa_bits > 40)
            format.pa_bits = 40;
    }
    return format;
}

/**
 * pt_x86_pae likewise: with the CPU's MAXPHYADDR, and without NX where it has none; CR4.PAE and EFER.NXE are the
 * caller's to set. Without PAE the copy has no levels, which pt_create refuses. SDM 4.1.4.
 */
static inline struct pt_format pt_x86_pae_detect(void)
{
    struct pt_format format = pt_x86_pae;
    uint32_t registers[4];

    pt_hw_cpuid(1, registers);
    if (!(registers[3] >> 6 & 1))
        format.levels = 0;
    if (!pt_hw_has_nx())
        format.features &= ~PT_FEATURE_NX;
    format.pa_bits = pt_hw_physical_bits();
    return format;
}
#endif

#endif /* __i386__ */

#ifdef __cplusplus
}
#endif

#endif
