/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer driver of the token parser. The input is a token as it comes, and then header and
 * payload (split at the first NUL) of one that is signed well, so that what lies behind the
 * signature is reached. Checks: no crash; nothing passes that was not signed; what passes has its
 * claims as JSON, and is remembered as it was said.
 */
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/auth/jose_base64.h"
#include "edge/auth/jwks.h"
#include "edge/auth/jwt.h"
#include "edge/auth/token_cache.h"

#define SECRET "a secret that the fuzzer could only guess"

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static const struct jwt_forward forwards[] = {{STR_INIT("sub"), STR_INIT("x-sub")},
                                              {STR_INIT("a.b"), STR_INIT("x-b")}};
static const struct str scopes[] = {STR_INIT("read")};
static const struct claims_need needs[] = {{STR_INIT("role"), scopes, 1}};

static void ask(const struct jwks *jwks, struct str token, bool is_signed, unsigned how)
{
    struct jwt_rules rules = {.algs = JWT_ALGS_ALL,
                              .claims = {.scopes = scopes,
                                         .scope_count = how & 1,
                                         .needs = needs,
                                         .need_count = how >> 1 & 1,
                                         .is_endless = how >> 2 & 1},
                              .forwards = forwards,
                              .forward_count = 2};
    struct jwt_ask question = {.token = token,
                               .jwks = jwks,
                               .rules = &rules,
                               .now_ms = 1700000000000};
    struct arena arena;
    struct jwt jwt;
    enum fault fault;

    arena_init(&arena, NULL, 0);
    fault = jwt_read(&jwt, &question, &arena);
    require(is_signed || fault != FAULT_NONE, "nothing passes unsigned");
    require(fault_word(fault) && fault_sentence(fault), "a refusal has words");
    if (fault == FAULT_NONE) {
        struct token_cache *cache = token_cache_new();
        struct token_key key = {.token = token, .rules = 1, .keys = 1};
        const struct jwt *known;

        require(jwt.claims.len >= 2 && jwt.claims.p[0] != '[', "claims are an object");
        require(cache != NULL, "a cache");
        token_cache_put(cache, &key, &jwt, 2);
        known = token_cache_find(cache, &key, question.now_ms);
        require(known && str_same(known->claims, jwt.claims), "it is remembered");
        require(str_same(known->forward[0], jwt.forward[0]), "with what goes to the target");
        token_cache_free(&cache);
    }
    arena_reset(&arena);
}

static struct str sign(struct arena *arena, struct str header, struct str payload)
{
    size_t room = (header.len + payload.len) * 2 + 64;
    char *text = arena_text(arena, room), *end = jose_base64_encode(text, header);
    unsigned char sum[32];

    *end++ = '.';
    end = jose_base64_encode(end, payload);
    HMAC(EVP_sha256(), SECRET, sizeof(SECRET) - 1, (unsigned char *)text, (size_t)(end - text), sum,
         NULL);
    *end++ = '.';
    end = jose_base64_encode(end, (struct str){(const char *)sum, sizeof(sum)});
    return (struct str){text, (size_t)(end - text)};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwks *jwks;
    struct str in = {(const char *)data + 1, size - 1}, header = STR("{\"alg\":\"HS256\"}");
    const char *end, *why = NULL;
    struct jwks *set;
    struct arena arena;

    if (!size || size > 20000)
        return 0;
    if (!jwks)
        jwks = jwks_read_secret(STR(SECRET), &why);
    require(jwks != NULL, "keys");
    ask(jwks, in, false, data[0]);
    arena_init(&arena, NULL, 0);
    end = in.len ? memchr(in.p, '\0', in.len) : NULL;
    if (end) {
        header = (struct str){in.p, (size_t)(end - in.p)};
        in = (struct str){end + 1, in.len - header.len - 1};
    }
    ask(jwks, sign(&arena, header, in), true, data[0]);
    set = jwks_read(in, &why);
    require(set || why, "a set that is refused has words");
    jwks_free(set);
    arena_reset(&arena);
    return 0;
}
