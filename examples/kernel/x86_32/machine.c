/* SPDX-License-Identifier: MIT */
/*
 * A PC as QEMU emulates it, in 32-bit protected mode: -DMACHINE_FORMAT=pt_x86_32, with -DMACHINE_PSE36 what its CPU has
 * more; or with -DMACHINE_PAE pt_x86_pae. Serial line and exit are those of 64 bits.
 */
#include <pagetable/hw.h>

#include "../x86_64/explain.h"
#include "check.h"

#define MIB (UINT64_C(1) << 20)

const char machine_name[] = MACHINE_NAME;
static struct pt_format format;
const struct pt_format *const machine_format = &format;
const struct machine_region machine_regions[] = {
    {"RAM", 0, 256 * MIB, PT_READ | PT_WRITE}, {NULL, 0, 0, 0}, /* serial line and exit device are behind I/O ports */
};
const uintptr_t machine_linear_offset = 0;
const uint32_t machine_return_instruction = 0xc3;
const bool machine_shows_no_execute = true;
const bool machine_guards_user_pages = true;
const bool machine_remap_invalidates = false;
const bool machine_translate_reads = true;
const bool machine_has_asids = false; /* PCIDs are for 64 bits */
const bool machine_tracks_access = true;

static void check_detect(void);
static const struct machine_explain explain;
#define OPTIONS .check_detect = check_detect, .explain = &explain
#if defined(MACHINE_PAE)
const struct machine_options machine_options = {OPTIONS, .far_memory = UINT64_C(0x100000000) + 3 * PT_4K};
#elif defined(MACHINE_PSE36)
void check_pse36(struct kernel *kernel); /* pse36.c */
const struct machine_options machine_options = {OPTIONS, .check_far = check_pse36};
#else
const struct machine_options machine_options = {OPTIONS};
#endif

/* ---- The MMU ----------------------------------------------------------------------------------- */

static void set_cr0(uint32_t clear, uint32_t set)
{
    uint32_t cr0;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" : : "r"((cr0 & ~clear) | set) : "memory");
}

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    /* Global pages, and the kernel neither runs (SMEP) nor touches (SMAP) what is the user's. */
    uint32_t cr4 = PT_X86_64_CR4_PSE | PT_X86_64_CR4_PGE | PT_X86_64_CR4_SMEP | PT_X86_64_CR4_SMAP;

    (void)upper; /* one root for all addresses */
    if (lower->format->operations == pt_x86_pae.operations) {
        cr4 |= PT_X86_64_CR4_PAE;
        __asm__ volatile("wrmsr" : : "c"(PT_X86_64_MSR_EFER), "a"((uint32_t)PT_X86_64_EFER_NXE), "d"(0));
    }
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
    pt_hw_load_root(lower);
    set_cr0(0, (uint32_t)(PT_X86_64_CR0_WP | PT_X86_64_CR0_PG));
    pt_hw_invalidate_all(); /* what was global under another root is still there */
}

void machine_load_root(const struct page_table *lower)
{
    pt_hw_load_root(lower);
}

void machine_disable_mmu(void)
{
    set_cr0((uint32_t)PT_X86_64_CR0_PG, 0);
    pt_hw_invalidate_all(); /* what was global is still there */
}

/* ---- Traps and accesses ------------------------------------------------------------------------ */

#define VECTORS 32u
#define VECTOR_PAGE_FAULT 14u
#define CODE_32 UINT32_C(0x08)          /* boot.S: gdt */
#define INTERRUPT_GATE UINT32_C(0x8e00) /* present, ring 0 */

/* boot.S */
extern char trap_page_fault[], trap_other[];
int probe_read(uint32_t vaddr, uint64_t *value);
int probe_write(uint32_t vaddr, const uint64_t *value);
int probe_execute(uint32_t vaddr);

/* What boot.S calls: with an error code or without, what the CPU pushed is where the arguments would be. */
void machine_set_up(void);
_Noreturn void trap_unexpected(uint32_t first, uint32_t second);

uint32_t probe_resume, probe_stack, probe_fault, probe_error; /* set by boot.S */

void machine_set_up(void)
{
    static uint32_t idt[VECTORS][2];
    struct __attribute__((packed)) {
        uint16_t limit;
        uint32_t base;
    } pointer = {sizeof(idt) - 1, (uint32_t)idt};

    for (unsigned i = 0; i < VECTORS; i++) {
        uint32_t entry = (uint32_t)(i == VECTOR_PAGE_FAULT ? trap_page_fault : trap_other);

        idt[i][0] = CODE_32 << 16 | (entry & 0xffff);
        idt[i][1] = (entry & 0xffff0000) | INTERRUPT_GATE;
    }
    __asm__ volatile("lidt %0" : : "m"(pointer), "m"(idt));

    format = MACHINE_FORMAT;
#ifdef MACHINE_PSE36
    format = pt_x86_32_detect();
#endif
}

/* Error code and address, or address and CS: no exception without an error code is worth telling them apart. */
_Noreturn void trap_unexpected(uint32_t first, uint32_t second)
{
    uint32_t cr2;

    __asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
    kernel_panic("exception", first, second, cr2);
}

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    int faulted;

    if (access == ACCESS_READ)
        faulted = probe_read((uint32_t)vaddr, value);
    else if (access == ACCESS_WRITE)
        faulted = probe_write((uint32_t)vaddr, value);
    else
        faulted = probe_execute((uint32_t)vaddr);
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
    faulted = probe_read((uint32_t)vaddr, paddr);
    __asm__ volatile("clac" : : : "memory", "cc");
    return faulted == 0;
}

/* ---- Explained accesses -------------------------------------------------------------------------- */

static const struct pt_format *own_format(void)
{
    static struct pt_format own;

    own = MACHINE_FORMAT.levels == 3 ? pt_x86_pae_detect() : pt_x86_32_detect();
    return &own;
}

static struct machine_fault explained_access(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu,
                                             uint64_t *value)
{
    struct access_result result;

    (void)user;
    x86_set_state(cpu);
    result = machine_access(access, vaddr, value);
    x86_set_state(X86_USUAL_STATE);
    return (struct machine_fault){result.faulted, VECTOR_PAGE_FAULT, probe_error};
}

static const struct machine_explain explain = {
    .cpu = X86_USUAL_STATE,
    .format = own_format,
    .access = explained_access,
    .emulated = x86_emulated,
};

/* ---- What the CPU has ---------------------------------------------------------------------------- */

#define MAX_PHYSICAL_BITS 40 /* of QEMU's "max" */

static void check_detect(void)
{
    struct pt_format pae = pt_x86_pae_detect(), two_levels = pt_x86_32_detect();

    check(pae.levels == 3 && pae.features == pt_x86_pae.features && pae.pa_bits == MAX_PHYSICAL_BITS,
          "PAE: this CPU has %u physical address bits, and NX", pae.pa_bits);
    check(two_levels.page_sizes == (PT_4K | PT_4M) && two_levels.features == PT_FEATURE_PSE36 &&
              two_levels.pa_bits == MAX_PHYSICAL_BITS,
          "2 levels: with PSE-36 its 4M pages have %u", two_levels.pa_bits);
}
