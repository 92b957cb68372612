/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of a whole configuration: for each listener what it answers with, for each service how its
 * targets are spoken to, and the certificates that came by the API. Made on the builder thread,
 * part of a snapshot, immutable then. What is counted may be shared by several.
 */
#ifndef EDGE_TLS_DOORS_H
#define EDGE_TLS_DOORS_H

#include "config/conf.h"
#include "edge/tls/tls_client.h"
#include "edge/tls/tls_server.h"

enum { DOORS_HSTS_MAX = 80, DOORS_HEADER_MAX = 80 };

/* One listener's. */
struct door {
    uint32_t index;         /* in conf->listeners */
    struct str bind;        /* as in the configuration */
    struct tls_server *tls; /* a reference; NULL: plain */
    bool http2, redirect_https;
    char hsts[DOORS_HSTS_MAX];          /* Strict-Transport-Security (RFC 6797 6.1); empty: off */
    char cert_header[DOORS_HEADER_MAX]; /* gets the subject of clients' certificates; empty: off */
};

struct doors {
    struct door *list; /* as conf->listeners */
    uint32_t count;
    struct tls_client **clients; /* as conf->services: references; NULL: plain */
    uint32_t client_count;
    struct tls_client *redis;  /* a reference; NULL: there is none, or in the plain */
    X509_STORE *system;        /* a reference: the machine's roots, if someone trusts them */
    struct tls_pushed *pushed; /* all there are; owned */
    uint32_t pushed_count;
    struct arena arena; /* of the arrays and texts */
};

/* All borrowed; see struct tls_server_build. */
struct doors_build {
    const struct conf *conf;
    const struct tls_pushed *pushed;
    uint32_t pushed_count;
    struct tls_tickets *tickets;
    struct tls_challenges *challenges;
    const struct doors *before; /* what is served now; NULL: nothing */
    bool keeps_old; /* for the same configuration: what cannot be read any more stays as it was,
                       with a warning */
};

/* False: errors are in `diag`, and `doors` is empty. */
bool doors_init(struct doors *doors, const struct doors_build *ask, struct diag *diag);
/* The same as `from`. False: memory; `doors` is empty. */
bool doors_copy(struct doors *doors, const struct doors *from);
/* Lets go of all; empty then. Zero bytes are empty, too. */
void doors_fini(struct doors *doors);

/* The listener's; NULL: there is none of that bind. */
const struct door *doors_find(const struct doors *doors, struct str bind);

#endif
