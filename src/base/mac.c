/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 64 };

struct mac {
    EVP_MD_CTX *inner, *outer; /* each after its block of the key */
};

/* A context that has hashed the key with each byte changed by `pad`. */
static EVP_MD_CTX *prepare(const uint8_t key[BLOCK], uint8_t pad)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t block[BLOCK];
    bool is_good;

    for (size_t i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    is_good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
              EVP_DigestUpdate(context, block, BLOCK);
    OPENSSL_cleanse(block, BLOCK);
    if (is_good)
        return context;
    EVP_MD_CTX_free(context);
    return NULL;
}

struct mac *mac_new(struct str key)
{
    struct mac *mac = calloc(1, sizeof(*mac));
    uint8_t block[BLOCK] = {0};
    bool is_good = true;

    if (key.len > BLOCK)
        is_good = EVP_Digest(key.p, key.len, block, NULL, EVP_sha256(), NULL);
    else if (key.len)
        memcpy(block, key.p, key.len);
    if (mac && is_good) {
        mac->inner = prepare(block, 0x36);
        mac->outer = prepare(block, 0x5c);
    }
    OPENSSL_cleanse(block, BLOCK);
    if (mac && (!mac->inner || !mac->outer))
        mac_free(&mac);
    return mac;
}

void mac_free(struct mac **mac)
{
    if (!*mac)
        return;
    EVP_MD_CTX_free((*mac)->inner);
    EVP_MD_CTX_free((*mac)->outer);
    free(*mac);
    *mac = NULL;
}

bool mac_sum(const struct mac *mac, const struct str *parts, size_t count, uint8_t sum[MAC_SIZE])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context && EVP_MD_CTX_copy_ex(context, mac->inner);

    for (size_t i = 0; is_good && i < count; i++)
        is_good = !parts[i].len || EVP_DigestUpdate(context, parts[i].p, parts[i].len);
    is_good = is_good && EVP_DigestFinal_ex(context, sum, NULL) &&
              EVP_MD_CTX_copy_ex(context, mac->outer) && EVP_DigestUpdate(context, sum, MAC_SIZE) &&
              EVP_DigestFinal_ex(context, sum, NULL);
    EVP_MD_CTX_free(context);
    return is_good;
}

bool mac_same(const uint8_t a[MAC_SIZE], const uint8_t b[MAC_SIZE])
{
    return !CRYPTO_memcmp(a, b, MAC_SIZE);
}
