/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the exchange and by nothing else: the steps, and what they ask of each
 * other.
 */
#ifndef EDGE_EXCHANGE_IMPL_H
#define EDGE_EXCHANGE_IMPL_H

#include "edge/exchange_release.h"
#include "edge/exchange_sleep.h"

enum {
    EXCHANGE_ARENA_EXTRA = 64 * 1024, /* bytes over twice the head ceiling */
    EXCHANGE_ATTEMPTS_MAX = RELEASE_TRIED_MAX,
};

/* --- steps, in the order of the table in exchange.c; each returns the next one or STEP_WAIT */
enum step exchange_step_head(struct exchange *x); /* exchange_request.c */
/* Gives the exchange its id, if it has none. False: the arena is full. */
bool exchange_make_id(struct exchange *x);
enum step exchange_step_route(struct exchange *x);
enum step exchange_step_ask(struct exchange *x);
/* Readies the walk of the route's filters, or of those of every route. E_NOMEM: no room. */
MUST_USE enum status exchange_start_walk(struct exchange *x);
/* A filter that waited has decided; `owner` is the exchange. */
void exchange_resume_ask(void *owner);
enum step exchange_step_pick(struct exchange *x); /* exchange_target.c */
enum step exchange_step_connect(struct exchange *x);
enum step exchange_step_send(struct exchange *x);
enum step exchange_step_answer(struct exchange *x); /* exchange_answer.c */
enum step exchange_step_tell(struct exchange *x);
enum step exchange_step_relay(struct exchange *x);
enum step exchange_step_refuse(struct exchange *x); /* exchange_reply.c */
enum step exchange_step_done(struct exchange *x);   /* exchange_end.c */

/* Walks the table from `step` until a step waits. Does nothing when it is already being walked:
 * then the step that runs sees what changed. The exchange may be gone afterwards. */
void exchange_run(struct exchange *x, enum step step);
/* Notes why, and gives STEP_REFUSE for the step to return. */
enum step exchange_refused(struct exchange *x, enum reason why);
/* Adds the time since the last mark to a phase. */
void exchange_lap(struct exchange *x, enum access_phase phase);
/* The exchange whose client's stream this is. */
struct exchange *exchange_of(struct stream *down);
/* Who we are to the other side of a message (RFC 9110 7.6.3). */
struct str exchange_via(const struct exchange *x, const struct head *head);
/* The connection behind a stream has something to write or may read on. */
void exchange_touch(const struct stream *stream);

/* --- exchange_pick.c */
/* Takes the service as the worker's newest snapshot has it. */
void exchange_renew_view(struct exchange *x);
/* Counts a request at a target of the service, by its index. */
void exchange_count_target(struct exchange *x, int32_t index, uint32_t slot, int change);
void exchange_leave_queue(struct exchange *x);
/* Its time in the queue is over: false, unless it waited for a place and the service has been
 * paused since, which gives it the time of those that wait for that. */
bool exchange_wait_on(struct exchange *x);
/* By which a sticky cookie names its target. */
uint64_t exchange_target_hash(const struct exchange *x);
/* --- exchange_target.c */
/* Whose certificate the client showed, as a field in place of what it claims. E_NOMEM: no room. */
MUST_USE enum status exchange_say_subject(struct exchange *x);
/* Sends the head of the request as that target gets it; `span` see exchange_trace_say(). */
MUST_USE enum status exchange_say_head(struct exchange *x, struct stream *up,
                                       const struct endpoint *endpoint, uint64_t span);
void exchange_on_connect(struct pool_waiter *waiter, struct target_conn *conn, enum reason why);
static inline struct endpoint *exchange_endpoint(const struct exchange *x)
{
    return x->kept ? x->kept : x->release->targets[x->index].endpoint;
}

