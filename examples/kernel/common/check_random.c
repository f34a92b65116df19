/* SPDX-License-Identifier: MIT */
/*
 * Thousands of random pages, all there at once, each compared with the hardware's own
 * walker: after mapping, after random changes, and after unmapping. What is mapped is also written down
 * here, so that the library is not asked to confirm itself.
 */
#include "check.h"
#include "random.h"

#define PAGES 2400u /* at most */
#define PROBES 2u   /* of each page, each time */
#define CHANGES 64u /* gathered in one flush, which remembers 32: some become "everything" */

struct page {
    pt_vaddr vaddr;
    pt_paddr paddr;
    uint64_t size;
    pt_flags flags;
};

/* A page changed since the last flush, and the address in it that the TLB has seen before. */
struct change {
    const struct page *page;
    uint64_t offset;
};

struct test {
    struct kernel *kernel;
    struct random random;
    struct pt_flush flush[2]; /* of the lower and the upper half's table */
    struct change changes[CHANGES];
    size_t owed;    /* of them, since the last flush */
    uint64_t sizes; /* that pages may have, OR-ed */
    size_t wanted;  /* pages */
    struct page pages[PAGES];
    size_t count;
};

static struct test test; /* any state is a good one for `random`, all zero as well */

/* ---- Random pages -------------------------------------------------------------------------------- */

/* Three of four are of the smallest size, three of four of the others of the next, ... */
static uint64_t random_size(void)
{
    uint64_t sizes = test.sizes;

    while ((sizes & (sizes - 1)) != 0 && random_once_in(&test.random, 4))
        sizes &= sizes - 1;
    return sizes & (0 - sizes);
}

static pt_vaddr random_vaddr(uint64_t page_size)
{
    pt_vaddr vaddr = random_next(&test.random) & ~(page_size - 1);

    /* Every second page near one that is there: neighbours share tables, and TLB entries on LoongArch. */
    if (test.count > 0 && random_once_in(&test.random, 2)) {
        const struct page *near = &test.pages[random_below(&test.random, test.count)];

        return (near->vaddr & ~(page_size - 1)) ^ page_size << random_below(&test.random, 4);
    }
    if (machine_format->address_space == PT_ZERO_EXTENDED)
        return vaddr & (kernel_end_of_addresses() - 1);
    vaddr &= 0 - kernel_upper_half() - 1;
    return random_once_in(&test.random, 2) ? vaddr : kernel_upper_half() + vaddr;
}

/* Tagged memory; any at all every second time, where the walker can be asked without an access. */
static pt_paddr random_paddr(uint64_t page_size)
{
    const struct kernel *kernel = test.kernel;
    pt_paddr paddr = kernel->tagged + random_below(&test.random, kernel->tagged_size);

    if (!machine_translate_reads && random_once_in(&test.random, 2))
        paddr = random_next(&test.random) & ((UINT64_C(1) << machine_format->pa_bits) - 1);
    return paddr & ~(page_size - 1);
}

static pt_flags random_flags(void)
{
    return (pt_flags)random_next(&test.random) & PT_ALL_FLAGS;
}

static bool overlaps(pt_vaddr a, uint64_t a_size, pt_vaddr b, uint64_t b_size)
{
    return a <= b + (b_size - 1) && b <= a + (a_size - 1);
}

/* Whether something is mapped there, says the list. */
static bool is_taken(pt_vaddr vaddr, uint64_t size)
{
    for (const struct machine_region *region = machine_regions; region->size != 0; region++)
        if (overlaps(vaddr, size, region->paddr, region->size))
            return true;
    for (size_t i = 0; i < test.count; i++)
        if (overlaps(vaddr, size, test.pages[i].vaddr, test.pages[i].size))
            return true;
    return false;
}

static struct pt_flush *flush_of(pt_vaddr vaddr)
{
    return &test.flush[kernel_table(test.kernel, vaddr) == &test.kernel->high];
}

static bool is_tagged(pt_paddr paddr)
{
    return paddr - test.kernel->tagged < test.kernel->tagged_size;
}

/* ---- Comparing ----------------------------------------------------------------------------------- */

/* A random offset in the page at which machine_translate's answer is good. */
static uint64_t random_offset(const struct page *page)
{
    const struct kernel *kernel = test.kernel;
    uint64_t first = 0, size = page->size;

    if (machine_translate_reads && page->size > kernel->tagged_size) {
        first = kernel->tagged - page->paddr;
        size = kernel->tagged_size;
    }
    return first + (random_below(&test.random, size) & ~UINT64_C(7));
}

