/* SPDX-License-Identifier: Apache-2.0
 *
 * The end of a try: its target is told what is to be thought of it, and the request goes back to
 * PICK if it may be said again. It may be while nothing of an answer has left for the client:
 * always when it never left for the target, else for idempotent methods (RFC 9110 9.2.2), as often
 * as the service says and its budget allows.
 */
#include "edge/exchange_impl.h"
#include "edge/exchange_trace.h"

#include "base/random.h"
#include "base/text.h"

#include <string.h>

enum { TRY_TARGET_MAX = 128, TRY_TEXT_MAX = 128 + TRY_TARGET_MAX * TEXT_JSON_FACTOR };

static unsigned worker_of(const struct exchange *x)
{
    return x->host->loop->worker;
}

/* --- what is said of the target */

static void tell(struct exchange *x, enum endpoint_verdict verdict, uint64_t wait_us)
{
    struct exchange_host *host = x->host;

    if (endpoint_tell(exchange_endpoint(x), worker_of(x), verdict, wait_us) && host->home)
        mailbox_wake(host->home);
}

/* A gRPC call says it in a field of its own (grpc/doc/statuscodes.md): UNAVAILABLE is 14. */
static enum endpoint_verdict verdict_of(const struct exchange *x)
{
    unsigned status = x->response->status;
    struct str grpc = x->grpc_type.p ? head_value_name(x->response, STR("grpc-status")) : STR_NONE;

    if (str_same(grpc, STR("14")))
        return ENDPOINT_FAILED;
    if (status >= 502 && status <= 504)
        return ENDPOINT_FAILED;
    return status >= 500 ? ENDPOINT_ERRED : ENDPOINT_SERVED;
}

/* Whose fault it is that there is no answer; others than the target may be the cause. */
static bool is_its_fault(enum reason why)
{
    switch (why) {
    case REASON_CONNECTION_REFUSED:
    case REASON_CONNECTION_TERMINATED:
    case REASON_CONNECTION_TIMEOUT:
    case REASON_DESTINATION_UNROUTABLE:
    case REASON_DNS_ERROR:
    case REASON_HTTP_PROTOCOL_ERROR:
    case REASON_HTTP_RESPONSE_INCOMPLETE:
    case REASON_HTTP_RESPONSE_HEADER_SIZE:
    case REASON_HTTP_RESPONSE_TIMEOUT:
    case REASON_TLS_PROTOCOL_ERROR:
    case REASON_TLS_CERTIFICATE_ERROR:
        return true;
    default:
        return false;
    }
}

void exchange_tell_broken(struct exchange *x, enum reason why)
{
    if (!x->holds_place || !is_its_fault(why))
        return;
    tell(x, x->is_told ? ENDPOINT_CUT : ENDPOINT_FAILED, UINT64_MAX);
    exchange_charge(x, true, 0);
    x->is_told = true;
}

void exchange_tell_answered(struct exchange *x)
{
    enum endpoint_verdict verdict = verdict_of(x);
    uint64_t wait_us = x->host->loop->now_us - x->sent_us;

    x->is_told = true;
    tell(x, verdict, wait_us);
    exchange_charge(x, verdict != ENDPOINT_SERVED || exchange_is_bad_grpc(x, x->response), wait_us);
}

/* --- the tries so far, for the next pick and the log */

bool exchange_begin_tries(struct exchange *x)
{
    if (!x->tries)
        x->tries = arena_zero(&x->arena, 1, sizeof(*x->tries));
    return x->tries != NULL;
}

void exchange_note_try(struct exchange *x, const char *outcome, unsigned status)
{
    uint64_t us = x->host->loop->now_us - x->picked_us;
    struct exchange_tries *tries = x->tries;
    struct str word = {outcome, strlen(outcome)};
    char *start, *at;

    if (!tries || tries->text.len + TRY_TEXT_MAX > ACCESS_TRIES_MAX)
        return;
    start = at = arena_text(&x->arena, tries->text.len + TRY_TEXT_MAX);
    if (!start || x->target_id.len > TRY_TARGET_MAX)
        return;
    at = text_put(at, tries->text);
    at = text_put(at, tries->text.len ? STR(",{\"target\":\"") : STR("{\"target\":\""));
    at = text_json(at, x->target_id);
    at = text_put(at, STR("\",\"outcome\":\""));
    at = status ? text_u64(at, status) : text_put(at, word);
    at = text_milli(text_put(at, STR("\",\"ms\":")), us);
    *at++ = '}';
    tries->text = (struct str){start, (size_t)(at - start)};
}

