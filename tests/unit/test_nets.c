/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of networks against a model that looks at each: cases by hand, and random ones that overlap.
 */
#include "edge/access/nets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { ENTRIES_MAX = 12000 };

struct set {
    struct arena arena;
    const struct nets *nets;
    struct nets_entry *entries;
    size_t count;
};

static int set_up(void **state)
{
    struct set *set = calloc(1, sizeof(*set));

    arena_init(&set->arena, NULL, 0);
    set->entries = calloc(ENTRIES_MAX, sizeof(*set->entries));
    *state = set;
    return 0;
}

static int tear_down(void **state)
{
    struct set *set = *state;

    arena_reset(&set->arena);
    free(set->entries);
    free(set);
    return 0;
}

static void add(struct set *set, const char *text, uint8_t value)
{
    struct nets_entry *entry = &set->entries[set->count++];

    assert_true(cidr_parse((struct str){text, strlen(text)}, &entry->cidr));
    entry->value = value;
}

static void build(struct set *set)
{
    set->nets = nets_new(set->entries, set->count, &set->arena);
    assert_non_null(set->nets);
}

static unsigned find(const struct set *set, const char *text)
{
    uint8_t ip[IP_LEN];

    assert_true(ip_parse((struct str){text, strlen(text)}, ip));
    return nets_find(set->nets, ip);
}

static unsigned model(const struct set *set, const uint8_t ip[IP_LEN])
{
    const struct nets_entry *best = NULL;

    for (size_t i = 0; i < set->count; i++) {
        const struct nets_entry *at = &set->entries[i];

        if (!cidr_has(&at->cidr, ip) || (at->cidr.bits < 96 && ip_is_v4(ip)))
            continue;
        if (!best || at->cidr.bits > best->cidr.bits ||
            (at->cidr.bits == best->cidr.bits && at->value > best->value))
            best = at;
    }
    return best ? best->value : NETS_NONE;
}

static void test_an_empty_set_has_nobody(void **state)
{
    struct set *set = *state;

    build(set);
    assert_int_equal(find(set, "10.0.0.1"), NETS_NONE);
    assert_int_equal(find(set, "::"), NETS_NONE);
    assert_int_equal(find(set, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), NETS_NONE);
}

static void test_the_most_specific_one_decides(void **state)
{
    struct set *set = *state;

    add(set, "10.1.2.3", 3);
    add(set, "10.0.0.0/8", 1);
    add(set, "10.1.0.0/16", 2);
    add(set, "2001:db8::/32", 4);
    add(set, "2001:db8::1", 5);
    build(set);
    assert_int_equal(find(set, "10.255.255.255"), 1);
    assert_int_equal(find(set, "10.1.2.2"), 2);
    assert_int_equal(find(set, "10.1.2.3"), 3);
    assert_int_equal(find(set, "10.1.2.4"), 2);
    assert_int_equal(find(set, "9.255.255.255"), NETS_NONE);
    assert_int_equal(find(set, "11.0.0.0"), NETS_NONE);
    assert_int_equal(find(set, "2001:db8::"), 4);
    assert_int_equal(find(set, "2001:db8::1"), 5);
    assert_int_equal(find(set, "2001:db8::2"), 4);
    assert_int_equal(find(set, "2001:db9::"), NETS_NONE);
}

static void test_of_the_same_network_twice_the_higher_value_holds(void **state)
{
    struct set *set = *state;

    add(set, "192.0.2.0/25", 2);
    add(set, "192.0.2.0/25", 1);
    add(set, "2001:db8::8/125", 1);
    add(set, "2001:db8::8/125", 2);
    build(set);
    assert_int_equal(find(set, "192.0.2.127"), 2);
    assert_int_equal(find(set, "192.0.2.128"), NETS_NONE);
    assert_int_equal(find(set, "2001:db8::f"), 2);
    assert_int_equal(find(set, "2001:db8::10"), NETS_NONE);
}

static void test_each_family_has_its_whole(void **state)
{
    struct set *set = *state;

    add(set, "::/0", 6);
    build(set);
    assert_int_equal(find(set, "::"), 6);
    assert_int_equal(find(set, "2001:db8::1"), 6);
    assert_int_equal(find(set, "127.0.0.1"), NETS_NONE);
    add(set, "0.0.0.0/0", 4);
    build(set);
    assert_int_equal(find(set, "::1"), 6);
    assert_int_equal(find(set, "0.0.0.0"), 4);
    assert_int_equal(find(set, "255.255.255.255"), 4);
}

