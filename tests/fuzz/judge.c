/* SPDX-License-Identifier: MIT */
#include "judge.h"

void judge_init(struct judge *judge, const struct pt_format *format, const struct judge *source)
{
    *judge = (struct judge){.format = format, .source = source};
}

void judge_end(struct judge *judge)
{
    runs_end(&judge->runs);
}

/* ---- Runs ------------------------------------------------------------------------------------------- */

void runs_end(struct runs *runs)
{
    free(runs->run);
    *runs = (struct runs){.run = NULL};
}

static void make_room(struct runs *runs, size_t more)
{
    if (runs->count + more <= runs->room)
        return;
    runs->room = 2 * runs->room + more + 16;
    runs->run = realloc(runs->run, runs->room * sizeof(*runs->run));
    assert_non_null(runs->run);
}

void runs_copy(struct runs *to, const struct runs *from)
{
    *to = (struct runs){.run = NULL};
    make_room(to, from->count);
    if (from->count > 0)
        memcpy(to->run, from->run, from->count * sizeof(*from->run));
    to->count = from->count;
}

static uint64_t end_of(const struct run *run)
{
    return run->where + run->length;
}

/* The index of the first run that ends behind `where`. */
static size_t find(const struct runs *runs, uint64_t where)
{
    size_t low = 0, high = runs->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (end_of(&runs->run[middle]) <= where)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct run *run_at(const struct runs *runs, uint64_t where)
{
    size_t index = find(runs, where);

    return index < runs->count && runs->run[index].where <= where ? &runs->run[index] : NULL;
}

static void insert(struct runs *runs, struct run run)
{
    size_t index = find(runs, run.where);

    make_room(runs, 1);
    memmove(&runs->run[index + 1], &runs->run[index], (runs->count - index) * sizeof(run));
    runs->run[index] = run;
    runs->count++;
}

/* No run goes across `where`, which is where a page begins if there is one. */
static void cut(struct runs *runs, uint64_t where)
{
    struct run *run = run_at(runs, where);
    struct run rest;

    if (!run || run->where == where)
        return;
    assert_true((where - run->where) % run->page_size == 0);
    rest = *run;
    rest.where = where;
    rest.length = end_of(run) - where;
    rest.paddr += where - run->where;
    run->length = where - run->where;
    insert(runs, rest);
}

/* [where, end) becomes a range of whole runs: their indices. */
static void cut_out(struct runs *runs, uint64_t where, uint64_t end, size_t *from, size_t *to)
{
    cut(runs, where);
    cut(runs, end);
    *from = find(runs, where);
    *to = find(runs, end);
}

static void erase(struct runs *runs, uint64_t where, uint64_t end)
{
    size_t from, to;

    cut_out(runs, where, end, &from, &to);
    if (runs->count > 0)
        memmove(&runs->run[from], &runs->run[to], (runs->count - to) * sizeof(*runs->run));
    runs->count -= to - from;
}

static uint64_t page_start(const struct run *run, uint64_t where)
{
    return where - (where - run->where) % run->page_size;
}

/* The page at `where` as a run of its own. */
static struct run *page_alone(struct runs *runs, uint64_t where)
{
    const struct run *run = run_at(runs, where);
    uint64_t first, size;

    if (!run)
        return NULL;
    first = page_start(run, where);
    size = run->page_size;
    cut(runs, first);
    cut(runs, first + size);
    return run_at(runs, where);
}

/* ---- Root entries ----------------------------------------------------------------------------------- */

static uint64_t slot_size(const struct judge *judge)
{
    uint64_t entry = format_entry_size(judge->format, 0);
    uint64_t share = (UINT64_C(1) << judge->format->va_bits) / PT_ROOT_SLOTS;

    return share > entry ? share : entry;
}

static struct judge_slot *slot_of(const struct judge *judge, uint64_t where)
{
    return (struct judge_slot *)(uintptr_t)&judge->slots[where / slot_size(judge)];
}

static uint64_t where_of(const struct judge *judge, pt_vaddr vaddr)
{
    return format_translated(judge->format, vaddr);
}

bool judge_is_borrowed(const struct judge *judge, pt_vaddr vaddr)
{
    return slot_of(judge, where_of(judge, vaddr))->borrowed;
}

static bool any_is_borrowed(const struct judge *judge, uint64_t where, uint64_t size)
{
    for (uint64_t i = where / slot_size(judge); i <= (where + (size - 1)) / slot_size(judge); i++)
        if (judge->slots[i].borrowed)
            return true;
    return false;
}

static void note_half(struct judge *judge, pt_vaddr vaddr, uint64_t size)
{
    uint64_t where = where_of(judge, vaddr);

    for (uint64_t i = where / slot_size(judge); i <= (where + (size - 1)) / slot_size(judge); i++)
        judge->slots[i].upper = vaddr > format_lower_last(judge->format);
}

pt_vaddr judge_canonical(const struct judge *judge, uint64_t where)
{
    bool upper = slot_of(judge, where)->upper;

    if (judge->format->address_space == PT_SIGN_EXTENDED)
        upper = where > format_lower_last(judge->format);
    return upper ? where | format_upper_first(judge->format) : where;
}

/* ---- Arguments -------------------------------------------------------------------------------------- */

pt_flags judge_reads_back(const struct pt_format *format, pt_flags flags)
{
    for (size_t i = 0; i < formats_count; i++)
        if (format->operations == formats[i]->operations)
            return format_reads_back(format, flags);
    return flags;
}

static bool is_aligned(uint64_t value, uint64_t size)
{
    return value % size == 0;
}

static bool paddr_is_good(const struct judge *judge, pt_paddr paddr, uint64_t size)
{
    return paddr + (size - 1) >= paddr && paddr + (size - 1) <= format_paddr_last(judge->format);
}

static bool is_page_size(const struct judge *judge, uint64_t size)
{
    return size != 0 && (size & (size - 1)) == 0 && (size & judge->format->page_sizes) != 0;
}

static bool flags_are_good(pt_flags flags)
{
    return (flags & ~PT_ALL_FLAGS) == 0;
}

static enum pt_status check_region(const struct judge *judge, pt_vaddr vaddr, uint64_t size)
{
    uint64_t smallest = format_smallest(judge->format);
    pt_vaddr last = vaddr + (size - 1);

    if (!is_aligned(vaddr, smallest) || !is_aligned(size, smallest))
        return PT_NOT_ALIGNED;
    if (last < vaddr || !format_is_canonical(judge->format, vaddr) || !format_is_canonical(judge->format, last))
        return PT_BAD_ADDRESS;
    return vaddr >> 63 == last >> 63 ? PT_OK : PT_BAD_ADDRESS;
}

/* ---- Mapping ---------------------------------------------------------------------------------------- */

/* A page of this size would take the place of a table that was lent. */
static bool replaces_lent(const struct judge *judge, uint64_t where, uint64_t size)
{
    return size >= format_entry_size(judge->format, 0) && slot_of(judge, where)->lent;
}

static enum pt_status conflict(const struct judge *judge, uint64_t where, uint64_t size)
{
    size_t index = find(&judge->runs, where);

    if (slot_of(judge, where)->borrowed)
        return PT_SHARED;
    if (index < judge->runs.count && judge->runs.run[index].where < where + size)
        return judge->runs.run[index].page_size > size ? PT_MAPPED_TO_HUGE_PAGE : PT_ALREADY_MAPPED;
    return replaces_lent(judge, where, size) ? PT_SHARED : PT_OK;
}

enum pt_status judge_map(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    uint64_t where = where_of(judge, vaddr);
    enum pt_status status;

    if (!flags_are_good(flags))
        return PT_BAD_FLAGS;
    if (!is_page_size(judge, page_size))
        return PT_BAD_SIZE;
    if (!is_aligned(vaddr, page_size) || !is_aligned(paddr, page_size))
        return PT_NOT_ALIGNED;
    if (!format_is_canonical(judge->format, vaddr) || !paddr_is_good(judge, paddr, page_size))
        return PT_BAD_ADDRESS;
    status = conflict(judge, where, page_size);
    if (status != PT_OK)
        return status;
    insert(&judge->runs, (struct run){where, page_size, page_size, paddr, judge_reads_back(judge->format, flags)});
    note_half(judge, vaddr, page_size);
    return PT_OK;
}

struct wish {
    const struct judge *judge;
    pt_vaddr vaddr;
    pt_paddr paddr;
    pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr);
    void *arg;
    uint64_t size;
    bool huge;
    uint64_t largest; /* page size of the format */
};

