/* SPDX-License-Identifier: MIT */
/*
 * Calls that change the shape of a table and no translation: split, collapse, prune, what region calls split and
 * reclaim by themselves, how many tables all of it takes, what it owes, and the marks of the hardware.
 */
#include "formats.h"
#include "memory.h"
#include "random.h"
#include "snapshot.h"
#include "test.h"
#include "watch.h"

#define PADDR fixture_paddr /* a multiple of every page size in use, and not in the simulated memory */
#define BIT(n) (UINT64_C(1) << (n))
#define RW (PT_READ | PT_WRITE)
#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)
#define RECORDS (PT_ACCESSED | PT_DIRTY)

/** Where the manuals put what the descriptor does not tell; the same at all levels. */
struct bit_facts {
    const char *name;
    uint64_t software;    /* free for the user's software */
    uint64_t accessed;    /* set by the hardware, where it tracks accesses */
    uint64_t dirty_set;   /* a page that is written gets these set ... */
    uint64_t dirty_clear; /* ... and those cleared */
    bool breaks;          /* the size of what is mapped changes by break-before-make */
};

static const struct bit_facts bit_facts[] = {
    {"pt_x86_64", (BIT(4) - 1) << 59 | (BIT(7) - 1) << 52 | BIT(10), BIT(5), BIT(6), 0, false},
    {"pt_npt", (BIT(4) - 1) << 59 | (BIT(7) - 1) << 52 | BIT(10), BIT(5), BIT(6), 0, false},
    {"pt_x86_pae", BIT(10), BIT(5), BIT(6), 0, false},
    {"pt_x86_32", BIT(10), BIT(5), BIT(6), 0, false},
    {"pt_ept", BIT(62) | BIT(59) | (BIT(5) - 1) << 52, BIT(8), BIT(9), 0, false},
    {"pt_aarch64", BIT(58) | BIT(57), BIT(10), 0, BIT(7), true},
    {"pt_aarch64_stage2", BIT(58) | BIT(57), BIT(10), BIT(7), 0, true},
    {"pt_armv7_lpae", BIT(58) | BIT(57), 0, 0, 0, true},
    {"pt_armv7_short", 0, 0, 0, 0, true},
    {"pt_sv", BIT(9), BIT(6), BIT(7), 0, false},
    {"pt_loongarch64", 0, 0, 0, 0, false},
};

static const struct bit_facts *facts_of(const struct pt_format *format)
{
    const struct bit_facts *found = NULL;
    size_t length = 0;

    for (size_t i = 0; i < TESTS_COUNT(bit_facts); i++)
        if (format_is_of(format, bit_facts[i].name, &length))
            found = &bit_facts[i];
    if (!found)
        fail_msg("reshape.c has no facts about %s", format->name);
    return found;
}

static bool breaks(const struct pt_format *format)
{
    return facts_of(format)->breaks && format->bbm_level < 2;
}

static uint64_t small(const struct fixture *f)
{
    return format_smallest(f->format);
}

/* A root entry of its own for each thing that a test maps, in the lower half. */
static pt_vaddr place(const struct fixture *f, unsigned number)
{
    return format_place(f->format, number);
}

/* The tables on the way to a page of this size, without the root. */
static size_t tables_above(const struct pt_format *format, uint64_t page_size)
{
    return format_level_of(format, page_size);
}

/* The tables on the ways to these pages of one size, without the root; those that share a frame are one. */
static size_t tables_to(const struct fixture *f, uint64_t page_size, const pt_vaddr *vaddrs, size_t count)
{
    size_t tables = 0;

    for (unsigned level = 1; level <= tables_above(f->format, page_size); level++) {
        uint64_t span = format_entry_size(f->format, level - 1) * format_tables_in_frame(f->format);

        for (size_t i = 0; i < count; i++) {
            size_t before = 0;

            while (before < i && vaddrs[before] / span != vaddrs[i] / span)
                before++;
            tables += before == i;
        }
    }
    return tables;
}

/* A page of this size is several entries of the table that holds its parts, too: no table comes or goes with it. */
static bool is_group(const struct fixture *f, uint64_t page_size)
{
    return format_page_entries(f->format, page_size) > 1;
}

static bool never_global(const struct fixture *f)
{
    return format_facts(f->format)->never_global;
}

/** Carry out what is owed, and forget that it was done. */
static void settle(struct fixture *f)
{
    pt_flush(&f->flush);
    memory_forget_flushes(f->memory);
}

/** Nothing is mapped any more, no frame but the root's is out. */
static void clear(struct fixture *f)
{
    const pt_vaddr halves[] = {0, format_upper_first(f->format)};
    const uint64_t size = format_lower_last(f->format) + 1;

    for (size_t i = 0; i < TESTS_COUNT(halves); i++) {
        assert_ok(pt_unmap_region(&f->table, halves[i], size, PT_SKIP_HOLES, &f->flush));
        settle(f);
        assert_ok(pt_prune(&f->table, halves[i], size, &f->flush));
        settle(f);
    }
    assert_int_equal(f->memory->taken, 1);
}

/* ---- Copies of the formats ------------------------------------------------------------------------ */

static bool as_it_is(struct pt_format *copy)
{
    (void)copy;
    return true;
}

static bool other_tracking(struct pt_format *copy)
{
    copy->tracks_access = !copy->tracks_access;
    return format_facts(copy)->can_track_access;
}

/* Indices of which all bits are needed; on x86 the highest one stands elsewhere in a huge page. */
static bool high_memory_indices(struct pt_format *copy)
{
    if (!format_facts(copy)->has_memory_types)
        return false;
    if (copy->features & PT_FEATURE_C9XX) { /* their bits have meanings */
        copy->memory_index.normal = 6;
        copy->memory_index.device = 11;
        copy->memory_index.uncached = 2;
        return true;
    }
    if (copy->features & PT_FEATURE_SVPBMT) { /* there are three */
        copy->memory_index.normal = 1;
        copy->memory_index.device = 2;
        copy->memory_index.uncached = 0;
        return true;
    }
    if (format_facts(copy)->memory_indices == 4) {
        copy->memory_index.normal = 2;
        copy->memory_index.device = 3;
        copy->memory_index.uncached = 0;
        return true;
    }
    if (format_facts(copy)->memory_indices == 16) { /* EPT has five types, and a bit beside them */
        copy->memory_index.normal = 5;
        copy->memory_index.device = 8;
        copy->memory_index.uncached = 12;
        return true;
    }
    copy->memory_index.normal = 4;
    copy->memory_index.device = 7;
    copy->memory_index.uncached = 6;
    return true;
}

static bool sizes_change_in_place(struct pt_format *copy)
{
    copy->bbm_level = 2;
    return facts_of(copy)->breaks && facts_of(copy)->accessed != 0; /* ARMv7 has no such thing */
}

static bool tracking_and_in_place(struct pt_format *copy)
{
    return sizes_change_in_place(copy) && other_tracking(copy);
}

static bool (*const variants[])(struct pt_format *copy) = {as_it_is, other_tracking, high_memory_indices,
                                                           sizes_change_in_place, tracking_and_in_place};

/** Run the test on the format and on each copy of it that makes sense. */
static void with_variants(const struct fixture *outer, void (*test)(struct fixture *f))
{
    for (size_t i = 0; i < TESTS_COUNT(variants); i++) {
        struct pt_format copy = *outer->format;
        void *inner = &copy;

        if (!variants[i](&copy))
            continue;
#ifdef PT_ONLY_FORMAT
        if (i > 0)
            break; /* there is no other descriptor than the one */
        inner = (void *)(uintptr_t)outer->format;
#endif
        fixture_set_up(&inner);
        test(inner);
        fixture_tear_down(&inner);
    }
}

static size_t tests_run;

static void counted(struct fixture *f, void (*test)(struct fixture *f))
{
    tests_run++;
    test(f);
}

static void (*tracking_test)(struct fixture *f);

static void if_tracking(struct fixture *f)
{
    if (f->format->tracks_access)
        counted(f, tracking_test);
}

/** The same, of those that track accesses. */
static void with_tracking(const struct fixture *outer, void (*test)(struct fixture *f))
{
    tests_run = 0;
    tracking_test = test;
    with_variants(outer, if_tracking);
    if (tests_run == 0)
        skip();
}

/* ---- Pages ------------------------------------------------------------------------------------------ */

static uint64_t bits_at(const struct fixture *f, pt_vaddr vaddr, uint64_t page_size)
{
    struct pt_visit visit = visit_of(&f->table, vaddr, format_level_of(f->format, page_size));

    assert_true(visit.is_leaf);
    return visit.bits;
}

static void toggle(struct slot slot, uint64_t bits)
{
    slot_set(slot, slot_get(slot) ^ bits);
}

/** The hardware records in the entry that the page was accessed, dirtied, or both. */
static void record(const struct pt_format *format, struct slot slot, pt_flags recorded)
{
    const struct bit_facts *facts = facts_of(format);

    if (recorded & PT_ACCESSED)
        slot_set(slot, slot_get(slot) | facts->accessed);
    if (recorded & PT_DIRTY)
        slot_set(slot, (slot_get(slot) | facts->dirty_set) & ~facts->dirty_clear);
}

/** A page with these flags, in which the hardware has recorded something while it could, and software bits. */
static void make_page(struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,
                      pt_flags recorded, uint64_t software)
{
    struct slot slot;

    assert_ok(pt_map(&f->table, vaddr, paddr, page_size, RW, &f->flush));
    slot = slot_at(f, vaddr, page_size);
    record(f->format, slot, recorded);
    assert_ok(pt_protect(&f->table, vaddr, flags, NULL, &f->flush));
    slot_set(slot, slot_get(slot) | software);
    assert_mapped(&f->table, vaddr, paddr, page_size, format_reads_back(f->format, flags) | recorded);
}

/** The entry of such a page, were it mapped by itself. */
static uint64_t bits_of_page(const struct pt_format *format, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size,
                             pt_flags flags, pt_flags recorded, uint64_t software)
{
    struct memory memory;
    struct fixture f = {.format = format, .memory = &memory};
    uint64_t bits, root;

    /* room for a root, which is aligned to its size, and for the way down */
    root = (format_root_entries(format) * format_entry_bytes(format) + PT_FRAME_SIZE - 1) / PT_FRAME_SIZE;
    memory_init(&memory, format_memory_base(format), (size_t)(2 * root) + format->levels * format_table_frames(format));
    assert_ok(pt_create(&f.table, format, &memory.handler, &memory));
    pt_flush_init(&f.flush, &f.table);
    make_page(&f, vaddr, paddr, page_size, flags, recorded, software);
    bits = bits_at(&f, vaddr, page_size);
    pt_flush_ignore(&f.flush);
    pt_destroy(&f.table);
    memory_end(&memory);
    return bits;
}

/** [vaddr, vaddr + size) translates to paddr, with these flags, in steps of `step`. */
static void check_translates(const struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, uint64_t step,
                             pt_flags flags)
{
    for (uint64_t offset = 0; offset < size; offset += step) {
        struct pt_mapping found = {0, 0, 0};

        assert_ok(pt_query(&f->table, vaddr + offset, &found));
        assert_hex_equal(found.paddr, paddr + offset);
        assert_hex_equal(found.flags, format_reads_back(f->format, flags));
    }
}

