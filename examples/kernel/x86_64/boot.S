/* SPDX-License-Identifier: MIT */
/*
 * x86_64: from the PVH entry to kernel_main(), the traps, and the accesses that may fault.
 *
 * The loader enters in 32-bit protected mode with paging off. Long mode cannot be had without paging, and
 * the library is 64-bit code: so two tables (three with 5-level paging, whose CR4.LA57 cannot be set any more in
 * long mode) are forced on us here, an identity map of the first GiB. The kernel leaves them as soon as it has built its own, and comes back to them at the end, since long mode
 * cannot turn paging off either.
 */

#define CR0_PE (1 << 0)
#define CR0_WP (1 << 16)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define CR4_LA57 (1 << 12)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

#define PRESENT_WRITABLE 0x03
#define PRESENT_WRITABLE_HUGE 0x83

#define PUSH_ERROR_CODE 0x60227d00 /* vectors 8, 10 to 14, 17, 21, 29 and 30; a bit for each */

#define CODE_64 0x08
#define DATA 0x10

    /* "Xen", type 18: the physical address of the 32-bit entry, in 4 bytes. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long boot_start

    .section .bss
    .balign 4096
    .globl boot_root
boot_root:
#ifdef MACHINE_LA57
    .skip 4096
#endif
boot_level_4:
    .skip 4096
boot_directory:
    .skip 4096
    .balign 16
    .skip 65536
stack_top:

    .section .rodata
    .balign 8
gdt:
    .quad 0
    .quad 0x00af9b000000ffff /* CODE_64: long mode, present, readable */
    .quad 0x00cf93000000ffff /* DATA: present, writable */
gdt_pointer:
    .word . - gdt - 1
    .long gdt

    .text
    .code32
    .globl boot_start
boot_start:
    cld
    movl $bss_start, %edi
    movl $bss_end, %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb

#ifdef MACHINE_LA57
    movl $boot_level_4 + PRESENT_WRITABLE, boot_root
    movl $CR4_PAE | CR4_LA57, %edx
#else
    movl $CR4_PAE, %edx
#endif
    movl $boot_directory + PRESENT_WRITABLE, boot_level_4
    movl $PRESENT_WRITABLE_HUGE, boot_directory /* one page of 1 GiB, from 0 */

    lgdt gdt_pointer
    movl %edx, %cr4
    movl $boot_root, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME | EFER_NXE, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PE | CR0_WP | CR0_PG, %eax
    movl %eax, %cr0
    ljmp $CODE_64, $start_64

    .code64
start_64:
    movl $DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $stack_top, %esp
    xorl %ebp, %ebp
    call machine_set_up
    call kernel_main
    ud2

/* ---- Traps -------------------------------------------------------------------------------------- */

/*
 * One entry for each exception, 16 bytes apart. Where the CPU pushes no error code a zero is pushed, so
 * that struct trap_frame in machine.c fits all.
 */
    .balign 16
    .globl trap_entries
trap_entries:
    .set vector, 0
    .rept 32
    .balign 16
    .if (1 << vector & PUSH_ERROR_CODE) == 0
    pushq $0
    .endif
    pushq $vector
    jmp trap_common
    .set vector, vector + 1
    .endr

trap_common:
    pushq %r11
    pushq %r10
    pushq %r9
    pushq %r8
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    cld
    movq %rsp, %rdi
    call machine_trap
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
    popq %r8
    popq %r9
    popq %r10
    popq %r11
    addq $16, %rsp
    iretq

/* ---- Accesses that may fault --------------------------------------------------------------------- */

/*
 * Each tells machine_trap where to go on and with which stack: probe_resume, which is zero when no fault
 * is expected, and probe_stack. They return 0 in eax, or 1, which machine_trap puts there.
 */
    .macro probe_begin
    leaq 1f(%rip), %rax
    movq %rsp, probe_stack(%rip)
    movq %rax, probe_resume(%rip)
    .endm

    .macro probe_end
    xorl %eax, %eax
1:
    movq $0, probe_resume(%rip)
    ret
    .endm

/* int probe_read(pt_vaddr vaddr, uint64_t *value) */
    .globl probe_read
probe_read:
    probe_begin
    movq (%rdi), %rdx
    movq %rdx, (%rsi)
    probe_end

/* int probe_write(pt_vaddr vaddr, uint64_t value) */
    .globl probe_write
probe_write:
    probe_begin
    movq %rsi, (%rdi)
    probe_end

/* int probe_execute(pt_vaddr vaddr) */
    .globl probe_execute
probe_execute:
    probe_begin
    call *%rdi
    probe_end

    .section .note.GNU-stack, "", @progbits
