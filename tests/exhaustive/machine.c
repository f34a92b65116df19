/* SPDX-License-Identifier: MIT */
#include "machine.h"

struct geometry geometry;
struct machine machine;
struct counts counts;
struct page_table tables[MAX_TABLES];
void (*machine_report)(void);

#define CANARY UINT64_C(0x7ca7ca7ca7ca7ca7)
#define CELL_RECORDED UINT32_C(0x6000)
#define FRESH UINT64_C(0xa7a7a7a7a7a7a7a7)

static struct {
    bool on;
    unsigned t;
    const struct page *before, *after;
} watch;

/* ---- Geometry --------------------------------------------------------------------------------------- */

void geometry_of(const struct pt_format *format, unsigned table_count)
{
    unsigned cells = 0, entries;

    geometry = (struct geometry){.format = format, .levels = format->levels, .tables = table_count};
    geometry.entries = 1u << format->index_bits;
    geometry.root_entries = 1u << (format->va_bits - format->page_shift - format->index_bits * (format->levels - 1u));
    entries = geometry.root_entries;
    for (unsigned level = 0; level < format->levels; level++, entries *= geometry.entries) {
        geometry.pages_of[level] = 1u << (format->index_bits * (format->levels - 1u - level));
        geometry.first_cell[level] = cells;
        cells += entries;
    }
    geometry.pages = entries / geometry.entries;
    for (unsigned level = 0; level < format->levels; level++) {
        unsigned above_last = format->levels - 1u - level;
        unsigned group = above_last < PT_GROUP_LEVELS ? format->group_bits[above_last] : 0;

        if (group > format->index_bits ||
            !(format->page_sizes & ((uint64_t)geometry.pages_of[level] << group) * PT_FRAME_SIZE))
            group = 0;
        geometry.group[level] = group;
        if (group != 0) {
            geometry.sorts[geometry.sort_count].level = level;
            geometry.sorts[geometry.sort_count].group = group;
            geometry.sorts[geometry.sort_count++].pages = geometry.pages_of[level] << group;
        }
        geometry.sorts[geometry.sort_count].level = level;
        geometry.sorts[geometry.sort_count++].pages = geometry.pages_of[level];
    }
    geometry.slot_shift = geometry.group[0];
    geometry.slot_pages = geometry.pages_of[0] << geometry.slot_shift;
    geometry.cells = cells;
    assert_true(geometry.pages <= MAX_PAGES && cells <= MAX_CELLS && format->levels <= MAX_LEVELS);
    assert_true(geometry.entries <= 4 && geometry.root_entries <= 4);
}

pt_vaddr vaddr_of(unsigned page, bool upper)
{
    const struct pt_format *format = geometry.format;
    pt_vaddr high = ~UINT64_C(0) << format->va_bits;

    if (format->address_space == PT_SIGN_EXTENDED)
        upper = page >= geometry.pages / 2;
    return (pt_vaddr)page * PT_FRAME_SIZE | (upper ? high : 0);
}

static unsigned page_of(pt_vaddr vaddr)
{
    return (unsigned)(vaddr / PT_FRAME_SIZE) & (geometry.pages - 1);
}

/* ---- Frames ----------------------------------------------------------------------------------------- */

static size_t frame_of(pt_paddr paddr)
{
    size_t frame = (size_t)((paddr - TABLES_AT) / PT_FRAME_SIZE);

    REFUTE(paddr < TABLES_AT || paddr % PT_FRAME_SIZE != 0 || frame >= MAX_FRAMES, "0x%" PRIx64 " holds no table",
           paddr);
    return frame;
}

static pt_paddr paddr_of(size_t frame)
{
    return TABLES_AT + frame * PT_FRAME_SIZE;
}

/* The first word of a frame that no table reaches. */
static size_t first_canary(void)
{
    unsigned most = geometry.root_entries > geometry.entries ? geometry.root_entries : geometry.entries;
    unsigned bytes = most * fake_entry_size(geometry.format);

    return (bytes + 7) / 8;
}

