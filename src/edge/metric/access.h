/* SPDX-License-Identifier: Apache-2.0
 *
 * The access log. A worker copies one record a request into a ring of its own (single producer,
 * single consumer, no lock, no system call unless the ring fills); one log thread formats the
 * records and writes them in large pieces. When the ring is full the record is dropped and counted:
 * a worker never waits. A file that cannot be written is reported once on stderr, counted, and
 * tried again; a pipe whose reader is gone likewise.
 */
#ifndef EDGE_METRIC_ACCESS_H
#define EDGE_METRIC_ACCESS_H

#include "config/conf.h"
#include "edge/metric/trace_context.h"
#include "sluice/reason.h"

/* The steps of an exchange that time is told of. */
enum access_phase {
    ACCESS_HEAD,    /* first byte of the request to whole head */
    ACCESS_ASK,     /* routing and request filters */
    ACCESS_QUEUE,   /* waiting for a target to become free */
    ACCESS_CONNECT, /* opening connections, all attempts */
    ACCESS_ANSWER,  /* request sent to answer head */
    ACCESS_RELAY,   /* answer head to end */
    ACCESS_PHASES
};

/* One request. Strings are borrowed for the call of access_write(); absent ones are left out. */
struct access_record {
    uint64_t time_ms;  /* wall clock, Unix, of the request's first byte */
    uint64_t total_us; /* first byte in to last byte out */
    uint32_t phase_us[ACCESS_PHASES];
    uint64_t bytes_in, bytes_out; /* bodies */
    uint64_t cold_us;             /* it waited for its service to be started; 0: it did not */
    uint32_t generation;          /* of the configuration */
    uint16_t status;              /* sent; 0: none */
    uint8_t reason;               /* enum reason, NONE for a request that went through */
    uint8_t attempts;             /* targets tried */
    uint8_t minor;                /* as in struct head */
    struct str request_id, client, method, host, path, query;
    struct str route, service, release, target, user_agent, referer;
    struct trace_context trace; /* its span; `span` 0: it is not traced, or not kept */
    uint64_t trace_parent;      /* the span above it; 0: none */
    struct str trace_state;     /* tracestate */
    struct str trace_tries;     /* see edge/metric/trace_try.h */
    bool is_secure;             /* its client speaks TLS, with us or with a proxy before us */
    struct str tries; /* all of them when there was more than one: members of a JSON array, of at
                         most ACCESS_TRIES_MAX bytes */
};

enum { ACCESS_TRIES_MAX = 2048 };

struct access_log;  /* shared: the thread and the sink */
struct access_ring; /* one a worker */

/* Opens the sink and starts the thread. `rings` one a worker. A file that cannot be opened is an
 * error here. NULL with errno. Manager thread. */
struct access_log *access_open(const struct conf_log *conf, unsigned rings);
/* Writes what is in the rings and ends the thread. */
void access_close(struct access_log **log);
/* Another path, format or sample from now on; E_IO keeps the old. */
MUST_USE enum status access_configure(struct access_log *log, const struct conf_log *conf);
/* USR1: closes and opens the file again. E_IO keeps the old. */
MUST_USE enum status access_reopen(struct access_log *log);

struct access_ring *access_ring(struct access_log *log, unsigned worker);
/* Worker thread: whether a record of this status would be kept (format off, sample). Cheap. */
bool access_wants(struct access_ring *ring, uint16_t status);
/* Worker thread: copies the record. Strings are cut at 2,048 bytes each. */
void access_write(struct access_ring *ring, const struct access_record *record);

/* Any thread: records dropped since start (ring full or write failed). */
uint64_t access_dropped(const struct access_log *log);

#endif
