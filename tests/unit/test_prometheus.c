/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of the Prometheus text: a strict parser of the exposition format reads what was built, and
 * refuses what is not well-formed. With an argument the program writes a sample text to stdout
 * instead, for promtool.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/metric/prometheus_stats.h"

/* --- the parser: families in order, each with TYPE once, its samples together */

enum { FAMILIES_MAX = 64 };

struct parser {
    const char *at;
    char families[FAMILIES_MAX][80]; /* names seen, to find one that comes twice */
    unsigned family_count;
    char type[16], name[128]; /* of the family; of the sample just read */
    char last_series[512];    /* labels of the histogram being read, without le */
    double last_le, last_count;
    const char *error;
    unsigned samples;
};

static bool refuse(struct parser *parser, const char *why)
{
    if (!parser->error)
        parser->error = why;
    return false;
}

static bool expect(struct parser *parser, const char *word)
{
    size_t len = strlen(word);
    if (strncmp(parser->at, word, len) != 0)
        return refuse(parser, "unexpected text");
    parser->at += len;
    return true;
}

static bool read_name(struct parser *parser, char *out, size_t size, bool has_colon)
{
    size_t len = 0;
    while (isalnum((unsigned char)*parser->at) || *parser->at == '_' ||
           (has_colon && *parser->at == ':')) {
        if (len + 1 == size)
            return refuse(parser, "name too long");
        out[len++] = *parser->at++;
    }
    out[len] = '\0';
    return (len && !isdigit((unsigned char)out[0])) || refuse(parser, "bad name");
}

static bool read_word(struct parser *parser, char *out, size_t size)
{
    size_t len = strcspn(parser->at, " \n");
    if (!len || len >= size)
        return refuse(parser, "bad word");
    snprintf(out, size, "%.*s", (int)len, parser->at);
    parser->at += len;
    return true;
}

static bool parse_type(struct parser *parser, const char *name)
{
    char again[80];
    if (!expect(parser, "# TYPE ") || !read_name(parser, again, sizeof(again), true))
        return false;
    if (strcmp(name, again) != 0)
        return refuse(parser, "TYPE of another family");
    if (!expect(parser, " ") || !read_word(parser, parser->type, sizeof(parser->type)))
        return false;
    bool is_known = !strcmp(parser->type, "counter") || !strcmp(parser->type, "gauge") ||
                    !strcmp(parser->type, "histogram");
    return is_known ? expect(parser, "\n") : refuse(parser, "unknown type");
}

static bool parse_family(struct parser *parser)
{
    char *name = parser->families[parser->family_count];
    if (parser->family_count == FAMILIES_MAX - 1)
        return refuse(parser, "too many families");
    if (!expect(parser, "# HELP ") || !read_name(parser, name, 80, true) || !expect(parser, " "))
        return false;
    for (unsigned i = 0; i < parser->family_count; i++) {
        if (strcmp(parser->families[i], name) == 0)
            return refuse(parser, "a family comes twice");
    }
    parser->family_count++;
    parser->last_series[0] = '\0';
    parser->at += strcspn(parser->at, "\n");
    return expect(parser, "\n") && parse_type(parser, name);
}

/* "value" with its escapes. */
static bool read_value(struct parser *parser, char *out, size_t size)
{
    size_t len = 0;
    if (!expect(parser, "\""))
        return false;
    for (; *parser->at != '"'; parser->at++) {
        if (!*parser->at || *parser->at == '\n' || len + 1 == size)
            return refuse(parser, "label value does not end");
        if (*parser->at == '\\' && !strchr("\\\"n", *++parser->at))
            return refuse(parser, "unknown escape");
        bool is_feed = parser->at[-1] == '\\' && *parser->at == 'n';
        out[len++] = is_feed ? '\n' : *parser->at;
    }
    out[len] = '\0';
    parser->at++;
    return true;
}

