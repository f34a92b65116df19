/* SPDX-License-Identifier: MIT */
/* One page: what its mapping, its rights and its frame are, in both halves of the address space. */
#include <pagetable/hw.h>

#include "check.h"

/* ---- One frame, two addresses ------------------------------------------------------------------ */

void check_alias(struct kernel *kernel)
{
    pt_paddr frame = frame_new(kernel, MARK_A);
    pt_vaddr one = window(0), two = window(1) + 5 * span(1);

    group("alias: one frame at two addresses");
    map_page(kernel, one, frame, span(0), PT_READ | PT_WRITE);
    map_page(kernel, two, frame, span(0), PT_READ | PT_WRITE);
    check(reads(one, MARK_A) && writes(one, MARK_B) && reads(two, MARK_B), "what is written at %jx is read at %jx", one,
          two);
    check(kernel_memory(frame)[0] == MARK_B, "... and in the frame at %jx", frame);
    unmap_page(kernel, one);
    unmap_page(kernel, two);
    frame_free(kernel, frame);
}

/* Memory that a page table alone reaches: other bits of its address are in the entry, or another frame is seen. */
void check_far(struct kernel *kernel)
{
    pt_paddr far = machine_options.far_memory;
    pt_vaddr one = window(0), two = window(1);

    if (machine_options.check_far != NULL)
        machine_options.check_far(kernel);
    if (far == 0)
        return;
    group("far: memory that has addresses of more bits than a pointer");
    for (unsigned i = 0; i < 2; i++)
        map_page(kernel, one + i * span(0), far + i * span(0), span(0), PT_READ | PT_WRITE);
    check(writes(one, MARK_A) && writes(one + span(0), MARK_B), "it is written at %jx, frame %jx", one, far);
    for (unsigned i = 0; i < 2; i++)
        unmap_page(kernel, one + i * span(0));
    map_page(kernel, two, far & ~(span(1) - 1), span(1), PT_READ);
    two += far & (span(1) - 1);
    check(reads(two, MARK_A) && reads(two + span(0), MARK_B), "... and read through a large page at %jx", two);
    unmap_page(kernel, two);
}

/* ---- Unmapping --------------------------------------------------------------------------------- */

static void check_unmap_page(struct kernel *kernel, pt_vaddr vaddr, uint64_t page_size)
{
    struct page_table *table = kernel_table(kernel, vaddr);
    pt_paddr frame = kernel->tagged + kernel->tagged_size / 2;
    pt_paddr first = frame & ~(page_size - 1); /* the page that holds it; the rest of it is left alone */
    pt_vaddr probe = vaddr + (frame - first) + OFFSET;
    struct pt_mapping old;
    struct pt_flush flush;
    bool seen, stale;

    drop_tlb();
    map_page(kernel, vaddr, first, page_size, PT_READ | PT_WRITE);
    seen = reads(probe, frame + OFFSET);
    pt_flush_init(&flush, table);
    must(pt_unmap(table, vaddr, &old, &flush), "pt_unmap");
    stale = reads(probe, frame + OFFSET);
    check(seen, "%s, a page of %ju KiB: memory is seen at %jx", half_name(vaddr), page_size / 1024, probe);
    check(stale, "unmap without flush: the TLB still has it, so the next check means something");
    pt_flush(&flush);
    check(faults(ACCESS_READ, probe) && faults(ACCESS_WRITE, probe), "flush: read and write fault at %jx", probe);
    check(old.paddr == first && old.page_size == page_size && pt_query(table, probe, NULL) == PT_NOT_MAPPED,
          "... and the library agrees");
}

void check_unmap(struct kernel *kernel)
{
    group("unmap: pages of every size");
    for (unsigned half = 0; half < WINDOWS; half++)
        for (uint64_t sizes = machine_format->page_sizes; sizes != 0; sizes &= sizes - 1) {
            uint64_t page_size = sizes & (0 - sizes);

            check_unmap_page(kernel, window(half) + page_size, page_size);
        }
}

/* ---- Rights ------------------------------------------------------------------------------------ */

