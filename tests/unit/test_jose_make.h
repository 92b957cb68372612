/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes keys, and shows their public halves as JWK and PEM, for the tests of tokens. Everything
 * lives in the arena of the hands.
 */
#ifndef TEST_JOSE_MAKE_H
#define TEST_JOSE_MAKE_H

#include <openssl/core_names.h>
#include <openssl/evp.h>
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

#endif
