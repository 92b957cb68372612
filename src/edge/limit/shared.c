/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's asks are calls of one script, each for one bucket: their keys may lie on different
 * nodes. What one bucket granted while another refused goes back. A call that came too late for its
 * request is still good for the bucket: the request has passed by the gateway's own.
 */
#include "edge/limit/shared.h"

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "edge/limit/shared_impl.h"

enum {
    ENTRIES = 4096,
    AHEAD_MS = 50,          /* for so long tokens are taken ahead */
    AHEAD_PART = 16,        /* and never more than this part of a burst */
    LEASE_US = 1000 * 1000, /* what is not spent then is left to others */
    LATE_MAX = 64,          /* calls in flight to one that is late: enough to see that it is not */
    NS_A_US = 1000,
};

/* What Redis runs. KEYS: the bucket. ARGV: interval and span in microseconds, tokens wanted, and
 * how few will do; a negative number of them is given back. Gives the tokens taken and the
 * microseconds until the bucket is full. */
static const char script[] =
    "local t = redis.call('TIME') "
    "local now = t[1] * 1000000 + t[2] "
    "local interval, span = tonumber(ARGV[1]), tonumber(ARGV[2]) "
    "local want, least = tonumber(ARGV[3]), tonumber(ARGV[4]) "
    "local tat = tonumber(redis.call('GET', KEYS[1]) or '0') "
    "local debt = math.min(math.max(0, tat - now), span) "
    "local n = want "
    "if want > 0 then "
    "  n = math.min(want, math.floor((span - debt) / interval + 0.000001)) "
    "  if n < least then n = 0 end "
    "end "
    "if n ~= 0 then "
    "  debt = math.max(0, debt + n * interval) "
    "  redis.call('SET', KEYS[1], string.format('%.3f', now + debt), 'PX', "
    "    math.ceil(debt / 1000) + 1) "
    "end "
    "return {n, math.ceil(debt)}";

/* What is known of a bucket; two that fall on one place forget each other. */
struct entry {
    uint64_t print;
    uint64_t tokens, until_us;    /* taken ahead, and when they are given up */
    uint64_t refused, refused_us; /* so many will not be there before that */
    uint64_t reset_us;            /* when the bucket will be full, as it was last heard */
    bool is_refilling;
};

struct flight {
    struct redis_call call; /* first */
    struct shared *shared;
    struct shared_wait *wait; /* NULL: nobody waits */
    unsigned index;           /* of the ask */
    unsigned node;            /* that was asked first */
    struct limiter_ask ask;
    bool is_refill;
    struct flight *next_free;
};

/* --- names */

void shared_digest(struct str bytes, unsigned char digest[32])
{
    SHA256((const unsigned char *)bytes.p, bytes.len, digest);
}

struct shared_name shared_name(struct str bytes)
{
    unsigned char digest[32];
    struct shared_name name;

    shared_digest(bytes, digest);
    text_hex_bytes(name.text, digest, SHARED_NAME_LEN / 2);
    return name;
}

/* --- buckets */

static uint64_t now_us(const struct shared *shared)
{
    return shared->loop->now_us;
}

static struct entry *entry_of(struct shared *shared, struct limiter_key key)
{
    struct entry *entry = &shared->entries[key.place % ENTRIES];

    if (entry->print != key.print)
        *entry = (struct entry){.print = key.print};
    if (entry->tokens && entry->until_us <= now_us(shared))
        entry->tokens = 0;
    return entry;
}

/* How many to take ahead; 0: they come too slowly for that. */
static uint64_t ahead_of(const struct gcra_rate *rate)
{
    uint64_t by_time = (uint64_t)AHEAD_MS * 1000 * NS_A_US / rate->interval_ns;
    uint64_t by_burst = rate->burst / AHEAD_PART;
    uint64_t ahead = by_time < by_burst ? by_time : by_burst;

    return ahead > 1 ? ahead : 0;
}

static void keep_tokens(struct shared *shared, struct entry *entry, uint64_t tokens)
{
    entry->tokens += tokens;
    entry->until_us = now_us(shared) + LEASE_US;
}

/* How the bucket stands when `debt_us` are left until it is full. */
static struct gcra_answer stands(const struct limiter_ask *ask, uint64_t debt_us, bool passes)
{
    uint64_t span_ns = ask->rate.span_ns, debt_ns = debt_us * NS_A_US;
    uint64_t need_ns = ask->cost * ask->rate.interval_ns;
    struct gcra_answer answer = {.passes = passes};

    debt_ns = debt_ns < span_ns ? debt_ns : span_ns;
    answer.remaining = (span_ns - debt_ns) / ask->rate.interval_ns;
    answer.reset_ns = debt_ns;
    if (!passes)
        answer.retry_ns = need_ns > span_ns - debt_ns ? need_ns - (span_ns - debt_ns) : 1;
    return answer;
}

