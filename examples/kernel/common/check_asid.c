/* SPDX-License-Identifier: MIT */
/* Address spaces with ASIDs: changed without a flush, flushed one by one. */
#include "check.h"

/* The kernel's own mappings are global: they are the same in all. */
static void make(struct kernel *kernel, struct page_table *table, uint32_t asid)
{
    must(pt_create(table, machine_format, &kernel_handler, kernel), "pt_create");
    kernel_map_linear(table);
    pt_set_asid(table, asid);
}

static void map(struct page_table *table, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags)
{
    PT_FLUSH(flush, table);

    must(pt_map(table, vaddr, paddr, span(0), flags, &flush), "pt_map");
}

static void check_switch(struct page_table *one, struct page_table *two, pt_vaddr vaddr)
{
    bool first, second, again;

    machine_load_root(one);
    first = reads(vaddr, MARK_A);
    machine_load_root(two);
    second = reads(vaddr, MARK_B);
    machine_load_root(one);
    again = reads(vaddr, MARK_A);
    check(first && second && again, "ASIDs 1, 2, 1 without a flush: each has its own frame at %jx", vaddr);
}

static void check_flush_of_one(struct page_table *one, struct page_table *two, pt_vaddr vaddr, pt_paddr frame)
{
    struct pt_flush flush;
    bool current, other, gone;

    pt_flush_init(&flush, one);
    machine_load_root(two);
    other = reads(vaddr, MARK_B);
    machine_load_root(one);
    current = reads(vaddr, MARK_A);
    must(pt_unmap(one, vaddr, NULL, &flush), "pt_unmap");
    current = current && reads(vaddr, MARK_A);
    check(current && flush.asid == 1 && !flush.global, "unmap in 1 without flush: the TLB still has the page");
    pt_flush(&flush);
    gone = faults(ACCESS_READ, vaddr);
    machine_load_root(two);
    check(other && gone && reads(vaddr, MARK_B), "flush: read faults in 1, and 2 still has its frame");

    /* The same from outside. */
    map(one, vaddr, frame, PT_READ);
    machine_load_root(one);
    current = reads(vaddr, MARK_A);
    machine_load_root(two);
    must(pt_unmap(one, vaddr, NULL, &flush), "pt_unmap");
    pt_flush(&flush);
    other = reads(vaddr, MARK_B);
    machine_load_root(one);
    check(current && other && faults(ACCESS_READ, vaddr), "unmap in 1 and flush, while 2 runs: the same");
}

/* Two pages: an entry of LoongArch's TLB is global only if both of its pages are. */
static void check_global(struct page_table *one, struct page_table *two, pt_vaddr vaddr, pt_paddr frame)
{
    const pt_flags flags = PT_READ | PT_GLOBAL;
    struct pt_flush flush;
    bool first, second, other;

    for (unsigned i = 0; i < 2; i++) {
        map(one, vaddr + i * span(0), frame, flags);
        map(two, vaddr + i * span(0), frame, flags);
    }
    machine_load_root(one);
    first = reads(vaddr, MARK_A);
    machine_load_root(two);
    second = reads(vaddr, MARK_A);
    check(first && second, "a global page is seen in 1 and 2 at %jx", vaddr);

    pt_flush_init(&flush, two);
    must(pt_unmap(two, vaddr, NULL, &flush), "pt_unmap");
    pt_flush_ignore(&flush); /* that of the other reaches this one */
    pt_flush_init(&flush, one);
    must(pt_unmap(one, vaddr, NULL, &flush), "pt_unmap");
    pt_flush(&flush);
    other = faults(ACCESS_READ, vaddr);
    machine_load_root(one);
    check(other && faults(ACCESS_READ, vaddr), "unmapped in both, flushed in 1: read faults in both");
}

void check_asid(struct kernel *kernel)
{
    pt_vaddr vaddr = window(0);
    struct page_table one, two;
    size_t before = kernel->tables;
    pt_paddr a, b;

    group("ASIDs: two address spaces in one TLB");
    if (!machine_has_asids) {
        note("this machine has none");
        return;
    }
    a = frame_new(kernel, MARK_A);
    b = frame_new(kernel, MARK_B);
    make(kernel, &one, 1);
    make(kernel, &two, 2);
    map(&one, vaddr, a, PT_READ);
    map(&two, vaddr, b, PT_READ);
    check_switch(&one, &two, vaddr);
    check_flush_of_one(&one, &two, vaddr, a);
    if (!kernel_is_hypervisor())
        check_global(&one, &two, vaddr + span(1), a);
    kernel_run_on(kernel, &kernel->table);
    pt_destroy(&one);
    pt_destroy(&two);
    frame_free(kernel, a);
    frame_free(kernel, b);
    check(kernel->tables == before, "back on the kernel's own table, which has no ASID");
}
