/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_ask.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

/* A gateway that answers nothing is away after so long; answers are no longer than this. Of events
 * something comes every 15 seconds. */
enum { ROUND_MS = 5000, CONNECT_MS = 2000, ANSWER_MAX = 64 * 1024 * 1024 };
enum { AGAIN_MS = 1000, SILENT_MS = 60 * 1000 };

/* A call that is made again and again. */
struct call {
    CURL *curl; /* NULL: it is not made */
    struct curl_slist *fields;
    bool is_under_way;
    CURLcode result;
    long status;
    uint64_t ended_us;
    char *text;
    size_t len, size;
    char why[CURL_ERROR_SIZE];
};

struct top_ask {
    CURLM *multi;
    struct call calls[TOP_QUESTIONS];
    struct call stream; /* of events */
    struct top_events *events;
    uint64_t stream_us; /* when something came of it, or when it broke off */
    unsigned under_way; /* calls of the round */
    bool is_round, is_stream_wanted;
    bool is_local; /* by a socket file: libcurl's own words would name a host */
};

static const char *const paths[TOP_QUESTIONS] = {
    [TOP_STATUS] = "/api/v1/status",   [TOP_COUNTERS] = "/api/v1/counters?routes=true&targets=true",
    [TOP_CONTROL] = "/api/v1/control", [TOP_DEPLOYS] = "/api/v1/deploys",
    [TOP_SLO] = "/api/v1/slo",
};

/* --- what comes */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *owner)
{
    struct call *call = owner;
    size_t n = size * count, need = call->len + n + 1, grown = call->size ? call->size : 4096;
    char *text;

    if (n > ANSWER_MAX || need > ANSWER_MAX)
        return 0;
    while (grown < need)
        grown *= 2;
    text = grown > call->size ? realloc(call->text, grown) : call->text;
    if (!text)
        return 0;
    call->text = text;
    call->size = grown;
    memcpy(text + call->len, bytes, n);
    call->len += n;
    text[call->len] = '\0';
    return n;
}

static size_t on_event(char *bytes, size_t size, size_t count, void *owner)
{
    struct top_ask *ask = owner;
    long status = 0;

    curl_easy_getinfo(ask->stream.curl, CURLINFO_RESPONSE_CODE, &status);
    ask->stream_us = clock_us();
    if (status == 200)
        top_events_feed(ask->events, (struct str){bytes, size * count}, clock_wall_ms());
    return size * count;
}

/* --- life */

static bool open_call(struct call *call, const struct client *client, const char *path)
{
    call->curl = client_handle(client, path, &call->fields);
    if (!call->curl)
        return false;
    curl_easy_setopt(call->curl, CURLOPT_PRIVATE, call);
    curl_easy_setopt(call->curl, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(call->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(call->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    return true;
}

static bool open_all(struct top_ask *ask, const struct client *client)
{
    bool is_good = ask->multi != NULL;

    for (unsigned i = 0; i < TOP_QUESTIONS && is_good; i++) {
        is_good = open_call(&ask->calls[i], client, paths[i]);
        if (!is_good)
            break;
        curl_easy_setopt(ask->calls[i].curl, CURLOPT_WRITEFUNCTION, on_bytes);
        curl_easy_setopt(ask->calls[i].curl, CURLOPT_WRITEDATA, &ask->calls[i]);
        curl_easy_setopt(ask->calls[i].curl, CURLOPT_TIMEOUT_MS, (long)ROUND_MS);
    }
    if (is_good && ask->events) {
        is_good = open_call(&ask->stream, client, "/api/v1/events");
        if (is_good) {
            curl_easy_setopt(ask->stream.curl, CURLOPT_WRITEFUNCTION, on_event);
            curl_easy_setopt(ask->stream.curl, CURLOPT_WRITEDATA, ask);
        }
    }
    return is_good;
}

struct top_ask *top_ask_new(const struct client *client, struct top_events *events)
{
    struct top_ask *ask = calloc(1, sizeof(*ask));

    if (!ask)
        return NULL;
    ask->events = events;
    ask->is_local = !strncmp(client->admin, "unix:", 5);
    ask->multi = curl_multi_init();
    if (!open_all(ask, client))
        top_ask_free(&ask);
    return ask;
}

static void close_call(struct top_ask *ask, struct call *call)
{
    if (call->curl && call->is_under_way)
        curl_multi_remove_handle(ask->multi, call->curl);
    curl_easy_cleanup(call->curl);
    curl_slist_free_all(call->fields);
    free(call->text);
}

void top_ask_free(struct top_ask **ask)
{
    struct top_ask *gone = *ask;

    *ask = NULL;
    if (!gone)
        return;
    for (unsigned i = 0; i < TOP_QUESTIONS; i++)
        close_call(gone, &gone->calls[i]);
    close_call(gone, &gone->stream);
    curl_multi_cleanup(gone->multi);
    free(gone);
}

/* --- rounds */

static void start(struct top_ask *ask, struct call *call)
{
    call->len = 0;
    call->status = 0;
    call->result = CURLE_OK;
    *call->why = '\0';
    call->is_under_way = !curl_multi_add_handle(ask->multi, call->curl);
    if (!call->is_under_way)
        call->result = CURLE_OUT_OF_MEMORY;
}

void top_ask_begin(struct top_ask *ask)
{
    if (ask->is_round)
        return;
    ask->is_round = true;
    for (unsigned i = 0; i < TOP_QUESTIONS; i++) {
        start(ask, &ask->calls[i]);
        ask->under_way += ask->calls[i].is_under_way;
    }
}

static void finish(struct top_ask *ask, struct call *call, CURLcode result)
{
    curl_multi_remove_handle(ask->multi, call->curl);
    call->is_under_way = false;
    call->result = result;
    call->ended_us = clock_us();
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &call->status);
    if (call == &ask->stream)
        ask->stream_us = call->ended_us;
    else
        ask->under_way--;
}

/* Events are followed once the gateway has answered. */
static void follow(struct top_ask *ask)
{
    uint64_t silent_ms = (clock_us() - ask->stream_us) / 1000;

    if (ask->stream.is_under_way && silent_ms > SILENT_MS)
        finish(ask, &ask->stream, CURLE_OPERATION_TIMEDOUT);
    if (!ask->events || ask->stream.is_under_way || !ask->is_stream_wanted || silent_ms < AGAIN_MS)
        return;
    top_events_break(ask->events);
    ask->stream_us = clock_us();
    start(ask, &ask->stream);
}

static void read_ends(struct top_ask *ask)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(ask->multi, &left))) {
        CURLcode result = message->data.result;
        struct call *call = NULL;

        if (message->msg == CURLMSG_DONE &&
            !curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call) && call)
            finish(ask, call, result);
    }
}

