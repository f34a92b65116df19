/* SPDX-License-Identifier: MIT */
/* Serial line, exit, memory, and what is said of a trap that nobody asked for. */
#include <pagetable/hw.h>

#include "console.h"
#include "virt.h"

#define RAM UINT64_C(0x40000000)
#define RAM_SIZE (UINT64_C(256) << 20)
#define PL011 UINT64_C(0x09000000)

const char machine_name[] = MACHINE_NAME;
const uintptr_t machine_linear_offset = 0;

const struct machine_region machine_regions[] = {
    {"RAM", RAM, RAM_SIZE, PT_READ | PT_WRITE},
    {"serial line", PL011, PT_64K, PT_READ | PT_WRITE | PT_DEVICE},
    {0},
};

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

/* PAR_EL1: F, PA, ATTR as in MAIR_EL1. */
bool translated(uint64_t par, const struct page_table *table, pt_vaddr vaddr, pt_paddr *paddr)
{
    struct pt_mapping mapping;
    uint64_t type = 0xff; /* write-back */

    if ((par & 1) != 0)
        return false;
    *paddr = (par & UINT64_C(0x000ffffffffff000)) | (vaddr & 0xfff);
    if (pt_query(table, vaddr, &mapping) == PT_OK && (mapping.flags & PT_DEVICE) != 0)
        type = 0x04; /* Device-nGnRE */
    else if ((mapping.flags & PT_UNCACHED) != 0)
        type = 0x44;
    if (par >> 56 != type)
        kernel_panic("memory type in PAR_EL1, it is not the table's", par, 0, vaddr);
    return true;
}

uint64_t trap_resume;
pt_vaddr trap_vaddr;

_Noreturn void trap_unexpected(uint64_t vector)
{
    static const char *const names[4] = {"synchronous exception", "IRQ", "FIQ", "SError"};

    kernel_panic(names[vector % 4], READ_REGISTER("esr_" EL), READ_REGISTER("elr_" EL), READ_REGISTER("far_" EL));
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

static bool has_all;

struct pt_format virt_detect(struct pt_format wanted)
{
    struct pt_format found = pt_aarch64_detect(wanted, READ_REGISTER("id_aa64mmfr0_el1"),
                                               READ_REGISTER("id_aa64mmfr1_el1"), READ_REGISTER("id_aa64mmfr2_el1"));

    has_all = found.levels == wanted.levels && found.va_bits == wanted.va_bits &&
              found.page_sizes == wanted.page_sizes && found.features == wanted.features &&
              found.pa_bits == wanted.pa_bits && found.bbm_level == 2;
    return found;
}

void virt_check_detect(void)
{
    check(has_all, "this CPU has the whole format, and FEAT_BBM level 2");
}
