/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/deploys.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/deploy/notes.h"
#include "control/deploy/splits.h"
#include "control/say.h"

enum { RETRY_MS = 1000 };

const char deploy_kind[] = "deploy";

/* --- saying */

void deploy_log(struct deploy *deploy, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    say_into_args(text, sizeof(text), format, args);
    va_end(args);
    if (json_array_size(deploy->log) == DEPLOY_LOG_MAX)
        json_array_remove(deploy->log, 0);
    json_array_append_new(deploy->log,
                          json_pack("{s:I,s:o}", "time_ms", (json_int_t)clock_wall_ms(), "text",
                                    json_string(text)));
    say_line("deploy %s of %s: %s", deploy->id, deploy->service, text);
}

void deploy_tell_waiters(struct deploy *deploy, const struct deploys_problem *problem)
{
    while (deploy->waiters) {
        struct deploys_waiter *waiter = deploy->waiters;

        deploy->waiters = waiter->next;
        waiter->done(waiter, problem ? NULL : deploy_json(deploy), problem);
    }
}

/* --- the store */

/* Of those that are over only so many are kept: takes the oldest beyond out. NULL: there is none.
 */
static struct deploy *take_oldest(struct deploys *deploys)
{
    struct deploy **oldest = NULL, *gone;
    unsigned count = 0;

    for (struct deploy **at = &deploys->all; *at; at = &(*at)->next)
        if (deploy_is_over(&(*at)->state) && !(*at)->is_saving && !(*at)->is_unsaved &&
            !(*at)->evidence.is_saving) {
            oldest = at;
            count++;
        }
    if (count <= DEPLOY_KEPT)
        return NULL;
    gone = *oldest;
    *oldest = gone->next;
    return gone;
}

static void on_saved(struct store_job *job, enum status status);
static void forget(struct deploy *deploy);

/* What is to be written cannot be made. One that has not begun is given up. */
static void fail_saving(struct deploy *deploy)
{
    static const struct deploys_problem problem = {503, "memory_limit",
                                                   "What is known of it cannot be written down."};

    if (!deploy->is_unwritten) // said once, for as long as it lasts
        say_line("deploy %s of %s cannot be written to the store: out of memory, or a text in it "
                 "is no UTF-8",
                 deploy->id, deploy->service);
    deploy->is_unwritten = deploy->is_held = true;
    deploy->retry_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
    if (deploy->is_known)
        return;
    deploy_tell_waiters(deploy, &problem);
    forget(deploy);
}

static void save(struct deploy *deploy)
{
    struct managed *managed = deploy->managed;
    struct deploy *gone = NULL;
    json_t *record;
    bool is_good;

    json_object_set_new(managed->record, "revision", json_integer((json_int_t)managed->revision));
    record = deploy_record(deploy);
    deploy->put = (struct store_put){.job = {.done = on_saved}};
    is_good = record && store_put_add(&deploy->put, deploy_kind, deploy->id, record) &&
              store_put_add(&deploy->put, managed_kind, managed->name, managed->record);
    json_decref(record);
    if (is_good)
        gone = take_oldest(managed->deploys);
    if (gone)
        is_good = store_put_add(&deploy->put, deploy_kind, gone->id, NULL);
    deploy_free(&gone);
    if (!is_good) {
        store_put_free(&deploy->put);
        fail_saving(deploy);
        return;
    }
    deploy->is_unwritten = false;
    notes_give(deploy, &deploy->put);
    deploy->is_saving = true;
    deploy->is_unsaved = false;
    deploy->saving = deploy->state;
    store_put(managed->deploys->options.store, &deploy->put);
}

static void try_later(struct deploy *deploy, const char *error)
{
    if (!deploy->is_held)
        deploy_log(deploy, "control's store failed: %.300s; nothing new is begun until it is back",
                   error);
    deploy->is_unsaved = deploy->is_held = true;
    deploy->retry_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
}

/* One that has not begun. */
static void forget(struct deploy *deploy)
{
    struct managed *managed = deploy->managed;
    struct deploy **at = &managed->deploys->all;

    while (*at != deploy)
        at = &(*at)->next;
    *at = deploy->next;
    managed_forget(managed, deploy->release);
    managed->deploy = NULL;
    managed->is_dirty = true; // the number of what it wanted is used up
    deploy_free(&deploy);
}

static const char *what_becomes_of_it(const struct deploy *deploy)
{
    if (!deploy->is_known)
        return "";
    if (deploy->state.phase == DEPLOY_BACK)
        return " It goes back, and that is written once it can be.";
    return " What was said to the deploy is done once it can be written.";
}