/* {a="b",c="d"}; `series` gets all but le, which gets its number. */
static bool parse_labels(struct parser *parser, char *series, size_t size, double *le)
{
    size_t len = 0;
    series[0] = '\0';
    *le = 0;
    if (*parser->at != '{')
        return true;
    do {
        char name[80], value[256];
        parser->at++;
        if (!read_name(parser, name, sizeof(name), false) || !expect(parser, "=") ||
            !read_value(parser, value, sizeof(value)))
            return false;
        if (strcmp(name, "le") == 0)
            *le = strtod(value, NULL);
        else
            len += (size_t)snprintf(series + len, size - len, "%s=%s;", name, value);
    } while (*parser->at == ',' && len < size);
    return expect(parser, "}");
}

/* The buckets of a series rise in edge and count, and end in +Inf, which is its _count. */
static bool check_histogram(struct parser *parser, const char *suffix, const char *series,
                            double numbers[2])
{
    double le = numbers[0], value = numbers[1];
    if (strcmp(suffix, "_bucket") == 0) {
        bool is_same = strcmp(series, parser->last_series) == 0;
        if (is_same && (le <= parser->last_le || value < parser->last_count))
            return refuse(parser, "buckets do not rise");
        snprintf(parser->last_series, sizeof(parser->last_series), "%s", series);
        parser->last_le = le;
        parser->last_count = value;
        return true;
    }
    if (strcmp(series, parser->last_series) != 0 || parser->last_le < 1e300)
        return refuse(parser, "no +Inf bucket before _sum and _count");
    if (strcmp(suffix, "_sum") == 0)
        return true;
    parser->last_le = 0;
    return (!strcmp(suffix, "_count") && value == parser->last_count) ||
           refuse(parser, "_count is not the last bucket");
}

static bool parse_sample(struct parser *parser)
{
    char series[512], number[64], *end;
    double numbers[2];
    if (!read_name(parser, parser->name, sizeof(parser->name), true) || !parser->family_count)
        return refuse(parser, "sample without family");
    const char *family = parser->families[parser->family_count - 1];
    size_t len = strlen(family);
    if (strncmp(parser->name, family, len) != 0)
        return refuse(parser, "sample outside its family");
    if (!parse_labels(parser, series, sizeof(series), &numbers[0]) || !expect(parser, " ") ||
        !read_word(parser, number, sizeof(number)) || !expect(parser, "\n"))
        return false;
    numbers[1] = strtod(number, &end);
    parser->samples++;
    if (*end)
        return refuse(parser, "bad number");
    if (strcmp(parser->type, "histogram") == 0)
        return check_histogram(parser, parser->name + len, series, numbers);
    return !parser->name[len] || refuse(parser, "suffix without histogram");
}

/* NULL when all is well, else what is wrong. */
static const char *parse(const char *text, unsigned *samples)
{
    struct parser parser = {.at = text};
    bool is_good = true;
    while (is_good && *parser.at)
        is_good = *parser.at == '#' ? parse_family(&parser) : parse_sample(&parser);
    if (samples)
        *samples = parser.samples;
    return parser.error;
}

/* --- the tests */

static struct str text_of(const char *s)
{
    return (struct str){s, strlen(s)};
}

/* The text, terminated; to be freed. */
static char *finish(struct prometheus *text)
{
    assert_false(text->is_failed);
    char *copy = strndup(text->p ? text->p : "", text->len);
    prometheus_fini(text);
    assert_int_equal(text->len, 0);
    return copy;
}

static void assert_has(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("missing: %s\nin:\n%s", line, text);
}

