/* SPDX-License-Identifier: Apache-2.0
 *
 * People are told: of deploys, rollbacks and budgets, as the ledger has them, and of health, as the
 * edges say. What comes within a window is one message; each receiver gets so many an hour and what
 * is too much later, together. What waits is in the store with how far the ledger was read, so that
 * a restart of control loses nothing; a message that was sent when control was killed may come
 * twice, with the same id in a webhook. Nothing waits for a receiver. Called by control.c.
 * Control's one thread.
 *
 * Budgets: whoever watches one appends an entry `budget.WHAT` whose `after` is {"text", "next"}, a
 * sentence and the next command; see journal.h.
 */
#ifndef CONTROL_NOTICES_H
#define CONTROL_NOTICES_H

#include "config/conf.h"
#include "control/outbound.h"
#include "control/store.h"

struct notices; /* private */

/* NULL: no memory. Before anything that appends to the ledger. */
struct notices *notices_new(struct store *store, struct outbound *outbound);
/* Who is told. E_NOMEM: nobody is. */
MUST_USE enum status notices_configure(struct notices *notices, const struct conf_notices *conf);
/* What an edge says of its services, as GET /api/v1/status; NULL: it does not answer. */
void notices_see(struct notices *notices, const char *edge, const json_t *status);
/* Several times a second. */
void notices_tick(struct notices *notices);
/* [{"name", "waiting", "error"}] of each receiver, the caller's; NULL: no memory. */
json_t *notices_json(const struct notices *notices);
/* Ends its calls; before outbound goes. */
void notices_close(struct notices *notices);
/* When the store has ended. */
void notices_free(struct notices **notices);

#endif
