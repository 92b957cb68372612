/* SPDX-License-Identifier: Apache-2.0
 *
 * Shares of releases, as JSON {ID: whole number}: what a person asks for, and what is left of it
 * beside a new release. Pure.
 */
#ifndef CONTROL_DEPLOY_SHARES_H
#define CONTROL_DEPLOY_SHARES_H

#include <jansson.h>

#include "sluice/types.h"

/* The release of a list of ids, the stable one first, that is called so: by its id, or as `stable`,
 * or as `canary` where there are two. NULL: there is none. */
const char *shares_find(const json_t *known, const char *name);

enum shares_fault { SHARES_GOOD, SHARES_MALFORMED, SHARES_UNKNOWN, SHARES_NO_MEMORY };

/* What is asked for, {name: share}: the share of each of the known ones, 0 where none is said.
 * *unknown: the name that is none. *split is the caller's, NULL unless it is good. */
enum shares_fault shares_read(const json_t *known, const json_t *said, json_t **split,
                              const char **unknown);

/* Those of the split that are known, if somebody has a share among them. NULL: nobody has, or no
 * memory. The caller's. */
json_t *shares_among(const json_t *known, const json_t *split);

/* Gives `whole` parts to the releases of a split by their shares, without that named `but`; what
 * is lost by rounding goes to the one with the greatest share. All of it to `otherwise` when nobody
 * has a share. */
struct shares_spread {
    const json_t *split; /* NULL: none */
    const char *but, *otherwise;
    uint32_t whole;
};
void shares_spread(json_t *to, const struct shares_spread *spread);

/* The release that most requests go to: `stable`, if it has a share. The text is one of these. */
const char *shares_main(const json_t *split, const char *stable);

#endif
