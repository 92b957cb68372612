/* SPDX-License-Identifier: Apache-2.0
 *
 * Plain sockets for `sluice doctor`: many connections begun at once, and one that is written to and
 * read from, over TLS or not. Every call waits by itself, with a limit: not on a loop. Each wire is
 * one thread's.
 */
#ifndef CLI_DOCTOR_WIRE_H
#define CLI_DOCTOR_WIRE_H

#include "cli/doctor_facts.h"

enum { DOCTOR_WIRE_DIALS = 16 };

struct doctor_wire {
    int fd;               /* -1: none */
    struct tls_look *tls; /* NULL: plain */
};

/* Connects to each of at most DOCTOR_WIRE_DIALS addresses at the same time, closes what opened, and
 * says what became of them. */
void doctor_wire_dial(const struct endpoint_address *addresses, unsigned count, uint32_t timeout_ms,
                      enum doctor_dialled *dialled);
/* False: no connection; the wire is closed then. */
bool doctor_wire_open(struct doctor_wire *wire, const struct endpoint_address *address,
                      uint32_t timeout_ms);
/* TLS from here on; false as for tls_look_open(). */
bool doctor_wire_secure(struct doctor_wire *wire, const struct tls_client *client, struct str host,
                        uint32_t timeout_ms, struct tls_look_report *report);
bool doctor_wire_write(struct doctor_wire *wire, struct str bytes, uint32_t timeout_ms);
/* Bytes read; 0: the end, or an error; -1: nothing came in time. */
ssize_t doctor_wire_read(struct doctor_wire *wire, char *to, size_t size, uint32_t timeout_ms);
/* More than once is fine. */
void doctor_wire_close(struct doctor_wire *wire);

#endif
