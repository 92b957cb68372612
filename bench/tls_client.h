/* SPDX-License-Identifier: Apache-2.0
 *
 * What the TLS clients of the benchmarks share, handshake.c and idle_tls.c: TLS 1.3 with one cipher
 * and one group, so that every proxy does the same work, and the answer that the origin gives.
 * Header only, like client.h.
 */
#ifndef BENCH_TLS_CLIENT_H
#define BENCH_TLS_CLIENT_H

#include <openssl/ssl.h>
#include <string.h>

#include "client.h"

enum { TLS_CLIENT_BODY = 1024 };

/* The certificate is made for the bench and not checked; its signature in the handshake is. An end
 * without close_notify is no error: the length of the answer tells whether it is whole. */
static inline SSL_CTX *tls_client_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || !SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) ||
        !SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") ||
        !SSL_CTX_set1_groups_list(context, "X25519")) {
        (void)fprintf(stderr, "no TLS context\n");
        exit(1);
    }
    (void)SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
    return context;
}

/* A client's end over a connected socket, which stays the caller's. `protocols` is the list for
 * ALPN as it goes over the wire. NULL: memory. */
static inline SSL *tls_client_open(SSL_CTX *context, int fd, const char *protocols)
{
    SSL *ssl = SSL_new(context);
    if (!ssl)
        return NULL;
    if (!SSL_set_fd(ssl, fd) || !SSL_set_tlsext_host_name(ssl, "bench") ||
        SSL_set_alpn_protos(ssl, (const unsigned char *)protocols, (unsigned)strlen(protocols))) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    return ssl;
}

/* Whether the bytes are a whole HTTP/1.1 answer of 200 with the origin's body. */
static inline bool tls_client_is_whole(const char *answer, size_t len)
{
    const char *end = memmem(answer, len, "\r\n\r\n", 4);
    return end && memcmp(answer, "HTTP/1.1 200", 12) == 0 &&
           len >= (size_t)(end + 4 - answer) + TLS_CLIENT_BODY;
}

#endif
