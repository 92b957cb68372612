/* SPDX-License-Identifier: Apache-2.0
 *
 * The way back to a release that served before: the warm one, or one that has to be deployed again
 * from what is known of its deploy.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/deploy/impl.h"

static void refuse(struct deploys_waiter *waiter, const char *reason, const char *format, ...)
    PRINTF(3, 4);

static void refuse(struct deploys_waiter *waiter, const char *reason, const char *format, ...)
{
    struct deploys_problem problem = {.status = 409, .reason = reason};
    va_list args;

    va_start(args, format);
    vsnprintf(problem.detail, sizeof(problem.detail), format, args);
    va_end(args);
    waiter->done(waiter, NULL, &problem);
}

/* The last one that put a release in place. NULL: it is not known of. */
static const struct deploy *find_done(const struct deploys *deploys, const char *service,
                                      const char *release)
{
    for (const struct deploy *deploy = deploys->all; deploy; deploy = deploy->next)
        if (deploy->state.phase == DEPLOY_DONE && !strcmp(deploy->service, service) &&
            !strcmp(deploy->release, release))
            return deploy;
    return NULL;
}

/* A migration between them that cannot be lived with; NULL: there is none that is known of. */
static const struct deploy *find_breaking(const struct deploys *deploys, const struct deploy *then)
{
    for (const struct deploy *deploy = deploys->all; deploy && deploy != then;
         deploy = deploy->next)
        if (!strcmp(deploy->service, then->service) && deploy->plan.is_breaking &&
            deploy->state.has_migrated && strcmp(deploy->release, then->release) != 0)
            return deploy;
    return NULL;
}

static void deploy_again(struct deploys *deploys, const struct deploys_return *to,
                         const struct deploy *then, struct deploys_waiter *waiter)
{
    json_t *targets = then->plan.has_units ? NULL : json_array(), *target;
    struct deploys_request request = {.actor = to->actor, .key = to->key, .is_return = true};
    json_t *body;
    size_t i;

    json_array_foreach(targets ? then->targets : NULL, i, target)
        json_array_append(targets, json_object_get(target, "address"));
    body = json_pack("{s:s,s:s,s:s*,s:o*}", "service", to->service, "release", then->release,
                     "image", *then->image ? then->image : NULL, "targets", targets);
    request.body = body;
    deploys_begin(deploys, &request, waiter);
    json_decref(body);
}

static void go_to(struct deploys *deploys, const struct deploys_return *to, const char *release,
                  struct deploys_waiter *waiter)
{
    const struct deploy *then = find_done(deploys, to->service, release), *breaking;

    if (!then) {
        refuse(waiter, "release_unknown",
               "How release %s of \"%s\" was deployed is not known any more: deploy it.", release,
               to->service);
        return;
    }
    breaking = find_breaking(deploys, then);
    if (breaking)
        refuse(waiter, "migration_breaking",
               "Release %s came with a migration declared breaking: %s cannot work with what it "
               "left.",
               breaking->release, release);
    else
        deploy_again(deploys, to, then, waiter);
}

void deploys_return(struct deploys *deploys, const struct deploys_return *to,
                    struct deploys_waiter *waiter)
{
    const struct managed *managed = managed_find(deploys, to->service);
    const struct deploy *now = managed ? managed->deploy : NULL;
    const char *stable =
        managed ? json_string_value(json_object_get(managed->record, "stable")) : NULL;
    struct deploys_word word = {.word = DEPLOY_SAYS_ROLLBACK, .actor = to->actor};

    if (now && now->state.phase == DEPLOY_STOP) {
        refuse(waiter, "deploy_ending",
               "Deploy %s lets go of the release that it kept warm: try again.", now->id);
        return;
    }
    if (now && (!to->release || !strcmp(to->release, now->old))) {
        word.id = now->id;
        deploys_say(deploys, &word, waiter);
        return;
    }
    now = stable ? find_done(deploys, to->service, stable) : NULL;
    if (to->release)
        go_to(deploys, to, to->release, waiter);
    else if (now && *now->old)
        go_to(deploys, to, now->old, waiter);
    else
        refuse(waiter, "nothing_warm",
               "No release of \"%s\" is warm, and none is known that it could go back to.",
               to->service);
}
