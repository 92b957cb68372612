/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the resolver's address watches, against a name server of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "test_resolver_rig.h"

enum { SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5, TRUNCATED = 0x0200 };

static void send_addresses(struct dns_server *server, const struct question *question,
                           uint32_t ttl_s, const char *texts)
{
    char copy[200], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", texts);
    for (char *text = strtok_r(copy, " ", &save); text; text = strtok_r(NULL, " ", &save))
        if ((strchr(text, ':') != NULL) == (question->type == DNS_AAAA))
            packet_address(&server->packet, ttl_s, text);
    server_send(server, question, &server->packet);
}

static void send_code(struct dns_server *server, const struct question *question, unsigned code)
{
    packet_flags(&server->packet, 0x8180 | code);
    server_send(server, question, &server->packet);
}

static unsigned step_of(const struct dns_server *server)
{
    return ((struct rig *)server->owner)->step;
}

/* --- records and changes */

static void say_two(struct dns_server *server, const struct question *question)
{
    static const char *const sets[] = {"127.0.0.3 127.0.0.2", "127.0.0.2 127.0.0.3", "127.0.0.2",
                                       "127.0.0.2 fd00::1"};

    assert_string_equal(question->name, "app.internal");
    send_addresses(server, question, 0, sets[step_of(server)]);
}

static void test_changes(void **state)
{
    (void)state;
    struct rig rig;
    struct told told;
    unsigned asked;

    rig_open(&rig, say_two);
    rig_watch(&rig, &told, "app.internal", RESOLVER_A);
    assert_int_equal(told.calls, 0);
    UNTIL(&rig, told.calls == 1);
    assert_string_equal(told.text, "127.0.0.2:80 127.0.0.3:80");
    assert_null(told.problem);
    rig.step = 1; // another order
    asked = rig.server.questions;
    UNTIL(&rig, rig.server.questions == asked + 6);
    assert_int_equal(told.calls, 1);
    rig.step = 2;
    UNTIL(&rig, told.calls == 2);
    assert_string_equal(told.text, "127.0.0.2:80");
    rig_close(&rig);
}

static void test_families(void **state)
{
    (void)state;
    struct rig rig;
    struct told both, six;

    rig_open(&rig, say_two);
    rig.step = 3;
    rig_watch(&rig, &both, "app.internal", RESOLVER_BOTH);
    rig_watch(&rig, &six, "app.internal", RESOLVER_AAAA);
    UNTIL(&rig, both.calls && six.calls);
    assert_string_equal(both.text, "127.0.0.2:80 fd00::1:80");
    assert_string_equal(six.text, "fd00::1:80");
    assert_null(both.problem);
    rig.step = 2; // AAAA has no data any more: good for the one, and no reason to go for the other
    UNTIL(&rig, both.calls == 2 && six.calls == 2);
    assert_string_equal(both.text, "127.0.0.2:80");
    assert_null(both.problem);
    assert_string_equal(six.text, "fd00::1:80");
    assert_string_equal(six.problem, "no addresses");
    rig_close(&rig);
}

/* AAAA fails at steps above 0. */
static void say_one_family(struct dns_server *server, const struct question *question)
{
    if (question->type == DNS_AAAA && step_of(server))
        send_code(server, question, SERVFAIL);
    else
        send_addresses(server, question, 0,
                       step_of(server) ? "127.0.0.4" : "127.0.0.2 fd00::1 fd00::2");
}

static void test_one_family_fails(void **state)
{
    (void)state;
    struct rig rig;
    struct told told, fresh;

    rig_open(&rig, say_one_family);
    rig_watch(&rig, &told, "app.internal", RESOLVER_BOTH);
    UNTIL(&rig, told.calls);
    assert_string_equal(told.text, "127.0.0.2:80 fd00::1:80 fd00::2:80");
    rig.step = 1;
    rig_watch(&rig, &fresh, "app.internal", RESOLVER_BOTH);
    UNTIL(&rig, told.calls == 2 && fresh.calls);
    assert_string_equal(told.text, "127.0.0.4:80 fd00::1:80 fd00::2:80");
    assert_null(told.problem);
    assert_string_equal(fresh.text, "127.0.0.4:80");
    assert_null(fresh.problem);
    rig_close(&rig);
}

/* --- what is wrong */

static void say_failures(struct dns_server *server, const struct question *question)
{
    switch (step_of(server)) {
    case 1:
        send_code(server, question, SERVFAIL);
        break;
    case 2:
        send_code(server, question, REFUSED);
        break;
    case 3:
        send_code(server, question, NXDOMAIN);
        break;
    case 4:
        send_code(server, question, 0);
        break;
    case 5:
        packet_cname(&server->packet, 1, "real.internal");
        server_send(server, question, &server->packet);
        break;
    case 6:
        packet_record(&server->packet, 1, 1, 3);
        packet_put(&server->packet, "abc", 3);
        server_send(server, question, &server->packet);
        break;
    default:
        send_addresses(server, question, 0, "127.0.0.2");
    }
}

static const char *const failures[] = {
    NULL,
    "the name server failed (SERVFAIL)",
    "the name server refused (REFUSED)",
    "no such name",
    "no addresses",
    "no addresses",
    "the answer is garbage",
};

/* Each failure after a good answer, and the next good one. */
static void test_problems(void **state)
{
    (void)state;
    struct rig rig;
    struct told told;

    rig_open(&rig, say_failures);
    rig_watch(&rig, &told, "app.internal", RESOLVER_A);
    UNTIL(&rig, told.calls == 1);
    for (unsigned i = 1; i < ARRAY_LEN(failures); i++) {
        unsigned asked = rig.server.questions;

        rig.step = i;
        UNTIL(&rig, told.problem);
        UNTIL(&rig, rig.server.questions >= asked + 4);
        assert_int_equal(told.calls, 2 * i);
        assert_string_equal(told.problem, failures[i]);
        assert_string_equal(told.text, "127.0.0.2:80");
        rig.step = 0;
        UNTIL(&rig, !told.problem);
        assert_int_equal(told.calls, 2 * i + 1);
        assert_string_equal(told.text, "127.0.0.2:80");
    }
    rig_close(&rig);
}

static void test_problems_at_first(void **state)
{
    (void)state;

    for (unsigned i = 1; i < ARRAY_LEN(failures); i++) {
        struct rig rig;
        struct told told;

        rig_open(&rig, say_failures);
        rig.step = i;
        rig_watch(&rig, &told, "app.internal", RESOLVER_BOTH);
        UNTIL(&rig, told.calls);
        assert_int_equal(told.count, 0);
        assert_string_equal(told.problem, failures[i]);
        rig_close(&rig);
    }
}

static void test_no_name(void **state)
{
    (void)state;
    static char longest[300];
    static const char *const names[] = {"", "..", "a..b", longest};
    struct rig rig;
    struct told told[ARRAY_LEN(names)];

    memset(longest, 'a', sizeof(longest) - 1);
    rig_open(&rig, say_failures);
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        rig_watch(&rig, &told[i], names[i], RESOLVER_BOTH);
        assert_int_equal(told[i].calls, 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        UNTIL(&rig, told[i].calls);
        assert_string_equal(told[i].problem, "the name is no DNS name");
    }
    assert_int_equal(rig.server.questions, 0);
    rig_close(&rig);
}

/* Of several servers the next one is asked when one fails; here both are the same. */
static void say_once_good(struct dns_server *server, const struct question *question)
{
    struct rig *rig = server->owner;

    if (rig->step || !strcmp(question->name, "bad.internal") || server->questions == 1)
        send_code(server, question, SERVFAIL);
    else
        send_addresses(server, question, 60, "127.0.0.2");
}

static void test_next_server(void **state)
{
    (void)state;
    struct rig rig;
    struct told good, bad;
    char servers[64];

    rig_open(&rig, say_once_good);
    resolver_close(&rig.resolver);
    snprintf(servers, sizeof(servers), "127.0.0.1:%u,127.0.0.1:%u", rig.server.port,
             rig.server.port);
    rig.resolver = resolver_open(&rig.loop, servers);
    assert_non_null(rig.resolver);
    rig_watch(&rig, &good, "app.internal", RESOLVER_A);
    UNTIL(&rig, good.calls);
    assert_null(good.problem);
    assert_string_equal(good.text, "127.0.0.2:80");
    rig_watch(&rig, &bad, "bad.internal", RESOLVER_A);
    UNTIL(&rig, bad.calls);
    assert_string_equal(bad.problem,
                        "every name server failed (SERVFAIL), refused or cannot be reached");
    rig_close(&rig);
}

static void say_after_drops(struct dns_server *server, const struct question *question)
{
    struct rig *rig = server->owner;

    if (!strcmp(question->name, "late.internal") && !rig->step++)
        return; // the first one is lost
    if (strcmp(question->name, "never.internal"))
        send_addresses(server, question, 60, "127.0.0.2");
}

