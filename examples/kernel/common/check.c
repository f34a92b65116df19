/* SPDX-License-Identifier: MIT */
#include "check.h"

#include <pagetable/hw.h>

/*
 * The kernel may lie anywhere but there. Of 32 bits, ARMv7's RAM is from one quarter on, RISC-V's from one half; of 34,
 * from one eighth.
 */
pt_vaddr window(unsigned half)
{
    pt_vaddr eighth = UINT64_C(1) << (machine_format->va_bits - 3);

    if (half != 0)
        return kernel_end_of_addresses() - 2 * eighth;
    return machine_regions[0].paddr == eighth ? 3 * eighth : eighth;
}

pt_vaddr fresh(unsigned half)
{
    uint64_t root_entry = span(machine_format->levels - 1u), apart = UINT64_C(1) << (machine_format->va_bits - 4);
    pt_vaddr start = window(half) & ~(root_entry - 1);

    if (apart < root_entry)
        apart = root_entry;
    start = half == 0 ? start + apart : start - apart;
    /* Where the root has few entries, RAM may be in this one. */
    return start == (machine_regions[0].paddr & ~(root_entry - 1)) ? start + apart : start;
}

const char *half_name(pt_vaddr vaddr)
{
    return kernel_is_upper(vaddr) ? "upper half" : "lower half";
}

void must(enum pt_status status, const char *call)
{
    if (status != PT_OK)
        check(false, "%s: %s", call, pt_status_name(status));
}

void map_page(struct kernel *kernel, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    PT_FLUSH(flush, kernel_table(kernel, vaddr));

    must(pt_map(kernel_table(kernel, vaddr), vaddr, paddr, page_size, flags, &flush), "pt_map");
}

void unmap_page(struct kernel *kernel, pt_vaddr vaddr)
{
    PT_FLUSH(flush, kernel_table(kernel, vaddr));

    must(pt_unmap(kernel_table(kernel, vaddr), vaddr, NULL, &flush), "pt_unmap");
}

void protect_page(struct kernel *kernel, pt_vaddr vaddr, pt_flags flags)
{
    PT_FLUSH(flush, kernel_table(kernel, vaddr));

    must(pt_protect(kernel_table(kernel, vaddr), vaddr, flags, NULL, &flush), "pt_protect");
}

bool reads(pt_vaddr vaddr, uint64_t wanted)
{
    uint64_t value = ~wanted;

    return !machine_access(ACCESS_READ, vaddr, &value).faulted && value == wanted;
}

bool writes(pt_vaddr vaddr, uint64_t value)
{
    return !machine_access(ACCESS_WRITE, vaddr, &value).faulted;
}

bool faults(enum access access, pt_vaddr vaddr)
{
    uint64_t value = 0;
    struct access_result result = machine_access(access, vaddr, &value);

    if (result.faulted && result.vaddr != vaddr)
        note("the CPU reports %jx for an access at %jx", result.vaddr, vaddr);
    return result.faulted && result.vaddr == vaddr;
}

uint64_t page_size_at(const struct page_table *table, pt_vaddr vaddr)
{
    struct pt_mapping mapping;

    return pt_query(table, vaddr, &mapping) == PT_OK ? mapping.page_size : 0;
}

void drop_tlb(void)
{
    const struct pt_flush all = {.format = machine_format, .asid = PT_NO_ASID, .global = true, .everything = true};

    if (machine_options.flush_tlb != NULL)
        machine_options.flush_tlb(NULL, &all);
    else
        pt_hw_flush(&all);
}

pt_paddr frame_new(struct kernel *kernel, uint64_t mark)
{
    pt_paddr frame = pt_frame_pool_alloc(&kernel->pool, kernel_frames(span(0)), (size_t)span(0));

    if (frame == PT_NO_FRAME)
        check(false, "the frame pool is empty");
    kernel_memory(frame)[0] = mark;
    kernel_memory(frame + OFFSET)[0] = mark;
    return frame;
}

void frame_free(struct kernel *kernel, pt_paddr frame)
{
    pt_frame_pool_dealloc(&kernel->pool, frame, kernel_frames(span(0)));
}
