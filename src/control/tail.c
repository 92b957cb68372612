/* SPDX-License-Identifier: Apache-2.0 */
#include "control/tail.h"

#include <stdlib.h>

#include "base/clock.h"

enum { PAGE = 100, RETRY_MS = 1000 };

static const char kind[] = "tail";

struct tail {
    struct tail_options options;
    struct store_list places;
    struct store_read newest, read;
    struct store_put put;
    int64_t last;
    uint64_t appended; /* as of the last reading */
    int64_t retry_ms;  /* monotonic */
    bool has_place, is_busy, has_more;
};

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- where to begin */

static void on_settled(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct tail *tail = CONTAINER_OF(put, struct tail, put);

    tail->is_busy = false;
    store_put_free(put);
    tail->has_place = !status;
    tail->retry_ms = now() + (status ? RETRY_MS : 0);
}

/* Nobody followed under this name yet. */
static void begin_here(struct tail *tail, int64_t id)
{
    tail->last = id;
    tail->put = (struct store_put){.job = {.done = on_settled}};
    if (!tail_settle(tail, &tail->put, id)) {
        store_put_free(&tail->put);
        return;
    }
    tail->is_busy = true;
    store_put(tail->options.store, &tail->put);
}

static int64_t id_of(const json_t *entry)
{
    return json_integer_value(json_object_get(entry, "id"));
}

static void on_newest(struct store_job *job, enum status status)
{
    struct store_read *newest = CONTAINER_OF(job, struct store_read, job);
    struct tail *tail = CONTAINER_OF(newest, struct tail, newest);
    const json_t *place;

    if (status == E_CLOSED) // the other one may be read yet, on the store's thread
        return;
    place = json_object_get(tail->places.documents, tail->options.name);
    tail->is_busy = false;
    if (status || !tail->places.documents) {
        tail->retry_ms = now() + RETRY_MS;
    } else if (place) {
        tail->last = id_of(place);
        tail->has_place = true;
    } else {
        begin_here(tail, id_of(json_array_get(newest->entries, 0)));
    }
    if (!status)
        json_decref(newest->entries);
    json_decref(tail->places.documents);
    tail->places.documents = NULL;
}

static void on_places(struct store_job *job, enum status status)
{
    (void)job;
    (void)status; // without documents it is tried again
}

/* Both at once, so that nothing is appended between them. */
static void find_place(struct tail *tail)
{
    tail->places = (struct store_list){.job = {.done = on_places}, .kind = kind};
    tail->newest = (struct store_read){.job = {.done = on_newest}, .since = -1, .limit = 1};
    tail->is_busy = true;
    store_list(tail->options.store, &tail->places);
    store_read(tail->options.store, &tail->newest);
}

/* --- going on */

static void on_page(struct store_job *job, enum status status)
{
    struct store_read *page = CONTAINER_OF(job, struct store_read, job);
    struct tail *tail = CONTAINER_OF(page, struct tail, read);
    const json_t *entry;
    bool is_taken = true;
    size_t i;

    tail->is_busy = false;
    tail->has_more = status != OK || page->has_more;
    if (status) {
        tail->retry_ms = now() + RETRY_MS;
        return;
    }
    json_array_foreach(page->entries, i, entry)
    {
        is_taken = is_taken && tail->options.on_entry(tail->options.owner, entry);
        if (is_taken)
            tail->last = id_of(entry);
    }
    if (!is_taken) {
        tail->has_more = true;
        tail->retry_ms = now() + RETRY_MS;
    }
    json_decref(page->entries);
}

void tail_tick(struct tail *tail)
{
    uint64_t appended = store_appended(tail->options.store);

    if (tail->is_busy || now() < tail->retry_ms)
        return;
    if (!tail->has_place) {
        find_place(tail);
        return;
    }
    if (!tail->has_more && appended == tail->appended)
        return;
    tail->appended = appended;
    tail->read = (struct store_read){.job = {.done = on_page}, .since = tail->last, .limit = PAGE};
    tail->is_busy = true;
    store_read(tail->options.store, &tail->read);
}

bool tail_settle(const struct tail *tail, struct store_put *put, int64_t id)
{
    json_t *place = json_pack("{s:I}", "id", (json_int_t)id);
    bool is_good = place && store_put_add(put, kind, tail->options.name, place);

    json_decref(place);
    return is_good;
}

int64_t tail_last(const struct tail *tail)
{
    return tail->last;
}

/* --- life */

struct tail *tail_new(const struct tail_options *options)
{
    struct tail *tail = calloc(1, sizeof(*tail));

    if (!tail)
        return NULL;
    tail->options = *options;
    tail->has_more = true; // what came while nobody followed
    find_place(tail);
    return tail;
}

void tail_free(struct tail **tail)
{
    struct tail *gone = *tail;

    *tail = NULL;
    if (!gone)
        return;
    store_put_free(&gone->put);
    json_decref(gone->places.documents);
    free(gone);
}
