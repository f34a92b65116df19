/* SPDX-License-Identifier: MIT */
/*
 * From left to right: the whole address space, linear, as a strip; what of it is mapped, block by block, as high as the
 * logarithm of its size, holes compressed; the pages that it is made of.
 */
#include "picture.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "output.h"
#include "tool.h"

/* Where things are, in pixels. */
#define WIDTH 1000
#define STRIP_LEFT 12
#define STRIP_RIGHT 32
#define ADDRESS_RIGHT 236
#define BLOCK_LEFT 248
#define BLOCK_RIGHT 790
#define FRAME_LEFT 674
#define PAGES_LEFT 804
#define PAGES_RIGHT 990
#define LEGEND_HEIGHT 108
#define HOLE_HEIGHT 26
#define MARGIN 12
#define NAME_LENGTH 30 /* characters of a name that fit into a block */

/* Above so many, blocks are merged while more are still to come: tables of others may have no end in sight. */
#define MAX_BLOCKS (1u << 18)

/* Blocks whose distance is below this part of the address space are led to as one. */
#define NEAR 64

struct block {
    struct pt_range range; /* from the first address to the last that is mapped; of the first range otherwise */
    uint64_t mapped;       /* bytes of it */
    uint64_t page_sizes;   /* OR-ed */
    size_t ranges;
    const char *name;
    bool is_mixed; /* rights or memory types differ */
    double top, height;
};

struct picture {
    FILE *to;
    const struct pt_format *format;
    pt_vaddr first, end; /* of all addresses; the end is the one after the last, or 0 */
    const struct names *names;
    struct block *blocks;
    size_t count, room;
    double height;
};

/* ---- What there is to draw --------------------------------------------------------------------- */

static pt_vaddr last_of(const struct block *block)
{
    return block->range.vaddr + (block->range.size - 1);
}

static bool add_block(struct picture *picture, const struct block *block)
{
    if (picture->count == picture->room) {
        size_t room = picture->room ? 2 * picture->room : 64;
        struct block *blocks = realloc(picture->blocks, room * sizeof(*blocks));

        if (!blocks)
            return complain("out of memory");
        picture->blocks = blocks;
        picture->room = room;
    }
    picture->blocks[picture->count++] = *block;
    return true;
}

/* A range becomes as many blocks as markers cut it into; *marker is the first that may name something in it. */
static bool add_range(struct picture *picture, const struct pt_range *range, unsigned *marker)
{
    const struct pt_marker *markers = picture->names->markers;
    struct block block = {.range = *range, .page_sizes = range->mapping.page_size, .ranges = 1};
    pt_vaddr last = last_of(&block);

    for (;; block.name = NULL) {
        while (*marker < picture->names->count && markers[*marker].vaddr <= block.range.vaddr)
            block.name = markers[(*marker)++].name;
        block.range.size = last - block.range.vaddr + 1;
        if (*marker < picture->names->count && markers[*marker].vaddr <= last)
            block.range.size = markers[*marker].vaddr - block.range.vaddr;
        block.mapped = block.range.size;
        if (!add_block(picture, &block))
            return false;
        if (last_of(&block) == last)
            return true;
        block.range.vaddr += block.range.size;
        block.range.mapping.paddr += block.range.size;
    }
}

static bool in_upper_half(const struct picture *picture, pt_vaddr vaddr)
{
    return picture->format->address_space == PT_SIGN_EXTENDED && vaddr >> 63;
}

/* Neighbours become one as long as both together take no more than `most` bytes, a name begins none of them but the
 * first, and both are of the same half. */
