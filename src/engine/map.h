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
    unsigned top, bottom; /* the levels at which leaves may be placed */
};

struct map_step {
    pt_vaddr vaddr, last;
    unsigned level;
    size_t index, count;
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

/* The level of the largest page that may stand at vaddr. */
static inline unsigned best_level(const struct tree *tree, const struct map_request *request, pt_vaddr vaddr)
{
    pt_paddr paddr;

    if (request->top == request->bottom)
        return request->bottom;
    paddr = frame_for(request, vaddr);
    for (unsigned level = request->top; level < request->bottom; level++) {
        uint64_t size = level_size(tree, level);

        if (level_has_pages(tree, level) && is_aligned(vaddr | paddr, size) && request->last - vaddr >= size - 1 &&
            (!request->get_paddr || frames_are_contiguous(tree, request, vaddr, paddr, size)))
            return level;
    }
    return request->bottom;
}

static inline struct map_step step_at(const struct tree *tree, const struct map_request *request, pt_vaddr vaddr)
{
    struct map_step step = {.vaddr = vaddr, .level = best_level(tree, request, vaddr)};
    unsigned shift = level_shift(tree, step.level);
    uint64_t wanted = (request->last - vaddr + 1) >> shift;

    step.index = index_of(tree, vaddr, step.level);
    step.count = level_entries(tree, step.level) - step.index;
    /* Each huge page of scattered frames is a step of its own: the next one may not be contiguous. */
    if (request->get_paddr && step.level < request->bottom)
        step.count = 1;
    if (step.count > wanted)
        step.count = (size_t)wanted;
    step.last = vaddr + (((uint64_t)step.count << shift) - 1);
    return step;
}

/* What get_paddr names can stand in entries. */
static inline enum pt_status check_scattered(const struct tree *tree, const struct map_request *request,
                                             const struct map_step *step)
{
    uint64_t size = level_size(tree, step->level);

    for (size_t i = 0; i < step->count; i++) {
        pt_paddr paddr = frame_for(request, step->vaddr + i * size);

        if (!is_aligned(paddr, size))
            return PT_NOT_ALIGNED;
        if (!paddr_fits(tree, paddr, size))
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
        enum entry_kind kind = entry_kind(tree, entry, step->level);

        if (step->level == 0 && slot_is(tree, &pt->borrowed, i))
            return PT_SHARED;
        if (kind == ENTRY_LEAF || (kind == ENTRY_TABLE && !nothing_below(tree, entry, step->level)))
            return PT_ALREADY_MAPPED;
        /* Even an empty table stays if another table has copied the entry that leads to it. */
        if (step->level == 0 && slot_is(tree, &pt->lent, i))
            return PT_SHARED;
    }
    return PT_OK;
}

/* Look without touching: refuse, or count the tables that are missing. */
static inline enum pt_status plan_map(const struct tree *tree, const struct page_table *pt,
                                      const struct map_request *request, size_t *needed)
{
    pt_vaddr vaddr = request->first;
    pt_vaddr previous = 0; /* the last address of the step before */
    bool is_first = true;

    *needed = 0;
    for (;;) {
        struct map_step step = step_at(tree, request, vaddr);
        struct place at = descend_to(tree, pt->root, vaddr, step.level);
        enum pt_status status = PT_OK;

        if (step.level > 0 && is_borrowed(tree, pt, vaddr))
            return PT_SHARED;
        if (request->get_paddr)
            status = check_scattered(tree, request, &step);
        if (status == PT_OK && at.level == step.level)
            status = check_run(tree, pt, at.table, &step);
        else if (status == PT_OK && at.kind == ENTRY_LEAF)
            status = PT_MAPPED_TO_HUGE_PAGE;
        if (status != PT_OK)
            return status;

        /* Of the missing tables on the way, the step before has counted those that it shares. */
        for (unsigned level = at.level; level < step.level; level++)
            if (is_first || ((previous ^ vaddr) >> level_shift(tree, level)) != 0)
                ++*needed;

        if (step.last == request->last)
            return PT_OK;
        is_first = false;
        previous = step.last;
        vaddr = step.last + 1;
    }
}

/* Fill a table that nothing leads to yet: all of it is written, once. */
static inline void fill_table(const struct tree *tree, void *table, const struct map_request *request,
                              const struct map_step *step)
{
    pt_entry attributes = encoding.leaf_attributes(format_of(tree), request->flags, step->level == last_level(tree));
    uint64_t size = level_size(tree, step->level);
    size_t end = step->index + step->count;

    clear_entries(table, 0, step->index);
    if (request->get_paddr) {
        for (size_t i = 0; i < step->count; i++)
            fill_entry(table, step->index + i,
                       attributes ^ encoding.address(format_of(tree), frame_for(request, step->vaddr + i * size)));
    } else {
        pt_paddr paddr = frame_for(request, step->vaddr);

        for (size_t i = 0; i < step->count; i++)
            fill_entry(table, step->index + i, attributes ^ encoding.address(format_of(tree), paddr + i * size));
    }
    clear_entries(table, end, level_entries(tree, step->level) - end);
}

/* Write the step's run into a table that is in use. */
static inline void write_run(const struct tree *tree, void *table, const struct map_request *request,
                             const struct map_step *step, struct pt_flush *flush)
{
    bool last = step->level == last_level(tree);
    pt_entry attributes = encoding.leaf_attributes(format_of(tree), request->flags, last);
    uint64_t size = level_size(tree, step->level);

    for (size_t i = 0; i < step->count; i++) {
        pt_vaddr vaddr = step->vaddr + i * size;
        pt_entry leaf = attributes ^ encoding.address(format_of(tree), frame_for(request, vaddr));
        pt_entry old = last ? 0 : load_entry(table, step->index + i);

        if (PT_UNLIKELY(!last && entry_kind(tree, old, step->level) == ENTRY_TABLE)) {
            replace_entry(tree, flush, table, step->index + i, step->level, vaddr, leaf);
            retire_below(tree, flush, old, step->level);
        } else {
            store_entry(table, step->index + i, leaf);
        }
    }
}

/* Returns whether tables were linked. */
static inline bool commit_step(const struct tree *tree, const struct page_table *pt, const struct map_request *request,
                               const struct map_step *step, struct reserve *reserve, struct pt_flush *flush)
{
    struct place at = descend_to(tree, pt->root, step->vaddr, step->level);
    pt_paddr below;

    if (at.level == step->level) {
        write_run(tree, at.table, request, step, flush);
        return false;
    }

    /* From the bottom up, so that one store makes all of it visible. */
    below = reserve_take(tree, reserve);
    fill_table(tree, table_at(tree, below), request, step);
    for (unsigned level = step->level - 1; level > at.level; level--) {
        pt_paddr frame = reserve_take(tree, reserve);
        void *table = table_at(tree, frame);

        clear_entries(table, 0, level_entries(tree, level));
        fill_entry(table, index_of(tree, step->vaddr, level), encoding.table(format_of(tree), below));
        below = frame;
    }
    publish_entry(at.table, at.index, encoding.table(format_of(tree), below));
    return true;
}

static inline void commit_map(const struct tree *tree, struct page_table *pt, const struct map_request *request,
                              struct reserve *reserve, struct pt_flush *flush)
{
    uint64_t smallest = UINT64_MAX;
    bool tables_linked = false;

