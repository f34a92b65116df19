/* SPDX-License-Identifier: MIT */
/*
 * What the headers in <pagetable/hw/> compute without their CPU: what it has, by its ID registers, and what goes into
 * its registers. The values are put together from the manuals: Arm Architecture Reference Manual (DDI 0487), D24, by
 * the names of the registers; AMD APM vol. 2, 15.16.1.
 */
#include <pagetable/hw/aarch64.h>
#include <pagetable/hw/x86_64.h>

#include "memory.h"
#include "test.h"

/* ID_AA64MMFR0_EL1: PARange, and 4 bits for each of TGran16, 64, 4 (from bit 20), TGran16_2, 64_2, 4_2 (from 32). */
#define MMFR0(parange, gran, gran_2) ((uint64_t)(parange) | (uint64_t)(gran) << 20 | (uint64_t)(gran_2) << 32)

/* Granules 16K, 64K, 4K, in the fields' order from the lowest bit on, written 4K first. */
#define ALL_WITH_LPA2 0x102 /* 4K: 1, 64K: 0, 16K: 2 */
#define ALL_WITHOUT 0x001   /* 4K: 0, 64K: 0, 16K: 1 */
#define NONE 0xff0          /* 4K: 15, 64K: 15, 16K: 0 */

#define XNX (UINT64_C(1) << 28)
#define FWB (UINT64_C(1) << 40)
#define BBM_2 (UINT64_C(2) << 52)

static struct pt_format detect(struct pt_format format, uint64_t mmfr0, uint64_t mmfr1, uint64_t mmfr2)
{
    return pt_aarch64_detect(format, mmfr0, mmfr1, mmfr2);
}

static bool can_be_created(const struct pt_format *format)
{
    struct memory memory;
    struct page_table table;
    enum pt_status status;

    memory_init(&memory, 0, 64);
    status = pt_create(&table, format, &memory.handler, &memory);
    if (status == PT_OK)
        pt_destroy(&table);
    memory_end(&memory);
    return status == PT_OK;
}

/* A second stage has granules of its own, or where those fields are 0 the first one's. */
static void granules_of_both_stages(void **state)
{
    const struct pt_format *const first[] = {&pt_aarch64, &pt_aarch64_16k, &pt_aarch64_64k};
    const struct pt_format *const second[] = {&pt_aarch64_stage2, &pt_aarch64_stage2_16k, &pt_aarch64_stage2_64k};
    const struct {
        unsigned gran, gran_2;
        bool first, second;
    } cases[] = {
        {ALL_WITHOUT, 0x000, true, true},
        {ALL_WITHOUT, 0x111, true, false},
        {NONE, 0x222, false, true},
        {NONE, 0x000, false, false},
    };

    (void)state;
    for (size_t i = 0; i < TESTS_COUNT(cases); i++)
        for (size_t granule = 0; granule < TESTS_COUNT(first); granule++) {
            uint64_t mmfr0 = MMFR0(5, cases[i].gran, cases[i].gran_2);
            struct pt_format one = detect(*first[granule], mmfr0, 0, 0);
            struct pt_format two = detect(*second[granule], mmfr0, 0, 0);

            assert_int_equal(can_be_created(&one), cases[i].first);
            assert_int_equal(can_be_created(&two), cases[i].second);
        }
}

