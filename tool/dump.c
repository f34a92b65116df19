/* SPDX-License-Identifier: MIT */
/* `pagetable dump`: what is mapped where; in JSON the tree of tables, too, for those who draw it. */
#include <inttypes.h>
#include <stdio.h>

#include "dump.h"
#include "formats.h"
#include "output.h"
#include "tool.h"

#define KEY_TREE KEY_OF_COMMAND

static error_t parse(int key, char *value, struct argp_state *state)
{
    (void)value;
    if (key != KEY_TREE)
        return ARGP_ERR_UNKNOWN;
    *(bool *)state->input = true;
    return 0;
}

static void put_range(enum output output, const struct pt_range *range)
{
    const struct pt_mapping *mapping = &range->mapping;
    char flags[OUTPUT_LENGTH], size[OUTPUT_LENGTH], page[OUTPUT_LENGTH];

    put_flags(flags, mapping->flags & (output == OUTPUT_DESCRIPTION ? PT_ALL_FLAGS : ~(pt_flags)0));
    put_size(size, range->size);
    put_size(page, mapping->page_size);
    switch (output) {
    case OUTPUT_TEXT:
        printf("0x%016" PRIx64 "-0x%016" PRIx64 " -> 0x%016" PRIx64 " %6s of %4s %s\n", range->vaddr,
               range->vaddr + (range->size - 1), mapping->paddr, size, page, flags);
        break;
    case OUTPUT_CSV:
        printf("0x%" PRIx64 ",0x%" PRIx64 ",0x%" PRIx64 ",0x%" PRIx64 ",%s\n", range->vaddr, range->size,
               mapping->paddr, mapping->page_size, flags);
        break;
    case OUTPUT_DESCRIPTION:
        printf("map 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " %s page=%s\n", range->vaddr, mapping->paddr, range->size,
               flags, page);
        break;
    default: /* JSON is put together by dump_json */
        break;
    }
}

static void put_head(const struct view *view, const struct settings *settings)
{
    const char *name = format_name(view->base);

    if (settings->output == OUTPUT_CSV) {
        puts("vaddr,size,paddr,page_size,flags");
    } else if (settings->output == OUTPUT_DESCRIPTION) {
        printf("format %s\n", name);
        for (unsigned i = 0; i < settings->option_count; i++)
            printf("option %s\n", settings->options[i]);
        printf("%stables 0x%" PRIx64 "\n", settings->upper ? "upper\n" : "", pt_root(&view->pt));
    }
}

struct tree {
    FILE *to;
    const struct view *view;
    bool is_first;
};

/* Each entry in use, parents before what lies below them. */
static bool put_entry(void *arg, const struct pt_visit *visit)
{
    struct tree *tree = arg;
    json_t *entry = json_pack("{si si so so sb}", "level", (int)visit->level, "index", (int)visit->index, "vaddr",
                              json_hex(visit->vaddr), "bits", json_hex(visit->bits), "leaf", visit->is_leaf);

    if (entry && visit->is_leaf) {
        json_object_set_new(entry, "paddr", json_hex(visit->mapping.paddr));
    } else if (entry) {
        struct pt_explanation way;
        const struct pt_step *step = &way.step[visit->level];

        pt_explain_access(&tree->view->pt, visit->vaddr, PT_READ, tree->view->cpu, &way);
        if (visit->level < way.steps && step->is_table) {
            char flags[OUTPUT_LENGTH];

            json_object_set_new(entry, "paddr", json_hex(step->paddr));
            json_object_set_new(entry, "flags", json_string(put_flags(flags, step->allows)));
        }
    }
    json_piece(tree->to, entry, tree->is_first);
    tree->is_first = false;
    return tree->view->looks_left > 0;
}

void dump_json(FILE *to, const struct view *view, const struct settings *settings, bool with_tree)
{
    struct pt_ranges ranges;
    struct pt_range range;

    fprintf(to, "{\"format\": \"%s\", \"root\": \"0x%" PRIx64 "\", \"upper\": %s, \"levels\": %u, \"options\": [",
            format_name(view->base), pt_root(&view->pt), settings->upper ? "true" : "false", view->format.levels);
    for (unsigned i = 0; i < settings->option_count; i++)
        fprintf(to, "%s\"%s\"", i ? ", " : "", settings->options[i]);
    fputs("],\n\"ranges\": [", to);
    pt_ranges_init(&ranges, &view->pt, 0, PT_RANGES_CONTIGUOUS | PT_RANGES_PAGE_SIZE);
    for (bool is_first = true; pt_ranges_next(&ranges, &range); is_first = false)
        json_piece(to, json_range(range.vaddr, range.size, &range.mapping), is_first);
    fputs("\n]", to);
    if (with_tree) {
        struct tree tree = {to, view, true};

        fputs(",\n\"entries\": [", to);
        pt_walk(&view->pt, SIZE_MAX, put_entry, NULL, &tree);
        fputs("\n]", to);
    }
    fputs("}\n", to);
}

int run_dump(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"tree", KEY_TREE, NULL, 0, "with --output=json: every entry in use, too", 0}, {0}};
    static const struct argp argp = {
        .options = options, .parser = parse, .args_doc = "SOURCE", .doc = "What is mapped where."};
    struct settings settings;
    struct view view;
    struct pt_ranges ranges;
    struct pt_range range;
    bool with_tree = false, is_complete;

    settings_parse(&settings, &argp, &with_tree, OUTPUTS(TEXT) | OUTPUTS(JSON) | OUTPUTS(CSV) | OUTPUTS(DESCRIPTION),
                   argc, argv);
    if (settings.argument_count != 1) {
        complain("dump takes one SOURCE");
        return STATUS_TROUBLE;
    }
    if (!view_open(&view, settings.arguments[0], &settings))
        return STATUS_TROUBLE;
    if (settings.output == OUTPUT_JSON) {
        dump_json(stdout, &view, &settings, with_tree);
    } else {
        put_head(&view, &settings);
        pt_ranges_init(&ranges, &view.pt, 0, PT_RANGES_CONTIGUOUS | PT_RANGES_PAGE_SIZE);
        while (pt_ranges_next(&ranges, &range))
            put_range(settings.output, &range);
    }
    is_complete = view_is_complete(&view);
    view_close(&view);
    return is_complete ? STATUS_FINE : STATUS_TROUBLE;
}
