/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of claims.c and of what jwt.c makes of claims: times to the millisecond, required claims
 * and scopes in the shapes that issuers give them, and claims that become header fields.
 */
#include <jansson.h>

#include "edge/auth/jose_json.h"
#include "edge/auth/jwks.h"
#include "edge/auth/jwt.h"
#include "test_jose_sign.h"

#define NOW_MS 1700000000000U

static enum fault check(const char *text, const struct claims_rules *rules, uint64_t *ends_ms)
{
    json_t *claims = jose_json_read(hands_text(text));
    uint64_t ends;
    enum fault fault;

    assert_non_null(claims);
    fault = claims_check(claims, rules, NOW_MS, ends_ms ? ends_ms : &ends);
    json_decref(claims);
    return fault;
}

static void leeway_is_exact(void **state)
{
    const struct claims_rules none = {0}, some = {.leeway_ms = 30000};
    uint64_t ends;

    (void)state;
    assert_int_equal(check("{\"exp\":1700000000}", &none, NULL), FAULT_EXPIRED);
    assert_int_equal(check("{\"exp\":1700000000.001}", &none, &ends), FAULT_NONE);
    assert_int_equal(ends, NOW_MS + 1);
    assert_int_equal(check("{\"exp\":1699999970}", &some, NULL), FAULT_EXPIRED);
    assert_int_equal(check("{\"exp\":1699999971}", &some, &ends), FAULT_NONE);
    assert_int_equal(ends, NOW_MS + 1000);
    assert_int_equal(check("{\"exp\":1700000100,\"nbf\":1700000000}", &none, NULL), FAULT_NONE);
    assert_int_equal(check("{\"exp\":1700000100,\"nbf\":1700000001}", &none, NULL), FAULT_EARLY);
    assert_int_equal(check("{\"exp\":1700000100,\"nbf\":1700000030}", &some, NULL), FAULT_NONE);
    assert_int_equal(check("{\"exp\":1700000100,\"iat\":1700000031}", &some, NULL), FAULT_EARLY);
}

static void a_token_ends_unless_it_need_not(void **state)
{
    const struct claims_rules strict = {0}, lax = {.is_endless = true};
    uint64_t ends;

    (void)state;
    assert_int_equal(check("{}", &strict, NULL), FAULT_ENDLESS);
    assert_int_equal(check("{}", &lax, &ends), FAULT_NONE);
    assert_true(ends == UINT64_MAX);
    assert_int_equal(check("{\"exp\":1}", &lax, NULL), FAULT_EXPIRED);
}

static void required_claims(void **state)
{
    static const struct str admin[] = {STR_INIT("admin"), STR_INIT("root")};
    static const struct str yes[] = {STR_INIT("true")}, seven[] = {STR_INIT("7")};
    static const struct {
        struct claims_need need;
        const char *claims;
        enum fault fault;
    } cases[] = {
        {{STR_INIT("role"), admin, 2}, "{\"role\":\"admin\"}", FAULT_NONE},
        {{STR_INIT("role"), admin, 2}, "{\"role\":[\"x\",\"root\"]}", FAULT_NONE},
        {{STR_INIT("role"), admin, 2}, "{\"role\":\"administrator\"}", FAULT_CLAIM},
        {{STR_INIT("role"), admin, 2}, "{\"role\":[]}", FAULT_CLAIM},
        {{STR_INIT("role"), admin, 2}, "{\"role\":{\"admin\":true}}", FAULT_CLAIM},
        {{STR_INIT("role"), admin, 2}, "{\"role\":[[\"admin\"]]}", FAULT_CLAIM},
        {{STR_INIT("role"), admin, 2}, "{}", FAULT_CLAIM},
        {{STR_INIT("role"), NULL, 0}, "{\"role\":0}", FAULT_NONE},
        {{STR_INIT("role"), NULL, 0}, "{\"role\":null}", FAULT_CLAIM},
        {{STR_INIT("email_verified"), yes, 1}, "{\"email_verified\":true}", FAULT_NONE},
        {{STR_INIT("email_verified"), yes, 1}, "{\"email_verified\":false}", FAULT_CLAIM},
        {{STR_INIT("level"), seven, 1}, "{\"level\":7}", FAULT_NONE},
        {{STR_INIT("level"), seven, 1}, "{\"level\":7.0}", FAULT_CLAIM},
        {{STR_INIT("realm.roles"), admin, 2}, "{\"realm\":{\"roles\":[\"admin\"]}}", FAULT_NONE},
        {{STR_INIT("realm.roles"), admin, 2}, "{\"realm.roles\":\"admin\"}", FAULT_NONE},
        {{STR_INIT("realm.roles"), admin, 2}, "{\"realm\":[\"admin\"]}", FAULT_CLAIM},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct claims_rules rules = {.needs = &cases[i].need,
                                           .need_count = 1,
                                           .is_endless = true};

        assert_int_equal(check(cases[i].claims, &rules, NULL), cases[i].fault);
    }
}

