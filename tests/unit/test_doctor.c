/* SPDX-License-Identifier: Apache-2.0
 *
 * What `sluice doctor` makes of facts: also of those that no loopback has, such as firewalls and
 * private networks.
 */
#include "cli/doctor_judge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "config/conf.h"

static struct conf_service plain_service(void)
{
    struct conf_service service = {.health = {.path = {.s = STR_INIT("/up")}, .timeout_ms = 2000}};

    service.health.statuses[0] = (struct conf_status_range){200, 299};
    service.health.status_count = 1;
    service.tls.name.s = STR("auto");
    service.tls.ca.s = STR("system");
    return service;
}

/* A target that took the connection and said nothing. */
static struct doctor_facts facts_of(const struct conf_service *service)
{
    return (struct doctor_facts){
        .service = service,
        .address = STR("web.internal:3000"),
        .host = STR("shop.example.com"),
        .port = 3000,
        .has_health = true,
        .ways = {{.is_v6 = true, .dialled = DOCTOR_ACCEPTS}},
        .way_count = 1,
        .idle = {.ours_ms = 4000},
    };
}

static struct doctor_facts answer_of(const struct conf_service *service, uint16_t status,
                                     bool passed)
{
    struct doctor_facts facts = facts_of(service);

    facts.way_count = 0; // nobody looks where there is one address that answers
    facts.result.status = status;
    facts.result.passed = passed;
    return facts;
}

/* The only finding. */
static struct doctor_finding judge(const struct doctor_facts *facts)
{
    struct doctor_findings findings = {0};

    doctor_judge(facts, &findings);
    assert_int_equal(findings.count, 1);
    assert_true(strlen(findings.items[0].words) > 0);
    assert_true(strlen(findings.items[0].fix) > 0);
    return findings.items[0];
}

static void expect(const struct doctor_facts *facts, const char *slug)
{
    struct doctor_finding finding = judge(facts);

    assert_string_equal(finding.slug, slug);
    assert_false(finding.is_note);
}

static void expect_note(const struct doctor_facts *facts, const char *slug)
{
    struct doctor_finding finding = judge(facts);

    assert_string_equal(finding.slug, slug);
    assert_true(finding.is_note);
}

static void expect_nothing(const struct doctor_facts *facts)
{
    struct doctor_findings findings = {0};

    doctor_judge(facts, &findings);
    assert_int_equal(findings.count, 0);
}

/* --- names and ports */

static void a_name_that_does_not_resolve(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    facts.dns_error = "Name or service not known";
    expect(&facts, "dns");
    assert_non_null(strstr(judge(&facts).fix, "only inside"));
    facts.is_inside = true;
    assert_null(strstr(judge(&facts).fix, "only inside"));
    facts.address = STR("internal:80");
    assert_non_null(strstr(judge(&facts).fix, "resolv.conf"));
}

static void one_family_refuses(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    facts.ways[0].dialled = DOCTOR_REFUSES;
    facts.result.why = REASON_CONNECTION_REFUSED;
    expect(&facts, "refused_ipv6"); // IPv6 alone, and private
    assert_non_null(strstr(judge(&facts).fix, "private network"));
    facts.address = STR("web.example.com:3000");
    expect(&facts, "refused");
    facts.ways[facts.way_count++] = (struct doctor_way){false, DOCTOR_SILENT};
    expect(&facts, "refused_ipv6");
    facts.ways[1].dialled = DOCTOR_REFUSES;
    expect(&facts, "refused");
    facts.ways[0].dialled = DOCTOR_UNROUTABLE;
    expect(&facts, "refused_ipv4");
    facts.ways[0].dialled = DOCTOR_ACCEPTS; // so the edge gets there
    facts.result = (struct probe_result){.passed = true, .status = 200};
    expect_note(&facts, "refused_ipv4");
}

/* Of several machines of one name, which says nothing of what the app is bound to. */
static void one_of_several_refuses(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    facts.result = (struct probe_result){.passed = true, .status = 200};
    facts.ways[facts.way_count++] = (struct doctor_way){true, DOCTOR_REFUSES};
    expect_note(&facts, "refused");
    assert_non_null(strstr(judge(&facts).words, "1 of the 2 addresses of web.internal"));
}

static void another_port_is_meant(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    facts.ways[0].dialled = DOCTOR_REFUSES;
    facts.other_port = 8080;
    expect(&facts, "wrong_port");
    assert_non_null(strstr(judge(&facts).words, "port 8080 takes connections"));
    assert_non_null(strstr(judge(&facts).fix, "the target's port to 8080"));
    facts.is_other_http = facts.is_health_port = true;
    assert_non_null(strstr(judge(&facts).words, "port 8080 answers HTTP"));
    assert_non_null(strstr(judge(&facts).fix, "health.port to 8080"));
}

