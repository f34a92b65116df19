/* SPDX-License-Identifier: MIT */
/* x86, 32 bits: from the PVH entry, with paging off, to kernel_main(), the traps, and the accesses that may fault. */

#define CODE_32 0x08
#define DATA 0x10

    /* "Xen", type 18: the physical address of the 32-bit entry, in 4 bytes. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long boot_start

    .section .bss
    .balign 16
    .skip 65536
stack_top:

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff /* CODE_32 */
    .quad 0x00cf93000000ffff /* DATA */
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .text
    .globl boot_start
boot_start:
    cld
    movl $bss_start, %edi
    movl $bss_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    lgdt gdt_pointer
    ljmp $CODE_32, $start
start:
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $stack_top, %esp
    call machine_set_up
    call kernel_main
    ud2

/* ---- Traps -------------------------------------------------------------------------------------- */

/*
 * A page fault that a probe expects goes on at probe_resume with 1 in eax; any other trap is the end, and so is what
 * the CPU pushed.
 */
    .globl trap_page_fault
trap_page_fault:
    cmpl $0, probe_resume
    je trap_other
    movl %cr2, %eax
    movl %eax, probe_fault
    movl (%esp), %eax
    movl %eax, probe_error
    movl probe_resume, %eax
    movl %eax, 4(%esp)
    movl $1, %eax
    addl $4, %esp
    iret

    .globl trap_other
trap_other:
    call trap_unexpected

/* ---- Accesses that may fault --------------------------------------------------------------------- */

/* probe_resume is zero when no fault is expected. They return 0 in eax, or 1, which trap_page_fault puts there. */
    .macro probe_begin
    movl %esp, probe_stack
    movl $1f, probe_resume
    .endm

    .macro probe_end
    xorl %eax, %eax
1:
    movl probe_stack, %esp
    movl $0, probe_resume
    ret
    .endm

/* int probe_read(uint32_t vaddr, uint64_t *value) */
    .globl probe_read
probe_read:
    probe_begin
    movl 4(%esp), %edx
    movl (%edx), %ecx
    movl 4(%edx), %edx
    movl 8(%esp), %eax
    movl %ecx, (%eax)
    movl %edx, 4(%eax)
    probe_end

/* int probe_write(uint32_t vaddr, const uint64_t *value) */
    .globl probe_write
probe_write:
    probe_begin
    movl 4(%esp), %edx
    movl 8(%esp), %ecx
    movl (%ecx), %eax
    movl %eax, (%edx)
    movl 4(%ecx), %eax
    movl %eax, 4(%edx)
    probe_end

/* int probe_execute(uint32_t vaddr) */
    .globl probe_execute
probe_execute:
    probe_begin
    call *4(%esp)
    probe_end

    .section .note.GNU-stack, "", @progbits
