/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person sees in a frame of any size, and what keys make of it.
 */
#include <locale.h>

#include "test_top_rig.h"

struct rig {
    struct top_look look;
    struct top_events *events;
    struct top_state state;
    struct top_scene scene;
};

static void begin(struct rig *rig)
{
    top_answer(&rig->look, top_status,
               "{'instance': 1, 'routes': [{'name': 'a\\u001b[31m', 'requests': 1},"
               " {'name': 'b', 'requests': 2}]}",
               0);
    top_look_build(&rig->look, NULL);
    rig->events = top_events_new();
    top_events_feed(rig->events, STR("event: health\ndata: {\"target\":\"a\"}\n\n"), 1);
    top_view_init(&rig->state);
    rig->scene = (struct top_scene){.look = &rig->look,
                                    .events = rig->events,
                                    .place = "unix:state/admin.sock",
                                    .interval_s = 2};
}

static void end(struct rig *rig)
{
    top_look_fini(&rig->look);
    free(rig->events);
}

/* What is seen in so many columns and rows; the caller's to free. */
static char *see(struct rig *rig, unsigned width, unsigned height)
{
    struct top_frame frame;
    char *text;

    assert_int_equal(top_frame_init(&frame, width, height, true), OK);
    top_view_draw(&frame, &rig->state, &rig->scene);
    text = top_text(&frame);
    top_frame_fini(&frame);
    return text;
}

static void sees(struct rig *rig, const char *wanted)
{
    char *text = see(rig, 120, 24);

    if (!strstr(text, wanted))
        fail_msg("no \"%s\" in:\n%s", wanted, text);
    free(text);
}

static void sees_not(struct rig *rig, const char *wanted)
{
    char *text = see(rig, 120, 24);

    if (strstr(text, wanted))
        fail_msg("\"%s\" in:\n%s", wanted, text);
    free(text);
}

static bool press(struct rig *rig, const char *keys)
{
    struct str left = {keys, strlen(keys)};
    bool goes_on = true;

    while (left.len) {
        struct top_press one;
        size_t n = top_keys_next(left, true, &one);

        goes_on = top_view_press(&rig->state, &one);
        left = (struct str){left.p + n, left.len - n};
    }
    return goes_on;
}

static void views_are_seen(void **state)
{
    struct rig rig;

    (void)state;
    begin(&rig);
    sees(&rig, "sluice 1.2.3  up 2h  unix:state/admin.sock  every 2s");
    sees(&rig, "generation 57  all is well");
    sees(&rig, "ROUTE");
    sees(&rig, "a?[31m");
    press(&rig, "2");
    sees(&rig, "SERVICE");
    sees(&rig, "90.0%");
    press(&rig, "\t");
    sees(&rig, "TARGET");
    sees(&rig, "its check passed");
    press(&rig, "4");
    sees(&rig, "control says nothing of deploys");
    press(&rig, "5");
    sees(&rig, "health       target a");
    press(&rig, "6");
    sees(&rig, "all is well");
    press(&rig, "\t");
    sees(&rig, "ROUTE");
    press(&rig, "\033[Z");
    assert_int_equal(rig.state.view, TOP_VIEW_PROBLEMS);
    end(&rig);
}

static void a_filter_is_typed(void **state)
{
    struct rig rig;

    (void)state;
    begin(&rig);
    press(&rig, "3/q9\x7f");
    assert_true(rig.state.is_typing);
    assert_string_equal(rig.state.filter, "q");
    sees(&rig, "/q_");
    sees(&rig, "0-0 of 0");
    press(&rig, "\x15v2\r");
    sees(&rig, "1-1 of 1 by state with \"v2\"");
    press(&rig, "\033");
    assert_string_equal(rig.state.filter, "");
    press(&rig, "/ü");
    assert_string_equal(rig.state.filter, "ü");
    press(&rig, "\x7f\x7f");
    assert_string_equal(rig.state.filter, "");
    for (unsigned i = 0; i < 3 * TOP_FILTER; i++)
        press(&rig, "x");
    assert_int_equal(strlen(rig.state.filter), TOP_FILTER - 1);
    press(&rig, "\033");
    assert_false(rig.state.is_typing);
    end(&rig);
}