static size_t take_frame(void)
{
    for (size_t frame = 0; frame < MAX_FRAMES; frame++) {
        if (machine.taken[frame])
            continue;
        machine.taken[frame] = true;
        machine.taken_count++;
        for (size_t i = 0; i < 8; i++)
            machine.words[frame][i] = i < first_canary() ? FRESH : CANARY;
        return frame;
    }
    REFUTE(true, "the machine is out of frames");
    return 0;
}

static pt_paddr alloc_frames(void *ctx, size_t count, size_t align)
{
    (void)ctx;
    REFUTE(count != 1 || align != PT_FRAME_SIZE, "alloc_frames: %zu frames aligned to 0x%zx", count, align);
    counts.allocations++;
    if (counts.allocations == counts.fail_at)
        return PT_NO_FRAME;
    return paddr_of(take_frame());
}

static void dealloc_frames(void *ctx, pt_paddr first, size_t count)
{
    size_t frame = frame_of(first);

    (void)ctx;
    REFUTE(count != 1, "dealloc_frames: %zu frames", count);
    REFUTE(!machine.taken[frame], "dealloc_frames: frame %zu is not out", frame);
    REFUTE(machine.mmu.table[frame].level != 0, "the MMU still knows table %zu when it is freed", frame);
    counts.frees++;
    machine.taken[frame] = false;
    machine.taken_count--;
    memset(machine.words[frame], 0xdb, sizeof(machine.words[frame]));
}

static void *phys_to_virt(void *ctx, pt_paddr paddr)
{
    size_t frame = frame_of(paddr);

    (void)ctx;
    REFUTE(!machine.taken[frame], "phys_to_virt: frame %zu is not out", frame);
    return machine.words[frame];
}

/* ---- Entries ---------------------------------------------------------------------------------------- */

static uint64_t raw_entry(size_t frame, unsigned index)
{
    if (fake_entry_size(geometry.format) == 4) {
        uint32_t narrow;

        memcpy(&narrow, (const char *)machine.words[frame] + index * sizeof(narrow), sizeof(narrow));
        return narrow;
    }
    return machine.words[frame][index];
}

static void set_raw_entry(size_t frame, unsigned index, uint64_t raw)
{
    if (fake_entry_size(geometry.format) == 4) {
        uint32_t narrow = (uint32_t)raw;

        memcpy((char *)machine.words[frame] + index * sizeof(narrow), &narrow, sizeof(narrow));
        return;
    }
    machine.words[frame][index] = raw;
}

static unsigned index_of_page(unsigned level, unsigned page)
{
    return (page / geometry.pages_of[level]) % (level == 0 ? geometry.root_entries : geometry.entries);
}

static bool is_last(unsigned level)
{
    return level == geometry.levels - 1;
}

/* The entry of a page; a group's has its own address, whatever the format keeps in it. */
static uint32_t cell_of(const struct fake_entry *entry, unsigned level, unsigned page)
{
    unsigned frame = (unsigned)(entry->paddr / PT_FRAME_SIZE);

    if (entry->kind == FAKE_EMPTY)
        return 0;
    if (entry->kind == FAKE_TABLE)
        return CELL_TABLE;
    REFUTE(entry->kind == FAKE_LINK, "the tree leads to a retired table");
    REFUTE(entry->paddr / PT_FRAME_SIZE >= 64, "a page at 0x%" PRIx64, entry->paddr);
    if (entry->grouped && fake_entry_size(geometry.format) == 4)
        frame += (page - page % geometry.pages_of[level]) % (geometry.pages_of[level] << geometry.group[level]);
    return CELL_LEAF | (entry->grouped ? CELL_GROUPED : 0) | (entry->flags & PT_DIRTY ? 1u << 14 : 0) |
           (entry->flags & PT_ACCESSED ? 1u << 13 : 0) | (entry->flags & PT_ALL_FLAGS) << 6 | frame;
}

