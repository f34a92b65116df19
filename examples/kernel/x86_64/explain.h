/* SPDX-License-Identifier: MIT */
/* What of an x86 decides about an access, and where QEMU is different: 32 and 64 bits. */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include <pagetable/hw.h>

#include "machine.h"

#define X86_USUAL_STATE (PT_CPU_WP | PT_CPU_SMEP | PT_CPU_SMAP)

static inline void x86_set_state(uint32_t cpu)
{
    uintptr_t cr0, cr4, smep = (uintptr_t)PT_X86_64_CR4_SMEP, smap = (uintptr_t)PT_X86_64_CR4_SMAP;
    uintptr_t wp = (uintptr_t)PT_X86_64_CR0_WP;

    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr0 = (cr0 & ~wp) | (cpu & PT_CPU_WP ? wp : 0);
    cr4 = (cr4 & ~(smep | smap)) | (cpu & PT_CPU_SMEP ? smep : 0) | (cpu & PT_CPU_SMAP ? smap : 0);
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

/* QEMU 10.0 does not set P with RSVD, as the manuals want it (SDM vol. 3A 4.7). */
static inline bool x86_emulated(struct pt_explanation *e)
{
    if (e->reason == PT_REASON_MALFORMED)
        e->code &= ~UINT64_C(1);
    /* Nor does it look at the reserved bits 8:6 and 2:1 of a PAE root's entry. */
    return machine_format->levels != 3 || (e->step[0].bits & UINT64_C(0x1c6)) == 0;
}

#endif