/* The rights that were asked for are there, with what they imply, and no others. */
static bool has_rights(pt_flags flags, pt_flags wanted)
{
    pt_flags rights = PT_READ | PT_WRITE | PT_EXECUTE;

    if ((wanted & rights) != 0 && (flags & PT_READ) != 0)
        wanted |= PT_READ;
    if ((wanted & PT_READ) != 0 && !kernel_has_no_execute())
        wanted |= PT_EXECUTE;
    if (!kernel_has_privileges()) /* FEAT_XNX: but one that is executed is one level's */
        wanted = (wanted | (kernel_has_xnx() && (wanted & PT_EXECUTE) != 0 ? 0 : PT_USER)) & ~PT_GLOBAL;
    return ((flags ^ wanted) & (rights | PT_USER | PT_GLOBAL)) == 0;
}

/* What a user may do, by the hardware's walk. */
static void compare_user(pt_vaddr vaddr, pt_flags flags, const char *when)
{
    bool user = (flags & PT_USER) != 0;

    if (machine_options.user_may == NULL)
        return;
    if (machine_options.user_may(ACCESS_READ, vaddr) != (user && (flags & PT_READ) != 0) ||
        machine_options.user_may(ACCESS_WRITE, vaddr) != (user && (flags & PT_WRITE) != 0))
        check(false, "%s: %jx is mapped with flags %x, the hardware has another opinion of users", when, vaddr, flags);
}

/*
 * Where the probe hits tagged memory, a real read, and a real write of what stands there anyway: both do
 * what the flags say, seen from a kernel that may be kept off user pages.
 */
static void compare_accesses(pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, const char *when)
{
    bool guarded = machine_guards_user_pages && (flags & PT_USER) != 0;
    uint64_t value = 0;
    struct access_result result;

    if (!is_tagged(paddr))
        return;
    result = machine_access(ACCESS_READ, vaddr, &value);
    if (result.faulted != ((flags & PT_READ) == 0 || guarded) ||
        (result.faulted ? result.vaddr != vaddr : value != paddr))
        check(false, "%s: read at %jx, mapped to %jx with flags %x: %s %jx", when, vaddr, paddr, flags,
              result.faulted ? "faults at" : "gets", result.faulted ? result.vaddr : value);
    value = paddr;
    result = machine_access(ACCESS_WRITE, vaddr, &value);
    if (result.faulted != ((flags & PT_WRITE) == 0 || guarded) || (result.faulted && result.vaddr != vaddr))
        check(false, "%s: write at %jx, mapped to %jx with flags %x: %s", when, vaddr, paddr, flags,
              result.faulted ? "faults" : "is taken");
}

static void compare(const struct page *page, uint64_t offset, const char *when)
{
    pt_vaddr vaddr = page->vaddr + offset;
    struct pt_mapping mapping = {0, 0, 0};
    pt_paddr paddr = 0;
    bool translates = machine_translate(vaddr, &paddr);

    if (pt_query(kernel_table(test.kernel, vaddr), vaddr, &mapping) != PT_OK || mapping.paddr != page->paddr + offset ||
        mapping.page_size != page->size || !has_rights(mapping.flags, page->flags))
        check(false, "%s: %jx was mapped to %jx with flags %x, pt_query says %jx, %x", when, vaddr,
              page->paddr + offset, page->flags, mapping.paddr, mapping.flags);
    if (translates != ((mapping.flags & PT_READ) != 0) || (translates && paddr != mapping.paddr))
        check(false, "%s: %jx is mapped to %jx with flags %x, the hardware %s %jx", when, vaddr, mapping.paddr,
              mapping.flags, translates ? "translates to" : "faults,", paddr);
    if (machine_options.translate_write != NULL &&
        machine_options.translate_write(vaddr) != ((mapping.flags & PT_WRITE) != 0))
        check(false, "%s: %jx is mapped with flags %x, the hardware has another opinion of writes", when, vaddr,
              mapping.flags);
    compare_user(vaddr, mapping.flags, when);
    compare_accesses(vaddr, mapping.paddr, mapping.flags, when);
}

static void compare_all(const char *when)
{
    for (size_t i = 0; i < test.count; i++)
        for (unsigned probe = 0; probe < PROBES; probe++)
            compare(&test.pages[i], random_offset(&test.pages[i]), when);
}

