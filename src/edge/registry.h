/* SPDX-License-Identifier: Apache-2.0
 *
 * What lives longer than a snapshot: endpoints and gates, found by identity. One build at a time
 * uses it, on the builder thread.
 */
#ifndef EDGE_REGISTRY_H
#define EDGE_REGISTRY_H

#include "edge/upstream/endpoint.h"

struct registry;

/* `wake` is given to every gate. NULL when memory ends. */
struct registry *registry_new(unsigned workers, void (*wake)(void *owner, unsigned worker),
                              void *owner);
/* After the last snapshot. */
void registry_free(struct registry **registry);

/* A build asks after begin for all it wants; end, once what it built will be used, forgets the
 * rest.
 */
void registry_begin(struct registry *registry);
void registry_end(struct registry *registry);
/* Which endpoint: service, id and address text, and what the address resolved to. With count 0 (it
 * did not) one that has addresses from earlier will do. */
struct registry_wish {
    struct str service;
    const struct conf_target *target;
    const struct endpoint_address *addresses;
    unsigned count;   /* at most ENDPOINT_ADDRESSES_MAX */
    uint8_t standing; /* of a new one: enum standing */
};
/* The endpoint of that identity, found or new, with a reference for the caller. NULL when memory
 * ends. */
struct endpoint *registry_endpoint(struct registry *registry, const struct registry_wish *wish);
/* A release's gate; lives as long as the registry, and becomes another release's when its own is no
 * longer asked for. At most CONF_RELEASES_MAX a service and build. NULL when memory ends. */
struct gate *registry_gate(struct registry *registry, struct str service, struct str release);
/* What is asked of a service; lives as long as the registry. NULL when memory ends. */
struct demand *registry_demand(struct registry *registry, struct str service);
/* Counts the changes of all gates' epochs, atomically: whoever moves one moves this, too. */
uint32_t *registry_news(struct registry *registry);

#endif
