/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of chain.c with filters that change bodies: order, several pieces for one, trailers made
 * and eaten, bodies that nobody wants to see, and hooks that give up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/filter/chain.h"

/* What a filter of these does; its conf. */
struct plan {
    char letter;
    bool edits_request, edits_response, sees_request;
    enum reason fails;
};

struct bench {
    struct arena arena;
    struct plan plans[4];
    struct conf_filter items[4];
    struct head request, response, trailers;
    struct chain_walk walk;
    struct visit *visit;
    char out[256];    /* what came to the end: bytes, "|" behind each piece, "." for last, "+" for
                         trailers */
    unsigned lasting; /* pieces that were */
    enum reason end_says;
};

static enum verdict ask(struct visit *visit)
{
    visit->edits_request = ((const struct plan *)visit->conf)->edits_request;
    visit->sees_request = ((const struct plan *)visit->conf)->sees_request;
    return VERDICT_PASS;
}

static enum verdict tell(struct visit *visit)
{
    visit->edits_response = ((const struct plan *)visit->conf)->edits_response;
    return VERDICT_PASS;
}

/* The letter before each byte, in pieces of two. */
static enum reason mark(struct visit *visit, const struct piece *piece, const struct body_way *way)
{
    const struct plan *plan = visit->conf;
    struct piece end = {.bytes = STR(""), .trailers = piece->trailers, .last = true};

    if (plan->fails)
        return plan->fails;
    for (size_t i = 0; i < piece->bytes.len; i++) {
        char pair[2] = {plan->letter, piece->bytes.p[i]};
        struct piece out = {.bytes = {pair, 2}};
        enum reason why = filter_pass_body(way, &out);

        if (why)
            return why;
    }
    return piece->last ? filter_pass_body(way, &end) : REASON_NONE;
}

/* Bytes as they are; trailers become a byte, or where there are none come into being. */
static enum reason turn(struct visit *visit, const struct piece *piece, const struct body_way *way)
{
    struct piece out = *piece, text = {.bytes = STR("T"), .last = true};
    enum reason why;

    if (!piece->last)
        return filter_pass_body(way, &out);
    if (!piece->trailers) {
        out.trailers = visit->request;
        return filter_pass_body(way, &out);
    }
    out.last = false;
    out.trailers = NULL;
    why = filter_pass_body(way, &out);
    return why ? why : filter_pass_body(way, &text);
}

/* Nothing goes on but the end. */
static enum reason swallow(struct visit *visit, const struct piece *piece,
                           const struct body_way *way)
{
    const struct piece end = {.bytes = STR(""), .last = true};

    (void)visit;
    return piece->last ? filter_pass_body(way, &end) : REASON_NONE;
}

/* The last byte that came is kept until more comes, or nothing for now. */
static enum reason keep(struct visit *visit, const struct piece *piece, const struct body_way *way)
{
    char *kept = visit->state;
    struct piece out = {.bytes = {kept, *kept != 0}, .last = piece->last};
    enum reason why = filter_pass_body(way, &out);

    *kept = piece->bytes.len ? piece->bytes.p[0] : '\0';
    return why;
}

#define FILTER(hook)                                                                               \
    {                                                                                              \
        .name = #hook, .on_request = ask, .on_response = tell, .on_request_body = hook,            \
        .on_response_body = hook                                                                   \
    }

static const struct filter marks[] = {FILTER(mark), FILTER(mark)}, turns = FILTER(turn),
                           swallows = FILTER(swallow),
                           keeps = {.name = "keep",
                                    .state_size = 1,
                                    .on_response = tell,
                                    .on_response_body = keep},
                           blind = {.name = "blind", .on_request = ask, .on_response = tell};

static enum reason end(void *owner, const struct piece *piece)
{
    struct bench *bench = owner;
    size_t len = strlen(bench->out);

    assert_true(len + piece->bytes.len + 4 < sizeof(bench->out));
    memcpy(bench->out + len, piece->bytes.p, piece->bytes.len);
    len += piece->bytes.len;
    if (piece->last)
        bench->out[len++] = '.';
    if (piece->trailers)
        bench->out[len++] = '+';
    bench->out[len] = '|';
    bench->lasting += piece->is_lasting;
    return bench->end_says;
}

