/* SPDX-License-Identifier: Apache-2.0
 *
 * What a platform says of a deploy before it begins: that it cannot do it as it is set, or what is
 * to be minded. Nothing has been done until it has answered.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/deploy/impl.h"
#include "control/say.h"

/* A question that is under way; what was asked for is its own. */
struct planning {
    struct deploys *deploys;
    struct deploys_request request;
    struct deploys_waiter *waiter;
};

static void drop(struct planning *planning)
{
    json_decref((json_t *)(uintptr_t)planning->request.body);
    free((char *)(uintptr_t)planning->request.actor);
    free((char *)(uintptr_t)planning->request.key);
    free(planning);
}

static struct planning *make(struct deploys *deploys, const struct platform_question *question)
{
    struct planning *planning = calloc(1, sizeof(*planning));

    if (!planning)
        return NULL;
    *planning = (struct planning){.deploys = deploys,
                                  .request = {.body = json_deep_copy(question->request->body),
                                              .actor = strdup(question->request->actor),
                                              .key = strdup(question->request->key),
                                              .is_return = question->request->is_return,
                                              .is_dry = question->request->is_dry},
                                  .waiter = question->waiter};
    if (planning->request.body && planning->request.actor && planning->request.key)
        return planning;
    drop(planning);
    return NULL;
}

/* A refusal in the words of the platform. */
static struct deploys_problem refusal(const struct provider_result *result)
{
    bool is_passing = result->fault == PROVIDER_TRANSIENT || result->fault == PROVIDER_CAPACITY;
    struct deploys_problem problem = {.status = is_passing ? 503 : 422,
                                      .reason =
                                          is_passing ? "provider_unavailable" : "provider_refused"};

    if (result->fault == PROVIDER_UNAUTHORIZED)
        problem.reason = "provider_unauthorized";
    say_into(problem.detail, sizeof(problem.detail), "Nothing was begun: %s.",
             result->reason ? result->reason : "the platform did not say why");
    return problem;
}

static void on_planned(void *owner, const struct provider_result *result)
{
    struct planning *planning = owner;
    struct deploys_problem problem;

    if (!planning->deploys->is_closing && planning->deploys->is_reading) {
        problem = (struct deploys_problem){503, "control_starting",
                                           "Control reads its configuration anew: try again."};
        planning->waiter->done(planning->waiter, NULL, &problem);
    } else if (!planning->deploys->is_closing && result->fault) {
        problem = refusal(result);
        planning->waiter->done(planning->waiter, NULL, &problem);
    } else if (!planning->deploys->is_closing) {
        deploys_begin_planned(planning->deploys, &planning->request, planning->waiter, result->log);
    }
    drop(planning);
}

bool platform_ask(struct managed *managed, const struct platform_question *question)
{
    struct planning *planning;

    if (!managed->provider->plan)
        return false;
    planning = make(managed->deploys, question);
    if (!planning)
        return false;
    managed->provider->plan(managed->self, &question->intent,
                            (struct provider_call){on_planned, planning});
    return true;
}
