/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of calls, up to a length, on tables so small that all of them can be tried: breadth first over
 * the states that a table can be in, each state reached once, each call tried in each. A state is what stands in
 * the tables, wherever these lie, and what the table remembers of sharing.
 *
 * Each step is checked for: the answer; every translation, before, after, and at every store in between; what an
 * MMU that forgets nothing by itself still holds after the flush; frames, and the same call without them; the
 * tables that must be gone, and those that must not; pt_count_tables; and each new state by pt_query, pt_walk and
 * pt_destroy.
 *
 * PT_EXHAUSTIVE_DEPTH sets the length for all variants, PT_EXHAUSTIVE_STATES the number of states to go on from, the
 * nearest first, and PT_EXHAUSTIVE_SAMPLES that of those taken here and there from the rest.
 */
#include "random.h"
#include "tiny_model.h"

#if defined(__SANITIZE_ADDRESS__)
#define IS_SLOW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SLOW 1
#endif
#endif
#ifndef IS_SLOW
#define IS_SLOW 0
#endif

#define MAX_OPERATIONS 8192

#define RW (PT_READ | PT_WRITE)
#define RWG (PT_READ | PT_WRITE | PT_GLOBAL)

/* What is tried. */
struct variant {
    const struct pt_format *base;
    unsigned index_bits, va_bits, levels;
    enum pt_address_space address_space;
    uint64_t no_pages_of;                /* sizes that the format does not offer */
    uint8_t group_bits[PT_GROUP_LEVELS]; /* as the format's */
    bool tracks_access;
    unsigned bbm_level;
    unsigned tables;
    unsigned deltas[3], delta_count;
    pt_flags flags[3];
    unsigned flags_count;
    unsigned states;      /* go on from so many, the nearest first; 0: from all there are */
    unsigned samples;     /* and from so many of those that are left */
    unsigned pair_states; /* from so many states also try every two calls under one flush */
};

/* ---- The states found ------------------------------------------------------------------------------- */

struct found {
    uint32_t parent;
    uint16_t operation;
    uint16_t depth;
};

static struct {
    unsigned char *keys; /* each key_size bytes */
    struct found *found;
    uint32_t *slots; /* index + 1; 0: free */
    size_t key_size, count, room, slot_count;
} states;

static struct operation operations[MAX_OPERATIONS];
static size_t operation_count;

/* Where the test is, for the report. */
static size_t current_state;
static const struct operation *current_operations[2];
static size_t fail_at;

static size_t pack(const struct shape *shapes, unsigned char *key)
{
    size_t size = 0;

    for (unsigned t = 0; t < geometry.tables; t++) {
        const uint16_t marks[] = {shapes[t].borrowed, shapes[t].lent, shapes[t].upper};

        memcpy(key + size, shapes[t].cell, geometry.cells * sizeof(shapes[t].cell[0]));
        size += geometry.cells * sizeof(shapes[t].cell[0]);
        memcpy(key + size, marks, sizeof(marks));
        size += sizeof(marks);
    }
    return size;
}

static void unpack(const unsigned char *key, struct shape *shapes)
{
    memset(shapes, 0, MAX_TABLES * sizeof(*shapes));
    for (unsigned t = 0; t < geometry.tables; t++) {
        uint16_t marks[3];

        memcpy(shapes[t].cell, key, geometry.cells * sizeof(shapes[t].cell[0]));
        key += geometry.cells * sizeof(shapes[t].cell[0]);
        memcpy(marks, key, sizeof(marks));
        key += sizeof(marks);
        shapes[t].borrowed = marks[0];
        shapes[t].lent = marks[1];
        shapes[t].upper = marks[2];
    }
}

static size_t hash(const unsigned char *key, size_t size)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325);

    for (size_t i = 0; i < size; i++)
        value = (value ^ key[i]) * UINT64_C(0x100000001b3);
    return (size_t)(value ^ value >> 29);
}

static void states_rehash(size_t slot_count)
{
    free(states.slots);
    states.slot_count = slot_count;
    states.slots = calloc(slot_count, sizeof(*states.slots));
    assert_non_null(states.slots);
    for (size_t i = 0; i < states.count; i++) {
        size_t slot = hash(states.keys + i * states.key_size, states.key_size) & (slot_count - 1);

        while (states.slots[slot] != 0)
            slot = (slot + 1) & (slot_count - 1);
        states.slots[slot] = (uint32_t)i + 1;
    }
}

/* Returns whether the state is new. */
static bool states_add(const struct shape *shapes, uint32_t parent, uint16_t operation)
{
    unsigned char key[MAX_TABLES * (MAX_CELLS * 4 + 3 * 2)];
    size_t size = pack(shapes, key), slot;

    assert_int_equal(size, states.key_size);
    if (2 * states.count >= states.slot_count)
        states_rehash(2 * states.slot_count);
    slot = hash(key, size) & (states.slot_count - 1);
    for (; states.slots[slot] != 0; slot = (slot + 1) & (states.slot_count - 1))
        if (memcmp(states.keys + (states.slots[slot] - 1) * size, key, size) == 0)
            return false;

    if (states.count == states.room) {
        states.room *= 2;
        states.keys = realloc(states.keys, states.room * size);
        states.found = realloc(states.found, states.room * sizeof(*states.found));
        assert_non_null(states.keys);
        assert_non_null(states.found);
    }
    memcpy(states.keys + states.count * size, key, size);
    states.found[states.count] =
        (struct found){parent, operation, (uint16_t)(states.count ? states.found[parent].depth + 1 : 0)};
    states.slots[slot] = (uint32_t)++states.count;
    return true;
}

static void states_begin(void)
{
    struct shape shapes[MAX_TABLES] = {{.borrowed = 0}};
    unsigned char key[MAX_TABLES * (MAX_CELLS * 4 + 3 * 2)];

    states.count = 0;
    states.room = 1024;
    states.key_size = pack(shapes, key);
    states.keys = malloc(states.room * states.key_size);
    states.found = malloc(states.room * sizeof(*states.found));
    assert_non_null(states.keys);
    assert_non_null(states.found);
    states_rehash(4096);
    assert_true(states_add(shapes, 0, 0));
}

static void states_end(void)
{
    free(states.keys);
    free(states.found);
    free(states.slots);
    memset(&states, 0, sizeof(states));
}

/* ---- The report of a failure ------------------------------------------------------------------------ */

