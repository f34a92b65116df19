/* SPDX-License-Identifier: MIT */
#include "description.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "formats.h"
#include "output.h"
#include "tool.h"

#define MAX_WORDS 6

static bool add_map(struct description *description, const struct description_map *map)
{
    size_t count = description->count;

    if ((count & (count - 1)) == 0) { /* twice as many whenever a power of two is reached */
        struct description_map *more = realloc(description->maps, (count ? 2 * count : 1) * sizeof(*more));

        if (!more)
            return complain("out of memory");
        description->maps = more;
    }
    description->maps[description->count++] = *map;
    return true;
}

static bool set_format(struct description *description, const char *name)
{
    if (description->base)
        return complain("a second format");
    description->base = format_by_name(name);
    if (!description->base)
        return complain("there is no format %s", name);
    description->format = *description->base;
    return true;
}

static bool set_option(struct description *description, const char *option)
{
    if (!description->base)
        return complain("an option before the format");
    return format_apply(&description->format, option);
}

/* ---- Text -------------------------------------------------------------------------------------- */

static bool read_map(struct description *description, char *const *words, unsigned count, unsigned line)
{
    struct description_map map = {.place = line};

    if (count < 5 || count > 6)
        return complain("map takes a virtual and a physical address, a size, rights, and perhaps page=SIZE");
    if (!parse_number(words[1], &map.vaddr))
        return complain("%s is no virtual address", words[1]);
    if (!parse_number(words[2], &map.paddr))
        return complain("%s is no physical address", words[2]);
    if (!parse_number(words[3], &map.size))
        return complain("%s is no size", words[3]);
    if (!parse_flags(words[4], &map.flags))
        return complain("%s: rights are r, w, x, u, g, d, n and -", words[4]);
    if (count == 6 && (strncmp(words[5], "page=", 5) != 0 || !parse_number(words[5] + 5, &map.page_size)))
        return complain("%s is not page=SIZE", words[5]);
    return add_map(description, &map);
}

static bool read_line(struct description *description, char *text, unsigned line)
{
    char *words[MAX_WORDS + 1], *rest = NULL;
    unsigned count = 0;

    text[strcspn(text, "#")] = '\0';
    for (char *word = strtok_r(text, " \t\r\n", &rest); word && count <= MAX_WORDS;
         word = strtok_r(NULL, " \t\r\n", &rest))
        words[count++] = word;
    if (count == 0)
        return true;
    if (strcmp(words[0], "map") == 0)
        return read_map(description, words, count, line);
    if (strcmp(words[0], "upper") == 0 && count == 1)
        return description->upper = true;
    if (count != 2)
        return complain("%s: no such line, or not so many words", words[0]);
    if (strcmp(words[0], "format") == 0)
        return set_format(description, words[1]);
    if (strcmp(words[0], "option") == 0)
        return set_option(description, words[1]);
    if (strcmp(words[0], "tables") == 0)
        return parse_number(words[1], &description->tables) || complain("%s is no address", words[1]);
    return complain("%s: no such line", words[0]);
}

static bool read_text(struct description *description, FILE *file)
{
    char *text = NULL;
    size_t size = 0;
    unsigned line = 0;
    bool is_fine = true;

    while (is_fine && getline(&text, &size, file) >= 0) {
        line++;
        is_fine = read_line(description, text, line);
        if (!is_fine)
            complain("%s:%u: this line", description->file, line);
    }
    free(text);
    return is_fine && !ferror(file);
}

/* ---- JSON -------------------------------------------------------------------------------------- */

/* A number, or one in a string. */
static bool get_number(const json_t *value, uint64_t *number)
{
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *number = (uint64_t)json_integer_value(value);
        return true;
    }
    return json_is_string(value) && parse_number(json_string_value(value), number);
}

static bool read_range(struct description *description, const json_t *range, size_t index)
{
    struct description_map map = {.place = (unsigned)index};
    const json_t *page = json_object_get(range, "page_size"), *flags = json_object_get(range, "flags");

    if (!get_number(json_object_get(range, "vaddr"), &map.vaddr) ||
        !get_number(json_object_get(range, "paddr"), &map.paddr) ||
        !get_number(json_object_get(range, "size"), &map.size) || (page && !get_number(page, &map.page_size)) ||
        !json_is_string(flags) || !parse_flags(json_string_value(flags), &map.flags))
        return complain("%s: ranges[%zu]: vaddr, paddr, size, flags or page_size is wrong or missing",
                        description->file, index);
    return add_map(description, &map);
}

static bool use_json(struct description *description, const json_t *json)
{
    const json_t *format = json_object_get(json, "format"), *options = json_object_get(json, "options");
    const json_t *tables = json_object_get(json, "tables"), *value;
    size_t i;

    if (!json_is_string(format))
        return complain("%s: no \"format\"", description->file);
    if (!set_format(description, json_string_value(format)))
        return false;
    json_array_foreach(
        options, i,
        value) if (!json_is_string(value) ||
                   !set_option(description, json_string_value(value))) return complain("%s: options[%zu] is none",
                                                                                       description->file, i);
    if (!tables)
        tables = json_object_get(json, "root");
    if (tables && !get_number(tables, &description->tables))
        return complain("%s: \"tables\" is no address", description->file);
    description->upper = json_is_true(json_object_get(json, "upper"));
    json_array_foreach(json_object_get(json, "ranges"), i, value) if (!read_range(description, value, i)) return false;
    return true;
}

static bool read_json(struct description *description, FILE *file)
{
    json_error_t error;
    json_t *json = json_loadf(file, JSON_REJECT_DUPLICATES, &error);
    bool is_fine;

    if (!json)
        return complain("%s:%d:%d: %s", description->file, error.line, error.column, error.text);
    is_fine = use_json(description, json);
    json_decref(json);
    return is_fine;
}

/* ---- Either ------------------------------------------------------------------------------------ */

bool description_read(struct description *description, FILE *file, const char *name)
{
    int first = getc(file);

    *description = (struct description){.file = name};
    while (first != EOF && isspace(first) && first != '\n')
        first = getc(file);
    if (first != EOF)
        ungetc(first, file);
    description->is_json = first == '{';
    if (!(description->is_json ? read_json(description, file) : read_text(description, file)))
        return false;
    return description->base || complain("%s: names no format", name);
}

void description_free(struct description *description)
{
    free(description->maps);
    description->maps = NULL;
}
