/* SPDX-License-Identifier: MIT */
#include "fake_encoding.h"

static const struct encoding encoding = {
    FAKE_ENCODING,
    .entry_size = 8,
    .retired_mark = LINK | (0xa0 | (7 - LINK)) << 56,
};

const struct pt_format fake_8 = {
    FAKE_MEASURES,
    .name = "fake, 8-byte entries",
    .pa_bits = 36,
    .new_mapping_owes = PT_OWES_NOTHING,
};
