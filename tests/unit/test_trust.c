/* SPDX-License-Identifier: Apache-2.0
 *
 * Who a client is (trust.c): chains of hops in words, spoofed in every place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "edge/trust.h"

enum { NETS_MAX = 4, FIELDS_MAX = 8 };

/* What is believed, who connects, what the request says, and who that makes the client. */
struct row {
    const char *platforms; /* a letter each: f r c, the one that clients meet first */
    const char *nets[NETS_MAX];
    const char *peer;
    const char *fields[FIELDS_MAX]; /* name, value, ... */
    const char *client;
};

static const struct row rows[] = {
    // nobody is believed
    {"", {0}, "127.0.0.1", {"X-Forwarded-For", "192.0.2.9"}, "127.0.0.1"},
    {"", {0}, "10.0.0.1", {"Fly-Client-IP", "192.0.2.9", "X-Real-IP", "192.0.2.8"}, "10.0.0.1"},
    {"", {"10.0.0.0/8"}, "192.0.2.1", {"X-Forwarded-For", "192.0.2.9"}, "192.0.2.1"},
    // proxies of one's own: right to left
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "192.0.2.9"}, "192.0.2.9"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "6.6.6.6, 192.0.2.9"}, "192.0.2.9"},
    {"",
     {"10.0.0.0/8"},
     "10.0.0.1",
     {"X-Forwarded-For", "6.6.6.6, 192.0.2.9, 10.0.0.2"},
     "192.0.2.9"},
    {"",
     {"10.0.0.0/8"},
     "10.0.0.1",
     {"X-Forwarded-For", "6.6.6.6,192.0.2.9 ,\t10.0.0.2 "},
     "192.0.2.9"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {0}, "10.0.0.1"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", ""}, "10.0.0.1"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "6.6.6.6, unknown"}, "10.0.0.1"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "6.6.6.6, , 10.0.0.2"}, "10.0.0.2"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "192.0.2.9:4711"}, "192.0.2.9"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "[2001:db8::9]:4711"}, "2001:db8::9"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "[2001:db8::9"}, "10.0.0.1"},
    {"", {"10.0.0.0/8"}, "10.0.0.1", {"X-Forwarded-For", "2001:db8::9"}, "2001:db8::9"},
    {"",
     {"10.0.0.0/8"},
     "10.0.0.1",
     {"X-Forwarded-For", "6.6.6.6", "X-Forwarded-For", "192.0.2.9, 10.0.0.3"},
     "192.0.2.9"},
    {"",
     {"10.0.0.0/8"},
     "10.0.0.1",
     {"X-Forwarded-For", "192.0.2.9", "X-Forwarded-For", "10.0.0.3"},
     "192.0.2.9"},
    {"",
     {"2001:db8:1::/48"},
     "2001:db8:1::7",
     {"X-Forwarded-For", "2001:db8:2::1"},
     "2001:db8:2::1"},
    // Fly
    {"f",
     {0},
     "172.16.3.2",
     {"Fly-Client-IP", "192.0.2.9", "X-Forwarded-For", "6.6.6.6"},
     "192.0.2.9"},
    {"f", {0}, "127.0.0.1", {"Fly-Client-IP", "2001:db8::9"}, "2001:db8::9"},
    {"f", {0}, "172.16.3.2", {"X-Forwarded-For", "6.6.6.6"}, "172.16.3.2"},
    {"f",
     {0},
     "172.16.3.2",
     {"Fly-Client-IP", "6.6.6.6", "Fly-Client-IP", "6.6.6.7"},
     "172.16.3.2"},
    {"f", {0}, "172.16.3.2", {"Fly-Client-IP", "nobody"}, "172.16.3.2"},
    {"f", {0}, "fdaa:0:1::3", {"Fly-Client-IP", "6.6.6.6"}, "fdaa:0:1::3"}, // 6PN: another app
    {"f", {0}, "192.0.2.1", {"Fly-Client-IP", "6.6.6.6"}, "192.0.2.1"},
    {"f", {0}, "172.16.3.2", {"X-Real-IP", "6.6.6.6", "CF-Connecting-IP", "6.6.6.6"}, "172.16.3.2"},
    // Railway
    {"r", {0}, "100.64.0.2", {"X-Real-IP", "192.0.2.9", "X-Forwarded-For", "6.6.6.6"}, "192.0.2.9"},
    {"r", {0}, "100.64.0.2", {"Fly-Client-IP", "6.6.6.6"}, "100.64.0.2"},
    {"r", {0}, "fd12::5", {"X-Real-IP", "6.6.6.6"}, "fd12::5"},
    // Cloudflare
    {"c", {0}, "173.245.48.9", {"CF-Connecting-IP", "192.0.2.9"}, "192.0.2.9"},
    {"c", {0}, "2606:4700::1", {"CF-Connecting-IP", "192.0.2.9"}, "192.0.2.9"},
    {"c", {0}, "2a06:98c7::1", {"CF-Connecting-IP", "192.0.2.9"}, "192.0.2.9"},
    {"c", {0}, "173.245.64.1", {"CF-Connecting-IP", "6.6.6.6"}, "173.245.64.1"},
    {"c", {0}, "127.0.0.1", {"CF-Connecting-IP", "6.6.6.6"}, "127.0.0.1"},
    // chains
    {"cf",
     {0},
     "172.16.3.2",
     {"Fly-Client-IP", "173.245.48.9", "CF-Connecting-IP", "192.0.2.9"},
     "192.0.2.9"},
    {"cf",
     {0},
     "172.16.3.2",
     {"Fly-Client-IP", "6.6.6.1", "CF-Connecting-IP", "6.6.6.6"},
     "6.6.6.1"},
    {"cf", {0}, "173.245.48.9", {"CF-Connecting-IP", "6.6.6.6"}, "173.245.48.9"},
    {"f",
     {"192.0.2.0/24"},
     "172.16.3.2",
     {"Fly-Client-IP", "192.0.2.5", "X-Forwarded-For",
      "6.6.6.6, 198.51.100.1, 192.0.2.5, 203.0.113.7"},
     "198.51.100.1"},
    {"f",
     {"192.0.2.0/24"},
     "172.16.3.2",
     {"Fly-Client-IP", "192.0.2.5", "X-Forwarded-For", "6.6.6.6, 203.0.113.7"},
     "192.0.2.5"},
    {"c",
     {"10.0.0.0/8"},
     "10.0.0.1",
     {"X-Forwarded-For", "6.6.6.6, 173.245.48.9", "CF-Connecting-IP", "192.0.2.9"},
     "192.0.2.9"},
    {"c",
     {"10.0.0.0/8"},
     "10.0.0.1",
     {"X-Forwarded-For", "6.6.6.6, 192.0.2.1", "CF-Connecting-IP", "6.6.6.6"},
     "192.0.2.1"},
};

struct bench {
    struct arena arena;
    struct head head;
    struct caller peer;
    struct conf_trust trust;
    struct cidr nets[NETS_MAX];
    struct trust_word word;
    char text[IP_TEXT_MAX];
};

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static void set_fields(struct bench *bench, const char *const *fields)
{
    assert_int_equal(head_init(&bench->head, &bench->arena, 4), OK);
    for (size_t i = 0; i < FIELDS_MAX && fields[i]; i += 2)
        assert_int_equal(head_add(&bench->head, &bench->arena, text(fields[i]),
                                  text(fields[i + 1])),
                         OK);
}

static void set_trust(struct bench *bench, const struct row *row)
{
    static const char letters[] = {
        [CONF_PLATFORM_FLY] = 'f', [CONF_PLATFORM_RAILWAY] = 'r', [CONF_PLATFORM_CLOUDFLARE] = 'c'};

    bench->trust = (struct conf_trust){.proxies.items = bench->nets};
    for (const char *p = row->platforms; *p; p++)
        for (unsigned k = CONF_PLATFORM_FLY; k < sizeof(letters); k++)
            if (letters[k] == *p)
                bench->trust.platforms.items[bench->trust.platforms.count++] =
                    (enum conf_platform)k;
    while (bench->trust.proxies.count < NETS_MAX && row->nets[bench->trust.proxies.count]) {
        uint32_t i = bench->trust.proxies.count++;

        assert_true(cidr_parse(text(row->nets[i]), &bench->nets[i]));
    }
}

static void decide(struct bench *bench, const struct row *row)
{
    arena_init(&bench->arena, NULL, 0);
    set_fields(bench, row->fields);
    set_trust(bench, row);
    bench->peer = (struct caller){.text = text(row->peer), .scheme = STR("http")};
    assert_true(ip_parse(bench->peer.text, bench->peer.ip));
    bench->peer.hash = ip_hash(bench->peer.ip);
    assert_int_equal(trust_decide(&bench->trust, &bench->peer, &bench->head, &bench->arena,
                                  &bench->word),
                     OK);
    ip_print(bench->word.caller.ip, bench->text);
}

static void test_who_the_client_is(void **state)
{
    struct bench bench;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct caller *caller = &bench.word.caller;

        decide(&bench, &rows[i]);
        if (strcmp(bench.text, rows[i].client) != 0)
            fail_msg("row %zu: %s, not %s", i, bench.text, rows[i].client);
        assert_true(str_same(caller->text, text(rows[i].client)));
        assert_true(caller->hash == ip_hash(caller->ip));
        assert_true(caller->is_told == (bench.word.hops > 0));
        arena_reset(&bench.arena);
    }
}

