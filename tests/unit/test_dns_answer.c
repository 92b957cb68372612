/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of dns_answer.c and dns_fly.c: messages made by hand, whole, cut, and wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "edge/upstream/dns_answer.h"
#include "edge/upstream/dns_fly.h"
#include "test_dns_packet.h"

static struct packet packet;

/* From a copy that ends where the message does: a sanitizer sees what is read behind it. */
static enum status read_bytes(struct dns_answer *answer, const void *bytes, size_t len,
                              enum dns_type type)
{
    char *copy = malloc(len ? len : 1);
    enum status status;

    memcpy(copy, bytes, len);
    dns_answer_init(answer);
    status = dns_answer_read(answer, (struct str){copy, len}, type, 80);
    free(copy);
    return status;
}

static void read_good(struct dns_answer *answer, enum dns_type type)
{
    assert_int_equal(read_bytes(answer, packet.bytes, packet.len, type), OK);
    dns_answer_settle(answer);
}

static void assert_refused(enum dns_type type)
{
    struct dns_answer answer;

    assert_int_equal(read_bytes(&answer, packet.bytes, packet.len, type), E_INVALID);
    dns_answer_free(&answer);
}

static void assert_record(const struct dns_record *record, const char *address, const char *target)
{
    char text[INET6_ADDRSTRLEN] = "none";

    if (record->address.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &record->address.in.sin_addr, text, sizeof(text));
    if (record->address.any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, &record->address.in6.sin6_addr, text, sizeof(text));
    assert_string_equal(text, address);
    assert_string_equal(record->target.p ? record->target.p : "none", target);
}

/* --- addresses */

static void test_addresses(void **state)
{
    (void)state;
    struct dns_answer answer;

    packet_begin(&packet, 7, "app.internal", 1);
    packet_cname(&packet, 40, "real.internal");
    packet_address(&packet, 60, "127.0.0.3");
    packet_address(&packet, 50, "127.0.0.2");
    packet_address(&packet, 70, "127.0.0.3");
    packet_address(&packet, 5, "fd00::1");
    read_good(&answer, DNS_A);
    assert_int_equal(answer.count, 2);
    assert_int_equal(answer.ttl_s, 40);
    assert_false(answer.is_capped);
    assert_record(&answer.records[0], "127.0.0.2", "none");
    assert_record(&answer.records[1], "127.0.0.3", "none");
    assert_int_equal(answer.records[1].ttl_s, 60);
    assert_int_equal(answer.records[0].port, 80);
    assert_int_equal(answer.records[0].address.in.sin_port, htons(80));
    assert_int_equal(dns_address_len(&answer.records[0].address), sizeof(struct sockaddr_in));
    dns_answer_free(&answer);
    read_good(&answer, DNS_AAAA);
    assert_int_equal(answer.count, 1);
    assert_int_equal(answer.ttl_s, 5);
    assert_record(&answer.records[0], "fd00::1", "none");
    assert_int_equal(answer.records[0].address.in6.sin6_port, htons(80));
    assert_int_equal(dns_address_len(&answer.records[0].address), sizeof(struct sockaddr_in6));
    dns_answer_free(&answer);
}

static void test_nothing(void **state)
{
    (void)state;
    struct dns_answer answer;

    packet_begin(&packet, 7, "app.internal", 1);
    read_good(&answer, DNS_A);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.ttl_s, UINT32_MAX);
    packet_cname(&packet, 40, "real.internal");
    read_good(&answer, DNS_A);
    assert_int_equal(answer.count, 0);
    assert_int_equal(answer.ttl_s, UINT32_MAX);
}

static void test_ttl(void **state)
{
    (void)state;
    struct dns_answer answer;

    packet_begin(&packet, 7, "app.internal", 1);
    packet_address(&packet, 0x80000000, "127.0.0.1");
    read_good(&answer, DNS_A);
    assert_int_equal(answer.ttl_s, 0);
    dns_answer_free(&answer);
    packet_begin(&packet, 7, "app.internal", 1);
    packet_address(&packet, 0x7fffffff, "127.0.0.1");
    read_good(&answer, DNS_A);
    assert_int_equal(answer.ttl_s, 0x7fffffff);
    dns_answer_free(&answer);
}

