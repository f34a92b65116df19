/* SPDX-License-Identifier: MIT */
/*
 * A family of formats that no MMU has, made to catch what real ones forgive. Tables have 2 or 4 entries, so
 * that everything that can happen in them can be tried. A page of the last level, a larger page, an entry of a
 * page of several entries (of the last level, and above it), an entry that leads to a table and the link of a retired
 * table carry a signature each, keep their flags in other bits, and some keep their addresses inverted: whoever takes
 * one for another is stopped. Entries of 8 bytes in a group have the address that they translate to, those of 4 bytes
 * where their page begins.
 */
#ifndef TESTS_EXHAUSTIVE_FAKE_FORMAT_H
#define TESTS_EXHAUSTIVE_FAKE_FORMAT_H

#include "test.h"

/* Entries of 8 bytes. The second one wants break-before-make, unless bbm_level is 2. */
extern const struct pt_format fake_8;
extern const struct pt_format fake_8_strict;
/* Entries of 4 bytes. */
extern const struct pt_format fake_4;

enum fake_kind {
    FAKE_EMPTY,
    FAKE_TABLE,
    FAKE_LEAF,
    FAKE_LINK
};

struct fake_entry {
    enum fake_kind kind;
    pt_paddr paddr; /* of a group's entry: what it translates to itself, or where the page begins */
    pt_flags flags; /* accessed and dirty included */
    bool grouped;
};

/** What an MMU makes of an entry; fails the test if it is none of this level's. */
struct fake_entry fake_read(const struct pt_format *format, uint64_t raw, bool last_level);

/** Entries made without the library. */
uint64_t fake_leaf(const struct pt_format *format, pt_paddr paddr, pt_flags flags, bool last_level, bool grouped);
uint64_t fake_table_entry(const struct pt_format *format, pt_paddr paddr);

/** The leaf after the hardware has read, or written to, the page. */
uint64_t fake_touch(const struct pt_format *format, uint64_t raw, bool write);

/** Both are in use, and going from one to the other in one store is forbidden. */
bool fake_breaks(const struct pt_format *format, const struct fake_entry *from, const struct fake_entry *to,
                 bool other_size);

unsigned fake_entry_size(const struct pt_format *format);

#endif