    settle(flush, request->first, request->last);
    for (pt_vaddr vaddr = request->first;;) {
        struct map_step step = step_at(tree, request, vaddr);

        tables_linked |= commit_step(tree, pt, request, &step, reserve, flush);
        if (level_size(tree, step.level) < smallest)
            smallest = level_size(tree, step.level);
        if (step.last == request->last)
            break;
        vaddr = step.last + 1;
    }
    note_half(tree, pt, request->first, request->last);
    owe_new_mapping(tree, flush, request->first, request->last - request->first + 1, smallest,
                    request->flags & PT_GLOBAL, tables_linked);
}

static inline enum pt_status map_request_in_steps(struct page_table *pt, const struct map_request *request,
                                                  struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct reserve reserve = RESERVE_EMPTY;
    enum pt_status status;
    size_t needed;

    /* Plan again after reserving: the allocator may have changed the tree. */
    while ((status = plan_map(&tree, pt, request, &needed)) == PT_OK && needed > reserve.count) {
        if (!reserve_fill(&tree, pt, &reserve, needed)) {
            status = PT_NO_MEMORY;
            break;
        }
    }
    if (status == PT_OK)
        commit_map(&tree, pt, request, &reserve, flush);
    reserve_release(&tree, pt, &reserve);
    return status;
}

static inline enum pt_status engine_map(struct page_table *pt, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size,
                                        pt_flags flags, struct pt_flush *flush)
{
    struct tree tree = tree_of(pt);
    struct map_request request = {.first = vaddr, .paddr = paddr, .flags = flags};
    struct place at;

    if (!flags_exist(flags))
        return PT_BAD_FLAGS;
    if (!level_of_size(&tree, page_size, &request.bottom))
        return PT_BAD_SIZE;
    if (!is_aligned(vaddr | paddr, page_size))
        return PT_NOT_ALIGNED;
    if (!vaddr_is_canonical(&tree, vaddr) || !paddr_fits(&tree, paddr, page_size))
        return PT_BAD_ADDRESS;

    /* Most pages go to a free entry of a table that is there. */
    at = descend_to(&tree, pt->root, vaddr, request.bottom);
    if (PT_LIKELY(at.level == request.bottom && at.entry == 0 && !is_borrowed(&tree, pt, vaddr))) {
        settle(flush, vaddr, vaddr + (page_size - 1));
        store_entry(at.table, at.index,
                    encoding.leaf_attributes(format_of(&tree), flags, at.level == last_level(&tree)) ^
                        encoding.address(format_of(&tree), paddr));
        owe_new_mapping(&tree, flush, vaddr, page_size, page_size, flags & PT_GLOBAL, false);
        note_half(&tree, pt, vaddr, vaddr);
        return PT_OK;
    }

    request.last = vaddr + (page_size - 1);
    request.top = request.bottom;
    return map_request_in_steps(pt, &request, flush);
}

/* The arguments are good; size is not 0. */
static inline void request_region(const struct tree *tree, struct map_request *request, uint64_t size, unsigned options)
{
    request->last = request->first + (size - 1);
    request->bottom = last_level(tree);
    request->top = options & PT_ALLOW_HUGE ? 0 : request->bottom;
}

static inline enum pt_status check_map_region(const struct tree *tree, pt_vaddr vaddr, pt_paddr paddr, uint64_t size,
                                              pt_flags flags, unsigned options)
{
    enum pt_status status = check_region(tree, vaddr, size, vaddr | paddr | size, flags, options);

    if (status == PT_OK && !paddr_fits(tree, paddr, size))
        return PT_BAD_ADDRESS;
    return status;
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
    request_region(&tree, &request, size, options);
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
    request_region(&tree, &request, size, options);
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
        request_region(&tree, &request, size, options);
        status = plan_map(&tree, pt, &request, &tables);
    }
    if (status == PT_OK)
        *count = tables * table_frames(&tree, 1);
    return status;
}

#endif
