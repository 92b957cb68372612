/* SPDX-License-Identifier: Apache-2.0
 *
 * What the checks of the configuration ask of a URL. Pure.
 */
#ifndef CONFIG_CONF_URL_H
#define CONFIG_CONF_URL_H

#include "sluice/types.h"

/* It begins with this, and goes on. */
bool conf_url_begins(struct str url, const char *prefix);
/* It begins with `scheme` ("http://"), and its host is this machine's loopback. */
bool conf_url_is_near(struct str url, const char *scheme);

#endif
