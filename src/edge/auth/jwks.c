/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/jwks.h"

#include <jansson.h>
#include <stdlib.h>

#include "edge/auth/jose_json.h"

static struct jwks *new_set(size_t count)
{
    struct jwks *jwks = calloc(1, sizeof(*jwks));

    if (!jwks)
        return NULL;
    arena_init(&jwks->arena, NULL, 0);
    jwks->keys = arena_zero(&jwks->arena, count, sizeof(*jwks->keys));
    if (jwks->keys)
        return jwks;
    jwks_free(jwks);
    return NULL;
}

void jwks_free(struct jwks *jwks)
{
    if (!jwks)
        return;
    for (uint32_t i = 0; i < jwks->count; i++)
        jwk_fini(&jwks->keys[i]);
    arena_reset(&jwks->arena);
    free(jwks);
}

/* A published set has no secrets: beside public keys they are not believed. */
static void drop_secrets(struct jwks *jwks)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < jwks->count; i++)
        kept += jwks->keys[i].family != JOSE_OCT;
    if (!kept || kept == jwks->count)
        return;
    kept = 0;
    for (uint32_t i = 0; i < jwks->count; i++) {
        if (jwks->keys[i].family == JOSE_OCT)
            jwk_fini(&jwks->keys[i]);
        else
            jwks->keys[kept++] = jwks->keys[i];
    }
    jwks->skipped += jwks->count - kept;
    jwks->count = kept;
}

static struct jwks *read_keys(const json_t *list, const char **why)
{
    struct jwks *jwks = new_set(json_array_size(list));

    *why = "memory ended";
    if (!jwks)
        return NULL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        enum status status;

        *why = NULL;
        status = jwk_read(&jwks->keys[jwks->count], json_array_get(list, i), &jwks->arena, why);
        jwks->count += status == OK;
        jwks->skipped += status != OK;
    }
    drop_secrets(jwks);
    if (jwks->count)
        return jwks;
    *why = jwks->skipped == 1 && *why ? *why : "none of its keys can be used";
    jwks_free(jwks);
    return NULL;
}

struct jwks *jwks_read(struct str text, const char **why)
{
    struct jwks *jwks = NULL;
    json_t *json = text.len <= JWKS_TEXT_MAX ? jose_json_read(text) : NULL;
    const json_t *list = json_object_get(json, "keys");

    if (!json)
        *why = "it is not a JSON object in order";
    else if (!json_is_array(list) || !json_array_size(list))
        *why = "it has no list \"keys\"";
    else if (json_array_size(list) > JWKS_KEYS_MAX)
        *why = "it has more than 100 keys";
    else
        jwks = read_keys(list, why);
    json_decref(json);
    return jwks;
}

static struct jwks *with_one(struct jwks *jwks, enum status status, const char **why)
{
    if (!status) {
        jwks->count = 1;
        return jwks;
    }
    if (status == E_NOMEM)
        *why = "memory ended";
    jwks_free(jwks);
    return NULL;
}

struct jwks *jwks_read_pem(struct str pem, const char **why)
{
    struct jwks *jwks = new_set(1);

    return with_one(jwks, jwks ? jwk_read_pem(&jwks->keys[0], pem, why) : E_NOMEM, why);
}

struct jwks *jwks_read_secret(struct str secret, const char **why)
{
    struct jwks *jwks = new_set(1);

    return with_one(jwks,
                    jwks ? jwk_read_secret(&jwks->keys[0], secret, &jwks->arena, why) : E_NOMEM,
                    why);
}

enum fault jwks_verify(const struct jwks *jwks, const struct jws *jws)
{
    enum fault fault = FAULT_KEY;
    unsigned tries = 0;

    for (uint32_t i = 0; i < jwks->count && tries < JWKS_TRIES_MAX; i++) {
        const struct jwk *jwk = &jwks->keys[i];

        if ((jws->kid.p && jwk->kid.p && !str_same(jws->kid, jwk->kid)) || !jwk_fits(jwk, jws->alg))
            continue;
        tries++;
        fault = jws_verify(jws, jwk);
        if (fault == FAULT_NONE)
            break;
    }
    return fault;
}
