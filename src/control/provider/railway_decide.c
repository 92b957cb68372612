/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/railway_decide.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct look {
    const struct railway_state *state;
    const struct conf_railway *conf;
    struct railway_goal *goal;
    int64_t now_ms;
    struct railway_step *step;
};

static void end(const struct look *look, enum provider_fault fault, const char *format, ...)
    PRINTF(3, 4);

static void end(const struct look *look, enum provider_fault fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    look->step->verb = RAILWAY_END;
    look->step->fault = fault;
    vsnprintf(look->step->reason, sizeof(look->step->reason), format, args);
    va_end(args);
}

static void end_well(const struct look *look)
{
    look->step->verb = RAILWAY_END;
    look->step->fault = PROVIDER_OK;
}

/* Of what a deployment is on its way to. */
static bool is_late(const struct look *look)
{
    return look->now_ms - look->goal->begun_ms >= (int64_t)look->conf->deadline_ms;
}

static void wait_for(const struct look *look, const struct railway_deployment *deployment)
{
    look->step->verb = RAILWAY_PAUSE;
    if (is_late(look))
        end(look, PROVIDER_TRANSIENT, "deployment %s is still %s after %u s", deployment->id,
            deployment->status, look->conf->deadline_ms / 1000);
}

/* --- where */

const struct railway_service *railway_free(const struct railway_state *state, const char *unit)
{
    const struct railway_service *second = NULL;

    for (uint32_t i = 0; i < state->count; i++) {
        const struct railway_service *service = &state->services[i];

        if (state->count > 1 && railway_is_taken(service, unit))
            continue;
        if (!railway_stranger(service))
            return service;
        if (!second)
            second = service;
    }
    return second;
}

/* The unit comes first: all deployments from now on are its own. */
static void mark(const struct look *look, const struct railway_service *service, uint32_t starts)
{
    struct railway_step *step = look->step;

    step->verb = RAILWAY_MARK;
    step->service = service;
    step->hold_count = 1;
    step->holds[0] =
        (struct railway_hold){.before_ms = railway_newest_ms(service), .starts = starts};
    snprintf(step->holds[0].unit, sizeof(step->holds[0].unit), "%s", look->goal->unit);
    snprintf(step->holds[0].release, sizeof(step->holds[0].release), "%s", look->goal->release);
    for (uint32_t i = 0; i < service->hold_count && step->hold_count < RAILWAY_HOLDS; i++)
        if (strcmp(service->holds[i].unit, look->goal->unit) != 0)
            step->holds[step->hold_count++] = service->holds[i];
}

static void unmark(const struct look *look, const struct railway_place *place)
{
    struct railway_step *step = look->step;

    step->verb = RAILWAY_MARK;
    step->service = place->service;
    step->hold_count = 0;
    for (uint32_t i = 0; i < place->service->hold_count; i++)
        if (i != place->at)
            step->holds[step->hold_count++] = place->service->holds[i];
}

/* --- a start */

/* Nothing of it was deployed since it was marked. */
static void deploy(const struct look *look, const struct railway_service *service)
{
    struct railway_goal *goal = look->goal;
    int64_t since_ms = look->now_ms - goal->deployed_ms;
    bool is_asked = goal->deployed_ms && (goal->is_deployed || since_ms < RAILWAY_SETTLE_MS);

    look->step->service = service;
    look->step->verb = RAILWAY_PAUSE;
    if (is_asked && since_ms >= RAILWAY_LOST_MS)
        end(look, PROVIDER_TRANSIENT, "Railway took a deployment of %s, and does not know it",
            service->name);
    // Somebody else may have asked for it the moment before: a control that was killed since.
    else if (!is_asked && (goal->is_marked || look->now_ms - goal->begun_ms >= RAILWAY_SETTLE_MS))
        look->step->verb = RAILWAY_DEPLOY;
}

static void prepare(const struct look *look, const struct railway_service *service)
{
    json_t *wanted;
    char differs[256];

    look->step->verb = RAILWAY_PAUSE;
    if (!look->state->is_full)
        return;
    wanted = railway_settings(look->conf, service, look->goal->image);
    if (!wanted) {
        end(look, PROVIDER_TRANSIENT, "out of memory");
    } else if (!railway_difference(service, wanted, differs, sizeof(differs))) {
        deploy(look, service);
    } else if (look->goal->is_configured) {
        end(look, PROVIDER_PERMANENT,
            "Railway did not take the settings of %s, which read otherwise than was sent: %s",
            service->name, differs);
    } else {
        look->step->verb = RAILWAY_CONFIGURE;
        look->step->service = service;
    }
    json_decref(wanted);
}

