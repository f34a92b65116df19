/* SPDX-License-Identifier: MIT */
/* The library under an MMU that remembers: see mmu.h for what it is, judge.h for what it forbids. */
#include "judge.h"

int main(void)
{
    int failures = run_directed_tests() + run_record_tests() + run_random_tests();

    print_message("%zu calls judged, in %zu moments\n", judge_calls, judge_moments);
    return failures > 0;
}
