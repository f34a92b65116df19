/* SPDX-License-Identifier: MIT */
/*
 * Mapping: plan (look, count, refuse), reserve (frames; may fail), commit (cannot fail). A request is
 * carried out in steps; a step is a run of pages of one size in one table.
 */
#ifndef PT_ENGINE_MAP_H
#define PT_ENGINE_MAP_H

#include "check.h"
#include "live.h"

/* A mapping asked for. */
struct map_request {
    pt_vaddr first, last;
    pt_paddr paddr;                                   /* of `first`, unless there is get_paddr */
    pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr); /* scattered frames */
    void *arg;
    pt_flags flags;
    struct page_sort smallest;     /* of the pages that may be used */
    bool huge;                     /* larger ones, too, of whatever sort fits */
    const struct page_table *lent; /* the table, if it has lent some to others: huge pages leave these where they are */
};

struct map_step {
    pt_vaddr vaddr, last;
    struct page_sort sort;
    size_t index, count; /* of entries */
};

static inline pt_paddr frame_for(const struct map_request *request, pt_vaddr vaddr)
{
    return request->get_paddr ? request->get_paddr(request->arg, vaddr) : request->paddr + (vaddr - request->first);
}

/* The frames that get_paddr names for [vaddr, vaddr + size) are contiguous. */
static inline bool frames_are_contiguous(const struct tree *tree, const struct map_request *request, pt_vaddr vaddr,
                                         pt_paddr paddr, uint64_t size)
{
    for (uint64_t offset = smallest_page(tree); offset < size; offset += smallest_page(tree))
        if (frame_for(request, vaddr + offset) != paddr + offset)
            return false;
    return true;
}

/* So many root entries from there on, up to `count`, lead to no table that is lent. */
static inline size_t root_entries_not_lent(const struct tree *tree, const struct map_request *request, size_t index,
                                           size_t count)
{
    const struct page_table *pt = request->lent;

    for (size_t i = 0; pt && i < count; i++)
        if (slot_is(tree, &pt->lent, index + i) &&
            entry_kind(tree, load_entry(table_at(tree, pt->root), index + i), 0) == ENTRY_TABLE)
            return i;
    return count;
}

/* Smaller pages have to be there instead of one of this sort, and can: a table is lent. */
static inline bool makes_way_for_lent(const struct tree *tree, const struct map_request *request, pt_vaddr vaddr,
                                      pt_paddr paddr, struct page_sort sort)
{
    size_t count = (size_t)1 << sort.group;

    return sort.level == 0 && PT_UNLIKELY(request->lent != NULL) &&
           root_entries_not_lent(tree, request, index_of(tree, vaddr, 0), count) < count &&
           paddr_fits(tree, paddr, sort_size(tree, sort), request->smallest);
}

/* A page of this sort may stand at vaddr. */
static inline bool page_fits(const struct tree *tree, const struct map_request *request, pt_vaddr vaddr, pt_paddr paddr,
                             struct page_sort sort)
{
    uint64_t size = sort_size(tree, sort);

    return is_aligned(vaddr | paddr, size) && request->last - vaddr >= size - 1 &&
           (!request->get_paddr || frames_are_contiguous(tree, request, vaddr, paddr, size)) &&
           !makes_way_for_lent(tree, request, vaddr, paddr, sort);
}

/* The sort of the largest page that may stand at vaddr. */
static inline struct page_sort best_sort(const struct tree *tree, const struct map_request *request, pt_vaddr vaddr)
{
    pt_paddr paddr;

    if (!request->huge)
        return request->smallest;
    paddr = frame_for(request, vaddr);
    for (unsigned level = 0; level <= last_level(tree); level++) {
        struct page_sort group = {level, group_bits(tree, level)}, single = {level, 0};

        if (group.group != 0 && page_fits(tree, request, vaddr, paddr, group))
            return group;
        if (level < last_level(tree) && level_has_pages(tree, level) && page_fits(tree, request, vaddr, paddr, single))
            return single;
    }
    return request->smallest;
}

