/* SPDX-License-Identifier: Apache-2.0 */
#include "control/spans.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/say.h"
#include "control/spans_queue.h"

enum {
    POLL_MS = 1000,
    ASK_MS = 5000,
    SEND_MS = 10 * 1000,
    REPLY_MAX = 64 * 1024,
    BACKOFF_MS = 1000,
    BACKOFF_MAX_MS = 60 * 1000,
    FIELDS_MAX = 40,
    URL_MAX = 2048,
};

struct teller {
    struct spans *spans;
    uint32_t index;
    struct outbound_call *call;
    json_int_t number; /* of the batch that we have; 0: none */
    int64_t next_ms;
};

struct spans {
    struct edges *edges;
    struct outbound *outbound;
    struct arena arena; /* of the next ones */
    bool is_on;
    char url[URL_MAX];
    const char *fields[FIELDS_MAX], *ca, *service;
    struct teller *tellers;
    uint32_t count, version;
    struct spans_queue queue;
    struct outbound_call *call;
    int64_t next_ms, backoff_ms; /* not sooner; after the next failure */
    uint64_t exported, refused;  /* spans */
    char error[300];             /* empty: it takes them */
};

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- from the edges */

/* `about` is the first line of the answer, `spans` the second: what an edge of ours says there is
 * passed on unread, for reading it would cost more than all else that is done for a trace. */
static void take(struct teller *teller, const json_t *about, struct str spans)
{
    struct spans_queue *queue = &teller->spans->queue;
    const struct edges *edges = teller->spans->edges;
    const char *edge = edges_is_own(edges, teller->index)
                           ? json_string_value(json_object_get(about, "edge"))
                           : edges_name(edges, teller->index);
    json_int_t count = json_integer_value(json_object_get(about, "count"));

    while (spans.len && spans.p[spans.len - 1] == '\n')
        spans.len--;
    teller->number = json_integer_value(json_object_get(about, "number"));
    if (count > 0 && edge && spans.len > 1 && spans.p[0] == '[' && spans.p[spans.len - 1] == ']')
        spans_queue_add(queue, edge, spans, (uint64_t)count);
    if (json_is_true(json_object_get(about, "more")))
        teller->next_ms = 0;
}

static void on_spans(void *owner, const struct outbound_reply *reply)
{
    struct teller *teller = owner;
    struct str body = reply->body;
    const char *line = reply->status == 200 ? memchr(body.p, '\n', body.len) : NULL;
    size_t len = line ? (size_t)(line - body.p) : 0;
    json_t *about = line ? json_loadb(body.p, len, 0, NULL) : NULL;

    teller->call = NULL;
    teller->next_ms = now() + POLL_MS;
    if (json_is_integer(json_object_get(about, "number")))
        take(teller, about, (struct str){line + 1, body.len - len - 1});
    json_decref(about);
}

static void ask(struct teller *teller)
{
    char path[64];

    snprintf(path, sizeof(path), "/api/v1/spans?after=%lld", (long long)teller->number);
    teller->call = edges_ask(teller->spans->edges, teller->index,
                             &(struct edges_ask){"GET", path, NULL, ASK_MS, on_spans, teller});
}

static void drop_tellers(struct spans *spans)
{
    for (uint32_t i = 0; i < spans->count; i++)
        outbound_cancel(&spans->tellers[i].call);
    free(spans->tellers);
    spans->tellers = NULL;
    spans->count = 0;
}

/* As many as there are edges now. */
static void match(struct spans *spans)
{
    if (spans->tellers && spans->version == edges_version(spans->edges))
        return;
    drop_tellers(spans);
    spans->tellers = calloc(edges_count(spans->edges) + 1u, sizeof(*spans->tellers));
    if (!spans->tellers)
        return;
    spans->count = edges_count(spans->edges);
    spans->version = edges_version(spans->edges);
    for (uint32_t i = 0; i < spans->count; i++)
        spans->tellers[i] = (struct teller){.spans = spans, .index = i};
}

