/* SPDX-License-Identifier: Apache-2.0
 *
 * The beginning of a deploy: what was asked for is checked against what there is, and becomes a
 * plan. A conflict is found here, before anything is done.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/deploy/notes.h"
#include "control/deploy/splits.h"
#include "rest/target.h"

/* One request as it is looked at. */
struct ask {
    struct deploys *deploys;
    const struct deploys_request *request;
    struct deploys_problem problem;
    const struct conf_service *conf;
    const char *service, *release, *image; /* image: NULL: none was named */
    const json_t *targets;
    struct managed *managed;
    enum conf_strategy strategy;
    char old[CONF_RELEASE_ID_MAX + 1];
    bool has_old;
    struct deploy *ending; /* whose warm time has to end first; NULL: none */
    json_t *old_file_targets;
};

bool deploys_refuse(struct deploys_problem *problem, unsigned status, const char *reason,
                    const char *format, ...)
{
    va_list args;

    va_start(args, format);
    problem->status = status;
    problem->reason = reason;
    vsnprintf(problem->detail, sizeof(problem->detail), format, args);
    va_end(args);
    return false;
}

/* --- what is asked for */

static const struct conf_service *find_conf(const struct conf *conf, const char *name)
{
    for (uint32_t i = 0; conf && i < conf->service_count; i++)
        if (str_same(conf->services[i].name.s, (struct str){name, strlen(name)}))
            return &conf->services[i];
    return NULL;
}

static bool takes_images(const struct conf_service *conf)
{
    const struct provider *provider = provider_of(conf);

    return provider && provider->abilities & PROVIDER_IMAGES;
}

/* Whether the service can be deployed so. */
static bool suits(struct ask *ask)
{
    const struct provider *provider = provider_of(ask->conf);

    if (ask->strategy == CONF_ROLLING && !provider)
        return deploys_refuse(&ask->problem, 422, "deploy_invalid",
                              "rolling goes unit by unit, and nobody runs units for \"%s\".",
                              ask->service);
    if (ask->strategy == CONF_PLATFORM && (!provider || !(provider->abilities & PROVIDER_REPLACES)))
        return deploys_refuse(&ask->problem, 422, "deploy_invalid",
                              "No platform switches releases of \"%s\" by itself: it is run by %s.",
                              ask->service, provider ? provider->name : "nobody here");
    return true;
}

/* As configured, where none is said. */
static bool read_strategy(struct ask *ask, const json_t *said)
{
    const char *name = json_string_value(said);
    int at = 0;

    ask->strategy = ask->conf->deploy.strategy;
    if (ask->request->is_return && ask->strategy == CONF_CANARY)
        ask->strategy = CONF_BLUEGREEN; // it is known, and wanted now
    if (!said)
        return suits(ask);
    while (name && conf_strategies[at] && strcmp(name, conf_strategies[at]) != 0)
        at++;
    if (!name || !conf_strategies[at])
        return deploys_refuse(&ask->problem, 422, "deploy_invalid",
                              "\"strategy\" is bluegreen, canary, recreate, rolling or platform.");
    ask->strategy = (enum conf_strategy)at;
    return suits(ask);
}

/* As edges will take it. */
static bool check_target(struct ask *ask, const json_t *address)
{
    struct target_text target;
    struct arena arena;
    const char *wrong = NULL;
    json_t *json;

    if (!json_is_string(address))
        return deploys_refuse(&ask->problem, 422, "deploy_invalid",
                              "Each target is an address, as text: \"127.0.0.1:3000\".");
    json = json_pack("{s:O}", "address", address);
    arena_init(&arena, NULL, 0);
    wrong = target_read(json, &arena, &target);
    if (wrong)
        deploys_refuse(&ask->problem, 422, "deploy_invalid", "Target \"%.100s\": %s.",
                       json_string_value(address), wrong);
    arena_reset(&arena);
    json_decref(json);
    return !wrong;
}

