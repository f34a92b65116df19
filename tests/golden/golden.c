/* SPDX-License-Identifier: MIT */
/*
 * The entries of every format against those of another implementation (data/README.md tells which). Each
 * deliberate difference stands in one of the tables below with its reason, and one that is never needed
 * fails the test.
 */
#include "formats.h"
#include "memory.h"
#include "slot.h"
#include "test.h"

#ifndef PT_GOLDEN_DIR
#error "PT_GOLDEN_DIR: the directory of the .csv files, a string"
#endif

#define BIT(n) (UINT64_C(1) << (n))
#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)
#define MEMORY (PT_DEVICE | PT_UNCACHED)

/* ---- Where we differ, and why ------------------------------------------------------------------ */

/** Differences that only formats have that keep track of accesses, or that do not; copies are made of either sort. */
enum tracking {
    EITHER,
    TRACKED,
    UNTRACKED
};

static bool concerns(enum tracking tracking, const struct pt_format *format)
{
    return tracking == EITHER || (tracking == TRACKED) == format->tracks_access;
}

/** Which sorts a run has met: what it has not is not missed. */
struct met {
    bool tracked, untracked;
};

static bool was_met(enum tracking tracking, const struct met *met)
{
    return tracking == EITHER || (tracking == TRACKED ? met->tracked : met->untracked);
}

/** Pages with (flags & mask) == value: our entry is the reference's without `clear`, with `set`. */
struct entry_difference {
    const char *data;
    const char *reason;
    uint64_t larger_than; /**< only of pages larger than this, and ... */
    uint64_t at_most;     /**< ... not larger than this */
    pt_flags mask, value;
    uint64_t clear, set;
    enum tracking tracking;
    unsigned needed;
};

static struct entry_difference entry_differences[] = {
    {"x86_64", "UNCACHED is PCD only (UC-), else it could not be told from DEVICE (PCD and PWT, UC)", 0, UINT64_MAX,
     MEMORY, PT_UNCACHED, BIT(3), 0, EITHER, 0},
    {"x86_64", "the reference has no GLOBAL: bit 8", 0, UINT64_MAX, PT_GLOBAL, PT_GLOBAL, 0, BIT(8), EITHER, 0},
    {"aarch64", "the reference leaves every page global: without GLOBAL nG, bit 11, is set", 0, UINT64_MAX, PT_GLOBAL,
     0, 0, BIT(11), EITHER, 0},
    {"aarch64_el2", "AP[1], bit 6, is RES1 where there is no EL0", 0, UINT64_MAX, 0, 0, 0, BIT(6), EITHER, 0},
    {"aarch64_el2", "WRITE and EXECUTE imply READ: valid, where the reference makes an invalid entry", 0, UINT64_MAX,
     PT_READ, 0, 0, BIT(0), EITHER, 0},
    {"aarch64_el2", "the reference sets AF, bit 10, which is the hardware's to set", 0, UINT64_MAX, 0, 0, BIT(10), 0,
     TRACKED, 0},
    {"aarch64_el2", "writable and clean: DBM, bit 51, and read-only, bit 7", 0, UINT64_MAX, PT_WRITE, PT_WRITE, 0,
     BIT(51) | BIT(7), TRACKED, 0},
    {"aarch64", "WRITE and EXECUTE imply READ: valid, where the reference makes an invalid entry", 0, UINT64_MAX,
     PT_READ, 0, 0, BIT(0), EITHER, 0},
    {"riscv", "the reference has no GLOBAL: bit 5", 0, UINT64_MAX, PT_GLOBAL, PT_GLOBAL, 0, BIT(5), EITHER, 0},
    {"riscv", "WRITE implies READ: W without R, which the reference writes, is reserved", 0, UINT64_MAX,
     PT_READ | PT_WRITE, PT_WRITE, 0, BIT(1), EITHER, 0},
    {"riscv_xuantie", "the reference has no GLOBAL: bit 5", 0, UINT64_MAX, PT_GLOBAL, PT_GLOBAL, 0, BIT(5), EITHER, 0},
    {"riscv_xuantie", "WRITE implies READ: W without R, which the reference writes, is reserved", 0, UINT64_MAX,
     PT_READ | PT_WRITE, PT_WRITE, 0, BIT(1), EITHER, 0},
    {"riscv_xuantie", "the reference caches what is UNCACHED: bit 62", 0, UINT64_MAX, MEMORY, PT_UNCACHED, BIT(62), 0,
     EITHER, 0},
    {"riscv_xuantie", "the reference sets A and D, bits 6 and 7, which are the hardware's to set", 0, UINT64_MAX, 0, 0,
     BIT(6) | BIT(7), 0, TRACKED, 0},
    {"loongarch64", "the reference has no GLOBAL: bit 6 of a small page", 0, PT_4K, PT_GLOBAL, PT_GLOBAL, 0, BIT(6),
     EITHER, 0},
    {"loongarch64", "the reference has no GLOBAL: bit 12 of a huge page, where bit 6 says huge", PT_4K, UINT64_MAX,
     PT_GLOBAL, PT_GLOBAL, 0, BIT(12), EITHER, 0},
    {"loongarch64", "WRITE implies READ: not NR", 0, UINT64_MAX, PT_READ | PT_WRITE, PT_WRITE, BIT(61), 0, EITHER, 0},
    {"x86_64", "where nobody looks at it, A is set beforehand to spare the CPU the writing", 0, UINT64_MAX, 0, 0, 0,
     BIT(5), UNTRACKED, 0},
    {"x86_64", "so is D, of what may be written", 0, UINT64_MAX, PT_WRITE, PT_WRITE, 0, BIT(6), UNTRACKED, 0},
    {"aarch64", "the reference sets AF, bit 10, which is the hardware's to set", 0, UINT64_MAX, 0, 0, BIT(10), 0,
     TRACKED, 0},
    {"aarch64", "writable and clean: DBM, bit 51, and read-only, bit 7", 0, UINT64_MAX, PT_WRITE, PT_WRITE, 0,
     BIT(51) | BIT(7), TRACKED, 0},
    {"riscv", "the reference sets A and D, bits 6 and 7, which are the hardware's to set", 0, UINT64_MAX, 0, 0,
     BIT(6) | BIT(7), 0, TRACKED, 0},
};

