/* SPDX-License-Identifier: Apache-2.0
 *
 * What a service answered, hour by hour, and what is left of its error budget by that.
 */
#include "control/slo_book.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { HOUR_S = 3600, BEGIN_S = 1790000000 / HOUR_S * HOUR_S };

static void put(struct slo_book *book, uint64_t answers, uint64_t errors, int64_t at_s)
{
    slo_book_add(book, &(struct slo_sum){answers, errors, 0}, at_s);
}

static void what_is_older_than_the_window_counts_no_more(void **state)
{
    struct slo_book book;

    (void)state;
    assert_true(slo_book_init(&book, 24));
    put(&book, 10, 1, BEGIN_S);
    put(&book, 100, 0, BEGIN_S + HOUR_S);
    assert_int_equal(slo_book_window(&book, BEGIN_S + HOUR_S).answers, 110);
    assert_int_equal(slo_book_window(&book, BEGIN_S + 24 * HOUR_S + 59).answers, 110);
    assert_int_equal(slo_book_window(&book, BEGIN_S + 25 * HOUR_S).answers, 100);
    assert_int_equal(slo_book_window(&book, BEGIN_S + 25 * HOUR_S).errors, 0);
    put(&book, 1, 1, BEGIN_S + 25 * HOUR_S); // in the place of the first
    assert_int_equal(slo_book_window(&book, BEGIN_S + 25 * HOUR_S).answers, 101);
    assert_int_equal(slo_book_window(&book, BEGIN_S + 100 * HOUR_S).answers, 0);
    assert_int_equal(book.all.answers, 111);
    put(&book, 1, 1, -1); // a clock that was never set
    assert_int_equal(book.all.answers, 111);
    slo_book_fini(&book);
}

static void the_last_minutes_are_summed_by_steps(void **state)
{
    struct slo_book book;

    (void)state;
    assert_true(slo_book_init(&book, 1));
    for (int i = 0; i < 200; i++) // a thousand minutes, of which six hours are kept
        put(&book, 1, 0, BEGIN_S + i * SLO_STEP_S);
    assert_int_equal(slo_book_recent(&book, BEGIN_S + 199 * SLO_STEP_S, SLO_STEP_S).answers, 2);
    assert_int_equal(slo_book_recent(&book, BEGIN_S + 199 * SLO_STEP_S, HOUR_S).answers, 13);
    assert_int_equal(slo_book_recent(&book, BEGIN_S + 199 * SLO_STEP_S, 6 * HOUR_S).answers, 73);
    assert_int_equal(slo_book_recent(&book, BEGIN_S + 250 * SLO_STEP_S, HOUR_S).answers, 0);
    slo_book_fini(&book);
}

static void another_window_keeps_what_lies_in_it(void **state)
{
    struct slo_book book;

    (void)state;
    assert_true(slo_book_init(&book, 100));
    for (int i = 0; i < 100; i++)
        put(&book, 1, 0, BEGIN_S + i * HOUR_S);
    assert_true(slo_book_resize(&book, 9));
    assert_int_equal(slo_book_window(&book, BEGIN_S + 99 * HOUR_S).answers, 10);
    assert_true(slo_book_resize(&book, 2000));
    put(&book, 5, 0, BEGIN_S + 100 * HOUR_S);
    assert_int_equal(slo_book_window(&book, BEGIN_S + 100 * HOUR_S).answers, 15);
    slo_book_fini(&book);
}

static void it_comes_back_from_the_store(void **state)
{
    struct slo_book book, again;
    json_t *json;

    (void)state;
    assert_true(slo_book_init(&book, 24));
    assert_true(slo_book_init(&again, 24));
    slo_book_add(&book, &(struct slo_sum){10, 2, 3}, BEGIN_S);
    slo_book_add(&book, &(struct slo_sum){20, 0, 1}, BEGIN_S + HOUR_S);
    json = slo_book_json(&book);
    assert_int_equal(json_array_size(json), 2);
    slo_book_read(&again, json);
    assert_int_equal(slo_book_window(&again, BEGIN_S + HOUR_S).answers, 30);
    assert_int_equal(slo_book_window(&again, BEGIN_S + HOUR_S).errors, 2);
    assert_int_equal(slo_book_window(&again, BEGIN_S + HOUR_S).late, 4);
    json_decref(json);
    slo_book_fini(&book);
    slo_book_fini(&again);
}

static void what_the_store_holds_may_be_anything(void **state)
{
    static const char *const texts[] = {"null",
                                        "{}",
                                        "[1, [], {}, [1], \"x\"]",
                                        "[[-5, 1, 1, 1]]",
                                        "[[5, -1, 0, 0]]",
                                        "[[5, 1, -1, 0]]",
                                        "[[5, 0, 0, 0]]",
                                        "[[\"5\", 1, 0, 0]]",
                                        "[[1.5, 1, 0, 0]]"};
    struct slo_book book;

    (void)state;
    assert_true(slo_book_init(&book, 24));
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *json = json_loads(texts[i], JSON_DECODE_ANY, NULL);

        slo_book_read(&book, json);
        json_decref(json);
    }
    for (int64_t at = 0; at < 100 * HOUR_S; at += HOUR_S)
        assert_int_equal(slo_book_window(&book, at).answers, 0);
    slo_book_fini(&book);
}

static bool is_near(double a, double b)
{
    return a - b < 1e-9 && b - a < 1e-9;
}

static void a_budget_is_what_may_be_bad(void **state)
{
    (void)state;
    assert_true(is_near(slo_left((struct slo_score){0, 0}, 0.999), 1));
    assert_true(is_near(slo_left((struct slo_score){1000, 0}, 0.999), 1));
    assert_true(is_near(slo_left((struct slo_score){10000, 5}, 0.999), 0.5));
    assert_true(is_near(slo_left((struct slo_score){10000, 10}, 0.999), 0));
    assert_true(is_near(slo_left((struct slo_score){10000, 30}, 0.999), -2));
    assert_true(is_near(slo_burn((struct slo_score){10000, 144}, 0.999), 14.4));
    assert_true(is_near(slo_burn((struct slo_score){0, 0}, 0.999), 0));
    assert_false(slo_is_telling((struct slo_score){900, 900}, 0.999));
    assert_true(slo_is_telling((struct slo_score){1001, 0}, 0.999));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_than_the_window_counts_no_more),
        cmocka_unit_test(the_last_minutes_are_summed_by_steps),
        cmocka_unit_test(another_window_keeps_what_lies_in_it),
        cmocka_unit_test(it_comes_back_from_the_store),
        cmocka_unit_test(what_the_store_holds_may_be_anything),
        cmocka_unit_test(a_budget_is_what_may_be_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
