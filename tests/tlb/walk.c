/* SPDX-License-Identifier: MIT */
/* The table walker: what all architectures have in common. */
#include "formats.h"
#include "mmu.h"

static const struct mmu_arch *const archs[] = {&mmu_x86,      &mmu_ept,        &mmu_aarch64, &mmu_aarch64_stage2,
                                               &mmu_armv7,    &mmu_armv7_lpae, &mmu_riscv,   &mmu_riscv_svvptc,
                                               &mmu_loongarch};

void mmu_init(struct mmu *mmu, const struct pt_format *format, const char *name, struct memory *memory)
{
    memset(mmu, 0, sizeof(*mmu));
    mmu->format = format;
    mmu->entry_bytes = format_entry_bytes(format);
    mmu->memory = memory;
    for (size_t i = 0; i < TESTS_COUNT(archs); i++)
        for (size_t j = 0; j < TESTS_COUNT(archs[i]->formats) && archs[i]->formats[j]; j++)
            if (strcmp(archs[i]->formats[j], name) == 0)
                mmu->arch = archs[i];
    if (!mmu->arch)
        fail_msg("tests/tlb has no MMU for %s", name);
}

bool mmu_records(const struct mmu *mmu)
{
    return mmu->arch->always_records || mmu->format->tracks_access;
}

uint64_t mmu_entry_size(const struct mmu *mmu, unsigned level)
{
    return UINT64_C(1) << (mmu->format->page_shift + mmu->format->index_bits * (mmu->format->levels - 1u - level));
}

uint64_t mmu_load(const struct mmu *mmu, const void *slot)
{
    return mmu->entry_bytes == 4 ? *(const volatile uint32_t *)slot : *(const volatile uint64_t *)slot;
}

static void store(const struct mmu *mmu, void *slot, uint64_t entry)
{
    if (mmu->entry_bytes == 4)
        *(volatile uint32_t *)slot = (uint32_t)entry;
    else
        *(volatile uint64_t *)slot = entry;
}

bool mmu_latches_root(const struct mmu *mmu)
{
    return mmu->arch->latches_root && mmu->arch->latches_root(mmu);
}

void mmu_set_root(struct mmu *mmu, size_t root, const struct page_table *table, uint32_t asid)
{
    struct mmu_root *set = &mmu->root[root];
    const unsigned char *entries = mmu->memory->bytes + (size_t)(table->root - mmu->memory->base);

    *set = (struct mmu_root){.table = table, .asid = asid};
    for (size_t i = 0; mmu_latches_root(mmu) && i < MMU_LATCHED; i++)
        set->latched[i] = mmu_load(mmu, entries + i * mmu->entry_bytes);
}

/* ---- What was seen ----------------------------------------------------------------------------- */

/* Where a slot is in seen_hash, or is to go. */
static uint16_t *find_seen(struct mmu *mmu, const void *slot)
{
    size_t hash = ((uintptr_t)slot >> 2) * 40503u % TESTS_COUNT(mmu->seen_hash);

    while (mmu->seen_hash[hash] != 0 && mmu->seen[mmu->seen_hash[hash] - 1].slot != slot)
        hash = (hash + 1) % TESTS_COUNT(mmu->seen_hash);
    return &mmu->seen_hash[hash];
}

static void note_seen(struct mmu *mmu, const void *slot, uint64_t entry)
{
    uint16_t *found = find_seen(mmu, slot);

    if (*found == 0) {
        assert_true(mmu->seen_count < MMU_SLOTS);
        mmu->seen[mmu->seen_count].slot = slot;
        *found = (uint16_t)++mmu->seen_count;
    }
    mmu->seen[*found - 1].entry = entry;
}

bool mmu_has_seen(struct mmu *mmu, const void *slot)
{
    return *find_seen(mmu, slot) != 0;
}

bool mmu_seen_changed(const struct mmu *mmu)
{
    for (size_t i = 0; i < mmu->seen_count; i++)
        if (mmu->seen[i].slot && mmu_load(mmu, mmu->seen[i].slot) != mmu->seen[i].entry)
            return true;
    return false;
}

