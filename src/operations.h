/* SPDX-License-Identifier: MIT */
/*
 * The operations of a format, in one list: OPERATION(the list's context, `return` or nothing, result,
 * name, parameters, arguments, the format). From it come the members of struct pt_operations, the public
 * calls pt_NAME that go through it, and in every family the instances of the engine's engine_NAME (with
 * PT_ONLY_FORMAT these are pt_NAME themselves). The public ones are documented in <pagetable/pagetable.h>.
 */
#ifndef PT_OPERATIONS_H
#define PT_OPERATIONS_H

#include <pagetable/pagetable.h>

/* A mapping asked for; see engine/map.h. */
struct map_request {
    pt_vaddr first, last;
    pt_paddr paddr;                                   /* of `first`, unless there is get_paddr */
    pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr); /* scattered frames */
    void *arg;
    pt_flags flags;
    unsigned top, bottom; /* the levels at which leaves may be placed */
};

#define PT_OPERATIONS(OPERATION, context)                                                                              \
    OPERATION(context, return, enum pt_status, map,                                                                    \
              (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,             \
               struct pt_flush * flush),                                                                               \
              (pt, vaddr, paddr, page_size, flags, flush), pt->format)                                                 \
    OPERATION(context, return, enum pt_status, unmap,                                                                  \
              (struct page_table * pt, pt_vaddr vaddr, struct pt_mapping * old, struct pt_flush * flush),              \
              (pt, vaddr, old, flush), pt->format)                                                                     \
    OPERATION(context, return, enum pt_status, protect,                                                                \
              (struct page_table * pt, pt_vaddr vaddr, pt_flags flags, uint64_t * page_size, struct pt_flush * flush), \
              (pt, vaddr, flags, page_size, flush), pt->format)                                                        \
    OPERATION(context, return, enum pt_status, remap,                                                                  \
              (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t * page_size,           \
               struct pt_flush * flush),                                                                               \
              (pt, vaddr, paddr, flags, page_size, flush), pt->format)                                                 \
    OPERATION(context, return, enum pt_status, query,                                                                  \
              (const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out), (pt, vaddr, out), pt->format)     \
    OPERATION(context, return, enum pt_status, map_region,                                                             \
              (struct page_table * pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,                  \
               unsigned options, struct pt_flush *flush),                                                              \
              (pt, vaddr, paddr, size, flags, options, flush), pt->format)                                             \
    OPERATION(context, return, enum pt_status, map_region_with,                                                        \
              (struct page_table * pt, pt_vaddr vaddr, pt_paddr(*get_paddr)(void *arg, pt_vaddr vaddr), void *arg,     \
               uint64_t size, pt_flags flags, unsigned options, struct pt_flush *flush),                               \
              (pt, vaddr, get_paddr, arg, size, flags, options, flush), pt->format)                                    \
    OPERATION(context, return, enum pt_status, unmap_region,                                                           \
              (struct page_table * pt, pt_vaddr vaddr, uint64_t size, unsigned options, struct pt_flush *flush),       \
              (pt, vaddr, size, options, flush), pt->format)                                                           \
    OPERATION(context, return, enum pt_status, protect_region,                                                         \
              (struct page_table * pt, pt_vaddr vaddr, uint64_t size, pt_flags flags, unsigned options,                \
               struct pt_flush *flush),                                                                                \
              (pt, vaddr, size, flags, options, flush), pt->format)                                                    \
    OPERATION(context, return, enum pt_status, copy_from,                                                              \
              (struct page_table * pt, const struct page_table *source, pt_vaddr vaddr, uint64_t size,                 \
               struct pt_flush *flush),                                                                                \
              (pt, source, vaddr, size, flush), pt->format)                                                            \
    OPERATION(context, , void, walk,                                                                                   \
              (const struct page_table *pt, size_t limit, pt_visitor pre, pt_visitor post, void *arg),                 \
              (pt, limit, pre, post, arg), pt->format)                                                                 \
    /* Internal: the part of the mapping calls that is not a fast path; nothing is checked any more. */                \
    OPERATION(context, return, enum pt_status, map_request,                                                            \
              (struct page_table * pt, const struct map_request *request, struct pt_flush *flush),                     \
              (pt, request, flush), pt->format)                                                                        \
    /* Internal: check the format and allocate the root; *pt is all zero. */                                           \
    OPERATION(context, return, enum pt_status, make_root,                                                              \
              (struct page_table * pt, const struct pt_format *format, const struct pt_handler *handler, void *ctx),   \
              (pt, format, handler, ctx), format)                                                                      \
    /* Internal: free every table but what is borrowed. */                                                             \
    OPERATION(context, , void, free_tables, (struct page_table * pt), (pt), pt->format)                                \
    /* Internal: give the tables that wait in `flush` back to the handler. */                                          \
    OPERATION(context, , void, free_retired, (struct pt_flush * flush), (flush), flush->format)                        \
    /* Internal: carry out what `flush` owes by this CPU's instructions, if the format is its own. */                  \
    OPERATION(context, , void, invalidate, (const struct pt_flush *flush), (flush), flush->format)

#define PT_OPERATION_MEMBER(context, returns, result, name, parameters, arguments, format) result(*name) parameters;
struct pt_operations {
    PT_OPERATIONS(PT_OPERATION_MEMBER, )
};
#undef PT_OPERATION_MEMBER

enum pt_status pt_map_request(struct page_table *pt, const struct map_request *request, struct pt_flush *flush);
enum pt_status pt_make_root(struct page_table *pt, const struct pt_format *format, const struct pt_handler *handler,
                            void *ctx);
void pt_free_tables(struct page_table *pt);
void pt_free_retired(struct pt_flush *flush);
void pt_invalidate(const struct pt_flush *flush);

#endif