static void compare_hole(pt_vaddr vaddr, const char *when)
{
    pt_paddr paddr = 0;

    if (pt_query(kernel_table(test.kernel, vaddr), vaddr, NULL) != PT_NOT_MAPPED)
        check(false, "%s: nothing is mapped at %jx, pt_query finds something", when, vaddr);
    if (machine_translate(vaddr, &paddr))
        check(false, "%s: nothing is mapped at %jx, the hardware translates to %jx", when, vaddr, paddr);
    if (!faults(ACCESS_READ, vaddr)) /* the walker may know better than the TLB */
        check(false, "%s: nothing is mapped at %jx, read does not fault", when, vaddr);
}

/* ---- Changing, with flushes that gather a random number of changes ------------------------------- */

/*
 * Before a page is changed it is looked at, and what is (or is not) there comes into the TLB. After the
 * flush the same address is looked at again: now the change must be seen.
 */
static void look_before(const struct page *page)
{
    struct change *change = &test.changes[test.owed];
    pt_paddr paddr;
    uint64_t value;

    *change = (struct change){page, random_offset(page)};
    (void)machine_translate(page->vaddr + change->offset, &paddr);
    if (is_tagged(page->paddr + change->offset))
        (void)machine_access(ACCESS_READ, page->vaddr + change->offset, &value);
}

static void flush_and_look(bool mapped, const char *when)
{
    pt_flush(&test.flush[0]);
    if (kernel_has_two_roots(test.kernel))
        pt_flush(&test.flush[1]);
    for (; test.owed > 0; test.owed--) {
        const struct change *change = &test.changes[test.owed - 1];

        if (mapped)
            compare(change->page, change->offset, when);
        else
            compare_hole(change->page->vaddr + change->offset, when);
    }
}

/* The page that was looked at has changed. */
static void changed(bool mapped, const char *when)
{
    if (++test.owed == CHANGES || random_once_in(&test.random, 32))
        flush_and_look(mapped, when);
}

/* ---- The steps ----------------------------------------------------------------------------------- */

static void map_pages(void)
{
    size_t refused = 0;

    for (size_t tries = 0; test.count < test.wanted && tries < 16 * test.wanted; tries++) {
        struct page *page = &test.pages[test.count]; /* no part of the list yet */
        enum pt_status status;
        bool taken;

        page->size = random_size();
        page->flags = random_flags();
        page->vaddr = random_vaddr(page->size);
        page->paddr = random_paddr(page->size);
        taken = is_taken(page->vaddr, page->size);
        if (!taken)
            look_before(page);
        status = pt_map(kernel_table(test.kernel, page->vaddr), page->vaddr, page->paddr, page->size, page->flags,
                        flush_of(page->vaddr));
        if (status == PT_BAD_FLAGS)
            continue; /* the format cannot give this combination of rights */
        if (taken) {
            if (status != PT_ALREADY_MAPPED && status != PT_MAPPED_TO_HUGE_PAGE)
                check(false, "map %jx: something is there, pt_map says %s", page->vaddr, pt_status_name(status));
            refused++;
            continue;
        }
        must(status, "pt_map");
        test.count++;
        changed(true, "map");
    }
    flush_and_look(true, "map");
    check(test.count == test.wanted, "%zu mapped, %zu were refused, all over others", test.count, refused);
}

static void change_pages(void)
{
    size_t protects = 0, remaps = 0;

    for (size_t i = 0; i < test.count; i++) {
        struct page *page = &test.pages[i];
        struct page new = *page;
        struct page_table *table = kernel_table(test.kernel, page->vaddr);
        bool remap = random_once_in(&test.random, 3);
        uint64_t size = 0;
        enum pt_status status;

        new.flags = random_flags();
        if (remap)
            new.paddr = random_paddr(page->size);
        look_before(page);
        /* Any address in the page names it. */
        if (remap)
            status =
                pt_remap(table, page->vaddr + random_offset(page), new.paddr, new.flags, &size, flush_of(page->vaddr));
        else if (random_once_in(&test.random, 2))
            status = pt_protect(table, page->vaddr + random_offset(page), new.flags, &size, flush_of(page->vaddr));
        else
            continue;
        if (status == PT_BAD_FLAGS)
            continue;
        must(status, remap ? "pt_remap" : "pt_protect");
        if (size != page->size)
            check(false, "change %jx: the page has %jx bytes, not %jx", page->vaddr, page->size, size);
        *page = new;
        if (remap)
            remaps++;
        else
            protects++;
        changed(true, "change");
    }
    flush_and_look(true, "change");
    compare_all("change");
    check(remaps > 0 && protects > 0, "%zu remapped, %zu protected, the hardware agrees on all", remaps, protects);
}

