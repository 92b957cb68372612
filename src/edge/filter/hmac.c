/* SPDX-License-Identifier: Apache-2.0
 *
 * hmac: lets requests pass that are signed with a shared secret (RFC 9421, hmac-sha256 alone). One
 * good signature of several suffices. It passes once: what was accepted is remembered as long as it
 * would be accepted again. A body is gathered, and the request goes on when it is the one whose
 * digest (RFC 9530) was signed: the target sees nothing of one with a wrong body.
 */
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "edge/auth/content_digest.h"
#include "edge/auth/replay.h"
#include "edge/auth/sf.h"
#include "edge/auth/signature.h"
#include "edge/filter/hmac_impl.h"
#include "edge/filter/identity.h"
#include "edge/loop.h"

enum {
    BASE_MAX = 512 * 1024, /* bytes of memory that a signature may take to check */
    NONCE_MAX = 256,
};

struct hmac_state {
    enum signature_fault fault;
    struct str key; /* the last one that was named and is known */
    struct buf body;
    bool was_asked;
    bool has_digest; /* the body must be `digest`'s; else there must be none */
    struct content_digest digest;
};

extern const struct filter filter_hmac;

/* --- one signature */

/* What a signature is looked at with. */
struct look {
    struct visit *visit;
    struct signature_message message;
    struct arena arena;
    const struct hmac_key *key;
    uint64_t now_ms, until_ms;
    bool has_digest;
    struct content_digest digest;
};

/* When it was made, and until when it is good. */
static enum signature_fault check_times(struct look *look, const struct signature *signature)
{
    const struct hmac_conf *conf = look->visit->conf;
    uint64_t created_ms = (uint64_t)signature->created * 1000;

    if (!signature->has_created)
        return SIGNATURE_CREATED;
    if (created_ms > look->now_ms + conf->skew_ms)
        return SIGNATURE_FUTURE;
    look->until_ms = created_ms + conf->window_ms;
    if (signature->has_expires && (uint64_t)signature->expires * 1000 < look->until_ms)
        look->until_ms = (uint64_t)signature->expires * 1000;
    if (look->until_ms <= look->now_ms)
        return SIGNATURE_EXPIRED;
    return conf->nonce && !signature->nonce.len ? SIGNATURE_NONCE : SIGNATURE_NONE;
}

static enum signature_fault check_components(const struct hmac_conf *conf,
                                             const struct signature *signature)
{
    for (uint32_t i = 0; i < conf->components.count; i++)
        if (!signature_covers(signature, conf->components.items[i].s))
            return SIGNATURE_MISSING;
    return SIGNATURE_NONE;
}

static enum signature_fault check_digest(struct look *look, const struct signature *signature)
{
    const struct hmac_conf *conf = look->visit->conf;
    const struct head *head = look->message.head;
    bool is_good;
    struct str value;

    look->has_digest = signature_covers(signature, STR("content-digest"));
    if (!look->has_digest)
        return conf->digest && look->visit->has_body && head->content_length > 0 ? SIGNATURE_DIGEST
                                                                                 : SIGNATURE_NONE;
    value = sf_value(head, STR("content-digest"), &look->arena, &is_good);
    if (!is_good)
        return SIGNATURE_MEMORY;
    return content_digest_read(value, &look->digest) ? SIGNATURE_NONE : SIGNATURE_DIGEST_SYNTAX;
}

static enum signature_fault check_sum(struct look *look, const struct signature *signature)
{
    struct str base;
    enum signature_fault fault = signature_base(signature, &look->message, &look->arena, &base);
    uint8_t sum[MAC_SIZE];

    if (fault)
        return fault;
    if (!mac_sum(look->key->mac, &base, 1, sum))
        return SIGNATURE_MEMORY;
    if (!signature->has_bytes || !mac_same(sum, signature->bytes))
        return SIGNATURE_INVALID;
    return SIGNATURE_NONE;
}

/* Known by its nonce, else by itself; each key has nonces of its own. */
static enum signature_fault check_replay(struct look *look, const struct signature *signature)
{
    const struct filter_env *env = look->visit->env;
    char text[HMAC_SCOPE + 1 + NONCE_MAX], *at = text;
    struct str nonce = signature->nonce;

