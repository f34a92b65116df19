/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer's target. The first byte chooses a format, the rest says what is called on two tables, of which the
 * second may borrow from the first, what an allocator does while it serves, and when it has nothing. Each call is
 * compared with the judge's answer; see the checks below.
 */
#include "fuzz.h"

#include "../exhaustive/fake_format.h"
#include "judge.h"
#include "memory.h"
#include "snapshot.h"

#define FRAMES 512
#define STEPS_AT_MOST 300
#define STEPS_PER_LOOK 16
#define FLUSHES_KEPT 64
#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)

struct input {
    const uint8_t *data;
    size_t size, at;
};

static uint8_t next_byte(struct input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

struct side {
    struct page_table table;
    struct pt_flush flush;
    struct judge judge;
    bool must_flush; /* tables have been retired since the last invalidation */
};

struct run_of_fuzz {
    struct input input;
    struct pt_format format;
    struct memory memory;
    struct side sides[2];

    /* What flush_tlb was given in the call that is being made. */
    const struct side *calling;
    struct pt_flush flushes[FLUSHES_KEPT];
    size_t flush_count;
    bool meddles;
    size_t meddled, meddled_in_vain;
};

#define REFUTE(condition, ...)                                                                                         \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            print_error(__VA_ARGS__);                                                                                  \
            print_error("\n");                                                                                         \
            _fail(__FILE__, __LINE__);                                                                                 \
        }                                                                                                              \
    } while (0)

/* ---- Formats ---------------------------------------------------------------------------------------- */

/*
 * The judge knows pages of one entry, tables of one frame each, and copies of single root entries; and its memory is
 * above 4 GiB.
 */
static bool judge_knows(const struct pt_format *format)
{
    FOR_EACH_PAGE_SIZE(size, format)
        if (format_page_entries(format, size) > 1)
            return false;
    return format_table_frames(format) == 1 && format_tables_in_frame(format) == 1 &&
           format_shared_entries(format) == 1 && format_memory_base(format) == MEMORY_BASE;
}

/* The n-th format, or the next one behind it that the judge knows. */
static const struct pt_format *nth_format(size_t n)
{
    while (!judge_knows(formats[n % formats_count]))
        n++;
    return formats[n % formats_count];
}

static struct pt_format choose_format(uint8_t choice)
{
    const struct pt_format *const plain[] = {&pt_x86_64, &pt_aarch64, &pt_sv39, &pt_sv48, &pt_loongarch64};
    struct pt_format format;

    switch (choice % 8) {
    case 5:
        format = fake_8;
        format.index_bits = choice & 8 ? 2 : 1;
        format.levels = choice & 16 ? 4 : 3;
        format.va_bits = (uint8_t)(12 + format.index_bits * format.levels + (choice & 32 ? 1 : 0));
        break;
    case 6:
        format = fake_4;
        format.index_bits = choice & 8 ? 3 : 1;
        format.va_bits = (uint8_t)(12 + format.index_bits * format.levels + (choice & 32 ? 1 : 0));
        break;
    case 7:
        format = fake_8_strict;
        format.index_bits = choice & 8 ? 2 : 1;
        format.va_bits = (uint8_t)(12 + format.index_bits * format.levels);
        break;
    default:
        /* One of those that the judge knows as it is, or one of the plain ones, narrowed. */
        if (choice & 128)
            return *nth_format(choice % 8u + choice / 8u % 16u * 5u);
        format = *plain[choice % 8];
        if (choice & 8)
            format.pa_bits = 40;
        if (choice & 16)
            format.tracks_access = false;
        if (choice & 32)
            format.page_sizes = format_smallest(&format) | format_larger(&format, format_smallest(&format));
        if (choice & 64)
            format.bbm_level = 2;
        return format;
    }
    format.page_sizes = 0;
    for (unsigned level = 0; level < format.levels; level++)
        format.page_sizes |= format_entry_size(&format, level);
    format.address_space = choice & 64 ? PT_SIGN_EXTENDED : choice & 32 ? PT_EITHER_HALF : PT_ZERO_EXTENDED;
    format.tracks_access = choice & 128;
    format.bbm_level = choice & 16 ? 2 : 0;
    return format;
}

/* ---- Arguments -------------------------------------------------------------------------------------- */

/* An address out of few, so that calls meet each other's pages: the ends of tables, at every level. */
static pt_vaddr some_vaddr(struct run_of_fuzz *run)
{
    const struct pt_format *format = &run->format;
    unsigned choice = next_byte(&run->input);
    uint64_t where = 0;
    pt_vaddr vaddr;

    for (unsigned level = 0; level < format->levels; level++, choice >>= 2) {
        uint64_t entries = level == 0 ? format_root_entries(format) : format_entries(format);
        const uint64_t choices[] = {0, 1, level == 0 ? entries / 2 : entries - 2, entries - 1};

        where += choices[choice & 3] % entries * format_entry_size(format, level);
    }
    vaddr = where;
    if (format->address_space == PT_SIGN_EXTENDED && where > format_lower_last(format))
        vaddr |= format_upper_first(format);
    return vaddr;
}

