/* SPDX-License-Identifier: Apache-2.0
 *
 * A TLS connection for a person who asks what is wrong: it is made as a service's targets are
 * spoken to, but a certificate that would end it is noted instead, with all that is wrong with it.
 * Nothing that is worth something may be sent on it. Over a socket that does not block; every call
 * waits by itself, so not on a loop. One thread a connection.
 */
#ifndef EDGE_TLS_TLS_LOOK_H
#define EDGE_TLS_TLS_LOOK_H

#include <sys/types.h>

#include "edge/tls/tls_client.h"

/* What is wrong with the certificate; bits. */
enum tls_look_fault {
    TLS_LOOK_NAME = 1 << 0,
    TLS_LOOK_EXPIRED = 1 << 1,
    TLS_LOOK_EARLY = 1 << 2,
    TLS_LOOK_SELF_SIGNED = 1 << 3,
    TLS_LOOK_UNTRUSTED = 1 << 4,
};

struct tls_look_report {
    bool is_tls;     /* what answered spoke TLS, if only to refuse */
    bool is_shaken;  /* the handshake ended well, but for the faults */
    unsigned faults; /* bits of enum tls_look_fault */
    char alpn[16];   /* empty: none was agreed on */
    char names[400]; /* whom the certificate is for, ", " between; empty: nobody */
    char name[256];  /* the first of them that is no wildcard, else the first */
    char issuer[200];
    int64_t not_before_s, not_after_s; /* Unix time */
    char words[120];                   /* why there is no trust, or no handshake */
};

struct tls_look;

/* Shakes hands over `fd`, which stays the caller's. NULL: it did not come about, and `report` says
 * why. `host`: as for tls_client_ssl(). */
struct tls_look *tls_look_open(int fd, const struct tls_client *client, struct str host,
                               uint32_t timeout_ms, struct tls_look_report *report);
/* Bytes read; 0: the end, or an error; -1: nothing came in time. */
ssize_t tls_look_read(struct tls_look *look, char *to, size_t size, uint32_t timeout_ms);
/* False: it could not be sent whole in time. */
bool tls_look_write(struct tls_look *look, struct str bytes, uint32_t timeout_ms);
/* What OpenSSL said last, when a call failed; static text. */
const char *tls_look_words(const struct tls_look *look);
/* Clears the pointer; NULL is fine. */
void tls_look_close(struct tls_look **look);

#endif
