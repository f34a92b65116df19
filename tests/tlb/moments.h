/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else in this test's own copy of the library: the MMU gets a moment just before each
 * single store to a live table, after the library has read what it replaces. The moment just after is the
 * library's own, pt_store_hook.
 */
#ifndef TESTS_TLB_MOMENTS_H
#define TESTS_TLB_MOMENTS_H

void before_store(const volatile void *slot);

#define __atomic_store_n(slot, ...) (before_store(slot), __atomic_store_n(slot, __VA_ARGS__))
#define __atomic_compare_exchange_n(slot, ...) (before_store(slot), __atomic_compare_exchange_n(slot, __VA_ARGS__))

#endif
