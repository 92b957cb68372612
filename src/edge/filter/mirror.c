/* SPDX-License-Identifier: Apache-2.0
 *
 * mirror: a copy of requests goes to another service, whose answers nobody waits for. Copies are
 * sent once the request is whole, with its body where that is small enough to be kept; requests
 * with larger bodies, and tunnels, have none. What is under way is bounded: see sluice/errand.h.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/random.h"
#include "config/conf.h"
#include "config/field.h"
#include "edge/loop.h"
#include "sluice/errand.h"
#include "sluice/filter.h"

enum { PPM = 1000000 };

struct mirror_conf {
    struct conf_text service;
    uint32_t share_ppm, body_max, timeout_ms;
};

struct mirror_state {
    bool is_sent, is_dropped;
    struct head head; /* as it was here: later steps change the request */
    struct buf body;
};

extern const struct filter filter_mirror;

static const struct field fields[] = {
    {.name = "service",
     .doc = "The service that gets the copies.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct mirror_conf, service)},
    {.name = "share",
     .doc = "How many of the requests are copied.",
     .standard = "100%",
     .type = FIELD_SHARE,
     FIELD_AT(struct mirror_conf, share_ppm)},
    {.name = "body",
     .doc = "Requests with larger bodies are not copied.",
     .standard = "64KiB",
     .type = FIELD_SIZE,
     .max = 1024 * 1024,
     FIELD_AT(struct mirror_conf, body_max)},
    {.name = "timeout",
     .doc = "How long a copy may take; its answer is thrown away.",
     .standard = "10s",
     .type = FIELD_DURATION,
     .min = 1,
     FIELD_AT(struct mirror_conf, timeout_ms)},
    FIELD_END,
};

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    const struct mirror_conf *mirror = conf;

    for (uint32_t i = 0; i < prepare->conf->service_count; i++)
        if (str_same(prepare->conf->services[i].name.s, mirror->service.s))
            return true;
    diag_error(prepare->diag, mirror->service.at, "no service named \"%.*s\"",
               STR_FMT(mirror->service.s));
    return false;
}

static void copy(struct visit *visit)
{
    const struct mirror_conf *conf = visit->conf;
    struct mirror_state *state = visit->state;
    struct caller caller = *visit->caller;
    const struct errand_ask ask = {
        .service = conf->service.s,
        .caller = &caller,
        .head = &state->head,
        .body = {state->body.len ? state->body.p : "", state->body.len},
        .timeout_ms = conf->timeout_ms,
    };

    if (!caller.host.p)
        caller.host = state->head.authority;
    state->is_sent = errand_send(visit->env, &ask, NULL, NULL) != NULL;
    state->is_dropped = !state->is_sent;
}

static bool is_chosen(const struct visit *visit)
{
    const struct mirror_conf *conf = visit->conf;
    uint64_t drawn = random_mix(visit->env->loop->now_us ^ (uint64_t)(uintptr_t)visit);
    int64_t length = visit->request->content_length;

    return !visit->request->is_upgrade && (length < 0 || (uint64_t)length <= conf->body_max) &&
           drawn % PPM < conf->share_ppm;
}

/* The fields themselves stay as they are, but for the table of them. */
static bool copy_head(struct visit *visit, struct head *copy)
{
    const struct head *request = visit->request;

    *copy = *request;
    copy->headers = arena_alloc(visit->arena, request->count * sizeof(struct header) + 1);
    if (!copy->headers)
        return false;
    if (request->count)
        memcpy(copy->headers, request->headers, request->count * sizeof(struct header));
    copy->capacity = request->count;
    return true;
}

static enum verdict on_request(struct visit *visit)
{
    struct mirror_state *state = visit->state;

    if (!is_chosen(visit) || !copy_head(visit, &state->head))
        return VERDICT_PASS;
    visit->sees_request = visit->has_body;
    if (!visit->has_body)
        copy(visit);
    return VERDICT_PASS;
}

static enum reason on_request_body(struct visit *visit, const struct piece *piece,
                                   const struct body_way *way)
{
    const struct mirror_conf *conf = visit->conf;
    struct mirror_state *state = visit->state;
    struct slab *partials = &visit->env->loop->partials;

    if (!state->is_dropped)
        state->is_dropped = state->body.len + piece->bytes.len > conf->body_max ||
                            buf_append(&state->body, partials, piece->bytes) != OK;
    if (state->is_dropped)
        buf_drop(&state->body, partials);
    else if (piece->last)
        copy(visit);
    return filter_pass_body(way, piece);
}

static void on_done(struct visit *visit)
{
    struct mirror_state *state = visit->state;

    buf_drop(&state->body, &visit->env->loop->partials);
}

static struct str describe(struct visit *visit)
{
    const struct mirror_state *state = visit->state;

    return state->is_sent      ? STR("\"copied\":true")
           : state->is_dropped ? STR("\"copied\":false,\"dropped\":true")
                               : STR("\"copied\":false");
}

const struct filter filter_mirror = {
    .name = "mirror",
    .doc = "Sends a copy of requests to another service, and forgets its answers. What a filter "
           "behind it refuses by its body has been sent there.",
    .fields = fields,
    .conf_size = sizeof(struct mirror_conf),
    .state_size = sizeof(struct mirror_state),
    .prepare = prepare,
    .on_request = on_request,
    .on_request_body = on_request_body,
    .on_done = on_done,
    .describe = describe,
};