/* For the log, and for its trace. */
static void note_end(struct exchange *x, enum reason why, unsigned status)
{
    const char *slug = reason_info(why)->slug;

    exchange_note_try(x, slug, status);
    exchange_trace_try(x, (struct str){slug, strlen(slug)}, status);
}

static void note_endpoint(struct exchange *x, bool may_have_again)
{
    struct exchange_tries *tries = x->tries;
    const struct endpoint *endpoint = exchange_endpoint(x);

    if (may_have_again && tries->shunned_count < RELEASE_TRIED_MAX)
        tries->shunned[tries->shunned_count++] = endpoint;
    else if (!may_have_again && tries->tried_count < RELEASE_TRIED_MAX)
        tries->tried[tries->tried_count++] = endpoint;
}

/* --- whether there is another */

bool exchange_has_budget(struct exchange *x)
{
    const struct conf_retry *conf = &x->service->conf->retry;
    struct gate *gate = x->release->gate;
    uint32_t floor = conf->budget_floor * 10 / gate->workers;

    return retry_budget_take(&gate->locals[worker_of(x)].budget, conf->budget_ppm, floor,
                             x->host->loop->now_us);
}

/* Why it may be tried again, as the service names it. What is not safe enough to have a name of its
 * own there has broken off all the same. */
static enum conf_retry_on cause_of(const struct exchange *x, enum reason why)
{
    enum conf_retry_on cause = CONF_RETRY_RESET;

    if (!x->is_sending)
        return CONF_RETRY_CONNECT;
    if (why == REASON_HTTP_RESPONSE_TIMEOUT)
        return CONF_RETRY_504;
    if (why == REASON_REFUSED_STREAM)
        cause = CONF_RETRY_REFUSED_STREAM;
    else if (why == REASON_CONNECTION_TERMINATED && x->target && x->target->is_reused)
        cause = CONF_RETRY_RESET_UNSENT;
    return x->service->conf->retry.on & cause ? cause : CONF_RETRY_RESET;
}

static enum conf_retry_on cause_of_status(unsigned status)
{
    static const struct {
        unsigned status;
        enum conf_retry_on bit;
    } bits[] = {{429, CONF_RETRY_429},
                {500, CONF_RETRY_500},
                {502, CONF_RETRY_502},
                {503, CONF_RETRY_503},
                {504, CONF_RETRY_504}};

    for (size_t i = 0; i < ARRAY_LEN(bits); i++)
        if (bits[i].status == status)
            return bits[i].bit;
    return 0;
}

static bool may_retry(struct exchange *x, enum conf_retry_on cause)
{
    const struct conf_retry *conf = &x->service->conf->retry;

    if (!conf->is_on || !(conf->on & cause) || x->attempts >= EXCHANGE_ATTEMPTS_MAX)
        return false;
    if (cause == CONF_RETRY_CONNECT)
        return true; // nothing left for the target
    if (!x->can_replay || x->resends >= conf->retries)
        return false;
    if (cause == CONF_RETRY_REFUSED_STREAM) // RFC 9113 8.7: it did nothing
        return true;
    if (!method_is_idempotent(x->request->method))
        return false;
    return cause == CONF_RETRY_RESET_UNSENT || exchange_has_budget(x);
}

/* --- going on */

/* How long to wait: half to all of what has doubled with each try. */
static uint64_t pause_ms(struct exchange *x)
{
    const struct conf_retry *conf = &x->service->conf->retry;
    uint64_t most = conf->backoff_ms;

    for (unsigned i = 1; i < x->resends && most < conf->backoff_max_ms; i++)
        most *= 2;
    if (most > conf->backoff_max_ms)
        most = conf->backoff_max_ms;
    return most / 2 + random_mix(x->host->loop->now_us ^ x->host->id_next) % (most / 2 + 1);
}

static enum step try_again(struct exchange *x, enum conf_retry_on cause)
{
    bool needs_budget =
        !(cause & (CONF_RETRY_CONNECT | CONF_RETRY_REFUSED_STREAM | CONF_RETRY_RESET_UNSENT));
    uint64_t wait_ms;

    x->response = NULL;
    x->up_ended = false;
    if (cause != CONF_RETRY_CONNECT)
        x->resends++;
    wait_ms = needs_budget ? pause_ms(x) : 0;
    if (!wait_ms)
        return STEP_PICK;
    x->is_pausing = true;
    loop_timer_set(x->host->loop, &x->timer, wait_ms);
    return STEP_WAIT;
}

