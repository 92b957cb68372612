/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of chain.c with filters that write down each call: order, merging, and that on_done comes
 * once for all on which a hook ran. What it does with bodies is in test_chain_body.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/filter/chain.h"

/* Each filter's conf: its letter, and what its hooks say. */
struct note {
    char letter;
    enum verdict asks, tells;
};

struct state {
    unsigned asked;
};

static char journal[64];

static void write_down(char what, const struct visit *visit)
{
    size_t len = strlen(journal);

    assert_true(len + 3 < sizeof(journal));
    journal[len] = what;
    journal[len + 1] = ((const struct note *)visit->conf)->letter;
    journal[len + 2] = ' ';
    journal[len + 3] = '\0';
}

static void assert_journal(const char *want)
{
    assert_string_equal(journal, want);
    journal[0] = '\0';
}

static enum verdict ask(struct visit *visit)
{
    struct state *state = visit->state;

    write_down('?', visit);
    assert_int_equal(state->asked, 0);
    state->asked++;
    return ((const struct note *)visit->conf)->asks;
}

static enum verdict tell(struct visit *visit)
{
    write_down('!', visit);
    assert_non_null(visit->response);
    return ((const struct note *)visit->conf)->tells;
}

static void finish(struct visit *visit)
{
    write_down('.', visit);
}

#define FILTER(name_)                                                                              \
    {                                                                                              \
        .name = name_, .state_size = sizeof(struct state), .on_request = ask, .on_response = tell, \
        .on_done = finish                                                                          \
    }

static const struct filter filters[] = {FILTER("a"), FILTER("b"), FILTER("c"), {.name = "mute"}};

struct bench {
    struct arena arena;
    struct note notes[4], others[4];
    struct conf_filter items[4], own[4];
    struct conf_filters global;
    struct head request, response;
    const struct chain *chain;
    struct chain_walk walk;
    struct visit *visit;
    unsigned resumed;
};

static void note_resume(void *owner)
{
    ((struct bench *)owner)->resumed++;
}

static const struct chain_ends ends = {.resume = note_resume};

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    journal[0] = '\0';
    arena_init(&bench->arena, NULL, 0);
    for (unsigned i = 0; i < 4; i++) {
        bench->notes[i].letter = (char)('a' + i);
        bench->others[i].letter = (char)('A' + i);
        bench->items[i] = (struct conf_filter){.filter = &filters[i], .conf = &bench->notes[i]};
    }
    bench->global = (struct conf_filters){bench->items, 3};
    return 0;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    free(bench);
    return 0;
}

/* A route's own filters, by letter: small is `off`, capital is on with the other conf. */
static struct conf_filters own(struct bench *bench, const char *letters)
{
    uint32_t n = 0;

    for (; letters[n]; n++) {
        bool is_on = letters[n] < 'a';
        unsigned index = (unsigned)(letters[n] - (is_on ? 'A' : 'a'));

        bench->own[n] = (struct conf_filter){.filter = &filters[index],
                                             .conf = is_on ? &bench->others[index] : NULL};
    }
    return (struct conf_filters){bench->own, n};
}

static void start(struct bench *bench, const char *letters)
{
    struct conf_filters route = own(bench, letters);
    struct visit common = {.arena = &bench->arena, .request = &bench->request};

    bench->chain = chain_build(&bench->global, &route, &bench->arena);
    assert_non_null(bench->chain);
    bench->walk.ends = &ends;
    bench->walk.owner = bench;
    assert_int_equal(chain_start(&bench->walk, bench->chain, &common), OK);
}

static enum verdict request(struct bench *bench)
{
    return chain_request(&bench->walk, &bench->visit);
}

static enum verdict response(struct bench *bench, bool is_own)
{
    return chain_response(&bench->walk, &bench->response, is_own, &bench->visit);
}

static void assert_order(struct bench *bench, const char *letters, const char *want)
{
    start(bench, letters);
    assert_int_equal(request(bench), VERDICT_PASS);
    assert_journal(want);
    chain_end(&bench->walk);
    journal[0] = '\0';
}

static void test_merge(void **state)
{
    struct bench *bench = *state;

    assert_order(bench, "", "?a ?b ?c ");
    assert_order(bench, "B", "?a ?B ?c ");
    assert_order(bench, "b", "?a ?c ");
    assert_order(bench, "abc", "");
    assert_order(bench, "bB", "?a ?c ?B ");
    bench->global.count = 1;
    assert_order(bench, "CB", "?a ?C ?B ");
    assert_order(bench, "c", "?a ");
    bench->global.count = 0;
    assert_order(bench, "", "");
    assert_order(bench, "CA", "?C ?A ");
}

static void test_one_exchange(void **state)
{
    struct bench *bench = *state;

    start(bench, "");
    assert_int_equal(request(bench), VERDICT_PASS);
    assert_journal("?a ?b ?c ");
    assert_int_equal(response(bench, false), VERDICT_PASS);
    assert_journal("!c !b !a ");
    chain_end(&bench->walk);
    assert_journal(".c .b .a ");
    chain_end(&bench->walk);
    assert_journal("");
}

