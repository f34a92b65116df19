/* SPDX-License-Identifier: MIT */
/*
 * The engine: radix trees, and no architecture. Its files, from the ground up:
 *
 *   encoding.h   what a family of formats tells about its bits
 *   tree.h       geometry, entries, finding an address
 *   check.h      arguments
 *   reserve.h    frames for new tables
 *   pack.h       tables smaller than a frame
 *   retire.h     tables that leave the tree, until they are freed
 *   live.h       replacing live entries: break-before-make, splitting
 *   prune.h      finding tables with nothing in them
 *   map.h        mapping: plan, reserve, commit
 *   change.h     unmap, protect, remap: plan, reserve, commit
 *   reshape.h    split, collapse
 *   share.h      copy_from
 *   look.h       query, walk
 *   records.h    accessed and dirty
 *   life.h       create, destroy
 *
 * Included by the file of each family, which then defines `encoding`.
 */
#ifndef PT_ENGINE_H
#define PT_ENGINE_H

#include "../operations.h"
#include "change.h"
#include "life.h"
#include "look.h"
#include "map.h"
#include "records.h"
#include "reshape.h"
#include "share.h"

/* Where the format is the CPU's own. */
static inline void engine_invalidate(const struct pt_flush *flush)
{
    if (encoding.invalidate)
        encoding.invalidate(flush);
}

#define PT_OPERATION_POINTER(returns, result, name, parameters, arguments, format) .name = engine_##name,
static const struct pt_operations operations = {PT_OPERATIONS(PT_OPERATION_POINTER)};

/* With one format only, nothing stands between the public calls and the engine. */
#ifdef PT_ONLY_FORMAT
#define PT_DIRECT_CALL(returns, result, name, parameters, arguments, format)                                           \
    result pt_##name parameters                                                                                        \
    {                                                                                                                  \
        returns engine_##name arguments;                                                                               \
    }
PT_OPERATIONS(PT_DIRECT_CALL)
#endif

#endif
