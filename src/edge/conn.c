/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/conn_impl.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { VECTORS = 16, LINGER_MS = 2000, SHARED_OUT_MAX = 2 * WIRE_HIGH_WATER };

static void update_reading(struct conn *conn);

static void fire_timer(struct loop_timer *timer)
{
    struct conn *conn = CONTAINER_OF(timer, struct conn, timer);

    if (conn->is_lingering)
        conn_close(conn, REASON_CLIENT_GONE);
    else
        conn->ops->on_timeout(conn);
}

enum status conn_init(struct conn *conn, bool is_unix)
{
    uv_loop_t *uv = &conn->loop->uv;
    int failed = is_unix ? uv_pipe_init(uv, &conn->uv.pipe, 0) : uv_tcp_init(uv, &conn->uv.tcp);

    if (failed)
        return E_IO;
    conn->uv.handle.data = conn;
    conn->timer.fire = fire_timer;
    conn->next = conn->loop->conns;
    if (conn->next)
        conn->next->prev = conn;
    conn->loop->conns = conn;
    return OK;
}

/* --- input */

/* A client that asks and does not read gets no further request taken. */
static bool may_feed(const struct conn *conn)
{
    const struct wire *wire = conn->wire;

    if (wire->codec && wire->codec->is_shared)
        return !wire->wants_close && outq_pending(wire->out) < SHARED_OUT_MAX;
    return !wire->wants_close &&
           ((!wire->is_idle && !wire->is_partial) || outq_pending(wire->out) < WIRE_HIGH_WATER);
}

static void feed(struct conn *conn, struct str in)
{
    struct wire *wire = conn->wire;
    bool was_idle = wire->is_idle && !wire->is_partial;

    conn->is_feeding = true;
    do {
        size_t used = 0;
        enum status status = wire->codec->feed(wire, in, &used);

        if (conn->is_closing)
            break;
        if (status) {
            conn_close(conn, REASON_INTERNAL_ERROR);
            break;
        }
        in.p += used;
        in.len -= used;
        if (!used)
            break;
    } while (in.len && may_feed(conn) && wire->is_idle && !wire->is_partial);
    conn->is_feeding = false;
    if (conn->is_closing)
        return;
    conn_touch(conn);
    if (conn->partial.len) // output may point into it
        loop_own(conn->loop);
    if (buf_keep(&conn->partial, &conn->loop->partials, in)) {
        conn_close(conn, REASON_MEMORY_LIMIT);
        return;
    }
    if (was_idle && wire->is_partial)
        conn->ops->on_begin(conn);
}

/* The first bytes of a plain connection say what it speaks. */
static bool choose_codec(struct conn *conn, struct str in)
{
    const struct codec *codec = conn->ops->on_first(conn, in);

    return codec && !conn_speak(conn, codec);
}

void conn_take_input(struct conn *conn, struct str in)
{
    if (conn->is_lingering)
        return;
    if (conn->partial.len) {
        if (buf_append(&conn->partial, &conn->loop->partials, in)) {
            conn_close(conn, REASON_MEMORY_LIMIT);
            return;
        }
        in = (struct str){conn->partial.p, conn->partial.len};
    }
    if (!conn->wire->codec && !choose_codec(conn, in)) {
        if (!conn->is_closing && !conn->partial.len &&
            buf_append(&conn->partial, &conn->loop->partials, in))
            conn_close(conn, REASON_MEMORY_LIMIT);
        return;
    }
    if (may_feed(conn))
        feed(conn, in);
    else if (!conn->partial.len && buf_append(&conn->partial, &conn->loop->partials, in))
        conn_close(conn, REASON_MEMORY_LIMIT);
    else
        conn_touch(conn);
}

void conn_resume(struct conn *conn)
{
    if (conn->is_feeding || conn->is_closing || conn->is_lingering)
        return;
    if (conn->partial.len && may_feed(conn))
        feed(conn, (struct str){conn->partial.p, conn->partial.len});
    conn_touch(conn);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct conn *conn = handle->data;

    (void)suggested;
    *buf = uv_buf_init(conn->loop->read_buffer, LOOP_READ_BUFFER);
}

void conn_take_end(struct conn *conn, ssize_t error)
{
    bool is_cut = conn->tls && conn->wire->role == ROLE_CLIENT && !conn->tls->got_bye;

    conn->got_eof = true;
    if (conn->is_lingering || error != UV_EOF || is_cut || !conn->wire->codec) {
        conn_close(conn, conn->wire->role == ROLE_SERVER ? REASON_CLIENT_GONE
                                                         : REASON_CONNECTION_TERMINATED);
        return;
    }
    conn->wire->codec->eof(conn->wire);
    if (!conn->is_closing)
        conn_touch(conn);
}

