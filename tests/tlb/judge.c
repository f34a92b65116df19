/* SPDX-License-Identifier: MIT */
#include "judge.h"

#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)
#define NOT_RIGHTS (PT_USER | PT_DEVICE | PT_UNCACHED | PT_GLOBAL)
#define RECORDED (PT_ACCESSED | PT_DIRTY)

size_t judge_calls, judge_moments;

/* Whose moments they are: the hooks have no argument. */
static struct judge *on_duty;

/* ---- The story --------------------------------------------------------------------------------- */

static void tell(void *arg)
{
    struct judge *judge = arg;
    size_t lines = TESTS_COUNT(judge->story);

    judge->failed = true;
    print_error("%s (bbm_level %u, tracks_access %d), seed %" PRIu64 "; the latest calls:\n", judge->format.name,
                judge->format.bbm_level, judge->format.tracks_access, judge->seed);
    for (size_t i = judge->told > lines ? judge->told - lines : 0; i < judge->told; i++)
        print_error("  %s\n", judge->story[i % lines]);
}

#define STORY(judge, ...)                                                                                              \
    ((void)snprintf((judge)->story[(judge)->told++ % TESTS_COUNT((judge)->story)], sizeof((judge)->story[0]),          \
                    __VA_ARGS__))

/* ---- What is to be translated ------------------------------------------------------------------ */

static bool is_present(const struct want *want)
{
    return want->mapped && (want->flags & RIGHTS);
}

/* The walk translates vaddr as wanted. */
static bool walk_gives(const struct mmu_walk *walk, pt_vaddr vaddr, const struct want *want)
{
    if (walk->kind == MMU_NOTHING || !is_present(want))
        return walk->kind == MMU_NOTHING && !is_present(want);
    return walk->paddr + (vaddr - walk->first) == want->paddr && (walk->flags & ~RECORDED) == want->flags;
}

#define WALK_FORMAT "%s 0x%" PRIx64 " flags 0x%x by 0x%" PRIx64 " bytes"
#define WALK_ARGUMENTS(walk)                                                                                           \
    (walk).kind == MMU_PAGE ? "to" : "to nothing,", (walk).paddr, (unsigned)(walk).flags, (walk).size
#define WANT_FORMAT "%s 0x%" PRIx64 " flags 0x%x"
#define WANT_ARGUMENTS(want) (want).mapped ? "to" : "to nothing,", (want).paddr, (unsigned)(want).flags

/* The translation at this moment is that before the call or that after it. */
static void check_moment(struct judge *judge, const struct watched *at, const struct mmu_walk *walk, bool may_be_absent)
{
    if (walk_gives(walk, at->vaddr, &at->want) || walk_gives(walk, at->vaddr, &at->next))
        return;
    if (walk->kind == MMU_NOTHING && (at->may_break || may_be_absent))
        return;
    mmu_fail(judge->mmu,
             "in the middle of the call 0x%" PRIx64 " leads " WALK_FORMAT "; before " WANT_FORMAT
             ", after " WANT_FORMAT,
             at->vaddr, WALK_ARGUMENTS(*walk), WANT_ARGUMENTS(at->want), WANT_ARGUMENTS(at->next));
}

/* ---- What the hardware records ----------------------------------------------------------------- */

/*
 * A page that is in the tree was used, or, during pt_collapse, one that was in the tree before: a CPU may still
 * hold a pointer to the old table, and what it records there must not be lost.
 */
static bool counts(struct judge *judge, const struct mmu_walk *walk, const struct watched *at)
{
    const uint64_t *slot = walk->path[walk->level];
    struct mmu_walk now = mmu_walk_root(judge->mmu, &judge->mmu->root[0], at->vaddr);

    if (now.path[now.level] == slot)
        return true;
    if (judge->call.kind == CALL_COLLAPSE)
        for (unsigned level = 0; level < MMU_MAX_LEVELS; level++)
            if (at->path[level] == slot)
                return true;
    return false;
}

static void fetch(struct judge *judge, struct mmu_walk *walk, const struct watched *at, uint32_t asid, bool write)
{
    mmu_fetch(judge->mmu, walk, asid, write);
    if (walk->kind != MMU_PAGE || !judge->format.tracks_access || !counts(judge, walk, at))
        return;
    for (size_t i = 0; i < judge->watched_count; i++)
        if (judge->watched[i].vaddr - walk->page_first < walk->page_size)
            judge->watched[i].recorded |= walk->flags & RECORDED;
}

/* ---- Moments ----------------------------------------------------------------------------------- */

static bool is_live(const struct judge *judge, size_t root)
{
    return judge->mmu->root[root].table != NULL;
}

