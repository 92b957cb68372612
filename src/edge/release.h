/* SPDX-License-Identifier: Apache-2.0
 *
 * A release of a service as a snapshot has it: its targets in tiers, and for each worker what is
 * known of them and how it balances among them. Immutable but for the workers' own parts, which are
 * brought up to date when the gate's epoch has moved. Choosing a target takes no lock and writes
 * nothing that others read, but for the counts of a cap where there is one.
 */
#ifndef EDGE_RELEASE_H
#define EDGE_RELEASE_H

#include "edge/balance/tiers.h"
#include "edge/registry.h"
#include "edge/upstream/health_memory.h"
#include "sluice/balancer.h"

struct service;

/* A target in a release's view; sorted by tier. */
struct snapshot_target {
    struct endpoint *endpoint; /* a reference is the snapshot's */
    struct str region;         /* empty: none */
    uint32_t weight, priority;
    uint16_t tier; /* by priority, then own region before others */
    bool is_drained;
    uint8_t source; /* enum target_source */
};

enum target_source { TARGET_FILE, TARGET_API, TARGET_FOUND, TARGET_CONTROL };

/* A target as the builder wants it: from the file, the API or a search. */
struct snapshot_wish {
    struct conf_target target;
    bool is_drained;
    uint8_t source;
};

/* What stands behind a target that may be chosen. */
enum release_note {
    RELEASE_WARMING = 1 << 0,   /* slow start */
    RELEASE_HALF_OPEN = 1 << 1, /* its breaker lets only trials through */
};

/* One worker's balancing of one release. */
struct release_local {
    void **states;                   /* of the balancer, one a tier */
    struct balancer_target *targets; /* as release->targets */
    struct tiers_target *standings;  /* the same */
    uint8_t *notes;                  /* the same: bits of release_note */
    struct tier *tiers;
    enum tiers_mode mode;
    uint32_t epoch; /* of the gate, when this was computed */
    uint64_t random;
};

struct release {
    const struct service *service; /* whose it is */
    struct str id;
    struct gate *gate; /* borrowed from the registry, which lives as long as the edge */
    struct snapshot_target *targets;
    uint32_t count, tier_count;
    uint32_t share;               /* beside those of the others; 0: only who asks for it gets it */
    uint32_t slot;                /* of its counters; atomic, set with each snapshot */
    struct release_local *locals; /* one a worker */
};

struct release_build {
    struct registry *registry;
    struct arena *arena;
    const struct health_memory *memory; /* what was known of targets before; NULL: nothing */
    struct str region;                  /* the edge's own; empty: none */
    unsigned workers;
};

/* Fills `release`, whose service, with conf and balancer, id and gate are set, with those of
 * `wishes` that are its own. Resolves names (blocking; builder thread): one that does not resolve
 * is a warning in `diag` and keeps the addresses it had. False: memory; targets so far hold
 * references. */
bool release_fill(struct release *release, const struct release_build *build,
                  const struct snapshot_wish *wishes, uint32_t count, struct diag *diag);
/* Gives the references back. */
void release_fini(struct release *release);

/* --- worker */

/* Whether what is known has changed since it was looked at last; then release_refresh(). */
bool release_is_stale(const struct release *release, unsigned worker);
void release_refresh(struct release *release, unsigned worker, uint64_t now_ms);

enum { RELEASE_TRIED_MAX = 16 };

/* What a request asks for. */
struct release_ask {
    uint64_t key;                          /* for hash, and for a tier */
    uint64_t sticky;                       /* hash of the id it has been sent to before; 0: none */
    const struct endpoint *const *tried;   /* must not get it again */
    const struct endpoint *const *shunned; /* better not: others first */
    unsigned tried_count, shunned_count;
    uint64_t now_ms;
};

enum release_lack {
    RELEASE_LACKS_NOTHING,
    RELEASE_LACKS_PLACE, /* targets are there, all at their limit */
    RELEASE_LACKS_NEWS,  /* none has been checked, or found, yet */
    RELEASE_LACKS_TARGET,
};

/* Index of the target for a request, with a place taken where there are caps; BALANCER_NONE: see
 * *lack. */
int release_choose(struct release *release, unsigned worker, const struct release_ask *ask,
                   enum release_lack *lack);
/* Gives the place back, and wakes who waits for one. */
void release_give_place(struct gate *gate, struct endpoint *endpoint);

#endif
