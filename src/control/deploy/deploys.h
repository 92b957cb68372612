/* SPDX-License-Identifier: Apache-2.0
 *
 * The deploys of all services: what control knows of their releases, what edges are to have of
 * them, and the deploy that each may have under way. Everything that follows from a state follows
 * after that state is in the store, and is done again as often as it takes; so a control that was
 * killed goes on where it was. Called by control.c and by its API. Control's one thread.
 */
#ifndef CONTROL_DEPLOY_DEPLOYS_H
#define CONTROL_DEPLOY_DEPLOYS_H

#include <jansson.h>
#include <uv.h>

#include "config/conf.h"
#include "control/deploy/machine.h"
#include "control/edges.h"
#include "control/outbound.h"
#include "control/store.h"

struct deploys; /* private */

struct deploys_options {
    uv_loop_t *loop;
    struct outbound *outbound;
    struct edges *edges;
    struct store *store;
    struct journal *journal;
    struct unit_client *units; /* NULL: no supervisor that starts apps */
    const char *config;        /* FILE; borrowed, as the next */
    const struct conf_world *world;
    /* What an edge has counted, every few seconds; see traffic.h. */
    void (*on_counters)(void *owner, const char *edge, const json_t *counters);
    void *owner;
};

/* NULL: no memory. Reads what there was from the store, as the first thing. */
struct deploys *deploys_new(const struct deploys_options *options);
/* Reads the file, for services and how they are deployed; a wrong one changes nothing. */
void deploys_configure(struct deploys *deploys);
/* Several times a second. */
void deploys_tick(struct deploys *deploys);
/* Ends all calls and hooks; the loop must turn, and the store end, before deploys_free(). */
void deploys_close(struct deploys *deploys);
void deploys_free(struct deploys **deploys);

/* Why something was refused. */
struct deploys_problem {
    unsigned status; /* HTTP; 0: it was not */
    const char *reason;
    char detail[640];
};
/* Fills it, as of printf(); false. */
bool deploys_refuse(struct deploys_problem *problem, unsigned status, const char *reason,
                    const char *format, ...) PRINTF(4, 5);

/* Somebody who waits for a deploy to be in the store. */
struct deploys_waiter {
    /* `deploy`: as deploys_show(), the callee's; NULL: `problem`. */
    void (*done)(struct deploys_waiter *waiter, json_t *deploy,
                 const struct deploys_problem *problem);
    struct deploys_waiter *next;
};

struct deploys_request {
    const json_t *body; /* {"service", "release", "targets": [...], "image", "strategy",
                            "breaking": false} */
    const char *actor;
    const char *key; /* the same again gives the same deploy; empty: none */
    bool is_return;  /* to a release that served before: nothing prepares it */
    bool is_dry;     /* it is only told what would be done, as forecast_plan() */
};

/* Begins one, or refuses at once. */
void deploys_begin(struct deploys *deploys, const struct deploys_request *request,
                   struct deploys_waiter *waiter);
/* Says a word to one. */
struct deploys_word {
    const char *id;
    enum deploy_word word;
    const char *actor;
    bool may_approve; /* else a step that waits for approval is not passed by another word */
};
void deploys_say(struct deploys *deploys, const struct deploys_word *word,
                 struct deploys_waiter *waiter);
/* Goes back: the deploy that keeps the old release warm is turned round; else the release before is
 * deployed again, or `release` (NULL: not said), as it was deployed then, at once and without what
 * prepares a new one. */
struct deploys_return {
    const char *service, *release, *actor, *key;
};
void deploys_return(struct deploys *deploys, const struct deploys_return *to,
                    struct deploys_waiter *waiter);
/* Whether it has been read what there was; before, nothing is known. */
bool deploys_are_read(const struct deploys *deploys);
/* What is to be known of one; NULL: there is none of that id, or no memory. */
json_t *deploys_show(const struct deploys *deploys, const char *id);
/* All that are kept, newest first. */
json_t *deploys_list(const struct deploys *deploys);

#endif
