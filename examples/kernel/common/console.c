/* SPDX-License-Identifier: MIT */
#include "console.h"

#include <stdarg.h>

#include "machine.h"

static void print_text(const char *text)
{
    while (*text != '\0')
        machine_put_char(*text++);
}

/* The last digit, which goes. 16 bits at a time: CPUs of 32 bits cannot divide 64. */
static unsigned take_digit(uint64_t *number, unsigned base)
{
    uint64_t quotient = 0;
    uint32_t rest = 0;

    for (unsigned shift = 64; shift > 0;) {
        shift -= 16;
        rest = rest << 16 | (uint32_t)(*number >> shift & 0xffff);
        quotient |= (uint64_t)(rest / base) << shift;
        rest %= base;
    }
    *number = quotient;
    return rest;
}

static void print_number(uint64_t number, unsigned base)
{
    char digits[24];
    char *first = digits + sizeof(digits) - 1;

    *first = '\0';
    do
        *--first = "0123456789abcdef"[take_digit(&number, base)];
    while (number != 0);
    print_text(base == 16 ? "0x" : "");
    print_text(first);
}

__attribute__((format(printf, 1, 0))) static void print_list(const char *format, va_list *arguments)
{
    for (; *format != '\0'; format++) {
        uint64_t number;

        if (*format != '%') {
            machine_put_char(*format);
            continue;
        }
        if (*++format == 's') {
            print_text(va_arg(*arguments, const char *));
            continue;
        }
        if (*format == 'j') {
            number = va_arg(*arguments, uintmax_t);
            format++;
        } else if (*format == 'z') {
            number = va_arg(*arguments, size_t);
            format++;
        } else {
            number = va_arg(*arguments, unsigned);
        }
        print_number(number, *format == 'x' ? 16 : 10);
    }
}

void print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_list(format, &arguments);
    va_end(arguments);
}

void console_write_line(void *arg, const char *text, size_t length)
{
    (void)arg;
    print_text("  ");
    for (size_t i = 0; i < length; i++)
        machine_put_char(text[i]);
}

void group(const char *name)
{
    print("%s\n", name);
}

static unsigned checks;

void check(bool passed, const char *format, ...)
{
    va_list arguments;

    checks++;
    print("  %s%s%u  ", passed ? "ok   " : "FAIL ", checks < 10 ? "  " : checks < 100 ? " " : "", checks);
    va_start(arguments, format);
    print_list(format, &arguments);
    va_end(arguments);
    print("\n");
    if (!passed)
        machine_exit(false);
}

unsigned check_count(void)
{
    return checks;
}

void note(const char *format, ...)
{
    va_list arguments;

    print("  --        ");
    va_start(arguments, format);
    print_list(format, &arguments);
    va_end(arguments);
    print("\n");
}

_Noreturn void kernel_panic(const char *what, uint64_t cause, uint64_t pc, pt_vaddr vaddr)
{
    print("FAIL unexpected %s: cause %jx at %jx, address %jx\n", what, cause, pc, vaddr);
    machine_exit(false);
}
