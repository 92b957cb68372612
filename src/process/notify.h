/* SPDX-License-Identifier: Apache-2.0
 *
 * Tells systemd how the service is (sd_notify(3), whose protocol is stable: a datagram of lines to
 * the socket that NOTIFY_SOCKET names). The supervisor is the one that tells.
 */
#ifndef PROCESS_NOTIFY_H
#define PROCESS_NOTIFY_H

/* "READY=1", "STOPPING=1"; lines. Where nobody listens nothing is sent. Never blocks. */
void notify_send(const char *lines);

#endif
