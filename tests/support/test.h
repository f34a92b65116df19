/* SPDX-License-Identifier: MIT */
/* What every test includes: cmocka, the library, and assertions that print names. */
#ifndef TESTS_SUPPORT_TEST_H
#define TESTS_SUPPORT_TEST_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <pagetable/pagetable.h>

#define TESTS_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/** The call answers `expected`; otherwise the test fails with both names. */
#define assert_status(call, expected) check_status((call), (expected), #call, __FILE__, __LINE__)
#define assert_ok(call) assert_status(call, PT_OK)

void check_status(enum pt_status actual, enum pt_status expected, const char *what, const char *file, int line);

/** Two 64-bit values are equal; otherwise the test fails with both in hexadecimal. */
#define assert_hex_equal(actual, expected) check_hex((actual), (expected), #actual, __FILE__, __LINE__)

void check_hex(uint64_t actual, uint64_t expected, const char *what, const char *file, int line);

/** `vaddr` translates to `paddr`, by a page of `page_size` with what reads back of `flags` (format_reads_back). */
#define assert_mapped(table, vaddr, paddr, page_size, flags)                                                           \
    check_mapped((table), (vaddr), (paddr), (page_size), (flags), __FILE__, __LINE__)

void check_mapped(const struct page_table *table, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,
                  const char *file, int line);

#define assert_not_mapped(table, vaddr) assert_status(pt_query((table), (vaddr), NULL), PT_NOT_MAPPED)

#endif
