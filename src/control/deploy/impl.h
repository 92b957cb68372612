/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of deploys: a service as control knows it, its deploy, and how each edge
 * stands to them.
 */
#ifndef CONTROL_DEPLOY_IMPL_H
#define CONTROL_DEPLOY_IMPL_H

#include "config/digest.h"
#include "control/deploy/criteria.h"
#include "control/deploy/evidence.h"
#include "control/deploy/forecast.h"
#include "control/deploy/hook.h"
#include "control/deploy/judge.h"
#include "control/deploy/managed.h"
#include "control/deploy/topup.h"
#include "control/deploy/watch.h"
#include "control/scale/scaler.h"
#include "control/verdict.h"

enum {
    DEPLOY_ID_MAX = 24,
    DEPLOY_LOG_MAX = 200, /* lines kept of a deploy */
    DEPLOY_KEPT = 50,     /* deploys that are over and still shown */
};

/* What is known of the deploy of the service that comes first. */
struct staging_wait {
    struct deploys_waiter waiter;
    bool is_asked;    /* the waiter is to be told */
    int64_t retry_ms; /* monotonic; not asked again before */
    enum deploy_progress progress;
    char why[DEPLOY_WHY_MAX];
};

struct deploy {
    struct deploy *next;
    struct managed *managed;
    char id[DEPLOY_ID_MAX];
    char *service, *release, *old, *key, *actor; /* old: empty, if there was none */
    char *image, *staging;                       /* empty: none */
    struct staging_wait staged;
    json_t *targets, *old_file_targets; /* of the new one; ids of the file's of the old */
    json_t *log;                        /* [{"time_ms", "text"}] */
    json_t *notes; /* for the ledger, written with what changes next; NULL: none */
    json_t *hooks; /* as planned: four lists of {"run"|"url", "timeout_ms"} */
    int64_t created_ms;
    struct deploy_plan plan;
    struct deploy_state state;          /* in the store, or about to be */
    struct deploy_state saving, stored; /* on its way to the store; there, and told to the edges */
    struct verdict_rule rule;
    struct verdict verdict;
    uint32_t judged_step;               /* that the verdict is of */
    struct verdict_side stable, canary; /* since the last look */
    uint64_t stable_requests, stable_failures, canary_requests, canary_failures; /* in this step */
    uint64_t stable_probes, canary_probes;         /* of these, our own requests */
    uint64_t stable_probes_new, canary_probes_new; /* the same since the last look */
    int64_t judged_ms;                             /* monotonic; last look */
    struct window window;                          /* of the new one */
    struct evidence evidence;
    struct criteria criteria;
    struct topup topup;
    json_t *forecast; /* as it was made; NULL: it is not known any more */
    enum deploy_word word;
    char word_actor[DEPLOY_ACTOR_MAX];
    struct deploys_waiter *waiters;
    struct store_put put;
    bool is_saving, is_unsaved, is_known; /* known: it was in the store once */
    bool is_held;                         /* the store failed, and has not taken it since */
    bool is_unwritten;                    /* it could not be put into words for the store */
    int64_t retry_ms;
    struct hook *hook;
    int hook_kind;     /* that runs or has run; -1: none */
    bool is_hook_ours; /* begun by this process */
    uint32_t hook_at;  /* in its list */
    enum deploy_progress hook_progress;
    char hook_why[DEPLOY_WHY_MAX];
    char health_why[200];
};

struct deploys {
    struct traffic *traffic;
    struct deploys_options options;
    struct managed *managed;
    struct deploy *all;       /* newest first */
    struct arena arena;       /* of conf */
    char digest[DIGEST_TEXT]; /* of its files */
    bool is_reading;          /* providers are closed, to be opened with what is new */
    const struct conf *conf;
    struct store_list list;
    bool is_read, is_stalled; /* all of the store; not yet, it failed */
    bool is_closing;
    struct scaler *scaler;
    uint64_t last_id;
};

/* What a platform is asked before a deploy begins. */
struct platform_question {
    const struct deploys_request *request;
    struct deploys_waiter *waiter;
    struct provider_intent intent;
};

/* --- deploys.c */
extern const char deploy_kind[]; /* of its documents in the store */
void deploy_log(struct deploy *deploy, const char *format, ...) PRINTF(2, 3);
/* Writes its state, and what follows for the edges, to the store; what follows is done then. */
void deploy_save(struct deploy *deploy);
/* Once more, where that failed and it is time. */
void deploy_save_again(struct deploy *deploy, int64_t now_ms);
/* Answers those who said something to it; NULL: with what it is now. */
void deploy_tell_waiters(struct deploy *deploy, const struct deploys_problem *problem);

/* --- advance.c */
/* Goes on with a deploy that is not over, at a tick of control. now_ms: monotonic. */
void advance_deploy(struct deploy *deploy, int64_t now_ms);

/* --- deploys_hooks.c */
/* Runs what the state wants. */
void hooks_tick(struct deploy *deploy, int wanted);
void hooks_drop(struct deploy *deploy);

/* --- deploys_show.c */
json_t *deploy_json(const struct deploy *deploy);
/* As the store keeps it. */
json_t *deploy_record(const struct deploy *deploy);
struct deploy *deploy_of_record(struct deploys *deploys, const char *id, const json_t *record);
void deploy_free(struct deploy **deploy);

/* --- plan.c */
/* What is to be done, by what is configured; has_old is known. `is_return`: without what prepares a
 * release that is new. False: no memory. */
bool plan_make(struct deploy *deploy, const struct conf_service *conf, enum conf_strategy strategy,
               bool is_return);

/* --- staging.c */
/* Begins the deploy of the other service, and sees how it fares. */
void staging_see(struct deploy *deploy, struct deploy_seen *seen);

/* --- deploys_start.c: deploys_begin() */
/* Begins it, or refuses, after the platform has said what it thinks of it. `notes`: lines. */
void deploys_begin_planned(struct deploys *deploys, const struct deploys_request *request,
                           struct deploys_waiter *waiter, struct str notes);

/* --- platform.c */
/* Asks the platform of a service, which answers deploys_begin_planned(), or refuses. False: there
 * is nobody to ask. */
bool platform_ask(struct managed *managed, const struct platform_question *question);

#endif
