/* SPDX-License-Identifier: MIT */
/* What is wrong with a table: first its entries are looked at, then its pages. */
#include "mmu.h"
#include "view.h"

/* A table, and where it was met first. */
struct known_table {
    pt_paddr table; /* PT_NO_FRAME: the place is free */
    pt_vaddr vaddr;
};

/* Frames that are mapped with one memory type. */
struct known_frames {
    pt_paddr paddr;
    uint64_t size;
    pt_vaddr vaddr;
    pt_flags type;
};

struct auditor {
    const struct page_table *pt;
    pt_finding_visitor visitor;
    void *arg;
    uint32_t rules;
    size_t count;
    bool stopped;  /* by the visitor */
    bool too_much; /* for the memory, or for the number of tables */
    uint64_t tables_left;

    struct known_table *tables; /* open addressing */
    size_t table_room, table_count;
    struct known_frames *frames;
    size_t frames_room, frames_count;

    /* The tables that the walk is in, by level, and the entries in use that it has met there. */
    struct {
        pt_paddr table;
        size_t used;
    } path[PT_MAX_LEVELS];
    unsigned skip_below; /* what lies below an entry of this level was looked at elsewhere, or cannot be */
};

static void find(struct auditor *auditor, struct pt_finding finding)
{
    static const enum pt_severity severities[] = {
        [PT_RULE_MALFORMED] = PT_SEVERITY_ERROR,       [PT_RULE_UNREADABLE] = PT_SEVERITY_ERROR,
        [PT_RULE_LOOP] = PT_SEVERITY_WARNING,          [PT_RULE_GROUP] = PT_SEVERITY_ERROR,
        [PT_RULE_MEMORY_TYPES] = PT_SEVERITY_ERROR,    [PT_RULE_WRITE_EXECUTE] = PT_SEVERITY_WARNING,
        [PT_RULE_USER_IN_UPPER] = PT_SEVERITY_WARNING, [PT_RULE_GLOBAL_USER] = PT_SEVERITY_WARNING,
        [PT_RULE_TABLE_TWICE] = PT_SEVERITY_NOTE,      [PT_RULE_LEAF_BITS] = PT_SEVERITY_NOTE,
        [PT_RULE_EMPTY_TABLE] = PT_SEVERITY_NOTE,      [PT_RULE_NOT_ALL_CHECKED] = PT_SEVERITY_NOTE,
    };

    if (auditor->stopped || !(auditor->rules >> finding.rule & 1))
        return;
    finding.severity = severities[finding.rule];
    auditor->count++;
    auditor->stopped = !auditor->visitor(auditor->arg, &finding);
}

/* ---- Entries ----------------------------------------------------------------------------------- */

static void find_entry(struct auditor *auditor, enum pt_rule rule, const struct pt_visit *visit, uint64_t wrong,
                       pt_vaddr other)
{
    find(auditor, (struct pt_finding){
                      .rule = rule,
                      .vaddr = visit->vaddr,
                      .size = UINT64_C(1) << view_shift(auditor->pt, visit->level),
                      .level = visit->level,
                      .index = visit->index,
                      .bits = visit->bits,
                      .wrong = wrong,
                      .mapping = visit->mapping,
                      .other = other,
                  });
}

