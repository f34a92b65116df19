/* SPDX-License-Identifier: MIT */
/* The mappings as text: one line for each run of pages that differ in nothing but their place. */
#include <pagetable/pagetable.h>

struct dump {
    void (*write)(void *arg, const char *text, size_t length);
    void *arg;
    char line[128];
    size_t length;

    /* The run that is being gathered; size == 0: none. */
    pt_vaddr vaddr;
    uint64_t size;
    struct pt_mapping mapping;
};

static void put(struct dump *dump, const char *text)
{
    while (*text && dump->length < sizeof(dump->line))
        dump->line[dump->length++] = *text++;
}

static void put_hex(struct dump *dump, uint64_t value)
{
    static const char digits[] = "0123456789abcdef";

    for (int shift = 60; shift >= 0; shift -= 4)
        put(dump, (const char[]){digits[(value >> shift) & 15], '\0'});
}

/* In the largest unit that leaves nothing over and five digits at most, six columns wide: "   12M". */
static void put_size(struct dump *dump, uint64_t size)
{
    static const char units[] = "BKMGTPE";
    char text[] = "      ";
    size_t at = sizeof(text) - 1;
    const char *unit = units;
    uint32_t digits;

    for (; unit[1] && ((size & 1023) == 0 || size > 99999); unit++)
        size >>= 10;
    text[--at] = *unit;
    digits = (uint32_t)size;
    do {
        text[--at] = (char)('0' + digits % 10);
        digits /= 10;
    } while (digits > 0);
    put(dump, text);
}

static void put_flags(struct dump *dump, pt_flags flags)
{
    static const struct {
        pt_flags flag;
        char letter;
    } letters[] = {{PT_READ, 'r'}, {PT_WRITE, 'w'}, {PT_EXECUTE, 'x'}, {PT_USER, 'u'}, {PT_GLOBAL, 'g'}};

    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        put(dump, (const char[]){flags & letters[i].flag ? letters[i].letter : '-', '\0'});
    if (flags & PT_DEVICE)
        put(dump, " device");
    if (flags & PT_UNCACHED)
        put(dump, " uncached");
}

/* "0x first-0x last -> 0x paddr    64M of    2M rw--g" */
static void put_run(struct dump *dump)
{
    if (dump->size == 0)
        return;
    put(dump, "0x");
    put_hex(dump, dump->vaddr);
    put(dump, "-0x");
    put_hex(dump, dump->vaddr + (dump->size - 1));
    put(dump, " -> 0x");
    put_hex(dump, dump->mapping.paddr);
    put(dump, " ");
    put_size(dump, dump->size);
    put(dump, " of ");
    put_size(dump, dump->mapping.page_size);
    put(dump, " ");
    put_flags(dump, dump->mapping.flags);
    put(dump, "\n");
    dump->write(dump->arg, dump->line, dump->length);
    dump->length = 0;
}

static bool gather(void *arg, const struct pt_visit *visit)
{
    struct dump *dump = arg;
    const struct pt_mapping *mapping = &visit->mapping;

    if (!visit->is_leaf)
        return true;
    if (dump->size > 0 && dump->vaddr + dump->size == visit->vaddr &&
        dump->mapping.paddr + dump->size == mapping->paddr && dump->mapping.page_size == mapping->page_size &&
        dump->mapping.flags == mapping->flags) {
        dump->size += mapping->page_size;
        return true;
    }
    put_run(dump);
    dump->vaddr = visit->vaddr;
    dump->size = mapping->page_size;
    dump->mapping = *mapping;
    return true;
}

void pt_dump(const struct page_table *pt, void (*write)(void *arg, const char *text, size_t length), void *arg)
{
    struct dump dump = {.write = write, .arg = arg};

    pt_walk(pt, SIZE_MAX, gather, NULL, &dump);
    put_run(&dump);
}
