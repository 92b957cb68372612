/* SPDX-License-Identifier: Apache-2.0
 *
 * rate_limit: how many requests a client may make. Every request takes tokens from the buckets of
 * all its limits or, when one has too few, from none; the answer says how the buckets stand. What
 * the gateway answers by itself costs nothing; preflights, and what the target marks as lasting,
 * are free as long as there are not too many. On every route unless it is written otherwise.
 */
#include <string.h>

#include "base/arena.h"
#include "base/text.h"
#include "edge/filter/rate_limit_key.h"
#include "edge/loop.h"

extern const struct filter filter_rate_limit;

enum { GRACE_PER_MINUTE = 1200, NS_A_US = 1000 };
#define SECOND_NS UINT64_C(1000000000)

static const struct gcra_rate grace = {
    .burst = GRACE_PER_MINUTE,
    .interval_ns = 60 * SECOND_NS / GRACE_PER_MINUTE,
    .span_ns = 60 * SECOND_NS,
};

enum outcome { NOT_ASKED, STATIC, EXEMPT, FREE, STORE_DOWN, TAKEN, REFUSED, ON_TRIAL };

/* What a request that asks the shared buckets needs beside. */
struct store {
    struct shared_wait wait;
    struct visit *visit;
    struct shared_name *names;
};

struct rate_limit_state {
    enum outcome outcome;
    unsigned count; /* of the set's limits that apply; what follows is theirs */
    const struct limit_set *set;
    const struct limit **limits;
    struct limiter_ask *asks;
    struct gcra_answer *answers;
    struct store *store; /* NULL: not asked */
};

/* --- the request */

static const struct limit_set *choose_set(const struct rate_limit_conf *conf, struct str tier)
{
    for (uint32_t i = 0; i < conf->tier_count && tier.p; i++)
        if (str_same(conf->tier_sets[i].tier, tier))
            return &conf->tier_sets[i];
    return &conf->usual;
}

/* False: no memory. */
static bool make_asks(struct visit *visit, struct rate_limit_state *state)
{
    const struct rate_limit_conf *conf = visit->conf;
    const struct limit_set *set = choose_set(conf, visit->vars->tier);

    state->set = set;
    state->limits = arena_alloc(visit->arena, set->count * sizeof(*state->limits));
    state->asks = arena_alloc(visit->arena, set->count * sizeof(*state->asks));
    state->answers = arena_alloc(visit->arena, set->count * sizeof(*state->answers));
    if (!state->limits || !state->asks || !state->answers)
        return false;
    for (uint32_t i = 0; i < set->count; i++) {
        struct limiter_ask *ask = &state->asks[state->count];

        if (!rate_limit_key(visit, &set->limits[i], &ask->key))
            continue;
        ask->rate = set->limits[i].rate;
        ask->now_ns = visit->env->loop->now_us * NS_A_US;
        ask->cost = conf->cost;
        state->limits[state->count++] = &set->limits[i];
    }
    return true;
}

/* Fetch, CORS-preflight request: no client of a target makes it by will, and any can forge it. */
static bool is_preflight(const struct head *request)
{
    return request->method == METHOD_OPTIONS && head_find_name(request, STR("origin")) &&
           head_find_name(request, STR("access-control-request-method"));
}

static bool take_grace(const struct visit *visit, const struct limiter_ask *ask)
{
    struct limiter_ask free = {.key = rate_limit_grace_key(visit->env->limiter, ask->key),
                               .rate = grace,
                               .now_ns = visit->env->loop->now_us * NS_A_US,
                               .cost = 1};

    return limiter_take(visit->env->limiter, &free, visit->env->worker).passes;
}

static enum verdict refuse(struct visit *visit, struct rate_limit_state *state)
{
    const struct rate_limit_conf *conf = visit->conf;

    if (conf->dry_run) {
        state->outcome = ON_TRIAL;
        limiter_note_trial(visit->env->limiter, visit->env->worker);
        return VERDICT_PASS;
    }
    state->outcome = REFUSED;
    visit->reason = REASON_RATE_LIMITED;
    return VERDICT_FAIL;
}

static enum verdict take_local(struct visit *visit, struct rate_limit_state *state)
{
    if (!limiter_take_all(visit->env->limiter, state->asks, state->count, state->answers,
                          visit->env->worker))
        return refuse(visit, state);
    state->outcome = TAKEN;
    return VERDICT_PASS;
}

/* --- what gateways share: it is asked only for what passes here, so that each knows enough to go
 * on alone */

static void give_local_back(const struct visit *visit, const struct rate_limit_state *state)
{
    for (unsigned i = 0; i < state->count; i++)
        limiter_refund(visit->env->limiter, &state->asks[i]);
}

static enum verdict refuse_all(struct visit *visit, struct rate_limit_state *state)
{
    state->outcome = STORE_DOWN;
    visit->reason = REASON_RATE_LIMIT_STORE_DOWN;
    return VERDICT_FAIL;
}

