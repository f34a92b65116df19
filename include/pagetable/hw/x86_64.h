/* SPDX-License-Identifier: MIT */
/*
 * x86_64: loading the root, the TLB instructions, what the CPU has; the roots of AMD's nested paging and of EPT.
 * "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A.
 */
#ifndef PAGETABLE_HW_X86_64_H
#define PAGETABLE_HW_X86_64_H

#include <pagetable/hw/x86.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What must be set before a table is right: CR0.PG and WP (without WP the kernel writes to read-only pages), CR4.PAE,
 * EFER.LME and NXE (without NXE bit 63 of an entry is reserved, and every mapping without PT_EXECUTE faults: take
 * PT_FEATURE_NX from a copy); CR4.LA57 for pt_x86_64_la57 and only for it, which can be set outside of long mode only.
 * CR4.PGE makes PT_GLOBAL mean something; SMEP and SMAP keep the kernel off user pages. SDM 2.5, 4.1.3.
 */
#define PT_X86_64_CR3_PCID UINT64_C(0xfff) /**< with CR4.PCIDE */

/*
 * Nested paging (AMD): the nested tables are walked as the host's CR0, CR4 and EFER say: LA57 gives 5 levels, NXE has to
 * be set. The PAT is the host's. The ASID of the VMCB tags the guest's translations, nested ones included. INVLPGA takes
 * a guest's virtual address and is of no use for what a nested table's flush owes. APM vol. 2, 15.16, 15.25.3.
 *
 * The library invalidates nothing by itself for nested tables and EPT: the handler's flush_tlb has to. It is called with
 * guest-physical addresses, on one CPU; those that run the guest have to leave it first.
 */
#define PT_X86_64_EFER_SVME (UINT64_C(1) << 12)

/* Fields of the VMCB, in bytes from its start: appendix B. */
#define PT_NPT_VMCB_ASID 0x058u        /**< 4 bytes, not 0 */
#define PT_NPT_VMCB_TLB_CONTROL 0x05cu /**< 1 byte */
#define PT_NPT_VMCB_NP_ENABLE 0x090u   /**< bit 0 turns nested paging on */
#define PT_NPT_VMCB_NCR3 0x0b0u        /**< pt_npt_ncr3 */

/* TLB_CONTROL: what the next VMRUN drops. 15.16.1. */
#define PT_NPT_TLB_KEEP 0u
#define PT_NPT_TLB_FLUSH_ALL 1u  /**< of all ASIDs, the host's included */
#define PT_NPT_TLB_FLUSH_ASID 3u /**< of the VMCB's ASID; where CPUID has FlushByAsid */

/** nCR3: the root and nothing else. */
static inline uint64_t pt_npt_ncr3(const struct page_table *pt)
{
    return pt_root(pt);
}

/** FlushByAsid, given edx of CPUID 8000_000Ah. */
static inline bool pt_npt_can_flush_asid(uint32_t edx)
{
    return edx >> 6 & 1;
}

/**
 * TLB_CONTROL for the next VMRUN of a guest whose table has the ASID `asid`, to pay what `flush` owes: there is no
 * invalidation by guest-physical address. A flush of another ASID, or of none, drops everything.
 */
static inline uint8_t pt_npt_tlb_control(const struct pt_flush *flush, uint32_t asid, bool can_flush_asid)
{
    if (!flush->everything && flush->range_count == 0)
        return PT_NPT_TLB_KEEP;
    return can_flush_asid && flush->asid != PT_NO_ASID && flush->asid == asid ? PT_NPT_TLB_FLUSH_ASID
                                                                              : PT_NPT_TLB_FLUSH_ALL;
}

