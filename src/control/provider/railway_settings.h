/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of a service of Railway that a deploy sends, all of them each time, since what is
 * left out may be reset; and whether they are what is read back. Pure.
 */
#ifndef CONTROL_PROVIDER_RAILWAY_SETTINGS_H
#define CONTROL_PROVIDER_RAILWAY_SETTINGS_H

#include "control/provider/railway_state.h"

enum { RAILWAY_IMAGE_MAX = 512 };

/* What a release runs: `image`, or if it is NULL what the configuration says. False: neither says
 * it, or it is too long. */
bool railway_image(const struct conf_railway *conf, const char *release, const char *image,
                   char out[RAILWAY_IMAGE_MAX]);
/* ServiceInstanceUpdateInput. What the configuration does not say is sent as it is. NULL: no
 * memory. */
json_t *railway_settings(const struct conf_railway *conf, const struct railway_service *service,
                         const char *image);
/* Writes what differs from `wanted` as lines "NAME: IS -> WANTED" and returns how much of it
 * there is, as snprintf() does; the service's config is known. */
size_t railway_difference(const struct railway_service *service, const json_t *wanted, char *out,
                          size_t size);

#endif
