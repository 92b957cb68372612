/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether the shield is up, for all workers: set by the manager, read by filters. It comes down by
 * itself when its time is over. The key of its challenges is the process's. Any thread.
 */
#ifndef EDGE_ACCESS_SHIELD_H
#define EDGE_ACCESS_SHIELD_H

#include "edge/access/proof.h"

struct shield;

/* Down. NULL: no memory, or no random bytes for the key. */
struct shield *shield_new(void);
void shield_free(struct shield **shield);

/* Up until then, in wall-clock milliseconds; 0: down. */
void shield_set(struct shield *shield, uint64_t until_ms);
/* 0: down, or never up. */
uint64_t shield_until_ms(const struct shield *shield);
const uint8_t *shield_key(const struct shield *shield);

#endif
