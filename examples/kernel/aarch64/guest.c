/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine with virtualization=on: the kernel runs at EL2 without translation, as a hypervisor, and its
 * accesses are those of a guest at EL1. The guest's own MMU is off: its virtual addresses are the physical ones that the
 * second stage translates. Built once for each format: -DMACHINE_FORMAT=pt_aarch64_stage2_16k; with -DMACHINE_WIDE a
 * copy with 52-bit addresses, with -DMACHINE_5LEVEL one that has a level more in place of concatenated tables; with
 * -DMACHINE_XNX one whose pages are executed by either EL0 or EL1.
 */
#include <pagetable/hw.h>

#include "check.h"
#include "virt.h"

static struct pt_format format; /* MACHINE_FORMAT, as far as this CPU can do it */

const struct pt_format *const machine_format = &format;

const bool machine_shows_no_execute = true;
const bool machine_remap_invalidates = true; /* another output address asks for break-before-make */
const bool machine_translate_reads = false;
const bool machine_tracks_access = true; /* by FEAT_HAFDBS, which "max" has */
const bool machine_guards_user_pages = false;
const bool machine_has_asids = true; /* VMIDs */

/* guest.S */
uint64_t guest_enter(void (*code)(void), pt_vaddr address, uint64_t value);
void guest_read(void), guest_write(void), guest_execute(void);

/* ---- The second stage ---------------------------------------------------------------------------- */

#define SCTLR_EL1_OFF UINT64_C(0x30d00800) /* RES1 bits: the guest's MMU and caches are off */

#define HCR_DC (UINT64_C(1) << 12) /* its memory is write-back then, or what the second stage says */

static const struct page_table *current; /* the table that VTTBR_EL2 has */

void machine_set_up(void)
{
    struct pt_format wanted = MACHINE_FORMAT;

#ifdef MACHINE_WIDE
    wanted = pt_aarch64_wide(wanted);
#endif
#ifdef MACHINE_5LEVEL
    wanted.levels++; /* a root of 16 entries in place of 16 concatenated tables */
#endif
#ifdef MACHINE_XNX
    wanted.features |= PT_FEATURE_XNX;
#endif
    format = virt_detect(wanted);
}

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    uint64_t vtcr = pt_aarch64_vtcr(lower->format, READ_REGISTER("id_aa64mmfr0_el1"));

    (void)upper; /* the same table */
    if (lower->format->tracks_access) {
        if (!pt_aarch64_can_track_access(READ_REGISTER("id_aa64mmfr1_el1")))
            kernel_panic("no FEAT_HAFDBS", READ_REGISTER("id_aa64mmfr1_el1"), 0, 0);
        vtcr |= PT_AARCH64_TCR_EL2_HA | PT_AARCH64_TCR_EL2_HD;
    }
    WRITE_REGISTER("vtcr_el2", vtcr);
    WRITE_REGISTER("sctlr_el1", SCTLR_EL1_OFF);
    WRITE_REGISTER("hcr_el2", pt_aarch64_hcr(lower->format) | PT_AARCH64_HCR_RW | HCR_DC);
    machine_load_root(lower);
    pt_hw_invalidate_begin();
    pt_hw_invalidate_guest(PT_NO_ASID);
    pt_hw_invalidate_end();
}

void machine_load_root(const struct page_table *lower)
{
    current = lower;
    pt_hw_load_root_second_stage(lower);
}

void machine_disable_mmu(void)
{
    current = NULL;
    WRITE_REGISTER("hcr_el2", 0);
    WRITE_REGISTER("vttbr_el2", 0);
    pt_hw_invalidate_begin();
    pt_hw_invalidate_guest(PT_NO_ASID);
    pt_hw_invalidate_end();
}

/* ---- Accesses ------------------------------------------------------------------------------------ */

/* SPSR_EL2, without interrupts: EL1 with its own stack pointer, EL0. */
#define EL1H UINT64_C(0x3c5)
#define EL0T UINT64_C(0x3c0)

