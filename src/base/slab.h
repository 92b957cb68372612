/* SPDX-License-Identifier: Apache-2.0
 *
 * Objects of one size from a LIFO free list: what was given last is taken first, so it is warm.
 * All slabs of a worker draw on one budget, the worker's share of `limits.memory`; past it, take
 * returns NULL and the caller refuses new work with a reason. One thread.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "sluice/types.h"

/* Bytes that a worker holds and may hold. */
struct budget {
    size_t used, limit; /* limit 0: none */
    size_t free_max;    /* a slab keeps at most this many bytes in its free list; 0: all */
};

struct slab {
    size_t size; /* bytes of an object */
    void *free;  /* list through the first word */
    size_t free_count, in_use;
    struct budget *budget; /* borrowed, may be NULL */
};

void slab_init(struct slab *slab, size_t size, struct budget *budget);
/* Frees the free list. Everything taken must have been given back. */
void slab_fini(struct slab *slab);
/* Uninitialised memory, aligned for any type; NULL when the budget or malloc says no. */
void *slab_take(struct slab *slab);
void slab_give(struct slab *slab, void *object);

/* Charges `n` bytes that some other allocation takes. False when the limit would be passed. */
bool budget_charge(struct budget *budget, size_t n);
void budget_release(struct budget *budget, size_t n);

#endif
