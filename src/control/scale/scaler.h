/* SPDX-License-Identifier: Apache-2.0
 *
 * Does what is decided on scaled services: edges are listened to and told, units counted, people
 * answered. Called by the files of deploys, whose services they are, see control/deploy/impl.h.
 * Control's one thread.
 */
#ifndef CONTROL_SCALE_SCALER_H
#define CONTROL_SCALE_SCALER_H

#include <jansson.h>

#include "sluice/types.h"

struct scaler; /* private */
struct deploys;
struct managed;
struct deploys_waiter;

/* NULL: no memory. */
struct scaler *scaler_new(struct deploys *deploys);
/* All services are known: how they are scaled is too, before edges are told of any. */
void scaler_begin(struct scaler *scaler);
/* Goes on with all services that are scaled; before their units and edges are. */
void scaler_tick(struct scaler *scaler, int64_t now_ms);
/* Has deploys go on after so many milliseconds at the latest, instead of at the next tick. */
void scaler_kick(struct scaler *scaler, uint32_t ms);
/* Ends all calls; the loop must turn before scaler_free(). */
void scaler_close(struct scaler *scaler);
void scaler_free(struct scaler **scaler);

/* --- of one service */

/* How many units of each of its releases shall run, where the provider's own number is `usual`. */
uint32_t scaler_count(const struct managed *managed, uint32_t usual);
/* What edges are told of it beside its targets; the caller's. NULL: it is not scaled. */
json_t *scaler_word(const struct managed *managed);
/* Edges are to have no targets of it. */
bool scaler_hides(const struct managed *managed);
/* Somebody waits for its units to start. */
bool scaler_is_waking(const struct managed *managed);
/* When an edge, and the provider, are asked again how it fares; in milliseconds. */
uint32_t scaler_pause(const struct managed *managed, uint32_t usual_ms);
/* It is not scaled any more. */
void scaler_drop(struct managed *managed);

/* --- people */

enum scaler_word { SCALER_SETS, SCALER_WAKES, SCALER_SLEEPS };

struct scaler_ask {
    const char *service, *actor;
    enum scaler_word word;
    uint32_t replicas; /* SETS */
};
/* Refuses at once, or answers when it is in the store: as scaler_json() has it, of the one. */
void scaler_ask(struct deploys *deploys, const struct scaler_ask *ask,
                struct deploys_waiter *waiter);
/* All that are scaled, and how; the caller's. */
json_t *scaler_json(const struct deploys *deploys);

#endif
