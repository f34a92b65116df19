/* SPDX-License-Identifier: MIT */
#include "formats.h"

#include <pagetable/hw/aarch64.h>

#include "memory.h"

#define ITS_ADDRESS(format, unused) &(format)
#define ITSELF(format, unused) {&(format), NAME_OF(format)}
#define NAME_OF(format) #format

#ifndef PT_ONLY_FORMAT
struct pt_format test_x86_64_no_nx, test_x86_64_sev, test_x86_64_tdx, test_ept_all;
struct pt_format test_sv39_svpbmt, test_sv39_svvptc, test_sv39_svnapot, test_sv39_c9xx;
struct pt_format test_aarch64_4k_contiguous, test_aarch64_16k_contiguous, test_aarch64_64k_contiguous;
struct pt_format test_aarch64_4k_lpa2, test_aarch64_stage2_52, test_aarch64_stage2_xnx;
struct pt_format test_armv7_lpae_no_1g, test_armv7_lpae_ttbr1;

__attribute__((constructor)) static void fill_in_copies(void)
{
    test_x86_64_no_nx = pt_x86_64;
    test_x86_64_no_nx.name = "x86_64 4-level, no NX";
    test_x86_64_no_nx.features &= ~PT_FEATURE_NX;

    test_x86_64_sev = pt_x86_64;
    test_x86_64_sev.name = "x86_64 4-level, SEV";
    test_x86_64_sev.pa_bits = 48;
    test_x86_64_sev.leaf_bits = test_x86_64_sev.table_bits = UINT64_C(1) << 51;

    test_x86_64_tdx = pt_x86_64;
    test_x86_64_tdx.name = "x86_64 4-level, TDX";
    test_x86_64_tdx.pa_bits = 47;
    test_x86_64_tdx.leaf_bits = UINT64_C(1) << 47;

    test_ept_all = pt_ept_4level;
    test_ept_all.name = "EPT 4-level, with everything";
    test_ept_all.features |= PT_FEATURE_EXECUTE_ONLY | PT_FEATURE_MODE_EXECUTE | PT_FEATURE_SUPPRESS_VE;
    test_ept_all.tracks_access = true;
    test_ept_all.memory_index.normal = 6 + 8; /* and not what the guest's PAT says */

    test_sv39_svpbmt = pt_sv39;
    test_sv39_svpbmt.name = "Sv39, Svpbmt";
    test_sv39_svpbmt.features |= PT_FEATURE_SVPBMT;

    test_sv39_svvptc = pt_sv39;
    test_sv39_svvptc.name = "Sv39, Svvptc";
    test_sv39_svvptc.new_mapping_owes = PT_OWES_NOTHING;

    test_sv39_svnapot = test_sv39_svpbmt;
    test_sv39_svnapot.name = "Sv39, Svnapot, Svpbmt";
    test_sv39_svnapot.page_sizes |= PT_64K;
    test_sv39_svnapot.group_bits[0] = 4;

    test_sv39_c9xx = pt_sv39;
    test_sv39_c9xx.name = "Sv39, XuanTie C9xx";
    test_sv39_c9xx.features |= PT_FEATURE_C9XX;
    test_sv39_c9xx.memory_index.normal = 7;   /* cacheable, bufferable, shareable */
    test_sv39_c9xx.memory_index.device = 10;  /* strong order, bufferable */
    test_sv39_c9xx.memory_index.uncached = 3; /* bufferable, shareable */

    test_aarch64_4k_contiguous = pt_aarch64_contiguous(pt_aarch64);
    test_aarch64_4k_contiguous.name = "AArch64 4K contiguous";
    test_aarch64_16k_contiguous = pt_aarch64_contiguous(pt_aarch64_16k);
    test_aarch64_16k_contiguous.name = "AArch64 16K contiguous";
    test_aarch64_64k_contiguous = pt_aarch64_contiguous(pt_aarch64_64k);
    test_aarch64_64k_contiguous.name = "AArch64 64K contiguous";
    test_aarch64_4k_lpa2 = pt_aarch64_with_va_bits(pt_aarch64_4k_52, 48);
    test_aarch64_4k_lpa2.name = "AArch64 4K, LPA2, 48-bit VA";

    test_aarch64_stage2_52 = pt_aarch64_stage2;
    test_aarch64_stage2_52.name = "AArch64 4K 52-bit stage 2, FWB";
    test_aarch64_stage2_52.features |= PT_FEATURE_WIDE_PA | PT_FEATURE_FWB;
    test_aarch64_stage2_52.memory_index.normal = 6;
    test_aarch64_stage2_52.pa_bits = 52;
    test_aarch64_stage2_52.page_sizes |= PT_512G;
    test_aarch64_stage2_52 = pt_aarch64_contiguous(pt_aarch64_with_va_bits(test_aarch64_stage2_52, 52));

    test_aarch64_stage2_xnx = pt_aarch64_stage2;
    test_aarch64_stage2_xnx.name = "AArch64 4K 40-bit stage 2, XNX";
    test_aarch64_stage2_xnx.features |= PT_FEATURE_XNX;

    test_armv7_lpae_no_1g = pt_armv7_lpae;
    test_armv7_lpae_no_1g.name = "ARMv7 long descriptors, no 1G";
    test_armv7_lpae_no_1g.page_sizes &= ~PT_1G;
    test_armv7_lpae_ttbr1 = pt_aarch64_contiguous(pt_aarch64_with_va_bits(pt_armv7_lpae, 30));
    test_armv7_lpae_ttbr1.name = "ARMv7 long descriptors, TTBR1, contiguous";
    test_armv7_lpae_ttbr1.address_space = PT_EITHER_HALF;
}
#endif

