/* SPDX-License-Identifier: MIT */
/*
 * AArch64: what goes into MAIR_ELx, TCR_ELx, SCTLR_ELx, TTBRn_ELx, VTCR_EL2 and VTTBR_EL2 for the formats
 * pt_aarch64..., and the TLB instructions. Arm Architecture Reference Manual (DDI 0487): registers
 * by name in D24, TLB maintenance in D8, the TLBI instructions by name in C5.5.
 *
 * To turn the MMU on, at EL1, in this order: MAIR_EL1, TCR_EL1, pt_hw_load_root_lower and _upper,
 * pt_hw_invalidate_all, pt_hw_invalidate_end, then SCTLR_EL1 |= PT_AARCH64_SCTLR_ON, ISB. A kernel that
 * wrote its tables with the caches off must see to it that none holds stale lines of them (DC IVAC).
 */
#ifndef PAGETABLE_HW_AARCH64_H
#define PAGETABLE_HW_AARCH64_H

#include <pagetable/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Formats made of the ready ones: struct pt_format f = pt_aarch64_contiguous(pt_aarch64_16k) ---- */

/**
 * A copy that translates `va_bits` bits: as many levels as that takes (64 - va_bits is TCR.TnSZ, D8.2), 25 bits at
 * least. Pages of levels that are gone go too. The root of a second stage is up to 16 concatenated tables (D8.2.5).
 */
static inline struct pt_format pt_aarch64_with_va_bits(struct pt_format format, uint8_t va_bits)
{
    unsigned concatenated = format.features & PT_FEATURE_SECOND_STAGE ? 4 : 0;
    unsigned bits = (unsigned)va_bits - format.page_shift - concatenated;
    unsigned levels = (bits + format.index_bits - 1) / format.index_bits;
    unsigned root_bits = format.page_shift + levels * format.index_bits; /* of a root without concatenated tables */

    format.va_bits = va_bits;
    format.levels = (uint8_t)levels;
    for (unsigned bit = va_bits < root_bits ? va_bits : root_bits; bit < 64; bit++)
        format.page_sizes &= ~(UINT64_C(1) << bit);
    return format;
}

/**
 * A copy with 52-bit addresses on both sides, FEAT_LPA2 or FEAT_LPA and FEAT_LVA, as pt_aarch64_4k_52 and the like are
 * of stage 1 already: with the blocks that only those have (D8.3.1).
 */
static inline struct pt_format pt_aarch64_wide(struct pt_format format)
{
    format.features |= PT_FEATURE_WIDE_PA;
    format.pa_bits = 52;
    format.page_sizes |= format.page_shift == 12 ? PT_512G : format.page_shift == 14 ? PT_64G : PT_4T;
    return pt_aarch64_with_va_bits(format, 52);
}

/**
 * A copy with pages of several entries too, by the contiguous hint (D8.7.1): 64K, 32M, 16G with the 4K granule; 2M, 1G
 * with 16K; 2M, 16G with 64K; as far as its levels have them. Without FEAT_BBM level 2 no flag of such a page changes
 * without break-before-make.
 */
static inline struct pt_format pt_aarch64_contiguous(struct pt_format format)
{
    static const uint8_t groups[3][PT_GROUP_LEVELS] = {{4, 4, 4}, {7, 5, 0}, {5, 5, 0}}; /* 4K, 16K, 64K */

    for (unsigned i = 0; i < PT_GROUP_LEVELS && i < format.levels; i++) {
        unsigned shift = format.page_shift + i * format.index_bits;
        unsigned bits = groups[(format.page_shift - 12u) / 2][i];

        if (bits == 0 || shift + bits > format.va_bits || (format.page_sizes & UINT64_C(1) << shift) == 0)
            continue;
        format.group_bits[i] = (uint8_t)bits;
        format.page_sizes |= UINT64_C(1) << (shift + bits);
    }
    return format;
}

/* ---- MAIR_EL1: one byte for each AttrIndx that pt_aarch64 uses (pt_format.memory_index) ---------- */

