/* SPDX-License-Identifier: MIT */
#include "tiny_model.h"

static unsigned slot(unsigned page)
{
    return page / geometry.slot_pages;
}

static unsigned root_entry(unsigned page)
{
    return page / geometry.pages_of[0];
}

static bool is_borrowed(const struct world *world, unsigned t, unsigned page)
{
    return world->borrowed[t] & 1u << slot(page);
}

static bool any_is_borrowed(const struct world *world, unsigned t, unsigned first, unsigned count)
{
    for (unsigned page = first; page < first + count; page++)
        if (is_borrowed(world, t, page))
            return true;
    return false;
}

static bool sort_exists(unsigned sort)
{
    return geometry.format->page_sizes & (uint64_t)geometry.sorts[sort].pages * PT_FRAME_SIZE;
}

static unsigned first_of(const struct page *page, unsigned number)
{
    return number - number % pages_in(page);
}

/* The region lies in one half, which has no hole and does not wrap. */
static bool region_is_good(unsigned first, unsigned count)
{
    unsigned half = geometry.pages / 2;

    if (first + count > geometry.pages)
        return false;
    return geometry.format->address_space != PT_SIGN_EXTENDED || (first < half) == (first + count - 1 < half);
}

unsigned scattered_frame(unsigned delta, unsigned page)
{
    /* Every other pair of pages lies elsewhere. */
    return page + ((page / geometry.pages_of[geometry.levels - 2]) % 2 ? delta : 0);
}

void world_of(const struct shape *shapes, struct world *world)
{
    memset(world, 0, sizeof(*world));
    for (unsigned t = 0; t < geometry.tables; t++) {
        pages_of_shape(shapes, t, world->pages[t]);
        world->borrowed[t] = shapes[t].borrowed;
        world->lent[t] = shapes[t].lent;
        world->upper[t] = shapes[t].upper;
        for (unsigned i = 0; i < geometry.root_entries; i++) {
            if ((shapes[t].lent & 1u << (i >> geometry.slot_shift)) && shapes[t].cell[i] == CELL_TABLE)
                world->lent_table[t] |= (uint16_t)(1u << i);
            if ((shapes[t].borrowed & 1u << (i >> geometry.slot_shift)) && shapes[t].cell[i] != CELL_TABLE)
                world->borrowed_leaf[t] |= (uint16_t)(1u << i);
        }
    }
}

/* Who borrowed a table sees what its owner does. */
static void show_to_borrowers(struct world *world, unsigned t)
{
    unsigned other = 1 - t;

    for (unsigned page = 0; page < geometry.pages; page++)
        if (is_borrowed(world, other, page) && !(world->borrowed_leaf[other] & 1u << root_entry(page)))
            world->pages[other][page] = world->pages[t][page];
}

static void note_half(struct world *world, const struct operation *operation)
{
    if (geometry.format->address_space != PT_EITHER_HALF)
        return;
    for (unsigned i = slot(operation->first); i <= slot(operation->first + operation->count - 1); i++)
        world->upper[operation->t] =
            (uint16_t)((world->upper[operation->t] & ~(1u << i)) | (operation->upper ? 1u << i : 0));
}

/* ---- Mapping ---------------------------------------------------------------------------------------- */

static enum pt_status conflict(const struct world *world, unsigned t, unsigned first, unsigned sort)
{
    unsigned pages = geometry.sorts[sort].pages;

    if (is_borrowed(world, t, first))
        return PT_SHARED;
    for (unsigned page = first; page < first + pages; page++) {
        bool ends_entry = (page + 1) % geometry.pages_of[0] == 0;

        if (world->pages[t][page].mapped)
            return pages_in(&world->pages[t][page]) > pages ? PT_MAPPED_TO_HUGE_PAGE : PT_ALREADY_MAPPED;
        if (geometry.sorts[sort].level == 0 && ends_entry && (world->lent_table[t] & 1u << root_entry(page)))
            return PT_SHARED;
    }
    return PT_OK;
}

/* Where a root entry comes to lead to a table. */
static void note_table(struct world *world, unsigned t, unsigned page)
{
    if (world->lent[t] & 1u << slot(page))
        world->lent_table[t] |= (uint16_t)(1u << root_entry(page));
}

