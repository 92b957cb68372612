/* SPDX-License-Identifier: Apache-2.0
 *
 * Which release a request gets, and what the release is charged with. Part of exchange_impl.h.
 */
#ifndef EDGE_EXCHANGE_RELEASE_H
#define EDGE_EXCHANGE_RELEASE_H

#include "edge/exchange.h"

/* Sets x->release; for one that has none yet, or another service now. NONE, or why it gets none. */
MUST_USE enum reason exchange_assign_release(struct exchange *x);
/* x->service is a newer one: its release of that id, or what the request gets now. */
void exchange_renew_release(struct exchange *x, const struct release *before);
/* What came of its first try: a failure, or an answer after so many microseconds. What fails after
 * its answer began is said again, as bad. */
void exchange_charge(struct exchange *x, bool is_bad, uint64_t us);
/* Whether a gRPC call failed, as the head or the trailers of its answer say. */
bool exchange_is_bad_grpc(const struct exchange *x, const struct head *head);
/* Whether a request that failed on a release on trial may go to the stable one; `is_unsent`:
 * nothing of it has left for a target. */
bool exchange_may_net(const struct exchange *x, bool is_unsent);
/* It does: with the next pick. */
void exchange_net(struct exchange *x);
/* Says in the head of the answer which release it is from. E_NOMEM: no room. */
MUST_USE enum status exchange_say_release(struct exchange *x);

/* --- exchange_answer.c */
/* Adds a cookie whose value is a number. `max_age_ms` 0: for the session. E_NOMEM: no room. */
MUST_USE enum status exchange_give_cookie(struct exchange *x, struct str name, uint64_t number,
                                          uint64_t max_age_ms);

#endif
