/* SPDX-License-Identifier: MIT */
/* `pagetable audit`: what is wrong; for those who want a build to fail of it. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "tool.h"
#include "view.h"

#define KEY_IGNORE KEY_OF_COMMAND
#define KEY_SEVERITY (KEY_OF_COMMAND + 1)
#define SCRATCH (64u << 20)

static const char *const severities[] = {"note", "warning", "error"};

struct wanted {
    uint32_t rules;
    unsigned severity;
    const struct settings *settings;
    unsigned found;
};

/* PT_RULE_WRITE_EXECUTE is called "write-execute". */
static char *rule_name(char *text, enum pt_rule rule)
{
    const char *name = pt_rule_name(rule);
    size_t i = 0;

    for (name += strncmp(name, "PT_RULE_", 8) == 0 ? 8 : 0; name[i] && i < OUTPUT_LENGTH - 1; i++)
        text[i] = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
    text[i] = '\0';
    return text;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct wanted *wanted = state->input;
    char name[OUTPUT_LENGTH];
    unsigned i = 0;

    switch (key) {
    case KEY_IGNORE:
        while (i < PT_RULES && strcmp(rule_name(name, (enum pt_rule)i), value) != 0)
            i++;
        if (i == PT_RULES)
            argp_error(state, "--ignore=%s: there is no such rule", value);
        wanted->rules &= ~(1u << i);
        break;
    case KEY_SEVERITY:
        while (i < 3 && strcmp(severities[i], value) != 0)
            i++;
        if (i == 3)
            argp_error(state, "--severity=%s: there is note, warning and error", value);
        wanted->severity = i;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static bool put_finding(void *arg, const struct pt_finding *finding)
{
    struct wanted *wanted = arg;
    bool in_pages = finding->rule == PT_RULE_MEMORY_TYPES || finding->rule == PT_RULE_TABLE_TWICE;
    char name[OUTPUT_LENGTH], size[OUTPUT_LENGTH];

    if ((unsigned)finding->severity < wanted->severity)
        return true;
    rule_name(name, finding->rule);
    if (wanted->settings->output == OUTPUT_JSON) {
        json_piece(stdout,
                   json_pack("{ss ss so so si si so so so}", "rule", name, "severity", severities[finding->severity],
                             "vaddr", json_hex(finding->vaddr), "size", json_hex(finding->size), "level",
                             (int)finding->level, "index", (int)finding->index, "bits", json_hex(finding->bits),
                             "wrong", json_hex(finding->wrong), "other", json_hex(finding->other)),
                   wanted->found == 0);
    } else {
        printf("%s: %s: 0x%016" PRIx64 ", %s", severities[finding->severity], name, finding->vaddr,
               put_size(size, finding->size));
        if (finding->bits != 0)
            printf(", level %u entry %u 0x%" PRIx64, finding->level, finding->index, finding->bits);
        if (finding->wrong != 0)
            printf(", wrong bits 0x%" PRIx64, finding->wrong);
        if (in_pages)
            printf(", and at 0x%016" PRIx64, finding->other);
        putchar('\n');
    }
    wanted->found++;
    return true;
}

int run_audit(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"ignore", KEY_IGNORE, "RULE", 0,
         "do not look for this: malformed, unreadable, loop, group, memory-types, write-execute, user-in-upper, "
         "global-user, table-twice, leaf-bits, empty-table, not-all-checked",
         0},
        {"severity", KEY_SEVERITY, "NAME", 0, "of findings that count, at least: note, warning, error", 0},
        {0}};
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "SOURCE",
                                     .doc = "What is wrong with the tables. Status 1: something is."};
    struct settings settings;
    struct wanted wanted = {.rules = PT_ALL_RULES, .settings = &settings};
    struct pt_audit audit = {.scratch_size = SCRATCH};
    struct view view;
    bool is_complete;

    settings_parse(&settings, &argp, &wanted, OUTPUTS(TEXT) | OUTPUTS(JSON), argc, argv);
    if (settings.argument_count != 1) {
        complain("audit takes one SOURCE");
        return STATUS_TROUBLE;
    }
    if (!view_open(&view, settings.arguments[0], &settings))
        return STATUS_TROUBLE;
    audit.scratch = malloc(SCRATCH);
    audit.rules = wanted.rules;
    if (settings.output == OUTPUT_JSON)
        putchar('[');
    if (wanted.rules != 0) /* to the library, 0 means all */
        pt_audit(&view.pt, &audit, put_finding, &wanted);
    if (settings.output == OUTPUT_JSON)
        puts("\n]");
    free(audit.scratch);
    is_complete = view_is_complete(&view);
    view_close(&view);
    return !is_complete ? STATUS_TROUBLE : wanted.found ? STATUS_FOUND : STATUS_FINE;
}
