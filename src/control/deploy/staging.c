/* SPDX-License-Identifier: Apache-2.0
 *
 * The service that gets a release first: its deploy is begun by the one that waits for it, under a
 * key that is made of that one's id, so that it is begun once whatever happens.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/say.h"

enum { AGAIN_MS = 2000 };

/* It may be begun once what is in its way is over. */
static bool may_be_soon(const struct deploys_problem *problem)
{
    return (problem->status == 409 || problem->status == 503) &&
           strcmp(problem->reason, "release_in_file") != 0;
}

/* Said whenever it is another. */
static void note(struct staging_wait *staged, const char *detail)
{
    char why[sizeof(staged->why)];

    say_into(why, sizeof(why), "on staging: %s", detail);
    if (!staged->progress && strcmp(why, staged->why) != 0)
        deploy_log(CONTAINER_OF(staged, struct deploy, staged), "waits: %s", why);
    memcpy(staged->why, why, sizeof(why));
}

static void on_begun(struct deploys_waiter *waiter, json_t *begun,
                     const struct deploys_problem *problem)
{
    struct staging_wait *staged = CONTAINER_OF(waiter, struct staging_wait, waiter);

    staged->is_asked = false;
    staged->retry_ms = (int64_t)(clock_us() / 1000) + AGAIN_MS;
    json_decref(begun);
    if (!problem)
        return;
    if (!strcmp(problem->reason, "release_serves"))
        staged->progress = DEPLOY_GOOD;
    else if (!may_be_soon(problem))
        staged->progress = DEPLOY_BAD;
    note(staged, problem->detail);
}

static void begin(struct deploy *deploy, const char *key)
{
    json_t *body = json_pack("{s:s,s:s,s:s*}", "service", deploy->staging, "release",
                             deploy->release, "image", *deploy->image ? deploy->image : NULL);
    struct deploys_request request = {.body = body, .actor = deploy->actor, .key = key};

    deploy->staged.waiter = (struct deploys_waiter){.done = on_begun};
    deploy->staged.is_asked = true;
    deploys_begin(deploy->managed->deploys, &request, &deploy->staged.waiter);
    json_decref(body);
}

static const struct deploy *find(const struct deploys *deploys, const char *key)
{
    for (const struct deploy *deploy = deploys->all; deploy; deploy = deploy->next)
        if (!strcmp(deploy->key, key))
            return deploy;
    return NULL;
}

static void look(struct staging_wait *staged, const struct deploy *other)
{
    if (other->state.phase == DEPLOY_UNDONE) {
        staged->progress = DEPLOY_BAD;
        say_into(staged->why, sizeof(staged->why), "on staging, deploy %s: %s", other->id,
                 other->state.why);
    } else if (deploy_is_told(&other->state)) {
        staged->progress = DEPLOY_GOOD;
    }
}

void staging_see(struct deploy *deploy, struct deploy_seen *seen)
{
    struct staging_wait *staged = &deploy->staged;
    const struct deploy *other;
    char key[DEPLOY_ID_MAX + 16];

    if (deploy->state.phase != DEPLOY_STAGE || !deploy->plan.has_staging)
        return;
    snprintf(key, sizeof(key), "staging of %s", deploy->id);
    other = find(deploy->managed->deploys, key);
    if (other)
        look(staged, other);
    else if (!staged->is_asked && !staged->progress &&
             (int64_t)(clock_us() / 1000) >= staged->retry_ms)
        begin(deploy, key);
    seen->staging = staged->progress;
    if (staged->progress == DEPLOY_BAD)
        seen->why = staged->why;
}
