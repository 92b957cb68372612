/* SPDX-License-Identifier: Apache-2.0
 *
 * The edges of a service: each is told what it is to have until it says that all its workers have
 * it, and asked how the releases fare there. One that is silent holds up no other, and is named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/deploy/impl.h"
#include "control/deploy/splits.h"
#include "control/say.h"

enum {
    PUSH_TIMEOUT_MS = 60 * 1000,
    ASK_TIMEOUT_MS = 5000,
    BUSY_MS = 400,
    IDLE_MS = 15 * 1000,
    COUNT_MS = 1000,
    RETRY_MS = 1000,
    HELD_UP_MS = 10 * 1000,
};

/* --- what is told */

static void add_targets(json_t *list, const json_t *targets, const char *release)
{
    const json_t *target;
    size_t i;

    json_array_foreach(targets, i, target)
    {
        json_t *copy = json_copy((json_t *)(uintptr_t)target);

        json_object_set_new(copy, "release", json_string(release));
        json_array_append_new(list, copy);
    }
}

bool watch_wants(const struct managed *managed, const char *release)
{
    const struct deploy *deploy = managed->deploy;
    struct deploy_wants wants;

    if (!deploy)
        return true;
    wants = deploy_wants(&deploy->plan, &deploy->state);
    if (!strcmp(release, deploy->release))
        return wants.new_runs;
    return strcmp(release, deploy->old) != 0 || wants.old_runs;
}

static json_t *removed(const struct managed *managed)
{
    json_t *list = json_deep_copy(json_object_get(managed->record, "removed"));
    const struct deploy *deploy = managed->deploy;

    if (!list)
        list = json_array();
    if (deploy && *deploy->old && !watch_wants(managed, deploy->old))
        json_array_extend(list, deploy->old_file_targets);
    return list;
}

bool watch_compose(struct managed *managed)
{
    const struct deploy *deploy = managed->deploy;
    const char *stable = json_string_value(json_object_get(managed->record, "stable")), *release;
    json_t *targets, *drained, *body, *list;
    char *text;

    if (deploy && deploy_wants(&deploy->plan, &deploy->state).is_new_stable)
        stable = deploy->release;
    if (!stable) // nothing was ever deployed: there is nothing to tell
        return true;
    targets = json_array();
    json_object_foreach(json_object_get(managed->record, "releases"), release,
                        list) if (watch_wants(managed, release))
        add_targets(targets, list, release);
    drained = units_leaving(managed, targets);
    if (scaler_hides(managed))
        json_array_clear(targets);
    body = json_pack("{s:I,s:I,s:o,s:o,s:o,s:o,s:s}", "epoch",
                     (json_int_t)store_epoch(managed->deploys->options.store), "revision",
                     (json_int_t)managed->revision, "targets", targets, "removed", removed(managed),
                     "drained", drained, "split", splits_wanted(managed, stable), "stable", stable);
    if (deploy && !deploy_is_over(&deploy->state))
        json_object_set_new(body, "deploy", json_string(deploy->id));
    if (managed->scaled)
        json_object_set_new(body, "scale", scaler_word(managed));
    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (!text)
        return false;
    free(managed->body);
    managed->body = text;
    managed->told = managed->revision;
    scaler_kick(managed->deploys->scaler, 0);
    return true;
}

/* --- what comes back */

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

static void fail(struct watch *watch, const struct outbound_reply *reply)
{
    json_t *body = reply->status ? json_loadb(reply->body.p, reply->body.len, 0, NULL) : NULL;
    const char *detail = json_string_value(json_object_get(body, "detail"));

    watch->is_silent = !reply->status;
    watch->is_fresh = watch->is_known = false; // it may be another one that answers next
    watch->retry_ms = now() + RETRY_MS;
    if (!watch->failing_ms) // one that is silent has been so since it was asked
        watch->failing_ms = watch->is_silent ? watch->asked_ms : now();
    if (reply->status)
        say_into(watch->error, sizeof(watch->error), "%ld %s", reply->status, detail ? detail : "");
    else
        say_into(watch->error, sizeof(watch->error), "%s", reply->error);
    json_decref(body);
}

