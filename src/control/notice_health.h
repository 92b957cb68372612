/* SPDX-License-Identifier: Apache-2.0
 *
 * What is to be told of health: a service of which nothing is up at an edge, and when it is again;
 * an edge that is silent, and when it answers. What was told of is remembered as JSON, for the
 * store. Pure.
 */
#ifndef CONTROL_NOTICE_HEALTH_H
#define CONTROL_NOTICE_HEALTH_H

#include <jansson.h>

#include "sluice/types.h"

enum { NOTICE_SILENT_MS = 10 * 1000 };

/* Takes what an edge says (NULL: nothing) at a monotonic time into `known`, an object by edge that
 * begins empty. The notices to be sent, oldest first, the caller's; NULL: there is none. */
json_t *notice_health_see(json_t *known, const char *edge, const json_t *status, int64_t now_ms);

/* What was known in another run: its times mean nothing any more. */
void notice_health_resume(json_t *known);

#endif
