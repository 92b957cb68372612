/* SPDX-License-Identifier: Apache-2.0
 *
 * The objectives of services: what clients were answered is taken from every edge's counters, kept
 * for as long as the window of the objectives is, and in the store every few minutes, with how far
 * each edge had counted; so a restart of control loses nothing that edges still know. When most of
 * an error budget is used, or all of it, that stands in the ledger, and people are told. Called by
 * control.c and by its API. Control's one thread.
 */
#ifndef CONTROL_SLO_H
#define CONTROL_SLO_H

#include <jansson.h>

#include "config/conf.h"
#include "control/journal.h"
#include "control/store.h"
#include "rest/prometheus.h"

struct slo; /* private */

/* NULL: no memory. Reads what there was from the store, as the first thing. */
struct slo *slo_new(struct store *store, struct journal *journal);
/* Which services have objectives. E_NOMEM: some have not. */
MUST_USE enum status slo_configure(struct slo *slo, const struct conf *conf);
/* What an edge has counted, as GET /api/v1/counters. */
void slo_take(struct slo *slo, const char *edge, const json_t *counters);
/* Several times a second. */
void slo_tick(struct slo *slo, int64_t now_ms);
/* {SERVICE: {"window_s", "objectives": [{"slo", "objective", "threshold_ms", "requests", "bad",
 * "budget_left", "burn": {"5m", "1h", "6h"}}]}}, the caller's; NULL: no memory. */
json_t *slo_json(const struct slo *slo);
/* The families sluice_slo_*. */
void slo_metrics(const struct slo *slo, struct prometheus *text);
/* Has written what is new, if the store has nothing else to do; before it ends. */
void slo_close(struct slo *slo);
/* When the store has ended. */
void slo_free(struct slo **slo);

#endif
