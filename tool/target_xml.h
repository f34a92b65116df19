/* SPDX-License-Identifier: MIT */
/* A gdb stub's description of its target: what registers there are, and under what numbers. */
#ifndef TOOL_TARGET_XML_H
#define TOOL_TARGET_XML_H

#include <stdbool.h>
#include <stddef.h>

struct target_register {
    char *name; /**< in lower case */
    unsigned long number, bits;
};

struct target {
    struct target_register *registers;
    size_t count;
    char architecture[32]; /**< "riscv:rv64" */
};

/**
 * Read "target.xml" and what it includes. `fetch` gets a document, to be freed, with its length; or NULL, having said
 * why. Complains, with `name` before it, and answers false to what is no description. To be freed in either case.
 */
bool target_read(struct target *target, const char *name,
                 char *(*fetch)(void *arg, const char *document, size_t *length), void *arg);
void target_free(struct target *target);

const struct target_register *target_find(const struct target *target, const char *name);

#endif
