/* SPDX-License-Identifier: MIT */
/* `pagetable diff`: what differs between the tables of two sources, or of two roots. */
#include <inttypes.h>
#include <stdio.h>

#include "formats.h"
#include "output.h"
#include "tool.h"
#include "view.h"

#define KEY_ROOT_B KEY_OF_COMMAND
#define KEY_FORMAT_B (KEY_OF_COMMAND + 1)
#define KEY_IGNORE (KEY_OF_COMMAND + 2)

struct other {
    const struct pt_format *format;
    uint64_t root;
    bool has_root;
    pt_flags ignored;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct other *other = state->input;

    switch (key) {
    case KEY_ROOT_B:
        other->root = settings_number(state, value);
        other->has_root = true;
        break;
    case KEY_FORMAT_B:
        other->format = format_by_name(value);
        if (!other->format)
            argp_error(state, "there is no format %s; see `pagetable formats`", value);
        break;
    case KEY_IGNORE:
        if (!parse_flags(value, &other->ignored))
            argp_error(state, "--ignore=%s: there is r, w, x, u, g, d and n", value);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

struct printing {
    enum output output;
    const struct view *a, *b;
    bool is_first;
};

static void put_side(char sign, const struct pt_difference *difference, const struct pt_mapping *mapping)
{
    char flags[OUTPUT_LENGTH], size[OUTPUT_LENGTH], page[OUTPUT_LENGTH];

    printf("%c 0x%016" PRIx64 "-0x%016" PRIx64 " -> 0x%016" PRIx64 " %6s of %4s %s\n", sign, difference->vaddr,
           difference->vaddr + (difference->size - 1), mapping->paddr, put_size(size, difference->size),
           put_size(page, mapping->page_size), put_flags(flags, mapping->flags));
}

static bool put_difference(void *arg, const struct pt_difference *difference)
{
    struct printing *printing = arg;
    bool in_a = !(difference->differs & PT_DIFFERS_ONLY_IN_B), in_b = !(difference->differs & PT_DIFFERS_ONLY_IN_A);

    if (difference->differs & PT_DIFFERS_UNKNOWN)
        return complain("0x%" PRIx64 " and above: not compared, there are too many tables", difference->vaddr);
    if (printing->output == OUTPUT_JSON) {
        json_t *object = json_object();

        if (in_a)
            json_object_set_new(object, "a", json_range(difference->vaddr, difference->size, &difference->a));
        if (in_b)
            json_object_set_new(object, "b", json_range(difference->vaddr, difference->size, &difference->b));
        json_piece(stdout, object, printing->is_first);
    } else {
        if (in_a)
            put_side('-', difference, &difference->a);
        if (in_b)
            put_side('+', difference, &difference->b);
    }
    printing->is_first = false;
    return printing->a->looks_left > 0 && printing->b->looks_left > 0;
}

int run_diff(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"root-b", KEY_ROOT_B, "ADDRESS", 0, "the root in B, if it is not that of A", 0},
        {"format-b", KEY_FORMAT_B, "NAME", 0, "the format of B, likewise", 0},
        {"ignore", KEY_IGNORE, "FLAGS", 0, "do not compare these: of rwxugdn", 0},
        {0}};
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "A [B]",
                                     .doc = "What differs between the tables of two sources, or of one with two roots. "
                                            "Status 1: something does."};
    struct settings settings, settings_b;
    struct other other = {.has_root = false};
    struct view a, b;
    struct printing printing = {.a = &a, .b = &b, .is_first = true};
    bool is_complete;
    size_t count;

    settings_parse(&settings, &argp, &other, OUTPUTS(TEXT) | OUTPUTS(JSON), argc, argv);
    if (settings.argument_count < 1 || settings.argument_count > 2) {
        complain("diff takes one SOURCE or two");
        return STATUS_TROUBLE;
    }
    settings_b = settings;
    if (other.format)
        settings_b.format = other.format;
    if (other.has_root) {
        settings_b.root = other.root;
        settings_b.has_root = true;
    }
    printing.output = settings.output;
    if (!view_open(&a, settings.arguments[0], &settings))
        return STATUS_TROUBLE;
    if (!view_open(&b, settings.arguments[settings.argument_count - 1], &settings_b)) {
        view_close(&a);
        return STATUS_TROUBLE;
    }
    if (settings.output == OUTPUT_JSON)
        putchar('[');
    count = pt_diff(&a.pt, &b.pt, PT_ALL_FLAGS & ~other.ignored, put_difference, &printing);
    if (settings.output == OUTPUT_JSON)
        puts("\n]");
    is_complete = view_is_complete(&a) && view_is_complete(&b);
    view_close(&a);
    view_close(&b);
    return !is_complete ? STATUS_TROUBLE : count ? STATUS_FOUND : STATUS_FINE;
}
