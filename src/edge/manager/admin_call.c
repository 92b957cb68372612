/* SPDX-License-Identifier: Apache-2.0
 *
 * A call's memory, its query, and the queue in which calls that change something wait: one has its
 * turn at a time, and only while the manager builds nothing, since a build reads what they change.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/manager/admin_impl.h"

enum { CALL_MEMORY_MAX = 64 * 1024 * 1024 };

struct admin_call *admin_call_new(struct admin *admin, struct admin_conn *conn)
{
    struct admin_call *call = calloc(1, sizeof(*call));

    if (!call)
        return NULL;
    call->admin = admin;
    call->conn = conn;
    arena_init(&call->arena, NULL, CALL_MEMORY_MAX);
    call->next = admin->calls;
    call->back = &admin->calls;
    if (call->next)
        call->next->back = &call->next;
    admin->calls = call;
    if (conn)
        conn->call = call;
    return call;
}

void admin_call_free(struct admin_call *call)
{
    *call->back = call->next;
    if (call->next)
        call->next->back = call->back;
    if (call->conn)
        call->conn->call = NULL;
    buf_drop(&call->body, &call->admin->slab);
    arena_reset(&call->arena);
    free(call->owned);
    free(call);
}

/* --- turns */

void admin_idle(struct admin *admin)
{
    const struct manager *m = admin->manager;

    while (admin->turns && !admin->turn && !m->building && !m->first && !m->is_stopping) {
        struct admin_call *call = admin->turns;

        admin->turns = call->next_turn;
        if (!admin->turns)
            admin->last_turn = &admin->turns;
        admin->turn = call;
        call->turn(call);
    }
}

void admin_turn_take(struct admin_call *call, void (*turn)(struct admin_call *call))
{
    struct admin *admin = call->admin;

    call->turn = turn;
    call->next_turn = NULL;
    *admin->last_turn = call;
    admin->last_turn = &call->next_turn;
    admin_idle(admin);
}

void admin_turn_over(struct admin_call *call)
{
    if (call->admin->turn == call)
        call->admin->turn = NULL;
}

/* --- the query */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct str admin_decode(struct admin_call *call, struct str text, bool has_plus)
{
    char *out = arena_text(&call->arena, text.len + 1);
    size_t len = 0;

    if (!out)
        return text;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (c == '%') {
            int high = i + 2 < text.len ? hex(text.p[i + 1]) : -1;
            int low = i + 2 < text.len ? hex(text.p[i + 2]) : -1;

            if (high < 0 || low < 0)
                return text;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && has_plus) {
            c = ' ';
        }
        out[len++] = c;
    }
    out[len] = '\0';
    return (struct str){out, len};
}

static struct str cut(struct str *text, char at)
{
    const char *end = text->len ? memchr(text->p, at, text->len) : NULL;
    struct str piece = *text;

    if (end) {
        piece.len = (size_t)(end - text->p);
        text->p = end + 1;
        text->len -= piece.len + 1;
    } else {
        *text = STR_NONE;
    }
    return piece;
}

struct str admin_query(struct admin_call *call, const char *name, unsigned n)
{
    struct str query = call->head.query;

    while (query.len) {
        struct str value = cut(&query, '&');
        struct str key = admin_decode(call, cut(&value, '='), true);

        if (key.len != strlen(name) || memcmp(key.p, name, key.len) || n--)
            continue;
        return value.p ? admin_decode(call, value, true) : STR("");
    }
    return STR_NONE;
}
