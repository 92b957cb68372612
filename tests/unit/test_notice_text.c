/* SPDX-License-Identifier: Apache-2.0
 *
 * What people are told, in which words, and how it is written for whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "control/notice_health.h"
#include "control/notice_text.h"

static const int64_t noon = INT64_C(1700000000000); /* Tue, 14 Nov 2023 22:13:20 UTC */

static const char *text_of(const json_t *notice, const char *name)
{
    return json_string_value(json_object_get(notice, name));
}

/* --- entries of the ledger */

static void check_entry(const char *entry_text, uint32_t on, const char *text, const char *next)
{
    json_t *entry = json_loads(entry_text, 0, NULL);
    uint32_t told = 0;
    json_t *notice;

    assert_non_null(entry);
    notice = notice_of_entry(entry, &told);
    if (!text) {
        assert_null(notice);
    } else {
        assert_non_null(notice);
        assert_int_equal(told, on);
        assert_string_equal(text_of(notice, "text"), text);
        assert_string_equal(text_of(notice, "next"), next);
    }
    json_decref(notice);
    json_decref(entry);
}

static void test_entries(void **state)
{
    const uint32_t deploy = 1U << CONF_NOTICE_DEPLOY, rollback = 1U << CONF_NOTICE_ROLLBACK;

    (void)state;
    check_entry("{\"action\":\"deploy.live\",\"service\":\"shop\",\"before\":{\"release\":\"1\"},"
                "\"after\":{\"release\":\"2\"}}",
                deploy,
                "shop: release 2 is live at every edge, and serves all. Release 1 stays warm.",
                "sluice rollback shop");
    check_entry("{\"action\":\"deploy.live\",\"service\":\"shop\",\"before\":null,"
                "\"after\":{\"release\":\"2\"}}",
                deploy, "shop: release 2 is live at every edge, and serves all.", "");
    check_entry("{\"action\":\"deploy.fail\",\"service\":\"shop\",\"actor\":\"control\","
                "\"before\":{\"release\":\"2\",\"share\":\"5%\"},"
                "\"after\":{\"release\":\"1\",\"why\":\"it is slow\"}}",
                deploy | rollback,
                "shop: release 2 failed: it is slow. It had 5% of the requests; 1 serves all of "
                "them.",
                "sluice history shop");
    check_entry("{\"action\":\"deploy.rollback\",\"service\":\"shop\",\"actor\":\"token:ann\","
                "\"before\":{\"release\":\"2\",\"share\":\"100%\"},"
                "\"after\":{\"release\":\"1\",\"why\":\"it was rolled back\"}}",
                rollback,
                "shop: release 2 was rolled back by token:ann. It had 100% of the requests; 1 "
                "serves all of them.",
                "sluice history shop");
    check_entry("{\"action\":\"deploy.ask\",\"service\":\"shop\",\"subject\":\"d3\","
                "\"before\":{\"release\":\"1\"},\"after\":{\"release\":\"2\",\"share\":\"25%\","
                "\"phase\":\"waiting for approval\",\"why\":\"\"}}",
                deploy,
                "shop: the deploy of release 2 waits for a person: waiting for approval. It has "
                "25% of the requests, the rest is with 1.",
                "sluice approve d3, or sluice abort d3");
    check_entry("{\"action\":\"budget.ceiling\",\"service\":\"shop\",\"after\":{\"text\":\"5 "
                "replicas cost more than a day may\",\"next\":\"sluice scale shop 4\"}}",
                1U << CONF_NOTICE_BUDGET, "shop: 5 replicas cost more than a day may",
                "sluice scale shop 4");
    check_entry("{\"action\":\"deploy.shift\",\"service\":\"shop\",\"after\":{}}", 0, NULL, NULL);
    check_entry("{\"action\":\"budget\",\"service\":\"shop\"}", 0, NULL, NULL);
    check_entry("{}", 0, NULL, NULL);
}

