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
    bool is_own; /* the answer is the gateway's own */
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
    void (*on_done)(
        struct visit *visit); /* exactly once for each on_request, also when cancelled */
};

/* Every filter there is, NULL-terminated, in the order they run unless written otherwise. */
extern const struct filter *const filter_registry[];

#endif