/* As many as a message can hold: with the root as their owner. */
static void test_capped(void **state)
{
    (void)state;
    struct dns_answer answer;
    char text[32];

    packet_begin(&packet, 7, "a", 1);
    packet.owner = (struct str){"", 1};
    for (unsigned i = 4300; i > 0; i--) {
        snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
        packet_address(&packet, 60, text);
    }
    read_good(&answer, DNS_A);
    assert_true(answer.is_capped);
    assert_int_equal(answer.count, DNS_RECORDS_MAX);
    assert_record(&answer.records[0], "10.0.0.1", "none");
    assert_record(&answer.records[4095], "10.0.16.0", "none");
    dns_answer_free(&answer);
}

static void test_add_is_bounded(void **state)
{
    (void)state;
    struct dns_answer answer;
    struct dns_record record = {.port = 1};

    dns_answer_init(&answer);
    for (unsigned i = 0; i < 10000; i++) {
        record.weight = (uint16_t)i;
        assert_int_equal(dns_answer_add(&answer, &record), OK);
    }
    assert_true(answer.is_capped);
    assert_int_equal(answer.count, 2 * DNS_RECORDS_MAX);
    dns_answer_settle(&answer);
    assert_int_equal(answer.count, DNS_RECORDS_MAX);
    assert_int_equal(dns_address_len(&answer.records[0].address), 0);
    dns_answer_free(&answer);
}

static void test_equal(void **state)
{
    (void)state;
    struct dns_answer a, b;

    packet_begin(&packet, 7, "app.internal", 1);
    packet_address(&packet, 60, "127.0.0.1");
    packet_address(&packet, 60, "127.0.0.2");
    read_good(&a, DNS_A);
    packet_begin(&packet, 8, "app.internal", 1);
    packet_address(&packet, 30, "127.0.0.2");
    packet_address(&packet, 30, "127.0.0.1");
    read_good(&b, DNS_A);
    assert_true(dns_answer_equal(&a, &b));
    b.records[1].weight = 1;
    assert_false(dns_answer_equal(&a, &b));
    b.count = 1;
    assert_false(dns_answer_equal(&a, &b));
    dns_answer_free(&a);
    dns_answer_free(&b);
}

/* --- services */

static void test_services(void **state)
{
    (void)state;
    struct dns_answer answer;

    packet_begin(&packet, 7, "_http._tcp.App.internal", 33);
    packet_service(&packet, 60, &(struct packet_srv){20, 5, 8080, "B.internal"});
    packet_service(&packet, 30, &(struct packet_srv){10, 7, 9000, "a-1.internal"});
    packet_service(&packet, 30, &(struct packet_srv){10, 7, 9000, "A-1.internal"});
    packet_service(&packet, 10, &(struct packet_srv){0, 0, 0, "."});
    packet_record(&packet, 33, 30, 8);
    packet_put(&packet, "\0\1\0\2\0\3\xc0\x17", 8); // to App.internal in the question
    read_good(&answer, DNS_SRV);
    assert_int_equal(answer.count, 3);
    assert_record(&answer.records[0], "none", "app.internal");
    assert_int_equal(answer.records[0].priority, 1);
    assert_int_equal(answer.records[0].weight, 2);
    assert_int_equal(answer.records[0].port, 3);
    assert_record(&answer.records[1], "none", "a-1.internal");
    assert_int_equal(answer.records[1].weight, 7);
    assert_record(&answer.records[2], "none", "b.internal");
    assert_int_equal(answer.records[2].port, 8080);
    dns_answer_free(&answer);
}

