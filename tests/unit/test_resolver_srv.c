/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the resolver's SRV watches and TXT lookups, and of a resolv.conf that changes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "test_resolver_rig.h"

static unsigned step_of(const struct dns_server *server)
{
    return ((struct rig *)server->owner)->step;
}

static void send_code(struct dns_server *server, const struct question *question, unsigned code)
{
    packet_flags(&server->packet, 0x8180 | code);
    server_send(server, question, &server->packet);
}

/* --- SRV */

static void send_services(struct dns_server *server, const struct question *question)
{
    unsigned step = step_of(server);

    if (step == 3) {
        packet_service(&server->packet, 0, &(struct packet_srv){0, 0, 0, "."});
    } else {
        packet_service(&server->packet, 0, &(struct packet_srv){20, 1, 8001, "b.internal"});
        packet_service(&server->packet, 0,
                       &(struct packet_srv){10, step == 1 ? 9 : 5, 8000, "A.internal"});
    }
    server_send(server, question, &server->packet);
}

/* Steps: 1 another weight, 2 b.internal fails, 3 no service, 4 SRV fails, 5 no target is there. */
static void say_services(struct dns_server *server, const struct question *question)
{
    bool is_b = question->name[0] == 'b';
    unsigned step = step_of(server);

    if (question->type == DNS_SRV && step == 4)
        send_code(server, question, 2);
    else if (question->type == DNS_SRV)
        send_services(server, question);
    else if (step == 5)
        send_code(server, question, 3);
    else if (is_b && step == 2)
        send_code(server, question, 2);
    else {
        if (question->type == DNS_A)
            packet_address(&server->packet, 0, is_b ? "127.0.0.3" : "127.0.0.2");
        else if (is_b)
            packet_address(&server->packet, 0, "fd00::3");
        server_send(server, question, &server->packet);
    }
}

static void test_services(void **state)
{
    (void)state;
    static const char all[] = "127.0.0.2:8000/10/5/a.internal 127.0.0.3:8001/20/1/b.internal "
                              "fd00::3:8001/20/1/b.internal";
    struct rig rig;
    struct told told, fresh;

    rig_open(&rig, say_services);
    rig_watch(&rig, &told, "_http._tcp.internal", RESOLVER_SRV);
    UNTIL(&rig, told.calls);
    assert_string_equal(told.text, all);
    assert_null(told.problem);
    rig.step = 1;
    UNTIL(&rig, told.calls == 2);
    assert_string_equal(told.text, "127.0.0.2:8000/10/9/a.internal 127.0.0.3:8001/20/1/b.internal "
                                   "fd00::3:8001/20/1/b.internal");
    rig.step = 2; // b.internal's last addresses stay
    UNTIL(&rig, told.calls == 3);
    assert_string_equal(told.text, all);
    assert_null(told.problem);
    rig_watch(&rig, &fresh, "_http._tcp.internal", RESOLVER_SRV);
    UNTIL(&rig, fresh.calls);
    assert_string_equal(fresh.text, "127.0.0.2:8000/10/5/a.internal");
    rig.step = 3;
    UNTIL(&rig, told.calls == 4);
    assert_string_equal(told.text, all);
    assert_string_equal(told.problem, "no addresses");
    rig.step = 4;
    UNTIL(&rig, told.calls == 5);
    assert_string_equal(told.text, all);
    assert_string_equal(told.problem, "the name server failed (SERVFAIL)");
    rig.step = 5;
    UNTIL(&rig, told.calls == 6);
    assert_string_equal(told.text, all);
    assert_string_equal(told.problem, "no such name");
    rig.step = 0;
    UNTIL(&rig, !told.problem);
    assert_string_equal(told.text, all);
    rig_close(&rig);
}

static void say_many_services(struct dns_server *server, const struct question *question)
{
    char name[32];

    if (question->type == DNS_A) {
        packet_address(&server->packet, 60, "127.0.0.2");
    } else if (question->type == DNS_SRV) {
        for (uint16_t i = 0; i < 100; i++) {
            snprintf(name, sizeof(name), "n%u.x", i);
            packet_service(&server->packet, 60, &(struct packet_srv){i, 1, 80, name});
        }
        if (!question->stream) {
            packet_begin(&server->packet, question->id, question->name, question->type);
            packet_flags(&server->packet, 0x8380);
        }
    }
    server_send(server, question, &server->packet);
}

static void test_many_services(void **state)
{
    (void)state;
    struct rig rig;
    struct told told;

    rig_open(&rig, say_many_services);
    rig_watch(&rig, &told, "_http._tcp.internal", RESOLVER_SRV);
    UNTIL(&rig, told.calls);
    assert_int_equal(told.count, RESOLVER_TARGETS_MAX);
    assert_memory_equal(told.text, "127.0.0.2:80/0/1/n0.x 127.0.0.2:80/1/1/n1.x ", 44);
    assert_string_equal(told.problem, "more than 4096 addresses or 64 targets: some are left out");
    assert_int_equal(rig.server.by_tcp, 1);
    rig_close(&rig);
}

/* --- TXT */

static void say_text(struct dns_server *server, const struct question *question)
{
    assert_int_equal(question->type, DNS_TXT);
    if (!strcmp(question->name, "none.internal")) {
        send_code(server, question, 3);
        return;
    }
    if (!strcmp(question->name, "vms.app.internal"))
        packet_text(&server->packet, 5, (const char *[]){"148e21 iad,3d", "8dd9 fra", NULL});
    if (!strcmp(question->name, "bad.internal")) {
        packet_record(&server->packet, 16, 5, 1);
        packet_put(&server->packet, "\7", 1);
    }
    server_send(server, question, &server->packet);
}