/*
 * EPT (Intel): the EPTP is the root, memory type 6 (write-back) for the walk in bits 2:0, the levels less 1 in bits 5:3,
 * and bit 6 where accessed and dirty are to be set (IA32_VMX_EPT_VPID_CAP says what there is: bit 0 execute-only, 6 and
 * 7 4 and 5 levels, 14 WB, 16 2M, 17 1G, 21 A/D). Mode-based execute control is bit 22 of the secondary processor-based
 * controls, EPT-violation #VE bit 18. An unused entry is 0: it may cause #VE, whatever PT_FEATURE_SUPPRESS_VE says of
 * leaves. SDM vol. 3C 24.6.11, A.10.
 *
 * What a flush owes is paid by INVEPT type 1 with the EPTP (or type 2, all), on every CPU that has used it: guest-physical
 * and combined mappings go, for there is no invalidation by guest-physical address. INVVPID drops linear and combined
 * mappings only, and does not pay. Entries that were not present or misconfigured owe nothing. SDM vol. 3C 28.4.3.
 */
static inline uint64_t pt_ept_eptp(const struct page_table *pt)
{
    return pt_root(pt) | 6u | (uint64_t)(pt->format->levels - 1u) << 3 | (pt->format->tracks_access ? 1u << 6 : 0);
}

#define PT_EPT_IGNORE_PAT 8 /**< added to an index of pt_format.memory_index */

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

#ifndef PT_ONLY_FORMAT
/**
 * The format that this CPU runs with: pt_x86_64 or, where CR4.LA57 is set, pt_x86_64_la57, without 1G pages and NX where
 * CPUID has none, and with the CPU's MAXPHYADDR. EFER.NXE is the caller's to set where features has PT_FEATURE_NX.
 * With SEV the C-bit is not in it: leaf_bits and table_bits, from CPUID 8000_001Fh. SDM 4.1.4.
 */
static inline struct pt_format pt_x86_64_detect(void)
{
    uint32_t registers[4];
    uint64_t cr4;
    struct pt_format format;

    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    format = cr4 & PT_X86_64_CR4_LA57 ? pt_x86_64_la57 : pt_x86_64;
    pt_hw_cpuid(UINT32_C(0x80000001), registers);
    if (!(registers[3] & UINT32_C(1) << 26))
        format.page_sizes &= ~PT_1G;
    if (!pt_hw_has_nx())
        format.features &= ~PT_FEATURE_NX;
    format.pa_bits = pt_hw_physical_bits();
    return format;
}

/**
 * The format of nested tables with this CPU as it is: pt_npt_4level or, where CR4.LA57 is set, pt_npt_5level, with what
 * pt_x86_64_detect says, and no more address bits than a guest has. Without SVM and nested paging (CPUID 8000_0001h,
 * 8000_000Ah) the copy has no levels, which pt_create refuses. APM vol. 2, 15.4, 15.25.
 */
static inline struct pt_format pt_npt_detect(void)
{
    struct pt_format own = pt_x86_64_detect();
    struct pt_format format = own.levels == 5 ? pt_npt_5level : pt_npt_4level;
    uint8_t guest_bits = own.pa_bits; /* of its physical addresses */
    uint32_t registers[4], highest;
    bool svm, nested = false;

    format.page_sizes = own.page_sizes;
    format.pa_bits = own.pa_bits;
    if (!(own.features & PT_FEATURE_NX))
        format.features &= ~PT_FEATURE_NX;
    pt_hw_cpuid(UINT32_C(0x80000000), registers);
    highest = registers[0];
    pt_hw_cpuid(UINT32_C(0x80000001), registers);
    svm = registers[2] >> 2 & 1;
    if (highest >= UINT32_C(0x8000000a)) {
        pt_hw_cpuid(UINT32_C(0x80000008), registers);
        if ((registers[0] >> 16 & 0xff) != 0) /* GuestPhysAddrSize */
            guest_bits = registers[0] >> 16 & 0xff;
        pt_hw_cpuid(UINT32_C(0x8000000a), registers);
        nested = registers[3] & 1;
    }
    if (guest_bits < format.va_bits && guest_bits > format.va_bits - format.index_bits)
        format.va_bits = guest_bits;
    if (!svm || !nested)
        format.levels = 0;
    return format;
}
#endif

#endif /* __x86_64__ */

#ifdef __cplusplus
}
#endif

#endif
