/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of registry.c: which endpoint a build finds again, and which are forgotten.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/registry.h"

struct bench {
    struct registry *registry;
    unsigned wakes;
};

static void wake(void *owner, unsigned worker)
{
    struct bench *bench = owner;

    bench->wakes += worker;
}

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    bench->registry = registry_new(3, wake, bench);
    return bench->registry ? 0 : -1;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    registry_free(&bench->registry);
    assert_null(bench->registry);
    registry_free(&bench->registry);
    free(bench);
    return 0;
}

/* One address for each letter. */
static unsigned make_addresses(struct endpoint_address *addresses, const char *letters)
{
    unsigned n = (unsigned)strlen(letters);

    memset(addresses, 0, n * sizeof(*addresses));
    for (unsigned i = 0; i < n; i++) {
        struct sockaddr_in *in = (struct sockaddr_in *)&addresses[i].socket;

        in->sin_family = AF_INET;
        in->sin_addr.s_addr = htonl((uint32_t)letters[i]);
        addresses[i].len = sizeof(*in);
    }
    return n;
}

struct name {
    struct str service, id, address;
};

static const struct name usual = {STR_INIT("shop"), STR_INIT("a"), STR_INIT("app:80")};

static struct endpoint *ask(struct bench *bench, struct name name, const char *letters)
{
    struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    struct conf_target target = {.id.s = name.id, .address.text.s = name.address};
    struct registry_wish wish = {.service = name.service,
                                 .target = &target,
                                 .addresses = addresses};

    wish.count = make_addresses(addresses, letters);
    return registry_endpoint(bench->registry, &wish);
}

/* A build that asks for one endpoint; the reference is the caller's. */
static struct endpoint *build(struct bench *bench, const char *letters)
{
    struct endpoint *endpoint;

    registry_begin(bench->registry);
    endpoint = ask(bench, usual, letters);
    registry_end(bench->registry);
    assert_non_null(endpoint);
    return endpoint;
}

/* Whether a second build with these addresses finds the endpoint of the first. */
static bool is_found(struct bench *bench, const char *first, const char *second)
{
    struct endpoint *one = build(bench, first), *other = build(bench, second);
    bool is_same = one == other;

    assert_int_equal(other->address_count, strlen(*second ? second : first));
    endpoint_unref(&one);
    endpoint_unref(&other);
    registry_begin(bench->registry);
    registry_end(bench->registry);
    return is_same;
}

static void test_addresses(void **state)
{
    struct bench *bench = *state;

    assert_true(is_found(bench, "ab", "ab"));
    assert_true(is_found(bench, "abc", "cab"));
    assert_false(is_found(bench, "ab", "ac"));
    assert_false(is_found(bench, "ab", "a"));
    assert_false(is_found(bench, "a", "ab"));
    assert_false(is_found(bench, "", "a"));
    assert_true(is_found(bench, "ab", ""));
    assert_true(is_found(bench, "", ""));
    assert_false(is_found(bench, "ab", "aa"));
    assert_false(is_found(bench, "aa", "ab"));
    assert_true(is_found(bench, "aa", "aa"));
}

static void test_identity(void **state)
{
    struct bench *bench = *state;
    struct endpoint *endpoints[5];
    struct name names[4] = {usual, usual, usual, usual};

    names[1].service = STR("shop2");
    names[2].id = STR("b");
    names[3].address = STR("app:81");
    registry_begin(bench->registry);
    for (unsigned i = 0; i < 4; i++)
        endpoints[i] = ask(bench, names[i], "a");
    endpoints[4] = ask(bench, usual, "a");
    registry_end(bench->registry);
    for (unsigned i = 0; i < 4; i++)
        for (unsigned k = 0; k < i; k++)
            assert_ptr_not_equal(endpoints[i], endpoints[k]);
    assert_ptr_equal(endpoints[4], endpoints[0]);
    assert_int_equal(endpoints[0]->refs, 3); /* the registry's and two of ours */
    assert_int_equal(endpoints[0]->workers, 3);
    for (unsigned i = 0; i < 5; i++)
        endpoint_unref(&endpoints[i]);
}

