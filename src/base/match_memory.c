/* SPDX-License-Identifier: Apache-2.0 */
#include "base/match_memory.h"

#include <stdint.h>
#include <stdlib.h>

void *match_memory_take(size_t n, void *owner)
{
    struct match_memory *memory = owner;
    size_t size = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
    void *p;

    if (size < n || size > MATCH_MEMORY_SIZE - memory->used)
        return malloc(n);
    p = memory->bytes + memory->used;
    memory->used += size;
    return p;
}

void match_memory_give(void *p, void *owner)
{
    struct match_memory *memory = owner;
    uintptr_t at = (uintptr_t)p, start = (uintptr_t)memory->bytes;

    if (at < start || at >= start + MATCH_MEMORY_SIZE)
        free(p);
}
