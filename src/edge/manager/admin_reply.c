/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers: heads, JSON, and every error as application/problem+json (RFC 9457) with a stable
 * reason.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/manager/admin_impl.h"

struct phrase {
    unsigned status;
    const char *text;
};

static const char *phrase(unsigned status)
{
    static const struct phrase phrases[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
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

void admin_field(struct admin_call *call, const char *name, const char *format, ...)
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

void admin_reply(struct admin_call *call, unsigned status, const char *type, struct str body)
{
    struct admin_conn *conn = call->conn;
    struct str head;

    if (!conn) {
        admin_call_free(call);
        return;
    }
    if (call->admin->manager->is_drained)
        conn->close_after = true;
    head = arena_format(&call->arena,
                        "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%.*s"
                        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n%s\r\n",
                        status, phrase(status), type, body.len, STR_FMT(call->fields),
                        conn->close_after ? "Connection: close\r\n" : "");
    conn->call = NULL;
    call->conn = NULL;
    if (!head.p || buf_append(&conn->queued, &conn->admin->slab, head))
        admin_conn_close(conn);
    else
        admin_conn_send(conn, call->head.method == METHOD_HEAD ? STR_NONE : body);
    admin_call_free(call);
}

static void reply_text(struct admin_call *call, unsigned status, const char *type, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    if (text)
        admin_reply(call, status, type, (struct str){text, strlen(text)});
    else
        admin_reply(call, 500, "application/problem+json", STR("{\"reason\":\"internal_error\"}"));
    free(text);
}

void admin_reply_json(struct admin_call *call, unsigned status, json_t *json)
{
    reply_text(call, status, "application/json", json);
}

static json_t *problem(unsigned status, const char *reason, const char *detail)
{
    json_t *json = json_pack("{s:s,s:s,s:i,s:s}", "type", "about:blank", "title", phrase(status),
                             "status", (int)status, "reason", reason);

    json_object_set_new(json, "detail", json_string(detail));
    return json;
}

void admin_problem(struct admin_call *call, unsigned status, const char *reason, const char *format,
                   ...)
{
    char detail[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(detail, sizeof(detail), format, args);
    va_end(args);
    reply_text(call, status, "application/problem+json", problem(status, reason, detail));
}

/* --- diagnostics */

static json_t *text_json(struct str text)
{
    return text.p ? json_stringn(text.p, text.len) : NULL;
}

static void set_text(json_t *json, const char *key, struct str text)
{
    json_t *value = text_json(text);

    if (value)
        json_object_set_new(json, key, value);
}

json_t *admin_diag_json(const struct diag *diag)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < diag->count; i++) {
        const struct diag_entry *entry = &diag->entries[i];
        json_t *json = json_object();

        set_text(json, "at", diag_place(diag, entry->at));
        set_text(json, "severity",
                 entry->severity == SEVERITY_ERROR ? STR("error") : STR("warning"));
        set_text(json, "message", entry->text);
        set_text(json, "hint", entry->hint);
        set_text(json, "rendered", diag_render(diag, entry));
        json_array_append_new(list, json);
    }
    return list;
}

static const struct diag_entry *first_error(const struct diag *diag)
{
    for (unsigned i = 0; i < diag->count; i++)
        if (diag->entries[i].severity == SEVERITY_ERROR)
            return &diag->entries[i];
    return NULL;
}

void admin_problem_diag(struct admin_call *call, unsigned status, const char *reason,
                        const struct diag *diag)
{
    struct diag sorted = *diag;
    const struct diag_entry *first;
    struct str detail = STR("out of memory");
    json_t *json;

    diag_sort(&sorted);
    first = first_error(&sorted);
    if (first)
        detail = first->text;
    json = problem(status, reason, "");
    set_text(json, "detail", detail);
    if (first)
        set_text(json, "at", diag_place(&sorted, first->at));
    json_object_set_new(json, "errors", admin_diag_json(&sorted));
    if (sorted.dropped)
        json_object_set_new(json, "more", json_integer(sorted.dropped));
    reply_text(call, status, "application/problem+json", json);
}
