/* SPDX-License-Identifier: MIT */
/* QEMU enters in direct translation mode: addresses are physical, whatever stands in bits 63:48. */
#include <pagetable/hw/loongarch64.h>

    .section .text.boot, "ax"
    .global start
start:
    /*
     * The kernel is to run in a direct-mapped window: 0x9... is physical memory, cached, for privilege
     * level 0; and 0x8... the same uncached, for devices. All other addresses go through the TLB.
     */
    li.d        $t0, 0x8000000000000001
    csrwr       $t0, PT_LOONGARCH_CSR_DMW0
    li.d        $t0, 0x9000000000000011
    csrwr       $t0, PT_LOONGARCH_CSR_DMW1
    pcaddi      $t0, 4                              // the address of 1, physical or not
    li.d        $t1, 0x9000000000000000
    or          $t0, $t0, $t1
    jirl        $zero, $t0, 0
1:  ori         $t0, $zero, 0xb0                    // CRMD: PG, not DA; DATF, DATM = cached; no interrupts
    csrwr       $t0, PT_LOONGARCH_CSR_CRMD

    la.pcrel    $t0, bss_start
    la.pcrel    $t1, bss_end
2:  st.d        $zero, $t0, 0
    addi.d      $t0, $t0, 8
    bltu        $t0, $t1, 2b

    la.pcrel    $sp, stack_end
    csrwr       $zero, PT_LOONGARCH_CSR_ECFG        // one entry for all exceptions but TLB refills
    la.pcrel    $t0, trap
    csrwr       $t0, PT_LOONGARCH_CSR_EENTRY
    la.pcrel    $t0, tlb_refill                     // tlb_refill.S
    bstrpick.d  $t0, $t0, 47, 0                     // physical
    csrwr       $t0, PT_LOONGARCH_CSR_TLBRENTRY
    bl          machine_set_up_mmu
    b           kernel_main                         // does not return

/*
 * A fault in machine_access: note the address, and go on at trap_resume with t7 = 1. Only t7 and t8 are
 * used, which machine_access does not.
 */
    .text
    .balign     4096                                // EENTRY has no bits 11:0
trap:
    la.pcrel    $t7, trap_resume
    ld.d        $t8, $t7, 0
    beqz        $t8, 1f
    csrwr       $t8, PT_LOONGARCH_CSR_ERA
    csrrd       $t8, PT_LOONGARCH_CSR_BADV
    la.pcrel    $t7, trap_vaddr
    st.d        $t8, $t7, 0
    csrrd       $t8, PT_LOONGARCH_CSR_ESTAT
    la.pcrel    $t7, trap_status
    st.d        $t8, $t7, 0
    ori         $t7, $zero, 1
    ertn
1:  b           trap_unexpected

    .section .bss
    .balign     4096
    .skip       65536
stack_end:
