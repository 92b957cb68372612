/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be written of the filter jwt, whether it makes sense, and what is made of it once a
 * configuration: rules, and where the keys come from.
 */
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "config/tree.h"
#include "edge/filter/jwt_impl.h"

/* --- fields */

#define TEXTS_JSON                                                                                 \
    "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]}"

/* A text, or a list of them. */
static bool decode_texts(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    struct conf_texts *texts = member;
    const struct node *item = node->kind == NODE_LIST ? node->child.first : node;
    uint32_t count = 0;
    bool is_good = true;

    (void)field;
    for (const struct node *c = item; c; c = node->kind == NODE_LIST ? c->next : NULL)
        count++;
    texts->items = arena_zero(decoder->arena, count, sizeof(*texts->items));
    if (!texts->items)
        return false;
    for (; count-- > 0; item = item->next)
        is_good = field_text(decoder, item, &texts->items[texts->count++]) && is_good;
    if (is_good && !texts->count)
        return field_wrong(decoder, node, "is empty");
    return is_good;
}

/* Texts without their places. */
static const struct str *plain(struct arena *arena, const struct conf_texts *texts)
{
    struct str *out = arena_zero(arena, texts->count, sizeof(*out));

    for (uint32_t i = 0; out && i < texts->count; i++)
        out[i] = texts->items[i].s;
    return out;
}

/* name -> value, list of values, or "*" for any. */
static bool decode_claims(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    struct jwt_conf *conf = CONTAINER_OF(member, struct jwt_conf, needs);
    uint32_t count = 0;

    if (node->kind != NODE_MAP)
        return field_wrong(decoder, node, "is not a map of claims");
    for (const struct node *key = node->child.first; key; key = key->next->next)
        count++;
    conf->needs = arena_zero(decoder->arena, count, sizeof(*conf->needs));
    if (!conf->needs)
        return false;
    for (const struct node *key = node->child.first; key; key = key->next->next) {
        struct claims_need *need = &conf->needs[conf->need_count++];
        struct conf_texts values = {.count = 0};
        struct conf_text name;

        if (!field_text(decoder, key, &name) || !decode_texts(decoder, field, key->next, &values))
            return false;
        need->name = name.s;
        need->count = values.count == 1 && str_same(values.items[0].s, STR("*")) ? 0 : values.count;
        need->values = plain(decoder->arena, &values);
        if (!need->values)
            return false;
    }
    return true;
}

