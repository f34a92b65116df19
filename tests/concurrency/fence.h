/* SPDX-License-Identifier: MIT */
/*
 * ThreadSanitizer does not understand fences. When the library is compiled for it, this file comes first: a
 * release fence of the writer's is told to it as the release of one object, which readers acquire whenever they
 * go from an entry to the table that it leads to (phys_to_virt).
 */
#ifndef TESTS_CONCURRENCY_FENCE_H
#define TESTS_CONCURRENCY_FENCE_H

void tsan_saw_fence(void);

#define __atomic_thread_fence(order) tsan_saw_fence()

#endif
