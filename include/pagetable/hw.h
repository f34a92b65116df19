/* SPDX-License-Identifier: MIT */
/*
 * The instructions of the CPU that this is compiled for. Each <pagetable/hw/ARCH.h> gives, wherever it
 * is included, the constants of its architecture, and where it is the CPU's own:
 *
 *   pt_hw_publish()             make new entries visible to the table walker
 *   pt_hw_invalidate_begin()    order the stores to the tables before the invalidations
 *   pt_hw_invalidate(vaddr, asid, global, tables)
 *                               the page at one address; `global`: even if it is global; `tables`: and
 *                               what the MMU caches of upper levels for it. asid == PT_NO_ASID: in every
 *                               address space, global or not (LoongArch: in that of CSR.ASID)
 *   pt_hw_invalidate_asid(asid) all of one address space that is not global
 *   pt_hw_invalidate_all()      everything
 *   pt_hw_invalidate_end()      wait until they are done
 *   pt_hw_needs_all(flush)      no invalidation by address reaches all that is owed
 *   pt_hw_flush_other_regime(flush, all)
 *                               what is owed of a second stage (`all`: everything), by a hypervisor's instructions;
 *                               only with PT_HW_HAS_OTHER_REGIMES
 *
 * They act on this CPU only, except on AArch64 (inner shareable domain). All are privileged.
 */
#ifndef PAGETABLE_HW_H
#define PAGETABLE_HW_H

#include <pagetable/flush.h>

#if defined(__x86_64__)
#include <pagetable/hw/x86_64.h>
#define PT_HW_NATIVE 1
#elif defined(__i386__)
#include <pagetable/hw/x86_32.h>
#define PT_HW_NATIVE 1
#elif defined(__aarch64__)
#include <pagetable/hw/aarch64.h>
#define PT_HW_NATIVE 1
#elif defined(__arm__) && __ARM_ARCH >= 7
#include <pagetable/hw/armv7.h>
#define PT_HW_NATIVE 1
#elif defined(__riscv) && __riscv_xlen == 64
#include <pagetable/hw/riscv64.h>
#define PT_HW_NATIVE 1
#elif defined(__riscv) && __riscv_xlen == 32
#include <pagetable/hw/riscv32.h>
#define PT_HW_NATIVE 1
#elif defined(__loongarch64)
#include <pagetable/hw/loongarch64.h>
#define PT_HW_NATIVE 1
#endif

#ifdef PT_HW_NATIVE

#ifdef __cplusplus
extern "C" {
#endif

/** Single invalidations after which one of everything is cheaper. */
#ifndef PT_HW_MAX_SINGLE
#define PT_HW_MAX_SINGLE 64
#endif

/** How many single invalidations a range takes. */
static inline uint64_t pt_hw_pages(const struct pt_flush_range *range)
{
    unsigned shift = 0;

    /* Neither a division nor a count of zeros: on 32-bit CPUs these are library calls. */
    while (range->page_size >> shift > 1)
        shift++;
    return (range->size + range->page_size - 1) >> shift;
}

/** Invalidate one range of what `flush` owes; between pt_hw_invalidate_begin and pt_hw_invalidate_end. */
static inline void pt_hw_invalidate_range(const struct pt_flush *flush, const struct pt_flush_range *range)
{
    pt_vaddr vaddr = range->vaddr;

    for (uint64_t pages = pt_hw_pages(range); pages > 0; pages--, vaddr += range->page_size)
        pt_hw_invalidate(vaddr, flush->asid, flush->global, flush->tables_changed);
}

/** Carry out what `flush` owes on this CPU: what an inter-processor interrupt does on the others. */
static inline void pt_hw_flush(const struct pt_flush *flush)
{
    bool all = flush->everything || (flush->range_count > 0 && pt_hw_needs_all(flush));
    uint64_t pages = 0;

    for (unsigned i = 0; i < flush->range_count; i++)
        pages += pt_hw_pages(&flush->ranges[i]);

    if (flush->barrier)
        pt_hw_publish();
    if (!all && pages == 0)
        return;

#ifdef PT_HW_HAS_OTHER_REGIMES
    if (flush->format->features & (PT_FEATURE_SECOND_STAGE | PT_FEATURE_EL2)) {
        pt_hw_flush_other_regime(flush, all || pages > PT_HW_MAX_SINGLE);
        return;
    }
#endif
    pt_hw_invalidate_begin();
    if (!all && pages <= PT_HW_MAX_SINGLE)
        for (unsigned i = 0; i < flush->range_count; i++)
            pt_hw_invalidate_range(flush, &flush->ranges[i]);
    else if (flush->global || flush->asid == PT_NO_ASID)
        pt_hw_invalidate_all();
    else
        pt_hw_invalidate_asid(flush->asid);
    pt_hw_invalidate_end();
}

#ifdef __cplusplus
}
#endif

#endif /* PT_HW_NATIVE */
#endif
