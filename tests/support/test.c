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
