/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys in JSON, as an edge and control both read and write them: what a person asks for, what
 * is kept, and what is shown. Pure.
 */
#ifndef REST_KEY_JSON_H
#define REST_KEY_JSON_H

#include <jansson.h>

#include "base/api_key.h"

/* A key as it is kept: {"hash", "consumer", "tier", "created_ms", "expires_ms"}, without tier or
 * expires_ms where there is none. */
struct key_entry {
    uint8_t hash[API_KEY_HASH];
    struct str consumer, tier; /* tier may be absent */
    uint64_t created_ms;       /* Unix time, as the next; UINT64_MAX there: never */
    uint64_t expires_ms;
};

/* The texts are the JSON's. NULL: it is one; else what is wrong with it, static. */
const char *key_entry_read(const json_t *json, struct key_entry *entry);
/* The caller's; NULL: no memory. */
json_t *key_entry_write(const struct key_entry *entry);
/* What may be shown of it: {"id", "consumer", "created", "tier", "expires", "source"}; the
 * caller's. NULL: no memory. */
json_t *key_entry_show(const struct key_entry *entry, const char *source);
/* The key as its maker is shown it, this once. */
json_t *key_entry_answer(const struct key_entry *entry, const char *key);
/* Its id, terminated. */
void key_entry_id(const struct key_entry *entry, char id[API_KEY_ID + 1]);

/* What is asked for: {"consumer", "tier", "expires_in"}. */
struct key_wish {
    struct str consumer, tier; /* tier may be absent */
    uint64_t expires_in_ms;    /* 0: never */
};

/* The body of a call, whose texts are those of *json, which is the caller's in any case and NULL if
 * it is none. NULL: it is a wish; else what is wrong with it, static. */
const char *key_wish_read(struct str body, json_t **json, struct key_wish *wish);
/* A new key of that wish, made at `now_ms`; the texts are the wish's. False: no randomness. */
bool key_wish_grant(const struct key_wish *wish, uint64_t now_ms, char key[API_KEY_TEXT + 1],
                    struct key_entry *entry);

#endif
