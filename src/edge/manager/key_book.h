/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys that were made at run time: <state>/keys.json, 0600, with their hashes alone. Changed by
 * one call at a time: first in memory, then written (key_book_save(), any thread while nothing
 * changes it), then taken or undone. Manager thread.
 */
#ifndef EDGE_MANAGER_KEY_BOOK_H
#define EDGE_MANAGER_KEY_BOOK_H

#include <jansson.h>

#include "edge/auth/key_ring.h"

struct key_book;

/* Reads the file. One that is damaged is set aside as keys.json.damaged, and *error says so (NULL:
 * fine). NULL: memory. Blocking. */
struct key_book *key_book_open(const char *state_dir, const char **error);
/* Clears the pointer; it may be NULL. */
void key_book_close(struct key_book **book);

/* Enters a new key, whose text is only ever here. E_FULL, E_NOMEM. */
MUST_USE enum status key_book_add(struct key_book *book, const struct key_ring_entry *entry,
                                  uint64_t now_ms);
/* E_NOT_FOUND. */
MUST_USE enum status key_book_remove(struct key_book *book, struct str id);
/* Takes the last change back. */
void key_book_undo(struct key_book *book);
/* E_IO with errno, E_NOMEM. */
MUST_USE enum status key_book_save(struct key_book *book);

/* All keys as {id, consumer, tier, created, expires}, without their hashes; the caller's. */
json_t *key_book_list(const struct key_book *book);
/* What workers look keys up in; NULL: memory. */
struct key_ring *key_book_ring(const struct key_book *book);

#endif