enum next { NEXT_NONE, NEXT_AGAIN, NEXT_STABLE };

/* What a try that failed leaves; then the next, or the end. */
static enum step end_try(struct exchange *x, enum conf_retry_on cause, unsigned status,
                         enum next next)
{
    struct stat_target *stat = stats_target(x->host->stats, worker_of(x), x->target_slot);
    bool was_sent,
        is_same_good = cause == CONF_RETRY_RESET_UNSENT || cause == CONF_RETRY_REFUSED_STREAM;

    loop_timer_unset(&x->timer);
    if (cause == CONF_RETRY_CONNECT) {
        stat_add(&stat->connect_errors, 1);
        exchange_lap(x, ACCESS_CONNECT);
    }
    if (status)
        stat_add(&stat->codes[stat_code_index(status)], 1);
    note_end(x, x->reason, status);
    if (next && !is_same_good)
        note_endpoint(x, cause != CONF_RETRY_CONNECT);
    was_sent = x->wants_fresh = x->is_sending;
    exchange_let_go(x, x->up->received && x->up->sent);
    if (!next)
        return STEP_REFUSE;
    stat_add(&stat->retries, 1);
    if (next == NEXT_STABLE) {
        exchange_net(x);
        cause = was_sent ? CONF_RETRY_REFUSED_STREAM : CONF_RETRY_CONNECT; // without a pause
    }
    return try_again(x, cause);
}

/* Nothing of a refused stream was acted on (RFC 9113 8.7). */
static bool is_unsent(const struct exchange *x, enum conf_retry_on cause)
{
    return cause == CONF_RETRY_CONNECT || (cause == CONF_RETRY_REFUSED_STREAM && x->can_replay);
}

static enum next next_of(struct exchange *x, enum conf_retry_on cause, bool is_netted)
{
    enum next next = is_netted ? NEXT_STABLE : NEXT_NONE;

    if (!next && cause && may_retry(x, cause))
        next = NEXT_AGAIN;
    return next && exchange_begin_tries(x) ? next : NEXT_NONE;
}

enum step exchange_retry(struct exchange *x, enum reason why)
{
    enum conf_retry_on cause = cause_of(x, why);
    enum next next;

    if (x->hedge && x->is_sending) {
        exchange_tell_broken(x, why);
        note_end(x, why, 0);
        if (exchange_take_hedge(x)) {
            loop_timer_set(x->host->loop, &x->timer, exchange_answer_ms(x));
            return STEP_WAIT;
        }
    }
    exchange_drop_hedge(x);
    next = next_of(x, cause, exchange_may_net(x, is_unsent(x, cause)));
    exchange_tell_broken(x, why);
    x->reason = why;
    return end_try(x, cause, 0, next);
}

bool exchange_retry_answer(struct exchange *x, enum step *next)
{
    unsigned status = x->response->status;
    enum conf_retry_on cause = cause_of_status(status);
    enum next how = next_of(x, cause, status >= 500 && exchange_may_net(x, false));

    if (!how)
        return false;
    *next = end_try(x, cause, status, how);
    return true;
}

/* --- letting go of the target */

static void release_place(struct exchange *x)
{
    if (!x->holds_place)
        return;
    x->holds_place = false;
    if (!x->is_told)
        endpoint_give_trial(exchange_endpoint(x));
    exchange_count_target(x, x->index, x->target_slot, -1);
    if (x->gate)
        release_give_place(x->gate, exchange_endpoint(x));
    x->gate = NULL;
}

static struct pool_parting parting(const struct exchange *x, bool is_good)
{
    struct pool_parting parting = {.is_good = is_good};

    if (x->route)
        parting.idle_ms = x->route->timeouts.upstream_idle_ms;
    if (x->service)
        parting.max_age_ms = x->service->conf->pool.max_age_ms;
    return parting;
}

void exchange_let_go(struct exchange *x, bool is_good)
{
    struct target_conn *target = x->target;

    exchange_drop_hedge(x);
    x->target = NULL;
    x->is_sending = false;
    if (target) {
        if (x->up->wire)
            x->up->codec->detach(x->up);
        if (x->is_tunnel && x->down_ended && x->up_ended)
            pool_finish(target);
        else
            pool_give(target, parting(x, is_good));
    }
    release_place(x);
}
