/* SPDX-License-Identifier: MIT */
/* Text for whoever has no printf: gathered in a line, and written when that is full or ends. */
#ifndef PT_INSPECT_TEXT_H
#define PT_INSPECT_TEXT_H

#include <pagetable/types.h>

struct text {
    void (*write)(void *arg, const char *text, size_t length);
    void *arg;
    char line[128];
    size_t length;
};

void pt_text_put(struct text *text, const char *string);
/* "0x" and as many digits, at least. */
void pt_text_hex(struct text *text, uint64_t value, unsigned digits);
void pt_text_decimal(struct text *text, uint32_t value);
/* In the largest unit that leaves nothing over and five digits at most, six columns wide: "   12M". */
void pt_text_size(struct text *text, uint64_t size);
/* "rwxug device" */
void pt_text_flags(struct text *text, pt_flags flags);
void pt_text_flush(struct text *text);

#endif