/**
 * The page at `vaddr` has been split down to `target` around `near`: of each size, those beside the way, and no more.
 * Looks at each `nth` of them from the `from`-th on.
 */
static void check_some_of_split(const struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_vaddr near,
                                uint64_t target, pt_flags flags, uint64_t from, uint64_t nth)
{
    for (uint64_t part = size; part > target; part = format_smaller(f->format, part)) {
        uint64_t child = format_smaller(f->format, part);
        pt_vaddr first = near - near % part;

        for (uint64_t offset = from * child; offset < part; offset += nth * child) {
            pt_vaddr at = first + offset;

            if (near - at < child && child > target)
                continue; /* is split in turn */
            assert_mapped(&f->table, at, paddr + (at - vaddr), child, flags);
            assert_mapped(&f->table, at + child - 1, paddr + (at - vaddr) + child - 1, child, flags);
        }
    }
}

static void check_split(const struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_vaddr near,
                        uint64_t target, pt_flags flags)
{
    check_some_of_split(f, vaddr, paddr, size, near, target, flags, 0, 1);
}

/* ---- Split ------------------------------------------------------------------------------------------ */

/** Pairs of sizes, a page of the first being split into pages of the second, at this offset in it. */
#define FOR_EACH_SPLIT(from, to, format)                                                                               \
    FOR_EACH_PAGE_SIZE(from, format)                                                                                   \
        for (uint64_t to = format_smaller((format), from); to != 0; to = format_smaller((format), to))

static void check_split_keeps_flags(struct fixture *f)
{
    static const pt_flags records[] = {0, PT_ACCESSED, RECORDS, PT_DIRTY};
    const pt_vaddr vaddr = place(f, 1);

    FOR_EACH_SPLIT(from, to, f->format)
    {
        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            const pt_flags recorded = f->format->tracks_access ? records[flags / 8 % 4] : 0;
            const uint64_t software = flags % 3 ? facts_of(f->format)->software : 0;
            const pt_flags all = format_reads_back(f->format, flags) | recorded;
            const uint64_t offsets[] = {0, from / 2 + to + 5, from - 1};
            const pt_vaddr near = vaddr + offsets[flags % 3];
            const uint64_t span = format_larger(f->format, to);
            const pt_vaddr first = near - near % span; /* where the pages of size `to` begin */
            const uint64_t children[] = {0, to, near - near % to - first, span - to};
            uint64_t before;

            make_page(f, vaddr, PADDR, from, flags, recorded, software);
            before = bits_at(f, vaddr, from);
            settle(f);
            assert_ok(pt_split(&f->table, near, to, &f->flush));
            /* others with other flags, and each with several */
            check_some_of_split(f, vaddr, PADDR, from, near, to, all, (flags + flags / 16) % 16, 16);
            for (size_t i = 0; i < TESTS_COUNT(children); i++) {
                pt_vaddr at = first + children[i];

                assert_hex_equal(bits_at(f, at, to),
                                 bits_of_page(f->format, at, PADDR + (at - vaddr), to, flags, recorded, software));
            }
            pt_flush(&f->flush);
            assert_int_equal(f->memory->taken, 1 + tables_above(f->format, to));

            /* again: it is no larger than that */
            assert_refused(f, pt_split(&f->table, near, to, &f->flush), PT_OK);
            assert_refused(f, pt_split(&f->table, near, from, &f->flush), PT_OK);

            /* and back: the very entry that it was */
            assert_ok(pt_collapse(&f->table, vaddr, from, &f->flush));
            assert_mapped(&f->table, near, PADDR + (near - vaddr), from, all);
            assert_hex_equal(bits_at(f, vaddr, from), before);
            pt_flush(&f->flush);
            assert_int_equal(f->memory->taken, 1 + tables_above(f->format, from));
            clear(f);
        }
    }
}

static void split_keeps_translation_flags_and_records_and_collapse_is_its_inverse(void **state)
{
    with_variants(*state, check_split_keeps_flags);
}

/** The highest frames of the format: no bit of the address is lost, whatever stands next to it. */
static void split_and_collapse_keep_every_bit_of_the_address(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_SPLIT(from, to, f->format)
    {
        const pt_paddr paddrs[] = {0, from, format_paddr_last(f->format) - from + 1,
                                   UINT64_C(0xaaaaaaaaaaaaaaaa) & format_paddr_last(f->format) & ~(from - 1),
                                   UINT64_C(0x5555555555555555) & format_paddr_last(f->format) & ~(from - 1)};
        static const pt_flags sets[] = {0, PT_GLOBAL, RW, PT_ALL_FLAGS};
        const pt_vaddr vaddrs[] = {0, format_last_page(f->format, from)};

        for (size_t i = 0; i < TESTS_COUNT(paddrs) * TESTS_COUNT(sets); i++) {
            pt_paddr paddr = paddrs[i % TESTS_COUNT(paddrs)];
            pt_flags flags = sets[i / TESTS_COUNT(paddrs)];
            pt_vaddr vaddr = vaddrs[format_upper_first(f->format) ? i % 2 : 0];

            assert_ok(pt_map(&f->table, vaddr, paddr, from, flags, &f->flush));
            assert_ok(pt_split(&f->table, vaddr + from - 1, to, &f->flush));
            check_split(f, vaddr, paddr, from, vaddr + from - 1, to, format_reads_back(f->format, flags));
            assert_ok(pt_collapse(&f->table, vaddr, from, &f->flush));
            assert_mapped(&f->table, vaddr + 1, paddr + 1, from, format_reads_back(f->format, flags));
            assert_ok(pt_unmap_region(&f->table, vaddr, from, 0, &f->flush));
            settle(f);
        }
    }
    assert_int_equal(f->memory->taken, 1);
}

/** Other pages, their tables and their addresses have nothing to do with it. */
static void split_leaves_its_neighbours_alone(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_SPLIT(from, to, f->format)
    {
        pt_vaddr vaddr = 4 * from;

        for (unsigned i = 0; i < 3; i++)
            assert_ok(pt_map(&f->table, vaddr + i * from, PADDR + (3 - i) * from, from, RW, &f->flush));
        assert_ok(pt_split(&f->table, vaddr + from + 3, to, &f->flush));
        assert_mapped(&f->table, vaddr, PADDR + 3 * from, from, RW);
        assert_mapped(&f->table, vaddr + 2 * from, PADDR + from, from, RW);
        check_split(f, vaddr + from, PADDR + 2 * from, from, vaddr + from + 3, to, RW);
        clear(f);
    }
}

/* What the hardware records in a page while it is being reshaped. */
struct recorder {
    const struct fixture *f;
    struct slot slot;
    uint64_t original;
    size_t in; /* at the how-manieth look at a table */
    bool done, broken;
};

static void record_now(void *arg, struct memory *memory)
{
    struct recorder *recorder = arg;

    (void)memory;
    if (recorder->in == 0 || --recorder->in > 0 || slot_get(recorder->slot) != recorder->original)
        return;
    recorder->done = true;
    /* Where the entries themselves are broken, there is nothing left to record in. */
    recorder->broken = slot_get(recorder->slot) == 0;
    if (!recorder->broken)
        record(recorder->f->format, recorder->slot, RECORDS);
}

static void check_late_records_of_split(struct fixture *f)
{
    const pt_vaddr vaddr = place(f, 1);

    FOR_EACH_SPLIT(from, to, f->format)
    {
        size_t recorded = 0;

        for (size_t in = 1; in < 16; in++) {
            struct recorder recorder = {.f = f, .in = in};

            assert_ok(pt_map(&f->table, vaddr, PADDR, from, RW, &f->flush));
            recorder.slot = slot_at(f, vaddr, from);
            recorder.original = slot_get(recorder.slot);
            settle(f);
            f->memory->on_translate_arg = &recorder;
            f->memory->on_translate = record_now;
            assert_ok(pt_split(&f->table, vaddr + from / 2, to, &f->flush));
            f->memory->on_translate = NULL;
            recorded += recorder.done;
            check_split(f, vaddr, PADDR, from, vaddr + from / 2, to, recorder.done ? RW | RECORDS : RW);
            clear(f);
        }
        assert_true(recorded > 0);
    }
}

static void what_is_recorded_during_a_split_is_not_lost(void **state)
{
    with_tracking(*state, check_late_records_of_split);
}

/* ---- Regions that cover huge pages in part ---------------------------------------------------------- */

/** How many pages of one size there are. */
struct census {
    uint64_t page_size;
    size_t pages;
};

static bool count_leaf(void *arg, const struct pt_visit *visit)
{
    struct census *census = arg;

    census->pages += visit->is_leaf && visit->mapping.page_size == census->page_size;
    return true;
}

static size_t pages_of_size(const struct fixture *f, uint64_t page_size)
{
    struct census census = {.page_size = page_size};

    pt_walk(&f->table, SIZE_MAX, count_leaf, NULL, &census);
    return census.pages;
}

static void check_hole(struct fixture *f)
{
    const uint64_t page = small(f);

    FOR_EACH_PAGE_SIZE(size, f->format) {
        const uint64_t offsets[] = {0, page, size / 2, size / 2 - page, size - page};

        for (size_t i = 0; i < TESTS_COUNT(offsets) && size > page; i++) {
            const pt_vaddr vaddr = place(f, 1), hole = vaddr + offsets[i];

            for (unsigned protect = 0; protect < 2; protect++) {
                size_t attempts;

                assert_ok(pt_map(&f->table, vaddr, PADDR, size, RW | PT_USER, &f->flush));
                settle(f);
                attempts = f->memory->attempts;
                if (protect)
                    assert_ok(pt_protect_region(&f->table, hole, page, PT_READ, PT_SKIP_HOLES, &f->flush));
                else
                    assert_ok(pt_unmap_region(&f->table, hole, page, 0, &f->flush));

                /* no more is asked for than is used */
                assert_int_equal(f->memory->attempts - attempts,
                                 tables_above(f->format, page) - tables_above(f->format, size));
                if (protect)
                    assert_mapped(&f->table, hole, PADDR + offsets[i], page, PT_READ);
                else
                    assert_not_mapped(&f->table, hole);
                /* of each size all but the one that is split in turn */
                for (uint64_t part = format_smaller(f->format, size); part != 0; part = format_smaller(f->format, part))
                    assert_int_equal(pages_of_size(f, part),
                                     format_larger(f->format, part) / part - (part == page && protect ? 0u : 1u));
                assert_int_equal(pages_of_size(f, size), 0);
                for (uint64_t offset = 0; offset < size; offset += format_smaller(f->format, size))
                    if (offset / page != offsets[i] / page)
                        check_translates(f, vaddr + offset, PADDR + offset, 1, 1, RW | PT_USER);
                for (uint64_t part = page; part < size; part = format_larger(f->format, part)) {
                    pt_vaddr before = hole - hole % part - 1, after = hole - hole % part + part;

                    if (before >= vaddr && before < vaddr + size)
                        check_translates(f, before, PADDR + (before - vaddr), 1, 1, RW | PT_USER);
                    if (after < vaddr + size)
                        check_translates(f, after, PADDR + (after - vaddr), 1, 1, RW | PT_USER);
                }
                pt_flush(&f->flush);
                assert_int_equal(f->memory->taken, 1 + tables_above(f->format, page));

                /* with the hole filled again it is the page that it was */
                if (protect)
                    assert_ok(pt_protect(&f->table, hole, RW | PT_USER, NULL, &f->flush));
                else
                    assert_ok(pt_map(&f->table, hole, PADDR + offsets[i], page, RW | PT_USER, &f->flush));
                assert_ok(pt_collapse(&f->table, vaddr, size, &f->flush));
                assert_mapped(&f->table, vaddr + size - 1, PADDR + size - 1, size, RW | PT_USER);
                clear(f);
            }
        }
    }
}