static void scopes_in_all_their_shapes(void **state)
{
    static const struct str wanted[] = {STR_INIT("read"), STR_INIT("write")};
    const struct claims_rules rules = {.scopes = wanted, .scope_count = 2, .is_endless = true};
    static const struct {
        const char *claims;
        enum fault fault;
    } cases[] = {
        {"{\"scope\":\"read write\"}", FAULT_NONE},
        {"{\"scope\":\"a write b read\"}", FAULT_NONE},
        {"{\"scp\":[\"write\",\"read\"]}", FAULT_NONE},
        {"{\"scp\":\"write read\"}", FAULT_NONE},
        {"{\"scope\":[\"write\",\"read\"]}", FAULT_NONE},
        {"{\"scope\":\"read\",\"scp\":[\"write\"]}", FAULT_NONE},
        {"{\"scope\":\"read\"}", FAULT_SCOPE},
        {"{\"scope\":\"readwrite\"}", FAULT_SCOPE},
        {"{\"scope\":\"read,write\"}", FAULT_SCOPE},
        {"{\"scope\":\"read write2\"}", FAULT_SCOPE},
        {"{\"scope\":\"READ WRITE\"}", FAULT_SCOPE},
        {"{\"scp\":[\"read write\"]}", FAULT_SCOPE},
        {"{\"scope\":\"\"}", FAULT_SCOPE},
        {"{}", FAULT_SCOPE},
        {"{\"scope\":1}", FAULT_CLAIM_TYPE},
        {"{\"scp\":[\"read\",\"write\",1]}", FAULT_CLAIM_TYPE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(check(cases[i].claims, &rules, NULL), cases[i].fault);
}

/* --- claims as fields */

static enum fault forward(struct hands *hands, const char *payload, struct jwt *jwt)
{
    static const struct jwt_forward forwards[] = {{STR_INIT("v"), STR_INIT("x-v")},
                                                  {STR_INIT("a.b"), STR_INIT("x-b")}};
    const struct jwt_rules rules = {.algs = JWT_ALGS_ALL,
                                    .claims = {.is_endless = true},
                                    .forwards = forwards,
                                    .forward_count = 2};
    const char *why = NULL;
    struct jwks *jwks = jwks_read_secret(STR(MAKE_SECRET), &why);
    struct jwt_ask ask = {.token = hands_token(hands, JOSE_HS256, MAKER_SECRET, "", payload),
                          .jwks = jwks,
                          .rules = &rules,
                          .now_ms = NOW_MS};
    enum fault fault = jwt_read(jwt, &ask, &hands->arena);

    jwks_free(jwks);
    return fault;
}

static void claims_become_fields(void **state)
{
    static const struct {
        const char *payload, *v; /* NULL: none */
    } good[] = {
        {"{\"v\":\"ann\"}", "ann"},
        {"{\"v\":\"\"}", ""},
        {"{\"v\":\"\xc3\xa9\"}", "\xc3\xa9"},
        {"{\"v\":7}", "7"},
        {"{\"v\":1.5}", "1.5"},
        {"{\"v\":true}", "true"},
        {"{\"v\":[\"a\",\"b\"]}", "a,b"},
        {"{\"v\":[]}", ""},
        {"{\"v\":null}", NULL},
        {"{}", NULL},
    };
    static const char *const bad[] = {"{\"v\":\"a\\r\\nx-admin: 1\"}",
                                      "{\"v\":\"a\\u007f\"}",
                                      "{\"v\":\" a\"}",
                                      "{\"v\":\"a \"}",
                                      "{\"v\":{}}",
                                      "{\"v\":[\"a,b\"]}",
                                      "{\"v\":[1]}",
                                      "{\"v\":[[\"a\"]]}",
                                      "{\"v\":[\"\\n\"]}"};
    struct hands *hands = hands_new();
    struct jwt jwt;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(forward(hands, good[i].payload, &jwt), FAULT_NONE);
        assert_int_equal(jwt.forward[0].p != NULL, good[i].v != NULL);
        assert_true(!good[i].v || str_same(jwt.forward[0], hands_text(good[i].v)));
        assert_null(jwt.forward[1].p);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(forward(hands, bad[i], &jwt), FAULT_FORWARD);
    assert_int_equal(forward(hands, "{\"a\":{\"b\":\"in\"},\"sub\":\"s\"}", &jwt), FAULT_NONE);
    assert_true(str_same(jwt.forward[1], STR("in")));
    assert_true(str_same(jwt.subject, STR("s")));
    hands_free(hands);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leeway_is_exact),      cmocka_unit_test(a_token_ends_unless_it_need_not),
        cmocka_unit_test(required_claims),      cmocka_unit_test(scopes_in_all_their_shapes),
        cmocka_unit_test(claims_become_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
