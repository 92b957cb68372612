/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's part of the admin API, on <state>/control.sock: the edge of this machine, which owns
 * the admin port, passes calls on with who asks and what they may. Whoever can open the socket is
 * believed, so it is the user's alone (0600). Where control runs alone it has the admin port
 * itself, with the same rules as an edge's. Called by control.c. Control's one thread.
 */
#ifndef CONTROL_CONTROL_API_H
#define CONTROL_CONTROL_API_H

#include <uv.h>

#include "control/backups.h"
#include "control/deploy/deploys.h"
#include "control/edges.h"
#include "control/key_set.h"
#include "control/notices.h"
#include "control/slo.h"
#include "control/spans.h"
#include "control/store.h"

struct control_api; /* private */

struct control_api_options {
    uv_loop_t *loop;
    struct edges *edges;
    struct store *store;
    struct deploys *deploys;
    struct notices *notices;
    struct backups *backups;
    struct key_set *keys;
    struct slo *slo;
    struct spans *spans;
    const char *state; /* directory; borrowed */
    /* The file is read again, into `arena`. False: `diag` says what is wrong with it. */
    bool (*reload)(void *owner, struct arena *arena, struct diag *diag);
    void *owner;
};

/* Serves. The reason why not is said, and control goes on without. NULL: no memory. */
struct control_api *control_api_new(const struct control_api_options *options);
/* Where no edge has the admin address (`role: control`): serves there and at the admin socket, from
 * now on as `conf` says. What cannot be is said. Copies what it keeps; may block the first time. */
void control_api_listen(struct control_api *api, const struct conf_admin *conf);
/* A second has passed. */
void control_api_tick(struct control_api *api);
/* Ends all; the loop must run until the handles are gone, then control_api_free(). */
void control_api_close(struct control_api *api);
void control_api_free(struct control_api **api);

#endif
