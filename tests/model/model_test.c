/* SPDX-License-Identifier: MIT */
/*
 * Long random sequences of all calls on two tables, one of which borrows from the other, against the
 * model: the same answers, the same translations, the same walk, as many tables as they take, and every
 * frame back at the end. A few translations are kept as a TLB would keep them: what a flush does not drop
 * must still be allowed.
 *
 * PT_MODEL_SEED runs one seed only, PT_MODEL_STEPS sets the length of a run.
 */
#include "model.h"

#include "formats.h"
#include "memory.h"
#include "random.h"
#include "snapshot.h"
#include "test.h"

#define SEEDS 4
#define STEPS 4000
#define STEPS_PER_WALK 200
#define QUERIES_PER_STEP 12
#define CACHED 48
#define PAGES_AT_MOST 12000

struct cached {
    bool valid;
    pt_vaddr vaddr;
    struct pt_mapping mapping;
};

struct side {
    struct page_table table;
    struct pt_flush flush;
    struct model model;
    struct cached tlb[CACHED];
    bool settled; /* a break-before-make has invalidated what was owed before: it may be freed without more */
};

/* What a run came across, lest a test of nothing passes. */
struct met {
    size_t splits, collapses, tables_counted;
};

/* In all runs together. */
static struct {
    uint64_t calls, refused;
} judged;

struct run {
    const struct pt_format *format;
    struct memory memory;
    struct random random;
    struct side sides[2]; /* the second borrows from the first */
    uint64_t seed;
    uint64_t step;
    const char *call;
    pt_vaddr split; /* the latest address that pt_split was called with */
    bool pruned;    /* no table is there that nothing is mapped in, but what was lent */
    size_t answers[PT_IN_USE + 1];
    struct met met;
};

/* ---- What is asked ------------------------------------------------------------------------------- */

/* An address out of few, so that calls meet each other's pages: the ends of tables, at every level. */
static pt_vaddr some_vaddr(struct run *run)
{
    const struct pt_format *format = run->format;
    uint64_t entries = format_root_entries(format);
    const uint64_t root_choices[] = {0, 1, entries / 2 - 1, entries / 2, entries - 1};
    uint64_t where = root_choices[random_below(&run->random, TESTS_COUNT(root_choices))] * format_entry_size(format, 0);
    pt_vaddr vaddr;

    for (unsigned level = 1; level < format->levels; level++) {
        uint64_t last = format_entries(format) - 1;
        const uint64_t choices[] = {0, 0, 1, last, last};
        uint64_t index = choices[random_below(&run->random, TESTS_COUNT(choices))];

        if (level == format->levels - 1u && random_one_in(&run->random, 3))
            index = random_one_in(&run->random, 4) ? random_below(&run->random, last) : random_below(&run->random, 8);
        where += index * format_entry_size(format, level);
    }
    vaddr = where;
    if (format->address_space == PT_SIGN_EXTENDED && where > format_lower_last(format))
        vaddr |= format_upper_first(format);
    if (format->address_space == PT_EITHER_HALF && random_one_in(&run->random, 4))
        vaddr |= format_upper_first(format);

    if (random_one_in(&run->random, 100))
        vaddr ^=
            UINT64_C(1) << (format->va_bits + random_below(&run->random, 64 - format->va_bits)); /* not canonical */
    return vaddr;
}

static uint64_t some_page_size(struct run *run)
{
    uint64_t size = format_smallest(run->format);

    if (random_one_in(&run->random, 100))
        return random_below(&run->random, 4) * 3 * size;
    while (random_one_in(&run->random, 2) && format_larger(run->format, size))
        size = format_larger(run->format, size);
    return size;
}

static pt_vaddr aligned_vaddr(struct run *run, uint64_t size)
{
    pt_vaddr vaddr = some_vaddr(run);

    if (random_one_in(&run->random, 60))
        return vaddr + random_below(&run->random, format_smallest(run->format));
    return size ? vaddr - vaddr % size : vaddr;
}