void mmu_seen_restart(struct mmu *mmu)
{
    mmu->seen_count = 0;
    memset(mmu->seen_hash, 0, sizeof(mmu->seen_hash));
    mmu->group_count = 0;
}

static bool is_in(const struct mmu *mmu, const void *slot, pt_paddr first, uint64_t size)
{
    size_t offset = (size_t)((const unsigned char *)slot - mmu->memory->bytes);

    return mmu->memory->base + offset - first < size;
}

void mmu_seen_forget(struct mmu *mmu, pt_paddr first, uint64_t size)
{
    size_t kept = 0;

    for (size_t i = 0; i < mmu->seen_count; i++)
        if (mmu->seen[i].slot && is_in(mmu, mmu->seen[i].slot, first, size))
            mmu->seen[i].slot = NULL;
    for (size_t i = 0; i < mmu->group_count; i++)
        if (!is_in(mmu, mmu->group[i].slot, first, size))
            mmu->group[kept++] = mmu->group[i];
    mmu->group_count = kept;
}

/* ---- Walking ----------------------------------------------------------------------------------- */

/* Tables are aligned to their size, whatever that is. */
static void *slot_in(struct mmu *mmu, pt_paddr table, unsigned level, size_t index, pt_vaddr vaddr)
{
    const struct pt_format *format = mmu->format;
    uint64_t table_bytes =
        (level == 0 ? (UINT64_C(1) << format->va_bits) / mmu_entry_size(mmu, 0) : UINT64_C(1) << format->index_bits) *
        mmu->entry_bytes;
    pt_paddr paddr = table + index * mmu->entry_bytes;

    if (table % table_bytes != 0 || !memory_is_taken(mmu->memory, paddr))
        mmu_fail(mmu, "on the way to 0x%" PRIx64 " the MMU reads a table at 0x%" PRIx64 ", which is no table", vaddr,
                 table);
    return mmu->memory->bytes + (size_t)(paddr - mmu->memory->base);
}

static size_t index_at(const struct mmu *mmu, pt_vaddr vaddr, unsigned level)
{
    uint64_t bits = vaddr & ((UINT64_C(1) << mmu->format->va_bits) - 1);

    return (size_t)(bits / mmu_entry_size(mmu, level)) &
           (level == 0 ? SIZE_MAX : ((size_t)1 << mmu->format->index_bits) - 1);
}

static struct mmu_entry decode(struct mmu *mmu, const void *slot, unsigned level, pt_vaddr vaddr)
{
    uint64_t entry = mmu_load(mmu, slot);
    struct mmu_entry found = mmu->arch->decode(mmu, entry, level);

    note_seen(mmu, slot, entry);
    if (found.wrong)
        mmu_fail(mmu, "on the way to 0x%" PRIx64 " the MMU meets 0x%" PRIx64 " in level %u: %s", vaddr, entry, level,
                 found.wrong);
    return found;
}

/* ---- Groups ------------------------------------------------------------------------------------ */

/* Two entries that are to be one page, `apart` entries from each other. */
static bool agree(const struct mmu *mmu, const struct mmu_entry *a, const struct mmu_entry *b, uint64_t apart)
{
    const pt_flags recorded = PT_ACCESSED | PT_DIRTY;

    /* FEAT_BBM: the size may change in place. */
    if (b->group_bits != a->group_bits && mmu->format->bbm_level < 2)
        return false;
    return b->kind == MMU_PAGE && ((a->flags ^ b->flags) & ~recorded) == 0 &&
           b->paddr == a->paddr + (a->paddr_of_group ? 0 : apart);
}

