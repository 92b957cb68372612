/* SPDX-License-Identifier: Apache-2.0
 *
 * The Redis that gateways share: one, those that sentinels watch, or a cluster. Part of struct
 * conf, see conf.h.
 */
#ifndef CONFIG_CONF_REDIS_H
#define CONFIG_CONF_REDIS_H

#include "config/conf_tls.h"

enum conf_redis_mode { CONF_REDIS_SINGLE, CONF_REDIS_SENTINEL, CONF_REDIS_CLUSTER };

enum { CONF_REDIS_PLACES_MAX = 32, CONF_REDIS_HOST_MAX = 253 };

struct conf_redis_place {
    struct str host; /* name or address without brackets; terminated by a NUL */
    uint16_t port;
};

struct conf_redis {
    struct conf_text url; /* secret; empty: there is none */
    enum conf_redis_mode mode;
    bool is_tls;
    struct conf_redis_place *places; /* the one, the sentinels, or some nodes of the cluster */
    uint32_t place_count;
    struct str master;          /* what the sentinels call it; absent: no sentinels */
    uint32_t database;          /* 0 in a cluster */
    struct str user, password;  /* decoded; absent: none */
    struct conf_target_tls tls; /* is_set: as is_tls */
    struct conf_text sentinel_user, sentinel_password; /* secret; empty: none */
};

/* Fills what the URL says: redis[s]://[[user]:password@]host[:port][/database],
 * redis[s]+sentinel://...host[:port],.../master[/database] or redis[s]+cluster://...host[:port],...
 * Copies go to the arena. What is wrong, static text that can follow "is"; NULL: nothing. */
const char *conf_redis_read(struct arena *arena, struct str url, struct conf_redis *redis);

#endif