static bool read_body(struct ask *ask)
{
    const json_t *body = ask->request->body, *target;
    size_t i;

    ask->service = json_string_value(json_object_get(body, "service"));
    ask->release = json_string_value(json_object_get(body, "release"));
    ask->targets = json_object_get(body, "targets");
    ask->image = json_string_value(json_object_get(body, "image"));
    if (!ask->service || !ask->release)
        return deploys_refuse(&ask->problem, 422, "deploy_invalid",
                              "\"service\" and \"release\" are needed, as text.");
    if (!conf_release_is_id((struct str){ask->release, strlen(ask->release)}))
        return deploys_refuse(&ask->problem, 422, "deploy_invalid",
                              "A release's id has letters, digits and \"._-\", %d of them at most.",
                              CONF_RELEASE_ID_MAX);
    ask->conf = find_conf(ask->deploys->conf, ask->service);
    if (!ask->conf)
        return deploys_refuse(&ask->problem, 404, "service_not_found",
                              "There is no service \"%s\".", ask->service);
    if (ask->conf->provider.is_set && ask->targets)
        return deploys_refuse(
            &ask->problem, 422, "deploy_invalid",
            "The provider of \"%s\" knows where its releases run: no \"targets\".", ask->service);
    if (!ask->conf->provider.is_set && !json_array_size(ask->targets))
        return deploys_refuse(
            &ask->problem, 422, "deploy_invalid",
            "\"targets\" are needed: the addresses where the new release answers.");
    if (ask->image && !takes_images(ask->conf))
        return deploys_refuse(&ask->problem, 422, "deploy_invalid",
                              "Nobody runs images for \"%s\": no \"image\".", ask->service);
    if (!read_strategy(ask, json_object_get(body, "strategy")))
        return false;
    json_array_foreach(ask->targets, i, target) if (!check_target(ask, target)) return false;
    return true;
}

/* --- what there is */

static bool has_release(const struct conf_service *conf, const char *id)
{
    for (uint32_t i = 0; i < conf->release_count; i++)
        if (str_same(conf->releases[i].name.s, (struct str){id, strlen(id)}))
            return true;
    return !conf->release_count && !strcmp(id, CONF_STABLE) && conf->target_count;
}

/* What serves now: what the last deploy or somebody's split left, else what the file says. */
static void find_old(struct ask *ask, const struct managed *managed)
{
    const char *stable = managed ? splits_old(managed) : NULL;

    if (stable) {
        snprintf(ask->old, sizeof(ask->old), "%s", stable);
    } else if (has_release(ask->conf, CONF_STABLE) || !ask->conf->release_count) {
        snprintf(ask->old, sizeof(ask->old), "%s", CONF_STABLE);
    } else {
        const struct conf_text *first = &ask->conf->releases[0].name;

        snprintf(ask->old, sizeof(ask->old), "%.*s", STR_FMT(first->s));
    }
    ask->has_old =
        has_release(ask->conf, ask->old) ||
        (managed && json_object_get(json_object_get(managed->record, "releases"), ask->old));
}

/* The old one's targets that the file lists: they are taken away, not removed. */
static json_t *list_file_targets(const struct ask *ask)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < ask->conf->target_count; i++) {
        const struct conf_target *target = &ask->conf->targets[i];

        if (str_same(target->release, (struct str){ask->old, strlen(ask->old)}))
            json_array_append_new(list, json_stringn(target->id.s.p, target->id.s.len));
    }
    return list;
}

static bool check_name(struct ask *ask)
{
    if (!strcmp(ask->old, ask->release))
        return deploys_refuse(&ask->problem, 409, "release_serves", "Release %s serves already.",
                              ask->release);
    if (has_release(ask->conf, ask->release))
        return deploys_refuse(
            &ask->problem, 409, "release_in_file",
            "Release %s is one of the configuration's: give the new one another name.",
            ask->release);
    return true;
}