#define PT_AARCH64_ATTR_DEVICE 0   /* Device-nGnRE */
#define PT_AARCH64_ATTR_NORMAL 1   /* Normal, write-back, read- and write-allocate, both caches */
#define PT_AARCH64_ATTR_UNCACHED 2 /* Normal, non-cacheable, both caches */
#define PT_AARCH64_MAIR                                                                                                \
    ((UINT64_C(0x04) << (8 * PT_AARCH64_ATTR_DEVICE)) | (UINT64_C(0xff) << (8 * PT_AARCH64_ATTR_NORMAL)) |             \
     (UINT64_C(0x44) << (8 * PT_AARCH64_ATTR_UNCACHED)))

/* ---- TCR_EL1: 4K granule and 48-bit addresses in both halves ------------------------------------ */

#define PT_AARCH64_TCR_T0SZ(va_bits) (UINT64_C(64) - (va_bits))
#define PT_AARCH64_TCR_T1SZ(va_bits) ((UINT64_C(64) - (va_bits)) << 16)
#define PT_AARCH64_TCR_WALK0 (UINT64_C(0x35) << 8)  /* SH0 inner shareable, ORGN0, IRGN0 WB WA */
#define PT_AARCH64_TCR_WALK1 (UINT64_C(0x35) << 24) /* SH1, ORGN1, IRGN1: the same */
#define PT_AARCH64_TCR_TG0_4K (UINT64_C(0) << 14)
#define PT_AARCH64_TCR_TG1_4K (UINT64_C(2) << 30) /* not encoded as in TG0 */
#define PT_AARCH64_TCR_EPD0 (UINT64_C(1) << 7)    /* the lower half has no table: every address faults */
#define PT_AARCH64_TCR_EPD1 (UINT64_C(1) << 23)   /* the upper half has none */
#define PT_AARCH64_TCR_IPS(ips) ((uint64_t)(ips) << 32)
#define PT_AARCH64_TCR_HA (UINT64_C(1) << 39) /* FEAT_HAFDBS: hardware sets the accessed flag ... */
#define PT_AARCH64_TCR_HD (UINT64_C(1) << 40) /* ... and, with HA, the dirty state: pt_format.tracks_access */

#define PT_AARCH64_TCR_DS (UINT64_C(1) << 59) /* FEAT_LPA2: 52-bit addresses with the 4K and 16K granule */

/** ID_AA64MMFR0_EL1.PARange, and TCR_EL1.IPS in the same code, that mean 48 and 52 bits. */
#define PT_AARCH64_PARANGE_48 5
#define PT_AARCH64_PARANGE_52 6

/**
 * TCR_EL1 for pt_aarch64 in both halves, given ID_AA64MMFR0_EL1. Hardware updates of the accessed and
 * dirty flags are off, ASIDs have 8 bits and come from TTBR0_EL1; OR in what you want otherwise.
 */
static inline uint64_t pt_aarch64_tcr(uint64_t id_aa64mmfr0)
{
    uint64_t parange = id_aa64mmfr0 & 0xf;

    /* More than 48 bits need 64K granules or TCR_EL1.DS, and another format of entries. */
    if (parange > PT_AARCH64_PARANGE_48)
        parange = PT_AARCH64_PARANGE_48;
    return PT_AARCH64_TCR_T0SZ(48) | PT_AARCH64_TCR_T1SZ(48) | PT_AARCH64_TCR_WALK0 | PT_AARCH64_TCR_WALK1 |
           PT_AARCH64_TCR_TG0_4K | PT_AARCH64_TCR_TG1_4K | PT_AARCH64_TCR_IPS(parange);
}

/** Bits of a physical address, given ID_AA64MMFR0_EL1: to narrow pt_format.pa_bits with; 48 at most. */
static inline uint8_t pt_aarch64_pa_bits(uint64_t id_aa64mmfr0)
{
    switch (id_aa64mmfr0 & 0xf) {
    case 0:
        return 32;
    case 1:
        return 36;
    case 2:
        return 40;
    case 3:
        return 42;
    case 4:
        return 44;
    default:
        return 48;
    }
}

/** FEAT_BBM level, given ID_AA64MMFR2_EL1: for pt_format.bbm_level. Of several CPUs the lowest counts. */
static inline uint8_t pt_aarch64_bbm_level(uint64_t id_aa64mmfr2)
{
    return (uint8_t)(id_aa64mmfr2 >> 52 & 0xf);
}

