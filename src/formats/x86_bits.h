/* SPDX-License-Identifier: MIT */
/*
 * The bits of x86's entries, of 8 bytes (4- and 5-level paging, PAE, AMD nested paging) and of 4. Sections: Intel SDM
 * vol. 3A 4.3 to 4.5 (tables 4-4 to 4-20: the entries), 4.9.2 (PAT); AMD APM vol. 2, 5.2 to 5.4, 15.25.
 */
#ifndef PT_FORMATS_X86_BITS_H
#define PT_FORMATS_X86_BITS_H

#include <stdint.h>

#define X86_P (UINT64_C(1) << 0)         /* present */
#define X86_RW (UINT64_C(1) << 1)        /* writable */
#define X86_US (UINT64_C(1) << 2)        /* user; every access through nested tables is one (APM 15.25.5) */
#define X86_PWT (UINT64_C(1) << 3)       /* bit 0 of the PAT index */
#define X86_PCD (UINT64_C(1) << 4)       /* bit 1 of the PAT index */
#define X86_A (UINT64_C(1) << 5)         /* accessed; set by the CPU */
#define X86_D (UINT64_C(1) << 6)         /* dirty; set by the CPU in leaves */
#define X86_PS (UINT64_C(1) << 7)        /* page size: a leaf above the last level */
#define X86_PAT_SMALL (UINT64_C(1) << 7) /* bit 2 of the PAT index, in the last level */
#define X86_G (UINT64_C(1) << 8)         /* global (CR4.PGE) */
#define X86_PAT_HUGE (UINT64_C(1) << 12) /* bit 2 of the PAT index, above the last level */

/* Bits 11:9 are free for software in all of them; bit 10 is the user's. P = 0 makes all others ours, too. */
#define X86_NO_ACCESS (UINT64_C(1) << 9)    /* P = 0, and yet a mapping */
#define X86_SAVED_DIRTY (UINT64_C(1) << 11) /* dirty, while not writable */

/* Entries of 8 bytes. */
#define X86_XD_64 (UINT64_C(1) << 63)               /* execute-disable (EFER.NXE) */
#define X86_ADDRESS_64 UINT64_C(0x000ffffffffff000) /* bits 51:12; 4.5.4: MAXPHYADDR is at most 52 */

#endif
