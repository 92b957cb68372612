/* SPDX-License-Identifier: Apache-2.0
 *
 * The Redis that gateways share. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_REDIS_H
#define CONFIG_CONF_REDIS_H

#include "config/conf_text.h"

struct conf_redis {
    struct conf_text url; /* secret; empty: there is none */
    struct str host;      /* name or address without brackets; terminated by a NUL */
    uint16_t port;
    uint32_t database;
    struct str user, password; /* decoded; absent: none */
};

#endif
