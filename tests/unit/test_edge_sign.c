/* SPDX-License-Identifier: Apache-2.0
 *
 * What targets are told by X-Sluice-Signature, against sums that Python's hmac made.
 */
#include "edge/upstream/edge_sign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct str key = STR_INIT("0123456789abcdef0123456789abcdef");

static void check(struct head request, struct str client, const char *sum)
{
    struct mac *mac = mac_new(key);
    struct arena arena;
    struct str value;

    arena_init(&arena, NULL, 0);
    value = edge_sign(mac, &arena, &request, client, UINT64_C(1700000000999));
    assert_int_equal(value.len, strlen("t=1700000000,v1=") + 64);
    assert_memory_equal(value.p, "t=1700000000,v1=", 16);
    assert_memory_equal(value.p + 16, sum, 64);
    arena_reset(&arena);
    mac_free(&mac);
}

static void it_is_over_what_is_sent(void **state)
{
    (void)state;
    check((struct head){.method_name = STR_INIT("GET"),
                        .path = STR_INIT("/a/b"),
                        .query = STR_INIT("x=1")},
          STR("203.0.113.7"), "4f9e36ef8c59298f94796b42041aed5f31a64ee94f44c79c92bc9f3c8aa70123");
    check((struct head){.method_name = STR_INIT("GET"), .path = STR_INIT("/up")}, STR("-"),
          "c75fab2ad7c9a8a5d74c8d96b43c755e70a9febacf0d7b24b8e5c063f4a8c453");
    check((struct head){.method_name = STR_INIT("POST"),
                        .path = STR_INIT("/"),
                        .query = STR_INIT("")},
          STR("2001:db8::7"), "dbfac57cb49056342ce4a584b381c0f4129d3a1a74dcbdbedab4f5ccf426cf97");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(it_is_over_what_is_sent)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
