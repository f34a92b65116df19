/* SPDX-License-Identifier: MIT */
/*
 * x86, entries of 8 bytes: 4- and 5-level paging, PAE, and AMD's nested paging of 4 and 5 levels. Sections: Intel SDM
 * vol. 3A 4.4 "PAE Paging" (tables 4-8 to 4-11), 4.5 "4-Level Paging and 5-Level Paging" (tables 4-15 to 4-20); AMD
 * APM vol. 2, 5.2 to 5.4, 15.25 "Nested Paging".
 */
#include "family.h"

#if PT_HAS_FAMILY(X86_64)

#define PT_FAMILY_MMU pt_mmu_x86
#include "../engine/engine.h"

#include "x86_bits.h"
#define X86_XD X86_XD_64
#define X86_SMALL_ADDRESS X86_ADDRESS_64
#define X86_HUGE_ADDRESS (X86_ADDRESS_64 & ~X86_PAT_HUGE)

/* Bit 10; 58:52 and, without protection keys, 62:59 of a leaf. PAE reserves all but bit 10 (table 4-11). */
#define X86_SOFTWARE UINT64_C(0x7ff0000000000400)

#include "x86.h"

#define X86_IS_PAE(format) ((format)->levels == 3)

/* What this CPU walks itself. Nested tables are the hypervisor's to invalidate: see <pagetable/hw/x86_64.h>. */
#if defined(__x86_64__) || defined(__i386__)
static void x86_invalidate(const struct pt_flush *flush)
{
#if defined(__x86_64__)
    bool own = !X86_IS_PAE(flush->format);
#else
    bool own = X86_IS_PAE(flush->format);
#endif

    if (own && !x86_is_second_stage(flush->format))
        x86_flush(flush);
}
#define X86_INVALIDATE x86_invalidate
#else
#define X86_INVALIDATE NULL
#endif

/* A guest's physical addresses may be narrower than its nested tables: part of the root is not used then. */
static bool x86_va_bits_are_sound(const struct pt_format *format)
{
    unsigned most = 12u + 9u * format->levels;

    return format->va_bits == most ||
           (x86_is_second_stage(format) && format->va_bits < most && format->va_bits > most - 9);
}

static bool x86_format_is_sound(const struct pt_format *format)
{
    bool second_stage = x86_is_second_stage(format);
    unsigned levels = format->levels;

    if ((format->features & ~(PT_FEATURE_NX | PT_FEATURE_SECOND_STAGE)) != 0 || format->pa_bits > 52 ||
        !x86_memory_index_is_sound(format))
        return false;
    if (X86_IS_PAE(format))
        return format->va_bits == 32 && format->address_space == PT_ZERO_EXTENDED && !second_stage &&
               !(format->page_sizes & ~(PT_4K | PT_2M));
    return (levels == 4 || levels == 5) && x86_va_bits_are_sound(format) &&
           format->address_space == (second_stage ? PT_ZERO_EXTENDED : PT_SIGN_EXTENDED) &&
           !(format->page_sizes & ~(PT_4K | PT_2M | PT_1G));
}

PT_INLINE pt_entry x86_address(const struct pt_format *format, pt_paddr paddr, struct shape shape)
{
    (void)format;
    (void)shape;
    return paddr;
}

PT_INLINE pt_paddr x86_leaf_paddr(const struct pt_format *format, pt_entry entry, bool last_level)
{
    (void)format;
    if (!(entry & X86_P))
        entry = ~entry;
    return entry & x86_address_bits(last_level);
}

/*
 * Rights are the leaf's to restrict: tables allow everything (4.6.1: all levels must agree). The four entries of a PAE
 * root have no rights, and reserve those bits (table 4-8).
 */
PT_INLINE pt_entry x86_table(const struct pt_format *format, pt_paddr paddr, bool root_entry)
{
    if (root_entry && X86_IS_PAE(format))
        return paddr | X86_P;
    return paddr | X86_P | X86_RW | X86_US;
}