/* The pages of the step, in the root, up to one that has to make way for a lent table. Its first one has not. */
static inline size_t up_to_lent(const struct tree *tree, const struct map_request *request, const struct map_step *step,
                                size_t count)
{
    size_t entries = root_entries_not_lent(tree, request, step->index, count) & ~(((size_t)1 << step->sort.group) - 1);

    return entries != 0 ? entries : count; /* none: smaller pages do not reach there, and the plan refuses it */
}

/* The entries from the step's first one on, in its table, that may be pages of its sort. */
static inline size_t step_limit(const struct tree *tree, const struct map_request *request, const struct map_step *step)
{
    size_t in_table = level_entries(tree, step->sort.level) - step->index;
    struct page_sort group = {step->sort.level, group_bits(tree, step->sort.level)};
    size_t to_group;

    if (!request->huge)
        return in_table;
    /* Each huge page of scattered frames is a step of its own: the next one may not be contiguous. */
    if (request->get_paddr && (step->sort.level < last_level(tree) || step->sort.group != 0))
        return (size_t)1 << step->sort.group;
    if (step->sort.level == 0)
        in_table = up_to_lent(tree, request, step, in_table);
    if (step->sort.group != 0 || group.group == 0)
        return in_table;
    /* Where a group could begin, there is a choice again. */
    if (!is_aligned(step->vaddr ^ frame_for(request, step->vaddr), sort_size(tree, group)) && !request->get_paddr)
        return in_table;
    to_group = ((size_t)1 << group.group) - (step->index & (((size_t)1 << group.group) - 1));
    return to_group < in_table ? to_group : in_table;
}

static inline struct map_step step_at(const struct tree *tree, const struct map_request *request, pt_vaddr vaddr)
{
    struct map_step step = {.vaddr = vaddr, .sort = best_sort(tree, request, vaddr)};
    unsigned shift = level_shift(tree, step.sort.level);
    uint64_t wanted = (request->last - vaddr + 1) >> shift;
    size_t limit;

    step.index = index_of(tree, vaddr, step.sort.level);
    limit = step_limit(tree, request, &step);
    step.count = wanted < limit ? (size_t)wanted & ~(((size_t)1 << step.sort.group) - 1) : limit;
    step.last = vaddr + (((uint64_t)step.count << shift) - 1);
    return step;
}

/* What get_paddr names can stand in entries. */
static inline enum pt_status check_scattered(const struct tree *tree, const struct map_request *request,
                                             const struct map_step *step)
{
    uint64_t size = sort_size(tree, step->sort);

    for (size_t i = 0; i < step->count >> step->sort.group; i++) {
        pt_paddr paddr = frame_for(request, step->vaddr + i * size);

        if (!is_aligned(paddr, size))
            return PT_NOT_ALIGNED;
        if (!paddr_fits(tree, paddr, size, step->sort))
            return PT_BAD_ADDRESS;
    }
    return PT_OK;
}

/* The run of entries that the step wants is free: unused, or tables with nothing mapped below. */
static inline enum pt_status check_run(const struct tree *tree, const struct page_table *pt, const void *table,
                                       const struct map_step *step)
{
    pt_entry any = 0;

    for (size_t i = step->index; i < step->index + step->count; i++)
        any |= load_entry(table, i);
    if (PT_LIKELY(any == 0))
        return PT_OK;

    for (size_t i = step->index; i < step->index + step->count; i++) {
        pt_entry entry = load_entry(table, i);
        enum entry_kind kind = entry_kind(tree, entry, step->sort.level);

        if (step->sort.level == 0 && slot_is(tree, &pt->borrowed, i))
            return PT_SHARED;
        if (kind == ENTRY_LEAF && leaf_sort(tree, entry, step->sort.level).group > step->sort.group)
            return PT_MAPPED_TO_HUGE_PAGE;
        if (kind == ENTRY_LEAF || (kind == ENTRY_TABLE && !nothing_below(tree, entry, step->sort.level)))
            return PT_ALREADY_MAPPED;
        /* Even an empty table stays if another table has copied the entry that leads to it. */
        if (kind == ENTRY_TABLE && step->sort.level == 0 && slot_is(tree, &pt->lent, i))
            return PT_SHARED;
    }
    return PT_OK;
}

