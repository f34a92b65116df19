/* SPDX-License-Identifier: MIT */
/*
 * Page tables for every MMU: the calls. This header is the whole interface; the ready-made frame
 * allocator is <pagetable/frame_pool.h>, registers and instructions are <pagetable/hw.h>.
 *
 * Locking: calls that change a table need it to themselves (one lock per table; tables that share
 * sub-trees by pt_copy_from count as one for the shared part). pt_query and pt_walk may run beside one
 * such call without a lock, as long as the frames of retired tables are not reused under them: the
 * handler's dealloc_frames must then wait for these readers. No call sleeps, and none keeps a lock.
 *
 * Parallel writers: where the descriptor says so (pt_format.parallel_writers), several CPUs may change one table at the
 * same time without a lock, each in regions that are its own:
 * - A region begins and ends between smallest pages, and holds whole pages only: one across its end is split before
 *   (pt_split) by whoever owns it, or the whole of it is one writer's. Two regions may share any table, even one of the
 *   last level. Where tables share a frame (pt_armv7_short), regions begin and end at multiples of 4 MiB.
 * - In parallel, on addresses of the caller's own: all calls on pages and regions, pt_prune, pt_collapse, pt_split and
 *   pt_clear_... included. On any address: pt_query, pt_walk, pt_dump, as beside one writer. Alone: pt_create,
 *   pt_destroy, pt_set_asid, and pt_copy_from on both tables; regions of tables that share sub-trees are disjoint, too.
 * - Each writer has a pt_flush of its own, and carries it out before it hands a region on to another one.
 * - The handler's callbacks are called on several CPUs at once.
 * - A table leaves the tree only where the call's region is all that it translates: others stay, empty or not, until
 *   pt_prune of a region that covers them; of all addresses, say, by whoever is alone.
 * - pt_count_tables may count tables that another writer is about to bring, and PT_NO_MEMORY may mean one of these.
 *
 * Unless said otherwise pointers may not be NULL, addresses and sizes are in bytes, and a `flush` is
 * one that pt_flush_init or PT_FLUSH prepared for the same table.
 */
#ifndef PAGETABLE_PAGETABLE_H
#define PAGETABLE_PAGETABLE_H

#include <pagetable/flush.h>
#include <pagetable/format.h>
#include <pagetable/handler.h>
#include <pagetable/inspect.h>
#include <pagetable/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Slots of the root whose sharing is told apart; a slot is one root entry, more where a root has more entries. */
#define PT_ROOT_SLOTS 512

/** A bit for each slot of a root. */
struct pt_root_slots {
    uint32_t bits[PT_ROOT_SLOTS / 32];
};

/** What every call needs of the format, worked out once by pt_create. */
struct pt_measures {
    uint64_t canonical_bias;            /**< vaddr is canonical if (vaddr + canonical_bias) >> canonical_bits is 0 */
    uint64_t translated;                /**< the bits of an address that are translated */
    uint64_t not_in_paddr;              /**< the bits that no physical address has */
    uint64_t not_in_table, not_in_leaf; /**< all but the format's table_bits, all but its leaf_bits */
    uint8_t canonical_bits;
    uint8_t entry_size; /**< in bytes */
    uint8_t slot_shift; /**< log2 of the root entries in a slot */
};

/** A page table. Owned by the caller; read the fields if you like, change none. */
struct page_table {
    const struct pt_format *format;
    const struct pt_operations *operations; /**< of its format; NULL with PT_ONLY_FORMAT; others if it is adopted */
    const struct pt_handler *handler;
    void *ctx;
    pt_paddr root;
    struct pt_measures measures;
    pt_vaddr latest_vaddr;         /**< where a single page was changed last, and the table of the last level there, */
    pt_paddr latest_table;         /**< or PT_NO_FRAME: its neighbours need no way down */
    uint32_t asid;                 /**< or PT_NO_ASID */
    bool has_lent;                 /**< other tables use parts of it, under ASIDs of their own */
    bool is_special;               /**< it uses parts of other tables, or has parallel writers */
    bool is_adopted;               /**< somebody else built it (pt_adopt): nothing in it is to be trusted */
    struct pt_root_slots borrowed; /**< pt_copy_from took these: never changed or freed through this table */
    struct pt_root_slots lent;     /**< pt_copy_from gave the table there: it stays until pt_destroy */
    struct pt_root_slots upper;    /**< PT_EITHER_HALF: the latest mapping was in the upper half; for pt_walk */
};

