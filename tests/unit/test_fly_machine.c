/* SPDX-License-Identifier: Apache-2.0
 *
 * Machines at Fly.io as the contract of providers sees them, and what an answer of the API means.
 */
#include "control/provider/fly_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "control/provider/fly_api.h"

static json_t *load(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);

    assert_non_null(json);
    return json;
}

/* --- states */

static void each_state_has_its_phase(void **state)
{
    static const struct {
        const char *state, *host;
        enum fly_phase phase;
    } cases[] = {
        {"created", "ok", FLY_GOING_UP},
        {"starting", "ok", FLY_GOING_UP},
        {"restarting", "ok", FLY_GOING_UP},
        {"updating", "ok", FLY_GOING_UP},
        {"replacing", "ok", FLY_GOING_UP},
        {"of tomorrow", "ok", FLY_GOING_UP},
        {"started", "ok", FLY_UP},
        {"started", "unknown", FLY_UP},
        {"started", "unreachable", FLY_BROKEN},
        {"stopped", "unreachable", FLY_BROKEN},
        {"starting", "unreachable", FLY_BROKEN},
        {"stopping", "ok", FLY_GOING_DOWN},
        {"suspending", "ok", FLY_GOING_DOWN},
        {"stopped", "ok", FLY_DOWN},
        {"suspended", "ok", FLY_DOWN},
        {"failed", "ok", FLY_BROKEN},
        {"launch_failed", "ok", FLY_ENDING},
        {"destroying", "unreachable", FLY_ENDING},
        {"destroyed", "ok", FLY_GONE},
        {"replaced", "ok", FLY_GONE},
        {"migrated", "ok", FLY_GONE},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *machine =
            json_pack("{s:s,s:s}", "state", cases[i].state, "host_status", cases[i].host);

        assert_int_equal(fly_machine_phase(machine), cases[i].phase);
        json_decref(machine);
    }
}

/* --- how it ended */

struct ended {
    const char *exit; /* the exit event */
    enum provider_state state;
    int code, signal;
    const char *reason;
};