static void test_silence(void **state)
{
    (void)state;
    struct rig rig;
    struct told never, late;
    uint64_t begun = uv_hrtime();

    rig_open(&rig, say_after_drops);
    rig_watch(&rig, &never, "never.internal", RESOLVER_A);
    rig_watch(&rig, &late, "late.internal", RESOLVER_A);
    UNTIL(&rig, late.calls);
    assert_string_equal(late.text, "127.0.0.2:80");
    assert_null(late.problem);
    UNTIL(&rig, never.calls);
    assert_string_equal(never.problem, "no name server answered in time");
    assert_true(uv_hrtime() - begun > 3900 * 1000000ULL);
    rig_close(&rig);
}

static void test_servers(void **state)
{
    (void)state;
    static const char *const good[] = {"127.0.0.1", "127.0.0.1:5353, [::1]:53 ,::1", "::1", "[::1]",
                                       NULL};
    static const char *const bad[] = {
        "",       "somewhere",   "127.0.0.1,somewhere", "127.0.0.1:x", "127.0.0.1,,::1", "[::1",
        "[::1]x", "[127.0.0.1]", "127.0.0.1:0",         "127.0.0.1:",  "127.0.0.1:70000"};
    struct resolver *resolver;
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        resolver = resolver_open(&loop, good[i]);
        assert_non_null(resolver);
        resolver_close(&resolver);
        resolver_close(&resolver);
    }
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        resolver = resolver_open(&loop, bad[i]);
        if (resolver)
            print_message("taken: %s\n", bad[i]);
        assert_null(resolver);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_no_server(void **state)
{
    (void)state;
    struct rig rig;
    struct told told;

    rig_open(&rig, say_two);
    uv_udp_recv_stop(&rig.server.udp);
    uv_close((uv_handle_t *)&rig.server.udp, NULL);
    rig_watch(&rig, &told, "app.internal", RESOLVER_A);
    UNTIL(&rig, told.calls);
    assert_string_equal(told.problem, "no name server can be reached");
    resolver_close(&rig.resolver);
    uv_close((uv_handle_t *)&rig.server.tcp, NULL);
    uv_close((uv_handle_t *)&rig.tick, NULL);
    uv_run(&rig.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&rig.loop), 0);
}

/* A forger's answer first: with another id, and with another question. */
static void say_forged(struct dns_server *server, const struct question *question)
{
    packet_address(&server->packet, 60, "6.6.6.6");
    server->packet.bytes[0] ^= 0x55;
    server_send(server, question, &server->packet);
    packet_begin(&server->packet, question->id, "bank.internal", question->type);
    packet_address(&server->packet, 60, "6.6.6.6");
    server_send(server, question, &server->packet);
    packet_begin(&server->packet, question->id, question->name, question->type);
    send_addresses(server, question, 60, "127.0.0.2");
}

static void test_forged(void **state)
{
    (void)state;
    struct rig rig;
    struct told told;

    rig_open(&rig, say_forged);
    rig_watch(&rig, &told, "app.internal", RESOLVER_A);
    UNTIL(&rig, told.calls);
    assert_string_equal(told.text, "127.0.0.2:80");
    rig_close(&rig);
}

/* --- TCP */

static void say_many(struct dns_server *server, const struct question *question)
{
    char text[32];

    if (!question->stream) {
        packet_flags(&server->packet, 0x8180 | TRUNCATED);
        server_send(server, question, &server->packet);
        return;
    }
    server->packet.owner = (struct str){"", 1};
    for (unsigned i = 0; i < step_of(server); i++) {
        snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
        packet_address(&server->packet, 0, text);
    }
    server_send(server, question, &server->packet);
}

static void test_many(void **state)
{
    (void)state;
    struct rig rig;
    struct told told;

    rig_open(&rig, say_many);
    rig.step = 4000;
    rig_watch(&rig, &told, "app.internal", RESOLVER_A);
    UNTIL(&rig, told.calls);
    assert_int_equal(told.count, 4000);
    assert_null(told.problem);
    assert_true(rig.server.by_tcp > 0);
    rig.step = 4350; // 64 KB hold no more
    UNTIL(&rig, told.calls == 2);
    assert_int_equal(told.count, DNS_RECORDS_MAX);
    assert_string_equal(told.problem, "more than 4096 addresses or 64 targets: some are left out");
    rig.step = 1;
    UNTIL(&rig, told.calls == 3);
    assert_string_equal(told.text, "10.0.0.0:80");
    assert_null(told.problem);
    rig_close(&rig);
}

/* --- when again */

struct times {
    uint64_t at_ns[4];
    unsigned count;
    uint32_t ttl_s;
};

static void say_and_note(struct dns_server *server, const struct question *question)
{
    struct times *times = server->owner;

    if (times->count < ARRAY_LEN(times->at_ns))
        times->at_ns[times->count++] = uv_hrtime();
    send_addresses(server, question, times->ttl_s, "127.0.0.2");
}