static enum verdict settle(struct visit *visit, enum shared_result result)
{
    const struct rate_limit_conf *conf = visit->conf;
    struct rate_limit_state *state = visit->state;

    if (result == SHARED_WAITS)
        return VERDICT_WAIT;
    if (result == SHARED_UNKNOWN && conf->on_store_down != STORE_DOWN_CLOSED)
        return VERDICT_PASS;
    if (result != SHARED_PASSES)
        give_local_back(visit, state);
    if (result == SHARED_UNKNOWN)
        return refuse_all(visit, state);
    memcpy(state->answers, state->store->wait.answers, state->count * sizeof(*state->answers));
    return result == SHARED_PASSES ? VERDICT_PASS : refuse(visit, state);
}

static void on_end(struct shared_wait *wait, enum shared_result result)
{
    struct visit *visit = CONTAINER_OF(wait, struct store, wait)->visit;

    visit->verdict = settle(visit, result);
    filter_resume(visit);
}

/* NULL: no memory. */
static struct store *make_store(struct visit *visit, const struct rate_limit_state *state)
{
    const struct rate_limit_conf *conf = visit->conf;
    struct store *store = arena_zero(visit->arena, 1, sizeof(*store));
    struct shared_name *names = arena_alloc(visit->arena, state->count * sizeof(*names));
    struct gcra_answer *answers = arena_zero(visit->arena, state->count, sizeof(*answers));

    if (!store || !names || !answers)
        return NULL;
    for (unsigned i = 0; i < state->count; i++)
        names[i] = rate_limit_shared_name(visit, state->limits[i]);
    store->visit = visit;
    store->names = names;
    store->wait = (struct shared_wait){.asks = state->asks,
                                       .names = names,
                                       .answers = answers,
                                       .count = state->count,
                                       .wait_ms = conf->store_wait_ms,
                                       .on_end = on_end};
    return store;
}

/* What is refused here passes where nobody could say that it must not. */
static enum verdict refuse_or_open(struct visit *visit, struct rate_limit_state *state)
{
    const struct store *store = state->store;

    state->store = NULL; // nothing was asked
    if (!shared_is_cut_off(visit->env->shared, store->names, state->count))
        return VERDICT_FAIL;
    state->outcome = NOT_ASKED;
    visit->reason = REASON_NONE;
    return VERDICT_PASS;
}

static enum verdict take_shared(struct visit *visit, struct rate_limit_state *state)
{
    const struct rate_limit_conf *conf = visit->conf;
    bool may_open = conf->on_store_down == STORE_DOWN_OPEN &&
                    shared_state(visit->env->shared) == SHARED_DEGRADED;
    enum verdict verdict = take_local(visit, state);

    if (state->outcome != TAKEN && (state->outcome != REFUSED || !may_open))
        return verdict;
    state->store = make_store(visit, state);
    if (!state->store) {
        visit->reason = REASON_MEMORY_LIMIT;
        return VERDICT_FAIL;
    }
    if (state->outcome == REFUSED)
        return refuse_or_open(visit, state);
    return settle(visit, shared_take(visit->env->shared, &state->store->wait));
}

static void on_done(struct visit *visit)
{
    struct rate_limit_state *state = visit->state;

    if (state->store)
        shared_cancel(&state->store->wait);
}

static enum verdict on_request(struct visit *visit)
{
    const struct rate_limit_conf *conf = visit->conf;
    struct rate_limit_state *state = visit->state;

    state->outcome = visit->is_static ? STATIC : EXEMPT;
    if (visit->is_static || rate_limit_is_exempt(visit, &conf->exempt))
        return VERDICT_PASS;
    if (!make_asks(visit, state)) {
        visit->reason = REASON_MEMORY_LIMIT;
        return VERDICT_FAIL;
    }
    if (!state->count)
        return VERDICT_PASS;
    if (is_preflight(visit->request) && take_grace(visit, &state->asks[0])) {
        state->outcome = FREE;
        return VERDICT_PASS;
    }
    if (!visit->env->shared || shared_state(visit->env->shared) == SHARED_NONE)
        return take_local(visit, state);
    return take_shared(visit, state);
}

/* --- the answer */

static uint64_t to_seconds(uint64_t ns)
{
    return ns / SECOND_NS + (ns % SECOND_NS != 0);
}

static void refund(const struct visit *visit, struct rate_limit_state *state)
{
    const struct rate_limit_conf *conf = visit->conf;

    if (!conf->cost || !take_grace(visit, &state->asks[0]))
        return;
    for (unsigned i = 0; i < state->count; i++) {
        limiter_refund(visit->env->limiter, &state->asks[i]);
        if (state->store)
            shared_refund(visit->env->shared, &state->asks[i], &state->store->names[i]);
        gcra_undo(&state->answers[i], &state->asks[i].rate, conf->cost);
    }
}

