/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/railway_plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/provider/railway_decide.h"

struct review {
    const struct railway_state *state;
    const struct conf_railway *conf;
    const struct provider_intent *intent;
    struct railway_plan *plan;
};

static bool refuse(const struct review *review, enum provider_fault fault, const char *format, ...)
    PRINTF(3, 4);
static void note(const struct review *review, const char *format, ...) PRINTF(2, 3);

static bool refuse(const struct review *review, enum provider_fault fault, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    review->plan->fault = fault;
    vsnprintf(review->plan->reason, sizeof(review->plan->reason), format, args);
    va_end(args);
    return false;
}

static void note(const struct review *review, const char *format, ...)
{
    char *notes = review->plan->notes;
    size_t len = strlen(notes), size = sizeof(review->plan->notes);
    va_list args;

    if (len && len + 1 < size)
        memcpy(notes + len++, "\n", 2);
    va_start(args, format);
    vsnprintf(notes + len, size - len, format, args);
    va_end(args);
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* --- what cannot be */

static bool check_intent(const struct review *review)
{
    const struct provider_intent *intent = review->intent;

    if (review->state->count == 1 && intent->is_side_by_side)
        return refuse(review, PROVIDER_UNSUPPORTED,
                      "a service of Railway has one release at a time: name a second service in "
                      "`services`, or write `strategy: platform`");
    if (review->state->count == 1 && intent->is_warm)
        return refuse(review, PROVIDER_UNSUPPORTED,
                      "a service of Railway has one release at a time, so the old one cannot be "
                      "kept warm: name a second service in `services`, or write `keep: 0s`");
    if (review->state->count > 1 && intent->is_platform)
        return refuse(review, PROVIDER_UNSUPPORTED,
                      "of a pair of services one runs on when the other one is deployed: name one "
                      "service in `services`, or write another strategy");
    if (intent->units > 1)
        return refuse(review, PROVIDER_UNSUPPORTED,
                      "a release is one deployment of a service of Railway: how many replicas it "
                      "has is said in `regions`");
    return true;
}

/* A token of a project says of itself what it is for. */
static bool check_token(const struct review *review)
{
    const json_t *token = json_object_get(review->state->data, "projectToken");

    if (!json_is_object(token))
        return true;
    if (strcmp(text_at(token, "projectId"), review->conf->project.s.p) != 0)
        return refuse(review, PROVIDER_UNAUTHORIZED, "the token is of another project, %s",
                      text_at(token, "projectId"));
    if (strcmp(text_at(token, "environmentId"), review->conf->environment.s.p) != 0)
        return refuse(review, PROVIDER_UNAUTHORIZED, "the token is of another environment, %s",
                      text_at(token, "environmentId"));
    return true;
}

static bool check_service(const struct review *review, const struct railway_service *service)
{
    if (*service->volume)
        return refuse(review, PROVIDER_UNSUPPORTED,
                      "%s has a volume at %s, and a volume has one deployment at a time: each "
                      "deploy would be an outage",
                      service->name, service->volume);
    if (json_is_true(json_object_get(service->instance, "sleepApplication")))
        return refuse(review, PROVIDER_PERMANENT,
                      "%s may sleep (serverless): it would stop under connections that are idle, "
                      "and probes would not find it; switch that off at Railway",
                      service->name);
    if (*text_at(service->instance, "cronSchedule"))
        return refuse(review, PROVIDER_UNSUPPORTED, "%s is a cron job, and serves nobody",
                      service->name);
    return true;
}

static bool is_region(const json_t *regions, const char *name)
{
    const json_t *region;
    size_t i;

    json_array_foreach(regions, i, region) if (!strcmp(text_at(region, "name"), name)) return true;
    return false;
}

static bool check_regions(const struct review *review)
{
    const json_t *regions = json_object_get(review->state->data, "regions"), *region;
    char known[200] = "";
    size_t i, len = 0;

    json_array_foreach(regions, i, region) if (len < sizeof(known)) len +=
        (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i ? ", " : "",
                         text_at(region, "name"));
    for (uint32_t k = 0; k < review->conf->region_count; k++) {
        const char *name = review->conf->regions[k].name.s.p;

        if (!is_region(regions, name))
            return refuse(review, PROVIDER_PERMANENT, "Railway has no region %s: it has %s", name,
                          known);
    }
    return true;
}

/* --- what to mind */

static void note_changes(const struct review *review, const struct railway_service *service,
                         const char *image)
{
    json_t *wanted = railway_settings(review->conf, service, image);
    char lines[1024];

    if (wanted && railway_difference(service, wanted, lines, sizeof(lines)))
        note(review, "settings of %s will be changed:\n%s", service->name, lines);
    json_decref(wanted);
}

static void note_service(const struct review *review, const struct railway_service *service)
{
    const char *repo = text_at(json_object_get(service->instance, "source"), "repo");
    const struct railway_deployment *stranger = railway_stranger(service);

    if (review->state->count == 1)
        note(review,
             "strategy platform: Railway deploys over the old release; both run for %u s, then the "
             "old one has %u s to end; to go back is to deploy the old one again",
             review->conf->overlap_ms / 1000, review->conf->drain_ms / 1000);
    if (stranger)
        note(review, "deployment %s of %s was not made here, and will be replaced", stranger->id,
             service->name);
    if (*repo)
        note(review, "%s deploys the repository %s, and will have an image in its place",
             service->name, repo);
    if (!review->conf->health_path.s.len)
        note(review, "without `health_path` Railway takes a deployment for live as soon as it is "
                     "executed");
    if (*review->state->uneven)
        note(review, "variables that only one of the two services has: %s", review->state->uneven);
}

void railway_plan(const struct railway_state *state, const struct conf_railway *conf,
                  const struct provider_intent *intent, struct railway_plan *plan)
{
    const struct review review = {state, conf, intent, plan};
    const struct railway_service *service;
    char image[RAILWAY_IMAGE_MAX];
    bool is_good;

    *plan = (struct railway_plan){.fault = PROVIDER_OK};
    is_good = check_intent(&review) && check_token(&review) && check_regions(&review);
    for (uint32_t i = 0; is_good && i < state->count; i++)
        is_good = check_service(&review, &state->services[i]);
    if (!is_good)
        return;
    if (!railway_image(conf, intent->release, intent->image, image)) {
        refuse(&review, PROVIDER_PERMANENT,
               "no image is named: say --image, or write `image` in the configuration");
        return;
    }
    service = railway_free(state, "");
    if (!service) {
        refuse(&review, PROVIDER_CAPACITY,
               "both services, %s and %s, have a release that runs: one has to be stopped first",
               state->services[0].name, state->services[1].name);
        return;
    }
    note(&review, "release %s will be image %s in service %s (%s)", intent->release, image,
         service->name, service->id);
    note_service(&review, service);
    note_changes(&review, service, image);
}

void railway_warning(const struct railway_state *state, char *out, size_t size)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < state->count; i++) {
        const struct railway_service *service = &state->services[i];
        const struct railway_deployment *last =
            service->hold_count ? railway_current((struct railway_place){service, 0}) : NULL;

        if (json_is_true(json_object_get(service->instance, "sleepApplication")))
            snprintf(out, size,
                     "%s may sleep (serverless): it stops under connections that are idle, and "
                     "probes do not find it",
                     service->name);
        else if (last && !strcmp(last->status, "NEEDS_APPROVAL"))
            snprintf(out, size, "deployment %s of %s waits for somebody's approval at Railway",
                     last->id, service->name);
    }
}
