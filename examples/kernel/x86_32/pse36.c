/* SPDX-License-Identifier: MIT */
/*
 * PSE-36: pages of 4 MiB of memory above 4 GiB, which nothing else of 32-bit paging reaches. What is seen through them
 * is compared with what PAE shows, whose entries hold these addresses as they are.
 */
#include <pagetable/hw.h>

#include "check.h"

/* Two memory modules, by run.sh. Every bit of an address above a page's is set in one and clear in the other. */
static const pt_paddr modules[] = {UINT64_C(0x5555400000), UINT64_C(0xaaaa800000)};
#define MODULES 2

/* What is written: at some places all over the page, where it is, and who wrote it. */
#define PLACES 61
#define BY_PSE36 1
#define BY_PAE 2

static uint64_t place(unsigned i)
{
    return i * (PT_4M / PLACES & ~UINT64_C(7));
}

static bool write_module(pt_vaddr vaddr, pt_paddr module, uint64_t by)
{
    bool good = true;

    for (unsigned i = 0; i < PLACES; i++)
        good = writes(vaddr + place(i), (module + place(i)) | by) && good;
    return good;
}

static bool read_module(pt_vaddr vaddr, pt_paddr module, uint64_t by)
{
    bool good = true;

    for (unsigned i = 0; i < PLACES; i++)
        good = reads(vaddr + place(i), (module + place(i)) | by) && good;
    return good;
}

static void map_module(struct kernel *kernel, unsigned i)
{
    map_page(kernel, window(i), modules[i], PT_4M, PT_READ | PT_WRITE);
}

static void check_map(struct kernel *kernel)
{
    bool good = true;

    for (unsigned i = 0; i < MODULES; i++) {
        map_module(kernel, i);
        good = write_module(window(i), modules[i], BY_PSE36) && good;
    }
    check(good && read_module(window(0), modules[0], BY_PSE36) && read_module(window(1), modules[1], BY_PSE36),
          "what is written at %jx and %jx is read there, both after both", modules[0], modules[1]);
    for (unsigned i = 0; i < MODULES; i++)
        unmap_page(kernel, window(i));
}

/* Paging has to be off, for CR4.PAE to change. */
static void check_by_pae(struct kernel *kernel)
{
    struct pt_format pae = pt_x86_pae_detect();
    struct page_table table;
    struct pt_flush flush;
    bool seen = true, written = true;

    must(pt_create(&table, &pae, &kernel_handler, kernel), "pt_create");
    kernel_map_linear(&table);
    pt_flush_init(&flush, &table);
    for (unsigned i = 0; i < MODULES; i++)
        must(pt_map_region(&table, window(i), modules[i], PT_4M, PT_READ | PT_WRITE, 0, &flush), "pt_map_region");
    pt_flush_ignore(&flush);
    machine_disable_mmu();
    machine_enable_mmu(&table, &table);
    for (unsigned i = 0; i < MODULES; i++)
        seen = read_module(window(i), modules[i], BY_PSE36) && seen;
    for (unsigned i = 0; i < MODULES; i++)
        written = write_module(window(i), modules[i], BY_PAE) && written;
    machine_disable_mmu();
    pt_destroy(&table);
    kernel_run_on(kernel, &kernel->table);
    check(seen, "... and by PAE, through pages of 4 KiB, which is turned on for that");
    for (unsigned i = 0; i < MODULES; i++)
        map_module(kernel, i);
    check(written && read_module(window(0), modules[0], BY_PAE) && read_module(window(1), modules[1], BY_PAE),
          "what is written by PAE is read by PSE-36");
    unmap_page(kernel, window(1));
}

/* One page, window(0), which has the first module. */
static void check_change(struct kernel *kernel)
{
    pt_vaddr vaddr = window(0), probe = vaddr + OFFSET;
    pt_paddr low = kernel->tagged;
    struct pt_flush flush;
    bool seen, stale;

    pt_flush_init(&flush, &kernel->table);
    drop_tlb();
    seen = read_module(vaddr, modules[0], BY_PAE);
    must(pt_remap(&kernel->table, vaddr, low, PT_READ | PT_WRITE, NULL, &flush), "pt_remap");
    stale = read_module(vaddr, modules[0], BY_PAE);
    check(seen, "the memory at %jx is seen; instead of it comes that at %jx", modules[0], low);
    /* So many places are read that the emulator's TLB may have lost one to the code in between. */
    note(stale ? "without flush: the TLB still has the other" : "without flush: the TLB has lost the other by itself");
    pt_flush(&flush);
    check(reads(probe, low + OFFSET), "flush: memory is seen");
    must(pt_remap(&kernel->table, vaddr, modules[1], PT_READ, NULL, &flush), "pt_remap");
    pt_flush(&flush);
    check(read_module(vaddr, modules[1], BY_PAE) && faults(ACCESS_WRITE, probe), "remap to %jx, read-only: so it is",
          modules[1]);
    protect_page(kernel, vaddr, 0);
    check(faults(ACCESS_READ, probe) && faults(ACCESS_WRITE, probe), "no access: read and write fault at %jx", probe);
    protect_page(kernel, vaddr, PT_READ | PT_WRITE);
    check(read_module(vaddr, modules[1], BY_PAE), "back from no access: %jx again", modules[1]);
    unmap_page(kernel, vaddr);
    check(faults(ACCESS_READ, probe) && faults(ACCESS_WRITE, probe), "unmap: read and write fault");
}

static void check_refused(struct kernel *kernel)
{
    struct page_table *table = &kernel->table;
    struct pt_flush flush;

    pt_flush_init(&flush, table);
    check(pt_map(table, window(0), modules[0], PT_4K, PT_READ, &flush) == PT_BAD_ADDRESS,
          "smaller pages do not reach there");
    map_module(kernel, 0);
    check(pt_split(table, window(0), PT_4K, &flush) == PT_MAPPED_TO_HUGE_PAGE &&
              pt_unmap_region(table, window(0), PT_4K, 0, &flush) == PT_MAPPED_TO_HUGE_PAGE,
          "... and no part of a large one is unmapped");
    unmap_page(kernel, window(0));
}

void check_pse36(struct kernel *kernel)
{
    group("far: memory that has addresses of more bits than an entry");
    check_map(kernel);
    check_by_pae(kernel);
    check_change(kernel);
    check_refused(kernel);
}