static uint64_t left_us(const struct shared *shared, uint64_t until_us)
{
    uint64_t now = now_us(shared);

    return until_us > now ? until_us - now : 0;
}

/* The bucket as it was when it was last heard of, for one that is not asked. */
static struct gcra_answer last_heard(struct shared *shared, const struct limiter_ask *ask)
{
    uint64_t debt_us = left_us(shared, entry_of(shared, ask->key)->reset_us);
    struct gcra_answer answer = stands(ask, debt_us, true);

    answer.passes = false;
    return answer;
}

/* --- calls */

static void on_answer(struct redis_call *call, const struct redis_answer *answer);

static struct flight *take_flight(struct shared *shared)
{
    struct flight *flight = shared->free;

    if (flight)
        shared->free = flight->next_free;
    else
        flight = malloc(sizeof(*flight));
    return flight;
}

static void give_flight(struct shared *shared, struct flight *flight)
{
    flight->next_free = shared->free;
    shared->free = flight;
}

struct wish {
    const struct limiter_ask *ask;
    const struct shared_name *name;
    int64_t want;
    uint64_t least;
};

static struct flight *dispatch(struct shared *shared, const struct wish *wish)
{
    char interval[TEXT_MILLI_MAX], span[TEXT_MILLI_MAX], want[TEXT_U64_MAX + 1],
        least[TEXT_U64_MAX], *at = want;
    uint64_t amount = (uint64_t)(wish->want < 0 ? -wish->want : wish->want);
    struct str words[4] = {{interval, 0}, {span, 0}, {want, 0}, {least, 0}};
    struct flight *flight = take_flight(shared);
    struct shared_key key = shared_key_of(wish->name);

    if (!flight)
        return NULL;
    words[0].len = (size_t)(text_milli(interval, wish->ask->rate.interval_ns) - interval);
    words[1].len = (size_t)(text_milli(span, wish->ask->rate.span_ns) - span);
    if (wish->want < 0)
        *at++ = '-';
    words[2].len = (size_t)(text_u64(at, amount) - want);
    words[3].len = (size_t)(text_u64(least, wish->least) - least);
    *flight = (struct flight){.call.on_answer = on_answer, .shared = shared, .ask = *wish->ask};
    if (redis_ask(shared->redis, &flight->call, (struct str){key.text, SHARED_KEY_LEN}, words, 4)) {
        give_flight(shared, flight);
        return NULL;
    }
    flight->node = flight->call.node;
    shared->nodes[flight->node].in_flight++;
    return flight;
}

void shared_refund(struct shared *shared, const struct limiter_ask *ask,
                   const struct shared_name *name)
{
    struct wish wish = {ask, name, -(int64_t)ask->cost, 0};

    if (shared->is_used && ask->cost)
        (void)dispatch(shared, &wish);
}

/* --- those that wait */

static void on_timer(uv_timer_t *timer);

static void set_timer(struct shared *shared)
{
    uint64_t earliest = UINT64_MAX;

    for (const struct shared_wait *wait = shared->waits; wait; wait = wait->next)
        earliest = wait->deadline_us < earliest ? wait->deadline_us : earliest;
    shared->next_us = earliest;
    if (earliest == UINT64_MAX)
        uv_timer_stop(&shared->timer);
    else
        uv_timer_start(&shared->timer, on_timer, left_us(shared, earliest) / 1000, 0);
}

static void enlist(struct shared *shared, struct shared_wait *wait)
{
    wait->shared = shared;
    wait->deadline_us = now_us(shared) + (uint64_t)wait->wait_ms * 1000;
    wait->prev = NULL;
    wait->next = shared->waits;
    if (wait->next)
        wait->next->prev = wait;
    shared->waits = wait;
    if (!wait->next || wait->deadline_us < shared->next_us)
        set_timer(shared);
}

/* Their answers will find nobody. */
static void forget_flights(struct shared_wait *wait)
{
    for (unsigned i = 0; i < wait->count; i++)
        if (wait->flights[i])
            wait->flights[i]->wait = NULL;
}

void shared_cancel(struct shared_wait *wait)
{
    struct shared *shared = wait->shared;

    if (!shared)
        return;
    wait->shared = NULL;
    forget_flights(wait);
    if (wait->next)
        wait->next->prev = wait->prev;
    if (wait->prev)
        wait->prev->next = wait->next;
    else
        shared->waits = wait->next;
    if (!shared->waits)
        uv_timer_stop(&shared->timer);
}

/* What some buckets granted to a request that others refused. */
static void give_back(struct shared *shared, const struct shared_wait *wait)
{
    for (unsigned i = 0; i < wait->count; i++)
        if (wait->answers[i].passes) {
            shared_refund(shared, &wait->asks[i], &wait->names[i]);
            gcra_undo(&wait->answers[i], &wait->asks[i].rate, wait->asks[i].cost);
        }
}