/* True, and where it was, if the table was met before. */
static bool is_known(struct auditor *auditor, pt_paddr table, pt_vaddr vaddr, pt_vaddr *where)
{
    size_t at;

    if (auditor->table_room == 0)
        return false;
    /* Without a division, which is a call where the machine has none. */
    at = (size_t)(((table >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 32) * (uint32_t)auditor->table_room >> 32);
    for (; auditor->tables[at].table != PT_NO_FRAME; at = at + 1 == auditor->table_room ? 0 : at + 1) {
        if (auditor->tables[at].table == table) {
            *where = auditor->tables[at].vaddr;
            return true;
        }
    }
    /* One stays free, for the search to end. */
    if (auditor->table_count + 1 < auditor->table_room) {
        auditor->tables[at] = (struct known_table){table, vaddr};
        auditor->table_count++;
    } else {
        auditor->too_much = true;
    }
    return false;
}

/* The bits that have a meaning in an entry that leads to a table. */
static uint64_t table_bits(const struct pt_format *format)
{
    uint64_t bits = format->table_bits;

    for (const struct pt_field *field = pt_fields(format); field->name; field++)
        if ((field->where & PT_FIELD_OF_TABLE) && (!field->features || (field->features & format->features)))
            bits |= (~UINT64_C(0) >> (64 - field->width)) << field->low;
    return bits;
}

/* False: what lies below is not to be looked at. */
static bool check_table(struct auditor *auditor, const struct pt_visit *visit, const struct pt_decoded *entry)
{
    struct view_table table = view_table(entry->paddr);
    uint64_t extra = visit->bits & ~table_bits(auditor->pt->format);
    pt_vaddr other = 0;
    uint64_t bits;

    if (pt_mmu_of(auditor->pt->format) && extra)
        find_entry(auditor, PT_RULE_LEAF_BITS, visit, extra, 0);
    for (unsigned level = 0; level <= visit->level; level++) {
        if (auditor->path[level].table == entry->paddr) {
            find_entry(auditor, PT_RULE_LOOP, visit, 0, 0);
            return false;
        }
    }
    if (!pt_view_read(auditor->pt, &table, 0, &bits)) {
        find_entry(auditor, PT_RULE_UNREADABLE, visit, 0, 0);
        return false;
    }
    if (is_known(auditor, entry->paddr, visit->vaddr, &other)) {
        find_entry(auditor, PT_RULE_TABLE_TWICE, visit, 0, other);
        return false;
    }
    return true;
}

static bool enter(void *arg, const struct pt_visit *visit)
{
    struct auditor *auditor = arg;
    const struct page_table *pt = auditor->pt;
    struct pt_decoded entry;

    if (!visit->is_leaf && auditor->tables_left-- == 0) {
        auditor->too_much = true;
        return false;
    }
    if (visit->level > auditor->skip_below)
        return true;
    auditor->skip_below = PT_MAX_LEVELS;
    auditor->path[visit->level].used++;

    pt_decode(pt, visit->level, visit->index, visit->bits, 0, true, &entry);
    if (entry.malformed) {
        find_entry(auditor, PT_RULE_MALFORMED, visit, entry.malformed, 0);
    } else if (entry.kind == PT_ENTRY_LEAF) {
        if (visit->mapping.page_size >> view_shift(pt, visit->level) != UINT64_C(1) << entry.group)
            find_entry(auditor, PT_RULE_GROUP, visit, 0, 0);
    } else if (entry.kind == PT_ENTRY_TABLE) {
        auditor->path[visit->level + 1].table = entry.paddr;
        auditor->path[visit->level + 1].used = 0;
        if (!check_table(auditor, visit, &entry))
            auditor->skip_below = visit->level;
    }
    return !auditor->stopped;
}

static bool leave(void *arg, const struct pt_visit *visit)
{
    struct auditor *auditor = arg;
    struct pt_decoded entry;

    if (visit->level >= auditor->skip_below || visit->is_leaf)
        return true;
    pt_decode(auditor->pt, visit->level, visit->index, visit->bits, 0, true, &entry);
    if (entry.kind == PT_ENTRY_TABLE && !entry.malformed && auditor->path[visit->level + 1].used == 0)
        find_entry(auditor, PT_RULE_EMPTY_TABLE, visit, 0, 0);
    return !auditor->stopped;
}

/* ---- Pages ------------------------------------------------------------------------------------- */

static void find_pages(struct auditor *auditor, enum pt_rule rule, const struct pt_range *range, pt_vaddr other)
{
    find(auditor, (struct pt_finding){
                      .rule = rule,
                      .vaddr = range->vaddr,
                      .size = range->size,
                      .mapping = range->mapping,
                      .other = other,
                  });
}

static bool is_upper_half(const struct page_table *pt, pt_vaddr vaddr)
{
    return pt->format->address_space != PT_ZERO_EXTENDED && vaddr >> 63 != 0;
}

static void check_rights(struct auditor *auditor, const struct pt_range *range)
{
    const pt_flags flags = range->mapping.flags, any = PT_READ | PT_WRITE | PT_EXECUTE;

    if ((flags & PT_WRITE) && (flags & PT_EXECUTE))
        find_pages(auditor, PT_RULE_WRITE_EXECUTE, range, 0);
    if ((flags & PT_USER) && (flags & any) && is_upper_half(auditor->pt, range->vaddr))
        find_pages(auditor, PT_RULE_USER_IN_UPPER, range, 0);
    if ((flags & PT_USER) && (flags & PT_GLOBAL))
        find_pages(auditor, PT_RULE_GLOBAL_USER, range, 0);
}

/* The same frames with another memory type, and room for these. */
static void check_memory_type(struct auditor *auditor, const struct pt_range *range)
{
    struct known_frames frames = {range->mapping.paddr, range->size, range->vaddr,
                                  range->mapping.flags & (PT_DEVICE | PT_UNCACHED)};

    for (size_t i = 0; i < auditor->frames_count; i++) {
        struct known_frames *other = &auditor->frames[i];

        if (frames.paddr - other->paddr >= other->size && other->paddr - frames.paddr >= frames.size)
            continue;
        if (other->type != frames.type) {
            find_pages(auditor, PT_RULE_MEMORY_TYPES, range, other->vaddr);
            break;
        }
        if (frames.paddr >= other->paddr && frames.paddr - other->paddr + frames.size <= other->size)
            return;
    }
    if (auditor->frames_count < auditor->frames_room)
        auditor->frames[auditor->frames_count++] = frames;
    else
        auditor->too_much = auditor->frames_room > 0;
}

static void each_range(struct auditor *auditor, unsigned alike, uint64_t tables,
                       void (*check)(struct auditor *auditor, const struct pt_range *range))
{
    struct pt_ranges ranges;
    struct pt_range range;

    pt_ranges_init(&ranges, auditor->pt, 0, alike);
    ranges.tables_left = tables;
    while (!auditor->stopped && pt_ranges_next(&ranges, &range))
        check(auditor, &range);
    auditor->too_much |= ranges.stopped;
}

/* ---- All --------------------------------------------------------------------------------------- */

static void take_scratch(struct auditor *auditor, const struct pt_audit *audit)
{
    size_t half = audit->scratch_size / 2 & ~(size_t)7;

    if (!audit->scratch)
        return;
    auditor->tables = audit->scratch;
    auditor->table_room = half / sizeof(struct known_table);
    for (size_t i = 0; i < auditor->table_room; i++)
        auditor->tables[i].table = PT_NO_FRAME;
    auditor->frames = (void *)((char *)audit->scratch + half);
    auditor->frames_room = half / sizeof(struct known_frames);
}

size_t pt_audit(const struct page_table *pt, const struct pt_audit *audit, pt_finding_visitor visitor, void *arg)
{
    static const struct pt_audit defaults = {.rules = 0};
    struct auditor auditor = {.pt = pt, .visitor = visitor, .arg = arg, .skip_below = PT_MAX_LEVELS};
    struct view_table root;
    uint64_t tables, bits;

    if (!audit)
        audit = &defaults;
    tables = audit->tables ? audit->tables : VIEW_TABLES;
    auditor.rules = audit->rules ? audit->rules : PT_ALL_RULES;
    auditor.tables_left = tables;
    auditor.path[0].table = pt->root;
    take_scratch(&auditor, audit);

    root = view_table(pt->root);
    if (!pt_view_read(pt, &root, 0, &bits))
        find(&auditor, (struct pt_finding){.rule = PT_RULE_UNREADABLE, .size = pt->measures.translated + 1});
    pt_walk(pt, SIZE_MAX, enter, leave, &auditor);
    each_range(&auditor, 0, tables, check_rights);
    if (auditor.frames_room > 0)
        each_range(&auditor, PT_RANGES_CONTIGUOUS, tables, check_memory_type);
    if (auditor.too_much)
        find(&auditor, (struct pt_finding){.rule = PT_RULE_NOT_ALL_CHECKED});
    return auditor.count;
}

const char *pt_rule_name(enum pt_rule rule)
{
    static const char *const names[] = {
        [PT_RULE_MALFORMED] = "PT_RULE_MALFORMED",
        [PT_RULE_UNREADABLE] = "PT_RULE_UNREADABLE",
        [PT_RULE_LOOP] = "PT_RULE_LOOP",
        [PT_RULE_GROUP] = "PT_RULE_GROUP",
        [PT_RULE_MEMORY_TYPES] = "PT_RULE_MEMORY_TYPES",
        [PT_RULE_WRITE_EXECUTE] = "PT_RULE_WRITE_EXECUTE",
        [PT_RULE_USER_IN_UPPER] = "PT_RULE_USER_IN_UPPER",
        [PT_RULE_GLOBAL_USER] = "PT_RULE_GLOBAL_USER",
        [PT_RULE_TABLE_TWICE] = "PT_RULE_TABLE_TWICE",
        [PT_RULE_LEAF_BITS] = "PT_RULE_LEAF_BITS",
        [PT_RULE_EMPTY_TABLE] = "PT_RULE_EMPTY_TABLE",
        [PT_RULE_NOT_ALL_CHECKED] = "PT_RULE_NOT_ALL_CHECKED",
    };

    return (unsigned)rule < PT_RULES ? names[rule] : "?";
}