/* --- exchange_retry.c */
/* Drops or gives back the target's connection, the place under the cap, the counts; idempotent. */
void exchange_let_go(struct exchange *x, bool is_good);
/* The target failed before its answer began: the next step, another try or a refusal. */
enum step exchange_retry(struct exchange *x, enum reason why);
/* The head of an answer is in. True: it is thrown away for another try, whose step is *next. */
bool exchange_retry_answer(struct exchange *x, enum step *next);
/* What is thought of the target: it broke off, or its answer has begun. */
void exchange_tell_broken(struct exchange *x, enum reason why);
void exchange_tell_answered(struct exchange *x);
/* Adds the try that ends to those that the log tells of, if there is another: with what came of it
 * in a word, or the status of its answer (0: none). */
void exchange_note_try(struct exchange *x, const char *outcome, unsigned status);
/* Takes another try out of the budget. False: there is none. */
bool exchange_has_budget(struct exchange *x);
/* From now on tries are noted. False: the arena is full. */
bool exchange_begin_tries(struct exchange *x);

/* --- exchange_hedge.c */
/* The request is out: when its answer is late, another target gets it, too. */
void exchange_arm_hedge(struct exchange *x);
void exchange_on_late(struct loop_timer *timer);
/* The target has failed or is too late: the hedge goes on in its place. False: there is none that
 * has the request. */
bool exchange_take_hedge(struct exchange *x);
/* There will be no use for it. */
void exchange_drop_hedge(struct exchange *x);

/* --- exchange_answer.c */
/* How long its stream or tunnel may be silent; 0: for ever. */
uint32_t exchange_idle_ms(const struct exchange *x);
/* How long this try waits for the head of an answer; 0: for ever. */
uint32_t exchange_answer_ms(const struct exchange *x);

/* --- exchange_body.c: the hooks of both streams that carry bodies */
void exchange_take_request_body(struct stream *down, struct str bytes, bool last);
void exchange_take_request_trailers(struct stream *down, struct head *trailers);
void exchange_take_answer_body(struct stream *up, struct str bytes, bool last);
void exchange_take_answer_trailers(struct stream *up, struct head *trailers);
void exchange_drained_down(struct stream *down);
void exchange_drained_up(struct stream *up);
void exchange_on_pause(struct loop_pause *pause);
/* Sends what came of the body early through its filters, to be held. NONE, or why to refuse. */
MUST_USE enum reason exchange_edit_held(struct exchange *x);
/* The request waits in ASK for the rest of its body, which is asked for. E_NOMEM: no room. */
MUST_USE enum status exchange_begin_hold(struct exchange *x);
/* Queues a piece of the answer by way of its filters. NONE, or why the answer cannot go on. */
MUST_USE enum reason exchange_put_answer(struct exchange *x, const struct piece *piece);
/* Where filters pass bodies on to. */
extern const struct chain_ends exchange_ends;
/* Sends what was held; E_NOMEM: the exchange cannot go on. */
MUST_USE enum status exchange_send_held(struct exchange *x);
/* Both ends become raw. */
void exchange_begin_tunnel(struct exchange *x);

/* --- exchange_reply.c */
/* Makes x->reply the answer: next step TELL. */
enum step exchange_answer_with(struct exchange *x, const struct exchange_reply *reply);
/* Builds x->response from x->reply. False: the arena is full. */
bool exchange_build_reply(struct exchange *x);
/* Ends a gRPC answer that is under way with trailers that say x->reason. False: it cannot be, the
 * client has to find out by a reset. */
bool exchange_end_grpc(struct exchange *x);

/* --- exchange_why.c, exchange_end.c */
/* It is over: remembers why it went as it did, if it is one to remember. */
void exchange_keep_why(struct exchange *x);
/* Lets go of the snapshot; rule, route and service are NULL then. */
void exchange_unpin(struct exchange *x);
/* Copies the names the log will want into the arena. False: it is full, nothing changed. */
bool exchange_copy_labels(struct exchange *x);
/* Gives everything back but the client's stream, which is let go already. */
void exchange_destroy(struct exchange *x);
/* Breaks off: both ends are let go, the client's connection closed; logged with `why`. */
void exchange_abort(struct exchange *x, enum reason why);

#endif
