/* SPDX-License-Identifier: MIT */
/* The options that the subcommands have in common. */
#ifndef TOOL_SETTINGS_H
#define TOOL_SETTINGS_H

#include <argp.h>
#include <pagetable/pagetable.h>

#define MAX_OPTIONS 32
#define MAX_ARGUMENTS 64

enum output {
    OUTPUT_TEXT,
    OUTPUT_JSON,
    OUTPUT_CSV,
    OUTPUT_DESCRIPTION,
    OUTPUT_HTML,
    OUTPUT_SVG
};

/** A set of forms. */
#define OUTPUTS(form) (1u << OUTPUT_##form)

struct settings {
    const struct pt_format *format;   /**< NULL: from the registers */
    const char *options[MAX_OPTIONS]; /**< of the format, as format_apply takes them */
    char option_text[MAX_OPTIONS][64];
    unsigned option_count;
    uint64_t root;
    bool has_root;
    bool upper;
    bool stays_stopped; /**< a QEMU with a gdb stub, when we are done */
    enum output output;
    unsigned outputs; /**< that there are to choose from */
    uint64_t limit;   /**< of looks at tables */
    char *arguments[MAX_ARGUMENTS];
    unsigned argument_count;
};

/* Keys of a subcommand's own options begin here; those of the formats' lie above. */
#define KEY_OF_COMMAND 0x200

/**
 * Read a subcommand's arguments: the common ones into *settings, its own by `parse` (may be NULL), which gets `own` as
 * state->input. `outputs` are those that it has; the first of them is chosen if nothing is said. Ends the program with
 * STATUS_TROUBLE and a message if something is wrong.
 */
void settings_parse(struct settings *settings, const struct argp *argp, void *own, unsigned outputs, int argc,
                    char **argv);

/** The number, or an end of the program as above. */
uint64_t settings_number(const struct argp_state *state, const char *text);

#endif
