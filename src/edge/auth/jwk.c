/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/jwk.h"

#include <jansson.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <string.h>

#include "edge/auth/jose_base64.h"
#include "edge/auth/jose_json.h"

enum { POINT_MAX = 1 + 2 * 66, ED25519_SIZE = 32 };

static const struct {
    const char *crv, *group;
    enum jose_alg alg;
} curves[] = {
    {"P-256", "prime256v1", JOSE_ES256},
    {"P-384", "secp384r1", JOSE_ES384},
    {"P-521", "secp521r1", JOSE_ES512},
};

static enum status refuse(const char **why, const char *text)
{
    *why = text;
    ERR_clear_error();
    return E_INVALID;
}

/* --- what a JWK says it is for (RFC 7517 sections 4.2 to 4.4) */

static bool is_for_verifying(const json_t *json)
{
    const json_t *use = json_object_get(json, "use"), *ops = json_object_get(json, "key_ops");
    bool is_found = false;

    if (use && !str_same(jose_json_str(use), STR("sig")))
        return false;
    if (!ops)
        return true;
    for (size_t i = 0; i < json_array_size(ops); i++) {
        struct str op = jose_json_str(json_array_get(ops, i));

        if (!op.p)
            return false;
        for (size_t j = 0; j < i; j++)
            if (str_same(op, jose_json_str(json_array_get(ops, j))))
                return false;
        is_found |= str_same(op, STR("verify"));
    }
    return is_found;
}

static enum status read_name(struct jwk *jwk, const json_t *json, struct arena *arena)
{
    const json_t *kid = json_object_get(json, "kid");

    if (!kid)
        return OK;
    if (!json_is_string(kid))
        return E_INVALID;
    jwk->kid = arena_copy(arena, jose_json_str(kid));
    return jwk->kid.p ? OK : E_NOMEM;
}

/* `alg` narrows what the family allows; one of another family, or that is no signature, is refused.
 */
static bool read_alg(struct jwk *jwk, const json_t *json)
{
    const json_t *member = json_object_get(json, "alg");
    enum jose_alg alg;

    if (!member)
        return true;
    alg = jose_alg_find(jose_json_str(member));
    if (alg == JOSE_ALG_COUNT || !jwk_fits(jwk, alg))
        return false;
    jwk->alg = alg;
    return true;
}

/* --- public keys by their numbers */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (!params || !context || EVP_PKEY_fromdata_init(context) <= 0 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

/* A big-endian number in the shortest form (RFC 7518 section 2, Base64urlUInt). */
static BIGNUM *number(const json_t *json, const char *name, struct arena *arena)
{
    struct str text = jose_json_text(json, name), bytes;

    if (!text.len || jose_base64_read(text, arena, &bytes) || !bytes.len || !bytes.p[0] ||
        bytes.len > JWK_RSA_BITS_MAX / 8)
        return NULL;
    return BN_bin2bn((const unsigned char *)bytes.p, (int)bytes.len, NULL);
}

/* An exponent that makes sense: odd, above 1, and short enough to be quick. */
static bool is_exponent(const BIGNUM *e)
{
    return BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 64;
}

/* Keys of the smart cards of CVE-2017-15361 can be factored; they are known by their moduli, which
 * are powers of 65537 modulo each of many small primes. */
static bool is_weak(const BIGNUM *n)
{
    static const uint8_t primes[] = {11, 13, 17,  19,  37,  53,  61,  71, 73,
                                     79, 97, 103, 107, 109, 127, 151, 157};

    for (size_t i = 0; i < ARRAY_LEN(primes); i++) {
        BN_ULONG prime = primes[i], wanted = BN_mod_word(n, prime), power = 1;

        do
            power = power * (65537 % prime) % prime;
        while (power != wanted && power != 1);
        if (power != wanted)
            return false;
    }
    return true;
}

static bool is_rsa_good(const EVP_PKEY *key)
{
    BIGNUM *n = NULL, *e = NULL;
    int bits = EVP_PKEY_get_bits(key);
    bool is_good = bits >= JWK_RSA_BITS_MIN && bits <= JWK_RSA_BITS_MAX &&
                   EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) &&
                   EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) && BN_is_odd(n) &&
                   is_exponent(e) && !is_weak(n);

    BN_free(n);
    BN_free(e);
    return is_good;
}

