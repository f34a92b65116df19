/* SPDX-License-Identifier: MIT */
/*
 * The bits of Arm's 64-bit descriptors: VMSAv8-64, both stages (Arm ARM, DDI 0487, D8.3 "Translation table descriptor
 * formats"), and the long descriptors of VMSAv7 and VMSAv8-32 (DDI 0406C, B3.6), where EL1 and EL0 are PL1 and PL0.
 */
#ifndef PT_FORMATS_VMSA_BITS_H
#define PT_FORMATS_VMSA_BITS_H

#include <stdint.h>

/* The bits of an address, or of a descriptor, from `low` to `high`. */
#define VMSA_BITS(high, low) ((~UINT64_C(0) >> (63 - (high))) & (~UINT64_C(0) << (low)))

#define VMSA_VALID (UINT64_C(1) << 0)
#define VMSA_TABLE (UINT64_C(1) << 1)       /* above the last level: a table, not a block */
#define VMSA_PAGE (UINT64_C(1) << 1)        /* in the last level: must be set */
#define VMSA_SH (UINT64_C(3) << 8)          /* bits 9:8 */
#define VMSA_SH_INNER (UINT64_C(3) << 8)    /* inner shareable; Device ignores it */
#define VMSA_AF (UINT64_C(1) << 10)         /* accessed; without FEAT_HAFDBS a clear one faults */
#define VMSA_DBM (UINT64_C(1) << 51)        /* read-only means clean: a write makes it writable (FEAT_HAFDBS) */
#define VMSA_CONTIGUOUS (UINT64_C(1) << 52) /* one of a group of neighbours that are one page */

/* Bits 58:55 are free for software: two for the user, two ours. VALID = 0 makes all other bits ours, too. */
#define VMSA_SOFTWARE (UINT64_C(3) << 57)
#define VMSA_SAVED_DIRTY (UINT64_C(1) << 56) /* dirty, while not writable */
#define VMSA_NO_ACCESS (UINT64_C(1) << 55)

/* Stage 1: what an entry that leads to a table takes away from all below it (D8.3.2); bit 63, NSTable, is Secure state's. */
#define VMSA_AP_TABLE_NO_EL0 (UINT64_C(1) << 61) /* APTable[0] */
#define VMSA_AP_TABLE_RO (UINT64_C(1) << 62)     /* APTable[1] */
#define VMSA_UXN_TABLE (UINT64_C(1) << 60)       /* XNTable where there is one privilege level */
#define VMSA_PXN_TABLE (UINT64_C(1) << 59)
#define VMSA_TABLE_LIMITS VMSA_BITS(62, 59)

/* Leaves of stage 1. */
#define STAGE1_ATTR_SHIFT 2 /* AttrIndx, bits 4:2: which byte of MAIR_EL1 */
#define STAGE1_ATTR (UINT64_C(7) << 2)
#define STAGE1_AP_EL0 (UINT64_C(1) << 6) /* AP[1]: EL0 may access; RES1 where there is none */
#define STAGE1_AP_RO (UINT64_C(1) << 7)  /* AP[2]: read-only */
#define STAGE1_NG (UINT64_C(1) << 11)    /* not global */
#define STAGE1_PXN (UINT64_C(1) << 53)   /* EL1 may not execute */
#define STAGE1_UXN (UINT64_C(1) << 54)   /* EL0 may not execute; XN where there is one privilege level */

/* Leaves of stage 2. */
#define STAGE2_ATTR_SHIFT 2 /* MemAttr, bits 5:2 */
#define STAGE2_ATTR (UINT64_C(15) << 2)
#define STAGE2_READ (UINT64_C(1) << 6)  /* S2AP[0] */
#define STAGE2_WRITE (UINT64_C(1) << 7) /* S2AP[1]; with DBM the hardware sets it */
#define STAGE2_XNX (UINT64_C(1) << 53)  /* XN[0], with FEAT_XNX: the sense of XN[1] for EL1 is the other */
#define STAGE2_XN (UINT64_C(1) << 54)   /* XN[1] */

#endif
