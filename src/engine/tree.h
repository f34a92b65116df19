/* SPDX-License-Identifier: MIT */
/* The radix tree: its geometry, reading and writing entries, finding the one of an address. */
#ifndef PT_ENGINE_TREE_H
#define PT_ENGINE_TREE_H

#include "encoding.h"

/* What every step needs to know of a table and its format. */
struct tree {
    const struct pt_format *runtime_format; /* see format_of */
    unsigned runtime_last_level;
    const struct pt_measures *runtime_measures;
    void *(*phys_to_virt)(void *ctx, pt_paddr paddr);
    uintptr_t linear_offset;
    void *ctx;
};

PT_INLINE struct tree tree_make(const struct pt_format *format, const struct pt_measures *measures,
                                const struct pt_handler *handler, void *ctx)
{
    return (struct tree){
        .runtime_format = format,
        .runtime_measures = measures,
        .runtime_last_level = format->levels - 1u,
        .phys_to_virt = handler->phys_to_virt,
        .linear_offset = handler->linear_offset,
        .ctx = ctx,
    };
}

PT_INLINE struct tree tree_of(const struct page_table *pt)
{
    return tree_make(pt->format, &pt->measures, pt->handler, pt->ctx);
}

/*
 * The tree of a table whose handler sees physical memory at an offset. An operation that is compiled for it by itself
 * calls nothing on its way down, and needs no registers that outlive calls.
 */
PT_INLINE struct tree linear_tree_of(const struct page_table *pt)
{
    struct tree tree = tree_of(pt);

    tree.phys_to_virt = NULL;
    return tree;
}

PT_INLINE bool is_linear(const struct page_table *pt)
{
#ifdef __OPTIMIZE_SIZE__
    (void)pt;
    return false;
#else
    return PT_LIKELY(!pt->handler->phys_to_virt);
#endif
}

/* With one format only, its measures are constants. */
PT_INLINE const struct pt_format *format_of(const struct tree *tree)
{
#ifdef PT_ONLY_FORMAT
    (void)tree;
    return &PT_ONLY_FORMAT;
#else
    return tree->runtime_format;
#endif
}

/*
 * Other writers may be at work, in regions of their own: the descriptor's choice. Then a table is linked only where
 * there still is none, leaves the tree only where the caller's region is all that it translates, and what is in the
 * struct page_table stays as it is.
 */
PT_INLINE bool has_parallel_writers(const struct tree *tree)
{
#ifdef PT_PARALLEL_WRITERS
    (void)tree;
    return true;
#else
    return format_of(tree)->parallel_writers;
#endif
}

/*
 * Canonical are the lowest 2^canonical_bits of the addresses that are canonical_bias higher, for these are the lower
 * and the upper half in one piece.
 */
PT_INLINE struct pt_measures measures_make(const struct pt_format *format)
{
    bool extended = format->address_space == PT_SIGN_EXTENDED, either = format->address_space == PT_EITHER_HALF;

    return (struct pt_measures){
        .canonical_bias = extended || either ? UINT64_C(1) << (format->va_bits - extended) : 0,
        .canonical_bits = (uint8_t)(format->va_bits + either),
        .translated = ~(UINT64_MAX << format->va_bits),
        .not_in_paddr = format->pa_bits < 64 ? UINT64_MAX << format->pa_bits : 0,
        .not_in_table = ~format->table_bits,
        .not_in_leaf = ~format->leaf_bits,
        .entry_size = (uint8_t)encoding.entry_size,
    };
}

PT_INLINE struct pt_measures measures_of(const struct tree *tree)
{
#ifdef PT_ONLY_FORMAT
    return measures_make(format_of(tree));
#else
    return *tree->runtime_measures;
#endif
}

/* ---- Geometry ---------------------------------------------------------------------------------- */

PT_INLINE unsigned page_shift(const struct tree *tree)
{
    return encoding.page_shift ? encoding.page_shift : format_of(tree)->page_shift;
}