static void merge(struct picture *picture, uint64_t most)
{
    size_t kept = 0;

    for (size_t i = 1; i < picture->count; i++) {
        const struct block *next = &picture->blocks[i];
        struct block *block = &picture->blocks[kept];
        uint64_t size = last_of(next) - block->range.vaddr;

        if (next->name || size >= most ||
            in_upper_half(picture, block->range.vaddr) != in_upper_half(picture, next->range.vaddr)) {
            picture->blocks[++kept] = *next;
            continue;
        }
        block->is_mixed |= next->is_mixed || ((block->range.mapping.flags ^ next->range.mapping.flags) & PT_ALL_FLAGS);
        block->range.size = size + 1;
        block->mapped += next->mapped;
        block->page_sizes |= next->page_sizes;
        block->ranges += next->ranges;
    }
    picture->count = kept + 1;
}

static bool collect(struct picture *picture, const struct view *view)
{
    struct pt_ranges ranges;
    struct pt_range range;
    unsigned marker = 0, named = 0, bits = view->format.page_shift;

    pt_ranges_init(&ranges, &view->pt, 0, PT_RANGES_CONTIGUOUS | PT_RANGES_PAGE_SIZE);
    while (pt_ranges_next(&ranges, &range)) {
        if (!add_range(picture, &range, &marker))
            return false;
        if (picture->count < MAX_BLOCKS)
            continue;
        merge(picture, UINT64_C(1) << bits); /* those that came since */
        while (picture->count > MAX_BLOCKS / 2 && bits < 63)
            merge(picture, UINT64_C(1) << ++bits);
    }
    for (size_t i = 0; i < picture->count; i++)
        named += picture->blocks[i].name != NULL;
    while (picture->count > PICTURE_BLOCKS + named && bits < 63)
        merge(picture, UINT64_C(1) << ++bits);
    return true;
}

/* ---- How it is written ------------------------------------------------------------------------- */

/* Text of the user, at most `most` characters of it. What XML does not allow becomes a question mark. */
static void put_text(FILE *to, const char *text, size_t most)
{
    for (size_t length = 0; *text; text++) {
        const unsigned char *at = (const unsigned char *)text;

        if ((*at & 0xc0) != 0x80 && length++ == most) {
            fputs("…", to);
            return;
        }
        if (*at < 0x20 || *at == 0x7f || (*at == 0xef && at[1] == 0xbf && at[2] >= 0xbe)) {
            putc('?', to);
            text += *at == 0xef ? 2 : 0;
        } else if (strchr("<>&\"'", *text)) {
            fprintf(to, "&#%u;", *at);
        } else {
            putc(*text, to);
        }
    }
}

/* Exact if that is short ("24K"), else about so much ("127.5T"). */
static char *put_about(char *text, uint64_t size)
{
    static const char units[] = "BKMGTPE";
    double value = (double)size;
    const char *unit = units;

    for (; unit[1] && value >= 1024; unit++)
        value /= 1024;
    value = (double)(uint64_t)(value * 10 + 0.5) / 10;
    snprintf(text, OUTPUT_LENGTH, value < 100 && value > (double)(uint64_t)value ? "%.1f%.*s" : "%.0f%.*s", value,
             unit != units, unit);
    return text;
}

static unsigned log2_of(uint64_t value)
{
    unsigned bits = 0;

    while (value >>= 1)
        bits++;
    return bits;
}

static const char *class_of(const struct block *block)
{
    pt_flags flags = block->range.mapping.flags;

    if (block->is_mixed)
        return "mixed";
    if (flags & PT_WRITE)
        return flags & PT_EXECUTE ? "rwx" : "rw";
    if (flags & PT_EXECUTE)
        return "rx";
    return flags & PT_READ ? "r" : "none";
}

static void put_rectangle(FILE *to, const char *class, double x, double y, double width, double height, double radius)
{
    fprintf(to, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"%.0f\"/>\n", class, x, y,
            width, height, radius);
}

static void put_line(FILE *to, const char *class, double x, double y, const char *text)
{
    fprintf(to, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, text);
}

/* A page is as wide as the logarithm of its size. */
static double brick_width(uint64_t page_size)
{
    return 4 + 1.7 * (log2_of(page_size) - 12);
}

