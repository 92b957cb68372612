/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes over the link, for link.c (the edge's end) and link_server.c (the supervisor's). Each
 * message is one SOCK_SEQPACKET datagram of a fixed size. A request that wants an answer brings the
 * descriptor the answer goes to, so that threads may ask at the same time and a late answer reaches
 * nobody. Layouts have no padding and change only together with LINK_MAGIC and the handover
 * version.
 */
#ifndef PROCESS_LINK_WIRE_H
#define PROCESS_LINK_WIRE_H

#include "process/link.h"

enum {
    LINK_MAGIC = 0x534c4b01, /* "SLK" and the version */
    LINK_BIND_SIZE = 324,    /* "unix:" and a path of 107, or a name of 253 and a port */
    LINK_BATCH = 64,         /* descriptors a message; the kernel takes 253 */
};

enum link_kind {
    LINK_LISTEN = 1,
    LINK_UNLISTEN,
    LINK_READY,
    LINK_REPORT,
    LINK_UPGRADE,
    LINK_MEMORY,
    LINK_KINDS, /* one past the last */
};

struct link_message {
    uint32_t magic, kind;
    uint32_t count, is_admin; /* LISTEN */
    uint32_t uid, gid;        /* LISTEN */
    uint64_t value;           /* READY: generation; REPORT: in flight; MEMORY: bytes */
    uint32_t bind_len;        /* LISTEN, UNLISTEN; MEMORY: of its name, in bind */
    char bind[LINK_BIND_SIZE];
};

struct link_answer {
    uint32_t magic;
    int32_t status; /* enum status */
    uint32_t total; /* descriptors in all messages of this answer */
    char error[LINK_ERROR_SIZE];
};

struct link_notice {
    uint32_t magic, kind;
    int32_t peer_pid;
    uint32_t peer_generation;
    uint64_t in_flight;
    uint32_t is_superseded, reserved;
};

_Static_assert(sizeof(struct link_message) == 36 + LINK_BIND_SIZE, "no padding on the wire");
_Static_assert(sizeof(struct link_answer) == 12 + LINK_ERROR_SIZE, "no padding on the wire");
_Static_assert(sizeof(struct link_notice) == 32, "no padding on the wire");

#endif
