/* SPDX-License-Identifier: Apache-2.0
 *
 * What the workers serve by, immutable, in two levels. `rules`: configuration, route table, filter
 * chains. `snapshot`: one set of rules plus each service's view (targets, split), so that a changed
 * target rebuilds no route. Built on the builder thread, pushed to every worker, pinned by
 * exchanges through a plain count per worker, freed by the manager when the last worker has let go.
 */
#ifndef EDGE_SNAPSHOT_H
#define EDGE_SNAPSHOT_H

#include "edge/access/wake_policy.h"
#include "edge/filter/chain.h"
#include "edge/mailbox.h"
#include "edge/metric/stat.h"
#include "edge/service.h"
#include "edge/route/route.h"
#include "edge/tls/doors.h"

/* Beside each conf->routes[i]. */
struct rule {
    const struct chain *chain;
    int32_t service;  /* index in conf->services; -1: none */
    uint32_t slot;    /* of its counters; atomic, set again with each snapshot */
    struct str label; /* name in logs and metrics: the route's, else its service's */
};

struct rules {
    uint32_t refs;      /* atomic */
    struct arena arena; /* holds conf and all below */
    const struct conf *conf;
    struct route_table *table;
    struct rule *list;
    const struct chain *plain;      /* of what has no route */
    struct wake_policy **policies;  /* as conf->services; NULL: that one does not sleep */
    struct mac **signers;           /* the same; NULL: what that one's targets get is not signed */
    struct conf_route errand_route; /* of requests of the gateway's own: its timeouts */
};

struct snapshot_local {
    uint32_t pins;        /* one for being the worker's current, one an exchange */
    struct letter letter; /* by which the worker is told of it: publishing needs no memory */
    struct snapshot *snapshot;
} __attribute__((aligned(64)));

struct snapshot {
    struct rules *rules;
    struct arena arena;
    uint32_t generation;
    uint32_t unmatched_slot;  /* counters of requests without a route */
    struct service *services; /* as conf->services */
    uint32_t service_count;
    const uint32_t *news; /* atomic, the registry's: moves when a target's standing does */
    struct doors doors;
    struct tls_challenges *challenges; /* borrowed; outlives all snapshots; NULL: none */
    unsigned workers;
    uint32_t adopted; /* atomic: workers that serve by it */
    uint32_t holding; /* atomic: workers that have not let go of it */
    struct snapshot_local *locals;
    struct mailbox *home; /* of the manager: gets `adopted_letter` when all serve by it, `gone` when
                             all let go */
    struct letter adopted_letter, gone_letter;
};

enum snapshot_letter { SNAPSHOT_ADOPTED = 1000, SNAPSHOT_GONE };

/* Compiles the rules of a checked conf, which `arena` holds; takes the arena over on success.
 * Errors go to `diag` (whose arena may be the same). `env`: for filters, NULL when the conf is only
 * checked. */
struct rules *rules_new(const struct conf *conf, const struct filter_env *env, struct arena *arena,
                        struct diag *diag);
void rules_unref(struct rules **rules);

struct snapshot_build {
    struct rules *rules; /* a reference is taken */
    struct registry *registry;
    const struct snapshot_overlay *overlay;
    const struct found *found; /* NULL: nothing */
    struct mailbox *home;
    const struct health_memory *memory; /* what was known of targets before; NULL: nothing */
    struct str region;                  /* the edge's own; empty: none */
    uint32_t generation;
    unsigned workers;
    struct doors *doors; /* taken over on success: empty then; NULL: all is plain */
    struct tls_challenges *challenges;
};

/* Builds a snapshot; resolves names (blocking; builder thread). A name that does not resolve is a
 * warning in `diag` and keeps the addresses it had; with none it is a target that cannot be
 * reached. NULL: memory. */
struct snapshot *snapshot_build(const struct snapshot_build *build, struct diag *diag);
/* Gives every route and target its counters' slot. Whoever holds the lock of `stats`. */
void snapshot_assign_slots(struct snapshot *snapshot, struct stats *stats);
/* It will be published: its services' limits hold for its endpoints, and those that it does not
 * name are forgotten. After the last build, before the next; nobody else uses the registry
 * meanwhile. */
void snapshot_commit(const struct snapshot *snapshot, struct registry *registry);
/* Manager, after GONE, or for one that was never published. */
void snapshot_free(struct snapshot **snapshot);

/* Calls `each` for every target of all releases of all services. */
void snapshot_each_target(const struct snapshot *snapshot, void *owner,
                          void (*each)(void *owner, const struct release *release,
                                       const struct snapshot_target *target));
/* Worker: what balances `endpoint` in this snapshot, NULL when it is not in it. A walk over all
 * services: not for every request. */
struct balancer_target *snapshot_find(const struct snapshot *snapshot,
                                      const struct endpoint *endpoint, unsigned worker);
/* Worker, before it serves by it: loads are what its endpoints carry already, standings what is
 * known. */
void snapshot_begin(struct snapshot *snapshot, unsigned worker, uint64_t now_ms);
/* The service of that name; NULL: there is none. A walk over all. */
struct service *snapshot_service(const struct snapshot *snapshot, struct str name);
/* Worker: the answer to an http-01 challenge (RFC 8555 8.3), absent when there is none. To be
 * copied within this turn of the loop. */
struct str snapshot_challenge(const struct snapshot *snapshot, struct str token);
/* Worker: counts. The last unpin of the last worker sends it home. */
void snapshot_pin(struct snapshot *snapshot, unsigned worker);
void snapshot_unpin(struct snapshot *snapshot, unsigned worker);

#endif
