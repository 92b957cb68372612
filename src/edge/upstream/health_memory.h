/* SPDX-License-Identifier: Apache-2.0
 *
 * The last known state of targets, in memory that outlives the edge process: one that starts anew,
 * or takes over, need not treat all as unknown. One word a target, so that nothing can be half
 * written; what finds no room is forgotten. Several processes may have it mapped. Any thread.
 */
#ifndef EDGE_UPSTREAM_HEALTH_MEMORY_H
#define EDGE_UPSTREAM_HEALTH_MEMORY_H

#include "edge/upstream/health.h"

#define HEALTH_MEMORY_NAME "health-1" /* of this layout */
enum { HEALTH_MEMORY_WORDS = 16384, HEALTH_MEMORY_SIZE = HEALTH_MEMORY_WORDS * 8 };

struct health_memory;

/* Maps it; takes the descriptor over, whatever it returns. -1: memory of this process alone. NULL:
 * there is none. */
struct health_memory *health_memory_open(int fd);
/* Clears the pointer; NULL is fine. */
void health_memory_close(struct health_memory **memory);

/* Which target: all that makes it the same one. */
uint64_t health_memory_key(struct str service, struct str id, struct str address);
/* HEALTH_UNKNOWN: nothing is known of it. */
enum health_state health_memory_get(const struct health_memory *memory, uint64_t key);
/* HEALTH_UNKNOWN forgets it. */
void health_memory_put(struct health_memory *memory, uint64_t key, enum health_state state);

#endif
