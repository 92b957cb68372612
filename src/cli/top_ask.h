/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking a gateway all that a look is made of, at once, and following its events, while keys and
 * signals are waited for. One thread; libcurl's multi interface.
 */
#ifndef CLI_TOP_ASK_H
#define CLI_TOP_ASK_H

#include "cli/client.h"
#include "cli/top_events.h"
#include "cli/top_look.h"

struct top_ask; /* private */

/* Of a gateway that `client`, which stays the caller's, says. `events` (borrowed) gets what happens
 * there; NULL: nobody asks. NULL: no memory. */
struct top_ask *top_ask_new(const struct client *client, struct top_events *events);
/* Clears the pointer; what is under way is dropped. */
void top_ask_free(struct top_ask **ask);

/* Begins a round; one that is under way goes on. */
void top_ask_begin(struct top_ask *ask);
/* Waits until something comes, at one of two descriptors (-1: none) or for a round, for `ms` at
 * most. True: a round has come to its end. */
bool top_ask_wait(struct top_ask *ask, const int fds[2], int ms);

/* Of the last round: CLIENT_OK, and the answers are moved to `look`; else why it has none: the code
 * and the answer to GET /api/v1/status as of client_try(), to be freed by the caller. */
int top_ask_take(struct top_ask *ask, struct top_look *look, struct client_answer *why);

#endif
