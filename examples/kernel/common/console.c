/* SPDX-License-Identifier: MIT */
#include "console.h"

#include <stdarg.h>

#include "machine.h"

static void print_text(const char *text)
{
    while (*text != '\0')
        machine_put_char(*text++);
}

static void print_number(unsigned long number, unsigned base)
{
    char digits[24];
    char *first = digits + sizeof(digits) - 1;

    *first = '\0';
    do {
        *--first = "0123456789abcdef"[number % base];
        number /= base;
    } while (number != 0);
    print_text(base == 16 ? "0x" : "");
    print_text(first);
}

__attribute__((format(printf, 1, 0))) static void print_list(const char *format, va_list *arguments)
{
    for (; *format != '\0'; format++) {
        bool is_long;

        if (*format != '%') {
            machine_put_char(*format);
            continue;
        }
        is_long = *++format == 'l';
        if (is_long)
            format++;
        if (*format == 's')
            print_text(va_arg(*arguments, const char *));
        else if (*format == 'x')
            print_number(is_long ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned), 16);
        else if (*format == 'u')
            print_number(is_long ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned), 10);
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
    print("\n%s\n", name);
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
    print("FAIL unexpected %s: cause %lx at %lx, address %lx\n", what, (unsigned long)cause, (unsigned long)pc,
          (unsigned long)vaddr);
    machine_exit(false);
}
