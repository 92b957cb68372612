/* SPDX-License-Identifier: Apache-2.0
 *
 * One claim of a token that was verified. Pure; any thread.
 */
#ifndef EDGE_LIMIT_CLAIM_H
#define EDGE_LIMIT_CLAIM_H

#include "sluice/types.h"

/* The value of a member of the JSON object `claims`, as it is written: of a text what stands
 * between its quotes. Absent when there is no such member, or the text is no object. */
struct str claim_value(struct str claims, struct str name);

#endif