static pt_paddr some_paddr(struct run *run, pt_vaddr vaddr, uint64_t size)
{
    uint64_t smallest = format_smallest(run->format);
    pt_paddr last = format_paddr_last(run->format);
    pt_paddr paddr = random_next(&run->random) & last;

    switch (random_below(&run->random, 60)) {
    case 0:
        return paddr;
    case 1:
        return last + 1 - random_below(&run->random, 4) * smallest; /* about the end, and beyond */
    case 2:
        return 0;
    default:
        break;
    }
    if (random_one_in(&run->random, 3))
        return paddr - paddr % smallest;
    /* as far from an aligned address as vaddr is, so that huge pages come about */
    size = size > format_largest(run->format) || size == 0 ? format_largest(run->format) : size;
    size = random_one_in(&run->random, 2) ? format_largest(run->format) : size;
    return paddr - paddr % size + vaddr % size / smallest * smallest;
}

static pt_flags some_flags(struct run *run)
{
    if (random_one_in(&run->random, 80))
        return (pt_flags)1 << (7 + random_below(&run->random, 25));
    return (pt_flags)random_below(&run->random, PT_ALL_FLAGS + 1);
}

static uint64_t some_size(struct run *run, bool may_be_huge)
{
    uint64_t smallest = format_smallest(run->format);
    uint64_t middle = format_larger(run->format, smallest);
    uint64_t size;

    switch (random_below(&run->random, 12)) {
    case 0:
        size = 0;
        break;
    case 1:
    case 2:
    case 3:
        size = smallest * (1 + random_below(&run->random, 4));
        break;
    case 4:
    case 5:
    case 6:
        size = smallest * (1 + random_below(&run->random, 2 * format_entries(run->format)));
        break;
    case 7:
    case 8:
        size = middle * (1 + random_below(&run->random, 2));
        break;
    case 9:
        size = (may_be_huge ? 100 : 1) * middle * (1 + random_below(&run->random, 2));
        break;
    case 10:
        size = may_be_huge ? format_largest(run->format) * (1 + random_below(&run->random, 4)) : smallest;
        break;
    default:
        size = may_be_huge ? UINT64_C(1) << random_below(&run->random, 64) : middle;
        break;
    }
    if (random_one_in(&run->random, 100))
        size += random_below(&run->random, smallest);
    return size;
}

static unsigned some_options(struct run *run, unsigned which)
{
    if (random_one_in(&run->random, 150))
        return 8u << random_below(&run->random, 29);
    return random_one_in(&run->random, 2) ? which : 0;
}

static unsigned change_options(struct run *run)
{
    return some_options(run, PT_SKIP_HOLES) | (random_one_in(&run->random, 4) ? PT_NO_SPLIT : 0);
}

/* Frames that are contiguous for some while, then somewhere else: a piece of 2^shift bytes stays together. */
struct scatter {
    unsigned shift;
    pt_paddr last;
    uint64_t salt;
    uint64_t smallest;
    bool misaligned;
};

static pt_paddr scattered(void *arg, pt_vaddr vaddr)
{
    const struct scatter *scatter = arg;
    uint64_t piece = UINT64_C(1) << scatter->shift;
    struct random random = {scatter->salt + vaddr / piece};
    pt_paddr paddr = random_next(&random) & scatter->last;

    return paddr - paddr % piece + vaddr % piece / scatter->smallest * scatter->smallest + scatter->misaligned;
}

/* ---- How answers are compared -------------------------------------------------------------------- */

static void explain(const struct run *run, int side)
{
    print_error("%s: %s on table %d, PT_MODEL_SEED=%" PRIu64 ", step %" PRIu64 "\n", run->format->name, run->call, side,
                run->seed, run->step);
}

#define REQUIRE(run, side, condition, ...)                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            explain((run), (side));                                                                                    \
            print_error(__VA_ARGS__);                                                                                  \
            print_error("\n");                                                                                         \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

static bool same_mapping(const struct pt_mapping *a, const struct pt_mapping *b)
{
    return a->paddr == b->paddr && a->page_size == b->page_size && a->flags == b->flags;
}

static void compare_query(struct run *run, int side, pt_vaddr vaddr)
{
    struct pt_mapping found = {.paddr = 0, .page_size = 0, .flags = 0};
    struct pt_mapping expected = found;
    enum pt_status status = pt_query(&run->sides[side].table, vaddr, &found);
    enum pt_status answer = model_query(&run->sides[side].model, vaddr, &expected);

    REQUIRE(run, side, status == answer && same_mapping(&found, &expected),
            "0x%" PRIx64 " is %s to 0x%" PRIx64 ", size 0x%" PRIx64 ", flags 0x%x; expected %s to 0x%" PRIx64
            ", size 0x%" PRIx64 ", flags 0x%x",
            vaddr, pt_status_name(status), found.paddr, found.page_size, (unsigned)found.flags, pt_status_name(answer),
            expected.paddr, expected.page_size, (unsigned)expected.flags);
}

