/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys. A key is "slk_" and 40 hexadecimal digits, 160 random bits; kept is its SHA-256 alone.
 * For that many random bits a quick hash is right: there is nothing to guess that a slow one would
 * make dearer. A ring is immutable; any thread.
 */
#ifndef EDGE_AUTH_KEY_RING_H
#define EDGE_AUTH_KEY_RING_H

#include "base/arena.h"

enum {
    KEY_RING_HASH = 32,
    KEY_RING_TEXT = 4 + 40, /* bytes of a key's text */
    KEY_RING_ID = 12,       /* bytes of its id: the first digits of the hash */
    KEY_RING_MAX = 100000,
};

struct key_ring_entry {
    uint8_t hash[KEY_RING_HASH];
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
                                           const uint8_t hash[KEY_RING_HASH]);

/* A new key, terminated. False: no randomness. */
bool key_ring_make(char text[KEY_RING_TEXT + 1]);
/* The hash of what a client shows, whatever it is. */
void key_ring_hash(struct str key, uint8_t hash[KEY_RING_HASH]);
/* A hash from its 64 hexadecimal digits; false: it is none. */
bool key_ring_read_hash(struct str text, uint8_t hash[KEY_RING_HASH]);
/* And back, terminated. */
void key_ring_write_hash(const uint8_t hash[KEY_RING_HASH], char text[2 * KEY_RING_HASH + 1]);

#endif
