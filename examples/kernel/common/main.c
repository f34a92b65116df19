/* SPDX-License-Identifier: MIT */
/*
 * A kernel that has nothing but page tables: it maps itself with the library, turns the MMU on, and sees
 * whether the hardware agrees with the library about everything else.
 */
#include "check.h"

static struct kernel kernel;

static void map_identity(struct page_table *table, pt_paddr start, pt_paddr end, pt_flags flags)
{
    struct pt_flush flush;

    pt_flush_init(&flush, table);
    must(pt_map_region(table, start, start, end - start, flags | PT_GLOBAL, PT_ALLOW_HUGE, &flush), "pt_map_region");
    pt_flush_ignore(&flush); /* no CPU has used this table yet: no TLB holds anything of it */
}

void kernel_map_linear(struct page_table *table)
{
    const struct machine_region *ram = &machine_regions[0];
    pt_paddr text = kernel_physical(kernel_text_start), text_end = kernel_physical(kernel_text_end);

    /* No memory is writable and executable: the kernel's code is the one part of RAM that can be run. */
    map_identity(table, ram->paddr, text, ram->flags);
    map_identity(table, text, text_end, PT_READ | PT_EXECUTE);
    map_identity(table, text_end, ram->paddr + ram->size, ram->flags);
    for (const struct machine_region *region = ram + 1; region->size != 0; region++)
        map_identity(table, region->paddr, region->paddr + region->size, region->flags);
}

void kernel_run_on(struct kernel *of, const struct page_table *table)
{
    machine_enable_mmu(table, kernel_has_two_roots(of) ? &of->high : table);
}

static void show_address_space(const struct page_table *table)
{
    print("\naddress space, in %zu tables:\n", kernel.tables);
    print("  virtual                               -> physical             size of   page flags\n");
    pt_dump(table, console_write_line, NULL);
}

static void check_detect(struct kernel *of)
{
    (void)of;
    if (machine_options.check_detect != NULL)
        machine_options.check_detect();
    else
        note("the library has no helper that finds out what this CPU has");
}

static void check_pages(struct kernel *of)
{
    check_alias(of);
    check_far(of);
    check_unmap(of);
    check_protect(of);
    check_execute(of);
    check_user(of);
    check_remap(of);
}

static void check_random_pages(struct kernel *of)
{
    bool few = machine_format->va_bits <= 32; /* addresses, and large pages would take most of them */

    check_random(of, 1000, UINT64_C(1) << machine_format->page_shift);
    check_random(of, few ? 600 : 2400, machine_format->page_sizes);
}

/* In this order; run.sh shows what has become of each. */
static const struct {
    const char *name;
    void (*run)(struct kernel *kernel);
} checks[] = {
    {"detect", check_detect}, {"linear", check_linear_map},   {"page", check_pages},      {"region", check_region},
    {"holes", check_holes},   {"flush", check_flush},         {"reshape", check_reshape}, {"records", check_records},
    {"asid", check_asid},     {"random", check_random_pages}, {"explain", check_explain}, {"destroy", check_destroy},
};

/* The lines in brackets are for run.sh: a check that is begun and not ended has failed. */
static void run_checks(void)
{
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        unsigned before = check_count();

        print("\n[%s]\n", checks[i].name);
        checks[i].run(&kernel);
        print("[%s: %s]\n", checks[i].name, check_count() > before ? "pass" : "-");
    }
}

#ifdef MACHINE_STAY
/* For those who look at a machine from outside: pages with all rights there are, and then nothing more happens. */
static _Noreturn void stay(void)
{
    static const pt_flags rights[] = {
        PT_READ,
        PT_READ | PT_WRITE,
        PT_READ | PT_EXECUTE,
        PT_READ | PT_WRITE | PT_EXECUTE,
        PT_READ | PT_USER,
        PT_READ | PT_WRITE | PT_USER,
        PT_READ | PT_EXECUTE | PT_USER,
    };
    pt_paddr large = kernel.tagged & ~(span(1) - 1);

    for (unsigned half = 0; half < WINDOWS; half++) {
        pt_vaddr place = window(half);

        for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
            for (unsigned page = 0; page < 3; page++)
                map_page(&kernel, place + (4 * i + page) * span(0), kernel.tagged + page * span(0), span(0), rights[i]);
        map_page(&kernel, place + span(1), large, span(1), PT_READ);
        map_page(&kernel, place + 2 * span(1), large, span(1), PT_READ | PT_WRITE | PT_GLOBAL);
    }
    show_address_space(&kernel.table);
    if (kernel_has_two_roots(&kernel))
        show_address_space(&kernel.high);
    print("pagetable: stays\n");
    for (;;)
        __asm__ volatile("" ::: "memory");
}
#endif

_Noreturn void kernel_main(void)
{
    size_t linear_tables;

    print("pagetable: %s, format %s\n", machine_name, machine_format->name);
    for (const struct machine_region *region = machine_regions; region->size != 0; region++)
        print("%jx: %s, %ju KiB\n", region->paddr, region->name, region->size / 1024);
    kernel_handler.flush_tlb = machine_options.flush_tlb;
    kernel_set_up_memory(&kernel);

    must(pt_create(&kernel.table, machine_format, &kernel_handler, &kernel), "pt_create");
    if (kernel_has_two_roots(&kernel))
        must(pt_create(&kernel.high, machine_format, &kernel_handler, &kernel), "pt_create");
    if (kernel_is_hypervisor() && machine_has_asids)
        pt_set_asid(&kernel.table, 3); /* some guest's */
    kernel_map_linear(&kernel.table);
    linear_tables = kernel.tables;
    show_address_space(&kernel.table);

    kernel_run_on(&kernel, &kernel.table);
#ifdef MACHINE_STAY
    stay();
#endif
    run_checks();
    print("\n%u checks; %zu frames used for tables at first, %zu at most, %zu now\n", check_count(), linear_tables,
          kernel.most_tables, kernel.tables);
    print("pagetable: all checks passed on %s\n", machine_name);
    machine_exit(true);
}
