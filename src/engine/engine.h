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
 *   look.h       query; what an entry means, for those who read the tree level by level
 *   records.h    accessed and dirty
 *   life.h       create, destroy
 *
 * Included by the file of each family, which then defines `encoding`.
 */
#ifndef PT_ENGINE_H
#define PT_ENGINE_H

#include "../inspect/mmu.h"
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

/*
 * With one format only, nothing stands between the public calls and the engine, but that a table may be adopted; and
 * nothing refers to a call that the program does not make, so that the linker can leave it out.
 */
#ifdef PT_ONLY_FORMAT
static const struct pt_operations operations = {0};

#define PT_TABLE_OPERATION_CALL(returns, result, name, parameters, arguments)                                          \
    result pt_##name parameters                                                                                        \
    {                                                                                                                  \
        if (PT_UNLIKELY(pt->operations))                                                                               \
            returns pt->operations->name arguments;                                                                    \
        else                                                                                                           \
            returns engine_##name arguments;                                                                           \
    }
#define PT_FORMAT_OPERATION_CALL(returns, result, name, parameters, arguments, format)                                 \
    result pt_##name parameters                                                                                        \
    {                                                                                                                  \
        returns engine_##name arguments;                                                                               \
    }
PT_TABLE_OPERATIONS(PT_TABLE_OPERATION_CALL)
PT_FORMAT_OPERATIONS(PT_FORMAT_OPERATION_CALL)
#else
#define PT_TABLE_OPERATION_POINTER(returns, result, name, parameters, arguments) .name = engine_##name,
#define PT_FORMAT_OPERATION_POINTER(returns, result, name, parameters, arguments, format) .name = engine_##name,
static const struct pt_operations operations = {PT_TABLE_OPERATIONS(PT_TABLE_OPERATION_POINTER)
                                                    PT_FORMAT_OPERATIONS(PT_FORMAT_OPERATION_POINTER)
#ifdef PT_FAMILY_MMU
                                                        .mmu = &PT_FAMILY_MMU
#endif
};
#endif

#endif