const struct pt_format *const formats[] = {EACH_FORMAT(ITS_ADDRESS, )};
const size_t formats_count = TESTS_COUNT(formats);

static const struct {
    const struct pt_format *format;
    const char *name;
} named[] = {EACH_FORMAT(ITSELF, )};

static const struct format_facts facts[] = {
    {.name = "pt_x86_64",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_x86_64_la57",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_npt_4level",
     .always_user = true,
     .never_global = true,
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_npt_5level",
     .always_user = true,
     .never_global = true,
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_x86_pae",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true,
     .latches_root = true,
     .root_pa_bits = 32},
    {.name = "pt_x86_32",
     .entry_bytes = 4,
     .execute_implies_read = true,
     .read_implies_execute = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 32,
     .narrow_pa_bits = 32,
     .can_track_access = true},
    {.name = "pt_ept_4level",
     .always_user = true,
     .never_global = true,
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_ept_5level",
     .always_user = true,
     .never_global = true,
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "test_x86_64_no_nx",
     .execute_implies_read = true,
     .read_implies_execute = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "test_x86_64_sev",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 51,
     .can_track_access = true},
    {.name = "test_x86_64_tdx",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 47,
     .can_track_access = true},
    {.name = "test_ept_all",
     .user_if_executable = true,
     .never_global = true,
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_aarch64",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 48,
     .can_track_access = true},
    {.name = "pt_aarch64_16k",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 48,
     .can_track_access = true},
    {.name = "pt_aarch64_64k",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 48,
     .can_track_access = true},
    {.name = "pt_aarch64_4k_52",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "test_aarch64_4k_lpa2",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_aarch64_16k_52",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_aarch64_64k_52",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .can_track_access = true},
    {.name = "pt_aarch64_stage2",
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 48,
     .always_user = true,
     .never_global = true,
     .can_track_access = true},
    {.name = "pt_aarch64_stage2_16k",
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 48,
     .always_user = true,
     .never_global = true,
     .can_track_access = true},
    {.name = "pt_aarch64_stage2_64k",
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 48,
     .always_user = true,
     .never_global = true,
     .can_track_access = true},
    {.name = "test_aarch64_stage2_52",
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 52,
     .always_user = true,
     .never_global = true,
     .can_track_access = true},
    {.name = "test_aarch64_stage2_xnx",
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 48,
     .user_if_executable = true,
     .never_global = true,
     .can_track_access = true},
    {.name = "pt_aarch64_el2",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 48,
     .always_user = true,
     .never_global = true,
     .can_track_access = true},
    {.name = "test_aarch64_4k_contiguous",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 48,
     .can_track_access = true},
    {.name = "test_aarch64_16k_contiguous",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 48,
     .can_track_access = true},
    {.name = "test_aarch64_64k_contiguous",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 48,
     .can_track_access = true},
    {.name = "pt_sv39", .entry_pa_bits = 56, .can_track_access = true, .number_at_bit_10 = true},
    {.name = "pt_sv48", .entry_pa_bits = 56, .can_track_access = true, .number_at_bit_10 = true},
    {.name = "pt_sv57", .entry_pa_bits = 56, .can_track_access = true, .number_at_bit_10 = true},
    {.name = "test_sv39_svvptc", .entry_pa_bits = 56, .can_track_access = true, .number_at_bit_10 = true},
    {.name = "test_sv39_svpbmt",
     .has_memory_types = true,
     .memory_indices = 3,
     .entry_pa_bits = 56,
     .can_track_access = true,
     .number_at_bit_10 = true},
    {.name = "test_sv39_svnapot",
     .has_memory_types = true,
     .memory_indices = 3,
     .entry_pa_bits = 56,
     .can_track_access = true,
     .number_at_bit_10 = true},
    {.name = "test_sv39_c9xx",
     .has_memory_types = true,
     .memory_indices = 16,
     .entry_pa_bits = 56,
     .can_track_access = true,
     .number_at_bit_10 = true},
    {.name = "pt_sv32", .entry_bytes = 4, .entry_pa_bits = 34, .can_track_access = true, .number_at_bit_10 = true},
    {.name = "pt_sv39x4",
     .always_user = true,
     .never_global = true,
     .entry_pa_bits = 56,
     .can_track_access = true,
     .number_at_bit_10 = true},
    {.name = "pt_sv48x4",
     .always_user = true,
     .never_global = true,
     .entry_pa_bits = 56,
     .can_track_access = true,
     .number_at_bit_10 = true},
    {.name = "pt_sv57x4",
     .always_user = true,
     .never_global = true,
     .entry_pa_bits = 56,
     .can_track_access = true,
     .number_at_bit_10 = true},
    {.name = "pt_sv32x4",
     .entry_bytes = 4,
     .always_user = true,
     .never_global = true,
     .entry_pa_bits = 34,
     .can_track_access = true,
     .number_at_bit_10 = true},
    {.name = "pt_armv7_short",
     .entry_bytes = 4,
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 32,
     .entry_pa_bits = 40,
     .narrow_pa_bits = 32},
    {.name = "test_armv7_lpae_no_1g",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 40},
    {.name = "test_armv7_lpae_ttbr1",
     .execute_implies_read = true,
     .has_memory_types = true,
     .memory_indices = 8,
     .entry_pa_bits = 40},
    {.name = "pt_loongarch64",
     .has_memory_types = true,
     .memory_indices = 4,
     .entry_pa_bits = 48,
     .no_table_at_zero = true},
    {.name = "pt_loongarch64_3level",
     .has_memory_types = true,
     .memory_indices = 4,
     .entry_pa_bits = 48,
     .no_table_at_zero = true},
    {.name = "pt_loongarch64_16k",
     .has_memory_types = true,
     .memory_indices = 4,
     .entry_pa_bits = 48,
     .no_table_at_zero = true},
    {.name = "pt_loongarch64_64k",
     .has_memory_types = true,
     .memory_indices = 4,
     .entry_pa_bits = 48,
     .no_table_at_zero = true},
};

