/* SPDX-License-Identifier: Apache-2.0
 *
 * Dictionaries that the scripts of all workers share: texts and numbers by name, each with a time
 * to live, within a ceiling of memory: what was not used for the longest goes first. One store a
 * process; it survives reloads and not the process. Sharded, each shard behind a lock that is held
 * for as long as a copy takes. Any thread.
 */
#ifndef EDGE_SCRIPT_DICT_H
#define EDGE_SCRIPT_DICT_H

#include "sluice/types.h"

enum {
    DICT_KEY_MAX = 256,        /* bytes, with the name of its dictionary */
    DICT_VALUE_MAX = 16 * 1024 /* bytes of a text */
};

struct dict_store;

struct dict_value {
    bool is_number;
    double number;
    struct str text;
};

/* `bytes`: the ceiling. NULL: no memory. */
struct dict_store *dict_open(size_t bytes);
/* Clears the pointer; NULL is fine. */
void dict_close(struct dict_store **store);

/* The value; its text is copied into `room` of DICT_VALUE_MAX bytes. E_NOT_FOUND. */
MUST_USE enum status dict_get(struct dict_store *store, struct str key, uint64_t now_ms, char *room,
                              struct dict_value *value);

struct dict_write {
    struct str key; /* at most DICT_KEY_MAX bytes */
    struct dict_value value;
    uint64_t now_ms, ttl_ms; /* monotonic; ttl 0: for ever */
    bool only_new;           /* E_CONFLICT when there is one */
};

/* E_INVALID: key or value too long. E_NOMEM: malloc said no. */
MUST_USE enum status dict_set(struct dict_store *store, const struct dict_write *write);
/* Adds value.number to what is there and gives the sum; where there is nothing, it begins at 0 and
 * lives for ttl_ms. E_CONFLICT: there is a text. */
MUST_USE enum status dict_add(struct dict_store *store, const struct dict_write *write,
                              double *sum);
/* Whether there was one. */
bool dict_remove(struct dict_store *store, struct str key, uint64_t now_ms);

/* Bytes in use. */
size_t dict_used(struct dict_store *store);

#endif
