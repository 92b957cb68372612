/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection of the API server: requests in, one at a time, each whole before it is run;
 * answers and events out. What comes while a call runs waits. Owned by the server's list from
 * accept to its close callback.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/ip.h"
#include "rest/impl.h"

enum {
    HEADER_MS = 5 * 1000,
    IDLE_MS = 60 * 1000,
    LINGER_MS = 2 * 1000,
    AHEAD_MAX = 64 * 1024, /* bytes read while a call runs */
    HEADERS_MAX = 100,
};

static void advance(struct rest_conn *conn);

void rest_conn_set_deadline(struct rest_conn *conn, uint64_t ms)
{
    conn->deadline_ms = uv_now(conn->server->options.loop) + ms;
}

/* --- the end */

static void on_closed(uv_handle_t *handle)
{
    struct rest_conn *conn = handle->data;
    struct slab *slab = &conn->server->slab;

    buf_drop(&conn->in, slab);
    buf_drop(&conn->out, slab);
    buf_drop(&conn->queued, slab);
    buf_drop(&conn->cipher, slab);
    rest_tls_free(&conn->tls);
    free(conn);
}

void rest_conn_close(struct rest_conn *conn)
{
    struct rest_call *call = conn->call;

    if (uv_is_closing(&conn->uv.any))
        return;
    *conn->back = conn->next;
    if (conn->next)
        conn->next->back = conn->back;
    conn->server->conn_count--;
    conn->call = NULL;
    if (call)
        call->conn = NULL;
    if (call && (conn->state == REST_READ_HEAD || conn->state == REST_READ_BODY))
        rest_call_free(call); // it was not whole, so nobody runs it
    else if (call && call->on_gone)
        call->on_gone(call);
    uv_close(&conn->uv.any, on_closed);
}

static void on_shutdown(uv_shutdown_t *shutdown, int failed)
{
    (void)shutdown;
    (void)failed;
}

static void half_close(struct rest_conn *conn)
{
    if (conn->is_eof || uv_shutdown(&conn->shutdown, &conn->uv.stream, on_shutdown))
        rest_conn_close(conn);
}

/* RFC 9112 9.6: half-close, then read until the client has closed, so that no reset eats the
 * answer. RFC 8446 6.1: close_notify before that. */
void rest_conn_linger(struct rest_conn *conn)
{
    conn->state = REST_LINGER;
    rest_conn_set_deadline(conn, LINGER_MS);
    buf_drop(&conn->in, &conn->server->slab);
    if (conn->tls)
        rest_tls_bye(conn->tls);
    if (conn->tls && rest_conn_has_cipher(conn))
        rest_conn_write(conn);
    else
        half_close(conn);
}

/* --- out */

static void flush(struct rest_conn *conn);

/* Everything of an answer is written. */
static void finish_answer(struct rest_conn *conn)
{
    if (conn->close_after || conn->is_eof) {
        rest_conn_linger(conn);
        return;
    }
    conn->state = REST_READ_HEAD;
    conn->scanned = 0;
    rest_conn_set_deadline(conn, IDLE_MS);
    advance(conn);
}

/* Everything that came in pieces is written, so far. */
static void go_on(struct rest_conn *conn)
{
    if (conn->state == REST_ANSWER && !conn->call)
        finish_answer(conn);
    else if (conn->state == REST_PIECES && conn->call->on_room)
        conn->call->on_room(conn->call);
}

void rest_conn_finish(struct rest_conn *conn)
{
    conn->state = REST_ANSWER;
    if (!conn->is_writing)
        finish_answer(conn);
}

static void on_written(uv_write_t *write, int failed)
{
    struct rest_conn *conn = write->data;

    conn->is_writing = false;
    if (uv_is_closing(&conn->uv.any))
        return;
    if (failed) {
        rest_conn_close(conn);
        return;
    }
    buf_drop(&conn->cipher, &conn->server->slab);
    if (conn->tls && rest_conn_has_cipher(conn)) {
        rest_conn_write(conn);
        return;
    }
    buf_drop(&conn->out, &conn->server->slab);
    conn->sealed = 0;
    if (conn->queued.len)
        flush(conn);
    else if (conn->state == REST_LINGER)
        half_close(conn);
    else
        go_on(conn);
}

