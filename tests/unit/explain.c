/* SPDX-License-Identifier: MIT */
/*
 * What an MMU makes of entries that others wrote, and what the CPU reports of an access: reserved bits, rights that
 * upper entries take away, faults. Entries and answers are put together from the manuals: Intel SDM vol. 3A 4.3 to 4.7
 * and vol. 3C 28.3; AMD APM vol. 2, 15.25; RISC-V privileged architecture; LoongArch Reference Manual vol. 1, 5.4; Arm
 * ARM (DDI 0487) D8; Arm ARM ARMv7-A (DDI 0406C) B3.
 */
#include <pagetable/inspect.h>

#include <string.h>

#include "test.h"

#define BIT(n) (UINT64_C(1) << (n))
#define TABLE_SIZE UINT64_C(0x10000)
#define FIRST_TABLE UINT64_C(0x100000)
#define PAGE UINT64_C(0x40000000)
#define VADDR UINT64_C(0x128)

/* Accesses. */
#define R PT_READ
#define W PT_WRITE
#define X PT_EXECUTE
#define U PT_USER
#define ALL (R | W | X | U)

struct row {
    const char *what;
    const struct pt_format *format;
    uint64_t entry[PT_MAX_LEVELS]; /* of each level, without the address of what it leads to; 0: no more */
    pt_flags access;
    enum pt_reason reason;
    unsigned level; /* that decides, */
    uint64_t bits;  /* and by which bits */
    uint32_t exception;
    uint64_t code;
    pt_flags rights; /* of the page, if there is one */
    uint32_t cpu;

    /* What is different about the format. */
    uint32_t more, less; /* features */
    uint64_t no_pages;   /* of these sizes */
    uint8_t pa_bits;     /* 0: as it is */
    bool tracks_access;
};

/* Reasons. */
#define NOT_PRESENT PT_REASON_NOT_PRESENT
#define MALFORMED PT_REASON_MALFORMED
#define PRIVILEGE PT_REASON_PRIVILEGE
#define RIGHT PT_REASON_RIGHT
#define NOT_ACCESSED PT_REASON_NOT_ACCESSED
#define NOT_DIRTY PT_REASON_NOT_DIRTY
#define CARRIED_OUT PT_REASON_NONE, 0, 0, 0, 0

/* ---- x86 --------------------------------------------------------------------------------------- */

#define X_P BIT(0)
#define X_PW (BIT(0) | BIT(1))
#define X_PU (BIT(0) | BIT(2))
#define X_ALL (BIT(0) | BIT(1) | BIT(2))
#define X_2 X_ALL, X_ALL
#define X_3 X_2, X_ALL
#define X_PS BIT(7)
#define X_XD BIT(63)

