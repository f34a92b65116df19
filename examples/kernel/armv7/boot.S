/* SPDX-License-Identifier: MIT */
/* QEMU enters in SVC mode, ARM state, with the MMU and the caches off; exception vectors. */

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
    bl      machine_set_up
    b       kernel_main             // does not return

    .text
    .balign 32
vectors:
    b       trap_0
    b       trap_1
    b       trap_2
    b       prefetch_abort
    b       data_abort
    b       trap_5
    b       trap_6
    b       trap_7

    /*
     * A fault in machine_access: note the address, and go on at trap_resume with r12 = 1. The mode has an lr and an sp
     * of its own; of the others only r12 is used, which machine_access does not.
     */
    .macro abort number, register   // \register: c0 is DFAR, c2 IFAR
    ldr     r12, =trap_resume
    ldr     lr, [r12]
    cmp     lr, #0
    beq     trap_\number
    mrc     p15, 0, r12, c6, c0, \register
    ldr     sp, =trap_vaddr
    str     r12, [sp]
    mov     r12, #1
    movs    pc, lr                  // with SPSR back in CPSR
    .endm

prefetch_abort:
    abort   3, 2
data_abort:
    abort   4, 0

    .irp number, 0, 1, 2, 3, 4, 5, 6, 7
trap_\number:
    mov     r1, lr
    cps     #0x13                   // SVC, whose stack there is
    mov     r0, #\number
    b       trap_unexpected
    .endr

    .section .bss
    .balign 4096
    .skip   65536
stack_end:
