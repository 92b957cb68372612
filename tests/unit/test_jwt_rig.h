/* SPDX-License-Identifier: Apache-2.0
 *
 * A judge of tokens: a set of public keys of every family, a set of one shared secret, rules; and
 * how a test says why a token is to be refused.
 */
#ifndef TEST_JWT_RIG_H
#define TEST_JWT_RIG_H

#include "edge/auth/jwks.h"
#include "edge/auth/jwt.h"
#include "test_jose_sign.h"

#define NOW_MS 1700000000000U
#define GOOD "{\"iss\":\"me\",\"aud\":\"you\",\"sub\":\"ann\",\"exp\":1700000100}"

static const struct str issuers[] = {STR_INIT("me")}, audiences[] = {STR_INIT("you")};

static const struct jwt_rules rules = {
    .algs = JWT_ALGS_ALL,
    .claims = {.issuers = issuers,
               .issuer_count = 1,
               .audiences = audiences,
               .audience_count = 1,
               .leeway_ms = 30000},
};

struct rig {
    struct hands *hands;
    struct jwks *public, *secret;
    unsigned refused;
};

__attribute__((unused)) static int set_up(void **state)
{
    struct rig *rig = test_calloc(1, sizeof(*rig));
    struct hands *hands = rig->hands = hands_new();
    const char *why = NULL;

    rig->public =
        jwks_read(arena_format(&hands->arena, "{\"keys\":[%s,%s,%s]}",
                               hands_jwk(hands, MAKER_RSA, ",\"kid\":\"rsa\",\"alg\":\"RS256\"").p,
                               hands_jwk(hands, MAKER_P256, ",\"kid\":\"ec\"").p,
                               hands_jwk(hands, MAKER_ED, ",\"kid\":\"ed\"").p),
                  &why);
    rig->secret = jwks_read_secret(STR(MAKE_SECRET), &why);
    *state = rig;
    return rig->public && rig->secret ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    jwks_free(rig->public);
    jwks_free(rig->secret);
    hands_free(rig->hands);
    test_free(rig);
    return 0;
}

static enum fault ask(struct rig *rig, const struct jwks *jwks, struct str token)
{
    /* A copy of exactly that size: a step too far is seen by the sanitizer. */
    char *exact = test_malloc(token.len + 1);
    struct jwt_ask question = {.token = {exact, token.len},
                               .jwks = jwks,
                               .rules = &rules,
                               .now_ms = NOW_MS};
    struct arena arena;
    struct jwt jwt;
    enum fault fault;

    memcpy(exact, token.p, token.len);
    arena_init(&arena, NULL, 0);
    fault = jwt_read(&jwt, &question, &arena);
    arena_reset(&arena);
    test_free(exact);
    (void)rig;
    return fault;
}

static void refused(struct rig *rig, const struct jwks *jwks, struct str token, enum fault expected)
{
    enum fault fault = ask(rig, jwks, token);

    if (fault != expected)
        fail_msg("%s, not %s: %.*s", fault_word(fault), fault_word(expected), STR_FMT(token));
    rig->refused++;
}

static struct str signed_token(struct rig *rig, enum jose_alg alg, enum maker maker,
                               const char *header, const char *payload)
{
    struct str input = hands_input(rig->hands, header, payload);

    return hands_join(rig->hands, input, hands_sign(rig->hands, alg, maker, input, false));
}

#endif