static void a_small_hole_in_a_huge_page_costs_one_table_a_level(void **state)
{
    with_variants(*state, check_hole);
}

/** Between two huge pages of any sizes: each is split along its own boundary, and the middle is not split at all. */
static void a_region_splits_at_its_two_ends_only(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f);

    FOR_EACH_PAGE_SIZE(size, f->format) {
        const uint64_t part = format_smaller(f->format, size);
        const pt_vaddr vaddr = place(f, 2) - 2 * size; /* across a root entry, too */
        const uint64_t cuts[] = {page, size / 2, size - page};

        for (size_t i = 0; i < 2 * TESTS_COUNT(cuts) * TESTS_COUNT(cuts) && size > page; i++) {
            const uint64_t head = cuts[i / 2 % 3], tail = cuts[i / 6];
            const pt_vaddr first = vaddr + head, end = vaddr + 3 * size + tail;
            const bool protect = i % 2;
            size_t attempts, taken;

            for (unsigned j = 0; j < 4; j++)
                assert_ok(pt_map(&f->table, vaddr + j * size, PADDR + j * size, size, RW, &f->flush));
            settle(f);
            attempts = f->memory->attempts;
            taken = f->memory->taken;
            if (protect)
                assert_ok(pt_protect_region(&f->table, first, end - first, PT_READ, 0, &f->flush));
            else
                assert_ok(pt_unmap_region(&f->table, first, end - first, 0, &f->flush));
            assert_int_equal(f->memory->attempts - attempts, f->memory->taken - taken);
            assert_mapped(&f->table, first - 1, PADDR + head - 1, head == size / 2 ? part : page, RW);
            check_translates(f, vaddr, PADDR, head, part, RW);
            check_translates(f, end, PADDR + (end - vaddr), size - tail, part, RW);
            if (protect) {
                assert_mapped(&f->table, vaddr + size, PADDR + size, size, PT_READ);
                assert_mapped(&f->table, vaddr + 3 * size - 1, PADDR + 3 * size - 1, size, PT_READ);
                check_translates(f, first, PADDR + head, size - head, part, PT_READ);
                check_translates(f, vaddr + 3 * size, PADDR + 3 * size, tail, part, PT_READ);
            } else {
                assert_not_mapped(&f->table, first);
                assert_not_mapped(&f->table, vaddr + size);
                assert_not_mapped(&f->table, vaddr + 3 * size - 1);
                assert_not_mapped(&f->table, end - 1);
                assert_int_equal(pages_of_size(f, size), 0);
            }
            clear(f);
        }
    }
}

/* ---- Collapse --------------------------------------------------------------------------------------- */

/** A table's worth of pages that could be one page of size `large`. */
static void map_collapsible(struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t large, pt_flags flags)
{
    uint64_t page = format_smaller(f->format, large);

    for (uint64_t offset = 0; offset < large; offset += page)
        assert_ok(pt_map(&f->table, vaddr + offset, paddr + offset, page, flags, &f->flush));
}

static void check_collapse_refusals(struct fixture *f)
{
    const pt_vaddr vaddr = place(f, 1);
    struct page_table *table = &f->table;
    struct pt_flush *flush = &f->flush;

    FOR_EACH_PAGE_SIZE(large, f->format) {
        const uint64_t page = format_smaller(f->format, large);
        const uint64_t around = 3 * large;
        const uint64_t odd[] = {0, page, large / 2, large - page};

        if (page == 0)
            continue;
        for (size_t i = 0; i < TESTS_COUNT(odd); i++) {
            const pt_vaddr at = vaddr + odd[i];
            uint64_t software = facts_of(f->format)->software;

            map_collapsible(f, vaddr, PADDR, large, RW);
            settle(f);
            /* a hole */
            assert_ok(pt_unmap(table, at, NULL, flush));
            assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
            /* another frame: shifted, and as if another page had been skipped */
            assert_ok(pt_map(table, at, PADDR + odd[i] + large, page, RW, flush));
            assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
            assert_ok(pt_remap(table, at, PADDR + odd[i] + page, RW, NULL, flush));
            assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
            /* other flags */
            for (unsigned bit = 0; bit < 7; bit++) {
                pt_flags flags = RW ^ (pt_flags)1 << bit;

                assert_ok(pt_remap(table, at, PADDR + odd[i], flags, NULL, flush));
                if (format_reads_back(f->format, flags) == format_reads_back(f->format, RW))
                    continue;
                assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
            }
            assert_ok(pt_remap(table, at, PADDR + odd[i], 0, NULL, flush));
            assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
            assert_ok(pt_remap(table, at, PADDR + odd[i], RW, NULL, flush));
            /* other software bits, each of them */
            for (uint64_t bit = 1; bit != 0; bit <<= 1) {
                if (!(software & bit))
                    continue;
                toggle(slot_at(f, at, page), bit);
                assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
                toggle(slot_at(f, at, page), bit);
            }
            /* smaller pages in its place */
            if (page > small(f)) {
                assert_ok(pt_split(table, at, small(f), flush));
                assert_ok(pt_protect(table, at, PT_READ, NULL, flush));
                assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
                assert_ok(pt_protect(table, at, RW, NULL, flush));
                assert_ok(pt_collapse(table, at, page, flush));
                assert_mapped(table, at, PADDR + odd[i], page, RW);
            }
            settle(f);
            /* regions that do not hold all of it */
            assert_refused(f, pt_collapse(table, vaddr, large - page, flush), PT_OK);
            assert_refused(f, pt_collapse(table, vaddr + page, large - page, flush), PT_OK);
            assert_refused(f, pt_collapse(table, vaddr + page, large + page, flush), PT_OK);
            assert_refused(f, pt_collapse(table, at, page, flush), PT_OK);
            assert_refused(f, pt_collapse(table, vaddr - small(f), large, flush), PT_OK);
            assert_refused(f, pt_collapse(table, vaddr + large, large, flush), PT_OK);
            /* and the one that does */
            assert_ok(pt_collapse(table, vaddr, large, flush));
            assert_mapped(table, at, PADDR + odd[i], large, RW);
            clear(f);
        }

        /* frames that no larger page can have */
        map_collapsible(f, vaddr, PADDR + page, large, RW);
        assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
        clear(f);
        /* as many pages, but not those of one table */
        map_collapsible(f, vaddr + large / 2, PADDR, large, RW);
        assert_refused(f, pt_collapse(table, vaddr, around, flush), PT_OK);
        clear(f);
    }
}

static void collapse_touches_nothing_that_is_not_one_larger_page(void **state)
{
    with_variants(*state, check_collapse_refusals);
}

/** No page of the size above: nothing to do. */
static void collapse_makes_no_page_that_the_format_has_not(void **state)
{
    struct fixture *f = *state;
    const uint64_t largest = format_largest(f->format);

    if (format_level_of(f->format, largest) > 0) {
        map_collapsible(f, place(f, 1), PADDR, largest, RW);
        assert_ok(pt_collapse(&f->table, 0, format_lower_last(f->format) + 1, &f->flush));
        assert_mapped(&f->table, place(f, 1), PADDR, largest, RW);
        for (size_t i = 1; i < format_entries(f->format); i++)
            assert_ok(pt_map(&f->table, place(f, 1) + i * largest, PADDR + i * largest, largest, RW, &f->flush));
        settle(f);
        assert_refused(f, pt_collapse(&f->table, 0, format_lower_last(f->format) + 1, &f->flush), PT_OK);
    }
#ifndef PT_ONLY_FORMAT
    {
        struct pt_format narrow = *f->format;
        void *inner = &narrow;
        struct fixture *g;

        narrow.page_sizes &= ~largest;
        fixture_set_up(&inner);
        g = inner;
        for (uint64_t offset = 0; offset < largest; offset += format_smaller(f->format, largest))
            assert_ok(pt_map(&g->table, offset, offset, format_largest(&narrow), RW, &g->flush));
        settle(g);
        assert_refused(g, pt_collapse(&g->table, 0, largest, &g->flush), PT_OK);
        fixture_tear_down(&inner);
    }
#endif
}

/* Small pages for one of this size, at once, and more of them behind it, which are not enough. */
static void check_collapse_of_all(struct fixture *f, uint64_t giant)
{
    const uint64_t page = small(f), huge = format_leaf_table(f->format), frame = format_leaf_frame(f->format);
    const pt_vaddr vaddr = place(f, 1) + giant % format_entry_size(f->format, 0);
    size_t taken;

    assert_ok(pt_map_region(&f->table, vaddr, PADDR, giant + 3 * huge + 5 * page, RW, 0, &f->flush));
    settle(f);
    taken = f->memory->taken;

    /* as much of it as the region covers wholly */
    assert_ok(pt_collapse(&f->table, vaddr + page, giant - page, &f->flush));
    assert_mapped(&f->table, vaddr, PADDR, page, RW);
    assert_mapped(&f->table, vaddr + huge - 1, PADDR + huge - 1, format_smaller(f->format, huge), RW);
    assert_mapped(&f->table, vaddr + huge, PADDR + huge, huge, RW);
    assert_mapped(&f->table, vaddr + giant - 1, PADDR + giant - 1, format_smaller(f->format, giant), RW);
    assert_mapped(&f->table, vaddr + giant, PADDR + giant, page, RW);
    settle(f);
    /* beside the first frame of tables all went, and what stands above several of them */
    taken -= (size_t)(giant / frame - 1);
    for (uint64_t size = format_smaller(f->format, giant); size > huge; size = format_smaller(f->format, size))
        if (!is_group(f, size))
            taken -= (size_t)(giant / size - 1);
    assert_int_equal(f->memory->taken, taken);

    assert_ok(pt_collapse(&f->table, vaddr, 2 * giant, &f->flush));
    assert_mapped(&f->table, vaddr, PADDR, giant, RW);
    assert_mapped(&f->table, vaddr + giant - 1, PADDR + giant - 1, giant, RW);
    assert_mapped(&f->table, vaddr + giant, PADDR + giant, huge, RW);
    assert_mapped(&f->table, vaddr + giant + 3 * huge - 1, PADDR + giant + 3 * huge - 1, huge, RW);
    assert_mapped(&f->table, vaddr + giant + 3 * huge, PADDR + giant + 3 * huge, page, RW);
    settle(f);
    taken -= 1 + (size_t)(3 * huge / frame);
    for (uint64_t size = giant; size > huge; size = format_smaller(f->format, size))
        taken -= !is_group(f, size);
    assert_int_equal(f->memory->taken, taken);
    assert_refused(f, pt_collapse(&f->table, 0, format_lower_last(f->format) + 1, &f->flush), PT_OK);
    clear(f);
}

static void collapse_goes_from_the_smallest_pages_to_the_largest(void **state)
{
    struct fixture *f = *state;
    const uint64_t huge = format_leaf_table(f->format);
    bool any = false;

    for (uint64_t giant = format_larger(f->format, huge); giant != 0; giant = format_larger(f->format, giant)) {
        if (giant / huge * format_table_frames(f->format) > MEMORY_FRAMES / 2)
            break; /* no room for so many tables */
        check_collapse_of_all(f, giant);
        any = true;
    }
    if (!any)
        skip();
}