static void nobody_is_there(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    facts.ways[0].dialled = DOCTOR_SILENT;
    expect(&facts, "timeout");
    facts.ways[0].dialled = DOCTOR_UNROUTABLE;
    facts.result.why = REASON_DESTINATION_UNROUTABLE;
    expect(&facts, "unroutable");
    facts.ways[0].dialled = DOCTOR_REFUSES;
    facts.address = STR("unix:/run/app.sock");
    facts.is_unix = true;
    expect(&facts, "refused");
}

static void silence(void **state)
{
    static const struct {
        enum reason why;
        const char *slug;
    } cases[] = {
        {REASON_CONNECTION_TIMEOUT, "no_answer"}, {REASON_HTTP_RESPONSE_TIMEOUT, "no_answer"},
        {REASON_CONNECTION_TERMINATED, "closed"}, {REASON_HTTP_RESPONSE_INCOMPLETE, "closed"},
        {REASON_HTTP_PROTOCOL_ERROR, "not_http"},
    };
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    strcpy(facts.result.words, "it is silent");
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        facts.result.why = cases[i].why;
        expect(&facts, cases[i].slug);
    }
}

/* --- what is spoken */

static void one_version_for_the_other(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    facts.speech = DOCTOR_H2;
    expect(&facts, "protocol");
    service.protocol = CONF_H2;
    facts.speech = DOCTOR_HTTP1;
    facts.result.why = REASON_CONNECTION_TIMEOUT; // it waits for the rest of a request
    expect(&facts, "protocol");
    facts.speech = 0;
    expect(&facts, "no_answer");

    service.tls.is_set = facts.is_shaken = true;
    facts.speech = DOCTOR_TLS;
    strcpy(facts.alpn, "http/1.1");
    expect(&facts, "protocol");
    service.protocol = CONF_HTTP1;
    strcpy(facts.alpn, "h2");
    expect(&facts, "protocol");
    facts.is_shaken = false; // so nothing is known of its versions
    expect(&facts, "tls_failed");
}

static void tls_for_plain(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);

    (void)state;
    facts.speech = DOCTOR_TLS;
    expect(&facts, "tls_expected");
    facts = answer_of(&service, 400, false);
    facts.speech = DOCTOR_HTTP1 | DOCTOR_WANTS_TLS;
    expect(&facts, "tls_expected");
    facts = facts_of(&service);
    service.tls.is_set = true;
    facts.speech = DOCTOR_HTTP1;
    expect(&facts, "tls_unexpected");
}

static void certificates(void **state)
{
    struct conf_service service = plain_service();
    struct doctor_facts facts = facts_of(&service);
    struct doctor_findings findings = {0};

    (void)state;
    service.tls.is_set = true;
    facts.speech = DOCTOR_TLS;
    facts.tls = (struct tls_look_report){.is_tls = true,
                                         .is_shaken = true,
                                         .faults = TLS_LOOK_NAME,
                                         .names = "*.example.com",
                                         .name = "*.example.com",
                                         .issuer = "CN=Root",
                                         .not_after_s = 1000000000};
    expect(&facts, "tls_name");
    assert_non_null(strstr(judge(&facts).fix, "a name that fits *.example.com"));
    facts.tls.faults = TLS_LOOK_EARLY;
    expect(&facts, "tls_untrusted");
    facts.tls.faults = TLS_LOOK_UNTRUSTED;
    assert_non_null(strstr(judge(&facts).words, "issued by CN=Root"));
    facts.tls.faults = TLS_LOOK_EXPIRED;
    assert_non_null(strstr(judge(&facts).words, "2001-09-09T01:46:40"));
    facts.tls.faults |= TLS_LOOK_NAME | TLS_LOOK_SELF_SIGNED;
    doctor_judge(&facts, &findings);
    assert_int_equal(findings.count, 3);
}

/* --- answers */

static void redirects(void **state)
{
    static const struct {
        const char *location;
        bool leads_back;
    } cases[] = {
        {"https://shop.example.com/up", true},
        {"HTTPS://Shop.Example.com:443/up?x=1", true},
        {"https://shop.example.com/login", false},
        {"https://shop.example.com", false},
        {"https://www.example.com/up", false},
        {"http://shop.example.com/up", false},
        {"/up", false},
        {"https://", false},
        {"", false},
    };
    struct conf_service service = plain_service();
    struct doctor_facts facts = answer_of(&service, 301, true);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        strcpy(facts.location, cases[i].location);
        if (cases[i].leads_back)
            expect(&facts, "redirect_loop");
        else
            expect_note(&facts, "redirect");
    }
    facts.has_health = false; // any answer is good then
    expect_nothing(&facts);
    facts.has_health = true;
    facts.result.passed = false;
    expect(&facts, "redirect");
}

