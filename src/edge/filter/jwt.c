/* SPDX-License-Identifier: Apache-2.0
 *
 * jwt: lets requests with a good token pass (RFC 6750, 7519). Keys are a set in a file or at a URL,
 * which the manager keeps fresh, or one secret or public key. What was verified is remembered by
 * each worker. A refusal says which rule failed, never what the token holds.
 */
#include "base/text.h"
#include "edge/filter/identity.h"
#include "edge/filter/jwt_impl.h"
#include "edge/loop.h"

struct jwt_state {
    enum fault fault;
    struct str failed; /* the claim or scope that is not as it should be; absent: another matter */
    bool was_asked, is_absent, is_twice, is_known, is_keyless;
};

extern const struct filter filter_jwt;

/* --- a request */

static enum verdict refuse(struct visit *visit, enum reason reason)
{
    visit->reason = reason;
    return VERDICT_FAIL;
}

static enum reason reason_of(enum fault fault)
{
    switch (fault) {
    case FAULT_NONE:
        return REASON_NONE;
    case FAULT_EXPIRED:
        return REASON_TOKEN_EXPIRED;
    case FAULT_CLAIM:
    case FAULT_SCOPE:
        return REASON_SCOPE_INSUFFICIENT;
    case FAULT_MEMORY:
        return REASON_MEMORY_LIMIT;
    default:
        return REASON_TOKEN_INVALID;
    }
}

/* Makes what the token says the request's. */
static bool apply(struct visit *visit, const struct jwt_conf *conf, const struct jwt *jwt)
{
    visit->vars->claims = arena_copy(visit->arena, jwt->claims);
    if (!visit->vars->claims.p)
        return false;
    if (jwt->subject.len && identity_set(visit, jwt->subject, STR_NONE))
        return false;
    for (uint32_t i = 0; i < conf->rules.forward_count; i++) {
        struct str value = jwt->forward[i];

        if (!value.p)
            continue;
        value = arena_copy(visit->arena, value);
        if (!value.p ||
            head_add(visit->request, visit->arena, conf->rules.forwards[i].header, value))
            return false;
    }
    return true;
}

static enum verdict finish(struct visit *visit, const struct jwt *jwt)
{
    return apply(visit, visit->conf, jwt) ? VERDICT_PASS : refuse(visit, REASON_HEADERS_TOO_LARGE);
}

/* A token that was not seen before: memory for this is the heap's, a request's would not do. */
static enum verdict verify(struct visit *visit, struct token_cache *cache,
                           const struct token_key *key, const struct jwks *keys)
{
    const struct jwt_conf *conf = visit->conf;
    struct jwt_state *state = visit->state;
    struct jwt_ask ask = {.token = key->token,
                          .jwks = keys,
                          .rules = &conf->rules,
                          .now_ms = loop_wall_ms(visit->env->loop)};
    struct arena arena;
    struct jwt jwt;
    enum verdict verdict;

    arena_init(&arena, NULL, 0);
    state->fault = jwt_read(&jwt, &ask, &arena);
    state->failed = jwt.failed;
    if (state->fault == FAULT_KEY && conf->source)
        __atomic_store_n(&conf->source->is_missing, 1, __ATOMIC_RELAXED);
    if (state->fault == FAULT_NONE) {
        if (cache)
            token_cache_put(cache, key, &jwt, conf->rules.forward_count);
        verdict = finish(visit, &jwt);
    } else {
        verdict = refuse(visit, reason_of(state->fault));
    }
    arena_reset(&arena);
    return verdict;
}

static enum verdict ask(struct visit *visit, struct str token)
{
    const struct jwt_conf *conf = visit->conf;
    struct jwt_state *state = visit->state;
    unsigned worker = visit->env->worker;
    const struct jwks *keys = conf->source ? cell_read(&conf->source->keys, worker) : conf->own;
    struct token_cache *cache = key_store_cache(conf->store, worker);
    struct token_key key = {.token = token, .rules = conf->number};
    const struct jwt *known;

    if (!keys) {
        state->is_keyless = true;
        return refuse(visit, REASON_KEYS_UNAVAILABLE);
    }
    key.keys = keys->serial;
    known = cache ? token_cache_find(cache, &key, loop_wall_ms(visit->env->loop)) : NULL;
    state->is_known = known != NULL;
    return known ? finish(visit, known) : verify(visit, cache, &key, keys);
}

static enum verdict on_request(struct visit *visit)
{
    const struct jwt_conf *conf = visit->conf;
    struct jwt_state *state = visit->state;
    struct str token;
    enum status status = credential_find(&conf->places, visit->request, &token);