/* clang-format off */
static const struct row x86_rows[] = {
    {"all rights", &pt_x86_64, {X_3, X_ALL}, W | U, CARRIED_OUT, .rights = ALL},
    {"bits for software", &pt_x86_64, {X_3, X_ALL | BIT(11) | BIT(58)}, R, CARRIED_OUT, .rights = ALL},
    {"not present", &pt_x86_64, {X_2, BIT(1)}, W, NOT_PRESENT, 2, 1, 14, 2, .rights = 0},
    {"no access", &pt_x86_64, {X_3, BIT(9)}, R | U, NOT_PRESENT, 3, 1, 14, 4, .rights = 0},
    /* U/S, R/W, XD: all levels must allow it. */
    {"supervisor's directory", &pt_x86_64, {X_ALL, X_PW, X_ALL, X_ALL}, R | U, PRIVILEGE, 1, 4, 14, 5,
     .rights = R | W | X},
    {"read-only root entry", &pt_x86_64, {X_PU, X_ALL, X_ALL, X_ALL}, W | U, RIGHT, 0, 2, 14, 7, .rights = R | X | U},
    {"no execution", &pt_x86_64, {X_2, X_ALL | X_XD, X_ALL}, X | U, RIGHT, 2, X_XD, 14, 0x15, .rights = R | W | U},
    {"without WP", &pt_x86_64, {X_PU, X_ALL, X_ALL, X_PU}, W, CARRIED_OUT, .rights = R | X | U},
    {"with WP", &pt_x86_64, {X_3, X_P}, W, RIGHT, 3, 2, 14, 3, .rights = R | X, .cpu = PT_CPU_WP},
    {"without WP by the user", &pt_x86_64, {X_3, X_PU}, W | U, RIGHT, 3, 2, 14, 7, .rights = R | X | U},
    {"SMAP", &pt_x86_64, {X_3, X_ALL}, R, PRIVILEGE, 3, 4, 14, 1, .rights = ALL, .cpu = PT_CPU_SMAP},
    {"SMAP, supervisor's", &pt_x86_64, {X_ALL, X_PW, X_ALL, X_ALL}, R, CARRIED_OUT,
     .rights = R | W | X, .cpu = PT_CPU_SMAP},
    {"SMEP", &pt_x86_64, {X_3, X_ALL}, X, PRIVILEGE, 3, 4, 14, 0x11, .rights = ALL, .cpu = PT_CPU_SMEP},
    {"SMEP is not SMAP", &pt_x86_64, {X_3, X_ALL}, R, CARRIED_OUT, .rights = ALL, .cpu = PT_CPU_SMEP},
    /* Reserved bits: RSVD, and P with it. */
    {"too wide", &pt_x86_64, {X_3, X_ALL | BIT(40)}, R, MALFORMED, 3, BIT(40), 14, 9, .pa_bits = 40},
    {"too wide a table", &pt_x86_64, {X_ALL | BIT(51)}, W | U, MALFORMED, 0, BIT(51), 14, 0xf, .pa_bits = 40},
    {"page of 512 GiB", &pt_x86_64, {X_ALL | X_PS}, R, MALFORMED, 0, X_PS, 14, 9, .rights = 0},
    {"no pages of 1 GiB", &pt_x86_64, {X_ALL, X_ALL | X_PS}, R, MALFORMED, 1, X_PS, 14, 9, .no_pages = PT_1G},
    {"page of 1 GiB, PAT", &pt_x86_64, {X_ALL, X_ALL | X_PS | BIT(12)}, R, CARRIED_OUT, .rights = ALL},
    {"misaligned", &pt_x86_64, {X_2, X_ALL | X_PS | BIT(13)}, R, MALFORMED, 2, BIT(13), 14, 9, .rights = 0},
    {"XD without NX", &pt_x86_64, {X_3, X_ALL | X_XD}, X, MALFORMED, 3, X_XD, 14, 9, .less = PT_FEATURE_NX},
    {"fetch without NX", &pt_x86_64, {X_ALL}, X, NOT_PRESENT, 1, 1, 14, 0, .less = PT_FEATURE_NX},
    {"5 levels", &pt_x86_64_la57, {X_ALL, X_PU, X_ALL, X_ALL, X_ALL}, W | U, RIGHT, 1, 2, 14, 7, .rights = R | X | U},
    /* PAE: the root's entries have no rights. */
    {"PAE", &pt_x86_pae, {X_P, X_ALL, X_ALL}, W | U, CARRIED_OUT, .rights = ALL},
    {"PAE, supervisor's", &pt_x86_pae, {X_P, X_PW, X_ALL}, R | U, PRIVILEGE, 1, 4, 14, 5, .rights = R | W | X},
    {"PAE, root R/W", &pt_x86_pae, {X_PW}, R, MALFORMED, 0, 2, 14, 9, .rights = 0},
    {"PAE, root G", &pt_x86_pae, {X_P | BIT(8)}, R, MALFORMED, 0, BIT(8), 14, 9, .rights = 0},
    {"PAE, root XD", &pt_x86_pae, {X_P | X_XD}, R, MALFORMED, 0, X_XD, 14, 9, .rights = 0},
    {"PAE, bit 58", &pt_x86_pae, {X_P, X_ALL, X_ALL | BIT(58)}, R, MALFORMED, 2, BIT(58), 14, 9, .rights = 0},
    /* 32 bits. */
    {"two levels", &pt_x86_32, {X_PU, X_ALL}, W | U, RIGHT, 0, 2, 14, 7, .rights = R | X | U},
    {"4 MiB, bit 21", &pt_x86_32, {X_ALL | X_PS | BIT(21)}, R, MALFORMED, 0, BIT(21), 14, 9, .rights = 0},
    {"4 MiB, no PSE-36", &pt_x86_32, {X_ALL | X_PS | BIT(13)}, R, MALFORMED, 0, BIT(13), 14, 9, .rights = 0},
    {"PSE-36, 37 bits", &pt_x86_32, {X_ALL | X_PS | BIT(18)}, R, MALFORMED, 0, BIT(18), 14, 9,
     .more = PT_FEATURE_PSE36, .pa_bits = 37},
    /* Nested: exit code 400h, bit 32 of EXITINFO1; every access is the user's. */
    {"nested", &pt_npt_4level, {X_3, X_ALL}, W, CARRIED_OUT, .rights = ALL},
    {"nested, not present", &pt_npt_4level, {X_ALL}, W, NOT_PRESENT, 1, 1, 0x400, BIT(32) | 6, .rights = 0},
    {"nested, supervisor's", &pt_npt_4level, {X_3, X_PW}, R, PRIVILEGE, 3, 4, 0x400, BIT(32) | 5, .rights = 0},
    {"nested, directory", &pt_npt_4level, {X_ALL, X_PW, X_ALL, X_ALL}, R, PRIVILEGE, 1, 4, 0x400, BIT(32) | 5,
     .rights = 0},
    {"nested, read-only", &pt_npt_4level, {X_3, X_PU}, W, RIGHT, 3, 2, 0x400, BIT(32) | 7, .rights = R | X | U},
    {"nested, NX", &pt_npt_4level, {X_3, X_ALL | X_XD}, X, RIGHT, 3, X_XD, 0x400, BIT(32) | 0x15, .rights = R | W | U},
    {"nested, reserved", &pt_npt_4level, {X_ALL | X_PS}, R, MALFORMED, 0, X_PS, 0x400, BIT(32) | 0xd, .rights = 0},
};
/* clang-format on */

/* ---- EPT --------------------------------------------------------------------------------------- */

#define E_R BIT(0)
#define E_RW (BIT(0) | BIT(1))
#define E_RX (BIT(0) | BIT(2))
#define E_ALL (BIT(0) | BIT(1) | BIT(2))
#define E_2 E_ALL, E_ALL
#define E_3 E_2, E_ALL
#define E_WB (UINT64_C(6) << 3)
#define E_LEAF BIT(7)
#define E_XU BIT(10)
#define E_XU_3 E_ALL | E_XU, E_ALL | E_XU, E_ALL | E_XU
#define LINEAR 0x180u
#define EXECUTE_ONLY PT_FEATURE_EXECUTE_ONLY
#define BY_MODE PT_FEATURE_MODE_EXECUTE