static pt_vaddr wild_vaddr(struct run_of_fuzz *run)
{
    pt_vaddr vaddr = 0;

    for (unsigned i = 0; i < 8; i++)
        vaddr = vaddr << 8 | next_byte(&run->input);
    return vaddr;
}

static uint64_t some_page_size(struct run_of_fuzz *run)
{
    unsigned choice = next_byte(&run->input);

    return choice == 0xff ? 3 * PT_4K
                          : format_entry_size(&run->format, run->format.levels - 1 - choice % 4 % run->format.levels);
}

static uint64_t some_size(struct run_of_fuzz *run)
{
    unsigned choice = next_byte(&run->input);
    uint64_t smallest = format_smallest(&run->format);
    unsigned level = run->format.levels - 1 - (choice & 3) % run->format.levels;
    uint64_t size = format_entry_size(&run->format, level) * (1 + ((choice >> 2) & 7));

    size -= choice & 32 ? smallest : 0;
    size += choice & 64 ? smallest : 0;
    return choice & 128 && choice & 32 && choice & 64 ? size + 1 : size;
}

static pt_paddr some_paddr(struct run_of_fuzz *run, pt_vaddr vaddr)
{
    uint64_t largest = format_largest(&run->format);
    unsigned choice = next_byte(&run->input);
    pt_paddr paddr = (choice & 3) * 8 * largest + vaddr % largest / PT_4K * PT_4K;

    if (choice == 0xff)
        return format_paddr_last(&run->format) + 1 - largest;
    paddr += choice & 8 ? format_smallest(&run->format) : 0;
    return choice == 0xf7 ? paddr + 1 : paddr;
}

static pt_flags some_flags(struct run_of_fuzz *run)
{
    unsigned choice = next_byte(&run->input);

    return choice == 0xff ? 1u << 9 : choice & PT_ALL_FLAGS;
}

static unsigned some_options(struct run_of_fuzz *run)
{
    unsigned choice = next_byte(&run->input);

    return choice == 0xff ? 8 : choice & 7;
}

/* Frames in pieces: every so many pages another piece. */
struct scatter {
    pt_vaddr from;
    pt_paddr paddr;
    uint64_t piece, gap;
};

static pt_paddr scattered(void *arg, pt_vaddr vaddr)
{
    const struct scatter *scatter = arg;

    return scatter->paddr + (vaddr - scatter->from) + (vaddr - scatter->from) / scatter->piece * scatter->gap;
}

/* ---- What is owed ----------------------------------------------------------------------------------- */

static bool range_covers(const struct pt_format *format, const struct pt_flush *flush, uint64_t where,
                         uint64_t page_size, uint64_t *end)
{
    for (unsigned i = 0; i < flush->range_count; i++) {
        uint64_t from = format_translated(format, flush->ranges[i].vaddr);

        if (from <= where && where < from + flush->ranges[i].size && flush->ranges[i].page_size <= page_size) {
            *end = from + flush->ranges[i].size;
            return true;
        }
    }
    return false;
}

/* Pages of page_size of [where, where + size) are named by what is owed now, or was invalidated in this call. */
static bool is_covered(const struct run_of_fuzz *run, const struct pt_flush *owed, uint64_t where, uint64_t size,
                       uint64_t page_size, bool global)
{
    uint64_t end = where + size;

    while (where < end) {
        uint64_t next = where;
        bool covered = (owed->global || !global || owed->everything) &&
                       (owed->everything || range_covers(&run->format, owed, where, page_size, &next));

        if (covered && owed->everything)
            return true;
        for (size_t i = 0; !covered && i < run->flush_count; i++) {
            if (run->flushes[i].everything)
                return true;
            covered = (run->flushes[i].global || !global) &&
                      range_covers(&run->format, &run->flushes[i], where, page_size, &next);
        }
        if (!covered)
            return false;
        where = next;
    }
    return true;
}

static const struct run *run_behind(const struct runs *runs, size_t *hint, uint64_t where)
{
    while (*hint < runs->count && runs->run[*hint].where + runs->run[*hint].length <= where)
        ++*hint;
    return *hint < runs->count ? &runs->run[*hint] : NULL;
}

/* Where both runs are, they translate the same in the same way. */
static bool same_pages(const struct run *a, const struct run *b)
{
    return a->page_size == b->page_size && a->paddr - a->where == b->paddr - b->where &&
           ((a->flags ^ b->flags) & PT_ALL_FLAGS) == 0;
}

