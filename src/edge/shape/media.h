/* SPDX-License-Identifier: Apache-2.0
 *
 * Media types (RFC 9110 8.3.1) and patterns for them: "text/css", "text/" with a star for all of
 * text, and a star before a suffix, as "application/" star "+json". Pure.
 */
#ifndef EDGE_SHAPE_MEDIA_H
#define EDGE_SHAPE_MEDIA_H

#include "sluice/types.h"

/* Whether a Content-Type, its parameters aside, fits the pattern; case does not count. */
bool media_fits(struct str pattern, struct str type);
/* Whether a pattern is well-formed. */
bool media_is_pattern(struct str pattern);

#endif
