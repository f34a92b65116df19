/* SPDX-License-Identifier: MIT */
#include "registers.h"

#include <pagetable/hw/aarch64.h>
#include <pagetable/hw/armv7.h>
#include <pagetable/hw/loongarch64.h>
#include <pagetable/hw/riscv64.h>
#include <pagetable/hw/x86_64.h>
#include <stdio.h>

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

/* The indices of a copy's memory types, as MAIR has them. */
static void set_attributes(struct pt_format *format, uint64_t mair)
{
    format->memory_index.normal = find_attribute(mair, 0xff, format->memory_index.normal);
    format->memory_index.device = find_attribute(mair, 0x04, format->memory_index.device);
    format->memory_index.uncached = find_attribute(mair, 0x44, format->memory_index.uncached);
}

/* A register of EL1 or EL2. */
static bool of_level(struct source *source, const char *name, unsigned level, uint64_t *value)
{
    char full_name[16];

    snprintf(full_name, sizeof(full_name), "%s_el%u", name, level);
    return source_register(source, full_name, value);
}

#define HCR_EL2_E2H (UINT64_C(1) << 34)

/*
 * Arm ARM, TCR_EL1; TCR_EL2, which is like it with HCR_EL2.E2H. The tables are those of the exception level that the
 * CPU is at: EL2's own, else those of EL1&0.
 */
static bool find_aarch64(struct source *source, const char *name, bool upper, struct found *found)
{
    static const struct pt_format *const by_granule[2][3] = {
        {&pt_aarch64, &pt_aarch64_16k, &pt_aarch64_64k}, {&pt_aarch64_4k_52, &pt_aarch64_16k_52, &pt_aarch64_64k_52}};
    static const uint8_t of_tg0[4] = {0, 2, 1, 3}, of_tg1[4] = {3, 1, 0, 2}; /* 3: none */
    uint64_t state = 0, hcr = 0, tcr = 0, sctlr = 0, ttbr = 0, mair = 0;
    unsigned level, granule, va_bits;
    bool is_wide, is_el2;

    (void)source_register(source, "cpsr", &state);
    (void)source_register(source, "hcr_el2", &hcr);
    level = (state >> 2 & 3) == 2 ? 2 : 1;
    is_el2 = level == 2 && !(hcr & HCR_EL2_E2H); /* one half, TCR_EL2 with a layout of its own */
    /* QEMU calls that of EL1 SCTLR. */
    if ((of_level(source, "sctlr", level, &sctlr) || (level == 1 && source_register(source, "sctlr", &sctlr))) &&
        !(sctlr & PT_AARCH64_SCTLR_M))
        return complain("%s: the MMU of EL%u is off (SCTLR_EL%u.M)", name, level, level);
    if (!of_level(source, "tcr", level, &tcr) || !of_level(source, upper ? "ttbr1" : "ttbr0", level, &ttbr))
        return complain("%s: TCR_EL%u or TTBR%d_EL%u is not known", name, level, upper, level);
    if (is_el2 ? upper : (tcr & (upper ? PT_AARCH64_TCR_EPD1 : PT_AARCH64_TCR_EPD0)) != 0)
        return complain("%s: this half has no table (TCR_EL%u)%s", name, level, upper ? "" : ": --upper");
    granule = upper ? of_tg1[tcr >> 30 & 3] : of_tg0[tcr >> 14 & 3];
    va_bits = 64 - (unsigned)(tcr >> (upper ? 16 : 0) & 63);
    is_wide =
        granule == 2 ? (tcr >> (is_el2 ? 16 : 32) & 7) == 6 || va_bits > 48 : !is_el2 && (tcr & PT_AARCH64_TCR_DS) != 0;
    if (granule == 3 || va_bits < 25 || va_bits > (is_wide ? 52 : 48))
        return complain("%s: TCR_EL%u 0x%llx makes no sense", name, level, (unsigned long long)tcr);
    if (is_el2 && (granule != 0 || is_wide))
        return complain("%s: the tables of EL2 have pages of 16K or 64K; there is no format of these", name);
    found->base = is_el2 ? &pt_aarch64_el2 : by_granule[is_wide][granule];
    found->format = pt_aarch64_with_va_bits(*found->base, (uint8_t)va_bits);
    if (!is_el2)
        found->format = pt_aarch64_contiguous(found->format);
    found->format.tracks_access = is_el2 ? tcr & PT_AARCH64_TCR_EL2_HA && tcr & PT_AARCH64_TCR_EL2_HD
                                         : tcr & PT_AARCH64_TCR_HA && tcr & PT_AARCH64_TCR_HD;
    if (of_level(source, "mair", level, &mair))
        set_attributes(&found->format, mair);
    found->root = ttbr & UINT64_C(0x0000fffffffffffe);
    if (is_wide)
        found->root = (found->root & ~UINT64_C(0x3f)) | (ttbr & 0x3c) << 46;
    found->cpu = sctlr & PT_AARCH64_SCTLR_WXN ? PT_CPU_WXN : 0;
    return true;
}