static void an_exit_says_how(void **state)
{
    static const struct ended cases[] = {
        {"{}", PROVIDER_STOPPED, 0, 0, NULL}, // the code is left out when it is 0
        {"{'exit_code': 0, 'signal': -1}", PROVIDER_STOPPED, 0, 0, NULL},
        {"{'exit_code': 7, 'signal': -1}", PROVIDER_FAILED, 7, 0, NULL},
        {"{'guest_exit_code': 9}", PROVIDER_FAILED, 9, 0, NULL},
        {"{'exit_code': 137, 'signal': 9}", PROVIDER_FAILED, 137, 9, NULL},
        {"{'guest_signal': 11, 'signal': -1}", PROVIDER_FAILED, 0, 11, NULL},
        {"{'exit_code': 143, 'signal': 15, 'requested_stop': true}", PROVIDER_STOPPED, 143, 15,
         NULL},
        {"{'oom_killed': true, 'requested_stop': true}", PROVIDER_FAILED, 0, 0,
         "it had no memory left"},
        {"{'signal': 99999999999, 'exit_code': 'x'}", PROVIDER_STOPPED, 0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        struct fly_view view;
        json_t *exit_event, *machine;

        strcpy(text, cases[i].exit);
        for (char *c = text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        exit_event = load(text);
        machine = json_pack("{s:s,s:[{s:s,s:i,s:{s:o}},{s:s,s:s,s:i}]}", "state", "stopped",
                            "events", "type", "exit", "timestamp", 5000, "request", "exit_event",
                            exit_event, "type", "start", "status", "started", "timestamp", 2000);
        fly_machine_view(machine, 80, &view);
        assert_int_equal(view.unit.state, cases[i].state);
        assert_int_equal(view.unit.exit_code, cases[i].code);
        assert_int_equal(view.unit.signal, cases[i].signal);
        assert_int_equal(view.unit.lived_ms, 3000);
        assert_int_equal(view.unit.started_ms, 2000);
        assert_int_equal(view.unit.since_ms, 5000);
        assert_int_equal(fly_machine_ended_ms(machine), 5000);
        assert_null(view.unit.address);
        if (cases[i].reason)
            assert_string_equal(view.unit.reason, cases[i].reason);
        else
            assert_null(view.unit.reason);
        json_decref(machine);
    }
}

static void an_address_is_that_of_the_private_network(void **state)
{
    json_t *machine = load("{\"state\": \"started\", \"private_ip\": \"fdaa:0:1::2\","
                           " \"created_at\": \"2026-01-02T03:04:05Z\"}");
    struct fly_view view;

    (void)state;
    fly_machine_view(machine, 8080, &view);
    assert_string_equal(view.unit.address, "[fdaa:0:1::2]:8080");
    assert_int_equal(view.unit.started_ms, 1767323045000);
    assert_int_equal(view.unit.exit_code, -1);
    json_object_set_new(machine, "private_ip", json_string(""));
    fly_machine_view(machine, 8080, &view);
    assert_null(view.unit.address);
    json_decref(machine);
}

static void of_several_the_one_of_most_use_is_the_unit(void **state)
{
    static const char *const order[] = {"destroying", "failed",   "stopped",
                                        "stopping",   "starting", "started"};
    json_t *machines = json_array();

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        json_array_append_new(machines, json_pack("{s:s,s:{s:{s:s,s:s}}}", "state", order[i],
                                                  "config", "metadata", FLY_MACHINE_UNIT, "u1",
                                                  FLY_MACHINE_SERVICE, "shop"));
        assert_ptr_equal(fly_machine_find(machines, "shop", "u1", true),
                         json_array_get(machines, i));
        assert_ptr_equal(fly_machine_find(machines, "shop", "u1", false),
                         i ? json_array_get(machines, i) : NULL);
        assert_null(fly_machine_find(machines, "shop", "u2", true));
        assert_null(fly_machine_find(machines, "other", "u1", true));
    }
    json_decref(machines);
}

static void a_log_is_in_order_and_fits(void **state)
{
    json_t *machine =
        json_pack("{s:[{s:s,s:s,s:s,s:i},{s:s,s:s,s:s,s:i},{s:s,s:s,s:s,s:i}]}", "events", "type",
                  "start", "status", "started", "source", "flyd", "timestamp", 2000, "type",
                  "start", "status", "starting", "source", "user", "timestamp", 1000, "type",
                  "launch", "status", "created", "source", "user", "timestamp", 1000);
    static const char expected[] = "1970-01-01T00:00:01.000Z launch created by user\n"
                                   "1970-01-01T00:00:01.000Z start starting by user\n"
                                   "1970-01-01T00:00:02.000Z start started by flyd\n";
    char text[512];

    (void)state;
    assert_int_equal(fly_machine_log(machine, text, sizeof(text)), sizeof(expected) - 1);
    assert_memory_equal(text, expected, sizeof(expected) - 1);
    for (size_t size = 1; size < sizeof(expected); size++)
        assert_true(fly_machine_log(machine, text, size) <= size);
    json_decref(machine);
}

/* --- answers */

static void an_answer_has_its_fault(void **state)
{
    static const struct {
        long status;
        const char *body;
        enum provider_fault fault;
    } cases[] = {
        {200, "{}", PROVIDER_OK},
        {201, "[]", PROVIDER_OK},
        {204, NULL, PROVIDER_OK},
        {400, "{\"error\": \"no such image\"}", PROVIDER_PERMANENT},
        {401, NULL, PROVIDER_UNAUTHORIZED},
        {403, "{\"error\": \"unauthorized\"}", PROVIDER_UNAUTHORIZED},
        {404, NULL, PROVIDER_PERMANENT},
        {408, NULL, PROVIDER_TRANSIENT},
        {409, NULL, PROVIDER_TRANSIENT},
        {412, NULL, PROVIDER_TRANSIENT},
        {429, NULL, PROVIDER_TRANSIENT},
        {422, "{\"status\": \"insufficient_capacity\"}", PROVIDER_CAPACITY},
        {412, "{\"error\": \"could not reserve resource for your machine\"}", PROVIDER_CAPACITY},
        {503, "{\"message\": \"insufficient resources available\"}", PROVIDER_CAPACITY},
        {422, "{\"status\": 7, \"error\": []}", PROVIDER_PERMANENT},
        {500, NULL, PROVIDER_TRANSIENT},
        {0, NULL, PROVIDER_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_t *body = cases[i].body ? load(cases[i].body) : NULL;

        assert_int_equal(fly_api_fault(cases[i].status, body), cases[i].fault);
        json_decref(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_state_has_its_phase),
        cmocka_unit_test(an_exit_says_how),
        cmocka_unit_test(an_address_is_that_of_the_private_network),
        cmocka_unit_test(of_several_the_one_of_most_use_is_the_unit),
        cmocka_unit_test(a_log_is_in_order_and_fits),
        cmocka_unit_test(an_answer_has_its_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
