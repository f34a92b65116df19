/* SPDX-License-Identifier: MIT */
/* What goes into a page comes out of it again: every set of flags, at every level, at every boundary. */
#include "formats.h"
#include "memory.h"
#include "slot.h"
#include "test.h"

#define BIT(n) (UINT64_C(1) << (n))
#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)

/** Where the manuals put what the descriptor does not tell. */
struct bit_facts {
    const char *name;
    uint64_t valid;       /* clear in every entry that the hardware must fault on; one of them is set in all others */
    uint64_t huge_marker; /* set in a huge page without access, lest the hardware take it for a table */
    uint64_t global;      /* of a page of the smallest size */
    uint64_t huge_global;
    bool global_is_clear; /* the bit says "not global" */
    uint64_t accessed;    /* the hardware sets it by itself, where it tracks accesses */
    uint64_t dirty_set;   /* and sets these, of a page that may be written ... */
    uint64_t dirty_clear; /* ... and clears those, when it is written */
    bool dirty_is_safe;   /* and nothing is wrong with a page that looks like this and may not be written */
};

static const struct bit_facts bit_facts[] = {
    {.name = "pt_x86_64",
     .valid = BIT(0),
     .global = BIT(8),
     .huge_global = BIT(8),
     .accessed = BIT(5),
     .dirty_set = BIT(6)},
    {.name = "pt_x86_64_la57",
     .valid = BIT(0),
     .global = BIT(8),
     .huge_global = BIT(8),
     .accessed = BIT(5),
     .dirty_set = BIT(6)},
    {.name = "pt_x86_pae",
     .valid = BIT(0),
     .global = BIT(8),
     .huge_global = BIT(8),
     .accessed = BIT(5),
     .dirty_set = BIT(6)},
    {.name = "pt_x86_32",
     .valid = BIT(0),
     .global = BIT(8),
     .huge_global = BIT(8),
     .accessed = BIT(5),
     .dirty_set = BIT(6)},
    {.name = "test_x86_64_no_nx",
     .valid = BIT(0),
     .global = BIT(8),
     .huge_global = BIT(8),
     .accessed = BIT(5),
     .dirty_set = BIT(6)},
    {.name = "test_x86_64_sev",
     .valid = BIT(0),
     .global = BIT(8),
     .huge_global = BIT(8),
     .accessed = BIT(5),
     .dirty_set = BIT(6)},
    {.name = "test_x86_64_tdx",
     .valid = BIT(0),
     .global = BIT(8),
     .huge_global = BIT(8),
     .accessed = BIT(5),
     .dirty_set = BIT(6)},
    {.name = "pt_npt_4level", .valid = BIT(0), .accessed = BIT(5), .dirty_set = BIT(6)},
    {.name = "pt_npt_5level", .valid = BIT(0), .accessed = BIT(5), .dirty_set = BIT(6)},
    {.name = "pt_ept_4level",
     .valid = BIT(0) | BIT(1) | BIT(2),
     .accessed = BIT(8),
     .dirty_set = BIT(9),
     .dirty_is_safe = true},
    {.name = "pt_ept_5level",
     .valid = BIT(0) | BIT(1) | BIT(2),
     .accessed = BIT(8),
     .dirty_set = BIT(9),
     .dirty_is_safe = true},
    {.name = "test_ept_all",
     .valid = BIT(0) | BIT(1) | BIT(2) | BIT(10),
     .accessed = BIT(8),
     .dirty_set = BIT(9),
     .dirty_is_safe = true},
    {.name = "pt_aarch64",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "pt_aarch64_16k",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "pt_aarch64_64k",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "pt_aarch64_4k_52",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "test_aarch64_4k_lpa2",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "pt_aarch64_16k_52",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "pt_aarch64_64k_52",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "pt_aarch64_stage2", .valid = BIT(0), .accessed = BIT(10), .dirty_set = BIT(7)},
    {.name = "pt_aarch64_stage2_16k", .valid = BIT(0), .accessed = BIT(10), .dirty_set = BIT(7)},
    {.name = "pt_aarch64_stage2_64k", .valid = BIT(0), .accessed = BIT(10), .dirty_set = BIT(7)},
    {.name = "test_aarch64_stage2_52", .valid = BIT(0), .accessed = BIT(10), .dirty_set = BIT(7)},
    {.name = "test_aarch64_stage2_xnx", .valid = BIT(0), .accessed = BIT(10), .dirty_set = BIT(7)},
    {.name = "pt_aarch64_el2", .valid = BIT(0), .accessed = BIT(10), .dirty_clear = BIT(7)},
    {.name = "test_aarch64_4k_contiguous",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "test_aarch64_16k_contiguous",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "test_aarch64_64k_contiguous",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true,
     .accessed = BIT(10),
     .dirty_clear = BIT(7)},
    {.name = "test_armv7_lpae_no_1g",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true},
    {.name = "test_armv7_lpae_ttbr1",
     .valid = BIT(0),
     .global = BIT(11),
     .huge_global = BIT(11),
     .global_is_clear = true},
    {.name = "pt_sv39",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "pt_sv48",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "pt_sv57",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "test_sv39_svvptc",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "test_sv39_svpbmt",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "test_sv39_svnapot",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "test_sv39_c9xx",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "pt_sv32",
     .valid = BIT(0),
     .global = BIT(5),
     .huge_global = BIT(5),
     .accessed = BIT(6),
     .dirty_set = BIT(7),
     .dirty_is_safe = true},
    {.name = "pt_sv39x4", .valid = BIT(0), .accessed = BIT(6), .dirty_set = BIT(7), .dirty_is_safe = true},
    {.name = "pt_sv48x4", .valid = BIT(0), .accessed = BIT(6), .dirty_set = BIT(7), .dirty_is_safe = true},
    {.name = "pt_sv57x4", .valid = BIT(0), .accessed = BIT(6), .dirty_set = BIT(7), .dirty_is_safe = true},
    {.name = "pt_sv32x4", .valid = BIT(0), .accessed = BIT(6), .dirty_set = BIT(7), .dirty_is_safe = true},
    {.name = "pt_armv7_short",
     .valid = BIT(1) | BIT(0),
     .global = BIT(11),
     .huge_global = BIT(17),
     .global_is_clear = true},
    {.name = "pt_loongarch64", .valid = BIT(0), .huge_marker = BIT(6), .global = BIT(6), .huge_global = BIT(12)},
    {.name = "pt_loongarch64_3level", .valid = BIT(0), .huge_marker = BIT(6), .global = BIT(6), .huge_global = BIT(12)},
    {.name = "pt_loongarch64_16k", .valid = BIT(0), .huge_marker = BIT(6), .global = BIT(6), .huge_global = BIT(12)},
    {.name = "pt_loongarch64_64k", .valid = BIT(0), .huge_marker = BIT(6), .global = BIT(6), .huge_global = BIT(12)},
};

