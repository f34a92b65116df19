/* SPDX-License-Identifier: MIT */
/*
 * RISC-V, 32 and 64 bits: from reset in machine mode to kernel_main() in supervisor mode, the traps, and the
 * accesses that may fault. There is no firmware below: the kernel is what runs first.
 */

#if __riscv_xlen == 64
#define STORE sd
#define LOAD ld
#define SIZE 8 /* of a register */
#define GUEST_LOAD 0x36
#else
#define STORE sw
#define LOAD lw
#define SIZE 4
#define GUEST_LOAD 0x34
#define menvcfg 0x31a /* menvcfgh, which has the upper half's bits */
#endif

#define MSTATUS_MPP_MASK (3 << 11)
#define MSTATUS_MPP_S (1 << 11)
#define SSTATUS_SPP (1 << 8)
#define CAUSE_ECALL_S 9
#define PMP_ALL 0x1f /* read, write, execute, NAPOT: with an address of all ones, everything */

#define EXIT_DEVICE 0x100000
#define EXIT_FAILED 0x13333

    .section .bss
    .balign 16
    .skip 65536
stack_top:

    .section .text.boot, "ax"
    .globl boot_start
boot_start:
    csrr t0, mhartid
    bnez t0, park /* one hart is enough */

    la t0, bss_start
    la t1, bss_end
1:
    STORE zero, (t0)
    addi t0, t0, SIZE
    bltu t0, t1, 1b

    la t0, machine_mode_trap
    csrw mtvec, t0

    /* Without a rule the physical memory protection keeps supervisor mode off everything. */
    li t0, -1
    csrw pmpaddr0, t0
    li t0, PMP_ALL
    csrw pmpcfg0, t0

    /* Hardware is not to set accessed and dirty bits (menvcfg.ADUE): it faults where they are clear, so
     * that the checks see that the library sets them. machine_enable_mmu turns it on where a format wants it. */
    csrw menvcfg, zero

    /* Supervisor mode takes its own exceptions. */
    li t0, ~(1 << CAUSE_ECALL_S)
    csrw medeleg, t0
    csrw mideleg, zero
    csrw mie, zero
    csrw satp, zero

    li t0, MSTATUS_MPP_MASK
    csrc mstatus, t0
    li t0, MSTATUS_MPP_S
    csrs mstatus, t0
    la t0, supervisor
    csrw mepc, t0
    mret

supervisor:
    la t0, trap_entry
    csrw stvec, t0
    la sp, stack_top
    call machine_set_up
    call kernel_main

park:
    wfi
    j park

    .balign 4
machine_mode_trap: /* what is meant to come here asks for menvcfg (32 bits: menvcfgh) = a0, and gets back what it is then */
    csrr t0, mcause
    li t1, CAUSE_ECALL_S
    bne t0, t1, 1f
    csrw menvcfg, a0
    csrr a0, menvcfg
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
1:
    li t0, EXIT_DEVICE
    li t1, EXIT_FAILED
    sw t1, (t0)
    j park

/* ---- Traps -------------------------------------------------------------------------------------- */

    /* Save what a C function may change, on the stack in use; machine_trap may change where it returns to. */
    .balign 4
trap_entry:
    addi sp, sp, -16 * SIZE
    STORE ra, 0 * SIZE(sp)
    STORE t0, 1 * SIZE(sp)
    STORE t1, 2 * SIZE(sp)
    STORE t2, 3 * SIZE(sp)
    STORE a0, 4 * SIZE(sp)
    STORE a1, 5 * SIZE(sp)
    STORE a2, 6 * SIZE(sp)
    STORE a3, 7 * SIZE(sp)
    STORE a4, 8 * SIZE(sp)
    STORE a5, 9 * SIZE(sp)
    STORE a6, 10 * SIZE(sp)
    STORE a7, 11 * SIZE(sp)
    STORE t3, 12 * SIZE(sp)
    STORE t4, 13 * SIZE(sp)
    STORE t5, 14 * SIZE(sp)
    STORE t6, 15 * SIZE(sp)
    call machine_trap
    LOAD ra, 0 * SIZE(sp)
    LOAD t0, 1 * SIZE(sp)
    LOAD t1, 2 * SIZE(sp)
    LOAD t2, 3 * SIZE(sp)
    LOAD a0, 4 * SIZE(sp)
    LOAD a1, 5 * SIZE(sp)
    LOAD a2, 6 * SIZE(sp)
    LOAD a3, 7 * SIZE(sp)
    LOAD a4, 8 * SIZE(sp)
    LOAD a5, 9 * SIZE(sp)
    LOAD a6, 10 * SIZE(sp)
    LOAD a7, 11 * SIZE(sp)
    LOAD t3, 12 * SIZE(sp)
    LOAD t4, 13 * SIZE(sp)
    LOAD t5, 14 * SIZE(sp)
    LOAD t6, 15 * SIZE(sp)
    addi sp, sp, 16 * SIZE
    sret

