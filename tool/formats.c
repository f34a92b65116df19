/* SPDX-License-Identifier: MIT */
#include "formats.h"

#include <ctype.h>
#include <errno.h>
#include <pagetable/hw/aarch64.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#define NAMED(format) {#format, &pt_##format}

static const struct {
    const char *name;
    const struct pt_format *format;
} formats[] = {
    NAMED(x86_64),
    NAMED(x86_64_la57),
    NAMED(x86_pae),
    NAMED(x86_32),
    NAMED(npt_4level),
    NAMED(npt_5level),
    NAMED(ept_4level),
    NAMED(ept_5level),
    NAMED(aarch64),
    NAMED(aarch64_16k),
    NAMED(aarch64_64k),
    NAMED(aarch64_4k_52),
    NAMED(aarch64_16k_52),
    NAMED(aarch64_64k_52),
    NAMED(aarch64_el2),
    NAMED(aarch64_stage2),
    NAMED(aarch64_stage2_16k),
    NAMED(aarch64_stage2_64k),
    NAMED(sv32),
    NAMED(sv39),
    NAMED(sv48),
    NAMED(sv57),
    NAMED(sv32x4),
    NAMED(sv39x4),
    NAMED(sv48x4),
    NAMED(sv57x4),
    NAMED(loongarch64),
    NAMED(loongarch64_16k),
    NAMED(loongarch64_64k),
    NAMED(loongarch64_3level),
    NAMED(armv7_short),
    NAMED(armv7_lpae),
};
#define FORMATS (sizeof(formats) / sizeof(formats[0]))

/* ---- Options ----------------------------------------------------------------------------------- */

static bool apply_feature(struct pt_format *format, uint32_t feature)
{
    format->features |= feature;
    return true;
}

#define FEATURE(name, feature)                                                                                         \
    static bool apply_##name(struct pt_format *format, uint64_t value)                                                 \
    {                                                                                                                  \
        (void)value;                                                                                                   \
        return apply_feature(format, feature);                                                                         \
    }
FEATURE(pse36, PT_FEATURE_PSE36)
FEATURE(execute_only, PT_FEATURE_EXECUTE_ONLY)
FEATURE(mode_execute, PT_FEATURE_MODE_EXECUTE)
FEATURE(suppress_ve, PT_FEATURE_SUPPRESS_VE)
FEATURE(xnx, PT_FEATURE_XNX)
FEATURE(svpbmt, PT_FEATURE_SVPBMT)

static bool apply_no_nx(struct pt_format *format, uint64_t value)
{
    (void)value;
    format->features &= ~PT_FEATURE_NX;
    return true;
}

static bool apply_fwb(struct pt_format *format, uint64_t value)
{
    (void)value;
    format->memory_index.normal = 6;
    return apply_feature(format, PT_FEATURE_FWB);
}

static bool apply_c9xx(struct pt_format *format, uint64_t value)
{
    (void)value;
    /* <pagetable/hw/riscv64.h>: PT_RISCV_C9XX_... */
    format->memory_index.normal = 7;
    format->memory_index.device = 10;
    format->memory_index.uncached = 3;
    return apply_feature(format, PT_FEATURE_C9XX);
}

static bool apply_svnapot(struct pt_format *format, uint64_t value)
{
    (void)value;
    format->page_sizes |= PT_64K;
    format->group_bits[0] = 4;
    return true;
}

/* Long descriptors of ARM: the helpers of <pagetable/hw/aarch64.h> suit no others. */
static bool is_arm(const struct pt_format *format)
{
    return format->operations == pt_aarch64.operations || format->operations == pt_aarch64_stage2.operations ||
           format->operations == pt_armv7_lpae.operations;
}

static bool apply_contiguous(struct pt_format *format, uint64_t value)
{
    (void)value;
    if (!is_arm(format))
        return false;
    *format = pt_aarch64_contiguous(*format);
    return true;
}

static bool apply_wide(struct pt_format *format, uint64_t value)
{
    (void)value;
    if (!is_arm(format) || format->operations == pt_armv7_lpae.operations)
        return false;
    *format = pt_aarch64_wide(*format);
    return true;
}

static bool apply_va_bits(struct pt_format *format, uint64_t value)
{
    if (value < 16 || value > 59)
        return false;
    if (is_arm(format)) {
        if (value <= format->page_shift + 4u + (unsigned)format->index_bits / 2)
            return false;
        *format = pt_aarch64_with_va_bits(*format, (uint8_t)value);
    } else {
        format->va_bits = (uint8_t)value;
    }
    return true;
}

static bool apply_pa_bits(struct pt_format *format, uint64_t value)
{
    format->pa_bits = (uint8_t)value;
    return value <= 64;
}

static bool apply_either_half(struct pt_format *format, uint64_t value)
{
    (void)value;
    format->address_space = PT_EITHER_HALF;
    return is_arm(format);
}

static bool apply_tracks_access(struct pt_format *format, uint64_t value)
{
    format->tracks_access = value != 0;
    return value <= 1;
}

