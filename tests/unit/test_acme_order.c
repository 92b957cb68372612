/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of acme_order.c: for each state of an order, what is next; and of acme_json.c, through
 * which all that it learns comes.
 */
#include "control/acme_order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct rig {
    struct arena arena;
    struct acme_order order;
    int64_t now;
};

static int set_up(void **state)
{
    struct rig *rig = test_calloc(1, sizeof(*rig));

    arena_init(&rig->arena, NULL, 0);
    rig->now = 1000000;
    rig->order.created_ms = rig->now;
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;

    arena_reset(&rig->arena);
    test_free(rig);
    return 0;
}

/* --- what the CA says */

static enum status say_order(struct rig *rig, const char *status, const char *more)
{
    struct str text = arena_format(&rig->arena,
                                   "{\"status\":\"%s\",\"authorizations\":[\"https://ca/z/1\","
                                   "\"https://ca/z/2\"],\"finalize\":\"https://ca/f\"%s}",
                                   status, more);
    struct acme_json_order json;
    enum status result = acme_json_read_order(&rig->arena, text, &json);

    return result ? result : acme_order_take(&rig->order, &rig->arena, &json);
}

static const struct acme_choice either = {{ACME_HTTP_01, ACME_TLS_ALPN_01}, 2};

static enum status say_authorization(struct rig *rig, uint32_t index, const char *status,
                                     const char *challenges)
{
    struct str text = arena_format(&rig->arena,
                                   "{\"status\":\"%s\",\"identifier\":{\"type\":\"dns\",\"value\":"
                                   "\"%c.test\"},\"challenges\":[%s]}",
                                   status, 'a' + (int)index, challenges);
    struct acme_json_authorization json;
    enum status result = acme_json_read_authorization(&rig->arena, text, &json);

    return result ? result : acme_order_take_authorization(&rig->order, index, &json, &either);
}

static const char both[] =
    "{\"type\":\"dns-01\",\"url\":\"https://ca/c/d\",\"token\":\"D\"},"
    "{\"type\":\"tls-alpn-01\",\"url\":\"https://ca/c/t\",\"token\":\"T-_9\"},"
    "{\"type\":\"http-01\",\"url\":\"https://ca/c/h\",\"token\":\"H\"}";

static void expect(struct rig *rig, enum acme_step step, uint32_t index)
{
    struct acme_action action = acme_order_next(&rig->order, rig->now);

    assert_int_equal(action.step, step);
    assert_int_equal(action.index, index);
}

static void expect_wait(struct rig *rig)
{
    struct acme_action action = acme_order_next(&rig->order, rig->now);

    assert_int_equal(action.step, ACME_STEP_WAIT);
    assert_true(action.wait_until_ms > rig->now);
    rig->now = action.wait_until_ms;
}

/* --- the way of an order */

static void begin(struct rig *rig)
{
    rig->order.url = STR("https://ca/o/1");
    assert_int_equal(say_order(rig, "pending", ""), OK);
}

static void the_whole_way(void **state)
{
    struct rig *rig = *state;

    expect(rig, ACME_STEP_NEW, 0);
    begin(rig);
    for (uint32_t i = 0; i < 2; i++) {
        expect(rig, ACME_STEP_AUTHORIZE, i);
        assert_int_equal(say_authorization(rig, i, "pending", both), OK);
        assert_string_equal(rig->order.authorizations[i].token.p, "H");
    }
    for (uint32_t i = 0; i < 2; i++) {
        expect(rig, ACME_STEP_PUBLISH, i);
        rig->order.authorizations[i].is_published = true;
    }
    for (uint32_t i = 0; i < 2; i++) {
        expect(rig, ACME_STEP_TELL, i);
        rig->order.authorizations[i].is_told = true;
        acme_order_pace(&rig->order, i, rig->now, 0);
    }
    for (uint32_t i = 0; i < 2; i++) {
        if (!i)
            expect_wait(rig);
        expect(rig, ACME_STEP_AUTHORIZE, i);
        assert_int_equal(say_authorization(rig, i, "valid", both), OK);
    }
    expect(rig, ACME_STEP_READ, 0);
    assert_int_equal(say_order(rig, "ready", ""), OK);
    expect(rig, ACME_STEP_FINALIZE, 0);
    rig->order.is_finalized = true;
    assert_int_equal(say_order(rig, "processing", ""), OK);
    acme_order_pace(&rig->order, UINT32_MAX, rig->now, 3000);
    expect_wait(rig);
    assert_int_equal(rig->now % 1000, 500);
    expect(rig, ACME_STEP_READ, 0);
    assert_int_equal(say_order(rig, "valid", ",\"certificate\":\"https://ca/crt\""), OK);
    expect(rig, ACME_STEP_DOWNLOAD, 0);
    rig->order.has_chain = true;
    expect(rig, ACME_STEP_DONE, 0);
}