/* The tables that the plan has seen or counted, as far as the next step may share them. */
struct tables_counted {
    bool any;
    pt_vaddr last; /* the last address that they serve */
};

/* How many frames the tables take that are missing on the way to the step, which `at` is as far as there is one. */
static inline size_t count_missing(const struct tree *tree, const struct map_request *request,
                                   const struct map_step *step, const struct place *at, struct tables_counted *counted)
{
    /* Empty tables that this request passes may give way to its huge pages. */
    size_t passed = index_of(tree, request->first, at->level);
    size_t count = 0;

    for (unsigned level = at->level; level < step->sort.level; level++) {
        unsigned shift = level_shift(tree, level) + encoding.packed_bits;

        if ((!counted->any || ((counted->last ^ step->vaddr) >> shift) != 0) &&
            (level > at->level || frame_beside_but(tree, at->table, at->index, level, passed) == PT_NO_FRAME))
            count++;
    }
    /* A page where tables share a frame has none; elsewhere the tables on the way to it serve the next step, too. */
    if (encoding.packed_bits == 0 || step->sort.level == last_level(tree))
        *counted = (struct tables_counted){true, step->last};
    return count;
}

/* Look without touching: refuse, or count the tables that are missing. */
static inline enum pt_status plan_map(const struct tree *tree, const struct page_table *pt,
                                      const struct map_request *request, size_t *needed)
{
    pt_vaddr vaddr = request->first;
    struct tables_counted counted = {false, 0};

    *needed = 0;
    for (;;) {
        struct map_step step = step_at(tree, request, vaddr);
        struct place at = descend_to(tree, pt->root, vaddr, step.sort.level);
        enum pt_status status = PT_OK;

        if (step.sort.level > 0 && is_borrowed(tree, pt, vaddr))
            return PT_SHARED;
        if (request->get_paddr)
            status = check_scattered(tree, request, &step);
        if (status == PT_OK && at.level == step.sort.level)
            status = check_run(tree, pt, at.table, &step);
        else if (status == PT_OK && at.kind == ENTRY_LEAF)
            status = PT_MAPPED_TO_HUGE_PAGE;
        if (status != PT_OK)
            return status;

        *needed += count_missing(tree, request, &step, &at, &counted);
        if (step.last == request->last)
            return PT_OK;
        vaddr = step.last + 1;
    }
}

/* The leaf for an entry of the step, which is its i-th. */
PT_INLINE pt_entry step_leaf(const struct tree *tree, const struct map_request *request, const struct map_step *step,
                             pt_entry attributes, size_t i)
{
    uint64_t offset = i * level_size(tree, step->sort.level);
    pt_paddr paddr;

    if (request->get_paddr && step->sort.group == 0)
        paddr = frame_for(request, step->vaddr + offset);
    else
        paddr = frame_for(request, step->vaddr) + offset;
    return attributes ^ encoding.address(format_of(tree), paddr, shape_of(tree, step->sort));
}

/* Fill a table that nothing leads to yet: all of it is written, once. */
static inline void fill_table(const struct tree *tree, void *table, const struct map_request *request,
                              const struct map_step *step)
{
    pt_entry attributes = attributes_of(tree, request->flags, step->sort);
    size_t end = step->index + step->count;

    clear_entries(table, 0, step->index);
    if (request->get_paddr) {
        for (size_t i = 0; i < step->count; i++)
            fill_entry(table, step->index + i, step_leaf(tree, request, step, attributes, i));
    } else {
        struct leaves leaves = {attributes, shape_of(tree, step->sort), frame_for(request, step->vaddr)};

        fill_leaves(tree, table, step->index, step->count, step->sort.level, &leaves);
    }
    clear_entries(table, end, level_entries(tree, step->sort.level) - end);
}

