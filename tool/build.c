/* SPDX-License-Identifier: MIT */
/* `pagetable build`: an image of tables from a description. */
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <inttypes.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats.h"
#include "image.h"
#include "registers.h"
#include "tool.h"

#define SECTION ".pagetable"
#define SYMBOL "page_tables"

struct request {
    const char *description, *file, *form;
};

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct request *request = state->input;

    switch (key) {
    case 'o':
        request->file = value;
        break;
    case 'F':
        if (strcmp(value, "raw") != 0 && strcmp(value, "c") != 0 && strcmp(value, "elf") != 0)
            argp_error(state, "--form=%s: there is raw, c and elf", value);
        request->form = value;
        break;
    case ARGP_KEY_ARG:
        if (request->description)
            argp_error(state, "one description, please");
        request->description = value;
        break;
    case ARGP_KEY_END:
        if (!request->description || !request->file)
            argp_error(state, "a description and --file are needed");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static void put_registers(FILE *to, const char *before, const struct image *image, bool upper)
{
    struct register_value registers[MAX_REGISTERS];
    unsigned count = registers_of(&image->pt, upper, registers);

    fprintf(to, "%stables 0x%" PRIx64 ", 0x%zx bytes; root 0x%" PRIx64 "\n", before, image->base, image->size,
            pt_root(&image->pt));
    for (unsigned i = 0; i < count; i++) {
        bool is_or = strchr(registers[i].name, '|') != NULL;

        fprintf(to, "%s%s %s0x%" PRIx64 "\n", before, registers[i].name, is_or ? "" : "= ", registers[i].value);
    }
}

static bool write_raw(int file, const struct image *image)
{
    for (size_t done = 0; done < image->size;) {
        ssize_t written = write(file, image->bytes + done, image->size - done);

        if (written < 0)
            return false;
        done += (size_t)written;
    }
    return true;
}

static bool write_c(int file, const struct image *image, bool upper)
{
    int copy = dup(file);
    FILE *to = copy < 0 ? NULL : fdopen(copy, "w");
    bool is_written;

    if (!to) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    fprintf(to, "/* %s, made by `pagetable build`.\n", image->pt.format->name);
    put_registers(to, " * ", image, upper);
    fprintf(to, " */\nconst unsigned char " SYMBOL "[%zu] __attribute__((aligned(4096), section(\"" SECTION "\"))) = {",
            image->size);
    for (size_t i = 0; i < image->size; i++)
        fprintf(to, "%s0x%02x,", i % 16 ? " " : "\n    ", image->bytes[i]);
    fputs("\n};\n", to);
    is_written = fflush(to) == 0 && !ferror(to);
    fclose(to);
    return is_written;
}

/* The machine whose tables they are, and whether its objects are of 64 bits. */
static GElf_Half machine_of(const struct pt_format *format, int *class)
{
    *class = ELFCLASS64;
    if (format->operations == pt_aarch64.operations || format->operations == pt_aarch64_stage2.operations)
        return EM_AARCH64;
    if (format->operations == pt_loongarch64.operations)
        return EM_LOONGARCH;
    if (format->operations == pt_sv39.operations)
        return EM_RISCV;
    if (format->operations == pt_x86_64.operations && format->levels >= 4)
        return EM_X86_64;
    if (format->operations == pt_ept_4level.operations)
        return EM_X86_64;
    *class = ELFCLASS32;
    if (format->operations == pt_armv7_short.operations || format->operations == pt_armv7_lpae.operations)
        return EM_ARM;
    return format->operations == pt_sv32.operations ? EM_RISCV : EM_386;
}

static Elf_Scn *add_section(Elf *elf, unsigned name, unsigned type, void *bytes, size_t size, Elf_Type sort,
                            size_t align)
{
    Elf_Scn *section = elf_newscn(elf);
    Elf_Data *data = section ? elf_newdata(section) : NULL;
    GElf_Shdr header;

    if (!data || !gelf_getshdr(section, &header))
        return NULL;
    data->d_buf = bytes;
    data->d_size = size;
    data->d_type = sort;
    data->d_align = align;
    data->d_version = EV_CURRENT;
    header.sh_name = name;
    header.sh_type = type;
    return gelf_update_shdr(section, &header) ? section : NULL;
}

/* An object with one section, .pagetable, and the symbol page_tables at its beginning; it has to be linked to the address. */
static bool fill_elf(Elf *elf, const struct image *image)
{
    static char names[] = "\0" SECTION "\0.symtab\0.strtab\0" SYMBOL;
    enum {
        AT_SECTION = 1,
        AT_SYMTAB = AT_SECTION + sizeof(SECTION),
        AT_STRTAB = AT_SYMTAB + 8,
        AT_SYMBOL = AT_STRTAB + 8
    };
    static unsigned char symbols[2 * sizeof(Elf64_Sym)];
    GElf_Sym symbol = {
        .st_name = AT_SYMBOL, .st_info = GELF_ST_INFO(STB_GLOBAL, STT_OBJECT), .st_shndx = 1, .st_size = image->size};
    int class;
    GElf_Half machine = machine_of(image->pt.format, &class);
    size_t symbol_size = class == ELFCLASS64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
    Elf_Scn *section;
    GElf_Ehdr header;
    GElf_Shdr of_section;

    memset(symbols, 0, sizeof(symbols));
    if (!gelf_newehdr(elf, class) || !gelf_getehdr(elf, &header))
        return false;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_REL;
    header.e_machine = machine;
    header.e_version = EV_CURRENT;
    header.e_shstrndx = 3;
    if (!gelf_update_ehdr(elf, &header))
        return false;

    section = add_section(elf, AT_SECTION, SHT_PROGBITS, image->bytes, image->size, ELF_T_BYTE, PT_FRAME_SIZE);
    if (!section || !gelf_getshdr(section, &of_section))
        return false;
    of_section.sh_flags = SHF_ALLOC | SHF_WRITE;
    if (!gelf_update_shdr(section, &of_section))
        return false;

    section = add_section(elf, AT_SYMTAB, SHT_SYMTAB, symbols, 2 * symbol_size, ELF_T_SYM, 8);
    if (!section || !gelf_update_sym(elf_getdata(section, NULL), 1, &symbol) || !gelf_getshdr(section, &of_section))
        return false;
    of_section.sh_link = 3;
    of_section.sh_info = 1;
    of_section.sh_entsize = symbol_size;
    if (!gelf_update_shdr(section, &of_section))
        return false;
    return add_section(elf, AT_STRTAB, SHT_STRTAB, names, sizeof(names), ELF_T_BYTE, 1) &&
           elf_update(elf, ELF_C_WRITE) >= 0;
}

static bool write_elf(int file, const struct image *image)
{
    Elf *elf;
    bool is_written;

    elf_version(EV_CURRENT);
    elf = elf_begin(file, ELF_C_WRITE, NULL);
    is_written = elf && fill_elf(elf, image);
    if (!is_written)
        complain("%s", elf_errmsg(-1));
    elf_end(elf);
    return is_written;
}

static bool write_image(const struct request *request, const struct image *image, bool upper)
{
    int file = open(request->file, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool is_written;

    if (file < 0)
        return complain("%s: %s", request->file, strerror(errno));
    if (strcmp(request->form, "elf") == 0)
        is_written = write_elf(file, image);
    else if (strcmp(request->form, "c") == 0)
        is_written = write_c(file, image, upper);
    else
        is_written = write_raw(file, image);
    return (close(file) == 0 && is_written) || complain("%s: could not be written", request->file);
}

int run_build(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"file", 'o', "FILE", 0, "write the image there", 0},
        {"form", 'F', "FORM", 0, "raw (the default), c (an array), elf (an object with a section " SECTION ")", 0},
        {0}};
    static const struct argp argp = {
        .options = options,
        .parser = parse,
        .args_doc = "DESCRIPTION",
        .doc = "An image of tables from a description (- is the standard input), and what registers have to hold."};
    struct request request = {.form = "raw"};
    struct description description;
    struct image image = {.size = 0};
    FILE *file;
    bool is_made;

    argp_err_exit_status = STATUS_TROUBLE;
    argp_parse(&argp, argc, argv, 0, NULL, &request);
    file = strcmp(request.description, "-") == 0 ? stdin : fopen(request.description, "r");
    if (!file) {
        complain("%s: %s", request.description, strerror(errno));
        return STATUS_TROUBLE;
    }
    is_made = description_read(&description, file, request.description) && image_make(&image, &description) &&
              write_image(&request, &image, description.upper);
    if (is_made)
        put_registers(stdout, "", &image, description.upper);
    image_free(&image);
    description_free(&description);
    if (file != stdin)
        fclose(file);
    return is_made ? STATUS_FINE : STATUS_TROUBLE;
}
