/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's end of the link (see link.h): makes the two socket pairs, takes requests,
 * answers them and sends notices. Never blocks; the supervisor's one thread.
 */
#ifndef PROCESS_LINK_SERVER_H
#define PROCESS_LINK_SERVER_H

#include "process/link_wire.h"

struct link_pair {
    struct link ours, theirs; /* all close-on-exec; child_start() passes `theirs` on */
};

/* What an edge wants; `message` is checked: known kind, bind within bounds and printable. */
struct link_request {
    struct link_message message;
    int reply_fd; /* -1: none asked for; else the taker's, until link_server_answer() */
};

/* Makes both pairs. E_IO with errno: nothing is open. */
MUST_USE enum status link_server_open(struct link_pair *pair);
/* Closes what is open of it; its descriptors become -1. */
void link_server_close(struct link *link);

/* E_AGAIN: none; E_CLOSED: the edge closed its end; E_PROTOCOL: a bad message was dropped. */
MUST_USE enum status link_server_receive(const struct link *link, struct link_request *request);

/* Answers and closes *reply_fd (-1: nothing is done), which becomes -1. `error` may be NULL. */
void link_server_answer(int *reply_fd, enum status status, const char *error);
/* The same with `count` descriptors (1 .. LINK_SOCKETS_MAX), which stay the caller's. */
void link_server_answer_sockets(int *reply_fd, const int *fds, unsigned count);

/* E_AGAIN: the edge does not read its notices; E_CLOSED. */
MUST_USE enum status link_server_notify(const struct link *link, const struct notice *notice);

#endif
