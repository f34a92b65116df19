/* SPDX-License-Identifier: MIT */
/*
 * LoongArch64: what goes into the control and status registers (CSRs) for the format pt_loongarch64,
 * and the TLB instructions. LoongArch Reference Manual vol. 1: page tables in 5.4, their CSRs in 7.5,
 * INVTLB, LDDIR and LDPTE in 4.2.
 *
 * The CPU has its TLB filled by a routine of the kernel's, the refill handler, and keeps whatever that puts
 * there: entries with V = 0 as well. Two rules for it; examples/kernel/loongarch64/tlb_refill.S is one to copy:
 *
 *   - The library leaves unused entries zero, in directories too. LDDIR knows no invalid entry and would go
 *     on to a table at address 0: the handler must look at each entry itself.
 *   - For an unused directory entry it puts in a pair with V = 0 that is as large as what the entry would
 *     map (Dir1: 2 MiB, Dir2: 1 GiB), not one of 4 KiB: an invalidation at one address reaches only the TLB
 *     entry of that address, and whatever is mapped there later is flushed at its first address.
 *
 * To use a table: STLBPS, TLBREHI.PS and TLBIDX.PS = PT_LOONGARCH_PAGE_SHIFT, PWCL, PWCH, TLBRENTRY = the
 * handler's physical address, pt_hw_load_root_lower and _upper, pt_hw_invalidate_all, and CRMD.PG.
 *
 * This file may be included in assembly: it is constants only there.
 */
#ifndef PAGETABLE_HW_LOONGARCH64_H
#define PAGETABLE_HW_LOONGARCH64_H

/* ---- CSR numbers -------------------------------------------------------------------------------- */

#define PT_LOONGARCH_CSR_CRMD 0x0
#define PT_LOONGARCH_CSR_ECFG 0x4
#define PT_LOONGARCH_CSR_ESTAT 0x5
#define PT_LOONGARCH_CSR_ERA 0x6
#define PT_LOONGARCH_CSR_BADV 0x7
#define PT_LOONGARCH_CSR_EENTRY 0xc
#define PT_LOONGARCH_CSR_TLBIDX 0x10
#define PT_LOONGARCH_CSR_ASID 0x18
#define PT_LOONGARCH_CSR_PGDL 0x19 /* the root for addresses whose top bit is 0 */
#define PT_LOONGARCH_CSR_PGDH 0x1a /* the root for addresses whose top bit is 1 */
#define PT_LOONGARCH_CSR_PGD 0x1b  /* reads as the one of the two that the bad address belongs to */
#define PT_LOONGARCH_CSR_PWCL 0x1c
#define PT_LOONGARCH_CSR_PWCH 0x1d
#define PT_LOONGARCH_CSR_STLBPS 0x1e
#define PT_LOONGARCH_CSR_SAVE(n) (0x30 + (n)) /* scratch; PRCFG1 says how many there are */
#define PT_LOONGARCH_CSR_TLBRENTRY 0x88
#define PT_LOONGARCH_CSR_TLBRBADV 0x89
#define PT_LOONGARCH_CSR_TLBRSAVE 0x8b /* scratch for the refill handler */
#define PT_LOONGARCH_CSR_TLBRELO0 0x8c
#define PT_LOONGARCH_CSR_TLBRELO1 0x8d
#define PT_LOONGARCH_CSR_TLBREHI 0x8e
#define PT_LOONGARCH_CSR_DMW0 0x180
#define PT_LOONGARCH_CSR_DMW1 0x181

/* ---- The shape of the tables: 4 levels of 9 bits, 4K pages -------------------------------------- */

#define PT_LOONGARCH_PAGE_SHIFT 12 /* STLBPS, TLBREHI.PS, TLBIDX.PS */
#define PT_LOONGARCH_INDEX_BITS 9
#define PT_LOONGARCH_DIR1_SHIFT 21 /* where the index into each directory starts in an address */
#define PT_LOONGARCH_DIR2_SHIFT 30
#define PT_LOONGARCH_DIR3_SHIFT 39 /* the root */

/* PTbase, PTwidth, Dir1_base, Dir1_width, Dir2_base, Dir2_width; bits 31:30 = 0: entries of 8 bytes */
#define PT_LOONGARCH_PWCL                                                                                              \
    (PT_LOONGARCH_PAGE_SHIFT | (PT_LOONGARCH_INDEX_BITS << 5) | (PT_LOONGARCH_DIR1_SHIFT << 10) |                      \
     (PT_LOONGARCH_INDEX_BITS << 15) | (PT_LOONGARCH_DIR2_SHIFT << 20) | (PT_LOONGARCH_INDEX_BITS << 25))

/* Dir3_base, Dir3_width; Dir4 is absent */
#define PT_LOONGARCH_PWCH (PT_LOONGARCH_DIR3_SHIFT | (PT_LOONGARCH_INDEX_BITS << 6))

/* ---- Bits of an entry; those of TLBRELO0 and TLBRELO1 are the same but for H and HG --------------- */