/** Pages with (flags & mask) == value: what is read back need not be what the reference reads back. */
struct back_difference {
    const char *data;
    const char *reason;
    pt_flags mask, value;
    unsigned needed;
};

static struct back_difference back_differences[] = {
    {"x86_64", "the reference reads DEVICE as UNCACHED", PT_DEVICE, PT_DEVICE, 0},
    {"aarch64_el2", "one privilege level: USER is implied", 0, 0, 0},
    {"aarch64", "the reference reads no rights out of a page that it made without READ", PT_READ, 0, 0},
    {"riscv", "WRITE implies READ", PT_READ | PT_WRITE, PT_WRITE, 0},
    {"riscv_xuantie", "WRITE implies READ", PT_READ | PT_WRITE, PT_WRITE, 0},
    {"riscv_xuantie", "the reference forgets DEVICE", PT_DEVICE, PT_DEVICE, 0},
    {"riscv_xuantie", "and UNCACHED", PT_UNCACHED, PT_UNCACHED, 0},
    {"loongarch64", "WRITE implies READ", PT_READ | PT_WRITE, PT_WRITE, 0},
};

/** Raw words with (bits & mask) == value: our flags are the reference's without `clear`, with `set`. */
struct decode_difference {
    const char *data;
    const char *reason;
    uint64_t larger_than, at_most;
    uint64_t mask, value;
    pt_flags clear, set;
    enum tracking tracking;
    unsigned needed;
};

static struct decode_difference decode_differences[] = {
    {"x86_64", "the reference has no GLOBAL", 0, UINT64_MAX, BIT(8), BIT(8), 0, PT_GLOBAL, EITHER, 0},
    {"x86_64", "PAT entry 3, PCD and PWT, is DEVICE; the reference reads UNCACHED", 0, UINT64_MAX, BIT(3) | BIT(4),
     BIT(3) | BIT(4), PT_UNCACHED, PT_DEVICE, EITHER, 0},
    {"aarch64", "the reference has no GLOBAL: nG, bit 11, clear", 0, UINT64_MAX, BIT(11), 0, 0, PT_GLOBAL, EITHER, 0},
    {"riscv", "the reference has no GLOBAL", 0, UINT64_MAX, BIT(5), BIT(5), 0, PT_GLOBAL, EITHER, 0},
    {"loongarch64", "D, bit 1, is what the CPU asks for a store; the reference asks W, which is software's", 0,
     UINT64_MAX, BIT(1) | BIT(8), BIT(1), 0, PT_WRITE, EITHER, 0},
    {"loongarch64", "the same: W without D faults", 0, UINT64_MAX, BIT(1) | BIT(8), BIT(8), PT_WRITE, 0, EITHER, 0},
    {"loongarch64", "the reference has no GLOBAL: bit 6 of a small page", 0, PT_4K, BIT(6), BIT(6), 0, PT_GLOBAL,
     EITHER, 0},
    {"loongarch64", "the reference has no GLOBAL: bit 12 of a huge page", PT_4K, UINT64_MAX, BIT(12), BIT(12), 0,
     PT_GLOBAL, EITHER, 0},
    {"x86_64", "the reference does not report A", 0, UINT64_MAX, BIT(5), BIT(5), 0, PT_ACCESSED, TRACKED, 0},
    {"x86_64", "nor D", 0, UINT64_MAX, BIT(6), BIT(6), 0, PT_DIRTY, TRACKED, 0},
    {"x86_64", "which waits in bit 11 while the page is not writable", 0, UINT64_MAX, BIT(11), BIT(11), 0, PT_DIRTY,
     TRACKED, 0},
    {"aarch64_el2", "one privilege level: USER is implied", 0, UINT64_MAX, 0, 0, 0, PT_USER, EITHER, 0},
    {"aarch64_el2", "the reference does not report AF", 0, UINT64_MAX, BIT(10), BIT(10), 0, PT_ACCESSED, TRACKED, 0},
    {"aarch64_el2", "nor that DBM, bit 51, makes a page writable", 0, UINT64_MAX, BIT(51), BIT(51), 0, PT_WRITE,
     TRACKED, 0},
    {"aarch64_el2", "and dirty, when it is no longer read-only", 0, UINT64_MAX, BIT(51) | BIT(7), BIT(51), 0, PT_DIRTY,
     TRACKED, 0},
    {"aarch64_el2", "dirty waits in bit 56 while the page is not writable", 0, UINT64_MAX, BIT(56), BIT(56), 0,
     PT_DIRTY, TRACKED, 0},
    {"aarch64", "the reference does not report AF", 0, UINT64_MAX, BIT(10), BIT(10), 0, PT_ACCESSED, TRACKED, 0},
    {"aarch64", "nor that DBM, bit 51, makes a page writable", 0, UINT64_MAX, BIT(51), BIT(51), 0, PT_WRITE, TRACKED,
     0},
    {"aarch64", "and dirty, when it is no longer read-only", 0, UINT64_MAX, BIT(51) | BIT(7), BIT(51), 0, PT_DIRTY,
     TRACKED, 0},
    {"aarch64", "dirty waits in bit 56 while the page is not writable", 0, UINT64_MAX, BIT(56), BIT(56), 0, PT_DIRTY,
     TRACKED, 0},
    {"riscv_xuantie", "the reference has no GLOBAL", 0, UINT64_MAX, BIT(5), BIT(5), 0, PT_GLOBAL, EITHER, 0},
    {"riscv_xuantie", "the reference reads no memory type", 0, UINT64_MAX, UINT64_C(15) << 60, UINT64_C(10) << 60, 0,
     PT_DEVICE, EITHER, 0},
    {"riscv_xuantie", "the reference does not report A", 0, UINT64_MAX, BIT(6), BIT(6), 0, PT_ACCESSED, TRACKED, 0},
    {"riscv_xuantie", "nor D", 0, UINT64_MAX, BIT(7), BIT(7), 0, PT_DIRTY, TRACKED, 0},
    {"riscv", "the reference does not report A", 0, UINT64_MAX, BIT(6), BIT(6), 0, PT_ACCESSED, TRACKED, 0},
    {"riscv", "nor D", 0, UINT64_MAX, BIT(7), BIT(7), 0, PT_DIRTY, TRACKED, 0},
};