void rest_conn_write(struct rest_conn *conn)
{
    const struct buf *from = conn->tls ? &conn->cipher : &conn->out;
    uv_buf_t bytes;

    if (conn->is_writing || uv_is_closing(&conn->uv.any))
        return;
    if (conn->tls && !rest_conn_seal(conn)) {
        rest_conn_close(conn);
        return;
    }
    bytes = uv_buf_init(from->p, from->len);
    conn->write.data = conn;
    conn->is_writing = true;
    conn->unsent = from->len;
    if (conn->state != REST_SHAKE && conn->state != REST_LINGER)
        rest_conn_set_deadline(conn, IDLE_MS);
    if (uv_write(&conn->write, &conn->uv.stream, &bytes, 1, on_written)) {
        conn->is_writing = false;
        rest_conn_close(conn);
    }
}

static void flush(struct rest_conn *conn)
{
    struct buf empty = conn->out;

    conn->out = conn->queued;
    conn->queued = empty;
    conn->sealed = 0;
    rest_conn_write(conn);
}

void rest_conn_send(struct rest_conn *conn, struct str bytes)
{
    if (uv_is_closing(&conn->uv.any))
        return;
    if (buf_append(&conn->queued, &conn->server->slab, bytes) ||
        (conn->state == REST_STREAM && conn->queued.len > REST_STREAM_MAX)) {
        rest_conn_close(conn);
        return;
    }
    if (!conn->is_writing)
        flush(conn);
}

/* --- in */

static struct str unread(const struct rest_conn *conn)
{
    return (struct str){conn->in.p, conn->in.len};
}

/* What is left of `unread` stays. */
static void eat(struct rest_conn *conn, struct str rest)
{
    enum status status = buf_keep(&conn->in, &conn->server->slab, rest);

    (void)status; // a tail of the buffer always fits
}

static void refuse(struct rest_conn *conn, enum reason why)
{
    const struct reason_info *info = reason_info(why);

    conn->close_after = true;
    conn->state = REST_ANSWER;
    rest_problem(conn->call, info->status, info->slug, "%s", info->text);
}

static bool is_last(const struct rest_conn *conn)
{
    return conn->call->head.wants_close || conn->server->is_retired || conn->is_last;
}

