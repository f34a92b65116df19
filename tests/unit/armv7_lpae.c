/* SPDX-License-Identifier: MIT */
/*
 * ARMv7 long descriptors, read by a walker that is written from the manual: Arm Architecture Reference Manual ARMv7-A
 * (DDI 0406C) B3.6.1 (descriptors), B3.6.2 (attributes), B3.6.6 (TTBCR.TnSZ), B3.7 (rights), B3.8.3 (MAIR0 = 0x44ff04).
 */
#include <pagetable/hw/aarch64.h>

#include "formats.h"
#include "memory.h"
#include "test.h"

#define BIT(n) (UINT64_C(1) << (n))
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))
#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)

static uint64_t descriptor_at(struct fixture *f, pt_paddr table, unsigned index)
{
    uint64_t descriptor;

    memcpy(&descriptor, memory_phys_to_virt(f->memory, table + 8 * index), sizeof(descriptor));
    return descriptor;
}

static pt_flags flags_of(uint64_t leaf)
{
    bool privileged_only = !(leaf & BIT(6)), xn = leaf & BIT(54), pxn = leaf & BIT(53);
    unsigned type = (unsigned)(leaf >> 2 & 7), shareable = (unsigned)(leaf >> 8 & 3);
    pt_flags flags = PT_READ;

    assert_hex_equal(leaf & (BITS(51, 40) | BIT(5)), 0);
    assert_true(leaf & BIT(10)); /* an access flag fault */
    assert_true(type <= 2 && (shareable == 3 || (type == 0 && shareable == 0)));
    flags |= privileged_only ? 0 : PT_USER;
    flags |= leaf & BIT(7) ? 0 : PT_WRITE;
    flags |= leaf & BIT(11) ? 0 : PT_GLOBAL;
    flags |= type == 0 ? PT_DEVICE : type == 2 ? PT_UNCACHED : 0;
    /* What users can execute, PL1 cannot. */
    if (!xn && !privileged_only)
        assert_true(pxn);
    return flags | (xn || (privileged_only && pxn) ? 0 : PT_EXECUTE);
}

/* What the hardware makes of an address, of 32 bits; page_size == 0: a fault. */
static struct pt_mapping walk(struct fixture *f, uint32_t vaddr)
{
    unsigned size = f->format->va_bits; /* 32 - TnSZ */
    pt_paddr table = pt_root(&f->table);
    uint32_t translated = size == 32 ? vaddr : vaddr & (uint32_t)(BIT(size) - 1);

    for (unsigned level = size > 30 ? 1 : 2;; level++) {
        unsigned shift = 39 - 9 * level, index = translated >> shift & 0x1ff;
        uint64_t entry = descriptor_at(f, table, index), page_size = BIT(shift);

        if ((entry & 1) == 0)
            return (struct pt_mapping){0};
        if ((entry & 2) != 0 && level < 3) {
            assert_hex_equal(entry & (BITS(63, 59) | BITS(51, 40)), 0);
            table = entry & BITS(39, 12);
            continue;
        }
        assert_true(level < 3 || (entry & 2) != 0);
        assert_hex_equal(entry & BITS(39, 12) & (page_size - 1), 0);
        /* 16 neighbours: one page, aligned in both address spaces. */
        if (entry & BIT(52)) {
            for (unsigned i = 0; i < 16; i++)
                assert_hex_equal(descriptor_at(f, table, (index & ~15u) + i),
                                 (entry & ~(page_size * 15)) + i * page_size);
            page_size *= 16;
        }
        return (struct pt_mapping){(entry & BITS(39, 12) & ~(page_size - 1)) | (translated & (page_size - 1)),
                                   page_size, flags_of(entry)};
    }
}

/* Every size, every combination of flags, the first page and the last one. */
static void the_manual_s_walker_sees_what_was_asked_for(void **state)
{
    struct fixture *f = *state;

    FOR_EACH_PAGE_SIZE(size, f->format) {
        pt_vaddr last = f->format->address_space == PT_EITHER_HALF ? 0 - size : BIT(f->format->va_bits) - size;
        const pt_vaddr places[] = {0, f->format->address_space == PT_EITHER_HALF ? format_upper_first(f->format) : size,
                                   last};
        const pt_paddr paddrs[] = {0, BIT(40) - size, size * 5};

        for (pt_flags flags = 0; flags <= PT_ALL_FLAGS; flags++)
            for (size_t i = 0; i < TESTS_COUNT(places); i++) {
                uint64_t offset = 0x1234567 & (size - 1);
                struct pt_mapping seen;

                assert_ok(pt_map(&f->table, places[i], paddrs[i], size, flags, &f->flush));
                check_mapped(&f->table, places[i], paddrs[i], size, flags, __FILE__, __LINE__);
                seen = walk(f, (uint32_t)(places[i] + offset));
                if (flags & RIGHTS) {
                    assert_hex_equal(seen.paddr, paddrs[i] + offset);
                    assert_hex_equal(seen.page_size, size);
                    assert_hex_equal(seen.flags, format_reads_back(f->format, flags));
                } else {
                    assert_int_equal(seen.page_size, 0);
                }
                assert_ok(pt_unmap(&f->table, places[i], NULL, &f->flush));
                assert_int_equal(walk(f, (uint32_t)places[i]).page_size, 0);
                pt_flush_ignore(&f->flush);
            }
    }
}