static void put_page(struct world *world, unsigned t, unsigned first, unsigned sort, unsigned frame, pt_flags flags)
{
    if (geometry.sorts[sort].level > 0)
        note_table(world, t, first);
    for (unsigned i = 0; i < geometry.sorts[sort].pages; i++)
        world->pages[t][first + i] = (struct page){.mapped = true,
                                                   .level = (uint8_t)geometry.sorts[sort].level,
                                                   .group = (uint8_t)geometry.sorts[sort].group,
                                                   .frame = (uint8_t)(frame + i),
                                                   .flags = flags};
}

static unsigned frame_for(const struct operation *operation, unsigned page)
{
    return operation->kind == MAP_REGION_WITH ? scattered_frame(operation->delta, page) : page + operation->delta;
}

static bool is_contiguous(const struct operation *operation, unsigned page, unsigned pages)
{
    for (unsigned i = 0; i < pages; i++)
        if (frame_for(operation, page + i) != frame_for(operation, page) + i)
            return false;
    return true;
}

/* A page of this sort would take the place of a table that was lent. */
static bool replaces_lent(const struct world *world, const struct operation *operation, unsigned page, unsigned sort)
{
    for (unsigned i = 0; i < geometry.sorts[sort].pages && geometry.sorts[sort].level == 0; i++)
        if (world->lent_table[operation->t] & 1u << root_entry(page + i))
            return true;
    return false;
}

static unsigned largest_here(const struct world *world, const struct operation *operation, unsigned page)
{
    unsigned sort = 0, end = operation->first + operation->count, pages;

    if (!(operation->options & PT_ALLOW_HUGE))
        return geometry.sort_count - 1;
    while (pages = geometry.sorts[sort].pages,
           !sort_exists(sort) || page % pages != 0 || frame_for(operation, page) % pages != 0 || page + pages > end ||
               !is_contiguous(operation, page, pages) || replaces_lent(world, operation, page, sort))
        sort++;
    return sort;
}

static enum pt_status map_region(struct world *world, const struct operation *operation)
{
    unsigned end = operation->first + operation->count, sort;

    if (!region_is_good(operation->first, operation->count))
        return PT_BAD_ADDRESS;
    for (unsigned page = operation->first; page < end; page += geometry.sorts[sort].pages) {
        enum pt_status status = conflict(world, operation->t, page, sort = largest_here(world, operation, page));

        if (status != PT_OK)
            return status;
    }
    for (unsigned page = operation->first; page < end; page += geometry.sorts[sort].pages) {
        sort = largest_here(world, operation, page);
        put_page(world, operation->t, page, sort, frame_for(operation, page), operation->flags);
    }
    note_half(world, operation);
    return PT_OK;
}

static enum pt_status map(struct world *world, const struct operation *operation)
{
    unsigned pages = geometry.sorts[operation->sort].pages;
    enum pt_status status;

    if (!sort_exists(operation->sort))
        return PT_BAD_SIZE;
    if (operation->first % pages != 0 || (operation->first + operation->delta) % pages != 0)
        return PT_NOT_ALIGNED;
    status = conflict(world, operation->t, operation->first, operation->sort);
    if (status != PT_OK)
        return status;
    put_page(world, operation->t, operation->first, operation->sort, operation->first + operation->delta,
             operation->flags);
    note_half(world, operation);
    return PT_OK;
}

/* ---- Other sizes ------------------------------------------------------------------------------------ */

static void split_once(struct world *world, unsigned t, unsigned page)
{
    const struct page old = world->pages[t][page];
    unsigned first = first_of(&old, page);

    for (unsigned i = 0; i < pages_in(&old); i++) {
        struct page *part = &world->pages[t][first + i];

        if (old.group == 0 && part->level++ == 0)
            note_table(world, t, first);
        part->group = (uint8_t)(old.group == 0 ? geometry.group[part->level] : 0);
    }
}

static void split_at(struct world *world, unsigned t, unsigned boundary)
{
    if (boundary == geometry.pages)
        return;
    while (world->pages[t][boundary].mapped && boundary % pages_in(&world->pages[t][boundary]) != 0)
        split_once(world, t, boundary);
}

static enum pt_status split(struct world *world, const struct operation *operation)
{
    const struct page *page = &world->pages[operation->t][operation->first];

    if (!sort_exists(operation->sort))
        return PT_BAD_SIZE;
    if (is_borrowed(world, operation->t, operation->first))
        return PT_SHARED;
    if (!page->mapped)
        return PT_NOT_MAPPED;
    while (pages_in(page) > geometry.sorts[operation->sort].pages)
        split_once(world, operation->t, operation->first);
    return PT_OK;
}

