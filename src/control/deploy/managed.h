/* SPDX-License-Identifier: Apache-2.0
 *
 * A service as control knows it: its releases, what edges are told of them, how each edge stands to
 * that, and the units that run. Shared by the files of deploys.
 */
#ifndef CONTROL_DEPLOY_MANAGED_H
#define CONTROL_DEPLOY_MANAGED_H

#include "control/deploy/deploys.h"
#include "control/verdict.h"
#include "sluice/provider.h"

/* Of one release at one edge. */
struct seen_release {
    bool is_there;
    uint32_t targets, up, unknown; /* unknown: not checked yet */
    uint64_t in_flight;
    bool has_counters; /* the next ones are a base */
    json_int_t instance;
    struct verdict_side counted; /* as the edge told it the last time */
    uint64_t probes;             /* the same: our own requests of it */
};

/* How one edge stands to one service. */
struct watch {
    struct managed *managed;
    uint32_t index;
    struct outbound_call *call;               /* the one that runs */
    int64_t status_ms, counters_ms, retry_ms; /* monotonic; when next */
    int64_t asked_ms;                         /* monotonic; when the last call began */
    int64_t epoch, revision, pushing;         /* acknowledged; under way */
    bool is_known;                            /* the last two */
    bool is_fresh;                            /* what is seen is of that revision */
    bool is_silent;
    int64_t failing_ms; /* monotonic; it has not done as it was told since. 0: it does */
    char error[200];
    struct seen_release old, new, all; /* all: of every release */
    json_t *busy; /* {address: true} of drained targets that have requests there; NULL: none */
};

/* How deploys come to their end. */
enum managed_end {
    MANAGED_PROMOTED,
    MANAGED_ROLLED_BACK,
    MANAGED_ABORTED,
    MANAGED_FAILED,
    MANAGED_ENDS
};

/* A service that has had a deploy. */
struct managed {
    struct managed *next;
    struct deploys *deploys;
    char *name;
    json_t *record;         /* {"revision", "stable", "releases": {ID: [targets]}, "removed": [ids],
                               "images": {ID: image}, "split": {ID: share}}; as in the store; split:
                               by hand, of before the deploy that may run */
    char *body;             /* what edges are told; NULL: nothing yet */
    int64_t revision, told; /* told: that `body` is of */
    struct deploy *deploy;  /* the one that is not over; NULL: none */
    struct watch *watches;  /* one an edge */
    uint32_t watch_count, watch_version;
    const struct provider *provider; /* NULL: its targets are only listed */
    void *self;                      /* of the provider */
    struct unit *units;              /* deploys_units.c */
    uint32_t instances;
    uint64_t leaving; /* a hash of the units that edges are told to drain; 0: none */
    int64_t list_ms;
    bool is_listing, is_listed; /* listed: what is known of units is so */
    bool is_unlisted;           /* the last time they could not be listed */
    char trouble[200]; /* why they cannot be listed, or what the platform warns of; empty: none */
    struct store_put put;     /* of the record alone */
    bool is_saving, is_dirty; /* dirty: edges and the store are to have what is another */
    bool is_unsaved;          /* what it is now has a number, and is to be stored yet */
    struct scaled *scaled;    /* NULL: it is not */
    struct deploys_waiter *scale_waiters;
    struct splits_change *splits; /* that are not told yet */
    uint64_t ended[MANAGED_ENDS]; /* deploys, since control began */
    bool has_spoken; /* this control, not one before it, has changed what edges are told */
};

/* Of its documents in the store. */
extern const char managed_kind[];

/* NULL: there is none of that name. */
struct managed *managed_find(const struct deploys *deploys, const char *service);
/* Makes one. NULL: no memory. */
struct managed *managed_new(struct deploys *deploys, const char *service);
void managed_free(struct managed *managed);
/* A release is known of, with its targets and image (NULL: none), or no more. */
void managed_enter(struct managed *managed, const char *release, const json_t *targets,
                   const char *image);
void managed_forget(struct managed *managed, const char *release);
/* Writes what is new of it to the store and tells the edges; for a service without a deploy. */
void managed_catch_up(struct managed *managed);
/* A deploy of it is being written or is to be, or it itself is being. */
bool managed_is_busy(const struct managed *managed);
/* Writes it, where edges need not hear of it. */
void managed_keep(struct managed *managed);
/* What is configured of it now; NULL: nothing. */
const struct conf_service *managed_conf(const struct managed *managed);

#endif
