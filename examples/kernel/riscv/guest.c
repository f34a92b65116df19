/* SPDX-License-Identifier: MIT */
/*
 * The kernel is a hypervisor and runs without translation; the table is a guest's second stage. Its accesses are those
 * of the guest's user mode (HLV, HSV, HLVX; hstatus.SPVP is clear). With 64 bits the guest has no tables of its own:
 * its addresses are the physical ones that the second stage translates. With 32 bits these have two bits more than a
 * pointer, and four tables of the guest's reach a quarter each.
 */
#include <pagetable/hw.h>

#include "check.h"
#include "paging.h"

/* By number: assemblers know the names only with the hypervisor extension. */
#define VSATP "0x280"
#define HTVAL "0x643"
#define HTINST "0x64a"
#define HGATP "0x680"

/* A leaf of the guest's own root: all rights, its user's, accessed, dirty. */
#define GUEST_LEAF(paddr) ((uintptr_t)((paddr) >> 2) | 0xdf)

#if __riscv_xlen == 64
#define GUEST_VSATP(root) (PT_RISCV_SATP_SV39 << PT_RISCV_SATP_MODE_SHIFT | (root) >> 12)
#define GUEST_LEAF_SIZE PT_1G
#define IMPLICIT_READ 0x3000u /* htinst */
#else
#define GUEST_VSATP(root) (PT_RISCV_SATP_SV32 | (uint32_t)((root) >> 12))
#define GUEST_LEAF_SIZE PT_4M
#define IMPLICIT_READ 0x2000u
#endif
#define GUEST_ENTRIES (4096 / sizeof(uintptr_t))

/* ---- The second stage ---------------------------------------------------------------------------- */

static uintptr_t hgatp_of(const struct page_table *table)
{
    return pt_riscv_hgatp(table, table->asid == PT_NO_ASID ? 0 : table->asid);
}

static void load_guest_tables(uintptr_t vsatp)
{
    WRITE_CSR(VSATP, vsatp);
    pt_hw_invalidate_guest_tables();
}

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    (void)upper; /* the same table */
    set_menvcfg(lower->format);
    pt_hw_load_guest_root(lower);
    if (READ_CSR(HGATP) != hgatp_of(lower))
        kernel_panic("hgatp, the hart does not have this mode", READ_CSR(HGATP), 0, 0);
}

/* Not pt_hw_load_guest_root, which forgets everything of the guest. */
void machine_load_root(const struct page_table *lower)
{
    WRITE_CSR(HGATP, hgatp_of(lower));
}

void machine_disable_mmu(void)
{
    WRITE_CSR(HGATP, 0);
    pt_hw_invalidate_guest(PT_NO_ASID);
}

/* ---- The guest's accesses ------------------------------------------------------------------------ */

/* The latest access, in the guest's physical addresses and in its virtual ones. */
static pt_vaddr guest_physical;
static uintptr_t guest_virtual;

uintptr_t paging_address(pt_vaddr vaddr)
{
#if __riscv_xlen == 32
    /* In the linear map, as all of the kernel: each has the same address in the guest. */
    static _Alignas(4096) uintptr_t quarters[4][GUEST_ENTRIES];
    pt_vaddr quarter = vaddr >> 32;
    uintptr_t *root = quarters[quarter];

    if (root[0] == 0)
        for (unsigned i = 0; i < GUEST_ENTRIES; i++)
            root[i] = GUEST_LEAF((quarter << 32) + i * GUEST_LEAF_SIZE);
    if (READ_CSR(VSATP) != GUEST_VSATP(kernel_physical(root)))
        load_guest_tables(GUEST_VSATP(kernel_physical(root)));
#endif
    guest_physical = vaddr;
    guest_virtual = (uintptr_t)vaddr;
    return guest_virtual;
}

#define CAUSE_FETCH_PAGE_FAULT 12
#define CAUSE_FETCH_GUEST_PAGE_FAULT 20
#define CAUSE_LOAD_GUEST_PAGE_FAULT 21
#define CAUSE_STORE_GUEST_PAGE_FAULT 23

bool paging_fault(uintptr_t cause, pt_vaddr *vaddr)
{
    if (READ_CSR("stval") != guest_virtual)
        return false;
    *vaddr = (pt_vaddr)READ_CSR(HTVAL) << 2 | (guest_virtual & 3);
    if (cause != CAUSE_FETCH_PAGE_FAULT)
        return cause == CAUSE_LOAD_GUEST_PAGE_FAULT || cause == CAUSE_STORE_GUEST_PAGE_FAULT;
    *vaddr = guest_physical; /* QEMU 10.0 calls what HLVX causes a fault of a fetch, and does not set htval */
    return true;
}

/* HLVX is a load that needs the right to execute: no fetch, which has a cause of its own. */
uint32_t paging_cause(enum access access, uint32_t cause)
{
    return access == ACCESS_EXECUTE && (cause == CAUSE_LOAD_GUEST_PAGE_FAULT || cause == CAUSE_FETCH_PAGE_FAULT)
               ? CAUSE_FETCH_GUEST_PAGE_FAULT
               : cause;
}

/* ---- The guest's own tables ---------------------------------------------------------------------- */

#define ROOT_AT (UINT64_C(0x100000000) + PT_4K) /* in the guest's physical addresses */

/* A root of the guest's with one leaf, the n-th, which leads to tagged memory. */
static pt_paddr new_guest_root(struct kernel *kernel, unsigned n)
{
    pt_paddr frame = frame_new(kernel, 0);
    uintptr_t *root = (uintptr_t *)kernel_memory(frame);

    for (unsigned i = 0; i < GUEST_ENTRIES; i++)
        root[i] = i == n ? GUEST_LEAF(kernel->tagged & ~(GUEST_LEAF_SIZE - 1)) : 0;
    return frame;
}

static bool guest_reads(const struct kernel *kernel, unsigned leaf)
{
    uint64_t offset = kernel->tagged & (GUEST_LEAF_SIZE - 1), value = 0;

    guest_virtual = (uintptr_t)(leaf * GUEST_LEAF_SIZE + offset);
    return probe_guest_read(guest_virtual, &value) == 0 && value == kernel->tagged;
}

/* The walk of the guest's tables goes through the second stage; what the TLB has of it, too, ends with a flush there. */
void paging_check_flush(struct kernel *kernel)
{
    pt_paddr roots[2] = {new_guest_root(kernel, 1), new_guest_root(kernel, 2)};
    struct pt_flush flush;
    bool seen, stale;

    pt_flush_init(&flush, &kernel->table);
    map_page(kernel, ROOT_AT, roots[0], span(0), PT_READ);
    load_guest_tables(GUEST_VSATP(ROOT_AT));
    seen = guest_reads(kernel, 1);
    must(pt_remap(&kernel->table, ROOT_AT, roots[1], PT_READ, NULL, &flush), "pt_remap");
    stale = guest_reads(kernel, 1);
    check(seen, "the guest has a table of its own, at its %jx, and reads through it", ROOT_AT);
    check(stale, "remap that without flush: the TLB still has what the guest read");
    pt_flush(&flush);
    check(guest_reads(kernel, 2), "flush: the guest reads through the other frame's table");
    unmap_page(kernel, ROOT_AT);
    check(!guest_reads(kernel, 2) && probe_fault == ROOT_AT + 2 * sizeof(uintptr_t) &&
              READ_CSR(HTINST) == IMPLICIT_READ,
          "unmap: the guest's walk faults at %jx", probe_fault);
    load_guest_tables(0);
    frame_free(kernel, roots[0]);
    frame_free(kernel, roots[1]);
}
