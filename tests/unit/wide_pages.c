/* SPDX-License-Identifier: MIT */
/*
 * Largest pages that reach more physical addresses than smaller ones: PSE-36 (Intel SDM vol. 3A 4.3, table 4-4), and
 * ARMv7's supersections of 40 bits (DDI 0406C, B3.5.1). Entries are compared with what the manuals say of them.
 */
#include "formats.h"
#include "memory.h"
#include "slot.h"
#include "test.h"

#define BIT(n) (UINT64_C(1) << (n))
#define RW (PT_READ | PT_WRITE)
#define FOUR_GIB BIT(32)

static struct pt_format x86_pse36, armv7_40;

/* The address in the entry of a largest page, by the manuals. */
static pt_paddr paddr_of(const struct fixture *f, uint32_t entry)
{
    if (f->format == &x86_pse36)
        return (entry & 0xffc00000u) | (pt_paddr)(entry >> 13 & 0xff) << 32;
    return (entry & 0xff000000u) | (pt_paddr)(entry >> 20 & 0xf) << 32 | (pt_paddr)(entry >> 5 & 0xf) << 36;
}

static void check_page(const struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags)
{
    uint64_t size = format_largest(f->format);

    check_mapped(&f->table, vaddr, paddr, size, flags, __FILE__, __LINE__);
    check_mapped(&f->table, vaddr + size - 1, paddr + size - 1, size, flags, __FILE__, __LINE__);
}

static void every_bit_of_the_address_has_its_place(void **state)
{
    struct fixture *f = *state;
    const uint64_t size = format_largest(f->format);
    const pt_flags flags[] = {RW, PT_READ | PT_EXECUTE | PT_USER | PT_GLOBAL, PT_READ | PT_UNCACHED, 0, PT_GLOBAL};

    for (pt_paddr bit = size; bit < BIT(40); bit <<= 1)
        for (size_t i = 0; i < 2 * TESTS_COUNT(flags); i++) {
            pt_paddr paddr = i % 2 ? bit : (BIT(40) - size) & ~bit;
            pt_vaddr vaddr = 7 * size;
            struct pt_visit visit;
            uint32_t first, entry;

            assert_ok(pt_map(&f->table, vaddr, paddr, size, flags[i / 2], &f->flush));
            check_page(f, vaddr, paddr, flags[i / 2]);
            visit = visit_of(&f->table, vaddr, 0);
            first = (uint32_t)slot_get(slot_of(f, &visit));
            /* Without access, x86 has the address inverted (L1TF): all bits of it, 39:32 too. */
            assert_hex_equal(f->format == &x86_pse36 && i / 2 >= 3 ? ~paddr_of(f, first) & (BIT(40) - size)
                                                                   : paddr_of(f, first),
                             paddr);
            for (size_t j = 1; j < size / format_entry_size(f->format, 0); j++) {
                entry = (uint32_t)slot_get(slot_after(slot_of(f, &visit), j));
                assert_hex_equal(entry, first);
            }
            /* Other rights, another frame, and back. */
            assert_ok(pt_protect(&f->table, vaddr, PT_READ, NULL, &f->flush));
            check_page(f, vaddr, paddr, PT_READ);
            assert_ok(pt_protect(&f->table, vaddr, 0, NULL, &f->flush));
            check_page(f, vaddr, paddr, 0);
            assert_ok(pt_remap(&f->table, vaddr, paddr ^ BIT(36), RW, NULL, &f->flush));
            check_page(f, vaddr, paddr ^ BIT(36), RW);
            assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
            pt_flush_ignore(&f->flush);
        }
}

static void smaller_pages_do_not_reach_above_4_gib(void **state)
{
    struct fixture *f = *state;
    const uint64_t largest = format_largest(f->format);

    FOR_EACH_PAGE_SIZE(size, f->format) {
        bool wide = size == largest;

        assert_status(pt_map(&f->table, largest, FOUR_GIB, size, RW, &f->flush), wide ? PT_OK : PT_BAD_ADDRESS);
        if (wide)
            assert_ok(pt_unmap(&f->table, largest, NULL, &f->flush));
        assert_status(pt_map(&f->table, largest, BIT(40) - size, size, RW, &f->flush), wide ? PT_OK : PT_BAD_ADDRESS);
        if (wide)
            assert_ok(pt_unmap(&f->table, largest, NULL, &f->flush));
        assert_status(pt_map(&f->table, largest, BIT(40), size, RW, &f->flush), PT_BAD_ADDRESS);
        assert_ok(pt_map(&f->table, largest, FOUR_GIB - size, size, RW, &f->flush));
        assert_status(pt_remap(&f->table, largest, BIT(35), RW, NULL, &f->flush), wide ? PT_OK : PT_BAD_ADDRESS);
        assert_ok(pt_unmap_region(&f->table, 0, 2 * largest, PT_SKIP_HOLES, &f->flush));
        pt_flush_ignore(&f->flush);
    }
}

