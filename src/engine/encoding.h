/* SPDX-License-Identifier: MIT */
/*
 * What a format's family tells the engine: the meaning of the bits of an entry. The file of a family includes
 * the engine and defines `encoding`; since that is constant and there is one of it in each file, the compiler
 * resolves every use, and nothing of the structure is left at run time.
 */
#ifndef PT_ENGINE_ENCODING_H
#define PT_ENGINE_ENCODING_H

#include <pagetable/pagetable.h>

#define PT_INLINE static inline __attribute__((always_inline))
#define PT_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define PT_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* A raw entry, widened where the format's entries are narrower. Zero is an unused entry on every format. */
typedef uint64_t pt_entry;

enum entry_kind {
    ENTRY_EMPTY, /* nothing below: unused, or the link of a retired table */
    ENTRY_TABLE,
    ENTRY_LEAF /* a page; no-access ones included */
};

struct encoding {
    /* Measures that all formats of the family share; 0 where the descriptor decides. */
    unsigned entry_size; /* bytes; always set */
    unsigned page_shift, index_bits;

    pt_paddr paddr_mask; /* the bits of a frame's address that an entry can hold */

    /* The descriptor says nothing that this family's entries cannot hold. */
    bool (*format_is_sound)(const struct pt_format *format);

    enum entry_kind (*kind)(const struct pt_format *format, pt_entry entry, bool last_level);

    /*
     * leaf == leaf_attributes ^ address: the attributes once for a run of pages, the address for each.
     * XOR, because a no-access page may have to hold its address inverted.
     */
    pt_entry (*leaf_attributes)(const struct pt_format *format, pt_flags flags, bool last_level);
    pt_entry (*address)(const struct pt_format *format, pt_paddr paddr);
    pt_entry (*table)(const struct pt_format *format, pt_paddr paddr);

    pt_paddr (*leaf_paddr)(const struct pt_format *format, pt_entry entry, bool last_level);
    pt_flags (*leaf_flags)(const struct pt_format *format, pt_entry entry, bool last_level);
    pt_paddr (*table_paddr)(const struct pt_format *format, pt_entry entry);

    bool (*leaf_is_global)(const struct pt_format *format, pt_entry leaf, bool last_level);
    /* The attributes of a leaf, all of them, as those of one of the other sort of level. */
    pt_entry (*resized_attributes)(const struct pt_format *format, pt_entry leaf, bool from_last, bool to_last);

    /* `to` with what is recorded in `from` added: accessed, dirty, bits that are free for software. */
    pt_entry (*keep_recorded)(const struct pt_format *format, pt_entry from, pt_entry to);
    /* The leaf without PT_ACCESSED, PT_DIRTY or both. */
    pt_entry (*clear_recorded)(const struct pt_format *format, pt_entry leaf, pt_flags recorded);
    /* The hardware may change this leaf by itself: replace it by compare-and-swap. NULL: never. */
    bool (*hardware_writes)(const struct pt_format *format, pt_entry leaf);
    /* Going from one to the other needs break-before-make; both are in use. NULL: never. */
    bool (*must_break)(const struct pt_format *format, pt_entry from, pt_entry to, bool last_level);

    /*
     * Makes an otherwise bare address an entry that the MMU faults on and `kind` calls empty, at every
     * level: the link of the list of retired tables, which a table walker may still look at.
     */
    pt_entry retired_mark;
    unsigned retired_shift; /* how far the address in it is moved up, out of the way of other bits */

    /* This CPU's instructions; NULL where the format is not its own. */
    void (*invalidate)(const struct pt_flush *flush);
    /* This CPU runs on the table. NULL: it never matters, for nothing needs break-before-make. */
    bool (*is_live)(const struct page_table *pt);
};

/* The family's; defined in its own file. */
static const struct encoding encoding;
/* The engine as compiled for the family; defined by engine.h. */
static const struct pt_operations operations;

#endif
