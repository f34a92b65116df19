/* SPDX-License-Identifier: MIT */
#include "test.h"

void check_status(enum pt_status actual, enum pt_status expected, const char *what, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("%s: %s, expected %s\n", what, pt_status_name(actual), pt_status_name(expected));
    _fail(file, line);
}

void check_hex(uint64_t actual, uint64_t expected, const char *what, const char *file, int line)
{
    if (actual == expected)
        return;
    print_error("%s: 0x%" PRIx64 ", expected 0x%" PRIx64 "\n", what, actual, expected);
    _fail(file, line);
}

void check_mapped(const struct page_table *table, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,
                  const char *file, int line)
{
    struct pt_mapping found = {.paddr = 0, .page_size = 0, .flags = 0};
    enum pt_status status = pt_query(table, vaddr, &found);

    if (status == PT_OK && found.paddr == paddr && found.page_size == page_size && found.flags == flags)
        return;
    print_error("0x%" PRIx64 ": %s to 0x%" PRIx64 ", page size 0x%" PRIx64 ", flags 0x%x; "
                "expected 0x%" PRIx64 ", page size 0x%" PRIx64 ", flags 0x%x\n",
                vaddr, pt_status_name(status), found.paddr, found.page_size, (unsigned)found.flags, paddr, page_size,
                (unsigned)flags);
    _fail(file, line);
}
