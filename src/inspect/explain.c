/* SPDX-License-Identifier: MIT */
/* What comes of an access: the MMU's walk, step by step. The family tells how its MMU judges the leaf. */
#include "mmu.h"
#include "text.h"
#include "view.h"

#define ALL_RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE | PT_USER)

/* Of a format that nobody told about. */
static void judge_by_flags(struct pt_explanation *e)
{
    if ((e->mapping.flags & e->access & PT_USER) != (e->access & PT_USER))
        pt_deny(e, PT_REASON_PRIVILEGE, e->steps - 1, 0);
    else if ((e->mapping.flags & e->access) != e->access)
        pt_deny(e, PT_REASON_RIGHT, e->steps - 1, 0);
}

/* Down to the entry that is no table, or to the one that says no. */
static void translate(const struct page_table *pt, struct pt_explanation *e)
{
    const struct pt_mmu *mmu = pt_mmu_of(pt->format);
    struct view_table table = view_table(pt->root);
    pt_flags left = ALL_RIGHTS;
    uint64_t above = 0;

    if (!view_is_canonical(pt, e->vaddr)) {
        e->reason = PT_REASON_NOT_CANONICAL;
        return;
    }
    for (unsigned level = 0;; level++) {
        struct pt_step *step = &e->step[level];
        struct pt_decoded entry;

        *step = (struct pt_step){.table = table.paddr, .index = view_index(pt, e->vaddr, level)};
        e->steps = level + 1;
        if (!pt_view_read(pt, &table, step->index, &step->bits)) {
            pt_deny(e, PT_REASON_UNREADABLE, level, 0);
            return;
        }
        pt_decode(pt, level, step->index, step->bits, above, true, &entry);
        step->paddr = entry.paddr;
        step->is_leaf = entry.kind == PT_ENTRY_LEAF;
        step->is_table = entry.kind == PT_ENTRY_TABLE;
        if (entry.kind == PT_ENTRY_EMPTY) {
            pt_deny(e, PT_REASON_NOT_PRESENT, level, 0);
            return;
        }
        if (entry.malformed) {
            pt_deny(e, PT_REASON_MALFORMED, level, entry.malformed);
            return;
        }
        left &= step->is_leaf ? entry.flags : mmu && mmu->leaves ? mmu->leaves(pt, entry.seen) : left;
        step->allows = left;
        if (step->is_leaf) {
            e->is_translated = true;
            e->mapping = pt_view_page(pt, &table, level, step->index, above, &entry);
            e->mapping.paddr |= e->vaddr & (e->mapping.page_size - 1);
            return;
        }
        table = view_table(entry.paddr);
        above = entry.seen;
    }
}

void pt_explain_access(const struct page_table *pt, pt_vaddr vaddr, pt_flags access, uint32_t cpu,
                       struct pt_explanation *e)
{
    const struct pt_mmu *mmu = pt_mmu_of(pt->format);

    *e = (struct pt_explanation){.vaddr = vaddr, .access = access, .cpu = cpu};
    translate(pt, e);
    if (e->is_translated) {
        if (mmu)
            mmu->judge(pt, e);
        else
            judge_by_flags(e);
    }
    if (e->reason != PT_REASON_NONE && mmu)
        mmu->report(pt, e);
}

/* ---- As text ----------------------------------------------------------------------------------- */

static const char *const reasons[] = {
    [PT_REASON_NONE] = "PT_REASON_NONE",
    [PT_REASON_NOT_CANONICAL] = "PT_REASON_NOT_CANONICAL",
    [PT_REASON_UNREADABLE] = "PT_REASON_UNREADABLE",
    [PT_REASON_NOT_PRESENT] = "PT_REASON_NOT_PRESENT",
    [PT_REASON_MALFORMED] = "PT_REASON_MALFORMED",
    [PT_REASON_PRIVILEGE] = "PT_REASON_PRIVILEGE",
    [PT_REASON_RIGHT] = "PT_REASON_RIGHT",
    [PT_REASON_NOT_ACCESSED] = "PT_REASON_NOT_ACCESSED",
    [PT_REASON_NOT_DIRTY] = "PT_REASON_NOT_DIRTY",
};

const char *pt_reason_name(enum pt_reason reason)
{
    return (unsigned)reason < sizeof(reasons) / sizeof(reasons[0]) ? reasons[reason] : "?";
}

const struct pt_field *pt_fields(const struct pt_format *format)
{
    static const struct pt_field none[] = {{0}};
    const struct pt_mmu *mmu = pt_mmu_of(format);

    return mmu ? mmu->fields : none;
}

/* The fields that are not zero; `only` some of the bits, with those that are. */
static void put_fields(struct text *text, const struct page_table *pt, const struct pt_step *step, unsigned level,
                       uint64_t only)
{
    unsigned where = !step->is_leaf                ? PT_FIELD_OF_TABLE
                     : pt_is_last_level(pt, level) ? PT_FIELD_OF_PAGE
                                                   : PT_FIELD_OF_HUGE;

    for (const struct pt_field *field = pt_fields(pt->format); field->name; field++) {
        uint64_t mask = (~UINT64_C(0) >> (64 - field->width)) << field->low;
        uint64_t value = (step->bits & mask) >> field->low;

        if (!(field->where & where) || (field->features && !(field->features & pt->format->features)) ||
            !(mask & (only ? only : step->bits)))
            continue;
        pt_text_put(text, " ");
        pt_text_put(text, field->name);
        if (field->width > 1 || only) {
            pt_text_put(text, "=");
            pt_text_hex(text, value, 1);
        }
    }
}

