/* SPDX-License-Identifier: MIT */
#include "model.h"

void model_init(struct model *model, const struct pt_format *format)
{
    *model = (struct model){.format = format};
}

void model_end(struct model *model)
{
    free(model->pages);
    model_init(model, model->format);
}

/* ---- Slots and pages ----------------------------------------------------------------------------- */

static uint64_t slot_size(const struct model *model)
{
    uint64_t entry = format_entry_size(model->format, 0);
    uint64_t share = (UINT64_C(1) << model->format->va_bits) / PT_ROOT_SLOTS;

    return share > entry ? share : entry;
}

static size_t slot_of(const struct model *model, uint64_t where)
{
    return (size_t)(where / slot_size(model));
}

static bool is_borrowed(const struct model *model, uint64_t where)
{
    return model->slots[slot_of(model, where)].owner != NULL;
}

/* The index of the first page that ends after `where`. */
static size_t first_page_after(const struct model *model, uint64_t where)
{
    size_t low = 0;
    size_t high = model->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (model->pages[middle].where + (model->pages[middle].size - 1) < where)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first page that touches [where, where + size), or NULL. */
static struct model_page *first_page_in(const struct model *model, uint64_t where, uint64_t size)
{
    size_t index = first_page_after(model, where);

    if (index == model->count || model->pages[index].where > where + (size - 1))
        return NULL;
    return &model->pages[index];
}

static void insert_pages(struct model *model, const struct model_page *pages, size_t count)
{
    size_t index = first_page_after(model, pages[0].where);

    if (model->count + count > model->room) {
        model->room = 2 * model->room + count;
        model->pages = realloc(model->pages, model->room * sizeof(*model->pages));
        assert_non_null(model->pages);
    }
    memmove(&model->pages[index + count], &model->pages[index], (model->count - index) * sizeof(*model->pages));
    memcpy(&model->pages[index], pages, count * sizeof(*pages));
    model->count += count;
}

static void remove_pages(struct model *model, size_t index, size_t count)
{
    if (count == 0)
        return;
    memmove(&model->pages[index], &model->pages[index + count], (model->count - index - count) * sizeof(*model->pages));
    model->count -= count;
}

/* What `where` translates through: the model's own page, or the owner's. */
static const struct model_page *visible_page(const struct model *model, uint64_t where)
{
    const struct model_slot *slot = &model->slots[slot_of(model, where)];

    if (slot->frozen)
        return &slot->page;
    return first_page_in(slot->owner ? slot->owner : model, where, 1);
}

/* ---- Arguments ----------------------------------------------------------------------------------- */

static bool paddr_is_good(const struct model *model, pt_paddr paddr, uint64_t size)
{
    pt_paddr last = paddr + (size - 1);

    return last >= paddr && last <= format_paddr_last(model->format);
}

static bool region_is_good(const struct model *model, pt_vaddr vaddr, uint64_t size)
{
    pt_vaddr last = vaddr + (size - 1);

    if (last < vaddr || !format_is_canonical(model->format, vaddr) || !format_is_canonical(model->format, last))
        return false;
    return (vaddr <= format_lower_last(model->format)) == (last <= format_lower_last(model->format));
}

static bool flags_are_good(pt_flags flags)
{
    return (flags & ~PT_ALL_FLAGS) == 0;
}

static bool options_are_good(unsigned options)
{
    return (options & ~(PT_ALLOW_HUGE | PT_SKIP_HOLES | PT_NO_SPLIT)) == 0;
}

static bool is_aligned(uint64_t value, uint64_t size)
{
    return value % size == 0;
}

static void note_half(struct model *model, pt_vaddr vaddr, uint64_t size)
{
    size_t last = slot_of(model, format_translated(model->format, vaddr + (size - 1)));

    for (size_t i = slot_of(model, format_translated(model->format, vaddr)); i <= last; i++)
        model->slots[i].upper = vaddr > format_lower_last(model->format);
}

/* ---- Mapping ------------------------------------------------------------------------------------- */

/*
 * Why a page of this size cannot be mapped here. A slot that was lent keeps its table, so that a page as
 * large as a root entry cannot stand in its place.
 */
static enum pt_status conflict(const struct model *model, uint64_t where, uint64_t size)
{
    const struct model_page *there;

    if (is_borrowed(model, where))
        return PT_SHARED;
    there = first_page_in(model, where, size);
    if (there)
        return there->size > size ? PT_MAPPED_TO_HUGE_PAGE : PT_ALREADY_MAPPED;
    if (size >= format_entry_size(model->format, 0) && model->slots[slot_of(model, where)].lent)
        return PT_SHARED;
    return PT_OK;
}

enum pt_status model_map(struct model *model, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    uint64_t where = format_translated(model->format, vaddr);
    struct model_page page = {where, page_size, paddr, format_reads_back(model->format, flags)};
    enum pt_status status;

    if (!flags_are_good(flags))
        return PT_BAD_FLAGS;
    if (page_size == 0 || (page_size & (page_size - 1)) != 0 || (page_size & model->format->page_sizes) == 0)
        return PT_BAD_SIZE;
    if (!is_aligned(vaddr, page_size) || !is_aligned(paddr, page_size))
        return PT_NOT_ALIGNED;
    if (!region_is_good(model, vaddr, page_size) || !paddr_is_good(model, paddr, page_size))
        return PT_BAD_ADDRESS;
    status = conflict(model, where, page_size);
    if (status != PT_OK)
        return status;
    note_half(model, vaddr, page_size);
    insert_pages(model, &page, 1);
    return PT_OK;
}

struct run {
    pt_vaddr vaddr;
    pt_paddr paddr;
};

static pt_paddr paddr_in_run(void *arg, pt_vaddr vaddr)
{
    struct run *run = arg;

    return run->paddr + (vaddr - run->vaddr);
}

/* The largest page that can stand at `vaddr`, when `rest` bytes are still to be mapped. */
static uint64_t largest_here(const struct model *model, pt_vaddr vaddr, uint64_t rest,
                             pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg)
{
    uint64_t smallest = format_smallest(model->format);
    uint64_t size = format_largest(model->format);
    pt_paddr paddr = get_paddr(arg, vaddr);

    for (; size > smallest; size = format_smaller(model->format, size)) {
        uint64_t same = 0;

        if (size > rest || !is_aligned(vaddr, size) || !is_aligned(paddr, size))
            continue;
        if (get_paddr == paddr_in_run)
            return size;
        while (same < size && get_paddr(arg, vaddr + same) == paddr + same)
            same += smallest;
        if (same == size)
            return size;
    }
    return smallest;
}

/* The first conflict that stands against the region, or PT_OK. */
static enum pt_status why_not(const struct model *model, pt_vaddr vaddr,
                              pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg, uint64_t size,
                              unsigned options)
{
    enum pt_status status = PT_OK;
    uint64_t page_size;

    for (uint64_t done = 0; done < size && status == PT_OK; done += page_size) {
        page_size = format_smallest(model->format);
        if (options & PT_ALLOW_HUGE)
            page_size = largest_here(model, vaddr + done, size - done, get_paddr, arg);
        status = conflict(model, format_translated(model->format, vaddr + done), page_size);
    }
    return status;
}

static enum pt_status map_pages(struct model *model, pt_vaddr vaddr, pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr),
                                void *arg, uint64_t size, pt_flags flags, unsigned options)
{
    struct model_page *pages = NULL;
    size_t count = 0;
    size_t room = 0;
    enum pt_status status = why_not(model, vaddr, get_paddr, arg, size, options);

    if (status != PT_OK)
        return status;
    for (uint64_t done = 0; done < size;) {
        uint64_t where = format_translated(model->format, vaddr + done);
        uint64_t page_size = format_smallest(model->format);

        if (options & PT_ALLOW_HUGE)
            page_size = largest_here(model, vaddr + done, size - done, get_paddr, arg);
        if (count == room) {
            room = 2 * room + 16;
            pages = realloc(pages, room * sizeof(*pages));
            assert_non_null(pages);
        }
        pages[count++] = (struct model_page){where, page_size, get_paddr(arg, vaddr + done),
                                             format_reads_back(model->format, flags)};
        done += page_size;
    }
    note_half(model, vaddr, size);
    insert_pages(model, pages, count);
    free(pages);
    return PT_OK;
}

