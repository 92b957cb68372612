/* SPDX-License-Identifier: Apache-2.0
 *
 * The key `redis`: what its URL says, what is none, and that no password is printed back.
 */
#include <string.h>

#include "test_conf.h"

static const struct conf *read_url(struct bench *bench, struct diag *diag, const char *url)
{
    struct str text = arena_format(&bench->arena,
                                   "services: {app: {targets: [\"127.0.0.1:1\"]}}\n"
                                   "redis: {url: \"%s\"}\n",
                                   url);

    diag_init(diag, &bench->arena);
    return conf_parse(text, "test", &test_world, &bench->arena, diag);
}

static void assert_text(struct str have, const char *want)
{
    if (!want) {
        assert_null(have.p);
        return;
    }
    assert_int_equal(have.len, strlen(want));
    assert_memory_equal(have.p, want, have.len);
}

static void takes_what_is_right(void **state)
{
    static const struct {
        const char *url, *host, *user, *password;
        unsigned port, database;
    } samples[] = {
        {"redis://localhost", "localhost", NULL, NULL, 6379, 0},
        {"redis://127.0.0.1:7000/", "127.0.0.1", NULL, NULL, 7000, 0},
        {"redis://redis.internal/15", "redis.internal", NULL, NULL, 6379, 15},
        {"redis://[::1]", "::1", NULL, NULL, 6379, 0},
        {"redis://[fd00::1]:7000/2", "fd00::1", NULL, NULL, 7000, 2},
        {"redis://:s3cret@h", "h", NULL, "s3cret", 6379, 0},
        {"redis://ann:s3cret@h:1", "h", "ann", "s3cret", 1, 0},
        {"redis://ann:p%40ss%3A%2f@h", "h", "ann", "p@ss:/", 6379, 0},
        {"redis://a%3ab:p@ss@h", "h", "a:b", "p@ss", 6379, 0},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct diag diag;
        const struct conf *conf = read_url(bench, &diag, samples[i].url);

        if (!conf)
            fail_msg("%s: %s", samples[i].url, diag_report(&diag).p);
        assert_true(conf->has_redis);
        assert_int_equal(conf->redis.mode, CONF_REDIS_SINGLE);
        assert_false(conf->redis.is_tls || conf->redis.tls.is_set);
        assert_int_equal(conf->redis.place_count, 1);
        assert_text(conf->redis.places[0].host, samples[i].host);
        assert_text(conf->redis.user, samples[i].user);
        assert_text(conf->redis.password, samples[i].password);
        assert_int_equal(conf->redis.places[0].port, samples[i].port);
        assert_int_equal(conf->redis.database, samples[i].database);
    }
}

static void lists_of_hosts(void **state)
{
    static const struct {
        const char *url, *first, *last, *master, *password;
        enum conf_redis_mode mode;
        unsigned count, first_port, last_port, database;
        bool is_tls;
    } samples[] = {
        {"rediss://h:1/2", "h", "h", NULL, NULL, CONF_REDIS_SINGLE, 1, 1, 1, 2, true},
        {"redis+sentinel://a,b:1,[::1]/mymaster", "a", "::1", "mymaster", NULL, CONF_REDIS_SENTINEL,
         3, 26379, 26379, 0, false},
        {"rediss+sentinel://:s3cret@a:7,[fd00::1]:8/my%2fmaster/3", "a", "fd00::1", "my/master",
         "s3cret", CONF_REDIS_SENTINEL, 2, 7, 8, 3, true},
        {"redis+cluster://10.0.0.1:7000,10.0.0.2", "10.0.0.1", "10.0.0.2", NULL, NULL,
         CONF_REDIS_CLUSTER, 2, 7000, 6379, 0, false},
        {"rediss+cluster://u:p@c.example.com/0", "c.example.com", "c.example.com", NULL, "p",
         CONF_REDIS_CLUSTER, 1, 6379, 6379, 0, true},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct diag diag;
        const struct conf *conf = read_url(bench, &diag, samples[i].url);
        const struct conf_redis *redis = conf ? &conf->redis : NULL;

        if (!redis)
            fail_msg("%s: %s", samples[i].url, diag_report(&diag).p);
        assert_int_equal(redis->mode, samples[i].mode);
        assert_int_equal(redis->place_count, samples[i].count);
        assert_text(redis->places[0].host, samples[i].first);
        assert_int_equal(redis->places[0].port, samples[i].first_port);
        assert_text(redis->places[samples[i].count - 1].host, samples[i].last);
        assert_int_equal(redis->places[samples[i].count - 1].port, samples[i].last_port);
        assert_text(redis->master, samples[i].master);
        assert_text(redis->password, samples[i].password);
        assert_int_equal(redis->database, samples[i].database);
        assert_int_equal(redis->is_tls, samples[i].is_tls);
        assert_int_equal(redis->tls.is_set, samples[i].is_tls);
        assert_true(redis->tls.verify);
        assert_text(redis->tls.ca.s, "system");
        assert_text(redis->tls.name.s, "auto");
    }
}

static const char *const wrong[] = {
    "",
    "redis",
    "redis:",
    "redis://",
    "redis:///0",
    "redis://:@s3cret",
    "redis://s3cret@h",
    "redis://:%zzs3cret@h",
    "redis://:s3cret%4@h",
    "redis://h:",
    "redis://h:0",
    "redis://h:65536",
    "redis://h:x",
    "redis://h:1:2",
    "redis://h/x",
    "redis://h/-1",
    "redis://h/65536",
    "redis://[::1",
    "redis://[::1]7000",
    "redis://[]",
    "redis://a%00b",
    "rediss://s3cret@h",
    "http://s3cret@h",
    "rediss://",
    "redis://a,b",
    "redis://u:s3cret@a,b/1",
    "redis+sentinel://a",
    "redis+sentinel://a/",
    "redis+sentinel://a//1",
    "redis+sentinel://a/m/x",
    "redis+sentinel://a/%zz",
    "redis+sentinel:///m",
    "redis+sentinel://a,,b/m",
    "redis+sentinel://a:0/m",
    "redis+sentinel://s3cret@a/m",
    "redis+cluster://",
    "redis+cluster://a,",
    "redis+cluster://a/1",
    "redis+cluster://a/m",
    "redis+cluster://a:1:2,b",
    "redis+cluster://[::1,b",
    "redis+cluster://"
    "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,"
    "29,30,31,32,33",
    "redisss://a",
    "redis+clusters://a",
};

static void refuses_what_is_wrong(void **state)
{
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct diag diag;

        if (read_url(bench, &diag, wrong[i]))
            fail_msg("%s is taken", wrong[i]);
        if (strstr(diag_report(&diag).p, "s3cret"))
            fail_msg("%s", diag_report(&diag).p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(takes_what_is_right),
        TEST(lists_of_hosts),
        TEST(refuses_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