/* As many pages as there are, or as have room; those that have none fade out. */
static void put_bricks(FILE *to, double x, double right, double y, uint64_t page_size, uint64_t pages)
{
    double width = brick_width(page_size);

    fputs("<path class=\"brick\" d=\"", to);
    for (; pages > 0 && x + width <= right; pages--, x += width + 2)
        fprintf(to, "M%.1f %.1fh%.1fv9h-%.1fz", x, y, width, width);
    fputs("\"/>\n", to);
    for (unsigned i = 0; pages > 0 && i < 3; i++)
        fprintf(to, "<circle class=\"more\" cx=\"%.1f\" cy=\"%.1f\" r=\"1.3\"/>\n", x + 3 + 5 * i, y + 4.5);
}

static void put_pages(FILE *to, const struct block *block)
{
    char size[OUTPUT_LENGTH];
    double middle = block->top + block->height / 2, x = PAGES_LEFT;

    if (block->ranges == 1) {
        uint64_t page_size = block->range.mapping.page_size, pages = (block->mapped + page_size - 1) / page_size;

        put_bricks(to, x, PAGES_RIGHT - 18, middle - 12, page_size, pages);
        fprintf(to, "<text class=\"small\" x=\"%d\" y=\"%.1f\">%" PRIu64 " × %s</text>\n", PAGES_LEFT, middle + 11,
                pages, put_size(size, page_size));
        return;
    }
    /* One of each size. */
    for (uint64_t sizes = block->page_sizes; sizes; sizes &= sizes - 1, x += 6) {
        put_bricks(to, x, PAGES_RIGHT, middle - 12, sizes & (~sizes + 1), 1);
        x += brick_width(sizes & (~sizes + 1));
    }
    fprintf(to, "<text class=\"small\" x=\"%d\" y=\"%.1f\">pages of", PAGES_LEFT, middle + 11);
    for (uint64_t sizes = block->page_sizes; sizes; sizes &= sizes - 1)
        fprintf(to, " %s", put_size(size, sizes & (~sizes + 1)));
    fputs("</text>\n", to);
}

/* ---- Blocks and holes -------------------------------------------------------------------------- */

static void put_block(FILE *to, const struct block *block)
{
    const struct pt_mapping *mapping = &block->range.mapping;
    char size[OUTPUT_LENGTH], mapped[OUTPUT_LENGTH], flags[OUTPUT_LENGTH];
    double baseline = block->top + block->height / 2 + 4.5;

    put_about(size, block->range.size);
    put_about(mapped, block->mapped);
    put_flags(flags, mapping->flags & PT_ALL_FLAGS);
    fprintf(to, "<g class=\"block %s\" data-first=\"0x%" PRIx64 "\" data-last=\"0x%" PRIx64 "\" data-ranges=\"%zu\">\n",
            class_of(block), block->range.vaddr, last_of(block), block->ranges);
    fputs("<title>", to);
    if (block->name) {
        put_text(to, block->name, SIZE_MAX);
        fputs(": ", to);
    }
    fprintf(to, "0x%" PRIx64 "-0x%" PRIx64 ", ", block->range.vaddr, last_of(block));
    if (block->ranges == 1)
        fprintf(to, "%s at 0x%" PRIx64 ", %s</title>\n", size, mapping->paddr, flags);
    else
        fprintf(to, "%zu ranges, %s of %s</title>\n", block->ranges, mapped, size);

    put_rectangle(to, "face", BLOCK_LEFT, block->top, BLOCK_RIGHT - BLOCK_LEFT, block->height, 4);
    if (mapping->flags & (PT_DEVICE | PT_UNCACHED) && !block->is_mixed)
        put_rectangle(to, mapping->flags & PT_DEVICE ? "device" : "uncached", BLOCK_LEFT, block->top,
                      BLOCK_RIGHT - BLOCK_LEFT, block->height, 4);
    if (mapping->flags & PT_USER && !block->is_mixed)
        put_rectangle(to, "user", BLOCK_LEFT, block->top, 7, block->height, 2);
    fprintf(to, "<text class=\"address\" x=\"%d\" y=\"%.1f\">0x%" PRIx64 "</text>\n", ADDRESS_RIGHT, baseline,
            block->range.vaddr);
    fprintf(to, "<text class=\"label\" x=\"%d\" y=\"%.1f\">", BLOCK_LEFT + 18, baseline);
    if (block->name) {
        fputs("<tspan class=\"name\">", to);
        put_text(to, block->name, NAME_LENGTH);
        fputs("</tspan>  ", to);
    }
    if (block->mapped < block->range.size)
        fprintf(to, "%s of ", mapped);
    fprintf(to, "%s</text>\n", size);
    if (block->ranges == 1) {
        fprintf(to, "<text class=\"code\" x=\"%d\" y=\"%.1f\">%s →</text>\n", FRAME_LEFT, baseline, flags);
        fprintf(to, "<text class=\"code\" x=\"%d\" y=\"%.1f\">0x%" PRIx64 "</text>\n", BLOCK_RIGHT - 14, baseline,
                mapping->paddr);
    } else {
        fprintf(to, "<text class=\"code\" x=\"%d\" y=\"%.1f\">%zu ranges, %s</text>\n", BLOCK_RIGHT - 14, baseline,
                block->ranges, block->is_mixed ? "rights differ" : flags);
    }
    put_pages(to, block);
    fputs("</g>\n", to);
}

