/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of filter/rate_limit*.c run on: a filter from its YAML, a limiter, and a clock
 * that the test moves.
 */
#ifndef TEST_RATE_LIMIT_RIG_H
#define TEST_RATE_LIMIT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ip.h"
#include "config/conf.h"
#include "edge/filter/chain.h"
#include "edge/limit/limiter.h"
#include "edge/loop.h"

extern const struct filter filter_rate_limit;

struct bench {
    struct arena arena;
    struct diag diag;
    struct limiter *limiter;
    struct loop *loop;
    struct filter_env env;
    const struct conf *conf;
    void *filter_conf; /* of all routes */
    struct caller caller;
    struct vars vars;
    struct head request, response;
    struct visit visit;
    char state[256];
};

static inline const char *no_env(void *owner, const char *name)
{
    (void)owner;
    (void)name;
    return NULL;
}

static inline const struct conf *parse(struct bench *bench, const char *rest)
{
    const struct conf_world world = {.env = no_env, .filters = filter_registry};
    struct str text =
        arena_format(&bench->arena, "services: {app: {targets: [\"127.0.0.1:1\"]}}\n%s\n", rest);
    const struct conf *conf = conf_parse(text, "test", &world, &bench->arena, &bench->diag);

    if (!conf || !chain_prepare(conf, NULL, &bench->arena, &bench->diag))
        fail_msg("%s", diag_report(&bench->diag).p);
    return conf;
}

static inline void *conf_in(const struct conf_filters *filters)
{
    for (uint32_t i = 0; i < filters->count; i++)
        if (filters->items[i].filter == &filter_rate_limit)
            return filters->items[i].conf;
    return NULL;
}

/* The filter's own keys; NULL: it is not written. */
static inline void load(struct bench *bench, const char *keys)
{
    struct str text =
        keys ? arena_format(&bench->arena, "filters: [{rate_limit: {%s}}]", keys) : STR("");

    bench->conf = parse(bench, text.p);
    bench->filter_conf = conf_in(&bench->conf->filters);
}

static inline int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    bench->loop = calloc(1, sizeof(*bench->loop));
    bench->loop->now_us = UINT64_C(5000000000);
    bench->limiter = limiter_open(-1);
    bench->env = (struct filter_env){.loop = bench->loop, .workers = 1, .limiter = bench->limiter};
    assert_true(sizeof(bench->state) >= filter_rate_limit.state_size);
    return 0;
}

static inline int remove_bench(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    limiter_close(&bench->limiter);
    free(bench->loop);
    free(bench);
    return 0;
}

#endif
