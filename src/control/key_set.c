/* SPDX-License-Identifier: Apache-2.0 */
#include "control/key_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/journal.h"
#include "control/say.h"

enum {
    BYTES_MAX = 32 * 1024 * 1024, /* that an edge takes */
    ENTRY_BYTES = 200,            /* at most, beside the names */
    HELD_UP_MS = 10 * 1000,
    PATIENCE_MS = 45 * 1000, /* whoever passed the call on waits for 60 s */
};

/* Of the documents: a key under its hash, and under `revision_id` {"revision"} of the last change.
 */
static const char kind[] = "api key", revision_id[] = "revision";

struct key_set {
    struct store *store;
    struct edges *edges;
    struct store_list list;
    json_t *keys; /* array of entries, as they are pushed; oldest first */
    size_t bytes;
    int64_t revision, told; /* told: the edges are given it; 0: there is nothing to give */
    bool is_read, is_stalled;
    struct key_set_change *waiting; /* for the store; the first is being written */
    struct key_set_change *spreading;
};

/* A name is written as it is, but for quotes and the like. */
static size_t size_of(const struct key_entry *entry)
{
    return ENTRY_BYTES + 2 * (entry->consumer.len + entry->tier.len);
}

/* --- what there was */

static int by_age(const void *left, const void *right)
{
    const json_t *const *a = left, *const *b = right;
    json_int_t made = json_integer_value(json_object_get(*a, "created_ms"));
    json_int_t other = json_integer_value(json_object_get(*b, "created_ms"));

    return (made > other) - (made < other);
}

/* False: memory. */
static bool take(struct key_set *set, const json_t *documents)
{
    size_t count = json_object_size(documents), n = 0;
    const json_t **sorted = calloc(count + 1, sizeof(*sorted));
    struct key_entry entry;
    const char *id;
    json_t *json;

    if (!sorted)
        return false;
    json_object_foreach((json_t *)(uintptr_t)documents, id, json)
    {
        if (!strcmp(id, revision_id))
            set->revision = json_integer_value(json_object_get(json, "revision"));
        else if (key_entry_read(json, &entry))
            say_line("API key %s in the store cannot be read", id);
        else
            sorted[n++] = json;
    }
    if (n)
        qsort(sorted, n, sizeof(const json_t *), by_age);
    for (size_t i = 0; i < n; i++) {
        if (!key_entry_read(sorted[i], &entry))
            set->bytes += size_of(&entry);
        json_array_append(set->keys, (json_t *)(uintptr_t)sorted[i]);
    }
    free(sorted);
    return true;
}

static void on_list(struct store_job *job, enum status status)
{
    struct store_list *list = CONTAINER_OF(job, struct store_list, job);
    struct key_set *set = CONTAINER_OF(list, struct key_set, list);

    if (status == E_CLOSED)
        return;
    set->is_stalled = status || !take(set, list->documents);
    set->is_read = !set->is_stalled;
    if (set->is_stalled)
        say_line("the API keys cannot be read: %s", status ? job->error : "out of memory");
    json_decref(list->documents);
    list->documents = NULL;
}

static void read_all(struct key_set *set)
{
    set->is_stalled = false;
    set->list = (struct store_list){.job = {.done = on_list}, .kind = kind};
    store_list(set->store, &set->list);
}

/* --- the store */

static size_t find(const struct key_set *set, const char *id)
{
    size_t count = json_array_size(set->keys), i = 0;

    while (i < count &&
           strncmp(json_string_value(json_object_get(json_array_get(set->keys, i), "hash")), id,
                   API_KEY_ID) != 0)
        i++;
    return i;
}

/* What is to be shown of a change in the ledger. */
static json_t *show(const struct key_entry *entry)
{
    return key_entry_show(entry, "control");
}

/* What it is about, of which an entry to be revoked borrows its texts from the set. False: there is
 * no such key. */
static bool look_up(const struct key_set *set, struct key_set_change *change)
{
    size_t at = find(set, change->id);

    return change->is_revoked && at < json_array_size(set->keys) &&
           !key_entry_read(json_array_get(set->keys, at), &change->entry);
}

static bool write_entry(struct key_set_change *change)
{
    struct journal_entry line = {.actor = change->actor,
                                 .action = change->is_revoked ? "key.revoke" : "key.add",
                                 .subject = change->id};

    *(change->is_revoked ? &line.before : &line.after) = show(&change->entry);
    return journal_add(&change->put.entries, &line);
}

static bool add_documents(struct key_set_change *change)
{
    json_t *json = change->is_revoked ? NULL : key_entry_write(&change->entry);
    json_t *revision = json_pack("{s:I}", "revision", (json_int_t)change->revision);
    char hash[2 * API_KEY_HASH + 1];
    bool is_good;

    api_key_write_hash(change->entry.hash, hash);
    is_good = revision && (json || change->is_revoked) &&
              store_put_add(&change->put, kind, hash, json) &&
              store_put_add(&change->put, kind, revision_id, revision);
    json_decref(json);
    json_decref(revision);
    return is_good;
}

/* The set as the store has it from now on. */
static enum status apply(struct key_set *set, struct key_set_change *change)
{
    size_t size = size_of(&change->entry);

