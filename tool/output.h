/* SPDX-License-Identifier: MIT */
/* How addresses, sizes and rights are written, as text and in JSON. */
#ifndef TOOL_OUTPUT_H
#define TOOL_OUTPUT_H

#include <jansson.h>
#include <pagetable/pagetable.h>
#include <stdio.h>

#define OUTPUT_LENGTH 32 /**< of what the put_... below fill, the end included */

/** "rw--g dn": rights, then d (device) or n (uncached), then A and D where recorded. */
char *put_flags(char *text, pt_flags flags);
/** The flags again, without what is recorded; false if the text is none. */
bool parse_flags(const char *text, pt_flags *flags);
/** "2M" */
char *put_size(char *text, uint64_t size);

/** "0x1000": JSON has no integers of 64 bits. */
json_t *json_hex(uint64_t value);
json_t *json_range(pt_vaddr vaddr, uint64_t size, const struct pt_mapping *mapping);

/** An object of a list, which is written piece by piece: "[", the pieces with commas between, "]". Takes the object. */
void json_piece(FILE *to, json_t *object, bool is_first);

/** What pt_explain and the like write to. */
void write_out(void *arg, const char *text, size_t length);

#endif
