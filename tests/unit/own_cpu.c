/* SPDX-License-Identifier: MIT */
/*
 * What a format does on its own CPU only: invalidate by itself where there is no flush_tlb, and refuse to break
 * the pages that the change itself needs. The machine that runs the tests is the CPU of one format at most, so this is
 * a fake format, with a CPU made up for it.
 */
#include "fake_encoding.h"
#include "memory.h"

#define RW (PT_READ | PT_WRITE)
#define PADDR PT_1G

/* ---- The CPU ------------------------------------------------------------------------------------- */

static struct {
    const struct page_table *runs_on;
    size_t invalidations;
    struct pt_flush latest;
} cpu;

static void cpu_invalidate(const struct pt_flush *flush)
{
    cpu.invalidations++;
    cpu.latest = *flush;
}

static bool cpu_is_live(const struct page_table *pt)
{
    return pt == cpu.runs_on;
}

static bool cpu_must_break(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level)
{
    struct fake_entry old = fake_read(format, from, last_level), new = fake_read(format, to, last_level);

    return old.kind != new.kind || old.paddr != new.paddr || ((old.flags ^ new.flags) & PT_DEVICE);
}

static const struct encoding encoding = {
    FAKE_ENCODING,
    .entry_size = 8,
    .retired_mark = LINK | (0xa0 | (7 - LINK)) << 56,
    .must_break = cpu_must_break,
    .invalidate = cpu_invalidate,
    .is_live = cpu_is_live,
};

/* ---- What a change needs, each in a page of its own ---------------------------------------------- */

#define IN_A_PAGE(type, name)                                                                                          \
    static union {                                                                                                     \
        _Alignas(4096) type it;                                                                                        \
        char page[sizeof(type) < 4096 ? 4096 : (sizeof(type) + 4095) / 4096 * 4096];                                   \
    } name

#define CODE_IN_A_PAGE __attribute__((aligned(4096), noinline))

IN_A_PAGE(struct pt_format, format);
IN_A_PAGE(struct pt_handler, handler);
IN_A_PAGE(struct memory, memory);
IN_A_PAGE(struct page_table, table);
IN_A_PAGE(struct pt_flush, flush);
IN_A_PAGE(char, nothing);

CODE_IN_A_PAGE static void flush_tlb(void *ctx, const struct pt_flush *owed)
{
    memory.it.handler.flush_tlb(ctx, owed);
}

CODE_IN_A_PAGE static void *phys_to_virt(void *ctx, pt_paddr paddr)
{
    return memory_phys_to_virt(ctx, paddr);
}

CODE_IN_A_PAGE static int set_up(void **state)
{
    (void)state;
    memset(&cpu, 0, sizeof(cpu));
    format.it = (struct pt_format){
        FAKE_MEASURES,
        .name = "fake, on its own CPU",
        .pa_bits = 36,
        .new_mapping_owes = PT_OWES_BARRIER,
    };
    format.it.page_sizes = PT_4K | PT_2M | PT_1G;
    format.it.levels = 4;
    format.it.index_bits = 9;
    format.it.va_bits = 48;
    memory_init(&memory.it, MEMORY_BASE, 64);
    handler.it = memory.it.handler;
    handler.it.flush_tlb = flush_tlb;
    handler.it.phys_to_virt = phys_to_virt;
    assert_ok(pt_create(&table.it, &format.it, &handler.it, &memory.it));
    pt_flush_init(&flush.it, &table.it);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    cpu.runs_on = NULL;
    pt_flush(&flush.it);
    pt_destroy(&table.it);
    memory_end(&memory.it);
    return 0;
}

static void clear(void)
{
    cpu.runs_on = NULL;
    assert_ok(pt_unmap_region(&table.it, 0, UINT64_C(1) << 48, PT_SKIP_HOLES, &flush.it));
    pt_flush(&flush.it);
}

/* ---- Invalidating -------------------------------------------------------------------------------- */

static void without_a_flush_tlb_the_cpu_invalidates_what_is_owed(void **state)
{
    (void)state;
    handler.it.flush_tlb = NULL;
    assert_ok(pt_map(&table.it, PT_2M, PADDR, PT_4K, RW, &flush.it));
    pt_flush(&flush.it);
    cpu.invalidations = 0;

    assert_ok(pt_unmap(&table.it, PT_2M, NULL, &flush.it));
    assert_int_equal(cpu.invalidations, 0);
    pt_flush(&flush.it);
    assert_int_equal(cpu.invalidations, 1);
    assert_int_equal(cpu.latest.range_count, 1);
    assert_hex_equal(cpu.latest.ranges[0].vaddr, PT_2M);
    assert_hex_equal(cpu.latest.ranges[0].size, PT_4K);

    pt_flush(&flush.it);
    assert_int_equal(cpu.invalidations, 1);
}

