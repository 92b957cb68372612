/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS between a connection's socket and its requests. A handshake costs a signature, so each turn
 * of the loop spends no more than a little time on them, and what else the loop does comes between.
 */
#include <string.h>

#include "rest/impl.h"

enum {
    SHAKE_MS = 5 * 1000,       /* for a whole handshake */
    IDLE_MS = 60 * 1000,       /* until the first request */
    PIECE = 64 * 1024,         /* sealed at a time */
    TURN_NS = 2 * 1000 * 1000, /* after which no handshake goes on in this turn */
    CIPHER_MAX = 256 * 1024,   /* that may wait for a client which does not read */
};

bool rest_conn_secure(struct rest_conn *conn)
{
    conn->tls = conn->server->cert ? rest_tls_new(conn->server->cert) : NULL;
    conn->state = REST_SHAKE;
    rest_conn_set_deadline(conn, SHAKE_MS);
    return conn->tls != NULL;
}

/* --- out */

bool rest_conn_has_cipher(const struct rest_conn *conn)
{
    return conn->sealed < conn->out.len || rest_tls_pending(conn->tls);
}

bool rest_conn_seal(struct rest_conn *conn)
{
    struct str piece = {conn->out.p + conn->sealed, conn->out.len - conn->sealed};

    if (piece.len > PIECE)
        piece.len = PIECE;
    if (piece.len && rest_tls_write(conn->tls, piece))
        return false;
    conn->sealed += (uint32_t)piece.len;
    return !rest_tls_take(conn->tls, &conn->cipher, &conn->server->slab);
}

/* --- the handshake */

/* The first byte of TLS is a record's type (RFC 8446 5.1), that of HTTP a letter of a method. */
static bool is_http(struct str bytes)
{
    return *bytes.p >= 'A' && *bytes.p <= 'Z';
}

static void refuse_plain(struct rest_conn *conn)
{
    rest_tls_free(&conn->tls);
    conn->state = REST_ANSWER;
    conn->close_after = true;
    if (rest_call_new(conn->server, conn))
        rest_problem(conn->call, 400, "tls_required",
                     "This port speaks TLS alone: write https:// in the URL.");
    else
        rest_conn_close(conn);
}

static bool must_wait(struct rest_conn *conn)
{
    struct rest_server *server = conn->server;

    conn->waits_turn = server->shaken_ns >= TURN_NS;
    if (!uv_is_active((uv_handle_t *)&server->turn))
        uv_timer_start(&server->turn, rest_conn_turn, 1, 0); // with 0 it would run in this turn
    return conn->waits_turn;
}

/* False: it is not over, or it failed. */
static bool shake(struct rest_conn *conn)
{
    uint64_t begun;
    enum status status;

    if (must_wait(conn))
        return false;
    begun = uv_hrtime();
    status = rest_tls_shake(conn->tls);
    conn->server->shaken_ns += uv_hrtime() - begun;
    if (!status) {
        conn->state = REST_READ_HEAD;
        rest_conn_set_deadline(conn, IDLE_MS);
    } else if (status != E_AGAIN) {
        rest_conn_linger(conn); // the alert goes out first
    } else if (rest_tls_pending(conn->tls)) {
        rest_conn_write(conn);
    }
    return !status;
}

/* --- in */

static void open_records(struct rest_conn *conn)
{
    char *plain = conn->server->read; // what was read is in the TLS's own memory by now
    ssize_t n = 0;

    while (!uv_is_closing(&conn->uv.any) &&
           (n = rest_tls_read(conn->tls, plain, sizeof(conn->server->read))) > 0)
        rest_conn_take(conn, (struct str){plain, (size_t)n});
    if (uv_is_closing(&conn->uv.any))
        return;
    if (n < 0 || rest_tls_pending(conn->tls) > CIPHER_MAX) {
        rest_conn_close(conn);
        return;
    }
    if (rest_tls_got_bye(conn->tls) && !conn->is_eof)
        rest_conn_take_end(conn, UV_EOF);
    if (!uv_is_closing(&conn->uv.any) && rest_tls_pending(conn->tls))
        rest_conn_write(conn);
}

static void decrypt(struct rest_conn *conn)
{
    if (conn->state == REST_SHAKE && !shake(conn))
        return;
    open_records(conn);
}

void rest_conn_take_cipher(struct rest_conn *conn, struct str bytes)
{
    if (conn->state == REST_LINGER)
        return;
    if (!conn->has_spoken && is_http(bytes)) {
        refuse_plain(conn);
        return;
    }
    conn->has_spoken = true;
    if (rest_tls_feed(conn->tls, bytes))
        rest_conn_close(conn);
    else
        decrypt(conn);
}

/* The one that has waited longest. */
static struct rest_conn *first_waiting(struct rest_server *server)
{
    struct rest_conn *first = NULL;

    for (struct rest_conn *conn = server->conns; conn; conn = conn->next)
        if (conn->waits_turn && (!first || conn->deadline_ms <= first->deadline_ms))
            first = conn;
    return first;
}

void rest_conn_turn(uv_timer_t *timer)
{
    struct rest_server *server = timer->data;
    struct rest_conn *conn;

    server->shaken_ns = 0;
    while (server->shaken_ns < TURN_NS && (conn = first_waiting(server)))
        decrypt(conn);
}
