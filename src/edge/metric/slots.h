/* SPDX-License-Identifier: Apache-2.0
 *
 * Names to slots: which number a set of labels has. Used by stat.c alone, on the manager thread. A
 * slot is marked with the sweep in which it was last asked for; a dropped one rests for two sweeps
 * before it is given out again, so that requests begun under the old name do not count under the
 * new one.
 */
#ifndef EDGE_METRIC_SLOTS_H
#define EDGE_METRIC_SLOTS_H

#include "sluice/types.h"

enum { SLOTS_PARTS = 3, SLOTS_NONE = UINT32_MAX };

/* A set of labels, in a fixed order; unused parts are empty. */
struct slots_name {
    struct str parts[SLOTS_PARTS];
};

struct slot {
    char *text; /* the parts one after another; NULL: no name */
    uint32_t lens[SLOTS_PARTS];
    uint32_t next; /* in its bucket, or in the queue of resting slots */
    uint64_t hash;
    uint64_t sweep; /* last asked for; once dropped: dropped in */
    uint64_t value; /* the user's own */
};

struct slots {
    struct slot *items;
    uint32_t count, capacity, limit; /* items ever used, room for, never more than */
    uint32_t *buckets;               /* heads of chains, a power of two of them, or NULL */
    uint32_t bucket_mask, used;      /* used: slots that have a name */
    uint32_t rest_first, rest_last;  /* dropped, oldest first */
    uint64_t sweep;
};

/* No names and no memory; never more than `limit` slots. */
void slots_init(struct slots *slots, uint32_t limit);
/* Frees all names; empty again. */
void slots_fini(struct slots *slots);

/* The slot of that name, SLOTS_NONE when it has none. Does not mark it. */
uint32_t slots_find(const struct slots *slots, const struct slots_name *name);
/* Gives a name that has none a slot, marked. *is_reused tells that it had another name before.
 * SLOTS_NONE: no memory, or the limit. */
uint32_t slots_add(struct slots *slots, const struct slots_name *name, bool *is_reused);

/* Takes the name of a slot away. */
void slots_drop(struct slots *slots, uint32_t index);
/* Begins a sweep: nothing is marked any more. */
void slots_begin(struct slots *slots);
/* Drops what is not marked. */
void slots_end(struct slots *slots);

/* One label of a slot that has a name; lives until the slot is dropped. */
struct str slots_part(const struct slots *slots, uint32_t index, unsigned part);

#endif
