/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/relay.h"

#include <stdlib.h>
#include <string.h>

#include "rest/impl.h"
#include "rest/stream.h"

enum { HEADERS_MAX = 100, ENDLESS = -1 };

/* Owned by the list of its server until its pipe is closed. */
struct rest_relay {
    uv_pipe_t pipe;
    uv_connect_t connect;
    uv_write_t write;
    struct rest_server *server;
    struct rest_relay *next, **back;
    struct rest_call *call; /* NULL: it is over */
    struct rest_relay_options options;
    struct str request;
    struct buf in; /* an incomplete head */
    size_t scanned;
    int64_t left; /* of the body */
    uint64_t deadline_ms;
    bool has_begun, is_paused;
};

static void set_deadline(struct rest_relay *relay, uint32_t ms)
{
    relay->deadline_ms = uv_now(relay->server->options.loop) + ms;
}

/* --- the end */

static void on_closed(uv_handle_t *handle)
{
    struct rest_relay *relay = handle->data;

    buf_drop(&relay->in, &relay->server->slab);
    free((char *)(uintptr_t)relay->request.p);
    free(relay);
}

static struct rest_call *leave(struct rest_relay *relay)
{
    struct rest_call *call = relay->call;

    relay->call = NULL;
    call->on_room = NULL;
    call->on_gone = NULL;
    *relay->back = relay->next;
    if (relay->next)
        relay->next->back = relay->back;
    uv_close((uv_handle_t *)&relay->pipe, on_closed);
    return call;
}

static void finish(struct rest_relay *relay, bool is_whole)
{
    rest_end(leave(relay), is_whole);
}

static void fail(struct rest_relay *relay, const char *why)
{
    void (*refuse)(struct rest_call * call, const char *why) = relay->options.refuse;

    if (relay->has_begun)
        finish(relay, false);
    else
        refuse(leave(relay), why);
}

static void on_gone(struct rest_call *call)
{
    rest_call_free(leave(call->of));
}

void rest_relay_close(struct rest_server *server)
{
    while (server->relays)
        rest_call_free(leave(server->relays));
}

void rest_relay_tick(struct rest_server *server, uint64_t now_ms)
{
    for (struct rest_relay *relay = server->relays, *next; relay; relay = next) {
        next = relay->next;
        if (now_ms >= relay->deadline_ms && !relay->is_paused)
            fail(relay, "does not answer in time");
    }
}

/* --- the answer */

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
    struct rest_relay *relay = handle->data;

    (void)suggested;
    *bytes = uv_buf_init(relay->server->read, sizeof(relay->server->read));
}

static void on_room(struct rest_call *call)
{
    struct rest_relay *relay = call->of;

    if (!relay->is_paused)
        return;
    relay->is_paused = false;
    set_deadline(relay, relay->options.idle_ms);
    if (uv_read_start((uv_stream_t *)&relay->pipe, on_alloc, on_read))
        finish(relay, false);
}

static void pass_body(struct rest_relay *relay, struct str bytes)
{
    if (relay->left != ENDLESS && (uint64_t)relay->left < bytes.len)
        bytes.len = (size_t)relay->left;
    if (relay->left != ENDLESS)
        relay->left -= (int64_t)bytes.len;
    if (bytes.len && !rest_send(relay->call, bytes))
        return; // the client is gone, and so is the relay
    if (!relay->left) {
        finish(relay, true);
        return;
    }
    relay->is_paused = rest_is_full(relay->call);
    if (relay->is_paused)
        uv_read_stop((uv_stream_t *)&relay->pipe);
}

static void pass_fields(struct rest_call *call, const struct head *answer)
{
    static const char *const names[] = {"Allow", "ETag", "Location", "Retry-After"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str value = head_value_name(answer, (struct str){names[i], strlen(names[i])});

        if (value.p)
            rest_field(call, names[i], "%.*s", STR_FMT(value));
    }
}

static void pass_head(struct rest_relay *relay, size_t len)
{
    static const struct wire_limits limits = {REST_HEAD_MAX, REST_HEAD_MAX, HEADERS_MAX};
    struct rest_call *call = relay->call;
    struct str block = arena_copy(&call->arena, (struct str){relay->in.p, len}), rest;
    struct head answer;

    if (!block.p || h1_parse_response(block, &limits, &call->arena, &answer) || answer.chunked ||
        answer.status < 200) {
        fail(relay, "answers in a way that is not understood");
        return;
    }
    relay->left = call->head.method == METHOD_HEAD ? 0 : answer.content_length;
    relay->has_begun = true;
    pass_fields(call, &answer);
    if (!rest_begin(call, answer.status, head_value_name(&answer, STR("content-type")),
                    answer.content_length))
        return;
    rest = (struct str){relay->in.p + len, relay->in.len - len};
    pass_body(relay, rest);
}

