/* SPDX-License-Identifier: Apache-2.0
 *
 * Releases of a service: which there are, and who gets which. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_RELEASE_H
#define CONFIG_CONF_RELEASE_H

#include "base/cidr.h"
#include "config/conf_text.h"

enum { CONF_RELEASES_MAX = 8, CONF_SHARE_MAX = 1000000, CONF_RELEASE_ID_MAX = 64 };

#define CONF_RELEASE_ID_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct conf_target;

struct conf_release {
    struct span at;
    struct conf_text name;
    struct conf_target *targets;
    uint32_t target_count;
};

/* Of one release beside the others. */
struct conf_share {
    struct conf_text release;
    uint32_t share; /* 0 to CONF_SHARE_MAX */
};

enum conf_assign_by {
    CONF_ASSIGN_CLIENT_IP,
    CONF_ASSIGN_COOKIE,       /* one that the gateway gives out */
    CONF_ASSIGN_HEADER,       /* the value of a header */
    CONF_ASSIGN_OTHER_COOKIE, /* the value of a cookie of the service's own */
};

/* Clients that get a release whatever its share. */
struct conf_assign_list {
    struct span at;
    struct conf_text release;
    struct cidr *addresses;
    uint32_t address_count;
    struct conf_text header, cookie; /* whose value is looked for among these */
    struct conf_text *values;
    uint32_t value_count;
};

struct conf_assign {
    enum conf_assign_by by;
    struct str by_name; /* of header or cookie; header: lower case */
    struct conf_text cookie;
    uint64_t max_age_ms; /* of that cookie; 0: for the session */
    /* requests that name their release: the value of a header, of a cookie, the first label of the
     * host; empty: not so */
    struct conf_text ask_header, ask_cookie, ask_host;
    struct conf_assign_list *lists;
    uint32_t list_count;
};

/* Whether a release may be called so: an id goes into headers, metrics, hosts and commands. Pure.
 */
bool conf_release_is_id(struct str id);

#endif
