/* SPDX-License-Identifier: Apache-2.0
 *
 * One value that one thread replaces while workers read it, without locks: each worker says in a
 * line of its own what it holds, and what is replaced is freed when nobody does. So a value that
 * was read stays until the same worker reads again. Keys are kept so: they change by themselves,
 * without a new configuration.
 */
#ifndef EDGE_AUTH_CELL_H
#define EDGE_AUTH_CELL_H

#include "sluice/types.h"

struct cell_local {
    void *held; /* atomic; written by its worker */
} __attribute__((aligned(64)));

struct cell {
    void *current; /* atomic; NULL: nothing yet */
    unsigned workers;
    struct cell_local *locals;
    void **retired; /* replaced, and perhaps held: at most one for each worker */
    unsigned retired_count;
    void (*free)(void *value);
};

/* Empty, for workers 0 to workers - 1. E_NOMEM. */
MUST_USE enum status cell_init(struct cell *cell, unsigned workers, void (*free)(void *value));
/* Frees all values; nobody reads any more. */
void cell_fini(struct cell *cell);

/* What is current, until this worker reads the cell again. NULL: nothing yet. */
const void *cell_read(struct cell *cell, unsigned worker);
/* Takes `value` over, and frees what nobody holds. One thread at a time. */
void cell_write(struct cell *cell, void *value);

#endif