struct joined {
    struct fixture *f;
    pt_vaddr vaddr;
    uint64_t page_size;
    pt_flags first, all; /* recorded of the first of the pages, and of any */
};

/* In flush_tlb: whoever asks now, if there is a page, is told of what had been recorded of it before the call. */
static void ask_for_records(void *arg, const struct pt_flush *flush)
{
    struct joined *joined = arg;
    struct pt_mapping now;

    (void)flush;
    if (pt_query(&joined->f->table, joined->vaddr, &now) == PT_OK)
        assert_hex_equal(now.flags & RECORDS, now.page_size == joined->page_size ? joined->all : joined->first);
}

static void check_records_are_joined(struct fixture *f)
{
    static const pt_flags marks[] = {0, PT_ACCESSED, PT_DIRTY, RECORDS};
    static const pt_flags sets[] = {RW, PT_READ, RW | PT_EXECUTE | PT_GLOBAL, 0};
    const pt_vaddr vaddr = place(f, 1);

    FOR_EACH_PAGE_SIZE(large, f->format) {
        const uint64_t page = format_smaller(f->format, large);

        for (size_t i = 0; i < TESTS_COUNT(marks) * TESTS_COUNT(marks) * TESTS_COUNT(sets) && page != 0; i++) {
            const pt_flags one = marks[i % 4], other = marks[i / 4 % 4], flags = sets[i / 16];
            const uint64_t offset = (i % 3) * (large / 2 - page);

            map_collapsible(f, vaddr, PADDR, large, RW);
            record(f->format, slot_at(f, vaddr + offset, page), one);
            record(f->format, slot_at(f, vaddr + large - page, page), other);
            assert_ok(pt_protect_region(&f->table, vaddr, large, flags, 0, &f->flush));
            f->memory->on_flush_arg = &(struct joined){f, vaddr, large, offset == 0 ? one : 0, one | other};
            f->memory->on_flush = ask_for_records;
            assert_ok(pt_collapse(&f->table, vaddr, large, &f->flush));
            f->memory->on_flush = NULL;
            assert_mapped(&f->table, vaddr, PADDR, large, flags | one | other);
            assert_hex_equal(bits_at(f, vaddr, large),
                             bits_of_page(f->format, vaddr, PADDR, large, flags, one | other, 0));
            clear(f);
        }
    }
}

static void what_was_recorded_of_any_page_is_recorded_of_the_larger_one(void **state)
{
    with_tracking(*state, check_records_are_joined);
}

/* In flush_tlb: the last moment at which a TLB may write to the entries of the old pages. */
static void record_before_the_invalidation(void *arg, const struct pt_flush *flush)
{
    struct recorder *recorder = arg;

    (void)flush;
    if (recorder->done)
        return;
    recorder->done = true;
    /* Where the entries themselves are broken, there is nothing left to record in. */
    recorder->broken = slot_get(recorder->slot) == 0;
    if (!recorder->broken)
        record(recorder->f->format, recorder->slot, RECORDS);
}

static void check_late_records_of_collapse(struct fixture *f)
{
    const pt_vaddr vaddr = place(f, 1);

    FOR_EACH_PAGE_SIZE(large, f->format) {
        const uint64_t page = format_smaller(f->format, large);

        for (size_t in = 0; in < 12 && page != 0; in++) {
            struct recorder recorder = {.f = f, .in = in};

            map_collapsible(f, vaddr, PADDR, large, RW);
            settle(f);
            recorder.slot = slot_at(f, vaddr + large / 2, page);
            recorder.original = slot_get(recorder.slot);
            f->memory->on_flush_arg = &recorder;
            f->memory->on_flush = record_before_the_invalidation;
            f->memory->on_translate_arg = &recorder;
            f->memory->on_translate = in == 0 ? NULL : record_now;
            assert_ok(pt_collapse(&f->table, vaddr, large, &f->flush));
            f->memory->on_translate = NULL;
            /* the old entries may be written to until they are invalidated, so that must have happened, ... */
            assert_true(recorder.done || is_group(f, large));
            /* ... or they are those of the larger page */
            pt_flush(&f->flush);
            f->memory->on_flush = NULL;
            assert_true(recorder.done);
            assert_true(!recorder.broken || is_group(f, large));
            assert_mapped(&f->table, vaddr, PADDR, large, RW | (recorder.broken ? 0 : RECORDS));
            clear(f);
        }
    }
}

static void what_is_recorded_during_a_collapse_is_not_lost(void **state)
{
    with_tracking(*state, check_late_records_of_collapse);
}

/** The table that another one has copied stays, whatever stands in it. */
static void a_lent_table_is_not_collapsed(void **state)
{
    struct fixture *f = *state;
    const uint64_t unit = format_entry_size(f->format, 0);
    const uint64_t shared = format_shared_entries(f->format) * unit;
    const pt_vaddr vaddr = shared;
    struct page_table copy;
    struct pt_flush flush;

    if (format_level_of(f->format, format_largest(f->format)) > 0)
        skip(); /* no page takes a root entry's place */
    map_collapsible(f, vaddr, PADDR, unit, RW);
    settle(f);
    assert_ok(pt_create(&copy, f->format, &f->memory->handler, f->memory));
    pt_flush_init(&flush, &copy);
    assert_ok(pt_copy_from(&copy, &f->table, vaddr, shared, &flush));
    pt_flush(&flush);
    assert_refused(f, pt_collapse(&f->table, vaddr, unit, &f->flush), PT_OK);
    assert_mapped(&copy, vaddr, PADDR, format_smaller(f->format, unit), RW);
    pt_destroy(&copy);
}

/** Below it, all may change its shape, and both see it. */
static void what_was_lent_is_reshaped_through_its_owner(void **state)
{
    struct fixture *f = *state;
    const uint64_t unit = format_entry_size(f->format, 0), page = small(f), huge = format_larger(f->format, page);
    const uint64_t shared = format_shared_entries(f->format) * unit;
    const pt_vaddr vaddr = shared;
    struct page_table copy;
    struct pt_flush flush;

    if (huge == unit)
        skip();
    assert_ok(pt_map(&f->table, vaddr, PADDR, huge, RW, &f->flush));
    assert_ok(pt_create(&copy, f->format, &f->memory->handler, f->memory));
    pt_flush_init(&flush, &copy);
    assert_ok(pt_copy_from(&copy, &f->table, vaddr, shared, &flush));
    assert_ok(pt_split(&f->table, vaddr, page, &f->flush));
    assert_mapped(&copy, vaddr + page, PADDR + page, page, RW);
    assert_ok(pt_collapse(&f->table, vaddr, huge, &f->flush));
    assert_mapped(&copy, vaddr + page, PADDR + page, huge, RW);
    pt_flush(&f->flush);
    pt_flush(&flush);
    pt_destroy(&copy);
}

/* ---- Prune, and what region calls reclaim --------------------------------------------------------------- */

static size_t tables_now(struct fixture *f)
{
    settle(f);
    return f->memory->taken - 1;
}

static void prune_retires_exactly_the_empty_tables_on_the_way(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f), span = format_leaf_table(f->format);
    /* below the same root entry as the first ones, where there are levels between */
    const pt_vaddr far = place(f, f->format->levels > 2 ? 2 : 4) - page;
    const pt_vaddr all[] = {place(f, 1), place(f, 1) + span, far, place(f, 5)};
    struct page_table *table = &f->table;
    struct pt_flush *flush = &f->flush;

    /* one page in each of two tables of the last level, and one far away; all are unmapped singly */
    assert_ok(pt_map(table, place(f, 1), PADDR, page, RW, flush));
    assert_ok(pt_map(table, place(f, 1) + span, PADDR, page, RW, flush));
    assert_ok(pt_map(table, far, PADDR, page, RW, flush));
    assert_ok(pt_map(table, place(f, 5), PADDR, page, RW, flush));
    settle(f);
    assert_refused(f, pt_prune(table, 0, format_lower_last(f->format) + 1, flush), PT_OK);
    assert_ok(pt_unmap(table, place(f, 1), NULL, flush));
    assert_ok(pt_unmap(table, place(f, 1) + span, NULL, flush));
    assert_ok(pt_unmap(table, place(f, 5), NULL, flush));
    settle(f);
    assert_int_equal(tables_now(f), tables_to(f, page, all, 4));

    /* elsewhere there is none */
    assert_refused(f, pt_prune(table, place(f, 1) + 2 * span, span, flush), PT_OK);
    assert_refused(f, pt_prune(table, place(f, 6), page, flush), PT_OK);
    assert_refused(f, pt_prune(table, far, page, flush), PT_OK);

    /* by any address that the table translates */
    assert_ok(pt_prune(table, place(f, 1) + 7 * page, page, flush));
    assert_int_equal(flush->retired != PT_NO_FRAME, format_tables_in_frame(f->format) == 1);
    assert_true(flush->tables_changed);
    assert_int_equal(tables_now(f), tables_to(f, page, all + 1, 3));
    assert_ok(pt_prune(table, place(f, 1) + span - page, 2 * page, flush));
    /* the tables above hold the way to the page at the end, but for what is only on the way to the pruned ones */
    assert_int_equal(tables_now(f), tables_to(f, page, all + 2, 2));
    assert_mapped(table, far, PADDR, page, RW);

    assert_ok(pt_prune(table, place(f, 5) + span - page, page, flush));
    assert_int_equal(tables_now(f), tables_to(f, page, &far, 1));
    assert_refused(f, pt_prune(table, 0, format_lower_last(f->format) + 1, flush), PT_OK);

    assert_ok(pt_unmap(table, far, NULL, flush));
    assert_ok(pt_prune(table, 0, format_lower_last(f->format) + 1, flush));
    assert_int_equal(tables_now(f), 0);
}

/** In the upper half, at the very end, and for pages without access, which are in use. */
static void prune_knows_the_last_address_and_no_access_pages(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f);
    const pt_vaddr last = format_upper_first(f->format) ? 0 - page : format_lower_last(f->format) - page + 1;
    const pt_vaddr half = last & ~format_lower_last(f->format);

    assert_ok(pt_map(&f->table, last, 0, page, 0, &f->flush));
    settle(f);
    assert_refused(f, pt_prune(&f->table, last, page, &f->flush), PT_OK);
    assert_mapped(&f->table, last, 0, page, 0);
    assert_ok(pt_unmap(&f->table, last, NULL, &f->flush));
    assert_ok(pt_prune(&f->table, half, format_lower_last(f->format) + 1, &f->flush));
    assert_int_equal(tables_now(f), 0);

    assert_ok(pt_map(&f->table, last, 0, page, 0, &f->flush));
    assert_ok(pt_unmap(&f->table, last, NULL, &f->flush));
    assert_ok(pt_prune(&f->table, last, page, &f->flush));
    assert_int_equal(tables_now(f), 0);
}