static void order_is_chosen(void **state)
{
    struct rig rig;

    (void)state;
    begin(&rig);
    sees(&rig, "by rate");
    press(&rig, "n");
    sees(&rig, "by name");
    press(&rig, "n");
    sees(&rig, "by name, turned");
    press(&rig, "r");
    sees_not(&rig, "turned");
    press(&rig, "\033[C");
    sees(&rig, "by rate");
    press(&rig, "\033[D\033[D");
    sees(&rig, "by bytes_out");
    press(&rig, "s"); // a route has no state
    sees(&rig, "by bytes_out");
    press(&rig, "5n\033[C");
    assert_int_equal(rig.state.view, TOP_VIEW_EVENTS);
    end(&rig);
}

static void it_moves_within_what_there_is(void **state)
{
    struct rig rig;
    char *text;

    (void)state;
    begin(&rig);
    press(&rig, "3G");
    text = see(&rig, 80, 10); // five rows of which one is the head, and three targets
    assert_non_null(strstr(text, "1-3 of 3"));
    free(text);
    press(&rig, "\033[B\033[B\033[B");
    text = see(&rig, 80, 7);
    assert_int_equal(rig.state.first[TOP_VIEW_TARGETS], 0);
    free(text);
    press(&rig, "G");
    text = see(&rig, 80, 5);
    assert_int_equal(rig.state.first[TOP_VIEW_TARGETS], 1);
    free(text);
    press(&rig, "k");
    assert_int_equal(rig.state.first[TOP_VIEW_TARGETS], 0);
    press(&rig, "\033[5~\033[6~g\033[A");
    assert_int_equal(rig.state.first[TOP_VIEW_TARGETS], 0);
    end(&rig);
}

static void it_ends_and_pauses(void **state)
{
    struct rig rig;

    (void)state;
    begin(&rig);
    assert_true(press(&rig, "p"));
    sees(&rig, "PAUSED");
    assert_true(press(&rig, " "));
    sees_not(&rig, "PAUSED");
    assert_true(press(&rig, "?"));
    sees(&rig, "Ctrl-L");
    assert_true(press(&rig, "\033"));
    sees_not(&rig, "Ctrl-L");
    assert_false(press(&rig, "q"));
    assert_false(press(&rig, "\x03"));
    assert_false(press(&rig, "/\x03")); // while a filter is typed, too
    end(&rig);
}

static void it_says_when_the_gateway_is_away(void **state)
{
    struct rig rig;

    (void)state;
    begin(&rig);
    rig.scene.away = "Connection refused";
    rig.scene.age_ms = 12500;
    sees(&rig, "AWAY: what is seen is 12s old; Connection refused");
    sees(&rig, "a?[31m");
    rig.scene.look = NULL;
    rig.scene.away = NULL;
    sees(&rig, "asking unix:state/admin.sock");
    end(&rig);
}

/* Nothing is written outside, in any view and size, and what is wrong is seen in a single line. */
static void any_size(void **state)
{
    static const unsigned sizes[] = {0, 1, 2, 3, 5, 7, 9, 10, 20, 40, 79, 80, 200};
    struct rig rig;

    (void)state;
    begin(&rig);
    for (unsigned view = 0; view < TOP_VIEWS; view++)
        for (size_t w = 0; w < ARRAY_LEN(sizes); w++)
            for (size_t h = 0; h < ARRAY_LEN(sizes); h++) {
                rig.state.view = (enum top_view)view;
                rig.state.has_help = (w + h) % 5 == 0;
                rig.state.is_typing = (w + h) % 3 == 0;
                free(see(&rig, sizes[w], sizes[h]));
            }
    rig.state.is_typing = false;
    rig.scene.away = "gone";
    for (unsigned height = 1; height < 12; height++) {
        char *text = see(&rig, 80, height);

        assert_non_null(strstr(text, "AWAY"));
        free(text);
    }
    end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_are_seen),     cmocka_unit_test(a_filter_is_typed),
        cmocka_unit_test(order_is_chosen),    cmocka_unit_test(it_moves_within_what_there_is),
        cmocka_unit_test(it_ends_and_pauses), cmocka_unit_test(it_says_when_the_gateway_is_away),
        cmocka_unit_test(any_size),
    };

    setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
