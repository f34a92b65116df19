/* SPDX-License-Identifier: MIT */
/*
 * Calls that must not compile with -Wall -Werror, one for each MISUSE_...; without any it must. The tests in
 * CMakeLists.txt compile this file to nothing and look at the compiler's message.
 */
#include <pagetable/pagetable.h>

#ifdef PT_ONLY_FORMAT
#define FORMAT PT_ONLY_FORMAT
#else
#define FORMAT pt_sv39
#endif

enum pt_status use(struct page_table *pt, const struct pt_handler *handler);

enum pt_status use(struct page_table *pt, const struct pt_handler *handler)
{
    struct pt_format narrowed = FORMAT;
    enum pt_status status = PT_OK;

    narrowed.pa_bits = 40;
#if defined(MISUSE_STORE_INTO_FORMAT)
    FORMAT.pa_bits = 40;
#endif

#if defined(MISUSE_IGNORE_STATUS)
    pt_create(pt, &narrowed, handler, NULL);
#elif defined(MISUSE_NULL_TABLE)
    status = pt_create(NULL, &narrowed, handler, NULL);
#else
    status = pt_create(pt, &narrowed, handler, NULL);
#endif
    if (status != PT_OK)
        return status;

    PT_FLUSH(flush, pt);
#if defined(MISUSE_NO_FLUSH)
    status = pt_map(pt, 0, 0, PT_4K, PT_READ);
#elif defined(MISUSE_NULL_FLUSH)
    status = pt_map(pt, 0, 0, PT_4K, PT_READ, NULL);
#elif defined(MISUSE_NULL_FLUSH_IN_REGION)
    status = pt_unmap_region(pt, 0, PT_4K, 0, NULL);
#elif defined(MISUSE_IGNORE_MAP)
    pt_map(pt, 0, 0, PT_4K, PT_READ, &flush);
#elif defined(MISUSE_IGNORE_UNMAP_REGION)
    pt_unmap_region(pt, 0, PT_4K, 0, &flush);
#else
    status = pt_map(pt, 0, 0, PT_4K, PT_READ, &flush);
#endif
    if (status != PT_OK)
        return status;

    /* What may be NULL. */
    status = pt_protect(pt, 0, PT_READ, NULL, &flush);
    if (status == PT_OK)
        status = pt_remap(pt, 0, PT_4K, PT_READ, NULL, &flush);
    if (status == PT_OK)
        status = pt_query(pt, 0, NULL);
    if (status == PT_OK)
        status = pt_unmap(pt, 0, NULL, &flush);
    return status;
}