static const struct bit_facts *facts_of(const struct pt_format *format)
{
    const char *name = format_facts(format)->name;

    for (size_t i = 0; i < TESTS_COUNT(bit_facts); i++)
        if (strcmp(bit_facts[i].name, name) == 0)
            return &bit_facts[i];
    fail_msg("round_trip.c has no facts about %s", name);
    return NULL;
}

/* ---- Boundaries -------------------------------------------------------------------------------- */

#define MAX_ADDRESSES 12

struct addresses {
    size_t count;
    uint64_t at[MAX_ADDRESSES];
};

static void add_address(struct addresses *addresses, uint64_t address)
{
    for (size_t i = 0; i < addresses->count; i++)
        if (addresses->at[i] == address)
            return;
    assert_true(addresses->count < MAX_ADDRESSES);
    addresses->at[addresses->count++] = address;
}

/** Frames for a page of this size: the first, the second, the last of each width that is common, the last, some others. */
static struct addresses frames_for(const struct pt_format *format, uint64_t page_size)
{
    static const unsigned widths[] = {32, 36, 48, 52, 56, 60, 64};
    pt_paddr last = format_paddr_last(format);
    struct addresses frames = {0};

    add_address(&frames, 0);
    if (page_size <= last)
        add_address(&frames, page_size);
    for (size_t i = 0; i < TESTS_COUNT(widths); i++) {
        uint64_t end = widths[i] == 64 ? 0 : BIT(widths[i]); /* 0: 2^64 */

        if (widths[i] <= format->pa_bits && page_size <= end - 1)
            add_address(&frames, end - page_size);
    }
    add_address(&frames, last & ~(page_size - 1));
    add_address(&frames, UINT64_C(0xaaaaaaaaaaaaaaaa) & last & ~(page_size - 1));
    add_address(&frames, UINT64_C(0x5555555555555555) & last & ~(page_size - 1));
    return frames;
}

/** Pages of this size: the first and the last of each half, and one in between. */
static struct addresses pages_for(const struct pt_format *format, uint64_t page_size)
{
    pt_vaddr lower_last = format_lower_last(format), upper_first = format_upper_first(format);
    struct addresses pages = {0};

    add_address(&pages, 0);
    add_address(&pages, (lower_last >> 1) & ~(page_size - 1));
    add_address(&pages, lower_last & ~(page_size - 1));
    if (upper_first != 0) {
        add_address(&pages, upper_first);
        add_address(&pages, ~(page_size - 1));
    }
    return pages;
}

/** A page of any size may be mapped here; the walk reports it at this address. */
static pt_vaddr some_page(uint64_t page_size)
{
    return 3 * page_size;
}

static uint64_t raw_entry(const struct fixture *f, pt_vaddr vaddr, uint64_t page_size)
{
    struct pt_visit visit = visit_of(&f->table, vaddr, format_level_of(f->format, page_size));

    assert_true(visit.is_leaf);
    return visit.bits;
}

/** The entry that these make of a page at some_page(). */
static uint64_t entry_of(struct fixture *f, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    uint64_t bits;

    assert_ok(pt_map(&f->table, some_page(page_size), paddr, page_size, flags, &f->flush));
    bits = raw_entry(f, some_page(page_size), page_size);
    assert_ok(pt_unmap(&f->table, some_page(page_size), NULL, &f->flush));
    pt_flush_ignore(&f->flush);
    return bits;
}

