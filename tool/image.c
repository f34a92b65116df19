/* SPDX-License-Identifier: MIT */
#include "image.h"

#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

#include "tool.h"

/* Room for the tables: address space, of which only what is in use takes memory. */
#ifndef IMAGE_MAX
#define IMAGE_MAX ((size_t)1 << 30)
#endif

/* Frames follow each other. What is given back in the order of taking is used again; the rest stays as zeroes. */
static pt_paddr alloc_frames(void *ctx, size_t count, size_t align)
{
    struct image *image = ctx;
    size_t size = count * PT_FRAME_SIZE;
    pt_paddr start = (image->base + image->size + (align - 1)) & ~(pt_paddr)(align - 1);

    if (start < image->base || start - image->base > IMAGE_MAX - size)
        return PT_NO_FRAME;
    image->size = (size_t)(start - image->base) + size;
    return start;
}

static void dealloc_frames(void *ctx, pt_paddr first, size_t count)
{
    struct image *image = ctx;
    size_t start = (size_t)(first - image->base), size = count * PT_FRAME_SIZE;

    memset(image->bytes + start, 0, size);
    if (start + size == image->size)
        image->size = start;
}

static void *phys_to_virt(void *ctx, pt_paddr paddr)
{
    const struct image *image = ctx;

    return image->bytes + (paddr - image->base);
}

static const struct pt_handler handler = {
    .alloc_frames = alloc_frames, .dealloc_frames = dealloc_frames, .phys_to_virt = phys_to_virt};

static enum pt_status map(struct page_table *pt, const struct description_map *map, struct pt_flush *flush)
{
    const struct pt_format *format = pt->format;

    if (map->page_size == 0 || map->page_size == UINT64_C(1) << format->page_shift)
        return pt_map_region(pt, map->vaddr, map->paddr, map->size, map->flags, map->page_size ? 0 : PT_ALLOW_HUGE,
                             flush);
    if (map->size % map->page_size != 0)
        return PT_NOT_ALIGNED;
    for (uint64_t done = 0; done < map->size; done += map->page_size) {
        enum pt_status status = pt_map(pt, map->vaddr + done, map->paddr + done, map->page_size, map->flags, flush);

        if (status != PT_OK)
            return status;
    }
    return PT_OK;
}

bool image_make(struct image *image, const struct description *description)
{
    enum pt_status status;
    struct pt_flush flush;

    memset(image, 0, sizeof(*image));
    image->base = description->tables;
    if (image->base % PT_FRAME_SIZE != 0)
        return complain("%s: tables 0x%" PRIx64 " is no address of a frame", description->file, image->base);
    image->bytes = mmap(NULL, IMAGE_MAX, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (image->bytes == MAP_FAILED) {
        image->bytes = NULL;
        return complain("out of memory");
    }
    status = pt_create(&image->pt, &description->format, &handler, image);
    if (status != PT_OK)
        return complain("%s: %s: %s", description->file, pt_status_name(status),
                        status == PT_BAD_FORMAT ? "the options contradict each other, or the format"
                                                : "there can be no tables at this address");
    pt_flush_init(&flush, &image->pt);
    for (size_t i = 0; i < description->count && status == PT_OK; i++) {
        const struct description_map *one = &description->maps[i];

        status = map(&image->pt, one, &flush);
        if (status == PT_OK)
            continue;
        if (description->is_json)
            complain("%s: ranges[%u]: %s", description->file, one->place, pt_status_name(status));
        else
            complain("%s:%u: %s", description->file, one->place, pt_status_name(status));
    }
    pt_flush_ignore(&flush);
    return status == PT_OK;
}

void image_free(struct image *image)
{
    if (image->bytes)
        munmap(image->bytes, IMAGE_MAX);
    image->bytes = NULL;
}