static void print_operation(const struct operation *operation)
{
    static const char *const names[] = {
        "pt_map",         "pt_unmap",        "pt_protect",         "pt_remap",
        "pt_map_region",  "map_region_with", "pt_unmap_region",    "protect_region",
        "pt_split",       "pt_collapse",     "pt_prune",           "pt_copy_from",
        "clear_accessed", "clear_dirty",     "the hardware reads", "the hardware writes",
    };

    print_error("    %s(table %u, page %u%s, %u pages, of %u, frames +%u, flags 0x%x, options %u)\n",
                names[operation->kind], operation->t, operation->first, operation->upper ? " of the upper half" : "",
                operation->count, geometry.sorts[operation->sort].pages, operation->delta, (unsigned)operation->flags,
                operation->options);
}

static void print_path(size_t state)
{
    if (state == 0)
        return;
    print_path(states.found[state].parent); /* no deeper than the search */
    print_operation(&operations[states.found[state].operation]);
}

static void report(void)
{
    print_error("%s, %u levels, the root of %u entries, tables of %u:\n", geometry.format->name, geometry.levels,
                geometry.root_entries, geometry.entries);
    print_path(current_state);
    for (unsigned i = 0; i < 2 && current_operations[i]; i++)
        print_operation(current_operations[i]);
    if (fail_at)
        print_error("    where allocation %zu fails\n", fail_at);
}

/* ---- What is tried in each state -------------------------------------------------------------------- */

static void add(struct operation operation)
{
    assert_true(operation_count < MAX_OPERATIONS);
    operations[operation_count++] = operation;
}

/* In a large space not every region is tried: those that begin and end at, or beside, the ends of tables. */
static bool is_worth_it(unsigned first, unsigned count)
{
    static const unsigned counts_tried[] = {1, 2, 3, 4, 5, 8, 13, 15, 16, 17, 20, 32};

    if (geometry.pages <= 16)
        return true;
    for (size_t i = 0; i < TESTS_COUNT(counts_tried); i++)
        if (count == counts_tried[i])
            return first % 4 != 2 && (first < 8 || first % 8 == 7 || first % 16 < 2);
    return false;
}

static void add_regions(const struct variant *variant, struct operation operation)
{
    static const unsigned change_options[] = {0, PT_SKIP_HOLES, PT_NO_SPLIT, PT_SKIP_HOLES | PT_NO_SPLIT};
    bool maps = operation.kind == MAP_REGION || operation.kind == MAP_REGION_WITH;
    bool changes = operation.kind == UNMAP_REGION || operation.kind == PROTECT_REGION;
    bool flags = maps || operation.kind == PROTECT_REGION;

    for (operation.first = 0; operation.first < geometry.pages; operation.first++)
        for (operation.count = 1; operation.first + operation.count <= geometry.pages; operation.count++)
            for (unsigned o = is_worth_it(operation.first, operation.count) ? 0 : 4; o < (maps      ? 2
                                                                                          : changes ? 4
                                                                                                    : 1);
                 o++)
                for (unsigned d = 0; d < (maps ? variant->delta_count : 1); d++)
                    for (unsigned f = 0; f < (flags ? variant->flags_count : 1); f++) {
                        operation.options = maps ? o * PT_ALLOW_HUGE : changes ? change_options[o] : 0;
                        operation.delta = maps ? variant->deltas[d] : 0;
                        operation.flags = flags ? variant->flags[f] : 0;
                        add(operation);
                    }
}

static void add_pages(const struct variant *variant, struct operation operation)
{
    bool deltas = operation.kind == MAP || operation.kind == REMAP;
    bool flags = deltas || operation.kind == PROTECT;
    bool sorts = operation.kind == MAP || operation.kind == SPLIT;

    operation.count = 1;
    for (operation.first = 0; operation.first < geometry.pages; operation.first++)
        for (operation.sort = 0; operation.sort < (sorts ? geometry.sort_count : 1); operation.sort++)
            for (unsigned d = 0; d < (deltas ? variant->delta_count : 1); d++)
                for (unsigned f = 0; f < (flags ? variant->flags_count : 1); f++) {
                    operation.delta = deltas ? variant->deltas[d] : 0;
                    operation.flags = flags ? variant->flags[f] : 0;
                    if (operation.kind == MAP)
                        operation.count = geometry.sorts[operation.sort].pages;
                    if (operation.kind == MAP && operation.first + operation.count > geometry.pages)
                        continue;
                    add(operation);
                }
}

static void make_operations(const struct variant *variant)
{
    operation_count = 0;
    for (unsigned t = 0; t < geometry.tables; t++) {
        add_pages(variant, (struct operation){.kind = MAP, .t = t});
        add_pages(variant, (struct operation){.kind = UNMAP, .t = t});
        add_pages(variant, (struct operation){.kind = PROTECT, .t = t});
        add_pages(variant, (struct operation){.kind = REMAP, .t = t});
        add_pages(variant, (struct operation){.kind = SPLIT, .t = t});
        add_regions(variant, (struct operation){.kind = MAP_REGION, .t = t});
        if (geometry.pages <= 16)
            add_regions(variant, (struct operation){.kind = MAP_REGION_WITH, .t = t});
        add_regions(variant, (struct operation){.kind = UNMAP_REGION, .t = t});
        add_regions(variant, (struct operation){.kind = PROTECT_REGION, .t = t});
        add_regions(variant, (struct operation){.kind = COLLAPSE, .t = t});
        add_regions(variant, (struct operation){.kind = PRUNE, .t = t});
        if (variant->address_space == PT_EITHER_HALF) {
            add_pages(variant, (struct operation){.kind = MAP, .t = t, .upper = true});
            add_regions(variant, (struct operation){.kind = MAP_REGION, .t = t, .upper = true});
            add_pages(variant, (struct operation){.kind = UNMAP, .t = t, .upper = true});
        }
        if (geometry.tables > 1)
            add_regions(variant, (struct operation){.kind = COPY_FROM, .t = t});
        if (variant->tracks_access) {
            add_pages(variant, (struct operation){.kind = HARDWARE_READS, .t = t});
            add_pages(variant, (struct operation){.kind = HARDWARE_WRITES, .t = t});
        }
        add_regions(variant, (struct operation){.kind = CLEAR_ACCESSED, .t = t});
        add_regions(variant, (struct operation){.kind = CLEAR_DIRTY, .t = t});
    }
}

/* ---- Doing it --------------------------------------------------------------------------------------- */

