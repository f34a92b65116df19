/* SPDX-License-Identifier: MIT */
/*
 * The engine: radix trees, and no architecture. Its files, from the ground up:
 *
 *   encoding.h   what a family of formats tells about its bits
 *   tree.h       geometry, entries, finding an address
 *   check.h      arguments
 *   reserve.h    frames for new tables
 *   retire.h     replacing live entries (break-before-make), tables that leave the tree
 *   map.h        mapping: plan, reserve, commit
 *   change.h     unmap, protect, remap
 *   share.h      copy_from
 *   look.h       query, walk
 *   life.h       create, destroy
 *
 * PT_DEFINE_OPERATIONS(family) compiles them for the `static const struct encoding` of that name.
 */
#ifndef PT_ENGINE_H
#define PT_ENGINE_H

#include "../operations.h"
#include "change.h"
#include "life.h"
#include "look.h"
#include "map.h"
#include "share.h"

/* Where the format is the CPU's own. */
PT_INLINE void engine_invalidate(const struct encoding *enc, const struct pt_flush *flush)
{
    if (enc->invalidate)
        enc->invalidate(flush);
}

/* With one format only, its operations are the public calls themselves. */
#ifdef PT_ONLY_FORMAT
#define PT_OPERATION_LINKAGE
#define PT_OPERATION_NAME(family, name) pt_##name
#else
#define PT_OPERATION_LINKAGE static
#define PT_OPERATION_NAME(family, name) family##_##name
#endif

/* Puts the arguments behind the encoding. */
#define PT_AND(...) , __VA_ARGS__

#define PT_DEFINE_OPERATION(family, returns, result, name, parameters, arguments, format)                              \
    PT_OPERATION_LINKAGE result PT_OPERATION_NAME(family, name) parameters                                             \
    {                                                                                                                  \
        returns engine_##name(&family PT_AND arguments);                                                               \
    }
#define PT_OPERATION_POINTER(family, returns, result, name, parameters, arguments, format)                             \
    .name = PT_OPERATION_NAME(family, name),

#define PT_DEFINE_OPERATIONS(family)                                                                                   \
    PT_OPERATIONS(PT_DEFINE_OPERATION, family)                                                                         \
    static const struct pt_operations family##_operations = {PT_OPERATIONS(PT_OPERATION_POINTER, family)};

#endif
