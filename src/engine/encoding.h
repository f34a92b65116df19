/* SPDX-License-Identifier: MIT */
/*
 * What a format's family tells the engine: the meaning of the bits of an entry. The file of a family includes
 * the engine and defines `encoding`; since that is constant and there is one of it in each file, the compiler
 * resolves every use, and nothing of the structure is left at run time.
 */
#ifndef PT_ENGINE_ENCODING_H
#define PT_ENGINE_ENCODING_H

#include <pagetable/pagetable.h>

#define PT_OUTLINE static __attribute__((noinline, unused))
#ifdef __OPTIMIZE_SIZE__
#define PT_INLINE static inline
#define PT_UNROLL(times)
#else
#define PT_INLINE static inline __attribute__((always_inline))
#define PT_UNROLL(times) PT_PRAGMA(GCC unroll times)
#define PT_PRAGMA(text) _Pragma(#text)
#endif
#define PT_LIKELY(condition) __builtin_expect(!!(condition), 1)
#define PT_UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* A raw entry, widened where the format's entries are narrower. Zero is an unused entry on every format. */
typedef uint64_t pt_entry;

enum entry_kind {
    ENTRY_EMPTY, /* nothing below: unused, or the link of a retired table */
    ENTRY_TABLE,
    ENTRY_LEAF /* a page; no-access ones included */
};

/* What the bits of a leaf depend on. */
struct shape {
    bool last;    /* it is of the last level */
    bool grouped; /* it is one of several neighbours that are one page together */
};

struct encoding {
    /* Measures that all formats of the family share; 0 where the descriptor decides. */
    unsigned entry_size; /* bytes; always set */
    unsigned page_shift, index_bits;

    /*
     * log2 of the tables in a frame, where they are smaller; 0 where they fill it. Those of neighbouring entries
     * share one, each at the place that its index gives it. Such a format has two levels.
     */
    unsigned packed_bits;

    /*
     * How many bits of physical addresses tables and all pages reach but those of the largest sort, where these reach
     * more; 0: all reach pa_bits. A page out of reach is never split. The descriptor has such pages, if its pa_bits are
     * more.
     */
    unsigned narrow_pa_bits;
    /* The bits of the root's address that the register for it can hold. NULL: as many as an entry. */
    unsigned (*root_pa_bits)(const struct pt_format *format);

    /* The bits of a table's address that an entry can hold. */
    pt_paddr (*paddr_mask)(const struct pt_format *format);

    /* The descriptor says nothing that this family's entries cannot hold. */
    bool (*format_is_sound)(const struct pt_format *format);

    enum entry_kind (*kind)(const struct pt_format *format, pt_entry entry, bool last_level);

    /*
     * leaf == leaf_attributes ^ address: the attributes once for a run of pages, the address for each entry.
     * XOR, because a no-access page may have to hold its address inverted.
     */
    pt_entry (*leaf_attributes)(const struct pt_format *format, pt_flags flags, struct shape shape);
    pt_entry (*address)(const struct pt_format *format, pt_paddr paddr, struct shape shape);
    pt_entry (*table)(const struct pt_format *format, pt_paddr paddr, bool root_entry);

    /* Of a group's entry: what it translates to itself, or where the page begins. */
    pt_paddr (*leaf_paddr)(const struct pt_format *format, pt_entry entry, bool last_level);
    /* The leaf belongs to a group. NULL: the family has none. */
    bool (*leaf_is_grouped)(const struct pt_format *format, pt_entry leaf, bool last_level);
    pt_flags (*leaf_flags)(const struct pt_format *format, pt_entry entry, bool last_level);
    pt_paddr (*table_paddr)(const struct pt_format *format, pt_entry entry);

    /* Some access is allowed. NULL: the flags tell. */
    bool (*leaf_has_rights)(const struct pt_format *format, pt_entry leaf);
    bool (*leaf_is_global)(const struct pt_format *format, pt_entry leaf, bool last_level);
    /* The attributes of a leaf, all of them, as those of a leaf of another shape. */
    pt_entry (*reshaped_attributes)(const struct pt_format *format, pt_entry leaf, struct shape from, struct shape to);

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

    /* The hardware reads the root's entries when the root is loaded, and not again. */
    bool (*root_is_latched)(const struct pt_format *format);

    /*
     * Of tables that somebody else built. The leaf, or the entry that leads to a table, without what the MMU does not
     * look at, and with the limits that the entry above it, which came out of this, sets to what lies below (0 above
     * the root's entries). NULL: the MMU looks at all, and entries that lead to tables limit nothing.
     */
    pt_entry (*as_seen)(const struct pt_format *format, pt_entry entry, pt_entry above, unsigned level);
    /* The bits that make the MMU fault on a leaf, or an entry that leads to a table, whatever the access; NULL: none. */
    pt_entry (*malformed)(const struct pt_format *format, pt_entry entry, unsigned level);

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