/** Raw words with (bits & mask) == value have flags that are nobody's: the descriptor names no such memory type. */
struct decode_freedom {
    const char *data;
    const char *reason;
    uint64_t larger_than, at_most;
    uint64_t mask, value;
    pt_flags flags;
};

static const struct decode_freedom decode_freedoms[] = {
    {"x86_64", "PAT entries 4 to 7 are unused", 0, PT_4K, BIT(7), BIT(7), MEMORY},
    {"x86_64", "PAT entries 4 to 7 are unused", PT_4K, UINT64_MAX, BIT(12), BIT(12), MEMORY},
    {"x86_64", "PAT entry 1 is unused", 0, UINT64_MAX, BIT(3) | BIT(4), BIT(3), MEMORY},
    {"aarch64_el2", "MAIR attributes 4 to 7 are unused", 0, UINT64_MAX, BIT(4), BIT(4), MEMORY},
    {"aarch64_el2", "MAIR attribute 3 is unused", 0, UINT64_MAX, BIT(4) | BIT(3) | BIT(2), BIT(3) | BIT(2), MEMORY},
    {"aarch64", "MAIR attributes 4 to 7 are unused", 0, UINT64_MAX, BIT(4), BIT(4), MEMORY},
    {"aarch64", "MAIR attribute 3 is unused", 0, UINT64_MAX, BIT(4) | BIT(3) | BIT(2), BIT(3) | BIT(2), MEMORY},
    {"riscv_xuantie", "strong order, and not bufferable, cacheable or shareable", 0, UINT64_MAX, BIT(63) | BIT(61),
     BIT(63), MEMORY},
    {"riscv_xuantie", "the same", 0, UINT64_MAX, BIT(63) | BIT(62), BIT(63) | BIT(62), MEMORY},
    {"riscv_xuantie", "the same", 0, UINT64_MAX, BIT(63) | BIT(60), BIT(63) | BIT(60), MEMORY},
    {"riscv_xuantie", "memory that is not bufferable or not shareable", 0, UINT64_MAX, BIT(63) | BIT(61), 0, MEMORY},
    {"riscv_xuantie", "the same", 0, UINT64_MAX, BIT(63) | BIT(60), 0, MEMORY},
    {"loongarch64", "memory access type 3 is reserved", 0, UINT64_MAX, BIT(5) | BIT(4), BIT(5) | BIT(4), MEMORY},
};

/** Which raw words are leaves that the hardware accepts: (bits & mask) == value, none of `never`. */
struct leaf_form {
    const char *data;
    uint64_t page_size;
    uint64_t mask, value;
    uint64_t address; /**< the bits that hold the address, where it stands in the word */
    uint64_t never;
    const char *never_reason;
    uint64_t tracked; /**< bits of `never` that mean something where accesses are tracked */
};

