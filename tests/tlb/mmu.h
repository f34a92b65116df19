/* SPDX-License-Identifier: MIT */
/*
 * An MMU that remembers: everything that it could ever have fetched, and for as long as the architecture lets it.
 * It walks the tables by the manuals (mmu_ARCH.c), keeps the pages that it finds in a TLB and the pointers to
 * tables in a walk cache (tlb.c), and goes on walking from those pointers, wherever they lead by now. Only an
 * invalidation makes it forget, and only what the weakest CPU of the architecture would forget.
 *
 * Nothing here is shared with the library: the bits are written down anew.
 */
#ifndef TESTS_TLB_MMU_H
#define TESTS_TLB_MMU_H

#include "memory.h"
#include "test.h"

#define MMU_MAX_LEVELS 6

/* Bits of an entry: one, or those from `low` to `high`. */
#define BIT(n) (UINT64_C(1) << (n))
#define BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

#define MMU_LATCHED 4

/* ---- What an architecture is ------------------------------------------------------------------- */

enum mmu_kind {
    MMU_NOTHING,
    MMU_TABLE,
    MMU_PAGE
};

/* An entry, as the table walker understands it. */
struct mmu_entry {
    enum mmu_kind kind;
    pt_paddr paddr;      /* of the table or of the page's first byte */
    pt_flags flags;      /* of a page; PT_ACCESSED and PT_DIRTY where the hardware records them */
    unsigned group_bits; /* log2 of the neighbouring entries that say that they are one page together */
    bool paddr_of_group; /* paddr is that of the first one; else each has its own */
    const char *wrong;   /* why a CPU would fault on it or worse; NULL: sound */
};

struct mmu;

struct mmu_arch {
    const char *formats[16]; /* the names of the C objects: "pt_sv39" */

    struct mmu_entry (*decode)(const struct mmu *mmu, uint64_t entry, unsigned level);
    /* The entry with what the hardware records when it uses a page, or a table on the way to it. */
    uint64_t (*record)(const struct mmu *mmu, uint64_t entry, unsigned level, enum mmu_kind kind, bool write);
    /* The entries of the root are read when it is loaded, and then held in registers. NULL: never. */
    bool (*latches_root)(const struct mmu *mmu);
    bool always_records; /* accessed and dirty are set by hardware, whatever the descriptor says */

    bool pairs;              /* a TLB entry of the smallest size holds an even and an odd page */
    bool remembers_nothing;  /* that there was nothing is remembered, too */
    bool breaks_before_make; /* two translations of an address at once are an error, and so are groups that disagree */

    /* What an invalidation by address does to the walk cache. */
    bool any_forgets_pointers;    /* any: all pointers of the address space */
    bool tables_forget_pointers;  /* one that says tables_changed: those on the way to the address */
    bool tables_forget_all;       /* one that says tables_changed invalidates the whole address space */
    bool may_use_faulting_rights; /* a page that has more rights than the TLB knows of is found out on a fault */
};

extern const struct mmu_arch mmu_x86, mmu_ept, mmu_aarch64, mmu_aarch64_stage2, mmu_armv7, mmu_armv7_lpae, mmu_riscv,
    mmu_riscv_svvptc, mmu_loongarch;

/* ---- The MMU ----------------------------------------------------------------------------------- */

/* One page in a TLB entry. */
struct mmu_page {
    bool valid;
    pt_paddr paddr;
    pt_flags flags;
};

struct mmu_tlb_entry {
    pt_vaddr first;
    uint64_t size; /* of all its pages */
    unsigned pages;
    uint64_t page_size; /* as the tables say: of the whole group, where the TLB has taken a single entry of it */
    uint32_t asid;
    bool global;
    unsigned level;   /* of the entry it came from */
    const void *slot; /* that entry (of the first page) */
    struct mmu_page page[2];
};

/* A pointer to a table, kept in the walk cache: the addresses that it serves. */
struct mmu_pointer {
    pt_vaddr first;
    uint64_t size;
    uint32_t asid;
    unsigned level; /* of the table */
    pt_paddr table;
};

struct mmu_root {
    const struct page_table *table; /* NULL: no CPU uses it */
    uint32_t asid;                  /* that the CPU runs it with */
    uint64_t latched[MMU_LATCHED];  /* what it has read of the root, if it does that once */
};

#define MMU_TLB_ENTRIES 4096
#define MMU_POINTERS 1024
#define MMU_ROOTS 2
#define MMU_SLOTS 4096
#define MMU_GROUPS 128

struct mmu {
    const struct mmu_arch *arch;
    const struct pt_format *format;
    unsigned entry_bytes;
    struct memory *memory;
    struct mmu_root root[MMU_ROOTS];

