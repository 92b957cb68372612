/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys by their hashes, for workers to look them up. A ring is immutable; any thread.
 */
#ifndef EDGE_AUTH_KEY_RING_H
#define EDGE_AUTH_KEY_RING_H

#include "base/api_key.h"
#include "base/arena.h"

/* Those of the gateway itself and those of control. */
enum { KEY_RING_MAX = 2 * API_KEY_MAX };

struct key_ring_entry {
    uint8_t hash[API_KEY_HASH];
    struct str consumer, tier; /* tier may be absent */
    uint64_t expires_ms;       /* Unix time; UINT64_MAX: never */
};

struct key_ring;

/* A ring of copies; NULL: memory. */
struct key_ring *key_ring_new(const struct key_ring_entry *entries, uint32_t count);
/* NULL is allowed. */
void key_ring_free(struct key_ring *ring);
/* The entry with this hash, also when it has expired; NULL: there is none. */
const struct key_ring_entry *key_ring_find(const struct key_ring *ring,
                                           const uint8_t hash[API_KEY_HASH]);

#endif