PT_INLINE unsigned index_bits(const struct tree *tree)
{
    return encoding.index_bits ? encoding.index_bits : format_of(tree)->index_bits;
}

PT_INLINE unsigned last_level(const struct tree *tree)
{
#ifdef PT_ONLY_FORMAT
    return format_of(tree)->levels - 1u;
#else
    return tree->runtime_last_level;
#endif
}

/* log2 of the bytes that one entry of this level translates. */
PT_INLINE unsigned level_shift(const struct tree *tree, unsigned level)
{
    return page_shift(tree) + (last_level(tree) - level) * index_bits(tree);
}

PT_INLINE uint64_t level_size(const struct tree *tree, unsigned level)
{
    return UINT64_C(1) << level_shift(tree, level);
}

PT_INLINE bool level_has_pages(const struct tree *tree, unsigned level)
{
    return (format_of(tree)->page_sizes & level_size(tree, level)) != 0;
}

/* log2 of the neighbouring entries of this level that can be one page together; 0 where none can. */
PT_INLINE unsigned group_bits(const struct tree *tree, unsigned level)
{
    unsigned above_last = last_level(tree) - level;
    unsigned bits;

    if (!encoding.leaf_is_grouped || above_last >= PT_GROUP_LEVELS)
        return 0;
    bits = format_of(tree)->group_bits[above_last];
    return format_of(tree)->page_sizes & level_size(tree, level) << bits ? bits : 0;
}

/* A sort of page: the level that it is in, and log2 of its entries there. */
struct page_sort {
    unsigned level, group;
};

PT_INLINE uint64_t sort_size(const struct tree *tree, struct page_sort sort)
{
    return level_size(tree, sort.level) << sort.group;
}

/* The format has pages of this size. */
PT_INLINE bool size_exists(const struct tree *tree, uint64_t page_size)
{
    return page_size != 0 && (page_size & (page_size - 1)) == 0 && (page_size & format_of(tree)->page_sizes) != 0;
}

/* The pages of this size, which exists. */
PT_INLINE struct page_sort sort_of_size(const struct tree *tree, uint64_t page_size)
{
    struct page_sort sort = {last_level(tree), 0};

    while (sort.level > 0 && level_size(tree, sort.level - 1) <= page_size)
        sort.level--;
    while (sort_size(tree, sort) < page_size)
        sort.group++;
    return sort;
}

PT_INLINE struct shape shape_of(const struct tree *tree, struct page_sort sort)
{
    return (struct shape){sort.level == last_level(tree), sort.group != 0};
}

/* The first and the last address that the entry of vaddr translates. */
PT_INLINE pt_vaddr entry_first(const struct tree *tree, unsigned level, pt_vaddr vaddr)
{
    return vaddr & ~(level_size(tree, level) - 1);
}

PT_INLINE pt_vaddr entry_last(const struct tree *tree, unsigned level, pt_vaddr vaddr)
{
    return vaddr | (level_size(tree, level) - 1);
}

PT_INLINE unsigned root_bits(const struct tree *tree)
{
    return format_of(tree)->va_bits - level_shift(tree, 0);
}

PT_INLINE size_t level_entries(const struct tree *tree, unsigned level)
{
    return (size_t)1 << (level == 0 ? root_bits(tree) : index_bits(tree));
}

PT_INLINE size_t index_of(const struct tree *tree, pt_vaddr vaddr, unsigned level)
{
    if (level == 0)
        return (size_t)((vaddr & measures_of(tree).translated) >> level_shift(tree, 0));
    return (size_t)(vaddr >> level_shift(tree, level)) & (level_entries(tree, level) - 1);
}

/* The bytes of a table of this level, at least a frame. */
PT_INLINE size_t table_size(const struct tree *tree, unsigned level)
{
    size_t size = level_entries(tree, level) * encoding.entry_size;

    return size < PT_FRAME_SIZE ? PT_FRAME_SIZE : size;
}

PT_INLINE size_t table_frames(const struct tree *tree, unsigned level)
{
    return table_size(tree, level) / PT_FRAME_SIZE;
}

