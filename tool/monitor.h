/* SPDX-License-Identifier: MIT */
/* What the commands of QEMU's human monitor answer, whichever way they are sent. */
#ifndef TOOL_MONITOR_H
#define TOOL_MONITOR_H

#include <stdbool.h>
#include <stdint.h>

/**
 * A register in what `info registers` says, by its name in lower case as elsewhere in this program: "CR3=0", "satp 0",
 * "PGDL 2f0000". "is_32" is 1 where satp has 32 bits.
 */
bool monitor_register(const char *text, const char *name, uint64_t *value);

/** May a frame be read, by what `gpa2hva` says of it? False for what is no memory: a device may mind being read. */
bool monitor_is_memory(const char *text);

#endif