/* The limit that the client has to mind: which refuses for the longest, else has the least left. */
static unsigned tightest(const struct rate_limit_state *state)
{
    unsigned best = 0;

    for (unsigned i = 1; i < state->count; i++) {
        const struct gcra_answer *a = &state->answers[i], *b = &state->answers[best];

        if (a->retry_ns > b->retry_ns ||
            (a->retry_ns == b->retry_ns && a->remaining < b->remaining))
            best = i;
    }
    return best;
}

static bool set_number(struct visit *visit, struct str name, uint64_t number)
{
    char *text = arena_text(visit->arena, TEXT_U64_MAX);

    return text && !head_set(visit->response, visit->arena, name,
                             (struct str){text, (size_t)(text_u64(text, number) - text)});
}

/* draft-ietf-httpapi-ratelimit-headers: `"100/min";r=57;t=26`, joined for all limits. */
static bool set_combined(struct visit *visit, const struct rate_limit_state *state)
{
    size_t room = 0;
    char *text, *at;

    for (unsigned i = 0; i < state->count; i++)
        room += state->limits[i]->label.len + 2 * TEXT_U64_MAX + sizeof(", ;r=;t=");
    text = at = arena_text(visit->arena, room);
    for (unsigned i = 0; at && i < state->count; i++) {
        at = text_put(at, i ? STR(", ") : STR(""));
        at = text_put(at, state->limits[i]->label);
        at = text_u64(text_put(at, STR(";r=")), state->answers[i].remaining);
        at = text_u64(text_put(at, STR(";t=")), to_seconds(state->answers[i].reset_ns));
    }
    return at && !head_set(visit->response, visit->arena, STR("RateLimit"),
                           (struct str){text, (size_t)(at - text)});
}

static bool set_fields(struct visit *visit, const struct rate_limit_state *state)
{
    unsigned i = tightest(state);
    const struct gcra_answer *answer = &state->answers[i];

    return set_number(visit, STR("RateLimit-Limit"), state->limits[i]->rate.burst) &&
           set_number(visit, STR("RateLimit-Remaining"), answer->remaining) &&
           set_number(visit, STR("RateLimit-Reset"), to_seconds(answer->reset_ns)) &&
           set_combined(visit, state) &&
           !head_set(visit->response, visit->arena, STR("RateLimit-Policy"), state->set->policy) &&
           (answer->passes || set_number(visit, STR("Retry-After"), to_seconds(answer->retry_ns)));
}

static enum verdict on_response(struct visit *visit)
{
    const struct rate_limit_conf *conf = visit->conf;
    struct rate_limit_state *state = visit->state;

    if (state->outcome != TAKEN && state->outcome != REFUSED)
        return VERDICT_PASS;
    if (!visit->is_own && conf->assets == ASSETS_REFUND &&
        rate_limit_is_asset(visit->request, visit->response))
        refund(visit, state);
    if (conf->dry_run || set_fields(visit, state))
        return VERDICT_PASS;
    visit->reason = REASON_HTTP_RESPONSE_HEADER_SIZE;
    return VERDICT_FAIL;
}

/* --- why */

static struct str describe_limit(struct visit *visit, const struct rate_limit_state *state,
                                 unsigned i)
{
    const struct gcra_answer *answer = &state->answers[i];
    bool is_taken = state->outcome == TAKEN;

    return arena_format(
        visit->arena,
        "{\"name\":%.*s,\"burst\":%llu,\"cost\":%llu,\"before\":%llu,\"after\":%llu,"
        "\"retry_ms\":%llu}",
        STR_FMT(state->limits[i]->label), (unsigned long long)state->asks[i].rate.burst,
        (unsigned long long)state->asks[i].cost,
        (unsigned long long)(answer->remaining + (is_taken ? state->asks[i].cost : 0)),
        (unsigned long long)answer->remaining, (unsigned long long)(answer->retry_ns / 1000000));
}

static struct str describe(struct visit *visit)
{
    static const char *const words[] = {"not asked",  "static", "exempt",  "free",
                                        "store down", "passed", "refused", "would refuse"};
    const struct rate_limit_state *state = visit->state;
    bool has_numbers = state->outcome >= TAKEN;
    struct str list = STR("");

    for (unsigned i = 0; has_numbers && i < state->count; i++) {
        struct str one = describe_limit(visit, state, i);

        if (!one.p)
            return STR_NONE;
        list = arena_format(visit->arena, "%.*s%s%.*s", STR_FMT(list), i ? "," : "", STR_FMT(one));
    }
    return arena_format(visit->arena, "\"outcome\":\"%s\",\"limits\":[%.*s]", words[state->outcome],
                        STR_FMT(list));
}

const struct filter filter_rate_limit = {
    .name = "rate_limit",
    .doc = "Limits how many requests a client may make; on every route, with its defaults, unless "
           "it is written otherwise.",
    .fields = rate_limit_fields,
    .conf_size = sizeof(struct rate_limit_conf),
    .state_size = sizeof(struct rate_limit_state),
    .is_standard = true,
    .check = rate_limit_check,
    .prepare = rate_limit_prepare,
    .on_request = on_request,
    .on_response = on_response,
    .on_done = on_done,
    .describe = describe,
};
