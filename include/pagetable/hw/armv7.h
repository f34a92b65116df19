/* SPDX-License-Identifier: MIT */
/*
 * ARMv7-A: what goes into TTBCR, TTBR0, TTBR1, DACR, MAIR0 and SCTLR for pt_armv7_short and pt_armv7_lpae, and the TLB
 * instructions. Arm Architecture Reference Manual ARMv7-A and ARMv7-R (DDI 0406C): registers by name in B4.1, TLB
 * maintenance in B3.10.
 *
 * To turn the MMU on, privileged: for short descriptors DACR = PT_ARMV7_DACR and TTBCR = 0, for long ones MAIR0 =
 * PT_ARMV7_MAIR0 and TTBCR = PT_ARMV7_TTBCR_LONG; then pt_hw_load_root, pt_hw_invalidate_all, pt_hw_invalidate_end,
 * SCTLR |= PT_ARMV7_SCTLR_ON with WXN, AFE and TRE clear, ISB. Where the table walk does not look into the data cache
 * (ID_MMFR3[23:20] is 0) the lines of tables that were written have to be cleaned first.
 */
#ifndef PAGETABLE_HW_ARMV7_H
#define PAGETABLE_HW_ARMV7_H

#include <pagetable/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PT_ARMV7_DACR UINT32_C(1) /* domain 0 is a client: its permissions are looked at; no other exists */
#define PT_ARMV7_TTBR_WALK                                                                                             \
    UINT32_C(0x6a) /* the walk: inner and outer write-back, write-allocate, shareable (IRGN, RGN, S) */

/* TTBCR with long descriptors. T1SZ = 0 and T0SZ = 0: TTBR0 serves all addresses. */
#define PT_ARMV7_TTBCR_EAE (UINT32_C(1) << 31)
#define PT_ARMV7_TTBCR_T0SZ(va_bits) (UINT32_C(32) - (va_bits))
#define PT_ARMV7_TTBCR_T1SZ(va_bits) ((UINT32_C(32) - (va_bits)) << 16)
#define PT_ARMV7_TTBCR_EPD1 (UINT32_C(1) << 23)    /* no walk by TTBR1; where T0SZ leaves it anything */
#define PT_ARMV7_TTBCR_WALK0 (UINT32_C(0x35) << 8) /* SH0 inner shareable, ORGN0, IRGN0 write-back, write-allocate */
#define PT_ARMV7_TTBCR_WALK1 (UINT32_C(0x35) << 24)
#define PT_ARMV7_TTBCR_LONG (PT_ARMV7_TTBCR_EAE | PT_ARMV7_TTBCR_WALK0 | PT_ARMV7_TTBCR_WALK1)
/* TTBCR.A1 = 0: TTBR0 has the ASID. */
#define PT_ARMV7_TTBR_ASID(asid) ((uint64_t)((asid) & 0xffu) << 48)

/* One byte for each AttrIndx that pt_armv7_lpae uses: 0 = device, 1 = write-back, 2 = non-cacheable. MAIR1 is free. */
#define PT_ARMV7_MAIR0 UINT32_C(0x0044ff04)

#define PT_ARMV7_SCTLR_M (UINT32_C(1) << 0)
#define PT_ARMV7_SCTLR_C (UINT32_C(1) << 2)
#define PT_ARMV7_SCTLR_I (UINT32_C(1) << 12)
#define PT_ARMV7_SCTLR_WXN (UINT32_C(1) << 19) /* writable implies no-execute: pt_query would lie */
#define PT_ARMV7_SCTLR_TRE (UINT32_C(1) << 28) /* TEX remap; off */
#define PT_ARMV7_SCTLR_AFE (UINT32_C(1) << 29) /* AP[0] is an access flag; off */
#define PT_ARMV7_SCTLR_ON (PT_ARMV7_SCTLR_M | PT_ARMV7_SCTLR_C | PT_ARMV7_SCTLR_I)

#if defined(__arm__) && __ARM_ARCH >= 7

#define PT_ARMV7_READ(register, value) __asm__ volatile("mrc " register : "=r"(value)::"memory")
#define PT_ARMV7_WRITE(register, value) __asm__ volatile("mcr " register ::"r"(value) : "memory")

#define PT_ARMV7_SCTLR "p15, 0, %0, c1, c0, 0"
#define PT_ARMV7_TTBR0 "p15, 0, %0, c2, c0, 0"
#define PT_ARMV7_TTBR1 "p15, 0, %0, c2, c0, 1"
#define PT_ARMV7_MAIR0_REGISTER "p15, 0, %0, c10, c2, 0"
#define PT_ARMV7_TTBCR "p15, 0, %0, c2, c0, 2"
#define PT_ARMV7_DACR_REGISTER "p15, 0, %0, c3, c0, 0"
#define PT_ARMV7_CONTEXTIDR "p15, 0, %0, c13, c0, 1"