static void ask_text(struct rig *rig, struct told *told, const char *name)
{
    struct str text = {name, strlen(name)};

    *told = (struct told){.rig = rig};
    told->lookup = resolver_text(rig->resolver, text, rig_on_text, told);
    assert_non_null(told->lookup);
}

static void test_text(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *problem;
    } cases[] = {
        {"vms.app.internal", "148e21 iad,3d8dd9 fra", NULL},
        {"none.internal", "", "no such name"},
        {"other.internal", "", "no text"},
        {"bad.internal", "", "the answer is garbage"},
        {"a..b", "", "the name is no DNS name"},
        {"", "", "the name is no DNS name"},
    };
    struct rig rig;
    struct told told[ARRAY_LEN(cases)], gone, never;

    rig_open(&rig, say_text);
    ask_text(&rig, &gone, "vms.app.internal");
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        ask_text(&rig, &told[i], cases[i].name);
    resolver_forget(&gone.lookup);
    resolver_forget(&gone.lookup);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        UNTIL(&rig, told[i].calls);
        assert_string_equal(told[i].text, cases[i].text);
        assert_int_equal(!told[i].problem, !cases[i].problem);
        if (cases[i].problem)
            assert_string_equal(told[i].problem, cases[i].problem);
    }
    ask_text(&rig, &gone, "vms.app.internal");
    ask_text(&rig, &never, "vms.app.internal");
    UNTIL(&rig, rig.server.questions >= 5);
    resolver_forget(&gone.lookup);
    rig_close(&rig);
    assert_int_equal(gone.calls, 0);
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(told[i].calls, 1);
}

/* --- resolv.conf */

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void say_searched(struct dns_server *server, const struct question *question)
{
    if (!strcmp(question->name, "app.internal"))
        packet_address(&server->packet, 0, "127.0.0.2");
    else
        packet_flags(&server->packet, 0x8183);
    server_send(server, question, &server->packet);
}

/* A file names no ports, so this takes port 53 of an address that nobody else has; whoever may not
 * is let off. */
static uint32_t own_host(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(53)};
    uint32_t host = 127U << 24 | 77U << 16 | ((uint32_t)getpid() & 0xffff);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    at.sin_addr.s_addr = htonl(host);
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)))
        host = 0;
    close(fd);
    return host;
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/dev/shm/resolv.XXXXXX", text[100];
    uint32_t host = own_host();
    struct dns_server server = {.host = host, .port = 53, .script = say_searched};
    struct rig rig;
    struct told told;
    int fd;

    if (!host)
        skip();
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    rig_open(&rig, say_searched);
    server_open(&server, &rig.loop);
    resolver_close(&rig.resolver);
    write_file(path, "nameserver 127.0.0.1\n");
    rig.resolver = resolver_open(&rig.loop, path);
    assert_non_null(rig.resolver);
    snprintf(text, sizeof(text), "nameserver 127.77.%u.%u\nsearch nowhere\n", host >> 8 & 255,
             host & 255);
    write_file(path, text);
    rig_watch(&rig, &told, "app", RESOLVER_A);
    UNTIL(&rig, told.calls);
    assert_string_equal(told.problem, "no such name");
    snprintf(strstr(text, "search"), 30, "search internal\n");
    write_file(path, text);
    UNTIL(&rig, told.calls == 2);
    assert_null(told.problem);
    assert_string_equal(told.text, "127.0.0.2:80");
    unlink(path);
    UNTIL(&rig, server.questions > 20); // without the file the last servers stand
    assert_int_equal(told.calls, 2);
    server_close(&server);
    rig_close(&rig);
}

/* Queries under way are asked again of the servers that a changed file names. */
static void say_nothing(struct dns_server *server, const struct question *question)
{
    (void)server;
    (void)question;
}

static void test_file_in_flight(void **state)
{
    (void)state;
    char path[] = "/dev/shm/resolv.XXXXXX", text[60];
    uint32_t host = own_host();
    struct dns_server server = {.host = host, .port = 53, .script = say_nothing};
    struct rig rig;
    struct told first, second, text_told;
    int fd;

    if (!host)
        skip();
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    rig_open(&rig, say_nothing);
    server_open(&server, &rig.loop);
    resolver_close(&rig.resolver);
    snprintf(text, sizeof(text), "nameserver 127.77.%u.%u\n", host >> 8 & 255, host & 255);
    write_file(path, text);
    rig.resolver = resolver_open(&rig.loop, path);
    rig_watch(&rig, &first, "app.internal", RESOLVER_A);
    ask_text(&rig, &text_told, "app");
    UNTIL(&rig, server.questions >= 2);
    server.script = say_searched;
    strcat(text, "options ndots:1\n");
    write_file(path, text);
    rig_watch(&rig, &second, "app.internal", RESOLVER_A);
    UNTIL(&rig, first.calls && second.calls && text_told.calls);
    assert_string_equal(text_told.problem, "no such name");
    assert_string_equal(first.text, "127.0.0.2:80");
    unlink(path);
    server_close(&server);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_services),       cmocka_unit_test(test_many_services),
        cmocka_unit_test(test_text),           cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_in_flight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
