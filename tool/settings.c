/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "formats.h"
#include "tool.h"

#define KEY_OF_FORMAT 0x300
#define KEY_LIMIT 0x101
#define KEY_UPPER 0x102
#define KEY_STAYS_STOPPED 0x103
#define LIMIT 100000000

static const struct argp_option common[] = {
    {"format", 'f', "NAME", 0, "the tables' format (`pagetable formats`); else from the CPU's registers", 1},
    {"root", 'r', "ADDRESS", 0, "physical address of the root; else from the registers", 1},
    {"upper", KEY_UPPER, NULL, 0, "the table of the upper half (AArch64: TTBR1)", 1},
    {"output", 'o', "FORM", 0, "text, json; dump: csv, description, too; draw: html, svg", 1},
    {"limit", KEY_LIMIT, "LOOKS", 0, "look at tables so many times at most (100 million)", 1},
    {"stay-stopped", KEY_STAYS_STOPPED, NULL, 0, "gdb: was stopped before, and is not to go on afterwards", 1},
};
#define COMMON (sizeof(common) / sizeof(common[0]))

struct both {
    struct settings *settings;
    void *own;
};

uint64_t settings_number(const struct argp_state *state, const char *text)
{
    uint64_t value = 0;

    if (!parse_number(text, &value))
        argp_error(state, "%s is no number", text);
    return value;
}

static enum output output_by_name(const struct argp_state *state, const char *name, unsigned outputs)
{
    static const char *const names[] = {"text", "json", "csv", "description", "html", "svg"};
    char list[64] = "";
    size_t length = 0;

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(outputs >> i & 1))
            continue;
        if (strcmp(name, names[i]) == 0)
            return (enum output)i;
        length += (size_t)snprintf(list + length, sizeof(list) - length, " %s", names[i]);
    }
    argp_error(state, "--output=%s: there is%s", name, list);
    return OUTPUT_TEXT;
}

/* Kept as it would stand in a description. */
static void keep_option(struct settings *settings, const struct argp_state *state, size_t index, const char *value)
{
    char *kept = settings->option_text[settings->option_count % MAX_OPTIONS];
    int length;

    if (settings->option_count == MAX_OPTIONS)
        argp_error(state, "too many options");
    length = snprintf(kept, sizeof(settings->option_text[0]), "%s%s%s", format_options[index].name, value ? "=" : "",
                      value ? value : "");
    if (length < 0 || (size_t)length >= sizeof(settings->option_text[0]))
        argp_error(state, "--%s: the value is too long", format_options[index].name);
    settings->options[settings->option_count++] = kept;
}

static error_t parse_common(int key, char *value, struct argp_state *state)
{
    struct settings *settings = ((struct both *)state->input)->settings;

    if (key >= KEY_OF_FORMAT && (size_t)(key - KEY_OF_FORMAT) < format_options_count) {
        keep_option(settings, state, (size_t)(key - KEY_OF_FORMAT), value);
        return 0;
    }
    switch (key) {
    case ARGP_KEY_INIT:
        if (state->root_argp->children)
            state->child_inputs[0] = ((struct both *)state->input)->own;
        break;
    case 'f':
        settings->format = format_by_name(value);
        if (!settings->format)
            argp_error(state, "there is no format %s; see `pagetable formats`", value);
        break;
    case 'r':
        settings->root = settings_number(state, value);
        settings->has_root = true;
        break;
    case KEY_UPPER:
        settings->upper = true;
        break;
    case 'o':
        settings->output = output_by_name(state, value, settings->outputs);
        break;
    case KEY_LIMIT:
        settings->limit = settings_number(state, value);
        break;
    case KEY_STAYS_STOPPED:
        settings->stays_stopped = true;
        break;
    case ARGP_KEY_ARG:
        if (settings->argument_count == MAX_ARGUMENTS)
            argp_error(state, "too many arguments");
        settings->arguments[settings->argument_count++] = value;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

void settings_parse(struct settings *settings, const struct argp *argp, void *own, unsigned outputs, int argc,
                    char **argv)
{
    struct argp_option *options = calloc(COMMON + format_options_count + 1, sizeof(*options));
    struct argp_child children[2] = {{.argp = argp}};
    struct both both = {settings, own};
    struct argp all = {.options = options,
                       .parser = parse_common,
                       .args_doc = argp->args_doc,
                       .doc = argp->doc,
                       .children = argp->parser ? children : NULL};
    struct argp child = *argp;

    memset(settings, 0, sizeof(*settings));
    settings->limit = LIMIT;
    settings->outputs = outputs;
    settings->output = (enum output)(ffs((int)outputs) - 1);
    argp_err_exit_status = STATUS_TROUBLE;
    if (!options) {
        complain("out of memory");
        exit(STATUS_TROUBLE);
    }
    memcpy(options, common, sizeof(common));
    for (size_t i = 0; i < format_options_count; i++)
        options[COMMON + i] = (struct argp_option){.name = format_options[i].name,
                                                   .key = KEY_OF_FORMAT + (int)i,
                                                   .arg = format_options[i].value,
                                                   .doc = format_options[i].summary,
                                                   .group = 2};
    child.doc = child.args_doc = NULL;
    children[0].argp = &child;
    argp_parse(&all, argc, argv, 0, NULL, &both);
    free(options);
}
