/* SPDX-License-Identifier: MIT */
/*
 * Whether pt_explain_access foresees what the CPU does. The entries on the way to one page are spoiled by hand, at all
 * levels, leaves and those that lead to tables; then it is asked, and then the access is made. Tried is what cannot do
 * harm if the explanation is right: whatever leads elsewhere than to these tables and to tagged memory is not.
 */
#include <pagetable/hw.h>
#include <pagetable/inspect.h>

#include "check.h"
#include "random.h"

#define TRIALS 6000u
#define MOST_ATTEMPTS (40 * TRIALS)

static const pt_flags rights[] = {
    PT_READ | PT_WRITE | PT_EXECUTE,
    PT_READ | PT_WRITE | PT_EXECUTE | PT_USER,
    PT_READ | PT_USER,
    PT_EXECUTE,
};
#define RIGHTS (sizeof(rights) / sizeof(rights[0]))

/* The page that is accessed, and what leads to it. */
struct victim {
    struct page_table *table; /* the library's */
    struct page_table view;   /* the same, as anybody's */
    pt_vaddr vaddr;
    pt_paddr frame;
    unsigned levels;
    struct pt_step link[PT_MAX_LEVELS];   /* to the next table, or to the small page */
    uint64_t leaf[RIGHTS][PT_MAX_LEVELS]; /* a page of this level at the same place; 0: there is none */
};

/* How many accesses of each outcome there were. */
struct outcomes {
    unsigned count[PT_REASON_NOT_DIRTY + 1];
};

/* ---- Entries ----------------------------------------------------------------------------------- */

static uint64_t load(const struct victim *victim, unsigned level)
{
    const char *table = (const char *)kernel_memory(victim->link[level].table);
    size_t index = victim->link[level].index;

    return victim->view.measures.entry_size == 4 ? ((const volatile uint32_t *)(const void *)table)[index]
                                                 : ((const volatile uint64_t *)(const void *)table)[index];
}

static void store(const struct victim *victim, unsigned level, uint64_t bits)
{
    char *table = (char *)kernel_memory(victim->link[level].table);
    size_t index = victim->link[level].index;

    if (victim->view.measures.entry_size == 4)
        ((volatile uint32_t *)(void *)table)[index] = (uint32_t)bits;
    else
        ((volatile uint64_t *)(void *)table)[index] = bits;
}

static void restore(const struct victim *victim)
{
    for (unsigned level = 0; level < victim->levels; level++)
        store(victim, level, victim->link[level].bits);
}

/* Some bits are inverted: low ones and high ones, where the rights are, more often than an address'. */
static uint64_t spoil(struct random *random, uint64_t bits, unsigned width)
{
    for (uint64_t n = random_below(random, 4); n > 0; n--) {
        uint64_t where = random_below(random, 4);
        uint64_t bit = where < 2    ? random_below(random, 12)
                       : where == 2 ? width - 1 - random_below(random, 12)
                                    : random_below(random, width);

        bits ^= UINT64_C(1) << bit;
    }
    return bits;
}

static void spoil_all(const struct victim *victim, struct random *random)
{
    unsigned width = 8u * victim->view.measures.entry_size;

    for (unsigned level = 0; level < victim->levels; level++) {
        uint64_t leaf = victim->leaf[random_below(random, RIGHTS)][level], bits = victim->link[level].bits;

        if (leaf != 0 && (level + 1 == victim->levels || random_once_in(random, 4)))
            bits = leaf;
        store(victim, level, random_once_in(random, 2) ? spoil(random, bits, width) : bits);
    }
}

/* ---- Accesses ---------------------------------------------------------------------------------- */

static pt_flags flag_of(enum access access)
{
    return access == ACCESS_EXECUTE ? PT_EXECUTE : access == ACCESS_WRITE ? PT_WRITE : PT_READ;
}

/* Nothing comes of it but a fault, or a look at the frame. */
static bool is_harmless(const struct victim *victim, const struct pt_explanation *e)
{
    for (unsigned level = 0; level < e->steps; level++)
        if (e->step[level].table != victim->link[level].table)
            return false;
    return e->reason != PT_REASON_UNREADABLE &&
           (!e->is_translated || e->mapping.paddr == victim->frame + (e->vaddr - victim->vaddr));
}

