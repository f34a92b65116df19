/* SPDX-License-Identifier: MIT */
/* A table as it is now, to be compared with itself later: "a failed call changes nothing". */
#ifndef TESTS_SUPPORT_SNAPSHOT_H
#define TESTS_SUPPORT_SNAPSHOT_H

#include "memory.h"
#include "test.h"

struct snapshot {
    const struct page_table *table;
    const struct pt_flush *flush; /* may be NULL */
    const struct memory *memory;  /* may be NULL */
    struct pt_visit *visits;      /* every entry in use, non-leaf ones too, in the order of the walk */
    size_t count;
    size_t room;
    struct page_table fields;
    struct pt_flush owed;
    size_t taken;
};

/** Remember every entry of `table`, what `flush` owes and how many frames of `memory` are out. */
void snapshot_take(struct snapshot *snapshot, const struct page_table *table, const struct pt_flush *flush,
                   const struct memory *memory);

/** Fail unless all is as it was. */
#define assert_unchanged(snapshot) snapshot_check((snapshot), __FILE__, __LINE__)
void snapshot_check(const struct snapshot *snapshot, const char *file, int line);

void snapshot_end(struct snapshot *snapshot);

/** Two flushes owe the same. */
bool flush_owes_same(const struct pt_flush *a, const struct pt_flush *b);

/** The call answers `expected` and changes neither the fixture's table, nor its flush, nor the number of frames. */
#define assert_refused(fixture, call, expected)                                                                        \
    do {                                                                                                               \
        struct snapshot before_;                                                                                       \
        snapshot_take(&before_, &(fixture)->table, &(fixture)->flush, (fixture)->memory);                              \
        assert_status(call, expected);                                                                                 \
        assert_unchanged(&before_);                                                                                    \
        snapshot_end(&before_);                                                                                        \
    } while (0)

#endif
