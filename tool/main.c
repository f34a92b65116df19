/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "formats.h"
#include "tool.h"

static const struct command commands[] = {
    {"dump", "what is mapped where", run_dump},
    {"explain", "what comes of an access, and why", run_explain},
    {"audit", "what is wrong", run_audit},
    {"diff", "what differs between two tables", run_diff},
    {"draw", "a picture of the address space, as HTML or SVG", run_draw},
    {"build", "an image of tables from a description", run_build},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

bool complain(const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    fputs("pagetable: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    return false;
}

static void put_usage(FILE *to)
{
    fputs("usage: pagetable COMMAND [OPTION...] SOURCE...\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-8s  %s\n", commands[i].name, commands[i].summary);
    fputs("\nSOURCE: FILE[@BASE] (memory from a physical address on), an ELF core of QEMU,\n"
          "gdb:HOST:PORT or gdb:PATH (a running QEMU's gdb stub), qmp:HOST:PORT or qmp:PATH (its QMP socket).\n"
          "`pagetable COMMAND --help` has the options; `pagetable formats` the formats.\n"
          "Exit status: 0; 1 if there are findings, differences or a fault; 2 for trouble.\n",
          to);
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    int status = STATUS_FINE;
    size_t i = 0;

    while (i < COMMANDS && strcmp(commands[i].name, name) != 0)
        i++;
    if (i < COMMANDS) {
        char full_name[32]; /* for the usage that argp prints */

        snprintf(full_name, sizeof(full_name), "pagetable %s", name);
        argv[1] = full_name;
        status = commands[i].run(argc - 1, argv + 1);
    } else if (strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        put_usage(stdout);
    } else if (strcmp(name, "--version") == 0) {
        puts("pagetable " PAGETABLE_VERSION);
    } else if (strcmp(name, "formats") == 0) {
        formats_put(stdout);
    } else {
        put_usage(stderr);
        return STATUS_TROUBLE;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain("the output could not be written");
        return STATUS_TROUBLE;
    }
    return status;
}
