/* SPDX-License-Identifier: MIT */
/*
 * The operations of a format, in one list: OPERATION(`return` or nothing, result, name, parameters,
 * arguments, the format). From it come the members of struct pt_operations, which point to the engine's
 * engine_NAME as compiled for a family, and the public calls pt_NAME, which go through them (or, with
 * PT_ONLY_FORMAT, straight to engine_NAME). The public ones are documented in <pagetable/pagetable.h>.
 */
#ifndef PT_OPERATIONS_H
#define PT_OPERATIONS_H

#include <pagetable/pagetable.h>

#define PT_OPERATIONS(OPERATION)                                                                                       \
    OPERATION(return, enum pt_status, map,                                                                             \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,       \
                     struct pt_flush *flush),                                                                          \
                    (pt, vaddr, paddr, page_size, flags, flush), pt->format)                                           \
    OPERATION(return, enum pt_status, unmap,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, struct pt_mapping * old, struct pt_flush * flush),        \
                    (pt, vaddr, old, flush), pt->format)                                                               \
    OPERATION(                                                                                                         \
        return, enum pt_status, protect,                                                                               \
              (struct page_table * pt, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size, struct pt_flush *flush),   \
              (pt, vaddr, flags, page_size, flush), pt->format)                                                        \
    OPERATION(return, enum pt_status, remap,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t *page_size,      \
                     struct pt_flush *flush),                                                                          \
                    (pt, vaddr, paddr, flags, page_size, flush), pt->format)                                           \
    OPERATION(return, enum pt_status, query, (const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out),    \
                    (pt, vaddr, out), pt->format)                                                                      \
    OPERATION(return, enum pt_status, map_region,                                                                      \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,            \
                     unsigned options, struct pt_flush *flush),                                                        \
                    (pt, vaddr, paddr, size, flags, options, flush), pt->format)                                       \
    OPERATION(return, enum pt_status, map_region_with,                                                                 \
                    (struct page_table * pt, pt_vaddr vaddr, pt_paddr(*get_paddr)(void *arg, pt_vaddr vaddr),          \
                     void *arg, uint64_t size, pt_flags flags, unsigned options, struct pt_flush *flush),              \
                    (pt, vaddr, get_paddr, arg, size, flags, options, flush), pt->format)                              \
    OPERATION(return, enum pt_status, unmap_region,                                                                    \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, unsigned options, struct pt_flush *flush), \
                    (pt, vaddr, size, options, flush), pt->format)                                                     \
    OPERATION(return, enum pt_status, protect_region,                                                                  \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, pt_flags flags, unsigned options,          \
                     struct pt_flush *flush),                                                                          \
                    (pt, vaddr, size, flags, options, flush), pt->format)                                              \
    OPERATION(return, enum pt_status, count_tables,                                                                    \
                    (const struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,       \
                     unsigned options, size_t *count),                                                                 \
                    (pt, vaddr, paddr, size, flags, options, count), pt->format)                                       \
    OPERATION(return, enum pt_status, split,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t page_size, struct pt_flush *flush),              \
                    (pt, vaddr, page_size, flush), pt->format)                                                         \
    OPERATION(return, enum pt_status, collapse,                                                                        \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush),                   \
                    (pt, vaddr, size, flush), pt->format)                                                              \
    OPERATION(return, enum pt_status, prune,                                                                           \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush),                   \
                    (pt, vaddr, size, flush), pt->format)                                                              \
    /* Internal: pt_clear_accessed and pt_clear_dirty. */                                                              \
    OPERATION(return, enum pt_status, clear_recorded,                                                                  \
                    (struct page_table * pt, pt_vaddr vaddr, uint64_t size, pt_flags recorded, pt_visitor visitor,     \
                     void *arg, struct pt_flush *flush),                                                               \
                    (pt, vaddr, size, recorded, visitor, arg, flush), pt->format)                                      \
    OPERATION(return, enum pt_status, copy_from,                                                                       \
                    (struct page_table * pt, const struct page_table *source, pt_vaddr vaddr, uint64_t size,           \
                     struct pt_flush *flush),                                                                          \
                    (pt, source, vaddr, size, flush), pt->format)                                                      \
    OPERATION(, void, walk, (const struct page_table *pt, size_t limit, pt_visitor pre, pt_visitor post, void *arg),   \
              (pt, limit, pre, post, arg), pt->format)                                                                 \
    /* Internal: check the format and allocate the root; *pt is all zero. */                                           \
    OPERATION(                                                                                                         \
        return, enum pt_status, make_root,                                                                             \
              (struct page_table * pt, const struct pt_format *format, const struct pt_handler *handler, void *ctx),   \
              (pt, format, handler, ctx), format)                                                                      \
    /* Internal: free every table but what is borrowed. */                                                             \
    OPERATION(, void, free_tables, (struct page_table * pt), (pt), pt->format)                                         \
    /* Internal: give the tables that wait in `flush` back to the handler. */                                          \
    OPERATION(, void, free_retired, (struct pt_flush * flush), (flush), flush->format)                                 \
    /* Internal: carry out what `flush` owes by this CPU's instructions, if the format is its own. */                  \
    OPERATION(, void, invalidate, (const struct pt_flush *flush), (flush), flush->format)

#define PT_OPERATION_MEMBER(returns, result, name, parameters, arguments, format) result(*name) parameters;
struct pt_operations {
    PT_OPERATIONS(PT_OPERATION_MEMBER)
};
#undef PT_OPERATION_MEMBER

enum pt_status pt_clear_recorded(struct page_table *pt, pt_vaddr vaddr, uint64_t size, pt_flags recorded,
                                 pt_visitor visitor, void *arg, struct pt_flush *flush);
enum pt_status pt_make_root(struct page_table *pt, const struct pt_format *format, const struct pt_handler *handler,
                            void *ctx);
void pt_free_tables(struct page_table *pt);
void pt_free_retired(struct pt_flush *flush);
void pt_invalidate(const struct pt_flush *flush);

#endif
