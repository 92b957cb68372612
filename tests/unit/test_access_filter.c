/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of filter/access.c, from its YAML to its verdict and what it says of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "config/conf.h"
#include "edge/filter/chain.h"
#include "sluice/filter.h"
#include "test_mmdb.h"

struct bench {
    struct arena arena;
    struct diag diag;
    const struct conf *conf;
    struct head head;
    struct visit visit;
    struct vars vars;
    struct caller caller;
    struct filter_env env;
    struct mmdb mmdb;
    char folder[64], countries[96], networks[96], list[96];
    bool is_prepared;
};

static const char *no_env(void *owner, const char *name)
{
    (void)owner;
    (void)name;
    return NULL;
}

static void write_databases(struct bench *bench)
{
    struct mmdb *mmdb = &bench->mmdb;

    mmdb_begin(mmdb, 6);
    mmdb_insert(mmdb, "192.0.2.0/24", mmdb_country(mmdb, "DE"));
    mmdb_insert(mmdb, "2001:db8::/32", mmdb_country(mmdb, "JP"));
    mmdb_write(mmdb, bench->countries);
    mmdb_begin(mmdb, 6);
    mmdb_insert(mmdb, "192.0.2.0/24", mmdb_asn(mmdb, 64496));
    mmdb_insert(mmdb, "2001:db8::/32", mmdb_asn(mmdb, 4200000000));
    mmdb_write(mmdb, bench->networks);
}

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    strcpy(bench->folder, "/tmp/sluice-access-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->countries, sizeof(bench->countries), "%s/c", bench->folder);
    snprintf(bench->networks, sizeof(bench->networks), "%s/n", bench->folder);
    snprintf(bench->list, sizeof(bench->list), "%s/l", bench->folder);
    write_databases(bench);
    return head_init(&bench->head, &bench->arena, 4);
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    if (bench->is_prepared)
        chain_dispose(bench->conf);
    arena_reset(&bench->arena);
    unlink(bench->countries);
    unlink(bench->networks);
    unlink(bench->list);
    rmdir(bench->folder);
    free(bench);
    return 0;
}

/* False when the configuration is refused. @C and @N are the databases, @L a file of networks. */
static bool load(struct bench *bench, const char *access)
{
    const struct conf_world world = {.env = no_env, .filters = filter_registry};
    char text[2048] = "services: {app: {targets: [\"127.0.0.1:1\"]}}\nfilters: [{access: {";
    size_t len = strlen(text);

    for (const char *c = access; *c; c++) {
        const char *path = c[1] == 'C'   ? bench->countries
                           : c[1] == 'N' ? bench->networks
                                         : bench->list;

        if (*c == '@')
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", path);
        else
            text[len++] = *c;
        c += *c == '@';
        assert_true(len < sizeof(text) - 8);
    }
    strcpy(text + len, "}}]\n");
    bench->conf =
        conf_parse((struct str){text, strlen(text)}, "test", &world, &bench->arena, &bench->diag);
    if (!bench->conf)
        return false;
    bench->is_prepared = chain_prepare(bench->conf, NULL, &bench->arena, &bench->diag);
    return bench->is_prepared;
}

static enum verdict ask(struct bench *bench, const char *ip, const char *agent)
{
    const struct conf_filter *item = &bench->conf->filters.items[0];

    bench->caller = (struct caller){.hash = 0};
    if (ip)
        assert_true(ip_parse((struct str){ip, strlen(ip)}, bench->caller.ip));
    bench->vars = (struct vars){.asn = 0};
    head_remove_name(&bench->head, STR("user-agent"));
    if (agent)
        assert_int_equal(head_add(&bench->head, &bench->arena, STR("User-Agent"),
                                  (struct str){agent, strlen(agent)}),
                         OK);
    bench->visit = (struct visit){.conf = item->conf,
                                  .arena = &bench->arena,
                                  .state = arena_zero(&bench->arena, 1, item->filter->state_size),
                                  .env = &bench->env,
                                  .vars = &bench->vars,
                                  .caller = &bench->caller,
                                  .request = &bench->head};
    return item->filter->on_request(&bench->visit);
}

/* `reason` NULL: it gets through. */
static void expect_agent(struct bench *bench, const char *ip, const char *agent, const char *reason,
                         const char *described)
{
    enum verdict verdict = ask(bench, ip, agent);
    const char *slug = reason_info(bench->visit.reason)->slug;
    struct str said = bench->conf->filters.items[0].filter->describe(&bench->visit);

    assert_int_equal(verdict, reason ? VERDICT_FAIL : VERDICT_PASS);
    assert_string_equal(slug, reason ? reason : "");
    if (described && !str_same(said, (struct str){described, strlen(described)}))
        fail_msg("%s: \"%.*s\"", ip, STR_FMT(said));
}

static void expect(struct bench *bench, const char *ip, const char *reason, const char *described)
{
    expect_agent(bench, ip, NULL, reason, described);
}

static void expect_error(struct bench *bench, const char *access, const char *words)
{
    assert_false(load(bench, access));
    if (!strstr(diag_report(&bench->diag).p, words))
        fail_msg("%s", diag_report(&bench->diag).p);
}

static void test_nothing_written_lets_all_through(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, ""));
    expect(bench, "192.0.2.1", NULL, "\"net\":\"none\"");
    expect(bench, NULL, NULL, "\"net\":\"none\"");
    assert_null(bench->vars.country.p);
}