/* All that are valid agree; with `whole`, all are valid. */
static void check_group(struct mmu *mmu, const struct mmu_group *group, bool whole)
{
    const unsigned char *slots = group->slot;
    struct mmu_entry first = {.kind = MMU_NOTHING};
    size_t at = 0;

    for (size_t i = 0; i < (size_t)1 << group->bits; i++) {
        struct mmu_entry entry = mmu->arch->decode(mmu, mmu_load(mmu, slots + i * mmu->entry_bytes), group->level);

        if (first.kind == MMU_NOTHING && entry.kind == MMU_PAGE && entry.group_bits != 0)
            first = entry, at = i;
    }
    for (size_t i = 0; i < (size_t)1 << group->bits && first.kind == MMU_PAGE; i++) {
        uint64_t bits = mmu_load(mmu, slots + i * mmu->entry_bytes);
        struct mmu_entry entry = mmu->arch->decode(mmu, bits, group->level);

        if ((whole || entry.kind != MMU_NOTHING) &&
            !agree(mmu, &first, &entry, ((uint64_t)i - at) * mmu_entry_size(mmu, group->level)))
            mmu_fail(mmu,
                     "in level %u, entries %zu and %zu of the %u that are one page disagree: 0x%" PRIx64
                     " and 0x%" PRIx64,
                     group->level, at, i, 1u << group->bits, mmu_load(mmu, slots + at * mmu->entry_bytes), bits);
    }
}

static struct mmu_group group_of(const struct mmu *mmu, const struct mmu_walk *walk, unsigned bits)
{
    uintptr_t bytes = (uintptr_t)mmu->entry_bytes << bits;

    return (struct mmu_group){(const void *)((uintptr_t)walk->path[walk->level] & ~(bytes - 1)), bits, walk->level};
}

/* Looked at once, and again when one of its entries changes. */
static void meet_group(struct mmu *mmu, const struct mmu_walk *walk, unsigned bits)
{
    struct mmu_group group = group_of(mmu, walk, bits);

    if (!mmu->arch->breaks_before_make)
        return;
    for (size_t i = 0; i < mmu->group_count; i++)
        if (mmu->group[i].slot == group.slot)
            return;
    check_group(mmu, &group, false);
    assert_true(mmu->group_count < MMU_GROUPS);
    mmu->group[mmu->group_count++] = group;
}

void mmu_check_slot(struct mmu *mmu, const volatile void *slot)
{
    for (size_t i = 0; i < mmu->group_count; i++)
        if ((uintptr_t)slot - (uintptr_t)mmu->group[i].slot < (uintptr_t)mmu->entry_bytes << mmu->group[i].bits)
            check_group(mmu, &mmu->group[i], false);
}

void mmu_check_page(struct mmu *mmu, const struct mmu_walk *walk)
{
    unsigned bits = 0;

    while (walk->size << bits < walk->page_size)
        bits++;
    if (walk->kind == MMU_PAGE && bits != 0) {
        struct mmu_group group = group_of(mmu, walk, bits);

        check_group(mmu, &group, true);
    }
}

/* ---- From one table to the next ---------------------------------------------------------------- */

static struct mmu_walk walk_from(struct mmu *mmu, pt_paddr table, unsigned level, pt_vaddr vaddr)
{
    struct mmu_walk walk = {.level = level, .top = level};

    for (;; walk.level++) {
        struct mmu_entry found;

        walk.table[walk.level] = table;
        walk.path[walk.level] = slot_in(mmu, table, walk.level, index_at(mmu, vaddr, walk.level), vaddr);
        found = decode(mmu, walk.path[walk.level], walk.level, vaddr);
        walk.size = mmu_entry_size(mmu, walk.level);
        walk.first = vaddr & ~(walk.size - 1);
        walk.page_size = walk.size << found.group_bits;
        walk.page_first = vaddr & ~(walk.page_size - 1);
        walk.kind = found.kind;
        walk.paddr = found.paddr + (found.paddr_of_group ? walk.first - walk.page_first : 0);
        walk.flags = found.flags;
        if (found.kind == MMU_PAGE && found.group_bits != 0)
            meet_group(mmu, &walk, found.group_bits);
        if (found.kind != MMU_TABLE)
            return walk;
        table = found.paddr;
    }
}

