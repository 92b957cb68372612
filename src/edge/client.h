/* SPDX-License-Identifier: Apache-2.0
 *
 * A client's connection: accepted by a listener, it gives the codec's requests to exchanges, and
 * guards against slow and silent clients. Closes itself. One thread (the worker's).
 */
#ifndef EDGE_CLIENT_H
#define EDGE_CLIENT_H

#include <sys/socket.h>

#include "edge/exchange.h"
#include "edge/tls/tls_server.h"

/* What clients share with the listener that took them; outlives them. */
struct client_door {
    char health[256];       /* path of the platform's checks; empty: off */
    char hsts[80];          /* Strict-Transport-Security; empty: off */
    char cert_header[80];   /* gets the subject of the client's certificate; empty: off */
    struct tls_server *tls; /* a reference; NULL: plain */
    bool http2, redirect_https;
    uint32_t listener; /* index in the configuration that holds now; UINT32_MAX: of none there */
    uint32_t open;     /* clients; atomic: the manager reads it */
};

/* Clients of a worker, for draining and counting. */
struct client_list {
    struct client *first;
    uint32_t count;                /* atomic: the manager reads it */
    uint64_t faults[REASON_COUNT]; /* atomic: connections that had to end, by why */
};

struct client_home {
    struct exchange_host *host;
    struct client_list *list;
};

/* Takes the accepted descriptor over, and closes it on failure; but for E_FULL, no memory: then it
 * is still the caller's. */
MUST_USE enum status client_open(const struct client_home *home, int fd,
                                 const struct sockaddr *peer, struct client_door *door);
/* Those that idle are closed in a moment, in case a request is on its way; the others end with
 * their current one. */
void client_drain(struct client_list *list);
/* Bytes of one with its wire, for the loop's slab. */
size_t client_size(void);

#endif