/* Registers of 64 bits. */
#define PT_ARMV7_READ_64(register, value) __asm__ volatile("mrrc " register : "=r"(value)::"memory")
#define PT_ARMV7_WRITE_64(register, value) __asm__ volatile("mcrr " register ::"r"(value) : "memory")
#define PT_ARMV7_TTBR0_64 "p15, 0, %Q0, %R0, c2"
#define PT_ARMV7_TTBR1_64 "p15, 1, %Q0, %R0, c2"

/** Long descriptors are in use. */
static inline bool pt_armv7_is_long(void)
{
    uint32_t ttbcr;

    PT_ARMV7_READ(PT_ARMV7_TTBCR, ttbcr);
    return ttbcr & PT_ARMV7_TTBCR_EAE;
}

/** Invalidations by address reach the copies of the first level, too. */
static inline bool pt_hw_needs_all(const struct pt_flush *flush)
{
    (void)flush;
    return false;
}

static inline void pt_hw_publish(void)
{
    __asm__ volatile("dsb ishst\n\tisb" ::: "memory");
}

static inline void pt_hw_invalidate_begin(void)
{
    __asm__ volatile("dsb ishst" ::: "memory");
}

/** TLBIMVAIS, or TLBIMVAAIS, which reaches all ASIDs and global pages; in the inner shareable domain. */
static inline void pt_hw_invalidate(pt_vaddr vaddr, uint32_t asid, bool global, bool tables)
{
    uint32_t address = (uint32_t)vaddr & ~UINT32_C(0xfff);

    (void)tables;
    if (global || asid == PT_NO_ASID)
        PT_ARMV7_WRITE("p15, 0, %0, c8, c3, 3", address);
    else
        PT_ARMV7_WRITE("p15, 0, %0, c8, c3, 1", address | (asid & 0xff));
}

/** TLBIASIDIS: all of one ASID that is not global. */
static inline void pt_hw_invalidate_asid(uint32_t asid)
{
    PT_ARMV7_WRITE("p15, 0, %0, c8, c3, 2", asid & 0xff);
}

/** TLBIALLIS. */
static inline void pt_hw_invalidate_all(void)
{
    PT_ARMV7_WRITE("p15, 0, %0, c8, c3, 0", 0);
}

/** With the branch predictor (BPIALLIS), which may have learned from what was mapped. */
static inline void pt_hw_invalidate_end(void)
{
    PT_ARMV7_WRITE("p15, 0, %0, c7, c1, 6", 0);
    __asm__ volatile("dsb ish\n\tisb" ::: "memory");
}

/** This CPU is privileged, its MMU is on, and TTBR0 or TTBR1 holds the table's root. */
static inline bool pt_hw_is_live(const struct page_table *pt)
{
    pt_paddr root = pt_root(pt);
    uint32_t cpsr, sctlr;

    __asm__ volatile("mrs %0, cpsr" : "=r"(cpsr));
    if ((cpsr & 0x1f) == 0x10)
        return false;
    PT_ARMV7_READ(PT_ARMV7_SCTLR, sctlr);
    if (!(sctlr & PT_ARMV7_SCTLR_M))
        return false;
    if (pt_armv7_is_long()) {
        const uint64_t address = UINT64_C(0xfffffff000);
        uint64_t lower, upper;

        PT_ARMV7_READ_64(PT_ARMV7_TTBR0_64, lower);
        PT_ARMV7_READ_64(PT_ARMV7_TTBR1_64, upper);
        return (lower & address) == root || (upper & address) == root;
    } else {
        const uint32_t address = ~UINT32_C(0x3fff);
        uint32_t lower, upper;

        PT_ARMV7_READ(PT_ARMV7_TTBR0, lower);
        PT_ARMV7_READ(PT_ARMV7_TTBR1, upper);
        return (lower & address) == root || (upper & address) == root;
    }
}

/** TTBR0, and the table's ASID if it has one (short descriptors: in CONTEXTIDR; B3.10.4 says how to change both safely). */
static inline void pt_hw_load_root(const struct page_table *pt)
{
    bool has_asid = pt->asid != PT_NO_ASID;

    pt_hw_publish();
    if (pt_armv7_is_long()) {
        PT_ARMV7_WRITE_64(PT_ARMV7_TTBR0_64, pt_root(pt) | (has_asid ? PT_ARMV7_TTBR_ASID(pt->asid) : 0));
    } else {
        PT_ARMV7_WRITE(PT_ARMV7_TTBR0, (uint32_t)pt_root(pt) | PT_ARMV7_TTBR_WALK);
        if (has_asid)
            PT_ARMV7_WRITE(PT_ARMV7_CONTEXTIDR, pt->asid & 0xff);
    }
    __asm__ volatile("isb" ::: "memory");
}

/** TTBR1, with long descriptors; its ASID is that of TTBR0. */
static inline void pt_hw_load_root_upper(const struct page_table *pt)
{
    pt_hw_publish();
    PT_ARMV7_WRITE_64(PT_ARMV7_TTBR1_64, pt_root(pt));
    __asm__ volatile("isb" ::: "memory");
}

#endif /* __arm__ */

#ifdef __cplusplus
}
#endif

#endif