struct mmu_walk mmu_walk_root(struct mmu *mmu, const struct mmu_root *root, pt_vaddr vaddr)
{
    return walk_from(mmu, root->table->root, 0, vaddr);
}

struct mmu_walk mmu_walk_latched(struct mmu *mmu, const struct mmu_root *root, pt_vaddr vaddr)
{
    struct mmu_entry found = mmu->arch->decode(mmu, root->latched[index_at(mmu, vaddr, 0)], 0);

    if (found.kind == MMU_TABLE)
        return walk_from(mmu, found.paddr, 1, vaddr);
    return (struct mmu_walk){.kind = MMU_NOTHING};
}

struct mmu_walk mmu_walk_pointer(struct mmu *mmu, const struct mmu_pointer *pointer, pt_vaddr vaddr)
{
    return walk_from(mmu, pointer->table, pointer->level, vaddr);
}

/* ---- Fetching ---------------------------------------------------------------------------------- */

static bool same_page(const struct mmu_page *a, const struct mmu_page *b)
{
    return a->valid == b->valid && a->paddr == b->paddr && a->flags == b->flags;
}

static bool same_tlb_entry(const struct mmu_tlb_entry *a, const struct mmu_tlb_entry *b)
{
    return a->first == b->first && a->size == b->size && a->page_size == b->page_size && a->pages == b->pages &&
           a->asid == b->asid && a->global == b->global && same_page(&a->page[0], &b->page[0]) &&
           same_page(&a->page[1], &b->page[1]) && (a->page[0].valid || a->slot == b->slot);
}

/* A CPU that finds two entries for one address may do anything, unless they agree (Arm: D8.16.1, TLB conflict). */
static void check_conflict(struct mmu *mmu, const struct mmu_tlb_entry *a, const struct mmu_tlb_entry *b)
{
    /* The rights of a page may change in place; not those of a group, entry by entry. */
    bool group = a->page_size == b->page_size && (a->page_size > a->size || b->page_size > b->size);
    const pt_flags recorded = PT_ACCESSED | PT_DIRTY;
    const pt_flags fixed = group ? PT_ALL_FLAGS & ~recorded : PT_DEVICE | PT_UNCACHED | PT_GLOBAL;
    pt_vaddr vaddr = a->first > b->first ? a->first : b->first;
    pt_paddr from, to;

    if (a->first > b->first + (b->size - 1) || b->first > a->first + (a->size - 1) ||
        !(a->global || b->global || a->asid == b->asid))
        return;
    mmu_page_at(a, vaddr, &from);
    mmu_page_at(b, vaddr, &to);
    if (from != to || ((a->page[0].flags ^ b->page[0].flags) & fixed) ||
        (a->page_size != b->page_size && mmu->format->bbm_level < 2))
        mmu_fail(mmu,
                 "two translations of 0x%" PRIx64 " in the TLB: to 0x%" PRIx64 " by 0x%" PRIx64
                 " bytes, flags 0x%x, and "
                 "to 0x%" PRIx64 " by 0x%" PRIx64 " bytes, flags 0x%x",
                 vaddr, from, a->size, (unsigned)a->page[0].flags, to, b->size, (unsigned)b->page[0].flags);
}

static void remember_page(struct mmu *mmu, const struct mmu_tlb_entry *entry)
{
    for (size_t i = 0; i < mmu->tlb_count; i++)
        if (same_tlb_entry(&mmu->tlb[i], entry))
            return;
    if (mmu->arch->breaks_before_make)
        for (size_t i = 0; i < mmu->tlb_count; i++)
            check_conflict(mmu, &mmu->tlb[i], entry);
    assert_true(mmu->tlb_count < MMU_TLB_ENTRIES);
    mmu->tlb[mmu->tlb_count++] = *entry;
}