/* Let go of the empty tables where the step's pages go. */
static inline void make_way(const struct tree *tree, void *table, const struct map_step *step, struct pt_flush *flush)
{
    unsigned level = step->sort.level;
    uint64_t size = level_size(tree, level);
    bool any = false;

    for (size_t i = 0; i < step->count; i++) {
        pt_entry old = load_entry(table, step->index + i);

        if (entry_kind(tree, old, level) == ENTRY_TABLE) {
            store_entry(table, step->index + i, 0);
            retire_below(tree, flush, table, step->index + i, old, level);
            /* An invalidation reaches what was cached on the way to its address: each table of the last level needs one. */
            pt_flush_add(flush, step->vaddr + i * size, size, level_size(tree, last_level(tree) - 1), false);
            owe_root_entry(tree, flush, level);
            any = true;
        }
    }
    if (any && encoding.must_break)
        pt_flush_invalidate(flush);
}

/* Write the step's run into a table that is in use. */
static inline void write_run(const struct tree *tree, void *table, const struct map_request *request,
                             const struct map_step *step, struct pt_flush *flush)
{
    pt_entry attributes = attributes_of(tree, request->flags, step->sort);

    if (step->sort.level != last_level(tree))
        make_way(tree, table, step, flush);
    if (request->get_paddr) {
        for (size_t i = 0; i < step->count; i++)
            store_entry(table, step->index + i, step_leaf(tree, request, step, attributes, i));
    } else {
        struct leaves leaves = {attributes, shape_of(tree, step->sort), frame_for(request, step->vaddr)};

        for (size_t i = 0; i < step->count; i++)
            store_entry(table, step->index + i, nth_leaf(tree, &leaves, i, step->sort.level));
    }
}

/* The tables that are missing on the way to the step, with its pages: nothing leads to them yet. Returns the topmost. */
PT_INLINE pt_paddr make_tables(const struct tree *tree, const struct map_request *request, const struct map_step *step,
                               const struct place *at, struct reserve *reserve)
{
    pt_paddr below = at->level + 1 == step->sort.level ? take_table(tree, at->table, at->index, at->level, reserve)
                                                       : reserve_take(tree, reserve);

    fill_table(tree, table_at(tree, below), request, step);
    for (unsigned level = step->sort.level - 1; level > at->level; level--) {
        pt_paddr frame = reserve_take(tree, reserve);
        void *table = table_at(tree, frame);

        clear_entries(table, 0, level_entries(tree, level));
        fill_entry(table, index_of(tree, step->vaddr, level), table_entry(tree, below, level));
        below = frame;
    }
    return below;
}

/*
 * Link these tables, whose topmost is of this level, beside other writers. Whoever comes second to an entry gives up all
 * that it has made: then they are in the reserve that is returned. (Not by its address: it is to stay in registers.)
 */
PT_OUTLINE struct reserve link_beside_others(const struct page_table *pt, pt_vaddr vaddr, pt_paddr table,
                                             unsigned level, unsigned lowest, struct reserve reserve)
{
    struct tree tree = tree_of(pt);
    struct place at = descend_to(&tree, pt->root, vaddr, level - 1);

    if (at.level == level - 1 && at.kind != ENTRY_TABLE &&
        swap_entry(at.table, at.index, &at.entry, table_entry(&tree, table, at.level)))
        return reserve;
    for (; level < lowest; level++) {
        pt_entry entry = load_entry(table_at(&tree, table), index_of(&tree, vaddr, level));

        reserve_put(&tree, &reserve, table);
        table = table_paddr(&tree, entry);
    }
    reserve_put(&tree, &reserve, table);
    return reserve;
}

