/* SPDX-License-Identifier: MIT */
#include "registers.h"

#include <pagetable/hw/aarch64.h>
#include <pagetable/hw/riscv64.h>
#include <pagetable/hw/x86_64.h>

#include "tool.h"

#define EFLAGS_AC (UINT64_C(1) << 18)
#define EFER_LMA (UINT64_C(1) << 10)

/* Intel SDM vol. 3A 4.1.1. A core has no EFER: that the CPU is in long mode, its machine type says (source_elf.c). */
static bool find_x86(struct source *source, const char *name, struct found *found)
{
    uint64_t cr0 = 0, cr3 = 0, cr4 = 0, efer = 0, flags = 0;

    (void)source_register(source, "cr3", &cr3);
    (void)source_register(source, "cr4", &cr4);
    (void)source_register(source, "efer", &efer);
    (void)source_register(source, "eflags", &flags);
    if (!source_register(source, "cr0", &cr0) || !(cr0 & PT_X86_64_CR0_PG))
        return complain("%s: the CPU has paging off (CR0.PG)", name);
    if (efer & EFER_LMA)
        found->base = cr4 & PT_X86_64_CR4_LA57 ? &pt_x86_64_la57 : &pt_x86_64;
    else
        found->base = cr4 & PT_X86_64_CR4_PAE ? &pt_x86_pae : &pt_x86_32;
    found->format = *found->base;
    if (found->base == &pt_x86_32) {
        if (!(cr4 & PT_X86_64_CR4_PSE))
            found->format.page_sizes &= ~PT_4M;
    } else if (!(efer & PT_X86_64_EFER_NXE)) {
        found->format.features &= ~PT_FEATURE_NX;
    }
    found->root = cr3 & (found->base == &pt_x86_pae ? UINT64_C(0xffffffe0) : UINT64_C(0x000ffffffffff000));
    found->cpu = (cr0 & PT_X86_64_CR0_WP ? PT_CPU_WP : 0) | (cr4 & PT_X86_64_CR4_SMEP ? PT_CPU_SMEP : 0) |
                 (cr4 & PT_X86_64_CR4_SMAP && !(flags & EFLAGS_AC) ? PT_CPU_SMAP : 0);
    return true;
}

/* Privileged architecture, "Supervisor Address Translation and Protection (satp) Register". */
static bool find_riscv(struct source *source, const char *name, uint64_t satp, struct found *found)
{
    uint64_t is_32 = 0, status = 0;
    unsigned mode;

    (void)source_register(source, "is_32", &is_32);
    (void)source_register(source, "sstatus", &status);
    mode = (unsigned)(satp >> PT_RISCV_SATP_MODE_SHIFT);
    if (is_32)
        found->base = satp >> 31 & 1 ? &pt_sv32 : NULL;
    else
        found->base = mode == PT_RISCV_SATP_SV39   ? &pt_sv39
                      : mode == PT_RISCV_SATP_SV48 ? &pt_sv48
                      : mode == PT_RISCV_SATP_SV57 ? &pt_sv57
                                                   : NULL;
    if (!found->base)
        return complain("%s: satp 0x%llx has no paging on", name, (unsigned long long)satp);
    found->format = *found->base;
    found->root = (is_32 ? satp & 0x3fffff : satp & UINT64_C(0xfffffffffff)) << 12;
    found->cpu = (status & PT_RISCV_SSTATUS_SUM ? PT_CPU_SUM : 0) | (status & PT_RISCV_SSTATUS_MXR ? PT_CPU_MXR : 0);
    return true;
}

/* The index in MAIR of a memory type, or the one that it had. */
static uint8_t find_attribute(uint64_t mair, uint8_t attribute, uint8_t otherwise)
{
    for (uint8_t i = 0; i < 8; i++)
        if ((mair >> (8 * i) & 0xff) == attribute)
            return i;
    return otherwise;
}

/* Arm ARM, TCR_EL1. */
static bool find_aarch64(struct source *source, const char *name, uint64_t tcr, bool upper, struct found *found)
{
    static const struct pt_format *const by_granule[2][3] = {
        {&pt_aarch64, &pt_aarch64_16k, &pt_aarch64_64k}, {&pt_aarch64_4k_52, &pt_aarch64_16k_52, &pt_aarch64_64k_52}};
    static const uint8_t of_tg0[4] = {0, 2, 1, 3}, of_tg1[4] = {3, 1, 0, 2}; /* 3: none */
    unsigned granule = upper ? of_tg1[tcr >> 30 & 3] : of_tg0[tcr >> 14 & 3];
    unsigned va_bits = 64 - (unsigned)(tcr >> (upper ? 16 : 0) & 63);
    uint64_t sctlr = 0, ttbr = 0, mair = 0;
    bool is_wide;

    if (source_register(source, "sctlr_el1", &sctlr) && !(sctlr & PT_AARCH64_SCTLR_M))
        return complain("%s: the MMU of EL1 is off (SCTLR_EL1.M)", name);
    if (tcr & (upper ? PT_AARCH64_TCR_EPD1 : PT_AARCH64_TCR_EPD0))
        return complain("%s: this half has no table (TCR_EL1.EPD%d)%s", name, upper, upper ? "" : ": --upper");
    if (!source_register(source, upper ? "ttbr1_el1" : "ttbr0_el1", &ttbr))
        return complain("%s: TTBR%d_EL1 is not known", name, upper);
    is_wide = granule == 2 ? (tcr >> 32 & 7) == 6 || va_bits > 48 : (tcr & PT_AARCH64_TCR_DS) != 0;
    if (granule == 3 || va_bits < 25 || va_bits > (is_wide ? 52 : 48))
        return complain("%s: TCR_EL1 0x%llx makes no sense", name, (unsigned long long)tcr);
    found->base = by_granule[is_wide][granule];
    found->format = pt_aarch64_contiguous(pt_aarch64_with_va_bits(*found->base, (uint8_t)va_bits));
    found->format.tracks_access = tcr & PT_AARCH64_TCR_HA && tcr & PT_AARCH64_TCR_HD;
    if (source_register(source, "mair_el1", &mair)) {
        found->format.memory_index.normal = find_attribute(mair, 0xff, found->format.memory_index.normal);
        found->format.memory_index.device = find_attribute(mair, 0x04, found->format.memory_index.device);
        found->format.memory_index.uncached = find_attribute(mair, 0x44, found->format.memory_index.uncached);
    }
    found->root = ttbr & UINT64_C(0x0000fffffffffffe);
    if (is_wide)
        found->root = (found->root & ~UINT64_C(0x3f)) | (ttbr & 0x3c) << 46;
    found->cpu = sctlr & PT_AARCH64_SCTLR_WXN ? PT_CPU_WXN : 0;
    return true;
}

bool find_tables(struct source *source, const char *name, bool upper, struct found *found)
{
    const char *lacks = source_lacks(source);
    uint64_t value;

    if (source_register(source, "cr3", &value))
        return find_x86(source, name, found);
    if (source_register(source, "satp", &value))
        return find_riscv(source, name, value, found);
    if (source_register(source, "tcr_el1", &value))
        return find_aarch64(source, name, value, upper, found);
    return complain("%s: %s; give --format and --root", name, lacks ? lacks : "there are no registers in it");
}
