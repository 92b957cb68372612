/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of services of which nothing runs: who waits for a wake, and for how long. Part of
 * exchange_impl.h.
 */
#ifndef EDGE_EXCHANGE_SLEEP_H
#define EDGE_EXCHANGE_SLEEP_H

#include "edge/exchange.h"

/* Whether control says that, of a request that has been at no target. */
bool exchange_is_asleep(const struct exchange *x);
/* What becomes of a request that finds its service so; STEP_WAIT: it may wait, and is counted. */
enum step exchange_meet_sleep(struct exchange *x);
/* How long it may wait yet, at least 1. */
uint64_t exchange_sleep_ms(const struct exchange *x);
/* More of its body was read while it waits. NONE, or why that is too much. */
MUST_USE enum reason exchange_sleep_bytes(struct exchange *x, size_t len);
/* Its time in a queue is over. */
enum step exchange_give_up(struct exchange *x);
/* Whether it may go to a target; one that waits, for a unit that has just come up, in its turn. */
bool exchange_may_leave(struct exchange *x);
/* It has an answer: others may follow. */
void exchange_note_answer(struct exchange *x);
/* It waits for that no more, whatever it was for; idempotent. */
void exchange_end_sleep(struct exchange *x, enum demand_result result);
/* Tells the client how long it waited. E_NOMEM: no room. */
MUST_USE enum status exchange_say_sleep(struct exchange *x);
/* --- exchange_pick.c */
/* A target of its release is up, if not free. */
bool exchange_has_target(const struct exchange *x);

#endif