/** TCR_EL1.HA and HD are there, given ID_AA64MMFR1_EL1 (HAFDBS): with both set, pt_format.tracks_access may be. */
static inline bool pt_aarch64_can_track_access(uint64_t id_aa64mmfr1)
{
    return (id_aa64mmfr1 & 0xf) >= 2;
}

/* ---- TTBRn_EL1: the root's address is bits 47:1; bit 0 (CnP) says that all CPUs share it ---------- */

#define PT_AARCH64_TTBR_CNP (UINT64_C(1) << 0)
#define PT_AARCH64_TTBR_ASID(asid) ((uint64_t)(asid) << 48)

/* ---- Of any format: TCR_EL1, TCR_EL2, VTCR_EL2, TTBR ------------------------------------------------ */

/** PARange, IPS and PS for the format's physical addresses, no more than ID_AA64MMFR0_EL1 has. */
static inline uint64_t pt_aarch64_ps(const struct pt_format *format, uint64_t id_aa64mmfr0)
{
    uint64_t parange = id_aa64mmfr0 & 0xf;

    if (parange > PT_AARCH64_PARANGE_48)
        parange = format->features & PT_FEATURE_WIDE_PA ? PT_AARCH64_PARANGE_52 : PT_AARCH64_PARANGE_48;
    return parange;
}

/** TCR.DS, which changes the entries: 52-bit addresses with the 4K and 16K granule. */
static inline bool pt_aarch64_ds(const struct pt_format *format)
{
    return (format->features & PT_FEATURE_WIDE_PA) && format->page_shift < 16;
}

/** TG0, a field of two bits. */
static inline uint64_t pt_aarch64_tg0(const struct pt_format *format)
{
    return format->page_shift == 12 ? 0 : format->page_shift == 14 ? 2 : 1;
}

/** TCR_EL1 (TCR_EL2 with HCR_EL2.E2H) for the format in both halves; what is off and on, as pt_aarch64_tcr. */
static inline uint64_t pt_aarch64_tcr_of(const struct pt_format *format, uint64_t id_aa64mmfr0)
{
    uint64_t tg1 = format->page_shift == 12 ? 2 : format->page_shift == 14 ? 1 : 3; /* not encoded as in TG0 */

    return PT_AARCH64_TCR_T0SZ(format->va_bits) | PT_AARCH64_TCR_T1SZ(format->va_bits) | PT_AARCH64_TCR_WALK0 |
           PT_AARCH64_TCR_WALK1 | pt_aarch64_tg0(format) << 14 | tg1 << 30 |
           PT_AARCH64_TCR_IPS(pt_aarch64_ps(format, id_aa64mmfr0)) | (pt_aarch64_ds(format) ? PT_AARCH64_TCR_DS : 0);
}

#define PT_AARCH64_TCR_EL2_HA (UINT64_C(1) << 21) /* TCR_EL2 without E2H, and VTCR_EL2 */
#define PT_AARCH64_TCR_EL2_HD (UINT64_C(1) << 22)

/** TCR_EL2 without HCR_EL2.E2H, for a format with PT_FEATURE_EL2. */
static inline uint64_t pt_aarch64_tcr_el2(const struct pt_format *format, uint64_t id_aa64mmfr0)
{
    const uint64_t res1 = UINT64_C(1) << 31 | UINT64_C(1) << 23;

    return res1 | PT_AARCH64_TCR_T0SZ(format->va_bits) | PT_AARCH64_TCR_WALK0 | pt_aarch64_tg0(format) << 14 |
           pt_aarch64_ps(format, id_aa64mmfr0) << 16 | (pt_aarch64_ds(format) ? UINT64_C(1) << 32 : 0);
}

