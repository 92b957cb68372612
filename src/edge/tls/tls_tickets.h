/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of session tickets (RFC 5077, RFC 8446 4.6.1): previous, current and next, in a block of
 * memory that edge processes map together and that outlives them. One is filled from the next in
 * turn, so an edge that has not yet seen a rotation still opens what another one seals. Readers
 * copy a key by a sequence count, without a lock; whoever wins the word `turning` rotates.
 */
#ifndef EDGE_TLS_TLS_TICKETS_H
#define EDGE_TLS_TLS_TICKETS_H

#include "sluice/types.h"

/* Name of the memory: a new layout has a new one, so that processes of two versions do not meet in
 * it. */
#define TLS_TICKETS_MEMORY "tls-tickets-1"
enum { TLS_TICKETS_SIZE = 4096, TLS_TICKETS_NAME = 16 };

struct tls_tickets;

struct tls_tickets_key {
    unsigned char name[TLS_TICKETS_NAME];
    unsigned char cipher[32]; /* AES-256 */
    unsigned char mac[32];    /* HMAC-SHA-256 */
};

/* What a name was found to be. */
enum tls_tickets_age { TLS_TICKETS_UNKNOWN, TLS_TICKETS_FRESH, TLS_TICKETS_OLD };

/* Maps `fd`, of TLS_TICKETS_SIZE bytes, zeroed when nobody used it yet, and closes it; -1: memory
 * of this process alone. NULL: no memory, or nothing random. */
struct tls_tickets *tls_tickets_open(int fd, uint64_t wall_ms);
void tls_tickets_close(struct tls_tickets **tickets);

/* Manager, now and then: a new key when the current one has sealed for `rotation_ms` (0: never).
 * Two when twice that has passed. True: it rotated. */
bool tls_tickets_tick(struct tls_tickets *tickets, uint64_t wall_ms, uint64_t rotation_ms);

/* Any thread: the key that seals; false: there is none yet. */
MUST_USE bool tls_tickets_current(const struct tls_tickets *tickets, struct tls_tickets_key *key);
/* Any thread: the key of that name; OLD: what it opens is to be sealed anew. */
enum tls_tickets_age tls_tickets_find(const struct tls_tickets *tickets, const unsigned char *name,
                                      struct tls_tickets_key *key);

#endif
