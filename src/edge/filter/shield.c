/* SPDX-License-Identifier: Apache-2.0
 *
 * shield: does nothing until `sluice shield on`. Then, for the time that was said, browsers have
 * to solve a small task once, and all other clients have to make do with few requests. On every
 * route unless it is written otherwise. The usual limits apply beside it.
 */
#include <string.h>

#include "base/cidr.h"
#include "base/text.h"
#include "config/field.h"
#include "config/units.h"
#include "edge/access/shield.h"
#include "edge/access/shield_page.h"
#include "edge/limit/limiter.h"
#include "edge/loop.h"
#include "http/cookie.h"
#include "sluice/filter.h"

enum { NS_A_US = 1000, MS_A_SECOND = 1000 };
#define SECOND_NS UINT64_C(1000000000)

struct shield_conf {
    struct conf_text rate;
    uint32_t difficulty;
    uint32_t pass_ms;
    struct conf_texts exempt;
    /* prepared */
    struct gcra_rate bucket;
    struct cidr *nets; /* as many as exempt */
};

enum outcome { DOWN, EXEMPT, SOLVED, CHALLENGED, PASSED, REFUSED };

struct shield_state {
    enum outcome outcome;
    struct gcra_answer answer; /* of PASSED and REFUSED */
};

extern const struct filter filter_shield;

static const struct field fields[] = {
    {.name = "rate",
     .doc = "What a client may ask that is no browser, or has not solved the task.",
     .standard = "20/min",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct shield_conf, rate)},
    {.name = "difficulty",
     .doc = "Bits of the task: each doubles the work; 16 takes a telephone about a second.",
     .standard = "16",
     .type = FIELD_INT,
     .min = 1,
     .max = PROOF_BITS_MAX,
     FIELD_AT(struct shield_conf, difficulty)},
    {.name = "pass",
     .doc = "How long a solved task holds.",
     .standard = "1h",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 7 * 24 * 3600 * 1000U,
     FIELD_AT(struct shield_conf, pass_ms)},
    {.name = "exempt",
     .doc = "Networks and addresses that the shield does not concern.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct shield_conf, exempt.items, exempt.count)},
    FIELD_END,
};

/* --- once a configuration */

static bool check(void *conf, struct span at, struct diag *diag)
{
    struct shield_conf *shield = conf;
    struct conf_text *rate = &shield->rate;
    uint64_t count, period_ms;
    const char *wrong = units_frequency(rate->s, &count, &period_ms);

    (void)at;
    if (!wrong && gcra_rate_init(&shield->bucket, count, period_ms, count))
        wrong = "is too slow a rate";
    if (wrong)
        diag_error(diag, rate->at, "\"%.*s\" %s", STR_FMT(rate->s), wrong);
    return !wrong;
}

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct shield_conf *shield = conf;
    bool is_good = true;

    shield->nets = arena_zero(prepare->arena, shield->exempt.count, sizeof(*shield->nets));
    if (!shield->nets)
        return false;
    for (uint32_t i = 0; i < shield->exempt.count; i++) {
        const struct conf_text *text = &shield->exempt.items[i];

        if (cidr_parse(text->s, &shield->nets[i]))
            continue;
        diag_error(prepare->diag, text->at, "\"%.*s\" is no network", STR_FMT(text->s));
        is_good = false;
    }
    return is_good;
}

/* --- the work */

static bool is_exempt(const struct visit *visit, const struct shield_conf *conf)
{
    const uint8_t *ip = visit->caller->ip;

    return !ip_is_none(ip) && cidr_list_has(conf->nets, conf->exempt.count, ip);
}

/* A person waits for a page there. */
static bool is_browser(const struct head *request)
{
    struct str accept = head_value(request, HDR_ACCEPT);

    return request->method == METHOD_GET && !request->is_upgrade && accept.p &&
           memmem(accept.p, accept.len, "text/html", sizeof("text/html") - 1);
}

static bool has_solved(const struct visit *visit, const struct shield_conf *conf, uint64_t now_s)
{
    struct str cookie = cookie_value(head_value(visit->request, HDR_COOKIE), STR(SHIELD_COOKIE));

    return cookie.p && proof_holds(shield_key(visit->env->shield), visit->caller->ip, now_s,
                                   conf->difficulty, cookie);
}

static enum verdict show_page(struct visit *visit, const struct shield_conf *conf, uint64_t now_s)
{
    uint32_t pass_s = conf->pass_ms / MS_A_SECOND;
    char challenge[PROOF_CHALLENGE_LEN];