/* --- to the collector */

static void fail(struct spans *spans, const char *why, int64_t retry_ms)
{
    if (!*spans->error)
        say_line("the collector at %s does not take spans: %s", spans->url, why);
    say_into(spans->error, sizeof(spans->error), "%s", why);
    if (retry_ms < spans->backoff_ms)
        retry_ms = spans->backoff_ms;
    spans->next_ms = now() + retry_ms;
    spans->backoff_ms =
        spans->backoff_ms * 2 < BACKOFF_MAX_MS ? spans->backoff_ms * 2 : BACKOFF_MAX_MS;
}

/* "partialSuccess": {"rejectedSpans": "2", "errorMessage"}: those are not to be sent again. */
static uint64_t count_rejected(const struct outbound_reply *reply)
{
    json_t *answer = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    const json_t *count =
        json_object_get(json_object_get(answer, "partialSuccess"), "rejectedSpans");
    const char *text = json_string_value(count);
    long long rejected = text ? strtoll(text, NULL, 10) : (long long)json_integer_value(count);

    json_decref(answer);
    return rejected > 0 ? (uint64_t)rejected : 0;
}

static void succeed(struct spans *spans, const struct outbound_reply *reply)
{
    uint64_t count = spans_queue_drop(&spans->queue), rejected = count_rejected(reply);

    if (rejected > count)
        rejected = count;
    spans->exported += count - rejected;
    spans->refused += rejected;
    spans->backoff_ms = BACKOFF_MS;
    spans->next_ms = 0;
    if (*spans->error)
        say_line("the collector at %s takes spans again", spans->url);
    spans->error[0] = '\0';
}

/* OTLP/HTTP, "Retryable Response Codes"; and where nothing was answered at all. */
static bool is_retryable(long status)
{
    return !status || status == 429 || status == 502 || status == 503 || status == 504;
}

static void on_sent(void *owner, const struct outbound_reply *reply)
{
    struct spans *spans = owner;
    char why[160];

    spans->call = NULL;
    if (reply->status >= 200 && reply->status < 300) {
        succeed(spans, reply);
        return;
    }
    if (reply->status)
        snprintf(why, sizeof(why), "it answers %ld", reply->status);
    else
        say_into(why, sizeof(why), "%s", reply->error);
    if (is_retryable(reply->status))
        spans_queue_return(&spans->queue);
    else
        spans->refused += spans_queue_drop(&spans->queue);
    fail(spans, why, reply->retry_ms);
}

static void post(struct spans *spans)
{
    char *body = spans_queue_send(&spans->queue, spans->service);

    if (!body)
        return;
    spans->call =
        outbound_send(spans->outbound, &(struct outbound_request){.method = "POST",
                                                                  .url = spans->url,
                                                                  .fields = spans->fields,
                                                                  .body = {body, strlen(body)},
                                                                  .ca = spans->ca,
                                                                  .timeout_ms = SEND_MS,
                                                                  .size_max = REPLY_MAX,
                                                                  .done = on_sent,
                                                                  .owner = spans});
    free(body);
    if (!spans->call) {
        spans_queue_return(&spans->queue);
        spans->next_ms = now() + BACKOFF_MS;
    }
}

void spans_tick(struct spans *spans, int64_t now_ms)
{
    if (!spans->is_on)
        return;
    match(spans);
    for (uint32_t i = 0; i < spans->count; i++)
        if (!spans->tellers[i].call && now_ms >= spans->tellers[i].next_ms)
            ask(&spans->tellers[i]);
    if (!spans->call && now_ms >= spans->next_ms)
        post(spans);
}

/* --- the configuration */

static bool copy_fields(struct spans *spans, const struct conf_pairs *headers)
{
    unsigned count = 0;

    spans->fields[count++] = "Content-Type: application/json";
    for (uint32_t i = 0; i < headers->count && count < FIELDS_MAX - 1; i++) {
        struct str line =
            arena_format(&spans->arena, "%.*s: %.*s", STR_FMT(headers->items[i].name.s),
                         STR_FMT(headers->items[i].value.s));

        if (!line.p)
            return false;
        spans->fields[count++] = line.p;
    }
    spans->fields[count] = NULL;
    return true;
}