/* What was usable in `before` and is not the same in `after` must be covered. */
static void check_gone(const struct run_of_fuzz *run, const struct pt_flush *owed, const struct runs *before,
                       const struct runs *after, bool also_usable_in_after)
{
    size_t hint = 0;

    for (size_t i = 0; i < before->count; i++) {
        const struct run *old = &before->run[i];
        uint64_t end = old->where + old->length, next;

        if (!(old->flags & RIGHTS))
            continue;
        for (uint64_t where = old->where; where < end; where = next) {
            const struct run *new = run_behind(after, &hint, where);
            bool is_there = new && new->where <= where;

            next = end;
            if (new && !is_there &&new->where < end)
                next = new->where;
            if (is_there && new->where + new->length < end)
                next = new->where + new->length;
            if (is_there && (also_usable_in_after ? (new->flags &RIGHTS) != 0 : same_pages(old, new)))
                continue;
            /* As <pagetable/hw.h> does: where unused entries are remembered, changed tables take all. */
            if (also_usable_in_after && owed->tables_changed)
                continue;
            REFUTE(!is_covered(run, owed, where, next - where, old->page_size, old->flags & PT_GLOBAL),
                   "the flush does not cover [0x%" PRIx64 ", 0x%" PRIx64 ") of pages of 0x%" PRIx64 ", flags 0x%x",
                   where, next, old->page_size, (unsigned)old->flags);
        }
    }
}

/* What was owed before is still owed, if it was not paid in the call. */
static void check_kept(const struct run_of_fuzz *run, const struct pt_flush *before, const struct pt_flush *now)
{
    if (run->flush_count > 0)
        return;
    REFUTE((before->everything && !now->everything) || (before->global && !now->global) ||
               (before->tables_changed && !now->tables_changed) || (before->barrier && !now->barrier) ||
               (before->retired != PT_NO_FRAME && now->retired == PT_NO_FRAME),
           "the flush forgot something");
    for (unsigned i = 0; i < before->range_count && !now->everything; i++)
        REFUTE(!is_covered(run, now, format_translated(&run->format, before->ranges[i].vaddr), before->ranges[i].size,
                           before->ranges[i].page_size, false),
               "the flush forgot the range at 0x%" PRIx64, before->ranges[i].vaddr);
}

static void on_flush(void *arg, const struct pt_flush *flush)
{
    struct run_of_fuzz *run = arg;

    for (unsigned i = 0; i < 2; i++)
        if (flush == &run->sides[i].flush)
            run->sides[i].must_flush = false;
    if (!run->calling || flush != &run->calling->flush)
        return;
    REFUTE(run->flush_count == FLUSHES_KEPT * 1024, "flush_tlb is called without end");
    if (run->flush_count < FLUSHES_KEPT)
        run->flushes[run->flush_count++] = *flush;
    else
        run->flushes[FLUSHES_KEPT - 1].everything = true; /* too many to keep */
}

/* ---- Looking ---------------------------------------------------------------------------------------- */

struct walker {
    const struct run_of_fuzz *run;
    const struct side *side;
    struct runs all;
    size_t index;
    uint64_t done; /* bytes of that run that have been visited */
    size_t tables; /* visited that are the side's own */
    size_t depth;
};

static bool walk_into(void *arg, const struct pt_visit *visit)
{
    struct walker *walker = arg;
    const struct run *run = &walker->all.run[walker->index];
    uint64_t where = format_translated(&walker->run->format, visit->vaddr);

    walker->depth++;
    REFUTE(visit->vaddr != judge_canonical(&walker->side->judge, where), "pt_walk: address 0x%" PRIx64, visit->vaddr);
    if (!visit->is_leaf) {
        walker->tables += !judge_is_borrowed(&walker->side->judge, visit->vaddr);
        return true;
    }
    REFUTE(walker->index == walker->all.count, "pt_walk: nothing should be at 0x%" PRIx64, visit->vaddr);
    REFUTE(where != run->where + walker->done || visit->mapping.page_size != run->page_size ||
               visit->mapping.paddr != run->paddr + walker->done || visit->mapping.flags != run->flags,
           "pt_walk: 0x%" PRIx64 " to 0x%" PRIx64 ", size 0x%" PRIx64 ", flags 0x%x; expected 0x%" PRIx64
           " to 0x%" PRIx64 ", size 0x%" PRIx64 ", flags 0x%x",
           where, visit->mapping.paddr, visit->mapping.page_size, (unsigned)visit->mapping.flags,
           run->where + walker->done, run->paddr + walker->done, run->page_size, (unsigned)run->flags);
    walker->done += run->page_size;
    if (walker->done == run->length) {
        walker->index++;
        walker->done = 0;
    }
    return true;
}

static bool walk_out(void *arg, const struct pt_visit *visit)
{
    struct walker *walker = arg;

    (void)visit;
    REFUTE(walker->depth == 0, "pt_walk: left what was not visited");
    walker->depth--;
    return true;
}