enum commit {
    COMMIT_WRITTEN, /* into a table that is there */
    COMMIT_LINKED,  /* with new tables */
    COMMIT_AGAIN    /* not at all: another writer was quicker, and fewer tables are missing now */
};

static inline enum commit commit_step(const struct tree *tree, const struct page_table *pt,
                                      const struct map_request *request, const struct map_step *step,
                                      struct reserve *reserve, struct pt_flush *flush)
{
    struct place at = descend_to(tree, pt->root, step->vaddr, step->sort.level);
    pt_paddr made;

    if (at.level == step->sort.level) {
        write_run(tree, at.table, request, step, flush);
        return COMMIT_WRITTEN;
    }
    made = make_tables(tree, request, step, &at, reserve);
    /* Where tables share a frame, all entries that lead into it are one writer's. */
    if (PT_UNLIKELY(has_parallel_writers(tree)) && encoding.packed_bits == 0) {
        struct reserve left = link_beside_others(pt, step->vaddr, made, at.level + 1, step->sort.level, *reserve);

        if (left.count != reserve->count) {
            *reserve = left;
            return COMMIT_AGAIN;
        }
    } else {
        publish_entry(at.table, at.index, table_entry(tree, made, at.level));
    }
    owe_root_entry(tree, flush, at.level);
    return COMMIT_LINKED;
}

static inline void commit_map(const struct tree *tree, struct page_table *pt, const struct map_request *request,
                              struct reserve *reserve, struct pt_flush *flush)
{
    uint64_t smallest = UINT64_MAX;
    bool tables_linked = false;

    settle(flush, request->first, request->last);
    for (pt_vaddr vaddr = request->first;;) {
        struct map_step step = step_at(tree, request, vaddr);
        enum commit done = commit_step(tree, pt, request, &step, reserve, flush);

        if (PT_UNLIKELY(done == COMMIT_AGAIN))
            continue;
        tables_linked |= done == COMMIT_LINKED;
        if (level_size(tree, step.sort.level) < smallest)
            smallest = level_size(tree, step.sort.level);
        if (step.last == request->last)
            break;
        vaddr = step.last + 1;
    }
    note_half(tree, pt, request->first, request->last);
    owe_new_mapping(tree, flush, request->first, request->last - request->first + 1, smallest,
                    request->flags & PT_GLOBAL, tables_linked);
    if (PT_UNLIKELY(has_parallel_writers(tree)))
        owe_tables_of_others(tree, flush);
    else
        forget_latest(pt);
}

/* Nothing is in this run of entries, which begins with the one at `at`. */
PT_INLINE bool run_is_unused(const struct place *at, size_t count)
{
    pt_entry any = at->entry;

    for (size_t i = 1; i < count; i++)
        any |= load_entry(at->table, at->index + i);
    return PT_LIKELY(any == 0);
}

/* Put pages of the smallest size there. */
PT_INLINE void put_pages(const struct tree *tree, struct page_table *pt, const struct place *at, pt_vaddr vaddr,
                         pt_paddr paddr, size_t count, pt_flags flags, struct pt_flush *flush)
{
    struct page_sort sort = {last_level(tree), 0};
    uint64_t size = level_size(tree, sort.level);
    pt_entry attributes;

    settle(flush, vaddr, vaddr + (count * size - 1));
    attributes = attributes_of(tree, flags, sort);
    for (size_t i = 0; i < count; i++)
        store_entry(at->table, at->index + i,
                    attributes ^ encoding.address(format_of(tree), paddr + i * size, shape_of(tree, sort)));
    owe_new_mapping(tree, flush, vaddr, count * size, size, flags & PT_GLOBAL, false);
    note_half(tree, pt, vaddr, vaddr);
}

