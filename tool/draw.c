/* SPDX-License-Identifier: MIT */
/* `pagetable draw`: a picture of the address space (picture.c), alone or in a page that shows the tables, too. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "files.h"
#include "output.h"
#include "picture.h"
#include "tool.h"

#define KEY_MARKER KEY_OF_COMMAND

static bool is_utf8(const char *text)
{
    json_t *string = json_string(text);
    bool is_fine = string != NULL;

    json_decref(string);
    return is_fine;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct names *names = state->input;
    char *equals;

    if (key != KEY_MARKER)
        return ARGP_ERR_UNKNOWN;
    equals = strchr(value, '=');
    if (!equals || !equals[1] || !is_utf8(equals + 1)) {
        argp_error(state, "--marker=%s: an address, =, and a name in UTF-8 are needed", value);
        return EINVAL;
    }
    if (names->count == MAX_MARKERS)
        argp_error(state, "more than %d markers", MAX_MARKERS);
    *equals = '\0';
    names->markers[names->count++] = (struct pt_marker){settings_number(state, value), equals + 1};
    return 0;
}

static int compare(const void *a, const void *b)
{
    pt_vaddr first = ((const struct pt_marker *)a)->vaddr, second = ((const struct pt_marker *)b)->vaddr;

    return (first > second) - (first < second);
}

/*
 * A stream of JSON to what stands in a script element: there, nothing may end the element or begin a comment. All < of
 * JSON are in strings, which may hold them as numbers.
 */
static ssize_t write_json(void *to, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '<')
            fputs("\\u003c", to);
        else
            putc(bytes[i], to);
    }
    return ferror(to) ? 0 : (ssize_t)length;
}

static FILE *open_json(FILE *to)
{
    FILE *json = fopencookie(to, "w", (cookie_io_functions_t){.write = write_json});

    if (!json) {
        complain("out of memory");
        exit(STATUS_TROUBLE);
    }
    return json;
}

/* What the page needs beside the dump. */
static void put_about(FILE *to, const struct view *view, const struct names *names)
{
    json_t *spans = json_array(), *markers = json_array(), *about;
    FILE *json = open_json(to);

    for (unsigned level = 0; level < view->format.levels; level++) {
        unsigned below = view->format.levels - 1 - level;

        json_array_append_new(spans,
                              json_hex(UINT64_C(1) << (view->format.page_shift + below * view->format.index_bits)));
    }
    for (unsigned i = 0; i < names->count; i++)
        json_array_append_new(
            markers, json_pack("{so ss}", "vaddr", json_hex(names->markers[i].vaddr), "name", names->markers[i].name));
    about = json_pack("{ss ss si sb so so}", "source", names->source, "name", view->format.name, "va_bits",
                      (int)view->format.va_bits, "sign_extended", view->format.address_space == PT_SIGN_EXTENDED,
                      "spans", spans, "markers", markers);
    json_dumpf(about, json, JSON_COMPACT);
    json_decref(about);
    fclose(json);
}

static void put_dump(FILE *to, const struct view *view, const struct settings *settings)
{
    FILE *json = open_json(to);

    dump_json(json, view, settings, true);
    fclose(json);
}

/* draw.html, with what belongs in the places of {{picture}} and the like. */
static bool put_page(FILE *to, const struct view *view, const struct settings *settings, const struct names *names)
{
    const char *at = file_draw_html, *place;
    bool is_fine = true;

    for (; (place = strstr(at, "{{")) != NULL; at = strstr(place, "}}") + 2) {
        fwrite(at, 1, (size_t)(place - at), to);
        if (strncmp(place, "{{picture}}", 11) == 0)
            is_fine &= picture_put(to, view, names);
        else if (strncmp(place, "{{dump}}", 8) == 0)
            put_dump(to, view, settings);
        else if (strncmp(place, "{{about}}", 9) == 0)
            put_about(to, view, names);
        else
            fputs(file_draw_js, to);
    }
    fputs(at, to);
    return is_fine;
}

int run_draw(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"marker", KEY_MARKER, "ADDRESS=NAME", 0, "name what begins at an address; may be given more than once", 0},
        {0}};
    static const struct argp argp = {.options = options,
                                     .parser = parse,
                                     .args_doc = "SOURCE",
                                     .doc = "A picture of the address space: a page that needs nothing else, or SVG."};
    struct settings settings;
    struct names names = {0};
    struct view view;
    bool is_fine;

    settings_parse(&settings, &argp, &names, OUTPUTS(HTML) | OUTPUTS(SVG), argc, argv);
    if (settings.argument_count != 1) {
        complain("draw takes one SOURCE");
        return STATUS_TROUBLE;
    }
    if (!view_open(&view, settings.arguments[0], &settings))
        return STATUS_TROUBLE;
    names.source = is_utf8(settings.arguments[0]) ? settings.arguments[0] : "a file";
    qsort(names.markers, names.count, sizeof(names.markers[0]), compare);
    is_fine =
        settings.output == OUTPUT_SVG ? picture_put(stdout, &view, &names) : put_page(stdout, &view, &settings, &names);
    is_fine &= view_is_complete(&view);
    view_close(&view);
    return is_fine ? STATUS_FINE : STATUS_TROUBLE;
}
