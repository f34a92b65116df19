/* SPDX-License-Identifier: MIT */
/* Text on the serial line. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/* A printf that knows %s, and %u and %x (which prints 0x itself), both with j (64 bits) and z (size_t), too. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* What pt_dump writes to: a whole line at a time, which is indented. arg is not used. */
void console_write_line(void *arg, const char *text, size_t length);

/* A headline for the checks that follow. */
void group(const char *name);

/* One numbered line that tells what was seen; a wrong result ends the run. */
void check(bool passed, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* How many there were. */
unsigned check_count(void);

/* A line that tells what this machine cannot show, or how it differs. Not a check. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