static void end(struct shared_wait *wait)
{
    struct shared *shared = wait->shared;
    enum shared_result result = SHARED_PASSES;

    shared_cancel(wait);
    if (wait->is_failed) {
        result = SHARED_UNKNOWN;
    } else if (wait->is_refused) {
        give_back(shared, wait);
        result = SHARED_REFUSES;
    }
    wait->on_end(wait, result);
}

/* One whose time is over. */
static struct shared_wait *find_overdue(const struct shared *shared)
{
    struct shared_wait *wait = shared->waits;

    while (wait && left_us(shared, wait->deadline_us) >= 1000)
        wait = wait->next;
    return wait;
}

/* Those that it still waits for. */
static void note_late(struct shared_wait *wait)
{
    wait->is_failed = true;
    for (unsigned i = 0; i < wait->count; i++)
        if (wait->flights[i])
            shared_set_late(wait->shared, wait->flights[i]->call.node, true);
}

/* Timers come before sockets in a turn: answers that are there already are read first, and those
 * that still wait then are out of time. */
static void on_timer(uv_timer_t *timer)
{
    struct shared *shared = timer->data;
    struct shared_wait *wait;

    loop_enter(shared->loop);
    if (!shared->has_looked) {
        shared->has_looked = true;
        uv_timer_start(&shared->timer, on_timer, 0, 0);
    } else {
        shared->has_looked = false;
        while ((wait = find_overdue(shared))) {
            note_late(wait);
            end(wait);
        }
        set_timer(shared);
    }
    loop_leave(shared->loop);
}

/* --- answers */

static void note_refusal(struct shared *shared, struct entry *entry, const struct limiter_ask *ask,
                         const struct gcra_answer *answer)
{
    entry->refused = ask->cost;
    entry->refused_us = now_us(shared) + answer->retry_ns / NS_A_US;
}

static void take_answer(struct shared *shared, struct flight *flight, int64_t granted,
                        uint64_t debt_us)
{
    struct shared_wait *wait = flight->wait;
    struct entry *entry = entry_of(shared, flight->ask.key);
    bool passes = granted > 0 && (uint64_t)granted >= flight->ask.cost;
    struct gcra_answer answer = stands(&flight->ask, debt_us, passes);

    entry->reset_us = now_us(shared) + debt_us;
    if (flight->is_refill) {
        entry->is_refilling = false;
        keep_tokens(shared, entry, granted > 0 ? (uint64_t)granted : 0);
        return;
    }
    if (passes && (uint64_t)granted > flight->ask.cost)
        keep_tokens(shared, entry, (uint64_t)granted - flight->ask.cost);
    if (granted == 0)
        note_refusal(shared, entry, &flight->ask, &answer);
    if (!wait)
        return;
    wait->answers[flight->index] = answer;
    wait->is_refused |= !passes;
}

static void on_answer(struct redis_call *call, const struct redis_answer *answer)
{
    struct flight *flight = (struct flight *)call;
    struct shared *shared = flight->shared;
    struct shared_wait *wait = flight->wait;
    bool is_good = answer && answer->count == 2 && answer->values[1] >= 0;

    shared->nodes[flight->node].in_flight--;
    if (is_good)
        take_answer(shared, flight, answer->values[0], (uint64_t)answer->values[1]);
    else if (flight->is_refill)
        entry_of(shared, flight->ask.key)->is_refilling = false;
    // Late no more: an answer took no longer than requests wait, or all begins anew.
    if (!answer || (is_good && now_us(shared) - call->sent_us < shared->patience_us))
        shared_set_late(shared, call->node, false);
    if (flight->node != call->node) // it answered, too, by sending on, and may never be asked again
        shared_set_late(shared, flight->node, false);
    shared_tell_state(shared);
    if (wait) {
        wait->flights[flight->index] = NULL;
        wait->is_failed |= !is_good;
        wait->left--;
    }
    give_flight(shared, flight);
    if (wait && !wait->left)
        end(wait);
}

/* --- asking */

/* From what is known already: true when this bucket need not be asked. */
static bool take_known(struct shared *shared, struct shared_wait *wait, unsigned i)
{
    const struct limiter_ask *ask = &wait->asks[i];
    struct entry *entry = entry_of(shared, ask->key);
    uint64_t refused_us = left_us(shared, entry->refused_us);

    if (refused_us && ask->cost >= entry->refused) {
        wait->answers[i] = stands(ask, left_us(shared, entry->reset_us), false);
        wait->is_refused = true;
        return true;
    }
    if (entry->tokens < ask->cost)
        return false;
    entry->tokens -= ask->cost;
    wait->answers[i] = stands(ask, left_us(shared, entry->reset_us), true);
    return true;
}