/* Of the n-th format; found once, for it is asked for with each page. */
static const struct format_facts *facts_of_nth(size_t n)
{
    static const struct format_facts *found[TESTS_COUNT(named)];

    for (size_t i = 0; !found[n] && i < TESTS_COUNT(facts); i++)
        if (strcmp(facts[i].name, named[n].name) == 0)
            found[n] = &facts[i];
    if (!found[n])
        fail_msg("tests/support/formats.c has no facts about %s", named[n].name);
    return found[n];
}

const struct format_facts *format_facts(const struct pt_format *format)
{
    for (size_t i = 0; i < TESTS_COUNT(named); i++)
        if (format == named[i].format)
            return facts_of_nth(i);
    /* A copy: the facts are those of the format that it can be a copy of, or of its family. */
    for (size_t i = 0; i < TESTS_COUNT(named); i++)
        if (format->operations == named[i].format->operations && format->features == named[i].format->features &&
            format->levels == named[i].format->levels)
            return facts_of_nth(i);
    for (size_t i = 0; i < TESTS_COUNT(named); i++)
        if (format->operations == named[i].format->operations)
            return facts_of_nth(i);
    fail_msg("tests/support/formats.c has no facts about %s", format->name);
    return NULL;
}

pt_flags format_reads_back(const struct pt_format *format, pt_flags flags)
{
    const struct format_facts *about = format_facts(format);

    if ((flags & PT_WRITE) || ((flags & PT_EXECUTE) && about->execute_implies_read))
        flags |= PT_READ;
    if ((flags & PT_READ) && about->read_implies_execute)
        flags |= PT_EXECUTE;
    if (about->always_user || (about->user_if_executable && !(flags & PT_EXECUTE)))
        flags |= PT_USER;
    if (about->never_global)
        flags &= ~PT_GLOBAL;
    if (flags & PT_DEVICE)
        flags &= ~PT_UNCACHED;
    if (!about->has_memory_types)
        flags &= ~(PT_DEVICE | PT_UNCACHED);
    return flags;
}

