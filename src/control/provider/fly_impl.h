/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the provider `fly`: a call of the contract is a job, which asks the API
 * one thing after another. Jobs on the same unit follow each other; jobs that need to know what
 * machines there are share one listing, begun after they asked.
 */
#ifndef CONTROL_PROVIDER_FLY_IMPL_H
#define CONTROL_PROVIDER_FLY_IMPL_H

#include "control/provider/fly_api.h"
#include "control/provider/fly_clone.h"
#include "control/provider/fly_machine.h"

enum { FLY_ID_SIZE = 64, FLY_NONCE_SIZE = 128, FLY_QUERY_SIZE = 160, FLY_NEXT_SIZE = 4096 };

struct fly;
struct fly_job;

typedef void fly_step(struct fly_job *job);

enum fly_survey_need { FLY_SURVEY_NONE, FLY_SURVEY_NEXT, FLY_SURVEY_THIS };

struct fly_job {
    struct fly_job *next; /* younger */
    struct fly *fly;
    struct provider_call call;
    fly_step *begin;
    bool has_begun;
    bool is_answered;             /* `call` is over; what is left is a lease to be given back */
    char id[PROVIDER_ID_MAX + 1]; /* empty: of no unit */
    struct fly_ask ask;
    enum fly_survey_need need;
    fly_step *onward;         /* when the machines are known, or the lease is had */
    json_t *machines;         /* all of the app; owned */
    json_t *machine;          /* the one at hand; owned, may be NULL */
    char handle[FLY_ID_SIZE]; /* its id */
    char nonce[FLY_NONCE_SIZE], query[FLY_QUERY_SIZE];
    fly_step *then;             /* after a pause, a lease given back, a machine destroyed */
    fly_step *after;            /* when a machine is gone */
    fly_step *judge, *lost;     /* the one at hand is as it is now; there is none of that id */
    int64_t lease_ms, until_ms; /* monotonic; when to give up */
    uint32_t tries;

    /* Of what was asked for. */
    struct fly_clone clone; /* start, plan; texts are copies */
    char *release, *image, *region;
    json_t *env, *body, *model; /* owned */
    int64_t ended_ms;           /* of the machine, before it was started */
    uint32_t region_at;         /* regions that had no room */
    uint32_t grace_ms;
    bool is_removed, may_freeze;
    bool is_told;                  /* to stop */
    bool is_doubtful;              /* Fly has refused it, or nothing came of it for long */
    bool is_roused;                /* start: it was told to */
    bool is_stopped;               /* in place of being suspended */
    struct provider_intent intent; /* plan; texts are copies */
    char *old;
};

struct fly {
    struct fly_api api;
    const struct conf_fly *conf;
    char *service;
    struct fly_job *jobs; /* oldest first */
    struct fly_ask survey;
    json_t *found;            /* so far, of the survey under way */
    char next[FLY_NEXT_SIZE]; /* query of the page after the one that is asked for */
    uint32_t pages;
    char trouble[FLY_REASON_MAX]; /* why one was stopped that was to be suspended; empty: none */
};

/* --- fly.c; a job is gone after each fly_finish*; one that ends with a fault gives its lease back
 */
void fly_finish(struct fly_job *job, const struct provider_result *result);
/* `reason` is copied first. */
void fly_finish_fault(struct fly_job *job, enum provider_fault fault, const char *reason);
/* As an answer of the API says. */
void fly_finish_reply(struct fly_job *job, const struct fly_reply *reply);
/* Well, with the machine at hand. */
void fly_finish_unit(struct fly_job *job);
int64_t fly_now(void);
/* Has all machines of a unit but one destroyed, unless something is done with the unit; nobody is
 * told, since a listing says it. */
void fly_spare(struct fly *fly, const char *unit);
/* Asks about the machine at hand; `request` has the rest. */
void fly_send(struct fly_job *job, struct fly_request *request);
/* Goes on with `then` after a while. */
void fly_pause(struct fly_job *job, uint32_t ms, fly_step *then);
/* Takes a machine as the one at hand; it is ref'd. */
void fly_take(struct fly_job *job, json_t *machine);

/* --- fly_wait.c */
/* Looks at the machine at hand, and goes on with one of these. */
void fly_look(struct fly_job *job, fly_step *judge, fly_step *lost);
/* The same once it is in one of `states` ("state=started&state=..."), or has not come there for a
 * while. */
void fly_wait(struct fly_job *job, const char *states, fly_step *judge, fly_step *lost);

/* --- fly_survey.c */
/* Goes on when all machines are known; a failure ends the job. */
void fly_survey(struct fly_job *job, fly_step *onward);
/* Begins one for whoever waits for it. */
void fly_survey_next(struct fly *fly);
/* Units of the service, one each. */
void fly_survey_list(struct fly_job *job);

/* --- fly_lease.c */
/* Goes on with the lease of the machine at hand; where another holds it for long, the job ends. */
void fly_lease_take(struct fly_job *job, fly_step *onward);
/* Gives it back; whether that went well matters to nobody, since it ends by itself. */
void fly_lease_give(struct fly_job *job, fly_step *then);

/* --- fly_model.c */
/* What a new machine of the job is cloned from, when all are known: one of its release, since those
 * are alike, else what `like` says. Borrowed from the job. NULL: `fault` and `why` say what is
 * missing or in the way. */
const json_t *fly_model_find(struct fly_job *job, enum provider_fault *fault,
                             char why[FLY_CLONE_WHY_SIZE]);

/* --- fly_start.c, fly_stop.c, fly_plan.c: what jobs begin with */
void fly_start(struct fly_job *job);
void fly_stop(struct fly_job *job);
void fly_plan(struct fly_job *job);
/* Destroys the machine at hand, and goes on when it is gone. */
void fly_stop_destroy(struct fly_job *job, fly_step *then);
/* Destroys all machines of the unit but one. */
void fly_stop_spare(struct fly_job *job);
/* Stops the machine at hand, whatever it does. */
void fly_stop_tell(struct fly_job *job);

/* --- fly_suspend.c */
/* Whether a machine with this configuration cannot be suspended, and why. */
bool fly_suspend_refuses(const json_t *config, char why[FLY_CLONE_WHY_SIZE]);
/* Whether the machine at hand, which runs, is to be suspended. */
bool fly_suspend_is_due(const struct fly_job *job);
/* Suspends it; where that comes to nothing it is stopped. */
void fly_suspend(struct fly_job *job);

#endif