static void succeed(struct watch *watch)
{
    watch->is_silent = false;
    watch->failing_ms = 0;
    watch->error[0] = '\0';
}

/* It answers; what it has refused it may refuse still. */
static void hear(struct watch *watch)
{
    if (watch->is_silent || watch_has_it(watch))
        succeed(watch);
}

static void on_pushed(void *owner, const struct outbound_reply *reply)
{
    struct watch *watch = owner;

    watch->call = NULL;
    if (reply->status != 200) {
        fail(watch, reply);
        return;
    }
    succeed(watch);
    watch->epoch = store_epoch(watch->managed->deploys->options.store);
    watch->revision = watch->pushing;
    watch->is_fresh = false;
    watch->status_ms = 0;
    scaler_kick(watch->managed->deploys->scaler, 0);
}

/* What is drained is no part of what serves, but for the requests that it has yet. */
static void count_target(const json_t *target, struct seen_release *seen)
{
    const char *state = json_string_value(json_object_get(target, "state"));

    seen->in_flight += (uint64_t)json_integer_value(json_object_get(target, "in_flight"));
    if (json_is_true(json_object_get(target, "drained")))
        return;
    seen->targets++;
    seen->up += state && !strcmp(state, "up");
    seen->unknown += state && !strcmp(state, "unknown");
}

static void begin_count(struct seen_release *seen)
{
    seen->is_there = true;
    seen->targets = seen->up = seen->unknown = 0;
    seen->in_flight = 0;
}

static void note_busy(struct watch *watch, const json_t *target)
{
    const char *address = json_string_value(json_object_get(target, "address"));

    if (!address || !json_is_true(json_object_get(target, "drained")) ||
        !json_integer_value(json_object_get(target, "in_flight")))
        return;
    if (!watch->busy)
        watch->busy = json_object();
    json_object_set_new(watch->busy, address, json_true());
}

static void take_service(struct watch *watch, const json_t *service)
{
    const struct deploy *deploy = watch->managed->deploy;
    const json_t *control = json_object_get(service, "control"), *target;
    size_t i;

    watch->epoch = json_integer_value(json_object_get(control, "epoch"));
    watch->revision = json_integer_value(json_object_get(control, "revision"));
    begin_count(&watch->old);
    begin_count(&watch->new);
    begin_count(&watch->all);
    json_decref(watch->busy);
    watch->busy = NULL;
    json_array_foreach(json_object_get(service, "targets"), i, target)
    {
        const char *release = json_string_value(json_object_get(target, "release"));

        note_busy(watch, target);
        count_target(target, &watch->all);
        if (deploy && release && !strcmp(release, deploy->release))
            count_target(target, &watch->new);
        else if (deploy && release && !strcmp(release, deploy->old))
            count_target(target, &watch->old);
    }
    watch->is_fresh = watch->is_known = true;
}

/* Something is waited for. */
static bool is_moving(const struct managed *managed)
{
    return managed->deploy || managed->leaving;
}

static void on_status(void *owner, const struct outbound_reply *reply)
{
    struct watch *watch = owner;
    json_t *status, *service;
    bool is_known = false;
    size_t i;

    watch->call = NULL;
    watch->status_ms =
        now() + scaler_pause(watch->managed, is_moving(watch->managed) ? BUSY_MS : IDLE_MS);
    if (reply->status != 200) {
        fail(watch, reply);
        return;
    }
    status = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    json_array_foreach(json_object_get(status, "services"), i, service)
    {
        const char *name = json_string_value(json_object_get(service, "name"));

        if (!name || strcmp(name, watch->managed->name) != 0)
            continue;
        take_service(watch, service);
        is_known = true;
    }
    if (!is_known && !watch->failing_ms)
        watch->failing_ms = now();
    if (!is_known)
        say_into(watch->error, sizeof(watch->error), "it has no service \"%s\"",
                 watch->managed->name);
    json_decref(status);
    if (is_known)
        hear(watch);
}

