/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the gateway's own: refusals (REFUSE), redirects, fixed answers, health. They take the
 * way of every answer from TELL on, so that response filters see them.
 */
#include "edge/exchange_impl.h"

#include <stdio.h>
#include <string.h>

enum { RETRY_AFTER_S = 1 };

enum step exchange_answer_with(struct exchange *x, const struct exchange_reply *reply)
{
    x->reply = *reply;
    x->is_own = true;
    if (!exchange_build_reply(x)) {
        exchange_abort(x, REASON_MEMORY_LIMIT);
        return STEP_WAIT;
    }
    return STEP_TELL;
}

/* A page for people, problem+json (RFC 9457) for programs. */
static struct str error_body(struct exchange *x, const struct reason_info *info, bool for_people)
{
    if (for_people)
        return arena_format(&x->arena,
                            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                            "<title>%u</title></head><body><h1>%u</h1><p>%s</p>"
                            "<p><small>%s &middot; request %.*s</small></p></body></html>\n",
                            info->status, info->status, info->text, info->slug, STR_FMT(x->id));
    return arena_format(&x->arena,
                        "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                        "\"reason\":\"%s\",\"request_id\":\"%.*s\"}\n",
                        info->text, info->status, info->slug, STR_FMT(x->id));
}

static bool is_for_people(const struct exchange *x)
{
    struct str accept = x->request ? head_value(x->request, HDR_ACCEPT) : STR_NONE;

    return accept.p && memmem(accept.p, accept.len, "text/html", 9);
}

enum step exchange_step_refuse(struct exchange *x)
{
    const struct reason_info *info = reason_info(x->reason);
    bool for_people = is_for_people(x);
    struct exchange_reply reply = {.status = info->status};

    pool_cancel(&x->opening);
    exchange_let_go(x, false);
    if (!exchange_make_id(x))
        x->id = STR("-");
    if (info->status == 499 || x->is_answering) {
        exchange_abort(x, x->reason);
        return STEP_WAIT;
    }
    reply.body = error_body(x, info, for_people);
    reply.content_type =
        for_people ? STR("text/html; charset=utf-8") : STR("application/problem+json");
    return exchange_answer_with(x, &reply);
}

static bool add(struct exchange *x, struct str name, struct str value)
{
    return value.p && !head_add(x->response, &x->arena, name, value);
}

/* RFC 9110 15.5.6: the methods that a route would take. */
static bool add_allow(struct exchange *x)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    const struct route_table *table = x->snapshot->rules->table;
    struct head head = *x->request;
    char text[64];
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        head.method_name = (struct str){names[i], strlen(names[i])};
        if (route_match(table, &head).route)
            len +=
                (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "", names[i]);
    }
    return add(x, STR("Allow"), arena_copy(&x->arena, (struct str){text, len}));
}

static bool add_reason(struct exchange *x)
{
    const struct reason_info *info = reason_info(x->reason);
    struct str proxy_status =
        arena_format(&x->arena, "%.*s; error=%s", STR_FMT(x->host->edge_name), info->proxy_error);

    if (!add(x, STR("X-Sluice-Reason"), (struct str){info->slug, strlen(info->slug)}) ||
        !add(x, STR("Proxy-Status"), proxy_status)) // RFC 9209 2
        return false;
    if (x->reason == REASON_METHOD_NOT_ALLOWED)
        return add_allow(x);
    if (info->status != 503)
        return true;
    return add(x, STR("Retry-After"), arena_format(&x->arena, "%d", RETRY_AFTER_S));
}

bool exchange_build_reply(struct exchange *x)
{
    struct head *head = arena_zero(&x->arena, 1, sizeof(*head));

    if (!head || head_init(head, &x->arena, 10))
        return false;
    x->response = head;
    head->status = x->reply.status;
    head->minor = 1;
    head->content_length = (int64_t)x->reply.body.len;
    if (x->reply.content_type.len && !add(x, STR("Content-Type"), x->reply.content_type))
        return false;
    if (x->reply.location.p && !add(x, STR("Location"), x->reply.location))
        return false;
    return !x->reason || add_reason(x);
}
