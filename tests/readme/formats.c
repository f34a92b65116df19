/* SPDX-License-Identifier: MIT */
/* Prints what the descriptors say of themselves, as the first columns of README's table: a line for each format. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats.h"

#define NAMED(format, unused) {&(format), #format}

static const struct {
    const struct pt_format *format;
    const char *name;
} all[] = {EACH_FORMAT(NAMED, ), NAMED(pt_armv7_lpae, )};

static void print_size(uint64_t size)
{
    unsigned unit = 0;

    for (; size >= 1024; size /= 1024)
        unit++;
    printf("%" PRIu64 "%c", size, " KMGTPE"[unit]);
}

static const char *const halves[] = {
    [PT_SIGN_EXTENDED] = ", sign-extended",
    [PT_EITHER_HALF] = ", either half",
    [PT_ZERO_EXTENDED] = "",
};

int main(void)
{
    for (size_t i = 0; i < TESTS_COUNT(all); i++) {
        const struct pt_format *format = all[i].format;
        const char *space = "";

        if (strncmp(all[i].name, "pt_", 3) != 0)
            continue; /* a copy made for the tests */
        printf("| `%s` | %s | %u | ", all[i].name, format->name, format->levels);
        FOR_EACH_PAGE_SIZE(size, format) {
            printf("%s", space);
            print_size(size);
            space = " ";
        }
        printf(" | %u%s | %u |\n", format->va_bits, halves[format->address_space], format->pa_bits);
    }
    return 0;
}