static void on_counters(void *owner, const struct outbound_reply *reply)
{
    struct watch *watch = owner;
    json_t *counters;

    watch->call = NULL;
    watch->counters_ms = now() + COUNT_MS;
    if (reply->status != 200) {
        fail(watch, reply);
        return;
    }
    counters = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    if (watch->managed->deploy && counters)
        judge_take(watch->managed->deploy, watch, counters);
    json_decref(counters);
}

/* --- what is asked next */

static void ask(struct watch *watch, const struct edges_ask *what)
{
    struct edges_ask full = *what;

    full.owner = watch;
    watch->asked_ms = now();
    watch->call = edges_ask(watch->managed->deploys->options.edges, watch->index, &full);
}

void watch_encode(const char *name, char *out, size_t size)
{
    size_t n = 0;

    for (; *name && n + 4 < size; name++) {
        bool is_plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                        (*name >= '0' && *name <= '9') || strchr("-._~", *name);

        n += (size_t)snprintf(out + n, size - n, is_plain ? "%c" : "%%%02X", (unsigned char)*name);
    }
    out[n] = '\0';
}

static void push(struct watch *watch)
{
    char name[512], path[600];

    watch_encode(watch->managed->name, name, sizeof(name));
    snprintf(path, sizeof(path), "/api/v1/services/%s/releases", name);
    watch->pushing = watch->managed->told;
    ask(watch,
        &(struct edges_ask){"PUT", path, watch->managed->body, PUSH_TIMEOUT_MS, on_pushed, NULL});
}

static void count(struct watch *watch)
{
    char name[512], path[600];

    watch_encode(watch->managed->name, name, sizeof(name));
    snprintf(path, sizeof(path), "/api/v1/counters?service=%s", name);
    ask(watch, &(struct edges_ask){"GET", path, NULL, ASK_TIMEOUT_MS, on_counters, NULL});
}

/* What an earlier control said last is what we would say: nobody is told again while no deploy runs
 * and we have said nothing, for people may have split otherwise since. */
bool watch_has_it(const struct watch *watch)
{
    bool is_ours = watch->epoch == store_epoch(watch->managed->deploys->options.store);

    return watch->is_known && watch->revision == watch->managed->revision &&
           (is_ours || (!watch->managed->deploy && !watch->managed->has_spoken));
}

/* It has what was told last, which need not be what is to be told once it is stored. */
static bool has_what_was_told(const struct watch *watch)
{
    const struct managed *managed = watch->managed;

    return watch->is_known && watch->epoch == store_epoch(managed->deploys->options.store) &&
           watch->revision == managed->told;
}

/* There is something to be told that it was not told yet. */
static bool is_owed(const struct watch *watch)
{
    return watch->is_known && watch->managed->body && !watch_has_it(watch) &&
           !has_what_was_told(watch);
}

static void go_on(struct watch *watch, int64_t now_ms)
{
    struct managed *managed = watch->managed;

    if (watch->call || now_ms < watch->retry_ms)
        return;
    if (is_owed(watch))
        push(watch);
    else if (!watch->is_known || now_ms >= watch->status_ms)
        ask(watch,
            &(struct edges_ask){"GET", "/api/v1/status", NULL, ASK_TIMEOUT_MS, on_status, NULL});
    else if (managed->deploy && now_ms >= watch->counters_ms)
        count(watch);
}

void watch_drop(struct managed *managed)
{
    for (uint32_t i = 0; i < managed->watch_count; i++) {
        outbound_cancel(&managed->watches[i].call);
        json_decref(managed->watches[i].busy);
    }
    free(managed->watches);
    managed->watches = NULL;
    managed->watch_count = 0;
}

