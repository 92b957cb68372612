/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether Railway, as it is set now, can do what a deploy will ask for. Pure.
 */
#ifndef CONTROL_PROVIDER_RAILWAY_PLAN_H
#define CONTROL_PROVIDER_RAILWAY_PLAN_H

#include "control/provider/railway_settings.h"

struct railway_plan {
    enum provider_fault fault;
    char reason[400];
    char notes[2048]; /* lines */
};

/* The look was a full one, for a plan. */
void railway_plan(const struct railway_state *state, const struct conf_railway *conf,
                  const struct provider_intent *intent, struct railway_plan *plan);
/* What is wrong with the settings of what runs: a sentence without full stop; "": nothing. */
void railway_warning(const struct railway_state *state, char *out, size_t size);

#endif
