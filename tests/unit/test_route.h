/* SPDX-License-Identifier: Apache-2.0
 *
 * Route tables and requests from one line each, for the tests of route/.
 */
#ifndef TEST_ROUTE_H
#define TEST_ROUTE_H

#include "test_route_words.h"

static inline void bench_init(struct bench *bench, uint32_t routes)
{
    memset(bench, 0, sizeof(*bench));
    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    bench->conf.routes = room(bench, routes + 1, sizeof(struct conf_route));
}

static inline struct conf_route *bench_route(struct bench *bench, const char *words)
{
    struct conf_route *route = &bench->conf.routes[bench->conf.route_count++];

    while (*words) {
        size_t n = strcspn(words, " ");

        if (n)
            add_word(bench, route, (struct str){words, n});
        words += n + (words[n] == ' ');
    }
    return route;
}

static inline void bench_build(struct bench *bench)
{
    bench->table = route_table_new(&bench->conf, &bench->arena, &bench->diag);
}

/* A table of the lines up to NULL. */
static inline void bench_table(struct bench *bench, const char *const *lines)
{
    uint32_t n = 0;

    while (lines[n])
        n++;
    bench_init(bench, n);
    for (uint32_t i = 0; i < n; i++)
        bench_route(bench, lines[i]);
    bench_build(bench);
    assert_non_null(bench->table);
}

static inline void bench_fini(struct bench *bench)
{
    route_table_free(&bench->table);
    assert_null(bench->table);
    arena_reset(&bench->arena);
}

/* A request: "GET", "a.com:80", "/path?query", and fields as "name=value" words. */
static inline struct head *request(struct bench *bench, const char *method, const char *authority,
                                   const char *target, const char *fields)
{
    struct head *head = room(bench, 1, sizeof(*head));
    const char *mark = strchr(target, '?');

    head->method_name = str_of(method);
    head->authority = str_of(authority);
    head->path = (struct str){target, mark ? (size_t)(mark - target) : strlen(target)};
    head->query = mark ? str_of(mark + 1) : STR_NONE;
    head->headers = room(bench, WORDS_MAX, sizeof(*head->headers));
    while (*fields) {
        size_t n = strcspn(fields, " "), name = strcspn(fields, "=");
        struct header *field = &head->headers[head->count++];

        field->name = fields;
        field->name_len = (uint16_t)name;
        field->value = fields + name + 1;
        field->value_len = (uint32_t)(n - name - 1);
        fields += n + (fields[n] == ' ');
    }
    return head;
}

#endif