/* 52 bits: of 4K and 16K by the granule's field, of 64K by PARange. */
static void wide_second_stage(void **state)
{
    const struct pt_format wide = pt_aarch64_wide(pt_aarch64_stage2), wide_64k = pt_aarch64_wide(pt_aarch64_stage2_64k);
    struct pt_format format;

    (void)state;
    assert_int_equal(wide.levels, 4); /* of which the first has 16 tables */
    assert_int_equal(wide.va_bits, 52);
    assert_true(wide.page_sizes & PT_512G);
    assert_int_equal(wide_64k.levels, 3);
    assert_true(wide_64k.page_sizes & PT_4T);
    assert_true(can_be_created(&wide));

    format = detect(wide, MMFR0(6, ALL_WITHOUT, 0x300), 0, 0);
    assert_memory_equal(&format.page_sizes, &wide.page_sizes, sizeof(format.page_sizes));
    assert_int_equal(format.va_bits, 52);
    assert_int_equal(format.pa_bits, 52);
    format = detect(wide, MMFR0(6, ALL_WITH_LPA2, 0x000), 0, 0);
    assert_int_equal(format.pa_bits, 52);
    format = detect(wide, MMFR0(6, ALL_WITH_LPA2, 0x200), 0, 0); /* TGran4_2 says no to it */
    assert_false(format.features & PT_FEATURE_WIDE_PA);
    assert_false(format.page_sizes & PT_512G);
    assert_int_equal(format.pa_bits, 48);
    assert_int_equal(format.va_bits, 48);
    assert_true(can_be_created(&format));
    format = detect(wide_64k, MMFR0(6, ALL_WITHOUT, 0x020), 0, 0);
    assert_int_equal(format.pa_bits, 52);
    format = detect(wide_64k, MMFR0(5, ALL_WITHOUT, 0x020), 0, 0);
    assert_int_equal(format.pa_bits, 48);
}

static void second_stage_has_no_more_than_the_cpu(void **state)
{
    static const uint8_t pa_bits[] = {32, 36, 40, 42, 44, 48};
    struct pt_format rich = pt_aarch64_stage2, format;

    (void)state;
    rich.features |= PT_FEATURE_XNX | PT_FEATURE_FWB;
    rich.memory_index.normal = 6;
    format = detect(rich, MMFR0(5, ALL_WITHOUT, 0), XNX, FWB | BBM_2);
    assert_int_equal(format.features, rich.features);
    assert_int_equal(format.bbm_level, 2);
    format = detect(rich, MMFR0(5, ALL_WITHOUT, 0), 0, 0);
    assert_int_equal(format.features, PT_FEATURE_SECOND_STAGE);
    assert_int_equal(format.bbm_level, 0);

    for (size_t parange = 0; parange < TESTS_COUNT(pa_bits); parange++) {
        format = detect(pt_aarch64_stage2, MMFR0(parange, ALL_WITHOUT, 0), 0, 0);
        assert_int_equal(format.pa_bits, pa_bits[parange]);
        assert_int_equal(format.va_bits, pa_bits[parange] < 40 ? pa_bits[parange] : 40);
        assert_true(can_be_created(&format));
    }
}

/* T0SZ, SL0 and SL2, SH0 ORGN0 IRGN0, TG0, PS, bit 31, DS. */
static void registers_of_the_second_stage(void **state)
{
    const uint64_t mmfr0 = MMFR0(6, ALL_WITH_LPA2, 0x323);
    const uint64_t common = 0x3500 | UINT64_C(1) << 31, ds = UINT64_C(1) << 32, sl2 = UINT64_C(1) << 33;
    struct pt_format wide = pt_aarch64_wide(pt_aarch64_stage2), wide_16k = pt_aarch64_wide(pt_aarch64_stage2_16k);
    struct pt_format wide_64k = pt_aarch64_wide(pt_aarch64_stage2_64k), longer = wide, forced = pt_aarch64_stage2;
    struct page_table table = {.format = &wide, .root = UINT64_C(0x000fedcba9876000), .asid = 0x1234};

    (void)state;
    assert_int_equal(pt_aarch64_vtcr(&pt_aarch64_stage2, mmfr0), common | 24 | 1 << 6 | 5 << 16);
    assert_int_equal(pt_aarch64_vtcr(&pt_aarch64_stage2, MMFR0(2, 0, 0)), common | 24 | 1 << 6 | 2 << 16);
    assert_int_equal(pt_aarch64_vtcr(&pt_aarch64_stage2_16k, mmfr0), common | 24 | 2 << 6 | 2 << 14 | 5 << 16);
    assert_int_equal(pt_aarch64_vtcr(&pt_aarch64_stage2_64k, mmfr0), common | 24 | 1 << 6 | 1 << 14 | 5 << 16);
    assert_int_equal(pt_aarch64_vtcr(&wide, mmfr0), common | 12 | 2 << 6 | 6 << 16 | ds);
    assert_int_equal(pt_aarch64_vtcr(&wide_16k, mmfr0), common | 12 | 3 << 6 | 2 << 14 | 6 << 16 | ds);
    assert_int_equal(pt_aarch64_vtcr(&wide_64k, mmfr0), common | 12 | 2 << 6 | 1 << 14 | 6 << 16);
    longer.levels++;
    assert_int_equal(pt_aarch64_vtcr(&longer, mmfr0), common | 12 | 6 << 16 | ds | sl2);

    /* BADDR[51:48] in bits 5:2, the VMID in 63:48. */
    assert_int_equal(pt_aarch64_ttbr(&table), UINT64_C(0x1234edcba9876000) | 0xf << 2);
    table.asid = PT_NO_ASID;
    assert_int_equal(pt_aarch64_ttbr(&table), UINT64_C(0x0000edcba9876000) | 0xf << 2);

    assert_int_equal(pt_aarch64_hcr(&pt_aarch64_stage2), 1);
    forced.features |= PT_FEATURE_FWB;
    assert_int_equal(pt_aarch64_hcr(&forced), 1 | UINT64_C(1) << 46);
}

