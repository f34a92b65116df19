/* SPDX-License-Identifier: MIT */
/* A PC as QEMU emulates it. */
#include "paging.h"

#define MIB (UINT64_C(1) << 20)

const char machine_name[] = MACHINE_NAME;
const struct machine_region machine_regions[] = {
    {"RAM", 0, 256 * MIB, PT_READ | PT_WRITE}, {NULL, 0, 0, 0}, /* serial line and exit device are behind I/O ports */
};
const uintptr_t machine_linear_offset = 0;
const uint32_t machine_return_instruction = 0xc3;
const bool machine_shows_no_execute = true;
const bool machine_remap_invalidates = false;
const bool machine_translate_reads = true;
const bool machine_tracks_access = true;

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
enum access probe_kind;
pt_vaddr probe_fault;
bool probe_explains;
struct machine_fault probe_report;

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
    paging_set_up();
}

void machine_trap(struct trap_frame *frame)
{
    uint64_t cr2;

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    if (probe_resume == 0 || (frame->vector != VECTOR_PAGE_FAULT && !probe_explains))
        kernel_panic("exception", frame->vector, frame->rip, cr2);
    probe_fault = cr2;
    probe_report = (struct machine_fault){true, (uint32_t)frame->vector, frame->error};
    frame->rax = 1;
    frame->rip = probe_resume;
    frame->rsp = probe_stack;
}

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    pt_vaddr address = paging_address(vaddr);
    int faulted;

    probe_kind = access;
    if (access == ACCESS_READ)
        faulted = probe_read(address, value);
    else if (access == ACCESS_WRITE)
        faulted = probe_write(address, *value);
    else
        faulted = probe_execute(address);
    return (struct access_result){faulted != 0, faulted != 0 ? probe_fault : 0};
}

struct machine_fault probe_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    probe_report = (struct machine_fault){.faulted = false};
    probe_explains = true;
    (void)machine_access(access, vaddr, value);
    probe_explains = false;
    return probe_report;
}

void machine_sync_instructions(void)
{
    /* x86 sees its own stores when it jumps. */
}

bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    bool faulted;

    __asm__ volatile("stac" : : : "memory", "cc"); /* SMAP off: user pages count, too */
    faulted = machine_access(ACCESS_READ, vaddr, paddr).faulted;
    __asm__ volatile("clac" : : : "memory", "cc");
    return !faulted;
}