/* Milliseconds between questions of a watch kept within min and max, at the least. */
static uint64_t least_wait(uint32_t ttl_s, uint32_t min_ms, uint32_t max_ms)
{
    struct rig rig;
    struct told told = {.rig = &rig};
    struct times times = {.ttl_s = ttl_s};
    struct resolver_ask ask = {STR("app.internal"), 80, RESOLVER_A, min_ms, max_ms};
    uint64_t least = UINT64_MAX;

    rig_open(&rig, say_and_note);
    rig.server.owner = &times;
    told.watch = resolver_watch(rig.resolver, &ask, rig_on_answer, &told);
    UNTIL(&rig, times.count == ARRAY_LEN(times.at_ns));
    for (unsigned i = 1; i < ARRAY_LEN(times.at_ns); i++)
        if (times.at_ns[i] - times.at_ns[i - 1] < least)
            least = times.at_ns[i] - times.at_ns[i - 1];
    assert_int_equal(told.calls, 1);
    rig_close(&rig);
    return least / 1000000;
}

static void test_waits(void **state)
{
    (void)state;

    assert_in_range(least_wait(0, 200, 400), 175, 2000);
    assert_in_range(least_wait(86400, 100, 300), 265, 2000);
    assert_in_range(least_wait(1, 100, 5000), 890, 5000);
    assert_in_range(least_wait(0, 0, 0), 8, 1000);
}

/* Failures are waited out longer and longer. */
static void test_backs_off(void **state)
{
    (void)state;
    struct rig rig;
    struct told told;
    uint64_t begun = uv_hrtime();

    rig_open(&rig, say_failures);
    rig.step = 3;
    rig_watch(&rig, &told, "app.internal", RESOLVER_A);
    UNTIL(&rig, rig.server.questions == 6); // after 20, 40, 80, 160 and 320 ms
    assert_true(uv_hrtime() - begun > 500 * 1000000ULL);
    assert_int_equal(told.calls, 1);
    rig_close(&rig);
}

/* --- calls from callbacks, and ends */

static void unwatch_in_answer(void *owner, const struct dns_record *records, uint32_t count,
                              const char *problem)
{
    struct told *told = owner;

    rig_on_answer(owner, records, count, problem);
    resolver_unwatch(&told->watch);
}

static void close_in_answer(void *owner, const struct dns_record *records, uint32_t count,
                            const char *problem)
{
    struct told *told = owner;

    rig_on_answer(owner, records, count, problem);
    resolver_close(&told->rig->resolver);
}

static void watch_in_answer(void *owner, const struct dns_record *records, uint32_t count,
                            const char *problem)
{
    struct told *told = owner, *next = told + 1;

    rig_on_answer(owner, records, count, problem);
    if (!next->watch)
        rig_watch(told->rig, next, "..", RESOLVER_BOTH);
    assert_int_equal(next->calls, 0);
}

static void test_calls_in_answers(void **state)
{
    (void)state;
    static const struct resolver_ask ask = {STR_INIT("app.internal"), 80, RESOLVER_A, 60000, 60000};
    struct rig rig;
    struct told told[3] = {{.rig = &rig}, {.rig = &rig}}, end = {.rig = &rig};

    rig_open(&rig, say_two);
    told[0].watch = resolver_watch(rig.resolver, &ask, watch_in_answer, &told[0]);
    UNTIL(&rig, told[1].calls);
    resolver_unwatch(&told[0].watch);
    resolver_unwatch(&told[0].watch);
    told[0].watch = resolver_watch(rig.resolver, &ask, unwatch_in_answer, &told[0]);
    UNTIL(&rig, !told[0].watch);
    end.watch = resolver_watch(rig.resolver, &ask, close_in_answer, &end);
    UNTIL(&rig, !rig.resolver);
    assert_int_equal(end.calls, 1);
    rig_close(&rig);
}

static void test_ends_in_flight(void **state)
{
    (void)state;
    struct rig rig;
    struct told told[4];

    rig_open(&rig, say_after_drops);
    for (unsigned i = 0; i < 4; i++)
        rig_watch(&rig, &told[i], "never.internal", i ? RESOLVER_BOTH : RESOLVER_SRV);
    resolver_unwatch(&told[3].watch); // not even sent
    UNTIL(&rig, rig.server.questions >= 5);
    resolver_unwatch(&told[2].watch);
    rig_close(&rig);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(told[i].calls, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_one_family_fails),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_problems_at_first),
        cmocka_unit_test(test_no_name),
        cmocka_unit_test(test_next_server),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_forged),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_backs_off),
        cmocka_unit_test(test_calls_in_answers),
        cmocka_unit_test(test_ends_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
