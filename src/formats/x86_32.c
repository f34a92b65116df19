/* SPDX-License-Identifier: MIT */
/*
 * x86, entries of 4 bytes: 32-bit paging. Sections: Intel SDM vol. 3A 4.3 "32-Bit Paging" (tables 4-3 to 4-6). There is no
 * execute-disable.
 */
#include "family.h"

#if PT_HAS_FAMILY(X86_32)

#define PT_FAMILY_MMU pt_mmu_x86
#include "../engine/engine.h"

#define X86_XD 0
#define X86_SMALL_ADDRESS UINT64_C(0xfffff000)
/* Bits 31:22, and 20:13 for bits 39:32 of the address (PSE-36). Bit 21 is reserved. */
#define X86_HUGE_ADDRESS (UINT64_C(0xffc00000) | X86_HUGE_ADDRESS_HIGH)
#define X86_HUGE_ADDRESS_HIGH UINT64_C(0x001fe000)
#define X86_HIGH_SHIFT 19 /* from bits 20:13 to 39:32 */
#define X86_SOFTWARE (UINT64_C(1) << 10)

#include "x86.h"

#if defined(__i386__)
#define X86_INVALIDATE x86_flush
#else
#define X86_INVALIDATE NULL
#endif

/* With PSE-36 pages of 4 MiB reach 40 bits (4.3; APM 5.2: as many as the CPU has). */
static bool x86_format_is_sound(const struct pt_format *format)
{
    bool pse36 = (format->features & PT_FEATURE_PSE36) && (format->page_sizes & PT_4M);

    return (format->features & ~PT_FEATURE_PSE36) == 0 && format->levels == 2 && format->va_bits == 32 &&
           format->address_space == PT_ZERO_EXTENDED && format->pa_bits <= (pse36 ? 40 : 32) &&
           x86_memory_index_is_sound(format);
}

/* A page without access has bits 39:32 inverted, too, also where they are zero for want of PSE-36. */
PT_INLINE pt_entry x86_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    if (shape.last)
        return paddr;
    return (paddr & ~X86_HUGE_ADDRESS_HIGH & X86_HUGE_ADDRESS) | (paddr >> X86_HIGH_SHIFT & X86_HUGE_ADDRESS_HIGH);
}

PT_INLINE pt_paddr x86_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!(entry & X86_P))
        entry = ~entry;
    if (last_level)
        return entry & X86_SMALL_ADDRESS;
    return (entry & ~X86_HUGE_ADDRESS_HIGH & X86_HUGE_ADDRESS) | (entry & X86_HUGE_ADDRESS_HIGH) << X86_HIGH_SHIFT;
}

/* Rights are the leaf's to restrict: tables allow everything (4.6.1: all levels must agree). */
PT_INLINE pt_entry x86_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    (void)format;
    (void)root_entry;
    return paddr | X86_P | X86_RW | X86_US;
}

/*
 * Only a page of 4 MiB reserves bits: 21, and of its address what the CPU has not (table 4-4). A format without such
 * pages is taken for that of somebody who does not want them: without CR4.PSE the CPU would look away from PS.
 */
static pt_entry x86_malformed(const struct pt_format *format, pt_entry entry, unsigned level)
{
    unsigned pa_bits = format->features & PT_FEATURE_PSE36 ? format->pa_bits : 32;
    pt_entry exists = (UINT64_C(1) << (pa_bits - X86_HIGH_SHIFT)) - 1;

    if (level + 1u == format->levels || !(entry & X86_PS))
        return 0;
    if (!(format->page_sizes & PT_4M))
        return X86_PS;
    return entry & (UINT64_C(1) << 21 | (X86_HUGE_ADDRESS_HIGH & ~exists));
}

static const struct encoding encoding = {
    .entry_size = 4,
    .page_shift = 12,
    .index_bits = 10,
    .narrow_pa_bits = 32,
    .paddr_mask = x86_paddr_mask,
    .format_is_sound = x86_format_is_sound,
    .kind = x86_kind,
    .leaf_attributes = x86_leaf_attributes,
    .address = x86_address,
    .table = x86_table,
    .leaf_paddr = x86_leaf_paddr,
    .leaf_flags = x86_leaf_flags,
    .table_paddr = x86_table_paddr,
    .leaf_has_rights = x86_leaf_has_rights,
    .leaf_is_global = x86_leaf_is_global,
    .reshaped_attributes = x86_reshaped_attributes,
    .keep_recorded = x86_keep_recorded,
    .clear_recorded = x86_clear_recorded,
    .hardware_writes = x86_hardware_writes,
    .as_seen = x86_as_seen,
    .malformed = x86_malformed,
    .invalidate = X86_INVALIDATE,
};

const struct pt_format pt_x86_32 = {
    .name = "x86 32-bit",
    .operations = &operations,
    .page_sizes = PT_4K | PT_4M,
    .levels = 2,
    .page_shift = 12,
    .index_bits = 10,
    .va_bits = 32,
    .pa_bits = 32,
    .address_space = PT_ZERO_EXTENDED,
    .new_mapping_owes = PT_OWES_NOTHING,
    .tracks_access = true,
    /* The PAT as it is after reset: 0 = WB, 2 = UC-, 3 = UC. See <pagetable/hw/x86_32.h>. */
    .memory_index = {.normal = 0, .device = 3, .uncached = 2},
};

#endif
