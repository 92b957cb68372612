/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of a filter: a policy that sees a request on its way in and the answer on its way
 * out. The chain walks: requests in the order of the configuration, answers in reverse; a filter
 * never calls the next. A NULL hook is not visited. On answers of the gateway's own the response
 * hooks of all filters run, with visit->is_own set. Hooks run on the worker's thread and never
 * block.
 */
#ifndef SLUICE_FILTER_H
#define SLUICE_FILTER_H

#include "config/diag.h"
#include "sluice/head.h"
#include "sluice/reason.h"

struct field;

enum verdict {
    VERDICT_PASS,  /* go on */
    VERDICT_REPLY, /* visit->reply is the answer */
    VERDICT_WAIT,  /* visit_resume() will come */
    VERDICT_FAIL,  /* visit->reason says why: the gateway refuses */
};

struct visit_reply {
    uint16_t status;
    struct str content_type, body; /* in the arena or static */
};

/* --- bodies
 *
 * A filter that changes bodies has a body hook for that direction, and its head hook sets
 * visit->edits_request or edits_response for each message it wants to change; of all other messages
 * the bytes go by unseen. From then on every piece of that message goes through the hook, in order,
 * as it comes: on_request_body in the order of the configuration, on_response_body in reverse. A
 * message without a body may skip the hooks, and answers of the gateway's own take them, too.
 *
 * The hook hands on what shall take the piece's place with filter_pass_body(): nothing, one piece
 * or several, but the piece with `last` exactly once, in the call that got it and as its last act.
 * Trailers come with it: to eat them, pass on a piece without; to add some, one with.
 *
 * Memory stays bounded because a hook keeps at most a few KiB in its state: the sender is given
 * credit for what came in as soon as the hook returns, unless the receiver is behind. The chain
 * drops the message's Content-Length; what else the change makes wrong in the head (ETag,
 * Content-Encoding, Accept-Ranges) the head hook corrects.
 *
 * The hooks return REASON_NONE, or why the message cannot go on: what filter_pass_body() returned
 * if that is not NONE (at once, it must not be called again), or a fault of their own. A request is
 * then refused with that reason, an answer broken off. */

/* A part of a body on its way. */
struct piece {
    struct str bytes;      /* may be empty */
    struct head *trailers; /* only with `last`; in the exchange's arena; NULL: none */
    bool last;             /* the message ends with this piece */
    bool is_lasting; /* `bytes` stay until the worker's turn ends, as those of a piece that came
                      * in and its slices do; else they are copied before the call returns */
};

struct body_way; /* what lies behind a hook: other filters, then the other end */

/* For body hooks alone: hands a piece on. */
MUST_USE enum reason filter_pass_body(const struct body_way *way, const struct piece *piece);

/* What a hook sees of one request. Valid until on_done. */
struct visit {
    const void *conf; /* this filter's checked configuration */
    void *state; /* this filter's state of state_size bytes in the exchange's arena, zeroed at first
                  */
    struct arena *arena;
    struct head *request;
    struct head *response; /* NULL before the answer */
    struct str client;     /* client address as text */
    struct visit_reply reply;
    enum reason reason;
    bool is_own;         /* the answer is the gateway's own */
    bool edits_request;  /* on_request sets it: its body goes through on_request_body */
    bool edits_response; /* the same of on_response; cleared before each call of that */
};

struct filter {
    const char *name;           /* its key in the configuration */
    const char *doc;            /* one sentence */
    const struct field *fields; /* table of its keys, see config/field.h */
    size_t conf_size, state_size;
    /* Looks across the fields; false with an error in diag. NULL: nothing to check. */
    bool (*check)(void *conf, struct span at, struct diag *diag);
    enum verdict (*on_request)(struct visit *visit);
    enum verdict (*on_response)(struct visit *visit); /* PASS or FAIL */
    enum reason (*on_request_body)(struct visit *visit, const struct piece *piece,
                                   const struct body_way *way);
    enum reason (*on_response_body)(struct visit *visit, const struct piece *piece,
                                    const struct body_way *way);
    /* Exactly once when any other hook ran on this visit, also when cancelled. On an answer of the
     * gateway's own on_response may have run without on_request. */
    void (*on_done)(struct visit *visit);
};

/* Every filter there is, NULL-terminated, in the order they run unless written otherwise. */
extern const struct filter *const filter_registry[];

#endif
