/* SPDX-License-Identifier: MIT */
/*
 * The operations in lists, of a table and of a format: OPERATION(`return` or nothing, result, name, parameters,
 * arguments, ...). From them come the members of struct pt_operations, which point to the engine's engine_NAME as
 * compiled for a family, and the calls pt_NAME, which go through them (or, with PT_ONLY_FORMAT, straight to
 * engine_NAME). The public ones are documented in <pagetable/pagetable.h>.
 */
#ifndef PT_OPERATIONS_H
#define PT_OPERATIONS_H

#include <pagetable/pagetable.h>

/* Not for adopted tables. */
#define PT_OWN_TABLE_OPERATIONS(OPERATION)                                                                             \
    OPERATION(return, enum pt_status, map,                                                                             \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,       \
                     struct pt_flush *flush),                                                                          \
                    (pt, vaddr, paddr, page_size, flags, flush))                                                       \
    OPERATION(return, enum pt_status, unmap,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, struct pt_mapping * old, struct pt_flush * flush),        \
                    (pt, vaddr, old, flush))                                                                           \
    OPERATION(                                                                                                         \
        return, enum pt_status, protect,                                                                               \
              (struct page_table * pt, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size, struct pt_flush *flush),   \
              (pt, vaddr, flags, page_size, flush))                                                                    \
    OPERATION(return, enum pt_status, remap,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t *page_size,      \
                     struct pt_flush *flush),                                                                          \
                    (pt, vaddr, paddr, flags, page_size, flush))                                                       \
    OPERATION(return, enum pt_status, map_region,                                                                      \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,            \
                     unsigned options, struct pt_flush *flush),                                                        \
                    (pt, vaddr, paddr, size, flags, options, flush))                                                   \
    OPERATION(return, enum pt_status, map_region_with,                                                                 \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr(*get_paddr)(void *arg, pt_vaddr vaddr),          \
                     void *arg, uint64_t size, pt_flags flags, unsigned options, struct pt_flush *flush),              \
                    (pt, vaddr, get_paddr, arg, size, flags, options, flush))                                          \
    OPERATION(return, enum pt_status, unmap_region,                                                                    \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, unsigned options, struct pt_flush *flush), \
                    (pt, vaddr, size, options, flush))                                                                 \
    OPERATION(return, enum pt_status, protect_region,                                                                  \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, pt_flags flags, unsigned options,          \
                     struct pt_flush *flush),                                                                          \
                    (pt, vaddr, size, flags, options, flush))                                                          \
    OPERATION(return, enum pt_status, count_tables,                                                                    \
                    (const struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,       \
                     unsigned options, size_t *count),                                                                 \
                    (pt, vaddr, paddr, size, flags, options, count))                                                   \
    OPERATION(return, enum pt_status, split,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t page_size, struct pt_flush *flush),              \
                    (pt, vaddr, page_size, flush))                                                                     \
    OPERATION(return, enum pt_status, collapse,                                                                        \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush),                   \
                    (pt, vaddr, size, flush))                                                                          \
    OPERATION(return, enum pt_status, prune,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush),                   \
                    (pt, vaddr, size, flush))                                                                          \
    /* Internal: pt_clear_accessed and pt_clear_dirty. */                                                              \
    OPERATION(return, enum pt_status, clear_recorded,                                                                  \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, pt_flags recorded, pt_visitor visitor,     \
                     void *arg, struct pt_flush *flush),                                                               \
                    (pt, vaddr, size, recorded, visitor, arg, flush))                                                  \
    OPERATION(return, enum pt_status, copy_from,                                                                       \
                    (struct page_table * pt, const struct page_table *source, pt_vaddr vaddr, uint64_t size,           \
                     struct pt_flush *flush),                                                                          \
                    (pt, source, vaddr, size, flush))                                                                  \
    /* Internal: allocate the root of a table that `prepare` was done with. */                                         \
    OPERATION(return, enum pt_status, make_root, (struct page_table * pt), (pt))                                       \
    /* Internal: free every table but what is borrowed. */                                                             \
    OPERATION(, void, free_tables, (struct page_table * pt), (pt))

#define PT_TABLE_OPERATIONS(OPERATION)                                                                                 \
    PT_OWN_TABLE_OPERATIONS(OPERATION)                                                                                 \
    OPERATION(return, enum pt_status, query, (const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out),    \
                    (pt, vaddr, out))

/* The last of these is what has the format. */
#define PT_FORMAT_OPERATIONS(OPERATION)                                                                                  \
    /* Check the format and write it and its measures into *pt, which is all zero, and stays so with PT_BAD_FORMAT. */   \
    OPERATION(                                                                                                           \
        return, enum pt_status, prepare,                                                                                 \
              (struct page_table * pt, const struct pt_format *format, const struct pt_handler *handler, void *ctx),     \
              (pt, format, handler, ctx), format)                                                                        \
    /*                                                                                                                 \
     * What an entry means, to the MMU or to the library, which has marks of its own in what the MMU does not look at. \
     * `above` is the `seen` of the entry that led here, 0 for the root's.                                              \
     */ \
    OPERATION(, void, decode,                                                                                            \
              (const struct page_table *pt, unsigned level, size_t index, uint64_t bits, uint64_t above, bool as_mmu,    \
               struct pt_decoded *out),                                                                                  \
              (pt, level, index, bits, above, as_mmu, out), pt->format)                                                  \
    /* Give the tables that wait in `flush` back to the handler. */                                                      \
    OPERATION(, void, free_retired, (struct pt_flush * flush), (flush), flush->format)                                   \
    /* Carry out what `flush` owes by this CPU's instructions, if the format is its own. */                              \
    OPERATION(, void, invalidate, (const struct pt_flush *flush), (flush), flush->format)

/* An entry, as the MMU takes it. */
struct pt_decoded {
    enum {
        PT_ENTRY_EMPTY,
        PT_ENTRY_TABLE,
        PT_ENTRY_LEAF
    } kind;
    unsigned group;     /* log2 of the neighbours that are one page together */
    pt_paddr paddr;     /* the table's, or what the first address that this entry translates leads to */
    pt_flags flags;     /* what a leaf allows, with what the entries above leave of it */
    uint64_t seen;      /* the entry with the limits from above; the `above` of what lies below */
    uint64_t malformed; /* bits that make the MMU fault */
};

#define PT_TABLE_OPERATION_MEMBER(returns, result, name, parameters, arguments) result(*name) parameters;
#define PT_FORMAT_OPERATION_MEMBER(returns, result, name, parameters, arguments, format) result(*name) parameters;
struct pt_operations {
    PT_TABLE_OPERATIONS(PT_TABLE_OPERATION_MEMBER)
    PT_FORMAT_OPERATIONS(PT_FORMAT_OPERATION_MEMBER)
    const struct pt_mmu *mmu; /* for pt_explain; NULL: it goes by the flags alone */
};

#define PT_TABLE_OPERATION_CALL(returns, result, name, parameters, arguments) result pt_##name parameters;
#define PT_FORMAT_OPERATION_CALL(returns, result, name, parameters, arguments, format) result pt_##name parameters;
PT_TABLE_OPERATIONS(PT_TABLE_OPERATION_CALL)
PT_FORMAT_OPERATIONS(PT_FORMAT_OPERATION_CALL)

#undef PT_TABLE_OPERATION_MEMBER
#undef PT_FORMAT_OPERATION_MEMBER
#undef PT_TABLE_OPERATION_CALL
#undef PT_FORMAT_OPERATION_CALL

#endif
