/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of spans_queue.c: what waits is bounded, sent in order, and sent again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "control/spans_queue.h"

/* Names of the spans of what is sent now, in order, each followed by a space. */
static void assert_sends(struct spans_queue *queue, const char *expected)
{
    char *body = spans_queue_send(queue, "front \"door\""), names[200] = "";
    json_t *json = body ? json_loads(body, 0, NULL) : NULL, *each, *scope, *span;
    size_t i, k, n;

    assert_true(!body || json);
    json_array_foreach(json_object_get(json, "resourceSpans"), i, each)
        json_array_foreach(json_object_get(each, "scopeSpans"), k, scope)
            json_array_foreach(json_object_get(scope, "spans"), n, span)
    {
        strcat(names, json_string_value(json_object_get(span, "name")));
        strcat(names, " ");
    }
    assert_string_equal(names, expected);
    json_decref(json);
    free(body);
}

static void add(struct spans_queue *queue, const char *text, uint64_t count)
{
    spans_queue_add(queue, "edge \"1\"", (struct str){text, strlen(text)}, count);
}

static void test_in_order_and_again(void **state)
{
    struct spans_queue queue = {0};

    (void)state;
    assert_sends(&queue, "");
    add(&queue, "[{\"name\":\"a\"},{\"name\":\"b\"}]", 2);
    add(&queue, "[{\"name\":\"c\"}]", 1);
    assert_sends(&queue, "a b c ");
    add(&queue, "[{\"name\":\"d\"}]", 1);
    spans_queue_return(&queue);
    assert_sends(&queue, "a b c d ");
    add(&queue, "[{\"name\":\"e\"}]", 1);
    assert_int_equal(spans_queue_drop(&queue), 4);
    assert_int_equal(queue.waiting, 1);
    assert_sends(&queue, "e ");
    spans_queue_clear(&queue);
    assert_int_equal(queue.waiting, 0);
    assert_int_equal(queue.bytes, 0);
    assert_int_equal(queue.dropped, 0);
    assert_sends(&queue, "");
}

/* An array of one span whose name is long. */
static char *long_one(size_t len)
{
    char *text = malloc(len + 1);
    static const char begin[] = "[{\"name\":\"x\",\"more\":\"", end[] = "\"}]";

    assert_non_null(text);
    memset(text, 'y', len);
    memcpy(text, begin, sizeof(begin) - 1);
    memcpy(text + len - (sizeof(end) - 1), end, sizeof(end));
    return text;
}

static void test_no_more_than_fits(void **state)
{
    struct spans_queue queue = {0};
    char *large = long_one(SPANS_BODY_MAX * 3 / 4);
    unsigned most = SPANS_WAITING_MAX / (SPANS_BODY_MAX * 3 / 4);

    (void)state;
    for (unsigned i = 0; i < most + 5; i++)
        add(&queue, large, 1);
    assert_int_equal(queue.waiting, most);
    assert_int_equal(queue.dropped, 5);
    assert_true(queue.bytes <= SPANS_WAITING_MAX);
    assert_sends(&queue, "x "); // two are more than a request may have
    add(&queue, large, 7);      // the oldest is on its way: the new one has no room
    assert_int_equal(queue.waiting, most);
    assert_int_equal(queue.dropped, 12);
    assert_int_equal(spans_queue_drop(&queue), 1);
    add(&queue, large, 1);
    assert_int_equal(queue.waiting, most);
    spans_queue_clear(&queue);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order_and_again),
        cmocka_unit_test(test_no_more_than_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
