/* SPDX-License-Identifier: MIT */
/*
 * LoongArch64: what goes into the control and status registers (CSRs) for the formats pt_loongarch64 and
 * pt_loongarch64_3level, _16k, _64k, and the TLB instructions. LoongArch Reference Manual vol. 1: page tables in 5.4, their CSRs in 7.5,
 * INVTLB, LDDIR and LDPTE in 4.2.
 *
 * The CPU has its TLB filled by a routine of the kernel's, the refill handler, and keeps whatever that puts
 * there: entries with V = 0 as well. Two rules for it; examples/kernel/loongarch64/tlb_refill.S is one to copy:
 *
 *   - The library leaves unused entries zero, in directories too. LDDIR knows no invalid entry and would go
 *     on to a table at address 0: the handler must look at each entry itself.
 *   - For an unused directory entry it puts in a pair with V = 0 that is as large as what the entry would
 *     map (with base pages of 4K: Dir1 2 MiB, Dir2 1 GiB), not a base page: an invalidation at one address reaches only the TLB
 *     entry of that address, and whatever is mapped there later is flushed at its first address.
 *
 * To use a table: pt_hw_set_format (STLBPS, TLBREHI.PS, TLBIDX.PS, PWCL, PWCH), TLBRENTRY = the handler's physical
 * address, pt_hw_load_root_lower and _upper, pt_hw_invalidate_all, and CRMD.PG.
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
#define PT_LOONGARCH_TLBIDX_PS_SHIFT 24
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

/* ---- The shape of the tables: PWCL and PWCH (7.5.8, 7.5.9) ---------------------------------------- */

/*
 * Of `page_shift` (log2 of the base page, which a table is as large as: 12, 14, 16; also the value of STLBPS,
 * TLBREHI.PS and TLBIDX.PS), `levels` and va_bits of the format. The root is Dir3; Dir1 and Dir2 are there with 3 and
 * 4 levels.
 */
#define PT_LOONGARCH_INDEX_BITS(page_shift) ((page_shift) - 3)
/* Where the index into the table that is n levels above the last one starts in an address. */
#define PT_LOONGARCH_SHIFT(page_shift, n) ((page_shift) + (n) * PT_LOONGARCH_INDEX_BITS(page_shift))

/* PTbase, PTwidth, and base and width of Dir1 and Dir2; bits 31:30 = 0: entries of 8 bytes */
#define PT_LOONGARCH_PWCL(page_shift, levels)                                                                          \
    ((page_shift) | PT_LOONGARCH_INDEX_BITS(page_shift) << 5 | PT_LOONGARCH_DIRECTORY(page_shift, 1, levels) << 10 |   \
     PT_LOONGARCH_DIRECTORY(page_shift, 2, levels) << 20)
/* A directory that is not the root, if there is one: 5 bits each */
#define PT_LOONGARCH_DIRECTORY(page_shift, n, levels)                                                                  \
    (((levels) > (n) + 1) * (PT_LOONGARCH_SHIFT(page_shift, n) | PT_LOONGARCH_INDEX_BITS(page_shift) << 5))

/* Dir3_base, Dir3_width: 6 bits each; Dir4 is absent */
#define PT_LOONGARCH_PWCH(page_shift, levels, va_bits)                                                                 \
    (PT_LOONGARCH_SHIFT(page_shift, (levels) - 1) | ((va_bits) - PT_LOONGARCH_SHIFT(page_shift, (levels) - 1)) << 6)

/* ---- CPUCFG (2.2.10.5) --------------------------------------------------------------------------- */

#define PT_LOONGARCH_CPUCFG_1 1
#define PT_LOONGARCH_CPUCFG_1_PALEN(word) (((word) >> 4 & 0xff) + 1)
#define PT_LOONGARCH_CPUCFG_1_VALEN(word) (((word) >> 12 & 0xff) + 1)
#define PT_LOONGARCH_CPUCFG_1_RI (1 << 21) /* NR, ... */
#define PT_LOONGARCH_CPUCFG_1_EP (1 << 22) /* NX, ... */
#define PT_LOONGARCH_CPUCFG_1_HP (1 << 24) /* and huge pages are there */
#define PT_LOONGARCH_CSR_PRCFG2 0x22       /* a bit for each page size that the TLB can hold */

