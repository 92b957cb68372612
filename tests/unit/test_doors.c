/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of a whole configuration: what each listener and service gets, what copies share, and what
 * stays when files go bad.
 */
#include "edge/tls/doors.h"
#include "test_tls.h"

struct rig {
    struct tls_bench *bench;
    struct conf conf;
    struct conf_listener listeners[3];
    struct conf_service services[2];
    struct conf_certificate pair;
    struct doors_build ask;
};

static void init(struct rig *rig, void **state)
{
    struct conf_listener *plain = &rig->listeners[0], *tls = &rig->listeners[1];

    memset(rig, 0, sizeof(*rig));
    rig->bench = *state;
    rig->pair = put_pair(rig->bench, "a", &(struct wish){.names = "DNS:a.example.com"});
    plain->bind.text.s = STR(":80");
    plain->redirect_https = true;
    tls->bind.text.s = STR(":443");
    tls->http2 = true;
    tls->tls.is_set = true;
    tls->tls.certificates = &rig->pair;
    tls->tls.certificate_count = 1;
    tls->tls.hsts.max_age_ms = 60000;
    tls->tls.client_header.s = STR("x-subject");
    rig->services[1].tls = (struct conf_target_tls){.is_set = true,
                                                    .ca = {.s = rig->pair.cert.s},
                                                    .name = {.s = STR("auto")},
                                                    .verify = true};
    rig->conf = (struct conf){.listeners = rig->listeners,
                              .listener_count = 2,
                              .services = rig->services,
                              .service_count = 2};
    rig->ask.conf = &rig->conf;
}

static void each_listener_and_service_has_its_own(void **state)
{
    struct doors doors, copy;
    const struct door *door;
    struct rig rig;

    init(&rig, state);
    assert_true(doors_init(&doors, &rig.ask, &rig.bench->diag));
    assert_int_equal(doors.count, 2);
    door = doors_find(&doors, STR(":80"));
    assert_null(door->tls);
    assert_true(door->redirect_https && !door->http2);
    assert_string_equal(door->hsts, "");
    door = doors_find(&doors, STR(":443"));
    assert_non_null(door->tls);
    assert_true(door->http2 && !door->redirect_https);
    assert_string_equal(door->hsts, "max-age=60");
    assert_string_equal(door->cert_header, "x-subject");
    assert_null(doors_find(&doors, STR(":44")));
    assert_null(doors.clients[0]);
    assert_non_null(doors.clients[1]);
    assert_true(doors_copy(&copy, &doors));
    assert_ptr_equal(copy.list[1].tls, doors.list[1].tls);
    assert_ptr_equal(copy.clients[1], doors.clients[1]);
    doors_fini(&doors);
    assert_int_equal(doors.count, 0);
    assert_int_equal(tls_server_count(copy.list[1].tls), 1);
    assert_string_equal(copy.list[1].bind.p, ":443");
    doors_fini(&copy);
    doors_fini(&copy);
}

static void the_roots_of_the_machine_are_read_once(void **state)
{
    struct doors doors, again;
    struct rig rig;

    init(&rig, state);
    rig.services[0].tls = rig.services[1].tls;
    rig.services[0].tls.ca.s = rig.services[1].tls.ca.s = STR("system");
    assert_true(doors_init(&doors, &rig.ask, &rig.bench->diag));
    assert_non_null(doors.system);
    rig.ask.before = &doors;
    assert_true(doors_init(&again, &rig.ask, &rig.bench->diag));
    assert_ptr_not_equal(again.system, doors.system); // the configuration was read again
    doors_fini(&again);
    rig.ask.keeps_old = true;
    assert_true(doors_init(&again, &rig.ask, &rig.bench->diag));
    assert_ptr_equal(again.system, doors.system);
    doors_fini(&doors);
    doors_fini(&again);
}

static void hsts_has_its_directives(void **state)
{
    struct doors doors;
    struct rig rig;

    init(&rig, state);
    rig.listeners[1].tls.hsts.max_age_ms = UINT64_C(87600) * 3600 * 1000;
    rig.listeners[1].tls.hsts.subdomains = rig.listeners[1].tls.hsts.preload = true;
    assert_true(doors_init(&doors, &rig.ask, &rig.bench->diag));
    assert_string_equal(doors.list[1].hsts, "max-age=315360000; includeSubDomains; preload");
    doors_fini(&doors);
}

static void all_that_is_wrong_is_told(void **state)
{
    struct doors doors;
    struct rig rig;

    init(&rig, state);
    rig.services[1].tls.ca.s = STR("none.pem");
    write_text(rig.bench, "a.key", "rubbish");
    assert_false(doors_init(&doors, &rig.ask, &rig.bench->diag));
    assert_int_equal(rig.bench->diag.errors, 2);
    assert_int_equal(doors.count, 0);
    assert_int_equal(doors.client_count, 0);
}

static void what_goes_bad_stays_as_it_was(void **state)
{
    struct doors before, doors;
    struct rig rig;

    init(&rig, state);
    rig.listeners[1].tls.client_ca.s = rig.pair.cert.s;
    assert_true(doors_init(&before, &rig.ask, &rig.bench->diag));
    rig.ask.before = &before;
    rig.ask.keeps_old = true;
    write_text(rig.bench, "a.pem", "rubbish"); // certificate, roots of clients and of targets
    assert_true(doors_init(&doors, &rig.ask, &rig.bench->diag));
    assert_int_equal(rig.bench->diag.errors, 0);
    assert_true(rig.bench->diag.count >= 3);
    assert_ptr_equal(doors.list[1].tls, before.list[1].tls);
    assert_ptr_equal(doors.clients[1], before.clients[1]);
    doors_fini(&before);
    doors_fini(&doors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH(each_listener_and_service_has_its_own),
        BENCH(the_roots_of_the_machine_are_read_once),
        BENCH(hsts_has_its_directives),
        BENCH(all_that_is_wrong_is_told),
        BENCH(what_goes_bad_stays_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