/** A table that is pruned may be wanted again before the flush, and is not freed before it. */
static void pruned_tables_wait_for_the_flush(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f);
    size_t taken;

    assert_ok(pt_map(&f->table, place(f, 1), PADDR, page, RW, &f->flush));
    assert_ok(pt_unmap(&f->table, place(f, 1), NULL, &f->flush));
    settle(f);
    taken = f->memory->taken;
    memory_hold(f->memory);
    assert_ok(pt_prune(&f->table, place(f, 1), page, &f->flush));
    assert_int_equal(f->memory->taken, taken);
    assert_ok(pt_map(&f->table, place(f, 1), PADDR, page, RW, &f->flush));
    pt_flush(&f->flush);
    assert_true(f->memory->flush_count >= 1);
    assert_int_equal(f->memory->taken, taken);
    assert_mapped(&f->table, place(f, 1), PADDR, page, RW);
}

/** But nothing that another page, beside the region, still needs. */
static void unmapping_a_region_reclaims_what_it_empties_at_both_ends(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f);
    struct page_table *table = &f->table;
    struct pt_flush *flush = &f->flush;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        /* the region begins in the middle of a table of pages of this size, and ends in the middle of the next */
        const uint64_t span = format_step(f->format, size) * format_entries(f->format);
        const pt_vaddr middle = format_level_of(f->format, size) == 0 ? place(f, 6) : 2 * span;
        const pt_vaddr first = middle - 3 * size, end = middle + 3 * size;

        for (unsigned beside = 0; beside < 16; beside++) {
            const pt_vaddr others[] = {first - size, middle - span, end, middle + span - size};
            pt_vaddr used[6];
            size_t count = 0, alone;

            if (format_level_of(f->format, size) == 0 && (beside & 10))
                continue;
            for (unsigned i = 0; i < 4; i++)
                if (beside & 1u << i) {
                    assert_ok(pt_map(table, others[i], PADDR, size, i % 2 ? 0 : RW, flush));
                    used[count++] = others[i];
                }
            alone = tables_now(f);
            assert_int_equal(alone, tables_to(f, size, used, count));
            for (unsigned i = 0; i < 6; i++)
                assert_ok(pt_map(table, first + i * size, PADDR, size, RW, flush));
            used[count++] = first;
            used[count++] = middle;
            assert_int_equal(tables_now(f), tables_to(f, size, used, count));
            assert_ok(pt_unmap_region(table, first, end - first, 0, flush));
            assert_int_equal(tables_now(f), alone);
            for (unsigned i = 0; i < 4; i++)
                if (beside & 1u << i)
                    assert_mapped(table, others[i], PADDR, size, i % 2 ? 0 : RW);
            clear(f);
        }
    }
    /* in the table above the last, only the way to another table stays */
    assert_ok(pt_map(table, place(f, 1), PADDR, page, RW, flush));
    assert_ok(pt_map(table, place(f, 2) - page, PADDR, page, RW, flush));
    assert_ok(pt_unmap_region(table, place(f, 1), 8 * page, PT_SKIP_HOLES, flush));
    assert_int_equal(tables_now(f), f->format->levels - 1u);
    assert_ok(pt_unmap_region(table, place(f, 1) + page, place(f, 2) - place(f, 1) - page, PT_SKIP_HOLES, flush));
    assert_int_equal(tables_now(f), 0);
}

/** An empty table that was there before, at the end of the region or in it, goes as well. */
static void unmapping_a_region_of_holes_reclaims_too(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f), span = format_leaf_table(f->format);
    const pt_vaddr tables[] = {place(f, 1), place(f, 1) + span, place(f, 1) + 2 * span};

    assert_ok(pt_map_region(&f->table, place(f, 1), PADDR, 3 * span, RW, 0, &f->flush));
    for (pt_vaddr vaddr = place(f, 1); vaddr < place(f, 1) + 3 * span; vaddr += page)
        assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
    assert_int_equal(tables_now(f), tables_to(f, page, tables, TESTS_COUNT(tables)));
    assert_ok(pt_unmap_region(&f->table, place(f, 1) + span - page, span + 2 * page, PT_SKIP_HOLES, &f->flush));
    assert_int_equal(tables_now(f), 0);
}

/** What the source lent stays, and is empty; what is below it goes. */
static void lent_tables_are_emptied_and_kept(void **state)
{
    struct fixture *f = *state;
    const size_t shared = format_shared_tables(f->format);
    const uint64_t unit = format_copy_unit(f->format), page = small(f);
    const pt_vaddr one = format_copy_units(f->format) > 2 ? unit : 0, two = one + unit;
    struct page_table copy;
    struct pt_flush flush;

    assert_ok(pt_map(&f->table, one, PADDR, page, RW, &f->flush));
    assert_ok(pt_map(&f->table, two, PADDR, page, RW, &f->flush));
    assert_ok(pt_create(&copy, f->format, &f->memory->handler, f->memory));
    pt_flush_init(&flush, &copy);
    assert_ok(pt_copy_from(&copy, &f->table, one, 2 * unit, &flush));
    pt_flush(&flush);

    assert_ok(pt_unmap_region(&f->table, one, page, 0, &f->flush));
    assert_int_equal(tables_now(f) - 1, 2 * shared - 1 + (f->format->levels - 1u));
    assert_ok(pt_unmap(&f->table, two, NULL, &f->flush));
    assert_ok(pt_prune(&f->table, 0, format_lower_last(f->format) + 1, &f->flush));
    assert_int_equal(tables_now(f) - 1, 2 * shared);
    assert_refused(f, pt_prune(&f->table, 0, format_lower_last(f->format) + 1, &f->flush), PT_OK);
    assert_ok(pt_unmap_region(&f->table, 0, format_lower_last(f->format) + 1, PT_SKIP_HOLES, &f->flush));
    assert_int_equal(tables_now(f) - 1, 2 * shared);

    /* they are the ones that the copy looks at */
    assert_ok(pt_map(&f->table, one + page, PADDR, page, RW, &f->flush));
    assert_ok(pt_map(&f->table, two + unit - page, PADDR, page, RW, &f->flush));
    assert_mapped(&copy, one + page, PADDR, page, RW);
    assert_mapped(&copy, two + unit - page, PADDR, page, RW);
    pt_flush(&f->flush);
    pt_destroy(&copy);
}

/* ---- Counting tables ------------------------------------------------------------------------------------ */

static void counting_foretells_what_mapping_takes(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f), span = format_leaf_table(f->format);
    struct random random = {.state = 48};
    size_t counted_some = 0;

    for (unsigned round = 0; round < 600; round++) {
        /* around the ends of tables of all levels */
        const uint64_t ends[] = {page, span, format_largest(f->format), format_entry_size(f->format, 0)};
        const pt_vaddr end = (1 + random_below(&random, 3)) * ends[random_below(&random, 4)];
        const uint64_t sizes[] = {page, span, 2 * span, format_largest(f->format), PT_1G / 8, PT_1G * 3};
        uint64_t size = sizes[random_below(&random, 6)] + random_below(&random, 3) * page;
        pt_vaddr vaddr = end - random_below(&random, 4) * page;
        unsigned options = random_one_in(&random, 2) ? PT_ALLOW_HUGE : 0;
        pt_paddr paddr = PADDR + vaddr % format_largest(f->format);
        size_t count = SIZE_MAX, taken = f->memory->taken, attempts = f->memory->attempts;
        enum pt_status foretold, status;

        if (random_one_in(&random, 3))
            paddr += page; /* no huge pages */
        if (size > PT_1G && (paddr != PADDR + vaddr % format_largest(f->format) || options == 0))
            size %= PT_1G;
        foretold = pt_count_tables(&f->table, vaddr, paddr, size, RW, options, &count);
        assert_int_equal(f->memory->attempts, attempts);
        status = pt_map_region(&f->table, vaddr, paddr, size, RW, options, &f->flush);
        assert_status(status, foretold);
        if (status == PT_OK) {
            assert_int_equal((f->memory->taken - taken) * format_table_frames(f->format), count);
            assert_int_equal((f->memory->attempts - attempts) * format_table_frames(f->format), count);
            counted_some += count > 0;
        } else {
            assert_true(count == SIZE_MAX);
        }
        /* now and then tables are left empty, or all is cleared */
        if (status == PT_OK && random_one_in(&random, 4))
            for (uint64_t offset = 0; offset < size && size <= 2 * span + 2 * page;) {
                struct pt_mapping old;

                assert_ok(pt_unmap(&f->table, vaddr + offset, &old, &f->flush));
                offset += old.page_size;
            }
        if (random_one_in(&random, 3))
            clear(f);
    }
    assert_true(counted_some > 50);
}

/** "How many frames ... exactly, if it were called now": an upper level that the region shares counts once. */
static void counting_is_right_by_hand(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f), span = format_leaf_table(f->format), unit = format_copy_unit(f->format);
    const struct {
        pt_vaddr vaddr;
        uint64_t size;
    } shapes[] = {
        {unit, 0},
        {unit, page},
        {unit, span},
        {unit + page, span},
        {unit, 2 * span},
        {unit + span - page, 2 * page},
        {2 * unit - page, 2 * page},
        {2 * unit - page, 2 * page + span},
    };

    if (format_copy_units(f->format) < 4)
        skip(); /* the shapes lie in three root entries */
    for (size_t i = 0; i < TESTS_COUNT(shapes); i++)
        for (unsigned options = 0; options <= PT_ALLOW_HUGE; options++) {
            const pt_vaddr vaddr = shapes[i].vaddr, last = vaddr + shapes[i].size - 1;
            size_t count = SIZE_MAX, tables = 0;

            for (unsigned level = 1; level < f->format->levels && shapes[i].size != 0; level++) {
                uint64_t reach = format_entry_size(f->format, level - 1) * format_tables_in_frame(f->format);

                tables += (size_t)(last / reach - vaddr / reach + 1);
            }
            /* no huge page is possible there */
            assert_ok(pt_count_tables(&f->table, vaddr, PADDR + page, shapes[i].size, RW, options, &count));
            assert_int_equal(count, tables * format_table_frames(f->format));
        }
    FOR_EACH_PAGE_SIZE(size, f->format) {
        size_t count = SIZE_MAX;

        assert_ok(pt_count_tables(&f->table, 3 * size, PADDR, size, RW, PT_ALLOW_HUGE, &count));
        assert_int_equal(count, tables_above(f->format, size) * format_table_frames(f->format));
    }
}

/** No region of so many bytes needs more, wherever it begins and whatever its frames are. */
static void no_table_of_one_region_takes_more_than_the_greatest_number_of_frames(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f);
    struct random random = {.state = 3};

    if (page != PT_4K || format_entries(f->format) != 512)
        skip(); /* not promised */
    for (unsigned round = 0; round < 2000; round++) {
        uint64_t edge = UINT64_C(1) << (12 + random_below(&random, 27));
        uint64_t size = edge + (random_below(&random, 5) - 2) * page;
        pt_vaddr end = (1 + random_below(&random, 3)) *
                       format_entry_size(
                           f->format, (unsigned)random_below(&random, f->format->levels < 3 ? f->format->levels : 3));
        pt_vaddr vaddr = end - random_below(&random, 2) * page;
        unsigned options = round % 2 ? PT_ALLOW_HUGE : 0;
        size_t count = SIZE_MAX;
        uint64_t most;

        if (size == 0 || size > UINT64_C(1) << 40 || vaddr + size - 1 > format_lower_last(f->format))
            continue;
        assert_ok(pt_count_tables(&f->table, vaddr, page * random_below(&random, 3), size, RW, options, &count));
        most = PT_MAX_FRAMES(size);
        assert_true(count + 1 <= most);
        /* each level by itself, without what is promised for levels that this format has not */
        for (unsigned shift = 12 + 9u * f->format->levels; shift <= 48; shift += 9)
            most -= (size >> shift) + 2;
        if (count + 1 > most)
            fail_msg("0x%" PRIx64 " bytes at 0x%" PRIx64 " take %zu tables and a root, not at most %" PRIu64, size,
                     vaddr, count, most);
    }
    /* a constant, to size an array with */
    static char pool[PT_MAX_FRAMES(PT_2M)];
    assert_int_equal(sizeof(pool), 1 + 3 + 2 + 2 + 2);
}