/* Look at everything, and fetch what there is an appetite for. */
static void look(struct judge *judge, bool eat)
{
    struct mmu *mmu = judge->mmu;

    mmu_seen_restart(mmu);
    for (size_t r = 0; r < MMU_ROOTS; r++) {
        bool may_be_absent = r > 0 && !judge->copied;

        for (size_t i = 0; is_live(judge, r) && i < judge->watched_count; i++) {
            struct watched *at = &judge->watched[i];
            struct mmu_walk walk = mmu_walk_root(mmu, &mmu->root[r], at->vaddr);

            check_moment(judge, at, &walk, may_be_absent);
            if (eat && at->hungry)
                fetch(judge, &walk, at, mmu->root[r].asid, false);
            if (mmu_latches_root(mmu)) {
                walk = mmu_walk_latched(mmu, &mmu->root[r], at->vaddr);
                if (eat && at->hungry)
                    fetch(judge, &walk, at, mmu->root[r].asid, false);
            }
        }
    }
    /* The pointers that are found on the way are followed as well. */
    for (size_t p = 0; p < mmu->pointer_count; p++) {
        for (size_t i = 0; i < judge->watched_count; i++) {
            struct mmu_pointer pointer = mmu->pointer[p];
            struct watched *at = &judge->watched[i];

            if (mmu_serves(&pointer, at->vaddr)) {
                struct mmu_walk walk = mmu_walk_pointer(mmu, &pointer, at->vaddr);

                if (eat && at->hungry)
                    fetch(judge, &walk, at, pointer.asid, false);
            }
        }
    }
}

/* A CPU uses this address, by the tree or by some pointer that it holds. */
static void access_somehow(struct judge *judge, const struct watched *at)
{
    struct mmu *mmu = judge->mmu;
    bool write = random_one_in(&judge->random, 2);
    struct mmu_pointer ways[MMU_POINTERS];
    size_t count = 0, way;
    struct mmu_walk walk;

    for (size_t i = 0; i < mmu->pointer_count; i++)
        if (mmu_serves(&mmu->pointer[i], at->vaddr))
            ways[count++] = mmu->pointer[i];
    way = (size_t)random_below(&judge->random, count + 2);
    if (way < count) {
        walk = mmu_walk_pointer(mmu, &ways[way], at->vaddr);
        fetch(judge, &walk, at, ways[way].asid, write);
    } else {
        size_t root = is_live(judge, way - count) ? way - count : 0;

        if (mmu_latches_root(mmu) && random_one_in(&judge->random, 2))
            walk = mmu_walk_latched(mmu, &mmu->root[root], at->vaddr);
        else
            walk = mmu_walk_root(mmu, &mmu->root[root], at->vaddr);
        fetch(judge, &walk, at, mmu->root[root].asid, write);
    }
}

/*
 * Only the library moves: between the clearing of a mark and the report of it; and while a page of several entries gets
 * other frames, since nobody could tell whether the hardware had used those or the old ones.
 */
static bool is_still(const struct judge *judge)
{
    return judge->call.kind == CALL_CLEAR || (judge->call.kind == CALL_REMAP && judge->call.group);
}

static void be_restless(struct judge *judge)
{
    if (judge->restless && random_one_in(&judge->random, 4))
        access_somehow(judge, &judge->watched[random_below(&judge->random, judge->watched_count)]);
}

static bool is_in_memory(const struct memory *memory, const volatile void *slot)
{
    uintptr_t start = (uintptr_t)memory->bytes;

    return (uintptr_t)slot - start < memory->frames * (size_t)PT_FRAME_SIZE;
}

/* The library is about to store, and has read what it replaces: best of all is to use what stands there. */
void before_store(const volatile void *slot)
{
    struct judge *judge = on_duty;

    if (!judge || !judge->watching || judge->call.kind == CALL_NONE || !is_in_memory(judge->memory, slot))
        return;
    judge->call.slot = slot;
    judge->moments_before++;
    if (is_still(judge))
        return;
    be_restless(judge);
    if (!judge->restless || !mmu_has_seen(judge->mmu, (const void *)(uintptr_t)slot) ||
        random_one_in(&judge->random, 2))
        return;
    for (size_t i = 0; i < judge->watched_count; i++) {
        struct mmu_walk walk = mmu_walk_root(judge->mmu, &judge->mmu->root[0], judge->watched[i].vaddr);

        if (walk.path[walk.level] == slot) {
            access_somehow(judge, &judge->watched[i]);
            return;
        }
    }
}

void pt_store_hook(void)
{
    struct judge *judge = on_duty;
    bool still;

    if (!judge || !judge->watching)
        return;
    judge->moments_after++;
    judge_moments++;
    /* What was recorded of the old frames is forgotten with the store that replaces or breaks the entry. */
    if (judge->call.kind == CALL_REMAP && !judge->call.stored)
        for (size_t i = 0; i < judge->watched_count; i++)
            if (judge->watched[i].vaddr - judge->call.first <= judge->call.last - judge->call.first)
                judge->watched[i].recorded = 0;
    judge->call.stored = true;
    still = is_still(judge);
    if (mmu_seen_changed(judge->mmu))
        look(judge, !still);
    else if (judge->call.slot)
        mmu_check_slot(judge->mmu, judge->call.slot);
    judge->call.slot = NULL;
    if (!still)
        be_restless(judge);
}

static void on_flush(void *arg, const struct pt_flush *flush)
{
    struct judge *judge = arg;

    if (!judge->watching)
        return;
    /* Until it reaches them, the CPUs go on. */
    for (unsigned i = 0; i < 8 && !is_still(judge); i++)
        be_restless(judge);
    if (mmu_invalidate(judge->mmu, flush) || mmu_seen_changed(judge->mmu))
        look(judge, !is_still(judge));
}