static void take_bytes(struct conn *conn, struct str in)
{
    if (conn->tls)
        conn_take_cipher(conn, in);
    else
        conn_take_input(conn, in);
}

/* What a proxy says of the connection comes before TLS and HTTP, and waits in `partial` until it is
 * whole. */
static void take_preface(struct conn *conn, struct str in)
{
    struct buf waiting = conn->partial;
    size_t used = 0;
    enum status status;

    conn->partial = (struct buf){0};
    if (waiting.len) {
        status = buf_append(&waiting, &conn->loop->partials, in);
        in = (struct str){waiting.p, waiting.len};
    } else {
        status = OK;
    }
    if (!status)
        status = conn->ops->on_preface(conn, in, &used);
    if (status == E_AGAIN && !waiting.len)
        status = buf_append(&waiting, &conn->loop->partials, in) ? E_NOMEM : E_AGAIN;
    if (status == E_AGAIN) {
        conn->partial = waiting;
        return;
    }
    conn->awaits_preface = false;
    if (status)
        conn_close(conn, REASON_CLIENT_GONE);
    else if (in.len > used)
        take_bytes(conn, (struct str){in.p + used, in.len - used});
    loop_own(conn->loop); // output may point into what goes now
    buf_drop(&waiting, &conn->loop->partials);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *conn = stream->data;
    struct loop *loop = conn->loop;

    if (n == 0)
        return;
    loop_enter(loop);
    loop->reads_many = conn->wire->codec && conn->wire->codec->is_shared;
    if (n > 0) {
        conn->read_bytes += (uint64_t)n;
        if (conn->awaits_preface)
            take_preface(conn, (struct str){buf->base, (size_t)n});
        else
            take_bytes(conn, (struct str){buf->base, (size_t)n});
    } else if (!conn->got_eof || n != UV_EOF) {
        conn_take_end(conn, n);
    }
    loop_leave(loop);
}

/* Reads stay armed unless the consumer is behind: never stopped and started per request. */
static void update_reading(struct conn *conn)
{
    const struct wire *wire = conn->wire;
    bool wanted = !conn->got_eof && wire->unpaid < WIRE_WINDOW &&
                  conn->partial.len < conn->partial_max && (may_feed(conn) || wire->wants_close);

    if (wanted == conn->is_reading || conn->is_closing)
        return;
    if (wanted)
        uv_read_start(&conn->uv.stream, on_alloc, on_read);
    else
        uv_read_stop(&conn->uv.stream);
    conn->is_reading = wanted;
    conn->was_paused |= !wanted;
}

enum status conn_speak(struct conn *conn, const struct codec *codec)
{
    struct wire *wire = conn->wire;
    enum role role = wire->role;

    wire->outqs = &conn->loop->outqs;
    wire->heap = &conn->loop->heap;
    if (codec->open(wire, role)) {
        conn_close(conn, REASON_MEMORY_LIMIT);
        return E_NOMEM;
    }
    wire->codec = codec;
    conn_touch(conn);
    return OK;
}

enum status conn_start(struct conn *conn, const struct codec *codec, enum role role)
{
    conn->wire->role = role;
    if (codec && conn_speak(conn, codec))
        return E_NOMEM;
    conn->partial_max = WIRE_WINDOW;
    if (conn->wire->limits->header_bytes >= WIRE_WINDOW) // a head that is not whole must fit
        conn->partial_max = conn->wire->limits->header_bytes + 1;
    if (uv_read_start(&conn->uv.stream, on_alloc, on_read))
        return E_IO;
    conn->is_reading = true;
    return OK;
}

/* --- output */

/* What goes to the socket: the codec's bytes, or what TLS made of them. */
static struct outq **socket_queue(struct conn *conn)
{
    return conn->tls ? &conn->tls->out : &conn->wire->out;
}

static void finish_write(struct conn *conn)
{
    struct wire *wire = conn->wire;
    bool is_waiting = wire->is_idle || wire->is_partial;

    if (!outq_pending(wire->out))
        outq_give(&wire->out);
    if (conn->tls && !outq_pending(conn->tls->out))
        outq_give(&conn->tls->out);
    if (!wire->codec)
        return;
    wire->codec->wrote(wire);
    if (conn->partial.len && (is_waiting || wire->codec->is_shared) && !conn->is_closing)
        conn_resume(conn); // a request waited for room
}

/* The other end takes no more. A target may have answered already, and its answer lie unread in the
 * socket: go on reading, the end will come. */
