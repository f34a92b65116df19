/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine, of 32 and 64 bits. Built once for each format: -DMACHINE_FORMAT=pt_sv48; with
 * -DMACHINE_SVNAPOT, a copy of it with what a hart with Svnapot and Svpbmt has more. With -DMACHINE_GUEST the format is
 * that of a second stage: the kernel runs as a hypervisor, without translation, and accesses memory as its guest would,
 * a guest without tables of its own (HLV, HLVX, HSV).
 */
#include "console.h"
#include "kernel.h"

#include <pagetable/hw.h>

#define MIB (UINT64_C(1) << 20)

#define RAM 0x80000000u
#define SERIAL 0x10000000u
#define EXIT_DEVICE 0x100000u
#define DEVICE_FLAGS (PT_READ | PT_WRITE | PT_DEVICE)

const char machine_name[] = MACHINE_NAME;
static struct pt_format format; /* MACHINE_FORMAT, and what this hart can do */
const struct pt_format *const machine_format = &format;
const struct machine_region machine_regions[] = {
    {"RAM", RAM, 256 * MIB, PT_READ | PT_WRITE},
    {"serial line", SERIAL, PT_4K, DEVICE_FLAGS},
    {"exit device", EXIT_DEVICE, PT_4K, DEVICE_FLAGS},
    {NULL, 0, 0, 0},
};
const uintptr_t machine_linear_offset = 0;
const uint32_t machine_return_instruction = 0x00008067; /* jalr zero, 0(ra) */
const bool machine_shows_no_execute = true;
#ifdef MACHINE_GUEST
const bool machine_guards_user_pages = false;
#else
const bool machine_guards_user_pages = true;
#endif
const bool machine_remap_invalidates = false;
const bool machine_translate_reads = true;
const bool machine_has_asids = true;
const bool machine_tracks_access = true; /* by Svadu, which "rv64" has */

/* ---- Serial line, exit ------------------------------------------------------------------------- */

#define SERIAL_STATUS 5u
#define SERIAL_CAN_SEND 0x20u
#define EXIT_PASSED 0x5555u
#define EXIT_FAILED 0x13333u /* status 1 */

void machine_put_char(char c)
{
    volatile uint8_t *serial = (volatile uint8_t *)(uintptr_t)SERIAL;

    while ((serial[SERIAL_STATUS] & SERIAL_CAN_SEND) == 0)
        ;
    serial[0] = (uint8_t)c;
}

_Noreturn void machine_exit(bool passed)
{
    *(volatile uint32_t *)(uintptr_t)EXIT_DEVICE = passed ? EXIT_PASSED : EXIT_FAILED;
    for (;;)
        __asm__ volatile("wfi");
}

#if __riscv_xlen == 64
static const struct pt_format *widest; /* while nothing is translated */

/* QEMU is told to make a hart that has no wider format than this kernel's. */
static void check_detect(void)
{
    check(widest == &MACHINE_FORMAT, "while nothing is translated, the hart is found to have up to %s",
          widest ? widest->name : "no translation");
    if (!kernel_is_hypervisor())
        check(pt_riscv_detect(NULL) == &MACHINE_FORMAT, "... and now the one in use");
}
const struct machine_options machine_options = {.check_detect = check_detect};
#else
const struct machine_options machine_options = {.far_memory = UINT64_C(0x100000000) + 3 * PT_4K};
#endif

/* boot.S, before kernel_main */
void machine_set_up(void);

void machine_set_up(void)
{
    format = MACHINE_FORMAT;
#if __riscv_xlen == 64
    static _Alignas(4096) unsigned char frame[4096];

    widest = kernel_is_hypervisor() ? pt_riscv_detect_guest() : pt_riscv_detect(frame);
#endif
#ifdef MACHINE_SVNAPOT
    format.page_sizes |= PT_64K;
    format.group_bits[0] = 4;
    format.features |= PT_FEATURE_SVPBMT;
#endif
}

/* Of the hypervisor extension, by number: assemblers know the names only with it. */
#define VSATP "0x280"
#define HGATP "0x680"
#define HTVAL "0x643"

/* ---- The MMU ----------------------------------------------------------------------------------- */