/* Nothing is translated behind the pages' ends, unless it was mapped. */
static void compare_holes(void)
{
    size_t holes = 0;

    for (size_t i = 0; i < test.count; i++) {
        pt_vaddr vaddr = test.pages[i].vaddr + test.pages[i].size;

        if (kernel_is_upper(vaddr) == kernel_is_upper(test.pages[i].vaddr) && !is_taken(vaddr, 8) &&
            pt_query(kernel_table(test.kernel, vaddr), vaddr, NULL) != PT_BAD_ADDRESS) {
            compare_hole(vaddr, "hole");
            holes++;
        }
    }
    check(holes > 0, "%zu holes beside pages, none translates", holes);
}

/* The lower half page by page; their tables stay. */
static void unmap_lower(void)
{
    size_t unmapped = 0;

    for (size_t i = 0; i < test.count; i++) {
        const struct page *page = &test.pages[i];
        struct pt_mapping old;

        if (kernel_is_upper(page->vaddr))
            continue;
        look_before(page);
        must(pt_unmap(kernel_table(test.kernel, page->vaddr), page->vaddr + random_offset(page), &old,
                      flush_of(page->vaddr)),
             "pt_unmap");
        if (old.paddr != page->paddr || old.page_size != page->size || !has_rights(old.flags, page->flags))
            check(false, "unmap: %jx was another page", page->vaddr);
        unmapped++;
        changed(false, "unmap");
    }
    flush_and_look(false, "unmap");
    for (size_t i = 0; i < test.count; i++)
        if (!kernel_is_upper(test.pages[i].vaddr))
            compare_hole(test.pages[i].vaddr + random_offset(&test.pages[i]), "unmap");
    check(unmapped > 0, "%zu unmapped one by one, none translates", unmapped);
}

struct upper_tables {
    size_t frames;
    pt_vaddr last; /* where the last one of them starts */
};

/* ARMv7's tables have 1 KiB: those of four neighbouring entries share a frame. */
static bool count_upper_table(void *arg, const struct pt_visit *visit)
{
    struct upper_tables *tables = arg;
    uint64_t shared = machine_format->index_bits == 8 ? 4 * span(1) : 1;

    if (visit->is_leaf || !kernel_is_upper(visit->vaddr))
        return true;
    if (shared == 1 || tables->frames == 0 || ((visit->vaddr ^ tables->last) & ~(shared - 1)) != 0)
        tables->frames += kernel_table_frames();
    tables->last = visit->vaddr;
    return true;
}

/* The upper half by one call, which ends at the last address and retires every table below the root. */
static void unmap_upper(void)
{
    pt_vaddr upper = kernel_upper_half(), size = kernel_end_of_addresses() - upper;
    struct page_table *table = kernel_table(test.kernel, upper);
    struct upper_tables tables = {0, 0};
    size_t before;

    for (size_t i = 0; i < test.count && test.owed < CHANGES; i++)
        if (kernel_is_upper(test.pages[i].vaddr)) {
            look_before(&test.pages[i]);
            test.owed++;
        }
    pt_walk(table, SIZE_MAX, count_upper_table, NULL, &tables);
    before = test.kernel->pool.free;
    must(pt_unmap_region(table, upper, size, PT_SKIP_HOLES, flush_of(upper)), "pt_unmap_region");
    if (test.kernel->pool.free != before)
        check(false, "unmap: tables were freed before the flush");
    flush_and_look(false, "unmap");
    for (size_t i = 0; i < test.count; i++)
        if (kernel_is_upper(test.pages[i].vaddr))
            compare_hole(test.pages[i].vaddr + random_offset(&test.pages[i]), "unmap");
    check(test.kernel->pool.free - before == tables.frames,
          "the upper half unmapped at once, none translates, %zu frames of tables came back", tables.frames);
}

void check_random(struct kernel *kernel, size_t pages, uint64_t sizes)
{
    test.kernel = kernel;
    test.wanted = pages < PAGES ? pages : PAGES;
    test.sizes = sizes;
    test.count = 0;
    group((sizes & (sizes - 1)) == 0 ? "random pages of the smallest size" : "random pages of all sizes");
    drop_tlb();
    pt_flush_init(&test.flush[0], &kernel->table);
    if (kernel_has_two_roots(kernel))
        pt_flush_init(&test.flush[1], &kernel->high);

    map_pages();
    compare_all("map");
    check(true, "the hardware agrees at %zu places in these", test.count * PROBES);
    change_pages();
    compare_holes();
    unmap_lower();
    unmap_upper();
}