static void fail_write(struct conn *conn)
{
    if (conn->wire->role == ROLE_SERVER) {
        conn_close(conn, REASON_CLIENT_GONE);
        return;
    }
    conn->is_mute = true;
    outq_give(&conn->wire->out);
    if (conn->tls)
        outq_give(&conn->tls->out);
}

static void on_written(uv_write_t *request, int failed)
{
    struct conn *conn = request->data;
    struct loop *loop = conn->loop;

    free(request);
    conn->writing = NULL;
    if (conn->is_closing)
        return;
    loop_enter(loop);
    if (failed) {
        fail_write(conn);
    } else {
        conn->written_bytes += conn->writing_len;
        outq_sent(*socket_queue(conn), conn->writing_len);
        finish_write(conn);
        if (!conn->is_closing)
            conn_flush(conn);
    }
    loop_leave(loop);
}

/* The socket is full: what is left becomes ours, and libuv writes it when it can. */
static void write_later(struct conn *conn)
{
    struct outq *queue = *socket_queue(conn);
    struct iovec vectors[VECTORS];
    uv_write_t *request;
    unsigned n;

    request = outq_own(queue) ? NULL : malloc(sizeof(*request));
    if (!request) {
        conn_close(conn, REASON_MEMORY_LIMIT);
        return;
    }
    n = outq_vectors(queue, vectors, VECTORS);
    conn->writing_len = 0;
    for (unsigned i = 0; i < n; i++)
        conn->writing_len += vectors[i].iov_len;
    request->data = conn;
    conn->writing = request;
    if (uv_write(request, &conn->uv.stream, (const uv_buf_t *)vectors, n, on_written)) {
        free(request);
        conn->writing = NULL;
        conn_close(conn, REASON_CLIENT_GONE);
    }
}

/* False when nothing more can be written now. */
static bool write_some(struct conn *conn)
{
    struct outq *queue = *socket_queue(conn);
    struct iovec vectors[VECTORS];
    unsigned n = outq_vectors(queue, vectors, VECTORS);
    int written = uv_try_write(&conn->uv.stream, (const uv_buf_t *)vectors, n);

    if (written < 0 && written != UV_EAGAIN) {
        fail_write(conn);
        return false;
    }
    if (written > 0) {
        conn->written_bytes += (uint64_t)written;
        outq_sent(queue, (size_t)written);
    }
    if (!outq_pending(queue))
        return false;
    for (unsigned i = 0; i < n && written > 0; i++)
        written -= (int)vectors[i].iov_len;
    if (written == 0 && n == VECTORS)
        return true; /* all vectors went, and there are more */
    write_later(conn);
    return false;
}

void conn_try_alert(struct conn *conn)
{
    struct iovec vectors[VECTORS];

    if (!conn->writing && outq_pending(conn->tls->out))
        uv_try_write(&conn->uv.stream, (const uv_buf_t *)vectors,
                     outq_vectors(conn->tls->out, vectors, VECTORS));
}

static void on_shutdown(uv_shutdown_t *request, int failed)
{
    struct conn *conn = request->data;

    (void)failed;
    free(request);
    conn->shutting = NULL;
}

static void shut(struct conn *conn)
{
    if (conn->did_shutdown)
        return;
    conn->did_shutdown = true;
    conn->shutting = malloc(sizeof(*conn->shutting));
    if (conn->shutting)
        conn->shutting->data = conn;
    if (!conn->shutting || uv_shutdown(conn->shutting, &conn->uv.stream, on_shutdown)) {
        free(conn->shutting);
        conn->shutting = NULL;
        conn_close(conn, REASON_CLIENT_GONE);
    }
}

/* Everything is out and the wire wants to end. A client that may still be sending would lose our
 * last bytes to a reset if we closed now (RFC 9112 9.6): say that we are done, and read on for a
 * moment. */
static void end(struct conn *conn)
{
    if (conn->is_lingering)
        return;
    if (conn->wire->role == ROLE_CLIENT || conn->got_eof ||
        (conn->wire->is_idle && !conn->partial.len)) {
        conn_close(conn, REASON_CLIENT_GONE);
        return;
    }
    conn->is_lingering = true;
    buf_drop(&conn->partial, &conn->loop->partials);
    conn->wire->unpaid = 0;
    update_reading(conn);
    shut(conn);
    if (!conn->is_closing)
        loop_timer_set(conn->loop, &conn->timer, LINGER_MS);
}

