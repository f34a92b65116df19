/* SPDX-License-Identifier: MIT */
/*
 * Looking into tables, one's own or anybody's: what is mapped where, why an access faults, what is wrong, and what
 * differs. Nothing here allocates, locks or writes to a table; the stack is bounded. It may be used in a panic handler.
 */
#ifndef PAGETABLE_INSPECT_H
#define PAGETABLE_INSPECT_H

#include <pagetable/format.h>
#include <pagetable/handler.h>
#include <pagetable/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct page_table;

/**
 * Make *pt a view of tables that somebody else built: a boot loader, the firmware, a guest, a crashed system. What its
 * root register holds as address is `root`. It can be looked at with all calls that only look; what would change it
 * answers PT_READ_ONLY. pt_destroy forgets it and frees nothing.
 *
 * The handler needs phys_to_virt only. It is asked for frames (PT_FRAME_SIZE, aligned), and answers NULL to what cannot
 * be read: such tables are taken for empty. With none, all physical addresses have to be readable at linear_offset.
 * Nothing that the tables contain makes a call read elsewhere, or not end; but tables that lead to one another can
 * stand for very many pages, which a walk visits until the visitor stops it.
 *
 * What is reported is what the MMU makes of it: rights that upper entries take away are not there, and nothing is
 * mapped by an entry that makes it fault (pt_walk visits that as an entry that is no leaf, with nothing below).
 * PT_BAD_FORMAT, PT_BAD_ADDRESS (root is wider than the format's addresses), PT_NOT_ALIGNED (root).
 */
enum pt_status pt_adopt(struct page_table *pt, const struct pt_format *format, pt_paddr root,
                        const struct pt_handler *handler, void *ctx) PT_MUST_CHECK PT_NONNULL(1, 2, 4);

/**
 * Say that the addresses of an adopted table are those of the upper half, where the format leaves that to the register
 * that its root is in (PT_EITHER_HALF: AArch64's TTBR1). Else they are the lower half's.
 */
void pt_adopt_upper_half(struct page_table *pt) PT_NONNULL(1);

/* ---- Why an access faults ---------------------------------------------------------------------- */

/** What of a CPU's state decides about an access, OR-ed. What is not of the format's architecture means nothing. */
#define PT_CPU_WP (1u << 0)   /**< x86: CR0.WP; without, the supervisor writes to pages that are read-only */
#define PT_CPU_SMEP (1u << 1) /**< x86: CR4.SMEP */
#define PT_CPU_SMAP (1u << 2) /**< x86: CR4.SMAP, and EFLAGS.AC is clear */
#define PT_CPU_PAN (1u << 3)  /**< AArch64: PSTATE.PAN */
#define PT_CPU_EPAN (1u << 4) /**< AArch64: SCTLR_EL1.EPAN */
#define PT_CPU_WXN (1u << 5)  /**< AArch64, ARMv7: SCTLR.WXN */
#define PT_CPU_SUM (1u << 6)  /**< RISC-V: sstatus.SUM */
#define PT_CPU_MXR (1u << 7)  /**< RISC-V: sstatus.MXR */

/** Who says no, and in the last resort why. */
enum pt_reason {
    PT_REASON_NONE,          /**< nobody: the access is carried out */
    PT_REASON_NOT_CANONICAL, /**< the address is none of the format's */
    PT_REASON_UNREADABLE,    /**< the table is where no memory is, or where the handler shows none */
    PT_REASON_NOT_PRESENT,   /**< the entry leads nowhere */
    PT_REASON_MALFORMED,    /**< the entry has bits that it must not have: reserved ones, an address that is too wide */
    PT_REASON_PRIVILEGE,    /**< the page is the supervisor's; or the user's, and the supervisor may not use it */
    PT_REASON_RIGHT,        /**< the right to read, write or execute is missing */
    PT_REASON_NOT_ACCESSED, /**< the accessed bit is clear, and the CPU does not set it */
    PT_REASON_NOT_DIRTY     /**< the same of the dirty bit */
};

/** An entry on the way down. */
struct pt_step {
    pt_paddr table;         /**< the address of the table it is in */
    size_t index;           /**< in its table */
    uint64_t bits;          /**< as they are; 0 where it could not be read */
    pt_paddr paddr;         /**< of the table that it leads to, or what it translates its first address to */
    pt_flags allows;        /**< PT_READ, PT_WRITE, PT_EXECUTE, PT_USER: what it and those above it leave */
    bool is_leaf, is_table; /**< neither: it leads nowhere */
};

/** What comes of an access. */
struct pt_explanation {
    pt_vaddr vaddr;
    pt_flags access;
    uint32_t cpu;
    struct pt_step step[PT_MAX_LEVELS]; /**< by level, 0 being the root */
    unsigned steps;
    bool is_translated;        /**< there is a page, whatever its rights are */
    struct pt_mapping mapping; /**< with the address that vaddr itself translates to, and what the MMU allows */
    enum pt_reason reason;
    unsigned level; /**< of the entry that decides, */
    uint64_t bits;  /**< and those of its bits that do, set or clear */
    /**
     * What the CPU reports of a fault, in its own terms: the exception, and more about it.
     * x86: vector; error code. EPT: exit reason; exit qualification (bits 8:0). NPT: exit code; EXITINFO1.
     * AArch64: ESR_ELx.EC, as from the same exception level for supervisors; ESR_ELx.ISS. ARMv7: 0 for a data abort, 1
     * for a prefetch abort; DFSR or IFSR. RISC-V: cause; 0. LoongArch: Ecode; EsubCode.
     */
    uint32_t exception;
    uint64_t code;
};

