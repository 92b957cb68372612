/* SPDX-License-Identifier: Apache-2.0
 *
 * forward_auth: a service says whether a request may pass. It gets a GET with the fields that it
 * asks for and what the request is; 2xx lets it pass, with fields of that answer put in; any other
 * answer below 500 is the client's; no answer, or 5xx, is a refusal: in doubt nobody comes in.
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/text.h"
#include "config/field.h"
#include "config/conf.h"
#include "edge/auth/answer_cache.h"
#include "edge/auth/credential.h"
#include "edge/loop.h"
#include "sluice/errand.h"
#include "sluice/filter.h"

enum {
    BODY_MAX = 64 * 1024, /* of an answer that the client gets */
    WORKERS_MAX = 256,    /* more do not cache */
    QUESTION_MAX = 32,    /* fields of a question that can be kept in the cache */
};

struct auth_conf {
    struct conf_text url;
    struct conf_texts send, forward;
    uint32_t cache_ms, timeout_ms;
    struct str service, path, query; /* of the URL */
    struct answer_cache **caches;    /* one a worker, made by it; NULL: none yet */
};

struct auth_state {
    struct errand *errand; /* NULL: none is under way */
    uint64_t asked_us, took_us;
    uint16_t status; /* that it gave; 0: none */
    bool is_cached;  /* it was not asked */
    bool has_digest;
    struct head fields;            /* of an answer for the client */
    uint8_t digest[ANSWER_DIGEST]; /* of the question */
};

extern const struct filter filter_forward_auth;

