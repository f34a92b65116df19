/* SPDX-License-Identifier: MIT */
/* The kernel runs on the table. */
#include <pagetable/hw.h>

#include "paging.h"

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    (void)upper; /* one root for both halves */
    set_menvcfg(lower->format);
    pt_hw_load_root(lower);
    if (READ_CSR("satp") != pt_riscv_satp(lower, 0))
        kernel_panic("satp, the hart does not have this mode", READ_CSR("satp"), 0, 0);
}

/* Not pt_hw_load_root, which forgets everything. */
void machine_load_root(const struct page_table *lower)
{
    WRITE_CSR("satp", pt_riscv_satp(lower, lower->asid == PT_NO_ASID ? 0 : lower->asid));
}

void machine_disable_mmu(void)
{
    WRITE_CSR("satp", 0);
    pt_hw_invalidate_all();
}

uintptr_t paging_address(pt_vaddr vaddr)
{
    return (uintptr_t)vaddr;
}

#define CAUSE_FETCH_PAGE_FAULT 12
#define CAUSE_LOAD_PAGE_FAULT 13
#define CAUSE_STORE_PAGE_FAULT 15

bool paging_fault(uintptr_t cause, pt_vaddr *vaddr)
{
    *vaddr = READ_CSR("stval");
    return cause == CAUSE_FETCH_PAGE_FAULT || cause == CAUSE_LOAD_PAGE_FAULT || cause == CAUSE_STORE_PAGE_FAULT;
}

uint32_t paging_cause(enum access access, uint32_t cause)
{
    (void)access;
    return cause;
}

void paging_check_flush(struct kernel *kernel)
{
    (void)kernel; /* nothing else */
}