/* What else is said, and by whom it counts. */
static void check_rest(const struct row *row, const char *scheme, const char *host, const char *id)
{
    struct bench bench;

    decide(&bench, row);
    assert_true(bench.word.is_own == (row->nets[0] && !strncmp(row->peer, "10.", 3)));
    assert_true(str_same(bench.word.caller.scheme, text(scheme)));
    assert_true(host ? str_same(bench.word.caller.host, text(host)) : !bench.word.caller.host.p);
    assert_true(id ? str_same(bench.word.request_id, text(id)) : !bench.word.request_id.p);
    arena_reset(&bench.arena);
}

#define SAID(proto)                                                                                \
    {                                                                                              \
        "X-Forwarded-Proto", proto, "X-Forwarded-Host", "shop.example", "X-Request-Id", "abc-1"    \
    }

static void test_what_else_is_said(void **state)
{
    struct row row = {"", {"10.0.0.0/8"}, "10.0.0.1", SAID("https"), ""};

    (void)state;
    check_rest(&row, "https", "shop.example", "abc-1");
    row.peer = "192.0.2.1";
    check_rest(&row, "http", NULL, NULL);
    row = (struct row){"f",
                       {0},
                       "172.16.0.1",
                       {"Fly-Client-IP", "192.0.2.9", "X-Forwarded-Proto", "https",
                        "X-Forwarded-Host", "evil.example", "Fly-Request-Id", "01J"},
                       ""};
    check_rest(&row, "https", NULL, "01J"); // Fly passes the client's X-Forwarded-Host on
    row = (struct row){"r",
                       {0},
                       "100.64.0.1",
                       {"X-Real-IP", "192.0.2.9", "X-Forwarded-Proto", "https", "X-Forwarded-Host",
                        "shop.example", "X-Request-Id", "6"},
                       ""};
    check_rest(&row, "https", "shop.example", NULL);
}

