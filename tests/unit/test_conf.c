/* SPDX-License-Identifier: Apache-2.0
 *
 * What a good configuration becomes: defaults, every kind of value, what is filled in, ${env:} and
 * ${file:}.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "test_conf.h"

#define ONE "services: {app: {targets: ['127.0.0.1:3000']}}\n"

static void one_service_is_enough(void **state)
{
    const struct conf *conf = parse_good(*state, ONE);

    assert_int_equal(conf->role, CONF_ROLE_ALL);
    assert_int_equal(conf->workers, CONF_AUTO);
    assert_str(conf->user.s, "sluice");
    assert_null(conf->user.at.source);
    assert_str(conf->state.s, "./state");
    assert_int_equal(conf->listener_count, 1);
    assert_str(conf->listeners[0].bind.host, "");
    assert_int_equal(conf->listeners[0].bind.port, 8080);
    assert_str(conf->listeners[0].health_path.s, "/.sluice/health");
    assert_str(conf->admin.bind.host, "127.0.0.1");
    assert_int_equal(conf->admin.bind.port, 9900);
    assert_str(conf->admin.socket.s, "./state/admin.sock");
    assert_int_equal(conf->admin.metrics.port, 0);
    assert_int_equal(conf->admin.token_count, 0);
    assert_int_equal(conf->file_count, 0);
}

static void timeouts_and_limits_have_defaults(void **state)
{
    const struct conf *conf = parse_good(*state, ONE);
    const struct conf_timeouts *timeouts = &conf->timeouts;
    const struct conf_limits *limits = &conf->limits;

    assert_int_equal(timeouts->header_ms, 10000);
    assert_int_equal(timeouts->body_rate, 1024);
    assert_int_equal(timeouts->idle_ms, 75000);
    assert_int_equal(timeouts->connect_ms, 2000);
    assert_int_equal(timeouts->first_byte_ms, 60000);
    assert_int_equal(timeouts->stream_idle_ms, 300000);
    assert_int_equal(timeouts->tunnel_idle_ms, 3600000);
    assert_int_equal(timeouts->upstream_idle_ms, 4000);
    assert_int_equal(timeouts->drain_delay_ms, 0);
    assert_int_equal(timeouts->drain_ms, 30000);
    assert_int_equal(limits->header_bytes, 32768);
    assert_int_equal(limits->headers, 100);
    assert_int_equal(limits->uri, 8192);
    assert_int_equal(limits->body, 0);
    assert_int_equal(limits->connections, CONF_AUTO);
    assert_int_equal(limits->memory, CONF_AUTO);
    assert_str(conf->log.path.s, "stdout");
    assert_int_equal(conf->log.format, CONF_LOG_JSON);
    assert_int_equal(conf->log.sample_ppm, 1000000);
}

static void one_service_gets_a_route(void **state)
{
    const struct conf *conf = parse_good(*state, "timeouts: {first_byte: 9s}\n" ONE);
    const struct conf_route *route = &conf->routes[0];

    assert_int_equal(conf->route_count, 1);
    assert_str(route->name.s, "app");
    assert_str(route->service.s, "app");
    assert_int_equal(route->path_count + route->hosts.count, 0);
    assert_int_equal(route->timeouts.first_byte_ms, 9000);
}

static void services_have_defaults(void **state)
{
    const struct conf_service *service = parse_good(*state, ONE)->services;

    assert_str(service->name.s, "app");
    assert_int_equal(service->target_count, 1);
    assert_str(service->targets[0].id.s, "127.0.0.1:3000");
    assert_str(service->targets[0].address.host, "127.0.0.1");
    assert_int_equal(service->targets[0].address.port, 3000);
    assert_int_equal(service->targets[0].weight, 1);
    assert_int_equal(service->balance, CONF_LEAST_REQUEST);
    assert_int_equal(service->hash_by, CONF_HASH_CLIENT_IP);
    assert_int_equal(service->host, CONF_HOST_KEEP);
    assert_int_equal(service->limits.concurrency, 0);
    assert_int_equal(service->limits.queue, 200);
    assert_int_equal(service->limits.queue_timeout_ms, 2000);
    assert_int_equal(service->pool.idle_connections, 1024);
    assert_int_equal(service->pool.max_age_ms, 0);
}

static void waking_has_defaults(void **state)
{
    const struct conf *conf =
        parse_good(*state, "routes: [{paths: [/b], service: b}, {service: a}]\n"
                           "services:\n"
                           "  a: {provider: {process: {command: [x]}}, scale: {}}\n"
                           "  b:\n"
                           "    provider: {process: {command: [x]}}\n"
                           "    scale: {wake: {refuse: {agents: [], paths: [/a, /b]}}}\n");
    const struct conf_wake *wake = &conf->services[0].scale.wake;

    assert_int_equal(wake->queue, 1000);
    assert_int_equal(wake->queue_bytes, 64 << 20);
    assert_int_equal(wake->per_client, 20);
    assert_int_equal(wake->deadline_ms, 30000);
    assert_true(wake->has_page);
    assert_int_equal(wake->page_after_ms, 3000);
    assert_int_equal(wake->refuse.agents.count, 4);
    assert_str(wake->refuse.agents.items[3].s, "monitors");
    assert_int_equal(wake->refuse.paths.count, 3);
    assert_str(wake->refuse.paths.items[0].s, "scanners");
    assert_int_equal(wake->refuse.methods.count, 1);
    assert_str(wake->refuse.methods.items[0].s, "OPTIONS");
    assert_false(wake->refuse.respond.is_set);
    wake = &conf->services[1].scale.wake;
    assert_int_equal(wake->refuse.agents.count, 0);
    assert_int_equal(wake->refuse.paths.count, 2);
    assert_str(wake->refuse.paths.items[1].s, "/b");
}

static void services_are_read(void **state)
{
    const struct conf *conf = parse_good(
        *state,
        "routes: [{service: a}]\n"
        "services:\n"
        "  a:\n"
        "    targets: ['[::1]:80', {id: x, address: 'unix:/run/x', weight: 7}, 'h.internal:1']\n"
        "    balance: hash\n"
        "    hash_by: header:X-Tenant\n"
        "    host: Up.example.com\n"
        "    protocol: http1\n"
        "    tls: off\n"
        "    limits: {concurrency: 5, queue: 0, queue_timeout: 50ms}\n"
        "    pool: {idle_connections: 0, max_age: 1h}\n"
        "  b: {targets: ['b:1'], hash_by: cookie:Sid, host: target, balance: random}\n");
    const struct conf_service *a = &conf->services[0], *b = &conf->services[1];

    assert_str(a->targets[0].address.host, "::1");
    assert_str(a->targets[1].id.s, "x");
    assert_true(a->targets[1].address.is_unix);
    assert_str(a->targets[1].address.host, "/run/x");
    assert_int_equal(a->targets[1].weight, 7);
    assert_str(a->targets[2].address.host, "h.internal");
    assert_int_equal(a->hash_by, CONF_HASH_HEADER);
    assert_str(a->hash_name, "x-tenant");
    assert_int_equal(a->host, CONF_HOST_NAME);
    assert_str(a->host_name.s, "Up.example.com");
    assert_int_equal(a->limits.concurrency, 5);
    assert_int_equal(a->limits.queue, 0);
    assert_int_equal(a->pool.max_age_ms, 3600000);
    assert_int_equal(b->hash_by, CONF_HASH_COOKIE);
    assert_str(b->hash_name, "Sid");
    assert_int_equal(b->host, CONF_HOST_TARGET);
    assert_int_equal(b->balance, CONF_RANDOM);
}

static void route_conditions_are_read(void **state)
{
    const struct conf *conf =
        parse_good(*state, ONE "routes:\n"
                               "  - name: r\n"
                               "    hosts: [API.Example.com, '*.Example.com', '[::1]']\n"
                               "    paths: ['/v1/*', '/*', /exact, '~^/x(\\d+)$', /]\n"
                               "    methods: [GET, M-SEARCH]\n"
                               "    headers: {X-Beta: '1', x-any: '*'}\n"
                               "    query: {Q: 2}\n"
                               "    service: app\n");
    const struct conf_route *r = &conf->routes[0];
    static const struct {
        enum conf_path_kind kind;
        const char *text;
    } paths[] = {{CONF_PATH_PREFIX, "/v1"},
                 {CONF_PATH_PREFIX, ""},
                 {CONF_PATH_EXACT, "/exact"},
                 {CONF_PATH_REGEX, "^/x(\\d+)$"},
                 {CONF_PATH_EXACT, "/"}};

    assert_str(r->hosts.items[0].s, "api.example.com");
    assert_str(r->hosts.items[1].s, "*.example.com");
    assert_str(r->hosts.items[2].s, "[::1]");
    assert_int_equal(r->path_count, ARRAY_LEN(paths));
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        assert_int_equal(r->paths[i].kind, paths[i].kind);
        assert_str(r->paths[i].text.s, paths[i].text);
    }
    assert_int_equal(r->methods.count, 2);
    assert_str(r->headers.items[0].name.s, "x-beta");
    assert_str(r->headers.items[1].value.s, "*");
    assert_str(r->query.items[0].name.s, "Q");
    assert_str(r->query.items[0].value.s, "2");
}

static void route_deeds_are_read(void **state)
{
    const struct conf *conf =
        parse_good(*state, ONE "timeouts: {idle: 7s, first_byte: 8s}\n"
                               "routes:\n"
                               "  - redirect: {to: 'https://x${path}'}\n"
                               "  - redirect: {to: /y, status: 302}\n"
                               "  - respond: {body: hi}\n"
                               "  - respond: {}\n"
                               "  - service: app\n"
                               "    rewrite: {strip_prefix: /a, add_prefix: /b}\n"
                               "    timeouts: {first_byte: off, body_rate: off}\n");

    assert_true(conf->routes[0].redirect.is_set);
    assert_false(conf->routes[0].respond.is_set);
    assert_str(conf->routes[0].redirect.to.s, "https://x${path}");
    assert_int_equal(conf->routes[0].redirect.status, 308);
    assert_int_equal(conf->routes[1].redirect.status, 302);
    assert_true(conf->routes[2].respond.is_set);
    assert_int_equal(conf->routes[2].respond.status, 200);
    assert_str(conf->routes[2].respond.body.s, "hi");
    assert_str(conf->routes[2].respond.content_type.s, "text/plain; charset=utf-8");
    assert_str(conf->routes[3].respond.body.s, "");
    assert_str(conf->routes[4].rewrite.strip_prefix.s, "/a");
    assert_str(conf->routes[4].rewrite.add_prefix.s, "/b");
    assert_null(conf->routes[4].rewrite.regex.s.p);
    assert_int_equal(conf->routes[4].timeouts.first_byte_ms, 0);
    assert_int_equal(conf->routes[4].timeouts.body_rate, 0);
    assert_int_equal(conf->routes[4].timeouts.idle_ms, 7000);
    assert_int_equal(conf->routes[3].timeouts.first_byte_ms, 8000);
}

/* Whatever the order of the file, routes inherit. */
static void order_of_keys_does_not_matter(void **state)
{
    const struct conf *conf =
        parse_good(*state, "routes: [{service: app}]\n" ONE "timeouts: {idle: 3s}\n");

    assert_int_equal(conf->routes[0].timeouts.idle_ms, 3000);
}

