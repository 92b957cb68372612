/* SPDX-License-Identifier: Apache-2.0
 *
 * What a deploy is to do: fixed when it begins.
 */
#ifndef CONTROL_DEPLOY_PLAN_H
#define CONTROL_DEPLOY_PLAN_H

#include "sluice/types.h"

enum { DEPLOY_STEPS_MAX = 16 };
#define DEPLOY_WHOLE 1000000U /* a share of all requests */
enum deploy_hook {
    DEPLOY_HOOK_REGRESSION, /* once it serves on staging */
    DEPLOY_HOOK_PRE,
    DEPLOY_HOOK_MIGRATE,
    DEPLOY_HOOK_SMOKE,
    DEPLOY_HOOK_POST,
    DEPLOY_HOOKS
};

/* How the new release takes the old one's place. */
enum deploy_manner {
    DEPLOY_SIDE_BY_SIDE, /* both run whole, until the old one's warm time is over */
    DEPLOY_STOPS_FIRST,  /* recreate: never both, and a gap between them */
    DEPLOY_ROLLS,        /* unit by unit: each step starts some and then stops as many */
    DEPLOY_PLATFORM,     /* starting the new one ends the old one, which is the platform's doing */
};

enum deploy_no_data { DEPLOY_ASK, DEPLOY_PASS, DEPLOY_FAIL };

struct deploy_step {
    uint32_t share;   /* of the new release, in parts of DEPLOY_WHOLE */
    uint32_t for_ms;  /* at least */
    bool is_judged;   /* it must pass the verdict */
    bool is_approval; /* waits for a person; nothing else of it counts */
};

/* What is to be done; fixed when the deploy begins. */
struct deploy_plan {
    struct deploy_step steps[DEPLOY_STEPS_MAX]; /* shares ascend; the last one is DEPLOY_WHOLE */
    uint32_t step_count;
    bool has_hook[DEPLOY_HOOKS];
    bool is_breaking; /* the migration: no way back to the old release after it */
    bool has_old;     /* something serves already */
    bool has_units;   /* a provider runs both releases; else their targets are only listed */
    bool has_staging; /* another service gets the release first */
    enum deploy_manner manner;
    enum deploy_no_data on_no_data;
    uint32_t start_ms, healthy_ms; /* the most that starting and becoming healthy may take */
    uint32_t judge_ms;             /* the most that one step may wait for its verdict */
    uint32_t bake_ms;              /* all is on the new one, and watched */
    uint32_t drain_ms;             /* the most that requests of a release may take to end */
    uint32_t keep_ms;              /* the old one stays warm */
};

#endif