/** VTCR_EL2 for a format with PT_FEATURE_SECOND_STAGE. VMIDs have 8 bits. */
static inline uint64_t pt_aarch64_vtcr(const struct pt_format *format, uint64_t id_aa64mmfr0)
{
    const uint64_t res1 = UINT64_C(1) << 31;
    uint64_t start; /* SL0, and SL2 for level -1: counted from level 2 with the 4K granule, else from level 3 */

    if (format->page_shift == 12)
        start = format->levels == 5 ? UINT64_C(1) << 33 : (format->levels - UINT64_C(2)) << 6;
    else
        start = (format->levels - UINT64_C(1)) << 6;
    return res1 | PT_AARCH64_TCR_T0SZ(format->va_bits) | PT_AARCH64_TCR_WALK0 | pt_aarch64_tg0(format) << 14 |
           pt_aarch64_ps(format, id_aa64mmfr0) << 16 | (pt_aarch64_ds(format) ? UINT64_C(1) << 32 : 0) | start;
}

/** TTBRn_ELx, VTTBR_EL2: the root's address, with 52 bits its bits 51:48 in 5:2; the ASID or VMID if there is one. */
static inline uint64_t pt_aarch64_ttbr(const struct page_table *pt)
{
    uint64_t root = pt_root(pt);

    return (root & UINT64_C(0x0000ffffffffffc0)) | (root >> 46 & 0x3c) |
           (pt->asid == PT_NO_ASID ? 0 : PT_AARCH64_TTBR_ASID(pt->asid));
}

/* ---- HCR_EL2: what matters to a second stage ------------------------------------------------------- */

#define PT_AARCH64_HCR_VM (UINT64_C(1) << 0)   /**< stage 2 translates for EL1&0 */
#define PT_AARCH64_HCR_RW (UINT64_C(1) << 31)  /**< EL1 is AArch64: for the hypervisor to decide */
#define PT_AARCH64_HCR_FWB (UINT64_C(1) << 46) /**< FEAT_S2FWB: what PT_FEATURE_FWB encodes */

/** What HCR_EL2 needs for a format with PT_FEATURE_SECOND_STAGE; PT_AARCH64_HCR_RW and all else is to be OR-ed in. */
static inline uint64_t pt_aarch64_hcr(const struct pt_format *format)
{
    return PT_AARCH64_HCR_VM | (format->features & PT_FEATURE_FWB ? PT_AARCH64_HCR_FWB : 0);
}

/* ---- What a CPU has, by its ID registers ------------------------------------------------------------ */

/** What ID_AA64MMFR0_EL1 says of the granule: none, 48 bits, or 52 bits too. With 64K FEAT_LPA decides on 52 bits. */
enum pt_aarch64_granule {
    PT_AARCH64_GRANULE_NONE,
    PT_AARCH64_GRANULE_48,
    PT_AARCH64_GRANULE_52
};

/** Of the format's granule in its stage: TGran4, 16 and 64, or TGran4_2, 16_2 and 64_2, which may refer to those. */
static inline enum pt_aarch64_granule pt_aarch64_granule(const struct pt_format *format, uint64_t id_aa64mmfr0)
{
    unsigned shift = format->page_shift;
    unsigned first = id_aa64mmfr0 >> (shift == 12 ? 28 : shift == 14 ? 20 : 24) & 0xf;
    unsigned second = id_aa64mmfr0 >> (shift == 12 ? 40 : shift == 14 ? 32 : 36) & 0xf;

    if ((format->features & PT_FEATURE_SECOND_STAGE) && second != 0)
        return second == 1 ? PT_AARCH64_GRANULE_NONE : second == 3 ? PT_AARCH64_GRANULE_52 : PT_AARCH64_GRANULE_48;
    if (shift == 14)
        return (enum pt_aarch64_granule)(first < 2 ? first : 2);
    return first == 0                  ? PT_AARCH64_GRANULE_48
           : first == 1 && shift == 12 ? PT_AARCH64_GRANULE_52
                                       : PT_AARCH64_GRANULE_NONE;
}

/**
 * What is there of `format` on this CPU, given its ID registers (ID_AA64MMFR0_EL1 to 2): fewer physical bits, 48-bit
 * addresses instead of 52, a second stage no wider than physical addresses and without FEAT_S2FWB and FEAT_XNX, no
 * tracking of accesses, and the FEAT_BBM level. Without the granule the copy has no levels, which pt_create refuses.
 */