static void test_parser_refuses(void **state)
{
    (void)state;
    const char *const bad[] = {
        "x 1\n",
        "# HELP x X\n# TYPE y counter\n",
        "# HELP x X\n# TYPE x counter\nx 1",
        "# HELP x X\n# TYPE x counter\nx one\n",
        "# HELP x X\n# TYPE x counter\ny 1\n",
        "# HELP x X\n# TYPE x counter\nx{a=\"\\q\"} 1\n",
        "# HELP x X\n# TYPE x counter\nx 1\n# HELP x X\n# TYPE x counter\n",
        "# HELP x X\n# TYPE x histogram\nx_bucket{le=\"1\"} 2\nx_bucket{le=\"+Inf\"} 1\n",
        "# HELP x X\n# TYPE x histogram\nx_bucket{le=\"1\"} 2\nx_sum 1\n",
        "# HELP x X\n# TYPE x histogram\nx_bucket{le=\"+Inf\"} 2\nx_sum 1\nx_count 3\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_non_null(parse(bad[i], NULL));
    assert_null(parse("# HELP x X\n# TYPE x gauge\nx{a=\"\\\\\\\"\\n\"} +Inf\n", NULL));
}

static void test_samples_and_escapes(void **state)
{
    (void)state;
    struct prometheus text;
    prometheus_init(&text);
    const struct prometheus_label labels[] = {{"a", STR("q\"b\\n\n\xff\xc3\xa9")},
                                              {"b", STR("")},
                                              {NULL, STR_NONE}};
    prometheus_family(&text, "x_total", PROMETHEUS_COUNTER, "Help.");
    prometheus_u64(&text, NULL, UINT64_MAX);
    prometheus_u64(&text, labels, 0);
    prometheus_family(&text, "y", PROMETHEUS_GAUGE, "Help.");
    prometheus_double(&text, NULL, 0.1);
    prometheus_double(&text, NULL, -2.5e-7);
    prometheus_double(&text, NULL, 1.0 / 3);
    prometheus_double(&text, NULL, -__builtin_inf());
    char *got = finish(&text);
    assert_string_equal(got, "# HELP x_total Help.\n# TYPE x_total counter\n"
                             "x_total 18446744073709551615\n"
                             "x_total{a=\"q\\\"b\\\\n\\n\xef\xbf\xbd\xc3\xa9\",b=\"\"} 0\n"
                             "# HELP y Help.\n# TYPE y gauge\n"
                             "y 0.1\ny -2.5e-07\ny 0.33333333333333331\ny -Inf\n");
    assert_null(parse(got, NULL));
    free(got);
}

static void observe_target(struct stats *stats, const char *release, const char *target,
                           unsigned worker)
{
    uint32_t slot = stats_target_slot(stats, text_of("shop"), text_of(release), text_of(target));
    struct stat_target *block = stats_target(stats, worker, slot);
    stat_add(&block->codes[stat_code_index(200)], 2);
    stat_add(&block->retries, 1);
    stat_gauge(&block->open, 3);
    stat_gauge(&block->idle, 1);
    stat_observe(&block->duration, 700);
}

static void build(struct prometheus *text)
{
    struct stats *stats = stats_new(2);
    struct stat_route *route = stats_route(stats, 0, stats_route_slot(stats, text_of("api")));
    stats_route_slot(stats, text_of("never_hit"));
    stat_add(&route->codes[stat_code_index(200)], 7);
    stat_add(&route->codes[stat_code_index(418)], 1);
    stat_add(&route->refused[REASON_QUEUE_FULL], 4);
    stat_add(&route->bytes_in, 10);
    stat_add(&route->bytes_out, 20);
    stat_gauge(&route->in_flight, 2);
    stat_observe(&route->duration, 1500);
    stat_observe(&route->duration, 40000000);
    stats_route(stats, 1, stats_route_slot(stats, text_of("we\"b")));
    observe_target(stats, "2", "b", 0);
    observe_target(stats, "1", "a", 0);
    observe_target(stats, "2", "c", 1);
    prometheus_init(text);
    prometheus_stats(text, stats);
    prometheus_process(text);
    stats_free(&stats);
}

static void test_stats(void **state)
{
    (void)state;
    struct prometheus text;
    unsigned samples = 0;
    build(&text);
    char *got = finish(&text);
    const char *error = parse(got, &samples);
    if (error)
        fail_msg("%s\n%s", error, got);
    assert_true(samples > 100);
    assert_has(got, "\nsluice_http_requests_total{route=\"api\",code=\"200\"} 7\n");
    assert_has(got, "\nsluice_http_requests_total{route=\"api\",code=\"4xx\"} 1\n");
    assert_has(got, "\nsluice_http_requests_in_flight{route=\"api\"} 2\n");
    assert_has(got, "\nsluice_http_requests_in_flight{route=\"we\\\"b\"} 0\n");
    assert_has(got, "\nsluice_http_bytes_total{route=\"api\",direction=\"in\"} 10\n");
    assert_has(got, "\nsluice_http_bytes_total{route=\"api\",direction=\"out\"} 20\n");
    assert_has(got,
               "\nsluice_http_requests_refused_total{route=\"api\",reason=\"queue_full\"} 4\n");
    assert_has(got,
               "\nsluice_http_request_duration_seconds_bucket{route=\"api\",le=\"0.0025\"} 1\n");
    assert_has(got, "\nsluice_http_request_duration_seconds_bucket{route=\"api\",le=\"+Inf\"} 2\n");
    assert_has(got, "\nsluice_http_request_duration_seconds_sum{route=\"api\"} 40.0015\n");
    assert_has(got, "\nsluice_upstream_requests_total{service=\"shop\",release=\"2\","
                    "target=\"c\",code=\"200\"} 2\n");
    assert_has(got, "\nsluice_upstream_duration_seconds_count{service=\"shop\",release=\"1\"} 1\n");
    assert_has(got, "\nsluice_upstream_duration_seconds_count{service=\"shop\",release=\"2\"} 2\n");
    assert_has(got, "\nsluice_upstream_connections_open{service=\"shop\",state=\"active\"} 6\n");
    assert_has(got, "\nsluice_upstream_connections_open{service=\"shop\",state=\"idle\"} 3\n");
    assert_has(got, "\nsluice_upstream_retries_total{service=\"shop\",result=\"tried\"} 3\n");
    assert_null(strstr(got, "never_hit"));
    assert_null(strstr(got, "code=\"404\""));
    free(got);
}

static double value_of(const char *text, const char *name)
{
    char line[128];
    snprintf(line, sizeof(line), "\n%s ", name);
    assert_has(text, line);
    return strtod(strstr(text, line) + strlen(line), NULL);
}

static void test_process(void **state)
{
    (void)state;
    struct prometheus text;
    prometheus_init(&text);
    prometheus_process(&text);
    char *got = finish(&text);
    assert_null(parse(got, NULL));
    assert_true(value_of(got, "process_cpu_seconds_total") > 0);
    assert_true(value_of(got, "process_resident_memory_bytes") > 100000);
    assert_true(value_of(got, "process_virtual_memory_bytes") >
                value_of(got, "process_resident_memory_bytes"));
    assert_true(value_of(got, "process_open_fds") >= 3);
    assert_true(value_of(got, "process_open_fds") <= value_of(got, "process_max_fds"));
    assert_true(value_of(got, "process_start_time_seconds") > 1.7e9);
    assert_true(value_of(got, "process_threads") >= 1);
    free(got);
}

static int print_sample(void)
{
    struct prometheus text;
    build(&text);
    size_t written = fwrite(text.p, 1, text.len, stdout);
    bool is_whole = written == text.len && !text.is_failed;
    prometheus_fini(&text);
    return is_whole ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parser_refuses),
        cmocka_unit_test(test_samples_and_escapes),
        cmocka_unit_test(test_stats),
        cmocka_unit_test(test_process),
    };
    (void)argv;
    return argc > 1 ? print_sample() : cmocka_run_group_tests(tests, NULL, NULL);
}
