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
 * Use *pt from the next instruction on, which it must map where it runs. Bits 11:0 of CR3 become zero:
 * PCID 0. Drops the TLB entries of PCID 0 that are not global. SDM 4.5.2, 4.10.4.1.
 */
static inline void pt_hw_load_root(const struct page_table *pt)
{
    uint64_t cr3 = pt_root(pt);

    __asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
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

/** INVLPG reaches every paging-structure cache of the current PCID; SDM 4.10.4.1. */
#define PT_HW_TABLES_NEED_ALL 0

/**
 * Drops the page that holds vaddr, of any size and global or not, and the caches of all upper levels.
 * With CR4.PCIDE only the current PCID's: the others are for the kernel that hands PCIDs out, which
 * therefore gives a flush_tlb. SDM 4.10.4.1.
 */
static inline void pt_hw_invalidate(pt_vaddr vaddr, bool tables)
{
    (void)tables;
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