/* The request is for pages of the smallest size in one table of the last level. */
PT_INLINE bool request_is_short(const struct tree *tree, const struct map_request *request)
{
    unsigned level = last_level(tree);

    return !request->get_paddr && request->smallest.level == level && request->smallest.group == 0 &&
           (request->first ^ request->last) >> level_shift(tree, level - 1) == 0 &&
           !(request->huge &&
             (group_bits(tree, level) != 0 || request->last - request->first + 1 == level_size(tree, level - 1)));
}

PT_INLINE size_t request_pages(const struct tree *tree, const struct map_request *request)
{
    return (size_t)((request->last - request->first + 1) >> page_shift(tree));
}

/* Where there are other writers, there is no latest table: the short way is one look. false: it takes more. */
PT_OUTLINE bool map_beside_others(struct page_table *pt, const struct map_request *request, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct place at;

    if (!request_is_short(&tree, request) || is_borrowed(&tree, pt, request->first))
        return false;
    at = descend_inline(&tree, pt->root, request->first, last_level(&tree));
    if (at.level != last_level(&tree) || !run_is_unused(&at, request_pages(&tree, request)))
        return false;
    put_pages(&tree, pt, &at, request->first, request->paddr, request_pages(&tree, request), request->flags, flush);
    owe_tables_of_others(&tree, flush);
    return true;
}

static inline enum pt_status map_request_in_steps(struct page_table *pt, const struct map_request *request,
                                                  struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct reserve reserve = RESERVE_EMPTY;
    enum pt_status status;
    size_t needed;

    if (PT_UNLIKELY(has_parallel_writers(&tree)) && map_beside_others(pt, request, flush))
        return PT_OK;
    do
        status = plan_map(&tree, pt, request, &needed);
    while (must_plan_again(&tree, pt, &reserve, needed, &status));
    if (status == PT_OK)
        commit_map(&tree, pt, request, &reserve, flush);
    reserve_release(&tree, pt, &reserve);
    return status;
}

/* The arguments of a single page are good. */
PT_INLINE enum pt_status check_page(const struct tree *tree, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size,
                                    pt_flags flags)
{
    if (!flags_exist(flags))
        return PT_BAD_FLAGS;
    if (!size_exists(tree, page_size))
        return PT_BAD_SIZE;
    if (!is_aligned(vaddr | paddr, page_size))
        return PT_NOT_ALIGNED;
    if (!vaddr_is_canonical(tree, vaddr) || ((paddr | (page_size - 1)) & measures_of(tree).not_in_paddr) != 0)
        return PT_BAD_ADDRESS;
    if (encoding.narrow_pa_bits && !paddr_fits(tree, paddr, page_size, sort_of_size(tree, page_size)))
        return PT_BAD_ADDRESS;
    return PT_OK;
}

/*
 * Put the pages into a table that is there, where nothing is; false if it is not as simple as that. The arguments are
 * good. Of linear trees only.
 */
PT_INLINE bool map_into_table(const struct tree *tree, struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr,
                              size_t count, pt_flags flags, struct pt_flush *flush)
{
    struct place at;

    if (PT_UNLIKELY(!find_latest(tree, pt, vaddr, &at))) {
        at = descend_inline(tree, pt->root, vaddr, last_level(tree));
        if (at.level != last_level(tree) ||
            (PT_UNLIKELY(pt->is_special) && (has_parallel_writers(tree) || is_borrowed(tree, pt, vaddr))))
            return false;
    }
    if (!run_is_unused(&at, count))
        return false;
    remember_latest(tree, pt, &at, vaddr);
    put_pages(tree, pt, &at, vaddr, paddr, count, flags, flush);
    return true;
}

