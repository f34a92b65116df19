/* SPDX-License-Identifier: MIT */
/*
 * Where physical memory comes from, and perhaps registers: a file, a core, a QEMU that runs. Frames are read once and
 * kept, so that pointers to them last and a slow source is asked once.
 */
#ifndef TOOL_SOURCE_H
#define TOOL_SOURCE_H

#include <pagetable/types.h>

struct source;

/** What each kind of source does; `self` is its own. */
struct source_kind {
    /** Read a whole frame: false if it is not there, or not wholly. */
    bool (*read)(void *self, pt_paddr frame, void *bytes);
    /** A register of the first CPU by QEMU's name in lower case ("cr3", "satp"): false if it is not known. */
    bool (*get_register)(void *self, const char *name, uint64_t *value);
    /** Why the format and the root cannot be found from this source's registers, in words; NULL: nothing to say. */
    const char *(*lacks)(void *self);
    /** Did it go away, so that what it holds no longer comes? NULL: files stay. */
    bool (*is_lost)(void *self);
    void (*close)(void *self);
};

/**
 * Complain and answer NULL to what cannot be opened. A QEMU that has to be stopped to look into it goes on when the
 * source is closed, unless it was found stopped, or `stays_stopped` says so where that cannot be found out.
 */
struct source *source_open(const char *name, bool stays_stopped);
void source_close(struct source *source);

/** PT_FRAME_SIZE bytes, or NULL. */
void *source_frame(struct source *source, pt_paddr frame);
bool source_register(struct source *source, const char *name, uint64_t *value);
const char *source_lacks(struct source *source);
bool source_is_lost(const struct source *source);

/* What opens each kind: *self and the kind, or NULL with a complaint. */
const struct source_kind *source_raw_open(const char *file, uint64_t base, void **self);
const struct source_kind *source_elf_open(const char *file, void **self);
const struct source_kind *source_gdb_open(const char *address, bool stays_stopped, void **self);
const struct source_kind *source_qmp_open(const char *address, void **self);

/** Does the file begin as ELF files do? */
bool source_elf_is(const char *file);

#endif