static pt_paddr get_scattered(void *arg, pt_vaddr vaddr)
{
    const struct operation *operation = arg;
    unsigned page = (unsigned)(vaddr / PT_FRAME_SIZE) & (geometry.pages - 1);

    return (pt_paddr)scattered_frame(operation->delta, page) * PT_FRAME_SIZE;
}

/* The page that the call reported, as far as it does. */
struct told {
    struct pt_mapping old;
    uint64_t page_size;
};

static enum pt_status call(const struct operation *operation, struct pt_flush *flush, struct told *told)
{
    struct page_table *pt = &tables[operation->t];
    struct operation copy = *operation;
    pt_vaddr vaddr = vaddr_of(operation->first, operation->upper);
    uint64_t size = (uint64_t)operation->count * PT_FRAME_SIZE;
    uint64_t page_size = (uint64_t)geometry.sorts[operation->sort].pages * PT_FRAME_SIZE;
    pt_paddr paddr = (pt_paddr)(operation->first + operation->delta) * PT_FRAME_SIZE;
    /* Any address of a page will do. */
    pt_vaddr inside = vaddr + (operation->first % 2 ? PT_FRAME_SIZE - 1 : 0);

    switch (operation->kind) {
    case MAP:
        return pt_map(pt, vaddr, paddr, page_size, operation->flags, flush);
    case UNMAP:
        return pt_unmap(pt, inside, &told->old, flush);
    case PROTECT:
        return pt_protect(pt, inside, operation->flags, &told->page_size, flush);
    case REMAP: {
        /* The frames are told by the first page of the one that is there. */
        struct page page = machine_translate(operation->t, operation->first);

        paddr -= (pt_paddr)(operation->first % pages_in(&page)) * PT_FRAME_SIZE;
        return pt_remap(pt, inside, paddr, operation->flags, &told->page_size, flush);
    }
    case MAP_REGION:
        return pt_map_region(pt, vaddr, paddr, size, operation->flags, operation->options, flush);
    case MAP_REGION_WITH:
        return pt_map_region_with(pt, vaddr, get_scattered, &copy, size, operation->flags, operation->options, flush);
    case UNMAP_REGION:
        return pt_unmap_region(pt, vaddr, size, operation->options, flush);
    case PROTECT_REGION:
        return pt_protect_region(pt, vaddr, size, operation->flags, operation->options, flush);
    case SPLIT:
        return pt_split(pt, inside, page_size, flush);
    case COLLAPSE:
        return pt_collapse(pt, vaddr, size, flush);
    case PRUNE:
        return pt_prune(pt, vaddr, size, flush);
    case COPY_FROM:
        return pt_copy_from(pt, &tables[1 - operation->t], vaddr, size, flush);
    case CLEAR_ACCESSED:
        return pt_clear_accessed(pt, vaddr, size, NULL, NULL, flush);
    case CLEAR_DIRTY:
        return pt_clear_dirty(pt, vaddr, size, NULL, NULL, flush);
    case HARDWARE_READS:
    case HARDWARE_WRITES:
        machine_touch(operation->t, operation->first, operation->kind == HARDWARE_WRITES);
        return PT_OK;
    }
    return PT_OK;
}

/* ---- Checking --------------------------------------------------------------------------------------- */

static bool same_page(const struct page *a, const struct page *b)
{
    if (!a->mapped || !b->mapped)
        return a->mapped == b->mapped;
    return a->level == b->level && a->group == b->group && a->frame == b->frame && a->flags == b->flags;
}

static void check_pages(const struct shape *shapes, const struct world *expected)
{
    for (unsigned t = 0; t < geometry.tables; t++) {
        struct page now[MAX_PAGES];

        pages_of_shape(shapes, t, now);
        for (unsigned page = 0; page < geometry.pages; page++) {
            const struct page *wanted = &expected->pages[t][page];

            REFUTE(!same_page(&now[page], wanted),
                   "table %u, page %u: %s frame %u, %u pages, flags 0x%x; expected %s frame %u, %u pages, flags 0x%x",
                   t, page, now[page].mapped ? "mapped," : "not mapped,", now[page].frame, pages_in(&now[page]),
                   (unsigned)now[page].flags, wanted->mapped ? "mapped," : "not mapped,", wanted->frame,
                   pages_in(wanted), (unsigned)wanted->flags);
        }
        REFUTE(shapes[t].borrowed != expected->borrowed[t], "table %u: 0x%x borrowed, expected 0x%x", t,
               shapes[t].borrowed, expected->borrowed[t]);
        REFUTE(shapes[t].lent != expected->lent[t], "table %u: 0x%x lent, expected 0x%x", t, shapes[t].lent,
               expected->lent[t]);
        REFUTE(shapes[t].upper != expected->upper[t], "table %u: 0x%x in the upper half, expected 0x%x", t,
               shapes[t].upper, expected->upper[t]);
    }
}

static uint32_t cell_at(const struct shape *shape, unsigned level, unsigned page)
{
    return shape->cell[geometry.first_cell[level] + page / geometry.pages_of[level]];
}

/* All entries of the table that the entry of `page` at `level` leads to are unused. */
static bool is_unused(const struct shape *shape, unsigned level, unsigned page)
{
    for (unsigned i = 0; i < geometry.entries; i++)
        if (cell_at(shape, level + 1, page + i * geometry.pages_of[level + 1]) != 0)
            return false;
    return true;
}

/* Which tables may go, and which must. */
static void check_tables(const struct operation *operation, const struct shape *before, const struct shape *after)
{
    unsigned end = operation->first + operation->count;
    bool prunes = operation->kind == PRUNE, unmaps = operation->kind == UNMAP_REGION;

    for (unsigned level = 0; level + 1 < geometry.levels; level++) {
        for (unsigned page = 0; page < geometry.pages; page += geometry.pages_of[level]) {
            bool touched = page < end && page + geometry.pages_of[level] > operation->first;
            bool was = cell_at(before, level, page) == CELL_TABLE, is = cell_at(after, level, page) == CELL_TABLE;
            bool stays = level == 0 && ((before->lent | before->borrowed) & 1u << page / geometry.slot_pages);

            REFUTE(was && !is && !prunes && !unmaps && operation->kind != COLLAPSE && operation->kind != COPY_FROM &&
                       !(cell_at(after, level, page) & CELL_LEAF) &&
                       !(level > 0 && (cell_at(after, level - 1, page) & CELL_LEAF)),
                   "page %u: its table of level %u is gone", page, level + 1);
            REFUTE(was && !is && (prunes || unmaps) && (!touched || stays), "page %u: its table of level %u is gone",
                   page, level + 1);
            REFUTE(is && touched && !stays && prunes && is_unused(after, level, page),
                   "page %u: its table of level %u is empty, and was not pruned", page, level + 1);
            REFUTE(is && touched && !stays && unmaps && is_unused(after, level, page) &&
                       !is_unused(before, level, page),
                   "page %u: its table of level %u became empty, and is still there", page, level + 1);
        }
    }
}