void check_mapped(const struct page_table *table, pt_vaddr vaddr, pt_paddr paddr, uint64_t page_size, pt_flags flags,
                  const char *file, int line)
{
    struct pt_mapping found = {.paddr = 0, .page_size = 0, .flags = 0};
    pt_flags recorded = flags & ~PT_ALL_FLAGS;
    enum pt_status status = pt_query(table, vaddr, &found);

    flags = format_reads_back(table->format, flags & PT_ALL_FLAGS) | recorded;
    if (status == PT_OK && found.paddr == paddr && found.page_size == page_size && found.flags == flags)
        return;
    print_error("0x%" PRIx64 ": %s to 0x%" PRIx64 ", page size 0x%" PRIx64 ", flags 0x%x; "
                "expected 0x%" PRIx64 ", page size 0x%" PRIx64 ", flags 0x%x\n",
                vaddr, pt_status_name(status), found.paddr, found.page_size, (unsigned)found.flags, paddr, page_size,
                (unsigned)flags);
    _fail(file, line);
}

uint64_t format_entry_size(const struct pt_format *format, unsigned level)
{
    unsigned below = format->levels - 1u - level;

    return UINT64_C(1) << (format->page_shift + format->index_bits * below);
}

unsigned format_level_of(const struct pt_format *format, uint64_t page_size)
{
    for (unsigned level = 0; level < format->levels; level++)
        if (format_entry_size(format, level) <= page_size)
            return level;
    fail_msg("%s has no level for pages of 0x%" PRIx64, format->name, page_size);
    return 0;
}

uint64_t format_leaf_table(const struct pt_format *format)
{
    return format_entry_size(format, format->levels - 2u);
}

uint64_t format_leaf_frame(const struct pt_format *format)
{
    return format_leaf_table(format) * format_tables_in_frame(format);
}

uint64_t format_step(const struct pt_format *format, uint64_t page_size)
{
    return format_entry_size(format, format_level_of(format, page_size));
}

size_t format_page_entries(const struct pt_format *format, uint64_t page_size)
{
    return (size_t)(page_size / format_step(format, page_size));
}

uint64_t format_smallest(const struct pt_format *format)
{
    return UINT64_C(1) << format->page_shift;
}