static inline struct pt_format pt_aarch64_detect(struct pt_format format, uint64_t id_aa64mmfr0, uint64_t id_aa64mmfr1,
                                                 uint64_t id_aa64mmfr2)
{
    bool second_stage = format.features & PT_FEATURE_SECOND_STAGE;
    bool wide_pa = (id_aa64mmfr0 & 0xf) == PT_AARCH64_PARANGE_52;
    enum pt_aarch64_granule granule = pt_aarch64_granule(&format, id_aa64mmfr0);
    bool lpa2 = format.page_shift == 16 ? wide_pa : granule == PT_AARCH64_GRANULE_52;
    uint8_t pa_bits = pt_aarch64_pa_bits(id_aa64mmfr0);

    if ((format.features & PT_FEATURE_WIDE_PA) && !lpa2) {
        format.features &= ~PT_FEATURE_WIDE_PA;
        format.page_sizes &= ~(PT_512G | PT_64G | PT_4T); /* the blocks that only 52-bit addresses have */
    }
    if (!(format.features & PT_FEATURE_WIDE_PA) && format.pa_bits > 48)
        format.pa_bits = 48;
    if (format.va_bits > 48 && (format.page_shift == 16 ? (id_aa64mmfr2 >> 16 & 0xf) == 0 : !lpa2))
        format = pt_aarch64_with_va_bits(format, 48);
    if (format.features & PT_FEATURE_WIDE_PA && wide_pa)
        pa_bits = 52;
    if (format.pa_bits > pa_bits)
        format.pa_bits = pa_bits;
    if (second_stage && format.va_bits > pa_bits)
        format = pt_aarch64_with_va_bits(format, pa_bits);
    if ((id_aa64mmfr2 >> 40 & 0xf) == 0)
        format.features &= ~PT_FEATURE_FWB;
    if ((id_aa64mmfr1 >> 28 & 0xf) == 0)
        format.features &= ~PT_FEATURE_XNX;
    format.tracks_access = format.tracks_access && pt_aarch64_can_track_access(id_aa64mmfr1);
    format.bbm_level = pt_aarch64_bbm_level(id_aa64mmfr2);
    if (granule == PT_AARCH64_GRANULE_NONE)
        format.levels = 0;
    return format;
}

/* ---- SCTLR_EL1 ---------------------------------------------------------------------------------- */

#define PT_AARCH64_SCTLR_M (UINT64_C(1) << 0)
#define PT_AARCH64_SCTLR_C (UINT64_C(1) << 2)
#define PT_AARCH64_SCTLR_I (UINT64_C(1) << 12)
#define PT_AARCH64_SCTLR_WXN (UINT64_C(1) << 19)  /* writable implies no-execute: pt_query would lie */
#define PT_AARCH64_SCTLR_SPAN (UINT64_C(1) << 23) /* 0: exceptions to EL1 set PSTATE.PAN */
#define PT_AARCH64_SCTLR_ON (PT_AARCH64_SCTLR_M | PT_AARCH64_SCTLR_C | PT_AARCH64_SCTLR_I)

/* ---- The operand of TLBI by address: VA[55:12] in 43:0, TTL in 47:44 (0: any level) --------------- */

#define PT_AARCH64_TLBI_VA(vaddr) (((vaddr) >> 12) & ((UINT64_C(1) << 44) - 1))
#define PT_AARCH64_TLBI_ASID(asid) ((uint64_t)(asid) << 48) /* VAE1, ASIDE1...; the VAA forms take none */

/* ---- Instructions ------------------------------------------------------------------------------- */

#if defined(__aarch64__)

/** The any-level forms of TLBI drop the copies of upper levels, too. */
static inline bool pt_hw_needs_all(const struct pt_flush *flush)
{
    (void)flush;
    return false;
}

/** Make new entries visible to the table walkers of all CPUs, and let this one's next instruction use them. */
static inline void pt_hw_publish(void)
{
    __asm__ volatile("dsb ishst\n\t"
                     "isb" ::
                         : "memory");
}

static inline void pt_hw_invalidate_begin(void)
{
    __asm__ volatile("dsb ishst" ::: "memory");
}

