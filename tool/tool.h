/* SPDX-License-Identifier: MIT */
/* What the parts of the command share: how it ends, what it says, and the list of subcommands. */
#ifndef TOOL_TOOL_H
#define TOOL_TOOL_H

#include <stdbool.h>

/* Exit statuses, as those of grep and diff. */
#define STATUS_FINE 0
#define STATUS_FOUND 1   /**< audit: findings; diff: differences; explain: the access faults */
#define STATUS_TROUBLE 2 /**< wrong usage, or input that cannot be read */

/** Say what is wrong, with the name of the program before it; the answer is false, to be returned. */
bool complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** A subcommand: argv[0] is its name. Returns an exit status. */
struct command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};

int run_dump(int argc, char **argv);
int run_explain(int argc, char **argv);
int run_audit(int argc, char **argv);
int run_diff(int argc, char **argv);
int run_draw(int argc, char **argv);
int run_build(int argc, char **argv);

#endif