/* An SRV record whose name is these bytes, at offset 12 + 9 + 12 + 6 = 0x27. */
static void put_target(const void *name, size_t len)
{
    packet_begin(&packet, 7, "a", 33);
    packet.bytes[12] = 3; // a longer name, for pointers to land in: "\3a.b"
    packet.len = 12;
    packet_put(&packet, "\3a.b\0\0\x21\0\1", 9);
    packet.owner = (struct str){"\xc0\x0c", 2};
    packet_record(&packet, 33, 1, 6 + len);
    packet_put(&packet, "\0\1\0\1\0\1", 6);
    packet_put(&packet, name, len);
}

static void test_wrong_names(void **state)
{
    (void)state;
    static const struct str names[] = {
        STR_INIT("\xc0\x27"),    // itself
        STR_INIT("\xc0\x28"),    // forward
        STR_INIT("\1a\xc0\x27"), // a loop over a label
        STR_INIT("\1a\xc0\x29"), // the pointer itself, behind a label
        STR_INIT("\xc0\x02"),    // into the header
        STR_INIT("\xc0\x0c"),    // to a label with a dot in it
        STR_INIT("\xff\xff"),    // far behind the end
        STR_INIT("\x80\x0c"),    // no kind of label
        STR_INIT("\x40\x0c"),    // nor this
        STR_INIT("\1\0\0"),      // a NUL
        STR_INIT("\1 \0"),       // a space
        STR_INIT("\1\xe4\0"),    // a byte of Latin-1
        STR_INIT("\1a"),         // without an end
        STR_INIT("\5abc"),       // a label cut
        STR_INIT("\xc0"),        // half a pointer
        STR_INIT("\1a\0rest"),   // with something behind
        STR_INIT("\1a\xc0"),     // half a pointer behind a label
    };

    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        put_target(names[i].p, names[i].len);
        assert_refused(DNS_SRV);
    }
}

/* Two pointers that point to each other, reached from the third name. */
static void test_pointer_ring(void **state)
{
    (void)state;

    packet_begin(&packet, 7, "a", 33);
    packet.owner = (struct str){"", 1};
    packet_record(&packet, 16, 1, 4); // data at 12 + 7 + 11 = 30
    packet_put(&packet, "\xc0\x20\xc0\x1e", 4);
    packet_record(&packet, 33, 1, 8);
    packet_put(&packet, "\0\1\0\1\0\1\xc0\x20", 8);
    assert_refused(DNS_SRV);
}

static void test_long_names(void **state)
{
    (void)state;
    struct dns_answer answer;
    char name[300], label[64] = "";

    memset(label, 'x', 63);
    snprintf(name, sizeof(name), "%s.%s.%s.%.61s", label, label, label, label);
    packet_begin(&packet, 7, "a", 33);
    packet_service(&packet, 1, &(struct packet_srv){1, 1, 1, name});
    read_good(&answer, DNS_SRV);
    assert_string_equal(answer.records[0].target.p, name);
    assert_int_equal(answer.records[0].target.len, 253);
    dns_answer_free(&answer);
    snprintf(name, sizeof(name), "%s.%s.%s.%.62s", label, label, label, label);
    packet_begin(&packet, 7, "a", 33);
    packet_service(&packet, 1, &(struct packet_srv){1, 1, 1, name});
    assert_refused(DNS_SRV);
}

/* --- what is broken */

static void test_cut_anywhere(void **state)
{
    (void)state;
    struct dns_answer answer;
    struct str text;

    packet_begin(&packet, 7, "app.internal", 33);
    packet_address(&packet, 60, "127.0.0.1");
    packet_address(&packet, 60, "fd00::1");
    packet_service(&packet, 60, &(struct packet_srv){1, 1, 1, "b.internal"});
    packet_text(&packet, 60, (const char *[]){"some", "text", NULL});
    for (size_t len = 0; len < packet.len; len++) {
        char *copy = malloc(len ? len : 1);
        static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_SRV};

        memcpy(copy, packet.bytes, len);
        for (unsigned i = 0; i < ARRAY_LEN(types); i++) {
            assert_int_equal(read_bytes(&answer, packet.bytes, len, types[i]), E_INVALID);
            dns_answer_free(&answer);
        }
        assert_int_equal(dns_answer_text((struct str){copy, len}, &text), E_INVALID);
        free(copy);
    }
    assert_int_equal(read_bytes(&answer, packet.bytes, packet.len, DNS_A), OK);
    dns_answer_free(&answer);
}

