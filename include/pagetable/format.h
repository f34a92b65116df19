/* SPDX-License-Identifier: MIT */
/* A format: one paging mode of one MMU, as data. */
#ifndef PAGETABLE_FORMAT_H
#define PAGETABLE_FORMAT_H

#include <pagetable/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pt_operations; /* the compiled operations of a family of formats; opaque */

/** How the bits of an address above va_bits must look. */
enum pt_address_space {
    PT_SIGN_EXTENDED, /**< copies of the highest translated bit: one root, a lower and an upper half */
    PT_EITHER_HALF,   /**< all zero or all one: each half has a root of its own, this may be either's (AArch64) */
    PT_ZERO_EXTENDED  /**< all zero */
};

/** What a mapping made where there was none owes before it may be used. */
enum pt_debt {
    PT_OWES_NOTHING,
    PT_OWES_BARRIER, /**< the stores must reach the table walker (AArch64: DSB, ISB) */
    PT_OWES_FLUSH    /**< the MMU may remember that nothing was there: invalidate (RISC-V, LoongArch) */
};

/*
 * What the CPU offers, or the mode asks for, beyond the measures: pt_format.features. A family refuses those that
 * mean nothing to it.
 */
#define PT_FEATURE_NX (1u << 0)           /**< x86: EFER.NXE. Without, what can be read can be executed */
#define PT_FEATURE_SECOND_STAGE (1u << 1) /**< translates the addresses of a guest (x86 NPT, RISC-V, AArch64) */
#define PT_FEATURE_PSE36 (1u << 2)        /**< x86, 32-bit: pages of 4 MiB reach pa_bits (40 at most) */
#define PT_FEATURE_EXECUTE_ONLY (1u << 3) /**< EPT: pages that can be executed and not read */
#define PT_FEATURE_MODE_EXECUTE (1u << 4) /**< EPT: mode-based execute control; PT_USER says for which mode */
#define PT_FEATURE_SUPPRESS_VE (1u << 5)  /**< EPT: no leaf causes virtualization exceptions */
#define PT_FEATURE_EL2 (1u << 6)          /**< AArch64: EL2 without EL0: one privilege level, one XN */
#define PT_FEATURE_WIDE_PA (1u << 7)      /**< AArch64: 52-bit addresses: FEAT_LPA (64K), FEAT_LPA2 (4K, 16K) */
#define PT_FEATURE_FWB (1u << 8)          /**< AArch64 stage 2: FEAT_S2FWB, HCR_EL2.FWB */
#define PT_FEATURE_XNX (1u << 9)          /**< AArch64 stage 2: FEAT_XNX; PT_USER says for which level */
#define PT_FEATURE_SVPBMT (1u << 10)      /**< RISC-V: page-based memory types */
#define PT_FEATURE_C9XX (1u << 11)        /**< RISC-V: the attributes of XuanTie C9xx (MXSTATUS.MAEE) */

/** More levels than any format has. */
#define PT_MAX_LEVELS 6

/** The levels, from the last one up, that may have pages of several entries. */
#define PT_GROUP_LEVELS 3

/**
 * The measures of a paging mode. Plain const data: copy one and narrow it (fewer physical bits, no
 * 1 GiB pages: `copy.page_sizes &= ~PT_1G`, other memory-type indices) before pt_create, which
 * answers PT_BAD_FORMAT to contradictions. The descriptor must outlive the tables created with it.
 *
 * All tables but the root have 2^index_bits entries; the root has as many as va_bits leaves to it.
 */
struct pt_format {
    const char *name;                       /**< as the manual calls it: "Sv39" */
    const struct pt_operations *operations; /**< of its family; copy, never change */
    uint64_t page_sizes;                    /**< the sizes that a leaf may have, OR-ed: PT_4K | PT_2M | PT_1G */
    uint8_t levels;                         /**< of tables, the root's included */
    uint8_t page_shift;                     /**< log2 of the smallest page, in bytes */
    uint8_t index_bits;                     /**< log2 of the entries in a table below the root */
    uint8_t va_bits;                        /**< bits of a virtual address that are translated (both halves) */
    uint8_t pa_bits;                        /**< bits of a physical address; the CPU may have fewer: narrow it */
    uint8_t address_space;                  /**< enum pt_address_space */
    uint8_t new_mapping_owes;               /**< enum pt_debt */

    /**
     * The hardware sets accessed and dirty bits (x86 always; RISC-V Svadu, AArch64 FEAT_HAFDBS with
     * TCR.HA and HD): new mappings have them clear, and PT_ACCESSED and PT_DIRTY are reported. Without,
     * new mappings have them set, as CPUs want it that would fault otherwise, and neither is reported.
     */
    bool tracks_access;