static bool look_around(struct ask *ask)
{
    struct managed *managed = managed_find(ask->deploys, ask->service);
    struct deploy *other;

    if (!managed)
        managed = managed_new(ask->deploys, ask->service);
    if (!managed)
        return deploys_refuse(&ask->problem, 503, "memory_limit", "Out of memory.");
    ask->managed = managed;
    other = managed->deploy;

    if (other && !deploy_is_told(&other->state))
        return deploys_refuse(
            &ask->problem, 409, "deploy_runs",
            "Deploy %s of release %s is under way (%s): wait for it, or abort it.", other->id,
            other->release, deploy_phase_name(other->state.phase));
    if (other) { // as if its warm time were over
        snprintf(ask->old, sizeof(ask->old), "%s", other->release);
        ask->has_old = true;
        ask->ending = other;
    } else {
        find_old(ask, managed);
    }
    if (!check_name(ask))
        return false;
    if (ask->conf->provider.is_set && !units_open(managed))
        return deploys_refuse(&ask->problem, 503, "provider_unavailable",
                              "Nothing can be started for \"%s\" here: `sluice doctor` says why.",
                              ask->service);
    return true;
}

/* --- making it */

/* Ids that say whose they are. */
static json_t *targets_json(const struct ask *ask)
{
    json_t *list = json_array();
    const json_t *address;
    size_t i;

    json_array_foreach(ask->targets, i, address)
        json_array_append_new(list, json_pack("{s:o,s:O}", "id",
                                              json_sprintf("%s-%zu", ask->release, i + 1),
                                              "address", address));
    return list;
}

static struct deploy *make(const struct ask *ask)
{
    struct deploy *deploy = calloc(1, sizeof(*deploy));

    if (!deploy)
        return NULL;
    snprintf(deploy->id, sizeof(deploy->id), "d%llu", (unsigned long long)++ask->deploys->last_id);
    deploy->managed = ask->managed;
    deploy->created_ms = (int64_t)clock_wall_ms();
    deploy->state = deploy_begin(deploy->created_ms);
    deploy->service = strdup(ask->service);
    deploy->release = strdup(ask->release);
    deploy->old = strdup(ask->has_old ? ask->old : "");
    deploy->key = strdup(ask->request->key);
    deploy->actor = strdup(ask->request->actor);
    deploy->targets = targets_json(ask);
    deploy->old_file_targets = list_file_targets(ask);
    deploy->log = json_array();
    deploy->hook_kind = -1;
    deploy->judged_step = UINT32_MAX;
    deploy->image = strdup(ask->image ? ask->image : "");
    deploy->plan.has_old = ask->has_old;
    deploy->plan.is_breaking = json_is_true(json_object_get(ask->request->body, "breaking"));
    deploy->criteria.plan = criteria_plan(&ask->conf->deploy.verdict);
    deploy->topup.plan = topup_plan(&ask->conf->deploy.verdict.probes);
    if (plan_make(deploy, ask->conf, ask->strategy, ask->request->is_return) && deploy->image &&
        deploy->service && deploy->release && deploy->old && deploy->key && deploy->actor &&
        deploy->targets && deploy->old_file_targets && deploy->log)
        return deploy;
    deploy_free(&deploy);
    return NULL;
}

/* The new release is known of from now on; what serves is what served. */
static void enter(const struct ask *ask, struct deploy *deploy)
{
    struct managed *managed = deploy->managed;

    managed_enter(managed, deploy->release, deploy->targets, ask->image);
    if (!json_object_get(managed->record, "stable"))
        json_object_set_new(managed->record, "stable", json_string(ask->old));
    managed->deploy = deploy;
    judge_begin(managed);
    deploy->next = ask->deploys->all;
    ask->deploys->all = deploy;
    deploy_log(deploy, "release %s of %s, in place of %s; by %s", deploy->release, deploy->service,
               *deploy->old ? deploy->old : "nothing", deploy->actor);
}

/* The same request again. */
static const struct deploy *find_same(const struct deploys *deploys, const char *key)
{
    for (const struct deploy *deploy = deploys->all; *key && deploy; deploy = deploy->next)
        if (!strcmp(deploy->key, key))
            return deploy;
    return NULL;
}

/* Each line, as the platform said it. */
static void log_notes(struct deploy *deploy, struct str notes)
{
    const char *end = notes.p + notes.len, *line = notes.p;

    while (notes.p && line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        size_t len = (size_t)((next ? next : end) - line);

        if (len)
            deploy_log(deploy, "%.*s", len > INT16_MAX ? INT16_MAX : (int)len, line);
        line += len + 1;
    }
}