static bool owes_nothing(const struct pt_flush *flush)
{
    return flush->range_count == 0 && !flush->everything && !flush->tables_changed && !flush->barrier &&
           flush->retired == PT_NO_FRAME;
}

/* Memory is as it was, but for the contents of frames that are out in neither. */
static bool same_memory(const struct machine *a, const struct machine *b)
{
    if (memcmp(a->taken, b->taken, sizeof(a->taken)) != 0)
        return false;
    for (size_t frame = 0; frame < MAX_FRAMES; frame++)
        if (a->taken[frame] && memcmp(a->words[frame], b->words[frame], sizeof(a->words[frame])) != 0)
            return false;
    return true;
}

static void check_refusal(const struct machine *image, const struct page_table *before, const struct pt_flush *flush)
{
    REFUTE(!same_memory(&machine, image), "a call that failed changed a table, or kept a frame");
    REFUTE(memcmp(tables, before, sizeof(tables)) != 0, "a call that failed changed a struct page_table");
    REFUTE(!owes_nothing(flush), "a call that failed owes something");
    REFUTE(counts.flushes != 0, "a call that failed flushed");
}

static void check_told(const struct operation *operation, const struct told *told, const struct page *old)
{
    uint64_t size = (uint64_t)pages_in(old) * PT_FRAME_SIZE;

    if (operation->kind == UNMAP)
        REFUTE(told->old.paddr != (pt_paddr)old->frame * PT_FRAME_SIZE || told->old.page_size != size ||
                   told->old.flags != old->flags,
               "pt_unmap told of 0x%" PRIx64 ", 0x%" PRIx64 " bytes, flags 0x%x", told->old.paddr, told->old.page_size,
               (unsigned)told->old.flags);
    if (operation->kind == PROTECT || operation->kind == REMAP)
        REFUTE(told->page_size != size, "the call told of a page of 0x%" PRIx64, told->page_size);
}

/* pt_count_tables before pt_map_region: the same answer, and how many frames it takes. */
static enum pt_status count_first(const struct operation *operation, size_t *count)
{
    *count = 0;
    if (operation->kind != MAP_REGION)
        return PT_OK;
    return pt_count_tables(&tables[operation->t], vaddr_of(operation->first, operation->upper),
                           (pt_paddr)(operation->first + operation->delta) * PT_FRAME_SIZE,
                           (uint64_t)operation->count * PT_FRAME_SIZE, operation->flags, operation->options, count);
}

static size_t read_all(struct shape *shapes)
{
    size_t all = 0;

    memset(shapes, 0, MAX_TABLES * sizeof(*shapes));
    for (unsigned t = 0; t < geometry.tables; t++) {
        size_t frames;

        machine_read(t, &shapes[t], &frames);
        all += frames;
    }
    return all;
}

static bool newly_usable(const struct world *before, const struct world *after, unsigned t)
{
    for (unsigned page = 0; page < geometry.pages; page++) {
        const struct page *old = &before->pages[t][page], *new = &after->pages[t][page];

        if (new->mapped && (new->flags &RIGHTS) && !(old->mapped && (old->flags & RIGHTS)))
            return true;
    }
    return false;
}

/* What a state is built from, and what it means. */
struct start {
    struct shape shapes[MAX_TABLES];
    struct world world;
    struct machine image;
    struct page_table tables[MAX_TABLES];
    struct mmu loaded[MAX_TABLES]; /* of an MMU that has run on the table for long */
};

static void go_back(const struct start *start)
{
    memcpy(&machine, &start->image, sizeof(machine));
    memcpy(tables, start->tables, sizeof(tables));
}

/* What go_back must come back to is what there is now. */
static void remember(struct start *start)
{
    memcpy(&start->image, &machine, sizeof(machine));
    memcpy(start->tables, tables, sizeof(tables));
}

/* The same call where the n-th frame is refused, for each n. */
static void without_memory(const struct start *start, const struct operation *operation, size_t allocations)
{
    for (fail_at = 1; fail_at <= allocations; fail_at++) {
        struct told told;
        struct pt_flush flush;
        enum pt_status status;

        go_back(start);
        pt_flush_init(&flush, &tables[operation->t]);
        counts = (struct counts){.fail_at = fail_at};
        machine_watch(operation->t, start->world.pages[operation->t], start->world.pages[operation->t]);
        status = call(operation, &flush, &told);
        machine_watch_no_more();
        REFUTE(status != PT_NO_MEMORY, "out of memory: %s", pt_status_name(status));
        REFUTE(counts.allocations != fail_at || counts.frees != fail_at - 1,
               "out of memory: %zu frames taken, %zu back", counts.allocations - 1, counts.frees);
        check_refusal(&start->image, start->tables, &flush);
    }
    fail_at = 0;
    counts.fail_at = 0;
}

/*
 * One call on the machine as it is, which means `world`; the world and the shapes become what it makes of them.
 * false if it was refused, as it should be. *allocations: frames it took.
 */