static enum pt_status map_region(struct fixture *f, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, unsigned options)
{
    size_t count = 0, taken = f->memory->taken;
    enum pt_status status = pt_count_tables(&f->table, vaddr, paddr, size, RW, options, &count);

    assert_int_equal(pt_map_region(&f->table, vaddr, paddr, size, RW, options, &f->flush), status);
    assert_int_equal(f->memory->taken, taken + count);
    if (status == PT_OK) {
        for (uint64_t offset = 0; offset < size; offset += PT_4K) {
            struct pt_mapping found;

            assert_ok(pt_query(&f->table, vaddr + offset, &found));
            assert_hex_equal(found.paddr, paddr + offset);
        }
        assert_ok(pt_unmap_region(&f->table, vaddr, size, 0, &f->flush));
    } else {
        assert_status(pt_query(&f->table, vaddr, NULL), PT_NOT_MAPPED);
    }
    pt_flush_ignore(&f->flush);
    return status;
}

/* PT_ALLOW_HUGE takes the largest pages there, and is refused where they do not fit. */
static void a_region_takes_the_pages_that_reach(void **state)
{
    struct fixture *f = *state;
    const uint64_t largest = format_largest(f->format), part = largest / 4;
    const pt_vaddr vaddr = 8 * largest;

    assert_ok(map_region(f, vaddr, FOUR_GIB, 3 * largest, PT_ALLOW_HUGE));
    assert_ok(map_region(f, vaddr, BIT(40) - 2 * largest, 2 * largest, PT_ALLOW_HUGE));
    assert_ok(map_region(f, vaddr, FOUR_GIB - largest, 2 * largest, PT_ALLOW_HUGE));
    /* What is below may begin with smaller pages. */
    assert_ok(map_region(f, vaddr - part, FOUR_GIB - part, part + largest, PT_ALLOW_HUGE));
    assert_ok(map_region(f, vaddr - PT_4K, FOUR_GIB - PT_4K, PT_4K + largest, PT_ALLOW_HUGE));
    assert_ok(map_region(f, vaddr, FOUR_GIB - part, part, 0));

    assert_status(map_region(f, vaddr, FOUR_GIB, largest, 0), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr, FOUR_GIB - largest, 2 * largest, 0), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr, FOUR_GIB, largest + PT_4K, PT_ALLOW_HUGE), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr, FOUR_GIB, part, PT_ALLOW_HUGE), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr + part, FOUR_GIB + part, largest - part, PT_ALLOW_HUGE), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr - part, BIT(36) - part, part + largest, PT_ALLOW_HUGE), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr + part, FOUR_GIB, largest, PT_ALLOW_HUGE), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr, FOUR_GIB - part, largest, PT_ALLOW_HUGE), PT_BAD_ADDRESS);
    assert_status(map_region(f, vaddr, BIT(40) - largest, 2 * largest, PT_ALLOW_HUGE), PT_BAD_ADDRESS);
}

static pt_paddr far_frames(void *arg, pt_vaddr vaddr)
{
    return *(const pt_paddr *)arg + vaddr;
}

static void scattered_frames_take_the_pages_that_reach(void **state)
{
    struct fixture *f = *state;
    const uint64_t largest = format_largest(f->format);
    pt_paddr base = BIT(36);

    assert_ok(pt_map_region_with(&f->table, largest, far_frames, &base, largest, RW, PT_ALLOW_HUGE, &f->flush));
    check_page(f, largest, base + largest, RW);
    assert_ok(pt_unmap(&f->table, largest, NULL, &f->flush));
    assert_status(pt_map_region_with(&f->table, largest, far_frames, &base, largest, RW, 0, &f->flush), PT_BAD_ADDRESS);
    assert_status(
        pt_map_region_with(&f->table, largest, far_frames, &base, largest + PT_4K, RW, PT_ALLOW_HUGE, &f->flush),
        PT_BAD_ADDRESS);
    assert_status(pt_query(&f->table, largest, NULL), PT_NOT_MAPPED);
}

