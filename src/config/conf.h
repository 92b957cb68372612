/* SPDX-License-Identifier: Apache-2.0
 *
 * The checked configuration: what the file says, with defaults filled in. Built by conf_load() in
 * one arena and immutable afterwards; every string and array lives as long as that arena. Durations
 * are milliseconds, sizes bytes; 0 is "off" where `off` is allowed. Safe to read from any thread.
 */
#ifndef CONFIG_CONF_H
#define CONFIG_CONF_H

#include "config/conf_admin.h"
#include "config/conf_control.h"
#include "config/conf_limits.h"
#include "config/conf_listener.h"
#include "config/conf_notices.h"
#include "config/conf_redis.h"
#include "config/conf_route.h"
#include "config/conf_service.h"
#include "config/conf_text.h"
#include "config/conf_traces.h"

enum conf_role { CONF_ROLE_ALL, CONF_ROLE_EDGE, CONF_ROLE_CONTROL };

struct conf {
    enum conf_role role;
    uint32_t workers;      /* CONF_AUTO: derived */
    struct conf_text user; /* span.file NULL: the default */
    struct conf_text state;
    struct conf_trust trust;
    struct conf_text region; /* "auto": derived */
    struct conf_texts resolvers;
    struct conf_texts include;
    struct conf_listener *listeners;
    uint32_t listener_count;
    struct conf_admin admin;
    struct conf_control control;
    struct conf_notices notices;
    struct conf_timeouts timeouts;
    struct conf_limits limits;
    struct conf_log log;
    struct conf_traces traces;
    bool has_traces;
    struct conf_redis redis;
    bool has_redis;
    struct conf_filters filters;
    struct conf_route
        *routes; /* in the order of the file; for no routes and one service: one that takes all */
    uint32_t route_count;
    struct conf_service *services;
    uint32_t service_count;
    struct str *files; /* every file read, absolute, for --watch */
    uint32_t file_count;
};

/* Where `${env:}` looks and what filters there are; both borrowed. */
struct conf_world {
    const char *(*env)(void *owner, const char *name);
    void *env_owner;
    const struct filter *const *filters; /* NULL-terminated registry */
    /* Says to `diag` what is wrong with a regular expression; asked only beside other errors, since
     * the route table finds it otherwise. NULL: nobody. */
    bool (*check_pattern)(struct conf_text pattern, struct diag *diag);
    /* Says to `diag` what is wrong with the files that `tls` of listeners and services names; asked
     * once, also beside other errors, so texts may be absent. NULL: nobody looks. */
    void (*check_tls)(const struct conf *conf, struct diag *diag);
    /* ${env:} and ${file:} in `env` of `provider: {process}` are put in. What starts apps needs
     * them, nobody else does: the process that parses requests must not hold their secrets. */
    bool expands_process_env;
    /* The same of `notices`, of `backup` of `control`, of `headers` of `traces`, and of `token` of
     * a provider: only the control process needs them. */
    bool expands_control;
};

/* Reads, expands and checks `path` and its includes. All that is wrong goes to `diag`, with a span;
 * the result is NULL when there was an error, else a conf in `arena`. Reads files, does nothing
 * else. Any thread. */
const struct conf *conf_load(const char *path, const struct conf_world *world, struct arena *arena,
                             struct diag *diag);
/* The same from text in memory, named `name` in diagnostics; `include` is refused there. */
const struct conf *conf_parse(struct str text, const char *name, const struct conf_world *world,
                              struct arena *arena, struct diag *diag);

#endif