static void test_broken(void **state)
{
    (void)state;

    packet_begin(&packet, 7, "app.internal", 1);
    packet_address(&packet, 60, "127.0.0.1");
    packet_flags(&packet, 0x0100); // a question
    assert_refused(DNS_A);
    packet_begin(&packet, 7, "app.internal", 1);
    packet_record(&packet, 1, 60, 5);
    packet_put(&packet, "12345", 5);
    assert_refused(DNS_A);
    packet_begin(&packet, 7, "app.internal", 1);
    packet_record(&packet, 28, 60, 4);
    packet_put(&packet, "1234", 4);
    assert_refused(DNS_AAAA);
    packet_begin(&packet, 7, "app.internal", 1);
    packet_record(&packet, 33, 60, 6);
    packet_put(&packet, "123456", 6);
    assert_refused(DNS_SRV);
    packet_begin(&packet, 7, "app.internal", 1);
    packet.bytes[7] = 200; // more answers than there are
    assert_refused(DNS_A);
}

/* --- texts */

static void test_text(void **state)
{
    (void)state;
    struct str text;

    packet_begin(&packet, 7, "vms.app.internal", 16);
    assert_int_equal(dns_answer_text((struct str){(char *)packet.bytes, packet.len}, &text), OK);
    assert_string_equal(text.p, "");
    free((void *)(uintptr_t)text.p);
    packet_text(&packet, 60, (const char *[]){"148e21 iad,3d", "8dd9 fra", NULL});
    packet_text(&packet, 60, (const char *[]){"90 ams", NULL});
    assert_int_equal(dns_answer_text((struct str){(char *)packet.bytes, packet.len}, &text), OK);
    assert_string_equal(text.p, "148e21 iad,3d8dd9 fra,90 ams");
    assert_int_equal(text.len, strlen(text.p));
    free((void *)(uintptr_t)text.p);
    packet_record(&packet, 16, 60, 3);
    packet_put(&packet, "\3ab", 3); // a string longer than its record
    assert_int_equal(dns_answer_text((struct str){(char *)packet.bytes, packet.len}, &text),
                     E_INVALID);
}

static void test_fly(void **state)
{
    (void)state;
    struct dns_fly_machine machines[4];
    struct str text = STR("148e21 iad, 3d8dd9  fra ,,x,1 2 3,a\1 fra,b f_ra,y ams,z syd,w ord");

    assert_int_equal(dns_fly_parse(text, machines, 4), 4);
    assert_memory_equal(machines[0].id.p, "148e21", machines[0].id.len);
    assert_int_equal(machines[0].id.len, 6);
    assert_memory_equal(machines[0].region.p, "iad", machines[0].region.len);
    assert_memory_equal(machines[1].id.p, "3d8dd9", machines[1].id.len);
    assert_memory_equal(machines[1].region.p, "fra", machines[1].region.len);
    assert_int_equal(machines[1].region.len, 3);
    assert_memory_equal(machines[2].id.p, "y", machines[2].id.len);
    assert_memory_equal(machines[3].id.p, "z", machines[3].id.len);
    assert_int_equal(dns_fly_parse(STR_NONE, machines, 4), 0);
    assert_int_equal(dns_fly_parse(STR("a iad"), machines, 0), 0);
    assert_int_equal(dns_fly_parse(STR("a abcdefghijklmnopq,"), machines, 4), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_ttl),
        cmocka_unit_test(test_capped),
        cmocka_unit_test(test_add_is_bounded),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_wrong_names),
        cmocka_unit_test(test_pointer_ring),
        cmocka_unit_test(test_long_names),
        cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_fly),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
