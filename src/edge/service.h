/* SPDX-License-Identifier: Apache-2.0
 *
 * A service as a snapshot has it: its targets in tiers, and for each worker what is known of them
 * and how it balances among them. Immutable but for the workers' own parts, which are brought up to
 * date when the gate's epoch has moved. Choosing a target takes no lock and writes nothing that
 * others read, but for the counts of a cap where there is one.
 */
#ifndef EDGE_SERVICE_H
#define EDGE_SERVICE_H

#include "edge/balance/tiers.h"
#include "edge/found.h"
#include "edge/registry.h"
#include "edge/upstream/health_memory.h"
#include "sluice/balancer.h"

/* A target in a service's view; sorted by tier. */
struct snapshot_target {
    struct endpoint *endpoint; /* a reference is the snapshot's */
    struct str region;         /* empty: none */
    uint32_t weight, priority;
    uint16_t tier; /* by priority, then own region before others */
    bool is_drained;
    uint8_t source; /* enum target_source */
};

enum target_source { TARGET_FILE, TARGET_API, TARGET_FOUND };

/* What stands behind a target that may be chosen. */
enum service_note {
    SERVICE_WARMING = 1 << 0,   /* slow start */
    SERVICE_HALF_OPEN = 1 << 1, /* its breaker lets only trials through */
};

/* One worker's balancing of one service. */
struct service_local {
    void **states;                   /* of the balancer, one a tier */
    struct balancer_target *targets; /* as service->targets */
    struct tiers_target *standings;  /* the same */
    uint8_t *notes;                  /* the same: bits of service_note */
    struct tier *tiers;
    enum tiers_mode mode;
    uint32_t epoch; /* of the gate, when this was computed */
    uint64_t random;
};

enum service_mode { SERVICE_RUNS, SERVICE_PAUSED, SERVICE_MAINTENANCE };

struct service {
    const struct conf_service *conf;
    const struct balancer *balancer;
    struct tls_client *tls; /* the snapshot's; NULL: targets are spoken to in the plain */
    struct gate *gate;      /* borrowed from the registry, which lives as long as the edge */
    struct snapshot_target *targets;
    uint32_t count, tier_count;
    bool has_caps;                /* a place must be taken and given back */
    bool awaits_targets;          /* its first ones are being looked for */
    enum service_mode mode;       /* by the API */
    struct service_local *locals; /* one a worker */
};

/* A target as the builder wants it: from the file, the API or a search. */
struct snapshot_wish {
    struct conf_target target;
    bool is_drained;
    uint8_t source;
};

/* What the API changed, asked of its keeper while building. */
struct snapshot_overlay {
    void *owner;
    /* Calls `add` for every target of `service` beyond those of the file. */
    void (*added)(void *owner, struct str service, void *to,
                  void (*add)(void *to, const struct snapshot_wish *wish));
    bool (*is_removed)(void *owner, struct str service, struct str id);
    bool (*is_drained)(void *owner, struct str service, struct str id);
    enum service_mode (*mode)(void *owner, struct str service);
};

struct service_build {
    const struct snapshot_overlay *overlay; /* NULL: none */
    const struct found *found;              /* NULL: nothing */
    struct registry *registry;
    struct arena *arena;
    const struct health_memory *memory; /* what was known of targets before; NULL: nothing */
    struct str region;                  /* the edge's own; empty: none */
    unsigned workers;
};

/* Fills `service`, whose conf is set. Resolves names (blocking; builder thread): one that does not
 * resolve is a warning in `diag` and keeps the addresses it had. False: memory; targets so far hold
 * references. */
bool service_fill(struct service *service, const struct service_build *build, struct diag *diag);
/* Gives the references back. */
void service_fini(struct service *service);

/* --- worker */

/* Whether what is known has changed since it was looked at last; then service_refresh(). */
bool service_is_stale(const struct service *service, unsigned worker);
void service_refresh(struct service *service, unsigned worker, uint64_t now_ms);

enum { SERVICE_TRIED_MAX = 16 };

/* What a request asks for. */
struct service_ask {
    uint64_t key;                          /* for hash, and for a tier */
    uint64_t sticky;                       /* hash of the id it has been sent to before; 0: none */
    const struct endpoint *const *tried;   /* must not get it again */
    const struct endpoint *const *shunned; /* better not: others first */
    unsigned tried_count, shunned_count;
    uint64_t now_ms;
};

enum service_lack {
    SERVICE_LACKS_NOTHING,
    SERVICE_LACKS_PLACE, /* targets are there, all at their limit */
    SERVICE_LACKS_NEWS,  /* none has been checked, or found, yet */
    SERVICE_LACKS_TARGET,
};

/* Index of the target for a request, with a place taken where there are caps; BALANCER_NONE: see
 * *lack. */
int service_choose(struct service *service, unsigned worker, const struct service_ask *ask,
                   enum service_lack *lack);
/* Gives the place back, and wakes who waits for one. */
void service_release(struct gate *gate, struct endpoint *endpoint);

#endif
