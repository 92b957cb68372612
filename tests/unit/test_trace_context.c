/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of trace_context.c: what is a traceparent (W3C Trace Context 3.2) and what is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "edge/metric/trace_context.h"

#define GOOD "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static bool read(const char *text, struct trace_context *context)
{
    return trace_context_read((struct str){text, strlen(text)}, context);
}

static void test_good(void **state)
{
    struct trace_context context;

    (void)state;
    assert_true(read(GOOD, &context));
    assert_true(context.high == UINT64_C(0x0af7651916cd43dd) &&
                context.low == UINT64_C(0x8448eb211c80319c) &&
                context.span == UINT64_C(0xb7ad6b7169203331) && context.is_sampled);
    assert_true(read("00-0af7651916cd43dd0000000000000000-b7ad6b7169203331-00", &context));
    assert_false(context.is_sampled);
    assert_true(read("00-00000000000000008448eb211c80319c-0000000000000001-fe", &context));
    assert_false(context.is_sampled);
    assert_true(read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", &context));
    assert_true(context.is_sampled);
    // 3.2.4: what a later version adds is passed over.
    assert_true(read("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", &context));
    assert_true(read("fe-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", &context));
}

static void test_bad(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        GOOD "0",
        GOOD "-",
        GOOD "-01",
        " " GOOD,
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
        "0-00af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-B7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0A",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
        "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
        "0x-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    };
    struct trace_context context;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(read(bad[i], &context));
    for (size_t len = 0; len < TRACE_PARENT_LEN; len++)
        assert_false(trace_context_read((struct str){GOOD, len}, &context));
}

static void test_what_is_written_is_read(void **state)
{
    uint64_t random = 7;
    char text[TRACE_PARENT_LEN];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        struct trace_context read_back,
            written = {random_next(&random), random_next(&random), random_next(&random) | 1, i & 1};

        assert_ptr_equal(trace_context_write(text, &written), text + sizeof(text));
        assert_true(trace_context_read((struct str){text, sizeof(text)}, &read_back));
        assert_true(read_back.high == written.high && read_back.low == written.low &&
                    read_back.span == written.span && read_back.is_sampled == written.is_sampled);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_what_is_written_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
