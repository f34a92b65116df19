/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine with -cpu max, at EL1: TTBR0_EL1 translates the lower half, TTBR1_EL1 the upper. Built once for
 * each format: -DMACHINE_FORMAT=pt_aarch64_16k; with -DMACHINE_CONTIGUOUS its copy with pages of several entries. With
 * -DMACHINE_EL2 the kernel stays at EL2, on one table: TTBR0_EL2's, without HCR_EL2.E2H.
 */
#include <pagetable/hw.h>

#include "kernel.h"
#include "virt.h"

static struct pt_format format;           /* MACHINE_FORMAT, as far as this CPU can do it */
static const struct page_table *roots[2]; /* of the lower and the upper half */

const struct pt_format *const machine_format = &format;

const bool machine_shows_no_execute = true;
const bool machine_remap_invalidates = true; /* another output address asks for break-before-make */
const bool machine_translate_reads = false;
const bool machine_tracks_access = true; /* by FEAT_HAFDBS, which "max" has */
#ifdef MACHINE_EL2
const bool machine_guards_user_pages = false;
const bool machine_has_asids = false;
#else
const bool machine_guards_user_pages = true; /* by FEAT_PAN, which "max" has */
const bool machine_has_asids = true;
#endif

/* ---- The MMU ------------------------------------------------------------------------------------- */

void machine_set_up(void)
{
    format = virt_detect(MACHINE_FORMAT);
#ifdef MACHINE_CONTIGUOUS
    format = pt_aarch64_contiguous(format);
#endif
}

/* TCR_ELx, with hardware updates of accessed and dirty where the format wants them. */
static uint64_t translation_control(const struct pt_format *of)
{
    uint64_t mmfr0 = READ_REGISTER("id_aa64mmfr0_el1");

    if (of->tracks_access && !pt_aarch64_can_track_access(READ_REGISTER("id_aa64mmfr1_el1")))
        kernel_panic("no FEAT_HAFDBS", READ_REGISTER("id_aa64mmfr1_el1"), 0, 0);
#ifdef MACHINE_EL2
    return pt_aarch64_tcr_el2(of, mmfr0) |
           (of->tracks_access ? PT_AARCH64_TCR_EL2_HA | PT_AARCH64_TCR_EL2_HD : UINT64_C(0));
#else
    return pt_aarch64_tcr_of(of, mmfr0) | (of->tracks_access ? PT_AARCH64_TCR_HA | PT_AARCH64_TCR_HD : UINT64_C(0));
#endif
}

static void forget(void)
{
    pt_hw_invalidate_begin();
#ifdef MACHINE_EL2
    pt_hw_invalidate_el2();
#else
    pt_hw_invalidate_all();
#endif
    pt_hw_invalidate_end();
}

static void load_roots(const struct page_table *lower, const struct page_table *upper)
{
    roots[0] = lower;
    roots[1] = upper;
#ifdef MACHINE_EL2
    pt_hw_load_root_el2(lower);
#else
    pt_hw_load_root_lower(lower);
    pt_hw_load_root_upper(upper);
#endif
}

/* Keep the kernel off user pages; at EL2 there are none. */
static void guard_user_pages(void)
{
#ifndef MACHINE_EL2
#define PAN "S3_0_C4_C2_3" /* PSTATE.PAN by number: not all assembler targets know the name */
#define PAN_ON (UINT64_C(1) << 22)
    WRITE_REGISTER(PAN, PAN_ON);
#endif
}

/*
 * On real hardware memory that was written with the caches off, tables among it, must be invalidated by address
 * (DC IVAC) before they are on, and what was written with them on be cleaned before they are off. QEMU has none.
 */
void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    WRITE_REGISTER("mair_" EL, PT_AARCH64_MAIR);
    WRITE_REGISTER("tcr_" EL, translation_control(lower->format));
    load_roots(lower, upper);
    forget();
    WRITE_REGISTER("sctlr_" EL, (READ_REGISTER("sctlr_" EL) | PT_AARCH64_SCTLR_ON) & ~PT_AARCH64_SCTLR_WXN);
    guard_user_pages();
    __asm__ volatile("isb" : : : "memory");
}

void machine_load_root(const struct page_table *lower)
{
    roots[0] = lower;
    pt_hw_load_root_lower(lower); /* only where there are ASIDs */
}

void machine_disable_mmu(void)
{
    WRITE_REGISTER("sctlr_" EL, READ_REGISTER("sctlr_" EL) & ~PT_AARCH64_SCTLR_ON);
    __asm__ volatile("isb" : : : "memory");
    WRITE_REGISTER("ttbr0_" EL, 0);
#ifndef MACHINE_EL2
    WRITE_REGISTER("ttbr1_el1", 0);
#endif
    forget();
}