enum pt_status model_map_region(struct model *model, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,
                                unsigned options)
{
    struct run run = {vaddr, paddr};
    uint64_t smallest = format_smallest(model->format);

    if (size == 0)
        return PT_OK;
    if (!flags_are_good(flags) || !options_are_good(options))
        return PT_BAD_FLAGS;
    if (!is_aligned(vaddr, smallest) || !is_aligned(paddr, smallest) || !is_aligned(size, smallest))
        return PT_NOT_ALIGNED;
    if (!region_is_good(model, vaddr, size) || !paddr_is_good(model, paddr, size))
        return PT_BAD_ADDRESS;
    return map_pages(model, vaddr, paddr_in_run, &run, size, flags, options);
}

enum pt_status model_map_region_with(struct model *model, pt_vaddr vaddr,
                                     pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg, uint64_t size,
                                     pt_flags flags, unsigned options)
{
    uint64_t smallest = format_smallest(model->format);
    enum pt_status status = PT_OK;

    if (size == 0)
        return PT_OK;
    if (!flags_are_good(flags) || !options_are_good(options))
        return PT_BAD_FLAGS;
    if (!is_aligned(vaddr, smallest) || !is_aligned(size, smallest))
        return PT_NOT_ALIGNED;
    if (!region_is_good(model, vaddr, size))
        return PT_BAD_ADDRESS;
    for (uint64_t done = 0; done < size && status == PT_OK; done += smallest) {
        if (!is_aligned(get_paddr(arg, vaddr + done), smallest))
            status = PT_NOT_ALIGNED;
        else if (!paddr_is_good(model, get_paddr(arg, vaddr + done), smallest))
            status = PT_BAD_ADDRESS;
    }
    if (status == PT_OK)
        return map_pages(model, vaddr, get_paddr, arg, size, flags, options);
    model->as_good = why_not(model, vaddr, get_paddr, arg, size, options);
    return status;
}

/* ---- The page that holds an address ---------------------------------------------------------------- */

bool model_is_borrowed(const struct model *model, pt_vaddr vaddr)
{
    return is_borrowed(model, format_translated(model->format, vaddr));
}

bool model_is_lent(const struct model *model, pt_vaddr vaddr)
{
    return model->slots[slot_of(model, format_translated(model->format, vaddr))].lent;
}

static enum pt_status own_page(const struct model *model, pt_vaddr vaddr, struct model_page **page)
{
    uint64_t where = format_translated(model->format, vaddr);

    if (!format_is_canonical(model->format, vaddr))
        return PT_BAD_ADDRESS;
    if (is_borrowed(model, where))
        return PT_SHARED;
    *page = first_page_in(model, where, 1);
    return *page ? PT_OK : PT_NOT_MAPPED;
}

enum pt_status model_unmap(struct model *model, pt_vaddr vaddr, struct pt_mapping *old)
{
    struct model_page *page;
    enum pt_status status = own_page(model, vaddr, &page);

    if (status != PT_OK)
        return status;
    *old = (struct pt_mapping){page->paddr, page->size, page->flags};
    remove_pages(model, (size_t)(page - model->pages), 1);
    return PT_OK;
}

enum pt_status model_protect(struct model *model, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size)
{
    struct model_page *page;
    enum pt_status status;

    if (!flags_are_good(flags))
        return PT_BAD_FLAGS;
    status = own_page(model, vaddr, &page);
    if (status != PT_OK)
        return status;
    page->flags = format_reads_back(model->format, flags);
    *page_size = page->size;
    return PT_OK;
}

enum pt_status model_remap(struct model *model, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t *page_size)
{
    struct model_page *page;
    enum pt_status status;

    if (!flags_are_good(flags))
        return PT_BAD_FLAGS;
    status = own_page(model, vaddr, &page);
    if (status != PT_OK)
        return status;
    /* How paddr must be aligned is known only now. */
    if (!is_aligned(paddr, page->size))
        return PT_NOT_ALIGNED;
    if (!paddr_is_good(model, paddr, page->size))
        return PT_BAD_ADDRESS;
    page->paddr = paddr;
    page->flags = format_reads_back(model->format, flags);
    *page_size = page->size;
    return PT_OK;
}

enum pt_status model_query(const struct model *model, pt_vaddr vaddr, struct pt_mapping *out)
{
    uint64_t where = format_translated(model->format, vaddr);
    const struct model_page *page;

    if (!format_is_canonical(model->format, vaddr))
        return PT_BAD_ADDRESS;
    page = visible_page(model, where);
    if (!page)
        return PT_NOT_MAPPED;
    *out = (struct pt_mapping){page->paddr + (where - page->where), page->size, page->flags};
    return PT_OK;
}

/* ---- Regions of what is there ---------------------------------------------------------------------- */

/* The page at `index` becomes pages of the next smaller size, which translate alike. */
static void split_page(struct model *model, size_t index)
{
    const struct model_page page = model->pages[index];
    uint64_t size = format_smaller(model->format, page.size);
    size_t count = (size_t)(page.size / size);
    struct model_page *pages = calloc(count, sizeof(*pages));

    assert_non_null(pages);
    for (size_t i = 0; i < count; i++)
        pages[i] = (struct model_page){page.where + i * size, size, page.paddr + i * size, page.flags};
    remove_pages(model, index, 1);
    insert_pages(model, pages, count);
    free(pages);
}

