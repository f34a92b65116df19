/* SPDX-License-Identifier: MIT */
/* What no page table can beat: plain loops over as much memory as `count` adjacent tables take. */
#ifndef BENCH_LIMITS_H
#define BENCH_LIMITS_H

#include <stddef.h>
#include <stdint.h>

#define LIMIT_ENTRIES ((size_t)512)

/* Zero each table, then write its entries: `first`, and 4096 more from each to the next. */
void limit_zero_and_fill(uint64_t *tables, size_t count, uint64_t first);

void limit_clear(uint64_t *tables, size_t count);

void limit_clear_bits(uint64_t *tables, size_t count, uint64_t bits);

#endif
