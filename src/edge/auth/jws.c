/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/jws.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <string.h>

#include "edge/auth/jose_base64.h"
#include "edge/auth/jose_json.h"
#include "edge/auth/jwk.h"

enum { DER_MAX = 160, ED25519_SIGNATURE = 64 };

/* --- reading */

static enum fault read_header(struct jws *jws, const json_t *json, struct arena *arena)
{
    const json_t *kid = json_object_get(json, "kid"), *b64 = json_object_get(json, "b64");
    struct str alg = jose_json_text(json, "alg");

    if (!alg.p || (kid && !json_is_string(kid)))
        return FAULT_HEADER;
    /* RFC 7515 section 4.1.11, RFC 7797 section 3: no extension is understood. */
    if (json_object_get(json, "crit") || (b64 && !json_is_true(b64)))
        return FAULT_CRITICAL;
    jws->alg = jose_alg_find(alg);
    if (jws->alg == JOSE_ALG_COUNT)
        return FAULT_ALG;
    jws->kid = kid ? arena_copy(arena, jose_json_str(kid)) : STR_NONE;
    return kid && !jws->kid.p ? FAULT_MEMORY : FAULT_NONE;
}

static enum fault read_part(struct str part, struct arena *arena, struct str *bytes)
{
    switch (jose_base64_read(part, arena, bytes)) {
    case OK:
        return FAULT_NONE;
    case E_NOMEM:
        return FAULT_MEMORY;
    default:
        return FAULT_BASE64;
    }
}

/* Three parts, none but the signature empty: what has five is encrypted (RFC 7516). */
static bool split(struct str token, struct str parts[3])
{
    const char *end = token.p + token.len, *at = token.p;

    for (unsigned i = 0; i < 3; i++) {
        const char *dot = i < 2 ? memchr(at, '.', (size_t)(end - at)) : end;

        if (!dot)
            return false;
        parts[i] = (struct str){at, (size_t)(dot - at)};
        at = dot + (i < 2);
    }
    return parts[0].len && parts[1].len && !memchr(parts[2].p, '.', parts[2].len);
}

enum fault jws_read(struct jws *jws, struct str token, struct arena *arena)
{
    struct str parts[3], header;
    enum fault fault;
    json_t *json;

    *jws = (struct jws){.alg = JOSE_ALG_COUNT};
    if (token.len > JWS_TOKEN_MAX)
        return FAULT_LONG;
    if (!token.len || !split(token, parts))
        return FAULT_PARTS;
    jws->input = (struct str){token.p, parts[0].len + 1 + parts[1].len};
    fault = read_part(parts[0], arena, &header);
    if (fault == FAULT_NONE)
        fault = read_part(parts[1], arena, &jws->payload);
    if (fault == FAULT_NONE)
        fault = read_part(parts[2], arena, &jws->signature);
    if (fault != FAULT_NONE)
        return fault;
    json = jose_json_read(header);
    fault = json ? read_header(jws, json, arena) : FAULT_HEADER;
    json_decref(json);
    return fault;
}

/* --- verifying */

static bool verify_hmac(const struct jws *jws, const struct jwk *jwk,
                        const struct jose_alg_info *info)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    bool is_same;

    if (!HMAC(info->digest(), jwk->secret.p, (int)jwk->secret.len,
              (const unsigned char *)jws->input.p, jws->input.len, sum, &len))
        return false;
    is_same = jws->signature.len == len && !CRYPTO_memcmp(sum, jws->signature.p, len);
    OPENSSL_cleanse(sum, sizeof(sum));
    return is_same;
}

/* r and s of fixed length (RFC 7518 section 3.4) as the DER that OpenSSL reads; 0: they are not. */
static size_t to_der(struct str signature, size_t half, unsigned char *der)
{
    const unsigned char *at = (const unsigned char *)signature.p;
    unsigned char *end = der;
    ECDSA_SIG *pair;
    BIGNUM *r, *s;
    int len = 0;

    if (signature.len != 2 * half)
        return 0;
    pair = ECDSA_SIG_new();
    r = BN_bin2bn(at, (int)half, NULL);
    s = BN_bin2bn(at + half, (int)half, NULL);
    if (!pair || !r || !s || !ECDSA_SIG_set0(pair, r, s)) {
        BN_free(r);
        BN_free(s);
    } else if (i2d_ECDSA_SIG(pair, NULL) <= DER_MAX) {
        len = i2d_ECDSA_SIG(pair, &end);
    }
    ECDSA_SIG_free(pair);
    return len > 0 ? (size_t)len : 0;
}

static bool verify_public(const struct jws *jws, const struct jwk *jwk, struct str signature,
                          const struct jose_alg_info *info)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *how = NULL;
    bool is_good =
        context && EVP_DigestVerifyInit(context, &how, info->digest ? info->digest() : NULL, NULL,
                                        jwk->public) > 0;

    if (is_good && info->is_pss) // RFC 7518 section 3.5: the salt is as long as the hash
        is_good = EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) > 0 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) > 0;
    is_good =
        is_good && EVP_DigestVerify(context, (const unsigned char *)signature.p, signature.len,
                                    (const unsigned char *)jws->input.p, jws->input.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return is_good;
}

static bool verify_ec(const struct jws *jws, const struct jwk *jwk,
                      const struct jose_alg_info *info)
{
    unsigned char der[DER_MAX];
    size_t len = to_der(jws->signature, info->half, der);

    return len && verify_public(jws, jwk, (struct str){(const char *)der, len}, info);
}

static bool verify(const struct jws *jws, const struct jwk *jwk, const struct jose_alg_info *info)
{
    switch (jwk->family) {
    case JOSE_OCT:
        return verify_hmac(jws, jwk, info);
    case JOSE_EC:
        return verify_ec(jws, jwk, info);
    case JOSE_OKP:
        return jws->signature.len == ED25519_SIGNATURE &&
               verify_public(jws, jwk, jws->signature, info);
    case JOSE_RSA:
        return jws->signature.len == (size_t)EVP_PKEY_get_size(jwk->public) &&
               verify_public(jws, jwk, jws->signature, info);
    }
    return false;
}

enum fault jws_verify(const struct jws *jws, const struct jwk *jwk)
{
    assert(jwk_fits(jwk, jws->alg));
    return verify(jws, jwk, jose_alg_info(jws->alg)) ? FAULT_NONE : FAULT_SIGNATURE;
}