/** On every CPU of the inner shareable domain. The forms by VA without ASID reach global pages, too. */
static inline void pt_hw_invalidate(pt_vaddr vaddr, uint32_t asid, bool global, bool tables)
{
    uint64_t operand = PT_AARCH64_TLBI_VA(vaddr);

    if (global || asid == PT_NO_ASID) {
        if (tables)
            __asm__ volatile("tlbi vaae1is, %0" ::"r"(operand) : "memory");
        else
            __asm__ volatile("tlbi vaale1is, %0" ::"r"(operand) : "memory");
    } else {
        operand |= PT_AARCH64_TLBI_ASID(asid);
        if (tables)
            __asm__ volatile("tlbi vae1is, %0" ::"r"(operand) : "memory");
        else
            __asm__ volatile("tlbi vale1is, %0" ::"r"(operand) : "memory");
    }
}

/** All of one ASID that is not global. */
static inline void pt_hw_invalidate_asid(uint32_t asid)
{
    __asm__ volatile("tlbi aside1is, %0" ::"r"(PT_AARCH64_TLBI_ASID(asid)) : "memory");
}

static inline void pt_hw_invalidate_all(void)
{
    __asm__ volatile("tlbi vmalle1is" ::: "memory");
}

/** The ISB is for this CPU only: others pass one when they next take or leave an exception. */
static inline void pt_hw_invalidate_end(void)
{
    __asm__ volatile("dsb ish\n\t"
                     "isb" ::
                         : "memory");
}

/** This CPU translates its own addresses by *pt: at EL1, or at EL2 if that is the table's regime. */
static inline bool pt_hw_is_live(const struct page_table *pt)
{
    const uint64_t address = UINT64_C(0x0000fffffffffffe);
    uint64_t root = pt_aarch64_ttbr(pt) & address;
    uint64_t el, sctlr, lower, upper;

    if (pt->format->features & PT_FEATURE_SECOND_STAGE)
        return false;
    __asm__ volatile("mrs %0, currentel" : "=r"(el));
    if (el >> 2 == 2 && (pt->format->features & PT_FEATURE_EL2)) {
        __asm__ volatile("mrs %0, sctlr_el2" : "=r"(sctlr));
        __asm__ volatile("mrs %0, ttbr0_el2" : "=r"(lower));
        return (sctlr & PT_AARCH64_SCTLR_M) && (lower & address) == root;
    }
    if (el >> 2 == 2) { /* with HCR_EL2.E2H the names of EL1 are those of EL2 */
        uint64_t hcr;

        __asm__ volatile("mrs %0, hcr_el2" : "=r"(hcr));
        if ((hcr >> 34 & 1) == 0)
            return false;
    } else if (el >> 2 != 1) {
        return false;
    }
    __asm__ volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
    __asm__ volatile("mrs %0, ttbr0_el1" : "=r"(lower));
    __asm__ volatile("mrs %0, ttbr1_el1" : "=r"(upper));
    return (sctlr & PT_AARCH64_SCTLR_M) && ((lower & address) == root || (upper & address) == root);
}

/** TTBR0_EL1, addresses that begin with zeros, with the ASID of the table or 0. Invalidates nothing. */
static inline void pt_hw_load_root_lower(const struct page_table *pt)
{
    pt_hw_publish();
    __asm__ volatile("msr ttbr0_el1, %0\n\t"
                     "isb" ::"r"(pt_aarch64_ttbr(pt))
                     : "memory");
}

/** TTBR1_EL1, addresses that begin with ones. Invalidates nothing. */
static inline void pt_hw_load_root_upper(const struct page_table *pt)
{
    pt_hw_publish();
    __asm__ volatile("msr ttbr1_el1, %0\n\t"
                     "isb" ::"r"(pt_aarch64_ttbr(pt) & ~PT_AARCH64_TTBR_ASID(0xffff))
                     : "memory");
}

/** TTBR0_EL2, at EL2, for a format with PT_FEATURE_EL2. Invalidates nothing. */
static inline void pt_hw_load_root_el2(const struct page_table *pt)
{
    pt_hw_publish();
    __asm__ volatile("msr ttbr0_el2, %0\n\t"
                     "isb" ::"r"(pt_aarch64_ttbr(pt) & ~PT_AARCH64_TTBR_ASID(0xffff))
                     : "memory");
}