/* MOV to CR3 loads the four PDPTEs of a PAE root into registers (4.4.1). */
static bool x86_root_is_latched(const struct pt_format *format)
{
    return X86_IS_PAE(format);
}

/* CR3 has 32 bits outside of 64-bit mode (4.4.1). */
static unsigned x86_root_pa_bits(const struct pt_format *format)
{
    return X86_IS_PAE(format) ? 32 : format->pa_bits;
}

/*
 * Reserved bits: tables 4-8 to 4-11, and 4-15 to 4-20; APM vol. 2, 5.2.1 and 5.3.3. That of A in the root of PAE is not
 * among them: emulators set it.
 */
static pt_entry x86_malformed(const struct pt_format *format, pt_entry entry, unsigned level)
{
    bool last_level = level + 1u == format->levels, huge = !last_level && (entry & X86_PS);
    uint64_t above_pa = ~((UINT64_C(1) << format->pa_bits) - 1);
    pt_entry reserved = X86_ADDRESS_64 & above_pa & ~(last_level || huge ? format->leaf_bits : format->table_bits);

    if (!(format->features & PT_FEATURE_NX))
        reserved |= X86_XD;
    if (X86_IS_PAE(format)) {
        reserved |= UINT64_C(0x7ff0000000000000);
        if (level == 0)
            return entry & (reserved | X86_XD | X86_RW | X86_US | X86_D | X86_PS | X86_G);
    }
    if (huge && !(format->page_sizes & UINT64_C(1) << (12 + 9 * (format->levels - 1u - level))))
        reserved |= X86_PS;
    else if (huge)
        reserved |= X86_HUGE_ADDRESS & ((UINT64_C(1) << (12 + 9 * (format->levels - 1u - level))) - 1);
    return entry & reserved;
}

static const struct encoding encoding = {
    .entry_size = 8,
    .page_shift = 12,
    .index_bits = 9,
    .root_pa_bits = x86_root_pa_bits,
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
    .root_is_latched = x86_root_is_latched,
    .invalidate = X86_INVALIDATE,
};

/* The PAT as it is after reset: 0 = WB, 2 = UC-, 3 = UC. See <pagetable/hw/x86_64.h>. */
#define X86_MEASURES                                                                                                   \
    .operations = &operations, .page_shift = 12, .index_bits = 9, .pa_bits = 52, .new_mapping_owes = PT_OWES_NOTHING,  \
    .tracks_access = true, .memory_index = {.normal = 0, .device = 3, .uncached = 2}

const struct pt_format pt_x86_64 = {
    .name = "x86_64 4-level",
    X86_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 4,
    .va_bits = 48,
    .address_space = PT_SIGN_EXTENDED,
    .features = PT_FEATURE_NX,
};

const struct pt_format pt_x86_64_la57 = {
    .name = "x86_64 5-level",
    X86_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 5,
    .va_bits = 57,
    .address_space = PT_SIGN_EXTENDED,
    .features = PT_FEATURE_NX,
};

const struct pt_format pt_npt_4level = {
    .name = "AMD nested 4-level",
    X86_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 4,
    .va_bits = 48,
    .address_space = PT_ZERO_EXTENDED,
    .features = PT_FEATURE_NX | PT_FEATURE_SECOND_STAGE,
};

const struct pt_format pt_npt_5level = {
    .name = "AMD nested 5-level",
    X86_MEASURES,
    .page_sizes = PT_4K | PT_2M | PT_1G,
    .levels = 5,
    .va_bits = 57,
    .address_space = PT_ZERO_EXTENDED,
    .features = PT_FEATURE_NX | PT_FEATURE_SECOND_STAGE,
};

const struct pt_format pt_x86_pae = {
    .name = "x86 PAE",
    X86_MEASURES,
    .page_sizes = PT_4K | PT_2M,
    .levels = 3,
    .va_bits = 32,
    .address_space = PT_ZERO_EXTENDED,
    .features = PT_FEATURE_NX,
};

#endif
