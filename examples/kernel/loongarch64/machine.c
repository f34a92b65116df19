/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine with -cpu la464. Built once for each format: -DMACHINE_FORMAT=pt_loongarch64_16k, for which
 * tlb_refill.S has to be told, too: -DMACHINE_16K. The kernel itself runs in a direct-mapped window, as LoongArch kernels
 * do; what it maps is looked at through the TLB, which tlb_refill.S fills.
 */
#include <stdalign.h>

#include <pagetable/hw.h>

#include "console.h"
#include "machine.h"

#define CACHED UINT64_C(0x9000000000000000) /* the windows that boot.S sets up */
#define UNCACHED UINT64_C(0x8000000000000000)

#define RAM_SIZE (UINT64_C(256) << 20)
#define UART UINT64_C(0x1fe001e0) /* 16550 */
#define POWER UINT64_C(0x100e001c)
#define PCI_CONFIGURATION UINT64_C(0x20000000)
#define PCI_MEMORY UINT64_C(0x40000000)

static struct pt_format format; /* MACHINE_FORMAT, as far as this CPU can do it */

const char machine_name[] = MACHINE_NAME;
const struct pt_format *const machine_format = &format;
const uintptr_t machine_linear_offset = CACHED;

const struct machine_region machine_regions[] = {
    {"RAM", 0, RAM_SIZE, PT_READ | PT_WRITE},
    {"serial line", UART & ~(PT_64K - 1), PT_64K, PT_READ | PT_WRITE | PT_DEVICE},
    {"power", POWER & ~(PT_64K - 1), PT_64K, PT_READ | PT_WRITE | PT_DEVICE},
    {0},
};

const bool machine_shows_no_execute = false;  /* QEMU 10.0 does not come back from a fetch from such a page */
const bool machine_guards_user_pages = false; /* PLV0 may use what PLV3 may, unless the leaf has RPLV */
const bool machine_remap_invalidates = false;
const bool machine_translate_reads = false;
const bool machine_has_asids = true;
const bool machine_tracks_access = false;

/* ---- Serial line and exit ------------------------------------------------------------------------ */

static volatile uint8_t *device8(pt_paddr paddr)
{
    return (volatile uint8_t *)(UNCACHED + paddr);
}

static volatile uint32_t *device32(pt_paddr paddr)
{
    return (volatile uint32_t *)(UNCACHED + paddr);
}

void machine_put_char(char c)
{
    while ((*device8(UART + 5) & 1u << 5) == 0) /* transmitter not empty */
        ;
    *device8(UART) = (uint8_t)c;
}

/* The "pvpanic" device on PCI bus 0: a write to it ends the emulator with a failing status. */
static void panic_device(void)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        pt_paddr config = PCI_CONFIGURATION + ((pt_paddr)slot << 15);

        if (*device32(config) != 0x00111b36) /* device, vendor */
            continue;
        *device32(config + 0x10) = (uint32_t)PCI_MEMORY; /* BAR 0 */
        *device32(config + 0x04) = 2;                    /* answer to memory accesses */
        *device8(PCI_MEMORY) = 1;
    }
}

_Noreturn void machine_exit(bool passed)
{
    if (!passed)
        panic_device();
    for (;;) /* without that device the emulator is left running: better than saying that all is well */
        if (passed)
            *device8(POWER) = 0x34; /* sleep type 5, enable: off */
}

/* ---- The MMU ------------------------------------------------------------------------------------- */

#define READ_CSR(number)                                                                                               \
    __extension__({                                                                                                    \
        uint64_t read_;                                                                                                \
        __asm__ volatile("csrrd %0, %1" : "=r"(read_) : "i"(number) : "memory");                                       \
        read_;                                                                                                         \
    })
#define WRITE_CSR(number, value)                                                                                       \
    do {                                                                                                               \
        uint64_t written_ = (value);                                                                                   \
        __asm__ volatile("csrwr %0, %1" : "+r"(written_) : "i"(number) : "memory");                                    \
    } while (0)

/* Translation is always on, but for the windows there is nothing: all entries of the root are unused. */
static alignas(65536) uint64_t empty_root[8192];

static void load_empty_root(void)
{
    WRITE_CSR(PT_LOONGARCH_CSR_PGDL, (uintptr_t)empty_root - CACHED);
    WRITE_CSR(PT_LOONGARCH_CSR_PGDH, (uintptr_t)empty_root - CACHED);
    pt_hw_invalidate_all();
    pt_hw_invalidate_end();
}

static bool can_use; /* what pt_loongarch64_detect says of MACHINE_FORMAT */