/* ---- What is owed ------------------------------------------------------------------------------------------- */

static void check_owes_nothing(const struct pt_flush *flush)
{
    assert_false(flush->everything);
    assert_false(flush->barrier);
    assert_false(flush->global);
    assert_int_equal(flush->range_count, 0);
    assert_hex_equal(flush->retired, PT_NO_FRAME);
}

static void check_split_owes(struct fixture *f)
{
    FOR_EACH_PAGE_SIZE(size, f->format) {
        for (unsigned i = 0; i < 2 && size > small(f); i++) {
            pt_vaddr vaddr = 4 * size;
            pt_flags global = i ? PT_GLOBAL : 0;
            struct breaking breaking;
            const struct pt_flush *paid;

            assert_ok(pt_map(&f->table, vaddr, PADDR, size, RW | global, &f->flush));
            settle(f);
            watch_page(f, &breaking, vaddr, size);
            assert_ok(pt_split(&f->table, vaddr + size / 2, format_smaller(f->format, size), &f->flush));
            f->memory->on_flush = NULL;

            /* seen broken, exactly where the architecture asks for it */
            assert_int_equal(breaking.calls, breaks(f->format) ? 1 : 0);
            assert_int_equal(breaking.zero, breaking.calls);
            paid = breaks(f->format) ? memory_last_flush(f->memory) : &f->flush;
            check_owes_range(paid, vaddr, size, size);
            assert_int_equal(paid->tables_changed, !is_group(f, size));
            assert_int_equal(paid->global, i && !never_global(f));
            if (breaks(f->format)) {
                assert_true(f->flush.barrier);
                assert_int_equal(f->flush.range_count, 0);
            }
            assert_hex_equal(f->flush.retired, PT_NO_FRAME);
            pt_flush(&f->flush);
            assert_int_equal(f->memory->flush_count, 1);
            clear(f);
        }
    }
}

static void split_owes_the_huge_page_once(void **state)
{
    with_variants(*state, check_split_owes);
}

static void check_collapse_owes(struct fixture *f)
{
    FOR_EACH_PAGE_SIZE(large, f->format) {
        const uint64_t page = format_smaller(f->format, large);

        for (unsigned i = 0; i < 2 && page != 0; i++) {
            pt_vaddr vaddr = 4 * large;
            struct breaking breaking;
            const struct pt_flush *paid;
            struct pt_visit visit;
            bool at_once = breaks(f->format) || (f->format->tracks_access && !is_group(f, large));
            size_t frees;

            map_collapsible(f, vaddr, PADDR, large, i ? RW | PT_GLOBAL : RW);
            settle(f);
            visit = visit_of(&f->table, vaddr, format_level_of(f->format, large));
            watch_slots(f, &breaking, slot_of(f, &visit), format_page_entries(f->format, large));
            frees = f->memory->frees;
            memory_hold(f->memory);
            assert_ok(pt_collapse(&f->table, vaddr, large, &f->flush));
            f->memory->on_flush = NULL;

            assert_int_equal(breaking.zero, breaks(f->format) ? 1 : 0);
            assert_int_equal(breaking.calls, at_once ? 1 : 0);
            paid = at_once ? &f->memory->flushes[0] : &f->flush;
            check_covers(paid, vaddr, large, page);
            assert_int_equal(paid->tables_changed, !is_group(f, large));
            assert_int_equal(paid->global, i && !never_global(f));
            for (unsigned j = 0; j < paid->range_count; j++) {
                assert_true(paid->ranges[j].vaddr >= vaddr);
                assert_true(paid->ranges[j].vaddr + paid->ranges[j].size <= vaddr + large);
            }
            /* the table waits, if there is one to go */
            assert_int_equal(f->memory->frees, frees);
            assert_int_equal(f->flush.retired != PT_NO_FRAME, !is_group(f, large));
            pt_flush(&f->flush);
            assert_int_equal(f->memory->frees, frees + !is_group(f, large));
            assert_true(f->memory->flush_count >= 1);
            clear(f);
        }
    }
}

static void collapse_owes_every_small_page(void **state)
{
    with_variants(*state, check_collapse_owes);
}

/** AArch64: what the level allows, and what no level does. */
static void the_break_depends_on_what_the_cpu_can_do(void **state)
{
    const struct fixture *outer = *state;

    if (!facts_of(outer->format)->breaks)
        skip();
    assert_int_equal(outer->format->bbm_level, 0);
#ifndef PT_ONLY_FORMAT
    for (uint8_t level = 0; level <= (facts_of(outer->format)->accessed ? 2 : 0); level++) { /* none else on ARMv7 */
        struct pt_format copy = *outer->format;
        uint64_t huge = format_larger(&copy, format_smallest(&copy));
        void *inner = &copy;
        struct fixture *f;
        struct breaking breaking;

        copy.bbm_level = level;
        fixture_set_up(&inner);
        f = inner;
        assert_ok(pt_map(&f->table, huge, PADDR, huge, RW, &f->flush));
        settle(f);
        watch_page(f, &breaking, huge, huge);
        assert_ok(pt_split(&f->table, huge, small(f), &f->flush));
        assert_int_equal(breaking.calls, level < 2 ? 1 : 0);
        assert_ok(pt_collapse(&f->table, huge, huge, &f->flush));
        assert_int_equal(breaking.calls, level < 2 ? 2 : 0);
        assert_int_equal(breaking.zero, breaking.calls);
        /* a hole in it, and rights for a part of it */
        assert_ok(pt_protect_region(&f->table, huge + small(f), small(f), PT_READ, 0, &f->flush));
        assert_int_equal(breaking.calls, level < 2 ? 3 : 0);
        assert_int_equal(breaking.zero, breaking.calls);
        f->memory->on_flush = NULL;
        settle(f);

        /* another frame or type is broken at every level */
        watch_page(f, &breaking, huge, small(f));
        assert_ok(pt_remap(&f->table, huge, PADDR + huge, RW, NULL, &f->flush));
        assert_int_equal(breaking.calls, 1);
        assert_ok(pt_protect(&f->table, huge, RW | PT_DEVICE, NULL, &f->flush));
        assert_int_equal(breaking.calls, 2);
        assert_int_equal(breaking.zero, 2);
        f->memory->on_flush = NULL;
        fixture_tear_down(&inner);
    }
#endif
}

/** A hole in a huge page: the TLB may hold the huge page, and forgets it. */
static void regions_owe_the_huge_pages_that_they_split(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f);

    FOR_EACH_PAGE_SIZE(size, f->format) {
        const pt_vaddr vaddr = 4 * size;

        for (unsigned protect = 0; protect < 2 && size > page; protect++) {
            const struct pt_flush *paid;

            assert_ok(pt_map(&f->table, vaddr, PADDR, size, RW, &f->flush));
            settle(f);
            if (protect)
                assert_ok(pt_protect_region(&f->table, vaddr + page, page, PT_READ, 0, &f->flush));
            else
                assert_ok(pt_unmap_region(&f->table, vaddr + page, page, 0, &f->flush));
            paid = breaks(f->format) ? &f->memory->flushes[0] : &f->flush;
            check_covers(paid, vaddr, size, size);
            assert_int_equal(paid->tables_changed, !is_group(f, size));
            assert_false(f->flush.everything);
            check_covers(&f->flush, vaddr + page, page, page);
            clear(f);
        }
    }
}

static void no_access_pages_owe_nothing_when_they_go(void **state)
{
    struct fixture *f = *state;
    const bool remembers = f->format->new_mapping_owes == PT_OWES_FLUSH;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        const pt_vaddr vaddr = 4 * size;

        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            /* an MMU that remembers invalid entries may remember a global one in all address spaces */
            if ((flags & RIGHTS) || ((flags & PT_GLOBAL) && remembers))
                continue;
            assert_ok(pt_map(&f->table, vaddr - size, PADDR, size, RW, &f->flush)); /* so that the table stays */
            assert_ok(pt_map(&f->table, vaddr, PADDR, size, flags, &f->flush));
            assert_ok(pt_map(&f->table, vaddr + size, PADDR, size, flags, &f->flush));
            settle(f);
            assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
            check_owes_nothing(&f->flush);
            assert_ok(pt_unmap_region(&f->table, vaddr, 2 * size, PT_SKIP_HOLES, &f->flush));
            check_owes_nothing(&f->flush);
            pt_flush(&f->flush);
            assert_int_equal(f->memory->flush_count, 0);
            clear(f);
        }
    }
}

/** No access on both sides of the split: no TLB holds it, but it is a new mapping as good as any. */
static void splitting_a_no_access_page_invalidates_nothing(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        if (size == small(f))
            continue;
        assert_ok(pt_map(&f->table, 4 * size, PADDR, size, PT_USER, &f->flush));
        settle(f);
        assert_ok(pt_split(&f->table, 4 * size, format_smaller(f->format, size), &f->flush));
        assert_int_equal(f->memory->flush_count, 0);
        if (f->format->new_mapping_owes == PT_OWES_FLUSH)
            check_owes_range(&f->flush, 4 * size, size, size);
        else
            assert_int_equal(f->flush.range_count, 0);
        assert_int_equal(f->flush.barrier, f->format->new_mapping_owes == PT_OWES_BARRIER);
        clear(f);
    }
}

static void protecting_to_what_is_there_already_owes_nothing(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        const pt_vaddr vaddr = 4 * size;

        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            uint64_t page_size = 0;

            assert_ok(pt_map(&f->table, vaddr, PADDR, size, flags, &f->flush));
            assert_ok(pt_map(&f->table, vaddr + size, PADDR, size, flags, &f->flush));
            settle(f);
            assert_ok(pt_protect(&f->table, vaddr, flags, &page_size, &f->flush));
            assert_hex_equal(page_size, size);
            assert_ok(pt_protect_region(&f->table, vaddr, 2 * size, flags, 0, &f->flush));
            assert_ok(pt_protect_region(&f->table, vaddr, 3 * size, flags, PT_SKIP_HOLES, &f->flush));
            check_owes_nothing(&f->flush);
            assert_false(f->flush.tables_changed);
            assert_int_equal(f->memory->flush_count, 0);

            /* only the page that changes is owed */
            if (flags & RIGHTS) {
                pt_flags other = flags ^ PT_USER;

                if (format_reads_back(f->format, other) == format_reads_back(f->format, flags))
                    other = (flags & ~RIGHTS) | ((format_reads_back(f->format, flags) & RIGHTS) == RW ? PT_READ : RW);
                assert_ok(pt_protect(&f->table, vaddr + size, other, NULL, &f->flush));
                settle(f);
                assert_ok(pt_protect_region(&f->table, vaddr, 2 * size, flags, 0, &f->flush));
                /* entries that must agree are broken together */
                assert_int_equal(f->memory->flush_count, facts_of(f->format)->breaks && is_group(f, size));
                check_owes_range(f->memory->flush_count ? memory_last_flush(f->memory) : &f->flush, vaddr + size, size,
                                 size);
                settle(f);
            }
            assert_ok(pt_unmap_region(&f->table, vaddr, 2 * size, 0, &f->flush));
            settle(f);
        }
    }
}