static bool is_as_explained(const struct pt_explanation *e, const struct machine_fault *fault, uint64_t value)
{
    if (fault->faulted != (e->reason != PT_REASON_NONE))
        return false;
    if (fault->faulted)
        return fault->exception == e->exception && fault->code == e->code;
    return (e->access & PT_EXECUTE) || value == e->mapping.paddr;
}

/* What the page is said to allow is no more and no less than what comes of an access: of data, fetches have more to them. */
static bool rights_agree(const struct pt_explanation *e)
{
    bool loosened = e->access & PT_WRITE ? machine_options.explain->cpu & ~e->cpu & PT_CPU_WP : e->cpu & PT_CPU_MXR;
    bool allowed = e->mapping.flags & e->access & (PT_READ | PT_WRITE);

    if (!e->is_translated || (e->access & PT_EXECUTE) || loosened)
        return true;
    return allowed ? e->reason != PT_REASON_RIGHT : e->reason != PT_REASON_NONE;
}

static void show(const struct victim *victim, const struct pt_explanation *e, const struct machine_fault *fault,
                 uint64_t value)
{
    uint64_t bits[PT_MAX_LEVELS];

    for (unsigned level = 0; level < victim->levels; level++)
        bits[level] = load(victim, level);
    for (unsigned level = 0; level < e->steps; level++)
        store(victim, level, e->step[level].bits);
    pt_explain(&victim->view, e->vaddr, e->access, e->cpu, console_write_line, NULL);
    print("  with PT_CPU_... = %x; expected: %s, %x, code %jx\n", e->cpu, pt_reason_name(e->reason), e->exception,
          e->code);
    print("  seen: %s, exception %x, code %jx, value %jx; entries now", fault->faulted ? "fault" : "none",
          fault->exception, fault->code, value);
    for (unsigned level = 0; level < victim->levels; level++)
        print(" %jx", bits[level]);
    print("\n");
}

/* One access; false: there was none. */
static bool try_access(const struct victim *victim, struct random *random, struct outcomes *outcomes)
{
    const struct machine_explain *machine = machine_options.explain;
    enum access access = (enum access)random_below(random, 3);
    uint32_t cpu = (uint32_t)random_next(random) & machine->cpu;
    pt_vaddr vaddr = victim->vaddr + (access == ACCESS_EXECUTE ? 0 : OFFSET);
    pt_flags user = machine->has_user && random_once_in(random, 2) ? PT_USER : 0;
    uint64_t value = victim->frame + OFFSET;
    struct pt_explanation e;
    struct machine_fault fault;

    if (machine_format->address_space == PT_SIGN_EXTENDED && random_once_in(random, 64))
        vaddr ^= UINT64_C(1) << 62;
    pt_explain_access(&victim->view, vaddr, flag_of(access) | user, cpu, &e);
    if (!is_harmless(victim, &e) || (machine->emulated != NULL && !machine->emulated(&e)))
        return false;

    pt_hw_publish();
    drop_tlb();
    fault = machine->access(access, user != 0, vaddr, cpu, &value);
    if (!is_as_explained(&e, &fault, value) || !rights_agree(&e)) {
        show(victim, &e, &fault, value);
        check(false, "an access is as it was explained");
    }
    outcomes->count[e.reason]++;
    return true;
}

/* ---- All --------------------------------------------------------------------------------------- */

static void *table_memory(void *ctx, pt_paddr paddr)
{
    const struct machine_region *ram = &machine_regions[0];

    (void)ctx;
    return paddr - ram->paddr < ram->size ? kernel_memory(paddr) : NULL;
}

static const struct pt_handler view_handler = {.phys_to_virt = table_memory};

static uint64_t largest_page(void)
{
    uint64_t largest = 0;

    for (uint64_t sizes = machine_format->page_sizes; sizes != 0; sizes &= sizes - 1)
        largest = sizes & (0 - sizes);
    return largest;
}

static void find_links(struct victim *victim)
{
    struct pt_explanation e;

    pt_explain_access(&victim->view, victim->vaddr, PT_READ, 0, &e);
    check(e.is_translated && e.mapping.paddr == victim->frame && e.steps == machine_format->levels,
          "%u entries lead to the page at %jx", e.steps, victim->vaddr);
    victim->levels = e.steps;
    for (unsigned level = 0; level < e.steps; level++)
        victim->link[level] = e.step[level];
}