/* What stands there, in a table of its own or as single entries of one, becomes a page of this sort. */
static void collapse_block(struct world *world, unsigned t, unsigned first, unsigned sort)
{
    struct page *pages = &world->pages[t][first];
    unsigned level = geometry.sorts[sort].level, group = geometry.sorts[sort].group;
    pt_flags recorded = 0;

    if (group == 0 && level == 0 && (world->lent[t] & 1u << slot(first)))
        return;
    for (unsigned i = 0; i < geometry.sorts[sort].pages; i++) {
        bool is_part = group == 0 ? pages[i].level == level + 1 : pages[i].level == level && pages[i].group == 0;

        if (!pages[i].mapped || !is_part || pages[i].frame != pages[0].frame + i ||
            ((pages[i].flags ^ pages[0].flags) & PT_ALL_FLAGS) != 0)
            return;
        recorded |= pages[i].flags & RECORDED;
    }
    if (pages[0].frame % geometry.sorts[sort].pages == 0)
        put_page(world, t, first, sort, pages[0].frame, pages[0].flags | recorded);
}

static enum pt_status collapse(struct world *world, const struct operation *operation)
{
    unsigned end = operation->first + operation->count;

    if (!region_is_good(operation->first, operation->count))
        return PT_BAD_ADDRESS;
    if (any_is_borrowed(world, operation->t, operation->first, operation->count))
        return PT_SHARED;
    /* From the smallest up; a table that becomes one page has no groups any more. */
    for (unsigned sort = geometry.sort_count; sort-- > 0;) {
        unsigned pages = geometry.sorts[sort].pages;

        if (sort_exists(sort) && (geometry.sorts[sort].level != geometry.levels - 1 || geometry.sorts[sort].group != 0))
            for (unsigned page = 0; page < geometry.pages; page += pages)
                if (page >= operation->first && page + pages <= end)
                    collapse_block(world, operation->t, page, sort);
    }
    return PT_OK;
}

/* ---- What is there ---------------------------------------------------------------------------------- */

static enum pt_status change_page(struct world *world, const struct operation *operation, struct page *old)
{
    struct page *page = &world->pages[operation->t][operation->first];
    unsigned first, pages;

    if (is_borrowed(world, operation->t, operation->first))
        return PT_SHARED;
    if (!page->mapped)
        return PT_NOT_MAPPED;
    first = first_of(page, operation->first);
    pages = pages_in(page);
    *old = world->pages[operation->t][first];
    if (operation->kind == REMAP && (first + operation->delta) % pages != 0)
        return PT_NOT_ALIGNED;
    for (unsigned i = 0; i < pages; i++) {
        page = &world->pages[operation->t][first + i];
        if (operation->kind == UNMAP)
            *page = (struct page){.mapped = false};
        else
            page->flags = operation->flags | (operation->kind == PROTECT ? page->flags & RECORDED : 0);
        if (operation->kind == REMAP)
            page->frame = (uint8_t)(first + i + operation->delta);
    }
    return PT_OK;
}

static enum pt_status change_region(struct world *world, const struct operation *operation)
{
    unsigned end = operation->first + operation->count, pages;
    struct page *all = world->pages[operation->t];

    if (!region_is_good(operation->first, operation->count))
        return PT_BAD_ADDRESS;
    for (unsigned page = operation->first; page < end; page += pages) {
        pages = all[page].mapped ? pages_in(&all[page]) - page % pages_in(&all[page]) : 1;
        if (is_borrowed(world, operation->t, page))
            return PT_SHARED;
        if (!all[page].mapped && !(operation->options & PT_SKIP_HOLES))
            return PT_NOT_MAPPED;
        if (all[page].mapped && (operation->options & PT_NO_SPLIT) &&
            (page % pages_in(&all[page]) != 0 || page + pages > end))
            return PT_MAPPED_TO_HUGE_PAGE;
    }
    split_at(world, operation->t, operation->first);
    split_at(world, operation->t, end);
    for (unsigned page = operation->first; page < end; page++) {
        if (operation->kind == UNMAP_REGION)
            all[page] = (struct page){.mapped = false};
        else if (all[page].mapped)
            all[page].flags = operation->flags | (all[page].flags & RECORDED);
    }
    return PT_OK;
}

static enum pt_status clear_recorded(struct world *world, const struct operation *operation, pt_flags recorded)
{
    struct page *all = world->pages[operation->t];