static void put_rights(struct text *text, pt_flags flags)
{
    pt_text_put(text, flags & PT_READ ? "r" : "-");
    pt_text_put(text, flags & PT_WRITE ? "w" : "-");
    pt_text_put(text, flags & PT_EXECUTE ? "x" : "-");
    pt_text_put(text, flags & PT_USER ? "u" : "-");
}

static void put_step(struct text *text, const struct page_table *pt, const struct pt_explanation *e, unsigned level)
{
    const struct pt_step *step = &e->step[level];

    pt_text_put(text, "  level ");
    pt_text_decimal(text, level);
    pt_text_put(text, ": entry ");
    pt_text_decimal(text, (uint32_t)step->index);
    pt_text_put(text, " of the table at ");
    pt_text_hex(text, step->table, 1);
    if (e->reason == PT_REASON_UNREADABLE && e->level == level) {
        pt_text_put(text, " cannot be read\n");
        return;
    }
    pt_text_put(text, " is ");
    pt_text_hex(text, step->bits, 2u * pt->measures.entry_size);
    pt_text_put(text, ":");
    put_fields(text, pt, step, level, 0);
    if (step->is_leaf || step->is_table) {
        pt_text_put(text, step->is_leaf ? " -> page at " : " -> table at ");
        pt_text_hex(text, step->paddr, 1);
        pt_text_put(text, ", ");
        put_rights(text, step->allows);
    }
    pt_text_put(text, "\n");
}

static void put_reason(struct text *text, const struct page_table *pt, const struct pt_explanation *e)
{
    static const char *const words[] = {
        [PT_REASON_NONE] = "the access is carried out",      [PT_REASON_NOT_CANONICAL] = "the address is not canonical",
        [PT_REASON_UNREADABLE] = "the table cannot be read", [PT_REASON_NOT_PRESENT] = "the entry leads nowhere",
        [PT_REASON_MALFORMED] = "the entry is malformed",    [PT_REASON_PRIVILEGE] = "not with this privilege",
        [PT_REASON_RIGHT] = "the right is missing",          [PT_REASON_NOT_ACCESSED] = "it is not marked as accessed",
        [PT_REASON_NOT_DIRTY] = "it is not marked as dirty",
    };

    pt_text_put(text, e->reason == PT_REASON_NONE ? "  " : "  fault: ");
    pt_text_put(text, words[e->reason]);
    if (e->reason != PT_REASON_NONE && e->reason != PT_REASON_NOT_CANONICAL) {
        pt_text_put(text, ", says level ");
        pt_text_decimal(text, e->level);
        if (e->bits) {
            pt_text_put(text, " by");
            put_fields(text, pt, &e->step[e->level], e->level, e->bits);
            pt_text_put(text, " (bits ");
            pt_text_hex(text, e->bits, 1);
            pt_text_put(text, ")");
        }
    }
    pt_text_put(text, "\n");
}

void pt_explain(const struct page_table *pt, pt_vaddr vaddr, pt_flags access, uint32_t cpu,
                void (*write)(void *arg, const char *text, size_t length), void *arg)
{
    const struct pt_mmu *mmu = pt_mmu_of(pt->format);
    struct text text = {.write = write, .arg = arg};
    struct pt_explanation e;

    pt_explain_access(pt, vaddr, access, cpu, &e);
    pt_text_put(&text, pt->format->name);
    pt_text_put(&text, access & PT_EXECUTE ? ": execute" : access & PT_WRITE ? ": write" : ": read");
    pt_text_put(&text, access & PT_USER ? " by the user, " : " by the supervisor, ");
    pt_text_hex(&text, vaddr, 16);
    pt_text_put(&text, "\n");
    for (unsigned level = 0; level < e.steps; level++)
        put_step(&text, pt, &e, level);
    if (e.is_translated) {
        pt_text_put(&text, "  ");
        pt_text_size(&text, e.mapping.page_size);
        pt_text_put(&text, " page, physical address ");
        pt_text_hex(&text, e.mapping.paddr, 1);
        pt_text_put(&text, ", ");
        pt_text_flags(&text, e.mapping.flags);
        pt_text_put(&text, "\n");
    }
    put_reason(&text, pt, &e);
    if (e.reason != PT_REASON_NONE && mmu) {
        pt_text_put(&text, "  the CPU reports ");
        pt_text_put(&text, mmu->exception);
        pt_text_put(&text, " ");
        pt_text_hex(&text, e.exception, 1);
        pt_text_put(&text, " (");
        pt_text_put(&text, mmu->exception_name(&e));
        pt_text_put(&text, ")");
        if (mmu->code) {
            pt_text_put(&text, ", ");
            pt_text_put(&text, mmu->code);
            pt_text_put(&text, " ");
            pt_text_hex(&text, e.code, 1);
        }
        pt_text_put(&text, "\n");
    }
}