/* Split what lies across `where`, level by level, until a page begins there (or none is there). */
static void split_across(struct model *model, uint64_t where)
{
    for (;;) {
        const struct model_page *page = first_page_in(model, where, 1);

        if (!page || page->where == where)
            return;
        split_page(model, (size_t)(page - model->pages));
    }
}

/* Check a region to be unmapped or protected, and make page boundaries of its ends; *index and *count are its pages. */
static enum pt_status pages_of_region(struct model *model, pt_vaddr vaddr, uint64_t size, unsigned options,
                                      size_t *index, size_t *count)
{
    uint64_t smallest = format_smallest(model->format);
    uint64_t where = format_translated(model->format, vaddr);
    uint64_t last = where + (size - 1);

    if (!is_aligned(vaddr, smallest) || !is_aligned(size, smallest))
        return PT_NOT_ALIGNED;
    if (!region_is_good(model, vaddr, size))
        return PT_BAD_ADDRESS;

    for (uint64_t at = where; at <= last && at >= where;) {
        const struct model_page *page = first_page_in(model, at, 1);
        uint64_t next_slot = (at / slot_size(model) + 1) * slot_size(model);

        if (is_borrowed(model, at))
            return PT_SHARED;
        if (page) {
            if ((options & PT_NO_SPLIT) && (page->where < where || page->where + (page->size - 1) > last))
                return PT_MAPPED_TO_HUGE_PAGE;
            at = page->where + page->size;
            continue;
        }
        if (!(options & PT_SKIP_HOLES))
            return PT_NOT_MAPPED;
        page = first_page_in(model, at, next_slot - at);
        at = page ? page->where : next_slot;
    }

    split_across(model, where);
    split_across(model, last + 1);
    *index = first_page_after(model, where);
    for (*count = 0; *index + *count < model->count && model->pages[*index + *count].where <= last;)
        ++*count;
    return PT_OK;
}

enum pt_status model_unmap_region(struct model *model, pt_vaddr vaddr, uint64_t size, unsigned options)
{
    size_t index;
    size_t count;
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    if (!options_are_good(options))
        return PT_BAD_FLAGS;
    status = pages_of_region(model, vaddr, size, options, &index, &count);
    if (status == PT_OK)
        remove_pages(model, index, count);
    return status;
}

enum pt_status model_protect_region(struct model *model, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                    unsigned options)
{
    size_t index;
    size_t count;
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    if (!flags_are_good(flags) || !options_are_good(options))
        return PT_BAD_FLAGS;
    status = pages_of_region(model, vaddr, size, options, &index, &count);
    for (size_t i = 0; status == PT_OK && i < count; i++)
        model->pages[index + i].flags = format_reads_back(model->format, flags);
    return status;
}

/* ---- Other page sizes ------------------------------------------------------------------------------ */

enum pt_status model_split(struct model *model, pt_vaddr vaddr, uint64_t page_size)
{
    struct model_page *page;
    enum pt_status status;

    if (page_size == 0 || (page_size & (page_size - 1)) != 0 || (page_size & model->format->page_sizes) == 0)
        return PT_BAD_SIZE;
    while ((status = own_page(model, vaddr, &page)) == PT_OK && page->size > page_size)
        split_page(model, (size_t)(page - model->pages));
    return status;
}

/* What is asked of a region whose pages may change their size, or whose tables may go; its size is not 0. */
static enum pt_status check_own_region(const struct model *model, pt_vaddr vaddr, uint64_t size)
{
    uint64_t smallest = format_smallest(model->format);
    size_t last;

    if (!is_aligned(vaddr, smallest) || !is_aligned(size, smallest))
        return PT_NOT_ALIGNED;
    if (!region_is_good(model, vaddr, size))
        return PT_BAD_ADDRESS;
    last = slot_of(model, format_translated(model->format, vaddr + (size - 1)));
    for (size_t i = slot_of(model, format_translated(model->format, vaddr)); i <= last; i++)
        if (model->slots[i].owner)
            return PT_SHARED;
    return PT_OK;
}

/* The pages from `index` on are, together, one page of `size`. */
static bool is_larger_page(const struct model *model, size_t index, uint64_t size)
{
    const struct model_page *first = &model->pages[index];
    size_t count = (size_t)(size / first->size);

    if (!is_aligned(first->where, size) || !is_aligned(first->paddr, size) || count > model->count - index)
        return false;
    for (size_t i = 1; i < count; i++)
        if (first[i].where != first->where + i * first->size || first[i].size != first->size ||
            first[i].paddr != first->paddr + i * first->size || first[i].flags != first->flags)
            return false;
    return true;
}

