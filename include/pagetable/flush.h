/* SPDX-License-Identifier: MIT */
/* What a change owes to the TLB, and the tables that may be freed once it is paid. */
#ifndef PAGETABLE_FLUSH_H
#define PAGETABLE_FLUSH_H

#include <pagetable/format.h>
#include <pagetable/handler.h>
#include <pagetable/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct page_table;

/** The table has no ASID, PCID or VMID. */
#define PT_NO_ASID UINT32_MAX

/** Single ranges that a flush remembers before it becomes "everything". */
#define PT_FLUSH_RANGES 32

/** [vaddr, vaddr + size), mapped by pages of page_size or larger; all in bytes. May end at 2^64. */
struct pt_flush_range {
    pt_vaddr vaddr;
    uint64_t size;
    uint64_t page_size;
};

/**
 * The TLB invalidations owed and not yet carried out. Owned by the caller, usually on the stack; one
 * may gather any number of calls on the one table it was initialised for, under the lock of that table; parallel
 * writers have one each.
 * A kernel's flush_tlb reads it; nobody but the library writes it.
 */
struct pt_flush {
    const struct pt_format *format;
    const struct pt_handler *handler;
    void *ctx;

    uint32_t asid;       /**< of the table, or PT_NO_ASID: in every address space */
    bool global;         /**< global pages are among what changed: the invalidation must reach those too */
    bool everything;     /**< the ranges do not tell all: invalidate the whole address space, global entries too */
    bool tables_changed; /**< non-leaf entries changed: invalidate what the MMU caches of the upper levels, too */
    bool barrier;        /**< new entries must be made visible to the table walker */
    unsigned range_count;
    struct pt_flush_range ranges[PT_FLUSH_RANGES];

    pt_paddr retired; /**< the tables that wait for the invalidation, a list; PT_NO_FRAME: none */
};

/** Owe nothing yet. To be called once, before the first call that takes `flush`. */
void pt_flush_init(struct pt_flush *flush, const struct page_table *pt) PT_NONNULL(1, 2);

/**
 * Invalidate what is owed, by the handler's flush_tlb or this CPU's own instructions, then hand the
 * retired tables back to the handler. Afterwards nothing is owed, and `flush` may be used again.
 * The table's lock need not be held, the table may even be destroyed. Needs supervisor privilege
 * unless the handler has a flush_tlb; where the format is not the CPU's own and there is no flush_tlb,
 * no TLB holds anything and only the tables are handed back.
 */
void pt_flush(struct pt_flush *flush) PT_NONNULL(1);

/** The same without invalidating: the caller knows that no TLB holds anything of the table. */
void pt_flush_ignore(struct pt_flush *flush) PT_NONNULL(1);

/** Declare and initialise a flush for the table `pt` that carries itself out when it goes out of scope. */
#define PT_FLUSH(name, pt)                                                                                             \
    __attribute__((cleanup(pt_flush))) struct pt_flush name;                                                           \
    pt_flush_init(&name, (pt))

#ifdef __cplusplus
}
#endif

#endif