static void what_smaller_pages_do_not_reach_is_not_split(void **state)
{
    struct fixture *f = *state;
    const uint64_t largest = format_largest(f->format), part = largest / 4;
    const pt_vaddr vaddr = 3 * largest;
    const pt_paddr paddr = BIT(39);

    assert_ok(pt_map(&f->table, vaddr, paddr, largest, RW, &f->flush));
    assert_ok(pt_map(&f->table, vaddr + largest, paddr + largest, largest, RW, &f->flush));
    FOR_EACH_PAGE_SIZE(size, f->format)
        assert_status(pt_split(&f->table, vaddr, size, &f->flush), size == largest ? PT_OK : PT_MAPPED_TO_HUGE_PAGE);
    assert_status(pt_unmap_region(&f->table, vaddr, part, 0, &f->flush), PT_MAPPED_TO_HUGE_PAGE);
    assert_status(pt_unmap_region(&f->table, vaddr + part, largest, 0, &f->flush), PT_MAPPED_TO_HUGE_PAGE);
    assert_status(pt_protect_region(&f->table, vaddr + part, largest - part, PT_READ, 0, &f->flush),
                  PT_MAPPED_TO_HUGE_PAGE);
    assert_status(pt_protect_region(&f->table, vaddr, largest + PT_4K, PT_READ, 0, &f->flush), PT_MAPPED_TO_HUGE_PAGE);
    check_page(f, vaddr, paddr, RW);
    check_page(f, vaddr + largest, paddr + largest, RW);
    assert_ok(pt_collapse(&f->table, 0, 16 * largest, &f->flush));

    /* Whole pages change; what is within reach is split as ever. */
    assert_ok(pt_protect_region(&f->table, vaddr, 2 * largest, PT_READ, 0, &f->flush));
    check_page(f, vaddr, paddr, PT_READ);
    assert_ok(pt_remap(&f->table, vaddr, FOUR_GIB - largest, RW, NULL, &f->flush));
    assert_ok(pt_split(&f->table, vaddr, PT_4K, &f->flush));
    check_mapped(&f->table, vaddr, FOUR_GIB - largest, PT_4K, RW, __FILE__, __LINE__);
    assert_ok(pt_collapse(&f->table, vaddr, largest, &f->flush));
    check_page(f, vaddr, FOUR_GIB - largest, RW);
    assert_ok(pt_unmap_region(&f->table, vaddr, 2 * largest, 0, &f->flush));
}

/* Entries that lead to tables have no room for more bits, nor has the register of the root. */
static void tables_do_not_lie_above_4_gib(void **state)
{
    struct fixture *f = *state;
    struct page_table other;

    f->memory->far = FOUR_GIB;
    memory_fail_once(f->memory, 1);
    assert_status(pt_map(&f->table, 0, 0, PT_4K, RW, &f->flush), PT_NO_MEMORY);
    memory_fail_once(f->memory, 1);
    assert_status(pt_create(&other, f->format, &f->memory->handler, f->memory), PT_NO_MEMORY);
    assert_ok(pt_map(&f->table, 0, 0, PT_4K, RW, &f->flush));
}

static void refused(struct fixture *f, const struct pt_format *format)
{
    struct page_table table;

    assert_status(pt_create(&table, format, &f->memory->handler, f->memory), PT_BAD_FORMAT);
}

static void only_who_has_such_pages_reaches_further(void **state)
{
    struct fixture *f = *state;
    struct pt_format wrong = *f->format;

    wrong.page_sizes &= ~format_largest(&wrong);
    refused(f, &wrong);
    wrong = *f->format;
    wrong.pa_bits = 41;
    refused(f, &wrong);
    wrong = x86_pse36;
    wrong.features = 0;
    refused(f, &wrong);
}

#define TESTS_OF(test)                                                                                                 \
    TEST_OF_FORMAT(x86_pse36, test, fixture_set_up, fixture_tear_down),                                                \
        TEST_OF_FORMAT(armv7_40, test, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF(every_bit_of_the_address_has_its_place),       TESTS_OF(smaller_pages_do_not_reach_above_4_gib),
        TESTS_OF(a_region_takes_the_pages_that_reach),          TESTS_OF(scattered_frames_take_the_pages_that_reach),
        TESTS_OF(what_smaller_pages_do_not_reach_is_not_split), TESTS_OF(tables_do_not_lie_above_4_gib),
        TESTS_OF(only_who_has_such_pages_reaches_further),
    };

    x86_pse36 = pt_x86_32;
    x86_pse36.name = "x86 32-bit, PSE-36";
    x86_pse36.features |= PT_FEATURE_PSE36;
    x86_pse36.pa_bits = 40;
    x86_pse36.tracks_access = false; /* flags are all that is compared */
    armv7_40 = pt_armv7_short;
    armv7_40.name = "ARMv7 short descriptors, 40-bit addresses";
    armv7_40.pa_bits = 40;
    return cmocka_run_group_tests_name("wide_pages", tests, NULL, NULL);
}
