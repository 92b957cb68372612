/* SPDX-License-Identifier: Apache-2.0
 *
 * How a service's releases take over from each other. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_DEPLOY_H
#define CONFIG_CONF_DEPLOY_H

#include "config/conf_verdict.h"

enum { CONF_STEPS_MAX = 15, CONF_HOOKS_MAX = 8 };

enum conf_strategy { CONF_BLUEGREEN, CONF_CANARY, CONF_RECREATE, CONF_ROLLING, CONF_PLATFORM };
/* Their names, ended by NULL. */
extern const char *const conf_strategies[];

struct conf_step {
    struct span at;
    uint32_t share_ppm; /* of the new release; 0: not said */
    uint32_t for_ms;
    bool approval; /* a person says yes; nothing else of it counts */
};

/* A command line for /bin/sh, or a URL that is POSTed to. */
struct conf_hook {
    struct span at;
    struct conf_text run, url;
    uint32_t timeout_ms;
};

struct conf_hooks {
    struct conf_hook *items;
    uint32_t count;
};

struct conf_deploy {
    enum conf_strategy strategy;
    struct conf_step *steps; /* none: 5 %, 25 % and 50 %, each for five minutes */
    uint32_t step_count;
    struct conf_verdict verdict;
    struct conf_text staging; /* a service that gets the release first; empty: none */
    struct {
        struct conf_hooks regression, pre, migrate, smoke, post;
    } hooks;
    uint32_t start_ms, healthy_ms, bake_ms, drain_ms, keep_ms;
};

#endif
