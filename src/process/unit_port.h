/* SPDX-License-Identifier: Apache-2.0
 *
 * Ports for apps, on 127.0.0.1. They lie outside the range from which the kernel takes ports for
 * connections, where there is room, so that none is taken between the choice and the app's own
 * bind(); until its command is executed a bound socket holds it. They are given in turn: one that
 * was given does not come again soon, when somebody may still take it for another app's. The
 * supervisor's one thread.
 */
#ifndef PROCESS_UNIT_PORT_H
#define PROCESS_UNIT_PORT_H

#include "sluice/types.h"

struct unit_ports {
    uint16_t next; /* 0: none was given yet */
    uint16_t low, high;
};

/* From what the kernel says of its own range: "32768 60999". NULL or nonsense: unknown. Pure. */
void unit_port_range(struct unit_ports *ports, const char *kernel_range);

/* Goes on at `next`, which another binary came to; 0: it gave none. */
void unit_ports_resume(struct unit_ports *ports, uint16_t next);

/* A socket that holds *port; close-on-exec. Ports for which `is_taken` says so are left out. -1:
 * there is none. */
int unit_port_hold(struct unit_ports *ports, bool (*is_taken)(const void *owner, uint16_t port),
                   const void *owner, uint16_t *port);

#endif
