/* SPDX-License-Identifier: MIT */
/* QEMU enters in SVC mode, ARM state, with the MMU and the caches off. No trap is asked for: each ends the run. */

    .section .text.boot, "ax"
    .global start
start:
    cpsid   aif
    ldr     sp, =stack_end
    ldr     r0, =bss_start          // both are 16-aligned
    ldr     r1, =bss_end
    mov     r2, #0
1:  cmp     r0, r1
    strlo   r2, [r0], #4
    blo     1b
    ldr     r0, =vectors
    mcr     p15, 0, r0, c12, c0, 0  // VBAR
    isb
    b       kernel_main

    .macro unexpected number
    b       trap_\number
    .endm

    .text
    .balign 32
vectors:
    unexpected 0
    unexpected 1
    unexpected 2
    unexpected 3
    unexpected 4
    unexpected 5
    unexpected 6
    unexpected 7

    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
trap_\number:
    cps     #0x13                   // SVC, whose stack there is
    mov     r0, #\number
    b       kernel_trap
    .endr

    .section .bss
    .balign 4096
    .skip   65536
stack_end:
