/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine with a Cortex-A15, whose TTBR0 translates all addresses; for short and for long descriptors,
 * with -DMACHINE_CONTIGUOUS pages of several entries among these.
 */
#include <pagetable/hw.h>
#include <pagetable/hw/aarch64.h>

#include "machine.h"

#define RAM UINT64_C(0x40000000)
#define RAM_SIZE (UINT64_C(256) << 20)
#define PL011 UINT64_C(0x09000000)

const char machine_name[] = MACHINE_NAME;
static struct pt_format format; /* MACHINE_FORMAT, as far as the checks find room for its pages */
const struct pt_format *const machine_format = &format;
const uintptr_t machine_linear_offset = 0;

const struct machine_region machine_regions[] = {
    {"RAM", RAM, RAM_SIZE, PT_READ | PT_WRITE},
    {"serial line", PL011, PT_4K, PT_READ | PT_WRITE | PT_DEVICE},
    {0},
};

const bool machine_shows_no_execute = true;
const bool machine_guards_user_pages = false; /* there is no PAN */
const bool machine_remap_invalidates = true;  /* another output address asks for break-before-make */
const bool machine_translate_reads = false;
const bool machine_has_asids = true;
const bool machine_tracks_access = false;

/* ---- Serial line and exit ------------------------------------------------------------------------ */

void machine_put_char(char c)
{
    volatile uint32_t *data = (volatile uint32_t *)(uintptr_t)PL011;
    volatile uint32_t *flags = (volatile uint32_t *)(uintptr_t)(PL011 + 0x18);

    while ((*flags & 1u << 5) != 0) /* transmit FIFO full */
        ;
    *data = (unsigned char)c;
}

/* Semihosting, SYS_EXIT_EXTENDED: the emulator ends with this status. */
_Noreturn void machine_exit(bool passed)
{
    const uint32_t block[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, passed ? 0 : 1};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *parameters __asm__("r1") = block;

    for (;;)
        __asm__ volatile("svc #0x123456" : "+r"(operation) : "r"(parameters) : "memory");
}

/* ---- The MMU ------------------------------------------------------------------------------------- */

void machine_set_up(void); /* called by boot.S */

void machine_set_up(void)
{
    format = MACHINE_FORMAT;
    format.page_sizes &= ~PT_1G; /* all addresses are four of these */
#ifdef MACHINE_CONTIGUOUS
    format = pt_aarch64_contiguous(format);
#endif
}

static bool is_long(void)
{
    return format.operations == pt_armv7_lpae.operations;
}

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    uint32_t sctlr;

    (void)upper; /* one root for all addresses */
    PT_ARMV7_WRITE(PT_ARMV7_DACR_REGISTER, PT_ARMV7_DACR);
    PT_ARMV7_WRITE(PT_ARMV7_MAIR0_REGISTER, PT_ARMV7_MAIR0); /* short descriptors do not look at it: TRE = 0 */
    PT_ARMV7_WRITE(PT_ARMV7_TTBCR, is_long() ? PT_ARMV7_TTBCR_LONG : 0);
    PT_ARMV7_WRITE(PT_ARMV7_CONTEXTIDR, 0);
    pt_hw_load_root(lower);
    pt_hw_invalidate_all();
    pt_hw_invalidate_end();
    PT_ARMV7_READ(PT_ARMV7_SCTLR, sctlr);
    sctlr = (sctlr | PT_ARMV7_SCTLR_ON) & ~(PT_ARMV7_SCTLR_WXN | PT_ARMV7_SCTLR_TRE | PT_ARMV7_SCTLR_AFE);
    PT_ARMV7_WRITE(PT_ARMV7_SCTLR, sctlr);
    __asm__ volatile("isb" : : : "memory");
}

void machine_load_root(const struct page_table *lower)
{
    pt_hw_load_root(lower);
}

void machine_disable_mmu(void)
{
    uint32_t sctlr;

    PT_ARMV7_READ(PT_ARMV7_SCTLR, sctlr);
    PT_ARMV7_WRITE(PT_ARMV7_SCTLR, sctlr & ~PT_ARMV7_SCTLR_ON);
    __asm__ volatile("isb" : : : "memory");
    if (is_long())
        PT_ARMV7_WRITE_64(PT_ARMV7_TTBR0_64, (uint64_t)0);
    else
        PT_ARMV7_WRITE(PT_ARMV7_TTBR0, 0);
    pt_hw_invalidate_all();
    pt_hw_invalidate_end();
}

/*
 * The walk by the CPU's own instructions (B3.12.27 of DDI 0406C); n says for whom: ATS1CPR, CPW, CUR, CUW, in this
 * order. What they found is in PAR, of 64 bits with long descriptors, where bit 0 is a fault.
 */
#define TRANSLATE(n, vaddr, par)                                                                                       \
    do {                                                                                                               \
        PT_ARMV7_WRITE("p15, 0, %0, c7, c8, " #n, (uint32_t)(vaddr));                                                  \
        __asm__ volatile("isb" : : : "memory");                                                                        \
        if (pt_armv7_is_long()) {                                                                                      \
            PT_ARMV7_READ_64("p15, 0, %Q0, %R0, c7", par);                                                             \
        } else {                                                                                                       \
            uint32_t short_;                                                                                           \
            PT_ARMV7_READ("p15, 0, %0, c7, c4, 0", short_);                                                            \
            par = short_;                                                                                              \
        }                                                                                                              \
    } while (0)

bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    uint64_t par, offset = PT_4K - 1;

    TRANSLATE(0, vaddr, par);
    if ((par & 1) != 0)
        return false;
    if (!pt_armv7_is_long() && (par & 2) != 0)
        offset = PT_16M - 1; /* SS: a supersection, of which there are the upper bits only */
    *paddr = (par & UINT64_C(0xffffffffff) & ~offset) | (vaddr & offset);
    return true;
}

static bool user_may(enum access access, pt_vaddr vaddr)
{
    uint64_t par;

    if (access == ACCESS_READ)
        TRANSLATE(2, vaddr, par);
    else
        TRANSLATE(3, vaddr, par);
    return (par & 1) == 0;
}

static const struct machine_explain explain;
const struct machine_options machine_options = {.user_may = user_may, .explain = &explain};

/* ---- Accesses ------------------------------------------------------------------------------------ */

/* Shared with boot.S: where a fault goes on, 0 when none is expected; and the address it was at. */
uint32_t trap_resume;
uint32_t trap_vaddr;
_Noreturn void trap_unexpected(uint32_t vector, uint32_t pc);

_Noreturn void trap_unexpected(uint32_t vector, uint32_t pc)
{
    uint32_t address;

    PT_ARMV7_READ("p15, 0, %0, c6, c0, 0", address); /* DFAR */
    kernel_panic("exception", vector, pc, address);
}

/* One instruction that may fault. boot.S sets r12 to 1 if it does. */
#define TRY(instruction)                                                                                               \
    __asm__ volatile("adr r12, 1f\n\t"                                                                                 \
                     "str r12, [%[resume]]\n\t"                                                                        \
                     "mov r12, #0\n\t" instruction "\n"                                                                \
                     "1:\n\t"                                                                                          \
                     "mov %[faulted], r12\n\t"                                                                         \
                     "mov r12, #0\n\t"                                                                                 \
                     "str r12, [%[resume]]"                                                                            \
                     : [faulted] "=&r"(faulted), [value] "+&r"(loaded)                                                 \
                     : [vaddr] "r"((uint32_t)vaddr), [resume] "r"(&trap_resume)                                        \
                     : "r12", "lr", "cc", "memory")

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    uint64_t loaded = 0;
    uint32_t faulted = 0;

    switch (access) {
    case ACCESS_READ:
        TRY("ldrd %[value], %H[value], [%[vaddr]]");
        if (faulted == 0)
            *value = loaded;
        break;
    case ACCESS_WRITE:
        loaded = *value;
        TRY("strd %[value], %H[value], [%[vaddr]]");
        break;
    case ACCESS_EXECUTE:
        TRY("blx %[vaddr]"); /* a fault resumes at 1 as well: lr is not needed for that */
        break;
    }
    return (struct access_result){faulted != 0, faulted != 0 ? trap_vaddr : 0};
}

const uint32_t machine_return_instruction = 0xe12fff1e; /* bx lr */

/* Enough where the caches are one for the CPU; others must first clean the lines that were written (DCCMVAU). */
void machine_sync_instructions(void)
{
    PT_ARMV7_WRITE("p15, 0, %0, c7, c1, 0", 0); /* ICIALLUIS */
    __asm__ volatile("dsb ish\n\tisb" : : : "memory");
}

/* ---- Explained accesses -------------------------------------------------------------------------- */

/* As PL0 does it: LDRT, STRT; the upper half of what is there is 0. */
static bool unprivileged_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    uint64_t loaded = *value;
    uint32_t faulted = 0;

    if (access == ACCESS_READ)
        TRY("ldrt %[value], [%[vaddr]]");
    else
        TRY("strt %[value], [%[vaddr]]");
    if (access == ACCESS_READ && faulted == 0)
        *value = (uint32_t)loaded;
    return faulted != 0;
}

static struct machine_fault explained_access(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu,
                                             uint64_t *value)
{
    struct machine_fault fault;
    uint32_t status;

    (void)cpu;
    fault.faulted = user ? unprivileged_access(access, vaddr, value) : machine_access(access, vaddr, value).faulted;
    fault.exception = access == ACCESS_EXECUTE;
    if (access == ACCESS_EXECUTE)
        PT_ARMV7_READ("p15, 0, %0, c5, c0, 1", status); /* IFSR */
    else
        PT_ARMV7_READ("p15, 0, %0, c5, c0, 0", status); /* DFSR */
    fault.code = status & (is_long() ? 0xa3f : 0xc0f);
    return fault;
}

/* There is no instruction that fetches as PL0 does. Domains other than 0 are not clients here. */
static bool emulated(struct pt_explanation *e)
{
    const uint64_t domain = 0x1e0, supersection = UINT64_C(1) << 18 | 2;
    uint64_t first = e->steps > 0 ? e->step[0].bits : 0;

    /* PL1 may write what PL0 may only read (AP = 0b010): the flags tell the rights of PL0. */
    if (e->reason == PT_REASON_NONE && (e->access & PT_WRITE) && !(e->mapping.flags & PT_WRITE))
        return false;
    return !((e->access & PT_EXECUTE) && (e->access & PT_USER)) &&
           (is_long() || !(first & domain) || (first & supersection) == supersection);
}

/* All that the CPU has: pages of 1G; supersections above 4 GiB. */
static const struct pt_format *whole_format(void)
{
    static struct pt_format whole;

    whole = format;
    if (is_long())
        whole.page_sizes |= PT_1G;
    else
        whole.pa_bits = 40;
    return &whole;
}

static const struct machine_explain explain = {
    .has_user = true, .format = whole_format, .access = explained_access, .emulated = emulated};
