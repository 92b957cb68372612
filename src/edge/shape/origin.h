/* SPDX-License-Identifier: Apache-2.0
 *
 * Which origins (RFC 6454 6.2: "https://host:port") a list lets in: exact ones, those with a star
 * for all names below one, "~regex" that must fit the whole origin, "null" and "*". Built once,
 * immutable then; a lookup may be done by any thread.
 */
#ifndef EDGE_SHAPE_ORIGIN_H
#define EDGE_SHAPE_ORIGIN_H

#include "edge/route/pattern.h"

enum origin_kind { ORIGIN_EXACT, ORIGIN_BELOW, ORIGIN_REGEX, ORIGIN_ANY };

struct origin_rule {
    enum origin_kind kind;
    struct str text; /* EXACT: all of it; BELOW: the scheme with "://" */
    struct str tail; /* BELOW: from the dot on */
    struct route_pattern pattern;
};

struct origin_list {
    uint32_t count;
    bool takes_any; /* "*" is among them */
    struct origin_rule rules[];
};

/* The list of what is written, in `arena` but for the patterns' own memory. NULL when something is
 * wrong, with an error in `diag` for each. */
struct origin_list *origin_list_new(const struct conf_texts *written, struct arena *arena,
                                    struct diag *diag);
/* Frees the patterns; NULL is fine. */
void origin_list_fini(struct origin_list *list);
/* Whether the value of an Origin field is let in. Case counts: browsers send lower case. */
bool origin_list_fits(const struct origin_list *list, struct str origin);

#endif