/* A gigabyte, in pieces and together again, with what is across its ends. */
static void a_gigabyte_is_split_and_collapsed(void **state)
{
    struct fixture *f = *state;
    const pt_vaddr vaddr = 3 * PT_1G;
    const pt_paddr paddr = 900 * PT_1G;

    if (!(f->format->page_sizes & PT_1G))
        return;
    assert_ok(pt_map_region(&f->table, vaddr, paddr, PT_1G, PT_READ, PT_ALLOW_HUGE, &f->flush));
    assert_int_equal(walk(f, (uint32_t)vaddr).page_size, PT_1G);
    assert_ok(pt_protect_region(&f->table, vaddr + PT_4K, PT_4K, PT_READ | PT_WRITE, 0, &f->flush));
    assert_int_equal(walk(f, (uint32_t)vaddr).page_size, PT_4K);
    assert_int_equal(walk(f, (uint32_t)(vaddr + PT_4K)).flags, PT_READ | PT_WRITE);
    assert_int_equal(walk(f, (uint32_t)(vaddr + PT_1G - 1)).page_size, PT_2M);
    assert_hex_equal(walk(f, (uint32_t)(vaddr + PT_1G - 1)).paddr, paddr + PT_1G - 1);
    assert_ok(pt_protect_region(&f->table, vaddr + PT_4K, PT_4K, PT_READ, 0, &f->flush));
    assert_ok(pt_collapse(&f->table, vaddr, PT_1G, &f->flush));
    assert_int_equal(walk(f, (uint32_t)vaddr).page_size, PT_1G);
    assert_int_equal(walk(f, (uint32_t)vaddr).paddr, paddr);
}

static void refused(struct fixture *f, const struct pt_format *format)
{
    struct page_table table;

    assert_status(pt_create(&table, format, &f->memory->handler, f->memory), PT_BAD_FORMAT);
}

static void only_what_ttbcr_can_say_is_a_format(void **state)
{
    struct fixture *f = *state;
    struct pt_format wrong;

    for (uint8_t bits = 24; bits <= 33; bits++) {
        wrong = pt_aarch64_with_va_bits(pt_armv7_lpae, bits);
        if (bits >= 25 && bits <= 32) {
            struct page_table table;

            assert_ok(pt_create(&table, &wrong, &f->memory->handler, f->memory));
            pt_destroy(&table);
            wrong.address_space = PT_EITHER_HALF;
            if (bits < 32)
                continue;
        }
        refused(f, &wrong);
    }
    wrong = pt_armv7_lpae;
    wrong.pa_bits = 41;
    refused(f, &wrong);
    wrong = pt_armv7_lpae;
    wrong.tracks_access = true;
    refused(f, &wrong);
    wrong = pt_armv7_lpae;
    wrong.bbm_level = 2;
    refused(f, &wrong);
    wrong = pt_armv7_lpae;
    wrong.features = PT_FEATURE_WIDE_PA;
    refused(f, &wrong);
    wrong = pt_armv7_lpae;
    wrong.leaf_bits = BIT(40);
    refused(f, &wrong);
    /* Three levels for 30 bits, where the hardware begins with the second. */
    wrong = pt_aarch64_with_va_bits(pt_armv7_lpae, 30);
    wrong.levels = 3;
    refused(f, &wrong);
}

#define TESTS_OF(format)                                                                                               \
    TEST_OF_FORMAT(format, the_manual_s_walker_sees_what_was_asked_for, fixture_set_up, fixture_tear_down),            \
        TEST_OF_FORMAT(format, a_gigabyte_is_split_and_collapsed, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TESTS_OF(pt_armv7_lpae),
        TESTS_OF(test_armv7_lpae_no_1g),
        TESTS_OF(test_armv7_lpae_ttbr1),
        TEST_OF_FORMAT(pt_armv7_lpae, only_what_ttbcr_can_say_is_a_format, fixture_set_up, fixture_tear_down),
    };

    return cmocka_run_group_tests_name("armv7_lpae", tests, NULL, NULL);
}
