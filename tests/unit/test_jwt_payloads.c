/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens whose signature is good, and whose payload is not.
 */
#include "test_jwt_rig.h"

#define HEAD "{\"iss\":\"me\",\"aud\":\"you\",\"exp\":1700000100"
static const struct {
    const char *payload;
    enum fault fault;
} cases[] = {
    {"[]", FAULT_PAYLOAD},
    {"null", FAULT_PAYLOAD},
    {"1", FAULT_PAYLOAD},
    {"eyJhbGciOiJub25lIn0.e30.", FAULT_PAYLOAD},
    {HEAD, FAULT_PAYLOAD},
    {HEAD "}}", FAULT_PAYLOAD},
    {HEAD ",\"exp\":1700000100}", FAULT_PAYLOAD},
    {HEAD ",\"sub\":\"ann\",\"sub\":\"root\"}", FAULT_PAYLOAD},
    {HEAD ",\"\\u0069ss\":\"me\"}", FAULT_PAYLOAD},
    {HEAD ",\"a\":{\"b\":1,\"b\":2}}", FAULT_PAYLOAD},
    {HEAD ",\"sub\":\"\xff\"}", FAULT_PAYLOAD},
    {HEAD ",\"sub\":\"a\\u0000\"}", FAULT_PAYLOAD},
    {HEAD ",\"sub\":\"\\ud800\"}", FAULT_PAYLOAD},
    {HEAD ",\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", FAULT_PAYLOAD},
    {HEAD ",\"a\":99999999999999999999999}", FAULT_PAYLOAD},
    {HEAD ",\"sub\":1}", FAULT_CLAIM_TYPE},
    {HEAD ",\"sub\":null}", FAULT_CLAIM_TYPE},
    {HEAD ",\"sub\":[\"ann\"]}", FAULT_CLAIM_TYPE},
    {HEAD ",\"nbf\":\"1\"}", FAULT_CLAIM_TYPE},
    {HEAD ",\"nbf\":1700000031}", FAULT_EARLY},
    {HEAD ",\"nbf\":-1}", FAULT_CLAIM_TYPE},
    {HEAD ",\"iat\":1700000031}", FAULT_EARLY},
    {HEAD ",\"iat\":{}}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\"}", FAULT_ENDLESS},
    {"{}", FAULT_ENDLESS},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":\"1700000100\"}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":null}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":true}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":[1700000100]}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":-1}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":1e300}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":9223372036854775807}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":1e999}", FAULT_PAYLOAD},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":NaN}", FAULT_PAYLOAD},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":0}", FAULT_EXPIRED},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":1699999970}", FAULT_EXPIRED},
    {"{\"iss\":\"me\",\"aud\":\"you\",\"exp\":1699999969.999}", FAULT_EXPIRED},
    {"{\"aud\":\"you\",\"exp\":1700000100}", FAULT_ISSUER},
    {"{\"iss\":\"Me\",\"aud\":\"you\",\"exp\":1700000100}", FAULT_ISSUER},
    {"{\"iss\":\"me \",\"aud\":\"you\",\"exp\":1700000100}", FAULT_ISSUER},
    {"{\"iss\":\"\",\"aud\":\"you\",\"exp\":1700000100}", FAULT_ISSUER},
    {"{\"iss\":[\"me\"],\"aud\":\"you\",\"exp\":1700000100}", FAULT_CLAIM_TYPE},
    {"{\"iss\":{},\"aud\":\"you\",\"exp\":1700000100}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"exp\":1700000100}", FAULT_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":\"yo\",\"exp\":1700000100}", FAULT_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":\"you,them\",\"exp\":1700000100}", FAULT_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":[],\"exp\":1700000100}", FAULT_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":[\"them\"],\"exp\":1700000100}", FAULT_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":[[\"you\"]],\"exp\":1700000100}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":[\"you\",1],\"exp\":1700000100}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":{\"you\":1},\"exp\":1700000100}", FAULT_CLAIM_TYPE},
    {"{\"iss\":\"me\",\"aud\":null,\"exp\":1700000100}", FAULT_CLAIM_TYPE},
};
#undef HEAD

static void payloads_out_of_order_are_refused(void **state)
{
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(rig, rig->public,
                signed_token(rig, JOSE_ES256, MAKER_P256, "{\"alg\":\"ES256\"}", cases[i].payload),
                cases[i].fault);
}

/* What an attacker may not choose: the algorithm that the configuration leaves out. */
static void algorithms_can_be_narrowed(void **state)
{
    struct rig *rig = *state;
    struct jwt_rules narrow = rules;
    struct jwt_ask question = {.token = signed_token(rig, JOSE_ES256, MAKER_P256,
                                                     "{\"alg\":\"ES256\",\"kid\":\"ec\"}", GOOD),
                               .jwks = rig->public,
                               .rules = &narrow,
                               .now_ms = NOW_MS};
    struct jwt jwt;

    narrow.algs = 1U << JOSE_RS256 | 1U << JOSE_EDDSA;
    assert_int_equal(jwt_read(&jwt, &question, &rig->hands->arena), FAULT_ALG_DENIED);
    narrow.algs |= 1U << JOSE_ES256;
    assert_int_equal(jwt_read(&jwt, &question, &rig->hands->arena), FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_out_of_order_are_refused),
        cmocka_unit_test(algorithms_can_be_narrowed),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
