/* SPDX-License-Identifier: MIT */
/* The two functions that the library, and the compiler, expect to find. */
#include <stddef.h>

void *memset(void *to, int value, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);

/*
 * The empty asm keeps the compiler from seeing that these loops are memset and memcpy: it would replace
 * them by calls, to themselves.
 */

void *memset(void *to, int value, size_t size)
{
    unsigned char *byte = to;

    for (size_t i = 0; i < size; i++) {
        byte[i] = (unsigned char)value;
        __asm__ volatile("");
    }
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    unsigned char *byte = to;
    const unsigned char *source = from;

    for (size_t i = 0; i < size; i++) {
        byte[i] = source[i];
        __asm__ volatile("");
    }
    return to;
}
