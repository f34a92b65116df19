/* SPDX-License-Identifier: MIT */
#include <pagetable/hw/riscv32.h>

#include "registers.h"

struct register_value registers_of_sv32(const struct page_table *pt)
{
    if (pt->format->features & PT_FEATURE_SECOND_STAGE)
        return (struct register_value){"hgatp", pt_riscv_hgatp(pt, 0)};
    return (struct register_value){"satp", pt_riscv_satp(pt, 0)};
}
