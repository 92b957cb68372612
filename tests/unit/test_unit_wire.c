/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of unit_wire.c and unit_link.c: what the supervisor and control believe of each other.
 */
#include "process/unit_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct unit_ask good_ask(uint32_t call)
{
    return (struct unit_ask){.magic = UNIT_MAGIC,
                             .call = call,
                             .number = 1,
                             .id = "u1",
                             .release = "r-1.2_x",
                             .service = "a service"};
}

static void put(struct unit_ask *ask, const char *words, size_t len)
{
    memcpy(ask->env, words, len);
    ask->env_len = (uint32_t)len;
}

static void test_ids(void **state)
{
    static const char *const good[] = {"a", "Z9", "_x", "0.1-rc_2"};
    static const char *const bad[] = {"",    ".",   "..",   ".a",  "-a", "a/b",
                                      "a b", "a\n", "\xc3", "a%b", "*"};
    char text[UNIT_ID_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(unit_is_id(good[i], UNIT_ID_SIZE));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(unit_is_id(bad[i], UNIT_ID_SIZE));
    memset(text, 'a', sizeof text);
    assert_false(unit_is_id(text, sizeof text)); // has no end
    text[sizeof text - 1] = '\0';
    assert_true(unit_is_id(text, sizeof text));
}

static void test_names(void **state)
{
    (void)state;
    assert_true(unit_is_name("a b/c", 16));
    assert_false(unit_is_name("", 16));
    assert_false(unit_is_name("a\nb", 16));
    assert_false(unit_is_name("a\x7f", 16));
    assert_false(unit_is_name("abcd", 4));
}

static void test_asks(void **state)
{
    struct unit_ask ask = good_ask(UNIT_START);
    (void)state;
    assert_true(unit_is_ask(&ask));
    for (uint32_t call = 0; call < 8; call++) {
        ask = good_ask(call);
        assert_int_equal(unit_is_ask(&ask), call >= UNIT_START && call < UNIT_CALLS);
        ask.magic++;
        assert_false(unit_is_ask(&ask));
        ask = good_ask(call);
        ask.number = 0; // that of news
        assert_false(unit_is_ask(&ask));
        ask = good_ask(call);
        strcpy(ask.id, "../x");
        assert_int_equal(unit_is_ask(&ask), call == UNIT_LIST);
        ask = good_ask(call);
        ask.grace_ms = UNIT_GRACE_MAX_MS + 1;
        assert_false(unit_is_ask(&ask));
    }
    ask = good_ask(UNIT_START);
    strcpy(ask.release, "a/b");
    assert_false(unit_is_ask(&ask));
    ask = good_ask(UNIT_START);
    memset(ask.service, 'x', sizeof ask.service);
    assert_false(unit_is_ask(&ask));
}

/* No word of a deploy may change what a program loads. */
static void test_words(void **state)
{
    static const struct {
        const char *words;
        size_t len;
        bool is_good;
    } cases[] = {
        {"", 0, true},
        {"SLUICE_DEPLOY_A=1", 18, true},
        {"SLUICE_DEPLOY_A=\0SLUICE_DEPLOY_B=x=y", 37, true},
        {"SLUICE_DEPLOY_A=1", 17, false}, // has no end
        {"SLUICE_DEPLOY_A", 16, false},
        {"SLUICE_DEPLOY_=1", 17, false},
        {"SLUICE_DEPLOY_A B=1", 20, false},
        {"SLUICE_UNIT=1", 14, false},
        {"LD_PRELOAD=/x", 14, false},
        {"SLUICE_DEPLOY_A=1\0PATH=/x", 26, false},
        {"", 1, false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct unit_ask ask = good_ask(UNIT_START);
        put(&ask, cases[i].words, cases[i].len);
        assert_int_equal(unit_is_ask(&ask), cases[i].is_good);
    }
    struct unit_ask ask = good_ask(UNIT_START);
    ask.env_len = UNIT_ENV_SIZE + 1;
    assert_false(unit_is_ask(&ask));
    ask.env_len = 0;
    for (int i = 0; i <= UNIT_ENV_MAX; i++)
        ask.env_len += (uint32_t)sprintf(ask.env + ask.env_len, "SLUICE_DEPLOY_X%d=", i) + 1;
    assert_false(unit_is_ask(&ask));
}

static struct unit_message *good_news(void)
{
    struct unit_message *message = calloc(1, sizeof *message);
    message->head = (struct unit_head){.magic = UNIT_MAGIC, .count = 1};
    message->views[0] = (struct unit_view){
        .id = "u1", .release = "r1", .service = "s", .state = UNIT_RUNNING, .port = 20000};
    return message;
}

static void test_messages(void **state)
{
    struct unit_message *message = good_news();
    size_t size = sizeof message->head + sizeof message->views[0];
    (void)state;
    assert_true(unit_is_message(message, size));
    assert_false(unit_is_message(message, size - 1));
    assert_false(unit_is_message(message, 0));
    message->head.number = 1;
    message->head.count = UNIT_VIEWS_MAX + 1;
    assert_false(unit_is_message(message, unit_message_size(&message->head)));
    message->head.count = UINT32_MAX;
    assert_false(unit_is_message(message, unit_message_size(&message->head)));
    message->head.count = 0;
    message->head.len = UNIT_LOG_SIZE;
    assert_true(unit_is_message(message, unit_message_size(&message->head)));
    message->head.len++;
    assert_false(unit_is_message(message, unit_message_size(&message->head)));
    message->head.len = 0;
    message->head.status = 1;
    assert_false(unit_is_message(message, sizeof message->head));
    message->head.status = 0;
    memset(message->head.error, 'x', sizeof message->head.error);
    assert_false(unit_is_message(message, sizeof message->head));
    free(message);
}

static void test_views(void **state)
{
    size_t size = sizeof(struct unit_head) + sizeof(struct unit_view);
    (void)state;
    for (int fault = 0; fault < 8; fault++) {
        struct unit_message *message = good_news();
        struct unit_view *view = &message->views[0];
        switch (fault) {
        case 0:
            view->state = UNIT_NONE;
            break;
        case 1:
            view->state = UNIT_STATES;
            break;
        case 2:
            view->port = 65536;
            break;
        case 3:
            view->tail_len = UNIT_TAIL_SIZE + 1;
            break;
        case 4:
            memset(view->reason, 'x', sizeof view->reason);
            break;
        case 5:
            strcpy(view->id, "a b");
            break;
        case 6:
            view->fault = 1;
            break;
        default:
            message->head.count = 0;
            size = sizeof message->head;
            break;
        }
        assert_false(unit_is_message(message, size));
        free(message);
    }
}

static void test_link(void **state)
{
    struct unit_message *message = good_news(), *got = calloc(1, sizeof *got);
    struct unit_ask ask = good_ask(UNIT_LIST), seen;
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    assert_int_equal(unit_link_read(ends[0], got), E_AGAIN);
    assert_int_equal(send(ends[1], message, unit_message_size(&message->head), 0),
                     unit_message_size(&message->head));
    assert_int_equal(unit_link_read(ends[0], got), OK);
    assert_string_equal(got->views[0].id, "u1");
    assert_int_equal(send(ends[1], message, 100, 0), 100);
    assert_int_equal(unit_link_read(ends[0], got), E_PROTOCOL);
    assert_int_equal(unit_link_ask(ends[0], &ask), OK);
    assert_int_equal(recv(ends[1], &seen, sizeof seen, 0), sizeof seen);
    ask.magic = 0;
    assert_int_equal(unit_link_ask(ends[0], &ask), E_INVALID);
    ask.magic = UNIT_MAGIC;
    while (unit_link_ask(ends[0], &ask) == OK)
        continue;
    assert_int_equal(unit_link_ask(ends[0], &ask), E_AGAIN);
    close(ends[1]);
    assert_int_equal(unit_link_ask(ends[0], &ask), E_CLOSED);
    assert_int_equal(unit_link_read(ends[0], got), E_CLOSED);
    close(ends[0]);
    free(message);
    free(got);
}

static void test_inherit(void **state)
{
    char text[16];
    int ends[2], pipe_ends[2];
    (void)state;
    unsetenv("SLUICE_UNITS");
    assert_int_equal(unit_link_inherit(), -1);
    assert_int_equal(pipe(pipe_ends), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    static const char *const bad[] = {"", "x", "99999", "-1", "3x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        setenv("SLUICE_UNITS", bad[i], 1);
        assert_int_equal(unit_link_inherit(), -1);
        assert_null(getenv("SLUICE_UNITS"));
    }
    snprintf(text, sizeof text, "%d", pipe_ends[0]);
    setenv("SLUICE_UNITS", text, 1);
    assert_int_equal(unit_link_inherit(), -1);
    snprintf(text, sizeof text, "%d", ends[0]);
    setenv("SLUICE_UNITS", text, 1);
    assert_int_equal(unit_link_inherit(), ends[0]);
    for (int i = 0; i < 2; i++) {
        close(ends[i]);
        close(pipe_ends[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),   cmocka_unit_test(test_names),    cmocka_unit_test(test_asks),
        cmocka_unit_test(test_words), cmocka_unit_test(test_messages), cmocka_unit_test(test_views),
        cmocka_unit_test(test_link),  cmocka_unit_test(test_inherit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
