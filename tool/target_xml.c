/* SPDX-License-Identifier: MIT */
/* GDB manual, "Target Descriptions": a register without a number has that of the one before it, and one. */
#include "target_xml.h"

#include <ctype.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define MAX_DEPTH 8 /* of documents in one another */
#define MAX_DOCUMENTS 64
#define MAX_REGISTERS_OF_TARGET 65536

struct reader {
    struct target *target;
    const char *name, *document;
    char *(*fetch)(void *arg, const char *document, size_t *length);
    void *arg;
    unsigned depth, documents;
    unsigned long next;
    bool in_architecture, has_failed;
    XML_Parser parser;
};

static bool read_document(struct reader *reader, const char *document);

static const char *attribute_of(const char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (strcmp(attributes[0], name) == 0)
            return attributes[1];
    return NULL;
}

static bool add_register(struct reader *reader, const char **attributes)
{
    struct target *target = reader->target;
    const char *name = attribute_of(attributes, "name"), *number = attribute_of(attributes, "regnum");
    const char *bits = attribute_of(attributes, "bitsize");
    struct target_register *one;

    if (!name || !bits || target->count == MAX_REGISTERS_OF_TARGET)
        return complain("%s: %s: a register without name or size, or too many", reader->name, reader->document);
    if (number)
        reader->next = strtoul(number, NULL, 0);
    if ((target->count & (target->count - 1)) == 0) { /* full: the capacity is a power of two */
        size_t capacity = target->count ? target->count * 2 : 1;
        struct target_register *more = realloc(target->registers, capacity * sizeof(*more));

        if (!more)
            return complain("out of memory");
        target->registers = more;
    }
    one = &target->registers[target->count];
    *one = (struct target_register){strdup(name), reader->next++, strtoul(bits, NULL, 0)};
    if (!one->name)
        return complain("out of memory");
    for (char *at = one->name; *at; at++)
        *at = (char)tolower((unsigned char)*at);
    target->count++;
    return true;
}

static void on_start(void *arg, const char *element, const char **attributes)
{
    struct reader *reader = arg;
    const char *local = strrchr(element, ':'), *document;
    bool is_fine = true;

    local = local ? local + 1 : element;
    if (strcmp(local, "include") == 0) {
        document = attribute_of(attributes, "href");
        is_fine = document ? read_document(reader, document)
                           : complain("%s: %s: includes nothing", reader->name, reader->document);
    } else if (strcmp(local, "reg") == 0) {
        is_fine = add_register(reader, attributes);
    }
    reader->in_architecture = strcmp(local, "architecture") == 0;
    if (!is_fine) {
        reader->has_failed = true;
        XML_StopParser(reader->parser, XML_FALSE);
    }
}

static void on_end(void *arg, const char *element)
{
    struct reader *reader = arg;

    (void)element;
    reader->in_architecture = false;
}

static void on_text(void *arg, const char *text, int length)
{
    struct reader *reader = arg;

    if (reader->in_architecture)
        strncat(reader->target->architecture, text,
                (size_t)length < sizeof(reader->target->architecture) - 1 - strlen(reader->target->architecture)
                    ? (size_t)length
                    : sizeof(reader->target->architecture) - 1 - strlen(reader->target->architecture));
}

static bool read_document(struct reader *reader, const char *document)
{
    XML_Parser outer = reader->parser;
    const char *outer_document = reader->document;
    size_t length = 0;
    char *text;
    bool is_fine;

    if (reader->depth == MAX_DEPTH || reader->documents == MAX_DOCUMENTS)
        return complain("%s: %s: documents include one another without end", reader->name, document);
    text = reader->fetch(reader->arg, document, &length);
    if (!text)
        return false;
    reader->parser = XML_ParserCreate(NULL);
    if (!reader->parser) {
        reader->parser = outer;
        free(text);
        return complain("out of memory");
    }
    reader->depth++;
    reader->documents++;
    reader->document = document;
    XML_SetUserData(reader->parser, reader);
    XML_SetElementHandler(reader->parser, on_start, on_end);
    XML_SetCharacterDataHandler(reader->parser, on_text);
    is_fine = XML_Parse(reader->parser, text, (int)length, XML_TRUE) == XML_STATUS_OK;
    if (!is_fine && !reader->has_failed)
        complain("%s: %s:%lu: %s", reader->name, document, (unsigned long)XML_GetCurrentLineNumber(reader->parser),
                 XML_ErrorString(XML_GetErrorCode(reader->parser)));
    reader->has_failed |= !is_fine;
    XML_ParserFree(reader->parser);
    free(text);
    reader->parser = outer;
    reader->document = outer_document;
    reader->depth--;
    return is_fine;
}

bool target_read(struct target *target, const char *name,
                 char *(*fetch)(void *arg, const char *document, size_t *length), void *arg)
{
    struct reader reader = {.target = target, .name = name, .fetch = fetch, .arg = arg};

    memset(target, 0, sizeof(*target));
    return read_document(&reader, "target.xml");
}

void target_free(struct target *target)
{
    for (size_t i = 0; i < target->count; i++)
        free(target->registers[i].name);
    free(target->registers);
}

const struct target_register *target_find(const struct target *target, const char *name)
{
    for (size_t i = 0; i < target->count; i++)
        if (strcmp(target->registers[i].name, name) == 0)
            return &target->registers[i];
    return NULL;
}
