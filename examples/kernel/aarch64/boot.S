/* SPDX-License-Identifier: MIT */
/*
 * QEMU enters at EL1, or with virtualization=on at EL2, with the MMU and the caches off and one CPU running; there the
 * kernel stays. Exception vectors.
 */

#if defined(MACHINE_EL2) || defined(MACHINE_GUEST)
#define EL(register) register##_el2
#else
#define EL(register) register##_el1
#endif

    .section .text.boot, "ax"
    .global start
start:
    msr     daifset, #15            // no interrupts
    msr     spsel, #1               // SP_ELx, which exceptions use too
    adrp    x0, stack_end
    mov     sp, x0

    adrp    x0, bss_start           // both are 16-aligned
    add     x0, x0, :lo12:bss_start
    adrp    x1, bss_end
    add     x1, x1, :lo12:bss_end
1:  cmp     x0, x1
    b.hs    2f
    stp     xzr, xzr, [x0], #16
    b       1b

2:  adrp    x0, vectors
    add     x0, x0, :lo12:vectors
    msr     EL(vbar), x0
    isb
    bl      machine_set_up
    bl      kernel_main             // does not return

/*
 * 16 vectors of 128 bytes: from here with SP_EL0, from here, from below, from below in AArch32; and in each of these
 * groups synchronous, IRQ, FIQ, SError. This kernel has faults of its own only, the fifth; and a guest comes back by the
 * ninth.
 */
    .macro unexpected number
    .balign 128
    mov     x0, #\number
    b       trap_unexpected
    .endm

    .text
    .balign 2048
vectors:
    unexpected 0
    unexpected 1
    unexpected 2
    unexpected 3

    /*
     * A fault in machine_access: note the address, and go on at trap_resume with x17 = 1. Only x16 and
     * x17 are used, which machine_access does not.
     */
    .balign 128
    adrp    x16, trap_resume
    ldr     x16, [x16, :lo12:trap_resume]
    cbz     x16, 1f
    msr     EL(elr), x16
    mrs     x16, EL(far)
    adrp    x17, trap_vaddr
    str     x16, [x17, :lo12:trap_vaddr]
    mov     x17, #1
    eret
1:  mov     x0, #4
    b       trap_unexpected

    unexpected 5
    unexpected 6
    unexpected 7
#ifdef MACHINE_GUEST
    .balign 128
    b       guest_left
#else
    unexpected 8
#endif
    unexpected 9
    unexpected 10
    unexpected 11
    unexpected 12
    unexpected 13
    unexpected 14
    unexpected 15

    .section .bss
    .balign 4096
    .skip   65536
stack_end:
