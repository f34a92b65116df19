/* SPDX-License-Identifier: MIT */
#include "model.h"

void model_init(struct model *model, const struct pt_format *format)
{
    *model = (struct model){.format = format,
                            .entry_count = format_root_entries(format),
                            .slot_size = format_copy_unit(format),
                            .entry_size = format_entry_size(format, 0)};
    model->entries = calloc(model->entry_count, sizeof(*model->entries));
    assert_non_null(model->entries);
}

void model_end(struct model *model)
{
    free(model->pages);
    free(model->entries);
    *model = (struct model){.format = model->format};
}

struct model model_save(const struct model *model)
{
    struct model saved = *model;

    saved.room = model->count;
    saved.pages = calloc(model->count + 1, sizeof(*saved.pages));
    saved.entries = calloc(model->entry_count, sizeof(*saved.entries));
    assert_non_null(saved.pages);
    assert_non_null(saved.entries);
    if (model->count > 0)
        memcpy(saved.pages, model->pages, model->count * sizeof(*saved.pages));
    memcpy(saved.entries, model->entries, model->entry_count * sizeof(*saved.entries));
    return saved;
}

void model_restore(struct model *model, struct model *saved)
{
    model_end(model);
    *model = *saved;
    *saved = (struct model){.format = model->format};
}

/* ---- Slots and pages ----------------------------------------------------------------------------- */

static size_t slot_of(const struct model *model, uint64_t where)
{
    return (size_t)(where / model->slot_size);
}

static struct model_entry *entry_of(const struct model *model, uint64_t where)
{
    return &model->entries[where / model->entry_size];
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
    for (size_t i = 0; i < count; i++)
        if (pages[i].size < model->entry_size && model->slots[slot_of(model, pages[i].where)].lent)
            entry_of(model, pages[i].where)->stays = true;
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
    const struct model *owner = model->slots[slot_of(model, where)].owner;

    if (entry_of(model, where)->frozen)
        return &entry_of(model, where)->page;
    return first_page_in(owner ? owner : model, where, 1);
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

/* A page of this size would take the place of a table that stays. */
static bool replaces_what_stays(const struct model *model, uint64_t where, uint64_t size)
{
    uint64_t entry = model->entry_size;

    for (uint64_t done = 0; done + entry <= size; done += entry)
        if (entry_of(model, where + done)->stays)
            return true;
    return false;
}

/* Why a page of this size cannot be mapped here: what is met first, root entry by root entry. */
static enum pt_status conflict(const struct model *model, uint64_t where, uint64_t size)
{
    const struct model_page *there;

    if (is_borrowed(model, where))
        return PT_SHARED;
    there = first_page_in(model, where, size);
    if (!there)
        return replaces_what_stays(model, where, size) ? PT_SHARED : PT_OK;
    if (there->size > size)
        return PT_MAPPED_TO_HUGE_PAGE;
    return replaces_what_stays(model, where, there->where - where) ? PT_SHARED : PT_ALREADY_MAPPED;
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

