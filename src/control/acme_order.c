/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_order.h"

#include <string.h>

enum { POLL_FIRST_MS = 500, POLL_MAX_MS = 10000 };

static bool is_over(const struct acme_authorization *a)
{
    return a->status == ACME_VALID || a->status == ACME_INVALID;
}

static struct acme_action act(enum acme_step step, uint32_t index)
{
    return (struct acme_action){.step = step, .index = index};
}

static struct acme_action poll_or_wait(struct acme_action action, int64_t at_ms, int64_t now_ms)
{
    if (at_ms <= now_ms)
        return action;
    return (struct acme_action){.step = ACME_STEP_WAIT, .wait_until_ms = at_ms};
}

/* All answers are in place before the CA is told of the first: it may look for several at once. */
static struct acme_action prepare(const struct acme_order *order, bool *is_ready)
{
    *is_ready = false;
    for (uint32_t i = 0; i < order->count; i++)
        if (order->authorizations[i].status == ACME_UNKNOWN)
            return act(ACME_STEP_AUTHORIZE, i);
    for (uint32_t i = 0; i < order->count; i++)
        if (order->authorizations[i].status == ACME_INVALID)
            return act(ACME_STEP_FAIL, i);
    for (uint32_t i = 0; i < order->count; i++)
        if (!is_over(&order->authorizations[i]) && !order->authorizations[i].is_published)
            return act(ACME_STEP_PUBLISH, i);
    for (uint32_t i = 0; i < order->count; i++)
        if (!is_over(&order->authorizations[i]) && !order->authorizations[i].is_told)
            return act(ACME_STEP_TELL, i);
    *is_ready = true;
    return act(ACME_STEP_WAIT, 0);
}

/* The one that may be read first; when none may yet, the wait until then. */
static struct acme_action next_pending(const struct acme_order *order, int64_t now_ms)
{
    struct acme_action action;
    bool is_ready;
    const struct acme_authorization *first = NULL;

    action = prepare(order, &is_ready);
    if (!is_ready)
        return action;
    for (uint32_t i = 0; i < order->count; i++) {
        const struct acme_authorization *a = &order->authorizations[i];

        if (!is_over(a) && (!first || a->poll_ms < first->poll_ms))
            first = a;
    }
    if (first)
        return poll_or_wait(act(ACME_STEP_AUTHORIZE, (uint32_t)(first - order->authorizations)),
                            first->poll_ms, now_ms);
    return poll_or_wait(act(ACME_STEP_READ, 0), order->poll_ms, now_ms);
}

/* An order that failed does not say why: its authorizations do. */
static struct acme_action next_invalid(const struct acme_order *order)
{
    for (uint32_t i = 0; i < order->count; i++)
        if (order->authorizations[i].status == ACME_UNKNOWN)
            return act(ACME_STEP_AUTHORIZE, i);
    return act(ACME_STEP_FAIL, 0);
}

struct acme_action acme_order_next(const struct acme_order *order, int64_t now_ms)
{
    if (!order->url.p)
        return act(ACME_STEP_NEW, 0);
    if (order->has_chain)
        return act(ACME_STEP_DONE, 0);
    if (now_ms - order->created_ms > ACME_ORDER_MS && order->status != ACME_VALID)
        return act(ACME_STEP_FAIL, 0);
    switch (order->status) {
    case ACME_UNKNOWN:
        return act(ACME_STEP_READ, 0);
    case ACME_PENDING:
        return next_pending(order, now_ms);
    case ACME_READY:
        // Finalized and still ready: the CA has not taken it up yet.
        if (order->is_finalized)
            return poll_or_wait(act(ACME_STEP_READ, 0), order->poll_ms, now_ms);
        return act(ACME_STEP_FINALIZE, 0);
    case ACME_PROCESSING:
        return poll_or_wait(act(ACME_STEP_READ, 0), order->poll_ms, now_ms);
    case ACME_VALID:
        return act(ACME_STEP_DOWNLOAD, 0);
    case ACME_INVALID:
        break;
    }
    return next_invalid(order);
}

/* --- what was learned */

static bool is_same(struct str a, struct str b)
{
    return a.len == b.len && !memcmp(a.p, b.p, a.len);
}

/* A CA may list them in another order each time. */
static bool is_among(const struct acme_order *order, struct str url)
{
    for (uint32_t i = 0; i < order->count; i++)
        if (is_same(order->authorizations[i].url, url))
            return true;
    return false;
}

