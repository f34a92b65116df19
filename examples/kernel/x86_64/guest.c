/* SPDX-License-Identifier: MIT */
/*
 * The kernel as a guest of its own: AMD's nested paging. When the table is first loaded the kernel goes on as a guest,
 * all of whose physical addresses are translated by the table. What stays behind is the host: it is entered when an
 * access is not allowed (a nested page fault), and when the guest asks for something (VMMCALL): another table, an
 * invalidation. The guest's own tables map every guest-physical address to itself, by pages of 1 GiB. APM vol. 2, 15.
 */
#include <stdalign.h>

#include <pagetable/hw/x86_64.h>

#include "console.h"
#include "explain.h"
#include "kernel.h"
#include "paging.h"

static struct pt_format format; /* MACHINE_FORMAT, as far as this CPU can do it */

const struct pt_format *const machine_format = &format;
const bool machine_guards_user_pages = false;
const bool machine_has_asids = true;

/* ---- The VMCB ------------------------------------------------------------------------------------ */

/* APM vol. 2, appendix B; in bytes. Others are in <pagetable/hw/x86_64.h>. */
#define VMCB_INTERCEPTS 0x00cu /* 8 bytes from here: vectors 3 and 4 */
#define VMCB_EXITCODE 0x070u
#define VMCB_EXITINFO1 0x078u
#define VMCB_EXITINFO2 0x080u
#define VMCB_ES 0x400u /* selector, attributes, limit, base: 16 bytes; then CS, SS, DS */
#define VMCB_GDTR 0x460u
#define VMCB_IDTR 0x480u
#define VMCB_EFER 0x4d0u
#define VMCB_CR4 0x548u
#define VMCB_CR3 0x550u
#define VMCB_CR0 0x558u
#define VMCB_RFLAGS 0x570u
#define VMCB_RIP 0x578u
#define VMCB_RSP 0x5d8u
#define VMCB_RAX 0x5f8u
#define VMCB_G_PAT 0x668u

#define INTERCEPT_VMRUN (UINT64_C(1) << 32)
#define INTERCEPT_VMMCALL (UINT64_C(1) << 33)
#define INTERCEPT_SHUTDOWN (UINT64_C(1) << 31)
#define EXIT_VMMCALL 0x81u
#define EXIT_NPF 0x400u
#define VMMCALL_SIZE 3u

/* EXITINFO1 of a nested page fault: a page fault's error code, and at which address. */
#define NPF_PRESENT (UINT64_C(1) << 0)
#define NPF_WRITE (UINT64_C(1) << 1)
#define NPF_USER (UINT64_C(1) << 2) /* every access is one */
#define NPF_EXECUTE (UINT64_C(1) << 4)
#define NPF_FINAL (UINT64_C(1) << 32) /* not at one of the guest's own tables */

#define CODE_64 0x08u /* boot.S: gdt */
#define DATA 0x10u
#define CODE_ATTRIBUTES 0xa9bu /* bits 55:52 and 47:40 of the descriptors there */
#define DATA_ATTRIBUTES 0xc93u

#define MSR_VM_HSAVE_PA UINT32_C(0xc0010117)

static alignas(4096) unsigned char vmcb[4096], host_save[4096];

static void set(size_t offset, uint64_t value)
{
    *(volatile uint64_t *)(void *)(vmcb + offset) = value;
}

static uint64_t get(size_t offset)
{
    return *(volatile uint64_t *)(void *)(vmcb + offset);
}

static void set_segment(unsigned number, unsigned selector, unsigned attributes)
{
    set(VMCB_ES + 16u * number, selector | (uint64_t)attributes << 16 | UINT64_C(0xffffffff) << 32);
}

/* ---- The guest's own tables ---------------------------------------------------------------------- */