/* Arm ARM v7 B3.5.4, short descriptors: TTBCR.N says where the part of TTBR1 begins. */
static bool find_armv7_short(const char *name, bool upper, uint32_t ttbcr, uint64_t ttbr, struct found *found)
{
    unsigned n = ttbcr & 7;

    if (upper && n == 0)
        return complain("%s: TTBR0 serves all addresses (TTBCR.N = 0)", name);
    found->base = &pt_armv7_short;
    found->format = pt_armv7_short;
    found->format.va_bits = (uint8_t)(upper ? 32 : 32 - n);
    found->root = ttbr & UINT32_MAX & ~((UINT64_C(1) << (upper ? 14 : 14 - n)) - 1);
    return true;
}

/* B3.6.4, long descriptors. */
static bool find_armv7_long(struct source *source, const char *name, bool upper, uint32_t ttbcr, uint64_t ttbr,
                            struct found *found)
{
    unsigned narrower = ttbcr >> (upper ? 16 : 0) & 7;
    uint64_t mair[2] = {0, 0};

    if (ttbcr >> (upper ? 23 : 7) & 1 || (upper && (ttbcr & 0x70007) == 0))
        return complain("%s: this part has no table (TTBCR 0x%x)", name, ttbcr);
    found->base = &pt_armv7_lpae;
    found->format = pt_armv7_lpae;
    if (narrower != 0)
        found->format = pt_aarch64_with_va_bits(found->format, (uint8_t)(32 - narrower));
    if (narrower != 0 && upper)
        found->format.address_space = PT_EITHER_HALF;
    found->format = pt_aarch64_contiguous(found->format);
    if (source_register(source, "mair0", &mair[0]) && source_register(source, "mair1", &mair[1]))
        set_attributes(&found->format, mair[0] | mair[1] << 32);
    found->root = ttbr & UINT64_C(0xffffffffe0);
    return true;
}

static bool find_armv7(struct source *source, const char *name, uint32_t ttbcr, bool upper, struct found *found)
{
    uint64_t sctlr = 0, ttbr = 0;

    if (!source_register(source, "sctlr", &sctlr) || !source_register(source, upper ? "ttbr1" : "ttbr0", &ttbr))
        return complain("%s: SCTLR or TTBR%d is not known", name, upper);
    if (!(sctlr & PT_ARMV7_SCTLR_M))
        return complain("%s: the MMU is off (SCTLR.M)", name);
    found->cpu = sctlr & PT_ARMV7_SCTLR_WXN ? PT_CPU_WXN : 0;
    if (ttbcr & PT_ARMV7_TTBCR_EAE)
        return find_armv7_long(source, name, upper, ttbcr, ttbr, found);
    if (sctlr & PT_ARMV7_SCTLR_AFE)
        return complain("%s: the rights are of the kind with an access flag (SCTLR.AFE); there is no format of it",
                        name);
    return find_armv7_short(name, upper, ttbcr, ttbr, found);
}

/* LoongArch Reference Manual vol. 1, 7.5.8: PWCL and PWCH say where each level's index lies. */
static bool find_loongarch(struct source *source, const char *name, uint64_t pwcl, bool upper, struct found *found)
{
    static const struct pt_format *const formats[] = {&pt_loongarch64, &pt_loongarch64_3level, &pt_loongarch64_16k,
                                                      &pt_loongarch64_64k};
    const uint64_t crmd_pg = 1 << 4, widths = 0xffffff; /* above: how the CPU itself walks */
    uint64_t crmd = 0, pwch = 0;

    if (source_register(source, "crmd", &crmd) && !(crmd & crmd_pg))
        return complain("%s: the CPU has paging off (CRMD.PG)", name);
    if (!source_register(source, "pwch", &pwch) || !source_register(source, upper ? "pgdh" : "pgdl", &found->root))
        return complain("%s: PWCH or PGD%c is not known", name, upper ? 'H' : 'L');
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (pt_loongarch_pwcl(formats[i]) == pwcl && pt_loongarch_pwch(formats[i]) == (pwch & widths)) {
            found->base = formats[i];
            found->format = *found->base;
            return true;
        }
    }
    return complain("%s: PWCL 0x%llx and PWCH 0x%llx are of no known format", name, (unsigned long long)pwcl,
                    (unsigned long long)pwch);
}

bool find_tables(struct source *source, const char *name, bool upper, struct found *found)
{
    uint64_t value;
    const char *lacks;

    if (source_register(source, "cr3", &value))
        return find_x86(source, name, found);
    if (source_register(source, "satp", &value))
        return find_riscv(source, name, value, found);
    if (source_register(source, "tcr_el1", &value))
        return find_aarch64(source, name, upper, found);
    if (source_register(source, "ttbcr", &value))
        return find_armv7(source, name, (uint32_t)value, upper, found);
    if (source_register(source, "pwcl", &value))
        return find_loongarch(source, name, value, upper, found);
    if (source_is_lost(source))
        return false;
    lacks = source_lacks(source);
    return complain("%s: %s; give --format and --root", name, lacks ? lacks : "there are no registers in it");
}
