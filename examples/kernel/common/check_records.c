/* SPDX-License-Identifier: MIT */
/* What the hardware records: which pages were accessed, which are dirty. */
#include "check.h"

#define PAGES 8u

#define PAGE(n) (1u << (n)) /* sets of pages */

struct seen {
    pt_vaddr vaddr;
    pt_flags flag;
    unsigned pages; /* of the first PAGES */
    size_t count;
};

/* For pt_clear_accessed and pt_clear_dirty. */
static bool see(void *arg, const struct pt_visit *visit)
{
    struct seen *seen = arg;
    uint64_t page = (visit->vaddr - seen->vaddr) / span(0);

    if (page < PAGES && (visit->mapping.flags & seen->flag) != 0)
        seen->pages |= PAGE(page);
    seen->count++;
    return true;
}

static struct seen clear_accessed(struct page_table *table, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush)
{
    struct seen seen = {vaddr, PT_ACCESSED, 0, 0};

    must(pt_clear_accessed(table, vaddr, size, see, &seen, flush), "pt_clear_accessed");
    return seen;
}

static struct seen clear_dirty(struct page_table *table, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush)
{
    struct seen seen = {vaddr, PT_DIRTY, 0, 0};

    must(pt_clear_dirty(table, vaddr, size, see, &seen, flush), "pt_clear_dirty");
    return seen;
}

static pt_flags recorded(const struct page_table *table, pt_vaddr vaddr)
{
    struct pt_mapping mapping;

    must(pt_query(table, vaddr, &mapping), "pt_query");
    return mapping.flags & (PT_ACCESSED | PT_DIRTY);
}

/* The pages of the first PAGES that have this mark. */
static unsigned marked(const struct page_table *table, pt_vaddr vaddr, pt_flags mark)
{
    unsigned pages = 0;

    for (unsigned i = 0; i < PAGES; i++)
        if ((recorded(table, vaddr + i * span(0)) & mark) != 0)
            pages |= PAGE(i);
    return pages;
}

/* ---- Small pages --------------------------------------------------------------------------------- */

static void check_small(struct kernel *kernel, struct page_table *table, pt_vaddr vaddr)
{
    const uint64_t size = PAGES * span(0);
    pt_paddr paddr = kernel->tagged;
    pt_vaddr one = vaddr + span(0), three = vaddr + 3 * span(0), five = vaddr + 5 * span(0);
    struct pt_flush flush;
    struct seen seen;
    bool unrecorded;

    pt_flush_init(&flush, table);
    must(pt_map_region(table, vaddr, paddr, size, PT_READ | PT_WRITE, 0, &flush), "pt_map_region");
    pt_flush(&flush);
    check(marked(table, vaddr, PT_ACCESSED | PT_DIRTY) == 0, "%u new pages: neither accessed nor dirty", PAGES);
    (void)(reads(one, paddr + span(0)) && reads(three, paddr + 3 * span(0)) && writes(three, paddr + 3 * span(0)) &&
           writes(five, paddr + 5 * span(0)));
    check(marked(table, vaddr, PT_ACCESSED) == (PAGE(1) | PAGE(3) | PAGE(5)),
          "accessed: those that were read or written");
    check(marked(table, vaddr, PT_DIRTY) == (PAGE(3) | PAGE(5)), "dirty: those that were written");

    (void)writes(three, paddr + 3 * span(0)); /* what was printed may have driven this one out of the TLB */
    seen = clear_dirty(table, vaddr, size, &flush);
    unrecorded = writes(three, paddr + 3 * span(0)) && marked(table, vaddr, PT_DIRTY) == 0;
    check(seen.pages == (PAGE(3) | PAGE(5)) && seen.count == 2, "pt_clear_dirty reports just these, and clears them");
    check(unrecorded, "without flush: a write is not recorded, the TLB has the page as dirty");
    pt_flush(&flush);
    (void)writes(three, paddr + 3 * span(0));
    check(marked(table, vaddr, PT_DIRTY) == PAGE(3), "flush: the next write is recorded");

    (void)reads(one, paddr + span(0)); /* the flush may have dropped this one, too */
    seen = clear_accessed(table, vaddr, size, &flush);
    unrecorded = reads(one, paddr + span(0)) && marked(table, vaddr, PT_ACCESSED) == 0;
    check(seen.pages == (PAGE(1) | PAGE(3) | PAGE(5)) && seen.count == 3,
          "pt_clear_accessed reports just those that were, and clears them");
    check(unrecorded, "without flush: a read is not recorded, the TLB has the page");
    pt_flush(&flush);
    (void)reads(one, paddr + span(0));
    check(marked(table, vaddr, PT_ACCESSED) == PAGE(1) && marked(table, vaddr, PT_DIRTY) == PAGE(3),
          "flush: the next read is recorded; what is dirty has stayed so");

    must(pt_protect_region(table, vaddr, size, PT_READ, 0, &flush), "pt_protect_region");
    pt_flush(&flush);
    check(marked(table, vaddr, PT_DIRTY) == PAGE(3) && faults(ACCESS_WRITE, three) && faults(ACCESS_WRITE, five) &&
              marked(table, vaddr, PT_DIRTY) == PAGE(3),
          "read-only: write faults and is not recorded, the dirty page is known as such");
    must(pt_protect_region(table, vaddr, size, PT_READ | PT_WRITE, 0, &flush), "pt_protect_region");
    pt_flush(&flush);
    check(marked(table, vaddr, PT_DIRTY) == PAGE(3) && writes(five, paddr + 5 * span(0)) &&
              marked(table, vaddr, PT_DIRTY) == (PAGE(3) | PAGE(5)),
          "writable again: still; and a write to another is recorded");
    must(pt_unmap_region(table, vaddr, size, 0, &flush), "pt_unmap_region");
    pt_flush(&flush);
}