static void on_dealloc(void *arg, struct memory *memory, pt_paddr first)
{
    struct judge *judge = arg;
    struct mmu *mmu = judge->mmu;

    uint64_t size = memory->frame[(size_t)((first - memory->base) / PT_FRAME_SIZE)].run * PT_FRAME_SIZE;

    if (!judge->watching)
        return;
    for (size_t i = 0; i < mmu->pointer_count; i++)
        if (mmu->pointer[i].table - first < size)
            mmu_fail(mmu, "the table at 0x%" PRIx64 " is freed while the walk cache leads to it for 0x%" PRIx64, first,
                     mmu->pointer[i].first);
    for (size_t r = 0; r < MMU_ROOTS; r++)
        for (size_t i = 0; is_live(judge, r) && i < judge->watched_count; i++) {
            struct mmu_walk walk = mmu_walk_root(mmu, &mmu->root[r], judge->watched[i].vaddr);

            for (unsigned level = 0; level <= walk.level; level++)
                if (walk.table[level] - first < size)
                    mmu_fail(mmu, "the table at 0x%" PRIx64 " is freed while it is in the tree for 0x%" PRIx64, first,
                             judge->watched[i].vaddr);
            if (!mmu_latches_root(mmu))
                continue;
            walk = mmu_walk_latched(mmu, &mmu->root[r], judge->watched[i].vaddr);
            for (unsigned level = walk.top; walk.top > 0 && level <= walk.level; level++)
                if (walk.table[level] - first < size)
                    mmu_fail(mmu,
                             "the table at 0x%" PRIx64 " is freed while a CPU has it from the root, for 0x%" PRIx64,
                             first, judge->watched[i].vaddr);
        }
    mmu_seen_forget(mmu, first, size);
}

/* ---- After a flush ----------------------------------------------------------------------------- */

static void check_page(struct judge *judge, const struct watched *at, const struct mmu_tlb_entry *entry)
{
    pt_paddr paddr;
    const struct mmu_page *page = mmu_page_at(entry, at->vaddr, &paddr);
    pt_flags flags = page->flags & ~RECORDED, recorded = page->flags & RECORDED;
    bool rights_are_less = judge->mmu->arch->may_use_faulting_rights && (flags & ~at->want.flags) == 0 &&
                           ((flags ^ at->want.flags) & NOT_RIGHTS & ~PT_USER) == 0;

    if (!page->valid) {
        if (is_present(&at->want))
            mmu_fail(judge->mmu, "0x%" PRIx64 " is mapped, and the TLB still remembers nothing there", at->vaddr);
        return;
    }
    if (!is_present(&at->want) || paddr != at->want.paddr || !(flags == at->want.flags || rights_are_less))
        mmu_fail(judge->mmu,
                 "the TLB still leads 0x%" PRIx64 " to 0x%" PRIx64 " flags 0x%x by 0x%" PRIx64
                 " bytes; wanted " WANT_FORMAT,
                 at->vaddr, paddr, (unsigned)page->flags, entry->size, WANT_ARGUMENTS(at->want));
    if (judge->format.tracks_access && (recorded & ~at->recorded))
        mmu_fail(judge->mmu, "0x%" PRIx64 " is used without a record: the TLB has 0x%x, recorded is 0x%x", at->vaddr,
                 (unsigned)recorded, (unsigned)at->recorded);
}

static void check_remembered(struct judge *judge)
{
    struct mmu *mmu = judge->mmu;

    for (size_t r = 0; r < MMU_ROOTS; r++) {
        if (!is_live(judge, r) || (r > 0 && !judge->copied))
            continue;
        for (size_t i = 0; i < judge->watched_count; i++) {
            const struct watched *at = &judge->watched[i];

            for (size_t t = 0; t < mmu->tlb_count; t++)
                if (mmu_tlb_covers(&mmu->tlb[t], at->vaddr, mmu->root[r].asid))
                    check_page(judge, at, &mmu->tlb[t]);
            if (mmu_latches_root(mmu)) {
                struct mmu_walk walk = mmu_walk_latched(mmu, &mmu->root[r], at->vaddr);

                if (!walk_gives(&walk, at->vaddr, &at->want))
                    mmu_fail(mmu,
                             "a CPU that loaded the root's entries leads 0x%" PRIx64 " " WALK_FORMAT
                             "; wanted " WANT_FORMAT,
                             at->vaddr, WALK_ARGUMENTS(walk), WANT_ARGUMENTS(at->want));
            }
            for (size_t p = 0; p < mmu->pointer_count; p++) {
                struct mmu_walk walk;

                if (mmu->pointer[p].asid != mmu->root[r].asid || !mmu_serves(&mmu->pointer[p], at->vaddr))
                    continue;
                walk = mmu_walk_pointer(mmu, &mmu->pointer[p], at->vaddr);
                if (!walk_gives(&walk, at->vaddr, &at->want))
                    mmu_fail(mmu,
                             "the walk cache still leads 0x%" PRIx64 " through the table at 0x%" PRIx64 " " WALK_FORMAT
                             "; wanted " WANT_FORMAT,
                             at->vaddr, mmu->pointer[p].table, WALK_ARGUMENTS(walk), WANT_ARGUMENTS(at->want));
            }
        }
    }
}

