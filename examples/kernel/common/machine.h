/* SPDX-License-Identifier: MIT */
/*
 * What the kernel needs of a machine; one examples/kernel/ARCH/ directory provides it, in three files:
 *
 *   boot.S     from reset to kernel_main(), with a stack of 64 KiB, .bss cleared, traps set up
 *              (or by machine.c), the MMU off or the boot protocol's smallest table on
 *   machine.c  all that is declared here
 *   link.ld    the image, one segment, .text first; page-aligned symbols kernel_text_start,
 *              kernel_text_end and kernel_end, addresses at which the kernel runs
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <pagetable/inspect.h>

struct kernel;

/* A part of the physical address space that the kernel uses: mapped at vaddr == paddr. */
struct machine_region {
    const char *name;
    pt_paddr paddr;
    uint64_t size;
    pt_flags flags; /* of its data; the kernel's own code is mapped executable whatever stands here */
};

/* As run.sh names the kernel: "x86_64", "riscv64-sv39", ... */
extern const char machine_name[];
extern const struct pt_format *const machine_format;

/* RAM (at least 128 MiB, the kernel in it) first; then serial line, exit device. Ends with size == 0. */
extern const struct machine_region machine_regions[];

/*
 * The kernel runs, and sees physical memory, at paddr + this, before and after the MMU is on: 0 where it
 * runs in the identity map, the base of the direct-mapped window on LoongArch.
 */
extern const uintptr_t machine_linear_offset;

enum access {
    ACCESS_READ,
    ACCESS_WRITE,
    ACCESS_EXECUTE
};

/* What came of an access: nothing, or a fault and the address the CPU reported. */
struct access_result {
    bool faulted;
    pt_vaddr vaddr;
};

void machine_put_char(char c);
_Noreturn void machine_exit(bool passed);

/*
 * Load the roots, and turn the MMU on unless it is; nothing of other tables is in the TLB then. `upper` is the
 * table of the upper half where it has a root of its own (PT_EITHER_HALF: AArch64's TTBR1); elsewhere it is
 * the same table as `lower`. If the format of `lower` tracks accesses, the hardware is told to record them.
 */
void machine_enable_mmu(const struct page_table *lower, const struct page_table *upper);

/*
 * Another table for the lower half, with its ASID: nothing is dropped from the TLB. It shows one address space
 * each, then, unless there are no ASIDs.
 */
void machine_load_root(const struct page_table *lower);
extern const bool machine_has_asids;

/* The hardware can be made to set accessed and dirty bits. */
extern const bool machine_tracks_access;

/*
 * Back to what was before machine_enable_mmu: MMU off, or the boot table. When it returns, neither
 * registers nor TLB hold anything of the tables.
 */
void machine_disable_mmu(void);

/*
 * One access of 64 bits at vaddr as the kernel, kept off user pages, with faults caught. READ fills
 * *value, WRITE stores it. ACCESS_EXECUTE calls vaddr, where machine_return_instruction must stand, and
 * does not use value (may be NULL).
 */
struct access_result machine_access(enum access access, pt_vaddr vaddr, uint64_t *value);

/* What is written to memory for ACCESS_EXECUTE to return from; and making it visible to instruction fetch. */
extern const uint32_t machine_return_instruction;
void machine_sync_instructions(void);

/* Whether the emulator can show a fetch from a no-execute page, and the kernel kept off user pages. */
extern const bool machine_shows_no_execute;
extern const bool machine_guards_user_pages;

/*
 * pt_remap to another frame invalidates on its own, in the middle (break-before-make). Its flush owes no more
 * than a barrier then, and the old frame is not seen even before it.
 */
extern const bool machine_remap_invalidates;

/*
 * What the hardware walker says of vaddr: whether it translates for a read by a kernel that is let at
 * user pages, and where to. Where machine_translate_reads, it does so by reading 8 bytes at vaddr (which
 * is 8-aligned): the answer is only good for memory that holds its own physical address.
 */
bool machine_translate(pt_vaddr vaddr, pt_paddr *paddr);
extern const bool machine_translate_reads;

/* What the CPU reports of an access, in the terms of struct pt_explanation. */
struct machine_fault {
    bool faulted;
    uint32_t exception;
    uint64_t code;
};

/* How the check "explain" makes accesses, and finds out what has come of them. */
struct machine_explain {
    uint32_t cpu;  /* PT_CPU_..., OR-ed: what of its state the CPU has, and can be switched */
    bool has_user; /* there is a way to make the user's accesses */

    /* Before the first of them, and after the last one: what the user's accesses take. NULL: nothing. */
    void (*begin)(struct kernel *kernel);
    void (*end)(struct kernel *kernel);

    /* machine_format with no more than this CPU has: reserved bits are reserved. NULL: it is so already. */
    const struct pt_format *(*format)(void);

    /* As machine_access, by the user if that is said; the CPU is in the state `cpu` for that long. */
    struct machine_fault (*access)(enum access access, bool user, pt_vaddr vaddr, uint32_t cpu, uint64_t *value);

    /*
     * Where the emulator does not do as the manual says, and the explanation, change the latter; false: it is not to be
     * tried at all. NULL: it does.
     */
    bool (*emulated)(struct pt_explanation *e);
};

/* What not every machine has: NULL, or 0, where it has not. */
struct machine_options {
    /* Checks that the library's helper, which asks the CPU what it has, finds what this one is known to have. */
    void (*check_detect)(void);

    /* The handler's flush_tlb, where the library does not invalidate by itself: with nested tables of x86. */
    void (*flush_tlb)(void *ctx, const struct pt_flush *flush);

    /* Looks at what else the flushes of this machine have to reach. */
    void (*check_flush)(struct kernel *kernel);

    const struct machine_explain *explain;

    /* Whether the hardware's walk lets the kernel write at vaddr, without writing. */
    bool (*translate_write)(pt_vaddr vaddr);

    /* Whether the hardware's walk lets code at the lowest privilege read (or write) at vaddr. */
    bool (*user_may)(enum access access, pt_vaddr vaddr);

    /* Two small pages of RAM that the kernel's pointers do not reach, or 0; or a check of its own of such memory. */
    pt_paddr far_memory;
    void (*check_far)(struct kernel *kernel);
};
extern const struct machine_options machine_options;

/* ---- What the kernel offers to the machine ------------------------------------------------------ */

_Noreturn void kernel_main(void);

/* For a trap that nobody asked for: print it and end with a failing status. */
_Noreturn void kernel_panic(const char *what, uint64_t cause, uint64_t pc, pt_vaddr vaddr);

#endif
