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
#define LAST_GROUP UINT64_C(0x3)
#define UPPER_GROUP UINT64_C(0x5)
#define TABLE UINT64_C(0x4)
#define LINK UINT64_C(0x7)

/*
 * Flags, accessed and dirty, nine bits in all, in bits 11:3: in this order in the last level, the other way round above
 * it, and shuffled in groups.
 */
#define LAST_FLAG(bit) (UINT64_C(1) << (3 + (bit)))
#define UPPER_FLAG(bit) (UINT64_C(1) << (11 - (bit)))
#define LAST_GROUP_FLAG(bit) (UINT64_C(1) << (3 + ((bit) + 4) % 9))
#define UPPER_GROUP_FLAG(bit) (UINT64_C(1) << (3 + (2 * (bit) + 5) % 9))
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

/* The sorts of leaves, as their signatures. */
static inline uint64_t leaf_signature(bool last_level, bool grouped)
{
    if (grouped)
        return last_level ? LAST_GROUP : UPPER_GROUP;
    return last_level ? LAST : UPPER;
}

static inline uint64_t flag_bit(uint64_t signature, unsigned bit)
{
    switch (signature) {
    case LAST:
        return LAST_FLAG(bit);
    case UPPER:
        return UPPER_FLAG(bit);
    case LAST_GROUP:
        return LAST_GROUP_FLAG(bit);
    default:
        return UPPER_GROUP_FLAG(bit);
    }
}

/* The bits of a leaf of this sort that stand for these flags. */
static inline uint64_t bits_of_flags(pt_flags flags, uint64_t signature)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < FLAG_BITS; i++)
        bits |= flags & (1u << i) ? flag_bit(signature, i) : 0;
    bits |= flags & PT_ACCESSED ? flag_bit(signature, ACCESSED_BIT) : 0;
    bits |= flags & PT_DIRTY ? flag_bit(signature, DIRTY_BIT) : 0;
    return bits;
}

/* The reverse, from a table: an MMU looks at entries all the time. */
static inline pt_flags flags_of_bits(uint64_t leaf)
{
    static pt_flags known[SIGNATURE + 1][1 << (FLAG_BITS + 2)];
    static bool is_known;

    for (pt_flags flags = 0; !is_known && flags < 1u << (FLAG_BITS + 2); flags++)
        for (unsigned sort = 0; sort < 4; sort++) {
            uint64_t signature = leaf_signature(sort & 1, sort & 2);
            pt_flags recorded =
                (flags & 1u << ACCESSED_BIT ? PT_ACCESSED : 0) | (flags & 1u << DIRTY_BIT ? PT_DIRTY : 0);
            pt_flags all = (flags & PT_ALL_FLAGS) | recorded;

            known[signature][bits_of_flags(all, signature) >> 3] = all;
        }
    is_known = true;
    return known[leaf & SIGNATURE][(leaf >> 3) & ((1u << (FLAG_BITS + 2)) - 1)];
}

/* Which sort of leaf it is; the level is known only to some who ask. */
static inline uint64_t signature_of_leaf(const struct pt_format *format, uint64_t leaf)
{
    uint64_t signature = leaf & SIGNATURE;

    if (!is_marked(format, leaf, signature) || signature == 0 || signature == TABLE || signature == LINK ||
        signature == 0x6)
        stop("leaf", leaf, false);
    return signature;
}

static inline bool is_grouped(uint64_t signature)
{
    return signature == LAST_GROUP || signature == UPPER_GROUP;
}

static inline bool is_of_last_level(uint64_t signature)
{
    return signature == LAST || signature == LAST_GROUP;
}

/* The same, of a level that is known. */
static inline uint64_t must_be_leaf(const struct pt_format *format, uint64_t raw, bool last_level)
{
    uint64_t signature = signature_of_leaf(format, raw);

    if (is_of_last_level(signature) != last_level)
        stop("leaf", raw, last_level);
    return signature;
}

/* Some sorts of leaves keep their addresses inverted. */
static inline uint64_t address_inversion(const struct pt_format *format, uint64_t signature)
{
    return signature == LAST || signature == UPPER_GROUP ? address_mask(format) : 0;
}

/* The address bits that an entry of this sort has not: narrow ones of a group say where the page begins. */
static inline uint64_t address_within(const struct pt_format *format, uint64_t signature)
{
    unsigned shift = format->page_shift + (is_of_last_level(signature) ? 0u : format->index_bits);

    if (is_wide(format) || !is_grouped(signature))
        return 0;
    return (UINT64_C(1) << (shift + format->group_bits[is_of_last_level(signature) ? 0 : 1])) - 1;
}

#endif
