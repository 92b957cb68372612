/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: heads, JSON, and every error as application/problem+json (RFC 9457) with a stable
 * reason.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "rest/impl.h"

struct phrase {
    unsigned status;
    const char *text;
};

const char *rest_phrase(unsigned status)
{
    static const struct phrase phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {304, "Not Modified"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < ARRAY_LEN(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].text;
    return "";
}

void rest_field(struct rest_call *call, const char *name, const char *format, ...)
{
    char value[512];
    va_list args;
    struct str more;

    va_start(args, format);
    vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    more = arena_format(&call->arena, "%.*s%s: %s\r\n", STR_FMT(call->fields), name, value);
    if (more.p)
        call->fields = more;
}

void rest_reply(struct rest_call *call, unsigned status, const char *type, struct str body)
{
    struct rest_conn *conn = call->conn;
    bool has_body = call->head.method != METHOD_HEAD && status != 304; // RFC 9110 15.4.5
    struct str head;

    if (!conn) {
        rest_call_free(call);
        return;
    }
    if (call->server->is_ending)
        conn->close_after = true;
    head = arena_format(&call->arena,
                        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%.*s"
                        "Cache-Control: %s\r\nX-Content-Type-Options: nosniff\r\n%s\r\n",
                        status, rest_phrase(status), type, body.len, STR_FMT(call->fields),
                        call->caching ? call->caching : "no-store",
                        conn->close_after ? "Connection: close\r\n" : "");
    conn->call = NULL;
    call->conn = NULL;
    if (!head.p || buf_append(&conn->queued, &conn->server->slab, head))
        rest_conn_close(conn);
    else
        rest_conn_send(conn, has_body ? body : STR_NONE);
    rest_call_free(call);
}

static void reply_text(struct rest_call *call, unsigned status, const char *type, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (text)
        rest_reply(call, status, type, (struct str){text, strlen(text)});
    else
        rest_reply(call, 500, "application/problem+json", STR("{\"reason\":\"internal_error\"}"));
    free(text);
}

void rest_reply_json(struct rest_call *call, unsigned status, json_t *json)
{
    reply_text(call, status, "application/json", json);
}

void rest_reply_problem(struct rest_call *call, unsigned status, json_t *json)
{
    reply_text(call, status, "application/problem+json", json);
}

json_t *rest_problem_json(unsigned status, const char *reason, struct str detail)
{
    json_t *json = json_pack("{s:s,s:s,s:i,s:s}", "type", "about:blank", "title",
                             rest_phrase(status), "status", (int)status, "reason", reason);

    json_object_set_new(json, "detail", json_stringn(detail.p, detail.len));
    return json;
}

void rest_problem(struct rest_call *call, unsigned status, const char *reason, const char *format,
                  ...)
{
    char text[1024], detail[1024];
    va_list args;
    size_t len;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    len = text_clean(detail, sizeof(detail), (struct str){text, strlen(text)});
    rest_reply_problem(call, status, rest_problem_json(status, reason, (struct str){detail, len}));
}