struct comparison {
    struct run *run;
    int side;
    const struct model_page *pages;
    size_t count;
    size_t next;
    unsigned depth; /* tables entered and not yet left */
    uint64_t previous;
    bool begun;
};

static bool compare_visit(void *arg, const struct pt_visit *visit)
{
    struct comparison *comparison = arg;
    struct run *run = comparison->run;
    const struct model *model = &run->sides[comparison->side].model;
    const struct model_page *page;

    REQUIRE(run, comparison->side, visit->level == comparison->depth, "walk: level %u, expected %u", visit->level,
            comparison->depth);
    /* in the order of the entries: ascending, but for halves that are mixed in one root */
    REQUIRE(run, comparison->side,
            !comparison->begun || format_translated(run->format, visit->vaddr) >= comparison->previous,
            "walk: 0x%" PRIx64 " after 0x%" PRIx64, visit->vaddr, comparison->previous);
    comparison->begun = true;
    comparison->previous = format_translated(run->format, visit->vaddr);
    if (!visit->is_leaf) {
        comparison->depth++;
        return true;
    }

    REQUIRE(run, comparison->side, comparison->next < comparison->count, "walk: 0x%" PRIx64 " is one too many",
            visit->vaddr);
    page = &comparison->pages[comparison->next++];
    REQUIRE(run, comparison->side,
            visit->vaddr == model_canonical(model, page->where) && visit->mapping.page_size == page->size &&
                visit->mapping.paddr == page->paddr && visit->mapping.flags == page->flags,
            "walk: 0x%" PRIx64 " to 0x%" PRIx64 ", size 0x%" PRIx64 ", flags 0x%x; expected 0x%" PRIx64 " to 0x%" PRIx64
            ", size 0x%" PRIx64 ", flags 0x%x",
            visit->vaddr, visit->mapping.paddr, visit->mapping.page_size, (unsigned)visit->mapping.flags,
            model_canonical(model, page->where), page->paddr, page->size, (unsigned)page->flags);
    return true;
}

static bool leave_table(void *arg, const struct pt_visit *visit)
{
    struct comparison *comparison = arg;

    if (!visit->is_leaf)
        comparison->depth--;
    return true;
}

static void compare_walk(struct run *run, int side)
{
    struct comparison comparison = {.run = run, .side = side};
    struct model_page *pages = model_all(&run->sides[side].model, &comparison.count);

    comparison.pages = pages;
    pt_walk(&run->sides[side].table, SIZE_MAX, compare_visit, leave_table, &comparison);
    REQUIRE(run, side, comparison.next == comparison.count, "walk: %zu pages, expected %zu", comparison.next,
            comparison.count);
    free(pages);
}

/* ---- A TLB --------------------------------------------------------------------------------------- */

static bool is_dropped(const struct run *run, const struct pt_flush *flush, const struct cached *cached)
{
    uint64_t first = format_translated(run->format, cached->vaddr);
    uint64_t last;

    first -= first % cached->mapping.page_size;
    last = first + (cached->mapping.page_size - 1);
    if (flush->everything)
        return true;
    for (unsigned i = 0; i < flush->range_count; i++) {
        uint64_t begin = format_translated(run->format, flush->ranges[i].vaddr);
        uint64_t end = begin + (flush->ranges[i].size - 1);
        uint64_t step = flush->ranges[i].page_size;

        /* whoever invalidates one address per page_size hits it */
        if (begin < first)
            begin += (first - begin + step - 1) / step * step;
        if (begin <= last && begin <= end)
            return true;
    }
    return false;
}

static void drop_from_tlb(void *arg, const struct pt_flush *flush)
{
    struct run *run = arg;

    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < CACHED; i++)
            if (flush == &run->sides[side].flush && run->sides[side].tlb[i].valid &&
                is_dropped(run, flush, &run->sides[side].tlb[i]))
                run->sides[side].tlb[i].valid = false;
}

static void forget_tlb(struct side *side)
{
    for (size_t i = 0; i < CACHED; i++)
        side->tlb[i].valid = false;
}

