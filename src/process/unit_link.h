/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's end of the link to the supervisor, see unit_wire.h. Never blocks. One thread.
 */
#ifndef PROCESS_UNIT_LINK_H
#define PROCESS_UNIT_LINK_H

#include "process/unit_wire.h"

/* The descriptor from the environment (SLUICE_UNITS), which is cleared there; non-blocking and
 * close-on-exec. -1: there is none, or it is no such link. */
int unit_link_inherit(void);

/* E_AGAIN: the supervisor has to read first; E_CLOSED: it is gone; E_INVALID: the ask is not as
 * unit_wire.h says. */
MUST_USE enum status unit_link_ask(int fd, const struct unit_ask *ask);
/* E_AGAIN: none there; E_CLOSED; E_PROTOCOL: it is not as unit_wire.h says. */
MUST_USE enum status unit_link_read(int fd, struct unit_message *message);

#endif
