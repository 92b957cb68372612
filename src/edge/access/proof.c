/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/proof.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <string.h>

#include "base/text.h"

enum { CLIENT_LEN = IP_LEN, V6_CLIENT_LEN = 8, TIME_BYTES = PROOF_TIME_LEN / 2 };

void proof_challenge(const uint8_t key[PROOF_KEY_LEN], const uint8_t ip[IP_LEN], uint32_t until_s,
                     char challenge[PROOF_CHALLENGE_LEN])
{
    uint8_t said[TIME_BYTES + CLIENT_LEN] = {0}, mac[SHA256_DIGEST_LENGTH];
    unsigned len = sizeof(mac);

    for (unsigned i = 0; i < TIME_BYTES; i++)
        said[i] = (uint8_t)(until_s >> 8 * (TIME_BYTES - 1 - i));
    memcpy(said + TIME_BYTES, ip, ip_is_v4(ip) ? IP_LEN : V6_CLIENT_LEN);
    assert(HMAC(EVP_sha256(), key, PROOF_KEY_LEN, said, sizeof(said), mac, &len));
    text_hex_bytes(challenge, said, TIME_BYTES);
    challenge[PROOF_TIME_LEN] = '-';
    text_hex_bytes(challenge + PROOF_TIME_LEN + 1, mac, PROOF_MAC_LEN / 2);
}

static bool read_time(const char *digits, uint32_t *time)
{
    *time = 0;
    for (unsigned i = 0; i < PROOF_TIME_LEN; i++) {
        char c = digits[i];

        if (c >= '0' && c <= '9')
            *time = *time << 4 | (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *time = *time << 4 | (uint32_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

static bool is_number(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return text.len && text.len <= PROOF_NUMBER_LEN;
}

static bool begins_with_zeros(struct str text, unsigned bits)
{
    uint8_t hash[SHA256_DIGEST_LENGTH];
    uint32_t first;

    SHA256((const uint8_t *)text.p, text.len, hash);
    first = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
    return !bits || !(first >> (32 - bits));
}

bool proof_holds(const uint8_t key[PROOF_KEY_LEN], const uint8_t ip[IP_LEN], uint64_t now_s,
                 unsigned bits, struct str solution)
{
    char challenge[PROOF_CHALLENGE_LEN];
    struct str number;
    uint32_t until_s;

    assert(bits <= PROOF_BITS_MAX);
    if (solution.len < PROOF_CHALLENGE_LEN + 2 || solution.p[PROOF_CHALLENGE_LEN] != '-' ||
        !read_time(solution.p, &until_s) || until_s <= now_s)
        return false;
    number =
        (struct str){solution.p + PROOF_CHALLENGE_LEN + 1, solution.len - PROOF_CHALLENGE_LEN - 1};
    if (!is_number(number) || !begins_with_zeros(solution, bits))
        return false;
    proof_challenge(key, ip, until_s, challenge);
    return !CRYPTO_memcmp(challenge, solution.p, PROOF_CHALLENGE_LEN);
}
