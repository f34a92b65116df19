/* SPDX-License-Identifier: MIT */
/*
 * AArch64's contiguous hint (Arm ARM, DDI 0487, D8.7.1): the entries of a group agree in all but what the hardware
 * records, and one that does not agree is never there beside the others.
 */
#include "formats.h"
#include "memory.h"
#include "slot.h"
#include "test.h"

#define BIT(n) (UINT64_C(1) << (n))
#define RW (PT_READ | PT_WRITE)
#define VALID BIT(0)
#define CONTIGUOUS BIT(52)

/** The entries of one page, and what is seen of them when the TLB is invalidated. */
struct watched {
    struct slot first;
    size_t count;
    unsigned flushes, broken; /* all at once, in the middle of a call */
};

static void look(void *arg, const struct pt_flush *flush)
{
    struct watched *watched = arg;
    size_t valid = 0;

    (void)flush;
    for (size_t i = 0; i < watched->count; i++)
        valid += (size_t)(slot_get(slot_after(watched->first, i)) & VALID);
    if (valid != 0 && valid != watched->count)
        fail_msg("%zu of %zu entries of a group are valid", valid, watched->count);
    watched->flushes++;
    watched->broken += valid == 0;
}

/** All entries are one page of these attributes (or many, without the hint), at ascending addresses from paddr on. */
static void check_entries(const struct watched *watched, bool grouped, pt_paddr paddr, uint64_t entry_size)
{
    const uint64_t address = (BIT(48) - 1) & ~(BIT(12) - 1);
    uint64_t attributes = slot_get(watched->first) & ~address;

    assert_true(((attributes & CONTIGUOUS) != 0) == grouped);
    assert_true(attributes & VALID);
    for (size_t i = 0; i < watched->count; i++) {
        uint64_t entry = slot_get(slot_after(watched->first, i));

        assert_hex_equal(entry & ~address, attributes);
        assert_hex_equal(entry & address, paddr + i * entry_size);
    }
}

static struct watched watch(struct fixture *f, pt_vaddr vaddr, uint64_t size)
{
    unsigned level = format_level_of(f->format, size);
    struct pt_visit visit = visit_of(&f->table, vaddr, level);
    struct watched watched = {slot_of(f, &visit), (size_t)(size / format_entry_size(f->format, level)), 0, 0};

    return watched;
}

static void check_page(struct fixture *f, uint64_t size)
{
    uint64_t part = format_entry_size(f->format, format_level_of(f->format, size));
    pt_vaddr vaddr = size;
    pt_paddr one = 4 * size, two = 6 * size;
    struct watched watched;

    assert_ok(pt_map(&f->table, vaddr, one, size, RW, &f->flush));
    watched = watch(f, vaddr, size);
    check_entries(&watched, true, one, part);
    pt_flush(&f->flush);

    f->memory->on_flush = look;
    f->memory->on_flush_arg = &watched;

    /* Rights, memory type, address: nothing changes but all at once, whatever FEAT_BBM says. */
    assert_ok(pt_protect(&f->table, vaddr + part, PT_READ, NULL, &f->flush));
    assert_int_equal(watched.broken, 1);
    check_entries(&watched, true, one, part);
    assert_ok(pt_protect_region(&f->table, vaddr, size, RW | PT_UNCACHED, 0, &f->flush));
    assert_int_equal(watched.broken, 2);
    check_entries(&watched, true, one, part);
    assert_ok(pt_remap(&f->table, vaddr + size - 1, two, RW, NULL, &f->flush));
    assert_int_equal(watched.broken, 3);
    check_entries(&watched, true, two, part);
    pt_flush(&f->flush);

    /* The hint alone: at FEAT_BBM level 2 in place. */
    watched.broken = 0;
    assert_ok(pt_split(&f->table, vaddr + part, part, &f->flush));
    check_entries(&watched, false, two, part);
    assert_int_equal(watched.broken, f->format->bbm_level < 2);
    pt_flush(&f->flush);
    assert_mapped(&f->table, vaddr + part, two + part, part, RW);
    watched.broken = 0;
    assert_ok(pt_collapse(&f->table, vaddr, size, &f->flush));
    check_entries(&watched, true, two, part);
    assert_int_equal(watched.broken, f->format->bbm_level < 2);
    pt_flush(&f->flush);
    assert_mapped(&f->table, vaddr + part, two + part, size, RW);

    f->memory->on_flush = NULL;
    assert_ok(pt_unmap(&f->table, vaddr, NULL, &f->flush));
    pt_flush(&f->flush);
}

static void check_format(const struct pt_format *format, unsigned expected_sizes)
{
    unsigned sizes = 0;

    for (uint8_t level = 0; level <= 2; level += 2) {
        struct pt_format copy = *format;
        void *state = &copy;
        struct fixture *f;

        copy.bbm_level = level;
        assert_int_equal(fixture_set_up(&state), 0);
        f = state;
        FOR_EACH_PAGE_SIZE(size, format)
            if (size != format_entry_size(format, format_level_of(format, size))) {
                check_page(f, size);
                sizes++;
            }
        assert_int_equal(fixture_tear_down(&state), 0);
    }
    assert_int_equal(sizes, 2 * expected_sizes);
}

static void entries_of_a_group_change_together(void **state)
{
    (void)state;
    check_format(&test_aarch64_4k_contiguous, 3);
    check_format(&test_aarch64_16k_contiguous, 2);
    check_format(&test_aarch64_64k_contiguous, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_of_a_group_change_together),
    };

    return cmocka_run_group_tests_name("contiguous", tests, NULL, NULL);
}