/* ---- Map, query, unmap ------------------------------------------------------------------------- */

static void check_round_trip(struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    pt_flags expected = format_reads_back(f->format, flags);
    uint64_t offsets[] = {0, 1, page_size / 2 + 8, page_size - 1};
    struct pt_mapping old = {.paddr = 1, .page_size = 1, .flags = ~(pt_flags)0};

    assert_ok(pt_map(&f->table, vaddr, paddr, page_size, flags, &f->flush));
    for (size_t i = 0; i < TESTS_COUNT(offsets); i++)
        assert_mapped(&f->table, vaddr + offsets[i], paddr + offsets[i], page_size, expected);

    /* From any address inside, the first byte of the page is reported. */
    assert_ok(pt_unmap(&f->table, vaddr + offsets[2], &old, &f->flush));
    assert_hex_equal(old.paddr, paddr);
    assert_hex_equal(old.page_size, page_size);
    assert_hex_equal(old.flags, expected);
    assert_not_mapped(&f->table, vaddr);
    assert_not_mapped(&f->table, vaddr + page_size - 1);
    pt_flush_ignore(&f->flush);
}

static void every_flag_set_comes_back_at_every_level_and_boundary(void **state)
{
    struct fixture *f = *state;
    unsigned pages_checked = 0;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        struct addresses frames = frames_for(f->format, size);
        struct addresses pages = pages_for(f->format, size);

        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++)
            for (size_t i = 0; i < frames.count; i++)
                for (size_t j = 0; j < pages.count; j++) {
                    check_round_trip(f, pages.at[j], frames.at[i], size, flags);
                    pages_checked++;
                }
        /* A table of larger pages must not stand in the way of the next size's. */
        assert_ok(pt_unmap_region(&f->table, 0, format_lower_last(f->format) + 1, PT_SKIP_HOLES, &f->flush));
        pt_flush_ignore(&f->flush);
    }
    print_message("%u pages checked\n", pages_checked);
}

static void addresses_beyond_the_format_s_width_are_refused_at_every_level(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_paddr last = format_paddr_last(f->format) & ~(size - 1);

        if (last + size == 0)
            continue;
        assert_status(pt_map(&f->table, 0, last + size, size, PT_READ, &f->flush), PT_BAD_ADDRESS);
        assert_ok(pt_map(&f->table, 0, last, size, PT_READ, &f->flush));
        assert_status(pt_remap(&f->table, 0, last + size, PT_READ, NULL, &f->flush), PT_BAD_ADDRESS);
        assert_mapped(&f->table, 0, last, size, PT_READ);
        /* A region that begins inside and ends outside. */
        assert_status(pt_map_region(&f->table, size, last, 2 * size, PT_READ, PT_ALLOW_HUGE, &f->flush),
                      PT_BAD_ADDRESS);
        assert_not_mapped(&f->table, size);
        assert_ok(pt_unmap_region(&f->table, 0, format_lower_last(f->format) + 1, PT_SKIP_HOLES, &f->flush));
    }
}

static void walk_and_query_tell_the_same_of_every_page(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        struct addresses frames = frames_for(f->format, size);

        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            pt_paddr paddr = frames.at[flags % frames.count];
            struct pt_visit visit;

            assert_ok(pt_map(&f->table, some_page(size), paddr, size, flags, &f->flush));
            visit = visit_of(&f->table, some_page(size), format_level_of(f->format, size));
            assert_true(visit.is_leaf);
            assert_mapped(&f->table, some_page(size), visit.mapping.paddr, visit.mapping.page_size,
                          visit.mapping.flags);
            assert_hex_equal(visit.mapping.paddr, paddr);
            assert_ok(pt_unmap(&f->table, some_page(size), NULL, &f->flush));
            pt_flush_ignore(&f->flush);
        }
    }
}

/* ---- What the flags mean ----------------------------------------------------------------------- */

static void device_and_uncached_are_told_apart(void **state)
{
    struct fixture *f = *state;
    bool apart = format_facts(f->format)->has_memory_types;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        uint64_t normal = entry_of(f, 0, size, PT_READ | PT_WRITE);
        uint64_t device = entry_of(f, 0, size, PT_READ | PT_WRITE | PT_DEVICE);
        uint64_t uncached = entry_of(f, 0, size, PT_READ | PT_WRITE | PT_UNCACHED);
        uint64_t both = entry_of(f, 0, size, PT_READ | PT_WRITE | PT_DEVICE | PT_UNCACHED);

        assert_hex_equal(both, device);
        assert_true((device != normal) == apart);
        assert_true((uncached != normal) == apart);
        assert_true((uncached != device) == apart);
    }
}

/** What a right or a type changes in an entry does not depend on where the page is. */
static void flags_and_address_do_not_touch_each_other(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        struct addresses frames = frames_for(f->format, size);

        for (pt_flags flags = 1; flags <= PT_ALL_FLAGS; flags++) {
            uint64_t at_zero, plain;

            if (!(flags & RIGHTS)) /* x86 inverts the address of these */
                continue;
            at_zero = entry_of(f, 0, size, flags);
            plain = entry_of(f, 0, size, PT_READ);
            for (size_t i = 0; i < frames.count; i++)
                assert_hex_equal(entry_of(f, frames.at[i], size, flags) ^ entry_of(f, frames.at[i], size, PT_READ),
                                 at_zero ^ plain);
        }
    }
}

