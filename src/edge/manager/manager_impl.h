/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of the manager and by nothing else.
 */
#ifndef EDGE_MANAGER_MANAGER_IMPL_H
#define EDGE_MANAGER_MANAGER_IMPL_H

#include "edge/manager/manager.h"

/* --- manager_change.c */
/* A builder for this change, with all it borrows; NULL: memory. */
struct builder *manager_new_builder(struct manager *m, enum change_kind kind);
/* Makes the builder's result what runs: sockets, snapshot, log. Takes what it needs out of the
 * builder. Cannot fail: files have been written for it. */
void manager_publish(struct manager *m, struct builder *builder);
/* The workers have ended: every change that is not done is told E_CLOSED. */
void manager_abandon(struct manager *m);
/* A snapshot's letter came home. */
void manager_take_letter(void *owner, struct letter *letter);
/* Prints every diagnostic to stderr. */
void manager_print(const struct diag *diag);

/* --- manager_stores.c */
/* What filters keep for the process; before the workers, after the mailbox. False: memory. */
bool manager_open_stores(struct manager *m);
/* What of it workers lend filters. */
struct filter_env manager_env(const struct manager *m);
/* A second has passed. */
void manager_tick_stores(struct manager *m);

/* --- manager_discover.c */
/* Before the first build. False: memory. Blocking. */
bool manager_open_discovery(struct manager *m);
void manager_close_discovery(struct manager *m);
/* A second has passed. */
void manager_tick_discovery(struct manager *m);
/* Targets are no longer what they were: puts a change in the queue, unless one waits there. */
void manager_refresh(struct manager *m);
/* Gives the builder what was found. False: memory. */
bool manager_give_found(struct manager *m, struct builder *builder);

/* --- manager_life.c */
/* Reads what the supervisor says, and signals, from the loop. E_IO. */
MUST_USE enum status manager_watch_notices(struct manager *m);
/* Watches the files of the configuration, when asked to. */
void manager_watch_files(struct manager *m);
void manager_unwatch_files(struct manager *m);
/* Writes the configuration that lasted, when it is time. */
void manager_keep_last_good(struct manager *m);
/* Path of the configuration that lasted: main file; false: there is none. */
bool manager_last_good(const char *state_dir, const char *config, char *path, size_t size);

#endif
