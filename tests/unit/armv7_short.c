/* SPDX-License-Identifier: MIT */
/*
 * ARMv7 short descriptors: the entries of another implementation (golden/data/README.md), tables that share a frame,
 * and random calls against a list of pages, read by a walker that is written from the manual: Arm Architecture
 * Reference Manual ARMv7-A (DDI 0406C) B3.5.1, B3.5.2, B3.7.1.
 */
#include "formats.h"
#include "memory.h"
#include "random.h"
#include "test.h"

#define BIT(n) (UINT32_C(1) << (n))
#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)
#define FRAMES 256
#define BASE UINT64_C(0x40000000)

struct machine {
    struct memory memory;
    struct page_table table;
    struct pt_flush flush;
};

static int set_up(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));

    assert_non_null(machine);
    memory_init(&machine->memory, BASE, FRAMES);
    assert_ok(pt_create(&machine->table, &pt_armv7_short, &machine->memory.handler, &machine->memory));
    pt_flush_init(&machine->flush, &machine->table);
    *state = machine;
    return 0;
}

static int tear_down(void **state)
{
    struct machine *machine = *state;

    memory_fail_never(&machine->memory);
    memory_release(&machine->memory);
    pt_flush_ignore(&machine->flush);
    pt_destroy(&machine->table);
    memory_end(&machine->memory);
    free(machine);
    return 0;
}

/* ---- The manual's walker ------------------------------------------------------------------------- */

static uint32_t word_at(struct machine *machine, pt_paddr paddr)
{
    uint32_t word;

    memcpy(&word, memory_phys_to_virt(&machine->memory, paddr), sizeof(word));
    return word;
}

/* Access permissions and memory type: B3.7.1 with SCTLR.AFE = 0, B3.8.2 with SCTLR.TRE = 0. */
static pt_flags flags_of(unsigned ap, unsigned tex_c_b, bool execute_never, bool not_global)
{
    pt_flags flags = PT_READ | (execute_never ? 0 : PT_EXECUTE) | (not_global ? 0 : PT_GLOBAL);

    switch (ap) {
    case 1:
        return flags | PT_WRITE | (tex_c_b == 1 ? PT_DEVICE : tex_c_b == 4 ? PT_UNCACHED : 0);
    case 3:
        return flags | PT_WRITE | PT_USER | (tex_c_b == 1 ? PT_DEVICE : tex_c_b == 4 ? PT_UNCACHED : 0);
    case 5:
        return flags | (tex_c_b == 1 ? PT_DEVICE : tex_c_b == 4 ? PT_UNCACHED : 0);
    case 7:
        return flags | PT_USER | (tex_c_b == 1 ? PT_DEVICE : tex_c_b == 4 ? PT_UNCACHED : 0);
    default:
        fail_msg("AP = %u is no right that was asked for", ap);
        return 0;
    }
}

/* All 16 descriptors of a large page or supersection are the same: B3.5.2. */
static void must_be_sixteen(struct machine *machine, pt_paddr slot, uint32_t word)
{
    pt_paddr first = slot & ~UINT64_C(0x3f);

    for (unsigned i = 0; i < 16; i++)
        assert_hex_equal(word_at(machine, first + 4 * i), word);
}

/* What the hardware makes of an address; page_size == 0: a fault. */
static struct pt_mapping walk(struct machine *machine, uint32_t vaddr)
{
    pt_paddr slot = pt_root(&machine->table) + (vaddr >> 20) * 4;
    uint32_t first = word_at(machine, slot), second;

    switch (first & 3) {
    case 0:
        return (struct pt_mapping){0};
    case 1:
        assert_hex_equal(first & 0x3fe, 0); /* domain 0, secure, no PXN */
        break;
    default: {
        unsigned ap = (first >> 10 & 3) | (first >> 13 & 4), type = (first >> 10 & 0x1c) | (first >> 2 & 3);
        bool large = first & BIT(18);
        uint32_t mask = large ? 0xff000000 : 0xfff00000;

        assert_hex_equal(first & (BIT(0) | BIT(9) | BIT(19) | 0x1e0), 0);
        assert_hex_equal(first & ~mask & (large ? 0x00f00000 : 0), 0);
        assert_int_equal((first & BIT(16)) != 0, type == 7);
        if (large)
            must_be_sixteen(machine, slot, first);
        return (struct pt_mapping){(first & mask) | (vaddr & ~mask), large ? PT_16M : PT_1M,
                                   flags_of(ap, type, first & BIT(4), first & BIT(17))};
    }
    }