/* Made where an address is first used: a new entry owes nothing. All addresses there are, for 4 levels; 52 bits for 5. */
#ifdef MACHINE_LA57
#define GUEST_LEVELS 5u
#define GUEST_TABLES (1u + 16u + 8192u)
#else
#define GUEST_LEVELS 4u
#define GUEST_TABLES (1u + 512u)
#endif
#define GUEST_ENTRIES 512u
#define GUEST_TABLE UINT64_C(0x23) /* present, writable, accessed */
#define GUEST_PAGE UINT64_C(0xe3)  /* and dirty, and a page */

static alignas(4096) uint64_t guest_tables[GUEST_TABLES][GUEST_ENTRIES]; /* the first one is the root */
static size_t guest_tables_used = 1;

pt_vaddr paging_address(pt_vaddr vaddr)
{
    uint64_t *table = guest_tables[0], *entry;
    unsigned shift = 12 + 9 * (GUEST_LEVELS - 1);

    for (; entry = &table[vaddr >> shift & (GUEST_ENTRIES - 1)], shift > 30; shift -= 9) {
        if (*entry == 0) {
            if (guest_tables_used == GUEST_TABLES)
                kernel_panic("the guest has no more tables", 0, 0, vaddr);
            *entry = kernel_physical(guest_tables[guest_tables_used++]) | GUEST_TABLE;
        }
        table = kernel_memory(*entry & ~UINT64_C(0xfff));
    }
    *entry = (vaddr & ~(PT_1G - 1)) | GUEST_PAGE;
    return GUEST_LEVELS == 4 && (vaddr >> 47 & 1) != 0 ? vaddr | ~UINT64_C(0) << 48 : vaddr; /* canonical */
}

/* ---- The host ------------------------------------------------------------------------------------ */

/* What the guest asks for. */
static struct request {
    const struct page_table *table;
    uint8_t tlb_control;
    bool leave;
} request;

static bool is_guest;
static bool can_flush_asid;

static void grant(void)
{
    const struct page_table *table = request.table;

    set(PT_NPT_VMCB_NCR3, pt_npt_ncr3(table));
    set(PT_NPT_VMCB_ASID,
        (table->asid == PT_NO_ASID ? UINT64_C(1) : table->asid + UINT64_C(2)) | (uint64_t)request.tlb_control << 32);
    request.tlb_control = PT_NPT_TLB_KEEP;
}

/* What EXITINFO1 must be, for what the kernel does and what the library says of it. */
static uint64_t expected_fault(void)
{
    struct pt_mapping mapping;
    bool present = pt_query(request.table, get(VMCB_EXITINFO2), &mapping) == PT_OK &&
                   (mapping.flags & (PT_READ | PT_WRITE | PT_EXECUTE)) != 0;

    return NPF_FINAL | NPF_USER | (present ? NPF_PRESENT : 0) | (probe_kind == ACCESS_WRITE ? NPF_WRITE : 0) |
           (probe_kind == ACCESS_EXECUTE ? NPF_EXECUTE : 0);
}

/* guest.S: calls host_exit when the guest has exited, and runs it again if that returns true. */
void guest_start(void *of);
bool host_exit(void);

bool host_exit(void)
{
    uint64_t info = get(VMCB_EXITINFO1);

    set(PT_NPT_VMCB_ASID, get(PT_NPT_VMCB_ASID) & UINT32_MAX); /* what TLB_CONTROL asked for is done */
    switch (get(VMCB_EXITCODE)) {
    case EXIT_VMMCALL:
        set(VMCB_RIP, get(VMCB_RIP) + VMMCALL_SIZE);
        grant();
        return !request.leave;
    case EXIT_NPF:
        probe_report = (struct machine_fault){true, EXIT_NPF, info};
        if (probe_resume == 0 || (!probe_explains && info != expected_fault()))
            kernel_panic("nested page fault, not as the table says", info, get(VMCB_RIP), get(VMCB_EXITINFO2));
        probe_fault = get(VMCB_EXITINFO2);
        set(VMCB_RAX, 1);
        set(VMCB_RIP, probe_resume);
        set(VMCB_RSP, probe_stack);
        return true;
    default:
        kernel_panic("guest exited", get(VMCB_EXITCODE), get(VMCB_RIP), info);
    }
}