static void global_is_the_manual_s_bit_at_every_level(void **state)
{
    struct fixture *f = *state;
    const struct bit_facts *facts = facts_of(f->format);
    bool never = format_facts(f->format)->never_global;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        bool last = format_level_of(f->format, size) == f->format->levels - 1u;
        uint64_t bit = last ? facts->global : facts->huge_global;
        struct addresses frames = frames_for(f->format, size);

        for (pt_flags flags = 0; flags < PT_GLOBAL; flags++) {
            pt_paddr paddr = frames.at[flags % frames.count];
            uint64_t without = entry_of(f, paddr, size, flags);
            uint64_t with = entry_of(f, paddr, size, flags | PT_GLOBAL);

            if (!(flags & RIGHTS)) { /* the hardware does not look: any bit will do */
                assert_int_equal(with == without, never);
                continue;
            }
            assert_hex_equal(with ^ without, bit);
            assert_hex_equal(with & bit, facts->global_is_clear ? 0 : bit);
        }
    }
}

static void user_pages_of_a_kernel_are_not_the_kernel_s(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        for (pt_flags flags = 1; flags <= PT_ALL_FLAGS; flags++)
            if ((flags & RIGHTS) && !(flags & PT_USER))
                assert_int_equal(entry_of(f, 0, size, flags) == entry_of(f, 0, size, flags | PT_USER),
                                 format_reads_back(f->format, flags) == format_reads_back(f->format, flags | PT_USER));
    }
}

/* ---- Protect and remap ------------------------------------------------------------------------- */

static void protect_to_any_flag_set_keeps_the_address(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        struct addresses frames = frames_for(f->format, size);

        for (pt_flags from = 0; from <= PT_ALL_FLAGS; from++) {
            pt_paddr paddr = frames.at[from % frames.count];

            for (pt_flags to = 0; to <= PT_ALL_FLAGS; to++) {
                uint64_t found = 0;

                assert_ok(pt_map(&f->table, some_page(size), paddr, size, from, &f->flush));
                assert_ok(pt_protect(&f->table, some_page(size) + size - 1, to, &found, &f->flush));
                assert_hex_equal(found, size);
                assert_mapped(&f->table, some_page(size), paddr, size, format_reads_back(f->format, to));
                assert_ok(pt_unmap(&f->table, some_page(size), NULL, &f->flush));
                pt_flush_ignore(&f->flush);
            }
        }
    }
}

/** Nothing of the old rights is left behind: the entry is the one that a fresh mapping gets. */
static void protect_leaves_nothing_of_the_old_flags(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        for (pt_flags to = 0; to <= PT_ALL_FLAGS; to++) {
            uint64_t fresh = entry_of(f, size, size, to);

            for (pt_flags from = 0; from <= PT_ALL_FLAGS; from++) {
                assert_ok(pt_map(&f->table, some_page(size), size, size, from, &f->flush));
                assert_ok(pt_protect(&f->table, some_page(size), to, NULL, &f->flush));
                assert_hex_equal(raw_entry(f, some_page(size), size), fresh);
                assert_ok(pt_unmap(&f->table, some_page(size), NULL, &f->flush));
                pt_flush_ignore(&f->flush);
            }
        }
    }
}

static void remap_changes_address_and_flags(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        struct addresses frames = frames_for(f->format, size);

        for (pt_flags from = 0; from <= PT_ALL_FLAGS; from += 3)
            for (pt_flags to = 0; to <= PT_ALL_FLAGS; to++) {
                pt_paddr old = frames.at[from % frames.count], new = frames.at[to % frames.count];
                uint64_t fresh = entry_of(f, new, size, to);
                uint64_t found = 0;

                assert_ok(pt_map(&f->table, some_page(size), old, size, from, &f->flush));
                assert_ok(pt_remap(&f->table, some_page(size) + 1, new, to, &found, &f->flush));
                assert_hex_equal(found, size);
                assert_mapped(&f->table, some_page(size) + 7, new + 7, size, format_reads_back(f->format, to));
                assert_hex_equal(raw_entry(f, some_page(size), size), fresh);
                assert_ok(pt_unmap(&f->table, some_page(size), NULL, &f->flush));
                pt_flush_ignore(&f->flush);
            }
    }
}

static void remap_wants_the_alignment_of_the_page_that_is_there(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        assert_ok(pt_map(&f->table, some_page(size), size, size, PT_READ, &f->flush));
        assert_status(pt_remap(&f->table, some_page(size), size / 2, PT_READ, NULL, &f->flush), PT_NOT_ALIGNED);
        assert_mapped(&f->table, some_page(size), size, size, PT_READ);
        assert_ok(pt_unmap(&f->table, some_page(size), NULL, &f->flush));
    }
}

/* ---- What the hardware records ------------------------------------------------------------------- */

