/* SPDX-License-Identifier: Apache-2.0
 *
 * One worker's part of a listener: the sockets it polls, accepted from with a budget a turn. The
 * sockets come from the supervisor, which keeps them open; closing here only stops this worker. One
 * thread (the worker's).
 */
#ifndef EDGE_LISTENER_H
#define EDGE_LISTENER_H

#include "edge/client.h"
#include "edge/tls/doors.h"

enum { LISTENER_HEALTH_MAX = sizeof(((struct client_door *)NULL)->health) };

struct listener;

struct listener_spec {
    char *bind;                       /* as in the configuration; owned by the listener */
    char health[LISTENER_HEALTH_MAX]; /* path; empty: off */
    const int *fds;                   /* this worker's; the listener owns them from here on */
    unsigned count;
};

/* What accepting needs of its worker. */
struct listener_home {
    struct client_home clients;
    uint32_t connections_max; /* of this worker */
    int reserve_fd;           /* given up for a moment when descriptors run out */
    uint64_t refused;         /* atomic: connections answered with a bare 503 */
    struct str name;
};

/* Begins to accept. NULL: memory or libuv; the descriptors are closed then. */
struct listener *listener_open(struct listener_home *home, const struct listener_spec *spec);
/* Stops accepting; the memory stays until listener_free since clients point at the health path. */
void listener_close(struct listener *listener);
/* The same, after all that wait to be accepted: they may have sent a request already. Within
 * loop_enter(). */
void listener_finish(struct listener *listener);
const char *listener_bind(const struct listener *listener);
void listener_set_health(struct listener *listener, const char *health);
/* How it speaks to those that come from now on; counts what it keeps. */
void listener_set_door(struct listener *listener, const struct door *door);
/* The configuration that holds now does not know it: its clients are of no listener's rules. */
void listener_leave_door(struct listener *listener);
bool listener_is_open(const struct listener *listener);
/* Any thread: closed, its sockets too, and without clients: it may be freed. */
bool listener_is_spent(const struct listener *listener);
/* Frees it; NULL is fine. */
void listener_free(struct listener **listener);
/* Any thread: its clients now. */
uint32_t listener_clients(const struct listener *listener);

#endif
