/* SPDX-License-Identifier: MIT */
/*
 * The TLB refill handler for tables of pt_loongarch64. Copy it: it needs nothing of the rest of this kernel
 * but its physical address in TLBRENTRY, two SAVE registers that are its own, and the roots in PGDL, PGDH.
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

    // Dir3, the root: one entry is 512 GiB, more than a page can have.
    bstrpick.d  $t2, $t0, 47, PT_LOONGARCH_DIR3_SHIFT
    alsl.d      $t1, $t2, $t1, 3
    ld.d        $t1, $t1, 0
    beqz        $t1, unused_1g

    // Dir2: 1 GiB. Zero is no huge page, so that one comes first.
    bstrpick.d  $t2, $t0, 38, PT_LOONGARCH_DIR2_SHIFT
    alsl.d      $t1, $t2, $t1, 3
    ld.d        $t1, $t1, 0
    andi        $t2, $t1, PT_LOONGARCH_ENTRY_H
    bnez        $t2, huge_1g
    beqz        $t1, unused_1g

    // Dir1: 2 MiB.
    bstrpick.d  $t2, $t0, 29, PT_LOONGARCH_DIR1_SHIFT
    alsl.d      $t1, $t2, $t1, 3
    ld.d        $t1, $t1, 0
    andi        $t2, $t1, PT_LOONGARCH_ENTRY_H
    bnez        $t2, huge_2m
    beqz        $t1, unused_2m

    // The last table: the two leaves of the pair, as they are. Unused ones have V = 0.
    bstrpick.d  $t2, $t0, 20, PT_LOONGARCH_PAGE_SHIFT + 1
    alsl.d      $t1, $t2, $t1, 4
    ld.d        $t0, $t1, 0
    ld.d        $t1, $t1, 8
    ori         $t2, $zero, PT_LOONGARCH_PAGE_SHIFT

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
huge_1g:
    ori         $t2, $zero, PT_LOONGARCH_DIR2_SHIFT - 1
    b           huge
huge_2m:
    ori         $t2, $zero, PT_LOONGARCH_DIR1_SHIFT - 1
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
    // the invalidation after that names its first address only. Of an unused root entry 1 GiB, the most that
    // a pair can hold: what takes its place is a table, after which everything is invalidated.
unused_1g:
    ori         $t2, $zero, PT_LOONGARCH_DIR2_SHIFT - 1
    b           unused
unused_2m:
    ori         $t2, $zero, PT_LOONGARCH_DIR1_SHIFT - 1
unused:
    move        $t0, $zero
    move        $t1, $zero
    b           fill
