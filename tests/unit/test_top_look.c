/* SPDX-License-Identifier: Apache-2.0
 *
 * What answers come to: rates beside the look before, states, problems and deploys.
 */
#include "test_top_rig.h"

#define EDGES                                                                                      \
    "'latency_edges_us': [1000, 10000, 100000], 'release_latency_edges_us': [1000, 2000, 4000]"

static const char counters_0[] =
    "{'instance': 1, 'routes': [{'name': 'shop', 'requests': 100, 'codes': {'200': 90, '503': 10},"
    " 'refused': {'rate_limited': 4}, 'in_flight': 3, 'latency': [[0, 100]], 'bytes': [5, 1000]}],"
    " 'releases': [{'service': 'shop', 'release': 'v1', 'requests': 50, 'failures': 1,"
    "  'latency': [[0, 49]]}], " EDGES "}";

static const char counters_2[] =
    "{'instance': 1, 'routes': [{'name': 'new', 'requests': 8, 'codes': {'200': 8}, 'refused': {},"
    " 'in_flight': 1, 'latency': [[2, 8]], 'bytes': [0, 8]},"
    " {'name': 'shop', 'requests': 200, 'codes': {'200': 165, '503': 15, '5xx': 20},"
    " 'refused': {'rate_limited': 8, 'header_too_large': 20}, 'in_flight': 2,"
    " 'latency': [[0, 100], [1, 100]], 'bytes': [5, 3000]}],"
    " 'releases': [{'service': 'shop', 'release': 'v1', 'requests': 70, 'failures': 6,"
    "  'latency': [[0, 49], [1, 15]]}],"
    " 'targets': [{'service': 'shop', 'release': 'v1', 'target': 'a', 'requests': 40,"
    "  'codes': {'200': 30, '500': 10}, 'retries': 0, 'latency': [[1, 40]]}], " EDGES "}";

/* Of one look after another. */
static void build(struct top_look *look, const char *before, const char *now)
{
    struct top_look first;

    top_answer(&first, top_status, before, 0);
    top_look_build(&first, NULL);
    top_answer(look, top_status, now, 2);
    top_look_build(look, &first);
    top_look_fini(&first);
}

static void near(double is, double wanted)
{
    if (!(fabs(is - wanted) < 1e-6))
        fail_msg("%g is not %g", is, wanted);
}

static void routes_have_rates(void **state)
{
    const struct top_row *row;
    struct top_look look;

    (void)state;
    build(&look, counters_0, counters_2);
    near(look.seconds, 2);
    row = top_row(&look, TOP_ROUTE, "shop", NULL);
    near(top_number(row, TOP_RATE), 50);
    near(top_number(row, TOP_ERRORS), 12.5);
    near(top_number(row, TOP_ERROR_SHARE), 25);
    near(top_number(row, TOP_REFUSED), 12);
    near(top_number(row, TOP_P50), 5.5);
    near(top_number(row, TOP_IN_FLIGHT), 2);
    near(top_number(row, TOP_IN), 0);
    near(top_number(row, TOP_OUT), 1000);
    // One that was not there before began at zero.
    near(top_number(top_row(&look, TOP_ROUTE, "new", NULL), TOP_RATE), 4);
    near(top_number(&look.total, TOP_RATE), 54);
    near(top_number(&look.total, TOP_IN_FLIGHT), 3);
    assert_string_equal(json_object_iter_key(json_object_iter(look.refused)), "header_too_large");
    near(json_number_value(json_object_get(look.refused, "rate_limited")), 2);
    top_look_fini(&look);
}

static void releases_and_targets_have_rates(void **state)
{
    const struct top_row *row;
    struct top_look look;

    (void)state;
    build(&look, counters_0, counters_2);
    row = top_row(&look, TOP_RELEASE, "shop", "v1");
    near(top_number(row, TOP_RATE), 10);
    near(top_number(row, TOP_ERROR_SHARE), 25);
    near(top_number(row, TOP_P50), 1.5);
    near(top_number(row, TOP_SPLIT), 90);
    near(top_number(row, TOP_UP), 2);
    near(top_number(row, TOP_IN_FLIGHT), 3);
    assert_string_equal(row->text[TOP_STATE], "running");
    near(top_number(top_row(&look, TOP_RELEASE, "shop", "v2"), TOP_RATE), 0);
    row = top_row(&look, TOP_TARGET, "a", "v1");
    near(top_number(row, TOP_RATE), 20);
    near(top_number(row, TOP_ERROR_SHARE), 25);
    near(top_number(row, TOP_OPEN), 3);
    assert_int_equal(row->style, TOP_GOOD);
    // Of one that is not counted by itself nothing is known.
    assert_true(isnan(top_number(top_row(&look, TOP_TARGET, "b", "v1"), TOP_RATE)));
    top_look_fini(&look);
}