/** Run the test on the format, or on a copy of it, that tracks accesses, or does not. false: there is no such one. */
static bool with_tracking(const struct fixture *outer, bool tracks, void (*test)(struct fixture *f))
{
    struct pt_format copy = *outer->format;
    void *inner = (void *)(uintptr_t)outer->format;

    if (copy.tracks_access != tracks) {
#ifdef PT_ONLY_FORMAT
        return false; /* there is no other descriptor than the one */
#endif
        if (!format_facts(outer->format)->can_track_access)
            return false;
        copy.tracks_access = tracks;
        inner = &copy;
    }
    fixture_set_up(&inner);
    test(inner);
    fixture_tear_down(&inner);
    return true;
}

/** The hardware records in the entry that the page was accessed, dirtied, or both. */
static void record(const struct bit_facts *facts, struct slot slot, pt_flags recorded)
{
    if (recorded & PT_ACCESSED)
        slot_set(slot, slot_get(slot) | facts->accessed);
    if (recorded & PT_DIRTY)
        slot_set(slot, (slot_get(slot) | facts->dirty_set) & ~facts->dirty_clear);
}

/** The entry looks as if the hardware had written to the page, or could have. */
static bool looks_dirty(const struct bit_facts *facts, uint64_t entry)
{
    return (entry & (facts->dirty_set | facts->dirty_clear)) == facts->dirty_set;
}

/**
 * Accessed and dirty, as the hardware leaves them, are reported, survive new flags and die with the old frame.
 * Dirty waits elsewhere while the page is not writable: on x86 CPUs with CET, dirty and read-only is a shadow
 * stack, on AArch64 it is writable.
 */
static void check_records(struct fixture *f)
{
    static const pt_flags ways[][3] = {
        {PT_READ, PT_READ | PT_EXECUTE, PT_READ | PT_USER},
        {0, 0, 0},
        {PT_READ | PT_WRITE | PT_GLOBAL, PT_READ, 0},
        {0, PT_READ | PT_DEVICE, PT_WRITE | PT_EXECUTE},
    };
    static const pt_flags records[] = {0, PT_ACCESSED, PT_DIRTY, PT_ACCESSED | PT_DIRTY};
    const struct bit_facts *facts = facts_of(f->format);
    const pt_flags rw = PT_READ | PT_WRITE;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        uint64_t fresh = entry_of(f, 2 * size, size, rw);
        pt_vaddr vaddr = some_page(size);

        for (size_t r = 0; r < TESTS_COUNT(records); r++)
            for (size_t i = 0; i < TESTS_COUNT(ways); i++) {
                const pt_flags recorded = records[r];
                uint64_t accessed = recorded & PT_ACCESSED ? facts->accessed : 0;
                struct pt_mapping old;
                struct pt_visit visit;
                struct slot slot;

                assert_ok(pt_map(&f->table, vaddr, size, size, rw | PT_USER, &f->flush));
                visit = visit_of(&f->table, vaddr, format_level_of(f->format, size));
                slot = slot_of(f, &visit);
                record(facts, slot, recorded);
                assert_mapped(&f->table, vaddr, size, size, rw | PT_USER | recorded);

                for (size_t j = 0; j < TESTS_COUNT(ways[i]); j++) {
                    if (j == 1)
                        assert_ok(pt_protect_region(&f->table, vaddr, size, ways[i][j], 0, &f->flush));
                    else
                        assert_ok(pt_protect(&f->table, vaddr, ways[i][j], NULL, &f->flush));
                    assert_mapped(&f->table, vaddr, size, size, format_reads_back(f->format, ways[i][j]) | recorded);
                    assert_hex_equal(slot_get(slot) & facts->accessed, accessed);
                    if (ways[i][j] & PT_WRITE)
                        assert_int_equal(looks_dirty(facts, slot_get(slot)), (recorded & PT_DIRTY) != 0);
                    else if (!facts->dirty_is_safe)
                        assert_false(looks_dirty(facts, slot_get(slot)));
                    visit = visit_of(&f->table, vaddr, format_level_of(f->format, size));
                    assert_hex_equal(visit.mapping.flags, format_reads_back(f->format, ways[i][j]) | recorded);
                }
                assert_ok(pt_protect(&f->table, vaddr, rw, NULL, &f->flush));
                assert_hex_equal(slot_get(slot) & facts->accessed, accessed);
                assert_int_equal(looks_dirty(facts, slot_get(slot)), (recorded & PT_DIRTY) != 0);

                assert_ok(pt_remap(&f->table, vaddr, 2 * size, rw, NULL, &f->flush));
                assert_hex_equal(slot_get(slot), fresh);
                record(facts, slot, recorded);
                assert_ok(pt_protect(&f->table, vaddr, PT_READ, NULL, &f->flush));
                assert_ok(pt_remap(&f->table, vaddr, 3 * size, PT_READ, NULL, &f->flush));
                assert_mapped(&f->table, vaddr, 3 * size, size, PT_READ);
                assert_ok(pt_remap(&f->table, vaddr, 2 * size, rw, NULL, &f->flush));
                assert_hex_equal(slot_get(slot), fresh);

                record(facts, slot, recorded);
                assert_ok(pt_unmap(&f->table, vaddr, &old, &f->flush));
                assert_hex_equal(old.flags, format_reads_back(f->format, rw) | recorded);
                pt_flush_ignore(&f->flush);
            }
    }
}