static pt_paddr wished(const struct wish *wish, pt_vaddr vaddr)
{
    return wish->get_paddr ? wish->get_paddr(wish->arg, vaddr) : wish->paddr + (vaddr - wish->vaddr);
}

/* The largest page that may stand at `done` bytes from the beginning. */
static uint64_t largest_here(const struct wish *wish, uint64_t done)
{
    uint64_t smallest = format_smallest(wish->judge->format);
    uint64_t size = wish->huge ? wish->largest : smallest;
    pt_vaddr vaddr = wish->vaddr + done;
    pt_paddr paddr = wished(wish, vaddr);

    for (; size > smallest; size = format_smaller(wish->judge->format, size)) {
        bool fits = is_aligned(vaddr, size) && is_aligned(paddr, size) && size <= wish->size - done &&
                    !replaces_lent(wish->judge, where_of(wish->judge, vaddr), size);

        for (uint64_t i = 0; fits && wish->get_paddr && i < size; i += smallest)
            fits = wished(wish, vaddr + i) == paddr + i;
        if (fits)
            break;
    }
    return size;
}

static enum pt_status why_not(const struct wish *wish)
{
    uint64_t size;

    for (uint64_t done = 0; done < wish->size; done += size) {
        enum pt_status status;

        size = largest_here(wish, done);
        status = conflict(wish->judge, where_of(wish->judge, wish->vaddr + done), size);
        if (status != PT_OK)
            return status;
    }
    return PT_OK;
}

