/* SPDX-License-Identifier: MIT */
/* What this small kernel is made of. */
#ifndef KERNEL_H
#define KERNEL_H

#include <pagetable/frame_pool.h>
#include <pagetable/pagetable.h>

#include "machine.h"

struct kernel {
    struct pt_frame_pool pool; /* all RAM behind the kernel's image */
    size_t free_at_start;      /* frames in the pool before the first table was made */
    size_t tables;             /* frames that are tables now */
    size_t most_tables;        /* ... and that ever were at once */
    struct page_table table;   /* the lower half, and the upper one unless that has a root of its own */
    struct page_table high;    /* the upper half where it has a root of its own, else unused */
    pt_paddr tagged;           /* memory in which every 8 bytes hold their own physical address */
    uint64_t tagged_size;
};

/* In link.ld: where the image's parts lie, as the kernel sees them. */
extern char kernel_text_start[], kernel_text_end[], kernel_end[];

/* Whether the upper half has a root of its own. */
static inline bool kernel_has_two_roots(const struct kernel *kernel)
{
    return kernel->table.format->address_space == PT_EITHER_HALF;
}

/*
 * Where the upper half of all addresses starts. Where these have no sign, the kernel may lie anywhere below their last
 * quarter, which is called the upper half then.
 */
static inline pt_vaddr kernel_upper_half(void)
{
    unsigned bits = machine_format->va_bits;

    if (machine_format->address_space == PT_ZERO_EXTENDED)
        return UINT64_C(3) << (bits - 2);
    return 0 - (UINT64_C(1) << (machine_format->address_space == PT_EITHER_HALF ? bits : bits - 1));
}

static inline bool kernel_is_upper(pt_vaddr vaddr)
{
    return vaddr >= kernel_upper_half();
}

/* Behind the last address; 0 where that is 2^64. */
static inline pt_vaddr kernel_end_of_addresses(void)
{
    return machine_format->address_space == PT_ZERO_EXTENDED ? UINT64_C(1) << machine_format->va_bits : 0;
}

/* Whether the table is one that a hypervisor gives to a guest. */
static inline bool kernel_is_hypervisor(void)
{
    return (machine_format->features & PT_FEATURE_SECOND_STAGE) != 0;
}

/* Whether the kernel itself runs in the table: not as a hypervisor, except on x86, where it is its own guest. */
static inline bool kernel_runs_in_table(void)
{
#if defined(__x86_64__)
    return true;
#else
    return !kernel_is_hypervisor();
#endif
}

/* Whether the table knows privileges and global pages. A second stage does not, nor does EL2 of AArch64. */
static inline bool kernel_has_privileges(void)
{
    return (machine_format->features & (PT_FEATURE_SECOND_STAGE | PT_FEATURE_EL2)) == 0;
}

/* The table in which vaddr is mapped. */
static inline struct page_table *kernel_table(struct kernel *kernel, pt_vaddr vaddr)
{
    return kernel_has_two_roots(kernel) && kernel_is_upper(vaddr) ? &kernel->high : &kernel->table;
}

/* Whether a second stage of AArch64 has pages that either level of the guest executes, and not the other. */
static inline bool kernel_has_xnx(void)
{
    return (machine_format->features & PT_FEATURE_XNX) != 0;
}

/* Where the kernel reads and writes physical memory, and the way back. */
static inline uint64_t *kernel_memory(pt_paddr paddr)
{
    return (uint64_t *)(uintptr_t)(paddr + machine_linear_offset);
}

static inline pt_paddr kernel_physical(const void *memory)
{
    return (uintptr_t)memory - machine_linear_offset;
}

static inline size_t kernel_frames(uint64_t size)
{
    return (size_t)(size / PT_FRAME_SIZE);
}

/* Frames that a table below the root takes: it is as large as the smallest page, or less. */
static inline size_t kernel_table_frames(void)
{
    return kernel_frames(UINT64_C(1) << machine_format->page_shift);
}

/* Whether a page can be read and not executed: on x86 only with EFER.NXE. */
static inline bool kernel_has_no_execute(void)
{
#if defined(__x86_64__) || defined(__i386__)
    return (machine_format->features & PT_FEATURE_NX) != 0;
#else
    return true;
#endif
}

/* memory.c: the frame pool, tagged memory; and a handler that counts tables, with a struct kernel as its ctx. */
void kernel_set_up_memory(struct kernel *kernel);
extern struct pt_handler kernel_handler;

/* main.c: map all that the kernel uses, paddr to paddr, with the largest pages that fit. */
void kernel_map_linear(struct page_table *table);

/* main.c: from now on *table translates; but for the upper half where that has a root of its own. */
void kernel_run_on(struct kernel *kernel, const struct page_table *table);

/* The checks; each leaves nothing mapped, and ends the run when it sees a wrong result. main.c has their order. */

/* check_table.c */
void check_linear_map(struct kernel *kernel);
void check_region(struct kernel *kernel);
void check_destroy(struct kernel *kernel); /* the last one: turns the MMU off */

/* check_page.c */
void check_alias(struct kernel *kernel);
void check_far(struct kernel *kernel);
void check_unmap(struct kernel *kernel);
void check_protect(struct kernel *kernel);
void check_execute(struct kernel *kernel);
void check_user(struct kernel *kernel);
void check_remap(struct kernel *kernel);

/* check_flush.c */
void check_holes(struct kernel *kernel);
void check_flush(struct kernel *kernel);

/* check_reshape.c */
void check_reshape(struct kernel *kernel);

/* check_records.c */
void check_records(struct kernel *kernel);

/* check_asid.c */
void check_asid(struct kernel *kernel);

/* check_explain.c */
void check_explain(struct kernel *kernel);

/* check_random.c: so many pages, of these sizes, OR-ed */
void check_random(struct kernel *kernel, size_t pages, uint64_t sizes);

#endif
