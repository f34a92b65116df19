/* SPDX-License-Identifier: MIT */
/*
 * What the calls mean, for the fuzzer: a sorted list of runs of equal pages. It shares no code with the library
 * and knows nothing of tables, but for the root entries that are borrowed and lent.
 */
#ifndef TESTS_FUZZ_JUDGE_H
#define TESTS_FUZZ_JUDGE_H

#include "formats.h"

/** Pages of one size, one behind the other in both addresses. */
struct run {
    uint64_t where, length; /* the translated bits of the first address; bytes */
    uint64_t page_size;
    pt_paddr paddr;
    pt_flags flags; /* as they read back, what was recorded included */
};

struct runs {
    struct run *run;
    size_t count, room;
};

struct judge_slot {
    bool borrowed;
    bool frozen; /* borrowed as the huge page that it was */
    bool lent;
    bool upper;
    struct run page;
};

struct judge {
    const struct pt_format *format;
    const struct judge *source; /* what is borrowed is borrowed from here */
    struct runs runs;
    struct judge_slot slots[PT_ROOT_SLOTS];
};

void judge_init(struct judge *judge, const struct pt_format *format, const struct judge *source);
void judge_end(struct judge *judge);

/** What `flags` read back as: facts of the format's family, or flags as they are where there are none. */
pt_flags judge_reads_back(const struct pt_format *format, pt_flags flags);

enum pt_status judge_map(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags);
enum pt_status judge_unmap(struct judge *judge, pt_vaddr vaddr, struct pt_mapping *old);
enum pt_status judge_protect(struct judge *judge, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size);
enum pt_status judge_remap(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t *page_size);
enum pt_status judge_query(const struct judge *judge, pt_vaddr vaddr, struct pt_mapping *out);
/** get_paddr == NULL: contiguous frames at paddr. *other gets an answer that is as good, or the same. */
enum pt_status judge_map_region(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr,
                                pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg, uint64_t size,
                                pt_flags flags, unsigned options, enum pt_status *other);
enum pt_status judge_change_region(struct judge *judge, pt_vaddr vaddr, uint64_t size, bool protect, pt_flags flags,
                                   unsigned options);
enum pt_status judge_split(struct judge *judge, pt_vaddr vaddr, uint64_t page_size);
enum pt_status judge_collapse(struct judge *judge, pt_vaddr vaddr, uint64_t size);
enum pt_status judge_prune(const struct judge *judge, pt_vaddr vaddr, uint64_t size);
enum pt_status judge_clear(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags recorded);
enum pt_status judge_copy_from(struct judge *judge, struct judge *source, pt_vaddr vaddr, uint64_t size);

/** The hardware has marked the page. */
void judge_touch(struct judge *judge, pt_vaddr vaddr, pt_flags recorded);

/** All that is visible, what is borrowed included; to be freed by runs_end. */
void judge_all(const struct judge *judge, struct runs *all);
void runs_copy(struct runs *to, const struct runs *from);
void runs_end(struct runs *runs);

bool judge_is_borrowed(const struct judge *judge, pt_vaddr vaddr);
/** The address as pt_walk reports it. */
pt_vaddr judge_canonical(const struct judge *judge, uint64_t where);

#endif
