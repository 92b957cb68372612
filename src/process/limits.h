/* SPDX-License-Identifier: Apache-2.0
 *
 * What this process may use: CPUs by affinity mask and cgroup quota (v1 and v2, the tightest from
 * our own group up to the mount's root), memory, descriptors. Called at start by the edge. Any
 * thread.
 */
#ifndef PROCESS_LIMITS_H
#define PROCESS_LIMITS_H

#include "sluice/types.h"

struct limits {
    uint32_t quota_milli; /* thousandths of a CPU; 0: no quota */
    uint64_t memory;      /* bytes; 0: no limit */
};

/* Reads proc/self/cgroup, proc/self/mountinfo and the groups' files below `root` ("" for the
 * machine's own). What is missing or unreadable limits nothing. */
void limits_read(const char *root, struct limits *limits);

/* Workers for that many CPUs and that quota: the smaller of the two, rounded up, at least 1, at
 * most LINK_SOCKETS_MAX. */
uint32_t limits_share(uint32_t cpus, uint32_t quota_milli);

/* Workers here. */
uint32_t limits_workers(void);
/* A CPU quota is set here: workers are then not pinned. */
bool limits_has_quota(void);
/* Bytes this process and its group may use: the group's limit or the machine's memory, whichever is
 * less. */
uint64_t limits_memory(void);
/* Raises RLIMIT_NOFILE to its hard limit; the descriptors that may be open now. */
uint32_t limits_descriptors(void);

#endif
