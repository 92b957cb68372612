/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of the gateway's own: an exchange whose client is this file. Its codec takes the answer
 * in place of a socket, on a wire without a connection; `done` is called when the worker's turn is
 * over, since the exchange is still at work when its answer is complete.
 */
#include "edge/errand.h"

#include <assert.h>
#include <string.h>

#include "edge/exchange_impl.h"

enum {
    SPARE_MAX = 64 * 1024,  /* of an answer's body past body_max that is read over */
    ARENA_MAX = 256 * 1024, /* of heads and texts */
};

struct errand {
    struct exchange_host *host;
    struct errand *prev, *next; /* all of the worker's */
    struct exchange *exchange;  /* NULL: over */
    struct exchange_origin origin;
    struct wire wire;
    struct loop_pause pause;
    struct arena arena; /* what `done` is shown */
    errand_done *done;
    void *owner;
    struct head head; /* the answer's */
    struct errand_answer answer;
    struct buf body;
    size_t body_max, spare;
    bool is_whole, is_forgotten;
};

static struct errand *errand_of(const struct stream *stream)
{
    return CONTAINER_OF(stream->wire, struct errand, wire);
}

/* --- the codec: what an exchange says to its client */

static enum status copy_head(struct errand *errand, const struct head *head)
{
    struct head *copy = &errand->head;

    if (head_init(copy, &errand->arena, head->count))
        return E_NOMEM;
    copy->status = head->status;
    copy->content_length = head->content_length;
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];
        struct str name = arena_copy(&errand->arena, (struct str){header->name, header->name_len});
        struct str value =
            arena_copy(&errand->arena, (struct str){header->value, header->value_len});

        if (!name.p || !value.p || head_add(copy, &errand->arena, name, value))
            return E_NOMEM;
    }
    return OK;
}

static enum status take_head(struct stream *stream, const struct head *head, bool last)
{
    struct errand *errand = errand_of(stream);
    const struct exchange *x = errand->exchange;

    if (x->is_own) // the gateway's words about the service are not the service's
        errand->answer.reason = x->reason ? x->reason : REASON_DESTINATION_UNAVAILABLE;
    else if (copy_head(errand, head))
        return E_NOMEM;
    errand->answer.status = errand->head.status;
    stream->sent = errand->is_whole = last;
    return OK;
}

static enum status take_interim(struct stream *stream, const struct head *head)
{
    (void)stream;
    (void)head;
    return OK;
}

static enum status take_body(struct stream *stream, struct str bytes, bool last)
{
    struct errand *errand = errand_of(stream);
    size_t left = errand->body_max - errand->body.len, most = bytes.len < left ? bytes.len : left;

    if (errand->exchange->is_own)
        most = 0;
    if (most &&
        buf_append(&errand->body, &errand->host->loop->partials, (struct str){bytes.p, most}))
        return E_NOMEM;
    errand->spare += bytes.len - most;
    stream->sent = errand->is_whole = last;
    if (errand->spare > SPARE_MAX)
        loop_pause_set(errand->host->loop, &errand->pause); // enough
    return OK;
}

static enum status take_trailers(struct stream *stream, const struct head *trailers)
{
    (void)trailers;
    stream->sent = errand_of(stream)->is_whole = true;
    return OK;
}

static void give_credit(struct stream *stream, size_t n)
{
    (void)stream;
    (void)n;
}

static size_t backlog(const struct stream *stream)
{
    (void)stream;
    return 0;
}

/* The exchange ends. */
static void let_go(struct stream *stream)
{
    struct errand *errand = errand_of(stream);

    stream->wire = NULL;
    errand->exchange = NULL;
    loop_pause_set(errand->host->loop, &errand->pause);
}

static void break_off(struct stream *stream, enum reason why)
{
    struct errand *errand = errand_of(stream);

    if (!errand->answer.reason && !errand->is_whole)
        errand->answer.reason = why;
    let_go(stream);
}

static const struct codec codec = {
    .head = take_head,
    .interim = take_interim,
    .body = take_body,
    .trailers = take_trailers,
    .credit = give_credit,
    .backlog = backlog,
    .detach = let_go,
    .reset = break_off,
};

/* --- its end */

static void forget(struct errand *errand)
{
    struct loop *loop = errand->host->loop;

    loop_pause_unset(&errand->pause);
    errand->host->errands_forgotten -= errand->is_forgotten;
    if (errand->prev)
        errand->prev->next = errand->next;
    else
        errand->host->errands = errand->next;
    if (errand->next)
        errand->next->prev = errand->prev;
    buf_drop(&errand->body, &loop->partials);
    arena_reset(&errand->arena);
    heap_give(&loop->heap, errand);
}

/* The worker's turn is over: so is the errand, or its answer is longer than anybody wants. */
static void on_pause(struct loop_pause *pause)
{
    struct errand *errand = CONTAINER_OF(pause, struct errand, pause);
    struct errand_answer *answer = &errand->answer;

    if (errand->exchange) {
        errand->is_whole = true;
        exchange_abort(errand->exchange, REASON_CLIENT_GONE); // comes back here
        return;
    }
    answer->head = answer->status ? &errand->head : NULL;
    answer->body = (struct str){errand->body.len ? errand->body.p : "", errand->body.len};
    answer->is_cut = errand->spare > 0;
    if (errand->done)
        errand->done(errand->owner, answer);
    forget(errand);
}