static void answers(void **state)
{
    static const struct {
        uint16_t status;
        const char *slug;
    } cases[] = {
        {404, "health_404"}, {401, "health_auth"},   {403, "health_auth"},
        {500, "health_5xx"}, {400, "health_status"}, {304, "health_status"},
    };
    struct conf_service service = plain_service();
    struct doctor_facts facts;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        facts = answer_of(&service, cases[i].status, false);
        expect(&facts, cases[i].slug);
    }
    facts = answer_of(&service, 200, true);
    expect_nothing(&facts);
    facts = answer_of(&service, 502, true);
    facts.has_health = false;
    expect_note(&facts, "health_5xx");
    service.health.body.s = STR("ready");
    facts = answer_of(&service, 200, false);
    strcpy(facts.result.words, "answered 200 to GET /up, without \"ready\" in it");
    expect(&facts, "health_body");
    service.health.has_grpc = true;
    expect(&facts, "health_grpc");
}

/* --- idle connections */

static void idle_connections(void **state)
{
    static const struct {
        uint32_t ours_ms, keep_alive_ms, closed_ms;
        const char *fix; /* NULL: nothing is wrong */
    } cases[] = {
        {4000, 0, 1990, "upstream_idle to 1s,"},
        {10000, 0, 5003, "upstream_idle to 4s,"},
        {4000, 0, 610, "upstream_idle to 300ms,"},
        {4000, 0, 4100, NULL},
        {4000, 2000, 2000, NULL}, // the edge ends them after one second
        {4000, 5000, 5000, NULL},
        {4000, 5000, 3000, "upstream_idle to 2s,"},
    };
    struct conf_service service = plain_service();
    struct doctor_facts facts = answer_of(&service, 200, true);

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        facts.idle = (struct doctor_idle){.ours_ms = cases[i].ours_ms,
                                          .keep_alive_ms = cases[i].keep_alive_ms,
                                          .closed_ms = cases[i].closed_ms,
                                          .is_closed = true};
        if (!cases[i].fix) {
            expect_nothing(&facts);
            continue;
        }
        expect(&facts, "idle");
        assert_non_null(strstr(judge(&facts).fix, cases[i].fix));
    }
    facts.idle = (struct doctor_idle){.ours_ms = 4000, .closed_ms = 1990, .is_closed = true};
    assert_non_null(strstr(judge(&facts).words, "after 2.0 s, ours are kept 4s"));
    facts.idle.closes_always = true;
    expect_note(&facts, "no_keepalive");
}

/* --- listeners */

static void listeners(void **state)
{
    struct conf_listener all[] = {
        {.bind = {.text = {.s = STR_INIT(":8080")}, .port = 8080}},
        {.bind = {.text = {.s = STR_INIT("127.0.0.1:1")}, .host = STR_INIT("127.0.0.1")}},
        {.bind = {.text = {.s = STR_INIT(":443")}}, .tls = {.is_set = true}},
        {.bind = {.text = {.s = STR_INIT("unix:/run/s")}, .is_unix = true}},
    };
    struct conf conf = {.listeners = all, .listener_count = ARRAY_LEN(all)};
    struct doctor_findings findings = {0};

    (void)state;
    doctor_judge_listeners(&conf, false, &findings);
    assert_int_equal(findings.count, 0);
    doctor_judge_listeners(&conf, true, &findings);
    assert_int_equal(findings.count, 1);
    assert_string_equal(findings.items[0].slug, "client_address");
    assert_non_null(strstr(findings.items[0].words, ":8080"));
    assert_true(findings.items[0].is_note);
}

static void there_is_an_end_of_findings(void **state)
{
    struct doctor_findings findings = {0};

    (void)state;
    for (int i = 0; i < 3 * DOCTOR_FINDINGS; i++)
        doctor_judge_fix(doctor_judge_add(&findings, "dns", "number %d", i), "nothing");
    assert_int_equal(findings.count, DOCTOR_FINDINGS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_does_not_resolve),
        cmocka_unit_test(one_family_refuses),
        cmocka_unit_test(one_of_several_refuses),
        cmocka_unit_test(another_port_is_meant),
        cmocka_unit_test(nobody_is_there),
        cmocka_unit_test(silence),
        cmocka_unit_test(one_version_for_the_other),
        cmocka_unit_test(tls_for_plain),
        cmocka_unit_test(certificates),
        cmocka_unit_test(redirects),
        cmocka_unit_test(answers),
        cmocka_unit_test(idle_connections),
        cmocka_unit_test(listeners),
        cmocka_unit_test(there_is_an_end_of_findings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