static void all_numbers_are_sound(const struct top_look *look)
{
    for (unsigned kind = 0; kind < TOP_KINDS; kind++)
        for (size_t i = 0; i < look->rows[kind].count; i++)
            for (unsigned field = TOP_TEXTS; field < TOP_FIELDS; field++) {
                double number = top_number(&look->rows[kind].row[i], (enum top_field)field);

                assert_true(isnan(number) || (number >= 0 && isfinite(number)));
            }
}

static void counters_that_went_back(void **state)
{
    struct top_look look;

    (void)state;
    build(&look, counters_2, counters_0); // the same instance: each counts from zero
    all_numbers_are_sound(&look);
    near(top_number(top_row(&look, TOP_ROUTE, "shop", NULL), TOP_RATE), 50);
    top_look_fini(&look);
}

static void a_gateway_that_began_anew(void **state)
{
    static const char other[] = "{'instance': 2, 'routes': [{'name': 'shop', 'requests': 3,"
                                " 'codes': {'200': 3}, 'in_flight': 1}], " EDGES "}";
    struct top_look look;

    (void)state;
    build(&look, counters_2, other);
    assert_true(look.seconds == 0);
    all_numbers_are_sound(&look);
    assert_true(isnan(top_number(top_row(&look, TOP_ROUTE, "shop", NULL), TOP_RATE)));
    near(top_number(top_row(&look, TOP_ROUTE, "shop", NULL), TOP_IN_FLIGHT), 1);
    top_look_fini(&look);
}

static void without_what_came_later(void **state)
{
    static const char bare[] = "{'instance': 1, 'releases': [{'service': 'shop', 'release': 'v1',"
                               " 'requests': 50, 'failures': 5, 'latency': [[0, 9]]}]}";
    static const char more[] = "{'instance': 1, 'releases': [{'service': 'shop', 'release': 'v1',"
                               " 'requests': 90, 'failures': 15, 'latency': [[0, 29]]}]}";
    struct top_look look;

    (void)state;
    build(&look, bare, more);
    near(top_number(&look.total, TOP_RATE), 20);
    near(top_number(&look.total, TOP_ERROR_SHARE), 25);
    assert_true(isnan(top_number(&look.total, TOP_P50)));
    top_look_fini(&look);
    build(&look, NULL, NULL);
    assert_int_equal(look.rows[TOP_TARGET].count, 3);
    assert_int_equal(look.problems.count, 0);
    top_look_fini(&look);
}

/* --- problems */

static void judge(struct top_look *look, const char *status)
{
    top_answer(look, status, NULL, 100);
}

static bool has(const struct top_lines *lines, const char *text)
{
    for (size_t i = 0; i < lines->count; i++)
        if (strstr(lines->line[i].text, text))
            return true;
    return false;
}

static const char much_is_wrong[] =
    "{'ready': true, 'config': {'last_reload': {'successful': false}},"
    " 'limits': {'memory': 100}, 'workers': [{'index': 0, 'connections': 95,"
    "  'connections_max': 100, 'memory_bytes': 120}],"
    " 'rate_limits': {'shared': 'degraded', 'redis': {'reason': 'refused'}},"
    " 'warnings': ['X-Forwarded-For is not believed'],"
    " 'draining_edges': [{'pid': 9, 'in_flight': 4}],"
    " 'certificates': [{'name': 'x', 'domains': ['a.example'], 'state': 'expired'},"
    "  {'name': 'y', 'domains': ['b.example'], 'state': 'expires_soon',"
    "   'not_after': '2027-01-01T00:00:00Z'}],"
    " 'credentials': {'sources': [{'name': 'https://id.example', 'error': 'timeout'}]},"
    " 'services': [{'name': 'shop', 'mode': 'running', 'balance_mode': 'normal',"
    "  'targets': [{'id': 'a', 'state': 'down'}, {'id': 'b', 'state': 'ejected'},"
    "   {'id': 'c', 'state': 'up'}]},"
    "  {'name': 'cart', 'mode': 'paused', 'mode_source': 'api', 'balance_mode': 'normal',"
    "   'waiting': 7, 'scale': {'state': 'waking', 'held': 5}, 'targets': [{'id': 'z', 'state': "
    "'ejected',"
    "    'reason': 'its breaker is open'}, {'id': 'y', 'state': 'up'}]}]}";