        if (size > rest || !is_aligned(vaddr, size) || !is_aligned(paddr, size) ||
            replaces_what_stays(model, format_translated(model->format, vaddr), size))
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
    flags = format_reads_back(model->format, flags);
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
        pages[count++] = (struct model_page){where, page_size, get_paddr(arg, vaddr + done), flags};
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

bool model_table_stays(const struct model *model, pt_vaddr vaddr)
{
    return entry_of(model, format_translated(model->format, vaddr))->stays;
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
    size_t next;

    if (!is_aligned(vaddr, smallest) || !is_aligned(size, smallest))
        return PT_NOT_ALIGNED;
    if (!region_is_good(model, vaddr, size))
        return PT_BAD_ADDRESS;

    next = first_page_after(model, where);
    for (uint64_t at = where; at <= last && at >= where;) {
        const struct model_page *page = next < model->count ? &model->pages[next] : NULL;
        uint64_t next_slot = (at / model->slot_size + 1) * model->slot_size;

        if (is_borrowed(model, at))
            return PT_SHARED;
        if (page && page->where <= at) {
            if ((options & PT_NO_SPLIT) && (page->where < where || page->where + (page->size - 1) > last))
                return PT_MAPPED_TO_HUGE_PAGE;
            at = page->where + page->size;
            next++;
            continue;
        }
        if (!(options & PT_SKIP_HOLES))
            return PT_NOT_MAPPED;
        at = page && page->where < next_slot ? page->where : next_slot;
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
    flags = format_reads_back(model->format, flags);
    for (size_t i = 0; status == PT_OK && i < count; i++)
        model->pages[index + i].flags = flags;
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

            if (page.size == small && in_region && !replaces_what_stays(model, page.where, large) &&
                is_larger_page(model, from, large)) {
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

/* There are pages smaller than `than` in [where, where + size). */
static bool has_smaller(const struct model *model, uint64_t where, uint64_t size, uint64_t than)
{
    for (size_t i = first_page_after(model, where); i < model->count; i++) {
        if (model->pages[i].where > where + (size - 1))
            return false;
        if (model->pages[i].size < than)
            return true;
    }
    return false;
}

size_t model_tables(const struct model *model)
{
    uint64_t entry = model->entry_size;
    size_t beside = format_tables_in_frame(model->format);
    size_t tables = 0;

    /* One of each level, but the root's, for each run of pages that are smaller than the entry that leads to it. */
    for (unsigned level = 1; level < model->format->levels; level++) {
        uint64_t size = format_entry_size(model->format, level - 1), span = beside * size;
        bool any = false;
        uint64_t latest = 0;

        for (size_t i = 0; i < model->count; i++) {
            if (model->pages[i].size >= size || (any && model->pages[i].where / span == latest))
                continue;
            any = true;
            latest = model->pages[i].where / span;
            tables++;
        }
    }
    /* What stays with nothing in it. */
    for (size_t i = 0; i < model->entry_count; i += beside) {
        bool stays = false;

        for (size_t j = i; j < i + beside && j < model->entry_count; j++)
            stays |= model->entries[j].stays;
        tables += stays && !has_smaller(model, i * entry, beside * entry, entry);
    }
    return tables;
}

/* ---- Sharing --------------------------------------------------------------------------------------- */

/* A huge page is copied as it stands, a table is lent. */
static void copy_entry(struct model *model, struct model *source, uint64_t where)
{
    struct model_entry *entry = entry_of(model, where), *theirs = entry_of(source, where);
    const struct model_page *page = visible_page(source, where);

    entry->frozen = page && page->size >= model->entry_size;
    if (entry->frozen) {
        entry->page = *page;
    } else {
        source->slots[slot_of(source, where)].lent = true;
        theirs->stays = true;
    }
}

enum pt_status model_copy_from(struct model *model, struct model *source, pt_vaddr vaddr, uint64_t size)
{
    uint64_t unit = model->slot_size;
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
        const struct model_slot *theirs = &source->slots[slot_of(source, where + done)];

        slot->owner = theirs->owner ? theirs->owner : source;
        for (uint64_t at = where + done; at < where + done + unit; at += model->entry_size)
            copy_entry(model, source, at);
    }
    note_half(model, vaddr, size);
    return PT_OK;
}

/* ---- Everything ------------------------------------------------------------------------------------ */

struct model_page *model_all(const struct model *model, size_t *count)
{
    const uint64_t size = model->entry_size;
    struct model_page *all = NULL;
    size_t room = 0;

    *count = 0;
    for (size_t i = 0; i < model->entry_count; i++) {
        const struct model_entry *entry = &model->entries[i];
        const struct model *owner = model->slots[slot_of(model, i * size)].owner;
        const struct model *holder = owner ? owner : model;
        const struct model_page *page = entry->frozen ? &entry->page : first_page_in(holder, i * size, size);

        for (; page && page->where < (i + 1) * size; page++) {
            if (*count == room) {
                room = 2 * room + 64;
                all = realloc(all, room * sizeof(*all));
                assert_non_null(all);
            }
            /* a page of several root entries only once */
            if (page->where / size == i)
                all[(*count)++] = *page;
            if (entry->frozen || page + 1 == holder->pages + holder->count)
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
