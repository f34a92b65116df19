/* SPDX-License-Identifier: MIT */
/* A file that holds memory as it is, from a physical address on. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source.h"
#include "tool.h"

struct raw {
    int file;
    uint64_t base;
};

static bool raw_read(void *self, pt_paddr frame, void *bytes)
{
    const struct raw *raw = self;

    return frame >= raw->base && frame - raw->base <= INT64_MAX - PT_FRAME_SIZE &&
           pread(raw->file, bytes, PT_FRAME_SIZE, (off_t)(frame - raw->base)) == (ssize_t)PT_FRAME_SIZE;
}

static void raw_close(void *self)
{
    struct raw *raw = self;

    close(raw->file);
    free(raw);
}

const struct source_kind *source_raw_open(const char *file, uint64_t base, void **self)
{
    static const struct source_kind kind = {.read = raw_read, .close = raw_close};
    struct raw *raw = malloc(sizeof(*raw));
    char byte;

    if (!raw)
        return complain("out of memory"), NULL;
    raw->base = base;
    raw->file = open(file, O_RDONLY | O_CLOEXEC);
    if (raw->file < 0 || pread(raw->file, &byte, 1, 0) < 0) {
        complain("%s: %s", file, strerror(errno));
        if (raw->file >= 0)
            close(raw->file);
        free(raw);
        return NULL;
    }
    *self = raw;
    return &kind;
}
