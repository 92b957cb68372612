/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes keys, their JWKs and signed tokens, for the tests of tokens: right ones, and any wrong one
 * that a test can write down. Everything lives in the arena of the hands.
 */
#ifndef TEST_JOSE_MAKE_H
#define TEST_JOSE_MAKE_H

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "edge/auth/jose_alg.h"
#include "edge/auth/jose_base64.h"

enum maker { MAKER_SECRET, MAKER_RSA, MAKER_P256, MAKER_P384, MAKER_P521, MAKER_ED, MAKER_COUNT };

#define MAKE_SECRET "a secret of sixty-four bytes, which is enough for each of the HS"

struct hands {
    struct arena arena;
    EVP_PKEY *keys[MAKER_COUNT];
};

__attribute__((unused)) static struct hands *hands_new(void)
{
    struct hands *hands = test_calloc(1, sizeof(*hands));

    arena_init(&hands->arena, NULL, 0);
    hands->keys[MAKER_RSA] = EVP_RSA_gen(2048);
    hands->keys[MAKER_P256] = EVP_EC_gen("P-256");
    hands->keys[MAKER_P384] = EVP_EC_gen("P-384");
    hands->keys[MAKER_P521] = EVP_EC_gen("P-521");
    hands->keys[MAKER_ED] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    for (unsigned i = MAKER_RSA; i < MAKER_COUNT; i++)
        assert_non_null(hands->keys[i]);
    return hands;
}

__attribute__((unused)) static void hands_free(struct hands *hands)
{
    for (unsigned i = 0; i < MAKER_COUNT; i++)
        EVP_PKEY_free(hands->keys[i]);
    arena_reset(&hands->arena);
    test_free(hands);
}

__attribute__((unused)) static struct str hands_text(const char *text)
{
    return (struct str){text, strlen(text)};
}

__attribute__((unused)) static struct str hands_base64(struct hands *hands, struct str bytes)
{
    char *out = arena_text(&hands->arena, bytes.len * 2 + 8);

    return (struct str){out, (size_t)(jose_base64_encode(out, bytes) - out)};
}

/* --- keys as JWK and PEM */

static struct str hands_number(struct hands *hands, EVP_PKEY *key, const char *name, int size)
{
    BIGNUM *number = NULL;
    unsigned char bytes[1024];
    int len;

    assert_true(EVP_PKEY_get_bn_param(key, name, &number));
    len = size ? size : BN_num_bytes(number);
    assert_int_equal(BN_bn2binpad(number, bytes, len), len);
    BN_free(number);
    return hands_base64(hands, (struct str){(const char *)bytes, (size_t)len});
}

static struct str hands_ec_jwk(struct hands *hands, enum maker maker, const char *more)
{
    static const struct {
        const char *crv;
        int half;
    } curves[MAKER_COUNT] = {
        [MAKER_P256] = {"P-256", 32}, [MAKER_P384] = {"P-384", 48}, [MAKER_P521] = {"P-521", 66}};
    int half = curves[maker].half;
    EVP_PKEY *key = hands->keys[maker];

    return arena_format(&hands->arena,
                        "{\"kty\":\"EC\",\"crv\":\"%s\",\"x\":\"%.*s\",\"y\":\"%.*s\"%s}",
                        curves[maker].crv,
                        STR_FMT(hands_number(hands, key, OSSL_PKEY_PARAM_EC_PUB_X, half)),
                        STR_FMT(hands_number(hands, key, OSSL_PKEY_PARAM_EC_PUB_Y, half)), more);
}

/* The public half, with `more` members: ",\"kid\":\"a\"". */
__attribute__((unused)) static struct str hands_jwk(struct hands *hands, enum maker maker,
                                                    const char *more)
{
    unsigned char raw[32];
    size_t len = sizeof(raw);

    switch (maker) {
    case MAKER_SECRET:
        return arena_format(&hands->arena, "{\"kty\":\"oct\",\"k\":\"%.*s\"%s}",
                            STR_FMT(hands_base64(hands, STR(MAKE_SECRET))), more);
    case MAKER_RSA:
        return arena_format(
            &hands->arena, "{\"kty\":\"RSA\",\"n\":\"%.*s\",\"e\":\"%.*s\"%s}",
            STR_FMT(hands_number(hands, hands->keys[maker], OSSL_PKEY_PARAM_RSA_N, 0)),
            STR_FMT(hands_number(hands, hands->keys[maker], OSSL_PKEY_PARAM_RSA_E, 0)), more);
    case MAKER_ED:
        assert_true(EVP_PKEY_get_raw_public_key(hands->keys[maker], raw, &len));
        return arena_format(&hands->arena, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%.*s\"%s}",
                            STR_FMT(hands_base64(hands, (struct str){(char *)raw, len})), more);
    default:
        return hands_ec_jwk(hands, maker, more);
    }
}