static bool is_fake(const struct pt_format *format)
{
    return format->operations == fake_8.operations || format->operations == fake_4.operations ||
           format->operations == fake_8_strict.operations;
}

/* The whole table; returns the frames that it takes. */
static size_t look_at_all(const struct run_of_fuzz *run, const struct side *side)
{
    struct walker walker = {.run = run, .side = side};

    judge_all(&side->judge, &walker.all);
    pt_walk(&side->table, SIZE_MAX, walk_into, walk_out, &walker);
    REFUTE(walker.index != walker.all.count, "pt_walk: left out 0x%" PRIx64, walker.all.run[walker.index].where);
    REFUTE(walker.depth != 0, "pt_walk: entered more than it left");
    runs_end(&walker.all);
    /* The roots of the fake formats are tiny. */
    return walker.tables + 1;
}

static void look_at(const struct side *side, pt_vaddr vaddr)
{
    struct pt_mapping wanted = {.paddr = 0}, found = {.paddr = 0};
    enum pt_status status = judge_query(&side->judge, vaddr, &wanted), answer = pt_query(&side->table, vaddr, &found);

    REFUTE(status != answer || wanted.paddr != found.paddr || wanted.page_size != found.page_size ||
               wanted.flags != found.flags,
           "pt_query of 0x%" PRIx64 ": %s, 0x%" PRIx64 ", size 0x%" PRIx64 ", flags 0x%x; expected %s, 0x%" PRIx64
           ", size 0x%" PRIx64 ", flags 0x%x",
           vaddr, pt_status_name(answer), found.paddr, found.page_size, (unsigned)found.flags, pt_status_name(status),
           wanted.paddr, wanted.page_size, (unsigned)wanted.flags);
}

static void look_around(struct run_of_fuzz *run)
{
    size_t frames = look_at_all(run, &run->sides[0]) + look_at_all(run, &run->sides[1]);

    REFUTE(run->memory.taken < frames, "%zu frames are out, and the tables take %zu", run->memory.taken, frames);
    if (run->sides[0].flush.retired == PT_NO_FRAME && run->sides[1].flush.retired == PT_NO_FRAME)
        REFUTE(run->memory.taken != frames, "%zu frames are out, and the tables take %zu", run->memory.taken, frames);
}

static void flush_now(struct run_of_fuzz *run, struct side *side, bool ignore)
{
    bool owes = side->flush.range_count > 0 || side->flush.everything;

    REFUTE(side->must_flush && !owes, "tables are retired, and nothing is to be invalidated");
    if (ignore || !owes)
        memory_release(&run->memory);
    if (ignore) {
        pt_flush_ignore(&side->flush);
        side->must_flush = false;
    } else {
        pt_flush(&side->flush);
    }
    REFUTE(side->flush.retired != PT_NO_FRAME || side->flush.range_count != 0 || side->flush.everything ||
               side->flush.tables_changed || side->flush.barrier || side->flush.global,
           "after pt_flush something is still owed");
}

/* ---- The hardware ----------------------------------------------------------------------------------- */

#define X86_P UINT64_C(1)
#define X86_RW UINT64_C(2)
#define X86_A UINT64_C(0x20)
#define X86_D UINT64_C(0x40)
#define X86_PS UINT64_C(0x80)
#define X86_ADDRESS UINT64_C(0x000ffffffffff000)

/* Sets accessed, and dirty, as the MMU of the format does; returns what it has marked. */
static pt_flags touch(struct run_of_fuzz *run, const struct side *side, pt_vaddr vaddr, bool write)
{
    const struct pt_format *format = &run->format;
    pt_paddr table = pt_root(&side->table);

#ifndef PT_ONLY_FORMAT
    if (!is_fake(format) && format->operations != pt_x86_64.operations)
        return 0;
#endif
    for (unsigned level = 0;; level++) {
        uint64_t entries = level == 0 ? format_root_entries(format) : format_entries(format);
        uint64_t index = vaddr / format_entry_size(format, level) % entries;
        bool last = level == format->levels - 1u;
        size_t width = is_fake(format) ? fake_entry_size(format) : 8;
        char *slot = (char *)memory_phys_to_virt(&run->memory, table) + index * width;
        uint64_t raw = 0;
        uint32_t narrow;

        if (width == 4) {
            memcpy(&narrow, slot, sizeof(narrow));
            raw = narrow;
        } else {
            memcpy(&raw, slot, sizeof(raw));
        }
        if (is_fake(format)) {
            struct fake_entry entry = fake_read(format, raw, last);

            table = entry.paddr;
            if (entry.kind == FAKE_TABLE)
                continue;
            if (entry.kind != FAKE_LEAF || !(entry.flags & (write ? PT_WRITE : RIGHTS)))
                return 0;
            raw = fake_touch(format, raw, write);
        } else {
            table = raw & X86_ADDRESS & ~format->table_bits;
            if ((raw & X86_P) && !last && !(raw & X86_PS))
                continue;
            if (!(raw & X86_P) || (write && !(raw & X86_RW)))
                return 0;
            raw |= write ? X86_A | X86_D : X86_A;
        }
        narrow = (uint32_t)raw;
        memcpy(slot, width == 4 ? (void *)&narrow : (void *)&raw, width);
        return write ? PT_ACCESSED | PT_DIRTY : PT_ACCESSED;
    }
}