/* What would be done. It never was. */
static void show_plan(struct ask *ask, struct deploy *deploy, struct deploys_waiter *waiter,
                      struct str notes)
{
    ask->deploys->last_id--;
    waiter->done(waiter,
                 forecast_plan(deploy, conf_strategies[ask->strategy], deploy->forecast, notes),
                 NULL);
    deploy_free(&deploy);
}

/* All is well with it, but the deploy before it has to let go first, and to be written. False: it
 * may begin. */
static bool is_too_soon(struct ask *ask)
{
    struct deploy *other = ask->ending;

    if (ask->request->is_dry)
        return false;
    if (other && other->state.phase == DEPLOY_KEEP && !other->word)
        other->word = DEPLOY_SAYS_PROMOTE;
    if (other)
        return !deploys_refuse(&ask->problem, 409, "deploy_ending",
                               "Deploy %s lets go of the release that it kept warm: try again.",
                               other->id);
    if (managed_is_busy(ask->managed))
        return !deploys_refuse(&ask->problem, 409, "deploy_ending",
                               "What was there before is being written: try again.");
    return false;
}

static void begin(struct ask *ask, struct deploys_waiter *waiter, struct str notes)
{
    struct traffic_rate rate =
        traffic_of(ask->deploys->traffic, ask->service, (int64_t)(clock_us() / 1000));
    struct deploy *deploy;

    if (is_too_soon(ask)) {
        waiter->done(waiter, NULL, &ask->problem);
        return;
    }
    deploy = make(ask);
    if (!deploy) {
        deploys_refuse(&ask->problem, 503, "memory_limit", "Out of memory.");
        waiter->done(waiter, NULL, &ask->problem);
        return;
    }
    deploy->forecast = forecast_make(deploy, &rate);
    if (ask->request->is_dry) {
        show_plan(ask, deploy, waiter, notes);
        return;
    }
    enter(ask, deploy);
    log_notes(deploy, notes);
    forecast_log(deploy, deploy->forecast);
    notes_begin(deploy);
    waiter->next = deploy->waiters;
    deploy->waiters = waiter;
    deploy_save(deploy);
}

/* Whether it can be begun as far as it is known here; else the waiter was answered. */
static bool look_over(struct ask *ask, struct deploys_waiter *waiter)
{
    const struct deploy *same =
        ask->request->is_dry ? NULL : find_same(ask->deploys, ask->request->key);

    if (same) {
        waiter->done(waiter, deploy_json(same), NULL);
        return false;
    }
    if (!ask->deploys->is_read)
        deploys_refuse(&ask->problem, 503, "control_starting", "Control is starting: try again.");
    else if (read_body(ask) && look_around(ask))
        return true;
    waiter->done(waiter, NULL, &ask->problem);
    return false;
}

void deploys_begin_planned(struct deploys *deploys, const struct deploys_request *request,
                           struct deploys_waiter *waiter, struct str notes)
{
    struct ask ask = {.deploys = deploys, .request = request};

    if (look_over(&ask, waiter)) // much may have happened since it was asked
        begin(&ask, waiter, notes);
}

void deploys_begin(struct deploys *deploys, const struct deploys_request *request,
                   struct deploys_waiter *waiter)
{
    struct ask ask = {.deploys = deploys, .request = request};
    struct platform_question question = {.request = request, .waiter = waiter};
    bool is_side_by_side;

    if (!look_over(&ask, waiter))
        return;
    is_side_by_side = ask.strategy != CONF_RECREATE && ask.strategy != CONF_PLATFORM;
    question.intent = (struct provider_intent){
        .release = ask.release,
        .image = ask.image,
        .old = ask.has_old ? ask.old : NULL,
        .units = ask.managed->instances ? ask.managed->instances : 1,
        .is_side_by_side = ask.has_old && is_side_by_side,
        .is_warm = ask.has_old && is_side_by_side && ask.strategy != CONF_ROLLING,
        .is_platform = ask.strategy == CONF_PLATFORM,
    };
    if (!ask.managed->self || !platform_ask(ask.managed, &question))
        begin(&ask, waiter, STR_NONE);
}