static enum status read_rsa(struct jwk *jwk, const json_t *json, struct arena *arena,
                            const char **why)
{
    BIGNUM *n = number(json, "n", arena), *e = number(json, "e", arena);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;

    if (n && e && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
        params = OSSL_PARAM_BLD_to_param(build);
    jwk->public = from_params("RSA", params);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    if (!jwk->public)
        return refuse(why, "its numbers are no RSA key");
    return is_rsa_good(jwk->public)
               ? OK
               : refuse(why,
                        "an RSA key has 2048 to 8192 bits, an odd exponent, and no known weakness");
}

/* A coordinate has exactly the curve's length (RFC 7518 section 6.2.1.2). */
static bool read_coordinate(const json_t *json, const char *name, uint8_t *out, size_t size)
{
    return jose_base64_decode(jose_json_text(json, name), out, size) == (int)size;
}

static enum status read_ec(struct jwk *jwk, const json_t *json, const char **why)
{
    struct str crv = jose_json_text(json, "crv");
    uint8_t point[POINT_MAX] = {4}; // uncompressed (SEC 1, 2.3.3)
    size_t i, half;

    for (i = 0; i < ARRAY_LEN(curves); i++)
        if (str_same(crv, (struct str){curves[i].crv, strlen(curves[i].crv)}))
            break;
    if (i == ARRAY_LEN(curves))
        return refuse(why, "its curve is not P-256, P-384 or P-521");
    jwk->alg = curves[i].alg;
    half = jose_alg_info(jwk->alg)->half;
    if (!read_coordinate(json, "x", point + 1, half) ||
        !read_coordinate(json, "y", point + 1 + half, half))
        return refuse(why, "its coordinates are not of the curve's length");
    jwk->public = from_params(
        "EC",
        (OSSL_PARAM[]){OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
                                                        (char *)(uintptr_t)curves[i].group, 0),
                       OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point,
                                                         1 + 2 * half),
                       OSSL_PARAM_construct_end()});
    return jwk->public ? OK : refuse(why, "its point is not on the curve");
}

static enum status read_okp(struct jwk *jwk, const json_t *json, const char **why)
{
    uint8_t bytes[ED25519_SIZE];

    if (!str_same(jose_json_text(json, "crv"), STR("Ed25519")))
        return refuse(why, "its curve is not Ed25519");
    if (!read_coordinate(json, "x", bytes, sizeof(bytes)))
        return refuse(why, "its x is not of 32 bytes");
    jwk->alg = JOSE_EDDSA;
    jwk->public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, bytes, sizeof(bytes));
    return jwk->public ? OK : refuse(why, "its x is no point");
}

enum status jwk_read_secret(struct jwk *jwk, struct str secret, struct arena *arena,
                            const char **why)
{
    *jwk = (struct jwk){.family = JOSE_OCT, .alg = JOSE_ALG_COUNT};
    if (memmem(secret.p, secret.len, "-----BEGIN ", 11))
        return refuse(why, "a key in PEM is no shared secret");
    if (secret.len < jose_alg_info(JOSE_HS256)->hash)
        return refuse(why, "a shared secret has at least 32 bytes");
    if (secret.len > JWK_SECRET_MAX)
        return refuse(why, "a shared secret has at most 4096 bytes");
    jwk->secret = arena_copy(arena, secret);
    return jwk->secret.p ? OK : E_NOMEM;
}

static enum status read_oct(struct jwk *jwk, const json_t *json, struct arena *arena,
                            const char **why)
{
    struct str text = jose_json_text(json, "k"), secret;
    enum status status = text.len ? jose_base64_read(text, arena, &secret) : E_INVALID;

    if (status)
        return status == E_NOMEM ? status : refuse(why, "its k is not base64url");
    status = jwk_read_secret(jwk, secret, arena, why);
    OPENSSL_cleanse((char *)(uintptr_t)secret.p, secret.len);
    return status;
}

static enum status read_by_type(struct jwk *jwk, const json_t *json, struct arena *arena,
                                const char **why)
{
    struct str type = jose_json_text(json, "kty");

    if (str_same(type, STR("RSA")))
        jwk->family = JOSE_RSA;
    else if (str_same(type, STR("EC")))
        jwk->family = JOSE_EC;
    else if (str_same(type, STR("OKP")))
        jwk->family = JOSE_OKP;
    else if (!str_same(type, STR("oct")))
        return refuse(why, "its kty is not RSA, EC, OKP or oct");
    switch (jwk->family) {
    case JOSE_RSA:
        return read_rsa(jwk, json, arena, why);
    case JOSE_EC:
        return read_ec(jwk, json, why);
    case JOSE_OKP:
        return read_okp(jwk, json, why);
    case JOSE_OCT:
        break;
    }
    return read_oct(jwk, json, arena, why);
}

