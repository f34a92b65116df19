/* SPDX-License-Identifier: MIT */
/* A PC as QEMU emulates it. */
#include "machine.h"

#include <pagetable/hw/x86_64.h>

#define MIB (UINT64_C(1) << 20)

const char machine_name[] = MACHINE_NAME;
#ifndef MACHINE_FORMAT
#define MACHINE_FORMAT pt_x86_64
#endif
const struct pt_format *const machine_format = &MACHINE_FORMAT;
const struct machine_region machine_regions[] = {
    {"RAM", 0, 256 * MIB, PT_READ | PT_WRITE}, {NULL, 0, 0, 0}, /* serial line and exit device are behind I/O ports */
};
const uintptr_t machine_linear_offset = 0;
const uint32_t machine_return_instruction = 0xc3;
const bool machine_shows_no_execute = true;
const bool machine_guards_user_pages = true;
const bool machine_remap_invalidates = false;
const bool machine_translate_reads = true;
const bool machine_has_asids = false; /* QEMU has no PCIDs */
const bool machine_tracks_access = true;

/* ---- The MMU ----------------------------------------------------------------------------------- */

extern char boot_root[]; /* boot.S: the table that long mode was reached with */

static void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    uint64_t cr4;

    struct pt_format own = pt_x86_64_detect();

    if (own.levels != lower->format->levels || own.page_sizes != lower->format->page_sizes ||
        own.features != lower->format->features || own.pa_bits < 36 || own.pa_bits > lower->format->pa_bits)
        kernel_panic("pt_x86_64_detect", own.levels, own.pa_bits, own.page_sizes);
    (void)upper;                                 /* one root for both halves */
    write_msr(PT_X86_64_MSR_PAT, PT_X86_64_PAT); /* as after reset; but who knows what ran before */
    pt_hw_load_root(lower);

    /* Global pages, and the kernel neither runs (SMEP) nor touches (SMAP) what is the user's. */
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= PT_X86_64_CR4_PGE | PT_X86_64_CR4_SMEP | PT_X86_64_CR4_SMAP;
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
    pt_hw_invalidate_all(); /* what was global under another root is still there */
}

void machine_load_root(const struct page_table *lower)
{
    pt_hw_load_root(lower);
}

void machine_disable_mmu(void)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(boot_root) : "memory");
    pt_hw_invalidate_all(); /* what was global is still there */
}

/* ---- Traps and accesses ------------------------------------------------------------------------ */

#define VECTORS 32
#define VECTOR_PAGE_FAULT 14
#define CODE_64 0x08          /* boot.S: gdt */
#define INTERRUPT_GATE 0x8e00 /* present, ring 0 */

struct gate {
    uint16_t offset_low, selector, type, offset_middle;
    uint32_t offset_high, reserved;
};

struct trap_frame { /* as boot.S pushes it, and below it what the CPU did */
    uint64_t rax, rcx, rdx, rsi, rdi, r8, r9, r10, r11;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* boot.S */
extern char trap_entries[];
int probe_read(pt_vaddr vaddr, uint64_t *value);
int probe_write(pt_vaddr vaddr, uint64_t value);
int probe_execute(pt_vaddr vaddr);

/* What boot.S calls. */
void machine_set_up(void);
void machine_trap(struct trap_frame *frame);

uint64_t probe_resume, probe_stack; /* set by the probes in boot.S */
static pt_vaddr probe_fault;

void machine_set_up(void)
{
    static struct gate idt[VECTORS];
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof(idt) - 1, (uintptr_t)idt};

    for (unsigned i = 0; i < VECTORS; i++) {
        uintptr_t entry = (uintptr_t)trap_entries + 16u * i;

        idt[i] = (struct gate){(uint16_t)entry,         CODE_64, INTERRUPT_GATE, (uint16_t)(entry >> 16),
                               (uint32_t)(entry >> 32), 0};
    }
    __asm__ volatile("lidt %0" : : "m"(pointer), "m"(idt));
}

void machine_trap(struct trap_frame *frame)
{
    uint64_t cr2;

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    if (frame->vector != VECTOR_PAGE_FAULT || probe_resume == 0)
        kernel_panic("exception", frame->vector, frame->rip, cr2);
    probe_fault = cr2;
    frame->rax = 1;
    frame->rip = probe_resume;
    frame->rsp = probe_stack;
}

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    int faulted;

    if (access == ACCESS_READ)
        faulted = probe_read(vaddr, value);
    else if (access == ACCESS_WRITE)
        faulted = probe_write(vaddr, *value);
    else
        faulted = probe_execute(vaddr);
    return (struct access_result){faulted != 0, faulted != 0 ? probe_fault : 0};
}

void machine_sync_instructions(void)
{
    /* x86 sees its own stores when it jumps. */
}

bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    int faulted;

    __asm__ volatile("stac" : : : "memory", "cc"); /* SMAP off: user pages count, too */
    faulted = probe_read(vaddr, paddr);
    __asm__ volatile("clac" : : : "memory", "cc");
    return faulted == 0;
}
