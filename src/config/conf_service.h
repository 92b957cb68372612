/* SPDX-License-Identifier: Apache-2.0
 *
 * Services: targets, and how one is chosen and spoken to. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_SERVICE_H
#define CONFIG_CONF_SERVICE_H

#include "config/conf_deploy.h"
#include "config/conf_health.h"
#include "config/conf_release.h"
#include "config/conf_provider.h"
#include "config/conf_scale.h"
#include "config/conf_slo.h"
#include "config/conf_tls.h"

struct conf_target {
    struct span at;
    struct conf_text id; /* as written, or the address text */
    struct conf_address address;
    uint32_t weight;         /* 1..1000 */
    struct conf_text region; /* empty: as near as any */
    uint32_t priority;       /* tiers are used in ascending order */
    struct str release;      /* whose it is; empty in a list outside the configuration */
};

/* The release of targets that say none. */
#define CONF_STABLE "stable"

enum conf_balance { CONF_LEAST_REQUEST, CONF_ROUND_ROBIN, CONF_HASH, CONF_RANDOM };
enum conf_hash_by { CONF_HASH_CLIENT_IP, CONF_HASH_PATH, CONF_HASH_HEADER, CONF_HASH_COOKIE };
enum conf_protocol {
    CONF_HTTP1,
    CONF_H2,
    CONF_PROTOCOL_AUTO, /* by ALPN, so with tls */
    CONF_NO_PROTOCOL,   /* not to be written: what is no HTTP agrees on nothing */
};
enum conf_host { CONF_HOST_KEEP, CONF_HOST_TARGET, CONF_HOST_NAME };

/* What targets know by that a request came through the gateway. */
struct conf_sign {
    bool is_set;
    struct conf_text key;
};

struct conf_service {
    struct span at;
    struct conf_text name;
    struct conf_target *targets; /* of all releases */
    uint32_t target_count;
    struct conf_release *releases; /* none: the targets are those of CONF_STABLE */
    uint32_t release_count;
    struct conf_share *shares; /* none: all goes to the first release, or to `stable` */
    uint32_t share_count;
    struct conf_assign assign;
    bool has_safety_net; /* what fails on a release that is not stable goes to stable once */
    enum conf_balance balance;
    enum conf_hash_by
        hash_by;          /* written as `hash_by: client_ip | path | header:NAME | cookie:NAME` */
    struct str hash_name; /* lower case for headers */
    enum conf_protocol protocol;
    struct conf_target_tls tls;
    enum conf_host host;
    struct conf_text host_name;
    struct conf_target_limits limits;
    struct {
        uint32_t idle_connections; /* kept per target and worker */
        uint32_t max_age_ms;       /* of a connection; 0 off */
    } pool;
    struct {
        uint32_t streams; /* at once on one connection; the target may allow fewer */
        uint32_t ping_ms; /* silence after which a busy connection is asked for a sign; 0 off */
        uint32_t ping_timeout_ms; /* without one it is dead */
    } http2;
    struct conf_health health;
    struct conf_outlier outlier;
    struct conf_breaker breaker;
    struct conf_retry retry;
    struct conf_sticky sticky;
    uint32_t slow_start_ms; /* 0 off */
    struct conf_fallback fallback;
    struct conf_hold hold;
    struct conf_answer maintenance;
    struct conf_discover discover;
    struct conf_provider provider;
    struct conf_sign sign;
    struct conf_deploy deploy;
    struct conf_scale scale;
    struct conf_slo slo;
};

#endif