/* ---- Bits of an entry; those of TLBRELO0 and TLBRELO1 are the same but for H and HG --------------- */

#define PT_LOONGARCH_ENTRY_V (1 << 0)
#define PT_LOONGARCH_ENTRY_D (1 << 1) /* writable */
#define PT_LOONGARCH_ENTRY_MAT_SHIFT 4
#define PT_LOONGARCH_ENTRY_G (1 << 6)   /* global, in a leaf of the last level ... */
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

/** PWCL and PWCH for a format. */
static inline uint32_t pt_loongarch_pwcl(const struct pt_format *format)
{
    return (uint32_t)PT_LOONGARCH_PWCL(format->page_shift, format->levels);
}

static inline uint32_t pt_loongarch_pwch(const struct pt_format *format)
{
    return (uint32_t)PT_LOONGARCH_PWCH(format->page_shift, format->levels, format->va_bits);
}

/**
 * Narrow a copy of a format to what a CPU has: the first word of CPUCFG, and CSR.PRCFG2. false: it cannot use it, for
 * want of the base page, of rights to withhold (NR, NX), or of address bits.
 */
static inline bool pt_loongarch64_narrow(struct pt_format *format, uint32_t cpucfg1, uint64_t page_sizes)
{
    uint32_t palen = PT_LOONGARCH_CPUCFG_1_PALEN(cpucfg1), valen = PT_LOONGARCH_CPUCFG_1_VALEN(cpucfg1);
    uint64_t base = UINT64_C(1) << format->page_shift;
    uint64_t huge = (cpucfg1 & PT_LOONGARCH_CPUCFG_1_HP) != 0 ? page_sizes << 1 : 0; /* two pages of half the size */

    if (palen < format->pa_bits)
        format->pa_bits = (uint8_t)palen;
    if (valen < format->va_bits)
        format->va_bits = (uint8_t)valen;
    format->page_sizes &= huge | base;
    return (page_sizes & base) != 0 && (cpucfg1 & PT_LOONGARCH_CPUCFG_1_RI) != 0 &&
           (cpucfg1 & PT_LOONGARCH_CPUCFG_1_EP) != 0 &&
           valen > PT_LOONGARCH_SHIFT(format->page_shift, format->levels - 1u);
}

#if defined(__loongarch64)

/** The same for this CPU. */
static inline bool pt_loongarch64_detect(struct pt_format *format)
{
    uint64_t word = PT_LOONGARCH_CPUCFG_1, page_sizes;

    __asm__("cpucfg %0, %0" : "+r"(word));
    __asm__("csrrd %0, %1" : "=r"(page_sizes) : "i"(PT_LOONGARCH_CSR_PRCFG2));
    return pt_loongarch64_narrow(format, (uint32_t)word, page_sizes);
}

/** The registers that tell the CPU of the format: all but the root, and the refill handler. */
static inline void pt_hw_set_format(const struct pt_format *format)
{
    uint64_t pwcl = pt_loongarch_pwcl(format), pwch = pt_loongarch_pwch(format), size = format->page_shift;
    uint64_t index = (uint64_t)format->page_shift << PT_LOONGARCH_TLBIDX_PS_SHIFT;

    __asm__ volatile("csrwr %0, %1" : "+r"(pwcl) : "i"(PT_LOONGARCH_CSR_PWCL) : "memory");
    __asm__ volatile("csrwr %0, %1" : "+r"(pwch) : "i"(PT_LOONGARCH_CSR_PWCH) : "memory");
    __asm__ volatile("csrwr %0, %1" : "+r"(index) : "i"(PT_LOONGARCH_CSR_TLBIDX) : "memory");
    __asm__ volatile("csrwr %0, %1" : "+r"(size) : "i"(PT_LOONGARCH_CSR_STLBPS) : "memory");
    size = format->page_shift;
    __asm__ volatile("csrwr %0, %1" : "+r"(size) : "i"(PT_LOONGARCH_CSR_TLBREHI) : "memory");
}

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

/** PGDH, addresses whose top bit is 1: the same table. Invalidates nothing. */
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