    state->was_asked = true;
    if (credential_hide(&conf->places, visit->request, visit->arena))
        return refuse(visit, REASON_MEMORY_LIMIT);
    for (uint32_t i = 0; i < conf->rules.forward_count; i++)
        credential_clear_field(visit->request, conf->rules.forwards[i].header);
    if (status == OK)
        return ask(visit, token);
    state->is_absent = status == E_NOT_FOUND;
    state->is_twice = status == E_CONFLICT;
    if (state->is_absent && conf->optional)
        return VERDICT_PASS;
    return refuse(visit, state->is_absent ? REASON_CREDENTIALS_MISSING : REASON_TOKEN_INVALID);
}

/* --- the answer (RFC 6750 section 3) */

static const char *sentence(const struct jwt_state *state)
{
    return state->is_twice ? "The request has more than one token." : fault_sentence(state->fault);
}

static struct str scope_list(struct visit *visit, const struct jwt_conf *conf)
{
    struct str all = STR("");

    for (uint32_t i = 0; i < conf->scopes.count && all.p; i++)
        all = arena_format(visit->arena, "%.*s%s%.*s", STR_FMT(all), i ? " " : "",
                           STR_FMT(conf->scopes.items[i].s));
    return all.p && credential_is_quotable(all) ? all : STR("");
}

static struct str challenge(struct visit *visit)
{
    const struct jwt_conf *conf = visit->conf;
    const struct jwt_state *state = visit->state;
    struct str realm = conf->realm.s;

    if (state->is_absent)
        return arena_format(visit->arena, "Bearer realm=\"%.*s\"", STR_FMT(realm));
    if (visit->response->status == 401)
        return arena_format(
            visit->arena,
            "Bearer realm=\"%.*s\", error=\"invalid_token\", error_description=\"%s\"",
            STR_FMT(realm), sentence(state));
    return arena_format(visit->arena,
                        "Bearer realm=\"%.*s\", error=\"insufficient_scope\", "
                        "error_description=\"%s\", scope=\"%.*s\"",
                        STR_FMT(realm), sentence(state), STR_FMT(scope_list(visit, conf)));
}

static bool did_refuse(const struct visit *visit)
{
    const struct jwt_state *state = visit->state;

    return visit->is_own && state->was_asked && visit->reason != REASON_NONE &&
           (visit->response->status == 401 || visit->response->status == 403);
}

static enum verdict on_response(struct visit *visit)
{
    const struct jwt_conf *conf = visit->conf;
    const struct jwt_state *state = visit->state;
    struct str text;

    if (visit->is_own && !state->was_asked &&
        credential_hide(&conf->places, visit->request, visit->arena))
        visit->request->query = STR_NONE; // what cannot be hidden is not shown at all
    if (!did_refuse(visit))
        return VERDICT_PASS;
    text = challenge(visit);
    if (text.p && !head_add(visit->response, visit->arena, STR("WWW-Authenticate"), text))
        return VERDICT_PASS;
    return refuse(visit, REASON_MEMORY_LIMIT);
}

/* ,"claim":"role"; empty: no claim has failed. */
static struct str failed_member(struct visit *visit)
{
    const struct jwt_state *state = visit->state;
    struct str member = STR("");
    char *text, *end;

    if (!state->failed.len)
        return member;
    text = arena_text(visit->arena, state->failed.len * TEXT_JSON_FACTOR);
    if (!text)
        return member;
    end = text_json(text, state->failed);
    member = arena_format(visit->arena, ",\"%s\":\"%.*s\"",
                          state->fault == FAULT_SCOPE ? "scope" : "claim", (int)(end - text), text);
    return member.p ? member : STR("");
}

static struct str describe(struct visit *visit)
{
    const struct jwt_state *state = visit->state;
    const char *said = fault_word(state->fault);

    if (!state->was_asked)
        return STR_NONE;
    if (state->is_absent)
        said = "no_token";
    else if (state->is_twice)
        said = "token_twice";
    else if (state->is_keyless)
        said = "no_keys";
    return arena_format(visit->arena, "\"token\":\"%s\",\"remembered\":%s%.*s", said,
                        state->is_known ? "true" : "false", STR_FMT(failed_member(visit)));
}

const struct filter filter_jwt = {
    .name = "jwt",
    .doc = "Lets requests with a good JSON Web Token pass.",
    .fields = jwt_conf_fields,
    .conf_size = sizeof(struct jwt_conf),
    .state_size = sizeof(struct jwt_state),
    .check = jwt_conf_check,
    .prepare = jwt_conf_prepare,
    .dispose = jwt_conf_dispose,
    .on_request = on_request,
    .on_response = on_response,
    .describe = describe,
};