static void test_reply_tells_all(void **state)
{
    struct bench *bench = *state;

    bench->notes[1].asks = VERDICT_REPLY;
    start(bench, "");
    assert_int_equal(request(bench), VERDICT_REPLY);
    assert_ptr_equal(bench->visit->conf, &bench->notes[1]);
    assert_journal("?a ?b ");
    assert_int_equal(response(bench, true), VERDICT_PASS);
    assert_journal("!c !b !a ");
    for (unsigned i = 0; i < 3; i++)
        assert_true(bench->walk.visits[i].is_own);
    chain_end(&bench->walk);
    assert_journal(".c .b .a ");
}

/* An answer that is not our own can come before all were asked only if an exchange asks no more. */
static void test_answer_tells_those_that_were_asked(void **state)
{
    struct bench *bench = *state;

    bench->notes[1].asks = VERDICT_WAIT;
    start(bench, "");
    assert_int_equal(request(bench), VERDICT_WAIT);
    assert_int_equal(response(bench, false), VERDICT_PASS);
    assert_journal("?a ?b !b !a ");
    chain_end(&bench->walk);
    assert_journal(".b .a ");
}

static void decide(struct bench *bench, enum verdict verdict, unsigned resumed)
{
    bench->visit->verdict = verdict;
    filter_resume(bench->visit);
    assert_int_equal(bench->resumed, resumed);
}

static void test_wait_goes_on_after_it(void **state)
{
    struct bench *bench = *state;

    bench->notes[0].asks = bench->notes[2].asks = VERDICT_WAIT;
    start(bench, "");
    assert_int_equal(request(bench), VERDICT_WAIT);
    assert_journal("?a ");
    decide(bench, VERDICT_PASS, 1);
    assert_int_equal(request(bench), VERDICT_WAIT);
    assert_journal("?b ?c ");
    decide(bench, VERDICT_PASS, 2);
    assert_int_equal(request(bench), VERDICT_PASS);
    assert_journal("");
    decide(bench, VERDICT_PASS, 2); // it does not wait
    chain_end(&bench->walk);
    assert_journal(".c .b .a ");
}

static void test_wait_ends_in_a_refusal(void **state)
{
    struct bench *bench = *state;

    bench->notes[0].asks = VERDICT_WAIT;
    start(bench, "");
    assert_int_equal(request(bench), VERDICT_WAIT);
    decide(bench, VERDICT_FAIL, 1);
    assert_int_equal(request(bench), VERDICT_FAIL);
    assert_ptr_equal(bench->visit->conf, &bench->notes[0]);
    assert_journal("?a ");
    assert_int_equal(response(bench, true), VERDICT_PASS);
    assert_journal("!c !b !a ");
    chain_end(&bench->walk);
    assert_journal(".c .b .a ");
}

/* The request was refused for another reason meanwhile: what the filter finds then is too late. */
static void test_resumed_too_late(void **state)
{
    struct bench *bench = *state;

    bench->notes[0].asks = VERDICT_WAIT;
    start(bench, "");
    assert_int_equal(request(bench), VERDICT_WAIT);
    assert_int_equal(response(bench, true), VERDICT_PASS);
    decide(bench, VERDICT_PASS, 0);
    chain_end(&bench->walk);
    assert_journal("?a !c !b !a .c .b .a ");
}

static bool compile(void *conf, const struct filter_prepare *prepare)
{
    struct note *note = conf;

    assert_non_null(prepare->arena);
    write_down(note->tells == VERDICT_FAIL ? 'x' : '+', &(struct visit){.conf = conf});
    return note->tells != VERDICT_FAIL;
}

static void give_back(void *conf)
{
    write_down('-', &(struct visit){.conf = conf});
}

static void test_preparation(void **state)
{
    struct bench *bench = *state;
    const struct filter compiled = {.name = "d", .prepare = compile, .dispose = give_back};
    struct conf_route routes[2] = {{.filters = own(bench, "BA")}};
    struct conf conf = {.filters = bench->global, .routes = routes, .route_count = 2};

    for (unsigned i = 0; i < 4; i++)
        bench->items[i].filter = bench->own[i].filter = &compiled;
    bench->items[1].conf = NULL; // off
    assert_true(chain_prepare(&conf, NULL, &bench->arena, NULL));
    assert_journal("+a +c +B +A ");
    chain_dispose(&conf);
    assert_journal("-a -c -B -A ");
    bench->others[1].tells = VERDICT_FAIL;
    assert_false(chain_prepare(&conf, NULL, &bench->arena, NULL));
    assert_journal("+a +c xB -a -c -B ");
}

static void test_cancelled_while_waiting(void **state)
{
    struct bench *bench = *state;

    bench->notes[0].asks = VERDICT_WAIT;
    start(bench, "");
    assert_int_equal(request(bench), VERDICT_WAIT);
    chain_end(&bench->walk);
    assert_journal("?a .a ");
}