PT_OUTLINE enum pt_status map_page(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size,
                                   pt_flags flags, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct map_request request = {.first = vaddr, .last = vaddr + (page_size - 1), .paddr = paddr, .flags = flags};
    enum pt_status status = check_page(&tree, vaddr, paddr, page_size, flags);

    if (status != PT_OK)
        return status;
    request.smallest = sort_of_size(&tree, page_size);
    return map_request_in_steps(pt, &request, flush);
}

/* Most pages are of the smallest size, and go to a free entry of a table that is there. */
static inline enum pt_status engine_map(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size,
                                        pt_flags flags, struct pt_flush *flush)
{
    struct tree tree = linear_tree_of(pt);

    if (is_linear(pt) && PT_LIKELY(page_size == smallest_page(&tree)) &&
        PT_LIKELY(check_page(&tree, vaddr, paddr, smallest_page(&tree), flags) == PT_OK) &&
        PT_LIKELY(map_into_table(&tree, pt, vaddr, paddr, 1, flags, flush)))
        return PT_OK;
    return map_page(pt, vaddr, paddr, page_size, flags, flush);
}

/* The arguments are good; size is not 0. */
static inline void request_region(const struct tree *tree, const struct page_table *pt, struct map_request *request,
                                  uint64_t size, unsigned options)
{
    request->last = request->first + (size - 1);
    request->smallest = (struct page_sort){last_level(tree), 0};
    request->huge = options & PT_ALLOW_HUGE;
    request->lent = request->huge && pt->has_lent ? pt : NULL;
}

static inline enum pt_status check_map_region(const struct tree *tree, pt_vaddr vaddr, pt_paddr paddr, uint64_t size,
                                              pt_flags flags, unsigned options)
{
    enum pt_status status = check_region(tree, vaddr, size, vaddr | paddr | size, flags, options);

    if (status == PT_OK && !region_paddr_fits(tree, vaddr, paddr, size, options & PT_ALLOW_HUGE))
        return PT_BAD_ADDRESS;
    return status;
}

PT_INLINE bool map_short_region(struct page_table *pt, const struct map_request *request, struct pt_flush *flush)
{
    struct tree tree = linear_tree_of(pt);

    return request_is_short(&tree, request) && map_into_table(&tree, pt, request->first, request->paddr,
                                                              request_pages(&tree, request), request->flags, flush);
}

static inline enum pt_status engine_map_region(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t size,
                                               pt_flags flags, unsigned options, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct map_request request = {.first = vaddr, .paddr = paddr, .flags = flags};
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_map_region(&tree, vaddr, paddr, size, flags, options);
    if (status != PT_OK)
        return status;
    request_region(&tree, pt, &request, size, options);
    if (is_linear(pt) && map_short_region(pt, &request, flush))
        return PT_OK;
    return map_request_in_steps(pt, &request, flush);
}

static inline enum pt_status engine_map_region_with(struct page_table *pt, pt_vaddr vaddr,
                                                    pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg,
                                                    uint64_t size, pt_flags flags, unsigned options,
                                                    struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct map_request request = {.first = vaddr, .get_paddr = get_paddr, .arg = arg, .flags = flags};
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_region(&tree, vaddr, size, vaddr | size, flags, options);
    if (status != PT_OK)
        return status;
    request_region(&tree, pt, &request, size, options);
    return map_request_in_steps(pt, &request, flush);
}

static inline enum pt_status engine_count_tables(const struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr,
                                                 uint64_t size, pt_flags flags, unsigned options, size_t *count)
{
    struct tree tree = tree_of(pt);
    struct map_request request = {.first = vaddr, .paddr = paddr, .flags = flags};
    enum pt_status status;
    size_t tables = 0;

    status = size == 0 ? PT_OK : check_map_region(&tree, vaddr, paddr, size, flags, options);
    if (status == PT_OK && size != 0) {
        request_region(&tree, pt, &request, size, options);
        status = plan_map(&tree, pt, &request, &tables);
    }
    if (status == PT_OK)
        *count = tables * table_frames(&tree, 1);
    return status;
}

#endif
