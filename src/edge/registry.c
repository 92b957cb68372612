/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints and gates by identity, so that a new snapshot finds what the last one used. Kept here
 * only while the newest snapshot names them: snapshots hold references of their own.
 */
#include "edge/registry.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "edge/upstream/demand.h"

enum { BUCKETS = 4096 };

struct entry {
    struct entry *next;
    struct endpoint *endpoint;
    bool is_wanted;
};

struct gate_entry {
    struct gate_entry *next;
    struct str service;
    struct demand *demand; /* NULL: not needed yet */
    struct gate_place {
        char release[CONF_RELEASE_ID_MAX + 1]; /* whose it is, or was last */
        bool is_wanted;
        struct gate *gate; /* the first: the whole; NULL: not needed yet */
    } places[CONF_RELEASES_MAX];
};

struct registry {
    unsigned workers;
    void (*wake)(void *owner, unsigned worker);
    void *owner;
    struct entry *entries[BUCKETS];
    uint32_t news;                     /* atomic */
    struct gate_entry *gates[BUCKETS]; /* never removed: few, and waiters may point at them */
};

struct registry *registry_new(unsigned workers, void (*wake)(void *owner, unsigned worker),
                              void *owner)
{
    struct registry *registry = calloc(1, sizeof(*registry));

    if (!registry)
        return NULL;
    *registry = (struct registry){.workers = workers, .wake = wake, .owner = owner};
    return registry;
}

static void drop_entry(struct entry **at)
{
    struct entry *gone = *at;

    *at = gone->next;
    endpoint_unref(&gone->endpoint);
    free(gone);
}

static void drop_gate(struct gate_entry **at)
{
    struct gate_entry *gone = *at;

    *at = gone->next;
    free((void *)(uintptr_t)gone->service.p);
    for (size_t i = 0; i < ARRAY_LEN(gone->places); i++)
        gate_free(&gone->places[i].gate);
    demand_free(&gone->demand);
    free(gone);
}

void registry_free(struct registry **registry)
{
    struct registry *r = *registry;

    *registry = NULL;
    if (!r)
        return;
    for (size_t i = 0; i < BUCKETS; i++) {
        while (r->entries[i])
            drop_entry(&r->entries[i]);
        while (r->gates[i])
            drop_gate(&r->gates[i]);
    }
    free(r);
}

static size_t bucket_of(struct str service, struct str id)
{
    uint64_t seed = XXH3_64bits(service.p, service.len);

    return XXH3_64bits_withSeed(id.p, id.len, seed) % BUCKETS;
}

void registry_begin(struct registry *registry)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *at = registry->entries[i]; at; at = at->next)
            at->is_wanted = false;
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct gate_entry *at = registry->gates[i]; at; at = at->next)
            for (size_t k = 0; k < ARRAY_LEN(at->places); k++)
                at->places[k].is_wanted = false;
}

void registry_end(struct registry *registry)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry **at = &registry->entries[i]; *at;) {
            if ((*at)->is_wanted)
                at = &(*at)->next;
            else
                drop_entry(at);
        }
}

/* How often `address` is among them: a name may resolve to one twice. */
static unsigned count_address(const struct endpoint_address *list, unsigned count,
                              const struct endpoint_address *address)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count; i++)
        n +=
            list[i].len == address->len && !memcmp(&list[i].socket, &address->socket, address->len);
    return n;
}

/* The same identity, and the same addresses in any order; no wish for addresses takes those there
 * are. */
static bool fits(const struct endpoint *have, const struct registry_wish *wish)
{
    if (!str_same(have->id, wish->target->id.s) ||
        !str_same(have->address, wish->target->address.text.s) ||
        !str_same(have->service, wish->service))
        return false;
    if (!wish->count)
        return true;
    if (have->address_count != wish->count)
        return false;
    for (unsigned i = 0; i < wish->count; i++)
        if (count_address(have->addresses, wish->count, &wish->addresses[i]) !=
            count_address(wish->addresses, wish->count, &wish->addresses[i]))
            return false;
    return true;
}

static struct gate_entry *add_gate_entry(struct gate_entry **bucket, struct str service)
{
    struct gate_entry *entry = calloc(1, sizeof(*entry));
    char *name = malloc(service.len + 1);

    if (!name || !entry) {
        free(entry);
        free(name);
        return NULL;
    }
    memcpy(name, service.p, service.len);
    entry->service = (struct str){name, service.len};
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

static struct gate_entry *need_gate_entry(struct registry *registry, struct str service)
{
    struct gate_entry **bucket = &registry->gates[bucket_of(service, STR(""))], *entry = *bucket;

    while (entry && !str_same(entry->service, service))
        entry = entry->next;
    return entry ? entry : add_gate_entry(bucket, service);
}

struct demand *registry_demand(struct registry *registry, struct str service)
{
    struct gate_entry *entry = need_gate_entry(registry, service);

    if (entry && !entry->demand)
        entry->demand = demand_new(registry->workers);
    return entry ? entry->demand : NULL;
}

static struct entry *add_entry(struct registry *registry, const struct registry_wish *wish)
{
    struct entry **bucket = &registry->entries[bucket_of(wish->service, wish->target->id.s)];
    struct entry *entry = calloc(1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->endpoint = endpoint_new(wish->service, wish->target->id.s, wish->target->address.text.s,
                                   registry->workers);
    if (!entry->endpoint) {
        free(entry);
        return NULL;
    }
    memcpy(entry->endpoint->addresses, wish->addresses, wish->count * sizeof(*wish->addresses));
    entry->endpoint->address_count = wish->count;
    entry->endpoint->standing = wish->standing;
    entry->endpoint->demand = registry_demand(registry, wish->service);
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

struct endpoint *registry_endpoint(struct registry *registry, const struct registry_wish *wish)
{
    struct entry *entry = registry->entries[bucket_of(wish->service, wish->target->id.s)];

    while (entry && !fits(entry->endpoint, wish))
        entry = entry->next;
    if (!entry)
        entry = add_entry(registry, wish);
    if (!entry)
        return NULL;
    entry->is_wanted = true;
    endpoint_ref(entry->endpoint);
    return entry->endpoint;
}

/* That of the release, else the first that nobody wants. */
static struct gate_place *find_place(struct gate_entry *entry, struct str release)
{
    struct gate_place *unwanted = NULL;

    for (size_t i = 0; i < ARRAY_LEN(entry->places); i++) {
        struct gate_place *place = &entry->places[i];

        if (str_same((struct str){place->release, strlen(place->release)}, release))
            return place;
        if (!unwanted && !place->is_wanted)
            unwanted = place;
    }
    return unwanted;
}

struct gate *registry_gate(struct registry *registry, struct str service, struct str release)
{
    struct gate_entry *entry = need_gate_entry(registry, service);
    struct gate_place *place = entry ? find_place(entry, release) : NULL;

    if (!place || release.len >= sizeof(place->release))
        return NULL;
    if (!place->gate) {
        place->gate = gate_new(registry->workers, registry->wake, registry->owner);
        if (place->gate && place != entry->places)
            gate_join(entry->places[0].gate, place->gate);
    }
    memcpy(place->release, release.p, release.len);
    place->release[release.len] = '\0';
    place->is_wanted = true;
    return place->gate;
}

uint32_t *registry_news(struct registry *registry)
{
    return &registry->news;
}
