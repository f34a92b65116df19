/* SPDX-License-Identifier: MIT */
/*
 * 32-bit paging and PAE: the kernel maps itself, and then compares thousands of random changes with what the CPU makes
 * of them, by reading, writing and executing as the kernel, which SMAP and SMEP keep off user pages.
 */
#include "console.h"
#include "machine.h"
#include "random.h"

#include <pagetable/frame_pool.h>
#include <pagetable/hw.h>

#define MIB (UINT32_C(1) << 20)
#define RAM_END (256 * MIB)
#define POOL_FIRST (16 * MIB)
#define POOL_END (48 * MIB)
#define FRAMES_FIRST (64 * MIB) /* each holds its own address, and behind it a return instruction */
#define FRAMES_END (128 * MIB)
#define WINDOW_FIRST (1024 * MIB)
#define PAGES 600
#define CHANGES 20000

/* boot.S, link.ld */
extern char trap_page_fault[], trap_other[], kernel_text_start[], kernel_text_end[];
int probe_read(uint32_t vaddr, uint32_t *value);
int probe_write(uint32_t vaddr, uint32_t value);
int probe_execute(uint32_t vaddr);
_Noreturn void kernel_trap(uint32_t cr2);
uint32_t probe_resume, probe_stack;

static struct pt_frame_pool pool;
const char machine_name[] = MACHINE_NAME;
static struct page_table table;
static struct random numbers = {1};
static unsigned long checked, faults;

static _Noreturn void fail(const char *what, uint32_t vaddr)
{
    print("FAILED: %s at %x\n", what, vaddr);
    machine_exit(false);
}

_Noreturn void kernel_trap(uint32_t cr2)
{
    fail("a trap that nobody asked for", cr2);
}

static void must(enum pt_status status, const char *what)
{
    if (status != PT_OK) {
        print("%s: %s\n", what, pt_status_name(status));
        machine_exit(false);
    }
}

static uint32_t below(uint32_t count)
{
    return (uint32_t)random_next(&numbers) % count;
}

static void set_gate(uint32_t gate[2], const char *entry)
{
    gate[0] = UINT32_C(0x80000) | ((uint32_t)entry & 0xffff); /* boot.S: CODE_32 */
    gate[1] = ((uint32_t)entry & 0xffff0000) | 0x8e00;        /* interrupt gate, present, ring 0 */
}

static void set_up_traps(void)
{
    static uint32_t idt[32][2];
    struct __attribute__((packed)) {
        uint16_t limit;
        uint32_t base;
    } pointer = {sizeof(idt) - 1, (uint32_t)idt};

    for (unsigned i = 0; i < 32; i++)
        set_gate(idt[i], i == 14 ? trap_page_fault : trap_other);
    __asm__ volatile("lidt %0" : : "m"(pointer), "m"(idt));
}

static void turn_paging_on(void)
{
    uint32_t cr0, cr4 = PT_X86_64_CR4_PSE | PT_X86_64_CR4_PGE | PT_X86_64_CR4_SMEP | PT_X86_64_CR4_SMAP;

#ifdef MACHINE_PAE
    cr4 |= PT_X86_64_CR4_PAE;
    __asm__ volatile("wrmsr" : : "c"(PT_X86_64_MSR_EFER), "a"((uint32_t)PT_X86_64_EFER_NXE), "d"(0));
#endif
    pt_hw_load_root(&table);
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
    pt_hw_load_root(&table);
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0 | PT_X86_64_CR0_WP | PT_X86_64_CR0_PG) : "memory");
}

static void map_linear(uint32_t first, uint32_t end, pt_flags flags)
{
    PT_FLUSH(flush, &table);

    must(pt_map_region(&table, first, first, end - first, flags | PT_GLOBAL, PT_ALLOW_HUGE, &flush), "pt_map_region");
}

/* What is mapped, as it was asked for. */
struct page {
    uint32_t vaddr, paddr, size;
    pt_flags flags;
};

static struct page pages[PAGES];