static void test_an_entry_that_lacks_all(void **state)
{
    static const char *const actions[] = {"deploy.live",  "deploy.fail",     "deploy.ask",
                                          "deploy.abort", "deploy.rollback", "deploy.restart",
                                          "budget.x"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        json_t *entry = json_pack("{s:s,s:n,s:[]}", "action", actions[i], "service", "after");
        uint32_t on = 0;
        json_t *notice = notice_of_entry(entry, &on);

        assert_non_null(notice);
        assert_true(on && json_is_string(json_object_get(notice, "text")));
        json_decref(notice);
        json_decref(entry);
    }
}

/* A long reason is cut, but never within a character: it can be sent and kept. */
static void test_a_long_reason(void **state)
{
    char why[NOTICE_TEXT + 1];

    (void)state;
    memset(why, '\0', sizeof(why));
    for (size_t i = 0; i + 2 < sizeof(why); i += 2)
        memcpy(why + i, "\xd0\xb6", 2);
    for (size_t shift = 0; shift < 2; shift++) {
        json_t *entry = json_pack("{s:s,s:s,s:{s:s}}", "action", "budget.x", "service",
                                  shift ? "ab" : "a", "after", "text", why);
        uint32_t on = 0;
        json_t *notice = notice_of_entry(entry, &on);
        char *text = json_dumps(notice, JSON_COMPACT);
        json_t *again = text ? json_loads(text, 0, NULL) : NULL;

        assert_non_null(again);
        assert_true(json_equal(notice, again));
        json_decref(again);
        free(text);
        json_decref(notice);
        json_decref(entry);
    }
}

/* --- health */

static json_t *status(const char *first, const char *second)
{
    return json_pack("{s:[{s:s,s:[{s:s},{s:s}]},{s:s,s:[]}]}", "services", "name", "shop",
                     "targets", "state", first, "state", second, "name", "asleep", "targets");
}

static json_t *see(json_t *known, json_t *said, int64_t now_ms)
{
    json_t *list = notice_health_see(known, "cdg1", said, now_ms);

    json_decref(said);
    return list;
}

static void test_a_service_of_which_nothing_is_up(void **state)
{
    json_t *known = json_object(), *list;

    (void)state;
    assert_null(see(known, status("unknown", "unknown"), 0));
    assert_null(see(known, status("up", "down"), 1000));
    list = see(known, status("down", "ejected"), 2000);
    assert_int_equal(json_array_size(list), 1);
    assert_string_equal(text_of(json_array_get(list, 0), "text"),
                        "shop: none of its 2 targets is up at cdg1. Nothing of it serves there.");
    assert_string_equal(text_of(json_array_get(list, 0), "kind"), "health");
    json_decref(list);
    assert_null(see(known, status("down", "down"), 3000));
    notice_health_resume(known); // control has restarted
    assert_null(see(known, status("down", "down"), 3000));
    list = see(known, status("down", "up"), 4000);
    assert_string_equal(text_of(json_array_get(list, 0), "text"),
                        "shop: 1 of its 2 targets may be used again at cdg1, and serve.");
    json_decref(list);
    json_decref(known);
}

static void test_a_silent_edge(void **state)
{
    json_t *known = json_object(), *list;

    (void)state;
    assert_null(see(known, NULL, 1000));
    assert_null(see(known, NULL, 1000 + NOTICE_SILENT_MS - 1));
    assert_null(see(known, status("up", "up"), 1000 + NOTICE_SILENT_MS));
    assert_null(see(known, NULL, 50000));
    list = see(known, NULL, 50000 + NOTICE_SILENT_MS);
    assert_non_null(strstr(text_of(json_array_get(list, 0), "text"), "cdg1 has not answered"));
    json_decref(list);
    assert_null(see(known, NULL, 90000));
    list = see(known, status("up", "up"), 100000);
    assert_string_equal(text_of(json_array_get(list, 0), "text"),
                        "Edge cdg1 answers control again.");
    json_decref(list);
    json_decref(known);
}

static void test_what_an_edge_says_wrongly_does_no_harm(void **state)
{
    static const char *const wrong[] = {"[]", "{\"services\":7}", "{\"services\":[7,null,{}]}",
                                        "{\"services\":[{\"name\":1,\"targets\":[7]}]}",
                                        "{\"services\":[{\"name\":\"x\",\"targets\":{}}]}"};
    json_t *known = json_object();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_null(see(known, json_loads(wrong[i], JSON_DECODE_ANY, NULL), 0));
    json_decref(known);
}

