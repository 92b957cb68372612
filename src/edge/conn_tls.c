/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS, where there is any, between a connection's socket and its codec: the handshake, in its turn,
 * and then what records hold.
 */
#include "edge/conn_impl.h"

/* Goes on with a handshake. What it did not eat stays in `partial`, which is the codec's later. */
static void shake(struct conn *conn, struct str *in)
{
    struct tls_link *tls = conn->tls;
    enum status status = tls_link_shake(tls, in);

    conn_touch(conn);
    if (status == E_AGAIN)
        return;
    if (status) {
        conn->ops->on_insecure(conn, tls->fault);
        if (!conn->is_closing) { // the alert goes out first
            conn->wire->wants_close = conn->wire->is_idle = true;
            in->len = 0;
        }
        return;
    }
    conn->ops->on_secure(conn);
}

/* Handshakes are dear: in a storm of them most wait for a later turn, and requests do not. */
static bool must_wait(struct conn *conn)
{
    struct tls_engine *engine = &conn->loop->tls;

    if (conn->tls->is_begun || !conn->tls->is_server)
        return false;
    if (engine->shakes) {
        engine->shakes--;
        return false;
    }
    return true;
}

static void open_records(struct conn *conn, struct str in)
{
    char *plain = conn->loop->tls.plain;
    ssize_t n;

    while (!conn->is_closing && (n = tls_link_read(conn->tls, &in, plain, TLS_PLAIN_BUFFER))) {
        if (n < 0) {
            conn_try_alert(conn);
            conn->wire->fault = REASON_TLS_PROTOCOL_ERROR;
            conn_close(conn, conn->wire->role == ROLE_SERVER ? REASON_CLIENT_GONE
                                                             : REASON_TLS_PROTOCOL_ERROR);
            return;
        }
        conn_take_input(conn, (struct str){plain, (size_t)n});
        // A full buffer may not be all: what was queued by reference lies where the next goes.
        if (n == TLS_PLAIN_BUFFER && !conn->is_closing)
            loop_own(conn->loop);
    }
    if (!conn->is_closing && conn->tls->got_bye && !conn->got_eof)
        conn_take_end(conn, UV_EOF);
    if (!conn->is_closing)
        conn_touch(conn); // a record may have asked for an answer
}

void conn_take_cipher(struct conn *conn, struct str in)
{
    if (conn->is_lingering)
        return;
    if (!conn->tls->is_open) {
        if (conn->is_waiting_shake || must_wait(conn)) {
            if (buf_append(&conn->partial, &conn->loop->partials, in))
                conn_close(conn, REASON_MEMORY_LIMIT);
            else
                loop_wait_shake(conn);
            return;
        }
        shake(conn, &in);
        if (conn->is_closing || !conn->tls->is_open)
            return;
    }
    open_records(conn, in);
}

void conn_shake(struct conn *conn)
{
    struct buf waiting = conn->partial;

    conn->partial = (struct buf){0};
    if (waiting.len)
        conn_take_cipher(conn, (struct str){waiting.p, waiting.len});
    loop_own(conn->loop); // the next one is decrypted where this one was
    buf_drop(&waiting, &conn->loop->partials);
}

enum status conn_secure(struct conn *conn, SSL *ssl, enum role role)
{
    struct tls_link *link = heap_take(&conn->loop->heap, sizeof(*link));

    if (!link) {
        SSL_free(ssl);
        return E_NOMEM;
    }
    if (tls_link_init(link, &conn->loop->tls, ssl, role == ROLE_SERVER, &conn->loop->outqs)) {
        heap_give(&conn->loop->heap, link);
        return E_NOMEM;
    }
    conn->tls = link;
    conn->wire->role = role;
    if (role == ROLE_SERVER)
        return OK;
    shake(conn, &(struct str){0});
    return OK;
}