static void remember_pointer(struct mmu *mmu, const struct mmu_pointer *pointer)
{
    for (size_t i = 0; i < mmu->pointer_count; i++) {
        const struct mmu_pointer *old = &mmu->pointer[i];

        if (old->first == pointer->first && old->asid == pointer->asid && old->level == pointer->level &&
            old->table == pointer->table)
            return;
    }
    assert_true(mmu->pointer_count < MMU_POINTERS);
    mmu->pointer[mmu->pointer_count++] = *pointer;
}

/* The even and the odd page that a TLB entry holds together; it is global if both are. */
static struct mmu_tlb_entry make_pair(struct mmu *mmu, const struct mmu_walk *walk, uint32_t asid, pt_vaddr vaddr)
{
    uint64_t *even = (uint64_t *)((uintptr_t)walk->path[walk->level] & ~(uintptr_t)8);
    struct mmu_tlb_entry entry = {.first = walk->first & ~(2 * walk->size - 1),
                                  .size = 2 * walk->size,
                                  .page_size = walk->size,
                                  .pages = 2,
                                  .asid = asid,
                                  .global = true,
                                  .level = walk->level,
                                  .slot = even};

    for (unsigned i = 0; i < 2; i++) {
        struct mmu_entry found = decode(mmu, &even[i], walk->level, vaddr);

        entry.page[i] = (struct mmu_page){found.kind == MMU_PAGE, found.paddr, found.flags};
        entry.global &= (found.flags & PT_GLOBAL) != 0;
    }
    return entry;
}

static void record(const struct mmu *mmu, const struct mmu_walk *walk, unsigned level, enum mmu_kind kind, bool write)
{
    void *slot = walk->path[level];

    store(mmu, slot, mmu->arch->record(mmu, mmu_load(mmu, slot), level, kind, write));
}

void mmu_fetch(struct mmu *mmu, struct mmu_walk *walk, uint32_t asid, bool write)
{
    struct mmu_tlb_entry entry = {.first = walk->first,
                                  .size = walk->size,
                                  .page_size = walk->page_size,
                                  .pages = 1,
                                  .asid = asid,
                                  .level = walk->level,
                                  .slot = walk->path[walk->level]};

    write = write && walk->kind == MMU_PAGE && (walk->flags & PT_WRITE);
    for (unsigned level = walk->top; level < walk->level; level++) {
        uint64_t size = mmu_entry_size(mmu, level);
        struct mmu_pointer pointer = {.first = walk->first & ~(size - 1),
                                      .size = size,
                                      .asid = asid,
                                      .level = level + 1,
                                      .table = walk->table[level + 1]};

        if (mmu_records(mmu))
            record(mmu, walk, level, MMU_TABLE, false);
        note_seen(mmu, walk->path[level], mmu_load(mmu, walk->path[level]));
        remember_pointer(mmu, &pointer);
    }
    if (walk->kind == MMU_PAGE && mmu_records(mmu)) {
        record(mmu, walk, walk->level, MMU_PAGE, write);
        walk->flags = decode(mmu, walk->path[walk->level], walk->level, walk->first).flags;
    }

    if (mmu->arch->pairs && walk->level == mmu->format->levels - 1u) {
        entry = make_pair(mmu, walk, asid, walk->first);
        remember_page(mmu, &entry);
    } else if (walk->kind == MMU_PAGE || mmu->arch->remembers_nothing) {
        entry.page[0] = (struct mmu_page){walk->kind == MMU_PAGE, walk->paddr, walk->flags};
        /* Only of what is valid, or on LoongArch, does the MMU look at G. */
        entry.global = (walk->kind == MMU_PAGE || mmu->arch->pairs) && (walk->flags & PT_GLOBAL);
        remember_page(mmu, &entry);
        /* Of a group a TLB holds this entry alone, or what it says of all of them. */
        if (walk->kind == MMU_PAGE && walk->page_size > walk->size) {
            entry.page[0].paddr -= walk->first - walk->page_first;
            entry.first = walk->page_first;
            entry.size = walk->page_size;
            remember_page(mmu, &entry);
        }
    }
}