static void a_flush_names_the_asid_of_its_table(void **state)
{
    struct fixture *f = *state;
    const uint64_t page = small(f);
    struct page_table fresh;
    struct pt_flush flush;

    assert_true(f->table.asid == PT_NO_ASID);
    assert_true(f->flush.asid == PT_NO_ASID);
    assert_ok(pt_map(&f->table, 0, PADDR, page, RW, &f->flush));
    assert_ok(pt_map(&f->table, page, PADDR, page, RW, &f->flush));
    settle(f);

    pt_set_asid(&f->table, 7);
    assert_true(f->flush.asid == PT_NO_ASID); /* one that was initialised before */
    pt_flush_init(&flush, &f->table);
    assert_int_equal(flush.asid, 7);
    assert_ok(pt_unmap(&f->table, 0, NULL, &flush));
    pt_flush(&flush);
    assert_int_equal(memory_last_flush(f->memory)->asid, 7);
    assert_int_equal(flush.asid, 7); /* of the next use, too */
    {
        PT_FLUSH(scoped, &f->table);
        assert_int_equal(scoped.asid, 7);
        assert_ok(pt_unmap(&f->table, page, NULL, &scoped));
        pt_set_asid(&f->table, 0);
    }
    assert_int_equal(memory_last_flush(f->memory)->asid, 7);
    pt_flush_init(&flush, &f->table);
    assert_int_equal(flush.asid, 0);
    pt_set_asid(&f->table, PT_NO_ASID);
    pt_flush_init(&flush, &f->table);
    assert_true(flush.asid == PT_NO_ASID);

    assert_ok(pt_create(&fresh, f->format, &f->memory->handler, f->memory));
    assert_true(fresh.asid == PT_NO_ASID);
    pt_destroy(&fresh);
}

/** What a table lends is cached under the ASIDs of those who took it, too. */
static void a_flush_of_what_was_lent_names_no_asid(void **state)
{
    struct fixture *f = *state;
    const uint64_t size = format_shared_entries(f->format) * format_entry_size(f->format, 0);
    struct page_table copy;
    struct pt_flush flush;

    pt_set_asid(&f->table, 5);
    pt_flush_init(&f->flush, &f->table);
    assert_int_equal(f->flush.asid, 5);
    assert_ok(pt_map(&f->table, size, PADDR, small(f), RW, &f->flush));
    settle(f);
    assert_ok(pt_create(&copy, f->format, &f->memory->handler, f->memory));
    pt_set_asid(&copy, 9);
    pt_flush_init(&flush, &copy);
    assert_ok(pt_copy_from(&copy, &f->table, size, size, &flush));
    pt_flush(&flush);

    pt_flush_init(&f->flush, &f->table);
    assert_ok(pt_unmap(&f->table, size, NULL, &f->flush));
    pt_flush(&f->flush);
    assert_true(memory_last_flush(f->memory)->asid == PT_NO_ASID);
    /* what is the copy's own is not */
    pt_flush_init(&flush, &copy);
    assert_int_equal(flush.asid, 9);
    pt_destroy(&copy);
}

/** What was paid by the flush, and by a break-before-make in the middle. */
static bool paid_global(struct fixture *f)
{
    bool global = false;

    pt_flush(&f->flush);
    for (size_t i = 0; i < f->memory->flush_count; i++)
        global |= f->memory->flushes[i].global;
    assert_true(f->memory->flush_count > 0);
    memory_forget_flushes(f->memory);
    assert_false(f->flush.global);
    return global;
}

static void a_flush_says_whether_global_pages_are_among_it(void **state)
{
    struct fixture *f = *state;
    struct page_table *table = &f->table;
    struct pt_flush *flush = &f->flush;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        const pt_vaddr vaddr = 4 * size;

        if (never_global(f)) { /* asked for or not */
            assert_ok(pt_map(table, vaddr, PADDR, size, RW | PT_GLOBAL, flush));
            settle(f);
            assert_ok(pt_unmap(table, vaddr, NULL, flush));
            assert_false(paid_global(f));
            clear(f);
            continue;
        }
        for (unsigned global = 0; global < 2; global++) {
            const pt_flags flags = global ? RW | PT_GLOBAL : RW;
            unsigned i = 0;

            for (; i < 4; i++)
                assert_ok(pt_map(table, vaddr + i * size, PADDR + i * size, size, flags, flush));
            assert_ok(pt_map(table, vaddr + i * size, PADDR + i * size, size, RW, flush));
            settle(f);
            assert_ok(pt_protect(table, vaddr, flags & ~PT_WRITE, NULL, flush));
            assert_int_equal(paid_global(f), global);
            assert_ok(pt_remap(table, vaddr, PADDR + 8 * size, flags, NULL, flush));
            assert_int_equal(paid_global(f), global);
            /* what it was counts, not what it becomes */
            assert_ok(pt_protect(table, vaddr, flags ^ PT_GLOBAL, NULL, flush));
            assert_int_equal(paid_global(f), global);
            assert_ok(pt_protect(table, vaddr, flags, NULL, flush));
            assert_int_equal(paid_global(f), !global);
            assert_ok(pt_protect_region(table, vaddr, 2 * size, flags & ~PT_WRITE, 0, flush));
            assert_int_equal(paid_global(f), global);
            /* one of them is enough */
            assert_ok(pt_unmap_region(table, vaddr + 3 * size, 2 * size, 0, flush));
            assert_int_equal(paid_global(f), global);
            assert_ok(pt_unmap(table, vaddr, NULL, flush));
            assert_int_equal(paid_global(f), global);
            if (size > small(f)) {
                assert_ok(pt_unmap_region(table, vaddr + size, small(f), 0, flush));
                assert_int_equal(paid_global(f), global);
                assert_ok(pt_protect_region(table, vaddr + 2 * size, small(f), PT_READ, 0, flush));
                assert_int_equal(paid_global(f), global);
            }
            clear(f);
        }
    }
}

/* ---- Accessed and dirty ------------------------------------------------------------------------------------- */

struct seen {
    size_t count, stop_at;
    struct pt_visit visits[16];
};

static bool see(void *arg, const struct pt_visit *visit)
{
    struct seen *seen = arg;

    assert_true(seen->count < TESTS_COUNT(seen->visits));
    seen->visits[seen->count++] = *visit;
    return seen->count != seen->stop_at;
}

static enum pt_status clear_marks(struct fixture *f, pt_flags mark, pt_vaddr vaddr, uint64_t size, pt_visitor visitor,
                                  void *arg)
{
    if (mark == PT_ACCESSED)
        return pt_clear_accessed(&f->table, vaddr, size, visitor, arg, &f->flush);
    return pt_clear_dirty(&f->table, vaddr, size, visitor, arg, &f->flush);
}

#define MARKED_PAGES 14

/** Pages of all sizes with gaps between them, each with other marks. Returns how many. */
static size_t make_marked_pages(struct fixture *f, struct pt_mapping pages[MARKED_PAGES], pt_vaddr vaddrs[MARKED_PAGES])
{
    static const pt_flags marks[] = {RECORDS, PT_ACCESSED, PT_DIRTY, 0};
    static const pt_flags sets[] = {RW, PT_READ | PT_EXECUTE, RW | PT_USER};
    pt_vaddr vaddr = place(f, 1);
    size_t count = 0;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        for (unsigned i = 0; i < 2; i++) {
            pt_flags recorded = marks[(count + (count > 3)) % 4];

            vaddr += size - vaddr % size;
            assert_true(count < MARKED_PAGES);
            pages[count] = (struct pt_mapping){PADDR + count * format_largest(f->format), size,
                                               format_reads_back(f->format, sets[count % 3]) | recorded};
            vaddrs[count] = vaddr;
            make_page(f, vaddr, pages[count].paddr, size, sets[count % 3], recorded, 0);
            count++;
            vaddr += size;
        }
    }
    settle(f);
    return count;
}

static void check_clear(struct fixture *f)
{
    static const pt_flags marks[] = {PT_ACCESSED, PT_DIRTY};

    for (size_t m = 0; m < 2; m++) {
        const pt_flags mark = marks[m];
        struct pt_mapping pages[MARKED_PAGES];
        pt_vaddr vaddrs[MARKED_PAGES];
        size_t count = make_marked_pages(f, pages, vaddrs);
        struct seen seen = {0};
        size_t next = 0;
        bool rights_are_owed = false;

        /* beside the pages there is nothing */
        assert_refused(f, clear_marks(f, mark, 0, place(f, 1), see, &seen), PT_OK);
        assert_int_equal(seen.count, 0);

        assert_ok(clear_marks(f, mark, 0, format_lower_last(f->format) + 1, see, &seen));
        for (size_t i = 0; i < count; i++) {
            assert_mapped(&f->table, vaddrs[i], pages[i].paddr, pages[i].page_size, pages[i].flags & ~mark);
            /* all else is as if the mark had never been set */
            assert_hex_equal(bits_at(f, vaddrs[i], pages[i].page_size),
                             bits_of_page(f->format, vaddrs[i], pages[i].paddr, pages[i].page_size,
                                          pages[i].flags & PT_ALL_FLAGS, pages[i].flags & RECORDS & ~mark, 0));
            if (!(pages[i].flags & mark))
                continue;
            assert_true(next < seen.count);
            assert_true(seen.visits[next].is_leaf);
            assert_int_equal(seen.visits[next].level, format_level_of(f->format, pages[i].page_size));
            assert_int_equal(seen.visits[next].index, vaddrs[i] / format_step(f->format, pages[i].page_size) %
                                                          (seen.visits[next].level ? format_entries(f->format)
                                                                                   : format_root_entries(f->format)));
            assert_hex_equal(seen.visits[next].vaddr, vaddrs[i]);
            /* as it was */
            assert_hex_equal(seen.visits[next].mapping.paddr, pages[i].paddr);
            assert_hex_equal(seen.visits[next].mapping.page_size, pages[i].page_size);
            assert_hex_equal(seen.visits[next].mapping.flags, pages[i].flags);
            assert_hex_equal(seen.visits[next].bits,
                             bits_of_page(f->format, vaddrs[i], pages[i].paddr, pages[i].page_size,
                                          pages[i].flags & PT_ALL_FLAGS, pages[i].flags & RECORDS, 0));
            check_covers(&f->flush, vaddrs[i], pages[i].page_size, pages[i].page_size);
            rights_are_owed = true;
            next++;
        }
        assert_int_equal(seen.count, next);
        assert_true(rights_are_owed);
        assert_int_equal(f->flush.range_count, next);
        assert_false(f->flush.tables_changed);
        assert_hex_equal(f->flush.retired, PT_NO_FRAME);
        settle(f);

        /* they are gone, and with them everything that is owed */
        seen.count = 0;
        assert_refused(f, clear_marks(f, mark, 0, format_lower_last(f->format) + 1, see, &seen), PT_OK);
        assert_int_equal(seen.count, 0);
        clear(f);
    }
}

static void clearing_a_mark_clears_it_of_every_page_and_nothing_else(void **state)
{
    with_tracking(*state, check_clear);
}

