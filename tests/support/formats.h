/* SPDX-License-Identifier: MIT */
/*
 * The formats under test, in one place: a line in EACH_FORMAT and one in facts[] (formats.c) enrol a
 * new one in every test. What a test needs to know beyond the descriptor stands in struct format_facts.
 */
#ifndef TESTS_SUPPORT_FORMATS_H
#define TESTS_SUPPORT_FORMATS_H

#include "test.h"

/* X(format, ...) for each format, with commas between. */
#ifdef PT_ONLY_FORMAT
#define EACH_FORMAT(X, ...) X(PT_ONLY_FORMAT, __VA_ARGS__)
#else
/* clang-format off */
#define EACH_FORMAT(X, ...) \
    X(pt_x86_64, __VA_ARGS__), \
    X(pt_x86_64_la57, __VA_ARGS__), \
    X(test_x86_64_no_nx, __VA_ARGS__), \
    X(test_x86_64_sev, __VA_ARGS__), \
    X(pt_aarch64, __VA_ARGS__), \
    X(test_aarch64_4k_lpa2, __VA_ARGS__), \
    X(pt_sv39, __VA_ARGS__), \
    X(pt_sv48, __VA_ARGS__), \
    X(pt_sv57, __VA_ARGS__), \
    X(test_sv39_svpbmt, __VA_ARGS__), \
    X(test_sv39_c9xx, __VA_ARGS__), \
    X(pt_loongarch64_3level, __VA_ARGS__), \
    X(pt_loongarch64, __VA_ARGS__), \
    X(pt_npt_4level, __VA_ARGS__), \
    X(pt_npt_5level, __VA_ARGS__), \
    X(pt_x86_pae, __VA_ARGS__), \
    X(pt_x86_32, __VA_ARGS__), \
    X(pt_ept_4level, __VA_ARGS__), \
    X(pt_ept_5level, __VA_ARGS__), \
    X(test_ept_all, __VA_ARGS__), \
    X(pt_armv7_short, __VA_ARGS__), \
    X(test_x86_64_tdx, __VA_ARGS__), \
    X(test_sv39_svvptc, __VA_ARGS__), \
    X(test_aarch64_stage2_xnx, __VA_ARGS__), \
    X(test_armv7_lpae_no_1g, __VA_ARGS__), \
    X(test_armv7_lpae_ttbr1, __VA_ARGS__), \
    X(pt_aarch64_el2, __VA_ARGS__), \
    X(pt_aarch64_stage2, __VA_ARGS__), \
    X(pt_aarch64_stage2_16k, __VA_ARGS__), \
    X(pt_aarch64_stage2_64k, __VA_ARGS__), \
    X(test_aarch64_stage2_52, __VA_ARGS__), \
    X(test_aarch64_4k_contiguous, __VA_ARGS__), \
    X(pt_aarch64_16k, __VA_ARGS__), \
    X(pt_aarch64_64k, __VA_ARGS__), \
    X(pt_aarch64_4k_52, __VA_ARGS__), \
    X(pt_aarch64_16k_52, __VA_ARGS__), \
    X(pt_aarch64_64k_52, __VA_ARGS__), \
    X(test_aarch64_16k_contiguous, __VA_ARGS__), \
    X(test_aarch64_64k_contiguous, __VA_ARGS__), \
    X(test_sv39_svnapot, __VA_ARGS__), \
    X(pt_sv39x4, __VA_ARGS__), \
    X(pt_sv48x4, __VA_ARGS__), \
    X(pt_sv57x4, __VA_ARGS__), \
    X(pt_sv32, __VA_ARGS__), \
    X(pt_sv32x4, __VA_ARGS__), \
    X(pt_loongarch64_16k, __VA_ARGS__), \
    X(pt_loongarch64_64k, __VA_ARGS__)
/* clang-format on */
#endif

/**
 * In an array of struct CMUnitTest: `test`, once for each format, with a `struct fixture` as its state.
 * TESTS_OF_EACH_FORMAT(unmap_forgets_the_page), names the tests "unmap_forgets_the_page(pt_sv39)" ...
 */
