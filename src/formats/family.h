/* SPDX-License-Identifier: MIT */
/* Which families are compiled: all, or with PT_ONLY_FORMAT the one that the format belongs to. */
#ifndef PT_FORMATS_FAMILY_H
#define PT_FORMATS_FAMILY_H

#include <pagetable/pagetable.h>

#ifdef PT_ONLY_FORMAT

#define PT_FAMILY_X86_64 1
#define PT_FAMILY_AARCH64 2
#define PT_FAMILY_RISCV 3
#define PT_FAMILY_LOONGARCH 4
#define PT_FAMILY_ARMV7_SHORT 5
#define PT_FAMILY_RISCV32 6
#define PT_FAMILY_X86_32 7
#define PT_FAMILY_EPT 8
#define PT_FAMILY_AARCH64_STAGE2 9
#define PT_FAMILY_ARMV7_LPAE 10

#define PT_FAMILY_OF_pt_x86_64 PT_FAMILY_X86_64
#define PT_FAMILY_OF_pt_x86_64_la57 PT_FAMILY_X86_64
#define PT_FAMILY_OF_pt_npt_4level PT_FAMILY_X86_64
#define PT_FAMILY_OF_pt_npt_5level PT_FAMILY_X86_64
#define PT_FAMILY_OF_pt_x86_pae PT_FAMILY_X86_64
#define PT_FAMILY_OF_pt_x86_32 PT_FAMILY_X86_32
#define PT_FAMILY_OF_pt_ept_4level PT_FAMILY_EPT
#define PT_FAMILY_OF_pt_ept_5level PT_FAMILY_EPT
#define PT_FAMILY_OF_pt_aarch64 PT_FAMILY_AARCH64
#define PT_FAMILY_OF_pt_aarch64_16k PT_FAMILY_AARCH64
#define PT_FAMILY_OF_pt_aarch64_64k PT_FAMILY_AARCH64
#define PT_FAMILY_OF_pt_aarch64_4k_52 PT_FAMILY_AARCH64
#define PT_FAMILY_OF_pt_aarch64_16k_52 PT_FAMILY_AARCH64
#define PT_FAMILY_OF_pt_aarch64_64k_52 PT_FAMILY_AARCH64
#define PT_FAMILY_OF_pt_aarch64_el2 PT_FAMILY_AARCH64
#define PT_FAMILY_OF_pt_aarch64_stage2 PT_FAMILY_AARCH64_STAGE2
#define PT_FAMILY_OF_pt_aarch64_stage2_16k PT_FAMILY_AARCH64_STAGE2
#define PT_FAMILY_OF_pt_aarch64_stage2_64k PT_FAMILY_AARCH64_STAGE2
#define PT_FAMILY_OF_pt_sv39 PT_FAMILY_RISCV
#define PT_FAMILY_OF_pt_sv48 PT_FAMILY_RISCV
#define PT_FAMILY_OF_pt_sv57 PT_FAMILY_RISCV
#define PT_FAMILY_OF_pt_sv39x4 PT_FAMILY_RISCV
#define PT_FAMILY_OF_pt_sv48x4 PT_FAMILY_RISCV
#define PT_FAMILY_OF_pt_sv57x4 PT_FAMILY_RISCV
#define PT_FAMILY_OF_pt_sv32 PT_FAMILY_RISCV32
#define PT_FAMILY_OF_pt_sv32x4 PT_FAMILY_RISCV32
#define PT_FAMILY_OF_pt_loongarch64 PT_FAMILY_LOONGARCH
#define PT_FAMILY_OF_pt_loongarch64_3level PT_FAMILY_LOONGARCH
#define PT_FAMILY_OF_pt_loongarch64_16k PT_FAMILY_LOONGARCH
#define PT_FAMILY_OF_pt_loongarch64_64k PT_FAMILY_LOONGARCH
#define PT_FAMILY_OF_pt_armv7_short PT_FAMILY_ARMV7_SHORT
#define PT_FAMILY_OF_pt_armv7_lpae PT_FAMILY_ARMV7_LPAE

#define PT_CONCATENATE_(a, b) a##b
#define PT_CONCATENATE(a, b) PT_CONCATENATE_(a, b)
#define PT_ONLY_FAMILY PT_CONCATENATE(PT_FAMILY_OF_, PT_ONLY_FORMAT)
#if PT_ONLY_FAMILY == 0
#error "PT_ONLY_FORMAT names no format"
#endif
#define PT_HAS_FAMILY(family) (PT_ONLY_FAMILY == PT_FAMILY_##family)

#else
#define PT_HAS_FAMILY(family) 1
#endif

#endif
