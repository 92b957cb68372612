/* SPDX-License-Identifier: Apache-2.0
 *
 * Whose word is taken on who a client is. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_TRUST_H
#define CONFIG_CONF_TRUST_H

#include "base/cidr.h"
#include "config/conf_text.h"

enum conf_platform {
    CONF_PLATFORM_NONE,
    CONF_PLATFORM_AUTO, /* not in a finished conf: it says what was found */
    CONF_PLATFORM_FLY,
    CONF_PLATFORM_RAILWAY,
    CONF_PLATFORM_CLOUDFLARE,
};

enum { CONF_PLATFORMS_MAX = 4 };

/* The platforms that a request comes through, the one that the client meets first. */
struct conf_platforms {
    enum conf_platform items[CONF_PLATFORMS_MAX];
    uint32_t count;
    bool is_set;  /* written */
    bool is_auto; /* found by the environment */
};

/* Networks of proxies of one's own. */
struct conf_networks {
    struct cidr *items;
    uint32_t count;
    bool is_set; /* written */
};

enum conf_proxy_protocol {
    CONF_PROXY_OFF,
    CONF_PROXY_V1,
    CONF_PROXY_V2,
    CONF_PROXY_ANY,
};

struct conf_trust {
    struct conf_platforms platforms;
    struct conf_networks proxies;
};

/* "fly". Static. */
const char *conf_platform_name(enum conf_platform platform);

#endif