/* Has the codec fill its queue, and TLS encrypt of it what may go. False: there is nothing. */
static bool fill_queue(struct conn *conn)
{
    struct wire *wire = conn->wire;

    if (wire->codec && wire->codec->pull)
        wire->codec->pull(wire);
    if (conn->is_mute)
        fail_write(conn);
    if (conn->tls && conn->tls->is_open && wire->out && tls_link_write(conn->tls, wire->out)) {
        conn_close(conn, REASON_MEMORY_LIMIT);
        return false;
    }
    return *socket_queue(conn) != NULL;
}

/* Writes what there is, as far as the socket takes it. */
static void write_out(struct conn *conn)
{
    while (!conn->is_closing && fill_queue(conn) && !conn->writing) {
        while (outq_pending(*socket_queue(conn)) && write_some(conn))
            ;
        if (!conn->is_closing)
            finish_write(conn);
    }
    // What waits behind a write that is under way must not be borrowed any more.
    if (!conn->is_closing && outq_own(conn->wire->out))
        conn_close(conn, REASON_MEMORY_LIMIT);
}

size_t conn_pending(const struct conn *conn)
{
    return outq_pending(conn->wire->out) + (conn->tls ? outq_pending(conn->tls->out) : 0);
}

/* TLS says its last word (RFC 8446 6.1) before the socket does. */
static void say_bye(struct conn *conn)
{
    if (!conn->tls || conn->tls->said_bye)
        return;
    tls_link_bye(conn->tls);
    write_out(conn);
}

/* All output is out: what was to happen then. */
static void after_output(struct conn *conn)
{
    const struct wire *wire = conn->wire;

    if (wire->wants_shutdown || wire->wants_close)
        say_bye(conn);
    if (conn->is_closing || conn_pending(conn))
        return;
    if (wire->wants_shutdown)
        shut(conn);
    if (conn->is_closing)
        return;
    if (wire->wants_close)
        end(conn);
    else if (wire->is_idle && !wire->is_partial && conn->is_working)
        conn->ops->on_idle(conn);
}

void conn_flush(struct conn *conn)
{
    if (conn->is_closing)
        return;
    if (conn->is_broken) {
        conn_close(conn, REASON_MEMORY_LIMIT);
        return;
    }
    if (conn->wire->wants_abort) {
        conn_reset(conn, REASON_CLIENT_GONE);
        return;
    }
    write_out(conn);
    if (conn->is_closing)
        return;
    update_reading(conn);
    if (!conn_pending(conn))
        after_output(conn);
}

void conn_touch(struct conn *conn)
{
    if (conn->is_dirty || conn->is_closing)
        return;
    conn->is_dirty = true;
    conn->dirty_next = NULL;
    *conn->loop->dirty_last = conn;
    conn->loop->dirty_last = &conn->dirty_next;
}

uint64_t conn_acked(const struct conn *conn, uint64_t *waiting)
{
    uint64_t written = conn->written_bytes;
    int unacked = 0;
    uv_os_fd_t fd;

    if (conn->writing)
        written += conn->writing_len - uv_stream_get_write_queue_size(&conn->uv.stream);
    if (!uv_fileno(&conn->uv.handle, &fd))
        ioctl(fd, SIOCOUTQ, &unacked);
    *waiting = (uint64_t)unacked + conn_pending(conn);
    return written > (uint64_t)unacked ? written - (uint64_t)unacked : 0;
}

/* --- the end */

static void on_close(uv_handle_t *handle)
{
    struct conn *conn = handle->data;

    buf_drop(&conn->partial,
             &conn->loop->partials); // only now: a codec may still stand in it further up the stack
    if (conn->tls) {
        tls_link_fini(conn->tls);
        heap_give(&conn->loop->heap, conn->tls);
    }
    conn->ops->on_closed(conn);
}

static void unlink_conn(struct conn *conn)
{
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        conn->loop->conns = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
}

void conn_close_all(struct loop *loop)
{
    while (loop->conns)
        conn_close(loop->conns, REASON_DRAINING);
}

void conn_reset(struct conn *conn, enum reason why)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    uv_os_fd_t fd;

    if (!conn->is_closing && !uv_fileno(&conn->uv.handle, &fd))
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_close(conn, why);
}

void conn_close(struct conn *conn, enum reason why)
{
    if (conn->is_closing)
        return;
    conn->is_closing = true;
    loop_forget(conn);
    loop_leave_shake(conn);
    loop_timer_remove(conn->loop, &conn->timer);
    unlink_conn(conn);
    conn->ops->on_closing(conn); // first: what the streams let go of may take its owner with it
    if (conn->wire->codec)
        conn->wire->codec->close(conn->wire, why);
    uv_close(&conn->uv.handle, on_close);
}
