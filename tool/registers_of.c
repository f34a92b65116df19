/* SPDX-License-Identifier: MIT */
/* What has to be in a CPU's registers for a table, as the headers in <pagetable/hw/> have it. */
#include <pagetable/hw/aarch64.h>
#include <pagetable/hw/armv7.h>
#include <pagetable/hw/loongarch64.h>
#include <pagetable/hw/riscv64.h>
#include <pagetable/hw/x86_64.h>

#include "registers.h"

/* ID_AA64MMFR0_EL1 as far as it tells the widths: as many bits as the format has. */
static uint64_t parange(const struct pt_format *format)
{
    return format->pa_bits > 48 ? PT_AARCH64_PARANGE_52 : PT_AARCH64_PARANGE_48;
}

static unsigned of_x86(const struct page_table *pt, struct register_value *registers)
{
    const struct pt_format *format = pt->format;
    bool is_32 = format->operations == pt_x86_32.operations && format->levels == 2, is_pae = format->levels == 3;
    uint64_t cr4 = is_32 ? PT_X86_64_CR4_PSE : PT_X86_64_CR4_PAE;
    uint64_t efer = is_32 || is_pae ? 0 : PT_X86_64_EFER_LME;

    if (format->levels == 5)
        cr4 |= PT_X86_64_CR4_LA57;
    if (format->features & PT_FEATURE_NX)
        efer |= PT_X86_64_EFER_NXE;
    registers[0] = (struct register_value){"cr3", pt_root(pt)};
    registers[1] = (struct register_value){"cr0 |=", PT_X86_64_CR0_PG | PT_X86_64_CR0_WP};
    registers[2] = (struct register_value){"cr4 |=", cr4 | PT_X86_64_CR4_PGE};
    registers[3] = (struct register_value){"efer |=", efer};
    registers[4] = (struct register_value){"pat", PT_X86_64_PAT};
    return 5;
}

static unsigned of_aarch64(const struct page_table *pt, bool upper, struct register_value *registers)
{
    const struct pt_format *format = pt->format;
    uint64_t ttbr = pt_aarch64_ttbr(pt);

    if (format->features & PT_FEATURE_EL2) {
        registers[0] = (struct register_value){"ttbr0_el2", ttbr};
        registers[1] = (struct register_value){"tcr_el2", pt_aarch64_tcr_el2(format, parange(format))};
        registers[2] = (struct register_value){"mair_el2", PT_AARCH64_MAIR};
        return 3;
    }
    registers[0] = (struct register_value){upper ? "ttbr1_el1" : "ttbr0_el1", ttbr};
    registers[1] = (struct register_value){"tcr_el1", pt_aarch64_tcr_of(format, parange(format))};
    registers[2] = (struct register_value){"mair_el1", PT_AARCH64_MAIR};
    return 3;
}

static unsigned of_stage2(const struct page_table *pt, struct register_value *registers)
{
    registers[0] = (struct register_value){"vttbr_el2", pt_aarch64_ttbr(pt)};
    registers[1] = (struct register_value){"vtcr_el2", pt_aarch64_vtcr(pt->format, parange(pt->format))};
    registers[2] = (struct register_value){"hcr_el2 |=", pt_aarch64_hcr(pt->format)};
    return 3;
}

static unsigned of_armv7(const struct page_table *pt, bool upper, struct register_value *registers)
{
    bool is_long = pt->format->operations == pt_armv7_lpae.operations;

    if (!is_long) {
        registers[0] = (struct register_value){"ttbr0", pt_root(pt) | PT_ARMV7_TTBR_WALK};
        registers[1] = (struct register_value){"ttbcr", UINT64_C(32) - pt->format->va_bits};
        registers[2] = (struct register_value){"dacr", PT_ARMV7_DACR};
        return 3;
    }
    registers[0] = (struct register_value){upper ? "ttbr1" : "ttbr0", pt_root(pt)};
    registers[1] = (struct register_value){"ttbcr", PT_ARMV7_TTBCR_LONG |
                                                        (upper ? PT_ARMV7_TTBCR_T1SZ((uint32_t)pt->format->va_bits)
                                                               : PT_ARMV7_TTBCR_T0SZ((uint32_t)pt->format->va_bits))};
    registers[2] = (struct register_value){"mair0", PT_ARMV7_MAIR0};
    return 3;
}

static unsigned of_loongarch(const struct page_table *pt, struct register_value *registers)
{
    registers[0] = (struct register_value){"pgdl", pt_root(pt)};
    registers[1] = (struct register_value){"pgdh", pt_root(pt)};
    registers[2] = (struct register_value){"pwcl", pt_loongarch_pwcl(pt->format)};
    registers[3] = (struct register_value){"pwch", pt_loongarch_pwch(pt->format)};
    registers[4] = (struct register_value){"stlbps", pt->format->page_shift};
    return 5;
}

unsigned registers_of(const struct page_table *pt, bool upper, struct register_value registers[MAX_REGISTERS])
{
    const struct pt_format *format = pt->format;
    bool is_second = format->features & PT_FEATURE_SECOND_STAGE;

    if (format->operations == pt_aarch64.operations)
        return of_aarch64(pt, upper, registers);
    if (format->operations == pt_aarch64_stage2.operations)
        return of_stage2(pt, registers);
    if (format->operations == pt_armv7_short.operations || format->operations == pt_armv7_lpae.operations)
        return of_armv7(pt, upper, registers);
    if (format->operations == pt_loongarch64.operations)
        return of_loongarch(pt, registers);
    if (format->operations == pt_ept_4level.operations)
        registers[0] = (struct register_value){"eptp", pt_ept_eptp(pt)};
    else if (format->operations == pt_sv32.operations)
        registers[0] = registers_of_sv32(pt);
    else if (format->operations == pt_sv39.operations)
        registers[0] = is_second ? (struct register_value){"hgatp", pt_riscv_hgatp(pt, 0)}
                                 : (struct register_value){"satp", pt_riscv_satp(pt, 0)};
    else if (is_second)
        registers[0] = (struct register_value){"ncr3", pt_npt_ncr3(pt)};
    else
        return of_x86(pt, registers);
    return 1;
}
