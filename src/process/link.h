/* SPDX-License-Identifier: Apache-2.0
 *
 * The two socket pairs between the supervisor and an edge process. On the first the edge asks and
 * waits for the answer (listening sockets come back as descriptors, SCM_RIGHTS); on the second the
 * supervisor says what is to be done, and the edge reads it from its loop. Both are SOCK_SEQPACKET,
 * close-on-exec but for the child that owns them; their numbers come in the environment as
 * SLUICE_LINK="REQUEST,NOTICE". This header is the edge's side; the supervisor's is in
 * link_server.h.
 */
#ifndef PROCESS_LINK_H
#define PROCESS_LINK_H

#include "sluice/types.h"

enum { LINK_SOCKETS_MAX = 256, LINK_ERROR_SIZE = 256 };

struct link {
    int request_fd, notice_fd;
};

enum notice_kind {
    NOTICE_NONE,
    NOTICE_DRAIN,  /* stop accepting after drain_delay, finish what runs, exit 0; also on TERM and
                      INT */
    NOTICE_RELOAD, /* HUP */
    NOTICE_REOPEN, /* USR1 */
    NOTICE_PEER, /* another edge process: `peer_pid` drains with `in_flight` requests; gone when pid
                    < 0 */
};

struct notice {
    enum notice_kind kind;
    int32_t peer_pid;
    uint32_t peer_generation; /* of the process: 1, 2, ... counted by the supervisor */
    uint64_t in_flight;
    bool is_superseded; /* DRAIN because a newer edge is ready, not because Sluice stops */
};

/* Takes the pair from the environment and clears it there. False when there is none or it is bad.
 */
bool link_inherit(struct link *link);

/* Asks for `count` listening sockets of `bind` ("host:port", "[v6]:port", ":port", "unix:/path"),
 * opened now or held since earlier: each with SO_REUSEPORT, TCP_NODELAY and defer-accept (not for
 * "admin" ones), non-blocking, close-on-exec. ":port" is one dual-stack socket (IPv4 alone where
 * there is no IPv6). The supervisor may hold more than `count` from before: fds and *held take up
 * to LINK_SOCKETS_MAX of them all, since each must be polled. The edge owns the descriptors. Blocks
 * up to 5 s; not on the loop thread. On failure `error` (LINK_ERROR_SIZE) has a sentence:
 * "127.0.0.1:80: permission denied; ...". */
struct link_listen {
    struct str bind;
    unsigned count;
    bool is_admin; /* no defer-accept; unix: mode 0600, owner `uid`/`gid` */
    uint32_t uid, gid;
};
MUST_USE enum status link_listen(const struct link *link, const struct link_listen *ask, int *fds,
                                 unsigned *held, char *error);
/* The sockets of `bind` are no longer wanted: the supervisor closes its copies. */
MUST_USE enum status link_unlisten(const struct link *link, struct str bind);
/* All workers accept: the supervisor may drain older edges. `state_dir` and `config` are for what
 * it logs. */
MUST_USE enum status link_ready(const struct link *link, uint32_t generation);
/* While draining: how many requests are left; shown by the newest edge's status. */
MUST_USE enum status link_report(const struct link *link, uint64_t in_flight);
/* Same as SIGUSR2 at the supervisor. E_CONFLICT: two generations drain already; E_INVALID: the new
 * binary failed its check; `error` says why. */
MUST_USE enum status link_upgrade(const struct link *link, char *error);

/* Memory of `size` bytes that outlives this process: whoever asks by the same name and size gets
 * the same, zeroed for the first. *fd is the caller's, close-on-exec, to be mapped. Names are made
 * of a-z, 0-9 and "-", at most 63 of them. Blocks up to 5 s; not on the loop thread. On failure
 * `error` (LINK_ERROR_SIZE) has a sentence. */
MUST_USE enum status link_memory(const struct link *link, struct str name, uint64_t size, int *fd,
                                 char *error);

/* Reads one notice without blocking: E_AGAIN none, E_CLOSED the supervisor is gone. */
MUST_USE enum status link_read(const struct link *link, struct notice *notice);

#endif