static void what_the_hardware_recorded_survives_protect_but_not_remap(void **state)
{
    if (!with_tracking(*state, true, check_records))
        skip();
}

/** New mappings have nothing recorded. */
static void check_fresh(struct fixture *f)
{
    const struct bit_facts *facts = facts_of(f->format);

    FOR_EACH_PAGE_SIZE(size, f->format) {
        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            uint64_t entry = entry_of(f, size, size, flags);

            assert_hex_equal(entry & facts->accessed, 0);
            if (flags & RIGHTS)
                assert_false(looks_dirty(facts, entry));
        }
    }
}

static void new_mappings_are_neither_accessed_nor_dirty_where_that_is_tracked(void **state)
{
    if (!with_tracking(*state, true, check_fresh))
        skip();
}

/**
 * Where nobody tracks, CPUs would fault on a clear bit, or waste time setting it: what may be used is accessed,
 * what may be written is dirty, and neither is ever reported or cleared.
 */
static void check_untracked(struct fixture *f)
{
    const struct bit_facts *facts = facts_of(f->format);

    FOR_EACH_PAGE_SIZE(size, f->format) {
        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            pt_vaddr vaddr = some_page(size);
            struct pt_visit visit;

            assert_ok(pt_map(&f->table, vaddr, size, size, flags, &f->flush));
            assert_mapped(&f->table, vaddr, size, size, format_reads_back(f->format, flags));
            visit = visit_of(&f->table, vaddr, format_level_of(f->format, size));
            if (flags & RIGHTS)
                assert_hex_equal(visit.bits & facts->accessed, facts->accessed);
            if (flags & PT_WRITE)
                assert_true(looks_dirty(facts, visit.bits));
            assert_ok(pt_protect(&f->table, vaddr, PT_READ | PT_WRITE, NULL, &f->flush));
            assert_mapped(&f->table, vaddr, size, size, PT_READ | PT_WRITE);
            assert_ok(pt_protect(&f->table, vaddr, flags, NULL, &f->flush));
            assert_mapped(&f->table, vaddr, size, size, format_reads_back(f->format, flags));
            assert_status(pt_clear_accessed(&f->table, vaddr, size, NULL, NULL, &f->flush), PT_BAD_FORMAT);
            assert_status(pt_clear_dirty(&f->table, vaddr, size, NULL, NULL, &f->flush), PT_BAD_FORMAT);
            assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
            pt_flush_ignore(&f->flush);
        }
    }
}

static void nothing_recorded_is_reported_where_it_is_not_tracked(void **state)
{
    if (!with_tracking(*state, false, check_untracked))
        skip();
}

/* ---- Other memory-type indices ------------------------------------------------------------------ */

/** The bits of an entry that hold the memory type's index, the lowest first; 0: there is no such bit. */
struct index_facts {
    const char *name;
    uint64_t bits[3], huge_bits[3];
};

static const struct index_facts index_facts[] = {
    {"pt_x86_64", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"pt_x86_64_la57", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"pt_npt_4level", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"pt_npt_5level", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"pt_x86_pae", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"pt_x86_32", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"test_x86_64_no_nx", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"test_x86_64_sev", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"test_x86_64_tdx", {BIT(3), BIT(4), BIT(7)}, {BIT(3), BIT(4), BIT(12)}},
    {"pt_aarch64", {BIT(2), BIT(3), BIT(4)}, {BIT(2), BIT(3), BIT(4)}},
    {"test_armv7_lpae_no_1g", {BIT(2), BIT(3), BIT(4)}, {BIT(2), BIT(3), BIT(4)}},
    {"pt_loongarch64", {BIT(4), BIT(5), 0}, {BIT(4), BIT(5), 0}},
    {"pt_loongarch64_3level", {BIT(4), BIT(5), 0}, {BIT(4), BIT(5), 0}},
    {"pt_loongarch64_16k", {BIT(4), BIT(5), 0}, {BIT(4), BIT(5), 0}},
    {"pt_loongarch64_64k", {BIT(4), BIT(5), 0}, {BIT(4), BIT(5), 0}},
};

