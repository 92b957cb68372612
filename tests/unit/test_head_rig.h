/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of fields share: memory, a head, and a visit that a filter is given.
 */
#ifndef TEST_HEAD_RIG_H
#define TEST_HEAD_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "config/conf.h"
#include "sluice/filter.h"

struct bench {
    struct arena arena, small;
    struct diag diag;
    const struct conf *conf;
    struct head head;
    struct visit visit;
    struct caller caller;
    struct vars vars;
};

static inline int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    return head_init(&bench->head, &bench->arena, 4);
}

static inline int remove_bench(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    arena_reset(&bench->small);
    free(bench);
    return 0;
}

#endif