/**
 * What comes of an access to vaddr: `access` is one of PT_READ, PT_WRITE and PT_EXECUTE, with PT_USER for one by the
 * user; `cpu` is PT_CPU_.... For a second stage, it is the guest's, and PT_USER says so of the guest's user.
 */
void pt_explain_access(const struct page_table *pt, pt_vaddr vaddr, pt_flags access, uint32_t cpu,
                       struct pt_explanation *explanation) PT_NONNULL(1, 5);

/** The same as text: each step with the bits' names in the manual, and what comes of it. */
void pt_explain(const struct page_table *pt, pt_vaddr vaddr, pt_flags access, uint32_t cpu,
                void (*write)(void *arg, const char *text, size_t length), void *arg) PT_NONNULL(1, 5);

/** The reason's own name, "PT_REASON_NONE"; "?" for a value that is none. */
const char *pt_reason_name(enum pt_reason reason);

#define PT_FIELD_OF_TABLE (1u << 0) /**< of an entry that leads to a table */
#define PT_FIELD_OF_HUGE (1u << 1)  /**< of a leaf above the last level */
#define PT_FIELD_OF_PAGE (1u << 2)  /**< of a leaf of the last level */
#define PT_FIELD_OF_LEAF (PT_FIELD_OF_HUGE | PT_FIELD_OF_PAGE)
#define PT_FIELD_OF_ALL (PT_FIELD_OF_LEAF | PT_FIELD_OF_TABLE)

/** A field of an entry, as the manual names it. */
struct pt_field {
    const char *name;
    uint8_t low, width; /**< in bits */
    uint8_t where;      /**< PT_FIELD_OF_..., OR-ed */
    uint32_t features;  /**< any of pt_format.features; 0: whatever they are */
};

/** The fields of a format's entries, ended by one without a name. */
const struct pt_field *pt_fields(const struct pt_format *format) PT_NONNULL(1);

/* ---- Ranges ------------------------------------------------------------------------------------ */

/* What the pages of a range have in common beside their flags, OR-ed. */
#define PT_RANGES_CONTIGUOUS (1u << 0) /**< frames follow each other as addresses do */
#define PT_RANGES_PAGE_SIZE (1u << 1)
#define PT_RANGES_RECORDED (1u << 2) /**< PT_ACCESSED and PT_DIRTY, too */

/** Pages that follow each other, and are alike. */
struct pt_range {
    pt_vaddr vaddr;
    uint64_t size;             /**< in bytes */
    struct pt_mapping mapping; /**< of the first page: what vaddr translates to */
};

/** Where an iteration is. */
struct pt_ranges {
    const struct page_table *pt;
    pt_vaddr next; /**< it goes on here */
    unsigned alike;
    pt_flags ignored_flags; /**< do not matter to whether pages are alike */
    /**
     * Tables to look at before it stops, which it tells by `stopped`; to be set after pt_ranges_init, since tables of
     * others may lead to each other in ways that have no end in sight. To go on, set it again, and clear `stopped`.
     */
    uint64_t tables_left;
    bool stopped, done;
};

/**
 * Begin to look for the ranges of *pt from an address on, in ascending order; PT_RANGES_... says which pages are alike.
 * To resume later, begin again from `next`. May run beside a writer, as pt_walk.
 */
void pt_ranges_init(struct pt_ranges *ranges, const struct page_table *pt, pt_vaddr from, unsigned alike)
    PT_NONNULL(1, 2);

/** The next one, as large as it can be: false, and range->size is 0, when there is none or it stopped. */
bool pt_ranges_next(struct pt_ranges *ranges, struct pt_range *range) PT_NONNULL(1, 2);

/** A name for what begins at an address: "kernel text". */
struct pt_marker {
    pt_vaddr vaddr;
    const char *name;
};

/**
 * Write the mappings as text: one line for each range whose pages are contiguous in both addresses and equal in the
 * rest. "0x first-0x last -> 0x paddr    64M of    2M rw--g". Of what was adopted, a million tables are looked at.
 */
void pt_dump(const struct page_table *pt, void (*write)(void *arg, const char *text, size_t length), void *arg)
    PT_NONNULL(1, 2);

/** The same, with a line for each marker before the first range at or above it, which begins there; in ascending order. */
void pt_dump_marked(const struct page_table *pt, const struct pt_marker *markers, size_t count,
                    void (*write)(void *arg, const char *text, size_t length), void *arg) PT_NONNULL(1, 4);

/* ---- Audit ------------------------------------------------------------------------------------- */

