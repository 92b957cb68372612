/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests to Fly's Machines API for one app. Each waits for its turn by the published rates, goes
 * again where that is safe, and ends with its fault in the words of the contract. Called by fly.c
 * and what is beside it. Control's one thread.
 */
#ifndef CONTROL_PROVIDER_FLY_API_H
#define CONTROL_PROVIDER_FLY_API_H

#include <jansson.h>
#include <uv.h>

#include "config/conf_provider.h"
#include "control/provider/fly_limit.h"
#include "sluice/provider.h"

enum { FLY_REASON_MAX = 320 };

struct outbound;
struct outbound_call;

struct fly_reply {
    enum provider_fault fault;
    long status;        /* HTTP; 0: no answer, or nothing was asked */
    json_t *body;       /* NULL: none */
    const char *reason; /* a sentence without full stop; empty when all went well */
    uint32_t retry_ms;  /* as the API said; 0: it did not */
    bool is_lost;       /* no answer that says so: it may have been done all the same */
    struct str cursor;  /* of the next page; absent: none */
};

/* Texts and the body are borrowed until the request has ended. */
struct fly_request {
    enum fly_action action;
    const char *machine; /* its id; NULL: the app */
    const char *query;   /* "a=b&c=d"; NULL: none */
    const char *nonce;   /* of the lease that is held; NULL or empty: none */
    const json_t *body;  /* NULL: none */
    uint32_t ms;         /* PAUSE: how long; else the time limit, 0: the usual one */
    bool is_once;        /* it is not sent again when it was lost */
    void (*done)(void *owner, const struct fly_reply *reply);
    void *owner;
};

/* One request; part of who asks, zeroed at first. */
struct fly_ask {
    struct fly_api *api; /* NULL: none is under way */
    struct fly_ask *next;
    struct fly_request request;
    struct outbound_call *call;
    int64_t due_ms;
    uint32_t tries;
    char *url, *body, *nonce;
};

struct fly_api {
    struct outbound *outbound;
    uv_timer_t timer;
    struct fly_ask *asks; /* oldest first */
    struct fly_limit limit;
    uint64_t random;
    char *base, *authorization;
    void (*on_closed)(void *owner); /* the last that is heard of it */
    void *owner;
};

/* Of a machine's or the app's answer to a write: what it means. `body` may be NULL. Pure. */
enum provider_fault fly_api_fault(long status, const json_t *body);
/* What the API says of an error; NULL: nothing. Borrowed from the body. Pure. */
const char *fly_api_error(const json_t *body);

/* E_NOMEM. The configuration is copied. */
MUST_USE enum status fly_api_open(struct fly_api *api, struct outbound *outbound,
                                  const struct conf_fly *conf);
/* Begins one; `ask` has none under way. `done` comes once, from the loop, when it is over. */
void fly_api_send(struct fly_api *api, struct fly_ask *ask, const struct fly_request *request);
/* Ends one without `done`; none may be under way. */
void fly_api_cancel(struct fly_ask *ask);
/* None may be under way. What it embeds is given back in `on_closed`. */
void fly_api_close(struct fly_api *api, void (*on_closed)(void *owner), void *owner);

#endif
