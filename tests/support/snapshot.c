/* SPDX-License-Identifier: MIT */
#include "snapshot.h"

static bool remember(void *arg, const struct pt_visit *visit)
{
    struct snapshot *snapshot = arg;

    if (snapshot->count == snapshot->room) {
        snapshot->room = 2 * snapshot->room + 64;
        snapshot->visits = realloc(snapshot->visits, snapshot->room * sizeof(*snapshot->visits));
        assert_non_null(snapshot->visits);
    }
    snapshot->visits[snapshot->count++] = *visit;
    return true;
}

void snapshot_take(struct snapshot *snapshot, const struct page_table *table, const struct pt_flush *flush,
                   const struct memory *memory)
{
    *snapshot = (struct snapshot){.table = table, .flush = flush, .memory = memory, .fields = *table};
    if (flush)
        snapshot->owed = *flush;
    if (memory)
        snapshot->taken = memory->taken;
    pt_walk(table, SIZE_MAX, remember, NULL, snapshot);
}

void snapshot_end(struct snapshot *snapshot)
{
    free(snapshot->visits);
    *snapshot = (struct snapshot){.visits = NULL};
}

bool flush_owes_same(const struct pt_flush *a, const struct pt_flush *b)
{
    if (a->format != b->format || a->handler != b->handler || a->ctx != b->ctx || a->asid != b->asid ||
        a->global != b->global || a->everything != b->everything || a->tables_changed != b->tables_changed ||
        a->barrier != b->barrier || a->retired != b->retired || a->range_count != b->range_count)
        return false;
    for (unsigned i = 0; i < a->range_count; i++)
        if (a->ranges[i].vaddr != b->ranges[i].vaddr || a->ranges[i].size != b->ranges[i].size ||
            a->ranges[i].page_size != b->ranges[i].page_size)
            return false;
    return true;
}

static bool same_visit(const struct pt_visit *a, const struct pt_visit *b)
{
    if (a->level != b->level || a->index != b->index || a->vaddr != b->vaddr || a->bits != b->bits ||
        a->is_leaf != b->is_leaf)
        return false;
    return !a->is_leaf || (a->mapping.paddr == b->mapping.paddr && a->mapping.page_size == b->mapping.page_size &&
                           a->mapping.flags == b->mapping.flags);
}

static bool same_fields(const struct page_table *a, const struct page_table *b)
{
    return a->format == b->format && a->handler == b->handler && a->ctx == b->ctx && a->root == b->root &&
           a->asid == b->asid && a->has_lent == b->has_lent &&
           memcmp(&a->borrowed, &b->borrowed, sizeof(a->borrowed)) == 0 &&
           memcmp(&a->lent, &b->lent, sizeof(a->lent)) == 0 && memcmp(&a->upper, &b->upper, sizeof(a->upper)) == 0;
}

void snapshot_check(const struct snapshot *before, const char *file, int line)
{
    struct snapshot now;
    const char *what = NULL;

    snapshot_take(&now, before->table, before->flush, before->memory);
    if (before->memory && now.taken != before->taken) {
        print_error("%zu frames are out, were %zu\n", now.taken, before->taken);
        what = "the number of frames";
    } else if (before->flush && !flush_owes_same(&now.owed, &before->owed)) {
        what = "what the flush owes";
    } else if (!same_fields(&now.fields, &before->fields)) {
        what = "the struct page_table";
    } else {
        for (size_t i = 0; i < now.count && i < before->count && !what; i++)
            if (!same_visit(&now.visits[i], &before->visits[i])) {
                print_error("level %u, 0x%" PRIx64 ": 0x%" PRIx64 ", was level %u, 0x%" PRIx64 ": 0x%" PRIx64 "\n",
                            now.visits[i].level, now.visits[i].vaddr, now.visits[i].bits, before->visits[i].level,
                            before->visits[i].vaddr, before->visits[i].bits);
                what = "an entry";
            }
        if (!what && now.count != before->count) {
            print_error("%zu entries in use, were %zu\n", now.count, before->count);
            what = "the number of entries in use";
        }
    }
    snapshot_end(&now);
    if (what) {
        print_error("changed: %s\n", what);
        _fail(file, line);
    }
}