static struct page page_of_cell(uint32_t cell, unsigned level, unsigned page)
{
    return (struct page){
        .mapped = cell & CELL_LEAF,
        .level = (uint8_t)level,
        .group = (uint8_t)(cell & CELL_GROUPED ? geometry.group[level] : 0),
        .frame = (uint8_t)((cell & 63) + page % geometry.pages_of[level]),
        .flags = ((cell >> 6) & PT_ALL_FLAGS) | (cell & 1u << 13 ? PT_ACCESSED : 0) | (cell & 1u << 14 ? PT_DIRTY : 0),
    };
}

/* ---- The whole tree --------------------------------------------------------------------------------- */

static void build_table(const struct shape *shape, size_t frame, unsigned level, unsigned first)
{
    unsigned entries = level == 0 ? geometry.root_entries : geometry.entries;

    for (unsigned i = 0; i < entries; i++) {
        unsigned page = first + i * geometry.pages_of[level];
        uint32_t cell = shape->cell[geometry.first_cell[level] + page / geometry.pages_of[level]];
        uint64_t raw = 0;

        if (cell & CELL_LEAF) {
            struct page leaf = page_of_cell(cell, level, page);

            raw = fake_leaf(geometry.format, (pt_paddr)(cell & 63) * PT_FRAME_SIZE, leaf.flags, is_last(level),
                            cell & CELL_GROUPED);
        } else if (cell == CELL_TABLE && !(level == 0 && shape->borrowed & 1u << (i >> geometry.slot_shift))) {
            size_t below = take_frame();

            build_table(shape, below, level + 1, page);
            raw = fake_table_entry(geometry.format, paddr_of(below));
        }
        set_raw_entry(frame, i, raw);
    }
}

static void slots_from(struct pt_root_slots *slots, uint16_t bits)
{
    memset(slots, 0, sizeof(*slots));
    slots->bits[0] = bits;
}

void machine_build(const struct shape *shapes)
{
    memset(machine.taken, 0, sizeof(machine.taken));
    memset(&machine.mmu, 0, sizeof(machine.mmu));
    machine.taken_count = 0;
    for (unsigned t = 0; t < geometry.tables; t++) {
        size_t root = take_frame();

        build_table(&shapes[t], root, 0, 0);
        tables[t] = (struct page_table){.format = geometry.format,
                                        .operations = geometry.format->operations,
                                        .handler = &machine_handler,
                                        .root = paddr_of(root),
                                        .measures = geometry.measures,
                                        .latest_table = PT_NO_FRAME,
                                        .asid = t + 1,
                                        .is_special = shapes[t].borrowed != 0,
                                        .has_lent = shapes[t].lent != 0};
        slots_from(&tables[t].borrowed, shapes[t].borrowed);
        slots_from(&tables[t].lent, shapes[t].lent);
        slots_from(&tables[t].upper, shapes[t].upper);
    }
    for (unsigned t = 0; t < geometry.tables; t++)
        for (unsigned i = 0; i < geometry.root_entries; i++)
            if ((shapes[t].borrowed & 1u << (i >> geometry.slot_shift)) && shapes[t].cell[i] == CELL_TABLE)
                set_raw_entry(frame_of(tables[t].root), i, raw_entry(frame_of(tables[1 - t].root), i));
}

static uint16_t bits_from(const struct pt_root_slots *slots)
{
    for (size_t i = 1; i < TESTS_COUNT(slots->bits); i++)
        REFUTE(slots->bits[i] != 0, "a mark beyond the root");
    REFUTE(slots->bits[0] >> (geometry.root_entries >> geometry.slot_shift), "a mark beyond the root");
    return (uint16_t)slots->bits[0];
}

