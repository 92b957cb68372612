/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/jwt.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "edge/auth/jose_json.h"
#include "edge/auth/jwks.h"

enum { FORWARD_MAX = 4096 }; /* bytes of a claim that goes into a field */

/* --- claims as fields */

/* RFC 9110 section 5.5: no control characters, no space at the ends. */
static bool is_value(struct str s)
{
    if (s.len > FORWARD_MAX || (s.len && (s.p[0] == ' ' || s.p[s.len - 1] == ' ')))
        return false;
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

/* Texts of a list with commas between; absent when one of them has a comma itself, or is no text.
 */
static struct str join(const json_t *list, struct arena *arena)
{
    struct str all = STR("");

    for (size_t i = 0; i < json_array_size(list) && all.p; i++) {
        struct str one = jose_json_str(json_array_get(list, i));

        if (!one.p || memchr(one.p, ',', one.len) || all.len > FORWARD_MAX)
            return STR_NONE;
        all = arena_format(arena, "%.*s%s%.*s", STR_FMT(all), i ? "," : "", STR_FMT(one));
    }
    return all;
}

static struct str number(const json_t *value, struct arena *arena)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    struct str copy = text ? arena_copy(arena, (struct str){text, strlen(text)}) : STR_NONE;

    free(text);
    return copy;
}

/* Absent: it cannot stand in a field. */
static struct str as_field(const json_t *value, struct arena *arena)
{
    if (json_is_string(value))
        return arena_copy(arena, jose_json_str(value));
    if (json_is_array(value))
        return join(value, arena);
    if (json_is_number(value) || json_is_boolean(value))
        return number(value, arena);
    return STR_NONE;
}

static enum fault take_forwards(struct jwt *jwt, const json_t *claims,
                                const struct jwt_rules *rules, struct arena *arena)
{
    jwt->forward = arena_zero(arena, rules->forward_count, sizeof(*jwt->forward));
    if (!jwt->forward)
        return FAULT_MEMORY;
    for (uint32_t i = 0; i < rules->forward_count; i++) {
        const json_t *value = jose_json_find(claims, rules->forwards[i].claim.p);

        if (!value || json_is_null(value))
            continue;
        jwt->forward[i] = as_field(value, arena);
        if (!jwt->forward[i].p || !is_value(jwt->forward[i]))
            return FAULT_FORWARD;
    }
    return FAULT_NONE;
}

/* --- the whole */

static enum fault read_claims(struct jwt *jwt, const json_t *claims, const struct jwt_ask *ask,
                              struct arena *arena)
{
    const json_t *subject = json_object_get(claims, "sub");
    enum fault fault = claims_check(claims, &ask->rules->claims, ask->now_ms, &jwt->ends_ms);

    if (fault != FAULT_NONE) {
        jwt->failed = claims_failed(claims, &ask->rules->claims, fault);
        return fault;
    }
    if (subject) {
        jwt->subject = arena_copy(arena, jose_json_str(subject));
        if (!jwt->subject.p)
            return FAULT_MEMORY;
    }
    return take_forwards(jwt, claims, ask->rules, arena);
}

enum fault jwt_read(struct jwt *jwt, const struct jwt_ask *ask, struct arena *arena)
{
    struct jws jws;
    enum fault fault = jws_read(&jws, ask->token, arena);
    json_t *claims;

    *jwt = (struct jwt){.ends_ms = 0};
    if (fault == FAULT_NONE && !(ask->rules->algs >> jws.alg & 1))
        fault = FAULT_ALG_DENIED;
    if (fault == FAULT_NONE)
        fault = jwks_verify(ask->jwks, &jws);
    if (fault != FAULT_NONE)
        return fault;
    jwt->claims = jws.payload;
    claims = jose_json_read(jwt->claims);
    fault = claims ? read_claims(jwt, claims, ask, arena) : FAULT_PAYLOAD;
    json_decref(claims);
    return fault;
}