static void what_is_wrong_is_said_worst_first(void **state)
{
    static const char *const said[] = {
        "the last reload failed",
        "control does not answer: it starts",
        "edge cdg1 has been silent for 70 s",
        "backups fail: no such bucket",
        "control cannot write its store: disk full",
        "deploy 12 of shop waits for a person",
        "the error budget of shop (latency) is overspent: -20% left",
        "the error budget of shop (availability) nears its end: 4% left",
        "2 of 3 targets of shop are down",
        "target z of cart is ejected: its breaker is open",
        "cart is paused, by the api",
        "7 requests of cart wait",
        "5 requests wait for cart to wake",
        "of 1200 routes that have traffic 1 are counted here",
        "shared rate limits are degraded: refused",
        "connections of worker 0: 95 of 100",
        "memory: 120% of the limit",
        "the certificate of a.example has expired",
        "the certificate of b.example ends on 2027-01-01",
        "keys of https://id.example could not be read: timeout",
        "an older edge (process 9) drains: 4 requests left",
        "X-Forwarded-For is not believed",
    };
    struct top_look look;

    (void)state;
    judge(&look, much_is_wrong);
    look.control_error = "it starts";
    look.answers[TOP_COUNTERS] = top_json("{'routes': [{'name': 'r'}], 'routes_total': 1200}");
    look.answers[TOP_CONTROL] =
        top_json("{'store_error': 'disk full', 'backup': {'error': 'no such bucket'},"
                 " 'edges': [{'name': 'cdg1', 'reachable': false, 'silent_s': 70},"
                 "  {'name': 'gone', 'forgotten': true, 'reachable': false}]}");
    look.answers[TOP_DEPLOYS] = top_json("{'deploys': [{'id': '12', 'service': 'shop',"
                                         " 'outcome': 'asks', 'over': false}]}");
    look.answers[TOP_SLO] = top_json(
        "{'services': {'shop': {'objectives': [{'slo': 'availability', 'budget_left': 0.04},"
        " {'slo': 'latency', 'budget_left': -0.2}]}}}");
    top_look_build(&look, NULL);
    for (size_t i = 0; i < ARRAY_LEN(said); i++)
        if (!has(&look.problems, said[i]))
            fail_msg("it does not say: %s", said[i]);
    assert_int_equal(look.problems.count, ARRAY_LEN(said));
    for (size_t i = 1; i < look.problems.count; i++)
        assert_true(look.problems.line[i - 1].style >= look.problems.line[i].style);
    top_look_fini(&look);
}

static void all_is_well(void **state)
{
    struct top_look look;

    (void)state;
    judge(&look, top_status);
    top_look_build(&look, NULL);
    assert_int_equal(look.problems.count, 0);
    top_look_fini(&look);
}

static void budgets_and_scaling_stand_with_their_service(void **state)
{
    const struct top_row *row;
    struct top_look look;

    (void)state;
    judge(&look, top_status);
    look.answers[TOP_SLO] = top_json("{'services': {'shop': {'objectives': [{'slo': 'a',"
                                     " 'budget_left': 0.73}, {'slo': 'b', 'budget_left': 0.9}]}}}");
    look.answers[TOP_CONTROL] = top_json("{'services': [{'service': 'shop', 'state': 'asleep',"
                                         " 'wanted': 0, 'ready': 0}]}");
    top_look_build(&look, NULL);
    row = top_row(&look, TOP_RELEASE, "shop", "v1");
    near(top_number(row, TOP_BUDGET), 73);
    assert_string_equal(row->text[TOP_STATE], "asleep");
    assert_string_equal(row->text[TOP_NOTE], "it is asleep: a request wakes it");
    top_look_fini(&look);
}