static const struct leaf_form leaf_forms[] = {
    {"x86_64", PT_4K, BIT(0), BIT(0), 0xffffffffff000, 0, "", 0},
    {"x86_64", PT_2M, BIT(0) | BIT(7), BIT(0) | BIT(7), 0xfffffffe00000, 0x1fe000, "address bits below 2M", 0},
    {"aarch64_el2", PT_4K, BIT(0) | BIT(1), BIT(0) | BIT(1), 0xfffffffff000, BIT(52) | BIT(51) | BIT(49) | BIT(48),
     "contiguous hint of one entry; hardware dirty state; address bits beyond 48", BIT(51)},
    {"aarch64_el2", PT_2M, BIT(0) | BIT(1), BIT(0), 0xffffffe00000, BIT(52) | BIT(51) | BIT(49) | BIT(48) | 0x1ff000,
     "the same; address bits below 2M, nT", BIT(51)},
    {"aarch64", PT_4K, BIT(0) | BIT(1), BIT(0) | BIT(1), 0xfffffffff000, BIT(52) | BIT(51) | BIT(49) | BIT(48),
     "contiguous hint of one entry; hardware dirty state; address bits beyond 48", BIT(51)},
    {"aarch64", PT_2M, BIT(0) | BIT(1), BIT(0), 0xffffffe00000, BIT(52) | BIT(51) | BIT(49) | BIT(48) | 0x1ff000,
     "the same; address bits below 2M, nT", BIT(51)},
    {"riscv", PT_4K, BIT(0) | BIT(1), BIT(0) | BIT(1), 0x3ffffffffffc00, UINT64_C(0x3ff) << 54,
     "reserved without Svnapot and Svpbmt", 0},
    {"riscv", PT_4K, BIT(0) | BIT(1) | BIT(2) | BIT(3), BIT(0) | BIT(3), 0x3ffffffffffc00, UINT64_C(0x3ff) << 54,
     "reserved without Svnapot and Svpbmt", 0},
    {"riscv", PT_2M, BIT(0) | BIT(1), BIT(0) | BIT(1), 0x3ffffffff80000, (UINT64_C(0x3ff) << 54) | 0x7fc00,
     "the same; address bits below 2M", 0},
    {"riscv", PT_2M, BIT(0) | BIT(1) | BIT(2) | BIT(3), BIT(0) | BIT(3), 0x3ffffffff80000,
     (UINT64_C(0x3ff) << 54) | 0x7fc00, "the same; address bits below 2M", 0},
    {"riscv_xuantie", PT_4K, BIT(0) | BIT(1), BIT(0) | BIT(1), 0x3ffffffffffc00, UINT64_C(0x3f) << 54, "reserved", 0},
    {"riscv_xuantie", PT_4K, BIT(0) | BIT(1) | BIT(2) | BIT(3), BIT(0) | BIT(3), 0x3ffffffffffc00, UINT64_C(0x3f) << 54,
     "reserved", 0},
    {"riscv_xuantie", PT_2M, BIT(0) | BIT(1), BIT(0) | BIT(1), 0x3ffffffff80000, (UINT64_C(0x3f) << 54) | 0x7fc00,
     "reserved; address bits below 2M", 0},
    {"loongarch64", PT_4K, BIT(0) | BIT(7), BIT(0) | BIT(7), 0xfffffffff000, (UINT64_C(0x1fff) << 48) | BIT(63),
     "address bits beyond 48; RPLV", 0},
    {"loongarch64", PT_2M, BIT(0) | BIT(6) | BIT(7), BIT(0) | BIT(6) | BIT(7), 0xffffffe00000,
     (UINT64_C(0x1fff) << 48) | BIT(63) | 0x1fe000, "the same; address bits below 2M", 0},
};

/**
 * What makes a word of the last level one that stands above it. The reference reads the same flags and
 * address out of both, so that its answers can be used twice.
 */
static const struct {
    const char *data;
    uint64_t clear, set;
} huge_forms[] = {
    {"x86_64", 0, BIT(7)}, {"aarch64", BIT(1), 0}, {"riscv", 0, 0}, {"riscv_xuantie", 0, 0}, {"loongarch64", 0, BIT(6)},
};

/* ---- The formats ------------------------------------------------------------------------------- */

static bool is_of_family(const struct pt_format *format, const char *data)
{
    const char *name = format_facts(format)->name;

    if (strcmp(data, "riscv") == 0)
        return strcmp(name, "pt_sv39") == 0 || strcmp(name, "pt_sv48") == 0 || strcmp(name, "pt_sv57") == 0;
    if (strcmp(data, "riscv_xuantie") == 0)
        return strcmp(name, "test_sv39_c9xx") == 0;
    return strcmp(name + strlen("pt_"), data) == 0;
}

#define FRAMES 8
#define ELSEWHERE UINT64_C(0x80000000)

/** An empty table; the first frame taken after it is the one at `next`, which may be the highest there is. */
static void set_up(struct fixture *fixture, const struct pt_format *format, struct memory *memory, pt_paddr next)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->format = format;
    fixture->memory = memory;
    memory_init(memory, next - (FRAMES - 1) * PT_FRAME_SIZE < next ? next - (FRAMES - 1) * PT_FRAME_SIZE : next,
                FRAMES);
    memory_serve_next(memory, memory->base == next ? next + PT_FRAME_SIZE : memory->base);
    assert_ok(pt_create(&fixture->table, format, &memory->handler, memory));
    memory_serve_next(memory, next);
    pt_flush_init(&fixture->flush, &fixture->table);
}

