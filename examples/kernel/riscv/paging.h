/* SPDX-License-Identifier: MIT */
/*
 * What is different when the kernel's own accesses go through its table (mmu.c), and when a guest's do (guest.c). A
 * kernel has one of them.
 */
#ifndef PAGING_H
#define PAGING_H

#include "machine.h"

/* Where the accesses that may fault are the CPU's own, and where those that a hypervisor makes as its guest: boot.S. */
#ifdef MACHINE_GUEST
#define PROBE(access) probe_guest_##access
#else
#define PROBE(access) probe_##access
#endif
int PROBE(read)(uintptr_t vaddr, uint64_t *value);
int PROBE(write)(uintptr_t vaddr, const uint64_t *value);
int PROBE(execute)(uintptr_t vaddr);

/* Where the access is made that the table is to translate at vaddr. */
uintptr_t paging_address(pt_vaddr vaddr);

/* What the CPU, whose trap has this cause, says that the table did not translate. False: it is no such trap. */
bool paging_fault(uintptr_t cause, pt_vaddr *vaddr);

/* What the cause of a fault at this access should have been. */
uint32_t paging_cause(enum access access, uint32_t cause);

/* What of sstatus decides about an access. */
#ifdef MACHINE_GUEST
#define PAGING_STATE PT_CPU_MXR
#else
#define PAGING_STATE (PT_CPU_SUM | PT_CPU_MXR)
#endif

/* machine_options.check_flush */
void paging_check_flush(struct kernel *kernel);

/* machine.c: what the format asks of machine mode; the address that the latest probe faulted at. */
void set_menvcfg(const struct pt_format *format);
extern pt_vaddr probe_fault;

#define READ_CSR(name)                                                                                                 \
    __extension__({                                                                                                    \
        uintptr_t read_;                                                                                               \
        __asm__ volatile("csrr %0, " name : "=r"(read_) : : "memory");                                                 \
        read_;                                                                                                         \
    })
#define WRITE_CSR(name, value) __asm__ volatile("csrw " name ", %0" : : "r"((uintptr_t)(value)) : "memory")

#endif
