/* SPDX-License-Identifier: MIT */
/*
 * What tables are to be made of. As text, a line each, # begins a comment:
 *
 *     format sv39
 *     option svnapot                                          # as --svnapot; pa-bits=40 as --pa-bits=40
 *     tables 0x80200000                                       # where they are to lie
 *     upper                                                   # the root is for the upper half (TTBR1)
 *     map 0xffffffc000000000 0x80000000 1G rw--g              # virtual, physical, size, rights; largest pages
 *     map 0x400000 0x90000000 0x5000 r-xu- page=4K            # pages of this size
 *
 * The letters are those of `pagetable dump`: r w x u(ser) g(lobal) d(evice) n(ot cached). Or JSON, as dump writes it.
 */
#ifndef TOOL_DESCRIPTION_H
#define TOOL_DESCRIPTION_H

#include <pagetable/pagetable.h>
#include <stdio.h>

struct description_map {
    pt_vaddr vaddr;
    pt_paddr paddr;
    uint64_t size, page_size; /**< page_size 0: the largest that fit */
    pt_flags flags;
    unsigned place; /**< the line, or in JSON the index in "ranges" */
};

struct description {
    const char *file;
    bool is_json;
    const struct pt_format *base;
    struct pt_format format; /**< a copy with the options */
    pt_paddr tables;
    bool upper;
    struct description_map *maps;
    size_t count;
};

/** Complains, with the place, and answers false to what is no description. To be freed in either case. */
bool description_read(struct description *description, FILE *file, const char *name);
void description_free(struct description *description);

#endif
