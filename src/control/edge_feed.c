/* SPDX-License-Identifier: Apache-2.0 */
#include "control/edge_feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/say.h"

enum {
    WAIT_S = 20,
    CALL_MS = 30 * 1000,
    PAUSE_MS = 1000,
    RETRY_MS = 2000,
    REFUSED_MS = 60 * 1000,
    REPLY_MAX = 8 * 1024 * 1024,
};

struct edge_feed {
    struct outbound *outbound;
    struct store *store;
    char *name, *url, *socket, *field, *ca;
    struct outbound_call *call;
    struct store_feed position; /* from where on */
    struct store_append append;
    bool has_position, is_storing, is_over, has_complained;
    int64_t due_ms, asked_ms; /* monotonic */
};

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

static void destroy(struct edge_feed *feed)
{
    json_decref(feed->append.changes);
    free(feed->name);
    free(feed->url);
    free(feed->socket);
    free(feed->field);
    free(feed->ca);
    free(feed);
}

/* A job of the store is done. False: the feed was to end, and has. */
static bool take_back(struct edge_feed *feed)
{
    feed->is_storing = false;
    if (!feed->is_over)
        return true;
    destroy(feed);
    return false;
}

/* --- asking the edge */

static void ask(struct edge_feed *feed);

static void on_appended(struct store_job *job, enum status status)
{
    struct store_append *append = CONTAINER_OF(job, struct store_append, job);
    struct edge_feed *feed = CONTAINER_OF(append, struct edge_feed, append);

    json_decref(append->changes);
    append->changes = NULL;
    if (!take_back(feed))
        return;
    if (status) {
        feed->due_ms = now() + RETRY_MS;
        return;
    }
    snprintf(feed->position.journal, sizeof(feed->position.journal), "%s", append->journal);
    feed->position.seq = append->seq;
    ask(feed);
}

static bool is_id(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    return len && len < STORE_NAME && strspn(text, "0123456789abcdef") == len;
}

static void append(struct edge_feed *feed, const char *journal, json_t *changes)
{
    feed->append =
        (struct store_append){.job = {.done = on_appended}, .changes = json_incref(changes)};
    snprintf(feed->append.edge, STORE_NAME, "%s", feed->name);
    snprintf(feed->append.journal, STORE_NAME, "%s", journal);
    feed->is_storing = true;
    store_append(feed->store, &feed->append);
}

static void refuse(struct edge_feed *feed, const struct outbound_reply *reply)
{
    bool is_refused = reply->status / 100 == 4;

    feed->due_ms = now() + (is_refused ? REFUSED_MS : RETRY_MS);
    if (!is_refused || feed->has_complained)
        return;
    feed->has_complained = true;
    say_line("edge %s does not tell what is changed on it (%ld): the ledger misses that",
             feed->name, reply->status);
}

static void on_changes(void *owner, const struct outbound_reply *reply)
{
    struct edge_feed *feed = owner;
    json_t *body = NULL, *changes;
    const char *journal;

    feed->call = NULL;
    feed->due_ms = feed->asked_ms + PAUSE_MS; // an edge that does not wait is not asked at once
    if (reply->status == 200)
        body = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    journal = json_string_value(json_object_get(body, "journal"));
    changes = json_object_get(body, "changes");
    if (!is_id(journal) || !json_is_array(changes)) {
        refuse(feed, reply);
    } else {
        feed->has_complained = false;
        if (json_array_size(changes))
            append(feed, journal, changes);
    }
    json_decref(body);
}

static void ask(struct edge_feed *feed)
{
    const char *fields[] = {feed->field, NULL};
    struct outbound_request request = {.method = "GET",
                                       .socket = feed->socket,
                                       .fields = fields,
                                       .ca = feed->ca,
                                       .timeout_ms = CALL_MS,
                                       .size_max = REPLY_MAX,
                                       .is_near = true,
                                       .done = on_changes,
                                       .owner = feed};
    char *url = NULL;

    feed->asked_ms = now();
    feed->due_ms = feed->asked_ms + RETRY_MS;
    if (asprintf(&url, "%s/api/v1/changes?journal=%s&after=%lld&wait=%ds", feed->url,
                 feed->position.journal, (long long)feed->position.seq, WAIT_S) < 0)
        return;
    request.url = url;
    feed->call = outbound_send(feed->outbound, &request);
    free(url);
}

/* --- where to begin */

static void on_position(struct store_job *job, enum status status)
{
    struct store_feed *position = CONTAINER_OF(job, struct store_feed, job);
    struct edge_feed *feed = CONTAINER_OF(position, struct edge_feed, position);

    if (!take_back(feed))
        return;
    feed->has_position = !status;
    if (status)
        feed->due_ms = now() + RETRY_MS;
    else
        ask(feed);
}

static void find_position(struct edge_feed *feed)
{
    feed->position = (struct store_feed){.job = {.done = on_position}};
    snprintf(feed->position.edge, STORE_NAME, "%s", feed->name);
    feed->is_storing = true;
    store_feed(feed->store, &feed->position);
}

void edge_feed_tick(struct edge_feed *feed, int64_t now_ms)
{
    if (feed->call || feed->is_storing || now_ms < feed->due_ms)
        return;
    if (feed->has_position)
        ask(feed);
    else
        find_position(feed);
}

/* --- life */

struct edge_feed *edge_feed_new(const struct edge_feed_options *options)
{
    struct edge_feed *feed = calloc(1, sizeof(*feed));

    if (!feed)
        return NULL;
    feed->outbound = options->outbound;
    feed->store = options->store;
    feed->name = strdup(options->name);
    feed->url = strdup(options->url);
    feed->socket = options->socket ? strdup(options->socket) : NULL;
    feed->field = options->field ? strdup(options->field) : NULL;
    feed->ca = options->ca ? strdup(options->ca) : NULL;
    if (feed->name && feed->url && !feed->socket == !options->socket &&
        !feed->field == !options->field && !feed->ca == !options->ca)
        return feed;
    destroy(feed);
    return NULL;
}

void edge_feed_free(struct edge_feed **feed)
{
    struct edge_feed *gone = *feed;

    *feed = NULL;
    if (!gone)
        return;
    outbound_cancel(&gone->call);
    gone->is_over = true;
    if (!gone->is_storing)
        destroy(gone);
}