    proof_challenge(shield_key(visit->env->shield), visit->caller->ip, (uint32_t)now_s + pass_s,
                    challenge);
    visit->reply =
        (struct visit_reply){.status = 503, .content_type = STR("text/html; charset=utf-8")};
    visit->reply.body = shield_page(visit->arena, (struct str){challenge, sizeof(challenge)},
                                    conf->difficulty, pass_s);
    visit->reason = REASON_MEMORY_LIMIT;
    return visit->reply.body.p ? VERDICT_REPLY : VERDICT_FAIL;
}

/* One bucket a client, whatever the route. */
static enum verdict take(struct visit *visit, const struct shield_conf *conf)
{
    struct shield_state *state = visit->state;
    struct limiter *limiter = visit->env->limiter;
    struct {
        char name[8];
        uint64_t client;
    } bytes = {"shield", visit->caller->hash};
    struct limiter_ask ask = {.rate = conf->bucket,
                              .now_ns = visit->env->loop->now_us * NS_A_US,
                              .cost = 1};

    ask.key = limiter_hash(limiter, (struct str){(const char *)&bytes, sizeof(bytes)});
    state->answer = limiter_take(limiter, &ask, visit->env->worker);
    state->outcome = state->answer.passes ? PASSED : REFUSED;
    visit->reason = REASON_SHIELDED;
    return state->answer.passes ? VERDICT_PASS : VERDICT_FAIL;
}

static bool is_idle(const void *conf, const struct filter_env *env)
{
    (void)conf;
    return !shield_until_ms(env->shield);
}

static enum verdict on_request(struct visit *visit)
{
    const struct shield_conf *conf = visit->conf;
    struct shield_state *state = visit->state;
    uint64_t until_ms = shield_until_ms(visit->env->shield), now_ms;

    now_ms = loop_wall_ms(visit->env->loop);
    if (now_ms >= until_ms)
        return VERDICT_PASS;
    if (is_exempt(visit, conf))
        state->outcome = EXEMPT;
    else if (has_solved(visit, conf, now_ms / MS_A_SECOND))
        state->outcome = SOLVED;
    else if (is_browser(visit->request))
        state->outcome = CHALLENGED;
    else
        return take(visit, conf);
    return state->outcome == CHALLENGED ? show_page(visit, conf, now_ms / MS_A_SECOND)
                                        : VERDICT_PASS;
}

static bool set(struct visit *visit, struct str name, struct str value)
{
    return !head_set(visit->response, visit->arena, name, value);
}

static bool set_fields(struct visit *visit, const struct shield_state *state)
{
    uint64_t wait_s = 1;
    char *text;

    if (state->outcome == REFUSED)
        wait_s = (state->answer.retry_ns + SECOND_NS - 1) / SECOND_NS;
    else if (!set(visit, STR("Cache-Control"), STR("no-store")) ||
             !set(visit, STR("X-Sluice-Reason"), STR("shield_challenge")))
        return false;
    text = arena_text(visit->arena, TEXT_U64_MAX);
    return text && set(visit, STR("Retry-After"),
                       (struct str){text, (size_t)(text_u64(text, wait_s) - text)});
}

static enum verdict on_response(struct visit *visit)
{
    const struct shield_state *state = visit->state;

    if ((state->outcome != CHALLENGED && state->outcome != REFUSED) || set_fields(visit, state))
        return VERDICT_PASS;
    visit->reason = REASON_HTTP_RESPONSE_HEADER_SIZE;
    return VERDICT_FAIL;
}

static struct str describe(struct visit *visit)
{
    static const char *const words[] = {"down",       "exempt", "solved",
                                        "challenged", "passed", "refused"};
    const struct shield_state *state = visit->state;

    if (state->outcome != PASSED && state->outcome != REFUSED)
        return arena_format(visit->arena, "\"outcome\":\"%s\"", words[state->outcome]);
    return arena_format(visit->arena, "\"outcome\":\"%s\",\"after\":%llu", words[state->outcome],
                        (unsigned long long)state->answer.remaining);
}

const struct filter filter_shield = {
    .name = "shield",
    .doc = "While `sluice shield` is on, has browsers solve a task and limits all others; on every "
           "route unless it is written otherwise.",
    .fields = fields,
    .conf_size = sizeof(struct shield_conf),
    .state_size = sizeof(struct shield_state),
    .is_standard = true,
    .check = check,
    .prepare = prepare,
    .is_idle = is_idle,
    .on_request = on_request,
    .on_response = on_response,
    .describe = describe,
};