/* AT, stage 1, of EL1 or EL2. PSTATE.PAN does not matter to it (to S1E1RP it does). The result is in PAR_EL1. */
#ifdef MACHINE_EL2
#define AT(access) "at s1e2" access ", %1"
#else
#define AT(access) "at s1e1" access ", %1"
#endif
#define TRANSLATE(access, vaddr)                                                                                       \
    __extension__({                                                                                                    \
        uint64_t par_;                                                                                                 \
        __asm__ volatile(AT(access) "\n\tisb\n\tmrs %0, par_el1" : "=r"(par_) : "r"(vaddr) : "memory");                \
        par_;                                                                                                          \
    })

bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    return translated(TRANSLATE("r", vaddr), roots[kernel_is_upper(vaddr)], vaddr, paddr);
}

static bool translate_write(pt_vaddr vaddr)
{
    return (TRANSLATE("w", vaddr) & 1) == 0;
}

#ifndef MACHINE_EL2
static bool user_may(enum access access, pt_vaddr vaddr)
{
    uint64_t par;

    if (access == ACCESS_READ)
        __asm__ volatile("at s1e0r, %1\n\tisb\n\tmrs %0, par_el1" : "=r"(par) : "r"(vaddr) : "memory");
    else
        __asm__ volatile("at s1e0w, %1\n\tisb\n\tmrs %0, par_el1" : "=r"(par) : "r"(vaddr) : "memory");
    return (par & 1) == 0;
}
#endif

static const struct machine_explain explain;
const struct machine_options machine_options = {
    .check_detect = virt_check_detect,
    .explain = &explain,
    .translate_write = translate_write,
#ifndef MACHINE_EL2
    .user_may = user_may,
#endif
};

/* ---- Accesses ------------------------------------------------------------------------------------ */

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

/* ---- Explained accesses -------------------------------------------------------------------------- */

#ifdef MACHINE_EL2
#define STATE 0
#define HAS_USER false
#else
#define STATE (PT_CPU_PAN | PT_CPU_EPAN)
#define HAS_USER true
#endif

#define SCTLR_EPAN (UINT64_C(1) << 57)
#define LEAF_GUARDED (UINT64_C(1) << 50) /* FEAT_BTI: only what is meant to be branched to */

/* As EL0 does it: LDTR, STTR. */
static bool unprivileged_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    uint64_t faulted = 0, loaded = *value;

    if (access == ACCESS_READ)
        TRY("ldtr %[value], [%[vaddr]]");
    else
        TRY("sttr %[value], [%[vaddr]]");
    if (access == ACCESS_READ && faulted == 0)
        *value = loaded;
    return faulted != 0;
}

static void set_state(uint32_t cpu)
{
#ifdef MACHINE_EL2
    (void)cpu;
#else
    uint64_t control = READ_REGISTER("sctlr_el1") & ~SCTLR_EPAN;

    WRITE_REGISTER("sctlr_el1", control | (cpu & PT_CPU_EPAN ? SCTLR_EPAN : 0));
    WRITE_REGISTER(PAN, cpu & PT_CPU_PAN ? PAN_ON : 0);
    __asm__ volatile("isb" : : : "memory");
    forget();
#endif
}

static struct machine_fault explained_access(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu,
                                             uint64_t *value)
{
    struct machine_fault fault;
    uint64_t syndrome;

    set_state(cpu);
    fault.faulted = user ? unprivileged_access(access, vaddr, value) : machine_access(access, vaddr, value).faulted;
    syndrome = READ_REGISTER("esr_" EL);
    set_state(PT_CPU_PAN);
    fault.exception = (uint32_t)(syndrome >> 26) & 0x3f;
    fault.code = syndrome & 0x7f;
    if (user)
        fault.exception &= ~1u; /* it was made at EL1 all the same */
    return fault;
}

/* FEAT_LPA gives the 64K granule blocks of 4T, whether 52-bit addresses are in use or not. */
static bool is_block_of_4t(const struct pt_explanation *e)
{
    return format.page_shift == 16 && e->steps == 1 && e->step[0].is_leaf;
}

/* There is no instruction that fetches as EL0 does, and what fetching from guarded pages comes to is FEAT_BTI's. */
static bool emulated(struct pt_explanation *e)
{
    if (is_block_of_4t(e) && !(format.page_sizes & PT_4T))
        return false;
    return !(e->access & PT_EXECUTE) ||
           (!(e->access & PT_USER) && !(e->is_translated && (e->step[e->steps - 1].bits & LEAF_GUARDED)));
}

static const struct machine_explain explain = {
    .cpu = STATE, .has_user = HAS_USER, .access = explained_access, .emulated = emulated};