enum pt_status judge_map_region(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr,
                                pt_paddr (*get_paddr)(void *arg, pt_vaddr vaddr), void *arg, uint64_t size,
                                pt_flags flags, unsigned options, enum pt_status *other)
{
    struct wish wish = {
        judge, vaddr, paddr, get_paddr, arg, size, options & PT_ALLOW_HUGE, format_largest(judge->format)};
    uint64_t smallest = format_smallest(judge->format), page_size;
    enum pt_status status, bad = PT_OK;

    *other = PT_OK;
    if (size == 0)
        return PT_OK;
    if (!flags_are_good(flags) || (options & ~(PT_ALLOW_HUGE | PT_SKIP_HOLES | PT_NO_SPLIT)))
        return *other = PT_BAD_FLAGS;
    status = !get_paddr && !is_aligned(paddr, smallest) ? PT_NOT_ALIGNED : check_region(judge, vaddr, size);
    if (status == PT_OK && !get_paddr && !paddr_is_good(judge, paddr, size))
        status = PT_BAD_ADDRESS;
    if (status != PT_OK)
        return *other = status;
    for (uint64_t done = 0; get_paddr && done < size && bad == PT_OK; done += smallest) {
        if (!is_aligned(get_paddr(arg, vaddr + done), smallest))
            bad = PT_NOT_ALIGNED;
        else if (!paddr_is_good(judge, get_paddr(arg, vaddr + done), smallest))
            bad = PT_BAD_ADDRESS;
    }
    /* A bad frame and a conflict: either may be met first. */
    *other = why_not(&wish);
    if (bad != PT_OK) {
        *other = *other == PT_OK ? bad : *other;
        return bad;
    }
    if (*other != PT_OK)
        return *other;
    for (uint64_t done = 0; done < size; done += page_size) {
        uint64_t where = where_of(judge, vaddr + done);
        struct run *before;

        page_size = largest_here(&wish, done);
        before = done > 0 ? run_at(&judge->runs, where - 1) : NULL;
        if (before && before->page_size == page_size && before->paddr + before->length == wished(&wish, vaddr + done))
            before->length += page_size;
        else
            insert(&judge->runs, (struct run){where, page_size, page_size, wished(&wish, vaddr + done),
                                              judge_reads_back(judge->format, flags)});
    }
    note_half(judge, vaddr, size);
    return PT_OK;
}

