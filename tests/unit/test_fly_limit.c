/* SPDX-License-Identifier: Apache-2.0
 *
 * The rates of Fly's Machines API: what may go at once, what has to wait and for how long, whatever
 * is asked in between.
 */
#include "control/provider/fly_limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { OPENED_MS = 1000000, LATER_MS = OPENED_MS + 60000 };

/* How many go at once. */
static unsigned burst(struct fly_limit *limit, enum fly_action action, const char *subject,
                      int64_t now_ms)
{
    unsigned count = 0;

    while (count < 100 && !fly_limit_take(limit, action, subject, now_ms))
        count++;
    return count;
}

static void it_begins_as_if_all_had_been_used(void **state)
{
    struct fly_limit limit;
    int64_t wait_ms;

    (void)state;
    fly_limit_init(&limit, OPENED_MS);
    wait_ms = fly_limit_take(&limit, FLY_LIST, "", OPENED_MS);
    assert_in_range(wait_ms, 1000, 1100);
    assert_int_equal(fly_limit_take(&limit, FLY_LIST, "", OPENED_MS + wait_ms), 0);
    assert_true(fly_limit_take(&limit, FLY_LIST, "", OPENED_MS + wait_ms) > 0);
}

static void three_at_once_and_one_a_second(void **state)
{
    struct fly_limit limit;
    int64_t now_ms = LATER_MS;

    (void)state;
    fly_limit_init(&limit, OPENED_MS);
    assert_int_equal(burst(&limit, FLY_CREATE, "", now_ms), 3);
    for (unsigned i = 0; i < 50; i++) {
        int64_t wait_ms = fly_limit_take(&limit, FLY_CREATE, "", now_ms);

        assert_in_range(wait_ms, 1000, 1100);
        now_ms += wait_ms;
        assert_int_equal(fly_limit_take(&limit, FLY_CREATE, "", now_ms), 0);
    }
}

static void machines_and_actions_are_apart(void **state)
{
    struct fly_limit limit;

    (void)state;
    fly_limit_init(&limit, OPENED_MS);
    assert_int_equal(burst(&limit, FLY_START, "a", LATER_MS), 3);
    assert_int_equal(burst(&limit, FLY_START, "b", LATER_MS), 3);
    assert_int_equal(burst(&limit, FLY_STOP, "a", LATER_MS), 3);
    assert_int_equal(burst(&limit, FLY_GET, "a", LATER_MS), 10);
    assert_int_equal(burst(&limit, FLY_START, "a", LATER_MS), 0);
}

/* What was long on its way counts from when it may have come. */
static void a_late_one_counts_from_its_answer(void **state)
{
    struct fly_limit limit;
    int64_t now_ms = LATER_MS;

    (void)state;
    fly_limit_init(&limit, OPENED_MS);
    assert_int_equal(fly_limit_take(&limit, FLY_LIST, "", now_ms), 0);
    now_ms += 5000;
    fly_limit_done(&limit, FLY_LIST, "", now_ms);
    assert_int_equal(burst(&limit, FLY_LIST, "", now_ms), 2);
    fly_limit_done(&limit, FLY_LIST, "", now_ms); // as they were counted
    assert_in_range(fly_limit_take(&limit, FLY_LIST, "", now_ms), 1000, 1100);
    fly_limit_done(&limit, FLY_LIST, "of nobody", now_ms);
    assert_int_equal(burst(&limit, FLY_LIST, "of nobody", now_ms), 3);
}

static void what_does_not_fit_the_table_waits(void **state)
{
    struct fly_limit limit;
    char subject[16];

    (void)state;
    fly_limit_init(&limit, OPENED_MS);
    for (unsigned i = 0; i < FLY_LIMIT_ROWS; i++) {
        snprintf(subject, sizeof(subject), "m%u", i);
        assert_int_equal(fly_limit_take(&limit, FLY_START, subject, LATER_MS), 0);
    }
    assert_true(fly_limit_take(&limit, FLY_START, "more", LATER_MS) > 0);
    assert_int_equal(burst(&limit, FLY_START, "m0", LATER_MS), 2); // it is known still
    assert_int_equal(fly_limit_take(&limit, FLY_START, "more", LATER_MS + 2000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_as_if_all_had_been_used),
        cmocka_unit_test(three_at_once_and_one_a_second),
        cmocka_unit_test(machines_and_actions_are_apart),
        cmocka_unit_test(a_late_one_counts_from_its_answer),
        cmocka_unit_test(what_does_not_fit_the_table_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
