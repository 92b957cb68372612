/* SPDX-License-Identifier: Apache-2.0
 *
 * What edges count of a deploy's two releases, and what is to be thought of the new one. Control's
 * one thread.
 */
#ifndef CONTROL_DEPLOY_JUDGE_H
#define CONTROL_DEPLOY_JUDGE_H

#include <jansson.h>

#include "control/deploy/machine.h"
#include "control/verdict.h"

enum { DEPLOY_WINDOW_S = 10 /* of what is looked at for a hard stop */ };

struct deploy;
struct managed;
struct watch;

struct window {
    int64_t second[DEPLOY_WINDOW_S];
    struct verdict_count all[DEPLOY_WINDOW_S], clients[DEPLOY_WINDOW_S][VERDICT_CLIENTS];
};

/* A deploy begins: its releases are others than those of the one before. */
void judge_begin(struct managed *managed);
/* Takes what an edge has counted since it was last asked. */
void judge_take(struct deploy *deploy, struct watch *watch, const json_t *counters);
/* What is to be thought of the new release now. */
void judge_look(struct deploy *deploy, struct deploy_seen *seen);

#endif
