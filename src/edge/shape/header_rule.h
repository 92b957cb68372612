/* SPDX-License-Identifier: Apache-2.0
 *
 * Which fields of a message its edges may be told to set: none that could break it. Pure.
 */
#ifndef EDGE_SHAPE_HEADER_RULE_H
#define EDGE_SHAPE_HEADER_RULE_H

#include "sluice/types.h"

/* A field name (RFC 9110 5.6.2). */
bool header_rule_is_name(struct str name);
/* No control character but the tab (RFC 9110 5.5). */
bool header_rule_is_value(struct str value);
/* Carries the framing or the way of a message: the gateway's own to set. */
bool header_rule_is_ours(struct str name);

#endif
