/* SPDX-License-Identifier: MIT */
/*
 * x86, 32 and 64 bits: control register bits and memory types, which are the same. Included by hw/x86_64.h and hw/x86_32.h.
 * "SDM" is the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3A.
 */
#ifndef PAGETABLE_HW_X86_H
#define PAGETABLE_HW_X86_H

#include <pagetable/pagetable.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PT_X86_64_CR0_WP (UINT64_C(1) << 16)
#define PT_X86_64_CR0_PG (UINT64_C(1) << 31)

#define PT_X86_64_CR4_PSE (UINT64_C(1) << 4) /**< 4M pages in 32-bit paging */
#define PT_X86_64_CR4_PAE (UINT64_C(1) << 5)
#define PT_X86_64_CR4_PGE (UINT64_C(1) << 7)
#define PT_X86_64_CR4_LA57 (UINT64_C(1) << 12) /**< 5 levels; can only change outside of long mode */
#define PT_X86_64_CR4_PCIDE (UINT64_C(1) << 17)
#define PT_X86_64_CR4_SMEP (UINT64_C(1) << 20)
#define PT_X86_64_CR4_SMAP (UINT64_C(1) << 21)

#define PT_X86_64_MSR_EFER UINT32_C(0xc0000080)
#define PT_X86_64_EFER_LME (UINT64_C(1) << 8)
#define PT_X86_64_EFER_NXE (UINT64_C(1) << 11)

/*
 * Memory types: pt_format.memory_index is the number of a PAT entry, bits PAT:PCD:PWT of a leaf (SDM,
 * "Page Attribute Table"). The formats assume what the PAT holds after reset; a kernel that changes it (to have WC,
 * say) copies the format and names the entries of its own.
 */
#define PT_X86_64_MSR_PAT UINT32_C(0x277)
#define PT_X86_64_PAT UINT64_C(0x0007040600070406) /**< UC UC- WT WB UC UC- WT WB, entry 7 first */
#define PT_X86_64_PAT_NORMAL 0                     /**< WB */
#define PT_X86_64_PAT_UNCACHED 2                   /**< UC-: PCD */
#define PT_X86_64_PAT_DEVICE 3                     /**< UC: PCD and PWT */

#if defined(__x86_64__) || defined(__i386__)

/** Whether this code may execute the instructions below: the current privilege level is 0. */
static inline bool pt_hw_is_privileged(void)
{
    uint16_t cs;

    __asm__ volatile("mov %%cs, %0" : "=r"(cs));
    return (cs & 3) == 0;
}

/** CPUID: eax, ebx, ecx, edx of a leaf. SDM vol. 2, CPUID. */
static inline void pt_hw_cpuid(uint32_t leaf, uint32_t registers[4])
{
    __asm__ volatile("cpuid"
                     : "=a"(registers[0]), "=b"(registers[1]), "=c"(registers[2]), "=d"(registers[3])
                     : "a"(leaf), "c"(0));
}

/** MAXPHYADDR. SDM 4.1.4. */
static inline uint8_t pt_hw_physical_bits(void)
{
    uint32_t registers[4];

    pt_hw_cpuid(UINT32_C(0x80000000), registers);
    if (registers[0] >= UINT32_C(0x80000008)) {
        pt_hw_cpuid(UINT32_C(0x80000008), registers);
        return registers[0] & 0xff;
    }
    pt_hw_cpuid(1, registers);
    return registers[3] >> 6 & 1 ? 36 : 32; /* PAE */
}

/** EFER.NXE exists. SDM 4.1.4. */
static inline bool pt_hw_has_nx(void)
{
    uint32_t registers[4];

    pt_hw_cpuid(UINT32_C(0x80000000), registers);
    if (registers[0] < UINT32_C(0x80000001))
        return false;
    pt_hw_cpuid(UINT32_C(0x80000001), registers);
    return registers[3] >> 20 & 1;
}

/** The table walker sees stores in program order: the compiler must only have made them. SDM 4.10.4.3. */
static inline void pt_hw_publish(void)
{
    __asm__ volatile("" : : : "memory");
}

/** INVLPG and MOV to CR4 are serialising: the compiler must only have made the stores. SDM, "Serializing Instructions". */
static inline void pt_hw_invalidate_begin(void)
{
    __asm__ volatile("" : : : "memory");
}

/** The instructions above are done when they retire. */
static inline void pt_hw_invalidate_end(void)
{
    __asm__ volatile("" : : : "memory");
}

#endif

#ifdef __cplusplus
}
#endif

#endif