/* ---- One page --------------------------------------------------------------------------------------- */

static enum pt_status own_page(struct judge *judge, pt_vaddr vaddr, const struct run **page)
{
    if (!format_is_canonical(judge->format, vaddr))
        return PT_BAD_ADDRESS;
    if (judge_is_borrowed(judge, vaddr))
        return PT_SHARED;
    *page = run_at(&judge->runs, where_of(judge, vaddr));
    return *page ? PT_OK : PT_NOT_MAPPED;
}

enum pt_status judge_unmap(struct judge *judge, pt_vaddr vaddr, struct pt_mapping *old)
{
    const struct run *page;
    enum pt_status status = own_page(judge, vaddr, &page);

    if (status != PT_OK)
        return status;
    page = page_alone(&judge->runs, where_of(judge, vaddr));
    *old = (struct pt_mapping){page->paddr, page->page_size, page->flags};
    erase(&judge->runs, page->where, end_of(page));
    return PT_OK;
}

enum pt_status judge_protect(struct judge *judge, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size)
{
    const struct run *page;
    struct run *alone;
    enum pt_status status;

    if (!flags_are_good(flags))
        return PT_BAD_FLAGS;
    status = own_page(judge, vaddr, &page);
    if (status != PT_OK)
        return status;
    alone = page_alone(&judge->runs, where_of(judge, vaddr));
    *page_size = alone->page_size;
    alone->flags = judge_reads_back(judge->format, flags) | (alone->flags & ~PT_ALL_FLAGS);
    return PT_OK;
}

enum pt_status judge_remap(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags, uint64_t *page_size)
{
    const struct run *page;
    struct run *alone;
    enum pt_status status;

    if (!flags_are_good(flags))
        return PT_BAD_FLAGS;
    status = own_page(judge, vaddr, &page);
    if (status != PT_OK)
        return status;
    if (!is_aligned(paddr, page->page_size))
        return PT_NOT_ALIGNED;
    if (!paddr_is_good(judge, paddr, page->page_size))
        return PT_BAD_ADDRESS;
    alone = page_alone(&judge->runs, where_of(judge, vaddr));
    *page_size = alone->page_size;
    alone->paddr = paddr;
    alone->flags = judge_reads_back(judge->format, flags);
    return PT_OK;
}

void judge_touch(struct judge *judge, pt_vaddr vaddr, pt_flags recorded)
{
    struct run *page = page_alone(&judge->runs, where_of(judge, vaddr));

    if (page)
        page->flags |= recorded;
}

enum pt_status judge_query(const struct judge *judge, pt_vaddr vaddr, struct pt_mapping *out)
{
    uint64_t where = where_of(judge, vaddr);
    const struct judge_slot *slot;
    const struct run *run;

    if (!format_is_canonical(judge->format, vaddr))
        return PT_BAD_ADDRESS;
    slot = slot_of(judge, where);
    run = slot->frozen ? &slot->page : run_at(slot->borrowed ? &judge->source->runs : &judge->runs, where);
    if (!run)
        return PT_NOT_MAPPED;
    *out = (struct pt_mapping){run->paddr + (where - run->where), run->page_size, run->flags};
    return PT_OK;
}

/* ---- Regions of what is there ------------------------------------------------------------------------ */

static void split_page(struct judge *judge, uint64_t where)
{
    struct run *page = page_alone(&judge->runs, where);
    unsigned level = format_level_of(judge->format, page->page_size);

    page->page_size = format_entry_size(judge->format, level + 1);
}

static bool is_inside_page(const struct judge *judge, uint64_t where)
{
    const struct run *run = run_at(&judge->runs, where);

    return run && (where - run->where) % run->page_size != 0;
}

static void split_at(struct judge *judge, uint64_t where)
{
    while (is_inside_page(judge, where))
        split_page(judge, where);
}

