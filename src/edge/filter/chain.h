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
    struct chain_link links[];
};

/* The global filters with the route's own merged in: one of the same name is replaced where it
 * stands, `off` removes it, new ones follow. NULL when memory ends. */
const struct chain *chain_build(const struct conf_filters *global, const struct conf_filters *own,
                                struct arena *arena);

struct chain_walk {
    const struct chain *chain;
    struct visit *visits; /* one a filter */
    unsigned asked;       /* filters whose on_request has run: on_done is theirs */
    unsigned at;          /* the next to ask */
};

/* Starts a walk; E_NOMEM when the arena is at its limit. `common` is copied into each visit. */
MUST_USE enum status chain_start(struct chain_walk *walk, const struct chain *chain,
                                 const struct visit *common);
/* Asks from where it stands; *visit is the filter that did not PASS. Call again after WAIT is over.
 */
enum verdict chain_request(struct chain_walk *walk, struct visit **visit);
/* Tells all that were asked (all filters on an own answer), in reverse; PASS or FAIL. */
enum verdict chain_response(struct chain_walk *walk, struct head *response, bool is_own,
                            struct visit **visit);
/* Ends the walk: on_done of all that were asked. May be called twice. */
void chain_end(struct chain_walk *walk);

#endif