/* QEMU's la464 has addresses of 48 bits, and TLB entries of up to two pages of 512 MiB each. */
static void check_detect(void)
{
    check(can_use && format.va_bits == MACHINE_FORMAT.va_bits && format.pa_bits == 48 &&
              format.page_sizes == (MACHINE_FORMAT.page_sizes & (2 * PT_1G - 1)),
          "this CPU can use the format, with %u address bits and pages of sizes %jx", format.va_bits,
          format.page_sizes);
}

static const struct machine_explain explain;
const struct machine_options machine_options = {.check_detect = check_detect, .explain = &explain};

void machine_set_up_mmu(void); /* called by boot.S */

void machine_set_up_mmu(void)
{
    uint64_t *frame0 = (uint64_t *)CACHED;

    format = MACHINE_FORMAT;
    can_use = pt_loongarch64_detect(&format);
    pt_hw_set_format(machine_format);
    WRITE_CSR(PT_LOONGARCH_CSR_ASID, 0);
    load_empty_root();

    /*
     * A refill handler that takes an unused directory entry for a table looks here. Let it find leaves that
     * are valid at every level, so that the checks of what is not mapped see it.
     */
    for (unsigned i = 0; i < 1u << format.index_bits; i++)
        frame0[i] = PT_LOONGARCH_ENTRY_V | PT_LOONGARCH_ENTRY_D | PT_LOONGARCH_ENTRY_H |
                    PT_LOONGARCH_MAT_NORMAL << PT_LOONGARCH_ENTRY_MAT_SHIFT;
}

/* One table for both halves: its root's first 256 entries are the lower half, the others the upper one. */
void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    pt_hw_publish();
    machine_load_root(lower);
    pt_hw_load_root_upper(upper);
    pt_hw_invalidate_all();
    pt_hw_invalidate_end();
}

void machine_load_root(const struct page_table *lower)
{
    WRITE_CSR(PT_LOONGARCH_CSR_ASID, lower->asid == PT_NO_ASID ? 0 : lower->asid);
    pt_hw_load_root_lower(lower);
}

void machine_disable_mmu(void)
{
    load_empty_root();
}

static uint64_t load_directory(uint64_t entry, unsigned level)
{
    uint64_t next;

    /* The level is a part of the instruction. A huge leaf passes through, once marked with its level. */
    if (level == 3)
        __asm__ volatile("lddir %0, %1, 3" : "=r"(next) : "r"(entry) : "memory");
    else if (level == 2)
        __asm__ volatile("lddir %0, %1, 2" : "=r"(next) : "r"(entry) : "memory");
    else
        __asm__ volatile("lddir %0, %1, 1" : "=r"(next) : "r"(entry) : "memory");
    return next;
}

/*
 * The walk by LDDIR and LDPTE, the CPU's own instructions, which know the format by PWCL and PWCH and take the
 * address from TLBRBADV: another one than that of the refill handler. They are not given unused entries.
 */
bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr)
{
    const unsigned page = machine_format->page_shift, above_last = machine_format->levels - 1u;
    uint64_t root = vaddr >> 63 == 0 ? READ_CSR(PT_LOONGARCH_CSR_PGDL) : READ_CSR(PT_LOONGARCH_CSR_PGDH);
    uint64_t entry = root, table = root, raw, leaf, page_mask;
    unsigned page_shift, shift = PT_LOONGARCH_SHIFT(page, above_last);

    WRITE_CSR(PT_LOONGARCH_CSR_TLBRBADV, vaddr);
    for (unsigned level = 3; level >= 1; level--) {
        if (level == 2 && above_last < 3)
            continue; /* the root is Dir3, and there is no Dir2 */
        entry = load_directory(entry, level);
        if (entry == 0)
            return false;
        if ((entry & PT_LOONGARCH_ENTRY_H) == 0) {
            table = entry;
            shift = PT_LOONGARCH_SHIFT(page, level == 3 ? above_last - 1 : level - 1);
        }
    }
    __asm__ volatile("ldpte %0, 0\n\t"
                     "ldpte %0, 1"
                     :
                     : "r"(entry)
                     : "memory");

    page_shift = READ_CSR(PT_LOONGARCH_CSR_TLBREHI) & 0x3f; /* of one half of the pair */
    leaf = (vaddr >> page_shift & 1) == 0 ? READ_CSR(PT_LOONGARCH_CSR_TLBRELO0) : READ_CSR(PT_LOONGARCH_CSR_TLBRELO1);
    /* QEMU's LDPTE drops the leaf's bits 63:48, NR among them: look at it in memory. */
    raw = ((const uint64_t *)(table + CACHED))[vaddr >> shift & ((UINT64_C(1) << PT_LOONGARCH_INDEX_BITS(page)) - 1)];
    if ((leaf & PT_LOONGARCH_ENTRY_V) == 0 || (raw >> PT_LOONGARCH_ENTRY_NR_SHIFT & 1) != 0)
        return false;
    page_mask = (UINT64_C(1) << page_shift) - 1;
    *paddr = (leaf & UINT64_C(0x0000fffffffff000) & ~page_mask) | (vaddr & page_mask);
    return true;
}