static void on_saved(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct deploy *deploy = CONTAINER_OF(put, struct deploy, put);
    struct deploys_problem problem = {503, "store_failed", ""};

    deploy->is_saving = false;
    if (status)
        notes_take_back(deploy, put);
    store_put_free(put);
    if (status == E_CLOSED)
        return;
    if (status) {
        snprintf(problem.detail, sizeof(problem.detail), "Control's store failed: %.300s.%s",
                 job->error, what_becomes_of_it(deploy));
        deploy_tell_waiters(deploy, &problem);
        if (!deploy->is_known)
            forget(deploy); // it never was
        else
            try_later(deploy, job->error);
        return;
    }
    deploy->is_known = true;
    deploy->is_held = false;
    deploy->stored = deploy->saving;
    // Only now the edges may hear of it.
    if (!deploy->is_unsaved && !watch_compose(deploy->managed))
        say_line("out of memory: the edges are not told of deploy %s yet", deploy->id);
    if (!deploy->word) // one that was said meanwhile is heard at the next look
        deploy_tell_waiters(deploy, NULL);
}

void deploy_save(struct deploy *deploy)
{
    deploy->is_unsaved = true;
    deploy->managed->is_dirty = false;
    deploy->managed->revision++;
    if (!deploy->is_saving)
        save(deploy);
}

void deploy_save_again(struct deploy *deploy, int64_t now_ms)
{
    if (deploy->is_unsaved && !deploy->is_saving && now_ms >= deploy->retry_ms)
        save(deploy);
}

/* --- what there was */

static void take_services(struct deploys *deploys, const json_t *documents)
{
    const char *name;
    json_t *record;

    json_object_foreach((json_t *)(uintptr_t)documents, name, record)
    {
        struct managed *managed = managed_new(deploys, name);

        if (!managed || !json_is_object(json_object_get(record, "releases")) ||
            !json_is_array(json_object_get(record, "removed")))
            continue;
        json_decref(managed->record);
        managed->record = json_incref(record);
        managed->revision = json_integer_value(json_object_get(record, "revision"));
    }
}

static int by_age(const void *left, const void *right)
{
    const struct deploy *const *a = left, *const *b = right;

    return ((*a)->created_ms > (*b)->created_ms) - ((*a)->created_ms < (*b)->created_ms);
}

static void take_deploys(struct deploys *deploys, const json_t *documents)
{
    size_t count = json_object_size(documents), n = 0;
    struct deploy **sorted = calloc(count + 1, sizeof(*sorted));
    const char *id;
    json_t *record;

    json_object_foreach((json_t *)(uintptr_t)documents, id, record)
    {
        struct deploy *deploy = sorted ? deploy_of_record(deploys, id, record) : NULL;
        unsigned long long number = strtoull(id + (*id == 'd'), NULL, 10);

        if (number > deploys->last_id)
            deploys->last_id = number;
        if (deploy)
            sorted[n++] = deploy;
        else
            say_line("deploy %s in the store cannot be read", id);
    }
    if (n)
        qsort(sorted, n, sizeof(*sorted), by_age);
    for (size_t i = 0; i < n; i++) {
        struct deploy *deploy = sorted[i];

        deploy->is_known = true;
        deploy->state = deploy->stored = deploy_resume(&deploy->state, (int64_t)clock_wall_ms());
        deploy->next = deploys->all;
        deploys->all = deploy;
        if (deploy_is_over(&deploy->state))
            continue;
        deploy->managed->deploy = deploy;
        deploy_log(deploy, "control has restarted, and goes on: %s",
                   deploy_phase_name(deploy->state.phase));
        evidence_resume(deploy);
    }
    free(sorted);
}

static void on_list(struct store_job *job, enum status status)
{
    struct store_list *list = CONTAINER_OF(job, struct store_list, job);
    struct deploys *deploys = CONTAINER_OF(list, struct deploys, list);

    if (status == E_CLOSED)
        return;
    if (status) {
        say_line("the deploys cannot be read: %s", job->error);
        deploys->is_stalled = true;
        return;
    }
    if (list->kind == managed_kind) {
        take_services(deploys, list->documents);
    } else {
        take_deploys(deploys, list->documents);
        deploys->is_read = true;
    }
    json_decref(list->documents);
    list->documents = NULL;
    if (!deploys->is_read) {
        *list = (struct store_list){.job = {.done = on_list}, .kind = deploy_kind};
        store_list(deploys->options.store, list);
        return;
    }
    scaler_begin(deploys->scaler);
    for (struct managed *managed = deploys->managed; managed; managed = managed->next)
        if (!watch_compose(managed))
            say_line("out of memory: the edges are not told of %s", managed->name);
}

static void read_all(struct deploys *deploys)
{
    deploys->is_stalled = false;
    deploys->list = (struct store_list){.job = {.done = on_list}, .kind = managed_kind};
    store_list(deploys->options.store, &deploys->list);
}

/* --- going on */