/* Only machine mode, boot.S, can write menvcfg. Under firmware it is SBI's FWFT that turns ADUE on. */
static void set_menvcfg(const struct pt_format *of)
{
#if __riscv_xlen == 64
    uintptr_t menvcfg = (of->tracks_access ? PT_RISCV_MENVCFG_ADUE : 0) |
                        (of->features & PT_FEATURE_SVPBMT ? PT_RISCV_MENVCFG_PBMTE : 0);
#else
    uintptr_t menvcfg = of->tracks_access ? PT_RISCV_MENVCFGH_ADUE : 0;
#endif
    register uintptr_t value __asm__("a0") = menvcfg;

    __asm__ volatile("ecall" : "+r"(value) : : "t0", "t1", "memory");
    if (value != menvcfg)
        kernel_panic("menvcfg, the hart does not have these bits", menvcfg, 0, 0);
}

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    uintptr_t satp, hgatp;

    (void)upper; /* one root for both halves */
    set_menvcfg(lower->format);
    if (kernel_is_hypervisor()) {
        __asm__ volatile("csrw " VSATP ", zero" : : : "memory");
        pt_hw_load_guest_root(lower);
        __asm__ volatile("csrr %0, " HGATP : "=r"(hgatp));
        if (hgatp != pt_riscv_hgatp(lower, lower->asid == PT_NO_ASID ? 0 : lower->asid))
            kernel_panic("hgatp, the hart does not have this mode", hgatp, 0, 0);
        return;
    }
    pt_hw_load_root(lower);
    __asm__ volatile("csrr %0, satp" : "=r"(satp));
    if (satp != pt_riscv_satp(lower, 0))
        kernel_panic("satp, the hart does not have this mode", satp, 0, 0);
}

void machine_load_root(const struct page_table *lower)
{
    uint32_t asid = lower->asid == PT_NO_ASID ? 0 : lower->asid;

    /* Not pt_hw_load_root, which forgets everything. */
    if (kernel_is_hypervisor())
        __asm__ volatile("csrw " HGATP ", %0" : : "r"(pt_riscv_hgatp(lower, asid)) : "memory");
    else
        __asm__ volatile("csrw satp, %0" : : "r"(pt_riscv_satp(lower, asid)) : "memory");
}

void machine_disable_mmu(void)
{
    if (kernel_is_hypervisor()) {
        __asm__ volatile("csrw " HGATP ", zero" : : : "memory");
        pt_hw_invalidate_guest(PT_NO_ASID);
    } else {
        __asm__ volatile("csrw satp, zero" : : : "memory");
        pt_hw_invalidate_all();
    }
}

/* ---- Traps and accesses ------------------------------------------------------------------------ */

#define CAUSE_FETCH_PAGE_FAULT 12
#define CAUSE_LOAD_PAGE_FAULT 13
#define CAUSE_STORE_PAGE_FAULT 15
#define CAUSE_LOAD_GUEST_PAGE_FAULT 21
#define CAUSE_STORE_GUEST_PAGE_FAULT 23

/* boot.S */
int probe_read(uintptr_t vaddr, uint64_t *value);
int probe_write(uintptr_t vaddr, const uint64_t *value);
int probe_execute(uintptr_t vaddr);
#ifdef MACHINE_GUEST
int probe_guest_read(uintptr_t vaddr, uint64_t *value);
int probe_guest_write(uintptr_t vaddr, const uint64_t *value);
int probe_guest_execute(uintptr_t vaddr);
#define PROBE(access) probe_guest_##access
#else
#define PROBE(access) probe_##access
#endif

void machine_trap(void); /* what boot.S calls */

uintptr_t probe_resume; /* set by the probes in boot.S */
static pt_vaddr probe_fault;

void machine_trap(void)
{
    uintptr_t cause, pc, vaddr;

    __asm__ volatile("csrr %0, scause" : "=r"(cause));
    __asm__ volatile("csrr %0, sepc" : "=r"(pc));
    __asm__ volatile("csrr %0, stval" : "=r"(vaddr));
    if (kernel_is_hypervisor() && (cause == CAUSE_LOAD_GUEST_PAGE_FAULT || cause == CAUSE_STORE_GUEST_PAGE_FAULT)) {
        uintptr_t guest_page; /* in which the guest's physical address is: the same here */

        __asm__ volatile("csrr %0, " HTVAL : "=r"(guest_page));
        if (probe_resume == 0 || guest_page != vaddr >> 2)
            kernel_panic("htval", guest_page, pc, vaddr);
    } else if (probe_resume == 0 ||
               (cause != CAUSE_FETCH_PAGE_FAULT && cause != CAUSE_LOAD_PAGE_FAULT && cause != CAUSE_STORE_PAGE_FAULT))
        kernel_panic("trap", cause, pc, vaddr);
    probe_fault = vaddr;
    __asm__ volatile("csrw sepc, %0" : : "r"(probe_resume));
}

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    int faulted;

    if (access == ACCESS_READ)
        faulted = PROBE(read)((uintptr_t)vaddr, value);
    else if (access == ACCESS_WRITE)
        faulted = PROBE(write)((uintptr_t)vaddr, value);
    else
        faulted = PROBE(execute)((uintptr_t)vaddr);
    return (struct access_result){faulted != 0, faulted != 0 ? probe_fault : 0};
}

void machine_sync_instructions(void)
{
    __asm__ volatile("fence.i" : : : "memory");
}

bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    int faulted;

    __asm__ volatile("csrs sstatus, %0" : : "r"(PT_RISCV_SSTATUS_SUM) : "memory"); /* user pages count, too */
    faulted = PROBE(read)((uintptr_t)vaddr, paddr);
    __asm__ volatile("csrc sstatus, %0" : : "r"(PT_RISCV_SSTATUS_SUM) : "memory");
    return faulted == 0;
}