/* clang-format off */
static const struct row ept_rows[] = {
    {"all rights", &pt_ept_4level, {E_3, E_ALL | E_WB}, W, CARRIED_OUT, .rights = ALL},
    {"not present", &pt_ept_4level, {E_ALL, E_WB}, R, NOT_PRESENT, 1, E_ALL, 48, LINEAR | 1, .rights = 0},
    {"read-only", &pt_ept_4level, {E_3, E_RX | E_WB}, W, RIGHT, 3, 2, 48, LINEAR | 0x2a, .rights = R | X | U},
    {"read-only above", &pt_ept_4level, {E_RX, E_ALL, E_ALL, E_ALL | E_WB}, W, RIGHT, 0, 2, 48, LINEAR | 0x2a,
     .rights = R | X | U},
    {"no execution", &pt_ept_4level, {E_ALL, E_RW, E_ALL | E_LEAF | E_WB}, X, RIGHT, 1, 4, 48, LINEAR | 0x1c,
     .rights = R | W | U},
    {"nothing in common", &pt_ept_4level, {E_R, E_ALL, E_ALL, BIT(2) | E_WB}, R, RIGHT, 3, 1, 48, LINEAR | 1,
     .rights = U, .more = EXECUTE_ONLY},
    {"execute-only", &pt_ept_4level, {E_3, BIT(2) | E_WB}, X, CARRIED_OUT, .rights = X | U, .more = EXECUTE_ONLY},
    {"supervisor's code", &pt_ept_4level, {E_XU_3, E_ALL | E_WB}, X | U, RIGHT, 3, E_XU, 48, LINEAR | 0x3c,
     .rights = R | W | X, .more = BY_MODE},
    {"user's code", &pt_ept_4level, {E_XU_3, E_R | E_XU | E_WB}, X, RIGHT, 3, 4, 48, LINEAR | 0x4c,
     .rights = R | X | U, .more = BY_MODE},
    /* Misconfigurations. */
    {"no execute-only", &pt_ept_4level, {E_3, BIT(2) | E_WB}, X, MALFORMED, 3, 4, 49, 0, .rights = 0},
    {"no execute-only, user", &pt_ept_4level, {E_XU}, X, MALFORMED, 0, E_XU, 49, 0, .more = BY_MODE},
    {"write-only", &pt_ept_4level, {E_ALL, BIT(1)}, R, MALFORMED, 1, 2, 49, 0, .more = EXECUTE_ONLY},
    {"memory type 2", &pt_ept_4level, {E_3, E_ALL | 2 << 3}, R, MALFORMED, 3, 0x38, 49, 0, .rights = 0},
    {"memory type 3", &pt_ept_4level, {E_3, E_ALL | 3 << 3}, R, MALFORMED, 3, 0x38, 49, 0, .rights = 0},
    {"memory type 7", &pt_ept_4level, {E_2, E_ALL | E_LEAF | 7 << 3}, R, MALFORMED, 2, 0x38, 49, 0, .rights = 0},
    {"type of a table", &pt_ept_4level, {E_ALL, E_ALL | BIT(6)}, R, MALFORMED, 1, BIT(6), 49, 0, .rights = 0},
    {"page of 512 GiB", &pt_ept_4level, {E_ALL | E_LEAF | E_WB}, R, MALFORMED, 0, E_LEAF, 49, 0, .rights = 0},
    {"misaligned", &pt_ept_4level, {E_2, E_ALL | E_LEAF | E_WB | BIT(12)}, R, MALFORMED, 2, BIT(12), 49, 0,
     .rights = 0},
    {"too wide", &pt_ept_5level, {E_ALL, E_ALL | BIT(46)}, R, MALFORMED, 1, BIT(46), 49, 0, .pa_bits = 46},
};
/* clang-format on */

/* ---- RISC-V: "Virtual Address Translation Process" ------------------------------------------------ */

#define V_TABLE BIT(0)
#define V_2 V_TABLE, V_TABLE
#define V_LEAF (BIT(0) | BIT(6) | BIT(7))
#define V_R BIT(1)
#define V_W BIT(2)
#define V_X BIT(3)
#define V_U BIT(4)