static bool step(const struct operation *operation, struct world *world, struct shape *shapes, struct pt_flush *flush,
                 const struct start *start, size_t *allocations)
{
    struct world before = *world;
    struct shape shapes_before[MAX_TABLES];
    struct page old = {.mapped = false};
    enum pt_status expected = world_apply(world, operation, &old), status, counted;
    struct told told = {.page_size = 0};
    size_t count, frames, taken = machine.taken_count;

    memcpy(shapes_before, shapes, sizeof(shapes_before));
    counts = (struct counts){.allocations = 0};
    counted = count_first(operation, &count);
    REFUTE(operation->kind == MAP_REGION && counted != expected, "pt_count_tables: %s, expected %s",
           pt_status_name(counted), pt_status_name(expected));

    machine_watch(operation->t, before.pages[operation->t], world->pages[operation->t]);
    status = call(operation, flush, &told);
    machine_watch_no_more();
    REFUTE(status != expected, "%s, expected %s", pt_status_name(status), pt_status_name(expected));
    *allocations = counts.allocations;
    if (status != PT_OK) {
        REFUTE(memcmp(&before, world, sizeof(before)) != 0, "the model changed in a call that fails");
        if (start)
            check_refusal(&start->image, start->tables, flush);
        return false;
    }

    frames = read_all(shapes);
    check_pages(shapes, world);
    check_tables(operation, &shapes_before[operation->t], &shapes[operation->t]);
    check_told(operation, &told, &old);
    REFUTE(operation->kind == MAP_REGION && count != counts.allocations,
           "pt_count_tables said %zu, pt_map_region took %zu", count, counts.allocations);
    REFUTE(counts.frees != 0, "a frame was freed before the flush, or taken in vain");
    REFUTE(machine.taken_count != taken + counts.allocations, "%zu frames are out, were %zu, and %zu were taken",
           machine.taken_count, taken, counts.allocations);
    REFUTE(frames > machine.taken_count, "more tables than frames");
    REFUTE(geometry.format->new_mapping_owes == PT_OWES_BARRIER && !flush->barrier &&
               newly_usable(&before, world, operation->t),
           "a new mapping owes a barrier");
    REFUTE(start && memcmp(shapes_before, shapes, sizeof(shapes_before)) == 0 && operation->kind != REMAP &&
               !owes_nothing(flush),
           "nothing changed, and something is owed");
    mmu_load(operation->t);
    return true;
}

static void finish(unsigned t, struct pt_flush *flush, const struct shape *shapes)
{
    struct shape now[MAX_TABLES];
    size_t frames;

    pt_flush(flush);
    mmu_check(t);
    frames = read_all(now);
    REFUTE(memcmp(now, shapes, sizeof(now)) != 0, "pt_flush changed a table");
    REFUTE(frames != machine.taken_count, "%zu frames are out, and the tables take %zu", machine.taken_count, frames);
    REFUTE(!owes_nothing(flush), "after pt_flush something is still owed");
}

/* ---- Looking at a new state -------------------------------------------------------------------------- */

struct looker {
    unsigned t;
    struct page pages[MAX_PAGES];
    unsigned page; /* the next one that has not been visited */
    size_t tables, tables_left;
};

static bool look_at(void *arg, const struct pt_visit *visit)
{
    struct looker *looker = arg;
    unsigned page = (unsigned)(visit->vaddr / PT_FRAME_SIZE) & (geometry.pages - 1);
    bool upper = tables[looker->t].upper.bits[0] >> (page / geometry.slot_pages) & 1;

    REFUTE(visit->vaddr != vaddr_of(page, upper), "pt_walk: address 0x%" PRIx64 " for page %u", visit->vaddr, page);
    if (!visit->is_leaf) {
        looker->tables++;
        return true;
    }
    for (; looker->page < page; looker->page++)
        REFUTE(looker->pages[looker->page].mapped, "pt_walk: page %u was left out", looker->page);
    REFUTE(page != looker->page || !looker->pages[page].mapped || visit->level != looker->pages[page].level ||
               visit->mapping.paddr != (pt_paddr)looker->pages[page].frame * PT_FRAME_SIZE ||
               visit->mapping.flags != looker->pages[page].flags ||
               visit->mapping.page_size != (uint64_t)pages_in(&looker->pages[page]) * PT_FRAME_SIZE,
           "pt_walk: page %u at 0x%" PRIx64 ", level %u, flags 0x%x", page, visit->mapping.paddr, visit->level,
           (unsigned)visit->mapping.flags);
    looker->page += pages_in(&looker->pages[page]);
    return true;
}

static bool leave(void *arg, const struct pt_visit *visit)
{
    struct looker *looker = arg;

    looker->tables_left += !visit->is_leaf;
    return true;
}

static void look(unsigned t, const struct world *world)
{
    struct looker looker = {.t = t};

    memcpy(looker.pages, world->pages[t], sizeof(looker.pages));
    for (unsigned page = 0; page < geometry.pages; page++) {
        const struct page *wanted = &world->pages[t][page];

        for (unsigned upper = 0; upper < (geometry.format->address_space == PT_EITHER_HALF ? 2 : 1); upper++) {
            struct pt_mapping found = {.paddr = 0};
            enum pt_status status = pt_query(&tables[t], vaddr_of(page, upper) + 0x234, &found);

            REFUTE(status != (wanted->mapped ? PT_OK : PT_NOT_MAPPED), "pt_query of page %u: %s", page,
                   pt_status_name(status));
            REFUTE(status == PT_OK &&
                       (found.paddr != (pt_paddr)wanted->frame * PT_FRAME_SIZE + 0x234 ||
                        found.page_size != (uint64_t)pages_in(wanted) * PT_FRAME_SIZE || found.flags != wanted->flags),
                   "pt_query of page %u: 0x%" PRIx64 ", 0x%" PRIx64 " bytes, flags 0x%x", page, found.paddr,
                   found.page_size, (unsigned)found.flags);
        }
    }
    pt_walk(&tables[t], SIZE_MAX, look_at, leave, &looker);
    for (; looker.page < geometry.pages; looker.page++)
        REFUTE(looker.pages[looker.page].mapped, "pt_walk: page %u was left out", looker.page);
    REFUTE(looker.tables != looker.tables_left, "pt_walk: %zu tables before, %zu after what is below them",
           looker.tables, looker.tables_left);
}

static void look_and_destroy(const struct world *world)
{
    struct page_table kept[MAX_TABLES];
    struct machine *image = malloc(sizeof(*image));

    assert_non_null(image);
    memcpy(kept, tables, sizeof(kept));
    memcpy(image, &machine, sizeof(*image));
    memset(&machine.mmu, 0, sizeof(machine.mmu)); /* no CPU runs on it any more */
    for (unsigned t = 0; t < geometry.tables; t++)
        look(t, world);
    for (unsigned t = geometry.tables; t-- > 0;)
        pt_destroy(&tables[t]);
    REFUTE(machine.taken_count != 0, "%zu frames are still out after pt_destroy", machine.taken_count);
    memcpy(&machine, image, sizeof(machine));
    memcpy(tables, kept, sizeof(tables));
    free(image);
}

/* ---- The search ------------------------------------------------------------------------------------- */

struct tally {
    size_t expanded, transitions, refused, without_memory, pairs, answers[PT_IN_USE + 1];
};

/* Of all variants. */
static struct {
    size_t states, expanded, transitions, without_memory, pairs;
} in_all;

