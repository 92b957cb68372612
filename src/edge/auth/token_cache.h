/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens that one worker has verified, so that a repeated one costs no signature. Bounded in number
 * and bytes; found by a hash whose secret is random and by comparing the whole token. An entry is
 * good for the rules and the keys that it was verified with, and until the token ends. One thread.
 */
#ifndef EDGE_AUTH_TOKEN_CACHE_H
#define EDGE_AUTH_TOKEN_CACHE_H

#include "edge/auth/jwt.h"

struct token_cache;

/* By what a token is known. */
struct token_key {
    struct str token;
    uint64_t rules; /* the number of the configuration's rules */
    uint64_t keys;  /* the number of the set of keys */
};

/* NULL: memory, or no randomness. */
struct token_cache *token_cache_new(void);
/* Clears the pointer; it may be NULL. */
void token_cache_free(struct token_cache **cache);

/* What the token says, until the next call; NULL: it is not known, or not good at `now_ms`. */
const struct jwt *token_cache_find(struct token_cache *cache, const struct token_key *key,
                                   uint64_t now_ms);
/* Keeps a copy in place of another; one that is too large, or for which there is no memory, is not
 * kept. `forwards`: how many values jwt->forward has. */
void token_cache_put(struct token_cache *cache, const struct token_key *key, const struct jwt *jwt,
                     uint32_t forwards);

#endif
