/* SPDX-License-Identifier: Apache-2.0 */
#include "control/notice_queue.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum { FIRST_RETRY_MS = 1000, LAST_RETRY_MS = 5 * 60 * 1000, TRIES_MAX = 9, HOUR_MS = 3600 * 1000 };

bool notice_queue_init(struct notice_queue *queue)
{
    *queue = (struct notice_queue){.waiting = json_array(), .sent = json_array()};
    return queue->waiting && queue->sent;
}

void notice_queue_fini(struct notice_queue *queue)
{
    json_decref(queue->waiting);
    json_decref(queue->sent);
    *queue = (struct notice_queue){.waiting = NULL};
}

static void make_id(struct notice_queue *queue)
{
    unsigned char bytes[NOTICE_ID / 2] = {0};

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        memcpy(bytes, &queue->since_ms, sizeof(queue->since_ms));
    *text_hex_bytes(queue->id, bytes, sizeof(bytes)) = '\0';
}

/* The oldest are counted only; what was sent once stays until it has arrived. */
static void bound(struct notice_queue *queue)
{
    while (json_array_size(queue->waiting) > queue->tried + NOTICE_WAITING_MAX) {
        json_array_remove(queue->waiting, queue->tried);
        queue->unshown++;
    }
}

void notice_queue_add(struct notice_queue *queue, json_t *notice, int64_t now_ms)
{
    if (json_array_size(queue->waiting) == queue->sending)
        queue->since_ms = now_ms;
    json_array_append(queue->waiting, notice);
    if (!*queue->id)
        make_id(queue);
    bound(queue);
}

/* Of which a clock that was set back makes none of the future. */
static unsigned count_sent(const struct notice_queue *queue, int64_t now_ms)
{
    const json_t *time_ms;
    unsigned count = 0;
    size_t i;

    json_array_foreach(queue->sent, i, time_ms)
    {
        int64_t ago_ms = now_ms - json_integer_value(time_ms);

        count += ago_ms >= 0 && ago_ms < HOUR_MS;
    }
    return count;
}

bool notice_queue_is_due(const struct notice_queue *queue, const struct notice_limits *limits,
                         int64_t now_ms)
{
    int64_t waited_ms = now_ms - queue->since_ms;

    if (queue->sending || !json_array_size(queue->waiting) ||
        count_sent(queue, now_ms) >= limits->per_hour)
        return false;
    // A clock that was set back must not hold anything up.
    return (waited_ms < 0 || waited_ms >= limits->window_ms) &&
           (now_ms >= queue->retry_ms || queue->retry_ms - now_ms > HOUR_MS);
}

void notice_queue_begin(struct notice_queue *queue)
{
    if (!queue->tried) {
        queue->tried = json_array_size(queue->waiting);
        queue->tried_unshown = queue->unshown;
    }
    queue->sending = queue->tried;
}

json_t *notice_queue_sending(const struct notice_queue *queue)
{
    json_t *list = json_array();

    for (size_t i = 0; i < queue->sending; i++)
        json_array_append(list, json_array_get(queue->waiting, i));
    return list;
}

static void forget_old(struct notice_queue *queue, int64_t now_ms)
{
    while (json_array_size(queue->sent) &&
           now_ms - json_integer_value(json_array_get(queue->sent, 0)) >= HOUR_MS)
        json_array_remove(queue->sent, 0);
}

void notice_queue_succeed(struct notice_queue *queue, int64_t now_ms)
{
    for (size_t i = 0; i < queue->sending; i++)
        json_array_remove(queue->waiting, 0);
    queue->unshown -= queue->tried_unshown;
    queue->sending = queue->tried = 0;
    queue->tries = 0;
    queue->retry_ms = 0;
    queue->id[0] = '\0';
    if (json_array_size(queue->waiting))
        make_id(queue);
    forget_old(queue, now_ms);
    json_array_append_new(queue->sent, json_integer(now_ms));
    bound(queue);
}

void notice_queue_fail(struct notice_queue *queue, int64_t now_ms, int64_t retry_ms)
{
    int64_t wait_ms = (int64_t)FIRST_RETRY_MS << queue->tries;

    if (wait_ms > LAST_RETRY_MS)
        wait_ms = LAST_RETRY_MS;
    if (retry_ms > HOUR_MS)
        retry_ms = HOUR_MS;
    queue->retry_ms = now_ms + (retry_ms > wait_ms ? retry_ms : wait_ms);
    queue->tries += queue->tries < TRIES_MAX;
    queue->sending = 0;
    bound(queue);
}

json_t *notice_queue_record(const struct notice_queue *queue)
{
    return json_pack("{s:O,s:O,s:I,s:I,s:s,s:I,s:I}", "waiting", queue->waiting, "sent",
                     queue->sent, "unshown", (json_int_t)queue->unshown, "since_ms",
                     (json_int_t)queue->since_ms, "id", queue->id, "tried",
                     (json_int_t)queue->tried, "tried_unshown", (json_int_t)queue->tried_unshown);
}

/* What the message holds that goes by the id of before. */
static void read_tried(struct notice_queue *queue, const json_t *record)
{
    json_int_t tried = json_integer_value(json_object_get(record, "tried"));
    json_int_t unshown = json_integer_value(json_object_get(record, "tried_unshown"));

    if (tried <= 0)
        return;
    queue->tried = tried < NOTICE_WAITING_MAX ? (size_t)tried : NOTICE_WAITING_MAX;
    queue->tried_unshown = unshown > 0 ? (uint64_t)unshown : 0;
}

void notice_queue_read(struct notice_queue *queue, const json_t *record)
{
    const json_t *waiting = json_object_get(record, "waiting"), *notice;
    const json_t *sent = json_object_get(record, "sent");
    const char *id = json_string_value(json_object_get(record, "id"));
    json_int_t unshown = json_integer_value(json_object_get(record, "unshown"));
    bool has_id = id && strlen(id) == NOTICE_ID;
    size_t i;

    if (has_id)
        read_tried(queue, record);
    json_array_foreach(waiting, i, notice) if (json_is_object(notice))
        notice_queue_add(queue, (json_t *)(uintptr_t)notice,
                         json_integer_value(json_object_get(record, "since_ms")));
    if (json_is_array(sent))
        json_array_extend(queue->sent, (json_t *)(uintptr_t)sent);
    if (unshown > 0)
        queue->unshown += (uint64_t)unshown;
    if (has_id && json_array_size(queue->waiting))
        memcpy(queue->id, id, NOTICE_ID);
    if (queue->tried > json_array_size(queue->waiting))
        queue->tried = json_array_size(queue->waiting);
    if (queue->tried_unshown > queue->unshown)
        queue->tried_unshown = queue->unshown;
}