static void admin_is_read(void **state)
{
    const struct conf *conf =
        parse_good(*state,
                   ONE "admin:\n"
                       "  bind: ':9900'\n"
                       "  socket: /run/s.sock\n"
                       "  metrics: '[::]:9901'\n"
                       "  tokens: [{name: ci, token: '${env:SLUICE_CI_TOKEN}', can: [deploy]}]\n");

    assert_str(conf->admin.tokens[0].token.s, "s3cr3t-token");
    assert_int_equal(conf->admin.tokens[0].can, 1 << CONF_CAN_READ | 1 << CONF_CAN_DEPLOY);
    assert_str(conf->admin.metrics.host, "::");
    assert_int_equal(conf->admin.metrics.port, 9901);
    assert_str(conf->admin.socket.s, "/run/s.sock");
}

static void environment_is_put_in(void **state)
{
    const struct conf *conf =
        parse_good(*state,
                   ONE "listeners: [{bind: ':${env:PORT}', health_path: '/${env:EMPTY}x'}]\n"
                       "state: '$${env:PORT}${env:HOST}$'\n"
                       "workers: 3\n");

    assert_int_equal(conf->listeners[0].bind.port, 8088);
    assert_str(conf->listeners[0].health_path.s, "/x");
    assert_str(conf->state.s, "${env:PORT}app.example.com$");
    assert_int_equal(conf->workers, 3);
}

