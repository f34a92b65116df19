/* SPDX-License-Identifier: MIT */
/* The ready-made frame allocator, and every format with its tables in it. */
#include <pagetable/frame_pool.h>

#include "formats.h"
#include "test.h"

#define FRAME ((size_t)PT_FRAME_SIZE)
#define BASE UINT64_C(0x140000000)

/* A block of `size` bytes that the host sees as far from a frame's beginning as paddr is. */
struct block {
    unsigned char *allocated;
    unsigned char *memory;
    pt_paddr paddr;
    size_t size;
};

static struct block block_make(pt_paddr paddr, size_t size)
{
    struct block block = {.paddr = paddr, .size = size};

    block.allocated = malloc(size + 2 * FRAME);
    assert_non_null(block.allocated);
    /* as if the memory had been used before */
    memset(block.allocated, 0xA7, size + 2 * FRAME);
    block.memory = block.allocated + FRAME - (uintptr_t)block.allocated % FRAME + (size_t)(paddr % FRAME);
    return block;
}

static void block_end(struct block *block)
{
    free(block->allocated);
}

/* The frames of the block that nobody may touch: what is outside of its whole frames. */
static void assert_outside_untouched(const struct block *block)
{
    for (unsigned char *byte = block->allocated; byte < block->memory; byte++)
        assert_int_equal(*byte, 0xA7);
    for (unsigned char *byte = block->memory + block->size; byte < block->allocated + block->size + 2 * FRAME; byte++)
        assert_int_equal(*byte, 0xA7);
}

static void *seen(struct pt_frame_pool *pool, pt_paddr paddr)
{
    return pt_frame_pool_phys_to_virt(pool, paddr);
}

static void every_frame_is_handed_out_once(void **state)
{
    struct block block = block_make(BASE, 64 * FRAME);
    struct pt_frame_pool pool;
    size_t count = pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
    bool taken[64] = {false};

    (void)state;
    assert_int_equal(count, 63); /* the map takes one */
    assert_int_equal(pool.free, count);
    for (size_t i = 0; i < count; i++) {
        pt_paddr frame = pt_frame_pool_alloc(&pool, 1, FRAME);

        assert_true(frame >= BASE && frame < BASE + 64 * FRAME && frame % FRAME == 0);
        assert_ptr_equal(seen(&pool, frame), block.memory + (frame - BASE));
        assert_false(taken[(frame - BASE) / FRAME]);
        taken[(frame - BASE) / FRAME] = true;
        assert_int_equal(pool.free, count - i - 1);
        memset(seen(&pool, frame), 0xFF, FRAME); /* not where the map is */
    }
    assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
    assert_int_equal(pool.free, 0);
    for (size_t i = 0; i < 64; i++)
        if (taken[i])
            pt_frame_pool_dealloc(&pool, BASE + i * FRAME, 1);
    assert_int_equal(pool.free, count);
    assert_outside_untouched(&block);
    block_end(&block);
}

static void what_comes_back_goes_out_again(void **state)
{
    struct block block = block_make(BASE, 8 * FRAME);
    struct pt_frame_pool pool;
    size_t count = pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
    pt_paddr frames[7];

    (void)state;
    assert_int_equal(count, 7);
    for (size_t i = 0; i < count; i++)
        frames[i] = pt_frame_pool_alloc(&pool, 1, FRAME);
    for (size_t i = 0; i < count; i++) {
        pt_frame_pool_dealloc(&pool, frames[i], 1);
        assert_int_equal(pool.free, 1);
        assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == frames[i]);
        assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
    }
    block_end(&block);
}

static void runs_are_contiguous_and_aligned(void **state)
{
    /* the base is not aligned to any of these */
    struct block block = block_make(BASE + FRAME, 64 * FRAME);
    const size_t counts[] = {1, 2, 3, 4, 8, 16};

    (void)state;
    for (size_t i = 0; i < TESTS_COUNT(counts); i++) {
        for (size_t align = FRAME; align <= 16 * FRAME; align *= 2) {
            struct pt_frame_pool pool;
            size_t free_before = pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
            pt_paddr previous = PT_NO_FRAME;

            for (;;) {
                pt_paddr first = pt_frame_pool_alloc(&pool, counts[i], align);

                if (first == PT_NO_FRAME)
                    break;
                assert_int_equal(first % align, 0);
                assert_true(first >= block.paddr + FRAME);
                assert_true(first + counts[i] * FRAME <= block.paddr + block.size);
                assert_true(previous == PT_NO_FRAME || first >= previous + counts[i] * FRAME);
                previous = first;
                free_before -= counts[i];
                assert_int_equal(pool.free, free_before);
            }
            assert_true(previous != PT_NO_FRAME);
        }
    }
    block_end(&block);
}