static void test_every_length_of_prefix(void **state)
{
    struct set *set = *state;
    uint8_t ip[IP_LEN];

    for (unsigned bits = 0; bits <= 128; bits++) {
        struct cidr cidr = {.bits = (uint8_t)bits};

        for (unsigned i = 0; i < bits; i++)
            cidr.ip[i / 8] = (uint8_t)(cidr.ip[i / 8] | 0x80 >> i % 8);
        set->entries[set->count++] = (struct nets_entry){cidr, (uint8_t)(bits + 1)};
    }
    build(set);
    memset(ip, 0xff, sizeof(ip));
    assert_int_equal(nets_find(set->nets, ip), 129);
    for (unsigned bits = 0; bits < 128; bits++) {
        memset(ip, 0xff, sizeof(ip));
        ip[bits / 8] = (uint8_t)(ip[bits / 8] ^ 0x80 >> bits % 8);
        assert_int_equal(nets_find(set->nets, ip), bits + 1);
    }
}

/* --- at random */

static void set_bits(uint8_t ip[IP_LEN], unsigned from, uint64_t *random)
{
    for (unsigned i = from; i < 128; i++)
        if (random_next(random) >> 63)
            ip[i / 8] = (uint8_t)(ip[i / 8] ^ 0x80 >> i % 8);
}

static void clear_bits(struct cidr *cidr)
{
    for (unsigned i = cidr->bits; i < 128; i++)
        cidr->ip[i / 8] = (uint8_t)(cidr->ip[i / 8] & ~(0x80 >> i % 8));
}

/* Of few prefixes, so that many hold one another. */
static void random_cidr(struct cidr *cidr, uint64_t *random, unsigned spread)
{
    bool is_v4 = random_below(random, 2);
    unsigned from = is_v4 ? 96 : 0;
    unsigned fixed = from + random_below(random, 128 - from);

    memset(cidr->ip, 0, IP_LEN);
    if (is_v4)
        cidr->ip[10] = cidr->ip[11] = 0xff;
    else
        cidr->ip[0] = 0x20;
    if (random_below(random, spread) == 0)
        fixed = is_v4 ? 96 : 3;
    set_bits(cidr->ip, fixed, random);
    cidr->bits = (uint8_t)(from + random_below(random, 129 - from));
    clear_bits(cidr);
}

static void ask(const struct set *set, const uint8_t ip[IP_LEN])
{
    assert_int_equal(nets_find(set->nets, ip), model(set, ip));
}

/* Ends of a network, and what lies beside them. */
static void ask_around(const struct set *set, const struct cidr *cidr, uint64_t *random)
{
    uint8_t ip[IP_LEN];

    memcpy(ip, cidr->ip, IP_LEN);
    ask(set, ip);
    for (unsigned i = cidr->bits; i < 128; i++)
        ip[i / 8] = (uint8_t)(ip[i / 8] | 0x80 >> i % 8);
    ask(set, ip);
    memcpy(ip, cidr->ip, IP_LEN);
    set_bits(ip, cidr->bits, random);
    ask(set, ip);
    if (!cidr->bits)
        return;
    ip[(cidr->bits - 1) / 8] = (uint8_t)(ip[(cidr->bits - 1) / 8] ^ 0x80 >> (cidr->bits - 1) % 8);
    ask(set, ip);
}

static void try_random(struct set *set, size_t count, uint64_t *random)
{
    set->count = count;
    for (size_t i = 0; i < count; i++) {
        random_cidr(&set->entries[i].cidr, random, 1 + random_below(random, 4));
        set->entries[i].value = (uint8_t)(1 + random_below(random, 3));
    }
    arena_reset(&set->arena);
    build(set);
    for (size_t i = 0; i < count; i += 1 + count / 200)
        ask_around(set, &set->entries[i].cidr, random);
    for (unsigned i = 0; i < 100; i++) {
        struct cidr cidr;

        random_cidr(&cidr, random, 2);
        ask(set, cidr.ip);
    }
}

static void test_random_sets_are_as_the_model_says(void **state)
{
    uint64_t random = 11;

    for (unsigned i = 0; i < 300; i++)
        try_random(*state, 1 + random_below(&random, 1 + i), &random);
}

static void test_ten_thousand_networks(void **state)
{
    struct set *set = *state;
    uint64_t random = 12;

    try_random(set, 10000, &random);
    assert_true(set->arena.used < 4 * 1024 * 1024);
}

static void test_memory_that_ends(void **state)
{
    struct set *set = *state;
    uint64_t random = 13;

    try_random(set, 200, &random);
    arena_reset(&set->arena);
    arena_init(&set->arena, NULL, 1024);
    assert_null(nets_new(set->entries, set->count, &set->arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_empty_set_has_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_most_specific_one_decides, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_the_same_network_twice_the_higher_value_holds,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_family_has_its_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_every_length_of_prefix, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_random_sets_are_as_the_model_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ten_thousand_networks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory_that_ends, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