/* The entries of a page agree in all but what the hardware recorded. */
static void check_group(const struct shape *shape, unsigned level, unsigned page)
{
    const uint32_t *cell = &shape->cell[geometry.first_cell[level] + page / geometry.pages_of[level]];
    unsigned begins = page - page % (geometry.pages_of[level] << geometry.group[level]);
    const uint32_t *first = &shape->cell[geometry.first_cell[level] + begins / geometry.pages_of[level]];

    if (!(*cell & CELL_GROUPED))
        return;
    REFUTE(((*cell - (page - begins)) & ~CELL_RECORDED) != (*first & ~CELL_RECORDED),
           "page %u: its entry is 0x%x, and the first one of its page 0x%x", page, (unsigned)*cell, (unsigned)*first);
    REFUTE((*first & 63) % (geometry.pages_of[level] << geometry.group[level]) != 0,
           "page %u: a page of several entries at frame %u", page, (unsigned)*first & 63);
}

static void read_table(struct shape *shape, size_t frame, unsigned level, unsigned first, size_t *frames,
                       uint64_t *seen)
{
    unsigned entries = level == 0 ? geometry.root_entries : geometry.entries;

    REFUTE(!machine.taken[frame], "the tree leads to frame %zu, which was freed", frame);
    REFUTE(*seen & UINT64_C(1) << frame, "the tree leads to frame %zu twice", frame);
    *seen |= UINT64_C(1) << frame;
    ++*frames;
    for (size_t i = first_canary(); i < 8; i++)
        REFUTE(machine.words[frame][i] != CANARY, "a store beyond table %zu", frame);

    for (unsigned i = 0; i < entries; i++) {
        unsigned page = first + i * geometry.pages_of[level];
        struct fake_entry entry = fake_read(geometry.format, raw_entry(frame, i), is_last(level));

        shape->cell[geometry.first_cell[level] + page / geometry.pages_of[level]] = cell_of(&entry, level, page);
        if (entry.kind == FAKE_LEAF && entry.paddr / PT_FRAME_SIZE % geometry.pages_of[level] != 0)
            REFUTE(true, "a page of level %u at 0x%" PRIx64, level, entry.paddr);
        if (entry.kind != FAKE_TABLE)
            continue;
        if (level == 0 && shape->borrowed & 1u << (i >> geometry.slot_shift))
            REFUTE(raw_entry(frame, i) != raw_entry(frame_of(tables[tables[0].root == paddr_of(frame)].root), i),
                   "the borrowed entry %u is not the source's", i);
        else
            read_table(shape, frame_of(entry.paddr), level + 1, page, frames, seen);
    }
    for (unsigned i = 0; i < entries; i++)
        check_group(shape, level, first + i * geometry.pages_of[level]);
}

void machine_read(unsigned t, struct shape *shape, size_t *frames)
{
    uint64_t seen = 0;

    *shape = (struct shape){
        .borrowed = bits_from(&tables[t].borrowed),
        .lent = bits_from(&tables[t].lent),
        .upper = bits_from(&tables[t].upper),
    };
    *frames = 0;
    read_table(shape, frame_of(tables[t].root), 0, 0, frames, &seen);
}

unsigned pages_in(const struct page *page)
{
    return geometry.pages_of[page->level] << page->group;
}

/* The hardware records in whichever entry of the page it meets. */
static pt_flags recorded_in_group(const struct shape *shape, unsigned level, unsigned page)
{
    unsigned begins = page - page % (geometry.pages_of[level] << geometry.group[level]);
    pt_flags recorded = 0;

    for (unsigned i = 0; i < 1u << geometry.group[level]; i++) {
        uint32_t cell = shape->cell[geometry.first_cell[level] + begins / geometry.pages_of[level] + i];

        recorded |= page_of_cell(cell, level, page).flags & RECORDED;
    }
    return recorded;
}

void pages_of_shape(const struct shape *shapes, unsigned t, struct page *pages)
{
    for (unsigned page = 0; page < geometry.pages; page++) {
        const struct shape *shape = &shapes[t];
        unsigned root = page / geometry.pages_of[0], level = 0;
        uint32_t cell = shape->cell[root];

        if ((shape->borrowed & 1u << (root >> geometry.slot_shift)) && cell == CELL_TABLE)
            shape = &shapes[1 - t];
        while (cell == CELL_TABLE) {
            level++;
            cell = shape->cell[geometry.first_cell[level] + page / geometry.pages_of[level]];
        }
        pages[page] = page_of_cell(cell, level, page);
        if (cell & CELL_GROUPED)
            pages[page].flags |= recorded_in_group(shape, level, page);
    }
}