/** A kernel may set up its PAT, MAIR or whatever it is called as it likes: any three indices do. */
static void any_memory_type_index_has_its_bits_at_every_level(void **state)
{
    const struct fixture *outer = *state;
    struct pt_format own = *outer->format;
    const struct index_facts *facts = NULL;
    unsigned indices;

#ifdef PT_ONLY_FORMAT
    skip(); /* there is no other descriptor than the one */
#endif
    for (size_t i = 0; i < TESTS_COUNT(index_facts); i++)
        if (strcmp(index_facts[i].name, format_facts(&own)->name) == 0)
            facts = &index_facts[i];
    if (!facts)
        skip();
    indices = facts->bits[2] ? 8 : 4;

    for (unsigned i = 0; i < indices; i++) {
        const uint8_t index[] = {(uint8_t)i, (uint8_t)((i + 1) % indices), (uint8_t)((i + 3) % indices)};
        static const pt_flags types[] = {0, PT_DEVICE, PT_UNCACHED};
        struct fixture *f;
        void *inner;

        own.memory_index.normal = index[0];
        own.memory_index.device = index[1];
        own.memory_index.uncached = index[2];
        inner = &own;
        fixture_set_up(&inner);
        f = inner;
        FOR_EACH_PAGE_SIZE(size, f->format) {
            const uint64_t *bits = size == format_smallest(f->format) ? facts->bits : facts->huge_bits;
            struct addresses frames = frames_for(f->format, size);

            for (size_t type = 0; type < TESTS_COUNT(types); type++)
                for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
                    pt_paddr paddr = frames.at[flags % frames.count];
                    uint64_t all = 0, expected = 0, entry;

                    if ((flags & (PT_DEVICE | PT_UNCACHED)) != 0)
                        continue;
                    for (unsigned bit = 0; bit < 3; bit++) {
                        all |= bits[bit];
                        expected |= index[type] & 1u << bit ? bits[bit] : 0;
                    }
                    entry = entry_of(f, paddr, size, flags | types[type]);
                    if (flags & RIGHTS)
                        assert_hex_equal(entry & all, expected);
                    check_round_trip(f, some_page(size), paddr, size, flags | types[type]);
                }
        }
        fixture_tear_down(&inner);
    }
}

/* ---- No access --------------------------------------------------------------------------------- */

static void no_access_faults_at_every_level(void **state)
{
    struct fixture *f = *state;
    const struct bit_facts *facts = facts_of(f->format);

    FOR_EACH_PAGE_SIZE(size, f->format) {
        struct addresses frames = frames_for(f->format, size);

        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            if (flags & RIGHTS) {
                assert_true((entry_of(f, size, size, flags) & facts->valid) != 0);
                continue;
            }
            for (size_t i = 0; i < frames.count; i++) {
                uint64_t bits = entry_of(f, frames.at[i], size, flags);

                assert_hex_equal(bits & facts->valid, 0);
                if (size > format_smallest(f->format))
                    assert_hex_equal(bits & facts->huge_marker, facts->huge_marker);
            }
        }
    }
}

/** Frame 0, no right, no type: the entry is not zero, and not forgotten. */
static void no_access_to_frame_zero_is_still_a_mapping(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr vaddr = some_page(size);
        uint64_t found = 0;

        assert_ok(pt_map(&f->table, vaddr, 0, size, 0, &f->flush));
        assert_mapped(&f->table, vaddr + size - 1, size - 1, size, 0);
        assert_status(pt_map(&f->table, vaddr, 0, size, PT_READ, &f->flush), PT_ALREADY_MAPPED);
        assert_ok(pt_protect(&f->table, vaddr, PT_READ | PT_EXECUTE, &found, &f->flush));
        assert_hex_equal(found, size);
        assert_mapped(&f->table, vaddr, 0, size, PT_READ | PT_EXECUTE);
        assert_ok(pt_protect(&f->table, vaddr, 0, NULL, &f->flush));
        assert_mapped(&f->table, vaddr, 0, size, 0);
        assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
        assert_not_mapped(&f->table, vaddr);
        pt_flush_ignore(&f->flush);
    }
}

/*
 * L1TF: the CPU may speculate with the address in an entry that is not present, so every address bit
 * that an entry has room for is stored inverted, whatever the descriptor says of the width.
 */
static void check_inverted(struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size)
{
    unsigned width = format_entry_bytes(f->format) == 4 ? 32 : 52;
    uint64_t field = (BIT(width) - 1) & ~(page_size - 1);
    uint64_t bits = raw_entry(f, vaddr, page_size);

    assert_hex_equal(bits & field, ~paddr & field);
}

static void no_access_stores_no_usable_address_on_x86(void **state)
{
    struct fixture *f = *state;

    if (strncmp(format_facts(f->format)->name, "pt_x86", strlen("pt_x86")) != 0)
        skip();

    FOR_EACH_PAGE_SIZE(size, f->format) {
        struct addresses frames = frames_for(f->format, size);
        pt_vaddr vaddr = some_page(size);

        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++) {
            if (flags & RIGHTS)
                continue;
            for (size_t i = 0; i < frames.count; i++) {
                assert_ok(pt_map(&f->table, vaddr, frames.at[i], size, flags, &f->flush));
                check_inverted(f, vaddr, frames.at[i], size);
                assert_ok(pt_protect(&f->table, vaddr, PT_READ | PT_WRITE, NULL, &f->flush));
                assert_hex_equal(raw_entry(f, vaddr, size) & (BIT(f->format->pa_bits) - 1) & ~(size - 1), frames.at[i]);
                assert_ok(pt_protect(&f->table, vaddr, flags, NULL, &f->flush));
                check_inverted(f, vaddr, frames.at[i], size);
                assert_ok(pt_remap(&f->table, vaddr, size, flags, NULL, &f->flush));
                check_inverted(f, vaddr, size, size);
                assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));

                assert_ok(pt_map_region(&f->table, vaddr, frames.at[i], size, flags, PT_ALLOW_HUGE, &f->flush));
                check_inverted(f, vaddr, frames.at[i], size);
                assert_ok(pt_protect_region(&f->table, vaddr, size, PT_READ, 0, &f->flush));
                assert_ok(pt_protect_region(&f->table, vaddr, size, flags, 0, &f->flush));
                check_inverted(f, vaddr, frames.at[i], size);
                assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
                pt_flush_ignore(&f->flush);
            }
        }
    }
}

