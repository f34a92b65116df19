/* SPDX-License-Identifier: MIT */
/*
 * The fuzzer's target for looking into tables of others. The bytes choose a format, map a few pages by the library,
 * spoil what came of it, and cut the memory short; then all that looks is let loose on it, and must agree with itself.
 */
#include "formats.h"
#include "fuzz.h"

#define IMAGE_FRAMES 2048u
/* From there on the allocator serves; some formats have no table at 0. */
#define FIRST_FRAME 16u
/* Tables lead to each other in endless ways: from so many looks on there is nothing more to see. */
#define LOOKS_AT_MOST 300u
#define SEEN_AT_MOST 200u

uint64_t fuzz_calls;

struct image {
    unsigned char *bytes; /* IMAGE_FRAMES, as the MMU sees them */
    unsigned char *copy;
    size_t used, there; /* in bytes; what is beyond `there` cannot be read */
    size_t looks;
};

struct input {
    const uint8_t *data;
    size_t size, at;
};

static uint8_t next_byte(struct input *input)
{
    return input->at < input->size ? input->data[input->at++] : 0;
}

static uint64_t next_number(struct input *input, unsigned bytes)
{
    uint64_t number = 0;

    while (bytes-- > 0)
        number = number << 8 | next_byte(input);
    return number;
}

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                                    \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* ---- Memory ------------------------------------------------------------------------------------ */

static pt_paddr alloc_frames(void *ctx, size_t count, size_t align)
{
    struct image *image = ctx;
    size_t at = (image->used + align - 1) & ~(align - 1);

    if (at + count * PT_FRAME_SIZE > IMAGE_FRAMES * PT_FRAME_SIZE)
        return PT_NO_FRAME;
    image->used = (size_t)(at + count * PT_FRAME_SIZE);
    return at;
}

static void dealloc_frames(void *ctx, pt_paddr paddr, size_t count)
{
    (void)ctx;
    (void)paddr;
    (void)count;
}

static void *translate(void *ctx, pt_paddr paddr)
{
    return ((struct image *)ctx)->bytes + paddr;
}

static const struct pt_handler builder = {
    .alloc_frames = alloc_frames, .dealloc_frames = dealloc_frames, .phys_to_virt = translate};

static void *look(void *ctx, pt_paddr paddr)
{
    struct image *image = ctx;

    CHECK(paddr % PT_FRAME_SIZE == 0);
    if (++image->looks > LOOKS_AT_MOST || paddr >= image->there)
        return NULL;
    return image->bytes + paddr;
}

static const struct pt_handler looker = {.phys_to_virt = look};

/* ---- What is there ----------------------------------------------------------------------------- */

static struct pt_format choose_format(struct input *input)
{
    struct pt_format format = *formats[next_byte(input) % formats_count];
    unsigned how = next_byte(input);

    if (how & 1)
        format.pa_bits = (uint8_t)(format.pa_bits - (how >> 2 & 7));
    if (how & 2)
        format.tracks_access = !format.tracks_access;
    return format;
}

/* An address out of few, so that things meet. */
static pt_vaddr choose_vaddr(struct input *input, const struct pt_format *format)
{
    unsigned choice = next_byte(input);
    pt_vaddr vaddr = 0;

    if (choice == 0xff)
        return next_number(input, 8);
    for (unsigned level = 0; level < format->levels; level++, choice >>= 2) {
        uint64_t entries = level == 0 ? format_root_entries(format) : format_entries(format);
        const uint64_t choices[] = {0, 1, level == 0 ? entries / 2 : entries - 2, entries - 1};

        vaddr += choices[choice & 3] % entries * format_entry_size(format, level);
    }
    if (format->address_space == PT_SIGN_EXTENDED && vaddr > format_lower_last(format))
        vaddr |= format_upper_first(format);
    return vaddr;
}

