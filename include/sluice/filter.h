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
#include "sluice/caller.h"
#include "sluice/filter_body.h"
#include "sluice/head.h"
#include "sluice/reason.h"
#include "sluice/vars.h"

struct arena;
struct chain_walk;
struct conf;
struct dict_store;
struct field;
struct key_store;
struct limiter;
struct peer_cert;
struct replay;
struct shared;
struct loop;

enum verdict {
    VERDICT_PASS,  /* go on */
    VERDICT_REPLY, /* visit->reply is the answer */
    VERDICT_WAIT,  /* filter_resume() will come, from a later callback; of on_request alone */
    VERDICT_FAIL,  /* visit->reason says why: the gateway refuses */
};

struct visit_reply {
    uint16_t status;
    struct str content_type, body; /* in the arena or static */
};

/* What a worker lends filters. Stores are the process's: shared by the workers, safe from each. */
struct filter_env {
    struct loop *loop;             /* of the worker: its time, memory and timers */
    unsigned worker;               /* index */
    unsigned workers;              /* how many there are */
    struct limiter *limiter;       /* buckets of tokens */
    struct replay *replay;         /* signatures that were accepted */
    struct key_store *keys;        /* that tokens are verified with */
    struct shared *shared;         /* those that gateways share; the worker's own */
    struct encoder_pool *encoders; /* the worker's own */
    const struct shield *shield;   /* whether there is an emergency */
    struct dict_store *dicts;      /* what scripts share */
};

/* What a hook sees of one request. Valid until on_done. */
struct visit {
    const void *conf; /* this filter's checked configuration */
    void *state; /* this filter's state of state_size bytes in the exchange's arena, zeroed at first
                  */
    struct arena *arena;
    struct chain_walk *walk; /* for filter_resume() */
    const struct filter_env *env;
    const struct caller *caller;
    struct vars *vars; /* the request's */
    struct str route;  /* its name, as metrics have it */
    struct str id;     /* of the request, as X-Request-Id has it */
    struct head *request;
    struct head *response; /* NULL before the answer */
    struct visit_reply reply;
    enum reason reason;
    struct str detail;    /* what a refusal says beside its reason, for the client to read: in the
                           * arena or static; absent: no more */
    enum verdict verdict; /* what it said; one that waited sets it before filter_resume() */
    bool has_body;        /* the request did not end with its head, though nothing may follow */
    bool is_static;       /* the route is answered by the gateway itself: no target will be asked */
    bool is_own;          /* the answer is the gateway's own */
    bool is_bodiless;     /* no body follows the answer's head, also because it answers a HEAD */
    bool edits_request;   /* on_request sets it: its body goes through on_request_body */
    bool sees_request;    /* the same for one that hands every piece on as it is: lengths stay */
    bool holds_request;   /* beside one of these: nothing goes to the target, nor is one picked,
                           * until the whole body has passed all filters */
    bool edits_response;  /* the same of on_response; cleared before each call of that */
};

/* Goes on with a request whose filter said WAIT: visit->verdict (PASS, REPLY, FAIL) is what it says
 * now. On the worker's thread, in a callback that has entered the loop, never within on_request.
 * Nothing happens when the request has ended otherwise meanwhile; on_done says when the visit is
 * gone. The visit may be gone when this returns. */
void filter_resume(struct visit *visit);

/* The certificate that the client showed on the connection that the request came by, verified; read
 * from it when it is first asked for. NULL: none. Of on_request. */
const struct peer_cert *filter_peer_cert(struct visit *visit);

/* For what is compiled once a configuration. All borrowed. */
struct filter_prepare {
    struct arena *arena;     /* lives as long as the configuration */
    const struct conf *conf; /* the whole of it */
    struct span at;          /* of the filter */
    struct diag *diag;
    const struct filter_env *env; /* its stores alone; NULL: it is only checked */
};

struct filter {
    const char *name;           /* its key in the configuration */
    const char *doc;            /* one sentence */
    const struct field *fields; /* table of its keys, see config/field.h */
    size_t conf_size, state_size;
    bool is_standard; /* on every route, with its defaults, unless it is written */
    /* Looks across the fields; false with an error in diag. NULL: nothing to check. */
    bool (*check)(void *conf, struct span at, struct diag *diag);
    /* Compiles what requests will need, also for `sluice check`; false with an error in diag. May
     * read files. Builder thread, before any request. NULL: nothing to compile. */
    bool (*prepare)(void *conf, const struct filter_prepare *prepare);
    /* Gives back what prepare() took outside the arena: once, after the last request, and also when
     * that prepare() failed. Any thread. */
    void (*dispose)(void *conf);
    /* Looks whether files that prepare() read have changed, and takes those that have into use by
     * itself. Every few seconds while the configuration serves, one call at a time, on a helper
     * thread that may block. NULL: nothing to look at. */
    void (*look)(void *conf);
    /* Whether it has nothing to say to a request that begins now: it is not visited then. Any
     * worker. NULL: it always may have. */
    bool (*is_idle)(const void *conf, const struct filter_env *env);
    /* How many keys or users it knows by itself, for status. Any thread. NULL: it knows none. */
    uint32_t (*count_keys)(const void *conf);
    enum verdict (*on_request)(struct visit *visit);
    enum verdict (*on_response)(struct visit *visit); /* PASS or FAIL */
    enum reason (*on_request_body)(struct visit *visit, const struct piece *piece,
                                   const struct body_way *way);
    enum reason (*on_response_body)(struct visit *visit, const struct piece *piece,
                                    const struct body_way *way);
    /* Exactly once when any other hook ran on this visit, also when cancelled. On an answer of the
     * gateway's own on_response may have run without on_request. */
    void (*on_done)(struct visit *visit);
    /* What it said and by which numbers, as members of a JSON object without its braces, in the
     * arena; absent when there is no room. Asked at the end of a request, for some. */
    struct str (*describe)(struct visit *visit);
};

/* Every filter there is, NULL-terminated, in the order they run unless written otherwise. */
extern const struct filter *const filter_registry[];

#endif
