/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of filter/rate_limit*.c: what is wrong, what is there by itself, and whose tokens a limit
 * draws on.
 */
#include "test_rate_limit.h"

/* --- what is refused */

static void wrong_keys(void **state)
{
    static const struct {
        const char *keys, *words; /* of the report */
    } samples[] = {
        {"rate: 100 per minute", "is not a rate, such as 10/s"},
        {"rate: 0/s", "is not a rate"},
        {"rate: [1]", "expected a rate, such as 100/min, got a list"},
        {"rate: 5000000/s", "is more than 1000000 a second"},
        {"rate: 1/d, burst: 500", "takes more than 400 days to fill"},
        {"burst: 0", "is too small"},
        {"by: adress", "is nothing that requests can be told apart by"},
        {"by: \"header:\"", "is nothing that requests can be told apart by"},
        {"by: client_ip2", "is nothing that requests can be told apart by"},
        {"by: []", "the list is empty"},
        {"by: {a: b}", "expected a text, got a map"},
        {"by: [path, path, path, path, path, path, path, path, path]", "more than 8 parts"},
        {"rate: 1/s, limits: [{rate: 10/s}]", "write `rate` or `limits`, not both"},
        {"limits: [{burst: 3}]", "key \"rate\" is missing"},
        {"limits: []", "the list is empty"},
        {"limits: [{rate: 10/s}, {rate: 10/s, burst: 5}]", "two limits are called \"10/s\""},
        {"limits: [{rate: 10/s, name: \"a\\\"b\"}]", "is plain ASCII without quotes"},
        {"limits: [{rate: 1/s}, {rate: 2/s}, {rate: 3/s}, {rate: 4/s}, {rate: 5/s}, {rate: 6/s}, "
         "{rate: 7/s}, {rate: 8/s}, {rate: 9/s}]",
         "more than 8 limits"},
        {"cost: 101", "a cost of 101 never passes a burst of 100"},
        {"cost: 7, tiers: {gold: {rate: 5/s}}", "a cost of 7 never passes a burst of 5"},
        {"tiers: {gold: {}}", "key \"rate\" is missing"},
        {"exempt: [10.0.0.1/8]", "it is no address, network"},
        {"exempt: [\"header:x\"]", "it is no address, network"},
        {"exempt: [\"header:=x\"]", "it is no address, network"},
        {"exempt: [\"consumer:\"]", "it is no address, network"},
        {"assets: free", "is not a choice here"},
        {"limit: []", "did you mean \"limits\"?"},
    };
    const struct conf_world world = {.env = no_env, .filters = filter_registry};
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        struct str text = arena_format(&bench->arena,
                                       "services: {app: {targets: [\"127.0.0.1:1\"]}}\n"
                                       "filters: [{rate_limit: {%s}}]\n",
                                       samples[i].keys);
        struct diag diag;

        diag_init(&diag, &bench->arena);
        assert_null(conf_parse(text, "test", &world, &bench->arena, &diag));
        if (!strstr(diag_report(&diag).p, samples[i].words))
            fail_msg("%s gives %s", samples[i].keys, diag_report(&diag).p);
    }
}

/* --- what is there by itself */

/* Behind how many of those that are written it stands. */
static unsigned place_of(const struct conf_filters *filters)
{
    unsigned place = 0;

    for (uint32_t i = 0; i < filters->count; i++) {
        if (filters->items[i].filter == &filter_rate_limit)
            return place;
        place += !filters->items[i].filter->is_standard;
    }
    fail_msg("there is none");
    return 0;
}

static void is_there_unwritten(void **state)
{
    static const struct {
        const char *filters;
        unsigned place;
    } samples[] = {
        {"", 0},
        {"filters: []", 0},
        {"filters: [{headers: {}}]", 0},
        {"filters: [{cors: {origins: [\"https://a.example\"]}}, {headers: {}}]", 1},
        {"filters: [{headers: {}}, {rate_limit: {}}]", 1},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        const struct conf *conf = parse(bench, samples[i].filters);

        assert_non_null(conf_in(&conf->filters));
        assert_int_equal(place_of(&conf->filters), samples[i].place);
    }
    assert_null(conf_in(&parse(bench, "filters: [{rate_limit: off}]")->filters));
}

/* --- identity */

static void *route_conf(const struct conf *conf, unsigned i)
{
    return conf_in(&conf->routes[i].filters);
}

/* A route with another cost draws on the tokens of all; one with another rate, or the same as
 * another route's, has its own. */
static void whose_tokens(void **state)
{
    struct bench *bench = *state;
    const struct conf *conf =
        parse(bench,
              "filters: [{rate_limit: {rate: 10/h}}]\n"
              "routes:\n"
              "  - {name: dear, paths: [/a], service: app, filters: [{rate_limit: {rate: 10/h, "
              "cost: 5}}]}\n"
              "  - {name: b, paths: [/b], service: app, filters: [{rate_limit: {rate: 2/h}}]}\n"
              "  - {name: c, paths: [/c], service: app, filters: [{rate_limit: {rate: 2/h}}]}\n"
              "  - {paths: [/d], service: app}\n");

    bench->filter_conf = route_conf(conf, 0);
    assert_true(passes(bench, "192.0.2.1"));
    bench->filter_conf = conf_in(&conf->filters);
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 5);
    bench->filter_conf = route_conf(conf, 1);
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 2);
    bench->filter_conf = route_conf(conf, 2);
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 2);
}

/* What is spent stays spent when the configuration is read again, whatever else changed. */
static void outlives_the_configuration(void **state)
{
    struct bench *bench = *state;

    load(bench, "rate: 10/h");
    assert_int_equal(count_passes(bench, "192.0.2.1", 7), 7);
    load(bench, "rate: 10/h, assets: count, exempt: [10.0.0.0/8]");
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 3);
    load(bench, "rate: 11/h");
    assert_int_equal(count_passes(bench, "192.0.2.1", 20), 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(wrong_keys),
        TEST(is_there_unwritten),
        TEST(whose_tokens),
        TEST(outlives_the_configuration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
