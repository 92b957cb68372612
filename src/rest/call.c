/* SPDX-License-Identifier: Apache-2.0
 *
 * A call's memory, and its query.
 */
#include <stdlib.h>
#include <string.h>

#include "rest/impl.h"

enum { CALL_MEMORY_MAX = 64 * 1024 * 1024 };

struct rest_call *rest_call_new(struct rest_server *server, struct rest_conn *conn)
{
    struct rest_call *call = calloc(1, server->options.call_size);

    if (!call)
        return NULL;
    call->server = server;
    call->conn = conn;
    arena_init(&call->arena, NULL, CALL_MEMORY_MAX);
    call->next = server->calls;
    call->back = &server->calls;
    if (call->next)
        call->next->back = &call->next;
    server->calls = call;
    if (!conn)
        return call;
    conn->call = call;
    call->tag = conn->tag;
    call->is_unix = conn->is_unix;
    call->is_loopback = conn->is_loopback;
    call->is_secure = conn->tls != NULL;
    call->client = conn->client;
    return call;
}

void rest_call_free(struct rest_call *call)
{
    *call->back = call->next;
    if (call->next)
        call->next->back = call->back;
    if (call->conn)
        call->conn->call = NULL;
    buf_drop(&call->body, &call->server->slab);
    call->server->options.drop(call);
    arena_reset(&call->arena);
    free(call);
}

/* --- the query */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

struct str rest_decode(struct rest_call *call, struct str text, bool has_plus)
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

struct str rest_query(struct rest_call *call, const char *name, unsigned n)
{
    struct str query = call->head.query;

    while (query.len) {
        struct str value = cut(&query, '&');
        struct str key = rest_decode(call, cut(&value, '='), true);

        if (key.len != strlen(name) || memcmp(key.p, name, key.len) || n--)
            continue;
        return value.p ? rest_decode(call, value, true) : STR("");
    }
    return STR_NONE;
}
