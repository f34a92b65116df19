/* SPDX-License-Identifier: MIT */
/*
 * The judge: makes each call under the eyes of the MMU, which looks at the tables after every single store, and
 * knows for some addresses (`watched`) what must be translated, what must not, and since when.
 *
 * The test fails
 *   - in any moment, if a watched address is translated neither as before the call nor as after it; if it is not
 *     translated at all, though it is before and after, unless break-before-make asks for that; if the walker meets
 *     what is no sound entry, or a table that is not allocated; if two translations are in the TLB that may not be;
 *   - when a table is freed to which a way leads, from a root or from the walk cache;
 *   - after pt_flush, if the TLB or the walk cache still gives a page that is gone, or hides one that is there;
 *   - after each call, if the tables do not say what the call was to make of them, or if what the hardware recorded
 *     (accessed, dirty) was lost, or invented.
 */
#ifndef TESTS_TLB_JUDGE_H
#define TESTS_TLB_JUDGE_H

#include "formats.h"
#include "memory.h"
#include "mmu.h"
#include "random.h"
#include "test.h"

#define MAX_WATCHED 48
#define JUDGE_SIZES 8

/* What a watched address is to be translated to. */
struct want {
    bool mapped;
    pt_paddr paddr; /* of the address itself */
    pt_flags flags; /* as they read back */
};

enum call_kind {
    CALL_NONE,
    CALL_MAP,
    CALL_UNMAP,
    CALL_PROTECT,
    CALL_REMAP,
    CALL_SPLIT,
    CALL_COLLAPSE,
    CALL_PRUNE,
    CALL_CLEAR,
    CALL_COPY
};

/* The call that is being made. */
struct call {
    enum call_kind kind;
    pt_vaddr first, last;      /* what it may change */
    bool stored;               /* it has changed an entry */
    bool group;                /* a page of several entries is among what it changes */
    const volatile void *slot; /* that it is about to store to */
};

struct watched {
    pt_vaddr vaddr;
    bool hungry;       /* fetched whenever there is a chance; else only by chance */
    pt_flags recorded; /* PT_ACCESSED, PT_DIRTY: what the hardware has recorded */
    struct want want;

    /* Of the call that is being made. */
    struct want next;           /* what it makes of it if it succeeds */
    bool may_break;             /* may be untranslated for a moment */
    void *path[MMU_MAX_LEVELS]; /* the slots on the way to it before the call */
    pt_vaddr page_first;        /* the page that it is in ... */
    uint64_t page_size;         /* ... 0: in none */
};

struct judge {
    const char *name; /* of the format's C object */
    struct pt_format format;
    const struct pt_format *descriptor; /* what the tables are created with */
    struct memory *memory;
    struct mmu *mmu;
    struct page_table table, copy;
    struct pt_flush flush;
    bool watching;
    bool failed;
    bool copied;   /* the copy shares all of the window */
    bool restless; /* the hardware records accesses at any moment */
    struct random random;
    uint64_t seed; /* of a random sequence */
    struct call call;
    size_t moments_before, moments_after; /* stores that the hooks told of */
    pt_vaddr base;                        /* the window */
    uint64_t window;                      /* its bytes */
    /*
     * Its measures: the smallest page; what a table of the last level translates, which is a page, too; and half the
     * window, which is one where the format has pages of that level.
     */
    uint64_t page, block, large;
    uint64_t size[JUDGE_SIZES]; /* all page sizes up to `large`, and that in any case */
    size_t size_count;
    uint64_t largest;              /* of these, the largest page */
    pt_paddr frames, other_frames; /* where the window is usually mapped to, and where else */
    struct watched watched[MAX_WATCHED];
    size_t watched_count;

    /* The pages that had records before a pt_collapse: those in between, which nobody watches, count as well. */
    struct recorded_page {
        pt_vaddr vaddr;
        pt_flags recorded;
    } *recorded;
    size_t recorded_count, recorded_room;

    char story[24][160];
    size_t told;
};

/** Two places for the window: somewhere below, and where addresses end. */
enum judge_place {
    JUDGE_LOWER,
    JUDGE_UPPER
};

#define RW (PT_READ | PT_WRITE)
#define RX (PT_READ | PT_EXECUTE)

/* cmocka: the format is the initial state, a struct judge takes its place. */
int judge_set_up(void **state);
int judge_tear_down(void **state);

/** Start again with this descriptor, a window, and ASIDs (PT_NO_ASID: none); an empty table. */
void judge_start(struct judge *judge, const struct pt_format *format, enum judge_place place, uint32_t asid);
/** From now on only accesses by chance, and what they record counts. */
void judge_make_restless(struct judge *judge);

/** The frames that belong to an address of the window. */
pt_paddr frames_of(const struct judge *judge, pt_vaddr vaddr);

/* The calls. All but flush and share may be refused, and then nothing may have changed. */
enum pt_status judge_map(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags);
/** One page, if there are pages of that size; else as large ones as there are. */
enum pt_status judge_map_large(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags);
enum pt_status judge_map_region(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,
                                unsigned options);
/** Every other smallest page comes from the other frames. */
enum pt_status judge_map_scattered(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                   unsigned options);
enum pt_status judge_unmap(struct judge *judge, pt_vaddr vaddr);
enum pt_status judge_unmap_region(struct judge *judge, pt_vaddr vaddr, uint64_t size, unsigned options);
enum pt_status judge_protect(struct judge *judge, pt_vaddr vaddr, pt_flags flags);
enum pt_status judge_protect_region(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                    unsigned options);
enum pt_status judge_remap(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags);
enum pt_status judge_split(struct judge *judge, pt_vaddr vaddr, uint64_t page_size);
enum pt_status judge_collapse(struct judge *judge, pt_vaddr vaddr, uint64_t size);
enum pt_status judge_prune(struct judge *judge, pt_vaddr vaddr, uint64_t size);
enum pt_status judge_clear(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags recorded);
/** pt_flush, and then everything is looked at that is still remembered. */
void judge_flush(struct judge *judge);
/** The copy shares the window from now on, run with an ASID of its own, and is watched as well. */
void judge_share(struct judge *judge, uint32_t asid);

/** Use a watched address now, by the root. */
void judge_access(struct judge *judge, pt_vaddr vaddr, bool write);
/** What the hardware is to have recorded of a watched address. */
pt_flags judge_recorded(const struct judge *judge, pt_vaddr vaddr);
/** The size of the page that holds vaddr; 0: none. */
uint64_t judge_page_size(const struct judge *judge, pt_vaddr vaddr);

/** What has been judged, in all tests together: calls, and stores after which everything was looked at. */
extern size_t judge_calls, judge_moments;

int run_directed_tests(void);
int run_record_tests(void);
int run_random_tests(void);

#endif
