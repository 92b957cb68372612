/* SPDX-License-Identifier: Apache-2.0
 *
 * A watched file of targets. Its folder tells of changes, a look each second finds what that does
 * not; it is read on a thread of libuv's pool once it has been quiet for 100 ms, so that neither a
 * rename nor writing in place shows half a file. The loop's thread; the owner is called from the
 * loop.
 */
#ifndef EDGE_MANAGER_DISCOVERY_FILE_H
#define EDGE_MANAGER_DISCOVERY_FILE_H

#include <uv.h>

#include "edge/found.h"

struct discovery_file;

/* The file was read: `list` is borrowed, NULL with a `problem` in words ("file:line:col: ..." where
 * there is a place), which is borrowed, too. */
typedef void discovery_file_read(void *owner, struct found_list *list, const char *problem);

/* Reads `path` (copied) at once, and whenever it changes. NULL: memory. */
struct discovery_file *discovery_file_watch(uv_loop_t *loop, const char *path,
                                            discovery_file_read *on_read, void *owner);
/* Nothing is told any more; the loop must run for the memory to go. Clears the pointer; it may be
 * NULL. */
void discovery_file_unwatch(struct discovery_file **file);

#endif