static void map_some(struct input *input, struct page_table *pt)
{
    struct pt_flush flush;

    pt_flush_init(&flush, pt);
    for (unsigned count = next_byte(input) % 16; count > 0; count--) {
        pt_vaddr vaddr = choose_vaddr(input, pt->format);
        unsigned what = next_byte(input);
        pt_flags flags =
            next_byte(input) & (PT_READ | PT_WRITE | PT_EXECUTE | PT_USER | PT_DEVICE | PT_UNCACHED | PT_GLOBAL);
        uint64_t size = format_smallest(pt->format);

        for (unsigned i = what & 3; i > 0 && format_larger(pt->format, size) != 0; i--)
            size = format_larger(pt->format, size);
        vaddr &= ~(size - 1);
        (void)!pt_map_region(pt, vaddr, (what >> 4) * size, (1 + (what >> 2 & 3)) * size, flags,
                             what & 128 ? PT_ALLOW_HUGE : 0, &flush);
        pt_flush_ignore(&flush);
    }
}

/* Entries that stand in some table, changed: bits, or another entry in its place, or anything. */
static void spoil(struct input *input, struct image *image, unsigned bytes)
{
    size_t slots = image->used / bytes;

    for (unsigned count = next_byte(input) % 32; count > 0; count--) {
        unsigned what = next_byte(input);
        size_t slot = (size_t)next_number(input, 3) % slots, other = (size_t)next_number(input, 3) % slots;
        uint64_t entry = 0, more = 0;

        /* Rather one in use. */
        if (what & 1)
            for (size_t i = 0; i < 4096; i++, slot = (slot + 1) % slots) {
                memcpy(&entry, image->bytes + slot * bytes, bytes);
                if (entry != 0)
                    break;
            }
        if (what & 2)
            for (size_t i = 0; i < 4096; i++, other = (other + 1) % slots) {
                memcpy(&more, image->bytes + other * bytes, bytes);
                if (more != 0)
                    break;
            }
        memcpy(&entry, image->bytes + slot * bytes, bytes);
        memcpy(&more, image->bytes + other * bytes, bytes);
        switch (what >> 2 & 3) {
        case 0:
            entry ^= UINT64_C(1) << (next_byte(input) % (bytes * 8));
            break;
        case 1:
            entry = more;
            break;
        case 2:
            entry = next_number(input, 8);
            break;
        default:
            entry = more ^ UINT64_C(1) << (next_byte(input) % (bytes * 8));
        }
        for (unsigned times = what & 128 ? 1u << (what >> 4 & 7) : 1; times > 0 && slot < slots; times--, slot++)
            memcpy(image->bytes + slot * bytes, &entry, bytes);
    }
}

/* ---- Looking ----------------------------------------------------------------------------------- */

struct view {
    struct page_table pt;
    struct image *image;
    struct input *input;
};

/* Was everything that was looked at since then seen as it is? */
static bool begin(struct view *view)
{
    view->image->looks = 0;
    fuzz_calls++;
    return true;
}

static bool saw_all(const struct view *view)
{
    return view->image->looks <= LOOKS_AT_MOST;
}

struct visits {
    const struct page_table *pt;
    size_t count;
    pt_vaddr next; /* translated bits: nothing comes before */
};

static bool visit(void *arg, const struct pt_visit *visit)
{
    struct visits *visits = arg;
    pt_vaddr at = format_translated(visits->pt->format, visit->vaddr);

    CHECK(visit->level < visits->pt->format->levels);
    if (visit->is_leaf) {
        CHECK(at >= visits->next);
        CHECK(visit->mapping.page_size > 0);
        visits->next = at + visit->mapping.page_size;
    }
    return ++visits->count < SEEN_AT_MOST;
}

static void write_nowhere(void *arg, const char *text, size_t length)
{
    size_t *written = arg;

    for (size_t i = 0; i < length; i++)
        CHECK(text[i] == '\n' || (text[i] >= ' ' && text[i] <= '~'));
    *written += length;
}

static bool take_finding(void *arg, const struct pt_finding *finding)
{
    size_t *count = arg;

    CHECK(strcmp(pt_rule_name(finding->rule), "?") != 0);
    CHECK(finding->severity <= PT_SEVERITY_ERROR);
    return ++*count < SEEN_AT_MOST;
}

