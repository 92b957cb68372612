/* SPDX-License-Identifier: Apache-2.0
 *
 * Endpoints and gates by identity, so that a new snapshot finds what the last one used. Kept here
 * only while the newest snapshot names them: snapshots hold references of their own.
 */
#include "edge/registry.h"

#include <stdlib.h>
#include <string.h>

struct entry {
    struct entry *next;
    struct endpoint *endpoint;
    bool is_wanted;
};

struct gate_entry {
    struct gate_entry *next;
    struct str service;
    struct gate gate;
};

struct registry {
    unsigned workers;
    void (*wake)(void *owner, unsigned worker);
    void *owner;
    struct entry *entries;
    struct gate_entry *gates; /* never removed: few, and waiters may point at them */
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

void registry_free(struct registry **registry)
{
    struct registry *r = *registry;

    *registry = NULL;
    if (!r)
        return;
    while (r->entries)
        drop_entry(&r->entries);
    while (r->gates) {
        struct gate_entry *next = r->gates->next;

        free((void *)(uintptr_t)r->gates->service.p);
        free(r->gates);
        r->gates = next;
    }
    free(r);
}

static bool same(struct str a, struct str b)
{
    return a.len == b.len && !memcmp(a.p, b.p, a.len);
}

void registry_begin(struct registry *registry)
{
    for (struct entry *at = registry->entries; at; at = at->next)
        at->is_wanted = false;
}

void registry_end(struct registry *registry)
{
    for (struct entry **at = &registry->entries; *at;) {
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
    if (!same(have->id, wish->target->id.s) || !same(have->address, wish->target->address.text.s) ||
        !same(have->service, wish->service))
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

static struct entry *add_entry(struct registry *registry, const struct registry_wish *wish)
{
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
    entry->next = registry->entries;
    registry->entries = entry;
    return entry;
}

struct endpoint *registry_endpoint(struct registry *registry, const struct registry_wish *wish)
{
    struct entry *entry = registry->entries;

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

struct gate *registry_gate(struct registry *registry, struct str service)
{
    struct gate_entry *entry;
    char *name;

    for (entry = registry->gates; entry; entry = entry->next)
        if (same(entry->service, service))
            return &entry->gate;
    entry = calloc(1, sizeof(*entry));
    name = entry ? malloc(service.len + 1) : NULL;
    if (!name) {
        free(entry);
        return NULL;
    }
    memcpy(name, service.p, service.len);
    entry->service = (struct str){name, service.len};
    gate_init(&entry->gate, registry->wake, registry->owner);
    entry->next = registry->gates;
    registry->gates = entry;
    return &entry->gate;
}
