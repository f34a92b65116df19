/* SPDX-License-Identifier: MIT */
/*
 * QEMU's "virt" machine, whatever the kernel does with it: at EL1, at EL2 (-DMACHINE_EL2), or at EL2 as a hypervisor
 * (-DMACHINE_GUEST).
 */
#ifndef VIRT_H
#define VIRT_H

#include "machine.h"

#if defined(MACHINE_EL2) || defined(MACHINE_GUEST)
#define EL "el2"
#else
#define EL "el1"
#endif

#define READ_REGISTER(name)                                                                                            \
    __extension__({                                                                                                    \
        uint64_t read_;                                                                                                \
        __asm__ volatile("mrs %0, " name : "=r"(read_) : : "memory");                                                  \
        read_;                                                                                                         \
    })
#define WRITE_REGISTER(name, value) __asm__ volatile("msr " name ", %0" : : "r"((uint64_t)(value)) : "memory")

/*
 * What PAR_EL1 holds after an AT instruction: whether there is a translation, where to, with the memory type that the
 * table says; another one ends the run.
 */
bool translated(uint64_t par, const struct page_table *table, pt_vaddr vaddr, pt_paddr *paddr);

/* What the CPU has of a format; and the check, later, that it was the whole of it: QEMU's "max" has it all. */
struct pt_format virt_detect(struct pt_format wanted);
void virt_check_detect(void);

/* Called by boot.S. */
void machine_set_up(void);
_Noreturn void trap_unexpected(uint64_t vector);

/* Shared with boot.S: where a fault goes on, 0 when none is expected; and the address it was at. */
extern uint64_t trap_resume;
extern pt_vaddr trap_vaddr;

#endif
