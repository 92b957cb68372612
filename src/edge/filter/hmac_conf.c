/* SPDX-License-Identifier: Apache-2.0
 *
 * What can be written of the filter hmac, whether it makes sense, and what is made of it once a
 * configuration: keys that sums are made with, and what a refusal asks for.
 */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "edge/auth/credential.h"
#include "edge/auth/signature.h"
#include "edge/auth/sf.h"
#include "edge/filter/hmac_impl.h"

enum { SECRET_MIN = 32, SECRET_MAX = 96, KEYS_MAX = 4096 };

/* --- fields */

static const char *const encoding_words[] = {"text", "base64", NULL};

static const struct field key_fields[] = {
    {.name = "secret",
     .doc = "Secret of at least 32 bytes that client and gateway share.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_SECRET,
     FIELD_AT(struct hmac_key, secret)},
    {.name = "encoding",
     .doc = "How the secret is written: `text`, its own bytes; `base64`.",
     .standard = "text",
     .type = FIELD_ENUM,
     .words = encoding_words,
     FIELD_AT(struct hmac_key, encoding)},
    {.name = "consumer",
     .doc = "Whose key it is; its name, unless written.",
     .type = FIELD_TEXT,
     FIELD_AT(struct hmac_key, consumer)},
    {.name = "tier",
     .doc = "Tier of the consumer, for limits.",
     .type = FIELD_TEXT,
     FIELD_AT(struct hmac_key, tier)},
    FIELD_END,
};

const struct field hmac_conf_fields[] = {
    {.name = "keys",
     .doc = "Secrets by the names that signatures have in `keyid`.",
     .type = FIELD_MAP,
     .flags = FIELD_REQUIRED,
     .fields = key_fields,
     .name_offset = offsetof(struct hmac_key, id),
     FIELD_ITEMS(struct hmac_conf, keys, key_count)},
    {.name = "components",
     .doc =
         "What must be signed, beside the body: names of fields, @method, @authority, @path, "
         "@query, @scheme, @target-uri or @request-target. @method, @authority, @path and @query "
         "unless written; @target-uri stands for the last three. Behind a proxy that is believed, "
         "@authority is the X-Forwarded-Host that it says.",
     .type = FIELD_LIST,
     .flags = FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct hmac_conf, components.items, components.count)},
    {.name = "digest",
     .doc = "A request with a body must have signed its Content-Digest.",
     .standard = "true",
     .type = FIELD_BOOL,
     FIELD_AT(struct hmac_conf, digest)},
    {.name = "max_body",
     .doc = "Bytes of a body with a signed digest: it is gathered, and goes on when it is whole "
            "and right.",
     .standard = "1MiB",
     .type = FIELD_SIZE,
     .min = 1,
     .max = UINT64_C(1) << 30,
     FIELD_AT(struct hmac_conf, body)},
    {.name = "window",
     .doc = "How old a signature may be. As long it is remembered, by this machine while it runs: "
            "none "
            "passes twice.",
     .standard = "5m",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = UINT64_C(86400000),
     FIELD_AT(struct hmac_conf, window_ms)},
    {.name = "skew",
     .doc = "How far the client's clock may be before this one.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .max = UINT64_C(86400000),
     FIELD_AT(struct hmac_conf, skew_ms)},
    {.name = "nonce",
     .doc = "A signature must have a nonce. Without one, two requests that are the same in the "
            "same second have the same signature, and the second is refused.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct hmac_conf, nonce)},
    {.name = "tag",
     .doc = "Only signatures with this tag count.",
     .type = FIELD_TEXT,
     FIELD_AT(struct hmac_conf, tag)},
    {.name = "realm",
     .doc = "What a refusal says that the signature is for.",
     .standard = "sluice",
     .type = FIELD_TEXT,
     FIELD_AT(struct hmac_conf, realm)},
    {.name = "optional",
     .doc = "Requests without a signature pass; a wrong one is refused all the same.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct hmac_conf, optional)},
    FIELD_END,
};

/* --- checks */

static bool is_derived(struct str name)
{
    static const char *const names[] = {"@method", "@authority",  "@path",          "@query",
                                        "@scheme", "@target-uri", "@request-target"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_same(name, (struct str){names[i], strlen(names[i])}))
            return true;
    return false;
}

static bool is_component(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.p[i] >= 'A' && name.p[i] <= 'Z')
            return false;
    return is_derived(name) || credential_is_name(name);
}

/* The secret's bytes; -1: they are not base64, or too many. */
static int read_secret(const struct hmac_key *key, uint8_t bytes[SECRET_MAX])
{
    struct str text = key->secret.s;

    if (key->encoding == HMAC_BASE64)
        return sf_bytes(text, bytes, SECRET_MAX);
    if (text.len > SECRET_MAX)
        return -1;
    if (text.len)
        memcpy(bytes, text.p, text.len);
    return (int)text.len;
}

