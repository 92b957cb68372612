/* SPDX-License-Identifier: Apache-2.0
 *
 * What Railway says is read as it is meant, whatever it says; and what is to be done next follows
 * from it alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/provider/railway_api.h"
#include "control/provider/railway_decide.h"

static struct conf_text ids[] = {{.s = STR_INIT("s-1")}, {.s = STR_INIT("s-2")}};
static const struct conf_railway conf = {
    .services = {ids, 2},
    .image = {.s = STR_INIT("registry/app:${release}-${release}")},
    .deadline_ms = 60000,
    .health_ms = 300000,
};

#define LIST(nodes) "{\"edges\":[" nodes "]}"
#define NODE(id, status, second)                                                                   \
    "{\"node\":{\"id\":\"" id "\",\"status\":\"" status                                            \
    "\",\"createdAt\":\"2026-11-28T10:00:" second ".500Z\",\"deploymentStopped\":false}}"
#define SERVICE(letter, mark, nodes)                                                               \
    "\"" letter "Variables\":{\"SLUICE_HOLDS\":\"" mark "\",\"A\":\"secret\"},\"" letter           \
    "Deployments\":" LIST(nodes) ",\"" letter "Instance\":{\"serviceName\":\"Shop " letter "\"}"
#define FULL "\"environment\":{\"config\":{\"services\":{}}}"
#define MARK(unit, second) unit "=r1@17958600" second "500*1"

static bool read_text(struct railway_state *state, const char *text)
{
    json_t *data = json_loads(text, 0, NULL);

    assert_non_null(data);
    return railway_state_read(state, &conf, data);
}

static enum railway_verb decide(const char *text, struct railway_goal *goal, int64_t now_ms,
                                struct railway_step *step)
{
    struct railway_state state;

    assert_true(read_text(&state, text));
    railway_decide(&state, &conf, goal, now_ms, step);
    railway_state_free(&state);
    return step->verb;
}

static void times(void **unused)
{
    (void)unused;
    assert_int_equal(railway_time("2026-11-28T10:00:00.500Z"), 1795860000500);
    assert_int_equal(railway_time("2026-11-28T10:00:00Z"), 1795860000000);
    assert_int_equal(railway_time("2026-11-28"), 0);
    assert_int_equal(railway_time(""), 0);
    assert_int_equal(railway_time(NULL), 0);
}

static void looks_that_are_none_are_refused(void **unused)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"aVariables\":{}}",
        "{\"aVariables\":{},\"aDeployments\":{\"edges\":[]},\"aInstance\":{}}",
        "{\"aVariables\":[],\"aDeployments\":{\"edges\":[]},\"aInstance\":{}}",
        "{" SERVICE("a", "", "") ",\"bVariables\":{},\"bInstance\":{},\"bDeployments\":7}",
    };

    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct railway_state state;

        assert_false(read_text(&state, texts[i]));
        railway_state_free(&state);
    }
}

static void parts_that_are_none_are_passed_over(void **unused)
{
    struct railway_state state;

    (void)unused;
    assert_true(
        read_text(&state,
                  "{" SERVICE("a", "u1=r1@1*1 nonsense u2=r2@2*1",
                              "7,{},{\"node\":null},{\"node\":{\"id\":7,\"status\":[]}}," NODE(
                                  "d1", "CANCELLING", "05")) "," SERVICE("b", "u3=r3@3*1 u4",
                                                                         "") "}"));
    assert_int_equal(state.services[0].hold_count, 1);
    assert_int_equal(state.services[0].deployment_count, 1);
    assert_int_equal(state.services[0].deployments[0].life, RAILWAY_WAITING);
    assert_string_equal(state.services[0].domain, "shop-a.railway.internal");
    assert_int_equal(state.services[1].hold_count, 1);
    assert_null(json_object_get(state.data, "aVariables"));
    railway_state_free(&state);
}

static void marks_are_read_as_they_are_written(void **unused)
{
    struct railway_hold holds[] = {{"u2", "r2", 1795860000500, 3}, {"u.1", "r-1", 0, 1}};
    char *text = railway_mark_text(holds, 2), *none = railway_mark_text(holds, 0);

    (void)unused;
    assert_string_equal(text, "u2=r2@1795860000500*3 u.1=r-1@0*1");
    assert_string_equal(none, "-");
    free(text);
    free(none);
}

static void deployments_belong_to_whom_they_came_after(void **unused)
{
    struct railway_state state;
    struct railway_place newer, older;

    (void)unused;
    assert_true(
        read_text(&state,
                  "{" SERVICE("a", MARK("u2", "10") " " MARK("u1", "05"),
                              NODE("d3", "FAILED", "12") "," NODE("d2", "SUCCESS", "08") "," NODE(
                                  "d1", "REMOVED", "05")) "," SERVICE("b", "", "") "}"));
    newer = railway_find(&state, "u2");
    older = railway_find(&state, "u1");
    assert_string_equal(railway_current(newer)->id, "d3");
    assert_string_equal(railway_current(older)->id, "d2");
    assert_null(railway_running(newer));
    assert_true(railway_is_taken(newer.service, "u2"));
    assert_false(railway_is_taken(newer.service, "u1"));
    assert_null(railway_stranger(newer.service));
    railway_state_free(&state);
}

static struct railway_goal start_goal(void)
{
    return (struct railway_goal){.unit = "u1",
                                 .release = "r1",
                                 .image = "registry/app:r1",
                                 .begun_ms = 1000};
}

static void a_start_marks_then_sets_then_deploys_once(void **unused)
{
    static const char marked[] =
        "{" SERVICE("a", MARK("u1", "00"), "") "," SERVICE("b", "", "") "," FULL "}";
    struct railway_goal goal = start_goal();
    struct railway_step step;

    (void)unused;
    assert_int_equal(decide("{" SERVICE("a", "", "") "," SERVICE("b", "", "") "}", &goal, 1000,
                            &step),
                     RAILWAY_MARK);
    assert_string_equal(step.holds[0].unit, "u1");
    goal.is_marked = true;
    assert_int_equal(decide(marked, &goal, 1000, &step), RAILWAY_CONFIGURE);
    goal.is_configured = true; // and reads back otherwise
    assert_int_equal(decide(marked, &goal, 1000, &step), RAILWAY_END);
    assert_int_equal(step.fault, PROVIDER_PERMANENT);
    assert_non_null(strstr(step.reason, "registry/app:r1"));
}

static void a_deploy_that_may_have_been_is_waited_for(void **unused)
{
    static const char set[] =
        "{\"aVariables\":{\"SLUICE_HOLDS\":\"" MARK("u1", "00") "\"},\"aDeployments\":" LIST(
            "") ",\"aInstance\":{\"serviceName\":\"a\",\"source\":{\"image\":\"registry/app:r1\"},"
                "\"healthcheckTimeout\":300,\"overlapSeconds\":0,\"drainingSeconds\":0,"
                "\"restartPolicyType\":\"ON_FAILURE\",\"restartPolicyMaxRetries\":0},"
                "" SERVICE("b", "", "") "," FULL "}";
    struct railway_goal goal = start_goal();
    struct railway_step step;

    (void)unused;
    // A control before this one may have asked for it.
    assert_int_equal(decide(set, &goal, 1000, &step), RAILWAY_PAUSE);
    assert_int_equal(decide(set, &goal, 1000 + RAILWAY_SETTLE_MS, &step), RAILWAY_DEPLOY);
    goal.is_marked = true;
    assert_int_equal(decide(set, &goal, 1000, &step), RAILWAY_DEPLOY);
    goal.deployed_ms = 2000; // its answer was lost
    assert_int_equal(decide(set, &goal, 2000, &step), RAILWAY_PAUSE);
    assert_int_equal(decide(set, &goal, 2000 + RAILWAY_SETTLE_MS, &step), RAILWAY_DEPLOY);
    goal.is_deployed = true; // its answer was good
    assert_int_equal(decide(set, &goal, 2000 + RAILWAY_SETTLE_MS, &step), RAILWAY_PAUSE);
    assert_int_equal(decide(set, &goal, 2000 + RAILWAY_LOST_MS, &step), RAILWAY_END);
    assert_int_equal(step.fault, PROVIDER_TRANSIENT);
}

static void a_stop_ends_what_runs_and_forgets_it(void **unused)
{
    static const char runs[] =
        "{" SERVICE("a", MARK("u1", "00"), NODE("d1", "SUCCESS", "05")) "," SERVICE("b", "",
                                                                                    "") "}";
    static const char ends[] =
        "{" SERVICE("a", MARK("u1", "00"), NODE("d1", "REMOVING", "05")) "," SERVICE("b", "",
                                                                                     "") "}";
    static const char gone[] =
        "{" SERVICE("a", MARK("u1", "00"), NODE("d1", "REMOVED", "05")) "," SERVICE("b", "",
                                                                                    "") "}";
    struct railway_goal goal = {.unit = "u1", .is_removed = true, .begun_ms = 1000};
    struct railway_step step;

    (void)unused;
    assert_int_equal(decide(runs, &goal, 1000, &step), RAILWAY_REMOVE);
    goal.ended_ms = 1000;
    assert_int_equal(decide(runs, &goal, 1001, &step), RAILWAY_PAUSE);
    assert_int_equal(decide(runs, &goal, 1000 + RAILWAY_SETTLE_MS, &step), RAILWAY_REMOVE);
    assert_int_equal(decide(ends, &goal, 1001, &step), RAILWAY_PAUSE);
    assert_int_equal(decide(ends, &goal, 1000 + conf.deadline_ms, &step), RAILWAY_END);
    assert_int_equal(step.fault, PROVIDER_TRANSIENT);
    assert_int_equal(decide(gone, &goal, 1001, &step), RAILWAY_MARK);
    assert_int_equal(step.hold_count, 0);
    goal.is_removed = false;
    assert_int_equal(decide(gone, &goal, 1001, &step), RAILWAY_END);
    assert_int_equal(step.fault, PROVIDER_OK);
}

static void images_have_the_releases_id(void **unused)
{
    char image[RAILWAY_IMAGE_MAX], large[RAILWAY_IMAGE_MAX + 1];
    struct conf_railway none = conf;

    (void)unused;
    assert_true(railway_image(&conf, "7", NULL, image));
    assert_string_equal(image, "registry/app:7-7");
    assert_true(railway_image(&conf, "7", "other:${release}", image));
    assert_string_equal(image, "other:${release}");
    none.image.s = STR("");
    assert_false(railway_image(&none, "7", NULL, image));
    memset(large, 'x', RAILWAY_IMAGE_MAX);
    large[RAILWAY_IMAGE_MAX] = '\0';
    assert_false(railway_image(&conf, "7", large, image));
}

static void answers_are_faults_of_their_kind(void **unused)
{
    static const struct {
        long status;
        const char *body;
        enum provider_fault fault;
        bool is_unsure;
    } cases[] = {
        {200, "{\"data\":{}}", PROVIDER_OK, false},
        {200, "{\"data\":null}", PROVIDER_TRANSIENT, true},
        {200, "<html>", PROVIDER_TRANSIENT, true},
        {200, "", PROVIDER_TRANSIENT, true},
        {200, "{\"errors\":[{}]}", PROVIDER_TRANSIENT, true},
        {200, "{\"errors\":[7]}", PROVIDER_TRANSIENT, true},
        {200, "{\"errors\":[{\"message\":\"Not Authorized\"}]}", PROVIDER_UNAUTHORIZED, false},
        {200, "{\"errors\":[{\"message\":\"x\",\"extensions\":{\"code\":\"PLAN_LIMIT\"}}]}",
         PROVIDER_CAPACITY, false},
        {200, "{\"errors\":[{\"message\":\"ServiceInstance not found\"}],\"data\":{}}",
         PROVIDER_PERMANENT, false},
        {400,
         "{\"errors\":[{\"message\":\"x\",\"extensions\":{\"code\":"
         "\"GRAPHQL_VALIDATION_FAILED\"}}]}",
         PROVIDER_PERMANENT, false},
        {401, "", PROVIDER_UNAUTHORIZED, false},
        {404, "", PROVIDER_PERMANENT, false},
        {429, "<html>error 1015</html>", PROVIDER_TRANSIENT, false},
        {429, "{\"errors\":[{\"message\":\"x\"}]}", PROVIDER_TRANSIENT, false},
        {502, "", PROVIDER_TRANSIENT, true},
    };

    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct outbound_reply reply = {.status = cases[i].status,
                                       .body = {cases[i].body, strlen(cases[i].body)}};
        struct railway_answer answer;

        railway_api_read(&reply, &answer);
        assert_int_equal(answer.fault, cases[i].fault);
        assert_int_equal(answer.is_unsure, cases[i].is_unsure);
        assert_int_equal(answer.data != NULL, cases[i].fault == PROVIDER_OK);
        json_decref(answer.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(looks_that_are_none_are_refused),
        cmocka_unit_test(parts_that_are_none_are_passed_over),
        cmocka_unit_test(marks_are_read_as_they_are_written),
        cmocka_unit_test(deployments_belong_to_whom_they_came_after),
        cmocka_unit_test(a_start_marks_then_sets_then_deploys_once),
        cmocka_unit_test(a_deploy_that_may_have_been_is_waited_for),
        cmocka_unit_test(a_stop_ends_what_runs_and_forgets_it),
        cmocka_unit_test(images_have_the_releases_id),
        cmocka_unit_test(answers_are_faults_of_their_kind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
