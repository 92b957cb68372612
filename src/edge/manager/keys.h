/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the sets of keys that filters verify tokens with: files are read again when they change,
 * URLs are fetched from time to time, sooner when a token names a key that is not known, later when
 * they fail. What cannot be read leaves the last good set in place. Reading is done on threads of
 * libuv's pool. Manager thread.
 */
#ifndef EDGE_MANAGER_KEYS_H
#define EDGE_MANAGER_KEYS_H

#include <uv.h>

#include "edge/auth/key_store.h"

struct keys;

/* For the sources of `store`, which outlives it. NULL: memory. */
struct keys *keys_open(uv_loop_t *loop, struct key_store *store);
/* Begins to read what is due: after a source has come, and every second. */
void keys_tick(struct keys *keys);
/* Nothing new is read; the loop runs until what is being read has ended. */
void keys_close(struct keys *keys);
/* Clears the pointer; it may be NULL. */
void keys_free(struct keys **keys);

#endif