static void put_hole(struct picture *picture, uint64_t size)
{
    char text[OUTPUT_LENGTH], words[OUTPUT_LENGTH + 8];
    double y = picture->height + HOLE_HEIGHT / 2.0;

    fprintf(picture->to, "<g class=\"hole\"><path d=\"M%d %.1f", BLOCK_LEFT, y);
    for (int x = BLOCK_LEFT; x < FRAME_LEFT - 10; x += 12)
        fputs("l6 -4l6 4", picture->to);
    fputs("\"/>", picture->to);
    snprintf(words, sizeof(words), "%s free", put_about(text, size));
    put_line(picture->to, "small end", BLOCK_RIGHT - 14, y + 4, words);
    fputs("</g>\n", picture->to);
    picture->height += HOLE_HEIGHT;
}

static void put_middle(struct picture *picture)
{
    double y = picture->height + HOLE_HEIGHT / 2.0;

    fprintf(picture->to, "<g class=\"middle\"><path d=\"M%d %.1fH%d\"/>", ADDRESS_RIGHT - 160, y, PAGES_RIGHT);
    put_rectangle(picture->to, "ground", BLOCK_LEFT + 90, y - 9, 362, 18, 0);
    put_line(picture->to, "small", (BLOCK_LEFT + BLOCK_RIGHT) / 2.0, y + 4,
             "▲ lower half · not canonical between · upper half ▼");
    fputs("</g>\n", picture->to);
    picture->height += HOLE_HEIGHT;
}

/* What is not mapped from an address up to another, or to the end, 0. Between the halves there are no addresses. */
static void put_gap(struct picture *picture, pt_vaddr from, pt_vaddr until)
{
    uint64_t half = UINT64_C(1) << (picture->format->va_bits - 1);

    if (in_upper_half(picture, from) || !in_upper_half(picture, until - 1 + (until == 0 - half))) {
        put_hole(picture, until - from);
        return;
    }
    if (from < half)
        put_hole(picture, half - from);
    put_middle(picture);
    if (until != 0 - half)
        put_hole(picture, until + half);
}

/* ---- The strip --------------------------------------------------------------------------------- */

/* Where in the address space, from 0 to 1. */
static double place(const struct picture *picture, pt_vaddr vaddr)
{
    unsigned bits = picture->format->va_bits;
    uint64_t translated = bits < 64 ? vaddr & ((UINT64_C(1) << bits) - 1) : vaddr;

    return (double)translated / 2 / (double)(UINT64_C(1) << (bits - 1));
}

