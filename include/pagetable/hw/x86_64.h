/* SPDX-License-Identifier: MIT */
/*
 * x86_64: control register bits, memory types, loading the root, and the TLB instructions.
 * "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A.
 */
#ifndef PAGETABLE_HW_X86_64_H
#define PAGETABLE_HW_X86_64_H

#include <pagetable/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What must be set before a table of pt_x86_64 is right: CR0.PG and WP (without WP the kernel writes to
 * read-only pages), CR4.PAE, EFER.LME and NXE (without NXE bit 63 of an entry is reserved, and every
 * mapping without PT_EXECUTE faults). CR4.PGE makes PT_GLOBAL mean something; SMEP and SMAP keep the
 * kernel off user pages. SDM 2.5, 4.1.3.
 */
#define PT_X86_64_CR0_WP (UINT64_C(1) << 16)
#define PT_X86_64_CR0_PG (UINT64_C(1) << 31)

#define PT_X86_64_CR3_PCID UINT64_C(0xfff) /**< with CR4.PCIDE */

#define PT_X86_64_CR4_PAE (UINT64_C(1) << 5)
#define PT_X86_64_CR4_PGE (UINT64_C(1) << 7)
#define PT_X86_64_CR4_LA57 (UINT64_C(1) << 12) /**< 5 levels; can only change outside of long mode */
#define PT_X86_64_CR4_PCIDE (UINT64_C(1) << 17)
#define PT_X86_64_CR4_SMEP (UINT64_C(1) << 20)
#define PT_X86_64_CR4_SMAP (UINT64_C(1) << 21)

#define PT_X86_64_MSR_EFER UINT32_C(0xc0000080)
#define PT_X86_64_EFER_LME (UINT64_C(1) << 8)
#define PT_X86_64_EFER_NXE (UINT64_C(1) << 11)

/*
 * Memory types: pt_format.memory_index is the number of a PAT entry, bits PAT:PCD:PWT of a leaf (SDM,
 * "Page Attribute Table"). The formats assume what the PAT holds after reset; a kernel that changes it (to have WC,
 * say) copies the format and names the entries of its own.
 */
#define PT_X86_64_MSR_PAT UINT32_C(0x277)
#define PT_X86_64_PAT UINT64_C(0x0007040600070406) /**< UC UC- WT WB UC UC- WT WB, entry 7 first */
#define PT_X86_64_PAT_NORMAL 0                     /**< WB */
#define PT_X86_64_PAT_UNCACHED 2                   /**< UC-: PCD */
#define PT_X86_64_PAT_DEVICE 3                     /**< UC: PCD and PWT */

#if defined(__x86_64__)

/**
 * Use *pt from the next instruction on, which it must map where it runs. Bits 11:0 of CR3 become
 * the table's PCID, or zero. Drops the TLB entries of that PCID that are not global. SDM 4.5.2, 4.10.4.1.
 */
static inline void pt_hw_load_root(const struct page_table *pt)
{
    uint64_t cr3 = pt_root(pt) | (pt->asid == PT_NO_ASID ? 0 : pt->asid & PT_X86_64_CR3_PCID);

    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

/** Whether this code may execute the instructions below: the current privilege level is 0. */
static inline bool pt_hw_is_privileged(void)
{
    uint16_t cs;

    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    return (cs & 3) == 0;
}

/** The table walker sees stores in program order: the compiler must only have made them. SDM 4.10.4.3. */
static inline void pt_hw_publish(void)
{
    __asm__ volatile("" : : : "memory");
}

/** INVLPG and MOV to CR4 are serialising: the compiler must only have made the stores. SDM, "Serializing Instructions". */
static inline void pt_hw_invalidate_begin(void)
{
    __asm__ volatile("" : : : "memory");
}

/** INVLPG reaches all sizes of pages and all paging-structure caches, but of one PCID only. SDM 4.10.4.1. */
static inline bool pt_hw_needs_all(const struct pt_flush *flush)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    return flush->asid == PT_NO_ASID && (cr4 & PT_X86_64_CR4_PCIDE);
}

/** INVPCID type 0: one address of a PCID, not global. Type 1: all of a PCID, not global. SDM vol. 2, INVPCID. */
static inline void pt_hw_invpcid(uint64_t type, uint64_t pcid, pt_vaddr vaddr)
{
    const uint64_t descriptor[2] = {pcid, vaddr};

    __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"(type) : "memory");
}

/** This CPU runs with the PCID, or knows none. */
static inline bool pt_hw_is_current_pcid(uint32_t pcid)
{
    uint64_t cr3, cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    return !(cr4 & PT_X86_64_CR4_PCIDE) || (cr3 & PT_X86_64_CR3_PCID) == pcid;
}

/**
 * Drops the page that holds vaddr, of any size and global or not, and the caches of all upper levels, of
 * the current PCID; and of the given one (PT_NO_ASID: there are no others). Another PCID takes INVPCID,
 * which a CPU with CR4.PCIDE nearly always has; check CPUID before handing PCIDs out. SDM 4.10.4.1.
 */
static inline void pt_hw_invalidate(pt_vaddr vaddr, uint32_t asid, bool global, bool tables)
{
    (void)tables;
    if (asid == PT_NO_ASID || pt_hw_is_current_pcid(asid)) {
        __asm__ volatile("invlpg (%0)" : : "r"(vaddr) : "memory");
        return;
    }
    pt_hw_invpcid(0, asid, vaddr);
    if (global)
        __asm__ volatile("invlpg (%0)" : : "r"(vaddr) : "memory");
}

/**
 * Changing CR4.PGE, either way, drops everything: global entries and all PCIDs, which a reload of CR3
 * would keep. So it is changed and changed back. SDM 4.10.4.1. An interrupt in between must leave CR4 alone.
 */
static inline void pt_hw_invalidate_all(void)
{
    uint64_t cr4;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4) : : "memory");
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4 ^ PT_X86_64_CR4_PGE) : "memory");
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

/** All of one PCID that is not global. */
static inline void pt_hw_invalidate_asid(uint32_t asid)
{
    uint64_t cr3;

    if (!pt_hw_is_current_pcid(asid)) {
        pt_hw_invpcid(1, asid, 0);
        return;
    }
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3) : : "memory");
    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

/** The instructions above are done when they retire. */
static inline void pt_hw_invalidate_end(void)
{
    __asm__ volatile("" : : : "memory");
}

#endif /* __x86_64__ */

#ifdef __cplusplus
}
#endif

#endif
