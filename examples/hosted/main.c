/* SPDX-License-Identifier: MIT */
/* The library on simulated memory: the same calls for every MMU, no privilege needed. */
#include <pagetable/frame_pool.h>
#include <pagetable/pagetable.h>
#include <stdio.h>

static _Alignas(4096) unsigned char memory[64 * 4096]; /* "physical" memory at 0x80000000 */

static void print(void *arg, const char *text, size_t length)
{
    (void)arg;
    fwrite(text, 1, length, stdout);
}

static enum pt_status show(const struct pt_format *format)
{
    struct pt_frame_pool pool;
    struct page_table table;
    struct pt_flush flush;
    struct pt_mapping page;
    enum pt_status status;

    pt_frame_pool_init(&pool, 0x80000000, memory, sizeof(memory));
    status = pt_create(&table, format, &pt_frame_pool_handler, &pool);
    if (status != PT_OK)
        return status;
    pt_flush_init(&flush, &table); /* in a kernel: PT_FLUSH(flush, &table), which carries itself out */

    /* 1 GiB and a bit of RAM with the largest pages that fit, a device page, and a guard page in between. */
    status = pt_map_region(&table, 0x200000, 0x200000, PT_1G + PT_2M + PT_4K, PT_READ | PT_WRITE | PT_GLOBAL,
                           PT_ALLOW_HUGE, &flush);
    if (status == PT_OK)
        status = pt_map(&table, 0x7000, 0x10000000, PT_4K, PT_READ | PT_WRITE | PT_DEVICE, &flush);
    if (status == PT_OK)
        status = pt_map(&table, 0x8000, 0x9000, PT_4K, 0, &flush);
    if (status == PT_OK)
        status = pt_query(&table, 0x40000123, &page);
    if (status == PT_OK) {
        printf("%s, root at 0x%llx\n", format->name, (unsigned long long)pt_root(&table));
        pt_dump(&table, print, NULL);
        printf("0x40000123 translates to 0x%llx\n", (unsigned long long)page.paddr);
    }

    /* A hole of 4K: the huge page around it is split, the rest stays. */
    if (status == PT_OK)
        status = pt_unmap_region(&table, 0x40000000, PT_4K, 0, &flush);
    if (status == PT_OK)
        printf("0x40000123 is %s now, and 0x40001123 %s\n\n", pt_status_name(pt_query(&table, 0x40000123, NULL)),
               pt_status_name(pt_query(&table, 0x40001123, NULL)));
    pt_flush_ignore(&flush); /* no TLB holds anything of simulated memory */
    pt_destroy(&table);
    return status;
}

int main(void)
{
    const struct pt_format *const formats[] = {&pt_x86_64, &pt_aarch64, &pt_sv39, &pt_sv48, &pt_loongarch64};

    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        enum pt_status status = show(formats[i]);

        if (status != PT_OK) {
            fprintf(stderr, "%s: %s\n", formats[i]->name, pt_status_name(status));
            return 1;
        }
    }
    return 0;
}
