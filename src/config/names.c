/* SPDX-License-Identifier: Apache-2.0
 *
 * See names.h: open addressing at most half full, FNV-1a. Input is the operator's own, so the hash
 * has no seed.
 */
#include "config/names.h"

#include <string.h>

void names_init(struct names *names, struct arena *arena, size_t count)
{
    size_t size = 8;

    while (size < count * 2)
        size *= 2;
    names->slots = arena_zero(arena, size, sizeof(*names->slots));
    names->mask = size - 1;
}

static uint32_t hash_name(struct str name)
{
    uint64_t h = 14695981039346656037U;

    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (unsigned char)name.p[i]) * 1099511628211U;
    return (uint32_t)(h ^ h >> 32);
}

static struct names_slot *find(const struct names *names, struct str name, uint32_t hash)
{
    size_t at = hash & names->mask;

    for (;; at = (at + 1) & names->mask) {
        struct names_slot *slot = &names->slots[at];
        if (!slot->name.p)
            return slot;
        if (slot->hash == hash && slot->name.len == name.len &&
            memcmp(slot->name.p, name.p, name.len) == 0)
            return slot;
    }
}

uint32_t names_put(struct names *names, struct str name, uint32_t index)
{
    uint32_t hash = hash_name(name);
    struct names_slot *slot;

    if (!names->slots || !name.p)
        return NAMES_NONE;
    slot = find(names, name, hash);
    if (slot->name.p)
        return slot->index;
    *slot = (struct names_slot){name, hash, index};
    return NAMES_NONE;
}

uint32_t names_get(const struct names *names, struct str name)
{
    struct names_slot *slot;

    if (!names->slots || !name.p)
        return NAMES_NONE;
    slot = find(names, name, hash_name(name));
    return slot->name.p ? slot->index : NAMES_NONE;
}