void judge_flush(struct judge *judge)
{
    STORY(judge, "flush: %u ranges%s%s%s", judge->flush.range_count, judge->flush.everything ? ", everything" : "",
          judge->flush.tables_changed ? ", tables" : "", judge->flush.global ? ", global" : "");
    pt_flush(&judge->flush);
    check_remembered(judge);
    look(judge, true);
}

/* ---- After a call ------------------------------------------------------------------------------ */

/* The tables say what the call was to make of them, to the hardware and to pt_query. */
static void check_tables(struct judge *judge)
{
    struct mmu *mmu = judge->mmu;

    for (size_t i = 0; i < judge->watched_count; i++) {
        const struct watched *at = &judge->watched[i];
        pt_flags recorded = judge->format.tracks_access ? at->recorded : 0;
        struct pt_mapping found = {.paddr = 0};
        enum pt_status status = pt_query(&judge->table, at->vaddr, &found);

        for (size_t r = 0; r < MMU_ROOTS; r++) {
            struct mmu_walk walk;

            if (!is_live(judge, r) || (r > 0 && !judge->copied))
                continue;
            walk = mmu_walk_root(mmu, &mmu->root[r], at->vaddr);
            mmu_check_page(mmu, &walk);
            if (!walk_gives(&walk, at->vaddr, &at->want))
                mmu_fail(mmu, "after the call 0x%" PRIx64 " leads " WALK_FORMAT "; wanted " WANT_FORMAT, at->vaddr,
                         WALK_ARGUMENTS(walk), WANT_ARGUMENTS(at->want));
        }
        if (status != (at->want.mapped ? PT_OK : PT_NOT_MAPPED))
            mmu_fail(mmu, "pt_query says %s of 0x%" PRIx64, pt_status_name(status), at->vaddr);
        if (at->want.mapped && (found.paddr != at->want.paddr || (found.flags & ~RECORDED) != at->want.flags))
            mmu_fail(mmu, "pt_query leads 0x%" PRIx64 " to 0x%" PRIx64 " flags 0x%x; wanted " WANT_FORMAT, at->vaddr,
                     found.paddr, (unsigned)found.flags, WANT_ARGUMENTS(at->want));
        if (is_present(&at->want)) {
            struct mmu_walk walk = mmu_walk_root(mmu, &mmu->root[0], at->vaddr);

            if (walk.page_size != found.page_size)
                mmu_fail(mmu, "0x%" PRIx64 " is in a page of 0x%" PRIx64 " bytes, and pt_query says 0x%" PRIx64,
                         at->vaddr, walk.page_size, found.page_size);
        }
        if (at->want.mapped && (found.flags & RECORDED) != recorded)
            mmu_fail(mmu, "0x%" PRIx64 ": the hardware recorded 0x%x, and pt_query says 0x%x", at->vaddr,
                     (unsigned)recorded, (unsigned)(found.flags & RECORDED));
    }
}

uint64_t judge_page_size(const struct judge *judge, pt_vaddr vaddr)
{
    struct pt_mapping found;

    return pt_query(&judge->table, vaddr, &found) == PT_OK ? found.page_size : 0;
}

/* ---- Calls ------------------------------------------------------------------------------------- */

static bool in_call(const struct judge *judge, pt_vaddr vaddr)
{
    return vaddr - judge->call.first <= judge->call.last - judge->call.first;
}

/* Pages of this size take several entries. */
static bool is_group(const struct judge *judge, uint64_t page_size)
{
    return page_size > 0 && format_page_entries(&judge->format, page_size) > 1;
}

static bool has_groups(const struct judge *judge)
{
    FOR_EACH_PAGE_SIZE(size, &judge->format)
        if (is_group(judge, size))
            return true;
    return false;
}

/* [first, last] is what changes, or for split and collapse what takes another page size. */
static void begin(struct judge *judge, enum call_kind kind, pt_vaddr first, pt_vaddr last)
{
    judge->call = (struct call){.kind = kind, .first = first, .last = last};
    judge_calls++;
    for (size_t i = 0; i < judge->watched_count; i++) {
        struct watched *at = &judge->watched[i];
        struct mmu_walk walk = mmu_walk_root(judge->mmu, &judge->mmu->root[0], at->vaddr);

        at->next = at->want;
        at->may_break = false;
        memcpy(at->path, walk.path, sizeof(at->path));
        for (unsigned level = walk.level + 1; level < MMU_MAX_LEVELS; level++)
            at->path[level] = NULL;
        at->page_size = judge_page_size(judge, at->vaddr);
        at->page_first = at->vaddr & ~(at->page_size - 1);
        if (in_call(judge, at->vaddr) && is_group(judge, at->page_size))
            judge->call.group = true;
    }
}

