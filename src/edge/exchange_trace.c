/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/exchange_trace.h"

#include "base/random.h"
#include "base/text.h"
#include "edge/exchange_impl.h"
#include "edge/metric/access_ring.h"

struct exchange_trace {
    struct trace_context context; /* its span is ours */
    uint64_t parent;              /* the span of who asked; 0: the trace begins here */
    uint64_t try_span;            /* of the try that runs */
    uint64_t slow_us;             /* what takes longer is kept; 0: off */
    struct str state;             /* tracestate; absent: none */
    struct str tries;             /* that have ended, packed */
};

/* --- beginning */

/* Not 0. */
static uint64_t make_id(struct exchange_host *host, unsigned which)
{
    uint64_t id = random_next(&host->trace_random[which]);

    return id ? id : 1;
}

/* Sent twice it is as good as not at all (3.2: it is no list). */
static bool is_alone(const struct head *request)
{
    unsigned count = 0;

    for (unsigned i = 0; i < request->count; i++)
        count += request->headers[i].id == HDR_TRACEPARENT;
    return count == 1;
}

static bool read_parent(struct exchange *x, struct trace_context *parent)
{
    struct str text = head_value(x->request, HDR_TRACEPARENT);

    return text.p && is_alone(x->request) && trace_context_read(text, parent);
}

/* One in so many. */
static bool draw(struct exchange *x, const struct conf_traces *conf)
{
    return random_below(&x->host->trace_random[0], 1000000) < conf->sample_ppm;
}

void exchange_trace_begin(struct exchange *x)
{
    const struct conf *conf = x->snapshot->rules->conf;
    struct exchange_host *host = x->host;
    struct exchange_trace *trace;

    if (!conf->has_traces || !host->traces)
        return;
    trace = arena_zero(&x->arena, 1, sizeof(*trace));
    if (!trace)
        return;
    if (read_parent(x, &trace->context)) {
        trace->parent = trace->context.span;
        trace->state = head_value(x->request, HDR_TRACESTATE);
    } else {
        trace->context.high = make_id(host, 0);
        trace->context.low = make_id(host, 1);
        head_remove(x->request, HDR_TRACEPARENT);
        head_remove(x->request, HDR_TRACESTATE); // it says nothing without the other (3.3)
    }
    // What anybody asks for is not done; a platform passes on what its clients say.
    if (!trace->parent || !x->is_by_own_proxy)
        trace->context.is_sampled = draw(x, &conf->traces);
    trace->context.span = make_id(host, 1);
    trace->try_span = make_id(host, 1);
    trace->slow_us = (uint64_t)conf->traces.slow_ms * 1000;
    x->trace = trace;
}

/* --- tries */

uint64_t exchange_trace_span(struct exchange *x)
{
    return x->trace ? make_id(x->host, 1) : 0;
}

enum status exchange_trace_say(struct exchange *x, struct head *head, uint64_t span)
{
    struct trace_context context;
    char *text;

    if (!x->trace)
        return OK;
    text = arena_text(&x->arena, TRACE_PARENT_LEN);
    if (!text)
        return E_NOMEM;
    context = x->trace->context;
    context.span = span ? span : x->trace->try_span;
    trace_context_write(text, &context);
    return head_set(head, &x->arena, STR("traceparent"), (struct str){text, TRACE_PARENT_LEN});
}

uint32_t exchange_trace_us(const struct exchange *x, uint64_t at_us)
{
    uint64_t us = at_us > x->began_us ? at_us - x->began_us : 0;

    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void exchange_trace_note(struct exchange *x, const struct trace_try *try)
{
    struct exchange_trace *trace = x->trace;
    char *start;

    if (!trace || trace->tries.len + TRACE_TRY_MAX > ACCESS_TEXT_MAX)
        return;
    start = arena_text(&x->arena, trace->tries.len + TRACE_TRY_MAX);
    if (!start)
        return;
    trace->tries.len = (size_t)(trace_try_put(text_put(start, trace->tries), try) - start);
    trace->tries.p = start;
}

/* Of the try that runs. */
static struct trace_try describe(const struct exchange *x)
{
    bool is_sent = x->is_sending && x->sent_us >= x->picked_us;

    return (struct trace_try){
        .span = x->trace->try_span,
        .begun_us = exchange_trace_us(x, x->picked_us),
        .ended_us = exchange_trace_us(x, x->host->loop->now_us),
        .sent_us = is_sent ? exchange_trace_us(x, x->sent_us) : 0,
        .target = x->target_id,
    };
}

static void end_try(struct exchange *x, const struct trace_try *try)
{
    exchange_trace_note(x, try);
    x->trace->try_span = make_id(x->host, 1);
}

void exchange_trace_try(struct exchange *x, struct str outcome, unsigned status)
{
    struct trace_try try;

    if (!x->trace)
        return;
    try = describe(x);
    try.outcome = status ? STR("") : outcome;
    try.status = (uint16_t)status;
    if (status)
        try.answered_us = try.ended_us;
    end_try(x, &try);
}

void exchange_trace_give_up(struct exchange *x, struct str outcome)
{
    struct trace_try try;

    if (!x->trace)
        return;
    try = describe(x);
    try.outcome = outcome;
    try.is_given_up = true;
    end_try(x, &try);
}

void exchange_trace_adopt(struct exchange *x, uint64_t span)
{
    if (x->trace)
        x->trace->try_span = span;
}

/* --- the end */

bool exchange_trace_is_kept(const struct exchange *x, uint64_t total_us)
{
    const struct exchange_trace *trace = x->trace;
    bool has_failed = x->reason ? reason_info(x->reason)->status >= 500 : x->status >= 500;

    if (!trace)
        return false;
    return trace->context.is_sampled || has_failed ||
           (trace->slow_us && total_us > trace->slow_us && !x->is_tunnel);
}

/* The try that answered, or that ran when all was broken off. */
static void note_last(struct exchange *x)
{
    struct trace_try try;

    if (!x->answer_began && !x->holds_place)
        return;
    try = describe(x);
    if (x->answer_began) {
        uint64_t relayed = x->phase_us[ACCESS_RELAY];

        try.status = (uint16_t)x->response->status;
        try.answered_us = exchange_trace_us(x, x->host->loop->now_us - relayed);
    }
    if (x->reason) {
        const char *slug = reason_info(x->reason)->slug;

        try.outcome = (struct str){slug, strlen(slug)};
    }
    exchange_trace_note(x, &try);
}

void exchange_trace_end(struct exchange *x, struct access_record *record)
{
    struct exchange_trace *trace = x->trace;

    note_last(x);
    record->trace = trace->context;
    record->trace_parent = trace->parent;
    record->trace_state = trace->state;
    record->trace_tries = trace->tries;
    access_ring_put(x->host->traces, record);
}