/* clang-format off */
static const struct row riscv_rows[] = {
    {"all rights", &pt_sv39, {V_2, V_LEAF | V_R | V_W | V_X}, W, CARRIED_OUT, .rights = R | W | X},
    {"not valid", &pt_sv39, {V_TABLE, V_R}, X, NOT_PRESENT, 1, 1, 12, 0, .rights = 0},
    {"user's page", &pt_sv39, {V_2, V_LEAF | V_R | V_U}, R, PRIVILEGE, 2, V_U, 13, 0, .rights = R | U},
    {"SUM", &pt_sv39, {V_2, V_LEAF | V_R | V_U}, R, CARRIED_OUT, .rights = R | U, .cpu = PT_CPU_SUM},
    {"SUM, fetch", &pt_sv39, {V_2, V_LEAF | V_R | V_X | V_U}, X, PRIVILEGE, 2, V_U, 12, 0,
     .rights = R | X | U, .cpu = PT_CPU_SUM},
    {"MXR", &pt_sv39, {V_2, V_LEAF | V_X}, R, CARRIED_OUT, .rights = X, .cpu = PT_CPU_MXR},
    {"execute-only", &pt_sv39, {V_2, V_LEAF | V_X}, R, RIGHT, 2, V_R, 13, 0, .rights = X},
    {"not accessed", &pt_sv39, {V_2, BIT(0) | V_R}, R, NOT_ACCESSED, 2, BIT(6), 13, 0, .rights = 0},
    {"not dirty", &pt_sv39, {V_2, BIT(0) | BIT(6) | V_R | V_W}, W, NOT_DIRTY, 2, BIT(7), 15, 0, .rights = R},
    {"Svadu", &pt_sv39, {V_2, BIT(0) | V_R | V_W}, W, CARRIED_OUT, .rights = R | W, .tracks_access = true},
    {"write-only", &pt_sv39, {V_2, V_LEAF | V_W}, W, MALFORMED, 2, V_W, 15, 0, .rights = 0},
    {"A of a table", &pt_sv39, {V_TABLE | BIT(6)}, R, MALFORMED, 0, BIT(6), 13, 0, .rights = 0},
    {"bit 54", &pt_sv39, {V_2, V_LEAF | V_R | BIT(54)}, R, MALFORMED, 2, BIT(54), 13, 0, .rights = 0},
    {"PBMT without Svpbmt", &pt_sv39, {V_TABLE, V_LEAF | V_R | BIT(61)}, R, MALFORMED, 1, BIT(61), 13, 0, .rights = 0},
    {"misaligned", &pt_sv32, {V_LEAF | V_R | BIT(10)}, R, MALFORMED, 0, BIT(10), 13, 0, .rights = 0},
    {"second stage", &pt_sv39x4, {V_2, V_LEAF | V_R | V_U}, W, RIGHT, 2, V_W, 23, 0, .rights = R | U},
    {"second stage, U", &pt_sv39x4, {V_2, V_LEAF | V_R}, R, PRIVILEGE, 2, V_U, 21, 0, .rights = 0},
    {"second stage, fetch", &pt_sv32x4, {V_TABLE}, X, NOT_PRESENT, 1, 1, 20, 0, .rights = 0},
};
/* clang-format on */

/* ---- LoongArch64: 5.4.3; Ecodes, 6.2.1 ------------------------------------------------------------ */

#define L_VD (BIT(0) | BIT(1))
#define L_PLV3 (UINT64_C(3) << 2)
#define L_H BIT(6)
#define L_NR BIT(61)
#define L_NX BIT(62)
#define L_RPLV BIT(63)
#define L_TABLE BIT(48) /* which LDDIR takes no address from */
#define L_2 L_TABLE, L_TABLE
#define L_3 L_2, L_TABLE

/* clang-format off */
static const struct row loongarch_rows[] = {
    {"all rights", &pt_loongarch64, {L_3, L_VD | L_PLV3}, W | U, CARRIED_OUT, .rights = ALL},
    {"no table, load", &pt_loongarch64, {L_TABLE}, R, NOT_PRESENT, 1, 1, 1, 0, .rights = 0},
    {"no table, store", &pt_loongarch64, {L_TABLE}, W, NOT_PRESENT, 1, 1, 2, 0, .rights = 0},
    {"not valid, fetch", &pt_loongarch64, {L_3, BIT(7)}, X, NOT_PRESENT, 3, 1, 3, 0, .rights = 0},
    {"W without D", &pt_loongarch64, {L_3, BIT(0) | BIT(8)}, W, NOT_DIRTY, 3, 2, 4, 0, .rights = R | X},
    {"NR", &pt_loongarch64, {L_3, L_VD | L_NR}, R, RIGHT, 3, L_NR, 5, 0, .rights = W | X},
    {"NX", &pt_loongarch64, {L_2, L_H | L_VD | L_NX}, X | U, RIGHT, 2, L_NX, 6, 0, .rights = R | W},
    {"NX, load", &pt_loongarch64, {L_3, L_VD | L_NX}, R, CARRIED_OUT, .rights = R | W},
    {"NR, store", &pt_loongarch64, {L_3, L_VD | L_NR}, W, CARRIED_OUT, .rights = W | X},
    {"NX before PLV", &pt_loongarch64, {L_3, L_VD | L_NX}, X | U, RIGHT, 3, L_NX, 6, 0, .rights = R | W},
    {"PLV before D", &pt_loongarch64, {L_3, BIT(0)}, W | U, PRIVILEGE, 3, L_PLV3, 7, 0, .rights = R | X},
    {"PLV", &pt_loongarch64, {L_3, L_VD | L_NR}, R | U, PRIVILEGE, 3, L_PLV3, 7, 0, .rights = W | X},
    {"RPLV", &pt_loongarch64, {L_3, L_VD | L_PLV3 | L_RPLV}, R, PRIVILEGE, 3, L_PLV3 | L_RPLV, 7, 0, .rights = ALL},
    {"misaligned", &pt_loongarch64, {L_2, L_H | L_VD | BIT(13)}, R, MALFORMED, 2, BIT(13), 1, 0, .rights = 0},
    {"global", &pt_loongarch64, {L_2, L_H | L_VD | BIT(12)}, R, CARRIED_OUT, .rights = R | W | X},
    {"page of 512 GiB", &pt_loongarch64, {L_H | L_VD}, W, MALFORMED, 0, L_H, 2, 0, .rights = 0},
};
/* clang-format on */

