/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of trace_format.c and trace_try.c: spans of records, whatever stands in them, are JSON and
 * fit into the room that was said.
 */
#include "test_access_rig.h"

#include <jansson.h>

#include "edge/metric/trace_format.h"
#include "edge/metric/trace_try.h"

/* The array of its spans, the caller's. */
static json_t *spans_of(const struct access_record *record, unsigned *count)
{
    const struct access_entry *entry;
    struct access_ring ring;
    char *text, *end;
    json_t *spans;

    assert_true(access_ring_init(&ring, NULL, 1));
    access_ring_put(&ring, record);
    entry = access_ring_first(&ring, access_ring_end(&ring));
    assert_non_null(entry);
    text = malloc(trace_format_room(entry) + 2); // ASan watches its end
    assert_non_null(text);
    text[0] = '[';
    end = trace_format_spans(entry, text + 1, count);
    assert_true((size_t)(end - text - 1) <= trace_format_room(entry));
    *end++ = ']';
    spans = json_loadb(text, (size_t)(end - text), 0, NULL);
    assert_non_null(spans);
    assert_int_equal(json_array_size(spans), *count);
    free(text);
    access_ring_fini(&ring);
    return spans;
}

static struct access_record traced(void)
{
    struct access_record record = record_of(1);

    record.trace = (struct trace_context){UINT64_C(0x0af7651916cd43dd),
                                          UINT64_C(0x8448eb211c80319c), 0x51, true};
    return record;
}

static const char *text_at(const json_t *spans, size_t i, const char *key)
{
    return json_string_value(json_object_get(json_array_get(spans, i), key));
}

static const char *attribute(const json_t *span, const char *key)
{
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(span, "attributes"), i, each)
    {
        json_t *value = json_object_get(each, "value"),
               *text = json_object_get(value, "stringValue");

        if (!strcmp(json_string_value(json_object_get(each, "key")), key))
            return json_string_value(text ? text : json_object_get(value, "intValue"));
    }
    return NULL;
}

static void test_steps_and_tries(void **state)
{
    struct access_record record = traced();
    char tries[2 * TRACE_TRY_MAX], *end;
    unsigned count;
    json_t *spans;

    (void)state;
    record.phase_us[ACCESS_HEAD] = 10;
    record.phase_us[ACCESS_ASK] = 20;
    record.phase_us[ACCESS_QUEUE] = 200; // 70 before the first try
    end = trace_try_put(tries, &(struct trace_try){.span = 0x61,
                                                   .begun_us = 100,
                                                   .sent_us = 150,
                                                   .ended_us = 300,
                                                   .target = STR("a"),
                                                   .outcome = STR("connection_terminated")});
    end = trace_try_put(end, &(struct trace_try){.span = 0x62,
                                                 .begun_us = 430,
                                                 .sent_us = 440,
                                                 .answered_us = 1000,
                                                 .ended_us = 1234,
                                                 .status = 200,
                                                 .target = STR("b")});
    record.trace_tries = (struct str){tries, (size_t)(end - tries)};
    spans = spans_of(&record, &count);
    assert_int_equal(count, 4 + 1 + 2 + 1 + 3);
    assert_string_equal(text_at(spans, 0, "traceId"), "0af7651916cd43dd8448eb211c80319c");
    assert_string_equal(text_at(spans, 0, "spanId"), "0000000000000051");
    assert_null(text_at(spans, 0, "parentSpanId"));
    assert_string_equal(text_at(spans, 0, "startTimeUnixNano"), "1795379388123000000");
    assert_string_equal(text_at(spans, 0, "endTimeUnixNano"), "1795379388124234000");
    assert_string_equal(text_at(spans, 3, "name"), "queue");
    assert_string_equal(text_at(spans, 3, "endTimeUnixNano"), "1795379388123100000");
    assert_string_equal(text_at(spans, 4, "spanId"), "0000000000000061");
    assert_string_equal(attribute(json_array_get(spans, 4), "error.type"), "connection_terminated");
    assert_string_equal(text_at(spans, 7, "spanId"), "0000000000000062");
    assert_string_equal(attribute(json_array_get(spans, 7), "http.request.resend_count"), "1");
    assert_string_equal(text_at(spans, 10, "name"), "relay");
    json_decref(spans);
}

static void test_nothing_is_there(void **state)
{
    struct access_record record = {.trace = {.low = 1, .span = 1}, .total_us = 0};
    unsigned count;
    json_t *spans = spans_of(&record, &count);

    (void)state;
    assert_int_equal(count, 1);
    assert_string_equal(text_at(spans, 0, "name"), "HTTP");
    json_decref(spans);
}

/* Quotes, control characters, what is no UTF-8; each text as long as it may be. */
static void test_whatever_it_says(void **state)
{
    static char nasty[ACCESS_TEXT_MAX], tries[ACCESS_TEXT_MAX];
    const struct str text = {nasty, sizeof(nasty)};
    struct access_record record = traced();
    char *end = tries;
    unsigned count;

    (void)state;
    for (size_t i = 0; i < sizeof(nasty); i++)
        nasty[i] = (char)(i % 2 ? '\x01' : '\xff');
    while (end + TRACE_TRY_MAX <= tries + sizeof(tries))
        end = trace_try_put(end, &(struct trace_try){.span = 1,
                                                     .ended_us = UINT32_MAX,
                                                     .sent_us = 1,
                                                     .answered_us = 2,
                                                     .status = 599,
                                                     .target = text,
                                                     .outcome = text});
    record.request_id = record.client = record.method = record.host = record.path = text;
    record.route = record.service = record.release = record.target = text;
    record.user_agent = record.referer = record.query = record.trace_state = text;
    record.trace_tries = (struct str){tries, (size_t)(end - tries)};
    record.total_us = UINT64_MAX / 2000000;
    record.reason = REASON_COUNT - 1;
    json_decref(spans_of(&record, &count));
    for (size_t len = 0; len < record.trace_tries.len; len += 7) { // one that is cut is no try
        struct access_record cut = traced();

        cut.trace_tries = (struct str){tries, len};
        json_decref(spans_of(&cut, &count));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_and_tries),
        cmocka_unit_test(test_nothing_is_there),
        cmocka_unit_test(test_whatever_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