static void test_networks(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "allow: [10.0.0.0/8, \"2001:db8::/32\"], deny: [10.1.0.0/16, "
                            "\"2001:db8:1::/48\", 10.2.0.0/16]"));
    expect(bench, "10.0.0.1", NULL, "\"net\":\"allow\"");
    expect(bench, "10.1.0.1", "address_denied", "\"net\":\"deny\"");
    expect(bench, "11.0.0.1", "address_denied", "\"net\":\"none\"");
    expect(bench, "2001:db8:2::1", NULL, "\"net\":\"allow\"");
    expect(bench, "2001:db8:1::1", "address_denied", "\"net\":\"deny\"");
    expect(bench, NULL, "address_denied", "\"net\":\"none\"");
}

static void test_a_file_of_networks(void **state)
{
    struct bench *bench = *state;
    FILE *file = fopen(bench->list, "wb");

    assert_non_null(file);
    fputs("\n# first\n 10.0.0.0/8 \t# tail\n\r\n2001:db8::1;x\r\n10.1.0.0/16", file);
    fclose(file);
    assert_true(load(bench, "deny_file: @L, allow: [10.1.0.0/16, 10.1.2.0/24]"));
    expect(bench, "10.0.0.1", "address_denied", "\"net\":\"deny\"");
    expect(bench, "10.1.0.1", "address_denied", "\"net\":\"deny\"");
    expect(bench, "10.1.2.1", NULL, "\"net\":\"allow\"");
    expect(bench, "2001:db8::1", "address_denied", "\"net\":\"deny\"");
}

static void test_a_file_with_bytes_that_are_no_text(void **state)
{
    struct bench *bench = *state;
    FILE *file = fopen(bench->list, "wb");

    assert_non_null(file);
    fwrite("10.0.0.0/8\n\0\xff\n#\0\n", 1, 17, file);
    fclose(file);
    expect_error(bench, "deny_file: @L", "is no network");
}

static void test_places(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "country_db: @C, asn_db: @N, countries: {deny: [jp]}, asn: {deny: "
                            "[as64496]}, allow: [192.0.2.7, 0.0.0.0/0]"));
    expect(bench, "192.0.2.7", NULL, "\"net\":\"allow\",\"country\":\"DE\",\"asn\":64496");
    assert_true(str_same(bench->vars.country, STR("DE")));
    assert_int_equal(bench->vars.asn, 64496);
    expect(bench, "2001:db8::1", "country_denied",
           "\"net\":\"none\",\"country\":\"JP\",\"asn\":4200000000");
    expect(bench, "2001:db9::1", "address_denied",
           "\"net\":\"none\",\"country\":\"unknown\",\"asn\":0");
    assert_true(str_same(bench->vars.country, STR("unknown")));
    expect(bench, NULL, "address_denied", "\"net\":\"none\",\"country\":\"unknown\",\"asn\":0");
}

static void test_which_allow_would_have_helped(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "asn_db: @N, asn: {allow: [4200000000, 1, 7]}, allow: [10.0.0.1]"));
    expect(bench, "2001:db8::1", NULL, NULL);
    expect(bench, "192.0.2.1", "asn_denied", NULL);
    expect(bench, "10.0.0.1", NULL, NULL);
    expect(bench, "10.0.0.2", "asn_denied", NULL);
}

static void test_a_database_alone_only_tells(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "country_db: @C"));
    expect(bench, "192.0.2.1", NULL, "\"net\":\"none\",\"country\":\"DE\"");
    expect(bench, "10.0.0.1", NULL, "\"net\":\"none\",\"country\":\"unknown\"");
}

static void test_agents(void **state)
{
    struct bench *bench = *state;
    static char large[4096];

    assert_true(load(bench, "agents: {deny: [bots, \"~^a\\\"b\"], allow: [\"~good\"]}"));
    expect_agent(bench, "192.0.2.1", "SomeBot/1.0", "agent_denied",
                 "\"net\":\"none\",\"agent\":\"bots\"");
    expect_agent(bench, "192.0.2.1", "GoodBot/1.0", NULL, "\"net\":\"none\",\"agent\":\"~good\"");
    expect_agent(bench, "192.0.2.1", "A\"B", "agent_denied",
                 "\"net\":\"none\",\"agent\":\"~^a\\\"b\"");
    expect_agent(bench, "192.0.2.1", "botany", NULL, "\"net\":\"none\"");
    expect_agent(bench, "192.0.2.1", NULL, NULL, "\"net\":\"none\"");
    memset(large, 'x', sizeof(large) - 1);
    memcpy(large + 2000, "bot", 3);
    expect_agent(bench, "192.0.2.1", large, NULL, "\"net\":\"none\"");
}

static void test_what_is_wrong(void **state)
{
    expect_error(*state, "allow: [10.0.0.0/33]", "no network");
    expect_error(*state, "countries: {allow: [DE]}", "needs a database");
    expect_error(*state, "country_db: @N", "knows no countries");
    expect_error(*state, "country_db: @C, countries: {deny: [uk]}", "did you mean \"GB\"?");
    expect_error(*state, "asn_db: @N, asn: {deny: [as]}", "no autonomous system");
    expect_error(*state, "agents: {deny: [serch]}", "did you mean \"search\"?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_written_lets_all_through, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_networks, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_a_file_of_networks, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_a_file_with_bytes_that_are_no_text, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_places, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_which_allow_would_have_helped, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_a_database_alone_only_tells, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_agents, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_what_is_wrong, make_bench, remove_bench),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
