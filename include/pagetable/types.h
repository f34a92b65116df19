/* SPDX-License-Identifier: MIT */
/* The words of the interface: addresses, page sizes, flags, status, a mapping. */
#ifndef PAGETABLE_TYPES_H
#define PAGETABLE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define PT_MUST_CHECK __attribute__((warn_unused_result))
#define PT_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))
#else
#error "pagetable is written for gcc and clang"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** A virtual address; sign-extended where the architecture wants it so. */
typedef uint64_t pt_vaddr;

/** A physical address; 64 bits on 32-bit machines too, whose tables may reach further than their pointers. */
typedef uint64_t pt_paddr;

/** What an allocator returns when it has nothing. Frame 0 is an ordinary frame. */
#define PT_NO_FRAME (~(pt_paddr)0)

/** The unit in which frames are counted and allocated, in bytes. */
#define PT_FRAME_SIZE (UINT64_C(1) << 12)

/**
 * Rights and memory type of a mapping.
 *
 * WRITE implies READ everywhere; EXECUTE implies READ where the hardware cannot separate them (x86,
 * AArch64), and READ implies EXECUTE where it cannot either (x86 without NX). Where a format knows no
 * privilege (a second stage, whose guest has its own), USER is always implied. Without READ, WRITE and EXECUTE the mapping is a no-access one: the hardware faults, but
 * pt_query reports it and pt_protect can bring it back. pt_query reports what the hardware allows, so
 * an implied right is reported as if it had been asked for.
 *
 * DEVICE and UNCACHED together mean DEVICE. A format without memory-type bits (RISC-V without Svpbmt)
 * accepts both and reports neither: there the physical address decides. One without address spaces (a
 * second stage) accepts GLOBAL and does not report it.
 */
typedef uint32_t pt_flags;

#define PT_READ (1u << 0)
#define PT_WRITE (1u << 1)
#define PT_EXECUTE (1u << 2)
#define PT_USER (1u << 3)     /**< code at the lowest privilege may use it */
#define PT_DEVICE (1u << 4)   /**< device memory: no caching, no gathering, no reordering, no speculation */
#define PT_UNCACHED (1u << 5) /**< ordinary memory, not cached */
#define PT_GLOBAL (1u << 6)   /**< the same in every address space: survives a change of ASID or root */

/** Every flag that can be given to a mapping. */
#define PT_ALL_FLAGS ((1u << 7) - 1)

/*
 * What the hardware recorded of a page: only ever reported, where the format keeps track of it
 * (pt_format.tracks_access). Mask with PT_ALL_FLAGS what is to be given to a mapping again.
 */
#define PT_ACCESSED (1u << 16)
#define PT_DIRTY (1u << 17)

/* A page size is a number of bytes; which ones exist is the format's to say (pt_format.page_sizes). */
#define PT_4K (UINT64_C(1) << 12)
#define PT_16K (UINT64_C(1) << 14)
#define PT_64K (UINT64_C(1) << 16)
#define PT_1M (UINT64_C(1) << 20)
#define PT_2M (UINT64_C(1) << 21)
#define PT_4M (UINT64_C(1) << 22)
#define PT_16M (UINT64_C(1) << 24)
#define PT_32M (UINT64_C(1) << 25)
#define PT_512M (UINT64_C(1) << 29)
#define PT_1G (UINT64_C(1) << 30)
#define PT_64G (UINT64_C(1) << 36)
#define PT_512G (UINT64_C(1) << 39)
#define PT_4T (UINT64_C(1) << 42)
#define PT_256T (UINT64_C(1) << 48)

/** What a call answers. Any answer but PT_OK means that nothing has changed. */
enum pt_status {
    PT_OK,
    /** The handler had no frame, or one that the format's tables cannot be in. */
    PT_NO_MEMORY,
    /**
     * vaddr, paddr or size is not a multiple of the (smallest) page size asked for; pt_copy_from: not
     * a whole number of root entries.
     */
    PT_NOT_ALIGNED,
    /** Nothing is mapped there (unmap, protect, remap, query; regions without PT_SKIP_HOLES). */
    PT_NOT_MAPPED,
    /** Something is mapped there, of this size or as smaller pages. */
    PT_ALREADY_MAPPED,
    /**
     * A smaller page was asked for inside a huge one; a region covers a huge page in part, with PT_NO_SPLIT, or where
     * smaller pages do not reach its physical address (pt_split, too).
     */
    PT_MAPPED_TO_HUGE_PAGE,
    /** vaddr is not canonical in this format, paddr is too wide for it or for the page size, or a region wraps or crosses the hole. */
    PT_BAD_ADDRESS,
    /** Not a page size of this format. */
    PT_BAD_SIZE,
    /** A flag or option that does not exist, or a right that this format cannot give without giving more. */
    PT_BAD_FLAGS,
    /** A format descriptor that contradicts itself, or two tables whose formats differ. */
    PT_BAD_FORMAT,
    /** The change lies in a part that pt_copy_from took from another table: make it there. */
    PT_SHARED,
    /**
     * The page would have to be unmapped for a moment (break-before-make), and the code, stack, table or
     * flush that the change itself uses lies in it. AArch64 without FEAT_BBM level 2.
     */
    PT_IN_USE,
    /** The table was adopted (pt_adopt): it can be looked at only. */
    PT_READ_ONLY
};

/** The status' own name, "PT_NO_MEMORY"; "?" for a value that is none. Needs no lock. */
const char *pt_status_name(enum pt_status status);

/** One page as it is mapped. */
struct pt_mapping {
    pt_paddr paddr;
    uint64_t page_size; /**< in bytes */
    pt_flags flags;
};

#ifdef __cplusplus
}
#endif

#endif
