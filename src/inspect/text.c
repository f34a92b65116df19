/* SPDX-License-Identifier: MIT */
#include "text.h"

void pt_text_flush(struct text *text)
{
    if (text->length > 0)
        text->write(text->arg, text->line, text->length);
    text->length = 0;
}

void pt_text_put(struct text *text, const char *string)
{
    while (*string) {
        if (text->length == sizeof(text->line))
            pt_text_flush(text);
        text->line[text->length++] = *string;
        if (*string++ == '\n')
            pt_text_flush(text);
    }
}

void pt_text_hex(struct text *text, uint64_t value, unsigned digits)
{
    char string[] = "0x0000000000000000";
    size_t at = sizeof(string) - 1;
    unsigned needed = 1;

    while (needed < 16 && value >> (4 * needed) != 0)
        needed++;
    if (digits < needed)
        digits = needed;
    for (unsigned i = 0; i < digits; i++)
        string[--at] = "0123456789abcdef"[value >> (4 * i) & 15];
    string[--at] = 'x';
    string[--at] = '0';
    pt_text_put(text, string + at);
}

void pt_text_decimal(struct text *text, uint32_t value)
{
    char string[] = "0000000000";
    size_t at = sizeof(string) - 1;

    do {
        string[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    pt_text_put(text, string + at);
}

void pt_text_size(struct text *text, uint64_t size)
{
    static const char units[] = "BKMGTPE";
    char string[] = "      ";
    size_t at = sizeof(string) - 1;
    const char *unit = units;
    uint32_t digits;

    for (; unit[1] && ((size & 1023) == 0 || size > 99999); unit++)
        size >>= 10;
    string[--at] = *unit;
    digits = (uint32_t)size;
    do {
        string[--at] = (char)('0' + digits % 10);
        digits /= 10;
    } while (digits > 0);
    pt_text_put(text, string);
}

void pt_text_flags(struct text *text, pt_flags flags)
{
    static const struct {
        pt_flags flag;
        char letter;
    } letters[] = {{PT_READ, 'r'}, {PT_WRITE, 'w'}, {PT_EXECUTE, 'x'}, {PT_USER, 'u'}, {PT_GLOBAL, 'g'}};

    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        pt_text_put(text, (const char[]){flags & letters[i].flag ? letters[i].letter : '-', '\0'});
    if (flags & PT_DEVICE)
        pt_text_put(text, " device");
    if (flags & PT_UNCACHED)
        pt_text_put(text, " uncached");
}
