/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the pure parts of tokens: base64url, JSON, keys, and signatures, with the vectors of RFC
 * 7515 appendix A and RFC 8037 appendix A, and with keys made here.
 */
#include <jansson.h>

#include "edge/auth/jose_json.h"
#include "edge/auth/jwks.h"
#include "test_jose_sign.h"

static int set_up(void **state)
{
    *state = hands_new();
    return 0;
}

static int tear_down(void **state)
{
    hands_free(*state);
    return 0;
}

/* --- base64url */

static void base64_has_one_text_for_each_run_of_bytes(void **state)
{
    static const char *const good[][2] = {
        {"", ""},           {"Zg", "f"},         {"Zm8", "fo"},           {"Zm9v", "foo"},
        {"Zm9vYg", "foob"}, {"-_8", "\xfb\xff"}, {"____", "\xff\xff\xff"}};
    static const char *const bad[] = {"Z",    "Zm9vY",   "Zg==",     "Zg=",   "Zh",    "Zm9",
                                      "Z g",  "Zm9v\n",  "Zm9v ",    " Zm9v", "+_8",   "-/8",
                                      "Zm.v", "Zm9\x80", "Zm8=",     "====",  "A\tAA", "%41A",
                                      "AB",   "AAB",     "Zm9v=Zm9v"};
    struct hands *hands = *state;
    struct str bytes;

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_int_equal(jose_base64_read(hands_text(good[i][0]), &hands->arena, &bytes), OK);
        assert_string_equal(bytes.p, good[i][1]);
        assert_true(str_same(hands_base64(hands, bytes), hands_text(good[i][0])));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(jose_base64_read(hands_text(bad[i]), &hands->arena, &bytes), E_INVALID);
    assert_int_equal(jose_base64_read((struct str){"Zm9v\0Zm9", 8}, &hands->arena, &bytes),
                     E_INVALID);
}

static void base64_writes_no_further_than_its_room(void **state)
{
    uint8_t out[4] = {9, 9, 9, 9};

    (void)state;
    assert_int_equal(jose_base64_decode(STR("Zm9v"), out, 3), 3);
    assert_int_equal(jose_base64_decode(STR("Zm9v"), out, 2), -1);
    assert_int_equal(jose_base64_decode(STR("Zm9vYg"), out, 3), -1);
    assert_int_equal(out[3], 9);
}

/* --- JSON */

static void json_is_strict(void **state)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "1",
                                      "\"a\"",
                                      "null",
                                      "{",
                                      "{\"a\":1}x",
                                      "{\"a\":1,\"a\":2}",
                                      "{\"b\":{\"a\":1,\"a\":2}}",
                                      "{\"a\":1,\"\\u0061\":2}",
                                      "{\"a\":\"\\u0000\"}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":\"\xc0\x80\"}",
                                      "{\"a\":\"\xed\xa0\x80\"}",
                                      "{\"a\":\"\\ud800\"}",
                                      "{\"a\":01}",
                                      "{\"a\":1e999}",
                                      "{\"a\":99999999999999999999}",
                                      "{\"a\":NaN}",
                                      "{'a':1}",
                                      "{\"a\":1,}",
                                      "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}",
                                      "\xef\xbb\xbf{}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_null(jose_json_read(hands_text(bad[i])));
    assert_null(jose_json_read((struct str){"{\"a\":\"\0\"}", 9}));
}

static void members_are_found_by_a_path(void **state)
{
    json_t *json = jose_json_read(STR("{\"a\":{\"b.c\":\"1\",\"b\":{\"c\":\"2\"}},\"x.y\":\"3\","
                                      "\"deep\":[[[[\"[[[[[[[[[[[[[[[[[[\"]]]]}"));

    (void)state;
    assert_non_null(json);
    assert_string_equal(json_string_value(jose_json_find(json, "x.y")), "3");
    assert_string_equal(json_string_value(jose_json_find(json, "a.b.c")), "1");
    assert_null(jose_json_find(json, "a.c"));
    assert_null(jose_json_find(json, "a."));
    assert_null(jose_json_find(json, "."));
    assert_null(jose_json_find(json, "x"));
    json_decref(json);
}

