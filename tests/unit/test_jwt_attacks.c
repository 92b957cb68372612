/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens made to deceive: each is refused, for the reason it should be. The gateway has a set with
 * a secret's opposite: public keys of every family; and a second set of one shared secret.
 */
#include "test_jwt_rig.h"

static struct str good_token(struct rig *rig)
{
    return signed_token(rig, JOSE_ES256, MAKER_P256, "{\"alg\":\"ES256\",\"kid\":\"ec\"}", GOOD);
}

static void honest_tokens_pass(void **state)
{
    struct rig *rig = *state;

    assert_int_equal(ask(rig, rig->public, good_token(rig)), FAULT_NONE);
    assert_int_equal(ask(rig, rig->public,
                         signed_token(rig, JOSE_RS256, MAKER_RSA,
                                      "{\"alg\":\"RS256\",\"typ\":\"JWT\"}", GOOD)),
                     FAULT_NONE);
    assert_int_equal(ask(rig, rig->public,
                         signed_token(rig, JOSE_EDDSA, MAKER_ED, "{\"alg\":\"EdDSA\"}", GOOD)),
                     FAULT_NONE);
    assert_int_equal(ask(rig, rig->secret,
                         signed_token(rig, JOSE_HS512, MAKER_SECRET, "{\"alg\":\"HS512\"}", GOOD)),
                     FAULT_NONE);
}

/* --- no signature (RFC 8725 section 2.1) */

static void none_in_every_casing(struct rig *rig)
{
    for (unsigned bits = 0; bits < 16; bits++) {
        char alg[] = "none";
        struct str header, input;

        for (unsigned i = 0; i < 4; i++)
            if (bits >> i & 1)
                alg[i] = (char)(alg[i] - 'a' + 'A');
        header = arena_format(&rig->hands->arena, "{\"alg\":\"%s\"}", alg);
        input = hands_input(rig->hands, header.p, GOOD);
        refused(rig, rig->public, hands_join(rig->hands, input, STR("")), FAULT_ALG);
        refused(rig, rig->secret,
                hands_join(rig->hands, input,
                           hands_sign(rig->hands, JOSE_ES256, MAKER_P256, input, false)),
                FAULT_ALG);
    }
}

static void algorithms_that_are_none(struct rig *rig)
{
    static const char *const algs[] = {
        "\"\"",       "\"hs256\"",  "\"Hs256\"",       "\"rs256\"",   "\"es256\"",
        "\"eddsa\"",  "\"EDDSA\"",  "\"HS1\"",         "\"RS1\"",     "\"MD5\"",
        "\"HS256 \"", "\" HS256\"", "\"HS256,RS256\"", "\"ES256K\"",  "\"Ed25519\"",
        "\"RSA1_5\"", "\"dir\"",    "\"A128KW\"",      "\"none\\n\"", "\"HS2566\"",
        "\"HS25\"",   "\"*\""};
    static const char *const others[] = {"null", "0", "256", "true", "[]", "[\"RS256\"]", "{}"};

    for (size_t i = 0; i < ARRAY_LEN(algs); i++)
        refused(rig, rig->public,
                signed_token(rig, JOSE_RS256, MAKER_RSA,
                             arena_format(&rig->hands->arena, "{\"alg\":%s}", algs[i]).p, GOOD),
                FAULT_ALG);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        refused(rig, rig->public,
                signed_token(rig, JOSE_RS256, MAKER_RSA,
                             arena_format(&rig->hands->arena, "{\"alg\":%s}", others[i]).p, GOOD),
                FAULT_HEADER);
    refused(rig, rig->public, signed_token(rig, JOSE_RS256, MAKER_RSA, "{}", GOOD), FAULT_HEADER);
}

static void unsigned_tokens_are_refused(void **state)
{
    none_in_every_casing(*state);
    algorithms_that_are_none(*state);
}

/* --- keys taken for other keys */

