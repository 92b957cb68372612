/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/key_ring.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

struct key_ring {
    struct arena arena;
    struct key_ring_entry *entries;
    uint32_t *places; /* open addressing by the hash's first bytes; index + 1, 0: free */
    uint32_t mask;
};

static uint32_t start_of(const struct key_ring *ring, const uint8_t *hash)
{
    uint32_t start;

    memcpy(&start, hash, sizeof(start));
    return start & ring->mask;
}

static void insert(struct key_ring *ring, uint32_t index)
{
    uint32_t at = start_of(ring, ring->entries[index].hash);

    while (ring->places[at])
        at = (at + 1) & ring->mask;
    ring->places[at] = index + 1;
}

static bool fill(struct key_ring *ring, const struct key_ring_entry *entries, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct key_ring_entry *entry = &ring->entries[i];

        *entry = entries[i];
        entry->consumer = arena_copy(&ring->arena, entries[i].consumer);
        if (entries[i].tier.p)
            entry->tier = arena_copy(&ring->arena, entries[i].tier);
        if (!entry->consumer.p || (entries[i].tier.p && !entry->tier.p))
            return false;
        insert(ring, i);
    }
    return true;
}

struct key_ring *key_ring_new(const struct key_ring_entry *entries, uint32_t count)
{
    struct key_ring *ring = calloc(1, sizeof(*ring));
    uint32_t size = 4;

    if (!ring)
        return NULL;
    while (size < count * 2 && size < KEY_RING_MAX * 4)
        size *= 2;
    arena_init(&ring->arena, NULL, 0);
    ring->mask = size - 1;
    ring->entries = arena_zero(&ring->arena, count, sizeof(*ring->entries));
    ring->places = arena_zero(&ring->arena, size, sizeof(*ring->places));
    if (count <= KEY_RING_MAX && ring->entries && ring->places && fill(ring, entries, count))
        return ring;
    key_ring_free(ring);
    return NULL;
}

void key_ring_free(struct key_ring *ring)
{
    if (!ring)
        return;
    arena_reset(&ring->arena);
    free(ring);
}

/* Where it looks depends on a hash that nobody can choose; whole hashes are compared in constant
 * time. */
const struct key_ring_entry *key_ring_find(const struct key_ring *ring,
                                           const uint8_t hash[API_KEY_HASH])
{
    for (uint32_t at = start_of(ring, hash); ring->places[at]; at = (at + 1) & ring->mask) {
        const struct key_ring_entry *entry = &ring->entries[ring->places[at] - 1];

        if (!CRYPTO_memcmp(entry->hash, hash, API_KEY_HASH))
            return entry;
    }
    return NULL;
}
