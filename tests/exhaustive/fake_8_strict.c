/* SPDX-License-Identifier: MIT */
#include "fake_encoding.h"

static bool fake_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level)
{
    struct fake_entry old = fake_read(format, from, last_level), new = fake_read(format, to, last_level);

    return fake_breaks(format, &old, &new, false);
}

static const struct encoding encoding = {
    FAKE_ENCODING,
    .entry_size = 8,
    .retired_mark = LINK | (0xa0 | (7 - LINK)) << 56,
    .must_break = fake_must_break,
};

const struct pt_format fake_8_strict = {
    FAKE_MEASURES,
    .name = "fake, break-before-make",
    .pa_bits = 36,
    .new_mapping_owes = PT_OWES_BARRIER,
};