static void test_unwanted_ones_are_forgotten(void **state)
{
    struct bench *bench = *state;
    struct endpoint *first = build(bench, "a"), *second;

    assert_int_equal(first->refs, 2);
    registry_begin(bench->registry);
    registry_end(bench->registry);
    assert_int_equal(first->refs, 1);
    second = build(bench, "a");
    assert_ptr_not_equal(first, second);
    endpoint_unref(&first);
    endpoint_unref(&second);
}

/* The addresses change: the old endpoint serves those that hold it, and is not found any more. */
static void test_changed_addresses(void **state)
{
    struct bench *bench = *state;
    struct endpoint *old = build(bench, "a"), *new = build(bench, "b"), *later = build(bench, "");

    assert_ptr_equal(new, later);
    assert_int_equal(old->refs, 1);
    assert_int_equal(((struct sockaddr_in *)&old->addresses[0].socket)->sin_addr.s_addr,
                     htonl('a'));
    endpoint_unref(&old);
    endpoint_unref(&new);
    endpoint_unref(&later);
}

static void test_build_that_is_given_up(void **state)
{
    struct bench *bench = *state;
    struct endpoint *kept = build(bench, "a"), *lost, *again;

    registry_begin(bench->registry);
    lost = ask(bench, usual, "b");
    endpoint_unref(&lost); /* no end: the build failed */
    again = build(bench, "a");
    assert_ptr_equal(kept, again);
    endpoint_unref(&kept);
    endpoint_unref(&again);
}

static void test_gates(void **state)
{
    struct bench *bench = *state;
    struct gate *shop = registry_gate(bench->registry, STR("shop"), STR("stable"));
    struct gate *other = registry_gate(bench->registry, STR("shop2"), STR("stable"));

    assert_ptr_not_equal(shop, other);
    registry_begin(bench->registry);
    registry_end(bench->registry);
    assert_ptr_equal(registry_gate(bench->registry, STR("shop"), STR("stable")), shop);
    gate_wait(shop, 2);
    gate_release(other);
    assert_int_equal(bench->wakes, 0);
    gate_release(shop);
    assert_int_equal(bench->wakes, 2);
}

/* A release has its gate as long as it is asked for; then another one gets it. */
static void test_gates_of_releases(void **state)
{
    struct bench *bench = *state;
    struct registry *registry = bench->registry;
    struct gate *gates[CONF_RELEASES_MAX], *next;
    char id[] = "0";

    registry_begin(registry);
    for (unsigned i = 0; i < CONF_RELEASES_MAX; i++, id[0]++) {
        gates[i] = registry_gate(registry, STR("shop"), (struct str){id, 1});
        assert_non_null(gates[i]);
        assert_ptr_equal(gates[i]->whole, gates[0]);
        for (unsigned k = 0; k < i; k++)
            assert_ptr_not_equal(gates[i], gates[k]);
    }
    assert_null(registry_gate(registry, STR("shop"), STR("one too many")));
    registry_begin(registry);
    next = registry_gate(registry, STR("shop"), STR("next"));
    for (unsigned i = 1, n = '1'; i < CONF_RELEASES_MAX; i++, n++) {
        id[0] = (char)n;
        assert_ptr_equal(registry_gate(registry, STR("shop"), (struct str){id, 1}), gates[i]);
    }
    assert_ptr_equal(next, gates[0]);
}

/* A place under the cap of the whole may be one for any release's requests. */
static void test_all_gates_of_a_capped_service_are_woken(void **state)
{
    struct bench *bench = *state;
    struct gate *a = registry_gate(bench->registry, STR("shop"), STR("a"));
    struct gate *b = registry_gate(bench->registry, STR("shop"), STR("b"));

    gate_wait(a, 1);
    gate_release(b);
    assert_int_equal(bench->wakes, 0);
    a->whole->cap = 1;
    gate_wait(b, 1);
    gate_release(b);
    assert_int_equal(a->waiting | b->waiting, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_addresses, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_identity, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_unwanted_ones_are_forgotten, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_changed_addresses, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_build_that_is_given_up, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_gates, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_gates_of_releases, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_all_gates_of_a_capped_service_are_woken, make_bench,
                                        remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