/* ---- AArch64: D8.3 (descriptors), D8.4 (rights); ESR_ELx ------------------------------------------- */

#define A_TABLE UINT64_C(3)
#define A_2 A_TABLE, A_TABLE
#define A_3 A_2, A_TABLE
#define A_PAGE (UINT64_C(3) | A_AF)
#define A_BLOCK (UINT64_C(1) | A_AF)
#define A_EL0 BIT(6)
#define A_RO BIT(7)
#define A_AF BIT(10)
#define A_DBM BIT(51)
#define A_PXN BIT(53)
#define A_UXN BIT(54)
#define A_XN (A_PXN | A_UXN)
#define A_PXN_TABLE BIT(59)
#define A_UXN_TABLE BIT(60)
#define A_NO_EL0_TABLE BIT(61)
#define A_RO_TABLE BIT(62)
#define A_WNR 0x40u
#define S2_R BIT(6)
#define S2_W BIT(7)
#define S2_RW (S2_R | S2_W)

/* clang-format off */
static const struct row aarch64_rows[] = {
    {"kernel's", &pt_aarch64, {A_3, A_PAGE | A_UXN}, W, CARRIED_OUT, .rights = R | W | X},
    {"block of 1 GiB", &pt_aarch64, {A_TABLE, A_BLOCK | A_XN}, W, CARRIED_OUT, .rights = R | W},
    {"not valid", &pt_aarch64, {A_2, BIT(1)}, R, NOT_PRESENT, 2, 1, 0x25, 6, .rights = 0},
    {"not valid, user's fetch", &pt_aarch64, {BIT(1)}, X | U, NOT_PRESENT, 0, 1, 0x20, 4, .rights = 0},
    {"kernel's, by the user", &pt_aarch64, {A_3, A_PAGE | A_XN}, R | U, PRIVILEGE, 3, A_EL0, 0x24, 0xf,
     .rights = R | W},
    {"APTable[0]", &pt_aarch64, {A_TABLE | A_NO_EL0_TABLE, A_2, A_PAGE | A_EL0 | A_XN}, W | U, PRIVILEGE, 0,
     A_NO_EL0_TABLE, 0x24, A_WNR | 0xf, .rights = R | W},
    {"APTable[1]", &pt_aarch64, {A_TABLE, A_TABLE | A_RO_TABLE, A_BLOCK | A_XN}, W, RIGHT, 1, A_RO_TABLE, 0x25,
     A_WNR | 0xe, .rights = R},
    {"APTable, other half", &pt_aarch64, {A_TABLE | A_RO_TABLE, A_2, A_PAGE | A_EL0 | A_XN}, R | U, CARRIED_OUT,
     .rights = R | U},
    {"read-only", &pt_aarch64, {A_3, A_PAGE | A_RO | A_XN}, W, RIGHT, 3, A_RO, 0x25, A_WNR | 0xf, .rights = R},
    {"UXNTable", &pt_aarch64, {A_TABLE | A_UXN_TABLE, A_2, A_PAGE | A_EL0 | A_PXN}, X | U, RIGHT, 0, A_UXN_TABLE,
     0x20, 0xf, .rights = R | W | U},
    {"PXNTable", &pt_aarch64, {A_2, A_TABLE | A_PXN_TABLE, A_PAGE | A_UXN}, X, RIGHT, 2, A_PXN_TABLE, 0x21, 0xf,
     .rights = R | W},
    {"PXN", &pt_aarch64, {A_3, A_PAGE | A_XN}, X, RIGHT, 3, A_PXN, 0x21, 0xf, .rights = R | W},
    {"what the user writes", &pt_aarch64, {A_3, A_PAGE | A_EL0}, X, PRIVILEGE, 3, A_EL0 | A_RO, 0x21, 0xf,
     .rights = ALL},
    {"what the user reads", &pt_aarch64, {A_3, A_PAGE | A_EL0 | A_RO}, X, CARRIED_OUT, .rights = R | X | U},
    {"access flag", &pt_aarch64, {A_3, BIT(0) | BIT(1) | A_RO}, W | U, NOT_ACCESSED, 3, A_AF, 0x24, A_WNR | 0xb,
     .rights = 0},
    {"HAFDBS", &pt_aarch64, {A_3, BIT(0) | BIT(1) | A_XN}, R, CARRIED_OUT, .rights = R | W, .tracks_access = true},
    {"DBM", &pt_aarch64, {A_3, A_PAGE | A_RO | A_DBM | A_XN}, W, CARRIED_OUT, .rights = R | W, .tracks_access = true},
    {"DBM without HAFDBS", &pt_aarch64, {A_3, A_PAGE | A_RO | A_DBM | A_XN}, W, RIGHT, 3, A_RO, 0x25, A_WNR | 0xf,
     .rights = R},
    {"block of 512 GiB", &pt_aarch64, {A_BLOCK | A_XN}, R, MALFORMED, 0, BIT(1), 0x25, 4, .rights = 0},
    {"page without bit 1", &pt_aarch64, {A_3, A_BLOCK | A_XN}, R, NOT_PRESENT, 3, BIT(1), 0x25, 7, .rights = 0},
    {"too wide", &pt_aarch64, {A_3, A_PAGE | A_XN | BIT(40)}, R, MALFORMED, 3, BIT(40), 0x25, 3, .pa_bits = 40},
    {"too wide a table", &pt_aarch64, {A_TABLE, A_TABLE | BIT(44)}, R, MALFORMED, 1, BIT(44), 0x25, 1, .pa_bits = 44},
    {"PAN", &pt_aarch64, {A_3, A_PAGE | A_EL0 | A_XN}, W, PRIVILEGE, 3, A_EL0, 0x25, A_WNR | 0xf,
     .rights = R | W | U, .cpu = PT_CPU_PAN},
    {"PAN, kernel's", &pt_aarch64, {A_TABLE | A_NO_EL0_TABLE, A_2, A_PAGE | A_EL0 | A_XN}, W, CARRIED_OUT,
     .rights = R | W, .cpu = PT_CPU_PAN},
    {"WXN", &pt_aarch64, {A_3, A_PAGE | A_UXN}, X, RIGHT, 3, A_RO, 0x21, 0xf, .rights = R | W | X, .cpu = PT_CPU_WXN},
    {"WXN, read-only", &pt_aarch64, {A_3, A_PAGE | A_RO | A_UXN}, X, CARRIED_OUT, .rights = R | X, .cpu = PT_CPU_WXN},
    {"EL2, XN", &pt_aarch64_el2, {A_3, A_PAGE | A_EL0 | A_UXN}, X, RIGHT, 3, A_UXN, 0x21, 0xf, .rights = R | W | U},
    {"EL2, no PXN", &pt_aarch64_el2, {A_3, A_PAGE | A_EL0 | A_PXN}, X, CARRIED_OUT, .rights = ALL},
    /* 64 KiB: three levels, which are called 1 to 3. */
    {"64 KiB, not valid", &pt_aarch64_64k, {A_TABLE, BIT(1)}, R, NOT_PRESENT, 1, 1, 0x25, 6, .rights = 0},
    /* Second stage, of three levels: whatever a guest does comes from below. */
    {"second stage", &pt_aarch64_stage2, {A_2, A_PAGE | S2_RW}, W, CARRIED_OUT, .rights = ALL},
    {"second stage, not valid", &pt_aarch64_stage2, {A_TABLE, BIT(1)}, W, NOT_PRESENT, 1, 1, 0x24, A_WNR | 6, .rights = 0},
    {"second stage, read-only", &pt_aarch64_stage2, {A_2, A_PAGE | S2_R}, W, RIGHT, 2, S2_W, 0x24, A_WNR | 0xf,
     .rights = R | X | U},
    {"second stage, write-only", &pt_aarch64_stage2, {A_2, A_PAGE | S2_W | A_UXN}, R, RIGHT, 2, S2_R, 0x24, 0xf,
     .rights = W | U},
    {"second stage, XN", &pt_aarch64_stage2, {A_2, A_PAGE | S2_RW | A_UXN}, X, RIGHT, 2, A_UXN, 0x20, 0xf,
     .rights = R | W | U},
    {"XN[0] without XNX", &pt_aarch64_stage2, {A_2, A_PAGE | S2_RW | BIT(53)}, X, CARRIED_OUT, .rights = ALL},
    {"XNX, user's code", &pt_aarch64_stage2, {A_2, A_PAGE | S2_R | BIT(53)}, X, RIGHT, 2, A_XN, 0x20, 0xf,
     .rights = R | X | U, .more = PT_FEATURE_XNX},
    {"XNX, kernel's code", &pt_aarch64_stage2, {A_2, A_PAGE | S2_R | A_XN}, X | U, RIGHT, 2, A_XN, 0x20, 0xf,
     .rights = R | X, .more = PT_FEATURE_XNX},
};
/* clang-format on */