/* ---- Accesses ------------------------------------------------------------------------------------ */

/* Shared with boot.S: where a fault goes on, 0 when none is expected; the address it was at, and ESTAT. */
uint64_t trap_resume, trap_status;
pt_vaddr trap_vaddr;
_Noreturn void trap_unexpected(void);

_Noreturn void trap_unexpected(void)
{
    kernel_panic("exception", READ_CSR(PT_LOONGARCH_CSR_ESTAT) >> 16 & 0x3f, READ_CSR(PT_LOONGARCH_CSR_ERA),
                 READ_CSR(PT_LOONGARCH_CSR_BADV));
}

/* One instruction that may fault. boot.S sets t7 to 1 if it does, and uses t8 on the way. */
#define TRY(instruction)                                                                                               \
    __asm__ volatile("la.pcrel $t8, 1f\n\t"                                                                            \
                     "st.d $t8, %[resume], 0\n\t"                                                                      \
                     "move $t7, $zero\n\t" instruction "\n"                                                            \
                     "1:\n\t"                                                                                          \
                     "st.d $zero, %[resume], 0\n\t"                                                                    \
                     "move %[faulted], $t7"                                                                            \
                     : [faulted] "=&r"(faulted), [value] "+&r"(loaded)                                                 \
                     : [vaddr] "r"(vaddr), [resume] "r"(&trap_resume)                                                  \
                     : "$t7", "$t8", "$ra", "memory")

struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value)
{
    uint64_t faulted = 0, loaded = 0;

    switch (access) {
    case ACCESS_READ:
        TRY("ld.d %[value], %[vaddr], 0");
        if (faulted == 0)
            *value = loaded;
        break;
    case ACCESS_WRITE:
        loaded = *value;
        TRY("st.d %[value], %[vaddr], 0");
        break;
    case ACCESS_EXECUTE:
        TRY("jirl $ra, %[vaddr], 0");
        break;
    }
    return (struct access_result){faulted != 0, faulted != 0 ? trap_vaddr : 0};
}

const uint32_t machine_return_instruction = 0x4c000020; /* jirl $zero, $ra, 0 */

void machine_sync_instructions(void)
{
    __asm__ volatile("dbar 0\n\t"
                     "ibar 0"
                     :
                     :
                     : "memory");
}

/* ---- Explained accesses -------------------------------------------------------------------------- */

#define PNR 5u

static struct machine_fault explained_access(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu,
                                             uint64_t *value)
{
    struct access_result result = machine_access(access, vaddr, value);

    (void)user;
    (void)cpu;
    return (struct machine_fault){result.faulted, trap_status >> 16 & 0x3f, trap_status >> 22 & 0x1ff};
}

/*
 * What becomes of a directory entry that is not aligned, or huge where it cannot be, is the refill handler's affair.
 * QEMU 10.0 does not come back from a fetch that is not allowed, and asks for NR before PLV, not after it (vol. 1,
 * 5.4.3).
 */
static bool emulated(struct pt_explanation *e)
{
    uint64_t leaf = e->steps == 0 ? 0 : e->step[e->steps - 1].bits;
    unsigned above_last = machine_format->levels - e->steps;
    uint64_t size = UINT64_C(1) << (machine_format->page_shift + above_last * machine_format->index_bits);

    if (above_last > 0 && (leaf & PT_LOONGARCH_ENTRY_H) != 0 && (machine_format->page_sizes & size) == 0)
        return false;
    if (e->reason == PT_REASON_PRIVILEGE && (e->access & PT_READ) && (leaf >> PT_LOONGARCH_ENTRY_NR_SHIFT & 1) != 0)
        e->exception = PNR;
    return e->reason != PT_REASON_MALFORMED && !((e->access & PT_EXECUTE) && e->reason != PT_REASON_NONE);
}

static const struct machine_explain explain = {.access = explained_access, .emulated = emulated};
