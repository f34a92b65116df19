/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer's target for what the command `pagetable` reads: the first byte says what the others are. Whatever they
 * are, it ends soon, with a complaint or with tables; these are shown in all forms, as the commands would.
 */
#include <pagetable/pagetable.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "description.h"
#include "dump.h"
#include "files.h"
#include "formats.h"
#include "fuzz.h"
#include "image.h"
#include "monitor.h"
#include "output.h"
#include "picture.h"
#include "registers.h"
#include "stream.h"
#include "target_xml.h"
#include "tool.h"
#include "view.h"

/* The tables of a few frames lead to each other in endless ways. */
#define LOOKS_AT_MOST 40u

uint64_t fuzz_calls;
const char file_picture_css[] = "";

static FILE *nowhere;
static const uint8_t *input;
static size_t input_size;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- What the command has from elsewhere ---------------------------------------------------------- */

bool complain(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(getenv("PT_FUZZ_TRACE") ? stderr : nowhere, format, arguments);
    va_end(arguments);
    return false;
}

/* What the other side says is the input. After '\n' comes a packet as gdb has it, whose sum is put in here: a fuzzer
 * would seldom find one. */
struct stream {
    size_t at, queued, queue_at;
    char queue[4];
    unsigned sum;
    bool in_packet, is_over;
};

struct stream *stream_open(const char *address)
{
    struct stream *stream = calloc(1, sizeof(*stream));

    CHECK(address && stream);
    return stream;
}

void stream_close(struct stream *stream)
{
    free(stream);
}

void stream_begin(struct stream *stream)
{
    CHECK(stream);
}

bool stream_send(struct stream *stream, const void *bytes, size_t length)
{
    CHECK(length == 0 || bytes);
    return !stream->is_over;
}

bool stream_fail(struct stream *stream, const char *why)
{
    complain("%s", why);
    stream->is_over = true;
    return false;
}

bool stream_is_over(const struct stream *stream)
{
    return stream->is_over;
}

static int next_of_packets(struct stream *stream)
{
    if (stream->queue_at < stream->queued)
        return (unsigned char)stream->queue[stream->queue_at++];
    if (stream->at == input_size)
        return -1;
    if (!stream->in_packet) {
        stream->in_packet = true;
        stream->sum = 0;
        return '$';
    }
    if (input[stream->at] != '\n') {
        stream->sum += input[stream->at];
        return input[stream->at++];
    }
    stream->at++;
    stream->in_packet = false;
    stream->queued = (size_t)snprintf(stream->queue, sizeof(stream->queue), "#%02x", stream->sum & 0xff);
    stream->queue_at = 0;
    return (unsigned char)stream->queue[stream->queue_at++];
}

static bool wraps_packets;

int stream_get(struct stream *stream)
{
    int byte = stream->is_over           ? -1
               : wraps_packets           ? next_of_packets(stream)
               : stream->at < input_size ? input[stream->at++]
                                         : -1;

    if (byte < 0)
        stream->is_over = true;
    return byte;
}

/* ---- Inputs ---------------------------------------------------------------------------------------- */

static void show(const char *source, const struct settings *settings)
{
    const struct names names = {.source = source};
    struct view view;

    if (!view_open(&view, source, settings))
        return;
    dump_json(nowhere, &view, settings, true);
    view.looks_left = settings->limit;
    picture_put(nowhere, &view, &names);
    (void)!view_is_complete(&view);
    view_close(&view);
}

/* The input as a file, whose name is in `name`. */
static int make_file(char *name, size_t size, const char *after)
{
    int file = memfd_create("input", MFD_CLOEXEC);

    CHECK(file >= 0 && write(file, input, input_size) == (ssize_t)input_size);
    snprintf(name, size, "/proc/self/fd/%d%s", file, after);
    return file;
}

static void show_file(const char *after, const struct settings *settings)
{
    char name[64];
    int file = make_file(name, sizeof(name), after);

    show(name, settings);
    close(file);
}

