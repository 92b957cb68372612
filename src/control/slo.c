/* SPDX-License-Identifier: Apache-2.0 */
#include "control/slo.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/slo_book.h"

enum { SAVE_MS = 5 * 60 * 1000, RETRY_MS = 2000, YOUNG_MS = 10 * 60 * 1000, HOUR_MS = 3600 * 1000 };

/* In the store under one id: {"services": {NAME: {"hours", "told"}}, "edges": {NAME: {"instance",
 * "seen": {SERVICE: [answers, errors, late]}}}}, so that neither is there without the other. */
static const char kind[] = "slo", id[] = "all";

enum goal { GOAL_AVAILABILITY, GOAL_LATENCY, GOALS };

static const char *const goal_names[GOALS] = {"availability", "latency"};

/* What was told of a budget last. */
enum told { TOLD_NOTHING, TOLD_LOW, TOLD_SPENT };

enum { LOW_PERCENT = 25, BACK_PERCENT = 5 /* that it must have won back to be told of again */ };

struct service {
    struct service *next;
    char *name;
    struct slo_book book;
    uint32_t window_h, within_ms;
    double objectives[GOALS]; /* 0: none */
    enum told told[GOALS];
    bool is_configured;
};

struct slo {
    struct store *store;
    struct journal *journal;
    struct service *services;
    json_t *edges, *stored; /* stored: of services that are not configured yet; NULL: nothing */
    struct store_list list;
    struct store_put put;
    int64_t save_ms, retry_ms; /* monotonic */
    bool is_read, is_listing, is_saving, is_dirty;
};

/* --- objectives */

static struct slo_score score_of(const struct slo_sum *sum, enum goal goal)
{
    if (goal == GOAL_AVAILABILITY)
        return (struct slo_score){sum->answers, sum->errors};
    return (struct slo_score){sum->answers - sum->errors, sum->late};
}

static int64_t now_s(void)
{
    return (int64_t)(clock_wall_ms() / 1000);
}

static struct slo_score score_now(const struct service *service, enum goal goal)
{
    struct slo_sum sum = slo_book_window(&service->book, now_s());

    return score_of(&sum, goal);
}

/* --- people are told */

static json_t *sentence(const struct service *service, enum goal goal, struct slo_score score)
{
    const char *what = goal == GOAL_AVAILABILITY ? "were 5xx" : "came late";
    bool is_spent = service->told[goal] == TOLD_SPENT;
    json_t *after = json_pack(
        "{s:o,s:o}", "text",
        json_sprintf("%s of the error budget of %s for %s is used: %llu of %llu requests %s, and "
                     "%.4g %% of %u hours are to be good",
                     is_spent ? "all" : "three quarters", service->name, goal_names[goal],
                     (unsigned long long)score.bad, (unsigned long long)score.requests, what,
                     service->objectives[goal] * 100, service->window_h),
        "next", json_sprintf("sluice history %s; sluice status", service->name));

    return after;
}

static void judge(struct slo *slo, struct service *service, enum goal goal)
{
    double objective = service->objectives[goal], left;
    struct slo_score score = score_now(service, goal);
    enum told before = service->told[goal], *told = &service->told[goal];

    if (objective <= 0 || !slo_is_telling(score, objective))
        return;
    left = slo_left(score, objective) * 100;
    if (left <= 0)
        *told = TOLD_SPENT;
    else if (left <= LOW_PERCENT && before == TOLD_NOTHING)
        *told = TOLD_LOW;
    else if (left > LOW_PERCENT + BACK_PERCENT)
        *told = TOLD_NOTHING;
    else if (left > BACK_PERCENT && before == TOLD_SPENT)
        *told = TOLD_LOW;
    if (*told == before)
        return;
    slo->is_dirty = true;
    if (*told > before)
        journal_note(slo->journal,
                     &(struct journal_entry){.action = "budget.slo",
                                             .service = service->name,
                                             .subject = goal_names[goal],
                                             .after = sentence(service, goal, score)});
}

/* --- what edges tell */

static struct service *find(const struct slo *slo, const char *name)
{
    struct service *service = slo->services;