static void start_from(struct start *start, size_t index)
{
    unpack(states.keys + index * states.key_size, start->shapes);
    world_of(start->shapes, &start->world);
    machine_build(start->shapes);
    remember(start);
    for (unsigned t = 0; t < geometry.tables; t++) {
        go_back(start);
        mmu_load(t);
        start->loaded[t] = machine.mmu;
    }
}

/* Every call after this one, under the same flush. */
static void try_pairs(const struct start *start, const struct operation *first, struct tally *tally)
{
    struct start *middle = malloc(sizeof(*middle));
    struct pt_flush flush, owed;
    size_t allocations;

    assert_non_null(middle);
    go_back(start);
    middle->world = start->world;
    memcpy(middle->shapes, start->shapes, sizeof(middle->shapes));
    machine.mmu = start->loaded[first->t];
    pt_flush_init(&owed, &tables[first->t]);
    if (!step(first, &middle->world, middle->shapes, &owed, NULL, &allocations)) {
        free(middle);
        return;
    }
    remember(middle);

    for (size_t i = 0; i < operation_count; i++) {
        struct world world = middle->world;
        struct shape shapes[MAX_TABLES];

        /* A root that is loaded for one half only, or a flush for each half. */
        if (operations[i].t != first->t || operations[i].upper != first->upper)
            continue;
        current_operations[1] = &operations[i];
        memcpy(shapes, middle->shapes, sizeof(shapes));
        flush = owed;
        if (step(&operations[i], &world, shapes, &flush, NULL, &allocations)) {
            finish(first->t, &flush, shapes);
            go_back(middle);
        } else {
            REFUTE(!same_memory(&machine, &middle->image), "a call that failed changed a table, or kept a frame");
        }
        tally->pairs++;
    }
    current_operations[1] = NULL;
    free(middle);
}

static void expand(struct start *start, size_t index, const struct variant *variant, struct tally *tally)
{
    bool pairs = index < variant->pair_states;

    start_from(start, index);
    go_back(start);
    tally->expanded++;
    for (size_t i = 0; i < operation_count; i++) {
        const struct operation *operation = &operations[i];
        struct world world = start->world;
        struct shape shapes[MAX_TABLES];
        struct pt_flush flush;
        size_t allocations;

        current_operations[0] = operation;
        machine.mmu = start->loaded[operation->t];
        memcpy(shapes, start->shapes, sizeof(shapes));
        pt_flush_init(&flush, &tables[operation->t]);
        tally->transitions++;
        if (!step(operation, &world, shapes, &flush, start, &allocations)) {
            tally->refused++;
            continue;
        }
        finish(operation->t, &flush, shapes);
        if (states_add(shapes, (uint32_t)index, (uint16_t)i))
            look_and_destroy(&world);
        tally->without_memory += allocations;
        without_memory(start, operation, allocations);
        if (pairs)
            try_pairs(start, operation, tally);
        go_back(start);
    }
    current_operations[0] = NULL;
}

/* A share of what a variant would try at length: PT_EXHAUSTIVE_SHARE=1 does all of it. */
static size_t share_of(size_t count)
{
    size_t share = (size_t)number_from_environment("PT_EXHAUSTIVE_SHARE", IS_SLOW ? 24 : 3);

    return count == 0 ? 0 : (count + share - 1) / share;
}

static void try_all(const struct variant *variant)
{
    static struct start start;
    struct pt_format format = *variant->base;
    struct tally tally = {.expanded = 0};
    size_t limit = (size_t)number_from_environment("PT_EXHAUSTIVE_STATES", share_of(variant->states));
    size_t deepest = (size_t)number_from_environment("PT_EXHAUSTIVE_DEPTH", UINT16_MAX);
    size_t samples = (size_t)number_from_environment("PT_EXHAUSTIVE_SAMPLES", share_of(variant->samples));
    size_t deep, left;
    struct page_table fresh;
    bool complete;

    format.index_bits = (uint8_t)variant->index_bits;
    format.va_bits = (uint8_t)variant->va_bits;
    format.levels = (uint8_t)variant->levels;
    format.address_space = (uint8_t)variant->address_space;
    format.tracks_access = variant->tracks_access;
    format.bbm_level = (uint8_t)variant->bbm_level;
    format.page_sizes = 0;
    memcpy(format.group_bits, variant->group_bits, sizeof(format.group_bits));
    for (unsigned level = 0; level < variant->levels; level++)
        format.page_sizes |=
            PT_4K << level * variant->index_bits | PT_4K << (level * variant->index_bits + variant->group_bits[level]);
    format.page_sizes &= ~variant->no_pages_of;
    geometry_of(&format, variant->tables);

    /* The library's own check takes the format. */
    memset(&machine, 0, sizeof(machine));
    assert_ok(pt_create(&fresh, &format, &machine_handler, NULL));
    geometry.measures = fresh.measures;
    pt_destroy(&fresh);
    assert_int_equal(machine.taken_count, 0);

    machine_report = report;
    make_operations(variant);
    states_begin();
    for (current_state = 0; current_state < states.count; current_state++) {
        if ((limit != 0 && current_state == limit) || states.found[current_state].depth >= deepest)
            break;
        expand(&start, current_state, variant, &tally);
    }
    deep = tally.expanded == states.count ? states.count - 1 : tally.expanded;
    complete = tally.expanded == states.count;
    left = states.count - tally.expanded;
    for (size_t i = 0; i < samples && i < left; i++) {
        current_state = deep + (size_t)((uint64_t)left * i / samples);
        expand(&start, current_state, variant, &tally);
    }
    printf("# %s: %u pages, %zu calls in each state: %zu states found, %zu gone on from, %s%u calls deep, "
           "%zu transitions (%zu refused), %zu without memory, %zu pairs\n",
           format.name, geometry.pages, operation_count, states.count, tally.expanded,
           complete ? "all there are, " : "", (unsigned)states.found[deep].depth, tally.transitions, tally.refused,
           tally.without_memory, tally.pairs);
    in_all.states += states.count;
    in_all.expanded += tally.expanded;
    in_all.transitions += tally.transitions;
    in_all.without_memory += tally.without_memory;
    in_all.pairs += tally.pairs;
    machine_report = NULL;
    states_end();
}

/* ---- The variants ----------------------------------------------------------------------------------- */

static void three_levels_of_two_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 3,
        .tables = 1,
        .address_space = PT_ZERO_EXTENDED,
        .deltas = {0, 1},
        .delta_count = 2,
        .flags = {RW},
        .flags_count = 1,
        .states = 2500,
        .samples = 200,
        .pair_states = 2,
    });
}