/* The MMU looks something up, now or never again. */
static void fill_tlb(struct run *run, struct side *side)
{
    struct cached *cached = &side->tlb[random_below(&run->random, CACHED)];
    pt_vaddr vaddr = some_vaddr(run);
    struct pt_mapping mapping;

    /* what is borrowed is flushed through its owner */
    if (!format_is_canonical(run->format, vaddr) || model_is_borrowed(&side->model, vaddr) ||
        pt_query(&side->table, vaddr, &mapping) != PT_OK || (mapping.flags & (PT_READ | PT_WRITE | PT_EXECUTE)) == 0)
        return;
    mapping.paddr -= vaddr % mapping.page_size;
    *cached = (struct cached){.valid = true, .vaddr = vaddr - vaddr % mapping.page_size, .mapping = mapping};
}

/* Nothing is owed any more: what the TLB still holds must be what the table says, or less. */
static void check_tlb(struct run *run, int number)
{
    struct side *side = &run->sides[number];

    for (size_t i = 0; i < CACHED; i++) {
        const struct cached *cached = &side->tlb[i];
        const pt_flags rights = PT_READ | PT_WRITE | PT_EXECUTE | PT_USER;
        const uint64_t size = cached->valid ? cached->mapping.page_size : 1;
        /* the page may have been split since */
        const uint64_t offsets[] = {0, size / 2, size - 1, random_below(&run->random, size)};

        if (!cached->valid)
            continue;
        for (size_t j = 0; j < TESTS_COUNT(offsets); j++) {
            struct pt_mapping now = {.paddr = 0, .page_size = 0, .flags = 0};

            REQUIRE(run, number,
                    pt_query(&side->table, cached->vaddr + offsets[j], &now) == PT_OK &&
                        now.paddr == cached->mapping.paddr + offsets[j] &&
                        (cached->mapping.flags & rights & ~now.flags) == 0 &&
                        ((cached->mapping.flags ^ now.flags) & (PT_DEVICE | PT_UNCACHED)) == 0 &&
                        (cached->mapping.flags & PT_GLOBAL & ~now.flags) == 0,
                    "the TLB still translates 0x%" PRIx64 " to 0x%" PRIx64 ", flags 0x%x", cached->vaddr + offsets[j],
                    cached->mapping.paddr + offsets[j], (unsigned)cached->mapping.flags);
        }
    }
}

/* ---- Tables -------------------------------------------------------------------------------------- */

/* Looks for tables with no entry in use on the way to two addresses. */
struct emptiness {
    struct run *run;
    int side;
    uint64_t first, last; /* translated */
    size_t below[8];      /* entries in use of the tables on the way of the walk, by level */
};

static bool enter(void *arg, const struct pt_visit *visit)
{
    struct emptiness *emptiness = arg;

    emptiness->below[visit->level]++;
    emptiness->below[visit->level + 1] = 0;
    return true;
}

static bool leave(void *arg, const struct pt_visit *visit)
{
    struct emptiness *emptiness = arg;
    const struct run *run = emptiness->run;
    const struct model *model = &run->sides[emptiness->side].model;
    uint64_t where = format_translated(run->format, visit->vaddr);
    uint64_t last = where + (format_entry_size(run->format, visit->level) - 1);
    bool on_the_way = (where <= emptiness->first && emptiness->first <= last) ||
                      (where <= emptiness->last && emptiness->last <= last);
    bool stays = visit->level == 0 && model_table_stays(model, visit->vaddr);

    REQUIRE(run, emptiness->side, visit->is_leaf || emptiness->below[visit->level + 1] > 0 || !on_the_way || stays,
            "the empty table at level %u for 0x%" PRIx64 " stays", visit->level + 1, visit->vaddr);
    return true;
}

/* The ends of what was unmapped lead to no table that nothing is in. */
static void check_ends(struct run *run, int number, pt_vaddr vaddr, uint64_t size)
{
    struct emptiness emptiness = {.run = run,
                                  .side = number,
                                  .first = format_translated(run->format, vaddr),
                                  .last = format_translated(run->format, vaddr + (size - 1))};

    pt_walk(&run->sides[number].table, SIZE_MAX, enter, leave, &emptiness);
}

/* All frames that are out are tables that something is mapped in. */
static void check_tables(struct run *run)
{
    size_t needed = 2;

    if (!run->pruned || run->sides[0].flush.retired != PT_NO_FRAME || run->sides[1].flush.retired != PT_NO_FRAME)
        return;
    needed += model_tables(&run->sides[0].model) + model_tables(&run->sides[1].model);
    REQUIRE(run, 0, run->memory.taken == needed, "%zu tables are out, %zu are needed", run->memory.taken, needed);
    run->met.tables_counted++;
}