/* What the CPU does at an address of the page is what the library says, and that is what was asked for. */
static void check_page(const struct page *page)
{
    uint32_t offset = below(page->size / 4096 + 1) * 4096 & (page->size - 1), vaddr = page->vaddr + offset, value = 0;
    bool readable, writable, executable, user = page->flags & PT_USER;
    struct pt_mapping found;

    if (page->size == 0)
        return;
    readable = !user && (page->flags & (PT_READ | PT_WRITE | PT_EXECUTE));
    writable = !user && (page->flags & PT_WRITE);
    executable = readable && ((page->flags & PT_EXECUTE) || !(table.format->features & PT_FEATURE_NX));
    if (probe_read(vaddr, &value) != !readable || (readable && value != page->paddr + offset))
        fail("read", vaddr);
    if (probe_write(vaddr, page->paddr + offset) != !writable)
        fail("write", vaddr);
    if (probe_execute(vaddr + 8) != !executable)
        fail("execute", vaddr);
    must(pt_query(&table, vaddr, &found), "pt_query");
    if (found.paddr != page->paddr + offset || found.page_size != page->size ||
        (readable && !(found.flags & PT_ACCESSED)) || (writable && !(found.flags & PT_DIRTY)))
        fail("pt_query", vaddr);
    faults += (unsigned)!readable + (unsigned)!writable + (unsigned)!executable;
    checked += 3;
}

static void check_hole(uint32_t vaddr)
{
    uint32_t value;

    if (!probe_read(vaddr, &value))
        fail("what is not mapped can be read", vaddr);
    checked++;
    faults++;
}

static pt_flags some_flags(void)
{
    return below(PT_ALL_FLAGS + 1);
}

static uint32_t some_frame(uint32_t size)
{
    return FRAMES_FIRST + below((FRAMES_END - FRAMES_FIRST) / size) * size;
}

static void map_some(struct page *page)
{
    uint32_t huge = (uint32_t)(table.format->page_sizes & ~PT_4K), size = below(4) == 0 ? huge : 4096;
    /* Near each other, so that tables are shared, come and go. */
    uint32_t vaddr = (WINDOW_FIRST + below(768) * 4 * MIB + below(4 * MIB)) & ~(size - 1);
    struct page wanted = {vaddr, some_frame(size), size, some_flags()};
    PT_FLUSH(flush, &table);

    if (pt_map(&table, vaddr, wanted.paddr, size, wanted.flags, &flush) == PT_OK)
        *page = wanted;
}

static void change(struct page *page)
{
    PT_FLUSH(flush, &table);

    switch (below(4)) {
    case 0:
        must(pt_unmap(&table, page->vaddr, NULL, &flush), "pt_unmap");
        must(pt_prune(&table, page->vaddr & ~(16 * MIB - 1), 16 * MIB, &flush), "pt_prune");
        pt_flush(&flush);
        check_hole(page->vaddr);
        page->size = 0;
        break;
    case 1:
        page->paddr = some_frame(page->size);
        page->flags = some_flags();
        must(pt_remap(&table, page->vaddr, page->paddr, page->flags, NULL, &flush), "pt_remap");
        break;
    case 2:
        page->flags = some_flags();
        must(pt_protect(&table, page->vaddr, page->flags, NULL, &flush), "pt_protect");
        break;
    default:
        if (page->size > 4096) {
            must(pt_split(&table, page->vaddr, 4096, &flush), "pt_split");
            pt_flush(&flush);
            must(pt_collapse(&table, page->vaddr, page->size, &flush), "pt_collapse");
        }
    }
}

_Noreturn void kernel_main(void)
{
    const struct pt_format *format = &MACHINE_FORMAT;
    uint32_t text = (uint32_t)kernel_text_start, text_end = (uint32_t)kernel_text_end;

    print("pagetable: %s, format %s\n", machine_name, format->name);
    set_up_traps();
    pt_frame_pool_init(&pool, POOL_FIRST, (void *)POOL_FIRST, POOL_END - POOL_FIRST);
    must(pt_create(&table, format, &pt_frame_pool_handler, &pool), "pt_create");
    for (uint32_t frame = FRAMES_FIRST; frame < FRAMES_END; frame += 4096) {
        *(volatile uint32_t *)frame = frame;
        *(volatile uint32_t *)(frame + 8) = 0xc3;
    }
    map_linear(0, text, PT_READ | PT_WRITE);
    map_linear(text, text_end, PT_READ | PT_EXECUTE);
    map_linear(text_end, RAM_END, PT_READ | PT_WRITE);
    turn_paging_on();

    for (unsigned i = 0; i < CHANGES; i++) {
        struct page *page = &pages[below(PAGES)];

        if (page->size == 0)
            map_some(page);
        else
            change(page);
        check_page(page);
        check_page(&pages[below(PAGES)]);
    }
    print("%lu accesses, %lu of them faulted, as the library says\n", checked, faults);
    if (faults == 0 || faults == checked)
        fail("all the same", 0);
    print("pagetable: all checks passed on %s\n", machine_name);
    machine_exit(true);
}