/* A public key is no secret: signed with HMAC over each form in which an attacker could have it. */
static void public_keys_are_no_secrets(void **state)
{
    struct rig *rig = *state;
    struct hands *hands = rig->hands;

    for (unsigned maker = MAKER_RSA; maker < MAKER_COUNT; maker++) {
        struct str pem = hands_pem(hands, (enum maker)maker, false);
        struct str forms[] = {pem,
                              {pem.p, pem.len - 1},
                              arena_format(&hands->arena, "%s\n", pem.p),
                              hands_jwk(hands, (enum maker)maker, ""),
                              hands_base64(hands, pem)};

        for (size_t i = 0; i < ARRAY_LEN(forms) * 3; i++) {
            enum jose_alg alg = (enum jose_alg)(JOSE_HS256 + i % 3);
            struct str header = arena_format(&hands->arena, "{\"alg\":\"%s\",\"kid\":\"rsa\"}",
                                             jose_alg_info(alg)->name);
            struct str input = hands_input(hands, header.p, GOOD);

            refused(rig, rig->public,
                    hands_join(hands, input, hands_hmac(hands, alg, forms[i / 3], input)),
                    FAULT_KEY);
        }
    }
}

static void families_are_not_mixed(void **state)
{
    struct rig *rig = *state;

    for (unsigned alg = 0; alg < JOSE_ALG_COUNT; alg++) {
        struct str header = arena_format(&rig->hands->arena, "{\"alg\":\"%s\"}",
                                         jose_alg_info((enum jose_alg)alg)->name);

        if (alg != JOSE_ES256)
            refused(rig, rig->public, signed_token(rig, JOSE_ES256, MAKER_P256, header.p, GOOD),
                    alg == JOSE_RS256 || alg == JOSE_EDDSA ? FAULT_SIGNATURE : FAULT_KEY);
        if (alg > JOSE_HS512)
            refused(rig, rig->secret, signed_token(rig, JOSE_HS256, MAKER_SECRET, header.p, GOOD),
                    FAULT_KEY);
    }
}

static void empty_secrets_are_none(void **state)
{
    struct rig *rig = *state;
    struct str secrets[] = {STR(""), STR("secret"), STR("\0"), STR("null"), STR("undefined")};

    for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
        struct str input = hands_input(rig->hands, "{\"alg\":\"HS256\"}", GOOD);
        struct str sum = hands_hmac(rig->hands, JOSE_HS256, secrets[i], input);

        refused(rig, rig->secret, hands_join(rig->hands, input, sum), FAULT_SIGNATURE);
        refused(rig, rig->public, hands_join(rig->hands, input, sum), FAULT_KEY);
    }
}

/* The header brings its own key, or says where one is; the signature is good by that key. */
static void keys_of_the_token_are_not_used(void **state)
{
    static const char *const more[] = {"\"jku\":\"https://evil.example/jwks.json\"",
                                       "\"x5u\":\"https://evil.example/x\"",
                                       "\"jku\":\"file:///dev/null\"",
                                       "\"x5c\":[\"AAAA\"]",
                                       "\"x5t\":\"AAAA\"",
                                       "\"kid\":\"ec\",\"jku\":\"http://[::1]/\"",
                                       "\"typ\":\"JWT\",\"x5t#S256\":\"AAAA\""};
    struct rig *rig = *state;
    struct hands *thief = hands_new();
    struct str jwk = hands_jwk(thief, MAKER_P256, ""), input, header;

    header = arena_format(&thief->arena, "{\"alg\":\"ES256\",\"jwk\":%s}", jwk.p);
    input = hands_input(thief, header.p, GOOD);
    refused(rig, rig->public,
            hands_join(thief, input, hands_sign(thief, JOSE_ES256, MAKER_P256, input, false)),
            FAULT_SIGNATURE);
    for (size_t i = 0; i < ARRAY_LEN(more); i++) {
        header = arena_format(&thief->arena, "{\"alg\":\"ES256\",%s,\"jwk\":%s}", more[i], jwk.p);
        input = hands_input(thief, header.p, GOOD);
        refused(rig, rig->public,
                hands_join(thief, input, hands_sign(thief, JOSE_ES256, MAKER_P256, input, false)),
                FAULT_SIGNATURE);
    }
    hands_free(thief);
}