    slot = (first & 0xfffffc00) + (vaddr >> 12 & 0xff) * 4;
    second = word_at(machine, slot);
    if ((second & 3) == 0)
        return (struct pt_mapping){0};
    {
        bool large = (second & 3) == 1;
        unsigned ap = (second >> 4 & 3) | (second >> 7 & 4);
        unsigned tex = large ? second >> 12 & 7 : second >> 6 & 7, type = tex << 2 | (second >> 2 & 3);
        uint32_t mask = large ? 0xffff0000 : 0xfffff000;

        assert_int_equal((second & BIT(10)) != 0, type == 7);
        if (large) {
            assert_hex_equal(second & 0x1c0, 0);
            must_be_sixteen(machine, slot, second);
        }
        return (struct pt_mapping){(second & mask) | (vaddr & ~mask), large ? PT_64K : PT_4K,
                                   flags_of(ap, type, large ? second & BIT(15) : second & BIT(0), second & BIT(11))};
    }
}

/* ---- Golden entries ------------------------------------------------------------------------------ */

static void entries_are_the_reference_s(void **state)
{
    struct machine *machine = *state;
    FILE *file = fopen(PT_GOLDEN_DIR "/armv7.csv", "r");
    char line[256];
    unsigned compared = 0;

    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        unsigned flags, huge;
        uint64_t paddr, bits, size;
        pt_vaddr vaddr = 0x30000000;
        struct pt_mapping seen;
        uint32_t word;

        if (sscanf(line, "armv7,page,%u,%u,%" SCNx64 ",%" SCNx64, &flags, &huge, &paddr, &bits) != 4)
            continue;
        size = huge ? PT_1M : PT_4K;
        /* Without READ the reference makes entries that give it nevertheless, or none. */
        if (!(flags & PT_READ) || paddr % size != 0 || paddr + size > BIT(31) * UINT64_C(2))
            continue;
        /* The reference has no GLOBAL: all its pages are. */
        assert_ok(pt_map(&machine->table, vaddr, paddr, size, flags | PT_GLOBAL, &machine->flush));
        word = word_at(machine, pt_root(&machine->table) + (vaddr >> 20) * 4);
        if (!huge)
            word = word_at(machine, word & 0xfffffc00);
        assert_hex_equal(word, bits);
        seen = walk(machine, (uint32_t)vaddr);
        assert_hex_equal(seen.paddr, paddr);
        assert_ok(pt_unmap(&machine->table, vaddr, NULL, &machine->flush));
        compared++;
    }
    fclose(file);
    assert_true(compared > 100);
}

/* ---- Tables that share a frame ------------------------------------------------------------------- */

static void four_neighbouring_tables_share_a_frame(void **state)
{
    struct machine *machine = *state;
    const pt_vaddr base = 0x10000000;
    size_t count;

    assert_int_equal(machine->memory.taken, 1); /* the root */
    for (unsigned i = 0; i < 8; i++) {
        assert_ok(pt_count_tables(&machine->table, base + i * PT_1M, 0, PT_4K, PT_READ, 0, &count));
        assert_int_equal(count, i % 4 == 0);
        assert_ok(pt_map(&machine->table, base + i * PT_1M, i * PT_1M, PT_4K, PT_READ, &machine->flush));
        assert_int_equal(machine->memory.taken, 2 + i / 4);
    }
    for (unsigned i = 0; i < 8; i++) {
        uint32_t first = word_at(machine, pt_root(&machine->table) + ((base >> 20) + i / 4 * 4) * 4);
        uint32_t its = word_at(machine, pt_root(&machine->table) + ((base >> 20) + i) * 4);

        assert_hex_equal(its, first + i % 4 * 0x400);
        assert_hex_equal(walk(machine, (uint32_t)(base + i * PT_1M)).paddr, i * PT_1M);
    }

    /* In an order in which the frame's first table is not the last to go. */
    for (unsigned i = 0; i < 4; i++) {
        unsigned which = i ^ 1;

        assert_ok(pt_unmap_region(&machine->table, base + which * PT_1M, PT_1M, PT_SKIP_HOLES, &machine->flush));
        pt_flush_ignore(&machine->flush);
        assert_int_equal(machine->memory.taken, i < 3 ? 3 : 2);
        for (unsigned j = 0; j < 8; j++) {
            bool gone = j < 4 && (j ^ 1) <= i;

            assert_int_equal(walk(machine, (uint32_t)(base + j * PT_1M)).page_size, gone ? 0 : PT_4K);
        }
    }
}