/* Root entries in one slot of page_table.borrowed and .lent, log2. A page is never divided between slots. */
PT_INLINE unsigned slot_shift(const struct tree *tree)
{
    unsigned shift = root_bits(tree) > 9 ? root_bits(tree) - 9 : 0;

    return shift < group_bits(tree, 0) ? group_bits(tree, 0) : shift;
}

PT_INLINE bool slot_is(const struct tree *tree, const struct pt_root_slots *slots, size_t root_index)
{
    size_t slot = root_index >> slot_shift(tree);

    return (__atomic_load_n(&slots->bits[slot / 32], __ATOMIC_RELAXED) >> (slot % 32)) & 1;
}

/* Atomic because pt_walk reads `upper` beside a writer, and other writers change the bits beside this one. */
PT_INLINE void slot_set(const struct tree *tree, struct pt_root_slots *slots, size_t root_index, bool value)
{
    size_t slot = root_index >> slot_shift(tree);
    uint32_t *word = &slots->bits[slot / 32];
    uint32_t bit = UINT32_C(1) << (slot % 32);
    uint32_t bits = __atomic_load_n(word, __ATOMIC_RELAXED);

    if (has_parallel_writers(tree))
        while (!!(bits & bit) != value &&
               !__atomic_compare_exchange_n(word, &bits, bits ^ bit, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            ;
    else
        __atomic_store_n(word, value ? bits | bit : bits & ~bit, __ATOMIC_RELAXED);
}

/* Where a root may serve either half, remember which one is used: the tables do not tell. */
PT_INLINE void note_half(const struct tree *tree, struct page_table *pt, pt_vaddr first, pt_vaddr last)
{
    if (format_of(tree)->address_space == PT_EITHER_HALF)
        for (size_t i = index_of(tree, first, 0); i <= index_of(tree, last, 0); i++)
            slot_set(tree, &pt->upper, i, first >> 63);
}

/* The address whose translated bits these are, as the CPU knows it. */
PT_INLINE pt_vaddr canonical(const struct tree *tree, pt_vaddr bits, bool upper_half)
{
    unsigned unused = 64u - format_of(tree)->va_bits;

    if (format_of(tree)->address_space == PT_SIGN_EXTENDED)
        return (pt_vaddr)((int64_t)(bits << unused) >> unused);
    return upper_half ? bits | ~(~UINT64_C(0) >> unused) : bits;
}

/* ---- Entries ----------------------------------------------------------------------------------- */

PT_INLINE void *table_at(const struct tree *tree, pt_paddr paddr)
{
    if (tree->phys_to_virt)
        return tree->phys_to_virt(tree->ctx, paddr);
    return (void *)((uintptr_t)paddr + tree->linear_offset);
}

/* Entries of 8 bytes; some 32-bit ABIs would align them to 4 only. */
typedef uint64_t entry_8 __attribute__((aligned(8)));

/*
 * Entries of live tables are read and written whole: a table walker, or a reader without a lock, sees
 * the old or the new one. A 32-bit CPU that cannot write 64 bits at once has no MMU that reads entries
 * of 64 bits; there, readers need the lock too, and there are no parallel writers.
 */
#if defined(__LP64__) || __GCC_ATOMIC_LLONG_LOCK_FREE == 2
#define PT_WHOLE_8 true

PT_INLINE pt_entry load_8(const entry_8 *slot)
{
    return __atomic_load_n(slot, __ATOMIC_ACQUIRE);
}

PT_INLINE void store_8(entry_8 *slot, pt_entry entry)
{
    __atomic_store_n(slot, entry, __ATOMIC_RELAXED);
}

PT_INLINE bool swap_8(entry_8 *slot, pt_entry *expected, pt_entry entry)
{
    return __atomic_compare_exchange_n(slot, expected, entry, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}
#else
#define PT_WHOLE_8 false

PT_INLINE pt_entry load_8(const entry_8 *slot)
{
    return *(const volatile entry_8 *)slot;
}

PT_INLINE void store_8(entry_8 *slot, pt_entry entry)
{
    *(volatile entry_8 *)slot = entry;
}

PT_INLINE bool swap_8(entry_8 *slot, pt_entry *expected, pt_entry entry)
{
    pt_entry now = load_8(slot);
    bool same = now == *expected;

    if (same)
        store_8(slot, entry);
    *expected = now;
    return same;
}
#endif

/* A test's MMU looks at the tables at the worst moment: after every store to one that may be live. */
#ifdef PT_STORE_HOOK
void pt_store_hook(void);
#else
#define pt_store_hook() ((void)0)
#endif

PT_INLINE pt_entry load_entry(const void *table, size_t index)
{
    if (encoding.entry_size == 4)
        return __atomic_load_n((const uint32_t *)table + index, __ATOMIC_ACQUIRE);
    return load_8((const entry_8 *)table + index);
}

/* An entry of a table that the MMU may be reading. */
PT_INLINE void store_entry(void *table, size_t index, pt_entry entry)
{
    if (encoding.entry_size == 4)
        __atomic_store_n((uint32_t *)table + index, (uint32_t)entry, __ATOMIC_RELAXED);
    else
        store_8((entry_8 *)table + index, entry);
    pt_store_hook();
}

/* The same, for an entry that leads to a table: what was written to that table comes first. */
PT_INLINE void publish_entry(void *table, size_t index, pt_entry entry)
{
    __atomic_thread_fence(__ATOMIC_RELEASE);
    store_entry(table, index, entry);
}

/* Store only if the entry is still *expected; if not, *expected is what it is now. */
PT_INLINE bool swap_entry(void *table, size_t index, pt_entry *expected, pt_entry entry)
{
    bool done;

    if (encoding.entry_size == 4) {
        uint32_t narrow = (uint32_t)*expected;

        done = __atomic_compare_exchange_n((uint32_t *)table + index, &narrow, (uint32_t)entry, false, __ATOMIC_RELEASE,
                                           __ATOMIC_RELAXED);
        *expected = narrow;
    } else {
        done = swap_8((entry_8 *)table + index, expected, entry);
    }
    if (done)
        pt_store_hook();
    return done;
}

/* Store, and tell what was there in the very moment before. */
PT_INLINE pt_entry exchange_entry(void *table, size_t index, pt_entry entry)
{
    pt_entry old = load_entry(table, index);

    while (!swap_entry(table, index, &old, entry))
        ;
    return old;
}

/* An entry of a table that nothing leads to yet: free to be vectorised. */
PT_INLINE void fill_entry(void *table, size_t index, pt_entry entry)
{
    if (encoding.entry_size == 4)
        ((uint32_t *)table)[index] = (uint32_t)entry;
    else
        ((entry_8 *)table)[index] = entry;
}

PT_INLINE void clear_entries(void *table, size_t index, size_t count)
{
    __builtin_memset((char *)table + index * encoding.entry_size, 0, count * encoding.entry_size);
}

PT_INLINE enum entry_kind entry_kind(const struct tree *tree, pt_entry entry, unsigned level)
{
    return encoding.kind(format_of(tree), entry, level == last_level(tree));
}

/* The entry that leads to a table, in a table of this level. */
PT_INLINE pt_entry table_entry(const struct tree *tree, pt_paddr table, unsigned level)
{
    return encoding.table(format_of(tree), table, level == 0) | format_of(tree)->table_bits;
}

PT_INLINE pt_paddr table_paddr(const struct tree *tree, pt_entry entry)
{
    return encoding.table_paddr(format_of(tree), entry) & measures_of(tree).not_in_table;
}

PT_INLINE void *table_of(const struct tree *tree, pt_entry entry)
{
    return table_at(tree, table_paddr(tree, entry));
}

/* The attributes that the flags stand for in a leaf of this sort. */
PT_INLINE pt_entry attributes_of(const struct tree *tree, pt_flags flags, struct page_sort sort)
{
    return encoding.leaf_attributes(format_of(tree), flags, shape_of(tree, sort)) ^ format_of(tree)->leaf_bits;
}

/* The sort of page that a leaf is. */
PT_INLINE struct page_sort leaf_sort(const struct tree *tree, pt_entry leaf, unsigned level)
{
    bool grouped =
        encoding.leaf_is_grouped && encoding.leaf_is_grouped(format_of(tree), leaf, level == last_level(tree));

    return (struct page_sort){level, grouped ? group_bits(tree, level) : 0};
}

/* The attributes of a leaf, all of them, as those of another sort of page. */
PT_INLINE pt_entry reshaped_attributes(const struct tree *tree, pt_entry leaf, struct page_sort from,
                                       struct page_sort to)
{
    return encoding.reshaped_attributes(format_of(tree), leaf, shape_of(tree, from), shape_of(tree, to)) ^
           format_of(tree)->leaf_bits;
}

/* The address in a leaf: what its entry translates to, or where its page begins. */
PT_INLINE pt_paddr address_in_leaf(const struct tree *tree, pt_entry leaf, unsigned level)
{
    return encoding.leaf_paddr(format_of(tree), leaf, level == last_level(tree)) & measures_of(tree).not_in_leaf;
}

/* What this entry of a table translates to. */
PT_INLINE pt_paddr leaf_paddr(const struct tree *tree, pt_entry leaf, unsigned level, size_t index)
{
    pt_paddr paddr = address_in_leaf(tree, leaf, level);
    struct page_sort sort = leaf_sort(tree, leaf, level);

    if (sort.group == 0)
        return paddr;
    index &= ((size_t)1 << sort.group) - 1;
    return (paddr & ~(sort_size(tree, sort) - 1)) + index * level_size(tree, level);
}

#define PT_UNROLL_LEVELS PT_UNROLL(5)

/* ---- Finding ----------------------------------------------------------------------------------- */

/* Where an address is translated: an entry that is no table. */
struct place {
    void *table;
    size_t index;
    pt_entry entry;
    enum entry_kind kind;
    unsigned level, group; /* of the entry, or of the page that it is part of */
};

PT_INLINE struct page_sort sort_at(const struct place *at)
{
    return (struct page_sort){at->level, at->group};
}

/* The first entry of the page. */
PT_INLINE size_t page_index(const struct place *at)
{
    return at->index & ~(((size_t)1 << at->group) - 1);
}

PT_INLINE size_t page_entries(const struct place *at)
{
    return (size_t)1 << at->group;
}

/* The first and the last address of the page (or of the entry, if it is none) around vaddr. */
PT_INLINE pt_vaddr page_first(const struct tree *tree, const struct place *at, pt_vaddr vaddr)
{
    return vaddr & ~(sort_size(tree, sort_at(at)) - 1);
}

PT_INLINE pt_vaddr page_last(const struct tree *tree, const struct place *at, pt_vaddr vaddr)
{
    return vaddr | (sort_size(tree, sort_at(at)) - 1);
}

/* What the hardware recorded in a leaf. */
PT_INLINE pt_flags recorded_in(const struct tree *tree, pt_entry leaf, unsigned level)
{
    return encoding.leaf_flags(format_of(tree), leaf, level == last_level(tree)) & (PT_ACCESSED | PT_DIRTY);
}

PT_INLINE struct pt_mapping mapping_of(const struct tree *tree, const struct place *at)
{
    uint64_t size = sort_size(tree, sort_at(at));
    struct pt_mapping mapping = {address_in_leaf(tree, at->entry, at->level) & ~(size - 1), size,
                                 encoding.leaf_flags(format_of(tree), at->entry, at->level == last_level(tree))};

    /* The hardware records in whichever entry of the group it meets. */
    for (size_t i = 0; at->group != 0 && i < page_entries(at); i++)
        mapping.flags |= recorded_in(tree, load_entry(at->table, page_index(at) + i), at->level);
    return mapping;
}

/*
 * Follow tables from the root towards vaddr, down to `lowest` at most; false if there is no table that leads so far. Of
 * *at, the table, the index, the entry and the level are found. Laid out flat, level by level from the last one up, so
 * that all shifts are constants where the family's are.
 */
PT_INLINE bool follow_tables(const struct tree *tree, pt_paddr root, pt_vaddr vaddr, unsigned lowest, struct place *at)
{
    unsigned above = last_level(tree), lowest_above = last_level(tree) - lowest;

    *at = (struct place){.table = table_at(tree, root), .index = index_of(tree, vaddr, 0)};
    PT_UNROLL_LEVELS
    for (unsigned above_last = PT_MAX_LEVELS - 1; above_last > 0; above_last--) {
        if (above < above_last)
            continue;
        at->entry = load_entry(at->table, at->index);
        at->level = last_level(tree) - above_last;
        if (above_last == lowest_above)
            return true;
        if (encoding.kind(format_of(tree), at->entry, false) != ENTRY_TABLE)
            return false;
        at->table = table_of(tree, at->entry);
        at->index = (size_t)(vaddr >> (page_shift(tree) + (above_last - 1) * index_bits(tree))) &
                    (((size_t)1 << index_bits(tree)) - 1);
        above = above_last - 1;
    }
    at->entry = load_entry(at->table, at->index);
    at->level = last_level(tree);
    return true;
}

/* The entry that `follow_tables` ends at (it may be a table's, in `lowest`). Inlined where the way is most of the work. */
PT_INLINE struct place descend_inline(const struct tree *tree, pt_paddr root, pt_vaddr vaddr, unsigned lowest)
{
    struct place at;

    (void)follow_tables(tree, root, vaddr, lowest, &at);
    at.kind = entry_kind(tree, at.entry, at.level);
    if (at.kind == ENTRY_LEAF)
        at.group = leaf_sort(tree, at.entry, at.level).group;
    return at;
}

static inline struct place descend_to(const struct tree *tree, pt_paddr root, pt_vaddr vaddr, unsigned lowest)
{
    return descend_inline(tree, root, vaddr, lowest);
}

/* An entry that leads to no table, or whichever there is in the last level. */
static inline struct place descend(const struct tree *tree, pt_paddr root, pt_vaddr vaddr)
{
    return descend_to(tree, root, vaddr, last_level(tree));
}

/* vaddr's entry is in a part that another table owns. */
PT_INLINE bool is_borrowed(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr)
{
    return PT_UNLIKELY(pt->is_special) && slot_is(tree, &pt->borrowed, index_of(tree, vaddr, 0));
}

/* ---- The latest table -------------------------------------------------------------------------- */

/*
 * Single pages come one beside the other: the table of the last level where the latest one was changed is remembered,
 * and with it that its addresses are canonical and not borrowed. Forgotten by whatever may take tables out of the tree.
 * Parallel writers have none: it would be one for all.
 */
PT_INLINE void forget_latest(struct page_table *pt)
{
    pt->latest_table = PT_NO_FRAME;
}

PT_INLINE void remember_latest(const struct tree *tree, struct page_table *pt, const struct place *at, pt_vaddr vaddr)
{
    if (at->level != last_level(tree))
        return;
    pt->latest_vaddr = vaddr;
    pt->latest_table = (pt_paddr)((uintptr_t)at->table - tree->linear_offset);
}

/* The place of vaddr, if it is in the latest table. Of linear trees only: `remember_latest` knows no other. */
PT_INLINE bool find_latest(const struct tree *tree, const struct page_table *pt, pt_vaddr vaddr, struct place *at)
{
    unsigned level = last_level(tree);

    if ((pt->latest_vaddr ^ vaddr) >> level_shift(tree, level - 1) != 0 || pt->latest_table == PT_NO_FRAME)
        return false;
    at->table = table_at(tree, pt->latest_table);
    at->index = index_of(tree, vaddr, level);
    at->entry = load_entry(at->table, at->index);
    at->level = level;
    at->kind = entry_kind(tree, at->entry, level);
    at->group = at->kind == ENTRY_LEAF ? leaf_sort(tree, at->entry, level).group : 0;
    return true;
}

#endif