/* ---- Accesses that may fault --------------------------------------------------------------------- */

/*
 * Each tells machine_trap where to go on: probe_resume, which is zero when no fault is expected. They
 * return 1 when that happened, else 0. The return address is kept in t2, which no path in between changes.
 */
    .macro probe_begin
    mv t2, ra
    la t0, 1f
    la t1, probe_resume
    STORE t0, (t1)
    .endm

    .macro probe_end
    li a0, 0
    j 2f
1:
    li a0, 1
2:
    la t1, probe_resume
    STORE zero, (t1)
    jr t2
    .endm

    .text
/* int probe_read(uintptr_t vaddr, uint64_t *value) */
    .globl probe_read
probe_read:
    probe_begin
    LOAD t0, (a0)
#if SIZE == 4
    LOAD t1, 4(a0)
    STORE t1, 4(a1)
#endif
    STORE t0, (a1)
    probe_end

/* int probe_write(uintptr_t vaddr, const uint64_t *value) */
    .globl probe_write
probe_write:
    probe_begin
    LOAD t0, (a1)
    STORE t0, (a0)
#if SIZE == 4
    LOAD t0, 4(a1)
    STORE t0, 4(a0)
#endif
    probe_end

/* int probe_execute(uintptr_t vaddr) */
    .globl probe_execute
probe_execute:
    probe_begin
    jalr ra, (a0)
    probe_end

/*
 * void probe_user(uintptr_t vaddr, uint64_t *value, uintptr_t code): the same by code that runs in user mode, which ends
 * it by ECALL. Such a trap is taken on this stack.
 */
#ifndef MACHINE_GUEST
    .globl probe_user
probe_user:
    probe_begin
    li t0, SSTATUS_SPP
    csrc sstatus, t0
    csrw sepc, a2
    LOAD t0, (a1)
    sret
1:
    la t1, probe_resume
    STORE zero, (t1)
    STORE t0, (a1)
    jr t2

    .balign 4
    .option push
    .option norvc
    .globl user_read, user_write, user_execute, user_end
user_read:
    LOAD t0, (a0)
    ecall
user_write:
    STORE t0, (a0)
    ecall
user_execute:
    jalr ra, (a0)
    ecall
user_end:
    .option pop
#endif

/*
 * The same of a guest, by the instructions of the hypervisor extension, as its assembler would write them. An
 * executable page is not called: HLVX asks for the right alone.
 */
#ifdef MACHINE_GUEST
    .macro guest_load register /* hlv.d or hlv.w \register, (a0) */
    .insn r 0x73, 4, GUEST_LOAD, \register, a0, x0
    .endm

    .macro guest_store register /* hsv.d or hsv.w \register, (a0) */
    .insn r 0x73, 4, GUEST_LOAD + 1, x0, a0, \register
    .endm

    .globl probe_guest_read
probe_guest_read:
    probe_begin
    guest_load t0
    STORE t0, (a1)
#if SIZE == 4
    addi a0, a0, 4
    guest_load t0
    STORE t0, 4(a1)
#endif
    probe_end

    .globl probe_guest_write
probe_guest_write:
    probe_begin
    LOAD t0, (a1)
    guest_store t0
#if SIZE == 4
    addi a0, a0, 4
    LOAD t0, 4(a1)
    guest_store t0
#endif
    probe_end

    .globl probe_guest_execute
probe_guest_execute:
    probe_begin
    .insn r 0x73, 4, 0x34, t0, a0, x3 /* hlvx.wu t0, (a0) */
    probe_end
#endif

    .section .note.GNU-stack, "", @progbits
