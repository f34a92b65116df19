/* SPDX-License-Identifier: MIT */
/*
 * The bits of RISC-V's entries, of 8 bytes (Sv39 ...) and of 4 (Sv32). Sections: The RISC-V Instruction Set Manual
 * vol. II (privileged architecture), "Supervisor" chapter, "Sv39"; "Svnapot", "Svpbmt"; "Hypervisor" chapter.
 */
#ifndef PT_FORMATS_RISCV_BITS_H
#define PT_FORMATS_RISCV_BITS_H

#include <stdint.h>

#define RISCV_V (UINT64_C(1) << 0) /* valid */
#define RISCV_R (UINT64_C(1) << 1)
#define RISCV_W (UINT64_C(1) << 2)
#define RISCV_X (UINT64_C(1) << 3)
#define RISCV_U (UINT64_C(1) << 4) /* user; the second stage takes every access for one by the user */
#define RISCV_G (UINT64_C(1) << 5) /* global; reserved in the second stage */
#define RISCV_A (UINT64_C(1) << 6) /* accessed; without Svadu a clear one faults, so it is always set */
#define RISCV_D (UINT64_C(1) << 7) /* dirty; likewise */

/* RSW, bits 9:8, is free for software: one for the user, one ours. V = 0 makes all other bits ours, too. */
#define RISCV_SOFTWARE (UINT64_C(1) << 9)
#define RISCV_NO_ACCESS (UINT64_C(1) << 8)

/* Entries of 8 bytes. */
#define RISCV_PPN_64 UINT64_C(0x003ffffffffffc00) /* bits 53:10: physical address bits 55:12; 60:54 stay zero */
#define RISCV_N (UINT64_C(1) << 63)               /* Svnapot: ppn[3:0] = 1000 says "one of 16 that are 64K" */
#define RISCV_PBMT_SHIFT 61                       /* Svpbmt: memory type, bits 62:61 */
#define RISCV_PBMT_MASK UINT64_C(3)
#define RISCV_MAE_SHIFT 60 /* XTheadMae: strong order, cacheable, bufferable, shareable: bits 63 to 60 */
#define RISCV_MAE_MASK UINT64_C(15)

/* Entries of 4 bytes. */
#define RISCV_PPN_32 UINT64_C(0xfffffc00) /* bits 31:10: physical address bits 33:12 */

#endif
