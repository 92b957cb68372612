/* SPDX-License-Identifier: Apache-2.0
 *
 * What `sluice doctor` finds out about a target: how the service says that it is reached, what the
 * probe said, and what was tried beside it. Filled by doctor_ask.c and doctor_idle.c, read by
 * doctor_judge*.c. Its texts live as long as the configuration and the target.
 */
#ifndef CLI_DOCTOR_FACTS_H
#define CLI_DOCTOR_FACTS_H

#include "edge/tls/tls_look.h"
#include "edge/upstream/probe.h"

/* What became of an attempt to connect. */
enum doctor_dialled { DOCTOR_ACCEPTS, DOCTOR_REFUSES, DOCTOR_SILENT, DOCTOR_UNROUTABLE };

/* What a target turned out to speak, whatever the service says; bits. */
enum doctor_speech {
    DOCTOR_HTTP1 = 1 << 0,
    DOCTOR_H2 = 1 << 1,
    DOCTOR_TLS = 1 << 2,
    DOCTOR_WANTS_TLS = 1 << 3, /* it answered a plain request, to say that it wants TLS */
};

enum { DOCTOR_WAYS = ENDPOINT_ADDRESSES_MAX, DOCTOR_LOCATION = 512 };

struct doctor_way {
    bool is_v6;
    enum doctor_dialled dialled;
};

struct doctor_idle {
    uint32_t ours_ms;       /* how long the edge keeps one that nobody uses */
    uint32_t keep_alive_ms; /* what the target's Keep-Alive promises; 0: nothing */
    uint32_t closed_ms;     /* after which it closed */
    bool is_closed;         /* it did while it was watched */
    bool closes_always;     /* after each answer */
};

struct doctor_facts {
    const struct conf_service *service; /* as it is asked: see doctor_dial.h */
    struct str address, host;           /* of the target as written; what Host says */
    uint16_t port;                      /* that was dialled; 0 for unix */
    bool is_unix, is_health_port;       /* that port is health.port */
    bool has_health;                    /* the service says how its health is asked for */
    bool is_inside;                     /* this machine is in Fly's or Railway's network */
    const char *dns_error;              /* static text; NULL: there are addresses */
    struct doctor_way ways[DOCTOR_WAYS];
    unsigned way_count;
    bool is_other_family; /* the last way is no address of the target: the other loopback */
    struct probe_result result;
    char location[DOCTOR_LOCATION]; /* of the answer; empty: none */
    unsigned speech;                /* bits of enum doctor_speech */
    struct tls_look_report tls;     /* as the service says; zero when it was not looked at */
    bool is_shaken;                 /* TLS came about when nothing was verified, and both versions
                                       of HTTP were offered */
    char alpn[16];                  /* what it chose then */
    uint16_t other_port;            /* that accepts connections where this one refuses; 0: none */
    bool is_other_http;
    struct doctor_idle idle;
};

#endif
