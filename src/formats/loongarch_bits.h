/* SPDX-License-Identifier: MIT */
/* The bits of LoongArch64's entries: LoongArch Reference Manual, vol. 1, 5.4.2, 5.4.5. */
#ifndef PT_FORMATS_LOONGARCH_BITS_H
#define PT_FORMATS_LOONGARCH_BITS_H

#include <stdint.h>

#define LOONGARCH_V (UINT64_C(1) << 0)   /* valid */
#define LOONGARCH_D (UINT64_C(1) << 1)   /* dirty: may be written */
#define LOONGARCH_PLV (UINT64_C(3) << 2) /* lowest privilege that may access: 3 = user */
#define LOONGARCH_PLV_SHIFT 2
#define LOONGARCH_MAT_SHIFT 4 /* memory access type, bits 5:4 */
#define LOONGARCH_MAT (UINT64_C(3) << 4)
#define LOONGARCH_G (UINT64_C(1) << 6)                 /* global, in the last level */
#define LOONGARCH_H (UINT64_C(1) << 6)                 /* huge, above it: a leaf */
#define LOONGARCH_P (UINT64_C(1) << 7)                 /* present; software's */
#define LOONGARCH_W (UINT64_C(1) << 8)                 /* writable; software's */
#define LOONGARCH_HUGE_G (UINT64_C(1) << 12)           /* global, above the last level */
#define LOONGARCH_NR (UINT64_C(1) << 61)               /* not readable */
#define LOONGARCH_NX (UINT64_C(1) << 62)               /* not executable */
#define LOONGARCH_RPLV (UINT64_C(1) << 63)             /* that privilege alone may access */
#define LOONGARCH_ADDRESS UINT64_C(0x0000fffffffff000) /* bits PALEN-1:12, PALEN being at most 48 */

#endif