/* ---- An allocator that changes the tables ------------------------------------------------------------ */

static void meddle(void *arg, struct memory *memory)
{
    struct run_of_fuzz *run = arg;
    struct side *side;
    struct pt_flush flush;
    struct pt_mapping old, told;
    enum pt_status status, expected;
    uint64_t page_size;
    unsigned choice;
    size_t failed;
    pt_vaddr vaddr;
    pt_paddr paddr;

    if (!run->meddles || run->meddled >= 8)
        return;
    choice = next_byte(&run->input);
    side = &run->sides[choice & 1];
    failed = memory->attempts - memory->allocations;
    run->meddled++;
    vaddr = some_vaddr(run);
    pt_flush_init(&flush, &side->table);
    switch ((choice >> 1) % 4) {
    case 0:
    case 1:
        page_size = some_page_size(run);
        vaddr -= vaddr % page_size;
        paddr = some_paddr(run, vaddr);
        status = pt_map(&side->table, vaddr, paddr, page_size, PT_READ, &flush);
        expected = status == PT_NO_MEMORY ? status : judge_map(&side->judge, vaddr, paddr, page_size, PT_READ);
        break;
    case 2:
        status = pt_unmap(&side->table, vaddr, &told, &flush);
        expected = judge_unmap(&side->judge, vaddr, &old);
        break;
    default:
        page_size = some_page_size(run);
        status = pt_split(&side->table, vaddr, page_size, &flush);
        expected = status == PT_NO_MEMORY ? status : judge_split(&side->judge, vaddr, page_size);
        break;
    }
    REFUTE(status != expected, "in alloc_frames: %s, expected %s", pt_status_name(status), pt_status_name(expected));
    REFUTE(status == PT_NO_MEMORY && memory->attempts - memory->allocations == failed, "PT_NO_MEMORY for no reason");
    run->meddled_in_vain += memory->attempts - memory->allocations - failed;
    pt_flush(&flush);
}

/* ---- The calls -------------------------------------------------------------------------------------- */

struct call {
    unsigned kind;
    struct side *side, *other;
    pt_vaddr vaddr;
    pt_paddr paddr;
    uint64_t size, page_size;
    pt_flags flags;
    unsigned options;
    struct scatter scatter;
    /* What the calls tell, and what the judge says of it. */
    struct pt_mapping old, told;
    uint64_t old_size, told_size;
};

enum {
    MAP,
    UNMAP,
    PROTECT,
    REMAP,
    MAP_REGION,
    MAP_REGION_WITH,
    UNMAP_REGION,
    PROTECT_REGION,
    SPLIT,
    COLLAPSE,
    PRUNE,
    COPY_FROM,
    CLEAR_ACCESSED,
    CLEAR_DIRTY,
    KINDS
};

static enum pt_status make_call(struct call *call)
{
    struct page_table *table = &call->side->table;
    struct pt_flush *flush = &call->side->flush;

    switch (call->kind) {
    case MAP:
        return pt_map(table, call->vaddr, call->paddr, call->page_size, call->flags, flush);
    case UNMAP:
        return pt_unmap(table, call->vaddr, &call->told, flush);
    case PROTECT:
        return pt_protect(table, call->vaddr, call->flags, &call->told_size, flush);
    case REMAP:
        return pt_remap(table, call->vaddr, call->paddr, call->flags, &call->told_size, flush);
    case MAP_REGION:
        return pt_map_region(table, call->vaddr, call->paddr, call->size, call->flags, call->options, flush);
    case MAP_REGION_WITH:
        return pt_map_region_with(table, call->vaddr, scattered, &call->scatter, call->size, call->flags, call->options,
                                  flush);
    case UNMAP_REGION:
        return pt_unmap_region(table, call->vaddr, call->size, call->options, flush);
    case PROTECT_REGION:
        return pt_protect_region(table, call->vaddr, call->size, call->flags, call->options, flush);
    case SPLIT:
        return pt_split(table, call->vaddr, call->page_size, flush);
    case COLLAPSE:
        return pt_collapse(table, call->vaddr, call->size, flush);
    case PRUNE:
        return pt_prune(table, call->vaddr, call->size, flush);
    case COPY_FROM:
        return pt_copy_from(table, &call->other->table, call->vaddr, call->size, flush);
    case CLEAR_ACCESSED:
        return pt_clear_accessed(table, call->vaddr, call->size, NULL, NULL, flush);
    default:
        return pt_clear_dirty(table, call->vaddr, call->size, NULL, NULL, flush);
    }
}