/** VTTBR_EL2, at EL2, with the VMID of the table (page_table.asid) or 0. Invalidates nothing. */
static inline void pt_hw_load_root_second_stage(const struct page_table *pt)
{
    pt_hw_publish();
    __asm__ volatile("msr vttbr_el2, %0\n\t"
                     "isb" ::"r"(pt_aarch64_ttbr(pt))
                     : "memory");
}

/** All that is cached of EL2's own table, at EL2. */
static inline void pt_hw_invalidate_el2(void)
{
    __asm__ volatile("tlbi alle2is" ::: "memory");
}

/** This CPU's VTTBR_EL2 has this VMID. At EL2. */
static inline bool pt_hw_is_current_vmid(uint32_t vmid)
{
    uint64_t vttbr;

    __asm__ volatile("mrs %0, vttbr_el2" : "=r"(vttbr));
    return vttbr >> 48 == vmid;
}

/**
 * All that is cached of a guest, of both stages; of all guests (and EL1&0) for PT_NO_ASID, or where VTTBR_EL2 has
 * another VMID, of which no instruction knows (D8.14). At EL2.
 */
static inline void pt_hw_invalidate_guest(uint32_t vmid)
{
    if (vmid != PT_NO_ASID && pt_hw_is_current_vmid(vmid))
        __asm__ volatile("tlbi vmalls12e1is" ::: "memory");
    else
        __asm__ volatile("tlbi alle1is" ::: "memory");
}

#define PT_HW_HAS_OTHER_REGIMES 1

/* EL2 alone, at EL2: there are no ASIDs, and nothing that is global. */
static inline void pt_hw_flush_el2(const struct pt_flush *flush, bool all)
{
    if (all) {
        pt_hw_invalidate_el2();
        return;
    }
    for (unsigned i = 0; i < flush->range_count; i++) {
        const struct pt_flush_range *range = &flush->ranges[i];

        for (uint64_t offset = 0; offset < range->size; offset += range->page_size) {
            uint64_t operand = PT_AARCH64_TLBI_VA(range->vaddr + offset);

            if (flush->tables_changed)
                __asm__ volatile("tlbi vae2is, %0" ::"r"(operand) : "memory");
            else
                __asm__ volatile("tlbi vale2is, %0" ::"r"(operand) : "memory");
        }
    }
}

/*
 * Stage 2, at EL2 (D8.14): by address only for the VMID in VTTBR_EL2. What stages 1 and 2 say together is cached under
 * the guest's virtual addresses: all of those go, too.
 */
static inline void pt_hw_flush_stage_2(const struct pt_flush *flush, bool all)
{
    if (all || flush->asid == PT_NO_ASID || !pt_hw_is_current_vmid(flush->asid)) {
        pt_hw_invalidate_guest(flush->asid);
        return;
    }
    for (unsigned i = 0; i < flush->range_count; i++) {
        const struct pt_flush_range *range = &flush->ranges[i];

        for (uint64_t offset = 0; offset < range->size; offset += range->page_size) {
            uint64_t operand = (range->vaddr + offset) >> 12; /* IPA[51:12] in bits 39:0 */

            if (flush->tables_changed)
                __asm__ volatile("tlbi ipas2e1is, %0" ::"r"(operand) : "memory");
            else
                __asm__ volatile("tlbi ipas2le1is, %0" ::"r"(operand) : "memory");
        }
    }
    __asm__ volatile("dsb ish\n\t"
                     "tlbi vmalle1is" ::
                         : "memory");
}

static inline void pt_hw_flush_other_regime(const struct pt_flush *flush, bool all)
{
    pt_hw_invalidate_begin();
    if (flush->format->features & PT_FEATURE_SECOND_STAGE)
        pt_hw_flush_stage_2(flush, all);
    else
        pt_hw_flush_el2(flush, all);
    pt_hw_invalidate_end();
}

#endif /* __aarch64__ */

#ifdef __cplusplus
}
#endif

#endif
