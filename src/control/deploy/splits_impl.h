/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by splits.c and splits_known.c. A service that nobody has said anything of has no struct
 * managed: NULL. JSON is the caller's, and NULL or less than it should be when memory ends.
 */
#ifndef CONTROL_DEPLOY_SPLITS_IMPL_H
#define CONTROL_DEPLOY_SPLITS_IMPL_H

#include "config/conf.h"
#include "control/deploy/splits.h"

/* As the file splits it. */
json_t *splits_of_file(const struct conf_service *conf);
/* The stable one of the file, as an edge finds it; of the configuration. */
struct str splits_stable_of_file(const struct conf_service *conf);
/* The stable one now; of the record or the configuration. */
struct str splits_stable(const struct managed *managed, const struct conf_service *conf);
/* All releases that there are, `stable` first. */
json_t *splits_known(const struct managed *managed, const struct conf_service *conf,
                     struct str stable);
/* No deploy has changed what runs. */
bool splits_are_as_in_file(const struct managed *managed);
/* As it is split among these while no deploy runs. */
json_t *splits_now(const struct managed *managed, const struct conf_service *conf,
                   const json_t *known);
/* {"split", "stable"}; each release has a share, of 0 where there is none. */
json_t *splits_describe(const struct managed *managed, const struct conf_service *conf);

#endif