static void three_levels_with_rights_that_come_and_go(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 3,
        .tables = 1,
        .address_space = PT_SIGN_EXTENDED,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RWG, PT_USER},
        .flags_count = 2,
        .states = 1000,
        .samples = 200,
        .pair_states = 2,
    });
}

static void entries_of_four_bytes_that_owe_a_flush_when_new(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_4,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 3,
        .tables = 1,
        .address_space = PT_SIGN_EXTENDED,
        .deltas = {0, 8},
        .delta_count = 2,
        .flags = {RW, 0},
        .flags_count = 2,
        .states = 1000,
        .samples = 200,
        .pair_states = 1,
    });
}

static void two_levels_all_there_is(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 1,
        .va_bits = 14,
        .levels = 2,
        .tables = 1,
        .address_space = PT_ZERO_EXTENDED,
        .deltas = {0, 1, 4},
        .delta_count = 3,
        .flags = {RW, PT_GLOBAL},
        .flags_count = 2,
        .states = 5000,
        .pair_states = 16,
    });
}

static void break_before_make_wherever_it_is_due(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 3,
        .tables = 1,
        .address_space = PT_EITHER_HALF,
        .deltas = {0, 4},
        .delta_count = 2,
        .flags = {RWG, PT_READ | PT_UNCACHED},
        .flags_count = 2,
        .states = 500,
        .samples = 200,
        .pair_states = 2,
    });
}

static void break_before_make_but_for_sizes(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 1,
        .va_bits = 14,
        .levels = 2,
        .tables = 1,
        .bbm_level = 2,
        .address_space = PT_EITHER_HALF,
        .deltas = {0, 2},
        .delta_count = 2,
        .flags = {RW, 0},
        .flags_count = 2,
        .states = 4000,
        .pair_states = 16,
    });
}

static void what_the_hardware_records_is_kept(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 1,
        .va_bits = 14,
        .levels = 2,
        .tables = 1,
        .tracks_access = true,
        .address_space = PT_ZERO_EXTENDED,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW, PT_READ, 0},
        .flags_count = 3,
        .states = 2500,
        .samples = 200,
        .pair_states = 12,
    });
}

static void what_the_hardware_records_is_kept_over_three_levels(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_4,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 3,
        .tables = 1,
        .tracks_access = true,
        .address_space = PT_ZERO_EXTENDED,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 1000,
        .samples = 200,
    });
}

static void tables_of_four_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 2,
        .va_bits = 17,
        .levels = 3,
        .tables = 1,
        .address_space = PT_SIGN_EXTENDED,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW, PT_READ},
        .flags_count = 2,
        .states = 24,
        .samples = 40,
    });
}

static void two_levels_of_four_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_4,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_SIGN_EXTENDED,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW, PT_READ},
        .flags_count = 2,
        .states = 2000,
        .samples = 200,
        .pair_states = 2,
    });
}

static void formats_without_the_largest_pages(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_4,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 3,
        .tables = 1,
        .no_pages_of = PT_4K << 2,
        .address_space = PT_ZERO_EXTENDED,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 3000,
    });
}

static void pages_of_two_of_four_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {1},
        .deltas = {0, 2},
        .delta_count = 2,
        .flags = {RW},
        .flags_count = 1,
        .states = 1200,
        .samples = 200,
        .pair_states = 2,
    });
}

static void pages_of_several_entries_that_come_and_go(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_SIGN_EXTENDED,
        .group_bits = {1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RWG, PT_USER},
        .flags_count = 2,
        .states = 600,
        .samples = 200,
        .pair_states = 2,
    });
}

static void pages_of_several_entries_of_the_root(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {0, 1},
        .deltas = {0, 1, 4},
        .delta_count = 3,
        .flags = {RW},
        .flags_count = 1,
        .states = 1000,
        .samples = 200,
        .pair_states = 2,
    });
}

static void narrow_entries_that_say_where_their_page_begins(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_4,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_SIGN_EXTENDED,
        .group_bits = {1},
        .deltas = {0, 2},
        .delta_count = 2,
        .flags = {RW, 0},
        .flags_count = 2,
        .states = 500,
        .samples = 200,
        .pair_states = 1,
    });
}

static void narrow_entries_of_the_root_that_say_where_their_page_begins(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_4,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {0, 1},
        .deltas = {0, 4},
        .delta_count = 2,
        .flags = {RW, PT_GLOBAL},
        .flags_count = 2,
        .states = 500,
        .samples = 200,
        .pair_states = 1,
    });
}

static void break_before_make_of_several_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_EITHER_HALF,
        .group_bits = {1},
        .deltas = {0, 2},
        .delta_count = 2,
        .flags = {RWG, PT_READ},
        .flags_count = 2,
        .states = 300,
        .samples = 200,
        .pair_states = 2,
    });
}

static void break_before_make_of_several_entries_that_come_and_go(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW, 0, RWG},
        .flags_count = 3,
        .states = 300,
        .samples = 200,
        .pair_states = 2,
    });
}

static void break_before_make_of_several_entries_but_for_sizes(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .bbm_level = 2,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW, PT_READ},
        .flags_count = 2,
        .states = 500,
        .samples = 200,
        .pair_states = 2,
    });
}

static void break_before_make_of_several_entries_of_the_root(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .address_space = PT_EITHER_HALF,
        .group_bits = {0, 1},
        .deltas = {0, 4},
        .delta_count = 2,
        .flags = {RW, PT_READ | PT_USER},
        .flags_count = 2,
        .states = 300,
        .samples = 200,
        .pair_states = 2,
    });
}

static void what_the_hardware_records_in_any_of_several_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .tracks_access = true,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 800,
        .samples = 200,
        .pair_states = 2,
    });
}

static void what_the_hardware_records_while_several_entries_break(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 2,
        .va_bits = 15,
        .levels = 2,
        .tables = 1,
        .tracks_access = true,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW, PT_READ},
        .flags_count = 2,
        .states = 500,
        .samples = 200,
        .pair_states = 2,
    });
}

static void pages_of_several_entries_at_two_levels(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 2,
        .va_bits = 16,
        .levels = 2,
        .tables = 1,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {1, 1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 200,
        .samples = 100,
    });
}

static void break_before_make_of_several_entries_over_three_levels(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 2,
        .va_bits = 17,
        .levels = 3,
        .tables = 1,
        .address_space = PT_SIGN_EXTENDED,
        .group_bits = {1, 1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW, PT_READ},
        .flags_count = 2,
        .states = 12,
        .samples = 40,
    });
}

