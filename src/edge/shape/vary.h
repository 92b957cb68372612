/* SPDX-License-Identifier: Apache-2.0
 *
 * The Vary field of an answer (RFC 9110 12.5.5), which several filters add to. Pure.
 */
#ifndef EDGE_SHAPE_VARY_H
#define EDGE_SHAPE_VARY_H

#include "sluice/head.h"

/* Sees to it that Vary names `name`, which is borrowed, in one field; "*" says it already. E_NOMEM:
 * the arena is at its limit. */
MUST_USE enum status vary_add(struct head *head, struct arena *arena, struct str name);

#endif