/* ---- A table's life ---------------------------------------------------------------------------- */

/**
 * Make an empty table: allocate its root and zero it.
 * PT_BAD_FORMAT, PT_NO_MEMORY; *pt is all zero then.
 */
enum pt_status pt_create(struct page_table *pt, const struct pt_format *format, const struct pt_handler *handler,
                         void *ctx) PT_MUST_CHECK PT_NONNULL(1, 2, 3);

/**
 * Free every table that *pt owns, children before parents; never a mapped frame, never what pt_copy_from
 * took from elsewhere. Safe on a zeroed struct and twice. No CPU may use the table any more, and every
 * table that copied from it must be destroyed before. Invalidates nothing: if its ASID is to be reused,
 * that is the caller's.
 */
void pt_destroy(struct page_table *pt) PT_NONNULL(1);

/** The physical address of the root: what goes into CR3, TTBR, satp (shifted, with the mode) or PGD. */
pt_paddr pt_root(const struct page_table *pt) PT_NONNULL(1);

/**
 * The ASID, PCID or VMID under which CPUs use the table from now on; PT_NO_ASID, as after pt_create, if
 * none. Flushes initialised later name it, and <pagetable/hw.h> invalidates only there what is not global.
 * Once pt_copy_from has taken from the table, they name none: what it changes is used under other ASIDs, too.
 */
void pt_set_asid(struct page_table *pt, uint32_t asid) PT_NONNULL(1);

/* ---- One page ---------------------------------------------------------------------------------- */

/**
 * Map the page of page_size bytes at vaddr to the frames at paddr, both aligned to page_size.
 * Tables that are there but empty give way to a huge page.
 * PT_BAD_SIZE, PT_NOT_ALIGNED, PT_BAD_ADDRESS, PT_BAD_FLAGS, PT_ALREADY_MAPPED, PT_MAPPED_TO_HUGE_PAGE,
 * PT_SHARED, PT_NO_MEMORY. Executable mappings: cleaning the instruction cache is the caller's.
 */
enum pt_status pt_map(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,
                      struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 6);

/**
 * Unmap the page that holds vaddr. *old (may be NULL) tells what it was: its first byte, size, flags.
 * Its table stays, empty or not: see pt_prune. PT_BAD_ADDRESS, PT_NOT_MAPPED, PT_SHARED.
 */
enum pt_status pt_unmap(struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *old, struct pt_flush *flush)
    PT_MUST_CHECK PT_NONNULL(1, 4);

/**
 * Give the page that holds vaddr new flags (all of them: rights, memory type, global); what the hardware
 * recorded (accessed, dirty) stays. *page_size (may be NULL) gets its size.
 * PT_BAD_ADDRESS, PT_BAD_FLAGS, PT_NOT_MAPPED, PT_SHARED.
 */
enum pt_status pt_protect(struct page_table *pt, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size,
                          struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 5);

/**
 * Point the page that holds vaddr to the frames at paddr, aligned to its size, with new flags. What the
 * hardware recorded of the old frames is forgotten. *page_size (may be NULL) gets its size.
 * PT_BAD_ADDRESS, PT_BAD_FLAGS, PT_NOT_ALIGNED, PT_NOT_MAPPED, PT_SHARED.
 */
enum pt_status pt_remap(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t *page_size,
                        struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 6);

/**
 * Report the page that holds vaddr: the address that vaddr itself translates to (offset included), the
 * page's size, and what the hardware allows. *out may be NULL, and is written only with PT_OK.
 * PT_BAD_ADDRESS, PT_NOT_MAPPED. May run beside a writer.
 */
enum pt_status pt_query(const struct page_table *pt, pt_vaddr vaddr, struct pt_mapping *out) PT_MUST_CHECK
PT_NONNULL(1);

/* ---- A region ---------------------------------------------------------------------------------- */