static void test_failing_answer(void **state)
{
    struct bench *bench = *state;

    bench->notes[1].tells = VERDICT_FAIL;
    start(bench, "");
    assert_int_equal(request(bench), VERDICT_PASS);
    assert_int_equal(response(bench, false), VERDICT_FAIL);
    assert_ptr_equal(bench->visit->conf, &bench->notes[1]);
    assert_journal("?a ?b ?c !c !b ");
    chain_end(&bench->walk);
    assert_journal(".c .b .a ");
}

static void test_filter_without_hooks(void **state)
{
    struct bench *bench = *state;

    bench->global.count = 4;
    start(bench, "");
    assert_int_equal(bench->chain->count, 4);
    assert_int_equal(request(bench), VERDICT_PASS);
    assert_int_equal(response(bench, false), VERDICT_PASS);
    chain_end(&bench->walk);
    assert_journal("?a ?b ?c !c !b !a .c .b .a ");
    assert_null(bench->walk.visits[3].state);
}

static void test_walk_that_never_began(void **state)
{
    struct bench *bench = *state;

    bench->walk = (struct chain_walk){0};
    assert_int_equal(response(bench, true), VERDICT_PASS);
    chain_end(&bench->walk);
    assert_journal("");
}

/* Idle while there are no workers to speak of. */
static bool is_idle(const void *conf, const struct filter_env *env)
{
    (void)conf;
    return !env->workers;
}

/* One that is idle when the request begins is not visited, though it wakes meanwhile; one that is
 * awake is, to the end. */
static void test_idle(void **state)
{
    static const struct filter drowsy = {.name = "drowsy",
                                         .state_size = sizeof(struct state),
                                         .on_request = ask,
                                         .on_response = tell,
                                         .on_done = finish,
                                         .is_idle = is_idle};
    struct bench *bench = *state;
    struct filter_env env = {.workers = 0};
    struct visit common = {.arena = &bench->arena, .env = &env, .request = &bench->request};
    struct conf_filters none = own(bench, "");
    const struct chain *chain;

    bench->items[1].filter = &drowsy;
    chain = chain_build(&bench->global, &none, &bench->arena);
    assert_non_null(chain);
    assert_int_equal(chain->count, 3);
    for (unsigned workers = 0; workers < 2; workers++) {
        env.workers = workers;
        assert_int_equal(chain_now(chain, &env)->count, workers ? 3 : 2);
        assert_int_equal(chain_start(&bench->walk, chain, &common), OK);
        env.workers = !workers;
        assert_int_equal(request(bench), VERDICT_PASS);
        assert_int_equal(response(bench, false), VERDICT_PASS);
        chain_end(&bench->walk);
    }
    assert_journal("?a ?c !c !a .c .a ?a ?b ?c !c !b !a .c .b .a ");
}

static void test_without_memory(void **state)
{
    struct bench *bench = *state;
    struct conf_filters none = own(bench, "");
    const struct chain *chain = chain_build(&bench->global, &none, &bench->arena);
    struct arena full;
    struct visit common = {.arena = &full};

    arena_init(&full, NULL, 1);
    assert_null(chain_build(&bench->global, &none, &full));
    assert_int_equal(chain_start(&bench->walk, chain, &common), E_NOMEM);
    assert_int_equal(response(bench, true), VERDICT_PASS);
    chain_end(&bench->walk);
    assert_journal("");
}

/* Memory that ends somewhere within the visits: nobody is told of what it never saw. */
static void test_memory_that_ends_half_way(void **state)
{
    struct bench *bench = *state;
    struct conf_filters none = own(bench, "");
    const struct chain *chain = chain_build(&bench->global, &none, &bench->arena);
    unsigned failed = 0;

    for (size_t used = 60 * 1024; used < 64 * 1024; used += 16) {
        struct arena small;
        struct visit common = {.arena = &small, .request = &bench->request};
        enum status status;

        arena_init(&small, NULL, 64 * 1024);
        for (size_t i = 0; i < used; i += 16)
            (void)arena_alloc(&small, 16);
        status = chain_start(&bench->walk, chain, &common);
        failed += status != OK;
        if (status)
            assert_int_equal(response(bench, true), VERDICT_PASS);
        assert_int_equal(chain_is_cut(&bench->walk), true);
        chain_end(&bench->walk);
        arena_reset(&small);
    }
    assert_true(failed > 0);
    assert_journal("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_merge, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_one_exchange, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_reply_tells_all, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_answer_tells_those_that_were_asked, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_wait_goes_on_after_it, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_wait_ends_in_a_refusal, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_resumed_too_late, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_preparation, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_memory_that_ends_half_way, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_cancelled_while_waiting, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_failing_answer, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_filter_without_hooks, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_walk_that_never_began, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_idle, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_without_memory, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
