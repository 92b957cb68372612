/* SPDX-License-Identifier: Apache-2.0
 *
 * What the ledger says of a deploy: who began it, each step with its verdict and counts, who said
 * what, and how it ended. The entries wait in the deploy until its state is written, and are
 * written with it.
 */
#ifndef CONTROL_DEPLOY_NOTES_H
#define CONTROL_DEPLOY_NOTES_H

#include "control/deploy/impl.h"

/* It has begun. */
void notes_begin(struct deploy *deploy);
/* Its state was `before`, and became another by what was seen. */
void notes_change(struct deploy *deploy, const struct deploy_state *before,
                  const struct deploy_seen *seen);
/* Moves what waits into a transaction; and back, before all else, when that has failed. */
void notes_give(struct deploy *deploy, struct store_put *put);
void notes_take_back(struct deploy *deploy, struct store_put *put);

#endif
