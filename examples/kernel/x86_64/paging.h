/* SPDX-License-Identifier: MIT */
/*
 * What is different when the kernel's own accesses go through its table (mmu.c), and when it is a guest and they go
 * through nested tables (guest.c). A kernel has one of them.
 */
#ifndef PAGING_H
#define PAGING_H

#include "machine.h"

/* Once, before anything else. */
void paging_set_up(void);

/* Where the CPU accesses what the table calls vaddr. */
pt_vaddr paging_address(pt_vaddr vaddr);

/* machine.c: where a probe goes on when it faults, and with which stack; what it does; the address that it faulted at. */
extern uint64_t probe_resume, probe_stack;
extern enum access probe_kind;
extern pt_vaddr probe_fault;

/* Of an access that is explained: the fault is noted, whatever it is. */
extern bool probe_explains;
extern struct machine_fault probe_report;

/* machine.c: machine_explain.access, but for the state of the CPU */
struct machine_fault probe_access(enum access access, pt_vaddr vaddr, uint64_t *value);

static inline void write_msr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)) : "memory");
}

static inline uint64_t read_msr(uint32_t msr)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (uint64_t)high << 32 | low;
}

#endif
