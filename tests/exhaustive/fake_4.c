/* SPDX-License-Identifier: MIT */
#include "fake_encoding.h"

static const struct encoding encoding = {
    FAKE_ENCODING,
    .entry_size = 4,
    .retired_mark = LINK,
};

const struct pt_format fake_4 = {
    FAKE_MEASURES,
    .name = "fake, 4-byte entries",
    .pa_bits = 32,
    .new_mapping_owes = PT_OWES_FLUSH,
};
