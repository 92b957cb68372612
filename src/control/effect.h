/* SPDX-License-Identifier: Apache-2.0
 *
 * What a change of a service led to: a while after each (ten minutes unless set otherwise) the
 * ledger gets an entry `effect` that refers to it, with requests, failures and latency of the same
 * time before it and after it, as all edges count them. What is due is found in the ledger itself,
 * so a restart of control loses none; but what was not counted meanwhile is not known, and that is
 * what the entry says then. Called by control.c. Control's one thread.
 */
#ifndef CONTROL_EFFECT_H
#define CONTROL_EFFECT_H

#include "control/edges.h"
#include "control/store.h"

struct effect; /* private */

/* NULL: no memory. Before anything that appends to the ledger. */
struct effect *effect_new(struct store *store, struct edges *edges);
/* How long after a change; 0: nothing is measured, and nothing said. */
void effect_configure(struct effect *effect, uint32_t after_ms);
/* Several times a second. */
void effect_tick(struct effect *effect);
/* Ends its calls; before the edges go. */
void effect_close(struct effect *effect);
/* When the store has ended. */
void effect_free(struct effect **effect);

#endif