/* A call for the head of `len` bytes that the buffer begins with. */
static bool begin(struct rest_conn *conn, size_t len)
{
    static const struct wire_limits limits = {REST_HEAD_MAX, REST_HEAD_MAX, HEADERS_MAX};
    struct str in = unread(conn), block;
    struct rest_call *call = rest_call_new(conn->server, conn);
    enum reason why = REASON_MEMORY_LIMIT;

    if (!call) {
        rest_conn_close(conn);
        return false;
    }
    if (len > REST_HEAD_MAX) {
        refuse(conn, REASON_HEADERS_TOO_LARGE);
        return false;
    }
    block = arena_copy(&call->arena, (struct str){in.p, len});
    eat(conn, (struct str){in.p + len, in.len - len});
    if (block.p)
        why = h1_parse_request(block, &limits, &call->arena, &call->head);
    if (why) {
        refuse(conn, why);
        return false;
    }
    conn->close_after = is_last(conn);
    conn->body_left = call->head.content_length > 0 ? (uint64_t)call->head.content_length : 0;
    conn->chunked = (struct chunked){0};
    conn->state = REST_ANSWER;
    if (conn->body_left || call->head.chunked)
        conn->close_after = true; // a refusal does not wait for the body
    if (!conn->server->options.dispatch(call))
        return false;
    conn->close_after = is_last(conn);
    conn->state = REST_READ_BODY;
    if (conn->body_left > call->body_max) {
        refuse(conn, REASON_BODY_TOO_LARGE);
        return false;
    }
    if (call->head.expects_continue) // RFC 9110 10.1.1
        rest_conn_send(conn, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    return true;
}

/* RFC 9112 2.2: one empty line before a request is skipped. */
static bool read_head(struct rest_conn *conn)
{
    struct str in = unread(conn);
    size_t len;

    if (in.len >= 2 && !memcmp(in.p, "\r\n", 2)) {
        conn->scanned = 0;
        eat(conn, (struct str){in.p + 2, in.len - 2});
        in = unread(conn);
    }
    if (!in.len)
        return false;
    if (!conn->scanned)
        rest_conn_set_deadline(conn, HEADER_MS);
    len = h1_head_length(in, &conn->scanned);
    if (!len && in.len <= REST_HEAD_MAX)
        return false;
    return begin(conn, len ? len : in.len);
}

static void run(struct rest_conn *conn)
{
    conn->state = REST_ANSWER;
    conn->server->options.run(conn->call);
}

static bool take_body(struct rest_conn *conn, struct str data)
{
    struct rest_call *call = conn->call;

    if (call->body.len + data.len > call->body_max) {
        refuse(conn, REASON_BODY_TOO_LARGE);
        return false;
    }
    if (buf_append(&call->body, &conn->server->slab, data)) {
        refuse(conn, REASON_MEMORY_LIMIT);
        return false;
    }
    return true;
}

/* Trailers mean nothing here and are dropped. True: they are over. */
static bool skip_trailers(struct rest_conn *conn)
{
    struct str in = unread(conn);
    size_t scanned = 0, len;

    if (in.len >= 2 && !memcmp(in.p, "\r\n", 2)) {
        eat(conn, (struct str){in.p + 2, in.len - 2});
        return true;
    }
    len = in.len ? h1_head_length(in, &scanned) : 0;
    if (len)
        eat(conn, (struct str){in.p + len, in.len - len});
    else if (in.len > REST_HEAD_MAX)
        refuse(conn, REASON_HEADERS_TOO_LARGE);
    return len > 0;
}

static bool read_chunked(struct rest_conn *conn)
{
    struct str in = unread(conn), data;

    for (;;) {
        enum chunk_event event = chunked_next(&conn->chunked, &in, &data);

        if (event == CHUNK_DATA && take_body(conn, data))
            continue;
        if (event == CHUNK_BAD)
            refuse(conn, REASON_CHUNK_INVALID);
        if (event == CHUNK_BAD || event == CHUNK_DATA)
            return false;
        eat(conn, in);
        return event == CHUNK_TRAILERS && skip_trailers(conn);
    }
}

static bool read_body(struct rest_conn *conn)
{
    struct str in = unread(conn);
    size_t n = in.len < conn->body_left ? in.len : (size_t)conn->body_left;

    rest_conn_set_deadline(conn, IDLE_MS);
    if (conn->call->head.chunked) {
        if (!read_chunked(conn))
            return false;
    } else {
        if (n && !take_body(conn, (struct str){in.p, n}))
            return false;
        conn->body_left -= n;
        if (n)
            eat(conn, (struct str){in.p + n, in.len - n});
        if (conn->body_left)
            return false;
    }
    run(conn);
    return true;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes);

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *bytes)
{
    struct rest_conn *conn = handle->data;

    (void)suggested;
    *bytes = uv_buf_init(conn->server->read, sizeof(conn->server->read));
}

static void advance(struct rest_conn *conn)
{
    bool goes_on = true;

    if (conn->is_paused) {
        conn->is_paused = false;
        if (uv_read_start(&conn->uv.stream, on_alloc, on_read)) {
            rest_conn_close(conn);
            return;
        }
    }
    while (goes_on && !uv_is_closing(&conn->uv.any)) {
        if (conn->state == REST_READ_HEAD)
            goes_on = read_head(conn);
        else if (conn->state == REST_READ_BODY)
            goes_on = read_body(conn);
        else
            goes_on = false;
    }
}

void rest_conn_take_end(struct rest_conn *conn, ssize_t why)
{
    conn->is_eof = true;
    if (why == UV_EOF &&
        (conn->state == REST_ANSWER || (conn->state == REST_PIECES && !conn->is_endless)))
        return; // the answer may still be wanted
    rest_conn_close(conn);
}