    struct mmu_tlb_entry tlb[MMU_TLB_ENTRIES];
    size_t tlb_count;
    struct mmu_pointer pointer[MMU_POINTERS];
    size_t pointer_count;

    /* Every slot that a walk has read since the last mmu_seen_all, with what stood there. */
    struct {
        const void *slot;
        uint64_t entry;
    } seen[MMU_SLOTS];
    size_t seen_count;
    uint16_t seen_hash[2 * MMU_SLOTS]; /* index into seen[] + 1 */
    /* And every group of neighbours that are one page. */
    struct mmu_group {
        const void *slot; /* the first one's */
        unsigned bits, level;
    } group[MMU_GROUPS];
    size_t group_count;

    void (*tell)(void *arg); /* prints what was being done, when the test fails */
    void *tell_arg;
};

/** Fail the test, with the story of how it came to it. */
#define mmu_fail(mmu, ...)                                                                                             \
    do {                                                                                                               \
        if ((mmu)->tell)                                                                                               \
            (mmu)->tell((mmu)->tell_arg);                                                                              \
        fail_msg(__VA_ARGS__);                                                                                         \
    } while (0)

/* Where a walk ends. */
struct mmu_walk {
    enum mmu_kind kind; /* MMU_PAGE or MMU_NOTHING */
    pt_vaddr first;     /* what the last entry translates */
    uint64_t size;
    pt_paddr paddr;      /* of the first byte */
    pt_vaddr page_first; /* the page that it is one of, ... */
    uint64_t page_size;  /* ... larger if that has several entries */
    pt_flags flags;
    unsigned level;
    void *path[MMU_MAX_LEVELS];     /* the slots on the way, from `top` to `level` */
    pt_paddr table[MMU_MAX_LEVELS]; /* the tables that they stand in */
    unsigned top;
};

/** The architecture of a format, by the name of its C object; fails the test if there is none. */
void mmu_init(struct mmu *mmu, const struct pt_format *format, const char *name, struct memory *memory);

/** The hardware records accessed and dirty. */
bool mmu_records(const struct mmu *mmu);

/** Bytes that an entry of this level translates. */
uint64_t mmu_entry_size(const struct mmu *mmu, unsigned level);

/** The entry in a slot. */
uint64_t mmu_load(const struct mmu *mmu, const void *slot);

/** The architecture reads the root's entries when the root is loaded, and not again. */
bool mmu_latches_root(const struct mmu *mmu);

/** A CPU runs on the table from now on. */
void mmu_set_root(struct mmu *mmu, size_t root, const struct page_table *table, uint32_t asid);

/** Walk to vaddr from a root; changes nothing. Fails the test on what no walker may meet. */
struct mmu_walk mmu_walk_root(struct mmu *mmu, const struct mmu_root *root, pt_vaddr vaddr);
/** The same from the root's entries as they were when it was loaded, if the architecture does that. */
struct mmu_walk mmu_walk_latched(struct mmu *mmu, const struct mmu_root *root, pt_vaddr vaddr);
/** The same from a pointer of the walk cache. */
struct mmu_walk mmu_walk_pointer(struct mmu *mmu, const struct mmu_pointer *pointer, pt_vaddr vaddr);

/** Fetch what the walk found: record the access if the hardware does so, remember page and pointers. */
void mmu_fetch(struct mmu *mmu, struct mmu_walk *walk, uint32_t asid, bool write);

/** The slot was read since it was all forgotten. */
bool mmu_has_seen(struct mmu *mmu, const void *slot);
/** Some slot that was read does not hold any more what it held then. */
bool mmu_seen_changed(const struct mmu *mmu);
/** Forget what was seen, and remember anew from now on. */
void mmu_seen_restart(struct mmu *mmu);
/** Do not look any more at slots in these bytes: they are gone. */
void mmu_seen_forget(struct mmu *mmu, pt_paddr first, uint64_t size);

/**
 * Fail if two valid entries disagree that are, or were when last looked at, in the group of the slot, and the
 * architecture wants them to agree.
 */
void mmu_check_slot(struct mmu *mmu, const volatile void *slot);
/** Fail if the entries of the page where the walk ended are not all there, and as one. */
void mmu_check_page(struct mmu *mmu, const struct mmu_walk *walk);

/** What the CPUs do for a flush_tlb. Returns whether they forgot anything. */
bool mmu_invalidate(struct mmu *mmu, const struct pt_flush *flush);

/** The page of a TLB entry that an address is in. */
const struct mmu_page *mmu_page_at(const struct mmu_tlb_entry *entry, pt_vaddr vaddr, pt_paddr *paddr);

bool mmu_serves(const struct mmu_pointer *pointer, pt_vaddr vaddr);
bool mmu_tlb_covers(const struct mmu_tlb_entry *entry, pt_vaddr vaddr, uint32_t asid);

#endif
