/* SPDX-License-Identifier: MIT */
/* The kernel translates its own addresses: CR3. */
#include "console.h"
#include "explain.h"
#include "paging.h"

#include <pagetable/hw/x86_64.h>

const struct pt_format *const machine_format = &MACHINE_FORMAT;
const bool machine_guards_user_pages = true;
const bool machine_has_asids = false; /* QEMU has no PCIDs */

void paging_set_up(void)
{
}

static void check_detect(void)
{
    struct pt_format own = pt_x86_64_detect();

    check(own.levels == machine_format->levels && own.page_sizes == machine_format->page_sizes &&
              own.features == machine_format->features && own.pa_bits >= 36 && own.pa_bits <= machine_format->pa_bits,
          "this CPU runs with %u levels, and has pages of sizes %jx and %u physical address bits", own.levels,
          own.page_sizes, own.pa_bits);
}

/* ---- Explained accesses -------------------------------------------------------------------------- */

static const struct pt_format *own_format(void)
{
    static struct pt_format format;

    format = pt_x86_64_detect();
    return &format;
}

static struct machine_fault explained_access(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu,
                                             uint64_t *value)
{
    struct machine_fault fault;

    (void)user;
    x86_set_state(cpu);
    fault = probe_access(access, vaddr, value);
    x86_set_state(X86_USUAL_STATE);
    return fault;
}

static const struct machine_explain explain = {
    .cpu = X86_USUAL_STATE,
    .format = own_format,
    .access = explained_access,
    .emulated = x86_emulated,
};
const struct machine_options machine_options = {.check_detect = check_detect, .explain = &explain};

pt_vaddr paging_address(pt_vaddr vaddr)
{
    return vaddr;
}

extern char boot_root[]; /* boot.S: the table that long mode was reached with */

void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper)
{
    uint64_t cr4;

    (void)upper;                                 /* one root for both halves */
    write_msr(PT_X86_64_MSR_PAT, PT_X86_64_PAT); /* as after reset; but who knows what ran before */
    pt_hw_load_root(lower);

    /* Global pages, and the kernel neither runs (SMEP) nor touches (SMAP) what is the user's. */
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= PT_X86_64_CR4_PGE | PT_X86_64_CR4_SMEP | PT_X86_64_CR4_SMAP;
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
    pt_hw_invalidate_all(); /* what was global under another root is still there */
}

void machine_load_root(const struct page_table *lower)
{
    pt_hw_load_root(lower);
}

void machine_disable_mmu(void)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(boot_root) : "memory");
    pt_hw_invalidate_all(); /* what was global is still there */
}
