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
        assert_text(conf->redis.host, samples[i].host);
        assert_text(conf->redis.user, samples[i].user);
        assert_text(conf->redis.password, samples[i].password);
        assert_int_equal(conf->redis.port, samples[i].port);
        assert_int_equal(conf->redis.database, samples[i].database);
    }
}

static void refuses_what_is_wrong(void **state)
{
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
    };
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
        TEST(refuses_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