/* `next` is known: who may be untranslated for a moment? */
static void allow_breaks(struct judge *judge)
{
    const pt_flags fixed = PT_DEVICE | PT_UNCACHED | PT_GLOBAL;
    const struct call *call = &judge->call;
    bool reshapes = call->kind == CALL_SPLIT || call->kind == CALL_COLLAPSE;

    if (!judge->mmu->arch->breaks_before_make)
        return;
    for (size_t i = 0; i < judge->watched_count; i++) {
        struct watched *at = &judge->watched[i];
        pt_vaddr page_last = at->page_first + (at->page_size - 1);
        bool overlaps = at->page_size > 0 && at->page_first <= call->last && page_last >= call->first;
        bool contained = overlaps && at->page_first >= call->first && page_last <= call->last;
        bool resized = reshapes ? overlaps : overlaps && !contained && call->kind != CALL_PRUNE;
        /* Nothing of one entry of a group may change before the others do; and groups are what larger pages become. */
        bool grouped = is_group(judge, at->page_size) || (resized && has_groups(judge));
        pt_flags breaking = grouped ? PT_ALL_FLAGS : fixed;
        bool changes = is_present(&at->want) && is_present(&at->next) &&
                       (at->want.paddr != at->next.paddr || ((at->want.flags ^ at->next.flags) & breaking));

        at->may_break = changes || (resized && judge->format.bbm_level < 2);
    }
}

static bool keep_record(void *arg, const struct pt_visit *visit)
{
    struct judge *judge = arg;

    if (!visit->is_leaf || !(visit->mapping.flags & RECORDED))
        return true;
    if (judge->recorded_count == judge->recorded_room) {
        judge->recorded_room = 2 * judge->recorded_room + 64;
        judge->recorded = realloc(judge->recorded, judge->recorded_room * sizeof(*judge->recorded));
        assert_non_null(judge->recorded);
    }
    judge->recorded[judge->recorded_count++] = (struct recorded_page){visit->vaddr, visit->mapping.flags & RECORDED};
    return true;
}

/* One page has one record: what its parts had before, and what was recorded of the watched ones since then. */
static void join_records(struct judge *judge)
{
    for (size_t i = 0; i < judge->watched_count; i++) {
        struct watched *at = &judge->watched[i];
        uint64_t size = judge_page_size(judge, at->vaddr);

        if (size <= at->page_size)
            continue;
        for (size_t j = 0; j < judge->recorded_count; j++)
            if (((judge->recorded[j].vaddr ^ at->vaddr) & ~(size - 1)) == 0)
                at->recorded |= judge->recorded[j].recorded;
        for (size_t j = 0; j < judge->watched_count; j++)
            if (((judge->watched[j].vaddr ^ at->vaddr) & ~(size - 1)) == 0)
                at->recorded |= judge->watched[j].recorded;
    }
}

static enum pt_status end(struct judge *judge, enum pt_status status)
{
    bool done = status == PT_OK;

    STORY(judge, "  -> %s", pt_status_name(status));
    for (size_t i = 0; i < judge->watched_count; i++) {
        struct watched *at = &judge->watched[i];

        if (done)
            at->want = at->next;
        at->next = at->want;
        at->may_break = false;
        if (!at->want.mapped)
            at->recorded = 0;
    }
    if (done && judge->call.kind == CALL_COLLAPSE)
        join_records(judge);
    judge->call.kind = CALL_NONE;
    check_tables(judge);
    return status;
}

pt_paddr frames_of(const struct judge *judge, pt_vaddr vaddr)
{
    return judge->frames + (vaddr - judge->base);
}

static pt_paddr scattered(void *arg, pt_vaddr vaddr)
{
    const struct judge *judge = arg;

    return (vaddr / judge->page % 2 ? judge->other_frames : judge->frames) + (vaddr - judge->base);
}

/* What a mapping makes of the watched addresses; `paddr` is for the first, or there is `get`. */
static void expect_map(struct judge *judge, pt_paddr paddr, pt_paddr (*get)(void *arg, pt_vaddr vaddr), pt_flags flags)
{
    for (size_t i = 0; i < judge->watched_count; i++) {
        struct watched *at = &judge->watched[i];

        if (in_call(judge, at->vaddr))
            at->next = (struct want){.mapped = true,
                                     .paddr = get ? get(judge, at->vaddr) : paddr + (at->vaddr - judge->call.first),
                                     .flags = format_reads_back(&judge->format, flags)};
    }
    allow_breaks(judge);
}

enum pt_status judge_map(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    STORY(judge, "map 0x%" PRIx64 " to 0x%" PRIx64 " page size 0x%" PRIx64 " flags 0x%x", vaddr, paddr, page_size,
          (unsigned)flags);
    begin(judge, CALL_MAP, vaddr, vaddr + (page_size - 1));
    expect_map(judge, paddr, NULL, flags);
    return end(judge, pt_map(&judge->table, vaddr, paddr, page_size, flags, &judge->flush));
}

enum pt_status judge_map_region(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags,
                                unsigned options)
{
    STORY(judge, "map_region 0x%" PRIx64 " size 0x%" PRIx64 " to 0x%" PRIx64 " flags 0x%x options %u", vaddr, size,
          paddr, (unsigned)flags, options);
    begin(judge, CALL_MAP, vaddr, vaddr + (size - 1));
    expect_map(judge, paddr, NULL, flags);
    return end(judge, pt_map_region(&judge->table, vaddr, paddr, size, flags, options, &judge->flush));
}

enum pt_status judge_map_scattered(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags flags, unsigned options)
{
    STORY(judge, "map_region_with 0x%" PRIx64 " size 0x%" PRIx64 " flags 0x%x options %u", vaddr, size, (unsigned)flags,
          options);
    begin(judge, CALL_MAP, vaddr, vaddr + (size - 1));
    expect_map(judge, 0, scattered, flags);
    return end(judge, pt_map_region_with(&judge->table, vaddr, scattered, judge, size, flags, options, &judge->flush));
}