static void tear_down(struct fixture *fixture)
{
    pt_flush_ignore(&fixture->flush);
    pt_destroy(&fixture->table);
    memory_end(fixture->memory);
}

/* ---- What a walk sees -------------------------------------------------------------------------- */

struct seen {
    size_t tables, leaves;
    uint64_t table_bits[FRAMES];
    struct pt_visit leaf;
};

static bool see(void *arg, const struct pt_visit *visit)
{
    struct seen *seen = arg;

    if (visit->is_leaf) {
        seen->leaves++;
        seen->leaf = *visit;
    } else {
        assert_true(seen->tables < FRAMES);
        seen->table_bits[seen->tables++] = visit->bits;
    }
    return true;
}

static struct seen look(const struct page_table *pt)
{
    struct seen seen = {0};

    pt_walk(pt, SIZE_MAX, see, NULL, &seen);
    return seen;
}

/* ---- The files --------------------------------------------------------------------------------- */

struct row {
    unsigned line;
    bool is_table;
    pt_flags flags;
    bool huge;
    pt_paddr paddr;
    uint64_t bits;
    pt_flags back_flags;
};

struct word {
    unsigned line;
    uint64_t bits;
    pt_flags flags;
    pt_paddr paddr;
};

static FILE *open_data(const char *name)
{
    char path[4096];
    char header[256];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s.csv", PT_GOLDEN_DIR, name);
    file = fopen(path, "r");
    if (!file)
        fail_msg("%s cannot be read", path);
    assert_non_null(fgets(header, (int)sizeof(header), file));
    return file;
}

static bool read_row(FILE *file, struct row *row)
{
    char line[256], kind[8];
    unsigned huge;

    if (!fgets(line, (int)sizeof(line), file))
        return false;
    row->line++;
    if (sscanf(line, "%*[^,],%7[a-z],%" SCNu32 ",%u,%" SCNx64 ",%" SCNx64 ",%" SCNu32, kind, &row->flags, &huge,
               &row->paddr, &row->bits, &row->back_flags) != 6)
        fail_msg("row %u is not understood: %s", row->line, line);
    row->is_table = strcmp(kind, "table") == 0;
    row->huge = huge != 0;
    return true;
}

static bool read_word(FILE *file, struct word *word)
{
    char line[256];

    if (!fgets(line, (int)sizeof(line), file))
        return false;
    word->line++;
    if (sscanf(line, "%*[^,],%" SCNx64 ",%" SCNu32 ",%" SCNx64, &word->bits, &word->flags, &word->paddr) != 3)
        fail_msg("row %u is not understood: %s", word->line, line);
    return true;
}

/* ---- Encoding ---------------------------------------------------------------------------------- */

struct counts {
    unsigned rows, entries, refused, skipped;
};

static uint64_t expected_entry(const struct pt_format *format, const char *data, uint64_t page_size, pt_flags flags,
                               uint64_t reference)
{
    uint64_t bits = reference;

    for (size_t i = 0; i < TESTS_COUNT(entry_differences); i++) {
        struct entry_difference *d = &entry_differences[i];

        if (strcmp(d->data, data) != 0 || !concerns(d->tracking, format) || page_size <= d->larger_than ||
            page_size > d->at_most || (flags & d->mask) != d->value)
            continue;
        if (((bits & ~d->clear) | d->set) != bits)
            d->needed++;
        bits = (bits & ~d->clear) | d->set;
    }
    return bits;
}

static void check_back_flags(const char *data, const struct row *row, pt_flags got)
{
    if (got == row->back_flags)
        return;
    for (size_t i = 0; i < TESTS_COUNT(back_differences); i++) {
        struct back_difference *d = &back_differences[i];

        if (strcmp(d->data, data) == 0 && (row->flags & d->mask) == d->value) {
            d->needed++;
            return;
        }
    }
    fail_msg("%s row %u: flags 0x%x read back as 0x%x, the reference's as 0x%x", data, row->line, row->flags, got,
             row->back_flags);
}

static void check_leaf(const struct page_table *pt, const char *data, const struct row *row, uint64_t page_size,
                       pt_flags flags, const char *how)
{
    uint64_t expected = expected_entry(pt->format, data, page_size, flags, row->bits);
    pt_flags expected_flags = format_reads_back(pt->format, flags);
    struct seen seen = look(pt);
    struct pt_mapping mapping;

    assert_int_equal(seen.leaves, 1);
    if (seen.leaf.bits != expected)
        fail_msg("%s row %u, %s: page of 0x%" PRIx64 ", paddr 0x%" PRIx64 ", flags 0x%x: entry 0x%" PRIx64
                 ", expected 0x%" PRIx64,
                 data, row->line, how, page_size, row->paddr, flags, seen.leaf.bits, expected);

    assert_ok(pt_query(pt, seen.leaf.vaddr, &mapping));
    if (mapping.paddr != row->paddr || mapping.page_size != page_size || mapping.flags != expected_flags)
        fail_msg("%s row %u, %s: paddr 0x%" PRIx64 ", flags 0x%x, page of 0x%" PRIx64 " reads back as paddr 0x%" PRIx64
                 ", flags 0x%x, page of 0x%" PRIx64,
                 data, row->line, how, row->paddr, flags, page_size, mapping.paddr, mapping.flags, mapping.page_size);
    if (!(flags & PT_GLOBAL))
        check_back_flags(data, row, mapping.flags);
}

