/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/splits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/deploy/shares.h"
#include "control/deploy/splits_impl.h"
#include "control/journal.h"
#include "control/say.h"

enum { HELD_UP_MS = 10 * 1000, PATIENCE_MS = 45 * 1000 }; /* whoever passed it on waits for 60 s */

/* --- refusing */

/* There is no `what` of that name among these. */
static void fill_unknown(struct deploys_problem *problem, const char *what, const char *name,
                         const json_t *names)
{
    size_t count = json_array_size(names);
    const char **list = calloc(count + 1, sizeof(*list)), *near = NULL;

    for (size_t i = 0; list && i < count; i++)
        list[i] = json_string_value(json_array_get(names, i));
    if (list)
        near = diag_nearest((struct str){name, strlen(name)}, list, count);
    deploys_refuse(problem, 404,
                   !strcmp(what, "service") ? "service_not_found" : "release_not_found",
                   "There is no %s \"%.200s\"%s%s%s", what, name, near ? "; did you mean \"" : "",
                   near ? near : "", near ? "\"?" : ".");
    free(list);
}

static void fill_unknown_service(const struct deploys *deploys, const char *service,
                                 struct deploys_problem *problem)
{
    json_t *names = json_array();

    for (uint32_t i = 0; deploys->conf && i < deploys->conf->service_count; i++) {
        struct str name = deploys->conf->services[i].name.s;

        json_array_append_new(names, json_stringn(name.p, name.len));
    }
    fill_unknown(problem, "service", service, names);
    json_decref(names);
}

/* --- looking */

static const struct conf_service *find_conf(const struct deploys *deploys, const char *service)
{
    struct str name = {service, strlen(service)};

    for (uint32_t i = 0; deploys->conf && i < deploys->conf->service_count; i++)
        if (str_same(deploys->conf->services[i].name.s, name))
            return &deploys->conf->services[i];
    return NULL;
}

static json_t *answer(const struct managed *managed, const char *service,
                      const struct conf_service *conf)
{
    json_t *json = splits_describe(managed, conf);

    json_object_set_new(json, "service", json_string(service));
    return json;
}

/* False: it was refused. */
static bool look(const struct deploys *deploys, const char *service,
                 const struct conf_service **conf, struct deploys_problem *problem)
{
    *conf = find_conf(deploys, service);
    if (!deploys->is_read)
        deploys_refuse(problem, 503, "control_starting", "Control is starting: try again.");
    else if (!*conf)
        fill_unknown_service(deploys, service, problem);
    return deploys->is_read && *conf;
}

json_t *splits_show(const struct deploys *deploys, const char *service,
                    struct deploys_problem *problem)
{
    const struct conf_service *conf;

    if (!look(deploys, service, &conf, problem))
        return NULL;
    return answer(managed_find(deploys, service), service, conf);
}

/* --- what is asked for */

/* What is wanted, resolved; the texts are those of `known`. */
struct plan {
    json_t *known, *split; /* split: NULL: none of anybody's word */
    const char *stable;
};

static bool read_stable(const struct splits_change *change, struct plan *plan,
                        struct deploys_problem *problem)
{
    if (change->stable)
        plan->stable = shares_find(plan->known, change->stable);
    else
        plan->stable = json_string_value(json_array_get(plan->known, 0));
    if (!plan->stable && change->stable)
        fill_unknown(problem, "release", change->stable, plan->known);
    return plan->stable != NULL;
}

static bool read_split(const struct splits_change *change, struct plan *plan,
                       struct deploys_problem *problem)
{
    json_t *said = json_loadb(change->body.p ? change->body.p : "", change->body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *unknown = "";
    enum shares_fault fault = shares_read(plan->known, said, &plan->split, &unknown);

    if (fault == SHARES_UNKNOWN)
        fill_unknown(problem, "release", unknown, plan->known);
    else if (fault == SHARES_NO_MEMORY)
        deploys_refuse(problem, 503, "memory_limit", "Out of memory.");
    else if (fault)
        deploys_refuse(
            problem, 422, "split_invalid",
            "The body is a JSON object of releases and their shares, whole numbers to %d of "
            "which one is not 0: {\"stable\": 90, \"canary\": 10}.",
            CONF_SHARE_MAX);
    json_decref(said);
    return !fault;
}

/* As nobody's word has it; what a deploy has put in place stays. */
static void plan_reset(const struct managed *managed, const struct conf_service *conf,
                       struct plan *plan)
{
    bool is_as_was = splits_are_as_in_file(managed);
    struct str stable = is_as_was ? splits_stable_of_file(conf) : splits_stable(managed, conf);
    json_t *of_file = is_as_was ? splits_of_file(conf) : NULL;