enum pt_status judge_map_large(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, uint64_t size, pt_flags flags)
{
    if (judge->format.page_sizes & size)
        return judge_map(judge, vaddr, paddr, size, flags);
    return judge_map_region(judge, vaddr, paddr, size, flags, PT_ALLOW_HUGE);
}

static void expect_unmap(struct judge *judge)
{
    for (size_t i = 0; i < judge->watched_count; i++)
        if (in_call(judge, judge->watched[i].vaddr))
            judge->watched[i].next = (struct want){.mapped = false};
    allow_breaks(judge);
}

/* The page that holds vaddr, or the address alone. */
static void begin_page(struct judge *judge, enum call_kind kind, pt_vaddr vaddr)
{
    uint64_t size = judge_page_size(judge, vaddr);
    pt_vaddr first = size > 0 ? vaddr & ~(size - 1) : vaddr;

    begin(judge, kind, first, first + (size > 0 ? size - 1 : 0));
}

enum pt_status judge_unmap(struct judge *judge, pt_vaddr vaddr)
{
    struct pt_mapping old = {.flags = 0};
    enum pt_status status;

    STORY(judge, "unmap 0x%" PRIx64, vaddr);
    begin_page(judge, CALL_UNMAP, vaddr);
    expect_unmap(judge);
    status = pt_unmap(&judge->table, vaddr, &old, &judge->flush);
    for (size_t i = 0; status == PT_OK && judge->format.tracks_access && i < judge->watched_count; i++)
        if (in_call(judge, judge->watched[i].vaddr) && (old.flags & RECORDED) != judge->watched[i].recorded)
            mmu_fail(judge->mmu, "pt_unmap reports 0x%x of 0x%" PRIx64 ", recorded was 0x%x",
                     (unsigned)(old.flags & RECORDED), judge->watched[i].vaddr, (unsigned)judge->watched[i].recorded);
    return end(judge, status);
}

enum pt_status judge_unmap_region(struct judge *judge, pt_vaddr vaddr, uint64_t size, unsigned options)
{
    STORY(judge, "unmap_region 0x%" PRIx64 " size 0x%" PRIx64 " options %u", vaddr, size, options);
    begin(judge, CALL_UNMAP, vaddr, vaddr + (size - 1));
    expect_unmap(judge);
    return end(judge, pt_unmap_region(&judge->table, vaddr, size, options, &judge->flush));
}

static void expect_protect(struct judge *judge, pt_flags flags)
{
    for (size_t i = 0; i < judge->watched_count; i++)
        if (in_call(judge, judge->watched[i].vaddr) && judge->watched[i].want.mapped)
            judge->watched[i].next.flags = format_reads_back(&judge->format, flags);
    allow_breaks(judge);
}

enum pt_status judge_protect(struct judge *judge, pt_vaddr vaddr, pt_flags flags)
{
    STORY(judge, "protect 0x%" PRIx64 " flags 0x%x", vaddr, (unsigned)flags);
    begin_page(judge, CALL_PROTECT, vaddr);
    expect_protect(judge, flags);
    return end(judge, pt_protect(&judge->table, vaddr, flags, NULL, &judge->flush));
}

enum pt_status judge_protect_region(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                    unsigned options)
{
    STORY(judge, "protect_region 0x%" PRIx64 " size 0x%" PRIx64 " flags 0x%x options %u", vaddr, size, (unsigned)flags,
          options);
    begin(judge, CALL_PROTECT, vaddr, vaddr + (size - 1));
    expect_protect(judge, flags);
    return end(judge, pt_protect_region(&judge->table, vaddr, size, flags, options, &judge->flush));
}

enum pt_status judge_remap(struct judge *judge, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags)
{
    STORY(judge, "remap 0x%" PRIx64 " to 0x%" PRIx64 " flags 0x%x", vaddr, paddr, (unsigned)flags);
    begin_page(judge, CALL_REMAP, vaddr);
    expect_map(judge, paddr, NULL, flags);
    return end(judge, pt_remap(&judge->table, vaddr, paddr, flags, NULL, &judge->flush));
}

enum pt_status judge_split(struct judge *judge, pt_vaddr vaddr, uint64_t page_size)
{
    STORY(judge, "split 0x%" PRIx64 " to page size 0x%" PRIx64, vaddr, page_size);
    begin_page(judge, CALL_SPLIT, vaddr);
    allow_breaks(judge);
    return end(judge, pt_split(&judge->table, vaddr, page_size, &judge->flush));
}

enum pt_status judge_collapse(struct judge *judge, pt_vaddr vaddr, uint64_t size)
{
    STORY(judge, "collapse 0x%" PRIx64 " size 0x%" PRIx64, vaddr, size);
    begin(judge, CALL_COLLAPSE, vaddr, vaddr + (size - 1));
    judge->recorded_count = 0;
    if (judge->format.tracks_access)
        pt_walk(&judge->table, SIZE_MAX, keep_record, NULL, judge);
    allow_breaks(judge);
    return end(judge, pt_collapse(&judge->table, vaddr, size, &judge->flush));
}