static void authorizations_that_are_valid_already_need_nothing(void **state)
{
    struct rig *rig = *state;

    begin(rig);
    assert_int_equal(say_authorization(rig, 0, "valid", ""), OK);
    assert_int_equal(say_authorization(rig, 1, "valid", ""), OK);
    expect(rig, ACME_STEP_READ, 0);
}

static void a_restart_goes_on_from_the_url_alone(void **state)
{
    struct rig *rig = *state;

    rig->order.url = STR("https://ca/o/1");
    rig->order.is_resumed = true;
    expect(rig, ACME_STEP_READ, 0);
    assert_int_equal(say_order(rig, "ready", ""), OK);
    expect(rig, ACME_STEP_FINALIZE, 0);
}

static void one_that_failed_fails_the_order_in_its_words(void **state)
{
    static const char words[] =
        "{\"type\":\"http-01\",\"url\":\"https://ca/c/h\",\"token\":\"H\",\"error\":{\"type\":"
        "\"urn:ietf:params:acme:error:unauthorized\",\"detail\":\"got 404\"}}";
    struct rig *rig = *state;

    begin(rig);
    assert_int_equal(say_authorization(rig, 0, "pending", both), OK);
    assert_int_equal(say_authorization(rig, 1, "invalid", words), OK);
    expect(rig, ACME_STEP_FAIL, 1);
    assert_string_equal(acme_order_error(&rig->order, &rig->arena).p,
                        "b.test by http-01: unauthorized: got 404");
}

static void an_invalid_order_is_asked_why(void **state)
{
    struct rig *rig = *state;

    begin(rig);
    assert_int_equal(say_authorization(rig, 0, "valid", both), OK);
    assert_int_equal(say_authorization(rig, 1, "pending", both), OK);
    assert_int_equal(say_order(rig, "invalid",
                               ",\"error\":{\"type\":\"about:blank\",\"detail\":\"no\"}"),
                     OK);
    expect(rig, ACME_STEP_AUTHORIZE, 1);
    assert_int_equal(say_authorization(rig, 1, "pending", both), OK);
    expect(rig, ACME_STEP_FAIL, 0);
    assert_string_equal(acme_order_error(&rig->order, &rig->arena).p, "about:blank: no");
}

static void an_order_has_its_time(void **state)
{
    struct rig *rig = *state;

    begin(rig);
    rig->now += ACME_ORDER_MS + 1;
    expect(rig, ACME_STEP_FAIL, 0);
    assert_string_equal(acme_order_error(&rig->order, &rig->arena).p,
                        "the CA did not decide within 15 minutes");
    assert_int_equal(say_order(rig, "valid", ",\"certificate\":\"https://ca/crt\""), OK);
    expect(rig, ACME_STEP_DOWNLOAD, 0); // late is better than never
}