    for (size_t i = 0; i < json_array_size(plan->known); i++) {
        const json_t *id = json_array_get(plan->known, i);

        if (str_same(stable, (struct str){json_string_value(id), json_string_length(id)}))
            plan->stable = json_string_value(id);
    }
    plan->split = of_file ? shares_among(plan->known, of_file) : NULL;
    json_decref(of_file);
}

/* False: it was refused. */
static bool make_plan(const struct managed *managed, const struct conf_service *conf,
                      const struct splits_change *change, struct plan *plan,
                      struct deploys_problem *problem)
{
    *plan = (struct plan){.known = splits_known(managed, conf, splits_stable(managed, conf))};
    if (change->is_reset) {
        plan_reset(managed, conf, plan);
        return plan->stable != NULL;
    }
    if (!read_stable(change, plan, problem))
        return false;
    if (change->body.len || !change->stable)
        return read_split(change, plan, problem);
    plan->split = splits_now(managed, conf, plan->known);
    return true;
}

/* --- changing */

/* A stable one that was said stays, if only as a name. */
static void put_record(const struct managed *managed, const json_t *from)
{
    json_t *split = json_object_get(from, "split"), *stable = json_object_get(from, "stable");

    if (split)
        json_object_set(managed->record, "split", split);
    else
        json_object_del(managed->record, "split");
    if (stable)
        json_object_set(managed->record, "stable", stable);
}

static json_t *copy_record(const struct managed *managed)
{
    return json_pack("{s:O*,s:O*}", "split", json_object_get(managed->record, "split"), "stable",
                     json_object_get(managed->record, "stable"));
}

static void refuse(struct splits_change *change, const struct deploys_problem *problem)
{
    change->done(change, problem, NULL, NULL);
}

static void unlink_change(struct managed *managed, const struct splits_change *change)
{
    struct splits_change **at = &managed->splits;

    while (*at != change)
        at = &(*at)->next;
    *at = change->next;
}

/* Once the store has spoken. */
static void end_storing(struct managed *managed, const struct store_job *job, enum status status)
{
    struct splits_change *change = managed->splits;
    struct deploys_problem problem;

    while (change->stage != SPLIT_IS_STORED)
        change = change->next;
    if (status)
        put_record(managed, change->before);
    json_decref(change->before);
    change->before = NULL;
    if (!status) {
        change->stage = SPLIT_SPREADS;
        change->since_ms = (int64_t)(clock_us() / 1000);
        return;
    }
    unlink_change(managed, change);
    deploys_refuse(&problem, 503, "store_failed", "Control's store failed: %s.", job->error);
    if (status != E_CLOSED)
        refuse(change, &problem);
}

static void on_put(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct managed *managed = CONTAINER_OF(put, struct managed, put);

    managed->is_saving = false;
    store_put_free(put);
    end_storing(managed, job, status);
    // What was not stored was not changed either, but its number is used up.
    if (status != E_CLOSED && !watch_compose(managed))
        say_line("out of memory: the edges are not told of %s", managed->name);
}

/* Takes both. False: no memory. */
static bool store(struct managed *managed, const struct splits_change *change, json_t *before,
                  json_t *after)
{
    struct journal_entry entry = {.actor = change->actor,
                                  .action = "service.split",
                                  .service = managed->name,
                                  .before = before,
                                  .after = after};

    managed->put = (struct store_put){.job = {.done = on_put}};
    if (!journal_add(&managed->put.entries, &entry) ||
        !store_put_add(&managed->put, managed_kind, managed->name, managed->record)) {
        store_put_free(&managed->put);
        return false;
    }
    managed->is_saving = true;
    store_put(managed->deploys->options.store, &managed->put);
    return true;
}

/* Puts the plan into the record and has it stored; takes the split. */
static void apply(struct managed *managed, const struct conf_service *conf,
                  struct splits_change *change, const struct plan *plan)
{
    struct deploys_problem problem = {503, "memory_limit", "Out of memory."};
    json_t *before = splits_describe(managed, conf);
    json_t *to = json_pack("{s:o*,s:s}", "split", plan->split, "stable", plan->stable);