/* ---- ARMv7: B3.5.1 (short descriptors), B3.6.1 (long), B3.7 (rights), B3.13.3 and B3.13.4 (DFSR) --- */

#define S_TABLE UINT64_C(1)
#define S_PAGE UINT64_C(2)
#define S_PAGE_XN BIT(0)
#define S_PAGE_AP(ap) (((ap) & UINT64_C(3)) << 4 | ((ap) & UINT64_C(4)) << 7)
#define S_SECTION UINT64_C(2)
#define S_SECTION_XN BIT(4)
#define S_SECTION_AP(ap) (((ap) & UINT64_C(3)) << 10 | ((ap) & UINT64_C(4)) << 13)
#define S_PXN_TABLE BIT(2)
#define DFSR_WRITE 0x800u
#define LONG 0x200u

/* clang-format off */
static const struct row armv7_rows[] = {
    {"all rights", &pt_armv7_short, {S_TABLE, S_PAGE | S_PAGE_AP(3)}, W | U, CARRIED_OUT, .rights = ALL},
    {"no table", &pt_armv7_short, {BIT(4)}, W, NOT_PRESENT, 0, 3, 0, DFSR_WRITE | 5, .rights = 0},
    {"no page", &pt_armv7_short, {S_TABLE, BIT(4)}, X, NOT_PRESENT, 1, 3, 1, 7, .rights = 0},
    {"PL1's", &pt_armv7_short, {S_TABLE, S_PAGE | S_PAGE_AP(1)}, R | U, PRIVILEGE, 1, S_PAGE_AP(7), 0, 15,
     .rights = R | W | X},
    {"read-only", &pt_armv7_short, {S_TABLE, S_PAGE | S_PAGE_AP(7)}, W, RIGHT, 1, S_PAGE_AP(7), 0, DFSR_WRITE | 15,
     .rights = R | X | U},
    {"XN", &pt_armv7_short, {S_TABLE, S_PAGE | S_PAGE_XN | S_PAGE_AP(1)}, X, RIGHT, 1, S_PAGE_XN, 1, 15,
     .rights = R | W},
    {"PXN", &pt_armv7_short, {S_TABLE | S_PXN_TABLE, S_PAGE | S_PAGE_AP(7)}, X, RIGHT, 0, S_PXN_TABLE, 1, 15,
     .rights = R | X | U},
    {"PXN, by the user", &pt_armv7_short, {S_TABLE | S_PXN_TABLE, S_PAGE | S_PAGE_AP(7)}, X | U, CARRIED_OUT,
     .rights = R | X | U},
    {"WXN", &pt_armv7_short, {S_TABLE, S_PAGE | S_PAGE_AP(1)}, X, RIGHT, 1, S_PAGE_AP(7), 1, 15,
     .rights = R | W | X, .cpu = PT_CPU_WXN},
    {"section", &pt_armv7_short, {S_SECTION | S_SECTION_AP(1)}, W, CARRIED_OUT, .rights = R | W | X},
    {"section, XN", &pt_armv7_short, {S_SECTION | S_SECTION_XN | S_SECTION_AP(1)}, X, RIGHT, 0, S_SECTION_XN, 1, 13,
     .rights = R | W},
    {"section, by the user", &pt_armv7_short, {S_SECTION | S_SECTION_AP(5)}, R | U, PRIVILEGE, 0, S_SECTION_AP(7), 0,
     13, .rights = R | X},
    /* Long descriptors: the levels are called 1 to 3. */
    {"long", &pt_armv7_lpae, {A_2, A_PAGE | A_EL0}, W | U, CARRIED_OUT, .rights = ALL},
    {"long, not valid", &pt_armv7_lpae, {A_TABLE, BIT(1)}, R, NOT_PRESENT, 1, 1, 0, LONG | 6, .rights = 0},
    {"long, read-only", &pt_armv7_lpae, {A_2, A_PAGE | A_RO | A_XN}, W, RIGHT, 2, A_RO, 0, LONG | DFSR_WRITE | 0xf,
     .rights = R},
    {"long, APTable[0]", &pt_armv7_lpae, {A_TABLE | A_NO_EL0_TABLE, A_TABLE, A_PAGE | A_EL0 | A_XN}, R | U, PRIVILEGE,
     0, A_NO_EL0_TABLE, 0, LONG | 0xf, .rights = R | W},
    {"long, XNTable", &pt_armv7_lpae, {A_TABLE, A_TABLE | A_UXN_TABLE, A_PAGE}, X, RIGHT, 1, A_UXN_TABLE, 1, LONG | 0xf,
     .rights = R | W},
    {"long, PXN", &pt_armv7_lpae, {A_2, A_PAGE | A_RO | A_EL0 | A_PXN}, X, RIGHT, 2, A_PXN, 1, LONG | 0xf,
     .rights = R | X | U},
    {"long, access flag", &pt_armv7_lpae, {A_TABLE, BIT(0) | A_XN}, R, NOT_ACCESSED, 1, A_AF, 0, LONG | 0xa,
     .rights = 0},
};
/* clang-format on */