struct page machine_translate(unsigned t, unsigned page)
{
    size_t frame = frame_of(tables[t].root);

    for (unsigned level = 0;; level++) {
        struct fake_entry entry =
            fake_read(geometry.format, raw_entry(frame, index_of_page(level, page)), is_last(level));

        if (entry.kind != FAKE_TABLE)
            return page_of_cell(cell_of(&entry, level, page), level, page);
        frame = frame_of(entry.paddr);
        REFUTE(!machine.taken[frame], "the MMU follows a table that was freed");
    }
}

/* ---- The MMU ---------------------------------------------------------------------------------------- */

#define TLB_VALID UINT32_C(0x80000000)
#define TLB_ALONE UINT32_C(0x8000) /* one entry of its page by itself: only its own address invalidates it */

static uint32_t tlb_entry(const struct page *page)
{
    return TLB_VALID | (uint32_t)page->level << 24 | (uint32_t)page->group << 16 | (page->flags & PT_ALL_FLAGS) << 8 |
           page->frame;
}

static struct page tlb_page(uint32_t entry)
{
    return (struct page){
        .mapped = true,
        .level = (uint8_t)((entry >> 24) & 0x7f),
        .group = (uint8_t)((entry >> 16) & 0xff),
        .flags = (entry >> 8) & PT_ALL_FLAGS,
        .frame = (uint8_t)entry,
    };
}

/* Both at once in a TLB are an error of the operating system's. */
static bool may_not_meet(const struct page *old, const struct page *new)
{
    struct fake_entry from = {FAKE_LEAF, old->frame, old->flags, old->group != 0};
    struct fake_entry to = {FAKE_LEAF, new->frame, new->flags, new->group != 0};

    return fake_breaks(geometry.format, &from, &to, pages_in(old) != pages_in(new));
}

static bool is_valid(const struct page *page)
{
    return page->mapped && (page->flags & RIGHTS);
}

static void load_entry(unsigned page, const struct page *now, uint32_t entry)
{
    uint32_t *slots = machine.mmu.tlb[page];

    for (unsigned i = 0; i < TLB_SLOTS; i++) {
        struct page held;

        if (slots[i] == entry)
            return;
        if (slots[i] == 0) {
            slots[i] = entry;
            return;
        }
        held = tlb_page(slots[i]);
        REFUTE(may_not_meet(&held, now),
               "page %u: frame %u, %u pages, flags 0x%x can be used, and frame %u, %u pages, flags 0x%x is still in a "
               "TLB",
               page, now->frame, pages_in(now), (unsigned)now->flags, held.frame, pages_in(&held),
               (unsigned)held.flags);
    }
    REFUTE(true, "page %u: too many translations in a TLB", page);
}

static bool same_translation(const struct page *a, const struct page *b)
{
    if (!a->mapped || !b->mapped)
        return a->mapped == b->mapped;
    return a->frame == b->frame && ((a->flags ^ b->flags) & PT_ALL_FLAGS) == 0;
}

/* While the library works: the MMU sees a translation of before or after. */
static void check_watched(unsigned page, const struct page *now)
{
    bool may_break = geometry.format->operations == fake_8_strict.operations;

    REFUTE(!same_translation(now, &watch.before[page]) && !same_translation(now, &watch.after[page]) &&
               !(may_break && !now->mapped),
           "page %u: for a moment %s frame %u, flags 0x%x", page, now->mapped ? "it is" : "nothing is there, not",
           now->frame, (unsigned)now->flags);
}

