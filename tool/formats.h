/* SPDX-License-Identifier: MIT */
/* The library's formats by name, and what can be changed in a copy. */
#ifndef TOOL_FORMATS_H
#define TOOL_FORMATS_H

#include <pagetable/pagetable.h>
#include <stdio.h>

/** What a copy may have more or less, or otherwise, than the format itself. */
struct format_option {
    const char *name;  /**< of the command-line option, without the dashes */
    const char *value; /**< what it takes, or NULL */
    const char *summary;
    bool (*apply)(struct pt_format *format, uint64_t value);
};

extern const struct format_option format_options[];
extern const size_t format_options_count;

/** The format that is called "sv39" or "pt_sv39"; NULL if none is. */
const struct pt_format *format_by_name(const char *name);

/** The name by which it is found. */
const char *format_name(const struct pt_format *base);

/** Change the copy as "pa-bits=40" or "svnapot" says. Complains and answers false to what makes no sense. */
bool format_apply(struct pt_format *format, const char *option);

/** All of them, one a line. */
void formats_put(FILE *to);

/** A number of C, of 64 bits, with K, M, G or T after it if it is a size. */
bool parse_number(const char *text, uint64_t *value);

#endif
