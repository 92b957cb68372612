/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's talk with the supervisor about units: asks wait in a row until the link takes them,
 * each is answered once, and news goes to all who watch. When the supervisor is gone every ask is
 * answered with E_CLOSED. Used by the provider `process`. Control's one thread.
 */
#ifndef CONTROL_UNIT_CLIENT_H
#define CONTROL_UNIT_CLIENT_H

#include <uv.h>

#include "process/unit_wire.h"

struct unit_client;      /* private */
struct unit_client_call; /* private */

/* `message` is valid during the call: its head has the status, and the error in words. */
typedef void unit_client_done(void *owner, const struct unit_message *message);

struct unit_client_watch {
    struct unit_client_watch *next;
    void (*on_view)(void *owner, const struct unit_view *view);
    void (*on_lost)(void *owner); /* the supervisor is gone: there will be no news */
    void *owner;
};

/* Takes over `fd`, of unit_link_inherit(). NULL: no memory, or no such descriptor; it is closed. */
struct unit_client *unit_client_new(uv_loop_t *loop, int fd);
/* No call may be left. The loop must turn once more for the memory to go. NULL is fine. */
void unit_client_close(struct unit_client **client);

/* Sends it, with a number of its own; `done` comes later from the loop, unless it is cancelled
 * before. NULL: no memory. */
struct unit_client_call *unit_client_send(struct unit_client *client, const struct unit_ask *ask,
                                          unit_client_done *done, void *owner);
/* The same for what is refused before it is sent. */
struct unit_client_call *unit_client_refuse(struct unit_client *client, enum status status,
                                            const char *error, unit_client_done *done, void *owner);
/* NULL is fine. */
void unit_client_cancel(struct unit_client_call **call);

/* The watch stays the caller's, until unit_client_unwatch(). */
void unit_client_watch(struct unit_client *client, struct unit_client_watch *watch);
void unit_client_unwatch(struct unit_client *client, struct unit_client_watch *watch);

#endif