static const struct field fields[] = {
    {.name = "url",
     .doc = "What to ask: `http://SERVICE/path`, with a service of this configuration.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct auth_conf, url)},
    {.name = "send",
     .doc = "Fields of the request that it gets, beside X-Forwarded-Method, -Proto, -Host, -Uri "
            "and -For: Authorization and Cookie when nothing is written.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct auth_conf, send.items, send.count)},
    {.name = "forward",
     .doc = "Fields of its answer that the target gets, in place of those of the client.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct auth_conf, forward.items, forward.count)},
    {.name = "cache",
     .doc = "How long a yes holds for the same client address, fields, method and URI.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     FIELD_AT(struct auth_conf, cache_ms)},
    {.name = "timeout",
     .doc = "How long it may take.",
     .standard = "5s",
     .type = FIELD_DURATION,
     .min = 1,
     FIELD_AT(struct auth_conf, timeout_ms)},
    FIELD_END,
};

/* --- the configuration */

static bool check(void *conf, struct span at, struct diag *diag)
{
    static const struct str scheme = STR_INIT("http://");
    struct auth_conf *auth = conf;
    struct str url = auth->url.s, rest;
    const char *slash, *mark;

    if (auth->forward.count > ANSWER_VALUES_MAX || auth->send.count > ANSWER_VALUES_MAX) {
        diag_error(diag, at, "more than %d names in `send` or `forward`", ANSWER_VALUES_MAX);
        return false;
    }
    if (url.len <= scheme.len || memcmp(url.p, scheme.p, scheme.len) != 0) {
        diag_error(diag, auth->url.at, "\"%.*s\" does not begin with http://", STR_FMT(url));
        diag_hint(diag, "write http://SERVICE/path; TLS is the service's own key");
        return false;
    }
    rest = (struct str){url.p + scheme.len, url.len - scheme.len};
    slash = memchr(rest.p, '/', rest.len);
    auth->service = (struct str){rest.p, slash ? (size_t)(slash - rest.p) : rest.len};
    auth->path = slash ? (struct str){slash, rest.len - auth->service.len} : STR("/");
    mark = memchr(auth->path.p, '?', auth->path.len);
    if (mark) {
        auth->query = (struct str){mark + 1, (size_t)(auth->path.p + auth->path.len - mark) - 1};
        auth->path.len = (size_t)(mark - auth->path.p);
    }
    return true;
}

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct auth_conf *auth = conf;

    for (uint32_t i = 0; i < prepare->conf->service_count; i++)
        if (str_same(prepare->conf->services[i].name.s, auth->service)) {
            auth->caches = arena_zero(prepare->arena, WORKERS_MAX, sizeof(struct answer_cache *));
            return auth->caches != NULL;
        }
    diag_error(prepare->diag, auth->url.at, "no service named \"%.*s\"", STR_FMT(auth->service));
    return false;
}

static void dispose(void *conf)
{
    struct auth_conf *auth = conf;

    for (unsigned i = 0; auth->caches && i < WORKERS_MAX; i++)
        answer_cache_free(&auth->caches[i]);
}

/* --- the question */

static bool add(struct head *head, struct arena *arena, struct str name, struct str value)
{
    return !value.p || !head_add(head, arena, name, value);
}

static struct str uri_of(struct visit *visit)
{
    const struct head *request = visit->request;

    if (!request->query.p)
        return request->path;
    return arena_format(visit->arena, "%.*s?%.*s", STR_FMT(request->path), STR_FMT(request->query));
}

static bool is_named(const struct header *header, struct str name)
{
    return header->name_len == name.len && !strncasecmp(header->name, name.p, name.len);
}

/* All fields of that name, as they came. */
static bool add_named(struct visit *visit, struct str name, struct head *head)
{
    for (unsigned k = 0; k < visit->request->count; k++) {
        const struct header *header = &visit->request->headers[k];

        if (is_named(header, name) &&
            head_add(head, visit->arena, name, (struct str){header->value, header->value_len}))
            return false;
    }
    return true;
}

static bool add_sent(const struct auth_conf *conf, struct visit *visit, struct head *head)
{
    bool is_good = true;

    if (!conf->send.items)
        return add_named(visit, STR("Authorization"), head) &&
               add_named(visit, STR("Cookie"), head);
    for (uint32_t i = 0; i < conf->send.count && is_good; i++)
        is_good = add_named(visit, conf->send.items[i].s, head);
    return is_good;
}

static bool make_head(const struct auth_conf *conf, struct visit *visit, struct head *head)
{
    struct str uri = uri_of(visit);

    if (!uri.p || head_init(head, visit->arena, 8))
        return false;
    head->method = METHOD_GET;
    head->method_name = STR("GET");
    head->path = conf->path;
    head->query = conf->query;
    head->authority = conf->service;
    return add(head, visit->arena, STR("X-Forwarded-Method"), visit->request->method_name) &&
           add(head, visit->arena, STR("X-Forwarded-Uri"), uri) && add_sent(conf, visit, head);
}

/* --- the answer */

/* The values of all fields of that name, a line each: no value has an end of line in it. Absent:
 * there is no such field. False: memory. */
static bool join_values(const struct head *answer, struct str name, struct arena *arena,
                        struct str *lines)
{
    size_t size = 0;
    char *at;

    *lines = STR_NONE;
    for (unsigned k = 0; k < answer->count; k++)
        if (is_named(&answer->headers[k], name))
            size += answer->headers[k].value_len + 1U;
    if (!size)
        return true;
    at = arena_text(arena, size);
    if (!at)
        return false;
    *lines = (struct str){at, size};
    for (unsigned k = 0; k < answer->count; k++) {
        const struct header *header = &answer->headers[k];

        if (!is_named(header, name))
            continue;
        at = text_put(at, (struct str){header->value, header->value_len});
        *at++ = '\n';
    }
    return true;
}

/* The values that the target gets, as the configuration names them. */
static bool find_values(const struct auth_conf *conf, const struct head *answer,
                        struct arena *arena, struct str *values)
{
    for (uint32_t i = 0; i < conf->forward.count; i++)
        if (!join_values(answer, conf->forward.items[i].s, arena, &values[i]))
            return false;
    return true;
}

/* A field for each line. */
static bool put_lines(struct visit *visit, struct str name, struct str lines)
{
    struct str rest = arena_copy(visit->arena, lines);

    if (!rest.p)
        return false;
    while (rest.len) {
        const char *end = memchr(rest.p, '\n', rest.len);
        struct str value = {rest.p, (size_t)(end - rest.p)};

        rest = (struct str){end + 1, rest.len - value.len - 1};
        if (head_add(visit->request, visit->arena, name, value))
            return false;
    }
    return true;
}

/* What the client sent under these names is not the service's word. */
static bool put_values(const struct auth_conf *conf, struct visit *visit, const struct str *values)
{
    for (uint32_t i = 0; i < conf->forward.count; i++) {
        struct str name = conf->forward.items[i].s;

        credential_clear_field(visit->request, name);
        if (values[i].p && !put_lines(visit, name, values[i]))
            return false;
    }
    return true;
}

/* Fields of the connection that it came by, and those that the gateway says itself. */
static bool is_ours(const struct header *header)
{
#define BIT(id) (UINT64_C(1) << HDR_##id)
    static const uint64_t ours = BIT(CONNECTION) | BIT(CONTENT_LENGTH) | BIT(TRANSFER_ENCODING) |
                                 BIT(KEEP_ALIVE) | BIT(UPGRADE) | BIT(TRAILER) | BIT(TE) |
                                 BIT(VIA) | BIT(X_REQUEST_ID) | BIT(CONTENT_TYPE) | BIT(ALT_SVC) |
                                 BIT(PROXY_CONNECTION);
#undef BIT

    return header->id && ours >> header->id & 1;
}

/* Its refusal, or the way to its login page, goes to the client as it is. */
static enum verdict pass_on(struct visit *visit, const struct errand_answer *answer)
{
    struct auth_state *state = visit->state;
    struct arena *arena = visit->arena;

    if (head_init(&state->fields, arena, answer->head->count))
        return VERDICT_FAIL;
    for (unsigned i = 0; i < answer->head->count; i++) {
        const struct header *header = &answer->head->headers[i];
        struct str name = arena_copy(arena, (struct str){header->name, header->name_len});
        struct str value = arena_copy(arena, (struct str){header->value, header->value_len});

        if (is_ours(header))
            continue;
        if (!name.p || !value.p || head_add(&state->fields, arena, name, value))
            return VERDICT_FAIL;
    }
    visit->reply.status = answer->status;
    visit->reply.content_type = arena_copy(arena, head_value(answer->head, HDR_CONTENT_TYPE));
    visit->reply.body = arena_copy(arena, answer->is_cut ? STR("") : answer->body);
    return visit->reply.body.p ? VERDICT_REPLY : VERDICT_FAIL;
}

static struct answer_cache *cache_of(const struct visit *visit)
{
    const struct auth_conf *conf = visit->conf;
    struct answer_cache **cache;

    if (!conf->cache_ms || visit->env->worker >= WORKERS_MAX)
        return NULL;
    cache = &conf->caches[visit->env->worker];
    if (!*cache)
        *cache = answer_cache_new();
    return *cache;
}

static enum verdict let_pass(struct visit *visit, const struct head *answer)
{
    const struct auth_conf *conf = visit->conf;
    const struct auth_state *state = visit->state;
    struct answer_cache *cache = cache_of(visit);
    struct str values[ANSWER_VALUES_MAX];

    if (!find_values(conf, answer, visit->arena, values))
        return VERDICT_FAIL;
    if (cache && state->has_digest)
        answer_cache_put(cache, state->digest,
                         visit->env->loop->now_us + (uint64_t)conf->cache_ms * 1000, values,
                         conf->forward.count);
    return put_values(conf, visit, values) ? VERDICT_PASS : VERDICT_FAIL;
}

static void on_answer(void *owner, const struct errand_answer *answer)
{
    struct visit *visit = owner;
    struct auth_state *state = visit->state;

    state->errand = NULL;
    state->status = answer->status;
    state->took_us = visit->env->loop->now_us - state->asked_us;
    if (answer->reason || answer->status < 200 || answer->status >= 500) {
        visit->reason = REASON_AUTH_UNAVAILABLE;
        visit->verdict = VERDICT_FAIL;
    } else {
        visit->reason = REASON_HEADERS_TOO_LARGE; // if the arena is full
        visit->verdict =
            answer->status < 300 ? let_pass(visit, answer->head) : pass_on(visit, answer);
    }
    filter_resume(visit);
}

/* --- the hooks */

/* The same question again, while the answer holds. */
static bool is_known(struct visit *visit, const struct head *question, struct str *values)
{
    struct auth_state *state = visit->state;
    struct answer_cache *cache = cache_of(visit);
    struct str parts[2 * QUESTION_MAX + 4];
    size_t count = 0;

    if (!cache || question->count > QUESTION_MAX)
        return false;
    parts[count++] = visit->request->authority;
    parts[count++] = visit->caller->text; // it is told of these, and may judge by them
    parts[count++] = visit->caller->scheme;
    parts[count++] = visit->caller->host.p ? visit->caller->host : STR("");
    for (unsigned i = 0; i < question->count; i++) {
        const struct header *header = &question->headers[i];

        parts[count++] = (struct str){header->name, header->name_len};
        parts[count++] = (struct str){header->value, header->value_len};
    }
    state->has_digest = answer_cache_digest(parts, count, state->digest);
    state->is_cached = state->has_digest &&
                       answer_cache_find(cache, state->digest, visit->env->loop->now_us, values);
    return state->is_cached;
}

static enum verdict ask(struct visit *visit, const struct head *question)
{
    const struct auth_conf *conf = visit->conf;
    struct auth_state *state = visit->state;
    struct caller caller = *visit->caller;
    const struct errand_ask errand = {
        .service = conf->service,
        .caller = &caller,
        .head = question,
        .timeout_ms = conf->timeout_ms,
        .body_max = BODY_MAX,
    };

    if (!caller.host.p)
        caller.host = visit->request->authority;
    state->asked_us = visit->env->loop->now_us;
    state->errand = errand_send(visit->env, &errand, on_answer, visit);
    visit->reason = REASON_AUTH_UNAVAILABLE;
    return state->errand ? VERDICT_WAIT : VERDICT_FAIL;
}

static enum verdict on_request(struct visit *visit)
{
    const struct auth_conf *conf = visit->conf;
    struct str values[ANSWER_VALUES_MAX];
    struct head question;

    visit->reason = REASON_HEADERS_TOO_LARGE;
    if (!make_head(conf, visit, &question))
        return VERDICT_FAIL;
    if (!is_known(visit, &question, values))
        return ask(visit, &question);
    return put_values(conf, visit, values) ? VERDICT_PASS : VERDICT_FAIL;
}

static enum verdict on_response(struct visit *visit)
{
    struct auth_state *state = visit->state;

    if (!visit->is_own || visit->verdict != VERDICT_REPLY)
        return VERDICT_PASS;
    for (unsigned i = 0; i < state->fields.count; i++) {
        const struct header *header = &state->fields.headers[i];

        if (head_add(visit->response, visit->arena, (struct str){header->name, header->name_len},
                     (struct str){header->value, header->value_len}))
            return VERDICT_FAIL;
    }
    return VERDICT_PASS;
}

static void on_done(struct visit *visit)
{
    struct auth_state *state = visit->state;

    errand_cancel(&state->errand);
}

static struct str describe(struct visit *visit)
{
    const struct auth_state *state = visit->state;

    if (state->is_cached)
        return STR("\"cached\":true");
    return arena_format(visit->arena, "\"answer\":%u,\"ms\":%.3f", state->status,
                        (double)state->took_us / 1e3);
}

const struct filter filter_forward_auth = {
    .name = "forward_auth",
    .doc = "Asks a service whether a request may pass.",
    .fields = fields,
    .conf_size = sizeof(struct auth_conf),
    .state_size = sizeof(struct auth_state),
    .check = check,
    .prepare = prepare,
    .dispose = dispose,
    .on_request = on_request,
    .on_response = on_response,
    .on_done = on_done,
    .describe = describe,
};