/* Prune all that either table may change, slot by slot. */
static void prune_everything(struct run *run)
{
    uint64_t unit = format_copy_unit(run->format);

    run->call = "pt_prune of everything";
    for (int number = 0; number < 2; number++)
        for (uint64_t i = 0; i <= format_translated(run->format, UINT64_MAX) / unit; i++) {
            pt_vaddr vaddr = i * unit;
            enum pt_status answer;

            if (run->format->address_space == PT_SIGN_EXTENDED && vaddr > format_lower_last(run->format))
                vaddr |= format_upper_first(run->format);
            answer = model_prune(&run->sides[number].model, vaddr, unit);
            REQUIRE(run, number, pt_prune(&run->sides[number].table, vaddr, unit, &run->sides[number].flush) == answer,
                    "expected %s", pt_status_name(answer));
        }
    run->pruned = true;
}

/* ---- The calls ----------------------------------------------------------------------------------- */

/* pt_count_tables foretells what pt_map_region answers and takes. */
static enum pt_status map_region_as_counted(struct run *run, int number, pt_vaddr vaddr, pt_paddr paddr, uint64_t size,
                                            pt_flags flags, unsigned options)
{
    struct side *side = &run->sides[number];
    size_t count = SIZE_MAX, taken = run->memory.taken, attempts = run->memory.attempts;
    enum pt_status foretold = pt_count_tables(&side->table, vaddr, paddr, size, flags, options, &count);
    enum pt_status status;

    REQUIRE(run, number, run->memory.attempts == attempts, "counting allocates");
    status = pt_map_region(&side->table, vaddr, paddr, size, flags, options, &side->flush);
    REQUIRE(run, number, status == foretold || (status == PT_NO_MEMORY && foretold == PT_OK), "%s was foretold, not %s",
            pt_status_name(foretold), pt_status_name(status));
    REQUIRE(run, number, (count == SIZE_MAX) == (foretold != PT_OK), "*count is written with PT_OK, and only then");
    REQUIRE(run, number, status != PT_OK || (run->memory.taken - taken) * format_table_frames(run->format) == count,
            "%zu frames were foretold, not those of %zu tables", count, run->memory.taken - taken);
    return status;
}

static enum pt_status call_both(struct run *run, int number, enum pt_status *answer)
{
    struct side *side = &run->sides[number];
    struct model *model = &side->model;
    unsigned what = (unsigned)random_below(&run->random, 122);
    uint64_t page_size = some_page_size(run);
    pt_flags flags = some_flags(run);
    size_t count;

