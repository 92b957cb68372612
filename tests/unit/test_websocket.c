/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of websocket.c: the vector of RFC 6455 1.3, and keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/websocket.h"

static void the_answer_of_the_rfc(void **state)
{
    char accept[WEBSOCKET_ACCEPT_SIZE];

    (void)state;
    assert_true(websocket_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept));
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void keys_are_fresh_and_whole(void **state)
{
    char keys[2][WEBSOCKET_KEY_SIZE];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_true(websocket_key(keys[i]));
        assert_int_equal(strlen(keys[i]), 24);
        assert_string_equal(keys[i] + 22, "=="); // 16 bytes in Base64
    }
    assert_string_not_equal(keys[0], keys[1]);
}

static void what_is_no_key_has_no_answer(void **state)
{
    static const char long_key[66] =
        "................................................................x";
    char accept[WEBSOCKET_ACCEPT_SIZE];

    (void)state;
    assert_false(websocket_accept(STR(""), accept));
    assert_true(websocket_accept((struct str){long_key, 64}, accept));
    assert_false(websocket_accept((struct str){long_key, 65}, accept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_of_the_rfc),
        cmocka_unit_test(keys_are_fresh_and_whole),
        cmocka_unit_test(what_is_no_key_has_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