uint64_t format_largest(const struct pt_format *format)
{
    uint64_t largest = format_smallest(format);

    for (uint64_t size = largest; size != 0; size = format_larger(format, size))
        largest = size;
    return largest;
}

uint64_t format_larger(const struct pt_format *format, uint64_t page_size)
{
    for (uint64_t size = page_size << 1; size != 0; size <<= 1)
        if (format->page_sizes & size)
            return size;
    return 0;
}

uint64_t format_smaller(const struct pt_format *format, uint64_t page_size)
{
    for (uint64_t size = page_size >> 1; size != 0; size >>= 1)
        if (format->page_sizes & size)
            return size;
    return 0;
}

size_t format_root_entries(const struct pt_format *format)
{
    return (size_t)1 << (format->va_bits - format->page_shift - format->index_bits * (format->levels - 1));
}

size_t format_entries(const struct pt_format *format)
{
    return (size_t)1 << format->index_bits;
}

size_t format_shared_entries(const struct pt_format *format)
{
    return (size_t)(format_copy_unit(format) / format_entry_size(format, 0));
}

size_t format_shared_tables(const struct pt_format *format)
{
    size_t entries = format_shared_entries(format), beside = format_tables_in_frame(format);

    return (entries + beside - 1) / beside;
}

pt_paddr format_table_paddr(const struct pt_format *format, uint64_t entry)
{
    if (format_facts(format)->number_at_bit_10)
        return (entry & UINT64_C(0x003ffffffffffc00)) << 2;
    return entry & UINT64_C(0x0000fffffffff000);
}

unsigned format_entry_bytes(const struct pt_format *format)
{
    uint8_t bytes = format_facts(format)->entry_bytes;

    return bytes != 0 ? bytes : 8;
}

size_t format_table_frames(const struct pt_format *format)
{
    size_t bytes = format_entries(format) * format_entry_bytes(format);

    return (bytes + (size_t)PT_FRAME_SIZE - 1) / (size_t)PT_FRAME_SIZE;
}

size_t format_tables_in_frame(const struct pt_format *format)
{
    size_t bytes = format_entries(format) * format_entry_bytes(format);

    return bytes < (size_t)PT_FRAME_SIZE ? (size_t)PT_FRAME_SIZE / bytes : 1;
}

pt_vaddr format_lower_last(const struct pt_format *format)
{
    unsigned bits = format->address_space == PT_SIGN_EXTENDED ? format->va_bits - 1u : format->va_bits;

    return (UINT64_C(1) << bits) - 1;
}

pt_vaddr format_upper_first(const struct pt_format *format)
{
    return format->address_space == PT_ZERO_EXTENDED ? 0 : ~format_lower_last(format);
}

bool format_is_canonical(const struct pt_format *format, pt_vaddr vaddr)
{
    if (vaddr <= format_lower_last(format))
        return true;
    return format->address_space != PT_ZERO_EXTENDED && vaddr >= format_upper_first(format);
}

uint64_t format_translated(const struct pt_format *format, pt_vaddr vaddr)
{
    return vaddr & ((UINT64_C(1) << format->va_bits) - 1);
}

pt_paddr format_paddr_last(const struct pt_format *format)
{
    return format->pa_bits >= 64 ? UINT64_MAX : (UINT64_C(1) << format->pa_bits) - 1;
}

pt_paddr format_paddr_last_of(const struct pt_format *format, uint64_t page_size)
{
    uint8_t narrow = format_facts(format)->narrow_pa_bits;
    pt_paddr last = format_paddr_last(format);

    if (narrow == 0 || page_size == format_largest(format) || last >> narrow == 0)
        return last;
    return (UINT64_C(1) << narrow) - 1;
}

pt_vaddr format_other_half(const struct pt_format *format, pt_vaddr vaddr)
{
    return format->address_space == PT_EITHER_HALF ? vaddr ^ ~format_lower_last(format) : vaddr;
}

