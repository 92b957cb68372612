/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/splits.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/deploy/shares.h"
#include "control/journal.h"
#include "control/say.h"

enum { HELD_UP_MS = 10 * 1000, PATIENCE_MS = 45 * 1000 }; /* whoever passed it on waits for 60 s */

/* --- refusing */

static void fill(struct deploys_problem *problem, unsigned status, const char *reason,
                 const char *format, ...) PRINTF(4, 5);

static void fill(struct deploys_problem *problem, unsigned status, const char *reason,
                 const char *format, ...)
{
    va_list args;

    va_start(args, format);
    problem->status = status;
    problem->reason = reason;
    vsnprintf(problem->detail, sizeof(problem->detail), format, args);
    va_end(args);
}

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
    fill(problem, 404, !strcmp(what, "service") ? "service_not_found" : "release_not_found",
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

/* --- what is known of a service */

static const struct conf_service *find_conf(const struct deploys *deploys, const char *service)
{
    struct str name = {service, strlen(service)};

    for (uint32_t i = 0; deploys->conf && i < deploys->conf->service_count; i++)
        if (str_same(deploys->conf->services[i].name.s, name))
            return &deploys->conf->services[i];
    return NULL;
}

/* As the file splits it; NULL: no memory. */
static json_t *split_of_file(const struct conf_service *conf)
{
    json_t *split = json_object();

    for (uint32_t i = 0; i < conf->share_count; i++) {
        struct str id = conf->shares[i].release.s;

        json_object_setn_new(split, id.p, id.len, json_integer(conf->shares[i].share));
    }
    return split;
}

static void add(json_t *known, struct str id)
{
    for (size_t i = 0; i < json_array_size(known); i++) {
        const json_t *has = json_array_get(known, i);

        if (str_same(id, (struct str){json_string_value(has), json_string_length(has)}))
            return;
    }
    json_array_append_new(known, json_stringn(id.p, id.len));
}

/* The stable one of the file, as an edge finds it. */
static struct str stable_of_file(const struct conf_service *conf)
{
    struct str most = conf->release_count ? conf->releases[0].name.s : STR(CONF_STABLE);
    uint32_t greatest = 0;

    for (uint32_t i = 0; i < conf->release_count; i++)
        if (str_same(conf->releases[i].name.s, STR(CONF_STABLE)))
            return conf->releases[i].name.s;
    for (uint32_t i = 0; i < conf->share_count; i++)
        if (conf->shares[i].share > greatest) {
            greatest = conf->shares[i].share;
            most = conf->shares[i].release.s;
        }
    return most;
}

static struct str stable_of(const struct managed *managed, const struct conf_service *conf)
{
    const json_t *said = managed ? json_object_get(managed->record, "stable") : NULL;

    if (json_string_length(said))
        return (struct str){json_string_value(said), json_string_length(said)};
    return stable_of_file(conf);
}

/* All releases that there are, the stable one first. */
static json_t *list_known(const struct managed *managed, const struct conf_service *conf,
                          struct str stable)
{
    json_t *known = json_array(), *targets;
    const char *id;

    add(known, stable);
    for (uint32_t i = 0; i < conf->release_count; i++)
        add(known, conf->releases[i].name.s);
    if (!conf->release_count)
        add(known, STR(CONF_STABLE));
    if (managed)
        json_object_foreach(json_object_get(managed->record, "releases"), id, targets)
            add(known, (struct str){id, strlen(id)});
    return known;
}

/* No deploy has changed what runs. */
static bool is_as_in_file(const struct managed *managed)
{
    return !managed || (!json_object_size(json_object_get(managed->record, "releases")) &&
                        !json_array_size(json_object_get(managed->record, "removed")));
}

/* As it is split now while no deploy runs. NULL: no memory. */
static json_t *split_now(const struct managed *managed, const struct conf_service *conf,
                         const json_t *known)
{
    json_t *split = managed ? shares_among(known, json_object_get(managed->record, "split")) : NULL;
    json_t *of_file = !split && is_as_in_file(managed) ? split_of_file(conf) : NULL;

    if (!split && of_file)
        split = shares_among(known, of_file);
    json_decref(of_file);
    return split ? split : json_pack("{s:i}", json_string_value(json_array_get(known, 0)), 1);
}

json_t *splits_wanted(const struct managed *managed, const char *stable)
{
    const struct conf_service *conf = managed_conf(managed);
    const struct deploy *deploy = managed->deploy;
    json_t *split = json_object(), *known = NULL, *said = NULL;
    struct shares_spread spread = {.but = "", .otherwise = stable, .whole = 1};

    if (conf && json_object_get(managed->record, "split")) {
        known = list_known(managed, conf, (struct str){stable, strlen(stable)});
        said = shares_among(known, json_object_get(managed->record, "split"));
        json_decref(known);
    }
    if (!deploy && said) {
        json_decref(split);
        return said;
    }
    if (deploy) {
        uint32_t share = deploy_wants(&deploy->plan, &deploy->state).new_share;

        if (share)
            json_object_set_new(split, deploy->release, json_integer(share));
        spread.whole = DEPLOY_WHOLE - share;
        spread.but = deploy->release;
        if (*deploy->old)
            spread.otherwise = deploy->old;
    }
    spread.split = said;
    if (spread.whole)
        shares_spread(split, &spread);
    json_decref(said);
    return split;
}

const char *splits_old(const struct managed *managed)
{
    const char *stable = json_string_value(json_object_get(managed->record, "stable"));

    return shares_main(json_object_get(managed->record, "split"), stable);
}

/* --- showing */

/* Each release has a share, of 0 where there is none. */
static json_t *describe(const struct managed *managed, const struct conf_service *conf)
{
    struct str stable = stable_of(managed, conf);
    json_t *known = list_known(managed, conf, stable), *id;
    json_t *now = split_now(managed, conf, known), *split = json_object();
    size_t i;

    json_array_foreach(known, i, id)
    {
        const char *name = json_string_value(id);

        json_object_set_new(split, name,
                            json_integer(json_integer_value(json_object_get(now, name))));
    }
    json_decref(now);
    json_decref(known);
    return json_pack("{s:o,s:s%}", "split", split, "stable", stable.p, stable.len);
}

static json_t *answer(const struct managed *managed, const char *service,
                      const struct conf_service *conf)
{
    json_t *json = describe(managed, conf);

    json_object_set_new(json, "service", json_string(service));
    return json;
}

/* False: it was refused. */
static bool look(const struct deploys *deploys, const char *service,
                 const struct conf_service **conf, struct deploys_problem *problem)
{
    *conf = find_conf(deploys, service);
    if (!deploys->is_read)
        fill(problem, 503, "control_starting", "Control is starting: try again.");
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
        fill(problem, 503, "memory_limit", "Out of memory.");
    else if (fault)
        fill(problem, 422, "split_invalid",
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
    bool is_as_was = is_as_in_file(managed);
    struct str stable = is_as_was ? stable_of_file(conf) : stable_of(managed, conf);
    json_t *of_file = is_as_was ? split_of_file(conf) : NULL;

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
    *plan = (struct plan){.known = list_known(managed, conf, stable_of(managed, conf))};
    if (change->is_reset) {
        plan_reset(managed, conf, plan);
        return plan->stable != NULL;
    }
    if (!read_stable(change, plan, problem))
        return false;
    if (change->body.len || !change->stable)
        return read_split(change, plan, problem);
    plan->split = split_now(managed, conf, plan->known);
    return true;
}

/* --- changing */

static void put_record(const struct managed *managed, const json_t *from)
{
    static const char *const names[] = {"split", "stable"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        json_t *value = json_object_get(from, names[i]);

        if (value)
            json_object_set(managed->record, names[i], value);
        else
            json_object_del(managed->record, names[i]);
    }
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
    fill(&problem, 503, "store_failed", "Control's store failed: %s.", job->error);
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
    json_t *before = describe(managed, conf);
    json_t *to = json_pack("{s:o*,s:s}", "split", plan->split, "stable", plan->stable);

    change->before = copy_record(managed);
    put_record(managed, to);
    json_decref(to);
    managed->is_dirty = false;
    managed->has_spoken = true;
    change->revision = ++managed->revision;
    json_object_set_new(managed->record, "revision", json_integer((json_int_t)managed->revision));
    change->stage = SPLIT_IS_STORED;
    if (store(managed, change, before, describe(managed, conf)))
        return;
    put_record(managed, change->before);
    json_decref(change->before);
    unlink_change(managed, change);
    refuse(change, &problem);
}

/* The deploy of a service is being written, or the service itself. */
static bool is_busy(const struct managed *managed)
{
    bool is_busy = managed->is_saving;

    for (const struct deploy *deploy = managed->deploys->all; deploy; deploy = deploy->next)
        is_busy |= deploy->managed == managed && (deploy->is_saving || deploy->is_unsaved);
    return is_busy;
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
    if (!change || is_busy(managed))
        return;
    if (managed->deploy)
        fill(&problem, 409, "deploy_runs",
             "Deploy %s of this service runs, and the split is its own: promote or abort it.",
             managed->deploy->id);
    else if (!conf)
        fill_unknown_service(managed->deploys, managed->name, &problem);
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
