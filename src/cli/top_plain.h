/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks for programs and for terminals that cannot be drawn on: a table of text each, or a JSON
 * object in a line.
 */
#ifndef CLI_TOP_PLAIN_H
#define CLI_TOP_PLAIN_H

#include "cli/top_view.h"

/* What `state` says of view, order and filter, in full; an empty line before all but the first. */
void top_plain_print(FILE *out, const struct top_state *state, const struct top_scene *scene,
                     bool is_first);
/* All that fits the filter. Only ASCII. */
void top_plain_json(FILE *out, const struct top_state *state, const struct top_scene *scene);

#endif