static void a_region_over_many_tables_takes_a_frame_for_four(void **state)
{
    struct machine *machine = *state;
    const pt_vaddr base = 0x20200000; /* in the middle of four */
    const uint64_t size = 9 * PT_1M + PT_4K;
    size_t count;

    assert_ok(pt_count_tables(&machine->table, base, 0x1000, size, PT_READ, 0, &count));
    assert_int_equal(count, 3); /* for 2, 4 and 4 tables */
    for (unsigned failing = 0; failing < 3; failing++) {
        memory_fail_after(&machine->memory, failing + 1);
        assert_status(pt_map_region(&machine->table, base, 0x1000, size, PT_READ, 0, &machine->flush), PT_NO_MEMORY);
        memory_fail_never(&machine->memory);
        assert_int_equal(machine->memory.taken, 1);
    }
    assert_ok(pt_map_region(&machine->table, base, 0x1000, size, PT_READ, 0, &machine->flush));
    assert_int_equal(machine->memory.taken, 4);
    assert_ok(pt_unmap_region(&machine->table, base, size, 0, &machine->flush));
    pt_flush_ignore(&machine->flush);
    assert_int_equal(machine->memory.taken, 1);
}

/* A section takes the place of an empty table whose frame a later part of the same region would have used. */
static void a_frame_that_gives_way_is_not_counted_on(void **state)
{
    struct machine *machine = *state;
    const pt_vaddr base = 0x20000000;
    size_t count;

    assert_ok(pt_map(&machine->table, base, 0, PT_4K, PT_READ, &machine->flush));
    assert_ok(pt_unmap(&machine->table, base, NULL, &machine->flush));
    assert_int_equal(machine->memory.taken, 2);
    assert_ok(pt_count_tables(&machine->table, base, 0, PT_1M + PT_4K, PT_READ, PT_ALLOW_HUGE, &count));
    assert_int_equal(count, 1);
    assert_ok(pt_map_region(&machine->table, base, 0, PT_1M + PT_4K, PT_READ, PT_ALLOW_HUGE, &machine->flush));
    pt_flush_ignore(&machine->flush);
    assert_int_equal(machine->memory.taken, 2);
    assert_int_equal(walk(machine, (uint32_t)base).page_size, PT_1M);
    assert_int_equal(walk(machine, (uint32_t)(base + PT_1M)).page_size, PT_4K);
}

static void copied_tables_share_their_source_s_frames(void **state)
{
    struct machine *machine = *state;
    struct page_table copy;
    struct pt_flush flush;

    assert_ok(pt_create(&copy, &pt_armv7_short, &machine->memory.handler, &machine->memory));
    pt_flush_init(&flush, &copy);
    assert_ok(pt_map(&machine->table, 0x80100000, 0x1000, PT_4K, PT_READ, &machine->flush));
    assert_int_equal(machine->memory.taken, 3);
    /* 16 root entries, of which one has a table: three more frames for the source's others. */
    assert_ok(pt_copy_from(&copy, &machine->table, 0x80000000, 16 * PT_1M, &flush));
    assert_int_equal(machine->memory.taken, 6);
    assert_ok(pt_map(&machine->table, 0x80f00000, 0x2000, PT_4K, PT_READ, &machine->flush));
    assert_ok(pt_query(&copy, 0x80f00000, NULL));
    assert_status(pt_unmap(&copy, 0x80100000, NULL, &flush), PT_SHARED);
    pt_flush_ignore(&flush);
    pt_destroy(&copy);
    assert_int_equal(machine->memory.taken, 5);
    assert_ok(pt_query(&machine->table, 0x80100000, NULL));
}

/* ---- Random calls against a list of pages -------------------------------------------------------- */

/* The last 48 MiB of all addresses. */
#define WINDOW UINT64_C(0xfd000000)
#define PAGES ((size_t)(0x3000000 >> 12))

struct page {
    bool mapped;
    uint32_t frame;
    pt_flags flags;
};

static pt_flags read_back(pt_flags flags)
{
    flags |= flags & (PT_WRITE | PT_EXECUTE) ? PT_READ : 0;
    return flags & PT_DEVICE ? flags & ~PT_UNCACHED : flags;
}