/** What may be wrong with a table, in the order of how bad it is. */
enum pt_rule {
    PT_RULE_MALFORMED,      /**< bits that make the MMU fault: reserved ones, an address misaligned or too wide */
    PT_RULE_UNREADABLE,     /**< a table where no memory is, or where the handler shows none */
    PT_RULE_LOOP,           /**< a table leads to itself, or to one above it (recursive mappings do so on purpose) */
    PT_RULE_GROUP,          /**< entries that are to be one page (contiguous, Svnapot) disagree */
    PT_RULE_MEMORY_TYPES,   /**< a frame is mapped with different memory types */
    PT_RULE_WRITE_EXECUTE,  /**< a page is writable and executable */
    PT_RULE_USER_IN_UPPER,  /**< the user can use a page of the upper half */
    PT_RULE_GLOBAL_USER,    /**< a page of the user is global */
    PT_RULE_TABLE_TWICE,    /**< a table is in use at two places */
    PT_RULE_LEAF_BITS,      /**< an entry that leads to a table has bits that mean something in leaves only */
    PT_RULE_EMPTY_TABLE,    /**< a table with nothing in it */
    PT_RULE_NOT_ALL_CHECKED /**< the scratch memory or the number of tables did not suffice for all of the others */
};
#define PT_RULES (PT_RULE_NOT_ALL_CHECKED + 1)
#define PT_ALL_RULES ((1u << PT_RULES) - 1)

enum pt_severity {
    PT_SEVERITY_NOTE,    /**< odd, and harmless */
    PT_SEVERITY_WARNING, /**< more is allowed than is usually wanted */
    PT_SEVERITY_ERROR    /**< it does not work as it was meant, whatever that was */
};

/** Something that is wrong. */
struct pt_finding {
    enum pt_rule rule;
    enum pt_severity severity;
    pt_vaddr vaddr;            /**< the first address that it concerns, */
    uint64_t size;             /**< and how many bytes from there on */
    unsigned level, index;     /**< of an entry; 0 where pages are concerned */
    uint64_t bits;             /**< the entry */
    uint64_t wrong;            /**< the bits of it that are wrong; 0: none by themselves */
    struct pt_mapping mapping; /**< of the first page */
    pt_vaddr other;            /**< PT_RULE_MEMORY_TYPES, PT_RULE_TABLE_TWICE: where the same is, too */
};

/** false: stop. */
typedef bool (*pt_finding_visitor)(void *arg, const struct pt_finding *finding);

/** What an audit goes by; zero is the default of each. */
struct pt_audit {
    uint32_t rules; /**< 1u << PT_RULE_..., OR-ed; 0: all */
    /**
     * For remembering tables (16 bytes each; PT_RULE_TABLE_TWICE) and ranges of frames (32 bytes each;
     * PT_RULE_MEMORY_TYPES); half of it for each. Aligned to 8. NULL: these two are not checked.
     */
    void *scratch;
    size_t scratch_size;
    uint64_t tables; /**< how many to look at, at most; 0: a million */
};

/**
 * Look for what is wrong, and tell the visitor: first of entries, then of ranges of pages, each in the order of
 * addresses. What lies below a table is looked at once. `audit` may be NULL. Returns how many findings there were.
 */
size_t pt_audit(const struct page_table *pt, const struct pt_audit *audit, pt_finding_visitor visitor, void *arg)
    PT_NONNULL(1, 3);

/** The rule's own name, "PT_RULE_MALFORMED"; "?" for a value that is none. */
const char *pt_rule_name(enum pt_rule rule);

/* ---- Differences ------------------------------------------------------------------------------- */

#define PT_DIFFERS_IN_FRAME (1u << 0)
#define PT_DIFFERS_IN_SIZE (1u << 1) /**< of the pages */
#define PT_DIFFERS_IN_FLAGS (1u << 2)
#define PT_DIFFERS_ONLY_IN_A (1u << 3)
#define PT_DIFFERS_ONLY_IN_B (1u << 4)
/** Last: from vaddr on nothing was compared, since a million tables of what was adopted have been looked at. */
#define PT_DIFFERS_UNKNOWN (1u << 5)

/** Addresses that differ in the same way from the first to the last. */
struct pt_difference {
    unsigned differs; /**< PT_DIFFERS_IN_... OR-ed, or one of the others */
    pt_vaddr vaddr;
    uint64_t size;          /**< in bytes; 0 of PT_DIFFERS_UNKNOWN */
    struct pt_mapping a, b; /**< what vaddr translates to; all zero where it is not mapped */
};

/** false: stop. */
typedef bool (*pt_difference_visitor)(void *arg, const struct pt_difference *difference);

/**
 * Tell what differs between two tables, which may be of different formats, in the order of addresses. `flags` are those
 * that matter: PT_ALL_FLAGS, say, or without PT_GLOBAL where one of the formats does not know it. Returns how many
 * differences there were.
 */
size_t pt_diff(const struct page_table *a, const struct page_table *b, pt_flags flags, pt_difference_visitor visitor,
               void *arg) PT_NONNULL(1, 2, 4);

#ifdef __cplusplus
}
#endif

#endif
