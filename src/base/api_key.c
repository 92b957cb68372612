/* SPDX-License-Identifier: Apache-2.0 */
#include "base/api_key.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/text.h"

static const char digits[] = "0123456789abcdef";

bool api_key_make(char text[API_KEY_TEXT + 1])
{
    uint8_t bytes[(API_KEY_TEXT - 4) / 2];
    bool is_good = RAND_bytes(bytes, sizeof(bytes)) == 1;

    memcpy(text, "slk_", 4);
    *text_hex_bytes(text + 4, bytes, sizeof(bytes)) = '\0';
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return is_good;
}

void api_key_hash(struct str key, uint8_t hash[API_KEY_HASH])
{
    SHA256((const unsigned char *)key.p, key.len, hash);
}

static int value_of(char c)
{
    const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;

    return at ? (int)(at - digits) : -1;
}

bool api_key_read_hash(struct str text, uint8_t hash[API_KEY_HASH])
{
    if (text.len != 2 * API_KEY_HASH)
        return false;
    for (size_t i = 0; i < API_KEY_HASH; i++) {
        int high = value_of(text.p[2 * i]), low = value_of(text.p[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        hash[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

void api_key_write_hash(const uint8_t hash[API_KEY_HASH], char text[2 * API_KEY_HASH + 1])
{
    *text_hex_bytes(text, hash, API_KEY_HASH) = '\0';
}
