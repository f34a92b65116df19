/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine, of 32 and 64 bits. Built once for each format: -DMACHINE_FORMAT=pt_sv48; with
 * -DMACHINE_SVNAPOT, a copy of it with what a hart with Svnapot and Svpbmt has more. With -DMACHINE_GUEST the format is
 * that of a second stage: guest.c in place of mmu.c.
 */
#include <pagetable/hw.h>

#include "check.h"
#include "paging.h"

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

static const struct machine_explain explain;

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
const struct machine_options machine_options = {
    .check_detect = check_detect, .check_flush = paging_check_flush, .explain = &explain};
#else
const struct machine_options machine_options = {
    .far_memory = UINT64_C(0x100000000) + 3 * PT_4K, .check_flush = paging_check_flush, .explain = &explain};
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

/* Only machine mode, boot.S, can write menvcfg. Under firmware it is SBI's FWFT that turns ADUE on. */
void set_menvcfg(const struct pt_format *of)
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

/* ---- Traps and accesses ------------------------------------------------------------------------ */

#define CAUSE_ECALL_U 8u
#define SSTATUS_SPP (UINT32_C(1) << 8) /* go on as the kernel, whoever it was */

void machine_trap(void); /* what boot.S calls */

uintptr_t probe_resume; /* set by the probes in boot.S */
pt_vaddr probe_fault;
static uint32_t probe_cause;

void machine_trap(void)
{
    uintptr_t cause = READ_CSR("scause");

    if (probe_resume == 0 || (cause != CAUSE_ECALL_U && !paging_fault(cause, &probe_fault)))
        kernel_panic("trap", cause, READ_CSR("sepc"), READ_CSR("stval"));
    probe_cause = (uint32_t)cause;
    WRITE_CSR("sepc", probe_resume);
    __asm__ volatile("csrs sstatus, %0" : : "r"(SSTATUS_SPP));
}

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    uintptr_t address = paging_address(vaddr);
    int faulted;

    if (access == ACCESS_READ)
        faulted = PROBE(read)(address, value);
    else if (access == ACCESS_WRITE)
        faulted = PROBE(write)(address, value);
    else
        faulted = PROBE(execute)(address);
    return (struct access_result){faulted != 0, faulted != 0 ? probe_fault : 0};
}

void machine_sync_instructions(void)
{
    __asm__ volatile("fence.i" : : : "memory");
}

bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    bool faulted;

    __asm__ volatile("csrs sstatus, %0" : : "r"(PT_RISCV_SSTATUS_SUM) : "memory"); /* user pages count, too */
    faulted = machine_access(ACCESS_READ, vaddr, paddr).faulted;
    __asm__ volatile("csrc sstatus, %0" : : "r"(PT_RISCV_SSTATUS_SUM) : "memory");
    return !faulted;
}

/* ---- Explained accesses -------------------------------------------------------------------------- */

#define SSTATUS_MXR (UINT32_C(1) << 19)

#ifndef MACHINE_GUEST
/* boot.S */
void probe_user(uintptr_t vaddr, uint64_t *value, uintptr_t code);
extern char user_read[], user_write[], user_execute[], user_end[];

static pt_paddr user_frame;

static void begin(struct kernel *kernel)
{
    user_frame = frame_new(kernel, 0);
    __builtin_memcpy(kernel_memory(user_frame), user_read, (size_t)(user_end - user_read));
    map_page(kernel, window(0), user_frame, span(0), PT_READ | PT_EXECUTE | PT_USER);
    machine_sync_instructions();
}

static void end(struct kernel *kernel)
{
    unmap_page(kernel, window(0));
    frame_free(kernel, user_frame);
}

static bool user_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    const char *code = access == ACCESS_READ ? user_read : access == ACCESS_WRITE ? user_write : user_execute;

    probe_user((uintptr_t)vaddr, value, (uintptr_t)window(0) + (uintptr_t)(code - user_read));
    return probe_cause != CAUSE_ECALL_U;
}
#endif

static struct machine_fault explained_access(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu,
                                             uint64_t *value)
{
    uintptr_t state = (cpu & PT_CPU_SUM ? PT_RISCV_SSTATUS_SUM : 0) | (cpu & PT_CPU_MXR ? SSTATUS_MXR : 0);
    bool faulted;

    (void)user;
    __asm__ volatile("csrs sstatus, %0" : : "r"(state) : "memory");
#ifndef MACHINE_GUEST
    if (user)
        faulted = user_access(access, vaddr, value);
    else
#endif
        faulted = machine_access(access, vaddr, value).faulted;
    __asm__ volatile("csrc sstatus, %0" : : "r"(state) : "memory");
    return (struct machine_fault){faulted, paging_cause(access, probe_cause), 0};
}

/* QEMU 10.0 takes PBMT = 3, which is reserved ("Svpbmt"), for a memory type. */
static bool emulated(struct pt_explanation *e)
{
    const uint64_t reserved = UINT64_C(3) << 61;

    return !(format.features & PT_FEATURE_SVPBMT) || e->reason != PT_REASON_MALFORMED ||
           (e->bits & reserved) != reserved;
}

static const struct machine_explain explain = {
    .cpu = PAGING_STATE,
    .access = explained_access,
    .emulated = emulated,
#ifndef MACHINE_GUEST
    .has_user = true,
    .begin = begin,
    .end = end,
#endif
};