static void check_protect_page(struct kernel *kernel, pt_vaddr vaddr)
{
    pt_paddr frame = frame_new(kernel, MARK_A);
    pt_vaddr probe = vaddr + OFFSET;
    struct pt_mapping mapping;

    map_page(kernel, vaddr, frame, span(0), PT_READ | PT_WRITE);
    check(writes(probe, MARK_B) && reads(probe, MARK_B), "%s, writable: writes are taken", half_name(vaddr));
    protect_page(kernel, vaddr, PT_READ);
    check(faults(ACCESS_WRITE, probe) && reads(probe, MARK_B), "read-only: write faults at %jx, read does not", probe);
    protect_page(kernel, vaddr, PT_READ | PT_WRITE);
    check(writes(probe, MARK_A) && reads(probe, MARK_A), "writable again");

    protect_page(kernel, vaddr, 0);
    check(faults(ACCESS_READ, probe) && faults(ACCESS_WRITE, probe), "no access: read and write fault at %jx", probe);
    must(pt_query(kernel_table(kernel, vaddr), probe, &mapping), "pt_query");
    check(mapping.paddr == frame + OFFSET && mapping.page_size == span(0) &&
              (mapping.flags & (PT_READ | PT_WRITE | PT_EXECUTE)) == 0,
          "... and the library still knows the frame at %jx", frame);
    protect_page(kernel, vaddr, PT_READ | PT_WRITE);
    check(reads(probe, MARK_A), "back from no access");
    unmap_page(kernel, vaddr);
    frame_free(kernel, frame);
}

void check_protect(struct kernel *kernel)
{
    group("protect: read and write");
    for (unsigned half = 0; half < WINDOWS; half++)
        check_protect_page(kernel, window(half));
}

void check_execute(struct kernel *kernel)
{
    pt_paddr frame = frame_new(kernel, machine_return_instruction);
    pt_vaddr vaddr = window(1);

    group("protect: execute");
    machine_sync_instructions();
    map_page(kernel, vaddr, frame, span(0), PT_READ | PT_EXECUTE);
    check(!machine_access(ACCESS_EXECUTE, vaddr, NULL).faulted, "executable: code runs at %jx", vaddr);
    protect_page(kernel, vaddr, PT_READ | PT_WRITE);
    if (!kernel_has_no_execute())
        check(!machine_access(ACCESS_EXECUTE, vaddr, NULL).faulted, "no execute is not to be had: code still runs");
    else if (machine_shows_no_execute)
        check(faults(ACCESS_EXECUTE, vaddr) && reads(vaddr, machine_return_instruction),
              "no execute: fetch faults at %jx, read does not", vaddr);
    else
        note("no execute: this emulator cannot show a fetch from such a page");
    protect_page(kernel, vaddr, PT_READ | PT_EXECUTE);
    check(!machine_access(ACCESS_EXECUTE, vaddr, NULL).faulted && faults(ACCESS_WRITE, vaddr),
          "executable again: code runs, write faults");
    if (kernel_has_xnx()) {
        protect_page(kernel, vaddr, PT_READ | PT_EXECUTE | PT_USER);
        check(faults(ACCESS_EXECUTE, vaddr), "executable by the guest's lowest level: a fetch by the other faults");
    }
    unmap_page(kernel, vaddr);
    frame_free(kernel, frame);
}

void check_user(struct kernel *kernel)
{
    pt_paddr frame = frame_new(kernel, MARK_A);
    pt_vaddr vaddr = window(0);

    group("protect: user and kernel");
    map_page(kernel, vaddr, frame, span(0), PT_READ | PT_WRITE | PT_USER);
    if (machine_guards_user_pages)
        check(faults(ACCESS_READ, vaddr) && faults(ACCESS_WRITE, vaddr), "user page: the kernel faults at %jx", vaddr);
    else
        note("user page: nothing keeps this machine's kernel off");
    protect_page(kernel, vaddr, PT_READ | PT_WRITE);
    check(reads(vaddr, MARK_A), "protect: the page is the kernel's, which reads it");
    unmap_page(kernel, vaddr);
    frame_free(kernel, frame);
}

/* ---- Remapping --------------------------------------------------------------------------------- */

void check_remap(struct kernel *kernel)
{
    group("remap: another frame");
    for (unsigned half = 0; half < WINDOWS; half++) {
        pt_vaddr vaddr = window(half);
        struct page_table *table = kernel_table(kernel, vaddr);
        pt_paddr a = frame_new(kernel, MARK_A), b = frame_new(kernel, MARK_B);
        struct pt_flush flush;
        bool seen, unflushed;

        drop_tlb();
        map_page(kernel, vaddr, a, span(0), PT_READ);
        seen = reads(vaddr, MARK_A);
        pt_flush_init(&flush, table);
        must(pt_remap(table, vaddr, b, PT_READ, NULL, &flush), "pt_remap");
        pt_hw_publish(); /* the barrier that is owed, so that the walker sees the entry; nothing is invalidated */
        unflushed = reads(vaddr, machine_remap_invalidates ? MARK_B : MARK_A);
        check(seen, "%s: the first frame is seen at %jx", half_name(vaddr), vaddr);
        check(unflushed, machine_remap_invalidates
                             ? "remap without flush: pt_remap broke before it made, the second frame is seen"
                             : "remap without flush: the TLB still has the first frame");
        pt_flush(&flush);
        check(reads(vaddr, MARK_B), "flush: the second frame is seen");
        unmap_page(kernel, vaddr);
        frame_free(kernel, a);
        frame_free(kernel, b);
    }
}
