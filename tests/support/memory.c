/* SPDX-License-Identifier: MIT */
#include "memory.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

/* Both have the lowest bits set, which make an entry valid on every architecture. */
#define FRESH 0xA7
#define FREED 0xDB

#define HOST_PAGE ((size_t)PT_FRAME_SIZE)

#define REQUIRE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            print_error(__VA_ARGS__);                                                                                  \
            print_error("\n");                                                                                         \
            fail();                                                                                                    \
        }                                                                                                              \
    } while (0)

static unsigned char *frame_bytes(const struct memory *memory, size_t index)
{
    return memory->bytes + index * HOST_PAGE;
}

static void keep_away(const struct memory *memory, size_t index, size_t count)
{
    memset(frame_bytes(memory, index), FREED, count * HOST_PAGE);
    ASAN_POISON_MEMORY_REGION(frame_bytes(memory, index), count * HOST_PAGE);
}

static void record_flush(void *ctx, const struct pt_flush *flush)
{
    struct memory *memory = ctx;

    REQUIRE(flush->range_count <= PT_FLUSH_RANGES, "flush_tlb: %u ranges", flush->range_count);
    REQUIRE(flush->ctx == ctx, "flush_tlb: a flush with another ctx");
    REQUIRE(flush->retired == PT_NO_FRAME || memory_is_taken(memory, flush->retired),
            "flush_tlb: the retired table 0x%" PRIx64 " was freed before the invalidation", flush->retired);

    if (memory->flush_count == memory->flush_room) {
        memory->flush_room = 2 * memory->flush_room + 4;
        memory->flushes = realloc(memory->flushes, memory->flush_room * sizeof(*memory->flushes));
        assert_non_null(memory->flushes);
    }
    memory->flushes[memory->flush_count++] = *flush;
    if (memory->on_flush)
        memory->on_flush(memory->on_flush_arg, flush);
    memory->held = 0;
}

void memory_init(struct memory *memory, pt_paddr base, size_t frames)
{
    assert_true(base % PT_FRAME_SIZE == 0);
    *memory = (struct memory){
        .handler = {.alloc_frames = memory_alloc,
                    .dealloc_frames = memory_dealloc,
                    .phys_to_virt = memory_phys_to_virt,
                    .flush_tlb = record_flush},
        .base = base,
        .frames = frames,
    };
    memory->bytes = aligned_alloc(HOST_PAGE, frames * HOST_PAGE);
    memory->frame = calloc(frames, sizeof(*memory->frame));
    assert_non_null(memory->bytes);
    assert_non_null(memory->frame);
    ASAN_POISON_MEMORY_REGION(memory->bytes, frames * HOST_PAGE);
}

void memory_end(struct memory *memory)
{
    size_t leaked = memory->taken + memory->far_out;

    if (memory->bytes)
        ASAN_UNPOISON_MEMORY_REGION(memory->bytes, memory->frames * HOST_PAGE);
    for (size_t i = 0; leaked > 0 && i < memory->frames; i++)
        if (memory->frame[i].run > 0)
            print_error("still out: %zu frames at 0x%" PRIx64 ", allocation %" PRIu64 "\n", memory->frame[i].run,
                        memory->base + i * PT_FRAME_SIZE, memory->frame[i].serial);
    free(memory->bytes);
    free(memory->frame);
    free(memory->flushes);
    *memory = (struct memory){.taken = 0};
    REQUIRE(leaked == 0, "%zu frames were not given back", leaked);
}

void memory_make_linear(struct memory *memory)
{
    memory->handler.phys_to_virt = NULL;
    memory->handler.linear_offset = (uintptr_t)memory->bytes - (uintptr_t)memory->base;
}

void memory_fail_after(struct memory *memory, size_t n)
{
    memory->fail_in = n;
    memory->fail_once = false;
}

void memory_fail_once(struct memory *memory, size_t n)
{
    memory->fail_in = n;
    memory->fail_once = true;
}

void memory_fail_never(struct memory *memory)
{
    memory->fail_in = 0;
}

void memory_serve_next(struct memory *memory, pt_paddr paddr)
{
    assert_true(paddr >= memory->base && (paddr - memory->base) / PT_FRAME_SIZE < memory->frames);
    memory->next = (size_t)((paddr - memory->base) / PT_FRAME_SIZE);
    memory->reuse_soon = false;
}

void memory_hold(struct memory *memory)
{
    memory->held = memory->serial;
}

void memory_release(struct memory *memory)
{
    memory->held = 0;
}

/* The index of the frame that holds `paddr`, or memory->frames if there is none. */
static size_t index_of(const struct memory *memory, pt_paddr paddr)
{
    if (paddr < memory->base || (paddr - memory->base) / PT_FRAME_SIZE >= memory->frames)
        return memory->frames;
    return (size_t)((paddr - memory->base) / PT_FRAME_SIZE);
}