static const struct chain_ends ends = {.request = end, .response = end};

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    arena_init(&bench->arena, NULL, 0);
    for (unsigned i = 0; i < ARRAY_LEN(bench->plans); i++) {
        bench->plans[i] =
            (struct plan){.letter = (char)('a' + i), .edits_request = true, .edits_response = true};
        bench->items[i].conf = &bench->plans[i];
    }
    assert_int_equal(head_init(&bench->request, &bench->arena, 4), OK);
    assert_int_equal(head_init(&bench->response, &bench->arena, 4), OK);
    return 0;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    free(bench);
    return 0;
}

static void set_length(struct bench *bench, struct head *head)
{
    head->content_length = 5;
    assert_int_equal(head_add(head, &bench->arena, STR("Content-Length"), STR("5")), OK);
}

/* Walks the heads past these filters. */
static void start(struct bench *bench, const struct filter *first, const struct filter *second)
{
    const struct conf_filters none = {NULL, 0}, all = {bench->items, second ? 2 : 1};
    struct visit common = {.arena = &bench->arena, .request = &bench->request};
    const struct chain *chain;

    bench->items[0].filter = first;
    bench->items[1].filter = second;
    chain = chain_build(&all, &none, &bench->arena);
    assert_non_null(chain);
    bench->walk.ends = &ends;
    bench->walk.owner = bench;
    assert_int_equal(chain_start(&bench->walk, chain, &common), OK);
    set_length(bench, &bench->request);
    set_length(bench, &bench->response);
    assert_int_equal(chain_request(&bench->walk, &bench->visit), VERDICT_PASS);
    assert_int_equal(chain_response(&bench->walk, &bench->response, false, &bench->visit),
                     VERDICT_PASS);
}

static struct piece piece_of(const char *text, bool last)
{
    return (struct piece){.bytes = {text, strlen(text)}, .last = last, .is_lasting = true};
}

static void send_request(struct bench *bench, const char *text, bool last, const char *want)
{
    struct piece piece = piece_of(text, last);

    assert_int_equal(chain_request_body(&bench->walk, &piece), REASON_NONE);
    assert_string_equal(bench->out, want);
    memset(bench->out, 0, sizeof(bench->out));
}

static void send_response(struct bench *bench, const char *text, bool last, const char *want)
{
    struct piece piece = piece_of(text, last);

    assert_int_equal(chain_response_body(&bench->walk, &piece), REASON_NONE);
    assert_string_equal(bench->out, want);
    memset(bench->out, 0, sizeof(bench->out));
}

static void test_order(void **state)
{
    struct bench *bench = *state;

    start(bench, &marks[0], &marks[1]);
    assert_true(bench->walk.edits_request && bench->walk.edits_response);
    send_request(bench, "x", false, "ba|bx|");
    send_request(bench, "", true, ".|");
    send_response(bench, "x", true, "ab|ax|.|");
    assert_int_equal(bench->lasting, 0);
}

static void test_length_goes_with_the_change(void **state)
{
    struct bench *bench = *state;

    start(bench, &marks[0], NULL);
    assert_int_equal(bench->request.content_length, -1);
    assert_null(head_find(&bench->request, HDR_CONTENT_LENGTH));
    assert_int_equal(bench->response.content_length, -1);
    assert_null(head_find(&bench->response, HDR_CONTENT_LENGTH));
}

static void test_nobody_wants_to_see_it(void **state)
{
    struct bench *bench = *state;

    bench->plans[0].edits_request = bench->plans[0].edits_response = false;
    start(bench, &marks[0], &blind); // the blind one wants to, and has no hooks
    assert_false(bench->walk.edits_request || bench->walk.edits_response);
    assert_int_equal(bench->request.content_length, 5);
    assert_int_equal(bench->response.content_length, 5);
    send_request(bench, "x", true, "x.|");
    send_response(bench, "x", true, "x.|");
    assert_int_equal(bench->lasting, 2);
}

/* Who only looks gets every piece, and the length stays. */
static void test_one_that_only_looks(void **state)
{
    struct bench *bench = *state;

    bench->plans[0].edits_request = false;
    bench->plans[0].sees_request = true;
    start(bench, &marks[0], NULL);
    assert_true(bench->walk.edits_request);
    assert_int_equal(bench->request.content_length, 5);
    send_request(bench, "x", true, "ax|.|");
}

