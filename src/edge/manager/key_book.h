/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys that were made at run time, with their hashes alone: <state>/keys.json, 0600. Those made
 * here, and those that control has given, which it alone changes. Changed by one call at a time:
 * first in memory, then written (key_book_save(), any thread while nothing changes it), then taken
 * or undone. Manager thread.
 */
#ifndef EDGE_MANAGER_KEY_BOOK_H
#define EDGE_MANAGER_KEY_BOOK_H

#include <jansson.h>

#include "edge/auth/key_ring.h"
#include "rest/key_json.h"

struct key_book;

/* Reads the file. One that is damaged is set aside as keys.json.damaged, and *error says so (NULL:
 * fine). NULL: memory. Blocking. */
struct key_book *key_book_open(const char *state_dir, const char **error);
/* Clears the pointer; it may be NULL. */
void key_book_close(struct key_book **book);

/* Enters a new key, whose text is only ever here. E_FULL, E_NOMEM. */
MUST_USE enum status key_book_add(struct key_book *book, const struct key_entry *entry);
/* E_NOT_FOUND; E_CONFLICT: it is control's, of which none goes unless `is_any`. */
MUST_USE enum status key_book_remove(struct key_book *book, struct str id, bool is_any);

/* What control says: {"epoch", "revision", "keys"}, as it is to be kept. NULL: *wrong says why it
 * cannot be taken, static. Any thread. */
json_t *key_book_read(const json_t *said, const char **wrong);
/* Puts that in place of all that control has said; a reference is taken. E_NOMEM. */
MUST_USE enum status key_book_put(struct key_book *book, json_t *control);
/* Takes the last change back. */
void key_book_undo(struct key_book *book);
/* It is written, and holds: only now it is shown by what follows. */
void key_book_settle(struct key_book *book);
/* E_IO with errno, E_NOMEM. */
MUST_USE enum status key_book_save(struct key_book *book);

/* Of control's last word; 0: it has said none. */
struct key_book_word {
    int64_t epoch, revision;
};
struct key_book_word key_book_word(const struct key_book *book);
/* How many keys there are, and of these control's. */
struct key_book_count {
    size_t all, control;
};
struct key_book_count key_book_count(const struct key_book *book);

/* All keys as key_entry_show(), those of control with the source "control", the others "edge"; the
 * caller's. */
json_t *key_book_list(const struct key_book *book);
/* One of them; NULL: there is none of that id. */
json_t *key_book_show(const struct key_book *book, struct str id);
/* What workers look keys up in; NULL: memory. Any thread while nothing changes it. */
struct key_ring *key_book_ring(const struct key_book *book);

#endif