/* --- signatures */

static enum fault verify(struct hands *hands, const char *key, const char *token)
{
    struct str text = arena_format(&hands->arena, "{\"keys\":[%s]}", key);
    const char *why = NULL;
    struct jwks *jwks = jwks_read(text, &why);
    struct jws jws;
    enum fault fault = jws_read(&jws, hands_text(token), &hands->arena);

    assert_non_null(jwks);
    if (fault == FAULT_NONE)
        fault = jwks_verify(jwks, &jws);
    jwks_free(jwks);
    return fault;
}

static const struct {
    const char *from, *key, *token;
} vectors[] = {
    {"RFC 7515 A.1",
     "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-"
     "1qS0gZH75aKtMN3Yj0iPS4hcg"
     "UuTwjAzZr1Z9CAow\"}",
     "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0"
     "dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"},
    {"RFC 7515 A.2",
     "{\"kty\":\"RSA\",\"n\":\"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-"
     "Vaw-"
     "4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_"
     "7OMg0LOL"
     "-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
     "UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG"
     "4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ\","
     "\"e\":\"AQAB\"}",
     "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
     "bS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__"
     "dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4"
     "Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"
     "nZLgrnbyTyWzO75vRK5h6xB"
     "ArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"
     "eOkHWEsqtFZESc6BfI7noOPqvhJ1"
     "phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"},
    {"RFC 7515 A.3",
     "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
     "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
     "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
     "bS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
     "F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfK"
     "TUJqPP3-Kg6NU1Q"},
    {"RFC 7515 A.4",
     "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":"
     "\"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EO"
     "nYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk\",\"y\":\"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-"
     "x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2\"}",
     "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-"
     "mZ"
     "ZqwqT2SI-KGDKB34XO0aw_"
     "7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYb"
     "SW9ERBXukOXolLzeO_Jn"},
    {"RFC 8037 A.4",
     "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
     "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
     "09PGcvMg3"
     "AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
};

static void vectors_of_the_standards_verify(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
        assert_int_equal(verify(*state, vectors[i].key, vectors[i].token), FAULT_NONE);
}

/* Each digit of the signature matters; so does each of what was signed. */
static void a_changed_vector_does_not(void **state)
{
    struct hands *hands = *state;

    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        struct str token = arena_copy(&hands->arena, hands_text(vectors[i].token));
        char *changed = (char *)(uintptr_t)token.p;

        for (size_t at = 0; at < token.len; at += 7) {
            char was = changed[at];

            changed[at] = was == 'B' ? 'C' : 'B';
            assert_int_not_equal(verify(hands, vectors[i].key, changed), FAULT_NONE);
            changed[at] = was;
        }
    }
}

static const struct {
    enum jose_alg alg;
    enum maker maker;
} pairs[] = {{JOSE_HS256, MAKER_SECRET}, {JOSE_HS384, MAKER_SECRET}, {JOSE_HS512, MAKER_SECRET},
             {JOSE_RS256, MAKER_RSA},    {JOSE_RS384, MAKER_RSA},    {JOSE_RS512, MAKER_RSA},
             {JOSE_PS256, MAKER_RSA},    {JOSE_PS384, MAKER_RSA},    {JOSE_PS512, MAKER_RSA},
             {JOSE_ES256, MAKER_P256},   {JOSE_ES384, MAKER_P384},   {JOSE_ES512, MAKER_P521},
             {JOSE_EDDSA, MAKER_ED}};