/* What the entries of one page say of all of it: any of them may have been loaded for an address of another. */
static void load_neighbours(unsigned t, unsigned page, unsigned level)
{
    unsigned group_pages = geometry.pages_of[level] << geometry.group[level], begins = page - page % group_pages;
    const struct page own = machine_translate(t, page);

    for (unsigned i = 0; i < 1u << geometry.group[level]; i++) {
        unsigned other = begins + i * geometry.pages_of[level];
        struct page now = machine_translate(t, other);

        if (now.level != level || !is_valid(&now))
            continue;
        if (now.group != 0) {
            now.frame = (uint8_t)(now.frame - now.frame % group_pages + page % group_pages);
            if (watch.on)
                check_watched(page, &now);
            load_entry(page, &now, tlb_entry(&now));
        }
        REFUTE(geometry.format->operations == fake_8_strict.operations && geometry.format->bbm_level < 2 &&
                   own.level == level && is_valid(&own) && (now.group != own.group),
               "pages %u and %u: one is of several entries, the other not", page, other);
    }
}

static void load_page(unsigned t, unsigned page)
{
    struct page now = machine_translate(t, page);

    if (watch.on)
        check_watched(page, &now);
    if (geometry.group[now.level] != 0)
        load_neighbours(t, page, now.level);
    if (is_valid(&now))
        load_entry(page, &now, tlb_entry(&now) | (now.group != 0 ? TLB_ALONE : 0));
    else
        machine.mmu.unmapped[page] |= (uint8_t)(1u << now.level);
}

static void load_tables(unsigned t)
{
    /* Each table is on the way to its first page. */
    for (unsigned page = 0; page < geometry.pages; page += geometry.pages_of[geometry.levels - 2]) {
        size_t frame = frame_of(tables[t].root);

        for (unsigned level = 0; level + 1 < geometry.levels; level++) {
            struct fake_entry entry = fake_read(geometry.format, raw_entry(frame, index_of_page(level, page)), false);

            if (entry.kind != FAKE_TABLE)
                break;
            frame = frame_of(entry.paddr);
            machine.mmu.table[frame].level = (uint8_t)(level + 1);
            machine.mmu.table[frame].first = (uint8_t)(page - page % geometry.pages_of[level]);
        }
    }
}

/* A larger page stands where the MMU may still know a table. */
static void check_tables(unsigned t)
{
    if (geometry.format->operations != fake_8_strict.operations || geometry.format->bbm_level >= 2)
        return;
    for (size_t frame = 0; frame < MAX_FRAMES; frame++) {
        struct page now;

        if (machine.mmu.table[frame].level == 0)
            continue;
        now = machine_translate(t, machine.mmu.table[frame].first);
        REFUTE(now.mapped && (now.flags & RIGHTS) && now.level < machine.mmu.table[frame].level,
               "page %u is part of a larger one, and its old table is still known",
               (unsigned)machine.mmu.table[frame].first);
    }
}

void mmu_load(unsigned t)
{
    check_tables(t);
    for (unsigned page = 0; page < geometry.pages; page++)
        load_page(t, page);
    load_tables(t);
}

static bool same_entry(unsigned level, unsigned a, unsigned b)
{
    return a / geometry.pages_of[level] == b / geometry.pages_of[level];
}

/* Drop what is remembered of one address, or of all. */
static void invalidate(const struct pt_flush *flush, bool all, unsigned address)
{
    for (unsigned page = 0; page < geometry.pages; page++) {
        for (unsigned i = 0; i < TLB_SLOTS; i++) {
            uint32_t entry = machine.mmu.tlb[page][i];
            struct page held = tlb_page(entry);
            unsigned reach = entry & TLB_ALONE ? geometry.pages_of[held.level] : pages_in(&held);

            if (entry == 0 || (!all && page / reach != address / reach))
                continue;
            if (!flush->everything && !flush->global && (held.flags & PT_GLOBAL))
                continue;
            for (unsigned j = i--; j < TLB_SLOTS; j++)
                machine.mmu.tlb[page][j] = j + 1 < TLB_SLOTS ? machine.mmu.tlb[page][j + 1] : 0;
        }
        for (unsigned level = 0; level < geometry.levels; level++)
            if (all || same_entry(level, page, address))
                machine.mmu.unmapped[page] &= (uint8_t)~(1u << level);
    }
    if (!flush->tables_changed && !flush->everything)
        return;
    for (size_t frame = 0; frame < MAX_FRAMES; frame++) {
        unsigned level = machine.mmu.table[frame].level;

        if (level != 0 && (all || same_entry(level - 1, machine.mmu.table[frame].first, address)))
            machine.mmu.table[frame].level = 0;
    }
}

