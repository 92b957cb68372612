/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and networks: base/ip and base/cidr.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cidr.h"

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static void test_both_families_print_as_they_are_written(void **state)
{
    static const char *const same[] = {"192.0.2.1",   "0.0.0.0", "255.255.255.255",
                                       "2001:db8::1", "::1",     "fdaa:0:1::3"};
    uint8_t ip[IP_LEN];
    char printed[IP_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(same); i++) {
        assert_true(ip_parse(text(same[i]), ip));
        assert_int_equal(ip_print(ip, printed), strlen(same[i]));
        assert_string_equal(printed, same[i]);
        assert_int_equal(ip_is_v4(ip), !strchr(same[i], ':'));
    }
    assert_true(ip_parse(text("::ffff:192.0.2.1"), ip));
    ip_print(ip, printed);
    assert_string_equal(printed, "192.0.2.1");
    assert_true(ip_parse(text("::"), ip) && ip_is_none(ip) && !ip_hash(ip));
}

static void test_what_is_no_address(void **state)
{
    static const char *const bad[] = {
        "",           "1",
        "1.2.3",      "1.2.3.4.5",
        "1.2.3.256",  "01.2.3.4",
        " 1.2.3.4",   "1.2.3.4 ",
        "1.2.3.4:80", "[::1]",
        "::1%lo",     "fe80::1%eth0",
        ":::",        "1:2:3:4:5:6:7:8:9",
        "unknown",    "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"};
    uint8_t ip[IP_LEN];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ip_parse(text(bad[i]), ip));
    assert_false(ip_parse((struct str){"1.2.3.4\0x", 9}, ip));
}

static void test_one_client(void **state)
{
    uint8_t a[IP_LEN], b[IP_LEN];

    (void)state;
    assert_true(ip_parse(text("2001:db8:1:2::1"), a) && ip_parse(text("2001:db8:1:2:ffff::9"), b));
    assert_true(ip_hash(a) == ip_hash(b));
    assert_true(ip_parse(text("2001:db8:1:3::1"), b) && ip_hash(a) != ip_hash(b));
    assert_true(ip_parse(text("192.0.2.1"), a) && ip_parse(text("192.0.2.2"), b));
    assert_true(ip_hash(a) != ip_hash(b));
}

static void test_sockets_addresses(void **state)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr none = {.sa_family = AF_UNIX};
    uint8_t a[IP_LEN], b[IP_LEN];

    (void)state;
    inet_pton(AF_INET, "192.0.2.7", &v4.sin_addr);
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &v6.sin6_addr);
    assert_true(ip_of((struct sockaddr *)&v4, a) && ip_of((struct sockaddr *)&v6, b));
    assert_memory_equal(a, b, IP_LEN);
    assert_false(ip_of(&none, a));
    assert_true(ip_is_none(a));
}

static void check(const char *net, const char *address, bool expected)
{
    struct cidr cidr;
    uint8_t ip[IP_LEN];

    assert_true(cidr_parse(text(net), &cidr));
    assert_true(ip_parse(text(address), ip));
    assert_int_equal(cidr_has(&cidr, ip), expected);
    assert_int_equal(cidr_list_has(&cidr, 1, ip), expected);
}

static void test_networks(void **state)
{
    (void)state;
    check("10.0.0.0/8", "10.255.0.1", true);
    check("10.0.0.0/8", "11.0.0.1", false);
    check("192.0.2.128/25", "192.0.2.127", false);
    check("192.0.2.128/25", "192.0.2.128", true);
    check("192.0.2.1", "192.0.2.1", true);
    check("192.0.2.1", "192.0.2.2", false);
    check("0.0.0.0/0", "203.0.113.9", true);
    check("0.0.0.0/0", "2001:db8::1", false);
    check("::/0", "2001:db8::1", true);
    check("2001:db8::/33", "2001:db8:7fff::1", true);
    check("2001:db8::/33", "2001:db8:8000::1", false);
    check("::ffff:10.0.0.0/104", "10.1.2.3", true);
    check("fdaa::/16", "fdaa:1::1", true);
}

static void test_what_is_no_network(void **state)
{
    static const char *const bad[] = {"",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.0/08",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8 ",
                                      "10.0.0.1/8",
                                      "192.0.2.129/25",
                                      "::1/129",
                                      "2001:db8::1/64",
                                      "10/8",
                                      "10.0.0.0/1000",
                                      "localhost/8"};
    struct cidr cidr;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(cidr_parse(text(bad[i]), &cidr));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_families_print_as_they_are_written),
        cmocka_unit_test(test_what_is_no_address),
        cmocka_unit_test(test_one_client),
        cmocka_unit_test(test_sockets_addresses),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_what_is_no_network),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
