/* SPDX-License-Identifier: Apache-2.0
 *
 * mtls: lets requests pass that came by a connection whose client showed a certificate of the
 * listener's authorities (`client_ca`), and says whose it is. Only the connection itself counts: no
 * field and no PROXY header speaks for a certificate.
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/text.h"
#include "config/conf.h"
#include "config/field.h"
#include "edge/auth/credential.h"
#include "edge/auth/key_ring.h"
#include "edge/filter/identity.h"
#include "edge/loop.h"
#include "sluice/peer_cert.h"

enum { PEER_PRINT = PEER_NAME_COUNT /* the consumer is the fingerprint */ };

struct mtls_conf {
    unsigned consumer; /* enum peer_name, or PEER_PRINT */
    struct conf_texts allow, fingerprints;
    struct conf_text tier, realm;
    bool optional;
    uint8_t (*prints)[PEER_CERT_PRINT]; /* of `fingerprints`; made by prepare() */
};

struct mtls_state {
    const char *said; /* NULL: it was not asked */
    struct str consumer;
};

extern const struct filter filter_mtls;

static const char *const consumer_words[] = {"cn", "dns", "uri", "email", "fingerprint", NULL};

static const struct field fields[] = {
    {.name = "consumer",
     .doc = "What of the certificate says whose it is: the subject's common name, the first name "
            "of that kind in subjectAltName, or the SHA-256 fingerprint.",
     .standard = "cn",
     .type = FIELD_ENUM,
     .words = consumer_words,
     FIELD_AT(struct mtls_conf, consumer)},
    {.name = "allow",
     .doc = "Names of that kind that may pass; with several names in a certificate the one that is "
            "here is the consumer. All, unless `allow` or `fingerprints` is written.",
     .type = FIELD_LIST,
     .flags = FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct mtls_conf, allow.items, allow.count)},
    {.name = "fingerprints",
     .doc = "SHA-256 fingerprints of certificates that may pass, in hexadecimal, with or without "
            "colons; beside those of `allow`.",
     .type = FIELD_LIST,
     .flags = FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct mtls_conf, fingerprints.items, fingerprints.count)},
    {.name = "tier",
     .doc = "Tier of these consumers, for limits.",
     .type = FIELD_TEXT,
     FIELD_AT(struct mtls_conf, tier)},
    {.name = "realm",
     .doc = "What a refusal says that the certificate is for.",
     .standard = "sluice",
     .type = FIELD_TEXT,
     FIELD_AT(struct mtls_conf, realm)},
    {.name = "optional",
     .doc = "Requests without a certificate pass; one that is not allowed is refused all the same.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct mtls_conf, optional)},
    FIELD_END,
};

/* --- the configuration */

/* "ab:cd:..." or "abcd...". */
static bool read_print(struct str text, uint8_t print[PEER_CERT_PRINT])
{
    char digits[2 * PEER_CERT_PRINT];
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] == ':' && text.len == 3 * PEER_CERT_PRINT - 1 && i % 3 == 2)
            continue;
        if (count == sizeof(digits))
            return false;
        digits[count++] = text.p[i];
    }
    return api_key_read_hash((struct str){digits, count}, print);
}

static bool check(void *conf, struct span at, struct diag *diag)
{
    const struct mtls_conf *mtls = conf;
    uint8_t print[PEER_CERT_PRINT];
    bool is_good = true;

    for (uint32_t i = 0; i < mtls->fingerprints.count; i++) {
        if (read_print(mtls->fingerprints.items[i].s, print))
            continue;
        diag_error(diag, mtls->fingerprints.items[i].at,
                   "this is not a SHA-256 fingerprint in hexadecimal");
        diag_hint(diag, "openssl x509 -noout -fingerprint -sha256 -in FILE");
        is_good = false;
    }
    if (mtls->consumer == PEER_PRINT && mtls->allow.count) {
        diag_error(diag, mtls->allow.items[0].at, "fingerprints stand in `fingerprints`");
        is_good = false;
    }
    if (!credential_is_quotable(mtls->realm.s)) {
        diag_error(diag, mtls->realm.at, "a realm is of ASCII without quotes");
        is_good = false;
    }
    (void)at;
    return is_good;
}

/* Without a listener that asks for certificates nobody ever passes. */
static bool is_asked_for(const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->listener_count; i++)
        if (conf->listeners[i].tls.is_set && conf->listeners[i].tls.client_ca.s.len)
            return true;
    return false;
}

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct mtls_conf *mtls = conf;

    if (!is_asked_for(prepare->conf)) {
        diag_warn(prepare->diag, prepare->at, "no listener asks clients for a certificate");
        diag_hint(prepare->diag, "write `client_ca: FILE` in the `tls` of a listener");
    }
    mtls->prints = arena_zero(prepare->arena, mtls->fingerprints.count, sizeof(*mtls->prints));
    for (uint32_t i = 0; mtls->prints && i < mtls->fingerprints.count; i++)
        if (!read_print(mtls->fingerprints.items[i].s, mtls->prints[i]))
            return false;
    return mtls->prints != NULL;
}