enum status jwk_read(struct jwk *jwk, const struct json_t *json, struct arena *arena,
                     const char **why)
{
    enum status status;

    *jwk = (struct jwk){.family = JOSE_OCT, .alg = JOSE_ALG_COUNT};
    if (!json_is_object(json))
        return refuse(why, "it is no object");
    if (!is_for_verifying(json))
        return refuse(why, "its use or key_ops is not for verifying signatures");
    status = read_by_type(jwk, json, arena, why);
    if (!status && !read_alg(jwk, json))
        status = refuse(why, "its alg is not one of signatures with such a key");
    if (!status)
        status = read_name(jwk, json, arena);
    if (status == E_INVALID && !*why)
        *why = "its kid is no text";
    if (status)
        jwk_fini(jwk);
    return status;
}

/* --- PEM */

static EVP_PKEY *decode_pem(struct str pem)
{
    const unsigned char *at = (const unsigned char *)pem.p;
    size_t left = pem.len;
    EVP_PKEY *key = NULL;
    OSSL_DECODER_CTX *context =
        OSSL_DECODER_CTX_new_for_pkey(&key, "PEM", NULL, NULL, EVP_PKEY_PUBLIC_KEY, NULL, NULL);

    if (!context || !OSSL_DECODER_from_data(context, &at, &left))
        key = NULL;
    OSSL_DECODER_CTX_free(context);
    return key;
}

static EVP_PKEY *decode_certificate(struct str pem)
{
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = certificate ? X509_get_pubkey(certificate) : NULL;

    X509_free(certificate);
    BIO_free(bio);
    return key;
}

static bool has(struct str text, struct str word)
{
    return memmem(text.p, text.len, word.p, word.len) != NULL;
}

/* The family by what OpenSSL made of it. */
static bool know(struct jwk *jwk)
{
    char group[32];

    jwk->family = JOSE_RSA;
    switch (EVP_PKEY_get_base_id(jwk->public)) {
    case EVP_PKEY_RSA:
        return is_rsa_good(jwk->public);
    case EVP_PKEY_ED25519:
        jwk->family = JOSE_OKP;
        jwk->alg = JOSE_EDDSA;
        return true;
    case EVP_PKEY_EC:
        break;
    default:
        return false;
    }
    jwk->family = JOSE_EC;
    if (!EVP_PKEY_get_group_name(jwk->public, group, sizeof(group), NULL))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(curves); i++)
        if (!strcmp(group, curves[i].group))
            jwk->alg = curves[i].alg;
    return jwk->alg != JOSE_ALG_COUNT;
}

enum status jwk_read_pem(struct jwk *jwk, struct str pem, const char **why)
{
    *jwk = (struct jwk){.family = JOSE_RSA, .alg = JOSE_ALG_COUNT};
    if (pem.len > 64 * 1024)
        return refuse(why, "the file is too large for a key");
    if (has(pem, STR("PRIVATE KEY-----")))
        return refuse(why, "it is a private key; only the public half belongs here");
    jwk->public =
        has(pem, STR("-----BEGIN CERTIFICATE-----")) ? decode_certificate(pem) : decode_pem(pem);
    if (!jwk->public)
        return refuse(why, "it is no public key in PEM");
    if (know(jwk))
        return OK;
    jwk_fini(jwk);
    return refuse(why, "it is not RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519");
}

void jwk_fini(struct jwk *jwk)
{
    EVP_PKEY_free(jwk->public);
    if (jwk->secret.p)
        OPENSSL_cleanse((char *)(uintptr_t)jwk->secret.p, jwk->secret.len);
    *jwk = (struct jwk){.family = JOSE_OCT, .alg = JOSE_ALG_COUNT};
    ERR_clear_error();
}

bool jwk_fits(const struct jwk *jwk, enum jose_alg alg)
{
    const struct jose_alg_info *info = jose_alg_info(alg);

    if (info->family != jwk->family)
        return false;
    /* RFC 7518 section 3.2: a shared secret is at least as long as the hash. */
    if (jwk->family == JOSE_OCT && jwk->secret.len < info->hash)
        return false;
    return jwk->alg == JOSE_ALG_COUNT || jwk->alg == alg;
}
