/* SPDX-License-Identifier: MIT */
/* Compiled with -O3: a limit is a loop that the compiler makes the most of. */
#include "limits.h"

#include <string.h>

#define TABLE_SIZE (LIMIT_ENTRIES * sizeof(uint64_t))

/* The compiler knows nothing of memory before or after: each table is written by itself. */
#define BARRIER() __asm__ volatile("" ::: "memory")

void limit_zero_and_fill(uint64_t *tables, size_t count, uint64_t first)
{
    for (; count > 0; count--, tables += LIMIT_ENTRIES) {
        memset(tables, 0, TABLE_SIZE);
        BARRIER();
        for (size_t i = 0; i < LIMIT_ENTRIES; i++, first += TABLE_SIZE)
            tables[i] = first;
        BARRIER();
    }
}

void limit_clear(uint64_t *tables, size_t count)
{
    for (; count > 0; count--, tables += LIMIT_ENTRIES) {
        memset(tables, 0, TABLE_SIZE);
        BARRIER();
    }
}

void limit_clear_bits(uint64_t *tables, size_t count, uint64_t bits)
{
    for (; count > 0; count--, tables += LIMIT_ENTRIES) {
        for (size_t i = 0; i < LIMIT_ENTRIES; i++)
            tables[i] &= ~bits;
        BARRIER();
    }
}
