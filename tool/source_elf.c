/* SPDX-License-Identifier: MIT */
/* A core as QEMU's dump-guest-memory writes it: memory by physical address, and x86's control registers. */
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "source.h"
#include "tool.h"

struct elf_source {
    int file;
    Elf *elf;
    GElf_Phdr *segments; /* of memory */
    size_t count;
    GElf_Half machine;
    bool has_registers;
    uint64_t cr[5];
};

bool source_elf_is(const char *name)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);
    char magic[SELFMAG];
    bool is = file >= 0 && pread(file, magic, SELFMAG, 0) == SELFMAG && memcmp(magic, ELFMAG, SELFMAG) == 0;

    if (file >= 0)
        close(file);
    return is;
}

static bool elf_read(void *self, pt_paddr frame, void *bytes)
{
    const struct elf_source *source = self;

    for (size_t i = 0; i < source->count; i++) {
        const GElf_Phdr *segment = &source->segments[i];
        uint64_t at = frame - segment->p_paddr;

        if (frame < segment->p_paddr || segment->p_filesz < PT_FRAME_SIZE || at > segment->p_filesz - PT_FRAME_SIZE)
            continue;
        if (segment->p_offset > INT64_MAX - at)
            return false;
        return pread(source->file, bytes, PT_FRAME_SIZE, (off_t)(segment->p_offset + at)) == (ssize_t)PT_FRAME_SIZE;
    }
    return false;
}

/*
 * The note has no EFER: long mode is told by the machine type, which QEMU chooses by EFER.LMA, and NX is taken for
 * enabled, as all systems with it have it (--no-nx if not).
 */
static bool elf_register(void *self, const char *name, uint64_t *value)
{
    const struct elf_source *source = self;

    if (!source->has_registers)
        return false;
    if (strcmp(name, "efer") == 0)
        *value = source->machine == EM_X86_64 ? UINT64_C(0xd00) : UINT64_C(0x800); /* LME, LMA, NXE */
    else if (strlen(name) == 3 && strncmp(name, "cr", 2) == 0 && name[2] >= '0' && name[2] <= '4')
        *value = source->cr[name[2] - '0'];
    else
        return false;
    return true;
}

static const char *elf_lacks(void *self)
{
    const struct elf_source *source = self;

    switch (source->machine) {
    case EM_AARCH64:
    case EM_ARM:
        return "cores of ARM have no TTBR and TCR";
    case EM_RISCV:
        return "cores of RISC-V have no satp";
    case EM_LOONGARCH:
        return "cores of LoongArch have no PGDL and PWCL";
    default:
        return "there is no note of QEMU with the control registers in it";
    }
}

static void elf_close(void *self)
{
    struct elf_source *source = self;

    elf_end(source->elf);
    if (source->file >= 0)
        close(source->file);
    free(source->segments);
    free(source);
}

/* The note "QEMU" of the first CPU (QEMU's target/i386/arch_dump.c): version, size, 18 registers, 10 segments, cr0-cr4. */
#define NOTE_CR (8 + 18 * 8 + 10 * 24)

static void read_notes(struct elf_source *source, const GElf_Phdr *segment)
{
    Elf_Data *data = elf_getdata_rawchunk(source->elf, (int64_t)segment->p_offset, segment->p_filesz, ELF_T_NHDR);
    size_t at = 0, name, content;
    GElf_Nhdr note;

    while (data && !source->has_registers && (at = gelf_getnote(data, at, &note, &name, &content)) > 0) {
        const char *bytes = data->d_buf;

        if (note.n_namesz != 5 || memcmp(bytes + name, "QEMU", 5) != 0 || note.n_descsz < NOTE_CR + sizeof(source->cr))
            continue;
        memcpy(source->cr, bytes + content + NOTE_CR, sizeof(source->cr));
        source->has_registers = source->machine == EM_X86_64 || source->machine == EM_386;
    }
}

static bool read_segments(struct elf_source *source)
{
    size_t count;

    if (elf_getphdrnum(source->elf, &count) != 0)
        return false;
    source->segments = calloc(count ? count : 1, sizeof(*source->segments));
    if (!source->segments)
        return false;
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr segment;

        if (!gelf_getphdr(source->elf, (int)i, &segment))
            return false;
        if (segment.p_type == PT_LOAD)
            source->segments[source->count++] = segment;
        else if (segment.p_type == PT_NOTE)
            read_notes(source, &segment);
    }
    return true;
}

const struct source_kind *source_elf_open(const char *file, void **self)
{
    static const struct source_kind kind = {
        .read = elf_read, .get_register = elf_register, .lacks = elf_lacks, .close = elf_close};
    struct elf_source *source = calloc(1, sizeof(*source));
    GElf_Ehdr header;

    if (!source)
        return complain("out of memory"), NULL;
    elf_version(EV_CURRENT);
    source->file = open(file, O_RDONLY | O_CLOEXEC);
    if (source->file >= 0)
        source->elf = elf_begin(source->file, ELF_C_READ, NULL);
    if (!source->elf || !gelf_getehdr(source->elf, &header)) {
        complain("%s: %s", file, source->file < 0 ? strerror(errno) : elf_errmsg(-1));
    } else if (header.e_type != ET_CORE) {
        complain("%s: is an ELF file, and no core", file);
    } else {
        source->machine = header.e_machine;
        if (read_segments(source)) {
            *self = source;
            return &kind;
        }
        complain("%s: %s", file, elf_errmsg(-1));
    }
    elf_close(source);
    return NULL;
}
