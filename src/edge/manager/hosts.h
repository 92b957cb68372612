/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that are written with a host name: the name is resolved by a build, and looked up again
 * here, the system's way (so /etc/hosts counts), every 30 seconds and soon after a check could not
 * connect. All names in turn, on one thread of libuv's pool. The loop's thread.
 */
#ifndef EDGE_MANAGER_HOSTS_H
#define EDGE_MANAGER_HOSTS_H

#include <uv.h>

#include "edge/snapshot.h"

enum { HOSTS_AGAIN_MS = 30000, HOSTS_SUSPECT_MS = 2000 };

struct hosts;

/* `on_change` is called from the loop when a build would find other addresses. NULL: memory. */
struct hosts *hosts_open(uv_loop_t *loop, void (*on_change)(void *owner), void *owner);
/* The loop must run until a look that is under way has ended. Clears the pointer; it may be NULL.
 */
void hosts_close(struct hosts **hosts);
/* Some time has passed: looks the names of this snapshot up if it is time. */
void hosts_tick(struct hosts *hosts, const struct snapshot *snapshot);
/* A check of this target could not connect: its name is worth a look at the next tick, but for
 * HOSTS_SUSPECT_MS after the last one. */
void hosts_suspect(struct hosts *hosts, const struct endpoint *endpoint);

/* Whether an address has a host name in it. Pure. */
bool hosts_is_name(struct str address);
/* Whether these addresses are others than the endpoint's, in any order. Of a name with more
 * addresses than an endpoint takes, some in common is enough. Pure. */
bool hosts_differ(const struct endpoint *endpoint, const struct endpoint_address *addresses,
                  unsigned count);

#endif