    while (service && strcmp(service->name, name) != 0)
        service = service->next;
    return service;
}

static uint64_t value_at(const json_t *array, size_t i)
{
    json_int_t value = json_integer_value(json_array_get(array, i));

    return value > 0 ? (uint64_t)value : 0;
}

static struct slo_sum sum_at(const json_t *array)
{
    return (struct slo_sum){value_at(array, 0), value_at(array, 1), value_at(array, 2)};
}

/* What has become less has begun anew. */
static struct slo_sum rise(const struct slo_sum *now, const struct slo_sum *before)
{
    if (now->answers < before->answers || now->errors < before->errors || now->late < before->late)
        return *now;
    return (struct slo_sum){now->answers - before->answers, now->errors - before->errors,
                            now->late - before->late};
}

static void take_service(struct slo *slo, json_t *seen, const json_t *told, bool is_base)
{
    const char *name = json_string_value(json_object_get(told, "service"));
    json_t *counts = json_object_get(told, "slo");
    struct service *service = name ? find(slo, name) : NULL;
    struct slo_sum now = sum_at(counts), before, more;

    if (!service || !counts)
        return;
    before = sum_at(json_object_get(seen, name));
    more = rise(&now, &before);
    if (more.answers < more.errors + more.late) // read while one was counted
        more.answers = more.errors + more.late;
    json_object_set(seen, name, counts);
    if (is_base || !more.answers)
        return;
    slo_book_add(&service->book, &more, now_s());
    slo->is_dirty = true;
    for (int goal = 0; goal < GOALS; goal++)
        judge(slo, service, (enum goal)goal);
}

/* An edge that began long ago, and was never heard of, has counted what is of no hour that is
 * known; one that began just now has counted what is of this one. */
static json_t *seen_of(const struct slo *slo, const char *edge, json_int_t instance, bool *is_base)
{
    json_t *known = json_object_get(slo->edges, edge);

    *is_base = false;
    if (known && json_integer_value(json_object_get(known, "instance")) == instance)
        return json_object_get(known, "seen");
    *is_base = !known && (int64_t)clock_wall_ms() - instance > YOUNG_MS;
    known = json_pack("{s:I,s:{}}", "instance", instance, "seen");
    json_object_set_new(slo->edges, edge, known);
    return json_object_get(known, "seen");
}

void slo_take(struct slo *slo, const char *edge, const json_t *counters)
{
    json_int_t instance = json_integer_value(json_object_get(counters, "instance"));
    const json_t *told;
    json_t *seen;
    bool is_base;
    size_t i;

    if (!slo->is_read || !slo->services || !instance)
        return;
    seen = seen_of(slo, edge, instance, &is_base);
    json_array_foreach(json_object_get(counters, "services"), i, told)
        take_service(slo, seen, told, is_base);
}

/* --- the store */

static json_t *service_record(const struct service *service)
{
    return json_pack("{s:o,s:[i,i]}", "hours", slo_book_json(&service->book), "told",
                     (int)service->told[GOAL_AVAILABILITY], (int)service->told[GOAL_LATENCY]);
}

static void on_saved(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct slo *slo = CONTAINER_OF(put, struct slo, put);

    store_put_free(put);
    slo->is_saving = false;
    if (status) {
        slo->is_dirty = true;
        slo->save_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
    }
}

static void save(struct slo *slo, int64_t now_ms)
{
    json_t *services = json_object(), *record;

    slo->save_ms = now_ms + SAVE_MS;
    for (const struct service *service = slo->services; service; service = service->next)
        json_object_set_new(services, service->name, service_record(service));
    record = json_pack("{s:o,s:O}", "services", services, "edges", slo->edges);
    slo->put = (struct store_put){.job = {.done = on_saved}};
    if (record && store_put_add(&slo->put, kind, id, record)) {
        slo->is_saving = true;
        slo->is_dirty = false;
        store_put(slo->store, &slo->put);
    } else {
        store_put_free(&slo->put);
    }
    json_decref(record);
}

