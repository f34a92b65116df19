/* SPDX-License-Identifier: MIT */
/* The bits of ARMv7's short descriptors. Arm ARM ARMv7-A and ARMv7-R (DDI 0406C) B3.5, B3.7.1 (SCTLR.AFE = 0). */
#ifndef PT_FORMATS_ARMV7_BITS_H
#define PT_FORMATS_ARMV7_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* Bits 1:0 of a descriptor. */
#define ARMV7_TABLE UINT64_C(1)   /* first level */
#define ARMV7_SECTION UINT64_C(2) /* first level; bit 0 would be PXN, where there is one */
#define ARMV7_SECTION_PXN UINT64_C(1)
#define ARMV7_TABLE_PXN UINT64_C(4) /* of all that the table leads to */
#define ARMV7_LARGE UINT64_C(1)     /* second level */
#define ARMV7_SMALL UINT64_C(2)     /* second level; bit 0 is XN */
#define ARMV7_SMALL_XN UINT64_C(1)  /* B3.5.1 "Second-level descriptors" */

#define ARMV7_SUPERSECTION (UINT64_C(1) << 18)
#define ARMV7_AP_VALID UINT64_C(1)   /* AP[0], as a field: with AFE = 0, all rights that there are have it */
#define ARMV7_AP_USER UINT64_C(2)    /* AP[1] */
#define ARMV7_READ_ONLY UINT64_C(1)  /* AP[2], as the lowest of the others */
#define ARMV7_SHAREABLE UINT64_C(2)  /* S */
#define ARMV7_NOT_GLOBAL UINT64_C(4) /* nG */

/* The attributes of a small page; those of a large page and of a section are the same ones elsewhere. */
struct armv7_layout {
    unsigned memory;      /* C and B stand in bits 3:2 of all, TEX from here on */
    unsigned permissions; /* AP[1:0] */
    unsigned others;      /* AP[2], S, nG, in this order */
    uint64_t xn;
    uint64_t address;
};

#define ARMV7_FROM(bit) (~UINT64_C(0) << (bit) & UINT64_C(0xffffffff))

static const struct armv7_layout armv7_small = {6, 4, 9, ARMV7_SMALL_XN, ARMV7_FROM(12)};
static const struct armv7_layout armv7_large = {12, 4, 9, UINT64_C(1) << 15, ARMV7_FROM(16)};
static const struct armv7_layout armv7_section = {12, 10, 15, UINT64_C(1) << 4, ARMV7_FROM(20)};
static const struct armv7_layout armv7_supersection = {12, 10, 15, UINT64_C(1) << 4, ARMV7_FROM(24)};

#endif
