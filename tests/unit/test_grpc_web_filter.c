/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of filter/grpc_web.c, in a chain of its own: heads and bodies of both directions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/filter/chain.h"

struct bench {
    struct arena arena;
    struct head request, response, trailers;
    struct conf_filter item;
    struct chain_walk walk;
    struct visit *visit;
    char out[256];
    size_t len;
    bool last;
};

static enum reason end(void *owner, const struct piece *piece)
{
    struct bench *bench = owner;

    assert_true(bench->len + piece->bytes.len <= sizeof(bench->out));
    memcpy(bench->out + bench->len, piece->bytes.p, piece->bytes.len);
    bench->len += piece->bytes.len;
    assert_false(bench->last);
    bench->last = piece->last;
    assert_null(piece->trailers);
    return REASON_NONE;
}

static const struct chain_ends ends = {.request = end, .response = end};

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    arena_init(&bench->arena, NULL, 0);
    assert_int_equal(head_init(&bench->request, &bench->arena, 4), OK);
    assert_int_equal(head_init(&bench->response, &bench->arena, 4), OK);
    assert_int_equal(head_init(&bench->trailers, &bench->arena, 4), OK);
    bench->response.status = 200;
    return 0;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    free(bench);
    return 0;
}

static void add(struct bench *bench, struct head *head, const char *name, const char *value)
{
    assert_int_equal(head_add(head, &bench->arena, (struct str){name, strlen(name)},
                              (struct str){value, strlen(value)}),
                     OK);
}

static void assert_field(const struct head *head, const char *name, const char *want)
{
    struct str have = head_value_name(head, (struct str){name, strlen(name)});

    assert_non_null(have.p);
    assert_int_equal(have.len, strlen(want));
    assert_memory_equal(have.p, want, have.len);
}

static void begin(struct bench *bench, const char *type)
{
    const struct conf_filters none = {NULL, 0}, all = {&bench->item, 1};
    struct visit common = {.arena = &bench->arena, .request = &bench->request};

    for (size_t i = 0; filter_registry[i]; i++)
        if (!strcmp(filter_registry[i]->name, "grpc_web"))
            bench->item = (struct conf_filter){.filter = filter_registry[i], .conf = ""};
    bench->walk.ends = &ends;
    bench->walk.owner = bench;
    add(bench, &bench->request, "Content-Type", type);
    assert_int_equal(chain_start(&bench->walk, chain_build(&all, &none, &bench->arena), &common),
                     OK);
    assert_int_equal(chain_request(&bench->walk, &bench->visit), VERDICT_PASS);
}

static void tell(struct bench *bench, const char *type)
{
    add(bench, &bench->response, "content-type", type);
    assert_int_equal(chain_response(&bench->walk, &bench->response, false, &bench->visit),
                     VERDICT_PASS);
}

static struct piece piece_of(const char *bytes, size_t len, bool last)
{
    return (struct piece){.bytes = {bytes, len}, .last = last, .is_lasting = true};
}

static enum reason ask_bytes(struct bench *bench, const char *bytes, size_t len, bool last)
{
    struct piece piece = piece_of(bytes, len, last);

    return chain_request_body(&bench->walk, &piece);
}

#define ASK(bench, lit, last) ask_bytes(bench, lit, sizeof(lit) - 1, last)

static enum reason answer_bytes(struct bench *bench, const char *bytes, size_t len,
                                struct head *trailers)
{
    struct piece piece = piece_of(bytes, len, trailers != NULL);

    piece.trailers = trailers;
    return chain_response_body(&bench->walk, &piece);
}

#define ANSWER(bench, lit, trailers) answer_bytes(bench, lit, sizeof(lit) - 1, trailers)

static void assert_bytes(struct bench *bench, const char *want, size_t len, bool last)
{
    assert_int_equal(bench->len, len);
    assert_memory_equal(bench->out, want, len);
    assert_int_equal(bench->last, last);
    bench->len = 0;
    bench->last = false;
}

#define ASSERT_OUT(bench, lit, last) assert_bytes(bench, lit, sizeof(lit) - 1, last)

static void test_binary(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web+proto");
    assert_true(bench->walk.edits_request);
    assert_field(&bench->request, "content-type", "application/grpc+proto");
    assert_int_equal(ASK(bench, "\0\0\0\0\2a", false), REASON_NONE);
    assert_int_equal(ASK(bench, "b", true), REASON_NONE);
    ASSERT_OUT(bench, "\0\0\0\0\2ab", true);
    tell(bench, "application/grpc+proto");
    assert_field(&bench->response, "content-type", "application/grpc-web+proto");
    add(bench, &bench->trailers, "grpc-status", "0");
    assert_int_equal(ANSWER(bench, "\0\0\0\0\1c", NULL), REASON_NONE);
    assert_int_equal(ANSWER(bench, "", &bench->trailers), REASON_NONE);
    ASSERT_OUT(bench, "\0\0\0\0\1c\x80\0\0\0\x10grpc-status: 0\r\n", true);
}

