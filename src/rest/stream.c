/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/stream.h"

#include "rest/impl.h"

void rest_follow(struct rest_call *call)
{
    static const struct str head = STR_INIT("HTTP/1.1 200 OK\r\n"
                                            "Content-Type: text/event-stream\r\n"
                                            "Cache-Control: no-store\r\n"
                                            "X-Content-Type-Options: nosniff\r\n"
                                            "Connection: close\r\n"
                                            "\r\n"
                                            ": follow\n\n");
    struct rest_conn *conn = call->conn;

    if (call->head.method == METHOD_HEAD) {
        rest_reply(call, 200, "text/event-stream", STR_NONE);
        return;
    }
    rest_call_free(call);
    if (!conn)
        return;
    conn->state = REST_STREAM;
    rest_conn_send(conn, head);
}

bool rest_is_followed(const struct rest_server *server)
{
    for (const struct rest_conn *conn = server->conns; conn; conn = conn->next)
        if (conn->state == REST_STREAM)
            return true;
    return false;
}

void rest_tell(struct rest_server *server, struct str bytes)
{
    for (struct rest_conn *conn = server->conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->state == REST_STREAM)
            rest_conn_send(conn, bytes);
    }
}

/* --- one call's own */

bool rest_begin(struct rest_call *call, unsigned status, struct str type, int64_t len)
{
    struct rest_conn *conn = call->conn;
    struct str length = STR_NONE, head;

    if (!conn)
        return false;
    conn->is_endless = len < 0;
    if (call->server->is_ending || len < 0)
        conn->close_after = true;
    if (len >= 0)
        length = arena_format(&call->arena, "Content-Length: %lld\r\n", (long long)len);
    head = arena_format(&call->arena,
                        "HTTP/1.1 %u %s\r\nContent-Type: %.*s\r\n%.*s%.*sCache-Control: "
                        "no-store\r\nX-Content-Type-Options: nosniff\r\n%s\r\n",
                        status, rest_phrase(status), STR_FMT(type), STR_FMT(length),
                        STR_FMT(call->fields), conn->close_after ? "Connection: close\r\n" : "");
    conn->state = REST_PIECES;
    if (!head.p)
        rest_conn_close(conn);
    else
        rest_conn_send(conn, head);
    return !uv_is_closing(&conn->uv.any); // the call may be gone
}

bool rest_send(struct rest_call *call, struct str bytes)
{
    struct rest_conn *conn = call->conn;

    if (conn && call->head.method != METHOD_HEAD)
        rest_conn_send(conn, bytes);
    return conn && !uv_is_closing(&conn->uv.any); // the call may be gone
}

bool rest_is_full(const struct rest_call *call)
{
    return call->conn && call->conn->queued.len + call->conn->out.len > REST_STREAM_MAX;
}

void rest_end(struct rest_call *call, bool is_whole)
{
    struct rest_conn *conn = call->conn;

    call->on_gone = NULL;
    if (conn) {
        conn->call = NULL;
        call->conn = NULL;
    }
    rest_call_free(call);
    if (conn && is_whole)
        rest_conn_finish(conn);
    else if (conn)
        rest_conn_close(conn);
}