#define APP "services: {a: {provider: {process: {command: ['${env:HOST}'], "

/* What an app is told in confidence is read by what starts it, and by nobody else. */
static void environment_of_apps_waits(void **state)
{
    struct bench *bench = *state;
    struct conf_world starter = test_world;
    const char *text = APP "env: {A: '${env:HOST}', B: 'x${file:/nowhere}'}}}}}";
    const struct conf *conf = parse_good(bench, text);
    const struct conf_process *process = &conf->services[0].provider.process;

    assert_str(process->command.items[0].s, "app.example.com");
    assert_str(process->env.items[0].value.s, "${env:HOST}");
    assert_str(process->env.items[1].value.s, "x${file:/nowhere}");
    starter.expands_process_env = true;
    text = APP "env: {A: '${env:HOST}'}}}}}";
    conf = conf_parse((struct str){text, strlen(text)}, "x.yaml", &starter, &bench->arena,
                      &bench->diag);
    assert_non_null(conf);
    assert_str(conf->services[0].provider.process.env.items[0].value.s, "app.example.com");
    text = APP "env: {A: '${env:NONE}'}}}}}";
    assert_null(conf_parse((struct str){text, strlen(text)}, "x.yaml", &starter, &bench->arena,
                           &bench->diag));
}

/* No sentence may hold what a variable held. */
static void secrets_stay_secret(void **state)
{
    struct bench *bench = *state;
    struct str report;

    assert_null(parse(bench, "workers: ${env:WORD}\n"
                             "role: ${env:WORD}\n"
                             "listeners: [{bind: '${env:WORD}'}]\n"
                             "timeouts: {idle: 'x${env:WORD}'}\n"
                             "log: {sample: '${env:WORD}', format: '${env:WORD}'}\n"
                             "routes: [{paths: ['${env:WORD}'], methods: ['${env:WORD}']}]\n"
                             "services: {a: {targets: ['${env:WORD}'], host: '${env:WORD} ',"
                             " hash_by: '${env:WORD}'}}\n"));
    report = diag_report(&bench->diag);
    assert_true(bench->diag.errors >= 10);
    assert_null(memmem(report.p, report.len, "hush", 4));
    assert_non_null(memmem(report.p, report.len, "(from ${env:WORD})", 18));
}

