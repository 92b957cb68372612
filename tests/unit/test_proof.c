/* SPDX-License-Identifier: Apache-2.0
 *
 * Challenges and their solutions: who they are for, until when, how much work, and whatever else
 * may come in their place.
 */
#include "edge/access/proof.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

enum { BITS = 10, NOW = 1700000000 };

static const uint8_t key[PROOF_KEY_LEN] = {1, 2, 3}, other_key[PROOF_KEY_LEN] = {1, 2, 4};

static const uint8_t *ip_of_text(const char *text, uint8_t ip[IP_LEN])
{
    assert_true(ip_parse((struct str){text, strlen(text)}, ip));
    return ip;
}

static bool holds(const char *client, uint64_t now_s, unsigned bits, const char *solution)
{
    uint8_t ip[IP_LEN];

    return proof_holds(key, ip_of_text(client, ip), now_s, bits,
                       (struct str){solution, strlen(solution)});
}

/* By trying, as clients do; always with the same number of digits. */
static void solve(const char *client, unsigned bits, char *solution)
{
    uint8_t ip[IP_LEN];

    proof_challenge(key, ip_of_text(client, ip), NOW + 60, solution);
    for (unsigned number = 0; number < 10000000; number++) {
        sprintf(solution + PROOF_CHALLENGE_LEN, "-%07u", number);
        if (holds(client, NOW, bits, solution))
            return;
    }
    fail();
}

static void test_a_solution_holds_for_its_client_and_its_time(void **state)
{
    char solution[80];

    (void)state;
    solve("192.0.2.1", BITS, solution);
    assert_true(holds("192.0.2.1", NOW + 59, BITS, solution));
    assert_false(holds("192.0.2.1", NOW + 60, BITS, solution));
    assert_false(holds("192.0.2.2", NOW, BITS, solution));
    assert_false(holds("2001:db8::1", NOW, BITS, solution));
}

static void test_a_client_of_ipv6_is_its_64(void **state)
{
    char solution[80];

    (void)state;
    solve("2001:db8:0:1::1", BITS, solution);
    assert_true(holds("2001:db8:0:1:ffff::7", NOW, BITS, solution));
    assert_false(holds("2001:db8:0:2::1", NOW, BITS, solution));
}

static void test_the_work_is_counted(void **state)
{
    char solution[80];
    unsigned bits = 0;

    (void)state;
    solve("192.0.2.1", BITS, solution);
    while (bits < PROOF_BITS_MAX && holds("192.0.2.1", NOW, bits + 1, solution))
        bits++;
    assert_in_range(bits, BITS, PROOF_BITS_MAX - 1);
    assert_true(holds("192.0.2.1", NOW, 0, solution));
    for (unsigned more = bits + 1; more <= PROOF_BITS_MAX; more++)
        assert_false(holds("192.0.2.1", NOW, more, solution));
}

static void test_another_key_knows_nothing_of_it(void **state)
{
    char solution[80];
    uint8_t ip[IP_LEN];

    (void)state;
    solve("192.0.2.1", 0, solution);
    assert_false(proof_holds(other_key, ip_of_text("192.0.2.1", ip), NOW, 0,
                             (struct str){solution, strlen(solution)}));
}

/* The known answer keeps the form of it: pages of an older version may still be open. */
static void test_the_challenge_is_what_it_was(void **state)
{
    char challenge[PROOF_CHALLENGE_LEN + 1] = "";
    uint8_t ip[IP_LEN];

    (void)state;
    proof_challenge(key, ip_of_text("192.0.2.1", ip), 0x6553f13c, challenge);
    assert_string_equal(challenge, "6553f13c-ca67b4d56012b76a5e8ea37a27eadba2");
}

static void test_what_is_no_solution(void **state)
{
    char solution[80], bad[80];

    (void)state;
    solve("192.0.2.1", 0, solution);
    for (size_t len = 0; len < PROOF_CHALLENGE_LEN + 2; len++) {
        memcpy(bad, solution, len);
        bad[len] = '\0';
        assert_false(holds("192.0.2.1", NOW, 0, bad));
    }
    for (size_t i = 0; i < PROOF_CHALLENGE_LEN + 1; i++) {
        strcpy(bad, solution);
        bad[i] = bad[i] == '0' ? '1' : '0';
        assert_false(holds("192.0.2.1", NOW, 0, bad));
        bad[i] = 'G';
        assert_false(holds("192.0.2.1", NOW, 0, bad));
    }
    strcpy(bad, solution);
    strcpy(bad + PROOF_CHALLENGE_LEN, "-12345678901");
    assert_false(holds("192.0.2.1", NOW, 0, bad));
    strcpy(bad + PROOF_CHALLENGE_LEN, "-12x");
    assert_false(holds("192.0.2.1", NOW, 0, bad));
    assert_false(holds("192.0.2.1", NOW, 0, ""));
}

static void test_bytes_at_random_are_none(void **state)
{
    uint64_t random = 3;
    uint8_t ip[IP_LEN];
    char bad[64];

    (void)state;
    ip_of_text("192.0.2.1", ip);
    for (unsigned i = 0; i < 20000; i++) {
        size_t len = random_below(&random, sizeof(bad));

        for (size_t k = 0; k < len; k++)
            bad[k] = (char)random_below(&random, 256);
        if (len > PROOF_CHALLENGE_LEN)
            bad[PROOF_TIME_LEN] = bad[PROOF_CHALLENGE_LEN] = '-';
        assert_false(proof_holds(key, ip, NOW, 0, (struct str){bad, len}));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_solution_holds_for_its_client_and_its_time),
        cmocka_unit_test(test_a_client_of_ipv6_is_its_64),
        cmocka_unit_test(test_the_work_is_counted),
        cmocka_unit_test(test_another_key_knows_nothing_of_it),
        cmocka_unit_test(test_the_challenge_is_what_it_was),
        cmocka_unit_test(test_what_is_no_solution),
        cmocka_unit_test(test_bytes_at_random_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
