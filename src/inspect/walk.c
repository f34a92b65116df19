/* SPDX-License-Identifier: MIT */
/* The walk over all entries in use. */
#include "view.h"

/* Where the walk is in each table on its way. */
struct walk {
    const struct page_table *pt;
    unsigned level;
    struct walk_level {
        struct view_table table;
        size_t index;   /* of the entry that is being visited, or comes next */
        size_t visited; /* entries of this table */
        pt_vaddr first; /* translated bits of the table's first address */
        uint64_t above; /* what the entry that led here leaves to it */
        uint64_t bits;  /* of the entry that is being visited */
        bool on_way;    /* to where the walk begins */
    } at[PT_MAX_LEVELS];
};

static bool is_upper(const struct page_table *pt, size_t root_index)
{
    size_t slot = root_index >> pt->measures.slot_shift;

    return (__atomic_load_n(&pt->upper.bits[slot / 32], __ATOMIC_RELAXED) >> (slot % 32)) & 1;
}

static struct pt_visit visit_of(const struct walk *walk)
{
    const struct walk_level *at = &walk->at[walk->level];
    pt_vaddr bits = at->first + ((uint64_t)at->index << view_shift(walk->pt, walk->level));

    return (struct pt_visit){
        .level = walk->level,
        .index = (unsigned)at->index,
        .vaddr = view_canonical(walk->pt, bits, is_upper(walk->pt, walk->at[0].index)),
        .bits = at->bits,
    };
}

/* The table was retired under the walk: the entry that led to it is another one by now. */
static bool was_retired(struct walk *walk)
{
    struct walk_level *above;
    uint64_t bits;

    if (walk->level == 0)
        return false;
    above = &walk->at[walk->level - 1];
    return pt_view_read(walk->pt, &above->table, above->index, &bits) && bits != above->bits;
}

static void enter(struct walk *walk, const struct pt_decoded *entry, pt_vaddr from)
{
    const struct walk_level *at = &walk->at[walk->level];
    struct walk_level *below = &walk->at[walk->level + 1];
    bool on_way = at->on_way && at->index == view_index(walk->pt, from, walk->level);

    *below = (struct walk_level){
        .table = view_table(entry->paddr),
        .index = on_way ? view_index(walk->pt, from, walk->level + 1) : 0,
        .first = at->first + ((uint64_t)at->index << view_shift(walk->pt, walk->level)),
        .above = entry->seen,
        .on_way = on_way,
    };
    walk->level++;
}

/* Visits the entry, and returns how many there are in it; 0: stop. */
static size_t visit_leaf(struct walk *walk, const struct pt_decoded *leaf, pt_visitor pre, pt_visitor post, void *arg)
{
    struct walk_level *at = &walk->at[walk->level];
    struct pt_mapping page = pt_view_page(walk->pt, &at->table, walk->level, at->index, at->above, leaf);
    size_t entries = (size_t)(page.page_size >> view_shift(walk->pt, walk->level));
    struct pt_visit visit;

    at->index &= ~(entries - 1);
    visit = visit_of(walk);
    visit.is_leaf = true;
    visit.mapping = page;
    return (!pre || pre(arg, &visit)) && (!post || post(arg, &visit)) ? entries : 0;
}

void pt_walk_from(const struct page_table *pt, pt_vaddr from, size_t limit, pt_visitor pre, pt_visitor post, void *arg)
{
    struct walk walk = {.pt = pt,
                        .at = {{.table = view_table(pt->root), .index = view_index(pt, from, 0), .on_way = true}}};

    for (;;) {
        struct walk_level *at = &walk.at[walk.level];
        struct pt_decoded entry;
        struct pt_visit visit;
        size_t entries;

        if (at->index >= view_entries(pt, walk.level) || at->visited == limit) {
            /* This table is done, and with it the entry that led here. */
            if (walk.level == 0)
                return;
            at = &walk.at[--walk.level];
            visit = visit_of(&walk);
            if (post && !post(arg, &visit))
                return;
            at->index++;
            continue;
        }

        if (!pt_view_read(pt, &at->table, at->index, &at->bits)) {
            at->index += view_entries_in_frame(pt, &at->table, at->index);
            continue;
        }
        if (at->bits == 0) {
            at->index++;
            continue;
        }
        pt_decode(pt, walk.level, at->index, at->bits, at->above, pt->is_adopted, &entry);
        if (entry.kind == PT_ENTRY_EMPTY) {
            /* The link of a retired table is an entry that is empty and not zero. */
            if (was_retired(&walk))
                walk.at[--walk.level].visited--;
            else
                at->index++;
            continue;
        }

        at->visited++;
        if (entry.kind == PT_ENTRY_LEAF && !entry.malformed) {
            entries = visit_leaf(&walk, &entry, pre, post, arg);
            if (entries == 0)
                return;
            at->index += entries;
            continue;
        }
        visit = visit_of(&walk);
        if (pre && !pre(arg, &visit))
            return;
        if (!entry.malformed) {
            enter(&walk, &entry, from);
            continue;
        }
        if (post && !post(arg, &visit))
            return;
        at->index++;
    }
}

void pt_walk(const struct page_table *pt, size_t limit, pt_visitor pre, pt_visitor post, void *arg)
{
    pt_walk_from(pt, 0, limit, pre, post, arg);
}