    if (what < 30) {
        pt_vaddr vaddr = aligned_vaddr(run, page_size);
        pt_paddr paddr = some_paddr(run, vaddr, page_size);

        run->call = "pt_map";
        *answer = model_map(model, vaddr, paddr, page_size, flags);
        return pt_map(&side->table, vaddr, paddr, page_size, flags, &side->flush);
    }
    if (what < 36) {
        pt_vaddr vaddr = some_vaddr(run);
        struct pt_mapping old = {.paddr = 0, .page_size = 0, .flags = 0};
        struct pt_mapping expected = old;
        bool tell = !random_one_in(&run->random, 4);
        enum pt_status status;

        run->call = "pt_unmap";
        *answer = model_unmap(model, vaddr, &expected);
        status = pt_unmap(&side->table, vaddr, tell ? &old : NULL, &side->flush);
        REQUIRE(run, number, !tell || same_mapping(&old, &expected), "0x%" PRIx64 " was something else", vaddr);
        run->pruned &= status != PT_OK;
        return status;
    }
    if (what < 46) {
        pt_vaddr vaddr = some_vaddr(run);
        uint64_t found = 1;
        uint64_t expected = 1;
        bool tell = !random_one_in(&run->random, 4);
        enum pt_status status;

        if (random_one_in(&run->random, 2)) {
            run->call = "pt_protect";
            *answer = model_protect(model, vaddr, flags, &expected);
            status = pt_protect(&side->table, vaddr, flags, tell ? &found : NULL, &side->flush);
        } else {
            pt_paddr paddr = some_paddr(run, 0, page_size);

            run->call = "pt_remap";
            *answer = model_remap(model, vaddr, paddr, flags, &expected);
            status = pt_remap(&side->table, vaddr, paddr, flags, tell ? &found : NULL, &side->flush);
        }
        REQUIRE(run, number, !tell || found == expected, "page size 0x%" PRIx64 ", expected 0x%" PRIx64, found,
                expected);
        return status;
    }
    if (what < 62) {
        unsigned options = some_options(run, PT_ALLOW_HUGE);
        uint64_t size = some_size(run, options & PT_ALLOW_HUGE);
        pt_vaddr vaddr = aligned_vaddr(run, random_one_in(&run->random, 2) ? page_size : 1);
        pt_paddr paddr = some_paddr(run, vaddr, page_size);

        /* not too many pages */
        if ((options & PT_ALLOW_HUGE) && (vaddr ^ paddr) % format_larger(run->format, format_smallest(run->format)))
            size %= 4 * format_larger(run->format, format_smallest(run->format));
        else if ((options & PT_ALLOW_HUGE) && (vaddr ^ paddr) % format_largest(run->format))
            size %= PT_1G * 4;
        if (size > UINT64_C(4096) * format_largest(run->format))
            size = UINT64_C(4096) * format_largest(run->format);
        run->call = "pt_map_region";
        *answer = model_map_region(model, vaddr, paddr, size, flags, options);
        return map_region_as_counted(run, number, vaddr, paddr, size, flags, options);
    }
    if (what < 70) {
        unsigned options = some_options(run, PT_ALLOW_HUGE);
        struct scatter scatter = {
            .shift = run->format->page_shift +
                     (unsigned)random_below(&run->random, 3 * (uint64_t)run->format->index_bits / 2),
            .last = format_paddr_last(run->format),
            .salt = random_next(&run->random),
            .smallest = format_smallest(run->format),
            .misaligned = random_one_in(&run->random, 40),
        };
        uint64_t size = some_size(run, false);
        pt_vaddr vaddr = aligned_vaddr(run, random_one_in(&run->random, 2) ? page_size : 1);

        if (random_one_in(&run->random, 200)) { /* one of the largest */
            size = format_largest(run->format) > PT_1G ? PT_1G : format_largest(run->format);
            scatter.shift = run->format->pa_bits - 2u;
        }
        if (random_one_in(&run->random, 40))
            scatter.last = 2 * scatter.last + 1;
        run->call = "pt_map_region_with";
        *answer = model_map_region_with(model, vaddr, scattered, &scatter, size, flags, options);
        return pt_map_region_with(&side->table, vaddr, scattered, &scatter, size, flags, options, &side->flush);
    }
    if (what < 82) {
        unsigned options = change_options(run);
        uint64_t size = some_size(run, true);
        pt_vaddr vaddr = aligned_vaddr(run, page_size);
        enum pt_status status;

        run->call = "pt_unmap_region";
        *answer = model_unmap_region(model, vaddr, size, options);
        status = pt_unmap_region(&side->table, vaddr, size, options, &side->flush);
        if (status == PT_OK && size > 0 && random_one_in(&run->random, 4))
            check_ends(run, number, vaddr, size);
        return status;
    }
    if (what < 94) {
        unsigned options = change_options(run);
        uint64_t size = some_size(run, true);
        pt_vaddr vaddr = aligned_vaddr(run, page_size);

        run->call = "pt_protect_region";
        *answer = model_protect_region(model, vaddr, size, flags, options);
        return pt_protect_region(&side->table, vaddr, size, flags, options, &side->flush);
    }
    if (number == 1 && what < 98) {
        bool in_part = random_one_in(&run->random, 8); /* of what can be shared; nothing, where that is a root entry */
        uint64_t unit = in_part ? format_entry_size(run->format, 0) : format_copy_unit(run->format);
        pt_vaddr vaddr = aligned_vaddr(run, unit);
        uint64_t size = unit * random_below(&run->random, 3);

        run->call = "pt_copy_from";
        *answer = model_copy_from(model, &run->sides[0].model, vaddr, size);
        return pt_copy_from(&side->table, &run->sides[0].table, vaddr, size, &side->flush);
    }
    if (what >= 100 && what < 108) {
        pt_vaddr vaddr = some_vaddr(run);

        run->call = "pt_split";
        count = model->count;
        *answer = model_split(model, vaddr, page_size);
        run->met.splits += model->count > count;
        run->split = vaddr;
        return pt_split(&side->table, vaddr, page_size, &side->flush);
    }
    if (what >= 108 && what < 118) {
        uint64_t align = random_one_in(&run->random, 2) ? format_largest(run->format) : some_page_size(run);
        pt_vaddr vaddr = aligned_vaddr(run, align);
        uint64_t size = random_one_in(&run->random, 2) ? align : some_size(run, true);

        if (random_one_in(&run->random, 2))
            vaddr = run->split - (align ? run->split % align : 0);

        run->call = "pt_collapse";
        count = model->count;
        *answer = model_collapse(model, vaddr, size);
        run->met.collapses += model->count < count;
        return pt_collapse(&side->table, vaddr, size, &side->flush);
    }
    if (what >= 118) {
        pt_vaddr vaddr = aligned_vaddr(run, page_size);
        uint64_t size = some_size(run, true);

        run->call = "pt_prune";
        *answer = model_prune(model, vaddr, size);
        return pt_prune(&side->table, vaddr, size, &side->flush);
    }
    run->call = "pt_query";
    *answer = PT_OK;
    return PT_OK;
}

