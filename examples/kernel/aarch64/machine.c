/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine with -cpu max, at EL1: TTBR0_EL1 translates the lower half, TTBR1_EL1 the upper. Built once for
 * each format: -DMACHINE_FORMAT=pt_aarch64_16k; with -DMACHINE_CONTIGUOUS its copy with pages of several entries.
 */
#include <pagetable/hw.h>

#include "machine.h"

#define RAM UINT64_C(0x40000000)
#define RAM_SIZE (UINT64_C(256) << 20)
#define PL011 UINT64_C(0x09000000)

#ifndef MACHINE_FORMAT
#define MACHINE_FORMAT pt_aarch64
#endif

static struct pt_format format; /* MACHINE_FORMAT, as far as this CPU can do it */

const char machine_name[] = MACHINE_NAME;
const struct pt_format *const machine_format = &format;
const uintptr_t machine_linear_offset = 0;

const struct machine_region machine_regions[] = {
    {"RAM", RAM, RAM_SIZE, PT_READ | PT_WRITE},
    {"serial line", PL011, PT_64K, PT_READ | PT_WRITE | PT_DEVICE},
    {0},
};

const bool machine_shows_no_execute = true;
const bool machine_guards_user_pages = true; /* by FEAT_PAN, which "max" has */
const bool machine_remap_invalidates = true; /* another output address asks for break-before-make */
const bool machine_translate_reads = false;
const bool machine_has_asids = true;
const bool machine_tracks_access = true; /* by FEAT_HAFDBS, which "max" has */

/* ---- Serial line and exit ------------------------------------------------------------------------ */

void machine_put_char(char c)
{
    volatile uint32_t *data = (volatile uint32_t *)(uintptr_t)PL011;
    volatile uint32_t *flags = (volatile uint32_t *)(uintptr_t)(PL011 + 0x18);

    while ((*flags & 1u << 5) != 0) /* transmit FIFO full */
        ;
    *data = (unsigned char)c;
}

/* Semihosting, SYS_EXIT: the emulator ends with this status. */
_Noreturn void machine_exit(bool passed)
{
    const uint64_t block[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, passed ? 0 : 1};
    register uint64_t operation __asm__("x0") = 0x18;
    register const uint64_t *parameters __asm__("x1") = block;

    for (;;)
        __asm__ volatile("hlt #0xf000" : "+r"(operation) : "r"(parameters) : "memory");
}

/* ---- The MMU ------------------------------------------------------------------------------------- */

#define READ_REGISTER(name)                                                                                            \
    __extension__({                                                                                                    \
        uint64_t read_;                                                                                                \
        __asm__ volatile("mrs %0, " name : "=r"(read_) : : "memory");                                                  \
        read_;                                                                                                         \
    })
#define WRITE_REGISTER(name, value) __asm__ volatile("msr " name ", %0" : : "r"((uint64_t)(value)) : "memory")

#define PAN "S3_0_C4_C2_3" /* PSTATE.PAN by number: not all assembler targets know the name */
#define PAN_ON (UINT64_C(1) << 22)

void machine_set_up(void); /* called by boot.S */

void machine_set_up(void)
{
    format = pt_aarch64_detect(MACHINE_FORMAT, READ_REGISTER("id_aa64mmfr0_el1"), READ_REGISTER("id_aa64mmfr1_el1"),
                               READ_REGISTER("id_aa64mmfr2_el1"));
#ifdef MACHINE_CONTIGUOUS
    format = pt_aarch64_contiguous(format);
#endif
}

/*
 * On real hardware memory that was written with the caches off, tables among it, must be invalidated by address
 * (DC IVAC) before they are on, and what was written with them on be cleaned before they are off. QEMU has none.
 */
