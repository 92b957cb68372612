/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the provider `railway`: the calls that are under way, and the one request
 * that is. Requests follow each other, so what one has changed the next look shows.
 */
#ifndef CONTROL_PROVIDER_RAILWAY_IMPL_H
#define CONTROL_PROVIDER_RAILWAY_IMPL_H

#include <uv.h>

#include "control/provider/railway_api.h"
#include "control/provider/railway_decide.h"

enum { RAILWAY_PAUSE_MS = 250 };

enum railway_kind {
    RAILWAY_START,
    RAILWAY_STOP,
    RAILWAY_LIST,
    RAILWAY_LOG,
    RAILWAY_PLAN,
};

/* A call of the contract. */
struct railway_job {
    struct railway_job *next;
    struct railway *railway;
    struct provider_call call;
    enum railway_kind kind;
    enum provider_fault refusal; /* OK: none; it ends with it */
    const char *refusal_reason;
    char unit[PROVIDER_ID_MAX + 1], release[PROVIDER_ID_MAX + 1], image[RAILWAY_IMAGE_MAX];
    json_t *env;                   /* of a start: more variables */
    struct provider_intent intent; /* of a plan; its texts are `release` and `image` */
    struct railway_goal goal;
    uint64_t need;     /* the look that it goes on with */
    int64_t due_ms;    /* not before it; monotonic */
    uint32_t pause_ms; /* until the next look, when one has to wait */
    uint32_t marks;    /* written for it */
    uint32_t troubles;
    bool is_explained; /* it was asked why the deployment failed */
    char why[160];
};

struct railway {
    struct provider_env env;
    const struct conf_service *service;
    const struct conf_railway *conf;
    struct railway_api api;
    struct pace *pace;
    struct railway_state state; /* of the last look */
    uint64_t looks;
    int64_t looked_ms;
    bool is_dirty;            /* something was changed since */
    struct railway_job *jobs; /* oldest first */
    struct outbound_call *http;
    struct railway_job *acting; /* whose request it is; NULL: a look */
    enum railway_query asked;
    uint32_t troubles; /* looks that failed, in a row */
    uv_timer_t timer;
};

/* --- railway_loop.c */
/* Does what can be done now, and sees to it that the rest is done when it is due. */
void railway_advance(struct railway *railway);
/* Asks something for a job. False: not now, the account's pace forbids it; or the job has ended. */
bool railway_act(struct railway_job *job, enum railway_query query, json_t *variables);
/* Monotonic milliseconds. */
int64_t railway_now(void);

/* --- railway_jobs.c */
/* Goes on with a job by what is known. True: it has ended. */
bool railway_serve(struct railway_job *job);
/* What was asked for it was answered. */
void railway_take(struct railway_job *job, const struct railway_answer *answer);
/* Ends it with a fault. */
void railway_fail(struct railway_job *job, const struct railway_answer *answer);

#endif