/* ---- Pages that are split and put together ------------------------------------------------------- */

/* How many pages, of any size, the region is mapped by. */
static size_t count_pages(const struct page_table *table, pt_vaddr vaddr, uint64_t size)
{
    pt_vaddr end = vaddr + size;
    size_t count = 0;

    for (uint64_t page; vaddr != end && (page = page_size_at(table, vaddr)) != 0; vaddr += page)
        count++;
    return count;
}

static void check_huge(struct kernel *kernel, struct page_table *table, pt_vaddr vaddr)
{
    const pt_flags both = PT_ACCESSED | PT_DIRTY;
    pt_paddr paddr = kernel->tagged & ~(span(1) - 1);
    uint64_t offset = kernel->tagged - paddr + 44 * span(0);
    struct pt_flush flush;
    struct seen seen, others;
    size_t parts;

    pt_flush_init(&flush, table);
    must(pt_map(table, vaddr, paddr, span(1), PT_READ | PT_WRITE, &flush), "pt_map");
    pt_flush(&flush);
    (void)writes(vaddr + offset, paddr + offset);
    must(pt_split(table, vaddr, span(0), &flush), "pt_split");
    pt_flush(&flush);
    parts = count_pages(table, vaddr, span(1));
    seen = clear_dirty(table, vaddr, span(1), &flush);
    others = clear_accessed(table, vaddr, span(1), &flush);
    pt_flush(&flush);
    check(parts > 1 && seen.count == parts && others.count == seen.count,
          "a dirty large page is split: all %zu parts are dirty and accessed", seen.count);

    must(pt_collapse(table, vaddr, span(1), &flush), "pt_collapse");
    pt_flush(&flush);
    check(recorded(table, vaddr) == 0, "clean again and collapsed: the large page is neither");
    (void)reads(vaddr + offset, paddr + offset);
    check(recorded(table, vaddr) == PT_ACCESSED, "... and is accessed after a read");

    must(pt_split(table, vaddr, span(0), &flush), "pt_split");
    pt_flush(&flush);
    (void)writes(vaddr + offset, paddr + offset);
    check(recorded(table, vaddr + offset) == both && recorded(table, vaddr) == PT_ACCESSED,
          "split: after a write one part is dirty");
    must(pt_collapse(table, vaddr, span(1), &flush), "pt_collapse");
    pt_flush(&flush);
    check(recorded(table, vaddr) == both && page_size_at(table, vaddr) == span(1),
          "collapsed: the large page is dirty, since a part was");
    must(pt_unmap_region(table, vaddr, span(1), 0, &flush), "pt_unmap_region");
    pt_flush(&flush);
}

void check_records(struct kernel *kernel)
{
    struct pt_format format = *machine_format;
    pt_vaddr code = kernel_physical((const void *)(uintptr_t)pt_query); /* which `recorded` calls, on the table */
    struct page_table table;
    size_t before = kernel->tables;

    group("records: accessed and dirty");
    if (!machine_tracks_access) {
        note("the hardware of this machine records nothing");
        return;
    }
    format.tracks_access = true;
    must(pt_create(&table, &format, &kernel_handler, kernel), "pt_create");
    kernel_map_linear(&table);
    kernel_run_on(kernel, &table);
    if (!kernel_runs_in_table())
        note("the kernel does not run in its guest's table");
    else
        check(recorded(&table, code) == PT_ACCESSED &&
                  recorded(&table, kernel_physical(&table)) == (PT_ACCESSED | PT_DIRTY),
              "a table that keeps track: the kernel's code is accessed, its stack dirty, too");
    check_small(kernel, &table, window(0));
    check_huge(kernel, &table, window(0) + span(1));
    kernel_run_on(kernel, &kernel->table);
    pt_destroy(&table);
    check(kernel->tables == before, "on the kernel's own table again");
}