static void test_only_what_can_be_carried_on(void **state)
{
    static const char *const schemes[] = {"ftp", "HTTPS ", "", "https;", "httpss"};
    static const char *const hosts[] = {"", "a b", "a/b", "a\"b", "a,b c", "\x80"};
    static const char *const ids[] = {"", "a b", "a\"b", "a\\b", "\x80", "<b>", "a&b", "a'b"};
    struct row row = {"", {"10.0.0.0/8"}, "10.0.0.1", SAID("https"), ""};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        row.fields[1] = schemes[i];
        check_rest(&row, i == 1 ? "https" : "http", "shop.example", "abc-1");
    }
    row.fields[1] = "HTTPS";
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        row.fields[3] = hosts[i];
        check_rest(&row, "https", NULL, "abc-1");
    }
    for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
        row.fields[5] = ids[i];
        check_rest(&row, "https", NULL, NULL);
    }
}

/* Each hop may have added what it saw: what counts is said by the farthest that is believed. */
static void test_lists_of_schemes(void **state)
{
    struct row row = {"",
                      {"10.0.0.0/8"},
                      "10.0.0.1",
                      {"X-Forwarded-For", "6.6.6.6, 192.0.2.9, 10.0.0.2", "X-Forwarded-Proto",
                       "http, https, http"},
                      ""};

    (void)state;
    check_rest(&row, "https", NULL, NULL);
    row.fields[1] = "192.0.2.9";
    check_rest(&row, "http", NULL, NULL);
    row.fields[3] = "https";
    check_rest(&row, "https", NULL, NULL);
}

