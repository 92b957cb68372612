/* SPDX-License-Identifier: Apache-2.0 */
#include "control/notices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/notice_health.h"
#include "control/notice_queue.h"
#include "control/notice_send.h"
#include "control/notice_text.h"
#include "control/say.h"
#include "control/tail.h"

enum { RETRY_MS = 1000, SETTLE_EACH = 500 };

static const char kind[] = "notices", document[] = "all";

struct receiver {
    struct notices *notices;
    enum notice_receiver which;
    struct notice_queue queue;
    struct outbound_call *call;
    char error[256]; /* of the last message; empty: it arrived */
};

struct notices {
    struct store *store;
    struct outbound *outbound;
    struct tail *tail;
    struct arena arena; /* of conf */
    struct conf_notices conf;
    struct receiver receivers[NOTICE_RECEIVERS];
    json_t *health; /* of notice_health.h */
    struct store_list list;
    struct store_put put;
    int64_t settled, saving; /* up to these entries all is in the store, and on its way there */
    int64_t retry_ms;        /* monotonic */
    bool is_read, is_busy, is_changed;
};

static int64_t monotonic(void)
{
    return (int64_t)(clock_us() / 1000);
}

static uint32_t on_of(const struct receiver *receiver)
{
    return notice_receiver_on(&receiver->notices->conf, receiver->which);
}

/* --- what is to be told */

static void add(struct notices *notices, json_t *notice, uint32_t on)
{
    for (unsigned i = 0; i < NOTICE_RECEIVERS; i++)
        if (on_of(&notices->receivers[i]) & on)
            notice_queue_add(&notices->receivers[i].queue, notice, (int64_t)clock_wall_ms());
    notices->is_changed = true;
}

static bool on_entry(void *owner, const json_t *entry)
{
    struct notices *notices = owner;
    uint32_t on = 0;
    json_t *notice;

    if (!notices->is_read)
        return false;
    notice = notice_of_entry(entry, &on);
    if (notice)
        add(notices, notice, on);
    json_decref(notice);
    return true;
}

void notices_see(struct notices *notices, const char *edge, const json_t *status)
{
    json_t *list, *notice;
    size_t i;

    if (!notices->is_read)
        return;
    list = notice_health_see(notices->health, edge, status, monotonic());
    json_array_foreach(list, i, notice) add(notices, notice, 1U << CONF_NOTICE_HEALTH);
    json_decref(list);
}

/* --- sending */

static void on_sent(void *owner, const struct outbound_reply *reply)
{
    struct receiver *receiver = owner;
    const char *name = notice_receiver_name(receiver->which);
    int64_t now_ms = (int64_t)clock_wall_ms();
    char error[sizeof(receiver->error)] = "";

    receiver->call = NULL;
    receiver->notices->is_changed = true;
    notice_send_judge(receiver->which, reply, error, sizeof(error));
    if (*error)
        notice_queue_fail(&receiver->queue, now_ms, reply->retry_ms);
    else
        notice_queue_succeed(&receiver->queue, now_ms);
    if (*error && strcmp(error, receiver->error) != 0)
        say_line("notices do not arrive by %s: %s; they are sent again", name, error);
    else if (!*error && *receiver->error)
        say_line("notices arrive by %s again", name);
    snprintf(receiver->error, sizeof(receiver->error), "%s", error);
}

static void send_due(struct receiver *receiver)
{
    struct notices *notices = receiver->notices;
    struct notice_queue *queue = &receiver->queue;
    struct notice_limits limits = {notices->conf.window_ms, notices->conf.per_hour};
    struct notice_message message = {.id = queue->id, .now_ms = (int64_t)clock_wall_ms()};
    struct notice_send what = {notices->outbound, &notices->conf, receiver->which, on_sent,
                               receiver};
    json_t *list;

    if (!on_of(receiver) || receiver->call || !notice_queue_is_due(queue, &limits, message.now_ms))
        return;
    notice_queue_begin(queue);
    notices->is_changed = true;
    list = notice_queue_sending(queue);
    message.notices = list;
    message.unshown = queue->tried_unshown;
    receiver->call = list ? notice_send(&what, &message) : NULL;
    json_decref(list);
    if (!receiver->call)
        notice_queue_fail(queue, message.now_ms, 0);
}

/* --- the store */

static void on_saved(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct notices *notices = CONTAINER_OF(put, struct notices, put);

    notices->is_busy = false;
    store_put_free(put);
    if (status) {
        notices->is_changed = true;
        notices->retry_ms = monotonic() + RETRY_MS;
    } else {
        notices->settled = notices->saving;
    }
}

static json_t *record(const struct notices *notices)
{
    json_t *json = json_pack("{s:O}", "health", notices->health);

    for (unsigned i = 0; json && i < NOTICE_RECEIVERS; i++)
        json_object_set_new(json, notice_receiver_name(i),
                            notice_queue_record(&notices->receivers[i].queue));
    return json;
}