#define TESTS_OF_EACH_FORMAT(test) EACH_FORMAT(TEST_OF_FORMAT, test, fixture_set_up, fixture_tear_down)
/** The same with set-up and tear-down of one's own; the first gets the format (struct pt_format *) as its state. */
#define TESTS_OF_EACH_FORMAT_WITH(test, set_up, tear_down) EACH_FORMAT(TEST_OF_FORMAT, test, set_up, tear_down)
#define TEST_OF_FORMAT(format, test, set_up, tear_down) TEST_OF_FORMAT_(format, test, set_up, tear_down)
#define TEST_OF_FORMAT_(format, test, set_up, tear_down)                                                               \
    {.name = #test "(" #format ")",                                                                                    \
     .test_func = (test),                                                                                              \
     .setup_func = (set_up),                                                                                           \
     .teardown_func = (tear_down),                                                                                     \
     .initial_state = (void *)&(format)}

#ifndef PT_ONLY_FORMAT
/* Copies with features that a user would add, filled in before main. */
extern struct pt_format test_x86_64_no_nx; /* without EFER.NXE */
extern struct pt_format test_x86_64_sev;   /* with the C-bit of AMD SEV */
extern struct pt_format test_x86_64_tdx;   /* with the shared bit of Intel TDX in all pages */
extern struct pt_format test_ept_all;      /* execute-only, mode-based execute control, no #VE, accessed and dirty */
extern struct pt_format test_sv39_svpbmt;  /* memory types by Svpbmt */
extern struct pt_format test_sv39_svvptc;  /* new mappings owe nothing, by Svvptc */
extern struct pt_format test_sv39_svnapot; /* 64K pages by Svnapot, and Svpbmt */
extern struct pt_format test_sv39_c9xx;    /* the memory types of XuanTie C9xx */
/* The contiguous hint. */
extern struct pt_format test_aarch64_4k_contiguous, test_aarch64_16k_contiguous, test_aarch64_64k_contiguous;
extern struct pt_format test_aarch64_stage2_52;  /* FEAT_S2FWB, LPA2, 52-bit guest addresses, contiguous hint */
extern struct pt_format test_aarch64_stage2_xnx; /* FEAT_XNX */
/* Long descriptors: 32 bits; 30 bits in the upper half, with the contiguous hint. Four pages of 1G are all there is. */
extern struct pt_format test_armv7_lpae_no_1g, test_armv7_lpae_ttbr1;
extern struct pt_format test_aarch64_4k_lpa2; /* 52-bit physical, 48-bit virtual addresses */
#endif

/** What a manual says of a format and its descriptor does not. */
struct format_facts {
    const char *name;          /* of the C object: "pt_sv39" */
    uint8_t entry_bytes;       /* of an entry; 0: 8 */
    bool execute_implies_read; /* execute-only does not exist */
    bool read_implies_execute; /* what can be read can be executed */
    bool always_user;          /* PT_USER need not be asked for, and is always reported */
    bool user_if_executable;   /* PT_USER is the page's own only if it can be executed; else it is always reported */
    bool never_global;         /* PT_GLOBAL means nothing, and is never reported */
    bool has_memory_types;     /* DEVICE and UNCACHED are told apart and reported */
    uint8_t memory_indices;    /* how many indices a memory type can have */
    uint8_t entry_pa_bits;     /* the widest physical address that an entry of the family has room for */
    uint8_t narrow_pa_bits; /* that tables reach, and pages which are not of the largest size; 0: all reach pa_bits */
    uint8_t root_pa_bits;   /* that the register for the root has; 0: it reaches as far as an entry */
    bool can_track_access;  /* the hardware may set accessed and dirty bits: a copy may track them, or not */
    bool number_at_bit_10;  /* an entry holds a frame number from bit 10 on, not an address (RISC-V) */
    bool latches_root;      /* the CPU keeps the root's entries: a changed one owes everything */
    bool no_table_at_zero;  /* a table at physical address 0 cannot be told from an unused entry */
};

/** All formats, in the order of EACH_FORMAT. */
extern const struct pt_format *const formats[];
extern const size_t formats_count;

/** The facts of a format or of a narrowed copy of one. */
const struct format_facts *format_facts(const struct pt_format *format);

/** What pt_query reports of a mapping made with `flags`. */
pt_flags format_reads_back(const struct pt_format *format, pt_flags flags);

/** How many bytes an entry of a table at `level` (0: the root) translates. */
uint64_t format_entry_size(const struct pt_format *format, unsigned level);

/** The level at which a page of this size is a leaf, or several neighbouring ones. */
unsigned format_level_of(const struct pt_format *format, uint64_t page_size);

