/* SPDX-License-Identifier: Apache-2.0
 *
 * Makes signed tokens: right ones, and any wrong one that a test can write down.
 */
#ifndef TEST_JOSE_SIGN_H
#define TEST_JOSE_SIGN_H

#include <openssl/ecdsa.h>
#include <openssl/hmac.h>

#include "test_jose_make.h"

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
