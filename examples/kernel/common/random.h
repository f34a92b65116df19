/* SPDX-License-Identifier: MIT */
/* Random numbers that are the same in every run: a failure can be seen again. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdbool.h>
#include <stdint.h>

/* splitmix64: any state is a good one. */
struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t x = random->state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* 0 .. count - 1. No division, which CPUs of 32 bits have not for 64: a power of two, or less than 2^32. */
static inline uint64_t random_below(struct random *random, uint64_t count)
{
    uint64_t number = random_next(random);

    return (count & (count - 1)) == 0 ? number & (count - 1) : (number >> 32) * count >> 32;
}

/* True once in `count`. */
static inline bool random_once_in(struct random *random, uint64_t count)
{
    return random_below(random, count) == 0;
}

#endif