static void test_one_of_two(void **state)
{
    struct bench *bench = *state;

    bench->plans[0].edits_request = bench->plans[1].edits_response = false;
    start(bench, &marks[0], &marks[1]);
    send_request(bench, "x", true, "bx|.|");
    send_response(bench, "x", true, "ax|.|");
}

static void test_trailers(void **state)
{
    struct bench *bench = *state;
    struct piece piece = piece_of("xy", true);

    start(bench, &turns, NULL);
    send_request(bench, "x", false, "x|");
    send_request(bench, "", true, ".+|");
    piece.trailers = &bench->trailers;
    assert_int_equal(chain_response_body(&bench->walk, &piece), REASON_NONE);
    assert_string_equal(bench->out, "xy|T.|");
}

static void test_trailers_pass_a_filter_that_leaves_them(void **state)
{
    struct bench *bench = *state;
    struct piece piece = piece_of("x", true);

    piece.trailers = &bench->trailers;
    start(bench, &marks[0], &swallows);
    assert_int_equal(chain_request_body(&bench->walk, &piece), REASON_NONE);
    assert_string_equal(bench->out, ".|");
    bench->out[0] = '\0';
    start(bench, &marks[0], NULL);
    assert_int_equal(chain_request_body(&bench->walk, &piece), REASON_NONE);
    assert_string_equal(bench->out, "ax|.+|");
}

static void test_a_hook_that_gives_up(void **state)
{
    struct bench *bench = *state;
    struct piece piece = piece_of("x", false);

    bench->plans[1].fails = REASON_BODY_TOO_LARGE;
    start(bench, &marks[0], &marks[1]);
    assert_int_equal(chain_request_body(&bench->walk, &piece), REASON_BODY_TOO_LARGE);
    for (unsigned i = 0; i < bench->walk.chain->count; i++)
        assert_int_equal(bench->walk.visits[i].verdict, i == 1 ? VERDICT_FAIL : VERDICT_PASS);
    assert_string_equal(bench->out, "");
}

static void test_an_end_that_gives_up(void **state)
{
    struct bench *bench = *state;
    struct piece piece = piece_of("xyz", false);

    bench->end_says = REASON_MEMORY_LIMIT;
    start(bench, &marks[0], NULL);
    assert_int_equal(chain_response_body(&bench->walk, &piece), REASON_MEMORY_LIMIT);
    assert_string_equal(bench->out, "ax|");
}

/* What comes of one hook by a pause goes through the next, which then has its own. */
static void test_a_pause(void **state)
{
    struct bench *bench = *state;

    start(bench, &marks[0], &keeps);
    send_response(bench, "x", false, "");
    assert_int_equal(chain_response_pause(&bench->walk), REASON_NONE);
    send_response(bench, "", false, "ax|");
    bench->plans[1].edits_response = false;
    start(bench, &keeps, &marks[0]);
    assert_int_equal(chain_response_pause(&bench->walk), REASON_NONE);
    assert_string_equal(bench->out, "|");
    bench->end_says = REASON_MEMORY_LIMIT;
    assert_int_equal(chain_response_pause(&bench->walk), REASON_MEMORY_LIMIT);
    assert_true(bench->walk.is_broken);
}

/* The answer of the target was told, then another one of our own took its place. */
static void test_own_answer_begins_anew(void **state)
{
    struct bench *bench = *state;

    start(bench, &marks[0], NULL);
    bench->plans[0].edits_response = false;
    assert_int_equal(chain_response(&bench->walk, &bench->response, true, &bench->visit),
                     VERDICT_PASS);
    assert_false(bench->walk.edits_response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bench, remove_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_order),
        TEST(test_length_goes_with_the_change),
        TEST(test_nobody_wants_to_see_it),
        TEST(test_one_that_only_looks),
        TEST(test_one_of_two),
        TEST(test_trailers),
        TEST(test_trailers_pass_a_filter_that_leaves_them),
        TEST(test_a_hook_that_gives_up),
        TEST(test_an_end_that_gives_up),
        TEST(test_a_pause),
        TEST(test_own_answer_begins_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