static bool leaves_lists(const struct page_table *before, const struct page_table *after)
{
    return before->root == after->root && memcmp(&before->upper, &after->upper, sizeof(before->upper)) == 0 &&
           memcmp(&before->borrowed, &after->borrowed, sizeof(before->borrowed)) == 0 &&
           memcmp(&before->lent, &after->lent, sizeof(before->lent)) == 0;
}

static void begin_side(struct run *run, int number)
{
    struct side *side = &run->sides[number];

    memory_fail_never(&run->memory);
    assert_ok(pt_create(&side->table, run->format, &run->memory.handler, &run->memory));
    pt_flush_init(&side->flush, &side->table);
    model_init(&side->model, run->format);
    forget_tlb(side);
}

static void settle(struct run *run, struct side *side)
{
    if (side->settled)
        memory_release(&run->memory);
    side->settled = false;
    pt_flush(&side->flush);
}

static void end_side(struct run *run, int number)
{
    struct side *side = &run->sides[number];

    compare_walk(run, number);
    settle(run, side);
    check_tlb(run, number);
    memory_release(&run->memory);
    pt_destroy(&side->table);
    model_end(&side->model);
}

/* Everything gone: nothing is left but the root, and the tables that were lent. */
static void unmap_everything(struct run *run, int number)
{
    struct side *side = &run->sides[number];
    uint64_t last = format_lower_last(run->format);

    run->call = "pt_unmap_region of everything";
    for (int half = 0; half < 2; half++) {
        pt_vaddr vaddr = half ? format_upper_first(run->format) : 0;
        enum pt_status answer = model_unmap_region(&side->model, vaddr, last + 1, PT_SKIP_HOLES);
        enum pt_status status = pt_unmap_region(&side->table, vaddr, last + 1, PT_SKIP_HOLES, &side->flush);

        REQUIRE(run, number, status == answer, "%s, expected %s", pt_status_name(status), pt_status_name(answer));
    }
}

