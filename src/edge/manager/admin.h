/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin API: HTTP/1.1 on the manager's loop, over TCP and the unix socket, with tokens and
 * rights. Serves /metrics, /healthz, /readyz, /, and JSON under /api/v1/ (INTERFACE). Manager
 * thread.
 */
#ifndef EDGE_MANAGER_ADMIN_H
#define EDGE_MANAGER_ADMIN_H

#include "edge/manager/manager.h"

/* NULL when memory ends. */
struct admin *admin_open(struct manager *manager);
/* Closes all; the loop must run until the handles are gone, then admin_free. */
void admin_close(struct admin *admin);
void admin_free(struct admin **admin);

/* Serves on listening->fds (takes them over); ADMIN: everything, METRICS: /metrics and /healthz
 * alone. */
void admin_listen(struct admin *admin, const struct listening *listening);
void admin_unlisten(struct admin *admin, const struct listening *listening);

/* Tells those who follow /api/v1/events: `event: KIND`, `data: ` one line of JSON made from the
 * format. Cheap when nobody does. */
void admin_event(struct admin *admin, const char *kind, const char *format, ...) PRINTF(3, 4);
/* Tells control's ledger that the configuration is another: `change` is being told so. */
void admin_note_config(struct admin *admin, const struct manager_change *change, struct str actor,
                       const char *action);
/* No change is under way: what waits for that may begin one. */
void admin_idle(struct admin *admin);
/* A newer edge answers from now on: stops accepting; what runs is answered, then its connection
 * closes. */
void admin_retire(struct admin *admin);
/* Nothing is accepted any more: each answer is the last one of its connection. */
void admin_end(struct admin *admin);
/* A worker has something to tell: who waits for a service that sleeps. */
void admin_look(struct admin *admin);
/* A second has passed: confirm deadlines, keep-alives of event streams. */
void admin_tick(struct admin *admin);

/* Before the first load: if a configuration waits for a confirmation that did not come in time,
 * puts the old one back. True: it did. Blocking. */
bool admin_revert_unconfirmed(const char *state_dir, const char *config);
/* Before the loop runs: goes on waiting for the confirmation that the process before this one
 * waited for. Blocking. */
void admin_resume(struct admin *admin);

#endif
