/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the gateway's own: refusals (REFUSE), redirects, fixed answers, health. They take the
 * way of every answer from TELL on, so that response filters see them. To a gRPC call they are
 * trailers-only: HTTP 200 with grpc-status in the head (PROTOCOL-HTTP2.md, Responses).
 */
#include "edge/exchange_impl.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "http/grpc.h"

enum { RETRY_AFTER_S = 1 };

enum step exchange_answer_with(struct exchange *x, const struct exchange_reply *reply)
{
    x->reply = *reply;
    x->is_own = true;
    loop_timer_unset(&x->deadline);
    if (!exchange_build_reply(x)) {
        exchange_abort(x, REASON_MEMORY_LIMIT);
        return STEP_WAIT;
    }
    return STEP_TELL;
}

/* RFC 9457 3.1.4, where a filter has more to say than its reason. */
static struct str detail_member(struct exchange *x)
{
    struct str detail = x->detail.p ? x->detail : chain_detail(&x->walk);
    char *text = detail.p ? arena_text(&x->arena, detail.len * TEXT_JSON_FACTOR + 1) : NULL;

    if (!text)
        return STR("");
    detail = (struct str){text, (size_t)(text_json(text, detail) - text)};
    detail = arena_format(&x->arena, "\"detail\":\"%.*s\",", STR_FMT(detail));
    return detail.p ? detail : STR("");
}

/* A page for people, problem+json (RFC 9457) for programs. */
static struct str error_body(struct exchange *x, unsigned status, bool for_people)
{
    const struct reason_info *info = reason_info(x->reason);

    if (for_people)
        return arena_format(&x->arena,
                            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                            "<title>%u</title></head><body><h1>%u</h1><p>%s</p>"
                            "<p><small>%s &middot; request %.*s</small></p></body></html>\n",
                            status, status, info->text, info->slug, STR_FMT(x->id));
    return arena_format(&x->arena,
                        "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,%.*s"
                        "\"reason\":\"%s\",\"request_id\":\"%.*s\"}\n",
                        info->text, status, STR_FMT(detail_member(x)), info->slug, STR_FMT(x->id));
}

/* The service's own words; maintenance of which nothing is written is a refusal like others. */
static bool has_words(const struct exchange *x)
{
    return x->instead &&
           (x->instead->body.s.len || x->instead->status < 400 || x->reason != REASON_MAINTENANCE);
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

    if (x->instead)
        reply.status = (uint16_t)x->instead->status;
    pool_cancel(&x->opening);
    exchange_end_sleep(x, DEMAND_DROPPED);
    exchange_let_go(x, false);
    if (!exchange_make_id(x))
        x->id = STR("-");
    if (info->status == 499 || x->is_answering) {
        exchange_abort(x, x->reason);
        return STEP_WAIT;
    }
    if (has_words(x)) {
        reply.body = x->instead->body.s;
        reply.content_type = x->instead->content_type.s;
        return exchange_answer_with(x, &reply);
    }
    reply.body = error_body(x, reply.status, for_people);
    reply.content_type =
        for_people ? STR("text/html; charset=utf-8") : STR("application/problem+json");
    return exchange_answer_with(x, &reply);
}

static struct str slug_of(const struct exchange *x)
{
    const char *slug = reason_info(x->reason)->slug;

    return (struct str){slug, strlen(slug)};
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

    if (!add(x, STR("X-Sluice-Reason"), slug_of(x)) ||
        !add(x, STR("Proxy-Status"), proxy_status)) // RFC 9209 2
        return false;
    if (x->reason == REASON_METHOD_NOT_ALLOWED)
        return add_allow(x);
    if (info->status != 503)
        return true;
    if (x->reason == REASON_WAKING && !add(x, STR("Cache-Control"), STR("no-store")))
        return false;
    return add(x, STR("Retry-After"),
               arena_format(&x->arena, "%u", x->retry_s ? x->retry_s : RETRY_AFTER_S));
}

/* --- gRPC */

/* The content type to answer a call with; absent: it is none, or wants no translation. A call may
 * be refused before its head was looked at. */
static struct str grpc_type(const struct exchange *x)
{
    struct str type = x->grpc_type;
    enum grpc_kind kind;

    if (!type.p && x->request)
        type = head_value(x->request, HDR_CONTENT_TYPE);
    kind = grpc_read_type(type, NULL);
    if (!kind || x->is_silent || grpc_read_type(x->reply.content_type, NULL))
        return STR_NONE;
    return kind == GRPC_PLAIN ? STR("application/grpc") : type;
}

static struct str grpc_message(struct exchange *x)
{
    struct str text;

    if (x->reason)
        text = arena_format(&x->arena, "%s (%s, request %.*s)", reason_info(x->reason)->text,
                            reason_info(x->reason)->slug, STR_FMT(x->id));
    else
        text =
            arena_format(&x->arena, "The gateway itself answers this with HTTP %u (request %.*s)",
                         x->reply.status, STR_FMT(x->id));
    return text.p ? grpc_encode_message(&x->arena, text) : text;
}

static enum grpc_status grpc_status_of(const struct exchange *x)
{
    if (x->reason)
        return grpc_map_reason(x->reason);
    return x->reply.status == 429 ? GRPC_RESOURCE_EXHAUSTED : grpc_map_http(x->reply.status);
}

static bool add_grpc_status(struct exchange *x, struct head *head)
{
    struct str status = arena_format(&x->arena, "%d", (int)grpc_status_of(x));
    struct str message = grpc_message(x);

    return status.p && message.p && !head_add(head, &x->arena, STR("grpc-status"), status) &&
           !head_add(head, &x->arena, STR("grpc-message"), message);
}

static bool can_end_grpc(const struct exchange *x)
{
    return x->ends_in_grpc && x->is_answering && !x->up_ended && !x->walk.is_broken &&
           x->down.wire && reason_info(x->reason)->status != 499 &&
           x->reason != REASON_MEMORY_LIMIT;
}

bool exchange_end_grpc(struct exchange *x)
{
    struct piece end = {.bytes = STR(""), .last = true};

    if (!can_end_grpc(x))
        return false;
    end.trailers = arena_zero(&x->arena, 1, sizeof(*end.trailers));
    if (!end.trailers || head_init(end.trailers, &x->arena, 3) ||
        !add_grpc_status(x, end.trailers) ||
        head_add(end.trailers, &x->arena, STR("x-sluice-reason"), slug_of(x)))
        return false;
    return !exchange_put_answer(x, &end);
}

static bool make_grpc(struct exchange *x, struct str type)
{
    x->reply.body = x->reply.content_type = STR_NONE;
    x->response->status = 200;
    x->response->content_length = -1;
    return add(x, STR("content-type"), type) && add_grpc_status(x, x->response);
}

/* --- the head */

bool exchange_build_reply(struct exchange *x)
{
    struct head *head = arena_zero(&x->arena, 1, sizeof(*head));
    struct str call = grpc_type(x);

    if (!head || head_init(head, &x->arena, 10))
        return false;
    x->response = head;
    head->status = x->reply.status;
    head->minor = 1;
    head->content_length = (int64_t)x->reply.body.len;
    if (call.p && !make_grpc(x, call))
        return false;
    if (x->reply.content_type.len && !add(x, STR("Content-Type"), x->reply.content_type))
        return false;
    if (x->reply.location.p && !add(x, STR("Location"), x->reply.location))
        return false;
    return !x->reason || add_reason(x);
}