static void every_algorithm_verifies_with_its_key_alone(void **state)
{
    struct hands *hands = *state;

    assert_int_equal(ARRAY_LEN(pairs), JOSE_ALG_COUNT);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct str token = hands_token(hands, pairs[i].alg, pairs[i].maker, "", "{}");

        for (unsigned maker = 0; maker < MAKER_COUNT; maker++)
            assert_int_equal(verify(hands, hands_jwk(hands, (enum maker)maker, "").p, token.p),
                             maker == pairs[i].maker ? FAULT_NONE : FAULT_KEY);
    }
}

static void pem_is_read_as_what_it_is(void **state)
{
    struct hands *hands = *state;
    const char *why = NULL;

    for (size_t i = 3; i < ARRAY_LEN(pairs); i++) {
        struct jwks *jwks = jwks_read_pem(hands_pem(hands, pairs[i].maker, false), &why);
        struct str token = hands_token(hands, pairs[i].alg, pairs[i].maker, "", "{}");
        struct jws jws;

        assert_non_null(jwks);
        assert_int_equal(jws_read(&jws, token, &hands->arena), FAULT_NONE);
        assert_int_equal(jwks_verify(jwks, &jws), FAULT_NONE);
        jwks_free(jwks);
        assert_null(jwks_read_pem(hands_pem(hands, pairs[i].maker, true), &why));
        assert_non_null(strstr(why, "private key"));
    }
    assert_null(jwks_read_pem(STR(""), &why));
    assert_null(
        jwks_read_pem(STR("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"), &why));
    assert_null(
        jwks_read_pem(STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), &why));
}

/* --- keys */

static bool is_key(struct hands *hands, const char *key)
{
    const char *why = NULL;
    struct jwks *jwks = jwks_read(arena_format(&hands->arena, "{\"keys\":[%s]}", key), &why);
    bool is_good = jwks != NULL;

    if (!is_good)
        assert_true(why && why[0]);
    jwks_free(jwks);
    return is_good;
}

static void keys_say_what_they_are_for(void **state)
{
    static const struct {
        const char *more;
        bool is_good;
    } cases[] = {
        {",\"use\":\"sig\"", true},
        {",\"use\":\"enc\"", false},
        {",\"use\":\"\"", false},
        {",\"use\":1", false},
        {",\"key_ops\":[\"verify\"]", true},
        {",\"key_ops\":[\"sign\",\"verify\"]", true},
        {",\"key_ops\":[\"sign\"]", false},
        {",\"key_ops\":[]", false},
        {",\"key_ops\":\"verify\"", false},
        {",\"key_ops\":[\"verify\",\"verify\"]", false},
        {",\"key_ops\":[\"verify\",1]", false},
        {",\"use\":\"enc\",\"key_ops\":[\"verify\"]", false},
        {",\"alg\":\"RS256\"", true},
        {",\"alg\":\"PS512\"", true},
        {",\"alg\":\"RSA-OAEP\"", false},
        {",\"alg\":\"HS256\"", false},
        {",\"alg\":\"none\"", false},
        {",\"alg\":5", false},
        {",\"kid\":\"a\"", true},
        {",\"kid\":7", false},
        {",\"kid\":null", false},
        {",\"unknown\":{}", true},
    };
    struct hands *hands = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(is_key(hands, hands_jwk(hands, MAKER_RSA, cases[i].more).p),
                         cases[i].is_good);
}

static void keys_that_are_none_are_refused(void **state)
{
    static const char *const keys[] = {
        "{}",
        "[]",
        "1",
        "{\"kty\":\"rsa\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}",
        "{\"kty\":\"RSA\",\"n\":1,\"e\":\"AQAB\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-192\",\"x\":\"AA\",\"y\":\"AA\"}",
        "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":"
        "\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5Q\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
        "7TyWQHOg7hcvPapiMlrwIaaPcHUQ\"}",
        "{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}",
        "{\"kty\":\"oct\",\"k\":\"\"}",
        "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}",
    };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        assert_false(is_key(*state, keys[i]));
}