enum pt_status judge_prune(struct judge *judge, pt_vaddr vaddr, uint64_t size)
{
    STORY(judge, "prune 0x%" PRIx64 " size 0x%" PRIx64, vaddr, size);
    begin(judge, CALL_PRUNE, vaddr, vaddr + (size - 1));
    return end(judge, pt_prune(&judge->table, vaddr, size, &judge->flush));
}

/* ---- Clearing records -------------------------------------------------------------------------- */

struct clearing {
    struct judge *judge;
    pt_flags what;
};

static bool on_cleared(void *arg, const struct pt_visit *visit)
{
    struct clearing *clearing = arg;
    struct judge *judge = clearing->judge;

    for (size_t i = 0; i < judge->watched_count; i++) {
        struct watched *at = &judge->watched[i];

        if (at->vaddr - visit->vaddr >= visit->mapping.page_size)
            continue;
        if ((visit->mapping.flags & RECORDED) != at->recorded || !(at->recorded & clearing->what))
            mmu_fail(judge->mmu, "0x%x is reported of 0x%" PRIx64 ", recorded was 0x%x",
                     (unsigned)(visit->mapping.flags & RECORDED), at->vaddr, (unsigned)at->recorded);
        if ((visit->mapping.flags & ~RECORDED) != at->want.flags)
            mmu_fail(judge->mmu, "flags 0x%x are reported of 0x%" PRIx64 ", which has 0x%x",
                     (unsigned)visit->mapping.flags, at->vaddr, (unsigned)at->want.flags);
        at->recorded &= ~clearing->what;
    }
    return true;
}

enum pt_status judge_clear(struct judge *judge, pt_vaddr vaddr, uint64_t size, pt_flags recorded)
{
    struct clearing clearing = {judge, recorded};
    enum pt_status status;

    STORY(judge, "clear %s 0x%" PRIx64 " size 0x%" PRIx64, recorded == PT_DIRTY ? "dirty" : "accessed", vaddr, size);
    begin(judge, CALL_CLEAR, vaddr, vaddr + (size - 1));
    if (recorded == PT_DIRTY)
        status = pt_clear_dirty(&judge->table, vaddr, size, on_cleared, &clearing, &judge->flush);
    else
        status = pt_clear_accessed(&judge->table, vaddr, size, on_cleared, &clearing, &judge->flush);
    return end(judge, status);
}

/* ---- Sharing ----------------------------------------------------------------------------------- */

void judge_share(struct judge *judge, uint32_t asid)
{
    uint64_t unit = format_copy_unit(&judge->format);
    pt_vaddr first = judge->base & ~(unit - 1), last = (judge->base + (judge->window - 1)) | (unit - 1);
    struct pt_flush flush;

    STORY(judge, "share");
    assert_ok(pt_create(&judge->copy, judge->descriptor, &judge->memory->handler, judge->memory));
    pt_set_asid(&judge->copy, asid);
    pt_flush_init(&flush, &judge->copy);
    mmu_set_root(judge->mmu, 1, &judge->copy, asid == PT_NO_ASID ? 0 : asid);
    look(judge, true);
    begin(judge, CALL_COPY, first, last);
    assert_ok(pt_copy_from(&judge->copy, &judge->table, first, last - first + 1, &flush));
    judge->copied = true;
    end(judge, PT_OK);
    pt_flush(&flush);
    check_remembered(judge);
    look(judge, true);
    /* From now on the source owes for the copy as well. */
    judge_flush(judge);
    pt_flush_init(&judge->flush, &judge->table);
}

/* ---- Accesses on purpose ----------------------------------------------------------------------- */

static struct watched *watched_at(struct judge *judge, pt_vaddr vaddr)
{
    for (size_t i = 0; i < judge->watched_count; i++)
        if (judge->watched[i].vaddr == vaddr)
            return &judge->watched[i];
    fail_msg("0x%" PRIx64 " is not watched", vaddr);
    return NULL;
}

void judge_access(struct judge *judge, pt_vaddr vaddr, bool write)
{
    struct mmu_walk walk = mmu_walk_root(judge->mmu, &judge->mmu->root[0], vaddr);

    fetch(judge, &walk, watched_at(judge, vaddr), judge->mmu->root[0].asid, write);
}

pt_flags judge_recorded(const struct judge *judge, pt_vaddr vaddr)
{
    return watched_at((struct judge *)(uintptr_t)judge, vaddr)->recorded;
}

/* ---- Beginning and end ------------------------------------------------------------------------- */

/* The measures of the window, and where it is. */
static void place_window(struct judge *judge, enum judge_place place)
{
    const struct pt_format *format = &judge->format;
    uint64_t above = format->levels > 2 ? format_entry_size(format, format->levels - 3u) : 0;

    judge->page = format_smallest(format);
    judge->block = format_leaf_table(format);
    judge->largest = judge->page;
    judge->size_count = 0;
    FOR_EACH_PAGE_SIZE(size, format) {
        if (above != 0 && format_step(format, size) > above)
            break;
        assert_true(judge->size_count < JUDGE_SIZES - 1);
        judge->size[judge->size_count++] = judge->largest = size;
    }
    judge->large = judge->largest;
    if (judge->large < 16 * judge->block) {
        judge->large = 16 * judge->block;
        judge->size[judge->size_count++] = judge->large;
    }
    judge->window = 2 * judge->large;
    judge->frames = UINT64_C(1) << (format->pa_bits - 2);
    judge->other_frames = judge->frames + (UINT64_C(1) << (format->pa_bits - 3));

    if (place == JUDGE_UPPER)
        judge->base = format_last_page(format, judge->window);
    else if (above > judge->window) /* half of it on either side of where a table above the last level ends */
        judge->base = 8 * above - judge->large;
    else
        judge->base = 4 * judge->window;
    if (judge->base > format_lower_last(format) && place == JUDGE_LOWER)
        judge->base = above - judge->large;
}