/* A kid is a name to compare, never a path, a query or a pattern. */
static void kids_are_only_names(void **state)
{
    static const char *const kids[] = {"\"../../../../dev/null\"",
                                       "\"/dev/null\"",
                                       "\"ec' OR '1'='1\"",
                                       "\"ec; ls\"",
                                       "\"$(id)\"",
                                       "\"EC\"",
                                       "\"ec \"",
                                       "\" ec\"",
                                       "\"e\"",
                                       "\"ecc\"",
                                       "\"*\"",
                                       "\"\"",
                                       "\"%2e%2e\"",
                                       "\"ec\\n\"",
                                       "\"http://evil/\"",
                                       "\"rsa\"",
                                       "\"ec\\u0301\"",
                                       "\"\\uff45\\uff43\"",
                                       "\"ec|rsa\"",
                                       "\"0\""};
    static const char *const others[] = {"1",        "null", "true",         "[]",
                                         "[\"ec\"]", "{}",   "\"e\\u0000\"", "1.5"};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(kids); i++)
        refused(rig, rig->public,
                signed_token(
                    rig, JOSE_ES256, MAKER_P256,
                    arena_format(&rig->hands->arena, "{\"alg\":\"ES256\",\"kid\":%s}", kids[i]).p,
                    GOOD),
                FAULT_KEY);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        refused(rig, rig->public,
                signed_token(
                    rig, JOSE_ES256, MAKER_P256,
                    arena_format(&rig->hands->arena, "{\"alg\":\"ES256\",\"kid\":%s}", others[i]).p,
                    GOOD),
                FAULT_HEADER);
}

/* --- headers */

static void headers_out_of_order_are_refused(void **state)
{
    static const struct {
        const char *header;
        enum fault fault;
    } cases[] = {
        {"", FAULT_PARTS},
        {"[]", FAULT_HEADER},
        {"null", FAULT_HEADER},
        {"\"ES256\"", FAULT_HEADER},
        {"{\"alg\":\"ES256\"", FAULT_HEADER},
        {"{\"alg\":\"ES256\"}}", FAULT_HEADER},
        {"{\"alg\":\"ES256\"} x", FAULT_HEADER},
        {"{\"alg\":\"ES256\",}", FAULT_HEADER},
        {"{'alg':'ES256'}", FAULT_HEADER},
        {"{alg:\"ES256\"}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"alg\":\"ES256\"}", FAULT_HEADER},
        {"{\"alg\":\"none\",\"alg\":\"ES256\"}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"\\u0061lg\":\"none\"}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"kid\":\"ec\",\"kid\":\"ec\"}", FAULT_HEADER},
        {"{\"ALG\":\"ES256\"}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"a\":\"\xff\xfe\"}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"a\":\"\xc0\xaf\"}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"a\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"a\":1e400}", FAULT_HEADER},
        {"\xef\xbb\xbf{\"alg\":\"ES256\"}", FAULT_HEADER},
        {"{\"alg\":\"ES256\",\"crit\":[\"exp\"],\"exp\":1}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"crit\":[]}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"crit\":[\"alg\"]}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"crit\":null}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"crit\":\"x\",\"x\":1}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"b64\":false}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"b64\":0}", FAULT_CRITICAL},
        {"{\"alg\":\"ES256\",\"b64\":\"true\"}", FAULT_CRITICAL},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refused(rig, rig->public, signed_token(rig, JOSE_ES256, MAKER_P256, cases[i].header, GOOD),
                cases[i].fault);
}

/* --- forms */

static void every_cut_is_refused(void **state)
{
    struct rig *rig = *state;
    struct str token = good_token(rig);
    size_t dots = 0;

    for (size_t len = 0; len < token.len; len++) {
        enum fault fault = ask(rig, rig->public, (struct str){token.p, len});

        assert_true(dots < 2 ? fault == FAULT_PARTS
                             : fault == FAULT_SIGNATURE || fault == FAULT_BASE64);
        rig->refused++;
        dots += token.p[len] == '.';
    }
}

static void other_spellings_are_refused(void **state)
{
    struct rig *rig = *state;
    struct arena *arena = &rig->hands->arena;
    struct str token = good_token(rig);
    const char *first = strchr(token.p, '.'), *second = strchr(first + 1, '.');
    int head = (int)(first - token.p), body = (int)(second - first - 1);
    static const char *const puts[] = {"=", "==", " ", "\n",   "\t", "\r\n",
                                       "%", "+",  "/", "\x80", "~"};

    for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
        const char *put = puts[i];

        refused(rig, rig->public, arena_format(arena, "%s%s", put, token.p), FAULT_BASE64);
        refused(rig, rig->public, arena_format(arena, "%.*s%s%s", head, token.p, put, first),
                FAULT_BASE64);
        refused(rig, rig->public,
                arena_format(arena, "%.*s.%.*s%s%s", head, token.p, body, first + 1, put, second),
                FAULT_BASE64);
        refused(rig, rig->public, arena_format(arena, "%s%s", token.p, put), FAULT_BASE64);
    }
    refused(rig, rig->public, arena_format(arena, "%s.", token.p), FAULT_PARTS);
    refused(rig, rig->public, arena_format(arena, ".%s", token.p), FAULT_PARTS);
    refused(rig, rig->public, arena_format(arena, "%s.a.b", token.p), FAULT_PARTS);
    refused(rig, rig->public, arena_format(arena, "%.*s.%s", head, token.p, second + 1),
            FAULT_PARTS);
    refused(rig, rig->public, arena_format(arena, "%.*s..%s", head, token.p, second + 1),
            FAULT_PARTS);
    refused(rig, rig->public, STR(".."), FAULT_PARTS);
    refused(rig, rig->public, STR("..."), FAULT_PARTS);
    refused(rig, rig->public, STR("{\"payload\":\"\",\"signatures\":[]}"), FAULT_PARTS);
}

