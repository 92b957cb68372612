/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies of Redis: whole, in pieces, several at once, and what is none.
 */
#include "edge/upstream/redis_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static const struct redis_reply *take(struct redis_parser *parser)
{
    const struct redis_reply *reply = NULL;

    assert_int_equal(redis_parser_next(parser, &reply), OK);
    return reply;
}

static void assert_more(struct redis_parser *parser)
{
    const struct redis_reply *reply;

    assert_int_equal(redis_parser_next(parser, &reply), E_AGAIN);
}

static void whole(void **state)
{
    struct redis_parser *parser = redis_parser_new();
    const struct redis_reply *reply;

    (void)state;
    assert_true(
        redis_parser_feed(parser, str_of("*2\r\n:7\r\n:-9\r\n+OK\r\n-ERR "
                                         "no\x1b[2J\r\n$3\r\nabc\r\n:5\r\n$-1\r\n*0\r\n*-1\r\n")));
    reply = take(parser);
    assert_int_equal(reply->answer.count, 2);
    assert_int_equal(reply->answer.values[0], 7);
    assert_int_equal(reply->answer.values[1], -9);
    assert_false(reply->is_error || reply->is_text);
    reply = take(parser);
    assert_true(reply->is_text && !reply->is_error);
    assert_string_equal(reply->text, "OK");
    assert_int_equal(reply->answer.count, 0);
    reply = take(parser);
    assert_true(reply->is_error);
    assert_string_equal(reply->text, "ERR no?[2J");
    assert_string_equal(take(parser)->text, "abc");
    reply = take(parser);
    assert_int_equal(reply->answer.count, 1);
    assert_int_equal(reply->answer.values[0], 5);
    assert_int_equal(take(parser)->answer.count, 0);
    assert_int_equal(take(parser)->answer.count, 0);
    assert_int_equal(take(parser)->answer.count, 0);
    assert_more(parser);
    redis_parser_free(&parser);
    assert_null(parser);
}

static void in_pieces(void **state)
{
    static const char text[] = "*3\r\n:100\r\n:200\r\n:300\r\n";
    struct redis_parser *parser = redis_parser_new();
    const struct redis_reply *reply;

    (void)state;
    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        assert_more(parser);
        assert_true(redis_parser_feed(parser, (struct str){text + i, 1}));
    }
    reply = take(parser);
    assert_int_equal(reply->answer.count, 3);
    assert_int_equal(reply->answer.values[2], 300);
    redis_parser_free(&parser);
}

static void long_texts_are_cut(void **state)
{
    struct redis_parser *parser = redis_parser_new();
    char text[1000];

    (void)state;
    memset(text, 'e', sizeof(text));
    assert_true(redis_parser_feed(parser, str_of("-")));
    assert_true(redis_parser_feed(parser, (struct str){text, sizeof(text)}));
    assert_true(redis_parser_feed(parser, str_of("\r\n")));
    assert_int_equal(strlen(take(parser)->text), REDIS_TEXT_MAX - 1);
    redis_parser_free(&parser);
}

static void wrong_ones(void **state)
{
    static const char *const wrong[] = {
        "hello\r\n",
        "*1000000000\r\n",
        "*65537\r\n:1\r\n",
        ":12x\r\n",
        "\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct redis_parser *parser = redis_parser_new();
        const struct redis_reply *reply;

        assert_true(redis_parser_feed(parser, str_of(wrong[i])));
        if (redis_parser_next(parser, &reply) != E_PROTOCOL)
            fail_msg("%s is taken", wrong[i]);
        redis_parser_free(&parser);
    }
}

/* Whole replies that no script gives. */
static void no_answers(void **state)
{
    static const char *const odd[] = {
        "*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
        "*2\r\n*1\r\n:1\r\n:1\r\n",
        "*2\r\n$1\r\nx\r\n:1\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n+OK\r\n",
        "+OK\r\n",
        "$-1\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct redis_parser *parser = redis_parser_new();
        const struct redis_reply *reply;

        assert_true(redis_parser_feed(parser, str_of(odd[i])));
        reply = take(parser);
        if (reply->is_answer || reply->answer.count)
            fail_msg("%s is an answer", odd[i]);
        assert_more(parser);
        redis_parser_free(&parser);
    }
}

static void nested(void **state)
{
    struct redis_parser *parser = redis_parser_new();
    const struct redis_reply *reply;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(
            redis_parser_feed(parser,
                              str_of("*2\r\n*2\r\n:1\r\n$3\r\nabc\r\n*0\r\n*1\r\n-E x\r\n")));
        reply = take(parser);
        assert_int_equal(reply->count, 5);
        assert_int_equal(reply->items[0].kind, REDIS_LIST);
        assert_int_equal(reply->items[1].count, 2);
        assert_int_equal(reply->items[2].number, 1);
        assert_true(str_same(redis_item_text(reply, &reply->items[3]), STR("abc")));
        assert_int_equal(reply->items[4].kind, REDIS_LIST);
        reply = take(parser);
        assert_int_equal(reply->items[1].kind, REDIS_ERROR);
        assert_false(reply->is_error);
    }
    redis_parser_free(&parser);
}

/* More than any map is. */
static void too_many(void **state)
{
    static const char lists[] = "*8000\r\n", one[] = "*0\r\n";
    struct redis_parser *parser = redis_parser_new();
    const struct redis_reply *reply;
    enum status status = E_AGAIN;

    (void)state;
    assert_true(redis_parser_feed(parser, str_of("*20\r\n")));
    for (unsigned i = 0; i < 20 && status == E_AGAIN; i++) {
        assert_true(redis_parser_feed(parser, str_of(lists)));
        for (unsigned k = 0; k < 8000 && status == E_AGAIN; k++) {
            assert_true(redis_parser_feed(parser, str_of(one)));
            if (k % 100 == 99)
                status = redis_parser_next(parser, &reply);
        }
    }
    assert_int_equal(status, E_PROTOCOL);
    redis_parser_free(&parser);
}

/* One that never ends takes no more memory than it may. */
static void endless(void **state)
{
    struct redis_parser *parser = redis_parser_new();
    char text[4096];
    unsigned fed = 0;

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_true(redis_parser_feed(parser, str_of("$100000000\r\n")));
    while (redis_parser_feed(parser, (struct str){text, sizeof(text)})) {
        assert_more(parser);
        assert_true(++fed < 100);
    }
    redis_parser_free(&parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(wrong_ones),
        cmocka_unit_test(no_answers),
        cmocka_unit_test(nested),
        cmocka_unit_test(too_many),
        cmocka_unit_test(endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
