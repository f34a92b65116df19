/* SPDX-License-Identifier: MIT */
/* `pagetable explain`: the way down to an address, and what comes of an access. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "formats.h"
#include "output.h"
#include "tool.h"
#include "view.h"

#define KEY_CPU KEY_OF_COMMAND

struct access {
    pt_flags right, user;
    uint32_t cpu;
    bool has_cpu;
};

static const struct {
    const char *name;
    uint32_t bit;
} cpu_bits[] = {{"wp", PT_CPU_WP},     {"smep", PT_CPU_SMEP}, {"smap", PT_CPU_SMAP}, {"pan", PT_CPU_PAN},
                {"epan", PT_CPU_EPAN}, {"wxn", PT_CPU_WXN},   {"sum", PT_CPU_SUM},   {"mxr", PT_CPU_MXR}};
#define CPU_BITS (sizeof(cpu_bits) / sizeof(cpu_bits[0]))

/* "wp,smep", or "" */
static void parse_cpu(const struct argp_state *state, struct access *access, char *list)
{
    access->has_cpu = true;
    for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
        size_t i = 0;

        while (i < CPU_BITS && strcmp(cpu_bits[i].name, name) != 0)
            i++;
        if (i == CPU_BITS)
            argp_error(state, "--cpu=%s: there is wp, smep, smap, pan, epan, wxn, sum and mxr", name);
        else
            access->cpu |= cpu_bits[i].bit;
    }
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct access *access = state->input;

    switch (key) {
    case 'w':
        access->right = PT_WRITE;
        break;
    case 'x':
        access->right = PT_EXECUTE;
        break;
    case 'u':
        access->user = PT_USER;
        break;
    case KEY_CPU:
        parse_cpu(state, access, value);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void put_json(const struct pt_explanation *is)
{
    json_t *steps = json_array();
    char flags[OUTPUT_LENGTH];

    for (unsigned i = 0; i < is->steps; i++)
        json_array_append_new(steps, json_pack("{so si so ss}", "table", json_hex(is->step[i].table), "index",
                                               (int)is->step[i].index, "bits", json_hex(is->step[i].bits), "allows",
                                               put_flags(flags, is->step[i].allows)));
    json_piece(stdout,
               json_pack("{so ss so sb so so si sI}", "vaddr", json_hex(is->vaddr), "reason",
                         pt_reason_name(is->reason), "steps", steps, "translated", is->is_translated, "paddr",
                         json_hex(is->mapping.paddr), "bits", json_hex(is->bits), "exception", (int)is->exception,
                         "code", (json_int_t)is->code),
               true);
    putchar('\n');
}

int run_explain(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"write", 'w', NULL, 0, "the access is a write (else a read)", 0},
        {"execute", 'x', NULL, 0, "it is an instruction fetch", 0},
        {"user", 'u', NULL, 0, "it is the user's", 0},
        {"cpu", KEY_CPU, "BITS", 0,
         "of wp,smep,smap,pan,epan,wxn,sum,mxr those that are set; else as the registers say", 0},
        {0}};
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "SOURCE ADDRESS...",
                                     .doc = "What comes of an access to each address, and why. Status 1: one faults."};
    struct access access = {.right = PT_READ};
    struct settings settings;
    struct view view;
    bool faults = false, is_complete;

    settings_parse(&settings, &argp, &access, OUTPUTS(TEXT) | OUTPUTS(JSON), argc, argv);
    if (settings.argument_count < 2) {
        complain("explain takes a SOURCE and addresses");
        return STATUS_TROUBLE;
    }
    for (unsigned i = 1; i < settings.argument_count; i++) {
        uint64_t vaddr;

        if (!parse_number(settings.arguments[i], &vaddr)) {
            complain("%s is no address", settings.arguments[i]);
            return STATUS_TROUBLE;
        }
    }
    if (!view_open(&view, settings.arguments[0], &settings))
        return STATUS_TROUBLE;
    for (unsigned i = 1; i < settings.argument_count; i++) {
        uint32_t cpu = access.has_cpu ? access.cpu : view.cpu;
        struct pt_explanation explanation;
        uint64_t vaddr = 0;

        (void)parse_number(settings.arguments[i], &vaddr);
        pt_explain_access(&view.pt, vaddr, access.right | access.user, cpu, &explanation);
        faults |= explanation.reason != PT_REASON_NONE;
        if (settings.output == OUTPUT_JSON)
            put_json(&explanation);
        else
            pt_explain(&view.pt, vaddr, access.right | access.user, cpu, write_out, NULL);
    }
    is_complete = view_is_complete(&view);
    view_close(&view);
    return !is_complete ? STATUS_TROUBLE : faults ? STATUS_FOUND : STATUS_FINE;
}