/* As many as there are edges now. */
static void match(struct managed *managed)
{
    const struct edges *edges = managed->deploys->options.edges;

    if (managed->watches && managed->watch_version == edges_version(edges))
        return;
    watch_drop(managed);
    managed->watches = calloc(edges_count(edges) + 1u, sizeof(*managed->watches));
    if (!managed->watches)
        return;
    managed->watch_count = edges_count(edges);
    managed->watch_version = edges_version(edges);
    for (uint32_t i = 0; i < managed->watch_count; i++)
        managed->watches[i] = (struct watch){.managed = managed, .index = i};
}

void watch_tick(struct managed *managed, int64_t now_ms)
{
    match(managed);
    for (uint32_t i = 0; i < managed->watch_count; i++)
        go_on(&managed->watches[i], now_ms);
}

/* --- what all say */

/* One that a person has given up is not waited for. */
static bool is_counted(const struct watch *watch)
{
    return edges_is_waited_for(watch->managed->deploys->options.edges, watch->index);
}

bool watch_is_held_up(const struct managed *managed)
{
    int64_t now_ms = now();

    for (uint32_t i = 0; i < managed->watch_count; i++) {
        const struct watch *watch = &managed->watches[i];

        if (is_counted(watch) && watch->failing_ms && now_ms - watch->failing_ms >= HELD_UP_MS)
            return true;
    }
    return false;
}

bool watch_is_live(const struct managed *managed)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < managed->watch_count; i++) {
        if (!is_counted(&managed->watches[i]))
            continue;
        if (!watch_has_it(&managed->watches[i]))
            return false;
        count++;
    }
    return count > 0 && managed->body;
}

bool watch_is_idle(const struct managed *managed, const char *address)
{
    for (uint32_t i = 0; i < managed->watch_count; i++) {
        const struct watch *watch = &managed->watches[i];

        if (is_counted(watch) &&
            (!watch_has_it(watch) || !watch->is_fresh || json_object_get(watch->busy, address)))
            return false;
    }
    return true;
}

static uint32_t count_waited_for(const struct managed *managed)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < managed->watch_count; i++)
        count += is_counted(&managed->watches[i]);
    return count;
}

/* What it says is of what it is to have, or, while the store fails, of what it had to have before.
 */
static bool can_be_ill(const struct watch *watch)
{
    const struct deploy *deploy = watch->managed->deploy;

    return watch->is_fresh &&
           (watch_has_it(watch) || (deploy && deploy->is_held && has_what_was_told(watch)));
}

static void see(const struct watch *watch, struct deploy_seen *seen)
{
    const struct seen_release *new = &watch->new, *old = &watch->old;
    bool is_seen = watch_has_it(watch) && watch->is_fresh;

    seen->is_live &= is_seen;
    seen->is_new_up &= is_seen && new->targets &&new->up == new->targets;
    seen->is_old_up &= is_seen && old->up > 0;
    seen->is_old_whole &= is_seen && old->targets && old->up == old->targets;
    seen->new_in_flight += new->in_flight;
    seen->old_in_flight += old->in_flight;
    // Nothing of it answers there, though it has its share; not asked yet is not ill.
    seen->is_ill |= can_be_ill(watch) && new->targets && !new->up && !new->unknown;
    if (!is_seen && watch->failing_ms && !watch->is_silent)
        seen->refusal = watch->error;
}

void watch_see(const struct managed *managed, struct deploy_seen *seen)
{
    seen->is_live = count_waited_for(managed) > 0;
    seen->is_new_up = seen->is_old_up = seen->is_old_whole = seen->is_live;
    for (uint32_t i = 0; i < managed->watch_count; i++)
        if (is_counted(&managed->watches[i]))
            see(&managed->watches[i], seen);
}