static void watch(struct judge *judge, uint64_t block, uint64_t page)
{
    assert_true(judge->watched_count < MAX_WATCHED);
    judge->watched[judge->watched_count++] =
        (struct watched){.vaddr = judge->base + block * judge->block + page * judge->page, .hungry = true};
}

/* First, second and last pages of first, second and last blocks, and some between: every boundary has two sides. */
static void watch_window(struct judge *judge)
{
    const uint64_t last_block = judge->large / judge->block - 1, last_page = judge->block / judge->page - 1;
    const uint64_t blocks[] = {0, 1, 2, last_block}, pages[] = {0, 1, 2, 7, last_page - 1, last_page};
    const struct {
        uint64_t block, page;
    } more[] = {{0, 0}, {0, 1}, {0, last_page}, {1, 0}, {1, 5}, {last_block, 0}, {last_block, last_page}};

    judge->watched_count = 0;
    for (size_t i = 0; i < TESTS_COUNT(blocks); i++)
        for (size_t j = 0; j < TESTS_COUNT(pages); j++)
            watch(judge, blocks[i], pages[j]);
    for (size_t i = 0; i < TESTS_COUNT(more); i++)
        watch(judge, last_block + 1 + more[i].block, more[i].page);
    for (size_t i = 0; i < judge->size_count; i++)
        if (is_group(judge, judge->size[i]) && judge->size[i] < judge->large) {
            uint64_t page = judge->size[i] / judge->page;

            watch(judge, 0, page - 1);
            watch(judge, 0, page);
        }
}

static void judge_stop(struct judge *judge)
{
    judge->watching = false;
    if (!judge->memory)
        return;
    if (judge->failed) {
        judge->memory->taken = 0; /* in the middle of something: nobody tidies up any more */
    } else {
        pt_flush_ignore(&judge->flush);
        pt_destroy(&judge->copy);
        pt_destroy(&judge->table);
    }
    memory_end(judge->memory);
    free(judge->memory);
    judge->memory = NULL;
}

/* Apart from the frames that are mapped. */
static pt_paddr memory_base(const struct pt_format *format)
{
    return format->pa_bits <= 32 ? PT_512M : format_memory_base(format);
}

void judge_start(struct judge *judge, const struct pt_format *format, enum judge_place place, uint32_t asid)
{
    judge_stop(judge);
    judge->format = *format;
    judge->memory = calloc(1, sizeof(*judge->memory));
    assert_non_null(judge->memory);
    memory_init(judge->memory, memory_base(format), MEMORY_FRAMES);
    judge->memory->on_flush = on_flush;
    judge->memory->on_flush_arg = judge;
    judge->memory->on_dealloc = on_dealloc;
    judge->memory->on_dealloc_arg = judge;

#ifdef PT_ONLY_FORMAT /* no copies then */
    judge->descriptor = format;
#else
    judge->descriptor = &judge->format;
#endif
    assert_ok(pt_create(&judge->table, judge->descriptor, &judge->memory->handler, judge->memory));
    pt_set_asid(&judge->table, asid);
    pt_flush_init(&judge->flush, &judge->table);
    mmu_init(judge->mmu, &judge->format, judge->name, judge->memory);
    judge->mmu->tell = tell;
    judge->mmu->tell_arg = judge;
    mmu_set_root(judge->mmu, 0, &judge->table, asid == PT_NO_ASID ? 0 : asid);

    place_window(judge, place);
    judge->copied = judge->restless = false;
    judge->random = (struct random){1};
    judge->call = (struct call){.kind = CALL_NONE};
    judge->told = 0;
    judge->seed = 0;
    watch_window(judge);
    on_duty = judge;
    judge->watching = true;
    look(judge, true);
}

void judge_make_restless(struct judge *judge)
{
    judge->restless = true;
    for (size_t i = 0; i < judge->watched_count; i++)
        judge->watched[i].hungry = false;
}

int judge_set_up(void **state)
{
    const struct pt_format *format = *state;
    struct judge *judge = calloc(1, sizeof(*judge));

    assert_non_null(judge);
    judge->mmu = calloc(1, sizeof(*judge->mmu));
    assert_non_null(judge->mmu);
    judge->name = format_facts(format)->name;
    *state = judge;
    judge_start(judge, format, JUDGE_LOWER, PT_NO_ASID);
    return 0;
}

int judge_tear_down(void **state)
{
    struct judge *judge = *state;

    judge_stop(judge);
    on_duty = NULL;
    free(judge->recorded);
    free(judge->mmu);
    free(judge);
    return 0;
}