static void check_page(const struct pt_format *format, const char *data, const struct row *row, uint64_t page_size,
                       pt_flags flags, struct counts *counts)
{
    pt_vaddr vaddr = 3 * page_size;
    struct memory memory;
    struct fixture f;
    enum pt_status refusal = PT_OK;

    set_up(&f, format, &memory, ELSEWHERE);

    /* The reference takes any address; we do not. */
    if (row->paddr % page_size != 0)
        refusal = PT_NOT_ALIGNED;
    else if ((row->paddr + page_size - 1) >> format->pa_bits != 0)
        refusal = PT_BAD_ADDRESS;

    assert_status(pt_map(&f.table, vaddr, row->paddr, page_size, flags, &f.flush), refusal);
    if (refusal != PT_OK) {
        assert_int_equal(memory.taken, 1);
        counts->refused++;
    } else {
        check_leaf(&f.table, data, row, page_size, flags, "mapped");

        assert_ok(pt_remap(&f.table, vaddr, 0, PT_READ, NULL, &f.flush));
        assert_ok(pt_remap(&f.table, vaddr, row->paddr, flags, NULL, &f.flush));
        check_leaf(&f.table, data, row, page_size, flags, "remapped");

        assert_ok(pt_protect(&f.table, vaddr, 0, NULL, &f.flush));
        assert_ok(pt_protect(&f.table, vaddr, flags, NULL, &f.flush));
        check_leaf(&f.table, data, row, page_size, flags, "protected");
        counts->entries += 3;
    }
    tear_down(&f);
}

/** A table entry: one that the walk finds must be the reference's for the frame at row->paddr. */
static void check_table(const struct pt_format *format, const char *data, const struct row *row, struct counts *counts)
{
    struct memory memory;
    struct fixture f;
    struct seen seen;
    unsigned found = 0;

    if (row->paddr >> format->pa_bits != 0) {
        counts->refused++;
        return;
    }
    set_up(&f, format, &memory, row->paddr);
    assert_ok(pt_map(&f.table, 0, 0, PT_4K, PT_READ, &f.flush));
    assert_true(memory_is_taken(&memory, row->paddr));

    seen = look(&f.table);
    assert_int_equal(seen.tables, format->levels - 1u);
    for (size_t i = 0; i < seen.tables; i++)
        found += seen.table_bits[i] == row->bits;
    if (found != 1)
        fail_msg("%s row %u: no entry for the table at 0x%" PRIx64 " is 0x%" PRIx64 ", the root's is 0x%" PRIx64, data,
                 row->line, row->paddr, row->bits, seen.table_bits[0]);
    counts->entries++;
    tear_down(&f);
}

static void check_row(const struct pt_format *format, const char *data, const struct row *row, struct counts *counts)
{
    if (row->is_table) {
        counts->rows++;
        check_table(format, data, row, counts);
        return;
    }
    if (!(row->flags & RIGHTS)) { /* a no-access page is our own invention */
        counts->skipped++;
        return;
    }
    counts->rows++;
    for (uint64_t size = PT_4K; size != 0; size <<= 1) {
        if (!(format->page_sizes & size) || (size > PT_4K) != row->huge)
            continue;
        check_page(format, data, row, size, row->flags, counts);
        check_page(format, data, row, size, row->flags | PT_GLOBAL, counts);
    }
}

/** Of a format, or of the copy of it that keeps track of accesses the other way. */
static void check_rows(const struct pt_format *format, const char *data, struct met *met)
{
    struct counts counts = {0};
    struct row row = {.line = 1};
    FILE *file = open_data(data);

    while (read_row(file, &row))
        check_row(format, data, &row, &counts);
    fclose(file);
    print_message("%s%s: %u rows checked (%u without a right skipped); %u entries compared, %u addresses refused\n",
                  format->name, format->tracks_access ? ", tracking" : "", counts.rows, counts.skipped, counts.entries,
                  counts.refused);
    assert_true(counts.rows > 500);
    assert_true(counts.refused > 0);
    met->tracked |= format->tracks_access;
    met->untracked |= !format->tracks_access;
}

/** The copy of the format that tracks accesses if it does not, or the other way round; false: there is none. */
static bool track_the_other_way(const struct pt_format *format, struct pt_format *copy)
{
#ifdef PT_ONLY_FORMAT
    (void)format;
    (void)copy;
    return false;
#else
    *copy = *format;
    copy->tracks_access = !format->tracks_access;
    return format_facts(format)->can_track_access;
#endif
}