static void weak_rsa_is_refused(void **state)
{
    struct hands *hands = *state;
    EVP_PKEY *good = hands->keys[MAKER_RSA];

    hands->keys[MAKER_RSA] = EVP_RSA_gen(1024);
    assert_false(is_key(hands, hands_jwk(hands, MAKER_RSA, "").p));
    EVP_PKEY_free(hands->keys[MAKER_RSA]);
    hands->keys[MAKER_RSA] = good;
    assert_false(
        is_key(hands, arena_format(&hands->arena, "{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"AQ\"}",
                                   STR_FMT(hands_number(hands, good, OSSL_PKEY_PARAM_RSA_N, 0)))
                          .p));
    assert_false(
        is_key(hands,
               arena_format(&hands->arena, "{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"AAEAAQ\"}",
                            STR_FMT(hands_number(hands, good, OSSL_PKEY_PARAM_RSA_N, 0)))
                   .p));
}

static void sets_skip_what_they_cannot_use(void **state)
{
    struct hands *hands = *state;
    const char *why = NULL;
    struct jwks *jwks =
        jwks_read(arena_format(&hands->arena, "{\"keys\":[{\"kty\":\"new\"},%s,1,%s,%s]}",
                               hands_jwk(hands, MAKER_P256, ",\"kid\":\"a\"").p,
                               hands_jwk(hands, MAKER_SECRET, "").p,
                               hands_jwk(hands, MAKER_ED, ",\"use\":\"enc\"").p),
                  &why);

    assert_non_null(jwks);
    assert_int_equal(jwks->count, 1);
    assert_int_equal(jwks->keys[0].family, JOSE_EC);
    assert_int_equal(jwks->skipped, 4); // a secret beside public keys is not believed
    jwks_free(jwks);
    assert_null(jwks_read(STR("{}"), &why));
    assert_null(jwks_read(STR("{\"keys\":[]}"), &why));
    assert_null(jwks_read(STR("{\"keys\":{}}"), &why));
    assert_null(jwks_read(STR("not json"), &why));
    assert_null(jwks_read(STR("{\"keys\":[],\"keys\":[]}"), &why));
}

static void names_choose_the_key(void **state)
{
    struct hands *hands = *state;
    struct str named = hands_jwk(hands, MAKER_P256, ",\"kid\":\"a\"");
    struct str plain = hands_jwk(hands, MAKER_P256, "");

    assert_int_equal(verify(hands, named.p,
                            hands_token(hands, JOSE_ES256, MAKER_P256, ",\"kid\":\"a\"", "{}").p),
                     FAULT_NONE);
    assert_int_equal(verify(hands, named.p,
                            hands_token(hands, JOSE_ES256, MAKER_P256, ",\"kid\":\"b\"", "{}").p),
                     FAULT_KEY);
    assert_int_equal(verify(hands, plain.p,
                            hands_token(hands, JOSE_ES256, MAKER_P256, ",\"kid\":\"b\"", "{}").p),
                     FAULT_NONE);
    assert_int_equal(verify(hands, named.p, hands_token(hands, JOSE_ES256, MAKER_P256, "", "{}").p),
                     FAULT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_one_text_for_each_run_of_bytes),
        cmocka_unit_test(base64_writes_no_further_than_its_room),
        cmocka_unit_test(json_is_strict),
        cmocka_unit_test(members_are_found_by_a_path),
        cmocka_unit_test(vectors_of_the_standards_verify),
        cmocka_unit_test(a_changed_vector_does_not),
        cmocka_unit_test(every_algorithm_verifies_with_its_key_alone),
        cmocka_unit_test(pem_is_read_as_what_it_is),
        cmocka_unit_test(keys_say_what_they_are_for),
        cmocka_unit_test(keys_that_are_none_are_refused),
        cmocka_unit_test(weak_rsa_is_refused),
        cmocka_unit_test(sets_skip_what_they_cannot_use),
        cmocka_unit_test(names_choose_the_key),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