static void ask(void)
{
    __asm__ volatile("vmmcall" : : : "memory");
}

/* ---- The kernel's side --------------------------------------------------------------------------- */

void paging_set_up(void)
{
    uint32_t registers[4];

    format = pt_npt_detect();
    pt_hw_cpuid(UINT32_C(0x8000000a), registers);
    can_flush_asid = pt_npt_can_flush_asid(registers[3]);
}

static void check_detect(void)
{
    const struct pt_format *wanted = &MACHINE_FORMAT;

    check(format.levels == wanted->levels && format.page_sizes == wanted->page_sizes &&
              format.features == wanted->features,
          "SVM and nested paging, %u levels as CR4.LA57 says, 1 GiB pages, NX", format.levels);
    check(format.pa_bits == 52 && format.va_bits == (wanted->levels == 5 ? 52 : 48),
          "%u bits of physical addresses, %u of a guest's", format.pa_bits, format.va_bits);
}

static void set_registers(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } gdt, idt;
    uint64_t cr0, cr4;

    __asm__ volatile("sgdt %0" : "=m"(gdt));
    __asm__ volatile("sidt %0" : "=m"(idt));
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    set_segment(0, DATA, DATA_ATTRIBUTES);
    set_segment(1, CODE_64, CODE_ATTRIBUTES);
    set_segment(2, DATA, DATA_ATTRIBUTES);
    set_segment(3, DATA, DATA_ATTRIBUTES);
    set(VMCB_GDTR, (uint64_t)gdt.limit << 32);
    set(VMCB_GDTR + 8, gdt.base);
    set(VMCB_IDTR, (uint64_t)idt.limit << 32);
    set(VMCB_IDTR + 8, idt.base);
    set(VMCB_EFER, read_msr(PT_X86_64_MSR_EFER));
    set(VMCB_CR0, cr0);
    set(VMCB_CR3, kernel_physical(guest_tables[0]));
    set(VMCB_CR4, cr4);
    set(VMCB_RFLAGS, 2);
    set(VMCB_G_PAT, PT_X86_64_PAT);
}

static void start(void)
{
    write_msr(PT_X86_64_MSR_EFER, read_msr(PT_X86_64_MSR_EFER) | PT_X86_64_EFER_SVME);
    write_msr(MSR_VM_HSAVE_PA, kernel_physical(host_save));
    write_msr(PT_X86_64_MSR_PAT, PT_X86_64_PAT); /* the host's: as after reset, but who knows what ran before */
    set(VMCB_INTERCEPTS, INTERCEPT_SHUTDOWN | INTERCEPT_VMRUN | INTERCEPT_VMMCALL);
    set(PT_NPT_VMCB_NP_ENABLE, 1);
    set_registers();
    (void)paging_address(0); /* where the kernel is */
    grant();
    is_guest = true;
    guest_start(vmcb);
}

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    (void)upper; /* the same table */
    request = (struct request){lower, PT_NPT_TLB_FLUSH_ALL, false};
    if (is_guest)
        ask();
    else
        start();
}

void machine_load_root(const struct page_table *lower)
{
    request.table = lower;
    ask();
}

void machine_disable_mmu(void)
{
    request.leave = true;
    ask();
    is_guest = false;
}

static void flush_tlb(void *ctx, const struct pt_flush *flush)
{
    (void)ctx;
    if (!is_guest)
        return;
    request.tlb_control = pt_npt_tlb_control(flush, request.table->asid, can_flush_asid);
    ask();
}

/* ---- Explained accesses -------------------------------------------------------------------------- */

/* What the guest's own CR0.WP, SMEP and SMAP are means nothing to the nested tables. */
static struct machine_fault explained_access(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu,
                                             uint64_t *value)
{
    (void)user;
    (void)cpu;
    return probe_access(access, vaddr, value);
}

static const struct machine_explain explain = {.access = explained_access, .emulated = x86_emulated};
const struct machine_options machine_options = {
    .check_detect = check_detect, .flush_tlb = flush_tlb, .explain = &explain};