static void check_encoding(const char *data)
{
    unsigned built = 0;
    struct met met = {false, false};

    for (size_t i = 0; i < TESTS_COUNT(entry_differences); i++)
        entry_differences[i].needed = 0;
    for (size_t i = 0; i < TESTS_COUNT(back_differences); i++)
        back_differences[i].needed = 0;

    for (size_t i = 0; i < formats_count; i++) {
        struct pt_format copy;

        if (!is_of_family(formats[i], data))
            continue;
        built++;
        check_rows(formats[i], data, &met);
        if (track_the_other_way(formats[i], &copy))
            check_rows(&copy, data, &met);
    }
    if (built == 0)
        skip();

    for (size_t i = 0; i < TESTS_COUNT(entry_differences); i++)
        if (strcmp(entry_differences[i].data, data) == 0 && was_met(entry_differences[i].tracking, &met) &&
            entry_differences[i].needed == 0)
            fail_msg("no entry of %s needs this difference: %s", data, entry_differences[i].reason);
    for (size_t i = 0; i < TESTS_COUNT(back_differences); i++)
        if (strcmp(back_differences[i].data, data) == 0 && back_differences[i].needed == 0)
            fail_msg("no page of %s needs this difference: %s", data, back_differences[i].reason);
}

/* ---- Decoding ---------------------------------------------------------------------------------- */

static bool is_leaf_form(const struct leaf_form *form, const struct pt_format *format, const char *data,
                         uint64_t page_size, uint64_t bits)
{
    uint64_t never = form->never & ~(format->tracks_access ? form->tracked : 0);

    return strcmp(form->data, data) == 0 && form->page_size == page_size && (bits & form->mask) == form->value &&
           (bits & never) == 0;
}

static pt_flags expected_flags(const struct pt_format *format, const char *data, uint64_t page_size,
                               const struct word *word)
{
    pt_flags flags = word->flags;

    for (size_t i = 0; i < TESTS_COUNT(decode_differences); i++) {
        struct decode_difference *d = &decode_differences[i];

        if (strcmp(d->data, data) != 0 || !concerns(d->tracking, format) || page_size <= d->larger_than ||
            page_size > d->at_most || (word->bits & d->mask) != d->value)
            continue;
        if (((flags & ~d->clear) | d->set) != flags)
            d->needed++;
        flags = (flags & ~d->clear) | d->set;
    }
    return flags;
}

static pt_flags free_flags(const char *data, uint64_t page_size, uint64_t bits)
{
    pt_flags flags = 0;

    for (size_t i = 0; i < TESTS_COUNT(decode_freedoms); i++) {
        const struct decode_freedom *d = &decode_freedoms[i];

        if (strcmp(d->data, data) == 0 && page_size > d->larger_than && page_size <= d->at_most &&
            (bits & d->mask) == d->value)
            flags |= d->flags;
    }
    return flags;
}

/** The word stands in the slot for the page of page_size at vaddr. */
static void check_word(const struct page_table *pt, const char *data, pt_vaddr vaddr, uint64_t page_size,
                       const struct word *word, struct counts *counts)
{
    const struct leaf_form *form = NULL;
    struct pt_mapping mapping;
    enum pt_status status;
    pt_flags expected, ignored;
    pt_paddr paddr;

    for (size_t i = 0; i < TESTS_COUNT(leaf_forms); i++)
        if (is_leaf_form(&leaf_forms[i], pt->format, data, page_size, word->bits))
            form = &leaf_forms[i];

    status = pt_query(pt, vaddr, &mapping);
    if (!form) {
        /* Nobody says what it means, but it must mean a page of this size or nothing. */
        counts->skipped++;
        assert_true(status == PT_OK || status == PT_NOT_MAPPED);
        if (status == PT_OK)
            assert_int_equal(mapping.page_size, page_size);
        if (word->bits == 0)
            assert_int_equal(status, PT_NOT_MAPPED);
        return;
    }

    counts->rows++;
    if (status != PT_OK)
        fail_msg("%s word 0x%" PRIx64 ": %s, not a page of 0x%" PRIx64, data, word->bits, pt_status_name(status),
                 page_size);
    assert_int_equal(mapping.page_size, page_size);

    /* A huge page's address has no bits below its size; the reference takes PAT or G for one. */
    paddr = word->paddr & ~(page_size - 1);
    if (mapping.paddr != paddr)
        fail_msg("%s word 0x%" PRIx64 ": paddr 0x%" PRIx64 ", expected 0x%" PRIx64, data, word->bits, mapping.paddr,
                 paddr);

    expected = expected_flags(pt->format, data, page_size, word);
    ignored = free_flags(data, page_size, word->bits);
    if ((mapping.flags & ~ignored) != (expected & ~ignored))
        fail_msg("%s word 0x%" PRIx64 " as a page of 0x%" PRIx64 ": flags 0x%x, expected 0x%x (0x%x ignored)", data,
                 word->bits, page_size, mapping.flags, expected, ignored);
}

