/* SPDX-License-Identifier: MIT */
/*
 * What a page table means, without being one: a sorted list of pages, and the answers that the calls
 * of <pagetable/pagetable.h> must give. It knows nothing of entries and tables, and shares no code with
 * the library. Where a call has more than one reason to refuse, this order is the library's, too:
 *
 *   size 0 (PT_OK), PT_BAD_FLAGS, PT_BAD_SIZE, PT_NOT_ALIGNED, PT_BAD_ADDRESS,
 *   then what is met first in ascending addresses (a borrowed slot before what is in it), PT_NO_MEMORY.
 *
 * A bad answer of get_paddr and a conflict are not ordered (see as_good), and whether paddr suits pt_remap
 * is asked after the page was found, whose size decides.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include "formats.h"
#include "test.h"

struct model_page {
    uint64_t where; /* the translated bits of its first address */
    uint64_t size;
    pt_paddr paddr;
    pt_flags flags; /* as they read back */
};

/* What is shared as one: a root entry, or several where the root has more than PT_ROOT_SLOTS, or pages of several. */
struct model_slot {
    const struct model *owner; /* borrowed from; NULL: its own */
    bool lent;                 /* another has borrowed it, so that tables in it stay */
    bool upper;                /* PT_EITHER_HALF: last mapped in the upper half, where the walk reports it */
};

/* A root entry. */
struct model_entry {
    bool frozen; /* borrowed as the huge page that it was: `page` */
    bool stays;  /* it has had a table while its slot was lent: that stays, with nothing in it, too */
    struct model_page page;
};

struct model {
    const struct pt_format *format;
    struct model_page *pages; /* its own, in ascending order */
    size_t count;
    size_t room;
    struct model_slot slots[PT_ROOT_SLOTS];
    struct model_entry *entries; /* of the root */
    size_t entry_count;
    uint64_t slot_size, entry_size; /* what a slot and a root entry translate */
    enum pt_status as_good;         /* another answer that the last call may give instead; PT_OK: none */
};

void model_init(struct model *model, const struct pt_format *format);
void model_end(struct model *model);
/** The model as it is now, to be put back by model_restore or let go by model_end. */
struct model model_save(const struct model *model);
/** As it was when it was saved, which is ended. */
void model_restore(struct model *model, struct model *saved);

enum pt_status model_map(struct model *model, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags);
enum pt_status model_unmap(struct model *model, pt_vaddr vaddr, struct pt_mapping *old);
enum pt_status model_protect(struct model *model, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size);
enum pt_status model_remap(struct model *model, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t *page_size);
enum pt_status model_query(const struct model *model, pt_vaddr vaddr, struct pt_mapping *out);
enum pt_status model_map_region(struct model *model, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,
                                unsigned options);
enum pt_status model_map_region_with(struct model *model, pt_vaddr vaddr,
                                     pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg, uint64_t size,
                                     pt_flags flags, unsigned options);
enum pt_status model_unmap_region(struct model *model, pt_vaddr vaddr, uint64_t size, unsigned options);
enum pt_status model_protect_region(struct model *model, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                    unsigned options);
/** As pt_split, with all the memory that it takes. */
enum pt_status model_split(struct model *model, pt_vaddr vaddr, uint64_t page_size);
/** From the smallest pages up: a table's worth of equal, contiguous, aligned ones becomes one of the next size. */
enum pt_status model_collapse(struct model *model, pt_vaddr vaddr, uint64_t size);
/** The answer; nothing that the model knows of changes. */
enum pt_status model_prune(const struct model *model, pt_vaddr vaddr, uint64_t size);
enum pt_status model_copy_from(struct model *model, struct model *source, pt_vaddr vaddr, uint64_t size);

/** Every page that is visible, borrowed ones too, ascending; to be freed by the caller. */
struct model_page *model_all(const struct model *model, size_t *count);

/** How many allocations it takes to have the model's own pages, and to keep what it lent; the root not included. */
size_t model_tables(const struct model *model);

/** The address lies in a slot that was borrowed. */
bool model_is_borrowed(const struct model *model, pt_vaddr vaddr);
/** The table that its root entry leads to stays, empty or not. */
bool model_table_stays(const struct model *model, pt_vaddr vaddr);

/** The address as pt_walk reports it. */
pt_vaddr model_canonical(const struct model *model, uint64_t where);

#endif