void rest_conn_take(struct rest_conn *conn, struct str bytes)
{
    if (conn->state == REST_LINGER || conn->state == REST_STREAM)
        return;
    if (buf_append(&conn->in, &conn->server->slab, bytes)) {
        rest_conn_close(conn);
        return;
    }
    if (conn->state != REST_ANSWER && conn->state != REST_PIECES) {
        advance(conn);
    } else if (conn->in.len > AHEAD_MAX) {
        conn->is_paused = true;
        uv_read_stop(&conn->uv.stream);
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *bytes)
{
    struct rest_conn *conn = stream->data;
    struct str in = {bytes->base, n > 0 ? (size_t)n : 0};

    if (n < 0)
        rest_conn_take_end(conn, n);
    else if (n && conn->tls)
        rest_conn_take_cipher(conn, in);
    else if (n)
        rest_conn_take(conn, in);
}

/* A request that does not get whole is told so. */
static void expire(struct rest_conn *conn)
{
    bool is_head = conn->state == REST_READ_HEAD && conn->in.len;

    if (is_head && rest_call_new(conn->server, conn))
        refuse(conn, REASON_HEADER_TIMEOUT);
    else if (conn->state == REST_READ_BODY)
        refuse(conn, REASON_BODY_TIMEOUT);
    else if (conn->state == REST_READ_HEAD && conn->tls)
        rest_conn_linger(conn);
    else
        rest_conn_close(conn);
}

void rest_conn_tick(struct rest_conn *conn, uint64_t now_ms)
{
    bool is_running = conn->state == REST_ANSWER && conn->call;
    bool is_streaming = conn->state == REST_STREAM || conn->state == REST_PIECES;
    bool is_bounded = conn->state == REST_SHAKE || conn->state == REST_LINGER;
    size_t unsent = uv_stream_get_write_queue_size(&conn->uv.stream);

    if (conn->is_writing && unsent < conn->unsent && !is_bounded)
        rest_conn_set_deadline(conn, IDLE_MS); // slow, but it reads
    conn->unsent = unsent;
    if (is_running || (is_streaming && !conn->is_writing))
        return;
    if (now_ms >= conn->deadline_ms || ((conn->server->is_retired || conn->is_last) &&
                                        conn->state == REST_READ_HEAD && !conn->in.len))
        expire(conn);
}

/* --- the beginning */

static bool is_loopback(const struct sockaddr_storage *peer)
{
    const struct sockaddr_in *v4 = (const void *)peer;
    const struct sockaddr_in6 *v6 = (const void *)peer;

    if (peer->ss_family == AF_INET)
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    if (peer->ss_family != AF_INET6)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return v6->sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void link_conn(struct rest_conn *conn)
{
    struct rest_server *server = conn->server;

    conn->next = server->conns;
    conn->back = &server->conns;
    if (conn->next)
        conn->next->back = &conn->next;
    server->conns = conn;
    server->conn_count++;
}

static int init_handle(struct rest_conn *conn)
{
    uv_loop_t *loop = conn->server->options.loop;

    return conn->is_unix ? uv_pipe_init(loop, &conn->uv.pipe, 0) : uv_tcp_init(loop, &conn->uv.tcp);
}

static bool start(struct rest_conn *conn, struct rest_port *port)
{
    const struct rest_options *options = &conn->server->options;
    unsigned max = options->connections_max - (conn->is_unix ? 0 : options->connections_kept);
    struct sockaddr_storage peer;
    uint8_t ip[IP_LEN];
    int len = sizeof(peer);

    if (uv_accept(&port->uv.stream, &conn->uv.stream))
        return false;
    if (!conn->is_unix) {
        if (uv_tcp_getpeername(&conn->uv.tcp, (struct sockaddr *)&peer, &len))
            return false;
        conn->is_loopback = is_loopback(&peer);
        if (ip_of((const struct sockaddr *)&peer, ip))
            conn->client = ip_hash(ip);
        uv_tcp_nodelay(&conn->uv.tcp, 1);
    }
    if (!conn->is_unix && (conn->server->secure_tags >> conn->tag & 1) && !rest_conn_secure(conn))
        return false;
    return conn->server->conn_count <= max && !uv_read_start(&conn->uv.stream, on_alloc, on_read);
}

void rest_conn_accept(struct rest_port *port)
{
    struct rest_conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return;
    conn->server = port->server;
    conn->tag = port->tag;
    conn->is_unix = port->is_unix;
    conn->state = REST_READ_HEAD;
    if (init_handle(conn)) {
        free(conn);
        return;
    }
    conn->uv.any.data = conn;
    link_conn(conn);
    rest_conn_set_deadline(conn, IDLE_MS);
    if (!start(conn, port))
        rest_conn_close(conn);
}