/* Leaves of all sizes at the same place: as the library makes them. */
static void find_leaves(struct kernel *kernel, struct victim *victim, unsigned set)
{
    for (uint64_t sizes = machine_format->page_sizes; sizes != 0; sizes &= sizes - 1) {
        uint64_t size = sizes & (0 - sizes);
        struct pt_explanation e;

        map_page(kernel, victim->vaddr & ~(size - 1), victim->frame & ~(size - 1), size, rights[set]);
        pt_explain_access(&victim->view, victim->vaddr, PT_READ, 0, &e);
        victim->leaf[set][e.steps - 1] = e.step[e.steps - 1].bits;
        unmap_page(kernel, victim->vaddr & ~(size - 1));
    }
}

static void set_up(struct kernel *kernel, struct victim *victim, pt_vaddr place)
{
    const struct machine_explain *machine = machine_options.explain;
    const struct pt_format *format = machine->format != NULL ? machine->format() : machine_format;

    /* Half a group into it: a lone entry of RISC-V's Svnapot is one there. */
    *victim = (struct victim){.table = kernel_table(kernel, place), .frame = kernel->tagged + PT_64K / 2};
    if (victim->frame % span(0) != 0)
        victim->frame = kernel->tagged;
    victim->vaddr = (place & ~(largest_page() - 1)) + (victim->frame & (largest_page() - 1));
    must(pt_adopt(&victim->view, format, pt_root(victim->table), &view_handler, NULL), "pt_adopt");
    if (kernel_has_two_roots(kernel) && kernel_is_upper(place))
        pt_adopt_upper_half(&victim->view);
    for (unsigned set = 0; set < RIGHTS; set++)
        find_leaves(kernel, victim, set);
    map_page(kernel, victim->vaddr, victim->frame, span(0), rights[0]);
    find_links(victim);
    kernel_memory(victim->frame)[0] = machine_return_instruction;
    machine_sync_instructions();
}

static void tear_down(struct kernel *kernel, struct victim *victim)
{
    restore(victim);
    pt_hw_publish();
    drop_tlb();
    unmap_page(kernel, victim->vaddr);
    kernel_memory(victim->frame)[0] = victim->frame;
    pt_destroy(&victim->view);
}

static void check_half(struct kernel *kernel, unsigned half)
{
    struct random random = {20261124 + half};
    struct outcomes outcomes = {{0}};
    unsigned tried = 0, attempts = 0;
    struct victim victim;

    set_up(kernel, &victim, fresh(half));
    for (; tried < TRIALS && attempts < MOST_ATTEMPTS; attempts++) {
        spoil_all(&victim, &random);
        tried += try_access(&victim, &random, &outcomes);
    }
    tear_down(kernel, &victim);
    check(tried == TRIALS, "%s: %u accesses through spoiled entries, all as explained; %u more could have done harm",
          half_name(victim.vaddr), tried, attempts - tried);
    for (unsigned reason = 0; reason <= PT_REASON_NOT_DIRTY; reason++)
        if (outcomes.count[reason] != 0)
            print("  %u times %s\n", outcomes.count[reason], pt_reason_name((enum pt_reason)reason));
    check(outcomes.count[PT_REASON_NONE] > TRIALS / 50 && outcomes.count[PT_REASON_NOT_PRESENT] > TRIALS / 50 &&
              outcomes.count[PT_REASON_RIGHT] + outcomes.count[PT_REASON_NOT_DIRTY] > TRIALS / 50,
          "each of the outcomes is more than once in 50");
}

void check_explain(struct kernel *kernel)
{
    if (machine_options.explain == NULL) {
        note("this machine does not say yet what its CPU reports of a fault");
        return;
    }
    group("explain: what comes of an access, before it is made");
    if (machine_options.explain->begin != NULL)
        machine_options.explain->begin(kernel);
    for (unsigned half = 0; half < WINDOWS; half++)
        check_half(kernel, half);
    if (machine_options.explain->end != NULL)
        machine_options.explain->end(kernel);
}
