/* SPDX-License-Identifier: MIT */
/*
 * ARMv7 short descriptors on QEMU's "virt" machine: the kernel maps itself, and then compares thousands of random
 * changes with what the CPU's own table walk says (ATS1CPR and its like, B3.12.27 of DDI 0406C), for reads and writes
 * of the kernel and of users, and with what it reads from memory.
 */
#include "console.h"
#include "machine.h"
#include "random.h"

#include <pagetable/frame_pool.h>
#include <pagetable/hw.h>

#define MIB UINT64_C(0x100000)
#define RAM (1024 * MIB)
#define RAM_END (RAM + 256 * MIB)
#define POOL_FIRST (RAM + 32 * MIB)
#define POOL_END (RAM + 64 * MIB)
#define FRAMES_FIRST (RAM + 128 * MIB) /* each word of them holds its own address */
#define FRAMES_END (RAM + 192 * MIB)
#define PL011 UINT64_C(0x09000000)
#define WINDOW_FIRST (2048 * MIB)
#define WINDOW_END (4096 * MIB)
#define RIGHTS (PT_READ | PT_WRITE | PT_EXECUTE)
#define CHANGES 20000
#define PAGES 500

extern char kernel_text_start[], kernel_text_end[]; /* link.ld */
_Noreturn void kernel_trap(unsigned number);

const char machine_name[] = MACHINE_NAME;
static struct pt_frame_pool pool;
static struct page_table table;
static struct random numbers = {1};
static unsigned long checked, faults;

/* What the compiler calls; the run-time ABI for Arm (IHI 0043) has other names and another order. */
void *memset(void *to, int byte, size_t size);
void *memcpy(void *to, const void *from, size_t size);
void __aeabi_memset(void *to, size_t size, int byte);
void __aeabi_memset4(void *to, size_t size, int byte);
void __aeabi_memset8(void *to, size_t size, int byte);
void __aeabi_memclr(void *to, size_t size);
void __aeabi_memclr4(void *to, size_t size);
void __aeabi_memclr8(void *to, size_t size);
void __aeabi_memcpy(void *to, const void *from, size_t size);
void __aeabi_memcpy4(void *to, const void *from, size_t size);
void __aeabi_memcpy8(void *to, const void *from, size_t size);

void __aeabi_memset(void *to, size_t size, int byte)
{
    memset(to, byte, size);
}

void __aeabi_memset4(void *to, size_t size, int byte)
{
    memset(to, byte, size);
}

void __aeabi_memset8(void *to, size_t size, int byte)
{
    memset(to, byte, size);
}

void __aeabi_memclr(void *to, size_t size)
{
    memset(to, 0, size);
}

void __aeabi_memclr4(void *to, size_t size)
{
    memset(to, 0, size);
}

void __aeabi_memclr8(void *to, size_t size)
{
    memset(to, 0, size);
}

