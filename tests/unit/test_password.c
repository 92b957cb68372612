/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of password.c and of the desk where passwords are checked: known hashes, what is refused,
 * and a queue that is bounded, fair, remembers what was right, and survives those who leave it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/auth/password.h"
#include "edge/auth/password_desk.h"

/* "U*U" is a vector of crypt_blowfish; the rest was made by mkpasswd and openssl passwd. */
#define BCRYPT "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static void right_passwords_alone_pass(void **state)
{
    static const struct {
        const char *password, *hash;
    } pairs[] = {
        {"U*U", BCRYPT},
        {"swordfish", "$y$j75$saltsaltsalt$g8CautrlFW46Ia9UWoGxhICbH.JlfAxdPNw8VG3vQOB"},
        {"swordfish", "$6$saltsalt$cPbDmdp7sUA1v8Yjfppi8VeFqwELnkKCqsv5H2wx/S4LZwLhIhlK7tCX/"
                      "4JqgCT3onV3./FXCDD2Y6iXkj4Lp/"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        struct str hash = text(pairs[i].hash);

        assert_null(password_hash_wrong(hash));
        assert_true(password_check(text(pairs[i].password), hash));
        assert_false(password_check(STR("u*U"), hash));
        assert_false(password_check(STR(""), hash));
        assert_false(password_check((struct str){"U*U\0x", 5}, hash));
    }
}

static void hashes_that_are_none(void **state)
{
    static const char *const wrong[] = {
        "",
        "plain",
        "$2b$",
        "$2b$12$",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$99$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/",
        "$apr1$saltsalt$0123456789012345678901",
        "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "$y$",
        "$y$j9T$abc$short",
        "$6$saltsalt$short",
        "$6$rounds=999999999$saltsalt$"
        "01234567890123456789012345678901234567890123456789012345678901234567890123456789012345",
        "*",
        "!",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        if (!password_hash_wrong(text(wrong[i])))
            fail_msg("taken for a hash: %s", wrong[i]);
        assert_false(password_check(STR("x"), text(wrong[i])));
    }
}

/* --- the desk */

struct bench {
    struct loop loop;
    struct password_desk *desk;
    unsigned told, right;
};

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    if (loop_init(&bench->loop, 0, 0))
        return -1;
    bench->desk = password_desk_new(&bench->loop);
    return bench->desk ? 0 : -1;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    loop_fini(&bench->loop);
    password_desk_free(&bench->desk);
    free(bench);
    return 0;
}

static void on_done(void *owner, bool is_right)
{
    struct bench *bench = owner;

    bench->told++;
    bench->right += is_right;
}

static struct password_ask ask_for(const char *password, uint64_t client)
{
    return (struct password_ask){.name = STR("ann"),
                                 .password = text(password),
                                 .hash = STR(BCRYPT),
                                 .client = client};
}

static void run_until(struct bench *bench, unsigned told)
{
    while (bench->told < told)
        uv_run(&bench->loop.uv, UV_RUN_ONCE);
}

static void what_was_right_is_remembered(void **state)
{
    struct bench *bench = *state;
    struct password_ask good = ask_for("U*U", 1), bad = ask_for("U*V", 1), other = good;

    assert_false(password_desk_knows(bench->desk, &good));
    assert_non_null(password_desk_check(bench->desk, &good, on_done, bench));
    assert_non_null(password_desk_check(bench->desk, &bad, on_done, bench));
    assert_int_equal(bench->told, 0); // never at once
    run_until(bench, 2);
    assert_int_equal(bench->right, 1);
    assert_true(password_desk_knows(bench->desk, &good));
    assert_false(password_desk_knows(bench->desk, &bad));
    other.name = STR("bob"); // what is known is all of it together
    assert_false(password_desk_knows(bench->desk, &other));
    other = good;
    other.hash = STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeX");
    assert_false(password_desk_knows(bench->desk, &other));
    other = good;
    other.name = STR("annU"), other.password = STR("*U");
    assert_false(password_desk_knows(bench->desk, &other));
    other = good;
    other.is_decoy = true;
    assert_false(password_desk_knows(bench->desk, &other));
}

static void a_decoy_is_wrong_even_with_the_right_password(void **state)
{
    struct bench *bench = *state;
    struct password_ask decoy = ask_for("U*U", 1);

    decoy.is_decoy = true;
    assert_non_null(password_desk_check(bench->desk, &decoy, on_done, bench));
    run_until(bench, 1);
    assert_int_equal(bench->right, 0);
    decoy.is_decoy = false;
    assert_false(password_desk_knows(bench->desk, &decoy));
}

static void the_queue_is_bounded_and_fair(void **state)
{
    struct bench *bench = *state;
    unsigned taken = 0;

    for (unsigned i = 0; i < PASSWORD_DESK_CLIENT + 3; i++) {
        struct password_ask ask = ask_for("wrong", 7);

        taken += password_desk_check(bench->desk, &ask, on_done, bench) != NULL;
    }
    assert_int_equal(taken, PASSWORD_DESK_CLIENT);
    for (uint64_t i = 0; i < PASSWORD_DESK_QUEUE; i++) {
        struct password_ask ask = ask_for("U*U", 100 + i);

        taken += password_desk_check(bench->desk, &ask, on_done, bench) != NULL;
    }
    assert_int_equal(taken, PASSWORD_DESK_QUEUE);
    run_until(bench, taken);
    assert_int_equal(bench->right, taken - PASSWORD_DESK_CLIENT);
}

static void who_leaves_is_told_nothing(void **state)
{
    struct bench *bench = *state;
    struct password_ask ask = ask_for("U*U", 1);
    struct password_job *running = password_desk_check(bench->desk, &ask, on_done, bench);
    struct password_job *waiting = password_desk_check(bench->desk, &ask, on_done, bench);

    assert_non_null(password_desk_check(bench->desk, &ask, on_done, bench));
    password_desk_cancel(running);
    password_desk_cancel(waiting);
    run_until(bench, 1);
    uv_run(&bench->loop.uv, UV_RUN_NOWAIT);
    assert_int_equal(bench->told, 1);
    assert_int_equal(bench->right, 1);
}

/* Who is told asks again at once. */
static void ask_again(void *owner, bool is_right)
{
    struct bench *bench = owner;
    struct password_ask ask = ask_for("another", 2);

    on_done(owner, is_right);
    if (bench->told < 3)
        assert_non_null(password_desk_check(bench->desk, &ask, ask_again, bench));
}

static void asking_while_being_told_is_fine(void **state)
{
    struct bench *bench = *state;
    struct password_ask ask = ask_for("U*U", 1);

    assert_non_null(password_desk_check(bench->desk, &ask, ask_again, bench));
    run_until(bench, 3);
    assert_int_equal(bench->right, 1);
}

/* The worker ends while one is checked and others wait. */
static void an_end_in_the_middle_is_clean(void **state)
{
    struct bench *bench = *state;

    for (unsigned i = 0; i < 3; i++) {
        struct password_ask ask = ask_for("U*V", 1);

        assert_non_null(password_desk_check(bench->desk, &ask, on_done, bench));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(right_passwords_alone_pass),
        cmocka_unit_test(hashes_that_are_none),
        cmocka_unit_test_setup_teardown(what_was_right_is_remembered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_decoy_is_wrong_even_with_the_right_password, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_queue_is_bounded_and_fair, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_leaves_is_told_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asking_while_being_told_is_fine, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_end_in_the_middle_is_clean, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
