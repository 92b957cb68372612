/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/cell.h"

#include <stdlib.h>
#include <string.h>

enum status cell_init(struct cell *cell, unsigned workers, void (*free_value)(void *value))
{
    *cell = (struct cell){.workers = workers, .free = free_value};
    cell->locals = aligned_alloc(64, sizeof(*cell->locals) * (workers ? workers : 1));
    cell->retired = calloc(workers + 1, sizeof(*cell->retired));
    if (cell->locals && cell->retired) {
        memset(cell->locals, 0, sizeof(*cell->locals) * (workers ? workers : 1));
        return OK;
    }
    free(cell->locals);
    free(cell->retired);
    return E_NOMEM;
}

void cell_fini(struct cell *cell)
{
    for (unsigned i = 0; i < cell->retired_count; i++)
        cell->free(cell->retired[i]);
    if (cell->current)
        cell->free(cell->current);
    free(cell->locals);
    free(cell->retired);
    *cell = (struct cell){.workers = 0};
}

const void *cell_read(struct cell *cell, unsigned worker)
{
    struct cell_local *local = &cell->locals[worker];
    void *held = __atomic_load_n(&local->held, __ATOMIC_RELAXED);
    void *current = __atomic_load_n(&cell->current, __ATOMIC_SEQ_CST);

    /* What is said to be held is safe only if it was still current after that was said. */
    while (current != held) {
        held = current;
        __atomic_store_n(&local->held, held, __ATOMIC_SEQ_CST);
        current = __atomic_load_n(&cell->current, __ATOMIC_SEQ_CST);
    }
    return held;
}

static bool is_held(const struct cell *cell, const void *value)
{
    for (unsigned w = 0; w < cell->workers; w++)
        if (__atomic_load_n(&cell->locals[w].held, __ATOMIC_SEQ_CST) == value)
            return true;
    return false;
}

void cell_write(struct cell *cell, void *value)
{
    void *old = cell->current;
    unsigned kept = 0;

    __atomic_store_n(&cell->current, value, __ATOMIC_SEQ_CST);
    if (old)
        cell->retired[cell->retired_count++] = old;
    for (unsigned i = 0; i < cell->retired_count; i++) {
        if (is_held(cell, cell->retired[i]))
            cell->retired[kept++] = cell->retired[i];
        else
            cell->free(cell->retired[i]);
    }
    cell->retired_count = kept;
}