    if (nonce.len > NONCE_MAX)
        return SIGNATURE_NONCE;
    memcpy(at, look->key->scope, HMAC_SCOPE);
    at += HMAC_SCOPE;
    *at++ = nonce.len ? 'n' : 's';
    if (nonce.len)
        memcpy(at, nonce.p, nonce.len);
    else
        memcpy(at, signature->bytes, sizeof(signature->bytes));
    at += nonce.len ? nonce.len : sizeof(signature->bytes);
    switch (replay_note(env->replay,
                        limiter_hash(env->limiter, (struct str){text, (size_t)(at - text)}),
                        look->now_ms, look->until_ms)) {
    case REPLAY_NEW:
        return SIGNATURE_NONE;
    case REPLAY_SEEN:
        return SIGNATURE_REPLAYED;
    default:
        return SIGNATURE_FULL;
    }
}

static enum signature_fault check_names(struct look *look, const struct signature *signature)
{
    const struct hmac_conf *conf = look->visit->conf;
    struct hmac_state *state = look->visit->state;

    if (conf->tag.s.len && !str_same(signature->tag, conf->tag.s))
        return SIGNATURE_TAG;
    if (signature->alg.p && !str_same(signature->alg, STR("hmac-sha256")))
        return SIGNATURE_ALG;
    look->key = hmac_conf_find(conf, signature->keyid);
    if (!look->key)
        return SIGNATURE_KEY;
    state->key = look->key->id.s;
    return SIGNATURE_NONE;
}

static enum signature_fault check_one(struct look *look, const struct signature_set *set,
                                      unsigned index)
{
    struct signature signature;
    enum signature_fault unfit = signature_read(&signature, set, index), fault;

    if (unfit && unfit != SIGNATURE_COMPONENT)
        return unfit;
    fault = check_names(look, &signature);
    if (!fault)
        fault = unfit;
    if (!fault)
        fault = check_components(look->visit->conf, &signature);
    if (!fault)
        fault = check_times(look, &signature);
    if (!fault)
        fault = check_digest(look, &signature);
    if (!fault)
        fault = check_sum(look, &signature);
    return fault ? fault : check_replay(look, &signature);
}

/* The first that is good; else what is wrong with the one that came furthest. */
static enum signature_fault check_all(struct look *look)
{
    struct signature_set set;
    enum signature_fault worst = signature_set_read(&set, look->message.head, &look->arena);

    if (worst)
        return worst;
    for (unsigned i = 0; i < set.count; i++) {
        enum signature_fault fault = check_one(look, &set, i);

        if (!fault)
            return SIGNATURE_NONE;
        worst = fault > worst ? fault : worst;
    }
    return worst;
}

/* --- a request */

static enum verdict refuse(struct visit *visit, enum reason reason)
{
    visit->reason = reason;
    return VERDICT_FAIL;
}

static enum reason reason_of(enum signature_fault fault)
{
    switch (fault) {
    case SIGNATURE_ABSENT:
        return REASON_CREDENTIALS_MISSING;
    case SIGNATURE_EXPIRED:
        return REASON_SIGNATURE_EXPIRED;
    case SIGNATURE_REPLAYED:
        return REASON_SIGNATURE_REPLAYED;
    case SIGNATURE_FULL:
        return REASON_REPLAY_MEMORY_FULL;
    case SIGNATURE_MEMORY:
        return REASON_MEMORY_LIMIT;
    default:
        return REASON_SIGNATURE_INVALID;
    }
}

/* What follows a wish for another protocol is no body, unless it has a length. */
static bool may_follow(const struct visit *visit)
{
    return visit->has_body && (!visit->request->is_upgrade || visit->request->content_length > 0);
}

/* Whether there is a body to be looked at, and room for it. */
static enum verdict begin_body(struct visit *visit)
{
    const struct hmac_conf *conf = visit->conf;
    struct hmac_state *state = visit->state;
    int64_t length = visit->request->content_length;

    if (!state->has_digest && !conf->digest)
        return VERDICT_PASS;
    visit->sees_request =
        true; // also where nothing seems to follow: a digest of nothing is checked
    if (state->has_digest && length > 0 && (uint64_t)length > conf->body)
        return refuse(visit, REASON_BODY_TOO_LARGE);
    visit->holds_request = state->has_digest && may_follow(visit);
    if (visit->holds_request || !state->has_digest)
        return VERDICT_PASS;
    state->has_digest = false; // from here on: there must be none
    state->fault = content_digest_is(&state->digest, STR("")) ? SIGNATURE_NONE : SIGNATURE_CONTENT;
    return state->fault ? refuse(visit, REASON_SIGNATURE_INVALID) : VERDICT_PASS;
}