enum pt_status model_collapse(struct model *model, pt_vaddr vaddr, uint64_t size)
{
    uint64_t where = format_translated(model->format, vaddr);
    uint64_t last = where + (size - 1);
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_own_region(model, vaddr, size);
    if (status != PT_OK)
        return status;
    FOR_EACH_PAGE_SIZE(small, model->format) {
        uint64_t large = format_larger(model->format, small);
        size_t to = first_page_after(model, where);
        size_t from = to;

        if (large == 0)
            break;
        /* in place: what is kept moves down over what has become one page */
        while (from < model->count) {
            struct model_page page = model->pages[from];
            bool in_region = page.where >= where && page.where + (large - 1) <= last;
            /* the table that was lent stays */
            bool stays = large >= format_entry_size(model->format, 0) && model->slots[slot_of(model, page.where)].lent;

            if (page.size == small && in_region && !stays && is_larger_page(model, from, large)) {
                from += (size_t)(large / small);
                page.size = large;
            } else {
                from++;
            }
            model->pages[to++] = page;
        }
        model->count = to;
    }
    return PT_OK;
}

enum pt_status model_prune(const struct model *model, pt_vaddr vaddr, uint64_t size)
{
    return size == 0 ? PT_OK : check_own_region(model, vaddr, size);
}

size_t model_tables(const struct model *model)
{
    size_t tables = 0;

    /* A table of each level, but the root's, for each run of pages that are smaller than the entry that leads to it. */
    for (unsigned level = 1; level < model->format->levels; level++) {
        uint64_t span = format_entry_size(model->format, level - 1);
        bool any = false;
        uint64_t latest = 0;

        for (size_t i = 0; i < model->count; i++) {
            if (model->pages[i].size >= span || (any && model->pages[i].where / span == latest))
                continue;
            any = true;
            latest = model->pages[i].where / span;
            tables++;
        }
    }
    /* What was lent stays, with nothing in it, too. */
    for (size_t i = 0; i < PT_ROOT_SLOTS; i++)
        if (model->slots[i].lent && !first_page_in(model, i * slot_size(model), slot_size(model)))
            tables++;
    return tables;
}

/* ---- Sharing --------------------------------------------------------------------------------------- */

enum pt_status model_copy_from(struct model *model, struct model *source, pt_vaddr vaddr, uint64_t size)
{
    uint64_t unit = slot_size(model);
    uint64_t where = format_translated(model->format, vaddr);

    if (size == 0)
        return PT_OK;
    if (model->format != source->format)
        return PT_BAD_FORMAT;
    if (!is_aligned(vaddr, unit) || !is_aligned(size, unit))
        return PT_NOT_ALIGNED;
    if (!region_is_good(model, vaddr, size))
        return PT_BAD_ADDRESS;
    for (uint64_t done = 0; done < size; done += unit)
        if (!is_borrowed(model, where + done) && first_page_in(model, where + done, unit))
            return PT_ALREADY_MAPPED;

    for (uint64_t done = 0; done < size; done += unit) {
        struct model_slot *slot = &model->slots[slot_of(model, where + done)];
        struct model_slot *theirs = &source->slots[slot_of(source, where + done)];
        const struct model_page *page = visible_page(source, where + done);

        slot->owner = theirs->owner ? theirs->owner : source;
        slot->frozen = false;
        if (theirs->frozen || (page && page->size >= unit)) {
            slot->frozen = true;
            slot->page = *page;
        } else {
            theirs->lent = true;
        }
    }
    note_half(model, vaddr, size);
    return PT_OK;
}

/* ---- Everything ------------------------------------------------------------------------------------ */

struct model_page *model_all(const struct model *model, size_t *count)
{
    struct model_page *all = NULL;
    size_t room = 0;

    *count = 0;
    for (size_t i = 0; i < PT_ROOT_SLOTS; i++) {
        const struct model_slot *slot = &model->slots[i];
        const struct model *owner = slot->owner ? slot->owner : model;
        uint64_t first = i * slot_size(model);
        const struct model_page *page = slot->frozen ? &slot->page : first_page_in(owner, first, slot_size(model));

        for (; page && page->where / slot_size(model) == i; page++) {
            if (*count == room) {
                room = 2 * room + 64;
                all = realloc(all, room * sizeof(*all));
                assert_non_null(all);
            }
            all[(*count)++] = *page;
            if (slot->frozen || page + 1 == owner->pages + owner->count)
                break;
        }
    }
    return all;
}

pt_vaddr model_canonical(const struct model *model, uint64_t where)
{
    bool upper = model->slots[slot_of(model, where)].upper;

    if (model->format->address_space == PT_SIGN_EXTENDED)
        upper = where > format_lower_last(model->format);
    return upper ? where | format_upper_first(model->format) : where;
}
