/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers to the challenges of certificate authorities (RFC 8555 8.3, RFC 8737), in memory only and
 * for an hour at most. Changed by the manager, read by every worker, at once: a lock guards it,
 * which nothing on the way of a common request takes.
 */
#ifndef EDGE_TLS_TLS_CHALLENGES_H
#define EDGE_TLS_TLS_CHALLENGES_H

#include <openssl/ssl.h>

#include "sluice/types.h"

enum { TLS_CHALLENGES_MAX = 1000 };

struct tls_challenges;

struct tls_challenge {
    struct str token;
    struct str domain; /* lower case */
    struct str answer; /* the key authorization */
    bool is_alpn;      /* tls-alpn-01; else http-01 */
};

/* NULL: memory. */
struct tls_challenges *tls_challenges_new(void);
/* When no worker runs any more. */
void tls_challenges_free(struct tls_challenges **challenges);

/* Manager. Adds it, or takes the place of the one with this token; texts are copied. When it
 * returns every worker has it. E_FULL, E_NOMEM. */
MUST_USE enum status tls_challenges_put(struct tls_challenges *challenges,
                                        const struct tls_challenge *challenge, uint64_t now_ms);
/* Manager. E_NOT_FOUND. */
MUST_USE enum status tls_challenges_drop(struct tls_challenges *challenges, struct str token,
                                         uint64_t now_ms);
/* Manager, now and then: forgets the old ones. */
void tls_challenges_tick(struct tls_challenges *challenges, uint64_t now_ms);

/* Any thread: the answer to an http-01 challenge, absent when there is none. Whoever asks copies it
 * within a turn of its loop: the memory stays a minute after the answer went. */
struct str tls_challenges_answer(struct tls_challenges *challenges, struct str token);
/* Any thread: whether a tls-alpn-01 challenge for `domain` (lower case) is pending. */
bool tls_challenges_has(struct tls_challenges *challenges, struct str domain);
/* Any thread: has the connection show the certificate of that challenge. False: there is none. */
bool tls_challenges_show(struct tls_challenges *challenges, struct str domain, SSL *ssl);

#endif