static void files_are_put_in(void **state)
{
    char path[] = "/tmp/sluice-conf-XXXXXX", text[256];
    int fd = mkstemp(path);
    const struct conf *conf;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "from-a-file\n", 12), 12);
    close(fd);
    snprintf(text, sizeof(text), ONE "state: 'x/${file:%s}'\n", path);
    conf = parse(*state, text);
    unlink(path);
    assert_non_null(conf);
    assert_str(conf->state.s, "x/from-a-file");
}

static void filters_are_read(void **state)
{
    const struct conf *conf =
        parse_good(*state, ONE "filters:\n"
                               "  - paint: {color: red, coats: 3, rooms: [hall, attic]}\n"
                               "  - cap: 1MiB\n"
                               "  - plain:\n"
                               "routes: [{service: app, filters: [paint: off]}]\n");
    const struct conf_filters *all = &conf->filters;
    const struct paint *conf_paint = all->items[0].conf;

    assert_int_equal(all->count, 3);
    assert_ptr_equal(all->items[0].filter, &paint);
    assert_int_equal(conf_paint->coats, 3);
    assert_true(conf_paint->has_odd_coats);
    assert_str(conf_paint->color.s, "red");
    assert_int_equal(conf_paint->rooms.count, 2);
    assert_str(conf_paint->rooms.items[1].s, "attic");
    assert_int_equal(*(const uint64_t *)all->items[1].conf, 1 << 20);
    assert_non_null(all->items[2].conf);
    assert_null(conf->routes[0].filters.items[0].conf);
    assert_ptr_equal(conf->routes[0].filters.items[0].filter, &paint);
}

static void json_is_taken(void **state)
{
    const struct conf *conf =
        parse_good(*state, "{\"services\": {\"app\": {\"targets\": [\"h:1\"]}},\n"
                           " \"routes\": [{\"respond\": {\"body\": \"\\ud83d\\ude00\"}}]}");

    assert_str(conf->routes[0].respond.body.s, "\xf0\x9f\x98\x80");
}

static void spans_lead_home(void **state)
{
    struct bench *bench = *state;
    const struct conf *conf =
        parse_good(bench, "\xef\xbb\xbfservices:\n  app:\n    targets: [h:1]\n");

    assert_str(diag_place(&bench->diag, conf->services[0].targets[0].address.text.at),
               "x.yaml:3:15");
    assert_str(diag_place(&bench->diag, conf->services[0].name.at), "x.yaml:2:3");
}

/* Texts end in a NUL, for those who hand them to C. */
static void texts_are_terminated(void **state)
{
    const struct conf *conf = parse_good(*state, ONE "user: nobody # x\nlog: {path: a.log}\n");

    assert_string_equal(conf->user.s.p, "nobody");
    assert_string_equal(conf->log.path.s.p, "a.log");
    assert_string_equal(conf->admin.socket.s.p, "./state/admin.sock");
}

static void memory_limit_is_an_error(void **state)
{
    struct bench *bench = *state;
    struct arena small;

    arena_init(&small, NULL, 64 * 1024);
    for (size_t limit = 64; limit <= 4096; limit *= 2) {
        small.limit = limit;
        assert_null(conf_parse(STR(ONE), "x", &test_world, &small, &bench->diag));
        arena_reset(&small);
    }
    assert_true(bench->diag.errors > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_service_is_enough),
        TEST(timeouts_and_limits_have_defaults),
        TEST(one_service_gets_a_route),
        TEST(services_have_defaults),
        TEST(waking_has_defaults),
        TEST(services_are_read),
        TEST(route_conditions_are_read),
        TEST(route_deeds_are_read),
        TEST(order_of_keys_does_not_matter),
        TEST(admin_is_read),
        TEST(environment_is_put_in),
        TEST(environment_of_apps_waits),
        TEST(secrets_stay_secret),
        TEST(files_are_put_in),
        TEST(filters_are_read),
        TEST(json_is_taken),
        TEST(spans_lead_home),
        TEST(texts_are_terminated),
        TEST(memory_limit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