/* The last digit has bits that stand for nothing: they must be zero. */
static void spare_bits_are_zero(void **state)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct rig *rig = *state;
    struct str token = arena_copy(&rig->hands->arena, good_token(rig)); // 64 bytes: 4 spare bits
    char *last = (char *)(uintptr_t)token.p + token.len - 1;
    char was = *last;

    for (unsigned i = 0; i < 64; i++) {
        if (digits[i] == was)
            continue;
        *last = digits[i];
        refused(rig, rig->public, token, i % 16 ? FAULT_BASE64 : FAULT_SIGNATURE);
    }
}

static void huge_tokens_are_not_looked_at(void **state)
{
    struct rig *rig = *state;
    size_t sizes[] = {JWS_TOKEN_MAX + 1, JWS_TOKEN_MAX * 2, 1 << 20, 16 << 20};

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        char *text = arena_text(&rig->hands->arena, sizes[i]);

        memset(text, 'A', sizes[i]);
        refused(rig, rig->public, (struct str){text, sizes[i]}, FAULT_LONG);
        memset(text, '.', sizes[i]);
        refused(rig, rig->public, (struct str){text, sizes[i]}, FAULT_LONG);
        refused(rig, rig->public, (struct str){text, JWS_TOKEN_MAX}, FAULT_PARTS);
        memset(text, 'A', sizes[i]);
        refused(rig, rig->public, (struct str){text, JWS_TOKEN_MAX}, FAULT_PARTS);
    }
}

/* --- signatures */

static void ecdsa_of_zeros_and_in_der(void **state)
{
    struct rig *rig = *state;
    struct hands *hands = rig->hands;
    struct str input = hands_input(hands, "{\"alg\":\"ES256\"}", GOOD);
    struct str der = hands_sign(hands, JOSE_ES256, MAKER_P256, input, true);
    struct str flat = hands_sign(hands, JOSE_ES256, MAKER_P256, input, false);
    char bytes[200];
    /* The order of P-256, which r and s must stay below. */
    static const char order[] =
        "\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17"
        "\x9e\x84\xf3\xb9\xca\xc2\xfc\x63\x25\x51";

    refused(rig, rig->public, hands_join(hands, input, der), FAULT_SIGNATURE);
    for (size_t len = 0; len <= 140; len += 4) { // all zeros, of every length; also 64
        memset(bytes, 0, sizeof(bytes));
        refused(rig, rig->public, hands_join(hands, input, (struct str){bytes, len}),
                FAULT_SIGNATURE);
    }
    memset(bytes, 0xff, sizeof(bytes));
    refused(rig, rig->public, hands_join(hands, input, (struct str){bytes, 64}), FAULT_SIGNATURE);
    for (unsigned half = 0; half < 2; half++) { // r or s: zero, the order
        memcpy(bytes, flat.p, 64);
        memset(bytes + 32 * half, 0, 32);
        refused(rig, rig->public, hands_join(hands, input, (struct str){bytes, 64}),
                FAULT_SIGNATURE);
        memcpy(bytes + 32 * half, order, 32);
        refused(rig, rig->public, hands_join(hands, input, (struct str){bytes, 64}),
                FAULT_SIGNATURE);
    }
    memcpy(bytes, order, 32);
    memcpy(bytes + 32, order, 32);
    refused(rig, rig->public, hands_join(hands, input, (struct str){bytes, 64}), FAULT_SIGNATURE);
    memcpy(bytes, flat.p, 64); // longer and shorter by one
    bytes[64] = 0;
    refused(rig, rig->public, hands_join(hands, input, (struct str){bytes, 65}), FAULT_SIGNATURE);
    refused(rig, rig->public, hands_join(hands, input, (struct str){bytes, 63}), FAULT_SIGNATURE);
}