/** What a table of the last level translates: one leaf of the level above it. */
uint64_t format_leaf_table(const struct pt_format *format);
/** The same of all the tables that share a frame with it: one frame each, wherever tables are counted. */
uint64_t format_leaf_frame(const struct pt_format *format);
/** In what steps a page of this size is invalidated: a TLB may hold each of its entries by itself. */
uint64_t format_step(const struct pt_format *format, uint64_t page_size);

/** How many neighbouring entries are one page of this size. */
size_t format_page_entries(const struct pt_format *format, uint64_t page_size);

uint64_t format_smallest(const struct pt_format *format);
uint64_t format_largest(const struct pt_format *format);
/** The next larger (smaller) page size that the format offers; 0: none. */
uint64_t format_larger(const struct pt_format *format, uint64_t page_size);
uint64_t format_smaller(const struct pt_format *format, uint64_t page_size);

/** for (uint64_t size ...) from the smallest page size to the largest. */
#define FOR_EACH_PAGE_SIZE(size, format)                                                                               \
    for (uint64_t size = format_smallest(format); size != 0; size = format_larger((format), size))

/** Entries of the root and of every other table. */
size_t format_root_entries(const struct pt_format *format);
size_t format_entries(const struct pt_format *format);
/** How many root entries pt_copy_from takes at least, and how many allocations their tables are. */
size_t format_shared_entries(const struct pt_format *format);
size_t format_shared_tables(const struct pt_format *format);
/** Bytes of an entry. */
unsigned format_entry_bytes(const struct pt_format *format);
/** Frames that every table but the root takes. */
size_t format_table_frames(const struct pt_format *format);
/** The frame of the table that an entry leads to, as far as the simulated memory reaches. */
pt_paddr format_table_paddr(const struct pt_format *format, uint64_t entry);
/** How many tables of neighbouring root entries share a frame; 1: each has its own. */
size_t format_tables_in_frame(const struct pt_format *format);

/** The highest address of the lower half (or of all addresses, if there is no upper one). */
pt_vaddr format_lower_last(const struct pt_format *format);
/** The lowest address of the upper half; 0: there is no upper half. */
pt_vaddr format_upper_first(const struct pt_format *format);
bool format_is_canonical(const struct pt_format *format, pt_vaddr vaddr);
/** The translated bits of an address alone: where its entries stand in the tree. */
uint64_t format_translated(const struct pt_format *format, pt_vaddr vaddr);
/**
 * The n-th place, apart from all others, for whatever a test maps, in the lower half: n is small, 50, or one of 100 to
 * 106. A root entry of its own, unless the root has too few.
 */
pt_vaddr format_place(const struct pt_format *format, unsigned n);
/** What can be copied from another table: one root entry, or several where the root is large or has groups. */
uint64_t format_copy_unit(const struct pt_format *format);
/** How many of them the lower half has. */
uint64_t format_copy_units(const struct pt_format *format);
/** The facts of a family, by the longest of these names that the format's begins with. */
bool format_is_of(const struct pt_format *format, const char *name, size_t *length);
/** The last page of this size. */
pt_vaddr format_last_page(const struct pt_format *format, uint64_t size);
/** Where the simulated memory is. */
pt_paddr format_memory_base(const struct pt_format *format);
/** A multiple of every page size that is not in the simulated memory. */
pt_paddr format_some_paddr(const struct pt_format *format);
/** The highest physical address, and the highest one in a page of this size. */
pt_paddr format_paddr_last(const struct pt_format *format);
pt_paddr format_paddr_last_of(const struct pt_format *format, uint64_t page_size);
/** The first physical address where a table cannot be, or the root cannot. */
pt_paddr format_table_limit(const struct pt_format *format, bool root);

/** Another canonical address that names the same entry (PT_EITHER_HALF), or the same one. */
pt_vaddr format_other_half(const struct pt_format *format, pt_vaddr vaddr);

/* ---- What most tests work on -------------------------------------------------------------------- */

struct fixture {
    const struct pt_format *format;
    struct memory *memory;
    struct page_table table;
    struct pt_flush flush;
};

/** format_some_paddr of the latest fixture's format. */
extern pt_paddr fixture_paddr;

/** A memory, and no table yet. */
struct fixture *fixture_begin(const struct pt_format *format, pt_paddr base, size_t frames);
/** An empty table in a fresh memory. */
int fixture_set_up(void **state);
/** Settles the flush, destroys the table, and fails if a frame is still out. */
int fixture_tear_down(void **state);

#endif
