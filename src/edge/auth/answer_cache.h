/* SPDX-License-Identifier: Apache-2.0
 *
 * What an authority said yes to, for a while: values by a digest of the question. Bounded: an entry
 * gives way to another of the same place. One thread.
 */
#ifndef EDGE_AUTH_ANSWER_CACHE_H
#define EDGE_AUTH_ANSWER_CACHE_H

#include "sluice/types.h"

enum {
    ANSWER_DIGEST = 32,      /* bytes: SHA-256, since whoever asks chooses the question */
    ANSWER_VALUES_MAX = 32,  /* of one answer */
    ANSWER_BYTES_MAX = 4096, /* all values of one answer; larger ones are not kept */
};

struct answer_cache;

/* NULL: memory. */
struct answer_cache *answer_cache_new(void);
/* Clears the pointer; it may be NULL. */
void answer_cache_free(struct answer_cache **cache);

/* The digest of `count` parts, whose bounds count. False: the library failed. */
MUST_USE bool answer_cache_digest(const struct str *parts, size_t count,
                                  uint8_t digest[ANSWER_DIGEST]);
/* Fills `values`, as many as were put, until the next call. False: nothing is known at `now_us`. */
bool answer_cache_find(const struct answer_cache *cache, const uint8_t digest[ANSWER_DIGEST],
                       uint64_t now_us, struct str *values);
/* Keeps copies; absent values stay absent. */
void answer_cache_put(struct answer_cache *cache, const uint8_t digest[ANSWER_DIGEST],
                      uint64_t until_us, const struct str *values, size_t count);

#endif
