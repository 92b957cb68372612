/* SPDX-License-Identifier: Apache-2.0
 *
 * One order at a CA as a state machine (RFC 8555 section 7.1.6): what was learned goes in, what to
 * do next comes out. Pure: no socket, no clock, no file. acme_run.c asks for the next action, does
 * it, and tells what came of it. Texts live in the arena that is given. Invariant: an action is
 * given again until its outcome was taken, so that a restart only needs the order's URL.
 */
#ifndef CONTROL_ACME_ORDER_H
#define CONTROL_ACME_ORDER_H

#include "control/acme_json.h"

enum { ACME_ORDER_MS = 15 * 60 * 1000 /* the CA must have decided by then */ };

enum acme_step {
    ACME_STEP_NEW,       /* newOrder */
    ACME_STEP_READ,      /* the order */
    ACME_STEP_AUTHORIZE, /* read authorization `index` */
    ACME_STEP_PUBLISH,   /* put the answer of authorization `index` on the edges */
    ACME_STEP_TELL,      /* the CA, that the answer of authorization `index` is there */
    ACME_STEP_WAIT,      /* until `wait_until_ms` */
    ACME_STEP_FINALIZE,
    ACME_STEP_DOWNLOAD,
    ACME_STEP_DONE,
    ACME_STEP_FAIL, /* `error` says why */
};

struct acme_authorization {
    struct str url, domain;
    enum acme_status status;
    enum acme_challenge challenge;
    struct str challenge_url, token; /* absent: not read yet */
    struct str error;                /* what the CA said */
    int64_t poll_ms;                 /* not to be read again before */
    uint32_t polls;
    bool is_published, is_told;
};

struct acme_order {
    struct str url; /* absent: there is none yet */
    struct str finalize, certificate, error;
    enum acme_status status;
    struct acme_authorization *authorizations;
    uint32_t count;
    int64_t created_ms, poll_ms; /* by the clock of acme_order_next() */
    uint32_t polls;
    bool is_finalized, has_chain;
    bool is_resumed; /* begun before a restart: what was told then is told again */
};

struct acme_action {
    enum acme_step step;
    uint32_t index;
    int64_t wait_until_ms;
};

/* What an authorization is to be answered with: those allowed, the first that the CA offers. */
struct acme_choice {
    enum acme_challenge wanted[ACME_CHALLENGES];
    uint32_t count;
};

/* What to do at `now_ms`, of any clock that only goes forward. */
struct acme_action acme_order_next(const struct acme_order *order, int64_t now_ms);

/* The order was read. E_PROTOCOL: it has other authorizations than before. */
MUST_USE enum status acme_order_take(struct acme_order *order, struct arena *arena,
                                     const struct acme_json_order *json);
/* Authorization `index` was read. E_PROTOCOL: it is for another name than before; E_NOT_FOUND: the
 * CA offers none of the challenges. */
MUST_USE enum status acme_order_take_authorization(struct acme_order *order, uint32_t index,
                                                   const struct acme_json_authorization *json,
                                                   const struct acme_choice *choice);
/* Authorization `index` (or the order itself: UINT32_MAX) was read at `now_ms`, and the CA said to
 * wait (0: nothing). */
void acme_order_pace(struct acme_order *order, uint32_t index, int64_t now_ms,
                     int64_t retry_after_ms);

/* After ACME_STEP_FAIL: the CA's words, in the arena. */
struct str acme_order_error(const struct acme_order *order, struct arena *arena);

#endif