#define PT_LOONGARCH_ENTRY_V (1 << 0)
#define PT_LOONGARCH_ENTRY_D (1 << 1) /* writable */
#define PT_LOONGARCH_ENTRY_MAT_SHIFT 4
#define PT_LOONGARCH_ENTRY_G (1 << 6)   /* global, in a 4K leaf ... */
#define PT_LOONGARCH_ENTRY_H (1 << 6)   /* ... but in a directory: this is a huge leaf, ... */
#define PT_LOONGARCH_ENTRY_HG (1 << 12) /* ... and here is its global bit */

#define PT_LOONGARCH_ENTRY_NR_SHIFT 61
#define PT_LOONGARCH_ENTRY_NX_SHIFT 62
#define PT_LOONGARCH_ENTRY_RPLV_SHIFT 63

/* MAT, memory access type: what pt_format.memory_index holds */
#define PT_LOONGARCH_MAT_DEVICE 0   /* SUC: strongly ordered, uncached */
#define PT_LOONGARCH_MAT_NORMAL 1   /* CC: coherent, cached */
#define PT_LOONGARCH_MAT_UNCACHED 2 /* WUC: weakly ordered, uncached */

/* ---- INVTLB ------------------------------------------------------------------------------------- */

#define PT_LOONGARCH_INVTLB_ALL 0x0
#define PT_LOONGARCH_INVTLB_GLOBAL 0x2
#define PT_LOONGARCH_INVTLB_NOT_GLOBAL 0x3
#define PT_LOONGARCH_INVTLB_ASID 0x4                 /* not global, of this ASID */
#define PT_LOONGARCH_INVTLB_ASID_VADDR 0x5           /* the same at one address */
#define PT_LOONGARCH_INVTLB_GLOBAL_OR_ASID_VADDR 0x6 /* global or of this ASID, at one address */

#ifndef __ASSEMBLER__

#include <pagetable/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__loongarch64)

/**
 * No CPU caches upper levels here. But where a table was, the TLB may hold entries with V = 0 of any of its
 * pages, and a huge page that takes its place would be invalidated at one address only.
 */
static inline bool pt_hw_needs_all(const struct pt_flush *flush)
{
    return flush->tables_changed;
}

static inline void pt_hw_publish(void)
{
    __asm__ volatile("dbar 0" ::: "memory");
}

static inline void pt_hw_invalidate_begin(void)
{
    __asm__ volatile("dbar 0" ::: "memory");
}

/**
 * The pair of pages that vaddr lies in (a TLB entry holds two). No form of INVTLB takes an address in every
 * address space: without an ASID it is that of CSR.ASID, and global pages. A kernel that uses ASIDs names
 * the table's by pt_set_asid, or has a flush_tlb that uses pt_hw_invalidate_all.
 */
static inline void pt_hw_invalidate(pt_vaddr vaddr, uint32_t asid, bool global, bool tables)
{
    uint64_t operand = asid;

    (void)tables;
    if (asid == PT_NO_ASID)
        __asm__ volatile("csrrd %0, %1" : "=r"(operand) : "i"(PT_LOONGARCH_CSR_ASID));
    operand &= 0x3ff;
    if (global || asid == PT_NO_ASID)
        __asm__ volatile("invtlb %0, %1, %2" ::"i"(PT_LOONGARCH_INVTLB_GLOBAL_OR_ASID_VADDR), "r"(operand), "r"(vaddr)
                         : "memory");
    else
        __asm__ volatile("invtlb %0, %1, %2" ::"i"(PT_LOONGARCH_INVTLB_ASID_VADDR), "r"(operand), "r"(vaddr)
                         : "memory");
}

/** All of one ASID that is not global. */
static inline void pt_hw_invalidate_asid(uint32_t asid)
{
    __asm__ volatile("invtlb %0, %1, $zero" ::"i"(PT_LOONGARCH_INVTLB_ASID), "r"((uint64_t)asid) : "memory");
}

static inline void pt_hw_invalidate_all(void)
{
    __asm__ volatile("invtlb %0, $zero, $zero" ::"i"(PT_LOONGARCH_INVTLB_ALL) : "memory");
}

/** INVTLB is done before the next instruction is: only the compiler must be held. */
static inline void pt_hw_invalidate_end(void)
{
    __asm__ volatile("" ::: "memory");
}

/** PGDL, addresses whose top bit is 0. CSR.ASID is the kernel's to set. Invalidates nothing. */
static inline void pt_hw_load_root_lower(const struct page_table *pt)
{
    uint64_t root = pt_root(pt);

    __asm__ volatile("csrwr %0, %1" : "+r"(root) : "i"(PT_LOONGARCH_CSR_PGDL) : "memory");
}

/** PGDH, addresses whose top bit is 1: for the format pt_loongarch64 the same table. Invalidates nothing. */
static inline void pt_hw_load_root_upper(const struct page_table *pt)
{
    uint64_t root = pt_root(pt);

    __asm__ volatile("csrwr %0, %1" : "+r"(root) : "i"(PT_LOONGARCH_CSR_PGDH) : "memory");
}

#endif /* __loongarch64 */

#ifdef __cplusplus
}
#endif

#endif /* __ASSEMBLER__ */

#endif
