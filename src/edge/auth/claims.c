/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/claims.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "edge/auth/jose_json.h"

/* Past the year 9999 nothing is a time (RFC 7519 section 2, NumericDate). */
#define SECONDS_MAX 253402300799.0

/* --- times */

/* A NumericDate in milliseconds, rounded down; UINT64_MAX when there is none. */
static enum fault read_time(const json_t *claims, const char *name, uint64_t *ms)
{
    const json_t *value = json_object_get(claims, name);
    double seconds = json_number_value(value);

    *ms = UINT64_MAX;
    if (!value)
        return FAULT_NONE;
    if (!json_is_number(value) || !(seconds >= 0) || seconds > SECONDS_MAX)
        return FAULT_CLAIM_TYPE;
    *ms = (uint64_t)(seconds * 1000);
    return FAULT_NONE;
}

static enum fault check_times(const json_t *claims, const struct claims_rules *rules,
                              uint64_t now_ms, uint64_t *ends_ms)
{
    uint64_t ends, begins, issued;

    if (read_time(claims, "exp", &ends) || read_time(claims, "nbf", &begins) ||
        read_time(claims, "iat", &issued))
        return FAULT_CLAIM_TYPE;
    *ends_ms = ends;
    if (ends == UINT64_MAX && !rules->is_endless)
        return FAULT_ENDLESS;
    if (ends != UINT64_MAX)
        *ends_ms = ends + rules->leeway_ms;
    /* RFC 7519 section 4.1.4: on or after exp it is not accepted. */
    if (now_ms >= *ends_ms)
        return FAULT_EXPIRED;
    if ((begins != UINT64_MAX && begins > now_ms + rules->leeway_ms) ||
        (issued != UINT64_MAX && issued > now_ms + rules->leeway_ms))
        return FAULT_EARLY;
    return FAULT_NONE;
}

/* --- texts and lists of them */

static bool is_among(struct str word, const struct str *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (str_same(word, words[i]))
            return true;
    return false;
}

static bool is_texts(const json_t *value)
{
    if (json_is_string(value))
        return true;
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_string(json_array_get(value, i)))
            return false;
    return json_is_array(value);
}

/* A scalar as the text that a configuration would write for it. */
static struct str scalar(const json_t *value, char *room, size_t size)
{
    int len;

    if (json_is_string(value))
        return jose_json_str(value);
    if (json_is_boolean(value))
        return json_is_true(value) ? STR("true") : STR("false");
    if (!json_is_integer(value))
        return STR_NONE;
    len = snprintf(room, size, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    return (struct str){room, (size_t)len};
}

static bool has_one(const json_t *value, const struct str *wanted, uint32_t count)
{
    char room[32];
    struct str text = scalar(value, room, sizeof(room));

    if (text.p)
        return is_among(text, wanted, count);
    for (size_t i = 0; i < json_array_size(value); i++) {
        text = scalar(json_array_get(value, i), room, sizeof(room));
        if (text.p && is_among(text, wanted, count))
            return true;
    }
    return false;
}

/* --- who it is from, and for whom */

static enum fault check_parties(const json_t *claims, const struct claims_rules *rules)
{
    const json_t *issuer = json_object_get(claims, "iss"), *audience;
    const json_t *subject = json_object_get(claims, "sub");

    if ((issuer && !json_is_string(issuer)) || (subject && !json_is_string(subject)))
        return FAULT_CLAIM_TYPE;
    audience = json_object_get(claims, "aud");
    if (audience && !is_texts(audience))
        return FAULT_CLAIM_TYPE;
    if (rules->issuer_count && !has_one(issuer, rules->issuers, rules->issuer_count))
        return FAULT_ISSUER;
    if (rules->audience_count && !has_one(audience, rules->audiences, rules->audience_count))
        return FAULT_AUDIENCE;
    return FAULT_NONE;
}

/* --- what it allows */

/* The first that is not met; NULL: all are. */
static const struct claims_need *unmet_need(const json_t *claims, const struct claims_rules *rules)
{
    for (uint32_t i = 0; i < rules->need_count; i++) {
        const struct claims_need *need = &rules->needs[i];
        const json_t *value = jose_json_find(claims, need->name.p);

        if (!value || json_is_null(value) ||
            (need->count && !has_one(value, need->values, need->count)))
            return need;
    }
    return NULL;
}

/* Words between single spaces (RFC 6749 section 3.3). */
static bool has_word(struct str words, struct str wanted)
{
    while (words.p && words.len >= wanted.len) {
        const char *space = memchr(words.p, ' ', words.len);
        size_t len = space ? (size_t)(space - words.p) : words.len;

        if (str_same((struct str){words.p, len}, wanted))
            return true;
        if (!space)
            break;
        words = (struct str){space + 1, words.len - len - 1};
    }
    return false;
}

static bool has_scope(const json_t *value, struct str wanted)
{
    if (json_is_string(value))
        return has_word(jose_json_str(value), wanted);
    return has_one(value, &wanted, 1);
}

/* In `scope` (RFC 9068 section 2.2.3), or `scp` as some issuers have it. NULL: none is missing. */
static const struct str *unmet_scope(const json_t *claims, const struct claims_rules *rules)
{
    const json_t *scope = json_object_get(claims, "scope");
    const json_t *scp = json_object_get(claims, "scp");

    for (uint32_t i = 0; i < rules->scope_count; i++)
        if (!has_scope(scope, rules->scopes[i]) && !has_scope(scp, rules->scopes[i]))
            return &rules->scopes[i];
    return NULL;
}

static enum fault check_scopes(const json_t *claims, const struct claims_rules *rules)
{
    const json_t *scope = json_object_get(claims, "scope");
    const json_t *scp = json_object_get(claims, "scp");

    if (!rules->scope_count)
        return FAULT_NONE;
    if ((scope && !is_texts(scope)) || (scp && !is_texts(scp)))
        return FAULT_CLAIM_TYPE;
    return unmet_scope(claims, rules) ? FAULT_SCOPE : FAULT_NONE;
}

struct str claims_failed(const json_t *claims, const struct claims_rules *rules, enum fault fault)
{
    switch (fault) {
    case FAULT_CLAIM:
        return unmet_need(claims, rules)->name;
    case FAULT_SCOPE:
        return *unmet_scope(claims, rules);
    case FAULT_ISSUER:
        return STR("iss");
    case FAULT_AUDIENCE:
        return STR("aud");
    case FAULT_EXPIRED:
    case FAULT_ENDLESS:
        return STR("exp");
    case FAULT_EARLY:
        return STR("nbf");
    default:
        return STR_NONE;
    }
}

enum fault claims_check(const struct json_t *claims, const struct claims_rules *rules,
                        uint64_t now_ms, uint64_t *ends_ms)
{
    enum fault fault = check_times(claims, rules, now_ms, ends_ms);

    if (fault == FAULT_NONE)
        fault = check_parties(claims, rules);
    if (fault == FAULT_NONE && unmet_need(claims, rules))
        fault = FAULT_CLAIM;
    if (fault == FAULT_NONE)
        fault = check_scopes(claims, rules);
    return fault;
}
