/* SPDX-License-Identifier: Apache-2.0
 *
 * A request of the gateway's own to one of its services, on a worker: what forward_auth asks, what
 * a mirror sends, what scripts fetch. It goes the way of every request from PICK on (health,
 * limits, retries), through no filter, and never blocks. One thread (the worker's).
 */
#ifndef SLUICE_ERRAND_H
#define SLUICE_ERRAND_H

#include "sluice/caller.h"
#include "sluice/head.h"
#include "sluice/reason.h"

enum { ERRAND_FORGOTTEN_MAX = 256 };

struct errand;
struct filter_env;

struct errand_ask {
    struct str service;          /* its name in the configuration that holds now */
    struct str release;          /* that is to answer, and is charged with it; absent: as split */
    const struct caller *caller; /* for whom: X-Forwarded-For, and fairness in queues */
    const struct head *head;     /* request: method and its name, path, query, authority, fields */
    struct str body;             /* with the head copied; empty: none */
    uint32_t timeout_ms;         /* for all of it; 0: what the service's own timeouts say */
    size_t body_max; /* bytes of the answer's body that are kept, 0: none; the rest is read
                      * over where it is little, else cut */
};

/* Valid during the call. */
struct errand_answer {
    enum reason reason;      /* NONE, or why there is no answer, or none that is whole */
    uint16_t status;         /* 0: no answer */
    const struct head *head; /* NULL: no answer */
    struct str body;         /* at most body_max bytes */
    bool is_cut;             /* the body was longer */
};

typedef void errand_done(void *owner, const struct errand_answer *answer);

/* Sends it; `done` is called exactly once, from a later callback, unless errand_cancel() comes
 * before. NULL: memory, or there is no such service: nothing was sent and `done` is not called.
 * `done` may be NULL: nobody wants to know; of such errands a worker has at most
 * ERRAND_FORGOTTEN_MAX under way, and NULL says that it has them. */
struct errand *errand_send(const struct filter_env *env, const struct errand_ask *ask,
                           errand_done *done, void *owner);
/* Nobody wants to know any more; what is under way is broken off. NULL is fine. */
void errand_cancel(struct errand **errand);

#endif
