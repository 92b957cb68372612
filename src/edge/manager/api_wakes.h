/* SPDX-License-Identifier: Apache-2.0
 *
 * Which services that sleep are asked for, told to control as soon as it is so; and whether there
 * is a control that asks. Manager thread.
 */
#ifndef EDGE_MANAGER_API_WAKES_H
#define EDGE_MANAGER_API_WAKES_H

#include "edge/manager/admin_impl.h"

/* Answers what is newer than ?after=, within ?wait= seconds. */
void api_wakes_get(struct admin_call *call);
/* A worker may have somebody who waits. */
void api_wakes_look(struct admin *admin);
/* Control has asked or said something. */
void api_wakes_heard(struct admin *admin);
/* A second has passed. */
void api_wakes_tick(struct admin *admin);
/* Nobody is to wait any more. */
void api_wakes_end(struct admin *admin);

#endif