const struct field jwt_conf_fields[] = {
    {.name = "jwks",
     .doc = "Set of public keys (RFC 7517): a file, reread when it changes, or an http(s) URL, "
            "fetched again from time to time and when a token names a key that is not in it.",
     .type = FIELD_TEXT,
     FIELD_AT(struct jwt_conf, jwks)},
    {.name = "secret",
     .doc =
         "In place of `jwks`: the secret of HS256, HS384 or HS512, at least as long as the hash.",
     .type = FIELD_TEXT,
     .flags = FIELD_SECRET,
     FIELD_AT(struct jwt_conf, secret)},
    {.name = "key",
     .doc = "In place of `jwks`: a file with one public key or certificate in PEM.",
     .type = FIELD_TEXT,
     FIELD_AT(struct jwt_conf, key)},
    {.name = "algorithms",
     .doc = "Signature algorithms that are accepted: of RS256, PS256, ES256, HS256 and their 384 "
            "and 512, EdDSA. All that fit the keys, unless written.",
     .type = FIELD_LIST,
     .flags = FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct jwt_conf, algorithms.items, algorithms.count)},
    {.name = "issuer",
     .doc = "What `iss` must be; of a list one.",
     .type = FIELD_CUSTOM,
     .decode = decode_texts,
     .json = TEXTS_JSON,
     FIELD_AT(struct jwt_conf, issuer)},
    {.name = "audience",
     .doc = "What `aud` must be or hold; of a list one.",
     .type = FIELD_CUSTOM,
     .decode = decode_texts,
     .json = TEXTS_JSON,
     FIELD_AT(struct jwt_conf, audience)},
    {.name = "leeway",
     .doc = "How far the issuer's clock may be from this one.",
     .standard = "30s",
     .type = FIELD_DURATION,
     FIELD_AT(struct jwt_conf, leeway_ms)},
    {.name = "expires",
     .doc = "A token must have `exp`; with `false` one without it is good for ever.",
     .standard = "true",
     .type = FIELD_BOOL,
     FIELD_AT(struct jwt_conf, expires)},
    {.name = "claims",
     .doc = "Claims that must be there: name, and its value, several of which one must be, or "
            "\"*\" for any. A name with dots reaches into members.",
     .type = FIELD_CUSTOM,
     .decode = decode_claims,
     .json = "{\"type\":\"object\",\"additionalProperties\":" TEXTS_JSON "}",
     .offset = offsetof(struct jwt_conf, needs),
     .size = sizeof(struct claims_need *)},
    {.name = "scopes",
     .doc = "Scopes that must all be in `scope` or `scp`.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct jwt_conf, scopes.items, scopes.count)},
    {.name = "forward",
     .doc = "Claims that the target gets as fields: claim, and the field's name. Such fields of "
            "the client are removed.",
     .type = FIELD_PAIRS,
     FIELD_AT(struct jwt_conf, forward)},
    {.name = "header",
     .doc = "Field with the token; in Authorization after \"Bearer\".",
     .standard = "authorization",
     .type = FIELD_TEXT,
     .flags = FIELD_OFF,
     FIELD_AT(struct jwt_conf, header)},
    {.name = "cookie",
     .doc = "Cookie with the token.",
     .type = FIELD_TEXT,
     FIELD_AT(struct jwt_conf, cookie)},
    {.name = "query",
     .doc = "Parameter of the query with the token; neither target nor log sees it.",
     .type = FIELD_TEXT,
     FIELD_AT(struct jwt_conf, query)},
    {.name = "realm",
     .doc = "What a refusal says that the token is for.",
     .standard = "sluice",
     .type = FIELD_TEXT,
     FIELD_AT(struct jwt_conf, realm)},
    {.name = "optional",
     .doc = "Requests without a token pass; a bad one is refused all the same.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct jwt_conf, optional)},
    FIELD_END,
};

/* --- checks */

static bool wrong(struct diag *diag, struct span at, const char *what)
{
    diag_error(diag, at, "%s", what);
    return false;
}

static bool check_names(const struct jwt_conf *conf, struct diag *diag)
{
    const struct conf_text *names[] = {&conf->header, &conf->cookie, &conf->query};
    bool is_good = true;

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (names[i]->s.len && !credential_is_name(names[i]->s))
            is_good = wrong(diag, names[i]->at, "this is not the name of a field");
    for (uint32_t i = 0; i < conf->forward.count; i++) {
        const struct conf_text *name = &conf->forward.items[i].value;
        enum header_id id = head_id(name->s);

        if (!credential_is_name(name->s))
            is_good = wrong(diag, name->at, "this is not the name of a field");
        else if (id && id <= HDR_EXPECT)
            is_good = wrong(diag, name->at, "this field is the gateway's own to set");
    }
    return is_good;
}

static bool check_algorithms(struct jwt_conf *conf, struct diag *diag)
{
    bool is_good = true;

    conf->rules.algs = conf->algorithms.count ? 0 : JWT_ALGS_ALL;
    for (uint32_t i = 0; i < conf->algorithms.count; i++) {
        enum jose_alg alg = jose_alg_find(conf->algorithms.items[i].s);

        if (alg < JOSE_ALG_COUNT) {
            conf->rules.algs |= 1U << alg;
            continue;
        }
        diag_error(diag, conf->algorithms.items[i].at, "no algorithm named \"%.*s\"",
                   STR_FMT(conf->algorithms.items[i].s));
        diag_hint(diag, "RS256, PS256, ES256, HS256, their 384 and 512, or EdDSA");
        is_good = false;
    }
    return is_good;
}

bool jwt_conf_check(void *conf, struct span at, struct diag *diag)
{
    struct jwt_conf *jwt = conf;
    int sources = (jwt->jwks.s.len > 0) + (jwt->secret.s.len > 0) + (jwt->key.s.len > 0);
    bool is_good = check_names(jwt, diag);

    is_good = check_algorithms(jwt, diag) && is_good;
    if (!credential_is_quotable(jwt->realm.s))
        is_good = wrong(diag, jwt->realm.at, "a realm is of ASCII without quotes");
    if (sources != 1)
        is_good = wrong(diag, at, "one of jwks, secret and key says how tokens are verified");
    if (!jwt->header.s.len && !jwt->cookie.s.len && !jwt->query.s.len)
        is_good = wrong(diag, at, "nothing says where the token is: header, cookie or query");
    return is_good;
}

/* --- once a configuration */

static bool is_url(struct str name)
{
    return (name.len > 8 && !strncasecmp(name.p, "https://", 8)) ||
           (name.len > 7 && !strncasecmp(name.p, "http://", 7));
}

/* An algorithm with which no key could ever verify is a mistake. */
static bool check_fit(const struct jwt_conf *conf, const struct filter_prepare *prepare)
{
    for (uint32_t i = 0; i < conf->own->count; i++)
        for (unsigned alg = 0; alg < JOSE_ALG_COUNT; alg++)
            if ((conf->rules.algs >> alg & 1) && jwk_fits(&conf->own->keys[i], (enum jose_alg)alg))
                return true;
    return wrong(prepare->diag, prepare->at, "no key fits the algorithms");
}

static bool read_own(struct jwt_conf *conf, const struct filter_prepare *prepare,
                     const struct conf_text *from, struct jwks *(*read)(struct str, const char **))
{
    const char *why = NULL;
    struct arena arena;
    struct str text = from->s;
    enum status status = OK;

    arena_init(&arena, NULL, 0);
    if (from != &conf->secret)
        status = file_read(from->s.p, &arena, &text);
    if (status)
        diag_error(prepare->diag, from->at, "cannot read the file");
    else
        conf->own = read(text, &why);
    if (!status && !conf->own)
        diag_error(prepare->diag, from->at, "not a key that can be used: %s", why);
    arena_reset(&arena);
    return conf->own && check_fit(conf, prepare);
}

static bool take_keys(struct jwt_conf *conf, const struct filter_prepare *prepare)
{
    struct key_store *store = prepare->env ? prepare->env->keys : NULL;
    bool is_remote = is_url(conf->jwks.s);
    struct jwks *first;

    if (conf->secret.s.len)
        return read_own(conf, prepare, &conf->secret, jwks_read_secret);
    if (conf->key.s.len)
        return read_own(conf, prepare, &conf->key, jwks_read_pem);
    if (!is_remote && !read_own(conf, prepare, &conf->jwks, jwks_read))
        return false;
    if (is_remote && !strncasecmp(conf->jwks.s.p, "http:", 5))
        diag_warn(prepare->diag, conf->jwks.at,
                  "keys that come by plain http can be exchanged on the way");
    if (!store)
        return true;
    first = conf->own;
    conf->own = NULL;
    conf->source = key_store_take(store, conf->jwks.s, is_remote, first);
    return conf->source != NULL;
}

static bool fill_rules(struct jwt_conf *conf, struct arena *arena)
{
    struct claims_rules *claims = &conf->rules.claims;
    struct jwt_forward *forwards =
        arena_zero(arena, conf->forward.count, sizeof(*conf->rules.forwards));

    claims->issuers = plain(arena, &conf->issuer);
    claims->audiences = plain(arena, &conf->audience);
    claims->scopes = plain(arena, &conf->scopes);
    if (!forwards || !claims->issuers || !claims->audiences || !claims->scopes)
        return false;
    claims->issuer_count = conf->issuer.count;
    claims->audience_count = conf->audience.count;
    claims->scope_count = conf->scopes.count;
    claims->needs = conf->needs;
    claims->need_count = conf->need_count;
    claims->leeway_ms = conf->leeway_ms;
    claims->is_endless = !conf->expires;
    for (uint32_t i = 0; i < conf->forward.count; i++)
        forwards[i] =
            (struct jwt_forward){conf->forward.items[i].name.s, conf->forward.items[i].value.s};
    conf->rules.forwards = forwards;
    conf->rules.forward_count = conf->forward.count;
    return true;
}

bool jwt_conf_prepare(void *conf, const struct filter_prepare *prepare)
{
    struct jwt_conf *jwt = conf;

    jwt->places =
        (struct credential_places){jwt->header.s, STR("Bearer"), jwt->query.s, jwt->cookie.s};
    jwt->store = prepare->env ? prepare->env->keys : NULL;
    if (jwt->store)
        jwt->number = key_store_rules(jwt->store);
    return fill_rules(jwt, prepare->arena) && take_keys(jwt, prepare);
}

void jwt_conf_dispose(void *conf)
{
    struct jwt_conf *jwt = conf;

    jwks_free(jwt->own);
    jwt->own = NULL;
    if (jwt->store)
        key_store_drop(jwt->store, &jwt->source);
}