static void take(struct rest_relay *relay, struct str bytes)
{
    size_t len;

    if (relay->has_begun) {
        set_deadline(relay, relay->options.idle_ms);
        pass_body(relay, bytes);
        return;
    }
    if (buf_append(&relay->in, &relay->server->slab, bytes)) {
        fail(relay, "cannot be heard: out of memory");
        return;
    }
    len = h1_head_length((struct str){relay->in.p, relay->in.len}, &relay->scanned);
    if (len) {
        set_deadline(relay, relay->options.idle_ms);
        pass_head(relay, len);
    } else if (relay->in.len > REST_HEAD_MAX) {
        fail(relay, "answers in a way that is not understood");
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct rest_relay *relay = stream->data;

    if (n > 0)
        take(relay, (struct str){bytes->base, (size_t)n});
    else if (n < 0 && relay->has_begun)
        finish(relay, n == UV_EOF && relay->left == ENDLESS);
    else if (n < 0)
        fail(relay, "ended before it answered");
}

/* --- the question */

static struct str write_request(struct rest_call *call, struct str fields)
{
    static const char *const names[] = {"Accept", "Content-Type", "Idempotency-Key", "If-Match",
                                        "Last-Event-ID"};
    struct str query = call->head.query, passed = STR_NONE, text;
    char *copy;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str value = head_value_name(&call->head, (struct str){names[i], strlen(names[i])});

        if (value.p)
            passed = arena_format(&call->arena, "%.*s%s: %.*s\r\n", STR_FMT(passed), names[i],
                                  STR_FMT(value));
    }
    text =
        arena_format(&call->arena,
                     "%.*s %.*s%s%.*s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                     "Content-Length: %u\r\n%.*s%.*s\r\n",
                     STR_FMT(call->head.method_name), STR_FMT(call->head.path), query.p ? "?" : "",
                     STR_FMT(query), call->body.len, STR_FMT(passed), STR_FMT(fields));
    copy = text.p ? malloc(text.len + call->body.len) : NULL;
    if (!copy)
        return STR_NONE;
    memcpy(copy, text.p, text.len);
    if (call->body.len)
        memcpy(copy + text.len, call->body.p, call->body.len);
    return (struct str){copy, text.len + call->body.len};
}

static void on_written(uv_write_t *write, int failed)
{
    (void)write;
    (void)failed; // reading says so too
}

static void on_connected(uv_connect_t *connect, int failed)
{
    struct rest_relay *relay = connect->data;
    uv_buf_t bytes;

    if (failed == UV_ECANCELED || !relay->call)
        return;
    bytes = uv_buf_init((char *)(uintptr_t)relay->request.p, (unsigned)relay->request.len);
    if (failed)
        fail(relay, failed == UV_EAGAIN ? "takes no more calls" : "is not there");
    else if (uv_write(&relay->write, (uv_stream_t *)&relay->pipe, &bytes, 1, on_written) ||
             uv_read_start((uv_stream_t *)&relay->pipe, on_alloc, on_read))
        fail(relay, "cannot be asked");
}

static unsigned count(const struct rest_server *server)
{
    unsigned n = 0;

    for (const struct rest_relay *relay = server->relays; relay; relay = relay->next)
        n++;
    return n;
}

static void link_relay(struct rest_relay *relay, struct rest_call *call)
{
    struct rest_server *server = relay->server;

    relay->next = server->relays;
    relay->back = &server->relays;
    if (relay->next)
        relay->next->back = &relay->next;
    server->relays = relay;
    relay->call = call;
    call->of = relay;
    call->on_room = on_room;
    call->on_gone = on_gone;
}

static struct rest_relay *make(struct rest_call *call, const struct rest_relay_options *options)
{
    struct rest_relay *relay = calloc(1, sizeof(*relay));

    if (!relay)
        return NULL;
    relay->server = call->server;
    relay->options = *options;
    relay->request = write_request(call, options->fields);
    if (!relay->request.p || uv_pipe_init(call->server->options.loop, &relay->pipe, 0)) {
        free((char *)(uintptr_t)relay->request.p);
        free(relay);
        return NULL;
    }
    relay->pipe.data = relay;
    relay->connect.data = relay;
    link_relay(relay, call);
    set_deadline(relay, options->head_ms);
    return relay;
}

void rest_relay(struct rest_call *call, const struct rest_relay_options *options)
{
    struct rest_relay *relay;

    if (count(call->server) >= options->most) {
        options->refuse(call, "has as many calls to answer as it may have");
        return;
    }
    relay = make(call, options);
    if (relay)
        uv_pipe_connect(&relay->connect, &relay->pipe, options->socket, on_connected);
    else
        options->refuse(call, "cannot be asked: out of memory");
}