/* What is mapped by a description that is taken is there. */
static void check_image(const struct image *image, const struct description *description)
{
    struct register_value registers[MAX_REGISTERS];

    for (size_t i = 0; i < description->count; i++) {
        const struct description_map *map = &description->maps[i];
        struct pt_mapping mapping;

        if (map->size == 0)
            continue;
        CHECK(pt_query(&image->pt, map->vaddr, &mapping) == PT_OK && mapping.paddr == map->paddr);
        CHECK(pt_query(&image->pt, map->vaddr + (map->size - 1), &mapping) == PT_OK &&
              mapping.paddr == map->paddr + (map->size - 1));
    }
    CHECK(registers_of(&image->pt, description->upper, registers) <= MAX_REGISTERS);
}

static void read_description(void)
{
    FILE *file = input_size > 0 ? fmemopen((void *)(uintptr_t)input, input_size, "r") : NULL;
    struct description description;
    struct image image = {.size = 0};

    if (!file)
        return;
    if (description_read(&description, file, "input") && image_make(&image, &description))
        check_image(&image, &description);
    image_free(&image);
    description_free(&description);
    fclose(file);
}

/* As an answer of QEMU's monitor; and each line as all kinds of words. */
static void read_words(void)
{
    char *text = strndup((const char *)input, input_size), *rest = text;
    uint64_t value;

    CHECK(text);
    (void)!monitor_is_memory(text);
    (void)!monitor_register(text, "cr3", &value);
    (void)!monitor_register(text, "is_32", &value);
    for (char *word; (word = strsep(&rest, "\n")) != NULL;) {
        struct pt_format format = pt_aarch64;
        char again[OUTPUT_LENGTH];
        pt_flags flags, same;

        (void)!format_by_name(word);
        (void)!parse_number(word, &value);
        if (parse_flags(word, &flags))
            CHECK(parse_flags(put_flags(again, flags), &same) && same == flags);
        (void)!format_apply(&format, word);
        format = pt_sv39;
        (void)!format_apply(&format, word);
    }
    free(text);
}

static char *fetch(void *arg, const char *document, size_t *length)
{
    unsigned *fetched = arg;
    size_t half = input_size / 2, from = document[0] == 't' ? 0 : half;
    char *copy = malloc(input_size + 1);

    CHECK(copy && ++*fetched < 10000);
    *length = from == 0 ? half : input_size - half;
    memcpy(copy, input + from, *length);
    return copy;
}

static void read_target(void)
{
    struct target target;
    unsigned fetched = 0;

    if (target_read(&target, "input", fetch, &fetched))
        (void)!target_find(&target, "cr3");
    target_free(&target);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    nowhere = fopen("/dev/null", "w");
    CHECK(nowhere);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct pt_format *const of_memory[] = {&pt_x86_64, &pt_x86_32, &pt_x86_pae,     &pt_aarch64,
                                                        &pt_sv39,   &pt_sv32x4, &pt_armv7_short, &pt_loongarch64};
    struct settings settings = {.limit = LOOKS_AT_MOST};

    if (size == 0)
        return 0;
    input = data + 1;
    input_size = size - 1;
    fuzz_calls++;
    wraps_packets = data[0] == 'p';
    switch (data[0]) {
    case 'd':
        read_description();
        break;
    case 'w':
        read_words();
        break;
    case 'x':
        read_target();
        break;
    case 'e':
        show_file("", &settings);
        break;
    case 'g': /* as it comes */
    case 'p': /* in packets */
        show("gdb:input", &settings);
        break;
    case 'q':
        show("qmp:input", &settings);
        break;
    default: /* memory */
        settings.format = of_memory[data[0] % (sizeof(of_memory) / sizeof(of_memory[0]))];
        settings.has_root = true;
        show_file("@0", &settings);
        break;
    }
    return 0;
}
