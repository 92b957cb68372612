/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to be done next so that a unit runs, or does not any more, by what Railway says now.
 * Pure. Each step is done after a new look and makes the next look different, so one whose answer
 * was lost is not done twice.
 */
#ifndef CONTROL_PROVIDER_RAILWAY_DECIDE_H
#define CONTROL_PROVIDER_RAILWAY_DECIDE_H

#include "control/provider/railway_settings.h"

enum {
    RAILWAY_SETTLE_MS = 3000, /* what was asked for is seen by then, most times */
    RAILWAY_LOST_MS = 60000,  /* what Railway said it had taken is seen by then */
};

enum railway_verb {
    RAILWAY_END,       /* `fault` and `reason`, or it is so */
    RAILWAY_PAUSE,     /* look again */
    RAILWAY_MARK,      /* write `holds` into the service's variable */
    RAILWAY_CONFIGURE, /* send the settings */
    RAILWAY_DEPLOY,
    RAILWAY_CANCEL, /* `deployment`; the next too */
    RAILWAY_REMOVE,
};

/* A start or a stop that is under way. */
struct railway_goal {
    const char *unit, *release, *image; /* release: NULL: a stop */
    bool is_removed;                    /* of a stop */
    int64_t begun_ms;                   /* monotonic, as all below */
    /* What was done for it; kept by who does the steps. */
    bool is_marked, is_configured; /* it was sent; the answer was good */
    int64_t deployed_ms;           /* it was sent; 0: not yet */
    bool is_deployed;              /* and the answer was good */
    int64_t ended_ms;              /* a cancel or remove was sent last; 0: not yet */
    uint32_t refusals;             /* of these */
    bool is_seen;                  /* a deployment of the unit was seen on its way */
};

struct railway_step {
    enum railway_verb verb;
    const struct railway_service *service;
    struct railway_hold holds[RAILWAY_HOLDS];
    uint32_t hold_count;
    const struct railway_deployment *deployment;
    enum provider_fault fault;
    char reason[512];
};

/* `now_ms` is monotonic. */
void railway_decide(const struct railway_state *state, const struct conf_railway *conf,
                    struct railway_goal *goal, int64_t now_ms, struct railway_step *step);
/* Where a unit that is not there yet would go; NULL: each is taken. */
const struct railway_service *railway_free(const struct railway_state *state, const char *unit);

#endif
