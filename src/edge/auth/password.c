/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

enum { BCRYPT_COST_MAX = 14, ROUNDS_MAX = 1000000 };

static bool begins(struct str s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.len > len && !memcmp(s.p, prefix, len);
}

static bool is_known_method(struct str hash)
{
    return begins(hash, "$2a$") || begins(hash, "$2b$") || begins(hash, "$2y$") ||
           begins(hash, "$y$") || begins(hash, "$6$");
}

/* A hash that takes seconds would be an outage. */
static bool is_too_slow(const char *hash)
{
    if (hash[1] == '2')
        return strtoul(hash + 4, NULL, 10) > BCRYPT_COST_MAX;
    if (!strncmp(hash, "$6$rounds=", 10))
        return strtoul(hash + 10, NULL, 10) > ROUNDS_MAX;
    return false;
}

/* The setting and something after it: what libcrypt makes of a setting is longer than that. */
static bool is_whole(struct str hash)
{
    if (hash.p[1] == '2')
        return hash.len == 60;
    return hash.len > 60; // SHA-512: 86 digits; yescrypt: 43 and the salt
}

const char *password_hash_wrong(struct str hash)
{
    char text[PASSWORD_HASH_MAX];

    if (hash.len >= sizeof(text) || memchr(hash.p, '\0', hash.len) || !is_known_method(hash))
        return "it is not of bcrypt, yescrypt or SHA-512";
    memcpy(text, hash.p, hash.len);
    text[hash.len] = '\0';
    if (crypt_checksalt(text) == CRYPT_SALT_INVALID || !is_whole(hash))
        return "it is damaged";
    return is_too_slow(text) ? "it would take seconds to check" : NULL;
}

static bool is_same(const char *made, const char *hash)
{
    size_t len = strlen(hash);

    return strlen(made) == len && !CRYPTO_memcmp(made, hash, len);
}

bool password_check(struct str password, struct str hash)
{
    char phrase[PASSWORD_MAX + 1], setting[PASSWORD_HASH_MAX];
    struct crypt_data *data;
    bool is_it = false;
    const char *made;

    if (password.len > PASSWORD_MAX || password_hash_wrong(hash) ||
        (password.len && memchr(password.p, '\0', password.len)))
        return false;
    data = calloc(1, sizeof(*data));
    if (!data)
        return false;
    if (password.len)
        memcpy(phrase, password.p, password.len);
    phrase[password.len] = '\0';
    memcpy(setting, hash.p, hash.len);
    setting[hash.len] = '\0';
    made = crypt_r(phrase, setting, data);
    if (made && made[0] != '*')
        is_it = is_same(made, setting);
    OPENSSL_cleanse(phrase, sizeof(phrase));
    OPENSSL_cleanse(data, sizeof(*data));
    free(data);
    return is_it;
}