/* --- messages */

static json_t *many(int count)
{
    json_t *list = json_array();

    for (int i = 1; i <= count; i++)
        json_array_append_new(list, json_pack("{s:s,s:o,s:s}", "kind", "deploy", "text",
                                              json_sprintf("It is <%d> & good. Really.", i), "next",
                                              i % 2 ? "sluice status" : ""));
    return list;
}

static struct notice_message message_of(const json_t *list)
{
    return (struct notice_message){.notices = list, .unshown = 3, .id = "00112233", .now_ms = noon};
}

static void test_for_slack(void **state)
{
    json_t *list = many(2), *read;
    struct notice_message message = message_of(list);
    char *body = notice_slack(&message);

    (void)state;
    read = json_loads(body, 0, NULL);
    assert_string_equal(text_of(read, "text"),
                        "It is &lt;1&gt; &amp; good. Really.\nNext: sluice status\n\n"
                        "It is &lt;2&gt; &amp; good. Really.\n\n"
                        "And 3 more before these: sluice history\n");
    json_decref(read);
    json_decref(list);
    free(body);
}

static void test_for_a_webhook(void **state)
{
    json_t *list = many(NOTICE_SHOWN_MAX + 4), *read, *shown;
    struct notice_message message = message_of(list);
    char *body = notice_webhook(&message);

    (void)state;
    read = json_loads(body, 0, NULL);
    shown = json_object_get(read, "notices");
    assert_string_equal(text_of(read, "id"), "00112233");
    assert_int_equal(json_array_size(shown), NOTICE_SHOWN_MAX);
    assert_string_equal(text_of(json_array_get(shown, 0), "text"), "It is <5> & good. Really.");
    assert_int_equal(json_integer_value(json_object_get(read, "more")), 7);
    json_decref(read);
    json_decref(list);
    free(body);
}

static void test_signature(void **state)
{
    char *field = notice_sign(STR("key"), noon, "{\"a\":1}");

    (void)state;
    // printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac key
    assert_string_equal(field, "Sluice-Signature: t=1700000000,v1="
                               "a438e398bfafc57e4396bb7fc2304422f0f768e965d073ca313cb52e22e6ad03");
    free(field);
}

static void test_as_mail(void **state)
{
    struct conf_text to[] = {{.s = STR("a@example.com")}, {.s = STR("b@example.com")}};
    struct conf_notice_smtp smtp = {.from = {.s = STR("sluice@example.org")}, .to = {to, 2}};
    json_t *list =
        json_pack("[{s:s,s:s}]", "text", "caf\xc3\xa9: up\r\nBcc: all. It serves.", "next", "");
    struct notice_message message = message_of(list);
    char *mail = notice_mail(&message, &smtp), *body;

    (void)state;
    body = strstr(mail, "\r\n\r\n");
    assert_non_null(body);
    *body = '\0';
    assert_string_equal(mail, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                              "From: Sluice <sluice@example.org>\r\n"
                              "To: <a@example.com>,\r\n <b@example.com>\r\n"
                              "Subject: [sluice] caf??: up??Bcc: all (and 3 more)\r\n"
                              "Message-ID: <00112233@example.org>\r\n"
                              "Auto-Submitted: auto-generated\r\n"
                              "MIME-Version: 1.0\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: base64");
    for (const char *line = body + 4; *line; line = strstr(line, "\r\n") + 2)
        assert_true(strcspn(line, "\r") <= 76);
    json_decref(list);
    free(mail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_an_entry_that_lacks_all),
        cmocka_unit_test(test_a_long_reason),
        cmocka_unit_test(test_a_service_of_which_nothing_is_up),
        cmocka_unit_test(test_a_silent_edge),
        cmocka_unit_test(test_what_an_edge_says_wrongly_does_no_harm),
        cmocka_unit_test(test_for_slack),
        cmocka_unit_test(test_for_a_webhook),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_as_mail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