static void save(struct notices *notices)
{
    json_t *json = record(notices);

    notices->put = (struct store_put){.job = {.done = on_saved}};
    notices->saving = tail_last(notices->tail);
    if (!json || !store_put_add(&notices->put, kind, document, json) ||
        !tail_settle(notices->tail, &notices->put, notices->saving)) {
        store_put_free(&notices->put);
        notices->retry_ms = monotonic() + RETRY_MS;
    } else {
        notices->is_busy = true;
        notices->is_changed = false;
        store_put(notices->store, &notices->put);
    }
    json_decref(json);
}

static void on_list(struct store_job *job, enum status status)
{
    struct store_list *list = CONTAINER_OF(job, struct store_list, job);
    struct notices *notices = CONTAINER_OF(list, struct notices, list);
    const json_t *all = json_object_get(list->documents, document);
    json_t *health = json_object_get(all, "health");

    notices->is_busy = false;
    if (status) {
        notices->retry_ms = monotonic() + RETRY_MS;
        return;
    }
    for (unsigned i = 0; i < NOTICE_RECEIVERS; i++)
        if (on_of(&notices->receivers[i]))
            notice_queue_read(&notices->receivers[i].queue,
                              json_object_get(all, notice_receiver_name(i)));
    json_object_update(notices->health, health);
    notice_health_resume(notices->health);
    notices->is_read = true;
    json_decref(list->documents);
    list->documents = NULL;
}

static void read_all(struct notices *notices)
{
    notices->list = (struct store_list){.job = {.done = on_list}, .kind = kind};
    notices->is_busy = true;
    store_list(notices->store, &notices->list);
}

static void keep(struct notices *notices)
{
    bool is_far = notices->is_read && tail_last(notices->tail) >= notices->settled + SETTLE_EACH;

    if (notices->is_busy || monotonic() < notices->retry_ms)
        return;
    if (!notices->is_read)
        read_all(notices);
    else if (notices->is_changed || is_far)
        save(notices);
}

void notices_tick(struct notices *notices)
{
    tail_tick(notices->tail);
    keep(notices);
    for (unsigned i = 0; notices->is_read && i < NOTICE_RECEIVERS; i++)
        send_due(&notices->receivers[i]);
}

json_t *notices_json(const struct notices *notices)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < NOTICE_RECEIVERS; i++) {
        const struct receiver *receiver = &notices->receivers[i];
        size_t waiting = json_array_size(receiver->queue.waiting);

        if (!on_of(receiver))
            continue;
        json_array_append_new(list, json_pack("{s:s,s:I,s:s?}", "name",
                                              notice_receiver_name(receiver->which), "waiting",
                                              (json_int_t)(waiting + receiver->queue.unshown),
                                              "error", *receiver->error ? receiver->error : NULL));
    }
    return list;
}

/* --- life */

struct notices *notices_new(struct store *store, struct outbound *outbound)
{
    struct notices *notices = calloc(1, sizeof(*notices));
    bool is_good = notices != NULL;

    if (!notices)
        return NULL;
    notices->store = store;
    notices->outbound = outbound;
    notices->health = json_object();
    arena_init(&notices->arena, NULL, 0);
    for (unsigned i = 0; i < NOTICE_RECEIVERS; i++) {
        struct receiver *receiver = &notices->receivers[i];

        receiver->notices = notices;
        receiver->which = i;
        is_good &= notice_queue_init(&receiver->queue);
    }
    notices->tail = is_good && notices->health
                        ? tail_new(&(struct tail_options){
                              .store = store, .name = kind, .on_entry = on_entry, .owner = notices})
                        : NULL;
    if (notices->tail)
        return notices;
    notices_free(&notices);
    return NULL;
}

/* What waits for one who is not told any more goes. */
static void match(struct receiver *receiver)
{
    if (on_of(receiver))
        return;
    outbound_cancel(&receiver->call);
    notice_queue_fini(&receiver->queue);
    if (!notice_queue_init(&receiver->queue))
        say_line("out of memory: nobody is told by %s", notice_receiver_name(receiver->which));
    receiver->error[0] = '\0';
}

enum status notices_configure(struct notices *notices, const struct conf_notices *conf)
{
    enum status status;

    arena_reset(&notices->arena);
    arena_init(&notices->arena, NULL, 0);
    status = notice_copy_conf(&notices->arena, conf, &notices->conf);
    if (status)
        notices->conf = (struct conf_notices){.has_slack = false};
    for (unsigned i = 0; i < NOTICE_RECEIVERS; i++)
        match(&notices->receivers[i]);
    return status;
}

void notices_close(struct notices *notices)
{
    for (unsigned i = 0; i < NOTICE_RECEIVERS; i++)
        outbound_cancel(&notices->receivers[i].call);
}

void notices_free(struct notices **notices)
{
    struct notices *gone = *notices;

    *notices = NULL;
    if (!gone)
        return;
    for (unsigned i = 0; i < NOTICE_RECEIVERS; i++)
        notice_queue_fini(&gone->receivers[i].queue);
    store_put_free(&gone->put);
    json_decref(gone->health);
    tail_free(&gone->tail);
    arena_reset(&gone->arena);
    free(gone);
}