/* ---- All --------------------------------------------------------------------------------------- */

static _Alignas(65536) unsigned char memory[PT_MAX_LEVELS][TABLE_SIZE];

static void *memory_at(void *ctx, pt_paddr paddr)
{
    (void)ctx;
    if (paddr - FIRST_TABLE >= sizeof(memory))
        return NULL;
    return (unsigned char *)memory + (paddr - FIRST_TABLE);
}

static const struct pt_handler handler = {.phys_to_virt = memory_at};

/* Where the manual has an address in an entry. */
static uint64_t in_entry(const struct pt_format *format, pt_paddr paddr)
{
    return strncmp(format->name, "Sv", 2) == 0 ? paddr >> 2 : paddr;
}

static bool leads_to_table(const struct row *row, unsigned level)
{
    return level + 1u < row->format->levels && row->entry[level + 1] != 0;
}

static void build(const struct row *row)
{
    memset(memory, 0, sizeof(memory));
    for (unsigned level = 0; level < PT_MAX_LEVELS && row->entry[level] != 0; level++) {
        pt_paddr next = FIRST_TABLE + (level + 1) * TABLE_SIZE;
        bool leaf = !leads_to_table(row, level) && row->reason != PT_REASON_NOT_PRESENT;
        uint64_t bits = row->entry[level] | in_entry(row->format, leaf ? PAGE : next);

        memcpy(memory[level], &bits, 8); /* the second half is what follows an entry of 4 bytes: it has no index 0 */
    }
}

static bool is_as_expected(const struct row *row, const struct pt_explanation *e)
{
    const pt_flags rights = PT_READ | PT_WRITE | PT_EXECUTE | PT_USER;

    return e->reason == row->reason && e->level == row->level && e->bits == row->bits &&
           e->exception == row->exception && e->code == row->code && (e->mapping.flags & rights) == row->rights &&
           (!e->is_translated || e->mapping.paddr == (PAGE | VADDR));
}