static bool check_key(const struct hmac_key *key, struct diag *diag)
{
    uint8_t bytes[SECRET_MAX];
    int len = read_secret(key, bytes);
    bool is_good = true;

    explicit_bzero(bytes, sizeof(bytes));
    if (len < SECRET_MIN) {
        diag_error(diag, key->secret.at, "a secret has %d to %d bytes%s", SECRET_MIN, SECRET_MAX,
                   key->encoding == HMAC_BASE64 ? ", in base64 with its padding" : "");
        is_good = false;
    }
    if (!key->id.s.len || !credential_is_quotable(key->id.s)) {
        diag_error(diag, key->id.at, "the name of a key is of ASCII without quotes");
        is_good = false;
    }
    return is_good;
}

bool hmac_conf_check(void *conf, struct span at, struct diag *diag)
{
    struct hmac_conf *hmac = conf;
    bool is_good = true;

    for (uint32_t i = 0; i < hmac->key_count; i++)
        is_good = check_key(&hmac->keys[i], diag) && is_good;
    for (uint32_t i = 0; i < hmac->components.count; i++) {
        if (is_component(hmac->components.items[i].s))
            continue;
        diag_error(diag, hmac->components.items[i].at,
                   "this is neither the name of a field in lower case nor a component");
        is_good = false;
    }
    if (!hmac->key_count || hmac->key_count > KEYS_MAX ||
        hmac->components.count > SIGNATURE_COMPONENTS_MAX) {
        diag_error(diag, at, "there are 1 to %d keys, and at most %d components", KEYS_MAX,
                   SIGNATURE_COMPONENTS_MAX);
        is_good = false;
    }
    if (!credential_is_quotable(hmac->realm.s) || !credential_is_quotable(hmac->tag.s)) {
        diag_error(diag, at, "realm and tag are of ASCII without quotes");
        is_good = false;
    }
    return is_good;
}

/* --- once a configuration */

static bool set_standard(struct hmac_conf *hmac, struct arena *arena)
{
    static const struct str standard[] = {STR_INIT("@method"), STR_INIT("@authority"),
                                          STR_INIT("@path"), STR_INIT("@query")};

    if (hmac->components.count)
        return true;
    hmac->components.items = arena_zero(arena, ARRAY_LEN(standard), sizeof(struct conf_text));
    if (!hmac->components.items)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(standard); i++)
        hmac->components.items[i].s = standard[i];
    hmac->components.count = ARRAY_LEN(standard);
    return true;
}

/* Accept-Signature (RFC 9421 section 5.1). */
static struct str make_accept(const struct hmac_conf *hmac, struct arena *arena, bool has_body)
{
    struct str list = STR("");

    for (uint32_t i = 0; i < hmac->components.count && list.p; i++)
        list = arena_format(arena, "%.*s%s\"%.*s\"", STR_FMT(list), i ? " " : "",
                            STR_FMT(hmac->components.items[i].s));
    if (!list.p)
        return list;
    list = arena_format(arena, "sig=(%.*s%s);created;keyid%s;alg=\"hmac-sha256\"", STR_FMT(list),
                        has_body && hmac->digest ? " \"content-digest\"" : "",
                        hmac->nonce ? ";nonce" : "");
    if (!list.p || !hmac->tag.s.len)
        return list;
    return arena_format(arena, "%.*s;tag=\"%.*s\"", STR_FMT(list), STR_FMT(hmac->tag.s));
}

static bool prepare_key(struct hmac_key *key)
{
    static const struct str label = STR_INIT("scope of nonces");
    uint8_t bytes[SECRET_MAX], sum[MAC_SIZE];
    int len = read_secret(key, bytes);

    if (len >= SECRET_MIN)
        key->mac = mac_new((struct str){(const char *)bytes, (size_t)len});
    explicit_bzero(bytes, sizeof(bytes));
    if (!key->mac || !mac_sum(key->mac, &label, 1, sum))
        return false;
    memcpy(key->scope, sum, HMAC_SCOPE);
    if (!key->consumer.s.len)
        key->consumer = key->id;
    return true;
}

static int compare(struct str a, struct str b)
{
    int order = memcmp(a.p, b.p, a.len < b.len ? a.len : b.len);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int compare_keys(const void *a, const void *b)
{
    const struct hmac_key *first = a, *second = b;

    return compare(first->id.s, second->id.s);
}

bool hmac_conf_prepare(void *conf, const struct filter_prepare *prepare)
{
    struct hmac_conf *hmac = conf;

    if (!set_standard(hmac, prepare->arena))
        return false;
    hmac->accept = make_accept(hmac, prepare->arena, false);
    hmac->accept_body = make_accept(hmac, prepare->arena, true);
    qsort(hmac->keys, hmac->key_count, sizeof(*hmac->keys), compare_keys);
    for (uint32_t i = 0; i < hmac->key_count; i++)
        if (!prepare_key(&hmac->keys[i]))
            return false;
    return hmac->accept.p && hmac->accept_body.p;
}

void hmac_conf_dispose(void *conf)
{
    struct hmac_conf *hmac = conf;

    for (uint32_t i = 0; i < hmac->key_count; i++)
        mac_free(&hmac->keys[i].mac);
}

const struct hmac_key *hmac_conf_find(const struct hmac_conf *conf, struct str id)
{
    struct hmac_key wanted = {.id.s = id};

    if (!id.len)
        return NULL;
    return bsearch(&wanted, conf->keys, conf->key_count, sizeof(wanted), compare_keys);
}