enum pt_status judge_change_region(struct judge *judge, pt_vaddr vaddr, uint64_t size, bool protect, pt_flags flags,
                                   unsigned options)
{
    uint64_t where = where_of(judge, vaddr), end = where + size;
    enum pt_status status;
    size_t from, to;

    if (size == 0)
        return PT_OK;
    if (!flags_are_good(flags) || (options & ~(PT_ALLOW_HUGE | PT_SKIP_HOLES | PT_NO_SPLIT)))
        return PT_BAD_FLAGS;
    status = check_region(judge, vaddr, size);
    if (status != PT_OK)
        return status;
    for (uint64_t at = where; at < end;) {
        const struct run *run = run_at(&judge->runs, at);
        uint64_t next_slot = (at / slot_size(judge) + 1) * slot_size(judge);
        size_t next = find(&judge->runs, at);

        if (slot_of(judge, at)->borrowed)
            return PT_SHARED;
        if (run) {
            uint64_t run_end = end_of(run) < end ? end_of(run) : end;

            if ((options & PT_NO_SPLIT) && ((at - run->where) % run->page_size != 0 || is_inside_page(judge, run_end)))
                return PT_MAPPED_TO_HUGE_PAGE;
            at = run_end;
            continue;
        }
        if (!(options & PT_SKIP_HOLES))
            return PT_NOT_MAPPED;
        at = next < judge->runs.count && judge->runs.run[next].where < next_slot ? judge->runs.run[next].where
                                                                                 : next_slot;
    }
    split_at(judge, where);
    split_at(judge, end);
    if (!protect) {
        erase(&judge->runs, where, end);
        return PT_OK;
    }
    cut_out(&judge->runs, where, end, &from, &to);
    for (; from < to; from++)
        judge->runs.run[from].flags =
            judge_reads_back(judge->format, flags) | (judge->runs.run[from].flags & ~PT_ALL_FLAGS);
    return PT_OK;
}

enum pt_status judge_split(struct judge *judge, pt_vaddr vaddr, uint64_t page_size)
{
    const struct run *page;
    enum pt_status status;

    if (!is_page_size(judge, page_size))
        return PT_BAD_SIZE;
    status = own_page(judge, vaddr, &page);
    while (status == PT_OK && run_at(&judge->runs, where_of(judge, vaddr))->page_size > page_size)
        split_page(judge, where_of(judge, vaddr));
    return status;
}

/* All of [where, where + size) is pages of the next size, contiguous and equal but for what was recorded. */
static void collapse_block(struct judge *judge, uint64_t where, uint64_t size, uint64_t next_size)
{
    const struct run *run = run_at(&judge->runs, where);
    struct run page;

    if (!run)
        return;
    page = (struct run){where, size, size, run->paddr + (where - run->where), run->flags};
    for (uint64_t at = where; at < where + size; at = end_of(run)) {
        run = run_at(&judge->runs, at);
        if (!run || run->page_size != next_size || run->paddr + (at - run->where) != page.paddr + (at - where) ||
            ((run->flags ^ page.flags) & PT_ALL_FLAGS) != 0)
            return;
        page.flags |= run->flags;
    }
    if (!is_aligned(page.paddr, size))
        return;
    erase(&judge->runs, where, where + size);
    insert(&judge->runs, page);
}

enum pt_status judge_collapse(struct judge *judge, pt_vaddr vaddr, uint64_t size)
{
    uint64_t where = where_of(judge, vaddr), end = where + size;
    enum pt_status status = judge_prune(judge, vaddr, size);

    if (status != PT_OK || size == 0)
        return status;
    for (unsigned level = judge->format->levels - 1u; level-- > 0;) {
        uint64_t page_size = format_entry_size(judge->format, level);
        size_t index;

        if (!(judge->format->page_sizes & page_size))
            break;
        for (uint64_t at = where; (index = find(&judge->runs, at)) < judge->runs.count;) {
            const struct run *run = &judge->runs.run[index];
            uint64_t block = run->where > at ? run->where : at;

            if (block >= end)
                break;
            if (run->page_size != format_entry_size(judge->format, level + 1)) {
                at = end_of(run);
                continue;
            }
            block -= block % page_size;
            if (block >= where && block + page_size <= end && !(level == 0 && slot_of(judge, block)->lent))
                collapse_block(judge, block, page_size, run->page_size);
            at = block + page_size;
        }
    }
    return PT_OK;
}