static void put_strip(const struct picture *picture)
{
    const double top = LEGEND_HEIGHT, height = picture->height - LEGEND_HEIGHT;
    FILE *to = picture->to;

    put_rectangle(to, "strip", STRIP_LEFT, top, STRIP_RIGHT - STRIP_LEFT, height, 3);
    for (size_t i = 0, first = 0; i < picture->count; i++) {
        const struct block *block = &picture->blocks[i], *begin = &picture->blocks[first];
        double from = place(picture, block->range.vaddr), until = place(picture, last_of(block));
        double thick = (until - from) * height;

        fprintf(to, "<g class=\"%s\">", class_of(block));
        put_rectangle(to, "face", STRIP_LEFT, top + from * height - (thick < 2 ? 1 : 0), STRIP_RIGHT - STRIP_LEFT,
                      thick < 2 ? 2 : thick, 0);
        fputs("</g>", to);
        if (i + 1 < picture->count && place(picture, block[1].range.vaddr) - until < 1.0 / NEAR &&
            in_upper_half(picture, block->range.vaddr) == in_upper_half(picture, block[1].range.vaddr))
            continue;
        fprintf(to, "<path class=\"leader\" d=\"M%d %.1fC%d %.1f %d %.1f %d %.1fV%.1fC%d %.1f %d %.1f %d %.1fz\"/>\n",
                STRIP_RIGHT, top + place(picture, begin->range.vaddr) * height - 1, STRIP_RIGHT + 30,
                top + place(picture, begin->range.vaddr) * height - 1, ADDRESS_RIGHT - 175, begin->top,
                ADDRESS_RIGHT - 145, begin->top, block->top + block->height, ADDRESS_RIGHT - 175,
                block->top + block->height, STRIP_RIGHT + 30, top + until * height + 1, STRIP_RIGHT,
                top + until * height + 1);
        first = i + 1;
    }
    if (picture->format->address_space == PT_SIGN_EXTENDED)
        fprintf(to, "<path class=\"cut\" d=\"M%d %.1fh%d\"/>\n", STRIP_LEFT - 5, top + height / 2,
                STRIP_RIGHT - STRIP_LEFT + 10);
}

/* ---- The legend -------------------------------------------------------------------------------- */

static void put_legend(const struct picture *picture, const struct view *view)
{
    static const struct {
        const char *class, *overlay, *text;
        int x, y, width; /* of the overlay */
    } items[] = {
        {"rx", NULL, "r-x code", 12, 38, 0},
        {"r", NULL, "r-- read only", 132, 38, 0},
        {"rw", NULL, "rw- data", 272, 38, 0},
        {"rwx", NULL, "rwx all", 392, 38, 0},
        {"none", NULL, "--- no access", 502, 38, 0},
        {"mixed", NULL, "several", 642, 38, 0},
        {"plain", "user", "u: for the user", 12, 64, 6},
        {"plain", "device", "d: device memory", 162, 64, 26},
        {"plain", "uncached", "n: not cached", 332, 64, 26},
    };
    FILE *to = picture->to;
    int x = 500;

    fputs("<g class=\"legend\">\n<text class=\"heading\" x=\"12\" y=\"20\">", to);
    put_text(to, view->format.name, SIZE_MAX);
    fprintf(to, "</text>\n<text class=\"small end\" x=\"%d\" y=\"20\">from ", PAGES_RIGHT);
    put_text(to, picture->names->source, 60);
    fprintf(to, ", root 0x%" PRIx64 "</text>\n", pt_root(&view->pt));
    for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        fprintf(to, "<g class=\"%s\">", items[i].class);
        put_rectangle(to, "face", items[i].x, items[i].y - 6, 26, 16, 3);
        if (items[i].overlay)
            put_rectangle(to, items[i].overlay, items[i].x, items[i].y - 6, items[i].width, 16, 2);
        put_line(to, "small", items[i].x + 34, items[i].y + 6, items[i].text);
        fputs("</g>\n", to);
    }
    for (uint64_t sizes = view->format.page_sizes; sizes && x < PAGES_RIGHT - 80; sizes &= sizes - 1) {
        uint64_t page_size = sizes & (~sizes + 1);
        char size[OUTPUT_LENGTH];

        put_bricks(to, x, PAGES_RIGHT, 63, page_size, 1);
        x += (int)brick_width(page_size) + 6;
        put_line(to, "small", x, 70, put_size(size, page_size));
        x += 22 + 7 * (int)strlen(size);
    }
    put_line(to, "column", STRIP_LEFT, LEGEND_HEIGHT - 10, "all, linear");
    put_line(to, "column end", ADDRESS_RIGHT, LEGEND_HEIGHT - 10, "from address");
    put_line(to, "column", BLOCK_LEFT, LEGEND_HEIGHT - 10, "what is mapped: height is the logarithm of the size");
    put_line(to, "column end", BLOCK_RIGHT, LEGEND_HEIGHT - 10, "rights → frame");
    put_line(to, "column", PAGES_LEFT, LEGEND_HEIGHT - 10, "pages");
    fputs("</g>\n", to);
}