    /**
     * Several CPUs may change one table at the same time, each in regions of its own: see "Parallel writers" in
     * <pagetable/pagetable.h>. Without, changes need a lock around the whole table. With PT_ONLY_FORMAT, which knows
     * no copies, -DPT_PARALLEL_WRITERS says it.
     */
    bool parallel_writers;

    /**
     * FEAT_BBM level of the CPU (ID_AA64MMFR2_EL1.BBM; the lowest of all CPUs). From 2 on, the size of a
     * live mapping may change without break-before-make. AArch64 only.
     */
    uint8_t bbm_level;

    /**
     * Pages of several neighbouring entries: log2 of how many, for the last level, the one above it, and so
     * on; 0 for none. Their sizes have to stand in page_sizes to be used.
     */
    uint8_t group_bits[PT_GROUP_LEVELS];

    uint32_t features; /**< PT_FEATURE_..., OR-ed */

    /**
     * Address bits above pa_bits that are set in every leaf, and in every entry that leads to a table: the
     * C-bit of AMD SEV (both), the shared bit of Intel TDX (leaves).
     */
    uint64_t leaf_bits, table_bits;

    /**
     * The index that stands in an entry for each memory type, in the field and with the meaning that
     * the family's header in <pagetable/hw/> gives: PAT entry (x86), AttrIndx (AArch64), MAT
     * (LoongArch); unused on RISC-V without Svpbmt.
     */
    struct {
        uint8_t normal, device, uncached;
    } memory_index;
};

/* With -DPT_ONLY_FORMAT=pt_sv48 the library knows this one format, and every call is a direct one. */
#ifdef PT_ONLY_FORMAT
extern const struct pt_format PT_ONLY_FORMAT;
#else
/** 4-level paging, 4K/2M/1G pages, 48-bit addresses, NX. Intel SDM vol. 3A 4.5; AMD APM vol. 2 5.3. */
extern const struct pt_format pt_x86_64;
/** The same with 5 levels and 57-bit addresses (CR4.LA57). <pagetable/hw/x86_64.h> finds out what a CPU has. */
extern const struct pt_format pt_x86_64_la57;
/**
 * PAE paging: 3 levels, 32-bit addresses, 4K/2M pages, NX. The root is 4 entries, which the CPU holds in registers: a
 * changed one owes everything. It must lie below 4 GiB, for CR3 has 32 bits. Intel SDM vol. 3A 4.4.
 */
extern const struct pt_format pt_x86_pae;
/**
 * 32-bit paging: 2 levels, entries of 4 bytes, 4K/4M pages, no NX. In a copy for a CPU with PSE-36: features |=
 * PT_FEATURE_PSE36, pa_bits = the CPU's (40 at most): pages of 4 MiB lie above 4 GiB, too, and there cannot be split.
 * Tables are always below. <pagetable/hw/x86_32.h> makes it. Intel SDM vol. 3A 4.3.
 */
extern const struct pt_format pt_x86_32;
/**
 * AMD nested paging (nCR3): what vaddr names is a guest's physical address. PT_USER is always given, PT_GLOBAL means
 * nothing. As many levels as the host's own paging. AMD APM vol. 2 15.25.
 */
extern const struct pt_format pt_npt_4level, pt_npt_5level;
/**
 * Intel EPT, likewise. What a CPU has more goes into a copy: PT_FEATURE_EXECUTE_ONLY; tracks_access, if EPTP bit 6 is
 * set; PT_FEATURE_MODE_EXECUTE, where PT_USER says that a page is executable in user mode, too (of one that is not
 * executable it is always reported); PT_FEATURE_SUPPRESS_VE. memory_index: an EPT memory type, with 8 added to ignore
 * the guest's PAT. Intel SDM vol. 3C 28.3.
 */
extern const struct pt_format pt_ept_4level, pt_ept_5level;
/**
 * VMSAv8-64 stage 1, EL1&0 and (HCR_EL2.E2H) EL2&0: 4K, 16K and 64K granule, 48-bit addresses. Arm ARM (DDI 0487) D8.3.
 * <pagetable/hw/aarch64.h> makes copies with fewer address bits, and with pages of several entries (contiguous hint).
 */
