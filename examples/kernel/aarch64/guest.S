/* SPDX-License-Identifier: MIT */
/* The guest, a page of code that the second stage has to let it execute, and the way there and back. */

    .text
/*
 * uint64_t guest_enter(code, address, value): runs code at EL1, or EL0, as SPSR_EL2 says. Returns value as the guest
 * left it. Why the guest came back is in ESR_EL2, FAR_EL2 and HPFAR_EL2.
 */
    .globl guest_enter
guest_enter:
    str     x30, [sp, #-16]!
    mov     x30, #0                 // where nothing is mapped
    msr     elr_el2, x0
    isb
    eret

    .globl guest_left               // boot.S: exceptions from below; at EL2 again, on its stack
guest_left:
    mov     x0, x2
    ldr     x30, [sp], #16
    ret

/* What a guest does: one access of x2 at x1. */
    .globl guest_read, guest_write, guest_execute
guest_read:
    ldr     x2, [x1]
    hvc     #0
guest_write:
    str     x2, [x1]
    hvc     #0
guest_execute:
    blr     x1
    hvc     #0