bool top_ask_wait(struct top_ask *ask, const int fds[2], int ms)
{
    struct curl_waitfd waits[2];
    unsigned count = 0;
    int running;

    for (unsigned i = 0; i < 2; i++)
        if (fds[i] >= 0)
            waits[count++] = (struct curl_waitfd){.fd = fds[i], .events = CURL_WAIT_POLLIN};
    follow(ask);
    curl_multi_perform(ask->multi, &running);
    read_ends(ask);
    if (!ask->is_round || ask->under_way) {
        curl_multi_poll(ask->multi, waits, count, ms, NULL);
        curl_multi_perform(ask->multi, &running);
        read_ends(ask);
    }
    if (!ask->is_round || ask->under_way)
        return false;
    ask->is_round = false;
    return true;
}

/* --- what a round has brought */

static json_t *json_of(const struct call *call)
{
    if (call->result || call->status != 200 || !call->len)
        return NULL;
    return json_loadb(call->text, call->len, JSON_ALLOW_NUL, NULL);
}

/* Control that is elsewhere need not answer here. */
static const char *control_error(struct top_look *look, const struct call *call)
{
    json_t *problem;
    struct str detail;

    if (call->result || call->status != 503 || !call->len)
        return NULL;
    problem = json_loadb(call->text, call->len, 0, NULL);
    detail.p = json_string_value(json_object_get(problem, "detail"));
    detail.len = detail.p ? strlen(detail.p) : 0;
    if (!detail.p || strstr(detail.p, "`role: edge`"))
        detail = STR_NONE;
    else
        detail = arena_copy(&look->arena, detail);
    json_decref(problem);
    return detail.p;
}

static int explain(const struct top_ask *ask, struct client_answer *why)
{
    const struct call *call = &ask->calls[TOP_STATUS];
    bool has_words = *call->why && !ask->is_local;

    *why = (struct client_answer){.status = call->status};
    if (!call->result && call->status == 200)
        why->body = json_pack("{s:s}", "detail", "What answers there is no gateway.");
    else if (call->len)
        why->body = json_loadb(call->text, call->len, 0, NULL);
    snprintf(why->why, sizeof(why->why), "%s",
             has_words ? call->why : curl_easy_strerror(call->result));
    return call->result ? CLIENT_UNREACHABLE : CLIENT_FAILED;
}

int top_ask_take(struct top_ask *ask, struct top_look *look, struct client_answer *why)
{
    *why = (struct client_answer){0};
    for (unsigned i = 0; i < TOP_QUESTIONS; i++)
        look->answers[i] = json_of(&ask->calls[i]);
    if (!look->answers[TOP_STATUS])
        return explain(ask, why);
    ask->is_stream_wanted = true;
    look->control_error = control_error(look, &ask->calls[TOP_CONTROL]);
    look->at_us = look->answers[TOP_COUNTERS] ? ask->calls[TOP_COUNTERS].ended_us : 0;
    look->wall_ms = clock_wall_ms();
    return CLIENT_OK;
}
