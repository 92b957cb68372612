/* SPDX-License-Identifier: Apache-2.0
 *
 * A service as a snapshot has it: its releases and how requests are split among them. Immutable.
 */
#ifndef EDGE_SERVICE_H
#define EDGE_SERVICE_H

#include "edge/found.h"
#include "edge/release.h"
#include "edge/split.h"
#include "edge/upstream/demand.h"

struct wake_policy;
struct mac;

enum { SERVICE_RELEASES_MAX = SPLIT_MAX };

enum service_mode { SERVICE_RUNS, SERVICE_PAUSED, SERVICE_MAINTENANCE };

/* Whether units of it run, as control says. */
enum service_state {
    SERVICE_AWAKE,
    SERVICE_ASLEEP, /* none does: whoever asks waits, and control is told */
    SERVICE_WAKING, /* some are on their way: whoever asks waits */
    SERVICE_BROKEN, /* they fail to start: nobody is to wait for a while */
};

struct service_scale {
    enum service_state state;
    uint64_t eta_ms;   /* that the last wakes took; 0: not known */
    uint64_t retry_ms; /* BROKEN: wall clock, until when */
    struct str why;    /* BROKEN: a sentence; empty: none */
};

struct service {
    const struct conf_service *conf;
    const struct balancer *balancer;
    struct tls_client *tls;   /* the snapshot's; NULL: targets are spoken to in the plain */
    struct release *releases; /* at least one; the first is the stable one */
    uint32_t release_count;
    uint8_t split_source;   /* enum target_source */
    bool has_releases;      /* somebody named one: clients are told which answered */
    bool is_split;          /* not all goes to the stable one */
    bool has_wishes;        /* requests or lists may name the release */
    bool has_caps;          /* a place must be taken and given back */
    bool awaits_targets;    /* its first ones are being looked for */
    enum service_mode mode; /* by the API */
    struct service_scale scale;
    struct demand *demand;            /* borrowed from the registry */
    const struct wake_policy *policy; /* the rules'; NULL: it does not sleep */
    const struct mac *signer;         /* the rules'; NULL: requests are not signed */
    struct split split;               /* parts as `releases` */
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
    /* Calls `add` for every share; false: the API has set none. */
    bool (*split)(void *owner, struct str service, void *to,
                  void (*add)(void *to, struct str release, uint32_t share));
    /* Whether units run; its text is the keeper's. NULL: they do. */
    struct service_scale (*scale)(void *owner, struct str service);
    /* The release that is stable; empty: the API has said none. */
    struct str (*stable)(void *owner, struct str service);
};

struct service_build {
    const struct snapshot_overlay *overlay; /* NULL: none */
    const struct found *found;              /* NULL: nothing */
    struct release_build release;
};

/* Fills `service`, whose conf is set. Resolves names (blocking; builder thread): one that does not
 * resolve is a warning in `diag` and keeps the addresses it had. False: memory; targets so far hold
 * references. */
bool service_fill(struct service *service, const struct service_build *build, struct diag *diag);
/* Gives the references back. */
void service_fini(struct service *service);
/* The release of that id, NULL: there is none. */
struct release *service_release(const struct service *service, struct str id);

/* By its id, or by the role that it has: `stable`, and the only one beside it is the `canary`. */
struct release *service_named(const struct service *service, struct str name);
/* Calls `each` for every target of all its releases. */
void service_each_target(const struct service *service, void *owner,
                         void (*each)(void *owner, const struct release *release,
                                      const struct snapshot_target *target));
/* Worker: brings up to date what has changed of its releases. */
void service_refresh(struct service *service, unsigned worker, uint64_t now_ms);

#endif
