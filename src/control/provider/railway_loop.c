/* SPDX-License-Identifier: Apache-2.0
 *
 * One request after another: a look where some job needs a newer one, and what a job is to do by
 * it. How often is the account's pace, and how long one waits between looks at what takes its time.
 */
#include <stdio.h>

#include "base/clock.h"
#include "control/provider/railway_impl.h"

enum { PATIENCE_MS = 120 * 1000 }; /* for an account that is to be left alone */
enum { LOOK_TRIES = 3, BACKOFF_MS = 500, BACKOFF_MAX_MS = 30 * 1000 };

int64_t railway_now(void)
{
    return (int64_t)(clock_us() / 1000);
}

static void on_timer(uv_timer_t *timer)
{
    railway_advance(timer->data);
}

/* The soonest of those that wait for a time counts. */
static void wake_in(struct railway *railway, int64_t ms)
{
    uint64_t wait_ms = ms > 0 ? (uint64_t)ms : 0;
    bool is_set = uv_is_active((uv_handle_t *)&railway->timer);

    if (!is_set || uv_timer_get_due_in(&railway->timer) > wait_ms)
        uv_timer_start(&railway->timer, on_timer, wait_ms, 0);
}

/* Counts a request as made; false: not yet, and it is tried again then. */
static bool may_ask(struct railway *railway)
{
    int64_t wait_ms = pace_take(railway->pace, railway_now());

    if (wait_ms > 0)
        wake_in(railway, wait_ms);
    return wait_ms <= 0;
}

/* --- looks */

static bool needs_full(const struct railway_job *job)
{
    return job->kind == RAILWAY_PLAN || (job->kind == RAILWAY_START && !job->goal.is_seen);
}

/* The look has failed for good: all that waited for it end. What they begin then is not among
 * them. */
static void fail_all(struct railway *railway, const struct railway_answer *answer)
{
    uint32_t count = 0;

    for (const struct railway_job *job = railway->jobs; job; job = job->next)
        count++;
    while (count--)
        railway_fail(railway->jobs, answer);
}

static void try_again(struct railway *railway, const struct railway_answer *answer)
{
    int64_t pause_ms = BACKOFF_MS << railway->troubles, now_ms = railway_now();

    if (pause_ms > BACKOFF_MAX_MS)
        pause_ms = BACKOFF_MAX_MS;
    if (pause_ms < answer->retry_ms)
        pause_ms = answer->retry_ms;
    for (struct railway_job *job = railway->jobs; job; job = job->next)
        job->due_ms = now_ms + pause_ms;
}

/* What was seen before stays where this is not understood: some go on by it. */
static bool see(struct railway *railway, json_t *data)
{
    struct railway_state state;

    if (!railway_state_read(&state, railway->conf, json_incref(data))) {
        railway_state_free(&state);
        return false;
    }
    railway_state_free(&railway->state);
    railway->state = state;
    return true;
}

static void on_look(struct railway *railway, struct railway_answer *answer)
{
    if (!answer->fault) {
        if (see(railway, answer->data)) {
            railway->looks++;
            railway->looked_ms = railway_now();
            railway->is_dirty = false;
            railway->troubles = 0;
            return;
        }
        railway->is_dirty = true;
        *answer = (struct railway_answer){.fault = PROVIDER_TRANSIENT,
                                          .data = answer->data,
                                          .reason = "Railway's answer is not "
                                                    "understood"};
    }
    if (answer->fault == PROVIDER_TRANSIENT && ++railway->troubles < LOOK_TRIES) {
        try_again(railway, answer);
        return;
    }
    railway->troubles = 0;
    fail_all(railway, answer);
}

static void on_reply(void *owner, const struct outbound_reply *reply)
{
    struct railway *railway = owner;
    struct railway_job *job = railway->acting;
    struct railway_answer answer;

    railway->http = NULL;
    railway->acting = NULL;
    railway_api_read(reply, &answer);
    if (answer.retry_ms)
        pace_pause(railway->pace, railway_now() + answer.retry_ms);
    if (job)
        railway_take(job, &answer);
    else
        on_look(railway, &answer);
    json_decref(answer.data);
    railway_advance(railway);
}

static json_t *look_variables(const struct railway *railway)
{
    const struct conf_railway *conf = railway->conf;
    bool is_pair = conf->services.count > 1, is_full = false, is_plan = false;

    for (const struct railway_job *job = railway->jobs; job; job = job->next) {
        is_full |= needs_full(job);
        is_plan |= job->kind == RAILWAY_PLAN;
    }
    return json_pack("{s:s,s:s,s:s,s:s,s:b,s:b,s:b,s:b}", "p", conf->project.s.p, "e",
                     conf->environment.s.p, "a", conf->services.items[0].s.p, "b",
                     is_pair ? conf->services.items[1].s.p : "", "pair", is_pair, "full", is_full,
                     "plan", is_plan, "token", is_plan && conf->token_type == CONF_TOKEN_PROJECT);
}

static void transmit(struct railway *railway, enum railway_query query, json_t *variables)
{
    railway->asked = query;
    railway->http =
        railway_api_send(&railway->api, &(struct railway_ask){query, variables, on_reply, railway});
}

static void look(struct railway *railway)
{
    int64_t due_ms = INT64_MAX, now_ms = railway_now();

    for (const struct railway_job *job = railway->jobs; job; job = job->next)
        if (job->need > railway->looks && job->due_ms < due_ms)
            due_ms = job->due_ms;
    if (due_ms == INT64_MAX)
        return;
    if (due_ms > now_ms) {
        wake_in(railway, due_ms - now_ms);
    } else if (may_ask(railway)) {
        transmit(railway, RAILWAY_ASK_LOOK, look_variables(railway));
        if (!railway->http)
            wake_in(railway, BACKOFF_MS);
    }
}

/* --- what jobs do */

bool railway_act(struct railway_job *job, enum railway_query query, json_t *variables)
{
    struct railway *railway = job->railway;

    if (!may_ask(railway)) {
        json_decref(variables);
        return false;
    }
    transmit(railway, query, variables);
    if (!railway->http) {
        wake_in(railway, BACKOFF_MS);
        return false;
    }
    railway->acting = job;
    return true;
}

/* Railway wants to be left alone for longer than anybody waits without being told. */
static void give_up(struct railway *railway)
{
    int64_t wait_ms = railway->pace->next_ms - railway_now();
    struct railway_answer answer = {.fault = PROVIDER_TRANSIENT};

    if (wait_ms <= PATIENCE_MS)
        return;
    answer.retry_ms = wait_ms < INT32_MAX ? (uint32_t)wait_ms : INT32_MAX;
    snprintf(answer.reason, sizeof(answer.reason),
             "Railway was asked too often, and may be asked again in %u s", answer.retry_ms / 1000);
    fail_all(railway, &answer);
}

void railway_advance(struct railway *railway)
{
    struct railway_job *job;

    uv_timer_stop(&railway->timer);
    if (!railway->http)
        give_up(railway);
    job = railway->jobs;
    while (job && !railway->http)
        job = railway_serve(job) ? railway->jobs : job->next;
    if (!railway->http)
        look(railway);
}
