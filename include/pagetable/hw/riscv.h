/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, what 32 and 64 bits have in common: the status bits that matter to translation, SFENCE.VMA, and the fences
 * of the hypervisor extension. To be had by <pagetable/hw/riscv64.h> or <pagetable/hw/riscv32.h>.
 * Sections are those of The RISC-V Instruction Set Manual, volume II: Privileged Architecture, chapters
 * "Supervisor-Level ISA" and "Hypervisor Extension".
 */
#ifndef PAGETABLE_HW_RISCV_H
#define PAGETABLE_HW_RISCV_H

#include <pagetable/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

/* sstatus; "Memory Privilege in sstatus Register". */
#define PT_RISCV_SSTATUS_SUM (1u << 18) /**< the supervisor may read and write user pages */
#define PT_RISCV_SSTATUS_MXR (1u << 19) /**< executable pages are readable */

#if defined(__riscv)

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

/**
 * The page that holds vaddr, of any size; of a 64K page (Svnapot) the 4K at vaddr only: what is owed names each. With
 * an ASID in rs2, global mappings stay.
 */
static inline void pt_hw_invalidate(pt_vaddr vaddr, uint32_t asid, bool global, bool tables)
{
    (void)tables;
    if (global || asid == PT_NO_ASID)
        __asm__ volatile("sfence.vma %0, x0" : : "r"((uintptr_t)vaddr) : "memory");
    else
        __asm__ volatile("sfence.vma %0, %1" : : "r"((uintptr_t)vaddr), "r"((uintptr_t)asid) : "memory");
}

/** All of one ASID that is not global. */
static inline void pt_hw_invalidate_asid(uint32_t asid)
{
    __asm__ volatile("sfence.vma x0, %0" : : "r"((uintptr_t)asid) : "memory");
}

static inline void pt_hw_invalidate_all(void)
{
    __asm__ volatile("sfence.vma x0, x0" : : : "memory");
}

static inline void pt_hw_invalidate_end(void)
{
    __asm__ volatile("" : : : "memory");
}

/*
 * "Hypervisor Memory-Management Fence Instructions", for HS-mode; elsewhere, and where there is no hypervisor
 * extension, they are illegal. Written by their fields, which every assembler knows.
 */

/** What the second stage translates: a guest's page, of any size, by its physical address, in one guest or all. */
static inline void pt_hw_invalidate_guest_page(pt_vaddr guest_paddr, uint32_t vmid)
{
    uintptr_t address = (uintptr_t)(guest_paddr >> 2);

    if (vmid == PT_NO_ASID)
        __asm__ volatile(".insn r 0x73, 0, 0x31, x0, %0, x0" : : "r"(address) : "memory"); /* hfence.gvma */
    else
        __asm__ volatile(".insn r 0x73, 0, 0x31, x0, %0, %1" : : "r"(address), "r"((uintptr_t)vmid) : "memory");
}

/** All of it, of one guest or of all. */
static inline void pt_hw_invalidate_guest(uint32_t vmid)
{
    if (vmid == PT_NO_ASID)
        __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, x0" : : : "memory");
    else
        __asm__ volatile(".insn r 0x73, 0, 0x31, x0, x0, %0" : : "r"((uintptr_t)vmid) : "memory");
}

/** What a guest's own tables (vsatp) translate: all of the guest whose VMID is in hgatp. HFENCE.VVMA */
static inline void pt_hw_invalidate_guest_tables(void)
{
    __asm__ volatile(".insn r 0x73, 0, 0x11, x0, x0, x0" : : : "memory");
}

/** What a flush of a second stage owes; pt_hw_flush calls it. An address reaches leaves only, as above. */
#define PT_HW_HAS_OTHER_REGIMES 1
static inline void pt_hw_flush_other_regime(const struct pt_flush *flush, bool all)
{
    if (all || pt_hw_needs_all(flush)) {
        pt_hw_invalidate_guest(flush->asid);
        return;
    }
    for (unsigned i = 0; i < flush->range_count; i++) {
        const struct pt_flush_range *range = &flush->ranges[i];

        for (uint64_t done = 0; done < range->size; done += range->page_size)
            pt_hw_invalidate_guest_page(range->vaddr + done, flush->asid);
    }
}

#endif /* __riscv */

#ifdef __cplusplus
}
#endif

#endif