/* More, before the last of those taken ahead are spent. */
static void refill(struct shared *shared, const struct shared_wait *wait, unsigned i)
{
    struct entry *entry = entry_of(shared, wait->asks[i].key);
    uint64_t ahead = ahead_of(&wait->asks[i].rate);
    struct wish wish = {&wait->asks[i], &wait->names[i], (int64_t)ahead, 1};
    struct flight *flight;

    if (entry->is_refilling || !ahead || entry->tokens >= ahead / 2)
        return;
    flight = dispatch(shared, &wish);
    if (flight)
        flight->is_refill = entry->is_refilling = true;
}

static bool ask_for(struct shared *shared, struct shared_wait *wait, unsigned i)
{
    uint64_t cost = wait->asks[i].cost, ahead = ahead_of(&wait->asks[i].rate);
    struct wish wish = {&wait->asks[i], &wait->names[i], (int64_t)(cost + ahead), cost};

    wait->flights[i] = dispatch(shared, &wish);
    if (!wait->flights[i])
        return false;
    wait->flights[i]->wait = wait;
    wait->flights[i]->index = i;
    wait->left++;
    return true;
}

/* Who has a bucket is down or late: those that are there are told what passes here, as far as they
 * can take it, and nobody waits. */
static enum shared_result go_on_alone(struct shared *shared, struct shared_wait *wait)
{
    for (unsigned i = 0; i < wait->count; i++) {
        struct wish wish = {&wait->asks[i], &wait->names[i], (int64_t)wait->asks[i].cost, 1};
        struct shared_key key = shared_key_of(wish.name);
        int node = redis_find(shared->redis, (struct str){key.text, SHARED_KEY_LEN});

        if (node >= 0 && shared->nodes[node].in_flight < LATE_MAX)
            (void)dispatch(shared, &wish);
    }
    return SHARED_UNKNOWN;
}

enum shared_result shared_take(struct shared *shared, struct shared_wait *wait)
{
    bool is_known[SHARED_ASKS_MAX];

    shared->patience_us = (uint64_t)wait->wait_ms * 1000;
    wait->shared = NULL;
    wait->left = 0;
    wait->is_refused = wait->is_failed = false;
    memset(wait->flights, 0, sizeof(wait->flights));
    shared_tell_state(shared);
    for (unsigned i = 0; i < wait->count; i++)
        if (!shared_reaches(shared, &wait->names[i]))
            return go_on_alone(shared, wait);
    for (unsigned i = 0; i < wait->count; i++)
        wait->answers[i] = last_heard(shared, &wait->asks[i]);
    for (unsigned i = 0; i < wait->count; i++)
        is_known[i] = take_known(shared, wait, i);
    if (wait->is_refused) {
        give_back(shared, wait);
        return SHARED_REFUSES;
    }
    for (unsigned i = 0; i < wait->count && !wait->is_failed; i++) {
        if (is_known[i])
            refill(shared, wait, i);
        else
            wait->is_failed = !ask_for(shared, wait, i);
    }
    if (wait->is_failed) {
        forget_flights(wait);
        return SHARED_UNKNOWN;
    }
    if (!wait->left)
        return SHARED_PASSES;
    enlist(shared, wait);
    return SHARED_WAITS;
}

/* --- its life */

static void on_change(void *owner)
{
    shared_tell(owner);
}

struct shared *shared_open(struct loop *loop)
{
    struct shared *shared = calloc(1, sizeof(*shared));
    struct redis_home home = {loop, STR(script), shared, on_change};

    if (!shared)
        return NULL;
    shared->loop = loop;
    shared->redis = redis_open(&home);
    if (!shared->redis) {
        free(shared);
        return NULL;
    }
    uv_timer_init(&loop->uv, &shared->timer);
    shared->timer.data = shared;
    return shared;
}

void shared_use(struct shared *shared, const struct conf_redis *conf, struct tls_client *tls)
{
    if (conf && !shared->entries)
        shared->entries = calloc(ENTRIES, sizeof(*shared->entries));
    shared->is_used = conf && shared->entries;
    redis_use(shared->redis, shared->is_used ? conf : NULL, tls);
    on_change(shared);
}

void shared_close(struct shared *shared)
{
    shared->is_used = false;
    redis_close(shared->redis);
    uv_close((uv_handle_t *)&shared->timer, NULL);
}

void shared_free(struct shared **shared)
{
    struct shared *gone = *shared;

    *shared = NULL;
    if (!gone)
        return;
    redis_free(&gone->redis);
    while (gone->free) {
        struct flight *flight = gone->free;

        gone->free = flight->next_free;
        free(flight);
    }
    free(gone->entries);
    free(gone);
}
