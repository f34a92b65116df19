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
    print("\naddress space, in %lu tables:\n", kernel.tables);
    print("  virtual                               -> physical             size of   page flags\n");
    pt_dump(table, console_write_line, NULL);
}

/* What wants pages of 4 KiB. */
static void check_small_pages(void)
{
    check_alias(&kernel);
    check_unmap(&kernel);
    check_protect(&kernel);
    check_execute(&kernel);
    check_user(&kernel);
    check_remap(&kernel);
    check_region(&kernel);
    check_holes(&kernel);
    check_flush(&kernel);
    if (machine_format->group_bits[1] == 0)
        check_reshape(&kernel);
    else
        note("the checks of splitting are written for large pages of one entry");
    check_records(&kernel);
    check_asid(&kernel);
}

_Noreturn void kernel_main(void)
{
    size_t linear_tables;

    print("pagetable: %s, format %s\n", machine_name, machine_format->name);
    for (const struct machine_region *region = machine_regions; region->size != 0; region++)
        print("%lx: %s, %lu KiB\n", region->paddr, region->name, region->size / 1024);
    kernel_set_up_memory(&kernel);

    must(pt_create(&kernel.table, machine_format, &kernel_handler, &kernel), "pt_create");
    if (kernel_has_two_roots(&kernel))
        must(pt_create(&kernel.high, machine_format, &kernel_handler, &kernel), "pt_create");
    kernel_map_linear(&kernel.table);
    linear_tables = kernel.tables;
    show_address_space(&kernel.table);

    kernel_run_on(&kernel, &kernel.table);
    check_linear_map(&kernel);
    if (machine_format->page_shift == 12)
        check_small_pages();
    else
        note("the checks of single pages are written for pages of 4 KiB");
    check_random(&kernel, 1000, UINT64_C(1) << machine_format->page_shift);
    check_random(&kernel, 2400, machine_format->page_sizes);
    check_destroy(&kernel);

    print("\n%u checks; %lu frames used for tables at first, %lu at most, %lu now\n", check_count(), linear_tables,
          kernel.most_tables, kernel.tables);
    print("pagetable: all checks passed on %s\n", machine_name);
    machine_exit(true);
}
