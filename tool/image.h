/* SPDX-License-Identifier: MIT */
/* Tables made of a description, in memory that grows from their physical address on. */
#ifndef TOOL_IMAGE_H
#define TOOL_IMAGE_H

#include "description.h"

struct image {
    struct page_table pt;
    pt_paddr base;
    unsigned char *bytes;
    size_t size; /**< of what is in use */
};

/** Complains, with the place, and answers false to what cannot be mapped. To be freed in either case. */
bool image_make(struct image *image, const struct description *description);
void image_free(struct image *image);

#endif
