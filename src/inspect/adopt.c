/* SPDX-License-Identifier: MIT */
/* Tables that somebody else built. */
#include "view.h"

static enum pt_status query(const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out)
{
    struct view_table table = view_table(pt->root);
    uint64_t above = 0;

    if (!view_is_canonical(pt, vaddr))
        return PT_BAD_ADDRESS;
    for (unsigned level = 0;; level++) {
        size_t index = view_index(pt, vaddr, level);
        struct pt_decoded entry;
        uint64_t bits;

        if (!pt_view_read(pt, &table, index, &bits))
            return PT_NOT_MAPPED;
        pt_decode(pt, level, index, bits, above, true, &entry);
        if (entry.kind == PT_ENTRY_EMPTY || entry.malformed)
            return PT_NOT_MAPPED;
        if (entry.kind == PT_ENTRY_LEAF) {
            if (out) {
                *out = pt_view_page(pt, &table, level, index, above, &entry);
                out->paddr |= vaddr & (out->page_size - 1);
            }
            return PT_OK;
        }
        table = view_table(entry.paddr);
        above = entry.seen;
    }
}

/* NOLINTBEGIN(misc-unused-parameters) */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define REFUSE(returns, result, name, parameters, arguments) REFUSE_##returns(result, name, parameters)
#define REFUSE_return(result, name, parameters)                                                                        \
    static result refuse_##name parameters                                                                             \
    {                                                                                                                  \
        return PT_READ_ONLY;                                                                                           \
    }
#define REFUSE_(result, name, parameters)                                                                              \
    static result refuse_##name parameters                                                                             \
    {                                                                                                                  \
    }
PT_OWN_TABLE_OPERATIONS(REFUSE)
/* NOLINTEND(misc-unused-parameters) */

#define REFUSAL(returns, result, name, parameters, arguments) .name = refuse_##name,
static const struct pt_operations adopted = {PT_OWN_TABLE_OPERATIONS(REFUSAL).query = query};

enum pt_status pt_adopt(struct page_table *pt, const struct pt_format *format, pt_paddr root,
                        const struct pt_handler *handler, void *ctx)
{
    enum pt_status status;

    __builtin_memset(pt, 0, sizeof(*pt));
    if (!format->operations)
        return PT_BAD_FORMAT;
    status = pt_prepare(pt, format, handler, ctx);
    if (status == PT_OK && (root & pt->measures.not_in_paddr) != 0)
        status = PT_BAD_ADDRESS;
    if (status == PT_OK && (root & (view_entries(pt, 0) * pt->measures.entry_size - 1)) != 0)
        status = PT_NOT_ALIGNED;
    if (status != PT_OK) {
        __builtin_memset(pt, 0, sizeof(*pt));
        return status;
    }
    pt->root = root;
    pt->is_adopted = true;
    pt->operations = &adopted;
    return PT_OK;
}

void pt_adopt_upper_half(struct page_table *pt)
{
    if (pt->is_adopted && pt->format->address_space == PT_EITHER_HALF)
        __builtin_memset(&pt->upper, 0xff, sizeof(pt->upper));
}