static void check_clear_in_part(struct fixture *f)
{
    static const pt_flags marks[] = {PT_ACCESSED, PT_DIRTY};
    const uint64_t page = small(f);

    for (size_t m = 0; m < 2; m++) {
        const pt_flags mark = marks[m];

        FOR_EACH_PAGE_SIZE(size, f->format) {
            const pt_vaddr vaddr = 8 * size;
            const uint64_t offsets[] = {0, size / 2 / page * page, size - page};

            for (size_t i = 0; i < TESTS_COUNT(offsets); i++) {
                struct seen seen = {.stop_at = 99};

                for (unsigned j = 0; j < 5; j++)
                    make_page(f, vaddr + j * size, PADDR + j * size, size, RW, RECORDS, 0);
                settle(f);
                /* from somewhere in the second to somewhere in the fourth: those two wholly, and what is between */
                assert_ok(clear_marks(f, mark, vaddr + size + offsets[i], 2 * size + page, i ? see : NULL, &seen));
                assert_int_equal(seen.count, i == 0 ? 0 : 3);
                for (unsigned j = 0; j < 5; j++)
                    assert_mapped(&f->table, vaddr + j * size, PADDR + j * size, size,
                                  RW | (j >= 1 && j <= 3 ? RECORDS & ~mark : RECORDS));
                for (size_t j = 0; j < seen.count; j++)
                    assert_hex_equal(seen.visits[j].vaddr, vaddr + (j + 1) * size);
                check_owes_range(&f->flush, vaddr + size, 3 * size, size);
                clear(f);
            }
        }
    }
}

static void clearing_a_part_of_a_huge_page_clears_its_mark(void **state)
{
    with_tracking(*state, check_clear_in_part);
}

static void check_clear_stops(struct fixture *f)
{
    const uint64_t page = small(f);

    for (size_t stop_at = 1; stop_at <= 4; stop_at++) {
        struct seen seen = {.stop_at = stop_at};

        for (unsigned j = 0; j < 4; j++)
            make_page(f, j * 3 * page, PADDR, page, RW, PT_ACCESSED, 0);
        settle(f);
        assert_ok(pt_clear_accessed(&f->table, 0, 64 * page, see, &seen, &f->flush));
        assert_int_equal(seen.count, stop_at);
        assert_int_equal(f->flush.range_count, stop_at);
        for (unsigned j = 0; j < 4; j++)
            assert_mapped(&f->table, j * 3 * page, PADDR, page, j < stop_at ? RW : RW | PT_ACCESSED);
        clear(f);
    }
}

static void a_visitor_that_has_seen_enough_ends_the_clearing(void **state)
{
    with_tracking(*state, check_clear_stops);
}

static void check_clear_owes(struct fixture *f)
{
    const uint64_t page = small(f);
    pt_vaddr last = format_upper_first(f->format) ? 0 - page : format_lower_last(f->format) - page + 1;

    /* a page without access, which remembers what was recorded of it, is in no TLB */
    make_page(f, 0, PADDR, page, 0, RECORDS, 0);
    make_page(f, page, PADDR, page, PT_GLOBAL | PT_READ, RECORDS, 0);
    settle(f);
    assert_ok(pt_clear_accessed(&f->table, 0, page, NULL, NULL, &f->flush));
    assert_mapped(&f->table, 0, PADDR, page, PT_DIRTY);
    assert_ok(pt_clear_dirty(&f->table, 0, page, NULL, NULL, &f->flush));
    assert_mapped(&f->table, 0, PADDR, page, 0);
    check_owes_nothing(&f->flush);
    assert_ok(pt_clear_dirty(&f->table, 0, 2 * page, NULL, NULL, &f->flush));
    check_owes_range(&f->flush, page, page, page);
    assert_int_equal(f->flush.global, !never_global(f));
    assert_false(f->flush.tables_changed);
    settle(f);

    /* the last page there is, in a region that ends with it */
    make_page(f, last, PADDR, page, RW, RECORDS, 0);
    settle(f);
    assert_ok(pt_clear_dirty(&f->table, last, page, NULL, NULL, &f->flush));
    assert_mapped(&f->table, last, PADDR, page, RW | PT_ACCESSED);
    assert_ok(pt_clear_accessed(&f->table, last & ~format_lower_last(f->format), format_lower_last(f->format) + 1, NULL,
                                NULL, &f->flush));
    assert_mapped(&f->table, last, PADDR, page, RW);
    settle(f);

    /* what is cleared can be recorded again */
    record(f->format, slot_at(f, last, page), RECORDS);
    assert_mapped(&f->table, last, PADDR, page, RW | RECORDS);
}

static void clearing_owes_the_pages_that_a_tlb_may_hold(void **state)
{
    with_tracking(*state, check_clear_owes);
}

/* What the hardware records in a page while its marks are being cleared survives, unless it is what is cleared. */
static void check_clear_beside_the_hardware(struct fixture *f)
{
    const uint64_t page = small(f);
    size_t recorded = 0;

    for (size_t in = 1; in < 12; in++) {
        struct recorder recorder = {.f = f, .in = in};
        struct pt_mapping now;

        make_page(f, 0, PADDR, page, RW, PT_ACCESSED, 0);
        settle(f);
        recorder.slot = slot_at(f, 0, page);
        recorder.original = slot_get(recorder.slot);
        f->memory->on_translate_arg = &recorder;
        f->memory->on_translate = record_now;
        assert_ok(pt_clear_accessed(&f->table, 0, page, NULL, NULL, &f->flush));
        f->memory->on_translate = NULL;
        assert_ok(pt_query(&f->table, 0, &now));
        assert_hex_equal(now.flags, format_reads_back(f->format, RW) | (recorder.done ? PT_DIRTY : 0));
        recorded += recorder.done;
        clear(f);
    }
    assert_true(recorded > 0);
}

static void clearing_one_mark_does_not_lose_the_other(void **state)
{
    with_tracking(*state, check_clear_beside_the_hardware);
}

/* Bits that are free for software, each by itself, whatever becomes of the page's rights. */
static void check_software_bits(struct fixture *f)
{
    static const pt_flags sets[] = {RW, PT_READ, 0, RW | PT_USER | PT_GLOBAL, RW | PT_DEVICE};
    const uint64_t software = facts_of(f->format)->software;
    const pt_vaddr vaddr = place(f, 1);

    FOR_EACH_PAGE_SIZE(page, f->format) {
        for (uint64_t bit = 1; bit != 0; bit <<= 1) {
            if (!(software & bit))
                continue;
            make_page(f, vaddr, 2 * page, page, RW, 0, bit);
            for (size_t i = 0; i < 2 * TESTS_COUNT(sets); i++) {
                const pt_flags flags = sets[i % TESTS_COUNT(sets)];

                if (i % 2 == 0)
                    assert_ok(pt_protect(&f->table, vaddr, flags, NULL, &f->flush));
                else
                    assert_ok(pt_protect_region(&f->table, vaddr, page, flags, 0, &f->flush));
                assert_hex_equal(bits_at(f, vaddr, page) & software, bit);
                assert_mapped(&f->table, vaddr, 2 * page, page, format_reads_back(f->format, flags));
            }
            assert_ok(pt_remap(&f->table, vaddr, 3 * page, RW, NULL, &f->flush));
            assert_hex_equal(bits_at(f, vaddr, page) & software, 0);
            clear(f);
        }
    }
}

static void what_software_keeps_in_an_entry_survives_protect_but_not_remap(void **state)
{
    with_variants(*state, check_software_bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(split_keeps_translation_flags_and_records_and_collapse_is_its_inverse),
        TESTS_OF_EACH_FORMAT(what_software_keeps_in_an_entry_survives_protect_but_not_remap),
        TESTS_OF_EACH_FORMAT(split_and_collapse_keep_every_bit_of_the_address),
        TESTS_OF_EACH_FORMAT(split_leaves_its_neighbours_alone),
        TESTS_OF_EACH_FORMAT(what_is_recorded_during_a_split_is_not_lost),
        TESTS_OF_EACH_FORMAT(a_small_hole_in_a_huge_page_costs_one_table_a_level),
        TESTS_OF_EACH_FORMAT(a_region_splits_at_its_two_ends_only),
        TESTS_OF_EACH_FORMAT(collapse_touches_nothing_that_is_not_one_larger_page),
        TESTS_OF_EACH_FORMAT(collapse_makes_no_page_that_the_format_has_not),
        TESTS_OF_EACH_FORMAT(collapse_goes_from_the_smallest_pages_to_the_largest),
        TESTS_OF_EACH_FORMAT(what_was_recorded_of_any_page_is_recorded_of_the_larger_one),
        TESTS_OF_EACH_FORMAT(what_is_recorded_during_a_collapse_is_not_lost),
        TESTS_OF_EACH_FORMAT(a_lent_table_is_not_collapsed),
        TESTS_OF_EACH_FORMAT(what_was_lent_is_reshaped_through_its_owner),
        TESTS_OF_EACH_FORMAT(prune_retires_exactly_the_empty_tables_on_the_way),
        TESTS_OF_EACH_FORMAT(prune_knows_the_last_address_and_no_access_pages),
        TESTS_OF_EACH_FORMAT(pruned_tables_wait_for_the_flush),
        TESTS_OF_EACH_FORMAT(unmapping_a_region_reclaims_what_it_empties_at_both_ends),
        TESTS_OF_EACH_FORMAT(unmapping_a_region_of_holes_reclaims_too),
        TESTS_OF_EACH_FORMAT(lent_tables_are_emptied_and_kept),
        TESTS_OF_EACH_FORMAT(counting_foretells_what_mapping_takes),
        TESTS_OF_EACH_FORMAT(counting_is_right_by_hand),
        TESTS_OF_EACH_FORMAT(no_table_of_one_region_takes_more_than_the_greatest_number_of_frames),
        TESTS_OF_EACH_FORMAT(split_owes_the_huge_page_once),
        TESTS_OF_EACH_FORMAT(collapse_owes_every_small_page),
        TESTS_OF_EACH_FORMAT(the_break_depends_on_what_the_cpu_can_do),
        TESTS_OF_EACH_FORMAT(regions_owe_the_huge_pages_that_they_split),
        TESTS_OF_EACH_FORMAT(no_access_pages_owe_nothing_when_they_go),
        TESTS_OF_EACH_FORMAT(splitting_a_no_access_page_invalidates_nothing),
        TESTS_OF_EACH_FORMAT(protecting_to_what_is_there_already_owes_nothing),
        TESTS_OF_EACH_FORMAT(a_flush_names_the_asid_of_its_table),
        TESTS_OF_EACH_FORMAT(a_flush_of_what_was_lent_names_no_asid),
        TESTS_OF_EACH_FORMAT(a_flush_says_whether_global_pages_are_among_it),
        TESTS_OF_EACH_FORMAT(clearing_a_mark_clears_it_of_every_page_and_nothing_else),
        TESTS_OF_EACH_FORMAT(clearing_a_part_of_a_huge_page_clears_its_mark),
        TESTS_OF_EACH_FORMAT(a_visitor_that_has_seen_enough_ends_the_clearing),
        TESTS_OF_EACH_FORMAT(clearing_owes_the_pages_that_a_tlb_may_hold),
        TESTS_OF_EACH_FORMAT(clearing_one_mark_does_not_lose_the_other),
    };

    return cmocka_run_group_tests_name("reshape", tests, NULL, NULL);
}
