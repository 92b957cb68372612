/* SPDX-License-Identifier: Apache-2.0
 *
 * Ten thousand names: each is found, as fast as one of a few, and so are the wildcards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "edge/tls/tls_names.h"

enum { COUNT = 10000 };

static void every_name_of_many_is_found(void **state)
{
    struct certificate *all = calloc(COUNT, sizeof(*all));
    struct str *texts = calloc(COUNT, sizeof(*texts));
    struct tls_names names = {0};
    uint64_t begun;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        char text[64];
        int len = snprintf(text, sizeof(text), "%s%u.example.com", i % 10 ? "host" : "*.zone", i);

        texts[i] = (struct str){strdup(text), (size_t)len};
        all[i] = (struct certificate){.names = &texts[i], .name_count = 1, .kind = CERTIFICATE_RSA};
        assert_true(tls_names_add(&names, &all[i]));
    }
    tls_names_finish(&names);
    assert_int_equal(names.count, COUNT);
    begun = clock_us();
    for (unsigned i = 0; i < COUNT; i++) {
        char text[64];
        int len = snprintf(text, sizeof(text), "%s%u.example.com", i % 10 ? "host" : "a.zone", i);
        const struct tls_names_set *set = tls_names_find(&names, (struct str){text, (size_t)len});

        assert_non_null(set);
        assert_ptr_equal(set->by_kind[CERTIFICATE_RSA], &all[i]);
        assert_null(set->by_kind[CERTIFICATE_EC]);
    }
    assert_true(clock_us() - begun < 1000000); // 100 us each would be far too slow
    assert_null(tls_names_find(&names, STR("host0.example.com")));
    assert_null(tls_names_find(&names, STR("b.a.zone0.example.com")));
    assert_null(tls_names_find(&names, STR("zone0.example.com")));
    assert_null(tls_names_find(&names, STR("")));
    tls_names_fini(&names);
    for (unsigned i = 0; i < COUNT; i++)
        free((char *)(uintptr_t)texts[i].p);
    free(texts);
    free(all);
}

static void the_first_of_two_stays(void **state)
{
    struct str name = STR("a.example.com"), wild = STR("*.example.com");
    struct certificate one = {.names = &name, .name_count = 1, .kind = CERTIFICATE_EC};
    struct certificate two = one,
                       three = {.names = &wild, .name_count = 1, .kind = CERTIFICATE_RSA};
    struct tls_names names = {0};
    const struct tls_names_set *set;

    (void)state;
    assert_null(tls_names_find(&names, name));
    assert_true(tls_names_add(&names, &one) && tls_names_add(&names, &three) &&
                tls_names_add(&names, &two));
    tls_names_finish(&names);
    assert_int_equal(names.count, 2);
    set = tls_names_find(&names, name);
    assert_ptr_equal(set->by_kind[CERTIFICATE_EC], &one);
    assert_ptr_equal(set->by_kind[CERTIFICATE_RSA], &three);
    set = tls_names_find(&names, STR("b.example.com"));
    assert_null(set->by_kind[CERTIFICATE_EC]);
    tls_names_fini(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_of_many_is_found),
        cmocka_unit_test(the_first_of_two_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