/*
 * [vaddr, vaddr + size), which may end at 2^64. A call happens wholly or not at all: on any error every
 * mapping, the number of frames taken and the pending flush are as before. size == 0 is PT_OK.
 */

/** pt_map_region: use the largest page that vaddr, paddr and the rest of the size allow, at every step. */
#define PT_ALLOW_HUGE (1u << 0)
/** pt_unmap_region, pt_protect_region: pass over what is not mapped instead of refusing. */
#define PT_SKIP_HOLES (1u << 1)
/** pt_unmap_region, pt_protect_region: refuse (PT_MAPPED_TO_HUGE_PAGE) what would split a huge page. */
#define PT_NO_SPLIT (1u << 2)

/**
 * Map the region to the contiguous frames at paddr.
 * PT_NOT_ALIGNED, PT_BAD_ADDRESS, PT_BAD_FLAGS, PT_ALREADY_MAPPED, PT_MAPPED_TO_HUGE_PAGE, PT_SHARED,
 * PT_NO_MEMORY.
 */
enum pt_status pt_map_region(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,
                             unsigned options, struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 7);

/**
 * The same to scattered frames: get_paddr(arg, vaddr) names the frame of each smallest page. It is
 * called several times for a page and must always answer the same; with PT_ALLOW_HUGE it is asked for
 * every smallest page of a huge one, so that only what is contiguous becomes huge. Errors as above.
 */
enum pt_status pt_map_region_with(struct page_table *pt, pt_vaddr vaddr,
                                  pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg, uint64_t size,
                                  pt_flags flags, unsigned options, struct pt_flush *flush) PT_MUST_CHECK
PT_NONNULL(1, 3, 8);

/**
 * Unmap every page of the region; tables that become empty are retired (of parallel writers, those that it covers). A huge page that the region
 * covers only in part is split first: the rest keeps its translation, its flags and what was recorded.
 * PT_NOT_ALIGNED, PT_BAD_ADDRESS, PT_BAD_FLAGS (options), PT_NOT_MAPPED, PT_SHARED, PT_NO_MEMORY (to
 * split), PT_MAPPED_TO_HUGE_PAGE (with PT_NO_SPLIT; or smaller pages do not reach its frames), PT_IN_USE.
 */
enum pt_status pt_unmap_region(struct page_table *pt, pt_vaddr vaddr, uint64_t size, unsigned options,
                               struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 5);

/** Give every page of the region new flags, as pt_protect does. Splits, and answers, as pt_unmap_region. */
enum pt_status pt_protect_region(struct page_table *pt, pt_vaddr vaddr, uint64_t size, pt_flags flags, unsigned options,
                                 struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 6);

/**
 * How many frames pt_map_region would take with these arguments, exactly, if it were called now. Answers
 * as it would, but for PT_NO_MEMORY; *count is written with PT_OK only. May run beside other readers.
 */
enum pt_status pt_count_tables(const struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size,
                               pt_flags flags, unsigned options, size_t *count) PT_MUST_CHECK PT_NONNULL(1, 7);

/**
 * A table with one region of `size` bytes takes no more frames than this, its root included, on formats
 * with tables of 4 KiB and entries of 8 bytes: to size a static pool with. A root of 16 KiB takes three more.
 */
#define PT_MAX_FRAMES(size)                                                                                            \
    (1 + (((size) >> 21) + 2) + (((size) >> 30) + 2) + (((size) >> 39) + 2) + (((size) >> 48) + 2))

/**
 * Make sure that the page that holds vaddr is no larger than page_size: split it, over as many levels as
 * needed, if it is. All translations, flags and what was recorded stay.
 * PT_BAD_SIZE, PT_BAD_ADDRESS, PT_NOT_MAPPED, PT_SHARED, PT_NO_MEMORY, PT_IN_USE, PT_MAPPED_TO_HUGE_PAGE (smaller
 * pages do not reach its frames).
 */
enum pt_status pt_split(struct page_table *pt, pt_vaddr vaddr, uint64_t page_size, struct pt_flush *flush) PT_MUST_CHECK
PT_NONNULL(1, 4);

