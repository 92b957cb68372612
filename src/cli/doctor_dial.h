/* SPDX-License-Identifier: Apache-2.0
 *
 * One port of one target, from its address to the facts: resolved, probed on a loop as the edge
 * does it, then looked at more closely where the probe left a question, then watched while idle.
 * The loop is the caller's thread's; the rest runs on a thread for each dial.
 */
#ifndef CLI_DOCTOR_DIAL_H
#define CLI_DOCTOR_DIAL_H

#include "cli/doctor_facts.h"

enum { DOCTOR_AT_ONCE = 16, DOCTOR_WATCHED_AT_ONCE = 256, DOCTOR_IDLE_MAX_MS = 65000 };

/* What all dials of a command share; outlives them. */
struct doctor_place {
    const struct conf *conf;
    struct tls_client *any; /* verifies nothing, offers both versions */
    uint32_t timeout_ms;
    bool is_inside; /* see struct doctor_facts */
};

struct doctor_dial {
    const struct doctor_place *place;
    struct tls_client *tls; /* borrowed; NULL: plain */
    struct mac *signer;     /* owned; NULL: its requests are not signed */
    const struct conf_target *target;
    struct conf_service service; /* a copy; what health asks for is set here */
    struct endpoint *endpoint;   /* NULL: memory */
    struct probe *probe;
    unsigned *waiting; /* while it is probed: one less when it is done */
    struct doctor_facts facts;
};

enum doctor_manner {
    DOCTOR_BOTH,   /* the target's port, as the health check asks it where there is one */
    DOCTOR_TARGET, /* the target's port: any answer to GET / is good; for HTTP/2 a connection */
    DOCTOR_HEALTH_PORT, /* health.port, by the health check */
};

/* `tls` is the caller's to set afterwards. */
void doctor_dial_init(struct doctor_dial *dial, const struct doctor_place *place,
                      const struct conf_service *service, const struct conf_target *target,
                      enum doctor_manner manner);
void doctor_dial_fini(struct doctor_dial *dial);

/* All steps but the last, DOCTOR_AT_ONCE dials at a time. E_NOMEM, E_IO: there is no loop. */
MUST_USE enum status doctor_dial_all(struct doctor_dial *dials, unsigned count);
/* Watches those that answered, all side by side. */
void doctor_dial_watch(struct doctor_dial *dials, unsigned count);
/* The longest that it will take; 0: there is nothing to watch. */
uint32_t doctor_dial_watch_ms(const struct doctor_dial *dials, unsigned count);

/* --- the steps of the other files */

/* doctor_ask.c: what a connection, a plain request, a handshake say beside the probe. */
void doctor_ask(struct doctor_dial *dial);
/* doctor_idle.c: how long a connection is kept; false: there is no use in watching. */
bool doctor_idle_is_due(const struct doctor_dial *dial);
void doctor_idle_watch(struct doctor_dial *dial);

struct doctor_wire;

/* An HTTP/1.1 connection to the first address that accepts, TLS on it where the service says so. */
bool doctor_dial_open(const struct doctor_dial *dial, struct doctor_wire *wire);
/* GET as the probe sends it, in HTTP/1.1; `more`: further lines, each with CR LF. False: memory, or
 * it was not sent. */
bool doctor_dial_get(const struct doctor_dial *dial, struct doctor_wire *wire, const char *more);
/* The name that TLS is asked for. */
struct str doctor_dial_name(const struct doctor_dial *dial);

#endif