    change->before = copy_record(managed);
    put_record(managed, to);
    json_decref(to);
    managed->is_dirty = false;
    managed->has_spoken = true;
    change->revision = ++managed->revision;
    json_object_set_new(managed->record, "revision", json_integer((json_int_t)managed->revision));
    change->stage = SPLIT_IS_STORED;
    if (store(managed, change, before, splits_describe(managed, conf)))
        return;
    put_record(managed, change->before);
    json_decref(change->before);
    unlink_change(managed, change);
    refuse(change, &problem);
}

/* The first one that waits, if it may begin. */
static void begin_next(struct managed *managed)
{
    const struct conf_service *conf = managed_conf(managed);
    struct deploys_problem problem = {503, "memory_limit", "Out of memory."};
    struct splits_change *change = managed->splits;
    struct plan plan = {.known = NULL};

    while (change && change->stage != SPLIT_WAITS)
        change = change->next;
    if (!change || managed_is_busy(managed))
        return;
    if (managed->deploy)
        deploys_refuse(
            &problem, 409, "deploy_runs",
            "Deploy %s of this service runs, and the split is its own: promote or abort it.",
            managed->deploy->id);
    else if (!conf)
        fill_unknown_service(managed->deploys, managed->name, &problem);
    else if (conf->provider.is_set &&
             !json_object_size(json_object_get(managed->record, "releases")))
        deploys_refuse(&problem, 409, "nothing_runs", "No release of \"%.200s\" was deployed yet.",
                       managed->name);
    else if (make_plan(managed, conf, change, &plan, &problem)) {
        apply(managed, conf, change, &plan);
        json_decref(plan.known);
        return;
    }
    json_decref(plan.known);
    unlink_change(managed, change);
    refuse(change, &problem);
}

void splits_change(struct deploys *deploys, struct splits_change *change)
{
    struct deploys_problem problem = {503, "memory_limit", "Out of memory."};
    struct splits_change **last;
    const struct conf_service *conf;
    struct managed *managed;

    if (!look(deploys, change->service, &conf, &problem)) {
        refuse(change, &problem);
        return;
    }
    managed = managed_find(deploys, change->service);
    if (!managed)
        managed = managed_new(deploys, change->service);
    if (!managed) {
        refuse(change, &problem);
        return;
    }
    change->next = NULL;
    change->stage = SPLIT_WAITS;
    for (last = &managed->splits; *last;)
        last = &(*last)->next;
    *last = change;
    begin_next(managed);
}

/* --- the edges */

static bool has(const struct watch *watch, int64_t revision)
{
    return watch->is_known && watch->revision >= revision &&
           watch->epoch == store_epoch(watch->managed->deploys->options.store);
}

static bool is_waited_for(const struct watch *watch)
{
    return edges_is_waited_for(watch->managed->deploys->options.edges, watch->index);
}

static bool is_failing(const struct watch *watch)
{
    return watch->failing_ms ||
           edges_is_failing(watch->managed->deploys->options.edges, watch->index);
}

static bool is_settled(const struct managed *managed, const struct splits_change *change,
                       int64_t now_ms)
{
    int64_t age_ms = now_ms - change->since_ms;
    bool is_settled = managed->watches != NULL;

    for (uint32_t i = 0; i < managed->watch_count; i++) {
        const struct watch *watch = &managed->watches[i];

        if (is_waited_for(watch) && !has(watch, change->revision))
            is_settled &= age_ms >= HELD_UP_MS && is_failing(watch);
    }
    return is_settled || age_ms >= PATIENCE_MS;
}

static json_t *list_lacking(const struct managed *managed, const struct splits_change *change)
{
    const struct edges *edges = managed->deploys->options.edges;
    json_t *list = NULL;

    for (uint32_t i = 0; i < managed->watch_count; i++) {
        const struct watch *watch = &managed->watches[i];

        if (!is_waited_for(watch) || has(watch, change->revision))
            continue;
        if (!list)
            list = json_array();
        json_array_append_new(list, json_pack("{s:s,s:s}", "name", edges_name(edges, watch->index),
                                              "error",
                                              *watch->error ? watch->error
                                                            : edges_trouble(edges, watch->index)));
    }
    return list;
}

static void end(struct managed *managed, struct splits_change *change)
{
    struct deploys_problem problem;
    const struct conf_service *conf = managed_conf(managed);

    unlink_change(managed, change);
    if (conf) {
        change->done(change, NULL, answer(managed, managed->name, conf),
                     list_lacking(managed, change));
        return;
    }
    fill_unknown_service(managed->deploys, managed->name, &problem);
    refuse(change, &problem);
}

void splits_tick(struct managed *managed, int64_t now_ms)
{
    for (struct splits_change *change = managed->splits, *next; change; change = next) {
        next = change->next;
        if (change->stage == SPLIT_SPREADS && is_settled(managed, change, now_ms))
            end(managed, change);
    }
    begin_next(managed);
}
