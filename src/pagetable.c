/* SPDX-License-Identifier: MIT */
/* The public calls: each is one call into the operations of the table's format. */
#include <pagetable/pagetable.h>

#include "operations.h"

#ifndef PT_ONLY_FORMAT /* else the format's family defines them */
#define PT_TABLE_OPERATION_CALL(returns, result, name, parameters, arguments)                                          \
    result pt_##name parameters                                                                                        \
    {                                                                                                                  \
        returns pt->operations->name arguments;                                                                        \
    }
#define PT_FORMAT_OPERATION_CALL(returns, result, name, parameters, arguments, format)                                 \
    result pt_##name parameters                                                                                        \
    {                                                                                                                  \
        returns(format)->operations->name arguments;                                                                   \
    }
PT_TABLE_OPERATIONS(PT_TABLE_OPERATION_CALL)
PT_FORMAT_OPERATIONS(PT_FORMAT_OPERATION_CALL)
#endif

enum pt_status pt_create(struct page_table *pt, const struct pt_format *format, const struct pt_handler *handler,
                         void *ctx)
{
    enum pt_status status;

    __builtin_memset(pt, 0, sizeof(*pt));
    if (!format->operations)
        return PT_BAD_FORMAT;
    status = pt_prepare(pt, format, handler, ctx);
    if (status != PT_OK)
        return status;
    status = pt_make_root(pt);
    if (status != PT_OK)
        __builtin_memset(pt, 0, sizeof(*pt));
    return status;
}

void pt_destroy(struct page_table *pt)
{
    if (pt->format)
        pt_free_tables(pt);
    __builtin_memset(pt, 0, sizeof(*pt));
}

enum pt_status pt_clear_accessed(struct page_table *pt, pt_vaddr vaddr, uint64_t size, pt_visitor visitor, void *arg,
                                 struct pt_flush *flush)
{
    return pt_clear_recorded(pt, vaddr, size, PT_ACCESSED, visitor, arg, flush);
}

enum pt_status pt_clear_dirty(struct page_table *pt, pt_vaddr vaddr, uint64_t size, pt_visitor visitor, void *arg,
                              struct pt_flush *flush)
{
    return pt_clear_recorded(pt, vaddr, size, PT_DIRTY, visitor, arg, flush);
}

pt_paddr pt_root(const struct page_table *pt)
{
    return pt->root;
}

void pt_set_asid(struct page_table *pt, uint32_t asid)
{
    pt->asid = asid;
}

const char *pt_status_name(enum pt_status status)
{
    switch (status) {
    case PT_OK:
        return "PT_OK";
    case PT_NO_MEMORY:
        return "PT_NO_MEMORY";
    case PT_NOT_ALIGNED:
        return "PT_NOT_ALIGNED";
    case PT_NOT_MAPPED:
        return "PT_NOT_MAPPED";
    case PT_ALREADY_MAPPED:
        return "PT_ALREADY_MAPPED";
    case PT_MAPPED_TO_HUGE_PAGE:
        return "PT_MAPPED_TO_HUGE_PAGE";
    case PT_BAD_ADDRESS:
        return "PT_BAD_ADDRESS";
    case PT_BAD_SIZE:
        return "PT_BAD_SIZE";
    case PT_BAD_FLAGS:
        return "PT_BAD_FLAGS";
    case PT_BAD_FORMAT:
        return "PT_BAD_FORMAT";
    case PT_SHARED:
        return "PT_SHARED";
    case PT_IN_USE:
        return "PT_IN_USE";
    case PT_READ_ONLY:
        return "PT_READ_ONLY";
    }
    return "?";
}
