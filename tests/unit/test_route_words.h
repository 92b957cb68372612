/* SPDX-License-Identifier: Apache-2.0
 *
 * The words of a route, for test_route.h: "@a.com" a host, "/v1/" with a star behind a prefix,
 * "/v1" an exact path, "~^/x" a regex, "GET" a method, "h:name=value" and "q:name=value"
 * conditions, "n:name" its name.
 */
#ifndef TEST_ROUTE_WORDS_H
#define TEST_ROUTE_WORDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "edge/route/route.h"

enum { WORDS_MAX = 8 };

struct bench {
    struct arena arena;
    struct diag diag;
    struct conf conf;
    struct route_table *table;
};

static inline struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static inline void *room(struct bench *bench, size_t n, size_t size)
{
    void *p = arena_zero(&bench->arena, n, size);

    assert_non_null(p);
    return p;
}

static inline void add_text(struct bench *bench, struct conf_texts *texts, struct str word)
{
    if (!texts->items)
        texts->items = room(bench, WORDS_MAX, sizeof(*texts->items));
    assert_true(texts->count < WORDS_MAX);
    texts->items[texts->count++].s = arena_copy(&bench->arena, word);
}

static inline void add_pair(struct bench *bench, struct conf_pairs *pairs, struct str word)
{
    const char *equals = memchr(word.p, '=', word.len);
    struct conf_pair *pair;

    if (!pairs->items)
        pairs->items = room(bench, WORDS_MAX, sizeof(*pairs->items));
    assert_non_null(equals);
    assert_true(pairs->count < WORDS_MAX);
    pair = &pairs->items[pairs->count++];
    pair->name.s = arena_copy(&bench->arena, (struct str){word.p, (size_t)(equals - word.p)});
    pair->value.s = arena_copy(&bench->arena,
                               (struct str){equals + 1, (size_t)(word.p + word.len - equals) - 1});
}

static inline void add_path(struct bench *bench, struct conf_route *route, struct str word)
{
    struct conf_path *path;

    if (!route->paths)
        route->paths = room(bench, WORDS_MAX, sizeof(*route->paths));
    assert_true(route->path_count < WORDS_MAX);
    path = &route->paths[route->path_count++];
    path->kind = CONF_PATH_EXACT;
    if (word.p[0] == '~') {
        path->kind = CONF_PATH_REGEX;
        word = (struct str){word.p + 1, word.len - 1};
    } else if (word.len > 1 && memcmp(word.p + word.len - 2, "/*", 2) == 0) {
        path->kind = CONF_PATH_PREFIX;
        word.len -= 2;
    }
    path->text.s = arena_copy(&bench->arena, word);
}

static inline void add_word(struct bench *bench, struct conf_route *route, struct str word)
{
    struct str rest = {word.p + 2, word.len - 2};

    if (word.p[0] == '@')
        add_text(bench, &route->hosts, (struct str){word.p + 1, word.len - 1});
    else if (word.p[0] == '/' || word.p[0] == '~')
        add_path(bench, route, word);
    else if (memcmp(word.p, "h:", 2) == 0)
        add_pair(bench, &route->headers, rest);
    else if (memcmp(word.p, "q:", 2) == 0)
        add_pair(bench, &route->query, rest);
    else if (memcmp(word.p, "n:", 2) == 0)
        route->name.s = arena_copy(&bench->arena, rest);
    else
        add_text(bench, &route->methods, word);
}

#endif
