/* SPDX-License-Identifier: Apache-2.0
 *
 * What is remembered of requests: the newest of each kind, and readers beside the writer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "edge/metric/trail.h"

enum { TURNS = 20000, READERS = 2 };

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static void keep(struct trail *trail, enum trail_kind kind, unsigned id, const char *what)
{
    char name[16];

    snprintf(name, sizeof(name), "id-%u", id);
    trail_keep(trail, kind, text(name), text(what));
}

static bool has(const struct trail *trail, unsigned id, const char *what)
{
    char name[16], out[TRAIL_TEXT_MAX];
    uint64_t when = 0;
    struct str found;

    snprintf(name, sizeof(name), "id-%u", id);
    found = trail_find(trail, text(name), out, &when);
    return found.p && when && str_same(found, text(what));
}

static void test_newest_of_each_kind(void **state)
{
    struct trail *trail = trail_new();

    (void)state;
    assert_non_null(trail);
    assert_false(has(trail, 1, ""));
    keep(trail, TRAIL_FAILED, 1, "{\"a\":1}");
    keep(trail, TRAIL_GOOD, 2, "");
    for (unsigned i = 0; i < TRAIL_KEPT; i++)
        keep(trail, TRAIL_REFUSED, 1000 + i, "no");
    assert_true(has(trail, 1, "{\"a\":1}") && has(trail, 2, "") && has(trail, 1000, "no"));
    keep(trail, TRAIL_REFUSED, 7, "no");
    assert_false(has(trail, 1000, "no"));
    assert_true(has(trail, 1001, "no") && has(trail, 7, "no"));
    keep(trail, TRAIL_REFUSED, 1, "again"); // an id that a client chose may come twice
    assert_true(has(trail, 1, "again"));
    trail_free(&trail);
    assert_null(trail);
}

static void test_longest(void **state)
{
    struct trail *trail = trail_new();
    char what[TRAIL_TEXT_MAX], out[TRAIL_TEXT_MAX];
    uint64_t when;

    (void)state;
    memset(what, 'x', sizeof(what));
    for (size_t len = TRAIL_TEXT_MAX - 9; len <= TRAIL_TEXT_MAX; len++) {
        struct str found;

        trail_keep(trail, TRAIL_GOOD, STR("a"), (struct str){what, len});
        found = trail_find(trail, STR("a"), out, &when);
        assert_true(found.p && str_same(found, (struct str){what, len}));
    }
    trail_free(&trail);
}

/* Readers find whole texts or none. */
static void *look(void *owner)
{
    const struct trail *trail = owner;
    char out[TRAIL_TEXT_MAX];
    uintptr_t torn = 0;

    for (unsigned i = 0; i < TURNS; i++) {
        uint64_t when;
        struct str found = trail_find(trail, STR("id"), out, &when);

        for (size_t k = 1; found.p && k < found.len; k++)
            torn += found.p[k] != found.p[0];
    }
    return (void *)torn;
}

static void test_readers_beside_the_writer(void **state)
{
    struct trail *trail = trail_new();
    pthread_t threads[READERS];
    char what[600];

    (void)state;
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, look, trail), 0);
    for (unsigned i = 0; i < TURNS; i++) {
        memset(what, 'a' + (char)(i % 26), sizeof(what));
        trail_keep(trail, TRAIL_GOOD, STR("id"), (struct str){what, 100 + i % 500});
    }
    for (unsigned i = 0; i < READERS; i++) {
        void *torn;

        pthread_join(threads[i], &torn);
        assert_null(torn);
    }
    trail_free(&trail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_of_each_kind),
        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_readers_beside_the_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
