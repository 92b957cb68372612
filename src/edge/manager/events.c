/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events: connections that follow get each event as `id`, `event` and `data` lines, and
 * a comment when nothing happened for a while. One that reads too slowly is cut. Manager thread.
 */

#include "edge/manager/api.h"

enum { COMMENT_MS = 15 * 1000 };

void events_follow(struct admin_call *call)
{
    static const struct str head = STR_INIT("HTTP/1.1 200 OK\r\n"
                                            "Content-Type: text/event-stream\r\n"
                                            "Cache-Control: no-store\r\n"
                                            "X-Content-Type-Options: nosniff\r\n"
                                            "Connection: close\r\n"
                                            "\r\n"
                                            ": follow\n\n");
    struct admin_conn *conn = call->conn;
    bool is_head = call->head.method == METHOD_HEAD;

    if (is_head) {
        admin_reply(call, 200, "text/event-stream", STR_NONE);
        return;
    }
    admin_call_free(call);
    if (!conn)
        return;
    conn->state = ADMIN_STREAM;
    admin_conn_send(conn, head);
}

static void send_all(struct admin *admin, struct str text)
{
    for (struct admin_conn *conn = admin->conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->state == ADMIN_STREAM)
            admin_conn_send(conn, text);
    }
}

static bool is_followed(const struct admin *admin)
{
    for (const struct admin_conn *conn = admin->conns; conn; conn = conn->next)
        if (conn->state == ADMIN_STREAM)
            return true;
    return false;
}

void events_tell(struct admin *admin, const char *kind, struct str data)
{
    struct arena arena;
    struct str text;

    admin->last_event++;
    if (!is_followed(admin))
        return;
    arena_init(&arena, NULL, 0);
    text = arena_format(&arena, "id: %llu\nevent: %s\ndata: %.*s\n\n",
                        (unsigned long long)admin->last_event, kind, STR_FMT(data));
    if (text.p)
        send_all(admin, text);
    arena_reset(&arena);
    admin->commented_ms = uv_now(&admin->manager->loop.uv);
}

void events_tick(struct admin *admin)
{
    uint64_t now = uv_now(&admin->manager->loop.uv);

    if (now - admin->commented_ms < COMMENT_MS)
        return;
    admin->commented_ms = now;
    send_all(admin, STR(":\n\n"));
}
