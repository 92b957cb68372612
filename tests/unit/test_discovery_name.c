/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS records as targets: ids, weights, priorities, regions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/manager/discovery_name.h"

static struct dns_record record(const char *address, uint16_t port)
{
    struct dns_record made = {.port = port};

    if (strchr(address, ':')) {
        made.address.in6.sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, address, &made.address.in6.sin6_addr), 1);
    } else if (*address) {
        made.address.in.sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, address, &made.address.in.sin_addr), 1);
    }
    return made;
}

static struct dns_record service(const char *target, const char *address, uint16_t priority,
                                 uint16_t weight)
{
    struct dns_record made = record(address, 80);

    made.target = (struct str){target, strlen(target)};
    made.priority = priority;
    made.weight = weight;
    return made;
}

/* "id=address*weight/priority@region " of each target. */
static void expect(struct found_list *list, const char *expected)
{
    char text[2048] = "";

    assert_non_null(list);
    for (uint32_t i = 0; i < list->count; i++) {
        const struct conf_target *target = &list->items[i];
        size_t len = strlen(text);

        snprintf(text + len, sizeof(text) - len, "%.*s=%.*s*%u/%u@%.*s ", STR_FMT(target->id.s),
                 STR_FMT(target->address.text.s), target->weight, target->priority,
                 STR_FMT(target->region.s));
    }
    found_list_unref(&list);
    assert_string_equal(text, expected);
}

static void test_addresses(void **state)
{
    struct dns_record records[] = {record("10.0.0.2", 80), record("10.0.0.1", 80),
                                   record("fd00::1", 80)};
    struct found_list *list = discovery_name(records, 3);

    (void)state;
    assert_int_equal(list->count, 3);
    assert_int_equal(list->items[2].address.port, 80);
    assert_int_equal(list->items[2].address.host.len, strlen("fd00::1"));
    assert_memory_equal(list->items[2].address.host.p, "fd00::1", strlen("fd00::1"));
    expect(list, "10.0.0.1:80=10.0.0.1:80*1/0@ 10.0.0.2:80=10.0.0.2:80*1/0@ "
                 "[fd00::1]:80=[fd00::1]:80*1/0@ ");
    expect(discovery_name(NULL, 0), "");
}

static void test_hosts_of_services(void **state)
{
    struct dns_record records[] = {
        service("b", "10.0.0.2", 0, 1), service("a", "10.0.0.1", 0, 1),
        service("b", "10.0.0.1", 0, 1), service("c", "", 0, 1),
        service("d", "fd00::1", 0, 1),
    };
    struct dns_record none = record("10.0.0.1", 0);

    (void)state;
    expect(discovery_name(records, 5), "a:80=10.0.0.1:80*1/0@ b:80@10.0.0.1=10.0.0.1:80*1/0@ "
                                       "b:80@10.0.0.2=10.0.0.2:80*1/0@ d:80=[fd00::1]:80*1/0@ ");
    expect(discovery_name(&none, 1), "");
}

static void test_an_address_that_stands_twice(void **state)
{
    struct dns_record records[] = {service("a", "10.0.0.1", 1, 5), service("a", "10.0.0.1", 2, 6)};

    (void)state;
    expect(discovery_name(records, 2), "a:80=10.0.0.1:80*5/0@ ");
}

static void test_weights(void **state)
{
    struct dns_record small[] = {service("a", "10.0.0.1", 0, 0), service("b", "10.0.0.1", 0, 1000)};
    struct dns_record large[] = {service("a", "10.0.0.1", 0, 0), service("b", "10.0.0.1", 0, 65535),
                                 service("c", "10.0.0.1", 0, 32768)};

    (void)state;
    expect(discovery_name(small, 2), "a:80=10.0.0.1:80*1/0@ b:80=10.0.0.1:80*1000/0@ ");
    expect(discovery_name(large, 3),
           "a:80=10.0.0.1:80*1/0@ b:80=10.0.0.1:80*1000/0@ c:80=10.0.0.1:80*500/0@ ");
}

static void test_priorities_are_ranked(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                        "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};
    struct dns_record few[] = {service("a", "10.0.0.1", 10, 1), service("b", "10.0.0.1", 10, 1),
                               service("c", "", 11, 1), service("d", "10.0.0.1", 50, 1),
                               service("e", "10.0.0.1", 65535, 1)};
    struct dns_record many[20];
    struct found_list *list;

    (void)state;
    expect(discovery_name(few, 5), "a:80=10.0.0.1:80*1/0@ b:80=10.0.0.1:80*1/0@ "
                                   "d:80=10.0.0.1:80*1/1@ e:80=10.0.0.1:80*1/2@ ");
    for (uint16_t i = 0; i < 20; i++)
        many[i] = service(names[i], "10.0.0.1", (uint16_t)(i * 100), 1);
    list = discovery_name(many, 20);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(list->items[i].priority, i < 15 ? i : 15);
    found_list_unref(&list);
}

static void test_regions(void **state)
{
    struct dns_record records[] = {record("fdaa::1", 80), record("fdaa::2", 80),
                                   record("10.0.0.1", 80)};
    struct found_list *list = discovery_name(records, 3), *placed;
    struct discovery_region regions[1] = {{.region = "fra"}};

    (void)state;
    regions[0].address = records[1].address.in6.sin6_addr;
    placed = discovery_name_regions(list, regions, 1);
    assert_false(found_list_equal(list, placed));
    expect(placed, "10.0.0.1:80=10.0.0.1:80*1/0@ [fdaa::1]:80=[fdaa::1]:80*1/0@ "
                   "[fdaa::2]:80=[fdaa::2]:80*1/0@fra ");
    placed = discovery_name_regions(list, regions, 0);
    assert_true(found_list_equal(list, placed));
    found_list_unref(&placed);
    found_list_unref(&list);
}

static void test_as_many_as_there_may_be(void **state)
{
    struct dns_record *records = calloc(DNS_RECORDS_MAX + 10, sizeof(*records));
    struct found_list *list;

    (void)state;
    for (uint32_t i = 0; i < DNS_RECORDS_MAX + 10; i++) {
        records[i] = record("10.0.0.0", 80);
        records[i].address.in.sin_addr.s_addr |= htonl(i);
    }
    list = discovery_name(records, DNS_RECORDS_MAX + 10);
    assert_int_equal(list->count, 4096);
    found_list_unref(&list);
    free(records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_hosts_of_services),
        cmocka_unit_test(test_an_address_that_stands_twice),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_priorities_are_ranked),
        cmocka_unit_test(test_regions),
        cmocka_unit_test(test_as_many_as_there_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
