/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <stdlib.h>
#include <string.h>

#include "formats.h"
#include "tool.h"

/* A frame that was asked for, in a hash table with linear probing. */
struct frame {
    pt_paddr paddr;
    void *bytes; /* NULL: it is not there */
    bool used;
};

struct source {
    const struct source_kind *kind;
    void *self;
    struct frame *frames;
    size_t capacity, count; /* capacity is a power of two */
};

static struct source *with_kind(const struct source_kind *kind, void *self)
{
    struct source *source;

    if (!kind)
        return NULL;
    source = calloc(1, sizeof(*source));
    if (source)
        source->frames = calloc(source->capacity = 1024, sizeof(*source->frames));
    if (!source || !source->frames) {
        free(source);
        kind->close(self);
        complain("out of memory");
        return NULL;
    }
    source->kind = kind;
    source->self = self;
    return source;
}

/* FILE or FILE@BASE. */
static const struct source_kind *open_file(const char *name, void **self)
{
    const struct source_kind *kind = NULL;
    uint64_t base = 0;
    const char *at = strrchr(name, '@');
    char *file;

    if (at && (!parse_number(at + 1, &base) || base % PT_FRAME_SIZE != 0))
        return complain("%s: what follows @ is no physical address of a frame", name), NULL;
    file = at ? strndup(name, (size_t)(at - name)) : strdup(name);
    if (file)
        kind = !at && source_elf_is(file) ? source_elf_open(file, self) : source_raw_open(file, base, self);
    else
        complain("out of memory");
    free(file);
    return kind;
}

struct source *source_open(const char *name, bool stays_stopped)
{
    const struct source_kind *kind;
    void *self = NULL;

    if (strncmp(name, "gdb:", 4) == 0)
        kind = source_gdb_open(name + 4, stays_stopped, &self);
    else if (strncmp(name, "qmp:", 4) == 0)
        kind = source_qmp_open(name + 4, &self);
    else
        kind = open_file(name, &self);
    return with_kind(kind, self);
}

void source_close(struct source *source)
{
    if (!source)
        return;
    source->kind->close(source->self);
    for (size_t i = 0; i < source->capacity; i++)
        free(source->frames[i].bytes);
    free(source->frames);
    free(source);
}

/* The place of a frame: where it is, or where it is to be. */
static struct frame *place_of(struct frame *frames, size_t capacity, pt_paddr paddr)
{
    size_t at = (size_t)(paddr / PT_FRAME_SIZE * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (capacity - 1);

    while (frames[at].used && frames[at].paddr != paddr)
        at = (at + 1) & (capacity - 1);
    return &frames[at];
}

static bool grow(struct source *source)
{
    size_t capacity = source->capacity * 2;
    struct frame *frames = calloc(capacity, sizeof(*frames));

    if (!frames)
        return false;
    for (size_t i = 0; i < source->capacity; i++)
        if (source->frames[i].used)
            *place_of(frames, capacity, source->frames[i].paddr) = source->frames[i];
    free(source->frames);
    source->frames = frames;
    source->capacity = capacity;
    return true;
}

void *source_frame(struct source *source, pt_paddr paddr)
{
    struct frame *frame = place_of(source->frames, source->capacity, paddr);
    void *bytes;

    if (frame->used)
        return frame->bytes;
    if (source->count * 2 > source->capacity) {
        if (!grow(source))
            return NULL;
        frame = place_of(source->frames, source->capacity, paddr);
    }
    bytes = aligned_alloc(PT_FRAME_SIZE, PT_FRAME_SIZE);
    if (bytes && !source->kind->read(source->self, paddr, bytes)) {
        free(bytes);
        bytes = NULL;
    }
    *frame = (struct frame){paddr, bytes, true};
    source->count++;
    return bytes;
}

bool source_register(struct source *source, const char *name, uint64_t *value)
{
    return source->kind->get_register && source->kind->get_register(source->self, name, value);
}

const char *source_lacks(struct source *source)
{
    return source->kind->lacks ? source->kind->lacks(source->self) : NULL;
}

bool source_is_lost(const struct source *source)
{
    return source->kind->is_lost && source->kind->is_lost(source->self);
}
