/* SPDX-License-Identifier: Apache-2.0
 *
 * One listening socket: from "host:port", "[v6]:port", ":port" or "unix:/path" to a descriptor.
 * Called by sockets.c, and by control for its own; a process of one thread (it changes the umask
 * for a moment).
 */
#ifndef PROCESS_BIND_H
#define PROCESS_BIND_H

#include "sluice/types.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

union bind_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un path;
};

struct bind_address {
    union bind_sockaddr to;
    socklen_t len;
    bool is_dual; /* ":port": IPv6 that takes IPv4 as well */
};

struct bind_options {
    bool is_admin; /* no defer-accept; unix: mode 0600, else 0666 */
    uid_t uid;     /* owner of a unix socket */
    gid_t gid;
};

/* Names are looked up, the first address is taken. On failure `why` (static text) says what is
 * wrong. */
MUST_USE enum status bind_parse(const char *text, struct bind_address *address, const char **why);

/* The port in host order, 0 for unix. */
uint16_t bind_port(const struct bind_address *address);

/* E_CONFLICT when another program listens on the address: SO_REUSEPORT alone would share it with
 * any program of the same user. Port 0 is always free. */
MUST_USE enum status bind_probe(const struct bind_address *address);

/* Opens, binds and listens. ":port" becomes IPv4 where there is no IPv6, and port 0 the port that
 * was got, in *address. E_CONFLICT: taken; E_DENIED: no right; E_IO with errno. */
MUST_USE enum status bind_open(struct bind_address *address, const struct bind_options *options,
                               int *fd);

#endif
