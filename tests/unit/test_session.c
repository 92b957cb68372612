/* SPDX-License-Identifier: Apache-2.0
 *
 * Proofs of tokens for browsers, and the count of wrong tokens.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "rest/guesses.h"
#include "rest/session.h"

enum { NOW_S = 1700000000 };

static struct conf_token tokens[] = {
    {.name.s = STR_INIT("viewer"), .token.s = STR_INIT("read-me"), .can = 1U << CONF_CAN_READ},
    {.name.s = STR_INIT("op"), .token.s = STR_INIT("operate"), .can = 1U << CONF_CAN_OPERATE},
    {.name.s = STR_INIT("none"), .token.s = STR_INIT(""), .can = 1U << CONF_CAN_DEPLOY},
};
static const struct conf_admin conf = {.tokens = tokens, .token_count = ARRAY_LEN(tokens)};

static struct session look(const char text[SESSION_TEXT], uint64_t now_s)
{
    return session_read(&conf, (struct str){text, SESSION_TEXT}, now_s);
}

static void test_a_proof_is_worth_its_token(void **state)
{
    char text[SESSION_TEXT];
    struct session session;

    (void)state;
    assert_true(session_make(tokens[1].token.s, NOW_S, text));
    session = look(text, NOW_S);
    assert_int_equal(session.can, 1U << CONF_CAN_OPERATE | 1U << CONF_CAN_READ);
    assert_true(str_same(session.name, STR("op")));
    assert_int_equal(session.until_s, NOW_S + SESSION_LIFE_S);
    assert_true(session_make(STR("other"), NOW_S, text));
    assert_int_equal(look(text, NOW_S).can, 0);
    assert_true(session_make(STR(""), NOW_S, text));
    assert_int_equal(look(text, NOW_S).can, 0);
    assert_int_equal(
        session_read(&(struct conf_admin){0}, (struct str){text, SESSION_TEXT}, NOW_S).can, 0);
}

static void test_it_ends(void **state)
{
    char text[SESSION_TEXT];

    (void)state;
    assert_true(session_make(tokens[0].token.s, NOW_S, text));
    assert_int_not_equal(look(text, NOW_S + SESSION_LIFE_S - 1).can, 0);
    assert_int_equal(look(text, NOW_S + SESSION_LIFE_S).can, 0);
    assert_int_equal(look(text, NOW_S - 1).can, 0); // from the future: no clock of ours made it
}

static void test_no_byte_of_it_may_be_another(void **state)
{
    char text[SESSION_TEXT], wrong[SESSION_TEXT];

    (void)state;
    assert_true(session_make(tokens[0].token.s, NOW_S, text));
    for (unsigned i = 0; i < SESSION_TEXT; i++) {
        for (unsigned c = 0; c < 256; c++) {
            memcpy(wrong, text, sizeof(text));
            wrong[i] = (char)c;
            assert_int_equal(look(wrong, NOW_S).can != 0, wrong[i] == text[i]);
        }
    }
    for (size_t len = 0; len < SESSION_TEXT; len++)
        assert_int_equal(session_read(&conf, (struct str){text, len}, NOW_S).can, 0);
    assert_int_equal(session_read(&conf, STR_NONE, NOW_S).can, 0);
}

static void test_some_were_ended(void **state)
{
    struct session_ended ended = {.next = 0};

    (void)state;
    assert_false(session_has_ended(&ended, 0));
    assert_false(session_has_ended(&ended, 1));
    for (uint64_t id = 1; id <= SESSION_ENDED; id++)
        session_end(&ended, id);
    for (uint64_t id = 1; id <= SESSION_ENDED; id++)
        assert_true(session_has_ended(&ended, id));
    session_end(&ended, 1000);
    assert_true(session_has_ended(&ended, 1000) && session_has_ended(&ended, 2));
    assert_false(session_has_ended(&ended, 1)); // the oldest
}

/* --- guesses */

static void test_guesses_cost_more_and_more(void **state)
{
    static const uint64_t spans_ms[] = {1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    struct guesses guesses = {0};
    uint64_t now_ms = 5;

    (void)state;
    for (unsigned i = 1; i < GUESSES_FREE; i++) {
        guesses_add(&guesses, 7, now_ms);
        assert_int_equal(guesses_wait_ms(&guesses, 7, now_ms), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(spans_ms); i++) {
        guesses_add(&guesses, 7, now_ms);
        assert_int_equal(guesses_wait_ms(&guesses, 7, now_ms), spans_ms[i]);
        assert_int_equal(guesses_wait_ms(&guesses, 8, now_ms), 0);
        assert_int_equal(guesses_wait_ms(&guesses, 7, now_ms + spans_ms[i] - 1), 1);
        now_ms += spans_ms[i];
        assert_int_equal(guesses_wait_ms(&guesses, 7, now_ms), 0);
    }
    guesses_forget(&guesses, 7);
    guesses_add(&guesses, 7, now_ms);
    assert_int_equal(guesses_wait_ms(&guesses, 7, now_ms), 0);
}

static void test_guesses_are_forgotten(void **state)
{
    struct guesses guesses = {0};

    (void)state;
    for (unsigned i = 0; i < GUESSES_FREE + 3; i++)
        guesses_add(&guesses, 7, 0);
    assert_int_not_equal(guesses_wait_ms(&guesses, 7, 0), 0);
    guesses_add(&guesses, 7, 15 * 60 * 1000);
    assert_int_equal(guesses_wait_ms(&guesses, 7, 15 * 60 * 1000), 0);
}

static void test_guesses_are_bounded(void **state)
{
    struct guesses guesses = {0};

    (void)state;
    for (uint64_t who = 1; who <= GUESSES_MAX + 1; who++)
        for (unsigned i = 0; i < GUESSES_FREE; i++)
            guesses_add(&guesses, who, 100 + who);
    assert_int_equal(guesses_wait_ms(&guesses, 1, 101 + GUESSES_MAX), 0); // the first went
    for (uint64_t who = 2; who <= GUESSES_MAX + 1; who++)
        assert_int_not_equal(guesses_wait_ms(&guesses, who, 101 + GUESSES_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_proof_is_worth_its_token),
        cmocka_unit_test(test_it_ends),
        cmocka_unit_test(test_no_byte_of_it_may_be_another),
        cmocka_unit_test(test_some_were_ended),
        cmocka_unit_test(test_guesses_cost_more_and_more),
        cmocka_unit_test(test_guesses_are_forgotten),
        cmocka_unit_test(test_guesses_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