static void check_words(const struct pt_format *format, const char *data, uint64_t page_size, struct counts *counts)
{
    char name[64];
    pt_vaddr vaddr = 5 * page_size;
    struct word word = {.line = 1};
    struct memory memory;
    struct fixture f;
    struct seen seen;
    uint64_t original;
    struct slot slot;
    FILE *file;

    set_up(&f, format, &memory, ELSEWHERE);
    assert_ok(pt_map(&f.table, vaddr, 0x40000000, page_size, PT_READ, &f.flush));
    seen = look(&f.table);
    slot = slot_of(&f, &seen.leaf);
    original = slot_get(slot);

    snprintf(name, sizeof(name), "%s_decode", data);
    file = open_data(name);
    while (read_word(file, &word)) {
        bool is_leaf = page_size == PT_4K;

        for (size_t i = 0; i < TESTS_COUNT(huge_forms); i++)
            if (page_size > PT_4K && strcmp(huge_forms[i].data, data) == 0)
                word.bits = (word.bits & ~huge_forms[i].clear) | huge_forms[i].set;
        for (size_t i = 0; i < TESTS_COUNT(leaf_forms); i++)
            is_leaf |= is_leaf_form(&leaf_forms[i], format, data, page_size, word.bits);
        if (!is_leaf) { /* above the last level it would be followed as a table */
            counts->skipped++;
            continue;
        }
        slot_set(slot, word.bits);
        check_word(&f.table, data, vaddr, page_size, &word, counts);
    }
    fclose(file);

    slot_set(slot, original);
    tear_down(&f);
}

static void check_words_of_both_sizes(const struct pt_format *format, const char *data, struct met *met)
{
    struct counts small = {0}, huge = {0};

    check_words(format, data, PT_4K, &small);
    check_words(format, data, PT_2M, &huge);
    print_message("%s%s: %u words checked as 4K pages (%u are none), %u as 2M pages (%u are none)\n", format->name,
                  format->tracks_access ? ", tracking" : "", small.rows, small.skipped, huge.rows, huge.skipped);
    assert_true(small.rows > 50);
    assert_true(huge.rows > 20);
    met->tracked |= format->tracks_access;
    met->untracked |= !format->tracks_access;
}

static void check_decoding(const char *data)
{
    unsigned built = 0;
    struct met met = {false, false};

    for (size_t i = 0; i < TESTS_COUNT(decode_differences); i++)
        decode_differences[i].needed = 0;

    for (size_t i = 0; i < formats_count; i++) {
        struct pt_format copy;

        if (!is_of_family(formats[i], data))
            continue;
        built++;
        check_words_of_both_sizes(formats[i], data, &met);
        if (track_the_other_way(formats[i], &copy))
            check_words_of_both_sizes(&copy, data, &met);
    }
    if (built == 0)
        skip();

    for (size_t i = 0; i < TESTS_COUNT(decode_differences); i++)
        if (strcmp(decode_differences[i].data, data) == 0 && was_met(decode_differences[i].tracking, &met) &&
            decode_differences[i].needed == 0)
            fail_msg("no word of %s needs this difference: %s", data, decode_differences[i].reason);
}

/* ------------------------------------------------------------------------------------------------ */

static void entries_of_x86_64_are_the_reference_s(void **state)
{
    (void)state;
    check_encoding("x86_64");
}

static void entries_of_aarch64_el2_are_the_reference_s(void **state)
{
    (void)state;
    check_encoding("aarch64_el2");
}

static void entries_of_aarch64_are_the_reference_s(void **state)
{
    (void)state;
    check_encoding("aarch64");
}

static void entries_of_riscv_are_the_reference_s(void **state)
{
    (void)state;
    check_encoding("riscv");
}

static void entries_of_riscv_xuantie_are_the_reference_s(void **state)
{
    (void)state;
    check_encoding("riscv_xuantie");
}

static void words_mean_on_riscv_xuantie_what_the_reference_reads(void **state)
{
    (void)state;
    check_decoding("riscv_xuantie");
}

static void entries_of_loongarch64_are_the_reference_s(void **state)
{
    (void)state;
    check_encoding("loongarch64");
}

static void words_mean_on_x86_64_what_the_reference_reads(void **state)
{
    (void)state;
    check_decoding("x86_64");
}

static void words_mean_on_aarch64_el2_what_the_reference_reads(void **state)
{
    (void)state;
    check_decoding("aarch64_el2");
}

static void words_mean_on_aarch64_what_the_reference_reads(void **state)
{
    (void)state;
    check_decoding("aarch64");
}

static void words_mean_on_riscv_what_the_reference_reads(void **state)
{
    (void)state;
    check_decoding("riscv");
}

static void words_mean_on_loongarch64_what_the_reference_reads(void **state)
{
    (void)state;
    check_decoding("loongarch64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_of_x86_64_are_the_reference_s),
        cmocka_unit_test(entries_of_aarch64_are_the_reference_s),
        cmocka_unit_test(entries_of_aarch64_el2_are_the_reference_s),
        cmocka_unit_test(entries_of_riscv_are_the_reference_s),
        cmocka_unit_test(entries_of_riscv_xuantie_are_the_reference_s),
        cmocka_unit_test(words_mean_on_riscv_xuantie_what_the_reference_reads),
        cmocka_unit_test(entries_of_loongarch64_are_the_reference_s),
        cmocka_unit_test(words_mean_on_x86_64_what_the_reference_reads),
        cmocka_unit_test(words_mean_on_aarch64_what_the_reference_reads),
        cmocka_unit_test(words_mean_on_aarch64_el2_what_the_reference_reads),
        cmocka_unit_test(words_mean_on_riscv_what_the_reference_reads),
        cmocka_unit_test(words_mean_on_loongarch64_what_the_reference_reads),
    };

    return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