/* The search goes round: what lies before where it starts is found, and found in one piece. */
static void every_free_run_is_found(void **state)
{
    struct block block = block_make(BASE, 32 * FRAME);
    struct pt_frame_pool pool;

    (void)state;
    for (size_t start = 1; start < 32; start++)
        for (size_t count = 1; start + count <= 32; count++)
            for (size_t next = 1; next < 32; next += 5) {
                pt_paddr first = BASE + start * FRAME;

                pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
                assert_true(pt_frame_pool_alloc(&pool, 31, FRAME) == BASE + FRAME);
                /* leave the search where it would be after taking `next` */
                pt_frame_pool_dealloc(&pool, BASE + next * FRAME, 1);
                assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == BASE + next * FRAME);
                pt_frame_pool_dealloc(&pool, first, count);
                assert_int_equal(pool.free, count);
                assert_true(pt_frame_pool_alloc(&pool, count + 1, FRAME) == PT_NO_FRAME);
                assert_true(pt_frame_pool_alloc(&pool, count, FRAME) == first);
                assert_int_equal(pool.free, 0);
            }
    block_end(&block);
}

static void scattered_frames_are_no_run(void **state)
{
    struct block block = block_make(BASE, 32 * FRAME);
    struct pt_frame_pool pool;

    (void)state;
    pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
    assert_true(pt_frame_pool_alloc(&pool, 31, FRAME) == BASE + FRAME);
    for (size_t i = 1; i < 32; i += 2)
        pt_frame_pool_dealloc(&pool, BASE + i * FRAME, 1);
    assert_int_equal(pool.free, 16);
    assert_true(pt_frame_pool_alloc(&pool, 2, FRAME) == PT_NO_FRAME);
    assert_int_equal(pool.free, 16);
    assert_true(pt_frame_pool_alloc(&pool, 1, 2 * FRAME) == PT_NO_FRAME); /* only odd ones are free */
    assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) != PT_NO_FRAME);
    pt_frame_pool_dealloc(&pool, BASE + 10 * FRAME, 1);
    assert_true(pt_frame_pool_alloc(&pool, 3, FRAME) != PT_NO_FRAME ||
                pt_frame_pool_alloc(&pool, 2, FRAME) != PT_NO_FRAME);
    block_end(&block);
}

static void impossible_requests_are_refused(void **state)
{
    struct block block = block_make(BASE, 8 * FRAME);
    struct pt_frame_pool pool;

    (void)state;
    pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
    assert_true(pt_frame_pool_alloc(&pool, 0, FRAME) == PT_NO_FRAME);
    assert_true(pt_frame_pool_alloc(&pool, 8, FRAME) == PT_NO_FRAME);
    assert_true(pt_frame_pool_alloc(&pool, SIZE_MAX, FRAME) == PT_NO_FRAME);
    assert_true(pt_frame_pool_alloc(&pool, SIZE_MAX / FRAME, FRAME) == PT_NO_FRAME);
    assert_true(pt_frame_pool_alloc(&pool, 2, (SIZE_MAX >> 1) + 1) == PT_NO_FRAME);
    assert_int_equal(pool.free, 7);
    block_end(&block);
}

static void freeing_twice_is_harmless(void **state)
{
    struct block block = block_make(BASE, 8 * FRAME);
    struct pt_frame_pool pool;
    pt_paddr first;

    (void)state;
    pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
    first = pt_frame_pool_alloc(&pool, 3, FRAME);
    pt_frame_pool_dealloc(&pool, first, 3);
    pt_frame_pool_dealloc(&pool, first, 3);
    pt_frame_pool_dealloc(&pool, first + FRAME, 1);
    assert_int_equal(pool.free, 7);
    for (size_t i = 0; i < 7; i++)
        assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) != PT_NO_FRAME);
    assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
    block_end(&block);
}

static void freeing_what_is_not_the_pools_is_harmless(void **state)
{
    struct block block = block_make(BASE, 8 * FRAME);
    struct pt_frame_pool pool;

    (void)state;
    pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);
    assert_true(pt_frame_pool_alloc(&pool, 7, FRAME) != PT_NO_FRAME);
    pt_frame_pool_dealloc(&pool, BASE, 1); /* the map's own */
    pt_frame_pool_dealloc(&pool, BASE - FRAME, 1);
    pt_frame_pool_dealloc(&pool, BASE + 8 * FRAME, 1);
    pt_frame_pool_dealloc(&pool, PT_NO_FRAME, 1);
    pt_frame_pool_dealloc(&pool, 0, 1);
    assert_int_equal(pool.free, 0);
    assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
    assert_outside_untouched(&block);
    block_end(&block);
}