static enum pt_status judge_call(struct call *call, enum pt_status *as_good)
{
    struct judge *judge = &call->side->judge;
    enum pt_status status;

    switch (call->kind) {
    case MAP:
        status = judge_map(judge, call->vaddr, call->paddr, call->page_size, call->flags);
        break;
    case UNMAP:
        status = judge_unmap(judge, call->vaddr, &call->old);
        break;
    case PROTECT:
        status = judge_protect(judge, call->vaddr, call->flags, &call->old_size);
        break;
    case REMAP:
        status = judge_remap(judge, call->vaddr, call->paddr, call->flags, &call->old_size);
        break;
    case MAP_REGION:
        return judge_map_region(judge, call->vaddr, call->paddr, NULL, NULL, call->size, call->flags, call->options,
                                as_good);
    case MAP_REGION_WITH:
        return judge_map_region(judge, call->vaddr, 0, scattered, &call->scatter, call->size, call->flags,
                                call->options, as_good);
    case UNMAP_REGION:
    case PROTECT_REGION:
        status = judge_change_region(judge, call->vaddr, call->size, call->kind == PROTECT_REGION,
                                     call->kind == PROTECT_REGION ? call->flags : 0, call->options);
        break;
    case SPLIT:
        status = judge_split(judge, call->vaddr, call->page_size);
        break;
    case COLLAPSE:
        status = judge_collapse(judge, call->vaddr, call->size);
        break;
    case PRUNE:
        status = judge_prune(judge, call->vaddr, call->size);
        break;
    case COPY_FROM:
        status = judge_copy_from(judge, &call->other->judge, call->vaddr, call->size);
        break;
    case CLEAR_ACCESSED:
        status = judge_clear(judge, call->vaddr, call->size, PT_ACCESSED);
        break;
    default:
        status = judge_clear(judge, call->vaddr, call->size, PT_DIRTY);
        break;
    }
    *as_good = status;
    return status;
}

/* What can be seen of the table as the judge has it. */
static void visible(const struct call *call, struct runs *runs)
{
    if (call->kind == COPY_FROM)
        judge_all(&call->side->judge, runs);
    else
        runs_copy(runs, &call->side->judge.runs);
}

static void check_flush(const struct run_of_fuzz *run, const struct call *call, const struct pt_flush *before,
                        const struct runs *old)
{
    const struct pt_flush *owed = &call->side->flush;
    struct runs new;

    visible(call, &new);
    check_kept(run, before, owed);
    check_gone(run, owed, old, &new, false);
    if (run->format.new_mapping_owes == PT_OWES_FLUSH)
        check_gone(run, owed, &new, old, true);
    runs_end(&new);
}

static size_t count_first(const struct call *call, enum pt_status *status)
{
    size_t count = SIZE_MAX;

    *status = PT_OK;
    if (call->kind == MAP_REGION)
        *status = pt_count_tables(&call->side->table, call->vaddr, call->paddr, call->size, call->flags, call->options,
                                  &count);
    return count;
}

/* PT_FUZZ_TRACE=1 shows what an input does. */
static void trace(const struct run_of_fuzz *run, const struct call *call, enum pt_status status)
{
    static const char *const names[KINDS] = {
        "map",
        "unmap",
        "protect",
        "remap",
        "map_region",
        "map_region_with",
        "unmap_region",
        "protect_region",
        "split",
        "collapse",
        "prune",
        "copy_from",
        "clear_accessed",
        "clear_dirty",
    };

    if (!getenv("PT_FUZZ_TRACE"))
        return;
    fprintf(stderr,
            "%s, table %td: %s 0x%" PRIx64 " to 0x%" PRIx64 ", size 0x%" PRIx64 ", page size 0x%" PRIx64
            ", flags 0x%x, options %u: %s; %zu flushes, %zu times meddled; owed:",
            run->format.name, call->side - run->sides, names[call->kind], call->vaddr, call->paddr, call->size,
            call->page_size, (unsigned)call->flags, call->options, pt_status_name(status), run->flush_count,
            run->meddled);
    for (unsigned i = 0; i < call->side->flush.range_count; i++)
        fprintf(stderr, " 0x%" PRIx64 "+0x%" PRIx64 "/0x%" PRIx64, call->side->flush.ranges[i].vaddr,
                call->side->flush.ranges[i].size, call->side->flush.ranges[i].page_size);
    fprintf(stderr, "%s%s\n", call->side->flush.everything ? " everything" : "",
            call->side->flush.global ? " global" : "");
}

uint64_t fuzz_calls;