static void signatures_of_a_wrong_length(void **state)
{
    static const struct {
        const char *header;
        enum jose_alg alg;
        enum maker maker;
    } kinds[] = {{"{\"alg\":\"RS256\"}", JOSE_RS256, MAKER_RSA},
                 {"{\"alg\":\"EdDSA\"}", JOSE_EDDSA, MAKER_ED},
                 {"{\"alg\":\"HS256\"}", JOSE_HS256, MAKER_SECRET}};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct jwks *jwks = kinds[i].maker == MAKER_SECRET ? rig->secret : rig->public;
        struct str input = hands_input(rig->hands, kinds[i].header, GOOD);
        struct str signature = hands_sign(rig->hands, kinds[i].alg, kinds[i].maker, input, false);
        struct str longer = arena_format(&rig->hands->arena, "%*s", (int)signature.len + 1, "");

        memcpy((char *)(uintptr_t)longer.p, signature.p, signature.len);
        for (size_t len = 0; len < signature.len; len += 1 + signature.len / 16)
            refused(rig, jwks, hands_join(rig->hands, input, (struct str){signature.p, len}),
                    FAULT_SIGNATURE);
        refused(rig, jwks, hands_join(rig->hands, input, longer), FAULT_SIGNATURE);
        memmove((char *)(uintptr_t)longer.p + 1, signature.p, signature.len);
        *(char *)(uintptr_t)longer.p = 0;
        refused(rig, jwks, hands_join(rig->hands, input, longer), FAULT_SIGNATURE);
    }
}

/* A good signature, of something else. */
static void signatures_of_others_do_not_fit(void **state)
{
    struct rig *rig = *state;
    struct str a = good_token(rig), input;
    const char *signature = strrchr(a.p, '.') + 1;

    input = hands_input(rig->hands, "{\"alg\":\"ES256\",\"kid\":\"ec\"}",
                        "{\"iss\":\"me\",\"aud\":\"you\",\"sub\":\"root\",\"exp\":1700000100}");
    refused(rig, rig->public, arena_format(&rig->hands->arena, "%s.%s", input.p, signature),
            FAULT_SIGNATURE);
    input = hands_input(rig->hands, "{\"alg\":\"ES256\", \"kid\":\"ec\"}", GOOD);
    refused(rig, rig->public, arena_format(&rig->hands->arena, "%s.%s", input.p, signature),
            FAULT_SIGNATURE);
}

static void there_were_many(void **state)
{
    struct rig *rig = *state;

    print_message("%u tokens refused\n", rig->refused);
    assert_true(rig->refused >= 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_tokens_pass),
        cmocka_unit_test(unsigned_tokens_are_refused),
        cmocka_unit_test(public_keys_are_no_secrets),
        cmocka_unit_test(families_are_not_mixed),
        cmocka_unit_test(empty_secrets_are_none),
        cmocka_unit_test(keys_of_the_token_are_not_used),
        cmocka_unit_test(kids_are_only_names),
        cmocka_unit_test(headers_out_of_order_are_refused),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(other_spellings_are_refused),
        cmocka_unit_test(spare_bits_are_zero),
        cmocka_unit_test(huge_tokens_are_not_looked_at),
        cmocka_unit_test(ecdsa_of_zeros_and_in_der),
        cmocka_unit_test(signatures_of_a_wrong_length),
        cmocka_unit_test(signatures_of_others_do_not_fit),
        cmocka_unit_test(there_were_many),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
