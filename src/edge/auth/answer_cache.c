/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/answer_cache.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRIES = 1024 };

struct entry {
    uint8_t digest[ANSWER_DIGEST];
    uint64_t until_us;                /* 0: free */
    char *text;                       /* of the values, one behind the other; owned */
    uint16_t lens[ANSWER_VALUES_MAX]; /* UINT16_MAX: absent */
    uint16_t count;
};

struct answer_cache {
    struct entry entries[ENTRIES];
};

struct answer_cache *answer_cache_new(void)
{
    return calloc(1, sizeof(struct answer_cache));
}

void answer_cache_free(struct answer_cache **cache)
{
    if (!*cache)
        return;
    for (size_t i = 0; i < ENTRIES; i++)
        free((*cache)->entries[i].text);
    free(*cache);
    *cache = NULL;
}

bool answer_cache_digest(const struct str *parts, size_t count, uint8_t digest[ANSWER_DIGEST])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);

    for (size_t i = 0; is_good && i < count; i++) {
        uint64_t len = parts[i].len;

        is_good = EVP_DigestUpdate(context, &len, sizeof(len)) &&
                  EVP_DigestUpdate(context, parts[i].p, parts[i].len);
    }
    is_good = is_good && EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    return is_good;
}

static size_t place_of(const uint8_t digest[ANSWER_DIGEST])
{
    uint16_t place;

    memcpy(&place, digest, sizeof(place));
    return place % ENTRIES;
}

bool answer_cache_find(const struct answer_cache *cache, const uint8_t digest[ANSWER_DIGEST],
                       uint64_t now_us, struct str *values)
{
    const struct entry *entry = &cache->entries[place_of(digest)];
    const char *at = entry->text;

    if (entry->until_us <= now_us || memcmp(entry->digest, digest, ANSWER_DIGEST) != 0)
        return false;
    for (unsigned i = 0; i < entry->count; i++) {
        bool is_absent = entry->lens[i] == UINT16_MAX;

        values[i] = is_absent ? STR_NONE : (struct str){at, entry->lens[i]};
        at += values[i].len;
    }
    return true;
}

static size_t sum_of(const struct str *values, size_t count)
{
    size_t sum = 0;

    for (size_t i = 0; i < count && sum <= ANSWER_BYTES_MAX; i++)
        sum += values[i].len;
    return sum;
}

void answer_cache_put(struct answer_cache *cache, const uint8_t digest[ANSWER_DIGEST],
                      uint64_t until_us, const struct str *values, size_t count)
{
    struct entry *entry = &cache->entries[place_of(digest)];
    size_t sum = sum_of(values, count);
    char *text = count <= ANSWER_VALUES_MAX && sum <= ANSWER_BYTES_MAX ? malloc(sum + 1) : NULL;

    if (!text)
        return;
    free(entry->text);
    memcpy(entry->digest, digest, ANSWER_DIGEST);
    entry->until_us = until_us;
    entry->text = text;
    entry->count = (uint16_t)count;
    for (size_t i = 0; i < count; i++) {
        entry->lens[i] = values[i].p ? (uint16_t)values[i].len : UINT16_MAX;
        if (values[i].len)
            memcpy(text, values[i].p, values[i].len);
        text += values[i].len;
    }
}