static void test_text(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web-text");
    assert_field(&bench->request, "content-type", "application/grpc");
    assert_int_equal(ASK(bench, "AAAAAAJ", false), REASON_NONE);
    assert_int_equal(ASK(bench, "hYg==", true), REASON_NONE);
    ASSERT_OUT(bench, "\0\0\0\0\2ab", true);
    tell(bench, "application/grpc");
    assert_field(&bench->response, "content-type", "application/grpc-web-text");
    add(bench, &bench->trailers, "grpc-status", "0");
    assert_int_equal(ANSWER(bench, "\0\0\0\0\2", NULL), REASON_NONE);
    ASSERT_OUT(bench, "AAAA", false);
    assert_int_equal(ANSWER(bench, "cd", NULL), REASON_NONE);
    ASSERT_OUT(bench, "AAJjZA==", false);
    assert_int_equal(ANSWER(bench, "", &bench->trailers), REASON_NONE);
    ASSERT_OUT(bench, "gAAAABBncnBjLXN0YXR1czogMA0K", true);
}

static void test_accept_chooses_the_form(void **state)
{
    struct bench *bench = *state;

    add(bench, &bench->request, "Accept", "application/grpc-web-text");
    begin(bench, "application/grpc-web");
    tell(bench, "application/grpc+proto");
    assert_field(&bench->response, "content-type", "application/grpc-web-text+proto");
}

static void test_bad_requests(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web-text");
    assert_int_equal(ASK(bench, "AAAA*AAA", false), REASON_GRPC_WEB_TEXT_INVALID);
    assert_int_equal(ASK(bench, "AA", true), REASON_GRPC_WEB_TEXT_INVALID);
}

static void test_bad_frames(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web");
    assert_int_equal(ASK(bench, "\2\0\0\0\0", false), REASON_GRPC_FRAME_INVALID);
}

static void test_cut_message(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web");
    assert_int_equal(ASK(bench, "\0\0\0\0\2a", true), REASON_GRPC_FRAME_INVALID);
    ASSERT_OUT(bench, "", false);
}

static void test_trailers_only(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web");
    add(bench, &bench->response, "grpc-status", "5");
    tell(bench, "application/grpc");
    assert_field(&bench->response, "grpc-status", "5");
    assert_field(&bench->response, "content-type", "application/grpc-web");
    assert_int_equal(bench->response.status, 200);
}

static void test_target_that_forgets_trailers(void **state)
{
    struct bench *bench = *state;
    struct piece piece = piece_of("\0\0\0\0\0", 5, true);

    begin(bench, "application/grpc-web");
    tell(bench, "application/grpc");
    assert_int_equal(chain_response_body(&bench->walk, &piece), REASON_NONE);
    assert_true(bench->last);
    assert_memory_equal(bench->out + 5, "\x80", 1);
    assert_memory_equal(bench->out + 10, "grpc-status: 13\r\n", 17);
}

static void test_target_that_cuts_a_message(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web");
    tell(bench, "application/grpc");
    assert_int_equal(ANSWER(bench, "\0\0\0\0\2a", NULL), REASON_NONE);
    assert_int_equal(ANSWER(bench, "", &bench->trailers), REASON_HTTP_RESPONSE_INCOMPLETE);
    assert_false(bench->last);
}

static void test_answer_that_is_no_grpc(void **state)
{
    struct bench *bench = *state;
    struct piece piece = piece_of("<html>", 6, true);

    begin(bench, "application/grpc-web-text");
    bench->response.status = 503;
    add(bench, &bench->response, "content-encoding", "gzip");
    tell(bench, "text/html");
    assert_int_equal(bench->response.status, 200);
    assert_field(&bench->response, "grpc-status", "14");
    assert_field(&bench->response, "content-type", "application/grpc-web-text+proto");
    assert_null(head_value_name(&bench->response, STR("content-encoding")).p);
    assert_int_equal(chain_response_body(&bench->walk, &piece), REASON_NONE);
    ASSERT_OUT(bench, "", true);
}

static void test_what_is_left_alone(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc");
    assert_false(bench->walk.edits_request);
    tell(bench, "application/grpc");
    assert_false(bench->walk.edits_response);
    assert_field(&bench->request, "content-type", "application/grpc");
}

static void test_target_that_speaks_it(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web");
    tell(bench, "application/grpc-web+proto");
    assert_false(bench->walk.edits_response);
}

static void test_own_answers(void **state)
{
    struct bench *bench = *state;

    begin(bench, "application/grpc-web");
    add(bench, &bench->response, "content-type", "application/grpc-web");
    assert_int_equal(chain_response(&bench->walk, &bench->response, true, &bench->visit),
                     VERDICT_PASS);
    assert_false(bench->walk.edits_response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bench, remove_bench)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_binary),
        TEST(test_text),
        TEST(test_accept_chooses_the_form),
        TEST(test_bad_requests),
        TEST(test_bad_frames),
        TEST(test_cut_message),
        TEST(test_trailers_only),
        TEST(test_target_that_forgets_trailers),
        TEST(test_target_that_cuts_a_message),
        TEST(test_answer_that_is_no_grpc),
        TEST(test_what_is_left_alone),
        TEST(test_target_that_speaks_it),
        TEST(test_own_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