static void the_ca_cannot_swap_what_was_agreed(void **state)
{
    struct rig *rig = *state;
    struct acme_json_order other = {.status = ACME_PENDING, .authorization_count = 2};
    struct str urls[] = {STR_INIT("https://ca/z/2"), STR_INIT("https://ca/z/1")};
    struct str strange[] = {STR_INIT("https://ca/z/1"), STR_INIT("https://ca/z/9")};

    begin(rig);
    other.authorizations = urls;
    assert_int_equal(acme_order_take(&rig->order, &rig->arena, &other),
                     OK); // another order of them
    other.authorizations = strange;
    assert_int_equal(acme_order_take(&rig->order, &rig->arena, &other), E_PROTOCOL);
    other.authorization_count = 1;
    assert_int_equal(acme_order_take(&rig->order, &rig->arena, &other), E_PROTOCOL);
    assert_int_equal(say_authorization(rig, 0, "pending", both), OK);
    rig->order.authorizations[0].domain = STR("z.test");
    assert_int_equal(say_authorization(rig, 0, "valid", both), E_PROTOCOL);
}

static void a_challenge_must_be_offered(void **state)
{
    struct rig *rig = *state;

    begin(rig);
    assert_int_equal(
        say_authorization(rig, 0, "pending",
                          "{\"type\":\"dns-01\",\"url\":\"https://ca/c\",\"token\":\"D\"}"),
        E_NOT_FOUND);
    assert_int_equal(
        say_authorization(rig, 1, "pending",
                          "{\"type\":\"tls-alpn-01\",\"url\":\"https://ca/c\",\"token\":\"D\"}"),
        OK);
    assert_int_equal(rig->order.authorizations[1].challenge, ACME_TLS_ALPN_01);
}

static void polls_slow_down(void **state)
{
    struct rig *rig = *state;
    int64_t last = 0;

    for (int i = 0; i < 40; i++) {
        acme_order_pace(&rig->order, UINT32_MAX, 0, 0);
        assert_true(rig->order.poll_ms >= last && rig->order.poll_ms <= 10000);
        last = rig->order.poll_ms;
    }
    assert_int_equal(last, 10000);
    acme_order_pace(&rig->order, UINT32_MAX, 0, INT64_C(1) << 60);
    assert_int_equal(rig->order.poll_ms, ACME_ORDER_MS);
}

/* --- what is no answer of a CA */

static void odd_orders_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{",
        "{}",
        "null",
        "{\"status\":\"pending\"}",
        "{\"status\":\"odd\",\"authorizations\":[\"https://c\"],\"finalize\":\"https://c/ff\"}",
        "{\"status\":\"pending\",\"authorizations\":[],\"finalize\":\"https://ca/f\"}",
        "{\"status\":\"pending\",\"authorizations\":\"https://ca/\",\"finalize\":\"https://ca/f\"}",
        "{\"status\":\"pending\",\"authorizations\":[7],\"finalize\":\"https://ca/f\"}",
        "{\"status\":\"pending\",\"authorizations\":[\"ftp://ca/zz\"],\"finalize\":\"https://ca/"
        "f\"}",
        "{\"status\":\"pending\",\"authorizations\":[\"https://ca/z\"],\"finalize\":\"https://ca/"
        "\\u000a\"}",
        "{\"status\":\"pending\",\"authorizations\":[\"https://ca/z\"]}",
        "{\"status\":\"valid\",\"authorizations\":[\"https://ca/z\"],\"finalize\":\"https://ca/"
        "f\"}",
        "{\"status\":\"valid\",\"authorizations\":[\"https://ca/z\"],\"finalize\":\"https://ca/f\","
        "\"certificate\":\"javascript:0\"}"};
    struct rig *rig = *state;
    struct acme_json_order json;

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct str text = {texts[i], strlen(texts[i])};

        if (acme_json_read_order(&rig->arena, text, &json) != E_INVALID)
            fail_msg("taken: %s", texts[i]);
    }
    assert_int_equal(acme_json_read_order(&rig->arena, STR_NONE, &json), E_INVALID);
}

static void tokens_stay_within_their_letters(void **state)
{
    static const char *const tokens[] = {"",     "..",       "a/b",     "a b",
                                         "a%2f", "a\\u0000", "\\u00e4", "a="};
    struct rig *rig = *state;

    begin(rig);
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        struct str text =
            arena_format(&rig->arena,
                         "{\"type\":\"http-01\",\"url\":\"https://ca/c\",\"token\":\"%s\"}",
                         tokens[i]);

        if (say_authorization(rig, 0, "pending", text.p) != E_INVALID)
            fail_msg("taken: %s", tokens[i]);
    }
}

