/* SPDX-License-Identifier: Apache-2.0
 *
 * signed_url: lets requests pass whose URL was signed and has not expired: links to share, made by
 * the application. The query has `expires` (Unix seconds) and `signature`, the HMAC-SHA256 in
 * hexadecimal of the path, "?" and the query as it stands without `signature`. The method is part
 * of no signature: links are for GET and HEAD alone.
 */
#include <string.h>

#include "base/arena.h"
#include "config/conf.h"
#include "config/field.h"
#include "edge/auth/credential.h"
#include "edge/auth/key_ring.h"
#include "base/mac.h"
#include "edge/loop.h"
#include "sluice/filter.h"

enum { SECRET_MIN = 32 };

struct signed_url_conf {
    struct conf_texts secrets;
    struct conf_text expires, signature;
    /* prepared */
    struct mac **macs; /* one a secret */
};

struct signed_url_state {
    bool was_asked;
    const char *said; /* why it was refused; NULL: it was not */
};

extern const struct filter filter_signed_url;

static const struct field secret_element = {.type = FIELD_TEXT,
                                            .flags = FIELD_SECRET,
                                            .size = sizeof(struct conf_text)};

static const struct field fields[] = {
    {.name = "secrets",
     .doc = "Secrets of at least 32 bytes that links are signed with; several while one takes the "
            "place of another.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &secret_element,
     FIELD_ITEMS(struct signed_url_conf, secrets.items, secrets.count)},
    {.name = "expires",
     .doc = "Parameter of the query with the Unix second at which the link ends.",
     .standard = "expires",
     .type = FIELD_TEXT,
     FIELD_AT(struct signed_url_conf, expires)},
    {.name = "signature",
     .doc = "Parameter of the query with HMAC-SHA256, in hexadecimal, of path, \"?\" and the rest "
            "of the query.",
     .standard = "signature",
     .type = FIELD_TEXT,
     FIELD_AT(struct signed_url_conf, signature)},
    FIELD_END,
};

static bool check(void *conf, struct span at, struct diag *diag)
{
    const struct signed_url_conf *url = conf;
    bool is_good = true;

    for (uint32_t i = 0; i < url->secrets.count; i++) {
        if (url->secrets.items[i].s.len >= SECRET_MIN)
            continue;
        diag_error(diag, url->secrets.items[i].at, "a secret has at least 32 bytes");
        is_good = false;
    }
    if (!credential_is_name(url->expires.s) || !credential_is_name(url->signature.s) ||
        str_same(url->expires.s, url->signature.s)) {
        diag_error(diag, at, "expires and signature are two names of parameters");
        is_good = false;
    }
    return is_good;
}

/* --- once a configuration */

static bool prepare(void *conf, const struct filter_prepare *prepare)
{
    struct signed_url_conf *url = conf;
    bool is_good;

    url->macs = arena_zero(prepare->arena, url->secrets.count, sizeof(struct mac *));
    is_good = url->macs != NULL;
    for (uint32_t i = 0; is_good && i < url->secrets.count; i++) {
        url->macs[i] = mac_new(url->secrets.items[i].s);
        is_good = url->macs[i] != NULL;
    }
    if (!is_good)
        diag_error(prepare->diag, prepare->at, "no memory for the secrets");
    return is_good;
}

static void dispose(void *conf)
{
    struct signed_url_conf *url = conf;

    for (uint32_t i = 0; url->macs && i < url->secrets.count; i++)
        mac_free(&url->macs[i]);
}

/* --- a request */

/* "path?query", the query without the signature. */
static struct str signed_text(struct visit *visit, struct str query)
{
    return arena_format(visit->arena, "%.*s?%.*s", STR_FMT(visit->request->path), (int)query.len,
                        query.p ? query.p : "");
}

static bool is_signed(const struct signed_url_conf *conf, struct str text,
                      const uint8_t signature[MAC_SIZE])
{
    bool is_it = false;

    for (uint32_t i = 0; i < conf->secrets.count; i++) {
        uint8_t sum[MAC_SIZE];

        if (mac_sum(conf->macs[i], &text, 1, sum))
            is_it |= mac_same(sum, signature);
    }
    return is_it;
}

/* Digits alone, at most twelve. */
static bool read_second(struct str text, uint64_t *second)
{
    *second = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        *second = *second * 10 + (uint64_t)(text.p[i] - '0');
    }
    return text.len > 0 && text.len <= 12;
}

/* NULL: the link is good. The signature is gone from the query then, and in any case. */
static const char *judge(struct visit *visit)
{
    const struct signed_url_conf *conf = visit->conf;
    const struct credential_places signature = {.query = conf->signature.s};
    const struct credential_places expires = {.query = conf->expires.s};
    struct str shown, until, text;
    uint8_t sum[MAC_SIZE];
    enum status status = credential_find(&signature, visit->request, &shown);
    uint64_t second;

    if (credential_hide(&signature, visit->request, visit->arena))
        return "memory";
    if (status)
        return status == E_NOT_FOUND ? "no_signature" : "signature_twice";
    if (visit->request->method != METHOD_GET && visit->request->method != METHOD_HEAD)
        return "method";
    text = signed_text(visit, visit->request->query);
    if (!api_key_read_hash(shown, sum) || !text.p || !is_signed(conf, text, sum))
        return "signature_invalid";
    if (credential_find(&expires, visit->request, &until) || !read_second(until, &second))
        return "no_end";
    return loop_wall_ms(visit->env->loop) < second * 1000 ? NULL : "expired";
}

static enum verdict on_request(struct visit *visit)
{
    struct signed_url_state *state = visit->state;

    state->was_asked = true;
    state->said = judge(visit);
    if (!state->said)
        return VERDICT_PASS;
    visit->reason =
        strcmp(state->said, "expired") ? REASON_URL_SIGNATURE_INVALID : REASON_URL_EXPIRED;
    return VERDICT_FAIL;
}

static enum verdict on_response(struct visit *visit)
{
    const struct signed_url_conf *conf = visit->conf;
    const struct signed_url_state *state = visit->state;
    const struct credential_places signature = {.query = conf->signature.s};

    if (visit->is_own && !state->was_asked &&
        credential_hide(&signature, visit->request, visit->arena))
        visit->request->query = STR_NONE; // what cannot be hidden is not shown at all
    return VERDICT_PASS;
}

static struct str describe(struct visit *visit)
{
    const struct signed_url_state *state = visit->state;

    if (!state->was_asked)
        return STR_NONE;
    return arena_format(visit->arena, "\"link\":\"%s\"", state->said ? state->said : "good");
}

static uint32_t count_keys(const void *conf)
{
    const struct signed_url_conf *url = conf;

    return url->secrets.count;
}

const struct filter filter_signed_url = {
    .name = "signed_url",
    .doc = "Lets requests pass whose URL was signed and has not expired.",
    .fields = fields,
    .conf_size = sizeof(struct signed_url_conf),
    .state_size = sizeof(struct signed_url_state),
    .check = check,
    .prepare = prepare,
    .dispose = dispose,
    .count_keys = count_keys,
    .on_request = on_request,
    .on_response = on_response,
    .describe = describe,
};