static enum verdict on_request(struct visit *visit)
{
    const struct hmac_conf *conf = visit->conf;
    struct hmac_state *state = visit->state;
    const struct caller *caller = visit->caller;
    struct look look = {.visit = visit, .now_ms = loop_wall_ms(visit->env->loop)};

    state->was_asked = true;
    look.message =
        (struct signature_message){visit->request, caller->scheme,
                                   caller->host.p ? caller->host : visit->request->authority};
    arena_init(&look.arena, NULL, BASE_MAX);
    state->fault = check_all(&look);
    state->has_digest = look.has_digest;
    state->digest = look.digest;
    arena_reset(&look.arena);
    if (state->fault == SIGNATURE_ABSENT && conf->optional)
        return VERDICT_PASS;
    if (state->fault)
        return refuse(visit, reason_of(state->fault));
    if (identity_set(visit, look.key->consumer.s, look.key->tier.s))
        return refuse(visit, REASON_MEMORY_LIMIT);
    return begin_body(visit);
}

/* --- its body */

static enum reason refuse_body(struct visit *visit, enum signature_fault fault)
{
    struct hmac_state *state = visit->state;

    state->fault = fault;
    visit->reason = REASON_SIGNATURE_INVALID;
    return REASON_SIGNATURE_INVALID;
}

static enum reason on_request_body(struct visit *visit, const struct piece *piece,
                                   const struct body_way *way)
{
    const struct hmac_conf *conf = visit->conf;
    struct hmac_state *state = visit->state;
    struct piece whole = *piece;

    if (!state->has_digest)
        return piece->bytes.len ? refuse_body(visit, SIGNATURE_DIGEST)
                                : filter_pass_body(way, piece);
    if (piece->bytes.len > conf->body - state->body.len)
        return REASON_BODY_TOO_LARGE;
    if (piece->bytes.len && buf_append(&state->body, &visit->env->loop->partials, piece->bytes))
        return REASON_MEMORY_LIMIT;
    if (!piece->last)
        return REASON_NONE;
    whole.bytes = (struct str){state->body.len ? state->body.p : "", state->body.len};
    whole.is_lasting = false;
    if (!content_digest_is(&state->digest, whole.bytes))
        return refuse_body(visit, SIGNATURE_CONTENT);
    return filter_pass_body(way, &whole);
}

/* --- the answer */

static enum verdict on_response(struct visit *visit)
{
    const struct hmac_conf *conf = visit->conf;
    const struct hmac_state *state = visit->state;
    struct str text, wanted = visit->has_body ? conf->accept_body : conf->accept;

    if (!visit->is_own || !state->was_asked || visit->reason == REASON_NONE ||
        visit->response->status != 401)
        return VERDICT_PASS;
    text = arena_format(visit->arena, "Signature realm=\"%.*s\", error_description=\"%s\"",
                        STR_FMT(conf->realm.s), signature_sentence(state->fault));
    if (text.p && !head_add(visit->response, visit->arena, STR("WWW-Authenticate"), text) &&
        !head_add(visit->response, visit->arena, STR("Accept-Signature"), wanted))
        return VERDICT_PASS;
    return refuse(visit, REASON_MEMORY_LIMIT);
}

static void on_done(struct visit *visit)
{
    struct hmac_state *state = visit->state;

    buf_drop(&state->body, &visit->env->loop->partials);
}

static struct str describe(struct visit *visit)
{
    const struct hmac_state *state = visit->state;

    if (!state->was_asked)
        return STR_NONE;
    if (!state->key.p)
        return arena_format(visit->arena, "\"signature\":\"%s\"", signature_word(state->fault));
    return arena_format(visit->arena, "\"signature\":\"%s\",\"key\":\"%.*s\"",
                        signature_word(state->fault), STR_FMT(state->key));
}

static uint32_t count_keys(const void *conf)
{
    const struct hmac_conf *hmac = conf;

    return hmac->key_count;
}

const struct filter filter_hmac = {
    .name = "hmac",
    .doc = "Lets requests pass that are signed with a shared secret (HTTP Message Signatures).",
    .fields = hmac_conf_fields,
    .conf_size = sizeof(struct hmac_conf),
    .state_size = sizeof(struct hmac_state),
    .check = hmac_conf_check,
    .prepare = hmac_conf_prepare,
    .dispose = hmac_conf_dispose,
    .count_keys = count_keys,
    .on_request = on_request,
    .on_request_body = on_request_body,
    .on_response = on_response,
    .on_done = on_done,
    .describe = describe,
};
