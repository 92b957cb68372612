/* SPDX-License-Identifier: Apache-2.0
 *
 * A hash table with chains by index over one growing array. Names come from the configuration, so
 * the hash need not withstand an attacker.
 */
#include "edge/metric/slots.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64, REST_SWEEPS = 2 };

void slots_init(struct slots *slots, uint32_t limit)
{
    *slots = (struct slots){.limit = limit,
                            .rest_first = SLOTS_NONE,
                            .rest_last = SLOTS_NONE,
                            .sweep = 1};
}

void slots_fini(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->count; i++)
        free(slots->items[i].text);
    free(slots->items);
    free(slots->buckets);
    slots_init(slots, slots->limit);
}

/* FNV-1a over the parts and their lengths, so that ("ab", "c") and ("a", "bc") differ. */
static uint64_t hash(const struct slots_name *name)
{
    uint64_t h = 0xcbf29ce484222325;
    for (unsigned part = 0; part < SLOTS_PARTS; part++) {
        struct str s = name->parts[part];
        for (size_t i = 0; i < s.len; i++)
            h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3;
        h = (h ^ s.len) * 0x100000001b3;
    }
    return h ^ h >> 32;
}

static bool is_named(const struct slot *slot, const struct slots_name *name)
{
    const char *at = slot->text;
    for (unsigned part = 0; part < SLOTS_PARTS; part++) {
        struct str s = name->parts[part];
        if (s.len != slot->lens[part] || (s.len && memcmp(at, s.p, s.len) != 0))
            return false;
        at += s.len;
    }
    return true;
}

uint32_t slots_find(const struct slots *slots, const struct slots_name *name)
{
    uint64_t h = hash(name);
    uint32_t i = slots->buckets ? slots->buckets[h & slots->bucket_mask] : SLOTS_NONE;
    while (i != SLOTS_NONE) {
        const struct slot *slot = &slots->items[i];
        if (slot->hash == h && is_named(slot, name))
            return i;
        i = slot->next;
    }
    return SLOTS_NONE;
}

static void link_slot(struct slots *slots, uint32_t index)
{
    uint32_t *head = &slots->buckets[slots->items[index].hash & slots->bucket_mask];
    slots->items[index].next = *head;
    *head = index;
}

static void unlink_slot(struct slots *slots, uint32_t index)
{
    uint32_t *at = &slots->buckets[slots->items[index].hash & slots->bucket_mask];
    while (*at != index)
        at = &slots->items[*at].next;
    *at = slots->items[index].next;
}

/* As many buckets as items; the chains are built anew. */
static bool rehash(struct slots *slots, uint32_t capacity)
{
    uint32_t *buckets = malloc(capacity * sizeof(*buckets));
    if (!buckets)
        return false;
    memset(buckets, 0xff, capacity * sizeof(*buckets));
    free(slots->buckets);
    slots->buckets = buckets;
    slots->bucket_mask = capacity - 1;
    for (uint32_t i = 0; i < slots->count; i++) {
        if (slots->items[i].text)
            link_slot(slots, i);
    }
    return true;
}

static bool grow(struct slots *slots)
{
    if (slots->capacity > slots->limit / 2 && slots->capacity)
        return false;
    uint32_t capacity = slots->capacity ? slots->capacity * 2 : FIRST_CAPACITY;
    struct slot *items = realloc(slots->items, capacity * sizeof(*items));
    if (!items)
        return false;
    slots->items = items;
    if (!rehash(slots, capacity))
        return false;
    slots->capacity = capacity;
    return true;
}

/* A slot without a name: the one that has rested longest, or a fresh one. */
static uint32_t take(struct slots *slots, bool *is_reused)
{
    uint32_t index = slots->rest_first;
    *is_reused = index != SLOTS_NONE && slots->items[index].sweep + REST_SWEEPS <= slots->sweep;
    if (*is_reused) {
        slots->rest_first = slots->items[index].next;
        if (slots->rest_first == SLOTS_NONE)
            slots->rest_last = SLOTS_NONE;
        return index;
    }
    if (slots->count == slots->capacity && !grow(slots))
        return SLOTS_NONE;
    return slots->count++;
}

static char *join(const struct slots_name *name)
{
    size_t len = 0;
    for (unsigned part = 0; part < SLOTS_PARTS; part++) {
        if (name->parts[part].len >= UINT32_MAX)
            return NULL;
        len += name->parts[part].len;
    }
    char *text = malloc(len + 1);
    char *at = text;
    for (unsigned part = 0; text && part < SLOTS_PARTS; part++) {
        if (name->parts[part].len)
            memcpy(at, name->parts[part].p, name->parts[part].len);
        at += name->parts[part].len;
    }
    return text;
}

uint32_t slots_add(struct slots *slots, const struct slots_name *name, bool *is_reused)
{
    char *text = join(name);
    uint32_t index = text ? take(slots, is_reused) : SLOTS_NONE;
    if (index == SLOTS_NONE) {
        free(text);
        return SLOTS_NONE;
    }
    struct slot *slot = &slots->items[index];
    *slot = (struct slot){.text = text, .hash = hash(name), .sweep = slots->sweep};
    for (unsigned part = 0; part < SLOTS_PARTS; part++)
        slot->lens[part] = (uint32_t)name->parts[part].len;
    link_slot(slots, index);
    slots->used++;
    return index;
}

void slots_begin(struct slots *slots)
{
    slots->sweep++;
}

void slots_drop(struct slots *slots, uint32_t index)
{
    struct slot *slot = &slots->items[index];
    unlink_slot(slots, index);
    free(slot->text);
    *slot = (struct slot){.next = SLOTS_NONE, .sweep = slots->sweep};
    if (slots->rest_last == SLOTS_NONE)
        slots->rest_first = index;
    else
        slots->items[slots->rest_last].next = index;
    slots->rest_last = index;
    slots->used--;
}

void slots_end(struct slots *slots)
{
    for (uint32_t i = 0; i < slots->count; i++) {
        if (slots->items[i].text && slots->items[i].sweep != slots->sweep)
            slots_drop(slots, i);
    }
}

struct str slots_part(const struct slots *slots, uint32_t index, unsigned part)
{
    const struct slot *slot = &slots->items[index];
    const char *at = slot->text;
    for (unsigned before = 0; before < part; before++)
        at += slot->lens[before];
    return (struct str){at, slot->lens[part]};
}