/* New entries concern no other CPU, but this one's table walker has to see them. */
static void the_barrier_that_new_mappings_owe_is_this_cpus(void **state)
{
    (void)state;
    for (unsigned with_flush_tlb = 0; with_flush_tlb < 2; with_flush_tlb++) {
        handler.it.flush_tlb = with_flush_tlb ? flush_tlb : NULL;
        cpu.invalidations = 0;
        assert_ok(pt_map(&table.it, PT_2M, PADDR, PT_4K, RW, &flush.it));
        pt_flush(&flush.it);
        assert_int_equal(cpu.invalidations, 1);
        assert_true(cpu.latest.barrier);
        assert_int_equal(cpu.latest.range_count, 0);
        assert_false(cpu.latest.everything);
        assert_int_equal(memory.it.flush_count, 0);
        clear();
    }
}

static void a_flush_tlb_does_all_the_invalidating(void **state)
{
    (void)state;
    assert_ok(pt_map(&table.it, PT_2M, PADDR, PT_4K, RW, &flush.it));
    pt_flush(&flush.it);
    cpu.invalidations = 0;
    assert_ok(pt_unmap(&table.it, PT_2M, NULL, &flush.it));
    pt_flush(&flush.it);
    assert_int_equal(cpu.invalidations, 0);
    assert_int_equal(memory.it.flush_count, 1);
}

/* ---- What may not be broken ---------------------------------------------------------------------- */

/* The call is refused while the CPU runs on the table and then nothing has changed; it is not refused otherwise. */
#define assert_in_use(call, vaddr)                                                                                     \
    do {                                                                                                               \
        struct pt_mapping before_, after_;                                                                             \
        assert_ok(pt_query(&table.it, (vaddr), &before_));                                                             \
        cpu.runs_on = &table.it;                                                                                       \
        assert_status(call, PT_IN_USE);                                                                                \
        assert_ok(pt_query(&table.it, (vaddr), &after_));                                                              \
        assert_true(before_.paddr == after_.paddr && before_.page_size == after_.page_size &&                          \
                    before_.flags == after_.flags);                                                                    \
        cpu.runs_on = NULL;                                                                                            \
        assert_ok(call);                                                                                               \
        clear();                                                                                                       \
    } while (false)

static void map(pt_vaddr vaddr, uint64_t page_size)
{
    assert_ok(pt_map(&table.it, vaddr & ~(page_size - 1), PADDR, page_size, RW, &flush.it));
    pt_flush(&flush.it);
}

/* Changes of one page of this size. */
static void check_page_in_use(pt_vaddr vaddr, uint64_t page_size)
{
    pt_vaddr first = vaddr & ~(page_size - 1);

    map(vaddr, page_size);
    assert_in_use(pt_remap(&table.it, vaddr, 2 * PADDR, RW, NULL, &flush.it), vaddr);
    map(vaddr, page_size);
    assert_in_use(pt_protect(&table.it, vaddr, RW | PT_DEVICE, NULL, &flush.it), vaddr);
    map(vaddr, page_size);
    assert_in_use(pt_protect_region(&table.it, first, page_size, RW | PT_DEVICE, 0, &flush.it), vaddr);
}

/* Whatever splits it, wherever in it. */
static void check_split_in_use(pt_vaddr vaddr, uint64_t page_size)
{
    pt_vaddr first = vaddr & ~(page_size - 1);

    map(vaddr, page_size);
    assert_in_use(pt_split(&table.it, vaddr, PT_4K, &flush.it), vaddr);
    map(vaddr, page_size);
    assert_in_use(pt_split(&table.it, first, PT_4K, &flush.it), vaddr);
    map(vaddr, page_size);
    assert_in_use(pt_unmap_region(&table.it, first, PT_4K, 0, &flush.it), vaddr);
    map(vaddr, page_size);
    assert_in_use(pt_unmap_region(&table.it, first + PT_4K, page_size - PT_4K, 0, &flush.it), vaddr);
    map(vaddr, page_size);
    assert_in_use(pt_protect_region(&table.it, first, PT_4K, PT_READ, 0, &flush.it), vaddr);
}