static bool apply_page_sizes(struct pt_format *format, uint64_t value)
{
    format->page_sizes = value;
    return true;
}

static bool apply_leaf_bits(struct pt_format *format, uint64_t value)
{
    format->leaf_bits = value;
    return true;
}

static bool apply_table_bits(struct pt_format *format, uint64_t value)
{
    format->table_bits = value;
    return true;
}

#define MEMORY_INDEX(type)                                                                                             \
    static bool apply_##type(struct pt_format *format, uint64_t value)                                                 \
    {                                                                                                                  \
        format->memory_index.type = (uint8_t)value;                                                                    \
        return value <= UINT8_MAX;                                                                                     \
    }
MEMORY_INDEX(normal)
MEMORY_INDEX(device)
MEMORY_INDEX(uncached)

const struct format_option format_options[] = {
    {"pa-bits", "BITS", "the CPU's physical addresses have so many", apply_pa_bits},
    {"va-bits", "BITS", "virtual addresses have so many", apply_va_bits},
    {"page-sizes", "SIZES", "that leaves may have, OR-ed", apply_page_sizes},
    {"tracks-access", "0|1", "the hardware sets accessed and dirty bits", apply_tracks_access},
    {"leaf-bits", "BITS", "set in each leaf (SEV, TDX)", apply_leaf_bits},
    {"table-bits", "BITS", "set in each entry that leads to a table (SEV)", apply_table_bits},
    {"normal", "INDEX", "stands for normal memory in an entry", apply_normal},
    {"device", "INDEX", "stands for device memory", apply_device},
    {"uncached", "INDEX", "stands for uncached memory", apply_uncached},
    {"no-nx", NULL, "x86: EFER.NXE is clear", apply_no_nx},
    {"pse36", NULL, "x86, 32 bits: PSE-36; with --pa-bits", apply_pse36},
    {"execute-only", NULL, "EPT: pages that can be executed only", apply_execute_only},
    {"mode-execute", NULL, "EPT: mode-based execute control", apply_mode_execute},
    {"suppress-ve", NULL, "EPT: no leaf causes #VE", apply_suppress_ve},
    {"contiguous", NULL, "ARM: pages of several entries", apply_contiguous},
    {"wide", NULL, "AArch64: 52-bit addresses", apply_wide},
    {"either-half", NULL, "ARMv7: a table of TTBR1 is possible", apply_either_half},
    {"fwb", NULL, "AArch64 stage 2: FEAT_S2FWB", apply_fwb},
    {"xnx", NULL, "AArch64 stage 2: FEAT_XNX", apply_xnx},
    {"svnapot", NULL, "RISC-V: pages of 64K", apply_svnapot},
    {"svpbmt", NULL, "RISC-V: page-based memory types", apply_svpbmt},
    {"c9xx", NULL, "RISC-V: the attributes of XuanTie C9xx", apply_c9xx},
};
const size_t format_options_count = sizeof(format_options) / sizeof(format_options[0]);

bool format_apply(struct pt_format *format, const char *option)
{
    size_t length = strcspn(option, "=");

    for (size_t i = 0; i < format_options_count; i++) {
        const struct format_option *known = &format_options[i];
        uint64_t value = 0;

        if (strncmp(known->name, option, length) != 0 || known->name[length] != '\0')
            continue;
        if ((known->value != NULL) != (option[length] == '='))
            return complain("option %s: %s", known->name, known->value ? "takes a value" : "takes no value");
        if (known->value && !parse_number(option + length + 1, &value))
            return complain("option %s: %s is no number", known->name, option + length + 1);
        if (!known->apply(format, value))
            return complain("option %s makes no sense for %s", option, format->name);
        return true;
    }
    return complain("option %s: there is none of this name", option);
}

/* ---- Names ------------------------------------------------------------------------------------- */

const struct pt_format *format_by_name(const char *name)
{
    if (strncmp(name, "pt_", 3) == 0)
        name += 3;
    for (size_t i = 0; i < FORMATS; i++)
        if (strcmp(formats[i].name, name) == 0)
            return formats[i].format;
    return NULL;
}

const char *format_name(const struct pt_format *base)
{
    for (size_t i = 0; i < FORMATS; i++)
        if (formats[i].format == base)
            return formats[i].name;
    return "?";
}

void formats_put(FILE *to)
{
    for (size_t i = 0; i < FORMATS; i++)
        fprintf(to, "%-20s %s\n", formats[i].name, formats[i].format->name);
}

bool parse_number(const char *text, uint64_t *value)
{
    static const char units[] = "KMGTPE";
    const char *unit;
    char *end;
    unsigned shift;

    if (!isdigit((unsigned char)text[0]))
        return false;
    errno = 0;
    *value = strtoull(text, &end, 0);
    if (errno != 0)
        return false;
    if (*end == '\0')
        return true;
    unit = strchr(units, *end);
    if (!unit || end[1] != '\0')
        return false;
    shift = 10 * (unsigned)(unit - units + 1);
    if (*value > UINT64_MAX >> shift)
        return false;
    *value <<= shift;
    return true;
}
