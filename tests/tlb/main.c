/* SPDX-License-Identifier: MIT */
/* The library under an MMU that remembers: see mmu.h for what it is, judge.h for what it forbids. */
#include "judge.h"

int main(void)
{
    return run_directed_tests() + run_record_tests() + run_random_tests() > 0;
}