void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    uint64_t tcr = pt_aarch64_tcr_of(lower->format, READ_REGISTER("id_aa64mmfr0_el1"));

    if (lower->format->tracks_access) {
        if (!pt_aarch64_can_track_access(READ_REGISTER("id_aa64mmfr1_el1")))
            kernel_panic("no FEAT_HAFDBS", READ_REGISTER("id_aa64mmfr1_el1"), 0, 0);
        tcr |= PT_AARCH64_TCR_HA | PT_AARCH64_TCR_HD;
    }
    WRITE_REGISTER("mair_el1", PT_AARCH64_MAIR);
    WRITE_REGISTER("tcr_el1", tcr);
    pt_hw_load_root_lower(lower);
    pt_hw_load_root_upper(upper);
    pt_hw_invalidate_all();
    pt_hw_invalidate_end();
    WRITE_REGISTER("sctlr_el1", (READ_REGISTER("sctlr_el1") | PT_AARCH64_SCTLR_ON) & ~PT_AARCH64_SCTLR_WXN);
    WRITE_REGISTER(PAN, PAN_ON); /* keep the kernel off user pages */
    __asm__ volatile("isb" : : : "memory");
}

void machine_load_root(const struct page_table *lower)
{
    pt_hw_load_root_lower(lower);
}

void machine_disable_mmu(void)
{
    WRITE_REGISTER("sctlr_el1", READ_REGISTER("sctlr_el1") & ~PT_AARCH64_SCTLR_ON);
    __asm__ volatile("isb" : : : "memory");
    WRITE_REGISTER("ttbr0_el1", 0);
    WRITE_REGISTER("ttbr1_el1", 0);
    pt_hw_invalidate_begin();
    pt_hw_invalidate_all();
    pt_hw_invalidate_end();
}

/* AT S1E1R: stage 1, EL1, read. PSTATE.PAN does not matter to it (to S1E1RP it does). The result is in PAR_EL1. */
bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    uint64_t result;

    __asm__ volatile("at s1e1r, %1\n\t"
                     "isb\n\t"
                     "mrs %0, par_el1"
                     : "=r"(result)
                     : "r"(vaddr)
                     : "memory");
    if ((result & 1) != 0) /* F */
        return false;
    *paddr = (result & UINT64_C(0x000ffffffffff000)) | (vaddr & 0xfff);
    return true;
}

/* ---- Accesses ------------------------------------------------------------------------------------ */

/* Shared with boot.S: where a fault goes on, 0 when none is expected; and the address it was at. */
uint64_t trap_resume;
pt_vaddr trap_vaddr;
_Noreturn void trap_unexpected(uint64_t vector);

_Noreturn void trap_unexpected(uint64_t vector)
{
    static const char *const names[4] = {"synchronous exception", "IRQ", "FIQ", "SError"};

    kernel_panic(names[vector % 4], READ_REGISTER("esr_el1"), READ_REGISTER("elr_el1"), READ_REGISTER("far_el1"));
}

/* One instruction that may fault. boot.S sets x17 to 1 if it does, and uses x16 on the way. */
#define TRY(instruction)                                                                                               \
    __asm__ volatile("adr x16, 1f\n\t"                                                                                 \
                     "str x16, [%[resume]]\n\t"                                                                        \
                     "mov x17, #0\n\t" instruction "\n"                                                                \
                     "1:\n\t"                                                                                          \
                     "str xzr, [%[resume]]\n\t"                                                                        \
                     "mov %[faulted], x17"                                                                             \
                     : [faulted] "=&r"(faulted), [value] "+&r"(loaded)                                                 \
                     : [vaddr] "r"(vaddr), [resume] "r"(&trap_resume)                                                  \
                     : "x16", "x17", "x30", "memory")

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    uint64_t faulted = 0, loaded = 0;

    switch (access) {
    case ACCESS_READ:
        TRY("ldr %[value], [%[vaddr]]");
        if (faulted == 0)
            *value = loaded;
        break;
    case ACCESS_WRITE:
        loaded = *value;
        TRY("str %[value], [%[vaddr]]");
        break;
    case ACCESS_EXECUTE:
        TRY("blr %[vaddr]"); /* a fault resumes at 1 as well: x30 is not needed for that */
        break;
    }
    return (struct access_result){faulted != 0, faulted != 0 ? trap_vaddr : 0};
}

const uint32_t machine_return_instruction = 0xd65f03c0; /* ret */

/* Enough where CTR_EL0.IDC is set; other CPUs must first clean the lines that were written, by address (DC CVAU). */
void machine_sync_instructions(void)
{
    __asm__ volatile("dsb ish\n\t"
                     "ic ialluis\n\t"
                     "dsb ish\n\t"
                     "isb"
                     :
                     :
                     : "memory");
}
