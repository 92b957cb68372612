/* SPDX-License-Identifier: Apache-2.0
 *
 * When a message may go to a receiver, and what is in it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "control/notice_queue.h"

enum { HOUR = 3600 * 1000 };

static const struct notice_limits limits = {.window_ms = 1000, .per_hour = 2};
static const int64_t start = INT64_C(1700000000000);

static void add(struct notice_queue *queue, int n, int64_t now_ms)
{
    json_t *notice = json_pack("{s:i}", "n", n);

    notice_queue_add(queue, notice, now_ms);
    json_decref(notice);
}

static bool send(struct notice_queue *queue, int64_t now_ms)
{
    if (!notice_queue_is_due(queue, &limits, now_ms))
        return false;
    notice_queue_begin(queue);
    assert_false(notice_queue_is_due(queue, &limits, now_ms)); // one at a time
    notice_queue_succeed(queue, now_ms);
    return true;
}

static json_int_t first(const struct notice_queue *queue)
{
    return json_integer_value(json_object_get(json_array_get(queue->waiting, 0), "n"));
}

static int set_up(void **state)
{
    struct notice_queue *queue = calloc(1, sizeof(*queue));

    *state = queue;
    return queue && notice_queue_init(queue) ? 0 : -1;
}

static int tear_down(void **state)
{
    notice_queue_fini(*state);
    free(*state);
    return 0;
}

static void test_what_comes_within_the_window_is_one_message(void **state)
{
    struct notice_queue *queue = *state;

    assert_false(notice_queue_is_due(queue, &limits, start));
    add(queue, 1, start);
    add(queue, 2, start + 900);
    assert_false(notice_queue_is_due(queue, &limits, start + 999));
    assert_true(notice_queue_is_due(queue, &limits, start + 1000));
    notice_queue_begin(queue);
    add(queue, 3, start + 1001); // not in the message that is on its way
    notice_queue_succeed(queue, start + 1500);
    assert_int_equal(json_array_size(queue->waiting), 1);
    assert_int_equal(first(queue), 3);
    assert_false(notice_queue_is_due(queue, &limits, start + 2000));
    assert_true(notice_queue_is_due(queue, &limits, start + 2001));
}

static void test_so_many_an_hour(void **state)
{
    struct notice_queue *queue = *state;

    for (int n = 0; n < 2; n++) {
        add(queue, n, start);
        assert_true(send(queue, start + 1000 * (n + 1)));
    }
    add(queue, 2, start + 3000);
    add(queue, 3, start + 4000);
    assert_false(send(queue, start + HOUR));
    assert_true(send(queue, start + 1000 + HOUR));
    assert_int_equal(json_array_size(queue->waiting), 0);
}

static void test_a_failing_receiver_is_tried_less_and_less_often(void **state)
{
    struct notice_queue *queue = *state;
    int64_t now_ms = start + 1000, before;
    char id[NOTICE_ID + 1];

    add(queue, 1, start);
    memcpy(id, queue->id, sizeof(id));
    for (int tries = 0; tries < 20; tries++) {
        assert_true(notice_queue_is_due(queue, &limits, now_ms));
        notice_queue_begin(queue);
        notice_queue_fail(queue, now_ms, 0);
        before = now_ms;
        now_ms = queue->retry_ms;
        assert_false(notice_queue_is_due(queue, &limits, now_ms - 1));
        assert_int_equal(now_ms - before, tries < 9 ? 1000 << tries : 300000);
    }
    assert_string_equal(queue->id, id); // the same message
    notice_queue_begin(queue);
    notice_queue_fail(queue, now_ms, 20 * 60 * 1000); // as it asks for
    assert_int_equal(queue->retry_ms - now_ms, 20 * 60 * 1000);
    assert_true(send(queue, queue->retry_ms));
    add(queue, 2, now_ms + HOUR);
    assert_string_not_equal(queue->id, id);
}

static void test_what_waits_is_bounded_and_counted(void **state)
{
    struct notice_queue *queue = *state;

    for (int n = 0; n < NOTICE_WAITING_MAX + 30; n++)
        add(queue, n, start);
    assert_int_equal(json_array_size(queue->waiting), NOTICE_WAITING_MAX);
    assert_int_equal(queue->unshown, 30);
    assert_int_equal(first(queue), 30);
    notice_queue_begin(queue);
    for (int n = 0; n < 5; n++)
        add(queue, 1000 + n, start);
    notice_queue_fail(queue, start, 0);
    assert_int_equal(json_array_size(queue->waiting), NOTICE_WAITING_MAX + 5);
    assert_int_equal(queue->unshown, 30);
    for (int n = 5; n < NOTICE_WAITING_MAX + 7; n++)
        add(queue, 1000 + n, start);
    assert_int_equal(json_array_size(queue->waiting), 2 * NOTICE_WAITING_MAX);
    assert_int_equal(queue->unshown, 37);
    assert_int_equal(first(queue), 30); // what is sent again is the same
    assert_true(send(queue, start + 2000));
    assert_int_equal(queue->unshown, 7);
    assert_int_equal(first(queue), 1007);
    assert_true(send(queue, start + 3000));
    assert_int_equal(queue->unshown, 0);
    assert_int_equal(json_array_size(queue->waiting), 0);
}

/* Who drops what has an id that was seen must not lose what came later. */
static void test_what_is_sent_again_does_not_grow(void **state)
{
    struct notice_queue *queue = *state, again;
    char id[NOTICE_ID + 1];
    json_t *record;

    add(queue, 1, start);
    add(queue, 2, start);
    notice_queue_begin(queue);
    add(queue, 3, start);
    notice_queue_fail(queue, start + 1000, 0);
    add(queue, 4, start + 1500);
    memcpy(id, queue->id, sizeof(id));
    record = notice_queue_record(queue);
    assert_true(notice_queue_init(&again));
    notice_queue_read(&again, record);
    json_decref(record);
    for (unsigned i = 0; i < 2; i++) {
        struct notice_queue *one = i ? &again : queue;

        notice_queue_begin(one);
        assert_int_equal(one->sending, 2);
        assert_string_equal(one->id, id);
        notice_queue_succeed(one, start + 2000);
        assert_int_equal(json_array_size(one->waiting), 2);
        assert_int_equal(first(one), 3);
        assert_string_not_equal(one->id, id);
        notice_queue_begin(one);
        assert_int_equal(one->sending, 2);
        notice_queue_succeed(one, start + 3000);
        assert_string_equal(one->id, "");
    }
    notice_queue_fini(&again);
}