static void check_ranges(struct view *view, pt_vaddr from, unsigned alike)
{
    const uint64_t translated = view->pt.measures.translated;
    struct pt_range range, before = {.size = 0};
    struct pt_ranges ranges;
    unsigned left = 50;

    begin(view);
    pt_ranges_init(&ranges, &view->pt, from, alike);
    ranges.tables_left = 1000;
    while (left-- > 0 && pt_ranges_next(&ranges, &range)) {
        size_t looks = view->image->looks;
        struct pt_mapping mapping;

        CHECK(range.size > 0);
        CHECK((range.vaddr & translated) + (range.size - 1) <= translated);
        if (before.size > 0) {
            CHECK((before.vaddr & translated) + (before.size - 1) < (range.vaddr & translated));
            /* As long as it could be. */
            if (before.vaddr + before.size == range.vaddr && alike == 0)
                CHECK(((before.mapping.flags ^ range.mapping.flags) & ~(PT_ACCESSED | PT_DIRTY)) != 0);
        } else {
            CHECK((range.vaddr & translated) >= (from & translated));
        }
        /* Its first page, its last one, and one between. */
        for (unsigned i = 0; i < 3; i++) {
            uint64_t offset = i == 0 ? 0 : i == 1 ? range.size - 1 : range.size / 3;

            if (pt_query(&view->pt, range.vaddr + offset, &mapping) != PT_OK) {
                CHECK(!saw_all(view));
                continue;
            }
            CHECK(((mapping.flags ^ range.mapping.flags) & ~(PT_ACCESSED | PT_DIRTY)) == 0);
            CHECK(mapping.paddr == range.mapping.paddr + offset || (i > 0 && !(alike & PT_RANGES_CONTIGUOUS)));
            CHECK(mapping.page_size == range.mapping.page_size || (i > 0 && !(alike & PT_RANGES_PAGE_SIZE)));
        }
        view->image->looks = looks;
        before = range;
    }
}

static void check_explanation(struct view *view)
{
    pt_vaddr vaddr = choose_vaddr(view->input, view->pt.format);
    unsigned how = next_byte(view->input);
    pt_flags access = (how & 1 ? PT_USER : 0) | (how & 2 ? PT_WRITE : how & 4 ? PT_EXECUTE : PT_READ);
    struct pt_explanation e;
    struct pt_mapping mapping;
    enum pt_status status;
    size_t written = 0;

    begin(view);
    pt_explain_access(&view->pt, vaddr, access, how >> 3, &e);
    status = pt_query(&view->pt, vaddr, &mapping);
    CHECK(e.steps <= view->pt.format->levels);
    CHECK(strcmp(pt_reason_name(e.reason), "?") != 0);
    CHECK((status == PT_BAD_ADDRESS) == (e.reason == PT_REASON_NOT_CANONICAL));
    CHECK((status == PT_OK) == e.is_translated);
    if (e.is_translated)
        CHECK(mapping.paddr == e.mapping.paddr && mapping.page_size == e.mapping.page_size);
    CHECK(e.is_translated || e.reason != PT_REASON_NONE);
    pt_explain(&view->pt, vaddr, access, how >> 3, write_nowhere, &written);
    CHECK(written > 0);
}

struct differences {
    size_t count;
    struct pt_difference first[16];
};

static bool take_difference(void *arg, const struct pt_difference *difference)
{
    struct differences *differences = arg;

    CHECK(difference->differs != 0);
    if (differences->count < 16)
        differences->first[differences->count] = *difference;
    return ++differences->count < SEEN_AT_MOST;
}

static unsigned swapped(unsigned differs)
{
    unsigned others = differs & ~(PT_DIFFERS_ONLY_IN_A | PT_DIFFERS_ONLY_IN_B);

    return others | (differs & PT_DIFFERS_ONLY_IN_A ? PT_DIFFERS_ONLY_IN_B : 0) |
           (differs & PT_DIFFERS_ONLY_IN_B ? PT_DIFFERS_ONLY_IN_A : 0);
}

