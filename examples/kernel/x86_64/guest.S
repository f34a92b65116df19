/* SPDX-License-Identifier: MIT */
/* From host to guest and back, by VMRUN: APM vol. 2, 15.5, 15.6. */

#define VMCB_RIP 0x578
#define VMCB_RSP 0x5d8
#define VMCB_RAX 0x5f8

    .section .bss
    .balign 16
    .skip 16384
host_stack_top:

    .text
    .code64
/*
 * void guest_start(struct vmcb *): returns as the guest, on the same stack and with the same registers. The host waits
 * in host_run for it to exit. When host_exit says that it has to leave, the guest's code goes on as the host.
 */
    .globl guest_start
guest_start:
    leaq 2f(%rip), %rax
    movq %rax, VMCB_RIP(%rdi)
    movq %rsp, VMCB_RSP(%rdi)
    movq %rdi, vmcb_address(%rip)
    leaq host_stack_top(%rip), %rsp
host_run:
    movq vmcb_address(%rip), %rax
    vmrun /* of rax; and here it comes back to, with its own rax, rsp and rip, all others are the guest's */
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    call host_exit
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    testb %al, %al
    jnz host_run
    movq vmcb_address(%rip), %rax
    movq VMCB_RSP(%rax), %rsp
    jmpq *VMCB_RIP(%rax)
2:
    ret

    .section .bss
    .balign 8
vmcb_address:
    .skip 8

    .section .note.GNU-stack, "", @progbits
