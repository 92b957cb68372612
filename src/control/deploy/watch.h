/* SPDX-License-Identifier: Apache-2.0
 *
 * How edges and units stand to a service: told and asked over and over, each at its own pace.
 * Called by the files of deploys.
 */
#ifndef CONTROL_DEPLOY_WATCH_H
#define CONTROL_DEPLOY_WATCH_H

#include "control/deploy/managed.h"

struct deploy;

/* --- watch.c */
/* Goes on with what is due at each edge. */
void watch_tick(struct managed *managed, int64_t now_ms);
void watch_drop(struct managed *managed);
/* Builds what edges are to be told from what is known and wanted. False: no memory. */
bool watch_compose(struct managed *managed);
/* What all edges say of a deploy. */
void watch_see(const struct managed *managed, struct deploy_seen *seen);

/* What a name is in a path or a query. */
void watch_encode(const char *name, char *out, size_t size);
/* Whether a release of it is to be there. */
bool watch_wants(const struct managed *managed, const char *release);
/* This edge has what it is told. */
bool watch_has_it(const struct watch *watch);
/* An edge that is waited for has been silent, or has refused, for ten seconds. */
bool watch_is_held_up(const struct managed *managed);
/* Every edge has what it is told. */
bool watch_is_live(const struct managed *managed);
/* No edge that is waited for has a request of this drained target, as of what it was told last. */
bool watch_is_idle(const struct managed *managed, const char *address);

/* --- units.c */
/* Starts and stops what is due. */
void units_tick(struct managed *managed, int64_t now_ms);
/* Puts the addresses of units into the record. True: there was news, to be saved. */
bool units_adopt(struct managed *managed);
/* Those that are to go while their release stays: adds them to a list of targets, and gives their
 * ids in one, the caller's. */
json_t *units_leaving(const struct managed *managed, json_t *targets);
void units_see(struct deploy *deploy, struct deploy_seen *seen);
/* What scaling is to know of units. */
struct units_sight {
    uint32_t running;  /* of the stable release */
    uint32_t paid;     /* of all releases */
    uint32_t failures; /* of starts of one of the stable release in a row, that ended */
    const char *why;   /* of the last one; NULL: none failed */
};
void units_look(const struct managed *managed, struct units_sight *sight);
/* What failed before does not count any more. */
void units_forgive(struct managed *managed);
/* Its provider, with what is configured. False: it has none, or none that can be used now. */
bool units_open(struct managed *managed);
/* The provider's configuration goes; what runs goes on. */
void units_close(struct managed *managed);
void units_drop(struct managed *managed);

#endif