/**
 * The reverse: wherever the region covers a whole table of pages that are contiguous, aligned and equal in
 * all but what was recorded, put one larger page in its place. What was recorded of any is recorded of it.
 * Where break-before-make would hit what is in use (PT_IN_USE), nothing is done.
 * PT_NOT_ALIGNED, PT_BAD_ADDRESS, PT_SHARED.
 */
enum pt_status pt_collapse(struct page_table *pt, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush) PT_MUST_CHECK
PT_NONNULL(1, 4);

/**
 * Retire the tables with nothing in them on the way to the region's addresses: what pt_unmap of single
 * pages leaves behind; of parallel writers, only those that the region covers. PT_NOT_ALIGNED, PT_BAD_ADDRESS, PT_SHARED.
 */
enum pt_status pt_prune(struct page_table *pt, pt_vaddr vaddr, uint64_t size, struct pt_flush *flush) PT_MUST_CHECK
PT_NONNULL(1, 4);

/**
 * Share the source's sub-trees: the root entries of the region become the source's, and stay the
 * source's. Through *pt they can be looked at, not changed (PT_SHARED) and never freed; what the source
 * changes below them is seen by both at once. A root entry that the source has not used yet gets an
 * empty table there first, from the source's handler, so that later mappings are seen too (the kernel half
 * of every process). A huge page in a root entry is copied as it stands: copy again after changing it.
 * The source keeps the tables it lent until it is destroyed: a huge page cannot take their place (PT_SHARED), and
 * with PT_ALLOW_HUGE smaller ones are used there. Destroy the copies first.
 *
 * PT_NOT_ALIGNED (not whole root entries), PT_BAD_ADDRESS, PT_BAD_FORMAT (the tables' formats differ),
 * PT_ALREADY_MAPPED (*pt has mappings of its own there), PT_SHARED (*pt has lent its own table there),
 * PT_NO_MEMORY (the source's handler).
 * Copying again over what was copied is allowed. Needs both tables' locks. `flush` is that of *pt; a
 * TLB that may remember the source's unused entries owes nothing new but what the format says of new mappings.
 */
enum pt_status pt_copy_from(struct page_table *pt, const struct page_table *source, pt_vaddr vaddr, uint64_t size,
                            struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 2, 5);

/* ---- Looking ----------------------------------------------------------------------------------- */

/** One entry in use, as pt_walk meets it. */
struct pt_visit {
    unsigned level; /**< 0 = root */
    unsigned index; /**< in its table */
    pt_vaddr vaddr; /**< the first address it translates, canonical */
    uint64_t bits;  /**< the raw entry */
    bool is_leaf;
    struct pt_mapping mapping; /**< of a leaf */
};

/** false: stop the walk. */
typedef bool (*pt_visitor)(void *arg, const struct pt_visit *visit);

/**
 * Visit the entries in use in ascending order, at most `limit` (SIZE_MAX: all) per table: `pre` before,
 * `post` after what lies below; either may be NULL. May run beside a writer.
 */
void pt_walk(const struct page_table *pt, size_t limit, pt_visitor pre, pt_visitor post, void *arg) PT_NONNULL(1);

/**
 * The same from the entries on that translate `from`, whose bits above the translated ones do not matter. To go on
 * later where a visitor stopped a walk.
 */
void pt_walk_from(const struct page_table *pt, pt_vaddr from, size_t limit, pt_visitor pre, pt_visitor post, void *arg)
    PT_NONNULL(1);

/**
 * Clear the accessed mark of every page that overlaps the region; holes are passed over. The visitor (may
 * be NULL) sees each page that had it, as it was; false ends the call there, with that page cleared.
 * PT_NOT_ALIGNED, PT_BAD_ADDRESS, PT_SHARED, PT_BAD_FORMAT (the format does not keep track).
 */
enum pt_status pt_clear_accessed(struct page_table *pt, pt_vaddr vaddr, uint64_t size, pt_visitor visitor, void *arg,
                                 struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 6);

/** The same for the dirty mark. */
enum pt_status pt_clear_dirty(struct page_table *pt, pt_vaddr vaddr, uint64_t size, pt_visitor visitor, void *arg,
                              struct pt_flush *flush) PT_MUST_CHECK PT_NONNULL(1, 6);

#ifdef __cplusplus
}
#endif

#endif