static void one_step(struct run *run)
{
    int number = (int)random_below(&run->random, 2);
    struct side *side = &run->sides[number];
    struct page_table table = side->table;
    struct pt_flush owed = side->flush;
    size_t taken = run->memory.taken;
    size_t attempts = run->memory.attempts;
    size_t flushes = run->memory.flush_count;
    bool short_of_memory = random_one_in(&run->random, 8);
    struct model saved[2];
    enum pt_status status;
    enum pt_status answer;

    if (short_of_memory) {
        memory_fail_after(&run->memory, 1 + (size_t)random_below(&run->random, 4));
        for (int i = 0; i < 2; i++)
            saved[i] = model_save(&run->sides[i].model);
    }
    memory_hold(&run->memory);
    side->model.as_good = PT_OK;
    status = call_both(run, number, &answer);
    run->answers[status]++;
    judged.calls++;
    judged.refused += status != PT_OK;

    if (status == PT_NO_MEMORY && answer == PT_OK) {
        REQUIRE(run, number, short_of_memory && run->memory.attempts > attempts, "PT_NO_MEMORY without a reason");
        /* the model had memory: take it back */
        for (int i = 0; i < 2; i++)
            model_restore(&run->sides[i].model, &saved[i]);
    } else {
        REQUIRE(run, number, status == answer || (status != PT_OK && status == side->model.as_good), "%s, expected %s",
                pt_status_name(status), pt_status_name(answer));
    }
    memory_fail_never(&run->memory);
    for (int i = 0; short_of_memory && i < 2; i++)
        model_end(&saved[i]);
    side->settled |= run->memory.flush_count > flushes;

    if (status != PT_OK) {
        REQUIRE(run, number, run->memory.taken == taken, "%zu frames are out after an error, were %zu",
                run->memory.taken, taken);
        REQUIRE(run, number, flush_owes_same(&side->flush, &owed), "an error changed what is owed");
        REQUIRE(run, number, leaves_lists(&table, &side->table), "an error changed the struct page_table");
    }
    for (int i = 0; i < QUERIES_PER_STEP; i++)
        compare_query(run, i % 2, some_vaddr(run));
    for (int i = 0; i < 4; i++)
        fill_tlb(run, side);

    if (random_one_in(&run->random, 40))
        prune_everything(run);
    /* with some seeds so rarely that a flush becomes "everything" */
    if (random_one_in(&run->random, run->seed % 3 == 0 ? 100 : 5)) {
        settle(run, side);
        check_tlb(run, number);
        check_tables(run);
    } else if (random_one_in(&run->random, run->seed % 3 == 0 ? 1000 : 20)) {
        memory_release(&run->memory);
        pt_flush_ignore(&side->flush);
        forget_tlb(side);
    }
    if (side->model.count > PAGES_AT_MOST || random_one_in(&run->random, 250))
        unmap_everything(run, number);
    if (random_one_in(&run->random, 400)) {
        end_side(run, 1);
        begin_side(run, 1);
    }
}

static struct met run_seed(const struct pt_format *format, uint64_t seed, uint64_t steps)
{
    struct met met;
    struct run *run = calloc(1, sizeof(*run));

    assert_non_null(run);
    run->format = format;
    run->seed = seed;
    run->random.state = seed;
    run->call = "pt_create";
    run->pruned = true;
    memory_init(&run->memory, format_memory_base(format), MEMORY_FRAMES * format_table_frames(format));
    run->memory.on_flush = drop_from_tlb;
    run->memory.on_flush_arg = run;
    if (seed % 2 == 0)
        memory_make_linear(&run->memory);
    begin_side(run, 0);
    begin_side(run, 1);

    for (run->step = 0; run->step < steps; run->step++) {
        one_step(run);
        memory_forget_flushes(&run->memory);
        if (run->step % STEPS_PER_WALK == 0) {
            compare_walk(run, 0);
            compare_walk(run, 1);
        }
    }

    end_side(run, 1);
    unmap_everything(run, 0);
    end_side(run, 0);
    memory_end(&run->memory);
    if (getenv("PT_MODEL_VERBOSE")) {
        for (size_t i = 0; i < TESTS_COUNT(run->answers); i++)
            print_message("%s %zu, ", pt_status_name((enum pt_status)i), run->answers[i]);
        print_message("%zu splits, %zu collapses, %zu times all tables counted, seed %" PRIu64 "\n", run->met.splits,
                      run->met.collapses, run->met.tables_counted, seed);
    }
    met = run->met;
    free(run);
    return met;
}

static void answers_and_translates_as_the_model_does(void **state)
{
    const struct pt_format *format = *state;
    uint64_t seed = number_from_environment("PT_MODEL_SEED", 0);
    uint64_t steps = number_from_environment("PT_MODEL_STEPS", STEPS);
    struct met all = {0};

    if (seed != 0) {
        run_seed(format, seed, steps);
        return;
    }
    for (seed = 1; seed <= SEEDS; seed++) {
        struct met met = run_seed(format, seed, steps);

        all.splits += met.splits;
        all.collapses += met.collapses;
        all.tables_counted += met.tables_counted;
    }
    if (steps >= STEPS) {
        assert_true(all.splits > 0);
        assert_true(all.collapses > 0);
        assert_true(all.tables_counted > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT_WITH(answers_and_translates_as_the_model_does, NULL, NULL),
    };

    int failures = cmocka_run_group_tests_name("model", tests, NULL, NULL);

    print_message("%" PRIu64 " calls judged, %" PRIu64 " of them refused\n", judged.calls, judged.refused);
    return failures;
}