static void a_narrowed_x86_inverts_all_address_bits_too(void **state)
{
    const struct fixture *outer = *state;
    struct pt_format narrow = *outer->format;
    void *inner = &narrow;
    struct fixture *f;

    if (strncmp(format_facts(outer->format)->name, "pt_x86", strlen("pt_x86")) != 0)
        skip();

    narrow.pa_bits = narrow.pa_bits > 36 ? 36 : 31;
#ifdef PT_ONLY_FORMAT
    skip(); /* there is no other descriptor than the one */
#endif
    fixture_set_up(&inner);
    f = inner;
    FOR_EACH_PAGE_SIZE(size, f->format) {
        assert_ok(pt_map(&f->table, some_page(size), size, size, 0, &f->flush));
        check_inverted(f, some_page(size), size, size);
        assert_mapped(&f->table, some_page(size), size, size, 0);
        assert_ok(pt_unmap(&f->table, some_page(size), NULL, &f->flush));
    }
    fixture_tear_down(&inner);
}

/* PDPTEs are read when CR3 is loaded: whatever changes one owes more than an invalidation by address. */
static void a_changed_root_entry_of_pae_owes_everything(void **state)
{
    struct fixture *f = *state;
    bool latched = strcmp(format_facts(f->format)->name, "pt_x86_pae") == 0;
    uint64_t size = format_smallest(f->format);

    if (strncmp(format_facts(f->format)->name, "pt_x86", strlen("pt_x86")) != 0)
        skip();

    assert_ok(pt_map(&f->table, PT_1G, 0, size, PT_READ, &f->flush));
    assert_int_equal(f->flush.everything, latched);
    pt_flush_ignore(&f->flush);
    assert_ok(pt_map(&f->table, PT_1G + size, 0, size, PT_READ, &f->flush));
    assert_ok(pt_protect(&f->table, PT_1G, 0, NULL, &f->flush));
    assert_false(f->flush.everything);
    pt_flush_ignore(&f->flush);
    assert_ok(pt_unmap_region(&f->table, PT_1G, PT_1G, PT_SKIP_HOLES, &f->flush));
    assert_int_equal(f->flush.everything, latched);
    pt_flush_ignore(&f->flush);

    assert_ok(pt_map(&f->table, PT_1G, 0, size, PT_READ, &f->flush));
    assert_ok(pt_unmap(&f->table, PT_1G, NULL, &f->flush));
    pt_flush_ignore(&f->flush);
    assert_ok(pt_prune(&f->table, PT_1G, PT_1G, &f->flush));
    assert_int_equal(f->flush.everything, latched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF_EACH_FORMAT(every_flag_set_comes_back_at_every_level_and_boundary),
        TESTS_OF_EACH_FORMAT(addresses_beyond_the_format_s_width_are_refused_at_every_level),
        TESTS_OF_EACH_FORMAT(walk_and_query_tell_the_same_of_every_page),
        TESTS_OF_EACH_FORMAT(device_and_uncached_are_told_apart),
        TESTS_OF_EACH_FORMAT(flags_and_address_do_not_touch_each_other),
        TESTS_OF_EACH_FORMAT(global_is_the_manual_s_bit_at_every_level),
        TESTS_OF_EACH_FORMAT(user_pages_of_a_kernel_are_not_the_kernel_s),
        TESTS_OF_EACH_FORMAT(protect_to_any_flag_set_keeps_the_address),
        TESTS_OF_EACH_FORMAT(protect_leaves_nothing_of_the_old_flags),
        TESTS_OF_EACH_FORMAT(remap_changes_address_and_flags),
        TESTS_OF_EACH_FORMAT(remap_wants_the_alignment_of_the_page_that_is_there),
        TESTS_OF_EACH_FORMAT(what_the_hardware_recorded_survives_protect_but_not_remap),
        TESTS_OF_EACH_FORMAT(new_mappings_are_neither_accessed_nor_dirty_where_that_is_tracked),
        TESTS_OF_EACH_FORMAT(nothing_recorded_is_reported_where_it_is_not_tracked),
        TESTS_OF_EACH_FORMAT(any_memory_type_index_has_its_bits_at_every_level),
        TESTS_OF_EACH_FORMAT(no_access_faults_at_every_level),
        TESTS_OF_EACH_FORMAT(no_access_to_frame_zero_is_still_a_mapping),
        TESTS_OF_EACH_FORMAT(no_access_stores_no_usable_address_on_x86),
        TESTS_OF_EACH_FORMAT(a_narrowed_x86_inverts_all_address_bits_too),
        TESTS_OF_EACH_FORMAT(a_changed_root_entry_of_pae_owes_everything),
    };

    return cmocka_run_group_tests_name("round_trip", tests, NULL, NULL);
}
