/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of filters for bodies, beside that for heads (filter.h).
 */
#ifndef SLUICE_FILTER_BODY_H
#define SLUICE_FILTER_BODY_H

#include "sluice/head.h"
#include "sluice/reason.h"

/* A filter that changes bodies has a body hook for that direction, and its head hook sets
 * visit->edits_request or edits_response for each message it wants to change; of all other messages
 * the bytes go by unseen. From then on every piece of that message goes through the hook, in order,
 * as it comes: on_request_body in the order of the configuration, on_response_body in reverse. A
 * message without a body may skip the hooks, and answers of the gateway's own take them, too.
 *
 * The hook hands on what shall take the piece's place with filter_pass_body(): nothing, one piece
 * or several, but the piece with `last` exactly once, in the call that got it and as its last act.
 * Trailers come with it: to eat them, pass on a piece without; to add some, one with.
 *
 * A piece with `pauses` has no bytes: the sender has nothing more for now, and what a hook keeps
 * back for the sake of more it hands on, so that the receiver need not wait for it. Every hook of
 * the direction gets it without being handed it. Answers alone pause.
 *
 * Memory stays bounded because a hook keeps at most a few KiB in its state: the sender is given
 * credit for what came in as soon as the hook returns, unless the receiver is behind. One that has
 * to see a body whole sets visit->holds_request beside, keeps it within a bound of its own and
 * hands it on with the last piece: the target has had nothing of the request if that is refused
 * then, and a client that waits for 100 (RFC 9110 10.1.1) gets it from the gateway. The chain drops
 * the message's Content-Length; what else the change makes wrong in the head (ETag,
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
    bool pauses;           /* nothing comes for now */
    bool is_lasting; /* `bytes` stay until the worker's turn ends, as those of a piece that came
                      * in and its slices do; else they are copied before the call returns */
};

struct body_way; /* what lies behind a hook: other filters, then the other end */

/* For body hooks alone: hands a piece on. */
MUST_USE enum reason filter_pass_body(const struct body_way *way, const struct piece *piece);

#endif
