/* SPDX-License-Identifier: Apache-2.0
 *
 * Slots of keys by the vectors of the specification of Redis Cluster, and what nodes and sentinels
 * say, right and wrong.
 */
#include "edge/upstream/redis_slots.h"

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

static void slots_of_keys(void **state)
{
    /* 0x31C3 of "123456789" is the specification's; the others are what a server says. */
    static const struct {
        const char *key;
        unsigned slot;
    } samples[] = {
        {"123456789", 0x31c3},   {"", 0},
        {"foo", 12182},          {"bar", 5061},
        {"hello", 866},          {"somekey", 11058},
        {"foo{hash_tag}", 2515}, {"bar{hash_tag}", 2515},
        {"hash_tag", 2515},      {"{user1000}.following", 3443},
        {"user1000", 3443},      {"foo{}{bar}", 8363},
        {"foo{{bar}}zap", 4015}, {"{bar", 4015},
        {"foo{bar}{zap}", 5061}, {"foo{bar", 15278},
        {"foo}bar{", 11073},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        if (redis_slot(str_of(samples[i].key)) != samples[i].slot)
            fail_msg("%s: %u", samples[i].key, redis_slot(str_of(samples[i].key)));
}

struct taken {
    struct redis_range ranges[4];
    unsigned count;
};

static void take(void *owner, const struct redis_range *range)
{
    struct taken *taken = owner;

    if (taken->count < ARRAY_LEN(taken->ranges))
        taken->ranges[taken->count] = *range;
    taken->count++;
}

static const struct redis_reply *read_reply(struct redis_parser *parser, const char *text)
{
    const struct redis_reply *reply;

    assert_true(redis_parser_feed(parser, str_of(text)));
    assert_int_equal(redis_parser_next(parser, &reply), OK);
    return reply;
}

#define NODE "*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$2\r\nid\r\n"

static void maps(void **state)
{
    struct redis_parser *parser = redis_parser_new();
    struct taken taken = {.count = 0};

    (void)state;
    assert_int_equal(
        redis_slots_read(
            read_reply(parser,
                       "*4\r\n"
                       "*4\r\n:0\r\n:5460\r\n" NODE "*3\r\n$9\r\n127.0.0.1\r\n:7003\r\n$2\r\nid\r\n"
                       "*3\r\n:5461\r\n:10922\r\n*4\r\n$3\r\n::1\r\n:7001\r\n$2\r\nid\r\n"
                       "*2\r\n$8\r\nhostname\r\n$1\r\nh\r\n"
                       "*3\r\n:10923\r\n:10923\r\n*3\r\n$-1\r\n:7002\r\n$2\r\nid\r\n"
                       "*3\r\n:10924\r\n:16383\r\n*3\r\n$1\r\n?\r\n:7002\r\n$2\r\nid\r\n"),
            take, &taken),
        OK);
    assert_int_equal(taken.count, 3); // one is not known where
    assert_int_equal(taken.ranges[0].last, 5460);
    assert_string_equal(taken.ranges[0].master.host, "127.0.0.1");
    assert_int_equal(taken.ranges[0].master.port, 7000);
    assert_string_equal(taken.ranges[1].master.host, "::1");
    assert_string_equal(taken.ranges[2].master.host, "");
    assert_int_equal(taken.ranges[2].first, 10923);
    assert_int_equal(redis_slots_read(read_reply(parser, "*0\r\n"), take, &taken), OK);
    redis_parser_free(&parser);
}

static void no_maps(void **state)
{
    static const char *const wrong[] = {
        "+OK\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*0\r\n",
        "*1\r\n*2\r\n:0\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:1\r\n:2\r\n",
        "*1\r\n*3\r\n:0\r\n:16384\r\n" NODE,
        "*1\r\n*3\r\n:-1\r\n:1\r\n" NODE,
        "*1\r\n*3\r\n:5\r\n:4\r\n" NODE,
        "*1\r\n*3\r\n$1\r\n0\r\n:4\r\n" NODE,
        "*1\r\n*3\r\n:0\r\n:4\r\n*1\r\n$1\r\nh\r\n",
        "*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n:1\r\n:7000\r\n",
        "*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$1\r\nh\r\n:65536\r\n",
        "*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$1\r\nh\r\n$4\r\n7000\r\n",
        "*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n$3\r\nh\nh\r\n:7000\r\n",
        "*1\r\n*3\r\n:0\r\n:4\r\n*2\r\n-ERR\r\n:7000\r\n",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct redis_parser *parser = redis_parser_new();
        struct taken taken = {.count = 0};

        if (redis_slots_read(read_reply(parser, wrong[i]), take, &taken) != E_PROTOCOL ||
            taken.count)
            fail_msg("%zu: %s is taken", i, wrong[i]);
        redis_parser_free(&parser);
    }
}

static void hints(void **state)
{
    static const struct {
        const char *text, *host;
        enum status status;
        enum redis_hint hint;
        unsigned slot, port;
    } samples[] = {
        {"MOVED 3999 127.0.0.1:6381", "127.0.0.1", OK, REDIS_MOVED, 3999, 6381},
        {"ASK 0 h.example.com:1", "h.example.com", OK, REDIS_ASK, 0, 1},
        {"MOVED 16383 ::1:6381", "::1", OK, REDIS_MOVED, 16383, 6381},
        {"MOVED 1 :6381", "", OK, REDIS_MOVED, 1, 6381},
        {"CLUSTERDOWN Hash slot not served", NULL, OK, REDIS_STAYS, 0, 0},
        {"MOVEDX 1 h:1", NULL, OK, REDIS_STAYS, 0, 0},
        {"", NULL, OK, REDIS_STAYS, 0, 0},
        {"MOVED", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 1", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 16384 h:1", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED -1 h:1", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED x h:1", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 1 h", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 1 h:", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 1 h:0", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 1 h:65536", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 1 ?:1", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"MOVED 1 h:1 more", NULL, E_PROTOCOL, REDIS_MOVED, 0, 0},
        {"ASK  1 h:1", NULL, E_PROTOCOL, REDIS_ASK, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct redis_address address = {.port = 0};
        enum redis_hint hint;
        unsigned slot = 0;

        if (redis_hint_read(samples[i].text, &hint, &slot, &address) != samples[i].status ||
            hint != samples[i].hint)
            fail_msg("%s", samples[i].text);
        if (samples[i].status || hint == REDIS_STAYS)
            continue;
        assert_int_equal(slot, samples[i].slot);
        assert_string_equal(address.host, samples[i].host);
        assert_int_equal(address.port, samples[i].port);
    }
}

static void masters(void **state)
{
    static const struct {
        const char *text;
        enum status status;
    } samples[] = {
        {"*2\r\n$9\r\n127.0.0.1\r\n$4\r\n6379\r\n", OK},
        {"*-1\r\n", E_NOT_FOUND},
        {"$-1\r\n", E_NOT_FOUND},
        {"*0\r\n", E_PROTOCOL},
        {"*1\r\n$1\r\nh\r\n", E_PROTOCOL},
        {"*3\r\n$1\r\nh\r\n$1\r\n1\r\n$1\r\n1\r\n", E_PROTOCOL},
        {"*2\r\n$1\r\nh\r\n:1\r\n", E_PROTOCOL},
        {"*2\r\n$0\r\n\r\n$1\r\n1\r\n", E_PROTOCOL},
        {"*2\r\n$1\r\nh\r\n$1\r\n0\r\n", E_PROTOCOL},
        {"*2\r\n$1\r\nh\r\n$1\r\nx\r\n", E_PROTOCOL},
        {"*2\r\n$3\r\na b\r\n$1\r\n1\r\n", E_PROTOCOL},
        {"*2\r\n*0\r\n*0\r\n", E_PROTOCOL},
        {"+OK\r\n", E_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct redis_parser *parser = redis_parser_new();
        struct redis_address address;

        if (redis_master_read(read_reply(parser, samples[i].text), &address) != samples[i].status)
            fail_msg("%s", samples[i].text);
        redis_parser_free(&parser);
    }
}

static void roles(void **state)
{
    static const struct {
        const char *text;
        bool is_master;
    } samples[] = {
        {"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", true},
        {"*5\r\n$5\r\nslave\r\n$1\r\nh\r\n:1\r\n$9\r\nconnected\r\n:1\r\n", false},
        {"*2\r\n$8\r\nsentinel\r\n*1\r\n$1\r\nm\r\n", false},
        {"+master\r\n", false},
        {"*0\r\n", false},
        {"*1\r\n:1\r\n", false},
        {"$-1\r\n", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct redis_parser *parser = redis_parser_new();

        if (redis_role_is_master(read_reply(parser, samples[i].text)) != samples[i].is_master)
            fail_msg("%s", samples[i].text);
        redis_parser_free(&parser);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_of_keys), cmocka_unit_test(maps),    cmocka_unit_test(no_maps),
        cmocka_unit_test(hints),         cmocka_unit_test(masters), cmocka_unit_test(roles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
