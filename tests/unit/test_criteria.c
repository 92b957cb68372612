/* SPDX-License-Identifier: Apache-2.0
 *
 * What answers to a deploy's checks come to: as Prometheus and webhooks give them, and as they
 * should not.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "control/deploy/criteria.h"

struct sample {
    const char *check;
    long status;
    const char *body;
    enum check_outcome outcome;
    const char *why; /* part of it */
};

#define VECTOR(samples_)                                                                           \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" samples_ "]}}"
#define SERIES(value_) "{\"metric\":{},\"value\":[1.5,\"" value_ "\"]}"

static const char most[] = "{\"max\":10.0}", least[] = "{\"min\":-1.0}",
                  both[] = "{\"min\":1.0,\"max\":2.0}";

static const struct sample queries[] = {
    {most, 200, VECTOR(SERIES("10")), CHECK_GOOD, "it is 10"},
    {most, 200, VECTOR(SERIES("10.5")), CHECK_BAD, "it is 10.5, and at most 10 is allowed"},
    {most, 200, VECTOR(SERIES("+Inf")), CHECK_BAD, "at most 10"},
    {most, 200, VECTOR(SERIES("-Inf")), CHECK_GOOD, ""},
    {least, 200, VECTOR(SERIES("-1")), CHECK_GOOD, ""},
    {least, 200, VECTOR(SERIES("-1.01")), CHECK_BAD, "at least -1"},
    {both, 200, VECTOR(SERIES("3")), CHECK_BAD, "at most 2"},
    {both, 200, VECTOR(SERIES("0")), CHECK_BAD, "at least 1"},
    {most, 200, VECTOR(SERIES("1") "," SERIES("11") "," SERIES("NaN")), CHECK_BAD, "it is 11"},
    {most, 200, VECTOR(SERIES("NaN") "," SERIES("1")), CHECK_UNKNOWN, "no number"},
    {most, 200, VECTOR(SERIES("1") "," SERIES("NaN")), CHECK_UNKNOWN, "no number"},
    {most, 200, VECTOR(""), CHECK_UNKNOWN, "finds nothing"},
    {most, 200, VECTOR("5"), CHECK_UNKNOWN, "no number"},
    {most, 200, VECTOR("{\"value\":[1]}"), CHECK_UNKNOWN, "no number"},
    {most, 200, VECTOR("{\"value\":[1,2]}"), CHECK_UNKNOWN, "no number"},
    {most, 200, VECTOR(SERIES("")), CHECK_UNKNOWN, "no number"},
    {most, 200, VECTOR(SERIES("1x")), CHECK_UNKNOWN, "no number"},
    {most, 200,
     "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1.5,\"11\"]}}",
     CHECK_BAD, "it is 11"},
    {most, 200, "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}",
     CHECK_UNKNOWN, "neither"},
    {most, 200, "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":{}}}",
     CHECK_UNKNOWN, "answered 200"},
    {most, 200, "{\"status\":\"success\"}", CHECK_UNKNOWN, "answered 200"},
    {most, 400, "{\"status\":\"error\",\"error\":\"parse error\"}", CHECK_UNKNOWN,
     "answered 400: parse error"},
    {most, 503, VECTOR(SERIES("1")), CHECK_UNKNOWN, "answered 503"},
    {most, 200, NULL, CHECK_UNKNOWN, "answered 200"},
    {most, 200, "[]", CHECK_UNKNOWN, "answered 200"},
    {most, 200, "7", CHECK_UNKNOWN, "answered 200"},
};

static const struct sample hooks[] = {
    {NULL, 200, NULL, CHECK_GOOD, ""},
    {NULL, 204, NULL, CHECK_GOOD, ""},
    {NULL, 200, "[1]", CHECK_GOOD, ""},
    {NULL, 200, "{\"verdict\":\"good\",\"why\":\"all is well\"}", CHECK_GOOD, "all is well"},
    {NULL, 200, "{\"verdict\":\"bad\",\"why\":\"no sales\"}", CHECK_BAD, "no sales"},
    {NULL, 200, "{\"verdict\":\"unsure\"}", CHECK_UNKNOWN, ""},
    {NULL, 200, "{\"verdict\":\"Bad\"}", CHECK_UNKNOWN, "none of"},
    {NULL, 200, "{\"verdict\":null}", CHECK_UNKNOWN, "none of"},
    {NULL, 200, "{\"verdict\":[\"bad\"]}", CHECK_UNKNOWN, "none of"},
    {NULL, 302, NULL, CHECK_UNKNOWN, "answered 302"},
    {NULL, 302, "{\"verdict\":\"bad\"}", CHECK_UNKNOWN, "answered 302"},
    {NULL, 404, NULL, CHECK_BAD, "answered 404"},
    {NULL, 503, "{\"verdict\":\"good\",\"why\":\"busy\"}", CHECK_BAD, "busy"},
};

static void check(const struct sample *sample, const struct check_answer *answer)
{
    assert_int_equal(answer->outcome, sample->outcome);
    assert_non_null(strstr(answer->why, sample->why));
}

static void test_queries(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
        json_t *criterion = json_loads(queries[i].check, 0, NULL);
        json_t *body = queries[i].body ? json_loads(queries[i].body, JSON_DECODE_ANY, NULL) : NULL;
        struct check_answer answer = criteria_answer_query(criterion, queries[i].status, body);

        check(&queries[i], &answer);
        json_decref(criterion);
        json_decref(body);
    }
}

static void test_hooks(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
        json_t *body = hooks[i].body ? json_loads(hooks[i].body, 0, NULL) : NULL;
        struct check_answer answer = criteria_answer_hook(hooks[i].status, body);

        check(&hooks[i], &answer);
        json_decref(body);
    }
}

/* What is said of it has an end. */
static void test_a_long_why(void **state)
{
    char text[1000];
    json_t *body;
    struct check_answer answer;

    (void)state;
    memset(text, 'x', sizeof(text));
    body = json_pack("{s:s,s:s%}", "verdict", "bad", "why", text, sizeof(text));
    answer = criteria_answer_hook(200, body);
    assert_int_equal(strlen(answer.why), CHECK_WHY_MAX - 1);
    json_decref(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_hooks),
        cmocka_unit_test(test_a_long_why),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
