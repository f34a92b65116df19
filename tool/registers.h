/* SPDX-License-Identifier: MIT */
/* From a CPU's registers to its tables, and back. */
#ifndef TOOL_REGISTERS_H
#define TOOL_REGISTERS_H

#include <pagetable/pagetable.h>

#include "source.h"

/** What the registers say. */
struct found {
    const struct pt_format *base;
    struct pt_format format; /**< a copy of base with the widths that the registers ask for */
    pt_paddr root;
    uint32_t cpu; /**< PT_CPU_... */
};

/** `name` is the source's, for the complaint if they cannot be found. */
bool find_tables(struct source *source, const char *name, bool upper, struct found *found);

/** A register that has to have a value for a table to be in use. */
struct register_value {
    const char *name;
    uint64_t value;
};
#define MAX_REGISTERS 5

/** The registers for a table, with their values. Returns how many. */
unsigned registers_of(const struct page_table *pt, bool upper, struct register_value registers[MAX_REGISTERS]);

/** satp or hgatp of 32 bits: the headers of RV32 and RV64 cannot be in one file. */
struct register_value registers_of_sv32(const struct page_table *pt);

#endif