void __aeabi_memcpy(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

void __aeabi_memcpy4(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

void __aeabi_memcpy8(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

/* ---- The machine --------------------------------------------------------------------------------- */

void machine_put_char(char c)
{
    while (*(volatile uint32_t *)(uintptr_t)(PL011 + 0x18) & 1u << 5) /* transmit FIFO full */
        ;
    *(volatile uint32_t *)(uintptr_t)PL011 = (unsigned char)c;
}

/* Semihosting, SYS_EXIT_EXTENDED: the emulator ends with this status. */
_Noreturn void machine_exit(bool passed)
{
    const uint32_t block[2] = {0x20026 /* ADP_Stopped_ApplicationExit */, passed ? 0 : 1};
    register uint32_t operation __asm__("r0") = 0x20;
    register const uint32_t *parameters __asm__("r1") = block;

    for (;;)
        __asm__ volatile("svc #0x123456" : "+r"(operation) : "r"(parameters) : "memory");
}

static _Noreturn void fail(const char *what, pt_vaddr vaddr)
{
    print("FAILED: %s at %x\n", what, (unsigned)vaddr);
    machine_exit(false);
}

_Noreturn void kernel_trap(unsigned number)
{
    uint32_t address;

    PT_ARMV7_READ("p15, 0, %0, c6, c0, 0", address); /* DFAR */
    print("exception %u\n", number);
    fail("an exception that nobody asked for", address);
}

static void must(enum pt_status status, const char *what)
{
    if (status != PT_OK) {
        print("%s: %s\n", what, pt_status_name(status));
        machine_exit(false);
    }
}

static void turn_mmu_on(void)
{
    uint32_t sctlr;

    PT_ARMV7_WRITE(PT_ARMV7_DACR_REGISTER, PT_ARMV7_DACR);
    PT_ARMV7_WRITE(PT_ARMV7_TTBCR, 0);
    pt_hw_load_root(&table);
    pt_hw_invalidate_all();
    pt_hw_invalidate_end();
    PT_ARMV7_READ(PT_ARMV7_SCTLR, sctlr);
    sctlr = (sctlr | PT_ARMV7_SCTLR_ON) & ~(PT_ARMV7_SCTLR_WXN | PT_ARMV7_SCTLR_TRE | PT_ARMV7_SCTLR_AFE);
    PT_ARMV7_WRITE(PT_ARMV7_SCTLR, sctlr);
    __asm__ volatile("isb" ::: "memory");
}

/* ---- What the CPU says --------------------------------------------------------------------------- */

#define TRANSLATE(name, number)                                                                                        \
    static uint32_t name(pt_vaddr vaddr)                                                                               \
    {                                                                                                                  \
        uint32_t par;                                                                                                  \
        PT_ARMV7_WRITE("p15, 0, %0, c7, c8, " #number, (uint32_t)vaddr);                                               \
        __asm__ volatile("isb" ::: "memory");                                                                          \
        PT_ARMV7_READ("p15, 0, %0, c7, c4, 0", par);                                                                   \
        return par;                                                                                                    \
    }
TRANSLATE(kernel_reads, 0)
TRANSLATE(kernel_writes, 1)
TRANSLATE(user_reads, 2)
TRANSLATE(user_writes, 3)

/* PAR: bit 0 says fault; else the address, of a supersection (bit 1) its upper 8 bits only. */
static void check_walk(uint32_t par, bool allowed, pt_vaddr vaddr, pt_paddr paddr, const char *what)
{
    uint32_t mask = par & 2 ? 0xff000000 : 0xfffff000;

    checked++;
    if ((par & 1) != !allowed)
        fail(what, vaddr);
    faults += !allowed;
    if (allowed && (par & mask) != ((uint32_t)paddr & mask))
        fail("the walk's address", vaddr);
}

static uint32_t below(uint32_t count)
{
    return (uint32_t)random_next(&numbers) % count;
}

static void check_address(pt_vaddr vaddr)
{
    struct pt_mapping found = {0};
    enum pt_status status = pt_query(&table, vaddr, &found);
    pt_flags flags = status == PT_OK ? found.flags : 0;
    bool user = flags & PT_USER;

    check_walk(kernel_reads(vaddr), flags & RIGHTS, vaddr, found.paddr, "a read by the kernel");
    check_walk(kernel_writes(vaddr), flags & PT_WRITE, vaddr, found.paddr, "a write by the kernel");
    check_walk(user_reads(vaddr), user && (flags & RIGHTS), vaddr, found.paddr, "a read by a user");
    check_walk(user_writes(vaddr), user && (flags & PT_WRITE), vaddr, found.paddr, "a write by a user");
    if ((flags & RIGHTS) && *(volatile uint32_t *)(uintptr_t)vaddr != (uint32_t)found.paddr)
        fail("another frame is read", vaddr);
}

/* ---- Changes ------------------------------------------------------------------------------------- */

static const uint32_t sizes[] = {0x1000, 0x10000, 0x100000, 0x1000000};

static void change(pt_vaddr *page)
{
    uint32_t size = sizes[below(4)];
    pt_vaddr vaddr = (WINDOW_FIRST + below(256) * 4 * MIB + below((uint32_t)(4 * MIB))) & ~(pt_vaddr)(size - 1);
    pt_paddr paddr = (FRAMES_FIRST + below((uint32_t)(FRAMES_END - FRAMES_FIRST))) & ~(pt_paddr)(size - 1);
    pt_flags flags = below(PT_ALL_FLAGS + 1) & ~(pt_flags)PT_DEVICE;
    struct pt_mapping found;
    PT_FLUSH(flush, &table);

    if (*page == 0) {
        if (pt_map_region(&table, vaddr, paddr, size, flags, PT_ALLOW_HUGE, &flush) == PT_OK)
            *page = vaddr;
        return;
    }
    vaddr = *page;
    if (pt_query(&table, vaddr, &found) != PT_OK)
        fail("a page is gone", vaddr);
    switch (below(6)) {
    case 0:
        must(pt_protect_region(&table, vaddr & ~(pt_vaddr)0xffff, 0x8000, flags, PT_SKIP_HOLES, &flush),
             "pt_protect_region");
        break;
    case 1:
        must(pt_remap(&table, vaddr, paddr & ~(pt_paddr)(found.page_size - 1), flags, NULL, &flush), "pt_remap");
        break;
    case 2:
        must(pt_split(&table, vaddr, sizes[below(4)], &flush), "pt_split");
        break;
    case 3:
        must(pt_collapse(&table, vaddr & ~(pt_vaddr)0xffffff, 0x1000000, &flush), "pt_collapse");
        break;
    default:
        must(pt_unmap_region(&table, vaddr & ~(pt_vaddr)(size - 1), size, PT_SKIP_HOLES, &flush), "pt_unmap_region");
        must(pt_prune(&table, vaddr & ~(pt_vaddr)0xffffff, 0x1000000, &flush), "pt_prune");
    }
}

/* Other changes may have unmapped it: it was near. */
static void forget_if_gone(pt_vaddr *page)
{
    if (*page != 0 && pt_query(&table, *page, NULL) != PT_OK)
        *page = 0;
}

static void map_linear(pt_paddr first, pt_paddr end, pt_flags flags)
{
    PT_FLUSH(flush, &table);

    must(pt_map_region(&table, first, first, end - first, flags | PT_GLOBAL, PT_ALLOW_HUGE, &flush), "pt_map_region");
}

_Noreturn void kernel_main(void)
{
    static pt_vaddr pages[PAGES];
    pt_paddr text = (uintptr_t)kernel_text_start, text_end = (uintptr_t)kernel_text_end;
    struct pt_mapping found;

    print("pagetable: %s, format %s\n", machine_name, pt_armv7_short.name);
    pt_frame_pool_init(&pool, POOL_FIRST, (void *)(uintptr_t)POOL_FIRST, POOL_END - POOL_FIRST);
    must(pt_create(&table, &pt_armv7_short, &pt_frame_pool_handler, &pool), "pt_create");
    for (pt_paddr word = FRAMES_FIRST; word < FRAMES_END; word += 4096)
        *(volatile uint32_t *)(uintptr_t)word = (uint32_t)word;
    map_linear(RAM, text, PT_READ | PT_WRITE);
    map_linear(text, text_end, PT_READ | PT_EXECUTE);
    map_linear(text_end, RAM_END, PT_READ | PT_WRITE);
    map_linear(PL011, PL011 + 4096, PT_READ | PT_WRITE | PT_DEVICE);
    must(pt_query(&table, RAM + 64 * MIB, &found), "pt_query");
    if (found.page_size != PT_16M)
        fail("no supersection in the linear map", RAM + 64 * MIB);
    turn_mmu_on();

    for (unsigned i = 0; i < CHANGES; i++) {
        pt_vaddr *page = &pages[below(PAGES)], old = *page;

        forget_if_gone(page);
        change(page);
        check_address(old != 0 ? old : WINDOW_FIRST + below(1024) * MIB);
        forget_if_gone(page);
        if (*page != 0)
            check_address(*page + below(16) * 0x1000 % 0x10000);
    }
    print("%lu walks, %lu of them faulted, as the library says\n", checked, faults);
    if (faults == 0 || faults == checked)
        fail("all the same", 0);
    print("pagetable: all checks passed on %s\n", machine_name);
    machine_exit(true);
}