static void blocks_are_cut_to_whole_frames(void **state)
{
    const size_t before[] = {0, 1, FRAME / 2, FRAME - 1};
    const size_t after[] = {0, 1, FRAME / 2, FRAME - 1};

    (void)state;
    for (size_t i = 0; i < TESTS_COUNT(before); i++) {
        for (size_t j = 0; j < TESTS_COUNT(after); j++) {
            size_t offset = before[i] ? FRAME - before[i] : 0;
            struct block block = block_make(BASE + offset, before[i] + 8 * FRAME + after[j]);
            struct pt_frame_pool pool;
            pt_paddr begin = block.paddr + before[i];

            assert_int_equal(pt_frame_pool_init(&pool, block.paddr, block.memory, block.size), 7);
            for (size_t k = 0; k < 7; k++) {
                pt_paddr frame = pt_frame_pool_alloc(&pool, 1, FRAME);

                assert_true(frame % FRAME == 0 && frame >= begin && frame + FRAME <= begin + 8 * FRAME);
                assert_ptr_equal(seen(&pool, frame), block.memory + (frame - block.paddr));
                memset(seen(&pool, frame), 0, FRAME);
            }
            assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
            for (size_t k = 0; k < before[i]; k++)
                assert_int_equal(block.memory[k], 0xA7);
            for (size_t k = 0; k < after[j]; k++)
                assert_int_equal(block.memory[before[i] + 8 * FRAME + k], 0xA7);
            assert_outside_untouched(&block);
            block_end(&block);
        }
    }
}

static void blocks_that_are_too_small_give_nothing(void **state)
{
    const struct {
        size_t offset, size;
    } blocks[] = {{0, 0},
                  {0, 1},
                  {0, FRAME - 1},
                  {0, FRAME},
                  {0, 2 * FRAME - 1},
                  {1, 0},
                  {1, 1},
                  {1, FRAME - 1},
                  {1, FRAME},
                  {1, 2 * FRAME},
                  {1, 3 * FRAME - 2},
                  {FRAME - 1, 1},
                  {FRAME - 1, FRAME},
                  {FRAME - 1, FRAME + 1}};

    (void)state;
    for (size_t i = 0; i < TESTS_COUNT(blocks); i++) {
        struct block block = block_make(BASE + blocks[i].offset, blocks[i].size);
        struct pt_frame_pool pool;

        assert_int_equal(pt_frame_pool_init(&pool, block.paddr, block.memory, block.size), 0);
        assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
        pt_frame_pool_dealloc(&pool, block.paddr, 1);
        assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
        assert_outside_untouched(&block);
        block_end(&block);
    }
}

static void the_smallest_block_gives_one_frame(void **state)
{
    struct block block = block_make(BASE, 2 * FRAME);
    struct pt_frame_pool pool;

    (void)state;
    assert_int_equal(pt_frame_pool_init(&pool, block.paddr, block.memory, block.size), 1);
    assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == BASE + FRAME);
    assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
    pt_frame_pool_dealloc(&pool, BASE + FRAME, 1);
    assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == BASE + FRAME);
    block_end(&block);
}

/* Around the number of frames whose bits fill the first frame of the map. */
static void large_blocks_have_a_map_of_several_frames(void **state)
{
    const size_t frames[] = {8 * FRAME - 1, 8 * FRAME, 8 * FRAME + 1, 8 * FRAME + 2, 16 * FRAME};
    size_t most = frames[TESTS_COUNT(frames) - 1] * FRAME;
    unsigned char *allocated = malloc(most + FRAME); /* 256 MiB, of which little is touched */
    unsigned char *memory;

    (void)state;
    if (!allocated)
        skip();
    memory = allocated + FRAME - (uintptr_t)allocated % FRAME;
    for (size_t i = 0; i < TESTS_COUNT(frames); i++) {
        struct pt_frame_pool pool;
        size_t count = pt_frame_pool_init(&pool, BASE, memory, frames[i] * FRAME);
        size_t map = frames[i] - count;
        pt_paddr first;

        /* enough for a bit each, and no more than one frame too many */
        assert_true(map * FRAME * 8 >= frames[i]);
        assert_true((map - 1) * FRAME * 8 <= frames[i]);
        first = pt_frame_pool_alloc(&pool, count, FRAME);
        assert_true(first == BASE + map * FRAME);
        assert_int_equal(pool.free, 0);
        memset(seen(&pool, first), 0xFF, FRAME);
        memset(seen(&pool, first + (count - 1) * FRAME), 0, FRAME);
        assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == PT_NO_FRAME);
        pt_frame_pool_dealloc(&pool, first + (count - 1) * FRAME, 1);
        assert_true(pt_frame_pool_alloc(&pool, 1, FRAME) == first + (count - 1) * FRAME);
        pt_frame_pool_dealloc(&pool, first, count);
        assert_int_equal(pool.free, count);
    }
    free(allocated);
}