/* --- deploys */

static void deploys_are_told(void **state)
{
    struct top_look look;

    (void)state;
    judge(&look, top_status);
    look.answers[TOP_DEPLOYS] = top_json(
        "{'deploys': [{'id': '8', 'service': 'shop', 'old': 'v0', 'release': 'v1', 'over': true,"
        "  'outcome': 'live', 'why': '', 'since_ms': 40000},"
        " {'id': '9', 'service': 'shop', 'old': 'v1', 'release': 'v2', 'over': false,"
        "  'outcome': 'waits_for_edge', 'phase': 'judging', 'step': 2, 'steps': 3, 'percent': 25.0,"
        "  'since_ms': 65000, 'verdict': {'outcome': 'unsure', 'wanting': 11.2,"
        "   'old': {'requests': 200, 'failures': 1}, 'new': {'requests': 50, 'failures': 2},"
        "   'latency': [{'quantile': 0.5, 'old': 0.001, 'new': null}]},"
        "  'words': ['promote', 'abort'],"
        "  'waiting_for': [{'edge': 'ams1', 'error': 'no route'}, {'edge': 'b', 'error': ''}]}]}");
    top_look_build(&look, NULL);
    assert_int_equal(look.deploys.count, 8);
    assert_string_equal(look.deploys.line[0].text,
                        "9  shop: v1 -> v2  step 2 of 3  25%  judging, 35s  (waits_for_edge)");
    assert_string_equal(look.deploys.line[1].text,
                        "    v1: 200 requests, 1 failed (0.50%)  p50 1.0 ms");
    assert_string_equal(look.deploys.line[2].text, "    v2: 50 requests, 2 failed (4.00%)");
    assert_true(has(&look.deploys, "some 12 more requests of v2 decide it"));
    assert_true(has(&look.deploys, "waits for edge ams1: no route"));
    assert_true(has(&look.deploys, "sluice abort 9"));
    assert_string_equal(look.deploys.line[7].text, "8  shop: v0 -> v1  live 60s ago");
    top_look_fini(&look);
}

/* Whatever answers, nothing breaks. */
static void odd_answers_do_no_harm(void **state)
{
    static const char *const odd[] = {
        "{}",
        "{'services': 5, 'workers': {}, 'certificates': [1], 'warnings': [{}], 'limits': []}",
        "{'services': [1, {}, {'name': 3, 'targets': [1, {}], 'releases': [1, {}]}]}",
        "{'services': {'a': {'objectives': [1, {}]}, 'b': 3}, 'deploys': [1, {}], 'edges': [2]}",
        "{'instance': 'x', 'routes': [1, {}, {'codes': [], 'refused': 3, 'latency': [1]}]}",
        "{'instance': 0, 'releases': {}, 'targets': [[], {'service': 1}], 'notices': [0]}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        struct top_look first, second;

        top_answer(&first, "{}", NULL, 0);
        top_answer(&second, "{}", NULL, 2);
        for (unsigned k = 0; k < TOP_QUESTIONS; k++) {
            json_decref(first.answers[k]);
            json_decref(second.answers[k]);
            first.answers[k] = top_json(odd[i]);
            second.answers[k] = top_json(odd[i]);
        }
        first.at_us = 1;
        second.at_us = 2;
        top_look_build(&first, NULL);
        top_look_build(&second, &first);
        all_numbers_are_sound(&second);
        top_look_fini(&first);
        top_look_fini(&second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(routes_have_rates),
        cmocka_unit_test(releases_and_targets_have_rates),
        cmocka_unit_test(counters_that_went_back),
        cmocka_unit_test(a_gateway_that_began_anew),
        cmocka_unit_test(without_what_came_later),
        cmocka_unit_test(what_is_wrong_is_said_worst_first),
        cmocka_unit_test(all_is_well),
        cmocka_unit_test(budgets_and_scaling_stand_with_their_service),
        cmocka_unit_test(deploys_are_told),
        cmocka_unit_test(odd_answers_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