bool memory_is_taken(const struct memory *memory, pt_paddr paddr)
{
    size_t index = index_of(memory, paddr);

    return index < memory->frames && memory->frame[index].taken;
}

static bool must_fail(struct memory *memory)
{
    if (memory->fail_in == 0)
        return false;
    if (memory->fail_in > 1) {
        memory->fail_in--;
        return false;
    }
    if (memory->fail_once)
        memory->fail_in = 0;
    return true;
}

static bool is_free_run(const struct memory *memory, size_t index, size_t count, size_t align)
{
    if ((memory->base + index * PT_FRAME_SIZE) % align != 0 || count > memory->frames - index)
        return false;
    for (size_t i = 0; i < count; i++)
        if (memory->frame[index + i].taken)
            return false;
    return true;
}

pt_paddr memory_alloc(void *ctx, size_t count, size_t align)
{
    struct memory *memory = ctx;

    REQUIRE(count > 0, "alloc_frames: no frames wanted");
    REQUIRE(align >= PT_FRAME_SIZE && (align & (align - 1)) == 0, "alloc_frames: alignment 0x%zx", align);

    if (memory->on_alloc && !memory->in_on_alloc) {
        memory->in_on_alloc = true;
        memory->on_alloc(memory->on_alloc_arg, memory);
        memory->in_on_alloc = false;
    }

    memory->attempts++;
    REQUIRE(memory->far_out == 0, "alloc_frames: 0x%" PRIx64 " did not come back", memory->far);
    if (must_fail(memory)) {
        memory->far_out = memory->far != 0 ? count : 0;
        return memory->far != 0 ? memory->far : PT_NO_FRAME;
    }

    size_t start = memory->reuse_soon ? 0 : memory->next;

    for (size_t i = 0; i < memory->frames; i++) {
        size_t index = (start + i) % memory->frames;

        if (!is_free_run(memory, index, count, align))
            continue;
        memory->serial++;
        for (size_t j = 0; j < count; j++)
            memory->frame[index + j] = (struct memory_frame){.serial = memory->serial, .taken = true};
        memory->frame[index].run = count;
        memory->next = (index + count) % memory->frames;
        memory->taken++;
        memory->allocations++;
        ASAN_UNPOISON_MEMORY_REGION(frame_bytes(memory, index), count * HOST_PAGE);
        memset(frame_bytes(memory, index), FRESH, count * HOST_PAGE);
        return memory->base + index * PT_FRAME_SIZE;
    }
    return PT_NO_FRAME;
}

void memory_dealloc(void *ctx, pt_paddr first, size_t count)
{
    struct memory *memory = ctx;
    size_t index = index_of(memory, first);

    if (memory->far_out != 0 && first == memory->far) {
        REQUIRE(memory->far_out == count, "dealloc_frames: 0x%" PRIx64 " comes back as %zu frames", first, count);
        memory->far_out = 0;
        return;
    }
    REQUIRE(first % PT_FRAME_SIZE == 0, "dealloc_frames: 0x%" PRIx64 " is not a frame", first);
    REQUIRE(index < memory->frames, "dealloc_frames: 0x%" PRIx64 " never came from here", first);
    REQUIRE(memory->frame[index].taken, "dealloc_frames: 0x%" PRIx64 " is not out (freed twice?)", first);
    REQUIRE(memory->frame[index].run == count,
            "dealloc_frames: 0x%" PRIx64 " was given out as %zu frames and comes back as %zu", first,
            memory->frame[index].run, count);
    REQUIRE(memory->frame[index].serial > memory->held,
            "dealloc_frames: 0x%" PRIx64 " is freed before its invalidation", first);
    if (memory->on_dealloc)
        memory->on_dealloc(memory->on_dealloc_arg, memory, first);

    memory->frees++;
    memory->taken--;
    for (size_t i = 0; i < count; i++)
        memory->frame[index + i] = (struct memory_frame){.taken = false};
    keep_away(memory, index, count);
}

void *memory_phys_to_virt(void *ctx, pt_paddr paddr)
{
    struct memory *memory = ctx;

    REQUIRE(memory_is_taken(memory, paddr), "phys_to_virt: 0x%" PRIx64 " is not in an allocated frame", paddr);
    if (memory->on_translate && !memory->in_on_translate) {
        memory->in_on_translate = true;
        memory->on_translate(memory->on_translate_arg, memory);
        memory->in_on_translate = false;
    }
    return memory->bytes + (size_t)(paddr - memory->base);
}

const struct pt_flush *memory_last_flush(const struct memory *memory)
{
    REQUIRE(memory->flush_count > 0, "flush_tlb was not called");
    return &memory->flushes[memory->flush_count - 1];
}

void memory_forget_flushes(struct memory *memory)
{
    memory->flush_count = 0;
}