static void test_claims_are_removed(void **state)
{
    static const char *const fields[] = {
        "x-real-IP", "1", "Fly-Client-IP", "1", "X-Forwarded-Port", "1", "Accept", "1", NULL};
    static const char *const alike[] = {"X_Forwarded-For", "1", "x_real_ip", "1",
                                        "Accept",          "1", "X_Mine",    "1"};
    struct bench bench;

    (void)state;
    arena_init(&bench.arena, NULL, 0);
    set_fields(&bench, fields);
    trust_strip_addresses(&bench.head, UINT64_C(1) << HDR_FLY_CLIENT_IP);
    assert_int_equal(bench.head.count, 3);
    assert_null(head_find(&bench.head, HDR_X_REAL_IP));
    trust_strip(&bench.head);
    assert_int_equal(bench.head.count, 1);
    set_fields(&bench, alike);
    trust_strip(&bench.head);
    assert_int_equal(bench.head.count, 2);
    assert_null(head_find_name(&bench.head, STR("x_real_ip")));
    set_fields(&bench, alike);
    trust_strip_addresses(&bench.head, 0);
    assert_int_equal(bench.head.count, 2);
    assert_non_null(head_find(&bench.head, HDR_ACCEPT));
    arena_reset(&bench.arena);
}

static void watch(struct trust_watch *watch, const char *from, const char *field, unsigned times)
{
    const char *fields[FIELDS_MAX] = {field, "192.0.2.9"};
    struct caller caller = {.text = text(from)};
    struct bench bench;

    arena_init(&bench.arena, NULL, 0);
    set_fields(&bench, fields);
    assert_true(ip_parse(caller.text, caller.ip));
    for (unsigned i = 0; i < times; i++)
        trust_look(watch, &caller, &bench.head, 0);
    arena_reset(&bench.arena);
}

static void test_traffic_that_cannot_be_right(void **state)
{
    struct trust_watch seen = {.run = 0};

    (void)state;
    watch(&seen, "10.0.0.1", "X-Forwarded-For", TRUST_DOUBTFUL);
    assert_true(seen.run == TRUST_DOUBTFUL && seen.doubt == TRUST_DOUBT_ONE_ADDRESS);
    assert_non_null(trust_warning(seen.doubt));
    watch(&seen, "10.0.0.2", "X-Forwarded-For", 1);
    assert_true(seen.run == 1);
    watch(&seen, "10.0.0.2", "Accept", 1);
    assert_true(seen.doubt == TRUST_DOUBT_NONE);
    watch(&seen, "192.0.2.1", "X-Forwarded-For", TRUST_DOUBTFUL);
    assert_true(seen.doubt == TRUST_DOUBT_NONE);
    watch(&seen, "173.245.48.1", "CF-Connecting-IP", TRUST_DOUBTFUL / 2);
    watch(&seen, "173.245.48.2", "CF-Connecting-IP", TRUST_DOUBTFUL / 2);
    assert_true(seen.run == TRUST_DOUBTFUL && seen.doubt == TRUST_DOUBT_CLOUDFLARE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_the_client_is),
        cmocka_unit_test(test_what_else_is_said),
        cmocka_unit_test(test_only_what_can_be_carried_on),
        cmocka_unit_test(test_lists_of_schemes),
        cmocka_unit_test(test_claims_are_removed),
        cmocka_unit_test(test_traffic_that_cannot_be_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
