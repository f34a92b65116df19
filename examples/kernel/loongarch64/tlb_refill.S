/* SPDX-License-Identifier: MIT */
/*
 * The TLB refill handler for tables of pt_loongarch64; with the other measures below, for those of the formats with
 * three levels and larger pages. Copy it: it needs nothing of the rest of this kernel but its physical address in TLBRENTRY, two SAVE registers that are its own, and the roots in PGDL, PGDH.
 *
 * The CPU comes here when it misses in the TLB, in direct translation mode: addresses are physical, and
 * no miss can happen inside. A TLB entry is a pair of neighbouring pages, TLBRELO0 and TLBRELO1, with the
 * size of each in TLBREHI.PS; the address (TLBREHI.VPPN) and the ASID are filled in by the CPU.
 *
 * The walk is by plain loads. LDDIR and LDPTE do the same in fewer instructions, but LDDIR takes an unused
 * entry, zero, for a table at physical address 0, so that each result had to be looked at anyway; and
 * QEMU 10.0's drop bits 63:48 of what they load: NR, NX and RPLV.
 */
#include <pagetable/hw/loongarch64.h>

#if defined(MACHINE_3LEVEL)
#define PAGE_SHIFT 12
#define LEVELS 3
#define VA_BITS 39
#elif defined(MACHINE_16K)
#define PAGE_SHIFT 14
#define LEVELS 3
#define VA_BITS 47
#elif defined(MACHINE_64K)
#define PAGE_SHIFT 16
#define LEVELS 3
#define VA_BITS 48
#else
#define PAGE_SHIFT 12
#define LEVELS 4
#define VA_BITS 48
#endif
#define SHIFT(n) PT_LOONGARCH_SHIFT(PAGE_SHIFT, n) /* of the index n levels above the last one */
#define MOST 30 /* log2 of the largest huge page: CPUs have no larger ones */

#define SAVE_T1 PT_LOONGARCH_CSR_SAVE(6)
#define SAVE_T2 PT_LOONGARCH_CSR_SAVE(7)

    .text
    .balign 4096                                    // TLBRENTRY has no bits 11:0
    .global tlb_refill
tlb_refill:
    csrwr       $t0, PT_LOONGARCH_CSR_TLBRSAVE      // csrwr exchanges: t0 is free now
    csrwr       $t1, SAVE_T1
    csrwr       $t2, SAVE_T2
    csrrd       $t0, PT_LOONGARCH_CSR_TLBRBADV
    csrrd       $t1, PT_LOONGARCH_CSR_PGD           // PGDL or PGDH, by the address' top bit

#if LEVELS == 4
    // Dir3, the root: one entry is 512 GiB, more than a page can have.
    bstrpick.d  $t2, $t0, VA_BITS - 1, SHIFT(3)
    alsl.d      $t1, $t2, $t1, 3
    ld.d        $t1, $t1, 0
    beqz        $t1, unused_upper
#endif

    // Dir2 of four levels, or the root of three: 1 GiB with base pages of 4K. Zero is no huge page, so that one comes
    // first.
#if LEVELS == 4
    bstrpick.d  $t2, $t0, SHIFT(3) - 1, SHIFT(2)
#else
    bstrpick.d  $t2, $t0, VA_BITS - 1, SHIFT(2)
#endif
    alsl.d      $t1, $t2, $t1, 3
    ld.d        $t1, $t1, 0
#if SHIFT(2) <= MOST
    andi        $t2, $t1, PT_LOONGARCH_ENTRY_H
    bnez        $t2, huge_upper
#endif
    beqz        $t1, unused_upper

    // Dir1: 2 MiB with base pages of 4K.
    bstrpick.d  $t2, $t0, SHIFT(2) - 1, SHIFT(1)
    alsl.d      $t1, $t2, $t1, 3
    ld.d        $t1, $t1, 0
    andi        $t2, $t1, PT_LOONGARCH_ENTRY_H
    bnez        $t2, huge_lower
    beqz        $t1, unused_lower

    // The last table: the two leaves of the pair, as they are. Unused ones have V = 0.
    bstrpick.d  $t2, $t0, SHIFT(1) - 1, PAGE_SHIFT + 1
    alsl.d      $t1, $t2, $t1, 4
    ld.d        $t0, $t1, 0
    ld.d        $t1, $t1, 8
    ori         $t2, $zero, PAGE_SHIFT

    // t0, t1: the halves of the pair. t2: log2 of the size of each.
fill:
    csrwr       $t0, PT_LOONGARCH_CSR_TLBRELO0
    csrwr       $t1, PT_LOONGARCH_CSR_TLBRELO1
    csrrd       $t0, PT_LOONGARCH_CSR_TLBREHI
    bstrins.d   $t0, $t2, 5, 0                      // PS
    csrwr       $t0, PT_LOONGARCH_CSR_TLBREHI
    tlbfill
    csrrd       $t2, SAVE_T2
    csrrd       $t1, SAVE_T1
    csrrd       $t0, PT_LOONGARCH_CSR_TLBRSAVE
    ertn                                            // V = 0 faults there, as an ordinary exception

    // A huge leaf, t1: it fills both halves of a pair, each of half its size.
#if SHIFT(2) <= MOST
huge_upper:
    ori         $t2, $zero, SHIFT(2) - 1
    b           huge
#endif
huge_lower:
    ori         $t2, $zero, SHIFT(1) - 1
huge:
    bstrpick.d  $t0, $t1, 12, 12                    // its global bit is bit 12, and is to be bit 6,
    bstrins.d   $t1, $t0, 6, 6                      // where H was
    bstrins.d   $t1, $zero, 12, 12
    move        $t0, $t1                            // the first half
    csrwr       $t0, PT_LOONGARCH_CSR_TLBRELO0
    ori         $t0, $zero, 1
    sll.d       $t0, $t0, $t2
    add.d       $t1, $t1, $t0                       // the second: the rest of the leaf is the same
    csrrd       $t0, PT_LOONGARCH_CSR_TLBRELO0
    b           fill

    // An unused directory entry: V = 0 for all that it would map, because a huge page may take its place, and
    // the invalidation after that names its first address only. Where that is more than a pair can hold, the most
    // that it can: what takes its place is a table, after which everything is invalidated.
unused_upper:
#if SHIFT(2) <= MOST
    ori         $t2, $zero, SHIFT(2) - 1
#else
    ori         $t2, $zero, MOST - 1
#endif
    b           unused
unused_lower:
    ori         $t2, $zero, SHIFT(1) - 1
unused:
    move        $t0, $zero
    move        $t1, $zero
    b           fill