/* ESR_ELx: why a guest came back. */
#define EC(esr) ((esr) >> 26 & 0x3f)
#define EC_HVC 0x16u
#define EC_INSTRUCTION_ABORT 0x20u
#define EC_DATA_ABORT 0x24u
#define IS_WRITE(esr) (((esr) >> 6 & 1) != 0)   /* WnR */
#define IS_IN_WALK(esr) (((esr) >> 7 & 1) != 0) /* S1PTW: the guest's own table */

/* The fault status code: what is wrong with the entry of which level. D24, ESR_ELx, ISS of a data abort, DFSC. */
#define FSC(esr) ((unsigned)((esr) & 0x3f))
#define FSC_TRANSLATION 0x04u
#define FSC_PERMISSION 0x0cu
#define FSC_TRANSLATION_MINUS_1 0x2bu

/* What the library says that the guest finds at the address. */
static bool is_expected(unsigned fsc, pt_vaddr vaddr)
{
    struct pt_mapping mapping;
    unsigned level = 3;

    if (pt_query(current, vaddr, &mapping) != PT_OK || (mapping.flags & (PT_READ | PT_WRITE | PT_EXECUTE)) == 0)
        return (fsc & ~3u) == FSC_TRANSLATION || fsc == FSC_TRANSLATION_MINUS_1;
    for (uint64_t size = format.page_sizes & (0 - format.page_sizes); size < mapping.page_size; level--)
        size <<= format.index_bits;
    return fsc == (FSC_PERMISSION | level);
}

/* HPFAR_EL2: the page that the guest's physical address is in. */
static uint64_t faulting_page(void)
{
    return READ_REGISTER("hpfar_el2") >> 4 << 12;
}

/*
 * EL0 starts at vaddr, where a return is, to nowhere: it comes back from either. What EL0 and EL1 may execute is the
 * same, but with FEAT_XNX never.
 */
static void check_user_executes(pt_vaddr vaddr)
{
    struct pt_mapping mapping = {0, 0, 0};
    bool executes;

    WRITE_REGISTER("spsr_el2", EL0T);
    (void)guest_enter((void (*)(void))(uintptr_t)vaddr, 0, 0);
    executes = READ_REGISTER("elr_el2") != vaddr;
    (void)pt_query(current, vaddr, &mapping);
    if (executes != ((mapping.flags & PT_EXECUTE) != 0 && (mapping.flags & PT_USER) != 0))
        kernel_panic("EL0 executes, or does not", READ_REGISTER("esr_el2"), READ_REGISTER("elr_el2"), vaddr);
}

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    static void (*const code[])(void) = {guest_read, guest_write, guest_execute};
    uint64_t result, esr, ec, page;

    if (access == ACCESS_EXECUTE)
        check_user_executes(vaddr);
    WRITE_REGISTER("spsr_el2", EL1H);
    result = guest_enter(code[access], vaddr, access == ACCESS_WRITE ? *value : 0);
    esr = READ_REGISTER("esr_el2");
    ec = EC(esr);
    if (ec == EC_HVC) {
        if (access == ACCESS_READ)
            *value = result;
        return (struct access_result){false, 0};
    }
    page = faulting_page();
    if (ec != (access == ACCESS_EXECUTE ? EC_INSTRUCTION_ABORT : EC_DATA_ABORT) || IS_IN_WALK(esr) ||
        (access != ACCESS_EXECUTE && IS_WRITE(esr) != (access == ACCESS_WRITE)) ||
        !is_expected(FSC(esr), READ_REGISTER("far_el2")) || page != (READ_REGISTER("far_el2") & ~UINT64_C(0xfff)))
        kernel_panic("guest, and this is not what its table says", esr, READ_REGISTER("elr_el2"), page);
    return (struct access_result){true, READ_REGISTER("far_el2")};
}

/*
 * AT S12E1R, both stages; where it finds memory, or nothing, the guest's own read has to agree. Where the guest may
 * execute and not read there is only that: of such a page AT ends QEMU 10.0 with an assertion.
 */
bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    const struct machine_region *ram = &machine_regions[0];
    struct pt_mapping mapping;
    uint64_t par, value;

    if (pt_query(current, vaddr, &mapping) != PT_OK || (mapping.flags & (PT_READ | PT_EXECUTE)) != PT_EXECUTE) {
        __asm__ volatile("at s12e1r, %1\n\tisb\n\tmrs %0, par_el1" : "=r"(par) : "r"(vaddr) : "memory");
        if (translated(par, current, vaddr, paddr) && *paddr - ram->paddr >= ram->size)
            return true;
    }
    return !machine_access(ACCESS_READ, vaddr, &value).faulted;
}

/* ---- The guest's own tables ---------------------------------------------------------------------- */

#define GIB_BLOCK UINT64_C(0x705)            /* valid, MAIR's write-back, inner shareable, accessed; EL1's */
#define TABLE UINT64_C(3)                    /* valid, a table */
#define LOWER_TABLE_AT UINT64_C(0x100000000) /* in the guest's physical addresses */
#define GUEST_WINDOW UINT64_C(0x80000000)    /* in its virtual ones: the third GiB */
#define TCR_39_BITS (UINT64_C(64 - 39) | UINT64_C(1) << 23 /* EPD1 */ | PT_AARCH64_TCR_WALK0 | UINT64_C(5) << 32)

static bool guest_reads(pt_vaddr vaddr, uint64_t wanted_value)
{
    WRITE_REGISTER("spsr_el2", EL1H);
    return guest_enter(guest_read, vaddr, 0) == wanted_value && EC(READ_REGISTER("esr_el2")) == EC_HVC;
}

/*
 * With the guest's MMU on, its walk goes through the second stage, and the TLB may have the places of its tables: what is
 * kept by the guest's physical addresses. Its virtual addresses that are looked at are new each time.
 */
static void check_guest_tables(struct kernel *kernel)
{
    static _Alignas(4096) uint64_t upper_table[512];
    pt_paddr frame = frame_new(kernel, 0);
    uint64_t *lower_table = kernel_memory(frame);
    struct pt_flush flush;
    bool seen, stale;

    upper_table[1] = PT_1G | GIB_BLOCK; /* RAM, and the code in it */
    upper_table[2] = LOWER_TABLE_AT | TABLE;
    for (unsigned i = 0; i < 512; i++)
        lower_table[i] = (kernel->tagged + i % (kernel->tagged_size / PT_2M) * PT_2M) | GIB_BLOCK;
    map_page(kernel, LOWER_TABLE_AT, frame, UINT64_C(1) << format.page_shift, PT_READ);
    WRITE_REGISTER("mair_el1", PT_AARCH64_MAIR);
    WRITE_REGISTER("tcr_el1", TCR_39_BITS);
    WRITE_REGISTER("ttbr0_el1", kernel_physical(upper_table));
    WRITE_REGISTER("hcr_el2", READ_REGISTER("hcr_el2") & ~HCR_DC);
    WRITE_REGISTER("sctlr_el1", SCTLR_EL1_OFF | PT_AARCH64_SCTLR_ON);
    drop_tlb();

    seen = guest_reads(GUEST_WINDOW, kernel->tagged);
    pt_flush_init(&flush, &kernel->table);
    must(pt_unmap(&kernel->table, LOWER_TABLE_AT, NULL, &flush), "pt_unmap");
    stale = guest_reads(GUEST_WINDOW + PT_2M, kernel->tagged + PT_2M);
    check(seen, "the guest has a table of its own, at its %jx, and reads through it", LOWER_TABLE_AT);
    check(stale, "unmap that without flush: the TLB still has it");
    pt_flush(&flush);
    check(!guest_reads(GUEST_WINDOW + 2 * PT_2M, 0) && EC(READ_REGISTER("esr_el2")) == EC_DATA_ABORT &&
              IS_IN_WALK(READ_REGISTER("esr_el2")) && faulting_page() == LOWER_TABLE_AT,
          "flush: the guest's walk faults at %jx", faulting_page());

    WRITE_REGISTER("sctlr_el1", SCTLR_EL1_OFF);
    WRITE_REGISTER("hcr_el2", READ_REGISTER("hcr_el2") | HCR_DC);
    drop_tlb();
    frame_free(kernel, frame);
}

const struct machine_options machine_options = {.check_detect = virt_check_detect, .check_flush = check_guest_tables};