static void try_call(struct run_of_fuzz *run, struct call *call)
{
    struct side *side = call->side;
    struct pt_flush before = side->flush;
    struct page_table fields = side->table;
    struct memory *memory = &run->memory;
    size_t taken = memory->taken, allocations = memory->allocations, failed = memory->attempts - allocations, count;
    enum pt_status status, expected, as_good, counted;
    struct runs old;

    fuzz_calls++;
    run->calling = side;
    run->flush_count = run->meddled = run->meddled_in_vain = 0;
    count = count_first(call, &counted);
    memory_hold(memory);
    status = make_call(call);
    run->calling = NULL;
    trace(run, call, status);
    failed = memory->attempts - memory->allocations - failed;

    if (status == PT_NO_MEMORY) {
        REFUTE(failed == run->meddled_in_vain, "PT_NO_MEMORY for no reason");
        expected = status;
    } else {
        visible(call, &old);
        expected = judge_call(call, &as_good);
        REFUTE(status != expected && status != as_good, "call %u: %s, expected %s", call->kind, pt_status_name(status),
               pt_status_name(expected));
        if (status == PT_OK)
            check_flush(run, call, &before, &old);
        runs_end(&old);
    }
    if (status != PT_OK) {
        REFUTE(!flush_owes_same(&before, &side->flush) || run->flush_count > 0, "a call that failed owes something");
        REFUTE(run->meddled == 0 && memory->taken != taken, "a call that failed kept %zu frames",
               memory->taken - taken);
        REFUTE(run->meddled == 0 && memcmp(&fields, &side->table, sizeof(fields)) != 0,
               "a call that failed changed the struct page_table");
    } else {
        REFUTE(call->told_size != call->old_size || call->told.paddr != call->old.paddr ||
                   call->told.page_size != call->old.page_size || call->told.flags != call->old.flags,
               "call %u told of 0x%" PRIx64 ", size 0x%" PRIx64 ", flags 0x%x", call->kind, call->told.paddr,
               call->told.page_size | call->told_size, (unsigned)call->told.flags);
        REFUTE(run->meddled == 0 && call->kind == MAP_REGION && memory->base != 0 &&
                   (counted != PT_OK || count != memory->allocations - allocations),
               "pt_count_tables: %s, %zu", pt_status_name(counted), count);
        if (side->flush.retired != before.retired && run->flush_count == 0)
            side->must_flush = true;
        if (side->flush.retired != before.retired && run->flush_count > 0 &&
            (side->flush.range_count > 0 || side->flush.everything))
            side->must_flush = true;
    }
}

/* What does not change a table. */
static void write_nothing(void *arg, const char *text, size_t length)
{
    *(size_t *)arg += length + (size_t)(unsigned char)text[0];
}

static bool stop_at(void *arg, const struct pt_visit *visit)
{
    (void)visit;
    return --*(size_t *)arg > 0;
}

static void look_only(struct run_of_fuzz *run, const struct side *side)
{
    unsigned choice = next_byte(&run->input);
    size_t left = 1 + choice / 4, written = 0;

    switch (choice % 4) {
    case 0:
        look_at(side, wild_vaddr(run));
        break;
    case 1:
        pt_walk(&side->table, choice / 4, stop_at, NULL, &left);
        break;
    case 2:
        pt_walk(&side->table, SIZE_MAX, NULL, stop_at, &left);
        break;
    default:
        pt_dump(&side->table, write_nothing, &written);
        break;
    }
}

/* The size, or less: a region that takes no more than some hundreds of pages. */
static uint64_t affordable(const struct pt_format *format, const struct call *call)
{
    uint64_t unit = format_smallest(format), larger;

    if (call->kind == MAP_REGION && (call->options & PT_ALLOW_HUGE))
        while ((larger = format_larger(format, unit)) != 0 && (call->vaddr ^ call->paddr) % larger == 0)
            unit = larger;
    return call->size > 600 * unit ? call->size % (600 * unit) : call->size;
}

