/* SPDX-License-Identifier: MIT */
#include "monitor.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The digits that follow the name, or NULL. */
static const char *digits_of(const char *text, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = text; *at; at++) {
        const char *end = at + length;

        if ((at > text && (isalnum((unsigned char)at[-1]) || at[-1] == '_')) || strncasecmp(at, name, length) != 0 ||
            (*end != '=' && *end != ' '))
            continue;
        end += strspn(end, " =");
        if (isxdigit((unsigned char)*end))
            return end;
    }
    return NULL;
}

bool monitor_register(const char *text, const char *name, uint64_t *value)
{
    static const struct {
        const char *name, *here;
    } others[] = {{"eflags", "rfl"}, {"eflags", "efl"}, {"sstatus", "mstatus"}}; /* SUM and MXR are the same bits */
    const char *digits;

    if (strcmp(name, "is_32") == 0) {
        digits = digits_of(text, "satp");
        *value = digits && strspn(digits, "0123456789abcdef") <= 8;
        return digits != NULL;
    }
    digits = digits_of(text, name);
    for (size_t i = 0; !digits && i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(name, others[i].name) == 0)
            digits = digits_of(text, others[i].here);
    if (digits)
        *value = strtoull(digits, NULL, 16);
    return digits != NULL;
}

bool monitor_is_memory(const char *text)
{
    return !strstr(text, "No memory is mapped") && !strstr(text, "is not RAM");
}