static void what_a_change_needs_is_not_broken(void **state)
{
    const struct {
        const void *object;
        void (*code)(void);
    } needed[] = {
        {.object = &format},
        {.object = &handler},
        {.object = &memory},
        {.object = &table},
        {.object = &flush},
        {.object = &operations},
        {.code = (void (*)(void))flush_tlb},
        {.code = (void (*)(void))phys_to_virt},
        {.code = (void (*)(void))pt_flush_invalidate},
        {.code = (void (*)(void))replace_entry},
    };

    (void)state;
    for (size_t i = 0; i < TESTS_COUNT(needed); i++) {
        pt_vaddr vaddr = needed[i].object ? (uintptr_t)needed[i].object : (uintptr_t)needed[i].code;

        check_page_in_use(vaddr, PT_4K);
        check_page_in_use(vaddr, PT_2M);
        check_split_in_use(vaddr, PT_2M);
        check_split_in_use(vaddr, PT_1G);
    }
}

static void the_stack_is_not_broken(void **state)
{
    pt_vaddr vaddr = (uintptr_t)__builtin_frame_address(0);

    (void)state;
    check_page_in_use(vaddr, PT_1G);
    check_split_in_use(vaddr, PT_1G);
}

/* Where the test has the table that holds vaddr's entry in the last level. */
static pt_vaddr table_of_pages(pt_vaddr vaddr)
{
    const uint64_t *at = memory_phys_to_virt(&memory.it, pt_root(&table.it));

    for (unsigned shift = 39; shift > 12; shift -= 9)
        at = memory_phys_to_virt(&memory.it, fake_read(&format.it, at[vaddr >> shift & 511], false).paddr);
    return (uintptr_t)at;
}

/* The CPU sees the table that the new entry is written to where the test has it. */
static void the_table_that_is_written_to_is_not_broken(void **state)
{
    pt_vaddr vaddr;

    (void)state;
    memory.it.reuse_soon = true; /* whatever is mapped, its tables are the same frames */
    map(0, PT_4K);
    vaddr = table_of_pages(0);
    clear();
    map(vaddr, PT_4K);
    assert_hex_equal(table_of_pages(vaddr), vaddr);
    clear();
    check_page_in_use(vaddr, PT_4K);
}

static void what_needs_no_break_is_not_refused(void **state)
{
    pt_vaddr vaddr = (uintptr_t)&flush, other = (uintptr_t)&nothing;

    (void)state;
    map(vaddr, PT_4K);
    cpu.runs_on = &table.it;
    assert_ok(pt_protect(&table.it, vaddr, PT_READ, NULL, &flush.it));
    assert_ok(pt_unmap(&table.it, vaddr, NULL, &flush.it));
    clear();

    map(other, PT_4K);
    cpu.runs_on = &table.it;
    assert_ok(pt_remap(&table.it, other, 2 * PADDR, RW, NULL, &flush.it));
    assert_ok(pt_protect_region(&table.it, other, PT_4K, RW | PT_DEVICE, 0, &flush.it));
    clear();
}

static void pages_in_use_are_not_collapsed(void **state)
{
    pt_vaddr vaddr = (uintptr_t)&flush & ~(PT_2M - 1);
    struct pt_mapping page;

    (void)state;
    assert_ok(pt_map_region(&table.it, vaddr, PADDR, PT_2M, RW, 0, &flush.it));
    pt_flush(&flush.it);
    cpu.runs_on = &table.it;
    assert_ok(pt_collapse(&table.it, vaddr, PT_2M, &flush.it));
    assert_ok(pt_query(&table.it, vaddr, &page));
    assert_hex_equal(page.page_size, PT_4K);
    cpu.runs_on = NULL;
    assert_ok(pt_collapse(&table.it, vaddr, PT_2M, &flush.it));
    assert_ok(pt_query(&table.it, vaddr, &page));
    assert_hex_equal(page.page_size, PT_2M);
    clear();
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(without_a_flush_tlb_the_cpu_invalidates_what_is_owed),
        TEST(the_barrier_that_new_mappings_owe_is_this_cpus),
        TEST(a_flush_tlb_does_all_the_invalidating),
        TEST(what_a_change_needs_is_not_broken),
        TEST(the_stack_is_not_broken),
        TEST(the_table_that_is_written_to_is_not_broken),
        TEST(what_needs_no_break_is_not_refused),
        TEST(pages_in_use_are_not_collapsed),
    };

    return cmocka_run_group_tests_name("own_cpu", tests, NULL, NULL);
}
