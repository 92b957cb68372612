/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of our own to both releases of a deploy alike, while a step has fewer of clients than is
 * configured: an edge is asked to send them. They count like any other, and are shown apart.
 * Control's one thread.
 */
#ifndef CONTROL_DEPLOY_TOPUP_H
#define CONTROL_DEPLOY_TOPUP_H

#include <jansson.h>

#include "sluice/types.h"

enum { TOPUP_CALLS = 8 };

struct conf_probes;
struct deploy;
struct outbound_call;

struct topup_call {
    struct deploy *deploy;
    struct outbound_call *call; /* NULL: it is free */
};

/* Of one deploy. */
struct topup {
    json_t *plan; /* as topup_plan(); in the store */
    struct topup_call calls[TOPUP_CALLS];
    int64_t next_ms; /* monotonic */
    uint32_t next_path, next_edge;
    char why[200]; /* what an edge said against it last, that was logged */
};

/* As the store keeps it; null: there are none. The caller's; NULL: no memory. */
json_t *topup_plan(const struct conf_probes *probes);
/* Sends what is due. */
void topup_tick(struct deploy *deploy, int64_t now_ms);
/* Ends its calls. The plan stays. */
void topup_drop(struct deploy *deploy);

#endif
