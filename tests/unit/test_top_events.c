/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-sent events: taken apart however they are cut, put into words, and bounded.
 */
#include "cli/top_events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char stream[] = ":\n\n"
                             "id: 7\nevent: health\ndata: {\"service\":\"shop\",\"up\":false,"
                             "\"n\":3,\"share\":0.5,\"list\":[1],\"none\":null}\n\n"
                             "event: config\r\ndata: plain words\r\n\r\n"
                             "data: {\"a\":\"b\"}\n\n"
                             "retry: 10\n\n";

static void however_it_is_cut(void **state)
{
    (void)state;
    for (size_t step = 1; step <= sizeof(stream); step++) {
        struct top_events *events = top_events_new();

        for (size_t at = 0; at < sizeof(stream) - 1; at += step) {
            size_t left = sizeof(stream) - 1 - at;

            top_events_feed(events, (struct str){stream + at, left < step ? left : step}, 5);
        }
        assert_int_equal(top_events_kept(events), 3);
        assert_string_equal(top_events_at(events, 2)->kind, "health");
        assert_string_equal(top_events_at(events, 2)->text,
                            "service shop, up no, n 3, share 0.5, list ..., none none");
        assert_string_equal(top_events_at(events, 1)->kind, "config");
        assert_string_equal(top_events_at(events, 1)->text, "plain words");
        assert_string_equal(top_events_at(events, 0)->kind, "message");
        assert_int_equal(top_events_at(events, 0)->wall_ms, 5);
        free(events);
    }
}

static void a_break_drops_a_half(void **state)
{
    struct top_events *events = top_events_new();

    (void)state;
    top_events_feed(events, STR("event: health\ndata: {\"a\""), 1);
    top_events_break(events);
    top_events_feed(events, STR(":1}\n\nevent: x\ndata: y\n\n"), 2);
    assert_int_equal(top_events_kept(events), 1);
    assert_string_equal(top_events_at(events, 0)->kind, "x");
    free(events);
}

static void it_is_bounded(void **state)
{
    struct top_events *events = top_events_new();
    size_t len = 4 * TOP_EVENT_LINE;
    char *large = malloc(len);

    (void)state;
    memset(large, 'x', len);
    top_events_feed(events, STR("data: "), 1);
    top_events_feed(events, (struct str){large, len}, 1);
    top_events_feed(events, STR("\n\n"), 1);
    assert_int_equal(strlen(top_events_at(events, 0)->text), TOP_EVENT_TEXT - 1);
    for (unsigned i = 0; i < 3 * TOP_EVENTS; i++) {
        char text[64];
        int n = snprintf(text, sizeof(text), "event: k\ndata: {\"n\":%u}\n\n", i);

        top_events_feed(events, (struct str){text, (size_t)n}, i);
    }
    assert_int_equal(top_events_kept(events), TOP_EVENTS);
    assert_int_equal(top_events_at(events, 0)->wall_ms, 3 * TOP_EVENTS - 1);
    assert_int_equal(top_events_at(events, TOP_EVENTS - 1)->wall_ms, 2 * TOP_EVENTS);
    free(large);
    free(events);
}

static void many_members_are_cut(void **state)
{
    struct top_events *events = top_events_new();
    char text[4096] = "data: {\"a\":1";

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), ",\"key%u\":true", i);
    strcat(text, "}\n\n");
    top_events_feed(events, (struct str){text, strlen(text)}, 1);
    assert_int_equal(strlen(top_events_at(events, 0)->text), TOP_EVENT_TEXT - 1);
    free(events);
}

/* Any bytes in any pieces: what is kept is text that ends. */
static void anything_is_text(void **state)
{
    static const char *const words[] = {"event:", "data:", " ", "\n", "\r\n", "\n\n", "{\"a\":",
                                        "\xff",   "\033[", "}", "[",  "\"",   ":",    "\xe5\xba"};
    struct top_events *events = top_events_new();

    (void)state;
    srand(2);
    for (unsigned i = 0; i < 200000; i++) {
        const char *word = words[(size_t)rand() % ARRAY_LEN(words)];

        top_events_feed(events, (struct str){word, strlen(word)}, i);
    }
    assert_int_equal(top_events_kept(events), TOP_EVENTS);
    for (size_t i = 0; i < TOP_EVENTS; i++) {
        assert_true(strlen(top_events_at(events, i)->text) < TOP_EVENT_TEXT);
        assert_null(strchr(top_events_at(events, i)->text, '\033'));
    }
    free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(however_it_is_cut), cmocka_unit_test(a_break_drops_a_half),
        cmocka_unit_test(it_is_bounded),     cmocka_unit_test(many_members_are_cut),
        cmocka_unit_test(anything_is_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
