/* SPDX-License-Identifier: Apache-2.0 */
#include "control/effect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/effect_poll.h"
#include "control/journal.h"
#include "control/tail.h"

enum { DUE_MAX = 1000, RETRY_MS = 1000, SETTLE_EACH = 500 };

/* A change whose effect is not said yet. */
struct due {
    struct due *next;
    int64_t id, time_ms; /* wall clock */
    char *service, *action;
};

struct effect {
    struct store *store;
    struct edges *edges;
    struct tail *tail;
    struct effect_poll *poll; /* NULL: off */
    struct due *first, **last;
    unsigned count;
    uint32_t after_ms;
    int64_t settled; /* up to this entry, as the store has it */
    struct store_put put;
    struct due *saying; /* being written */
    int64_t saying_id, retry_ms;
    bool is_storing;
};

/* --- which changes */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static bool is_one_of(const char *action)
{
    static const char *const actions[] = {"service.split", "service.mode",  "service.scale",
                                          "target.add",    "target.remove", "target.drain",
                                          "target.enable"};

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (!strcmp(actions[i], action))
            return true;
    return false;
}

/* Of a deploy: when the new release has got all, and when it lost what it had. */
static bool is_measured(const json_t *entry)
{
    const char *action = text_of(entry, "action");

    if (!*text_of(entry, "service"))
        return false;
    if (!strcmp(action, "deploy.shift"))
        return !strcmp(text_of(json_object_get(entry, "after"), "share"), "100%");
    if (!strcmp(action, "deploy.fail") || !strcmp(action, "deploy.abort") ||
        !strcmp(action, "deploy.rollback"))
        return json_object_get(json_object_get(entry, "before"), "share") != NULL;
    return is_one_of(action);
}

static void free_due(struct due *due)
{
    if (due) {
        free(due->service);
        free(due->action);
    }
    free(due);
}

static struct due *make_due(const json_t *entry)
{
    struct due *due = calloc(1, sizeof(*due));
    int64_t now_ms = (int64_t)clock_wall_ms();

    if (!due)
        return NULL;
    due->id = json_integer_value(json_object_get(entry, "id"));
    due->time_ms = json_integer_value(json_object_get(entry, "time_ms"));
    if (due->time_ms > now_ms) // an edge's clock is ahead
        due->time_ms = now_ms;
    due->service = strdup(text_of(entry, "service"));
    due->action = strdup(text_of(entry, "action"));
    if (due->service && due->action)
        return due;
    free_due(due);
    return NULL;
}

static bool on_entry(void *owner, const json_t *entry)
{
    struct effect *effect = owner;
    struct due *due;

    if (!effect->after_ms || !is_measured(entry))
        return true;
    due = effect->count < DUE_MAX ? make_due(entry) : NULL;
    if (!due)
        return false;
    *effect->last = due;
    effect->last = &due->next;
    effect->count++;
    return true;
}

/* --- saying it */

static void take_first(struct effect *effect)
{
    struct due *due = effect->first;

    effect->first = due->next;
    if (!effect->first)
        effect->last = &effect->first;
    effect->count--;
    free_due(due);
}

static void on_said(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct effect *effect = CONTAINER_OF(put, struct effect, put);

    effect->is_storing = false;
    store_put_free(put);
    if (status) {
        effect->retry_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
        return;
    }
    effect->settled = effect->saying_id;
    if (effect->saying)
        take_first(effect);
}

static bool add_entry(struct effect *effect, const struct due *due)
{
    struct journal_entry entry = {.action = "effect", .service = due->service};
    json_t *said = effect_poll_compare(effect->poll, due->service, due->time_ms), *json;

    if (!said || !journal_add(&effect->put.entries, &entry)) {
        json_decref(said);
        return false;
    }
    json = json_array_get(effect->put.entries, 0);
    json_object_set_new(json, "subject", json_string(due->action));
    json_object_set_new(json, "of", json_integer(due->id));
    return !json_object_set_new(json, "effect", said);
}

/* Up to an entry all is settled; `due`: with what is said of that one. */
static void settle(struct effect *effect, int64_t id, struct due *due)
{
    effect->put = (struct store_put){.job = {.done = on_said}};
    effect->saying = due;
    effect->saying_id = id;
    if (!tail_settle(effect->tail, &effect->put, id) || (due && !add_entry(effect, due))) {
        store_put_free(&effect->put);
        effect->retry_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
        return;
    }
    effect->is_storing = true;
    store_put(effect->store, &effect->put);
}

static void say_due(struct effect *effect)
{
    struct due *due = effect->first;
    int64_t last = tail_last(effect->tail);

    if (effect->is_storing || (int64_t)(clock_us() / 1000) < effect->retry_ms)
        return;
    if (!due && last > effect->settled + SETTLE_EACH)
        settle(effect, last, NULL);
    else if (due && effect->poll && effect_poll_is_over(effect->poll, due->time_ms))
        settle(effect, due->id, due);
}

void effect_tick(struct effect *effect)
{
    tail_tick(effect->tail);
    if (effect->poll)
        effect_poll_tick(effect->poll);
    say_due(effect);
}

/* --- life */

struct effect *effect_new(struct store *store, struct edges *edges)
{
    struct effect *effect = calloc(1, sizeof(*effect));

    if (!effect)
        return NULL;
    effect->store = store;
    effect->edges = edges;
    effect->last = &effect->first;
    effect->tail = tail_new(&(struct tail_options){
        .store = store, .name = "effect", .on_entry = on_entry, .owner = effect});
    if (effect->tail)
        return effect;
    free(effect);
    return NULL;
}

void effect_configure(struct effect *effect, uint32_t after_ms)
{
    if (effect->after_ms == after_ms)
        return;
    effect_poll_free(&effect->poll);
    effect->after_ms = after_ms;
    if (after_ms)
        effect->poll = effect_poll_new(effect->edges, after_ms);
}

void effect_close(struct effect *effect)
{
    effect_poll_free(&effect->poll);
}

void effect_free(struct effect **effect)
{
    struct effect *gone = *effect;

    *effect = NULL;
    if (!gone)
        return;
    effect_poll_free(&gone->poll);
    while (gone->first)
        take_first(gone);
    store_put_free(&gone->put);
    tail_free(&gone->tail);
    free(gone);
}