extern const struct pt_format pt_aarch64, pt_aarch64_16k, pt_aarch64_64k;
/** The same with 52-bit addresses: FEAT_LPA2, TCR.DS (4K: 5 levels; 16K); FEAT_LPA and FEAT_LVA (64K). D8.3.1. */
extern const struct pt_format pt_aarch64_4k_52, pt_aarch64_16k_52, pt_aarch64_64k_52;
/** The same, 4K granule, EL2 alone: one privilege level (PT_USER is implied), one half, no ASID. */
extern const struct pt_format pt_aarch64_el2;
/**
 * VMSAv8-64 stage 2: what vaddr names is a guest's physical address, of 40 bits; 4K (two concatenated tables as root),
 * 16K and 64K granule. PT_USER is implied, PT_GLOBAL means nothing, an ASID is a VMID, and pages can be execute-only.
 * pt_hw_flush works at EL2 only. In copies:
 * - <pagetable/hw/aarch64.h>: other widths (no more than the CPU's physical addresses), contiguous pages, 52 bits.
 * - FEAT_S2FWB, HCR_EL2.FWB: features |= PT_FEATURE_FWB, memory_index.normal = 6 (7: the guest decides).
 * - FEAT_XNX: features |= PT_FEATURE_XNX; with PT_EXECUTE, PT_USER means that EL0 executes, else EL1.
 * Arm ARM (DDI 0487) D8.3, D8.4.2, D8.6.5.
 */
extern const struct pt_format pt_aarch64_stage2, pt_aarch64_stage2_16k, pt_aarch64_stage2_64k;
/**
 * RISC-V privileged architecture, "Sv39", "Sv48", "Sv57": 3, 4, 5 levels. What a CPU has more goes into a copy:
 * - Svnapot: page_sizes |= PT_64K, group_bits[0] = 4.
 * - Svpbmt: features |= PT_FEATURE_SVPBMT; the memory_index is right already (0 PMA, 2 IO, 1 NC).
 * - XuanTie C9xx: features |= PT_FEATURE_C9XX, and the memory_index of <pagetable/hw/riscv64.h>.
 * - Svadu, where it is on (menvcfg.ADUE): tracks_access = true.
 * - Svvptc: new_mapping_owes = PT_OWES_NOTHING, if the kernel's page-fault handler returns and tries again where
 *   the page is mapped (PT_OWES_BARRIER: the same, and the stores are ordered before what other harts are told).
 */
extern const struct pt_format pt_sv39;
extern const struct pt_format pt_sv48;
extern const struct pt_format pt_sv57;
/** RISC-V, 32 bits: "Sv32", 2 levels, entries of 4 bytes, 4K and 4M pages, 34-bit physical addresses. */
extern const struct pt_format pt_sv32;
/**
 * RISC-V hypervisor extension, "Guest Physical Address Translation" (hgatp): what vaddr names is a guest's physical
 * address, of 2 bits more; the root is 16 KiB. PT_USER is always given, PT_GLOBAL means nothing, and an ASID is a VMID.
 * Copies as above. pt_hw_flush executes HFENCE.GVMA: in HS-mode only.
 */
extern const struct pt_format pt_sv39x4;
extern const struct pt_format pt_sv48x4;
extern const struct pt_format pt_sv57x4;
extern const struct pt_format pt_sv32x4;
/**
 * LoongArch64, one root for both halves: 4K base pages with 4 levels (48-bit addresses) and 3 (39-bit), 16K (47-bit)
 * and 64K (48-bit) with 3. LoongArch Reference Manual vol. 1, 5.4. A page of an upper level takes a TLB entry of two
 * pages of half its size, which CPUs do not have without limit (PRCFG2): see pt_loongarch64_detect.
 */
extern const struct pt_format pt_loongarch64, pt_loongarch64_3level, pt_loongarch64_16k, pt_loongarch64_64k;
/**
 * ARMv7-A short descriptors: 4K, 64K, 1M and 16M pages; the root is 16 KiB. Tables of 1 KiB share frames. For TTBR0
 * with TTBCR.N, copy it and take N from va_bits. Where the CPU has supersections with addresses of 40 bits (ID_MMFR3
 * bits 31:28 are not 15), pa_bits = 40 in a copy: what lies above 4 GiB are pages of 16M, which cannot be split. Arm ARM v7 (DDI 0406C) B3.5.
 */
extern const struct pt_format pt_armv7_short;
/**
 * ARMv7-A with LPAE, and AArch32 of ARMv8: long descriptors of PL1&0, 3 levels, 4K, 2M and 1G pages, 40-bit physical
 * addresses. In copies, by <pagetable/hw/aarch64.h>:
 * - pt_aarch64_with_va_bits(format, 32 - TnSZ): for TTBR0 with a TTBCR.T0SZ, zero-extended as it is; for TTBR1 with a
 *   T1SZ, address_space = PT_EITHER_HALF, and its addresses are (pt_vaddr)(int32_t)address.
 * - pt_aarch64_contiguous: 64K and 32M pages.
 * Arm ARM v7 (DDI 0406C) B3.6.
 */
extern const struct pt_format pt_armv7_lpae;
#endif

#ifdef __cplusplus
}
#endif

#endif