/* Word by word what <pagetable/hw.h> does. Where new mappings owe a flush, changed tables take one of everything. */
static void flush_tlb(void *ctx, const struct pt_flush *flush)
{
    bool all = flush->everything || (flush->tables_changed && geometry.format->new_mapping_owes == PT_OWES_FLUSH);

    (void)ctx;
    counts.flushes++;
    REFUTE(!flush->everything && flush->range_count == 0, "flush_tlb: nothing to do");
    if (all)
        invalidate(flush, true, 0);
    for (unsigned i = 0; i < flush->range_count && !all; i++) {
        const struct pt_flush_range *range = &flush->ranges[i];

        REFUTE(range->size == 0 || range->page_size == 0 || range->vaddr % range->page_size != 0 ||
                   range->size % range->page_size != 0 || range->vaddr + (range->size - 1) < range->vaddr,
               "flush_tlb: 0x%" PRIx64 ", 0x%" PRIx64 " bytes of pages of 0x%" PRIx64, range->vaddr, range->size,
               range->page_size);
        for (uint64_t offset = 0; offset < range->size; offset += range->page_size)
            invalidate(flush, false, page_of(range->vaddr + offset));
    }
}

void mmu_check(unsigned t)
{
    for (unsigned page = 0; page < geometry.pages; page++) {
        struct page now = machine_translate(t, page);
        bool valid = is_valid(&now);

        for (unsigned i = 0; i < TLB_SLOTS && machine.mmu.tlb[page][i] != 0; i++) {
            struct page held = tlb_page(machine.mmu.tlb[page][i]);

            REFUTE(!valid || tlb_entry(&now) != (machine.mmu.tlb[page][i] & ~TLB_ALONE),
                   "page %u: after the flush a TLB still holds frame %u, %u pages, flags 0x%x; it is %s frame %u, %u "
                   "pages, flags 0x%x",
                   page, held.frame, pages_in(&held), (unsigned)held.flags, valid ? "now" : "not mapped:", now.frame,
                   pages_in(&now), (unsigned)now.flags);
        }
        REFUTE(valid && geometry.format->new_mapping_owes == PT_OWES_FLUSH && machine.mmu.unmapped[page],
               "page %u: after the flush a TLB still holds that nothing is there", page);
    }
}

void machine_touch(unsigned t, unsigned page, bool write)
{
    size_t frame = frame_of(tables[t].root);

    for (unsigned level = 0;; level++) {
        unsigned index = index_of_page(level, page);
        uint64_t raw = raw_entry(frame, index);
        struct fake_entry entry = fake_read(geometry.format, raw, is_last(level));

        if (entry.kind == FAKE_LEAF && (entry.flags & (write ? PT_WRITE : RIGHTS)))
            set_raw_entry(frame, index, fake_touch(geometry.format, raw, write));
        if (entry.kind != FAKE_TABLE)
            return;
        frame = frame_of(entry.paddr);
    }
}

/* ---- Watching --------------------------------------------------------------------------------------- */

void pt_store_hook(void);

void pt_store_hook(void)
{
    if (watch.on)
        mmu_load(watch.t);
}

void machine_watch(unsigned t, const struct page *before, const struct page *after)
{
    watch.on = true;
    watch.t = t;
    watch.before = before;
    watch.after = after;
}

void machine_watch_no_more(void)
{
    watch.on = false;
}

const struct pt_handler machine_handler = {
    .alloc_frames = alloc_frames,
    .dealloc_frames = dealloc_frames,
    .phys_to_virt = phys_to_virt,
    .flush_tlb = flush_tlb,
};
