/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the gateway listens. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_LISTENER_H
#define CONFIG_CONF_LISTENER_H

#include "config/conf_text.h"

struct conf_listener {
    struct span at;
    struct conf_address bind;
    struct conf_text health_path; /* empty: off */
};

#endif