/* ---- All of it --------------------------------------------------------------------------------- */

/* The addresses that there are; what is mapped tells which half it is if only the root's register knows. */
static void find_ends(struct picture *picture)
{
    uint64_t span = picture->format->va_bits < 64 ? UINT64_C(1) << picture->format->va_bits : 0;

    if (picture->format->address_space == PT_SIGN_EXTENDED)
        span = 0;
    if (picture->format->address_space == PT_EITHER_HALF && picture->count > 0 && picture->blocks[0].range.vaddr >> 63)
        picture->first = 0 - span;
    else
        picture->end = span;
}

static void put_blocks(struct picture *picture)
{
    const unsigned shift = picture->format->page_shift;
    pt_vaddr from = picture->first;

    for (size_t i = 0; i < picture->count; i++) {
        struct block *block = &picture->blocks[i];

        if (block->range.vaddr != from)
            put_gap(picture, from, block->range.vaddr);
        block->top = picture->height + 2;
        block->height = 28 + 1.8 * (log2_of(block->range.size) > shift ? log2_of(block->range.size) - shift : 0);
        put_block(picture->to, block);
        picture->height += block->height + 4;
        from = last_of(block) + 1;
    }
    if (picture->count == 0)
        put_line(picture->to, "small", BLOCK_LEFT, picture->height + 14, "nothing is mapped");
    if (from != picture->end || picture->count == 0)
        put_gap(picture, from, picture->end);
}

bool picture_put(FILE *to, const struct view *view, const struct names *names)
{
    struct picture picture = {.format = &view->format, .names = names, .height = LEGEND_HEIGHT};
    char *body = NULL;
    size_t length = 0;

    picture.to = open_memstream(&body, &length);
    if (!picture.to)
        return complain("out of memory");
    if (!collect(&picture, view)) {
        free(picture.blocks);
        fclose(picture.to);
        free(body);
        return false;
    }
    find_ends(&picture);
    put_blocks(&picture);
    fclose(picture.to);
    picture.to = to;
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\""
            " role=\"group\" aria-label=\"address space\">\n<style>\n%s</style>\n",
            WIDTH, picture.height + MARGIN, WIDTH, picture.height + MARGIN, file_picture_css);
    fputs("<defs>\n<pattern id=\"hatch\" width=\"9\" height=\"9\" patternUnits=\"userSpaceOnUse\""
          " patternTransform=\"rotate(45)\"><path class=\"mark\" d=\"M0 0V9\"/></pattern>\n"
          "<pattern id=\"dots\" width=\"9\" height=\"9\" patternUnits=\"userSpaceOnUse\">"
          "<circle class=\"dot\" cx=\"3\" cy=\"3\" r=\"1.4\"/></pattern>\n</defs>\n",
          to);
    put_rectangle(to, "ground", 0, 0, WIDTH, picture.height + MARGIN, 0);
    put_legend(&picture, view);
    put_strip(&picture);
    fwrite(body, 1, length, to);
    fputs("</svg>\n", to);
    free(picture.blocks);
    free(body);
    return true;
}