static void pages_of_several_entries_of_a_middle_level(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_4,
        .index_bits = 2,
        .va_bits = 17,
        .levels = 3,
        .tables = 1,
        .tracks_access = true,
        .address_space = PT_SIGN_EXTENDED,
        .group_bits = {0, 1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 12,
        .samples = 40,
    });
}

static void tables_that_share_pages_of_several_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 2,
        .tables = 2,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {0, 1},
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 300,
        .samples = 200,
        .pair_states = 2,
    });
}

static void break_before_make_of_shared_pages_of_several_entries(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 1,
        .va_bits = 14,
        .levels = 2,
        .tables = 2,
        .address_space = PT_ZERO_EXTENDED,
        .group_bits = {0, 1},
        .deltas = {0, 4},
        .delta_count = 2,
        .flags = {RW},
        .flags_count = 1,
        .states = 3000,
        .samples = 200,
        .pair_states = 1,
    });
}

static void tables_that_share(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8,
        .index_bits = 1,
        .va_bits = 14,
        .levels = 2,
        .tables = 2,
        .address_space = PT_ZERO_EXTENDED,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 8000,
        .pair_states = 16,
    });
}

static void tables_that_share_three_levels(void **state)
{
    (void)state;
    try_all(&(struct variant){
        .base = &fake_8_strict,
        .index_bits = 1,
        .va_bits = 15,
        .levels = 3,
        .tables = 2,
        .address_space = PT_EITHER_HALF,
        .deltas = {0},
        .delta_count = 1,
        .flags = {RW},
        .flags_count = 1,
        .states = 500,
        .samples = 200,
    });
}

static void groups_that_contradict_the_rest(void **state)
{
    static const struct {
        uint8_t group_bits[PT_GROUP_LEVELS];
        uint64_t page_sizes;
        bool is_good;
    } tries[] = {
        {{0, 0, 0}, PT_4K, true},
        {{1, 0, 0}, PT_4K, true}, /* not used */
        {{1, 0, 0}, PT_4K | PT_4K << 1, true},
        {{1, 0, 0}, PT_4K | PT_4K << 1 | PT_4K << 2, true},
        {{0, 0, 0}, PT_4K | PT_4K << 1, false},
        {{2, 0, 0}, PT_4K | PT_4K << 1, false},
        {{2, 0, 0}, PT_4K | PT_4K << 2, false}, /* as large as a table: the level above has such pages */
        {{3, 0, 0}, PT_4K, false},
        {{0, 1, 0}, PT_4K | PT_4K << 2 | PT_4K << 3, true}, /* all of the root */
        {{0, 2, 0}, PT_4K | PT_4K << 2, false},
        {{0, 1, 0}, PT_4K | PT_4K << 3, false}, /* nothing to split it into */
        {{1, 1, 0}, PT_4K | PT_4K << 1 | PT_4K << 3, false},
        {{0, 0, 1}, PT_4K, false}, /* no such level */
        {{64, 0, 0}, PT_4K, false},
        {{0, 255, 0}, PT_4K, false},
    };

    (void)state;
    for (size_t i = 0; i < TESTS_COUNT(tries); i++) {
        struct pt_format format = fake_8;
        struct page_table pt;
        enum pt_status status;

        format.index_bits = 2;
        format.va_bits = 15;
        format.levels = 2;
        format.page_sizes = tries[i].page_sizes;
        memcpy(format.group_bits, tries[i].group_bits, sizeof(format.group_bits));
        geometry_of(&format, 1);
        memset(&machine, 0, sizeof(machine));
        status = pt_create(&pt, &format, &machine_handler, NULL);
        if (status != (tries[i].is_good ? PT_OK : PT_BAD_FORMAT))
            fail_msg("descriptor %zu: %s", i, pt_status_name(status));
        if (status == PT_OK)
            pt_destroy(&pt);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_levels_all_there_is),
        cmocka_unit_test(three_levels_of_two_entries),
        cmocka_unit_test(three_levels_with_rights_that_come_and_go),
        cmocka_unit_test(entries_of_four_bytes_that_owe_a_flush_when_new),
        cmocka_unit_test(tables_of_four_entries),
        cmocka_unit_test(two_levels_of_four_entries),
        cmocka_unit_test(formats_without_the_largest_pages),
        cmocka_unit_test(break_before_make_wherever_it_is_due),
        cmocka_unit_test(break_before_make_but_for_sizes),
        cmocka_unit_test(what_the_hardware_records_is_kept),
        cmocka_unit_test(what_the_hardware_records_is_kept_over_three_levels),
        cmocka_unit_test(groups_that_contradict_the_rest),
        cmocka_unit_test(pages_of_two_of_four_entries),
        cmocka_unit_test(pages_of_several_entries_that_come_and_go),
        cmocka_unit_test(pages_of_several_entries_of_the_root),
        cmocka_unit_test(narrow_entries_that_say_where_their_page_begins),
        cmocka_unit_test(narrow_entries_of_the_root_that_say_where_their_page_begins),
        cmocka_unit_test(break_before_make_of_several_entries),
        cmocka_unit_test(break_before_make_of_several_entries_that_come_and_go),
        cmocka_unit_test(break_before_make_of_several_entries_but_for_sizes),
        cmocka_unit_test(break_before_make_of_several_entries_of_the_root),
        cmocka_unit_test(what_the_hardware_records_in_any_of_several_entries),
        cmocka_unit_test(what_the_hardware_records_while_several_entries_break),
        cmocka_unit_test(pages_of_several_entries_at_two_levels),
        cmocka_unit_test(break_before_make_of_several_entries_over_three_levels),
        cmocka_unit_test(pages_of_several_entries_of_a_middle_level),
        cmocka_unit_test(tables_that_share_pages_of_several_entries),
        cmocka_unit_test(break_before_make_of_shared_pages_of_several_entries),
        cmocka_unit_test(tables_that_share),
        cmocka_unit_test(tables_that_share_three_levels),
    };
    int failures;

    cmocka_set_test_filter(getenv("PT_EXHAUSTIVE_ONLY"));
    failures = cmocka_run_group_tests_name("exhaustive", tests, NULL, NULL);
    printf("# in all: %zu states found, %zu gone on from, %zu transitions, %zu without memory, %zu pairs\n",
           in_all.states, in_all.expanded, in_all.transitions, in_all.without_memory, in_all.pairs);
    return failures;
}