static void compare(struct machine *machine, const struct page *pages)
{
    for (size_t i = 0; i < PAGES; i++) {
        uint32_t vaddr = (uint32_t)(WINDOW + i * PT_4K);
        struct pt_mapping seen = walk(machine, vaddr), told;
        enum pt_status status = pt_query(&machine->table, vaddr, &told);

        assert_status(status, pages[i].mapped ? PT_OK : PT_NOT_MAPPED);
        if (pages[i].mapped) {
            assert_hex_equal(told.paddr, (uint64_t)pages[i].frame << 12);
            assert_hex_equal(told.flags, read_back(pages[i].flags));
        }
        if (!pages[i].mapped || !(pages[i].flags & RIGHTS)) {
            assert_int_equal(seen.page_size, 0);
        } else {
            assert_hex_equal(seen.paddr, told.paddr);
            assert_hex_equal(seen.flags, told.flags);
            assert_int_equal(seen.page_size, told.page_size);
        }
    }
}

static bool any_mapped(const struct page *pages, size_t first, size_t count, bool mapped)
{
    for (size_t i = first; i < first + count; i++)
        if (pages[i].mapped == mapped)
            return true;
    return false;
}

static void the_manual_s_walker_sees_what_was_asked_for(void **state)
{
    struct machine *machine = *state;
    struct page *pages = calloc(PAGES, sizeof(*pages));
    struct random random = {4711};

    assert_non_null(pages);
    for (unsigned step = 0; step < 1500; step++) {
        static const size_t grains[] = {1, 16, 256, 4096};
        size_t grain = grains[random_below(&random, 4)];
        size_t first = (size_t)random_below(&random, PAGES / grain) * grain;
        size_t count = (1 + (size_t)random_below(&random, 3)) * grain + (random_below(&random, 4) == 0 ? 3 : 0);
        pt_flags flags = (pt_flags)random_below(&random, PT_ALL_FLAGS + 1);
        uint32_t frame = (uint32_t)(random_below(&random, 64) * 4096 + (random_below(&random, 3) == 0 ? 7 : 0));
        pt_vaddr vaddr = WINDOW + first * PT_4K;
        enum pt_status status;

        if (count > PAGES - first)
            count = PAGES - first;
        frame += (uint32_t)(first % 4096);
        switch (random_below(&random, 6)) {
        case 0:
        case 1:
            status = pt_map_region(&machine->table, vaddr, (pt_paddr)frame << 12, count * PT_4K, flags,
                                   random_below(&random, 4) ? PT_ALLOW_HUGE : 0, &machine->flush);
            if (any_mapped(pages, first, count, true)) {
                assert_true(status == PT_ALREADY_MAPPED || status == PT_MAPPED_TO_HUGE_PAGE);
                break;
            }
            assert_ok(status);
            for (size_t i = 0; i < count; i++)
                pages[first + i] = (struct page){true, frame + (uint32_t)i, flags};
            break;
        case 2:
            assert_ok(pt_unmap_region(&machine->table, vaddr, count * PT_4K, PT_SKIP_HOLES, &machine->flush));
            memset(&pages[first], 0, count * sizeof(*pages));
            break;
        case 3:
            assert_ok(pt_protect_region(&machine->table, vaddr, count * PT_4K, flags, PT_SKIP_HOLES, &machine->flush));
            for (size_t i = first; i < first + count; i++)
                pages[i].flags = pages[i].mapped ? flags : 0;
            break;
        case 4:
            assert_ok(pt_collapse(&machine->table, vaddr, count * PT_4K, &machine->flush));
            break;
        default:
            status = pt_split(&machine->table, vaddr, grain == 4096 ? PT_1M : grain * PT_4K, &machine->flush);
            assert_status(status, pages[first].mapped ? PT_OK : PT_NOT_MAPPED);
            break;
        }
        if (random_below(&random, 4) == 0)
            pt_flush(&machine->flush);
        if (step % 10 == 0)
            compare(machine, pages);
    }
    compare(machine, pages);
    assert_ok(pt_unmap_region(&machine->table, WINDOW, PAGES * PT_4K, PT_SKIP_HOLES, &machine->flush));
    pt_flush(&machine->flush);
    assert_int_equal(machine->memory.taken, 1);
    free(pages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(entries_are_the_reference_s, set_up, tear_down),
        cmocka_unit_test_setup_teardown(four_neighbouring_tables_share_a_frame, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_region_over_many_tables_takes_a_frame_for_four, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_that_gives_way_is_not_counted_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(copied_tables_share_their_source_s_frames, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_manual_s_walker_sees_what_was_asked_for, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("armv7_short", tests, NULL, NULL);
}