enum pt_status judge_prune(const struct judge *judge, pt_vaddr vaddr, uint64_t size)
{
    enum pt_status status;

    if (size == 0)
        return PT_OK;
    status = check_region(judge, vaddr, size);
    if (status == PT_OK && any_is_borrowed(judge, where_of(judge, vaddr), size))
        return PT_SHARED;
    return status;
}

enum pt_status judge_clear(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags recorded)
{
    uint64_t where = where_of(judge, vaddr);
    enum pt_status status = judge->format->tracks_access ? judge_prune(judge, vaddr, size) : PT_BAD_FORMAT;
    size_t index;

    if (status != PT_OK || size == 0)
        return status;
    for (uint64_t at = where; (index = find(&judge->runs, at)) < judge->runs.count;) {
        const struct run *run = &judge->runs.run[index];
        uint64_t from = page_start(run, run->where > at ? run->where : at), to = end_of(run);
        size_t first, last;

        if (run->where >= where + size)
            break;
        if (to > where + size) /* whole pages */
            to = run->where + (where + size - run->where + run->page_size - 1) / run->page_size * run->page_size;
        at = end_of(run);
        cut_out(&judge->runs, from, to, &first, &last);
        for (; first < last; first++)
            judge->runs.run[first].flags &= ~recorded;
    }
    return PT_OK;
}

/* ---- Sharing ---------------------------------------------------------------------------------------- */

enum pt_status judge_copy_from(struct judge *judge, struct judge *source, pt_vaddr vaddr, uint64_t size)
{
    uint64_t unit = slot_size(judge), where = where_of(judge, vaddr);

    if (size == 0)
        return PT_OK;
    if (!is_aligned(vaddr, unit) || !is_aligned(size, unit))
        return PT_NOT_ALIGNED;
    if (check_region(judge, vaddr, size) != PT_OK)
        return PT_BAD_ADDRESS;
    for (uint64_t done = 0; done < size; done += unit) {
        const struct judge_slot *slot = slot_of(judge, where + done);
        size_t index = find(&judge->runs, where + done);

        if (slot->borrowed)
            continue;
        if (index < judge->runs.count && judge->runs.run[index].where < where + done + unit)
            return PT_ALREADY_MAPPED;
        if (slot->lent)
            return PT_SHARED;
    }
    for (uint64_t done = 0; done < size; done += unit) {
        struct judge_slot *slot = slot_of(judge, where + done), *theirs = slot_of(source, where + done);
        const struct run *run = run_at(&source->runs, where + done);

        slot->borrowed = true;
        slot->frozen = run && run->page_size >= unit;
        if (slot->frozen)
            slot->page = (struct run){where + done, unit, unit, run->paddr + (where + done - run->where), run->flags};
        else
            theirs->lent = true;
    }
    note_half(judge, vaddr, size);
    return PT_OK;
}

void judge_all(const struct judge *judge, struct runs *all)
{
    uint64_t unit = slot_size(judge);

    *all = (struct runs){.run = NULL};
    for (uint64_t i = 0; i < (UINT64_C(1) << judge->format->va_bits) / unit; i++) {
        const struct judge_slot *slot = &judge->slots[i];
        const struct runs *runs = slot->borrowed ? &judge->source->runs : &judge->runs;
        uint64_t end = (i + 1) * unit;

        make_room(all, 1);
        if (slot->frozen)
            all->run[all->count++] = slot->page;
        for (size_t index = find(runs, i * unit); !slot->frozen && index < runs->count; index++) {
            struct run run = runs->run[index];

            if (run.where >= end)
                break;
            if (run.where < i * unit) {
                run.paddr += i * unit - run.where;
                run.length -= i * unit - run.where;
                run.where = i * unit;
            }
            if (end_of(&run) > end)
                run.length = end - run.where;
            make_room(all, 1);
            all->run[all->count++] = run;
        }
    }
}
