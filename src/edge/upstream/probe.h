/* SPDX-License-Identifier: Apache-2.0
 *
 * One check of one target, made the way requests reach it: the same addresses, TLS and protocol. A
 * connection is enough, or an HTTP answer (status and body), or grpc.health.v1's. Says in words
 * what it found. One thread, a loop of struct loop.
 */
#ifndef EDGE_UPSTREAM_PROBE_H
#define EDGE_UPSTREAM_PROBE_H

#include "edge/upstream/pool.h"

enum { PROBE_WORDS = 240 };

struct mac;
struct probe;

/* All borrowed until it has been told or cancelled. */
struct probe_ask {
    struct loop *loop;
    struct endpoint *endpoint; /* of the caller's own: its connections are used for nothing else */
    const struct conf_service *service;
    struct tls_client *tls;           /* NULL: plain */
    const struct mac *signer;         /* NULL: it is not signed */
    const struct wire_limits *limits; /* outlives the loop */
    struct str host;                  /* what Host says */
    /* Sees the head of the answer before it is judged, also one of a probe that ends well; NULL:
     * nobody. Gets the owner of the probe. */
    void (*on_head)(void *owner, const struct head *head);
};

struct probe_result {
    bool passed, is_reached; /* reached: something answers there, though not well */
    uint16_t status;         /* of HTTP; 0: none came */
    enum reason why;         /* no answer came: why; else NONE */
    uint32_t took_ms;
    char words[PROBE_WORDS];
};

/* Begins one; told once, from the loop. NULL: memory. Between loop_enter() and loop_leave(). */
struct probe *probe_start(const struct probe_ask *ask,
                          void (*on_done)(void *owner, const struct probe_result *result),
                          void *owner);
/* Whether there is a connection for it. */
bool probe_is_connected(const struct probe *probe);
/* Ends it, and nothing is told. Clears the pointer; NULL is fine. */
void probe_cancel(struct probe **probe);

/* What Host says to a target at `address`: by the service's `host`, and where that keeps what
 * clients say, the first name that leads to the service. Lives as long as `conf` and `address`. */
struct str probe_host(const struct conf *conf, const struct conf_service *service,
                      struct str address);
/* The same addresses, at another port. */
void probe_set_port(struct endpoint_address *addresses, unsigned count, uint16_t port);

#endif
