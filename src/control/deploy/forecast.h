/* SPDX-License-Identifier: Apache-2.0
 *
 * What a canary will be able to show with the traffic that its service has, before it is begun; and
 * a plan as people read it. Control's one thread.
 */
#ifndef CONTROL_DEPLOY_FORECAST_H
#define CONTROL_DEPLOY_FORECAST_H

#include <jansson.h>

#include "control/deploy/traffic.h"

struct deploy;

/* {"over_s", "requests_s", "failures", "proposal", "steps": [...], "text": [lines]}; null where
 * nothing is compared. The caller's; NULL: no memory. */
json_t *forecast_make(const struct deploy *deploy, const struct traffic_rate *rate);
/* Its lines go to the deploy's log. */
void forecast_log(struct deploy *deploy, const json_t *forecast);
/* A plan that is only asked for: what would be done, with "text" for people. `notes`: lines of the
 * platform; borrowed. The caller's. */
json_t *forecast_plan(const struct deploy *deploy, const char *strategy, const json_t *forecast,
                      struct str notes);

#endif
