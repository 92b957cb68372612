/* SPDX-License-Identifier: Apache-2.0
 *
 * What the verdict on a deploy has compared, as the store has it. Control's one thread.
 */
#ifndef CONTROL_DEPLOY_EVIDENCE_H
#define CONTROL_DEPLOY_EVIDENCE_H

#include <jansson.h>

#include "control/store.h"

struct deploy;

struct evidence {
    struct store_put put;
    bool is_saving;
    uint64_t requests; /* that it was of */
    int64_t next_ms;   /* monotonic */
    int64_t at_ms;     /* wall clock: when the one that was read was written */
    bool is_damaged;   /* it could not be read */
};

/* As the store keeps it. */
json_t *evidence_json(const struct deploy *deploy);
/* Takes it from there; the plan is read. */
void evidence_read(struct deploy *deploy, const json_t *json);
/* A control that was restarted goes on with what was read. */
void evidence_resume(struct deploy *deploy);
/* Writes what is new, every few seconds; while the deploy's state is in the store. */
void evidence_tick(struct deploy *deploy, int64_t now_ms);

#endif
