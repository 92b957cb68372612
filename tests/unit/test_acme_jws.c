/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of acme_jws.c and acme_key.c: base64url, the thumbprint of a known key, and that what is
 * signed is what RFC 8555 wants signed, verified by OpenSSL from the text alone. The key is that of
 * RFC 7515 appendix A.3.
 */
#include "control/acme_jws.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/acme_key.h"

static const char key_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjpsQnnGQmL+YBIff\n"
                              "H1136cspYG6+0iY7X1fCE9+E9LKhRANCAAR/zc4ncPbEXUGDy+5v20t7WAczNXvp\n"
                              "7xO6z248e9FURcfxRM0bvZt+hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\n"
                              "-----END PRIVATE KEY-----\n";

struct rig {
    struct arena arena;
    struct evp_pkey_st *key;
};

static int set_up(void **state)
{
    struct rig *rig = test_calloc(1, sizeof(*rig));

    arena_init(&rig->arena, NULL, 0);
    rig->key = acme_key_read(STR(key_pem));
    *state = rig;
    return rig->key ? 0 : -1;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    acme_key_free(&rig->key);
    arena_reset(&rig->arena);
    test_free(rig);
    return 0;
}

static void base64_has_no_padding_and_is_safe_in_urls(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""},           {"f", "Zg"},         {"fo", "Zm8"},           {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"\xfb\xff", "-_8"}, {"\xff\xff\xff", "____"}};
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct str text =
            acme_jws_base64(&rig->arena, (struct str){pairs[i][0], strlen(pairs[i][0])});

        assert_string_equal(text.p, pairs[i][1]);
        assert_int_equal(text.len, strlen(pairs[i][1]));
    }
}

static void thumbprint_is_that_of_the_public_half(void **state)
{
    struct rig *rig = *state;

    assert_string_equal(acme_jws_thumbprint(&rig->arena, rig->key).p,
                        "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

/* The value of a member of flat JSON, copied. */
static struct str member(struct rig *rig, struct str json, const char *name)
{
    struct str quoted = arena_format(&rig->arena, "\"%s\":\"", name);
    const char *at = strstr(json.p, quoted.p), *end;

    assert_non_null(at);
    at += quoted.len;
    end = strchr(at, '"');
    return arena_copy(&rig->arena, (struct str){at, (size_t)(end - at)});
}

static struct str decode(struct rig *rig, struct str text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *out = arena_text(&rig->arena, text.len + 1);
    size_t len = 0;
    uint32_t bits = 0, held = 0;

    for (size_t i = 0; i < text.len; i++) {
        const char *digit = strchr(digits, text.p[i]);

        assert_non_null(digit);
        bits = bits << 6 | (uint32_t)(digit - digits);
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        out[len++] = (char)(bits >> held & 0xff);
    }
    out[len] = '\0';
    return (struct str){out, len};
}

static bool verify(struct rig *rig, struct str text, struct str flat)
{
    unsigned char der[80], *end = der;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    ECDSA_SIG *pair = ECDSA_SIG_new();
    int len, good;

    assert_int_equal(flat.len, 64);
    ECDSA_SIG_set0(pair, BN_bin2bn((const unsigned char *)flat.p, 32, NULL),
                   BN_bin2bn((const unsigned char *)flat.p + 32, 32, NULL));
    len = i2d_ECDSA_SIG(pair, &end);
    good =
        EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, rig->key) == 1 &&
        EVP_DigestVerify(context, der, (size_t)len, (const unsigned char *)text.p, text.len) == 1;
    ECDSA_SIG_free(pair);
    EVP_MD_CTX_free(context);
    return good;
}

static struct str check(struct rig *rig, const struct acme_jws *jws, const char *payload)
{
    struct str body = {payload, strlen(payload)};
    struct str json = acme_jws_sign(&rig->arena, rig->key, jws, body);
    struct str head = member(rig, json, "protected"), sent = member(rig, json, "payload");
    struct str text = arena_format(&rig->arena, "%.*s.%.*s", STR_FMT(head), STR_FMT(sent));

    assert_string_equal(decode(rig, sent).p, payload);
    assert_true(verify(rig, text, decode(rig, member(rig, json, "signature"))));
    return decode(rig, head);
}

static void request_with_an_account_names_it(void **state)
{
    const struct acme_jws jws = {STR_INIT("https://ca/order"), STR_INIT("n-1"),
                                 STR_INIT("https://ca/acct/1")};

    // Signatures are random, and a coordinate may begin with a zero byte.
    for (int i = 0; i < 300; i++)
        assert_string_equal(check(*state, &jws, "{\"a\":1}").p,
                            "{\"alg\":\"ES256\",\"kid\":\"https://ca/acct/1\",\"nonce\":\"n-1\","
                            "\"url\":\"https://ca/order\"}");
}

static void request_without_one_shows_the_key(void **state)
{
    const struct acme_jws jws = {.url = STR("https://ca/new"), .nonce = STR("n")};

    assert_string_equal(check(*state, &jws, "").p,
                        "{\"alg\":\"ES256\",\"jwk\":{\"crv\":\"P-256\",\"kty\":\"EC\","
                        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},\"nonce\":\"n\","
                        "\"url\":\"https://ca/new\"}");
}

static void what_the_ca_says_cannot_break_out_of_its_quotes(void **state)
{
    const struct acme_jws jws = {STR_INIT("u"), STR_INIT("\",\"x\":\""), STR_INIT("k\\")};

    assert_string_equal(
        check(*state, &jws, "{}").p,
        "{\"alg\":\"ES256\",\"kid\":\"k\\\\\",\"nonce\":\"\\\",\\\"x\\\":\\\"\",\"url\":\"u\"}");
}

static void keys_are_read_as_they_were_written(void **state)
{
    struct rig *rig = *state;
    struct evp_pkey_st *made = acme_key_new();
    struct str pem = acme_key_pem(made, &rig->arena);
    struct evp_pkey_st *read = acme_key_read(pem);

    assert_non_null(read);
    assert_int_equal(EVP_PKEY_eq(made, read), 1);
    acme_key_free(&made);
    acme_key_free(&read);
}

static void what_is_no_key_on_p256_is_refused(void **state)
{
    EVP_PKEY *other = EVP_EC_gen("P-384");
    struct rig *rig = *state;
    struct str pem = acme_key_pem(other, &rig->arena);

    assert_null(acme_key_read(pem));
    assert_null(acme_key_read(STR("")));
    assert_null(
        acme_key_read(STR("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")));
    assert_null(acme_key_read((struct str){key_pem, 100}));
    acme_key_free(&other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(base64_has_no_padding_and_is_safe_in_urls),
        TEST(thumbprint_is_that_of_the_public_half),
        TEST(request_with_an_account_names_it),
        TEST(request_without_one_shows_the_key),
        TEST(what_the_ca_says_cannot_break_out_of_its_quotes),
        TEST(keys_are_read_as_they_were_written),
        TEST(what_is_no_key_on_p256_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
