/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans and states of deploys as JSON, for the store and the API. Pure.
 */
#ifndef CONTROL_DEPLOY_RECORD_H
#define CONTROL_DEPLOY_RECORD_H

#include <jansson.h>

#include "control/deploy/machine.h"

/* NULL: no memory. */
json_t *record_plan(const struct deploy_plan *plan);
json_t *record_state(const struct deploy_state *state);
/* False: it is none of ours. */
bool record_read_plan(const json_t *json, struct deploy_plan *plan);
bool record_read_state(const json_t *json, struct deploy_state *state);

#endif
