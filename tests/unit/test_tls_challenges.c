/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers to challenges: put, found, replaced, forgotten, bounded. That they are shown in a
 * handshake is in test_tls_server.c.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "edge/tls/tls_challenges.h"

enum { HOUR_MS = 3600 * 1000 };

static struct tls_challenge http(const char *token, const char *answer)
{
    return (struct tls_challenge){.token = {token, strlen(token)},
                                  .domain = STR("a.example.com"),
                                  .answer = {answer, strlen(answer)}};
}

static bool has(struct tls_challenges *challenges, const char *token, const char *answer)
{
    struct str found = tls_challenges_answer(challenges, (struct str){token, strlen(token)});

    return found.p && found.len == strlen(answer) && !memcmp(found.p, answer, found.len);
}

static void an_answer_is_found_until_it_goes(void **state)
{
    struct tls_challenges *challenges = tls_challenges_new();
    struct tls_challenge one = http("one", "one.x"), two = http("two", "two.x"),
                         again = http("one", "one.y");

    (void)state;
    assert_null(tls_challenges_answer(challenges, STR("one")).p);
    assert_null(tls_challenges_answer(NULL, STR("one")).p);
    assert_int_equal(tls_challenges_put(challenges, &one, 5), OK);
    assert_int_equal(tls_challenges_put(challenges, &two, 10), OK);
    assert_true(has(challenges, "one", "one.x"));
    assert_true(has(challenges, "two", "two.x"));
    assert_int_equal(tls_challenges_put(challenges, &again, 20), OK);
    assert_true(has(challenges, "one", "one.y"));
    assert_int_equal(tls_challenges_drop(challenges, STR("none"), 30), E_NOT_FOUND);
    assert_int_equal(tls_challenges_drop(challenges, STR("one"), 30), OK);
    assert_null(tls_challenges_answer(challenges, STR("one")).p);
    tls_challenges_tick(challenges, HOUR_MS);
    assert_true(has(challenges, "two", "two.x"));
    tls_challenges_tick(challenges, HOUR_MS + 10);
    assert_null(tls_challenges_answer(challenges, STR("two")).p);
    tls_challenges_tick(challenges, 2 * HOUR_MS);
    tls_challenges_free(&challenges);
    assert_null(challenges);
}

static void the_memory_stays_for_whoever_reads(void **state)
{
    struct tls_challenges *challenges = tls_challenges_new();
    struct tls_challenge one = http("one", "one.x");
    struct str answer;

    (void)state;
    assert_int_equal(tls_challenges_put(challenges, &one, 0), OK);
    answer = tls_challenges_answer(challenges, STR("one"));
    assert_int_equal(tls_challenges_drop(challenges, STR("one"), 1000), OK);
    tls_challenges_tick(challenges, 60 * 1000);
    assert_memory_equal(answer.p, "one.x", answer.len);
    tls_challenges_free(&challenges);
}

static void there_is_room_for_so_many(void **state)
{
    struct tls_challenges *challenges = tls_challenges_new();
    struct tls_challenge one = http("", "x");
    char token[16];

    (void)state;
    for (unsigned i = 0; i < TLS_CHALLENGES_MAX; i++) {
        one.token = (struct str){token, (size_t)snprintf(token, sizeof(token), "%u", i)};
        assert_int_equal(tls_challenges_put(challenges, &one, 0), OK);
    }
    assert_int_equal(tls_challenges_put(challenges, &one, 0), OK); // in the place of itself
    one.token = STR("another");
    assert_int_equal(tls_challenges_put(challenges, &one, 0), E_FULL);
    tls_challenges_tick(challenges, HOUR_MS);
    assert_int_equal(tls_challenges_put(challenges, &one, HOUR_MS), OK);
    tls_challenges_free(&challenges);
}

static void *read_often(void *argument)
{
    struct tls_challenges *challenges = argument;
    uintptr_t wrong = 0;

    for (unsigned i = 0; i < 20000; i++) {
        struct str answer = tls_challenges_answer(challenges, STR("one"));

        wrong += answer.p && memcmp(answer.p, "one.", 4) != 0;
        tls_challenges_has(challenges, STR("a.example.com"));
    }
    return (void *)wrong;
}

static void workers_read_while_it_changes(void **state)
{
    struct tls_challenges *challenges = tls_challenges_new();
    struct tls_challenge one = http("one", "one.x"), alpn = http("two", "two.x");
    pthread_t threads[2];
    void *wrong;

    (void)state;
    alpn.is_alpn = true;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_often, challenges), 0);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(tls_challenges_put(challenges, &one, i), OK);
        if (i % 10 == 0)
            assert_int_equal(tls_challenges_put(challenges, &alpn, i), OK);
        if (i % 3 == 0)
            assert_int_equal(tls_challenges_drop(challenges, STR("one"), i), OK);
        tls_challenges_tick(challenges, i);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    tls_challenges_free(&challenges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_is_found_until_it_goes),
        cmocka_unit_test(the_memory_stays_for_whoever_reads),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(workers_read_while_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