pt_vaddr format_place(const struct pt_format *format, unsigned n)
{
    const uint64_t half = format_lower_last(format) + 1;

    const uint64_t entry = format_entry_size(format, 0), largest = format_largest(format);
    const uint64_t stride = entry > largest ? entry : largest;

    if (half / stride >= 128)
        return n * stride;
    if (half / 16 < largest || (n > 6 && n != 50 && (n < 100 || n > 107)))
        fail_msg("%s has no room for place %u", format->name, n);
    return (n >= 100 ? n - 92 : n == 50 ? 7 : n) * (half / 16);
}

uint64_t format_copy_unit(const struct pt_format *format)
{
    uint64_t unit = format_entry_size(format, 0);
    size_t entries = format_root_entries(format);

    if (format->levels <= PT_GROUP_LEVELS && (format->page_sizes & unit << format->group_bits[format->levels - 1]))
        unit <<= format->group_bits[format->levels - 1];
    while (entries * (format_entry_size(format, 0)) / unit > 512)
        unit <<= 1;
    return unit;
}

uint64_t format_copy_units(const struct pt_format *format)
{
    return (format_lower_last(format) + 1) / format_copy_unit(format);
}

bool format_is_of(const struct pt_format *format, const char *name, size_t *length)
{
    const char *whole = format_facts(format)->name;
    size_t same = strlen(name);

    /* "test_aarch64_16k" is a copy of "pt_aarch64_16k" with other features. */
    if (strncmp(whole, "test_", 5) == 0 && strncmp(name, "pt_", 3) == 0)
        whole += 5, name += 3;
    if (strncmp(whole, name, strlen(name)) != 0 || same <= *length)
        return false;
    *length = same;
    return true;
}

pt_vaddr format_last_page(const struct pt_format *format, uint64_t size)
{
    return format->address_space == PT_ZERO_EXTENDED ? format_lower_last(format) - (size - 1) : 0 - size;
}

pt_paddr format_some_paddr(const struct pt_format *format)
{
    uint64_t largest = format_largest(format);

    if (format->pa_bits <= 40)
        return UINT64_C(1) << (format->pa_bits - 2);
    return largest > PT_512G ? largest : PT_512G;
}

pt_paddr format_table_limit(const struct pt_format *format, bool root)
{
    pt_paddr limit = format_paddr_last_of(format, format_smallest(format)) + 1;
    unsigned bits = format_facts(format)->root_pa_bits;

    return root && bits != 0 && limit >> bits != 0 ? UINT64_C(1) << bits : limit;
}

pt_paddr format_memory_base(const struct pt_format *format)
{
    pt_paddr last = format_table_limit(format, true) - 1;

    /* the last quarter of what all tables reach, away from format_some_paddr */
    return MEMORY_BASE <= last ? MEMORY_BASE : last / 4 * 3 + 3;
}

pt_paddr fixture_paddr;

struct fixture *fixture_begin(const struct pt_format *format, pt_paddr base, size_t frames)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    assert_non_null(fixture);
    fixture->format = format;
    fixture_paddr = format_some_paddr(format);
    fixture->memory = calloc(1, sizeof(*fixture->memory));
    assert_non_null(fixture->memory);
    memory_init(fixture->memory, base, frames);
    return fixture;
}

int fixture_set_up(void **state)
{
    const struct pt_format *format = *state;
    struct fixture *fixture = fixture_begin(format, format_memory_base(format), MEMORY_FRAMES);

    assert_ok(pt_create(&fixture->table, format, &fixture->memory->handler, fixture->memory));
    pt_flush_init(&fixture->flush, &fixture->table);
    *state = fixture;
    return 0;
}

int fixture_tear_down(void **state)
{
    struct fixture *fixture = *state;

    memory_fail_never(fixture->memory);
    fixture->memory->on_alloc = NULL;
    memory_release(fixture->memory);
    pt_flush_ignore(&fixture->flush);
    pt_destroy(&fixture->table);
    memory_end(fixture->memory);
    free(fixture->memory);
    free(fixture);
    return 0;
}
