/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of an API key: "slk_" and 40 hexadecimal digits, 160 random bits; kept is its SHA-256
 * alone. For that many random bits a quick hash is right: there is nothing to guess that a slow one
 * would make dearer. Pure, but for api_key_make().
 */
#ifndef BASE_API_KEY_H
#define BASE_API_KEY_H

#include "sluice/types.h"

enum {
    API_KEY_HASH = 32,
    API_KEY_TEXT = 4 + 40, /* bytes of a key's text */
    API_KEY_ID = 12,       /* bytes of its id: the first digits of the hash */
    API_KEY_MAX = 100000,  /* keys that one gateway, or one fleet, has */
};

/* A new key, terminated. False: no randomness. */
bool api_key_make(char text[API_KEY_TEXT + 1]);
/* The hash of what a client shows, whatever it is. */
void api_key_hash(struct str key, uint8_t hash[API_KEY_HASH]);
/* A hash from its 64 hexadecimal digits; false: it is none. */
bool api_key_read_hash(struct str text, uint8_t hash[API_KEY_HASH]);
/* And back, terminated. */
void api_key_write_hash(const uint8_t hash[API_KEY_HASH], char text[2 * API_KEY_HASH + 1]);

#endif