static void problems_are_one_line(void **state)
{
    struct rig *rig = *state;
    struct str text =
        STR("{\"type\":\"urn:ietf:params:acme:error:compound\",\"detail\":\"two\\nlines\","
            "\"subproblems\":[{\"type\":\"urn:ietf:params:acme:error:caa\",\"detail\":\"x\","
            "\"identifier\":{\"type\":\"dns\",\"value\":\"a.test\"}},{\"detail\":\"y\"}]}");
    struct str line = acme_json_problem(&rig->arena, text);

    assert_string_equal(line.p, "compound: two lines - a.test: caa: x; y");
    assert_true(acme_json_is_problem(text, "compound"));
    assert_false(acme_json_is_problem(text, "badNonce"));
    assert_false(acme_json_is_problem(STR("{\"type\":\"badNonce\"}"), "badNonce"));
    assert_null(acme_json_problem(&rig->arena, STR("{}")).p);
    assert_null(acme_json_problem(&rig->arena, STR("<html>")).p);
}

static void windows_are_read(void **state)
{
    static const struct {
        const char *start, *end;
        int64_t start_s; /* 0: refused */
    } cases[] = {
        {"2025-01-02T04:00:00Z", "2025-01-03T04:00:00Z", 1735790400},
        {"2025-01-02T04:00:00.123456Z", "2025-01-03T04:00:00Z", 1735790400},
        {"2025-01-02T05:30:00+01:30", "2025-01-03T04:00:00Z", 1735790400},
        {"2025-01-02T02:30:00-01:30", "2025-01-03T04:00:00Z", 1735790400},
        {"2025-01-03T04:00:00Z", "2025-01-02T04:00:00Z", 0},
        {"2025-01-02T04:00:00", "2025-01-03T04:00:00Z", 0},
        {"2025-01-02T04:00:00+99:99", "2025-01-03T04:00:00Z", 0},
        {"2025-01-02", "2025-01-03T04:00:00Z", 0},
        {"", "", 0},
    };
    struct rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct acme_window window = {7, 7};
        struct str text =
            arena_format(&rig->arena, "{\"suggestedWindow\":{\"start\":\"%s\",\"end\":\"%s\"}}",
                         cases[i].start, cases[i].end);

        assert_int_equal(acme_json_read_window(text, &window), cases[i].start_s ? OK : E_INVALID);
        assert_int_equal(window.start_ms, cases[i].start_s * 1000);
    }
}

static void directories_are_read(void **state)
{
    struct rig *rig = *state;
    struct acme_directory directory;
    struct str good =
        STR("{\"newNonce\":\"https://ca/n\",\"newAccount\":\"https://ca/a\","
            "\"newOrder\":\"https://ca/o\",\"renewalInfo\":\"https://ca/r\",\"x\":{}}");

    assert_int_equal(acme_json_read_directory(&rig->arena, good, &directory), OK);
    assert_string_equal(directory.renewal_info.p, "https://ca/r");
    assert_int_equal(acme_json_read_directory(&rig->arena, STR("{\"newNonce\":\"https://ca/n\"}"),
                                              &directory),
                     E_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_whole_way),
        TEST(authorizations_that_are_valid_already_need_nothing),
        TEST(a_restart_goes_on_from_the_url_alone),
        TEST(one_that_failed_fails_the_order_in_its_words),
        TEST(an_invalid_order_is_asked_why),
        TEST(an_order_has_its_time),
        TEST(the_ca_cannot_swap_what_was_agreed),
        TEST(a_challenge_must_be_offered),
        TEST(polls_slow_down),
        TEST(odd_orders_are_refused),
        TEST(tokens_stay_within_their_letters),
        TEST(problems_are_one_line),
        TEST(windows_are_read),
        TEST(directories_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