static void registers_of_el2(void **state)
{
    (void)state;
    assert_int_equal(pt_aarch64_tcr_el2(&pt_aarch64_el2, MMFR0(6, ALL_WITHOUT, 0)), 0x80803510 | 5 << 16);
    assert_int_equal(pt_aarch64_tcr_el2(&pt_aarch64_el2, MMFR0(1, ALL_WITHOUT, 0)), 0x80803510 | 1 << 16);
}

/* TLB_CONTROL: 0 nothing, 1 everything, 3 the ASID of the VMCB, which not all CPUs can. */
static void invalidation_of_nested_tables(void **state)
{
    struct pt_flush flush = {.format = &pt_npt_4level, .asid = 5};

    (void)state;
    assert_int_equal(pt_npt_tlb_control(&flush, 5, true), 0);
    flush.range_count = 1;
    assert_int_equal(pt_npt_tlb_control(&flush, 5, true), 3);
    assert_int_equal(pt_npt_tlb_control(&flush, 5, false), 1);
    assert_int_equal(pt_npt_tlb_control(&flush, 6, true), 1);
    flush = (struct pt_flush){.format = &pt_npt_4level, .asid = PT_NO_ASID, .everything = true};
    assert_int_equal(pt_npt_tlb_control(&flush, 5, true), 1);
    assert_int_equal(pt_npt_tlb_control(&flush, PT_NO_ASID, true), 1);
    assert_true(pt_npt_can_flush_asid(1 << 6));
    assert_false(pt_npt_can_flush_asid(~(UINT32_C(1) << 6)));
}

/* A guest's physical addresses have no more than 52 bits, of the 57 that 5 levels would translate. */
static void nested_tables_of_fewer_bits(void **state)
{
    struct pt_format format = pt_npt_5level, own = pt_x86_64_la57;

    (void)state;
    format.va_bits = 52;
    assert_true(can_be_created(&format));
    format.va_bits = 49;
    assert_true(can_be_created(&format));
    format.va_bits = 48;
    assert_false(can_be_created(&format));
    format.va_bits = 58;
    assert_false(can_be_created(&format));
    own.va_bits = 52;
    assert_false(can_be_created(&own));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(granules_of_both_stages),
        cmocka_unit_test(wide_second_stage),
        cmocka_unit_test(second_stage_has_no_more_than_the_cpu),
        cmocka_unit_test(registers_of_the_second_stage),
        cmocka_unit_test(registers_of_el2),
        cmocka_unit_test(invalidation_of_nested_tables),
        cmocka_unit_test(nested_tables_of_fewer_bits),
    };

    return cmocka_run_group_tests_name("hw", tests, NULL, NULL);
}