void errand_cancel(struct errand **errand)
{
    struct errand *gone = *errand;

    *errand = NULL;
    if (!gone)
        return;
    gone->done = NULL;
    if (gone->exchange)
        exchange_abort(gone->exchange, REASON_CLIENT_GONE);
}

void errand_cancel_all(struct exchange_host *host)
{
    for (struct errand *errand = host->errands, *next; errand; errand = next) {
        next = errand->next;
        errand->done = NULL;
        if (errand->exchange)
            exchange_abort(errand->exchange, REASON_CLIENT_GONE);
        forget(errand);
    }
}

/* --- its beginning */

/* All but what the codec says itself. */
static enum status copy_fields(struct exchange *x, struct head *head, const struct head *from)
{
    for (unsigned i = 0; i < from->count; i++) {
        const struct header *header = &from->headers[i];
        struct str name = arena_copy(&x->arena, (struct str){header->name, header->name_len});
        struct str value = arena_copy(&x->arena, (struct str){header->value, header->value_len});

        if (header->id == HDR_CONTENT_LENGTH || header->id == HDR_EXPECT)
            continue;
        if (!name.p || !value.p || head_add(head, &x->arena, name, value))
            return E_NOMEM;
    }
    return OK;
}

static enum status copy_request(struct exchange *x, const struct errand_ask *ask)
{
    const struct head *from = ask->head;
    struct head *head = arena_zero(&x->arena, 1, sizeof(*head));

    if (!head || head_init(head, &x->arena, (uint16_t)(from->count + 8)))
        return E_NOMEM;
    head->method = from->method;
    head->minor = 1;
    head->method_name = arena_copy(&x->arena, from->method_name);
    head->path = x->path = arena_copy(&x->arena, from->path);
    head->query = from->query.p ? arena_copy(&x->arena, from->query) : STR_NONE;
    head->authority = arena_copy(&x->arena, from->authority);
    head->content_length = ask->body.len ? (int64_t)ask->body.len : -1;
    if (!head->method_name.p || !head->path.p || !head->authority.p ||
        (from->query.p && !head->query.p) || copy_fields(x, head, from))
        return E_NOMEM;
    x->request = head;
    return OK;
}

/* What the steps before PICK would have found. */
static enum status prepare(struct exchange *x, struct errand *errand, const struct errand_ask *ask)
{
    x->down.wire = &errand->wire;
    x->down.codec = &codec;
    x->down.received = x->down_ended = x->held_last = true;
    x->is_silent = true;
    x->route = &x->snapshot->rules->errand_route;
    x->service = snapshot_service(x->snapshot, ask->service);
    if (!x->service || copy_request(x, ask) || !exchange_make_id(x))
        return E_NOT_FOUND;
    x->service_name = x->service->conf->name.s;
    x->is_sample = ask->release.p != NULL;
    if (x->is_sample)
        x->release = service_named(x->service, ask->release);
    if (x->is_sample && !x->release)
        return E_NOT_FOUND;
    if (ask->body.len && buf_append(&x->held, &x->host->loop->partials, ask->body))
        return E_NOMEM;
    if (ask->timeout_ms)
        loop_timer_set(x->host->loop, &x->deadline, ask->timeout_ms);
    return OK;
}

static struct errand *make(struct exchange_host *host, const struct errand_ask *ask)
{
    struct errand *errand = heap_take(&host->loop->heap, sizeof(*errand));
    struct caller *peer;

    if (!errand)
        return NULL;
    memset(errand, 0, sizeof(*errand));
    errand->host = host;
    errand->wire.codec = &codec;
    errand->body_max = ask->body_max;
    errand->pause.fire = on_pause;
    arena_init(&errand->arena, &host->loop->arenas, ARENA_MAX);
    peer = &errand->origin.peer;
    *peer = *ask->caller;
    peer->text = arena_copy(&errand->arena, ask->caller->text);
    peer->host = ask->caller->host.p ? arena_copy(&errand->arena, ask->caller->host) : STR_NONE;
    errand->origin.listener = UINT32_MAX;
    errand->origin.began_us = host->loop->now_us;
    errand->next = host->errands;
    if (errand->next)
        errand->next->prev = errand;
    host->errands = errand;
    return errand;
}

struct errand *errand_send(const struct filter_env *env, const struct errand_ask *ask,
                           errand_done *done, void *owner)
{
    struct exchange_host *host = CONTAINER_OF(env, struct exchange_host, env);
    bool has_room = done || host->errands_forgotten < ERRAND_FORGOTTEN_MAX;
    struct errand *errand = has_room ? make(host, ask) : NULL;
    struct stream *down = errand ? exchange_open(host, &errand->origin) : NULL;

    if (!down) {
        if (errand)
            forget(errand);
        return NULL;
    }
    errand->exchange = exchange_of(down);
    if (prepare(errand->exchange, errand, ask)) {
        exchange_abort(errand->exchange, REASON_MEMORY_LIMIT);
        forget(errand);
        return NULL;
    }
    errand->done = done;
    errand->owner = owner;
    errand->is_forgotten = !done;
    host->errands_forgotten += !done;
    exchange_run(errand->exchange, STEP_PICK);
    return errand;
}