static void resume(struct service *service, const json_t *stored)
{
    const json_t *told = json_object_get(stored, "told");

    slo_book_read(&service->book, json_object_get(stored, "hours"));
    for (int goal = 0; goal < GOALS; goal++) {
        uint64_t level = value_at(told, (size_t)goal);

        service->told[goal] = level <= TOLD_SPENT ? (enum told)level : TOLD_NOTHING;
    }
}

static void on_list(struct store_job *job, enum status status)
{
    struct store_list *list = CONTAINER_OF(job, struct store_list, job);
    struct slo *slo = CONTAINER_OF(list, struct slo, list);
    json_t *record = json_object_get(list->documents, id);

    slo->is_listing = false;
    slo->retry_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
    if (!status) {
        slo->is_read = true;
        slo->stored = json_incref(json_object_get(record, "services"));
        if (json_is_object(json_object_get(record, "edges")))
            json_object_update(slo->edges, json_object_get(record, "edges"));
        for (struct service *service = slo->services; service; service = service->next)
            resume(service, json_object_get(slo->stored, service->name));
    }
    json_decref(list->documents);
    list->documents = NULL;
}

static void read_all(struct slo *slo)
{
    slo->is_listing = true;
    slo->list = (struct store_list){.job = {.done = on_list}, .kind = kind};
    store_list(slo->store, &slo->list);
}

void slo_tick(struct slo *slo, int64_t now_ms)
{
    if (!slo->is_read && !slo->is_listing && now_ms >= slo->retry_ms)
        read_all(slo);
    if (slo->is_dirty && !slo->is_saving && now_ms >= slo->save_ms)
        save(slo, now_ms);
}

/* --- the configuration */

static void free_service(struct service *service)
{
    slo_book_fini(&service->book);
    free(service->name);
    free(service);
}

static struct service *add(struct slo *slo, const char *name, uint32_t window_h)
{
    struct service *service = calloc(1, sizeof(*service));

    if (service)
        service->name = strdup(name);
    if (!service || !service->name || !slo_book_init(&service->book, window_h)) {
        if (service)
            free_service(service);
        return NULL;
    }
    service->window_h = window_h;
    resume(service, json_object_get(slo->stored, name));
    service->next = slo->services;
    slo->services = service;
    return service;
}

static bool take_conf(struct slo *slo, const char *name, const struct conf_slo *conf)
{
    int percentile = conf_slo_percentile(conf);
    uint32_t window_h = (uint32_t)(conf->window_ms / HOUR_MS);
    struct service *service = find(slo, name);

    if (!service)
        service = add(slo, name, window_h);
    if (!service)
        return false;
    service->is_configured = true;
    service->objectives[GOAL_AVAILABILITY] = conf->availability / 1e6;
    service->objectives[GOAL_LATENCY] = percentile < 0 ? 0 : conf_slo_shares[percentile] / 1e6;
    service->within_ms = percentile < 0 ? 0 : conf->latency.within_ms[percentile];
    if (service->window_h == window_h)
        return true;
    if (!slo_book_resize(&service->book, window_h))
        return false;
    service->window_h = window_h;
    return true;
}

static void forget_others(struct slo *slo)
{
    struct service **at = &slo->services;

    while (*at) {
        struct service *service = *at;

        if (service->is_configured) {
            at = &service->next;
            continue;
        }
        *at = service->next;
        free_service(service);
        slo->is_dirty = true;
    }
}

enum status slo_configure(struct slo *slo, const struct conf *conf)
{
    enum status status = OK;

    for (struct service *service = slo->services; service; service = service->next)
        service->is_configured = false;
    for (uint32_t i = 0; i < conf->service_count; i++)
        if (conf->services[i].slo.is_set &&
            !take_conf(slo, conf->services[i].name.s.p, &conf->services[i].slo))
            status = E_NOMEM;
    forget_others(slo);
    return status;
}

/* --- what people and programs see */

static double burn_of(const struct service *service, enum goal goal, uint32_t span_s)
{
    struct slo_sum sum = slo_book_recent(&service->book, now_s(), span_s);

    return slo_burn(score_of(&sum, goal), service->objectives[goal]);
}