static void place(const struct look *look, uint32_t starts)
{
    const struct railway_service *service = railway_free(look->state, look->goal->unit);

    if (service)
        mark(look, service, starts);
    else
        end(look, PROVIDER_CAPACITY,
            "both services, %s and %s, have a release that runs: one has to be stopped first",
            look->state->services[0].name, look->state->services[1].name);
}

/* It runs no more, or never did. */
static void start_again(const struct look *look, struct railway_place at,
                        const struct railway_deployment *last)
{
    const struct railway_hold *hold = &at.service->holds[at.at];
    bool was_begun = last && (look->goal->is_seen || look->goal->deployed_ms);

    if (was_begun && last->life == RAILWAY_CRASHED)
        end_well(look);
    else if (was_begun)
        end(look, PROVIDER_PERMANENT, "deployment %s of %s is %s", last->id, at.service->name,
            last->status);
    else if (!at.at && !last)
        prepare(look, at.service);
    else if (look->state->count > 1 && railway_is_taken(at.service, look->goal->unit))
        unmark(look, &at);
    else
        mark(look, at.service, hold->starts + 1);
}

static bool is_other_image(const struct look *look, const struct railway_deployment *deployment)
{
    return *deployment->image && look->goal->deployed_ms &&
           strncmp(deployment->image, look->goal->image, sizeof(deployment->image) - 1) != 0;
}

static void decide_start(const struct look *look, struct railway_place at)
{
    const struct railway_deployment *current = railway_current(at);
    enum railway_life life = current ? current->life : RAILWAY_NONE;
    const struct railway_hold *hold = &at.service->holds[at.at];

    if (strcmp(hold->release, look->goal->release) != 0) {
        end(look, PROVIDER_PERMANENT, "unit %s is of release %s", hold->unit, hold->release);
    } else if ((life == RAILWAY_SERVING || life == RAILWAY_ASLEEP) &&
               is_other_image(look, current)) {
        end(look, PROVIDER_PERMANENT, "deployment %s of %s runs the image %s", current->id,
            at.service->name, current->image);
    } else if (life == RAILWAY_SERVING || life == RAILWAY_ASLEEP) {
        end_well(look);
    } else if (life == RAILWAY_WAITING || life == RAILWAY_COMING) {
        look->goal->is_seen = true;
        wait_for(look, current);
    } else if (life == RAILWAY_LEAVING && !look->goal->is_seen) {
        end(look, PROVIDER_TRANSIENT, "unit %s is being stopped", hold->unit);
    } else {
        start_again(look, at, current);
    }
}

/* --- a stop */

/* One that was told to end, and of which more is to come. */
static void decide_end(const struct look *look, const struct railway_deployment *running)
{
    struct railway_goal *goal = look->goal;

    look->step->deployment = running;
    wait_for(look, running);
    if (look->step->verb == RAILWAY_END ||
        (goal->ended_ms && look->now_ms - goal->ended_ms < RAILWAY_SETTLE_MS))
        return;
    // What cannot be cancelled any more can be removed.
    look->step->verb = running->life == RAILWAY_WAITING && goal->refusals % 2 == 0 ? RAILWAY_CANCEL
                                                                                   : RAILWAY_REMOVE;
}

static void decide_stop(const struct look *look, struct railway_place at)
{
    const struct railway_deployment *running = railway_running(at), *last = railway_current(at);

    if (running)
        decide_end(look, running);
    else if (last && last->life == RAILWAY_LEAVING)
        wait_for(look, last);
    else if (look->goal->is_removed)
        unmark(look, &at);
    else
        end_well(look);
}

void railway_decide(const struct railway_state *state, const struct conf_railway *conf,
                    struct railway_goal *goal, int64_t now_ms, struct railway_step *step)
{
    struct railway_place at = railway_find(state, goal->unit);
    const struct look look = {state, conf, goal, now_ms, step};

    *step = (struct railway_step){.verb = RAILWAY_END};
    if (goal->release && at.service)
        decide_start(&look, at);
    else if (goal->release)
        place(&look, 1);
    else if (at.service)
        decide_stop(&look, at);
    else
        end_well(&look);
}