    set->revision = change->revision;
    if (!change->is_revoked) {
        set->bytes += size;
        return json_array_append_new(set->keys, key_entry_write(&change->entry)) ? E_NOMEM : OK;
    }
    set->bytes -= size;
    return json_array_remove(set->keys, find(set, change->id)) ? E_NOMEM : OK;
}

static void begin(struct key_set *set);

static void on_put(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct key_set_change *change = CONTAINER_OF(put, struct key_set_change, put);
    struct key_set *set = change->set;

    store_put_free(put);
    if (status == E_CLOSED)
        return;
    set->waiting = change->next;
    if (!status)
        status = apply(set, change);
    if (status) {
        change->done(change, status == E_NOMEM ? E_NOMEM : E_IO, NULL);
    } else {
        change->since_ms = (int64_t)(clock_us() / 1000);
        change->next = set->spreading;
        set->spreading = change;
    }
    begin(set);
}

/* Why it cannot be; OK: it can. */
static enum status check(const struct key_set *set, struct key_set_change *change)
{
    if (!set->is_read || !edges_are_fleet(set->edges))
        return E_AGAIN;
    if (change->is_revoked)
        return look_up(set, change) ? OK : E_NOT_FOUND;
    if (json_array_size(set->keys) >= API_KEY_MAX ||
        set->bytes + size_of(&change->entry) > BYTES_MAX)
        return E_FULL;
    return OK;
}

/* Hands the first of those that wait to the store. */
static void begin(struct key_set *set)
{
    while (set->waiting) {
        struct key_set_change *change = set->waiting;
        enum status status = check(set, change);

        if (!status) {
            change->revision = set->revision + 1;
            change->put = (struct store_put){.job = {.done = on_put}};
            if (add_documents(change) && write_entry(change)) {
                store_put(set->store, &change->put);
                return;
            }
            store_put_free(&change->put);
            status = E_NOMEM;
        }
        set->waiting = change->next;
        change->done(change, status, NULL);
    }
}

void key_set_change(struct key_set *set, struct key_set_change *change)
{
    struct key_set_change **last = &set->waiting;
    bool is_idle = !set->waiting;

    change->set = set;
    change->next = NULL;
    while (*last)
        last = &(*last)->next;
    *last = change;
    if (is_idle)
        begin(set);
}

/* --- the edges */

static void tell_edges(struct key_set *set)
{
    json_t *body = json_pack("{s:I,s:I,s:O}", "epoch", (json_int_t)store_epoch(set->store),
                             "revision", (json_int_t)set->revision, "keys", set->keys);
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

    json_decref(body);
    if (!text)
        return; // on the next turn again
    set->told = set->revision;
    edges_put_keys(set->edges, text, set->revision);
}

static bool lacks(const struct key_set *set, const struct key_set_change *change, uint32_t edge)
{
    return edges_is_waited_for(set->edges, edge) &&
           !edges_has_keys(set->edges, edge, change->revision);
}

/* Whether there is nothing to wait for. */
static bool is_settled(const struct key_set *set, const struct key_set_change *change,
                       int64_t now_ms)
{
    int64_t age_ms = now_ms - change->since_ms;
    bool is_settled = true;

    for (uint32_t i = 0; i < edges_count(set->edges); i++)
        if (lacks(set, change, i))
            is_settled &= age_ms >= HELD_UP_MS && edges_is_failing(set->edges, i);
    return is_settled || age_ms >= PATIENCE_MS;
}

static json_t *list_lacking(const struct key_set *set, const struct key_set_change *change)
{
    json_t *list = NULL;

    for (uint32_t i = 0; i < edges_count(set->edges); i++) {
        if (!lacks(set, change, i))
            continue;
        if (!list)
            list = json_array();
        json_array_append_new(list, json_pack("{s:s,s:s}", "name", edges_name(set->edges, i),
                                              "error", edges_trouble(set->edges, i)));
    }
    return list;
}

void key_set_tick(struct key_set *set, int64_t now_ms)
{
    struct key_set_change **at = &set->spreading;

    if (set->is_stalled)
        read_all(set);
    if (set->is_read && set->told != set->revision && !set->waiting)
        tell_edges(set);
    while (*at) {
        struct key_set_change *change = *at;

        if (!is_settled(set, change, now_ms)) {
            at = &change->next;
            continue;
        }
        *at = change->next;
        change->done(change, OK, list_lacking(set, change));
    }
}

json_t *key_set_json(const struct key_set *set)
{
    json_t *list = set->is_read ? json_array() : NULL, *json;
    struct key_entry entry;
    size_t i;

    json_array_foreach(list ? set->keys : NULL, i, json)
    {
        if (!key_entry_read(json, &entry))
            json_array_append_new(list, show(&entry));
    }
    return list;
}

/* --- life */

struct key_set *key_set_new(struct store *store, struct edges *edges)
{
    struct key_set *set = calloc(1, sizeof(*set));

    if (!set)
        return NULL;
    set->store = store;
    set->edges = edges;
    set->keys = json_array();
    if (!set->keys) {
        free(set);
        return NULL;
    }
    read_all(set);
    return set;
}

void key_set_free(struct key_set **set)
{
    struct key_set *gone = *set;

    *set = NULL;
    if (!gone)
        return;
    json_decref(gone->keys);
    free(gone);
}