static enum status take_authorizations(struct acme_order *order, struct arena *arena,
                                       const struct acme_json_order *json)
{
    if (order->count) {
        bool is_known = order->count == json->authorization_count;

        for (uint32_t i = 0; is_known && i < order->count; i++)
            is_known = is_among(order, json->authorizations[i]);
        return is_known ? OK : E_PROTOCOL;
    }
    order->authorizations =
        arena_zero(arena, json->authorization_count, sizeof(*order->authorizations));
    if (!order->authorizations)
        return E_NOMEM;
    order->count = json->authorization_count;
    for (uint32_t i = 0; i < order->count; i++)
        order->authorizations[i].url = json->authorizations[i];
    return OK;
}

enum status acme_order_take(struct acme_order *order, struct arena *arena,
                            const struct acme_json_order *json)
{
    enum status status = take_authorizations(order, arena, json);

    if (status)
        return status;
    order->status = json->status;
    order->finalize = json->finalize;
    order->certificate = json->certificate;
    order->error = json->error;
    // What is left open now has to be asked for: it may be the one that failed.
    for (uint32_t i = 0; json->status == ACME_INVALID && i < order->count; i++)
        if (!is_over(&order->authorizations[i]) && !order->authorizations[i].polls)
            order->authorizations[i].status = ACME_UNKNOWN;
    return OK;
}

static bool choose(struct acme_authorization *a, const struct acme_json_authorization *json,
                   const struct acme_choice *choice)
{
    for (uint32_t i = 0; i < choice->count; i++) {
        const struct acme_json_challenge *offered = &json->challenges[choice->wanted[i]];

        if (!offered->url.p)
            continue;
        a->challenge = choice->wanted[i];
        a->challenge_url = offered->url;
        a->token = offered->token;
        return true;
    }
    return false;
}

enum status acme_order_take_authorization(struct acme_order *order, uint32_t index,
                                          const struct acme_json_authorization *json,
                                          const struct acme_choice *choice)
{
    struct acme_authorization *a = &order->authorizations[index];

    if (a->domain.p && !is_same(a->domain, json->domain))
        return E_PROTOCOL;
    a->domain = json->domain;
    a->status = json->status;
    if (json->status == ACME_VALID)
        return OK;
    // A failed one may list only the challenge that was tried, and in it why.
    for (unsigned i = 0; i < ACME_CHALLENGES; i++)
        if (json->challenges[i].error.p)
            a->error = json->challenges[i].error;
    if (json->status == ACME_INVALID)
        return OK;
    a->status = ACME_PENDING;
    return a->token.p || choose(a, json, choice) ? OK : E_NOT_FOUND;
}

static int64_t pause_ms(uint32_t polls, int64_t retry_after_ms)
{
    int64_t wait_ms = polls > 4 ? POLL_MAX_MS : (int64_t)POLL_FIRST_MS << polls;

    if (retry_after_ms > wait_ms)
        wait_ms = retry_after_ms < ACME_ORDER_MS ? retry_after_ms : ACME_ORDER_MS;
    return wait_ms;
}

void acme_order_pace(struct acme_order *order, uint32_t index, int64_t now_ms,
                     int64_t retry_after_ms)
{
    uint32_t *polls = index == UINT32_MAX ? &order->polls : &order->authorizations[index].polls;
    int64_t *poll_ms =
        index == UINT32_MAX ? &order->poll_ms : &order->authorizations[index].poll_ms;

    *poll_ms = now_ms + pause_ms(*polls, retry_after_ms);
    if (*polls < UINT32_MAX)
        ++*polls;
}

struct str acme_order_error(const struct acme_order *order, struct arena *arena)
{
    for (uint32_t i = 0; i < order->count; i++) {
        const struct acme_authorization *a = &order->authorizations[i];
        struct str error = a->error.p ? a->error : STR("the CA says no more");

        if (a->status == ACME_INVALID)
            return arena_format(arena, "%.*s by %s: %.*s", STR_FMT(a->domain),
                                acme_json_challenge_name(a->challenge), STR_FMT(error));
    }
    if (order->error.p)
        return order->error;
    if (order->status == ACME_INVALID)
        return STR("the order is invalid, and the CA does not say why");
    return STR("the CA did not decide within 15 minutes");
}