static void check_differences(struct view *a, struct view *b)
{
    struct differences none = {0}, one = {0}, other = {0};
    bool saw = begin(a);

    (void)pt_diff(&a->pt, &a->pt, PT_ALL_FLAGS, take_difference, &none);
    if (!saw_all(a))
        return; /* it ends at another place on either side */
    CHECK(none.count == 0);
    begin(a), begin(b);
    CHECK(pt_diff(&a->pt, &b->pt, PT_ALL_FLAGS, take_difference, &one) == one.count);
    saw = saw_all(a) && saw_all(b);
    begin(a), begin(b);
    (void)pt_diff(&b->pt, &a->pt, PT_ALL_FLAGS, take_difference, &other);
    if (!saw || !saw_all(a) || !saw_all(b))
        return;
    CHECK(one.count == other.count);
    for (size_t i = 0; i < one.count && i < 16; i++) {
        CHECK(one.first[i].differs == swapped(other.first[i].differs));
        CHECK(one.first[i].vaddr == other.first[i].vaddr && one.first[i].size == other.first[i].size);
        CHECK(one.first[i].a.paddr == other.first[i].b.paddr && one.first[i].b.paddr == other.first[i].a.paddr);
    }
}

static void look_at_all(struct view *view)
{
    uint64_t scratch[32];
    struct pt_audit audit = {.rules = (uint32_t)next_number(view->input, 2) & PT_ALL_RULES,
                             .scratch = scratch,
                             .scratch_size = next_byte(view->input) % (sizeof(scratch) + 1),
                             .tables = next_byte(view->input)};
    const struct pt_marker markers[] = {{choose_vaddr(view->input, view->pt.format), "here"}};
    struct visits visits = {.pt = &view->pt};
    size_t written = 0, findings = 0, returned;

    begin(view);
    pt_walk(&view->pt, SIZE_MAX, visit, NULL, &visits);
    begin(view);
    returned = pt_audit(&view->pt, &audit, take_finding, &findings);
    CHECK(returned == findings);
    check_ranges(view, 0, next_byte(view->input) & 7);
    check_ranges(view, choose_vaddr(view->input, view->pt.format), 0);
    begin(view);
    pt_dump_marked(&view->pt, markers, 1, write_nowhere, &written);
    for (unsigned i = 0; i < 4; i++)
        check_explanation(view);
}

/* ---- All of it ---------------------------------------------------------------------------------- */

static struct image images[2];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    for (unsigned i = 0; i < 2; i++) {
        images[i].bytes = aligned_alloc(PT_2M, (size_t)IMAGE_FRAMES * PT_FRAME_SIZE);
        images[i].copy = malloc((size_t)IMAGE_FRAMES * PT_FRAME_SIZE);
        CHECK(images[i].bytes && images[i].copy);
        memset(images[i].bytes, 0, (size_t)IMAGE_FRAMES * PT_FRAME_SIZE);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size, 0};
    struct pt_format made[2];
    struct view views[2];
    unsigned there = 0;

    for (unsigned i = 0; i < 2; i++) {
        struct view *view = &views[i];
        struct page_table pt;
        unsigned how;

        images[i].used = FIRST_FRAME * PT_FRAME_SIZE;
        *view = (struct view){.image = &images[i], .input = &input};
        made[i] = choose_format(&input);
        if (pt_create(&pt, &made[i], &builder, &images[i]) != PT_OK)
            break;
        map_some(&input, &pt);
        spoil(&input, &images[i], format_entry_bytes(&made[i]));
        how = next_byte(&input);
        images[i].there =
            how & 1 ? images[i].used : (size_t)(FIRST_FRAME * PT_FRAME_SIZE + next_number(&input, 3) % images[i].used);
        memcpy(images[i].copy, images[i].bytes, images[i].used);
        if (pt_adopt(&view->pt, &made[i], pt_root(&pt), &looker, &images[i]) != PT_OK)
            break;
        if (how & 2)
            pt_adopt_upper_half(&view->pt);
        there++;
    }
    for (unsigned i = 0; i < there; i++)
        look_at_all(&views[i]);
    if (there == 2)
        check_differences(&views[0], &views[1]);
    for (unsigned i = 0; i < 2; i++) {
        CHECK(i >= there || memcmp(images[i].copy, images[i].bytes, images[i].used) == 0);
        memset(images[i].bytes, 0, images[i].used);
    }
    return 0;
}
