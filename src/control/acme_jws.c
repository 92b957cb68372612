/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_jws.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "base/text.h"

enum { COORDINATE = 32 /* bytes of a number on P-256 */, DER_MAX = 80 };

struct str acme_jws_base64(struct arena *arena, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *text = arena_text(arena, bytes.len * 4 / 3 + 4), *out = text;
    uint32_t bits = 0;
    unsigned held = 0;

    if (!text)
        return STR_NONE;
    for (size_t i = 0; i < bytes.len; i++) {
        bits = (bits << 8 | (unsigned char)bytes.p[i]) & 0xffff;
        for (held += 8; held >= 6; held -= 6)
            *out++ = digits[bits >> (held - 6) & 63];
    }
    if (held)
        *out++ = digits[bits << (6 - held) & 63];
    *out = '\0';
    return (struct str){text, (size_t)(out - text)};
}

static struct str coordinate(struct arena *arena, const EVP_PKEY *key, const char *name)
{
    unsigned char bytes[COORDINATE];
    struct str text = STR_NONE;
    BIGNUM *number = NULL;

    if (EVP_PKEY_get_bn_param(key, name, &number) == 1 &&
        BN_bn2binpad(number, bytes, COORDINATE) == COORDINATE)
        text = acme_jws_base64(arena, (struct str){(const char *)bytes, COORDINATE});
    BN_free(number);
    return text;
}

/* Its members in the order that RFC 7638 section 3 hashes them in. */
static struct str public_key(struct arena *arena, const EVP_PKEY *key)
{
    struct str x = coordinate(arena, key, OSSL_PKEY_PARAM_EC_PUB_X);
    struct str y = coordinate(arena, key, OSSL_PKEY_PARAM_EC_PUB_Y);

    if (!x.p || !y.p)
        return STR_NONE;
    return arena_format(arena, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%.*s\",\"y\":\"%.*s\"}",
                        STR_FMT(x), STR_FMT(y));
}

struct str acme_jws_thumbprint(struct arena *arena, const struct evp_pkey_st *key)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    struct str text = public_key(arena, key);

    if (!text.p)
        return STR_NONE;
    SHA256((const unsigned char *)text.p, text.len, hash);
    return acme_jws_base64(arena, (struct str){(const char *)hash, sizeof(hash)});
}

/* r and s side by side (RFC 7518 section 3.4), out of the DER that OpenSSL makes. */
static bool flatten(const unsigned char *der, size_t len, unsigned char *out)
{
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);
    bool is_good = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), out, COORDINATE) == COORDINATE &&
                   BN_bn2binpad(ECDSA_SIG_get0_s(pair), out + COORDINATE, COORDINATE) == COORDINATE;

    ECDSA_SIG_free(pair);
    return is_good;
}

static struct str signature(struct arena *arena, EVP_PKEY *key, struct str text)
{
    unsigned char der[DER_MAX], flat[2 * COORDINATE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct str out = STR_NONE;
    size_t len = sizeof(der);

    if (context && EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(context, der, &len, (const unsigned char *)text.p, text.len) == 1 &&
        flatten(der, len, flat))
        out = acme_jws_base64(arena, (struct str){(const char *)flat, sizeof(flat)});
    EVP_MD_CTX_free(context);
    return out;
}

static struct str quoted(struct arena *arena, struct str s)
{
    char *text = arena_text(arena, s.len * TEXT_JSON_FACTOR + 3), *out = text;

    if (!text)
        return STR_NONE;
    *out++ = '"';
    out = text_json(out, s);
    *out++ = '"';
    *out = '\0';
    return (struct str){text, (size_t)(out - text)};
}

/* RFC 8555 section 6.2: alg, nonce, url, and one of jwk and kid. */
static struct str protected_header(struct arena *arena, const EVP_PKEY *key,
                                   const struct acme_jws *jws)
{
    struct str who = jws->kid.p ? quoted(arena, jws->kid) : public_key(arena, key);
    struct str nonce = quoted(arena, jws->nonce), url = quoted(arena, jws->url);

    if (!who.p || !nonce.p || !url.p)
        return STR_NONE;
    return arena_format(arena, "{\"alg\":\"ES256\",\"%s\":%.*s,\"nonce\":%.*s,\"url\":%.*s}",
                        jws->kid.p ? "kid" : "jwk", STR_FMT(who), STR_FMT(nonce), STR_FMT(url));
}

struct str acme_jws_sign(struct arena *arena, struct evp_pkey_st *key, const struct acme_jws *jws,
                         struct str payload)
{
    struct str head = protected_header(arena, key, jws), body, input, sealed;

    if (!head.p)
        return STR_NONE;
    head = acme_jws_base64(arena, head);
    body = acme_jws_base64(arena, payload);
    if (!head.p || !body.p)
        return STR_NONE;
    input = arena_format(arena, "%.*s.%.*s", STR_FMT(head), STR_FMT(body));
    sealed = input.p ? signature(arena, key, input) : STR_NONE;
    if (!sealed.p)
        return STR_NONE;
    return arena_format(arena,
                        "{\"protected\":\"%.*s\",\"payload\":\"%.*s\",\"signature\":\"%.*s\"}",
                        STR_FMT(head), STR_FMT(body), STR_FMT(sealed));
}
