/* SPDX-License-Identifier: MIT */
/* The bits of EPT's entries: Intel SDM vol. 3C 28.3.2, tables 28-1 to 28-7. */
#ifndef PT_FORMATS_EPT_BITS_H
#define PT_FORMATS_EPT_BITS_H

#include <stdint.h>

#define EPT_R (UINT64_C(1) << 0)
#define EPT_W (UINT64_C(1) << 1)
#define EPT_X (UINT64_C(1) << 2) /* execute; with mode-based control in supervisor mode */
#define EPT_TYPE_SHIFT 3         /* bits 5:3: the memory type; bit 6: ignore the guest's PAT */
#define EPT_TYPE (UINT64_C(0xf) << EPT_TYPE_SHIFT)
#define EPT_IGNORE_PAT (UINT64_C(1) << 6)
#define EPT_LEAF (UINT64_C(1) << 7) /* above the last level */
#define EPT_A (UINT64_C(1) << 8)    /* accessed, and ... */
#define EPT_D (UINT64_C(1) << 9)    /* ... dirty; set by the CPU if EPTP bit 6 is set, ignored otherwise */
#define EPT_XU (UINT64_C(1) << 10)  /* execute in user mode; ignored without mode-based control */
#define EPT_ADDRESS UINT64_C(0x000ffffffffff000)
#define EPT_SUPPRESS_VE (UINT64_C(1) << 63)

/* Bits 11, 56:52, 59 and 62 of a leaf are ignored; without rights all but 63 are. Bit 11 is ours. */
#define EPT_NO_ACCESS (UINT64_C(1) << 11) /* no rights, and yet a mapping */
#define EPT_SOFTWARE UINT64_C(0x49f0000000000000)

#endif
