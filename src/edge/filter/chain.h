/* SPDX-License-Identifier: Apache-2.0
 *
 * The filters of a route in the order they run, and one walk of them for one exchange. Built with
 * the rules in their arena; immutable then. A walk lives in the exchange's arena. One thread a
 * walk.
 */
#ifndef EDGE_FILTER_CHAIN_H
#define EDGE_FILTER_CHAIN_H

#include "config/conf.h"
#include "sluice/filter.h"

struct chain_link {
    const struct filter *filter;
    const void *conf;
};

struct chain {
    unsigned count;
    bool has_request_body, has_response_body; /* a filter has such a hook */
    const struct chain *calm;                 /* without those that may be idle; NULL: none may */
    struct chain_link links[];
};

/* The global filters with the route's own merged in: one of the same name is replaced where it
 * stands, `off` removes it, new ones follow. NULL when memory ends. */
const struct chain *chain_build(const struct conf_filters *global, const struct conf_filters *own,
                                struct arena *arena);

/* Where bodies come out behind the last filter; the result is that of filter_pass_body(). What they
 * do may not end the walk: the caller of chain_request_body() and chain_response_body() does. */
struct chain_ends {
    enum reason (*request)(void *owner, const struct piece *piece);
    enum reason (*response)(void *owner, const struct piece *piece);
    void (*resume)(void *owner); /* the filter that waited has decided: chain_request() again */
    const struct peer_cert *(*peer_cert)(void *owner); /* NULL: there are none */
};

struct chain_walk {
    const struct chain *chain;
    const struct chain_ends *ends; /* borrowed */
    void *owner;                   /* of the ends */
    struct visit *visits;          /* one a filter */
    unsigned asked;                /* filters on which a hook has run: on_done is theirs */
    unsigned at;                   /* the next to ask */
    /* The body goes through hooks: set by chain_request() and chain_response(); if not, the caller
     * need not ask the chain. */
    bool edits_request, edits_response;
    bool holds_request; /* its head waits for the body to come out of the hooks */
    bool is_waiting;    /* the filter before `at` has not decided */
    bool is_bodiless;   /* set by the caller of chain_response(): no body follows the head */
    bool is_refused;    /* the request's body was, by a filter or the end */
    bool is_broken;     /* a hook or the end gave up on the answer: nothing more goes through */
};

/* Compiles what the filters of a configuration need, all of it: its own and its routes', with the
 * stores of `env` (NULL: it is only checked). False with
 * errors in `diag`; what was prepared is disposed of then. */
bool chain_prepare(const struct conf *conf, const struct filter_env *env, struct arena *arena,
                   struct diag *diag);
void chain_dispose(const struct conf *conf);
/* Has the filters look at their files; true when there is any that does. Blocking; one call at a
 * time. `has_to` false: only says. */
bool chain_look(const struct conf *conf, bool has_to);

/* What of the chain a request that begins now is asked by: all of it, or the calm one. */
const struct chain *chain_now(const struct chain *chain, const struct filter_env *env);
/* Starts a walk of what chain_now() says; E_NOMEM when the arena is at its limit: it has no filters
 * then. `common` is copied into each visit; `walk` has its ends and their owner set. */
MUST_USE enum status chain_start(struct chain_walk *walk, const struct chain *chain,
                                 const struct visit *common);
/* Asks from where it stands; *visit is the filter that did not PASS. Call again when ends->resume()
 * says that WAIT is over. */
enum verdict chain_request(struct chain_walk *walk, struct visit **visit);
/* Tells all that were asked (all filters on an own answer), in reverse; PASS or FAIL. */
enum verdict chain_response(struct chain_walk *walk, struct head *response, bool is_own,
                            struct visit **visit);
/* Whether there are filters that saw neither the request nor an answer to it: what they would have
 * hidden of it is still there. */
bool chain_is_cut(const struct chain_walk *walk);
/* What a filter that refused has to say beside its reason; absent: nothing. */
struct str chain_detail(const struct chain_walk *walk);
/* Sends a piece of the request's body through the hooks, and what they make of it to the ends. */
MUST_USE enum reason chain_request_body(struct chain_walk *walk, const struct piece *piece);
/* The same of the answer's, the other way. */
MUST_USE enum reason chain_response_body(struct chain_walk *walk, const struct piece *piece);
/* The answer has paused: each hook may hand on what it keeps. */
MUST_USE enum reason chain_response_pause(struct chain_walk *walk);
/* Ends the walk: on_done of all that were asked. May be called twice. */
void chain_end(struct chain_walk *walk);

#endif