static void write_error(void *arg, const char *text, size_t length)
{
    (void)arg;
    print_error("%.*s", (int)length, text);
}

static void explain(const struct row *rows, size_t count)
{
    bool failed = false;

    for (size_t i = 0; i < count; i++) {
        const struct row *row = &rows[i];
        struct pt_format format = *row->format;
        struct pt_explanation e;
        struct pt_mapping mapping;
        struct page_table pt;

        format.features = (format.features & ~row->less) | row->more;
        format.page_sizes &= ~row->no_pages;
        format.pa_bits = row->pa_bits ? row->pa_bits : format.pa_bits;
        format.tracks_access |= row->tracks_access;
        build(row);
        assert_int_equal(pt_adopt(&pt, &format, FIRST_TABLE, &handler, NULL), PT_OK);
        pt_explain_access(&pt, VADDR, row->access, row->cpu, &e);
        /* What is said of an access, and what is mapped, are two ways of asking the same. */
        if (!is_as_expected(row, &e) || (pt_query(&pt, VADDR, &mapping) == PT_OK) != e.is_translated) {
            print_error("%s: %s: %s, level %u, bits %llx, exception %x, code %llx, flags %x\n", format.name, row->what,
                        pt_reason_name(e.reason), e.level, (unsigned long long)e.bits, e.exception,
                        (unsigned long long)e.code, e.mapping.flags);
            pt_explain(&pt, VADDR, row->access, row->cpu, write_error, NULL);
            failed = true;
        }
    }
    assert_false(failed);
}

#define EXPLAINS(family)                                                                                               \
    static void family##_as_the_manual_says(void **state)                                                              \
    {                                                                                                                  \
        (void)state;                                                                                                   \
        explain(family##_rows, TESTS_COUNT(family##_rows));                                                            \
    }
EXPLAINS(x86)
EXPLAINS(ept)
EXPLAINS(riscv)
EXPLAINS(loongarch)
EXPLAINS(aarch64)
EXPLAINS(armv7)

/* Addresses that are none. */
static void not_canonical(void **state)
{
    static const struct {
        const struct pt_format *format;
        pt_vaddr vaddr;
        pt_flags access;
        uint32_t exception;
        uint64_t code;
    } cases[] = {
        {&pt_x86_64, BIT(47), PT_READ, 13, 0},
        {&pt_sv39, BIT(38), PT_WRITE, 15, 0},
        {&pt_loongarch64, BIT(60), PT_READ, 8, 1},
        {&pt_loongarch64, BIT(60), PT_EXECUTE, 8, 0},
        {&pt_ept_4level, BIT(48), PT_READ, 48, LINEAR | 1},
        {&pt_npt_4level, BIT(48), PT_READ, 0x400, BIT(32) | 4},
        {&pt_aarch64, BIT(48), PT_WRITE, 0x25, A_WNR | 4},
        {&pt_armv7_lpae, BIT(32), PT_READ, 0, LONG | 5},
    };

    (void)state;
    memset(memory, 0, sizeof(memory));
    for (size_t i = 0; i < TESTS_COUNT(cases); i++) {
        struct pt_explanation e;
        struct page_table pt;

        assert_int_equal(pt_adopt(&pt, cases[i].format, FIRST_TABLE, &handler, NULL), PT_OK);
        pt_explain_access(&pt, cases[i].vaddr, cases[i].access, 0, &e);
        assert_int_equal(e.reason, PT_REASON_NOT_CANONICAL);
        assert_int_equal(e.exception, cases[i].exception);
        assert_true(e.code == cases[i].code);
    }
}

/* Every bit of an entry has a name, once, or is one that the MMU refuses, or looks away from on purpose. */
static void fields_do_not_overlap(void **state)
{
    static const struct pt_format *const formats[] = {&pt_x86_64, &pt_x86_32, &pt_ept_4level, &pt_sv39,
                                                      &pt_loongarch64};
    static const unsigned kinds[] = {PT_FIELD_OF_TABLE, PT_FIELD_OF_HUGE, PT_FIELD_OF_PAGE};

    (void)state;
    for (size_t i = 0; i < TESTS_COUNT(formats); i++)
        for (size_t kind = 0; kind < TESTS_COUNT(kinds); kind++) {
            uint64_t seen = 0;

            for (const struct pt_field *field = pt_fields(formats[i]); field->name; field++) {
                uint64_t mask = (~UINT64_C(0) >> (64 - field->width)) << field->low;

                if (!(field->where & kinds[kind]) || (field->features && !(field->features & formats[i]->features)))
                    continue;
                assert_true(field->low + field->width <= 64);
                assert_true((seen & mask) == 0);
                seen |= mask;
            }
            assert_true(seen & 1 || kinds[kind] == PT_FIELD_OF_TABLE);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(x86_as_the_manual_says),
        cmocka_unit_test(ept_as_the_manual_says),
        cmocka_unit_test(riscv_as_the_manual_says),
        cmocka_unit_test(loongarch_as_the_manual_says),
        cmocka_unit_test(aarch64_as_the_manual_says),
        cmocka_unit_test(armv7_as_the_manual_says),
        cmocka_unit_test(not_canonical),
        cmocka_unit_test(fields_do_not_overlap),
    };

    return cmocka_run_group_tests_name("explain", tests, NULL, NULL);
}
