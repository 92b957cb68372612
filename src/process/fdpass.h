/* SPDX-License-Identifier: Apache-2.0
 *
 * One datagram with descriptors (SCM_RIGHTS) over a SOCK_SEQPACKET socket, for both ends of the
 * link. Never blocks and never raises SIGPIPE. Any thread.
 */
#ifndef PROCESS_FDPASS_H
#define PROCESS_FDPASS_H

#include "sluice/types.h"

enum { FDPASS_MAX = 64 };

/* `fds[0..count)`, count at most FDPASS_MAX, stay the caller's. E_AGAIN: the peer's queue is full;
 * E_CLOSED. */
MUST_USE enum status fdpass_send(int sock, struct str data, const int *fds, unsigned count);

/* Takes a datagram of exactly `size` bytes and at most *count descriptors (close-on-exec, then the
 * caller's); more of them are closed. E_AGAIN none there, E_CLOSED, E_PROTOCOL another size, E_IO
 * (EMFILE: descriptors were lost). */
MUST_USE enum status fdpass_receive(int sock, void *data, size_t size, int *fds, unsigned *count);

#endif
