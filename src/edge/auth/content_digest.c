/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/content_digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "edge/auth/sf.h"

enum { MEMBERS_MAX = 8 };

static bool take(const struct sf_item *item, bool *has, uint8_t *sum, size_t size)
{
    if (*has || item->type != SF_BYTES || sf_bytes(item->text, sum, size) != (int)size)
        return false;
    *has = true;
    return true;
}

static bool read_member(struct sf *sf, struct content_digest *digest)
{
    struct str key, name;
    struct sf_item item, value;

    if (!sf_key(sf, &key) || !sf_take(sf, '=') || !sf_item(sf, &item))
        return false;
    while (sf_take(sf, ';'))
        if (!sf_parameter(sf, &name, &value))
            return false;
    if (str_same(key, STR("sha-256")))
        return take(&item, &digest->has_256, digest->sha256, sizeof(digest->sha256));
    if (str_same(key, STR("sha-512")))
        return take(&item, &digest->has_512, digest->sha512, sizeof(digest->sha512));
    return true;
}

bool content_digest_read(struct str value, struct content_digest *digest)
{
    struct sf sf;
    unsigned count = 0;

    *digest = (struct content_digest){.has_256 = false};
    if (!value.p)
        return false;
    sf = sf_begin(value);
    while (!sf_is_end(&sf))
        if (++count > MEMBERS_MAX || !read_member(&sf, digest) || !sf_next(&sf))
            return false;
    return digest->has_256 || digest->has_512;
}

static bool is_sum(const EVP_MD *kind, struct str content, const uint8_t *wanted, size_t size)
{
    uint8_t sum[EVP_MAX_MD_SIZE];

    return EVP_Digest(content.p, content.len, sum, NULL, kind, NULL) &&
           !CRYPTO_memcmp(sum, wanted, size);
}

bool content_digest_is(const struct content_digest *digest, struct str content)
{
    bool is_it = digest->has_256 || digest->has_512;

    if (digest->has_256)
        is_it &= is_sum(EVP_sha256(), content, digest->sha256, sizeof(digest->sha256));
    if (digest->has_512)
        is_it &= is_sum(EVP_sha512(), content, digest->sha512, sizeof(digest->sha512));
    return is_it;
}