static void test_it_outlives_a_restart(void **state)
{
    struct notice_queue *queue = *state, again;
    json_t *record;

    for (int n = 0; n < 2; n++) {
        add(queue, n, start);
        assert_true(send(queue, start + 1000));
    }
    for (int n = 0; n < NOTICE_WAITING_MAX + 7; n++)
        add(queue, n, start + 2000);
    notice_queue_begin(queue); // on its way when control ends: it is sent again
    record = notice_queue_record(queue);
    assert_true(notice_queue_init(&again));
    notice_queue_read(&again, record);
    json_decref(record);
    assert_int_equal(json_array_size(again.waiting), NOTICE_WAITING_MAX);
    assert_int_equal(again.unshown, 7);
    assert_string_equal(again.id, queue->id);
    assert_false(notice_queue_is_due(&again, &limits, start + 60000)); // the hour counts on
    assert_true(notice_queue_is_due(&again, &limits, start + 1000 + HOUR));
    notice_queue_fini(&again);
}

static void test_what_is_no_record_is_passed_over(void **state)
{
    static const char *const wrong[] = {
        "null", "[]", "{}",
        "{\"waiting\":7,\"sent\":{},\"unshown\":-3,\"since_ms\":\"x\",\"id\":5}",
        "{\"waiting\":[1,null,\"x\",[]],\"sent\":[null,\"y\",1e9],\"id\":\"short\"}"};
    struct notice_queue *queue = *state;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        json_t *record = json_loads(wrong[i], JSON_DECODE_ANY, NULL);

        assert_non_null(record);
        notice_queue_read(queue, record);
        json_decref(record);
    }
    assert_int_equal(json_array_size(queue->waiting), 0);
    assert_int_equal(queue->unshown, 0);
    add(queue, 1, start);
    assert_true(send(queue, start + 1000));
}

static void test_records_that_claim_too_much(void **state)
{
    static const char *const odd[] = {"{\"waiting\":[{}],\"tried\":99,\"tried_unshown\":99,"
                                      "\"id\":\"0123456789abcdef0123456789abcdef\"}",
                                      "{\"waiting\":[{}],\"tried\":-1,\"tried_unshown\":-1,"
                                      "\"id\":\"0123456789abcdef0123456789abcdef\"}",
                                      "{\"waiting\":[{}],\"tried\":1,\"tried_unshown\":\"x\"}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        json_t *record = json_loads(odd[i], 0, NULL);
        struct notice_queue queue;

        assert_true(notice_queue_init(&queue));
        notice_queue_read(&queue, record);
        json_decref(record);
        notice_queue_begin(&queue);
        assert_int_equal(queue.sending, 1);
        notice_queue_succeed(&queue, start);
        assert_int_equal(queue.unshown, 0);
        notice_queue_fini(&queue);
    }
}

static void test_a_clock_that_is_set_back_holds_nothing_up(void **state)
{
    struct notice_queue *queue = *state;

    add(queue, 1, start);
    assert_true(send(queue, start + 1000));
    add(queue, 2, start);
    notice_queue_begin(queue);
    notice_queue_fail(queue, start, 0);
    assert_true(notice_queue_is_due(queue, &limits, start - 10 * HOUR));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_comes_within_the_window_is_one_message),
        TEST(test_so_many_an_hour),
        TEST(test_a_failing_receiver_is_tried_less_and_less_often),
        TEST(test_what_waits_is_bounded_and_counted),
        TEST(test_what_is_sent_again_does_not_grow),
        TEST(test_records_that_claim_too_much),
        TEST(test_it_outlives_a_restart),
        TEST(test_what_is_no_record_is_passed_over),
        TEST(test_a_clock_that_is_set_back_holds_nothing_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