/* --- a request */

static bool has_print(const struct mtls_conf *conf, const struct peer_cert *cert)
{
    for (uint32_t i = 0; i < conf->fingerprints.count; i++)
        if (!memcmp(conf->prints[i], cert->print, PEER_CERT_PRINT))
            return true;
    return false;
}

/* DNS names are the same whatever their case (RFC 4343). */
static bool is_same_name(const struct mtls_conf *conf, struct str name, struct str allowed)
{
    if (conf->consumer != PEER_DNS)
        return str_same(name, allowed);
    return name.len == allowed.len && !strncasecmp(name.p, allowed.p, name.len);
}

static bool is_allowed(const struct mtls_conf *conf, struct str name)
{
    for (uint32_t i = 0; i < conf->allow.count; i++)
        if (is_same_name(conf, name, conf->allow.items[i].s))
            return true;
    return false;
}

static struct str name_of(const struct mtls_conf *conf, const struct peer_cert *cert)
{
    const struct peer_names *names = &cert->names[conf->consumer];

    for (uint32_t i = 0; i < names->count; i++)
        if (is_allowed(conf, names->items[i]))
            return names->items[i];
    return names->count ? names->items[0] : STR_NONE;
}

/* Whose it is; absent: it has no such name, or memory ended. */
static struct str find_consumer(struct visit *visit, const struct peer_cert *cert)
{
    const struct mtls_conf *conf = visit->conf;
    char digits[2 * API_KEY_HASH + 1];

    if (conf->consumer != PEER_PRINT)
        return name_of(conf, cert);
    api_key_write_hash(cert->print, digits);
    return arena_copy(visit->arena, (struct str){digits, sizeof(digits) - 1});
}

static enum verdict refuse(struct visit *visit, const char *said, enum reason reason)
{
    struct mtls_state *state = visit->state;

    state->said = said;
    visit->reason = reason;
    return VERDICT_FAIL;
}

static enum verdict judge(struct visit *visit, const struct peer_cert *cert)
{
    const struct mtls_conf *conf = visit->conf;
    struct mtls_state *state = visit->state;

    if (loop_wall_ms(visit->env->loop) >= cert->not_after_ms) // since it was verified
        return refuse(visit, "expired", REASON_CREDENTIALS_INVALID);
    state->consumer = find_consumer(visit, cert);
    if (!state->consumer.p)
        return refuse(visit, "no_name", REASON_CERTIFICATE_DENIED);
    if ((conf->allow.count || conf->fingerprints.count) && !has_print(conf, cert) &&
        !is_allowed(conf, state->consumer))
        return refuse(visit, "not_allowed", REASON_CERTIFICATE_DENIED);
    if (identity_set(visit, state->consumer, conf->tier.s))
        return refuse(visit, "memory", REASON_MEMORY_LIMIT);
    state->said = "good";
    return VERDICT_PASS;
}

static enum verdict on_request(struct visit *visit)
{
    const struct mtls_conf *conf = visit->conf;
    struct mtls_state *state = visit->state;
    const struct peer_cert *cert = filter_peer_cert(visit);

    if (cert)
        return judge(visit, cert);
    if (!conf->optional)
        return refuse(visit, "no_certificate", REASON_CREDENTIALS_MISSING);
    state->said = "no_certificate";
    return VERDICT_PASS;
}

static enum verdict on_response(struct visit *visit)
{
    const struct mtls_conf *conf = visit->conf;
    const struct mtls_state *state = visit->state;
    struct str text;

    if (!visit->is_own || !state->said || visit->reason == REASON_NONE ||
        visit->response->status != 401)
        return VERDICT_PASS;
    text = arena_format(visit->arena, "ClientCertificate realm=\"%.*s\"", STR_FMT(conf->realm.s));
    if (text.p && !head_add(visit->response, visit->arena, STR("WWW-Authenticate"), text))
        return VERDICT_PASS;
    return refuse(visit, "memory", REASON_MEMORY_LIMIT);
}

static struct str describe(struct visit *visit)
{
    const struct mtls_state *state = visit->state;
    char *text, *at;

    if (!state->said)
        return STR_NONE;
    if (!state->consumer.p)
        return arena_format(visit->arena, "\"certificate\":\"%s\"", state->said);
    text = at = arena_text(visit->arena, state->consumer.len * TEXT_JSON_FACTOR + 1);
    if (!text)
        return STR_NONE;
    at = text_json(at, state->consumer);
    return arena_format(visit->arena, "\"certificate\":\"%s\",\"consumer\":\"%.*s\"", state->said,
                        (int)(at - text), text);
}

const struct filter filter_mtls = {
    .name = "mtls",
    .doc = "Lets requests of clients with a certificate pass.",
    .fields = fields,
    .conf_size = sizeof(struct mtls_conf),
    .state_size = sizeof(struct mtls_state),
    .check = check,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
    .describe = describe,
};
