/* SPDX-License-Identifier: MIT */
/* The bits of the fake formats' entries. */
#ifndef TESTS_EXHAUSTIVE_FAKE_BITS_H
#define TESTS_EXHAUSTIVE_FAKE_BITS_H

#include "fake_format.h"

#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)

/* Bits 2:0 say what an entry is. Entries of 8 bytes say so in their highest bits, too. */
#define SIGNATURE UINT64_C(0x7)
#define LAST UINT64_C(0x1)
#define UPPER UINT64_C(0x2)
#define TABLE UINT64_C(0x4)
#define LINK UINT64_C(0x7)

/* Flags of the last level in bits 9:3, accessed and dirty in 10 and 11; above it the other way round. */
#define LAST_FLAG(bit) (UINT64_C(1) << (3 + (bit)))
#define UPPER_FLAG(bit) (UINT64_C(1) << (11 - (bit)))
#define FLAG_BITS 7
#define ACCESSED_BIT 7u
#define DIRTY_BIT 8u

#define NARROW_ADDRESS UINT64_C(0x00000000fffff000)
#define WIDE_ADDRESS UINT64_C(0x0000000ffffff000)

static inline bool is_wide(const struct pt_format *format)
{
    return format->pa_bits > 32;
}

static inline uint64_t address_mask(const struct pt_format *format)
{
    return is_wide(format) ? WIDE_ADDRESS : NARROW_ADDRESS;
}

/* The signature, whole. */
static inline uint64_t marked(const struct pt_format *format, uint64_t signature)
{
    return is_wide(format) ? signature | (0xa0 | (7 - signature)) << 56 : signature;
}

#define MARKS (SIGNATURE | UINT64_C(0xff) << 56)

static inline uint64_t marks_of(const struct pt_format *format, uint64_t raw)
{
    return is_wide(format) ? raw & MARKS : raw & SIGNATURE;
}

static inline bool is_marked(const struct pt_format *format, uint64_t raw, uint64_t signature)
{
    return marks_of(format, raw) == marked(format, signature);
}

static inline void stop(const char *what, uint64_t raw, bool last_level)
{
    fail_msg("%s: 0x%" PRIx64 " is no such entry in %s level", what, raw, last_level ? "the last" : "an upper");
}

static inline uint64_t flag_bit(bool last_level, unsigned bit)
{
    return last_level ? LAST_FLAG(bit) : UPPER_FLAG(bit);
}

/* The bits of a leaf that stand for these flags. */
static inline uint64_t bits_of_flags(pt_flags flags, bool last_level)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < FLAG_BITS; i++)
        bits |= flags & (1u << i) ? flag_bit(last_level, i) : 0;
    bits |= flags & PT_ACCESSED ? flag_bit(last_level, ACCESSED_BIT) : 0;
    bits |= flags & PT_DIRTY ? flag_bit(last_level, DIRTY_BIT) : 0;
    return bits;
}

/* The reverse, from a table: an MMU looks at entries all the time. */
static inline pt_flags flags_of_bits(uint64_t raw, bool last_level)
{
    static pt_flags known[2][1 << (FLAG_BITS + 2)];
    static bool is_known;

    for (pt_flags flags = 0; !is_known && flags < 1u << (FLAG_BITS + 2); flags++)
        for (unsigned last = 0; last < 2; last++) {
            pt_flags recorded =
                (flags & 1u << ACCESSED_BIT ? PT_ACCESSED : 0) | (flags & 1u << DIRTY_BIT ? PT_DIRTY : 0);
            pt_flags all = (flags & PT_ALL_FLAGS) | recorded;

            known[last][bits_of_flags(all, last) >> 3] = all;
        }
    is_known = true;
    return known[last_level][(raw >> 3) & ((1u << (FLAG_BITS + 2)) - 1)];
}

/* The leaf's own marks tell the sort of its level where the call does not. */
static inline bool is_of_last_level(const struct pt_format *format, uint64_t leaf)
{
    if (!is_marked(format, leaf, LAST) && !is_marked(format, leaf, UPPER))
        stop("leaf", leaf, false);
    return is_marked(format, leaf, LAST);
}

static inline void must_be_leaf(const struct pt_format *format, uint64_t raw, bool last_level)
{
    if (!is_marked(format, raw, last_level ? LAST : UPPER))
        stop("leaf", raw, last_level);
}

#endif