void deploys_tick(struct deploys *deploys)
{
    int64_t now_ms = (int64_t)(clock_us() / 1000);

    traffic_tick(deploys->traffic, now_ms);
    if (deploys->is_stalled)
        read_all(deploys);
    scaler_tick(deploys->scaler, now_ms);
    for (struct managed *managed = deploys->managed; managed; managed = managed->next) {
        watch_tick(managed, now_ms);
        splits_tick(managed, now_ms);
        units_tick(managed, now_ms);
        if (!managed->deploy)
            managed_catch_up(managed);
    }
    for (struct deploy *deploy = deploys->all; deploy; deploy = deploy->next) {
        if (!deploy_is_over(&deploy->state))
            advance_deploy(deploy, now_ms);
        else
            deploy_save_again(deploy, now_ms);
    }
}

/* --- words */

static struct deploy *find(const struct deploys *deploys, const char *id)
{
    struct deploy *deploy = deploys->all;

    while (deploy && strcmp(deploy->id, id) != 0)
        deploy = deploy->next;
    return deploy;
}

void deploys_say(struct deploys *deploys, const struct deploys_word *word,
                 struct deploys_waiter *waiter)
{
    struct deploys_problem problem = {.status = 404, .reason = "deploy_not_found"};
    struct deploy *deploy = find(deploys, word->id);
    const char *why;

    if (!deploy) {
        snprintf(problem.detail, sizeof(problem.detail), "There is no deploy \"%s\".", word->id);
        waiter->done(waiter, NULL, &problem);
        return;
    }
    if (deploy->state.phase == DEPLOY_APPROVE && word->word == DEPLOY_SAYS_PROMOTE &&
        !word->may_approve) {
        deploys_refuse(&problem, 403, "forbidden",
                       "Deploy %s waits for approval: the token lacks the right \"approve\".",
                       deploy->id);
        waiter->done(waiter, NULL, &problem);
        return;
    }
    why = deploy_refusal(&deploy->plan, &deploy->state, word->word);
    // One that takes it back is taken in place of one that was not heard yet.
    if (!why && deploy->word && !deploy_goes_back(word->word))
        why = "another word is being heard";
    if (why) {
        problem.status = 409;
        problem.reason = "deploy_not_so";
        snprintf(problem.detail, sizeof(problem.detail), "Deploy %s (%s): %s.", deploy->id,
                 deploy_phase_name(deploy->state.phase), why);
        waiter->done(waiter, NULL, &problem);
        return;
    }
    deploy->word = word->word;
    snprintf(deploy->word_actor, sizeof(deploy->word_actor), "%s", word->actor);
    waiter->next = deploy->waiters;
    deploy->waiters = waiter;
}

bool deploys_are_read(const struct deploys *deploys)
{
    return deploys->is_read;
}

/* --- life */

struct deploys *deploys_new(const struct deploys_options *options)
{
    struct deploys *deploys = calloc(1, sizeof(*deploys));

    if (!deploys)
        return NULL;
    deploys->options = *options;
    arena_init(&deploys->arena, NULL, 0);
    deploys->traffic = traffic_new(
        &(struct traffic_options){options->edges, options->on_counters, options->owner});
    deploys->scaler = scaler_new(deploys);
    if (!deploys->traffic || !deploys->scaler) {
        traffic_free(&deploys->traffic);
        scaler_free(&deploys->scaler);
        free(deploys);
        return NULL;
    }
    read_all(deploys);
    return deploys;
}

void deploys_configure(struct deploys *deploys)
{
    const struct conf *conf;
    char digest[DIGEST_TEXT] = "";
    struct arena arena;
    struct diag diag;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    conf = conf_load(deploys->options.config, deploys->options.world, &arena, &diag);
    if (conf)
        digest_files(conf, digest);
    // An edge has another generation with each target: what is under way is not broken off for
    // that.
    if (!conf || (*digest && !strcmp(digest, deploys->digest))) {
        arena_reset(&arena);
        return;
    }
    deploys->is_reading = true;
    for (struct managed *managed = deploys->managed; managed; managed = managed->next)
        units_close(managed); // they are opened again, with what is new
    deploys->is_reading = false;
    arena_reset(&deploys->arena);
    deploys->arena = arena;
    deploys->conf = conf;
    memcpy(deploys->digest, digest, sizeof(digest));
}

void deploys_close(struct deploys *deploys)
{
    deploys->is_closing = true;
    traffic_free(&deploys->traffic);
    scaler_close(deploys->scaler);
    for (struct deploy *deploy = deploys->all; deploy; deploy = deploy->next) {
        hooks_drop(deploy);
        criteria_drop(deploy);
        topup_drop(deploy);
    }
    for (struct managed *managed = deploys->managed; managed; managed = managed->next) {
        watch_drop(managed);
        units_close(managed);
    }
}

void deploys_free(struct deploys **deploys)
{
    struct deploys *gone = *deploys;

    *deploys = NULL;
    if (!gone)
        return;
    while (gone->all) {
        struct deploy *deploy = gone->all;

        gone->all = deploy->next;
        deploy_free(&deploy);
    }
    while (gone->managed) {
        struct managed *managed = gone->managed;

        gone->managed = managed->next;
        managed_free(managed);
    }
    scaler_free(&gone->scaler);
    arena_reset(&gone->arena);
    free(gone);
}