static void step(struct run_of_fuzz *run)
{
    static const uint8_t kinds[] = {
        MAP,        MAP,        MAP,          UNMAP,        UNMAP,          PROTECT,         REMAP, MAP_REGION,
        MAP_REGION, MAP_REGION, UNMAP_REGION, UNMAP_REGION, PROTECT_REGION, PROTECT_REGION,  SPLIT, SPLIT,
        COLLAPSE,   COLLAPSE,   PRUNE,        COPY_FROM,    CLEAR_ACCESSED, CLEAR_DIRTY,     MAP,   PROTECT,
        KINDS,      KINDS,      KINDS + 1,    KINDS + 2,    COLLAPSE,       MAP_REGION_WITH, REMAP, UNMAP,
    };
    unsigned what = next_byte(&run->input), extra = what & 128 ? next_byte(&run->input) : 0;
    struct side *side = &run->sides[what >> 5 & 1];
    struct call call = {.kind = kinds[what & 31], .side = side, .other = &run->sides[0]};

    if (call.kind == COPY_FROM)
        call.side = side = &run->sides[1];
    call.vaddr = (extra & 0x60) == 0x60 ? wild_vaddr(run) : some_vaddr(run);
    if (call.kind == KINDS) {
        bool write = extra & 1 || what & 64;

        if (run->format.tracks_access && !judge_is_borrowed(&side->judge, call.vaddr))
            judge_touch(&side->judge, call.vaddr, touch(run, side, call.vaddr, write));
        return;
    }
    if (call.kind == KINDS + 1) {
        flush_now(run, side, what & 64);
        return;
    }
    if (call.kind == KINDS + 2) {
        look_only(run, side);
        return;
    }

    call.page_size = call.kind == MAP || call.kind == SPLIT ? some_page_size(run) : 0;
    call.size = call.kind >= MAP_REGION && call.kind != SPLIT ? some_size(run) : 0;
    call.flags = call.kind <= MAP_REGION_WITH || call.kind == PROTECT_REGION ? some_flags(run) : 0;
    call.options = call.kind >= MAP_REGION && call.kind <= PROTECT_REGION ? some_options(run) : 0;
    if (call.kind == COPY_FROM) {
        uint64_t unit = format_entry_size(&run->format, 0);

        call.size = extra & 32 ? call.size : (1 + call.size / format_smallest(&run->format) % 3) * unit;
        call.vaddr -= extra & 32 ? 0 : call.vaddr % unit;
    }
    if (call.kind == MAP && !(extra & 32) && call.page_size != 0)
        call.vaddr -= call.vaddr % call.page_size;
    if (run->format.address_space == PT_EITHER_HALF && (extra & 32))
        call.vaddr |= format_upper_first(&run->format);
    if (call.kind == MAP || call.kind == REMAP || call.kind == MAP_REGION || call.kind == MAP_REGION_WITH)
        call.paddr = some_paddr(run, call.vaddr);
    if (call.kind == MAP_REGION || call.kind == MAP_REGION_WITH)
        call.size = affordable(&run->format, &call);
    call.scatter = (struct scatter){call.vaddr, call.paddr, format_smallest(&run->format) << (call.options & 8 ? 3 : 9),
                                    call.flags & PT_USER ? format_smallest(&run->format) : 0};

    if ((extra & 7) && (extra & 128)) {
        if (extra & 8)
            memory_fail_once(&run->memory, extra & 7);
        else
            memory_fail_after(&run->memory, extra & 7);
    }
    run->meddles = extra & 16;
    try_call(run, &call);
    run->meddles = false;
    memory_fail_never(&run->memory);

    look_at(side, call.vaddr);
    look_at(side, call.vaddr + (call.size | call.page_size) - 1);
    look_at(side, call.vaddr + (call.size | call.page_size));
    look_at(&run->sides[side == &run->sides[0]], call.vaddr);
    if (what & 64)
        flush_now(run, side, false);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    setenv("CMOCKA_TEST_ABORT", "1", 1); /* a failed check is a crash */
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run_of_fuzz run;
    unsigned how;

    run = (struct run_of_fuzz){.input = {data, size, 0}};
    run.format = choose_format(next_byte(&run.input));
    how = next_byte(&run.input);
    memory_init(&run.memory,
                how & 1 && !is_fake(&run.format) ? 0
                : is_fake(&run.format)           ? 0x1000000
                                                 : MEMORY_BASE,
                FRAMES);
    run.memory.reuse_soon = how & 2;
    run.memory.on_flush = on_flush;
    run.memory.on_flush_arg = &run;
    run.memory.on_alloc = meddle;
    run.memory.on_alloc_arg = &run;
    if (how & 4)
        memory_make_linear(&run.memory);
    for (unsigned i = 0; i < 2; i++) {
        struct side *side = &run.sides[i];

        REFUTE(pt_create(&side->table, &run.format, &run.memory.handler, &run.memory) != PT_OK, "pt_create");
        if (how & 8)
            pt_set_asid(&side->table, i + 1);
        pt_flush_init(&side->flush, &side->table);
        judge_init(&side->judge, &run.format, &run.sides[0].judge);
    }

    for (unsigned i = 0; i < STEPS_AT_MOST && run.input.at < run.input.size; i++) {
        step(&run);
        if (i % STEPS_PER_LOOK == STEPS_PER_LOOK - 1)
            look_around(&run);
    }
    flush_now(&run, &run.sides[0], false);
    flush_now(&run, &run.sides[1], false);
    look_around(&run);
    memory_release(&run.memory);
    for (unsigned i = 2; i-- > 0;) {
        pt_destroy(&run.sides[i].table);
        judge_end(&run.sides[i].judge);
    }
    memory_end(&run.memory);
    return 0;
}