/* ---- Tables in it ------------------------------------------------------------------------------------ */

/* Room for a root, which is aligned to its size, and some 60 tables of the same alignment. */
static size_t frames_for(const struct pt_format *format)
{
    size_t root = format_root_entries(format) * format_entry_bytes(format) / FRAME;

    return 64 * format_table_frames(format) + 2 * root;
}

static void a_table_lives_in_it(const struct pt_format *format, pt_paddr base)
{
    struct block block = block_make(base, frames_for(format) * FRAME);
    const uint64_t page = format_smallest(format), leaf_table = format_leaf_table(format);
    struct pt_frame_pool pool;
    struct page_table table;
    struct pt_flush flush;
    size_t count = pt_frame_pool_init(&pool, block.paddr, block.memory, block.size);

    assert_ok(pt_create(&table, format, &pt_frame_pool_handler, &pool));
    pt_flush_init(&flush, &table);
    assert_true(pt_root(&table) >= base && pt_root(&table) < base + block.size);
    assert_ok(pt_map_region(&table, leaf_table - page, 0, leaf_table + 2 * page, PT_READ, 0, &flush));
    assert_ok(pt_map(&table, format_last_page(format, page), 0, page, PT_READ, &flush));
    assert_mapped(&table, 2 * leaf_table, leaf_table + page, page, PT_READ);
    assert_ok(pt_unmap_region(&table, leaf_table - page, leaf_table + 2 * page, 0, &flush));
    pt_flush_ignore(&flush);

    /* until it is full, and still all of it comes back */
    for (unsigned i = 0;; i++) {
        enum pt_status status = pt_map(&table, i * leaf_table + 3 * page, 0, page, PT_READ, &flush);

        if (status != PT_OK) {
            assert_status(status, PT_NO_MEMORY);
            break;
        }
    }
    pt_flush_ignore(&flush);
    pt_destroy(&table);
    assert_int_equal(pool.free, count);
    assert_outside_untouched(&block);
    block_end(&block);
}

static void tables_of_each_format_live_in_it(void **state)
{
    a_table_lives_in_it(*state, format_memory_base(*state));
}

static void tables_of_each_format_live_in_it_at_zero(void **state)
{
    a_table_lives_in_it(*state, 0);
}

static void a_pool_that_moves_takes_its_tables_along(void **state)
{
    const struct pt_format *format = *state;
    const uint64_t page = format_smallest(format);
    struct block old = block_make(format_memory_base(format), frames_for(format) * FRAME);
    struct block new = block_make(format_memory_base(format), frames_for(format) * FRAME);
    struct pt_frame_pool pool;
    struct page_table table;
    struct pt_flush flush;
    size_t count = pt_frame_pool_init(&pool, old.paddr, old.memory, old.size);

    assert_ok(pt_create(&table, format, &pt_frame_pool_handler, &pool));
    pt_flush_init(&flush, &table);
    assert_ok(pt_map(&table, 0, page, page, PT_READ, &flush));
    memcpy(new.memory, old.memory, old.size);
    pt_frame_pool_move(&pool, new.memory);
    memset(old.memory, 0xA7, old.size);
    assert_mapped(&table, 0, page, page, PT_READ);
    assert_ok(pt_map(&table, format_last_page(format, page), page, page, PT_READ, &flush));
    assert_ok(pt_unmap(&table, 0, NULL, &flush));
    pt_flush_ignore(&flush);
    pt_destroy(&table);
    assert_int_equal(pool.free, count);
    block_end(&old);
    block_end(&new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_is_handed_out_once),
        cmocka_unit_test(what_comes_back_goes_out_again),
        cmocka_unit_test(runs_are_contiguous_and_aligned),
        cmocka_unit_test(every_free_run_is_found),
        cmocka_unit_test(scattered_frames_are_no_run),
        cmocka_unit_test(impossible_requests_are_refused),
        cmocka_unit_test(freeing_twice_is_harmless),
        cmocka_unit_test(freeing_what_is_not_the_pools_is_harmless),
        cmocka_unit_test(blocks_are_cut_to_whole_frames),
        cmocka_unit_test(blocks_that_are_too_small_give_nothing),
        cmocka_unit_test(the_smallest_block_gives_one_frame),
        cmocka_unit_test(large_blocks_have_a_map_of_several_frames),
        TESTS_OF_EACH_FORMAT_WITH(tables_of_each_format_live_in_it, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(tables_of_each_format_live_in_it_at_zero, NULL, NULL),
        TESTS_OF_EACH_FORMAT_WITH(a_pool_that_moves_takes_its_tables_along, NULL, NULL),
    };

    return cmocka_run_group_tests_name("frame_pool", tests, NULL, NULL);
}
