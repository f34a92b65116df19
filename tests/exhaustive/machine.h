/* SPDX-License-Identifier: MIT */
/*
 * A machine for the formats of fake_format.h: physical memory of tiny frames, an MMU that reads them by itself
 * and remembers as much as it may, at the worst moments: after every store of the library it loads everything
 * that it can see into its TLB, and lets go only of what an invalidation names.
 */
#ifndef TESTS_EXHAUSTIVE_MACHINE_H
#define TESTS_EXHAUSTIVE_MACHINE_H

#include "fake_format.h"

#define MAX_LEVELS 3
#define MAX_PAGES 32
#define MAX_SORTS 6
#define MAX_CELLS 42 /* entries of all tables that there can be: 2 + 8 + 32 */
#define MAX_FRAMES 40
#define MAX_TABLES 2
#define TLB_SLOTS 16

#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)
#define RECORDED (PT_ACCESSED | PT_DIRTY)

/* The frames that hold tables begin here; the frames below are what is mapped. */
#define TABLES_AT UINT64_C(0x100000)

/** One smallest page of a table as it is translated. */
struct page {
    bool mapped;
    uint8_t level, group; /* of the page that it is part of; group: log2 of its entries */
    uint8_t frame;
    pt_flags flags;
};

/** An entry as a number, the same wherever tables lie: 0, CELL_TABLE, or a leaf. */
#define CELL_TABLE 1
#define CELL_LEAF 0x8000
#define CELL_GROUPED 0x10000

/** A table's entries. The entry of page p at a level is cell[first_cell[level] + p / pages_of[level]]. */
struct shape {
    uint32_t cell[MAX_CELLS];
    uint16_t borrowed, lent, upper; /* a bit for each slot of the root: an entry, or a group */
};

struct geometry {
    const struct pt_format *format;
    struct pt_measures measures; /* as pt_create has them */
    unsigned levels, root_entries, entries, pages, cells, tables;
    unsigned pages_of[MAX_LEVELS]; /* smallest pages in an entry */
    unsigned first_cell[MAX_LEVELS];
    unsigned group[MAX_LEVELS];      /* log2 of the entries that can be one page together; 0: no such pages */
    unsigned slot_shift, slot_pages; /* of the marks of sharing: log2 of their root entries, their smallest pages */
    unsigned sort_count;
    struct {
        unsigned level, group, pages;
    } sorts[MAX_SORTS]; /* that pages may be of, the largest first; the format need not offer all */
};

struct mmu {
    uint32_t tlb[MAX_PAGES][TLB_SLOTS]; /* 0: free */
    uint8_t unmapped[MAX_PAGES];        /* "nothing is there", a bit for each level at which that was seen */
    struct {
        uint8_t level, first; /* 0: not remembered; the table at this level, of pages from `first` on */
    } table[MAX_FRAMES];
};

struct machine {
    uint64_t words[MAX_FRAMES][8];
    bool taken[MAX_FRAMES];
    struct mmu mmu;
    size_t taken_count;
};

/* What the handler has been asked for since machine_begin. */
struct counts {
    size_t allocations, frees, flushes;
    size_t fail_at; /* the how-manieth allocation fails; 0: none */
};

extern struct geometry geometry;
extern struct machine machine;
extern struct counts counts;
extern struct page_table tables[MAX_TABLES];
extern const struct pt_handler machine_handler;

/** Prints how the test got here; set by the test. */
extern void (*machine_report)(void);

/** Fail with a message and a report of how it came to this. */
#define REFUTE(condition, ...)                                                                                         \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            print_error(__VA_ARGS__);                                                                                  \
            print_error("\n");                                                                                         \
            if (machine_report)                                                                                        \
                machine_report();                                                                                      \
            _fail(__FILE__, __LINE__);                                                                                 \
        }                                                                                                              \
    } while (0)

void geometry_of(const struct pt_format *format, unsigned table_count);

/** The address of a page; `upper`: by its name in the upper half (PT_EITHER_HALF). */
pt_vaddr vaddr_of(unsigned page, bool upper);

/** Make the machine as `shapes` say, with nothing in the TLB. */
void machine_build(const struct shape *shapes);
/** What table `t` is now, read as the MMU reads it; *frames gets how many frames it takes. */
void machine_read(unsigned t, struct shape *shape, size_t *frames);
/** The same, an address at a time. */
struct page machine_translate(unsigned t, unsigned page);
/** How many smallest pages the one that this is part of has. */
unsigned pages_in(const struct page *page);
/** The pages of a shape; of a borrowed table, those of the other shape. */
void pages_of_shape(const struct shape *shapes, unsigned t, struct page *pages);

/** The MMU runs on table `t` and has loaded all it can. */
void mmu_load(unsigned t);
/** After the flush: nothing is remembered that is no longer so. */
void mmu_check(unsigned t);

/** While the library works on table `t`, each translation must be as in `before` or as in `after`, at every store. */
void machine_watch(unsigned t, const struct page *before, const struct page *after);
void machine_watch_no_more(void);

/** The hardware reads or writes a page, if it may: marks it. */
void machine_touch(unsigned t, unsigned page, bool write);

#endif