    if (!geometry.format->tracks_access)
        return PT_BAD_FORMAT;
    if (!region_is_good(operation->first, operation->count))
        return PT_BAD_ADDRESS;
    if (any_is_borrowed(world, operation->t, operation->first, operation->count))
        return PT_SHARED;
    for (unsigned page = operation->first; page < operation->first + operation->count; page++) {
        unsigned first = first_of(&all[page], page);

        for (unsigned i = 0; all[page].mapped && i < pages_in(&all[page]); i++)
            all[first + i].flags &= ~recorded;
    }
    return PT_OK;
}

static enum pt_status touch(struct world *world, const struct operation *operation)
{
    struct page *all = world->pages[operation->t];
    const struct page *page = &all[operation->first];
    bool write = operation->kind == HARDWARE_WRITES;
    unsigned first = first_of(page, operation->first);

    if (!page->mapped || !(page->flags & (write ? PT_WRITE : RIGHTS)))
        return PT_OK;
    for (unsigned i = 0; i < pages_in(page); i++)
        all[first + i].flags |= write ? RECORDED : PT_ACCESSED;
    return PT_OK;
}

/* ---- Sharing ---------------------------------------------------------------------------------------- */

static enum pt_status copy_from(struct world *world, const struct operation *operation)
{
    unsigned t = operation->t, source = 1 - t;
    unsigned from = root_entry(operation->first), to = root_entry(operation->first + operation->count - 1);

    if (operation->first % geometry.slot_pages != 0 || operation->count % geometry.slot_pages != 0)
        return PT_NOT_ALIGNED;
    if (!region_is_good(operation->first, operation->count))
        return PT_BAD_ADDRESS;
    for (unsigned i = from; i <= to; i++) {
        if (world->borrowed[t] & 1u << (i >> geometry.slot_shift))
            continue;
        for (unsigned page = 0; page < geometry.pages_of[0]; page++)
            if (world->pages[t][i * geometry.pages_of[0] + page].mapped)
                return PT_ALREADY_MAPPED;
        if (world->lent[t] & 1u << (i >> geometry.slot_shift))
            return PT_SHARED;
    }
    for (unsigned i = from; i <= to; i++) {
        const struct page *page = &world->pages[source][i * geometry.pages_of[0]];
        bool leaf = page->mapped && page->level == 0;

        for (unsigned j = 0; j < geometry.pages_of[0]; j++)
            world->pages[t][i * geometry.pages_of[0] + j] = page[j];
        world->borrowed[t] |= (uint16_t)(1u << (i >> geometry.slot_shift));
        world->borrowed_leaf[t] = (uint16_t)((world->borrowed_leaf[t] & ~(1u << i)) | (leaf ? 1u << i : 0));
        if (!leaf)
            world->lent[source] |= (uint16_t)(1u << (i >> geometry.slot_shift));
    }
    for (unsigned i = from; i <= to; i++)
        if ((world->lent[source] & 1u << (i >> geometry.slot_shift)) && !(world->borrowed_leaf[t] & 1u << i))
            world->lent_table[source] |= (uint16_t)(1u << i);
    note_half(world, operation);
    return PT_OK;
}

static enum pt_status apply(struct world *world, const struct operation *operation, struct page *old)
{
    switch (operation->kind) {
    case MAP:
        return map(world, operation);
    case UNMAP:
    case PROTECT:
    case REMAP:
        return change_page(world, operation, old);
    case MAP_REGION:
    case MAP_REGION_WITH:
        return map_region(world, operation);
    case UNMAP_REGION:
    case PROTECT_REGION:
        return change_region(world, operation);
    case SPLIT:
        return split(world, operation);
    case COLLAPSE:
        return collapse(world, operation);
    case PRUNE:
        if (!region_is_good(operation->first, operation->count))
            return PT_BAD_ADDRESS;
        return any_is_borrowed(world, operation->t, operation->first, operation->count) ? PT_SHARED : PT_OK;
    case COPY_FROM:
        return copy_from(world, operation);
    case CLEAR_ACCESSED:
        return clear_recorded(world, operation, PT_ACCESSED);
    case CLEAR_DIRTY:
        return clear_recorded(world, operation, PT_DIRTY);
    case HARDWARE_READS:
    case HARDWARE_WRITES:
        return touch(world, operation);
    }
    return PT_OK;
}

enum pt_status world_apply(struct world *world, const struct operation *operation, struct page *old)
{
    enum pt_status status = apply(world, operation, old);

    if (geometry.tables > 1)
        show_to_borrowers(world, operation->t);
    return status;
}
