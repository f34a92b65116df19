/* SPDX-License-Identifier: MIT */
/* The library's interface as plain functions, so that ours.rs has to know no layout of its structures. */
#include <pagetable/pagetable.h>

#include <stdlib.h>

/* The crate's MappingFlags are the same bits. */
_Static_assert(PT_READ == 1 && PT_WRITE == 2 && PT_EXECUTE == 4 && PT_USER == 8 && PT_DEVICE == 16 && PT_UNCACHED == 32,
               "flags");
_Static_assert(sizeof(struct pt_mapping) == 24 && offsetof(struct pt_mapping, flags) == 16,
               "struct Mapping of ours.rs");
_Static_assert(sizeof(enum pt_status) == 4, "enum Status of ours.rs");

struct subject {
    struct page_table table;
    struct pt_flush flush;
    struct pt_handler handler;
};

typedef pt_paddr (*allocate)(void *ctx, size_t count, size_t align);
typedef void (*deallocate)(void *ctx, pt_paddr first, size_t count);

struct subject *subject_new(allocate alloc_frames, deallocate dealloc_frames);
void subject_delete(struct subject *subject);
pt_paddr subject_root(const struct subject *subject);
enum pt_status subject_map(struct subject *subject, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags);
enum pt_status subject_unmap(struct subject *subject, pt_vaddr vaddr, struct pt_mapping *old);
enum pt_status subject_protect(struct subject *subject, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size);
enum pt_status subject_remap(struct subject *subject, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags,
                             uint64_t *page_size);
enum pt_status subject_query(const struct subject *subject, pt_vaddr vaddr, struct pt_mapping *out);
enum pt_status subject_map_region(struct subject *subject, pt_vaddr vaddr, pt_paddr paddr, uint64_t size,
                                  pt_flags flags, bool allow_huge);
enum pt_status subject_unmap_region(struct subject *subject, pt_vaddr vaddr, uint64_t size, bool skip_holes);
enum pt_status subject_protect_region(struct subject *subject, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                      bool skip_holes);
void subject_walk(const struct subject *subject, size_t limit,
                  void (*visit)(void *arg, unsigned level, unsigned index, pt_vaddr vaddr, uint64_t bits), void *arg);

struct subject *subject_new(allocate alloc_frames, deallocate dealloc_frames)
{
    struct subject *subject = calloc(1, sizeof(*subject));

    if (!subject)
        abort();
    subject->handler.alloc_frames = alloc_frames;
    subject->handler.dealloc_frames = dealloc_frames;
    if (pt_create(&subject->table, &pt_x86_64, &subject->handler, NULL) != PT_OK)
        abort();
    pt_flush_init(&subject->flush, &subject->table);
    return subject;
}

void subject_delete(struct subject *subject)
{
    pt_destroy(&subject->table);
    free(subject);
}

pt_paddr subject_root(const struct subject *subject)
{
    return pt_root(&subject->table);
}

/* No TLB has seen anything: retired tables can go at once. */
static enum pt_status settle(struct subject *subject, enum pt_status status)
{
    pt_flush_ignore(&subject->flush);
    return status;
}

enum pt_status subject_map(struct subject *subject, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags)
{
    return settle(subject, pt_map(&subject->table, vaddr, paddr, page_size, flags, &subject->flush));
}

enum pt_status subject_unmap(struct subject *subject, pt_vaddr vaddr, struct pt_mapping *old)
{
    return settle(subject, pt_unmap(&subject->table, vaddr, old, &subject->flush));
}

enum pt_status subject_protect(struct subject *subject, pt_vaddr vaddr, pt_flags flags, uint64_t *page_size)
{
    return settle(subject, pt_protect(&subject->table, vaddr, flags, page_size, &subject->flush));
}

enum pt_status subject_remap(struct subject *subject, pt_vaddr vaddr, pt_paddr paddr, pt_flags flags,
                             uint64_t *page_size)
{
    return settle(subject, pt_remap(&subject->table, vaddr, paddr, flags, page_size, &subject->flush));
}

enum pt_status subject_query(const struct subject *subject, pt_vaddr vaddr, struct pt_mapping *out)
{
    return pt_query(&subject->table, vaddr, out);
}

enum pt_status subject_map_region(struct subject *subject, pt_vaddr vaddr, pt_paddr paddr, uint64_t size,
                                  pt_flags flags, bool allow_huge)
{
    return settle(subject, pt_map_region(&subject->table, vaddr, paddr, size, flags, allow_huge ? PT_ALLOW_HUGE : 0,
                                         &subject->flush));
}

enum pt_status subject_unmap_region(struct subject *subject, pt_vaddr vaddr, uint64_t size, bool skip_holes)
{
    return settle(subject,
                  pt_unmap_region(&subject->table, vaddr, size, skip_holes ? PT_SKIP_HOLES : 0, &subject->flush));
}

enum pt_status subject_protect_region(struct subject *subject, pt_vaddr vaddr, uint64_t size, pt_flags flags,
                                      bool skip_holes)
{
    return settle(subject, pt_protect_region(&subject->table, vaddr, size, flags, skip_holes ? PT_SKIP_HOLES : 0,
                                             &subject->flush));
}

struct visitor {
    void (*visit)(void *arg, unsigned level, unsigned index, pt_vaddr vaddr, uint64_t bits);
    void *arg;
};

static bool forward(void *arg, const struct pt_visit *visit)
{
    const struct visitor *visitor = arg;

    visitor->visit(visitor->arg, visit->level, visit->index, visit->vaddr, visit->bits);
    return true;
}

void subject_walk(const struct subject *subject, size_t limit,
                  void (*visit)(void *arg, unsigned level, unsigned index, pt_vaddr vaddr, uint64_t bits), void *arg)
{
    struct visitor visitor = {visit, arg};

    pt_walk(&subject->table, limit, forward, NULL, &visitor);
}
