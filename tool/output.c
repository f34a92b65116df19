/* SPDX-License-Identifier: MIT */
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

static const struct {
    pt_flags flag;
    char letter;
} letters[] = {{PT_READ, 'r'},     {PT_WRITE, 'w'},  {PT_EXECUTE, 'x'},  {PT_USER, 'u'}, {PT_GLOBAL, 'g'},
               {PT_UNCACHED, 'n'}, {PT_DEVICE, 'd'}, {PT_ACCESSED, 'A'}, {PT_DIRTY, 'D'}};
#define LETTERS (sizeof(letters) / sizeof(letters[0]))
#define RIGHTS 5 /* the first ones, which have a column each */

char *put_flags(char *text, pt_flags flags)
{
    size_t at = 0;

    for (size_t i = 0; i < LETTERS; i++) {
        if (flags & letters[i].flag)
            text[at++] = letters[i].letter;
        else if (i < RIGHTS)
            text[at++] = '-';
    }
    text[at] = '\0';
    return text;
}

bool parse_flags(const char *text, pt_flags *flags)
{
    *flags = 0;
    for (; *text; text++) {
        size_t i = 0;

        if (*text == '-')
            continue;
        while (i < LETTERS && letters[i].letter != *text)
            i++;
        if (i == LETTERS)
            return false;
        *flags |= letters[i].flag & PT_ALL_FLAGS;
    }
    return true;
}

char *put_size(char *text, uint64_t size)
{
    static const char units[] = "BKMGTPE";
    const char *unit = units;

    for (; unit[1] && size % 1024 == 0 && size > 0; unit++)
        size /= 1024;
    snprintf(text, OUTPUT_LENGTH, "%" PRIu64 "%.*s", size, unit != units, unit);
    return text;
}

static json_t *or_end(json_t *value)
{
    if (!value) {
        complain("out of memory");
        exit(STATUS_TROUBLE);
    }
    return value;
}

json_t *json_hex(uint64_t value)
{
    return or_end(json_sprintf("0x%" PRIx64, value));
}

json_t *json_range(pt_vaddr vaddr, uint64_t size, const struct pt_mapping *mapping)
{
    char flags[OUTPUT_LENGTH];

    return or_end(json_pack("{so so so so ss}", "vaddr", json_hex(vaddr), "size", json_hex(size), "paddr",
                            json_hex(mapping->paddr), "page_size", json_hex(mapping->page_size), "flags",
                            put_flags(flags, mapping->flags)));
}

void json_piece(FILE *to, json_t *object, bool is_first)
{
    fputs(is_first ? "\n" : ",\n", to);
    json_dumpf(or_end(object), to, JSON_COMPACT);
    json_decref(object);
}

void write_out(void *arg, const char *text, size_t length)
{
    (void)arg;
    fwrite(text, 1, length, stdout);
}