__attribute__((unused)) static struct str hands_pem(struct hands *hands, enum maker maker,
                                                    bool is_private)
{
    BIO *bio = BIO_new(BIO_s_mem());
    struct str text;
    char *p;

    if (is_private)
        assert_true(PEM_write_bio_PrivateKey(bio, hands->keys[maker], NULL, NULL, 0, NULL, NULL));
    else
        assert_true(PEM_write_bio_PUBKEY(bio, hands->keys[maker]));
    text.len = (size_t)BIO_get_mem_data(bio, &p);
    text.p = p;
    text = arena_copy(&hands->arena, text);
    BIO_free(bio);
    return text;
}

/* --- tokens */

__attribute__((unused)) static struct str hands_input(struct hands *hands, const char *header,
                                                      const char *payload)
{
    return arena_format(&hands->arena, "%.*s.%.*s",
                        STR_FMT(hands_base64(hands, hands_text(header))),
                        STR_FMT(hands_base64(hands, hands_text(payload))));
}

__attribute__((unused)) static struct str hands_hmac(struct hands *hands, enum jose_alg alg,
                                                     struct str secret, struct str input)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    assert_non_null(HMAC(jose_alg_info(alg)->digest(), secret.p, (int)secret.len,
                         (const unsigned char *)input.p, input.len, sum, &len));
    return arena_copy(&hands->arena, (struct str){(const char *)sum, len});
}

static struct str hands_flat(struct hands *hands, const unsigned char *der, size_t len, int half)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    unsigned char bytes[132];

    assert_non_null(pair);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), bytes, half), half);
    assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), bytes + half, half), half);
    ECDSA_SIG_free(pair);
    return arena_copy(&hands->arena, (struct str){(const char *)bytes, (size_t)half * 2});
}

/* The signature's bytes; of EC as DER when that is asked for. */
__attribute__((unused)) static struct str
hands_sign(struct hands *hands, enum jose_alg alg, enum maker maker, struct str input, bool is_der)
{
    const struct jose_alg_info *info = jose_alg_info(alg);
    unsigned char out[1024];
    size_t len = sizeof(out);
    EVP_PKEY_CTX *how;
    EVP_MD_CTX *context;

    if (maker == MAKER_SECRET)
        return hands_hmac(hands, alg, STR(MAKE_SECRET), input);
    context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, &how, info->digest ? info->digest() : NULL, NULL,
                                        hands->keys[maker]),
                     1);
    if (info->is_pss) {
        assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
        assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    assert_int_equal(EVP_DigestSign(context, out, &len, (const unsigned char *)input.p, input.len),
                     1);
    EVP_MD_CTX_free(context);
    if (info->half && !is_der)
        return hands_flat(hands, out, len, info->half);
    return arena_copy(&hands->arena, (struct str){(const char *)out, len});
}

__attribute__((unused)) static struct str hands_join(struct hands *hands, struct str input,
                                                     struct str signature)
{
    return arena_format(&hands->arena, "%.*s.%.*s", STR_FMT(input),
                        STR_FMT(hands_base64(hands, signature)));
}

/* A token whose header is {"alg":ALG} with `more` members. */
__attribute__((unused)) static struct str hands_token(struct hands *hands, enum jose_alg alg,
                                                      enum maker maker, const char *more,
                                                      const char *payload)
{
    struct str header =
        arena_format(&hands->arena, "{\"alg\":\"%s\"%s}", jose_alg_info(alg)->name, more);
    struct str input = hands_input(hands, header.p, payload);

    return hands_join(hands, input, hands_sign(hands, alg, maker, input, false));
}

#endif
