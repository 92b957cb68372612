/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of endpoint.c: what an address resolves to. The cap is tested with the gate.
 */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

#include "edge/upstream/endpoint.h"

struct result {
    enum status status;
    struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    unsigned count;
    const char *error;
};

static struct result resolve(struct str host, uint16_t port, bool is_unix)
{
    struct conf_address address = {.host = host, .port = port, .is_unix = is_unix};
    struct result result = {.count = 99};

    result.status = endpoint_resolve(&address, result.addresses, &result.count, &result.error);
    return result;
}

/* As text with the port: "127.0.0.1 80". */
static void assert_inet(const struct endpoint_address *address, const char *text, uint16_t port)
{
    char out[INET6_ADDRSTRLEN];
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address->socket;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address->socket;

    if (address->socket.ss_family == AF_INET) {
        assert_int_equal(address->len, sizeof(*v4));
        assert_string_equal(inet_ntop(AF_INET, &v4->sin_addr, out, sizeof(out)), text);
        assert_int_equal(ntohs(v4->sin_port), port);
        return;
    }
    assert_int_equal(address->socket.ss_family, AF_INET6);
    assert_int_equal(address->len, sizeof(*v6));
    assert_string_equal(inet_ntop(AF_INET6, &v6->sin6_addr, out, sizeof(out)), text);
    assert_int_equal(ntohs(v6->sin6_port), port);
}

static void test_literals(void **state)
{
    (void)state;
    struct result result = resolve(STR("127.0.0.1"), 80, false);

    assert_int_equal(result.status, OK);
    assert_int_equal(result.count, 1);
    assert_inet(&result.addresses[0], "127.0.0.1", 80);
    result = resolve(STR("::1"), 65535, false);
    assert_int_equal(result.status, OK);
    assert_int_equal(result.count, 1);
    assert_inet(&result.addresses[0], "::1", 65535);
}

static void test_host_need_not_be_terminated(void **state)
{
    (void)state;
    struct result result = resolve((struct str){"10.1.2.34567", 9}, 1, false);

    assert_int_equal(result.status, OK);
    assert_inet(&result.addresses[0], "10.1.2.34", 1);
}

static void test_name(void **state)
{
    (void)state;
    struct result result = resolve(STR("localhost"), 8080, false);

    assert_int_equal(result.status, OK);
    assert_in_range(result.count, 1, ENDPOINT_ADDRESSES_MAX);
    for (unsigned i = 0; i < result.count; i++)
        assert_inet(&result.addresses[i],
                    result.addresses[i].socket.ss_family == AF_INET ? "127.0.0.1" : "::1", 8080);
}

static void assert_none(const struct result *result)
{
    assert_int_not_equal(result->status, OK);
    assert_int_equal(result->count, 0);
    assert_non_null(result->error);
    assert_true(strlen(result->error) > 0);
}

static void test_what_does_not_resolve(void **state)
{
    (void)state;
    char host[300];
    struct result result = resolve(STR("not a name"), 80, false);

    assert_int_equal(result.status, E_NOT_FOUND);
    assert_none(&result);
    memset(host, 'a', sizeof(host));
    result = resolve((struct str){host, sizeof(host)}, 80, false);
    assert_none(&result);
    result = resolve((struct str){host, 256}, 80, false);
    assert_none(&result);
}

static void test_unix_paths(void **state)
{
    (void)state;
    struct result result = resolve(STR("/run/app.sock"), 0, true);
    const struct sockaddr_un *un = (const struct sockaddr_un *)&result.addresses[0].socket;
    char path[sizeof(un->sun_path) + 1];

    assert_int_equal(result.status, OK);
    assert_int_equal(result.count, 1);
    assert_int_equal(un->sun_family, AF_UNIX);
    assert_string_equal(un->sun_path, "/run/app.sock");
    memset(path, 'p', sizeof(path));
    result = resolve((struct str){path, sizeof(un->sun_path) - 1}, 0, true);
    assert_int_equal(result.status, OK);
    assert_int_equal(strlen(un->sun_path), sizeof(un->sun_path) - 1);
    assert_int_equal(result.addresses[0].len, sizeof(*un));
    result = resolve((struct str){path, sizeof(un->sun_path)}, 0, true);
    assert_none(&result);
}

static void test_life(void **state)
{
    (void)state;
    char name[] = "shop";
    struct endpoint *endpoint = endpoint_new((struct str){name, 4}, STR("a"), STR("b:1"), 5);
    struct endpoint *other = endpoint;

    name[0] = 'X';
    assert_string_equal(endpoint->service.p, "shop");
    assert_string_equal(endpoint->id.p, "a");
    assert_string_equal(endpoint->address.p, "b:1");
    assert_int_equal(endpoint->workers, 5);
    assert_int_equal(endpoint->locals[4].idle_count, 0);
    assert_int_equal((uintptr_t)&endpoint->locals[4] % 64, 0);
    endpoint_ref(endpoint);
    endpoint_unref(&endpoint);
    assert_null(endpoint);
    assert_string_equal(other->id.p, "a");
    endpoint_unref(&other);
    endpoint_unref(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),   cmocka_unit_test(test_host_need_not_be_terminated),
        cmocka_unit_test(test_name),       cmocka_unit_test(test_what_does_not_resolve),
        cmocka_unit_test(test_unix_paths), cmocka_unit_test(test_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