static json_t *goal_json(const struct service *service, enum goal goal)
{
    struct slo_score score = score_now(service, goal);
    json_t *json =
        json_pack("{s:s,s:f,s:I,s:I,s:f,s:{s:f,s:f,s:f}}", "slo", goal_names[goal], "objective",
                  service->objectives[goal], "requests", (json_int_t)score.requests, "bad",
                  (json_int_t)score.bad, "budget_left", slo_left(score, service->objectives[goal]),
                  "burn", "5m", burn_of(service, goal, 300), "1h", burn_of(service, goal, 3600),
                  "6h", burn_of(service, goal, 6 * 3600));

    if (goal == GOAL_LATENCY)
        json_object_set_new(json, "threshold_ms", json_integer(service->within_ms));
    return json;
}

json_t *slo_json(const struct slo *slo)
{
    json_t *json = json_object();

    for (const struct service *service = slo->services; service; service = service->next) {
        json_t *goals = json_array();

        for (int goal = 0; goal < GOALS; goal++)
            if (service->objectives[goal] > 0)
                json_array_append_new(goals, goal_json(service, (enum goal)goal));
        json_object_set_new(json, service->name,
                            json_pack("{s:I,s:o}", "window_s", (json_int_t)service->window_h * 3600,
                                      "objectives", goals));
    }
    return json;
}

static const struct family {
    const char *name;
    enum prometheus_type type;
    const char *help;
} families[] = {
    {"sluice_slo_objective_ratio", PROMETHEUS_GAUGE, "Share of requests that are to be good."},
    {"sluice_slo_requests_total", PROMETHEUS_COUNTER, "Requests that count for an objective."},
    {"sluice_slo_bad_requests_total", PROMETHEUS_COUNTER, "Requests that missed an objective."},
    {"sluice_slo_budget_remaining_ratio", PROMETHEUS_GAUGE,
     "What is left of the error budget of the window; below 0: it is overspent."},
};

static double value_of(const struct service *service, enum goal goal, size_t family)
{
    struct slo_score all = score_of(&service->book.all, goal);

    switch (family) {
    case 0:
        return service->objectives[goal];
    case 1:
        return (double)all.requests;
    case 2:
        return (double)all.bad;
    default:
        return slo_left(score_now(service, goal), service->objectives[goal]);
    }
}

static struct str text_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static void put_goals(struct prometheus *text, const struct service *service, size_t family)
{
    for (int goal = 0; goal < GOALS; goal++) {
        const struct prometheus_label labels[] = {{"service", text_of(service->name)},
                                                  {"slo", text_of(goal_names[goal])},
                                                  {0}};

        if (service->objectives[goal] > 0)
            prometheus_double(text, labels, value_of(service, (enum goal)goal, family));
    }
}

void slo_metrics(const struct slo *slo, struct prometheus *text)
{
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        prometheus_family(text, families[i].name, families[i].type, families[i].help);
        for (const struct service *service = slo->services; service; service = service->next)
            put_goals(text, service, i);
    }
    prometheus_family(text, "sluice_slo_window_seconds", PROMETHEUS_GAUGE,
                      "The time over which an error budget is kept.");
    for (const struct service *service = slo->services; service; service = service->next) {
        const struct prometheus_label labels[] = {{"service", text_of(service->name)}, {0}};

        prometheus_u64(text, labels, (uint64_t)service->window_h * 3600);
    }
}

/* --- life */

struct slo *slo_new(struct store *store, struct journal *journal)
{
    struct slo *slo = calloc(1, sizeof(*slo));

    if (!slo)
        return NULL;
    slo->store = store;
    slo->journal = journal;
    slo->edges = json_object();
    if (slo->edges)
        return slo;
    free(slo);
    return NULL;
}

void slo_close(struct slo *slo)
{
    if (slo->is_dirty && !slo->is_saving)
        save(slo, (int64_t)(clock_us() / 1000));
}

void slo_free(struct slo **slo)
{
    struct slo *gone = *slo;

    *slo = NULL;
    if (!gone)
        return;
    while (gone->services) {
        struct service *service = gone->services;

        gone->services = service->next;
        free_service(service);
    }
    store_put_free(&gone->put);
    json_decref(gone->edges);
    json_decref(gone->stored);
    free(gone);
}