static bool copy(struct spans *spans, const struct conf_traces *conf)
{
    struct str base = conf->endpoint.s, ca = arena_copy(&spans->arena, conf->ca.s);
    struct str service = arena_copy(&spans->arena, conf->service.s);
    char url[URL_MAX];

    while (base.len && base.p[base.len - 1] == '/')
        base.len--;
    say_into(url, sizeof(url), "%.*s/v1/traces", STR_FMT(base));
    if (strcmp(url, spans->url) != 0) {
        spans->error[0] = '\0';
        spans->next_ms = 0;
        spans->backoff_ms = BACKOFF_MS;
    }
    memcpy(spans->url, url, sizeof(url));
    spans->ca = ca.len ? ca.p : NULL;
    spans->service = service.p;
    return service.p && (ca.p || !conf->ca.s.len) && copy_fields(spans, &conf->headers);
}

enum status spans_configure(struct spans *spans, const struct conf *conf)
{
    outbound_cancel(&spans->call);
    spans_queue_return(&spans->queue);
    arena_reset(&spans->arena);
    spans->is_on = conf->has_traces && copy(spans, &conf->traces);
    if (spans->is_on)
        return OK;
    drop_tellers(spans);
    spans->queue.dropped += spans->queue.waiting;
    spans_queue_clear(&spans->queue);
    return conf->has_traces ? E_NOMEM : OK;
}

/* --- what it shows */

json_t *spans_json(const struct spans *spans)
{
    if (!spans->is_on)
        return json_null();
    return json_pack("{s:s,s:I,s:I,s:I,s:s?}", "endpoint", spans->url, "waiting",
                     (json_int_t)spans->queue.waiting, "exported", (json_int_t)spans->exported,
                     "dropped", (json_int_t)(spans->queue.dropped + spans->refused), "error",
                     *spans->error ? spans->error : NULL);
}

void spans_metrics(const struct spans *spans, struct prometheus *text)
{
    const struct prometheus_label full[] = {{"reason", STR("queue_full")}, {0}};
    const struct prometheus_label refused[] = {{"reason", STR("refused")}, {0}};

    prometheus_family(text, "sluice_spans_exported_total", PROMETHEUS_COUNTER,
                      "Spans that the collector has taken.");
    prometheus_u64(text, NULL, spans->exported);
    prometheus_family(text, "sluice_spans_dropped_total", PROMETHEUS_COUNTER,
                      "Spans that were not exported: the collector was away for too long, or "
                      "refused them.");
    prometheus_u64(text, full, spans->queue.dropped);
    prometheus_u64(text, refused, spans->refused);
    prometheus_family(text, "sluice_spans_waiting", PROMETHEUS_GAUGE,
                      "Spans that are to be exported yet.");
    prometheus_u64(text, NULL, spans->queue.waiting);
    prometheus_family(text, "sluice_spans_failing", PROMETHEUS_GAUGE,
                      "Whether the collector did not take the last spans.");
    prometheus_u64(text, NULL, *spans->error != '\0');
}

/* --- life */

struct spans *spans_new(struct edges *edges, struct outbound *outbound)
{
    struct spans *spans = calloc(1, sizeof(*spans));

    if (!spans)
        return NULL;
    spans->edges = edges;
    spans->outbound = outbound;
    spans->backoff_ms = BACKOFF_MS;
    arena_init(&spans->arena, NULL, 0);
    return spans;
}

void spans_close(struct spans *spans)
{
    spans->is_on = false;
    outbound_cancel(&spans->call);
    drop_tellers(spans);
}

void spans_free(struct spans **spans)
{
    struct spans *gone = *spans;

    *spans = NULL;
    if (!gone)
        return;
    spans_queue_clear(&gone->queue);
    arena_reset(&gone->arena);
    free(gone);
}
